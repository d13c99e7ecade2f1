package interlock

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Heartbeat.Issue.
var (
	// ErrNonceWeak means that the nonce is all zeros: the random source is broken.
	ErrNonceWeak = errors.New("challenge: found a nonce of zeros, expected random bytes; check the random source")
	// ErrNonceReused means that the nonce is one of the last challenges': the random source is broken.
	ErrNonceReused = errors.New("challenge: found a nonce that was used before, expected random bytes; " +
		"check the random source")
)

const (
	// outstanding is the number of challenges that are remembered, answered ones included: enough to tell an answer that
	// a bad link held back from one to a challenge that nobody issued.
	outstanding = 64
	// maxPeriods bounds AnswerWithin.
	maxPeriods = 14
)

// challenge is one that was issued.
type challenge struct {
	nonce          Nonce
	at             time.Duration
	issued, closed bool
}

// Heartbeat watches one channel by challenges that only its rightful operator can answer. It draws no random bytes and
// checks no authentication: the caller does both. Only a valid answer to an open challenge of its own feeds the timer,
// counted from when the challenge was issued. It is not safe for use by several goroutines.
type Heartbeat struct {
	cfg        HeartbeatConfig
	challenges [outstanding]challenge
	// next is the place of the next challenge; issued is when the last was issued, if some is true.
	next   int
	some   bool
	issued time.Duration
	phase  HeartbeatPhase
	// fed is when the newest answered challenge was issued; ran is true once the channel has let the robot run.
	fed time.Duration
	ran bool
	// hostile counts bad answers, bad is why the last was.
	hostile bucket
	bad     Cause
}

