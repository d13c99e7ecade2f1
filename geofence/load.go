package geofence

import (
	"cmp"
	"math"
	"slices"
)

// MaxLoads is the greatest number of loads of one robot: for each set of them there is a contour.
const MaxLoads = 6

// LoadSpec is something that the robot can carry, by what it adds to the robot.
type LoadSpec struct {
	// Name is unique and not empty.
	Name string
	// Outline is a simple polygon in the base frame, at most MaxFootprint vertices, that the load takes up at any height;
	// nil for one that stays within the footprint.
	Outline []Vertex
	// HeightM is the robot's height with the load, 0 for one that does not change it.
	HeightM float64
	// DecelMPS2 and AngularDecelRadPS2 are the decelerations of a controlled stop with the load, at most the robot's own; 0
	// for a load that does not change them. Of several loads the lowest counts.
	DecelMPS2, AngularDecelRadPS2 float64
}

// LoadSet is a set of loads; bit i is load i of Robot.Loads.
type LoadSet uint8

// Carried says what the robot carries. The zero value is unknown: then it carries all that its profile knows, together.
type Carried struct {
	Known bool
	Loads LoadSet
}

// loaded is a robot with some of its loads.
type loaded struct {
	body
	// high is the height in millimetres, +Inf for one that reaches every zone.
	high float64
	// decel and turn are the promised decelerations in mm/s² and rad/s².
	decel, turn float64
}

// loads checks the loads and makes a body for each set of them.
func (c *compiler) loads(r *Robot) {
	names := map[string]int{}
	for i := range capped(c, "loads", r.Loads, MaxLoads) {
		l := &r.Loads[i]
		at := item{c, "loads", i, l.Name}
		at.name(names, "Name")
		at.load(l, r)
	}
	if len(c.errs) > 0 {
		return
	}
	n := 1 << len(r.Loads)
	c.set.bodies = make([]loaded, n)
	for set := range n {
		b, ok := r.with(LoadSet(set)) //nolint:gosec // at most 6 bits
		if !ok {
			item{c, "loads", -1, ""}.fail("Outline", -1,
				"and the footprint have a hull of more than %d corners for the loads %v, expected at most %d; draw simpler outlines", MaxFootprint, r.loadNames(LoadSet(set)), MaxFootprint) //nolint:gosec // as above
			return
		}
		c.set.bodies[set] = b
	}
}

// load checks one load.
func (i item) load(l *LoadSpec, r *Robot) {
	if n := len(l.Outline); n > MaxFootprint {
		i.fail("Outline", -1, "has %d vertices, expected at most %d; draw a simpler one around it", n, MaxFootprint)
	} else if n > 0 {
		for _, e := range checkRings([][]Vertex{l.Outline}, footprintLimit) {
			e.Section, e.Index, e.ID, e.Field = i.section, i.index, i.id, "Outline"
			i.c.fail(e)
		}
	}
	if h := l.HeightM; !finite(h) || h < 0 || h > 10 || h > 0 && h < r.HeightM {
		i.fail("HeightM", -1, "is %v m, expected the robot's height with the load, [%v, 10], or 0 for one that does not change it", h, r.HeightM)
	}
	for _, d := range [...]struct {
		name        string
		value, most float64
	}{{"DecelMPS2", l.DecelMPS2, r.DecelMPS2}, {"AngularDecelRadPS2", l.AngularDecelRadPS2, r.AngularDecelRadPS2}} {
		if v := d.value; v != 0 && (!finite(v) || v < 0.01 || v > d.most) {
			i.fail(d.name, -1, "is %v, expected [0.01, %v], at most the robot's own, or 0 for a load that does not change it", v, d.most)
		}
	}
}

// with is the robot with a set of its loads; false if its contour has too many corners.
func (r *Robot) with(set LoadSet) (loaded, bool) {
	out := loaded{high: math.Inf(1), decel: float64(1000 * r.DecelMPS2), turn: r.AngularDecelRadPS2}
	if r.HeightM > 0 {
		out.high = float64(1000 * r.HeightM)
	}
	contour, grown := slices.Clone(r.Footprint), false
	for i := range r.Loads {
		l := &r.Loads[i]
		if set>>i&1 == 0 {
			continue
		}
		contour, grown = append(contour, l.Outline...), grown || len(l.Outline) > 0
		out.high = max(out.high, float64(1000*l.HeightM))
		if l.DecelMPS2 > 0 {
			out.decel = min(out.decel, float64(1000*l.DecelMPS2))
		}
		if l.AngularDecelRadPS2 > 0 {
			out.turn = min(out.turn, l.AngularDecelRadPS2)
		}
	}
	if grown {
		// The hull covers both, and what is between them: it grows with every load, so more load never loosens.
		contour = hull(contour)
	}
	if len(contour) > MaxFootprint {
		return out, false
	}
	out.body = newBody(contour)
	return out, true
}

