package guard

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// EventKind names what happened. The numbers are part of the journal's format and are never reused.
type EventKind uint8

// Event kinds.
const (
	// EventNone is never recorded.
	EventNone EventKind = 0
	// EventTick is the guard's own heartbeat: ages, dwell times and timeouts move on it even if nothing arrives.
	EventTick EventKind = 1
	// EventPose is a pose from the source that the mapping names as the robot's localisation.
	EventPose EventKind = 2
	// EventOdometry is a velocity (and a pose in another frame) from the base.
	EventOdometry EventKind = 3
	// EventTransform is one edge of the tf tree.
	EventTransform EventKind = 4
	// EventJoints is a JointState.
	EventJoints EventKind = 5
	// EventIMU is an inertial measurement.
	EventIMU EventKind = 6
	// EventCommand is a velocity command on one of the mapping's command inputs.
	EventCommand EventKind = 7
	// EventDevice is the state of a camera, a microphone or the battery.
	EventDevice EventKind = 8
	// EventGraph is what the bus says about a gated topic.
	EventGraph EventKind = 9
	// EventPeer is a connection that came, went or was refused.
	EventPeer EventKind = 10
	// EventChallenge is a challenge that was sent to a heartbeat endpoint.
	EventChallenge EventKind = 11
	// EventAnswer is an endpoint's answer, its message authentication code already checked.
	EventAnswer EventKind = 12
	// EventAck is a rung's answer to a request of the ladder.
	EventAck EventKind = 13
	// EventOrder is a signed order, already verified and durable.
	EventOrder EventKind = 14
	// EventFloor is the map id that the robot's localisation uses now.
	EventFloor EventKind = 15
	// EventLock is a value that somebody published on the lock topic.
	EventLock EventKind = 16
	// EventEnd holds the robot for an orderly end of the guard.
	EventEnd EventKind = 17
	// EventAttestation is a verifier's signed result, already verified and durable.
	EventAttestation EventKind = 18
	// EventSession is the courier's unsigned claim about its session.
	EventSession EventKind = 19
	// EventProcess is the steward's unsigned fact about the process behind one connection.
	EventProcess EventKind = 20
	// EventSecondPose is a pose from a second source, which has to agree with the first.
	EventSecondPose EventKind = 21
	// EventHost is what the program found out about itself and its computer.
	EventHost EventKind = 22
	// EventRecorders is the steward's unsigned fact about recording devices.
	EventRecorders EventKind = 23
	// EventArtifact is the steward's fact about an artifact, compared with the signed release in force.
	EventArtifact EventKind = 24
	// EventActuator is what the driver of a device of the stop ladder says about it.
	EventActuator EventKind = 25
	// EventInput is what an input line says: an emergency stop, a door, a bumper.
	EventInput EventKind = 26
	// EventCommandChallenge is a challenge that was sent to the commanders of one channel.
	EventCommandChallenge EventKind = 27
	// EventFact is what the bus says about load, task, operator, a door or a badge.
	EventFact EventKind = 28
	// EventDemand is a command that is passed on whole or not at all, on one of the mapping's gates.
	EventDemand EventKind = 29
	// EventCommissioned is what the program found about the record of the robot's proof test.
	EventCommissioned EventKind = 30
	// EventTrial is what the technician at the robot wants of a proof test.
	EventTrial EventKind = 31
	// EventAge is what the program found about the age of the guard's state on disk.
	EventAge EventKind = 32
	// lastEvent is the newest kind.
	lastEvent = EventAge
)

// Event is one thing that the core is told. Exactly the field that belongs to Kind is set; the messages are valid only
// during [Core.Apply].
type Event struct {
	Kind EventKind
	// Boot is CLOCK_BOOTTIME when the event was applied; it never decreases from one event to the next.
	Boot time.Duration
	// Civil is CLOCK_REALTIME in nanoseconds since the Unix epoch at the same moment.
	Civil int64

	Tick      Tick
	Pose      *msg.Pose // EventPose, EventOdometry and EventSecondPose
	Transform *msg.Transform
	Joints    *msg.Joints
	IMU       *msg.IMU
	Command   *msg.Command
	Device    *msg.Device
	Graph     *msg.Graph
	Peer      PeerEvent
	Challenge Challenge
	Answer    Answer
	Ack       Ack
	Order     Order
	Floor     int
	Lock      *msg.Bool

	Attestation Attestation
	Session     Session
	Process     Process
	Host        Host
	Recorders   Recorders
	Artifact    Artifact

	Actuator ActuatorReport
	Input    InputReport
	Fact     Fact
	Demand   *msg.Demand

	Commissioned Commissioned
	Trial        TrialWish
	Age          Age
}

// Tick carries what the runtime knows about itself and its host.
type Tick struct {
	// Late is how much later than planned the tick came.
	Late time.Duration
	// Trust is the trust in civil time: 0 untrusted, 1 holdover, 2 trusted.
	Trust uint8
	// Journal says how the journal is.
	Journal JournalState
	// BusOK is true while the bus can be asked who publishes what.
	BusOK bool
	// Heard is true if the graph was asked at all since the start.
	Heard bool
}

