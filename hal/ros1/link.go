package ros1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/apislave"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// link keeps one subscription connected to one publisher for as long as the master lists that.
type link struct {
	s    *Sub
	name string
	// listed says whether the master names the publisher; over that run has ended.
	listed, over atomic.Bool
	retry        chan struct{}

	lastDetail string
	lastReport time.Duration
}

func newLink(s *Sub, name string) *link {
	l := &link{s: s, name: name, retry: make(chan struct{}, 1)}
	l.listed.Store(true)
	return l
}

// poke ends a pause before the next attempt.
func (l *link) poke() {
	select {
	case l.retry <- struct{}{}:
	default:
	}
}

func (l *link) setListed(listed bool) {
	if was := l.listed.Swap(listed); was == listed {
		return
	}
	if listed {
		l.poke()
		return
	}
	l.s.n.rep.Emit(&bus.Event{
		Kind: bus.PublisherUnlisted, Topic: l.s.topic, Name: l.name,
		Detail: "the master no longer lists this publisher; its connection is kept while it lives",
	})
	l.poke()
}

// run connects, reads and tries again until ctx ends or the publisher is neither connected nor listed.
func (l *link) run(ctx context.Context) {
	defer func() {
		l.over.Store(true)
		l.s.n.asked.Store(true) // the next poll looks again whether somebody is to be connected
	}()
	lim := &l.s.n.cfg.Limits
	pause := lim.RetryMin
	for ctx.Err() == nil && l.listed.Load() {
		began := l.s.n.cfg.Clock()
		connected, err := l.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		if !connected {
			l.report(err)
		}
		if connected && l.s.n.cfg.Clock()-began > lim.RetryMax {
			pause = lim.RetryMin
		}
		if !l.wait(ctx, pause) {
			pause = min(2*pause, lim.RetryMax)
		} else {
			pause = lim.RetryMin
		}
	}
}

// wait pauses; it returns true if it was poked.
func (l *link) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-l.retry:
		return true
	case <-t.C:
	}
	return false
}

// reportAgain is after what time a publisher that still fails in the same way is reported again.
const reportAgain = 10 * time.Second

// report tells why an attempt failed, once per reason and time.
func (l *link) report(err error) {
	now := l.s.n.cfg.Clock()
	if err == nil || err.Error() == l.lastDetail && now-l.lastReport < reportAgain {
		return
	}
	l.lastDetail, l.lastReport = err.Error(), now
	l.s.n.rep.Emit(&bus.Event{Kind: kindOf(err, bus.PublisherRefused), Topic: l.s.topic, Name: l.name, Detail: err.Error()})
	l.s.n.cfg.Log.Warn().Str("topic", l.s.topic).Str("publisher", l.name).Err(err).Msg("ros publisher not connected")
}

// kindOf turns an error of a connection into the kind of its event.
func kindOf(err error, other bus.EventKind) bus.EventKind {
	var m malformed
	switch {
	case errors.As(err, &m):
		return bus.PublisherMalformed
	case errors.Is(err, errMismatch):
		return bus.PublisherMismatch
	case errors.Is(err, errOversize):
		return bus.PublisherOversize
	case errors.Is(err, errOverdue), isTimeout(err):
		return bus.PublisherTimeout
	}
	return other
}

var (
	errMismatch = errors.New("not what was asked for")
	errOverdue  = errors.New("deadline passed")
)

// attempt makes one connection and reads it to its end.
func (l *link) attempt(ctx context.Context) (connected bool, err error) {
	n := l.s.n
	slave, uri, err := n.lookupNode(ctx, l.name)
	if err != nil {
		return false, err
	}
	at, err := l.requestTopic(ctx, slave)
	if err != nil {
		return false, err
	}
	conn, err := n.dialData(ctx, at.String())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	h, err := l.handshake(conn)
	if err != nil {
		return false, err
	}
	peer := &msg.Peer{ID: n.peerIDs.Add(1), Name: h.callerID, Addr: addrPort(conn.RemoteAddr()), Local: addrPort(conn.LocalAddr()), Strength: msg.Claimed}
	if h.callerID == l.name && sameHost(at.host, slave.host) {
		peer.Strength = msg.SourceBound
	}
	return true, l.read(conn, peer, uri)
}

