package interlock

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// Places of the steps in postureConfig.
const (
	stepKneel = 1
	stepSit   = 2
	stepOff   = 3
)

// Joints by which the test's robot shows its posture.
const (
	knee = 3
	hip  = 0
)

func postureConfig() PostureConfig {
	proof := func(joint int, low, high float64) PostureProof {
		return PostureProof{Joints: [MaxProofJoints]JointRange{{joint, low, high}}, N: 1, Dwell: 500 * ms}
	}
	const needs = NeedUpright | NeedStandstill
	return PostureConfig{
		Used: true, N: 4,
		Steps: [MaxPostures]PostureStep{
			{Kind: PostureBalance, Powered: true},
			{Kind: PostureKneel, Needs: needs | NeedEmptyHands, MinCharge: 0.02, AckWithin: time.Second, Within: 6 * time.Second, Proof: proof(knee, 1.2, 2.8)},
			{Kind: PostureSit, Needs: needs, AckWithin: time.Second, Within: 8 * time.Second, Proof: proof(hip, 1.4, 2.2)},
			{Kind: PostureOff, Needs: NeedStandstill, After: PosturesOf(PostureKneel, PostureSit, PostureLying), AckWithin: time.Second, Within: 2 * time.Second, Proof: PostureProof{Acked: true, Dwell: 500 * ms}},
		},
		Battery: ReserveConfig{Used: true, Floor: 0.05, PerSecond: 1e-3, Least: 0, Most: 1.05, MaxAge: time.Minute},
		Heat:    ReserveConfig{Used: true, Floor: -90, PerSecond: 0.5, Least: -250, Most: 60, MaxAge: 10 * time.Second},
		Stop:    4 * time.Second, Confirm: time.Second, Unseen: 2 * time.Minute, MaxAge: 300 * ms, Retry: 5 * time.Second,
	}
}

// how is what a robot makes of a step.
type how uint8

const (
	obeys how = iota
	refuses
	hangs
	lies
	late
)

// body is a robot that stands by balance, with the part under test. Its charge falls by drain per second while it is up.
type body struct {
	t     testing.TB
	p     *Postures
	now   time.Duration
	in    PostureInput
	out   PostureOutput
	does  [MaxPostures]how
	asked [MaxPostures]time.Duration
	was   StepSet
	// is is the posture's place; joints says whether positions come.
	is     int
	joints bool
	charge float64
	heat   float64
	drain  float64
	warm   float64
	// edit changes what the part is told, log what it was asked.
	edit func(in *PostureInput)
	log  []int
}

