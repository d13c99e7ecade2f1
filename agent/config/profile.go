package config

import "time"

// Buses that a robot may speak.
const (
	// BusROS1 is a ROS 1 graph.
	BusROS1 = "ros1"
	// BusROS2 is a DDS domain: ROS 2, and vendors that speak DDS without ROS.
	BusROS2 = "ros2"
)

// Profile is the vendor's description of one robot model: its body, what it can do and how it comes to rest. It decides
// what counts as safe, so the policy pins its digest.
type Profile struct {
	// ID names the profile, for example "demo-humanoid-29".
	ID string `cfg:"id" form:"id" eg:"id: acme-runner-2"`
	// Manufacturer is who answers for the figures in this document.
	Manufacturer string `cfg:"manufacturer" len:"1..128" eg:"manufacturer: Acme Robotics"`
	// Bus is the middleware that the robot speaks: ros1, or ros2 for ROS 2 and raw DDS.
	Bus string `cfg:"bus" enum:"ros1|ros2" eg:"bus: ros1"`
	// Gate lists what the agent may sit in line with. Only velocity commands can be gated: low-level joint commands
	// close a balance loop, and a guard in that loop would make the robot fall.
	Gate []string `cfg:"gate" len:"1..8" form:"gate" eg:"gate: [velocity]"`
	// Body is the robot's outline.
	Body Body `cfg:"body" eg:"body: {base_frame: base_link, height_m: 1.4, footprint: [[0.2, 0.2], [-0.2, 0.2], [-0.2, -0.2], [0.2, -0.2]]}"`
	// Loads are what the robot can carry beside what its outline has. Absent, the outline has every load.
	Loads []LoadSpec `cfg:"loads,optional" len:"1..6" eg:"loads: [{id: tray, box: {length_m: 0.5, width_m: 0.6, x_m: 0.4, y_m: 0}, height_m: 1.2}]"`
	// Motion is how fast the robot may go and how it stops.
	Motion Motion `cfg:"motion" eg:"motion: {max_speed_mps: 1.0, …}"`
	// Pose says when a pose can be believed.
	Pose PoseQuality `cfg:"pose" eg:"pose: {max_age: 300ms, …}"`
	// Joints describes the joints; a robot without any leaves the key out.
	Joints *JointSet `cfg:"joints,optional" eg:"joints: {max_age: 200ms, list: […]}"`
	// Kinematics is the body's parts, for zones that bind hands or cameras; absent, zones bind the outline alone.
	Kinematics *Kinematics `cfg:"kinematics,optional" eg:"kinematics: {urdf: robot.urdf, …}"`
	// Recorders are the device files of cameras and microphones, with the wildcards * and ?. While the robot has to be private,
	// the steward has to show that no process has one of them open; absent, only what drivers say on the bus counts.
	Recorders []string `cfg:"recorders,optional" len:"1..16" form:"device" eg:"recorders: [\"/dev/video*\", \"/dev/snd/pcmC*c\"]"`
	// Fall says by what the inertial unit shows that the robot has fallen. Absent, nobody looks for a fall.
	Fall *Fall `cfg:"fall,optional" eg:"fall: {tilt_rad: 0.8, dwell: 300ms}"`
	// Posture is the way down of a robot that stands by balance. Absent, it stays as it was stopped until somebody comes.
	Posture *Posture `cfg:"posture,optional" eg:"posture: {steps: [{posture: balance}, …], battery: {empty_ratio: 0.05, per_minute: 0.03}}"`
	// Rest is the state in which the robot is safe for good.
	Rest Rest `cfg:"rest" eg:"rest: {kind: park, balance_elsewhere: true}"`
	// Ladder lists the ways to stop the robot in the order in which they are tried.
	Ladder []Rung `cfg:"stop_ladder" len:"1..8" eg:"stop_ladder: [{name: zeros, kind: zero-velocity, without_ros: false, stop_category: 2}]"`
	// Actuators are the devices by which rungs stop the robot past ROS.
	Actuators []Actuator `cfg:"actuators,optional" len:"0..8" eg:"actuators: [{name: stop-relay, modbus: {address: \"192.168.123.50:502\", unit: 1, coil: 0, stop_value: 0, refresh: 200ms}}]"`
	// Inputs are the contacts of emergency stops, doors and bumpers that the guard reads.
	Inputs []InputLine `cfg:"inputs,optional" len:"0..8" eg:"inputs: [{name: rear-estop, means: estop, chip: /dev/gpiochip0, line: 22, second_line: 23, active_level: low, debounce: 20ms}]"`
	// Commissioning is how often this robot has to prove that it stops as this profile claims. Absent, once a year.
	Commissioning *Commissioning `cfg:"commissioning,optional" eg:"commissioning: {due_after: 8760h}"`
	// RequiredInputs must have been seen once, fresh and without fault, before the robot may move at all.
	RequiredInputs []string `cfg:"required_inputs" len:"1..16" enum:"pose|floor|odometry|joints|imu|battery|cameras|microphones|graph" eg:"required_inputs: [pose, odometry, imu]"`
}

