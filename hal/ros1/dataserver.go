package ros1

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// The data server answers TCPROS connections of subscribers. A connection is held by the door, where it may be pushed
// out, until its header is read and found right.

// roster counts the connections that are past the door, overall and for each address.
type roster struct {
	mu    sync.Mutex
	total int
	addr  map[netip.Addr]int
}

// take counts one more. A quarter of each cap is kept for the consumers that a topic names.
func (r *roster) take(a netip.Addr, max, perAddr int, prior bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !prior {
		max, perAddr = max-max/4, perAddr-perAddr/4
	}
	if r.total >= max {
		return fmt.Errorf("node has %d subscribers already", r.total)
	}
	if r.addr[a] >= perAddr {
		return fmt.Errorf("address %v has %d connections already", a, r.addr[a])
	}
	r.total++
	r.addr[a]++
	return nil
}

func (r *roster) give(a netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
	if r.addr[a]--; r.addr[a] == 0 {
		delete(r.addr, a)
	}
}

func (n *Node) release(p *msg.Peer) { n.roster.give(p.Addr.Addr()) }

// serveData accepts until the door closes.
func (n *Node) serveData() {
	for {
		c, err := n.data.Accept()
		if err != nil {
			return
		}
		g, ok := c.(*guest)
		if !ok {
			c.Close()
			continue
		}
		n.wg.Go(func() { n.serveGuest(g) })
	}
}

// serveGuest brings one connection from its header to a topic.
func (n *Node) serveGuest(g *guest) {
	c, err := n.welcome(g)
	if err != nil {
		_ = g.Close()
		n.rep.Emit(&bus.Event{Kind: bus.SubscriberRefused, Name: clip(g.addr.String(), 60), Detail: err.Error()})
		return
	}
	g.leave()
	n.rep.Emit(&bus.Event{Kind: bus.SubscriberConnected, Topic: c.p.topic, Name: c.peer.Name, Peer: c.peer})
	n.wg.Go(c.serve)
	c.listen()
}

// welcome reads the header, answers it and makes the connection one of its topic's.
func (n *Node) welcome(g *guest) (*pubConn, error) {
	if err := g.SetDeadline(time.Now().Add(n.cfg.Limits.HandshakeTimeout)); err != nil {
		return nil, err
	}
	raw, err := readHeader(g, n.cfg.Limits.MaxHeaderBytes)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	h, err := parseHeader(raw)
	if err != nil {
		return nil, n.turnAway(g, fmt.Errorf("header: %w", err))
	}
	p, err := n.match(&h)
	if err != nil {
		return nil, n.turnAway(g, err)
	}
	lim := &n.cfg.Limits
	if err := n.roster.take(g.addr.Addr(), lim.MaxConnections, lim.MaxConnectionsPerAddr, slices.Contains(p.consumers, h.callerID)); err != nil {
		return nil, n.turnAway(g, err)
	}
	peer := &msg.Peer{ID: n.peerIDs.Add(1), Name: h.callerID, Addr: g.addr, Strength: msg.Claimed}
	c, err := n.accept(g, p, peer)
	if err != nil {
		n.release(peer)
		return nil, err
	}
	return c, nil
}

// accept answers the header and joins the topic.
func (n *Node) accept(g *guest, p *Publisher, peer *msg.Peer) (*pubConn, error) {
	latching := "0"
	if p.latch {
		latching = "1"
	}
	reply := newHeader("callerid", n.cfg.Name, "topic", p.topic, "type", p.typ.name, "md5sum", p.typ.md5,
		"latching", latching, "message_definition", p.typ.definition)
	if _, err := g.Write(reply); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := g.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	// A short queue in the kernel: who reads late shall read the newest command, not the oldest.
	if err := g.SetWriteBuffer(max(sendBuffer, 2*(4+p.max))); err != nil {
		return nil, err
	}
	c, err := newPubConn(p, g.TCPConn, peer)
	if err != nil {
		return nil, err
	}
	if err := c.join(); err != nil {
		return nil, err
	}
	return c, nil
}

// sendBuffer holds what a subscriber that acknowledges late (40 ms) has not acknowledged at 1 kHz.
const sendBuffer = 64 << 10

// match finds the topic that a header asks for.
func (n *Node) match(h *header) (*Publisher, error) {
	if !validName(h.callerID) {
		return nil, fmt.Errorf("callerid %s; expected a global node name", clip(h.callerID, 80))
	}
	p := n.publisher(h.topic)
	if p == nil {
		return nil, fmt.Errorf("not a publisher of topic %s", clip(h.topic, 80))
	}
	if h.md5 != p.typ.md5 && h.md5 != "*" {
		return nil, fmt.Errorf("md5sum %s of topic %s; expected %s", clip(h.md5, 40), p.topic, p.typ.md5)
	}
	if h.typ != p.typ.name && h.typ != "*" {
		return nil, fmt.Errorf("type %s of topic %s; expected %s", clip(h.typ, 80), p.topic, p.typ.name)
	}
	return p, nil
}

// turnAway tells the peer why it is refused, if it listens, and returns that.
func (n *Node) turnAway(c net.Conn, why error) error {
	_, _ = c.Write(newHeader("error", why.Error()))
	return why
}
