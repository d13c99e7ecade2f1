package guard

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/interlock"
)

// ddsParams is the demonstration on a DDS domain: another bus in the profile, and a topic for single joints that is
// watched and never gated. Topics and policy are the same but for that.
func ddsParams(tb testing.TB) *Params {
	tb.Helper()
	folder := tb.TempDir()
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join("..", "..", "configs", "demo", name+".yaml"))
		if err != nil {
			tb.Fatal(err)
		}
		return string(raw)
	}
	docs := map[string]string{
		"profile": replaceIn(tb, "\nbus: ros1", "\nbus: ros2")(read("profile")),
		"topics": replaceIn(tb, "\ncommand_out:",
			"\nmonitored: [{name: joint-commands, topic: /lowcmd, publishers: [\"dds:192.168.123.161\"], max_publishers: 2}]\ncommand_out:")(read("topics")),
	}
	docs["policy"] = read("policy")
	for _, pin := range []string{"profile", "topics"} {
		old := regexp.MustCompile(`(?m)^(  ` + pin + `: )"sha256:[0-9a-f]{64}"`)
		docs["policy"] = old.ReplaceAllString(docs["policy"], fmt.Sprintf(`$1"sha256:%x"`, sha256.Sum256([]byte(docs[pin]))))
	}
	var files []string
	for name, text := range docs {
		file := filepath.Join(folder, name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		files = append(files, file)
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: serial}
	p, err := NewParams(cfg, nodeName, floorTime)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// newDDSRig is a rig whose bus cannot ask the base.
func newDDSRig(t *testing.T, p *Params) *rig {
	t.Helper()
	r := newRig(t, p, Start{})
	clear(r.sources)
	r.publishers["/lowcmd"] = []string{"dds:192.168.123.161"}
	r.plant.x = 4.2
	r.drive = func() (float64, float64) { return 0.2, 0 }
	return r.ready()
}

func (r *rig) peerEvent(change PeerChange, input int, id uint32, name string) {
	r.tb.Helper()
	r.apply(Event{Kind: EventPeer, Peer: PeerEvent{Change: change, Input: input, Gated: input >= 0, ID: id, Name: name}})
}

// TestFaultsOnDDS lets one thing go wrong among publishers while the robot drives. All is known from who announces what.
func TestFaultsOnDDS(t *testing.T) {
	p := ddsParams(t)
	publish := func(topic string, names ...string) func(r *rig) {
		return func(r *rig) { r.publishers[topic] = names }
	}
	for _, c := range []struct {
		name  string
		fault func(r *rig)
		want  interlock.Trigger
		most  interlock.Motion
		stays bool
	}{
		{"nothing (off)", func(*rig) {}, interlock.NumTriggers, interlock.MotionFree, false},
		{"two of the vendor's writers on a monitored topic (off)", publish("/lowcmd", "dds:192.168.123.161", "dds:192.168.123.161"), interlock.NumTriggers, interlock.MotionFree, false},
		{"nobody on a monitored topic (off)", publish("/lowcmd"), interlock.NumTriggers, interlock.MotionFree, false},
		{"foreign publisher on our output", publish("/cmd_vel", nodeName, "/evil"), interlock.GateBypass, interlock.MotionStop, true},
		{"raw writer on our output", publish("/cmd_vel", nodeName, "dds:10.0.0.9"), interlock.GateBypass, interlock.MotionStop, true},
		{"somebody with our name on our output", publish("/cmd_vel", nodeName, nodeName), interlock.GateBypass, interlock.MotionStop, true},
		{"we are not announced", publish("/cmd_vel"), interlock.GateUnregistered, interlock.MotionHold, false},
		{"unknown publisher on an input", publish("/cmd_vel_raw", "/evil", "/planner"), interlock.PublisherUnknown, interlock.MotionStop, true},
		{"raw writer on an input", publish("/cmd_vel_raw", "/planner", "dds:10.0.0.9"), interlock.PublisherUnknown, interlock.MotionStop, true},
		{"second writer of a listed name", publish("/cmd_vel_raw", "/planner", "/planner"), interlock.PublisherConflict, interlock.MotionHold, false},
		{"lock contested by a writer", publish("/robowarden/lock", nodeName, "/evil"), interlock.LockContested, interlock.MotionStop, true},
		{"stranger on a monitored topic", publish("/lowcmd", "dds:192.168.123.161", "/evil"), interlock.PublisherUnknown, interlock.MotionStop, true},
		{"too many on a monitored topic", publish("/lowcmd", "dds:192.168.123.161", "dds:192.168.123.161", "dds:192.168.123.161"), interlock.PublisherSecond, interlock.MotionHold, true},
		{"graph silent", func(r *rig) { r.off["graph"] = true }, interlock.BusLost, interlock.MotionHold, false},
		{"two senders on an input", func(r *rig) { r.peerEvent(PeerConflict, 0, 7, "/planner") }, interlock.PublisherConflict, interlock.MotionHold, false},
		{"two senders of the pose", func(r *rig) { r.peerEvent(PeerConflict, -1, 9, "/localization") }, interlock.PublisherConflict, interlock.MotionHold, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newDDSRig(t, p)
			c.fault(r)
			if c.want == interlock.NumTriggers {
				r.run(5 * time.Second)
				if !r.open() || r.plant.v < 0.15 {
					t.Fatalf("closed without a fault: %s", r.state())
				}
				return
			}
			r.until(c.want.String(), 4*time.Second, func() bool { return r.active(c.want) })
			if r.motion() > c.most {
				t.Errorf("motion %s, expected at most %s: %s", r.motion(), c.most, r.state())
			}
			if r.latched(c.want) != c.stays {
				t.Errorf("latched %t, expected %t", r.latched(c.want), c.stays)
			}
			r.until("stands", 3*time.Second, func() bool { return math.Abs(r.plant.v) < 0.001 })
		})
	}
}

