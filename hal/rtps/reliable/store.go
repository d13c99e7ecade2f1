package reliable

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// minClass is the smallest buffer's size, as a power of two.
const minClass = 8

// minFragment is the fragment size below which a sample of InboxConfig.MaxSample is refused: it bounds the bitmaps.
const minFragment = 256

// minFragments is how many fragments a sample may have however small MaxSample is.
const minFragments = 256

type status uint8

const (
	vacant  status = iota
	partial        // some fragments are missing
	whole          // waits for those before it
	absent         // the writer said that there is none
)

// entry is what is known of one number at or ahead of the next.
type entry struct {
	status status
	sample Sample // its payload is buf, cut to the sample's size
	buf    []byte

	// Of a sample in fragments:
	fragSize, frags, left uint32
	announced             uint32 // fragments up to here the writer has sent, by its HEARTBEAT_FRAG
	have                  []uint64
	at                    time.Duration // when the last new fragment came
}

func (e *entry) has(frag uint32) bool { return e.have[frag/64]&(1<<(frag%64)) != 0 }

// span is where a fragment, counted from 0, lies in the payload.
func (e *entry) span(frag uint32) (from, to int) {
	from = int(frag) * int(e.fragSize)
	return from, min(from+int(e.fragSize), len(e.sample.Payload))
}

// store holds the entries, one for each number modulo their count, and all memory for payloads. Buffers come in sizes of
// powers of two and are used again.
type store struct {
	entries []entry // nil until one is needed: most writers never are ahead of themselves
	places  int
	// newest says who gives way when memory is short: the oldest for best effort, else the latest, since those before it
	// have to be delivered first.
	newest bool
	// done is the last delivered sample that came in fragments; its buffer is kept for comparison while nobody needs it.
	done entry

	partials, maxPartials, maxFrags int
	bitmaps                         [][]uint64
	idle                            [32][][]byte // by class
	bytes, maxBytes, maxSample      int
	evicted                         uint64
}

func newStore(c *InboxConfig) store {
	n := c.MaxPartials
	if c.Reliable {
		n = c.MaxHeld
	}
	return store{
		places: n, newest: !c.Reliable, maxPartials: min(c.MaxPartials, n),
		maxFrags: max(minFragments, c.MaxSample/minFragment+1), maxBytes: c.MaxHeldBytes, maxSample: c.MaxSample,
	}
}

// slot is the place of a number.
func (s *store) slot(seq wire.SeqNum) *entry {
	if s.entries == nil {
		s.entries = make([]entry, s.places)
	}
	return &s.entries[uint64(seq)%uint64(s.places)]
}

// find is the entry of a number, nil if nothing is known of it.
func (s *store) find(seq wire.SeqNum) *entry {
	if s.entries == nil {
		return nil
	}
	if e := s.slot(seq); e.status != vacant && e.sample.Seq == seq {
		return e
	}
	return nil
}

// vacate gives an entry's memory back.
func (s *store) vacate(e *entry) {
	if e.status == partial {
		s.partials--
	}
	if e.buf != nil {
		c := class(cap(e.buf))
		s.idle[c] = append(s.idle[c], e.buf)
	}
	if e.have != nil {
		s.bitmaps = append(s.bitmaps, e.have)
	}
	*e = entry{}
}

// close makes an entry whole whose last fragment came.
func (s *store) close(e *entry) {
	s.partials--
	s.bitmaps = append(s.bitmaps, e.have)
	e.status, e.have = whole, nil
}

// keep keeps a delivered entry for comparison and vacates its place.
func (s *store) keep(e *entry) {
	s.vacate(&s.done)
	s.done, *e = *e, entry{}
}

// free drops idle buffers, the largest first, until n more bytes have room.
func (s *store) free(n int) bool {
	for c := len(s.idle) - 1; c >= 0; c-- {
		for l := len(s.idle[c]); l > 0 && s.bytes+n > s.maxBytes; l-- {
			s.bytes -= cap(s.idle[c][l-1])
			s.idle[c][l-1] = nil
			s.idle[c] = s.idle[c][:l-1]
		}
	}
	return s.bytes+n <= s.maxBytes
}

// class is the power of two that n bytes need.
func class(n int) int { return max(minClass, bits.Len(uint(max(n, 1)-1))) }

// size is the capacity of buffers for n bytes.
func (s *store) size(n int) int { return min(1<<class(n), max(s.maxSample, 1<<minClass)) }

