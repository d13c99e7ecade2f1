package hostile

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// baseScene is a robot without any guard: what an attacker commands reaches it.
type baseScene struct {
	m      *ros.Master
	robot  *plant.Plant
	node   *wire.Node
	target Target
}

func newBaseScene(t *testing.T, c plant.Config) *baseScene {
	t.Helper()
	m := ros.StartMaster(t, ros.Options{})
	s := &baseScene{m: m, robot: plant.Start(t, m, c)}
	var err error
	if s.node, err = wire.NewNode(wire.NodeConfig{Name: "/planner", Master: m.URI()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.node.Close() })
	s.target = Target{
		Master: m.URI(), Node: plant.NodeName, PoseTopic: "/cmd_vel", PoseType: wire.Twist,
		ServedTopic: "/odom", ServedType: wire.Odometry, CommandIn: "/cmd_vel", CommandOut: "/cmd_vel",
		LockTopic: "/safety_lock", Base: plant.NodeName, Trusted: "/planner", Service: "/motor_stop",
		CommandVX: 0.5, Duration: time.Second, Logf: t.Logf,
	}
	return s
}

func (s *baseScene) attack(t *testing.T, name string) {
	t.Helper()
	if err := run(t, name, s.target); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestShutdownEndsRoscpp(t *testing.T) {
	t.Parallel()
	s := newBaseScene(t, plant.Config{})
	s.attack(t, "slave-shutdown")
	if exit, err := s.robot.Wait(within(t, 10*time.Second)); err != nil {
		t.Errorf("still alive: %v, %v", exit, err)
	}
}

func TestBlindTakesTheFeedFromRoscpp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"slave-blind", "graph-unregister-publisher"} {
		s := newBaseScene(t, plant.Config{})
		cmd, err := s.node.Advertise(within(t, 5*time.Second), wire.PublisherConfig{Topic: "/cmd_vel", Type: wire.Twist})
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.WaitPeers(within(t, 5*time.Second), 1); err != nil {
			t.Fatal(err)
		}
		s.attack(t, name)
		if n := len(cmd.Peers()); n != 0 {
			t.Errorf("%s: the publisher still has %d subscribers", name, n)
		}
	}
}

func TestDuplicateNameEndsRoscpp(t *testing.T) {
	t.Parallel()
	s := newBaseScene(t, plant.Config{NodeName: "/other"})
	s.target.Trusted = "/other"
	s.attack(t, "graph-duplicate-trusted")
	if exit, err := s.robot.Wait(within(t, 10*time.Second)); err != nil {
		t.Errorf("still alive: %v, %v", exit, err)
	}
}

func TestInjectionDrivesTheRobotAtEachRate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"inject-behind-10", "inject-behind-100", "inject-behind-1000",
		"inject-before-10", "inject-before-100", "inject-before-1000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBaseScene(t, plant.Config{})
			s.attack(t, name)
			truth := s.robot.Truth(t)
			if last := truth.Samples[len(truth.Samples)-1]; last.X < 0.1 || last.CmdVX != 0.5 {
				t.Errorf("the robot did not obey: %+v", last)
			}
		})
	}
}

