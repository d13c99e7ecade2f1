package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func channelConfig() ChannelConfig {
	return ChannelConfig{
		Subject: 2, Timeout: 300 * ms, LostAfter: 1200 * ms, MinPeriod: 20 * ms, Burst: 12, MaxJitter: 100 * ms, MaxLatency: 150 * ms,
		LatencyWindow: 30 * time.Second, MaxSkew: 500 * ms, MaxAhead: 50 * ms, MaxLossPerMille: 100, Signs: 5, Forgive: 4 * time.Second,
		Dwell: time.Second,
	}
}

// commander sends commands over a channel, in virtual time.
type commander struct {
	t    testing.TB
	w    *ChannelWatch
	now  time.Duration
	seq  uint32
	peer uint32
	// skew is by how much its clock lies behind the robot's, delay how long commands are on their way.
	skew, delay time.Duration
	stamped     bool
	frame       uint64
	still       bool
	sent        []Arrival
	last        ChannelStatus
}

// civilStart is the robot's civil time at boot time 0.
const civilStart = int64(1_770_000_000_000_000_000)

func newCommander(t testing.TB, cfg ChannelConfig) *commander {
	t.Helper()
	w, err := NewChannelWatch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &commander{t: t, w: w, now: time.Hour, peer: 7, stamped: true, delay: 3 * ms}
}

// make is the next command as it arrives now.
func (c *commander) make() Arrival {
	c.seq++
	a := Arrival{Received: c.now, Civil: civilStart + int64(c.now), Peer: c.peer, Seq: c.seq, Frame: c.frame, Moving: !c.still}
	if c.stamped {
		a.Stamp = a.Civil - int64(c.delay) - int64(c.skew)
	}
	return a
}

func (c *commander) put(a Arrival) ArrivalMark {
	a.Received, a.Civil = c.now, civilStart+int64(c.now)
	m := c.w.Arrive(&a)
	c.last = c.w.Status(c.now)
	return m
}

// send sends n commands, one each period.
func (c *commander) send(n int, period time.Duration) {
	for range n {
		c.wait(period)
		a := c.make()
		c.sent = append(c.sent, a)
		c.put(a)
	}
}

// wait lets time pass, with a status each 20 ms as the guard's ticks ask for it.
func (c *commander) wait(d time.Duration) {
	for end := c.now + d; c.now < end; {
		c.now = min(end, c.now+20*ms)
		c.last = c.w.Status(c.now)
	}
}

func (c *commander) want(h ChannelHealth, cause Cause) {
	c.t.Helper()
	if c.last.Health != h || h > HealthGood && c.last.Cause != cause {
		c.t.Errorf("got %v (%v), want %v (%v); %+v", c.last.Health, c.last.Cause, h, cause, c.last)
	}
	for _, x := range []struct {
		name string
		c    Condition
		h    ChannelHealth
	}{{"degraded", c.last.Degraded, HealthDegraded}, {"hostile", c.last.Hostile, HealthHostile}} {
		if got := x.c.State == Present; got != (h == x.h) {
			c.t.Errorf("condition %s is %+v at %v", x.name, x.c, h)
		}
	}
}

