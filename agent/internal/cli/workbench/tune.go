package workbench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/policytune"
)

func newPolicyTune() *cobra.Command {
	var d documents
	var q policytune.Question
	var asJSON bool
	var page string
	cmd := &cobra.Command{
		Use:   "tune --recordings DIR --policy P --profile R [--topics T]",
		Short: "Show how thresholds trade false trips against delay, on recordings",
		Long: `Tune replays the recordings in DIR through the guard's own cores, again and again, each time with one threshold changed: the
zones' margin, start_delay and dwell of the triggers that restrict the robot the longest, and what a command channel may send.

Recordings in DIR/incidents have something in them that has to be noticed: a trip is right there, and how much later it comes
counts. In all others nothing happened, and each trip is a false one. Without incidents nothing looser is suggested.

Nothing is edited. Exit status: 0 done, 1 a recording or document is refused, 2 used wrongly.`,
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.need(false); err != nil {
				return err
			}
			if q.Folder == "" {
				return answer.Usage("expected --recordings")
			}
			cfg, warn, err := loadLoose(d.policy, d.profile, d.topics)
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			for _, w := range warn {
				fmt.Fprintln(cmd.ErrOrStderr(), w)
			}
			q.Config = cfg
			p := newProgress(cmd.ErrOrStderr())
			q.Progress = func(done, total int) { p.bytes(int64(done), int64(total)) }
			r, err := policytune.Run(cmd.Context(), &q)
			p.end()
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			if page != "" {
				f, err := os.Create(filepath.Clean(page))
				if err != nil {
					return err
				}
				if err := errors.Join(policytune.HTML(f, r), f.Close()); err != nil {
					return err
				}
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return policytune.Text(cmd.OutOrStdout(), r)
		},
	}
	d.flags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&q.Folder, "recordings", "", "the folder of recordings; those of incidents in its folder incidents")
	fl.StringVar(&q.Robot, "robot", "", "the robot's serial number, where the policy lists several")
	fl.BoolVar(&q.AnyPublisher, "any-publisher", false, "listen to publishers that the mapping does not list")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	fl.StringVar(&page, "html", "", "write tables and plots as one page")
	return cmd
}
