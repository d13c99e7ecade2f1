package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
)

// kind is a type that samples are made of: its name on the wire, how number n is written, and how it is read back.
type kind struct {
	name   string
	encode func(b []byte, n int64, size int) []byte
	decode func(r *reader) (n int64, content []byte, right bool)
}

// kinds are those of the C++ peers (src/count.hpp), written and read here by XCDR1's rules and nothing else.
var kinds = map[string]kind{
	"odometry": {"nav_msgs::msg::dds_::Odometry_", encodeOdometry, decodeOdometry},
	"twist":    {"geometry_msgs::msg::dds_::Twist_", encodeTwist, decodeTwist},
	"string":   {"std_msgs::msg::dds_::String_", encodeString, decodeString},
	"image":    {"sensor_msgs::msg::dds_::Image_", encodeImage, decodeImage},
}

var le = binary.LittleEndian

// writer appends to a payload; alignment counts from behind the encapsulation.
type writer []byte

func (w *writer) align(n int) {
	for (len(*w)-4)%n != 0 {
		*w = append(*w, 0)
	}
}

func (w *writer) u32(v uint32) {
	w.align(4)
	*w = le.AppendUint32(*w, v)
}

func (w *writer) f64(v ...float64) {
	w.align(8)
	for _, x := range v {
		*w = le.AppendUint64(*w, math.Float64bits(x))
	}
}

func (w *writer) text(s string) {
	w.u32(uint32(len(s) + 1))
	*w = append(append(*w, s...), 0)
}

func begin(b []byte) *writer {
	w := writer(append(b[:0], 0, 1, 0, 0))
	return &w
}

// reader reads a payload; bad is set when it is not as long as it says.
type reader struct {
	b   []byte
	at  int
	bad bool
}

func (r *reader) take(n, align int) []byte {
	for (r.at-4)%align != 0 {
		r.at++
	}
	if r.bad || n < 0 || r.at+n > len(r.b) {
		r.bad = true
		return make([]byte, 8)
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) u32() uint32  { return le.Uint32(r.take(4, 4)) }
func (r *reader) f64() float64 { return math.Float64frombits(le.Uint64(r.take(8, 8))) }
func (r *reader) text() string {
	n := int(r.u32())
	return strings.TrimSuffix(string(r.take(n, 1)), "\x00")
}

// byteOf is the content of sample n at place k.
func byteOf(n int64, k int) byte { return byte(k*7 + int(n)*13 + k>>8) }

func encodeOdometry(b []byte, n int64, _ int) []byte {
	w := begin(b)
	w.u32(uint32(n))
	w.u32(uint32(n % 1000))
	w.text("odom")
	w.text("base_link")
	w.f64(0.5*float64(n), -1.25, 0, 0, 0, 0, 1)
	for i := range 36 {
		w.f64(0.001 * float64(i))
	}
	w.f64(0.7, 0, 0, 0, 0, 0)
	w.f64(make([]float64, 36)...)
	return *w
}

func decodeOdometry(r *reader) (n int64, content []byte, right bool) {
	n = int64(int32(r.u32()))
	want := encodeOdometry(nil, n, 0)
	return n, r.b[4:], bytes.Equal(r.b, want)
}

func encodeTwist(b []byte, n int64, _ int) []byte {
	w := begin(b)
	w.f64(float64(n), 0, 0, 0, 0, -0.5)
	return *w
}

func decodeTwist(r *reader) (n int64, content []byte, right bool) {
	n = int64(r.f64())
	return n, r.b[4:], bytes.Equal(r.b, encodeTwist(nil, n, 0))
}

func encodeString(b []byte, n int64, size int) []byte {
	s := []byte(strconv.FormatInt(n, 10) + " ")
	for k := len(s); k < size; k++ {
		s = append(s, 'a'+byteOf(n, k)%26)
	}
	w := begin(b)
	w.text(string(s))
	return *w
}

func decodeString(r *reader) (n int64, content []byte, right bool) {
	s := r.text()
	first, _, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return n, []byte(s), err == nil && !r.bad && bytes.Equal(r.b[:r.at], encodeString(nil, n, len(s)))
}

func encodeImage(b []byte, n int64, size int) []byte {
	w := begin(b)
	w.u32(uint32(n))
	w.u32(0)
	w.text("camera")
	w.u32(480)
	w.u32(640)
	w.text("rgb8")
	*w = append(*w, 0)
	w.u32(1920)
	w.u32(uint32(size))
	for k := range size {
		*w = append(*w, byteOf(n, k))
	}
	return *w
}

func decodeImage(r *reader) (n int64, content []byte, right bool) {
	n = int64(r.u32())
	r.u32()
	right = r.text() == "camera" && r.u32() == 480 && r.u32() == 640 && r.text() == "rgb8"
	r.take(1, 1)
	right = right && r.u32() == 1920
	content = r.take(int(r.u32()), 1)
	for k, v := range content {
		right = right && v == byteOf(n, k)
	}
	return n, content, right && !r.bad
}

// digest is the FNV-1a hash of a content.
func digest(content []byte) uint64 {
	h := fnv.New64a()
	h.Write(content)
	return h.Sum64()
}

func (k kind) read(payload []byte) (n int64, content []byte, err error) {
	if len(payload) < 4 || payload[0] != 0 || payload[1] != 1 {
		return 0, nil, fmt.Errorf("ours: encapsulation % x: expected XCDR1, little endian", payload[:min(4, len(payload))])
	}
	n, content, right := k.decode(&reader{b: payload, at: 4})
	if !right {
		return n, content, fmt.Errorf("ours: the content of sample %d is another one", n)
	}
	return n, content, nil
}
