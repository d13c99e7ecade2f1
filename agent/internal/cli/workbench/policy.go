package workbench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/policytest"
)

// NewPolicy returns the command "policy" with its subcommands.
func NewPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Test, check and compare policies", Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyTest(), newPolicyLint(), newPolicyDiff(), newPolicyTune())
	return cmd
}

// documents are the flags that name a robot's documents.
type documents struct{ policy, profile, topics string }

func (d *documents) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.policy, "policy", "", "the policy")
	cmd.Flags().StringVar(&d.profile, "profile", "", "the robot's profile")
	cmd.Flags().StringVar(&d.topics, "topics", "", "the topic mapping")
}

func (d *documents) need(topics bool) error {
	if d.policy == "" || d.profile == "" || topics && d.topics == "" {
		return answer.Usage("expected --policy, --profile%s", map[bool]string{true: " and --topics"}[topics])
	}
	return nil
}

func newPolicyTest() *cobra.Command {
	var d documents
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE… --policy P --profile R --topics T",
		Short: "Run a policy's test cases, and say what none of them exercised",
		Long: `Test runs cases of inputs over time and expected decisions through the guard's own cores, in virtual time, as promtool
tests alerting rules. At the end it names the zones, shifts, channels and changed triggers that no case has exercised.
configs/demo/policy-tests.yaml is an example that explains every line; docs/workbench.md lists all that a case can say.

Exit status: 0 every case passed, 1 a case failed or a document is refused, 2 used wrongly.`,
		Example: "  robowarden-station policy test policy-tests.yaml --policy policy.yaml --profile profile.yaml --topics topics.yaml",
		Args:    cli.Args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.need(true); err != nil {
				return err
			}
			cfg, warn, err := loadLoose(d.policy, d.profile, d.topics)
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			for _, w := range warn {
				fmt.Fprintln(cmd.ErrOrStderr(), w)
			}
			all := &policytest.File{}
			for _, name := range args {
				f, err := policytest.Load(name)
				if err != nil {
					return err
				}
				for _, t := range f.Tests {
					if t.Robot == "" {
						t.Robot = f.Robot
					}
					all.Tests = append(all.Tests, t)
				}
			}
			begun := time.Now()
			r, err := policytest.Run(cfg, all)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), r)
			} else {
				err = printTests(cmd.OutOrStdout(), r, time.Since(begun))
			}
			if err == nil && r.Failed > 0 {
				return cli.ErrNo
			}
			return err
		},
	}
	d.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printTests(out io.Writer, r *policytest.Result, took time.Duration) error {
	var w strings.Builder
	for _, o := range r.Outcomes {
		if len(o.Failures) == 0 {
			fmt.Fprintf(&w, "ok      %s\n", o.Name)
			continue
		}
		fmt.Fprintf(&w, "FAILED  %s\n", o.Name)
		for _, f := range o.Failures {
			fmt.Fprintf(&w, "          %s\n", f)
		}
	}
	fmt.Fprintf(&w, "%d of %d passed in %.1f s\n\nexercised\n", len(r.Outcomes)-r.Failed, len(r.Outcomes), took.Seconds())
	c := &r.Coverage
	for _, k := range []struct {
		name string
		of   *policytest.Covered
		list bool
	}{{"zones", &c.Zones, true}, {"shifts", &c.Shifts, true}, {"channels", &c.Channels, true}, {"changed triggers", &c.Rules, true}, {"all triggers", &c.Triggers, false}} {
		if k.of.Of == 0 {
			continue
		}
		fmt.Fprintf(&w, "  %-17s %d of %d", k.name, k.of.Of-len(k.of.Missing), k.of.Of)
		if len(k.of.Missing) > 0 && k.list {
			fmt.Fprintf(&w, "; not: %s", strings.Join(k.of.Missing, ", "))
		}
		w.WriteByte('\n')
	}
	_, err := io.WriteString(out, w.String())
	return err
}
