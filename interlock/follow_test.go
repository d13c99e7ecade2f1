package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func followConfig() FollowConfig {
	return FollowConfig{
		React: 400 * ms, DecelMPS2: 0.7, DecelRadPS2: 1.5, StillMPS: 0.02, StillRadPS: 0.03, SlackMPS: 0.15, SlackRadPS: 0.25,
		SlackRatio: 0.2, After: 3 * time.Second, MaxAge: 500 * ms,
	}
}

// follower is a base that follows its commands late, written from the profile's figures alone.
type follower struct {
	w   *FollowWatch
	now time.Duration
	// told are the commands, one each 10 ms; lag is how late it follows; accel and decel are its own, in m/s².
	told         []float64
	lag          time.Duration
	accel, decel float64
	v            float64
	// push is added to what it does, in m/s; stuck makes it stand; turn is told and followed at once.
	push  float64
	stuck bool
	turn  float64
	seen  time.Duration
	last  FollowStatus
}

func newFollower(t testing.TB, cfg FollowConfig) *follower {
	t.Helper()
	w, err := NewFollowWatch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &follower{w: w, now: time.Hour, lag: 200 * ms, accel: 0.8, decel: 0.7}
}

// run tells it v for d, and calls each with every status.
func (f *follower) run(v float64, d time.Duration, each func(FollowStatus)) {
	const step = 10 * ms
	for end := f.now + d; f.now < end; {
		f.now += step
		f.told = append(f.told, v)
		want := 0.0
		if i := len(f.told) - 1 - int(f.lag/step); i >= 0 {
			want = f.told[i]
		}
		f.v += min(max(want-f.v, -f.decel*step.Seconds()), f.accel*step.Seconds())
		m := math.Abs(f.v + f.push)
		if f.stuck {
			m = 0
		}
		if f.now%(50*ms) == 0 {
			f.seen = f.now
		}
		in := FollowInput{Told: Velocity{Linear: [3]float64{v, 0, 0}, Angular: [3]float64{0, 0, f.turn}}, Seen: true, Received: f.seen, MPS: m, RadPS: f.turn}
		if f.stuck {
			in.RadPS = 0
		}
		if f.seen != f.now {
			in.MPS = math.Inf(1) // the measurement has not changed, so nobody looks at it again
		}
		f.last = f.w.Step(f.now, &in)
		if each != nil {
			each(f.last)
		}
	}
}

// TestFollowedCommandsAreQuiet drives a base that does what it is told, with every lag and ramp that the profile allows.
func TestFollowedCommandsAreQuiet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, _ := NewFollowWatch(followConfig())
		f := &follower{
			w: w, now: time.Hour, lag: time.Duration(rapid.IntRange(0, 34).Draw(t, "lag")) * 10 * ms,
			accel: rapid.Float64Range(0.3, 3).Draw(t, "accel"), decel: rapid.Float64Range(0.7, 3).Draw(t, "decel"),
		}
		for range rapid.IntRange(1, 12).Draw(t, "commands") {
			v := rapid.Float64Range(0, 1.5).Draw(t, "speed")
			f.turn = rapid.Float64Range(-1, 1).Draw(t, "turn")
			f.run(v, time.Duration(rapid.IntRange(1, 150).Draw(t, "for"))*10*ms, func(s FollowStatus) {
				if s.Excess.State != Clear || s.Unfollowed.State != Clear {
					t.Fatalf("at %v, told %v, moving at %v: %+v", f.now-time.Hour, v, f.v, s)
				}
			})
		}
	})
}

