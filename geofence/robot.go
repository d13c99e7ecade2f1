package geofence

import (
	"fmt"
	"time"
)

// number is a field of Robot with the range that Compile accepts. The upper
// ends bound the reach of predictions, not what is sensible.
type number struct {
	name     string
	value    *float64
	low, top float64
	zeroOK   bool
}

func robotNumbers(r *Robot) []number {
	out := []number{
		{"MaxSpeedMPS", &r.MaxSpeedMPS, 0.01, 50, false},
		{"MaxYawRateRadPS", &r.MaxYawRateRadPS, 0.01, 50, false},
		{"AccelMPS2", &r.AccelMPS2, 0.01, 100, false},
		{"DecelMPS2", &r.DecelMPS2, 0.01, 100, false},
		{"AngularDecelRadPS2", &r.AngularDecelRadPS2, 0.01, 1000, false},
		{"CreepMPS", &r.CreepMPS, 0.001, 1, false},
		{"CreepYawRateRadPS", &r.CreepYawRateRadPS, 0.001, 2, false},
		{"SigmaK", &r.SigmaK, 1, 10, false},
		{"MapErrorM", &r.MapErrorM, 0, 10, true},
		{"MinStdDevM", &r.MinStdDevM, 0.0001, 1, false},
		{"SlowStdDevM", &r.SlowStdDevM, 0.0001, 10, false},
		{"MaxStdDevM", &r.MaxStdDevM, 0.0001, 10, false},
		{"AssumedStdDevM", &r.AssumedStdDevM, 0.0001, 10, true},
		{"AssumedYawStdDevRad", &r.AssumedYawStdDevRad, 0.0001, 3, true},
		{"JumpSlackM", &r.JumpSlackM, 0.001, 10, false},
		{"JumpSlackRad", &r.JumpSlackRad, 0.001, 3, false},
		{"ReleaseMarginM", &r.ReleaseMarginM, 0.001, 10, false},
	}
	if r.Second != nil {
		out = append(out, number{"Second.SlackM", &r.Second.SlackM, 0.001, 10, false}, number{"Second.SlackRad", &r.Second.SlackRad, 0.001, 3, false})
	}
	return out
}

type span struct {
	name     string
	value    *time.Duration
	low, top time.Duration
}

func robotDurations(r *Robot) []span {
	out := []span{
		{"Reaction", &r.Reaction, time.Millisecond, 5 * time.Second},
		{"CommandPeriod", &r.CommandPeriod, time.Millisecond, 5 * time.Second},
		{"PoseMaxAge", &r.PoseMaxAge, time.Millisecond, 5 * time.Second},
		{"PoseMaxFuture", &r.PoseMaxFuture, time.Microsecond, 5 * time.Second},
		{"FreezeAfter", &r.FreezeAfter, time.Millisecond, time.Minute},
		{"RecoverDwell", &r.RecoverDwell, time.Millisecond, time.Hour},
		{"ReleaseDwell", &r.ReleaseDwell, time.Millisecond, time.Hour},
	}
	if r.Second != nil {
		out = append(out, span{"Second.After", &r.Second.After, time.Millisecond, time.Minute})
	}
	return out
}

// footprintLimit bounds a footprint's vertices in millimetres: a body of 50 m.
const footprintLimit = 50_000

func (c *compiler) robotError(field, format string, args ...any) {
	c.fail(&SpecError{
		Section: "robot", Index: -1, Field: field, Ring: -1, Vertex: -1, Element: -1,
		Problem: fmt.Sprintf(format, args...),
	})
}

// checkRobot reports every value that is missing or out of range.
func (c *compiler) checkRobot(r *Robot) {
	for _, n := range robotNumbers(r) {
		v := *n.value
		switch {
		case n.zeroOK && v == 0:
		case !finite(v) || v < n.low || v > n.top:
			c.robotError(n.name, "is %v, expected a number in [%v, %v]; 0 never means off", v, n.low, n.top)
		}
	}
	for _, d := range robotDurations(r) {
		if v := *d.value; v < d.low || v > d.top {
			c.robotError(d.name, "is %v, expected a duration in [%v, %v]; 0 never means off", v, d.low, d.top)
		}
	}
	if r.CommandPeriod >= r.Reaction {
		c.robotError("CommandPeriod", "is %v, expected less than Reaction (%v), which includes it", r.CommandPeriod, r.Reaction)
	}
	if r.RecoverPoses < 1 || r.RecoverPoses > 10_000 {
		c.robotError("RecoverPoses", "is %d, expected 1 to 10000 poses", r.RecoverPoses)
	}
	if r.SlowStdDevM > r.MaxStdDevM {
		c.robotError("SlowStdDevM", "is %v m, expected at most MaxStdDevM (%v m): creep before holding", r.SlowStdDevM, r.MaxStdDevM)
	}
	if (r.AssumedStdDevM == 0) != (r.AssumedYawStdDevRad == 0) {
		c.robotError("AssumedStdDevM", "is %v m but AssumedYawStdDevRad is %v rad; give both, or neither to hold without a covariance",
			r.AssumedStdDevM, r.AssumedYawStdDevRad)
	}
	if r.CreepMPS > r.MaxSpeedMPS {
		c.robotError("CreepMPS", "is %v m/s, expected at most MaxSpeedMPS (%v m/s)", r.CreepMPS, r.MaxSpeedMPS)
	}
	if h := r.HeightM; !finite(h) || h < 0 || h > 10 {
		c.robotError("HeightM", "is %v m, expected [0, 10], where 0 reaches every height", h)
	}
	c.checkFootprint(r)
}

func (c *compiler) checkFootprint(r *Robot) {
	if n := len(r.Footprint); n > MaxFootprint {
		c.robotError("Footprint", "has %d vertices, expected at most %d; draw a simpler contour around it", n, MaxFootprint)
		return
	}
	for _, e := range checkRings([][]Vertex{r.Footprint}, footprintLimit) {
		e.Section, e.Index, e.Field = "robot", -1, "Footprint"
		c.fail(e)
	}
}

// body is the contour in the base frame, in millimetres.
type body struct {
	n    int
	x, y [MaxFootprint]float64
	// radius is the distance of the farthest vertex from the base's origin, size
	// the length of the contour's diagonal.
	radius, size float64
	// side[i] is the length of the side that ends at vertex i.
	side [MaxFootprint]float64
}

func newBody(footprint []Vertex) body {
	b := body{n: len(footprint)}
	for i, v := range footprint {
		b.x[i], b.y[i] = float64(v.X), float64(v.Y)
		b.radius = max(b.radius, length(b.x[i], b.y[i]))
	}
	for i := range b.n {
		prev := (i + b.n - 1) % b.n
		b.side[i] = length(b.x[i]-b.x[prev], b.y[i]-b.y[prev])
	}
	edges := ringEdges(nil, footprint)
	all := boxOf(edges)
	b.size = length(float64(all.x1-all.x0), float64(all.y1-all.y0))
	return b
}
