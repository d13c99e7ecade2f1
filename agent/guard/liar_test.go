package guard

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// TestLiarsHoldTheRobotAtMost: somebody on the bus lies on one signal for three minutes, on and off. That holds the robot
// at most, and it goes on by itself once he is gone. In the off case a key counts for more: a signed stop stays.
func TestLiarsHoldTheRobotAtMost(t *testing.T) {
	lie := func(change func(r *rig, ev *Event)) func(*rig, bool) {
		return func(r *rig, on bool) {
			r.edit = nil
			if on {
				r.edit = func(ev *Event) bool { change(r, ev); return true }
			}
		}
	}
	for name, c := range map[string]struct {
		lies    func(r *rig, on bool)
		trigger interlock.Trigger
		stays   bool
	}{
		"joints beyond their stops": {lie(func(_ *rig, ev *Event) {
			if ev.Kind == EventJoints {
				ev.Joints.Position[0] = math.NaN()
			}
		}), interlock.JointsInvalid, false},
		"joints that are not there": {lie(func(_ *rig, ev *Event) {
			if ev.Kind == EventJoints {
				ev.Joints.Seen = 0
			}
		}), interlock.JointsMissing, false},
		"an empty battery": {lie(func(_ *rig, ev *Event) {
			if ev.Kind == EventDevice {
				ev.Device.ChargeRatio = 0
			}
		}), interlock.BatteryLow, false},
		// The price of a robot that falls without its battery: who lies about it makes it go down, and somebody has to look.
		"an empty battery, and it stands by balance": {lie(func(_ *rig, ev *Event) {
			if ev.Kind == EventDevice {
				ev.Device.ChargeRatio = 0
			}
		}), interlock.PostureDue, true},
		"impossible commands": {lie(func(_ *rig, ev *Event) {
			if ev.Kind == EventCommand {
				ev.Command.Linear.X = math.NaN()
			}
		}), interlock.CommandInvalid, false},
		"wrong answers": {func(r *rig, on bool) {
			for range 20 {
				if on {
					r.apply(Event{Kind: EventAnswer, Answer: Answer{Value: [16]byte{1, 2, 3}}})
				}
			}
		}, interlock.HeartbeatHostile, false},
		"a signed stop (off)": {func(r *rig, on bool) {
			if on {
				r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2}})
			}
		}, interlock.OrderStop, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := demoParams(t)
			if c.trigger == interlock.PostureDue {
				p = walkerParams(t)
				p.Posture.Config.Heat.Used = false // nobody speaks of it here
			}
			r := newRig(t, p, Start{}).ready()
			r.drive = func() (float64, float64) { return 0, 0 }
			seen := false
			worst := interlock.MotionFree
			for i := range 36 {
				c.lies(r, i%3 != 2)
				for range 50 {
					r.run(100 * time.Millisecond)
					seen = seen || r.active(c.trigger)
					worst = min(worst, r.motion())
				}
			}
			c.lies(r, false)
			r.run(30 * time.Second)
			if !seen {
				t.Fatalf("%v was never there", c.trigger)
			}
			if stays := !r.open() || !r.core.decision.LatchedSet.Empty(); stays != c.stays || (worst < interlock.MotionHold) != c.stays {
				t.Errorf("worst %v, afterwards %s", worst, r.state())
			}
		})
	}
}

// TestALiarAboutADeviceOrAnArm: what says that something runs which must not, is hearsay as well.
func TestALiarAboutADeviceOrAnArm(t *testing.T) {
	for zoneType, c := range map[string]struct {
		trigger interlock.Trigger
		lie     func(r *rig, on bool)
	}{
		"PRIVACY": {interlock.PerceptionOpen, func(r *rig, on bool) {
			r.apply(Event{Kind: EventDevice, Device: &msg.Device{Header: r.header(""), Kind: msg.Camera, Active: on}})
		}},
		"NO_MANIPULATION": {interlock.ManipulatorsUntold, func(r *rig, on bool) {
			r.edit = func(ev *Event) bool {
				if ev.Kind == EventJoints && on {
					for i := range ev.Joints.N {
						if r.params.Joints.Arms&(1<<i) != 0 {
							ev.Joints.Velocity[i] = 0.5
						}
					}
				}
				return true
			}
		}},
	} {
		t.Run(zoneType, func(t *testing.T) {
			r := driving(t, corridorZone(t, zoneType, ""))
			r.until("is in it", 30*time.Second, func() bool { return r.plant.x > 15.5 })
			r.drive = func() (float64, float64) { return 0, 0 }
			r.run(3 * time.Second)
			c.lie(r, true)
			r.until("is told", 5*time.Second, func() bool { return r.active(c.trigger) })
			r.run(5 * time.Second)
			if r.motion() != interlock.MotionHold || !r.core.decision.LatchedSet.Empty() {
				t.Errorf("while he lies: %s", r.state())
			}
			c.lie(r, false)
			r.run(10 * time.Second)
			if !r.open() {
				t.Errorf("after he has gone: %s", r.state())
			}
		})
	}
}
