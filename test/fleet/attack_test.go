package fleet

import (
	"bytes"
	"crypto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/broker"
)

// field is a robot whose courier reaches its broker over a proxy that the attacker runs.
type field struct {
	b *broker.Broker
	p *broker.Proxy
	r *robot
	d *desk
	c *process
}

func newField(t *testing.T, strict bool) *field {
	t.Helper()
	f := &field{b: startBroker(t)}
	f.p = broker.StartProxy(t, f.b, seed(t))
	f.r = newRobot(t, f.b)
	id, _ := bootID(t)
	f.r.journalIn(t, id)
	f.r.write(t, 200)
	f.d = openDesk(t, f.r)
	f.d.strict = strict
	f.c = startCourier(t, f.r, f.p.URL())
	return f
}

func (f *field) topic(name string) string { return prefix + "/v1/" + robotID + "/" + name }

// inject sends the courier a message that no station sent, once it is connected.
func (f *field) inject(t *testing.T, name string, payload []byte) {
	t.Helper()
	if !await(t, "a courier behind the proxy", 20*time.Second, func() bool {
		return f.p.Inject(broker.CommonName(robotID), f.topic(name), payload) > 0
	}) {
		t.Fatal("nobody to inject to")
	}
}

// ack signs an acknowledgement of everything that is in the journal.
func (f *field) ack(t *testing.T, key crypto.Signer, change func(*order.Acknowledgement)) []byte {
	t.Helper()
	list := evidence(t, f.r.path("journal"), "guard")
	last := list[len(list)-1]
	a := order.Acknowledgement{Robot: robotID, Log: "guard", BootID: uuid(last.boot), Seq: last.seq, Digest: fleet.Digest(last.digest).String()}
	if change != nil {
		change(&a)
	}
	return must(order.SignDocument(order.AcknowledgementType, must(a.Encode())(t), key))(t)
}

// TestForgedAcknowledgements makes the robot believe that everything is kept. If it did, a consumer that comes later would
// never get the records.
func TestForgedAcknowledgements(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]struct {
		forge  func(t *testing.T, f *field) []byte
		reason string
		lost   bool
	}{
		"off: the consumer's own": {func(t *testing.T, f *field) []byte { return f.ack(t, f.r.consumer, nil) }, "accepted", true},
		"by a stranger":           {func(t *testing.T, f *field) []byte { return f.ack(t, key(t, order.Ed25519), nil) }, string(order.UnknownKey), false},
		"by a verifier":           {func(t *testing.T, f *field) []byte { return f.ack(t, f.r.verifier, nil) }, string(order.WrongRole), false},
		"by the robot itself":     {func(t *testing.T, f *field) []byte { return f.ack(t, f.r.device, nil) }, string(order.UnknownKey), false},
		"of another robot": {func(t *testing.T, f *field) []byte {
			return f.ack(t, f.r.consumer, func(a *order.Acknowledgement) { a.Robot = "acme/runner-2" })
		}, "other-robot", false},
		"of another chain": {func(t *testing.T, f *field) []byte {
			return f.ack(t, f.r.consumer, func(a *order.Acknowledgement) { a.Digest = strings.Repeat("0", 64) })
		}, "accepted", false},
		"of records to come": {func(t *testing.T, f *field) []byte {
			return f.ack(t, f.r.consumer, func(a *order.Acknowledgement) { a.Seq = order.MaxSequence })
		}, "accepted", false},
		"of another boot": {func(t *testing.T, f *field) []byte {
			return f.ack(t, f.r.consumer, func(a *order.Acknowledgement) { a.BootID = "01020304-0000-4000-8000-000000000000" })
		}, "accepted", false},
		"of another log": {func(t *testing.T, f *field) []byte {
			return f.ack(t, f.r.consumer, func(a *order.Acknowledgement) { a.Log = "steward" })
		}, "accepted", false},
		"changed on its way": {func(t *testing.T, f *field) []byte {
			e := f.ack(t, f.r.consumer, nil)
			at := strings.Index(string(e), `"payload":"`) + len(`"payload":"`) + 20
			if e[at]++; e[at] == 'z'+1 || e[at] == 'Z'+1 || e[at] == '9'+1 {
				e[at] = 'A'
			}
			return e
		}, string(order.BadSignature), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, false)
			forged := a.forge(t, f)
			list := evidence(t, f.r.path("journal"), "guard")
			last := []byte(fleet.Digest(list[len(list)-1].digest).String())
			var sent atomic.Bool
			f.p.Watch(func(up bool, _ string, payload []byte) []byte {
				if up && bytes.Contains(payload, last) {
					sent.Store(true)
				}
				return payload
			})
			f.c.start()
			if !await(t, "the journal's records at the broker", 20*time.Second, sent.Load) {
				t.Fatal("the courier does not send its journal")
			}
			if !await(t, "the guard's answer", 20*time.Second, func() bool {
				f.inject(t, "acknowledgement", forged)
				time.Sleep(100 * time.Millisecond) // the pace of the attacker
				return f.d.saidSo(a.reason) > 0
			}) {
				t.Errorf("the guard said %v: expected %q", f.d.said, a.reason)
			}
			s := newStation(t, f.b, f.r, f.b.URL())
			s.joined(t)
			f.p.Cut() // after a new connection, a courier begins behind what it takes for acknowledged
			came := await(t, "the records that nobody has", 10*time.Second, func() bool { return s.count("guard") >= 200 })
			if came == a.lost {
				t.Errorf("%d records came: expected loss %t", s.count("guard"), a.lost)
			}
			if !a.lost {
				arrived(t, s, "guard", f.r.path("journal"))
			}
		})
	}
}

