package geofence

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stopper is a robot on one axis whose brakes hold a share of what the profile
// says, after a delay and through a lag.
type stopper struct {
	*rig
	turning    bool
	share      float64
	delay, lag float64 // seconds
	speed      float64 // m/s or rad/s
	noise      func(t float64) float64
	sent       []float64 // commands, one each 20 ms
}

func newStopper(t tb, share float64) *stopper {
	t.Helper()
	s := &stopper{rig: newRig(t, site(wall(900_000)), wheels()), share: share, delay: 0.16, lag: 0.06}
	s.at(0, 0, 0)
	return s
}

// tick lets 20 ms pass under a command.
func (s *stopper) tick(cmd float64) {
	const dt = 0.02
	s.sent = append(s.sent, cmd)
	to, v := s.sent[max(len(s.sent)-1-int(s.delay/dt), 0)], Velocity{VX: cmd}
	decel := s.set.robot.DecelMPS2
	if s.turning {
		v, decel = Velocity{YawRate: cmd}, s.set.robot.AngularDecelRadPS2
	}
	step := (to - s.speed) * math.Min(dt/s.lag, 1)
	s.speed += math.Max(step, -decel*s.share*dt)
	s.Issued(s.now, v)
	s.pass(20 * time.Millisecond)
	measured := s.speed
	if s.noise != nil {
		measured += s.noise(float64(len(s.sent)) * dt)
	}
	s.in.Velocity.Velocity = Velocity{VX: measured}
	if s.turning {
		s.in.Velocity.Velocity = Velocity{YawRate: measured}
	}
	s.step()
}

func (s *stopper) hold(cmd, seconds float64) {
	for range int(seconds / 0.02) {
		s.tick(cmd)
	}
}

// stop drives at a speed, then commands 0 until long after it stands.
func (s *stopper) stop(speed float64) float64 {
	s.hold(speed, 3)
	s.hold(0, 4+speed/s.share)
	return s.believed()
}

func (s *stopper) believed() float64 {
	if s.turning {
		return s.out.TurnBrakeShare
	}
	return s.out.BrakeShare
}

func TestAStopShowsTheBrakes(t *testing.T) {
	for _, turning := range []bool{false, true} {
		for _, share := range []float64{0.3, 0.5, 0.7, 0.9, 1, 1.3} {
			for _, speed := range []float64{0.5, 0.8, 1.4} {
				s := newStopper(t, share)
				s.turning = turning
				got := s.stop(speed)
				// What the measurement's noise may hide, and nothing more, of the way that
				// is left to brake a reaction time after the command.
				decel, arm := s.set.robot.DecelMPS2, 1000.0
				if turning {
					decel, arm = s.set.robot.AngularDecelRadPS2, s.body.radius
				}
				left := max(speed-decel*share*(0.3-s.delay), 0)
				most := 1.0
				if asked := arm * left * left / 2 / decel; asked > leastAskedMM {
					most = min(share+2*noiseMM/asked+0.01, 1)
				}
				if got > most || got < min(share, 1)-0.02 {
					t.Errorf("turning %v from %v: believed %.3f, want %.2f to %.3f", turning, speed, got, share, most)
				}
			}
		}
	}
}

func TestWhatIsNoLackOfBrakes(t *testing.T) {
	for name, c := range map[string]struct {
		least float64
		run   func(s *stopper)
	}{
		"a slow drive within the reaction time": {1, func(s *stopper) { s.delay, s.lag = 0.1, 0.18; s.stop(1.4) }},
		"an odometer that reads 10 % too much": {1, func(s *stopper) {
			s.noise = func(float64) float64 { return 0.1 * s.speed }
			s.stop(1.0)
		}},
		"an odometer that reads 11.5 % too much, at full speed": {1, func(s *stopper) {
			s.noise = func(float64) float64 { return 0.115 * s.speed }
			s.hold(1.5, 5)
		}},
		// A stop that begins at the low of a step looks as much longer.
		"a gait that sways at 2 Hz": {0.92, func(s *stopper) {
			s.noise = func(t float64) float64 { return 0.04 * math.Sin(4*math.Pi*t) * min(1, s.speed) }
			s.stop(1.2)
		}},
		"a planner that slows down gently": {1, func(s *stopper) {
			for v := 1.4; v > 0; v -= 0.006 {
				s.tick(v)
			}
			s.hold(0, 2)
		}},
		"creeping": {1, func(s *stopper) { s.share = 0.4; s.stop(0.1) }},
		"a silence of the odometry": {0.97, func(s *stopper) {
			s.hold(1.4, 2)
			s.hold(0, 0.1)
			s.pass(400 * time.Millisecond)
			s.hold(0, 3)
		}},
	} {
		s := newStopper(t, 1)
		c.run(s)
		if got := s.believed(); got < c.least {
			t.Errorf("%s: %.3f of the brakes are believed", name, got)
		}
	}
}