// channelTroubles are what can be wrong with a channel: what is seen of it, and a configuration under which it goes
// unnoticed, which shows that the test is about this detector.
var channelTroubles = map[string]struct {
	do    func(c *commander)
	want  ChannelHealth
	cause Cause
	off   func(c *ChannelConfig)
}{
	"too often": {func(c *commander) { c.send(50, 5*ms) }, HealthHostile, CauseTooOften, func(c *ChannelConfig) { c.MinPeriod = ms }},
	"recorded commands, minutes later": {func(c *commander) {
		c.send(3000, 100*ms)
		for _, a := range c.sent[:10] {
			c.wait(50 * ms)
			if m := c.put(a); m != ArrivalRepeated {
				c.t.Errorf("a recorded command is %v", m)
			}
		}
	}, HealthHostile, CauseRepeated, func(c *ChannelConfig) { c.Signs = maxCount }},
	"recorded commands without numbers": {func(c *commander) {
		c.send(20, 100*ms)
		c.wait(300 * ms)
		for _, a := range c.sent[:10] {
			a.Seq = 0
			c.wait(50 * ms)
			if m := c.put(a); m != ArrivalRepeated {
				c.t.Errorf("a recorded command is %v", m)
			}
		}
	}, HealthHostile, CauseRepeated, func(c *ChannelConfig) { c.Signs = maxCount }},
	"recorded commands without stamps": {func(c *commander) {
		c.stamped = false
		c.send(40, 100*ms)
		for _, a := range c.sent[:10] {
			c.wait(50 * ms)
			if m := c.put(a); m != ArrivalRepeated {
				c.t.Errorf("a recorded command is %v", m)
			}
		}
	}, HealthHostile, CauseRepeated, func(c *ChannelConfig) { c.Signs = maxCount }},
	"in another frame": {func(c *commander) {
		c.frame = 11
		c.send(5, 100*ms)
		c.frame = 12
		c.send(6, 100*ms)
	}, HealthHostile, CauseWrongFrame, func(c *ChannelConfig) { c.Signs = maxCount }},
	"senders of another type": {func(c *commander) {
		c.send(5, 100*ms)
		for range 5 {
			c.w.Refuse(c.now, CauseWrongType)
			c.send(3, 100*ms)
		}
	}, HealthHostile, CauseWrongType, func(c *ChannelConfig) { c.Signs, c.Forgive = maxCount, ms }},
	"overtaken": {func(c *commander) {
		for range 12 {
			c.send(2, 100*ms)
			a := c.sent[len(c.sent)-2]
			a.Seq, a.Stamp = c.seq-1, c.sent[len(c.sent)-1].Stamp-int64(10*ms)
			if m := c.put(a); m != ArrivalOvertaken {
				c.t.Errorf("it is %v", m)
			}
		}
	}, HealthDegraded, CauseBackwards, func(c *ChannelConfig) { c.Signs = maxCount }},
	"uneven": {func(c *commander) {
		for range 60 {
			c.send(1, 20*ms)
			c.send(1, 260*ms)
		}
	}, HealthDegraded, CauseUneven, func(c *ChannelConfig) { c.MaxJitter = time.Second }},
	"later and later": {func(c *commander) {
		c.send(30, 100*ms)
		c.delay = 200 * ms
		c.send(20, 100*ms)
	}, HealthDegraded, CauseDelayed, func(c *ChannelConfig) { c.MaxLatency = time.Second }},
	"every second one lost": {func(c *commander) {
		for range 40 {
			c.seq++
			c.send(1, 100*ms)
		}
	}, HealthDegraded, CauseLossy, func(c *ChannelConfig) { c.MaxLossPerMille = 1000 }},
	"dropouts in motion": {func(c *commander) {
		for range 8 {
			c.send(5, 50*ms)
			c.wait(400 * ms)
		}
		c.send(1, 10*ms)
	}, HealthDegraded, CauseDropouts, func(c *ChannelConfig) { c.Timeout = 600 * ms }},
	"a clock behind": {func(c *commander) {
		c.skew = 700 * ms
		c.send(3, 100*ms)
	}, HealthDegraded, CauseClockSkew, func(c *ChannelConfig) { c.MaxSkew = time.Second }},
	"a clock ahead": {func(c *commander) {
		c.skew = -time.Hour
		c.send(3, 100*ms)
	}, HealthDegraded, CauseClockSkew, func(c *ChannelConfig) { c.MaxAhead, c.MaxSkew = 2*time.Hour, 2*time.Hour }},
	"a clock that is put forward": {func(c *commander) {
		c.skew = 400 * ms
		c.send(10, 100*ms)
		c.skew = 0
		c.send(5, 100*ms)
		c.skew = 400 * ms
	}, HealthGood, CauseNone, nil},
}

// TestChannelTroubles brings about each trouble and compares what the watch says; with its detector off it says nothing.
func TestChannelTroubles(t *testing.T) {
	for name, x := range channelTroubles {
		t.Run(name, func(t *testing.T) {
			c := newCommander(t, channelConfig())
			x.do(c)
			c.want(x.want, x.cause)
			if x.off == nil {
				return
			}
			cfg := channelConfig()
			x.off(&cfg)
			off := newCommander(t, cfg)
			x.do(off)
			if off.last.Health == x.want && off.last.Cause == x.cause {
				t.Error("with its detector off it is still seen, so the test is about something else")
			}
		})
	}
}

