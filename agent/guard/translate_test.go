package guard

import (
	"math"
	"math/bits"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// TestEveryPoseFaultHasATrigger compares the table with the geofence, whose own faults end where naming them ends.
func TestEveryPoseFaultHasATrigger(t *testing.T) {
	var have geofence.FaultSet
	for _, f := range poseFaults {
		if bits.OnesCount32(uint32(f.fault)) != 1 {
			t.Errorf("%v is not one fault", f.fault)
		}
		if have&f.fault != 0 {
			t.Errorf("%v is there twice", f.fault)
		}
		have |= f.fault
	}
	for bit := geofence.FaultPoseMissing; bit <= geofence.FaultNotValid; bit <<= 1 {
		if have&bit == 0 {
			t.Errorf("fault %v has no trigger: the robot would not be held for it", bit)
		}
	}
	if next := geofence.FaultNotValid << 1; next.String() != geofence.FaultSet(1<<31).String() && next.String() != "" {
		t.Logf("the fault after the last is named %q", next)
	}
}

// TestEveryConditionIsSet: with every input good, no trigger's condition is left unknown, or its cause could never be seen
// to have gone.
func TestEveryConditionIsSet(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictAccepted, Tier: TierTPM, Until: r.now + time.Hour}})
	for trigger, c := range r.core.inputs.Conditions {
		if c.State == interlock.Unknown {
			t.Errorf("%s is unknown with every input good", interlock.Trigger(trigger)) //nolint:gosec // an index
		}
		if c.State == interlock.Present {
			t.Errorf("%s is present with every input good: %v", interlock.Trigger(trigger), c.Cause) //nolint:gosec // as above
		}
	}
}

// worsen makes one input worse. Every entry must leave all else as it is.
var worsen = []struct {
	name string
	do   func(ev *Event, amount float64)
}{
	{"pose missing", nil},
	{"pose older", func(ev *Event, a float64) {
		if ev.Kind == EventPose {
			ev.Pose.Stamp -= int64(a * 1e9)
		}
	}},
	{"pose stamp zero", func(ev *Event, _ float64) {
		if ev.Kind == EventPose {
			ev.Pose.Stamp = 0
		}
	}},
	{"pose NaN", func(ev *Event, _ float64) {
		if ev.Kind == EventPose {
			ev.Pose.Orientation.W = math.NaN()
		}
	}},
	{"pose frame", func(ev *Event, _ float64) {
		if ev.Kind == EventPose {
			ev.Pose.Frame = ""
		}
	}},
	{"pose covariance zero", func(ev *Event, _ float64) {
		if ev.Kind == EventPose {
			ev.Pose.Covariance = [36]float64{}
		}
	}},
	{"pose covariance larger", func(ev *Event, a float64) {
		if ev.Kind == EventPose {
			ev.Pose.Covariance[0] += a * a
			ev.Pose.Covariance[7] += a * a
		}
	}},
	{"pose covariance asymmetric", func(ev *Event, a float64) {
		if ev.Kind == EventPose {
			ev.Pose.Covariance[1] = 1e-6 * a
		}
	}},
	{"velocity infinite", func(ev *Event, _ float64) {
		if ev.Kind == EventOdometry {
			ev.Pose.Twist.Linear.Y = math.Inf(1)
		}
	}},
	{"velocity missing", func(ev *Event, _ float64) {
		if ev.Kind == EventOdometry {
			ev.Pose.HasTwist = false
		}
	}},
	{"joints fewer", func(ev *Event, a float64) {
		if ev.Kind == EventJoints {
			ev.Joints.Seen &^= 1 << (int(a*100) % ev.Joints.N)
		}
	}},
	{"joints without velocity", func(ev *Event, _ float64) {
		if ev.Kind == EventJoints {
			ev.Joints.HasVelocity = false
		}
	}},
	{"imu NaN", func(ev *Event, _ float64) {
		if ev.Kind == EventIMU {
			ev.IMU.AngularVelocity.X = math.NaN()
		}
	}},
	{"imu without rate", func(ev *Event, _ float64) {
		if ev.Kind == EventIMU {
			ev.IMU.HasAngularVelocity = false
		}
	}},
	{"floor unknown", func(ev *Event, _ float64) {
		if ev.Kind == EventFloor {
			ev.Floor = -1
		}
	}},
	{"graph unknown", func(ev *Event, _ float64) {
		if ev.Kind == EventGraph {
			ev.Graph.Known = false
		}
	}},
	{"graph: one more publisher", func(ev *Event, _ float64) {
		if g := ev.Graph; ev.Kind == EventGraph && g.Total < msg.MaxPublishers {
			g.Publishers[g.Total] = "/zz"
			g.Total++
		}
	}},
	{"graph: more than can be named", func(ev *Event, a float64) {
		if ev.Kind == EventGraph {
			ev.Graph.Total += 1 + int(a*100)
		}
	}},
	{"graph: consumer silent", func(ev *Event, _ float64) {
		if ev.Kind == EventGraph {
			ev.Graph.ConsumerKnown = false
		}
	}},
	{"graph: not registered", func(ev *Event, _ float64) {
		if ev.Kind == EventGraph {
			ev.Graph.Registered = false
		}
	}},
	{"battery unknown", func(ev *Event, _ float64) {
		if ev.Kind == EventDevice {
			ev.Device.ChargeRatio = math.NaN()
		}
	}},
	{"clock untrusted", func(ev *Event, _ float64) {
		if ev.Kind == EventTick {
			ev.Tick.Trust = 0
		}
	}},
	{"journal", func(ev *Event, _ float64) {
		if ev.Kind == EventTick {
			ev.Tick.Journal = JournalFailing
		}
	}},
	{"tick late", func(ev *Event, a float64) {
		if ev.Kind == EventTick {
			ev.Tick.Late += time.Duration(a * float64(time.Second))
		}
	}},
	{"command from nobody", func(ev *Event, _ float64) {
		if ev.Kind == EventCommand {
			ev.Command.Peer = nil
		}
	}},
	{"answer wrong", func(ev *Event, _ float64) {
		if ev.Kind == EventAnswer {
			ev.Answer.Valid = false
		}
	}},
	{"answer asks to stop", func(ev *Event, _ float64) {
		if ev.Kind == EventAnswer {
			ev.Answer.Stop = true
		}
	}},
}

