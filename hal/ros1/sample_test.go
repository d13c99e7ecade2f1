package ros1

import (
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/diagnostic_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/nav_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/tf2_msgs"

	"github.com/robowarden/robowarden/hal/bus"
)

// sample is a message as a robot would send it.
func sample(tb testing.TB, typ string) []byte {
	tb.Helper()
	h := std_msgs.Header{Seq: 7, Stamp: time.Unix(1700000000, 5), FrameId: "map"}
	var m any
	switch typ {
	case bus.TypeOdometry:
		m = &nav_msgs.Odometry{Header: h, ChildFrameId: "base_link"}
	case bus.TypePoseStamped:
		m = &geometry_msgs.PoseStamped{Header: h}
	case bus.TypePoseWithCovarianceStamped:
		m = &geometry_msgs.PoseWithCovarianceStamped{Header: h}
	case bus.TypeTFMessage:
		tf := &tf2_msgs.TFMessage{}
		for _, child := range []string{"odom", "base_link", "imu", "head"} {
			tf.Transforms = append(tf.Transforms, geometry_msgs.TransformStamped{Header: h, ChildFrameId: child})
		}
		m = tf
	case bus.TypeJointState:
		js := &sensor_msgs.JointState{Header: h, Name: jointNames(29)}
		js.Position, js.Velocity, js.Effort = make([]float64, 29), make([]float64, 29), make([]float64, 29)
		m = js
	case bus.TypeImu:
		m = &sensor_msgs.Imu{Header: h}
	case bus.TypeBatteryState:
		m = &sensor_msgs.BatteryState{Header: h, Percentage: 0.5, CellVoltage: []float32{3.7, 3.7}}
	case bus.TypeTemperature:
		m = &sensor_msgs.Temperature{Header: h, Temperature: 61}
	case bus.TypeTwist:
		m = &geometry_msgs.Twist{}
	case bus.TypeBool:
		m = &std_msgs.Bool{Data: true}
	case bus.TypeString:
		m = &std_msgs.String{Data: "heartbeat"}
	case bus.TypeDiagnosticArray:
		m = &diagnostic_msgs.DiagnosticArray{Header: h}
	default:
		tb.Fatalf("no sample of %s", typ)
	}
	return encode(tb, m)
}
