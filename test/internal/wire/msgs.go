package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type is a message or service type with its checksum.
type Type struct {
	// Name is package/Type, MD5 the checksum of its definition in hexadecimal digits.
	Name, MD5 string
}

// The types that robots and peers in these tests speak, as the headers of Debian's ROS 1 packages have them.
var (
	Twist                     = Type{"geometry_msgs/Twist", "9f195f881246fdfa2798d1d3eebca84a"}
	Odometry                  = Type{"nav_msgs/Odometry", "cd5e73d190d741a2f92e81eda573aca7"}
	PoseStamped               = Type{"geometry_msgs/PoseStamped", "d3812c3cbc69362b77dc0b19b345f8f5"}
	PoseWithCovarianceStamped = Type{"geometry_msgs/PoseWithCovarianceStamped", "953b798c0f514ff060a53a3498ce6246"}
	JointState                = Type{"sensor_msgs/JointState", "3066dcd76a6cfaef579bd0f34173e9fd"}
	Imu                       = Type{"sensor_msgs/Imu", "6a62c6daae103f4ff57a132d6f95cec2"}
	TFMessage                 = Type{"tf2_msgs/TFMessage", "94810edda583a504dfda3829e70d7eec"}
	Header                    = Type{"std_msgs/Header", "2176decaecbce78abc3b96ef049fabed"}
	Bool                      = Type{"std_msgs/Bool", "8b94c1b53db61fb6aed406028ad6332a"}
	String                    = Type{"std_msgs/String", "992ce8a1687cec8c8bd883ec73ca41d1"}
	Log                       = Type{"rosgraph_msgs/Log", "acffd30cd6b6de30f120938c17c593fb"}
	SetBool                   = Type{"std_srvs/SetBool", "09fb03525b03e7ea1fd3992bafd87e16"}
	Trigger                   = Type{"std_srvs/Trigger", "937c9679a518e3a18d831e57125ea522"}
)

// TwistMsg is a geometry_msgs/Twist in m/s and rad/s.
type TwistMsg struct {
	Linear, Angular [3]float64
}

// Append appends the body.
func (t TwistMsg) Append(b []byte) []byte {
	return appendFloats(appendFloats(b, t.Linear[:]), t.Angular[:])
}

// ParseTwist reads a body.
func ParseTwist(b []byte) (TwistMsg, error) {
	var t TwistMsg
	r := reader{b: b}
	r.floats(t.Linear[:])
	r.floats(t.Angular[:])
	return t, r.end("Twist")
}

// HeaderMsg is a std_msgs/Header.
type HeaderMsg struct {
	Seq, Sec, Nsec uint32
	Frame          string
}

// Append appends the body.
func (h HeaderMsg) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.Seq)
	b = binary.LittleEndian.AppendUint32(b, h.Sec)
	b = binary.LittleEndian.AppendUint32(b, h.Nsec)
	return AppendString(b, h.Frame)
}

// ParseHeader reads a body.
func ParseHeader(b []byte) (HeaderMsg, error) {
	r := reader{b: b}
	h := r.header()
	return h, r.end("Header")
}

// OdometryMsg is a nav_msgs/Odometry: metres, quaternion (x, y, z, w), covariances row by row.
type OdometryMsg struct {
	Header          HeaderMsg
	Child           string
	Position        [3]float64
	Orientation     [4]float64
	PoseCovariance  [36]float64
	Linear, Angular [3]float64
	TwistCovariance [36]float64
}

// PlanarOdometry is an odometry message on the floor, with the yaw in radians and sane covariances.
func PlanarOdometry(h HeaderMsg, x, y, yaw, v, w float64) OdometryMsg {
	m := OdometryMsg{Header: h, Child: "base_link", Position: [3]float64{x, y, 0}}
	m.Orientation = [4]float64{0, 0, math.Sin(yaw / 2), math.Cos(yaw / 2)}
	m.Linear[0], m.Angular[2] = v, w
	for i := range 6 {
		m.PoseCovariance[i*7], m.TwistCovariance[i*7] = 1e-4, 1e-4
	}
	return m
}

// Append appends the body.
func (o OdometryMsg) Append(b []byte) []byte {
	b = AppendString(o.Header.Append(b), o.Child)
	b = appendFloats(appendFloats(b, o.Position[:]), o.Orientation[:])
	b = appendFloats(b, o.PoseCovariance[:])
	b = appendFloats(appendFloats(b, o.Linear[:]), o.Angular[:])
	return appendFloats(b, o.TwistCovariance[:])
}

