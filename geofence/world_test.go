package geofence

import (
	"math"
	"testing"
	"time"
)

// tb is what helpers need of a test, a fuzz target, a benchmark or a property.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// wheels is a robot of 0.8 m × 0.6 m as most tests use it.
func wheels() Robot {
	return Robot{
		Footprint:   []Vertex{{400, 300}, {-400, 300}, {-400, -300}, {400, -300}},
		MaxSpeedMPS: 1.5, MaxYawRateRadPS: 1.5, AccelMPS2: 1, DecelMPS2: 1, AngularDecelRadPS2: 2,
		Reaction: 300 * time.Millisecond, CommandPeriod: 50 * time.Millisecond, CreepMPS: 0.1, CreepYawRateRadPS: 0.2,
		SigmaK: 2.45, MapErrorM: 0.03, PoseMaxAge: 300 * time.Millisecond, PoseMaxFuture: 50 * time.Millisecond,
		MinStdDevM: 0.005, SlowStdDevM: 0.10, MaxStdDevM: 0.25,
		FreezeAfter: time.Second, JumpSlackM: 0.05, JumpSlackRad: 0.05,
		RecoverPoses: 10, RecoverDwell: time.Second, ReleaseMarginM: 0.15, ReleaseDwell: 2 * time.Second,
	}
}

func rect(x0, y0, x1, y1 int32) []Vertex {
	return []Vertex{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}
}

// site is one floor "f0" with the given zones, everything allowed elsewhere.
func site(zones ...ZoneSpec) Spec {
	for i := range zones {
		if zones[i].Floor == "" {
			zones[i].Floor = "f0"
		}
	}
	return Spec{Floors: []FloorSpec{{ID: "f0", WithoutKeepIn: Allow}, {ID: "f1", WithoutKeepIn: Allow}}, Zones: zones}
}

// wall is a blocked half-plane for x >= x0.
func wall(x0 int32) ZoneSpec {
	return ZoneSpec{ID: "wall", Kind: Blocked, Outer: rect(x0, -50_000, x0+50_000, 50_000)}
}

func compile(t tb, spec Spec, robot Robot) *Set {
	t.Helper()
	set, err := Compile(spec, robot)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return set
}

// epoch is a Monday noon in UTC.
func epoch() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// rig drives a fence with poses that have no faults.
type rig struct {
	*Fence
	now Instant
	in  Inputs
	out Verdict
}

func newRig(t tb, spec Spec, robot Robot) *rig {
	t.Helper()
	r := &rig{Fence: New(compile(t, spec, robot))}
	r.now = Instant{Boot: 100 * time.Second, Civil: epoch(), Trust: ClockTrusted}
	r.in.Roles = 1
	r.in.Pose = Pose{
		QW: 1, FrameOK: true, HasCovariance: true, VarX: 1e-4, VarY: 1e-4, VarYaw: 1e-6,
	}
	return r
}

func (r *rig) pass(d time.Duration) { r.now.Boot += d; r.now.Civil = r.now.Civil.Add(d) }

// at gives a new pose now and steps.
func (r *rig) at(x, y, yaw float64) *Verdict {
	p := &r.in.Pose
	p.Seen, p.Boot, p.StampNS = true, r.now.Boot, r.now.Civil.UnixNano()
	p.X, p.Y, p.QZ, p.QW = x, y, math.Sin(yaw/2), math.Cos(yaw/2)
	return r.step()
}

// step gives the velocity as measured now and steps.
func (r *rig) step() *Verdict {
	r.in.Velocity.Known, r.in.Velocity.Boot = true, r.now.Boot
	r.Step(r.now, &r.in, &r.out)
	return &r.out
}

func (r *rig) limit(v Velocity) Limit { return r.Limit(r.now, v) }

func TestFenceStopsBeforeAWall(t *testing.T) {
	r := newRig(t, site(wall(5000)), wheels())
	v := r.at(0, 0, 0)
	if v.Faults != 0 || v.Hold || v.Place != Outside {
		t.Fatalf("far away: %+v", v)
	}
	if l := r.limit(Velocity{VX: 1}); l.Ratio != 1 {
		t.Fatalf("far away: %+v", l)
	}
	r.pass(100 * time.Second)
	v = r.at(4.0, 0, 0)
	l := r.limit(Velocity{VX: 1})
	t.Logf("%+v\n%+v", v, l)
	if !(l.Ratio > 0 && l.Ratio < 1) || l.Reason != ReasonEdgeAhead || l.Zone != 0 {
		t.Fatalf("near: %+v", l)
	}
}
