package hostile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

func TestShutdownEndsRospy(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	s.attack(t, "slave-shutdown")
	if exit, err := s.victim.Wait(within(t, 10*time.Second)); err != nil {
		t.Errorf("still alive: %v, %v", exit, err)
	}
}

// rospy never drops a publisher that has left the list: forged poses come beside the real ones.
func TestHijackFeedsRospyUnseenByTheMaster(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	done := s.start(t, "slave-hijack")
	s.wait(t, "forged poses", func(st status) bool { return st["forged"] > 5 })
	s.masterKnowsOnly(t, "/localizer")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	before := s.status()["total"]
	s.attack(t, "slave-blind")
	if after := s.status()["total"]; after < before+30 {
		t.Errorf("rospy was blinded: %v and then %v poses", before, after)
	}
}

// masterKnowsOnly checks who publishes poses by the master's table.
func (s *scene) masterKnowsOnly(t *testing.T, name string) {
	t.Helper()
	table, err := s.m.State(within(t, 5*time.Second))
	if err != nil || !slices.Equal(table.Publishers["/odom"], []string{name}) {
		t.Errorf("the master lists %v, %v; want %s alone", table.Publishers["/odom"], err, name)
	}
}

func TestUnregisteredSubscriberHearsOfNobodyNew(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	s.attack(t, "graph-unregister-subscriber")
	if err := run(t, "feed-forged", s.target); !Deflected(err) {
		t.Errorf("a new publisher was still found: %v", err)
	}
	if n := s.grows("total"); n < 30 {
		t.Errorf("the old publisher brings %v poses a second", n)
	}
}

func TestDuplicateNameEndsTheRealNode(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	s.attack(t, "graph-duplicate-node")
	if exit, err := s.victim.Wait(within(t, 10*time.Second)); err != nil {
		t.Errorf("still alive: %v, %v", exit, err)
	}
}

func TestSimulatedTimeStopsRospysClock(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	s.target.Duration = 6 * time.Second
	done := s.start(t, "graph-sim-time")
	for on := any(false); on != true; {
		time.Sleep(10 * time.Millisecond)
		on, _ = wire.CallROS(within(t, 5*time.Second), s.m.URI(), "getParam", "/x", "/use_sim_time")
	}
	// A node asks for the parameter when it starts.
	other := s.m.Node(t, specOf(s.victim))
	if _, err := other.WaitOutput(within(t, 15*time.Second), `clock=(0|1000)\.0`); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestFeedsReachRospy shows for each false publisher that rospy connects to it, and what it makes of it.
func TestFeedsReachRospy(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	s.target.Duration = 700 * time.Millisecond
	for _, c := range []struct {
		attack string
		effect func(before, after status) bool
	}{
		{"feed-forged", func(b, a status) bool { return a["forged"] > b["forged"]+30 }},
		{"feed-impostor", func(b, a status) bool { return a["forged"] > b["forged"]+30 }},
		// rospy does not look at a publisher's checksum, and takes the one message.
		{"feed-wrong-md5", func(b, a status) bool { return a["forged"] == b["forged"]+1 }},
		{"feed-slow-loris", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"feed-slow-header", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"feed-odd-values", func(b, a status) bool { return a["odd"] > b["odd"]+3 }},
		{"feed-repeated-stamps", func(b, a status) bool { return a["forged"] > b["forged"]+30 }},
		{"feed-burst", func(b, a status) bool { return a["forged"] >= b["forged"]+1000 }},
		{"feed-malformed", func(b, a status) bool { return a["total"] > b["total"] }},
		{"feed-hang-up", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"feed-huge-length", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"feed-bad-address", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"feed-silent-address", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"graph-register-nowhere", func(b, a status) bool { return a["total"] > b["total"] }},
		{"graph-register-other-type", func(b, a status) bool { return a["forged"] == b["forged"] }},
		{"slave-odd-http", func(b, a status) bool { return a["total"] > b["total"] }},
	} {
		before := s.status()
		s.attack(t, c.attack)
		time.Sleep(200 * time.Millisecond)
		if after := s.status(); !c.effect(before, after) {
			t.Errorf("%s: %v before, %v after", c.attack, before, after)
		}
	}
}

func TestStampsAreOffAsClaimed(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	for attack, ok := range map[string]func(lead float64) bool{
		"feed-future-stamps": func(lead float64) bool { return lead > 4 && lead < 6 },
		// The real poses of this scene have stamp zero, which is decades ago.
		"feed-past-stamps": func(lead float64) bool { return lead < -4 && lead > -6 },
	} {
		done := s.start(t, attack)
		s.wait(t, attack, func(st status) bool { return ok(st["lead"]) })
		if err := <-done; err != nil {
			t.Errorf("%s: %v", attack, err)
		}
	}
}

func TestFalseMasterForgesTheFeed(t *testing.T) {
	t.Parallel()
	s := rospyVictim(t, wire.Odometry)
	n, err := wire.NewNode(wire.NodeConfig{Name: Name})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	pub := n.Offer(wire.PublisherConfig{Topic: "/odom", Type: wire.Odometry})
	steadily(t, 10*time.Millisecond, func() { pub.Send(forged(wire.Odometry, 1, time.Now())) })
	s.m.Kill()
	addr := strings.TrimSuffix(strings.TrimPrefix(s.m.URI(), "http://"), "/")
	fake, err := StartFakeMaster(addr, LieForged, n.URI())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fake.Close() }()
	late := s.m.Node(t, specOf(s.victim))
	if _, err := late.WaitOutput(within(t, 15*time.Second), `forged=[1-9]`); err != nil {
		t.Error(err)
	}
	if calls := fake.Calls(); !slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "registerSubscriber /victim /odom") }) {
		t.Errorf("calls %q", calls)
	}
}
