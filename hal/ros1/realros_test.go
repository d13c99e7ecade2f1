package ros1

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// These tests talk to the real roscore, rospy, roscpp (topic_tools) and ROS's own tools.

// lastJoint is what the robot's last joint is at: Python computes it in float64, Go would in exact numbers.
var lastJoint = func(step, n float64) float64 { return step * n }(0.1, 28)

// ros is a roscore with whatever was started beside it.
type ros struct {
	t    *testing.T
	port int
	env  []string
	core *exec.Cmd
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func startROS(t *testing.T) *ros {
	t.Helper()
	for _, need := range []string{"roscore", "rostopic", "rosnode", "/usr/bin/python3", "/usr/lib/topic_tools/relay"} {
		if _, err := exec.LookPath(need); err != nil {
			skip(t, "ROS 1 is not installed: "+err.Error())
		}
	}
	if err := exec.Command("/usr/bin/python3", "-c", "import rospy, tf2_msgs.msg, sensor_msgs.msg, std_srvs.srv").Run(); err != nil {
		skip(t, "rospy and its messages are not installed: "+err.Error())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &ros{t: t, port: ln.Addr().(*net.TCPAddr).Port}
	ln.Close()
	dir := t.TempDir()
	r.env = append(os.Environ(), "ROS_MASTER_URI="+r.uri(), "ROS_IP=127.0.0.1", "ROS_LOG_DIR="+dir, "ROS_HOME="+dir, "PYTHONUNBUFFERED=1")
	r.startCore()
	return r
}

func (r *ros) uri() string { return fmt.Sprintf("http://127.0.0.1:%d/", r.port) }

// start runs a program until the test ends.
func (r *ros) start(name string, args ...string) (*exec.Cmd, *output) {
	r.t.Helper()
	cmd, out := exec.Command(name, args...), &output{}
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, out, out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.stop(cmd, syscall.SIGINT) })
	return cmd, out
}

// stop ends a program; one that does not heed the signal is killed.
func (r *ros) stop(cmd *exec.Cmd, sig syscall.Signal) {
	if cmd.ProcessState != nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-done
	}
}

// startCore starts roscore, which starts the master and looks after it.
func (r *ros) startCore() {
	r.t.Helper()
	r.core, _ = r.start("roscore", "-p", fmt.Sprint(r.port))
	within(r.t, 30*time.Second, "roscore answers", func() bool {
		_, err := rostest.Call(r.uri(), "getUri", "/test")
		return err == nil
	})
}

// killCore kills the master as kill -9 does; roscore then ends the rest.
func (r *ros) killCore() {
	r.t.Helper()
	v, err := rostest.Call(r.uri(), "getPid", "/test")
	if err != nil {
		r.t.Fatal(err)
	}
	pid, err := strconv.Atoi(v[2].Str())
	if err != nil || pid <= 1 {
		r.t.Fatalf("the master's pid is %q", v[2].Str())
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	r.stop(r.core, syscall.SIGINT)
}

// tool runs one of ROS's tools to its end.
func (r *ros) tool(name string, args ...string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Errorf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// robot starts the rospy robot.
func (r *ros) robot() *exec.Cmd {
	r.t.Helper()
	script, err := filepath.Abs("testdata/robot.py")
	if err != nil {
		r.t.Fatal(err)
	}
	cmd, out := r.start("/usr/bin/python3", script)
	within(r.t, 30*time.Second, "the robot starts", func() bool { return strings.Contains(out.String(), "READY") })
	return cmd
}

// seenAll counts messages by name.
type seenAll struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *seenAll) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[what]++
}

func (s *seenAll) get(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[what]
}

