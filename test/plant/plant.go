// Package plant starts a robot for a test: a node on ROS 1 or on DDS with dynamics, sensors and faults of its own, which
// writes down what it really did; it never knows of the product.
//
// The robot's model is in src/dynamics.hpp. Its ground truth is read with package oracle.
package plant

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
)

// NodeName is the plant's name on the graph.
const NodeName = "/plant"

// FaultTopic takes faults as std_msgs/String.
const FaultTopic = "/plant/fault"

// Never is a command timeout that never comes.
const Never = time.Duration(math.MaxInt64)

// Config describes a robot. The zero value of a field means the default that is named with it.
type Config struct {
	// Seed starts all chance of the run; default 1.
	Seed uint64
	// X, Y (m) and Yaw (rad) are where it starts; default 0.
	X, Y, Yaw float64
	// Accel and Decel bound speeding up and slowing down in m/s²; default 1.0 and 1.2. StopDecel is for the stop
	// service; default 1.5.
	Accel, Decel, StopDecel float64
	// Lag is the first-order lag of the drive; default 50ms. DeadTime passes before a command has any effect; default
	// 20ms. Use 1ns for none.
	Lag, DeadTime time.Duration
	// StepPeriod makes new targets take effect only at the robot's steps; default: at once.
	StepPeriod time.Duration
	// CommandTimeout is after how long without commands the base stops by itself; default 500ms.
	CommandTimeout time.Duration
	// Slip is the share of the drive's motion that does not reach the floor; default 0.
	Slip float64
	// LossProbability is the chance that a command starts a burst of LossLength lost ones; default 0 and 1.
	LossProbability float64
	LossLength      int
	// OdomHz is the rate of poses; default 50. OdomJitter holds each back by up to this long; default 0.
	OdomHz     float64
	OdomJitter time.Duration
	// PoseSigma is the pose noise in metres; default 0.002.
	PoseSigma float64
	// PoseTopic, if set, carries the pose as PoseWithCovarianceStamped too.
	PoseTopic string
	// CommandTopic is where the base listens; default /cmd_vel.
	CommandTopic string
	// LockTopic, if set, is a lock as twist_mux has it; LockTimeout defaults to 500ms. With LockBlocks commands are only
	// not let through while locked, as twist_mux itself does; otherwise the target becomes zero.
	LockTopic   string
	LockTimeout time.Duration
	LockBlocks  bool
	// Dock, if set, is where /return_to_dock drives, in metres.
	Dock *oracle.Point
	// NodeName is the name on the graph; default /plant.
	NodeName string
	// Extra arguments go to the program as they are, for what has no field here (src/options.cpp).
	Extra []string
}

// StopTime is how long the robot needs at most from a zero command at speed v (m/s) to standstill.
func (c Config) StopTime(v float64) time.Duration {
	// The lag's tail takes long to fade to the speed at which friction ends it, 0.1 mm/s.
	return c.delay() + 9*pick(c.Lag, 50*time.Millisecond) + seconds(v/pick(c.Decel, 1.2))
}

// StopDistance is how far the robot travels at most from a zero command at speed v (m/s), in metres.
func (c Config) StopDistance(v float64) float64 {
	delay := c.delay() + pick(c.Lag, 50*time.Millisecond)
	return v*delay.Seconds() + v*v/(2*pick(c.Decel, 1.2))
}

// Actuation is the delay that stands for dead time, gait and lag in the formula of the stopping distance.
func (c Config) Actuation() time.Duration { return c.delay() + pick(c.Lag, 50*time.Millisecond) }

