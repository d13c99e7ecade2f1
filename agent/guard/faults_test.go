package guard

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// TestFaultsRestrict lets one thing go wrong while the robot drives.
func TestFaultsRestrict(t *testing.T) {
	p := demoParams(t)
	edit := func(kind EventKind, f func(ev *Event)) func(r *rig) {
		return func(r *rig) {
			r.edit = func(ev *Event) bool {
				if ev.Kind == kind {
					f(ev)
				}
				return true
			}
		}
	}
	for _, c := range []struct {
		name  string
		fault func(r *rig)
		want  interlock.Trigger
		most  interlock.Motion // the loosest motion that may hold
		in    time.Duration
		stays bool // latched after the cause has gone
	}{
		{"nothing (off)", func(*rig) {}, interlock.NumTriggers, interlock.MotionFree, 0, false},
		{"pose silent", func(r *rig) { r.off["pose"] = true }, interlock.PoseStale, interlock.MotionHold, 400 * time.Millisecond, false},
		{"pose NaN", edit(EventPose, func(ev *Event) { ev.Pose.Position.X = math.NaN() }), interlock.PoseInvalid, interlock.MotionHold, 100 * time.Millisecond, false},
		{"pose jumps", edit(EventPose, func(ev *Event) { ev.Pose.Position.X += 3 }), interlock.PoseJump, interlock.MotionHold, 100 * time.Millisecond, false},
		{"pose in another frame", edit(EventPose, func(ev *Event) { ev.Pose.Frame = "odom" }), interlock.PoseFrame, interlock.MotionHold, 100 * time.Millisecond, false},
		{"pose without covariance", edit(EventPose, func(ev *Event) { ev.Pose.HasCovariance = false }), interlock.PoseCovariance, interlock.MotionLimited, 800 * time.Millisecond, false},
		{"pose from the future", edit(EventPose, func(ev *Event) { ev.Pose.Stamp += int64(time.Second) }), interlock.PoseFuture, interlock.MotionHold, 100 * time.Millisecond, false},
		{"pose frozen", func(r *rig) {
			at := msg.Vec3{X: r.plant.x, Y: r.plant.y}
			edit(EventPose, func(ev *Event) { ev.Pose.Position = at })(r)
		}, interlock.PoseFrozen, interlock.MotionHold, 2500 * time.Millisecond, false},
		{"odometry silent", func(r *rig) { r.off["odometry"] = true }, interlock.OdometryMissing, interlock.MotionLimited, 800 * time.Millisecond, false},
		{"odometry NaN", edit(EventOdometry, func(ev *Event) { ev.Pose.Twist.Linear.X = math.NaN() }), interlock.OdometryMissing, interlock.MotionLimited, 800 * time.Millisecond, false},
		{"joints silent", func(r *rig) { r.off["joints"] = true }, interlock.JointsMissing, interlock.MotionHold, 800 * time.Millisecond, false},
		{"joints incomplete", edit(EventJoints, func(ev *Event) { ev.Joints.Seen &^= 4 }), interlock.JointsMissing, interlock.MotionHold, 500 * time.Millisecond, false},
		{"joint NaN", edit(EventJoints, func(ev *Event) { ev.Joints.Position[3] = math.NaN() }), interlock.JointsInvalid, interlock.MotionHold, 100 * time.Millisecond, false},
		{"floor unknown", func(r *rig) { r.floor = -1 }, interlock.PoseFloor, interlock.MotionHold, 1100 * time.Millisecond, false},
		{"second publisher on the input", func(r *rig) { r.publishers["/cmd_vel_raw"] = []string{"/planner", "/planner2"} }, interlock.PublisherUnknown, interlock.MotionStop, 1100 * time.Millisecond, true},
		{"publisher behind the gate", func(r *rig) { r.publishers["/cmd_vel"] = []string{nodeName, "/evil"} }, interlock.PublisherSecond, interlock.MotionHold, 1500 * time.Millisecond, true},
		{"the base listens to somebody else", func(r *rig) { r.sources["/cmd_vel"] = []string{nodeName, "/evil"} }, interlock.GateBypass, interlock.MotionStop, 1100 * time.Millisecond, true},
		{"lock contested in the graph", func(r *rig) { r.publishers["/robowarden/lock"] = []string{nodeName, "/evil"} }, interlock.LockContested, interlock.MotionStop, 1100 * time.Millisecond, true},
		{"lock contested by a value", func(r *rig) {
			r.apply(Event{Kind: EventLock, Lock: &msg.Bool{Header: r.header("")}})
		}, interlock.LockContested, interlock.MotionStop, 50 * time.Millisecond, true},
		{"graph silent", func(r *rig) { r.off["graph"] = true }, interlock.BusLost, interlock.MotionHold, 3500 * time.Millisecond, false},
		{"gate unregistered", func(r *rig) { r.publishers["/cmd_vel"] = nil }, interlock.GateUnregistered, interlock.MotionHold, 2 * time.Second, false},
		{"journal unwritable", func(r *rig) { r.journal = JournalFailing }, interlock.JournalUnwritable, interlock.MotionDockOnly, 1500 * time.Millisecond, false},
		{"journal overflows", func(r *rig) { r.journal = JournalOverflows }, interlock.JournalUnwritable, interlock.MotionDockOnly, 1500 * time.Millisecond, false},
		{"clock steps ahead", func(r *rig) { r.skew = int64(time.Hour) }, interlock.ClockJump, interlock.MotionHold, 100 * time.Millisecond, false},
		{"clock before the newest signed time", func(r *rig) { r.skew = -int64(365 * 24 * time.Hour) }, interlock.ClockJump, interlock.MotionHold, 100 * time.Millisecond, false},
		{"ticks stop", func(r *rig) { r.off["tick"] = true }, interlock.LoopOverrun, interlock.MotionHold, 500 * time.Millisecond, false},
		{"wrong answers", func(r *rig) {
			for range 6 {
				r.apply(Event{Kind: EventAnswer, Answer: Answer{}})
			}
		}, interlock.HeartbeatHostile, interlock.MotionHold, 50 * time.Millisecond, false},
		{"operator asks to stop", func(r *rig) { r.operator = "stop" }, interlock.StopRequested, interlock.MotionStop, 500 * time.Millisecond, true},
		{"stop order", func(r *rig) {
			r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
		}, interlock.OrderStop, interlock.MotionStop, 10 * time.Millisecond, true},
		{"disk set back", func(r *rig) {
			r.apply(Event{Kind: EventAge, Age: Age{AgeSetBack, interlock.CauseBehind}})
		}, interlock.StateRolledBack, interlock.MotionStop, 10 * time.Millisecond, true},
		{"the guard ends", func(r *rig) { r.apply(Event{Kind: EventEnd}) }, interlock.Terminating, interlock.MotionHold, 10 * time.Millisecond, false},
		{"battery empty", edit(EventDevice, func(ev *Event) { ev.Device.ChargeRatio = 0.02 }), interlock.BatteryLow, interlock.MotionDockOnly, 12 * time.Second, false},
		{"battery unknown", edit(EventDevice, func(ev *Event) { ev.Device.ChargeRatio = math.NaN() }), interlock.BatteryLow, interlock.MotionDockOnly, 12 * time.Second, false},
		{"battery infinite", edit(EventDevice, func(ev *Event) { ev.Device.ChargeRatio = math.Inf(1) }), interlock.BatteryLow, interlock.MotionDockOnly, 12 * time.Second, false},
		{"battery in percent", edit(EventDevice, func(ev *Event) { ev.Device.ChargeRatio = 5 }), interlock.BatteryLow, interlock.MotionDockOnly, 12 * time.Second, false},
		{"battery silent", func(r *rig) { r.off["battery"] = true }, interlock.BatteryLow, interlock.MotionDockOnly, 90 * time.Second, false},
		{"commands NaN", func(r *rig) { r.drive = func() (float64, float64) { return math.NaN(), 0 } }, interlock.CommandInvalid, interlock.MotionHold, time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, p, Start{})
			r.plant.x = 4.2
			r.drive = func() (float64, float64) { return 0.2, 0 }
			r.ready()
			c.fault(r)
			if c.want == interlock.NumTriggers {
				r.run(5 * time.Second)
				if !r.open() || r.plant.v < 0.15 {
					t.Fatalf("closed without a fault: %s", r.state())
				}
				return
			}
			r.until(c.want.String(), c.in, func() bool { return r.active(c.want) })
			if r.motion() > c.most {
				t.Errorf("motion %s, expected at most %s: %s", r.motion(), c.most, r.state())
			}
			if r.latched(c.want) != c.stays {
				t.Errorf("latched %t, expected %t", r.latched(c.want), c.stays)
			}
			if c.most > interlock.MotionHold {
				return
			}
			r.until("stands", 3*time.Second, func() bool { return math.Abs(r.plant.v) < 0.001 })
		})
	}
}

