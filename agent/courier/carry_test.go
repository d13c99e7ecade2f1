package courier

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
)

// on counts the messages on the robot's topic.
func (w *world) on(topic string) (n int) {
	for _, m := range w.station.messages() {
		if m.topic == testBase+topic {
			n++
		}
	}
	return n
}

// last is the data of the last message on a topic.
func (w *world) last(topic string, into any) bool {
	for _, m := range slices.Backward(w.station.messages()) {
		if m.topic == testBase+topic {
			var e struct{ Data json.RawMessage }
			return json.Unmarshal(m.payload, &e) == nil && json.Unmarshal(e.Data, into) == nil
		}
	}
	return false
}

// silentSo fails if anything but the attestation and the connection went up.
func (w *world) silentSo() {
	w.t.Helper()
	for _, topic := range []string{TopicState, TopicEvent, TopicReceipt} {
		if n := w.on(topic); n != 0 {
			w.t.Errorf("%d messages on %s", n, topic)
		}
	}
}

// claimed is the courier's last claim to the guard.
func (w *world) claimed() (s contract.Session) {
	if got := w.guard.got(contract.FrameSession); len(got) > 0 {
		_ = json.Unmarshal(got[len(got)-1], &s)
	}
	return s
}

func TestNothingIsReportedBeforeAcceptance(t *testing.T) {
	w := newWorld(t)
	w.silent = true
	w.guard.record(50)
	w.run()
	until(t, "hellos", func() bool { return w.on(TopicHello) > 0 })
	until(t, "the claim", func() bool { return w.claimed().State == contract.SessionAttesting && w.claimed().Connected })
	w.send(TopicOrder, w.stop(), nil)
	until(t, "the order at the guard", func() bool { return len(w.guard.got(contract.FrameOrder)) == 1 })
	w.silentSo()
	before := len(w.guard.got(contract.FrameOrder))
	w.send(TopicResult, w.accept(w.people.operator, w.guard.welcome.Nonce), nil)         // no verifier
	w.send(TopicResult, w.accept(w.people.verifier, order.NewID()), nil)                 // another run of the guard
	w.send(TopicResult, []byte(`{"payloadType":"x","payload":"","signatures":[]}`), nil) // nothing
	until(t, "the guard has judged them", func() bool { return len(w.guard.got(contract.FrameOrder)) == before+3 && w.noted(TopicResult) })
	time.Sleep(300 * time.Millisecond)
	w.silentSo()
	w.with(func() { w.silent = false })
	w.send(TopicResult, w.accept(w.people.verifier, w.guard.welcome.Nonce), nil)
	w.settled(evidenceCount(50))
	until(t, "state and receipt", func() bool { return w.on(TopicState) > 0 && w.on(TopicReceipt) == 1 })
	w.check()
}

