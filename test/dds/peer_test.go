package dds

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
)

// TestPeersAmongThemselves shows that the peers and the network are fit to judge others: real vendors, one on each end of
// a cable, lose nothing.
func TestPeersAmongThemselves(t *testing.T) {
	t.Parallel()
	for _, pub := range udpPeers {
		for _, sub := range udpPeers {
			if pub == sub && !longTier() {
				continue
			}
			t.Run(fmt.Sprintf("%s to %s", pub, sub), func(t *testing.T) {
				t.Parallel()
				a, b := netns.Pair(t)
				const n = 500
				// Latched, since on a slow computer one may know the other a second before the other knows it.
				s := Start(t, b, sub, "ddssub", "--latched=on", "--depth=0", "--count="+strconv.Itoa(n), "--idle=15")
				Start(t, a, pub, "ddspub", "--latched=on", "--depth=0", "--count="+strconv.Itoa(n), "--rate=1000", "--wait=1", "--flush=60", "--linger=20")
				s.Done(t, 30*time.Second).Complete(t, n)
			})
		}
	}
}

// TestPeersMissSamplesWhenBestEffortIsLossy is the off case: what the counting peers report can fail.
func TestPeersMissSamplesWhenBestEffortIsLossy(t *testing.T) {
	t.Parallel()
	a, b := netns.Pair(t)
	s := Start(t, b, Cyclone, "ddssub", "--reliable=off", "--depth=0", "--idle=3")
	p := Start(t, a, Fast, "ddspub", "--reliable=off", "--count=3000", "--rate=1000", "--wait=1")
	// Both, so that nothing of the discovery is lost: what the subscriber has not matched yet it cannot miss.
	p.Matched(t, 1)
	s.Matched(t, 1)
	b.Lose(t, 30, 0)
	if got := s.Done(t, 30*time.Second); got.Missing < 100 || 6*got.Missing < got.Received {
		t.Errorf("30 %% of the datagrams were lost and nobody noticed: %+v", got)
	}
}

func TestPeersWithoutMulticast(t *testing.T) {
	t.Parallel()
	for _, v := range victims(0) {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			a, b := netns.Pair(t)
			a.NoMulticast(t)
			b.NoMulticast(t)
			s := Start(t, b, v, "ddssub", "--multicast=off", "--peers="+a.Address, "--depth=0", "--count=100", "--idle=5")
			Start(t, a, v, "ddspub", "--multicast=off", "--peers="+b.Address, "--depth=0", "--count=100", "--rate=200", "--wait=1")
			s.Done(t, 30*time.Second).Complete(t, 100)
		})
	}
}

func TestPeersCarryImages(t *testing.T) {
	t.Parallel()
	for _, v := range victims(1) {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			a, b := netns.Pair(t)
			const n = 10
			s := Start(t, b, v, "ddssub", "--type=image", "--depth=0", "--count=10", "--idle=5")
			Start(t, a, v, "ddspub", "--type=image", "--size=921600", "--depth=0", "--count=10", "--rate=10", "--wait=1")
			got := s.Done(t, 30*time.Second)
			got.Complete(t, n)
			if want := imageDigest(n, 921600); got.Digest != want {
				t.Errorf("digest %s: expected %s", got.Digest, want)
			}
		})
	}
}

// imageDigest is what a subscriber prints after the numbered images 1 to n: computed here by the content's definition
// alone (src/count.hpp).
func imageDigest(n, size int) string {
	all := uint64(fnvStart)
	for i := 1; i <= n; i++ {
		own := uint64(fnvStart)
		for k := range size {
			own = fnv(own, byte(k*7+i*13+k>>8))
		}
		for range 8 {
			all = fnv(all, byte(own))
			own >>= 8
		}
	}
	return fmt.Sprintf("%016x", all)
}

const fnvStart = 14695981039346656037

func fnv(digest uint64, b byte) uint64 { return (digest ^ uint64(b)) * 1099511628211 }
