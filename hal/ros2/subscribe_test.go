package ros2

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/ros2/idl"
	"github.com/robowarden/robowarden/hal/rtps"
)

// kindOf is one kind of subscription: how to ask for it, what to send, and what must arrive.
type kindOf struct {
	topic, typ string
	subscribe  func(*Node, bus.Subscription, func(string, *msg.Header)) (*Sub, error)
	payload    func(big bool) []byte
	want       []string
}

// line joins values with spaces.
func line(v ...any) string { return strings.TrimSpace(fmt.Sprintln(v...)) }

// lowState reads two fields of a type that a vendor defines.
var lowState = func() *idl.Plan {
	set := idl.NewSet()
	err := set.AddMsg("vendor_msgs/msg/LowState", "LowState.msg", "float64[] torque\nuint32 tick\n")
	if err != nil {
		panic(err)
	}
	typ, err := set.Type("vendor_msgs/msg/LowState")
	if err != nil {
		panic(err)
	}
	plan, err := idl.Compile(typ, []string{"tick", "torque[1]"})
	if err != nil {
		panic(err)
	}
	return plan
}()

// kinds are all subscriptions that a node has.
func kinds() []kindOf {
	pose := func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
		return n.SubscribePose(s, func(m *msg.Pose) {
			h(line(m.Frame, m.Child, m.Position, m.HasCovariance, m.Covariance[0], m.HasTwist, m.Twist.Linear.X), &m.Header)
		})
	}
	command := func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
		return n.SubscribeCommand(s, 4, func(m *msg.Command) { h(line(m.Channel, m.Linear.X, m.Angular.Z), &m.Header) })
	}
	return []kindOf{
		{"/odom", bus.TypeOdometry, pose, func(big bool) []byte { return odometry(big, 1) }, []string{"odom base_link {1 2 3} true 0 true 0.5"}},
		{"/pose", bus.TypePoseStamped, pose, poseStamped, []string{"map  {1 2 3} false 0 false 0"}},
		{"/amcl_pose", bus.TypePoseWithCovarianceStamped, pose, poseCovariance, []string{"map  {1 2 3} true 0.04 false 0"}},
		{"/tf", bus.TypeTFMessage, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeTransforms(s, []bus.Edge{{Parent: "odom", Child: "base_link"}}, func(m *msg.Transform) {
				h(line(m.Frame, m.Child, m.Translation, m.Static), &m.Header)
			})
		}, transforms, []string{"odom base_link {4 5 6} false"}},
		{"/joint_states", bus.TypeJointState, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeJoints(s, []string{"hip", "knee"}, func(m *msg.Joints) {
				h(line(m.N, m.Seen, m.Position[:2], m.Velocity[:2], m.HasEffort), &m.Header)
			})
		}, jointState, []string{"2 3 [0.2 0.1] [2 1] false"}},
		{"/trajectory", cdr.TypeJointTrajectory, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeTrajectory(s, []string{"hip", "knee"}, 2, func(m *msg.Trajectory) {
				h(line(m.Channel, m.Points, m.Duration, m.Last[:2]), &m.Header)
			})
		}, trajectory, []string{"2 1 1s [0.1 0.2]"}},
		{"/efforts", cdr.TypeFloat64MultiArray, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeValues(s, 5, func(m *msg.Values) { h(line(m.Channel, m.N, m.Data[:2]), &m.Header) })
		}, multiArray, []string{"5 2 [7 8]"}},
		{"/imu", bus.TypeImu, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeIMU(s, func(m *msg.IMU) { h(line(m.Frame, m.HasOrientation, m.AngularVelocity), &m.Header) })
		}, imu, []string{"imu false {1 2 3}"}},
		{"/battery", bus.TypeBatteryState, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeBattery(s, 1, func(m *msg.Device) { h(line(m.Kind, m.Index, m.ChargeRatio, m.Charging, m.Active), &m.Header) })
		}, battery, []string{line(msg.Battery, 1, 0.75, true, true)}},
		{"/heat", bus.TypeTemperature, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeHeat(s, func(m *msg.Device) { h(line(m.Kind, m.Celsius, m.Active, m.Frame), &m.Header) })
		}, func(big bool) []byte { return newPayload(big).head(12, 34, "motors").f64(61.5, 0).b }, []string{line(msg.Heat, 61.5, true, "motors")}},
		{"/cmd_vel", bus.TypeTwist, command, func(bool) []byte {
			return cdr.AppendTwist(nil, &msg.Twist{Linear: msg.Vec3{X: 0.5}, Angular: msg.Vec3{Z: -1}})
		}, []string{"4 0.5 -1"}},
		{"/cmd_vel_stamped", cdr.TypeTwistStamped, command, twistStamped, []string{"4 0.5 -1"}},
		{"/flag", bus.TypeBool, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeBool(s, func(m *msg.Bool) { h(line(m.Value), &m.Header) })
		}, func(bool) []byte { return cdr.AppendBool(nil, true) }, []string{"true"}},
		{"/camera_on", bus.TypeBool, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeDevice(s, msg.Camera, 2, func(m *msg.Device) { h(line(m.Kind, m.Index, m.Active), &m.Header) })
		}, func(bool) []byte { return cdr.AppendBool(nil, true) }, []string{line(msg.Camera, 2, true)}},
		{"/camera_info", bus.TypeCameraInfo, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeDevice(s, msg.Camera, 3, func(m *msg.Device) { h(line(m.Kind, m.Index, m.Active), &m.Header) })
		}, func(big bool) []byte { return newPayload(big).head(12, 34, "camera").u32(480).u32(640).b }, []string{line(msg.Camera, 3, true)}},
		{"/map_id", bus.TypeString, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeText(s, func(m *msg.Text) { h(string(m.Data), &m.Header) })
		}, func(bool) []byte { return cdr.AppendString(nil, []byte("floor 1")) }, []string{"floor 1"}},
		{"/lowstate", "vendor_msgs/LowState", func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeFields(s, lowState, 6, func(m *msg.Values) { h(line(m.Channel, m.N, m.Data[:2]), &m.Header) })
		}, func(big bool) []byte { return newPayload(big).u32(3).f64(1.5, 2.5, 3.5).u32(7).b }, []string{"6 2 [7 2.5]"}},
		{"acme/joints", "acme::Joints", func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeJointFields(s, acmeJoints, func(m *msg.Joints) {
				h(line(m.N, m.Seen, m.Position[:3], m.Velocity[:3], m.HasVelocity, m.HasEffort), &m.Header)
			})
		}, jointsPayload, []string{"3 5 [2 NaN 1] [-4 NaN -2] true false"}},
		{"/acme_imu", "acme::msg::dds_::Imu_", func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeIMUFields(s, acmeIMU, func(m *msg.IMU) {
				h(line(m.AngularVelocity, m.LinearAcceleration, m.Orientation, m.HasOrientation), &m.Header)
			})
		}, imuPayload, []string{"{2 4 6} {40 50 60} {0.25 0.5 0.75 0.125} true"}},
		{"/acme_battery", "acme/msg/Battery", func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeBatteryFields(s, acmeBattery, 3, func(m *msg.Device) {
				h(line(m.Kind, m.Index, m.ChargeRatio, m.Charging, m.Active), &m.Header)
			})
		}, batteryPayload, []string{line(msg.Battery, 3, 0.8, true, true)}},
		{"/diagnostics", bus.TypeDiagnosticArray, func(n *Node, s bus.Subscription, h func(string, *msg.Header)) (*Sub, error) {
			return n.SubscribeDiagnostics(s, func(m *msg.Diagnostic) { h(line(m.Level, string(m.Name)), &m.Header) })
		}, func(bool) []byte {
			return cdr.AppendDiagnostics(nil, 12, []bus.DiagnosticStatus{{Level: bus.LevelWarn, Name: "motor"}, {Name: "fan"}})
		}, []string{"1 motor", "0 fan"}},
	}
}

