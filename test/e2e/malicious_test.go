package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/malicious"
	"github.com/robowarden/robowarden/test/plant"
)

// TestMaliciousCourier takes over both roles of a robot that stands because of a signed stop: whatever they send, the stop
// stays, the guard does not grow, and its journal replays.
func TestMaliciousCourier(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.ROS}, maliciousCourier)
}

func maliciousCourier(t *testing.T, b bus.Bus) {
	run := seed(t)
	r, tg := stopped(t, b, run)
	before, err := r.g.Usage()
	if err != nil {
		t.Fatal(err)
	}
	loose := r.g.watchMotion(t)
	for _, a := range malicious.All() {
		t.Run(a.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			tg.Logf = t.Logf
			if err := a.Run(ctx, tg); err != nil {
				t.Errorf("%s (the attacker hopes for %s)", err, a.Claims)
			}
			if _, ok := r.g.status(); !ok {
				r.g.await(t, "a guard that answers its tools", 10*time.Second, func(agent.Status) bool { return true })
			}
		})
	}
	if l := loose(); len(l) > 0 {
		t.Errorf("loosened: %v", l)
	}
	r.g.await(t, "descriptors given back", 10*time.Second, func(agent.Status) bool {
		u, err := r.g.Usage()
		return err == nil && u.Files <= before.Files+4
	})
	after, err := r.g.Usage()
	if err != nil || after.HWMBytes > maxRSSKiB<<10 || after.Threads > before.Threads+16 {
		t.Errorf("%v: %+v before, %+v after", err, before, after)
	}
	t.Logf("figures: resident %.1f MB before, %.1f MB after, peak %.1f MB, %d and %d files", float64(before.RSSBytes)/1e6,
		float64(after.RSSBytes)/1e6, float64(after.HWMBytes)/1e6, before.Files, after.Files)
	if n := r.looserDecisions(t); n != 0 {
		t.Errorf("%d decisions in the journal are looser than the stop", n)
	}
	offLegitimateReset(t, r)
	r.g.replayed(t)
}

// stopped is a robot that was stopped, reset, and stopped again, and what an attacker knows of it.
func stopped(t *testing.T, b bus.Bus, run uint64) (*robot, malicious.Target) {
	t.Helper()
	r := driving(t, b, siteConfig{lock: true}, plant.Config{})
	if got := r.g.order(t, r.s.stopOrder(t)); !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	s := r.g.await(t, "a stop", 5*time.Second, func(s agent.Status) bool { return has(s, "order.stop") && s.AtRest })
	used := r.s.resetOrder(t, s, r.s.operator)
	if got := r.g.order(t, used); !got.Applied {
		t.Fatalf("reset: %+v", got)
	}
	r.g.ready(t)
	if got := r.g.order(t, r.s.stopOrder(t)); !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	r.g.await(t, "a stop", 5*time.Second, func(s agent.Status) bool { return s.Axes.Motion == "stop" })
	return r, malicious.Target{
		Socket: r.s.path("control.sock"), Robot: robotID, BootID: s.BootID, Nonce: s.Nonce, Used: used, Operator: r.s.operator, Seed: run,
	}
}

