package interlock

import (
	"fmt"
	"math"
	"time"
)

// surroundings are what is around the machine: what is the case, and who has answered what. A reboot leaves them alone.
type surroundings struct {
	cond        [maxSubjects]State // of the plan's moved triggers
	motion      MotionState
	acks        [MaxRungs]Ack
	unconfirmed State
	untold      State
	dockRefused bool
}

func (e *surroundings) calm(n int) bool {
	for _, c := range e.cond[:n] {
		if c != Clear {
			return false
		}
	}
	return true
}

// system is one state, and what its last step said.
type system struct {
	m    Machine
	g    Gate
	l    Ladder
	o    Overrides
	env  surroundings
	spec spec

	// clock is the boot clock of the last step, now that of this one, quanta how many lie between.
	clock, now time.Duration
	quanta     int
	gin        GateInput
	ask        *ResetRequest
	res        ResetResult
	over       *exploredOverride
	overRes    OverrideResult
	d          Decision
	gout       GateOutput
	lout       LadderOutput
}

// begin returns a robot that is commissioned and was never started.
func (x *explorer) begin() (*system, error) {
	s := &system{clock: epoch}
	s.env.motion = Standing
	for i := range x.moved {
		s.env.cond[i] = x.start
	}
	s.spec.begin(x)
	return s, x.boot(s)
}

// boot starts machine, gate and ladder anew.
func (x *explorer) boot(s *system) error {
	m, err := New(x.policy)
	if err != nil {
		return err
	}
	g, err := NewGate(x.gcfg)
	if err != nil {
		return err
	}
	cfg := x.cfg
	if !x.plan.ladder {
		cfg = quickLadder()
	}
	l, err := NewLadder(cfg)
	if err != nil {
		return err
	}
	o, err := NewOverrides(x.overrides)
	if err != nil {
		return err
	}
	s.m, s.g, s.l, s.o = *m, *g, *l, *o
	// What the rungs answered belongs to requests of the last run.
	s.env.acks, s.env.unconfirmed, s.env.untold, s.env.dockRefused = [MaxRungs]Ack{}, Clear, Clear, false
	return nil
}

// condition is what the guard would tell the machine about the plan's trigger i.
func condition(t Trigger, s State) Condition {
	c := Condition{State: s, Cause: CauseMissing}
	if class := triggerTable[t].Class; class == ClassChannel || class == ClassPublisher {
		// Of the planner's channel, which is not the dock's.
		c.Subject = 1
	}
	return c
}

// apply lets one event happen and holds the step against the rules.
func (x *explorer) apply(s *system, ev *event) error {
	s.now, s.quanta, s.ask, s.over = s.clock, 0, nil, nil
	s.gin = GateInput{Ratio: 1, MaxSpeedMPS: math.Inf(1)}
	if !ev.act(x, s) {
		return errCannot
	}
	x.step(s)
	return s.spec.check(x, s)
}

// step steps every part as agent/guard does: machine, gate, ladder; the ladder's answer is the next step's condition.
func (x *explorer) step(s *system) {
	w := &x.wrong
	for i, t := range x.moved {
		x.in.Conditions[t] = condition(t, s.env.cond[i])
	}
	if x.plan.ladder {
		x.in.Conditions[StopUnconfirmed], x.in.Conditions[MotionUntold] = Condition{State: s.env.unconfirmed}, Condition{State: s.env.untold}
	}
	x.in.Standstill = s.env.motion == Standing
	x.in.DockPossible = !s.env.dockRefused
	if w.lasts != nil {
		w.lasts(s)
	}
	x.in.Overridden, x.in.OverriddenMPS = s.o.Step(s.now)
	in := x.in
	if w.look != nil {
		w.look(&in)
	}
	s.m.Step(s.now, &in, &s.d)
	if w.after != nil {
		w.after(x, s)
	}
	if x.plan.gate {
		s.gin.Axes, s.gin.Latched, s.gin.Because = s.d.Axes, s.d.HeldByLatch(), NumTriggers
		gin := s.gin
		if w.gate != nil {
			w.gate(s, &gin)
		}
		s.g.Step(s.now, &gin, &s.gout)
	}
	if x.plan.ladder {
		in := LadderInput{Demand: DemandOf(s.d.Axes), Motion: s.env.motion, Acks: s.env.acks}
		if w.ladder != nil {
			w.ladder(s, &in)
		}
		s.l.Step(s.now, &in, &s.lout)
		if w.late != nil {
			w.late(s)
		}
		x.hear(s)
	}
	s.clock = s.now
}

// hear takes what the ladder says, and forgets answers that it has written down or that belong to an older request.
func (x *explorer) hear(s *system) {
	s.env.unconfirmed, s.env.untold, s.env.dockRefused = s.lout.Unconfirmed.State, s.lout.Untold.State, s.lout.DockRefused
	for i := range MaxRungs {
		if r := &s.lout.Records[i]; s.lout.Asked.Has(i) || r.WasAcked || r.WasFailed || !r.WasRequested {
			s.env.acks[i] = AckNone
		}
	}
}

