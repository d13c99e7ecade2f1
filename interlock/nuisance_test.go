package interlock

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// link is a clean network: delays are lognormal, and now and then it stalls, as a radio does that changes its access point;
// what was sent meanwhile arrives together and in order.
type link struct {
	hz float64
	// median and sigma are those of the delay; stall is how long it stalls at most, about once each of every.
	median time.Duration
	sigma  float64
	stall  time.Duration
	every  time.Duration
	// skew is by how much the sender's clock lies behind, drift how fast it goes wrong, in millionths.
	skew  time.Duration
	drift float64
}

// TestCleanChannelsAreQuiet drives over clean links for hours: at most one trip in a hundred hours.
func TestCleanChannelsAreQuiet(t *testing.T) {
	for name, l := range map[string]link{
		"wired, 50 Hz":  {hz: 50, median: ms, sigma: 0.5, stall: 20 * ms, every: time.Minute, drift: 20},
		"radio, 20 Hz":  {hz: 20, median: 8 * ms, sigma: 0.8, stall: 250 * ms, every: time.Minute, skew: 200 * ms, drift: 100},
		"mobile, 10 Hz": {hz: 10, median: 40 * ms, sigma: 0.4, stall: 280 * ms, every: 90 * time.Second, skew: -20 * ms, drift: -50},
	} {
		t.Run(name, func(t *testing.T) {
			trips, hours := l.drive(t, nuisanceHours, 1)
			t.Logf("%d trips in %.0f simulated hours", trips, hours)
			if float64(trips) > 0.01*hours {
				t.Errorf("%d trips in %.0f hours, want at most one in a hundred hours", trips, hours)
			}
		})
	}
	bad := link{hz: 20, median: 8 * ms, sigma: 0.8, stall: 900 * ms, every: 4 * time.Second}
	if trips, _ := bad.drive(t, 1, 2); trips == 0 {
		t.Error("off: on a link that stalls every four seconds for up to 0.9 s it is quiet as well")
	}
}

// wander is by how much the sender's clock has gone wrong after d, in nanoseconds: it drifts, and a time service brings it
// back in ten minutes.
func (l *link) wander(d time.Duration) int64 {
	const turn = 10 * time.Minute
	at := d % (2 * turn)
	if at > turn {
		at = 2*turn - at
	}
	return int64(float64(at) * l.drift / 1e6)
}

// drive counts how often the channel becomes degraded, lost or hostile.
func (l *link) drive(t *testing.T, hours int, seed uint64) (trips int, driven float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 8)) //nolint:gosec // repeatable on purpose
	cfg := channelConfig()
	cfg.Needed, cfg.MinPeriod, cfg.Burst, cfg.MaxJitter, cfg.MaxSkew = true, time.Second/200, 50, 150*ms, time.Second
	w, err := NewChannelWatch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	period := time.Duration(float64(time.Second) / l.hz)
	start, now := time.Hour, time.Hour
	free := start // until when a stall lasts
	next := start + time.Duration(r.ExpFloat64()*float64(l.every))
	bad := false
	for sent, n := start, uint32(1); sent < start+time.Duration(hours)*time.Hour; n++ {
		sent += period + time.Duration((r.Float64()-0.5)*0.1*float64(period))
		if sent > next {
			free = sent + time.Duration(r.Float64()*float64(l.stall))
			next = free + time.Duration(r.ExpFloat64()*float64(l.every))
		}
		got := max(sent+time.Duration(float64(l.median)*math.Exp(l.sigma*r.NormFloat64())), free, now)
		for now+20*ms < got {
			now += 20 * ms
			bad = tripped(w, now, bad, &trips)
		}
		now = got
		w.Arrive(&Arrival{
			Received: now, Civil: civilStart + int64(now), Peer: 1, Seq: n, Stamp: civilStart + int64(sent-l.skew) + l.wander(sent-start), Moving: true,
		})
		bad = tripped(w, now, bad, &trips)
		driven = (sent - start).Hours()
	}
	return trips, driven
}

// tripped counts the moments at which it becomes bad.
func tripped(w *ChannelWatch, now time.Duration, bad bool, trips *int) bool {
	s := w.Status(now)
	is := s.Degraded.State == Present || s.Hostile.State == Present || s.Lost.State == Present
	if is && !bad {
		*trips++
	}
	return is
}

// TestMoreTroubleNeverLoosens compares two runs of one commander of which the second is worse: its delays after a quiet
// beginning are longer, its intervals less even, or more of its commands are lost. Whatever the first comes to, the second
// comes to as well.
func TestMoreTroubleNeverLoosens(t *testing.T) {
	check(t, func(t *rapid.T) error { return worse(t, 1) })
	refuted(t, func(t *rapid.T) error { return worse(t, -1) })
}

// worse draws an amount of trouble, and more of the same; sign -1 takes the second for the first.
func worse(t *rapid.T, sign int) error {
	kind := rapid.SampledFrom([]string{"delay", "jitter", "loss"}).Draw(t, "kind")
	less := rapid.IntRange(0, 100).Draw(t, "less")
	more := rapid.IntRange(less, 100).Draw(t, "more")
	seed := rapid.Uint64().Draw(t, "seed")
	a, b := amount(kind, less, seed), amount(kind, more, seed)
	if sign < 0 {
		a, b = b, a
	}
	if b < a {
		return fault("%s: %d of 100 is %v, %d is %v", kind, less, a, more, b)
	}
	return nil
}

// amount runs a commander with so much trouble, of a hundred, and returns the worst health that its channel came to.
func amount(kind string, n int, seed uint64) ChannelHealth {
	r := rand.New(rand.NewPCG(seed, 9)) //nolint:gosec // repeatable on purpose
	w, _ := NewChannelWatch(channelConfig())
	worst, now := HealthIdle, time.Hour
	for i := range 200 {
		now += 100 * ms
		at := now
		lost := r.IntN(200)
		a := Arrival{Civil: civilStart, Seq: uint32(i + 1), Peer: 1, Moving: true} //nolint:gosec // small
		switch trouble := time.Duration(n) * ms; {
		case i < 40:
		case kind == "delay":
			at += 3 * trouble
			a.Stamp = civilStart + int64(now)
		case kind == "jitter":
			at += time.Duration(float64(trouble) * float64(i%2) * 0.9)
		case kind == "loss" && lost < n:
			continue
		}
		if i < 40 {
			a.Stamp = civilStart + int64(now)
		}
		a.Received, a.Civil = at, civilStart+int64(at)
		w.Arrive(&a)
		if s := w.Status(at); s.Health > worst {
			worst = s.Health
		}
	}
	return worst
}