// watchMotion collects every restriction of motion that is not a stop, from now on to the end of the test. The returned
// function gives what was seen so far.
func (g *guard) watchMotion(t testing.TB) func() []string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	var mu sync.Mutex
	var seen []string
	samples := 0
	done.Go(func() {
		for ctx.Err() == nil {
			// A guard with many clients answers "busy", which is no status.
			if s, ok := g.status(); ok && s.Axes.Motion != "" {
				mu.Lock()
				samples++
				if s.Axes.Motion != "stop" && !slices.Contains(seen, s.Axes.Motion) {
					seen = append(seen, s.Axes.Motion)
				}
				mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		stop()
		done.Wait()
		if samples == 0 {
			t.Error("the guard's status was never seen")
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// looserDecisions counts decisions behind the last stop order that are no stop, and checks that no order was applied but
// those of the preparation: stop, reset, stop.
func (r *robot) looserDecisions(t testing.TB) (looser int) {
	t.Helper()
	out := must(exec.CommandContext(t.Context(), binary(t), "journal", "cat", r.s.path("journal")).Output())(t)
	applied, last := 0, ""
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.Contains(line, " order ") && strings.Contains(line, `"applied":true`):
			applied++
			looser = 0
		case strings.Contains(line, " decision "):
			if last = line; !strings.Contains(line, "motion stop") {
				looser++
			}
		}
	}
	if applied != 3 || !strings.Contains(last, "motion stop") { // a stop acts first and is recorded afterwards
		t.Errorf("%d orders were applied: expected 3; the last decision is %s", applied, last)
	}
	return looser
}

// offLegitimateReset shows that what was watched for would have been seen: the operator's own reset, carried by the same
// role, does loosen.
func offLegitimateReset(t *testing.T, r *robot) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, w, err := contract.Dial(ctx, r.s.path("control.sock"), contract.Hello{Role: contract.Courier, Min: contract.OldestVersion, Max: contract.OldestVersion, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	loose := r.g.watchMotion(t)
	reset := r.s.resetOrder(t, agent.Status{BootID: w.BootID, Nonce: w.Nonce}, r.s.operator)
	if err := c.Send(contract.Frame{Type: contract.FrameOrder, ID: 7, Body: reset}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		var receipt contract.Receipt
		if f.Type != contract.FrameReceipt {
			continue
		}
		if err := f.Into(&receipt); err != nil || !receipt.Applied {
			t.Fatalf("off: the operator's reset: %+v, %v", receipt, err)
		}
		break
	}
	r.g.ready(t)
	until(t, 5*time.Second, "off: a watch that sees the reset loosen", func() bool { return len(loose()) > 0 })
}

// TestWrongUser connects as users that have no right, or one role only.
func TestWrongUser(t *testing.T) {
	t.Parallel()
	need.Root(t)
	onThese(t, []bus.Kind{bus.ROS}, wrongUser)
}

func wrongUser(t *testing.T, m bus.Bus) {
	plant.Start(t, m, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, m, siteConfig{lock: true})
	text := string(must(os.ReadFile(s.path("deployment.yaml")))(t))
	s.write(t, "deployment.yaml", text+"users: {steward: daemon, courier: nobody}\n")
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} { // the test's own folders, which lead to the socket
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the socket has to be reached
			t.Fatal(err)
		}
	}
	g := s.start(t)
	g.ready(t)
	for _, c := range []struct{ user, first, want string }{
		{"nobody", "courier", "W"},
		{"daemon", "steward", "W"}, // off: who may
		{"nobody", "steward", "E"},
		{"daemon", "courier", "E"},
		{"nobody", "S", ""},
		{"nobody", "O{}", ""},
		{"daemon", "S", ""},
		{"games", "courier", ""},
		{"games", "steward", ""},
		{"games", "S", ""},
	} {
		if got := s.knock(t, c.user, c.first); got != c.want {
			t.Errorf("%s as %q: the guard's first byte is %q: expected %q", c.user, c.first, got, c.want)
		}
	}
}

// knock connects as another user of the machine, sends a first packet, and returns the first byte of the answer.
func (s *site) knock(t testing.TB, user, first string) string {
	t.Helper()
	const program = `
import socket, sys
c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
c.settimeout(10)
try:
    c.connect(sys.argv[1])
    first = sys.argv[2]
    if first in ("courier", "steward"):
        first = 'H\x01\x00\x00\x00{"role":"%s","min_version":3,"max_version":3,"program":"x"}' % first
    c.send(first.encode("latin-1"))
    print(c.recv(65536)[:1].decode("latin-1"))
except (ConnectionError, BrokenPipeError):
    print("")
`
	cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid="+user, "--clear-groups", "--regid=nogroup", "/usr/bin/python3", "-c", program,
		s.path("control.sock"), first)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as %s: %v\n%s", user, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestLatencyUnderMaliciousCourier measures the command's way through the guard in turns: while its socket is hammered,
// and while a decoy is hammered just as hard, so that both sides share the machine with the same attacker.
func TestLatencyUnderMaliciousCourier(t *testing.T) {
	m := ros.StartMaster(t, ros.Options{})
	in, out := bench.Topics(bench.Gate, "guard")
	plant.Start(t, m, plant.Config{CommandTopic: out, LockTopic: "/robowarden/lock"})
	s := newSite(t, m, siteConfig{lock: true, commandIn: in, commandOut: out, commandPublisher: "/bench_driver"})
	g := s.start(t)
	g.ready(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	decoy := s.path("decoy.sock")
	if err := malicious.Decoy(ctx, decoy); err != nil {
		t.Fatal(err)
	}
	rounds := 6
	if os.Getenv("ROBOWARDEN_TIER") == "qualify" {
		rounds = 20
	}
	var attackers sync.WaitGroup
	end := func() {}
	round := 0
	report, err := bench.Run(ctx, bench.Config{
		Master: m.URI(), Job: bench.Gate, Workers: []bench.Worker{{Name: "robowarden", PID: g.PID(), In: in, Out: out}},
		Rates: []float64{200}, Rounds: 2 * rounds, Visit: time.Second,
		Log: func(string, ...any) { // at the begin of every round
			end()
			attackers.Wait()
			socket := []string{decoy, s.path("control.sock")}[round%2]
			round++
			attack, stop := context.WithCancel(ctx)
			end = stop
			attackers.Go(func() { malicious.Hammer(attack, socket, 1<<30) })
		},
	})
	end()
	attackers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	under := map[string][]time.Duration{}
	for i, v := range report.Visits[bench.Key{Worker: "robowarden", Rate: 200}] {
		name := []string{"decoy", "guard"}[i%2]
		under[name] = append(under[name], v.Quantile(0.5))
		under[name+" p99"] = append(under[name+" p99"], v.Quantile(0.99))
	}
	middle := func(name string) time.Duration { slices.Sort(under[name]); return under[name][len(under[name])/2] }
	t.Logf("figures: p50 %v with a hammered decoy, %v with a hammered guard; p99 %v and %v", middle("decoy"), middle("guard"), middle("decoy p99"), middle("guard p99"))
	if q, bar := middle("guard"), 2*middle("decoy")+200*time.Microsecond; q > bar {
		t.Errorf("p50 %v while the guard's socket is hammered: expected at most %v", q, bar)
	}
}