// back sets a time that was at most most ago, seen from now, back to the epoch's clock; what is longer ago counts as most.
func back(at *time.Duration, now, most time.Duration) {
	*at = epoch - max(0, min(now-*at, most))
}

// ahead does so for a deadline; one that has passed is passed for good.
func ahead(by *time.Duration, now time.Duration) {
	*by = epoch + max(0, *by-now)
}

// canonical brings a state into its one form, with its clock at the epoch.
func (x *explorer) canonical(s *system) {
	now := s.clock
	s.clock = epoch
	x.canonicalMachine(&s.m, now)
	x.canonicalOverrides(&s.o, now)
	if x.plan.gate {
		x.canonicalGate(&s.g, now)
	}
	if x.plan.ladder {
		x.canonicalLadder(s, now)
	}
}

func (x *explorer) canonicalMachine(m *Machine, now time.Duration) {
	p := &m.rules
	for t := range NumTriggers {
		s, r := &m.slots[t], &p.Rules[t]
		// Counted and told, and compared with nothing but each other in the order of a list that is long enough here.
		s.count, s.firstSeen, s.since, s.lastClear = 0, epoch, epoch, epoch
		if s.on {
			// Ending refills the start delay whatever is left of it; a longer quiet than the dwell is as good as the dwell.
			s.budget, s.quiet = r.StartDelay, min(s.quiet, r.Dwell)
		} else {
			// Firing begins with no quiet.
			s.quiet = 0
		}
		if s.approver != 0 && now-s.approvedAt > p.SecondPerson {
			// A first person whose time is over is no first person any more.
			s.approver = 0
		}
		if s.approver == 0 {
			s.approvedAt = epoch
		} else {
			back(&s.approvedAt, now, p.SecondPerson)
		}
		// Docking alone asks for the subject, of channels and publishers that are involved.
		if class := triggerTable[t].Class; !x.docks || class != ClassChannel && class != ClassPublisher || !s.on && s.state != Present {
			s.cause, s.subject = 0, 0
		}
	}
	for c := range NumClasses {
		// A trip that has left the window counts no more; and none does where fewer than it takes find room in it.
		in, old := m.trips[c], m.trips[c]
		in.n = 0
		for _, at := range old.at[:old.n] {
			if now-at < p.FlapWindow && x.flaps {
				back(&at, now, p.FlapWindow)
				in.at[in.n] = at
				in.n++
			}
		}
		m.trips[c] = in
	}
	m.dockQuiet = min(m.dockQuiet, p.DockDwell)
	if !x.docks {
		// Nothing ever demands to dock.
		m.dockQuiet = 0
	}
	m.seq = 0
	if m.ran {
		m.last = epoch
	}
}

func (x *explorer) canonicalGate(g *Gate, now time.Duration) {
	// A command may have waited for a quantum before it came to the gate, so ages count for one more.
	oldest := g.cfg.CommandTimeout + quantum
	g.counts, g.why = [NumGateReasons]uint64{}, GateIdle
	if g.any {
		back(&g.current.Received, now, oldest)
	} else {
		g.current = Command{}
	}
	if g.open {
		back(&g.released, now, oldest)
	} else {
		// Opening sets it anew.
		g.released = epoch
	}
	for i := range g.heard {
		if g.known&(1<<i) != 0 {
			back(&g.heard[i], now, oldest)
		}
	}
	if g.sent {
		back(&g.sentAt, now, g.cfg.ZeroPeriod)
	}
}

func (x *explorer) canonicalLadder(s *system, now time.Duration) {
	l := &s.l
	if l.ran {
		l.last = epoch
	}
	for i := range MaxRungs {
		r := &l.records[i]
		passed := i < l.rung
		if passed && r.WasRequested {
			// Nobody waits for it any more. Its answer stays: a stop after a hold goes by it.
			r.WasConfirmed = false
		}
		r.Acked, r.Failed, r.Confirmed = 0, 0, 0
		if !r.WasRequested || passed {
			l.ackBy[i], l.stopBy[i] = 0, 0
		} else {
			ahead(&l.ackBy[i], now)
			ahead(&l.stopBy[i], now)
		}
		if r.WasAcked || r.WasFailed {
			l.ackBy[i] = 0
		}
		if r.WasRequested {
			back(&r.Requested, now, l.cfg.React)
		} else {
			r.Requested = 0
		}
	}
	if l.stands {
		back(&l.standing, now, l.cfg.ConfirmDwell)
	} else {
		l.standing = 0
	}
	if l.phase != LadderConfirmed {
		// A confirmation sets them anew, and only a confirmed ladder looks at them.
		l.lost, l.motion, l.moved = 0, MotionUnknown, false
	}
}

func (s *system) String() string {
	return fmt.Sprintf("%v, active %s, latched %s, ladder %v", s.d.Axes, names(s.d.ActiveSet), names(s.d.LatchedSet), s.lout.Phase)
}
