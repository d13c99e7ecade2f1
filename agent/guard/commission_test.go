package guard

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/interlock"
)

// trialWish tells the core what the technician wants.
func (r *rig) trialWish(w TrialWish) TrialAnswer {
	w.ID = 9
	r.apply(Event{Kind: EventTrial, Trial: w})
	return r.core.TrialAnswer()
}

// measures begins a step of a proof test and drives at 0.6 m/s until its stop is asked for. It says whether it came to that.
func (r *rig) measures(place int) bool {
	r.tb.Helper()
	stick := 0.0
	r.drive = func() (float64, float64) { return stick, 0 }
	if a := r.trialWish(TrialWish{Op: TrialBegin, MPS: 0.5}); !a.Done {
		r.tb.Fatalf("does not begin: %+v", a)
	}
	for n := 0; !r.trialWish(TrialWish{Op: TrialGo, Step: place}).Done; n++ {
		if n == 30 {
			r.tb.Fatalf("step %d does not begin: %+v", place, r.core.TrialAnswer())
		}
		r.goOn(200 * time.Millisecond)
	}
	stick = 0.6
	for r.core.trial.Phase == commission.PhaseDriving {
		if r.goOn(rigStep); r.core.trial.Phase == commission.PhaseDriving && r.plant.v == 0 && r.core.trial.Far > 0.3 {
			return false // the guard let it go no further
		}
	}
	return r.core.trial.Phase == commission.PhaseMeasuring
}

// goOn runs while the technician confirms.
func (r *rig) goOn(d time.Duration) {
	r.run(d)
	r.trialWish(TrialWish{Op: TrialKeep})
}

// TestSilenceEndsWhereTheWayAheadDoes tests a base that goes on without commands for ever, towards a zone: the guard does not
// wait until it would have been late, whatever the base has promised.
func TestSilenceEndsWhereTheWayAheadDoes(t *testing.T) {
	p := demoParams(t)
	ended := 0
	for n := range 9 {
		r := newRig(t, p, Start{})
		r.plant.x, r.plant.y, r.plant.yaw = 5, 10.2+0.1*float64(n), math.Pi/2
		if r.ready(); !r.measures(2) {
			continue
		}
		r.plant.ignore = true
		silent := false
		for r.core.trial.Phase == commission.PhaseMeasuring {
			silent = r.core.told == interlock.Velocity{}
			r.goOn(rigStep)
		}
		if silent && r.core.trial.Why == commission.ReasonWay {
			ended++
		}
		if r.run(3 * time.Second); r.plant.v != 0 || r.plant.y+front >= 14 || r.active(interlock.ZoneOverrun) {
			t.Errorf("from y = %.1f: %.2f m/s, %.2f m before the zone: %s", 10.2+0.1*float64(n), r.plant.v, 14-r.plant.y-front, r.state())
		}
	}
	if ended == 0 {
		t.Error("no run ended because of the way ahead after the base's timeout")
	}
}

// TestSilenceNeverSwallowsTheStopOfWhoDrives lets the technician stop in the middle of the silence, on a base that would go on.
func TestSilenceNeverSwallowsTheStopOfWhoDrives(t *testing.T) {
	for name, stop := range map[string]func(r *rig){
		"he lets go":     func(r *rig) { r.drive = func() (float64, float64) { return 0, 0 } },
		"his link fails": func(r *rig) { r.drive = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{})
			r.plant.x = 4.2
			if r.ready(); !r.measures(2) {
				t.Fatal("nothing is measured")
			}
			r.plant.ignore = true
			r.goOn(100 * time.Millisecond)
			stop(r)
			sent := time.Duration(0)
			r.each = func(_ *Event, fx *Effects) {
				if sent == 0 && fx.Send {
					if sent = r.now; fx.Command.Linear.X != 0 {
						t.Errorf("sends %v", fx.Command)
					}
				}
			}
			from := r.now
			for r.core.trial.Phase == commission.PhaseMeasuring {
				r.goOn(rigStep)
			}
			if late := r.params.Gate.CommandTimeout + 150*time.Millisecond; sent == 0 || sent-from > late {
				t.Errorf("zeros after %v: expected within %v", sent-from, late)
			}
			if why := r.core.trial.Why; why != commission.ReasonCeased {
				t.Errorf("ended because %s", why)
			}
			if r.goOn(400 * time.Millisecond); r.plant.v > 0.5 {
				t.Errorf("still drives at %.2f m/s", r.plant.v)
			}
		})
	}
}

