package guard

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// walker is a rig that stands by balance. Its charge falls by the profile's worst, its knees bend while it kneels, and its services do
// what does says: by the step's place, true for one that works.
type walker struct {
	*rig
	charge, drain float64
	celsius, warm float64
	kneels        float64 // 0 upright, 1 down
	kneeling      bool
	works         [interlock.MaxPostures]bool
	answers       [interlock.MaxPostures]bool
	was           uint32
	calls         Calls
	asked         []int
	due           []func()
	dueAt         []time.Duration
	records       []string
}

// Steps of walkerParams.
const walkKneel, walkSit, walkOff = 1, 2, 3

// walkerParams are the demonstration's with a service of its own for each step.
func walkerParams(tb testing.TB) *Params {
	tb.Helper()
	p := fallParams(tb)
	proof := interlock.PostureProof{N: 1, Dwell: 300 * time.Millisecond}
	proof.Joints[0] = interlock.JointRange{Joint: 3, Min: 1, Max: 2.8}
	sit := proof
	sit.Joints[0] = interlock.JointRange{Joint: 0, Min: -2.5, Max: -1.2}
	const needs = interlock.NeedUpright | interlock.NeedStandstill
	p.Posture.Config = interlock.PostureConfig{
		Used: true, N: 4,
		Steps: [interlock.MaxPostures]interlock.PostureStep{
			{Kind: interlock.PostureBalance, Powered: true},
			{Kind: interlock.PostureKneel, Needs: needs, AckWithin: time.Second, Within: 5 * time.Second, Proof: proof},
			{Kind: interlock.PostureSit, Needs: needs, AckWithin: time.Second, Within: 5 * time.Second, Proof: sit},
			{
				Kind: interlock.PostureOff, Needs: interlock.NeedStandstill, After: interlock.PosturesOf(interlock.PostureKneel, interlock.PostureSit), AckWithin: time.Second,
				Within: 2 * time.Second, Proof: interlock.PostureProof{Acked: true, Dwell: 300 * time.Millisecond},
			},
		},
		Battery: interlock.ReserveConfig{Used: true, Floor: 0.05, PerSecond: 1e-3, Most: 1.05, MaxAge: time.Minute},
		Heat:    interlock.ReserveConfig{Used: true, Floor: -90, PerSecond: 0.5, Least: -300, Most: 60, MaxAge: 10 * time.Second},
		Stop:    5 * time.Second, Confirm: time.Second, Unseen: 2 * time.Minute, MaxAge: 200 * time.Millisecond, Retry: 5 * time.Second,
	}
	p.Posture.Rungs = [interlock.MaxPostures]int{-1, -1, -1, -1}
	return p
}

func newWalker(t *testing.T, p *Params) *walker {
	t.Helper()
	w := &walker{rig: newRig(t, p, Start{}), charge: 0.8, celsius: 40, works: [interlock.MaxPostures]bool{true, true, true, true}}
	w.answers = w.works
	w.edit = func(ev *Event) bool {
		switch {
		case ev.Kind == EventDevice && ev.Device.Kind == msg.Battery:
			ev.Device.ChargeRatio = w.charge
		case ev.Kind == EventJoints:
			ev.Joints.Position[3] = 0.2 + 1.3*w.kneels
			if w.kneeling {
				ev.Joints.Velocity[3] = 0.6
			}
		}
		return true
	}
	w.each = func(_ *Event, fx *Effects) {
		if fx.PostureChanged {
			text, err := DescribePosture(w.core.AppendPosture(nil))
			if err != nil {
				t.Fatal(err)
			}
			w.records = append(w.records, text)
		}
		fresh := w.fresh(fx)
		for i := 1; i < interlock.MaxPostures; i++ {
			if fresh&(1<<w.core.rungOf(i)) != 0 {
				w.ask(i)
			}
		}
	}
	return w
}

// fresh are the rungs that are called by these effects, as the sink does.
func (w *walker) fresh(fx *Effects) (fresh uint32) {
	if !fx.RungsChanged {
		return 0
	}
	fresh = fx.Rungs &^ w.was
	for i, n := range fx.Calls {
		if n != w.calls[i] {
			fresh |= fx.Rungs & (1 << i)
		}
	}
	w.was, w.calls = fx.Rungs, fx.Calls
	return fresh
}