func TestRealROS(t *testing.T) {
	t.Parallel()
	r := startROS(t)
	robot := r.robot()
	var ev events
	cfg := testConfig(r.uri(), &ev)
	cfg.Limits = Limits{} // as in production
	n := startNode(t, cfg)
	seen := &seenAll{n: map[string]int{}}
	subscribeAll(t, n, seen)
	pub, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist, Consumers: []string{"/robot"}})
	if err != nil {
		t.Fatal(err)
	}
	var g graphs
	if _, err := n.WatchTopic("/cmd_vel", "/robot", g.add); err != nil {
		t.Fatal(err)
	}
	relay, _ := r.start("/usr/lib/topic_tools/relay", "/cmd_vel", "/relayed")

	types := []string{"odom", "pose", "amcl", "imu", "battery", "joints", "tf", "camera", "text", "command"}
	t.Run("every type arrives from rospy", func(t *testing.T) {
		for _, what := range types {
			within(t, 20*time.Second, what, func() bool { return seen.get(what) > 0 })
		}
		for _, e := range ev.all() {
			if e.Kind == bus.PublisherConnected && (e.Peer.Strength != msg.SourceBound || e.Peer.Name != "/robot") {
				t.Errorf("%+v", e.Peer)
			}
		}
	})
	t.Run("commands reach rospy and roscpp", func(t *testing.T) {
		seq := uint64(0)
		within(t, 20*time.Second, "echo of rospy and relay of roscpp", func() bool {
			seq++
			if _, err := pub.PublishTwist(seq, twistOf(0.25)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
			return seen.get("echo") > 5 && seen.get("relayed") > 5
		})
	})
	t.Run("services", func(t *testing.T) {
		ctx := context.Background()
		if res, err := n.CallSetBool(ctx, "/arm_enable", true); err != nil || res != (bus.ServiceResult{Success: true, Message: `"arm"`}) {
			t.Errorf("%+v, %v", res, err)
		}
		if res, err := n.CallTrigger(ctx, "/stop"); err != nil || !res.Success {
			t.Errorf("%+v, %v", res, err)
		}
		if err := n.CallEmpty(ctx, "/clear"); err != nil {
			t.Error(err)
		}
	})
	t.Run("the graph is seen", func(t *testing.T) {
		within(t, 20*time.Second, "we are the base's only source", g.is(func(m *msg.Graph) bool {
			return m.Known && m.Registered && m.Total == 1 && m.ConsumerKnown && m.SourcesTotal == 1 && m.Sources[0] == "/robowarden"
		}))
	})
	t.Run("tools", func(t *testing.T) {
		if out := r.tool("rosnode", "info", "/robowarden"); !strings.Contains(out, "/cmd_vel [geometry_msgs/Twist]") ||
			!strings.Contains(out, "to: /robot") || strings.Contains(out, "ERROR") {
			t.Errorf("rosnode info: %s", out)
		}
		if out := r.tool("rosnode", "ping", "-c", "1", "/robowarden"); !strings.Contains(out, "xmlrpc reply") {
			t.Errorf("rosnode ping: %s", out)
		}
		r.tool("rosnode", "kill", "/robowarden")
		if e := ev.first(bus.RequestRefused); e == nil || !strings.Contains(e.Detail, "shutdown") {
			t.Errorf("rosnode kill: %+v", e)
		}
		before := seen.get("odom")
		within(t, 20*time.Second, "it lives", func() bool { return seen.get("odom") > before+20 })
	})
	r.stop(relay, syscall.SIGINT)
	t.Run("robot restart", func(t *testing.T) { r.restartRobot(t, &robot, seen) })
	t.Run("master restart", func(t *testing.T) {
		r.killCore()
		within(t, 20*time.Second, "the loss is reported", func() bool { return ev.first(bus.BusLost) != nil })
		before := seen.get("odom")
		within(t, 20*time.Second, "data goes on", func() bool { return seen.get("odom") > before+20 })
		r.startCore()
		within(t, 20*time.Second, "registered again", func() bool {
			v, err := rostest.Call(r.uri(), "lookupNode", "/test", "/robowarden")
			return err == nil && v[2].Str() == n.URI()
		})
		r.restartRobot(t, &robot, seen)
		within(t, 20*time.Second, "the base hears us again", g.is(func(m *msg.Graph) bool {
			return m.Known && m.Registered && m.SourcesTotal == 1 && m.Sources[0] == "/robowarden"
		}))
	})
}

