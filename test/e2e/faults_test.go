package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// rest is stable rest as an outside observer sees it.
var rest = oracle.Rest{SpeedMPS: 0.01, YawRateRPS: 0.01, Hold: 500 * time.Millisecond}

// cruise is the speed in m/s of the robots in this file, which drive in the open.
const cruise = 0.8

// robot is a guard that holds a robot which a planner drives.
type robot struct {
	b bus.Bus
	p *plant.Plant
	s *site
	g *guard
}

// driving starts everything and waits until the robot is under way.
func driving(t testing.TB, b bus.Bus, c siteConfig, pc plant.Config) *robot {
	t.Helper()
	return drivingWith(t, b, c, pc, func(*site) {})
}

// drivingWith is the same for a robot that has more than a guard: others starts it.
func drivingWith(t testing.TB, b bus.Bus, c siteConfig, pc plant.Config, others func(s *site)) *robot {
	t.Helper()
	r := &robot{b: b}
	if c.lock {
		pc.LockTopic = "/robowarden/lock"
	}
	r.p = plant.Start(t, r.b, pc)
	r.s = newSite(t, r.b, c)
	if c.operatorLink {
		driver.StartOperator(t, r.b, driver.OperatorConfig{Robot: robotID, Endpoint: "operator", Key: r.s.heartbeat})
	}
	driver.StartDrive(t, r.b, driver.Drive{VX: cruise})
	others(r.s)
	r.g = r.s.start(t)
	r.g.ready(t)
	r.drives(t)
	return r
}

// drives waits until the robot drives as told.
func (r *robot) drives(t testing.TB) {
	t.Helper()
	r.p.WaitDriving(t, 40*time.Second, 0.9*cruise)
}

// now is the plant's time of the newest sample.
func (r *robot) now(t testing.TB) time.Duration {
	t.Helper()
	s := r.p.Truth(t).Samples
	return s[len(s)-1].T
}

// restsWithin waits for rest and checks how long after the trigger it began.
func (r *robot) restsWithin(t testing.TB, trigger, bar time.Duration) {
	t.Helper()
	var took time.Duration
	until(t, bar+10*time.Second, "stable rest", func() bool {
		d, err := oracle.TimeToRest(r.p.Truth(t), trigger, rest)
		took = d
		return err == nil
	})
	t.Logf("at rest %v after the trigger (bar %v)", took, bar)
	if took > bar {
		t.Errorf("at rest after %v: expected at most %v", took, bar)
	}
}

// stopTime is the profile's time from a zero command to rest at cruise speed, with the pause that a test's own reading
// of the plant's time may add.
func stopTime() time.Duration {
	brake := time.Duration(cruise / decelMPS2 * float64(time.Second))
	return detection + actuation + brake + brake/5 + 500*time.Millisecond
}

// silence is what the robot's own timeouts add when the guard says nothing any more.
const silence = 500 * time.Millisecond

func TestKilledGuardLeavesRobotAtRest(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Fast}, killedGuardLeavesRobotAtRest)
}

func killedGuardLeavesRobotAtRest(t *testing.T, b bus.Bus) {
	r := driving(t, b, siteConfig{lock: true}, plant.Config{})
	trigger := r.now(t)
	r.g.Kill()
	r.restsWithin(t, trigger, silence+stopTime())
	// The next run starts held: an end without order is a latch of its own, and a planner that never stopped sending
	// does not start the robot.
	g := r.s.start(t)
	s := g.await(t, "a guard that holds after an unclean end", 20*time.Second, func(s agent.Status) bool {
		return has(s, "restart.unclean") && !has(s, "startup")
	})
	if s.Axes.Motion != "hold" && s.Axes.Motion != "stop" {
		t.Errorf("motion %q after an unclean end", s.Axes.Motion)
	}
	// The operator resets; the planner's commands are fresh, but the gate wants a neutral one first.
	receipt := g.order(t, r.s.resetOrder(t, s, r.s.operator))
	if !receipt.Applied {
		t.Fatalf("reset: %+v", receipt)
	}
	from := len(r.p.Truth(t).Samples)
	g.await(t, "a gate that waits for a neutral command", 40*time.Second, func(s agent.Status) bool {
		return s.Axes.Motion != "hold" && s.Gate == "waiting for neutral"
	})
	time.Sleep(500 * time.Millisecond) // Time in which the planner's commands would drive the robot on.
	for _, s := range r.p.Truth(t).Samples[from:] {
		if s.Speed() > 0.02 {
			t.Fatalf("at %v the robot drives at %.2f m/s although its planner has not been neutral since the reset", s.T, s.Speed())
		}
	}
	g.replayed(t)
}

