package trial_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/trial"
)

const look = 5 * time.Second

// robot is a simulated robot in virtual time: what it does is drawn from rates.
type robot struct {
	r     *rand.Rand
	state trial.State
	clock time.Duration
	boot  int
	// trips per hour, share of refused commands, speed while driving, and how it wanders from minute to minute.
	trips, refused, speed float64
	drive                 float64
	facts                 func(*trial.Facts)
}

func newRobot(seed uint64) *robot {
	return &robot{r: rand.New(rand.NewPCG(seed, 9)), trips: 2, refused: 0.05, speed: 0.6}
}

func (b *robot) look(terms *trial.Terms) trial.Verdict {
	b.clock += look
	if b.clock%time.Minute < look {
		b.drive = b.r.Float64() // A minute of waiting, or of driving, or of both.
	}
	f := trial.Facts{Boot: fmt.Sprint("boot-", b.boot), Clock: b.clock, Guard: true, Watched: true, Attested: true}
	if b.r.Float64() < b.trips*look.Hours() {
		f.Trips = 1
	}
	bit := func(p float64) float64 {
		if b.r.Float64() < p {
			return 1
		}
		return 0
	}
	f.Samples = [trial.NumMetrics]float64{bit(0.02), bit(b.refused), b.speed * bit(b.drive)}
	if b.facts != nil {
		b.facts(&f)
	}
	return b.state.Step(&f, terms)
}

// serve lets content that is good run for a while.
func (b *robot) serve(digest string, d time.Duration) {
	b.state.Begin(digest, true)
	for end := b.clock + d; b.clock < end; {
		b.look(&trial.Terms{})
	}
}

// try runs a trial to its end.
func (b *robot) try(digest string, terms *trial.Terms) (trial.Verdict, time.Duration) {
	b.state.Begin(digest, false)
	for begin := b.clock; ; {
		v := b.look(terms)
		if v.Decision != trial.Keep || b.clock-begin > 2*time.Hour {
			return v, b.clock - begin
		}
	}
}

var all = trial.Terms{Settle: 10 * time.Minute, Window: time.Hour, Criteria: trial.Criteria()}

// TestHundredGoodReleases is the nuisance bar: releases that change nothing are committed, each and all, by robots that trip
// now and then, one release after the other.
func TestHundredGoodReleases(t *testing.T) {
	for n := range uint64(4) {
		b := newRobot(n)
		b.trips = 8
		b.serve("first", 3*time.Hour)
		for i := range 25 {
			v, after := b.try(fmt.Sprint("release-", i), &all)
			if v.Decision != trial.Commit {
				t.Fatalf("robot %d, release %d after %v: %v, %s %v", n, i, after, v.Decision, v.Why, v.Open)
			}
			b.serve(fmt.Sprint("release-", i), time.Hour)
		}
	}
}

func TestSickness(t *testing.T) {
	for name, c := range map[string]struct {
		sicken func(*robot)
		names  string
		within time.Duration
	}{
		"poisoned: commands are refused": {func(b *robot) { b.refused = 0.6 }, "drift: refused commands", 10 * time.Minute},
		"poisoned: it races":             {func(b *robot) { b.speed = 3 }, "drift: speed", 30 * time.Minute},
		"trips":                          {func(b *robot) { b.trips = 60 }, "trips: the interlock tripped", 40 * time.Minute},
		"crash loop":                     {func(b *robot) { b.facts = func(f *trial.Facts) { f.Restarts = 1 } }, "crash-loop", time.Minute},
		"reset loop": {func(b *robot) {
			n := 0
			b.facts = func(f *trial.Facts) {
				if n++; n%10 == 0 {
					b.boot++
					f.Boot = fmt.Sprint("boot-", b.boot)
				}
			}
		}, "watchdog-reset", 3 * time.Minute},
		"attestation fails": {func(b *robot) { b.facts = func(f *trial.Facts) { f.Refused, f.Attested = true, false } }, "attestation: refused", 3 * time.Minute},
		"other content":     {func(b *robot) { b.facts = func(f *trial.Facts) { f.Wrong = "another digest" } }, "another digest", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRobot(3)
			b.serve("old", 5*time.Hour)
			c.sicken(b)
			v, after := b.try("new", &all)
			t.Logf("after %v: %s", after, v.Why)
			if v.Decision != trial.RollBack || !strings.Contains(v.Why, c.names) || after > c.within {
				t.Errorf("after %v: %v, %q %v", after, v.Decision, v.Why, v.Open)
			}
			// The off run: without the sickness the same robot keeps the same release.
			b = newRobot(3)
			b.serve("old", 5*time.Hour)
			if v, _ := b.try("new", &all); v.Decision != trial.Commit {
				t.Errorf("not sick: %v, %s", v.Decision, v.Why)
			}
		})
	}
}

