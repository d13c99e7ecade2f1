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
		for n := 0; n < 20; n++ {
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
