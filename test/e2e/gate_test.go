package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// armCommander is a rospy node that commands an arm and sends goals, good ones and bad ones in turn, ten times a second.
const armCommander = `
import rospy
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from move_base_msgs.msg import MoveBaseActionGoal
rospy.init_node('move_group')
arm = rospy.Publisher('/arm/command_raw', JointTrajectory, queue_size=10)
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
    go(1, 0, 'map')                                      # good
    go(22, 22, 'map')                                    # in the closed room
    go(1, 0, 'odom')
    cycle += 1
    if cycle % 50 == 20:                                 # seldom: two in a row are a fault of the channel, and hold the base
        trajectory('joint_28', [(2, float('nan'))])
    rate.sleep()
`

// armController is a rospy node that says what reaches it.
const armController = `
import rospy, sys
from trajectory_msgs.msg import JointTrajectory
from move_base_msgs.msg import MoveBaseActionGoal
def print(*words, flush=True): # each topic has its own thread: a line goes out whole
    sys.stdout.write(' '.join(map(str, words)) + '\n'); sys.stdout.flush()
rospy.init_node('arm')
rospy.Subscriber('/arm/command', JointTrajectory, lambda m: print('arm', m.joint_names, [(p.positions[0], p.time_from_start.to_sec()) for p in m.points], flush=True))
rospy.Subscriber('/goal', MoveBaseActionGoal, lambda m: print('goal', m.goal.target_pose.header.frame_id, m.goal.target_pose.pose.position.x, m.goal.target_pose.pose.position.y, flush=True))
print('up', flush=True)
rospy.spin()
`

const gatesYAML = `  - {name: arm, kind: autonomy, mode: inline, reads: joints, topic: /arm/command_raw, type: trajectory_msgs/JointTrajectory, publishers: [/move_group], out: /arm/command, consumer: /arm}
  - {name: goals, kind: autonomy, mode: inline, reads: goal, topic: /goal_raw, type: move_base_msgs/MoveBaseActionGoal, publishers: [/move_group], out: /goal, consumer: /arm}
  - {name: shadow, kind: autonomy, mode: monitor, reads: raw, axis: manipulators, topic: /shadow, type: vendor_msgs/Arm, md5: 0123456789abcdef0123456789abcdef, publishers: [/move_group]}
`

// TestGatesOfARealArm: of what a rospy commander sends, exactly the trajectory within the limits and the goal outside the
// closed room reach a rospy controller, as they were sent; a stop ends what is under way with an empty trajectory and lets
// nothing more through; and a replay decides the same.
func TestGatesOfARealArm(t *testing.T) {
	t.Parallel()
	if err := exec.Command("/usr/bin/python3", "-c", "import trajectory_msgs.msg, move_base_msgs.msg").Run(); err != nil {
		t.Fatalf("no trajectory_msgs or move_base_msgs for python3 here: run test/setup/install.sh: %v", err)
	}
	b := ros.StartMaster(t, ros.Options{})
	s := newSite(t, b, siteConfig{gates: gatesYAML, zones: blockedZone("closed-room", oracle.Rectangle(20, 20, 25, 25))})
	plant.Start(t, b, plant.Config{})
	arm := b.Node(t, proc.Spec{Name: "arm", Argv: []string{"/usr/bin/python3", "-c", armController}})
	g := s.start(t)
	g.ready(t)
	b.Node(t, proc.Spec{Name: "move_group", Argv: []string{"/usr/bin/python3", "-c", armCommander}})
	const good, place, empty = "arm ['joint_28'] [(0.25, 2.0), (0.5, 3.0)]", "goal map 1.0 0.0", "arm [] []"
	until(t, 30*time.Second, "ten good trajectories and goals at the controller", func() bool {
		out := arm.Output()
		return strings.Count(out, good) >= 10 && strings.Count(out, place) >= 10
	})
	st := g.await(t, "every refusal counted", 20*time.Second, func(st agent.Status) bool {
		return len(st.Gates) == 3 && len(st.Gates[0].Dropped) >= 5 && len(st.Gates[1].Dropped) >= 2
	})
	for _, want := range []string{"position beyond its limit", "too fast between points", "joint not commanded here", "unknown joint", "not finite"} {
		if st.Gates[0].Dropped[want] == 0 {
			t.Errorf("nothing was dropped for %q: %+v", want, st.Gates[0])
		}
	}
	if d := st.Gates[1].Dropped; d["goal in a forbidden zone"] == 0 || d["wrong frame"] == 0 {
		t.Errorf("goals: %+v", st.Gates[1])
	}
	if r := g.order(t, s.stopOrder(t)); !r.Accepted {
		t.Fatalf("stop: %+v", r)
	}
	until(t, 10*time.Second, "the command to stop at the controller", func() bool {
		i := strings.LastIndex(arm.Output(), good)
		return i >= 0 && strings.Contains(arm.Output()[i:], empty)
	})
	dropped := func() uint64 {
		st, _ := g.status()
		return st.Gates[0].Dropped["manipulators disabled"] + st.Gates[0].Dropped["manipulators held"]
	}
	until(t, 10*time.Second, "trajectories that are held", func() bool { return dropped() > 5 })
	for line := range strings.SplitSeq(strings.TrimSpace(arm.Output()), "\n") {
		if line != "up" && line != good && line != place && line != empty {
			t.Errorf("this came through: %s", line)
		}
	}
	r := g.replayed(t)
	t.Logf("%d events replayed", r.Events)
	out, err := exec.Command(binary(t), "journal", "cat", s.path("journal")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "gate goals (inline): dropped, goal in a forbidden zone") {
		t.Errorf("the journal does not tell of the goal that was refused: %v\n%s", err, tail(string(out), 3000))
	}
}
