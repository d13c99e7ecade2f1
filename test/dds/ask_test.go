package dds

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// kept is an endpoint of a topic whose samples are kept for late joiners.
var kept = rtps.Endpoint{Topic: "rt/odom", Type: "nav_msgs::msg::dds_::Odometry_", Reliable: true, Keep: true}

// fastDDS is Fast DDS's number among vendors.
var fastDDS = [2]byte{1, 15}

// TestFastAnswersOnlyTheQuestionThatItAsksItself proves on Fast DDS how a reader gets what a transient-local writer keeps,
// when the heartbeat of the match was missed: an ACKNACK of nothing from number 0 is answered at once, as Fast DDS's own
// readers ask, and one from number 1 is not answered before the next periodic heartbeat, three seconds later.
func TestFastAnswersOnlyTheQuestionThatItAsksItself(t *testing.T) {
	t.Parallel()
	a, b := netns.Pair(t)
	p := Start(t, a, Fast, "ddspub", "--latched=on", "--depth=5", "--count=5", "--rate=1000", "--flush=0", "--linger=60")
	p.Await(t, patience, `(?m)^done 5`)
	var beats, data atomic.Int64
	var writer atomic.Pointer[rtps.GUID]
	f := &Fake{Prefix: randomPrefix(chance(t)), Vendor: fastDDS, Readers: []rtps.Endpoint{kept}}
	f.Heard = func(s rtps.Sub) {
		switch s.Kind {
		case rtps.KindHeartbeat:
			g := s.Source.GUID(s.Writer)
			writer.Store(&g)
			beats.Add(1)
		case rtps.KindData:
			data.Add(1)
		}
	}
	f.Join(t, b)
	p.Matched(t, 1)
	until(t, "the writer's name", func() bool { return writer.Load() != nil })
	w := *writer.Load()
	// Right after one of the periodic heartbeats there is none for three seconds.
	start := beats.Load()
	until(t, "a heartbeat", func() bool { return beats.Load() > start })
	ask := func(base int64, count uint32) (n int64) {
		before := data.Load() + beats.Load()
		for i := range uint32(3) {
			f.Say(rtps.NewPacket(f.Prefix).To(w.Prefix()).AckNack(f.Readers[0].GUID.Entity(), w.Entity(), base, 0, nil, count+i, false))
		}
		time.Sleep(700 * time.Millisecond) // For how long an answer is waited for.
		return data.Load() + beats.Load() - before
	}
	one, zero := ask(1, 100), ask(0, 200)
	t.Logf("answers within 700ms: %d when asked from number 1, %d from 0", one, zero)
	if one != 0 || zero == 0 {
		t.Error("expected none from number 1 and some from 0")
	}
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) { // the pause of a poll
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