// requestTopic asks the publisher's slave API where its data is.
func (l *link) requestTopic(ctx context.Context, slave endpoint) (endpoint, error) {
	n := l.s.n
	c := n.newRPC(ctx, slave, slaveAnswerBytes)
	defer c.close()
	api := apislave.NewClient(c.addr, n.cfg.Name, &http.Client{Transport: transport{c}})
	p, err := api.RequestTopic(l.s.topic, [][]any{{"TCPROS"}})
	if err != nil {
		return endpoint{}, fmt.Errorf("requestTopic %s at %s: %w", l.s.topic, c.addr, err)
	}
	if len(p) == 3 {
		proto, okProto := p[0].(string)
		host, okHost := p[1].(string)
		port, okPort := p[2].(int)
		if okProto && okHost && okPort && proto == "TCPROS" {
			return newEndpoint(host, port)
		}
	}
	return endpoint{}, fmt.Errorf("requestTopic %s at %s: answer of %d values; expected [\"TCPROS\", host, port]",
		l.s.topic, c.addr, len(p))
}

// handshake exchanges headers and holds the publisher to them.
func (l *link) handshake(conn net.Conn) (header, error) {
	n, s := l.s.n, l.s
	if err := conn.SetDeadline(time.Now().Add(n.cfg.Limits.HandshakeTimeout)); err != nil {
		return header{}, err
	}
	ours := newHeader("callerid", n.cfg.Name, "topic", s.topic, "type", s.typ.name, "md5sum", s.typ.md5,
		"tcp_nodelay", "1")
	if _, err := conn.Write(ours); err != nil {
		return header{}, fmt.Errorf("handshake: %w", err)
	}
	raw, err := readHeader(conn, n.cfg.Limits.MaxHeaderBytes)
	if err != nil {
		return header{}, fmt.Errorf("handshake: %w", err)
	}
	h, err := parseHeader(raw)
	if err != nil {
		return header{}, fmt.Errorf("handshake: %w", err)
	}
	switch {
	case h.err != "":
		return header{}, fmt.Errorf("publisher refuses: %s", h.err)
	case h.md5 != s.typ.md5 || h.typ != s.typ.name:
		return header{}, fmt.Errorf("publisher sends %s with md5sum %s; expected %s with %s: %w",
			clip(h.typ, 80), clip(h.md5, 40), s.typ.name, s.typ.md5, errMismatch)
	case h.topic != "" && h.topic != s.topic:
		return header{}, fmt.Errorf("publisher sends topic %s; expected %s: %w", clip(h.topic, 80), s.topic, errMismatch)
	case !s.allowed(h.callerID):
		return header{}, fmt.Errorf("publisher calls itself %s, which is not in the allow list", clip(h.callerID, 80))
	}
	return h, conn.SetDeadline(time.Time{})
}

// read delivers messages until the connection ends.
func (l *link) read(conn net.Conn, peer *msg.Peer, uri string) error {
	n, s := l.s.n, l.s
	st, err := newStream(conn, s.newDecoder(peer), s)
	if err != nil {
		return err
	}
	n.rep.Emit(&bus.Event{Kind: bus.PublisherConnected, Topic: s.topic, Name: l.name, Peer: peer})
	l.lastDetail = ""
	s.count.connected.Add(1)
	n.addFeed(feed{peer: peer, topic: s.topic, uri: uri})
	w := n.dog.add(st, s.idle)
	err = st.run()
	if why := n.dog.remove(w); why != nil {
		err = why
	}
	n.dropFeed(peer)
	s.count.connected.Add(-1)
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("the publisher closed the connection")
	case errors.Is(err, net.ErrClosed):
		err = errors.New("the subscription is closed")
	}
	if s.ctx.Err() == nil {
		if kind := kindOf(err, bus.PublisherGone); kind != bus.PublisherGone {
			n.rep.Emit(&bus.Event{Kind: kind, Topic: s.topic, Name: l.name, Peer: peer, Detail: err.Error()})
		}
	}
	n.rep.Emit(&bus.Event{Kind: bus.PublisherGone, Topic: s.topic, Name: l.name, Peer: peer, Detail: err.Error()})
	return err
}

func addrPort(at net.Addr) netip.AddrPort {
	if a, ok := at.(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// receiveBuffer keeps the kernel from queueing seconds of stale data before us.
const receiveBuffer = 128 << 10

// dialData connects to a publisher; the receive buffer must be set before the handshake of TCP.
func (n *Node) dialData(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{
		Timeout: n.cfg.Limits.DialTimeout,
		Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if cerr := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
			}); cerr != nil {
				return cerr
			}
			return err
		},
	}
	return d.DialContext(ctx, "tcp", addr)
}

// dialTCP connects for XML-RPC and services.
func (n *Node) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: n.cfg.Limits.DialTimeout}
	return d.DialContext(ctx, "tcp", addr)
}
