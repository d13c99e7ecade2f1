// Package policylint looks for policies that are well formed and cannot mean what they say, beyond what agent/zones finds in
// the drawing: shifts, rules, channels, resets, the dock. It judges by the same tables as the robot and puts nothing into
// force. What it finds are warnings: somebody has to look, and may say that it is meant.
package policylint

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/zones"
	"github.com/robowarden/robowarden/interlock"
)

// Thresholds.
const (
	// gapMin is the longest time in minutes between two shifts that looks like a slip.
	gapMin = 90
	// farM is how far a robot at its top speed may go in metres before a rule that shall hold it fires.
	farM = 0.5
	// lateHeartbeat and lostHeartbeat are the longest silences that look meant.
	lateHeartbeat = 3 * time.Second
	lostHeartbeat = 15 * time.Second
	// minFlapWindow is the shortest window in which trips that come again and again are noticed.
	minFlapWindow = 10 * time.Second
)

// linter is one look at a policy.
type linter struct {
	cfg  *config.Config
	p    *config.Policy
	file string
	out  *config.Problems
}

// Lint looks at a policy with its profile and topic mapping; the mapping may be nil. file is the policy's name.
func Lint(cfg *config.Config, file string) *config.Problems {
	l := &linter{cfg: cfg, p: cfg.Policy, file: file, out: zones.Lint(cfg.Policy, cfg.Profile, file)}
	l.shifts()
	l.unused()
	l.zones()
	l.rules()
	l.limits()
	l.channels()
	l.rungs()
	l.posture()
	l.dock()
	return l.out
}

func (l *linter) find(path, rule, expected, found, hint string) {
	if len(l.out.List) >= config.MaxProblems {
		l.out.Omitted++
		return
	}
	l.out.List = append(l.out.List, config.Problem{
		File: l.file, Path: path, Rule: rule, Severity: config.SeverityWarning, Expected: expected, Found: found, Hint: hint,
	})
}

const week = 7 * 24 * 60

// minutes are those of the week in which a shift runs, by the civil clock.
func minutes(s *config.Shift) (out [week]bool) {
	start, end := int(s.Start), int(s.End)
	if end <= start {
		end += 24 * 60
	}
	for d := range 7 {
		if s.Days.Has(time.Weekday(d)) {
			for m := start; m < end; m++ {
				out[(d*24*60+m)%week] = true
			}
		}
	}
	return out
}

// shifts looks for shifts that nearly meet: they overlap a little, or leave a little open.
func (l *linter) shifts() {
	sets := make([][week]bool, len(l.p.Shifts))
	for i := range l.p.Shifts {
		sets[i] = minutes(&l.p.Shifts[i])
	}
	for i := range sets {
		for k := i + 1; k < len(sets); k++ {
			a, b := &l.p.Shifts[i], &l.p.Shifts[k]
			both, onlyA, onlyB := 0, 0, 0
			for m := range week {
				switch {
				case sets[i][m] && sets[k][m]:
					both++
				case sets[i][m]:
					onlyA++
				case sets[k][m]:
					onlyB++
				}
			}
			where := fmt.Sprintf("shifts[%d] %s", k, b.ID)
			if both > 0 && onlyA > 0 && onlyB > 0 {
				l.find(where, "shift-overlap", fmt.Sprintf("%s and %s apart, or one within the other", a.ID, b.ID),
					fmt.Sprintf("%d minutes a week in both", both), "where one ends the other should begin; correct start or end")
			}
			if gap := l.gap(a, b); both == 0 && gap > 0 {
				l.find(where, "shift-gap", fmt.Sprintf("%s to begin where %s ends", b.ID, a.ID),
					fmt.Sprintf("%d minutes between them", gap), "in between neither holds; correct start or end")
			}
		}
	}
	l.uncovered(sets)
}

// gap is the minutes between two shifts of which one begins soon after the other ends, 0 if they meet or lie far apart.
func (l *linter) gap(a, b *config.Shift) int {
	const day = 24 * 60
	for _, pair := range [][2]config.TimeOfDay{{a.End, b.Start}, {b.End, a.Start}} {
		if g := (int(pair[1]) - int(pair[0]) + day) % day; g > 0 && g <= gapMin {
			return g
		}
	}
	return 0
}

