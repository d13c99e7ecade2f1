package wire

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// PublisherConfig describes one topic that a Node serves.
type PublisherConfig struct {
	// Topic and Type are what subscribers ask for.
	Topic string
	Type  Type
	// Header replaces fields of the reply header: key, value, key, value… An empty value leaves the field out.
	Header []string
	// Serve, if set, owns each connection after the handshake; the connection is closed when it returns or when the
	// context ends. Without it the publisher sends what Send is given.
	Serve func(ctx context.Context, c *Conn)
}

// Publisher serves one topic.
type Publisher struct {
	n          *Node
	cfg        PublisherConfig
	registered bool
	mu         sync.Mutex
	conns      []*Conn
	accepted   int
	changed    chan struct{}
}

// Offer serves a topic without telling any master: whoever is told about the node's URI may subscribe.
func (n *Node) Offer(cfg PublisherConfig) *Publisher {
	p := &Publisher{n: n, cfg: cfg, changed: make(chan struct{})}
	n.mu.Lock()
	n.pubs[cfg.Topic] = p
	n.mu.Unlock()
	return p
}

// Advertise serves a topic and registers it at the master.
func (n *Node) Advertise(ctx context.Context, cfg PublisherConfig) (*Publisher, error) {
	p := n.Offer(cfg)
	if _, err := n.call(ctx, "registerPublisher", cfg.Topic, cfg.Type.Name, n.URI()); err != nil {
		return nil, fmt.Errorf("wire: advertise %s: %w", cfg.Topic, err)
	}
	n.mu.Lock()
	p.registered = true
	n.mu.Unlock()
	return p, nil
}

func (p *Publisher) header(peer map[string]string) []byte {
	fields := []string{
		"callerid", p.n.cfg.Name, "md5sum", p.cfg.Type.MD5, "type", p.cfg.Type.Name,
		"topic", peer["topic"], "latching", "0", "message_definition", "",
	}
	for i := 0; i+1 < len(p.cfg.Header); i += 2 {
		replaced := false
		for j := 0; j < len(fields); j += 2 {
			if fields[j] == p.cfg.Header[i] {
				fields[j+1], replaced = p.cfg.Header[i+1], true
				if p.cfg.Header[i+1] == "" {
					fields = append(fields[:j], fields[j+2:]...)
				}
				break
			}
		}
		if !replaced {
			fields = append(fields, p.cfg.Header[i], p.cfg.Header[i+1])
		}
	}
	return EncodeHeader(fields...)
}

func (p *Publisher) attach(c *Conn) {
	if _, err := c.Write(p.header(c.Peer)); err != nil {
		p.n.drop(c.Conn)
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, c)
	p.accepted++
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	if p.cfg.Serve != nil {
		stop := context.AfterFunc(p.n.ctx, func() { _ = c.Close() })
		p.cfg.Serve(p.n.ctx, c)
		stop()
		p.remove(c)
		return
	}
	// The subscriber sends nothing more; a read ends when it goes.
	var b [64]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			p.remove(c)
			return
		}
	}
}

func (p *Publisher) remove(c *Conn) {
	p.n.drop(c.Conn)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, have := range p.conns {
		if have == c {
			p.conns = append(p.conns[:i:i], p.conns[i+1:]...)
			break
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Send sends one message body to every subscriber.
func (p *Publisher) Send(body []byte) { p.SendRaw(Frame(body)) }

// SendRaw sends bytes as they are: a frame, half of one, or anything. A subscriber that takes nothing for 200 ms is
// cut off.
func (p *Publisher) SendRaw(b []byte) {
	p.mu.Lock()
	conns := p.conns
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := c.Write(b); err != nil {
			_ = c.Close() // its reader takes it off the list
		}
	}
}

// Peers are the connection headers of the present subscribers.
func (p *Publisher) Peers() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []map[string]string
	for _, c := range p.conns {
		list = append(list, c.Peer)
	}
	return list
}

// Accepted counts the handshakes so far, those of connections that have ended included.
func (p *Publisher) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// WaitPeers waits until at least n subscribers are connected.
func (p *Publisher) WaitPeers(ctx context.Context, n int) error {
	return p.wait(ctx, fmt.Sprintf("%d subscribers of %s", n, p.cfg.Topic), func() bool { return len(p.conns) >= n })
}

// WaitAccepted waits until at least n handshakes have been made.
func (p *Publisher) WaitAccepted(ctx context.Context, n int) error {
	return p.wait(ctx, fmt.Sprintf("%d handshakes on %s", n, p.cfg.Topic), func() bool { return p.accepted >= n })
}

func (p *Publisher) wait(ctx context.Context, what string, ok func() bool) error {
	for {
		p.mu.Lock()
		good, changed := ok(), p.changed
		p.mu.Unlock()
		if good {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wire: waited for %s: %w", what, ctx.Err())
		}
	}
}

// Service is a service that a Node provides.
type Service struct {
	n          *Node
	typ        Type
	serve      func(ctx context.Context, c *Conn)
	registered bool
}

// Provide registers a service at the master; serve owns each connection after the handshake, so that it may answer,
// hang, or answer with rubbish.
func (n *Node) Provide(ctx context.Context, name string, typ Type, serve func(context.Context, *Conn)) (*Service, error) {
	s := &Service{n: n, typ: typ, serve: serve}
	n.mu.Lock()
	n.services[name] = s
	n.mu.Unlock()
	if _, err := n.call(ctx, "registerService", name, "rosrpc://"+n.Addr(), n.URI()); err != nil {
		return nil, fmt.Errorf("wire: provide %s: %w", name, err)
	}
	n.mu.Lock()
	s.registered = true
	n.mu.Unlock()
	return s, nil
}

func (s *Service) attach(c *Conn) {
	defer s.n.drop(c.Conn)
	header := EncodeHeader("callerid", s.n.cfg.Name, "md5sum", s.typ.MD5, "type", s.typ.Name,
		"request_type", s.typ.Name+"Request", "response_type", s.typ.Name+"Response")
	if _, err := c.Write(header); err != nil || c.Peer["probe"] == "1" {
		return
	}
	stop := context.AfterFunc(s.n.ctx, func() { _ = c.Close() })
	defer stop()
	s.serve(s.n.ctx, c)
}
