package rtps

import (
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// WriterConfig says what to offer.
type WriterConfig struct {
	// Topic and Type are names as on the wire, 1 to MaxName bytes.
	Topic, Type string
	// Reliable offers repair of lost samples, as long as they are among the last Depth.
	Reliable bool
	// TransientLocal hands the last Depth samples to readers that come later and ask for them. It needs Reliable.
	TransientLocal bool
	// Keyed says that the type has a key; ROS 2's have none.
	Keyed bool
	// Depth is how many samples are kept, 1 to MaxDepth; 0 takes 1.
	Depth int
	// MaxSample caps the payload in bytes, encapsulation included; 0 takes DefaultMaxSample. Depth·MaxSample bytes are
	// kept for the writer.
	MaxSample int
	// UserData is the endpoint's user data, at most MaxUserData bytes.
	UserData []byte
	// FirstReaders names the readers that matter: they are sent to first, and half of Limits.ReadersPerWriter is kept for
	// them. It is asked when a reader is matched and by Rematch, on the goroutine of OnEvent. It may be nil.
	FirstReaders func(*RemoteReader) bool
	// OnMatch is told of readers that are sent to from now on, and of those that are no longer, on the goroutine of
	// OnEvent. It may be nil.
	OnMatch func(r *RemoteReader, matched bool)
}

// Sent says what became of one sample.
type Sent struct {
	// Delivered counts the readers to whom the whole sample was handed to the socket.
	Delivered int
	// Behind counts the readers for whom the socket had no room; reliable ones get it later, or a newer one.
	Behind int
	// Superseded is true if a sample with a higher sequence number was there before; then nothing was sent.
	Superseded bool
	// Seq is the sample's number on the wire, 0 if Superseded.
	Seq wire.SeqNum
}

// NewWriter makes a writer and announces it.
func (p *Participant) NewWriter(c WriterConfig) (*Writer, error) { return p.newWriter(c) }

// GUID is the writer's own.
func (w *Writer) GUID() wire.GUID { return w.guid }

// Topic is the topic's name on the wire.
func (w *Writer) Topic() string { return w.cfg.Topic }

// Write sends payload (with its four bytes of encapsulation) to every matched reader, unless something with a higher seq
// was written before. It copies payload, never waits and never allocates.
func (w *Writer) Write(seq uint64, payload []byte) (Sent, error) { return w.write(seq, payload) }

// Acked tells whether every reliable reader has acknowledged everything that was written. Without readers it is true.
func (w *Writer) Acked() bool { return w.acked() }

// Readers is the number of readers that are matched now.
func (w *Writer) Readers() int { return w.readers() }

// Matched lists the readers that are matched now.
func (w *Writer) Matched() []*RemoteReader { return w.matched() }

// Rematch asks FirstReaders again about every matched reader. It does not wait for the answers.
func (w *Writer) Rematch() { w.p.reorder(w) }

// Close ends the writer and announces that.
func (w *Writer) Close() { w.p.closeWriter(w) }
