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
	"strings"
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
	return must(SignApproval(approver, "g1", must(t.ReadPCRs(pcrs))(m.tb)))(m.tb)
}

// The bound key signs in the approved state, not after another PCR value, and again once somebody has approved that one:
// before the update, as an update does it.
func TestBoundKeyFollowsApprovals(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver := newApprover(t)
	first := m.approve(tpm, approver, 7, 14)
	key := must(tpm.Bound(Approver{&approver.PublicKey, "g1"}, []Approval{first}))(t)
	if must(ParsePublic(key.Area()))(t).CheckBound(Approver{&approver.PublicKey, "g1"}) != nil {
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
	second := must(SignApproval(approver, "g1", next))(t)
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
	after := must(tpm.Bound(Approver{&approver.PublicKey, "g1"}, []Approval{first, second}))(t)
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
	key := must(tpm.Bound(Approver{&approver.PublicKey, "g1"}, []Approval{good}))(t)
	d := digest("message")
	must(key.Sign(nil, d, crypto.SHA256))(t)

	forged := m.approve(tpm, stranger, 7)
	bad := *key
	bad.approvals = []Approval{forged}
	if _, err := bad.Sign(nil, d, crypto.SHA256); err == nil {
		t.Error("a stranger's approval was taken")
	}
	bad.approver.Key = &stranger.PublicKey
	bad.area = must(bad.approver.area())(t)
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
	key := must(tpm.Bound(Approver{&approver.PublicKey, "g1"}, []Approval{m.approve(tpm, approver, 14)}))(t)
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
		if key, err := tpm.Bound(Approver{c(&a), "g1"}, []Approval{a}); err == nil {
			t.Errorf("%s: %v", name, key)
		}
	}
	if _, err := tpm.Bound(Approver{&approver.PublicKey, "g1"}, make([]Approval, MaxApprovals+1)); err == nil {
		t.Error("too many were taken")
	}
	key := must(tpm.Bound(Approver{&approver.PublicKey, "g1"}, nil))(t)
	if _, err := key.Sign(nil, digest("x"), nil); !errors.Is(err, ErrState) {
		t.Errorf("without approvals: %v", err)
	}
}

// A verifier takes only a key that is bound to the approver that it knows.
func TestBoundKeyIsCertified(t *testing.T) {
	a, b := newMachine(t).open(), newMachine(t).open()
	approver, stranger := newApprover(t), newApprover(t)
	nonce := digest("nonce")
	key := must(a.Bound(Approver{&approver.PublicKey, "g1"}, nil))(t)
	s := must(key.CertifyBound(nonce))(t)
	if _, _, err := VerifyBound(a.AK().Key(), s, key.Area(), Approver{&approver.PublicKey, "g1"}, nonce); err != nil {
		t.Fatal(err)
	}
	device := must(a.CertifyDevice(nonce))(t)
	other := must(b.Bound(Approver{&approver.PublicKey, "g1"}, nil))(t)
	for name, f := range map[string]func() error{
		"another approver": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, key.Area(), Approver{&stranger.PublicKey, "g1"}, nonce)
			return err
		},
		"the device key": func() error {
			_, _, err := VerifyBound(a.AK().Key(), device, a.DevicePublic(), Approver{&approver.PublicKey, "g1"}, nonce)
			return err
		},
		"another TPM's": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, other.Area(), Approver{&approver.PublicKey, "g1"}, nonce)
			return err
		},
		"another nonce": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, key.Area(), Approver{&approver.PublicKey, "g1"}, digest("x"))
			return err
		},
		"nothing": func() error {
			_, _, err := VerifyBound(a.AK().Key(), s, nil, Approver{&approver.PublicKey, "g1"}, nonce)
			return err
		},
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
	key := must(tpm.Bound(Approver{&approver.PublicKey, "g1"}, []Approval{m.approve(tpm, approver, 7)}))(t)
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

// An approval counts for the scope that the key is bound to, in our check and in the TPM's: the scope is in its policy.
func TestApprovalForAnotherScope(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver := newApprover(t)
	other := must(SignApproval(approver, "unitree/g1-0008", must(tpm.ReadPCRs([]int{7}))(t)))(t)
	mine := Approver{&approver.PublicKey, "unitree/g1-0007"}
	if _, err := tpm.Bound(mine, []Approval{other}); err == nil {
		t.Error("another robot's approval was taken")
	}
	key := must(tpm.Bound(mine, nil))(t)
	bad := *key
	bad.approvals = []Approval{other}
	if _, err := bad.Sign(nil, digest("x"), nil); err == nil {
		t.Error("the TPM took it by this robot's scope")
	}
	bad.approver.Scope = "unitree/g1-0008" // so that the TPM verifies the signature, and refuses the policy
	if _, err := bad.Sign(nil, digest("x"), nil); err == nil {
		t.Error("the TPM took it by the other robot's scope")
	}
	// Off: the same approval for this robot is good.
	good := must(tpm.Bound(mine, []Approval{must(SignApproval(approver, mine.Scope, other.PCRs))(t)}))(t)
	must(good.Sign(nil, digest("x"), nil))(t)
	for _, scope := range []string{"", "g:1", "a/b/c", "a/", "/b", "ä", strings.Repeat("x", 65)} {
		if CheckScope(scope) == nil {
			t.Errorf("scope %q was taken", scope)
		}
	}
}

