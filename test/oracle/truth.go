package oracle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Flags say why the plant's target was not its last command.
const (
	Locked uint = 1 << iota
	Stopped
	TimedOut
	Docking
	Runaway
	// Braked means that a device keeps the drive's power away.
	Braked
)

// Sample is one row of the ground truth.
type Sample struct {
	// T is CLOCK_BOOTTIME.
	T time.Duration
	// X, Y and Yaw are the pose in the map, in metres and radians.
	X, Y, Yaw float64
	// VX, VY and W are the speeds on the floor in the robot's frame, in m/s and rad/s.
	VX, VY, W float64
	// CmdVX, CmdVY and CmdW are the last command received.
	CmdVX, CmdVY, CmdW float64
	// Flags are Locked, Stopped…
	Flags uint
}

// Speed is the speed over ground in m/s.
func (s Sample) Speed() float64 { return math.Hypot(s.VX, s.VY) }

// CmdZero says whether the last command was to stand still.
func (s Sample) CmdZero() bool { return s.CmdVX == 0 && s.CmdVY == 0 && s.CmdW == 0 }

// Event is something that happened between two rows.
type Event struct {
	// T is CLOCK_BOOTTIME.
	T time.Duration
	// Kind is the sort, such as "fault", "cmd" or "stop-service"; Text says more.
	Kind, Text string
}

// Truth is what a run left behind.
type Truth struct {
	Samples []Sample
	Events  []Event
}

const truthColumns = "t_ns,x,y,yaw,vx,vy,w,cmd_vx,cmd_vy,cmd_w,flags"

// ReadTruthFile reads a truth file.
func ReadTruthFile(name string) (Truth, error) {
	f, err := os.Open(name)
	if err != nil {
		return Truth{}, fmt.Errorf("oracle: %w", err)
	}
	defer func() { _ = f.Close() }()
	return ReadTruth(f)
}

// ReadTruth reads the plant's file. A torn last line, as a kill leaves it, is left out; anything else that is not as
// expected is an error, since a judge must not guess.
func ReadTruth(r io.Reader) (Truth, error) {
	tail := Tail{in: r}
	t, err := tail.Read()
	if err == nil && tail.lines == 0 {
		err = errors.New("oracle: truth: the file has no whole line")
	}
	return t, err
}

// Tail reads a truth file while it is being written. It is for one goroutine at a time.
type Tail struct {
	in    io.Reader
	torn  []byte
	lines int
	truth Truth
}

// NewTail follows a file from its present position on. The caller closes the file.
func NewTail(r io.Reader) *Tail { return &Tail{in: r} }

// Read returns all that has been written so far. What an earlier call returned stays as it is.
func (f *Tail) Read() (Truth, error) {
	text, err := io.ReadAll(f.in)
	if err != nil {
		return f.truth, fmt.Errorf("oracle: truth: %w", err)
	}
	f.torn = append(f.torn, text...)
	for {
		line, rest, whole := bytes.Cut(f.torn, []byte("\n"))
		if !whole {
			return f.truth, nil
		}
		f.torn = rest
		f.lines++
		if err := f.truth.addLine(f.lines, string(line)); err != nil {
			return f.truth, fmt.Errorf("oracle: truth: line %d: %w", f.lines, err)
		}
	}
}

func (t *Truth) addLine(n int, line string) error {
	switch {
	case n == 1:
		if line != truthColumns {
			return fmt.Errorf("expected the columns %s, found %s", truthColumns, line)
		}
		return nil
	case strings.HasPrefix(line, "#"):
		f := strings.SplitN(line[1:], ",", 3)
		if len(f) != 3 {
			return fmt.Errorf("expected #time,kind,text, found %q", line)
		}
		at, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return err
		}
		t.Events = append(t.Events, Event{T: time.Duration(at), Kind: f[1], Text: f[2]})
		return nil
	}
	s, err := parseSample(line)
	if err != nil {
		return err
	}
	if k := len(t.Samples); k > 0 && s.T <= t.Samples[k-1].T {
		return fmt.Errorf("time goes back from %v to %v", t.Samples[k-1].T, s.T)
	}
	t.Samples = append(t.Samples, s)
	return nil
}

func parseSample(line string) (Sample, error) {
	f := strings.Split(line, ",")
	if len(f) != 11 {
		return Sample{}, fmt.Errorf("expected 11 columns, found %d", len(f))
	}
	at, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return Sample{}, err
	}
	flags, err := strconv.ParseUint(f[10], 10, 32)
	if err != nil {
		return Sample{}, err
	}
	s := Sample{T: time.Duration(at), Flags: uint(flags)}
	for i, v := range []*float64{&s.X, &s.Y, &s.Yaw, &s.VX, &s.VY, &s.W, &s.CmdVX, &s.CmdVY, &s.CmdW} {
		if *v, err = strconv.ParseFloat(f[i+1], 64); err != nil {
			return Sample{}, err
		}
		// A command may well be NaN, if an attack sent it; the robot itself may not.
		if i < 6 && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			return Sample{}, fmt.Errorf("column %d is %v", i+2, *v)
		}
	}
	return s, nil
}

// Since cuts away all before the time.
func (t Truth) Since(from time.Duration) Truth {
	var out Truth
	for i, s := range t.Samples {
		if s.T >= from {
			out.Samples = t.Samples[i:]
			break
		}
	}
	for i, e := range t.Events {
		if e.T >= from {
			out.Events = t.Events[i:]
			break
		}
	}
	return out
}

// First is the first event of the kind whose text begins so.
func (t Truth) First(kind, prefix string) (Event, error) {
	for _, e := range t.Events {
		if e.Kind == kind && strings.HasPrefix(e.Text, prefix) {
			return e, nil
		}
	}
	return Event{}, fmt.Errorf("oracle: no event %q %q among %d", kind, prefix, len(t.Events))
}
