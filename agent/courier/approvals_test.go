package courier

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	holder "github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// shelf is a folder of approvals without a TPM.
type shelf struct {
	t   *testing.T
	c   *config.Courier
	key crypto.Signer
	now int // the state that the PCRs hold
	err error
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	dir := t.TempDir()
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := order.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, key: key, now: -1, c: &config.Courier{
		StateDir: filepath.Join(dir, "state"), BoundKey: &config.BoundKey{Approver: filepath.Join(dir, "approver.pem"), Scope: "acme-r"},
	}}
	if err := os.WriteFile(s.c.BoundKey.Approver, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func stateOf(n int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, n)) }

// approve signs state n, issued at minute at.
func (s *shelf) approve(n, at int) []byte {
	s.t.Helper()
	issued := time.Date(2026, 11, 30, 0, at, 0, 0, time.UTC)
	envelope, err := holder.SignApproval(s.key, "acme-r", fmt.Sprint("state ", n), issued, map[int][sha256.Size]byte{14: stateOf(n)})
	if err != nil {
		s.t.Fatal(err)
	}
	return envelope
}

func (s *shelf) read([]int) (map[int][sha256.Size]byte, error) {
	return map[int][sha256.Size]byte{14: stateOf(s.now)}, s.err
}

func (s *shelf) keep(envelope []byte) (bool, error) {
	_, news, err := keep(s.c, envelope, s.read)
	return news, err
}

