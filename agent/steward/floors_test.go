package steward

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
)

// counted is a robot whose floor a counter keeps: "old" with svn 1 was followed by "new" and "newer", which demand 2.
func counted(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.counter = &memory{floors: map[string]uint64{}}
	b.start("boot-1")
	b.must(b.install("old", 1, 0, nil))
	b.until(2*time.Minute, "committed", good)
	for _, text := range []string{"new", "newer"} {
		b.must(b.install(text, 2, 2, nil))
		b.until(5*time.Minute, "committed", func(st slots.Status, _ contract.Artifact) bool {
			return st.Running().Good && st.Running().Version == text
		})
	}
	return b
}

// TestTheFloorRisesOnceTheWayBackMeetsIt lets two releases that demand a floor prove themselves.
func TestTheFloorRisesOnceTheWayBackMeetsIt(t *testing.T) {
	b := newBench(t)
	b.counter = &memory{floors: map[string]uint64{}}
	b.start("boot-1")
	b.must(b.install("old", 1, 0, nil))
	b.until(2*time.Minute, "committed", good)
	b.must(b.install("new", 2, 2, nil))
	b.until(5*time.Minute, "committed", good)
	if b.counter.floors["grasp"] != 1 {
		t.Errorf("%v: the way back has svn 1", b.counter.floors)
	}
	b.must(b.install("newer", 2, 2, nil))
	b.until(5*time.Minute, "committed", good)
	if b.counter.floors["grasp"] != 2 {
		t.Errorf("%v: both slots have svn 2", b.counter.floors)
	}
	for range 60 {
		b.look()
	}
	if b.counter.asked > 20 {
		t.Errorf("the counter was asked %d times", b.counter.asked)
	}
}

// TestADoubtfulFloorHidesWhatIsActive: the guard hears no digest of what may be below the floor, and the reason is named.
func TestADoubtfulFloorHidesWhatIsActive(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(b *bench)
		names string
	}{
		"the off run":          {func(*bench) {}, ""},
		"gone":                 {func(b *bench) { delete(b.counter.floors, "grasp") }, "the TPM's counter is gone"},
		"behind":               {func(b *bench) { b.counter.floors["grasp"] = 1 }, "behind the 2 of the file"},
		"redefined":            {func(b *bench) { b.counter.err = errors.New("is not the counter") }, "is not the counter"},
		"ahead, an older disk": {func(b *bench) { b.counter.floors["grasp"] = 3 }, "svn 2, below the floor 3"},
		"silent from the start": {func(b *bench) {
			b.counter.err = fmt.Errorf("%w: off", slots.ErrSilent)
		}, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			b := counted(t)
			c.edit(b)
			b.start("boot-1")
			for range 60 {
				a := b.look()
				if c.names == "" && a.SHA256 != b.digests["newer"] || c.names != "" && (a.SHA256 != "" || !strings.Contains(a.Why, c.names)) {
					t.Fatalf("the guard hears %+v: expected %q", a, c.names)
				}
			}
			if b.counter.asked > 60 {
				t.Errorf("the counter was asked %d times", b.counter.asked)
			}
		})
	}
}

// TestACommandRaisesTheFloor: what a person's command has raised since the counter was asked is no sign that somebody meddled, and
// a doubt that goes away is forgotten as soon as an error is.
func TestACommandRaisesTheFloor(t *testing.T) {
	b := counted(t)
	b.must(b.install("third", 3, 3, nil))
	b.until(5*time.Minute, "committed", good)
	b.must(b.install("fourth", 4, 4, nil))
	b.look()
	for want := uint64(3); want <= 4; want++ { // Twice within half a minute.
		s, done := b.store()
		if _, err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		done()
		if b.counter.floors["grasp"] != want {
			t.Fatalf("%v: the command did not raise the floor to %d", b.counter.floors, want)
		}
		if a := b.look(); a.SHA256 == "" {
			t.Fatalf("floor %d: the guard hears %+v", want, a)
		}
		if want == 3 {
			b.must(b.install("fifth", 4, 4, nil))
		}
	}
	b.counter.floors["grasp"] = 1
	b.clock += recheck
	if a := b.look(); a.SHA256 != "" {
		t.Fatalf("the counter is behind: the guard hears %+v", a)
	}
	b.counter.err = fmt.Errorf("%w: off", slots.ErrSilent)
	for range 60 {
		if a := b.look(); a.SHA256 != "" {
			t.Fatalf("in doubt, then silent: the guard hears %+v", a)
		}
	}
	b.counter.err, b.counter.floors["grasp"] = nil, 4
	b.until(saveEvery+5*time.Second, "the digest", func(_ slots.Status, a contract.Artifact) bool { return a.SHA256 != "" })
}

