package interlock

import (
	"fmt"
	"math"
	"time"
)

// Ladder asks for a stop, rung after rung, until measurements confirm that the robot stands. Once asserted, a rung
// stays asserted while anything at least as restrictive is demanded; zero velocity and the lock are asserted with the
// demand. It is not safe for use by several goroutines.
type Ladder struct {
	cfg    LadderConfig
	ran    bool
	last   time.Duration
	demand Demand
	phase  LadderPhase
	// rung is the place of the rung that is being tried.
	rung     int
	asserted RungSet
	records  [MaxRungs]RungRecord
	// ackBy and stopBy are each asserted rung's deadlines.
	ackBy, stopBy [MaxRungs]time.Duration
	// standing is since when the robot has stood without a break, if stands is true.
	stands   bool
	standing time.Duration
	// motion is what the last step measured; lost is what is left of the grace after a confirmation; moved is true if
	// motion was measured since.
	motion MotionState
	lost   time.Duration
	moved  bool
	// untold is true from a lost confirmation until the next.
	untold      bool
	dockRefused bool
}

// NewLadder returns an idle ladder. Every fault of the configuration is a *ConfigError.
func NewLadder(cfg LadderConfig) (*Ladder, error) {
	c := checker{part: "ladder"}
	c.duration("React", cfg.React)
	c.duration("SettleDwell", cfg.SettleDwell)
	c.duration("ConfirmDwell", cfg.ConfirmDwell)
	c.duration("LostGrace", cfg.LostGrace)
	c.positive("DecelMPS2", cfg.DecelMPS2)
	c.positive("MaxSpeedMPS", cfg.MaxSpeedMPS)
	if t := cfg.MaxSpeedMPS / cfg.DecelMPS2; len(c.errs) == 0 && !(t <= maxDuration.Seconds()) {
		c.bad("DecelMPS2", cfg.DecelMPS2, "a stop from MaxSpeedMPS within a day")
	}
	if cfg.N < 1 || cfg.N > MaxRungs {
		c.bad("N", cfg.N, fmt.Sprintf("1 to %d rungs", MaxRungs))
		return nil, c.err()
	}
	stops := false
	for i, r := range cfg.Rungs[:cfg.N] {
		if r.Kind == RungUnknown || r.Kind >= NumRungKinds {
			c.bad(fmt.Sprintf("Rungs[%d].Kind", i), r.Kind, "a known kind")
		}
		if r.AckWithin < 0 || r.AckWithin > maxDuration {
			c.bad(fmt.Sprintf("Rungs[%d].AckWithin", i), r.AckWithin, fmt.Sprintf("0s to %v", maxDuration))
		}
		if r.Effect < 0 || r.Effect > maxDuration {
			c.bad(fmt.Sprintf("Rungs[%d].Effect", i), r.Effect, fmt.Sprintf("0s to %v", maxDuration))
		}
		if r.Settle < 0 || r.Settle > maxDuration {
			c.bad(fmt.Sprintf("Rungs[%d].Settle", i), r.Settle, fmt.Sprintf("0s to %v", maxDuration))
		}
		stops = stops || r.Kind != RungDockService && r.Settle == 0
	}
	if !stops {
		c.bad("Rungs", "none that stops the robot", "one or more beside the dock's service")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &Ladder{cfg: cfg, rung: -1}, nil
}

// Advisory says whether no rung of those that are available would stop the robot if everything on ROS were hostile.
func (l *Ladder) Advisory(available RungSet) bool {
	for i, r := range l.cfg.Rungs[:l.cfg.N] {
		if r.Independent && r.Kind != RungDockService && available.Has(i) {
			return false
		}
	}
	return true
}

// Bound returns the longest time from a demand to hold or stop until the standstill is confirmed or the ladder is
// exhausted, beside the time between two steps.
func (l *Ladder) Bound() time.Duration {
	var d time.Duration
	for i, r := range l.cfg.Rungs[:l.cfg.N] {
		if l.serves(i, DemandStop) {
			d += max(r.AckWithin, r.Effect+l.stopTime(math.NaN())+l.cfg.SettleDwell) + l.cfg.ConfirmDwell
		}
	}
	return d
}

// serves says whether the rung at place i is of use for d.
func (l *Ladder) serves(i int, d Demand) bool {
	r := &l.cfg.Rungs[i]
	return i < l.cfg.N && (r.Kind == RungDockService) == (d == DemandDock) && d != DemandNone && r.Settle == 0
}

// stopTime returns the time within which the robot stands from a speed in m/s: reaction and braking, and a fifth more.
// A speed that is not known, or above the top speed, counts as the top speed.
func (l *Ladder) stopTime(speedMPS float64) time.Duration {
	if !(speedMPS >= 0 && speedMPS <= l.cfg.MaxSpeedMPS) {
		speedMPS = l.cfg.MaxSpeedMPS
	}
	braking := time.Duration(float64(speedMPS/l.cfg.DecelMPS2) * float64(time.Second))
	return (l.cfg.React + braking) / 5 * 6
}

// Step says which rungs are asserted at now. It does not allocate. The caller steps with every decision, measurement
// and acknowledgement, and at LadderOutput.Deadline.
func (l *Ladder) Step(now time.Duration, given *LadderInput, out *LadderOutput) {
	*out = LadderOutput{}
	seen := *given
	in := &seen
	if in.GoingDown && in.Motion == Moving {
		in.Motion = Settling
	}
	dt := time.Duration(0)
	if l.ran {
		dt = since(now, l.last)
	}
	l.ran, l.last = true, now
	phase, rung, asserted := l.phase, l.rung, l.asserted
	if demand := min(in.Demand, DemandStop); demand != l.demand {
		l.begin(now, demand, in, out)
	}
	l.acknowledge(now, in, out)
	switch {
	case l.demand == DemandDock:
		l.dock(now)
	case l.demand >= DemandHold:
		l.measure(now, in.Motion)
		l.climb(now, dt, in, out)
		l.powerOff(now, in, out)
	}
	l.motion = in.Motion
	l.report(in, out)
	out.Changed = out.Changed || phase != l.phase || rung != l.rung || asserted != l.asserted
}

// begin starts on another demand. From stop to hold nothing is let go, and nothing asked anew.
func (l *Ladder) begin(now time.Duration, demand Demand, in *LadderInput, out *LadderOutput) {
	before := l.demand
	l.demand = demand
	if before == DemandStop && l.demand == DemandHold {
		return
	}
	if l.demand <= DemandDock || before <= DemandDock {
		l.asserted = 0
	}
	l.rung, l.stands, l.untold, l.moved = -1, false, false, false
	answered := l.records
	l.records = [MaxRungs]RungRecord{}
	switch l.demand {
	case DemandNone:
		l.phase, l.dockRefused = LadderIdle, false
		return
	case DemandDock:
		l.phase = LadderDocking
	case DemandHold, DemandStop:
		l.phase = LadderRequested
		for i := range l.cfg.N {
			kind := l.cfg.Rungs[i].Kind
			if kind == RungZeroVelocity || kind == RungLock || l.asserted.Has(i) {
				l.request(i, now, in, out)
				l.remember(i, now, &answered[i])
			}
		}
	}
	l.next(now, in, out)
}

// remember keeps the answer of a rung that was asserted before: from hold to stop its wish does not change, so whoever carries
// it out answers no second time.
func (l *Ladder) remember(i int, now time.Duration, was *RungRecord) {
	r := &l.records[i]
	if was.WasAcked {
		r.Acked, r.WasAcked = now, true
	}
	if was.WasFailed {
		r.Failed, r.WasFailed = now, true
	}
}

// request asserts the rung at place i and starts its deadlines.
func (l *Ladder) request(i int, now time.Duration, in *LadderInput, out *LadderOutput) {
	speed := math.NaN()
	if in.SpeedKnown {
		speed = in.SpeedMPS
	}
	l.asserted |= 1 << i
	l.ackBy[i] = now + l.cfg.Rungs[i].AckWithin
	l.stopBy[i] = now + l.cfg.Rungs[i].Effect + l.stopTime(speed)
	l.records[i] = RungRecord{Requested: now, WasRequested: true}
	out.Asked |= 1 << i
}

// powerOff asks the rungs that take power once the robot has settled. Where no service has acknowledged, nobody has told
// the robot to kneel or sit: it stands by balance, and keeps its power.
func (l *Ladder) powerOff(now time.Duration, in *LadderInput, out *LadderOutput) {
	if !in.PowerOff || l.phase != LadderConfirmed || l.demand != DemandStop || !l.stands || !l.settling() {
		return
	}
	for i, r := range l.cfg.Rungs[:l.cfg.N] {
		if r.Settle > 0 && !l.records[i].WasRequested && since(now, l.standing) >= r.Settle {
			l.request(i, now, in, out)
		}
	}
}

// settling says whether a service of the vendor's has acknowledged that it brings the robot to rest.
func (l *Ladder) settling() bool {
	for i, r := range l.cfg.Rungs[:l.cfg.N] {
		if r.Kind == RungService && l.records[i].WasAcked {
			return true
		}
	}
	return false
}

// next goes to the next rung that serves the demand; false if there is none.
func (l *Ladder) next(now time.Duration, in *LadderInput, out *LadderOutput) bool {
	for i := l.rung + 1; i < l.cfg.N; i++ {
		if !l.serves(i, l.demand) {
			continue
		}
		l.rung = i
		if !l.records[i].WasRequested {
			l.request(i, now, in, out)
		}
		return true
	}
	return false
}

// acknowledge writes down the answers to requests of earlier steps.
func (l *Ladder) acknowledge(now time.Duration, in *LadderInput, out *LadderOutput) {
	for i := range l.cfg.N {
		r := &l.records[i]
		if !r.WasRequested || out.Asked.Has(i) || r.WasAcked || r.WasFailed {
			continue
		}
		switch in.Acks[i] {
		case AckOK:
			r.Acked, r.WasAcked, out.Changed = now, true, true
		case AckFailed:
			r.Failed, r.WasFailed, out.Changed = now, true, true
		case AckNone:
		}
	}
}

// dock watches the dock's service. A robot without one is sent by the dock's commander through the gate.
func (l *Ladder) dock(now time.Duration) {
	if l.rung >= 0 && l.unanswered(l.rung, now) {
		l.dockRefused = true
	}
}

// unanswered says whether the rung refused, or has not acknowledged in time.
func (l *Ladder) unanswered(i int, now time.Duration) bool {
	r := &l.records[i]
	return r.WasFailed || !r.WasAcked && l.cfg.Rungs[i].AckWithin > 0 && now >= l.ackBy[i]
}

// measure keeps track of how long the robot has stood.
func (l *Ladder) measure(now time.Duration, motion MotionState) {
	if motion != Standing {
		l.stands = false
	} else if !l.stands {
		l.stands, l.standing = true, now
	}
}

// climb confirms the standstill, or goes on to the next rung.
func (l *Ladder) climb(now, dt time.Duration, in *LadderInput, out *LadderOutput) {
	if l.phase == LadderConfirmed && !l.contradicted(dt, in.Motion) {
		return
	}
	if l.stands && since(now, l.standing) >= l.cfg.ConfirmDwell && l.asked(now) >= l.cfg.React {
		l.confirm(now, out)
		return
	}
	if l.phase == LadderConfirmed {
		l.phase, l.untold = LadderRequested, l.moved
		// What was asserted before did not keep the robot still, so it needs no second chance.
		for more := true; more && !out.Asked.Has(l.rung); {
			if more = l.next(now, in, out); !more {
				l.phase = LadderUnconfirmed
			}
		}
	}
	for l.phase == LadderRequested && !l.stands && (l.unanswered(l.rung, now) || l.overdue(l.rung, now, in.Motion)) {
		if !l.next(now, in, out) {
			l.phase = LadderUnconfirmed
		}
	}
}

// asked is how long ago the first rung of the present demand was requested. A robot that was told to move just before may
// begin to do so within React although it still stands: confirming earlier would make a broken promise of that.
func (l *Ladder) asked(now time.Duration) time.Duration {
	longest := time.Duration(0)
	for i := range l.cfg.N {
		if r := &l.records[i]; r.WasRequested {
			longest = max(longest, since(now, r.Requested))
		}
	}
	return longest
}

// overdue says whether the rung at place i has had its time to stop the robot.
func (l *Ladder) overdue(i int, now time.Duration, motion MotionState) bool {
	by := l.stopBy[i]
	if motion == Settling {
		by += l.cfg.SettleDwell
	}
	return now >= by
}

func (l *Ladder) confirm(now time.Duration, out *LadderOutput) {
	l.phase, l.lost, l.moved, l.untold = LadderConfirmed, l.cfg.LostGrace, false, false
	if r := &l.records[l.rung]; !r.WasConfirmed {
		r.Confirmed, r.WasConfirmed, out.Changed = now, true, true
	}
}

// contradicted says whether measurements have contradicted the confirmed standstill for longer than the grace.
func (l *Ladder) contradicted(dt time.Duration, motion MotionState) bool {
	switch l.motion {
	case Moving, MotionUnknown:
		l.lost -= dt
	case Settling, Standing:
		l.lost = min(l.lost+dt/4, l.cfg.LostGrace)
	}
	l.moved = l.moved || motion == Moving
	if motion == Standing && l.lost == l.cfg.LostGrace {
		l.moved = false
	}
	return l.lost <= 0 && motion != Standing
}

// report writes what the step has come to.
func (l *Ladder) report(in *LadderInput, out *LadderOutput) {
	out.Phase, out.Rung, out.Assert, out.Records = l.phase, l.rung, l.asserted, l.records
	out.DockRefused = l.dockRefused
	out.Unconfirmed, out.Untold = OK(), OK()
	if l.phase == LadderUnconfirmed {
		out.Unconfirmed = Fault(CauseStillMoving, 0)
		if in.Motion != Moving {
			out.Unconfirmed = Fault(CauseSpeedUnknown, 0)
		}
	}
	if l.untold {
		out.Untold = Fault(CauseMovedAgain, 0)
	}
	switch {
	case l.phase == LadderDocking && l.rung >= 0 && !l.dockRefused && !l.records[l.rung].WasAcked:
		out.Deadline = l.ackBy[l.rung]
	case l.phase == LadderRequested:
		out.Deadline = l.deadline(in.Motion)
	case l.phase == LadderUnconfirmed && l.stands:
		out.Deadline = l.standing + l.cfg.ConfirmDwell
	}
}

// deadline returns when the ladder goes on if nothing changes.
func (l *Ladder) deadline(motion MotionState) time.Duration {
	if l.stands {
		return l.standing + l.cfg.ConfirmDwell
	}
	d := l.stopBy[l.rung]
	if motion == Settling {
		d += l.cfg.SettleDwell
	}
	if r := &l.records[l.rung]; !r.WasAcked && l.cfg.Rungs[l.rung].AckWithin > 0 {
		d = min(d, l.ackBy[l.rung])
	}
	return d
}
