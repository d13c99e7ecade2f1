package e2e

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/plant"
)

// TestProvenCommander drives a robot by a rospy planner that was written from ENVELOPE.md alone. Whatever proves nothing
// moves nothing; what proves its sender does so again at once, and the recording replays.
func TestProvenCommander(t *testing.T) {
	t.Parallel()
	b := meet(t, bus.ROS)
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
	for _, fault := range []string{"replay", "wrong_key", "flip", "deaf"} {
		trigger := r.now(t)
		c.Fault(t, fault)
		// A deaf commander's last challenge counts on until its lifetime ends.
		r.restsWithin(t, trigger, 1500*time.Millisecond+stopTime())
		r.g.await(t, "refused commands after "+fault, 5*time.Second, func(s agent.Status) bool { return has(s, "channel.command-unproven") })
		c.Fault(t, "clear")
		r.drives(t)
	}
	s, _ := r.g.status()
	for _, reason := range []string{"accepted", "replayed", "wrong authentication code", "expired challenge"} {
		if len(s.Commanders) != 2 || s.Commanders[0].Counts[reason] == 0 {
			t.Errorf("no command was %q: %+v", reason, s.Commanders)
		}
	}
	r.g.replayed(t)
}
