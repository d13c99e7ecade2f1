package courier

import (
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/order"
)

// hello asks the verifier for a challenge.
func (l *loop) hello() {}

// challenge takes a challenge from the network.
func (l *loop) challenge(now time.Duration, envelope []byte) {}

// judged takes the guard's answer to an attestation result. Only what the guard has accepted counts here as well; when it
// ends is read from the result itself.
func (l *loop) judged(envelope []byte, r *contract.Receipt) {
	now := l.clock.Boot()
	e, err := order.ParseEnvelope(envelope)
	if err != nil || !r.Accepted {
		return
	}
	o, err := order.Decode(e.Payload)
	if err != nil || o.AttestationResult == nil {
		return
	}
	before := l.session.state(now)
	if o.AttestationResult.Verdict != order.VerdictAccepted {
		l.session.refused(now, strings.Join(o.AttestationResult.Reasons, ", "))
	} else {
		civil, _ := l.clock.Civil()
		l.session.accepted(now, o.NotAfter.Sub(civil))
	}
	l.stateDue = true
	if state := l.session.state(now); state != before {
		l.note(KindAttestation, Change{State: state, Detail: clip(l.session.failed)})
		l.log.Info().Str("state", state).Str("detail", l.session.failed).Msg("attestation")
	}
}
