package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// technician drives a robot through its proof test by hand, as the program on the robot tells him.
type technician struct {
	*Sim
	cfg    *config.Config
	mps    float64
	runs   []commission.Run
	drives bool
	turns  bool
	why    commission.Reason
}

// walker is the robot of the demonstration's profile, well within its figures: steps, dead time and noise included.
func walker() Body {
	return Body{
		Accel: 0.8, Decel: 0.9, TurnAccel: 2, TurnDecel: 2, DeadTime: 150 * time.Millisecond, Timeout: 400 * time.Millisecond,
	}
}

func newTechnician(t *testing.T, seed uint64, body Body, gait float64, edits ...Edit) *technician {
	t.Helper()
	cfg := Documents(t, edits...)
	k := &technician{cfg: cfg, mps: 0.9}
	k.Sim = New(t, Config{
		Params: With(t, cfg, Params(t, cfg), []geofence.ZoneSpec{}, nil), Seed: seed, Civil: morning, X: 3, Y: 3, Step: 2 * time.Millisecond, Body: body,
		Senses: Senses{
			Pose: 50 * time.Millisecond, Rest: 20 * time.Millisecond, Tick: 20 * time.Millisecond, Latency: 10 * time.Millisecond, Jitter: 5 * time.Millisecond,
			White: 0.01, Yaw: 0.003, Speed: 0.004, Gait: gait,
		},
		Plain: true, Period: 50 * time.Millisecond,
		Plan: func(*Sim) (float64, float64, float64, bool) {
			switch {
			case k.turns:
				return 0, 0, 0.6, true
			case k.drives:
				return k.mps, 0, 0, true
			}
			return 0, 0, 0, true
		},
	})
	k.Ready()
	return k
}

// wish tells the guard what the technician wants.
func (k *technician) wish(w guard.TrialWish) guard.TrialAnswer {
	w.ID = 7
	k.apply(guard.Event{Kind: guard.EventTrial, Trial: w})
	return k.core.TrialAnswer()
}

// step does one run of a step and says how it ended; keep is what happens meanwhile, false to end the test.
func (k *technician) step(place int) commission.Run {
	k.tb.Helper()
	kind := k.Params.Trial.Steps[place].Kind
	var a guard.TrialAnswer
	for n := 0; ; n++ {
		if a = k.wish(guard.TrialWish{Op: guard.TrialGo, Step: place}); a.Done {
			break
		}
		if n == 100 {
			k.tb.Fatalf("step %d does not begin: %+v", place, a)
		}
		k.Run(200 * time.Millisecond)
		k.wish(guard.TrialWish{Op: guard.TrialKeep})
	}
	runs := a.Runs
	k.turns = kind == commission.KindTurn
	k.drives = !k.turns
	for a.Runs == runs && a.Phase != commission.PhaseEnding && a.Phase != commission.PhaseOff {
		k.Run(time.Duration(37+k.rng.IntN(40)) * time.Millisecond)
		a = k.wish(guard.TrialWish{Op: guard.TrialKeep})
		if a.Phase == commission.PhaseSettling {
			k.drives, k.turns = false, false
		}
	}
	k.drives, k.turns = false, false
	k.why = a.Why
	if a.Runs > runs {
		k.runs = append(k.runs, a.Run)
	}
	return a.Run
}

// all does the whole test.
func (k *technician) all() []commission.Item {
	k.tb.Helper()
	p := k.Params
	if a := k.wish(guard.TrialWish{Op: guard.TrialBegin, MPS: k.mps}); !a.Done {
		k.tb.Fatalf("does not begin: %+v", a)
	}
	claims := k.cfg.Profile.ClaimSpec()
	for i := range p.Trial.N {
		for range 20 {
			least, better := commission.Needs(&p.Trial, i, k.runs)
			if least == 0 && !better {
				break
			}
			if r := k.step(i); r.Why != commission.ReasonNone {
				break
			}
		}
	}
	k.wish(guard.TrialWish{Op: guard.TrialEnd})
	return commission.Judge(&p.Trial, &claims, k.runs)
}

func items(list []commission.Item) string {
	var b strings.Builder
	for _, i := range list {
		fmt.Fprintf(&b, "\n%-22s %-12s %s", i.Name, i.Result, i.Text)
	}
	return b.String()
}

func item(t *testing.T, list []commission.Item, name string) commission.Item {
	t.Helper()
	for _, i := range list {
		if i.Name == name {
			return i
		}
	}
	t.Fatalf("no item %q: %s", name, items(list))
	return commission.Item{}
}