func (s *shelf) files() []os.DirEntry {
	s.t.Helper()
	list, err := os.ReadDir(filepath.Join(s.c.StateDir, approvalDir))
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// states are those that are kept.
func (s *shelf) states() map[int]bool {
	s.t.Helper()
	by, err := approverOf(s.c.BoundKey)
	if err != nil {
		s.t.Fatal(err)
	}
	all, _, err := readApprovals(filepath.Join(s.c.StateDir, approvalDir), by)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[int]bool{}
	for _, k := range all {
		for n := range 99 {
			if k.State.PCRs[14] == stateOf(n) {
				out[n] = true
			}
		}
	}
	return out
}

// twin is the same envelope with the signature's other form: (r, n-s) verifies as (r, s) does.
func twin(t *testing.T, envelope []byte) []byte {
	t.Helper()
	var e struct {
		PayloadType string              `json:"payloadType"`
		Payload     string              `json:"payload"`
		Signatures  []map[string]string `json:"signatures"`
	}
	var raw []byte
	var sig struct{ R, S *big.Int }
	err := json.Unmarshal(envelope, &e)
	if err == nil {
		err = json.Unmarshal([]byte(`"`+e.Signatures[0]["sig"]+`"`), &raw)
	}
	if err == nil {
		_, err = asn1.Unmarshal(raw, &sig)
	}
	if err != nil {
		t.Fatal(err)
	}
	sig.S.Sub(elliptic.P256().Params().N, sig.S)
	raw, err = asn1.Marshal(sig)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(raw)
	e.Signatures[0]["sig"] = strings.Trim(string(text), `"`)
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOneStateTakesOneFile: the bytes around an approval are nobody's word. Whoever has one encodes it anew as often as he likes; that
// pushes no other aside, fills no disk, and is not even written.
func TestOneStateTakesOneFile(t *testing.T) {
	s := newShelf(t)
	first, second := s.approve(1, 1), s.approve(2, 2)
	for _, a := range [][]byte{first, second} {
		if news, err := s.keep(a); err != nil || !news {
			t.Fatalf("%v, %v", news, err)
		}
	}
	before := s.files()
	for i := range 3 * tpm.MaxApprovals {
		var b bytes.Buffer
		envelope := second
		if i%2 == 1 {
			envelope = twin(t, second)
		}
		if err := json.Indent(&b, envelope, "", strings.Repeat(" ", i)); err != nil {
			t.Fatal(err)
		}
		if news, err := s.keep(b.Bytes()); err != nil || news {
			t.Fatalf("form %d: news %v, %v", i, news, err)
		}
	}
	after := s.files()
	if len(after) != 2 {
		t.Fatalf("%d files for two states", len(after))
	}
	for i := range after {
		was, _ := before[i].Info()
		is, _ := after[i].Info()
		if !os.SameFile(was, is) {
			t.Errorf("%s was written again", after[i].Name())
		}
	}
	if news, err := s.keep(s.approve(1, 9)); err != nil || !news || len(s.files()) != 2 {
		t.Errorf("signed anew, it is newer: %v, %v, %d files", news, err, len(s.files()))
	}
	if news, err := s.keep(first); err != nil || news {
		t.Errorf("the older one sets it back: %v, %v", news, err)
	}
	// Files that an older courier has named by their bytes count once, and go with the next one that is kept.
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(s.c.StateDir, approvalDir, fmt.Sprintf("%d%s", i, approvalExt)), append(bytes.Clone(second), bytes.Repeat([]byte(" "), i)...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.states(); !got[1] || !got[2] {
		t.Errorf("%v", got)
	}
	if _, err := s.keep(s.approve(3, 3)); err != nil || len(s.files()) != 3 {
		t.Errorf("%v, %d files", err, len(s.files()))
	}
}

// TestFolderOfApprovalsIsBounded: of more than sixteen states the newest are kept, and always the one that the computer is in.
func TestFolderOfApprovalsIsBounded(t *testing.T) {
	s := newShelf(t)
	s.now = 0
	for n := range 40 {
		if _, err := s.keep(s.approve(n, n)); err != nil {
			t.Fatal(err)
		}
	}
	got := s.states()
	if len(s.files()) != tpm.MaxApprovals || !got[0] || !got[39] || !got[25] || got[24] {
		t.Errorf("%d files, %v", len(s.files()), got)
	}
	if news, err := s.keep(s.approve(5, 5)); err == nil || news || s.states()[5] {
		t.Errorf("an older one: %v, %v", news, err)
	}
	s.err = errors.New("no answer")
	if news, err := s.keep(s.approve(41, 41)); err == nil || news || !s.states()[0] || len(s.files()) != tpm.MaxApprovals {
		t.Errorf("nobody knows which one counts: %v, %v", news, err)
	}
	s.err = nil
	for n := range 3 * maxApprovalFiles {
		if err := os.WriteFile(filepath.Join(s.c.StateDir, approvalDir, fmt.Sprintf("junk%d%s", n, approvalExt)), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.keep(s.approve(42, 42)); err != nil || len(s.files()) != maxApprovalFiles {
		t.Errorf("%v, %d files", err, len(s.files()))
	}
}

// TestOnlyTheCouriersUserKeepsApprovals: another user's file would be one that the courier cannot read.
func TestOnlyTheCouriersUserKeepsApprovals(t *testing.T) {
	s := newShelf(t)
	if _, err := KeepApproval(s.c, s.approve(1, 1)); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return // There is no other user to be.
	}
	if err := os.Chown(s.c.StateDir, 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := KeepApproval(s.c, s.approve(2, 2)); err == nil || !strings.Contains(err.Error(), "sudo -u") || len(s.files()) != 1 {
		t.Errorf("%v", err)
	}
}

// TestApprovalSentWhileOff: an approval that was published while the robot was off waits at the broker, retained, whichever client the
// robot is when it comes back; and the next time it comes, it costs no record.
func TestApprovalSentWhileOff(t *testing.T) {
	w := newBoundWorld(t)
	if token := w.station.Publish(testBase+TopicApproval, 1, true, w.approve(w.approver, "acme-r")); !token.WaitTimeout(longest) {
		t.Fatal("no answer")
	}
	w.guard.record(30)
	stop := w.run()
	w.settled(evidenceCount(30))
	// Its last hello may be the recovery's: the challenge for that one is answered by whoever the robot is when it comes.
	var m struct{ Header }
	if !w.last(TopicConnection, &m) || m.Recovery {
		t.Error("it is in recovery")
	}
	before := w.count(TopicApproval)
	stop()
	w.run()
	w.guard.record(30)
	w.settled(evidenceCount(60))
	if n := w.count(TopicApproval); n != before {
		t.Errorf("%d records about approvals, %d before it came again", n, before)
	}
	w.check()
}

// message is one from a broker.
type message struct {
	mqtt.Message
	topic    string
	retained bool
}

func (m message) Topic() string   { return m.topic }
func (m message) Payload() []byte { return []byte("x") }
func (m message) Retained() bool  { return m.retained }

// TestRetainedMessages: of what the broker retains only approvals are taken.
func TestRetainedMessages(t *testing.T) {
	for _, topic := range down(true, false) {
		for _, retained := range []bool{false, true} {
			l := &link{base: testBase, arrived: make(chan arrival, 1)}
			l.arrive(message{topic: testBase + topic, retained: retained})
			if want := !retained || topic == TopicApproval; (len(l.arrived) == 1) != want {
				t.Errorf("%s, retained %v: taken %v", topic, retained, !want)
			}
		}
	}
}

// TestNothingIsKeptForARecovery: its session ends with its connection, the robot's own does not.
func TestNothingIsKeptForARecovery(t *testing.T) {
	r := newTokenRig(t)
	for _, recovery := range []string{"", "changed"} {
		r.l.identity.Store(&identity{recovery: recovery})
		n, err := r.l.newLink(testRobot)
		if err != nil {
			t.Fatal(err)
		}
		name, _, clean := n.who()
		if o := n.options(t.Context(), name, clean, nil, nil); o.CleanSession != (recovery != "") || o.ClientID != ClientID(testRobot, recovery != "") {
			t.Errorf("recovery %q: clean %v, %s", recovery, o.CleanSession, o.ClientID)
		}
	}
}

// TestBrokerRefusesATopic: without approvals over the network the robot goes on, and says so; without any other topic it does not.
func TestBrokerRefusesATopic(t *testing.T) {
	for _, topic := range down(true, false) {
		near, far := net.Pipe()
		server := make(chan error, 1)
		go func() {
			_, err := packets.ReadPacket(far)
			if err == nil {
				err = packets.NewControlPacket(packets.Connack).Write(far)
			}
			var p packets.ControlPacket
			if err == nil {
				p, err = packets.ReadPacket(far)
			}
			if s, ok := p.(*packets.SubscribePacket); ok && err == nil {
				ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
				ack.MessageID = s.MessageID
				for _, name := range s.Topics {
					code := byte(0)
					if name == testBase+topic {
						code = 0x80
					}
					ack.ReturnCodes = append(ack.ReturnCodes, code)
				}
				err = ack.Write(far)
			}
			server <- err
		}()
		o := mqtt.NewClientOptions().AddBroker("tcp://x:1").SetAutoReconnect(false)
		o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return near, nil })
		c := mqtt.NewClient(o)
		if token := c.Connect(); !token.WaitTimeout(longest) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		filters := map[string]byte{}
		for _, name := range down(true, false) {
			filters[testBase+name] = 1
		}
		token := c.SubscribeMultiple(filters, nil)
		if !token.WaitTimeout(longest) {
			t.Fatal("no answer")
		}
		if err := <-server; err != nil {
			t.Fatal(err)
		}
		deaf, refused := (&link{base: testBase}).granted(token)
		if topic == TopicApproval && (refused != nil || deaf != testBase+topic) || topic != TopicApproval && reasonOf(refused) != ReasonNotAuthorised {
			t.Errorf("%s: %q, %v", topic, deaf, refused)
		}
		_ = far.Close()
		c.Disconnect(0)
	}
	r := newTokenRig(t)
	name := testBase + TopicApproval
	r.l.onNet(t.Context(), netEvent{deaf: &name})
	if !strings.Contains(r.l.boundNoted["approval topic"], name) {
		t.Errorf("%v", r.l.boundNoted)
	}
}

// TestCertificateThatDoesNotFit: a robot whose own certificate is missing, another key's or run out goes by its recovery if that has a good
// one, says why, and returns; where neither is good, it stays as it is.
func TestCertificateThatDoesNotFit(t *testing.T) {
	w := newBoundWorld(t)
	c := w.config.Courier
	if _, err := KeepApproval(c, w.approve(w.approver, "acme-r")); err != nil {
		t.Fatal(err)
	}
	good, err := openIdentity(c, time.Now())
	if err != nil || good.recovery != "" {
		t.Fatalf("off: %+v, %v", good, err)
	}
	defer good.close()
	for name, spoil := range map[string]func(){
		"missing":       func() { _ = os.Remove(c.Certificate) },
		"another key's": func() { w.broker.ca.issue("robot", "acme:r1", w.approver.Public(), longest) },
		"run out":       func() { w.broker.ca.issue("robot", "acme:r1", w.key.Public(), -time.Minute) },
	} {
		spoil()
		id, err := good.bind(c, time.Now())
		if err != nil || !strings.Contains(id.recovery, "certificate") || !id.misfit || id.certificate != c.BoundKey.Recovery {
			t.Errorf("%s: %+v, %v", name, id, err)
			continue
		}
		x, b := *c, *c.BoundKey
		x.BoundKey, b.Recovery = &b, filepath.Join(w.dir, "none")
		if both, err := good.bind(&x, time.Now()); err != nil || both.recovery != "" {
			t.Errorf("%s, and the recovery's as well: %+v, %v", name, both, err)
		}
		if both, err := id.bind(&x, time.Now()); err == nil {
			t.Errorf("%s: it turns to a key without a certificate: %+v", name, both)
		}
		w.broker.ca.issue("robot", "acme:r1", w.key.Public(), longest)
		if back, err := id.bind(c, time.Now()); err != nil || back.recovery != "" {
			t.Errorf("%s: it does not return: %+v, %v", name, back, err)
		}
	}
	// A key that has refused is tried before it is believed again.
	good.refused.Store(true)
	if id, err := good.bind(c, time.Now()); err != nil || id.recovery != "" || good.refused.Load() {
		t.Errorf("%+v, %v", id, err)
	}
}

// TestDiskThatDoesNotAnswer: what cannot be read may be the approval that counts, so a robot that has an identity keeps it, until its key
// refuses; one that starts has its recovery, and says both.
func TestDiskThatDoesNotAnswer(t *testing.T) {
	w := newBoundWorld(t)
	c := w.config.Courier
	if _, err := KeepApproval(c, w.approve(w.approver, "acme-r")); err != nil {
		t.Fatal(err)
	}
	id, err := openIdentity(c, time.Now())
	if err != nil || id.recovery != "" {
		t.Fatalf("%+v, %v", id, err)
	}
	defer id.close()
	// A folder cannot be read as a file, not even by root.
	dir := filepath.Join(c.StateDir, approvalDir)
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	path := filepath.Join(dir, names[0].Name())
	if err := errors.Join(os.Rename(path, path+".away"), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if next, err := id.bind(c, time.Now()); err == nil {
		t.Errorf("it turns to %+v", next)
	}
	start, err := openIdentity(c, time.Now())
	if err != nil || !strings.Contains(start.recovery, names[0].Name()) {
		t.Fatalf("%+v, %v", start, err)
	}
	start.close()
	id.refused.Store(true)
	if next, err := id.bind(c, time.Now()); err != nil || next.recovery == "" {
		t.Errorf("its key has refused: %+v, %v", next, err)
	}
	if err := errors.Join(os.Remove(path), os.Rename(path+".away", path)); err != nil {
		t.Fatal(err)
	}
	if next, err := id.bind(c, time.Now()); err != nil || next.recovery != "" {
		t.Errorf("off: %+v, %v", next, err)
	}
}

// TestWorkerIsBusy: an approval waits for the worker, and so does the look after a refusal.
func TestWorkerIsBusy(t *testing.T) {
	r := newTokenRig(t)
	s := newShelf(t)
	r.l.c.cfg.BoundKey, r.l.c.cfg.StateDir = s.c.BoundKey, s.c.StateDir
	ctx := context.Background()
	for r.l.try(func() func() { return func() {} }) {
	}
	was := &identity{bound: &tpm.BoundKey{}}
	was.lost.Store(true)
	r.l.identity.Store(was)
	envelope := s.approve(1, 1)
	r.l.approval(envelope)
	r.l.approval(envelope)
	r.l.keepApproval(ctx)
	r.l.look(ctx)
	if len(r.l.approvals) != 1 || r.l.keeping || !was.lost.Load() || r.l.looking {
		t.Errorf("%d wait, keeping %v, lost %v, looking %v", len(r.l.approvals), r.l.keeping, was.lost.Load(), r.l.looking)
	}
	for len(r.l.jobs) > 0 {
		<-r.l.jobs
	}
	r.l.keepApproval(ctx)
	(<-r.l.jobs)()
	if len(r.l.approvals) != 0 || len(s.files()) != 1 {
		t.Errorf("%d wait, %d files", len(r.l.approvals), len(s.files()))
	}
}

// TestRecoveryCarriesNoAcceptance: a result that accepts does not reach the guard while the robot is in recovery, whoever has signed it;
// one that refuses does. The off run is the robot without recovery.
func TestRecoveryCarriesNoAcceptance(t *testing.T) {
	r := newTokenRig(t)
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	result := func(verdict order.Verdict) []byte {
		res := &order.AttestationResult{Verdict: verdict, Tier: order.TierTPM, EvidenceSHA256: strings.Repeat("0", 64)}
		if verdict == order.VerdictRefused {
			res.Reasons = []string{"recovery"}
		}
		now := floor(time.Now())
		envelope, err := order.Sign(&order.Order{
			Kind: order.KindAttestationResult, ID: order.NewID(), Audience: []string{testRobot}, NotBefore: now, NotAfter: now.Add(time.Hour), Reason: "appraised",
			Binding:           order.Binding{BootID: r.l.welcome.BootID, Nonce: strings.Repeat("0", 32)},
			AttestationResult: res,
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		return envelope
	}
	carried := func(recovery string, verdict order.Verdict) bool {
		r.l.session.recovery = recovery
		r.l.orders = []arrival{{TopicResult, result(verdict)}}
		clear(r.l.waiting)
		r.l.toGuard(r.l.clock.Boot())
		for len(r.l.frames) > 0 {
			if f := <-r.l.frames; f.Type == contract.FrameOrder {
				return true
			}
		}
		return false
	}
	if carried("changed", order.VerdictAccepted) {
		t.Error("a result that accepts")
	}
	if !carried("changed", order.VerdictRefused) {
		t.Error("not even one that refuses")
	}
	if !carried("", order.VerdictAccepted) {
		t.Error("off: the test shows nothing")
	}
}
