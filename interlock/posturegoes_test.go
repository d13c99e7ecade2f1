package interlock

import (
	"math"
	"testing"
	"time"
)

// TestDownIsNotKeptUnseen: while joints are silent, a robot that moves, and one that somebody has reset, is no longer taken to kneel.
func TestDownIsNotKeptUnseen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *body)
		kept   bool
	}{
		"rests": {func(*body) {}, true},
		"moves": {func(b *body) { b.in.Motion = Moving }, false},
		"reset": {func(b *body) { b.charge, b.in.Active = 0.9, false }, false},
	} {
		b := newBody(t, nil)
		b.charge = 0.06
		b.until("kneels", time.Minute, b.reached(stepKneel))
		b.joints = false
		b.run(3 * time.Second) // beyond what legs may settle
		c.change(b)
		if b.run(time.Second); (b.out.At == stepKneel) != c.kept {
			t.Errorf("%s: at %d, %s", name, b.out.At, b.out.Phase)
		}
	}
}

// TestTriesAgainWhileAnotherWaits: a step that was refused is tried again although another waits for a standstill that does not come;
// and one that takes power, once the robot is down.
func TestTriesAgainWhileAnotherWaits(t *testing.T) {
	b := newBody(t, func(c *PostureConfig) { c.Steps[stepSit].Needs = 0 })
	b.charge, b.in.Motion, b.does[stepSit] = 0.06, Moving, refuses
	if b.run(time.Minute); len(b.log) < 3 || b.out.Denied[stepKneel] != StepMoving {
		t.Errorf("asked %v in a minute, kneel is %s", b.log, b.out.Denied[stepKneel])
	}
	b = newBody(t, nil)
	b.charge, b.does[stepOff] = 0.06, refuses
	b.until("kneels", time.Minute, b.reached(stepKneel))
	b.charge = 0.04
	if b.run(time.Minute); len(b.log) < 4 || b.out.Phase != PostureReached {
		t.Errorf("asked %v in a minute, %s", b.log, b.out.Phase)
	}
	// What has to come first is told before what only takes a moment.
	b = newBody(t, nil)
	b.in.Motion = Moving
	if b.run(time.Second); b.out.Denied[stepOff] != StepNotFrom {
		t.Errorf("off is %s", b.out.Denied[stepOff])
	}
}

// TestLegsMayMoveForAWhile: what moves is taken for a step under way, until that is refused, a moment after it is there, and for half
// a minute or what the steps may take at most, however often they are tried.
func TestLegsMayMoveForAWhile(t *testing.T) {
	masked := func(b *body, d time.Duration) (n time.Duration) {
		for end := b.now + d; b.now < end; {
			if b.run(20 * ms); b.out.GoingDown {
				n += 20 * ms
			}
		}
		return n
	}
	for name, c := range map[string]struct {
		does   [MaxPostures]how
		within time.Duration
		least  time.Duration
		most   time.Duration
	}{
		"kneels":          {[MaxPostures]how{}, 6 * time.Second, 5 * time.Second, 6 * time.Second},
		"refuses":         {[MaxPostures]how{stepKneel: refuses, stepSit: refuses}, time.Hour, 100 * ms, 5 * time.Second},
		"does not answer": {[MaxPostures]how{stepKneel: hangs, stepSit: hangs}, 6 * time.Second, 29 * time.Second, 30*time.Second + 20*ms},
		// The steps' 40 s, 8 s and 2 s, each with its dwell and 2 s to come to rest.
		"lies and takes its time":   {[MaxPostures]how{stepKneel: lies, stepSit: lies}, 40 * time.Second, 57 * time.Second, 57500*ms + 20*ms},
		"lies again, and once more": {[MaxPostures]how{stepKneel: lies, stepSit: lies}, 6 * time.Second, 29 * time.Second, 30*time.Second + 20*ms},
	} {
		b := newBody(t, func(cfg *PostureConfig) {
			cfg.Steps[0].Within, cfg.Steps[stepKneel].Within, cfg.Steps[stepKneel].MinCharge = time.Second, c.within, 0
			cfg.Battery.Used, cfg.Heat.Used = false, false
		})
		b.in.Held, b.does = true, c.does
		if got := masked(b, 2*time.Minute); got < c.least || got > c.most {
			t.Errorf("%s: for %v, expected %v to %v", name, got, c.least, c.most)
		}
	}
}

