package guard

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// MaxEndpoints is the largest number of heartbeat endpoints.
const MaxEndpoints = 16

// Effects is what the world has to be told after one event. It is a plain value, so that the runtime can copy it out
// of the lock and act on it there.
type Effects struct {
	// Seq grows by one with every event; whoever publishes drops what is older than what went out already.
	Seq uint64
	// Send asks for Command on the gated output.
	Send    bool
	Command msg.Twist
	// SendLock asks for Locked on the lock topic.
	SendLock, Locked bool
	// Rungs has bit i set while rung i of the stop ladder is asserted, and bit PostureRung+i while step i of the way down is
	// demanded of its own service; Calls counts what is asked anew. RungsChanged is true when one of them is new.
	Rungs        uint32
	Calls        Calls
	RungsChanged bool
	// PostureChanged is true when the way down has come further.
	PostureChanged bool
	// Private is true while cameras and microphones have to be closed; CloseDevices is true when their driver has to be
	// asked for it, or to be told that it is over.
	Private, CloseDevices bool
	// Challenge has bit i set when a fresh challenge is due for endpoint i.
	Challenge uint32
	// CommandChallenge has bit i set when a fresh challenge is due for the commanders of channel i.
	CommandChallenge uint32
	// Decided is true when the decision differs from the one before.
	Decided bool
	// LatchesChanged is true when the latches have to be made durable.
	LatchesChanged bool
	// Demand is true if a demand was judged, on gate Gate; Pass asks to send it on, unchanged. Judged has bit i set if what
	// gate i decided is news for people.
	Demand, Pass bool
	Gate         uint8
	Judged       uint32
	// Sum is the demand's SHA-256.
	Sum [32]byte
	// End has bit i set if the consumer of gate i has to be told to stop what is under way. Measured is where the joints
	// are, of those in MeasuredKnown.
	End           uint32
	Measured      [msg.MaxJoints]float64
	MeasuredKnown uint64
	// SendGateLock has bit i set if the lock topic of gate i is due, GatesLocked if it says "locked".
	SendGateLock, GatesLocked uint32
	// Digest is the running digest of every decision and command so far.
	Digest uint64
}

// Sink acts on what the core decides. Every method returns at once: it neither waits for a peer nor for a disk. The
// order of calls from different goroutines is not the order of decisions; seq is.
type Sink interface {
	// Command publishes a velocity command on the gated output unless a newer one went out.
	Command(seq uint64, t msg.Twist)
	// Lock publishes the lock topic's value unless a newer one went out.
	Lock(seq uint64, locked bool)
	// Challenge publishes a challenge line for an endpoint. The line is valid only during the call.
	Challenge(endpoint int, line []byte)
	// CommandChallenge publishes a challenge line for a channel's commanders. The line is valid only during the call.
	CommandChallenge(channel int, line []byte)
	// Pass sends a demand on, through gate number gate, unless something newer went out there. What it is given is valid only
	// during the call.
	Pass(gate int, seq uint64, d *msg.Demand)
	// End tells the consumer of a gate to stop what is under way. known are the joints whose positions are known.
	End(gate int, seq uint64, at [msg.MaxJoints]float64, known uint64)
	// GateLock publishes the value of a gate's lock topic unless a newer one went out.
	GateLock(gate int, seq uint64, locked bool)
	// Rungs sets which rungs of the ladder are to be asserted. Services answer through [Guard.Ack]. One that is asserted and
	// whose number has changed is asked once more; the answer carries the number.
	Rungs(seq uint64, asserted uint32, calls Calls)
	// Private says whether cameras and microphones have to be closed: when that changes, and again every second while
	// they are not known to be.
	Private(seq uint64, private bool)
}

// Clock is where the guard's time comes from: the host's clocks, or a simulation's.
type Clock interface {
	// Boot returns CLOCK_BOOTTIME.
	Boot() time.Duration
	// Civil returns CLOCK_REALTIME in nanoseconds since the Unix epoch.
	Civil() int64
}

// Recorder is the journal as the guard sees it. Append copies the payload and never blocks; it returns false if the
// record had to be dropped, which the journal accounts for by itself.
type Recorder interface {
	Append(kind uint8, boot time.Duration, payload []byte, urgent bool) (seq uint64, ok bool)
}

// NoGates is the part of a Sink for a robot that has no gates beside that of its velocity.
type NoGates struct{}

// Pass does nothing.
func (NoGates) Pass(int, uint64, *msg.Demand) {}

// End does nothing.
func (NoGates) End(int, uint64, [msg.MaxJoints]float64, uint64) {}

// GateLock does nothing.
func (NoGates) GateLock(int, uint64, bool) {}
