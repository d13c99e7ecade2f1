package hostile

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// These tests reproduce what was measured with goroslib's own node, the library that the product takes its message
// definitions from: each attack must still do there what it claims.

// alive says whether the victim's slave API answers in time.
func (s *scene) alive(t *testing.T, limit time.Duration) bool {
	t.Helper()
	uri, err := s.m.LookupNode(within(t, 5*time.Second), "/victim")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err = wire.CallROS(ctx, uri, "getBusInfo", "/x")
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Logf("getBusInfo: %v", err)
	}
	return err == nil
}

// serves says whether a new subscriber gets messages.
func (s *scene) serves(t *testing.T, caller string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	uri, err := s.m.LookupNode(ctx, "/victim")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := wire.RequestTopic(ctx, uri, caller, "/served")
	if err != nil {
		return false
	}
	c, err := wire.DialTopic(ctx, addr, caller, "/served", wire.String)
	if err != nil {
		t.Logf("%s: %v", caller, err)
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, err = wire.ReadFrame(c, 1000)
	return err == nil
}

func TestRosoutWedge(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 0)
	if !s.alive(t, 3*time.Second) {
		t.Fatal("no answer before the attack")
	}
	s.attack(t, "tcpros-rosout-wedge")
	if s.alive(t, 2*time.Second) {
		t.Error("the node still answers")
	}
}

func TestCalleridLockout(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 0)
	if !s.serves(t, "/planner") {
		t.Fatal("the rightful subscriber gets nothing before the attack")
	}
	done := s.start(t, "tcpros-callerid-lockout")
	time.Sleep(300 * time.Millisecond)
	if s.serves(t, "/planner") {
		t.Error("the rightful subscriber was let in")
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestConnectionFloodEndsTheAcceptLoop(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 64)
	if !s.serves(t, "/someone") {
		t.Fatal("nothing served before the attack")
	}
	s.attack(t, "tcpros-connection-flood")
	time.Sleep(500 * time.Millisecond)
	if s.serves(t, "/someone_else") {
		t.Error("new subscribers are still served")
	}
}

func TestUDPPokeEndsTheReader(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 0)
	if s.status()["udp"] != 1 {
		t.Fatalf("no UDP reader before the attack: %v", s.status())
	}
	// The victim's UDP port is its own choice; the kernel's numbers are not neighbours of the TCP port.
	port := udpPort(t, s.victim.PID())
	poke(t, port)
	s.wait(t, "the UDP reader's end", func(st status) bool { return st["udp"] == 0 })
	s.attack(t, "tcpros-udp-poke")
}

func TestMemoryAttacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attack, key string
		mebibytes   float64
		typ         wire.Type
	}{
		{"tcpros-header-bomb", "allocated", 1000, wire.Odometry},
		{"slave-huge-body", "allocated", 60, wire.Odometry},
		{"feed-giant", "allocated", 60, wire.JointState},
	} {
		t.Run(c.attack, func(t *testing.T) {
			s := goroslibVictim(t, c.typ, 0)
			before := s.status()[c.key]
			s.target.Duration = 3 * time.Second
			done := s.start(t, c.attack)
			s.wait(t, c.attack, func(st status) bool { return st[c.key]-before > c.mebibytes })
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStalledBodiesHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	closed := func(s *scene) time.Duration {
		exit := s.victim.Stop(20 * time.Second)
		m := regexp.MustCompile(`closed in (\d+) ms`).FindStringSubmatch(s.victim.Output())
		if m == nil {
			t.Fatalf("%v without closing: %s", exit, s.victim.Output())
		}
		ms, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ms) * time.Millisecond
	}
	if d := closed(goroslibVictim(t, wire.Odometry, 0)); d > time.Second {
		t.Errorf("closed in %v without an attack", d)
	}
	s := goroslibVictim(t, wire.Odometry, 0)
	s.target.Duration = 4 * time.Second
	done := s.start(t, "slave-stalled-bodies")
	time.Sleep(time.Second)
	if d := closed(s); d < 2*time.Second {
		t.Errorf("closed in %v during the attack", d)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestServerAttacksAreCarriedThrough(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 0)
	s.target.Duration = 500 * time.Millisecond
	for _, name := range []string{
		"tcpros-many-subscribers", "tcpros-slow-reader", "tcpros-odd-headers", "slave-update-flood", "slave-deep-xml",
		"slave-odd-http", "fuzz-slave", "fuzz-tcpros",
	} {
		s.attack(t, name)
	}
}

func TestHijackReplacesTheFeed(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 0)
	done := s.start(t, "slave-hijack")
	s.wait(t, "forged poses", func(st status) bool { return st["forged"] > 5 })
	s.masterKnowsOnly(t, "/localizer")
	a := s.status()
	time.Sleep(300 * time.Millisecond)
	b := s.status()
	if real := (b["total"] - b["forged"]) - (a["total"] - a["forged"]); real != 0 || b["forged"] <= a["forged"] {
		t.Errorf("%v real poses during the attack: %v, then %v", real, a, b)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestFeedIsTakenAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"slave-blind", "graph-unregister-publisher"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := goroslibVictim(t, wire.Odometry, 0)
			if n := s.grows("total"); n < 30 {
				t.Fatalf("%v poses a second before the attack", n)
			}
			s.attack(t, name)
			if n := s.grows("total"); n != 0 {
				t.Errorf("%v poses a second after the attack", n)
			}
		})
	}
}

func TestWrongChecksumIsRefused(t *testing.T) {
	t.Parallel()
	s := goroslibVictim(t, wire.Odometry, 0)
	s.attack(t, "feed-wrong-md5")
	if st := s.status(); st["forged"] != 0 {
		t.Errorf("a message of a publisher with a wrong checksum was taken: %v", st)
	}
}
