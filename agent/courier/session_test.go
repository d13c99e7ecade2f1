package courier

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/contract"
)

func half() float64 { return 0.5 }

func newSession() *session {
	s := &session{patience: defaultPatience(), pause: backoff{first: 5 * time.Second, most: 5 * time.Minute, random: half}}
	s.setReady(0, true)
	return s
}

func TestSessionAcceptedRenewedExpired(t *testing.T) {
	const life = 30 * time.Minute
	s := newSession()
	now := time.Second
	if !s.poll(now) || s.state(now) != Attesting || s.poll(now) {
		t.Fatal("expected one hello")
	}
	if !s.challenged(now) || !s.proved(now, nil) {
		t.Fatal("expected the challenge to be answered")
	}
	s.accepted(now, life)
	for _, c := range []struct {
		at    time.Duration
		state string
		hello bool
	}{
		{now, Attested, false},
		{now + 19*time.Minute, Attested, false},
		{now + 20*time.Minute, Attested, true}, // two thirds
		{now + 21*time.Minute, Attested, false},
		{now + life - 1, Attested, true}, // the verifier was silent
		{now + life, Expired, false},
	} {
		if got := s.poll(c.at); got != c.hello {
			t.Errorf("at %v: hello %v, expected %v", c.at, got, c.hello)
		}
		if got := s.state(c.at); got != c.state {
			t.Errorf("at %v: state %s, expected %s", c.at, got, c.state)
		}
	}
}

func TestSessionBacksOff(t *testing.T) {
	s := newSession()
	now := time.Duration(0)
	var gaps []time.Duration
	last := time.Duration(-1)
	for ; len(gaps) < 9; now += time.Second {
		if s.poll(now) {
			if last >= 0 {
				gaps = append(gaps, now-last)
			}
			last = now
		}
	}
	for i, gap := range gaps {
		// 30 s for the challenge and three quarters of the pause, rounded up to this test's steps.
		want := defaultPatience().challenge + min(5*time.Second<<i, 5*time.Minute)*3/4
		if gap < want || gap > want+2*time.Second {
			t.Errorf("hello %d came %v after the one before, expected %v", i+1, gap, want)
		}
	}
	if s.detail == "" {
		t.Error("nobody is told that the verifier is silent")
	}
}

func TestSessionRefusals(t *testing.T) {
	s := newSession()
	s.poll(0)
	s.challenged(0)
	if s.proved(0, errors.New("the TPM is gone")) || s.state(0) != Failed {
		t.Errorf("state %s", s.state(0))
	}
	if state, detail := s.claim(0); state != contract.SessionFailed || detail == "" {
		t.Errorf("claim %s %q", state, detail)
	}
	if s.poll(time.Second) || !s.poll(10*time.Second) {
		t.Error("expected another attempt after a pause")
	}
	s.challenged(10 * time.Second)
	s.proved(10*time.Second, nil)
	s.accepted(10*time.Second, time.Hour)
	if !s.attested(11 * time.Second) {
		t.Error("a result after a failure does not count")
	}
	s.refused(12*time.Second, "agent-digest")
	if s.attested(12*time.Second) || s.state(12*time.Second) != Failed {
		t.Error("a refusal does not end what was accepted")
	}
}

// TestSessionOfABusyComputer rests and tries again: nothing has failed, and what was accepted goes on to count. Off, another error has.
func TestSessionOfABusyComputer(t *testing.T) {
	for err, state := range map[error]string{fmt.Errorf("made 4 times: %w", errBusy): Attested, errors.New("the TPM is gone"): Failed} {
		s := newSession()
		s.poll(0)
		s.challenged(0)
		s.proved(0, nil)
		s.accepted(0, time.Hour)
		if !s.poll(40*time.Minute) || !s.challenged(40*time.Minute) || s.proved(40*time.Minute, err) || s.state(40*time.Minute) != state {
			t.Errorf("%v: state %s, expected %s", err, s.state(40*time.Minute), state)
		}
		if s.poll(40*time.Minute+time.Second) || !s.poll(41*time.Minute) {
			t.Errorf("%v: expected another attempt after a pause", err)
		}
	}
}

// TestSessionOfALongLog: piece after piece is asked for without a pause that grows and before what was accepted runs out. Off, the log does
// not go on, or the verifier asks for the same piece each time, and every attempt backs off further.
func TestSessionOfALongLog(t *testing.T) {
	const life, pieces = 30 * time.Minute, 30
	for name, c := range map[string]struct {
		end  func(n int64) int64
		fast bool
	}{
		"piece after piece":  {func(n int64) int64 { return n << 20 }, true},
		"no piece (off)":     {nil, false},
		"the same one (off)": {func(int64) int64 { return 1 << 20 }, false},
	} {
		s := newSession()
		s.poll(0)
		s.challenged(0)
		s.proved(0, nil)
		s.accepted(0, life)
		n, now := int64(0), time.Duration(0)
		for ; now < life && n < pieces; now += time.Second {
			if s.poll(now) && s.challenged(now) && s.proved(now, nil) {
				if n++; c.end != nil {
					s.goesOn(now, c.end(n))
				}
			}
		}
		if got := n == pieces && s.attested(now) && s.pause.next == 0; got != c.fast {
			t.Errorf("%s: %d pieces until %v, the next pause is %v; expected all of %d before %v: %t", name, n, now, s.pause.next, pieces, life, c.fast)
		}
		s.accepted(now, life)
		if s.poll(now + time.Minute); s.phase != phaseIdle || s.sent != 0 {
			t.Errorf("%s: a result did not end it: %+v", name, s)
		}
	}
}