// TestCommissioningRecoversTheTruth tests robots whose true figures are drawn at random, through the real guard's core.
func TestCommissioningRecoversTheTruth(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 9))
	for range number(t, "ROBOWARDEN_COMMISSIONED", 4, 60) {
		body := walker()
		body.Decel = 0.75 + 0.5*rng.Float64()
		body.DeadTime = time.Duration(60+rng.IntN(400)) * time.Millisecond
		body.LockDelay = body.DeadTime
		body.Timeout = time.Duration(200+rng.IntN(200)) * time.Millisecond
		noise := 0.02 * rng.Float64()
		k := newTechnician(t, s+rng.Uint64(), body, noise)
		list := k.all()
		t.Logf("deceleration %.3f, dead time %v, timeout %v, noise %.3f, %d runs: %s", body.Decel, body.DeadTime, body.Timeout, noise, len(k.runs), items(list))
		if !commission.Enough(list) {
			t.Errorf("a robot as good as its profile did not pass")
		}
		near := func(what string, got, want float64) {
			if off := math.Abs(got - want); off > max(commission.Accuracy*want, 0.015) {
				t.Errorf("%s: %.4f, the truth is %.4f", what, got, want)
			}
		}
		near("deceleration", item(t, list, "deceleration").Mean, body.Decel)
		near("reaction", item(t, list, "reaction").Mean, body.DeadTime.Seconds())
		near("silence", item(t, list, "silence").Mean, body.Timeout.Seconds())
	}
}

// TestCommissioningRefuses tests robots that are worse than their profile in one way each.
func TestCommissioningRefuses(t *testing.T) {
	s := seed(t)
	for name, c := range map[string]struct {
		spoil func(b *Body)
		after func(k *technician)
		item  string
	}{
		"a base that never stops by itself":      {func(b *Body) { b.Timeout = time.Hour }, func(k *technician) { k.base.deaf = true }, "silence"},
		"a base that stops by itself much later": {func(b *Body) { b.Timeout = 1300 * time.Millisecond }, nil, "silence"},
		"brakes that are weaker than claimed":    {func(b *Body) { b.Decel = 0.62 }, nil, "deceleration"},
		"a reaction that is slower than claimed": {func(b *Body) { b.DeadTime, b.LockDelay = 850*time.Millisecond, 850*time.Millisecond }, nil, "reaction"},
		"a lock that nobody obeys":               {func(b *Body) { b.LockDelay = time.Hour }, nil, "rung.lock"},
		"a service that only says that it stops": {func(*Body) {}, func(k *technician) { k.base.lies = true }, "rung.kneel"},
		"joints that always show rest":           {func(*Body) {}, func(k *technician) { k.base.stiff = true }, "second-source.joints"},
	} {
		t.Run(name, func(t *testing.T) {
			body := walker()
			body.LockDelay = body.DeadTime
			c.spoil(&body)
			k := newTechnician(t, s, body, 0.004)
			if c.after != nil {
				c.after(k)
			}
			list := k.all()
			if it := item(t, list, c.item); it.Result != commission.Failed || commission.Enough(list) {
				t.Errorf("expected %s to fail: %s", c.item, items(list))
			}
			// Whatever it is that fails, the guard brings the robot to rest by what works.
			if k.Run(5 * time.Second); k.base.speed() != 0 {
				t.Errorf("drives on at %.2f m/s", k.base.speed())
			}
		})
	}
}

// TestCommissioningEndsAtRest ends a test in the middle of a drive in every way that there is.
func TestCommissioningEndsAtRest(t *testing.T) {
	s := seed(t)
	for name, c := range map[string]struct {
		do   func(k *technician)
		keep bool
		want commission.Reason
	}{
		"the confirmation is not renewed": {func(*technician) {}, false, commission.ReasonReleased},
		"the technician ends it":          {func(k *technician) { k.wish(guard.TrialWish{Op: guard.TrialEnd}) }, true, commission.ReasonEnded},
		"a stop is ordered": {func(k *technician) {
			k.apply(guard.Event{Kind: guard.EventOrder, Order: guard.Order{Kind: guard.OrderStop, Category: 2, Zone: geofence.NoZone}})
		}, true, commission.ReasonTrigger},
		"odometry falls silent": {func(k *technician) { k.due[sourceOdometry] += time.Hour }, true, 0},
		"joints fall silent":    {func(k *technician) { k.due[sourceJoints] += time.Hour }, true, commission.ReasonTrigger},
		"the localisation ends": {func(k *technician) { k.due[sourcePose] += time.Hour }, true, commission.ReasonTrigger},
	} {
		t.Run(name, func(t *testing.T) {
			body := walker()
			body.LockDelay = body.DeadTime
			k := newTechnician(t, s, body, 0.004)
			if a := k.wish(guard.TrialWish{Op: guard.TrialBegin, MPS: 0.6}); !a.Done {
				t.Fatalf("does not begin: %+v", a)
			}
			k.Run(600 * time.Millisecond)
			if k.motion() > interlock.MotionHold {
				t.Error("the robot is not held before the first drive")
			}
			if a := k.wish(guard.TrialWish{Op: guard.TrialGo}); !a.Done {
				t.Fatalf("step does not begin: %+v", a)
			}
			k.drives = true
			if k.Run(700 * time.Millisecond); k.base.speed() < 0.2 || k.base.speed() > 0.61 {
				t.Fatalf("drives at %.2f m/s, expected up to 0.6", k.base.speed())
			}
			c.do(k)
			for range 20 {
				if k.Run(200 * time.Millisecond); c.keep {
					k.wish(guard.TrialWish{Op: guard.TrialKeep})
				}
			}
			a := k.core.TrialAnswer()
			if c.want != 0 && a.Why != c.want {
				t.Errorf("ended because %s, expected %s", a.Why, c.want)
			}
			if k.base.speed() != 0 || k.motion() > interlock.MotionHold {
				t.Errorf("%.2f m/s, motion %v, although the technician still pushes", k.base.speed(), k.motion())
			}
			k.drives = false
			if k.Run(3 * time.Second); c.want <= commission.ReasonReleased && c.want != 0 && k.motion() <= interlock.MotionHold {
				t.Errorf("still held although nobody commands motion: %v", k.motion())
			}
		})
	}
}

