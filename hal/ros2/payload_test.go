package ros2

import (
	"encoding/binary"
	"math"
)

// payload writes XCDR1 in either byte order, independently of package cdr, for messages that nothing here sends.
type payload struct {
	b   []byte
	big bool
}

func newPayload(big bool) *payload {
	if big {
		return &payload{b: []byte{0, 0, 0, 0}, big: true}
	}
	return &payload{b: []byte{0, 1, 0, 0}}
}

func (p *payload) raw(n int, v uint64) *payload {
	for (len(p.b)-4)%n != 0 {
		p.b = append(p.b, 0)
	}
	var t [8]byte
	if p.big {
		binary.BigEndian.PutUint64(t[:], v)
		p.b = append(p.b, t[8-n:]...)
		return p
	}
	binary.LittleEndian.PutUint64(t[:], v)
	p.b = append(p.b, t[:n]...)
	return p
}

func (p *payload) u8(v ...uint8) *payload {
	p.b = append(p.b, v...)
	return p
}

func (p *payload) u32(v uint32) *payload { return p.raw(4, uint64(v)) }

func (p *payload) f32(v ...float32) *payload {
	for _, x := range v {
		p.raw(4, uint64(math.Float32bits(x)))
	}
	return p
}

func (p *payload) f64(v ...float64) *payload {
	for _, x := range v {
		p.raw(8, math.Float64bits(x))
	}
	return p
}

func (p *payload) zeros(n int) *payload {
	for range n {
		p.f64(0)
	}
	return p
}

func (p *payload) str(s string) *payload {
	p.u32(uint32(len(s) + 1))
	p.b = append(append(p.b, s...), 0)
	return p
}

// head writes a std_msgs/Header.
func (p *payload) head(sec, nsec uint32, frame string) *payload {
	return p.u32(sec).u32(nsec).str(frame)
}

// doubles writes a sequence of float64.
func (p *payload) doubles(v ...float64) *payload { return p.u32(uint32(len(v))).f64(v...) }

func odometry(big bool, x float64) []byte {
	p := newPayload(big).head(12, 34, "odom").str("base_link").f64(x, 2, 3, 0, 0, 0, 1)
	return p.zeros(36).f64(0.5, 0, 0, 0, 0, 0.25).zeros(36).b
}

func poseStamped(big bool) []byte {
	return newPayload(big).head(12, 34, "map").f64(1, 2, 3, 0, 0, 0, 1).b
}

func poseCovariance(big bool) []byte {
	return newPayload(big).head(12, 34, "map").f64(1, 2, 3, 0, 0, 0, 1).f64(0.04).zeros(35).b
}

func transforms(big bool) []byte {
	p := newPayload(big).u32(2)
	p.head(12, 34, "map").str("odom").f64(1, 2, 3, 0, 0, 0, 1)
	return p.head(12, 34, "odom").str("base_link").f64(4, 5, 6, 0, 0, 0, 1).b
}

func jointState(big bool) []byte {
	return newPayload(big).head(12, 34, "").u32(2).str("knee").str("hip").doubles(0.1, 0.2).doubles(1, 2).doubles().b
}

func imu(big bool) []byte {
	p := newPayload(big).head(12, 34, "imu").f64(0, 0, 0, 1).f64(-1).zeros(8)
	return p.f64(1, 2, 3).zeros(9).f64(0, 0, 9.8).zeros(9).b
}

func battery(big bool) []byte {
	nan := float32(math.NaN())
	p := newPayload(big).head(12, 34, "").f32(48, nan, -2, nan, nan, nan, 0.75).u8(1, 0, 0, 1).u32(0).u32(0)
	return p.str("").str("").b
}

func twistStamped(big bool) []byte {
	return newPayload(big).head(12, 34, "base_link").f64(0.5, 0, 0, 0, 0, -1).b
}

func trajectory(big bool) []byte {
	p := newPayload(big).head(12, 34, "").u32(2).str("hip").str("knee").u32(1)
	return p.doubles(0.1, 0.2).doubles(1, 2).doubles().doubles().u32(1).u32(0).b
}

func multiArray(big bool) []byte { return newPayload(big).u32(0).u32(0).doubles(7, 8).b }