// TestAgeOfTheDisk: a disk that was set back stays stopped until a reset, and one of which nobody knows is named as such.
func TestAgeOfTheDisk(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	r.plant.x = 4.2
	r.ready()
	check := func(what string, unproven, open bool) {
		t.Helper()
		r.run(100 * time.Millisecond)
		if r.active(interlock.StateUnproven) != unproven || r.open() != open {
			t.Errorf("%s: unproven %t, open %t, expected %t and %t: %s", what, r.active(interlock.StateUnproven), r.open(), unproven, open, r.state())
		}
	}
	tell := func(s AgeState, c interlock.Cause) { r.apply(Event{Kind: EventAge, Age: Age{s, c}}) }
	check("nobody has told (off)", false, true)
	tell(AgeUnproven, interlock.CauseUncounted)
	check("no TPM", true, true)
	tell(numAgeStates, interlock.CauseNone)
	check("a state that nobody knows", true, true)
	tell(AgeProven, interlock.CauseNone)
	check("proven", false, true)
	tell(AgeSetBack, interlock.CauseCounterReplaced)
	check("set back", true, false)
	tell(AgeProven, interlock.CauseNone)
	check("proven since, and nobody has reset it", false, false)
	r.run(3 * time.Second)
	r.reset(interlock.RoleOperator)
	check("an operator may not", false, false)
	r.reset(interlock.RoleSupervisor)
	check("reset", false, true)
}

func TestInsideNamesItsCause(t *testing.T) {
	p := demoParams(t)
	r := newRig(t, p, Start{})
	r.plant.y = 11
	r.ready()
	r.plant.ignore = true
	r.plant.yaw, r.plant.x = math.Pi/2, 5
	r.core.body.pose.p.X = 5
	for range 1500 {
		r.plant.want.v, r.plant.queue = 0.5, nil
		r.step()
	}
	if !r.active(interlock.ZoneInside) {
		t.Fatalf("not inside: %s", r.state())
	}
	if !strings.Contains(r.state(), interlock.CauseEnteredZone.Text()) {
		t.Errorf("expected the cause %q: %s", interlock.CauseEnteredZone.Text(), r.state())
	}
}