// JournalState says whether decisions can be recorded. The numbers are part of the journal's format.
type JournalState uint8

// States of the journal.
const (
	// JournalFailing means that writing fails.
	JournalFailing JournalState = iota
	// JournalOK means that the journal can be written, and that nothing was lost since it was looked at before.
	JournalOK
	// JournalOverflows means that records were lost because more came than the disk takes.
	JournalOverflows
	// JournalFull means that the disk, or the share of it that the guard has, is full.
	JournalFull
	// JournalReadOnly means that the file system has become read-only.
	JournalReadOnly
)

// condition is what the state means for the trigger. One that this version does not know is a failing journal.
func (s JournalState) condition() interlock.Condition {
	switch s {
	case JournalOK:
		return interlock.OK()
	case JournalOverflows:
		return interlock.Fault(interlock.CauseQueueOverflow, 0)
	case JournalFull:
		return interlock.Fault(interlock.CauseDiskFull, 0)
	case JournalReadOnly:
		return interlock.Fault(interlock.CauseReadOnly, 0)
	case JournalFailing:
	}
	return interlock.Fault(interlock.CauseWriteFailed, 0)
}

// PeerChange says what happened to a connection.
type PeerChange uint8

// Peer changes.
const (
	// PeerConnected means that messages from this peer may follow.
	PeerConnected PeerChange = 1
	// PeerGone means that the connection ended.
	PeerGone PeerChange = 2
	// PeerRefused means that the peer offered itself and was not let in.
	PeerRefused PeerChange = 3
	// PeerAttack means that somebody called what no honest peer calls (a forged update, a shutdown).
	PeerAttack PeerChange = 4
	// PeerConflict means that somebody else spoke in this peer's name. The bus did not take what he said.
	PeerConflict PeerChange = 5
	// PeerMismatch means that the peer offered another type or checksum and was not let in.
	PeerMismatch PeerChange = 6
	// PeerMalformed means that the peer sent bytes that are no such message.
	PeerMalformed PeerChange = 7
)

// PeerEvent is a connection that came, went or was refused, on one of the guard's inputs.
type PeerEvent struct {
	Change PeerChange
	// Input numbers the subscription, in the order in which the guard opened them; -1 where none is meant.
	Input int
	// Gated is true if the input carries commands that the guard gates.
	Gated bool
	ID    uint32
	// Strength is how well the bus knows the peer.
	Strength msg.Strength
	// Name is the peer's claim about itself.
	Name string
}

// Challenge is a fresh random challenge for one heartbeat endpoint.
type Challenge struct {
	Endpoint int
	Value    [16]byte
}

// Answer is an endpoint's answer to a challenge.
type Answer struct {
	Endpoint int
	Value    [16]byte
	// Valid is true if the authentication code is right for this robot, boot, endpoint, challenge and level.
	Valid bool
	// Stop is true if the endpoint answered with level "stop".
	Stop bool
}

// Ack is a rung's answer.
type Ack struct {
	Rung int
	OK   bool
}

// OrderKind says which signed order is applied.
type OrderKind uint8

// Kinds of order that reach the core.
const (
	// OrderStop demands a stop that only a reset ends.
	OrderStop OrderKind = 1
	// OrderReset asks to clear latched triggers.
	OrderReset OrderKind = 2
	// OrderGrant allows the robot to creep out of one zone until it expires.
	OrderGrant OrderKind = 3
	// OrderLease is the answer to a request for a zone.
	OrderLease OrderKind = 4
	// OrderOverride suspends what named triggers demand, or ends that.
	OrderOverride OrderKind = 5
	// OrderSession opens or ends a session of remote control.
	OrderSession OrderKind = 6
)

// MaxPersons is the largest number of signers of one order that the core is told.
const MaxPersons = 4

// Signer is one person who signed, in one role. A person with two roles counts once, in whichever role helps.
type Signer struct {
	// Person tells persons apart; 0 is nobody.
	Person uint64
	Role   interlock.Role
}

// Order is a verified order in the core's terms.
type Order struct {
	Kind OrderKind
	// Category is the IEC 60204-1 stop category, 1 or 2, of a stop order.
	Category uint8
	// All asks a reset for every latched trigger; otherwise Triggers has a bit per trigger id.
	All      bool
	Triggers interlock.TriggerSet
	// Signers are those who signed a reset, zero where unused.
	Signers [MaxPersons]Signer
	// Zone is the zone index of a grant or lease.
	Zone int
	// Expires is when a grant or lease ends, on CLOCK_BOOTTIME. Of a reset it is when it came, 0 for now.
	Expires time.Duration
	// Lease is the rest of an OrderLease.
	Lease LeaseOrder
	// ID is the beginning of the order's id, of an override or a session.
	ID uint64
	// End ends the overrides of Triggers instead of asking for one.
	End bool
	// MaxSpeedMPS is the highest speed under an override, in m/s.
	MaxSpeedMPS float64
	// Session is the rest of an OrderSession.
	Session SessionOrder
}

