package rtps

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// ReaderConfig says what to read and from whom.
type ReaderConfig struct {
	// Topic and Type are names as on the wire, 1 to MaxName bytes. Writers of another type are not matched.
	Topic, Type string
	// Reliable asks for every sample, in order. Such a reader is matched with reliable writers only. It always
	// acknowledges, whoever writes and whether taken or not, so that it cannot hold up a writer.
	Reliable bool
	// TransientLocal asks for what was written before we came. It needs Reliable.
	TransientLocal bool
	// Keyed says that the type has a key; ROS 2's have none.
	Keyed bool
	// MaxSample caps the payload of one sample in bytes, encapsulation included; 0 takes DefaultMaxSample. Longer ones are
	// refused and counted.
	MaxSample int
	// MaxRateHz caps the samples per second of one writer that Handler sees; 0 takes DefaultMaxRateHz. Those above it are
	// counted as skipped.
	MaxRateHz int
	// PerParticipant bounds the writers of one participant that are matched; 0 takes as many as there is room for.
	PerParticipant int
	// UserData is the endpoint's user data, at most MaxUserData bytes.
	UserData []byte
	// Accept decides whether a writer is listened to; nil takes everybody. It is asked when the writer appears and again
	// after Rematch, on the goroutine of OnEvent. A refused writer's latest sample is kept, if reader and writer are
	// transient-local, in case it is accepted later.
	Accept func(*RemoteWriter) bool
	// Handler is called for every sample, on the goroutine that reads the socket, with no lock held; it must not wait. It
	// may call Write of any writer. The sample is valid during the call only. Calls of one participant do not overlap.
	Handler func(*Sample)
	// OnMatch is told that an accepted writer's samples may come from now on, and that they have ended: it left, it closed,
	// its lease has run out, it changed, or Rematch refused it. It is called on the goroutine of OnEvent, in order. When
	// matched is false, a Handler for it may still be returning. It may be nil.
	OnMatch func(w *RemoteWriter, matched bool)
}

// Sample is one sample. It, its Payload included, is valid during Handler only.
type Sample struct {
	// Writer is who wrote it.
	Writer *RemoteWriter
	// Seq is the writer's number of it.
	Seq wire.SeqNum
	// Stamp is the source's time in nanoseconds since the Unix epoch, 0 where it gave none.
	Stamp int64
	// Boot is when it was received, on the boot clock.
	Boot time.Duration
	// Payload is the serialised data with its four bytes of encapsulation. RTPS pads it to a multiple of four bytes, or not.
	Payload []byte
	// Related is the sample that this one answers, as services of Fast DDS say it; RelatedSeq is 0 where there is none.
	Related    wire.GUID
	RelatedSeq wire.SeqNum
}

// ReaderStats counts since the reader was made.
type ReaderStats struct {
	// Received counts samples given to Handler, Bytes their payload.
	Received, Bytes uint64
	// Skipped counts samples above MaxRateHz.
	Skipped uint64
	// Refused counts samples above MaxSample or above what Limits lets a writer occupy.
	Refused uint64
	// Lost counts samples that a reliable writer said it no longer has.
	Lost uint64
	// Duplicates counts samples that had been there before.
	Duplicates uint64
	// Conflicts counts samples that differ from another of the same writer and number.
	Conflicts uint64
	// Unaccepted counts samples of writers that Accept refused.
	Unaccepted uint64
	// Writers counts the writers that are matched and accepted now.
	Writers int
}

// Reader reads one topic.
type Reader struct {
	p    *Participant
	guid wire.GUID
	cfg  ReaderConfig
	data wire.EndpointData
	max  int

	closed  atomic.Bool
	matches map[wire.GUID]*match // guarded by Participant.mu
	counts  readerCounts
}

type readerCounts struct {
	received, bytes, skipped, refused, lost, duplicates, conflicts, unaccepted atomic.Uint64
}

