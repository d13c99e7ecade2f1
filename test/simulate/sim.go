// Package simulate runs a guard's core in virtual time with a robot that was written from the specification alone: dead
// time, lag, steps, slip, noise, latency, and commands that are lost or late. It knows nothing of predictions, and it never
// looks at what the guard says of itself when it judges where the robot is.
//
// An hour of a robot takes a second or so. What needs sockets and the machine's clock is tested in package e2e.
package simulate

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
	"github.com/robowarden/robowarden/test/oracle"
)

// bootStart is the boot clock at which a run begins.
const bootStart = 40 * time.Second

// Senses is how well the robot measures itself.
type Senses struct {
	// Pose, Rest and Tick are the periods of poses, of all other measurements, and of the guard's tick.
	Pose, Rest, Tick time.Duration
	// Latency is how long a pose takes from the measurement to the guard at least, Jitter what may come on top.
	Latency, Jitter time.Duration
	// White and Slow are the deviations of the position's error in metres and per axis; Slow changes within SlowTime.
	White, Slow float64
	SlowTime    time.Duration
	// Yaw is the deviation of the heading in radians, Speed that of odometry in m/s.
	Yaw, Speed float64
	// Gait is a further deviation of odometry while the robot moves, in m/s.
	Gait float64
}

// Config is one run.
type Config struct {
	Params *guard.Params
	// Seed starts all chance of the run.
	Seed uint64
	// X, Y and Yaw are where the robot starts.
	X, Y, Yaw float64
	// Civil is the time of day at the start.
	Civil  time.Time
	Body   Body
	Senses Senses
	// Up is the way from the planner to the guard, Down the one from the guard to the base.
	Up, Down Link
	// Period is the planner's; Plan gives its command, or none.
	Period time.Duration
	Plan   func(s *Sim) (vx, vy, w float64, ok bool)
	// Second, if set, is a second source of poses, at the first one's rate.
	Second func(s *Sim) (msg.Pose, bool)
	// Open passes every command by the guard: the off case.
	Open bool
	// Step is the longest step of the robot's motion.
	Step time.Duration
	// Truth keeps what the robot really did, each step a sample.
	Truth bool
	// Plain sends commands as they are, without numbers: the way that a Twist has none.
	Plain bool
	// Each, if set, sees the core after every event.
	Each func(s *Sim)
}

// Sim is one robot with its guard.
type Sim struct {
	Config
	tb   testing.TB
	core *guard.Core
	fx   guard.Effects
	now  time.Duration
	rng  *rand.Rand
	base base
	// seen is the newest pose as the localisation gave it to the planner.
	seen     msg.Pose
	truth    oracle.Truth
	up, down wire
	poses    []msg.Pose
	poseLast time.Duration
	answers  []answer
	due      [sources]time.Duration
	ex, ey   noise
	seq      uint32
	events   int
	// frozen repeats the last pose's position for ever: a fault of the localisation.
	frozen bool
	peer   msg.Peer
}

type answer struct {
	at        time.Duration
	value     [16]byte
	endpoint  int
	stop, ack bool
}

// What comes regularly.
const (
	sourceTick = iota
	sourcePose
	sourceOdometry
	sourceJoints
	sourceIMU
	sourceSlow
	sourcePlan
	sourceSecond
	sources
)

// New builds a run that has not begun.
func New(tb testing.TB, c Config) *Sim {
	tb.Helper()
	core, err := guard.NewCore(c.Params, guard.Start{Boot: bootStart})
	if err != nil {
		tb.Fatal(err)
	}
	s := &Sim{
		Config: c, tb: tb, core: core, now: bootStart, rng: rand.New(rand.NewPCG(c.Seed, 0x73696d)),
		base: base{Body: c.Body, x: c.X, y: c.Y, yaw: c.Yaw, locked: !c.Open, lockHeard: bootStart, heard: bootStart},
		up:   wire{Link: c.Up}, down: wire{Link: c.Down},
		ex:   noise{white: c.Senses.White, slow: c.Senses.Slow, time: c.Senses.SlowTime},
		peer: msg.Peer{ID: 7, Name: "/x", Strength: msg.SourceBound},
	}
	s.ey = s.ex
	for i := range s.due {
		s.due[i] = bootStart + time.Duration(s.rng.Int64N(int64(20*time.Millisecond)))
	}
	return s
}

func (s *Sim) period(source int) time.Duration {
	switch source {
	case sourceTick:
		return s.Senses.Tick
	case sourcePose, sourceSecond:
		return s.Senses.Pose
	case sourceSlow:
		return time.Second
	case sourcePlan:
		return s.Period
	}
	return s.Senses.Rest
}

// next is when something happens next, and what: a source, or -1 for what is on its way.
func (s *Sim) next() (time.Duration, int) {
	at, what := s.due[0], 0
	for i := 1; i < sources; i++ {
		if s.due[i] < at {
			at, what = s.due[i], i
		}
	}
	sooner := func(t time.Duration, ok bool) {
		if ok && t <= at {
			at, what = t, -1
		}
	}
	sooner(s.up.due())
	sooner(s.down.due())
	if len(s.poses) > 0 {
		sooner(s.poses[0].Boot, true)
	}
	if len(s.answers) > 0 {
		sooner(s.answers[0].at, true)
	}
	return at, what
}