// A ticket by which the TPM remembers one approval opens no other state, and none after the TPM was cleared or the state has gone.
func TestOldTicket(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	approver := newApprover(t)
	by := Approver{&approver.PublicKey, "g1"}
	first := m.approve(tpm, approver, 14)
	key := must(tpm.Bound(by, []Approval{first}))(t)
	ticketOf := func(a *Approval) []byte {
		return must(call(tpm, "ticket", DefaultTimeout, repeatable, func(c *conn) ([]byte, error) { return key.ticket(c, a) }))(t)
	}
	sign := func(a *Approval, ticket []byte) error {
		_, err := call(tpm, "sign", DefaultTimeout, repeatable, func(c *conn) (struct{}, error) {
			l, err := tpm.load(c, boundKey)
			if err != nil {
				return struct{}{}, err
			}
			defer c.flush(l.handle)
			_, err = tpm2.Sign{
				KeyHandle: tpm2.AuthHandle{Handle: l.handle, Name: l.name(), Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, key.session(a, ticket))},
				Digest:    tpm2.TPM2BDigest{Buffer: digest("x")}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
				Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
			}.Execute(c)
			return struct{}{}, err
		})
		return err
	}
	old := ticketOf(&first)
	if err := sign(&first, old); err != nil {
		t.Fatal(err) // off: while the state lasts, the ticket is good
	}
	if err := tpm.Extend(14, sha256.Sum256([]byte("another"))); err != nil {
		t.Fatal(err)
	}
	second := m.approve(tpm, approver, 14)
	if err := sign(&first, old); err == nil {
		t.Error("the old ticket signs in the new state")
	}
	if err := sign(&second, old); err == nil {
		t.Error("the old ticket stands for another approval")
	}
	if err := sign(&second, ticketOf(&second)); err != nil {
		t.Error(err)
	}
}

// TestPolicyIsGoTPMs holds what is written by hand against go-tpm's structures and policies.
func TestPolicyIsGoTPMs(t *testing.T) {
	approver := newApprover(t)
	by := Approver{&approver.PublicKey, "g1"}
	area := must(by.area())(t)
	public := must(decode[tpm2.TPMTPublic]("area", area))(t)
	if !must(tpm2.Pub(*public))(t).(*ecdsa.PublicKey).Equal(&approver.PublicKey) || !public.ObjectAttributes.SignEncrypt {
		t.Errorf("%+v", public)
	}
	a := must(SignApproval(approver, "g1", map[int][32]byte{0: {1}, 7: {2}, 23: {3}}))(t)
	if !bytes.Equal(pcrSelection(a.numbers()), tpm2.Marshal(selection(a.numbers()))) {
		t.Error("another selection")
	}
	signature := must(decode[tpm2.TPMTSignature]("signature", must(tpmSignature(a.Signature))(t)))(t)
	if der := must(ecdsaDER(signature, &approver.PublicKey, by.digest(must(a.policy())(t))))(t); !bytes.Equal(der, a.Signature) {
		t.Error("another signature")
	}
	pcr := must(tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256))(t)
	if err := (tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: a.pcrDigest()}, Pcrs: selection(a.numbers())}).Update(pcr); err != nil {
		t.Fatal(err)
	}
	bound := must(tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256))(t)
	name := must(tpm2.ObjectName(public))(t)
	if err := (tpm2.PolicyAuthorize{KeySign: *name, PolicyRef: tpm2.TPM2BDigest{Buffer: by.ref()}}).Update(bound); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pcr.Hash().Digest, must(a.policy())(t)) || !bytes.Equal(bound.Hash().Digest, must(by.boundPolicy())(t)) {
		t.Error("another policy")
	}
	for _, c := range []struct{ ours, theirs uint32 }{
		{ccLoadExternal, uint32(tpm2.TPMCCLoadExternal)},
		{ccPolicyAuthorize, uint32(tpm2.TPMCCPolicyAuthorize)},
		{ccVerifySignature, uint32(tpm2.TPMCCVerifySignature)},
		{ccPolicyPCR, uint32(tpm2.TPMCCPolicyPCR)},
	} {
		if c.ours != c.theirs {
			t.Errorf("command %#x, expected %#x", c.ours, c.theirs)
		}
	}
}
