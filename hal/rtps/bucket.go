package rtps

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// bucket is a token bucket of a second's worth of tokens: tat is when it would be full again.
type bucket struct{ tat time.Duration }

// take takes a token out of a bucket that gets rate of them per second; false if there is none.
func (b *bucket) take(now time.Duration, rate int) bool {
	b.tat = max(b.tat, now)
	if b.tat-now > time.Second {
		return false
	}
	b.tat += time.Second / time.Duration(rate)
	return true
}

// buckets bounds what strangers can make us look at: each address by itself, and all together. Addresses share a fixed
// number of buckets by a hash that nobody outside can compute, so that forged ones cost no memory and meet a chosen victim
// by chance only.
type buckets struct {
	seed maphash.Seed
	each [1024]bucket
	all  bucket
}

func newBuckets() *buckets { return &buckets{seed: maphash.MakeSeed()} }

// take takes a token for an address. The address's own bucket is asked first, so that one that floods does not empty the
// common one.
func (b *buckets) take(now time.Duration, a netip.Addr, each, all int) bool {
	key := a.As16()
	n := len(key)
	if a.Is6() && !a.Is4In6() {
		n = 8 // who has one address of an IPv6 network has all of them
	}
	return b.each[maphash.Bytes(b.seed, key[:n])%uint64(len(b.each))].take(now, each) && b.all.take(now, all)
}
