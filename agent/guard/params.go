package guard

import (
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// Params is everything that a Core decides by. It comes from the loaded configuration, see [NewParams], and does not
// change while the core uses it; a new policy is a new Params handed to [Core.Load].
type Params struct {
	// Set holds the zones, Rules what triggers do.
	Set   *geofence.Set
	Rules interlock.Policy
	// Roles is the robot's role bits in Set.
	Roles uint64
	// Unattested is the bit among them that counts only while no verifier vouches for the robot's software, 0 if no zone
	// asks for it.
	Unattested uint64
	// Pose says where poses come from and which floor they are on.
	Pose PoseParams
	// Joints says what a joint state must look like; N is 0 for a robot without joints.
	Joints JointParams
	// Standstill, Ladder, Gate, Loop and Clock set up interlock's parts.
	Standstill interlock.StandstillConfig
	Ladder     interlock.LadderConfig
	Gate       interlock.GateConfig
	Loop       interlock.LoopConfig
	Clock      interlock.ClockConfig
	// Channels are the command inputs, in the order of the topic mapping.
	Channels []ChannelParams
	// Overrides says which triggers may be overridden, by whom and for how long.
	Overrides interlock.OverridePolicy
	// Health says how well each of them has to work, in the same order; Follow how the base has to follow.
	Health []interlock.ChannelConfig
	Follow interlock.FollowConfig
	// Fall is how a fall is seen by the inertial unit.
	Fall interlock.FallConfig
	// Posture is how the robot goes down before battery or motors give up.
	Posture PostureParams
	// Heartbeats are the endpoints that the robot lives by.
	Heartbeats []interlock.HeartbeatConfig
	// HeartbeatNames are their names, for people.
	HeartbeatNames []string
	// Watches are the gated topics whose publishers are watched.
	Watches []WatchParams
	// Processes are the processes that the mapping demands behind publishers.
	Processes []ProcessDemand
	// Devices are the cameras and the microphones of the mapping.
	Devices [2]DeviceSet
	// Recorders is true if the profile names recording devices: while the robot has to be private, the steward has to show
	// that nobody has one open.
	Recorders bool
	// Artifacts are what the policy demands to run as released, at most [MaxArtifacts].
	Artifacts []ArtifactDemand
	// Facts are the sources of facts, in the mapping's order; Doors are the doors that they are about.
	Facts []FactParams
	Doors []DoorParams
	// LockPeriod is how often the lock topic is sent; 0 for a robot without one.
	LockPeriod time.Duration
	// Required are the inputs that must have been seen before the robot may move.
	Required InputSet
	// InputTimeout is how long after the start required inputs may be missing before that is said to be a fault.
	InputTimeout time.Duration
	// CreepMPS is the speed in m/s at which a granted egress may move.
	CreepMPS float64
	// Advisory is true if no rung of the ladder would work without ROS's goodwill.
	Advisory bool
	// Commissioning is true if the profile demands the record of a proof test; Trial is what such a test is about. BaseTimeout
	// is how long the base goes on by its last command, as the profile claims.
	Commissioning bool
	Trial         commission.Config
	BaseTimeout   time.Duration
	// DockLoads are the loads with which the robot may return to its dock.
	DockLoads geofence.LoadSet
	// BatteryLow is the charge ratio below which the robot should dock; the battery is not watched if Required and the
	// mapping leave it out.
	BatteryLow float64
	// Actuators are the devices of the ladder, Inputs the contacts that the guard reads, in the profile's order.
	Actuators []ActuatorParams
	Inputs    []InputParams
	// HasBattery, HasDock tell what the robot has.
	HasBattery, HasDock bool
	// Deaf is true in a what-if over a recording alone: the base then follows the commands as they came in, not what the gate
	// sends, and what the geofence learns of its brakes has to be learned from those.
	Deaf bool
	// JointNames are the profile's joints, for people.
	JointNames []string
	// Gates are those for commands that are passed on whole or not at all, in the order of the mapping.
	Gates []GateParams
}

// PoseParams says where poses come from.
type PoseParams struct {
	// Frame is the frame that poses must carry, empty if Frames chooses the floor.
	Frame string
	// Frames gives the floor of each map frame.
	Frames []FrameFloor
	// Floor is the index of the only floor, or -1 if an input or the frame says it.
	Floor int
	// SecondFrame is the frame that poses of the second source must carry, empty without one.
	SecondFrame string
	// Chain lists the frames from map to base where the pose comes from tf.
	Chain []string
	// OdometryIsPose is true if pose and velocity come in the same message.
	OdometryIsPose bool
}

// FrameFloor gives a map frame's floor.
type FrameFloor struct {
	Frame string
	Floor int
}

// JointParams describes the joints; arrays are by the profile's joint numbers.
type JointParams struct {
	N      int
	MaxAge time.Duration
	// Min and Max are end stops, ±Inf for continuous joints; MaxVelocity is in rad/s or m/s.
	Min, Max, MaxVelocity [msg.MaxJoints]float64
	// Carrying are the joints whose motion means that the base moves; Arms are those of manipulators.
	Carrying, Arms uint64
	// ArmsBelow is the joint speed under which an arm counts as still.
	ArmsBelow float64
}

// ChannelParams is one command input.
type ChannelParams struct {
	Name string
	Kind interlock.ChannelKind
	Dock bool
	CommanderParams
	// Frame is the frame that commands must carry, empty where it does not matter.
	Frame string
}

// WatchKind says what a watched topic is to the guard.
type WatchKind uint8

// Kinds of watched topics.
const (
	// WatchInput carries commands to the gate.
	WatchInput WatchKind = iota + 1
	// WatchOutput carries the gate's commands to the base.
	WatchOutput
	// WatchLock is the lock topic.
	WatchLock
	// WatchMonitored is a topic that the guard neither reads nor writes.
	WatchMonitored
)

// WatchParams is one watched topic.
type WatchParams struct {
	Topic string
	Kind  WatchKind
	// Name is the topic's name for people, where it is no channel's.
	Name string
	// Input is the subscription's number whose peers count, -1 for topics without.
	Input  int
	Config interlock.PublisherConfig
}

// InputSet is a set of inputs.
type InputSet uint16

// The inputs that a profile can require.
const (
	InputPose InputSet = 1 << iota
	InputFloor
	InputOdometry
	InputJoints
	InputIMU
	InputBattery
	InputCameras
	InputMicrophones
	InputGraph
	InputSecondPose
)
