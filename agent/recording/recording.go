// Package recording reads what others recorded of a robot's bus: rosbag 1 (plain, LZ4, bzip2) and MCAP (ROS 1 and ROS 2
// messages; plain, LZ4, zstd), message by message in the order of the file. It never loads an index, never keeps more of a
// file than one message of a channel that is wanted, and never trusts a length: what is damaged is named by its offset, and
// what lies around it is read as far as it can be.
package recording

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Limits on what a file may ask for. They are far above what recorders write.
const (
	// MaxMessage is the largest message that is read, in bytes; the topic mapping allows no larger one either. Larger ones
	// are passed over.
	MaxMessage = 1 << 20
	// maxChannels bounds the channels of one file.
	maxChannels = 1 << 14
	// maxHeader bounds a rosbag record's header, and an MCAP record's part before its payload.
	maxHeader = 64 << 10
	// maxDescription bounds what describes a channel: a message definition with all that it includes.
	maxDescription = 4 << 20
	// maxUnpacked is the largest compressed chunk in bytes unpacked: a few kilobytes can stand for terabytes.
	maxUnpacked = 1 << 30
	// maxWarnings bounds how many warnings are kept by their words.
	maxWarnings = 32
)

// Encodings of messages.
const (
	// EncodingROS1 is ROS 1's serialisation.
	EncodingROS1 = "ros1"
	// EncodingCDR is ROS 2's.
	EncodingCDR = "cdr"
)

// Channel is one stream of messages: a topic as one publisher wrote it (rosbag), or a topic (MCAP).
type Channel struct {
	// ID is the file's number for it.
	ID uint32
	// Topic is its name and Type the message type, both in the spelling that the ROS generations share ("/odom",
	// "nav_msgs/Odometry").
	Topic, Type string
	// Encoding is "ros1" or "cdr"; others come as the file spells them and are not read.
	Encoding string
	// MD5 is ROS 1's sum over the definition, empty where the file has none.
	MD5 string
	// Publisher is the node that published, empty where the file does not say. It is a claim.
	Publisher string
	// Role is what a flight recording says that the channel was to the guard, such as "pose"; empty in others'.
	Role string
}

// Message is one recorded message.
type Message struct {
	Channel *Channel
	// Time is when the recorder received it, in nanoseconds since the Unix epoch.
	Time int64
	// Size is its length in bytes.
	Size int64
	// Data is its content, valid until the next message is read; nil unless the channel is wanted and the message is no
	// larger than MaxMessage.
	Data []byte
	// Offset is where in the file it lies; within a compressed chunk, where the chunk begins.
	Offset int64
}

// Reader reads one recording.
type Reader interface {
	// Next reads the next message. At the end it returns io.EOF; where it cannot go on, a *Damage.
	Next(m *Message) error
	// Offset is how far into the file it is, in bytes.
	Offset() int64
	// Warnings are what was passed over, in the order of the file.
	Warnings() []string
	// Close gives the file back.
	Close() error
}

// Want says which channels' messages are read; others come without their content.
type Want func(*Channel) bool

// Damage is a place from which a recording cannot be read on.
type Damage struct {
	// File is its name, Offset where the record begins that is damaged.
	File   string
	Offset int64
	// Expected is what should have been there, Found what was.
	Expected, Found string
	// Cut is true if the file simply ends there, as after a power cut.
	Cut bool
}

// Error says where, what was expected and what was found.
func (d *Damage) Error() string {
	return fmt.Sprintf("%s: at byte %d: expected %s, found %s", d.File, d.Offset, d.Expected, d.Found)
}

// ErrNotRecording means that a file is no recording that is read here.
var ErrNotRecording = errors.New("not a recording")

const (
	rosbagMagic = "#ROSBAG V2.0\n"
	mcapMagic   = "\x89MCAP0\r\n"
)