func newBody(t testing.TB, change func(c *PostureConfig)) *body {
	t.Helper()
	cfg := postureConfig()
	if change != nil {
		change(&cfg)
	}
	p, err := NewPostures(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &body{
		t: t, p: p, now: time.Hour, joints: true, charge: 0.8, heat: 40, drain: 1e-3,
		in: PostureInput{Motion: Standing, Fallen: Clear, Carrying: Clear},
	}
}

func (b *body) run(d time.Duration) *body {
	const dt = 20 * ms
	for end := b.now + d; b.now < end; {
		b.now += dt
		if b.is == 0 {
			b.charge = max(0, b.charge-b.drain*dt.Seconds())
			b.heat += b.warm * dt.Seconds()
		}
		b.act()
		if b.joints {
			var q [MaxPostureJoints]float64
			q[knee], q[hip] = 0.2, 0.1
			switch b.is {
			case stepKneel:
				q[knee] = 1.5
			case stepSit:
				q[hip] = 1.6
			}
			b.p.Observe(b.now, math.MaxUint64, &q)
		}
		in := b.in
		if b.in.Battery.Value == 0 {
			in.Battery = Gauge{Seen: true, Received: b.now, Value: b.charge}
			in.Heat = Gauge{Seen: true, Received: b.now, Value: -b.heat}
		}
		if b.edit != nil {
			b.edit(&in)
		}
		b.p.Step(b.now, &in, &b.out)
		// As the machine does: the trigger is latched until somebody resets it.
		b.in.Active = b.in.Active || b.out.Due.State == Present || b.out.Failed.State == Present
		for i := range MaxPostures {
			if b.out.Asked.Has(i) {
				b.log = append(b.log, i)
				b.asked[i], b.in.Acks[i] = b.now, AckNone
			}
		}
		b.was = b.out.Assert
	}
	return b
}

// act lets the robot do what it was asked for.
func (b *body) act() {
	for i := 1; i < MaxPostures; i++ {
		if !b.was.Has(i) {
			continue
		}
		after := b.now - b.asked[i]
		switch b.does[i] {
		case obeys:
			if after >= 100*ms {
				b.in.Acks[i] = AckOK
			}
			if after >= 3*time.Second && after < 3*time.Second+20*ms && i != stepOff {
				b.is = i
			}
		case refuses:
			if after >= 100*ms {
				b.in.Acks[i] = AckFailed
			}
		case lies:
			if after >= 100*ms {
				b.in.Acks[i] = AckOK
			}
		case late:
			if after >= 500*ms {
				b.in.Acks[i] = AckOK
			}
			if after >= 20*time.Second && after < 20*time.Second+20*ms && i != stepOff {
				b.is = i
			}
		case hangs:
		}
	}
}

// until runs until f, and fails after most.
func (b *body) until(what string, most time.Duration, f func() bool) {
	b.t.Helper()
	for end := b.now + most; !f(); {
		if b.now >= end {
			b.t.Fatalf("not within %v: %s; %s, at %d, asked %v, %+v", most, what, b.out.Phase, b.out.At, b.log, b.out.Denied)
		}
		b.run(20 * ms)
	}
}

func (b *body) reached(i int) func() bool {
	return func() bool { return b.out.Phase == PostureReached && b.out.At == i }
}

// TestGoesDownInTime lets battery and motors run out at the profile's worst, with every way in which steps fail but the last: it
// is down before the deadline, by the step that works.
func TestGoesDownInTime(t *testing.T) {
	battery := func(b *body) { b.charge = 0.05 + 1e-3*b.p.need.Seconds() + 0.003 }
	heat := func(b *body) { b.drain, b.warm, b.heat = 0, 0.5, 90-0.5*b.p.need.Seconds()-2 }
	for name, c := range map[string]struct {
		runsOut func(b *body)
		does    [MaxPostures]how
		want    int
		cause   Cause
	}{
		"battery, kneels":          {battery, [MaxPostures]how{}, stepKneel, CauseBatteryEnds},
		"battery, kneel refused":   {battery, [MaxPostures]how{stepKneel: refuses}, stepSit, CauseBatteryEnds},
		"battery, kneel hangs":     {battery, [MaxPostures]how{stepKneel: hangs}, stepSit, CauseBatteryEnds},
		"battery, kneel is a lie":  {battery, [MaxPostures]how{stepKneel: lies}, stepSit, CauseBatteryEnds},
		"battery, kneel too late":  {battery, [MaxPostures]how{stepKneel: late}, stepSit, CauseBatteryEnds},
		"heat, kneels":             {heat, [MaxPostures]how{}, stepKneel, CauseTooHot},
		"heat, kneel is a lie":     {heat, [MaxPostures]how{stepKneel: lies}, stepSit, CauseTooHot},
		"battery, from a walk":     {func(b *body) { battery(b); b.in.Motion = Moving }, [MaxPostures]how{stepKneel: lies}, stepSit, CauseBatteryEnds},
		"battery, tray in hands":   {func(b *body) { battery(b); b.in.Carrying = Present }, [MaxPostures]how{}, stepSit, CauseBatteryEnds},
		"battery, hands not known": {func(b *body) { battery(b); b.in.Carrying = Unknown }, [MaxPostures]how{}, stepSit, CauseBatteryEnds},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBody(t, nil)
			b.does = c.does
			c.runsOut(b)
			b.run(time.Second)
			if b.out.Phase != PostureFree || b.out.HoldImpossible || b.out.Due.State != Clear {
				t.Fatalf("goes down too early: %+v", b.out)
			}
			deadline := b.out.Deadline
			b.until("has to go down", 10*time.Second, func() bool { return b.out.Due.State == Present })
			if b.out.Due.Cause != c.cause || !b.out.HoldImpossible {
				t.Errorf("due for %s", b.out.Due.Cause)
			}
			if b.in.Motion == Moving {
				b.run(3 * time.Second) // the stop
				if len(b.log) > 0 {
					t.Fatalf("asked %v while it moves", b.log)
				}
				b.in.Motion = Standing
			}
			b.until("down", time.Minute, b.reached(c.want))
			if b.now > deadline {
				t.Errorf("down %v after the deadline", b.now-deadline)
			}
			t.Logf("down %v before the deadline, asked %v", deadline-b.now, b.log)
			if b.out.Failed.State == Present {
				t.Errorf("failed: %+v", b.out.Records)
			}
		})
	}
	// Off: without its reserves nothing makes it go down.
	off := newBody(t, func(c *PostureConfig) { c.Battery.Used, c.Heat.Used = false, false })
	off.charge, off.heat = 0, 200
	if off.run(5 * time.Minute); len(off.log) > 0 || off.out.HoldImpossible {
		t.Errorf("off: asked %v without a reserve", off.log)
	}
}

