package commission

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

const (
	tick    = 10 * time.Millisecond
	testID  = 7
	testMPS = 0.5
)

// bench is a trial with a robot that follows what it is told, brakes at a constant rate, and is measured without an error.
type bench struct {
	Trial
	in    Input
	out   Order
	now   time.Duration
	v     float64
	told  float64 // what goes out
	brake bool    // what is tested brakes the robot
	decel float64
	// unsure is true if two sources never agree on rest.
	unsure bool
	// shadow is stepped beside it.
	shadow *Trial
}

// benchFor is a trial of one step, begun.
func benchFor(t *testing.T, s Step) *bench {
	t.Helper()
	s.Actuator = -1
	b := &bench{now: 100 * time.Second, decel: 1}
	cfg := Config{N: 1, MaxMPS: 1, DecelMPS2: 0.8, DecelRadPS2: 1.5, StillMPS: 0.03, StillRadPS: 0.03, Dwell: 500 * time.Millisecond}
	cfg.Steps[0] = s
	if !b.Begin(b.now, testID, testMPS, &cfg) {
		t.Fatal("does not begin")
	}
	return b
}

// run lets time pass.
func (b *bench) run(d time.Duration) {
	for end := b.now + d; b.now < end; {
		b.now += tick
		want := b.told
		if b.brake || b.out.Hold {
			want = 0
		}
		b.v += min(max(want-b.v, -b.decel*tick.Seconds()), b.decel*tick.Seconds())
		b.in.New, b.in.MPS, b.in.Told, b.in.Wanted = true, b.v, [2]float64{b.told}, b.told > 0
		b.in.Motion = interlock.Moving
		if b.v == 0 && !b.unsure {
			b.in.Motion = interlock.Standing
		}
		b.Keep(b.now, testID)
		b.Step(b.now, &b.in, &b.out)
		if b.shadow != nil {
			var out Order
			b.shadow.Keep(b.now, testID)
			b.shadow.Step(b.now, &b.in, &out)
		}
	}
}

// measuring drives until the step's stop is asked for.
func (b *bench) measuring(t *testing.T) {
	t.Helper()
	b.in.Clear = true
	b.run(time.Second)
	if b.told = 0; !b.Go(b.now, testID, 0, &b.in) {
		t.Fatalf("does not go: %s", b.Phase)
	}
	b.told = testMPS
	for range 500 {
		if b.run(tick); b.Phase == PhaseMeasuring {
			return
		}
	}
	t.Fatalf("nothing is measured: %s, %s", b.Phase, b.Why)
}

func TestARungThatDoesNothingNeverPasses(t *testing.T) {
	rung := Step{Kind: KindRung, Within: 300 * time.Millisecond}
	for name, c := range map[string]struct {
		does, ends, blocked bool
		lets                time.Duration
		want                Reason
	}{
		"it stops the robot":                          {does: true, want: ReasonNone},
		"it does nothing, and commands go on":         {want: ReasonOverran},
		"it does nothing, and commands cease":         {ends: true, want: ReasonCeased},
		"it does nothing, and commands cease later":   {ends: true, lets: 300 * time.Millisecond, want: ReasonCeased},
		"it does nothing, and the way ahead ends":     {blocked: true, want: ReasonWay},
		"it stops the robot, but commands cease too":  {does: true, ends: true, want: ReasonCeased},
		"commands cease once the robot stands, by it": {does: true, ends: true, lets: 600 * time.Millisecond, want: ReasonNone},
	} {
		t.Run(name, func(t *testing.T) {
			b := benchFor(t, rung)
			b.measuring(t)
			b.brake = c.does
			b.run(max(c.lets, 2*tick))
			if c.ends {
				b.told = 0
			}
			b.in.Clear = !c.blocked
			for range 500 {
				if b.run(tick); b.Phase == PhaseSettling {
					b.told = 0
				}
				if b.Runs > 0 {
					break
				}
			}
			if r := b.Run(); b.Runs != 1 || r.Why != c.want || b.out.Hold != true {
				t.Errorf("%d runs, %s: expected %s", b.Runs, r.Why, c.want)
			}
		})
	}
}

