package config

import (
	"time"
)

// Message and service types that the mapping may name, in the spelling that both ROS generations share. ROS 2's own
// spelling, with /msg/ or /srv/ in between, is read as the same.
const (
	TypeOdometry         = "nav_msgs/Odometry"
	TypePose             = "geometry_msgs/PoseStamped"
	TypePoseCov          = "geometry_msgs/PoseWithCovarianceStamped"
	TypeTwist            = "geometry_msgs/Twist"
	TypeTF               = "tf2_msgs/TFMessage"
	TypeJointState       = "sensor_msgs/JointState"
	TypeIMU              = "sensor_msgs/Imu"
	TypeBattery          = "sensor_msgs/BatteryState"
	TypeTemperature      = "sensor_msgs/Temperature"
	TypeCameraInfo       = "sensor_msgs/CameraInfo"
	TypeBool             = "std_msgs/Bool"
	TypeString           = "std_msgs/String"
	TypeDiagnostics      = "diagnostic_msgs/DiagnosticArray"
	TypeTwistStamped     = "geometry_msgs/TwistStamped"
	TypeAckermann        = "ackermann_msgs/AckermannDrive"
	TypeAckermannStamped = "ackermann_msgs/AckermannDriveStamped"
	TypeTrajectory       = "trajectory_msgs/JointTrajectory"
	TypeValues           = "std_msgs/Float64MultiArray"
	TypeMoveBaseGoal     = "move_base_msgs/MoveBaseActionGoal"
	TypeNavigate         = "nav2_msgs/NavigateToPose" // an action of ROS 2
	TypeTrigger          = "std_srvs/Trigger"
	TypeSetBool          = "std_srvs/SetBool"
	TypeEmpty            = "std_srvs/Empty"
)

