// Package policydiff says in words what changes from one policy to another, and of each change whether it is tighter or
// looser. It compares what the documents mean, not their text, and decides nothing: where it cannot tell, it says so.
package policydiff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// Way is how a change restricts.
type Way string

// Ways.
const (
	Tighter Way = "tighter"
	Looser  Way = "looser"
	// Other is neither, or both in turn: a person has to look.
	Other Way = "changed"
)

// Change is one difference.
type Change struct {
	Way Way `json:"way"`
	// Where is the part of the policy, Words what changes.
	Where string `json:"where"`
	Words string `json:"words"`
}

// Diff lists what changes from old to now, tighter first, in the order of the policy.
func Diff(old, now *config.Policy) []Change {
	d := &differ{old: old, now: now}
	d.zones()
	d.rules()
	d.channels()
	d.shifts()
	d.calendar()
	d.robots()
	d.rest()
	rank := map[Way]int{Looser: 0, Tighter: 1, Other: 2}
	slices.SortStableFunc(d.list, func(a, b Change) int { return rank[a.Way] - rank[b.Way] })
	return d.list
}

type differ struct {
	old, now *config.Policy
	list     []Change
}

func (d *differ) add(way Way, where, format string, a ...any) {
	d.list = append(d.list, Change{way, where, fmt.Sprintf(format, a...)})
}

// less says the way of a number that restricts the more the smaller it is.
func less[T int | int64 | float64 | time.Duration](old, now T) Way {
	if now < old {
		return Tighter
	}
	return Looser
}

