package courier

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/hal/host"
)

// testClock is the machine's clock with a civil time that counts as trusted.
type testClock struct{ hostClock }

func (testClock) Civil() (time.Time, string) { return time.Now(), TimeTrusted }

// world is a robot with a guard and a courier, a broker, a verifier and a consumer.
type world struct {
	t       testing.TB
	dir     string
	boot    [16]byte
	people  *people
	broker  *broker
	guard   *fakeGuard
	config  *config.Deployment
	options Options
	station *station
	pace    pace

	mu       sync.Mutex
	life     time.Duration // of results
	verdict  order.Verdict
	pcrs     []int // that the verifier asks for
	silent   bool  // the verifier does not answer
	deaf     bool  // the consumer does not acknowledge
	drop     bool  // nor does it take anything
	records  map[string][]EventRecord
	chain    map[string]evidencelog.Digest
	faults   []string
	again    int // duplicates
	evidence []*evidence.Evidence
	toSend   chan arrival
	over     bool // toSend is closed
}

// quick is a pace for tests.
func quick() pace {
	p := defaultPace()
	p.retryFirst, p.retryMost, p.resendFirst, p.resendMost = 50*time.Millisecond, 200*time.Millisecond, time.Second, 2*time.Second
	p.proveFirst, p.proveMost = 200*time.Millisecond, time.Second
	p.keepAlive, p.ping = time.Second, time.Second
	p.challenge, p.reopen, p.bound = time.Second, 200*time.Millisecond, 100*time.Millisecond
	return p
}

// signalContext ends with SIGTERM.
func signalContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM)
}

// noted reports whether the courier's own journal holds a record with this text.
func (w *world) noted(text string) bool {
	records, _ := journal.Tail(journalDir(w.config.Courier.StateDir), 1000)
	for _, r := range records {
		if strings.Contains(string(r.Payload), text) {
			return true
		}
	}
	return false
}

// count is how many of the courier's own records hold this text.
func (w *world) count(text string) (n int) {
	records, _ := journal.Tail(journalDir(w.config.Courier.StateDir), 1000)
	for _, r := range records {
		if strings.Contains(string(r.Payload), text) {
			n++
		}
	}
	return n
}

// deliver adds a key list to those that the robot came with.
func (w *world) deliver(list []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.config.Paths.Keys, "keylist2.dsse.json"), list, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

const testBase = "site/v1/" + testRobot + "/"