// Topics is the integrator's mapping from what the guard needs to what this robot's bus carries. It decides who is
// listened to, so the policy pins its digest. It is the same for every bus. Whoever publishes is named by its node; on
// DDS, "dds:" and an address names writers at that address that belong to no node, as those of a vendor without ROS.
type Topics struct {
	// ID names the mapping.
	ID string `cfg:"id" form:"id" eg:"id: runner-2-stock-image"`
	// Pose is where the robot is in the map.
	Pose PoseTopic `cfg:"pose" eg:"pose: {topic: /amcl_pose, type: geometry_msgs/PoseWithCovarianceStamped, frame: map, publishers: [/amcl]}"`
	// SecondPose is a second source of poses that has to agree with the first, nil where there is none.
	SecondPose *SecondPose `cfg:"second_pose,optional" eg:"second_pose: {topic: /uwb/pose, type: geometry_msgs/PoseWithCovarianceStamped, frame: map, publishers: [/uwb], slack_m: 0.15, slack_rad: 0.2, after: 500ms}"`
	// Floor says on which floor the robot is.
	Floor FloorSource `cfg:"floor" eg:"floor: {fixed: ground}"`
	// Odometry is the velocity as the base measures it.
	Odometry Topic `cfg:"odometry" eg:"odometry: {topic: /odom, frame: odom, publishers: [/base_driver]}"`
	// TF is the transform tree, needed only for a pose of type tf2_msgs/TFMessage.
	TF *TFChain `cfg:"tf,optional" eg:"tf: {topic: /tf, static_topic: /tf_static, chain: [map, odom, base_link], publishers: [/amcl, /base_driver]}"`
	// Joints is the joints' state.
	Joints *Sensor[JointFields] `cfg:"joints,optional" eg:"joints: {topic: /joint_states, publishers: [/robot_driver]}"`
	// IMU is the inertial unit.
	IMU *Sensor[IMUFields] `cfg:"imu,optional" eg:"imu: {topic: /imu/data, frame: imu_link, publishers: [/imu_driver]}"`
	// Battery is the main energy store.
	Battery *Sensor[BatteryFields] `cfg:"battery,optional" eg:"battery: {topic: /battery, publishers: [/battery_driver]}"`
	// Heat is the temperature of the hottest motor in °C.
	Heat *Topic `cfg:"heat,optional" eg:"heat: {topic: /motors/temperature, publishers: [/robot_driver]}"`
	// Definitions are files beside this one that define the vendor's message types, for sensors with fields. A policy that
	// pins this document pins their content too, by their digests.
	Definitions []Definition `cfg:"definitions,optional" len:"0..64" eg:"definitions: [{file: unitree_hg.idl, digest: \"sha256:…\"}]"`
	// Cameras report which image sensors are active.
	Cameras []Device `cfg:"cameras,optional" len:"0..16" eg:"cameras: [{name: head, topic: /camera/active, type: std_msgs/Bool, publishers: [/camera]}]"`
	// Microphones report which audio sensors are active.
	Microphones []Device `cfg:"microphones,optional" len:"0..16" eg:"microphones: [{name: head, topic: /microphone/active, type: std_msgs/Bool, publishers: [/microphone]}]"`
	// Facts are what the bus says about load, task, operator, doors and badges.
	Facts []FactSource `cfg:"facts,optional" len:"1..16" eg:"facts: [{id: tray, kind: load, topic: /tray, type: std_msgs/Bool, publishers: [/tray], max_age: 2s, values: [{value: \"true\", means: tray}, {value: \"false\", means: none}]}]"`
	// Commands are the ways in which somebody commands the base; each is gated.
	Commands []CommandIn `cfg:"commands" len:"1..16" eg:"commands: [{channel: planner, kind: autonomy, topic: /cmd_vel_raw, type: geometry_msgs/Twist, publishers: [/move_base]}]"`
	// CommandOut is what the base follows. Nobody but the guard may publish on it.
	CommandOut CommandOut `cfg:"command_out" eg:"command_out: {topic: /cmd_vel, type: geometry_msgs/Twist, consumer: /base_driver}"`
	// Monitored are topics that are not gated and whose publishers are watched nevertheless, as one for commands to single
	// joints: nobody but those that are named may publish there.
	Monitored []Monitored `cfg:"monitored,optional" len:"0..16" eg:"monitored: [{name: joint-commands, topic: /lowcmd, publishers: [\"dds:192.168.123.161\"]}]"`
	// Lock is a flag that stops the base while it is true or silent (twist_mux's locks).
	Lock *Lock `cfg:"lock,optional" eg:"lock: {topic: /robowarden/lock, consumer: /twist_mux, timeout: 500ms}"`
	// EStop is the vendor's emergency stop topic, for the rung estop-topic.
	EStop *EStopTopic `cfg:"estop,optional" eg:"estop: {topic: /robot/e_stop, consumer: /base_driver, period: 100ms}"`
	// Services are the vendor's services that the guard calls.
	Services Services `cfg:"services,optional" eg:"services: {stop: {name: /robot/stop, type: std_srvs/Trigger}}"`
	// Orders is the topic on which signed stops are taken, nil where they come by other paths only.
	Orders *Topic `cfg:"orders,optional" eg:"orders: {topic: /robowarden/orders}"`
	// Diagnostics is where the agent reports its own health.
	Diagnostics string `cfg:"diagnostics,optional" form:"topic" eg:"diagnostics: /diagnostics"`
	// Heartbeats are the exchanges by which endpoints prove that they live.
	Heartbeats []Heartbeat `cfg:"heartbeats,optional" len:"0..16" eg:"heartbeats: [{endpoint: operator, challenge_topic: /robowarden/challenge, response_topic: /robowarden/response, publishers: [/operator]}]"`
	// Gates are the ways in which somebody commands more than the base's velocity: joints, goals, anything else.
	Gates []Gate `cfg:"gates,optional" len:"0..16" eg:"gates: [{name: arm, kind: autonomy, mode: monitor, reads: joints, topic: /arm/command, type: trajectory_msgs/JointTrajectory, publishers: [/move_group]}]"`
	// Processes are the processes that are demanded behind publishers.
	Processes []Process `cfg:"processes,optional" len:"0..64" eg:"processes: [{node: /move_base, unit: navigation.service, uid: 1001}]"`
}

