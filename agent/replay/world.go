package replay

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// WorldStart is the boot clock at which a world begins.
const WorldStart = time.Minute

// What a world does regularly, and how quickly its people answer.
const (
	slowEvery   = time.Second
	answerAfter = 20 * time.Millisecond
	sensorEvery = 50 * time.Millisecond
	factLasts   = 5 * time.Second
)

// Watcher looks at a core after each event.
type Watcher interface {
	See(ev *guard.Event, core *guard.Core, fx *guard.Effects)
}

// Assume is what a world supplies because a recording cannot hold it, or does not.
type Assume struct {
	// Inputs are those of the profile that the recording does not have: they are given as a sound robot would.
	Inputs guard.InputSet
	// Floor is the floor's index that is told once a second, -1 if the recording or the mapping tells it.
	Floor int
	// Disobeys is true where the recorded robot could not hear what this core demands: then that it did not stop is not held
	// against it, see [forgive].
	Disobeys bool
	// Resets lets an operator and the others who may reset what is latched as soon as the rules allow it.
	Resets bool
	// Attested lets a verifier vouch for the robot's software.
	Attested bool
}

// World gives a core what the guard's own runtime, the bus and people give it live: ticks on time, a bus in order, answered
// heartbeats. It is as deterministic as what it is fed: no clock is read, and challenges are counted instead of drawn.
type World struct {
	// Trust is the trust in civil time that ticks carry, as the guard's: 2 is trusted.
	Trust uint8
	// Silent has bit i set while endpoint i does not answer; Stopping while it answers with a stop.
	Silent, Stopping uint32
	// Stranger names, by the watch's topic, who publishes there besides those whom the mapping lists.
	Stranger map[string]string
	// Charge is the assumed battery's, in [0, 1]; Recording is true while assumed cameras and microphones are active.
	Charge    float64
	Recording bool
	// Journal is how the journal is.
	Journal guard.JournalState
	// BusSilent is true while the bus cannot be asked.
	BusSilent bool

	params   *guard.Params
	core     *guard.Core
	fx       guard.Effects
	assume   Assume
	watchers []Watcher

	now     time.Duration
	civil   int64 // of WorldStart
	tick    time.Duration
	slow    time.Duration
	sensors time.Duration
	answers []answer
	drawn   uint64
	events  uint64
	peer    msg.Peer
	joints  msg.Joints
	// said is what each source of facts says, again and again: the number of a value and saidValue, 0 for a source that is silent.
	said []int
}

type answer struct {
	at       time.Duration
	endpoint int
	value    [16]byte
	stop     bool
	ack      bool
}

// forgive takes what a robot that cannot hear the guard would be blamed for out of the parameters: the ladder waits for it
// for ever, its arms may move while they are disabled, and its brakes are not taken for weak because it did not brake.
// Everything else is decided as on the robot.
func forgive(p *guard.Params) *guard.Params {
	out := *p
	out.Ladder.React = 24 * time.Hour
	out.Joints.ArmsBelow = math.Inf(1)
	out.Deaf = true
	out.Posture = guard.PostureParams{Rungs: p.Posture.Rungs} // it was not told to go down
	return &out
}

// NewWorld returns a world that begins at a civil time, in nanoseconds since the Unix epoch.
func NewWorld(p *guard.Params, civil int64, a Assume, watchers ...Watcher) (*World, error) {
	if a.Disobeys {
		p = forgive(p)
	}
	core, err := guard.NewCore(p, guard.Start{Boot: WorldStart})
	if err != nil {
		return nil, err
	}
	w := &World{
		Trust: 2, Journal: guard.JournalOK, Charge: 0.8, params: p, core: core, assume: a, watchers: watchers, civil: civil,
		now: WorldStart, tick: WorldStart, slow: WorldStart, sensors: WorldStart,
		peer: msg.Peer{ID: 1 << 30, Name: "/assumed", Strength: msg.SourceBound},
	}
	w.joints = msg.Joints{N: p.Joints.N, HasVelocity: true}
	for i := range p.Joints.N {
		w.joints.Seen |= 1 << i
		if lo, hi := p.Joints.Min[i], p.Joints.Max[i]; lo > 0 || hi < 0 {
			w.joints.Position[i] = (lo + hi) / 2
		}
	}
	w.peers()
	return w, nil
}