// accept signs a result that accepts this robot in this boot.
func (w *world) accept(key crypto.Signer, nonce string) []byte {
	w.t.Helper()
	envelope, err := order.Sign(&order.Order{
		Kind: order.KindAttestationResult, ID: order.NewID(), Audience: []string{testRobot}, NotBefore: floor(time.Now().Add(-time.Minute)),
		NotAfter: floor(time.Now().Add(time.Hour)), Binding: order.Binding{BootID: w.guard.welcome.BootID, Nonce: nonce}, Reason: "appraised",
		AttestationResult: &order.AttestationResult{Verdict: order.VerdictAccepted, Tier: order.TierSoftwareKey, EvidenceSHA256: strings.Repeat("00", 32)},
	}, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return envelope
}

// stop signs a stop.
func (w *world) stop() []byte {
	w.t.Helper()
	envelope, err := order.Sign(&order.Order{
		Kind: order.KindStop, ID: order.NewID(), Audience: []string{testRobot}, NotBefore: floor(time.Now().Add(-time.Minute)),
		NotAfter: floor(time.Now().Add(time.Hour)), Reason: "test", Stop: &order.Stop{Category: 1},
	}, w.people.operator)
	if err != nil {
		w.t.Fatal(err)
	}
	return envelope
}

func TestRefusedRobotIsSilent(t *testing.T) {
	w := newWorld(t)
	w.verdict = order.VerdictRefused
	w.guard.record(50)
	w.run()
	until(t, "the claim of failure", func() bool { return w.claimed().State == contract.SessionFailed })
	if d := w.claimed().Detail; !strings.Contains(d, "agent-digest") {
		t.Errorf("detail %q", d)
	}
	until(t, "another attempt", func() bool { return w.on(TopicEvidence) >= 2 })
	w.silentSo()
	w.with(func() { w.verdict = order.VerdictAccepted })
	w.settled(evidenceCount(50))
}

func TestReportingEndsWithTheResult(t *testing.T) {
	w := newWorld(t)
	w.life = 2 * time.Second
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	until(t, "a renewal", func() bool { return w.on(TopicEvidence) >= 2 })
	w.with(func() { w.silent = true })
	until(t, "the end", func() bool { return w.noted(`"state":"expired"`) })
	events := w.on(TopicEvent)
	w.guard.record(30)
	time.Sleep(500 * time.Millisecond)
	if n := w.on(TopicEvent); n != events {
		t.Errorf("%d messages after the result ran out", n-events)
	}
	w.with(func() { w.silent, w.life = false, time.Hour })
	w.settled(evidenceCount(30) + evidenceCount(30))
}

func TestReportUnattested(t *testing.T) {
	w := newWorld(t)
	w.silent, w.guard.early = true, true
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	var e Event
	if !w.last(TopicEvent, &e) || e.Attested || e.Tier != "software-key" || w.on(TopicState) > 0 {
		t.Errorf("attested %v, tier %q, %d states", e.Attested, e.Tier, w.on(TopicState))
	}
	w.guard.set(func() { w.guard.early = false })
	// The courier hears of a new policy with the next status; what is on its way until then is not meant.
	quiet := w.on(TopicEvent)
	until(t, "an end of reports", func() bool {
		w.guard.record(3)
		time.Sleep(1500 * time.Millisecond) // longer than from one status to the next
		now := w.on(TopicEvent)
		still := now == quiet
		quiet = now
		return still
	})
}

// TestAnotherGuardHasToBeAttestedAgain restarts the guard: results are bound to its nonce.
func TestAnotherGuardHasToBeAttestedAgain(t *testing.T) {
	w := newWorld(t)
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	n := w.on(TopicEvidence)
	w.guard.again(w.people)
	until(t, "another attestation", func() bool { return w.on(TopicEvidence) > n })
	w.guard.record(30)
	w.settled(evidenceCount(30) + evidenceCount(30))
}

func TestOrdersAreCarriedUnreadAndAnswered(t *testing.T) {
	w := newWorld(t)
	w.guard.record(3)
	w.run()
	until(t, "state", func() bool { return w.on(TopicState) > 0 })
	stop := w.stop()
	large := append([]byte(`{"payload":"`), []byte(strings.Repeat("A", 300<<10)+`"}`)...)
	for _, o := range [][]byte{stop, []byte("no order at all \x00\xff"), large} {
		w.send(TopicOrder, o, nil)
	}
	until(t, "receipts", func() bool { return w.on(TopicReceipt) == 3 })
	got := w.guard.got(contract.FrameOrder)
	n := len(got)
	for i, want := range [][]byte{stop, []byte("no order at all \x00\xff"), large} {
		if string(got[n-3+i]) != string(want) {
			t.Errorf("order %d was changed on its way", i)
		}
	}
	device := w.deviceKey()
	accepted := 0
	for _, m := range w.station.messages() {
		if m.topic != testBase+TopicReceipt {
			continue
		}
		var e struct{ Data ReceiptMessage }
		if err := json.Unmarshal(m.payload, &e); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(ReceiptSigned(testRobot, w.boot, e.Data.Receipt))
		if !ecdsa.VerifyASN1(device, sum[:], e.Data.Signature) {
			t.Error("the signature of a receipt is wrong")
		}
		other := sha256.Sum256(ReceiptSigned("acme/r2", w.boot, e.Data.Receipt))
		if ecdsa.VerifyASN1(device, other[:], e.Data.Signature) {
			t.Error("the signature would do for another robot")
		}
		var r contract.Receipt
		if err := json.Unmarshal(e.Data.Receipt, &r); err != nil || r.Accepted != e.Data.Outcome.Accepted {
			t.Errorf("%v %+v", err, r)
		}
		if r.Accepted {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d orders accepted, expected 1", accepted)
	}
	w.check()
}

// deviceKey is the public half of the software key.
func (w *world) deviceKey() *ecdsa.PublicKey {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.config.Courier.StateDir, softwareKey))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := order.ParsePrivateKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return key.Public().(*ecdsa.PublicKey)
}

