package geofence

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// goalAt is a goal that nothing but its place is wrong with.
func goalAt(now Instant, x, y float64) Inputs {
	return Inputs{
		Roles: 1, Velocity: Measured{Known: true, Boot: now.Boot},
		Pose: Pose{Seen: true, Boot: now.Boot, StampNS: now.Civil.UnixNano(), X: x, Y: y, QW: 1, FrameOK: true, HasCovariance: true, VarX: 1e-6, VarY: 1e-6, VarYaw: 1e-6},
	}
}

// TestGoalForgets: the answer about a goal is that of a fence which has just begun, whatever was asked before, far away, on
// another floor or at another time. Step, which remembers, is the off case.
func TestGoalForgets(t *testing.T) {
	set := compile(t, site(wall(5000)), wheels())
	asked, stepped, differs := New(set), New(set), false
	rapid.Check(t, func(t *rapid.T) {
		now := Instant{Boot: time.Duration(rapid.IntRange(1, 1000).Draw(t, "boot")) * time.Second, Civil: epoch(), Trust: ClockTrusted}
		in := goalAt(now, rapid.Float64Range(-20, 20).Draw(t, "x"), rapid.Float64Range(-20, 20).Draw(t, "y"))
		in.Pose.Floor = rapid.IntRange(-1, 1).Draw(t, "floor")
		in.Roles = rapid.SampledFrom([]uint64{0, 1}).Draw(t, "roles")
		var got, want, kept Verdict
		asked.Goal(now, &in, &got)
		New(set).Step(now, &in, &want)
		if got != want {
			t.Fatalf("asked again and again %+v, asked first %+v", got, want)
		}
		stepped.Step(now, &in, &kept)
		differs = differs || kept != want
	})
	if !differs {
		t.Error("a fence that remembers never answers otherwise: the test cannot fail")
	}
}

func TestGoalDoesNotAllocate(t *testing.T) {
	f := New(compile(t, site(wall(5000)), wheels()))
	now := Instant{Boot: time.Hour, Civil: epoch(), Trust: ClockTrusted}
	in := goalAt(now, 1, 1)
	var out Verdict
	if n := testing.AllocsPerRun(100, func() { f.Goal(now, &in, &out) }); n != 0 || out.Place != Outside {
		t.Errorf("%v allocations, %+v", n, out)
	}
	in.Pose.X = 5
	if f.Goal(now, &in, &out); out.Place != Inside || out.Zone != 0 {
		t.Errorf("in the wall: %+v", out)
	}
}
