package dds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
)

// udpPeers are the vendors with all of their traffic on the wire, allPeers those with what rmw_fastrtps does as well.
var (
	udpPeers = []Vendor{Cyclone, Fast}
	allPeers = []Vendor{Cyclone, Fast, FastDefault}
)

// way is who writes and who reads; one of them is ours.
type way struct{ pub, sub Vendor }

func (w way) String() string { return fmt.Sprintf("%s to %s", w.pub, w.sub) }

// ways are ours as subscriber and as publisher of each of the vendors.
func ways(vendors []Vendor) (out []way) {
	for _, v := range vendors {
		out = append(out, way{v, Ours}, way{Ours, v})
	}
	return out
}

// some are the ways of make test where each costs its time; make qualify takes all.
func some(all []way) []way {
	if longTier() || len(all) < 4 {
		return all
	}
	return []way{all[0], all[3]} // from one vendor, to the other
}

// eachWay runs a test for each of the ways, with the writer on computer a and the reader on computer b.
func eachWay(t *testing.T, ways []way, f func(t *testing.T, w way, a, b *netns.Host)) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			a, b := netns.Pair(t)
			f(t, w, a, b)
		})
	}
}

func samples(n int) string { return "--count=" + strconv.Itoa(n) }

// TestReliableAt1kHz: nothing is lost or out of order, either way.
func TestReliableAt1kHz(t *testing.T) {
	t.Parallel()
	n := 10_000
	if longTier() {
		n = 100_000
	}
	eachWay(t, ways(allPeers), func(t *testing.T, w way, a, b *netns.Host) {
		s := Start(t, b, w.sub, "ddssub", "--depth=0", samples(n), "--idle=10")
		Start(t, a, w.pub, "ddspub", "--depth=0", samples(n), "--rate=1000", "--wait=1")
		s.Done(t, time.Duration(n)*time.Millisecond+patience).Complete(t, int64(n))
	})
}

// TestDiscovery measures from the later participant's start to the match on either side.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	bars := map[Vendor]time.Duration{Cyclone: 200 * time.Millisecond, Fast: 200 * time.Millisecond, FastDefault: time.Second}
	for _, v := range allPeers {
		for _, oursFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s ours first %t", v, oursFirst), func(t *testing.T) {
				t.Parallel()
				a, b := netns.Pair(t)
				discovery(t, v, oursFirst, a, b, bars[v])
			})
		}
	}
}

func discovery(t *testing.T, v Vendor, oursFirst bool, a, b *netns.Host, bar time.Duration) {
	tries := 5
	if longTier() {
		tries = 25
	}
	var took []time.Duration
	for range tries {
		var first, later *Peer
		var start time.Duration
		if oursFirst {
			first = Start(t, b, Ours, "ddssub")
			first.Ready(t)
			later = Start(t, a, v, "ddspub", "--wait=2")
			start = later.Ready(t)
		} else {
			first = Start(t, a, v, "ddspub", "--wait=2")
			first.Ready(t)
			later = Start(t, b, Ours, "ddssub")
			start = later.At(t, patience, `(?m)^created (\d+)$`)
		}
		took = append(took, max(first.Matched(t, 1), later.Matched(t, 1))-start)
		first.Kill()
		later.Stop(3 * time.Second)
	}
	slices.Sort(took)
	t.Logf("%d tries: %v", tries, took)
	if median := took[tries/2]; median > bar {
		t.Errorf("median %v: expected at most %v", median, bar)
	}
}

// TestImages carries 900 kB, in fragments as each vendor makes them, byte by byte the same.
func TestImages(t *testing.T) {
	t.Parallel()
	const n, size = 10, 921_600
	eachWay(t, ways(udpPeers), func(t *testing.T, w way, a, b *netns.Host) {
		s := Start(t, b, w.sub, "ddssub", "--type=image", "--depth=0", samples(n), "--idle=8")
		Start(t, a, w.pub, "ddspub", "--type=image", fmt.Sprintf("--size=%d", size), "--depth=0", samples(n), "--rate=10", "--wait=1")
		got := s.Done(t, patience)
		got.Complete(t, n)
		if want := imageDigest(n, size); got.Digest != want {
			t.Errorf("digest %s: expected %s", got.Digest, want)
		}
	})
}

