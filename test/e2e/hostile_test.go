package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/hostile"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// maxRSSKiB bounds the guard's memory under attack.
const maxRSSKiB = 96 << 10

// mustTrip names the attacks that may never pass unnoticed, and the triggers one of which has to say so.
var mustTrip = map[string][]string{
	"inject-before-10": {"publisher.unknown", "publisher.second"}, "inject-before-100": {"publisher.unknown", "publisher.second"},
	"inject-before-1000": {"publisher.unknown", "publisher.second"},
	"inject-behind-10":   {"gate.bypass", "publisher.unknown"}, "inject-behind-100": {"gate.bypass", "publisher.unknown"},
	"inject-behind-1000": {"gate.bypass", "publisher.unknown"},
	"bypass-base":        {"gate.bypass"},
	"lock-release":       {"lock.contested"}, "lock-release-bypass": {"lock.contested"},
}

// TestHostilePeers runs every attack against a guard that holds a driving robot: it must not crash, not grow, and either
// the robot goes on as told or the loss is a trigger and the robot comes to rest.
func TestHostilePeers(t *testing.T) {
	run := seed(t)
	slots := make(chan struct{}, 3)
	for _, a := range hostile.For(target("", run)) {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			underAttack(t, a, run)
		})
	}
}

// target is the guard as an attacker sees it.
func target(master string, seed uint64) hostile.Target {
	if master == "" {
		master = "http://127.0.0.1:1/" // Only to ask which attacks there are.
	}
	return hostile.Target{
		Master: master, Node: "/robowarden", PoseTopic: "/odom", PoseType: wire.Odometry,
		ServedTopic: "/cmd_vel", ServedType: wire.Twist, CommandIn: "/cmd_vel_raw", CommandOut: "/cmd_vel",
		LockTopic: "/robowarden/lock", Base: "/plant", Trusted: "/planner", Service: "/motor_stop", Seed: seed,
	}
}

func underAttack(t *testing.T, a hostile.Attack, seed uint64) {
	m := ros.StartMaster(t, ros.Options{})
	zone := oracle.Zone{ID: "wall", Outer: ringOf(9, -9, 12, 9)}
	p := plant.Start(t, m, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, m, siteConfig{zones: blockedZone("wall", zone.Outer), lock: true, services: true})
	g := s.start(t)
	g.ready(t)
	driver.StartDrive(t, m, driver.Drive{VX: 0.4})
	p.WaitDriving(t, 40*time.Second, 0.3)
	seen := g.watchTriggers(t)
	tg := target(m.URI(), seed)
	tg.Logf = t.Logf
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := a.Run(ctx, tg)
	if err != nil && !hostile.Deflected(err) {
		t.Fatalf("the attack was not carried out: %v", err)
	}
	t.Logf("the attack %s: %v", a.Claims, err)
	settle(t, g, p)
	triggers := seen()
	t.Logf("triggers seen: %s", strings.Join(triggers, " "))
	if want := mustTrip[a.Name]; want != nil && err == nil && !slices.ContainsFunc(want, func(w string) bool { return slices.Contains(triggers, w) }) {
		t.Errorf("expected one of the triggers %q, found %q", want, triggers)
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

// settle waits until the guard, alive, either lets the robot drive as told or has brought it to rest for a reason.
func settle(t testing.TB, g *guard, p *plant.Plant) {
	t.Helper()
	g.await(t, "a robot that drives as told, or rests for a reason", 15*time.Second, func(s agent.Status) bool {
		samples := p.Truth(t).Samples
		v := samples[len(samples)-1].Speed()
		open := s.Axes.Motion == "free" || s.Axes.Motion == "limited"
		return open && v > 0.3 || !open && len(s.Triggers) > 0 && v < 0.01 || open && v < 0.01 && s.Gate == "timed out"
	})
}

// watchTriggers collects the codes of all triggers from now on until the returned function is called.
func (g *guard) watchTriggers(t testing.TB) func() []string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	seen := map[string]bool{}
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if s, ok := g.status(); ok {
				for _, tr := range s.Triggers {
					seen[tr.Code] = true
				}
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return func() []string {
		stop()
		<-done
		var out []string
		for code := range seen {
			out = append(out, code)
		}
		slices.Sort(out)
		return out
	}
}
