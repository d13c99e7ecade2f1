package courier

import (
	"errors"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// patience says how long a session waits.
type patience struct {
	// challenge is how long a hello waits for its challenge, prove how long the TPM may take, and result how long evidence
	// waits for its result; piece is how long it waits if a piece of a longer log went along, of which there may be none.
	challenge, prove, result, piece time.Duration
}

func defaultPatience() patience {
	return patience{challenge: 30 * time.Second, prove: time.Minute, result: time.Minute, piece: 10 * time.Second}
}

// States of the attestation, as messages name them.
const (
	// Unattested means that nothing has been proven in this run of the guard.
	Unattested = "unattested"
	// Attesting means that an attestation is under way.
	Attesting = "attesting"
	// Attested means that the guard has accepted a result that counts now.
	Attested = "attested"
	// Expired means that the last accepted result has run out.
	Expired = "expired"
	// Failed means that the verifier has refused, or that the robot cannot prove anything.
	Failed = "failed"
)

// phase is what the session waits for.
type phase uint8

const (
	phaseIdle   phase = iota // nothing to do
	phaseHello               // a challenge
	phaseProve               // the TPM
	phaseResult              // the verifier, or the guard with its result
	phasePiece               // the same, and else the next piece of a long log
	phasePause               // the next attempt
)

// session is the state of the attestation. It does no input or output and knows the time only from its caller.
type session struct {
	patience
	phase    phase
	deadline time.Duration // of the phase, on the boot clock
	ready    bool          // broker, guard and key are there
	until    time.Duration // end of the accepted result, 0 without one
	renew    time.Duration // when the next one is asked for
	recovery string        // why the robot's own key does not sign, "" if it does
	failed   string        // why the last attempt came to nothing for good, for people
	detail   string        // what happened last, for people
	sent     int64         // how far the kernel's log of files has been sent without a result, in bytes
	pause    backoff
}

// attested says whether a result counts now.
func (s *session) attested(now time.Duration) bool {
	return s.until > 0 && now < s.until && s.failed == "" && s.recovery == ""
}

// state names the state.
func (s *session) state(now time.Duration) string {
	switch {
	case s.why() != "":
		return Failed
	case s.attested(now):
		return Attested
	case s.until > 0:
		return Expired
	case s.phase == phaseHello, s.phase == phaseProve, s.phase == phaseResult, s.phase == phasePiece:
		return Attesting
	}
	return Unattested
}

// why is why nothing counts for good, for people. A robot in recovery says so first, whatever the verifier says.
func (s *session) why() string {
	if s.recovery == "" {
		return s.failed
	}
	out := "recovery: " + s.recovery
	if s.failed != "" {
		out += "; " + s.failed
	}
	return out
}

// claim is the state in the words that the guard takes, which have none for attested: that is the signed result's to say.
func (s *session) claim(now time.Duration) (state, detail string) {
	switch s.state(now) {
	case Failed:
		return contract.SessionFailed, s.why()
	case Attested, Attesting:
		return contract.SessionAttesting, s.detail
	}
	return contract.SessionUnattested, s.detail
}

// poll says whether a hello is due, and enters its phase.
func (s *session) poll(now time.Duration) (hello bool) {
	if s.phase != phaseIdle && now >= s.deadline {
		switch s.phase {
		case phaseIdle, phasePause:
		case phaseHello:
			s.detail = "the verifier has sent no challenge"
		case phaseProve:
			s.detail = "the evidence could not be made in time"
		case phaseResult:
			s.detail = "no result came for the evidence"
		case phasePiece:
			s.detail = "the kernel's log of files is sent in pieces"
		}
		if s.phase == phasePause || s.phase == phasePiece {
			s.phase = phaseIdle
		} else {
			s.rest(now)
		}
	}
	if s.phase != phaseIdle || !s.ready || s.attested(now) && now < s.renew {
		return false
	}
	s.enter(now, phaseHello, s.challenge)
	return true
}

func (s *session) enter(now time.Duration, p phase, limit time.Duration) {
	s.phase, s.deadline = p, now+limit
}

// rest waits before the next attempt.
func (s *session) rest(now time.Duration) { s.enter(now, phasePause, s.pause.wait()) }

// setReady tells whether broker, guard and key are there. Without them an exchange that is under way comes to nothing, but
// the accepted result goes on to count.
func (s *session) setReady(now time.Duration, ready bool) {
	if s.ready && !ready && s.phase != phasePause {
		s.phase = phaseIdle
	}
	if ready && !s.ready && s.phase == phasePause {
		s.deadline = min(s.deadline, now+s.pause.first) // what was in the way may be gone
	}
	s.ready = ready
}

// reset forgets everything: the guard is another one, and results are bound to it.
func (s *session) reset() {
	s.phase, s.until, s.renew, s.failed, s.detail, s.sent = phaseIdle, 0, 0, "", "", 0
	s.pause.reset()
}

// challenged starts proving, if a challenge is being waited for.
func (s *session) challenged(now time.Duration) bool {
	if s.phase != phaseHello && s.phase != phaseIdle && s.phase != phasePause || !s.ready {
		return false
	}
	s.enter(now, phaseProve, s.prove)
	return true
}

// proved goes on to wait for the result, or rests if there is nothing to judge. A computer that is busy says nothing about what it can
// prove: what counted goes on to count.
func (s *session) proved(now time.Duration, err error) bool {
	if s.phase != phaseProve {
		return false // too late
	}
	if errors.Is(err, errBusy) {
		s.detail = err.Error()
		s.rest(now)
		return false
	}
	if err != nil {
		s.failed = "the robot cannot prove anything: " + err.Error()
		s.rest(now)
		return false
	}
	s.enter(now, phaseResult, s.result)
	return true
}

// goesOn says that the evidence which was just sent took the kernel's log of files along up to a byte, and had no room for more: no
// result can come before the rest has, so that is not waited for as for one. Only as long as each piece leads farther than the one before:
// a verifier that asks for the same again is not to be hurried.
func (s *session) goesOn(now time.Duration, end int64) {
	if s.phase == phaseResult && end > s.sent {
		s.enter(now, phasePiece, s.piece)
	}
	s.sent = end
}

// accepted takes a result that the guard has accepted and that counts for the given time from now on.
func (s *session) accepted(now, life time.Duration) {
	s.phase, s.failed, s.detail, s.sent = phaseIdle, "", "accepted", 0
	s.until = now + max(life, 0)
	s.renew = now + max(life, 0)*2/3
	s.pause.reset()
}

// refused takes a refusal that the guard has accepted.
func (s *session) refused(now time.Duration, why string) {
	s.failed, s.until = "the verifier refuses: "+why, 0
	s.rest(now)
}
