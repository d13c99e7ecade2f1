package dds

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// TestLateJoinersAreServedAtOnce: what a transient-local writer keeps comes with the match and not with the vendor's next
// heartbeat, which Fast DDS sends every three seconds; ros_discovery_info is such a topic, and a node without it has no name.
func TestLateJoinersAreServedAtOnce(t *testing.T) {
	t.Parallel()
	const soon = 500 * time.Millisecond
	for _, v := range udpPeers {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			a, b := netns.Pair(t)
			p := Start(t, a, v, "ddspub", "--latched=on", "--depth=5", "--count=5", "--rate=1000", "--flush=0", "--linger=60")
			p.Await(t, patience, `(?m)^done 5`)
			for range 3 {
				s := Start(t, b, Ours, "ddssub", "--latched=on", "--count=5")
				took := s.At(t, patience, `(?m)^first 1 (\d+)$`) - s.Matched(t, 1)
				t.Logf("the first kept sample came %v after the match", took)
				if took > soon {
					t.Errorf("expected at most %v", soon)
				}
				s.Done(t, patience)
			}
		})
	}
}

// TestIdlePeersAreQuiet: once everything is found and acknowledged, next to nothing is said: a question that is repeated
// was not answered.
func TestIdlePeersAreQuiet(t *testing.T) {
	t.Parallel()
	const mostPerSecond = 6.0
	for _, v := range udpPeers {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			a, b := netns.Pair(t)
			s := Start(t, b, Ours, "ddssub")
			s.Ready(t)
			Start(t, a, v, "ddspub", "--wait=2")
			s.Matched(t, 1)
			time.Sleep(3 * time.Second) // The bursts of the start.
			var seen atomic.Int64
			var kinds [256]atomic.Int64
			b.Listen(t, func(d netns.Datagram) {
				seen.Add(1)
				for _, m := range rtps.Subs(d.Payload) {
					kinds[m.Kind].Add(1)
				}
			})
			const span = 4 * time.Second
			time.Sleep(span) // What is measured.
			rate := float64(seen.Load()) / span.Seconds()
			t.Logf("%.1f datagrams a second; heartbeats %d, acknowledgements %d, data %d", rate, kinds[rtps.KindHeartbeat].Load(), kinds[rtps.KindAckNack].Load(), kinds[rtps.KindData].Load())
			if rate > mostPerSecond {
				t.Errorf("expected at most %.0f datagrams a second", mostPerSecond)
			}
		})
	}
}
