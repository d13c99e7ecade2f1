package e2e

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/plant"
)

// TestProvenCommander drives a robot by a planner, rospy or C++ on DDS, that was written from ENVELOPE.md alone. Whatever
// proves nothing, as a command that was recorded and is sent again, moves nothing, also not after the guard's next start, nor
// after the computer's; what proves its sender does so again at once, and the recording replays.
func TestProvenCommander(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, provenCommander)
}

func provenCommander(t *testing.T, b bus.Bus) {
	key := []byte("fedcba9876543210fedcba9876543210")
	r := &robot{b: b}
	r.p = plant.Start(t, r.b, plant.Config{LockTopic: "/robowarden/lock"})
	r.s = newSite(t, r.b, siteConfig{lock: true, commandKeys: []string{"planner"}, more: `commanders:
  - {channel: autonomy, authenticity: required, keys: [planner], strength: authenticated, challenge_period: 200ms, challenge_lifetime: 800ms}
  - {channel: docking, authenticity: none, strength: source-bound, reason: nothing docks in this test}
`})
	r.s.write(t, "planner.key", hex.EncodeToString(key)+"\n")
	c := driver.StartCommander(t, r.b, "planner", key, cruise)
	r.g = r.s.start(t)
	r.g.ready(t)
	r.drives(t)
	lies := []struct{ fault, reason string }{
		{"replay", "replayed"}, {"wrong_key", "wrong authentication code"}, {"flip", "wrong authentication code"}, {"deaf", "expired challenge"},
	}
	if b.Kind() != bus.ROS && !longTier() {
		lies = lies[:1] // What refuses the others has no bus in it.
	}
	for _, lie := range lies {
		trigger := r.now(t)
		c.Fault(t, lie.fault)
		// A deaf commander's last challenge counts on until its lifetime ends.
		r.restsWithin(t, trigger, 1500*time.Millisecond+stopTime())
		r.g.await(t, "refused commands after "+lie.fault, 5*time.Second, func(s agent.Status) bool {
			return has(s, "channel.command-unproven") && len(s.Commanders) == 2 && s.Commanders[0].Counts[lie.reason] > 0
		})
		c.Fault(t, "clear")
		r.drives(t)
	}
	if s, _ := r.g.status(); s.Commanders[0].Counts["accepted"] == 0 {
		t.Errorf("no command was accepted: %+v", s.Commanders)
	}
	trigger := r.now(t)
	c.Fault(t, "replay")
	r.restsWithin(t, trigger, 1500*time.Millisecond+stopTime())
	r.g.replayed(t)
	starts := []struct {
		start  func(testing.TB) *guard
		reason string
	}{{r.s.start, "unknown challenge"}, {r.s.startRebooted, "for another boot"}}
	if !longTier() {
		starts = starts[:1] // TestAttacks has the other
	}
	for i, next := range starts {
		if i > 0 {
			r.g.Stop(10 * time.Second)
		}
		from := len(r.p.Truth(t).Samples)
		r.g = next.start(t)
		r.g.ready(t)
		r.g.await(t, "a recording from before the start that is refused", 20*time.Second, func(s agent.Status) bool {
			return has(s, "channel.command-unproven") && len(s.Commanders) == 2 && s.Commanders[0].Counts[next.reason] > 10
		})
		for _, s := range r.p.Truth(t).Samples[from:] {
			if s.Speed() > 0.02 {
				t.Fatalf("at %v the robot drives at %.2f m/s by a recording", s.T, s.Speed())
			}
		}
	}
	c.Fault(t, "clear")
	r.drives(t)
	r.g.replayed(t)
}

// startRebooted starts the guard as after a start of the computer: with another boot id, and all that it has stored.
func (s *site) startRebooted(t testing.TB) *guard {
	t.Helper()
	s.write(t, "boot_id", "5eb00700-0000-4000-8000-000000000001\n")
	argv := []string{
		"unshare", "--mount", "sh", "-c", `mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"`, "sh", s.path("boot_id"),
		binary(t), "guard", "--deployment", s.path("deployment.yaml"),
	}
	return &guard{Process: s.bus.Node(t, proc.Spec{Name: "robowarden", Argv: argv}), site: s}
}
