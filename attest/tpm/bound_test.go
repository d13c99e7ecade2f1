package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

func newApprover(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
}

// approve approves what the PCRs hold now.
func (m *machine) approve(t *TPM, approver crypto.Signer, pcrs ...int) Approval {
	m.tb.Helper()
	return must(SignApproval(approver, must(t.ReadPCRs(pcrs))(m.tb)))(m.tb)
}

// The bound key signs in the approved state, not after another PCR value, and again once somebody has approved that one:
// before the update, as an update does it.
func TestBoundKeyFollowsApprovals(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver := newApprover(t)
	first := m.approve(tpm, approver, 7, 14)
	key := must(tpm.Bound(&approver.PublicKey, []Approval{first}))(t)
	if must(ParsePublic(key.Area()))(t).CheckBound(&approver.PublicKey) != nil {
		t.Error("it is no bound key by our own check")
	}
	d := digest("message")
	sig := must(key.Sign(nil, d, crypto.SHA256))(t)
	if !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), d, sig) {
		t.Error("the signature does not verify")
	}
	// What the update leads to, computed before it is there.
	next := must(tpm.ReadPCRs([]int{7, 14}))(t)
	was := next[14]
	event := sha256.Sum256([]byte("another kernel"))
	next[14] = sha256.Sum256(append(was[:], event[:]...))
	second := must(SignApproval(approver, next))(t)
	if err := tpm.Extend(14, event); err != nil {
		t.Fatal(err)
	}
	if _, err := key.Sign(nil, d, crypto.SHA256); !errors.Is(err, ErrState) {
		t.Errorf("in another state: %v", err)
	}
	if err := key.Ready(); !errors.Is(err, ErrState) {
		t.Errorf("ready: %v", err)
	}
	if _, err := tpm.Device().Sign(nil, d, crypto.SHA256); err != nil {
		t.Errorf("the device key has to go on: %v", err)
	}
	after := must(tpm.Bound(&approver.PublicKey, []Approval{first, second}))(t)
	if !bytes.Equal(after.Area(), key.Area()) {
		t.Error("an approval has changed the key")
	}
	must(after.Sign(nil, d, crypto.SHA256))(t)
	must(after.CertifyBound(d))(t)
	if h := m.loaded(); len(h) != 0 {
		t.Errorf("still loaded: %x", h)
	}
}

// Without a check of ours, the TPM itself refuses: the policy is in the key.
func TestTPMItselfRefuses(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver, stranger := newApprover(t), newApprover(t)
	good := m.approve(tpm, approver, 7)
	key := must(tpm.Bound(&approver.PublicKey, []Approval{good}))(t)
	d := digest("message")
	must(key.Sign(nil, d, crypto.SHA256))(t)

	forged := m.approve(tpm, stranger, 7)
	bad := *key
	bad.approvals = []Approval{forged}
	if _, err := bad.Sign(nil, d, crypto.SHA256); err == nil {
		t.Error("a stranger's approval was taken")
	}
	bad.approver = must(approverArea(&stranger.PublicKey))(t)
	if _, err := bad.Sign(nil, d, crypto.SHA256); err == nil {
		t.Error("a stranger was taken for the approver")
	}
	none := *key
	if _, err := call(tpm, "without a policy", DefaultTimeout, repeatable, func(c *conn) ([]byte, error) {
		l, err := tpm.load(c, boundKey)
		if err != nil {
			return nil, err
		}
		defer c.flush(l.handle)
		return none.withPassword(c, l, d)
	}); err == nil {
		t.Error("it signs by the empty password")
	}
}

// The relay changes the PCR between our look and the TPM's.
func TestStateChangesBetweenLookAndSignature(t *testing.T) {
	m := newMachine(t)
	direct := m.open()
	r := newRelay(t, m.socket)
	tpm := must(Open(r.path))(t)
	t.Cleanup(func() { _ = tpm.Close() })
	approver := newApprover(t)
	key := must(tpm.Bound(&approver.PublicKey, []Approval{m.approve(tpm, approver, 14)}))(t)
	must(key.Sign(nil, digest("a"), crypto.SHA256))(t)
	_ = direct
	r.once(codeSign, func(reply net.Conn, pass func(...byte) []byte) {
		pass(extendCommand(14, 1)...)
		_, _ = reply.Write(pass())
	})
	if _, err := key.Sign(nil, digest("b"), crypto.SHA256); !errors.Is(err, ErrState) {
		t.Errorf("expected %v, found %v", ErrState, err)
	}
}

