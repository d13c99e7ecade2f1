package guard

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// TestInputsThatFalterAtTheStartLatchNothing: drivers that come up fall silent once more. Nobody let the robot move yet, and
// nobody saw it move, so that it opens by itself once they are back. Off: whoever was let move, or was seen to, is not known to
// stand.
func TestInputsThatFalterAtTheStartLatchNothing(t *testing.T) {
	for name, c := range map[string]struct {
		before func(r *rig)
		latch  bool
		start  Start
	}{
		"at once":          {func(r *rig) { r.run(50 * time.Millisecond) }, false, Start{}},
		"while it settles": {func(r *rig) { r.run(300 * time.Millisecond) }, false, Start{}},
		"it was seen to stand": {func(r *rig) {
			r.until("stands", 5*time.Second, func() bool { return r.core.motion.State == interlock.Standing })
		}, false, Start{}},
		"it rolls (off)": {func(r *rig) {
			r.plant.ignore, r.plant.want.v, r.plant.v = true, 0.3, 0.3
			r.until("moves", 5*time.Second, func() bool { return r.core.motion.State == interlock.Moving })
		}, true, Start{}},
		"it was opened (off)":       {func(r *rig) { r.until("opens", 15*time.Second, r.open) }, true, Start{}},
		"it crashed while it moved": {func(r *rig) { r.run(50 * time.Millisecond) }, true, Start{Unclean: true, Crashed: true}},
		"its computer had no power": {func(r *rig) { r.run(50 * time.Millisecond) }, false, Start{Unclean: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), c.start)
			c.before(r)
			for _, input := range []string{"odometry", "joints", "imu", "pose"} {
				r.off[input] = true
			}
			r.run(8 * time.Second)
			if r.open() {
				t.Errorf("open without inputs: %s", r.state())
			}
			r.off, r.plant.ignore, r.plant.want.v, r.plant.v = map[string]bool{}, false, 0, 0
			r.run(15 * time.Second)
			if c.start.Unclean && !c.latch {
				if res := r.reset(interlock.RoleOperator); !res.Applied {
					t.Fatalf("the operator cannot reset: %+v %s", res, r.state())
				}
				r.until("opens", 15*time.Second, r.open)
			}
			if got := r.latched(interlock.StopUnconfirmed); got != c.latch || r.open() == c.latch {
				t.Errorf("latched %t, open %t: %s", got, r.open(), r.state())
			}
		})
	}
}

func TestStartsClosedAndOpensOnlyWithEveryRequiredInput(t *testing.T) {
	p := demoParams(t)
	for _, missing := range []string{"", "pose", "floor", "odometry", "joints", "imu", "battery", "graph", "tick", "operator"} {
		t.Run("without "+missing, func(t *testing.T) {
			r := newRig(t, p, Start{})
			r.off[missing] = true
			if missing == "operator" {
				r.operator = "away"
			}
			r.drive = func() (float64, float64) { return 0.3, 0 }
			opened := false
			r.each = func(_ *Event, fx *Effects) {
				opened = opened || fx.Send && fx.Command.Linear.X != 0 || fx.SendLock && !fx.Locked
			}
			r.run(20 * time.Second)
			if want := missing == ""; opened != want {
				t.Errorf("opened %t, expected %t: %s", opened, want, r.state())
			}
		})
	}
}

func TestHeartbeatLostHoldsThenStopsAndNeedsASignedReset(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	r.drive = func() (float64, float64) { return 0.5, 0 }
	r.run(2 * time.Second)
	if r.plant.v < 0.4 {
		t.Fatalf("does not drive: %v m/s, %s", r.plant.v, r.state())
	}
	r.operator = "away"
	held := r.until("holds", time.Second, func() bool { return r.motion() == interlock.MotionHold })
	stopped := r.until("stops", 3*time.Second, func() bool { return r.motion() == interlock.MotionStop })
	t.Logf("held after %v, stopped after %v more", held, stopped)
	r.operator = "run"
	r.until("stands", 3*time.Second, func() bool { return r.core.motion.State == interlock.Standing })
	r.run(10 * time.Second)
	if r.motion() != interlock.MotionStop || r.plant.v != 0 {
		t.Fatalf("goes on without a reset: %s", r.state())
	}
	if res := r.reset(interlock.RoleService); res.Applied {
		t.Errorf("the wrong role reset it")
	}
	r.run(time.Second)
	if res := r.reset(interlock.RoleOperator); !res.Applied {
		t.Fatalf("the operator cannot reset: %+v %s", res, r.state())
	}
	start := r.now
	r.drive = nil
	r.run(2 * time.Second)
	if r.last.v != 0 {
		t.Error("moves without a fresh command")
	}
	r.drive = func() (float64, float64) { return 0.5, 0 }
	r.until("drives again", 5*time.Second, func() bool { return r.plant.v > 0.3 })
	t.Logf("drives %v after the reset", r.now-start)
}

// TestResetAfterAnUncleanEndDrivesNobodyOn has a planner that never stops sending, through a kill and its reset.
func TestResetAfterAnUncleanEndDrivesNobodyOn(t *testing.T) {
	for name, neutral := range map[string]bool{"never neutral": false, "off: neutral once": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{Unclean: true})
			speed := 0.5
			r.drive = func() (float64, float64) { return speed, 0 }
			r.until("a latch that only a reset ends", 15*time.Second, func() bool {
				return r.latched(interlock.RestartUnclean) && r.core.motion.State == interlock.Standing && !r.active(interlock.Startup)
			})
			r.run(3 * time.Second)
			if res := r.reset(interlock.RoleOperator); !res.Applied {
				t.Fatalf("the operator cannot reset: %+v %s", res, r.state())
			}
			r.until("opens", 15*time.Second, r.open)
			if neutral {
				speed = 0
				r.run(500 * time.Millisecond)
				speed = 0.5
			}
			moved := 0.0
			for range 100 {
				r.run(50 * time.Millisecond)
				moved = max(moved, r.plant.v)
			}
			if drives := moved > 0.1; drives != neutral {
				t.Errorf("fastest %.2f m/s after the reset: expected to drive %t", moved, neutral)
			}
		})
	}
}