// TestTrialGoesOnFromASnapshot restores a second core in every phase of a proof test; both decide alike from there on.
func TestTrialGoesOnFromASnapshot(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	r.plant.x = 4.2
	r.ready()
	var shadow *Core
	var fx Effects
	seen := map[commission.Phase]bool{}
	r.each = func(ev *Event, own *Effects) {
		if shadow != nil {
			if shadow.Apply(ev, &fx); fx.Digest != own.Digest {
				t.Fatalf("%s in phase %s: the restored core decides otherwise", ev, r.core.trial.Phase)
			}
		}
		if p := r.core.trial.Phase; !seen[p] && ev.Kind == EventTick {
			seen[p] = true
			if shadow != nil && !bytes.Equal(shadow.AppendState(nil), r.core.AppendState(nil)) {
				t.Fatalf("in phase %s the restored core has another state", p)
			}
			var err error
			if shadow, err = NewCore(r.params, Start{Boot: r.now}); err != nil {
				t.Fatal(err)
			}
			if err := shadow.RestoreState(r.core.AppendState(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.run(time.Second)
	if a := r.trialWish(TrialWish{Op: TrialBegin, MPS: 0.5}); !a.Done {
		t.Fatalf("does not begin: %+v", a)
	}
	drives := false
	r.drive = func() (float64, float64) {
		if drives {
			return 0.6, 0
		}
		return 0, 0
	}
	for _, place := range []int{0, 2, 4} { // a stop, silence, the lock alone
		runs := r.core.trial.Runs
		for n := 0; !r.trialWish(TrialWish{Op: TrialGo, Step: place}).Done; n++ {
			if n == 30 {
				t.Fatalf("step %d does not begin: %+v", place, r.core.TrialAnswer())
			}
			r.run(200 * time.Millisecond)
			r.trialWish(TrialWish{Op: TrialKeep})
		}
		for drives = true; r.core.trial.Runs == runs; {
			if r.run(100 * time.Millisecond); r.core.trial.Phase == commission.PhaseSettling {
				drives = false
			}
			if a := r.trialWish(TrialWish{Op: TrialKeep}); a.Phase == commission.PhaseOff || a.Phase == commission.PhaseEnding {
				t.Fatalf("step %d ended: %s, %v", place, a.Why, a.Trouble)
			}
		}
		drives = false
		if a := r.core.TrialAnswer(); a.Why != commission.ReasonNone || a.Run.Rest <= 0 {
			t.Errorf("step %d: %s, rest after %v", place, a.Why, a.Run.Rest)
		}
		if a, b := r.core.trialAnswer(runs), r.core.trialAnswer(runs+1); len(a.Run.Samples) == 0 || b.Run.Samples != nil || b.Run.Number != a.Run.Number {
			t.Errorf("step %d: %d measurements of a run that is new, %d of one that is known", place, len(a.Run.Samples), len(b.Run.Samples))
		}
	}
	r.trialWish(TrialWish{Op: TrialEnd})
	r.run(2 * time.Second)
	for p := commission.PhaseOff; p <= commission.PhaseSettling; p++ {
		if !seen[p] {
			t.Errorf("phase %s did not come", p)
		}
	}
	if !r.open() {
		t.Errorf("still held after the test: %s", r.state())
	}
}

// TestRecordDecidesHowFarTheRobotIsTrusted puts every state of the record before the core.
func TestRecordDecidesHowFarTheRobotIsTrusted(t *testing.T) {
	for state, want := range map[CommissionState]struct{ advisory, slow bool }{
		CommissionUnknown: {true, false}, CommissionMissing: {true, false}, CommissionRefused: {true, false}, CommissionWorse: {true, false},
		CommissionDueUnknown: {true, true}, CommissionOverdue: {false, true}, CommissionValid: {false, false}, 77: {true, false},
	} {
		p := *demoParams(t)
		p.Commissioning = true
		r := newRig(t, &p, Start{}).ready()
		r.apply(Event{Kind: EventCommissioned, Commissioned: Commissioned{State: state, Until: r.now + 10*time.Second}})
		r.run(3 * time.Second)
		check := func(advisory, slow bool) {
			t.Helper()
			d := r.core.Decision()
			if r.core.Status().Advisory != advisory || r.active(interlock.Advisory) != advisory || r.active(interlock.CommissioningOverdue) != slow || (d.Axes.MaxSpeedMPS <= 0.5) != slow {
				t.Errorf("%s: advisory %t, expected %t and slow %t: %s", state, r.core.Status().Advisory, advisory, slow, r.state())
			}
		}
		check(want.advisory, want.slow)
		if r.run(12 * time.Second); state == CommissionValid {
			check(false, true) // its time is over although nobody said so
		}
		p.Commissioning = false
		r.run(3 * time.Second)
		check(false, false) // the off run: a profile that demands nothing
	}
}
