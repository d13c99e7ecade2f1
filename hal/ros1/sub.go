package ros1

import (
	"errors"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Mode says what becomes of messages that arrive faster than they are handled.
type Mode uint8

// Delivery modes.
const (
	// Latest delivers the newest complete message and counts the older ones as skipped; it never delivers a stale one
	// while a newer one waits in the socket.
	Latest Mode = iota + 1
	// Every delivers each message in order, up to Subscription.MaxRateHz; those above it are counted as skipped.
	Every
)

// Subscription says what to read and from whom.
type Subscription struct {
	// Topic is the global name, such as "/odom".
	Topic string
	// Type is the ROS type, such as "nav_msgs/Odometry". Only SubscribePose has a choice; elsewhere it may be empty.
	Type string
	// Allow lists the exact names of the nodes that may publish; others are not connected to.
	Allow []string
	// AllowAny takes everybody as a publisher. Either Allow or AllowAny must be given.
	AllowAny bool
	// Mode is Latest or Every; 0 takes the message type's usual one (Every for transforms and text, else Latest).
	Mode Mode
	// MaxBytes caps one message; 0 takes the type's usual cap.
	MaxBytes int
	// MaxRateHz caps the messages per second in mode Every; 0 takes 1000.
	MaxRateHz int
	// IdleTimeout replaces Limits.IdleTimeout for this topic, as for one that speaks only now and then.
	IdleTimeout time.Duration
}

// SubStats counts what a subscription has seen.
type SubStats struct {
	// Delivered counts messages handed to the handler.
	Delivered uint64
	// Skipped counts messages passed over for a newer one or for the rate cap.
	Skipped uint64
	// Malformed counts messages that did not decode.
	Malformed uint64
	// Connected is the number of publishers connected now.
	Connected int
}

// Sub is a running subscription.
type Sub struct{}

// Stats reads the counters; it may be called from any goroutine.
func (s *Sub) Stats() SubStats { return SubStats{} }

// Close disconnects from every publisher. After it returns no handler is called, unless Close runs in the handler.
func (s *Sub) Close() {}

var errShape = errors.New("ros1: not available in this build")

// SubscribePose reads nav_msgs/Odometry, geometry_msgs/PoseStamped or geometry_msgs/PoseWithCovarianceStamped.
func (n *Node) SubscribePose(s Subscription, h func(*msg.Pose)) (*Sub, error) { return nil, errShape }

// Edge is one edge of the tf tree: Child's pose in Parent.
type Edge struct{ Parent, Child string }

// SubscribeTransforms reads tf2_msgs/TFMessage and calls h for each transform, or for those in edges if there are any.
// A topic named "/tf_static" marks its transforms as static.
func (n *Node) SubscribeTransforms(s Subscription, edges []Edge, h func(*msg.Transform)) (*Sub, error) {
	return nil, errShape
}

// SubscribeJoints reads sensor_msgs/JointState; joint i of the message handed to h is names[i].
func (n *Node) SubscribeJoints(s Subscription, names []string, h func(*msg.Joints)) (*Sub, error) {
	return nil, errShape
}

// SubscribeIMU reads sensor_msgs/Imu.
func (n *Node) SubscribeIMU(s Subscription, h func(*msg.IMU)) (*Sub, error) { return nil, errShape }

// SubscribeBattery reads sensor_msgs/BatteryState as battery number index.
func (n *Node) SubscribeBattery(s Subscription, index int, h func(*msg.Device)) (*Sub, error) {
	return nil, errShape
}

// SubscribeCommand reads geometry_msgs/Twist as commands of the given channel.
func (n *Node) SubscribeCommand(s Subscription, channel int, h func(*msg.Command)) (*Sub, error) {
	return nil, errShape
}

// SubscribeBool reads std_msgs/Bool.
func (n *Node) SubscribeBool(s Subscription, h func(*msg.Bool)) (*Sub, error) { return nil, errShape }

// SubscribeDevice reads std_msgs/Bool as "camera or microphone number index is active".
func (n *Node) SubscribeDevice(s Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) (*Sub, error) {
	return nil, errShape
}

// SubscribeText reads std_msgs/String.
func (n *Node) SubscribeText(s Subscription, h func(*msg.Text)) (*Sub, error) { return nil, errShape }