// Run goes on for a time.
func (s *Sim) Run(d time.Duration) {
	for end := s.now + d; ; {
		at, what := s.next()
		if at > end {
			s.move(end)
			return
		}
		s.move(at)
		if what < 0 {
			s.arrive()
			continue
		}
		s.due[what] += s.period(what)
		s.fire(what)
	}
}

// Until runs until the condition holds, looked at every tenth of a second, and says whether it came to hold.
func (s *Sim) Until(limit time.Duration, cond func() bool) bool {
	for end := s.now + limit; s.now < end; {
		if cond() {
			return true
		}
		s.Run(100 * time.Millisecond)
	}
	return cond()
}

// move takes the robot to a time.
func (s *Sim) move(to time.Duration) {
	for s.now < to {
		dt := min(s.Step, to-s.now)
		s.now += dt
		s.base.step(s.now, dt)
		if s.Truth {
			b := &s.base
			s.truth.Samples = append(s.truth.Samples, oracle.Sample{T: s.now, X: b.x, Y: b.y, Yaw: b.yaw, VX: b.vx, VY: b.vy, W: b.w})
		}
	}
}

func (s *Sim) civil() time.Time { return s.Civil.Add(s.now - bootStart) }

// arrive delivers all that was on its way and is due now.
func (s *Sim) arrive() {
	for len(s.poses) > 0 && s.poses[0].Boot <= s.now {
		s.seen = s.poses[0]
		s.poses = s.poses[1:]
		s.apply(guard.Event{Kind: guard.EventPose, Pose: &s.seen})
	}
	for at, ok := s.up.due(); ok && at <= s.now; at, ok = s.up.due() {
		s.command(s.up.take())
	}
	for at, ok := s.down.due(); ok && at <= s.now; at, ok = s.down.due() {
		o := s.down.take()
		s.base.hear(s.now, o.vx, o.vy, o.w)
	}
	for len(s.answers) > 0 && s.answers[0].at <= s.now {
		a := s.answers[0]
		s.answers = s.answers[1:]
		if a.ack {
			s.apply(guard.Event{Kind: guard.EventAck, Ack: guard.Ack{Rung: a.endpoint, OK: true}})
			continue
		}
		s.apply(guard.Event{Kind: guard.EventAnswer, Answer: guard.Answer{Endpoint: a.endpoint, Value: a.value, Valid: true, Stop: a.stop}})
	}
}

func (s *Sim) command(o order) {
	if s.Open {
		s.base.lockHeard = s.now
		s.down.send(s.rng, s.now, o)
		return
	}
	c := msg.Command{Header: s.header("")}
	c.Stamp = 0
	if s.Plain {
		c.Seq = 0
	}
	c.Linear.X, c.Linear.Y, c.Angular.Z = o.vx, o.vy, o.w
	s.apply(guard.Event{Kind: guard.EventCommand, Command: &c})
}

func (s *Sim) header(frame string) msg.Header {
	s.seq++
	return msg.Header{Boot: s.now, Stamp: s.civil().UnixNano(), Frame: frame, Peer: &s.peer, Seq: s.seq}
}

// fire measures, plans or ticks.
func (s *Sim) fire(source int) {
	p := s.Params
	switch source {
	case sourceTick:
		s.apply(guard.Event{Kind: guard.EventTick, Tick: guard.Tick{Trust: 2, Journal: guard.JournalOK, BusOK: true, Heard: true}})
	case sourcePose:
		s.locate()
	case sourceSecond:
		if s.Second != nil {
			if p, ok := s.Second(s); ok {
				s.apply(guard.Event{Kind: guard.EventSecondPose, Pose: &p})
			}
		}
	case sourceOdometry:
		o := msg.Pose{Header: s.header("odom"), HasTwist: true}
		t := &o.Twist
		t.Linear.X, t.Linear.Y, t.Angular.Z = s.off(s.base.vx), s.off(s.base.vy), s.off(s.base.w)
		s.apply(guard.Event{Kind: guard.EventOdometry, Pose: &o})
	case sourceJoints:
		j := msg.Joints{Header: s.header(""), N: p.Joints.N, Seen: 1<<p.Joints.N - 1, HasVelocity: true}
		for i := range j.N {
			if p.Joints.Carrying&(1<<i) != 0 && !s.base.stiff {
				j.Velocity[i] = 3*s.base.speed() + math.Abs(s.base.w)
			}
		}
		s.apply(guard.Event{Kind: guard.EventJoints, Joints: &j})
	case sourceIMU:
		m := msg.IMU{Header: s.header("imu_link"), AngularVelocity: msg.Vec3{Z: s.off(s.base.w)}, HasAngularVelocity: true}
		s.apply(guard.Event{Kind: guard.EventIMU, IMU: &m})
	case sourceSlow:
		s.slow()
	case sourcePlan:
		if s.Plan == nil {
			return
		}
		if vx, vy, w, ok := s.Plan(s); ok {
			s.up.send(s.rng, s.now, order{vx: vx, vy: vy, w: w})
		}
	}
}

