package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/dds"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// What disturbs the guard in BenchmarkDDSFlood.
const (
	// floodHz is how many forged announcements a second are sent to the guard, each in another's name and from another
	// address: fifty times what it takes of strangers in a second.
	floodHz = 20_000
	// crowd and crowdWriters are DESIGN's: 200 participants with 2 000 endpoints.
	crowd, crowdWriters = 200, 10
)

// flood sends forged announcements to the guard's discovery port while it is on.
type flood struct {
	forger *netns.Forger
	to     netip.AddrPort
	on     atomic.Bool
	sent   atomic.Int64
	failed atomic.Pointer[error]
}

// startFlood makes a flood that is off.
func startFlood(b *testing.B, d *domain.Domain) *flood {
	b.Helper()
	// The guard has the first participant's port: the others take theirs elsewhere.
	f := &flood{
		forger: d.Network().Forger(b), to: netip.AddrPortFrom(netip.MustParseAddr(d.Address()), uint16(7400+250*d.Number+10)),
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { f.run(stop) })
	b.Cleanup(func() {
		close(stop)
		all.Wait()
	})
	return f
}

func (f *flood) run(stop chan struct{}) {
	const pause = 5 * time.Millisecond
	const batch = floodHz / int(time.Second/pause)
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not a secret
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		for range batch {
			if !f.on.Load() {
				break
			}
			if err := f.one(r); err != nil {
				f.failed.Store(&err)
				return
			}
			f.sent.Add(1)
		}
	}
}

// one forges a participant on this computer's network.
func (f *flood) one(r *rand.Rand) error {
	ip := r.Uint32()
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(1 + ip>>16%250), byte(ip >> 8), byte(ip)}), uint16(20_000+r.IntN(20_000)))
	p := rtps.Participant{Meta: from, User: from, Lease: time.Hour, UserData: "enclave=/;"}
	for i := range p.Prefix {
		p.Prefix[i] = byte(r.Uint32())
	}
	return f.forger.Try(from, f.to, p.Announce(1))
}

// BenchmarkDDSFlood measures the command's way through the guard, and what the guard uses, in a calm, under a flood of forged
// announcements, and among a crowd of participants. The relay beside it in C on CycloneDDS hears the crowd as well, and
// nothing of the flood, whose sender takes its share of the machine: that is what its row shows.
func BenchmarkDDSFlood(b *testing.B) {
	d := domain.Start(b, bus.Cyclone)
	g, w := guardOnDDS(b, d)
	workers := []bench.Worker{bench.CycloneRelay(b, d, cycloneFIFO, guardFIFO), w}
	f := startFlood(b, d)
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
	defer cancel()
	for b.Loop() {
		// By round: first calm and flood in turns, then the crowd.
		pairs := roundsOr(10)
		calm := func(round int) bool { return round < 2*pairs && round%2 == 0 }
		flooded := func(round int) bool { return round < 2*pairs && round%2 == 1 }
		crowded := func(round int) bool { return round >= 2*pairs }
		before := func(round int) {
			f.on.Store(flooded(round))
			if round == 2*pairs {
				gather(b, d, g)
			}
			idle(b, 500*time.Millisecond)
		}
		start := time.Now()
		r, err := bench.RunOn(ctx, b, d, driverFIFO, bench.Config{
			Job: bench.Gate, Workers: workers, Rates: []float64{100, 1000}, Rounds: 3 * pairs, Visit: time.Second, Before: before, Log: b.Logf,
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := f.failed.Load(); err != nil {
			b.Fatal(*err)
		}
		rc, rf, rr := r.Only(" on DDS, calm", calm), r.Only(fmt.Sprintf(" on DDS, %d forged announcements a second to the guard", floodHz), flooded),
			r.Only(fmt.Sprintf(" on DDS, among %d participants with %d endpoints", crowd, crowd*crowdWriters), crowded)
		for _, x := range []*bench.Report{rc, rf, rr} {
			table(b, x, cycloneFIFO)
		}
		figure(b, "DDS, %d forged announcements were sent in %v", f.sent.Load(), time.Since(start).Round(time.Second))
		for _, rate := range r.Rates {
			disturbed(b, "under the flood", rate, rf, rc)
			disturbed(b, "among the crowd", rate, rr, rc)
		}
		u := must(g.Usage())(b)
		figure(b, "DDS, guard after flood and crowd: resident %.1f MB, peak %.1f MB, %d threads", mb(u.RSSBytes), mb(u.HWMBytes), u.Threads)
	}
}

// disturbed says what the disturbance did to the guard, and to the relay beside it.
func disturbed(b *testing.B, how string, rate float64, r, calm *bench.Report) {
	b.Helper()
	over := func(worker string, q float64) float64 {
		return float64(r.Quantile(worker, rate, q)) / float64(calm.Quantile(worker, rate, q))
	}
	figure(b, "DDS, %g Hz, the guard %s beside the calm: p50 %.2f ×, p99 %.2f ×, CPU %.1f %% and %.1f %%; the C relay: p50 %.2f ×, p99 %.2f ×",
		rate, how, over(ours, 0.5), over(ours, 0.99), 100*r.CPU(ours, rate), 100*calm.CPU(ours, rate), over(cycloneFIFO, 0.5), over(cycloneFIFO, 0.99))
}

// gather brings the crowd onto the domain and waits until the guard knows all of it.
func gather(b *testing.B, d *domain.Domain, g *guard) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not a secret
	seen := g.watchTriggers(b)
	before, start := must(g.Usage())(b), time.Now()
	var all []*dds.Fake
	for _, address := range []string{"127.0.0.2", "127.0.0.3"} {
		h := *d.Network()
		h.Address = address
		all = append(all, dds.Crowd(b, &h, r, crowd/2, crowdWriters)...)
	}
	until(b, 60*time.Second, "a crowd that the guard knows", func() bool {
		return !slices.ContainsFunc(all, func(f *dds.Fake) bool { return !f.KnownTo(wire.OurVendor) })
	})
	after, took := must(g.Usage())(b), time.Since(start)
	figure(b, "DDS, %d participants with %d endpoints were known to the guard after %.1f s: %.2f s of CPU, resident %.1f MB before and %.1f MB after; triggers meanwhile: %s",
		crowd, crowd*crowdWriters, took.Seconds(), (after.CPU - before.CPU).Seconds(), mb(before.RSSBytes), mb(after.RSSBytes), strings.Join(seen(), " "))
	g.ready(b) // what the arrival tripped clears by itself
}