// ask is the service of a step.
func (w *walker) ask(i int) {
	w.asked = append(w.asked, i)
	if w.answers[i] {
		w.after(100*time.Millisecond, func() { w.apply(Event{Kind: EventAck, Ack: Ack{Rung: w.core.rungOf(i), OK: true}}) })
	}
	if w.works[i] && i == walkKneel {
		w.kneeling = true
	}
}

func (w *walker) after(d time.Duration, f func()) {
	w.due, w.dueAt = append(w.due, f), append(w.dueAt, w.now+d)
}

func (w *walker) run(d time.Duration) {
	w.tb.Helper()
	for end := w.now + d; w.now < end; {
		w.step()
		if w.kneels < 1 {
			w.charge -= w.drain * rigStep.Seconds()
			w.celsius += w.warm * rigStep.Seconds()
		}
		if w.kneeling {
			w.kneels = min(1, w.kneels+rigStep.Seconds()/2)
			w.kneeling = w.kneels < 1
		}
		for len(w.due) > 0 && w.dueAt[0] <= w.now {
			f := w.due[0]
			w.due, w.dueAt = w.due[1:], w.dueAt[1:]
			f()
		}
		if w.stepCount%100 == 0 && !w.off["heat"] {
			w.apply(Event{Kind: EventDevice, Device: &msg.Device{Header: w.header(""), Kind: msg.Heat, Active: true, Celsius: w.celsius}})
		}
	}
}

func (w *walker) until(what string, limit time.Duration, cond func() bool) {
	w.tb.Helper()
	for end := w.now + limit; !cond(); w.run(rigStep) {
		if w.now > end {
			w.tb.Fatalf("%s: not within %v; %s; asked %v; %+v\n%s", what, limit, w.state(), w.asked, w.core.postureStatus(), strings.Join(w.records, "\n"))
		}
	}
}

func (w *walker) phase() interlock.PosturePhase { return w.core.down.out.Phase }

func (w *walker) ready() *walker {
	w.tb.Helper()
	w.until("opens", 20*time.Second, w.open)
	w.run(3 * time.Second)
	return w
}

// TestGoesDownBeforeItFalls lets the battery of a robot run low that is held, and of one that walks; its motors get hot; its steps
// fail. It is down before the deadline, and the ladder takes none of it for motion that nobody told it.
func TestGoesDownBeforeItFalls(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(w *walker)
		cause interlock.Cause
		asked []int
		ends  bool
	}{
		"held, battery":  {func(w *walker) { w.operator = "away"; w.charge, w.drain = 0.08, 1e-3 }, interlock.CauseBatteryEnds, []int{walkKneel}, true},
		"walks, battery": {func(w *walker) { w.drive = func() (float64, float64) { return 0.2, 0 }; w.charge, w.drain = 0.08, 1e-3 }, interlock.CauseBatteryEnds, []int{walkKneel}, true},
		"heat":           {func(w *walker) { w.celsius, w.warm = 75, 0.5 }, interlock.CauseTooHot, []int{walkKneel}, true},
		"battery silent": {func(w *walker) { w.charge = 0.08; w.run(time.Second); w.off["battery"] = true }, interlock.CauseBatteryEnds, []int{walkKneel}, true},
		"heat silent":    {func(w *walker) { w.off["heat"] = true }, interlock.CauseTooHot, []int{walkKneel}, true},
		"kneel hangs": {func(w *walker) {
			w.charge, w.drain = 0.08, 1e-3
			w.works[walkKneel], w.answers[walkKneel] = false, false
		}, interlock.CauseBatteryEnds, []int{walkKneel, walkSit}, false},
		"kneel is a lie":     {func(w *walker) { w.charge, w.drain = 0.08, 1e-3; w.works[walkKneel] = false }, interlock.CauseBatteryEnds, []int{walkKneel, walkSit}, false},
		"charge is no ratio": {func(w *walker) { w.charge = 80 }, interlock.CauseBatteryEnds, []int{walkKneel}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t, walkerParams(t)).ready()
			c.begin(w)
			w.until("has to go down", 20*time.Minute, func() bool { return w.active(interlock.PostureDue) })
			deadline := w.core.down.out.Deadline
			if w.motion() != interlock.MotionStop || w.core.down.out.Due.Cause != c.cause {
				t.Errorf("motion %s for %s", w.motion(), w.core.down.out.Due.Cause)
			}
			if !c.ends {
				w.until("goes on", time.Minute, func() bool { return len(w.asked) >= len(c.asked) })
			} else {
				w.until("down", time.Minute, func() bool { return w.phase() == interlock.PostureReached })
				if w.now > deadline {
					t.Errorf("down %v after the deadline", w.now-deadline)
				}
			}
			if len(w.asked) != len(c.asked) || w.asked[len(w.asked)-1] != c.asked[len(c.asked)-1] {
				t.Errorf("asked %v, expected %v", w.asked, c.asked)
			}
			if w.active(interlock.MotionUntold) || w.active(interlock.StopUnconfirmed) {
				t.Errorf("kneeling is taken for motion: %s", w.state())
			}
			if c.ends {
				t.Logf("%s: %s", name, w.records[len(w.records)-1])
			}
		})
	}
	off := walkerParams(t)
	off.Posture.Config = interlock.PostureConfig{}
	w := newWalker(t, off).ready()
	w.charge, w.drain, w.celsius = 0.08, 1e-3, 120
	if w.run(2 * time.Minute); len(w.asked) > 0 || w.active(interlock.PostureDue) {
		t.Errorf("off: a profile without posture goes down: %s", w.state())
	}
}