// TestASlowWayDownIsNoMotion: each posture that is shown gives the next its time, and one that comes and goes gives none.
func TestASlowWayDownIsNoMotion(t *testing.T) {
	b := newBody(t, func(c *PostureConfig) {
		c.Steps[stepKneel].Powered = true
		c.Steps[stepKneel].Within, c.Steps[stepSit].Within = 25*time.Second, 25*time.Second
	})
	b.charge, b.does[stepKneel], b.does[stepSit] = 0.12, late, late
	b.until("asked", time.Minute, func() bool { return b.out.Step == stepKneel })
	for b.out.Phase != PostureReached {
		if b.run(20 * ms); b.out.Step > 0 && !b.out.GoingDown {
			t.Fatalf("%v after it was asked, step %d is motion that nobody told", b.now-b.asked[b.out.Step], b.out.Step)
		}
		if b.now-b.asked[stepKneel] > time.Minute {
			t.Fatalf("not down: %s, asked %v", b.out.Phase, b.log)
		}
	}
	if b.p.stirred > stirSettle {
		t.Errorf("%v are used when sit is shown", b.p.stirred)
	}
	b.p.stirred = b.p.most
	for i := range 4 {
		b.is = stepSit * (i % 2)
		if b.run(time.Second); b.p.stirs(b.now) {
			t.Fatal("a posture that comes again gives its time again")
		}
	}
}

// TestPowerStaysWhereNobodySees: a robot that kneels by power goes on to sit, its joints fall silent, and it comes up. Nothing that was
// seen of it before lets its power go.
func TestPowerStaysWhereNobodySees(t *testing.T) {
	for name, c := range map[string]struct {
		change      func(c *PostureConfig)
		motion      MotionState
		silent, off bool
	}{
		"moves":                     {nil, Moving, true, false},
		"settles":                   {nil, Settling, true, false},
		"nobody knows":              {nil, MotionUnknown, true, false},
		"stands all the while":      {nil, Standing, true, true},
		"joints show that it knelt": {nil, Moving, false, true},
		"by the answer, moves":      {kneelsByAnswer, Moving, true, false},
		"by the answer, settles":    {kneelsByAnswer, Settling, true, false},
		"by the answer, unknown":    {kneelsByAnswer, MotionUnknown, true, false},
		"by the answer, stands":     {kneelsByAnswer, Standing, true, true},
	} {
		b := newBody(t, func(cfg *PostureConfig) {
			cfg.Steps[stepKneel].Powered = true
			if c.change != nil {
				c.change(cfg)
			}
		})
		b.charge, b.does[stepSit] = 0.10, lies
		b.until(name+": sit", 2*time.Minute, func() bool { return b.out.Step == stepSit })
		b.joints = !c.silent
		b.run(500 * ms)
		b.in.Motion, b.does[stepKneel] = c.motion, lies
		b.run(3 * time.Second)
		if left := c.silent && c.motion != Standing; left == (b.out.At == stepKneel) {
			t.Errorf("%s: at %d on its way to sit", name, b.out.At)
		}
		if b.in.Motion = Standing; c.silent && c.motion != Standing {
			b.is = 0
		}
		for end := b.now + 2*time.Minute; b.now < end && !b.was.Has(stepOff); {
			// A kneel that is shown by its answer is shown anew by the next: that is no old word.
			if b.run(20 * ms); c.change != nil && c.motion != Standing && b.out.Step == stepKneel {
				break
			}
		}
		if b.was.Has(stepOff) != c.off {
			t.Errorf("%s: power is taken: %t, expected %t; at %d, %s, asked %v, off is %s", name, b.was.Has(stepOff), c.off, b.out.At, b.out.Phase, b.log, b.out.Denied[stepOff])
		}
	}
}

