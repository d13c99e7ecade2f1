package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// next signs the site's next policy, which differs in what the configuration says.
func (s *site) next(t testing.TB, c siteConfig, run ...agent.Status) []byte {
	t.Helper()
	s.revision++
	s.policy = s.policyYAML(t, c)
	return s.signPolicy(t, s.policy, s.revision, run...)
}

// onThese runs a scenario in make test with the buses that are named, and in make qualify with all.
func onThese(t *testing.T, short []bus.Kind, f func(t *testing.T, b bus.Bus)) {
	t.Helper()
	if longTier() {
		short = []bus.Kind{bus.ROS, bus.Cyclone, bus.Fast}
	}
	for _, kind := range short {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f(t, meet(t, kind))
		})
	}
}

// yard is the large floor of a site that has no other zones.
func yard() string {
	return zoneYAML("yard", "SPEED_LIMIT", ringOf(-900, -900, 900, 900), ", max_speed_mps: 2.0")
}

// farZone is a zone that no robot of these tests comes near.
func farZone() string { return blockedZone("far", ringOf(300, 300, 310, 310)) }

// orderFor sends an order whose effect ends by itself after about as long as is said. A guard ends it sooner by as much as its
// clock may be wrong, so the order is signed for that much longer.
func (g *guard) orderFor(t testing.TB, lasts time.Duration, sign func(s agent.Status, expires time.Time) []byte) {
	t.Helper()
	st := g.run(t)
	wrong := 2 * time.Minute
	if st.Clock == "trusted" {
		wrong = time.Second
	}
	if got := g.order(t, sign(st, time.Now().UTC().Truncate(time.Second).Add(lasts+wrong))); !got.Applied {
		t.Fatalf("an order that ends by itself: %+v", got)
	}
}

// TestZoneLoadedOverADrivingRobot puts a policy into force whose zone lies where the robot drives: it holds there, and says
// why.
func TestZoneLoadedOverADrivingRobot(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Fast}, func(t *testing.T, b bus.Bus) {
		zoneLoaded(t, b, blockedZone("over", ringOf(-100, -100, 100, 100)), true)
	})
}

func zoneLoaded(t *testing.T, b bus.Bus, zone string, holds bool) {
	r := driving(t, b, siteConfig{lock: true}, plant.Config{})
	trigger := r.now(t)
	if got := r.g.order(t, r.s.next(t, siteConfig{lock: true, zones: yard() + zone}, r.g.run(t))); !got.Accepted {
		t.Fatalf("the policy with the zone: %+v", got)
	}
	inForce := func(s agent.Status) bool { return s.Policy.Revision == int64(r.s.revision) } //nolint:gosec // small
	if !holds {
		r.g.await(t, "the policy", 10*time.Second, inForce)
		r.drives(t)
		if s, _ := r.g.status(); has(s, "zone.inside") {
			t.Errorf("%v: expected a robot that drives on", codes(s))
		}
		return
	}
	r.restsWithin(t, trigger, stopTime())
	s := r.g.await(t, "a robot held inside the new zone", 5*time.Second, func(s agent.Status) bool {
		return inForce(s) && has(s, "zone.inside") && s.Axes.Motion == "hold"
	})
	for _, x := range s.Triggers {
		if x.Code == "zone.inside" && (!x.Latched || !strings.Contains(x.Cause, "loaded")) {
			t.Errorf("zone.inside: latched %t by %q: expected a latch, by a zone that was loaded over the robot", x.Latched, x.Cause)
		}
	}
	r.g.replayed(t)
}

// TestDockPathThroughABlockedZone: a robot that may only drive to its dock stands before a zone on the way there, and its
// planner does not move it at all. Without the zone, the off run, it passes that place.
func TestDockPathThroughABlockedZone(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) { dockPathThroughAZone(t, b, true) })
}

func dockPathThroughAZone(t *testing.T, b bus.Bus, closed bool) {
	zone := oracle.Zone{ID: "ward", Outer: ringOf(1.5, -2, 3.5, 2)}
	c := siteConfig{lock: true, more: "triggers: [{code: attestation.missing, constraint: {motion: dock-only}}]\n"}
	if closed {
		c.zones = blockedZone(zone.ID, zone.Outer)
	}
	p := plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, b, c)
	driver.StartDrive(t, b, driver.Drive{VX: -cruise}) // the planner, away from the dock
	g := s.start(t)
	g.await(t, "a robot that may only dock", 40*time.Second, func(s agent.Status) bool { return s.Axes.Motion == "dock-only" })
	driver.StartDrive(t, b, driver.Drive{VX: cruise, Topic: "/cmd_vel_dock", Node: "/docking"})
	if !closed {
		p.WaitTruth(t, 30*time.Second, "a robot where the zone would be", func(s oracle.Sample) bool { return s.X > 1.5 })
	} else {
		standing(t, p, 30*time.Second)
		if x := p.Truth(t).Samples; x[len(x)-1].X < 0.8 {
			t.Errorf("the robot stands at %.2f m: expected it to drive up to the zone at 1.5 m", x[len(x)-1].X)
		}
		judge(t, p.Truth(t), zone)
	}
	for _, x := range p.Truth(t).Samples {
		if x.VX < -0.02 {
			t.Errorf("at %v the robot drives at %.2f m/s: its planner commands although it may only dock", x.T, x.VX)
			break
		}
	}
	g.replayed(t)
}

// TestLeaseEndsInside lets the lease of a zone run out while the robot drives in it: it holds there, latched. One that lasts,
// the off run, lets it through.
func TestLeaseEndsInside(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.Fast}, func(t *testing.T, b bus.Bus) { leaseEndsInside(t, b, 6*time.Second, true) })
}

func leaseEndsInside(t *testing.T, b bus.Bus, lasts time.Duration, ends bool) {
	zone := oracle.Zone{ID: "gate", Outer: ringOf(1, -2, 9, 2)}
	p := plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, b, siteConfig{lock: true, zones: zoneYAML("gate", "RELEASE", zone.Outer, ", release_loss: STOP")})
	driver.StartDrive(t, b, driver.Drive{VX: cruise})
	g := s.start(t)
	g.ready(t)
	standing(t, p, 40*time.Second) // before the zone, which is closed
	g.orderFor(t, lasts, func(st agent.Status, expires time.Time) []byte {
		return must(order.Sign(&order.Order{
			Kind: order.KindGrant, ID: order.NewID(), Audience: []string{robotID}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(2 * time.Hour),
			Reason: "grant of a test", Binding: order.Binding{BootID: st.BootID, Nonce: st.Nonce},
			Grant: &order.Grant{Scope: order.ScopeZone, Zone: zone.ID, MaxSpeedMPS: 0.6, Expires: expires},
		}, s.engineer))(t)
	})
	if !ends {
		p.WaitTruth(t, 40*time.Second, "a robot behind the zone", func(s oracle.Sample) bool { return s.X > 9.5 })
		return
	}
	inside := p.WaitTruth(t, 30*time.Second, "a robot in the zone", func(s oracle.Sample) bool { return s.X > 1.4 })
	s1 := g.await(t, "a robot held inside", 30*time.Second, func(s agent.Status) bool { return has(s, "zone.inside") && s.Axes.Motion == "hold" && s.AtRest })
	for _, x := range s1.Triggers {
		if x.Code == "zone.inside" && !x.Latched {
			t.Error("zone.inside is not latched")
		}
	}
	last := p.Truth(t).Samples
	if at := last[len(last)-1].X; at > 8.5 || at < inside.X {
		t.Errorf("the robot stands at %.2f m: expected it within the zone from 1 m to 9 m", at)
	}
	g.replayed(t)
}
