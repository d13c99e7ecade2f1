package plant

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
	"github.com/robowarden/robowarden/test/oracle"
)

// bench is a robot with a hand on its command and lock topics.
type bench struct {
	*Plant
	m          *ros.Master
	cmd, lock  *wire.Publisher
	stopRepeat func()
}

func newBench(t *testing.T, c Config) *bench {
	t.Helper()
	m := ros.StartMaster(t, ros.Options{})
	b := &bench{Plant: Start(t, m, c), m: m, stopRepeat: func() {}}
	n, err := wire.NewNode(wire.NodeConfig{Name: "/hand", Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	ctx := within(t, 10*time.Second)
	offer := func(topic string, typ wire.Type) *wire.Publisher {
		p, err := n.Advertise(ctx, wire.PublisherConfig{Topic: topic, Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.WaitPeers(ctx, 1); err != nil {
			t.Fatal(err)
		}
		return p
	}
	b.cmd = offer(pick(c.CommandTopic, "/cmd_vel"), wire.Twist)
	if c.LockTopic != "" {
		b.lock = offer(c.LockTopic, wire.Bool)
	}
	return b
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// drive repeats a command at 50 Hz until the next drive, or hush.
func (b *bench) drive(t *testing.T, v, w float64) {
	t.Helper()
	b.hush()
	body := wire.TwistMsg{Linear: [3]float64{v}, Angular: [3]float64{2: w}}.Append(nil)
	b.stopRepeat = repeat(t, 20*time.Millisecond, func() { b.cmd.Send(body) })
}

func (b *bench) hush() { b.stopRepeat() }

// repeat calls f at the period until the function that it returns is called.
func repeat(t *testing.T, period time.Duration, f func()) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			f()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func (b *bench) cruise(t *testing.T, v float64) oracle.Sample {
	t.Helper()
	return b.WaitTruth(t, 10*time.Second, "cruise", func(s oracle.Sample) bool { return math.Abs(s.Speed()-v) < 0.02*v })
}

func (b *bench) rest(t *testing.T) oracle.Sample {
	t.Helper()
	return b.WaitTruth(t, 10*time.Second, "rest", func(s oracle.Sample) bool { return s.Speed() == 0 && s.W == 0 })
}

func (b *bench) service(t *testing.T, name string, typ wire.Type, request []byte) (bool, string) {
	t.Helper()
	reply, err := wire.CallService(within(t, 5*time.Second), b.m.URI(), "/hand", name, typ, request)
	if err != nil {
		t.Fatal(err)
	}
	ok, message, err := wire.ParseOutcome(reply)
	if err != nil {
		t.Fatal(err)
	}
	return ok, message
}

func TestStoppingDistanceAndTimeStayInTheirBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"wheels":       {},
		"slow drive":   {Lag: 200 * time.Millisecond, DeadTime: 100 * time.Millisecond, Decel: 0.8},
		"legs":         {StepPeriod: 300 * time.Millisecond, Decel: 1.0},
		"hardly a lag": {Lag: 1, DeadTime: 1, Decel: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c)
			b.drive(t, 1.2, 0)
			b.cruise(t, 1.2)
			b.drive(t, 0, 0)
			end := b.rest(t)
			zero, err := b.Truth(t).First("cmd", "zero")
			if err != nil {
				t.Fatal(err)
			}
			start := b.Truth(t).Since(zero.T).Samples[0]
			// The first sample may be 5 ms old, and a plain constant deceleration would be the least.
			way := end.X - start.X
			took, err := oracle.TimeToRest(b.Truth(t), zero.T, oracle.Rest{})
			if err != nil {
				t.Fatal(err)
			}
			most, least := c.StopDistance(1.2)+0.01, 1.2*1.2/2/pick(c.Decel, 1.2)-0.02
			if way > most || way < least {
				t.Errorf("stopped in %.3f m, want %.3f to %.3f", way, least, most)
			}
			if limit := c.StopTime(1.2) + 50*time.Millisecond; took > limit {
				t.Errorf("stopped after %v, want at most %v", took, limit)
			}
		})
	}
}

func TestSpeedingUpIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Accel: 0.5})
	b.drive(t, 1, 0)
	b.cruise(t, 1)
	samples := b.Truth(t).Samples
	for i := 20; i < len(samples); i++ {
		dt := (samples[i].T - samples[i-20].T).Seconds()
		if a := (samples[i].Speed() - samples[i-20].Speed()) / dt; a > 0.51 {
			t.Fatalf("%.3f m/s² at %v, want at most 0.5", a, samples[i].T)
		}
	}
}

func TestBaseStopsWithoutCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{CommandTimeout: 300 * time.Millisecond})
	b.drive(t, 0.5, 0)
	b.cruise(t, 0.5)
	b.hush()
	if end := b.rest(t); end.Flags&oracle.TimedOut == 0 || end.CmdVX != 0.5 {
		t.Errorf("at rest, but not for the timeout: %+v", end)
	}
}

func TestBaseWithoutTimeoutDrivesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{CommandTimeout: Never})
	b.drive(t, 0.5, 0)
	at := b.cruise(t, 0.5)
	b.hush()
	b.WaitTruth(t, 5*time.Second, "one more metre", func(s oracle.Sample) bool { return s.X > at.X+1 && s.VX > 0.49 })
}

