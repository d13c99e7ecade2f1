package rtps

import (
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
	// Payload is the serialised data with its four bytes of encapsulation.
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

// NewReader makes a reader and announces it. Its Handler may be called before NewReader returns.
func (p *Participant) NewReader(c ReaderConfig) (*Reader, error) { return p.newReader(c) }

// GUID is the reader's own.
func (r *Reader) GUID() wire.GUID { return r.guid }

// Topic is the topic's name on the wire.
func (r *Reader) Topic() string { return r.cfg.Topic }

// Rematch asks Accept again about every writer of the topic. It does not wait for the answers.
func (r *Reader) Rematch() { r.p.rematch(r) }

// Writers lists the writers that are matched and accepted now.
func (r *Reader) Writers() []*RemoteWriter { return r.p.writersOf(r) }

// Stats counts.
func (r *Reader) Stats() ReaderStats { return r.stats() }

// Close ends the reader and announces that. A Handler that runs on another goroutine may still be returning afterwards.
func (r *Reader) Close() { r.p.closeReader(r) }
