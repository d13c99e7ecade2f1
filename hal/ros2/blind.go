package ros2

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Blindness says what is on this bus that the node cannot see. Each number greater than zero is a limit of every
// statement about the bus.
type Blindness struct {
	// Secured counts participants that speak DDS Security: their endpoints and data are hidden from us.
	Secured int
	// SharedMemory counts participants of Fast DDS that are not alone on their computer. Such exchange data through
	// shared memory, which is on no wire: we get what they publish, but not what somebody injects there.
	SharedMemory int
	// Refused counts participants that announced themselves lately and were not taken in: there was no room, or no address of
	// theirs that we send to. What they write is not seen, and whoever takes them in may follow them.
	Refused int
	// Fleeting counts, since the start, writers of watched topics that left before it was known whose they were.
	Fleeting uint64
}

// Blind counts the participants that limit what the node can see. It counts anew when they have changed, so that who asks
// once a second makes no garbage.
func (n *Node) Blind() Blindness {
	now := n.part.Generation() // before the list: what changes in between is counted at the next call
	last := n.blind.Load()
	if last == nil || last.generation != now {
		last = &counted{now, blindness(n.part.Participants())}
		n.blind.Store(last)
	}
	b := last.Blindness
	b.Refused, b.Fleeting = n.strangers.count(n.cfg.Clock())
	return b
}

// counted is what was counted at one generation of the participant's knowledge.
type counted struct {
	generation uint64
	Blindness
}

func blindness(list []*rtps.RemoteParticipant) Blindness {
	var b Blindness
	at := map[netip.Addr]int{}
	for _, p := range list {
		if p.Secured {
			b.Secured++
		}
		if p.Vendor == vendorFastDDS {
			at[p.Source.Addr()]++
		}
	}
	for _, k := range at {
		if k > 1 {
			b.SharedMemory += k
		}
	}
	return b
}

// strangers remembers who was there and never became known.
type strangers struct {
	mu sync.Mutex
	// refused holds when a participant was last not taken in, at most maxStrangers of them.
	refused  map[wire.GUID]time.Duration
	fleeting uint64
}

const (
	// maxStrangers bounds how many refused participants are told apart; a flood of them counts as so many.
	maxStrangers = 256
	// refusedFor is how long a refusal counts. Whoever is still there announces himself within it.
	refusedFor = 30 * time.Second
)

// refuse notes that a participant was not taken in.
func (s *strangers) refuse(g wire.GUID, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = map[wire.GUID]time.Duration{}
	}
	if _, known := s.refused[g]; !known && len(s.refused) >= maxStrangers {
		s.forget(now)
		if len(s.refused) >= maxStrangers {
			return
		}
	}
	s.refused[g] = now
}

// forget drops those that have not come again. The caller holds mu.
func (s *strangers) forget(now time.Duration) {
	for g, at := range s.refused {
		if now-at >= refusedFor {
			delete(s.refused, g)
		}
	}
}

func (s *strangers) count(now time.Duration) (refused int, fleeting uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	return len(s.refused), s.fleeting
}

// left looks at an endpoint that is gone. A writer of a watched topic whose node was not known yet was never in a graph, so
// it is told and counted here; a flood of such may be told, and counted, as fewer. One that may have asked for goals behind a
// gate is told as a conflict.
func (n *Node) left(e *rtps.Event) {
	if e.Endpoint == nil || !e.Endpoint.Writer {
		return
	}
	now := n.cfg.Clock()
	watched, goals := n.isWatched(e.Topic, e.Endpoint, now)
	if !watched {
		return
	}
	if !n.identify(e.Endpoint).settled {
		n.strangers.mu.Lock()
		n.strangers.fleeting++
		n.strangers.mu.Unlock()
	} else if !goals {
		return
	}
	kind := bus.PublisherRefused
	if goals {
		kind = bus.PublisherConflict
	}
	n.rep.Emit(&bus.Event{
		Kind: kind, Topic: rosTopic(e.Topic), Name: n.nameOf(e.Endpoint),
		Detail: fmt.Sprintf("a writer left before it was known whose it was, %v after it was first seen: %s",
			(now - n.faces.since(e.Endpoint, now)).Round(time.Millisecond), e.Detail),
	})
}

// isWatched tells whether a topic is watched, by its name on the wire, and whether a writer of it that is gone may have asked
// for goals there, past a gate.
func (n *Node) isWatched(dds string, e *rtps.Endpoint, now time.Duration) (watched, goals bool) {
	for _, w := range n.watching() {
		if w.dds == dds {
			watched, goals = true, goals || w.passed(e, now)
		}
	}
	return watched, goals
}
