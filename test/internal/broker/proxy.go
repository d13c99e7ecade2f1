package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Faults are what a proxy does to messages of one direction. Shares are between 0 and 1; the zero value does nothing.
type Faults struct {
	// Drop loses a message without a word.
	Drop float64
	// Duplicate delivers a message twice.
	Duplicate float64
	// Reorder holds a message back until a few later ones have passed.
	Reorder float64
	// Forget acknowledges a message to its sender and loses it.
	Forget float64
	// Delay is the longest time that a message may be held back.
	Delay time.Duration
}

// Counts says what a proxy has done.
type Counts struct{ Passed, Dropped, Duplicated, Reordered, Forgotten, Injected int64 }

// Proxy stands between clients and a broker, ends the TLS of both, and misbehaves with MQTT messages.
type Proxy struct {
	t      testing.TB
	b      *Broker
	l      net.Listener
	seed   uint64
	up     atomic.Pointer[Faults]
	down   atomic.Pointer[Faults]
	held   atomic.Bool
	mu     sync.Mutex
	pairs  map[*pair]bool
	certs  map[string]*tls.Config
	watch  func(up bool, topic string, payload []byte) []byte
	drawn  uint64
	done   sync.WaitGroup
	count  [6]atomic.Int64
	closed chan struct{}
}

const (
	passed = iota
	dropped
	duplicated
	reordered
	forgotten
	injected
)

// maxHeld is how many later messages pass one that is held back.
const maxHeld = 4

// StartProxy starts a proxy in front of b. What it does is drawn from the seed.
func StartProxy(t testing.TB, b *Broker, seed uint64) *Proxy {
	t.Helper()
	server := b.Authority.Client(t, "localhost")
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: server.TLS.Certificates, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: server.TLS.RootCAs,
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, b: b, l: l, seed: seed, pairs: map[*pair]bool{}, certs: map[string]*tls.Config{}, closed: make(chan struct{})}
	p.Up(Faults{})
	p.Down(Faults{})
	p.done.Go(p.accept)
	t.Cleanup(func() {
		close(p.closed)
		_ = l.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// URL is the address as a deployment names it.
func (p *Proxy) URL() string { return "tls://" + p.l.Addr().String() }

// Up sets what happens to messages from clients to the broker, from now on.
func (p *Proxy) Up(f Faults) { p.up.Store(&f) }

// Down sets what happens to messages from the broker to clients, from now on.
func (p *Proxy) Down(f Faults) { p.down.Store(&f) }

// HalfOpen keeps all connections open and lets nothing pass, until it is called with false.
func (p *Proxy) HalfOpen(on bool) { p.held.Store(on) }

// Watch sets a function that sees every message and may change it; nil as answer loses the message.
func (p *Proxy) Watch(f func(up bool, topic string, payload []byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = f
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.close()
	}
}

// Inject sends a message to every client that has this common name and is connected, as if the broker had it. It returns to
// how many.
func (p *Proxy) Inject(cn, topic string, payload []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c := range p.pairs {
		if c.cn != cn || !c.greeted.Load() {
			continue
		}
		m, ok := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		if !ok {
			continue
		}
		m.TopicName, m.Payload = topic, payload
		if c.client.send(m) == nil {
			n++
			p.count[injected].Add(1)
		}
	}
	return n
}

// Counts returns what was done so far.
func (p *Proxy) Counts() Counts {
	c := func(i int) int64 { return p.count[i].Load() }
	return Counts{c(passed), c(dropped), c(duplicated), c(reordered), c(forgotten), c(injected)}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.done.Go(func() { p.serve(conn) })
	}
}

// serve joins one client with the broker, as the client that it is.
func (p *Proxy) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		return
	}
	cn := secured.ConnectionState().PeerCertificates[0].Subject.CommonName
	dialer := tls.Dialer{Config: p.identity(cn)}
	far, err := dialer.DialContext(ctx, "tcp", p.b.Address())
	if err != nil {
		return
	}
	c := &pair{p: p, cn: cn, client: &end{conn: conn}, broker: &end{conn: far}}
	p.mu.Lock()
	p.pairs[c] = true
	p.drawn++
	n := p.drawn
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.pump(c.client, c.broker, true, rand.New(rand.NewPCG(p.seed, 2*n))) })
	both.Go(func() { c.pump(c.broker, c.client, false, rand.New(rand.NewPCG(p.seed, 2*n+1))) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

// identity makes, once, a certificate with the client's common name: whoever runs the broker may do that.
func (p *Proxy) identity(cn string) *tls.Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.certs[cn] == nil {
		p.certs[cn] = p.b.Authority.Client(p.t, cn).TLS
	}
	return p.certs[cn]
}

// end is one side of a pair; packets are written whole.
type end struct {
	mu   sync.Mutex
	conn net.Conn
}

func (e *end) send(m packets.ControlPacket) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return m.Write(e.conn)
}

