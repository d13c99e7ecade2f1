package courier

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// pace is how patient the courier is.
type pace struct {
	// connect bounds dialling, TLS and MQTT's handshake each; write how long the operating system may refuse to take more.
	connect, write time.Duration
	// keepAlive is how long a silent connection is believed, ping how long it then has to answer.
	keepAlive, ping time.Duration
	// ack ends a connection on which pings are answered but nothing is taken.
	ack time.Duration
	// steady is how long a connection has to last to count as a success.
	steady time.Duration
	// reopen is the pause between attempts to open the device key.
	reopen time.Duration
	// retryFirst and retryMost pace connections, resendFirst and resendMost repetitions, proveFirst and proveMost
	// attestations.
	retryFirst, retryMost, resendFirst, resendMost, proveFirst, proveMost time.Duration
	// bound is how often the courier looks whether the bound key still signs, or signs again.
	bound time.Duration
	patience
}

func defaultPace() pace {
	return pace{
		connect: 10 * time.Second, write: 5 * time.Second, keepAlive: 8 * time.Second, ping: 4 * time.Second, ack: 30 * time.Second,
		steady: 20 * time.Second, reopen: 30 * time.Second, retryFirst: time.Second, retryMost: time.Minute, resendFirst: 15 * time.Second, resendMost: 10 * time.Minute,
		proveFirst: 5 * time.Second, proveMost: 5 * time.Minute, bound: 30 * time.Second, patience: defaultPatience(),
	}
}

// Bounds of the connection to the broker.
const (
	maxInFlight = 64
	// maxHeld bounds what came in and was not looked at yet, in bytes.
	maxHeld = 8 << 20
	// maxArrivals bounds it in messages.
	maxArrivals = 64
)

// parcel is one message to publish.
type parcel struct {
	topic    string // the whole topic
	payload  []byte
	retained bool
	token    mqtt.Token
	tag      any // the loop's own
}

// arrival is one message that came.
type arrival struct {
	topic   string
	payload []byte
}

// netEvent is what the link tells the loop; exactly one field is set.
type netEvent struct {
	up   bool
	down *linkError
	sent *parcel // the broker has taken it
	// deaf is a topic that the robot can do without, and may not listen to; "" if there is none.
	deaf *string
}

// link keeps one connection to the broker and makes another when it is lost. The library neither reconnects nor stores:
// it would resume out of order, without a bound, and from files that it never syncs.
type link struct {
	pace    pace
	clock   Clock
	broker  *url.URL
	who     func() (client string, topics []string, clean bool) // as which client, to what it listens, and whether nothing is kept for it
	left    chan struct{}                                       // the connection is to be made anew
	base    string
	will    []byte
	config  func(now time.Time) (*tls.Config, error)
	pause   backoff
	events  chan<- netEvent
	arrived chan<- arrival
	parcels <-chan *parcel
	held    atomic.Int64 // bytes in arrived
	dropped atomic.Uint64
	tried   atomic.Uint64
	read    atomic.Uint64 // bytes from the broker
	written atomic.Uint64 // bytes to the broker
}

// run connects again and again until ctx ends.
func (l *link) run(ctx context.Context) {
	for {
		l.tried.Add(1)
		began := l.clock.Boot()
		down := l.session(ctx)
		if ctx.Err() != nil || !l.tell(ctx, netEvent{down: down}) {
			return
		}
		if l.clock.Boot()-began >= l.pace.steady {
			l.pause.reset()
		}
		wake, stop := l.clock.After(l.pause.wait())
		select {
		case <-ctx.Done():
			stop()
			return
		case <-wake:
		}
	}
}

