package config

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
	"github.com/robowarden/robowarden/geofence"
)

// fromSegment is the distance of a point from the capsule's segment, in the collision's own frame.
func fromSegment(p *geofence.PartSpec, x [3]float64) float64 {
	var d, v [3]float64
	var dd, dv float64
	for i := range 3 {
		d[i], v[i] = p.To[i]-p.From[i], x[i]-p.From[i]
		dd += d[i] * d[i]
		dv += d[i] * v[i]
	}
	t := 0.0
	if dd > 0 {
		t = math.Max(0, math.Min(1, dv/dd))
	}
	sum := 0.0
	for i := range 3 {
		e := v[i] - t*d[i]
		sum += e * e
	}
	return math.Sqrt(sum)
}

// fromShape is the distance of a point from the shape, 0 inside.
func fromShape(c *urdf.Collision, x [3]float64) float64 {
	switch c.Shape {
	case urdf.Box:
		sum := 0.0
		for i := range 3 {
			e := math.Max(0, math.Abs(x[i])-c.Size[i]/2)
			sum += e * e
		}
		return math.Sqrt(sum)
	case urdf.Cylinder:
		return math.Hypot(math.Max(0, math.Hypot(x[0], x[1])-c.Radius), math.Max(0, math.Abs(x[2])-c.Length/2))
	case urdf.Sphere, urdf.Mesh:
	}
	return math.Max(0, math.Sqrt(x[0]*x[0]+x[1]*x[1]+x[2]*x[2])-c.Radius)
}

func drawShape(t *rapid.T) urdf.Collision {
	f := func(label string) float64 { return rapid.Float64Range(0.005, 0.6).Draw(t, label) }
	switch rapid.IntRange(0, 2).Draw(t, "shape") {
	case 0:
		return urdf.Collision{Shape: urdf.Box, Size: [3]float64{f("x"), f("y"), f("z")}}
	case 1:
		return urdf.Collision{Shape: urdf.Cylinder, Radius: f("radius"), Length: f("length")}
	}
	return urdf.Collision{Shape: urdf.Sphere, Radius: f("radius")}
}

// TestCapsulesContainAndStateTheirExcess looks at random points of the shape's surface, which must be in the capsule, and
// of the capsule's, none of which is farther from the shape than stated, and some almost as far.
func TestCapsulesContainAndStateTheirExcess(t *testing.T) {
	worst := 0.0
	rapid.Check(t, func(t *rapid.T) {
		c := drawShape(t)
		p, excess := capsuleOf(&c)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		farthest := 0.0
		for range 4000 {
			var d [3]float64
			n := 0.0
			for i := range d {
				d[i] = rng.NormFloat64()
				if rng.IntN(4) == 0 {
					d[i] = 0 // poles and equators as well
				}
				n += d[i] * d[i]
			}
			if n == 0 {
				continue
			}
			s, k := rng.Float64(), p.RadiusM/math.Sqrt(n)
			if rng.IntN(2) == 0 {
				s = float64(rng.IntN(2))
			}
			var on, in [3]float64
			for i := range d {
				on[i] = p.From[i] + s*(p.To[i]-p.From[i]) + k*d[i]
				in[i] = on[i]
			}
			farthest = math.Max(farthest, fromShape(&c, on))
			// The same direction's point of the shape: its corners and rims.
			switch c.Shape {
			case urdf.Sphere, urdf.Mesh:
				for i := range in {
					in[i] = c.Radius * d[i] / math.Sqrt(n)
				}
			case urdf.Box:
				for i := range in {
					in[i] = math.Copysign(c.Size[i]/2, d[i])
				}
			case urdf.Cylinder:
				h := math.Hypot(d[0], d[1])
				if h == 0 {
					continue
				}
				in = [3]float64{c.Radius * d[0] / h, c.Radius * d[1] / h, math.Copysign(c.Length/2, d[2])}
			}
			if out := fromSegment(&p, in) - p.RadiusM; out > 1e-12 {
				t.Fatalf("%+v: %v stands out of %+v by %g m", c, in, p, out)
			}
		}
		if farthest > excess+1e-9 || farthest < 0.7*excess-2e-9 {
			t.Fatalf("%+v: stated excess %v, seen %v", c, excess, farthest)
		}
		worst = math.Max(worst, excess)
	})
	t.Logf("largest stated excess %.3f m", worst)
}