// TestNeverCommittedWithoutProof leaves out what each criterion needs.
func TestNeverCommittedWithoutProof(t *testing.T) {
	for name, c := range map[string]struct {
		edit      func(*trial.Facts)
		criterion string
		first     bool
	}{
		"nobody knows what runs it":  {func(f *trial.Facts) { f.Watched = false }, trial.CrashLoop, false},
		"no verifier":                {func(f *trial.Facts) { f.Attested = false }, trial.Attestation, false},
		"no statistics":              {func(f *trial.Facts) { f.Samples[1] = math.NaN() }, trial.Drift, false},
		"nothing to compare with":    {nil, trial.Trips, true},
		"no behaviour to compare to": {nil, trial.Drift, true},
		"a criterion of a later day": {nil, "moon-phase", false},
		"the guard is away":          {func(f *trial.Facts) { f.Guard = false }, "", false},
	} {
		for _, end := range []trial.End{trial.EndRollBack, trial.EndHold, ""} {
			t.Run(name+", "+string(end), func(t *testing.T) {
				b := newRobot(1)
				if !c.first {
					b.serve("old", 5*time.Hour)
				}
				b.facts = c.edit
				terms := &trial.Terms{Settle: 10 * time.Minute, AtEnd: end}
				if c.criterion != "" {
					terms.Criteria = []string{c.criterion}
				}
				v, after := b.try("new", terms)
				want := trial.RollBack
				if end == trial.EndHold {
					want = trial.Hold
				}
				if v.Decision != want || after < 40*time.Minute || !strings.Contains(v.Why, c.criterion) {
					t.Errorf("after %v: %v, %q", after, v.Decision, v.Why)
				}
				for range 2000 { // Whatever happens later does not turn the decision round.
					b.facts = nil
					if v := b.look(terms); v.Decision != want {
						t.Fatal(v)
					}
				}
			})
		}
	}
}

// TestOneTripIsNoRate is the test's off side: 0 before and 1 or 2 now never say anything, however short the time.
func TestOneTripIsNoRate(t *testing.T) {
	for _, n := range []uint64{0, 1, 2} {
		for _, d := range []time.Duration{0, time.Second, time.Hour} {
			if trial.MoreTrips(n, d, 0, 1000*time.Hour) {
				t.Errorf("%d trips in %v count as more", n, d)
			}
		}
	}
	for name, c := range map[string]struct {
		n, m uint64
		t, u time.Duration
		want bool
	}{
		"3 in minutes, none in 10 h":  {3, 0, 10 * time.Minute, 10 * time.Hour, true},
		"3 in an hour, none in 2 h":   {3, 0, time.Hour, 2 * time.Hour, false},
		"the same rate":               {100, 100, 10 * time.Hour, 10 * time.Hour, false},
		"three times the rate":        {300, 100, 10 * time.Hour, 10 * time.Hour, true},
		"nothing before":              {50, 0, time.Hour, 0, false},
		"fewer":                       {3, 1000, 10 * time.Hour, 10 * time.Hour, false},
		"very many":                   {math.MaxUint64, math.MaxUint64, time.Hour, time.Hour, false},
		"a clock that went backwards": {3, 0, -time.Hour, time.Hour, true},
	} {
		if got := trial.MoreTrips(c.n, c.t, c.m, c.u); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestFalseAlarmRate asks after each trip of simulated trials whose rate is that of the service before. With the bound of 1e-4
// for a whole trial, 20 000 trials may alarm a few times: 10 would be seen once in 20 000 runs of this test.
func TestFalseAlarmRate(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 26))
	const trials = 20_000
	alarms, asked := 0, 0
	for range trials {
		rate := math.Exp(r.Float64()*6 - 3) // 0.05 to 20 an hour.
		before := time.Duration((1 + 50*r.Float64()) * float64(time.Hour))
		window := 5 * time.Hour
		m := uint64(0)
		for at := r.ExpFloat64() / rate; at < before.Hours(); at += r.ExpFloat64() / rate {
			m++
		}
		n := uint64(0)
		for at := r.ExpFloat64() / rate; at < window.Hours(); at += r.ExpFloat64() / rate {
			n++
			asked++
			if trial.MoreTrips(n, time.Duration(at*float64(time.Hour)), m, before) {
				alarms++
				break
			}
		}
	}
	t.Logf("%d false alarms in %d trials, asked %d times", alarms, trials, asked)
	if alarms >= 10 {
		t.Errorf("%d false alarms: the stated bound is %v a trial", alarms, trial.FalseAlarms)
	}
}