func (c Config) delay() time.Duration { return pick(c.DeadTime, 20*time.Millisecond) + c.StepPeriod }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func pick[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// args are the program's arguments.
func (c Config) args(truth string) []string {
	a := []string{"--truth=" + truth}
	number := func(key string, v float64) {
		if v != 0 {
			a = append(a, "--"+key+"="+strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	span := func(key string, d time.Duration) { number(key, d.Seconds()) }
	text := func(key, v string) {
		if v != "" {
			a = append(a, "--"+key+"="+v)
		}
	}
	number("seed", float64(c.Seed))
	number("x", c.X)
	number("y", c.Y)
	number("yaw", c.Yaw)
	number("accel", c.Accel)
	number("decel", c.Decel)
	number("stop-decel", c.StopDecel)
	span("lag", c.Lag)
	span("dead-time", c.DeadTime)
	span("step-period", c.StepPeriod)
	if c.CommandTimeout == Never {
		text("command-timeout", "never")
	} else {
		span("command-timeout", c.CommandTimeout)
	}
	number("slip", c.Slip)
	number("loss-probability", c.LossProbability)
	number("loss-length", float64(c.LossLength))
	number("odom-hz", c.OdomHz)
	span("odom-jitter", c.OdomJitter)
	number("pose-sigma", c.PoseSigma)
	text("pose-topic", c.PoseTopic)
	text("cmd-topic", c.CommandTopic)
	text("lock-topic", c.LockTopic)
	span("lock-timeout", c.LockTimeout)
	if c.LockBlocks {
		text("lock-zeroes", "false")
	}
	if c.Dock != nil {
		a = append(a, fmt.Sprintf("--dock-x=%g", c.Dock.X), fmt.Sprintf("--dock-y=%g", c.Dock.Y))
	}
	return append(a, c.Extra...)
}

// Plant is a running robot.
type Plant struct {
	*proc.Process
	faults bus.Speaker
	mu     sync.Mutex
	tail   *oracle.Tail
}

// Start starts the robot and waits until its physics run and all its topics are on the bus.
func Start(t testing.TB, b bus.Bus, c Config) *Plant {
	t.Helper()
	p := &Plant{}
	truth := filepath.Join(t.TempDir(), "truth.csv")
	name := pick(c.NodeName, NodeName)
	spec := bus.Peer(t, b, "plant", name, c.args(truth)...)
	// A robot's base has a computer and time of its own: a busy test machine must not lengthen its reaction. Below the guard's 40.
	const baseFIFO = 30
	spec.FIFO = baseFIFO
	p.Process = b.Node(t, spec)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := p.WaitOutput(ctx, `plant ready`); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(truth)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	p.tail = oracle.NewTail(f)
	p.faults = b.Speaker(t, name+"_faults", FaultTopic)
	return p
}

// Fault switches a fault on ("freeze_pose", "teleport 3 0", …) or off ("clear freeze_pose", "clear"; all of them are
// in src/faults.hpp) and waits until the plant has it. The truth has an event "fault" with the same text.
func (p *Plant) Fault(t testing.TB, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	before := len(p.events(t))
	p.faults.Say(t, line)
	for {
		events := p.events(t)
		for _, e := range events[before:] {
			if e.Kind == "bad-fault" && e.Text == line {
				t.Fatalf("the plant does not know the fault %q", line)
			}
			if e.Kind == "fault" && e.Text == line {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the plant did not take the fault %q", line)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Tell is Fault without the waiting, for faults that are switched all the time.
func (p *Plant) Tell(t testing.TB, line string) {
	t.Helper()
	p.faults.Say(t, line)
}

func (p *Plant) events(t testing.TB) []oracle.Event {
	t.Helper()
	var faults []oracle.Event
	for _, e := range p.Truth(t).Events {
		if e.Kind == "fault" || e.Kind == "bad-fault" {
			faults = append(faults, e)
		}
	}
	return faults
}

// Truth reads what the robot has done so far.
func (p *Plant) Truth(t testing.TB) oracle.Truth {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	truth, err := p.tail.Read()
	if err != nil {
		t.Fatal(err)
	}
	return truth
}

// WaitDriving waits until the robot drives at least as fast as speed, in m/s. What a stop service has done stays until a
// person takes it back, so a hold while everything starts on a busy machine would keep the robot for good: here the person
// presses the button, and the log says so.
func (p *Plant) WaitDriving(t testing.TB, limit time.Duration, speed float64) oracle.Sample {
	t.Helper()
	var stopped time.Duration
	return p.WaitTruth(t, limit, "a driving robot", func(s oracle.Sample) bool {
		if s.Flags&oracle.Stopped != 0 && s.T-stopped > time.Second {
			stopped = s.T
			t.Logf("the stop service was called before the robot drove (%v): released", s.T)
			p.Tell(t, "release")
		}
		return s.Speed() > speed
	})
}

// WaitTruth waits until the condition holds for the latest sample and returns that sample.
func (p *Plant) WaitTruth(t testing.TB, limit time.Duration, what string, ok func(oracle.Sample) bool) oracle.Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		samples := p.Truth(t).Samples
		if n := len(samples); n > 0 && ok(samples[n-1]) {
			return samples[n-1]
		}
		select {
		case <-ctx.Done():
			var last oracle.Sample
			if n := len(samples); n > 0 {
				last = samples[n-1]
			}
			t.Fatalf("plant: waited %v for %s; last %+v", limit, what, last)
		case <-p.Done():
			t.Fatalf("plant: ended while waiting for %s; it wrote: %s", what, p.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
