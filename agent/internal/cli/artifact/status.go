package artifact

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
)

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