func kneelsByAnswer(c *PostureConfig) {
	c.Steps[stepKneel].Proof = PostureProof{Acked: true, Dwell: 500 * ms}
}

// TestAnOldAnswerIsAskedAnew: a robot that needs power where its answer has shown it, and that may have moved since, is asked once more;
// then its power may go.
func TestAnOldAnswerIsAskedAnew(t *testing.T) {
	for _, motion := range []MotionState{Standing, Settling, MotionUnknown, Moving} {
		b := newBody(t, func(c *PostureConfig) {
			kneelsByAnswer(c)
			c.Steps[stepKneel].Powered, c.Steps[stepKneel].Needs = true, NeedStandstill
			c.N, c.Steps[2] = 3, c.Steps[stepOff]
			c.Steps[2].Needs |= NeedEmptyHands
		})
		b.charge, b.in.Carrying = 0.06, Present
		b.until("kneels", time.Minute, func() bool { return b.out.At == stepKneel })
		b.in.Motion = motion
		b.run(time.Second)
		b.in.Motion, b.in.Carrying, b.is = Standing, Clear, stepOff // its charge stays as it is
		b.until("off", time.Minute, func() bool { return b.was.Has(2) })
		n := 0
		for _, s := range b.log {
			if s == stepKneel {
				n++
			}
		}
		if anew := motion != Standing; anew != (n == 2) {
			t.Errorf("motion %d: asked %v before the power went", motion, b.log)
		}
	}
}

// TestOffNeedsWhatHoldsNow: no step was asked since, and yet a robot whose joints are silent and that did not stand all the while keeps its
// power, while its posture is still taken for reached.
func TestOffNeedsWhatHoldsNow(t *testing.T) {
	for _, motion := range []MotionState{Standing, Settling, MotionUnknown} {
		for name, change := range map[string]func(c *PostureConfig){"joints": nil, "answer": kneelsByAnswer} {
			b := newBody(t, change)
			b.charge = 0.06
			b.until("kneels", time.Minute, b.reached(stepKneel))
			b.joints = false
			b.run(3 * time.Second)
			b.in.Motion = motion
			b.run(time.Second)
			b.in.Motion, b.charge = Standing, 0.03
			b.run(10 * time.Second)
			if got := b.was.Has(stepOff); got != (motion == Standing) || b.out.At < stepKneel {
				t.Errorf("%s, motion %d: power is taken: %t, at %d, %s", name, motion, got, b.out.At, b.out.Phase)
			}
		}
	}
}

// TestAnAnswerHasItsDwell: where the answer alone shows a posture, power goes no earlier than the dwell after it, whether or not joints
// are heard, and at the second try as at the first.
func TestAnAnswerHasItsDwell(t *testing.T) {
	for _, joints := range []bool{false, true} {
		b := newBody(t, func(c *PostureConfig) {
			c.N = 3
			c.Steps[1] = PostureStep{Kind: PostureKneel, Powered: true, Needs: NeedStandstill, AckWithin: time.Second, Within: 6 * time.Second, Proof: PostureProof{Acked: true, Dwell: 2 * time.Second}}
			c.Steps[2] = PostureStep{Kind: PostureOff, Needs: NeedStandstill, After: PosturesOf(PostureKneel), AckWithin: time.Second, Within: 2 * time.Second, Proof: PostureProof{Acked: true, Dwell: 500 * ms}}
		})
		b.joints, b.charge, b.does[1] = joints, 0.05, refuses
		b.until("refused", time.Minute, func() bool { return b.out.Phase == PostureExhausted })
		b.does[1], b.is = obeys, 3 // its charge stays as it is
		b.until("off", time.Minute, func() bool { return b.was.Has(2) })
		if r := b.out.Records[1]; !r.WasAcked || b.now-r.Acked < 2*time.Second {
			t.Errorf("joints %t: off %v after the answer", joints, b.now-r.Acked)
		}
	}
}