// uncovered looks for shifts of the whole week that leave a part of it to none.
func (l *linter) uncovered(sets [][week]bool) {
	free := 0
	for m := range week {
		if !slices.ContainsFunc(sets, func(s [week]bool) bool { return s[m] }) {
			free++
		}
	}
	if len(sets) > 1 && free > 0 && free < week/4 {
		l.find("shifts", "shift-gap", "shifts that together cover the week", fmt.Sprintf("%d minutes a week in no shift", free),
			"most of the week is covered; what holds in the rest? correct start, end or days")
	}
}

// unused looks for shifts and roles that nothing names.
func (l *linter) unused() {
	for i := range l.p.Shifts {
		id := l.p.Shifts[i].ID
		if !slices.ContainsFunc(l.p.Zones, func(z config.Zone) bool { return slices.Contains(z.Shifts, id) || slices.Contains(z.OutsideShifts, id) }) {
			l.find(fmt.Sprintf("shifts[%d] %s", i, id), "shift-unused", "a zone with this shift", "none", "delete it, or the zone that should have it has lost it")
		}
	}
	for i, role := range l.p.Roles {
		used := slices.ContainsFunc(l.p.Zones, func(z config.Zone) bool {
			return slices.Contains(z.Roles, role) || slices.Contains(z.ExceptRoles, role)
		})
		had := slices.ContainsFunc(l.p.Robots, func(r config.RobotRoles) bool { return slices.Contains(r.Roles, role) })
		if !used && !had {
			l.find(fmt.Sprintf("roles[%d] %s", i, role), "role-unused", "a zone or a robot with this role", "none", "delete it, or say who has it")
		}
	}
}

// zones looks at what needs the robot.
func (l *linter) zones() {
	for i := range l.p.Zones {
		z := &l.p.Zones[i]
		where := fmt.Sprintf("zones[%d] %s", i, z.ID)
		if z.Type == config.ZoneSpeedLimit && z.MaxSpeedMPS >= l.cfg.Profile.Motion.MaxSpeedMPS {
			l.find(where, "limit-no-effect", fmt.Sprintf("a limit below the robot's top speed, %g m/s", l.cfg.Profile.Motion.MaxSpeedMPS),
				fmt.Sprintf("%g m/s", z.MaxSpeedMPS), "a decimal point out of place?")
		}
	}
}

// rules looks at what the policy changes about triggers.
func (l *linter) rules() {
	rules, built := l.p.Interlock(), interlock.DefaultPolicy()
	for i := range l.p.Triggers {
		code := l.p.Triggers[i].Code
		for t := range interlock.NumTriggers {
			if t.String() == code {
				l.rule(fmt.Sprintf("triggers[%d] %s", i, code), t, &rules.Rules[t], &built.Rules[t])
			}
		}
	}
}

func (l *linter) rule(where string, t interlock.Trigger, r, built *interlock.Rule) {
	if why := l.absent(t); why != "" {
		l.find(where, "rule-unreachable", "a rule about what this robot and policy have", why, "it can never fire; delete it, or add what it is about")
		return
	}
	if !r.Enabled {
		l.find(where, "rule-off", "the trigger on", "enabled: false ("+r.Reason+")", "nothing takes its place; is the reason still true?")
		return
	}
	if sameRule(r, built) {
		l.find(where, "rule-no-change", "a rule that differs from the built-in one", "the built-in values", "delete it")
	}
	if !r.Constraint.TightAs(built.Constraint) {
		l.find(where, "rule-looser", "at least what is built in: "+built.Constraint.String(), r.Constraint.String(), "it demands less than without this entry")
	}
	if r.Clear < built.Clear {
		l.find(where, "rule-looser", "clear: "+built.Clear.String()+", as built in, or more", r.Clear.String(), "it ends without the person that is built in")
	}
	top := l.cfg.Profile.Motion.MaxSpeedMPS
	if way := top * (r.StartDelay - built.StartDelay).Seconds(); r.Constraint.Motion <= interlock.MotionHold && way > farM {
		l.find(where, "rule-late", fmt.Sprintf("a start delay near the built-in %v", built.StartDelay), r.StartDelay.String(),
			fmt.Sprintf("at its top speed the robot goes %.1f m further before it is held", way))
	} else if r.StartDelay > 4*built.StartDelay+500*time.Millisecond {
		l.find(where, "rule-late", fmt.Sprintf("a start delay near the built-in %v", built.StartDelay), r.StartDelay.String(), "the cause lasts this long before anything happens")
	}
	l.reset(where, r)
}

