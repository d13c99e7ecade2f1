package e2e

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// TestBrokerDown takes the broker from a robot that drives on DDS, and then its courier and its steward: it drives on, a
// signed stop stops it as before, and in make qualify it still stands when all of them are back and have reported that.
func TestBrokerDown(t *testing.T) {
	t.Parallel()
	for _, kind := range onDDS(bus.Cyclone) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			brokerDown(t, domain.Here(t, kind)) // The broker is on this computer's own network.
		})
	}
	if longTier() {
		t.Run(string(bus.ROS), func(t *testing.T) {
			t.Parallel()
			brokerDown(t, meet(t, bus.ROS))
		})
	}
}

func brokerDown(t *testing.T, b bus.Bus) {
	p := plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	w := newWhole(t, b, siteConfig{lock: true})
	g := w.site.start(t)
	w.guard = g
	k := &pair{w: w, random: rand.New(rand.NewPCG(seed(t), 1)), roles: map[string]*proc.Process{}, killed: map[string]int{}} //nolint:gosec // moments, not secrets
	k.start(t, "steward")
	k.start(t, "courier")
	g.ready(t)
	w.attested(t, p)
	driver.StartDrive(t, b, driver.Drive{VX: cruise})
	p.WaitTruth(t, 40*time.Second, "a robot that drives as told", func(s oracle.Sample) bool { return s.Speed() > 0.9*cruise })

	from := len(p.Truth(t).Samples)
	w.broker.Stop()
	k.kill(t, 2)
	for _, role := range []string{"courier", "steward"} {
		k.roles[role].Kill()
	}
	samples := p.Truth(t).Samples
	if i := slices.IndexFunc(samples[from:], func(s oracle.Sample) bool { return s.Speed() < 0.9*cruise }); i >= 0 {
		t.Errorf("at %v the robot drives at %.2f m/s although only the broker and who talks to it are gone", samples[from+i].T, samples[from+i].Speed())
	}
	trigger := samples[len(samples)-1].T
	if got := g.order(t, w.site.stopOrder(t)); !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	r := &robot{b: b, p: p, s: w.site, g: g}
	r.restsWithin(t, trigger, stopTime())

	if !longTier() {
		g.replayed(t)
		return // A courier comes back to its broker after half a minute.
	}
	from = len(p.Truth(t).Samples)
	w.broker.Restart()
	k.start(t, "steward")
	k.start(t, "courier")
	w.attested(t, p)
	g.await(t, "a stop that outlasts all that", time.Second, func(s agent.Status) bool { return has(s, "order.stop") && s.Axes.Motion == "stop" })
	if moved := p.Truth(t).Samples[from:]; slices.ContainsFunc(moved, func(s oracle.Sample) bool { return s.Speed() > 0.02 }) {
		t.Error("the robot moved after a signed stop")
	}
	w.arrived(t)
	g.replayed(t)
}