// Body is the robot's outline as a prism in the base frame: x forward, y left, z up (REP-103), in metres.
type Body struct {
	// BaseFrame is the frame in which the outline is given and whose pose the pose topic reports.
	BaseFrame string `cfg:"base_frame" form:"frame" eg:"base_frame: base_link"`
	// HeightM is the height in metres, with the highest load that is not among the loads.
	HeightM float64 `cfg:"height_m" range:"(0,5]" eg:"height_m: 1.4"`
	// Footprint is the outline of everything that moves with the robot: reach of the arms, and every load that is not among the loads.
	Footprint []Point `cfg:"footprint" len:"3..32" range:"[-10,10]" eg:"footprint: [[0.25, 0.20], [-0.25, 0.20], [-0.25, -0.20], [0.25, -0.20]]"`
}

// Motion is how fast the robot can go and how it stops, measured by the vendor with full load on the steepest slope.
type Motion struct {
	// MaxSpeedMPS is the highest speed over ground in metres per second.
	MaxSpeedMPS float64 `cfg:"max_speed_mps" range:"(0,15]" eg:"max_speed_mps: 1.2"`
	// MaxYawRateRadPS is the highest turning rate in radians per second.
	MaxYawRateRadPS float64 `cfg:"max_yaw_rate_radps" range:"(0,10]" eg:"max_yaw_rate_radps: 1.0"`
	// AccelMPS2 is the strongest acceleration in m/s²: how far the speed can be from its last measurement.
	AccelMPS2 float64 `cfg:"accel_mps2" range:"(0,20]" eg:"accel_mps2: 1.0"`
	// DecelMPS2 is the deceleration of a controlled stop in metres per second squared: what is kept, not the motors' limit.
	DecelMPS2 float64 `cfg:"decel_mps2" range:"(0,20]" eg:"decel_mps2: 0.8"`
	// AngularDecelRadPS2 is the same for turning, in radians per second squared.
	AngularDecelRadPS2 float64 `cfg:"angular_decel_radps2" range:"(0,50]" eg:"angular_decel_radps2: 1.5"`
	// Reaction is the time until braking starts.
	Reaction Reaction `cfg:"reaction" eg:"reaction: {detection: 50ms, actuation: 150ms}"`
	// CreepMPS is the speed in m/s for leaving a zone under supervision.
	CreepMPS float64 `cfg:"creep_mps" range:"(0,1]" eg:"creep_mps: 0.15"`
	// CreepYawRateRadPS is the turning rate in rad/s for the same.
	CreepYawRateRadPS float64 `cfg:"creep_yaw_rate_radps" range:"(0,1]" eg:"creep_yaw_rate_radps: 0.3"`
	// BaseCommandTimeout is how long the base keeps following its last command. It is the robot's own answer to silence
	// and the last one left when the guard dies.
	BaseCommandTimeout time.Duration `cfg:"base_command_timeout" range:"[20ms,5s]" eg:"base_command_timeout: 500ms"`
	// Standstill says how rest is told from motion.
	Standstill Standstill `cfg:"standstill" eg:"standstill: {speed_mps: 0.02, yaw_rate_radps: 0.03, dwell: 500ms, imu: {gyro_radps: 0.05}}"`
}

// Reaction is the time from an event to the first braking force.
type Reaction struct {
	// Detection is the age that a measurement has at worst when the guard has decided on it.
	Detection time.Duration `cfg:"detection" range:"[1ms,2s]" eg:"detection: 50ms"`
	// Actuation is the time from the guard's command to the first braking force.
	Actuation time.Duration `cfg:"actuation" range:"[1ms,5s]" eg:"actuation: 150ms"`
	// CommandPeriod is the longest regular interval between two commands, a part of the whole: for so long a command holds
	// before the next can correct it. The default is 50 ms.
	CommandPeriod time.Duration `cfg:"command_period,optional" range:"[1ms,2s]" default:"50ms" eg:"command_period: 50ms"`
}

// Total returns the whole reaction time.
func (r Reaction) Total() time.Duration { return r.Detection + r.Actuation }

