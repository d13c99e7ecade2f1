package guard

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// genOutline draws a command to joints.
func genOutline(t *rapid.T, d *msg.Demand, f func() float64) *msg.Trajectory {
	out := &msg.Trajectory{
		Header: d.Header, Channel: d.Channel, N: rapid.IntRange(0, msg.MaxJoints).Draw(t, "joints"), Unknown: 4, Points: 9,
		Fault: msg.Fault(rapid.IntRange(0, int(msg.FaultCount)).Draw(t, "fault")), NotFinite: rapid.Bool().Draw(t, "finite"),
		Start: -3, Duration: 1 << 40, Monotonic: rapid.Bool().Draw(t, "monotonic"),
	}
	for i := range out.N {
		if rapid.Bool().Draw(t, "named") {
			out.Seen |= 1 << i
		}
		for _, a := range arrays(out) {
			if a[i] = math.NaN(); out.Seen&(1<<i) != 0 {
				a[i] = f()
			}
		}
	}
	return out
}

// genEvent draws events of every kind, with the numbers that robots send and the ones that they should not.
func genEvent(t *rapid.T) *Event {
	peer := &msg.Peer{ID: rapid.Uint32().Draw(t, "peer"), Strength: msg.Strength(rapid.IntRange(0, 4).Draw(t, "strength"))}
	ev := &Event{
		Kind:  EventKind(rapid.IntRange(int(EventTick), int(lastEvent)).Draw(t, "kind")),
		Boot:  time.Duration(rapid.Int64Min(0).Draw(t, "boot")),
		Civil: rapid.Int64().Draw(t, "civil"),
	}
	num := rapid.Custom(func(t *rapid.T) float64 {
		return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)})).Draw(t, "f")
	})
	f := func() float64 { return num.Draw(t, "number") }
	vec := func() msg.Vec3 { return msg.Vec3{X: f(), Y: f(), Z: f()} }
	quat := func() msg.Quat { return msg.Quat{X: f(), Y: f(), Z: f(), W: f()} }
	flag := func() bool { return rapid.Bool().Draw(t, "flag") }
	name := func() string { return rapid.StringN(0, 20, 64).Draw(t, "name") }
	head := msg.Header{Boot: ev.Boot, Stamp: rapid.Int64().Draw(t, "stamp"), Seq: rapid.Uint32().Draw(t, "seq"), Frame: name(), Peer: peer}
	switch ev.Kind {
	case EventTick:
		ev.Tick = Tick{Late: time.Duration(rapid.Int64().Draw(t, "late")), Trust: 2, Journal: JournalState(rapid.Uint8Range(0, 5).Draw(t, "journal")), BusOK: flag(), Heard: flag()}
	case EventPose, EventOdometry, EventSecondPose:
		ev.Pose = &msg.Pose{Header: head, Child: name(), Position: vec(), Orientation: quat(), HasCovariance: flag(), HasTwist: flag()}
		if ev.Pose.HasCovariance {
			ev.Pose.Covariance[rapid.IntRange(0, 35).Draw(t, "cov")] = f()
		}
		if ev.Pose.HasTwist {
			ev.Pose.Twist = msg.Twist{Linear: vec(), Angular: vec()}
		}
	case EventTransform:
		ev.Transform = &msg.Transform{Header: head, Child: name(), Translation: vec(), Rotation: quat(), Static: flag()}
	case EventJoints:
		ev.Joints = &msg.Joints{Header: head, N: rapid.IntRange(0, msg.MaxJoints).Draw(t, "n"), Seen: rapid.Uint64().Draw(t, "seen"), Unknown: 3}
		for i := range ev.Joints.N {
			ev.Joints.Position[i] = f()
		}
	case EventIMU:
		ev.IMU = &msg.IMU{Header: head, Orientation: quat(), AngularVelocity: vec(), HasAngularVelocity: flag(), LinearAcceleration: vec()}
	case EventCommand:
		ev.Command = &msg.Command{Header: head, Channel: rapid.IntRange(0, 9).Draw(t, "channel"), Twist: msg.Twist{Linear: vec(), Angular: vec()}}
		if flag() {
			verdict := rapid.IntRange(1, int(msg.NumProofVerdicts)-1).Draw(t, "verdict")
			ev.Command.Proof = msg.Proof{Verdict: msg.ProofVerdict(verdict), Key: 2, Challenge: [16]byte{3, 15: 4}, Seq: rapid.Uint64().Draw(t, "sequence")} //nolint:gosec // small
		}
	case EventDevice:
		ev.Device = &msg.Device{Header: head, Kind: msg.Battery, Index: 1, Active: flag(), ChargeRatio: f(), Charging: flag()}
	case EventGraph:
		ev.Graph = &msg.Graph{Boot: ev.Boot, Topic: name(), Known: flag(), Total: rapid.IntRange(0, 100).Draw(t, "total"), Registered: flag()}
		for i := range min(ev.Graph.Total, msg.MaxPublishers) {
			ev.Graph.Publishers[i] = name()
		}
	case EventPeer:
		ev.Peer = PeerEvent{Change: PeerRefused, Input: rapid.IntRange(-1, 20).Draw(t, "input"), Gated: flag(), ID: 7, Strength: msg.Claimed, Name: name()}
	case EventChallenge, EventCommandChallenge:
		ev.Challenge = Challenge{Endpoint: 2, Value: [16]byte{1, 2, 3}}
	case EventAnswer:
		ev.Answer = Answer{Endpoint: 2, Value: [16]byte{3, 2, 1}, Valid: flag(), Stop: flag()}
	case EventAck:
		ev.Ack = Ack{Rung: 4, OK: flag()}
	case EventOrder:
		ev.Order = Order{Kind: OrderReset, Category: 2, All: flag(), Triggers: [2]uint64{rapid.Uint64().Draw(t, "bits"), 1}, Signers: [MaxPersons]Signer{{Person: 9, Role: 2}}, Zone: -1, Expires: 4}
		if flag() {
			ev.Order.Kind = OrderLease
			ev.Order.Lease = LeaseOrder{State: geofence.Revoked, MaxSpeedMPS: f(), Facts: geofence.FactTask, Once: flag()}
		} else if flag() {
			ev.Order.Kind, ev.Order.ID, ev.Order.End, ev.Order.MaxSpeedMPS = OrderSession, rapid.Uint64().Draw(t, "id"), flag(), f()
			ev.Order.Session = SessionOrder{Channel: rapid.IntRange(-1, 20).Draw(t, "channel"), Level: SessionControl, Who: name(), Role: name(), From: name()}
		}
	case EventFloor:
		ev.Floor = rapid.IntRange(-1, 5).Draw(t, "floor")
	case EventLock:
		ev.Lock = &msg.Bool{Header: head, Value: flag()}
	case EventDemand:
		ev.Demand = &msg.Demand{Header: head, Channel: rapid.IntRange(0, 20).Draw(t, "gate"), Form: msg.Form(rapid.IntRange(1, 4).Draw(t, "form")), Size: 70000, Sum: [32]byte{1, 31: 9}}
		switch ev.Demand.Form {
		case msg.FormJoints:
			ev.Demand.Joints = genOutline(t, ev.Demand, f)
		case msg.FormGoal:
			ev.Demand.Goal = msg.Goal{Position: vec(), Orientation: quat()}
		case msg.FormNavigate:
			ev.Demand.Goal = msg.Goal{Position: vec(), Orientation: quat(), Unlisted: flag()}
		case msg.FormUnknown, msg.FormOpaque:
		}
	case EventAttestation:
		ev.Attestation = Attestation{Verdict: VerdictAccepted, Tier: Tier(rapid.IntRange(0, 2).Draw(t, "tier")), Until: 9} //nolint:gosec // small
	case EventSession:
		ev.Session = Session{State: SessionAttesting, Connected: flag(), Until: time.Duration(rapid.Int64().Draw(t, "until"))}
	case EventArtifact:
		ev.Artifact = Artifact{Name: "grasp", State: ArtifactWrong, Cause: interlock.CauseWrongContent, Until: 3 * time.Second}
	case EventProcess:
		ev.Process = Process{ID: rapid.Uint32().Draw(t, "id"), Found: flag(), UID: 7, Unit: name(), HasExe: flag(), Exe: [32]byte{1, 2}, Until: 5}
	case EventAge:
		ev.Age = Age{AgeState(rapid.Byte().Draw(t, "state")), interlock.Cause(rapid.Uint16().Draw(t, "cause"))}
	case EventCommissioned:
		ev.Commissioned = Commissioned{State: CommissionState(rapid.Byte().Draw(t, "state")), Until: time.Duration(rapid.Int64().Draw(t, "until"))}
	case EventTrial:
		ev.Trial = TrialWish{Op: TrialOp(rapid.Byte().Draw(t, "op")), ID: rapid.Uint64().Draw(t, "id"), Step: rapid.IntRange(-5, 30).Draw(t, "step"), MPS: f()}
	case EventHost:
		ev.Host = Host{
			DescriptorsKnown: flag(), Descriptors: 9, DescriptorLimit: rapid.Uint32().Draw(t, "limit"), MemoryKnown: flag(),
			MemoryLeft: rapid.Uint64().Draw(t, "left"), Pause: time.Duration(rapid.Int64().Draw(t, "pause")),
		}
	case EventRecorders:
		ev.Recorders = Recorders{Open: rapid.Uint16().Draw(t, "open"), Complete: flag(), Until: time.Duration(rapid.Int64().Draw(t, "until"))}
	case EventActuator:
		ev.Actuator = ActuatorReport{
			Actuator: rapid.IntRange(0, 255).Draw(t, "actuator"), Fault: DeviceFault(rapid.Byte().Draw(t, "fault")), Running: flag(),
		}
	case EventInput:
		ev.Input = InputReport{Input: rapid.IntRange(0, 255).Draw(t, "input"), State: InputState(rapid.Byte().Draw(t, "state"))}
	case EventFact:
		ev.Fact = Fact{Source: rapid.IntRange(0, 15).Draw(t, "source"), Value: rapid.IntRange(-1, 63).Draw(t, "value"), Peer: 5, Strength: msg.ProcessBound}
	case EventEnd, EventNone:
	}
	return ev
}

