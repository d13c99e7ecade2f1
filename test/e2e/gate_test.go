package e2e

import (
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// armCommander is a rospy node that commands an arm and a hand and sends goals, good ones and bad ones in turn, ten times a
// second. On DDS it is the peer mover.
const armCommander = `
import rospy
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from move_base_msgs.msg import MoveBaseActionGoal
from std_msgs.msg import Float64MultiArray
rospy.init_node('move_group')
arm = rospy.Publisher('/arm/command_raw', JointTrajectory, queue_size=10)
hand = rospy.Publisher('/hand/command_raw', Float64MultiArray, queue_size=10)
goal = rospy.Publisher('/goal_raw', MoveBaseActionGoal, queue_size=10)
def trajectory(name, points):
    m = JointTrajectory(joint_names=[name])
    for at, x in points:
        m.points.append(JointTrajectoryPoint(positions=[x], time_from_start=rospy.Duration(at)))
    arm.publish(m)
def go(x, y, frame):
    m = MoveBaseActionGoal()
    m.goal.target_pose.header.frame_id = frame
    m.goal.target_pose.pose.position.x, m.goal.target_pose.pose.position.y = x, y
    m.goal.target_pose.pose.orientation.w = 1
    goal.publish(m)
cycle = 0
print('up', flush=True)
rate = rospy.Rate(10)
while not rospy.is_shutdown():
    trajectory('joint_28', [(2, 0.25), (3, 0.5)])        # good
    trajectory('joint_28', [(2, 0.25), (3, 3.5)])        # past the end stop
    trajectory('joint_28', [(2, -1), (2.01, 1)])         # too fast
    trajectory('joint_00', [(2, 0.25)])                  # a leg
    trajectory('nobody', [(2, 0.25)])
    hand.publish(Float64MultiArray(data=[0.125]))        # good
    hand.publish(Float64MultiArray(data=[31]))           # too fast
    hand.publish(Float64MultiArray(data=[0.125, 0.125])) # there is one joint
    go(1, 0, 'map')                                      # good
    go(22, 22, 'map')                                    # in the closed room
    go(1, 0, 'odom')
    cycle += 1
    if cycle % 50 == 20:                                 # seldom: two in a row are a fault of the channel, and hold the base
        trajectory('joint_28', [(2, float('nan'))])
    rate.sleep()
`

// armController is a rospy node that says what reaches it. On DDS it is the peer arm.
const armController = `
import rospy, sys
from trajectory_msgs.msg import JointTrajectory
from move_base_msgs.msg import MoveBaseActionGoal
from std_msgs.msg import Float64MultiArray
def print(*words, flush=True): # each topic has its own thread: a line goes out whole
    sys.stdout.write(' '.join(map(str, words)) + '\n'); sys.stdout.flush()
rospy.init_node('arm')
rospy.Subscriber('/arm/command', JointTrajectory, lambda m: print('arm', *m.joint_names, *['%g@%g' % (p.positions[0], p.time_from_start.to_sec()) for p in m.points]))
rospy.Subscriber('/hand/command', Float64MultiArray, lambda m: print('hand', *['%g' % x for x in m.data]))
rospy.Subscriber('/goal', MoveBaseActionGoal, lambda m: print('goal', m.goal.target_pose.header.frame_id, '%g %g' % (m.goal.target_pose.pose.position.x, m.goal.target_pose.pose.position.y)))
print('up')
rospy.spin()
`

// gatesYAML is the mapping's gates. At a hold the arm is sent what its bus's controllers take for a stop.
func gatesYAML(b bus.Bus) string {
	goal, hold, md5 := "geometry_msgs/PoseStamped", "measured", ""
	if b.Kind() == bus.ROS {
		goal, hold, md5 = "move_base_msgs/MoveBaseActionGoal", "empty", ", md5: 0123456789abcdef0123456789abcdef"
	}
	return fmt.Sprintf(`  - {name: arm, kind: autonomy, mode: inline, reads: joints, topic: /arm/command_raw, type: trajectory_msgs/JointTrajectory, joints: [joint_28], publishers: [/move_group], out: /arm/command, consumer: /arm, at_hold: %s}
  - {name: goals, kind: autonomy, mode: inline, reads: goal, topic: /goal_raw, type: %s, publishers: [/move_group], out: /goal, consumer: /arm}
  - {name: hand, kind: autonomy, mode: inline, reads: joints, topic: /hand/command_raw, type: std_msgs/Float64MultiArray, joints: [joint_27], quantity: velocities, publishers: [/move_group], out: /hand/command, consumer: /arm}
  - {name: shadow, kind: autonomy, mode: monitor, reads: raw, axis: manipulators, topic: /shadow, type: vendor_msgs/Arm%s, publishers: [/move_group]}
`, hold, goal, md5)
}

// The peers of an arm on the bus.
func armPeers(t testing.TB, b bus.Bus) (controller, commander proc.Spec) {
	t.Helper()
	if b.Kind() != bus.ROS {
		return bus.Peer(t, b, "arm", "/arm"), bus.Peer(t, b, "mover", "/move_group")
	}
	if err := exec.Command("/usr/bin/python3", "-c", "import trajectory_msgs.msg, move_base_msgs.msg").Run(); err != nil {
		t.Fatalf("no trajectory_msgs or move_base_msgs for python3 here: run test/setup/install.sh: %v", err)
	}
	return proc.Spec{Name: "arm", Argv: []string{"/usr/bin/python3", "-c", armController}},
		proc.Spec{Name: "move_group", Argv: []string{"/usr/bin/python3", "-c", armCommander}}
}

// TestGatesOfARealArm: of what a commander sends, exactly the trajectory and the velocity within the limits and the goal
// outside the closed room reach a controller, as they were sent; a stop ends what is under way, with an empty trajectory or
// one point at the measured position and with zeros, and lets nothing more through; and a replay decides the same.
func TestGatesOfARealArm(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone, bus.Fast}, gatesOfARealArm)
}