func (s *Sim) off(v float64) float64 {
	if s.Senses.Gait > 0 && s.base.speed() > 0 {
		v += s.Senses.Gait * s.rng.NormFloat64()
	}
	return v + s.Senses.Speed*s.rng.NormFloat64()
}

// locate measures a pose, which arrives later.
func (s *Sim) locate() {
	b, n := &s.base, &s.Senses
	yaw := b.yaw + n.Yaw*s.rng.NormFloat64()
	p := msg.Pose{
		Header: s.header("map"), Orientation: msg.Quat{Z: math.Sin(yaw / 2), W: math.Cos(yaw / 2)}, HasCovariance: true,
		Position: msg.Vec3{X: b.x + s.ex.draw(s.rng, s.now), Y: b.y + s.ey.draw(s.rng, s.now)},
	}
	if s.frozen {
		p.Position, p.Orientation = s.seen.Position, s.seen.Orientation
	}
	v := max(n.White*n.White+n.Slow*n.Slow, 1e-6)
	p.Covariance[0], p.Covariance[7], p.Covariance[35] = v, v, max(n.Yaw*n.Yaw, 1e-6)
	p.Boot = s.now + n.Latency
	if n.Jitter > 0 {
		p.Boot += time.Duration(s.rng.Int64N(int64(n.Jitter)))
	}
	p.Boot = max(p.Boot, s.poseLast)
	s.poseLast = p.Boot
	s.poses = append(s.poses, p)
}

// slow is what the robot says once a second: floor, battery, and who publishes what.
func (s *Sim) slow() {
	s.apply(guard.Event{Kind: guard.EventFloor, Floor: 0})
	s.apply(guard.Event{Kind: guard.EventDevice, Device: &msg.Device{Header: s.header(""), Kind: msg.Battery, ChargeRatio: 0.8}})
	for i := range s.Params.Watches {
		g := graph(&s.Params.Watches[i], s.now)
		s.apply(guard.Event{Kind: guard.EventGraph, Graph: &g})
	}
}

// graph is what a bus in order says about a topic.
func graph(w *guard.WatchParams, now time.Duration) msg.Graph {
	g := msg.Graph{Boot: now, Topic: w.Topic, Known: true, Total: 1}
	if g.Publishers[0] = self; w.Config.Output {
		g.Registered, g.ConsumerKnown, g.SourcesTotal = true, true, 1
		g.Sources[0] = self
	} else {
		g.Publishers[0] = w.Config.Allowed.Name[0]
	}
	return g
}

// apply gives the core an event and the world what comes of it.
func (s *Sim) apply(ev guard.Event) {
	ev.Boot, ev.Civil = s.now, s.civil().UnixNano()
	before := s.fx.Rungs
	s.core.Apply(&ev, &s.fx)
	s.events++
	fx := s.fx
	if s.Each != nil {
		s.Each(s)
	}
	if fx.Send && !s.Open {
		s.down.send(s.rng, s.now, order{vx: fx.Command.Linear.X, vy: fx.Command.Linear.Y, w: fx.Command.Angular.Z})
	}
	if fx.SendLock && !s.Open {
		s.base.lock(s.now, fx.Locked)
	}
	if fx.RungsChanged {
		s.rungs(before, fx.Rungs)
	}
	for i := range len(s.Params.Heartbeats) {
		if fx.Challenge&(1<<i) == 0 {
			continue
		}
		a := answer{at: s.now + 20*time.Millisecond, endpoint: i, stop: s.core.ChannelLevel(i) == "away"}
		binary.LittleEndian.PutUint64(a.value[:], uint64(s.events)) //nolint:gosec // a count
		a.value[15] = 1
		s.apply(guard.Event{Kind: guard.EventChallenge, Challenge: guard.Challenge{Endpoint: i, Value: a.value}})
		s.answers = append(s.answers, a)
	}
}

// rungs lets the vendor's stop service do what it is asked for, and say so.
func (s *Sim) rungs(before, after uint32) {
	stop := uint32(0)
	for i := range s.Params.Ladder.N {
		if s.Params.Ladder.Rungs[i].Kind == interlock.RungService {
			stop |= 1 << i
			if after&^before&(1<<i) != 0 {
				s.answers = append(s.answers, answer{at: s.now + 20*time.Millisecond, endpoint: i, ack: true})
			}
		}
	}
	s.base.stopped = !s.Open && after&stop != 0
}

// motion is what the guard lets the base do.
func (s *Sim) motion() interlock.Motion { return s.core.Decision().Axes.Motion }

// Ready runs until the guard has opened, and a little more.
func (s *Sim) Ready() {
	s.tb.Helper()
	open := func() bool { return s.motion() >= interlock.MotionLimited }
	if !s.Until(20*time.Second, open) {
		text, _ := guard.DescribeDecision(s.core.AppendDecision(nil))
		s.tb.Fatalf("the guard did not open within 20 s: %s", text)
	}
	s.Run(2 * time.Second)
}