func TestStoppedGuardLeavesRobotAtRest(t *testing.T) {
	t.Parallel()
	onBuses(t, nil, stoppedGuardLeavesRobotAtRest)
}

func stoppedGuardLeavesRobotAtRest(t *testing.T, b bus.Bus) {
	r := driving(t, b, siteConfig{lock: true}, plant.Config{})
	trigger := r.now(t)
	if err := r.g.Pause(); err != nil {
		t.Fatal(err)
	}
	r.restsWithin(t, trigger, silence+stopTime())
	if err := r.g.Resume(); err != nil {
		t.Fatal(err)
	}
	r.g.await(t, "a late loop that is noticed", 5*time.Second, func(s agent.Status) bool { return has(s, "loop.overrun") })
}

func TestGuardOutOfMemoryLeavesRobotAtRest(t *testing.T) {
	t.Parallel()
	onBuses(t, nil, guardOutOfMemoryLeavesRobotAtRest)
}

func guardOutOfMemoryLeavesRobotAtRest(t *testing.T, b bus.Bus) {
	need.Root(t)
	cg, err := proc.NewCgroup("robowarden-oom", 256<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cg.Remove(); err != nil {
			t.Error(err)
		}
	})
	r := &robot{b: b}
	r.p = plant.Start(t, r.b, plant.Config{LockTopic: "/robowarden/lock"})
	r.s = newSite(t, r.b, siteConfig{lock: true})
	driver.StartDrive(t, r.b, driver.Drive{VX: cruise})
	r.g = r.s.startIn(t, cg)
	r.g.ready(t)
	r.drives(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := cg.OOMKill(ctx, r.g.Process); err != nil {
		t.Fatal(err)
	}
	// The kill is the trigger; the process was seen to be gone at most a poll later than it was.
	trigger := r.now(t)
	r.restsWithin(t, trigger, silence+stopTime())
	g := r.s.start(t)
	g.await(t, "a guard that holds after an unclean end", 40*time.Second, func(s agent.Status) bool { return has(s, "restart.unclean") })
}

func TestLatchSurvivesKill(t *testing.T) {
	t.Parallel()
	onBuses(t, nil, latchSurvivesKill)
}

func latchSurvivesKill(t *testing.T, b bus.Bus) {
	r := driving(t, b, siteConfig{lock: true}, plant.Config{})
	trigger := r.now(t)
	if got := r.g.order(t, r.s.stopOrder(t)); !got.Accepted || !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	r.restsWithin(t, trigger, stopTime())
	latched := func(s agent.Status) bool { return has(s, "order.stop") && s.Axes.Motion == "stop" }
	r.g.await(t, "a stop", time.Second, latched)
	r.g.Kill()
	g := r.s.start(t)
	s := g.await(t, "the stop after a restart", 20*time.Second, func(s agent.Status) bool { return latched(s) && !has(s, "startup") })
	// Whoever may stop need not be allowed to release: an unknown key is refused, the operator is not.
	if got := g.order(t, r.s.resetOrder(t, s, newKey(t))); got.Accepted {
		t.Errorf("a reset by an unknown key was accepted: %+v", got)
	}
	if got := g.order(t, r.s.resetOrder(t, s, r.s.operator)); !got.Applied {
		t.Errorf("reset: %+v", got)
	}
	g.ready(t)
}

func TestHeartbeatLostHoldsThenStops(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, heartbeatLostHoldsThenStops)
}

func heartbeatLostHoldsThenStops(t *testing.T, b bus.Bus) {
	deskGone(t, b, func(op *driver.Operator) { op.Fault(t, "silent") }, func(op *driver.Operator) { op.Fault(t, "clear") })
}

// TestKilledDeskHoldsThenStops kills the operator's desk outright, on DDS: what it has announced stays for its lease. On ROS 1
// TestExampleDesks does.
func TestKilledDeskHoldsThenStops(t *testing.T) {
	t.Parallel()
	for _, kind := range onDDS() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := meet(t, kind)
			deskGone(t, b, func(op *driver.Operator) { op.Kill() }, func(*driver.Operator) {
				driver.StartOperator(t, b, driver.OperatorConfig{Robot: robotID, Endpoint: "operator", Key: []byte(operatorKey)})
			})
		})
	}
}

