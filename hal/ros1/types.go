package ros1

import (
	"fmt"

	"github.com/bluenviron/goroslib/v2/pkg/msgproc"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/ackermann_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/diagnostic_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/nav_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_srvs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/tf2_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/trajectory_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/serviceproc"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// wireType is what both ends of a connection must agree on.
type wireType struct {
	name, md5, definition string
	// max is the type's usual cap in bytes.
	max int
}

// lookupType describes a message type; the definition behind its md5sum is goroslib's.
func lookupType(name string) (wireType, error) {
	var def any
	t := wireType{name: name, max: 4 << 10}
	switch name {
	case bus.TypeOdometry:
		def = nav_msgs.Odometry{}
	case bus.TypePoseStamped:
		def = geometry_msgs.PoseStamped{}
	case bus.TypePoseWithCovarianceStamped:
		def = geometry_msgs.PoseWithCovarianceStamped{}
	case bus.TypeTFMessage:
		def, t.max = tf2_msgs.TFMessage{}, 64<<10
	case bus.TypeJointState:
		def, t.max = sensor_msgs.JointState{}, 32<<10
	case bus.TypeImu:
		def = sensor_msgs.Imu{}
	case bus.TypeBatteryState:
		def = sensor_msgs.BatteryState{}
	case bus.TypeTemperature:
		def = sensor_msgs.Temperature{}
	case bus.TypeCameraInfo:
		def = sensor_msgs.CameraInfo{}
	case bus.TypeTwist:
		def, t.max = geometry_msgs.Twist{}, twistBytes
	case bus.TypeTwistStamped:
		def = geometry_msgs.TwistStamped{}
	case bus.TypeAckermannDrive:
		def = ackermann_msgs.AckermannDrive{}
	case bus.TypeAckermannDriveStamped:
		def = ackermann_msgs.AckermannDriveStamped{}
	case bus.TypeJointTrajectory:
		def, t.max = trajectory_msgs.JointTrajectory{}, 64<<10
	case bus.TypeFloat64MultiArray:
		def = std_msgs.Float64MultiArray{}
	case bus.TypeMoveBaseActionGoal:
		def = moveBaseActionGoal{}
	case bus.TypeBool:
		def, t.max = std_msgs.Bool{}, 1
	case bus.TypeString:
		def, t.max = std_msgs.String{}, 4+msg.MaxText
	case bus.TypeUInt8MultiArray:
		def = std_msgs.UInt8MultiArray{}
	case bus.TypeDiagnosticArray:
		def, t.max = diagnostic_msgs.DiagnosticArray{}, 32<<10
	default:
		return t, fmt.Errorf("ros1: message type %s is not supported", clip(name, 80))
	}
	var err error
	if t.md5, err = msgproc.MD5(def); err != nil {
		return t, fmt.Errorf("ros1: md5sum of %s: %w", name, err)
	}
	if t.definition, err = msgproc.Definition(def); err != nil {
		return t, fmt.Errorf("ros1: definition of %s: %w", name, err)
	}
	return t, nil
}

// Service types that have typed helpers.
const (
	typeSetBool = "std_srvs/SetBool"
	typeTrigger = "std_srvs/Trigger"
	typeEmpty   = "std_srvs/Empty"
)

func serviceMD5(name string) (string, error) {
	switch name {
	case typeSetBool:
		return serviceproc.MD5(std_srvs.SetBool{})
	case typeTrigger:
		return serviceproc.MD5(std_srvs.Trigger{})
	case typeEmpty:
		return serviceproc.MD5(std_srvs.Empty{})
	}
	return "", fmt.Errorf("ros1: service type %s has no typed helper", clip(name, 80))
}
