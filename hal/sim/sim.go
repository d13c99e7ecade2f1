// Package sim is a simulated humanoid in a simulated building, in virtual time, for demonstrations and tests; it never
// judges what the robot may do, never reads a clock and never starts a goroutine.
//
// A World moves only when Advance is called. The same options, the same calls and the same seed give the same messages
// and the same truth on one architecture, bit for bit. Between architectures the truth may differ in the last bits,
// since this package is a plant and not a decision.
//
// The plant is deliberately not an inverse of any predictor: speed changes take effect at footfalls only, behind a dead
// time, a first-order lag, slip, sway and a load that lengthens the way to stand still.
package sim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Tick is the step of the plant; all times in a World are multiples of it, counted from Options.Boot.
const Tick = time.Millisecond

// Command channels, in the order of the demonstration's topic mapping.
const (
	// ChannelAutonomy is cmd_vel_raw, the planner's.
	ChannelAutonomy = 0
	// ChannelOperator is the operator's console, driving by hand.
	ChannelOperator = 1
	// ChannelDock is the vendor's dock commander.
	ChannelDock = 2
)

// Nodes of the world, by the names they give themselves.
const (
	NodeLocalisation = "/localization"
	NodeBase         = "/walker"
	NodePlanner      = "/planner"
	NodeDock         = "/docking"
	NodeDesk         = "/operator_console"
	NodePower        = "/power"
	NodeCamera       = "/camera_head"
	NodeAudio        = "/audio"
	NodeGuard        = "/robowarden"
	NodeIntruder     = "/teleop_twist"
)

// Handlers receive what the world sends. Nil ones are skipped. A message is valid only during the call; a handler may
// call the World's inputs (Command, Lock, Call, Challenge), whose effects come later in virtual time, never during it.
type Handlers struct {
	// Pose is the localisation's answer in frame map, with covariance, 20 Hz.
	Pose func(*msg.Pose)
	// Odom is leg odometry in frame odom, with twist, 50 Hz. It drifts.
	Odom func(*msg.Pose)
	// Joints is all joints in the order of JointNames, 50 Hz.
	Joints func(*msg.Joints)
	// IMU is the torso's, 100 Hz.
	IMU func(*msg.IMU)
	// Device is the state of cameras, the microphone and the battery, 2 Hz each.
	Device func(*msg.Device)
	// Command is what arrives on the command channels before any gate.
	Command func(*msg.Command)
	// Floor is the map id of the storey, 2 Hz and at every change.
	Floor func(*msg.Text)
	// Answer is a line of the operator's desk to a challenge.
	Answer func(*msg.Text)
	// Order is a signed document that the operator's desk sends.
	Order func(*msg.Text)
	// Graph is what the bus says about a watched topic, 1 Hz each.
	Graph func(*msg.Graph)
	// Reply is a service's answer to a Call.
	Reply func(*Reply)
}

// Options are what a World starts from.
type Options struct {
	// Seed starts every random stream.
	Seed uint64
	// Boot is CLOCK_BOOTTIME at the start.
	Boot time.Duration
	// Civil is the civil time at the start.
	Civil time.Time
	// Robot is the robot's id, as in challenges.
	Robot string
	// Key is the operator's key for answers to challenges.
	Key []byte
	// Plant is the robot's dynamics.
	Plant Plant
	// Body is the robot's shape.
	Body Body
	// Building is where it walks.
	Building Building
	// Start is where it stands first.
	Start Placement
	// Frame is the localisation's frame_id.
	Frame string
	// LockTimeout is how long the base trusts the last lock message; it starts locked.
	LockTimeout time.Duration
	// NoLock leaves the lock out: commands reach the base whatever it says.
	NoLock bool
	// ServiceDelay and ServiceJitter bound the time that a service takes to answer: delay + [0, jitter).
	ServiceDelay, ServiceJitter time.Duration
}

// DefaultOptions is the demonstration's robot in the demonstration's hospital, standing at the dock, on a Tuesday evening.
func DefaultOptions() Options {
	b := Hospital()
	return Options{
		Seed: 1, Boot: 1000 * time.Second, Civil: time.Date(2026, 3, 10, 18, 50, 0, 0, time.UTC),
		Robot: "demo-humanoid-01", Plant: DefaultPlant(), Body: DefaultBody(), Building: b,
		Start: b.Dock, Frame: "map", LockTimeout: 400 * time.Millisecond,
		ServiceDelay: 20 * time.Millisecond, ServiceJitter: 40 * time.Millisecond,
	}
}

