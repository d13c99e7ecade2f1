package geofence

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// moved is the same moment in a world that was turned about the origin and then shifted: zones, their holes and the pose. A
// quarter turn and a shift by whole millimetres leave every vertex exact; another angle rounds it by up to 0.71 mm.
func (m *moment) moved(angle float64, dx, dy int32) *moment {
	out := *m
	s, c := math.Sincos(angle)
	turn := func(x, y float64) (float64, float64) { return c*x - s*y, s*x + c*y }
	ring := func(in []Vertex) []Vertex {
		r := make([]Vertex, len(in))
		for i, v := range in {
			x, y := turn(float64(v.X), float64(v.Y))
			r[i] = Vertex{int32(math.Round(x)) + dx, int32(math.Round(y)) + dy}
		}
		return r
	}
	out.spec.Zones = slices.Clone(m.spec.Zones)
	for i := range out.spec.Zones {
		z := &out.spec.Zones[i]
		z.Outer = ring(z.Outer)
		if z.Kind.lane() {
			z.DirectionRad = math.Remainder(z.DirectionRad+angle, 2*math.Pi)
		}
		z.Holes = slices.Clone(z.Holes)
		for j := range z.Holes {
			z.Holes[j] = ring(z.Holes[j])
		}
	}
	p := &out.in.Pose
	x, y := turn(p.X, p.Y)
	p.X, p.Y = x+float64(dx)/1000, y+float64(dy)/1000
	half := math.Atan2(p.QZ, p.QW) + angle/2
	p.QZ, p.QW = math.Sincos(half)
	a, b, cov := p.VarX, p.VarY, p.CovXY
	p.VarX = c*c*a - 2*c*s*cov + s*s*b
	p.VarY = s*s*a + 2*c*s*cov + c*c*b
	p.CovXY = c*s*(a-b) + (c*c-s*s)*cov
	return &out
}

// roundM is what rounding of vertices and contour can change a distance by, in metres: a contour's corner by 0.71 mm, a zone's
// by as much, each in both worlds.
const roundM = 0.003

// differs says how two answers to the same moment differ by more than rounding explains, "" if they do not.
func (m *moment) differs(a, b Limit, va, vb *Verdict) string {
	// Where a distance lies on a threshold, rounding may decide. By the time of the command the margin has grown by what
	// acceleration can have added to the motion since the pose.
	grown := m.robot.AccelMPS2 / 2 * m.age.Seconds() * m.age.Seconds()
	threshold := func(v *Verdict) bool {
		for _, z := range v.Near[:v.N] {
			for _, t := range []float64{0, v.MarginM, v.MarginM + grown} {
				if math.Abs(z.MarginM-t) <= 2*roundM {
					return true
				}
			}
		}
		return false
	}
	switch {
	case threshold(va) || threshold(vb):
		return ""
	case va.Place != vb.Place || va.Hold != vb.Hold || va.Faults != vb.Faults:
		return "verdict"
	case math.Abs(va.MarginM-vb.MarginM) > 1e-6:
		return "margin"
	case va.N > 0 && math.Abs(va.Near[0].MarginM-vb.Near[0].MarginM) > 2*roundM:
		return "distance"
	case va.Place == Margin || va.Place == Inside:
		return "" // along an edge, a hair decides whether a creeping motion comes closer
	}
	// A distance d more gives at most d/reaction more speed; the end of an approach is cut off at minDrive, and an arc's chords
	// lie up to maxSag before it.
	most := 2*roundM/m.robot.Reaction.Seconds() + minDrive/1000
	if m.cmd.YawRate != 0 {
		most += 0.1
	}
	if tip := math.Hypot(m.cmd.VX, m.cmd.VY) + math.Abs(m.cmd.YawRate)*0.6; math.Abs(a.Ratio-b.Ratio)*tip > most {
		return "ratio"
	}
	return ""
}

func TestMovingTheWorldChangesNoDecision(t *testing.T) {
	for name, angle := range map[string]func(t *rapid.T) float64{
		"shifted":         func(*rapid.T) float64 { return 0 },
		"quarter turns":   func(t *rapid.T) float64 { return float64(rapid.IntRange(1, 3).Draw(t, "quarters")) * math.Pi / 2 },
		"turned anyhow":   func(t *rapid.T) float64 { return rapid.Float64Range(-3, 3).Draw(t, "angle") },
		"turned a little": func(t *rapid.T) float64 { return rapid.Float64Range(-0.01, 0.01).Draw(t, "angle") },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := drawMoment(t)
				far := rapid.Int32Range(-100_000_000, 100_000_000)
				other := m.moved(angle(t), far.Draw(t, "dx"), far.Draw(t, "dy"))
				if _, err := Compile(other.spec, other.robot); err != nil {
					t.Skip("rounding made rings touch")
				}
				a, va := m.judge(t)
				b, vb := other.judge(t)
				if d := m.differs(a, b, &va, &vb); d != "" {
					t.Fatalf("%s: %+v, %v %v %v; moved: %+v, %v %v %v", d, a, va.Place, va.Faults, va.Near[:va.N], b, vb.Place, vb.Faults, vb.Near[:vb.N])
				}
			})
		})
	}
}

// TestAMovedRobotIsFound is the off case: the world is moved, and the robot a little more.
func TestAMovedRobotIsFound(t *testing.T) {
	found, all := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		all++
		m := drawMoment(rt)
		other := m.moved(0, 1000, 1000)
		other.in.Pose.X += 0.05
		a, va := m.judge(rt)
		b, vb := other.judge(rt)
		if m.differs(a, b, &va, &vb) != "" {
			found++
		}
	})
	if found < all/10 {
		t.Errorf("five centimetres were found only %d times of %d", found, all)
	}
}