// TestDownUntilReset: a robot that went down for its battery is reset once it is charged, and not before; then it may walk again.
func TestDownUntilReset(t *testing.T) {
	w := newWalker(t, walkerParams(t)).ready()
	w.charge = 0.0685
	w.until("down", time.Minute, func() bool { return w.phase() >= interlock.PostureReached })
	w.run(3 * time.Second)
	if w.reset(interlock.RoleOperator); !w.latched(interlock.PostureDue) {
		t.Fatal("reset with an empty battery")
	}
	w.charge = 0.9
	w.run(5 * time.Second)
	if !w.latched(interlock.PostureDue) || w.motion() != interlock.MotionStop {
		t.Fatalf("released by itself: %s", w.state())
	}
	w.reset(interlock.RoleOperator)
	w.kneels = 0
	w.until("free", 10*time.Second, func() bool { return w.phase() == interlock.PostureFree })
	if w.run(3 * time.Second); w.was>>PostureRung != 0 {
		t.Errorf("still demanded: %b", w.was)
	}
	w.until("walks", 10*time.Second, w.open)
}

// TestNotDownIsSaid: when no step works, posture.failed says so, and power stays.
func TestNotDownIsSaid(t *testing.T) {
	w := newWalker(t, walkerParams(t)).ready()
	w.works = [interlock.MaxPostures]bool{}
	w.charge = 0.05
	w.until("said", time.Minute, func() bool { return w.latched(interlock.PostureFailed) })
	w.run(30 * time.Second)
	for _, i := range w.asked {
		if i == walkOff {
			t.Errorf("its power is taken while it stands: asked %v", w.asked)
		}
	}
	if len(w.asked) < 4 {
		t.Errorf("asked %v, expected it to try again", w.asked)
	}
	s := w.core.postureStatus()
	if s.Phase == "reached" || s.At != "balance" || s.Steps[2].Now != "not from here" {
		t.Errorf("status %+v", s)
	}
}

// TestPostureByARung: a step may go by a rung of the ladder; the rung's answer is the step's.
func TestPostureByARung(t *testing.T) {
	p := walkerParams(t)
	rung := 1 // the demonstration's stop service, which kneels
	p.Posture.Rungs[walkKneel] = rung
	w := newWalker(t, p).ready()
	w.charge = 0.05
	w.until("asked", time.Minute, func() bool { return w.asserted&(1<<rung) != 0 && w.phase() == interlock.PostureGoing })
	w.until("down", 10*time.Second, func() bool { return w.phase() == interlock.PostureReached })
	if r := w.core.down.out.Records[walkKneel]; !r.WasAcked || len(w.asked) != 1 {
		t.Errorf("%+v, services asked %v", r, w.asked)
	}
}