// Supply begins or ends to give an input as a sound robot has it.
func (w *World) Supply(in guard.InputSet, on bool) {
	if w.sensors < w.now {
		w.sensors = w.now // What was due while nothing was supplied is not made up for.
	}
	if w.assume.Inputs |= in; !on {
		w.assume.Inputs &^= in
	}
}

// Vouch begins or ends to let a verifier vouch for the robot's software.
func (w *World) Vouch(on bool) { w.assume.Attested = on }

// Say lets a source of facts say a value again and again, -1 for one that the mapping does not list.
func (w *World) Say(source, value int) {
	if w.sensors < w.now {
		w.sensors = w.now
	}
	if w.said == nil {
		w.said = make([]int, len(w.params.Facts))
	}
	w.said[source] = value + saidValue
	w.speak(source)
}

// saidValue is how far values in said are from their numbers, so that 0 is no value.
const saidValue = 2

// Hush ends what a source of facts says.
func (w *World) Hush(source int) {
	if w.said != nil {
		w.said[source] = 0
	}
}

func (w *World) speak(source int) {
	w.apply(guard.Event{Kind: guard.EventFact, Fact: guard.Fact{
		Source: source, Value: w.said[source] - saidValue, Peer: w.peer.ID, Strength: max(msg.SourceBound, w.params.Facts[source].Need),
	}})
}

// Joint sets where an assumed joint is, in rad or m.
func (w *World) Joint(i int, position float64) { w.joints.Position[i] = position }

// Sent is the last event's effects.
func (w *World) Sent() *guard.Effects { return &w.fx }

// Core is the core under way.
func (w *World) Core() *guard.Core { return w.core }

// Now is the boot clock.
func (w *World) Now() time.Duration { return w.now }

// Boot is the boot clock at a civil time.
func (w *World) Boot(civil int64) time.Duration { return WorldStart + time.Duration(civil-w.civil) }

// Civil is the civil time now.
func (w *World) Civil() int64 { return w.civil + int64(w.now-WorldStart) }

// peers connects the publishers that the mapping lists first.
func (w *World) peers() {
	for i := range w.params.Watches {
		p := &w.params.Watches[i]
		if p.Input < 0 || p.Config.Allowed.N == 0 {
			continue
		}
		w.apply(guard.Event{Kind: guard.EventPeer, Peer: guard.PeerEvent{
			Change: guard.PeerConnected, Input: p.Input, Gated: true, ID: uint32(i + 1), Strength: msg.SourceBound, Name: p.Config.Allowed.Name[0], //nolint:gosec // a handful
		}})
	}
	for i := range w.params.Processes {
		w.apply(guard.Event{Kind: guard.EventPeer, Peer: guard.PeerEvent{
			Change: guard.PeerConnected, Input: -1, ID: uint32(i + 1000), Strength: msg.SourceBound, Name: w.params.Processes[i].Node, //nolint:gosec // a handful
		}})
	}
}

// Advance lets everything happen that is due up to a moment, and moves there. A moment that has passed changes nothing:
// the guard's clock does not run backwards either.
func (w *World) Advance(to time.Duration) {
	for {
		at := min(w.tick, w.slow)
		if w.assume.Inputs != 0 || w.said != nil {
			at = min(at, w.sensors)
		}
		if len(w.answers) > 0 {
			at = min(at, w.answers[0].at)
		}
		if at > to {
			break
		}
		w.now = max(w.now, at)
		w.fire(at)
	}
	w.now = max(w.now, to)
}

