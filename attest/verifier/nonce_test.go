package verifier

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// shared is a service whose verifiers, in one process after the other, have one key for nonces.
func shared(tb testing.TB) *service {
	tb.Helper()
	s := newService(tb)
	s.nonceKey = bytes.Repeat([]byte{7}, NonceKeyBytes)
	s.restart()
	return s
}

// TestAChallengeOutlivesItsVerifier has another process judge the answer, also one that has to wait for logs, and once only.
func TestAChallengeOutlivesItsVerifier(t *testing.T) {
	s := shared(t)
	c := s.ask(noon)
	answer := s.answer(c)
	s.restart()
	out, err := s.v.Evidence(noon.Add(time.Second), robot, answer)
	if err != nil || len(out.Waiting) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	out = s.sendLogs(noon.Add(time.Second), c)
	if out == nil || out.Result == nil || s.result(noon, out.Result).AttestationResult.Verdict != order.VerdictAccepted {
		t.Fatalf("%+v", out)
	}
	s.restart()
	if out, err := s.v.Evidence(noon.Add(2*time.Second), robot, answer); err != nil || out.Result != nil || !out.Appraisal.Has(Replayed) {
		t.Errorf("the same answer at another process: %+v, %v", out, err)
	}
}

// TestAnOlderAnswerIsAReplay lets the newer of two challenges be answered first: the older answer, kept back by somebody,
// must not have the robot judged by what it was.
func TestAnOlderAnswerIsAReplay(t *testing.T) {
	s := shared(t)
	first, second := s.ask(noon), s.ask(noon)
	s.sendLogs(noon, first)
	old, recent := s.answer(first), s.answer(second)
	if out, err := s.v.Evidence(noon, robot, recent); err != nil || out.Result == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			s.restart()
		}
		if out, err := s.v.Evidence(noon.Add(time.Second), robot, old); err != nil || out.Result != nil || !out.Appraisal.Has(Replayed) {
			t.Errorf("restarted %t: %+v, %v", restart, out, err)
		}
	}
	// A verifier whose clock had been far ahead goes on.
	state, err := s.store.State(robot)
	if err != nil {
		t.Fatal(err)
	}
	state.Answered = uint64(noon.Add(24 * time.Hour).UnixMilli())
	if err := s.store.SaveState(robot, state); err != nil {
		t.Fatal(err)
	}
	if out, err := s.v.Evidence(noon.Add(time.Minute), robot, s.answer(s.ask(noon.Add(time.Minute)))); err != nil || out.Result == nil {
		t.Errorf("after a clock that was ahead: %+v, %v", out, err)
	}
}

// TestAClockThatWasAheadLeavesNothingFresh keeps back what was answered, or was only asked, while the verifier's clock was
// ahead: it counts no more when that hour comes, also at a process that remembers nothing.
func TestAClockThatWasAheadLeavesNothingFresh(t *testing.T) {
	later := noon.Add(2 * time.Hour)
	for name, answered := range map[string]bool{"answered": true, "asked": false} {
		s := shared(t)
		judged := func(now time.Time) {
			t.Helper()
			s.robot() // Its own clock never went.
			out, err := s.v.Evidence(now, robot, s.answer(s.ask(now)))
			if err != nil || out.Result == nil || s.result(now, out.Result).AttestationResult.Verdict != order.VerdictAccepted {
				t.Errorf("%s: a good answer at %s: %+v, %v", name, now, out, err)
			}
		}
		refused := func(now time.Time, message []byte, code Code) {
			t.Helper()
			if out, err := s.v.Evidence(now, robot, message); err != nil || out.Result != nil || !out.Appraisal.Has(code) {
				t.Errorf("%s: an old answer at %s: %+v, %v; expected %s", name, now, out, err, code)
			}
		}
		before := s.answer(s.ask(noon))
		c := s.ask(later)
		s.sendLogs(later, c)
		old := s.answer(c)
		if answered {
			if out, err := s.v.Evidence(later, robot, old); err != nil || out.Result == nil {
				t.Fatalf("%+v, %v", out, err)
			}
			s.restart()
			refused(noon.Add(time.Second), before, Replayed)
		}
		refused(noon.Add(time.Second), old, StaleNonce)
		judged(noon.Add(2 * time.Second))
		refused(noon.Add(3*time.Second), before, StaleNonce)
		s.restart()
		refused(later.Add(time.Second), old, StaleNonce)
		judged(later.Add(2 * time.Second))
	}
}

