package reliable

import (
	"bytes"
	"hash/maphash"
	"time"

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

// counter is the count of a peer's HEARTBEAT, ACKNACK or NACK_FRAG: what is not higher has been seen, or was overtaken.
type counter struct {
	last int32
	at   time.Duration
	any  bool
}

// overtaken is how long a count is held against lower ones. What comes later has not been overtaken on the way, but the
// higher count was forged, and must not make the writer mute for long.
const overtaken = time.Second

// fresh tells whether v is new, across the wrap of 32 bits.
func (c *counter) fresh(now time.Duration, v int32) bool {
	if c.any && v-c.last <= 0 && now-c.at < overtaken {
		return false
	}
	c.last, c.at, c.any = v, now, true
	return true
}

const (
	// trailLength is how many numbers elsewhere are needed to believe in them.
	trailLength = 4
	// trailSlack is how long after the trail's highest number a lower one may come that was overtaken on its way. What
	// comes later begins another trail: the highest may be forged.
	trailSlack = 100 * time.Millisecond
)

// trail follows numbers that come elsewhere than expected, until they are believed.
type trail struct {
	began, at time.Duration // the first number, the highest
	high      wire.SeqNum
	n         int
}

// follow notes a number. It tells whether trailLength of them, each at most window ahead of the last, have come over at
// least the time after. again lets the same number count as another sign, as with a heartbeat.
func (t *trail) follow(now time.Duration, seq wire.SeqNum, again bool, window int64, after time.Duration) bool {
	switch ahead := int64(seq - t.high); {
	case t.n == 0 || ahead < 0 && now-t.at > trailSlack || ahead > window:
		*t = trail{began: now, at: now, high: seq, n: 1}
	case ahead > 0 || ahead == 0 && again:
		t.high, t.at = seq, now
		t.n = min(t.n+1, trailLength)
	}
	return t.n >= trailLength && now-t.began >= after
}

// reset forgets the trail: what is expected came.
func (t *trail) reset() { t.n = 0 }