// deskGone takes the operator's desk from a robot that drives, and brings it back.
func deskGone(t *testing.T, b bus.Bus, lose, back func(op *driver.Operator)) {
	t.Helper()
	r := &robot{b: b}
	r.p = plant.Start(t, r.b, plant.Config{LockTopic: "/robowarden/lock"})
	r.s = newSite(t, r.b, siteConfig{lock: true, operatorLink: true})
	op := driver.StartOperator(t, r.b, driver.OperatorConfig{Robot: robotID, Endpoint: "operator", Key: r.s.heartbeat})
	driver.StartDrive(t, r.b, driver.Drive{VX: cruise})
	r.g = r.s.start(t)
	r.g.ready(t)
	r.drives(t)
	trigger := r.now(t)
	lose(op)
	r.restsWithin(t, trigger, 700*time.Millisecond+stopTime())
	s := r.g.await(t, "a lost channel", 5*time.Second, func(s agent.Status) bool {
		return has(s, "channel.heartbeat-lost") && s.Axes.Motion == "stop"
	})
	if got := r.g.order(t, r.s.resetOrder(t, s, r.s.operator)); got.Applied {
		t.Errorf("a reset was applied while the channel is silent: %+v", got)
	}
	back(op)
	r.g.await(t, "a channel that runs again", 10*time.Second, func(s agent.Status) bool {
		return len(s.Channels) == 1 && s.Channels[0].Phase == "running"
	})
	until(t, 10*time.Second, "a reset", func() bool {
		s, _ := r.g.status()
		return r.g.order(t, r.s.resetOrder(t, s, r.s.operator)).Applied
	})
	r.g.ready(t)
	r.g.replayed(t)
}

func TestWrongHeartbeatKeyIsHostile(t *testing.T) {
	t.Parallel()
	onBuses(t, nil, wrongHeartbeatKeyIsHostile)
}

func wrongHeartbeatKeyIsHostile(t *testing.T, b bus.Bus) {
	r := &robot{b: b}
	r.p = plant.Start(t, r.b, plant.Config{LockTopic: "/robowarden/lock"})
	r.s = newSite(t, r.b, siteConfig{lock: true, operatorLink: true})
	op := driver.StartOperator(t, r.b, driver.OperatorConfig{Robot: robotID, Endpoint: "operator", Key: r.s.heartbeat})
	driver.StartDrive(t, r.b, driver.Drive{VX: cruise})
	r.g = r.s.start(t)
	r.g.ready(t)
	r.drives(t)
	seen := r.g.watchTriggers(t)
	trigger := r.now(t)
	op.Fault(t, "wrong_key")
	r.restsWithin(t, trigger, 700*time.Millisecond+stopTime())
	r.g.await(t, "a hostile channel", 5*time.Second, func(s agent.Status) bool { return has(s, "channel.heartbeat-hostile") })
	t.Log(seen())
}

// TestRobotFaults breaks each of the guard's inputs: the named trigger has to come, and the robot has to rest.
func TestRobotFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		trigger string
		within  time.Duration
	}{
		"stop_odom":       {"pose.stale", 400 * time.Millisecond},
		"freeze_pose":     {"pose.frozen", 800 * time.Millisecond},
		"teleport 3 0":    {"pose.jump", 100 * time.Millisecond},
		"nan_pose":        {"pose.invalid", 100 * time.Millisecond},
		"zero_cov":        {"pose.covariance", 700 * time.Millisecond},
		"wrong_frame odd": {"pose.frame", 100 * time.Millisecond},
		"future_stamp 2":  {"pose.future", 100 * time.Millisecond},
		"stop_joints":     {"joints.missing", 700 * time.Millisecond},
	}
	if longTier() {
		faults["nan_cov"] = faults["zero_cov"]
		faults["huge_cov"] = faults["zero_cov"]
	}
	slots := make(chan struct{}, 3)
	run := func(kind bus.Kind, fault string) {
		want := faults[fault]
		t.Run(string(kind)+" "+fault, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			r := driving(t, meet(t, kind), siteConfig{lock: true}, plant.Config{})
			seen := r.g.watchTriggers(t)
			trigger := r.now(t)
			r.p.Fault(t, fault)
			r.g.await(t, want.trigger, 5*time.Second, func(s agent.Status) bool { return has(s, want.trigger) })
			r.restsWithin(t, trigger, want.within+stopTime()+200*time.Millisecond)
			t.Logf("triggers: %v", seen())
			r.g.replayed(t)
		})
	}
	for fault := range faults {
		run(bus.ROS, fault)
		for _, kind := range onDDS() {
			run(kind, fault)
		}
	}
	if !longTier() {
		run(bus.Cyclone, "nan_pose")
		run(bus.Fast, "stop_odom")
	}
}

