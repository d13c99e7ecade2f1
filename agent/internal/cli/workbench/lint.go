package workbench

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/policydiff"
	"github.com/robowarden/robowarden/agent/policylint"
)

func newPolicyLint() *cobra.Command {
	var d documents
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint --policy P --profile R [--topics T]",
		Short: "Find what a policy says that cannot be meant",
		Long: `Lint looks for zones that never apply or contradict each other (as zones lint does), shifts that overlap or leave a gap,
rules that can never fire or change nothing, rules that are looser or later than what is built in, triggers that nobody on
site may reset, heartbeats that are missed late or have no channel, speeds that the robot cannot hold, stops that the
ladder does not have, and hours at which the dock cannot be reached. With the topic mapping it sees more.

Exit status: 0 nothing found, 1 something found or a document is refused, 2 used wrongly.`,
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.need(false); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			cfg, warn, err := loadLoose(d.policy, d.profile, d.topics)
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			for _, x := range warn {
				fmt.Fprintln(cmd.ErrOrStderr(), x)
			}
			found := policylint.Lint(cfg, d.policy)
			if asJSON {
				err = writeJSON(w, found)
			} else {
				err = found.Render(w, answer.Colourful(w))
				fmt.Fprintf(w, "%d found\n", len(found.List)+found.Omitted)
			}
			if err == nil && len(found.List) > 0 {
				return cli.ErrNo
			}
			return err
		},
	}
	d.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newPolicyDiff() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say in words what gets looser, tighter or different from one policy to another",
		Long: `Diff compares what two policies mean: zones, schedules, the effect of each trigger with what is built in, channels, robots.
"looser" and "tighter" are said only where it is certain; everything else is "changed", for a person to look at. What a
recording would make of the difference, replay --against shows.

Exit status: 0 nothing changes, 1 something changes or a document is refused, 2 used wrongly.`,
		Args: cli.Args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, _, err := loadLoose(args[0], "", "")
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			now, _, err := loadLoose(args[1], "", "")
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			w := cmd.OutOrStdout()
			list := policydiff.Diff(old.Policy, now.Policy)
			if asJSON {
				err = writeJSON(w, append([]policydiff.Change{}, list...))
			} else {
				var b strings.Builder
				for _, c := range list {
					fmt.Fprintf(&b, "%-8s %s: %s\n", c.Way, c.Where, c.Words)
				}
				if len(list) == 0 {
					b.WriteString("nothing changes\n")
				}
				_, err = w.Write([]byte(b.String()))
			}
			if err == nil && len(list) > 0 {
				return cli.ErrNo
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
