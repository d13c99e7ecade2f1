package guard

import (
	"fmt"

	"github.com/robowarden/robowarden/hal/msg"
)

// AppendEvent appends the event as the journal keeps it: kind, boot and civil time, then the kind's fields, all
// little-endian, floats as their IEEE 754 bits so that a replay sees exactly what the guard saw (NaN payloads too).
// Peers are recorded by number; their names stand in the [EventPeer] that announced them.
func AppendEvent(b []byte, ev *Event) []byte {
	e := encoder{b}
	e.u8(uint8(ev.Kind))
	e.duration(ev.Boot)
	e.i64(ev.Civil)
	switch ev.Kind {
	case EventTick:
		e.duration(ev.Tick.Late)
		e.u8(ev.Tick.Trust)
		e.u8(uint8(ev.Tick.Journal))
		e.flag(ev.Tick.BusOK)
		e.flag(ev.Tick.Heard)
	case EventPose, EventOdometry, EventSecondPose:
		e.pose(ev.Pose)
	case EventTransform:
		e.header(&ev.Transform.Header)
		e.text(ev.Transform.Child)
		e.vec(ev.Transform.Translation)
		e.quat(ev.Transform.Rotation)
		e.flag(ev.Transform.Static)
	case EventJoints:
		e.joints(ev.Joints)
	case EventIMU:
		e.imu(ev.IMU)
	case EventCommand:
		e.header(&ev.Command.Header)
		e.u16(uint16(ev.Command.Channel))
		e.proof(&ev.Command.Proof)
		e.vec(ev.Command.Linear)
		e.vec(ev.Command.Angular)
	case EventDevice:
		e.header(&ev.Device.Header)
		e.u8(uint8(ev.Device.Kind))
		e.u16(uint16(ev.Device.Index))
		e.flag(ev.Device.Active)
		e.f64(ev.Device.ChargeRatio)
		e.flag(ev.Device.Charging)
		if ev.Device.Kind == msg.Heat {
			e.f64(ev.Device.Celsius)
		}
	case EventGraph:
		e.graph(ev.Graph)
	case EventLock:
		e.header(&ev.Lock.Header)
		e.flag(ev.Lock.Value)
	case EventPeer, EventChallenge, EventAnswer, EventAck, EventOrder, EventFloor, EventAttestation, EventSession, EventProcess,
		EventHost, EventRecorders, EventArtifact, EventActuator, EventInput, EventCommandChallenge, EventFact, EventCommissioned, EventTrial, EventAge:
		e.fact(ev)
	case EventDemand:
		e.demand(ev.Demand)
	case EventEnd, EventNone:
	}
	return e.b
}

// fact encodes the events that do not come from a message.
func (e *encoder) fact(ev *Event) {
	switch ev.Kind {
	case EventPeer:
		e.u8(uint8(ev.Peer.Change))
		e.u16(uint16(int16(ev.Peer.Input)))
		e.flag(ev.Peer.Gated)
		e.u32(ev.Peer.ID)
		e.u8(uint8(ev.Peer.Strength))
		e.text(ev.Peer.Name)
	case EventChallenge, EventCommandChallenge:
		e.u16(uint16(ev.Challenge.Endpoint))
		e.b = append(e.b, ev.Challenge.Value[:]...)
	case EventAnswer:
		e.u16(uint16(ev.Answer.Endpoint))
		e.b = append(e.b, ev.Answer.Value[:]...)
		e.flag(ev.Answer.Valid)
		e.flag(ev.Answer.Stop)
	case EventAck:
		e.u16(uint16(ev.Ack.Rung))
		e.flag(ev.Ack.OK)
	case EventOrder:
		e.order(&ev.Order)
	case EventFloor:
		e.u16(uint16(int16(ev.Floor)))
	case EventAttestation:
		e.u8(uint8(ev.Attestation.Verdict))
		e.u8(uint8(ev.Attestation.Tier))
		e.duration(ev.Attestation.Until)
	case EventSession:
		e.u8(uint8(ev.Session.State))
		e.flag(ev.Session.Connected)
		e.duration(ev.Session.Until)
	case EventProcess:
		e.process(&ev.Process)
	case EventHost:
		e.hostReport(&ev.Host)
	case EventCommissioned:
		e.u8(uint8(ev.Commissioned.State))
		e.duration(ev.Commissioned.Until)
	case EventTrial:
		e.trialWish(&ev.Trial)
	case EventAge:
		e.ageFound(ev.Age)
	case EventRecorders:
		e.recorders(&ev.Recorders)
	case EventArtifact:
		e.artifact(&ev.Artifact)
	case EventActuator:
		e.u8(uint8(ev.Actuator.Actuator)) //nolint:gosec // at most MaxDevices
		e.u8(uint8(ev.Actuator.Fault))
		e.flag(ev.Actuator.Running)
	case EventInput:
		e.u8(uint8(ev.Input.Input)) //nolint:gosec // at most MaxDevices
		e.u8(uint8(ev.Input.State))
	case EventFact:
		e.u8(uint8(ev.Fact.Source))
		e.u16(uint16(int16(ev.Fact.Value)))
		e.u32(ev.Fact.Peer)
		e.u8(uint8(ev.Fact.Strength))
	default:
	}
}