// TestPostureByARungThatIsAsserted: the ladder has asserted the rung of a step before, and was refused while the robot walked. The step
// calls the service all the same, as often as it is tried, and what the ladder was told is not its answer.
func TestPostureByARungThatIsAsserted(t *testing.T) {
	p := walkerParams(t)
	const rung = 1
	p.Posture.Rungs[walkKneel] = rung
	w := newWalker(t, p).ready()
	w.answers, w.works = [interlock.MaxPostures]bool{}, [interlock.MaxPostures]bool{}
	moving, edit := true, w.edit
	w.edit = func(ev *Event) bool {
		if moving && ev.Kind == EventOdometry {
			ev.Pose.Twist.Linear.X = 0.3
		}
		return edit(ev)
	}
	w.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
	w.until("the ladder's call", time.Minute, func() bool { return w.core.rungs.Assert.Has(rung) && len(w.asked) == 1 })
	w.apply(Event{Kind: EventAck, Ack: Ack{Rung: rung}})
	moving = false
	w.until("stands", time.Minute, func() bool { return w.core.rungs.Phase == interlock.LadderConfirmed })
	w.charge = 0.05
	w.until("the step's call", time.Minute, func() bool { return len(w.asked) > 1 })
	if w.phase() != interlock.PostureGoing || w.core.down.out.Records[walkKneel].WasFailed {
		t.Errorf("%s, asked %v: the ladder's answer is the step's: %+v", w.phase(), w.asked, w.core.down.out.Records[walkKneel])
	}
	w.until("every step fails", time.Minute, func() bool { return w.phase() == interlock.PostureExhausted })
	n := len(w.asked)
	w.answers[walkKneel], w.works[walkKneel] = true, true
	w.until("down", time.Minute, func() bool { return w.phase() == interlock.PostureReached })
	if len(w.asked) != n+1 || w.asked[n] != walkKneel || !w.core.down.out.Records[walkKneel].WasAcked {
		t.Errorf("asked %v after %d", w.asked, n)
	}
}

// TestPostureIsInTheSnapshot takes a snapshot on the way down and goes on from it: both take the same steps at the same events.
func TestPostureIsInTheSnapshot(t *testing.T) {
	p := walkerParams(t)
	w := newWalker(t, p).ready()
	w.works[walkKneel] = false
	w.charge = 0.05
	w.until("goes", time.Minute, func() bool { return w.phase() == interlock.PostureGoing })
	other, err := NewCore(p, Start{})
	if err == nil {
		err = other.RestoreState(w.core.AppendState(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	var fx Effects
	each := w.each
	w.each = func(ev *Event, mine *Effects) {
		other.Apply(ev, &fx)
		if fx.Digest != mine.Digest || fx.Rungs != mine.Rungs {
			t.Fatalf("%v: digest %x, restored %x", ev.Kind, mine.Digest, fx.Digest)
		}
		each(ev, mine)
	}
	if w.run(10 * time.Second); len(w.asked) < 2 || !bytes.Equal(w.core.AppendState(nil), other.AppendState(nil)) {
		t.Errorf("asked %v", w.asked)
	}
}

// TestARequestsNumberIsInTheDigest: two cores that ask a device for the same by another number have not decided the same.
func TestARequestsNumberIsInTheDigest(t *testing.T) {
	c := newWalker(t, walkerParams(t)).core
	seen := map[uint64]int{c.mix(&Effects{}): -1}
	for i := range c.down.calls {
		c.down.calls[i]++
		d := c.mix(&Effects{})
		c.down.calls[i]--
		if k, twice := seen[d]; twice {
			t.Errorf("the request of rung %d has the digest of rung %d's (-1 for none)", i, k)
		}
		seen[d] = i
	}
}

// TestForeignAnswersToPosture: an answer to a step that nobody asked for, or that there is not, changes nothing.
func TestForeignAnswersToPosture(t *testing.T) {
	w := newWalker(t, walkerParams(t)).ready()
	for i := range 255 {
		w.apply(Event{Kind: EventAck, Ack: Ack{Rung: i, OK: i%2 == 0}})
	}
	w.charge = 0.05
	w.answers[walkKneel], w.works[walkKneel] = false, false
	w.until("asked", time.Minute, func() bool { return len(w.asked) == 1 })
	w.run(200 * time.Millisecond)
	if r := w.core.down.out.Records[walkKneel]; r.WasAcked || r.WasFailed {
		t.Errorf("an older answer counts: %+v", r)
	}
}