// TestLoss loses datagrams on the way to ours and from ours. All of what was written has to come: it is transient-local,
// so that neither the moment of the match decides.
func TestLoss(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{10, 30} {
		t.Run(fmt.Sprintf("%d %%", percent), func(t *testing.T) {
			t.Parallel()
			which := ways(udpPeers)
			if percent < 30 {
				which = some(which)
			}
			eachWay(t, which, func(t *testing.T, w way, a, b *netns.Host) {
				const n = 500
				ours := b
				if w.pub == Ours {
					ours = a
				}
				ours.Lose(t, percent, percent)
				s := Start(t, b, w.sub, "ddssub", "--latched=on", "--depth=0", samples(n), "--idle=15")
				Start(t, a, w.pub, "ddspub", "--latched=on", "--depth=0", samples(n), "--rate=200", "--wait=1", "--flush=60", "--linger=20")
				s.Done(t, 2*patience).Complete(t, n)
			})
		})
	}
}

// TestLossOfFragments is what needs NACK_FRAG: of a sample in hundreds of datagrams, some are always lost.
func TestLossOfFragments(t *testing.T) {
	t.Parallel()
	const n, size = 5, 200_000
	eachWay(t, some(ways(udpPeers)), func(t *testing.T, w way, a, b *netns.Host) {
		ours := b
		if w.pub == Ours {
			ours = a
		}
		ours.Lose(t, 10, 10)
		s := Start(t, b, w.sub, "ddssub", "--type=image", "--latched=on", "--depth=0", samples(n), "--idle=15")
		Start(t, a, w.pub, "ddspub", "--type=image", fmt.Sprintf("--size=%d", size), "--latched=on", "--depth=0", samples(n), "--rate=5",
			"--wait=1", "--flush=60", "--linger=20")
		got := s.Done(t, 2*patience)
		got.Complete(t, n)
		if want := imageDigest(n, size); got.Digest != want {
			t.Errorf("digest %s: expected %s", got.Digest, want)
		}
	})
}

// TestLateJoiners get what a transient-local writer still has, and nothing of a volatile one's past.
func TestLateJoiners(t *testing.T) {
	t.Parallel()
	eachWay(t, some(ways(udpPeers)), func(t *testing.T, w way, a, b *netns.Host) {
		const sent, kept = 120, 50
		p := Start(t, a, w.pub, "ddspub", "--latched=on", fmt.Sprintf("--depth=%d", kept), samples(sent), "--rate=1000", "--flush=0", "--linger=60")
		p.Await(t, patience, `(?m)^done 120`)
		latched := Start(t, b, w.sub, "ddssub", "--latched=on", "--depth=0", samples(kept), "--idle=5")
		volatile := Start(t, b, w.sub, "ddssub", "--depth=0")
		got := latched.Done(t, patience)
		if got.Received != kept || got.First != sent-kept+1 || got.Last != sent || got.Missing+got.Disordered+got.Wrong != 0 {
			t.Errorf("expected %d to %d, found %+v", sent-kept+1, sent, got)
		}
		volatile.Matched(t, 1)
		volatile.Stop(3 * time.Second)
		if got := volatile.Done(t, patience); got.Received != 0 {
			t.Errorf("a volatile reader got what was before it: %+v", got)
		}
	})
}

// TestKilledSubscriberAndPublisherComeBack: a participant that vanished without a word is replaced by its next life, while
// the other side goes on.
func TestKilledSubscriberAndPublisherComeBack(t *testing.T) {
	t.Parallel()
	eachWay(t, some(ways(udpPeers)), func(t *testing.T, w way, a, b *netns.Host) {
		const soon = 3 * time.Second
		first := func(p *Peer, since time.Duration) {
			t.Helper()
			if took := p.At(t, patience, `(?m)^first -?\d+ (\d+)$`) - since; took > soon {
				t.Errorf("the first sample came %v after the start: expected at most %v", took, soon)
			}
		}
		p := Start(t, a, w.pub, "ddspub", "--rate=100", "--lease=3", "--first=1")
		s := Start(t, b, w.sub, "ddssub", "--lease=3")
		first(s, s.Ready(t))
		s.Kill()
		s = Start(t, b, w.sub, "ddssub", "--each=on", "--lease=3")
		first(s, s.Ready(t))
		p.Kill()
		p = Start(t, a, w.pub, "ddspub", "--rate=100", "--lease=3", "--first=1000000")
		start := p.Ready(t)
		if took := s.At(t, patience, `(?m)^sample 1\d{6} [0-9a-f]+ [0-9a-f]+ (\d+)$`) - start; took > soon {
			t.Errorf("the next life's first sample came %v after its start: expected at most %v", took, soon)
		}
		// The dead writer's lease ends: after the next life has begun, or before.
		s.Await(t, patience, `(?ms)^matched [20] .*^matched 1 \d+$`)
		s.Stop(3 * time.Second)
		if got := s.Done(t, patience); got.Writers != 2 || got.Wrong != 0 {
			t.Errorf("expected samples of both lives: %+v", got)
		}
	})
}

