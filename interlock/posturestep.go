package interlock

import "time"

// MaxPostureJoints is one more than the largest joint number.
const MaxPostureJoints = 64

// Postures decides when a robot that keeps its balance has to go down, and which step it takes: while its battery or the heat
// of its motors still leaves the time for every step to fail but the last. A step is commanded only while all that it needs is
// known to be so; one that is refused, not answered or not reached in time gives way to the next. Nothing here ever asks a robot to rise. It
// is not safe for use by several goroutines.
type Postures struct {
	cfg  PostureConfig
	need time.Duration
	// most is for how long legs may move because they were told to, until another posture is shown.
	most time.Duration

	ran           bool
	first         time.Duration
	battery, heat reserve
	proofs        [MaxPostures]shown

	// held is since when motion has been held, if isHeld is true; due for how long a reserve has been seen to end, less a quarter of
	// the time in which it was not, and isDue is true if it was at last.
	isHeld, isDue   bool
	held, due, last time.Duration
	// committed is true from the moment at begun at which the robot has to go down; fired once the trigger has been seen active.
	committed, fired bool
	begun            time.Duration
	cause            Cause

	phase    PosturePhase
	at, step int
	assert   StepSet
	// failed are the steps that have failed on this way down; exhausted is true once all have, paused until retry.
	failed             StepSet
	exhausted, resting bool
	retry              time.Duration
	// stirred is for how long legs may have moved on this way down because they were told to, since the last of the postures shown
	// was shown for the first time.
	stirred time.Duration
	shown   StepSet
	records [MaxPostures]PostureRecord
}

// Step says which steps are demanded at now. It does not allocate. The caller steps with every decision, measurement and
// acknowledgement, and at least every tenth of a second.
func (p *Postures) Step(now time.Duration, in *PostureInput, out *PostureOutput) {
	*out = PostureOutput{Step: -1, Due: OK(), Failed: OK()}
	if !p.cfg.Used {
		return
	}
	if !p.ran {
		p.ran, p.first, p.last = true, now, now
	}
	p.battery.take(now, &p.cfg.Battery, &in.Battery)
	p.heat.take(now, &p.cfg.Heat, &in.Heat)
	phase, at, step, assert, records := p.phase, p.at, p.step, p.assert, p.records
	if p.stirs(now) {
		p.stirred += since(now, p.last)
	}
	p.look(now, in)
	cause := p.why(now, in)
	p.commit(now, cause, in)
	if p.committed {
		p.descend(now, in, out)
	}
	p.report(now, cause, in, out)
	out.Changed = phase != p.phase || at != p.at || step != p.step || assert != p.assert || records != p.records
}

// commit begins a way down, and ends it once somebody has reset what demanded it.
func (p *Postures) commit(now time.Duration, cause Cause, in *PostureInput) {
	p.fired = p.committed && (p.fired || in.Active)
	switch {
	case !p.committed && (cause != CauseNone || in.Active):
		p.committed, p.fired, p.begun = true, in.Active, now
		p.failed, p.exhausted, p.resting, p.stirred, p.shown = 0, false, false, 0, 0
	case p.committed && p.fired && !in.Active && cause == CauseNone:
		// What joints show stays so; all else is forgotten, and nothing is demanded any more.
		for i := range p.records {
			r := &p.records[i]
			*r = PostureRecord{Reached: r.Reached, WasReached: r.WasReached && p.cfg.Steps[i].Proof.N > 0 && p.fresh(now, &p.proofs[i])}
		}
		p.committed, p.fired, p.phase, p.step, p.assert = false, false, PostureFree, -1, 0
		p.failed, p.exhausted, p.resting = 0, false, false
	}
	if cause != CauseNone {
		p.cause = cause
	}
}

// promised is by when a way down has to have ended.
func (p *Postures) promised(now time.Duration) time.Duration {
	by := p.begun + p.need
	if at, _, ok := p.deadline(now); ok {
		by = min(by, at)
	}
	return by
}

// descend goes on with the step under way, or chooses the next.
func (p *Postures) descend(now time.Duration, in *PostureInput, out *PostureOutput) {
	if p.step > 0 && p.records[p.step].WasReached {
		p.step = -1
	}
	if p.step > 0 {
		p.follow(now, in)
	}
	if p.step < 0 {
		p.choose(now, in, out)
	}
}

// follow watches the step under way.
func (p *Postures) follow(now time.Duration, in *PostureInput) {
	s, r := &p.cfg.Steps[p.step], &p.records[p.step]
	why := CauseNone
	switch ack := in.Acks[p.step]; {
	case r.WasAcked:
	case ack == AckOK:
		r.Acked, r.WasAcked = now, true
	case ack == AckFailed:
		why = CauseRefused
	case s.AckWithin > 0 && since(now, r.Asked) >= s.AckWithin:
		why = CauseNoAck
	}
	if why == CauseNone && since(now, r.Asked) >= s.Within+s.Proof.Dwell {
		why = CauseDeadlineMissed
	}
	if why == CauseNone && s.Needs&NeedUpright != 0 && in.Fallen == Present {
		why = CauseTilted
	}
	if why != CauseNone {
		r.Failed, r.WasFailed, r.Why = now, true, why
		p.failed |= 1 << p.step
		p.step = -1
	}
}