// TestConflictHoldsWhileItGoesOn: one forged datagram holds for ten quiet seconds and no longer, and leaves nothing behind.
func TestConflictHoldsWhileItGoesOn(t *testing.T) {
	r := newDDSRig(t, ddsParams(t))
	for range 30 { // three seconds of it
		r.peerEvent(PeerConflict, 0, 7, "/planner")
		r.run(100 * time.Millisecond)
		if r.motion() != interlock.MotionHold {
			t.Fatalf("motion %s during the attack: %s", r.motion(), r.state())
		}
	}
	if !strings.Contains(r.state(), interlock.CauseTwoSenders.Text()) {
		t.Errorf("expected the cause %q: %s", interlock.CauseTwoSenders.Text(), r.state())
	}
	quiet := r.until("goes on", 15*time.Second, r.open)
	if quiet < 10*time.Second || quiet > 12*time.Second {
		t.Errorf("went on %v after the attack's end, expected 10 to 12 s", quiet)
	}
	if !r.core.decision.LatchedSet.Empty() {
		t.Errorf("something is latched: %s", r.state())
	}
	if n := r.core.status().Attacks; n != 30 {
		t.Errorf("%d attacks counted, expected 30", n)
	}
}

// TestFloodSlowsDown: a flood of forged announcements costs its sender nothing, so the robot goes on, slowly; that ends by
// itself, and latches nothing however often it comes.
func TestFloodSlowsDown(t *testing.T) {
	for _, flooded := range []bool{false, true} { // The first is the off run.
		r := newDDSRig(t, ddsParams(t))
		free := r.core.decision.Axes.MaxSpeedMPS // without an attestation
		for range 7 {
			r.flooded = flooded
			r.run(2 * time.Second)
			want := free
			if flooded {
				want = 0.5
			}
			if axes := r.core.decision.Axes; r.active(interlock.BusFlooded) != flooded || axes.Motion != interlock.MotionLimited || axes.MaxSpeedMPS != want {
				t.Fatalf("flooded %t: expected motion limited to %g m/s: %s", flooded, want, r.state())
			}
			if r.drive != nil && r.plant.v < 0.15 {
				t.Errorf("flooded %t: the robot goes at %.2f m/s: %s", flooded, r.plant.v, r.state())
			}
			r.drive = nil
			r.flooded = false
			r.until("as fast as before", 5*time.Second, func() bool { return r.core.decision.Axes.MaxSpeedMPS == free })
		}
		if !r.core.decision.LatchedSet.Empty() {
			t.Errorf("something is latched: %s", r.state())
		}
	}
}

