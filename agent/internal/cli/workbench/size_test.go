//go:build qualify

package workbench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foxglove/mcap/go/mcap"

	"github.com/robowarden/robowarden/agent/recording/recordingtest"
	"github.com/robowarden/robowarden/agent/replay"
)

// hz is how often poses, velocities, joints and the inertial unit come in the recordings made here.
const hz = 100

// sink is where a long recording goes.
type sink interface {
	channel(id uint16, m *recordingtest.Message)
	message(id uint16, at int64, data []byte)
	close()
}

// long writes a robot's messages again and again, with times that go on and a place that moves to and fro, until the file has
// so many bytes. It returns how long the drive is.
func long(t *testing.T, name string, size int64) time.Duration {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	out := &counter{w: bufio.NewWriterSize(f, 1<<20)}
	var s sink
	if strings.HasSuffix(name, ".mcap") {
		s = newMCAPSink(t, out)
	} else {
		s = newBagSink(t, out)
	}
	var first []recordingtest.Message
	seen := map[string]bool{}
	for _, m := range recordingtest.Bag(t, drives+"drive-lz4.bag") {
		if !seen[m.Topic] && m.Topic != "/cmd_vel_raw" {
			seen[m.Topic] = true
			first = append(first, m)
			s.channel(uint16(len(first)), &first[len(first)-1]) //nolint:gosec // a handful
		}
	}
	begun := first[0].Time
	var tick int64
	for ; out.n < size; tick++ {
		at := begun + tick*int64(time.Second)/hz
		for i := range first {
			m := &first[i]
			stamped := strings.HasPrefix(m.Type, "nav_msgs") || strings.HasPrefix(m.Type, "geometry_msgs") || strings.HasPrefix(m.Type, "sensor_msgs")
			if often := stamped && m.Topic != "/battery"; !often && tick%hz != int64(i) {
				continue
			}
			if stamped {
				binary.LittleEndian.PutUint32(m.Data[4:], uint32(at/1e9)) //nolint:gosec // a time of this century
				binary.LittleEndian.PutUint32(m.Data[8:], uint32(at%1e9)) //nolint:gosec // below 1e9
			}
			if m.Type == "geometry_msgs/PoseWithCovarianceStamped" {
				// Ten centimetres to and fro in a minute.
				x := 16 + binary.LittleEndian.Uint32(m.Data[12:])
				put(m, x, 0.05*math.Sin(float64(tick)*2*math.Pi/60/hz))
			}
			s.message(uint16(i+1), at+int64(i), m.Data) //nolint:gosec // a handful
		}
	}
	s.close()
	if err := out.w.Flush(); err != nil {
		t.Fatal(err)
	}
	return time.Duration(tick) * time.Second / hz
}

var origin = map[*recordingtest.Message]float64{}

func put(m *recordingtest.Message, at uint32, off float64) {
	if _, ok := origin[m]; !ok {
		origin[m] = math.Float64frombits(binary.LittleEndian.Uint64(m.Data[at:]))
	}
	binary.LittleEndian.PutUint64(m.Data[at:], math.Float64bits(origin[m]+off))
}

type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return c.w.Write(b)
}

// mcapSink writes by Foxglove's library.
type mcapSink struct {
	t *testing.T
	w *mcap.Writer
}

func newMCAPSink(t *testing.T, out io.Writer) *mcapSink {
	w, err := mcap.NewWriter(out, &mcap.WriterOptions{Chunked: true, ChunkSize: 1 << 20, IncludeCRC: true})
	s := &mcapSink{t, w}
	s.check(err)
	s.check(w.WriteHeader(&mcap.Header{Profile: "ros1"}))
	return s
}

func (s *mcapSink) check(err error) {
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *mcapSink) channel(id uint16, m *recordingtest.Message) {
	s.check(s.w.WriteSchema(&mcap.Schema{ID: id, Name: m.Type, Encoding: "ros1msg", Data: []byte("# not needed")}))
	s.check(s.w.WriteChannel(&mcap.Channel{ID: id, SchemaID: id, Topic: m.Topic, MessageEncoding: "ros1", Metadata: map[string]string{"callerid": m.Publisher, "md5sum": m.MD5}}))
}

func (s *mcapSink) message(id uint16, at int64, data []byte) {
	s.check(s.w.WriteMessage(&mcap.Message{ChannelID: id, LogTime: uint64(at), PublishTime: uint64(at), Data: data})) //nolint:gosec // a time of this century
}

func (s *mcapSink) close() { s.check(s.w.Close()) }

// bagSink writes a rosbag 2.0 as a recorder that was killed leaves it: without an index.
type bagSink struct {
	t     *testing.T
	out   io.Writer
	chunk bytes.Buffer
}

func newBagSink(t *testing.T, out io.Writer) *bagSink {
	_, err := io.WriteString(out, "#ROSBAG V2.0\n"+bagRecord("op=\x03", ""))
	if err != nil {
		t.Fatal(err)
	}
	return &bagSink{t: t, out: out}
}