func gatesOfARealArm(t *testing.T, b bus.Bus) {
	controller, commander := armPeers(t, b)
	s := newSite(t, b, siteConfig{gates: gatesYAML(b), zones: blockedZone("closed-room", oracle.Rectangle(20, 20, 25, 25))})
	plant.Start(t, b, plant.Config{})
	arm := b.Node(t, controller)
	g := s.start(t)
	g.ready(t)
	b.Node(t, commander)
	const good, turn, place, rest = "arm joint_28 0.25@2 0.5@3", "hand 0.125", "goal map 1 0", "hand 0"
	until(t, 30*time.Second, "ten good trajectories, velocities and goals at the controller", func() bool {
		return min(heardOf(arm, good), heardOf(arm, turn), heardOf(arm, place)) >= 10
	})
	dropped := map[string][]string{
		"arm":   {"position beyond its limit", "too fast between points", "joint not commanded here", "unknown joint", "not finite"},
		"goals": {"goal in a forbidden zone", "wrong frame"},
		"hand":  {"velocity beyond its limit", "lengths do not fit"},
	}
	g.await(t, fmt.Sprintf("refusals counted as %v", dropped), 20*time.Second, func(st agent.Status) bool {
		missing := len(st.Gates) != 4
		for _, gate := range st.Gates {
			for _, reason := range dropped[gate.Name] {
				missing = missing || gate.Dropped[reason] == 0
			}
		}
		return !missing
	})
	if r := g.order(t, s.stopOrder(t)); !r.Accepted {
		t.Fatalf("stop: %+v", r)
	}
	ends := armEnds(b)
	until(t, 10*time.Second, "the commands to stop at the controllers, and nothing but them since", func() bool {
		lines := heard(arm)
		return since(lines, good, ends) && since(lines, turn, func(line string) bool { return line == rest })
	})
	held := func(gate string) uint64 {
		st, _ := g.status()
		for _, x := range st.Gates {
			if x.Name == gate {
				return x.Dropped["manipulators disabled"] + x.Dropped["manipulators held"]
			}
		}
		return 0
	}
	until(t, 10*time.Second, "trajectories and velocities that are held", func() bool { return min(held("arm"), held("hand")) > 5 })
	lines := heard(arm)
	for _, line := range lines {
		if !slices.Contains([]string{"up", good, turn, place, rest}, line) && !ends(line) {
			t.Errorf("this came through: %s", line)
		}
	}
	if !since(lines, good, ends) {
		t.Error("a trajectory came through after the stop")
	}
	r := g.replayed(t)
	t.Logf("%d events replayed", r.Events)
	out, err := exec.Command(binary(t), "journal", "cat", s.path("journal")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "gate goals (inline): dropped, goal in a forbidden zone") {
		t.Errorf("the journal does not tell of the goal that was refused: %v\n%s", err, tail(string(out), 3000))
	}
}

// heard are the whole lines that a controller has said.
func heard(p *proc.Process) []string {
	out := p.Output()
	return strings.Split(out[:max(strings.LastIndex(out, "\n"), 0)], "\n")
}

func heardOf(p *proc.Process, line string) (n int) {
	for _, l := range heard(p) {
		if l == line {
			n++
		}
	}
	return n
}

// since tells whether a line that is meant came after the last one that is the same as a given one.
func since(lines []string, last string, meant func(string) bool) bool {
	for _, line := range slices.Backward(lines) {
		if line == last {
			return false
		}
		if meant(line) {
			return true
		}
	}
	return false
}

// armEnds tells a line that only stops the arm: without points, or with one, 50 ms on, where the plant has the joint while
// the robot stands.
func armEnds(b bus.Bus) func(line string) bool {
	if b.Kind() == bus.ROS {
		return func(line string) bool { return line == "arm" }
	}
	at := 0.4 * math.Sin(0.7*28)
	return func(line string) bool {
		var x, in float64
		n, err := fmt.Sscanf(line, "arm joint_28 %g@%g", &x, &in)
		return err == nil && n == 2 && !strings.Contains(line[len("arm joint_28 "):], " ") && math.Abs(x-at) < 0.01 && in == 0.05
	}
}