func TestInjectionRate(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	n, err := wire.NewNode(wire.NodeConfig{Name: "/victim", Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	callers := make(chan string, 10000)
	if _, err := n.Subscribe(within(t, 5*time.Second), "/cmd", wire.Twist, func(msg wire.Message) { callers <- msg.Caller }); err != nil {
		t.Fatal(err)
	}
	target := Target{Master: m.URI(), Node: "/victim", CommandIn: "/cmd", CommandOut: "/cmd", Base: "/victim", Trusted: "/planner", Duration: time.Second}
	for name, want := range map[string]int{"inject-before-10": 10, "inject-before-100": 100, "inject-before-1000": 1000} {
		if err := run(t, name, target); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		got := len(callers)
		for range got {
			<-callers
		}
		if math.Abs(float64(got-want)) > 0.15*float64(want) {
			t.Errorf("%s: %d messages in a second", name, got)
		}
	}
	if err := run(t, "inject-impostor", target); err != nil {
		t.Fatal(err)
	}
	if who := <-callers; who != "/planner" {
		t.Errorf("the impostor's name is %s", who)
	}
}

func TestBypassDrivesTheRobotUnseenByTheMaster(t *testing.T) {
	t.Parallel()
	s := newBaseScene(t, plant.Config{})
	gate, err := s.node.Advertise(within(t, 5*time.Second), wire.PublisherConfig{Topic: "/cmd_vel", Type: wire.Twist})
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.WaitPeers(within(t, 5*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- run(t, "bypass-base", s.target) }()
	s.robot.WaitTruth(t, 5*time.Second, "motion", func(o oracle.Sample) bool { return o.VX > 0.3 })
	table, err := s.m.State(within(t, 5*time.Second))
	if err != nil || !slices.Equal(table.Publishers["/cmd_vel"], []string{"/planner"}) {
		t.Errorf("the master lists %v, %v", table.Publishers["/cmd_vel"], err)
	}
	if len(gate.Peers()) != 1 {
		t.Errorf("the real publisher has %d subscribers; it should notice nothing", len(gate.Peers()))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestLockIsReleasedByAnybody(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lock-release", "lock-release-bypass"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBaseScene(t, plant.Config{LockTopic: "/safety_lock"})
			ctx := within(t, 5*time.Second)
			lock, err := s.node.Advertise(ctx, wire.PublisherConfig{Topic: "/safety_lock", Type: wire.Bool})
			if err != nil {
				t.Fatal(err)
			}
			cmd, err := s.node.Advertise(ctx, wire.PublisherConfig{Topic: "/cmd_vel", Type: wire.Twist})
			if err != nil {
				t.Fatal(err)
			}
			steadily(t, 50*time.Millisecond, func() { lock.Send(wire.BoolBody(true)) })
			steadily(t, 20*time.Millisecond, func() { cmd.Send(s.target.command()) })
			s.robot.WaitTruth(t, 5*time.Second, "a locked robot with a command", func(o oracle.Sample) bool {
				return o.Flags&oracle.Locked != 0 && o.CmdVX == 0.5 && o.X == 0
			})
			s.attack(t, name)
			if truth := s.robot.Truth(t); truth.Samples[len(truth.Samples)-1].X < 0.05 {
				t.Error("the robot did not move")
			}
		})
	}
}

func TestOddAndMalformedCommandsReachTheBase(t *testing.T) {
	t.Parallel()
	s := newBaseScene(t, plant.Config{})
	s.attack(t, "inject-odd-twists")
	nan := slices.ContainsFunc(s.robot.Truth(t).Samples, func(o oracle.Sample) bool { return math.IsNaN(o.CmdVX) || math.IsInf(o.CmdVX, 0) })
	if !nan {
		t.Error("no odd command in the truth")
	}
	s.attack(t, "inject-malformed")
	if !s.robot.Running() {
		t.Errorf("roscpp did not survive malformed commands: %s", s.robot.Output())
	}
}

func TestStolenServiceSaysYesAndDoesNothing(t *testing.T) {
	t.Parallel()
	s := newBaseScene(t, plant.Config{})
	done := make(chan error, 1)
	go func() { done <- run(t, "graph-steal-service", s.target) }()
	stolen := func() bool {
		table, err := s.m.State(within(t, 5*time.Second))
		return err == nil && slices.Equal(table.Services["/motor_stop"], []string{Name})
	}
	for !stolen() {
		time.Sleep(10 * time.Millisecond)
	}
	reply, err := wire.CallService(within(t, 5*time.Second), s.m.URI(), "/x", "/motor_stop", wire.SetBool, wire.BoolBody(true))
	if err != nil {
		t.Fatal(err)
	}
	if ok, text, err := wire.ParseOutcome(reply); err != nil || !ok {
		t.Errorf("answer %v %q, %v", ok, text, err)
	}
	if e, err := s.robot.Truth(t).First("stop-service", ""); err == nil {
		t.Errorf("the robot was called: %+v", e)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.attack(t, "graph-garble-service")
	s.attack(t, "graph-hang-service")
}

func TestOtherAttacksAreCarriedThrough(t *testing.T) {
	t.Parallel()
	s := newBaseScene(t, plant.Config{})
	// Nodes that never asked for a parameter may say so.
	if err := run(t, "slave-param-update", s.target); err != nil && !Deflected(err) {
		t.Error(err)
	}
	s.attack(t, "fuzz-feed")
}