// NewHeartbeat returns the watch of a channel that is away. Every fault of the configuration is a *ConfigError.
func NewHeartbeat(cfg HeartbeatConfig) (*Heartbeat, error) {
	c := checker{part: "heartbeat"}
	c.duration("Period", cfg.Period)
	c.duration("AnswerWithin", cfg.AnswerWithin)
	c.duration("LateAfter", cfg.LateAfter)
	c.duration("LostAfter", cfg.LostAfter)
	c.duration("HostileWindow", cfg.HostileWindow)
	if cfg.LateAfter <= cfg.Period {
		c.bad("LateAfter", cfg.LateAfter, fmt.Sprintf("more than Period, which is %v", cfg.Period))
	}
	if cfg.LostAfter <= cfg.LateAfter {
		c.bad("LostAfter", cfg.LostAfter, fmt.Sprintf("more than LateAfter, which is %v", cfg.LateAfter))
	}
	if most := cfg.Period * maxPeriods; cfg.AnswerWithin > most {
		c.bad("AnswerWithin", cfg.AnswerWithin, fmt.Sprintf("at most %d periods, which is %v", maxPeriods, most))
	}
	if cfg.HostileCount < 1 || cfg.HostileCount > maxCount {
		c.bad("HostileCount", cfg.HostileCount, fmt.Sprintf("1 to %d", maxCount))
	}
	if cfg.Subject == 0 || cfg.Subject > MaxChannels {
		c.bad("Subject", cfg.Subject, fmt.Sprintf("a channel, 1 to %d", MaxChannels))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &Heartbeat{cfg: cfg}, nil
}

// Due says whether a challenge is to be issued at now.
func (h *Heartbeat) Due(now time.Duration) bool {
	return !h.some || now < h.issued || since(now, h.issued) >= h.cfg.Period
}

// Issue takes up the random nonce of a challenge that goes out at now. On an error nothing is taken up.
func (h *Heartbeat) Issue(now time.Duration, nonce Nonce) error {
	if nonce == (Nonce{}) {
		return ErrNonceWeak
	}
	for i := range h.challenges {
		if h.challenges[i].issued && h.challenges[i].nonce == nonce {
			return ErrNonceReused
		}
	}
	h.challenges[h.next] = challenge{nonce: nonce, at: now, issued: true}
	h.next = (h.next + 1) % outstanding
	h.some, h.issued = true, now
	return nil
}

// Answer takes an answer that arrived at now. Authentic says whether the caller found its authentication right, over
// robot, boot, channel, challenge and level.
func (h *Heartbeat) Answer(now time.Duration, nonce Nonce, authentic bool, level Level) AnswerOutcome {
	if !authentic {
		return h.held(now, AnswerBad, CauseWrongAnswer)
	}
	c := h.find(nonce)
	switch {
	case c == nil:
		return h.held(now, AnswerUnknown, CauseUnknownChallenge)
	case c.closed:
		return h.held(now, AnswerReplayed, CauseReplayedAnswer)
	case now < c.at || since(now, c.at) > h.cfg.AnswerWithin:
		// The rightful operator's, and too late: that is for the timers to judge. The same once more is a replay.
		c.closed = true
		return AnswerLate
	}
	c.closed = true
	h.age(now)
	if h.phase == HeartbeatAway && level != LevelStop {
		return AnswerNotAtStop
	}
	switch {
	case h.phase == HeartbeatAway:
		h.phase, h.fed = HeartbeatCheckedIn, c.at
	case level == LevelRun:
		h.phase, h.ran = HeartbeatRunning, true
	case h.phase == HeartbeatRunning:
		h.phase = HeartbeatStopped
	}
	h.fed = max(h.fed, c.at)
	return AnswerAccepted
}

func (h *Heartbeat) find(nonce Nonce) *challenge {
	for i := range h.challenges {
		if c := &h.challenges[i]; c.issued && c.nonce == nonce {
			return c
		}
	}
	return nil
}

// held counts an answer against the channel.
func (h *Heartbeat) held(now time.Duration, o AnswerOutcome, c Cause) AnswerOutcome {
	h.hostile.add(now, h.cfg.HostileWindow, h.cfg.HostileCount)
	h.bad = c
	return o
}

// age lets the channel go once its answers have stayed away for too long: it has to check in again.
func (h *Heartbeat) age(now time.Duration) {
	if h.phase != HeartbeatAway && (now < h.fed || since(now, h.fed) >= h.cfg.LostAfter) {
		h.phase = HeartbeatAway
	}
}

// Status says how the channel is at now. It does not allocate.
func (h *Heartbeat) Status(now time.Duration) HeartbeatStatus {
	h.age(now)
	h.hostile.drain(now)
	s := HeartbeatStatus{Phase: h.phase, Hostile: OK()}
	if h.hostile.full {
		s.Hostile = Fault(h.bad, h.cfg.Subject)
	}
	s.Late, s.Lost, s.StopRequested = h.liveness(now)
	if h.some {
		s.Next = h.issued + h.cfg.Period
	}
	if h.phase != HeartbeatAway {
		s.Age = since(now, h.fed)
		s.Next = min(s.Next, h.fed+h.cfg.LostAfter)
		if late := h.fed + h.cfg.LateAfter; late > now {
			s.Next = min(s.Next, late)
		}
	}
	return s
}

func (h *Heartbeat) liveness(now time.Duration) (late, lost, stop Condition) {
	if !h.ran {
		c := Condition{State: Unknown, Cause: CauseNotCheckedIn, Subject: h.cfg.Subject}
		return c, c, c
	}
	switch h.phase {
	case HeartbeatAway:
		c := Fault(CauseNoAnswer, h.cfg.Subject)
		return c, c, OK()
	case HeartbeatCheckedIn:
		c := Fault(CauseNotCheckedIn, h.cfg.Subject)
		return c, c, OK()
	case HeartbeatRunning, HeartbeatStopped:
	}
	late, lost, stop = OK(), OK(), OK()
	if since(now, h.fed) >= h.cfg.LateAfter {
		late = Fault(CauseNoAnswer, h.cfg.Subject)
	}
	if h.phase == HeartbeatStopped {
		stop = Fault(CauseAskedToStop, h.cfg.Subject)
	}
	return late, lost, stop
}
