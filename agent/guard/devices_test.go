package guard

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// deviceParams is the demonstration's robot with a relay on its ladder and three inputs.
func deviceParams(tb testing.TB) *Params {
	tb.Helper()
	p := demoParams(tb)
	p.Ladder.Rungs[p.Ladder.N] = interlock.Rung{Kind: interlock.RungRelay, AckWithin: 200 * time.Millisecond, Independent: true}
	p.Actuators = []ActuatorParams{{Name: "stop-relay", Rung: p.Ladder.N}}
	p.Ladder.N++
	for i := range p.Ladder.N - 1 {
		p.Ladder.Rungs[i].Independent = false // so that the relay alone makes it enforcing
	}
	p.Inputs = []InputParams{
		{Name: "rear-estop", Means: interlock.InputEStop}, {Name: "hatch", Means: interlock.InputDoor}, {Name: "front-bumper", Means: interlock.InputBumper},
	}
	return p
}

// TestDevicesRestrict lets one device or input go wrong while the robot drives.
func TestDevicesRestrict(t *testing.T) {
	p := deviceParams(t)
	input := func(i int, s InputState) func(*rig) { return func(r *rig) { r.lines[i] = s } }
	relay := func(f DeviceFault) func(*rig) { return func(r *rig) { r.relay = f } }
	for _, c := range []struct {
		name  string
		fault func(r *rig)
		want  interlock.Trigger
		most  interlock.Motion
		in    time.Duration
		stays bool
		says  bool // advisory
	}{
		{"nothing (off)", func(*rig) {}, interlock.NumTriggers, interlock.MotionFree, 0, false, false},
		{"e-stop pressed", input(0, InputActive), interlock.InputEStop, interlock.MotionStop, 20 * time.Millisecond, true, false},
		{"door open", input(1, InputActive), interlock.InputDoor, interlock.MotionHold, 20 * time.Millisecond, false, false},
		{"bumper pressed", input(2, InputActive), interlock.InputBumper, interlock.MotionStop, 20 * time.Millisecond, true, false},
		{"contacts of the e-stop differ", input(0, InputDiffers), interlock.InputStuck, interlock.MotionHold, 20 * time.Millisecond, true, false},
		{"door's contact chatters", input(1, InputChatters), interlock.InputStuck, interlock.MotionHold, 20 * time.Millisecond, true, false},
		{"bumper unreadable", input(2, InputUnreadable), interlock.InputStuck, interlock.MotionHold, 20 * time.Millisecond, true, false},
		{"a state from another version", input(2, 99), interlock.InputStuck, interlock.MotionHold, 20 * time.Millisecond, true, false},
		{"inputs silent", func(r *rig) { r.off["inputs"] = true }, interlock.InputStuck, interlock.MotionHold, 2 * time.Second, true, false},
		{"relay silent", func(r *rig) { r.off["actuators"] = true }, interlock.ActuatorSilent, interlock.MotionFree, 2 * time.Second, false, true},
		{"relay says that it does not answer", relay(DeviceSilent), interlock.ActuatorSilent, interlock.MotionFree, 500 * time.Millisecond, false, true},
		{"relay refuses", relay(DeviceRefused), interlock.ActuatorSilent, interlock.MotionFree, 500 * time.Millisecond, false, true},
		{"relay gone", relay(DeviceGone), interlock.ActuatorSilent, interlock.MotionFree, 500 * time.Millisecond, false, true},
		{"relay babbles", relay(DeviceMalformed), interlock.ActuatorSilent, interlock.MotionFree, 500 * time.Millisecond, false, true},
		{"a fault from another version", relay(99), interlock.ActuatorSilent, interlock.MotionFree, 500 * time.Millisecond, false, true},
		{"bus off", relay(DeviceBusOff), interlock.ActuatorBusOff, interlock.MotionFree, 500 * time.Millisecond, false, true},
		{"permit taken by somebody else", relay(DeviceMismatch), interlock.PermitLost, interlock.MotionHold, 500 * time.Millisecond, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, p, Start{})
			r.plant.x = 4.2
			r.drive = func() (float64, float64) { return 0.2, 0 }
			r.ready()
			if s := r.core.status(); s.Advisory || len(s.Actuators) != 1 || s.Actuators[0] != (DeviceStatus{"stop-relay", "works", "run"}) ||
				len(s.Inputs) != 3 || s.Inputs[0] != (DeviceStatus{Name: "rear-estop", State: "released"}) {
				t.Fatalf("advisory %t, actuators %+v, inputs %+v", s.Advisory, s.Actuators, s.Inputs)
			}
			c.fault(r)
			if c.want == interlock.NumTriggers {
				r.run(5 * time.Second)
				if !r.open() || r.plant.v < 0.15 {
					t.Fatalf("closed without a fault: %s", r.state())
				}
				return
			}
			r.until(c.want.String(), c.in+simReport, func() bool { return r.active(c.want) })
			if r.motion() > c.most || r.latched(c.want) != c.stays || r.core.status().Advisory != c.says {
				t.Errorf("motion %s, latched %t, advisory %t: %s", r.motion(), r.latched(c.want), r.core.status().Advisory, r.state())
			}
			for _, tr := range r.core.status().Triggers {
				if tr.Code == c.want.String() && tr.Subject == "" && !r.off["inputs"] {
					t.Errorf("%s does not name the device", tr.Code)
				}
			}
			if c.most <= interlock.MotionHold {
				r.until("stands", 3*time.Second, func() bool { return math.Abs(r.plant.v) < 0.001 })
			}
		})
	}
}

// TestStartWaitsForDevices: what has never reported holds the robot, and a device that does not come is named.
func TestStartWaitsForDevices(t *testing.T) {
	p := deviceParams(t)
	for name, c := range map[string]struct{ open, silent bool }{"": {true, false}, "inputs": {false, false}, "actuators": {true, true}} {
		t.Run("without "+name, func(t *testing.T) {
			r := newRig(t, p, Start{})
			r.off[name] = true
			r.run(15 * time.Second)
			if r.open() != c.open || r.active(interlock.ActuatorSilent) != c.silent || r.core.status().Advisory != c.silent {
				t.Errorf("open %t, silent %t: %s", r.open(), r.active(interlock.ActuatorSilent), r.state())
			}
		})
	}
}