func TestWithoutMulticast(t *testing.T) {
	t.Parallel()
	const n = 200
	run := func(t *testing.T, w way, a, b *netns.Host, fromA, fromB string) {
		a.NoMulticast(t)
		if b != a {
			b.NoMulticast(t)
		}
		s := Start(t, b, w.sub, "ddssub", "--multicast=off", "--peers="+fromB, "--depth=0", samples(n), "--idle=5")
		Start(t, a, w.pub, "ddspub", "--multicast=off", "--peers="+fromA, "--depth=0", samples(n), "--rate=200", "--wait=1")
		s.Done(t, patience).Complete(t, n)
	}
	eachWay(t, some(ways(udpPeers)), func(t *testing.T, w way, a, b *netns.Host) { run(t, w, a, b, b.Address, a.Address) })
	// One computer, as ROS_LOCALHOST_ONLY and ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST have it.
	for _, w := range some(ways(allPeers)) {
		t.Run(w.String()+" on one computer", func(t *testing.T) {
			t.Parallel()
			h := netns.New(t)
			run(t, w, h, h, "", "")
		})
	}
}

// TestBothVendorsAtOnce: ours writes to both and reads from both, on one topic each.
func TestBothVendorsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 1000
	t.Run("ours to both", func(t *testing.T) {
		t.Parallel()
		a, b := netns.Pair(t)
		var subs []*Peer
		for _, v := range allPeers {
			subs = append(subs, Start(t, b, v, "ddssub", "--depth=0", samples(n), "--idle=5"))
		}
		Start(t, a, Ours, "ddspub", samples(n), "--rate=500", "--wait=3", "--settle=0.5")
		for _, s := range subs {
			s.Done(t, patience).Complete(t, n)
		}
	})
	t.Run("both to ours", func(t *testing.T) {
		t.Parallel()
		a, b := netns.Pair(t)
		s := Start(t, b, Ours, "ddssub", "--each=on", samples(2*n), "--idle=15")
		for _, v := range udpPeers {
			Start(t, a, v, "ddspub", "--depth=0", samples(n), "--rate=500", "--wait=1")
		}
		got := s.Done(t, patience)
		if got.Received != 2*n || got.Writers != 2 || got.Wrong != 0 {
			t.Errorf("expected %d samples of 2 writers, found %+v", 2*n, got)
		}
		perWriter := map[string]int64{}
		for line := range strings.Lines(s.Output()) {
			var num, at int64
			var who, digest string
			if k, _ := fmt.Sscanf(line, "sample %d %s %s %d", &num, &who, &digest, &at); k == 4 {
				if num != perWriter[who]+1 {
					t.Fatalf("writer %s: %d after %d", who, num, perWriter[who])
				}
				perWriter[who] = num
			}
		}
	})
}

// TestMonitorIsNoBurden: a best-effort reader of a reliable writer sees the stream and asks for nothing.
func TestMonitorIsNoBurden(t *testing.T) {
	t.Parallel()
	for _, v := range udpPeers {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			a, b := netns.Pair(t)
			const n = 500
			s := Start(t, b, Ours, "ddssub", "--reliable=off", samples(n), "--idle=5")
			Start(t, a, v, "ddspub", "--depth=0", samples(n), "--rate=500", "--wait=1")
			if got := s.Done(t, patience); got.Received < n*98/100 || got.Disordered+got.Wrong != 0 {
				t.Errorf("expected nearly all of %d, found %+v", n, got)
			}
		})
	}
}