func TestGuardIsBusyMuteOrGone(t *testing.T) {
	w := newWorld(t)
	w.guard.record(3)
	w.run()
	until(t, "state", func() bool { return w.on(TopicState) > 0 })
	w.guard.set(func() { w.guard.busy = true })
	w.send(TopicOrder, w.stop(), nil)
	until(t, "attempts", func() bool { return len(w.guard.got(contract.FrameOrder)) >= 3 })
	w.guard.set(func() { w.guard.busy = false })
	until(t, "the receipt", func() bool { return w.on(TopicReceipt) == 1 })
	w.guard.close()
	until(t, "the loss of the guard", func() bool {
		var s State
		return w.last(TopicState, &s) && s.Enforcement == "unknown" && string(s.Guard) == "null"
	})
	w.send(TopicOrder, w.stop(), nil)
	w.guard.reopen()
	until(t, "the second receipt", func() bool { return w.on(TopicReceipt) == 2 })
	w.check()
}

func TestForgedAcknowledgementsMoveNothing(t *testing.T) {
	w := newWorld(t)
	w.deaf = true
	w.guard.record(30)
	w.run()
	until(t, "records", func() bool { return w.taken("guard") >= evidenceCount(30) })
	// One after the other: of several that wait, only the newest is carried.
	judged := func(n int) {
		until(t, "the guard has judged it", func() bool { return len(w.guard.got(contract.FrameAcknowledged)) == n })
	}
	ack := func(key crypto.Signer, change func(a *order.Acknowledgement)) {
		n := len(w.guard.got(contract.FrameAcknowledged))
		defer func() { judged(n + 1) }()
		w.with(func() {
			boot := w.guard.welcome.BootID
			value, list := w.chain["guard "+boot], w.records["guard "+boot]
			a := &order.Acknowledgement{Robot: testRobot, Log: "guard", BootID: boot, Seq: list[len(list)-1].Seq, Digest: hex.EncodeToString(value[:])}
			change(a)
			doc, err := a.Encode()
			if err != nil {
				t.Fatal(err)
			}
			envelope, err := order.SignDocument(order.AcknowledgementType, doc, key)
			w.send(TopicAcknowledgement, envelope, err)
		})
	}
	ack(w.people.verifier, func(*order.Acknowledgement) {})
	ack(w.people.consumer, func(a *order.Acknowledgement) { a.Robot = "acme/r2" })
	ack(w.people.consumer, func(a *order.Acknowledgement) { a.Digest = strings.Repeat("11", 32) })
	ack(w.people.consumer, func(a *order.Acknowledgement) { a.Log = "other" })
	ack(w.people.consumer, func(a *order.Acknowledgement) { a.Seq += 1000 })
	w.send(TopicAcknowledgement, []byte("{}"), nil)
	judged(6)
	until(t, "repetitions", func() (again bool) {
		w.with(func() { again = w.again >= evidenceCount(30) })
		return again
	})
	if c, err := loadCursor(w.config.Courier.StateDir); err != nil || len(c.Marks["guard"]) != 0 {
		t.Errorf("%v, %+v", err, c.Marks)
	}
	until(t, "the fork is recorded", func() bool { return w.noted("the consumer has acknowledged another record") })
	moved := func() bool {
		c, _ := loadCursor(w.config.Courier.StateDir)
		return len(c.Marks["guard"]) == 1
	}
	// A consumer says again what it has to a robot that sends again: the first answer may come while the courier reads anew.
	for range 10 {
		var before int
		w.with(func() { before = w.again })
		ack(w.people.consumer, func(*order.Acknowledgement) {})
		until(t, "the cursor, or a repetition", func() (again bool) {
			w.with(func() { again = w.again > before })
			return again || moved()
		})
		if moved() {
			return
		}
	}
	t.Error("genuine acknowledgements did not move the cursor")
}

func TestFloodFromTheNetwork(t *testing.T) {
	w := newWorld(t)
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	before := len(w.guard.got(contract.FrameOrder))
	for i := range 300 {
		for _, topic := range down(true, false) {
			w.send(topic, []byte(strings.Repeat("x", 1+i)), nil)
		}
	}
	w.guard.record(300)
	w.settled(evidenceCount(30) + evidenceCount(300))
	if n := len(w.guard.got(contract.FrameOrder)) - before; n > 600 {
		t.Errorf("%d orders", n)
	}
	w.guard.set(func() {
		if w.guard.dials > 2 {
			t.Errorf("the guard was called %d times: it threw the courier out", w.guard.dials)
		}
	})
}