// TestCommissioningNeverBeginsOnARobotThatMoves offers a begin and a step at the wrong moment.
func TestCommissioningNeverBeginsOnARobotThatMoves(t *testing.T) {
	body := walker()
	body.LockDelay = body.DeadTime
	k := newTechnician(t, seed(t), body, 0.004)
	k.drives = true
	k.Run(2 * time.Second)
	for _, w := range []guard.TrialWish{{Op: guard.TrialBegin, MPS: 0.5}, {Op: guard.TrialGo}, {Op: guard.TrialKeep}, {Op: guard.TrialEnd}, {Op: 99}} {
		if a := k.wish(w); a.Done || a.Phase != commission.PhaseOff {
			t.Errorf("%v taken while it drives", w.Op)
		}
	}
	k.drives = false
	k.Run(3 * time.Second)
	for _, mps := range []float64{0, -1, 0.05, 5, math.NaN(), math.Inf(1)} {
		if a := k.wish(guard.TrialWish{Op: guard.TrialBegin, MPS: mps}); a.Done {
			t.Errorf("begins at %v m/s", mps)
		}
	}
	if a := k.wish(guard.TrialWish{Op: guard.TrialBegin, MPS: 0.5}); !a.Done {
		t.Fatalf("does not begin: %+v", a)
	}
	k.drives = true // a stick that is pushed before the step
	for range 10 {
		k.Run(200 * time.Millisecond)
		k.wish(guard.TrialWish{Op: guard.TrialKeep})
	}
	if a := k.wish(guard.TrialWish{Op: guard.TrialGo}); a.Done || k.base.speed() != 0 {
		t.Errorf("a step begins while somebody commands motion; %.2f m/s", k.base.speed())
	}
	for _, place := range []int{-1, k.Params.Trial.N, 1000} {
		if a := k.wish(guard.TrialWish{Op: guard.TrialGo, Step: place}); a.Done {
			t.Errorf("step %d begins", place)
		}
	}
}

// TestCommissioningRecoversAWalker tests the demonstration's humanoid: commands take effect at its steps only, behind a dead time
// and the lag of its velocity loop, and how long it takes differs from stop to stop. The truth is what it really did.
func TestCommissioningRecoversAWalker(t *testing.T) {
	s := seed(t)
	for n := range number(t, "ROBOWARDEN_COMMISSIONED", 2, 20) {
		body := Body{
			Accel: 0.6, Decel: 1.2, TurnAccel: 2, TurnDecel: 2, DeadTime: 60 * time.Millisecond, LockDelay: 60 * time.Millisecond, Lag: 120 * time.Millisecond,
			StepPeriod: 350 * time.Millisecond, Timeout: 400 * time.Millisecond,
		}
		k := newTechnician(t, s+uint64(n), body, 0.02)
		k.Truth = true
		list := k.all()
		t.Logf("%d runs: %s", len(k.runs), items(list))
		if !commission.Enough(list) {
			t.Errorf("the demonstration's humanoid did not pass")
		}
		for name, kind := range map[string]commission.Kind{"reaction": commission.KindStop, "silence": commission.KindSilence} {
			got, truth := item(t, list, name).Mean, k.onset(t, kind)
			if off := math.Abs(got - truth); off > max(commission.Accuracy*truth, 0.015) {
				t.Errorf("%s: %.4f, the truth is %.4f", name, got, truth)
			}
		}
		if got := item(t, list, "deceleration").Mean; math.Abs(got-body.Decel) > commission.Accuracy*body.Decel {
			t.Errorf("deceleration: %.4f, the truth is %.4f", got, body.Decel)
		}
	}
}

// onset is the mean time from the request until the robot really began to brake, over all runs of a kind that count.
func (k *technician) onset(t *testing.T, kind commission.Kind) float64 {
	t.Helper()
	sum, n := 0.0, 0.0
	for i := range k.runs {
		r := &k.runs[i]
		if k.Params.Trial.Steps[r.Step].Kind != kind || r.Why != commission.ReasonNone {
			continue
		}
		v := 0.0
		for _, s := range k.truth.Samples {
			switch {
			case s.T <= r.Requested:
				v = s.Speed()
			case s.Speed() < v-0.005:
				sum, n = sum+(s.T-r.Requested).Seconds(), n+1
				v = math.Inf(-1)
			}
		}
	}
	if n == 0 {
		t.Fatalf("no run of %s", kind)
	}
	return sum / n
}
