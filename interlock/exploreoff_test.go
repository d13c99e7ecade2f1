package interlock

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestExplorationFindsWrongParts is the off run of the explorations: each part is wrong in one way, as if one of its
// guard clauses were missing, and the rule that says so has to be broken.
func TestExplorationFindsWrongParts(t *testing.T) {
	takesSeconds(t)
	for name, c := range map[string]struct {
		plan  func() plan
		rule  string
		wrong wrong
	}{
		"latches end by themselves": {machinePlan, "nothing latched loosens", wrong{after: func(x *explorer, s *system) {
			for t, ok := s.m.latched.Next(0); ok; t, ok = s.m.latched.Next(t + 1) {
				if s.m.slots[t].state == Clear && s.m.slots[t].quiet >= x.policy.Rules[t].Dwell {
					s.m.release(t)
					s.d.LatchedSet.Remove(t)
					s.d.ActiveSet.Remove(t)
				}
			}
		}}},
		"a reset asks for no role": {machinePlan, "a reset needs authority", wrong{reset: func(_ *explorer, _ *system, req *ResetRequest) {
			req.Persons = append([]Person{{ID: 99, Role: RoleSupervisor}}, req.Persons...)
		}}},
		"one person counts as two": {machinePlan, "a reset needs authority", wrong{reset: func(_ *explorer, s *system, _ *ResetRequest) {
			for i := range s.m.slots {
				s.m.slots[i].approver, s.m.slots[i].approvedAt = 99, s.now
			}
		}}},
		"a reset does not ask for the cause": {machinePlan, "a reset needs authority", wrong{reset: func(_ *explorer, s *system, _ *ResetRequest) {
			for t, ok := s.m.latched.Next(0); ok; t, ok = s.m.latched.Next(t + 1) {
				s.m.slots[t].state, s.m.slots[t].quiet = Clear, time.Hour
			}
		}}},
		"a reset does not ask for the dwell": {machinePlan, "a reset needs authority", wrong{reset: func(_ *explorer, s *system, _ *ResetRequest) {
			for t, ok := s.m.latched.Next(0); ok; t, ok = s.m.latched.Next(t + 1) {
				s.m.slots[t].quiet = time.Hour
			}
		}}},
		"a reset does not ask when anybody looked": {machinePlan, "a reset needs authority", wrong{early: true}},
		"latches are forgotten over a reboot":      {machinePlan, "nothing latched loosens", wrong{reboot: func([]byte, *Machine) bool { return false }}},
		"unknown is fine": {machinePlan, "what lasts or toggles fires", wrong{look: func(in *Inputs) {
			for i := range in.Conditions {
				in.Conditions[i].State = max(in.Conditions[i].State, Clear)
			}
		}}},
		"nobody waits for the first look": {machinePlan, "what lasts or toggles fires", wrong{after: func(_ *explorer, s *system) { s.d.ActiveSet.Remove(Startup) }}},
		"the dwell is not waited for": {machinePlan, "what lasts or toggles fires", wrong{after: func(_ *explorer, s *system) {
			if s.d.ActiveSet.Has(PoseMissing) && s.m.slots[PoseMissing].state == Clear {
				s.m.end(PoseMissing, &s.d)
				s.d.ActiveSet.Remove(PoseMissing)
			}
		}}},
		"a trigger that fires loosens": {machinePlan, "", wrong{after: func(_ *explorer, s *system) {
			if s.d.ActiveSet.Len() > 2 {
				s.d.Axes = s.d.Active[s.d.N-1].Constraint
			}
		}}},
		"a start delay refills at once": {flapPlan, "what lasts or toggles fires", wrong{after: func(x *explorer, s *system) {
			if b := &s.m.slots[BusLost]; b.state == Clear && !b.on {
				b.budget = x.policy.Rules[BusLost].StartDelay
			}
		}}},
		"flapping does not latch": {flapPlan, "nothing latched loosens", wrong{after: func(_ *explorer, s *system) { s.m.trips = [NumClasses]trips{} }}},
		"damaged latches are no latches": {flapPlan, "nothing latched loosens", wrong{reboot: func(b []byte, _ *Machine) bool {
			_, _, err := readLatches(time.Hour, b)
			return err == nil
		}}},
		"the gate passes in a stop": {gatePlan, "no command passes a stop", wrong{gate: func(_ *system, in *GateInput) {
			if in.Axes.Motion == MotionStop {
				in.Axes = Unrestricted()
			}
		}}},
		"the gate hears of a stop late": {gatePlan, "no command passes a stop", wrong{gate: func(s *system, in *GateInput) {
			if in.Axes.Motion <= MotionHold && s.g.any {
				in.Axes = Unrestricted()
			}
		}}},
		"anybody drives to the dock":   {gatePlan, "nothing goes out that nobody may command", wrong{gate: func(_ *system, in *GateInput) { in.Command.Dock = true }}},
		"no channel has to be neutral": {gatePlan, "nothing goes out that nobody may command", wrong{gate: func(s *system, _ *GateInput) { s.g.armed = ^uint64(0) }}},
		"a command from before the release passes": {gatePlan, "nothing goes out that nobody may command", wrong{gate: func(s *system, in *GateInput) {
			if s.g.open && in.New {
				s.g.released -= quantum
			}
		}}},
		"a command does not run out":                    {gatePlan, "nothing goes out that nobody may command", wrong{gate: func(s *system, _ *GateInput) { s.g.current.Received = s.now }}},
		"a latched hold needs no neutral":               {remotePlan, "nothing goes out that nobody may command", wrong{gate: func(_ *system, in *GateInput) { in.Latched = false }}},
		"remote commands are taken for the robot's own": {remotePlan, "nothing goes out that nobody may command", wrong{gate: func(_ *system, in *GateInput) { in.Command.Kind = ChannelAutonomy }}},
		"a cap is not kept": {remotePlan, "nothing goes out that nobody may command", wrong{gate: func(_ *system, in *GateInput) {
			if in.Axes.Motion == MotionLimited {
				in.Axes.Motion, in.Axes.MaxSpeedMPS = MotionFree, inf
			}
		}}},
		"the ladder waits for ever": {ladderPlan, "the ladder goes on", wrong{ladder: func(s *system, _ *LadderInput) {
			for i := range s.l.stopBy {
				s.l.stopBy[i], s.l.ackBy[i] = s.now+time.Hour, s.now+time.Hour
			}
		}}},
		"a rung that hangs is waited for": {ladderPlan, "the ladder goes on", wrong{ladder: func(s *system, _ *LadderInput) {
			for i := range s.l.ackBy {
				s.l.ackBy[i] = s.now + time.Hour
			}
		}}},
		"a refusal is not heard": {ladderPlan, "the ladder goes on", wrong{ladder: func(_ *system, in *LadderInput) {
			for i, a := range in.Acks {
				if a == AckFailed {
					in.Acks[i] = AckOK
				}
			}
		}, late: func(s *system) {
			for i, a := range s.env.acks {
				if a == AckFailed {
					s.lout.Records[i].WasFailed = true
				}
			}
		}}},
		"a stop is confirmed by an answer": {ladderPlan, "a stop is confirmed by measurement", wrong{ladder: func(_ *system, in *LadderInput) {
			if in.Acks[0] == AckOK {
				in.Motion = Standing
			}
		}, late: func(s *system) {
			if s.env.acks[0] == AckOK && s.lout.Phase == LadderRequested {
				s.l.phase, s.lout.Phase = LadderConfirmed, LadderConfirmed
			}
		}}},
		"a rung is let go": {ladderPlan, "nothing asserted is let go", wrong{late: func(s *system) {
			if s.lout.Phase == LadderConfirmed {
				s.l.asserted &^= 1
				s.lout.Assert &^= 1
			}
		}}},
		"a confirmation stands for ever": {ladderPlan, "a confirmation that measurements contradict", wrong{ladder: func(s *system, _ *LadderInput) { s.l.lost = time.Hour }}},
		"zero velocity waits for its turn": {ladderPlan, "zero velocity and the lock come with the demand", wrong{late: func(s *system) {
			if s.l.rung == 0 {
				s.l.asserted &^= 2
				s.lout.Assert &^= 2
			}
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.plan()
			p.wrong = c.wrong
			x, err := newExplorer(p)
			if err != nil {
				t.Fatal(err)
			}
			var found *counterexample
			if err := x.run(); !errors.As(err, &found) || !strings.Contains(found.rule, c.rule) {
				t.Fatalf("%d states: expected a counterexample to %q, found %v", len(x.first), c.rule, err)
			}
			t.Logf("%d states until: %v", len(x.first), found)
		})
	}
}

// TestExplorationFindsACircle has a gate that never comes to rest: one bit of it changes with every step.
func TestExplorationFindsACircle(t *testing.T) {
	takesSeconds(t)
	p := remotePlan()
	p.wrong.gate = func(s *system, _ *GateInput) { s.g.armed ^= 1 << 40 }
	x, err := newExplorer(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.run(); err == nil || !strings.Contains(err.Error(), "never comes to rest") {
		t.Errorf("got %v", err)
	}
}

// TestExplorationEndsAtItsBound says so where there is no fixpoint within the bound.
func TestExplorationEndsAtItsBound(t *testing.T) {
	takesSeconds(t)
	p := machinePlan()
	p.most = 1000
	x, err := newExplorer(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.run(); err == nil || !strings.Contains(err.Error(), "no fixpoint") {
		t.Errorf("got %v", err)
	}
}

// walk runs the product twice over one long random history: as it is, and brought into its canonical form after every
// event. It returns what the two differ in.
func walk(p plan, seed uint64, steps int, forget func(x *explorer, s *system)) error {
	x, err := newExplorer(p)
	if err != nil {
		return err
	}
	plain, err := x.begin()
	if err != nil {
		return err
	}
	canonical := &system{}
	*canonical = *plain
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's own history
	for i := range steps {
		ev := &x.events[0]
		if r.IntN(3) > 0 {
			ev = &x.events[r.IntN(len(x.events))]
		}
		a, b := x.apply(plain, ev), x.apply(canonical, ev)
		if errors.Is(a, errCannot) && errors.Is(b, errCannot) {
			continue
		}
		if a != nil || b != nil {
			return fault("step %d, %s: %v, and in the canonical form %v", i, ev.name, a, b)
		}
		same := plain.d.Axes == canonical.d.Axes && plain.d.ActiveSet == canonical.d.ActiveSet && plain.d.LatchedSet == canonical.d.LatchedSet &&
			plain.d.PresentSet == canonical.d.PresentSet && plain.res == canonical.res &&
			plain.gout.Send == canonical.gout.Send && plain.gout.Velocity == canonical.gout.Velocity && plain.gout.Dropped == canonical.gout.Dropped &&
			plain.lout.Phase == canonical.lout.Phase && plain.lout.Assert == canonical.lout.Assert && plain.lout.Asked == canonical.lout.Asked &&
			plain.lout.Rung == canonical.lout.Rung && plain.lout.DockRefused == canonical.lout.DockRefused &&
			plain.env.unconfirmed == canonical.env.unconfirmed && plain.env.untold == canonical.env.untold && plain.spec == canonical.spec
		if !same {
			return fault("step %d, %s: %v, and in the canonical form %v", i, ev.name, plain, canonical)
		}
		x.canonical(canonical)
		forget(x, canonical)
	}
	return nil
}

// plans are those of the short tier.
func plans() []plan {
	return []plan{machinePlan(), flapPlan(), gatePlan(), remotePlan(), ladderPlan()}
}

func TestCanonicalFormLosesNothing(t *testing.T) {
	takesSeconds(t)
	for _, p := range plans() {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(20) {
				if err := walk(p, seed, 2000, func(*explorer, *system) {}); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// TestCanonicalFormThatForgets is its off run: a form that forgets one thing more is found.
func TestCanonicalFormThatForgets(t *testing.T) {
	for name, c := range map[string]struct {
		plan   func() plan
		forget func(x *explorer, s *system)
	}{
		"quiet":              {machinePlan, func(_ *explorer, s *system) { s.m.slots[HeartbeatLost].quiet = 0 }},
		"the first person":   {machinePlan, func(_ *explorer, s *system) { s.m.slots[PublisherProcess].approver = 0 }},
		"what was seen":      {machinePlan, func(_ *explorer, s *system) { s.m.seen = TriggerSet{} }},
		"the start delay":    {flapPlan, func(x *explorer, s *system) { s.m.slots[BusLost].budget = x.policy.Rules[BusLost].StartDelay }},
		"trips":              {flapPlan, func(_ *explorer, s *system) { s.m.trips = [NumClasses]trips{} }},
		"the release":        {gatePlan, func(_ *explorer, s *system) { s.g.released = epoch - 2*quantum }},
		"who is neutral":     {gatePlan, func(_ *explorer, s *system) { s.g.armed = ^uint64(0) }},
		"the age of command": {gatePlan, func(_ *explorer, s *system) { s.g.current.Received = epoch }},
		"deadlines":          {ladderPlan, func(_ *explorer, s *system) { s.l.stopBy = [MaxRungs]time.Duration{} }},
		"what is asserted":   {ladderPlan, func(_ *explorer, s *system) { s.l.asserted = 0 }},
		"answers":            {ladderPlan, func(_ *explorer, s *system) { s.l.records[0].WasAcked = false }},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				if walk(c.plan(), seed, 2000, c.forget) != nil {
					return
				}
			}
			t.Error("nothing was found")
		})
	}
}
