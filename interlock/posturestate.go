package interlock

import (
	"math"
	"time"
)

const (
	postureMagic = "RWIQ"
	// The state has its own version since it says how long legs have moved, for which postures, and whether the robot stood.
	postureVersion = stateVersion + 1
)

// AppendState appends the way down's state, without its configuration.
func (p *Postures) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, postureMagic, postureVersion)
	for _, f := range p.flags() {
		b = appendBool(b, *f)
	}
	for _, d := range p.times() {
		b = appendStored(b, *d)
	}
	for _, v := range p.values() {
		b = appendFloat(b, *v)
	}
	b = append(b, uint8(p.cause), uint8(p.cause>>8), uint8(p.phase), uint8(p.at), uint8(p.step+1), uint8(p.assert), uint8(p.failed), uint8(p.shown)) //nolint:gosec // small
	for i := range MaxPostures {
		for _, d := range p.stepTimes(i) {
			b = appendStored(b, *d)
		}
		for _, f := range p.stepFlags(i) {
			b = appendBool(b, *f)
		}
		b = append(b, uint8(p.records[i].Why), uint8(p.records[i].Why>>8)) //nolint:gosec // both halves
	}
	return seal(b, start)
}

// RestoreState puts the way down into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (p *Postures) RestoreState(b []byte) error {
	r, err := open(b, postureMagic, postureVersion)
	if err != nil {
		return err
	}
	n := Postures{cfg: p.cfg, need: p.need, most: p.most}
	for _, f := range n.flags() {
		*f = r.bool("a mark")
	}
	for _, d := range n.times() {
		*d = r.duration(maxStored, "a time")
	}
	for _, v := range n.values() {
		if *v = r.f64(); math.IsNaN(*v) || math.IsInf(*v, 0) {
			r.fail("a reserve is not finite")
		}
	}
	n.cause = r.cause()
	n.phase = PosturePhase(r.enum(uint8(PostureExhausted)+1, "the phase"))
	n.at = int(r.enum(max(1, uint8(p.cfg.N)), "the posture"))      //nolint:gosec // at most MaxPostures
	n.step = int(r.enum(max(1, uint8(p.cfg.N))+1, "the step")) - 1 //nolint:gosec // at most MaxPostures
	n.assert, n.failed, n.shown = StepSet(r.u8()), StepSet(r.u8()), StepSet(r.u8())
	for i := range MaxPostures {
		for _, d := range n.stepTimes(i) {
			*d = r.duration(maxStored, "a time")
		}
		for _, f := range n.stepFlags(i) {
			*f = r.bool("a mark")
		}
		n.records[i].Why = r.cause()
	}
	if n.step == 0 || n.phase == PostureGoing && n.step < 0 {
		r.fail("a step is under way that there is not")
	}
	if err := r.close(); err != nil {
		return err
	}
	*p = n
	return nil
}

// cause takes a cause of the table.
func (r *reader) cause() Cause {
	c := Cause(r.u16())
	if c >= NumCauses {
		r.fail("a cause is not in the table")
		return CauseNone
	}
	return c
}

func (p *Postures) flags() [11]*bool {
	return [...]*bool{
		&p.ran, &p.battery.seen, &p.battery.paused, &p.heat.seen, &p.heat.paused, &p.isHeld, &p.isDue, &p.committed, &p.fired,
		&p.exhausted, &p.resting,
	}
}

func (p *Postures) times() [9]*time.Duration {
	return [...]*time.Duration{&p.first, &p.battery.at, &p.heat.at, &p.held, &p.due, &p.last, &p.begun, &p.retry, &p.stirred}
}

func (p *Postures) values() [4]*float64 {
	return [...]*float64{&p.battery.value, &p.battery.from, &p.heat.value, &p.heat.from}
}

func (p *Postures) stepTimes(i int) [6]*time.Duration {
	r, s := &p.records[i], &p.proofs[i]
	return [...]*time.Duration{&r.Asked, &r.Acked, &r.Failed, &r.Reached, &s.seen, &s.since}
}

func (p *Postures) stepFlags(i int) [7]*bool {
	r, s := &p.records[i], &p.proofs[i]
	return [...]*bool{&r.WasAsked, &r.WasAcked, &r.WasFailed, &r.WasReached, &s.known, &s.on, &s.still}
}