// sluggish is a counter that keeps its callers waiting.
type sluggish struct {
	memory
	now           time.Duration
	asking, count time.Duration
	// raised is false for one that is only asked.
	raised bool
}

func (s *sluggish) Floor(name string) (uint64, bool, error) {
	s.now += s.asking
	return s.memory.Floor(name)
}

// Raise counts as long as it may.
func (s *sluggish) Raise(name string, to uint64) error {
	for end := s.now + RaiseAtMost; s.floors[name] < to; {
		if s.err != nil || s.now > end {
			s.now += s.asking
			return fmt.Errorf("%w: at %d", slots.ErrSilent, s.floors[name])
		}
		s.now += s.count
		s.floors[name]++
	}
	return nil
}

// TestASlowCounterKeepsNobodyWaiting has twelve artifacts raise a counter that is slow or hangs, and as many as there can be ask one:
// a round stays well within the lease of half a minute, each has its floor in the end, and a counter that is quick is asked by each.
func TestASlowCounterKeepsNobodyWaiting(t *testing.T) {
	const most = 15 * time.Second
	for name, s := range map[string]*sluggish{
		"hangs":                          {memory: memory{err: fmt.Errorf("%w: no answer", slots.ErrSilent)}, asking: 5250 * time.Millisecond, raised: true},
		"answers slowly":                 {asking: 4 * time.Second},
		"answers late":                   {asking: 900 * time.Millisecond},
		"counts slowly":                  {count: 50 * time.Millisecond, raised: true},
		"counts a while":                 {count: 20 * time.Millisecond, raised: true},
		"counts for a little while each": {count: 4900 * time.Microsecond, raised: true},
		"quick":                          {count: time.Millisecond, raised: true},
	} {
		t.Run(name, func(t *testing.T) {
			artifacts := contract.MaxArtifacts
			if s.raised {
				artifacts = 12
			}
			s.floors, s.now = map[string]uint64{}, time.Hour
			r := remember(s, func() time.Duration { return s.now })
			reached, answered := 0, map[string]bool{}
			for range 1000 {
				began := s.now
				reached = 0
				for i := range artifacts {
					a := fmt.Sprint("a", i)
					if _, _, err := r.Floor(a); err == nil && s.err != nil || err != nil && !errors.Is(err, slots.ErrSilent) {
						t.Fatalf("%s: %v", a, err)
					} else if err == nil {
						answered[a] = true
					}
					if !s.raised || r.Raise(a, 200) == nil {
						reached++
					}
				}
				if took := s.now - began; took > most {
					t.Fatalf("a round took %v", took)
				}
				if name == "quick" && (reached != artifacts || s.asked != artifacts) {
					t.Fatalf("quick: %d of %d reached, asked %d times", reached, artifacts, s.asked)
				}
				if reached == artifacts && len(answered) == artifacts {
					break
				}
				s.now += 10 * time.Second
			}
			if (reached == artifacts) != (s.err == nil) || (len(answered) == artifacts) != (s.err == nil) {
				t.Errorf("%d of %d floors were reached, %d of %d asked for", reached, artifacts, len(answered), artifacts)
			}
			// Nobody's turn is lost to those before: an answer counts until all have had theirs.
			if most := max(recheck, time.Duration(artifacts)*counterShare*s.asking); s.err == nil && !s.raised && s.now-time.Hour > most {
				t.Errorf("all answers took %v", s.now-time.Hour)
			}
		})
	}
}

// TestASilentCounterStopsNobody: what has stood in this run goes on, nothing else becomes active, and what was committed meanwhile
// raises the floor once the counter answers.
func TestASilentCounterStopsNobody(t *testing.T) {
	b := counted(t)
	b.must(b.install("newest", 3, 3, nil))
	b.look()
	b.counter.err = fmt.Errorf("%w: off", slots.ErrSilent)
	b.until(15*time.Minute, "committed", good)
	for range 600 {
		if a := b.look(); a.SHA256 != b.digests["newest"] {
			t.Fatalf("the guard hears %+v", a)
		}
	}
	s, done := b.store()
	if err := s.With(b.counter).Rollback(t.Context(), &slots.Back{Counts: func(string) error { return nil }}); !errors.Is(err, slots.ErrSilent) {
		t.Errorf("rolled back: %v", err)
	}
	done()
	b.counter.err = nil
	b.must(b.install("last", 3, 3, func(in *slots.Install) { in.Again = true }))
	b.until(30*time.Minute, "the floor", func(slots.Status, contract.Artifact) bool { return b.counter.floors["grasp"] == 3 })
}
