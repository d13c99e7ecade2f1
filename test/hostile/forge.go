package hostile

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// forged is a sound message of the type with a false content: the robot is at ForgedX and stands still, the command is
// to drive, the lock is open.
func forged(typ wire.Type, seq uint32, stamp time.Time) []byte {
	h := wire.HeaderMsg{Seq: seq, Sec: uint32(stamp.Unix()), Nsec: uint32(stamp.Nanosecond()), Frame: "map"}
	pose := floats(h.Append(nil), ForgedX, 0, 0, 0, 0, 0, 1)
	switch typ {
	case wire.Twist:
		return wire.TwistMsg{Linear: [3]float64{1}}.Append(nil)
	case wire.Bool:
		return wire.BoolBody(false)
	case wire.String:
		return wire.StringBody("forged")
	case wire.JointState:
		return wire.JointStateMsg{Header: h, Names: []string{"joint_00"}, Position: []float64{ForgedX}, Velocity: []float64{0}}.Append(nil)
	case wire.PoseStamped:
		return pose
	case wire.PoseWithCovarianceStamped:
		covariance := make([]float64, 36)
		for i := range 6 {
			covariance[i*7] = 1e-4
		}
		return floats(pose, covariance...)
	case wire.Imu:
		return floats(h.Append(nil), make([]float64, 4+9+3+9+3+9)...)
	case wire.TFMessage:
		one := wire.AppendString(append([]byte{1, 0, 0, 0}, h.Append(nil)...), "base_link")
		return floats(one, ForgedX, 0, 0, 0, 0, 0, 1)
	}
	return wire.PlanarOdometry(h, ForgedX, 0, 0, 0, 0).Append(nil)
}

func floats(b []byte, v ...float64) []byte {
	for _, f := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

// oddValues are the forged message of the type with one value at a time that cannot be.
func oddValues(typ wire.Type, i int) []byte {
	if typ == wire.Odometry {
		return oddOdometry(i)
	}
	b := forged(typ, uint32(i), time.Now())
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -1e308}
	// The numbers of all these types stand at the end; how many there are differs.
	if n := len(b) / 8; n > 0 && typ != wire.String {
		at := len(b) - 8*(1+i%min(n, 7))
		binary.LittleEndian.PutUint64(b[at:], math.Float64bits(odd[i/7%len(odd)]))
	}
	return b
}

func oddOdometry(i int) []byte {
	odd := []func(*wire.OdometryMsg){
		func(m *wire.OdometryMsg) { m.Position[0] = math.NaN() },
		func(m *wire.OdometryMsg) { m.Position[1] = math.Inf(-1) },
		func(m *wire.OdometryMsg) { m.Position[0] = 1e308 },
		func(m *wire.OdometryMsg) { m.Orientation = [4]float64{} },
		func(m *wire.OdometryMsg) { m.Orientation[3] = math.NaN() },
		func(m *wire.OdometryMsg) { m.Orientation = [4]float64{9, 9, 9, 9} },
		func(m *wire.OdometryMsg) { m.PoseCovariance = [36]float64{} },
		func(m *wire.OdometryMsg) { m.PoseCovariance[0] = -1 },
		func(m *wire.OdometryMsg) { m.PoseCovariance[1] = 1e9 },
		func(m *wire.OdometryMsg) { m.PoseCovariance[7] = math.Inf(1) },
		func(m *wire.OdometryMsg) { m.Linear[0] = math.NaN() },
		func(m *wire.OdometryMsg) { m.Header.Frame = "" },
		func(m *wire.OdometryMsg) { m.Header.Frame = "odom" },
		func(m *wire.OdometryMsg) { m.Header.Frame = strings.Repeat("f", 1<<16) },
		func(m *wire.OdometryMsg) { m.Header.Sec, m.Header.Nsec = 0, 0 },
		func(m *wire.OdometryMsg) { m.Header.Nsec = math.MaxUint32 },
		func(m *wire.OdometryMsg) { m.Child = "\x00\xff" },
	}
	now := time.Now()
	h := wire.HeaderMsg{Seq: uint32(i), Sec: uint32(now.Unix()), Nsec: uint32(now.Nanosecond()), Frame: "map"}
	m := wire.PlanarOdometry(h, ForgedX, 0, 0, 0, 0)
	odd[i%len(odd)](&m)
	return m.Append(nil)
}

// malformed are the forged message of the type, spoilt in all the ways in which its lengths can be wrong.
func malformed(typ wire.Type) [][]byte {
	good := forged(typ, 1, time.Now())
	bad := [][]byte{{}, make([]byte, len(good)+1), append(append([]byte(nil), good...), good...)}
	for _, n := range []int{1, 11, 12, 13, 40, len(good) / 2, len(good) - 8, len(good) - 1} {
		if n > 0 && n < len(good) {
			bad = append(bad, good[:n])
		}
	}
	for _, at := range lengthsAt(typ) {
		for _, n := range []uint32{0, 2, uint32(len(good)), math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32} {
			b := append([]byte(nil), good...)
			binary.LittleEndian.PutUint32(b[at:], n)
			bad = append(bad, b)
		}
	}
	return bad
}

// lengthsAt is where the lengths of texts and lists stand in the forged message of the type.
func lengthsAt(typ wire.Type) []int {
	switch typ {
	case wire.Twist, wire.Bool:
		return nil
	case wire.String:
		return []int{0}
	case wire.TFMessage: // transforms, frame, child's frame
		return []int{0, 16, 23}
	case wire.Odometry, wire.JointState: // frame; child's frame or names
		return []int{12, 19}
	}
	return []int{12}
}
