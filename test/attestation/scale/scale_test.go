//go:build qualify

package scale

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/proc"
)

var netDialer = net.Dialer{Timeout: time.Minute}

const (
	// fleetSize is how many robots attest.
	fleetSize = 2000
	// arrivals and clusterArrivals are the mean times between two robots' first hellos in a round. Couriers spread by themselves: each
	// renews by the age of its own result, and connects after a wait of its own. With 2000 robots, a fleet that renews each 40
	// minutes has one each 1.2 s.
	arrivals, clusterArrivals = 20 * time.Millisecond, 40 * time.Millisecond
	// idle is for how long the cluster is watched while no robot says anything.
	idle = 10 * time.Second
	// patience is how long a robot waits for a challenge, and then for a result, before it asks again. A courier waits for
	// 30 s and 60 s: here two cores do the work of everybody, and less patience than that makes for more work.
	patience = 30 * time.Second
	// renewal is how often a robot attests with results that last an hour: after two thirds of it.
	renewal = 40 * time.Minute
)

// TestTwoThousandRobots has two thousand robots with keys of their own attest three times: with their logs, without, and
// while one verifier is killed when a quarter of them have their results.
func TestTwoThousandRobots(t *testing.T) {
	explain(t)
	s := newSite(t, fleetSize)
	b := startMosquitto(t, s)
	c := b.Authority.Client(t, "verifier")
	ada := s.verifier("ada", c, "--broker", b.URL(), "--share", "hospital")
	bea := s.verifier("bea", c, "--broker", b.URL(), "--share", "hospital")
	s.connect(b.Authority, b.URL())
	s.spread = arrivals * time.Duration(len(s.robots))
	rounds(t, s, "mosquitto, `$share`", []*proc.Process{ada, bea}, []*proc.Process{b.Process()}, func() { ada.Kill() })
}

// TestTwoThousandRobotsOnACluster does the same on three nodes of NATS, of which one is killed with the verifier. The nodes keep
// a replicated consumer for each robot's orders.
func TestTwoThousandRobotsOnACluster(t *testing.T) {
	s := newSite(t, fleetSize)
	c := startCluster(t, s)
	ada, bea := c.verifier(s, "ada", 0), c.verifier(s, "bea", 1)
	nodes := []*proc.Process{c.nodes[0].process, c.nodes[1].process, c.nodes[2].process}
	start := time.Now()
	s.connect(c.authority, c.mqttURLs()...)
	n := float64(len(s.robots))
	t.Logf("figures: %d robots have connected to the cluster within %.0f s, at %d attempts more than they are, for %.1f ms of the nodes' time each", len(s.robots), time.Since(start).Seconds(), s.again.Load(), 1000*cpu(nodes).Seconds()/n)
	before := cpu(nodes)
	time.Sleep(idle) // What is measured is what nothing costs.
	t.Logf("figures: while nothing is said, a connected robot costs the three nodes %.2f ms each second", 1000*(cpu(nodes)-before).Seconds()/n/idle.Seconds())
	s.spread = clusterArrivals * time.Duration(len(s.robots))
	rounds(t, s, "NATS, 3 nodes, queue group", []*proc.Process{ada, bea}, nodes, func() {
		ada.Kill()
		nodes[0].Kill()
	})
}

// explain writes down what the table's figures are, and its head.
func explain(t *testing.T) {
	t.Helper()
	t.Logf("figures: each robot has a device key, an attestation key and a certificate of its own; quotes of nine registers are signed by software keys in a TPM's own form, so the verifier checks all that it checks of a TPM's")
	t.Logf("figures: everything runs on %d cores, the robots and whatever else the machine does; who waits for %s asks again, so a slow machine makes for more work", runtime.NumCPU(), patience)
	t.Logf("figures: ms are user and system time of all verifiers, or of all of the broker's processes, by attestation; bytes are what a robot's connection carries, TLS included")
	t.Logf("figures: robots for one core: attestations in %s, which is two thirds of a result's hour, of one core's time, all of it the verifier's", renewal)
	t.Logf("table: | broker | round | robots | with an accepted result | results by | asked again | took s | verifier ms | broker ms | bytes up | bytes down | robots for one core |")
	t.Logf("table: |---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|")
}

// rounds attests and writes a line for each round.
func rounds(t *testing.T, s *site, name string, verifiers, brokers []*proc.Process, kill func()) {
	t.Helper()
	for _, r := range []struct {
		what      string
		at        int
		meanwhile func()
	}{{"the first, with logs", 0, nil}, {"without logs", 0, nil}, {"killed in the middle", len(s.robots) / 4, kill}} {
		before, brokerBefore := cpu(verifiers), cpu(brokers)
		got := s.attest(patience, 10*time.Minute, r.at, r.meanwhile)
		s.complete(name+", "+r.what, got)
		each := func(d time.Duration) string {
			if r.meanwhile != nil {
				return "" // What was killed cannot be asked any more.
			}
			return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000/float64(got.answered))
		}
		used := cpu(verifiers) - before
		robots := ""
		if r.meanwhile == nil && used > 0 {
			robots = fmt.Sprintf("%.0f", float64(renewal)/(float64(used)/float64(got.answered)))
		}
		var by []string
		for _, v := range []string{"ada", "bea"} {
			by = append(by, fmt.Sprintf("%s %d", v, got.by[v]))
		}
		n := int64(max(got.answered, 1))
		t.Logf("table: | %s | %s | %d | %d | %s | %d | %.1f | %s | %s | %d | %d | %s |", name, r.what, len(s.robots), got.accepted, strings.Join(by, ", "), got.again,
			got.took.Seconds(), each(used), each(cpu(brokers)-brokerBefore), got.upBytes/n, got.dowBytes/n, robots)
	}
}

// cpu is what running processes have used.
func cpu(list []*proc.Process) time.Duration {
	var sum time.Duration
	for _, p := range list {
		if !p.Running() {
			continue
		}
		if u, err := p.Usage(); err == nil {
			sum += u.CPU
		}
	}
	return sum
}