// TestWorseInputsNeverLoosen runs two cores on the same events; from some moment on, one of them gets one input worse.
// Nothing that the second decides may ever be looser, and no command it lets out larger.
func TestWorseInputsNeverLoosen(t *testing.T) {
	p := demoParams(t)
	base := newRig(t, p, Start{})
	base.plant.x = 4.2
	base.ready()
	snapshot := base.core.AppendState(nil)
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.IntRange(0, len(worsen)-1).Draw(rt, "input")
		amount := rapid.Float64Range(0.01, 0.5).Draw(rt, "amount")
		from := rapid.IntRange(0, 60).Draw(rt, "from step")
		to := from + rapid.IntRange(1, 80).Draw(rt, "steps")
		speed := rapid.Float64Range(-1.2, 1.2).Draw(rt, "speed")
		turn := rapid.Float64Range(-1, 1).Draw(rt, "turn")
		w := worsen[kind]
		worse, err := NewCore(p, Start{})
		if err != nil {
			rt.Fatal(err)
		}
		good := resume(t, base, p, snapshot)
		if err := worse.RestoreState(snapshot); err != nil {
			rt.Fatal(err)
		}
		var store EventStore
		var fx Effects
		var wire []byte
		sent, sentWorse := 0.0, 0.0
		good.each = func(ev *Event, gfx *Effects) {
			n := good.stepCount - base.stepCount
			wire = AppendEvent(wire[:0], ev)
			copied, err := store.Decode(wire)
			if err != nil {
				rt.Fatal(err)
			}
			if n >= from && n < to {
				if w.do == nil {
					if copied.Kind == EventPose {
						return
					}
				} else {
					w.do(copied, amount)
				}
			}
			worse.Apply(copied, &fx)
			if !worse.decision.Axes.TightAs(good.core.decision.Axes) && !recovering(good.core) {
				rt.Fatalf("%s at step %d, event %s: %s is looser than %s", w.name, n, copied, worse.decision.Axes, good.core.decision.Axes)
			}
			if gfx.Send {
				sent = math.Abs(gfx.Command.Linear.X)
			}
			if fx.Send {
				sentWorse = math.Abs(fx.Command.Linear.X)
			}
			// A robot that was slower a moment ago has less on its way, so a little more may pass: that is no loosening. Once
			// the input is good again the two histories differ by more than a little, so commands are compared while it is
			// worse; the decision above is compared to the end.
			if n < to && gfx.Send && fx.Send && (sentWorse > sent*1.1+0.02 || sent == 0 && sentWorse > 0) {
				rt.Fatalf("%s at step %d: %v m/s goes out, %v with the better input", w.name, n, sentWorse, sent)
			}
		}
		good.drive = func() (float64, float64) { return speed, turn }
		for range 160 {
			good.step()
		}
	})
}

// recovering is true while the good core is itself held by a fault that the run's motion caused, such as a zone: then the
// two robots' histories differ and cannot be compared.
func recovering(c *Core) bool { return c.decision.Axes.Motion <= interlock.MotionHold }

// resume is a rig that goes on from a snapshot of another.
func resume(tb testing.TB, from *rig, p *Params, snapshot []byte) *rig {
	tb.Helper()
	r := *from
	core, err := NewCore(p, Start{})
	if err != nil {
		tb.Fatal(err)
	}
	if err := core.RestoreState(snapshot); err != nil {
		tb.Fatal(err)
	}
	r.core, r.params, r.off, r.edit, r.each, r.drive = core, p, map[string]bool{}, nil, nil, nil
	r.answers = append([]rigAnswer(nil), from.answers...)
	r.plant.queue = append([]plantCommand(nil), from.plant.queue...)
	r.tb = tb
	// ChannelLevel looks at the last status, which a snapshot leaves out: it is for people.
	for i, b := range core.beats {
		core.beatStatus[i] = b.Status(r.now)
	}
	return &r
}
