package courier

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	holder "github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

const recoveryCN = "recovery@acme:r1"

// recoveryRules are what docs/enrolment.md has a broker let a robot in recovery do.
const recoveryRules = `user recovery@acme:r1
topic write site/v1/acme/r1/connection
topic write site/v1/acme/r1/attestation/hello
topic write site/v1/acme/r1/attestation/log
topic write site/v1/acme/r1/attestation/evidence
topic read site/v1/acme/r1/attestation/challenge
topic read site/v1/acme/r1/attestation/result
topic read site/v1/acme/r1/attestation/approval
topic read site/v1/acme/r1/order
`

// boundWorld is a robot with a TPM whose key is bound to an approver's states.
type boundWorld struct {
	*world
	chip     *tpm.TPM
	key      *tpm.BoundKey
	approver crypto.Signer
}

func newBoundWorld(t *testing.T) *boundWorld {
	t.Helper()
	w := &boundWorld{world: newWorld(t)}
	w.broker.stop()
	w.broker.write("acl", "user station\ntopic readwrite site/#\nuser acme:r1\ntopic readwrite site/v1/acme/r1/#\n"+recoveryRules)
	w.broker.start()
	until(t, "the station is back", func() bool {
		w.station.Publish("site/back", 1, false, "x")
		return slices.ContainsFunc(w.station.messages(), func(a arrival) bool { return a.topic == "site/back" })
	})
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	w.approver = key
	text, err := order.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := w.config.Courier
	c.TPM, c.Key = newTPM(t), ""
	c.BoundKey = &config.BoundKey{
		Approver: filepath.Join(w.dir, "approver.pem"), Scope: "acme-r", Recovery: filepath.Join(w.broker.dir, "recovery.pem"),
	}
	if err := os.WriteFile(c.BoundKey.Approver, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.chip, err = tpm.Open(c.TPM); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.chip.Close() })
	by, err := approverOf(c.BoundKey)
	if err == nil {
		w.key, err = w.chip.Bound(by, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.broker.ca.issue("robot", "acme:r1", w.key.Public(), longest)
	w.broker.ca.issue("recovery", recoveryCN, w.chip.Device().Public(), longest)
	w.pcrs = []int{7, 14}
	return w
}

// approve signs what the PCRs hold now.
func (w *boundWorld) approve(key crypto.Signer, scope string) []byte {
	w.t.Helper()
	values, err := w.chip.ReadPCRs([]int{7, 14})
	var envelope []byte
	if err == nil {
		envelope, err = holder.SignApproval(key, scope, "test", time.Now(), values)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return envelope
}

// change puts the computer into a state that is not approved, as another kernel does.
func (w *boundWorld) change(what string) {
	w.t.Helper()
	if err := w.chip.Extend(14, sha256.Sum256([]byte(what))); err != nil {
		w.t.Fatal(err)
	}
}

// recovering says whether the last hello was by the robot's recovery.
func (w *boundWorld) recovering() bool {
	var h Hello
	return w.last(TopicHello, &h) && h.Header.Recovery
}

// TestBoundKeyFallsBackAndReturns: while the state is approved, the robot reports by its bound key. In another state the key refuses,
// and the robot attests by its recovery, says so, and reports nothing, whatever the verifier says. A new approval that comes over
// the network brings it back.
func TestBoundKeyFallsBackAndReturns(t *testing.T) {
	w := newBoundWorld(t)
	if _, err := KeepApproval(w.config.Courier, w.approve(w.approver, "acme-r")); err != nil {
		t.Fatal(err)
	}
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	w.with(func() {
		if err := w.evidence[0].Verify(w.key.Public()); err != nil {
			t.Error(err)
		}
	})
	if w.recovering() {
		t.Error("it says that it is in recovery")
	}
	w.change("another kernel")
	until(t, "recovery", w.recovering)
	until(t, "evidence of recovery", func() bool {
		ok := false
		w.with(func() {
			e := w.evidence[len(w.evidence)-1]
			ok = e.Verify(w.chip.Device().Public()) == nil && e.Claims.Recovery
		})
		return ok
	})
	until(t, "the guard is told", func() bool {
		c := w.claimed()
		return c.State == contract.SessionFailed && strings.HasPrefix(c.Detail, "recovery:")
	})
	var m struct {
		Header
		ConnectionState string `json:"connectionState"`
	}
	until(t, "whoever watches is told", func() bool { return w.last(TopicConnection, &m) && m.Recovery && m.ConnectionState == Online })
	// The fake verifier accepts any evidence, and the guard its result: still nothing goes out.
	before, states, hellos := w.taken("guard"), w.on(TopicState), w.on(TopicHello)
	w.guard.record(30)
	until(t, "it goes on to attest", func() bool { return w.on(TopicHello) > hellos+1 })
	if n := w.taken("guard"); n != before || w.on(TopicState) != states {
		t.Errorf("it reports in recovery: %d records, %d before", n, before)
	}
	if !w.noted("no approved state") || !w.noted(`"recovery":true`) {
		t.Error("the journal does not have it")
	}
	stranger, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	w.send(TopicApproval, w.approve(w.approver, "acme-s"), nil)
	w.send(TopicApproval, w.approve(stranger, "acme-r"), nil)
	w.send(TopicApproval, []byte("{}"), nil)
	until(t, "the wrong ones are refused", func() bool { return w.count("approval-refused") >= 3 })
	if w.last(TopicConnection, &m); !m.Recovery {
		t.Error("a wrong approval has brought it back")
	}
	w.send(TopicApproval, w.approve(w.approver, "acme-r"), nil)
	until(t, "it is back", func() bool { m.Recovery = false; return w.last(TopicConnection, &m) && !m.Recovery })
	w.settled(evidenceCount(60))
	w.check()
}

// TestUpdateBringsItsApproval: with the approval of what comes next beforehand, an update leads through no recovery, also over a
// power cut of the courier between the two.
func TestUpdateBringsItsApproval(t *testing.T) {
	w := newBoundWorld(t)
	first := w.approve(w.approver, "acme-r")
	values, err := w.chip.ReadPCRs([]int{7, 14})
	if err != nil {
		t.Fatal(err)
	}
	was, event := values[14], sha256.Sum256([]byte("release 2"))
	values[14] = sha256.Sum256(append(was[:], event[:]...))
	second, err := holder.SignApproval(w.approver, "acme-r", "release 2", time.Now(), values)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range [][]byte{first, second} {
		if _, err := KeepApproval(w.config.Courier, a); err != nil {
			t.Fatal(err)
		}
	}
	// Files that are no approval keep no other from counting, and are told once in a run, however often they are looked at.
	for _, name := range []string{"junk", "junk2"} {
		if err := os.WriteFile(filepath.Join(w.config.Courier.StateDir, approvalDir, name+approvalExt), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.guard.record(30)
	stop := w.run()
	w.settled(evidenceCount(30))
	stop()
	w.change("release 2")
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(60))
	if w.noted(`"recovery":true`) || !w.noted("junk") {
		t.Error("an update that was approved led through recovery, or junk went unmentioned")
	}
	if n := w.count("junk"); n != 2 {
		t.Errorf("junk is told %d times in two runs", n)
	}
	w.check()
}

// TestRecoveryAtTheBroker: whoever has the recovery's key gets no further with it at a broker that has the documented rules. The off
// run is the robot's own certificate, whose messages come through.
func TestRecoveryAtTheBroker(t *testing.T) {
	w := newBoundWorld(t)
	try := func(cert string, signer crypto.Signer, id string) (came, heard map[string]bool) {
		t.Helper()
		chain, err := chain(filepath.Join(w.broker.dir, cert+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		chain.PrivateKey = signer
		roots := x509.NewCertPool()
		roots.AddCert(w.broker.ca.cert)
		o := mqtt.NewClientOptions().AddBroker("ssl://" + w.broker.address()).SetClientID(id).SetAutoReconnect(false)
		o.SetTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*chain}, MinVersion: tls.VersionTLS13})
		messages := make(chan string, 64)
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { messages <- strings.TrimPrefix(m.Topic(), testBase) })
		c := mqtt.NewClient(o)
		if token := c.Connect(); !token.WaitTimeout(longest) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		defer c.Disconnect(100)
		came, heard = map[string]bool{}, map[string]bool{}
		if s := c.Subscribe("#", 1, nil); !s.WaitTimeout(longest) {
			t.Fatal("no answer")
		}
		// The challenge goes last: what comes before it has come by then.
		for _, topic := range []string{TopicAcknowledgement, TopicState, TopicEvent, TopicReceipt, TopicResult, TopicOrder, TopicApproval, TopicChallenge} {
			w.send(topic, []byte("bait"), nil)
		}
		for !heard[TopicChallenge] {
			select {
			case topic := <-messages:
				heard[topic] = true
			case <-time.After(longest):
				t.Fatal("the challenge does not come")
			}
		}
		from := len(w.station.messages())
		// The last one is the mark: it comes after all the others.
		for _, topic := range []string{TopicState, TopicEvent, TopicReceipt, TopicAcknowledgement, TopicOrder, TopicHello} {
			if p := c.Publish(testBase+topic, 1, false, []byte("attack "+id)); !p.WaitTimeout(longest) {
				t.Fatal("no answer")
			}
		}
		until(t, "the mark", func() bool {
			for _, m := range w.station.messages()[from:] {
				if string(m.payload) != "attack "+id {
					continue
				}
				came[strings.TrimPrefix(m.topic, testBase)] = true
			}
			return came[TopicHello]
		})
		return came, heard
	}
	if _, err := KeepApproval(w.config.Courier, w.approve(w.approver, "acme-r")); err != nil {
		t.Fatal(err)
	}
	id, err := openIdentity(w.config.Courier, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer id.close()
	came, heard := try("recovery", w.chip.Device(), "thief")
	for _, topic := range []string{TopicState, TopicEvent, TopicReceipt, TopicAcknowledgement, TopicOrder} {
		if came[topic] {
			t.Errorf("recovery publishes %s", topic)
		}
	}
	for _, topic := range []string{TopicAcknowledgement, TopicState, TopicEvent, TopicReceipt} {
		if heard[topic] {
			t.Errorf("recovery hears %s", topic)
		}
	}
	for _, topic := range down(true, true) {
		if !heard[topic] {
			t.Errorf("recovery does not hear %s", topic)
		}
	}
	came, heard = try("robot", id.key, "owner") // off
	if !came[TopicState] || !came[TopicEvent] || !heard[TopicAcknowledgement] {
		t.Errorf("off: the robot itself: came %v, heard %v: the test shows nothing", came, heard)
	}
}

// TestBoundFaultsAreNamed: what is wrong with the key's surroundings is no recovery, and is said.
func TestBoundFaultsAreNamed(t *testing.T) {
	w := newBoundWorld(t)
	c := w.config.Courier
	for name, f := range map[string]struct {
		spoil func(c *config.Courier)
		says  string
	}{
		"no approver":        {func(c *config.Courier) { c.BoundKey.Approver += "x" }, "courier.bound_key.approver"},
		"another approver":   {func(c *config.Courier) { c.BoundKey.Approver = c.CA }, "courier.bound_key.approver"},
		"no scope":           {func(c *config.Courier) { c.BoundKey.Scope = "" }, "scope"},
		"no TPM where it is": {func(c *config.Courier) { c.TPM = filepath.Join(w.dir, "none") }, "unavailable"},
	} {
		x, b := *c, *c.BoundKey
		x.BoundKey = &b
		f.spoil(&x)
		if id, err := openIdentity(&x, time.Now()); err == nil || !strings.Contains(err.Error(), f.says) {
			t.Errorf("%s: %+v, %v: expected %q", name, id, err, f.says)
		}
	}
	id, err := openIdentity(c, time.Now())
	if err != nil || id.recovery == "" || id.certificate != c.BoundKey.Recovery {
		t.Fatalf("nothing is approved: %+v, %v", id, err)
	}
	id.close()
	if _, err := KeepApproval(&config.Courier{}, nil); err == nil {
		t.Error("a key that is not bound got an approval")
	}
	if !errors.Is(w.key.Ready(), tpm.ErrState) {
		t.Error("the fault is not named")
	}
}

// TestRecoverySignsNothingElse: by its recovery a robot signs no token, no receipt and no checkpoint. The off run is the same robot
// without it, attested: each comes.
func TestRecoverySignsNothingElse(t *testing.T) {
	r := newTokenRig(t)
	if s, err := r.l.tokenState(); err != nil {
		t.Fatalf("off: %+v, %v", s, err)
	}
	id := r.l.identity.Load()
	r.l.identity.Store(&identity{key: id.key, keyID: id.keyID, tier: id.tier, recovery: "changed"})
	if _, err := r.l.tokenState(); err == nil || !strings.Contains(err.Error(), "recovery") {
		t.Errorf("a token: %v", err)
	}
	r.l.receipt([]byte("{}"), &contract.Receipt{})
	r.l.signReceipts()
	if len(r.l.unsigned) != 1 || len(r.l.jobs) != 0 {
		t.Errorf("a receipt is being signed: %d wait, %d jobs", len(r.l.unsigned), len(r.l.jobs))
	}
	r.l.session.recovery = "changed"
	now := r.l.clock.Boot()
	if r.l.session.attested(now) || r.l.session.state(now) != Failed {
		t.Error("it counts as attested")
	}
	r.l.head = contract.Head{BootID: r.l.welcome.BootID, EvidenceSeq: 3, Seq: 3, Digest: strings.Repeat("0", 64), Evidence: strings.Repeat("0", 64)}
	if r.l.checkpoint(now); len(r.l.jobs) != 0 {
		t.Error("a checkpoint is being signed")
	}
	r.l.session.recovery = ""
	r.l.identity.Store(id)
	r.l.checkpoint(now)
	r.l.signReceipts()
	if len(r.l.jobs) != 2 {
		t.Errorf("off: %d jobs, expected a checkpoint and a receipt: the test shows nothing", len(r.l.jobs))
	}
}