// TestEveryStepFails: it says so, tries again, and never takes the power of a robot that stands.
func TestEveryStepFails(t *testing.T) {
	b := newBody(t, nil)
	b.does = [MaxPostures]how{stepKneel: refuses, stepSit: hangs}
	b.charge = 0.06
	b.until("every step failed", time.Minute, func() bool { return b.out.Failed.State == Present })
	if b.out.Phase != PostureExhausted || b.out.Failed.Cause != CauseNoStep || b.out.Denied[stepOff] != StepNotFrom {
		t.Errorf("%s, failed for %s, off is %s", b.out.Phase, b.out.Failed.Cause, b.out.Denied[stepOff])
	}
	b.does[stepKneel] = obeys
	b.until("down at last", 30*time.Second, b.reached(stepKneel))
	for i, s := range b.log {
		if s == stepOff && b.is == 0 {
			t.Errorf("its power is taken while it stands: request %d of %v", i, b.log)
		}
	}
	if b.out.Failed.State == Present {
		t.Error("still failed although it is down")
	}
	// With the profile's word for it, the last resort is taken.
	b = newBody(t, func(c *PostureConfig) { c.Steps[stepOff].LastResort = true })
	b.does = [MaxPostures]how{stepKneel: refuses, stepSit: hangs}
	b.charge = 0.06
	b.until("last resort", time.Minute, func() bool { return b.log != nil && b.log[len(b.log)-1] == stepOff })
	if len(b.log) != 3 {
		t.Errorf("asked %v, expected every other step first", b.log)
	}
	// And a robot that never stands still is not left to fall when its battery is empty.
	b = newBody(t, func(c *PostureConfig) { c.Steps[stepOff].LastResort, c.Steps[stepOff].Needs = true, 0 })
	b.in.Motion, b.charge = Moving, 0.06
	b.until("last resort of a runaway", time.Minute, func() bool { return len(b.log) > 0 })
	if b.log[0] != stepOff || b.now < b.out.Deadline {
		t.Errorf("asked %v, %v before the deadline", b.log, b.out.Deadline-b.now)
	}
}