func TestLossIsTold(t *testing.T) {
	w := newWorld(t)
	w.guard.record(30)
	// The journal's first segment goes before anybody has read it.
	w.guard.rotate()
	if err := os.Remove(filepath.Join(w.guard.welcome.Journal, "0000000000000001.seg")); err != nil {
		t.Fatal(err)
	}
	w.guard.record(30)
	w.run()
	until(t, "the loss", func() (told bool) {
		w.with(func() {
			for key, list := range w.records {
				for _, r := range list {
					var g Gap
					if strings.HasPrefix(key, "courier ") && journal.Kind(r.Kind) == KindGap && json.Unmarshal(r.Payload, &g) == nil {
						told = g.Log == "guard" && g.BootID == w.guard.welcome.BootID && g.First == 1 && g.Last >= 30
					}
				}
			}
		})
		return told
	})
	until(t, "what came after", func() bool {
		for _, m := range w.station.messages() {
			if m.topic == testBase+TopicEvent && strings.Contains(string(m.payload), `"prev":"`+strings.Repeat("0", 64)+`"`) {
				return true
			}
		}
		return false
	})
	w.check()
}

func TestCheckpointsVouchForTheGuardsJournal(t *testing.T) {
	w := newWorld(t)
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	until(t, "a checkpoint", func() bool { return len(w.guard.got(contract.FrameCheckpoint)) > 0 })
	var c contract.Checkpoint
	got := w.guard.got(contract.FrameCheckpoint)
	if err := (contract.Frame{Type: contract.FrameCheckpoint, Body: got[len(got)-1]}).Into(&c); err != nil {
		t.Fatal(err)
	}
	digest, _ := hex.DecodeString(c.Digest)
	evidence, _ := hex.DecodeString(c.Evidence)
	sum := sha256.Sum256(checkpointSigned("guard", w.boot, c.Seq, digest, evidence))
	if !ecdsa.VerifyASN1(w.deviceKey(), sum[:], c.Signature) {
		t.Error("the signature is wrong")
	}
	until(t, "the consumer has it", func() (has bool) {
		w.with(func() {
			for key, list := range w.records {
				for _, r := range list {
					has = has || strings.HasPrefix(key, "courier ") && journal.Kind(r.Kind) == KindCheckpoint
				}
			}
		})
		return has
	})
}

func TestGoodbyeAndLastWill(t *testing.T) {
	w := newWorld(t)
	stop := w.run()
	state := func() string {
		var c Connection
		w.last(TopicConnection, &c)
		return c.ConnectionState
	}
	until(t, "ONLINE", func() bool { return state() == Online })
	stop()
	until(t, "OFFLINE", func() bool { return state() == Offline })
	cmd := w.spawn()
	until(t, "ONLINE again", func() bool { return state() == Online })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	until(t, "CONNECTIONBROKEN", func() bool { return state() == Broken })
	w.check()
}

func TestMetricsAndHealth(t *testing.T) {
	w := newWorld(t)
	w.config.Courier.MetricsSocket = filepath.Join(w.dir, "m.sock")
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", w.config.Courier.MetricsSocket)
	}}
	get := func(path string) string {
		r, err := (&http.Client{Transport: transport}).Get("http://courier" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}
	if got := get("/health"); got != "ok\n" {
		t.Errorf("health %q", got)
	}
	got := get("/metrics")
	for _, line := range []string{
		"robowarden_courier_broker_connected 1\n", "robowarden_courier_guard_connected 1\n",
		`robowarden_courier_attestation{state="attested"} 1` + "\n", "robowarden_courier_forks_total 0\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	w.broker.stop()
	until(t, "the metrics say why", func() bool {
		return strings.Contains(get("/metrics"), `robowarden_courier_broker_down{reason="refused"} 1`) || strings.Contains(get("/metrics"), `robowarden_courier_broker_down{reason="closed"} 1`)
	})
	if got := get("/health"); got != "ok\n" {
		t.Errorf("health without a broker %q", got)
	}
}

func TestEvidenceFallsOnTheGuardsWelcome(t *testing.T) {
	w := newWorld(t)
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	w.with(func() {
		e := w.evidence[0]
		c := e.Claims
		if err := e.Verify(w.deviceKey()); err != nil {
			t.Error(err)
		}
		if c.Robot != testRobot || c.BootID != w.guard.welcome.BootID || c.GuardNonce != w.guard.welcome.Nonce || c.Tier != order.TierSoftwareKey ||
			"sha256:"+c.Policy.SHA256 != w.guard.welcome.Policy || c.Agent.SHA256 == "" || c.Journal.Seq == 0 || e.Quote != nil {
			t.Errorf("%+v", c)
		}
		if boot, _ := evidencelog.ParseBoot(c.BootID); boot != w.boot {
			t.Error("another boot")
		}
	})
}
