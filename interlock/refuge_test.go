package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// creepOut is a way out at 0.2 m/s for 5 s.
func creepOut() Refuge { return Refuge{Possible: true, MPS: 0.2, Within: 5 * time.Second} }

// heldBy is a calm machine on which the given triggers are present for 2 s.
func heldBy(t *testing.T, change func(*Inputs), triggers ...Trigger) *Decision {
	t.Helper()
	m, err := New(DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	in := calm()
	in.Refuge = creepOut()
	var d Decision
	for at := time.Hour; at < time.Hour+4*time.Second; at += 20 * time.Millisecond {
		if at == time.Hour+2*time.Second {
			for _, tr := range triggers {
				in.Conditions[tr] = Fault(CauseNone, 0)
			}
			change(in)
		}
		m.Step(at, in, &d)
	}
	return &d
}

func TestAHoldBecomesACreepOut(t *testing.T) {
	same := func(*Inputs) {}
	for name, c := range map[string]struct {
		change   func(*Inputs)
		triggers []Trigger
		refuge   bool
		mps      float64
	}{
		"nothing":                        {same, nil, false, math.Inf(1)},
		"a late heartbeat":               {same, []Trigger{HeartbeatLate}, true, 0.2},
		"no joint states":                {same, []Trigger{JointsMissing, HeartbeatLate}, true, 0.2},
		"a full disk":                    {same, []Trigger{JournalUnwritable, HeartbeatLate}, false, 0}, // it sends to the dock
		"a slower fence":                 {func(in *Inputs) { in.Fence = limited(0.1) }, []Trigger{HeartbeatLate}, true, 0.1},
		"a faster fence":                 {func(in *Inputs) { in.Fence = limited(1) }, []Trigger{HeartbeatLate}, true, 0.2},
		"a trigger that limits":          {same, []Trigger{HeartbeatLate, SecondSourceMissing}, true, 0.2},
		"a stop":                         {same, []Trigger{HeartbeatLate, HeartbeatLost}, false, 0},
		"a bad pose":                     {same, []Trigger{HeartbeatLate, PoseStale}, false, 0},
		"a doubtful pose":                {same, []Trigger{HeartbeatLate, PoseCovariance}, false, 0},
		"an unknown publisher":           {same, []Trigger{HeartbeatLate, PublisherConflict}, false, 0},
		"bad commands":                   {same, []Trigger{HeartbeatLate, CommandInvalid}, false, 0},
		"no bus":                         {same, []Trigger{HeartbeatLate, BusLost}, false, 0},
		"inside a zone":                  {same, []Trigger{HeartbeatLate, ZoneInside}, false, 0},
		"too fast to stop":               {same, []Trigger{HeartbeatLate, ZoneOverrun}, false, 0},
		"a slow loop":                    {same, []Trigger{HeartbeatLate, LoopOverrun}, false, 0},
		"sent to a dock that is not":     {same, []Trigger{BatteryLow, HeartbeatLate}, false, 0},
		"the end of the guard":           {same, []Trigger{Terminating}, false, 0},
		"no way out (off)":               {func(in *Inputs) { in.Refuge.Possible = false }, []Trigger{HeartbeatLate}, false, 0},
		"no time for it":                 {func(in *Inputs) { in.Refuge.Within = 0 }, []Trigger{HeartbeatLate}, false, 0},
		"less time than it takes":        {func(in *Inputs) { in.Refuge.Within = time.Second }, []Trigger{HeartbeatLate}, false, 0},
		"no speed for it":                {func(in *Inputs) { in.Refuge.MPS = math.NaN() }, []Trigger{HeartbeatLate}, false, 0},
		"a fence that holds":             {func(in *Inputs) { in.Fence = hold() }, []Trigger{HeartbeatLate}, false, 0},
		"a robot that cannot stay there": {func(in *Inputs) { in.HoldImpossible = true }, []Trigger{HeartbeatLate}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := heldBy(t, c.change, c.triggers...)
			if d.Refuge != c.refuge || d.Axes.MaxSpeedMPS != c.mps {
				t.Errorf("refuge %t, %v, expected %t at %v m/s", d.Refuge, d.Axes, c.refuge, c.mps)
			}
			if d.Refuge && (d.Axes.Motion != MotionLimited || d.Axes.Remote == RemoteFree || d.Category != NoStop) {
				t.Errorf("%v, %v: expected limited motion, nobody from afar and no stop", d.Axes, d.Category)
			}
		})
	}
}