// TestAClockThatIsMinutesBehind has a verifier answered whose clock is less far behind that of the process before.
func TestAClockThatIsMinutesBehind(t *testing.T) {
	s := shared(t)
	c := s.ask(noon.Add(3 * time.Minute))
	s.sendLogs(noon.Add(3*time.Minute), c)
	for range 2 {
		if out, err := s.v.Evidence(noon.Add(3*time.Minute), robot, s.answer(c)); err != nil || out.Result == nil {
			t.Fatalf("%+v, %v", out, err)
		}
		s.restart()
		s.robot()
		c = s.ask(noon)
	}
	if state, err := s.store.State(robot); err != nil || state.Rewinds != 0 {
		t.Errorf("%+v, %v", state, err)
	}
}

// TestWhoseChallengeCounts has answers to challenges that are late, another verifier's, and of before.
func TestWhoseChallengeCounts(t *testing.T) {
	s := shared(t)
	late := s.answer(s.ask(noon))
	s.restart()
	if out, err := s.v.Evidence(noon.Add(time.Minute), robot, late); err != nil || out.Result != nil || !out.Appraisal.Has(StaleNonce) {
		t.Errorf("an answer after its time: %+v, %v", out, err)
	}
	own := s.nonceKey
	s.nonceKey = bytes.Repeat([]byte{8}, NonceKeyBytes)
	s.restart()
	foreign := s.answer(s.ask(noon.Add(2 * time.Minute)))
	s.nonceKey = own
	s.restart()
	if out, err := s.v.Evidence(noon.Add(2*time.Minute), robot, foreign); err != nil || out.Result != nil || !out.Appraisal.Has(StaleNonce) {
		t.Errorf("an answer to a challenge by another key: %+v, %v", out, err)
	}
	if good := s.answer(s.ask(noon.Add(3 * time.Minute))); good != nil {
		s.restart()
		if out, err := s.v.Evidence(noon.Add(3*time.Minute), robot, good); err != nil || len(out.Waiting) != 2 {
			t.Errorf("a good answer: %+v, %v", out, err)
		}
	}
}

// TestNoncesAreForOneRobotAndBoot changes any bit, the robot, the boot or the key.
func TestNoncesAreForOneRobotAndBoot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), NonceKeyBytes, NonceKeyBytes).Draw(rt, "key")
		s := stamp{made: rapid.Uint64Max(1<<48-1).Draw(rt, "made"), life: time.Duration(rapid.IntRange(1, 600).Draw(rt, "life")) * time.Second}
		own := subject{robot, bootID, rapid.Uint64().Draw(rt, "rewinds")}
		n, err := newNonce(key, own, s, rand.Reader)
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := readNonce(key, own, n); err != nil || got != s {
			rt.Fatalf("%+v, %v, expected %+v", got, err, s)
		}
		bad := n
		bad[rapid.IntRange(0, evidence.NonceBytes-1).Draw(rt, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		other := bytes.Clone(key)
		other[rapid.IntRange(0, NonceKeyBytes-1).Draw(rt, "of the key")] ^= 1
		for name, err := range map[string]error{
			"a changed bit": second(readNonce(key, own, bad)), "another robot": second(readNonce(key, subject{"unitree/g1-0008", bootID, own.rewinds}, n)),
			"another boot": second(readNonce(key, subject{robot, otherBoot, own.rewinds}, n)), "another key": second(readNonce(other, own, n)),
			"a clock that went back": second(readNonce(key, subject{robot, bootID, own.rewinds + 1}, n)),
		} {
			if err == nil {
				rt.Fatalf("%s: ours", name)
			}
		}
	})
}

func second(_ stamp, err error) error { return err }
