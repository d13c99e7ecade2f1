package ros2

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// SubStats counts what a subscription has seen.
type SubStats struct {
	// Delivered counts messages handed to the handler.
	Delivered uint64
	// Skipped counts messages passed over for the rate cap, or while it was not known who sent them.
	Skipped uint64
	// Malformed counts messages that did not decode.
	Malformed uint64
	// Connected is the number of publishers listened to now.
	Connected int
}

// Sub is a running subscription: one to three readers, of which each writer is taken by one.
type Sub struct {
	n *Node
	// topic is the name that the caller gave, dds the one on the wire.
	topic, dds string
	allow      []string
	any        bool
	// want says which readers there are to be.
	want [reaches]bool
	// holds is true if samples wait for their sender's name; others are too short-lived to.
	holds bool
	max   int
	idle  time.Duration
	// newDecoder makes the decoder of one writer's messages.
	newDecoder func(*msg.Peer, *rtps.RemoteWriter) cdr.Decoder
	count      struct {
		delivered, skipped, malformed atomic.Uint64
		connected                     atomic.Int64
	}

	// mu guards what follows and is never held while anything waits.
	mu      sync.Mutex
	closed  bool
	readers [reaches]*rtps.Reader
	links   map[*rtps.RemoteWriter]*link
	refused map[wire.GUID]string
}

// maxRefused bounds how many refused writers a subscription remembers, so as to report each once.
const maxRefused = 64

// Stats reads the counters; it may be called from any goroutine.
func (s *Sub) Stats() SubStats {
	st := SubStats{
		Delivered: s.count.delivered.Load(),
		Skipped:   s.count.skipped.Load(),
		Malformed: s.count.malformed.Load(),
		Connected: int(s.count.connected.Load()),
	}
	for _, r := range s.now() {
		if r != nil {
			st.Skipped += r.Stats().Skipped
		}
	}
	return st
}

// now returns the readers that there are.
func (s *Sub) now() [reaches]*rtps.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readers
}

func (s *Sub) setReader(kind reach, r *rtps.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers[kind] = r
}

// Close ends the subscription and waits for the handlers to return; so a handler must not call it.
func (s *Sub) Close() {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	links := s.links
	s.links = nil
	s.mu.Unlock()
	if already {
		return
	}
	for _, r := range s.now() {
		if r != nil {
			r.Close()
		}
	}
	for _, l := range links {
		l.end("the subscription is closed")
	}
	s.n.forgetSub(s)
}

// accept decides whether one of the readers listens to a writer. It is called on the goroutine of the participant's
// events, for a new writer and after each Rematch, and brings the name of a writer that is listened to up to date.
func (s *Sub) accept(kind reach, w *rtps.RemoteWriter) bool {
	if !takes(s.want, kind, &w.QoS) {
		return false
	}
	id, most := s.n.identify(w.Endpoint), s.n.cfg.Limits.MaxPublishers
	l, named, nameless, closed := s.find(w)
	switch {
	case closed:
		return false
	case !id.settled:
		s.n.wait()
		return l != nil || s.holds && nameless < most
	case !s.allowed(id.name):
		s.refuse(w, id, "publisher is not in the allow list; not listened to")
		return false
	case named >= most && (l == nil || l.now() == nil):
		s.refuse(w, id, fmt.Sprintf("more than %d publishers; not listened to", most))
		return false
	case l != nil:
		s.update(l, id)
	}
	return true
}

// find returns the writer's link, if it has one, and how many writers with and without a name are listened to: a crowd of
// strangers must not take the places of those that are known.
func (s *Sub) find(w *rtps.RemoteWriter) (l *link, named, nameless int, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.links {
		if k.now() != nil {
			named++
		} else {
			nameless++
		}
	}
	return s.links[w], named, nameless, s.closed
}

// renameEvery is the shortest time that a writer keeps a name, so that one that changes it all the time causes no flood.
const renameEvery = time.Second

// update gives a writer that is listened to its new name, if it has one.
func (s *Sub) update(l *link, id identity) {
	now := s.n.cfg.Clock()
	switch p := l.now(); {
	case p == nil:
		l.become(id, now)
	case p.Name == id.name && (p.Strength == id.strength || p.Strength > id.strength && id.rival == nil):
		// Forged datagrams in its name were not taken, so they prove nothing against it. They are told as a conflict.
	case now-l.renamed < renameEvery:
		s.n.wait()
	default:
		l.become(id, now)
	}
}

// match is told what became of a writer that was accepted.
func (s *Sub) match(w *rtps.RemoteWriter, matched bool) {
	defer s.n.stir()
	if !matched {
		s.mu.Lock()
		l := s.links[w]
		delete(s.links, w)
		s.mu.Unlock()
		if l != nil {
			s.part(l)
		}
		return
	}
	l := &link{s: s, w: w}
	l.heard.Store(int64(s.n.cfg.Clock()))
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.links[w] = l
		delete(s.refused, w.GUID)
	}
	s.mu.Unlock()
	if closed {
		return
	}
	w.Tag = l
	// What accept saw may be old by now; whoever got a name since that is not allowed is refused at the next look.
	switch id := s.n.identify(w.Endpoint); {
	case id.settled && s.allowed(id.name):
		s.update(l, id)
	default:
		s.n.wait()
	}
}

// part ends a link. What a sender said that left before its name was known still counts where anybody may speak: a
// command line tool that publishes once is gone that soon.
func (s *Sub) part(l *link) {
	if s.any && l.now() == nil && l.waits() {
		l.become(s.n.identify(l.w.Endpoint), s.n.cfg.Clock())
	}
	l.end("the writer has left, or is no longer listened to")
}

func (l *link) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) > 0
}

// refuse reports a writer that is not listened to, once for each name that it goes by.
func (s *Sub) refuse(w *rtps.RemoteWriter, id identity, why string) {
	s.mu.Lock()
	told := s.refused[w.GUID] == id.name || len(s.refused) >= maxRefused && s.refused[w.GUID] == ""
	if !told {
		s.refused[w.GUID] = id.name
	}
	s.mu.Unlock()
	if !told {
		s.n.rep.Emit(&bus.Event{Kind: bus.PublisherRefused, Topic: s.topic, Name: id.name, Detail: why})
	}
}

func (s *Sub) allowed(name string) bool { return s.any || slices.Contains(s.allow, name) }

// rematch asks again about every writer of the topic.
func (s *Sub) rematch() {
	for _, r := range s.now() {
		if r != nil {
			r.Rematch()
		}
	}
}

// forget drops the refused writers that are not among those present any more.
func (s *Sub) forget(present map[wire.GUID]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for guid := range s.refused {
		if !present[guid] {
			delete(s.refused, guid)
		}
	}
}

// linked appends the writers that are listened to.
func (s *Sub) linked(out []*link) []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		out = append(out, l)
	}
	return out
}

func (s *Sub) hasRefused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.refused) > 0
}