// buffer is memory for n bytes of the sample seq; nil if those that do not give way to it need it all.
func (s *store) buffer(seq wire.SeqNum, n int) []byte {
	c, size := class(n), s.size(n)
	if !s.reachable(seq, size) {
		return nil
	}
	for {
		if l := len(s.idle[c]); l > 0 {
			b := s.idle[c][l-1]
			s.idle[c] = s.idle[c][:l-1]
			return b[:n]
		}
		if s.free(size) {
			s.bytes += size
			return make([]byte, n, size)
		}
		if s.done.status != vacant {
			s.vacate(&s.done)
		} else if !s.evict(seq, false) {
			return nil
		}
	}
}

// reachable tells whether size bytes can be had when all who give way to seq do.
func (s *store) reachable(seq wire.SeqNum, size int) bool {
	stay := 0
	for k := range s.entries {
		if e := &s.entries[k]; !s.yields(e, seq) {
			stay += cap(e.buf)
		}
	}
	return stay+size <= s.maxBytes
}

func (s *store) yields(e *entry, seq wire.SeqNum) bool {
	return e.status != vacant && (e.sample.Seq < seq) == s.newest && e.sample.Seq != seq
}

// evict vacates the entry with memory that has to give way to seq first.
func (s *store) evict(seq wire.SeqNum, partialOnly bool) bool {
	var out *entry
	for k := range s.entries {
		e := &s.entries[k]
		if e.buf == nil || !s.yields(e, seq) || partialOnly && e.status != partial {
			continue
		}
		if out == nil || (e.sample.Seq < out.sample.Seq) == s.newest {
			out = e
		}
	}
	if out == nil {
		return false
	}
	s.vacate(out)
	s.evicted++
	return true
}

// hold copies a sample into its entry; false if it has no room.
func (s *store) hold(v *Sample) bool {
	e := s.slot(v.Seq)
	s.vacate(e)
	var buf []byte
	if len(v.Payload) > 0 {
		if buf = s.buffer(v.Seq, len(v.Payload)); buf == nil {
			return false
		}
		copy(buf, v.Payload)
	}
	*e = entry{status: whole, sample: *v, buf: buf}
	e.sample.Payload = buf
	return true
}

// open begins with a sample in fragments; nil if it has no room.
func (s *store) open(v *Sample, size, fragSize uint32) *entry {
	frags := (size-1)/fragSize + 1
	if int64(size) > int64(s.maxSample) || int64(frags) > int64(s.maxFrags) {
		return nil
	}
	e := s.slot(v.Seq)
	if e.status != vacant && !s.yields(e, v.Seq) {
		return nil
	}
	s.vacate(e)
	if s.partials >= s.maxPartials && !s.evict(v.Seq, true) {
		return nil
	}
	buf := s.buffer(v.Seq, int(size))
	if buf == nil {
		return nil
	}
	*e = entry{status: partial, sample: *v, buf: buf, fragSize: fragSize, frags: frags, left: frags, have: s.bitmap()}
	e.sample.Payload = buf
	s.partials++
	return e
}

func (s *store) bitmap() []uint64 {
	l := len(s.bitmaps)
	if l == 0 {
		return make([]uint64, s.maxFrags/64+1)
	}
	b := s.bitmaps[l-1]
	s.bitmaps = s.bitmaps[:l-1]
	clear(b)
	return b
}

// put takes the fragments from first on, counted from 0, whose bytes are in b. If one of them was there with other bytes,
// none is taken.
func (e *entry) put(now time.Duration, first, n uint32, b []byte) Verdict {
	fresh := uint32(0)
	base, _ := e.span(first)
	for k := first; k < first+n; k++ {
		from, to := e.span(k)
		if !e.has(k) {
			fresh++
		} else if !bytes.Equal(e.buf[from:to], b[from-base:to-base]) {
			return Conflict
		}
	}
	if fresh == 0 {
		return Duplicate
	}
	for k := first; k < first+n; k++ {
		from, to := e.span(k)
		copy(e.buf[from:to], b[from-base:to-base])
		e.have[k/64] |= 1 << (k % 64)
	}
	e.left -= fresh
	e.at = now
	return Held
}

// contradicts tells whether a whole payload differs from the fragments that are there.
func (e *entry) contradicts(p []byte) bool {
	if len(p) != len(e.buf) {
		return true
	}
	for k := range e.frags {
		if from, to := e.span(k); e.has(k) && !bytes.Equal(e.buf[from:to], p[from:to]) {
			return true
		}
	}
	return false
}
