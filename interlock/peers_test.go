package interlock

import (
	"math"
	"testing"
	"time"
)

// The tests of this file follow those of Nav2's collision monitor, Autoware's command gate and its handler of minimal risk
// manoeuvres, in this package's terms. docs/scenarios.md says where each of theirs is.

// rigAccelMPS2 is at what rate the rig's base follows its commands.
const rigAccelMPS2 = 1.0

// TestNav2BagMetrics scores a stop on a recording as Nav2's bag test does: clear for 3 s, an obstacle for 5 s, clear
// again. In place of its fixed times the robot has v/a to stand, and v²/2a to do it in; and it drives on by itself only
// where nothing is latched.
func TestNav2BagMetrics(t *testing.T) {
	for _, v := range []float64{0.2, 0.5, 1.0} {
		for name, c := range map[string]struct {
			trigger Trigger
			resumes bool
		}{
			"ends by itself": {ZoneOverrun, true}, "is latched": {ZoneInside, false},
		} {
			t.Run(sprint("%v m/s, %s", v, name), func(t *testing.T) {
				m := bagRun(t, v, c.trigger)
				if m.falseStop != 0 {
					t.Errorf("false stops for %v", m.falseStop)
				}
				// One step until the decision, and one until the base has heard of it.
				if most := time.Duration(v/rigAccelMPS2*float64(time.Second)) + 20*ms; m.stood > most {
					t.Errorf("stood after %v, expected at most %v", m.stood, most)
				}
				if most := v*v/2/rigAccelMPS2 + v*0.02; m.overshootM > most {
					t.Errorf("went on for %.3f m, expected at most %.3f m", m.overshootM, most)
				}
				if float64(m.held) < 0.99*float64(m.during) {
					t.Errorf("held for %v of %v", m.held, m.during)
				}
				switch {
				case !c.resumes && m.resumed >= 0:
					t.Errorf("drove on after %v although a person has to reset it", m.resumed)
				case c.resumes && (m.resumed < time.Second || m.resumed > time.Second+60*ms):
					t.Errorf("drove on after %v, expected the dwell of 1s and one command more", m.resumed)
				}
			})
		}
	}
}

// bagMetrics is what the test scores.
type bagMetrics struct {
	falseStop, held, during, stood, resumed time.Duration
	overshootM                              float64
}

func bagRun(t *testing.T, v float64, trigger Trigger) bagMetrics {
	r := newRig(t)
	r.drive(v)
	m := bagMetrics{stood: -1, resumed: -1}
	begin := r.now
	r.run(12*time.Second, func() bool {
		at := r.now - begin
		r.in.Conditions[trigger] = OK()
		if at >= 3*time.Second && at < 8*time.Second {
			r.in.Conditions[trigger] = Fault(CauseCannotStop, 1)
		}
		moves := r.lastSent != 0
		switch {
		case at <= 3*time.Second:
			if !moves {
				m.falseStop += 10 * ms
			}
		case at < 8*time.Second+10*ms:
			m.during += 10 * ms
			m.overshootM += r.speed * 0.01
			if !moves {
				m.held += 10 * ms
			}
			if m.stood < 0 && r.speed == 0 {
				m.stood = at - 3*time.Second
			}
		case moves && m.resumed < 0:
			m.resumed = at - 8*time.Second
		}
		return at >= 12*time.Second-10*ms
	})
	if m.stood < 0 {
		t.Fatalf("did not stand before an obstacle of 5 s: %v m/s", r.speed)
	}
	return m
}