// Standstill says when the robot counts as standing. Odometry alone is not believed: at least one of IMU and Joints must
// agree for the whole dwell.
type Standstill struct {
	// SpeedMPS is the odometry speed in m/s below which the robot may be standing.
	SpeedMPS float64 `cfg:"speed_mps" range:"(0,0.2]" eg:"speed_mps: 0.02"`
	// YawRateRadPS is the odometry turning rate in rad/s below which the robot may be standing.
	YawRateRadPS float64 `cfg:"yaw_rate_radps" range:"(0,0.5]" eg:"yaw_rate_radps: 0.03"`
	// Dwell is how long all measurements must stay below.
	Dwell time.Duration `cfg:"dwell" range:"[50ms,10s]" eg:"dwell: 500ms"`
	// IMU is the second measurement by the inertial unit, nil where it is not used.
	IMU *StandstillIMU `cfg:"imu,optional" eg:"imu: {gyro_radps: 0.05}"`
	// Joints is the second measurement by joint velocities, nil where it is not used.
	Joints *StandstillJoints `cfg:"joints,optional" eg:"joints: {groups: [leg], velocity: 0.05}"`
}

// StandstillIMU holds the inertial unit's limits for standing.
type StandstillIMU struct {
	// GyroRadPS is the angular velocity in rad/s below which the robot may be standing.
	GyroRadPS float64 `cfg:"gyro_radps" range:"(0,1]" eg:"gyro_radps: 0.05"`
}

// StandstillJoints holds the joints' limits for standing.
type StandstillJoints struct {
	// Groups are the joint groups that carry the robot.
	Groups []string `cfg:"groups" len:"1..8" enum:"leg|arm|hand|head|waist|wheel|lift" eg:"groups: [leg]"`
	// Velocity is the highest joint speed in rad/s (m/s for sliding joints).
	Velocity float64 `cfg:"velocity" range:"(0,1]" eg:"velocity: 0.05"`
}

// PoseQuality says when a pose can be believed and how much room to keep for what it does not know.
type PoseQuality struct {
	// MaxAge is the age by receive time beyond which a pose is stale.
	MaxAge time.Duration `cfg:"max_age" range:"[10ms,5s]" eg:"max_age: 300ms"`
	// MaxFuture is how far a sender's stamp may be ahead of the receiver's clock.
	MaxFuture time.Duration `cfg:"max_future" range:"[1ms,1s]" eg:"max_future: 50ms"`
	// MinStddevM is the best in metres that the localisation is ever believed to be, whatever covariance it claims.
	MinStddevM float64 `cfg:"min_stddev_m" range:"[0.001,1]" eg:"min_stddev_m: 0.02"`
	// SlowStddevM is the position's standard deviation in metres beyond which the robot creeps.
	SlowStddevM float64 `cfg:"slow_stddev_m" range:"(0,5]" eg:"slow_stddev_m: 0.08"`
	// MaxStddevM is the position's standard deviation in metres beyond which the pose is a fault.
	MaxStddevM float64 `cfg:"max_stddev_m" range:"(0,5]" eg:"max_stddev_m: 0.15"`
	// SigmaK is how many standard deviations are kept as room (2.45 is 95 % in two dimensions, 3.03 is 99 %).
	SigmaK float64 `cfg:"sigma_k" range:"[1,6]" eg:"sigma_k: 3.0"`
	// MapErrorM is the map's own error in metres.
	MapErrorM float64 `cfg:"map_error_m" range:"[0,2]" eg:"map_error_m: 0.05"`
	// FreezeAfter is how long the pose may stay bit-identical while the robot moves.
	FreezeAfter time.Duration `cfg:"freeze_after" range:"[50ms,10s]" eg:"freeze_after: 500ms"`
	// JumpSlackM is what a pose may move beyond speed times time, in metres.
	JumpSlackM float64 `cfg:"jump_slack_m" range:"(0,5]" eg:"jump_slack_m: 0.20"`
	// JumpSlackRad is the same for the heading, in radians.
	JumpSlackRad float64 `cfg:"jump_slack_rad" range:"(0,3.2]" eg:"jump_slack_rad: 0.25"`
	// RecoverPoses is how many consistent poses in a row end a jump or a freeze …
	RecoverPoses int `cfg:"recover_poses" range:"[2,1000]" eg:"recover_poses: 10"`
	// RecoverDwell … and for how long they must have come.
	RecoverDwell time.Duration `cfg:"recover_dwell" range:"[50ms,60s]" eg:"recover_dwell: 2s"`
	// ReleaseMarginM is how far clear of an edge and of what the pose's noise may be, in metres, the robot must be before a violation is over.
	ReleaseMarginM float64 `cfg:"release_margin_m" range:"(0,5]" eg:"release_margin_m: 0.15"`
	// ReleaseDwell is how long it must stay so.
	ReleaseDwell time.Duration `cfg:"release_dwell" range:"[50ms,60s]" eg:"release_dwell: 2s"`
}

