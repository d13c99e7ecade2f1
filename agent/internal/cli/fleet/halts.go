package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/steward"
	"github.com/robowarden/robowarden/attest/order"
)

// errProposed ends the command with 1 after the proposals have been printed.
var errProposed = answer.With(answer.No, errors.New(""))

// halts are the flags of fleet halts.
type halts struct {
	store, draft, output string
	audience             []string
	sick                 int
}

func newHalts() *cobra.Command {
	var h halts
	cmd := &cobra.Command{
		Use:   "halts",
		Short: "Say which releases robots have taken back, and prepare the halts for somebody to sign",
		Long: `Halts reads what fleet tail has stored, and nothing else: how each release does on the robots that have it on trial. Where
robots take one back, or hold it, it prints the halt that would keep the others from installing it, and with --draft writes it
as a file for sign. It signs and sends nothing: whoever may stop a robot decides.

What robots say is evidence, chained and acknowledged, but it is their own word: a robot that lies can ask for a halt.

Exit status: 0 nothing is sick that is not halted already, 1 halts are proposed, 2 the command was used wrongly.`,
		Example: `  robowarden-station fleet halts --store fleet --audience group:ward-3 --draft drafts
  robowarden-station sign drafts/halt-2026.11.3.yaml --key olga.key --out halt.order`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return h.run(cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&h.store, "store", "fleet", "the folder in which fleet tail keeps one file for each robot")
	f.StringArrayVar(&h.audience, "audience", nil, "for whom the halt is: manufacturer/serial, group:name, or * (default: the robots of the store)")
	f.StringVar(&h.draft, "draft", "", "a folder for the halts as files for sign; it must exist")
	f.IntVar(&h.sick, "sick", 1, "how many robots must have taken a release back, or hold it, before a halt is proposed")
	f.StringVar(&h.output, "output", "text", "text for people, json for programs")
	return cmd
}

// version is what releases are called. What a robot says otherwise names no release, and must not name a file here.
var version = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

// outcome is what became of a release's trial on one robot.
type outcome struct {
	Robot    string `json:"robot"`
	Artifact string `json:"artifact"`
	// What is the newest word: a step of [steward.Trial], Text its reason.
	What string `json:"what"`
	Text string `json:"text,omitempty"`
	// Attested says whether the robot was attested when it reported this.
	Attested bool `json:"attested"`
}

// sick says whether the robot has found the release not to be good.
func (o *outcome) sick() bool {
	return o.What == "condemned" || o.What == "rolled-back" || o.What == "held"
}

// rollout is how one release does.
type rollout struct {
	Release  string    `json:"release"`
	Outcomes []outcome `json:"outcomes"`
	// Halted are the robots that have taken a halt of it.
	Halted []string `json:"halted,omitempty"`
	// Proposed is true if a halt is proposed, Command how to sign it, Draft its file.
	Proposed bool   `json:"proposed"`
	Command  string `json:"command,omitempty"`
	Draft    string `json:"draft,omitempty"`
}

// sick counts robots, not artifacts: one robot that takes back three parts of a release is one.
func (r *rollout) sick() []string {
	found := map[string]bool{}
	for i := range r.Outcomes {
		if r.Outcomes[i].sick() {
			found[r.Outcomes[i].Robot] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (h *halts) run(w io.Writer) error {
	switch {
	case h.output != "text" && h.output != "json":
		return answer.Usage("--output: expected text or json, found %q", h.output)
	case h.sick < 1:
		return answer.Usage("--sick: expected 1 or more, found %d", h.sick)
	}
	all, robots, err := readRollouts(h.store)
	if err != nil {
		return err
	}
	proposed := false
	for _, r := range all {
		if err := h.propose(r, robots); err != nil {
			return err
		}
		proposed = proposed || r.Proposed
	}
	if h.output == "json" {
		err = json.NewEncoder(w).Encode(all)
	} else {
		err = printRollouts(w, all)
	}
	if err == nil && proposed {
		return errProposed
	}
	return err
}

// readRollouts reads how releases do, by their version, and which robots there are.
func readRollouts(dir string) (all []*rollout, robots []string, err error) {
	type part struct{ robot, artifact string }
	latest, halted, seen := map[string]map[part]outcome{}, map[string]map[string]bool{}, map[string]bool{}
	err = fleet.Read(dir, func(robot string, r *fleet.Record) error {
		seen[robot] = true
		var t steward.Trial
		var receipt agent.Receipt
		switch {
		case r.Log == "steward" && r.Kind == uint8(steward.RecordTrial) && json.Unmarshal(r.Payload, &t) == nil && version.MatchString(t.Release):
			if latest[t.Release] == nil {
				latest[t.Release] = map[part]outcome{}
			}
			// What was found to be sick stays so: the steps that follow are of what was gone back to.
			if was, ok := latest[t.Release][part{robot, t.Artifact}]; !ok || !was.sick() || t.What != "stuck" && t.What != "goes-on" {
				latest[t.Release][part{robot, t.Artifact}] = outcome{robot, t.Artifact, t.What, t.Text, r.Attested}
			}
		case r.Log == "guard" && r.Kind == guard.RecordOrder && json.Unmarshal(r.Payload, &receipt) == nil && receipt.Kind == string(order.KindHalt) && receipt.Applied:
			if halted[receipt.Text] == nil {
				halted[receipt.Text] = map[string]bool{}
			}
			halted[receipt.Text][robot] = true
		}
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		x := &rollout{Release: name, Halted: slices.Sorted(maps.Keys(halted[agent.HaltedText(name)]))}
		for _, o := range latest[name] {
			x.Outcomes = append(x.Outcomes, o)
		}
		slices.SortFunc(x.Outcomes, func(a, b outcome) int { return strings.Compare(a.Robot+" "+a.Artifact, b.Robot+" "+b.Artifact) })
		all = append(all, x)
	}
	return all, slices.Sorted(maps.Keys(seen)), err
}

// propose prepares a halt, if enough robots are sick and not all robots have seen one.
func (h *halts) propose(r *rollout, robots []string) error {
	sick := r.sick()
	if len(sick) < h.sick || len(r.Halted) == len(robots) {
		return nil
	}
	audience := h.audience
	if len(audience) == 0 {
		audience = robots
	}
	r.Proposed = true
	reason := fmt.Sprintf("taken back by %s", strings.Join(sick, ", "))
	if len(sick) > 3 {
		reason = fmt.Sprintf("taken back by %d robots", len(sick))
	}
	if h.draft == "" {
		r.Command = "robowarden-station sign halt --release " + r.Release
		for _, a := range audience {
			r.Command += " --audience '" + a + "'"
		}
		r.Command += " --reason '" + reason + "' --key KEY --out halt.order"
		return nil
	}
	r.Draft = filepath.Join(h.draft, "halt-"+r.Release+".yaml")
	r.Command = "robowarden-station sign " + r.Draft + " --key KEY --out halt.order"
	return writeDraft(r, audience, reason)
}

// writeDraft writes a halt for sign; one that is there already is a person's, and stays.
func writeDraft(r *rollout, audience []string, reason string) error {
	text := "# " + reason + "; sign adds who signs, from when and until when.\nkind: halt\naudience: [" + quoted(audience...) + "]\nreason: " + quoted(reason) +
		"\nbody: {version: " + quoted(r.Release) + "}\n"
	f, err := os.OpenFile(r.Draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // nothing in it is secret
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--draft: %w", err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// quoted are texts as YAML and JSON both write them.
func quoted(list ...string) string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		raw, _ := json.Marshal(s) //nolint:errchkjson // a string
		out = append(out, string(raw))
	}
	return strings.Join(out, ", ")
}

func printRollouts(w io.Writer, all []*rollout) error {
	var out strings.Builder
	if len(all) == 0 {
		out.WriteString("no robot has reported a trial\n")
	}
	for _, r := range all {
		fmt.Fprintf(&out, "release %q: %d on trial or past it, %d sick, halted on %d\n", r.Release, len(r.Outcomes), len(r.sick()), len(r.Halted))
		for i := range r.Outcomes {
			o := &r.Outcomes[i]
			fmt.Fprintf(&out, "  %s %s: %s %q", o.Robot, o.Artifact, o.What, o.Text)
			if !o.Attested {
				out.WriteString(" (unattested)")
			}
			out.WriteByte('\n')
		}
		if r.Proposed {
			fmt.Fprintf(&out, "  PROPOSED: halt it. Whoever may stop a robot signs:\n    %s\n", r.Command)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
