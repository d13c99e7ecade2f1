package replay

import (
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// Bounds on a timeline: a recording of any length costs no more memory than this.
const (
	maxEntries = 20_000
	maxSpans   = 20_000
	maxSamples = 8_192
	// clipGap is how long commands may pass unchanged until the next cut is another one.
	clipGap = time.Second
)

// Kinds of entries.
const (
	EntryFired = "fired"
	EntryEnded = "ended"
	EntryMode  = "mode"
	EntryZone  = "zone"
	EntryClip  = "clip"
	EntryReset = "reset"
)

// NoMargin is a sample's margin where no zone matters.
const NoMargin = -1e9

// cutRatio is the share of a command from which on it counts as passed: rounding is no cut.
const cutRatio = 0.999

// timeline watches a core and writes down what happens.
type timeline struct {
	Timeline
	start  time.Duration
	motion Profile

	mode     interlock.Mode
	begun    bool
	active   map[interlock.Trigger]int // open spans
	zones    map[int]int
	clip     int // open clip, -1
	clipAt   time.Duration
	stop     int // open stop, -1
	stopping bool
	last     CommandSeen
	path     path
	end      time.Duration
}

// Profile is what a timeline has to know of the robot.
type Profile struct {
	Reaction  time.Duration
	DecelMPS2 float64
}

func newTimeline(start time.Duration, p Profile) *timeline {
	return &timeline{start: start, motion: p, active: map[interlock.Trigger]int{}, zones: map[int]int{}, clip: -1, stop: -1, path: newPath()}
}

// See implements Watcher.
func (t *timeline) See(ev *guard.Event, core *guard.Core, fx *guard.Effects) {
	t.end = max(t.end, ev.Boot)
	if ev.Boot < t.start {
		return
	}
	at := t.s(ev.Boot)
	d := core.Decision()
	if ev.Kind == guard.EventCommand {
		t.command(at, ev, core)
	}
	if fx.Decided || !t.begun {
		t.decided(at, core)
		t.modes(at, core)
	}
	t.stops(at, core)
	switch ev.Kind {
	case guard.EventTick, guard.EventPose, guard.EventOdometry, guard.EventTransform:
		t.near(at, core)
		t.path.add(sample(at, core), d.Mode)
	case guard.EventOrder:
		if done := core.OrderResult().Reset.Done; ev.Order.Kind == guard.OrderReset && !done.Empty() {
			t.reset(at, done, core)
		}
	default:
	}
	t.begun = true
}

func (t *timeline) s(boot time.Duration) float64 { return (boot - t.start).Seconds() }

func (t *timeline) entry(e Entry) {
	if len(t.Entries) >= maxEntries {
		t.Omitted++
		return
	}
	t.Entries = append(t.Entries, e)
}

// room says whether another span may be kept.
func (t *timeline) room(n int) bool {
	if n >= maxSpans {
		t.Omitted++
	}
	return n < maxSpans
}

func (t *timeline) modes(at float64, core *guard.Core) {
	d := core.Decision()
	if t.begun && d.Mode == t.mode {
		return
	}
	if n := len(t.Modes); n > 0 {
		t.Modes[n-1].ToS = at
	}
	was := t.mode
	t.mode = d.Mode
	if !t.room(len(t.Modes)) {
		return
	}
	t.Modes = append(t.Modes, ModeSpan{Span{at, at}, d.Mode.String()})
	if t.begun {
		t.entry(Entry{
			AtS: at, Kind: EntryMode, Rule: d.Mode.String(), Words: "mode " + was.String() + " → " + d.Mode.String(),
			Inputs: inputs(core, nil),
		})
	}
}

// decided follows the triggers.
func (t *timeline) decided(at float64, core *guard.Core) {
	d := core.Decision()
	for tr := range interlock.NumTriggers {
		i, open := t.active[tr]
		switch on := d.ActiveSet.Has(tr); {
		case on && !open:
			t.fired(at, tr, core)
		case !on && open:
			delete(t.active, tr)
			if i < 0 {
				continue
			}
			s := &t.Triggers[i]
			s.ToS = at
			t.entry(Entry{AtS: at, Kind: EntryEnded, Rule: s.Code, Subject: s.Subject, Words: s.Code + of(s.Subject) + " ended", Inputs: inputs(core, nil)})
		}
	}
}

func (t *timeline) fired(at float64, tr interlock.Trigger, core *guard.Core) {
	d, info := core.Decision(), tr.Info()
	t.active[tr] = -1
	if !t.room(len(t.Triggers)) {
		return
	}
	s := TriggerSpan{Span: Span{at, at}, Code: info.Code, Constraint: "not listed", Restricts: true, Latched: d.LatchedSet.Has(tr)}
	e := Entry{AtS: at, Kind: EntryFired, Rule: info.Code, Text: info.Text, Playbook: info.Playbook, Inputs: inputs(core, &t.last)}
	for i := range d.N {
		if a := &d.Active[i]; a.Trigger == tr {
			s.Subject, s.Cause, s.Constraint = core.Subject(a), a.Cause.Text(), a.Constraint.String()
			s.Restricts = a.Constraint.Normal() != interlock.Unrestricted()
		}
	}
	e.Subject, e.Cause, e.Words = s.Subject, s.Cause, info.Code+of(s.Subject)+": "+info.Title
	t.active[tr] = len(t.Triggers)
	t.Triggers = append(t.Triggers, s)
	t.entry(e)
}

func of(subject string) string {
	if subject == "" {
		return ""
	}
	return " [" + subject + "]"
}

func (t *timeline) reset(at float64, done interlock.TriggerSet, core *guard.Core) {
	for tr, ok := done.Next(0); ok; tr, ok = done.Next(tr + 1) {
		t.entry(Entry{AtS: at, Kind: EntryReset, Rule: tr.String(), Words: tr.String() + " reset", Inputs: inputs(core, nil)})
	}
}

// near follows the zones in which the robot is, and the margins of triggers that are about zones.
func (t *timeline) near(at float64, core *guard.Core) {
	v, set := core.Verdict(), core.Set()
	for i := range v.N {
		z := &v.Near[i]
		t.marginOf(set.Zone(z.Zone).ID, z.MarginM)
		k, open := t.zones[z.Zone]
		if open && k >= 0 {
			s := &t.Zones[k]
			s.Least, s.ToS = min(s.Least, z.MarginM), at
			if s.Place == placeWord(z.Place) {
				continue
			}
		} else if z.Place < geofence.Margin || open {
			continue
		}
		t.moved(at, z, core)
	}
	if len(t.zones) > 0 {
		t.left(at, v, core)
	}
}

// moved begins a span, or ends one for another place.
func (t *timeline) moved(at float64, z *geofence.ZoneVerdict, core *guard.Core) {
	id := core.Set().Zone(z.Zone).ID
	if z.Place < geofence.Margin {
		delete(t.zones, z.Zone)
		t.entry(Entry{AtS: at, Kind: EntryZone, Rule: id, Words: "left zone " + id, Inputs: inputs(core, nil)})
		return
	}
	t.zones[z.Zone] = -1
	if !t.room(len(t.Zones)) {
		return
	}
	t.zones[z.Zone] = len(t.Zones)
	t.Zones = append(t.Zones, ZoneSpan{Span{at, at}, id, placeWord(z.Place), z.MarginM})
	words := "in the margin of zone " + id
	if z.Place == geofence.Inside {
		words = "in zone " + id
	}
	t.entry(Entry{AtS: at, Kind: EntryZone, Rule: id, Words: words, Inputs: inputs(core, nil)})
}

// left ends the spans of zones that a verdict does not name any more. While the place is unknown, nothing is known to end.
func (t *timeline) left(at float64, v *geofence.Verdict, core *guard.Core) {
	if v.Place == geofence.PlaceUnknown {
		return
	}
	for zone := range t.zones {
		if !slices.ContainsFunc(v.Near[:v.N], func(z geofence.ZoneVerdict) bool { return z.Zone == zone }) && v.N < geofence.MaxNear {
			delete(t.zones, zone)
			id := core.Set().Zone(zone).ID
			t.entry(Entry{AtS: at, Kind: EntryZone, Rule: id, Words: "left zone " + id, Inputs: inputs(core, nil)})
		}
	}
}

// marginOf keeps the least distance of triggers that are about a zone.
func (t *timeline) marginOf(zone string, m float64) {
	for _, i := range t.active {
		if i >= 0 && t.Triggers[i].Subject == zone {
			if s := &t.Triggers[i]; s.MarginM == nil || m < *s.MarginM {
				s.MarginM = &m
			}
		}
	}
}

// command follows what the gate does.
func (t *timeline) command(at float64, ev *guard.Event, core *guard.Core) {
	g, l := core.Gated(), &ev.Command.Linear
	c := CommandSeen{AskedMPS: finite(math.Hypot(l.X, l.Y)), AskedRadS: finite(ev.Command.Angular.Z), Ratio: g.Ratio, Gate: g.Reason.String()}
	t.last = c
	t.Commands.Total++
	zero := l.X == 0 && l.Y == 0 && ev.Command.Angular.Z == 0
	switch {
	case g.Dropped && !zero:
		t.Commands.Dropped++
	case g.Ratio < cutRatio && !zero:
		t.Commands.Clipped++
	default:
		t.Commands.Passed++
		return
	}
	rule := ""
	if g.Because < interlock.NumTriggers {
		rule = g.Because.String()
	}
	if z := core.Limit().Zone; g.Reason == interlock.GateScaledByRatio && z >= 0 {
		rule = core.Set().Zone(z).ID
	} else if z := core.Verdict().Zone; g.Reason == interlock.GateScaledBySpeed && z >= 0 {
		rule = core.Set().Zone(z).ID
	}
	if t.clip >= 0 {
		if k := &t.Clips[t.clip]; k.Reason == c.Gate && k.Rule == rule && ev.Boot-t.clipAt < clipGap {
			k.ToS, k.Ratio, k.AskedMPS = at, min(k.Ratio, g.Ratio), max(k.AskedMPS, c.AskedMPS)
			k.Commands++
			t.clipAt = ev.Boot
			return
		}
	}
	t.clipAt, t.clip = ev.Boot, -1
	if t.room(len(t.Clips)) {
		t.clip = len(t.Clips)
		t.Clips = append(t.Clips, Clip{Span{at, at}, c.Gate, rule, 1, g.Ratio, c.AskedMPS})
		t.entry(Entry{AtS: at, Kind: EntryClip, Rule: rule, Words: "command cut: " + c.Gate + of(rule), Inputs: inputs(core, &c)})
	}
}

// stops follows demands for a standstill.
func (t *timeline) stops(at float64, core *guard.Core) {
	d, m := core.Decision(), core.Motion()
	hold := d.Axes.Motion <= interlock.MotionHold
	switch {
	case hold && !t.stopping && t.begun && m.State != interlock.Standing && m.SpeedKnown:
		s := Stop{
			AtS: at, SpeedMPS: m.SpeedMPS, RequiredM: finite(core.Verdict().RequiredM),
			PredictedS: t.motion.Reaction.Seconds() + m.SpeedMPS/t.motion.DecelMPS2,
		}
		if d.N > 0 {
			s.Rule, s.Subject = d.Active[0].Trigger.String(), core.Subject(&d.Active[0])
		}
		if t.room(len(t.Stops)) {
			t.stop = len(t.Stops)
			t.Stops = append(t.Stops, s)
		}
	case t.stop >= 0 && m.State == interlock.Standing:
		rest := at - t.Stops[t.stop].AtS
		t.Stops[t.stop].RestS, t.stop = &rest, -1
	case !hold:
		t.stop = -1
	}
	t.stopping = hold
}

// finish closes what is open.
func (t *timeline) finish() *Timeline {
	at := max(0, t.s(t.end))
	t.EndS = at
	if n := len(t.Modes); n > 0 {
		t.Modes[n-1].ToS = at
	}
	for _, i := range t.active {
		if i >= 0 {
			t.Triggers[i].ToS = at
		}
	}
	t.Path = t.path.all()
	return &t.Timeline
}
