package guard

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/msg"
)

// Record kinds in the guard's journal. The numbers are part of the format.
const (
	// RecordStart opens a run: version, configuration digests and boot id, as JSON.
	RecordStart uint8 = 1
	// RecordSnapshot is the core's whole state; a replay may begin at any of them.
	RecordSnapshot uint8 = 2
	// RecordEvent is an event by [AppendEvent], followed by the running digest after it, 8 bytes little-endian.
	RecordEvent uint8 = 3
	// RecordDecision is a new decision in people's terms, by [AppendDecision].
	RecordDecision uint8 = 4
	// RecordRung is a change of the ladder: which rungs are asserted, acknowledged and confirmed, and when.
	RecordRung uint8 = 5
	// RecordOrder is the outcome of a signed order, as JSON: digest, kind, signers, accepted or why not.
	RecordOrder uint8 = 6
	// RecordPolicy says that the policy set with this digest is in force from here on.
	RecordPolicy uint8 = 7
	// RecordResume stands before every snapshot and repeats what a replay has to know to begin there, since the run's
	// first records may have been lost or given up to the quota: see [Resume].
	RecordResume uint8 = 8
	// RecordCheckpoint is a signed head of this journal as the courier returned it, as JSON.
	RecordCheckpoint uint8 = 9
	// RecordAuthority is the begin or the end of an override or a session of remote control, by [AppendAuthority].
	RecordAuthority uint8 = 10
	// RecordDemand is what a gate said about a demand, where that is news, by [AppendJudgement].
	RecordDemand uint8 = 11
	// RecordPosture is a change on the robot's way down: which step is demanded, acknowledged, failed and reached, and when.
	RecordPosture uint8 = 12
)

// SnapshotEvery is how often the core's state is written whole, so that a replay never has to start at the beginning.
const SnapshotEvery = 10 * time.Second

// snapshotRetry paces the snapshots that close a gap: while the ring is full, each would be lost as well and only cost
// the path its time.
const snapshotRetry = 250 * time.Millisecond

// TickPeriod is how often the guard decides even if nothing arrives.
const TickPeriod = 20 * time.Millisecond

// Options is what a Guard works with. All fields are required.
type Options struct {
	Core    *Core
	Clock   Clock
	Sink    Sink
	Journal Recorder
	// Heartbeats checks the answers of the endpoints, in the order of the mapping.
	Heartbeats []*Heartbeat
	// Envelopes tells the challenges of the channels that demand a proof; it may be empty where none does.
	Envelopes Envelopes
	// Persist is handed the latches whenever they change. It must copy them and return at once.
	Persist func(latches []byte)
	Log     zerolog.Logger
}

// Guard applies events to a Core and acts on the result. Its methods may be called from any goroutine. The lock is
// held for the few microseconds of a decision and for a copy into the journal's ring, never over input or output.
type Guard struct {
	opt Options

	mu       sync.Mutex
	ev       Event
	fx       Effects
	buf      []byte
	lastBoot time.Duration
	snapDue  time.Duration
	stops    uint64 // stop orders that have taken effect
	lost     bool
	retryDue time.Duration
	resume   Resume
	resumed  []byte // resume as it is recorded

	hbMu sync.Mutex
	line []byte

	journal atomic.Uint32
	busOK   atomic.Bool
	heard   atomic.Bool
	trust   atomic.Uint32
	ticks   atomic.Uint64
}

// New returns a guard that has decided nothing yet: closed until its inputs have been seen.
func New(opt Options) *Guard {
	g := &Guard{opt: opt, buf: make([]byte, 0, 128<<10), line: make([]byte, 0, 512)}
	g.journal.Store(uint32(JournalOK))
	return g
}

// begin takes the lock and prepares an event. Boot time is read inside the lock, so that events are in its order.
func (g *Guard) begin(kind EventKind) *Event {
	g.mu.Lock()
	boot := max(g.opt.Clock.Boot(), g.lastBoot)
	g.lastBoot = boot
	g.ev = Event{Kind: kind, Boot: boot, Civil: g.opt.Clock.Civil()}
	return &g.ev
}