func TestApprovalsAreChecked(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver, stranger := newApprover(t), newApprover(t)
	good := m.approve(tpm, approver, 7)
	for name, c := range map[string]func(a *Approval) *ecdsa.PublicKey{
		"another approver":  func(*Approval) *ecdsa.PublicKey { return &stranger.PublicKey },
		"another value":     func(a *Approval) *ecdsa.PublicKey { a.PCRs[7] = [32]byte{1}; return &approver.PublicKey },
		"another pcr":       func(a *Approval) *ecdsa.PublicKey { a.PCRs[8] = [32]byte{}; return &approver.PublicKey },
		"no pcr":            func(a *Approval) *ecdsa.PublicKey { a.PCRs = nil; return &approver.PublicKey },
		"pcr out of range":  func(a *Approval) *ecdsa.PublicKey { a.PCRs[24] = [32]byte{}; return &approver.PublicKey },
		"changed signature": func(a *Approval) *ecdsa.PublicKey { a.Signature[9] ^= 1; return &approver.PublicKey },
		"no signature":      func(a *Approval) *ecdsa.PublicKey { a.Signature = nil; return &approver.PublicKey },
		"no approver":       func(*Approval) *ecdsa.PublicKey { return nil },
	} {
		a := Approval{PCRs: map[int][32]byte{7: good.PCRs[7]}, Signature: bytes.Clone(good.Signature)}
		if key, err := tpm.Bound(c(&a), []Approval{a}); err == nil {
			t.Errorf("%s: %v", name, key)
		}
	}
	if _, err := tpm.Bound(&approver.PublicKey, make([]Approval, MaxApprovals+1)); err == nil {
		t.Error("too many were taken")
	}
	key := must(tpm.Bound(&approver.PublicKey, nil))(t)
	if _, err := key.Sign(nil, digest("x"), nil); !errors.Is(err, ErrState) {
		t.Errorf("without approvals: %v", err)
	}
}

// A verifier takes only a key that is bound to the approver that it knows.
func TestBoundKeyIsCertified(t *testing.T) {
	a, b := newMachine(t).open(), newMachine(t).open()
	approver, stranger := newApprover(t), newApprover(t)
	nonce := digest("nonce")
	key := must(a.Bound(&approver.PublicKey, nil))(t)
	s := must(key.CertifyBound(nonce))(t)
	if _, _, err := VerifyBound(a.AK().Key(), s, key.Area(), &approver.PublicKey, nonce); err != nil {
		t.Fatal(err)
	}
	device := must(a.CertifyDevice(nonce))(t)
	other := must(b.Bound(&approver.PublicKey, nil))(t)
	for name, f := range map[string]func() error{
		"another approver": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, key.Area(), &stranger.PublicKey, nonce)
			return err
		},
		"the device key": func() error {
			_, _, err := VerifyBound(a.AK().Key(), device, a.DevicePublic(), &approver.PublicKey, nonce)
			return err
		},
		"another TPM's": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, other.Area(), &approver.PublicKey, nonce)
			return err
		},
		"another nonce": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, key.Area(), &approver.PublicKey, digest("x"))
			return err
		},
		"nothing": func() error { _, _, err := VerifyBound(a.AK().Key(), s, nil, &approver.PublicKey, nonce); return err },
	} {
		if f() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A power cut leaves the same key, made anew.
func TestBoundKeyOutlivesPowerCut(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver := newApprover(t)
	key := must(tpm.Bound(&approver.PublicKey, []Approval{m.approve(tpm, approver, 7)}))(t)
	must(key.Sign(nil, digest("a"), nil))(t)
	m.off()
	m.on()
	must(key.Sign(nil, digest("a"), nil))(t)
}

// withPassword asks for a signature as keys without a policy give it.
func (*BoundKey) withPassword(c *conn, l *loaded, d []byte) ([]byte, error) {
	r, err := tpm2.Sign{
		KeyHandle: l.withAuth(), Digest: tpm2.TPM2BDigest{Buffer: d}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
	}.Execute(c)
	if err != nil {
		return nil, err
	}
	return tpm2.Marshal(r.Signature), nil
}
