package interlock

import "time"

// Arrive takes one command and says what speaks against it. It does not allocate.
func (w *ChannelWatch) Arrive(a *Arrival) ArrivalMark {
	gap := since(a.Received, w.last)
	w.flood.add(a.Received, w.cfg.MinPeriod, w.cfg.Burst)
	w.rhythm(a.Received, gap)
	other := a.Peer != w.peer
	w.peer = a.Peer
	mark, m := w.number(a, other), w.time(a, other)
	if mark == ArrivalNew || m == ArrivalRepeated {
		mark = m
	}
	switch mark {
	case ArrivalRepeated:
		w.sign(&w.replays, a.Received)
	case ArrivalOvertaken:
		w.sign(&w.order, a.Received)
	case ArrivalNew, ArrivalWrongFrame:
	}
	if w.otherFrame(a.Frame) {
		w.sign(&w.frames, a.Received)
		if mark == ArrivalNew {
			mark = ArrivalWrongFrame
		}
	}
	w.heard, w.last, w.moving = true, a.Received, a.Moving
	return mark
}

// Refuse takes a sender that the bus did not let speak: c is CauseWrongType or CauseMalformed.
func (w *ChannelWatch) Refuse(now time.Duration, c Cause) {
	w.sign(&w.strays, now)
	w.stray = c
}

// otherFrame says whether a command is given in another frame than the channel's. Where nobody has set that, the first one
// counts until as many in a row were given in another as were in it, frameRun at most: those are dropped, and are signs, but
// whoever forges a first command does not lock out the commander. Who sends in two frames in turn makes signs while he does.
func (w *ChannelWatch) otherFrame(frame uint64) bool {
	switch {
	case frame == 0:
		return false
	case w.frame == 0:
		w.frame = frame
	}
	if frame == w.frame {
		w.held, w.other, w.run = min(w.held+1, frameRun), 0, 0
		return false
	}
	if frame != w.other {
		w.other, w.run = frame, 0
	}
	if w.run = min(w.run+1, frameRun); w.run >= w.held && w.cfg.Frame == 0 {
		w.frame, w.held, w.other, w.run = frame, w.run, 0, 0
	}
	return true
}

func (w *ChannelWatch) sign(b *bucket, now time.Duration) { b.add(now, w.cfg.Forgive, w.cfg.Signs) }

// rhythm follows the interval between commands, by exponential means as in RFC 3550, section 6.4.1. A pause is no interval:
// it is a dropout in the middle of a motion, and the commander's business else.
func (w *ChannelWatch) rhythm(now, gap time.Duration) {
	const weight = 16
	switch {
	case !w.heard:
		return
	case gap > w.cfg.Timeout:
		if w.moving {
			w.sign(&w.dropouts, now)
		}
		w.samples, w.uneven = 0, false
		return
	case w.samples == 0:
		w.samples, w.period, w.jitter = 1, gap, 0
		return
	}
	off := gap - w.period
	w.period += off / weight
	if off < 0 {
		off = -off
	}
	w.jitter += (off - w.jitter) / weight
	w.samples = min(w.samples+1, minSamples)
	switch {
	case w.samples < minSamples:
	case w.jitter > w.cfg.MaxJitter:
		w.uneven = true
	case w.jitter < w.cfg.MaxJitter/4*3:
		w.uneven = false
	}
}

// number judges the sender's own number, which counts up by one and wraps around after 2³²−1.
func (w *ChannelWatch) number(a *Arrival, other bool) ArrivalMark {
	if a.Seq == 0 {
		return ArrivalNew
	}
	if !w.numbered || other {
		w.numbered, w.seq = true, a.Seq
		return ArrivalNew
	}
	switch ahead := int32(a.Seq - w.seq); { //nolint:gosec // the difference modulo 2³² is meant
	case ahead > 0:
		w.seq = a.Seq
		if ahead <= maxGap {
			w.count(int(ahead))
		}
		return ArrivalNew
	case ahead < 0 && ahead >= -maxOvertaken:
		return ArrivalOvertaken
	}
	return ArrivalRepeated
}

// count notes that one of n commands arrived, and the others did not.
func (w *ChannelWatch) count(n int) {
	w.expected += n
	w.lost += n - 1
	if w.expected >= maxLossWindow {
		w.expected, w.lost = w.expected/2, w.lost/2
	}
	if w.expected >= minSamples {
		w.lossy = w.loss() > w.cfg.MaxLossPerMille
	}
}

func (w *ChannelWatch) loss() int {
	if w.expected == 0 {
		return 0
	}
	return w.lost * 1000 / w.expected
}

// time judges the sender's own time. A stamp from ahead is not taken: whoever could send one would else make every later one
// of the rightful sender old. And if the robot's own clock was set back, what was taken before it says nothing any more.
func (w *ChannelWatch) time(a *Arrival, other bool) ArrivalMark {
	if a.Stamp == 0 {
		return ArrivalNew
	}
	age := minus(a.Civil, a.Stamp)
	if age < -int64(w.cfg.MaxAhead) {
		w.skew, w.skewed = clampDuration(age), true
		w.sign(&w.steps, a.Received)
		return ArrivalNew // the gate drops it for its own reason
	}
	if w.stamped && minus(a.Civil, w.stamp) < -int64(w.cfg.MaxAhead) {
		w.stamped, w.timed = false, false
		w.sign(&w.steps, a.Received)
	}
	switch {
	case !w.stamped || a.Stamp > w.stamp || w.cfg.Several && other:
		w.stamped, w.stamp = true, a.Stamp
		w.delay(a)
		return ArrivalNew
	case a.Stamp < w.stamp && minus(w.stamp, a.Stamp) <= int64(w.cfg.MaxLatency):
		return ArrivalOvertaken
	}
	return ArrivalRepeated
}

