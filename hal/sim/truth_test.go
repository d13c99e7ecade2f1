package sim

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
)

var square = Polygon{{0, 0}, {4, 0}, {4, 4}, {0, 4}}

func TestPolygonContains(t *testing.T) {
	notched := Polygon{{0, 0}, {4, 0}, {4, 4}, {2, 1}, {0, 4}} // A notch from the top down to (2, 1).
	for name, c := range map[string]struct {
		g    Polygon
		p    Point
		want bool
	}{
		"middle":             {square, Point{2, 2}, true},
		"on an edge":         {square, Point{4, 2}, true},
		"on a corner":        {square, Point{0, 4}, true},
		"outside right":      {square, Point{4.001, 2}, false},
		"level with a ridge": {square, Point{-1, 4}, false},
		"in the notch":       {notched, Point{2, 3}, false},
		"beside the notch":   {notched, Point{0.5, 2}, true},
		"at the notch's tip": {notched, Point{2, 1}, true},
		"two points":         {Polygon{{0, 0}, {4, 0}}, Point{2, 0}, false},
	} {
		if got := c.g.Contains(c.p); got != c.want {
			t.Errorf("%s: Contains(%v) = %v, want %v", name, c.p, got, c.want)
		}
	}
}

func TestClearanceByHand(t *testing.T) {
	box := func(x, y float64) []Point { return []Point{{x, y}, {x + 1, y}, {x + 1, y + 1}, {x, y + 1}} }
	for name, c := range map[string]struct {
		p    Part
		want float64
	}{
		"disc outside":               {Part{"", []Point{{7, 2}}, 0.5}, 2.5},
		"disc touches":               {Part{"", []Point{{4.5, 2}}, 0.5}, 0},
		"disc off the corner":        {Part{"", []Point{{7, 8}}, 1}, 4},
		"disc half a metre in":       {Part{"", []Point{{3.5, 2}}, 0}, -0.5},
		"capsule passes over":        {Part{"", []Point{{-1, 2}, {5, 2}}, 0.1}, -0.1},
		"capsule beside":             {Part{"", []Point{{5, -1}, {5, 9}}, 0.25}, 0.75},
		"box outside":                {Part{"", box(6, 0), 0}, 2},
		"box with one corner in":     {Part{"", box(3.75, 3.75), 0}, -0.25},
		"box around the whole zone":  {Part{"", []Point{{-9, -9}, {9, -9}, {9, 9}, {-9, 9}}, 0}, 0},
		"edge crosses, no corner in": {Part{"", []Point{{3, -0.5}, {4.5, 1}, {6, -1}}, 0}, 0},
		"edge passes a corner":       {Part{"", []Point{{3.5, -1}, {5, 0.5}, {6, -1}}, 0}, 0.5 / math.Sqrt2},
		"nothing":                    {Part{}, math.Inf(1)},
	} {
		if got := c.p.Clearance(square); math.Abs(got-c.want) > 1e-12 && got != c.want {
			t.Errorf("%s: clearance %v, want %v", name, got, c.want)
		}
	}
}

func TestClearanceAgreesWithSampling(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		coord := rapid.Float64Range(-6, 10)
		var pts []Point
		for range rapid.IntRange(1, 5).Draw(rt, "n") {
			pts = append(pts, Point{coord.Draw(rt, "x"), coord.Draw(rt, "y")})
		}
		p := Part{"", hull(pts), rapid.Float64Range(0, 0.5).Draw(rt, "r")}
		got := p.Clearance(square)
		// Every convex combination of the corners belongs to the part: none may be closer than the answer.
		for range 50 {
			sum, q := 0.0, Point{}
			for _, c := range p.Points {
				k := rapid.Float64Range(0.001, 1).Draw(rt, "k")
				sum += k
				q.X += k * c.X
				q.Y += k * c.Y
			}
			q.X, q.Y = q.X/sum, q.Y/sum
			dx, dy := max(0-q.X, 0, q.X-4), max(0-q.Y, 0, q.Y-4)
			if d := math.Sqrt(dx*dx+dy*dy) - p.Radius; max(d, 0) < max(got, 0)-1e-9 {
				rt.Fatalf("point %v of the part is %v from the zone, clearance says %v", q, d, got)
			}
		}
	})
}

func TestHull(t *testing.T) {
	got := hull([]Point{{0, 0}, {1, 1}, {2, 0}, {1, 0.5}, {2, 2}, {0, 2}, {1, 0}})
	want := []Point{{0, 0}, {2, 0}, {2, 2}, {0, 2}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("hull (-want +got):\n%s", d)
	}
}

func TestInsideFollowsTheFloorAndThePlace(t *testing.T) {
	w := rig(t, Handlers{}, nil) // At (5, 12) on the ground floor, facing east.
	ahead := Polygon{{5.1, 11}, {6, 11}, {6, 13}, {5.1, 13}}
	far := Polygon{{5.6, 11}, {6, 11}, {6, 13}, {5.6, 13}}
	if !w.Inside("ground", ahead) || w.Inside("ground", far) {
		t.Errorf("clearances %v and %v: expected the near zone to be entered and the far one not",
			w.Clearance("ground", ahead), w.Clearance("ground", far))
	}
	if got := w.OutlineClearance(demoFootprint, "ground", far); math.Abs(got-0.15) > 1e-9 {
		t.Errorf("the footprint's front at 0.45 m is %v from a zone 0.60 m ahead", got)
	}
	if got := w.OutlineClearance(demoFootprint, "upper", far); !math.IsInf(got, 1) {
		t.Errorf("the footprint is %v from a zone of another floor", got)
	}
	if w.Inside("upper", ahead) {
		t.Error("a zone of another floor was entered")
	}
	if w.SetLoad(true); !w.Inside("ground", Polygon{{5.4, 11}, {6, 11}, {6, 13}, {5.4, 13}}) {
		t.Error("the tray reaches 0.42 m ahead and was not seen")
	}
}

// demoFootprint is the outline that the demonstration's robot profile states.
var demoFootprint = Polygon{
	{0.45, 0.22}, {0.30, 0.34}, {-0.15, 0.34}, {-0.28, 0.20}, {-0.28, -0.20}, {-0.15, -0.34}, {0.30, -0.34}, {0.45, -0.22},
}

func TestContourStaysWithinStatedFootprint(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := rig(t, Handlers{}, func(o *Options) { o.Seed = rapid.Uint64().Draw(rt, "seed") })
		w.SetLoad(rapid.Bool().Draw(rt, "loaded"))
		w.Manipulate(rapid.Bool().Draw(rt, "reach"))
		cmd := msg.Twist{
			Linear:  msg.Vec3{X: rapid.Float64Range(-2, 2).Draw(rt, "vx"), Y: rapid.Float64Range(-1, 1).Draw(rt, "vy")},
			Angular: msg.Vec3{Z: rapid.Float64Range(-2, 2).Draw(rt, "wz")},
		}
		for range 60 {
			drive(w, cmd, 50*time.Millisecond)
			at := w.Truth()
			sin, cos := math.Sincos(-at.Yaw)
			for _, part := range w.Contour() {
				for _, q := range part.Points {
					x, y := q.X-at.X, q.Y-at.Y
					local := Point{x*cos - y*sin, x*sin + y*cos}
					if !demoFootprint.Contains(local) || demoFootprint.edgeDistance(local) < part.Radius {
						rt.Fatalf("%s reaches %+v with radius %v, outside the footprint", part.Name, local, part.Radius)
					}
				}
			}
		}
	})
}