func TestChannelSilence(t *testing.T) {
	for name, x := range map[string]struct {
		needed, still bool
		lost          State
		health        ChannelHealth
	}{
		"needed, at rest":             {true, true, Present, HealthLost},
		"needed, in motion":           {true, false, Present, HealthLost},
		"not needed, after a stop":    {false, true, Clear, HealthIdle},
		"not needed, in mid-movement": {false, false, Clear, HealthLost},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := channelConfig()
			cfg.Needed = x.needed
			c := newCommander(t, cfg)
			c.still = x.still
			if s := c.w.Status(c.now); x.needed != (s.Lost.State == Unknown) {
				t.Errorf("before the first command: %+v", s)
			}
			c.send(20, 100*ms)
			c.want(HealthGood, CauseNone)
			c.wait(1190 * ms)
			c.want(HealthGood, CauseNone)
			c.wait(10 * ms)
			if c.last.Health != x.health || c.last.Lost.State != x.lost {
				t.Errorf("got %+v", c.last)
			}
			c.send(1, 100*ms)
			c.wait(1100 * ms)
			if c.last.Health > HealthGood {
				t.Errorf("it does not come back: %+v", c.last)
			}
		})
	}
}

// TestChannelClocks parts delay from skew: a constant difference of clocks is no delay, and delay no difference.
func TestChannelClocks(t *testing.T) {
	for name, skew := range map[string]time.Duration{"even": 0, "behind": 300 * ms, "ahead": -40 * ms} {
		t.Run(name, func(t *testing.T) {
			c := newCommander(t, channelConfig())
			c.skew = skew
			c.send(100, 100*ms)
			if d := c.last.Skew - skew; d < 0 || d > 4*ms {
				t.Errorf("skew is %v, want %v and the quickest way's 3 ms", c.last.Skew, skew)
			}
			if c.last.Latency > ms {
				t.Errorf("latency is %v", c.last.Latency)
			}
			c.delay = 60 * ms
			c.send(50, 100*ms)
			if d := c.last.Latency - 57*ms; d < -ms || d > ms {
				t.Errorf("latency is %v, want 57 ms", c.last.Latency)
			}
			if d := c.last.Skew - skew; d < 0 || d > 4*ms {
				t.Errorf("skew is %v under delay", c.last.Skew)
			}
			c.want(HealthGood, CauseNone)
		})
	}
}

// TestChannelStampFromAheadPoisonsNothing sends one stamp of an hour ahead among good commands; those after it are still new.
// And after the robot's own clock was set back by an hour, so are those by the new one.
func TestChannelStampFromAheadPoisonsNothing(t *testing.T) {
	c := newCommander(t, channelConfig())
	c.send(5, 100*ms)
	a := c.make()
	a.Stamp += int64(time.Hour)
	c.put(a)
	c.wait(100 * ms)
	if m := c.put(c.make()); m != ArrivalNew {
		t.Errorf("after it, a good command is %v", m)
	}
	c.wait(100 * ms)
	a = c.make()
	a.Civil -= int64(time.Hour)
	a.Stamp -= int64(time.Hour)
	if m := c.w.Arrive(&a); m != ArrivalNew {
		t.Errorf("after the clock was set back, a good command is %v", m)
	}
}

// TestChannelNumbersWrap goes past the end of the numbers, and a sender that begins anew begins with any number.
func TestChannelNumbersWrap(t *testing.T) {
	c := newCommander(t, channelConfig())
	c.stamped, c.seq = false, math.MaxUint32-5
	for range 20 {
		c.wait(100 * ms)
		a := c.make()
		if a.Seq == 0 {
			continue // the number that says that there is none
		}
		if m := c.put(a); m != ArrivalNew {
			t.Fatalf("number %d is %v", a.Seq, m)
		}
	}
	c.peer, c.seq = 8, 0
	c.wait(100 * ms)
	if m := c.put(c.make()); m != ArrivalNew {
		t.Errorf("a new connection's first is %v", m)
	}
	c.want(HealthGood, CauseNone)
}