func text32(s string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
} //nolint:gosec // short

func bagRecord(fields ...string) string {
	var head strings.Builder
	for _, f := range fields[:len(fields)-1] {
		head.WriteString(text32(f))
	}
	return text32(head.String()) + text32(fields[len(fields)-1])
}

func u32(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }

func (s *bagSink) channel(id uint16, m *recordingtest.Message) {
	s.chunk.WriteString(bagRecord("op=\x07", "conn="+u32(uint32(id)), "topic="+m.Topic,
		text32("type="+m.Type)+text32("md5sum="+m.MD5)+text32("callerid="+m.Publisher)))
}

func (s *bagSink) message(id uint16, at int64, data []byte) {
	s.chunk.WriteString(bagRecord("op=\x02", "conn="+u32(uint32(id)), "time="+u32(uint32(at/1e9))+u32(uint32(at%1e9)), string(data))) //nolint:gosec // a time of this century
	if s.chunk.Len() > 768<<10 {
		s.close()
	}
}

func (s *bagSink) close() {
	_, err := io.WriteString(s.out, bagRecord("op=\x05", "compression=none", "size="+u32(uint32(s.chunk.Len())), s.chunk.String())) //nolint:gosec // below a mebibyte
	if err != nil {
		s.t.Fatal(err)
	}
	s.chunk.Reset()
}

// TestLargeRecordings replays a tenth of a gigabyte and a whole one of poses, velocities, joints and an inertial unit at 100 Hz, all
// of which are read, with a report: the second takes no more than 16 MB more memory, and both at least a hundredth of the drive's
// time in processor time.
func TestLargeRecordings(t *testing.T) {
	const mostMore, leastSpeed = 16e6, 100
	for _, kind := range []string{"bag", "mcap"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			var rss [2]float64
			for i, size := range []int64{100e6, 1e9} {
				name := filepath.Join(dir, "drive."+kind)
				took := long(t, name, size)
				c := command(t, append([]string{"replay", name, "--json", "--html", filepath.Join(dir, "report.html")}, demoFlags()...)...)
				var out, said bytes.Buffer
				c.Stdout, c.Stderr = &out, &said
				begun := time.Now()
				if err := c.Run(); err != nil {
					t.Fatalf("%v: %s", err, said.String())
				}
				wall := time.Since(begun)
				var r replay.Report
				if err := json.Unmarshal(out.Bytes(), &r); err != nil {
					t.Fatal(err)
				}
				usage := c.ProcessState.SysUsage().(*syscall.Rusage) //nolint:forcetypeassert // Linux
				cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
				rss[i] = float64(usage.Maxrss) * 1024
				speed := took.Seconds() / cpu.Seconds()
				t.Logf("%d MB, %v of driving, %d messages, %d decisions, %d events: %v of processor time (%.0f times real time), %v by the clock, %.1f MB resident",
					size/1e6, took.Round(time.Second), r.Files[0].Messages, r.Events, len(r.Timeline.Entries), cpu.Round(time.Millisecond), speed, wall.Round(time.Millisecond), rss[i]/1e6)
				if math.Abs(r.DurationS-took.Seconds()) > 1 || r.Partial != "" {
					t.Errorf("%.0f s were replayed, %q", r.DurationS, r.Partial)
				}
				if speed < leastSpeed {
					t.Errorf("%.0f times real time, expected at least %d", speed, leastSpeed)
				}
			}
			if more := rss[1] - rss[0]; more > mostMore {
				t.Errorf("a gigabyte takes %.1f MB more than a tenth of it, expected at most %.0f", more/1e6, mostMore/1e6)
			}
		})
	}
}

// TestInterrupted sends SIGINT in the middle of a replay, seen by how far the program has read the file the second time.
func TestInterrupted(t *testing.T) {
	name := filepath.Join(t.TempDir(), "drive.mcap")
	long(t, name, 100e6)
	c := command(t, append([]string{"replay", name}, demoFlags()...)...)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var far int64
	for second := false; !second || far < 1e6; {
		at := position(c.Process.Pid, name)
		if at < 0 {
			continue
		}
		second = second || at < far
		far = at
		if c.Process.Signal(syscall.Signal(0)) != nil {
			t.Fatal("it ended before it was interrupted")
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(out.String(), "interrupted at byte ") || !strings.Contains(out.String(), "summary") {
		t.Errorf("exit %d, %s", code, out.String())
	}
}

// position is how far a process has read a file, -1 if it has not opened it.
func position(pid int, name string) int64 {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, l := range links {
		if to, err := os.Readlink(l); err != nil || to != name {
			continue
		}
		raw, _ := os.ReadFile(strings.Replace(l, "/fd/", "/fdinfo/", 1))
		var at int64
		if _, err := fmt.Sscanf(string(raw), "pos:\t%d", &at); err == nil {
			return at
		}
	}
	return -1
}
