package msg

import (
	"math"
	"time"
)

// Outliner makes the outline of a trajectory out of its points. Between two points a controller follows a line where only
// positions are given, a cubic with velocities and a quintic with accelerations as well (joint_trajectory_controller, user
// documentation, "Trajectory representation"). Both ends within a limit do not keep the way between them within it: a
// fast pass through a point close to an end stop overshoots. So the way counts, by the hull of its Bézier points, which
// it never leaves (G. Farin, Curves and Surfaces for CAGD, 5th ed., section 4.3); for speed the hull is taken after
// hullDepth halvings, else a way from rest to rest would count with twice its speed.
type Outliner struct {
	before [MaxJoints]Knot
	at     time.Duration
}

// hullDepth is how often the way's speed is halved before its hull is taken.
const hullDepth = 2

// Knot is one joint's part of a point. Positions are in rad or m.
type Knot struct {
	Position, Velocity, Acceleration, Effort             float64
	HasPosition, HasVelocity, HasAcceleration, HasEffort bool
}

// Begin makes everything about m's joints unknown.
func (o *Outliner) Begin(m *Trajectory) {
	m.Start, m.Duration, m.Monotonic, m.NotFinite, m.Fault = 0, 0, true, false, FaultNone
	for _, a := range [...]*[MaxJoints]float64{&m.First, &m.Last, &m.Lowest, &m.Highest, &m.Velocity, &m.Effort, &m.Slope} {
		for i := range m.N {
			a[i] = math.NaN()
		}
	}
}

// Point begins point number i, which is due at.
func (o *Outliner) Point(m *Trajectory, i int, at time.Duration) {
	if i == 0 {
		m.Start = at
	} else if at <= m.Duration {
		m.Monotonic = false
	}
	o.at, m.Duration = m.Duration, at
}

// Joint takes joint j's part of point number i, or of a joint that the profile does not have if j is negative.
func (o *Outliner) Joint(m *Trajectory, i, j int, k *Knot) {
	if !k.finite() {
		m.NotFinite = true
	}
	if j < 0 {
		return
	}
	if k.HasPosition {
		m.Last[j] = k.Position
		if i == 0 {
			m.First[j] = k.Position
		}
		m.Lowest[j], m.Highest[j] = least(m.Lowest[j], k.Position), most(m.Highest[j], k.Position)
	}
	if k.HasVelocity {
		m.Velocity[j] = most(m.Velocity[j], math.Abs(k.Velocity))
	}
	if k.HasEffort {
		m.Effort[j] = most(m.Effort[j], math.Abs(k.Effort))
	}
	switch b := &o.before[j]; {
	case i == 0 && k.HasPosition && k.HasVelocity:
		o.arrive(m, j, k)
	case i > 0 && b.HasPosition && k.HasPosition:
		o.way(m, j, b, k)
	}
	o.before[j] = *k
}

// arrive takes the end of the way to the first point, knot k, into the outline: whoever arrives with a velocity comes from
// beyond it. Where the way begins only the measurement tells. A controller that begins late has less time for it, so every time
// up to the point's own counts; the terms of a quintic's control points are bounded one by one for that.
func (o *Outliner) arrive(m *Trajectory, j int, k *Knot) {
	h := m.Duration.Seconds()
	if !(h > 0) {
		return
	}
	from, bend := -float64(h*k.Velocity)/3, 0.0
	if k.HasAcceleration {
		from, bend = -float64(2*h*k.Velocity)/5, float64(h*h*k.Acceleration)/20
	}
	m.Lowest[j] = least(m.Lowest[j], k.Position+(min(from, 0)+min(bend, 0)))
	m.Highest[j] = most(m.Highest[j], k.Position+(max(from, 0)+max(bend, 0)))
}

// way takes the way from knot a to knot b into the outline.
func (o *Outliner) way(m *Trajectory, j int, a, b *Knot) {
	h := (m.Duration - o.at).Seconds()
	if !(h > 0) {
		if a.Position != b.Position {
			m.Slope[j] = math.Inf(1)
		} else {
			m.Slope[j] = most(m.Slope[j], 0)
		}
		return
	}
	p, n := bezier(a, b, h)
	for _, x := range p[1:n] {
		if math.IsNaN(x) { // beyond all numbers, in which direction nobody knows
			m.Lowest[j], m.Highest[j] = math.Inf(-1), math.Inf(1)
			continue
		}
		m.Lowest[j], m.Highest[j] = least(m.Lowest[j], x), most(m.Highest[j], x)
	}
	var d [6]float64
	for i := range n {
		d[i] = float64(float64(n)*(p[i+1]-p[i])) / h
	}
	speed := hull(&d, n, hullDepth)
	if math.IsNaN(speed) {
		speed = math.Inf(1)
	}
	m.Slope[j] = most(m.Slope[j], speed)
}

// bezier returns the control points of the way from a to b in h seconds, and its degree.
func bezier(a, b *Knot, h float64) (p [6]float64, n int) {
	switch {
	case !a.HasVelocity || !b.HasVelocity:
		return [6]float64{a.Position, b.Position}, 1
	case !a.HasAcceleration || !b.HasAcceleration:
		return [6]float64{a.Position, a.Position + float64(h*a.Velocity)/3, b.Position - float64(h*b.Velocity)/3, b.Position}, 3
	}
	return [6]float64{
		a.Position,
		a.Position + float64(h*a.Velocity)/5,
		a.Position + float64(2*h*a.Velocity)/5 + float64(h*h*a.Acceleration)/20,
		b.Position - float64(2*h*b.Velocity)/5 + float64(h*h*b.Acceleration)/20,
		b.Position - float64(h*b.Velocity)/5,
		b.Position,
	}, 5
}

// hull is the largest magnitude among the n control points after the given number of halvings (de Casteljau).
func hull(d *[6]float64, n, depth int) float64 {
	if depth == 0 || n <= 1 {
		out := 0.0
		for _, x := range d[:n] {
			out = math.Max(out, math.Abs(x))
		}
		return out
	}
	left, right := *d, *d
	for k := 1; k < n; k++ {
		for i := range n - k {
			right[i] = float64(right[i]/2) + float64(right[i+1]/2)
		}
		left[k] = right[0]
	}
	return math.Max(hull(&left, n, depth-1), hull(&right, n, depth-1))
}

func (k *Knot) finite() bool {
	// x-x is 0 for every finite x, and NaN for the others.
	return (!k.HasPosition || k.Position-k.Position == 0) && (!k.HasVelocity || k.Velocity-k.Velocity == 0) &&
		(!k.HasAcceleration || k.Acceleration-k.Acceleration == 0) && (!k.HasEffort || k.Effort-k.Effort == 0)
}

// most is the larger of what was there and v; NaN is "unknown" and gives way.
func most(was, v float64) float64 {
	if math.IsNaN(was) || v > was {
		return v
	}
	return was
}

func least(was, v float64) float64 {
	if math.IsNaN(was) || v < was {
		return v
	}
	return was
}