// Open opens a recording of either kind, told apart by its first bytes.
func Open(name string, want Want) (Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := open(name, f, want)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// open is Open for any source of bytes.
func open(name string, f io.ReadCloser, want Want) (Reader, error) {
	if want == nil {
		want = func(*Channel) bool { return false }
	}
	s := newStream(f)
	head, err := s.r.Peek(len(rosbagMagic))
	if err != nil && len(head) < len(mcapMagic) {
		return nil, fmt.Errorf("%s: %w: it has %d bytes", name, ErrNotRecording, len(head))
	}
	switch {
	case string(head) == rosbagMagic:
		return newRosbag(name, s, f, want)
	case strings.HasPrefix(string(head), mcapMagic):
		return newMCAP(name, s, f, want)
	case strings.HasPrefix(string(head), "#ROSBAG V"):
		return nil, fmt.Errorf("%s: %w: a rosbag of version %q; expected 2.0: convert it with `rosbag fix`", name, ErrNotRecording, strings.TrimSpace(string(head[8:])))
	case strings.HasPrefix(string(head), "SQLite format"):
		return nil, fmt.Errorf("%s: %w: a rosbag2 in SQLite; convert it to MCAP with `ros2 bag convert`", name, ErrNotRecording)
	}
	return nil, fmt.Errorf("%s: %w: it begins with %q; expected a rosbag 2.0 or an MCAP file", name, ErrNotRecording, head)
}

// Files lists the recordings that names stand for: a folder, as ROS 2 records into, stands for the files in it.
func Files(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, name)
			continue
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, err
		}
		n := len(out)
		for _, e := range entries {
			if x := filepath.Ext(e.Name()); x == ".bag" || x == ".mcap" || x == ".active" {
				out = append(out, filepath.Join(name, e.Name()))
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("%s: %w: the folder holds no .bag and no .mcap file", name, ErrNotRecording)
		}
	}
	return out, nil
}

// channels is the table of one file's channels.
type channels struct {
	byID map[uint32]*Channel
	want map[uint32]bool
}

func newChannels() channels { return channels{map[uint32]*Channel{}, map[uint32]bool{}} }

// add files a channel. A number that comes again with other words is refused: its messages would be read as another type.
func (c *channels) add(ch *Channel, want Want) error {
	if old := c.byID[ch.ID]; old != nil {
		if *old != *ch {
			return fmt.Errorf("channel %d again as %s of %s", ch.ID, ch.Topic, ch.Type)
		}
		return nil
	}
	if len(c.byID) >= maxChannels {
		return fmt.Errorf("more than %d channels", maxChannels)
	}
	c.byID[ch.ID], c.want[ch.ID] = ch, want(ch)
	return nil
}

// baseType is a type's name as both ROS generations spell it: without ROS 2's "/msg/", and without what the wire of DDS has in
// its place, as in "nav_msgs::msg::dds_::Odometry_".
func baseType(t string) string {
	if pkg, name, ok := strings.Cut(t, "::msg::dds_::"); ok {
		return pkg + "/" + strings.TrimSuffix(name, "_")
	}
	if pkg, name, ok := strings.Cut(t, "/msg/"); ok {
		return pkg + "/" + name
	}
	return t
}

// baseTopic is a topic's name as ROS spells it, where a recorder of DDS wrote that of the wire, such as "rt/odom".
func baseTopic(t string) string {
	if name, ok := strings.CutPrefix(t, "rt/"); ok {
		return "/" + name
	}
	return t
}

// warnings gathers what was passed over, each kind once with its count.
type warnings struct {
	list []string
	more int
}

func (w *warnings) warn(format string, a ...any) {
	if len(w.list) >= maxWarnings {
		w.more++
		return
	}
	w.list = append(w.list, fmt.Sprintf(format, a...))
}

func (w *warnings) all() []string {
	out := slices.Clone(w.list)
	if w.more > 0 {
		out = append(out, fmt.Sprintf("and %d more of such places", w.more))
	}
	return out
}

// Summary is what a scan of a recording found.
type Summary struct {
	File  string
	Bytes int64
	// First and Last are the times of the first and the newest message, 0 without any.
	First, Last int64
	Messages    uint64
	Channels    []ChannelCount
	Warnings    []string
	// Damage is where the file could not be read on, nil if it was read to its end.
	Damage *Damage
}

// ChannelCount is a channel with the number of its messages.
type ChannelCount struct {
	Channel
	Messages uint64
}

// Scan reads a whole recording without its messages' content. step is told how many bytes are done, and ends the scan by
// returning false.
func Scan(name string, step func(done int64) bool) (Summary, error) {
	out := Summary{File: name}
	r, err := Open(name, nil)
	if err != nil {
		return out, err
	}
	defer func() { _ = r.Close() }()
	if info, err := os.Stat(name); err == nil {
		out.Bytes = info.Size()
	}
	count := map[*Channel]uint64{}
	var m Message
	for {
		if err = r.Next(&m); err != nil {
			break
		}
		if out.Messages++; out.Messages%4096 == 0 && step != nil && !step(r.Offset()) {
			break
		}
		count[m.Channel]++
		if out.First == 0 || m.Time < out.First {
			out.First = m.Time
		}
		out.Last = max(out.Last, m.Time)
	}
	for ch, n := range count {
		out.Channels = append(out.Channels, ChannelCount{*ch, n})
	}
	slices.SortFunc(out.Channels, func(a, b ChannelCount) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ID, b.ID))
	})
	out.Warnings = r.Warnings()
	if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &out.Damage) {
		return out, err
	}
	return out, nil
}
