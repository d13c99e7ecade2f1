package e2e

import (
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// zeroBar is DESIGN's bar: from a trigger that comes in to the zero command that goes out, for 99 of 100.
const zeroBar = 10 * time.Millisecond

// BenchmarkTriggerToZero measures how long after a pose that is not finite left the robot's localisation the first zero command
// reached its base, by the robot's own clock: both ways over the bus are part of it, and the whole guard. The robot drives, an
// operator's heartbeat is answered, and the gate has its lock.
func BenchmarkTriggerToZero(b *testing.B) {
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	section(b, "from a trigger to the zero command", "From a pose that is not finite to the first zero command at the robot's base, by the robot's clock (commit `"+
		strings.TrimSpace(string(commit))+"`).")
	for _, kind := range []bus.Kind{bus.ROS, bus.Cyclone, bus.Fast} {
		b.Run(string(kind), func(b *testing.B) { triggerToZero(b, kind) })
	}
}

func triggerToZero(b *testing.B, kind bus.Kind) {
	r := driving(b, meet(b, kind), siteConfig{
		lock: true, operatorLink: true, journalMiB: 256, more: "flap: {trips: 8, window: 3s, merge: 1s}\n", // else it stays latched
	}, plant.Config{})
	for b.Loop() {
		n := roundsOr(100)
		for range n {
			r.p.Fault(b, "nan_pose")
			r.g.await(b, "a robot that is held", 10*time.Second, func(s agent.Status) bool { return s.Axes.Motion == "hold" })
			r.p.Fault(b, "clear nan_pose")
			r.g.await(b, "a robot that may drive", 20*time.Second, func(s agent.Status) bool { return s.Axes.Motion != "hold" && s.Axes.Motion != "stop" })
			r.drives(b)
		}
		took, missing := zeros(r.p.Truth(b).Events)
		if missing > 0 || len(took) < n {
			b.Fatalf("%d of %d poses that are not finite brought no zero command", missing+max(0, n-len(took)-missing), n)
		}
		slices.Sort(took)
		q := func(share float64) time.Duration { return took[int(math.Ceil(share*float64(len(took))))-1] }
		b.ReportMetric(us(q(0.99)), "p99-µs")
		figure(b, "%s, a trigger by a message to the zero command at the robot's base, %d times: p50 %.2f ms, p99 %.2f ms (bar %.0f ms), at most %.2f ms",
			kind, len(took), us(q(0.5))/1e3, us(q(0.99))/1e3, us(zeroBar)/1e3, us(took[len(took)-1])/1e3)
	}
}

// zeros are the times from each first bad pose to the next zero command, and how many bad poses had none before the poses were
// good again.
func zeros(events []oracle.Event) (took []time.Duration, missing int) {
	var sent time.Duration
	waits, moves := false, false
	for _, e := range events {
		switch e.Kind + " " + e.Text {
		case "cmd moving":
			moves = true
		case "pose nan":
			sent, waits = e.T, moves
		case "cmd zero":
			if waits {
				took = append(took, e.T-sent)
			}
			waits, moves = false, false
		case "pose good":
			if waits {
				missing++
			}
			waits = false
		}
	}
	return took, missing
}

func TestZerosCanBeMissing(t *testing.T) {
	at := func(text string, ms int) oracle.Event {
		var e oracle.Event
		if n, err := fmt.Sscan(text, &e.Kind, &e.Text); n != 2 {
			t.Fatal(err)
		}
		e.T = time.Duration(ms) * time.Millisecond
		return e
	}
	took, missing := zeros([]oracle.Event{
		at("cmd moving", 1), at("pose nan", 10), at("cmd zero", 13), at("pose good", 20), // in 3 ms
		at("pose nan", 30), at("pose good", 40), // it stood: nothing to be seen
		at("cmd moving", 41), at("pose nan", 50), at("pose good", 60), at("cmd zero", 61), // too late to count
		at("cmd moving", 70), at("fault x", 71), at("pose nan", 80), at("cmd zero", 180), // in 100 ms
	})
	if !slices.Equal(took, []time.Duration{3 * time.Millisecond, 100 * time.Millisecond}) || missing != 1 {
		t.Errorf("took %v, missing %d", took, missing)
	}
}