func (w *World) fire(at time.Duration) {
	switch {
	case len(w.answers) > 0 && w.answers[0].at == at:
		a := w.answers[0]
		w.answers = w.answers[:copy(w.answers, w.answers[1:])]
		if a.ack {
			w.apply(guard.Event{Kind: guard.EventAck, Ack: guard.Ack{Rung: a.endpoint, OK: true}})
			return
		}
		w.apply(guard.Event{Kind: guard.EventAnswer, Answer: guard.Answer{Endpoint: a.endpoint, Value: a.value, Valid: true, Stop: a.stop}})
	case w.slow == at:
		w.slow += slowEvery
		w.everySecond()
	case w.tick == at:
		w.tick += guard.TickPeriod
		w.apply(guard.Event{Kind: guard.EventTick, Tick: guard.Tick{
			Trust: w.Trust, Journal: w.Journal, BusOK: !w.BusSilent, Heard: true,
		}})
	default:
		w.sensors += sensorEvery
		w.sound()
	}
}

// everySecond is what the bus, the steward, a verifier and people say.
func (w *World) everySecond() {
	if !w.BusSilent {
		for i := range w.params.Watches {
			g := w.graph(&w.params.Watches[i])
			w.apply(guard.Event{Kind: guard.EventGraph, Graph: &g})
		}
	}
	if w.assume.Floor >= 0 {
		w.apply(guard.Event{Kind: guard.EventFloor, Floor: w.assume.Floor})
	}
	if w.params.Posture.Config.Heat.Used {
		const cool = 40 // °C
		w.apply(guard.Event{Kind: guard.EventDevice, Device: &msg.Device{
			Header: msg.Header{Boot: w.now, Peer: &w.peer}, Kind: msg.Heat, Active: true, Celsius: cool,
		}})
	}
	for i := range w.params.Processes {
		d := &w.params.Processes[i]
		w.apply(guard.Event{Kind: guard.EventProcess, Process: guard.Process{
			ID: uint32(i + 1000), Found: true, UID: d.UID, Unit: d.Unit, HasExe: d.HasExe, Exe: d.Exe, Until: w.now + factLasts, //nolint:gosec // a handful
		}})
	}
	if w.assume.Attested {
		w.apply(guard.Event{Kind: guard.EventAttestation, Attestation: guard.Attestation{
			Verdict: guard.VerdictAccepted, Tier: guard.TierTPM, Until: w.now + factLasts,
		}})
	}
	if w.assume.Resets && !w.core.Decision().LatchedSet.Empty() {
		w.Reset(interlock.RoleOperator, interlock.RoleSupervisor, interlock.RoleSafetyEngineer, interlock.RoleSecurity)
	}
}

// Reset asks to reset all that is latched, signed by a different person in each role.
func (w *World) Reset(roles ...interlock.Role) {
	o := guard.Order{Kind: guard.OrderReset, All: true, Zone: -1}
	for i, r := range roles[:min(len(roles), guard.MaxPersons)] {
		o.Signers[i] = guard.Signer{Person: uint64(i + 1), Role: r} //nolint:gosec // at most four
	}
	w.apply(guard.Event{Kind: guard.EventOrder, Order: o})
}

// graph is what a bus in order says about a topic.
func (w *World) graph(p *guard.WatchParams) msg.Graph {
	g := msg.Graph{Boot: w.now, Topic: p.Topic, Known: true, Total: 1}
	if p.Config.Output {
		g.Publishers[0], g.Registered, g.ConsumerKnown, g.SourcesTotal = p.Config.Self, true, true, 1
		g.Sources[0] = p.Config.Self
	} else {
		g.Publishers[0] = p.Config.Allowed.Name[0]
	}
	if name := w.Stranger[p.Topic]; name != "" {
		g.Publishers[1], g.Total = name, 2
		if p.Config.Output {
			g.Sources[1], g.SourcesTotal = name, 2
		}
	}
	return g
}

