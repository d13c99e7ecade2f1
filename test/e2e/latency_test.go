package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/malicious"
	"github.com/robowarden/robowarden/test/plant"
)

// The test's own program plays an attacker, or what an attacker attacks, when one of these names a socket: an attacker in
// the process that measures would be measured as well.
const (
	hammerEnv = "ROBOWARDEN_TEST_HAMMER"
	decoyEnv  = "ROBOWARDEN_TEST_DECOY"
)

// TestMain lets the test's own program play those parts.
func TestMain(m *testing.M) {
	hammer, decoy := os.Getenv(hammerEnv), os.Getenv(decoyEnv)
	if cpu := os.Getenv(progressEnv); cpu != "" {
		fmt.Fprintln(os.Stderr, progress(cpu))
		os.Exit(1)
	}
	if hammer == "" && decoy == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	if hammer != "" {
		malicious.Hammer(ctx, hammer, 1<<62)
	} else if err := malicious.Decoy(ctx, decoy); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
	<-ctx.Done()
	stop()
}

// play starts the test's own program in a part.
func play(t testing.TB, env, socket string) *proc.Process {
	t.Helper()
	return proc.StartT(t, proc.Spec{Name: env, Argv: []string{must(os.Executable())(t)}, Env: []string{env + "=" + socket}})
}

// BenchmarkMaliciousCourier measures the command's way through the guard while its socket is hammered by a courier that was
// taken over, and while a decoy is hammered just as hard, in turns: decoy, guard, guard, decoy, so that neither has the
// better half of a machine that changes. The driver has real time of its own, so that it is not what is slowed down.
func BenchmarkMaliciousCourier(b *testing.B) {
	m := ros.StartMaster(b, ros.Options{})
	in, out := bench.Topics(bench.Gate, "guard")
	plant.Start(b, m, plant.Config{CommandTopic: out, LockTopic: "/robowarden/lock"})
	s := newSite(b, m, siteConfig{lock: true, commandIn: in, commandOut: out, commandPublisher: "/bench_driver", journalMiB: 256})
	g := s.start(b)
	g.ready(b)
	decoy := s.path("decoy.sock")
	play(b, decoyEnv, decoy)
	until(b, 5*time.Second, "a decoy", func() bool { _, err := os.Stat(decoy); return err == nil })
	// By condition: 0 the decoy is hammered, 1 the guard.
	hammers := [2]*proc.Process{play(b, hammerEnv, decoy), play(b, hammerEnv, s.path("control.sock"))}
	condition := func(round int) int { return [4]int{0, 1, 1, 0}[round%4] }
	before := func(round int) {
		for i, h := range hammers {
			change := h.Pause
			if i == condition(round) {
				change = h.Resume
			}
			if err := change(); err != nil {
				b.Fatal(err)
			}
		}
		idle(b, 300*time.Millisecond) // The connections of the one that rests are gone by then.
	}
	bench.Realtime(b, driverFIFO)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for b.Loop() {
		const rate = 1000
		r, err := bench.Run(ctx, bench.Config{
			Master: m.URI(), Job: bench.Gate, Workers: []bench.Worker{{Name: ours, PID: g.PID(), In: in, Out: out}},
			Rates: []float64{rate}, Rounds: 2 * roundsOr(16), Visit: 2 * time.Second, Before: before, Log: b.Logf,
		})
		if err != nil {
			b.Fatal(err)
		}
		visits := r.Visits[bench.Key{Worker: ours, Rate: rate}]
		for _, q := range []float64{0.5, 0.99} {
			c := compare(visits, condition, q)
			b.ReportMetric(c.ratio, fmt.Sprintf("p%g/decoy", 100*q))
			figure(b, "guard's socket hammered beside a decoy, %d pairs of rounds at %d Hz: p%g %.1f µs and %.1f µs, ratio %.2f (middle half of the pairs %.2f to %.2f)",
				c.pairs, rate, 100*q, us(c.attack), us(c.decoy), c.ratio, c.low, c.high)
		}
	}
	for _, h := range hammers {
		_ = h.Resume() // a stopped process does not hear that it is to end
	}
}

// comparison is what pairs of rounds say: medians, and the quartiles of the ratio.
type comparison struct {
	pairs            int
	attack, decoy    time.Duration
	ratio, low, high float64
}

// compare takes the rounds in pairs, one of each condition, so that what changes slowly cancels out.
func compare(visits []bench.Visit, condition func(round int) int, q float64) comparison {
	var ratios []float64
	var times [2][]time.Duration
	for i := 0; i+1 < len(visits); i += 2 {
		var pair [2]time.Duration
		for k := range 2 {
			pair[condition(i+k)] = visits[i+k].Quantile(q)
		}
		ratios = append(ratios, float64(pair[1])/float64(pair[0]))
		for c := range pair {
			times[c] = append(times[c], pair[c])
		}
	}
	if len(ratios) == 0 {
		return comparison{}
	}
	slices.Sort(ratios)
	for c := range times {
		slices.Sort(times[c])
	}
	n := len(ratios)
	return comparison{
		pairs: n, attack: times[1][n/2], decoy: times[0][n/2], ratio: ratios[n/2], low: ratios[n/4], high: ratios[3*n/4],
	}
}