// Definition is a file of the vendor's message types, as the vendor ships it.
type Definition struct {
	// File is its name; it lies beside the topic mapping, and its ending says what it is: .idl or .msg.
	File string `cfg:"file" form:"definition" eg:"file: unitree_hg.idl"`
	// Type is the name of the one message that a .msg defines; an .idl names its types itself.
	Type string `cfg:"type,optional" kin:"msg" form:"rostype" eg:"type: unitree_hg/MotorState"`
	// Digest is the SHA-256 of the file. A file with another content is refused.
	Digest Digest `cfg:"digest" eg:"digest: \"sha256:…\""`
}

// Sensor is a subscription to one of the robot's own sensors. With Fields it reads a type that only the vendor knows, on ROS
// 2 or plain DDS; without, the type that ROS has for it.
type Sensor[F any] struct {
	// Topic is the absolute name. With fields it may be a DDS topic: rt/lowstate is /lowstate, and dds:LowState is none of ROS.
	Topic string `cfg:"topic" form:"anytopic" eg:"topic: /imu/data"`
	// Type is the message type. With fields it is one of the definitions', as ROS or as DDS names it.
	Type string `cfg:"type,optional" kin:"msg" form:"vendortype" eg:"type: sensor_msgs/Imu"`
	// Frame is the frame_id that messages must carry; empty where the message's frame does not matter.
	Frame string `cfg:"frame,optional" form:"frame" eg:"frame: imu_link"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers,optional" len:"1..16" form:"publisher" eg:"publishers: [/imu_driver]"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// Deadline is the longest gap between messages before the connection is given up and made anew; the default is 1 s.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,60s]" default:"1s" eg:"deadline: 1s"`
	// Fields says which fields of a vendor's type are meant.
	Fields *F `cfg:"fields,optional" eg:"fields: {...}"`
}

// Plain is the subscription without the fields; nil where there is none.
func (s *Sensor[F]) Plain() *Topic {
	if s == nil {
		return nil
	}
	return &Topic{s.Topic, s.Type, s.Frame, s.Publishers, s.MaxBytes, s.Deadline}
}

// Paths into a vendor's type name fields parted by dots and elements in brackets, from 0: motor_state[3].q. Where one path
// stands for several numbers it has a star.

// JointFields says where a vendor's type has the joints.
type JointFields struct {
	// Names are the profile's joints in the order of the elements that the star stands for; "-" is an element that is none.
	Names []string `cfg:"names" len:"1..256" form:"joint" eg:"names: [left_hip_pitch_joint, left_hip_roll_joint]"`
	// Position is where each joint is, in rad or m; the star is the element's number.
	Position string `cfg:"position" form:"elements" eg:"position: \"motor_state[*].q\""`
	// Velocity is how fast each joint moves, in rad/s or m/s.
	Velocity string `cfg:"velocity,optional" form:"elements" eg:"velocity: \"motor_state[*].dq\""`
	// Effort is each joint's torque or force, in N·m or N.
	Effort string `cfg:"effort,optional" form:"elements" eg:"effort: \"motor_state[*].tau_est\""`
	// Degrees is true where positions and velocities come in degrees.
	Degrees bool `cfg:"degrees,optional" eg:"degrees: true"`
}

// IMUFields says where a vendor's type has the inertial unit. The star is 0, 1 and 2, or as .* the fields x, y and z.
type IMUFields struct {
	// Gyro is the angular velocity, in rad/s.
	Gyro string `cfg:"gyro" form:"vector" eg:"gyro: \"imu_state.gyroscope[*]\""`
	// Accel is the linear acceleration, in m/s².
	Accel string `cfg:"accel,optional" form:"vector" eg:"accel: \"imu_state.accelerometer[*]\""`
	// Quaternion is the orientation; it has a fourth element, or a field w.
	Quaternion string `cfg:"quaternion,optional" form:"vector" eg:"quaternion: \"imu_state.quaternion[*]\""`
	// QuaternionOrder is the order of the quaternion's elements; there is none by default, since vendors differ. A
	// quaternion of the fields x, y, z and w has no order.
	QuaternionOrder string `cfg:"quaternion_order,optional" enum:"wxyz|xyzw" eg:"quaternion_order: wxyz"`
	// Degrees is true where the angular velocity comes in degrees a second.
	Degrees bool `cfg:"degrees,optional" eg:"degrees: true"`
	// StandardGravity is true where the acceleration comes in multiples of 9.80665 m/s².
	StandardGravity bool `cfg:"standard_gravity,optional" eg:"standard_gravity: true"`
}