// TestChannelDwell keeps a bad health until every sign has been away for the dwell.
func TestChannelDwell(t *testing.T) {
	c := newCommander(t, channelConfig())
	c.send(60, 5*ms)
	c.want(HealthHostile, CauseTooOften)
	at := c.now
	for c.last.Health == HealthHostile && c.now < at+10*time.Second {
		c.send(1, 100*ms)
	}
	if d := c.now - at; d < time.Second || d > 2500*ms {
		t.Errorf("good again after %v", d)
	}
}

func TestChannelRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *ChannelConfig){
		"Subject":         func(c *ChannelConfig) { c.Subject = 0 },
		"Timeout":         func(c *ChannelConfig) { c.Timeout = 0 },
		"LostAfter":       func(c *ChannelConfig) { c.LostAfter = c.Timeout },
		"MinPeriod":       func(c *ChannelConfig) { c.MinPeriod = 0 },
		"Burst":           func(c *ChannelConfig) { c.Burst = 0 },
		"MaxJitter":       func(c *ChannelConfig) { c.MaxJitter = 0 },
		"MaxLatency":      func(c *ChannelConfig) { c.MaxLatency = -1 },
		"LatencyWindow":   func(c *ChannelConfig) { c.LatencyWindow = 0 },
		"MaxSkew":         func(c *ChannelConfig) { c.MaxSkew = 0 },
		"MaxAhead":        func(c *ChannelConfig) { c.MaxAhead = 0 },
		"MaxLossPerMille": func(c *ChannelConfig) { c.MaxLossPerMille = 1001 },
		"Signs":           func(c *ChannelConfig) { c.Signs = 0 },
		"Forgive":         func(c *ChannelConfig) { c.Forgive = 0 },
		"Dwell":           func(c *ChannelConfig) { c.Dwell = 0 },
	} {
		c := channelConfig()
		change(&c)
		if _, err := NewChannelWatch(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestChannelWatchDoesNotAllocate(t *testing.T) {
	c := newCommander(t, channelConfig())
	if n := testing.AllocsPerRun(1000, func() {
		c.now += 10 * ms
		a := c.make()
		c.w.Arrive(&a)
		c.w.Status(c.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestChannelStateRoundTrip restores a watch of a channel and one of a base in the middle of a history; they go on as those
// that were written do.
func TestChannelStateRoundTrip(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, _ := NewChannelWatch(channelConfig())
		b, _ := NewChannelWatch(channelConfig())
		f, _ := NewFollowWatch(followConfig())
		g, _ := NewFollowWatch(followConfig())
		now, both := time.Hour, false
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 50).Draw(t, "wait")) * 10 * ms
			if !both && rapid.IntRange(0, 9).Draw(t, "restore") == 9 {
				if err := b.RestoreState(a.AppendState(nil)); err != nil {
					return err
				}
				if err := g.RestoreState(f.AppendState(nil)); err != nil {
					return err
				}
				both = true
			}
			x := Arrival{
				Received: now, Civil: civilStart + int64(now), Peer: uint32(rapid.IntRange(1, 2).Draw(t, "peer")), //nolint:gosec // small
				Seq:   uint32(i + rapid.IntRange(0, 30).Draw(t, "number")), //nolint:gosec // small
				Stamp: civilStart + int64(now) - int64(rapid.IntRange(-2000, 2000).Draw(t, "age"))*int64(ms),
				Frame: uint64(rapid.IntRange(0, 2).Draw(t, "frame")), Moving: rapid.Bool().Draw(t, "moving"), //nolint:gosec // small
			}
			in := FollowInput{
				Told: Velocity{Linear: [3]float64{float64(rapid.IntRange(0, 3).Draw(t, "told")) / 4, 0, 0}}, Seen: true, Received: now,
				MPS: float64(rapid.IntRange(0, 3).Draw(t, "speed")) / 4,
			}
			refused := rapid.IntRange(0, 9).Draw(t, "refused") == 0
			if refused {
				a.Refuse(now, CauseMalformed)
			}
			mark, status, followed := a.Arrive(&x), a.Status(now), f.Step(now, &in)
			if !both {
				continue
			}
			if refused {
				b.Refuse(now, CauseMalformed)
			}
			if m, s, o := b.Arrive(&x), b.Status(now), g.Step(now, &in); m != mark || s != status || o != followed {
				return fault("%v %+v %+v, restored %v %+v %+v", mark, status, followed, m, s, o)
			}
		}
		return nil
	})
}

// TestAForgedFrameLocksNobodyOut: the frame of a forged first command is given up for the commander's, an established one is
// not, and one that is configured never.
func TestAForgedFrameLocksNobodyOut(t *testing.T) {
	const rightful, forged = 11, 12
	for name, c := range map[string]struct {
		configured uint64
		first      int // commands in the forged frame before the commander begins
		dropped    int // of 20 of the commander's
		hostile    bool
	}{
		"none forged":                     {0, 0, 0, false},
		"the first was forged":            {0, 1, 1, false},
		"the first three were forged":     {0, 3, 3, false},
		"so many that it is established":  {0, 30, frameRun, true},
		"the first, beside a setting":     {rightful, 1, 0, false},
		"all but one, beside a setting":   {rightful, 30, 0, true},
		"the setting is another than his": {forged, 0, 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := channelConfig()
			cfg.Frame = c.configured
			s := newCommander(t, cfg)
			s.frame = forged
			s.send(c.first, 100*ms)
			hostile := s.last.Health == HealthHostile
			s.frame = rightful
			dropped := 0
			for range 20 {
				s.wait(100 * ms)
				if s.put(s.make()) == ArrivalWrongFrame {
					dropped++
				}
				hostile = hostile || s.last.Health == HealthHostile
			}
			if dropped != c.dropped || hostile != c.hostile {
				t.Errorf("%d of the commander's 20 were dropped, hostile %v; expected %d, %v", dropped, hostile, c.dropped, c.hostile)
			}
		})
	}
	// One forged command among the rightful ones is dropped, and teaches nothing; in turn they are signs.
	s := newCommander(t, channelConfig())
	s.frame = rightful
	s.send(2, 100*ms)
	for i := range 6 {
		for frame, want := range map[uint64]ArrivalMark{forged: ArrivalWrongFrame, rightful: ArrivalNew} {
			s.frame = frame
			s.wait(50 * ms)
			if got := s.put(s.make()); got != want {
				t.Fatalf("%d: frame %d is %v, expected %v", i, frame, got, want)
			}
		}
	}
	if s.last.Health != HealthHostile || s.last.Cause != CauseWrongFrame {
		t.Errorf("commands in two frames in turn: %+v", s.last)
	}
}

