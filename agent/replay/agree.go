package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/recording"
	"github.com/robowarden/robowarden/hal/msg"
)

// Agreement is how far a journal and a recording of the same drive, made by somebody else, agree.
//
// What can agree is what both were told: the content of each message that the guard decided about. When it was received
// cannot: each has a clock reading of its own, and on a busy bus an order of its own. What the recorder was never told (ticks,
// the graph, connections, orders) comes from the journal as well. So each message that the guard took is looked for in the
// recording, field by field and bit by bit, put in the journalled one's place with the journalled receive time, and the
// decisions are compared by their running digests.
type Agreement struct {
	// Kinds counts by kind of message, in the words of the mapping's roles.
	Kinds map[string]KindAgreement `json:"kinds"`
	// Checked is the replay with the recording's messages in place.
	Checked *Checked `json:"checked"`
	// Warnings are what of the recording was passed over.
	Warnings []string `json:"warnings,omitempty"`
}

// KindAgreement is one kind of message.
type KindAgreement struct {
	// Journalled counts the guard's, Found those of them that the recording has, and Before those that came before the first that it
	// has: a recorder finds a topic by itself, and some time after the guard.
	Journalled int `json:"journalled"`
	Found      int `json:"found"`
	Before     int `json:"before"`
}

// Found counts the journalled messages of all kinds that the recording has.
func (a *Agreement) Found() int {
	n := 0
	for _, k := range a.Kinds {
		n += k.Found
	}
	return n
}

// Bounds of the search for a message.
const (
	// agreeAhead is how much later than the guard a recorder may have received a message.
	agreeAhead = 2 * time.Second
	// agreeQueue is how many recorded messages of one kind wait to be found.
	agreeQueue = 1 << 14
)