func TestSessionLateAnswers(t *testing.T) {
	s := newSession()
	s.poll(0)
	s.challenged(0)
	s.poll(s.prove) // too slow
	if s.proved(s.prove, nil) {
		t.Error("evidence that came too late was sent")
	}
	s = newSession()
	s.poll(0)
	s.setReady(time.Second, false)
	if s.challenged(time.Second) {
		t.Error("a challenge was answered without broker or guard")
	}
	s.setReady(2*time.Second, true)
	if !s.poll(2 * time.Second) {
		t.Error("no hello after the connection came back")
	}
	s.accepted(2*time.Second, time.Hour)
	s.setReady(3*time.Second, false)
	if !s.attested(3 * time.Second) {
		t.Error("a lost connection ended an accepted result")
	}
	s.reset()
	if s.attested(3 * time.Second) {
		t.Error("another guard inherited the result")
	}
}

// TestSessionProperty: whatever happens in whatever order, the session counts as attested only between an acceptance and the
// end of that result, a refusal or another guard; and a ready session always comes to another hello.
func TestSessionProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSession()
		now := time.Duration(0)
		var until time.Duration
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now += time.Duration(rapid.Int64Range(0, int64(3*time.Minute)).Draw(rt, "passed"))
			switch rapid.SampledFrom([]string{"poll", "challenge", "proved", "piece", "unproved", "accept", "refuse", "down", "up", "reset"}).Draw(rt, "event") {
			case "poll":
				s.poll(now)
			case "challenge":
				s.challenged(now)
			case "proved":
				s.proved(now, nil)
			case "piece":
				s.goesOn(now, rapid.Int64Range(1, 9).Draw(rt, "end"))
			case "unproved":
				if s.phase == phaseProve {
					until = min(until, now)
				}
				s.proved(now, errors.New("no"))
			case "accept":
				life := time.Duration(rapid.Int64Range(-int64(time.Minute), int64(time.Hour)).Draw(rt, "life"))
				s.accepted(now, life)
				until = now + max(life, 0)
			case "refuse":
				s.refused(now, "x")
				until = 0
			case "down":
				s.setReady(now, false)
			case "up":
				s.setReady(now, true)
			case "reset":
				s.reset()
				until = 0
			}
			if s.attested(now) != (now < until) {
				rt.Fatalf("attested %v at %v, until %v", s.attested(now), now, until)
			}
			if s.attested(now) != (s.state(now) == Attested) {
				rt.Fatalf("state %s", s.state(now))
			}
		}
		s.setReady(now, true)
		for end := now + time.Hour; ; now += time.Second {
			if s.poll(now) {
				return
			}
			if now > end {
				rt.Fatalf("no hello for an hour: %+v", s)
			}
		}
	})
}

func TestBackoffIsBoundedAndJitters(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := backoff{first: time.Second, most: time.Minute, random: func() float64 { return rapid.Float64Range(0, 0.999).Draw(rt, "random") }}
		want := time.Second
		for range 12 {
			got := b.wait()
			if got < want/2 || got > want {
				rt.Fatalf("waits %v, expected %v to %v", got, want/2, want)
			}
			want = min(2*want, time.Minute)
		}
		b.reset()
		if got := b.wait(); got > time.Second {
			rt.Fatalf("waits %v after a success", got)
		}
	})
}

// TestBucketHoldsTheCap: over any stretch of time no more goes out than the rate allows, but for the depth and one message.
func TestBucketHoldsTheCap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.IntRange(4<<10, 1<<20).Draw(rt, "rate")
		b := newBucket(rate, 0)
		now, sent := time.Duration(0), 0.0
		for range 200 {
			if wait := b.ready(now); wait > 0 {
				now += wait
				if b.ready(now) > 0 {
					rt.Fatalf("not ready after %v", wait)
				}
			}
			n := rapid.IntRange(1, batchBytes).Draw(rt, "size")
			b.take(n)
			sent += float64(n)
			if most := now.Seconds()*float64(rate) + b.depth + batchBytes; sent > most {
				rt.Fatalf("%v bytes in %v, expected at most %v", sent, now, most)
			}
			now += time.Duration(rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(rt, "passed"))
		}
	})
}
