package workbench

import (
	"fmt"
	"io"
	"strings"

	"github.com/robowarden/robowarden/agent/replay"
)

// mostLines is how many lines of one list a terminal gets; the JSON and the report have all.
const mostLines = 40

// writeText tells a person what came of a replay.
func writeText(out io.Writer, r *replay.Report, colour bool) error {
	w := &textWriter{r: r, colour: colour}
	w.head()
	w.timeline()
	w.stops()
	w.gate()
	w.summary()
	if r.Against != nil {
		w.against()
	}
	w.notes()
	_, err := io.WriteString(out, w.String())
	return err
}

type textWriter struct {
	strings.Builder
	r      *replay.Report
	colour bool
}

func (w *textWriter) line(format string, a ...any) { fmt.Fprintf(w, format+"\n", a...) }

func (w *textWriter) title(s string) {
	if w.colour {
		s = "\x1b[1m" + s + "\x1b[0m"
	}
	w.line("\n%s", s)
}

// clock is a moment of the recording.
func clock(s float64) string {
	m := int(s) / 60
	if m >= 60 {
		return fmt.Sprintf("%d:%02d:%06.3f", m/60, m%60, s-float64(60*m))
	}
	return fmt.Sprintf("%02d:%06.3f", m, s-float64(60*m))
}

func (w *textWriter) head() {
	r := w.r
	w.line("robot      %s (%s)", r.Robot, r.Profile)
	w.line("policy     %s revision %d", r.Policy, r.Revision)
	for _, f := range r.Files {
		if f.Bytes > 0 {
			w.line("recording  %s: %d messages, %.1f MB", f.Name, f.Messages, float64(f.Bytes)/1e6)
		} else {
			w.line("journal    %s: %d records", f.Name, f.Messages)
		}
	}
	w.line("time       %s to %s, %s", r.From.Format("2006-01-02 15:04:05"), r.To.Format("15:04:05 MST"), clock(r.DurationS))
	for _, in := range r.Inputs {
		if in.Refused == "" && in.Messages > 0 {
			w.line("input      %-20s %s: %d", in.Role, in.Topic, in.Messages)
		}
	}
	w.checked(r.Checked, "")
}

// checked says whether a journal's decisions came out again; with says what was changed about it.
func (w *textWriter) checked(c *replay.Checked, with string) {
	switch {
	case c == nil:
	case c.AsRecorded:
		w.line("checked    %d decisions came out as recorded%s, digest %s", c.Events, with, c.Digest)
	default:
		w.line("checked    NOT AS RECORDED%s: %d of %d runs differ", with, len(c.Mismatches), c.Runs)
		for _, m := range c.Mismatches {
			w.line("           record %d: %s", m.Seq, m.What)
		}
	}
}

func (w *textWriter) timeline() {
	w.title("timeline")
	t := w.r.Timeline
	n := 0
	for i := range t.Entries {
		e := &t.Entries[i]
		if n++; n > mostLines {
			w.line("  … and %d more: --json or --html has them all", len(t.Entries)-mostLines)
			break
		}
		extra := ""
		if e.Kind == replay.EntryFired {
			if e.Cause != "" {
				extra = " (" + e.Cause + ")"
			}
			for _, z := range e.Inputs.Zones {
				if z.ID == e.Subject {
					extra += fmt.Sprintf(", %.2f m from the edge, at %.2f m/s", z.DistanceM, e.Inputs.SpeedMPS)
				}
			}
		}
		w.line("  %s  %s%s", clock(e.AtS), e.Words, extra)
	}
	if len(t.Entries) == 0 {
		w.line("  nothing happened")
	}
}

func (w *textWriter) stops() {
	if len(w.r.Timeline.Stops) == 0 {
		return
	}
	w.title("time to stop")
	for i, s := range w.r.Timeline.Stops {
		if i >= mostLines {
			w.line("  … and %d more", len(w.r.Timeline.Stops)-i)
			break
		}
		rest := "it did not stand while the demand lasted"
		if s.RestS != nil {
			rest = fmt.Sprintf("the recorded robot stood after %.2f s", *s.RestS)
		}
		w.line("  %s  %s from %.2f m/s: %.2f s and %.2f m by the profile; %s", clock(s.AtS), rule(s.Rule, s.Subject), s.SpeedMPS, s.PredictedS, s.RequiredM, rest)
	}
}

func rule(code, subject string) string {
	if subject != "" {
		return code + " [" + subject + "]"
	}
	return code
}

func (w *textWriter) gate() {
	c := w.r.Timeline.Commands
	if c.Total == 0 {
		return
	}
	w.title("gate")
	w.line("  %d commands: %d passed, %d slowed down, %d not passed", c.Total, c.Passed, c.Clipped, c.Dropped)
	for i, k := range w.r.Timeline.Clips {
		if i >= mostLines/2 {
			w.line("  … and %d more", len(w.r.Timeline.Clips)-i)
			break
		}
		w.line("  %s to %s  %s: %d commands, down to %.0f %% of at most %.2f m/s", clock(k.FromS), clock(k.ToS), rule(k.Reason, k.Rule), k.Commands, 100*k.Ratio, k.AskedMPS)
	}
}

func (w *textWriter) summary() {
	s := &w.r.Summary
	w.title("summary")
	w.line("  held %.1f s, limited %.1f s, free %.1f s; %d stops while moving", s.HeldS, s.LimitedS, s.FreeS, s.Trips)
	if s.MinMarginM != nil {
		w.line("  least distance to a zone that may be closed: %.2f m", *s.MinMarginM)
	}
	for _, x := range s.Rules {
		margin := ""
		if x.MarginM != nil {
			margin = fmt.Sprintf(", least margin %.2f m", *x.MarginM)
		}
		w.line("  %-44s %3d ×  %8.1f s restricted%s", rule(x.Rule, x.Subject), x.Fired, x.RestrictedS, margin)
	}
}

func (w *textWriter) against() {
	a := w.r.Against
	w.title(fmt.Sprintf("against %s revision %d", a.Policy, a.Revision))
	w.line("  held %.1f s → %.1f s; %d trips added, %d removed, %d moved", a.Old.HeldS, w.r.Summary.HeldS, len(a.Added), len(a.Removed), len(a.Moved))
	for i, t := range a.Added {
		if i < mostLines/2 {
			w.line("  + %s  %s for %.1f s", clock(t.FromS), rule(t.Code, t.Subject), t.ToS-t.FromS)
		}
	}
	for i, t := range a.Removed {
		if i < mostLines/2 {
			w.line("  - %s  %s for %.1f s", clock(t.FromS), rule(t.Code, t.Subject), t.ToS-t.FromS)
		}
	}
	for i, t := range a.Moved {
		if i < mostLines/2 {
			w.line("  ~ %s → %s  %s", clock(t.OldS), clock(t.NewS), rule(t.Code, t.Subject))
		}
	}
	for _, c := range a.Rules {
		w.line("  %-44s %8.1f s → %8.1f s restricted, %d → %d ×", rule(c.Rule, c.Subject), c.OldS, c.NewS, c.OldN, c.NewN)
	}
}

func (w *textWriter) notes() {
	if len(w.r.Assumed) > 0 {
		w.title("assumed")
		for _, a := range w.r.Assumed {
			w.line("  %s", a)
		}
	}
	if len(w.r.Warnings) > 0 {
		w.title("warnings")
		for _, a := range w.r.Warnings {
			w.line("  %s", a)
		}
	}
	if w.r.Partial != "" {
		w.title("NOT THE WHOLE RECORDING")
		w.line("  %s", w.r.Partial)
	}
}
