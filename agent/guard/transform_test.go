package guard

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
)

func yaw(a float64) msg.Quat { return msg.Quat{Z: math.Sin(a / 2), W: math.Cos(a / 2)} }

func transform(parent, child string, x, y, a float64, stamp int64) *msg.Transform {
	return &msg.Transform{Header: msg.Header{Frame: parent, Stamp: stamp}, Child: child, Translation: msg.Vec3{X: x, Y: y}, Rotation: yaw(a)}
}

func TestChainComposesMapToBase(t *testing.T) {
	c := chain{frames: []string{"map", "odom", "base"}}
	if c.put(transform("map", "odom", 10, 0, math.Pi/2, 5), 3*time.Second) {
		t.Fatal("complete with one of two edges")
	}
	if c.put(transform("odom", "camera", 1, 1, 0, 5), 3*time.Second) {
		t.Fatal("an edge outside the chain completed it")
	}
	if !c.put(transform("odom", "base", 2, 1, math.Pi/2, 4), 4*time.Second) {
		t.Fatal("not complete with both edges")
	}
	var p msg.Pose
	c.pose(&p)
	// The odom frame is turned left: its x axis is the map's y axis.
	if math.Abs(p.Position.X-9) > 1e-12 || math.Abs(p.Position.Y-2) > 1e-12 || math.Abs(p.Orientation.W) > 1e-12 {
		t.Errorf("got %+v, want position (9, 2) and half a turn", p)
	}
	if p.Boot != 3*time.Second || p.Stamp != 4 || p.Frame != "map" || p.Child != "base" || p.HasCovariance {
		t.Errorf("age, frame or covariance are wrong: %+v", p.Header)
	}
}

func TestStaticEdgesDoNotAge(t *testing.T) {
	c := chain{frames: []string{"map", "odom", "base"}}
	old := transform("map", "odom", 0, 0, 0, 1)
	old.Static = true
	c.put(old, time.Second)
	c.put(transform("odom", "base", 0, 0, 0, 9), 9*time.Second)
	var p msg.Pose
	c.pose(&p)
	if p.Boot != 9*time.Second || p.Stamp != 9 {
		t.Errorf("age %v, stamp %d: want those of the moving edge", p.Boot, p.Stamp)
	}
}

func TestRotationKeepsLengths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := func(name string) float64 { return rapid.Float64Range(-100, 100).Draw(t, name) }
		v := msg.Vec3{X: f("x"), Y: f("y"), Z: f("z")}
		q := multiply(yaw(f("a")), msg.Quat{X: math.Sin(f("b")), W: 0})
		n := math.Sqrt(q.X*q.X + q.Y*q.Y + q.Z*q.Z + q.W*q.W)
		if n < 1e-3 {
			t.Skip("no rotation")
		}
		q = msg.Quat{X: q.X / n, Y: q.Y / n, Z: q.Z / n, W: q.W / n}
		if got, want := norm(rotate(q, v)), norm(v); math.Abs(got-want) > 1e-9*(1+want) {
			t.Fatalf("length %v became %v", want, got)
		}
	})
}