// restartRobot kills the robot and waits for the data of a new one.
func (r *ros) restartRobot(t *testing.T, robot **exec.Cmd, seen *seenAll) {
	t.Helper()
	r.stop(*robot, syscall.SIGKILL)
	*robot = r.robot()
	before := map[string]int{}
	topics := []string{"odom", "amcl", "joints", "command"}
	for _, what := range topics {
		before[what] = seen.get(what)
	}
	for _, what := range topics {
		within(t, 20*time.Second, what+" after a restart", func() bool {
			return seen.get(what) > before[what] || what == "amcl" && seen.get(what) > 1
		})
	}
}

// subscribeAll reads everything that the robot sends and checks its content.
func subscribeAll(t *testing.T, n *Node, seen *seenAll) {
	t.Helper()
	s := func(topic, typ string) bus.Subscription {
		return bus.Subscription{Topic: topic, Type: typ, Allow: []string{"/robot"}}
	}
	check := func(what string, ok bool) {
		if !ok {
			t.Errorf("%s has other content than was sent", what)
		}
		seen.add(what)
	}
	recent := func(h *msg.Header) bool {
		age := time.Since(time.Unix(0, h.Stamp))
		return age > -time.Second && age < time.Minute
	}
	var errs []error
	sub := func(_ *Sub, err error) { errs = append(errs, err) }
	sub(n.SubscribePose(s("/odom", bus.TypeOdometry), func(m *msg.Pose) {
		check("odom", m.Frame == "odom" && m.Child == "base_link" && m.Twist.Linear.X == 0.5 && recent(&m.Header))
	}))
	sub(n.SubscribePose(s("/pose", bus.TypePoseStamped), func(m *msg.Pose) { check("pose", m.Frame == "map" && recent(&m.Header)) }))
	sub(n.SubscribePose(s("/amcl_pose", bus.TypePoseWithCovarianceStamped), func(m *msg.Pose) {
		check("amcl", m.Position.X == 42 && m.Covariance[0] == 0.25)
	}))
	sub(n.SubscribeIMU(s("/imu", ""), func(m *msg.IMU) { check("imu", !m.HasOrientation && m.HasAngularVelocity && m.Frame == "imu_link") }))
	sub(n.SubscribeBattery(s("/battery", ""), 0, func(m *msg.Device) { check("battery", m.ChargeRatio == 0.75 && m.Charging && m.Active) }))
	sub(n.SubscribeJoints(s("/joint_states", ""), jointNames(29), func(m *msg.Joints) {
		check("joints", m.Seen == 1<<29-1 && m.Position[28] == lastJoint && !m.HasVelocity && m.Unknown == 0)
	}))
	sub(n.SubscribeTransforms(s("/tf", ""), []bus.Edge{{Parent: "map", Child: "odom"}}, func(m *msg.Transform) { check("tf", m.Rotation.W == 1 && recent(&m.Header)) }))
	sub(n.SubscribeDevice(s("/camera_on", ""), msg.Camera, 0, func(m *msg.Device) { check("camera", m.Active) }))
	sub(n.SubscribeText(s("/text", ""), func(m *msg.Text) { check("text", strings.HasPrefix(string(m.Data), "beat ")) }))
	sub(n.SubscribeCommand(s("/cmd_vel_raw", ""), 0, func(m *msg.Command) { check("command", m.Angular == msg.Vec3{}) }))
	sub(n.SubscribeCommand(s("/echo", ""), 0, func(m *msg.Command) { check("echo", m.Linear.X == 0.25) }))
	relayed := bus.Subscription{Topic: "/relayed", AllowAny: true} // its node has a name with a number
	sub(n.SubscribeCommand(relayed, 0, func(m *msg.Command) { check("relayed", m.Linear.X == 0.25) }))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