// TestConflictsAgainAndAgainLatchAHold: who holds the robot over and over makes it wait for a person, and never stops it.
func TestConflictsAgainAndAgainLatchAHold(t *testing.T) {
	r := newDDSRig(t, ddsParams(t))
	r.drive = nil
	for range 8 {
		r.peerEvent(PeerConflict, 0, 7, "/planner")
		r.run(12 * time.Second)
	}
	if !r.latched(interlock.PublisherConflict) || r.motion() != interlock.MotionHold {
		t.Fatalf("expected a latched hold: %s", r.state())
	}
	r.reset(interlock.RoleSecurity)
	if !r.open() {
		t.Errorf("still held after the reset: %s", r.state())
	}
}

// TestKilledPlannerIsSucceeded: after a kill the planner is there twice until its lease ends. That holds the robot and
// latches nothing.
func TestKilledPlannerIsSucceeded(t *testing.T) {
	r := newDDSRig(t, ddsParams(t))
	r.publishers["/cmd_vel_raw"] = []string{"/planner", "/planner"}
	r.run(20 * time.Second) // Fast DDS's lease
	if r.motion() != interlock.MotionHold || !r.active(interlock.PublisherConflict) {
		t.Fatalf("expected a hold while the planner is there twice: %s", r.state())
	}
	r.publishers["/cmd_vel_raw"] = []string{"/planner"}
	r.until("goes on", 15*time.Second, r.open)
	if !r.core.decision.LatchedSet.Empty() {
		t.Errorf("something is latched: %s", r.state())
	}
	// One that stays is somebody else.
	r.publishers["/cmd_vel_raw"] = []string{"/planner", "/planner"}
	r.until("latches", succession+2*time.Second, func() bool { return r.latched(interlock.PublisherSecond) })
}

// TestTwoLivePlannersAreTwo: where both are heard, neither is the other's successor, and somebody has to look.
func TestTwoLivePlannersAreTwo(t *testing.T) {
	r := newDDSRig(t, ddsParams(t))
	r.publishers["/cmd_vel_raw"] = []string{"/planner", "/planner"}
	r.peerEvent(PeerConnected, 0, 31, "/planner")
	r.peerEvent(PeerConflict, 0, 31, "/planner")
	r.until("latches", 2*time.Second, func() bool { return r.latched(interlock.PublisherSecond) })
}

// TestNothingIsInheritedOnDDS: on ROS 1 a base may still list a dead guard's connection at the start. Here a second
// writer with our name is an impostor from the first report.
func TestNothingIsInheritedOnDDS(t *testing.T) {
	r := newRig(t, ddsParams(t), Start{})
	clear(r.sources)
	r.publishers["/cmd_vel"] = []string{nodeName, nodeName}
	r.until("gate.bypass", time.Second, func() bool { return r.latched(interlock.GateBypass) })
}

// TestMonitoredTopicHasAName: people are told which topic it is about.
func TestMonitoredTopicHasAName(t *testing.T) {
	r := newDDSRig(t, ddsParams(t))
	r.publishers["/lowcmd"] = []string{"/evil"}
	r.until("publisher.unknown", 2*time.Second, func() bool { return r.active(interlock.PublisherUnknown) })
	for _, s := range r.core.status().Triggers {
		if s.Code == "publisher.unknown" && s.Subject != "joint-commands" {
			t.Errorf("subject %q, expected joint-commands", s.Subject)
		}
	}
}
