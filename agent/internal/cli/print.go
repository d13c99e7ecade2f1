package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// printStatus tells a person what holds the robot, why, and what to do about it.
func printStatus(w io.Writer, s *agent.Status) {
	line := func(name, format string, a ...any) { fmt.Fprintf(w, "%-13s %s\n", name, fmt.Sprintf(format, a...)) }
	line("robot", "%s", s.Robot)
	line("mode", "%s", s.Mode)
	motion := s.Axes.Motion
	if s.Axes.MaxSpeedMPS > 0 {
		motion += fmt.Sprintf(" (at most %.2f m/s)", s.Axes.MaxSpeedMPS)
	}
	line("axes", "motion %s, manipulators %s, perception %s, remote %s", motion, s.Axes.Manipulators, s.Axes.Perception, s.Axes.Remote)
	line("stop", "%s, ladder %s, %s", s.StopCategory, s.Ladder, map[bool]string{true: "standing", false: "not standing"}[s.AtRest])
	printPosture(line, s.Posture)
	switch unproven := s.Commissioning.State; {
	case !s.Advisory:
		line("enforcement", "enforcing")
	case unproven == "valid" || unproven == "overdue" || unproven == "not-demanded" || unproven == "":
		line("enforcement", "ADVISORY: no actuator works when the bus is hostile")
	default:
		line("enforcement", "ADVISORY: nobody has proven that this robot stops as its profile claims")
	}
	if c := &s.Commissioning; c.Due != "" {
		line("proof test", "%s until %s: %s, signed by %s", c.State, c.Due, c.Text, c.By)
	} else if c.State != "" {
		line("proof test", "%s: %s", c.State, c.Text)
	}
	if s.Age.State != "" {
		line("state on disk", "%s: %s", s.Age.State, s.Age.Text)
		if s.Age.State != "proven" {
			line("", "  → what loosens counts only if it is signed with --nonce %s", s.Nonce)
		}
	}
	for _, o := range s.Waiting {
		line("WAITS", "%s by %s, until %s at the latest, order %.16s", o.Kind, strings.Join(o.Signers, ", "), o.Until, o.Digest)
	}
	line("bus", "%s", s.Bus)
	for _, n := range s.Bus.NotSeen {
		line("  not seen", "%s", n)
	}
	line("place", "%s on floor %q at (%.2f, %.2f), pose %.0f ms old, speed %.2f m/s", s.Place, s.Floor, s.X, s.Y, 1000*s.PoseAge, s.SpeedMPS)
	for _, z := range s.Zones {
		line("  zone", "%s: %s, %.2f m away, at most %.2f m/s towards it", z.ID, z.Place, z.MarginM, z.AllowedMPS)
	}
	line("policy", "%s revision %d (%s)", s.Policy.ID, s.Policy.Revision, s.Policy.Digest)
	if s.PolicyWaits {
		line("", "looser parts of a new policy wait for standstill")
	}
	line("journal", "%s", s.Journal)
	line("scheduling", "%s", s.Scheduling)
	line("boot", "%s, nonce %s", s.BootID, s.Nonce)
	if len(s.Missing) > 0 {
		line("missing", "%s", strings.Join(s.Missing, ", "))
	}
	if c := s.Roles.Session; c != nil && c.Detail != "" {
		line("attestation", "%s: %s", c.State, c.Detail)
	}
	for _, c := range s.Channels {
		line("channel", "%s: %s", c.Name, c.Phase)
	}
	printAuthority(line, s)
	for i := range s.Commands {
		line("commands", "%s", commandLine(&s.Commands[i]))
	}
	for _, t := range s.Triggers {
		state := "cause gone"
		if t.Present {
			state = "present"
		}
		subject := ""
		if t.Subject != "" {
			subject = " [" + t.Subject + "]"
		}
		line("trigger", "%s%s: %s (%s; %s, clears %s, since %.1f s)", t.Code, subject, t.Text, t.Cause, state, t.Clear, t.SinceS)
		line("", "  → %s", t.Playbook)
	}
}

