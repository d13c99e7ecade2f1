package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/hal/ros1/rostest"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/plant"
)

// TestProfileFromARunningRobot: `profile init` sees what a real robot shows of itself on its bus, `check` refuses what it
// wrote for its open keys alone, and neither puts anything on the bus that the robot could follow.
func TestProfileFromARunningRobot(t *testing.T) {
	onBuses(t, []bus.Kind{bus.Cyclone}, profileFromARunningRobot)
}

const twoWheels = `<robot name="Test Runner"><link name="base_link"><collision><geometry><box size="0.6 0.4 0.5"/></geometry></collision></link></robot>`

func profileFromARunningRobot(t *testing.T, b bus.Bus) {
	plant.Start(t, b, plant.Config{LockTopic: "/base_lock", PoseTopic: "/amcl_pose"})
	dir := t.TempDir()
	urdf := filepath.Join(dir, "robot.urdf")
	argv := []string{binary(t), "profile", "init", "--from-graph", "--out", filepath.Join(dir, "draft")}
	if m, ok := b.(*ros.Master); ok {
		argv = append(argv, "--master", m.URI())
		if _, err := rostest.Call(m.URI(), "setParam", "/test", "/robot_description", twoWheels); err != nil {
			t.Fatal(err)
		}
	} else if d, ok := b.(*domain.Domain); ok {
		if err := os.WriteFile(urdf, []byte(twoWheels), 0o600); err != nil {
			t.Fatal(err)
		}
		argv = append(argv, "--bus", "ros2", "--domain", strconv.Itoa(d.Number), "--host", d.Address(), "--listen", "3s", "--urdf", urdf)
	}
	out := ended(t, b, argv, 0)
	if !strings.Contains(out, "keys to do") {
		t.Errorf("it says:\n%s", out)
	}
	profile, topics := read(t, filepath.Join(dir, "draft", "profile.yaml")), read(t, filepath.Join(dir, "draft", "topics.yaml"))
	for _, want := range []string{"id: test-runner\n", "footprint: [[-0.3, -0.2], [0.3, -0.2], [0.3, 0.2], [-0.3, 0.2]]", "height_m: 0.5 ", "joints:\n", "kind: service"} {
		if !strings.Contains(profile, want) {
			t.Errorf("the profile does not have %q:\n%s", want, profile)
		}
	}
	for _, want := range []string{
		"topic: /amcl_pose\n", "topic: /odom\n", "publishers: [/plant]", "topic: /joint_states\n", "topic: /imu/data\n", "consumer: /plant\n",
		"topic: /cmd_vel\n", "stop: {name: /motor_stop",
	} {
		if !strings.Contains(topics, want) {
			t.Errorf("the mapping does not have %q:\n%s", want, topics)
		}
	}
	refused := ended(t, b, []string{argv[0], "check", filepath.Join(dir, "draft", "profile.yaml"), filepath.Join(dir, "draft", "topics.yaml")}, 1)
	if n := strings.Count(refused, ": error ["); n < 10 || n != strings.Count(refused, ": error [empty-value]") {
		t.Errorf("check says:\n%s", refused)
	}
	if again := ended(t, b, argv, 1); !strings.Contains(again, "never written over") {
		t.Errorf("a second draft in the same place: %s", again)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// ended runs a program where the robot is, and returns what it said.
func ended(t *testing.T, b bus.Bus, argv []string, code int) string {
	t.Helper()
	p := b.Node(t, proc.Spec{Name: argv[1], Argv: argv})
	exit, err := p.Wait(t.Context())
	if err != nil || exit.Code != code {
		t.Fatalf("%q ends with %d (%v), expected %d:\n%s", argv, exit.Code, err, code, p.Output())
	}
	return p.Output()
}
