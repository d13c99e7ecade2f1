package journal

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// The ring's positions are counted in granules, so that one word holds both the
// number of records appended and the position of the next one, and one
// compare-and-swap assigns both. Sequence numbers are therefore in ring order
// and no appender ever waits for another.
const (
	granule    = 64
	posBits    = 20
	posMask    = 1<<posBits - 1
	closedBit  = 1 << 63
	maxCount   = 1<<(63-posBits) - 1
	maxRing    = granule << (posBits - 1) // half the position space: full and empty differ
	minRing    = 4096
	ringShares = 4 // the largest record takes at most this fraction of the ring
)

// ring is a bounded queue from many appenders to one writer. The writer frees
// what it holds only after it is on disk, because a failed sync may have lost it.
type ring struct {
	word atomic.Uint64 // records appended or lost << posBits | position of the next
	_    [56]byte      // the writer's word does not share a cache line with the appenders'
	read atomic.Uint64 // position of the oldest granule still in use
	_    [56]byte

	granules uint64
	buf      []byte
	state    []atomic.Uint32 // by first granule of an entry: its payload length + 1, or 0
}

// newRing makes a ring of at least size bytes.
func newRing(size int) *ring {
	n := uint64(minRing / granule)
	for n*granule < uint64(size) {
		n *= 2
	}
	return &ring{granules: n, buf: make([]byte, n*granule), state: make([]atomic.Uint32, n)}
}

// put appends a record and returns its number, counted from 0, and the
// granules in use. If there is no room the number is spent nevertheless: the
// writer sees the hole. A closed ring spends nothing.
func (r *ring) put(base uint64, kind Kind, flags byte, boot time.Duration, payload []byte, fits bool) (n, used uint64, res putResult) {
	need := uint64(recordHead+len(payload)+granule-1) / granule
	for {
		w := r.word.Load()
		pos, count := w&posMask, w>>posBits
		if w&closedBit != 0 || count == maxCount {
			return 0, 0, putClosed
		}
		used = (pos-r.read.Load())&posMask + need
		next := (count+1)<<posBits | pos
		res = putLost
		if fits && used <= r.granules {
			next = (count+1)<<posBits | (pos+need)&posMask
			res = putStored
		}
		// The count only grows, so an unchanged word means an unchanged position
		// and that the room computed above is still there.
		if !r.word.CompareAndSwap(w, next) {
			continue
		}
		if res == putStored {
			r.fill(pos, kind, flags, base+count, boot, payload)
		}
		return count, used, res
	}
}

// putResult says what became of a record.
type putResult uint8

const (
	putClosed putResult = iota
	putLost
	putStored
)

// close makes every later put fail.
func (r *ring) close() { r.word.Or(closedBit) }

// fill copies a record into the granules that put reserved and publishes it.
func (r *ring) fill(pos uint64, kind Kind, flags byte, seq uint64, boot time.Duration, payload []byte) {
	first := pos & (r.granules - 1)
	at := first * granule
	h := r.buf[at : at+recordHead : at+recordHead]
	h[0], h[1], h[2], h[3] = recordMagic[0], recordMagic[1], byte(kind), flags
	binary.LittleEndian.PutUint32(h[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(h[8:], seq)
	binary.LittleEndian.PutUint64(h[16:], uint64(boot))
	n := copy(r.buf[at+recordHead:], payload)
	copy(r.buf, payload[n:])
	r.state[first].Store(uint32(len(payload)) + 1)
}

// entry is what the writer sees of a record in the ring.
type entry struct {
	flags byte
	size  int
	seq   uint64
	boot  time.Duration
}

// peek looks at the record at pos, if it has been published.
func (r *ring) peek(pos uint64) (entry, bool) {
	first := pos & (r.granules - 1)
	s := r.state[first].Load()
	if s == 0 {
		return entry{}, false
	}
	h := r.buf[first*granule:]
	return entry{
		flags: h[3],
		size:  int(s - 1),
		seq:   binary.LittleEndian.Uint64(h[8:]),
		boot:  time.Duration(binary.LittleEndian.Uint64(h[16:])),
	}, true
}

// appendTo appends fixed part and payload of the record at pos to dst and
// returns the position after it.
func (r *ring) appendTo(dst []byte, pos uint64, size int) ([]byte, uint64) {
	at := (pos & (r.granules - 1)) * granule
	total := uint64(recordHead + size)
	n := min(total, uint64(len(r.buf))-at)
	dst = append(dst, r.buf[at:at+n]...)
	dst = append(dst, r.buf[:total-n]...)
	return dst, (pos + (total+granule-1)/granule) & posMask
}

// release frees the records before pos.
func (r *ring) release(pos uint64) {
	at := r.read.Load()
	for at != pos {
		s := &r.state[at&(r.granules-1)]
		size := uint64(s.Load()) - 1
		// The mark goes before the room: the next appender that gets this
		// granule must not be taken for published.
		s.Store(0)
		at = (at + (recordHead+size+granule-1)/granule) & posMask
	}
	r.read.Store(pos)
}

// tail returns the number of records so far, lost ones included, and the
// position after the last one that got room.
func (r *ring) tail() (count, pos uint64) {
	w := r.word.Load()
	return w &^ closedBit >> posBits, w & posMask
}

// used returns the bytes in use.
func (r *ring) used() int {
	read := r.read.Load() // before the other end, which never falls behind it
	_, pos := r.tail()
	return int(min((pos-read)&posMask, r.granules)) * granule
}
