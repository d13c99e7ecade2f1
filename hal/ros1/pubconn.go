package ros1

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// pubConn is one subscriber of one of our topics. The publisher's goroutine writes to it without waiting; what does not
// fit is finished by the connection's own goroutine, which then sends the newest message and none in between.
type pubConn struct {
	p    *Publisher
	conn net.Conn
	raw  syscall.RawConn
	peer *msg.Peer
	// prior is true for a name in Publication.Consumers.
	prior bool
	wake  chan struct{}
	gone  chan struct{}
	once  sync.Once

	// Under p.mu:
	tail   []byte // what is left of a message that has begun
	tailAt int
	behind bool // the newest message is still to be sent
	failed error

	out     []byte // what writeNow is to write
	wrote   int
	wrErr   error
	control func(fd uintptr)
	drain   func(fd uintptr) bool
}

func newPubConn(p *Publisher, conn *net.TCPConn, peer *msg.Peer) (*pubConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &pubConn{
		p: p, conn: conn, raw: raw, peer: peer, prior: slices.Contains(p.consumers, peer.Name),
		wake: make(chan struct{}, 1), gone: make(chan struct{}), tail: make([]byte, 0, 4+p.max),
	}
	c.control = c.writeNow
	c.drain = c.drainNow
	return c, nil
}

// writeNow is one write that does not wait.
func (c *pubConn) writeNow(fd uintptr) {
	n, errno := send(fd, c.out)
	c.wrote, c.wrErr = n, nil
	if errno != 0 {
		c.wrErr = errno
	}
}

// offer writes a new frame and reports whether the socket took all of it. The caller holds p.mu.
func (c *pubConn) offer(frame []byte) bool {
	if c.failed != nil || len(c.tail) > 0 || c.behind {
		c.behind = true
		return false
	}
	c.out = frame
	// Control, unlike Write, waits for nobody: the connection's own goroutine may be waiting in Write.
	if err := c.raw.Control(c.control); err != nil {
		c.wrote, c.wrErr = 0, err
	}
	return c.took(frame)
}

// took notes how far a write of frame came.
func (c *pubConn) took(frame []byte) bool {
	n := max(c.wrote, 0)
	switch {
	case n == len(frame):
		return true
	case c.wrErr != nil && !errors.Is(c.wrErr, syscall.EAGAIN):
		c.failed = c.wrErr
	case n == 0:
		c.behind = true
	default:
		c.tail, c.tailAt = append(c.tail[:0], frame[n:]...), 0
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return false
}

// drainNow finishes what has begun and then sends the newest message; false waits for room.
func (c *pubConn) drainNow(fd uintptr) bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.failed != nil {
		return true
	}
	if len(c.tail) > 0 {
		c.out = c.tail[c.tailAt:]
		c.writeNow(fd)
		if c.wrErr != nil && !errors.Is(c.wrErr, syscall.EAGAIN) {
			c.failed = c.wrErr
			return true
		}
		c.tailAt += max(c.wrote, 0)
		if c.tailAt < len(c.tail) {
			return false
		}
		c.tail = c.tail[:0]
	}
	if !c.behind {
		return true
	}
	c.behind = false
	c.out = c.p.frame
	c.writeNow(fd)
	return c.took(c.p.frame) || c.failed != nil
}

// serve writes what publishing left over, until the subscriber is gone.
func (c *pubConn) serve() {
	stall := c.p.n.cfg.Limits.StallTimeout
	for {
		select {
		case <-c.gone:
			return
		case <-c.wake:
		}
		if err := c.conn.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			c.drop(bus.SubscriberGone, err.Error())
			return
		}
		err := c.raw.Write(c.drain)
		c.p.mu.Lock()
		failed := c.failed
		c.p.mu.Unlock()
		switch {
		case err != nil && isTimeout(err):
			c.drop(bus.SubscriberStalled, fmt.Sprintf("the subscriber took nothing for %v", stall))
			return
		case err != nil:
			c.drop(bus.SubscriberGone, err.Error())
			return
		case failed != nil:
			c.drop(bus.SubscriberGone, failed.Error())
			return
		}
	}
}

// maxSubscriberBytes bounds what a subscriber may send after its header; honest ones send nothing.
const maxSubscriberBytes = 4 << 10

// listen reads until the subscriber leaves, for only reading tells that it has.
func (c *pubConn) listen() {
	var b [512]byte
	for total := 0; ; {
		n, err := c.conn.Read(b[:])
		total += n
		if err != nil {
			why := err.Error()
			if errors.Is(err, net.ErrClosed) {
				why = "closed"
			}
			c.drop(bus.SubscriberGone, why)
			return
		}
		if total > maxSubscriberBytes {
			c.drop(bus.SubscriberRefused, "the subscriber sends data; expected none after its header")
			return
		}
	}
}

// join makes the subscriber one of the topic's; a latched message is its first.
func (c *pubConn) join() error {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	limit, others := p.n.cfg.Limits.MaxConnectionsPerTopic, 0
	first := 0
	for i, o := range p.conns {
		if o.prior {
			first = i + 1
		} else {
			others++
		}
	}
	reserved := 0
	if len(p.consumers) > 0 {
		reserved = limit / 2
	}
	if len(p.conns) >= limit || !c.prior && others >= limit-reserved {
		return fmt.Errorf("topic has %d subscribers already", len(p.conns))
	}
	if !c.prior {
		first = len(p.conns)
	}
	p.conns = slices.Insert(p.conns, first, c)
	if p.latch && len(p.frame) > 0 {
		c.offer(p.frame)
	}
	return nil
}

// drop ends the connection and says why, once.
func (c *pubConn) drop(kind bus.EventKind, why string) {
	c.once.Do(func() {
		p := c.p
		p.mu.Lock()
		if i := slices.Index(p.conns, c); i >= 0 {
			p.conns = slices.Delete(p.conns, i, i+1)
		}
		p.mu.Unlock()
		close(c.gone)
		c.conn.Close()
		p.n.release(c.peer)
		p.n.rep.Emit(&bus.Event{Kind: kind, Topic: p.topic, Name: c.peer.Name, Peer: c.peer, Detail: why})
	})
}