// TestAutowareFilterWithSinusoidalCommands drives the gate with sines of four sets of parameters: no limit is ever
// exceeded, no component is ever raised, and the robot keeps its curve.
func TestAutowareFilterWithSinusoidalCommands(t *testing.T) {
	for _, c := range []struct{ amplitudeMPS, amplitudeRPS, hertz, capMPS float64 }{
		{0.5, 0.2, 0.1, 1}, {2, 1, 0.5, 0.8}, {5, 4, 2, 0.3}, {0.3, 6, 1, 0.5},
	} {
		exceeded := 0
		for _, off := range []bool{false, true} {
			g := newGateScript(t)
			if !off {
				g.axes(limited(c.capMPS))
			}
			for i := range 2000 {
				at := float64(i) * 0.01
				g.in.Command.Velocity = Velocity{
					Linear:  [3]float64{c.amplitudeMPS * math.Sin(2*math.Pi*c.hertz*at)},
					Angular: [3]float64{2: c.amplitudeRPS * math.Cos(2*math.Pi*c.hertz*at)},
				}
				g.tick(10 * ms).send(g.now)
				in, out := g.in.Command.Velocity, g.out.Velocity
				fast := g.g.speed(out) > c.capMPS
				if off {
					if fast {
						exceeded++
					}
					continue
				}
				switch {
				case fast:
					t.Fatalf("%+v, step %d: %v m/s goes out", c, i, g.g.speed(out))
				case math.Abs(out.Linear[0]) > math.Abs(in.Linear[0]) || math.Abs(out.Angular[2]) > math.Abs(in.Angular[2]):
					t.Fatalf("%+v, step %d: %+v was raised to %+v", c, i, in, out)
				case math.Abs(out.Linear[0]*in.Angular[2]-out.Angular[2]*in.Linear[0]) > 1e-12:
					t.Fatalf("%+v, step %d: %+v became another curve, %+v", c, i, in, out)
				}
			}
		}
		if exceeds := max(c.amplitudeMPS, c.amplitudeRPS*gateConfig().RadiusM) > c.capMPS; exceeds != (exceeded > 0) {
			t.Errorf("off, %+v: the limit was exceeded %d times", c, exceeded)
		}
	}
}

// TestAutowareKilledHeartbeat kills the publisher of a heartbeat: the timeout has to stop the robot, ask its actuators and
// stay; clearing it is refused while it lasts.
func TestAutowareKilledHeartbeat(t *testing.T) {
	r := newRig(t)
	d := newDesk(t)
	d.running()
	at := d.now
	r.drive(0.8)
	asked := false
	killed := r.now
	clear := func() ResetOutcome {
		return r.m.Reset(r.now, ResetRequest{Triggers: Set(HeartbeatLost), Persons: []Person{anna}}).Outcomes[HeartbeatLost]
	}
	refused := false
	r.run(6*time.Second, func() bool {
		s := d.h.Status(at + r.now - killed)
		r.in.Conditions[HeartbeatLate], r.in.Conditions[HeartbeatLost] = s.Late, s.Lost
		asked = asked || r.lout.Asked.Has(service)
		if r.d.ActiveSet.Has(HeartbeatLost) && !refused {
			refused = true
			if got := clear(); got != ResetCausePresent {
				t.Errorf("cleared during the timeout: %v", got)
			}
		}
		return r.d.Axes.Motion == MotionStop && r.lout.Phase == LadderConfirmed
	})
	took := r.now - killed
	cfg := heartbeatConfig()
	if most := cfg.LostAfter + time.Second + ladderConfig().ConfirmDwell; took > most || !asked || !refused {
		t.Errorf("stopped and confirmed after %v (at most %v), the service was asked %t", took, most, asked)
	}
	// Before the first heartbeat of all nothing is late, and nothing is latched: the machine waits in Startup.
	s := newScript(t, nil)
	fresh := newDesk(t).h.Status(time.Hour)
	s.set(HeartbeatLate, fresh.Late).set(HeartbeatLost, fresh.Lost).set(StopRequested, fresh.StopRequested).run(time.Minute)
	s.want(MotionHold, Startup)
	if !s.out.LatchedSet.Empty() {
		t.Errorf("latched %s before the first heartbeat", names(s.out.LatchedSet))
	}
}
