//go:build qualify

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// TestZoneLoadedElsewhere is the off run: it changes nothing for the robot.
func TestZoneLoadedElsewhere(t *testing.T) {
	t.Parallel()
	onThese(t, nil, func(t *testing.T, b bus.Bus) { zoneLoaded(t, b, farZone(), false) })
}

// TestDockPathThroughNoZone is the off run.
func TestDockPathThroughNoZone(t *testing.T) {
	t.Parallel()
	onThese(t, nil, func(t *testing.T, b bus.Bus) { dockPathThroughAZone(t, b, false) })
}

// TestRefusedPolicies sends a driving robot policies that it must not take: an older one, one that nobody signed, one by
// somebody who may not, one that was cut, one of which a bit is wrong. None changes anything. The largest that is allowed is
// taken, and its last zone counts.
func TestRefusedPolicies(t *testing.T) {
	t.Parallel()
	onThese(t, nil, refusedPolicies)
}

func refusedPolicies(t *testing.T, b bus.Bus) {
	const most = 10_000 // zones of a policy
	r := &robot{b: b, p: plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})}
	r.s = newSite(t, b, siteConfig{lock: true})
	old := r.s.signPolicy(t, r.s.policy, r.s.revision)
	r.s.write(t, "policy.dsse.json", string(r.s.next(t, siteConfig{lock: true, zones: yard() + farZone()})))
	driver.StartDrive(t, b, driver.Drive{VX: cruise})
	r.g = r.s.start(t)
	r.g.ready(t)
	r.drives(t)
	revision := int64(r.s.revision) //nolint:gosec // small
	st := r.g.run(t)
	third := r.s.next(t, siteConfig{lock: true, zones: yard() + farZone()}, st)
	stranger, operator := *r.s, *r.s
	stranger.engineer, operator.engineer = newKey(t), r.s.operator
	flipped := bytes.Clone(third)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{
		"rolled back": old, "by a stranger": stranger.signPolicy(t, r.s.policy, r.s.revision, st), "by an operator": operator.signPolicy(t, r.s.policy, r.s.revision, st),
		"cut": third[:len(third)/2], "a bit flipped": flipped,
	} {
		if got := r.g.order(t, bad); got.Applied {
			t.Errorf("%s: applied: %+v", name, got)
		} else {
			t.Logf("%s: %s", name, got.Reason)
		}
		if s, ok := r.g.status(); !ok || s.Policy.Revision != revision || has(s, "zone.inside") {
			t.Errorf("%s: revision %d, triggers %v: expected %d, and a robot that may drive on", name, s.Policy.Revision, codes(s), revision)
		}
	}
	r.drives(t)
	var zones strings.Builder
	zones.WriteString(yard())
	for i := range most - 2 {
		x, y := 200+float64(i%100), 200+float64(i/100)
		zones.WriteString(blockedZone(fmt.Sprintf("z%d", i), ringOf(x, y, x+0.5, y+0.5)))
	}
	zones.WriteString(blockedZone("wall", ringOf(-100, -100, 100, 100)))
	trigger := r.now(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // so much takes a busy computer a while to check
	defer cancel()
	large := r.s.next(t, siteConfig{lock: true, zones: zones.String()}, st)
	if got, err := agent.SendOrder(ctx, r.s.path("control.sock"), large); err != nil || !got.Accepted {
		t.Fatalf("%d zones: %+v, %v", most, got, err)
	}
	until(t, time.Minute, "a robot at rest in the zone", func() bool {
		_, err := oracle.TimeToRest(r.p.Truth(t), trigger, rest)
		return err == nil
	})
	r.g.await(t, "a robot held by the last of the zones", 10*time.Second, func(s agent.Status) bool { return has(s, "zone.inside") })
	if u, err := r.g.Usage(); err != nil {
		t.Error(err)
	} else {
		t.Logf("figures: %d zones loaded while driving: the guard's peak %.1f MB", most, float64(u.HWMBytes)/1e6)
	}
	r.g.replayed(t)
}

// TestLeaseThatLasts is the off run.
func TestLeaseThatLasts(t *testing.T) {
	t.Parallel()
	onThese(t, nil, func(t *testing.T, b bus.Bus) { leaseEndsInside(t, b, 10*time.Minute, false) })
}

// TestBagMetricsLatched is the same with a cause that a person has to reset.
func TestBagMetricsLatched(t *testing.T) {
	t.Parallel()
	onThese(t, nil, func(t *testing.T, b bus.Bus) { bagMetrics(t, b, true) })
}

// TestRobotThatMovesUntold: somebody moves a robot past the gate that was stopped and stood, and no word of the bus about him is
// asked for. What the robot measures of itself says so.
func TestRobotThatMovesUntold(t *testing.T) {
	t.Parallel()
	onThese(t, nil, func(t *testing.T, b bus.Bus) {
		// Without a lock, which would keep him from it.
		r := driving(t, b, siteConfig{more: "triggers:\n  - {code: gate.bypass, enabled: false, reason: the robot has to notice by itself}\n"}, plant.Config{})
		trigger := r.now(t)
		if got := r.g.order(t, r.s.stopOrder(t)); !got.Applied {
			t.Fatalf("stop: %+v", got)
		}
		r.restsWithin(t, trigger, stopTime())
		st := r.g.await(t, "a robot whose standstill is confirmed", 5*time.Second, func(s agent.Status) bool { return s.AtRest && s.Axes.Motion == "stop" })
		if has(st, "motion.untold") {
			t.Error("motion.untold while nobody moves the robot")
		}
		intruder := driver.StartDrive(t, b, driver.Drive{VX: cruise, Rate: 500, Topic: "/cmd_vel", Node: "/intruder"})
		r.p.WaitTruth(t, 40*time.Second, "a robot that somebody moves", func(s oracle.Sample) bool { return s.Speed() > 0.1 })
		r.g.await(t, "motion.untold", 40*time.Second, func(s agent.Status) bool { return has(s, "motion.untold") && s.Axes.Motion == "stop" })
		intruder.Kill()
		r.g.replayed(t)
	})
}

// TestRobotThatDoesNotFollow: a robot is told to move and stands, since something brakes it. When that lets go it begins slowly.
func TestRobotThatDoesNotFollow(t *testing.T) {
	t.Parallel()
	onThese(t, nil, func(t *testing.T, b bus.Bus) {
		r := driving(t, b, siteConfig{lock: true}, plant.Config{})
		if st, _ := r.g.status(); has(st, "motion.unfollowed") {
			t.Error("motion.unfollowed of a robot that drives as told")
		}
		r.p.Fault(t, "brake")
		r.g.await(t, "motion.unfollowed", 40*time.Second, func(s agent.Status) bool { return has(s, "motion.unfollowed") })
		from := r.now(t)
		r.p.Fault(t, "clear")
		first := r.p.WaitTruth(t, 20*time.Second, "a robot that moves again", func(s oracle.Sample) bool { return s.T > from && s.Speed() > 0.1 })
		for _, s := range r.p.Truth(t).Samples {
			if s.T > from && s.T < first.T+time.Second && s.Speed() > 0.35 {
				t.Fatalf("at %v the robot drives at %.2f m/s: expected it to begin at 0.3 m/s at most", s.T, s.Speed())
			}
		}
		r.drives(t)
		r.g.replayed(t)
	})
}