// TestEverySubscription sends one message of each type, in both byte orders, from another participant.
func TestEverySubscription(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Limits.RTPS = rtps.Limits{} })
	robot := startProcess(t, d, true)
	type arrival struct {
		text string
		head msg.Header
	}
	got := map[string]*collected[arrival]{}
	subs := map[string]*Sub{}
	writers := map[string]*rtps.Writer{}
	var all []*rtps.Writer
	for _, k := range kinds() {
		in := &collected[arrival]{}
		got[k.topic] = in
		s, err := k.subscribe(n.Node, bus.Subscription{Topic: k.topic, Type: k.typ, Allow: []string{"/driver"}}, func(text string, h *msg.Header) {
			in.add(arrival{text, *h})
		})
		if err != nil {
			t.Fatal(err)
		}
		subs[k.topic] = s
		writers[k.topic] = robot.writer(k.topic, k.typ, quality{reliable: true})
		all = append(all, writers[k.topic])
	}
	robot.node("/driver", all...)
	seq := uint64(0)
	for _, k := range kinds() {
		eventually(t, "a match on "+k.topic, func() bool { return hears(subs[k.topic]) && writers[k.topic].Readers() >= 1 })
		for _, big := range []bool{false, true} {
			seq++
			before := boot()
			if _, err := writers[k.topic].Write(seq, k.payload(big)); err != nil {
				t.Fatal(err)
			}
			in := got[k.topic]
			n := len(k.want) * (1 + map[bool]int{true: 1}[big])
			eventually(t, fmt.Sprintf("%s, big endian %v", k.topic, big), func() bool { return in.len() >= n })
			for i, a := range in.all()[n-len(k.want):] {
				if diff := cmp.Diff(k.want[i], a.text); diff != "" {
					t.Errorf("%s, big endian %v: expected -, got +\n%s", k.topic, big, diff)
				}
				// Two clocks are read one after the other, and what passes between them makes a message older, never newer.
				if a.head.Boot < before-time.Second || a.head.Boot > boot() || a.head.Peer.Name != "/driver" {
					t.Errorf("%s: received at %v from %+v; expected now, from /driver", k.topic, a.head.Boot, a.head.Peer)
				}
			}
		}
	}
	for topic, s := range subs {
		if st := s.Stats(); st.Malformed != 0 || st.Delivered != 2 || st.Skipped != 0 {
			t.Errorf("%s: %+v; expected 2 delivered and no more", topic, st)
		}
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	n := startNode(t, freeDomain(t))
	any := func(topic, typ string) bus.Subscription {
		return bus.Subscription{Topic: topic, Type: typ, AllowAny: true}
	}
	text := func(s bus.Subscription) error { _, err := n.SubscribeText(s, func(*msg.Text) {}); return err }
	pose := func(s bus.Subscription) error { _, err := n.SubscribePose(s, func(*msg.Pose) {}); return err }
	both := any("/x", "")
	both.Allow = []string{"/a"}
	negative, huge, mode := any("/x", ""), any("/x", ""), any("/x", "")
	negative.IdleTimeout, huge.MaxBytes, mode.Mode = -time.Second, 1<<20, 9
	badPeer := bus.Subscription{Topic: "/x", Allow: []string{"planner"}}
	latest := any("/tf", "")
	latest.Mode = bus.Latest
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"relative topic":     {text(any("x", "")), "fully qualified"},
		"other type":         {text(any("/x", bus.TypeBool)), "expected std_msgs/String"},
		"type with its kind": {text(any("/x", "std_msgs/srv/String")), "expected std_msgs/String"},
		"nobody allowed":     {text(bus.Subscription{Topic: "/x"}), "give the names"},
		"some and anybody":   {text(both), "give the names"},
		"relative peer":      {text(badPeer), "allowed publisher"},
		"negative deadline":  {text(negative), "none negative"},
		"too long a text":    {text(huge), "expected at most"},
		"unknown mode":       {text(mode), "known mode"},
		"pose of no type":    {pose(any("/x", "")), "type"},
		"latest transforms": {func() error {
			_, err := n.SubscribeTransforms(latest, nil, func(*msg.Transform) {})
			return err
		}(), "Every only"},
		"no joints": {func() error {
			_, err := n.SubscribeJoints(any("/x", ""), nil, func(*msg.Joints) {})
			return err
		}(), "joint names"},
		"no plan": {func() error {
			_, err := n.SubscribeFields(any("/x", "a/B"), nil, 0, func(*msg.Values) {})
			return err
		}(), "plan"},
		"joints without a plan": {func() error {
			_, err := n.SubscribeJointFields(any("/x", "a/B"), JointFields{Index: []int{0}, N: 1, Scale: 1}, func(*msg.Joints) {})
			return err
		}(), "a plan for 1 joints"},
		"joint twice": {func() error {
			f := acmeJoints
			f.Index = []int{2, 2}
			_, err := n.SubscribeJointFields(any("/x", "a/B"), f, func(*msg.Joints) {})
			return err
		}(), "there twice"},
		"half an inertial unit": {func() error {
			f := acmeIMU
			f.HasOrientation = false
			_, err := n.SubscribeIMUFields(any("/x", "a/B"), f, func(*msg.IMU) {})
			return err
		}(), "plan of 6 values"},
		"no full battery": {func() error {
			f := acmeBattery
			f.Full = 0
			_, err := n.SubscribeBatteryFields(any("/x", "a/B"), f, 0, func(*msg.Device) {})
			return err
		}(), "full charge"},
		"raw topic of a service": {func() error {
			_, err := n.SubscribeBatteryFields(any("rq/x", "a/B"), acmeBattery, 0, func(*msg.Device) {})
			return err
		}(), "plain DDS"},
		"raw type with a space": {func() error {
			_, err := n.SubscribeBatteryFields(any("x", "a:: B"), acmeBattery, 0, func(*msg.Device) {})
			return err
		}(), "name on the wire"},
		"battery as a camera": {func() error {
			_, err := n.SubscribeDevice(any("/x", ""), msg.Battery, 0, func(*msg.Device) {})
			return err
		}(), "SubscribeBattery"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v; expected an error with %q", name, c.err, c.want)
		}
	}
	if subs := n.subscriptions(); len(subs) != 0 {
		t.Errorf("%d subscriptions remain of those that were refused", len(subs))
	}
	if err := text(any("/x", "std_msgs/msg/String")); err != nil {
		t.Errorf("the type's whole name: %v", err)
	}
}