// TestOneUncleanBootIsForgiven: people pull plugs. Health begins anew, and the trial goes on.
func TestOneUncleanBootIsForgiven(t *testing.T) {
	b := newRobot(5)
	b.serve("old", 5*time.Hour)
	n := 0
	b.facts = func(f *trial.Facts) {
		if n++; n == 100 {
			b.boot, b.clock, f.Clock = 1, look, look
		}
		f.Boot = fmt.Sprint("boot-", b.boot)
	}
	b.state.Begin("new", false)
	for range 100 {
		b.look(&all)
	}
	if b.state.Resets != 1 || b.state.HealthyNS > int64(look) || b.state.ElapsedNS < int64(99*look) {
		t.Fatalf("%+v", b.state)
	}
	if v, _ := b.try("new", &all); v.Decision != trial.Commit {
		t.Error(v)
	}
}

// TestTheWayBackFindsItsOwn: content that is gone back to is in service with its own record, and the other one is remembered.
func TestTheWayBackFindsItsOwn(t *testing.T) {
	b := newRobot(6)
	b.serve("old", 2*time.Hour)
	was := b.state.Now
	b.state.Begin("new", false)
	b.look(&all)
	b.state.TakeBack("r2", "because")
	b.state.Begin("old", true)
	if b.state.Now != was || !b.state.Good || b.state.Before.SHA256 != "" {
		t.Errorf("%+v", b.state)
	}
	if x, ok := b.state.WasTaken("new"); !ok || x.Why != "because" {
		t.Error(x, ok)
	}
	if _, ok := b.state.WasTaken("old"); ok {
		t.Error("the old one counts as taken back")
	}
	// One that was condemned never becomes the measure of the next.
	b.state.Begin("worse", false)
	b.state.Condemned = "x"
	b.state.Begin("third", false)
	if b.state.Before.SHA256 == "worse" {
		t.Error("what was condemned is the measure")
	}
}

// TestAnyFacts feeds anything: never a panic, never a commit without the settling time, always a state that can be read again,
// and the same answers from a state that went through the disk at every step.
func TestAnyFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := &trial.Terms{
			Settle:   time.Duration(rapid.Int64Range(1, 600).Draw(t, "settle")) * time.Second,
			Window:   time.Duration(rapid.Int64Range(0, 1200).Draw(t, "window")) * time.Second,
			Criteria: rapid.SliceOfN(rapid.SampledFrom(append(trial.Criteria(), "?")), 0, 6).Draw(t, "criteria"),
			AtEnd:    trial.End(rapid.SampledFrom([]string{"", "hold", "roll-back", "x"}).Draw(t, "end")),
		}
		var a, b trial.State
		a.Begin("old", true)
		b.Begin("old", true)
		var healthy time.Duration
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if i == 5 {
				a.Begin("new", false)
				b.Begin("new", false)
			}
			f := trial.Facts{
				Boot: rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "boot"), Clock: time.Duration(rapid.Int64().Draw(t, "clock")),
				Clean: rapid.Bool().Draw(t, "clean"), Guard: rapid.Bool().Draw(t, "guard"), Wrong: rapid.SampledFrom([]string{"", "", "", "w"}).Draw(t, "wrong"),
				Trips: rapid.Uint64().Draw(t, "trips"), Watched: rapid.Bool().Draw(t, "watched"), Restarts: rapid.Int().Draw(t, "restarts"),
				Attested: rapid.Bool().Draw(t, "attested"), Refused: rapid.Bool().Draw(t, "refused"),
				Samples: [trial.NumMetrics]float64{rapid.Float64().Draw(t, "x"), rapid.Float64().Draw(t, "y"), rapid.Float64().Draw(t, "z")},
			}
			v := a.Step(&f, terms)
			healthy = time.Duration(a.HealthyNS)
			if v.Decision == trial.Commit && (healthy < terms.Settle || f.Wrong != "" || !f.Guard) {
				t.Fatalf("committed after %v of %v: %+v", healthy, terms.Settle, f)
			}
			if w := b.Step(&f, terms); fmt.Sprint(v) != fmt.Sprint(w) {
				t.Fatalf("from the disk %v, from memory %v", w, v)
			}
			raw, err := json.Marshal(&b)
			b = trial.State{}
			if err != nil || json.Unmarshal(raw, &b) != nil || !b.Sane() {
				t.Fatalf("%s, %v", raw, err)
			}
		}
	})
}
