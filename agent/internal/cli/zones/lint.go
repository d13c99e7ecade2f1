package zones

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/zones"
)

func newLint() *cobra.Command {
	var profile, output string
	cmd := &cobra.Command{
		Use:   "lint POLICY",
		Short: "Find zones that are well formed and cannot mean what they say",
		Long: `Lint first checks the policy as robowarden check does, and then looks for zones that contradict each other, that lie
in a BLOCKED zone or outside of every KEEP_IN zone, that no moment or robot ever activates, that are tiny or needles, and
for floors on which no place is left. With the robot's profile it also looks for limits below the robot's creep speed, and
reckons with its size and margins.

Exit status: 0 nothing found, 1 something found or the policy is refused, 2 used wrongly.`,
		Example: "  robowarden-station zones lint policy.yaml --profile profile.yaml",
		Args:    one("one policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := wantJSON(output)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			cfg, err := load(args[0], profile)
			if err != nil {
				return answer.Refused(w, err)
			}
			found := zones.Lint(cfg.Policy, cfg.Profile, args[0])
			if asJSON {
				e := json.NewEncoder(w)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				err = e.Encode(found)
			} else {
				err = found.Render(w, answer.Colourful(w))
				fmt.Fprintf(w, "%d zones on %d floors: %d found\n", len(cfg.Policy.Zones), len(cfg.Policy.Floors), len(found.List)+found.Omitted)
				if profile == "" {
					fmt.Fprintln(w, "  not looked at without --profile: limits below creep speed, room for the robot's body")
				}
			}
			if err == nil && len(found.List) > 0 {
				return cli.ErrNo
			}
			return err
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "", "the robot's profile")
	cmd.Flags().StringVar(&output, "output", "text", "text for people, json for programs")
	return cmd
}

// load loads a plain policy and the documents beside it; empty names are left out.
func load(policy string, others ...string) (*config.Config, error) {
	files := []string{policy}
	for _, f := range others {
		if f != "" {
			files = append(files, f)
		}
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		return nil, err
	}
	if cfg.Policy == nil {
		return nil, answer.Usage("%s: expected a document of kind policy", policy)
	}
	return cfg, nil
}

// localTime is how a time without a zone is written: by the policy's civil clock.
const localTime = "2006-01-02T15:04:05"

// moment reads a time by RFC 3339, or by the civil clock of the policy's time zone. A time that the clock skips in a DST
// night is refused; one that it shows twice is taken the first time, and told.
func moment(flag, s string, zone *time.Location) (t time.Time, note string, err error) {
	if t, err = time.Parse(time.RFC3339, s); err == nil {
		return t.In(zone), "", nil
	}
	if len(s) == len("2006-01-02T15:04") {
		s += ":00"
	}
	face, err := time.Parse(localTime, s)
	if err != nil {
		return t, "", answer.Usage("--%s: expected 2026-11-02T08:30 by the policy's clock (%s) or 2026-11-02T08:30:00+01:00, found %q", flag, zone, s)
	}
	var found []time.Time
	for _, hours := range []int{-26, 26} { // the offsets before and after a change, whichever is near
		_, offset := face.Add(time.Duration(hours) * time.Hour).In(zone).Zone()
		at := face.Add(-time.Duration(offset) * time.Second).In(zone)
		if at.Format(localTime) == s && (len(found) == 0 || !found[0].Equal(at)) {
			found = append(found, at)
		}
	}
	switch len(found) {
	case 0:
		return t, "", answer.Usage("--%s: the clock in %s skips %s that night; give a time that it shows", flag, zone, s)
	case 2:
		if found[1].Before(found[0]) {
			found[0], found[1] = found[1], found[0]
		}
		note = fmt.Sprintf("the clock in %s shows %s twice; taken is the first, %s", zone, s, found[0].Format(time.RFC3339))
	}
	return found[0], note, nil
}