// NewReader makes a reader and announces it. Its Handler may be called before NewReader returns.
func (p *Participant) NewReader(c ReaderConfig) (*Reader, error) {
	c.MaxSample, c.MaxRateHz = orDefault(c.MaxSample, DefaultMaxSample), orDefault(c.MaxRateHz, DefaultMaxRateHz)
	if err := checkEndpoint("reader", c.Topic, c.Type, c.UserData, c.MaxSample, c.Reliable, c.TransientLocal); err != nil {
		return nil, err
	}
	if c.MaxRateHz < 1 || c.Handler == nil {
		return nil, fmt.Errorf("rtps: reader of %s: rate %d Hz, handler given: %t; expected 1 or more and a handler",
			c.Topic, c.MaxRateHz, c.Handler != nil)
	}
	c.UserData = slices.Clone(c.UserData)
	r := &Reader{p: p, cfg: c, max: c.MaxSample, matches: map[wire.GUID]*match{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.mayAdd(len(p.readers)); err != nil {
		return nil, err
	}
	r.guid = p.newGUID(0x04, 0x07, c.Keyed)
	r.data = p.description(r.guid, c.Topic, c.Type, c.UserData, c.Reliable, c.TransientLocal)
	if err := p.subs.announce(p.cfg.Clock(), r.guid.Entity, wire.AppendEndpoint(nil, &r.data)); err != nil {
		return nil, err
	}
	p.readers[r.guid.Entity] = r
	for _, rm := range p.remotes {
		for _, ep := range rm.endpoints {
			if ep.Writer {
				p.matchWriter(r, ep)
			}
		}
	}
	p.flushAll()
	return r, nil
}

// mayAdd says why there can be no more local endpoints of a kind. The caller holds mu.
func (p *Participant) mayAdd(have int) error {
	if p.closed {
		return ErrClosed
	}
	if have >= p.lim.LocalEndpoints {
		return fmt.Errorf("%w: the limit is %d", ErrTooMany, p.lim.LocalEndpoints)
	}
	return nil
}

// checkEndpoint refuses what no endpoint can be.
func checkEndpoint(what, topic, typ string, userData []byte, maxSample int, reliable, transientLocal bool) error {
	switch {
	case topic == "" || typ == "" || len(topic) > MaxName || len(typ) > MaxName:
		return fmt.Errorf("rtps: %s of topic %.80q, type %.80q: expected names of 1 to %d bytes", what, topic, typ, MaxName)
	case len(userData) > MaxUserData:
		return fmt.Errorf("rtps: %s of %s: user data of %d bytes; expected at most %d", what, topic, len(userData), MaxUserData)
	case maxSample < 4 || maxSample > MaxMaxSample:
		return fmt.Errorf("rtps: %s of %s: MaxSample %d; expected 4 to %d", what, topic, maxSample, MaxMaxSample)
	case transientLocal && !reliable:
		return fmt.Errorf("rtps: %s of %s: transient-local but best effort; what was before can be asked for by reliable readers only", what, topic)
	}
	return nil
}

// newGUID draws the next entity id. The caller holds mu.
func (p *Participant) newGUID(kind, keyedKind byte, keyed bool) wire.GUID {
	if keyed {
		kind = keyedKind
	}
	p.nextEntity++
	n := p.nextEntity
	return wire.GUID{Prefix: p.prefix, Entity: wire.EntityID{byte(n >> 16), byte(n >> 8), byte(n), kind}}
}

// description is what is announced of one of our endpoints.
func (p *Participant) description(g wire.GUID, topic, typ string, userData []byte, reliable, transientLocal bool) wire.EndpointData {
	d := wire.EndpointData{
		GUID: g, Participant: p.GUID(), Topic: topic, Type: typ, QoS: wire.DefaultQoS(g.Entity.Writer()), UserData: userData,
	}
	d.QoS.Reliable = reliable
	if transientLocal {
		d.QoS.Durability = wire.TransientLocal
	}
	d.Unicast.Add(p.user.local)
	return d
}

// GUID is the reader's own.
func (r *Reader) GUID() wire.GUID { return r.guid }

// Topic is the topic's name on the wire.
func (r *Reader) Topic() string { return r.cfg.Topic }

// Rematch asks Accept again about every writer of the topic. It does not wait for the answers.
func (r *Reader) Rematch() { r.p.rematch(r) }

// Writers lists the writers that are matched and accepted now.
func (r *Reader) Writers() []*RemoteWriter { return r.p.writersOf(r) }

// Stats counts.
func (r *Reader) Stats() ReaderStats {
	c := &r.counts
	return ReaderStats{
		Received: c.received.Load(), Bytes: c.bytes.Load(), Skipped: c.skipped.Load(), Refused: c.refused.Load(), Lost: c.lost.Load(),
		Duplicates: c.duplicates.Load(), Conflicts: c.conflicts.Load(), Unaccepted: c.unaccepted.Load(), Writers: len(r.Writers()),
	}
}

// Close ends the reader and announces that. A Handler that runs on another goroutine may still be returning afterwards.
func (r *Reader) Close() {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || r.closed.Swap(true) {
		return
	}
	for _, m := range r.matches {
		p.end(m)
	}
	delete(p.readers, r.guid.Entity)
	p.dirty = true
	p.publish()
	_ = p.subs.withdraw(p.cfg.Clock(), r.guid) // no longer than what was announced before
	p.flushAll()
}

// flushAll sends everything of discovery that is due. The caller holds mu.
func (p *Participant) flushAll() {
	now := p.cfg.Clock()
	for _, r := range p.remotes {
		p.flush(r, now)
	}
	p.kickTimers(now)
}