// sound gives the inputs that the recording does not have as a robot in order would: joints at rest unless the robot moves,
// an inertial sensor that agrees with odometry, a full battery, devices that do not record.
func (w *World) sound() {
	s := w.core.Stance()
	h := msg.Header{Boot: w.now, Stamp: w.Civil(), Peer: &w.peer}
	speed := s.SpeedMPS
	if math.IsNaN(speed) {
		speed = 0
	}
	if w.assume.Inputs&guard.InputJoints != 0 && w.params.Joints.N > 0 {
		w.joints.Header = h
		for i := range w.joints.N {
			w.joints.Velocity[i] = 0
			if w.params.Joints.Carrying&(1<<i) != 0 {
				w.joints.Velocity[i] = min(3*speed, w.params.Joints.MaxVelocity[i])
			}
		}
		w.apply(guard.Event{Kind: guard.EventJoints, Joints: &w.joints})
	}
	if w.assume.Inputs&guard.InputIMU != 0 {
		w.apply(guard.Event{Kind: guard.EventIMU, IMU: w.upright(h)})
	}
	for _, d := range [...]struct {
		input guard.InputSet
		dev   msg.Device
	}{
		{guard.InputBattery, msg.Device{Header: h, Kind: msg.Battery, ChargeRatio: w.Charge}},
		{guard.InputCameras, msg.Device{Header: h, Kind: msg.Camera, Active: w.Recording}},
		{guard.InputMicrophones, msg.Device{Header: h, Kind: msg.Microphone, Active: w.Recording}},
	} {
		if w.assume.Inputs&d.input != 0 {
			w.apply(guard.Event{Kind: guard.EventDevice, Device: &d.dev})
		}
	}
	for i, v := range w.said {
		if v != 0 {
			w.speak(i)
		}
	}
}

// Feed lets all happen that was due before a message of that receive time, and applies it.
func (w *World) Feed(at time.Duration, ev guard.Event) {
	w.Advance(at)
	w.apply(ev)
}

// Apply applies an event now.
func (w *World) Apply(ev guard.Event) { w.apply(ev) }

func (w *World) apply(ev guard.Event) {
	ev.Boot, ev.Civil = w.now, w.Civil()
	before := w.fx.Rungs
	w.events++
	w.core.Apply(&ev, &w.fx)
	for _, o := range w.watchers {
		o.See(&ev, w.core, &w.fx)
	}
	fx := w.fx
	if fx.RungsChanged && !w.assume.Disobeys {
		w.rungs(fx.Rungs &^ before)
	}
	for i := range w.params.Heartbeats {
		if fx.Challenge&(1<<i) == 0 {
			continue
		}
		w.drawn++
		a := answer{at: w.now + answerAfter, endpoint: i, stop: w.Stopping&(1<<i) != 0 || w.core.ChannelLevel(i) == "away"}
		binary.LittleEndian.PutUint64(a.value[:], w.drawn)
		a.value[15] = 1
		w.apply(guard.Event{Kind: guard.EventChallenge, Challenge: guard.Challenge{Endpoint: i, Value: a.value}})
		if w.Silent&(1<<i) == 0 {
			w.answers = append(w.answers, a)
		}
	}
}

// rungs lets the vendor's services take what they are asked for.
func (w *World) rungs(asked uint32) {
	for i := range w.params.Ladder.N {
		if asked&(1<<i) != 0 && w.params.Ladder.Rungs[i].AckWithin > 0 {
			w.answers = append(w.answers, answer{at: w.now + answerAfter, endpoint: i, ack: true})
		}
	}
}

// upright is a message of the inertial unit of a robot that stands as its profile says.
func (w *World) upright(h msg.Header) *msg.IMU {
	const gravity = 9.80665
	m := &msg.IMU{Header: h, HasAngularVelocity: true}
	if u := w.params.Fall.Up; w.params.Fall.Used {
		n := math.Sqrt(u[0]*u[0] + u[1]*u[1] + u[2]*u[2])
		m.LinearAcceleration, m.HasLinearAcceleration = msg.Vec3{X: gravity * u[0] / n, Y: gravity * u[1] / n, Z: gravity * u[2] / n}, true
	}
	return m
}
