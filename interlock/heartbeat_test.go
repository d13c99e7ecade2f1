package interlock

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

func heartbeatConfig() HeartbeatConfig {
	return HeartbeatConfig{
		Subject: 1, Period: 100 * ms, AnswerWithin: 150 * ms, LateAfter: 300 * ms, LostAfter: time.Second,
		HostileCount: 3, HostileWindow: time.Second,
	}
}

func nonce(n uint64) Nonce {
	var x Nonce
	binary.LittleEndian.PutUint64(x[:], n)
	x[15] = 1
	return x
}

// desk plays an operator's desk that answers each challenge after a lag.
type desk struct {
	t    testing.TB
	h    *Heartbeat
	now  time.Duration
	n    uint64
	open Nonce
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	h, err := NewHeartbeat(heartbeatConfig())
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t: t, h: h, now: time.Hour}
}

// challenge waits for the next challenge.
func (d *desk) challenge() Nonce {
	d.t.Helper()
	for !d.h.Due(d.now) {
		d.now += 10 * ms
	}
	d.n++
	d.open = nonce(d.n)
	if err := d.h.Issue(d.now, d.open); err != nil {
		d.t.Fatal(err)
	}
	return d.open
}

// answer takes part in n challenges at a level.
func (d *desk) answer(n int, level Level) *desk {
	d.t.Helper()
	for range n {
		c := d.challenge()
		d.now += 20 * ms
		if got := d.h.Answer(d.now, c, true, level); got != AnswerAccepted {
			d.t.Fatalf("got %v", got)
		}
	}
	return d
}

func (d *desk) running() *desk { return d.answer(1, LevelStop).answer(3, LevelRun) }

func (d *desk) want(phase HeartbeatPhase, late, lost, stop, hostile State) {
	d.t.Helper()
	s := d.h.Status(d.now)
	if s.Phase != phase || s.Late.State != late || s.Lost.State != lost || s.StopRequested.State != stop || s.Hostile.State != hostile {
		d.t.Fatalf("got %+v, want %v, late %v, lost %v, stop %v, hostile %v", s, phase, late, lost, stop, hostile)
	}
}

func TestHeartbeatChecksInAtStop(t *testing.T) {
	d := newDesk(t)
	d.want(HeartbeatAway, Unknown, Unknown, Unknown, Clear)
	c := d.challenge()
	if got := d.h.Answer(d.now, c, true, LevelRun); got != AnswerNotAtStop {
		t.Errorf("got %v", got)
	}
	d.want(HeartbeatAway, Unknown, Unknown, Unknown, Clear)
	d.answer(1, LevelStop)
	d.want(HeartbeatCheckedIn, Unknown, Unknown, Unknown, Clear)
	d.answer(1, LevelRun)
	d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
}

func TestHeartbeatSaysWhenTheNextChallengeIsDue(t *testing.T) {
	d := newDesk(t)
	if s := d.h.Status(d.now); s.Next != 0 {
		t.Errorf("before the first challenge: %v", s.Next)
	}
	d.challenge()
	if s := d.h.Status(d.now); s.Next != d.now+d.h.cfg.Period {
		t.Errorf("next at %v, want a period after %v", s.Next, d.now)
	}
}

func TestHeartbeatLateThenLost(t *testing.T) {
	d := newDesk(t).running()
	fed := d.now - 20*ms // the timer runs from when the challenge was issued
	if s := d.h.Status(d.now); s.Age != 20*ms {
		t.Errorf("age %v", s.Age)
	}
	d.now = fed + 290*ms
	d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
	d.now = fed + 300*ms
	d.want(HeartbeatRunning, Present, Clear, Clear, Clear)
	d.now = fed + 990*ms
	d.want(HeartbeatRunning, Present, Clear, Clear, Clear)
	d.now = fed + time.Second
	d.want(HeartbeatAway, Present, Present, Clear, Clear)
	// An answer at run does not bring it back; a check-in at stop and then run does.
	c := d.challenge()
	if got := d.h.Answer(d.now, c, true, LevelRun); got != AnswerNotAtStop {
		t.Errorf("got %v", got)
	}
	d.answer(1, LevelStop)
	d.want(HeartbeatCheckedIn, Present, Present, Clear, Clear)
	d.answer(1, LevelRun)
	d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
}