// delay parts the way's delay from the difference of the clocks: the smallest difference between the time of arrival and the
// stamp over the last one to two windows is that of the quickest command, and what is above it is delay. A delay that
// every command has from the start looks the same as a clock that is wrong, so that one is bounded by MaxSkew.
func (w *ChannelWatch) delay(a *Arrival) {
	d := minus(int64(a.Received), a.Stamp)
	switch {
	case !w.timed || since(a.Received, w.began) >= 2*w.cfg.LatencyWindow:
		// After so long a silence, what was learnt about the clocks says nothing any more.
		w.timed, w.now, w.began, w.hasBefore, w.latency = true, d, a.Received, false, 0
	case since(a.Received, w.began) >= w.cfg.LatencyWindow:
		w.before, w.hasBefore, w.now, w.began = w.now, true, d, a.Received
	}
	floor := w.floor()
	if minus(floor, d) > int64(w.cfg.MaxLatency) {
		// The sender's clock was put forward: commands cannot have become so much quicker.
		w.sign(&w.steps, a.Received)
		w.now, w.hasBefore = d, false
	}
	w.now = min(w.now, d)
	floor = w.floor()
	late := minus(d, floor)
	w.latency += (late - w.latency) / 8
	if late > int64(w.cfg.MaxLatency) && (!w.wasLate || since(a.Received, w.lateAt) >= w.cfg.Timeout) {
		// A link that stalls delivers many late commands at once; they are one sign.
		w.sign(&w.late, a.Received)
		w.wasLate, w.lateAt = true, a.Received
	}
	w.skew = clampDuration(minus(minus(a.Civil, a.Stamp), late))
	w.skewed = w.skew > w.cfg.MaxSkew || w.skew < -w.cfg.MaxSkew
}

func (w *ChannelWatch) floor() int64 {
	if w.hasBefore {
		return min(w.now, w.before)
	}
	return w.now
}

// clampDuration keeps a difference of clocks within what can be stored.
func clampDuration(ns int64) time.Duration {
	return max(-maxStored, min(maxStored, time.Duration(ns)))
}

// Status says how the channel is at now. It does not allocate.
func (w *ChannelWatch) Status(now time.Duration) ChannelStatus {
	for _, b := range w.buckets() {
		b.drain(now)
	}
	silent := since(now, w.last)
	health, cause := w.judge(now, silent)
	switch {
	case health == w.health && cause == CauseWrongType && w.cause != CauseWrongType && now >= w.worst && since(now, w.worst) < w.cfg.Dwell:
		// Somebody who was not let in must not hide what was found about who was.
	case health >= w.health:
		w.health, w.cause, w.worst = health, cause, now
	case w.health <= HealthGood || now < w.worst || since(now, w.worst) >= w.cfg.Dwell:
		w.health, w.cause, w.worst = health, cause, now
	}
	s := ChannelStatus{
		Health: w.health, Cause: w.cause, Degraded: OK(), Lost: OK(), Hostile: OK(), Heard: w.heard, Silent: silent,
		Timed: w.stamped, Latency: clampDuration(w.latency), Skew: w.skew, LossPerMille: w.loss(),
	}
	if w.samples > 0 {
		s.Period, s.Jitter = w.period, w.jitter
	}
	bad := Fault(w.cause, w.cfg.Subject)
	switch w.health {
	case HealthDegraded:
		s.Degraded = bad
	case HealthLost:
		if w.cfg.Needed {
			s.Lost = bad
		}
	case HealthHostile:
		s.Hostile = bad
	case HealthIdle, HealthGood, NumChannelHealths:
	}
	if w.cfg.Needed && w.heard && w.silent(now, silent) {
		// Strangers who are not let in must not turn silence into hearsay.
		s.Lost = Fault(CauseMissing, w.cfg.Subject)
	}
	if w.cfg.Needed && !w.heard {
		s.Lost = Condition{State: Unknown, Cause: CauseNeverSeen, Subject: w.cfg.Subject}
	}
	return s
}

// judge weighs the signs, the worst first.
func (w *ChannelWatch) judge(now, silent time.Duration) (ChannelHealth, Cause) {
	switch {
	case w.replays.full:
		return HealthHostile, CauseRepeated
	case w.flood.full:
		return HealthHostile, CauseTooOften
	case w.frames.full:
		return HealthHostile, CauseWrongFrame
	case w.strays.full:
		// What else is wrong with the channel is said before what strangers do who were not let in.
		if c := w.trouble(); c != CauseNone && w.heard {
			return HealthHostile, c
		}
		return HealthHostile, w.stray
	case !w.heard:
		return HealthIdle, CauseNone
	case w.silent(now, silent):
		if w.cfg.Needed || w.moving {
			return HealthLost, CauseMissing
		}
		return HealthIdle, CauseNone
	}
	if c := w.trouble(); c != CauseNone {
		return HealthDegraded, c
	}
	return HealthGood, CauseNone
}

// silent says whether the channel has been silent for long enough to be lost.
func (w *ChannelWatch) silent(now, silent time.Duration) bool {
	return now < w.last || silent >= w.cfg.LostAfter
}

// trouble is why the channel works badly, CauseNone if it does not.
func (w *ChannelWatch) trouble() Cause {
	for _, s := range [...]struct {
		there bool
		cause Cause
	}{
		{w.steps.full || w.skewed, CauseClockSkew},
		{w.late.full, CauseDelayed},
		{w.lossy, CauseLossy},
		{w.order.full, CauseBackwards},
		{w.dropouts.full, CauseDropouts},
		{w.uneven, CauseUneven},
		{w.strays.level > 0, w.stray},
	} {
		if s.there {
			return s.cause
		}
	}
	return CauseNone
}