func (l *link) tell(ctx context.Context, e netEvent) bool {
	select {
	case l.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// session is the life of one connection. It returns why it ended.
func (l *link) session(ctx context.Context) *linkError {
	lost := make(chan error, 1)
	select {
	case <-l.left: // what is made now is the new one
	default:
	}
	name, topics, clean := l.who()
	var conn atomic.Pointer[net.Conn]
	end := func() {
		if c := conn.Load(); c != nil {
			_ = (*c).Close()
		}
	}
	// Whatever the library still waits for ends with the connection.
	defer end()
	client := mqtt.NewClient(l.options(ctx, name, clean, lost, &conn))
	// Off the loop and bounded by the connection's deadlines; the library's goroutines end with the client.
	token := client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		end()
		<-token.Done() // dialling ends with ctx, everything after it with the connection
		return &linkError{ReasonEnded, ctx.Err()}
	}
	if err := token.Error(); err != nil {
		return classify(err)
	}
	defer client.Disconnect(100)
	filters := map[string]byte{}
	for _, t := range topics {
		filters[l.base+t] = Quality(t)
	}
	subscribed := client.SubscribeMultiple(filters, nil)
	if err := l.wait(ctx, subscribed, lost); err != nil {
		return classify(fmt.Errorf("subscribe: %w", err))
	}
	deaf, refused := l.granted(subscribed)
	if refused != nil {
		return refused
	}
	if !l.tell(ctx, netEvent{deaf: &deaf}) || !l.tell(ctx, netEvent{up: true}) {
		return &linkError{ReasonEnded, ctx.Err()}
	}
	return l.carry(ctx, client, lost)
}

// granted looks whether the broker lets us listen, and gives what it does not let us and the robot can do without: approvals, since a broker
// that knows only the topics from before there were any must not cost the robot its connection. Whether it lets us speak, MQTT 3.1.1 has
// no word for: it acknowledges and forgets, and only the missing acknowledgements of the consumer show it.
func (l *link) granted(t mqtt.Token) (deaf string, refused *linkError) {
	s, ok := t.(*mqtt.SubscribeToken)
	if !ok {
		return "", nil
	}
	for topic, code := range s.Result() {
		switch {
		case code <= 2:
		case topic == l.base+TopicApproval:
			deaf = topic
		default:
			return "", &linkError{ReasonNotAuthorised, fmt.Errorf("the broker does not let the robot listen to %s", topic)}
		}
	}
	return deaf, nil
}

// wait waits for a token without trusting the library to complete it.
func (l *link) wait(ctx context.Context, t mqtt.Token, lost <-chan error) error {
	timer := time.NewTimer(l.pace.connect)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case err := <-lost:
		return err
	case <-timer.C:
		return &linkError{ReasonSilent, fmt.Errorf("no answer within %v", l.pace.connect)}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave has the connection made anew, by whoever the robot is then.
func (l *link) leave() {
	select {
	case l.left <- struct{}{}:
	default:
	}
}

// carry publishes what the loop hands over and reports what the broker has taken, in order, until the connection ends.
func (l *link) carry(ctx context.Context, client mqtt.Client, lost <-chan error) *linkError {
	ctx, cancel := context.WithCancel(ctx)
	waiting := make(chan *parcel, maxInFlight)
	ended := make(chan *linkError, 2)
	var both sync.WaitGroup
	defer both.Wait()
	defer cancel()
	both.Go(func() {
		defer close(waiting)
		if err := l.publish(ctx, client, waiting); err != nil {
			ended <- err
		}
	})
	both.Go(func() {
		if err := l.confirm(ctx, waiting); err != nil {
			ended <- err
		}
	})
	select {
	case <-ctx.Done():
		return &linkError{ReasonEnded, ctx.Err()}
	case <-l.left:
		return &linkError{ReasonIdentity, errors.New("the robot goes on by another key")}
	case err := <-lost:
		return classify(err)
	case err := <-ended:
		return err
	}
}

// publish hands messages to the library one by one. It may block for the write timeout; nobody waits for it.
func (l *link) publish(ctx context.Context, client mqtt.Client, waiting chan<- *parcel) *linkError {
	for {
		var p *parcel
		select {
		case <-ctx.Done():
			return nil
		case p = <-l.parcels:
		}
		p.token = client.Publish(p.topic, 1, p.retained, p.payload)
		select {
		case <-p.token.Done():
			if err := p.token.Error(); err != nil {
				return &linkError{ReasonSilent, fmt.Errorf("publish: %w", err)}
			}
		default:
		}
		select {
		case waiting <- p:
		case <-ctx.Done():
			return nil
		}
	}
}

// confirm waits for the broker's acknowledgements in the order of the messages.
func (l *link) confirm(ctx context.Context, waiting <-chan *parcel) *linkError {
	for {
		var p *parcel
		select {
		case <-ctx.Done():
			return nil
		case p = <-waiting:
			if p == nil {
				return nil
			}
		}
		late, stop := l.clock.After(l.pace.ack)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-late:
			return &linkError{ReasonSilent, fmt.Errorf("the broker acknowledged nothing for %v", l.pace.ack)}
		case <-p.token.Done():
			stop()
		}
		if err := p.token.Error(); err != nil {
			return classify(err)
		}
		if !l.tell(ctx, netEvent{sent: p}) {
			return nil
		}
	}
}

func (l *link) options(ctx context.Context, name string, clean bool, lost chan<- error, conn *atomic.Pointer[net.Conn]) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.AddBroker(l.broker.String())
	o.SetClientID(name)
	o.SetProtocolVersion(4)
	o.SetCleanSession(clean)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetStore(mqtt.NewMemoryStore())
	o.SetKeepAlive(l.pace.keepAlive)
	o.SetPingTimeout(l.pace.ping)
	o.SetWriteTimeout(l.pace.write)
	o.SetConnectTimeout(l.pace.connect)
	o.SetOrderMatters(true)
	o.SetBinaryWill(l.base+TopicConnection, l.will, 1, true)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		if err == nil {
			err = errors.New("the broker closed the connection")
		}
		select {
		case lost <- err:
		default:
		}
	})
	// What the broker kept for us comes before we subscribe, so there is no handler for single topics.
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.arrive(m) })
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		c, err := l.open(ctx)
		if err == nil {
			conn.Store(&c)
		}
		return c, err
	})
	return o
}