// JointSet describes the robot's joints.
type JointSet struct {
	// MaxAge is the age by receive time beyond which joint states are missing.
	MaxAge time.Duration `cfg:"max_age" range:"[5ms,5s]" eg:"max_age: 200ms"`
	// LimitedShare is the share of their velocity and effort that joints may be asked for while manipulators are limited; the
	// default is 0.25.
	LimitedShare float64 `cfg:"limited_share,optional" range:"(0,1]" default:"0.25" eg:"limited_share: 0.25"`
	// List holds the joints; their order is the order of joint numbers everywhere in the agent.
	List []Joint `cfg:"list" len:"1..64" eg:"list: [{name: left_hip_pitch, group: leg, min: -2.5, max: 2.5, max_velocity: 12}]"`
}

// Joint is one joint. Angles are in rad, sliding joints in m.
type Joint struct {
	// Name is the joint's name in JointState messages.
	Name string `cfg:"name" form:"name" eg:"name: left_knee"`
	// Group says what the joint belongs to.
	Group string `cfg:"group" enum:"leg|arm|hand|head|waist|wheel|lift" eg:"group: leg"`
	// Continuous marks a joint without end stops; then Min and Max are absent.
	Continuous bool `cfg:"continuous,optional" eg:"continuous: true"`
	// Min is the lower end stop in rad or m.
	Min *float64 `cfg:"min,optional" range:"[-100,100]" eg:"min: -0.1"`
	// Max is the upper end stop in rad or m.
	Max *float64 `cfg:"max,optional" range:"[-100,100]" eg:"max: 2.6"`
	// MaxVelocity is in rad/s or m/s.
	MaxVelocity float64 `cfg:"max_velocity" range:"(0,200]" eg:"max_velocity: 12"`
	// MaxEffort is in N·m or N, the most that a gate lets the joint be asked for; without it no effort but 0 passes.
	MaxEffort *float64 `cfg:"max_effort,optional" range:"(0,10000]" eg:"max_effort: 25"`
}

// Rest kinds.
const (
	// RestStand is standing on legs under balance control.
	RestStand = "stand"
	// RestKneel is kneeling, stable without balance control.
	RestKneel = "kneel"
	// RestSit is sitting, stable without balance control.
	RestSit = "sit"
	// RestPark is standing on wheels with brakes or self-locking drives.
	RestPark = "park"
)

// Rest is the robot's stable rest.
type Rest struct {
	// Kind is the posture in which the robot rests.
	Kind string `cfg:"kind" enum:"stand|kneel|sit|park" eg:"kind: kneel"`
	// BalanceElsewhere is true if the robot keeps its balance, or needs none, without the guarded computer and its power.
	// Only then may a rung cut power.
	BalanceElsewhere bool `cfg:"balance_elsewhere" eg:"balance_elsewhere: true"`
}

// Rung kinds.
const (
	// RungService calls the vendor's stop service.
	RungService = "service"
	// RungZeroVelocity sends zeros on the gated command topic.
	RungZeroVelocity = "zero-velocity"
	// RungLock holds the lock topic, whose reader must treat silence as locked.
	RungLock = "lock"
	// RungDockService calls the vendor's docking service.
	RungDockService = "dock-service"
)

// Rung is one way to stop the robot.
type Rung struct {
	// Name is the rung's name in logs and journal.
	Name string `cfg:"name" form:"id" eg:"name: vendor-stop"`
	// Kind says what is done.
	Kind string `cfg:"kind" enum:"service|zero-velocity|lock|dock-service|gpio|can|relay|watchdog|estop-topic" eg:"kind: zero-velocity"`
	// AckWithin is the time for a service or device to answer, for a device at most 200ms. Zeros and locks cannot answer:
	// whether the robot stands is measured.
	AckWithin time.Duration `cfg:"ack_within,optional" range:"[10ms,10s]" eg:"ack_within: 300ms"`
	// WithoutROS is true if the rung also works when the bus is hostile or dead. While no rung has it, the agent's state
	// reads advisory.
	WithoutROS bool `cfg:"without_ros" eg:"without_ros: false"`
	// StopCategory is the stop's category by IEC 60204-1: 1 removes power after standstill, 2 keeps it. Category 0, power
	// off at once, belongs to the certified e-stop and is never the agent's.
	StopCategory int `cfg:"stop_category" range:"[1,2]" eg:"stop_category: 2"`
	// Actuator names the device of a gpio, can, relay or watchdog rung.
	Actuator string `cfg:"actuator,optional" form:"id" eg:"actuator: stop-relay"`
	// SettleFor makes a rung that cuts power wait: it is asked only in a stop of category 1, once a service rung before it
	// has acknowledged and the robot has stood for so long. It is how a robot that cannot balance without power kneels first.
	SettleFor time.Duration `cfg:"settle_for,optional" range:"[500ms,60s]" eg:"settle_for: 8s"`
}

// Enforcing returns true if a rung works without ROS's goodwill.
func (p *Profile) Enforcing() bool {
	for _, r := range p.Ladder {
		if r.WithoutROS {
			return true
		}
	}
	return false
}
