package ros2

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// link is one matched writer of a subscription. Its goroutines are the receiving one, that of the participant's events,
// and the node's own.
type link struct {
	s *Sub
	w *rtps.RemoteWriter
	// heard is the boot time of the last sample, or of the match.
	heard atomic.Int64
	// idle is true once its silence was told; it belongs to the node's own goroutine. renamed is when the link got its
	// peer; it belongs to the goroutine of events.
	idle    bool
	renamed time.Duration

	// mu is held while a sample is decoded and handled, which waits for nothing, and by nobody who waits.
	mu     sync.Mutex
	closed bool
	peer   *msg.Peer
	// dec is nil while it is not known who writes; samples are then held, if the subscription holds any.
	dec cdr.Decoder
	// asks is dec if that answers what it reads, else nil.
	asks      asker
	held      []heldSample
	heldBytes int
	// fault is why the last sample that did not decode did not, faults how many since it was told.
	fault  error
	faults uint64
}

// heldSample is a sample that waits for its sender's name.
type heldSample struct {
	payload []byte
	boot    time.Duration
	seq     uint64
	related wire.GUID
}

// asker is a decoder of requests: it is told what each is related to before it reads it.
type asker interface{ relate(to wire.GUID) }

// maxHeld bounds the samples that wait for a name; the oldest give way. Their bytes are bounded by the subscription's cap
// of one message.
const maxHeld = 16

// sample is the handler of every reader: one writer's next sample.
func (s *Sub) sample(x *rtps.Sample) {
	l, ok := x.Writer.Tag.(*link)
	if !ok {
		return
	}
	l.heard.Store(int64(x.Boot))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case l.dec != nil:
		l.handle(&heldSample{x.Payload, x.Boot, uint64(x.Seq), x.Related})
	default:
		l.hold(x)
	}
}

// handle decodes a sample and hands it to the agent's handler. The caller holds mu.
func (l *link) handle(x *heldSample) {
	if l.asks != nil {
		l.asks.relate(x.related)
	}
	if err := l.dec.Decode(x.payload, x.boot, x.seq); err != nil {
		l.s.count.malformed.Add(1)
		l.fault = err
		l.faults++
		return
	}
	l.s.count.delivered.Add(1)
}

// hold keeps a copy of the sample until its sender has a name. The caller holds mu.
func (l *link) hold(x *rtps.Sample) {
	if !l.s.holds || len(x.Payload) > l.s.max {
		l.s.count.skipped.Add(1)
		return
	}
	for len(l.held) > 0 && (len(l.held) == maxHeld || l.heldBytes+len(x.Payload) > l.s.max) {
		l.heldBytes -= len(l.held[0].payload)
		l.held = l.held[1:]
		l.s.count.skipped.Add(1)
	}
	l.held = append(l.held, heldSample{append([]byte(nil), x.Payload...), x.Boot, uint64(x.Seq), x.Related})
	l.heldBytes += len(x.Payload)
}

// become makes the link that of the given sender: it announces the peer, after the farewell of the one before, and then
// hands over what waited. It is called on the goroutine of the participant's events only.
func (l *link) become(id identity, now time.Duration) {
	old := l.stop()
	if old != nil {
		l.gone(old, fmt.Sprintf("the writer goes by the name %s now, %s", id.name, id.strength))
	}
	p := &msg.Peer{
		ID: l.s.n.peerIDs.Add(1), Name: id.name, Strength: id.strength,
		Addr: l.w.Participant.DataSource(), Local: l.s.n.part.LocalData(),
	}
	l.s.count.connected.Add(1)
	l.s.n.rep.Emit(&bus.Event{
		Kind: bus.PublisherConnected, Topic: l.s.topic, Name: p.Name, Peer: p,
		Detail: fmt.Sprintf("writer %v of vendor %d.%d", l.w.GUID, l.w.Participant.Vendor[0], l.w.Participant.Vendor[1]),
	})
	if id.rival != nil {
		l.s.n.rep.Emit(&bus.Event{
			Kind: bus.PublisherConflict, Topic: l.s.topic, Name: p.Name, Peer: p,
			Detail: fmt.Sprintf("a participant at %v has a node of this name too, and lives", id.rival.Source),
		})
	}
	l.renamed = now
	if !l.start(p) {
		l.gone(p, "the subscription is closed")
	}
	l.s.n.stir() // who is known to be a consumer may have changed
}

// gone tells the farewell of a peer.
func (l *link) gone(p *msg.Peer, why string) {
	l.s.count.connected.Add(-1)
	l.s.n.rep.Emit(&bus.Event{Kind: bus.PublisherGone, Topic: l.s.topic, Name: p.Name, Peer: p, Detail: why})
}

// stop ends the delivery under the present name, which it returns.
func (l *link) stop() *msg.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.peer
	l.peer, l.dec, l.asks = nil, nil, nil
	return old
}

// start begins the delivery as p, with what waited, unless the link was ended meanwhile.
func (l *link) start(p *msg.Peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.peer, l.dec = p, l.s.newDecoder(p, l.w)
	l.asks, _ = l.dec.(asker)
	for i := range l.held {
		l.handle(&l.held[i])
	}
	l.held, l.heldBytes = nil, 0
	return true
}

// end ends the link for good and tells so. It waits for a handler that is running.
func (l *link) end(why string) {
	l.mu.Lock()
	l.closed = true
	p := l.peer
	l.peer, l.dec, l.asks, l.held = nil, nil, nil, nil
	l.mu.Unlock()
	if p != nil {
		l.gone(p, why)
	}
}

// now returns who the link's messages come from at present, nil while that is not known.
func (l *link) now() *msg.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peer
}

// tell reports samples that did not decode, and once each silence that is longer than the subscription allows.
func (l *link) tell(now time.Duration) {
	l.mu.Lock()
	p, fault, faults := l.peer, l.fault, l.faults
	l.fault, l.faults = nil, 0
	l.mu.Unlock()
	if p == nil {
		return
	}
	if fault != nil {
		l.s.n.rep.Emit(&bus.Event{
			Kind: bus.PublisherMalformed, Topic: l.s.topic, Name: p.Name, Peer: p,
			Detail: fmt.Sprintf("%d messages did not decode, the last: %v", faults, fault),
		})
	}
	silent := now - time.Duration(l.heard.Load())
	if silent <= l.s.idle {
		l.idle = false
		return
	}
	if !l.idle {
		l.idle = true
		l.s.n.rep.Emit(&bus.Event{
			Kind: bus.PublisherTimeout, Topic: l.s.topic, Name: p.Name, Peer: p,
			Detail: fmt.Sprintf("nothing for %v; expected something every %v", silent.Truncate(time.Millisecond), l.s.idle),
		})
	}
}