// TestAStopThatCannotBeFollowedIsForgotten loses the record of commands in the
// middle of a bad stop: what comes after is no part of it.
func TestAStopThatCannotBeFollowedIsForgotten(t *testing.T) {
	s := newStopper(t, 0.5)
	s.hold(1.4, 3)
	for range 200 {
		if s.tick(0); s.mem.brakes.axis[0].on {
			break
		}
	}
	if !s.mem.brakes.axis[0].on {
		t.Fatal("no stop was seen")
	}
	s.Issued(s.now, Velocity{VX: math.NaN()})
	s.pass(20 * time.Millisecond)
	s.step()
	if b := s.mem.brakes.axis[0]; b.on || b.share != 1 {
		t.Errorf("%+v", b)
	}
}

// TestAReloadCutsAStopInTwo: what was measured before belongs to another profile's stop, so the first measurement after a
// reload only begins one, and shows nothing by itself.
func TestAReloadCutsAStopInTwo(t *testing.T) {
	s := newStopper(t, 0.5)
	s.hold(1.4, 3)
	for range 200 {
		if s.tick(0); s.mem.brakes.axis[0].on {
			break
		}
	}
	next := New(s.set)
	next.Carry(s.Fence)
	s.Fence = next
	var seen []bool
	for range 3 {
		s.tick(0)
		seen = append(seen, s.mem.brakes.axis[0].on)
	}
	if seen[0] || !seen[1] || !seen[2] {
		t.Errorf("a stop is seen by the measurements after a reload: %v, expected by the second and third", seen)
	}
}

// TestABrakeRecoversByEvidence takes one bad stop back in small steps.
func TestABrakeRecoversByEvidence(t *testing.T) {
	s := newStopper(t, 0.5)
	bad := s.stop(1.4)
	if bad > 0.56 {
		t.Fatalf("a stop at half the promise leaves %.3f", bad)
	}
	s.share = 1
	s.hold(0.1, 20) // time alone proves nothing
	if got := s.stop(0.3); got != bad {
		t.Errorf("%.3f became %.3f by a stop too short to tell", bad, got)
	}
	before := bad
	stops := 0
	for ; before < 1 && stops < 30; stops++ {
		got := s.stop(1.4)
		if got < before || got > before+shareStep+1e-12 {
			t.Fatalf("stop %d: %.3f became %.3f", stops, before, got)
		}
		before = got
	}
	if before < 0.99 || stops < 8 {
		t.Errorf("after %d good stops %.3f is believed", stops, before)
	}
	// A gentle stop shows no more than it asked for.
	s.share = 0.4
	bad = s.stop(1.4)
	s.share = 1
	for range 5 {
		s.hold(1.4, 2)
		for v := 1.4; v > 0; v -= 0.45 * 0.02 {
			s.tick(v)
		}
		s.hold(0, 1)
	}
	if got := s.believed(); got > max(bad, 0.46) {
		t.Errorf("stops at 0.45 m/s² gave back %.3f from %.3f", got, bad)
	}
}

func TestWorseBrakesAreNeverBelievedBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.1, 1.2).Draw(t, "share")
		worse := share * rapid.Float64Range(0.2, 1).Draw(t, "worse")
		speed := rapid.Float64Range(0.1, 1.5).Draw(t, "speed")
		delay := rapid.Float64Range(0, 0.2).Draw(t, "delay")
		turning := rapid.Bool().Draw(t, "turning")
		var got [2]float64
		for i, k := range []float64{share, worse} {
			s := newStopper(t, k)
			s.turning, s.delay = turning, delay
			got[i] = s.stop(speed)
		}
		if got[1] > got[0]+1e-9 {
			t.Fatalf("from %v at share %.2f believed %.4f, at %.2f %.4f", speed, share, got[0], worse, got[1])
		}
	})
}

// TestTheShareStaysInItsBounds feeds what no robot does.
func TestTheShareStaysInItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t, site(wall(900_000)), wheels())
		r.at(0, 0, 0)
		any := rapid.Float64Range(-1.6, 1.6)
		before := [2]float64{1, 1}
		for range rapid.IntRange(1, 120).Draw(t, "n") {
			if rapid.Bool().Draw(t, "issue") {
				r.Issued(r.now, Velocity{any.Draw(t, "cx"), any.Draw(t, "cy"), any.Draw(t, "cw")})
			}
			r.pass(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond)
			r.in.Velocity.Velocity = Velocity{any.Draw(t, "vx"), 0, any.Draw(t, "vw")}
			v := r.step()
			for i, now := range [2]float64{v.BrakeShare, v.TurnBrakeShare} {
				if !(now >= leastShare && now <= 1) || now > before[i]+shareStep+1e-12 {
					t.Fatalf("axis %d: %v became %v", i, before[i], now)
				}
				before[i] = now
			}
		}
	})
}

// believe sets what a fence has found out about the brakes.
func (f *Fence) believe(linear, turning float64) {
	f.mem.brakes.axis[0].share, f.mem.brakes.axis[1].share = linear, turning
	f.reach, f.dirty = f.reachNow(), true
}

func TestALesserShareNeverLoosens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMoment(t)
		set, err := Compile(m.spec, m.robot)
		if err != nil {
			t.Fatal(err)
		}
		a, b := rapid.Float64Range(leastShare, 1).Draw(t, "linear"), rapid.Float64Range(leastShare, 1).Draw(t, "turning")
		k := rapid.Float64Range(leastShare, 1).Draw(t, "less")
		var l [2]Limit
		var v [2]Verdict
		for i, less := range []float64{1, k} {
			f := New(set)
			f.believe(max(a*less, leastShare), max(b*less, leastShare))
			f.Step(m.now, &m.in, &v[i])
			later := m.now
			later.Boot += m.age
			l[i] = f.Limit(later, m.cmd)
		}
		slack := 2e-3
		if m.cmd.YawRate != 0 {
			slack = 0.1 // an arc's chords lie up to maxSag before the arc
		}
		if l[1].Ratio > l[0].Ratio+slack {
			t.Fatalf("ratio %v (%v) became %v (%v)", l[0].Ratio, l[0].Reason, l[1].Ratio, l[1].Reason)
		}
		if v[0].Trip && !v[1].Trip || v[1].RequiredM < v[0].RequiredM-1e-9 {
			t.Fatalf("trip %v, %v m became %v, %v m", v[0].Trip, v[0].RequiredM, v[1].Trip, v[1].RequiredM)
		}
	})
}

func TestTheShareSurvivesAReload(t *testing.T) {
	s := newStopper(t, 0.5)
	was := s.stop(1.4)
	same := New(s.set)
	same.Carry(s.Fence)
	if got := same.mem.brakes.axis[0].share; got != was {
		t.Errorf("reload: %v became %v", was, got)
	}
	for name, c := range map[string]struct{ decel, want float64 }{
		"a greater promise":                  {2, was / 2},
		"a smaller promise, kept":            {was / 2, 1},
		"a promise too great to reckon with": {10, leastShare},
	} {
		robot := wheels()
		robot.DecelMPS2 = c.decel
		f := New(compile(t, site(wall(900_000)), robot))
		f.Carry(s.Fence)
		if got := f.mem.brakes.axis[0].share; !(math.Abs(got-c.want) <= 1e-12) {
			t.Errorf("%s: share %v, want %v", name, got, c.want)
		}
	}
}