// TestAFailureIsKeptHoweverTheTrialEnds ends a trial while a robot with worn brakes stops: before it is late nothing is known,
// after that it has failed.
func TestAFailureIsKeptHoweverTheTrialEnds(t *testing.T) {
	ends := map[string]func(b *bench){
		"the technician ends it": func(b *bench) { b.End(b.now, testID) },
		"nobody confirms":        func(b *bench) { b.Step(b.now+2*lease, &b.in, &b.out) },
		"a trigger": func(b *bench) {
			b.in.Trouble, b.in.New = true, false
			b.Step(b.now, &b.in, &b.out)
		},
		"odometry falls silent": func(b *bench) {
			b.in.New = false
			b.Step(b.now+2*deaf, &b.in, &b.out)
		},
	}
	for name, end := range ends {
		for after, runs := range map[time.Duration]uint32{400 * time.Millisecond: 0, 1100 * time.Millisecond: 1} {
			b := benchFor(t, Step{Kind: KindStop, Within: 300 * time.Millisecond})
			b.measuring(t)
			b.decel = 0.2
			if b.run(after); b.Phase != PhaseMeasuring {
				t.Fatalf("%s after %v: %s", name, after, b.Phase)
			}
			if end(b); b.Phase != PhaseEnding || b.Runs != runs || runs == 1 && b.Run().Why != ReasonOverran {
				t.Errorf("%s after %v: %s, %d runs, %s: expected %d", name, after, b.Phase, b.Runs, b.Run().Why, runs)
			}
		}
	}
	b := benchFor(t, Step{Kind: KindStop, Within: 300 * time.Millisecond})
	b.measuring(t)
	b.decel = 0.2
	if b.run(1500 * time.Millisecond); b.Phase != PhaseSettling {
		t.Fatalf("after it overran: %s", b.Phase)
	}
	if b.End(b.now, testID); b.Runs != 1 || b.Run().Why != ReasonOverran || len(b.Run().Samples) == 0 {
		t.Errorf("ended before two sources showed rest: %d runs, %s", b.Runs, b.Run().Why)
	}
}

// TestARungsAnswerIsJudgedAlikeAfterARestore restores a trial while a rung is asked, before and after it answers: a replay that
// begins there has to come to the same.
func TestARungsAnswerIsJudgedAlikeAfterARestore(t *testing.T) {
	for name, c := range map[string]struct {
		ack   interlock.Ack
		after time.Duration
		want  Reason
	}{
		"in time":  {interlock.AckOK, 60 * time.Millisecond, ReasonNone},
		"too late": {interlock.AckOK, 250 * time.Millisecond, ReasonUnacknowledged},
		"it fails": {interlock.AckFailed, 60 * time.Millisecond, ReasonUnacknowledged},
		"never":    {interlock.AckNone, 60 * time.Millisecond, ReasonUnacknowledged},
	} {
		for _, restore := range []time.Duration{20 * time.Millisecond, 320 * time.Millisecond} {
			b := benchFor(t, Step{Kind: KindRung, Within: 300 * time.Millisecond, AckWithin: 200 * time.Millisecond})
			b.measuring(t)
			b.brake = true
			for from := b.now; b.Runs == 0; {
				if b.now-from == restore {
					b.shadow = new(Trial)
					b.shadow.Restore(b.Config(), b.State)
				}
				if b.now-from >= c.after {
					b.in.Ack = c.ack
				}
				if b.run(tick); b.Phase == PhaseSettling {
					b.told = 0
				}
				if b.shadow != nil && b.shadow.State != b.State {
					t.Fatalf("%s, restored after %v, in phase %s: %+v is restored as %+v", name, restore, b.Phase, b.State, b.shadow.State)
				}
			}
			if b.shadow == nil || b.Why != c.want {
				t.Errorf("%s: %s, expected %s", name, b.Why, c.want)
			}
		}
	}
}

// TestALongStopCountsAlthoughTheTrialEndsBeforeRestIsConfirmed ends a trial after a stop that took longer than claimed, but not by
// so much that every rung was asked.
func TestALongStopCountsAlthoughTheTrialEndsBeforeRestIsConfirmed(t *testing.T) {
	for decel, runs := range map[float64]uint32{1: 0, 0.45: 1} {
		b := benchFor(t, Step{Kind: KindStop, Within: 300 * time.Millisecond})
		b.measuring(t)
		b.decel, b.unsure = decel, true
		for b.Phase == PhaseMeasuring {
			b.run(tick)
		}
		if b.Phase != PhaseSettling || b.Why != ReasonNone {
			t.Fatalf("at %v m/s2: %s, %s", decel, b.Phase, b.Why)
		}
		if b.End(b.now, testID); b.Runs != runs || runs == 1 && b.Run().Why != ReasonOverran {
			t.Errorf("at %v m/s2: %d runs, %s: expected %d", decel, b.Runs, b.Run().Why, runs)
		}
	}
}

// TestARefusalCountsAlthoughTheTrialEndsBeforeRestIsConfirmed ends a trial after a rung stopped the robot and never answered.
func TestARefusalCountsAlthoughTheTrialEndsBeforeRestIsConfirmed(t *testing.T) {
	b := benchFor(t, Step{Kind: KindRung, Within: 300 * time.Millisecond, AckWithin: 200 * time.Millisecond})
	b.measuring(t)
	b.brake, b.unsure = true, true
	for b.Phase == PhaseMeasuring {
		b.run(tick)
	}
	if b.End(b.now, testID); b.Runs != 1 || b.Run().Why != ReasonUnacknowledged {
		t.Errorf("%d runs, %s: expected one that failed", b.Runs, b.Run().Why)
	}
}
