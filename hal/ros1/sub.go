package ros1

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// SubStats counts what a subscription has seen.
type SubStats struct {
	// Delivered counts messages handed to the handler.
	Delivered uint64
	// Skipped counts messages passed over for a newer one or for the rate cap.
	Skipped uint64
	// Malformed counts messages that did not decode.
	Malformed uint64
	// Connected is the number of publishers connected now.
	Connected int
}

// Sub is a running subscription.
type Sub struct {
	n     *Node
	topic string
	typ   wireType
	allow []string
	any   bool
	mode  bus.Mode
	max   int
	pace  pacer
	idle  time.Duration
	// newDecoder makes the decoder of one connection.
	newDecoder func(*msg.Peer) decoder
	count      counters

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	links   map[string]*link
	refused map[string]bool
}

// Stats reads the counters; it may be called from any goroutine.
func (s *Sub) Stats() SubStats {
	return SubStats{
		Delivered: s.count.delivered.Load(),
		Skipped:   s.count.skipped.Load(),
		Malformed: s.count.malformed.Load(),
		Connected: int(s.count.connected.Load()),
	}
}

// Close disconnects from every publisher and waits for the handlers to return; so a handler must not call it.
func (s *Sub) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.n.forget(s)
}

// subscribe checks what the caller asked for. fallback is the mode for Subscription.Mode 0.
func (n *Node) subscribe(c bus.Subscription, typ string, fallback bus.Mode, mk func(*msg.Peer) decoder) (*Sub, error) {
	if !validName(c.Topic) {
		return nil, fmt.Errorf("ros1: topic %s is not a global name; expected one such as \"/odom\"", clip(c.Topic, 80))
	}
	if c.Type != "" && c.Type != typ {
		return nil, fmt.Errorf("ros1: topic %s: type %s; expected %s", c.Topic, clip(c.Type, 80), typ)
	}
	t, err := lookupType(typ)
	if err != nil {
		return nil, err
	}
	return n.subscribeAs(c, t, fallback, mk)
}

// subscribeAs subscribes to what is known to be of type t.
func (n *Node) subscribeAs(c bus.Subscription, t wireType, fallback bus.Mode, mk func(*msg.Peer) decoder) (*Sub, error) {
	if !validName(c.Topic) {
		return nil, fmt.Errorf("ros1: topic %s is not a global name; expected one such as \"/odom\"", clip(c.Topic, 80))
	}
	if (len(c.Allow) == 0) == !c.AllowAny {
		return nil, fmt.Errorf("ros1: topic %s: give the names of the nodes that may publish, or AllowAny, and not both", c.Topic)
	}
	for _, a := range c.Allow {
		if !validName(a) {
			return nil, fmt.Errorf("ros1: topic %s: allowed publisher %s is not a global node name", c.Topic, clip(a, 80))
		}
	}
	if c.MaxBytes < 0 || c.MaxRateHz < 0 || c.IdleTimeout < 0 || c.Mode > bus.Every {
		return nil, fmt.Errorf("ros1: topic %s: MaxBytes %d, MaxRateHz %d, IdleTimeout %v, Mode %d; expected none negative and a known mode",
			c.Topic, c.MaxBytes, c.MaxRateHz, c.IdleTimeout, c.Mode)
	}
	s := &Sub{
		n: n, topic: c.Topic, typ: t, allow: slices.Clone(c.Allow), any: c.AllowAny,
		mode: orDefault(c.Mode, fallback), max: orDefault(c.MaxBytes, t.max),
		pace:       pacer{gap: time.Second / time.Duration(orDefault(c.MaxRateHz, bus.DefaultMaxRateHz))},
		idle:       orDefault(c.IdleTimeout, n.cfg.Limits.IdleTimeout),
		newDecoder: mk, links: map[string]*link{}, refused: map[string]bool{},
	}
	s.ctx, s.cancel = context.WithCancel(n.ctx)
	if err := n.adopt(s); err != nil {
		s.cancel()
		return nil, err
	}
	n.Poke()
	return s, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// maxRefused bounds how many names of refused publishers a subscription remembers, so as to report each once.
const maxRefused = 64

// reconcile brings the connections in line with whom the master lists. A live connection is never cut for the master's
// word: a forged unregister must not silence a feed.
func (s *Sub) reconcile(listed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for name, l := range s.links {
		if l.over.Load() {
			delete(s.links, name)
			continue
		}
		l.setListed(slices.Contains(listed, name))
	}
	for name := range s.refused {
		if !slices.Contains(listed, name) {
			delete(s.refused, name)
		}
	}
	for _, name := range listed {
		if _, ok := s.links[name]; ok {
			continue
		}
		switch {
		case !s.allowed(name):
			s.refuse(name, "publisher is not in the allow list; not connected")
		case len(s.links) >= s.n.cfg.Limits.MaxPublishers:
			s.refuse(name, fmt.Sprintf("more than %d publishers; not connected", s.n.cfg.Limits.MaxPublishers))
		default:
			l := newLink(s, name)
			s.links[name] = l
			s.wg.Go(func() { l.run(s.ctx) })
		}
	}
}

func (s *Sub) refuse(name, why string) {
	if s.refused[name] || len(s.refused) >= maxRefused {
		return
	}
	s.refused[name] = true
	s.n.rep.Emit(&bus.Event{Kind: bus.PublisherRefused, Topic: s.topic, Name: clipName(name), Detail: why})
}

// clipName bounds a name that came from the master.
func clipName(name string) string {
	if validName(name) {
		return name
	}
	return clip(name, 80)
}

func (s *Sub) allowed(name string) bool {
	return validName(name) && (s.any || slices.Contains(s.allow, name))
}

// wake makes every publisher in a pause be tried again now.
func (s *Sub) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		l.poke()
	}
}