// newWorld makes a world of the test's own; worlds wait for most of their time, so they live side by side.
func newWorld(t testing.TB) *world {
	t.Helper()
	if alone, ok := t.(*testing.T); ok {
		alone.Parallel()
	}
	w := &world{
		t: t, dir: t.TempDir(), life: time.Hour, verdict: order.VerdictAccepted,
		records: map[string][]EventRecord{}, chain: map[string]evidencelog.Digest{}, toSend: make(chan arrival, 4096),
	}
	w.pace = quick()
	var err error
	if w.boot, err = host.BootID(); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(w.dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	w.people = newPeople(t, keys)
	w.broker = newBroker(t, "acme:r1")
	w.guard = newFakeGuard(t, w.dir, w.people, w.boot)
	w.config = &config.Deployment{
		Paths: config.Paths{Keys: keys, ControlSocket: w.guard.socket, JournalDir: w.guard.welcome.Journal},
		Log:   config.Log{Level: "info", Format: "json"},
		Courier: &config.Courier{
			Broker: fmt.Sprintf("tls://%s", w.broker.address()), Prefix: "site", CA: filepath.Join(w.broker.dir, "ca.pem"),
			Certificate: filepath.Join(w.broker.dir, "robot.pem"), Key: filepath.Join(w.broker.dir, "robot.key"),
			StateDir: filepath.Join(w.dir, "courier"), BandwidthKiBPS: 1 << 20, StateEvery: time.Second,
		},
	}
	w.options = Options{
		Config: w.config, Version: "test", Clock: testClock{}, MeasuredLog: filepath.Join(w.dir, "measured"),
		NewLog: func(string, string) zerolog.Logger { return zerolog.New(zerolog.NewTestWriter(t)) },
	}
	w.station = newStation(t, w.broker, "station", w.arrived)
	end := make(chan struct{})
	go func() {
		defer close(end)
		for a := range w.toSend {
			w.station.Publish(testBase+a.topic, 1, false, a.payload)
		}
	}()
	t.Cleanup(func() {
		w.station.Disconnect(100)
		w.mu.Lock() // A message that came before may still be under way.
		w.over = true
		close(w.toSend)
		w.mu.Unlock()
		<-end
	})
	return w
}

// run starts a courier; what it returns ends it.
func (w *world) run() (stop func()) {
	w.t.Helper()
	c, err := New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	c.pace = w.pace
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					w.t.Error(err)
				}
			case <-time.After(longest):
				w.t.Error("the courier does not end")
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// arrived plays verifier and consumer.
func (w *world) arrived(topic string, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name, ours := strings.CutPrefix(topic, testBase)
	if !ours {
		return
	}
	var e struct{ Data json.RawMessage }
	switch name {
	case TopicHello, TopicEvidence, TopicEvent:
		if err := json.Unmarshal(payload, &e); err != nil {
			w.fault("%s: %v", name, err)
			return
		}
	}
	switch name {
	case TopicHello:
		w.hello(e.Data)
	case TopicEvidence:
		w.judge(e.Data)
	case TopicEvent:
		if !w.drop {
			w.consume(e.Data)
		}
	}
}

func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// send queues what the station says: a test's own words before it has ended, or under the lock an answer to what has arrived.
func (w *world) send(topic string, payload []byte, err error) {
	if w.over {
		return
	}
	if err != nil {
		w.fault("%s: %v", topic, err)
		return
	}
	select {
	case w.toSend <- arrival{topic, payload}:
	default:
		w.fault("too much to send")
	}
}

func (w *world) hello(data []byte) {
	var h evidence.Hello
	if err := json.Unmarshal(data, &h); err != nil || w.silent {
		return
	}
	c := &order.Challenge{
		Session: order.NewID(), Robot: testRobot, BootID: h.BootID, Nonce: order.NewID() + order.NewID(), NotAfter: floor(time.Now().Add(time.Minute)), PCRs: w.pcrs,
	}
	doc, err := c.Encode()
	if err != nil {
		w.fault("challenge: %v", err)
		return
	}
	envelope, err := order.SignDocument(order.ChallengeType, doc, w.people.verifier)
	w.send(TopicChallenge, envelope, err)
}

func (w *world) judge(data []byte) {
	var a evidence.Answer
	if err := json.Unmarshal(data, &a); err != nil {
		w.fault("answer: %v", err)
		return
	}
	e, err := evidence.Parse(a.Evidence)
	if err != nil {
		w.fault("evidence: %v", err)
		return
	}
	w.evidence = append(w.evidence, e)
	envelope, err := w.result(e)
	w.send(TopicResult, envelope, err)
}

// result signs the verifier's result for evidence.
func (w *world) result(e *evidence.Evidence) ([]byte, error) {
	var reasons []string
	if w.verdict == order.VerdictRefused {
		reasons = []string{"agent-digest"}
	}
	return order.Sign(&order.Order{
		Kind: order.KindAttestationResult, ID: order.NewID(), Audience: []string{testRobot}, NotBefore: floor(time.Now().Add(-time.Minute)),
		NotAfter: floor(time.Now().Add(w.life)), Binding: order.Binding{BootID: e.Claims.BootID, Nonce: e.Claims.GuardNonce}, Reason: "appraised",
		AttestationResult: &order.AttestationResult{Verdict: w.verdict, Tier: e.Claims.Tier, EvidenceSHA256: e.SHA256, Reasons: reasons},
	}, w.people.verifier)
}

// consume is the model of a consumer: it takes each record once, in order, and checks the chain.
func (w *world) consume(data []byte) {
	var m Event
	if err := json.Unmarshal(data, &m); err != nil {
		w.fault("event: %v", err)
		return
	}
	boot, err := evidencelog.ParseBoot(m.BootID)
	if err != nil {
		w.fault("event: %v", err)
		return
	}
	key := m.Log + " " + m.BootID
	if _, ok := w.chain[key]; !ok {
		w.chain[key] = evidencelog.Origin(m.Log, boot)
	}
	for _, raw := range m.Records {
		var r EventRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			w.fault("record: %v", err)
			return
		}
		list := w.records[key]
		if len(list) > 0 && r.Seq <= list[len(list)-1].Seq {
			w.again++
			continue
		}
		value := w.chain[key]
		if r.Prev != hex.EncodeToString(value[:]) {
			return // a hole: the records before it will come
		}
		value = evidencelog.Next(value, journal.Kind(r.Kind), r.Seq, time.Duration(r.BootTimeNs), r.Payload)
		if r.Digest != hex.EncodeToString(value[:]) {
			w.fault("record %d of %s: digest", r.Seq, key)
			return
		}
		w.chain[key], w.records[key] = value, append(list, r)
	}
	if w.deaf || len(w.records[key]) == 0 {
		return
	}
	w.acknowledge(m.Log, m.BootID, key)
}

func (w *world) acknowledge(log, boot, key string) {
	value, list := w.chain[key], w.records[key]
	a := &order.Acknowledgement{Robot: testRobot, Log: log, BootID: boot, Seq: list[len(list)-1].Seq, Digest: hex.EncodeToString(value[:])}
	doc, err := a.Encode()
	if err != nil {
		w.fault("acknowledgement: %v", err)
		return
	}
	envelope, err := order.SignDocument(order.AcknowledgementType, doc, w.people.consumer)
	w.send(TopicAcknowledgement, envelope, err)
}

// with looks at the world while nothing moves in it.
func (w *world) with(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// taken is how many records of a log the consumer has.
func (w *world) taken(log string) (n int) {
	w.with(func() {
		for key, list := range w.records {
			if strings.HasPrefix(key, log+" ") {
				n += len(list)
			}
		}
	})
	return n
}

// check fails the test if anything was wrong.
func (w *world) check() {
	w.t.Helper()
	w.with(func() {
		for _, f := range w.faults {
			w.t.Error(f)
		}
	})
	all := schemas(w.t)
	for _, m := range w.station.messages() {
		topic := strings.TrimPrefix(m.topic, testBase)
		if all[topic] == nil {
			continue // what the station itself sent
		}
		if err := conforms(all, topic, m.payload); err != nil {
			w.t.Errorf("%s: %v\n%s", topic, err, m.payload)
		}
	}
}

// evidenceCount is how many records of evidence n calls of record have made, checkpoints aside.
func evidenceCount(n int) int { return n - n/3 }
