package zones

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/zones"
)

// who is the robot that is asked about.
type who struct {
	robot string
	roles []string
}

func (w *who) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.robot, "robot", "", "the serial number of a robot of the policy, whose roles count")
	cmd.Flags().StringArrayVar(&w.roles, "role", nil, "a role of the robot, in place of --robot; repeat for more")
}

// resolve returns the roles, and false if nobody said which.
func (w *who) resolve(p *config.Policy) ([]string, bool, error) {
	if w.robot != "" && len(w.roles) > 0 {
		return nil, false, answer.Usage("expected --robot or --role, found both")
	}
	if w.robot != "" {
		roles, ok := p.RolesOf(w.robot)
		if !ok {
			return nil, false, answer.Usage("--robot: the policy does not list %q; it lists %s", w.robot, strings.Join(serials(p), ", "))
		}
		return roles, true, nil
	}
	for _, r := range w.roles {
		if !slices.Contains(p.Roles, r) {
			return nil, false, answer.Usage("--role: expected one of the policy's roles (%s), found %q", strings.Join(p.Roles, ", "), r)
		}
	}
	return w.roles, len(w.roles) > 0, nil
}

func serials(p *config.Policy) []string {
	var out []string
	for i := range p.Robots[:min(len(p.Robots), 12)] {
		out = append(out, p.Robots[i].Serial)
	}
	return out
}

func newShow() *cobra.Command {
	var floor, at, out string
	var w who
	cmd := &cobra.Command{
		Use:   "show POLICY --floor F --at TIME",
		Short: "Draw one floor's zones as they hold at a time",
		Long: `Show draws one floor as an SVG that needs no other file: zones by kind, closed ones emphasised, those that do not hold
at the time as dashed outlines, with a scale, a legend and the reasons.

TIME is by the policy's own clock (2026-11-02T08:30) or RFC 3339. Exit status: 0 drawn, 1 the policy is refused, 2 used
wrongly.`,
		Example: "  robowarden-station zones show policy.yaml --floor ground --at 2026-11-02T22:00 --out map.svg",
		Args:    one("one policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(args[0])
			if err != nil {
				return answer.Refused(cmd.ErrOrStderr(), err)
			}
			p := cfg.Policy
			if p.FloorIndex(floor) < 0 {
				return answer.Usage("--floor: expected one of the policy's floors (%s), found %q", strings.Join(floors(p), ", "), floor)
			}
			v := zones.View{Floor: floor}
			when, note, err := moment("at", at, p.Timezone.Location)
			if err != nil {
				return err
			}
			v.At = when
			if note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), note)
			}
			if v.Roles, v.RolesKnown, err = w.resolve(p); err != nil {
				return err
			}
			draw := func(w io.Writer) error { return zones.Draw(w, p, v) }
			if out == "" {
				return draw(cmd.OutOrStdout())
			}
			return writeFile(out, draw)
		},
	}
	cmd.Flags().StringVar(&floor, "floor", "", "the floor's id")
	cmd.Flags().StringVar(&at, "at", "", "the time whose shifts count")
	cmd.Flags().StringVar(&out, "out", "", "the file to write; standard output without it")
	w.flags(cmd)
	return cmd
}

func floors(p *config.Policy) []string {
	var out []string
	for _, f := range p.Floors {
		out = append(out, f.ID)
	}
	return out
}