// pair is one client and its connection to the broker.
type pair struct {
	p              *Proxy
	cn             string
	client, broker *end
	greeted        atomic.Bool // the broker's CONNACK has passed: before it, a client takes nothing and hangs up
}

func (c *pair) close() {
	_ = c.client.conn.Close()
	_ = c.broker.conn.Close()
}

// waiting is a message that is held back.
type waiting struct {
	m     *packets.PublishPacket
	after int
}

// pump carries packets one way and does to messages what the faults say.
func (c *pair) pump(from, to *end, up bool, rng *rand.Rand) {
	defer c.close()
	var held []waiting
	for {
		packet, err := packets.ReadPacket(from.conn)
		if err != nil || !c.open() {
			return
		}
		m, ok := packet.(*packets.PublishPacket)
		if !ok {
			if err := to.send(packet); err != nil {
				return
			}
			if _, connack := packet.(*packets.ConnackPacket); connack && !up {
				c.greeted.Store(true)
			}
			continue
		}
		if !c.message(from, to, m, up, rng, &held) || !release(to, &held, false) {
			return
		}
	}
}

// open waits while the proxy is half open.
func (c *pair) open() bool {
	for c.p.held.Load() {
		select {
		case <-c.p.closed:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}

// release sends what was held back long enough.
func release(to *end, held *[]waiting, all bool) bool {
	kept := (*held)[:0]
	for _, w := range *held {
		if w.after--; w.after > 0 && !all {
			kept = append(kept, w)
		} else if to.send(w.m) != nil {
			return false
		}
	}
	*held = kept
	return true
}

// message passes one message, or does something worse.
func (c *pair) message(from, to *end, m *packets.PublishPacket, up bool, rng *rand.Rand, held *[]waiting) bool {
	p, f := c.p, c.p.down.Load()
	if up {
		f = p.up.Load()
	}
	p.mu.Lock()
	watch := p.watch
	p.mu.Unlock()
	if watch != nil {
		if m.Payload = watch(up, m.TopicName, m.Payload); m.Payload == nil {
			return acknowledge(from, m)
		}
	}
	hit := func(share float64, what int) bool {
		if share <= 0 || rng.Float64() >= share {
			return false
		}
		p.count[what].Add(1)
		return true
	}
	if f.Delay > 0 {
		select {
		case <-p.closed:
			return false
		case <-time.After(time.Duration(rng.Int64N(int64(f.Delay)))):
		}
	}
	switch {
	case hit(f.Drop, dropped):
		return true
	case hit(f.Forget, forgotten):
		return acknowledge(from, m)
	case hit(f.Reorder, reordered):
		*held = append(*held, waiting{m, 1 + rng.IntN(maxHeld) + 1})
		return true
	case hit(f.Duplicate, duplicated):
		if to.send(m) != nil {
			return false
		}
	}
	p.count[passed].Add(1)
	return to.send(m) == nil
}

// acknowledge tells the sender that the message has arrived.
func acknowledge(to *end, m *packets.PublishPacket) bool {
	if m.Qos == 0 {
		return true
	}
	a, ok := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	if !ok {
		return false
	}
	a.MessageID = m.MessageID
	return to.send(a) == nil
}