// arrive queues a message without waiting. What does not fit is dropped and counted; who sent it gets no receipt. Of what the broker retains only
// approvals count: they say the same however often they come, and a robot that is by another client than before finds them.
func (l *link) arrive(m mqtt.Message) {
	a := arrival{topic: m.Topic(), payload: m.Payload()}
	if m.Retained() && a.topic != l.base+TopicApproval || l.held.Load()+int64(len(a.payload)) > maxHeld {
		l.dropped.Add(1)
		return
	}
	l.held.Add(int64(len(a.payload)))
	select {
	case l.arrived <- a:
	default:
		l.held.Add(-int64(len(a.payload)))
		l.dropped.Add(1)
	}
}

// open dials and shakes hands, each within one deadline.
func (l *link) open(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.pace.connect)
	defer cancel()
	now, _ := l.clock.Civil()
	cfg, err := l.config(now)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: l.pace.keepAlive}, Config: cfg}
	conn, err := d.DialContext(ctx, "tcp", l.broker.Host)
	if err != nil {
		return nil, classify(err)
	}
	return &meter{Conn: &counted{Conn: conn, l: l}}, nil
}

// counted counts the bytes of a connection.
type counted struct {
	net.Conn
	l     *link
	heard atomic.Bool // something was read
}

// refusalWait is how long a broker's alert may take that has hung up already.
const refusalWait = 200 * time.Millisecond

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	c.l.read.Add(uint64(n)) //nolint:gosec // n is not negative
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.l.written.Add(uint64(n)) //nolint:gosec // n is not negative
	if err != nil && !c.heard.Load() {
		err = cmp.Or(c.refusal(), err)
	}
	return n, err
}

// refusal is the broker's alert where it refuses our certificate: in TLS 1.3 it comes after the handshake, and a broker that
// hangs up right behind it makes the first write fail before anybody has read it.
func (c *counted) refusal() error {
	_ = c.SetReadDeadline(time.Now().Add(refusalWait))
	_, err := c.Conn.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	if err != nil && strings.Contains(err.Error(), "remote error: tls:") {
		return err
	}
	return nil
}
