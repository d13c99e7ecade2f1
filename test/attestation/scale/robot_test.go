package scale

import (
	"crypto"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/agent/courier"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// must turns an error into the end of the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// robot is one robot with keys of its own, as far as a verifier and a broker see it: it says hello, answers challenges that a
// verifier of its key list has signed, and takes results as its guard does. It asks again when nothing comes.
type robot struct {
	site            *site
	id, boot, nonce string
	device          crypto.Signer
	ak              *ak
	guard           *order.Verifier
	ended           chan struct{}

	mu       sync.Mutex
	client   mqtt.Client // Of the last connection.
	attester *evidence.Attester
	waits    bool // For a challenge.
	seq      uint64
	results  []*order.Order
	signers  []string          // Key ids of who has signed them.
	refused  map[string]int    // Challenges and results that the robot did not take, by reason.
	got      chan struct{}     // Something was taken.
	asked    chan struct{}     // A challenge was taken.
	up       chan struct{}     // There is a connection again.
	bytes    *traffic          // Of all its connections.
	last     map[string][]byte // The last message of each kind.
}

// traffic counts what a robot's connections carry, TLS included.
type traffic struct{ up, down atomic.Int64 }

type counted struct {
	net.Conn
	n *traffic
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.down.Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.up.Add(int64(n))
	return n, err
}

// connect opens the robot's connection to one of the brokers and listens to what a courier listens to. A connection that is lost is
// made again at a courier's pace.
func (r *robot) connect(config *tls.Config, brokers ...string) error {
	late := make(chan struct{})
	timer := time.AfterFunc(5*time.Minute, func() { close(late) })
	defer timer.Stop()
	err := r.open(config, brokers)
	if err != nil {
		err = r.again(config, brokers, late)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.id, err)
	}
	return nil
}

// open makes one connection.
func (r *robot) open(config *tls.Config, brokers []string) error {
	o := mqtt.NewClientOptions().SetClientID("robowarden:" + strings.ReplaceAll(r.id, "/", ":")).SetTLSConfig(config)
	for _, b := range brokers {
		o.AddBroker(b)
	}
	o.SetCleanSession(false).SetOrderMatters(true).SetConnectTimeout(time.Minute).SetAutoReconnect(false)
	o.SetKeepAlive(2 * time.Minute).SetPingTimeout(time.Minute)
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		d := net.Dialer{Timeout: time.Minute}
		raw, err := d.Dial("tcp", u.Host)
		if err != nil {
			return nil, err
		}
		c := tls.Client(counted{raw, r.bytes}, config)
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if err := c.Handshake(); err != nil {
			raw.Close()
			return nil, err
		}
		return c, c.SetDeadline(time.Time{})
	})
	lost := make(chan struct{}, 1)
	o.SetConnectionLostHandler(func(mqtt.Client, error) { signal(lost) })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		switch payload, topic := m.Payload(), strings.TrimPrefix(m.Topic(), r.base()); {
		case m.Retained(): // A courier takes none.
		case topic == "challenge":
			go r.answer(payload)
		case topic == "result":
			r.judge(payload)
		}
	})
	client := mqtt.NewClient(o)
	if token := client.Connect(); !token.WaitTimeout(2*time.Minute) || token.Error() != nil {
		client.Disconnect(0) // It would take the session away from the next one.
		return fmt.Errorf("the broker does not take the robot in: %w", token.Error())
	}
	token := client.SubscribeMultiple(listens(r.id), nil)
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		client.Disconnect(0)
		return fmt.Errorf("no subscription: %w", token.Error())
	}
	for topic, code := range token.(*mqtt.SubscribeToken).Result() {
		if code > 2 {
			client.Disconnect(0)
			return fmt.Errorf("the broker does not let the robot listen to %s", topic)
		}
	}
	go func() {
		select {
		case <-lost:
			if r.again(config, brokers, r.ended) == nil {
				signal(r.up)
			}
		case <-r.ended:
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client = client
	return nil
}

// listens are the topics that a robot's courier listens to, and how.
func listens(robot string) map[string]byte {
	out := map[string]byte{}
	for _, t := range []string{courier.TopicChallenge, courier.TopicResult, courier.TopicOrder, courier.TopicAcknowledgement} {
		out[courier.TopicBase(prefix, robot)+t] = courier.Quality(t)
	}
	return out
}

// again connects again and again until the end, as a courier: after a second, then ever later up to a minute, less a random half.
// The error says what was in the way last.
func (r *robot) again(config *tls.Config, brokers []string, end <-chan struct{}) (err error) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-timer.C:
		case <-end:
			timer.Stop()
			return fmt.Errorf("no connection: %w", err)
		}
		r.site.again.Add(1)
		if err = r.open(config, brokers); err == nil {
			return nil
		}
	}
}

