// Package policydiff says in words what changes from one policy to another, and of each change whether it is tighter or
// looser. It compares what the documents mean, not their text, and decides nothing: where it cannot tell, it says so.
package policydiff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
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

// forbids says whether a zone takes something from the robot where it holds; KEEP_IN and NO_STOP permit as well.
func forbids(z *config.Zone) bool { return z.Type != config.ZoneKeepIn && z.Type != config.ZoneNoStop }

func (d *differ) zones() {
	for i := range d.now.Zones {
		z := &d.now.Zones[i]
		where := "zone " + z.ID
		o := find(d.old.Zones, func(o *config.Zone) bool { return o.ID == z.ID })
		switch {
		case o == nil && forbids(z):
			d.add(Tighter, where, "new: %s on floor %s%s (%s)", z.Type, z.Floor, limit(z), z.Reason)
		case o == nil:
			d.add(Other, where, "new: %s on floor %s (%s)", z.Type, z.Floor, z.Reason)
		default:
			d.zone(where, o, z)
		}
	}
	for i := range d.old.Zones {
		z := &d.old.Zones[i]
		if find(d.now.Zones, func(o *config.Zone) bool { return o.ID == z.ID }) != nil {
			continue
		}
		way := Looser
		if !forbids(z) {
			way = Other
		}
		d.add(way, "zone "+z.ID, "gone: %s on floor %s%s (%s)", z.Type, z.Floor, limit(z), z.Reason)
	}
}

func limit(z *config.Zone) string {
	if z.Type == config.ZoneSpeedLimit {
		return fmt.Sprintf(", %g m/s", z.MaxSpeedMPS)
	}
	return ""
}

func (d *differ) zone(where string, o, z *config.Zone) {
	if o.Type != z.Type {
		way := Other
		switch {
		case z.Type == config.ZoneBlocked:
			way = Tighter
		case o.Type == config.ZoneBlocked:
			way = Looser
		}
		d.add(way, where, "%s becomes %s", o.Type, z.Type)
	}
	if o.Floor != z.Floor {
		d.add(Other, where, "moves from floor %s to %s", o.Floor, z.Floor)
	}
	d.outline(where, o, z)
	if o.MaxSpeedMPS != z.MaxSpeedMPS && o.Type == z.Type {
		d.add(less(o.MaxSpeedMPS, z.MaxSpeedMPS), where, "limit %g m/s → %g m/s", o.MaxSpeedMPS, z.MaxSpeedMPS)
	}
	if o.MarginM != z.MarginM {
		d.add(less(z.MarginM, o.MarginM), where, "margin %g m → %g m", o.MarginM, z.MarginM)
	}
	if o.MaxDwell != z.MaxDwell {
		d.add(less(o.MaxDwell, z.MaxDwell), where, "max_dwell %v → %v", o.MaxDwell, z.MaxDwell)
	}
	if o.Within != z.Within {
		d.add(less(o.Within, z.Within), where, "within %v → %v", o.Within, z.Within)
	}
	d.when(where, o, z)
	if a, b := strings.Join(o.OpenedBy, ", "), strings.Join(z.OpenedBy, ", "); a != b {
		d.add(Other, where, "opened_by %s → %s", list(a), list(b))
	}
	if a, b := lane(o), lane(z); a != b {
		d.add(Other, where, "direction of travel %s → %s", list(a), list(b))
	}
	if o.ReleaseLoss != z.ReleaseLoss {
		d.add(Other, where, "release_loss %s → %s", list(o.ReleaseLoss), list(z.ReleaseLoss))
	}
	if fmt.Sprint(o.Parts, o.Views, height(o)) != fmt.Sprint(z.Parts, z.Views, height(z)) {
		d.add(Other, where, "what of the body it binds, or its heights: parts %v views %v%s → parts %v views %v%s", o.Parts, o.Views, height(o), z.Parts, z.Views, height(z))
	}
}

func height(z *config.Zone) string {
	out := ""
	if z.FromM != nil {
		out += fmt.Sprintf(" from %g m", *z.FromM)
	}
	if z.ToM != nil {
		out += fmt.Sprintf(" to %g m", *z.ToM)
	}
	return out
}