// finish applies the prepared event, records it, releases the lock and acts.
func (g *Guard) finish() {
	g.opt.Core.Apply(&g.ev, &g.fx)
	g.record()
	fx := g.fx
	g.mu.Unlock()
	g.act(&fx)
}

// record copies event and decision into the journal's ring.
func (g *Guard) record() {
	e := encoder{AppendEvent(g.buf[:0], &g.ev)}
	e.u64(g.fx.Digest)
	g.append(RecordEvent, e.b, g.ev.Kind == EventOrder || g.ev.Kind == EventAttestation)
	if g.due() {
		g.snapshot()
	}
	if g.fx.RungsChanged {
		g.append(RecordRung, g.opt.Core.AppendLadder(g.buf[:0]), true)
	}
	if g.fx.PostureChanged {
		g.append(RecordPosture, g.opt.Core.AppendPosture(g.buf[:0]), true)
	}
	if g.fx.Decided {
		g.append(RecordDecision, g.opt.Core.AppendDecision(g.buf[:0]), true)
	}
	for _, a := range g.opt.Core.Authority() {
		g.append(RecordAuthority, AppendAuthority(g.buf[:0], &a), true)
	}
	for i := range g.opt.Core.demands.gates {
		if g.fx.Judged&(1<<i) != 0 {
			g.append(RecordDemand, g.opt.Core.AppendJudgement(g.buf[:0], i), false)
		}
	}
	if g.fx.LatchesChanged {
		g.opt.Persist(g.opt.Core.AppendLatches(g.buf[:0]))
	}
}

// due says whether the state is to be written now. After a loss no replay can go on from the events alone, and the state
// after the present event closes the gap. Otherwise a tick pays for it, so that a command does not wait for it.
func (g *Guard) due() bool {
	if g.lost {
		return g.ev.Boot >= g.retryDue
	}
	late := g.ev.Boot - g.snapDue
	return late >= 0 && (g.ev.Kind == EventTick || late >= time.Second || g.snapDue == 0)
}

func (g *Guard) snapshot() {
	g.lost = false
	g.snapDue, g.retryDue = g.ev.Boot+SnapshotEvery, g.ev.Boot+snapshotRetry
	if g.resumed != nil {
		g.append(RecordResume, g.resumed, false)
	}
	g.append(RecordSnapshot, g.opt.Core.AppendState(g.buf[:0]), false)
}

func (g *Guard) append(kind uint8, payload []byte, urgent bool) {
	if _, ok := g.opt.Journal.Append(kind, g.ev.Boot, payload, urgent); !ok {
		g.lost = true
	}
}

// act tells the world. It runs outside the lock; fx is the caller's own copy.
func (g *Guard) act(fx *Effects) {
	if fx.Send {
		g.opt.Sink.Command(fx.Seq, fx.Command)
	}
	if fx.SendLock {
		g.opt.Sink.Lock(fx.Seq, fx.Locked)
	}
	if fx.RungsChanged {
		g.opt.Sink.Rungs(fx.Seq, fx.Rungs, fx.Calls)
	}
	if fx.CloseDevices {
		g.opt.Sink.Private(fx.Seq, fx.Private)
	}
	for i := range MaxGates {
		if fx.End&(1<<i) != 0 {
			g.opt.Sink.End(i, fx.Seq, fx.Measured, fx.MeasuredKnown)
		}
		if fx.SendGateLock&(1<<i) != 0 {
			g.opt.Sink.GateLock(i, fx.Seq, fx.GatesLocked&(1<<i) != 0)
		}
	}
	for i := range g.opt.Heartbeats {
		if fx.Challenge&(1<<i) != 0 {
			g.challenge(i)
		}
	}
	for i := range g.opt.Envelopes {
		if fx.CommandChallenge&(1<<i) != 0 && g.opt.Envelopes[i] != nil {
			var value [16]byte
			_, _ = rand.Read(value[:]) // It never fails: crypto/rand ends the program instead.
			g.commandChallenge(i, value)
		}
	}
}