func sameRule(a, b *interlock.Rule) bool { return *a == *b }

// reset looks for what nobody on site can end.
func (l *linter) reset(where string, r *interlock.Rule) {
	onSite := interlock.Roles(interlock.RoleOperator, interlock.RoleSupervisor, interlock.RoleSafetyEngineer, interlock.RoleSecurity)
	switch {
	case r.Clear == interlock.ClearNever:
		l.find(where, "nobody-resets", "a trigger that somebody may end", "clear: never", "only service work ends it; the robot stands until then")
	case r.Clear.Latches() && r.Roles&onSite == 0:
		l.find(where, "nobody-resets", "a role on site among reset_by", r.Roles.String(), "nobody on site may reset it")
	}
}

// absent says why a trigger cannot fire on this robot under this policy, empty if it can.
func (l *linter) absent(t interlock.Trigger) string {
	top := l.cfg.Topics
	has := func(kinds ...string) bool {
		return slices.ContainsFunc(l.p.Zones, func(z config.Zone) bool { return slices.Contains(kinds, z.Type) })
	}
	switch t {
	case interlock.JointsMissing, interlock.JointsInvalid, interlock.ManipulatorsUntold:
		if l.cfg.Profile.Joints == nil {
			return "a robot without joints"
		}
	case interlock.BatteryLow:
		if top != nil && top.Battery == nil {
			return "a mapping without battery"
		}
	case interlock.RobotFallen, interlock.IMUMissing:
		if l.cfg.Profile.Fall == nil {
			return "a profile without fall"
		}
	case interlock.PostureDue, interlock.PostureFailed:
		if l.cfg.Profile.Posture == nil {
			return "a profile without posture"
		}
	case interlock.PoseDisagreement, interlock.PoseSecondMissing:
		if top != nil && top.SecondPose == nil {
			return "a mapping without second_pose"
		}
	case interlock.LockContested, interlock.LockLost:
		if top != nil && top.Lock == nil {
			return "a mapping without lock"
		}
	case interlock.BusFlooded:
		if l.cfg.Profile.Bus == config.BusROS1 {
			return "a robot on ROS 1"
		}
	case interlock.PublisherProcess, interlock.PublisherUnproven:
		if top != nil && len(top.Processes) == 0 {
			return "a mapping without processes"
		}
	case interlock.HeartbeatLate, interlock.HeartbeatLost, interlock.HeartbeatHostile, interlock.StopRequested:
		if len(l.p.Channels) == 0 {
			return "a policy without channels"
		}
	case interlock.ZoneDwell:
		if !has(config.ZoneDwellLimit) {
			return "a policy without DWELL_LIMIT zones"
		}
	case interlock.ZoneDoorHeld:
		if !has(config.ZoneDoor) {
			return "a policy without DOOR zones"
		}
	case interlock.ZoneLeaseLost:
		if !has(config.ZoneRelease, config.ZoneDoor) {
			return "a policy without RELEASE and DOOR zones"
		}
	case interlock.ZonePrivacy:
		if !has(config.ZonePrivacy) {
			return "a policy without PRIVACY zones"
		}
	case interlock.ZoneNoManipulation:
		if !has(config.ZoneNoManipulation) && !slices.ContainsFunc(l.p.Zones, func(z config.Zone) bool { return len(z.Parts) > 0 }) {
			return "a policy without NO_MANIPULATION zones"
		}
	default:
	}
	return ""
}