// ParseOdometry reads a body.
func ParseOdometry(b []byte) (OdometryMsg, error) {
	var o OdometryMsg
	r := reader{b: b}
	o.Header = r.header()
	o.Child = r.str()
	for _, f := range [][]float64{o.Position[:], o.Orientation[:], o.PoseCovariance[:], o.Linear[:], o.Angular[:], o.TwistCovariance[:]} {
		r.floats(f)
	}
	return o, r.end("Odometry")
}

// Yaw is the heading in radians, for a pose on the floor.
func (o OdometryMsg) Yaw() float64 {
	q := o.Orientation
	return math.Atan2(2*(q[3]*q[2]+q[0]*q[1]), 1-2*(q[1]*q[1]+q[2]*q[2]))
}

// JointStateMsg is a sensor_msgs/JointState.
type JointStateMsg struct {
	Header                     HeaderMsg
	Names                      []string
	Position, Velocity, Effort []float64
}

// Append appends the body.
func (j JointStateMsg) Append(b []byte) []byte {
	b = j.Header.Append(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(j.Names)))
	for _, n := range j.Names {
		b = AppendString(b, n)
	}
	for _, f := range [][]float64{j.Position, j.Velocity, j.Effort} {
		b = appendFloats(binary.LittleEndian.AppendUint32(b, uint32(len(f))), f)
	}
	return b
}

// ParseJointState reads a body.
func ParseJointState(b []byte) (JointStateMsg, error) {
	r := reader{b: b}
	j := JointStateMsg{Header: r.header()}
	for range r.count(4) {
		j.Names = append(j.Names, r.str())
	}
	for _, f := range []*[]float64{&j.Position, &j.Velocity, &j.Effort} {
		*f = make([]float64, r.count(8))
		r.floats(*f)
	}
	return j, r.end("JointState")
}

// ImuMsg is the part of a sensor_msgs/Imu that the tests look at: rad/s and m/s².
type ImuMsg struct {
	Header       HeaderMsg
	Angular      [3]float64
	Acceleration [3]float64
}

// ParseImu reads a body.
func ParseImu(b []byte) (ImuMsg, error) {
	r := reader{b: b}
	m := ImuMsg{Header: r.header()}
	var orientation [4]float64
	var covariance [9]float64
	for _, f := range [][]float64{orientation[:], covariance[:], m.Angular[:], covariance[:], m.Acceleration[:], covariance[:]} {
		r.floats(f)
	}
	return m, r.end("Imu")
}

// BoolBody is the body of a std_msgs/Bool.
func BoolBody(v bool) []byte {
	if v {
		return []byte{1}
	}
	return []byte{0}
}

// StringBody is the body of a std_msgs/String.
func StringBody(s string) []byte { return AppendString(nil, s) }

// ParseString reads a std_msgs/String.
func ParseString(b []byte) (string, error) {
	r := reader{b: b}
	s := r.str()
	return s, r.end("String")
}

// ParseOutcome reads the reply of std_srvs/SetBool and std_srvs/Trigger.
func ParseOutcome(b []byte) (success bool, message string, err error) {
	r := reader{b: b}
	success = r.byte() != 0
	message = r.str()
	return success, message, r.end("SetBool reply")
}

// AppendString appends a length and the bytes.
func AppendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendFloats(b []byte, f []float64) []byte {
	for _, v := range f {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// reader takes fields off the front of a body; after the first lack of bytes all further fields are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// count reads an array's length; each element takes at least size bytes, so more cannot be there.
func (r *reader) count(size int) int {
	n := r.uint32()
	if uint64(n)*uint64(size) > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) str() string { return string(r.take(r.count(1))) }

func (r *reader) header() HeaderMsg {
	return HeaderMsg{Seq: r.uint32(), Sec: r.uint32(), Nsec: r.uint32(), Frame: r.str()}
}

func (r *reader) floats(f []float64) {
	for i := range f {
		if b := r.take(8); b != nil {
			f[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	}
}

func (r *reader) end(what string) error {
	if r.bad {
		return fmt.Errorf("wire: %s: too short", what)
	}
	if len(r.b) != 0 {
		return fmt.Errorf("wire: %s: %d bytes too many", what, len(r.b))
	}
	return nil
}