// BatteryFields says where a vendor's type has the battery.
type BatteryFields struct {
	// Charge is how full the battery is.
	Charge string `cfg:"charge" form:"number" eg:"charge: bms_state.soc"`
	// Full is the charge of a full battery: 100 where it comes in percent.
	Full float64 `cfg:"full" range:"(0,1000000]" eg:"full: 100"`
	// Charging is a number that tells whether the battery is being charged.
	Charging string `cfg:"charging,optional" form:"number" eg:"charging: bms_state.current"`
	// ChargingWhen says which values of that number mean so.
	ChargingWhen string `cfg:"charging_when,optional" enum:"not-zero|positive|negative" eg:"charging_when: positive"`
}

// Process is what is demanded of the process behind a publisher. The steward says which process it is; until it does, and
// when it says another one, the robot is restricted.
type Process struct {
	// Node is the publisher's name; it is named under publishers as well.
	Node string `cfg:"node" form:"publisher" eg:"node: /plant"`
	// Unit is the systemd unit that the process must belong to; unit or uid is required.
	Unit string `cfg:"unit,optional" form:"unit" eg:"unit: plant.service"`
	// UID is the user that the process must run as; unit or uid is required.
	UID *int `cfg:"uid,optional" range:"[0,4294967294]" eg:"uid: 1001"`
	// ExeSHA256 is the SHA-256 of the executable that the process must run. It proves nothing about a node that an interpreter runs.
	ExeSHA256 string `cfg:"exe_sha256,optional" form:"sha256" eg:"exe_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
}

// Topic is one subscription.
type Topic struct {
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /odom"`
	// Type is the message type; it may be left out where only one type fits.
	Type string `cfg:"type,optional" kin:"msg" form:"rostype" eg:"type: nav_msgs/Odometry"`
	// Frame is the frame_id that messages must carry; empty where the message's frame does not matter.
	Frame string `cfg:"frame,optional" form:"frame" eg:"frame: odom"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers,optional" len:"1..16" form:"publisher" eg:"publishers: [/base_driver]"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// Deadline is the longest gap between messages before the connection is given up and made anew; the default is 1 s.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,60s]" default:"1s" eg:"deadline: 1s"`
}

// PoseTopic is the subscription to the robot's pose in the map.
type PoseTopic struct {
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /amcl_pose"`
	// Type is the message type. tf2_msgs/TFMessage takes the pose from the chain under tf.
	Type string `cfg:"type" kin:"msg" enum:"nav_msgs/Odometry|geometry_msgs/PoseStamped|geometry_msgs/PoseWithCovarianceStamped|tf2_msgs/TFMessage" eg:"type: nav_msgs/Odometry"`
	// Frame is the map frame that messages must carry; where the floor is chosen by frame it is left out.
	Frame string `cfg:"frame,optional" form:"frame" eg:"frame: map"`
	// AssumedStddevM stands in, in metres, where a pose's covariance is unknown. It is required for types that carry none;
	// where it is absent, an unknown covariance holds the robot. It must not read as a perfect pose.
	AssumedStddevM float64 `cfg:"assumed_stddev_m,optional" range:"(0,2]" eg:"assumed_stddev_m: 0.05"`
	// AssumedYawStddevRad is the same for the heading, in radians. The two come together.
	AssumedYawStddevRad float64 `cfg:"assumed_yaw_stddev_rad,optional" range:"(0,1]" eg:"assumed_yaw_stddev_rad: 0.03"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/amcl]"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// Deadline is the longest gap between messages before the connection is given up and made anew; the default is 1 s.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,60s]" default:"1s" eg:"deadline: 1s"`
}