func find[T any](list []T, same func(*T) bool) *T {
	for i := range list {
		if same(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

// rules compares what triggers do in effect, whether a policy names them or not.
func (d *differ) rules() {
	o, n := d.old.Interlock(), d.now.Interlock()
	for t := range interlock.NumTriggers {
		if t == interlock.Startup {
			continue // startup.release says the same
		}
		d.rule("trigger "+t.String(), &o.Rules[t], &n.Rules[t])
	}
	if o.Cap != n.Cap {
		d.add(tightness(o.Cap, n.Cap), "unauthenticated", "at most %s → %s", o.Cap, n.Cap)
	}
	if o.CapLatches != n.CapLatches {
		d.add(map[bool]Way{true: Tighter, false: Looser}[n.CapLatches], "unauthenticated", "latch %t → %t", o.CapLatches, n.CapLatches)
	}
	if o.FlapTrips != n.FlapTrips {
		d.add(less(o.FlapTrips, n.FlapTrips), "flap", "trips %d → %d", o.FlapTrips, n.FlapTrips)
	}
	if o.FlapWindow != n.FlapWindow {
		d.add(less(n.FlapWindow, o.FlapWindow), "flap", "window %v → %v", o.FlapWindow, n.FlapWindow)
	}
	if o.FlapMerge != n.FlapMerge {
		d.add(less(o.FlapMerge, n.FlapMerge), "flap", "merge %v → %v", o.FlapMerge, n.FlapMerge)
	}
	if o.StopCategory != n.StopCategory {
		d.add(Other, "stop_category", "%s → %s", o.StopCategory, n.StopCategory)
	}
}

func tightness(o, n interlock.Axes) Way {
	switch tighter, looser := n.TightAs(o), o.TightAs(n); {
	case tighter && !looser:
		return Tighter
	case looser && !tighter:
		return Looser
	}
	return Other
}

func (d *differ) rule(where string, o, n *interlock.Rule) {
	if o.Enabled != n.Enabled {
		if n.Enabled {
			d.add(Tighter, where, "is on again")
		} else {
			d.add(Looser, where, "is off: %s", n.Reason)
		}
		return
	}
	if !n.Enabled {
		return
	}
	if o.Constraint != n.Constraint {
		d.add(tightness(o.Constraint, n.Constraint), where, "demands %s → %s", o.Constraint, n.Constraint)
	}
	if o.StartDelay != n.StartDelay {
		d.add(less(o.StartDelay, n.StartDelay), where, "fires after %v → %v", o.StartDelay, n.StartDelay)
	}
	if o.Dwell != n.Dwell {
		d.add(less(n.Dwell, o.Dwell), where, "ends %v → %v after its cause", o.Dwell, n.Dwell)
	}
	if o.Clear != n.Clear {
		d.add(less(int(n.Clear), int(o.Clear)), where, "clears %s → %s", o.Clear, n.Clear)
	}
	if o.Roles != n.Roles && (o.Clear.Latches() || n.Clear.Latches()) {
		way := Other
		switch {
		case n.Roles&^o.Roles == 0:
			way = Tighter
		case o.Roles&^n.Roles == 0:
			way = Looser
		}
		d.add(way, where, "may be reset by %s → %s", o.Roles, n.Roles)
	}
}

func (d *differ) channels() {
	for i := range d.now.Channels {
		c := &d.now.Channels[i]
		where := "channel " + c.Endpoint
		o := find(d.old.Channels, func(o *config.Channel) bool { return o.Endpoint == c.Endpoint })
		if o == nil {
			d.add(Tighter, where, "new: held after %v of silence, stopped after %v", c.HoldAfter, c.StopAfter)
			continue
		}
		for _, x := range []struct {
			name   string
			of, by time.Duration
		}{{"period", o.Period, c.Period}, {"hold_after", o.HoldAfter, c.HoldAfter}, {"stop_after", o.StopAfter, c.StopAfter}} {
			if x.of != x.by {
				d.add(less(x.of, x.by), where, "%s %v → %v", x.name, x.of, x.by)
			}
		}
	}
	for i := range d.old.Channels {
		c := &d.old.Channels[i]
		if find(d.now.Channels, func(o *config.Channel) bool { return o.Endpoint == c.Endpoint }) == nil {
			d.add(Looser, "channel "+c.Endpoint, "gone: nobody notices when it is silent")
		}
	}
}

func (d *differ) shifts() {
	for i := range d.now.Shifts {
		s := &d.now.Shifts[i]
		o := find(d.old.Shifts, func(o *config.Shift) bool { return o.ID == s.ID })
		switch {
		case o == nil:
			d.add(Other, "shift "+s.ID, "new: %s", hours(s))
		case *o != *s:
			d.add(Other, "shift "+s.ID, "%s → %s%s", hours(o), hours(s), users(d.now, s.ID))
		}
	}
	for i := range d.old.Shifts {
		if s := &d.old.Shifts[i]; find(d.now.Shifts, func(o *config.Shift) bool { return o.ID == s.ID }) == nil {
			d.add(Other, "shift "+s.ID, "gone: %s", hours(s))
		}
	}
}

// calendar tells the dates that count as another day than before.
func (d *differ) calendar() {
	for i := range d.now.SpecialDays {
		s := &d.now.SpecialDays[i]
		o := find(d.old.SpecialDays, func(o *config.SpecialDay) bool { return o.Date == s.Date })
		switch {
		case o == nil:
			d.add(Other, "special day "+s.Date, "new: %s counts as %s", s.Name, s.CountsAs)
		case *o != *s:
			d.add(Other, "special day "+s.Date, "%s as %s → %s as %s", o.Name, o.CountsAs, s.Name, s.CountsAs)
		}
	}
	for i := range d.old.SpecialDays {
		s := &d.old.SpecialDays[i]
		if find(d.now.SpecialDays, func(o *config.SpecialDay) bool { return o.Date == s.Date }) == nil {
			d.add(Other, "special day "+s.Date, "gone: %s counts as its own weekday", s.Name)
		}
	}
}

func hours(s *config.Shift) string {
	var days []string
	for k := range 7 {
		if day := time.Weekday((k + 1) % 7); s.Days.Has(day) {
			days = append(days, strings.ToLower(day.String()[:3]))
		}
	}
	if s.Days.Has(geofence.Holiday) {
		days = append(days, "holiday")
	}
	clock := func(t config.TimeOfDay) string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }
	return fmt.Sprintf("%s %s–%s", strings.Join(days, " "), clock(s.Start), clock(s.End))
}

// users names the zones whose schedule a shift is.
func users(p *config.Policy, id string) string {
	var out []string
	for i := range p.Zones {
		if z := &p.Zones[i]; slices.Contains(z.Shifts, id) || slices.Contains(z.OutsideShifts, id) {
			out = append(out, z.ID)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; it decides when these hold: " + strings.Join(out, ", ")
}

func (d *differ) robots() {
	for i := range d.now.Robots {
		r := &d.now.Robots[i]
		switch roles, known := d.old.RolesOf(r.Serial); {
		case !known:
			d.add(Looser, "robot "+r.Serial, "may start, with roles %s", list(strings.Join(r.Roles, ", ")))
		case !slices.Equal(roles, r.Roles):
			d.add(Other, "robot "+r.Serial, "roles %s → %s", list(strings.Join(roles, ", ")), list(strings.Join(r.Roles, ", ")))
		}
	}
	for i := range d.old.Robots {
		if _, known := d.now.RolesOf(d.old.Robots[i].Serial); !known {
			d.add(Tighter, "robot "+d.old.Robots[i].Serial, "no longer starts")
		}
	}
}

// rest compares what is left.
func (d *differ) rest() {
	o, n := d.old, d.now
	if a, b := fmt.Sprint(o.Timezone.Location), fmt.Sprint(n.Timezone.Location); a != b {
		d.add(Other, "timezone", "%s → %s: every shift moves", a, b)
	}
	for _, x := range []struct {
		name   string
		of, by time.Time
	}{{"not_before", o.NotBefore, n.NotBefore}, {"not_after", o.NotAfter, n.NotAfter}} {
		if !x.of.Equal(x.by) {
			d.add(Other, x.name, "%s → %s", day(x.of), day(x.by))
		}
	}
	if o.Startup.Release != n.Startup.Release {
		d.add(map[bool]Way{true: Tighter, false: Looser}[n.Startup.Release == "operator"], "startup", "release %s → %s", o.Startup.Release, n.Startup.Release)
	}
	if o.Startup.InputTimeout != n.Startup.InputTimeout {
		d.add(less(o.Startup.InputTimeout, n.Startup.InputTimeout), "startup", "input_timeout %v → %v", o.Startup.InputTimeout, n.Startup.InputTimeout)
	}
	if a, b := o.ReportsUnattested(), n.ReportsUnattested(); a != b {
		d.add(Other, "reporting", "before attestation: %t → %t", a, b)
	}
	for i := range n.Floors {
		f := find(o.Floors, func(f *config.Floor) bool { return f.ID == n.Floors[i].ID })
		switch {
		case f == nil:
			d.add(Other, "floor "+n.Floors[i].ID, "new")
		case f.Unbounded == "" && n.Floors[i].Unbounded != "":
			d.add(Looser, "floor "+f.ID, "is unbounded: %s", n.Floors[i].Unbounded)
		case f.Unbounded != "" && n.Floors[i].Unbounded == "":
			d.add(Tighter, "floor "+f.ID, "is no longer unbounded")
		}
	}
	for i := range o.Floors {
		if n.FloorIndex(o.Floors[i].ID) < 0 {
			d.add(Other, "floor "+o.Floors[i].ID, "gone")
		}
	}
	if o.Pins != n.Pins {
		d.add(Other, "pins", "another profile or topic mapping")
	}
}

func day(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.Format(time.RFC3339)
}