// challenge draws a fresh challenge, tells the core and sends the line. It applies its event before the line goes out,
// so that no answer can come before the core knows what was asked.
func (g *Guard) challenge(endpoint int) {
	var value [16]byte
	_, _ = rand.Read(value[:]) // It never fails: crypto/rand ends the program instead.
	ev := g.begin(EventChallenge)
	if !g.opt.Core.beats[endpoint].Due(ev.Boot) {
		g.mu.Unlock()
		return // Another goroutine saw the same and was quicker.
	}
	ev.Challenge = Challenge{Endpoint: endpoint, Value: value}
	level := g.opt.Core.ChannelLevel(endpoint)
	g.finish()
	g.hbMu.Lock()
	defer g.hbMu.Unlock()
	g.line = g.opt.Heartbeats[endpoint].AppendChallenge(g.line[:0], value, level)
	g.opt.Sink.Challenge(endpoint, g.line)
}

// Tick moves ages, dwell times and timeouts on. planned is when the tick should have come.
func (g *Guard) Tick(planned time.Duration) {
	ev := g.begin(EventTick)
	ev.Tick = Tick{
		Late:    max(0, ev.Boot-planned),
		Trust:   uint8(g.trust.Load()),          //nolint:gosec // SetTrust takes a uint8
		Journal: JournalState(g.journal.Load()), //nolint:gosec // SetJournal takes a JournalState
		BusOK:   g.busOK.Load(),
		Heard:   g.heard.Load(),
	}
	g.finish()
	g.ticks.Add(1)
}

// Ticks counts the ticks that were applied.
func (g *Guard) Ticks() uint64 { return g.ticks.Load() }

// SetTrust says how far civil time can be believed from now on: 0 untrusted, 1 holdover, 2 trusted.
func (g *Guard) SetTrust(trust uint8) { g.trust.Store(uint32(trust)) }

// Trust returns what SetTrust said last.
func (g *Guard) Trust() uint8 { return uint8(g.trust.Load()) } //nolint:gosec // SetTrust takes a uint8

// SetJournal says how the journal is.
func (g *Guard) SetJournal(s JournalState) { g.journal.Store(uint32(s)) }

// SetBusOK says whether the bus answers questions about itself.
func (g *Guard) SetBusOK(ok bool) {
	g.busOK.Store(ok)
	g.heard.Store(true)
}

// Pose takes a pose from the localisation.
func (g *Guard) Pose(p *msg.Pose) { g.begin(EventPose).Pose = p; g.finish() }

// SecondPose takes a pose from the second source.
func (g *Guard) SecondPose(p *msg.Pose) { g.begin(EventSecondPose).Pose = p; g.finish() }

// Odometry takes a velocity from the base.
func (g *Guard) Odometry(p *msg.Pose) { g.begin(EventOdometry).Pose = p; g.finish() }

// Transform takes an edge of the tf tree.
func (g *Guard) Transform(t *msg.Transform) { g.begin(EventTransform).Transform = t; g.finish() }

// Joints takes a joint state.
func (g *Guard) Joints(j *msg.Joints) { g.begin(EventJoints).Joints = j; g.finish() }

// IMU takes an inertial measurement.
func (g *Guard) IMU(m *msg.IMU) { g.begin(EventIMU).IMU = m; g.finish() }

// Command takes a velocity command and, in the same call, sends what becomes of it.
func (g *Guard) Command(c *msg.Command) { g.begin(EventCommand).Command = c; g.finish() }

// Demand takes a command that is passed on whole or not at all and, in the same call, passes it on or does not.
func (g *Guard) Demand(d *msg.Demand) {
	d.Sum = sha256.Sum256(d.Raw) // before the lock: others need not wait for it
	g.begin(EventDemand).Demand = d
	g.opt.Core.Apply(&g.ev, &g.fx)
	g.record()
	fx := g.fx
	g.mu.Unlock()
	if fx.Pass {
		g.opt.Sink.Pass(int(fx.Gate), fx.Seq, d)
	}
	g.act(&fx)
}