// String is the event in a few words, for people who read a journal.
func (ev *Event) String() string {
	switch ev.Kind {
	case EventTick:
		return fmt.Sprintf("tick, %v late, clock trust %d", ev.Tick.Late, ev.Tick.Trust)
	case EventPose, EventOdometry, EventSecondPose:
		p := ev.Pose
		return fmt.Sprintf("%s (%.3f, %.3f) in %q, stamp %d", kindNames[ev.Kind], p.Position.X, p.Position.Y, p.Frame, p.Stamp)
	case EventTransform:
		t := ev.Transform
		return fmt.Sprintf("transform %q to %q (%.3f, %.3f)", t.Frame, t.Child, t.Translation.X, t.Translation.Y)
	case EventJoints:
		return fmt.Sprintf("joints, %d of %d", bits.OnesCount64(ev.Joints.Seen), ev.Joints.N)
	case EventIMU:
		return fmt.Sprintf("imu, turning at %.3f rad/s", norm(ev.IMU.AngularVelocity))
	case EventCommand:
		c := ev.Command
		if v := c.Proof.Verdict; v > msg.ProofAuthentic && v < msg.NumProofVerdicts {
			return fmt.Sprintf("command on channel %d: %s", c.Channel, proofReasons[v])
		}
		return fmt.Sprintf("command on channel %d: (%.3f, %.3f) m/s, %.3f rad/s", c.Channel, c.Linear.X, c.Linear.Y, c.Angular.Z)
	case EventGraph:
		g := ev.Graph
		return fmt.Sprintf("graph of %s: known %t, flooded %t, publishers %q, sources %q", g.Topic, g.Known, g.Flooded,
			g.Publishers[:min(g.Total, len(g.Publishers))], g.Sources[:min(g.SourcesTotal, len(g.Sources))])
	case EventPeer:
		return fmt.Sprintf("peer %q (%s): change %d on input %d", ev.Peer.Name, ev.Peer.Strength, ev.Peer.Change, ev.Peer.Input)
	case EventChallenge:
		return fmt.Sprintf("challenge %x to endpoint %d", ev.Challenge.Value[:4], ev.Challenge.Endpoint)
	case EventCommandChallenge:
		return fmt.Sprintf("challenge %x to the commanders of channel %d", ev.Challenge.Value[:4], ev.Challenge.Endpoint)
	case EventAnswer:
		return fmt.Sprintf("answer %x of endpoint %d, valid %t, stop %t", ev.Answer.Value[:4], ev.Answer.Endpoint, ev.Answer.Valid, ev.Answer.Stop)
	case EventAttestation:
		a := ev.Attestation
		return fmt.Sprintf("attestation result: verdict %d, tier %s, until %.3fs", a.Verdict, a.Tier, a.Until.Seconds())
	case EventSession:
		return fmt.Sprintf("courier's session: %s, connected %t", ev.Session.State, ev.Session.Connected)
	case EventProcess:
		p := &ev.Process
		return fmt.Sprintf("process behind connection %d: found %t, unit %q, uid %d", p.ID, p.Found, p.Unit, p.UID)
	case EventHost:
		h := &ev.Host
		return fmt.Sprintf("the guard itself: %d of %d descriptors, %d MiB left, longest pause %v", h.Descriptors, h.DescriptorLimit, h.MemoryLeft>>20, h.Pause)
	case EventRecorders:
		return fmt.Sprintf("recording devices: %d open, all processes looked at %t", ev.Recorders.Open, ev.Recorders.Complete)
	case EventArtifact:
		return fmt.Sprintf("artifact %q: %s, %s", ev.Artifact.Name, ev.Artifact.State, ev.Artifact.Cause.Text())
	case EventActuator, EventInput:
		return ev.describeDevice()
	case EventFact:
		return fmt.Sprintf("fact of source %d: value %d, sender %s", ev.Fact.Source, ev.Fact.Value, ev.Fact.Strength)
	case EventDemand:
		return describeDemand(ev.Demand)
	case EventCommissioned:
		return fmt.Sprintf("proof test's record: %s, until %.3fs", ev.Commissioned.State, ev.Commissioned.Until.Seconds())
	case EventTrial:
		return fmt.Sprintf("proof test: %s, step %d, at most %.2f m/s", ev.Trial.Op, ev.Trial.Step, ev.Trial.MPS)
	case EventAge:
		return ev.Age.describe()
	case EventDevice, EventAck, EventOrder, EventFloor, EventLock, EventEnd, EventNone:
	}
	return kindNames[min(int(ev.Kind), len(kindNames)-1)]
}

var kindNames = [...]string{
	"none", "tick", "pose", "odometry", "transform", "joints", "imu", "command", "device", "graph", "peer", "challenge",
	"answer", "acknowledgement", "order", "floor", "lock value", "end", "attestation result", "session", "process", "second pose",
	"host", "recorders", "artifact", "actuator", "input", "command challenge", "fact", "demand", "commissioned", "proof test", "age", "unknown",
}