func (e *encoder) header(h *msg.Header) {
	e.i64(h.Stamp)
	e.u32(h.Seq)
	e.text(h.Frame)
	if h.Peer == nil {
		e.u32(0)
		e.u8(uint8(msg.StrengthUnknown))
		return
	}
	e.u32(h.Peer.ID)
	e.u8(uint8(h.Peer.Strength))
}

func (e *encoder) proof(p *msg.Proof) {
	e.u8(uint8(p.Verdict))
	if p.Verdict == msg.ProofAbsent {
		return
	}
	e.u8(p.Key)
	e.b = append(e.b, p.Challenge[:]...)
	e.u64(p.Seq)
}

func (e *encoder) vec(v msg.Vec3) { e.f64(v.X); e.f64(v.Y); e.f64(v.Z) }

func (e *encoder) quat(q msg.Quat) { e.f64(q.X); e.f64(q.Y); e.f64(q.Z); e.f64(q.W) }

func (e *encoder) pose(p *msg.Pose) {
	e.header(&p.Header)
	e.text(p.Child)
	e.vec(p.Position)
	e.quat(p.Orientation)
	e.flag(p.HasCovariance)
	if p.HasCovariance {
		e.f64s(p.Covariance[:])
	}
	e.flag(p.HasTwist)
	if p.HasTwist {
		e.vec(p.Twist.Linear)
		e.vec(p.Twist.Angular)
	}
}

func (e *encoder) joints(j *msg.Joints) {
	e.header(&j.Header)
	n := min(max(j.N, 0), msg.MaxJoints)
	e.u8(uint8(n))
	e.u64(j.Seen)
	e.u32(uint32(j.Unknown))
	e.flag(j.HasVelocity)
	e.flag(j.HasEffort)
	e.f64s(j.Position[:n])
	if j.HasVelocity {
		e.f64s(j.Velocity[:n])
	}
	if j.HasEffort {
		e.f64s(j.Effort[:n])
	}
}

func (e *encoder) imu(m *msg.IMU) {
	e.header(&m.Header)
	e.quat(m.Orientation)
	e.flag(m.HasOrientation)
	e.vec(m.AngularVelocity)
	e.flag(m.HasAngularVelocity)
	e.vec(m.LinearAcceleration)
	e.flag(m.HasLinearAcceleration)
}

// How much the bus knows, as graphs are recorded.
const (
	graphUnknown = iota
	graphKnown
	graphFlooded
)

func seenOf(g *msg.Graph) uint8 {
	switch {
	case !g.Known:
		return graphUnknown // Then nothing else means anything.
	case g.Flooded:
		return graphFlooded
	}
	return graphKnown
}

func (e *encoder) graph(g *msg.Graph) {
	e.text(g.Topic)
	e.u8(seenOf(g))
	e.names(&g.Publishers, g.Total)
	e.flag(g.ConsumerKnown)
	e.names(&g.Sources, g.SourcesTotal)
	e.flag(g.Registered)
}

// maxTotal is the largest number of names that a record holds.
const maxTotal = 1<<16 - 1

func (e *encoder) names(list *[msg.MaxPublishers]string, n int) {
	e.u16(uint16(total(n))) //nolint:gosec // cut to maxTotal
	for i := range min(total(n), msg.MaxPublishers) {
		e.text(list[i])
	}
}

func (e *encoder) order(o *Order) {
	e.u8(uint8(o.Kind))
	e.u8(o.Category)
	e.flag(o.All)
	e.u64(o.Triggers[0])
	e.u64(o.Triggers[1])
	for _, p := range o.Signers {
		e.u64(p.Person)
		e.u8(uint8(p.Role))
	}
	e.u16(uint16(int16(o.Zone)))
	e.duration(o.Expires)
	if l := &o.Lease; o.Kind == OrderLease {
		e.u8(uint8(l.State))
		e.f64(l.MaxSpeedMPS)
		e.u8(uint8(l.Facts))
		e.flag(l.Once)
	}
	if o.Kind == OrderOverride || o.Kind == OrderSession {
		e.u64(o.ID)
		e.flag(o.End)
		e.f64(o.MaxSpeedMPS)
		e.u16(uint16(int16(o.Session.Channel))) //nolint:gosec // at most MaxChannels
		e.u8(uint8(o.Session.Level))
		e.text(o.Session.Who)
		e.text(o.Session.Role)
		e.text(o.Session.From)
	}
}

func (e *encoder) process(p *Process) {
	e.u32(p.ID)
	e.flag(p.Found)
	e.u32(p.UID)
	e.text(p.Unit)
	e.flag(p.HasExe)
	e.b = append(e.b, p.Exe[:]...)
	e.duration(p.Until)
}

// unknownKind is the error for a record of a later version.
func unknownKind(k EventKind) error {
	return fmt.Errorf("event kind %d: expected 1 to %d; was this journal written by a newer version?", k, lastEvent)
}
