//go:build qualify

package steward

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
)

// TestHundredReleases is the nuisance bar through all of the steward: a hundred releases that change nothing but bytes, one after the
// other through real slots and a floor's counter, on a robot that drives, waits, refuses and trips as its site has it. Each must be
// committed, none taken back, and the guard must hear its digest all the time.
func TestHundredReleases(t *testing.T) {
	const releases, service = 100, 25 * time.Minute
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	b := newBench(t)
	b.counter = &memory{floors: map[string]uint64{}}
	b.start("boot-1")
	trips, looks, silent, longest := 0, 0, 0, time.Duration(0)
	tripped := -time.Hour
	look := func(digest string) {
		b.state["speed_mps"], b.state["gate"] = 0.5*r.Float64(), "passed"
		if r.IntN(50) == 0 {
			b.state["gate"] = "clipped"
		}
		// Four trips an hour, each for some seconds.
		if r.IntN(450) == 0 {
			tripped, trips = b.clock, trips+1
		}
		triggers := []any{}
		if since := b.clock + 2*time.Second - tripped; since < 10*time.Second {
			triggers = append(triggers, map[string]any{"code": "zone.blocked", "present": true, "since_s": since.Seconds()})
		}
		b.state["triggers"] = triggers
		if a := b.look(); a.SHA256 != digest {
			silent++
			t.Logf("after %v the guard hears %+v", b.clock, a)
		}
		looks++
	}
	status := func() slots.Status {
		s, done := b.store()
		defer done()
		st, err := s.Status()
		b.must(err)
		return st
	}
	for n := range releases {
		text := fmt.Sprint("release ", n)
		b.must(b.install(text, uint64(n/10), uint64(n/20), func(in *slots.Install) {
			in.Release.SettleS, in.Release.WindowS = 300, 1800
			if n > 0 {
				in.Release.Criteria = trial.Criteria()
			}
		}))
		began := b.clock
		for st := status(); !st.Running().Good; st = status() {
			if st.Running().Version != text || b.clock-began > 40*time.Minute {
				t.Fatalf("%s: after %v %s is active, taken back: %+v", text, b.clock-began, st.Running().Version, st.Trial)
			}
			for range 15 {
				look(b.digests[text])
			}
		}
		longest = max(longest, b.clock-began)
		for end := b.clock + service; b.clock < end; {
			look(b.digests[text])
		}
	}
	st := status()
	t.Logf("figures: %d releases committed, %d taken back, %d trips in %v, at most %v to the commit, %d of %d rounds without a digest, floor %d",
		releases, len(st.Trial.Taken), trips, (time.Duration(looks) * 2 * time.Second).Round(time.Minute), longest.Round(time.Second), silent, looks, st.Floor)
	if len(st.Trial.Taken) != 0 || silent != 0 {
		t.Errorf("taken back: %+v; %d rounds without a digest", st.Trial.Taken, silent)
	}
	// The off run: a release that drives otherwise is taken back by the same steward.
	b.must(b.install("sick", 10, 5, func(in *slots.Install) {
		in.Release.SettleS, in.Release.WindowS, in.Release.Criteria = 300, 1800, trial.Criteria()
	}))
	for began := b.clock; status().Running().Version == "sick"; {
		if b.clock-began > time.Hour {
			t.Fatal("what drives otherwise was not taken back")
		}
		b.state["speed_mps"] = 3.0
		b.state["triggers"] = []any{}
		b.look()
	}
}
