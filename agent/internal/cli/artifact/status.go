package artifact

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
)

// newStatus shows the slots, and with a guard also what it holds of them.
func (r *robot) newStatus() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show what is in the slots, and what the guard knows of it", Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return r.status(cmd, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "hash the active slots anew")
	return r.flags(cmd)
}

// slotReport is one artifact in status.
type slotReport struct {
	slots.Status
	// FSVerity is true if the kernel keeps the active slot's files with the digests of what was installed.
	FSVerity bool `json:"fs_verity"`
	// Problem is why the active slot does not hold what its record says, empty if it was not checked.
	Problem string `json:"problem,omitempty"`
}

func (r *robot) status(cmd *cobra.Command, check bool) error {
	list, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var all []slotReport
	bad := false
	for _, e := range list {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		rep, err := r.report(cmd.Context(), e.Name(), check)
		if err != nil {
			return err
		}
		bad = bad || rep.Problem != ""
		all = append(all, *rep)
	}
	held, err := r.ask(cmd.Context())
	if r.format == "json" {
		out := map[string]any{"slots": all}
		if err == nil {
			out["release"], out["artifacts"] = held.Release, held.Artifacts
		}
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(out); err != nil {
			return err
		}
	} else {
		printSlots(cmd, all, held, err)
	}
	if bad {
		return answer.With(answer.No, errors.New("an active slot does not hold what was installed"))
	}
	return nil
}

func (r *robot) report(ctx context.Context, name string, check bool) (*slotReport, error) {
	d, err := slots.OpenDir(filepath.Join(r.dir, name))
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // it was read only
	s, err := r.counted(slots.View(name, d))
	if err != nil {
		return nil, err
	}
	rep := &slotReport{}
	if rep.Status, err = s.Status(); err != nil {
		rep.Problem = err.Error()
	}
	if rep.Problem == "" {
		if err := s.Stands(); err != nil {
			rep.Problem = err.Error()
		}
	}
	_, rep.FSVerity = s.Kept(ctx, s.Active())
	if check && rep.Problem == "" {
		if err := s.Check(ctx, s.Active()); err != nil {
			rep.Problem = err.Error()
		}
	}
	return rep, nil
}

// keptIn says for people what keeps a floor.
var keptIn = map[slots.FloorIn]string{
	slots.InCounter:  "kept in the TPM's counter",
	slots.InSoftware: "kept in software: whoever sets the disk back sets it back too",
}

func printSlots(cmd *cobra.Command, all []slotReport, held *agent.Status, asked error) {
	w := cmd.OutOrStdout()
	switch {
	case asked != nil:
		fmt.Fprintf(w, "guard: %v\n", asked)
	case held.Release == nil:
		fmt.Fprintln(w, "release: none in force")
	default:
		fmt.Fprintf(w, "release: %s, svn %d, no way back below svn %d once committed\n", held.Release.Version, held.Release.SVN, held.Release.Floor)
	}
	if asked == nil {
		for _, a := range held.Artifacts {
			fmt.Fprintf(w, "demanded: %s (%s): %s %s\n", a.Name, a.Governs, a.State, a.Cause)
		}
		for _, c := range held.Content {
			if c.SHA256 == "" {
				fmt.Fprintf(w, "running: %s: no digest: %s\n", c.Name, c.Why)
			} else {
				fmt.Fprintf(w, "running: %s: sha256 %s, protected: %s\n", c.Name, c.SHA256, cmp.Or(c.Kept, "by nobody who says so"))
			}
		}
	}
	for _, rep := range all {
		fmt.Fprintf(w, "%s: floor %d (%s)", rep.Artifact, rep.Floor, keptIn[rep.FloorIn])
		if rep.Least > rep.Floor {
			fmt.Fprintf(w, "; nothing below svn %d becomes active, and the floor follows once both slots meet it", rep.Least)
		}
		fmt.Fprintln(w)
		for _, s := range rep.Slots {
			mark, text := " ", "void"
			if s.Active {
				mark = "*"
			}
			if rec := s.Record; rec != nil {
				text = fmt.Sprintf("%s, release %s, svn %d, %d files, %d bytes, sha256 %s", rec.Version, rec.Release, rec.SVN, rec.Files, rec.Size, rec.SHA256)
				if rec.Good {
					text += ", good"
				}
				if s.Active && rep.FSVerity {
					text += ", kept by fs-verity"
				}
			}
			fmt.Fprintf(w, "%s %s  %s\n", mark, s.Name, text)
			printMade(w, s.Record)
		}
		printTrial(w, rep.Trial, rep.Running())
		if rep.Problem != "" {
			fmt.Fprintf(w, "  PROBLEM: %s\n", rep.Problem)
		}
	}
}

// printMade shows who made what is in a slot.
func printMade(w io.Writer, r *slots.Record) {
	if r == nil || r.Made == nil {
		return
	}
	fmt.Fprintf(w, "     made by %s", r.Made.Builder)
	if r.Made.ModelVersion != "" {
		fmt.Fprintf(w, ", model version %s", r.Made.ModelVersion)
	}
	for _, d := range r.Made.Datasets {
		fmt.Fprintf(w, "\n     from sha256 %s", d)
	}
	fmt.Fprintln(w)
}

// printTrial shows how the active content does.
func printTrial(w io.Writer, t *trial.State, r *slots.Record) {
	if r == nil || r.Good && t == nil {
		return
	}
	if t == nil || t.Now.SHA256 != r.SHA256 {
		fmt.Fprintln(w, "  trial: not begun; the steward looks at what is active")
		return
	}
	seconds := func(ns int64) time.Duration { return time.Duration(ns).Round(time.Second) }
	switch {
	case r.Good:
		fmt.Fprintf(w, "  in service: observed for %v, %d trips\n", seconds(t.Now.ObservedNS), t.Now.Trips)
	case t.Condemned != "":
		fmt.Fprintf(w, "  trial: to be TAKEN BACK: %s\n", t.Condemned)
	case t.Held != "":
		fmt.Fprintf(w, "  trial: HELD, unproven until a person commits or rolls back: %s\n", t.Held)
	default:
		terms := r.Terms()
		fmt.Fprintf(w, "  trial: healthy for %v of %v, observed for %v, %d trips, %d boots (%d unclean)", seconds(t.HealthyNS), terms.Settle,
			seconds(t.ElapsedNS), t.Now.Trips, t.Boots, t.Resets)
		if open := t.Open(&terms); len(open) > 0 {
			fmt.Fprintf(w, "; not proven yet: %v", open)
		}
		fmt.Fprintln(w)
	}
	for _, x := range t.Taken {
		fmt.Fprintf(w, "  taken back before: sha256 %s of release %s: %s\n", x.SHA256, x.Release, x.Why)
	}
}