// TestStandsNoLongerThanItMay: a hold that lasts ends in the next posture, and one that ends in time does not.
func TestStandsNoLongerThanItMay(t *testing.T) {
	b := newBody(t, func(c *PostureConfig) { c.Steps[0].Within = 5 * time.Minute })
	b.drain = 0
	b.in.Held = true
	b.run(4 * time.Minute)
	b.in.Held = false
	b.run(time.Minute)
	b.in.Held = true
	if b.run(4 * time.Minute); len(b.log) > 0 {
		t.Fatalf("asked %v in time", b.log)
	}
	b.until("kneels", 2*time.Minute, b.reached(stepKneel))
	if b.out.Due.State != Clear {
		t.Errorf("the cause is there although it kneels: %s", b.out.Due.Cause)
	}
	b.run(10 * time.Minute)
	if len(b.log) != 1 {
		t.Errorf("asked %v, expected the kneel alone", b.log)
	}
	// Somebody resets: nothing is demanded any more. It rises by its own commanders, and a new hold begins anew.
	b.in.Active, b.in.Held, b.is, b.was = false, false, 0, 0
	b.run(time.Second)
	if b.out.Phase != PostureFree || b.out.Assert != 0 || b.out.HoldImpossible {
		t.Errorf("after the reset: %s, demands %b", b.out.Phase, b.out.Assert)
	}
	b.in.Held = true
	if b.run(4 * time.Minute); len(b.log) != 1 {
		t.Errorf("asked %v in time", b.log)
	}
}

// TestDownIsKept: charge that comes back, joints that fall silent and everything else but a reset change nothing; joints that
// show it upright again send it down once more.
func TestDownIsKept(t *testing.T) {
	b := newBody(t, nil)
	b.charge = 0.06
	b.until("kneels", time.Minute, b.reached(stepKneel))
	b.charge = 0.9
	if b.run(time.Minute); b.out.Phase != PostureReached || !b.out.HoldImpossible || b.out.Due.State != Clear {
		t.Errorf("charged: %s, due %v", b.out.Phase, b.out.Due)
	}
	b.joints = false
	if b.run(time.Minute); b.out.Phase != PostureReached || len(b.log) != 1 {
		t.Errorf("joints silent: %s, asked %v", b.out.Phase, b.log)
	}
	b.joints, b.is, b.was = true, 0, 0
	b.until("goes down again", 5*time.Second, func() bool { return len(b.log) == 2 })
	if b.log[1] != stepKneel {
		t.Errorf("asked %v", b.log)
	}
}

// TestEmptyAfterKneeling: down, power is taken only once the battery has ended all the same.
func TestEmptyAfterKneeling(t *testing.T) {
	b := newBody(t, nil)
	b.charge = 0.06
	b.until("kneels", time.Minute, b.reached(stepKneel))
	b.charge = 0.055
	b.in.Battery = Gauge{}
	if b.run(time.Second); len(b.log) != 1 {
		t.Fatalf("asked %v", b.log)
	}
	b.charge = 0.04
	b.until("off", 5*time.Second, b.reached(stepOff))
}

// TestFallenIsTakenOffAlone: a robot that lies is not told to kneel, and its power may go.
func TestFallenIsTakenOffAlone(t *testing.T) {
	b := newBody(t, nil)
	b.charge, b.in.Fallen = 0.06, Present
	b.until("off", time.Minute, b.reached(stepOff))
	if len(b.log) != 1 {
		t.Errorf("asked %v", b.log)
	}
	b = newBody(t, nil)
	b.charge, b.in.Fallen = 0.06, Unknown
	b.until("said", 2*time.Minute, func() bool { return b.out.Failed.State == Present })
	if len(b.log) > 0 || b.out.Denied[stepKneel] != StepNotUpright {
		t.Errorf("asked %v although nobody knows whether it is upright", b.log)
	}
}

