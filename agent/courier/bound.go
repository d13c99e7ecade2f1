package courier

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/robowarden/robowarden/agent/config"
	holder "github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

const (
	// approvalDir is the folder of approved states below the courier's state.
	approvalDir = "approvals"
	// approvalExt ends the names of its files.
	approvalExt = ".dsse.json"
)

// boundSigner is the bound key, which remembers that it has refused: TLS and COSE pass on no more than the words.
type boundSigner struct {
	*tpm.BoundKey
	lost *atomic.Bool
}

// Sign implements crypto.Signer.
func (b boundSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := b.BoundKey.Sign(random, digest, opts)
	if errors.Is(err, tpm.ErrState) {
		b.lost.Store(true)
	}
	return sig, err
}

// bind gives the identity by the bound key where the computer's state is an approved one, and the robot's recovery where it is not. A
// TPM that does not answer is an error: nobody knows then in which state the computer is.
func (i *identity) bind(c *config.Courier) (*identity, error) {
	by, err := approverOf(c.BoundKey)
	if err != nil {
		return nil, err
	}
	approvals, faults := readApprovals(filepath.Join(c.StateDir, approvalDir), by)
	states := make([]tpm.Approval, 0, len(approvals))
	for _, a := range approvals {
		states = append(states, a.State)
	}
	key, err := i.tpm.Bound(by, states)
	if err != nil {
		return nil, err
	}
	out := &identity{tier: order.TierTPM, tpm: i.tpm, bound: key, certificate: c.Certificate, faults: faults}
	out.key = boundSigner{key, &out.lost}
	switch err := key.Ready(); {
	case errors.Is(err, tpm.ErrState):
		out.key, out.certificate, out.recovery = i.tpm.Device(), c.BoundKey.Recovery, err.Error()
	case err != nil:
		return nil, err
	}
	out.keyID, err = order.KeyID(out.key.Public())
	return out, err
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

// readApprovals reads the approved states that the robot keeps, the newest first, at most as many as a key takes. A file that is none is
// told and passed over: it must not keep the others from counting.
func readApprovals(dir string, by tpm.Approver) (out []*holder.Approval, faults []string) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		faults = append(faults, err.Error())
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), approvalExt) {
			continue
		}
		envelope, err := readBounded(filepath.Join(dir, e.Name()), holder.MaxApproval)
		var a *holder.Approval
		if err == nil {
			a, err = holder.OpenApproval(envelope, by)
		}
		if err != nil {
			faults = append(faults, e.Name()+": "+err.Error())
			continue
		}
		out = append(out, a)
	}
	slices.SortStableFunc(out, func(a, b *holder.Approval) int { return b.Issued.Compare(a.Issued) })
	return out[:min(len(out), tpm.MaxApprovals)], faults
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // our own folder
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}

// KeepApproval checks a signed approval and keeps it, durably, for the robot that the deployment describes. It changes no key: one
// that counts for another robot, or is signed by somebody else than the deployment's approver, is refused.
func KeepApproval(c *config.Courier, envelope []byte) (*holder.Approval, error) {
	if c.BoundKey == nil {
		return nil, errors.New("courier.bound_key: is missing: the key works in whatever state")
	}
	by, err := approverOf(c.BoundKey)
	if err != nil {
		return nil, err
	}
	a, err := holder.OpenApproval(envelope, by)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.StateDir, approvalDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return a, replaceFile(dir, fingerprint(envelope)+approvalExt, envelope)
}

// look lets the worker see whether the bound key signs now, and changes to the identity that there is then.
func (l *loop) look(ctx context.Context) {
	was := l.identity.Load()
	if was == nil || was.bound == nil || l.looking {
		return
	}
	was.lost.Store(false)
	l.looking = l.try(func() func() {
		now, err := was.bind(l.c.cfg)
		return func() {
			l.looking, l.lookAt = false, l.clock.Boot()+l.c.pace.bound
			if err != nil {
				l.boundFault("bound key", err)
				return
			}
			l.turnTo(ctx, was, now)
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
	for _, f := range now.faults {
		l.boundFault("approval", errors.New(f))
	}
}

// boundFault notes what is wrong with the bound key or an approval, once.
func (l *loop) boundFault(what string, err error) {
	if text := what + ": " + err.Error(); text != l.boundNoted {
		l.boundNoted = text
		l.note(KindFault, Fault{what, clip(err.Error())})
		l.log.Error().Err(err).Msg(what)
	}
}

// approval keeps an approved state that came over the network, and looks what it changes. A forged one costs a signature's check.
func (l *loop) approval(ctx context.Context, envelope []byte) {
	cfg := l.c.cfg
	if cfg.BoundKey == nil || len(envelope) > holder.MaxApproval {
		return
	}
	l.try(func() func() {
		a, err := KeepApproval(cfg, envelope)
		return func() {
			c := Carried{Topic: TopicApproval, Digest: fingerprint(envelope), Accepted: err == nil}
			if err != nil {
				c.Reason = "approval-refused"
				l.log.Warn().Err(err).Msg("an approval is not kept")
			} else {
				l.log.Info().Str("reason", clip(a.Reason)).Msg("state approved")
			}
			l.note(KindCarried, c)
			l.look(ctx)
		}
	})
}

// recovering says whether the robot speaks by its recovery: then it attests, hears of a way back, and does nothing else.
func (l *loop) recovering() bool { return l.session.recovery != "" }
