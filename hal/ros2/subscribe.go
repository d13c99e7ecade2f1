package ros2

import (
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Handlers are called on the participant's receiving goroutine; the pointer is valid only during the call.

// SubscribePose reads nav_msgs/Odometry, geometry_msgs/PoseStamped or geometry_msgs/PoseWithCovarianceStamped.
func (n *Node) SubscribePose(s bus.Subscription, h func(*msg.Pose)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeTransforms reads tf2_msgs/TFMessage and calls h for each transform, or for those in edges if there are any.
// A topic named "/tf_static" marks its transforms as static.
func (n *Node) SubscribeTransforms(s bus.Subscription, edges []bus.Edge, h func(*msg.Transform)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeJoints reads sensor_msgs/JointState; joint i of the message handed to h is names[i].
func (n *Node) SubscribeJoints(s bus.Subscription, names []string, h func(*msg.Joints)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeIMU reads sensor_msgs/Imu.
func (n *Node) SubscribeIMU(s bus.Subscription, h func(*msg.IMU)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeBattery reads sensor_msgs/BatteryState as battery number index.
func (n *Node) SubscribeBattery(s bus.Subscription, index int, h func(*msg.Device)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeCommand reads geometry_msgs/Twist as commands of the given channel.
func (n *Node) SubscribeCommand(s bus.Subscription, channel int, h func(*msg.Command)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeBool reads std_msgs/Bool.
func (n *Node) SubscribeBool(s bus.Subscription, h func(*msg.Bool)) (*Sub, error) {
	return nil, errNotYet
}

// SubscribeDevice reads std_msgs/Bool as "camera or microphone number index is active".
func (n *Node) SubscribeDevice(s bus.Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) (*Sub, error) {
	if kind != msg.Camera && kind != msg.Microphone {
		return nil, errors.New("ros2: SubscribeDevice reads a camera or a microphone; use SubscribeBattery for the battery")
	}
	return nil, errNotYet
}

// SubscribeText reads std_msgs/String.
func (n *Node) SubscribeText(s bus.Subscription, h func(*msg.Text)) (*Sub, error) {
	if s.MaxBytes > 4+msg.MaxText {
		return nil, fmt.Errorf("ros2: topic %s: MaxBytes %d; expected at most %d", clip(s.Topic, 80), s.MaxBytes, 4+msg.MaxText)
	}
	return nil, errNotYet
}

var errNotYet = errors.New("ros2: the participant is not joined yet")

// SubStats counts what a subscription has seen.
type SubStats struct {
	// Delivered counts messages handed to the handler.
	Delivered uint64
	// Skipped counts messages passed over for a newer one or for the rate cap.
	Skipped uint64
	// Malformed counts messages that did not decode.
	Malformed uint64
	// Connected is the number of publishers listened to now.
	Connected int
}

// Sub is a running subscription.
type Sub struct{}

// Stats reads the counters; it may be called from any goroutine.
func (s *Sub) Stats() SubStats { return SubStats{} }

// Close ends the subscription and waits for the handlers to return; so a handler must not call it.
func (s *Sub) Close() {}
