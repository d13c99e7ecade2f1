package reliable

import (
	"bytes"
	"hash/maphash"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// digestRing is how many delivered samples are known by their digests: at a thousand samples per second the last 64 ms,
// which is more than what a network holds back.
const digestRing = 64

// digests remembers the content of the last delivered samples. The hash is keyed with a seed of this Inbox, so that nobody
// who does not know it can make another content with the same digest.
type digests struct {
	seed maphash.Seed
	ring [digestRing]digest
}

type digest struct {
	seq  wire.SeqNum
	hash uint64
	size int
}

func (d *digests) at(seq wire.SeqNum) *digest { return &d.ring[uint64(seq)%digestRing] }

// hash is the digest of what a sample says, without its number and time.
func (d *digests) hash(s *Sample) uint64 {
	h := maphash.Bytes(d.seed, s.Payload)
	var mark uint64
	for i, on := range [...]bool{s.Dispose, s.Unregister, s.Key} {
		if on {
			mark |= 1 << i
		}
	}
	if len(s.Payload) == 0 && s.HasKeyHash {
		h ^= maphash.Bytes(d.seed, s.KeyHash[:])
	}
	return h ^ mark<<61
}

func (d *digests) remember(s *Sample) {
	*d.at(s.Seq) = digest{seq: s.Seq, hash: d.hash(s), size: len(s.Payload)}
}

// compare says what a sample that is behind is.
func (d *digests) compare(s *Sample) Verdict {
	e := d.at(s.Seq)
	switch {
	case e.seq != s.Seq:
		return Old
	case e.size != len(s.Payload) || e.hash != d.hash(s):
		return Conflict
	}
	return Duplicate
}

// compareSize is compare for a fragment, of which only the whole sample's size can be compared.
func (d *digests) compareSize(seq wire.SeqNum, size int) Verdict {
	e := d.at(seq)
	switch {
	case e.seq != seq:
		return Old
	case e.size != size:
		return Conflict
	}
	return Duplicate
}

// same tells whether two samples under one number say the same.
func same(a, b *Sample) bool {
	return a.Dispose == b.Dispose && a.Unregister == b.Unregister && a.Key == b.Key && bytes.Equal(a.Payload, b.Payload) &&
		(len(a.Payload) > 0 || a.KeyHash == b.KeyHash)
}