func (o *Options) check() error {
	var errs []error
	if o.Robot == "" {
		errs = append(errs, errors.New("sim: options: robot is empty, expected an id"))
	}
	if o.LockTimeout <= 0 && !o.NoLock {
		errs = append(errs, fmt.Errorf("sim: options: lock timeout is %v, expected above 0 (or set NoLock)", o.LockTimeout))
	}
	if o.ServiceDelay <= 0 || o.ServiceJitter < 0 {
		errs = append(errs, fmt.Errorf("sim: options: service delay %v + [0, %v), expected delay above 0",
			o.ServiceDelay, o.ServiceJitter))
	}
	if !finite(o.Start.X, o.Start.Y, o.Start.Yaw) || o.Building.Floor(o.Start.Floor) == nil {
		errs = append(errs, fmt.Errorf("sim: options: start %+v is not a place in the building", o.Start))
	}
	errs = append(errs, o.Plant.check(), o.Body.check(), o.Building.check())
	return errors.Join(errs...)
}

// World is the robot, the building and everybody who commands the robot. It is not safe for concurrent use.
type World struct {
	opts  Options
	on    Handlers
	ticks int64
	queue queue

	state    state
	base     base
	arms     arms
	sensors  sensors
	services services
	posture  posture
	devices  devices
	planner  Planner
	dock     docker
	desk     Desk
	faults   faults
	intruder intruder
	peers    peers
	record   *Recorder
}

// New makes a world at rest.
func New(o Options, h Handlers) (*World, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &World{opts: o, on: h, peers: newPeers()}
	w.state.place(o.Start)
	w.state.rnd = stream(o.Seed, 1)
	w.sensors.init(o.Seed)
	w.services.rnd = stream(o.Seed, 3)
	w.desk.init(w, stream(o.Seed, 4))
	w.planner.init(w)
	w.dock.init(w)
	w.devices.init()
	w.intruder.init(w)
	w.base.init()
	w.posture.height = 1
	w.arms = arms{lift: hangLift, bend: hangBend, open: hangOpen}
	w.startSensors()
	return w, nil
}

func stream(seed, n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x5157_0000+n)) } //nolint:gosec // a plant.

// Now is CLOCK_BOOTTIME in the world.
func (w *World) Now() time.Duration { return w.opts.Boot + time.Duration(w.ticks)*Tick }

// Civil is the civil time in the world.
func (w *World) Civil() time.Time { return w.opts.Civil.Add(time.Duration(w.ticks) * Tick) }

// Advance lets dt pass, rounded down to whole ticks, and returns the new time. Negative durations change nothing.
func (w *World) Advance(dt time.Duration) time.Duration {
	for end := w.ticks + int64(dt/Tick); w.ticks < end; {
		w.ticks++
		w.physics()
		for {
			f := w.queue.due(w.ticks)
			if f == nil {
				break
			}
			f()
		}
	}
	return w.Now()
}

// After calls f once in virtual time, at least one tick from now.
func (w *World) After(dt time.Duration, f func()) {
	w.queue.push(w.ticks+max(1, int64((dt+Tick-1)/Tick)), f)
}

// every calls f at a period, the first time after one offset.
func (w *World) every(offset, period time.Duration, f func()) {
	var again func()
	again = func() {
		f()
		w.After(period, again)
	}
	w.After(offset, again)
}

func (w *World) physics() {
	const dt = float64(Tick) / float64(time.Second)
	target, hard := w.target()
	w.state.step(&w.opts.Plant, dt, target, hard)
	w.posture.step(dt, !w.state.walking, !w.base.effective.zero())
	w.arms.step(dt, w.services.armsOff, w.state.loaded)
	w.devices.step(dt, w)
	if w.record != nil {
		w.record.add(w)
	}
}

// peers are the world's senders. Their names are claims like any.
type peers struct {
	localisation, base, planner, dock, desk, power, camera, audio, intruder msg.Peer
}

func newPeers() peers {
	p := func(id uint32, name string, port uint16, s msg.Strength) msg.Peer {
		return msg.Peer{ID: id, Name: name, Addr: local(port), Strength: s}
	}
	return peers{
		localisation: p(1, NodeLocalisation, 41001, msg.SourceBound), base: p(2, NodeBase, 41002, msg.SourceBound),
		planner: p(3, NodePlanner, 41003, msg.SourceBound), dock: p(4, NodeDock, 41004, msg.SourceBound),
		desk: p(5, NodeDesk, 41005, msg.SourceBound), intruder: p(66, NodeIntruder, 49999, msg.Claimed),
		power: p(6, NodePower, 41006, msg.SourceBound), camera: p(7, NodeCamera, 41007, msg.SourceBound),
		audio: p(8, NodeAudio, 41008, msg.SourceBound),
	}
}

func local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

func (w *World) header(p *msg.Peer, frame string, sampled time.Duration, seq *uint32) msg.Header {
	*seq++
	return msg.Header{
		Boot: w.Now(), Stamp: w.opts.Civil.Add(sampled - w.opts.Boot).UnixNano(), Seq: *seq, Frame: frame, Peer: p,
	}
}

func finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}
