package config

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
)

// inside says whether a point in millimetres is in a convex ring that goes round counter-clockwise, or at most 2 nm outside:
// each coordinate of a corner may be 1 nm short, which is the noise of decimal numbers that rounding takes away.
func inside(ring []geofence.Vertex, x, y float64) bool {
	const nearly = 2e-6 // mm
	for i, a := range ring {
		b := ring[(i+1)%len(ring)]
		dx, dy := float64(b.X-a.X), float64(b.Y-a.Y)
		if dx*(y-float64(a.Y))-dy*(x-float64(a.X)) < -nearly*math.Hypot(dx, dy) {
			return false
		}
	}
	return true
}

// TestOutlinesCover holds boxes and capsules to what they stand for: every point of the shape is in the outline.
func TestOutlinesCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := func(name string, low, high float64) float64 { return rapid.Float64Range(low, high).Draw(t, name) }
		c := LoadSpec{Capsule: &LoadCapsule{Line: []Point{{f("ax", -3, 3), f("ay", -3, 3)}, {f("bx", -3, 3), f("by", -3, 3)}}, RadiusM: f("r", 0.01, 2)}}
		ring := c.outline()
		k, turn, out := f("k", 0, 1), f("turn", 0, 2*math.Pi), f("out", 0, 1)
		a, b, r := c.Capsule.Line[0], c.Capsule.Line[1], c.Capsule.RadiusM
		x, y := a.X+k*(b.X-a.X)+out*r*math.Cos(turn), a.Y+k*(b.Y-a.Y)+out*r*math.Sin(turn)
		if !inside(ring, 1000*x, 1000*y) {
			t.Fatalf("capsule %+v: (%v, %v) is not in %v", c.Capsule, x, y, ring)
		}
		for _, v := range ring {
			if d := math.Sqrt(segment2(float64(v.X)/1000, float64(v.Y)/1000, a, b)); d > 1.083*r+0.0015 {
				t.Fatalf("capsule %+v: corner %v is %v m from its line", c.Capsule, v, d)
			}
		}
		box := LoadSpec{Box: &LoadBox{LengthM: f("l", 0.01, 3), WidthM: f("w", 0.01, 3), XM: f("x", -3, 3), YM: f("y", -3, 3)}}
		u, v := f("u", -0.5, 0.5), f("v", -0.5, 0.5)
		if ring := box.outline(); !inside(ring, 1000*(box.Box.XM+u*box.Box.LengthM), 1000*(box.Box.YM+v*box.Box.WidthM)) {
			t.Fatalf("box %+v: %v %v is not in %v", box.Box, u, v, ring)
		}
	})
}

// segment2 is the squared distance of a point from a segment.
func segment2(x, y float64, a, b Point) float64 {
	dx, dy := b.X-a.X, b.Y-a.Y
	k := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		k = min(max(((x-a.X)*dx+(y-a.Y)*dy)/l, 0), 1)
	}
	dx, dy = x-a.X-k*dx, y-a.Y-k*dy
	return dx*dx + dy*dy
}

func TestLoadsOfAProfile(t *testing.T) {
	p := Profile{Body: Body{Footprint: []Point{{0.3, 0.3}, {-0.3, 0.3}, {-0.3, -0.3}, {0.3, -0.3}}}, Loads: []LoadSpec{
		{ID: "tray", Box: &LoadBox{LengthM: 0.6, WidthM: 0.8, XM: 0.6, YM: 0}, HeightM: 1},
		{ID: "flat", DecelMPS2: 0.5, AngularDecelRadPS2: 0.6},
	}}
	got := p.fenceLoads()
	if len(got) != 2 || got[0].Name != "tray" || got[0].HeightM != 1 || len(got[0].Outline) != 4 || got[0].Outline[0] != (geofence.Vertex{X: 900, Y: 400}) {
		t.Errorf("%+v", got)
	}
	if l := got[1]; len(l.Outline) != 0 || l.DecelMPS2 != 0.5 || l.AngularDecelRadPS2 != 0.6 {
		t.Errorf("%+v", l)
	}
	if r := p.LargestRadiusM(); math.Abs(r-math.Hypot(0.9, 0.4)) > 1e-9 {
		t.Errorf("radius %v", r)
	}
}
