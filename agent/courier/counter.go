package courier

import (
	"crypto/x509"
	"encoding/hex"
	"errors"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/tpm"
)

// The guard has no TPM and does not believe the courier: it asks for the TPM's signed word about a counter, over a nonce of its own.

// askCounter has the TPM asked. A question for which there is no room is asked again by the guard.
func (l *loop) askCounter(q *contract.CounterRequest) {
	id, w := l.identity.Load(), l.welcome
	if id == nil {
		a := &contract.Counter{Nonce: q.Nonce, Fault: contract.CounterUnavailable, Detail: clip("no device key: " + l.keyFault)}
		l.bringCounter(a)
		return
	}
	l.try(func() func() {
		a := stateCounter(id.tpm, q)
		return func() {
			if l.welcome == w { // else the guard is another one, and has asked anew
				l.bringCounter(a)
			}
		}
	})
}

// bringCounter hands the answer to the guard, and notes a fault once.
func (l *loop) bringCounter(a *contract.Counter) {
	if a.Fault != l.counterFault {
		l.counterFault = a.Fault
		if a.Fault != "" {
			l.note(KindFault, Fault{"counter", a.Fault + ": " + a.Detail})
			l.log.Warn().Str("fault", a.Fault).Str("detail", a.Detail).Msg("the TPM states nothing about the counter, so the guard cannot know whether its disk was set back")
		}
	}
	f, err := contract.New(0, a)
	if err != nil {
		l.log.Error().Err(err).Msg("counter")
		return
	}
	l.frame(f)
}

// stateCounter lets the TPM state the counter, after making it or counting if that is asked for.
func stateCounter(t *tpm.TPM, q *contract.CounterRequest) *contract.Counter {
	a := &contract.Counter{Nonce: q.Nonce}
	if t == nil {
		a.Fault, a.Detail = contract.CounterNoTPM, "the deployment names no TPM"
		return a
	}
	if err := certifyCounter(t, q, a); err != nil {
		*a = contract.Counter{Nonce: q.Nonce, Fault: counterFault(err), Detail: clip(err.Error())}
	}
	return a
}

func certifyCounter(t *tpm.TPM, q *contract.CounterRequest, a *contract.Counter) error {
	nonce, err := hex.DecodeString(q.Nonce)
	if err != nil {
		return err
	}
	if q.Make {
		if err := t.CreateCounter(tpm.BootCounter); err != nil {
			return err
		}
	}
	if q.To > 0 {
		if err := t.CountTo(tpm.BootCounter, q.To); err != nil {
			return err
		}
	}
	s, err := t.CertifyCounter(tpm.BootCounter, nonce)
	if err != nil {
		return err
	}
	a.Attest, a.Signature = s.Attest, s.Signature
	a.Key, err = x509.MarshalPKIXPublicKey(t.AK().Key())
	return err
}

// counterFault names why there is no statement.
func counterFault(err error) string {
	switch {
	case errors.Is(err, tpm.ErrUnavailable), errors.Is(err, tpm.ErrClosed):
		return contract.CounterUnavailable
	case errors.Is(err, tpm.ErrNoCounter), errors.Is(err, tpm.ErrUncounted):
		return contract.CounterMissing
	case errors.Is(err, tpm.ErrCounter):
		return contract.CounterReplaced
	}
	return contract.CounterRefused
}