// choose takes the first step that is possible, or waits. Down there, nothing is left to do until a reserve has ended: then power
// may go, where that is safe.
func (p *Postures) choose(now time.Duration, in *PostureInput, out *PostureOutput) {
	if p.down() {
		p.phase, p.exhausted, p.failed = PostureReached, false, p.failed&^p.passed()
		if at, _, ok := p.deadline(now); !ok || now < at {
			return
		}
	}
	if p.resting && now >= p.retry {
		p.resting, p.failed = false, 0
	}
	moving := false
	for i := 1; i < p.cfg.N; i++ {
		if p.down() && p.cfg.Steps[i].Kind != PostureOff {
			continue
		}
		switch p.denied(i, now, in) {
		case StepPossible:
			p.resting = false
			p.ask(i, now, out)
			return
		case StepMoving:
			moving = true
		case StepNotUpright, StepCarrying, StepCharge, StepNotFrom, StepPast, StepFailed:
		}
	}
	if p.failed != 0 && !p.resting {
		p.resting, p.retry = true, now+p.cfg.Retry
	}
	switch {
	case p.down():
	case p.failed != 0 && !moving:
		p.phase, p.exhausted = PostureExhausted, true
	default:
		p.phase = PostureWaiting
	}
}

// passed are the steps down to where the robot is.
func (p *Postures) passed() StepSet { return StepSet(1<<(p.at+1) - 1) } //nolint:gosec // at most MaxPostures

// ask demands a step. One that is demanded still is asked anew without being let go: power that was taken stays taken.
func (p *Postures) ask(i int, now time.Duration, out *PostureOutput) {
	p.phase, p.step = PostureGoing, i
	p.assert |= 1 << i
	out.Asked |= 1 << i
	p.records[i] = PostureRecord{Asked: now, WasAsked: true}
}

// denied says why a step is not possible now.
func (p *Postures) denied(i int, now time.Duration, in *PostureInput) PostureDenial {
	s := &p.cfg.Steps[i]
	switch {
	case i <= p.at:
		return StepPast
	case p.failed.Has(i):
		return StepFailed
	case !p.from(s, now, in) && (!s.LastResort || !p.desperate(i, now)):
		return StepNotFrom
	case s.Needs&NeedStandstill != 0 && in.Motion != Standing:
		return StepMoving
	case s.Needs&NeedUpright != 0 && in.Fallen != Clear:
		return StepNotUpright
	case s.Needs&NeedEmptyHands != 0 && in.Carrying != Clear:
		return StepCarrying
	case s.MinCharge > 0 && !(p.battery.least(now, &p.cfg.Battery) >= s.MinCharge):
		return StepCharge
	}
	return StepPossible
}

// from says whether the robot is in a posture from which the step may be taken. What takes the power needs one that holds now.
func (p *Postures) from(s *PostureStep, now time.Duration, in *PostureInput) bool {
	if s.After == 0 {
		return s.Kind != PostureOff
	}
	for i := 1; i < p.cfg.N; i++ {
		if p.records[i].WasReached && s.After.Has(p.cfg.Steps[i].Kind) && (s.Kind != PostureOff || p.holds(i, now)) {
			return true
		}
	}
	return s.After.Has(PostureLying) && in.Fallen == Present
}

// desperate says whether nothing but the last resort is left: the time is over, or every other step has failed.
func (p *Postures) desperate(last int, now time.Duration) bool {
	others := StepSet(1<<p.cfg.N-1) &^ 1 &^ (1 << last)
	return now >= p.promised(now) || p.failed&others == others && others != 0
}

// report writes what the step has come to.
func (p *Postures) report(now time.Duration, cause Cause, in *PostureInput, out *PostureOutput) {
	out.Phase, out.At, out.Step, out.Assert, out.Records = p.phase, p.at, p.step, p.assert, p.records
	out.HoldImpossible = p.committed
	at, _, ok := p.deadline(now)
	switch {
	case p.committed:
		out.Deadline, out.Latest = p.promised(now), p.begun
	case ok:
		out.Deadline, out.Latest = at, at-p.need
	}
	for i := 1; i < p.cfg.N; i++ {
		out.Denied[i] = p.denied(i, now, in)
	}
	out.GoingDown = p.stirs(now)
	if cause != CauseNone || p.committed && !p.fired {
		out.Due = Fault(p.cause, 0)
	}
	if p.committed && !p.down() && (p.exhausted || now >= out.Deadline) {
		out.Failed = Fault(CauseNoStep, 0)
	}
}