func TestHeartbeatStopRequested(t *testing.T) {
	d := newDesk(t).running().answer(1, LevelStop)
	d.want(HeartbeatStopped, Clear, Clear, Present, Clear)
	if s := d.h.Status(d.now); s.StopRequested != Fault(CauseAskedToStop, 1) {
		t.Errorf("got %+v", s.StopRequested)
	}
	d.answer(1, LevelRun)
	d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
}

func TestHeartbeatAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(d *desk) AnswerOutcome
		want   AnswerOutcome
		cause  Cause
	}{
		"authentication wrong": {func(d *desk) AnswerOutcome {
			return d.h.Answer(d.now, d.challenge(), false, LevelRun)
		}, AnswerBad, CauseWrongAnswer},
		"challenge never issued": {func(d *desk) AnswerOutcome {
			return d.h.Answer(d.now, nonce(999), true, LevelRun)
		}, AnswerUnknown, CauseUnknownChallenge},
		"zero challenge": {func(d *desk) AnswerOutcome {
			return d.h.Answer(d.now, Nonce{}, true, LevelRun)
		}, AnswerUnknown, CauseUnknownChallenge},
		"a second time": {func(d *desk) AnswerOutcome {
			return d.h.Answer(d.now, d.open, true, LevelRun)
		}, AnswerReplayed, CauseReplayedAnswer},
		"too late": {func(d *desk) AnswerOutcome {
			c := d.challenge()
			d.now += 151 * ms
			return d.h.Answer(d.now, c, true, LevelRun)
		}, AnswerLate, CauseNone},
		"too late, a second time": {func(d *desk) AnswerOutcome {
			c := d.challenge()
			d.now += 151 * ms
			d.h.Answer(d.now, c, true, LevelRun)
			return d.h.Answer(d.now, c, true, LevelRun)
		}, AnswerReplayed, CauseReplayedAnswer},
		"before it was issued": {func(d *desk) AnswerOutcome {
			c := d.challenge()
			return d.h.Answer(d.now-ms, c, true, LevelRun)
		}, AnswerLate, CauseNone},
		"in the last moment": {func(d *desk) AnswerOutcome {
			c := d.challenge()
			d.now += 150 * ms
			return d.h.Answer(d.now, c, true, LevelRun)
		}, AnswerAccepted, CauseNone},
		"to the one before": {func(d *desk) AnswerOutcome {
			c := d.challenge()
			d.challenge()
			return d.h.Answer(d.now, c, true, LevelRun)
		}, AnswerAccepted, CauseNone},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t).running()
			before := d.h.fed
			if got := c.answer(d); got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			if fed := d.h.fed != before; fed != (c.want == AnswerAccepted) {
				t.Errorf("fed is %v", fed)
			}
			for range 2 {
				d.h.Answer(d.now, nonce(998), c.cause != CauseWrongAnswer, LevelRun)
			}
			if s := d.h.Status(d.now); c.cause != CauseNone && s.Hostile.State != Present {
				t.Errorf("three bad answers are not hostile: %+v", s.Hostile)
			}
		})
	}
}

// TestHeartbeatLateAnswersAreNotHostile holds back the answers of a rightful desk for ten seconds, as a bad link does: the
// channel is lost, and nobody is accused.
func TestHeartbeatLateAnswersAreNotHostile(t *testing.T) {
	d := newDesk(t).running()
	var held []Nonce
	for range 50 {
		held = append(held, d.challenge())
		d.now += d.h.cfg.Period
	}
	d.now += d.h.cfg.LostAfter
	for _, c := range held {
		if got := d.h.Answer(d.now, c, true, LevelRun); got != AnswerLate && got != AnswerAccepted {
			t.Fatalf("got %v", got)
		}
	}
	if s := d.h.Status(d.now); s.Hostile.State != Clear {
		t.Errorf("late answers are hostile: %+v", s.Hostile)
	}
}