func TestEveryEventSurvivesTheJournal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev := genEvent(t)
		raw := AppendEvent(nil, ev)
		var store EventStore
		got, err := store.Decode(raw)
		if err != nil {
			t.Fatalf("%+v: %v", ev, err)
		}
		// NaN differs from itself, so the bytes are what is compared first; the values show where they differ.
		if again := AppendEvent(nil, got); !cmp.Equal(raw, again) {
			t.Fatalf("kind %d: %s", ev.Kind, cmp.Diff(raw, again))
		}
		if diff := cmp.Diff(ev, got,
			cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
			cmp.Comparer(func(a, b msg.Peer) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCutEventIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := AppendEvent(nil, genEvent(t))
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		var store EventStore
		if ev, err := store.Decode(raw[:cut]); err == nil {
			t.Fatalf("%d of %d bytes decoded as %+v", cut, len(raw), ev)
		}
		if _, err := store.Decode(append(raw, 0)); err == nil {
			t.Fatal("a byte too many was accepted")
		}
	})
}

func FuzzEventDecode(f *testing.F) {
	f.Add(AppendEvent(nil, &Event{Kind: EventTick}))
	f.Add(AppendEvent(nil, &Event{Kind: EventGraph, Graph: &msg.Graph{Total: 3}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var store EventStore
		ev, err := store.Decode(raw)
		if err != nil {
			return
		}
		if again := AppendEvent(nil, ev); !cmp.Equal(raw, again) {
			t.Errorf("%x decodes, but encodes again as %x", raw, again)
		}
	})
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	ev := &Event{Kind: EventJoints, Joints: &msg.Joints{N: msg.MaxJoints, HasVelocity: true, HasEffort: true}}
	if n := testing.AllocsPerRun(100, func() { AppendEvent(buf, ev) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
