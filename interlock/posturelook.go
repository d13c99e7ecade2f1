package interlock

import "time"

// shown is since when joints have shown a posture, and since when not; or, where no joint shows it, since when the robot stands.
// still is true while the robot has stood ever since: since joints were last heard, or since an answer first showed the posture.
type shown struct {
	known, on, still bool
	seen             time.Duration
	since            time.Duration
}

// Observe takes the joints' positions in rad or m, those in known, received at now. It does not allocate.
func (p *Postures) Observe(now time.Duration, known uint64, position *[MaxPostureJoints]float64) {
	for i := 1; i < p.cfg.N; i++ {
		proof := &p.cfg.Steps[i].Proof
		if proof.N == 0 {
			continue
		}
		on := true
		for k := range proof.N {
			j := &proof.Joints[k]
			v := position[j.Joint]
			// NaN is in no range.
			on = on && known&(1<<j.Joint) != 0 && v >= j.Min && v <= j.Max
		}
		s := &p.proofs[i]
		if gap := !s.known || now < s.seen || since(now, s.seen) > p.cfg.MaxAge; gap || on != s.on {
			s.since = now
		}
		s.known, s.on, s.still, s.seen = true, on, true, now
	}
}

// stirSettle is how long legs may take to come to rest in a posture that is reached, and stirLeast for how long at least legs that move
// are taken for those that were told to. No try renews that: a robot that never comes to rest has to be seen.
const stirSettle, stirLeast = 2 * time.Second, 30 * time.Second

// stirs returns for how long legs may move on one way down if every step takes its time.
func (cfg *PostureConfig) stirs() (d time.Duration) {
	for i := 1; i < cfg.N; i++ {
		d += cfg.Steps[i].Within + cfg.Steps[i].Proof.Dwell + stirSettle
	}
	return max(d, stirLeast)
}

// look finds the lowest posture that is proven. One that was reached stays so while joints are silent and nothing moves: a robot that
// knelt and needs no power is down. Joints that show another posture for as long take it back.
func (p *Postures) look(now time.Duration, in *PostureInput) {
	lowest := 0
	for i := 1; i < p.cfg.N; i++ {
		s, r := &p.proofs[i], &p.records[i]
		s.still = s.still && in.Motion == Standing
		was, proven := r.WasReached, false
		switch {
		case p.cfg.Steps[i].Proof.N > 0:
			proven = p.seen(i, now, in)
		case r.WasAcked && !r.WasFailed:
			proven = p.told(i, now, in)
		}
		if proven && !was {
			r.Reached, r.WasReached = now, true
			if !p.shown.Has(i) {
				p.shown, p.stirred = p.shown|1<<i, 0
			}
		} else if !proven {
			r.WasReached = false
		}
		if proven {
			lowest = i
		}
	}
	p.at = lowest
}

// seen says whether joints prove a posture. While they are silent, legs may move for the sake of that posture alone: what moves on the
// way to a lower one leaves it, and nobody sees where to.
func (p *Postures) seen(i int, now time.Duration, in *PostureInput) bool {
	s, r := &p.proofs[i], &p.records[i]
	if p.fresh(now, s) {
		long := since(now, s.since) >= p.cfg.Steps[i].Proof.Dwell
		return long && s.on || r.WasReached && (s.on || !long)
	}
	if p.left(i) {
		return r.WasReached && s.on && s.still
	}
	own := p.stirred < p.most && (p.step == i || r.settles(now))
	return r.WasReached && (in.Motion != Moving || own)
}

// told says whether an answer proves a posture: its word, and a standstill since. Who has moved since it was shown needs a new answer
// before anything builds on it.
func (p *Postures) told(i int, now time.Duration, in *PostureInput) bool {
	step, s, r := &p.cfg.Steps[i], &p.proofs[i], &p.records[i]
	if in.Motion != Standing {
		s.known = false
	} else if !s.known {
		s.known, s.since = true, now
	}
	// An answer that has shown nothing yet has nothing to lose.
	shown := r.Reached >= r.Acked
	if left := p.left(i); shown && !s.still && step.Kind != PostureOff && (left || step.Powered && in.Motion == Standing) {
		r.WasAcked = false
		return false
	}
	proven := s.known && since(now, max(s.since, r.Acked)) >= step.Proof.Dwell || r.WasReached && in.Motion != Moving
	s.still = s.still || proven && !shown
	return proven
}

// left says whether a lower posture has been asked for since this one was reached.
func (p *Postures) left(i int) bool {
	left := p.step > i
	for k := i + 1; k < p.cfg.N; k++ {
		left = left || p.records[k].WasAsked && p.records[k].Asked >= p.records[i].Reached
	}
	return left
}

// holds says whether a posture is sure enough to take the power: joints show it now, or the robot has not moved since.
func (p *Postures) holds(i int, now time.Duration) bool {
	proof, s := &p.cfg.Steps[i].Proof, &p.proofs[i]
	if !p.records[i].WasReached {
		return false
	}
	if proof.N == 0 {
		return s.still
	}
	return s.on && (s.still || p.fresh(now, s) && since(now, s.since) >= proof.Dwell)
}

// fresh says whether joints have been heard lately.
func (p *Postures) fresh(now time.Duration, s *shown) bool {
	return s.known && since(now, s.seen) <= p.cfg.MaxAge && now >= s.seen
}

// stirs says whether legs may move because they were told to: while a step is under way and not refused, and a moment longer. On one
// way down that ends, however often steps are tried.
func (p *Postures) stirs(now time.Duration) bool {
	if p.stirred >= p.most {
		return false
	}
	stirs := p.step > 0
	for i := range p.records {
		stirs = stirs || p.records[i].settles(now)
	}
	return stirs
}

// settles says whether the posture was reached just now.
func (r *PostureRecord) settles(now time.Duration) bool {
	return r.WasAsked && r.WasReached && !r.WasFailed && since(now, r.Reached) < stirSettle
}

// down says whether the robot is in a posture that needs no power.
func (p *Postures) down() bool { return p.at > 0 && !p.cfg.Steps[p.at].Powered }