// Agree compares a journal with a recording: folder is the journal's, documents where the guard keeps its documents by
// content, file the recording.
func Agree(ctx context.Context, folder, documents, file string) (*Agreement, error) {
	a := &agree{documents: documents, out: &Agreement{Kinds: map[string]KindAgreement{}}}
	p := &player{params: Documents(documents), swap: a.swap}
	j, err := journal.OpenDir(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = j.Close() }()
	defer func() {
		if a.reader != nil {
			_ = a.reader.Close()
		}
	}()
	for rec, err := range j.All() {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := p.take(&rec); err != nil {
			return nil, fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		if p.start.Policy != "" && a.reader == nil {
			if err := a.open(p.start, file); err != nil {
				return nil, err
			}
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.reader == nil {
		return nil, fmt.Errorf("%w: %s has no event after a snapshot", ErrNothing, folder)
	}
	a.out.Checked, a.out.Warnings = p.Checked(), append(a.out.Warnings, a.reader.Warnings()...)
	return a.out, nil
}

// agree is a comparison under way.
type agree struct {
	documents string
	out       *Agreement
	cfg       *config.Config
	reader    recording.Reader
	router    *recording.Router
	m         recording.Message
	newest    int64
	ended     bool
	err       error
	queues    [guard.EventSecondPose + 1][][]byte
	// unnumbered is true on DDS: there the wire counts messages, and a recording has their content alone.
	unnumbered bool
	store      guard.EventStore
	buf        []byte
}

func (a *agree) open(s Start, file string) error {
	cfg, err := loadStored(a.documents, s)
	if err != nil {
		return err
	}
	a.cfg, a.unnumbered = cfg, cfg.Profile.Bus == config.BusROS2
	a.router = recording.NewRouter(cfg, a, false)
	a.reader, err = recording.Open(file, a.router.Want)
	return err
}

// words names the kinds of messages.
func words(k guard.EventKind) string {
	switch k {
	case guard.EventPose:
		return "pose"
	case guard.EventSecondPose:
		return "second pose"
	case guard.EventOdometry:
		return "odometry"
	case guard.EventTransform:
		return "transform"
	case guard.EventJoints:
		return "joints"
	case guard.EventIMU:
		return "imu"
	case guard.EventCommand:
		return "command"
	case guard.EventDevice:
		return "device"
	default:
		return ""
	}
}

// head is where a message's event has its header, nil for other events.
func head(ev *guard.Event) *msg.Header {
	switch ev.Kind {
	case guard.EventPose, guard.EventSecondPose, guard.EventOdometry:
		return &ev.Pose.Header
	case guard.EventTransform:
		return &ev.Transform.Header
	case guard.EventJoints:
		return &ev.Joints.Header
	case guard.EventIMU:
		return &ev.IMU.Header
	case guard.EventCommand:
		return &ev.Command.Header
	case guard.EventDevice:
		return &ev.Device.Header
	default:
		return nil
	}
}

// content is an event's encoding without what only its receiver knows.
func (a *agree) content(b []byte, ev *guard.Event) []byte {
	h := head(ev)
	peer, seq, boot, civil := h.Peer, h.Seq, ev.Boot, ev.Civil
	h.Peer, ev.Boot, ev.Civil = nil, 0, 0
	if a.unnumbered {
		h.Seq = 0
	}
	b = guard.AppendEvent(b, ev)
	h.Peer, h.Seq, ev.Boot, ev.Civil = peer, seq, boot, civil
	return b
}

// swap gives the recorded message for a journalled one.
func (a *agree) swap(ev *guard.Event) *guard.Event {
	name := words(ev.Kind)
	if name == "" || a.reader == nil {
		return ev
	}
	k := a.out.Kinds[name]
	k.Journalled++
	a.buf = a.content(a.buf[:0], ev)
	if found := a.find(ev); found != nil {
		if k.Found == 0 {
			k.Before = k.Journalled - 1
		}
		k.Found++
		h := head(ev)
		got, err := a.store.Decode(found)
		if err != nil {
			a.err = err
			return ev
		}
		got.Boot, got.Civil = ev.Boot, ev.Civil
		of := head(got)
		of.Peer, of.Boot = h.Peer, h.Boot
		if a.unnumbered {
			of.Seq = h.Seq
		}
		ev = got
	}
	a.out.Kinds[name] = k
	return ev
}

// find looks for a message with the content in buf among those that were recorded until a little later.
func (a *agree) find(ev *guard.Event) []byte {
	q := &a.queues[ev.Kind]
	looked := 0
	for {
		for ; looked < len(*q); looked++ {
			if bytes.Equal((*q)[looked], a.buf) {
				out := (*q)[looked]
				*q = (*q)[looked+1:] // What came before it, the guard has passed over.
				return out
			}
		}
		if a.ended || a.newest > ev.Civil+int64(agreeAhead) {
			return nil
		}
		before := len(*q)
		a.read()
		if len(*q) < before {
			looked = max(0, looked-(before-len(*q)))
		}
	}
}

// read takes one more recorded message.
func (a *agree) read() {
	err := a.reader.Next(&a.m)
	if err != nil {
		a.ended = true
		var damage *recording.Damage
		if errors.As(err, &damage) {
			a.out.Warnings = append(a.out.Warnings, damage.Error()+"; what comes before it was read")
		} else if !errors.Is(err, io.EOF) {
			a.err = err
		}
		return
	}
	a.newest = max(a.newest, a.m.Time)
	a.router.Take(&a.m, 0)
}

// keep queues a recorded message.
func (a *agree) keep(ev guard.Event) {
	q := &a.queues[ev.Kind]
	if len(*q) >= agreeQueue {
		*q = (*q)[1:]
	}
	*q = append(*q, a.content(nil, &ev))
}

// Pose implements recording.Handler, as do those that follow.
func (a *agree) Pose(m *msg.Pose) { a.keep(guard.Event{Kind: guard.EventPose, Pose: m}) }

// SecondPose keeps a pose of the second source.
func (a *agree) SecondPose(m *msg.Pose) { a.keep(guard.Event{Kind: guard.EventSecondPose, Pose: m}) }

// Odometry keeps a velocity.
func (a *agree) Odometry(m *msg.Pose) { a.keep(guard.Event{Kind: guard.EventOdometry, Pose: m}) }

// Transform keeps an edge of the tf tree.
func (a *agree) Transform(m *msg.Transform) {
	a.keep(guard.Event{Kind: guard.EventTransform, Transform: m})
}

// Joints keeps a joint state.
func (a *agree) Joints(m *msg.Joints) { a.keep(guard.Event{Kind: guard.EventJoints, Joints: m}) }

// IMU keeps an inertial measurement.
func (a *agree) IMU(m *msg.IMU) { a.keep(guard.Event{Kind: guard.EventIMU, IMU: m}) }

// Command keeps a command.
func (a *agree) Command(m *msg.Command) { a.keep(guard.Event{Kind: guard.EventCommand, Command: m}) }

// Device keeps the state of a device.
func (a *agree) Device(m *msg.Device) { a.keep(guard.Event{Kind: guard.EventDevice, Device: m}) }

// Floor is left to the journal: the guard journals the floor that it found, not the text.
func (a *agree) Floor(*msg.Text) {}

// Lock is left to the journal: only others' values are journalled.
func (a *agree) Lock(*msg.Bool) {}

// Answer is left to the journal: answers are checked with a key before they are journalled.
func (a *agree) Answer(int, *msg.Text) {}

// Fact is left to the journal: the guard journals what a value means, and how well its sender is known.
func (a *agree) Fact(int, int, *msg.Header) {}