// TestOffIsAskedAgain: power that was not taken is asked for again, and never given back in between.
func TestOffIsAskedAgain(t *testing.T) {
	b := newBody(t, nil)
	b.does[stepOff] = refuses
	b.charge, b.in.Fallen = 0.05, Present
	b.until("asked", time.Minute, func() bool { return b.was.Has(stepOff) })
	for range 3000 {
		if b.run(20 * ms); !b.was.Has(stepOff) {
			t.Fatal("power is given back")
		}
	}
	if len(b.log) < 5 {
		t.Errorf("asked %v in a minute, and it may try again every 5 s", b.log)
	}
}

// seldom is when a gauge spoke last that does so every 50 seconds.
func seldom(b *body) time.Duration { return b.now - b.now%(50*time.Second) }

// TestGaugesThatLie: what cannot be true is no reading, silence goes on running out, and one wrong reading is none.
func TestGaugesThatLie(t *testing.T) {
	full := newBody(t, nil)
	full.run(time.Second)
	for name, c := range map[string]struct {
		edit func(b *body, in *PostureInput)
		due  bool
	}{
		"NaN":                   {func(_ *body, in *PostureInput) { in.Battery.Value = math.NaN() }, true},
		"in percent":            {func(_ *body, in *PostureInput) { in.Battery.Value = 80 }, true},
		"below zero":            {func(_ *body, in *PostureInput) { in.Battery.Value = -1 }, true},
		"from the future":       {func(b *body, in *PostureInput) { in.Battery.Received = b.now + time.Second }, true},
		"silent":                {func(_ *body, in *PostureInput) { in.Battery = Gauge{} }, true},
		"charging, then silent": {func(_ *body, in *PostureInput) { in.Battery = Gauge{true, time.Hour + time.Second, 0.8, true} }, true},
		"heat infinite":         {func(_ *body, in *PostureInput) { in.Heat.Value = math.Inf(1) }, true},
		"full":                  {func(_ *body, in *PostureInput) { in.Battery.Value = 0.8 }, false},
		"low and charging":      {func(_ *body, in *PostureInput) { in.Battery.Value, in.Battery.Paused = 0.06, true }, true},
		"said seldom":           {func(b *body, in *PostureInput) { in.Battery = Gauge{true, seldom(b), 0.08, false} }, true},
		"charging, said seldom": {func(b *body, in *PostureInput) { in.Battery = Gauge{true, seldom(b), 0.08, true} }, false},
		"plugged in after it fell": {func(b *body, in *PostureInput) {
			in.Battery = Gauge{true, seldom(b), 0.08, true}
			if b.now < time.Hour+5*time.Second {
				in.Battery = Gauge{true, b.now, 0.081, false}
			}
		}, false},
		"charging, and falling": {func(b *body, in *PostureInput) {
			in.Battery = Gauge{true, seldom(b), 0.08 - 1e-5*(seldom(b)-time.Hour).Seconds(), true}
		}, true},
		"charging now and then":  {func(b *body, in *PostureInput) { in.Battery.Value, in.Battery.Paused = 0.06, b.now/(500*ms)%2 == 0 }, true},
		"flaps":                  {func(b *body, in *PostureInput) { in.Battery.Value = 0.06 + 0.02*float64(b.now/(500*ms)%2) }, true},
		"charging, and empty":    {func(_ *body, in *PostureInput) { in.Battery.Value, in.Battery.Paused = 0.04, true }, true},
		"one wrong in a hundred": {func(b *body, in *PostureInput) { in.Battery.Value = 0.8 - 0.79*float64(b.now/(20*ms)%100/99) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBody(t, nil)
			b.drain = 0
			b.edit = func(in *PostureInput) { c.edit(b, in) }
			if b.run(15 * time.Minute); b.out.HoldImpossible != c.due {
				t.Errorf("has to go down: %t, expected %t: %+v", b.out.HoldImpossible, c.due, b.out)
			}
		})
	}
}