// end closes the connection and makes no other.
func (r *robot) end() {
	close(r.ended)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		r.client.Disconnect(0)
	}
}

// publish sends one message, if there is a connection.
func (r *robot) publish(kind string, message []byte) {
	r.mu.Lock()
	client := r.client
	r.mu.Unlock()
	client.Publish(r.base()+kind, 1, false, message)
}

func (r *robot) base() string { return prefix + "/v1/" + r.id + "/attestation/" }

// send writes a message as the courier does.
func (r *robot) send(kind string, part any) {
	manufacturer, serial, _ := strings.Cut(r.id, "/")
	data := map[string]any{
		"headerId": 1, "timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "version": "1.0.0", "manufacturer": manufacturer,
		"serialNumber": serial, "attested": false, "tier": "tpm",
	}
	raw, err := json.Marshal(part)
	if err == nil {
		err = json.Unmarshal(raw, &data)
	}
	var message []byte
	if err == nil {
		message, err = json.Marshal(map[string]any{
			"specversion": "1.0", "id": order.NewID(), "source": "robowarden:" + r.id, "type": "io.robowarden.attestation." + kind + ".v1",
			"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "timetrust": "trusted", "datacontenttype": "application/json", "data": data,
		})
	}
	if err != nil {
		r.refuse("cannot write: " + err.Error())
		return
	}
	r.mu.Lock()
	r.last[kind] = message
	r.mu.Unlock()
	r.publish(kind, message)
}

func (r *robot) hello() {
	h := evidence.Hello{BootID: r.boot, GuardNonce: r.nonce, AKName: fmt.Sprintf("%x", r.ak.name), Logs: map[string]string{}}
	h.KeyID, _ = order.KeyID(r.device.Public())
	for name, log := range r.site.build.logs {
		h.Logs[name] = hexOf(log)
	}
	r.mu.Lock()
	r.waits = true
	r.mu.Unlock()
	r.send("hello", h)
}

func now() order.Times {
	return order.Times{Civil: time.Now().UTC(), Uncertainty: time.Second, Trust: order.Trusted}
}

// answer answers a challenge that the robot takes.
func (r *robot) answer(envelope []byte) {
	r.mu.Lock()
	if !r.waits { // As a courier: one answer for each hello.
		r.mu.Unlock()
		return
	}
	t := now()
	c, err := r.attester.Accept(t, time.Duration(t.Civil.UnixNano()), r.guard, envelope)
	r.seq++
	seq := r.seq
	r.waits = err != nil
	r.mu.Unlock()
	if err != nil {
		r.refuse("challenge: " + string(evidence.CodeOf(err)))
		return
	}
	signal(r.asked)
	nonce, err := evidence.Nonce(c)
	var message []byte
	if err == nil {
		message, err = evidence.Build(r.site.build.claims(r, nonce, seq), c.PCRs, r.device, func(data []byte, pcrs []int) (evidence.Quote, error) {
			return r.ak.quote(r.site.build.pcrs, data, pcrs)
		})
	}
	if err != nil {
		r.refuse("cannot prove: " + err.Error())
		return
	}
	for _, name := range c.Logs {
		r.send("log", evidence.LogPart{Name: name, SHA256: hexOf(r.site.build.logs[name]), Log: r.site.build.logs[name]})
	}
	r.send("evidence", evidence.Answer{Session: c.Session, Evidence: message})
}

// judge takes a result as the guard does.
func (r *robot) judge(envelope []byte) {
	v, err := r.guard.Verify(now(), envelope)
	if err != nil {
		r.refuse("result: " + string(order.ReasonOf(err)))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.results, func(o *order.Order) bool { return o.ID == v.Order.ID }) {
		return // The broker has delivered it twice.
	}
	r.results = append(r.results, v.Order)
	r.signers = append(r.signers, v.Signers[0].Person)
	signal(r.got)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *robot) refuse(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[why]++
}

func (r *robot) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.results)
}

// attest asks until a new result is there, patiently as a courier, or until the end; after a lost connection it asks at once. It
// returns how often it has asked.
func (r *robot) attest(patience time.Duration, end <-chan struct{}) (hellos int, ok bool) {
	before := r.count()
	for {
		hellos++
		r.hello()
		timer := time.NewTimer(patience)
		for waiting := true; waiting; {
			select {
			case <-r.asked:
				timer.Reset(patience)
			case <-r.up:
				waiting = false
			case <-r.got:
			case <-timer.C:
				waiting = false
			case <-end:
				return hellos, r.count() > before
			}
			if r.count() > before {
				return hellos, true
			}
		}
	}
}
