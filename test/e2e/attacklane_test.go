package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/dds"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/plant"
)

// kit is what a robot under attack has besides its planner, and by which policy it is guarded.
type kit struct {
	// desk adds the operator's heartbeat, proven a planner that proves who it is, session one that drives from afar and needs
	// a session for it, needed a task that needs the planner.
	desk, proven, session, needed bool
	// off is the policy with the detectors switched off, as far as it may say so.
	off bool
}

const (
	// attackCruise is the speed in m/s of a robot under attack, and attackTurn its yaw rate in rad/s: it drives in a circle.
	attackCruise, attackTurn = 0.4, 0.3
	// commanderKey is the name of the planner's key.
	commanderKey = "planner"
)

// switchable are the triggers that a policy may switch off.
var switchable = []string{"publisher.unknown", "publisher.second", "publisher.conflict", "gate.bypass", "channel.command-unproven", "channel.hostile"}

// site is the kit's documents. What ends does so sooner than by default, since time to clear is not what is measured.
func (k kit) site() siteConfig {
	c := siteConfig{lock: true, operatorLink: k.desk}
	if c.more = "triggers:\n"; k.off {
		for _, code := range switchable {
			c.more += fmt.Sprintf("  - {code: %s, enabled: false, reason: the off run of an attack}\n", code)
		}
	} else {
		for _, code := range append([]string{"channel.heartbeat-late", "channel.heartbeat-hostile", "channel.degraded", "channel.lost"}, switchable...) {
			c.more += fmt.Sprintf("  - {code: %s, dwell: 200ms}\n", code)
		}
	}
	if k.desk {
		// A stop would have to be reset; the hold before it is what is measured.
		if c.channels = "channels:\n  - {endpoint: operator, period: 100ms, hold_after: 500ms, stop_after: 60s}\n"; k.off {
			c.channels = "# Nobody's heartbeat is asked for.\n"
		}
	}
	if k.needed && !k.off {
		c.commandLimits = "max_hz: 20000, max_loss_ratio: 1, needed: true"
	}
	if k.proven {
		session := ""
		if k.session {
			c.commandKind, session = "operator", ", session: required"
		}
		c.commandKeys = []string{commanderKey}
		c.more += fmt.Sprintf(`commanders:
  - {channel: autonomy, authenticity: required, keys: [%s], strength: authenticated, challenge_period: 200ms, challenge_lifetime: 800ms%s}
  - {channel: docking, authenticity: none, strength: source-bound, reason: nothing docks in this test}
`, commanderKey, session)
	}
	return c
}

// lane is one robot that is attacked again and again.
type lane struct {
	t         testing.TB
	b         bus.Bus
	kit       kit
	r         *rand.Rand
	p         *plant.Plant
	s         *site
	g         *guard
	op        *driver.Operator
	planner   *proc.Process
	commander *driver.Commander
	attacker  *dds.Attacker // on DDS
	key       []byte
	// tried is set once an operator has asked for what is not theirs to reset.
	tried bool
	// back is the way back from the attack before, nil if there was none.
	back func(testing.TB)
	// long lets sessions last.
	long bool
	// boot is the file whose content the guard takes for the computer's boot id, "" for the computer's own.
	boot string
}

// newLane starts all but the guard, for the length of t.
func newLane(t testing.TB, b bus.Bus, k kit, r *rand.Rand) *lane {
	t.Helper()
	l := &lane{t: t, b: b, kit: k, r: r, key: []byte("fedcba9876543210fedcba9876543210")}
	if d, ok := b.(*domain.Domain); ok {
		l.attacker = dds.NewAttacker(t, d.Network(), d.Network()) // its eye has to see the others come
	}
	l.p = plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	l.s = newSite(t, b, k.site())
	l.s.write(t, commanderKey+".key", hex.EncodeToString(l.key)+"\n")
	if k.desk {
		l.startDesk()
	}
	l.startPlanner(t)
	return l
}

// startPlanner starts who drives the robot.
func (l *lane) startPlanner(t testing.TB) {
	if l.kit.proven {
		l.commander = driver.StartCommander(t, l.b, commanderKey, l.key, attackCruise)
		l.planner = l.commander.Process
		return
	}
	l.planner = driver.StartDrive(t, l.b, driver.Drive{VX: attackCruise, W: attackTurn})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := l.planner.WaitOutput(ctx, "planner ready"); err != nil { // from then on it hears signals
		t.Fatal(err)
	}
}

// start starts the guard, on a computer whose boot id is what the lane says.
func (l *lane) start(t testing.TB) {
	t.Helper()
	if l.boot == "" {
		l.g = l.s.start(l.t)
		return
	}
	argv := []string{
		"unshare", "--mount", "sh", "-c", `mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"`, "sh", l.boot,
		binary(t), "guard", "--deployment", l.s.path("deployment.yaml"),
	}
	l.g = &guard{Process: l.b.Node(l.t, proc.Spec{Name: "robowarden", Argv: argv}), site: l.s}
}

// restart is an orderly end of the guard and a start of it. What it stored is kept.
func (l *lane) restart(t testing.TB) {
	t.Helper()
	if exit := l.g.Stop(time.Minute); exit.Code != 0 {
		t.Fatalf("the guard ended with %v:\n%s", exit, l.g.Output())
	}
	l.start(t)
}

// reboot is the same on a computer that has another boot id since.
func (l *lane) reboot(t testing.TB) {
	t.Helper()
	l.boot = l.s.path("boot_id")
	h := hex.EncodeToString(fmt.Appendf(nil, "%016x", l.r.Uint64()))
	l.s.write(t, "boot_id", strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:32]}, "-")+"\n")
	l.restart(t)
}

// close ends everybody, for a lane that nobody goes on with.
func (l *lane) close() {
	l.g.Stop(10 * time.Second)
	for _, p := range []*proc.Process{l.planner, l.p.Process} {
		p.Kill()
	}
	if l.op != nil {
		l.op.Kill()
	}
	if m, ok := l.b.(*ros.Master); ok {
		m.Kill()
	}
}