// TestFollowTroubles brings about each way of not doing what it was told, measures how long it takes to be seen, and shows
// that it goes unnoticed where the figure that it is judged by is out of reach.
func TestFollowTroubles(t *testing.T) {
	for name, x := range map[string]struct {
		do     func(f *follower)
		excess bool
		cause  Cause
		within time.Duration
		off    func(c *FollowConfig)
	}{
		"moves untold": {func(f *follower) { f.push = 0.3 }, true, CauseNotTold, 60 * ms, func(c *FollowConfig) { c.SlackMPS = 9 }},
		"faster than told": {func(f *follower) {
			f.run(0.5, 3*time.Second, nil)
			f.push = 0.4
		}, true, CauseTooFast, 60 * ms, func(c *FollowConfig) { c.SlackMPS = 9 }},
		"does not brake": {func(f *follower) {
			f.run(0.8, 3*time.Second, nil)
			f.decel = 0
		}, true, CauseTooFast, 1100 * ms, func(c *FollowConfig) { c.SlackMPS = 9 }},
		"stands": {func(f *follower) { f.stuck = true }, false, CauseNotFollowed, 3500 * ms, func(c *FollowConfig) { c.After = time.Hour }},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(cfg FollowConfig) (seen bool, after time.Duration, cause Cause) {
				f := newFollower(t, cfg)
				f.run(0, time.Second, nil)
				x.do(f)
				began, v := f.now, 0.0
				if x.cause == CauseNotFollowed {
					v = 0.5
				}
				if name == "faster than told" {
					v = 0.5
				}
				f.run(v, 5*time.Second, func(s FollowStatus) {
					c := s.Unfollowed
					if x.excess {
						c = s.Excess
					}
					if c.State == Present && !seen {
						seen, after, cause = true, f.now-began, c.Cause
					}
				})
				return seen, after, cause
			}
			seen, after, cause := run(followConfig())
			if !seen || cause != x.cause || after > x.within {
				t.Errorf("seen %t (%v) after %v, want %v within %v", seen, cause, after, x.cause, x.within)
			}
			cfg := followConfig()
			x.off(&cfg)
			if seen, _, _ := run(cfg); seen {
				t.Error("with its detector off it is still seen, so the test is about something else")
			}
		})
	}
}

// TestFollowWithoutMeasurement says nothing while odometry is missing, old or ahead, for which there are other triggers.
func TestFollowWithoutMeasurement(t *testing.T) {
	for name, in := range map[string]FollowInput{
		"never seen": {MPS: 3},
		"old":        {Seen: true, Received: time.Hour - time.Second, MPS: 3},
		"ahead":      {Seen: true, Received: time.Hour + time.Second, MPS: 3},
		"not finite": {Seen: true, Received: time.Hour, MPS: math.NaN(), RadPS: math.NaN()},
	} {
		w, _ := NewFollowWatch(followConfig())
		if s := w.Step(time.Hour, &in); s.Excess.State != Clear || s.Unfollowed.State != Clear {
			t.Errorf("%s: %+v", name, s)
		}
	}
	w, _ := NewFollowWatch(followConfig())
	if s := w.Step(time.Hour, &FollowInput{Seen: true, Received: time.Hour, MPS: 3}); s.Excess.State != Present {
		t.Errorf("off: a good measurement of 3 m/s is %+v", s)
	}
}

func TestFollowRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *FollowConfig){
		"React":       func(c *FollowConfig) { c.React = 0 },
		"DecelMPS2":   func(c *FollowConfig) { c.DecelMPS2 = 0 },
		"DecelRadPS2": func(c *FollowConfig) { c.DecelRadPS2 = math.Inf(1) },
		"StillMPS":    func(c *FollowConfig) { c.StillMPS = -1 },
		"StillRadPS":  func(c *FollowConfig) { c.StillRadPS = math.NaN() },
		"SlackMPS":    func(c *FollowConfig) { c.SlackMPS = 0 },
		"SlackRadPS":  func(c *FollowConfig) { c.SlackRadPS = 0 },
		"SlackRatio":  func(c *FollowConfig) { c.SlackRatio = 0 },
		"After":       func(c *FollowConfig) { c.After = 0 },
		"MaxAge":      func(c *FollowConfig) { c.MaxAge = 0 },
	} {
		c := followConfig()
		change(&c)
		if _, err := NewFollowWatch(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