// TestStrangersHideNothing: somebody whom the bus does not let speak says nothing about who does, neither that it is suspect
// nor that it is not.
func TestStrangersHideNothing(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(s *commander)
		cause   Cause
		lost    State
	}{
		"nothing else": {func(s *commander) { s.send(3, 100*ms) }, CauseWrongType, Clear},
		"a replay, which is over": {func(s *commander) {
			for range 6 {
				s.put(s.sent[len(s.sent)-1])
			}
			s.wait(20*time.Second + 20*ms)
			s.send(1, 20*ms)
		}, CauseRepeated, Clear},
		"commands that are lost": {func(s *commander) {
			for range 20 {
				s.seq += 2
				s.send(1, 100*ms)
			}
		}, CauseLossy, Clear},
		"silence": {func(s *commander) { s.wait(2 * time.Second) }, CauseWrongType, Present},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := channelConfig()
			cfg.Needed, cfg.Dwell = true, 3*time.Second
			s := newCommander(t, cfg)
			s.send(5, 100*ms)
			c.trouble(s)
			for range 6 {
				s.w.Refuse(s.now, CauseWrongType)
			}
			s.last = s.w.Status(s.now)
			if s.last.Health != HealthHostile || s.last.Cause != c.cause || s.last.Stranger() != (c.cause == CauseWrongType) || s.last.Lost.State != c.lost {
				t.Errorf("%+v, expected %v and lost %v", s.last, c.cause, c.lost)
			}
		})
	}
}

// TestACommandWithoutAFrameIsInNoOther: what states no frame is neither in another nor the first of one.
func TestACommandWithoutAFrameIsInNoOther(t *testing.T) {
	s := newCommander(t, channelConfig())
	for i, frame := range []uint64{0, 11, 0, 11, 0, 0, 0, 11} {
		s.frame = frame
		s.wait(100 * ms)
		if got := s.put(s.make()); got != ArrivalNew {
			t.Fatalf("command %d, frame %d: %v", i, frame, got)
		}
	}
}
