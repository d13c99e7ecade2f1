package courier

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	holder "github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// boundSigner is the bound key, which remembers that it has refused: TLS and COSE pass on no more than the words.
type boundSigner struct {
	*tpm.BoundKey
	of *identity
}

// Sign implements crypto.Signer.
func (b boundSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := b.BoundKey.Sign(random, digest, opts)
	switch {
	case err == nil:
		b.of.refused.Store(false)
	case errors.Is(err, tpm.ErrState):
		b.of.refused.Store(true)
		b.of.lost.Store(true)
	}
	return sig, err
}

// bind gives the identity by the bound key where the computer's state is an approved one, and the robot's recovery where it is not, or
// where the bound key has no certificate that counts now. A TPM or a disk that does not answer is an error where the robot has an identity
// already: nobody knows then in which state the computer is, or what is approved, and it goes on as it is.
func (i *identity) bind(c *config.Courier, now time.Time) (*identity, error) {
	by, err := approverOf(c.BoundKey)
	if err != nil {
		return nil, err
	}
	all, faults, unread := readApprovals(filepath.Join(c.StateDir, approvalDir), by)
	use, _, err := choose(all, i.tpm.ReadPCRs)
	if err != nil {
		return nil, err
	}
	states := make([]tpm.Approval, 0, len(use))
	for _, a := range use {
		states = append(states, a.State)
	}
	key, err := i.tpm.Bound(by, states)
	if err != nil {
		return nil, err
	}
	out := &identity{tier: order.TierTPM, tpm: i.tpm, bound: key, certificate: c.Certificate, faults: faults, refused: i.refused}
	if out.refused == nil {
		out.refused = &atomic.Bool{}
	}
	out.key = boundSigner{key, out}
	err = key.Ready()
	if err == nil && (i.recovery != "" || out.refused.Load()) {
		// It has refused before in the state that is there now: its word counts, not what we read.
		trial := sha256.Sum256([]byte("robowarden/bound-key-trial/v1"))
		_, err = out.key.Sign(nil, trial[:], crypto.SHA256)
	}
	switch {
	case errors.Is(err, tpm.ErrState) && unread != nil && i.bound != nil && !out.refused.Load():
		return nil, unread
	case errors.Is(err, tpm.ErrState):
		why := "the bound key does not sign: " + err.Error()
		if unread != nil {
			why += "; " + unread.Error()
		}
		out.recover(c, why)
	case err != nil:
		return nil, err
	default:
		err := fits(c.Certificate, key.Public(), now)
		switch {
		case err == nil:
		case fits(c.BoundKey.Recovery, i.tpm.Device().Public(), now) == nil:
			out.misfit = true
			out.recover(c, "the bound key's certificate: "+err.Error())
		case i.recovery != "":
			return nil, err // It would connect no better.
		}
	}
	out.keyID, err = order.KeyID(out.key.Public())
	return out, err
}

// recover makes the identity that of the robot's recovery, for a reason.
func (i *identity) recover(c *config.Courier, why string) {
	i.key, i.certificate, i.recovery = i.tpm.Device(), c.BoundKey.Recovery, why
}

// approverOf is to whose approvals the robot's key is bound.
func approverOf(c *config.BoundKey) (tpm.Approver, error) {
	text, err := os.ReadFile(c.Approver)
	if err != nil {
		return tpm.Approver{}, fmt.Errorf("courier.bound_key.approver: %w", err)
	}
	key, err := holder.ParseApprover(text)
	if err != nil {
		return tpm.Approver{}, fmt.Errorf("courier.bound_key.approver: %s: %w", c.Approver, err)
	}
	return tpm.Approver{Key: key, Scope: c.Scope}, nil
}

// look lets the worker see whether the bound key signs now, and changes to the identity that there is then.
func (l *loop) look(ctx context.Context) {
	was := l.identity.Load()
	if was == nil || was.bound == nil || l.looking {
		return
	}
	now, _ := l.clock.Civil()
	l.looking = l.try(func() func() {
		was.lost.Store(false) // not before: work that is not taken leaves it to the next step
		next, err := was.bind(l.c.cfg, now)
		return func() {
			l.looking, l.lookAt = false, l.clock.Boot()+l.c.pace.bound
			switch {
			case err != nil:
				l.boundFault("bound key", err.Error())
			case next.misfit && was.recovery == "" && l.up:
				l.boundFault("bound key", next.recovery) // The connection that there is needs no certificate any more.
			default:
				l.turnTo(ctx, was, next)
			}
		}
	})
}

// turnTo goes on with what was found. Another key means another certificate, and so another connection and another session.
func (l *loop) turnTo(ctx context.Context, was, now *identity) {
	l.identity.Store(now) // what is approved may have changed in any case
	if was.keyID != now.keyID {
		l.session.reset()
		l.opened(ctx, now, nil)
		if l.net != nil {
			l.net.leave()
		}
		return
	}
	l.session.recovery = now.recovery
	l.approvalFaults(now.faults)
}

// approvalFaults notes which files of approvals are none, when that changes.
func (l *loop) approvalFaults(faults []string) {
	slices.Sort(faults)
	l.boundFault("approval", strings.Join(faults, "; "))
}

// boundFault notes what is wrong with the bound key or what belongs to it, once for each thing until that changes; "" if nothing is.
func (l *loop) boundFault(what, text string) {
	if text == l.boundNoted[what] {
		return
	}
	l.boundNoted[what] = text
	if text != "" {
		l.note(KindFault, Fault{what, clip(text)})
		l.log.Error().Str("error", text).Msg(what)
	}
}

// recovering says whether the robot speaks by its recovery: then it attests, hears of a way back, and does nothing else.
func (l *loop) recovering() bool { return l.session.recovery != "" }
