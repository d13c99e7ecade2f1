// Package msg holds the robot's messages as wire-neutral data, each with its receive time and its sender; it never
// decodes, sends or judges anything.
//
// Every type has a fixed size, so that a source can fill one value over and over without allocating. A message that a
// source hands to a handler is valid only during that call: whoever needs it longer copies the value.
//
// Units are SI, frames are right-handed with x forward (REP-103). Numbers are passed on as they came: NaN, infinities
// and zero quaternions are for the consumer to name as faults, never for a source to mend.
package msg

import (
	"net/netip"
	"time"
)

// MaxJoints is the largest number of joints that one robot profile may name.
const MaxJoints = 64

// MaxText is the largest payload of a Text message in bytes; a source refuses longer ones.
const MaxText = 256 << 10

// Strength says how well a bus knows who sent a message. The order matters: a policy demands "at least".
type Strength uint8

// Identity strengths, weakest first.
const (
	// StrengthUnknown is the zero value and is never enough.
	StrengthUnknown Strength = iota
	// Claimed means that the peer named itself and nothing was checked.
	Claimed
	// SourceBound means that the bus connected to the address that the graph names for this peer.
	SourceBound
	// ProcessBound means that the socket's owner is known as a unit or cgroup and uid.
	ProcessBound
	// Authenticated means that the peer proved a key.
	Authenticated
)

// String names the strength as policies write it.
func (s Strength) String() string {
	switch s {
	case Claimed:
		return "claimed"
	case SourceBound:
		return "source-bound"
	case ProcessBound:
		return "process-bound"
	case Authenticated:
		return "authenticated"
	case StrengthUnknown:
	}
	return "unknown"
}

// Peer is the sender at the other end of one connection. It does not change while the connection lives, so a pointer
// to it may be compared and kept.
type Peer struct {
	// ID numbers connections within one run of the process; it is never used twice.
	ID uint32
	// Name is what the peer calls itself (ROS 1: callerid). It is a claim, at most 256 bytes.
	Name string
	// Addr is the remote end of the connection.
	Addr netip.AddrPort
	// Local is our own end of it, where the source knows it: the two together name the connection on this computer.
	Local netip.AddrPort
	// Strength says how far Name can be believed.
	Strength Strength
}

// Header is what every message carries besides its content.
type Header struct {
	// Boot is the receive time on CLOCK_BOOTTIME.
	Boot time.Duration
	// Stamp is the sender's own time in nanoseconds since the Unix epoch, 0 where it gave none.
	Stamp int64
	// Seq is the sender's counter, where the wire has one.
	Seq uint32
	// Frame is the frame_id as sent, at most 64 bytes; longer ones arrive as "?".
	Frame string
	// Peer sent the message. It is never nil in a message that a source delivers.
	Peer *Peer
	// Proof is what came of the message's envelope, on topics whose messages come in one; it has the zero value elsewhere. The
	// rest of a message whose envelope proves nothing is empty.
	Proof Proof
}

// Vec3 is a vector in metres, metres per second or radians per second, as its field says.
type Vec3 struct{ X, Y, Z float64 }

// Quat is a rotation as a quaternion. It may arrive unnormalised, zero or not finite.
type Quat struct{ X, Y, Z, W float64 }

// Twist is a velocity: Linear in m/s, Angular in rad/s.
type Twist struct{ Linear, Angular Vec3 }

// Pose is where the robot's base is, from Odometry, PoseStamped or PoseWithCovarianceStamped.
type Pose struct {
	Header
	// Child is the frame whose pose this is (Odometry's child_frame_id), empty where the wire has none.
	Child       string
	Position    Vec3
	Orientation Quat
	// Covariance is row-major over x, y, z, roll, pitch, yaw (REP-103); meaningless without HasCovariance.
	Covariance    [36]float64
	HasCovariance bool
	// Twist is in the Child frame; meaningless without HasTwist.
	Twist    Twist
	HasTwist bool
}

// Transform is one edge of the tf tree: the pose of Child in Header.Frame.
type Transform struct {
	Header
	Child       string
	Translation Vec3
	Rotation    Quat
	// Static marks an edge from /tf_static, which does not age.
	Static bool
}

// Joints is a JointState with the names resolved to the profile's joint numbers.
type Joints struct {
	Header
	// N is the number of joints in the profile; entries at N and above are unused.
	N int
	// Seen has bit i set if the message carried joint i.
	Seen uint64
	// Unknown counts names in the message that the profile does not have.
	Unknown int
	// HasVelocity and HasEffort say whether the message carried those arrays at full length.
	HasVelocity, HasEffort bool
	// Position is in rad or m, Velocity in rad/s or m/s, Effort in N·m or N.
	Position, Velocity, Effort [MaxJoints]float64
}

// IMU is angular velocity in rad/s and linear acceleration in m/s², both in Header.Frame.
type IMU struct {
	Header
	Orientation Quat
	// HasOrientation is false where the sender marked it as unknown (first covariance element −1).
	HasOrientation        bool
	AngularVelocity       Vec3
	LinearAcceleration    Vec3
	HasAngularVelocity    bool
	HasLinearAcceleration bool
}

// Command is a velocity command that somebody wants the base to follow.
type Command struct {
	Header
	// Channel numbers the mapping's command inputs, in the order of the topic mapping.
	Channel int
	Twist
}

// DeviceKind says which kind of device a Device message speaks of.
type DeviceKind uint8

// Device kinds.
const (
	// DeviceUnknown is the zero value.
	DeviceUnknown DeviceKind = iota
	// Camera is an image sensor.
	Camera
	// Microphone is an audio sensor.
	Microphone
	// Battery is the main energy store.
	Battery
	// Heat is how warm the motors are.
	Heat
)

// Device is the state of a camera, a microphone, the battery or the motors' heat.
type Device struct {
	Header
	Kind DeviceKind
	// Index numbers devices of one kind, in the order of the topic mapping.
	Index int
	// Active is true while a camera or microphone is recording or streaming.
	Active bool
	// ChargeRatio is the battery's charge in [0, 1], NaN where the sender does not know it.
	ChargeRatio float64
	// Charging is true while the battery is being charged.
	Charging bool
	// Celsius is the temperature in °C, of Heat alone.
	Celsius float64
}

// Bool is a single flag, as the lock topic carries it.
type Bool struct {
	Header
	Value bool
}

// Text is a line or a document on a string topic: heartbeat answers and signed orders.
type Text struct {
	Header
	// Data is valid only during the handler's call, at most MaxText bytes.
	Data []byte
}

// MaxValues is the largest number of entries of a Values message; a source refuses longer ones.
const MaxValues = 256

// Values is an array of numbers without names, as Float64MultiArray carries commands to joint controllers.
type Values struct {
	Header
	// Channel numbers the mapping's inputs of this kind, in the order of the topic mapping.
	Channel int
	// N is the number of entries in Data; entries at N and above are unused.
	N int
	// Offset is the number of entries before the first one that counts (layout.data_offset).
	Offset int
	// Data holds the entries in the order of the wire; what they mean is between sender and receiver.
	Data [MaxValues]float64
}

// Diagnostic is one component's state from a DiagnosticArray.
type Diagnostic struct {
	Header
	// Level is 0 for OK, 1 for a warning, 2 for an error, 3 for stale; others are passed on as they came.
	Level uint8
	// Name, Message and HardwareID are valid only during the handler's call.
	Name, Message, HardwareID []byte
	// Values is the number of key-value pairs that the status has.
	Values int
}
