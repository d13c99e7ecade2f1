// Package bus holds what every robot bus has in common: what to subscribe to, what to offer, what happened to peers.
// It holds data only; it never opens a socket and never decides who may speak.
package bus

import (
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

// DefaultMaxRateHz bounds the messages per second of one publisher in mode Every.
const DefaultMaxRateHz = 1000

// Message types that a node reads or publishes, by the names that both ROS generations share.
const (
	TypeOdometry                  = "nav_msgs/Odometry"
	TypePoseStamped               = "geometry_msgs/PoseStamped"
	TypePoseWithCovarianceStamped = "geometry_msgs/PoseWithCovarianceStamped"
	TypeTFMessage                 = "tf2_msgs/TFMessage"
	TypeJointState                = "sensor_msgs/JointState"
	TypeImu                       = "sensor_msgs/Imu"
	TypeBatteryState              = "sensor_msgs/BatteryState"
	TypeTemperature               = "sensor_msgs/Temperature"
	TypeCameraInfo                = "sensor_msgs/CameraInfo"
	TypeTwist                     = "geometry_msgs/Twist"
	TypeBool                      = "std_msgs/Bool"
	TypeString                    = "std_msgs/String"
	TypeDiagnosticArray           = "diagnostic_msgs/DiagnosticArray"
	TypeUInt8MultiArray           = "std_msgs/UInt8MultiArray"
	TypeTwistStamped              = "geometry_msgs/TwistStamped"
	TypeAckermannDrive            = "ackermann_msgs/AckermannDrive"
	TypeAckermannDriveStamped     = "ackermann_msgs/AckermannDriveStamped"
	TypeJointTrajectory           = "trajectory_msgs/JointTrajectory"
	TypeFloat64MultiArray         = "std_msgs/Float64MultiArray"
	// TypeMoveBaseActionGoal is the goal of ROS 1's move_base.
	TypeMoveBaseActionGoal = "move_base_msgs/MoveBaseActionGoal"
)

// Opener takes one message out of its envelope: the message as its own type has it on this bus, valid as long as
// envelope is, and what the envelope proves. It may be called by several goroutines at once. Where nothing is proven it
// returns no message.
type Opener func(envelope []byte) (message []byte, p msg.Proof)

// Subscription says what to read and from whom.
type Subscription struct {
	// Topic is the global name, such as "/odom".
	Topic string
	// Type is the message type, such as "nav_msgs/Odometry". Only a pose and a device have a choice; elsewhere it may be empty.
	Type string
	// Allow lists the exact names of the nodes that may publish; others are not listened to.
	Allow []string
	// AllowAny takes everybody as a publisher. Either Allow or AllowAny must be given.
	AllowAny bool
	// Latched asks for what was published before we came, where the publisher keeps it: a map's id, a static transform.
	Latched bool
	// Mode is Latest or Every; 0 takes the message type's usual one (Every for transforms and text, else Latest).
	Mode Mode
	// MaxBytes caps one message; 0 takes the type's usual cap.
	MaxBytes int
	// MaxRateHz caps the messages per second of one publisher in mode Every; 0 takes DefaultMaxRateHz.
	MaxRateHz int
	// WheelbaseM is the distance in metres between the axles, for a command of Ackermann's type.
	WheelbaseM float64
	// IdleTimeout is how long a publisher may say nothing before the bus doubts its connection; 0 takes the bus's own.
	IdleTimeout time.Duration
	// Open, where it is set, takes messages out of envelopes: the topic then carries std_msgs/UInt8MultiArray, whose bytes
	// are handed to it, and MaxBytes counts for the whole. What proves nothing reaches the handler empty, with its proof.
	// Only commands have it.
	Open Opener
}

// DemandSubscription is a subscription to commands that are passed on whole or not at all.
type DemandSubscription struct {
	Subscription
	// Form is what is read of a message; nothing is of a FormOpaque, whose type is known by name and MD5 alone.
	Form msg.Form
	// Channel numbers the mapping's gates.
	Channel int
	// Joints are the profile's joints, for FormJoints; joint i of an outline is Joints[i].
	Joints []string
	// Order says for a type without names, TypeFloat64MultiArray, which joint each entry is of, and Quantity what it means.
	Order    []int
	Quantity msg.Quantity
	// MD5 is the md5sum of an opaque type on ROS 1, 32 lower-case hexadecimal digits; other buses have none.
	MD5 string
}

// Edge is one edge of the tf tree: Child's pose in Parent.
type Edge struct{ Parent, Child string }

// Publication says what to publish.
type Publication struct {
	// Topic is the global name, such as "/cmd_vel".
	Topic string
	// Type is the message's type: one that a node can write, or with Forward any at all.
	Type string
	// Forward is true for a topic on which messages are passed on as they came; MD5 is then the type's md5sum where the node
	// does not know it (ROS 1).
	Forward bool
	MD5     string
	// Frame is the frame_id of a stamped velocity. WheelbaseM is the distance in metres between the axles, for Ackermann's
	// types: the rates in these messages are sent as 0, "as fast as the base does it".
	Frame      string
	WheelbaseM float64
	// Latch hands the last message to everybody who connects later.
	Latch bool
	// Consumers names the nodes that matter: they are written first and places are kept for them. The names are claims;
	// this keeps order among honest peers and keeps a crowd from filling the topic.
	Consumers []string
	// MaxBytes caps one message; 0 takes the type's usual cap.
	MaxBytes int
}

// Hold is what tells a controller of joints to stop now. On a JointTrajectory it is an empty trajectory if Names is empty:
// ros_controllers' joint_trajectory_controller then drops what is queued and holds its position
// (https://github.com/ros-controls/ros_controllers/issues/70, http://wiki.ros.org/joint_trajectory_controller). Otherwise it
// is one point, the joints' measured positions, due after In: ros2_controllers refuse an empty trajectory. On a
// Float64MultiArray of velocities it is as many zeros.
type Hold struct {
	Names     []string
	Positions []float64 // rad or m, one for each name
	In        time.Duration
	Zeros     int
}

// Sent says what became of one publication.
type Sent struct {
	// Delivered counts the subscribers whose socket took the whole message.
	Delivered int
	// Behind counts the subscribers that could not take it now; they get the latest message later, or are dropped.
	Behind int
	// Superseded is true if a publication with a higher sequence number was there before; then nothing was sent.
	Superseded bool
}

// ServiceResult is the answer of std_srvs/SetBool and std_srvs/Trigger.
type ServiceResult struct {
	// Success is what the service says of itself.
	Success bool
	// Message is its text, at most a kilobyte of it.
	Message string
}

// Level is a diagnostic level.
type Level int8

// Diagnostic levels (diagnostic_msgs/DiagnosticStatus).
const (
	// LevelOK means that the component does its work.
	LevelOK Level = iota
	// LevelWarn means that somebody should look.
	LevelWarn
	// LevelError means that the component does not do its work.
	LevelError
	// LevelStale means that the component has not reported.
	LevelStale
)

// KeyValue is one line of a diagnostic status.
type KeyValue struct{ Key, Value string }

// DiagnosticStatus is the state of one component.
type DiagnosticStatus struct {
	// Level is how bad it is.
	Level Level
	// Name is the component, as "robowarden: guard".
	Name string
	// Message says in a few words what is the matter.
	Message string
	// HardwareID names the robot.
	HardwareID string
	// Values holds what else a person may want to know.
	Values []KeyValue
}