// Hull is the convex hull of points, counter-clockwise without collinear corners. The points come out in another order.
func Hull(points []Vertex) []Vertex {
	if len(points) == 0 {
		return nil
	}
	return hull(points)
}

// hull is Andrew's monotone chain, exact.
func hull(points []Vertex) []Vertex {
	slices.SortFunc(points, func(a, b Vertex) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
	points = slices.Compact(points)
	out := make([]Vertex, 0, 2*len(points))
	turn := func(from int, p Vertex) {
		for n := len(out); n >= from+2 && side(out[n-2].X, out[n-2].Y, out[n-1].X, out[n-1].Y, p.X, p.Y) <= 0; n = len(out) {
			out = out[:n-1]
		}
		out = append(out, p)
	}
	for _, p := range points {
		turn(0, p)
	}
	upper := len(out) - 1
	for i := len(points) - 2; i >= 0; i-- {
		turn(upper, points[i])
	}
	return out[:len(out)-1] // the first point came again
}

// tallest is the height in millimetres with all loads, +Inf for one that reaches every zone.
func (r *Robot) tallest() float64 {
	if r.HeightM == 0 {
		return math.Inf(1)
	}
	most := r.HeightM
	for i := range r.Loads {
		most = max(most, r.Loads[i].HeightM)
	}
	return float64(1000 * most)
}

func (r *Robot) loadNames(set LoadSet) (names []string) {
	for i := range r.Loads {
		if set>>i&1 != 0 {
			names = append(names, r.Loads[i].Name)
		}
	}
	return names
}

// AllLoads are all the loads of the set's robot.
func (s *Set) AllLoads() LoadSet { return LoadSet(len(s.bodies) - 1) } //nolint:gosec // at most 6 bits

// LoadIndex finds a load's bit in LoadSet.
func (s *Set) LoadIndex(name string) (int, bool) {
	i := slices.IndexFunc(s.robot.Loads, func(l LoadSpec) bool { return l.Name == name })
	return i, i >= 0
}

// LoadNames lists loads by name.
func (s *Set) LoadNames(set LoadSet) []string { return s.robot.loadNames(set) }

// ContourM is the contour with a set of loads, in the base frame in metres, for people. A set with loads that the robot does not
// have is that of all.
func (s *Set) ContourM(set LoadSet) [][2]float64 {
	b := &s.bodies[min(set, s.AllLoads())]
	out := make([][2]float64, b.n)
	for i := range out {
		out[i] = [2]float64{b.x[i] / 1000, b.y[i] / 1000}
	}
	return out
}

// carry takes in what the robot carries. What is unknown, or a load that the profile does not know, is all of them.
func (f *Fence) carry(in Carried) {
	all := f.set.AllLoads()
	loads := all
	f.mem.loadsKnown = in.Known && in.Loads&^all == 0 || all == 0
	if f.mem.loadsKnown {
		loads = in.Loads & all
	}
	if loads == f.mem.loads {
		return
	}
	f.mem.loads = loads
	f.wear()
	// A phase of slowing down is measured against one promise.
	f.mem.brakes.reset()
}

// Anew lets the next Step judge every zone's place for the contour as if for the first time, without what hysteresis has
// kept. It is for a robot that was held since the start, until it was known for the first time what it carries.
func (f *Fence) Anew() {
	clear(f.levels)
	clear(f.stays)
	f.held, f.mem.warned, f.dirty = 0, -1, true
}

// wear puts the body on that belongs to the loads, and finds anew what is near.
func (f *Fence) wear() {
	f.body = &f.set.bodies[f.mem.loads]
	f.reach, f.dirty = f.reachNow(), true
}

func (s *Set) sumLoads(h *hasher) {
	for i := range s.bodies {
		b := &s.bodies[i]
		for k := range b.n {
			h.float(b.x[k])
			h.float(b.y[k])
		}
		h.float(b.high)
		h.float(b.decel)
		h.float(b.turn)
	}
	for i := range s.robot.Loads {
		h.string(s.robot.Loads[i].Name)
	}
}
