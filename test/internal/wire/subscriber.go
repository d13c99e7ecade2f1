package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxMessage bounds the messages that a Subscription takes.
const maxMessage = 32 << 20

// Message is one received message. Body is valid only during the call.
type Message struct {
	// Body is the serialised message, At when it was read.
	Body []byte
	At   time.Time
	// Caller is the publisher's claimed name, Remote its address.
	Caller string
	Remote net.Addr
}

// Subscription follows the publishers of one topic.
type Subscription struct {
	n          *Node
	topic      string
	typ        Type
	fn         func(Message)
	registered bool
	mu         sync.Mutex
	live       map[string]context.CancelFunc
}

// Subscribe registers at the master and follows its publisher list, as client libraries do. fn is called from one
// goroutine per publisher.
func (n *Node) Subscribe(ctx context.Context, topic string, typ Type, fn func(Message)) (*Subscription, error) {
	s := &Subscription{n: n, topic: topic, typ: typ, fn: fn, live: map[string]context.CancelFunc{}}
	n.mu.Lock()
	n.subs[topic] = s
	n.mu.Unlock()
	v, err := n.call(ctx, "registerSubscriber", topic, typ.Name, n.URI())
	if err != nil {
		return nil, fmt.Errorf("wire: subscribe to %s: %w", topic, err)
	}
	n.mu.Lock()
	s.registered = true
	n.mu.Unlock()
	s.update(v)
	return s, nil
}

// update follows a new list of publishers.
func (s *Subscription) update(list any) {
	uris, _ := list.([]any)
	want := map[string]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range uris {
		uri, _ := u.(string)
		want[uri] = true
		if s.live[uri] == nil && s.n.ctx.Err() == nil {
			ctx, cancel := context.WithCancel(s.n.ctx)
			s.live[uri] = cancel
			s.n.wg.Go(func() { s.follow(ctx, uri) })
		}
	}
	for uri, cancel := range s.live {
		if !want[uri] {
			cancel()
			delete(s.live, uri)
		}
	}
}

// follow reads from one publisher, and connects again, until the publisher leaves the list.
func (s *Subscription) follow(ctx context.Context, uri string) {
	for ctx.Err() == nil {
		if addr, err := RequestTopic(ctx, uri, s.n.cfg.Name, s.topic); err == nil {
			if c, err := DialTopic(ctx, addr, s.n.cfg.Name, s.topic, s.typ); err == nil {
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				_ = Receive(c, s.fn) // however it ended, it is tried again
				stop()
				_ = c.Close()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Receive calls fn for each message on the connection until it ends, and returns why it ended.
func Receive(c *Conn, fn func(Message)) error {
	r := bufio.NewReaderSize(c, 64<<10)
	caller, remote := c.Peer["callerid"], c.RemoteAddr()
	var buf []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return err
		}
		n := int(binary.LittleEndian.Uint32(size[:]))
		if n > maxMessage {
			return fmt.Errorf("wire: message of %d bytes, at most %d expected", n, maxMessage)
		}
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return err
		}
		fn(Message{Body: buf[:n], At: time.Now(), Caller: caller, Remote: remote})
	}
}