func TestHeartbeatBadAnswerDoesNotSpendTheChallenge(t *testing.T) {
	d := newDesk(t).running()
	c := d.challenge()
	d.h.Answer(d.now, c, false, LevelStop)
	if got := d.h.Answer(d.now, c, true, LevelRun); got != AnswerAccepted {
		t.Errorf("got %v: whoever sends rubbish can silence the operator", got)
	}
}

func TestHeartbeatHostileIsForgivenSlowly(t *testing.T) {
	d := newDesk(t).running()
	for range 2 {
		d.h.Answer(d.now, nonce(999), true, LevelRun)
	}
	d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
	d.h.Answer(d.now, nonce(999), true, LevelRun)
	d.want(HeartbeatRunning, Clear, Clear, Clear, Present)
	hostile := d.now
	for d.now < hostile+2900*ms {
		d.answer(1, LevelRun)
	}
	d.want(HeartbeatRunning, Clear, Clear, Clear, Present)
	d.answer(3, LevelRun)
	d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
	// One bad answer every two windows is a bad link, not an attack.
	for range 20 {
		d.h.Answer(d.now, nonce(999), true, LevelRun)
		d.answer(20, LevelRun)
		d.want(HeartbeatRunning, Clear, Clear, Clear, Clear)
	}
}

func TestHeartbeatClockBackwardsIsALoss(t *testing.T) {
	d := newDesk(t).running()
	d.now -= time.Minute
	d.want(HeartbeatAway, Present, Present, Clear, Clear)
	if !d.h.Due(d.now) {
		t.Error("no challenge is due")
	}
}

func TestHeartbeatRefusesWeakNonces(t *testing.T) {
	d := newDesk(t)
	d.challenge()
	if err := d.h.Issue(d.now, Nonce{}); !errors.Is(err, ErrNonceWeak) {
		t.Errorf("got %v", err)
	}
	if err := d.h.Issue(d.now, d.open); !errors.Is(err, ErrNonceReused) {
		t.Errorf("got %v", err)
	}
	if d.h.Due(d.now) {
		t.Error("the period begins anew")
	}
}

func TestHeartbeatNextIsInTime(t *testing.T) {
	d := newDesk(t).running()
	for range 200 {
		s := d.h.Status(d.now)
		if s.Next > d.now+100*ms {
			t.Fatalf("next in %v", s.Next-d.now)
		}
		d.now += 7 * ms
		if d.h.Due(d.now) {
			d.challenge()
		}
	}
}

func TestHeartbeatRefusesConfigurations(t *testing.T) {
	most := heartbeatConfig()
	most.AnswerWithin, most.HostileCount, most.Subject = 14*most.Period, maxCount, MaxChannels
	if _, err := NewHeartbeat(most); err != nil {
		t.Errorf("the largest that is allowed: %v", err)
	}
	for field, change := range map[string]func(c *HeartbeatConfig){
		"Subject":       func(c *HeartbeatConfig) { c.Subject = 0 },
		"Period":        func(c *HeartbeatConfig) { c.Period = 0 },
		"AnswerWithin":  func(c *HeartbeatConfig) { c.AnswerWithin = 15 * c.Period },
		"LateAfter":     func(c *HeartbeatConfig) { c.LateAfter = c.Period },
		"LostAfter":     func(c *HeartbeatConfig) { c.LostAfter = c.LateAfter },
		"HostileCount":  func(c *HeartbeatConfig) { c.HostileCount = 0 },
		"HostileWindow": func(c *HeartbeatConfig) { c.HostileWindow = 0 },
	} {
		c := heartbeatConfig()
		change(&c)
		if _, err := NewHeartbeat(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
