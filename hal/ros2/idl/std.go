package idl

import "strings"

// addStandard puts the usual definitions into the set. They are written from the fields alone: constants, comments and
// defaults neither show on the wire nor count in a type's hash.
func (s *Set) addStandard() {
	for def := range strings.SplitSeq(standard, "\n= ") {
		name, text, _ := strings.Cut(strings.TrimSpace(def), "\n")
		if name == "" {
			continue
		}
		add := s.AddMsg
		if strings.Contains(name, "/srv/") {
			add = s.AddSrv
		}
		_ = add(name, "built-in "+name, text) //nolint:errcheck // the text is a constant, and a test reads it
	}
	for _, st := range s.structs {
		st.standard = true
	}
}

// standard holds messages and services, each after a line of "= name".
const standard = `
= builtin_interfaces/msg/Time
int32 sec
uint32 nanosec
= builtin_interfaces/msg/Duration
int32 sec
uint32 nanosec
= std_msgs/msg/Header
builtin_interfaces/Time stamp
string frame_id
= std_msgs/msg/Empty
= std_msgs/msg/Bool
bool data
= std_msgs/msg/Int32
int32 data
= std_msgs/msg/Float32
float32 data
= std_msgs/msg/Float64
float64 data
= std_msgs/msg/String
string data
= std_msgs/msg/ColorRGBA
float32 r
float32 g
float32 b
float32 a
= std_msgs/msg/MultiArrayDimension
string label
uint32 size
uint32 stride
= std_msgs/msg/MultiArrayLayout
MultiArrayDimension[] dim
uint32 data_offset
= std_msgs/msg/Float32MultiArray
MultiArrayLayout layout
float32[] data
= std_msgs/msg/Float64MultiArray
MultiArrayLayout layout
float64[] data
= geometry_msgs/msg/Vector3
float64 x
float64 y
float64 z
= geometry_msgs/msg/Point
float64 x
float64 y
float64 z
= geometry_msgs/msg/Quaternion
float64 x 0
float64 y 0
float64 z 0
float64 w 1
= geometry_msgs/msg/Pose
Point position
Quaternion orientation
= geometry_msgs/msg/PoseStamped
std_msgs/Header header
Pose pose
= geometry_msgs/msg/PoseWithCovariance
Pose pose
float64[36] covariance
= geometry_msgs/msg/PoseWithCovarianceStamped
std_msgs/Header header
PoseWithCovariance pose
= geometry_msgs/msg/Twist
Vector3 linear
Vector3 angular
= geometry_msgs/msg/TwistStamped
std_msgs/Header header
Twist twist
= ackermann_msgs/msg/AckermannDrive
float32 steering_angle
float32 steering_angle_velocity
float32 speed
float32 acceleration
float32 jerk
= ackermann_msgs/msg/AckermannDriveStamped
std_msgs/Header header
AckermannDrive drive
= geometry_msgs/msg/TwistWithCovariance
Twist twist
float64[36] covariance
= geometry_msgs/msg/Wrench
Vector3 force
Vector3 torque
= geometry_msgs/msg/WrenchStamped
std_msgs/Header header
Wrench wrench
= geometry_msgs/msg/Transform
Vector3 translation
Quaternion rotation
= geometry_msgs/msg/TransformStamped
std_msgs/Header header
string child_frame_id
Transform transform
= nav_msgs/msg/Odometry
std_msgs/Header header
string child_frame_id
geometry_msgs/PoseWithCovariance pose
geometry_msgs/TwistWithCovariance twist
= tf2_msgs/msg/TFMessage
geometry_msgs/TransformStamped[] transforms
= sensor_msgs/msg/JointState
std_msgs/Header header
string[] name
float64[] position
float64[] velocity
float64[] effort
= sensor_msgs/msg/Imu
std_msgs/Header header
geometry_msgs/Quaternion orientation
float64[9] orientation_covariance
geometry_msgs/Vector3 angular_velocity
float64[9] angular_velocity_covariance
geometry_msgs/Vector3 linear_acceleration
float64[9] linear_acceleration_covariance
= sensor_msgs/msg/BatteryState
std_msgs/Header header
float32 voltage
float32 temperature
float32 current
float32 charge
float32 capacity
float32 design_capacity
float32 percentage
uint8 power_supply_status
uint8 power_supply_health
uint8 power_supply_technology
bool present
float32[] cell_voltage
float32[] cell_temperature
string location
string serial_number
= trajectory_msgs/msg/JointTrajectoryPoint
float64[] positions
float64[] velocities
float64[] accelerations
float64[] effort
builtin_interfaces/Duration time_from_start
= trajectory_msgs/msg/JointTrajectory
std_msgs/Header header
string[] joint_names
JointTrajectoryPoint[] points
= diagnostic_msgs/msg/KeyValue
string key
string value
= diagnostic_msgs/msg/DiagnosticStatus
byte level
string name
string message
string hardware_id
KeyValue[] values
= diagnostic_msgs/msg/DiagnosticArray
std_msgs/Header header
DiagnosticStatus[] status
= unique_identifier_msgs/msg/UUID
uint8[16] uuid
= action_msgs/msg/GoalInfo
unique_identifier_msgs/UUID goal_id
builtin_interfaces/Time stamp
= action_msgs/msg/GoalStatus
GoalInfo goal_info
int8 status
= action_msgs/msg/GoalStatusArray
GoalStatus[] status_list
= action_msgs/srv/CancelGoal
action_msgs/GoalInfo goal_info
---
int8 return_code
action_msgs/GoalInfo[] goals_canceling
= service_msgs/msg/ServiceEventInfo
uint8 event_type
builtin_interfaces/Time stamp
char[16] client_gid
int64 sequence_number
= std_srvs/srv/Empty
---
= std_srvs/srv/SetBool
bool data
---
bool success
string message
= std_srvs/srv/Trigger
---
bool success
string message
= rmw_dds_common/msg/Gid
uint8[16] data
= rmw_dds_common/msg/NodeEntitiesInfo
string<=256 node_namespace
string<=256 node_name
Gid[] reader_gid_seq
Gid[] writer_gid_seq
= rmw_dds_common/msg/ParticipantEntitiesInfo
Gid gid
NodeEntitiesInfo[] node_entities_info_seq
`
