package contract

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Versions of the contract that this program speaks.
const (
	// Version is the newest. 4 knows [FrameCounterRequest] and [FrameCounter].
	Version = 4
	// VersionCounter is the first that knows them.
	VersionCounter = 4
	// OldestVersion is the oldest.
	OldestVersion = 3
)

// Role is what the program at the other end is.
type Role string

// Roles that may connect to the guard.
const (
	// Steward looks up which process is behind a connection.
	Steward Role = "steward"
	// Courier speaks to the network.
	Courier Role = "courier"
)

// Types of frames. The first byte of a connection's first packet also decides what the connection is: [FrameHello] opens
// a lasting one, [FrameOrder] and [FrameStatusRequest] are the tools' single questions.
const (
	// FrameHello opens a lasting connection: [Hello].
	FrameHello byte = 'H'
	// FrameWelcome answers it: [Welcome].
	FrameWelcome byte = 'W'
	// FrameOrder carries a signed order to the guard, unread: the DSSE envelope itself.
	FrameOrder byte = 'O'
	// FrameReceipt says what became of a frame: [Receipt].
	FrameReceipt byte = 'R'
	// FrameProcesses is the steward's leased facts: [Processes].
	FrameProcesses byte = 'P'
	// FrameDevices is the steward's leased fact about recording devices: [Devices].
	FrameDevices byte = 'V'
	// FramePeers tells the steward the guard's real connections: [Peers].
	FramePeers byte = 'Q'
	// FrameSession is the courier's leased claim about its session: [Session].
	FrameSession byte = 'T'
	// FrameHead tells the courier how far the guard's journal has come: [Head].
	FrameHead byte = 'D'
	// FrameCheckpoint returns a signed head to the guard: [Checkpoint].
	FrameCheckpoint byte = 'C'
	// FrameCounterRequest asks the courier for the TPM's word about its counter: [CounterRequest].
	FrameCounterRequest byte = 'N'
	// FrameCounter brings it, or says why not: [Counter].
	FrameCounter byte = 'M'
	// FrameStatusRequest asks for the guard's status; its body is empty.
	FrameStatusRequest byte = 'S'
	// FrameTrial is a technician's single question about a proof test: [TrialRequest], answered by [TrialReport].
	FrameTrial byte = 'L'
	// FrameStatus is the guard's status, a JSON object that only people and pages interpret.
	FrameStatus byte = 's'
	// FrameAcknowledged carries the consumer's signed acknowledgement: [Acknowledged].
	FrameAcknowledged byte = 'A'
	// FrameKeys tells the courier the key lists in force: [Keys].
	FrameKeys byte = 'K'
	// FrameArtifacts is the steward's leased facts about artifacts: [Artifacts].
	FrameArtifacts byte = 'F'
	// FrameError says that a frame could not be taken: [Failure].
	FrameError byte = 'E'
)

// Bounds on what is sent.
const (
	// MaxPacket is the largest packet in bytes, type and id included. A larger body comes as a sealed memfd.
	MaxPacket = 60 << 10
	// MaxDocument is the largest body in bytes.
	MaxDocument = 6 << 20
	// headBytes is what stands before a frame's body.
	headBytes = 5
)

// Frame is one message on a lasting connection.
type Frame struct {
	// Type is one of the frame types.
	Type byte
	// ID comes back in the answer; 0 wants none.
	ID uint32
	// Body is what the type says, mostly JSON.
	Body []byte
}

// Errors of frames. A connection on which one of them happens is of no further use.
var (
	// ErrShort means that a packet is too short for a frame.
	ErrShort = errors.New("expected a type byte and four bytes of id")
	// ErrType means that a frame's type is unknown.
	ErrType = errors.New("unknown frame type")
	// ErrTooLarge means that a body is larger than its type may be.
	ErrTooLarge = errors.New("body too large")
)

// MaxBody is the largest body of a frame type in bytes; false for a type that does not exist.
func MaxBody(frame byte) (int, bool) {
	const small = MaxPacket - headBytes
	switch frame {
	case FrameOrder, FrameKeys:
		return MaxDocument, true
	case FrameStatus, FramePeers, FrameProcesses, FrameDevices:
		return 1 << 20, true
	case FrameStatusRequest:
		return 0, true
	case FrameHello, FrameWelcome, FrameReceipt, FrameSession, FrameHead, FrameCheckpoint, FrameAcknowledged, FrameArtifacts, FrameError,
		FrameCounterRequest, FrameCounter:
		return small, true
	}
	return 0, false
}

// check says whether the frame may exist at all.
func (f *Frame) check() error {
	most, ok := MaxBody(f.Type)
	switch {
	case !ok:
		return fmt.Errorf("%w: %q", ErrType, f.Type)
	case len(f.Body) > most:
		return fmt.Errorf("%w: frame %q takes at most %d bytes, found %d", ErrTooLarge, f.Type, most, len(f.Body))
	}
	return nil
}

// AppendFrame appends the packet that carries the frame. A frame whose packet would be larger than [MaxPacket] needs a
// memfd instead.
func AppendFrame(b []byte, f Frame) []byte {
	b = append(b, f.Type)
	b = binary.LittleEndian.AppendUint32(b, f.ID)
	return append(b, f.Body...)
}

// ParseFrame reads a packet. The body shares its bytes.
func ParseFrame(packet []byte) (Frame, error) {
	if len(packet) < headBytes {
		return Frame{}, fmt.Errorf("%w, found %d bytes", ErrShort, len(packet))
	}
	f := Frame{Type: packet[0], ID: binary.LittleEndian.Uint32(packet[1:]), Body: packet[headBytes:]}
	return f, f.check()
}
