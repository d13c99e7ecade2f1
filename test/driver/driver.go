// Package driver starts those who drive a robot in a test: a planner that publishes velocity commands and an operator who
// keeps the channel alive, rospy on ROS 1 and C++ on DDS; neither knows where the robot may not go.
package driver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Drive is the same command over and over.
type Drive struct {
	// VX, VY (m/s) and W (rad/s) are the command, in the robot's frame.
	VX, VY, W float64
	// Rate is in hertz; default 50.
	Rate float64
	// Duration ends the drive with a few zero commands; default: never.
	Duration time.Duration
	// Abrupt leaves the zero commands out.
	Abrupt bool
	// Topic is where commands go; default /cmd_vel_raw.
	Topic string
	// Node is the name on the graph; default /planner.
	Node string
}

// StartDrive starts a planner that drives.
func StartDrive(t testing.TB, b bus.Bus, d Drive) *proc.Process {
	t.Helper()
	args := []string{"--mode=drive", number("vx", d.VX), number("vy", d.VY), number("w", d.W)}
	if d.Rate > 0 {
		args = append(args, number("rate", d.Rate))
	}
	if d.Duration > 0 {
		args = append(args, number("duration", d.Duration.Seconds()))
	}
	if d.Abrupt {
		args = append(args, "--final-zero=false")
	}
	return startPlanner(t, b, d.Topic, d.Node, args)
}

// StartTour starts a planner that visits the tour's places in turn. It ends by itself.
func StartTour(t testing.TB, b bus.Bus, tour Tour) *proc.Process {
	t.Helper()
	args := []string{"--mode=tour", "--places=" + tour.places(), number("speed", tour.Speed)}
	if tour.Timeout > 0 {
		args = append(args, number("timeout", tour.Timeout.Seconds()))
	}
	return startPlanner(t, b, tour.Topic, tour.Node, args)
}

// TourTime waits for the end of a tour and returns how long it took by the planner's own clock.
func TourTime(ctx context.Context, planner *proc.Process) (time.Duration, error) {
	if _, err := planner.Wait(ctx); err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`tour done ([0-9.]+)`).FindStringSubmatch(planner.Output())
	if m == nil {
		return 0, fmt.Errorf("driver: the tour did not end well: %s", planner.Output())
	}
	s, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("driver: the tour's time: %w", err)
	}
	return time.Duration(s * float64(time.Second)), nil
}

func startPlanner(t testing.TB, b bus.Bus, topic, node string, args []string) *proc.Process {
	t.Helper()
	if topic != "" {
		args = append(args, "--cmd-topic="+topic)
	}
	if node == "" {
		node = "/planner"
	}
	return b.Node(t, bus.Peer(t, b, "planner", node, args...))
}

func number(key string, v float64) string {
	return "--" + key + "=" + strconv.FormatFloat(v, 'g', -1, 64)
}

// Heartbeat holds the words of one challenge.
type Heartbeat struct {
	// Robot and Endpoint are names, BootID and Challenge 32 hexadecimal digits each; Level is ok or stop.
	Robot, BootID, Endpoint, Challenge, Level string
}

// Line is the challenge as it goes over the wire.
func (h Heartbeat) Line() string {
	return strings.Join([]string{"rw1", "challenge", h.Robot, h.BootID, h.Endpoint, h.Challenge, h.Level}, " ")
}

// Answer is the right answer at the heartbeat's level.
func (h Heartbeat) Answer(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("robowarden/heartbeat/v1"))
	for _, s := range []string{h.Robot, h.BootID, h.Endpoint, h.Challenge, h.Level} {
		mac.Write([]byte{0})
		mac.Write([]byte(s))
	}
	return strings.Join([]string{"rw1", "answer", h.Endpoint, h.Challenge, h.Level, hex.EncodeToString(mac.Sum(nil))}, " ")
}

// OperatorConfig describes an operator.
type OperatorConfig struct {
	// Robot and Endpoint select the challenges that it answers.
	Robot, Endpoint string
	// Key is the shared key.
	Key []byte
	// Challenges and Answers are topics; default /robowarden/challenge and /robowarden/answer.
	Challenges, Answers string
	// Node is the name on the graph; default /operator.
	Node string
}

// Operator is a running operator.
type Operator struct {
	*proc.Process
	// faults is made when it is asked for first: many are started and killed by whom nobody makes misbehave.
	faults func() bus.Speaker
}

// StartOperator starts an operator and waits until it listens.
func StartOperator(t testing.TB, b bus.Bus, c OperatorConfig) *Operator {
	t.Helper()
	if c.Node == "" {
		c.Node = "/operator"
	}
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(hex.EncodeToString(c.Key)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--robot=" + c.Robot, "--endpoint=" + c.Endpoint, "--key-file=" + keyFile}
	if c.Challenges != "" {
		args = append(args, "--challenges="+c.Challenges)
	}
	if c.Answers != "" {
		args = append(args, "--answers="+c.Answers)
	}
	o := &Operator{Process: b.Node(t, operator(t, b, c.Node, args))}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := o.WaitOutput(ctx, `operator ready`); err != nil {
		t.Fatal(err)
	}
	o.faults = sync.OnceValue(func() bus.Speaker { return b.Speaker(t, c.Node+"_faults", c.Node+"/fault") })
	return o
}

func operator(t testing.TB, b bus.Bus, node string, args []string) proc.Spec {
	t.Helper()
	if b.Kind() != bus.ROS {
		return bus.Peer(t, b, "desk", node, args...)
	}
	need.ROS(t)
	argv := append([]string{"/usr/bin/python3", filepath.Join(cpp.Root(), "driver", "operator_node.py")}, args...)
	return proc.Spec{Name: node, Argv: append(argv, "__name:="+strings.TrimPrefix(node, "/"))}
}

// Fault makes the operator misbehave from now on: silent, wrong_key, wrong_boot, delayed SECONDS, duplicated, frozen,
// garbage, level ok|stop; clear ends it. It waits until the operator has understood.
func (o *Operator) Fault(t testing.TB, line string) {
	t.Helper()
	say(t, o.Process, o.faults(), "operator fault: ", line)
}

// say says a fault and waits until the process tells of one more than before, which is ours.
func say(t testing.TB, p *proc.Process, faults bus.Speaker, mark, line string) {
	t.Helper()
	before := strings.Count(p.Output(), mark)
	faults.Say(t, line)
	for limit := time.Now().Add(10 * time.Second); strings.Count(p.Output(), mark) <= before; {
		if time.Now().After(limit) || !p.Running() {
			t.Fatalf("driver: %s did not take the fault %q; it wrote:\n%s", p.Name(), line, p.Output())
		}
		time.Sleep(2 * time.Millisecond) // The pause of a poll.
	}
}