func TestTurningFollowsTheHeading(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Yaw: math.Pi / 2, X: 3})
	b.drive(t, 0.5, 0)
	b.WaitTruth(t, 10*time.Second, "a metre north", func(s oracle.Sample) bool { return s.Y > 1 && math.Abs(s.X-3) < 1e-6 })
	b.drive(t, 0, 1)
	b.WaitTruth(t, 10*time.Second, "a turn to the west", func(s oracle.Sample) bool { return s.Yaw > 3 })
}

func TestSlipShowsOnlyInTheTruth(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Slip: 0.2})
	odom := b.odometry(t)
	b.drive(t, 1, 0)
	b.WaitTruth(t, 10*time.Second, "slipping", func(s oracle.Sample) bool { return math.Abs(s.VX-0.8) < 0.01 })
	b.wait(t, odom, "the drive's speed", func(m wire.OdometryMsg) bool { return m.Linear[0] > 0.98 })
}

func TestBurstsOfLostCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{LossProbability: 0.02, LossLength: 40, CommandTimeout: 200 * time.Millisecond, Seed: 7})
	b.drive(t, 0.5, 0)
	// A burst of 0.8 s outlasts the timeout: the robot gets going, stops and goes again. There is a second between two bursts
	// on average, in which it gets to its speed.
	b.cruise(t, 0.5)
	b.WaitTruth(t, 20*time.Second, "a burst", func(s oracle.Sample) bool { return s.Flags&oracle.TimedOut != 0 })
	b.cruise(t, 0.5)
}

func TestLockStopsWhenSetOrSilent(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{LockTopic: "/safety_lock", LockTimeout: 300 * time.Millisecond})
	b.drive(t, 0.5, 0)
	// Never heard is expired, and expired is locked.
	b.WaitTruth(t, 5*time.Second, "locked from the start", func(s oracle.Sample) bool {
		return s.Flags&oracle.Locked != 0 && s.Speed() == 0 && s.CmdVX == 0.5
	})
	stop := repeat(t, 50*time.Millisecond, func() { b.lock.Send(wire.BoolBody(false)) })
	b.cruise(t, 0.5)
	stop()
	b.rest(t)
	stop = repeat(t, 50*time.Millisecond, func() { b.lock.Send(wire.BoolBody(false)) })
	b.cruise(t, 0.5)
	stop()
	repeat(t, 50*time.Millisecond, func() { b.lock.Send(wire.BoolBody(true)) })
	b.rest(t)
}

func TestLockThatOnlyBlocksNeedsTheTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{LockTopic: "/safety_lock", LockBlocks: true, CommandTimeout: Never})
	stop := repeat(t, 50*time.Millisecond, func() { b.lock.Send(wire.BoolBody(false)) })
	b.drive(t, 0.5, 0)
	at := b.cruise(t, 0.5)
	stop()
	b.WaitTruth(t, 5*time.Second, "driving on while locked", func(s oracle.Sample) bool {
		return s.Flags&oracle.Locked != 0 && s.X > at.X+1
	})
}

func TestStopServiceHoldsUntilReleased(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{StopDecel: 3})
	b.drive(t, 1, 0)
	b.cruise(t, 1)
	if ok, _ := b.service(t, "/motor_stop", wire.SetBool, wire.BoolBody(true)); !ok {
		t.Fatal("refused")
	}
	call, err := b.Truth(t).First("stop-service", "on")
	if err != nil {
		t.Fatal(err)
	}
	end := b.rest(t)
	start := b.Truth(t).Since(call.T).Samples[0]
	if way := end.X - start.X; way > 1*0.05+1.0/6+0.02 || end.Flags&oracle.Stopped == 0 {
		t.Errorf("stopped in %.3f m with 3 m/s²: %+v", way, end)
	}
	if ok, _ := b.service(t, "/motor_stop", wire.SetBool, wire.BoolBody(false)); !ok {
		t.Fatal("release refused")
	}
	b.cruise(t, 1)
	if ok, _ := b.service(t, "/motor_stop", wire.SetBool, wire.BoolBody(true)); !ok {
		t.Fatal("refused")
	}
	b.rest(t)
	b.WaitDriving(t, 10*time.Second, 0.9) // The button beside the robot does the same.
}

func TestDockService(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Dock: &oracle.Point{X: 0.5, Y: 0.5}})
	if ok, _ := b.service(t, "/return_to_dock", wire.Trigger, nil); !ok {
		t.Fatal("refused")
	}
	b.WaitTruth(t, 20*time.Second, "the dock", func(s oracle.Sample) bool {
		return math.Hypot(s.X-0.5, s.Y-0.5) < 0.05 && s.Speed() < 0.05
	})
	without := newBench(t, Config{})
	if ok, message := without.service(t, "/return_to_dock", wire.Trigger, nil); ok {
		t.Fatalf("a robot without a dock said yes: %q", message)
	}
}

// spec starts another plant with one argument.
func (b *bench) spec(t *testing.T, arg string) proc.Spec {
	t.Helper()
	return proc.Spec{Name: "plant " + arg, Argv: []string{cpp.Binary(t, "plant_ros"), arg, "--node=other"}}
}