// limits looks for speeds that the robot cannot hold, and for caps that are looser than built in.
func (l *linter) limits() {
	creep := l.cfg.Profile.Motion.CreepMPS
	for i := range l.p.Triggers {
		if c := l.p.Triggers[i].Constraint; c != nil && c.Motion == "limited" && c.MaxSpeedMPS < creep {
			l.find(fmt.Sprintf("triggers[%d] %s", i, l.p.Triggers[i].Code), "below-creep", fmt.Sprintf("at least the robot's creep speed, %g m/s", creep),
				fmt.Sprintf("%g m/s", c.MaxSpeedMPS), "the robot may not be able to go so slowly; hold it instead")
		}
	}
	rules, built := l.p.Interlock(), interlock.DefaultPolicy()
	if !rules.Cap.TightAs(built.Cap) {
		l.find("unauthenticated", "cap-looser", "at least what is built in: "+built.Cap.String(), rules.Cap.String(),
			"a joint state that is silent or impossible then holds the robot less than without this entry")
	}
	if f := l.p.Flap; f != nil && (f.Window < minFlapWindow || float64(f.Trips) > float64(f.Window)/float64(f.Merge)) {
		l.find("flap", "flap-never", "trips that can come within the window", fmt.Sprintf("%d trips in %v, merged within %v", f.Trips, f.Window, f.Merge),
			"triggers that come and go would never latch")
	}
}

// channels looks for ways to command without a heartbeat, and for heartbeats that are missed late.
func (l *linter) channels() {
	for i := range l.p.Channels {
		c := &l.p.Channels[i]
		where := fmt.Sprintf("channels[%d] %s", i, c.Endpoint)
		if c.HoldAfter > lateHeartbeat || c.StopAfter > lostHeartbeat {
			l.find(where, "heartbeat-late", fmt.Sprintf("hold_after of at most %v, stop_after of at most %v", lateHeartbeat, lostHeartbeat),
				fmt.Sprintf("%v and %v", c.HoldAfter, c.StopAfter), fmt.Sprintf("at its top speed the robot goes %.1f m without anybody", l.cfg.Profile.Motion.MaxSpeedMPS*c.HoldAfter.Seconds()))
		}
		if c.HoldAfter < 2*c.Period {
			l.find(where, "heartbeat-tight", fmt.Sprintf("hold_after of at least two periods, %v", 2*c.Period), c.HoldAfter.String(), "one lost answer holds the robot")
		}
	}
	if l.cfg.Topics == nil {
		return
	}
	for _, c := range l.cfg.Topics.Commands {
		if l.p.Commander(c.Channel) == nil {
			l.find("commanders", "unauthenticated", "what whoever commands over channel "+c.Channel+" has to prove", "nothing: "+config.NoAuthenticity,
				"demand the proof, or say why not with authenticity: none and a reason")
		}
	}
	for _, h := range l.cfg.Topics.Heartbeats {
		if !slices.ContainsFunc(l.p.Channels, func(c config.Channel) bool { return c.Endpoint == h.Endpoint }) {
			l.find("channels", "channel-without-heartbeat", "a channel for the mapping's heartbeat "+h.Endpoint, "none", "the robot does not notice when this endpoint is gone")
		}
	}
}

// rungs looks for stops that the profile's ladder does not have.
func (l *linter) rungs() {
	var have []string
	match := false
	for _, r := range l.cfg.Profile.Ladder {
		have = append(have, fmt.Sprintf("%s (category %d)", r.Name, r.StopCategory))
		match = match || r.StopCategory == l.p.StopCategory
	}
	if !match {
		l.find("stop_category", "no-such-rung", fmt.Sprintf("a rung of the profile's ladder of category %d", l.p.StopCategory), strings.Join(have, ", "),
			"no rung ends in that category")
	}
}

// docks says whether a rule sends the robot to its dock.
func (l *linter) docks() bool {
	rules := l.p.Interlock()
	return slices.ContainsFunc(l.p.Triggers, func(t config.Trigger) bool { return t.Constraint != nil && t.Constraint.Motion == "dock-only" }) ||
		rules.Rules[interlock.BatteryLow].Enabled && rules.Rules[interlock.BatteryLow].Constraint.Motion == interlock.MotionDockOnly
}

func clampIndex(v float64, n int) int { return int(math.Max(0, math.Min(float64(n-1), v))) }