// printPosture tells how long the robot may stand by balance, and how far it is on its way down.
func printPosture(line func(name, format string, a ...any), p *guard.PostureStatus) {
	if p == nil {
		return
	}
	text := p.At + ", " + p.Phase
	if p.Step != "" {
		text += " (" + p.Step + ")"
	}
	if p.DeadlineS >= 0 {
		text += fmt.Sprintf(", begins to go down in %.0f s, down in %.0f s", p.BeginS, p.DeadlineS)
	}
	line("posture", "%s", text)
	for _, s := range p.Steps {
		switch {
		case s.Failed != "":
			line("  step", "%s failed: %s", s.Posture, s.Failed)
		case s.TookS > 0:
			line("  step", "%s took %.1f s", s.Posture, s.TookS)
		default:
			line("  step", "%s: %s", s.Posture, s.Now)
		}
	}
}

// printAuthority tells who may command the robot, and what signed orders allow for a while.
func printAuthority(line func(name, format string, a ...any), s *agent.Status) {
	for _, c := range s.Commanders {
		text := "commands prove their sender"
		if c.Authenticity == "none" {
			text = fmt.Sprintf("commands PROVE NOTHING (%s); senders at least %s", c.Reason, c.Strength)
		}
		if c.Session != "" {
			text += ", and need a session of control"
		}
		if c.LastRefusal != "" {
			text += ", last refused: " + c.LastRefusal
		}
		line("commander", "%s: %s", c.Channel, text)
	}
	for _, o := range s.Overrides {
		line("OVERRIDDEN", "%s: at most %.2f m/s for another %.0f s, signed by %d, order %s", strings.Join(o.Triggers, ", "), o.MaxSpeedMPS, o.LeftS, o.Persons, o.Order)
	}
	for _, r := range s.Sessions {
		line("session", "%s on %s: %s (%s) from %s, for %.0f s and another %.0f s, order %s", r.Level, r.Channel, r.Who, r.Role, r.From, r.SinceS, r.LeftS, r.Order)
	}
}

// printReceipt tells what became of an order.
func printReceipt(w io.Writer, r *agent.Receipt, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	verdict := "refused"
	switch {
	case r.Reason == agent.ReasonWaits:
		verdict = "waits"
	case r.Accepted && r.Applied:
		verdict = "applied"
	case r.Accepted:
		verdict = "accepted, but nothing changed"
	}
	fmt.Fprintf(w, "%s: %s\n", verdict, r.Text)
	if len(r.Signers) > 0 {
		fmt.Fprintf(w, "  signed by %s\n", strings.Join(r.Signers, ", "))
	}
	codes := make([]string, 0, len(r.Triggers))
	for code := range r.Triggers {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		fmt.Fprintf(w, "  %s: %s\n", code, r.Triggers[code])
	}
	return nil
}

// printReport tells whether a journal is whole.
func printReport(w io.Writer, r *journal.Report) {
	verdict := "intact: every record follows from the one before"
	if !r.OK() {
		verdict = "NOT INTACT"
	}
	fmt.Fprintf(w, "%s\n  %d records (%d to %d) in %d segments, %d boots\n", verdict, r.Records, r.FirstSeq, r.LastSeq, r.Segments, r.Boots)
	fmt.Fprintf(w, "  head %x\n", r.Head)
	if r.TrimmedTo > 0 {
		fmt.Fprintf(w, "  the quota removed records up to %d\n", r.TrimmedTo)
	}
	if r.Gaps > 0 {
		fmt.Fprintf(w, "  %d gaps stand for %d records that could not be written\n", r.Gaps, r.Lost)
	}
	if r.Recoveries > 0 {
		fmt.Fprintf(w, "  %d repairs after an end without order; `journal cat` shows what they cut off\n", r.Recoveries)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "  %v\n", p)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "  and %d more\n", r.More)
	}
}

// commandLine is one command channel and how well it works.
func commandLine(c *guard.CommandStatus) string {
	out := c.Name + ": " + c.Health
	if c.Cause != "" {
		out += " (" + c.Cause + ")"
	}
	if c.SilentS >= 0 {
		out += fmt.Sprintf(", silent for %.1f s", c.SilentS)
	}
	if c.RateHz > 0 {
		out += fmt.Sprintf(", %.0f Hz, jitter %.0f ms", c.RateHz, c.JitterMS)
	}
	if c.LatencyMS != nil && c.SkewMS != nil {
		out += fmt.Sprintf(", latency %.0f ms, clock %.0f ms behind", *c.LatencyMS, *c.SkewMS)
	}
	if c.LossRatio > 0 {
		out += fmt.Sprintf(", %.0f %% lost", 100*c.LossRatio)
	}
	return out
}
