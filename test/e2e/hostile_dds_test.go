package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/dds"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/rtps"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// ddsAttack is something that a node or a socket on the domain does to a guard that holds a driving robot.
type ddsAttack struct {
	// trip are the triggers one of which has to say so; none means that the robot may as well drive on as if nothing were.
	trip []string
	run  func(t *testing.T, d *domain.Domain, x *dds.Attacker)
	// through means that nothing else may trip, and the robot has to drive on.
	through bool
}

// intruder is an attack by an ordinary node of the name that publishes on the topic.
func intruder(node, topic, kind string, trip ...string) ddsAttack {
	return publisher(1, node, topic, kind, trip...)
}

// publisher is an intruder that waits for so many readers first.
func publisher(readers int, node, topic, kind string, trip ...string) ddsAttack {
	return ddsAttack{trip: trip, run: func(t *testing.T, d *domain.Domain, _ *dds.Attacker) {
		p := d.Node(t, bus.Peer(t, d, "ddspub", node, "--topic="+topic, "--type="+kind, "--rate=100", fmt.Sprintf("--wait=%d", readers), "--count=150"))
		until(t, 20*time.Second, "an intruder that has said all", func() bool { return strings.Contains(p.Output(), "\ndone ") })
	}}
}

// forger is an attack by a socket that speaks in the name of who writes on the topic.
func forger(f dds.Forgery, topic string, fromSource bool, trip ...string) ddsAttack {
	return ddsAttack{trip: trip, run: func(t *testing.T, _ *domain.Domain, x *dds.Attacker) {
		for range 20 {
			v := x.Writer(t, "rt"+topic)
			if p, to := f.Make(x.Eye, v); fromSource {
				x.Forge(t, v.From, p, to...)
			} else {
				x.Send(t, p, to...)
			}
			time.Sleep(20 * time.Millisecond) // The attack's own pace.
		}
	}}
}

// recorded is a writer's sample once more, as it was: its number, its content.
var recorded = dds.Forgery{Name: "recorded", Make: func(_ *dds.Eye, v dds.Stream) (*rtps.Packet, []netip.AddrPort) {
	return rtps.NewPacket(v.GUID.Prefix()).At(time.Now()).Data(rtps.Unknown, v.GUID.Entity(), v.Last, nil, v.Payload, false), slices.Collect(maps.Keys(v.To))
}}

func ddsAttacks() map[string]ddsAttack {
	all := map[string]ddsAttack{
		"unknown node commands":       intruder("/intruder", "/cmd_vel_raw", "twist", "publisher.unknown", "publisher.second"),
		"second planner commands":     intruder("/planner", "/cmd_vel_raw", "twist", "publisher.second", "publisher.conflict"),
		"unknown node commands base":  intruder("/intruder", "/cmd_vel", "twist", "gate.bypass"),
		"guard's namesake commands":   intruder("/robowarden", "/cmd_vel", "twist", "gate.bypass"),
		"second plant tells odometry": intruder("/plant", "/odom", "odometry", "publisher.second", "publisher.conflict"),
		"unknown node tells odometry": intruder("/intruder", "/odom", "odometry"),
		"long texts as orders":        intruder("/intruder", "/robowarden/orders", "string"),
		"flood of announcements": {trip: []string{"bus.flooded"}, through: true, run: func(t *testing.T, _ *domain.Domain, x *dds.Attacker) {
			r := rand.New(rand.NewPCG(1, 2))     //nolint:gosec // not a secret
			to := x.Writer(t, "rt/cmd_vel").From // the guard, who hears where it speaks from
			for range 5000 {
				var p rtps.Participant
				for i := range p.Prefix {
					p.Prefix[i] = byte(r.Uint32())
				}
				p.Meta, p.User, p.Lease = to, to, time.Hour
				x.Send(t, rtps.Raw(p.Announce(1)), to)
			}
		}},
	}
	clock := publisher(0, "/intruder", "/clock", "clock") // There is none: the guard does not listen to it.
	clock.through = true
	all["clock of 1970"] = clock
	all["recorded command"] = forger(recorded, "/cmd_vel_raw", false, "publisher.conflict")
	all["recorded command from the source"] = forger(recorded, "/cmd_vel_raw", true)
	for _, f := range dds.Forgeries(nil) {
		all["forged odometry "+f.Name] = forger(f, "/odom", false, "publisher.conflict")
		all["forged command "+f.Name] = forger(f, "/cmd_vel_raw", false, "publisher.conflict")
		all["forged command from the source "+f.Name] = forger(f, "/cmd_vel_raw", true)
	}
	return all
}

// shortAttacks are those of make test.
var shortAttacks = []string{"second planner commands", "unknown node commands base", "forged odometry guid-spoofing", "forged command participant-dispose", "clock of 1970", "recorded command", "flood of announcements"}

// TestHostilePeersOnDDS runs every attack against a guard that holds a driving robot: it must not crash, not grow, and
// either the robot goes on as told or the loss is a trigger and the robot comes to rest.
func TestHostilePeersOnDDS(t *testing.T) {
	slots := make(chan struct{}, 3)
	for name, a := range ddsAttacks() {
		kinds := onDDS()
		if !longTier() {
			if !slices.Contains(shortAttacks, name) {
				continue
			}
			kinds = []bus.Kind{bus.Cyclone}
		}
		for _, kind := range kinds {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				underDDSAttack(t, domain.Start(t, kind), a)
			})
		}
	}
}

func underDDSAttack(t *testing.T, d *domain.Domain, a ddsAttack) {
	zone := oracle.Zone{ID: "wall", Outer: ringOf(9, -9, 12, 9)}
	p := plant.Start(t, d, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, d, siteConfig{zones: blockedZone("wall", zone.Outer), lock: true, services: true})
	x := dds.NewAttacker(t, d.Network(), d.Network())
	driver.StartDrive(t, d, driver.Drive{VX: 0.4})
	g := s.start(t)
	g.ready(t)
	p.WaitDriving(t, 40*time.Second, 0.3)
	calm, _ := g.status()
	seen := g.watchTriggers(t)
	a.run(t, d, x)
	settle(t, g, p)
	triggers := seen()
	t.Logf("triggers seen: %s", strings.Join(triggers, " "))
	if len(a.trip) > 0 && !slices.ContainsFunc(a.trip, func(w string) bool { return slices.Contains(triggers, w) }) {
		t.Errorf("expected one of the triggers %q, found %q", a.trip, triggers)
	}
	tripped := slices.DeleteFunc(slices.Clone(triggers), func(code string) bool { return has(calm, code) || slices.Contains(a.trip, code) })
	if samples := p.Truth(t).Samples; a.through && (len(tripped) > 0 || samples[len(samples)-1].Speed() < 0.3) {
		t.Errorf("expected no other trigger and a robot that drives on, found %q at %.2f m/s", tripped, samples[len(samples)-1].Speed())
	}
	if u, err := g.Usage(); err != nil || u.HWMBytes > maxRSSKiB<<10 {
		t.Errorf("resident memory %d bytes (%v): expected at most %d KiB", u.HWMBytes, err, maxRSSKiB)
	}
	k, err := oracle.JudgeKeepOut(p.Truth(t), contour, []oracle.Zone{zone})
	if err != nil || k.Inside {
		t.Errorf("inside %t at %+v (%v)", k.Inside, k.At, err)
	}
	g.replayed(t)
}