// Device takes the state of a camera, a microphone or the battery.
func (g *Guard) Device(d *msg.Device) { g.begin(EventDevice).Device = d; g.finish() }

// Graph takes what the bus says about a gated topic.
func (g *Guard) Graph(m *msg.Graph) { g.begin(EventGraph).Graph = m; g.finish() }

// Peer takes a connection that came, went or was refused.
func (g *Guard) Peer(p PeerEvent) { g.begin(EventPeer).Peer = p; g.finish() }

// LockSeen takes a value that somebody published on the lock topic.
func (g *Guard) LockSeen(b *msg.Bool) { g.begin(EventLock).Lock = b; g.finish() }

// Floor takes the index of the floor that the localisation works on, -1 if unknown.
func (g *Guard) Floor(index int) { g.begin(EventFloor).Floor = index; g.finish() }

// Ack takes a rung's answer, or that of a step's service, to the request of a number: the last of [Effects.Calls] that it was told.
func (g *Guard) Ack(rung int, ok bool, number uint8) {
	g.begin(EventAck).Ack = Ack{Rung: rung, OK: ok}
	if rung >= 0 && rung < len(Calls{}) && g.opt.Core.down.calls[rung] != number {
		g.mu.Unlock()
		return // It was asked anew while the answer was on its way.
	}
	g.finish()
}

// Answer takes a line from a heartbeat endpoint's response topic. Lines that are not an answer of this endpoint count
// as wrong answers: nobody else has any business there.
func (g *Guard) Answer(endpoint int, line []byte) {
	g.hbMu.Lock()
	a, _ := g.opt.Heartbeats[endpoint].Check(line)
	g.hbMu.Unlock()
	a.Endpoint = endpoint
	g.begin(EventAnswer).Answer = a
	g.finish()
}

// Order applies an order that has been verified and made durable.
func (g *Guard) Order(o Order) OrderResult {
	g.begin(EventOrder).Order = o
	if o.Kind == OrderStop {
		g.stops++
	}
	return g.applied()
}

// applied is finish for an order.
func (g *Guard) applied() OrderResult {
	g.opt.Core.Apply(&g.ev, &g.fx)
	result := g.opt.Core.OrderResult()
	g.record()
	fx := g.fx
	g.mu.Unlock()
	g.act(&fx)
	return result
}

// Attest applies a verifier's result that has been verified and made durable.
func (g *Guard) Attest(a Attestation) { g.begin(EventAttestation).Attestation = a; g.finish() }

// Session takes the courier's claim about its session.
func (g *Guard) Session(s Session) { g.begin(EventSession).Session = s; g.finish() }

// Process takes the steward's fact about the process behind a connection.
func (g *Guard) Process(p Process) { g.begin(EventProcess).Process = p; g.finish() }

// Host takes what the program found out about itself and its computer.
func (g *Guard) Host(h Host) { g.begin(EventHost).Host = h; g.finish() }

// Recorders takes the steward's fact about recording devices.
func (g *Guard) Recorders(r Recorders) { g.begin(EventRecorders).Recorders = r; g.finish() }

// Private says whether cameras and microphones have to be closed now.
func (g *Guard) Private() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opt.Core.privacy.since != never
}

// Fact takes what a source says about load, task, operator, a door or a badge.
func (g *Guard) Fact(f Fact) { g.begin(EventFact).Fact = f; g.finish() }

// Note records something that is not an event for the core: a start, a receipt.
func (g *Guard) Note(kind uint8, payload []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ev.Boot = max(g.opt.Clock.Boot(), g.lastBoot)
	if kind == RecordStart {
		g.remember(Resume{Start: bytes.Clone(payload)})
	}
	g.append(kind, payload, true)
}

// remember keeps what snapshots repeat.
func (g *Guard) remember(r Resume) { g.resume, g.resumed = r, AppendResume(nil, r) }

// With calls f with the core while no event is applied. f must be quick and must not keep the core.
func (g *Guard) With(f func(*Core)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g.opt.Core)
}