// TestPostureStateGoesOn restores a way down at every moment; the copy decides the same.
func TestPostureStateGoesOn(t *testing.T) {
	b := newBody(t, nil)
	b.does[stepKneel] = lies
	b.charge = 0.08
	for range 60 {
		b.run(time.Second)
		state := b.p.AppendState(nil)
		n, _ := NewPostures(postureConfig())
		if err := n.RestoreState(state); err != nil {
			t.Fatal(err)
		}
		if again := n.AppendState(nil); !bytes.Equal(state, again) {
			t.Fatalf("at %v: restored state differs", b.now)
		}
		b.p = n
	}
	if b.out.Phase != PostureReached || b.out.At != stepSit {
		t.Errorf("%s at %d, asked %v", b.out.Phase, b.out.At, b.log)
	}
	state := b.p.AppendState(nil)
	for i := range state {
		bad := bytes.Clone(state)
		bad[i] ^= 0x10
		if n, _ := NewPostures(postureConfig()); n.RestoreState(bad) == nil {
			t.Fatalf("byte %d changed: taken", i)
		}
	}
}

// TestPostureStateHasItsVersion: what was written in an older layout is refused by its number, not by what its fields happen to hold.
func TestPostureStateHasItsVersion(t *testing.T) {
	n, _ := NewPostures(postureConfig())
	state := n.AppendState(nil)
	body := state[len(postureMagic)+1 : len(state)-4]
	for version, taken := range map[uint8]bool{stateVersion: false, postureVersion: true} {
		if err := n.RestoreState(seal(append(begin(nil, postureMagic, version), body...), 0)); (err == nil) != taken {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestPostureConfigIsChecked: each fault is named.
func TestPostureConfigIsChecked(t *testing.T) {
	for field, change := range map[string]func(c *PostureConfig){
		"Steps":                func(c *PostureConfig) { c.N = 1 },
		"Steps[1].Kind":        func(c *PostureConfig) { c.Steps[1].Kind = PostureBalance },
		"Steps[2].Kind":        func(c *PostureConfig) { c.Steps[2].Kind = PostureKneel },
		"Steps[3].After":       func(c *PostureConfig) { c.Steps[3].After = 0 },
		"Steps[1].Within":      func(c *PostureConfig) { c.Steps[1].Within = 0 },
		"Steps[1].AckWithin":   func(c *PostureConfig) { c.Steps[1].AckWithin = time.Hour },
		"Steps[1].MinCharge":   func(c *PostureConfig) { c.Steps[1].MinCharge = math.NaN() },
		"Steps[1].Proof":       func(c *PostureConfig) { c.Steps[1].Proof.N = 0 },
		"Battery.PerSecond":    func(c *PostureConfig) { c.Battery.PerSecond = 0 },
		"Battery.Floor":        func(c *PostureConfig) { c.Battery.Floor = 2 },
		"Steps[0].Within":      func(c *PostureConfig) { c.Steps[0].Within = -1 },
		"Retry":                func(c *PostureConfig) { c.Retry = 0 },
		"Steps[1].Proof.Dwell": func(c *PostureConfig) { c.Steps[1].Proof.Dwell = 0 },
	} {
		cfg := postureConfig()
		change(&cfg)
		if _, err := NewPostures(cfg); err == nil || !bytes.Contains([]byte(err.Error()), []byte(field)) {
			t.Errorf("%s: %v", field, err)
		}
	}
	cfg := postureConfig()
	for i := 1; i < 4; i++ {
		cfg.Steps[i].Powered = true
	}
	if _, err := NewPostures(cfg); err == nil {
		t.Error("no step without power is taken")
	}
	// Whoever has too many steps, or none, is told how many there may be.
	var room PostureConfig
	want := fmt.Sprintf("1 to %d steps down", len(room.Steps)-1)
	for _, n := range []int{0, 1, len(room.Steps) + 1} {
		cfg := postureConfig()
		cfg.N = n
		if _, err := NewPostures(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d postures: %v, expected it to say %q", n, err, want)
		}
	}
}

// TestPosturesDoNotAllocate: it is on the way from a message to a command.
func TestPosturesDoNotAllocate(t *testing.T) {
	b := newBody(t, nil)
	var q [MaxPostureJoints]float64
	if n := testing.AllocsPerRun(1000, func() {
		b.now += ms
		b.p.Observe(b.now, 1, &q)
		b.p.Step(b.now, &b.in, &b.out)
	}); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}
