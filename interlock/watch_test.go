package interlock

import (
	"math"
	"testing"
	"time"
)

func loopConfig() LoopConfig {
	return LoopConfig{Deadline: 20 * ms, Hard: 100 * ms, Misses: 3, Forgive: time.Second}
}

func TestLoopWatch(t *testing.T) {
	type step struct {
		wait, took time.Duration
		want       State
	}
	for name, steps := range map[string][]step{
		"in time":                     {{0, ms, Clear}, {10 * ms, ms, Clear}, {20 * ms, 20 * ms, Clear}},
		"one miss is forgiven":        {{0, ms, Clear}, {30 * ms, ms, Clear}, {10 * ms, ms, Clear}},
		"three misses":                {{0, ms, Clear}, {30 * ms, ms, Clear}, {10 * ms, 30 * ms, Clear}, {30 * ms, ms, Present}},
		"three misses, far apart":     {{0, ms, Clear}, {0, 30 * ms, Clear}, {1100 * ms, ms, Present}},
		"a hard miss by its gap":      {{0, ms, Clear}, {101 * ms, ms, Present}, {10 * ms, ms, Present}},
		"a hard miss by its duration": {{0, 101 * ms, Present}},
		"the clock backwards":         {{0, ms, Clear}, {-time.Hour, ms, Clear}},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewLoopWatch(loopConfig())
			if err != nil {
				t.Fatal(err)
			}
			now := time.Hour
			for i, s := range steps {
				now += s.wait
				if got := w.Observe(now, s.took); got.State != s.want {
					t.Fatalf("step %d: got %v, want %v", i, got.State, s.want)
				}
			}
		})
	}
}

func TestLoopWatchForgives(t *testing.T) {
	w, _ := NewLoopWatch(loopConfig())
	now := time.Hour
	w.Observe(now, 101*ms)
	for w.Observe(now, ms).State == Present {
		now += 10 * ms
		if now > time.Hour+2*time.Second {
			t.Fatal("never")
		}
	}
	if now < time.Hour+time.Second {
		t.Errorf("after %v", now-time.Hour)
	}
	restored, _ := NewLoopWatch(loopConfig())
	if err := restored.RestoreState(w.AppendState(nil)); err != nil || *restored != *w {
		t.Errorf("restored: %v", err)
	}
}

func TestLoopWatchRefusesConfigurations(t *testing.T) {
	most := loopConfig()
	most.Misses = maxCount
	if _, err := NewLoopWatch(most); err != nil {
		t.Errorf("the largest that is allowed: %v", err)
	}
	for field, change := range map[string]func(c *LoopConfig){
		"Deadline": func(c *LoopConfig) { c.Deadline = 0 },
		"Hard":     func(c *LoopConfig) { c.Hard = c.Deadline },
		"Misses":   func(c *LoopConfig) { c.Misses = 0 },
		"Forgive":  func(c *LoopConfig) { c.Forgive = 0 },
	} {
		c := loopConfig()
		change(&c)
		if _, err := NewLoopWatch(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// civil2026 is a civil time in nanoseconds since the Unix epoch.
const civil2026 = int64(1_790_000_000) * 1_000_000_000

func clockConfig() ClockConfig {
	return ClockConfig{Threshold: 500 * ms, MaxDriftPPM: 500, Hold: 2 * time.Second, Floor: civil2026 - int64(time.Hour)}
}

func TestClockWatch(t *testing.T) {
	for name, c := range map[string]struct {
		step  time.Duration // of the civil clock, beside the time that passes
		boot  time.Duration
		state State
		cause Cause
	}{
		"nothing":             {0, time.Second, Clear, CauseNone},
		"a small correction":  {400 * ms, time.Second, Clear, CauseNone},
		"an hour ahead":       {time.Hour, time.Second, Present, CauseClockStep},
		"just too far":        {501 * ms, time.Second, Present, CauseClockStep},
		"back, not too far":   {-30 * time.Minute, time.Second, Present, CauseClockStep},
		"to 1970":             {-time.Duration(civil2026), time.Second, Present, CauseCivilTooOld},
		"boot clock back":     {0, -time.Minute, Present, CauseBootClockBack},
		"suspended for a day": {0, 24 * time.Hour, Clear, CauseNone},
		"absurd":              {math.MaxInt64 - time.Duration(civil2026) - time.Hour, time.Second, Present, CauseClockStep},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewClockWatch(clockConfig())
			if err != nil {
				t.Fatal(err)
			}
			boot, civil := time.Hour, civil2026
			if got := w.Observe(boot, civil); got.State != Clear {
				t.Fatalf("at first: %+v", got)
			}
			boot, civil = boot+c.boot, civil+int64(c.boot+c.step)
			if got := w.Observe(boot, civil); got.State != c.state || got.Cause != c.cause {
				t.Fatalf("got %v, %v", got.State, got.Cause)
			}
			if c.cause == CauseCivilTooOld || c.state == Clear {
				return
			}
			if got := w.Observe(boot+1900*ms, civil+int64(1900*ms)); got.State != Present {
				t.Errorf("gone after 1.9 s")
			}
			if got := w.Observe(boot+2*time.Second, civil+int64(2*time.Second)); got.State != Clear {
				t.Errorf("still there after 2 s: %v", got.Cause)
			}
		})
	}
}

func TestClockWatchFollowsDriftAndNoMore(t *testing.T) {
	for ppm, want := range map[int64]State{0: Clear, 400: Clear, -400: Clear, 5000: Present} {
		w, _ := NewClockWatch(clockConfig())
		got := Clear
		for s := range int64(600) {
			boot := time.Hour + time.Duration(s)*time.Second
			if c := w.Observe(boot, civil2026+s*int64(time.Second)+s*ppm*1000); c.State == Present {
				got = Present
			}
		}
		if got != want {
			t.Errorf("%d ppm: got %v, want %v", ppm, got, want)
		}
	}
}

func TestClockWatchFloorOnlyRises(t *testing.T) {
	w, _ := NewClockWatch(clockConfig())
	w.RaiseFloor(civil2026 + 1)
	w.RaiseFloor(5)
	if got := w.Observe(time.Hour, civil2026); got.Cause != CauseCivilTooOld {
		t.Errorf("got %+v", got)
	}
	restored, _ := NewClockWatch(clockConfig())
	if err := restored.RestoreState(w.AppendState(nil)); err != nil || *restored != *w {
		t.Errorf("restored: %v", err)
	}
}

func TestClockWatchRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *ClockConfig){
		"Threshold":   func(c *ClockConfig) { c.Threshold = 0 },
		"MaxDriftPPM": func(c *ClockConfig) { c.MaxDriftPPM = 0 },
		"Hold":        func(c *ClockConfig) { c.Hold = 0 },
		"Floor":       func(c *ClockConfig) { c.Floor = 0 },
	} {
		c := clockConfig()
		change(&c)
		if _, err := NewClockWatch(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestMinusSaturates(t *testing.T) {
	for _, c := range [][3]int64{
		{5, 3, 2},
		{math.MaxInt64, -1, math.MaxInt64},
		{math.MinInt64, 1, -math.MaxInt64},
		{math.MinInt64, 0, -math.MaxInt64},
		{0, math.MinInt64, math.MaxInt64},
		{-1, math.MaxInt64, -math.MaxInt64},
	} {
		if got := minus(c[0], c[1]); got != c[2] {
			t.Errorf("%d - %d: got %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