// TestRobotThatKeepsMovingIsTold climbs the ladder: nothing that the guard does stops this robot, so it has to say so.
func TestRobotThatKeepsMovingIsTold(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone, bus.Fast}, robotThatKeepsMovingIsTold)
}

func robotThatKeepsMovingIsTold(t *testing.T, b bus.Bus) {
	r := driving(t, b, siteConfig{lock: true, services: true}, plant.Config{})
	r.p.Fault(t, "keep_moving")
	if got := r.g.order(t, r.s.stopOrder(t)); !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	r.g.await(t, "a stop that is not confirmed", 15*time.Second, func(s agent.Status) bool { return has(s, "stop.unconfirmed") })
}

// TestStopServiceThatFails: a stop service that never answers, or refuses, is passed over: the guard says that the stop is
// not confirmed, and keeps telling the robot to stop, which so comes to rest as soon as it obeys again.
func TestStopServiceThatFails(t *testing.T) {
	t.Parallel()
	faults := []string{"hang_stop_service"}
	if longTier() {
		faults = append(faults, "refuse_stop_service")
	}
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) { stopServiceThatFails(t, b, fault) })
		})
	}
}

func stopServiceThatFails(t *testing.T, b bus.Bus, fault string) {
	r := driving(t, b, siteConfig{lock: true, services: true}, plant.Config{})
	r.p.Fault(t, "keep_moving")
	r.p.Fault(t, fault)
	if got := r.g.order(t, r.s.stopOrder(t)); !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	r.g.await(t, "a stop that is not confirmed", 15*time.Second, func(s agent.Status) bool { return has(s, "stop.unconfirmed") })
	until(t, 10*time.Second, "a word about the service that failed", func() bool { return strings.Contains(r.g.Output(), "the rung's service") })
	if !slices.ContainsFunc(r.p.Truth(t).Events, func(e oracle.Event) bool { return e.Kind == "stop-service" && e.Text == "on" }) {
		t.Error("the stop service was never called")
	}
	trigger := r.now(t)
	r.p.Fault(t, "clear keep_moving")
	r.restsWithin(t, trigger, 2*time.Second+stopTime())
	r.g.await(t, "a stop", 5*time.Second, func(s agent.Status) bool { return s.AtRest && s.Axes.Motion == "stop" })
	r.g.replayed(t)
}

func TestSignedStopFromTheBus(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Fast}, signedStopFromTheBus)
}

func signedStopFromTheBus(t *testing.T, b bus.Bus) {
	r := driving(t, b, siteConfig{lock: true}, plant.Config{})
	trigger := r.now(t)
	publishText(t, r.b, "/robowarden/orders", string(r.s.stopOrder(t)))
	r.g.await(t, "a stop", 10*time.Second, func(s agent.Status) bool { return has(s, "order.stop") })
	_ = trigger
	s, _ := r.g.status()
	// A reset over the same path is refused: only stops are taken from the bus.
	publishText(t, r.b, "/robowarden/orders", string(r.s.resetOrder(t, s, r.s.operator)))
	r.g.await(t, "a stop that stays", 3*time.Second, func(s agent.Status) bool { return s.AtRest && has(s, "order.stop") })
}

func TestFullAndReadOnlyDisk(t *testing.T) {
	for _, mode := range []string{"full", "read-only"} {
		t.Run(mode, func(t *testing.T) {
			for _, kind := range append([]bus.Kind{bus.ROS}, onDDS()...) {
				t.Run(string(kind), func(t *testing.T) {
					t.Parallel()
					diskTrouble(t, kind, mode)
				})
			}
		})
	}
}
