// Package recordingtest turns recordings of ROS 1 into MCAP files for tests: with their ROS 1 messages, or with the same
// content serialised as ROS 2 does. It writes with Foxglove's library and shares no code with the readers.
package recordingtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/foxglove/go-rosbag"
	"github.com/foxglove/mcap/go/mcap"

	"github.com/robowarden/robowarden/hal/ros2/cdr/cdrtest"
)

// Message is one message of a bag, as Foxglove's reader finds it.
type Message struct {
	Conn                   uint32
	Topic, Type, Publisher string
	MD5                    string
	Time                   int64
	Data                   []byte
}

// Bag reads a whole bag with Foxglove's reader.
func Bag(tb testing.TB, file string) []Message {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := rosbag.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	it, err := r.Messages(rosbag.ScanLinear(true))
	if err != nil {
		tb.Fatal(err)
	}
	var out []Message
	for it.More() {
		c, m, err := it.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if m == nil {
			continue
		}
		one := Message{Conn: c.Conn, Topic: c.Topic, Type: c.Data.Type, MD5: c.Data.MD5Sum, Time: int64(m.Time), Data: append([]byte(nil), m.Data...)} //nolint:gosec // a time of this century
		if c.Data.CallerID != nil {
			one.Publisher = *c.Data.CallerID
		}
		out = append(out, one)
	}
	return out
}

// WriteMCAP writes messages as an MCAP file; with ros2 true they are serialised as ROS 2 does.
func WriteMCAP(tb testing.TB, out io.Writer, list []Message, compression string, ros2 bool) {
	tb.Helper()
	w, err := mcap.NewWriter(out, &mcap.WriterOptions{
		Chunked: true, ChunkSize: 64 << 10, Compression: mcap.CompressionFormat(compression), IncludeCRC: true,
	})
	check(tb, err)
	profile, encoding := "ros1", "ros1"
	if ros2 {
		profile, encoding = "ros2", "cdr"
	}
	check(tb, w.WriteHeader(&mcap.Header{Profile: profile, Library: "recordingtest"}))
	ids := map[uint32]bool{}
	for i := range list {
		m := &list[i]
		id, typ := uint16(m.Conn)+1, m.Type //nolint:gosec // a handful
		data := m.Data
		meta := map[string]string{"callerid": m.Publisher, "md5sum": m.MD5}
		if ros2 {
			typ = strings.Replace(m.Type, "/", "/msg/", 1)
			data, meta = CDR(tb, m.Type, m.Data), nil
		}
		if !ids[m.Conn] {
			ids[m.Conn] = true
			check(tb, w.WriteSchema(&mcap.Schema{ID: id, Name: typ, Encoding: encoding + "msg", Data: []byte("# not needed")}))
			check(tb, w.WriteChannel(&mcap.Channel{ID: id, SchemaID: id, Topic: m.Topic, MessageEncoding: encoding, Metadata: meta}))
		}
		check(tb, w.WriteMessage(&mcap.Message{ChannelID: id, Sequence: uint32(i), LogTime: uint64(m.Time), PublishTime: uint64(m.Time), Data: data})) //nolint:gosec // small
	}
	check(tb, w.Close())
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// forms describes messages field by field: H header, s string, S strings, D doubles, F floats, b byte, and a number before d
// or f for so many doubles or floats.
func forms(typ string) string {
	return map[string]string{
		"geometry_msgs/PoseWithCovarianceStamped": "H 43d",
		"nav_msgs/Odometry":                       "H s 43d 42d",
		"sensor_msgs/JointState":                  "H S D D D",
		"sensor_msgs/Imu":                         "H 37d",
		"sensor_msgs/BatteryState":                "H 7f b b b b F F s s",
		"geometry_msgs/Twist":                     "6d",
		"std_msgs/String":                         "s",
		"std_msgs/Bool":                           "b",
	}[typ]
}

// CDR serialises a ROS 1 message as ROS 2 does.
func CDR(tb testing.TB, typ string, b []byte) []byte {
	tb.Helper()
	w := cdrtest.New(false)
	u32 := func() uint32 { v := binary.LittleEndian.Uint32(b); b = b[4:]; return v }
	str := func() string { n := u32(); v := string(b[:n]); b = b[n:]; return v }
	f64 := func() float64 { v := math.Float64frombits(binary.LittleEndian.Uint64(b)); b = b[8:]; return v }
	form := forms(typ)
	if form == "" {
		tb.Fatalf("no form of %s", typ)
	}
	for f := range strings.FieldsSeq(form) {
		n := 0
		_, _ = fmt.Sscanf(f, "%d", &n)
		switch f[len(f)-1] {
		case 'H':
			u32()
			sec, nsec := u32(), u32()
			w.U32(sec, nsec).Str(str())
		case 's':
			w.Str(str())
		case 'S':
			list := make([]string, u32())
			for i := range list {
				list[i] = str()
			}
			w.Strs(list)
		case 'D':
			list := make([]float64, u32())
			for i := range list {
				list[i] = f64()
			}
			w.F64s(list)
		case 'F':
			k := u32()
			w.U32(k)
			for range k {
				w.F32(math.Float32frombits(u32()))
			}
		case 'b':
			w.U8(b[0])
			b = b[1:]
		case 'd':
			for range n {
				w.F64(f64())
			}
		case 'f':
			for range n {
				w.F32(math.Float32frombits(u32()))
			}
		}
	}
	return w.Bytes()
}
