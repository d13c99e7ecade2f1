package guard

import (
	"fmt"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// EventStore owns the messages of a decoded event, so that decoding one event after another allocates only names.
type EventStore struct {
	Event
	pose      msg.Pose
	transform msg.Transform
	joints    msg.Joints
	imu       msg.IMU
	command   msg.Command
	device    msg.Device
	graph     msg.Graph
	lock      msg.Bool
	peer      msg.Peer
	demand    msg.Demand
	outline   msg.Trajectory
}

// Decode reads one event that [AppendEvent] wrote. The result is valid until the next call.
func (s *EventStore) Decode(b []byte) (*Event, error) {
	d := decoder{b: b}
	s.Event = Event{Kind: EventKind(d.u8()), Boot: d.duration(), Civil: d.i64()}
	ev := &s.Event
	switch ev.Kind {
	case EventTick:
		ev.Tick = Tick{Late: d.duration(), Trust: d.u8(), Journal: JournalState(d.u8()), BusOK: d.flag(), Heard: d.flag()}
	case EventPose, EventOdometry, EventSecondPose:
		ev.Pose = &s.pose
		s.decodePose(&d)
	case EventTransform:
		ev.Transform = &s.transform
		s.transform = msg.Transform{Header: s.header(&d), Child: d.text(), Translation: d.vec(), Rotation: d.quat(), Static: d.flag()}
	case EventJoints:
		ev.Joints = &s.joints
		s.decodeJoints(&d)
	case EventIMU:
		ev.IMU = &s.imu
		s.imu = msg.IMU{
			Header: s.header(&d), Orientation: d.quat(), HasOrientation: d.flag(),
			AngularVelocity: d.vec(), HasAngularVelocity: d.flag(),
			LinearAcceleration: d.vec(), HasLinearAcceleration: d.flag(),
		}
	case EventCommand:
		ev.Command = &s.command
		s.command = msg.Command{Header: s.header(&d), Channel: int(d.u16())}
		s.command.Proof = d.proof()
		s.command.Twist = msg.Twist{Linear: d.vec(), Angular: d.vec()}
	case EventDevice:
		ev.Device = &s.device
		s.device = msg.Device{
			Header: s.header(&d), Kind: msg.DeviceKind(d.u8()), Index: int(d.u16()), Active: d.flag(),
			ChargeRatio: d.f64(), Charging: d.flag(),
		}
		if s.device.Kind == msg.Heat {
			s.device.Celsius = d.f64()
		}
	case EventGraph:
		ev.Graph = &s.graph
		s.decodeGraph(&d)
	case EventLock:
		ev.Lock = &s.lock
		s.lock = msg.Bool{Header: s.header(&d), Value: d.flag()}
	case EventPeer, EventChallenge, EventAnswer, EventAck, EventOrder, EventFloor, EventAttestation, EventSession, EventProcess,
		EventHost, EventRecorders, EventArtifact, EventActuator, EventInput, EventCommandChallenge, EventFact, EventCommissioned, EventTrial, EventAge:
		s.decodeFact(&d)
	case EventDemand:
		ev.Demand = &s.demand
		s.decodeDemand(&d)
	case EventEnd:
	default:
		return nil, unknownKind(ev.Kind)
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("event kind %d: %w", ev.Kind, err)
	}
	return ev, nil
}

func (s *EventStore) decodeFact(d *decoder) {
	ev := &s.Event
	switch ev.Kind {
	case EventPeer:
		ev.Peer = PeerEvent{
			Change: PeerChange(d.u8()), Input: int(int16(d.u16())), Gated: d.flag(), ID: d.u32(),
			Strength: msg.Strength(d.u8()), Name: d.text(),
		}
	case EventChallenge, EventCommandChallenge:
		ev.Challenge.Endpoint = int(d.u16())
		copy(ev.Challenge.Value[:], d.take(16))
	case EventAnswer:
		ev.Answer.Endpoint = int(d.u16())
		copy(ev.Answer.Value[:], d.take(16))
		ev.Answer.Valid, ev.Answer.Stop = d.flag(), d.flag()
	case EventAck:
		ev.Ack = Ack{Rung: int(d.u16()), OK: d.flag()}
	case EventOrder:
		o := &ev.Order
		o.Kind, o.Category, o.All = OrderKind(d.u8()), d.u8(), d.flag()
		o.Triggers[0], o.Triggers[1] = d.u64(), d.u64()
		for i := range o.Signers {
			o.Signers[i] = Signer{Person: d.u64(), Role: interlock.Role(d.u8())}
		}
		o.Zone, o.Expires = int(int16(d.u16())), d.duration()
		if o.Kind == OrderLease {
			o.Lease = LeaseOrder{
				State: geofence.LeaseState(d.u8()), MaxSpeedMPS: d.f64(), Facts: geofence.FactSet(d.u8()), Once: d.flag(),
			}
		}
		if o.Kind == OrderOverride || o.Kind == OrderSession {
			o.ID, o.End, o.MaxSpeedMPS = d.u64(), d.flag(), d.f64()
			o.Session = SessionOrder{Channel: int(int16(d.u16())), Level: SessionLevel(d.u8()), Who: d.text(), Role: d.text(), From: d.text()} //nolint:gosec // as written
		}
	case EventFloor:
		ev.Floor = int(int16(d.u16()))
	case EventAttestation:
		ev.Attestation = Attestation{Verdict: Verdict(d.u8()), Tier: Tier(d.u8()), Until: d.duration()}
	case EventSession:
		ev.Session = Session{State: SessionState(d.u8()), Connected: d.flag(), Until: d.duration()}
	case EventProcess:
		ev.Process = Process{ID: d.u32(), Found: d.flag(), UID: d.u32(), Unit: d.text(), HasExe: d.flag()}
		copy(ev.Process.Exe[:], d.take(len(ev.Process.Exe)))
		ev.Process.Until = d.duration()
	case EventHost:
		ev.Host = d.hostReport()
	case EventCommissioned:
		ev.Commissioned = Commissioned{State: CommissionState(d.u8()), Until: d.duration()}
	case EventTrial:
		ev.Trial = d.trialWish()
	case EventAge:
		ev.Age = d.ageFound()
	case EventRecorders:
		ev.Recorders = d.recorders()
	case EventArtifact:
		ev.Artifact = d.artifact()
	case EventActuator:
		ev.Actuator = ActuatorReport{Actuator: int(d.u8()), Fault: DeviceFault(d.u8()), Running: d.flag()}
	case EventInput:
		ev.Input = InputReport{Input: int(d.u8()), State: InputState(d.u8())}
	case EventFact:
		ev.Fact = Fact{Source: int(d.u8()), Value: int(int16(d.u16())), Peer: d.u32(), Strength: msg.Strength(d.u8())}
	default:
	}
}

// header restores the header with a peer of which only number and strength are known.
func (s *EventStore) header(d *decoder) msg.Header {
	h := msg.Header{Boot: s.Boot, Stamp: d.i64(), Seq: d.u32(), Frame: d.text()}
	s.peer = msg.Peer{ID: d.u32(), Strength: msg.Strength(d.u8())}
	h.Peer = &s.peer
	return h
}

func (d *decoder) proof() msg.Proof {
	p := msg.Proof{Verdict: msg.ProofVerdict(d.u8())}
	if p.Verdict >= msg.NumProofVerdicts {
		d.err = cmpErr(d.err, fmt.Errorf("proof: expected a verdict below %d, found %d", msg.NumProofVerdicts, p.Verdict))
	}
	if p.Verdict != msg.ProofAbsent {
		p.Key = d.u8()
		copy(p.Challenge[:], d.take(len(p.Challenge)))
		p.Seq = d.u64()
	}
	return p
}

func (d *decoder) vec() msg.Vec3 { return msg.Vec3{X: d.f64(), Y: d.f64(), Z: d.f64()} }

func (d *decoder) quat() msg.Quat { return msg.Quat{X: d.f64(), Y: d.f64(), Z: d.f64(), W: d.f64()} }

func (s *EventStore) decodePose(d *decoder) {
	s.pose = msg.Pose{Header: s.header(d), Child: d.text(), Position: d.vec(), Orientation: d.quat()}
	if s.pose.HasCovariance = d.flag(); s.pose.HasCovariance {
		d.f64s(s.pose.Covariance[:])
	}
	if s.pose.HasTwist = d.flag(); s.pose.HasTwist {
		s.pose.Twist = msg.Twist{Linear: d.vec(), Angular: d.vec()}
	}
}

func (s *EventStore) decodeJoints(d *decoder) {
	s.joints = msg.Joints{Header: s.header(d), N: int(d.u8()), Seen: d.u64(), Unknown: int(d.u32())}
	j := &s.joints
	j.HasVelocity, j.HasEffort = d.flag(), d.flag()
	if j.N > msg.MaxJoints {
		d.err = cmpErr(d.err, fmt.Errorf("joints: expected at most %d, found %d", msg.MaxJoints, j.N))
		return
	}
	d.f64s(j.Position[:j.N])
	if j.HasVelocity {
		d.f64s(j.Velocity[:j.N])
	}
	if j.HasEffort {
		d.f64s(j.Effort[:j.N])
	}
}

func (s *EventStore) decodeGraph(d *decoder) {
	s.graph = msg.Graph{Boot: s.Boot, Topic: d.text()}
	g := &s.graph
	switch seen := d.u8(); seen {
	case graphUnknown:
	case graphKnown, graphFlooded:
		g.Known, g.Flooded = true, seen == graphFlooded
	default:
		d.err = cmpErr(d.err, fmt.Errorf("graph: expected 0 to %d, found %d", graphFlooded, seen))
	}
	g.Total = d.names(&g.Publishers)
	g.ConsumerKnown = d.flag()
	g.SourcesTotal = d.names(&g.Sources)
	g.Registered = d.flag()
}

func (d *decoder) names(list *[msg.MaxPublishers]string) int {
	total := int(d.u16())
	for i := range min(total, msg.MaxPublishers) {
		list[i] = d.text()
	}
	return total
}