// TestALatchedHoldIsNoCreep: what a person has to reset holds as it is; the same by itself would let the robot creep out.
func TestALatchedHoldIsNoCreep(t *testing.T) {
	for clear, want := range map[ClearCondition]bool{ClearOnClear: true, ClearByOperator: false} {
		p := DefaultPolicy()
		p.Rules[OrderHold].Clear = clear
		m, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		in, now := calm(), time.Hour
		in.Refuge = creepOut()
		var d Decision
		for i := range 200 {
			if i == 150 {
				in.Conditions[OrderHold] = Fault(CauseNone, 0)
			}
			now += 20 * time.Millisecond
			m.Step(now, in, &d)
		}
		if d.Refuge != want || m.latched.Has(OrderHold) == want {
			t.Errorf("clears %v: refuge %t, %v; latched %t", clear, d.Refuge, d.Axes, m.latched.Has(OrderHold))
		}
	}
}

// TestAWayToTheDockIsNoCreep: what sends the robot to a dock that it cannot reach holds it, and is no hold that could become
// a creep. Off: the same trigger with a hold.
func TestAWayToTheDockIsNoCreep(t *testing.T) {
	tried := 0
	for tr := range NumTriggers {
		for _, asks := range []Axes{dock(), hold()} {
			p := DefaultPolicy()
			p.Rules[tr].Constraint = asks
			m, err := New(p)
			if err != nil || !triggerTable[tr].Creeps || p.Rules[tr].Clear.Latches() {
				continue // it may not be asked for so little
			}
			in, now := calm(), time.Hour
			in.Refuge, in.DockPossible = creepOut(), false
			var d Decision
			for i := range 400 {
				if i == 150 {
					in.Conditions[tr] = Fault(CauseNone, 0)
				}
				now += 20 * time.Millisecond
				m.Step(now, in, &d)
			}
			if want := asks.Motion == MotionHold; d.Refuge != want && d.Axes.Motion <= MotionLimited {
				t.Errorf("%v asks for %v: refuge %t, %v", tr, asks.Motion, d.Refuge, d.Axes)
			}
			if asks.Motion == MotionDockOnly {
				tried++
			}
		}
	}
	if tried == 0 {
		t.Error("no trigger was tried")
	}
}

// TestTheCreepIsBounded: whatever comes and goes, without a moment in which nothing holds the robot it creeps no longer
// than it may, and never faster.
func TestTheCreepIsBounded(t *testing.T) {
	bounded := func(bound func(*Inputs)) property {
		return func(t *rapid.T) error {
			m, err := New(DefaultPolicy())
			if err != nil {
				return err
			}
			in := calm()
			var d Decision
			now := time.Hour
			for range 150 {
				m.Step(now, in, &d)
				now += 20 * time.Millisecond
			}
			var crept time.Duration
			in.Conditions[HeartbeatLate] = Fault(CauseNone, 0)
			for range 60 {
				in.Refuge = creepOut()
				in.Refuge.Possible = rapid.IntRange(0, 4).Draw(t, "possible") > 0
				bound(in)
				before := d.Refuge
				step := time.Duration(rapid.IntRange(1, 900).Draw(t, "ms")) * time.Millisecond
				now += step
				m.Step(now, in, &d)
				if before {
					crept += step
				}
				if d.Refuge && (d.Axes.MaxSpeedMPS > 0.2 || crept >= 5*time.Second+time.Second) {
					return fault("creeps for %v at %v m/s", crept, d.Axes.MaxSpeedMPS)
				}
			}
			return nil
		}
	}
	check(t, bounded(func(*Inputs) {}))
	refuted(t, bounded(func(in *Inputs) { in.Refuge.Within = time.Hour }))
	refuted(t, bounded(func(in *Inputs) { in.Refuge.MPS = 0.3 }))
}

func TestTheTimeForTheCreepSurvivesARestore(t *testing.T) {
	m, err := New(DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	in := calm()
	var d Decision
	now := time.Hour
	step := func(on *Machine) {
		now += 20 * time.Millisecond
		on.Step(now, in, &d)
	}
	for range 150 {
		step(m)
	}
	in.Conditions[HeartbeatLate], in.Refuge = Fault(CauseNone, 0), creepOut()
	for range 200 {
		step(m)
	}
	if !d.Refuge {
		t.Fatalf("after 4 s: %v", d.Axes)
	}
	back, err := New(DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	if err := back.RestoreState(m.AppendState(nil)); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		step(back)
	}
	if d.Refuge || d.Axes.Motion != MotionHold {
		t.Errorf("after 5.2 s, restored at 4 s: refuge %t, %v", d.Refuge, d.Axes)
	}
	in.Conditions[HeartbeatLate] = OK()
	for range 100 {
		step(back)
	}
	in.Conditions[HeartbeatLate] = Fault(CauseNone, 0)
	step(back)
	if !d.Refuge {
		t.Errorf("a new hold: refuge %t, %v", d.Refuge, d.Axes)
	}
}