// TestForgedResults has a courier that must keep silent until the robot is attested, and a broker that would like it to talk.
func TestForgedResults(t *testing.T) {
	t.Parallel()
	result := func(t *testing.T, key crypto.Signer, change func(*order.Order)) []byte {
		t.Helper()
		_, boot := bootID(t)
		begin := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
		o := &order.Order{
			Kind: order.KindAttestationResult, ID: order.NewID(), Audience: []string{robotID}, NotBefore: begin, NotAfter: begin.Add(time.Hour),
			Reason: "a result of a test", Binding: order.Binding{BootID: boot, Nonce: guardNonce},
			AttestationResult: &order.AttestationResult{Verdict: "accepted", Tier: "software-key", EvidenceSHA256: strings.Repeat("ab", 32)},
		}
		if change != nil {
			change(o)
		}
		return must(order.Sign(o, key))(t)
	}
	for name, a := range map[string]struct {
		forge  func(t *testing.T, f *field) []byte
		reason order.Reason
		talks  bool
	}{
		"off: the verifier's own": {func(t *testing.T, f *field) []byte { return result(t, f.r.verifier, nil) }, "accepted", true},
		"by a stranger":           {func(t *testing.T, _ *field) []byte { return result(t, key(t, order.Ed25519), nil) }, order.UnknownKey, false},
		"by a consumer":           {func(t *testing.T, f *field) []byte { return result(t, f.r.consumer, nil) }, order.WrongRole, false},
		"of another robot": {func(t *testing.T, f *field) []byte {
			return result(t, f.r.verifier, func(o *order.Order) { o.Audience = []string{"acme/runner-2"} })
		}, order.WrongAudience, false},
		"of another boot": {func(t *testing.T, f *field) []byte {
			return result(t, f.r.verifier, func(o *order.Order) { o.Binding.BootID = "01020304-0000-4000-8000-000000000000" })
		}, order.BootMismatch, false},
		"of another guard": {func(t *testing.T, f *field) []byte {
			return result(t, f.r.verifier, func(o *order.Order) { o.Binding.Nonce = strings.Repeat("f", 32) })
		}, order.NonceMismatch, false},
		"of yesterday": {func(t *testing.T, f *field) []byte {
			return result(t, f.r.verifier, func(o *order.Order) {
				o.NotBefore, o.NotAfter = o.NotBefore.Add(-3*time.Hour), o.NotBefore.Add(-2*time.Hour)
			})
		}, order.Expired, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, true)
			var mu sync.Mutex
			talked := map[string]int{}
			f.p.Watch(func(up bool, topic string, payload []byte) []byte {
				if up {
					mu.Lock()
					defer mu.Unlock()
					talked[strings.TrimPrefix(topic, f.topic(""))]++
				}
				return payload
			})
			f.c.start()
			forged := a.forge(t, f)
			f.inject(t, "attestation/result", forged)
			if !await(t, "the guard's answer", 20*time.Second, func() bool {
				if f.d.saidSo(string(a.reason)) == 0 {
					f.inject(t, "attestation/result", forged)
					time.Sleep(200 * time.Millisecond) // the pace of the attacker
				}
				return f.d.saidSo(string(a.reason)) > 0
			}) {
				t.Errorf("the guard said %v: expected %q", f.d.said, a.reason)
			}
			events := func() int { mu.Lock(); defer mu.Unlock(); return talked["event"] + talked["state"] }
			if await(t, "reports", 2*time.Second, func() bool { return events() > 0 }) != a.talks {
				t.Errorf("the courier sent %v: expected reports %t", talked, a.talks)
			}
		})
	}
}

// TestCourierBehindMisbehavingBroker lets the attacker's broker reorder, repeat and drop what the courier sends and gets.
func TestCourierBehindMisbehavingBroker(t *testing.T) {
	t.Parallel()
	kinds, patience := map[string]broker.Faults{"duplicates": {Duplicate: 0.3}, "reorders": {Reorder: 0.3}}, 60*time.Second
	if qualify() { // a courier waits 15 s and more before it sends again what was forgotten
		kinds["everything"], patience = broker.Faults{Duplicate: 0.1, Reorder: 0.1, Forget: 0.01, Drop: 0.005}, 15*time.Minute
	}
	for name, faults := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, false)
			f.p.Up(faults)
			f.p.Down(faults)
			s := newStation(t, f.b, f.r, f.b.URL())
			f.c.start()
			f.r.write(t, 2000)
			complete := await(t, "every record at the consumer", patience, func() bool { return s.count("guard") >= 2200 })
			t.Logf("%+v", f.p.Counts())
			if !complete {
				t.Errorf("%d records came", s.count("guard"))
			}
			arrived(t, s, "guard", f.r.path("journal"))
			quiet(t, s)
		})
	}
}