// lane is a direction of travel in words, "" for a zone that has none.
func lane(z *config.Zone) string {
	if z.DirectionRad == nil {
		return ""
	}
	return fmt.Sprintf("%g rad %s", *z.DirectionRad, z.Limitation)
}

func list(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// outline compares shapes by their area, and by whether one holds the other's corners.
func (d *differ) outline(where string, o, z *config.Zone) {
	if slices.Equal(o.Vertices, z.Vertices) && slices.EqualFunc(o.Holes, z.Holes, slices.Equal[[]config.Point]) {
		return
	}
	a, b := area(o), area(z)
	way := Other
	switch grows, shrinks := holds(z, o), holds(o, z); {
	case grows && !shrinks:
		way = Tighter
	case shrinks && !grows:
		way = Looser
	}
	if way != Other && z.Type == config.ZoneKeepIn {
		way = map[Way]Way{Tighter: Looser, Looser: Tighter}[way]
	}
	if z.Type == config.ZoneNoStop {
		way = Other
	}
	d.add(way, where, "outline changes: %.2f m² → %.2f m²", a, b)
}

func area(z *config.Zone) float64 {
	ring := func(r []config.Point) float64 {
		s := 0.0
		for i := range r {
			n := r[(i+1)%len(r)]
			s += r[i].X*n.Y - n.X*r[i].Y
		}
		return max(s, -s) / 2
	}
	s := ring(z.Vertices)
	for _, h := range z.Holes {
		s -= ring(h)
	}
	return s
}

// holds says whether a's outline surely holds b's: only axis-parallel boxes without holes are decided.
func holds(a, b *config.Zone) bool {
	x, ok1 := box(a)
	y, ok2 := box(b)
	return ok1 && ok2 && x[0] <= y[0] && x[1] <= y[1] && x[2] >= y[2] && x[3] >= y[3]
}

func box(z *config.Zone) ([4]float64, bool) {
	if len(z.Vertices) != 4 || len(z.Holes) > 0 {
		return [4]float64{}, false
	}
	b := [4]float64{z.Vertices[0].X, z.Vertices[0].Y, z.Vertices[0].X, z.Vertices[0].Y}
	for _, v := range z.Vertices {
		b = [4]float64{min(b[0], v.X), min(b[1], v.Y), max(b[2], v.X), max(b[3], v.Y)}
	}
	for _, v := range z.Vertices {
		if v.X != b[0] && v.X != b[2] || v.Y != b[1] && v.Y != b[3] {
			return b, false
		}
	}
	return b, area(z) == (b[2]-b[0])*(b[3]-b[1])
}

// when compares schedules and roles.
func (d *differ) when(where string, o, z *config.Zone) {
	if a, b := schedule(o), schedule(z); a != b {
		way := Other
		switch {
		case b == "always" && forbids(z):
			way = Tighter
		case a == "always" && forbids(z):
			way = Looser
		}
		d.add(way, where, "holds %s → %s", a, b)
	}
	if a, b := whom(o), whom(z); a != b {
		way := Other
		switch {
		case b == "every robot" && forbids(z):
			way = Tighter
		case a == "every robot" && forbids(z):
			way = Looser
		}
		d.add(way, where, "for %s → %s", a, b)
	}
}

func schedule(z *config.Zone) string {
	switch {
	case len(z.Shifts) > 0:
		return "in shift " + strings.Join(z.Shifts, ", ")
	case len(z.OutsideShifts) > 0:
		return "outside shift " + strings.Join(z.OutsideShifts, ", ")
	}
	return "always"
}

func whom(z *config.Zone) string {
	switch {
	case len(z.Roles) > 0:
		return "robots with " + strings.Join(z.Roles, ", ")
	case len(z.ExceptRoles) > 0:
		return "robots without " + strings.Join(z.ExceptRoles, ", ")
	case z.UnlessAttested:
		return "robots that are not attested"
	}
	return "every robot"
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

func hours(s *config.Shift) string {
	var days []string
	for k := range 7 {
		if day := time.Weekday((k + 1) % 7); s.Days.Has(day) {
			days = append(days, strings.ToLower(day.String()[:3]))
		}
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
