package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/recording/recordingtest"
)

// nothing closes nothing.
type nothing struct{ io.Reader }

func (nothing) Close() error { return nil }

// all reads a recording from memory.
func all(raw []byte) (list []recordingtest.Message, warn []string, err error) {
	r, err := open("x", nothing{bytes.NewReader(raw)}, func(*Channel) bool { return true })
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var m Message
	for {
		if err = r.Next(&m); err != nil {
			break
		}
		c := m.Channel
		list = append(list, recordingtest.Message{
			Conn: c.ID, Topic: c.Topic, Type: c.Type, Publisher: c.Publisher, MD5: c.MD5, Time: m.Time, Data: bytes.Clone(m.Data),
		})
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return list, r.Warnings(), err
}

// difference is the first message in which two lists differ, empty if they do not.
func difference(want, got []recordingtest.Message) string {
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(want[i], got[i]) {
			return fmt.Sprintf("message %d: expected %.300v, found %.300v", i, want[i], got[i])
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("expected %d messages, found %d", len(want), len(got))
	}
	return ""
}

func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// mcapOf is the drive as an MCAP file.
func mcapOf(tb testing.TB, compression string, ros2 bool) []byte {
	tb.Helper()
	var b bytes.Buffer
	recordingtest.WriteMCAP(tb, &b, recordingtest.Bag(tb, "testdata/drive-none.bag"), compression, ros2)
	return b.Bytes()
}

func TestBagsReadAsByAnotherReader(t *testing.T) {
	// Theirs loses the end of a chunk of bzip2, so that one is compared with the same drive in LZ4.
	for name, as := range map[string]string{"drive-none.bag": "drive-none.bag", "drive-lz4.bag": "drive-lz4.bag", "drive-bz2.bag": "drive-lz4.bag"} {
		got, warn, err := all(fixture(t, name))
		if err != nil || len(warn) > 0 {
			t.Fatalf("%s: %v %q", name, err, warn)
		}
		want := recordingtest.Bag(t, filepath.Join("testdata", as))
		if len(want) < 100 {
			t.Fatalf("%s: the other reader finds %d messages", name, len(want))
		}
		if diff := difference(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMCAPHoldsWhatTheBagHeld(t *testing.T) {
	want := recordingtest.Bag(t, "testdata/drive-none.bag")
	for _, c := range []string{"", "lz4", "zstd"} {
		for _, ros2 := range []bool{false, true} {
			got, warn, err := all(mcapOf(t, c, ros2))
			if err != nil || len(warn) > 0 {
				t.Fatalf("%q: %v %q", c, err, warn)
			}
			for i := range got {
				got[i].Conn--
				if ros2 && bytes.Equal(got[i].Data, recordingtest.CDR(t, want[i].Type, want[i].Data)) {
					got[i].Data, got[i].Publisher, got[i].MD5 = want[i].Data, want[i].Publisher, want[i].MD5
				}
			}
			if diff := difference(want, got); diff != "" {
				t.Errorf("%q, ros2 %t: %s", c, ros2, diff)
			}
		}
	}
}

// TestCutAnywhere cuts recordings at many places: what comes before is read as it is, and the cut is told with its place.
func TestCutAnywhere(t *testing.T) {
	for name, raw := range map[string][]byte{
		"none": fixture(t, "drive-none.bag"), "lz4": fixture(t, "drive-lz4.bag"), "bz2": fixture(t, "drive-bz2.bag"),
		"mcap": mcapOf(t, "", false), "mcap zstd": mcapOf(t, "zstd", true),
	} {
		whole, _, err := all(raw)
		if err != nil {
			t.Fatal(err)
		}
		for cutAt := len(raw) / 97; cutAt < len(raw); cutAt += max(1, len(raw)/97) {
			got, warn, err := all(raw[:cutAt])
			if errors.Is(err, ErrNotRecording) {
				continue
			}
			if len(got) > len(whole) || difference(whole[:min(len(whole), len(got))], got) != "" {
				t.Fatalf("%s cut at %d: %d messages that are not the first of the whole's %d", name, cutAt, len(got), len(whole))
			}
			var d *Damage
			if len(got) < len(whole) && len(warn) == 0 && !errors.As(err, &d) {
				t.Errorf("%s cut at %d: %d of %d messages, and nothing is said: %v", name, cutAt, len(got), len(whole), err)
			}
			if errors.As(err, &d) && (d.Offset < 0 || d.Offset > int64(cutAt) || !d.Cut) {
				t.Errorf("%s cut at %d: %+v", name, cutAt, d)
			}
		}
	}
}

// record is one record of a bag.
func record(fields map[string]string, data string) string {
	var head strings.Builder
	for k, v := range fields {
		head.WriteString(le32(len(k)+1+len(v)) + k + "=" + v)
	}
	return le32(head.Len()) + head.String() + le32(len(data)) + data
}

func le32(n int) string {
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
}

func TestHostileRecordings(t *testing.T) {
	conn := record(map[string]string{"op": "\x07", "conn": le32(0), "topic": "/a"}, le32(len("type=std_msgs/Bool"))+"type=std_msgs/Bool")
	message := record(map[string]string{"op": "\x02", "conn": le32(0), "time": le32(5) + le32(6)}, "\x01")
	chunk := func(compression string, size int, data string) string {
		return record(map[string]string{"op": "\x05", "compression": compression, "size": le32(size)}, data)
	}
	many := strings.Builder{}
	for i := range maxChannels + 2 {
		many.WriteString(record(map[string]string{"op": "\x07", "conn": le32(i), "topic": "/a"}, ""))
	}
	for _, c := range []struct {
		name, raw string
		read      int
		says      string
	}{
		{"sound", chunk("none", 0, conn+message) + chunk("none", 0, message), 2, ""},
		{"header of 4 GB", le32(-1) + "xx", 0, "header of at most 65536 bytes, found one of 4294967295"},
		{"field beyond its header", le32(8) + le32(200) + "op=\x02" + le32(0), 0, "field of at most 4 bytes"},
		{"field without =", record(nil, "") + le32(7) + le32(3) + "abc" + le32(0), 0, "known kind"},
		{"unknown kind", record(map[string]string{"op": "\x55"}, ""), 0, "kind 0x55"},
		{"a chunk in a chunk", chunk("none", 0, conn+chunk("none", 0, message)) + chunk("none", 0, message), 1, "chunk in a chunk"},
		{"unknown compression", chunk("zip", 0, conn+message) + chunk("none", 0, conn+message), 1, `found "zip"`},
		{"rubbish as lz4", chunk("lz4", 100, "rubbish rubbish") + chunk("none", 0, conn+message), 1, "chunk at byte 13"},
		{"rubbish as bz2", chunk("bz2", 100, "rubbish rubbish") + chunk("none", 0, conn+message), 1, "chunk at byte 13"},
		{"2 GB unpacked", chunk("lz4", 1<<31, "rubbish") + chunk("none", 0, conn+message), 1, "at most 1073741824 bytes unpacked, found 2147483648; it is not read"},
		{"message of nobody", chunk("none", 0, message+conn+message), 1, "unknown connection"},
		{"connection of 2 GB", le32(33) + le32(4) + "op=\x07" + le32(9) + "conn=" + le32(0) + le32(8) + "topic=/a" + le32(1<<31-1), 0, "at most 4194304 bytes"},
		{"message of 2 GB", chunk("none", 0, conn) + le32(38) + le32(4) + "op=\x02" + le32(9) + "conn=" + le32(0) + le32(13) + "time=" + le32(1) + le32(1) + le32(1<<31-1), 0, "end of the file"},
		{"index of 2 GB", chunk("none", 0, conn+message) + le32(8) + le32(4) + "op=\x04" + le32(1<<31-1), 1, "end of the file"},
		{"conn again as another", chunk("none", 0, conn+message+strings.Replace(conn, "/a", "/b", 1)+message) + chunk("none", 0, message), 2, "each connection once"},
		{"too many connections", many.String(), 0, "more than 16384 channels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, warn, err := all([]byte(rosbagMagic + c.raw))
			said := fmt.Sprint(warn, err)
			if len(got) != c.read || c.says == "" && said != "[] <nil>" || !strings.Contains(said, c.says) {
				t.Errorf("%d messages, said %s; expected %d and %q", len(got), said, c.read, c.says)
			}
		})
	}
}

// TestChecksumOfAChunk changes a byte within an uncompressed chunk: that is told, although the message looks sound.
func TestChecksumOfAChunk(t *testing.T) {
	raw := mcapOf(t, "", false)
	i := bytes.Index(raw, []byte("left_knee_joint"))
	raw[i] ^= 1
	if _, warn, err := all(raw); err != nil || len(warn) != 1 || !strings.Contains(warn[0], "checksum") {
		t.Errorf("%q %v; expected a warning of the checksum", warn, err)
	}
}

func TestOtherFiles(t *testing.T) {
	for raw, says := range map[string]string{
		"":                            "0 bytes",
		"#ROSBAG V1.2\nxxx":           "rosbag fix",
		"SQLite format 3\x00aaaaaaaa": "ros2 bag convert",
		"PK\x03\x04 and more of it":   "it begins with",
	} {
		if _, _, err := all([]byte(raw)); !errors.Is(err, ErrNotRecording) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.12q: %v; expected %q", raw, err, says)
		}
	}
}

// TestScan counts what there is.
func TestScan(t *testing.T) {
	s, err := Scan("testdata/drive-lz4.bag", nil)
	if err != nil || s.Damage != nil {
		t.Fatal(err, s.Damage)
	}
	want := recordingtest.Bag(t, "testdata/drive-lz4.bag")
	if s.Messages != uint64(len(want)) || s.First != want[0].Time || s.Last < s.First || len(s.Channels) != 9 {
		t.Errorf("%d messages on %d channels from %d", s.Messages, len(s.Channels), s.First)
	}
}

// TestNamesThatCommandTerminals reads names with what a terminal would obey.
func TestNamesThatCommandTerminals(t *testing.T) {
	const evil = "/a\x1b]52;c;AAAA\x07\r\nverified\xff\u202e\x9b"
	conn := record(map[string]string{"op": "\x07", "conn": le32(0), "topic": evil}, le32(len("callerid=")+len(evil))+"callerid="+evil)
	message := record(map[string]string{"op": "\x02", "conn": le32(0), "time": le32(5) + le32(6)}, "\x01")
	r, err := open("hostile", io.NopCloser(strings.NewReader(rosbagMagic+conn+message)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := r.Next(&m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{m.Channel.Topic, m.Channel.Publisher} {
		if want := "/a?]52;c;AAAA???verified???"; name != want {
			t.Errorf("%q, expected %q", name, want)
		}
	}
}

// TestMCAPThatUnpacksWithoutEnd says of a chunk that it unpacks to a terabyte: it is passed over, the others are read.
func TestMCAPThatUnpacksWithoutEnd(t *testing.T) {
	raw := mcapOf(t, "zstd", false)
	sound, _, _ := all(raw)
	i := len(mcapMagic)
	for raw[i] != mcapChunk {
		i += 9 + int(binary.LittleEndian.Uint64(raw[i+1:])) //nolint:gosec // our own file
	}
	binary.LittleEndian.PutUint64(raw[i+9+16:], 1<<40)
	got, warn, err := all(raw)
	if said := fmt.Sprint(warn, err); len(got) >= len(sound) || !strings.Contains(said, "bytes unpacked, found 1099511627776; it is not read") {
		t.Errorf("%d of %d messages, said %s", len(got), len(sound), said)
	}
}

// TestNamesOfTheWire reads topics and types as a recorder of DDS writes them, which knows nothing of ROS.
func TestNamesOfTheWire(t *testing.T) {
	for recorded, want := range map[string]string{
		"nav_msgs::msg::dds_::Odometry_": "nav_msgs/Odometry", "nav_msgs/msg/Odometry": "nav_msgs/Odometry", "nav_msgs/Odometry": "nav_msgs/Odometry",
		"unitree_hg::msg::dds_::LowState_": "unitree_hg/LowState", "Plain::Type": "Plain::Type", "::msg::dds_::": "/",
	} {
		if got := baseType(recorded); got != want {
			t.Errorf("type %s: %s, expected %s", recorded, got, want)
		}
	}
	for recorded, want := range map[string]string{"rt/odom": "/odom", "/odom": "/odom", "rt": "rt", "rq/x": "rq/x", "/rt/odom": "/rt/odom"} {
		if got := baseTopic(recorded); got != want {
			t.Errorf("topic %s: %s, expected %s", recorded, got, want)
		}
	}
}