// SecondPose is the subscription to a second source of the robot's pose, independent of the first. It is never used in the
// first one's place: where the two differ for too long, nobody knows which is right, and the robot is held.
type SecondPose struct {
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /uwb/pose"`
	// Type is the message type, one that carries a covariance.
	Type string `cfg:"type" kin:"msg" enum:"nav_msgs/Odometry|geometry_msgs/PoseWithCovarianceStamped" eg:"type: geometry_msgs/PoseWithCovarianceStamped"`
	// Frame is the map frame that messages must carry. A pose in an odometry frame drifts away, so it cannot be compared.
	Frame string `cfg:"frame" form:"frame" eg:"frame: map"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/uwb]"`
	// SlackM is how far, in metres, the two may differ beyond sigma_k standard deviations of both.
	SlackM float64 `cfg:"slack_m" range:"(0,5]" eg:"slack_m: 0.15"`
	// SlackRad is the same for the heading, in radians.
	SlackRad float64 `cfg:"slack_rad" range:"(0,3]" eg:"slack_rad: 0.2"`
	// After is how long they may differ, or the second may be missing, before that is a fault.
	After time.Duration `cfg:"after" range:"[20ms,10s]" eg:"after: 500ms"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// Deadline is the longest gap between messages before the connection is given up and made anew; the default is 1 s.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,60s]" default:"1s" eg:"deadline: 1s"`
}

// FloorSource says on which floor the robot is. Exactly one of Fixed, Topic and Frames is set.
type FloorSource struct {
	// Fixed is the policy's floor for a robot that never leaves it.
	Fixed string `cfg:"fixed,optional" form:"id" eg:"fixed: ground"`
	// Topic carries the name of the map in use.
	Topic *Topic `cfg:"topic,optional" eg:"topic: {topic: /map_id, publishers: [/map_manager], deadline: 5s}"`
	// Frames names the floor for each map frame that poses may carry.
	Frames []FloorName `cfg:"frames,optional" len:"1..64" eg:"frames: [{value: map_ground, floor: ground}]"`
	// Values names the floor for each text on Topic.
	Values []FloorName `cfg:"values,optional" len:"1..64" eg:"values: [{value: ground-v3, floor: ground}]"`
}

// FloorName translates what the bus says into a floor of the policy.
type FloorName struct {
	// Value is the text or frame on the bus.
	Value string `cfg:"value" len:"1..64" form:"text" eg:"value: ground-v3"`
	// Floor is the policy's floor.
	Floor string `cfg:"floor" form:"id" eg:"floor: ground"`
}

// TFChain is the transform tree as far as the pose needs it.
type TFChain struct {
	// Topic is the moving part, /tf.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /tf"`
	// StaticTopic is the fixed part, /tf_static; empty where the chain has none.
	StaticTopic string `cfg:"static_topic,optional" form:"topic" eg:"static_topic: /tf_static"`
	// Chain lists the frames from the map to the base.
	Chain []string `cfg:"chain" len:"2..8" form:"frame" eg:"chain: [map, odom, base_link]"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/amcl, /base_driver]"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// Deadline is the longest gap between messages before the connection is given up and made anew; the default is 1 s.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,60s]" default:"1s" eg:"deadline: 1s"`
}

// Device is a camera or a microphone whose state is watched.
type Device struct {
	// Name is the device's name in rules and logs.
	Name string `cfg:"name" form:"id" eg:"name: head"`
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /camera/active"`
	// Type is std_msgs/Bool for a driver that says whether it is active, sensor_msgs/CameraInfo for one that only sends while it is.
	Type string `cfg:"type" kin:"msg" enum:"std_msgs/Bool|sensor_msgs/CameraInfo" eg:"type: std_msgs/Bool"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/camera]"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// Deadline is the longest gap between messages before the connection is given up and made anew; the default is 5 s.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,60s]" default:"5s" eg:"deadline: 5s"`
}
