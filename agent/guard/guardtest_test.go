package guard

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// The rig runs a core in virtual time with a robot that is written from the profile's figures alone: a point mass that
// follows its last command late, and stops by itself when it hears nothing. It knows nothing of predictions.

const (
	serial   = "demo-humanoid-01"
	nodeName = "/robowarden"
	// rigStep is the rig's own resolution.
	rigStep = 10 * time.Millisecond
	// rigStart is the boot clock at which a rig begins.
	rigStart = 40 * time.Second
)

// rigCivil is a Monday morning in the demonstration's time zone: the wards are open.
var rigCivil = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixNano()

// floorTime is the oldest civil time that a rig takes for possible.
var floorTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// demoParams loads the shipped demonstration; edit changes the policy's text first.
func demoParams(tb testing.TB, edit ...func(policy string) string) *Params {
	tb.Helper()
	return editedParams(tb, map[string][]func(string) string{"policy.yaml": edit})
}

// editedParams loads it with edits in any of its documents.
func editedParams(tb testing.TB, edits map[string][]func(string) string) *Params {
	tb.Helper()
	folder := tb.TempDir()
	var files []string
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "configs", "demo", name))
		if err != nil {
			tb.Fatal(err)
		}
		text := string(raw)
		for _, f := range edits[name] {
			text = f(text)
		}
		if name == "policy.yaml" && len(edits) > 1 {
			text = pinned(tb, text, files)
		}
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		files = append(files, file)
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: serial}
	p, err := NewParams(cfg, nodeName, floorTime)
	if err != nil {
		tb.Fatal(err)
	}
	p.Commissioning = false // what a record of a proof test says is tested by itself
	return p
}

// pinned puts the digests of the edited profile and mapping into a policy.
func pinned(tb testing.TB, policy string, files []string) string {
	tb.Helper()
	for i, key := range []string{"profile", "topics"} {
		raw, err := os.ReadFile(files[i])
		if err != nil {
			tb.Fatal(err)
		}
		policy = regexp.MustCompile(`(?m)^  `+key+`: "sha256:[0-9a-f]*"`).ReplaceAllString(policy, fmt.Sprintf(`  %s: "sha256:%x"`, key, sha256.Sum256(raw)))
	}
	return policy
}

// replaceIn is an edit that must find its text.
func replaceIn(tb testing.TB, old, with string) func(string) string {
	return func(policy string) string {
		if !strings.Contains(policy, old) {
			tb.Fatalf("the shipped policy has no %q", old)
		}
		return strings.Replace(policy, old, with, 1)
	}
}

// plant is the robot.
type plant struct {
	x, y, yaw float64
	v, w      float64
	// lag is how long a command takes until it is followed; queue are those on their way.
	lag   time.Duration
	queue []plantCommand
	want  plantCommand
	heard time.Duration
	lock  bool
	// locked is when the lock was last heard of; silence locks.
	lockHeard time.Duration
	// ignore makes the robot follow its last command whatever happens.
	ignore bool
}

type plantCommand struct {
	at   time.Duration
	v, w float64
}

func (p *plant) send(at time.Duration, v, w float64) {
	p.queue = append(p.queue, plantCommand{at, v, w})
}

func (p *plant) step(now, dt time.Duration) {
	for len(p.queue) > 0 && p.queue[0].at+p.lag <= now {
		p.want, p.heard = p.queue[0], p.queue[0].at
		p.queue = p.queue[1:]
	}
	v, w := p.want.v, p.want.w
	if !p.ignore && (now-p.heard > 400*time.Millisecond || p.lock || now-p.lockHeard > 400*time.Millisecond) {
		v, w = 0, 0
	}
	s := dt.Seconds()
	p.v += min(max(v-p.v, -0.7*s), 0.8*s)
	p.w += min(max(w-p.w, -1.5*s), 1.5*s)
	p.x += p.v * math.Cos(p.yaw) * s
	p.y += p.v * math.Sin(p.yaw) * s
	p.yaw += p.w * s
}

// rig is one run.
type rig struct {
	tb     testing.TB
	core   *Core
	params *Params
	plant  plant
	now    time.Duration
	skew   int64 // added to civil time
	floor  int
	fx     Effects
	// drive gives the command of one channel; nil commands nothing.
	drive  func() (v, w float64)
	period time.Duration
	// off silences inputs by name.
	off map[string]bool
	// edit changes an event before it is applied; false drops it.
	edit func(ev *Event) bool
	// each sees every event with its effects.
	each func(ev *Event, fx *Effects)
	// operator answers challenges: at "stop" until checked in.
	operator   string
	answers    []rigAnswer
	trust      uint8
	journal    JournalState
	publishers map[string][]string
	sources    map[string][]string
	flooded    bool
	peer       msg.Peer
	// inputs and relay are what the drivers of a robot with devices report.
	lines     [MaxDevices]InputState
	relay     DeviceFault
	latches   []byte
	last      plantCommand
	asserted  uint32
	seq       uint32
	count     int
	stepCount int
}

type rigAnswer struct {
	at    time.Duration
	value [16]byte
	stop  bool
}

// newRig is a robot in the ground floor's corridor, looking east, with everything in order.
func newRig(tb testing.TB, p *Params, start Start) *rig {
	tb.Helper()
	start.Boot = max(start.Boot, rigStart)
	core, err := NewCore(p, start)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{
		tb: tb, core: core, params: p, now: start.Boot, off: map[string]bool{}, operator: "run", trust: 2, journal: JournalOK,
		period: 100 * time.Millisecond, peer: msg.Peer{ID: 7, Name: "/x", Strength: msg.SourceBound},
		publishers: map[string][]string{
			"/cmd_vel_raw": {"/planner"}, "/operator/cmd_vel": {"/operator_console"}, "/docking/cmd_vel": {"/docking"},
			"/cmd_vel": {nodeName}, "/robowarden/lock": {nodeName},
		},
		sources: map[string][]string{"/cmd_vel": {nodeName}, "/robowarden/lock": {nodeName}},
	}
	r.plant = plant{x: 12, y: 12, lag: 150 * time.Millisecond, lock: true}
	for i := range r.lines {
		r.lines[i] = InputReleased
	}
	return r
}

func (r *rig) civil() int64 { return rigCivil + int64(r.now-rigStart) + r.skew }

// apply gives one event to the core and to the robot what comes of it.
func (r *rig) apply(ev Event) {
	r.tb.Helper()
	ev.Boot, ev.Civil = r.now, r.civil()
	if r.edit != nil && !r.edit(&ev) {
		return
	}
	r.core.Apply(&ev, &r.fx)
	r.count++
	if r.each != nil {
		r.each(&ev, &r.fx)
	}
	fx := r.fx
	if fx.Send {
		r.last = plantCommand{r.now, fx.Command.Linear.X, fx.Command.Angular.Z}
		r.plant.send(r.now, r.last.v, r.last.w)
	}
	if fx.SendLock {
		r.plant.lock, r.plant.lockHeard = fx.Locked, r.now
	}
	if fx.LatchesChanged {
		r.latches = r.core.AppendLatches(nil)
	}
	r.asserted = fx.Rungs
	for i := range r.core.beats {
		if fx.Challenge&(1<<i) != 0 {
			var value [16]byte
			binary.LittleEndian.PutUint64(value[:], uint64(r.count)) //nolint:gosec // a count
			value[15] = 1
			r.apply(Event{Kind: EventChallenge, Challenge: Challenge{Endpoint: i, Value: value}})
			if r.operator != "away" {
				stop := r.operator == "stop" || r.core.ChannelLevel(i) == "away"
				r.answers = append(r.answers, rigAnswer{r.now + 2*rigStep, value, stop})
			}
		}
	}
}

func (r *rig) header(frame string) msg.Header {
	r.seq++
	return msg.Header{Boot: r.now, Stamp: r.civil() - int64(3*time.Millisecond) - r.skew, Frame: frame, Peer: &r.peer, Seq: r.seq}
}

func (r *rig) pose() *msg.Pose {
	p := &msg.Pose{
		Header: r.header("map"), Position: msg.Vec3{X: r.plant.x, Y: r.plant.y},
		Orientation: msg.Quat{Z: math.Sin(r.plant.yaw / 2), W: math.Cos(r.plant.yaw / 2)}, HasCovariance: true,
	}
	p.Header.Stamp = r.civil() - int64(3*time.Millisecond)
	p.Covariance[0], p.Covariance[7], p.Covariance[35] = 0.0004, 0.0004, 0.0004
	return p
}

func (r *rig) odometry() *msg.Pose {
	p := &msg.Pose{Header: r.header("odom"), HasTwist: true}
	p.Twist.Linear.X, p.Twist.Angular.Z = r.plant.v, r.plant.w
	return p
}

func (r *rig) joints() *msg.Joints {
	j := &msg.Joints{Header: r.header(""), N: r.params.Joints.N, Seen: 1<<r.params.Joints.N - 1, HasVelocity: true}
	for i := range j.N {
		if r.params.Joints.Carrying&(1<<i) != 0 {
			j.Velocity[i] = 3 * r.plant.v
		}
	}
	return j
}

func (r *rig) imu() *msg.IMU {
	m := &msg.IMU{Header: r.header("imu_link"), AngularVelocity: msg.Vec3{Z: r.plant.w}, HasAngularVelocity: true}
	if r.params.Fall.Used {
		m.Orientation, m.HasOrientation = msg.Quat{Z: math.Sin(r.plant.yaw / 2), W: math.Cos(r.plant.yaw / 2)}, true
		m.LinearAcceleration, m.HasLinearAcceleration = msg.Vec3{Z: 9.81}, true
	}
	return m
}

func (r *rig) graph(topic string) *msg.Graph {
	g := &msg.Graph{Boot: r.now, Topic: topic, Known: true, Flooded: r.flooded}
	g.Total = copy(g.Publishers[:], r.publishers[topic])
	for _, name := range r.publishers[topic] {
		g.Registered = g.Registered || name == nodeName
	}
	if s, ok := r.sources[topic]; ok {
		g.ConsumerKnown, g.SourcesTotal = true, copy(g.Sources[:], s)
	}
	return g
}

func (r *rig) command(channel int, v, w float64) {
	c := &msg.Command{Header: r.header(""), Channel: channel}
	c.Stamp, c.Seq = 0, 0 // a Twist has neither
	c.Linear.X, c.Angular.Z = v, w
	r.apply(Event{Kind: EventCommand, Command: c})
}

// step advances by rigStep and delivers what is due, in a fixed order.
func (r *rig) step() {
	r.tb.Helper()
	r.now += rigStep
	r.plant.step(r.now, rigStep)
	n := r.stepCount
	r.stepCount++
	due := func(name string, every int) bool { return n%every == 0 && !r.off[name] }
	for len(r.answers) > 0 && r.answers[0].at <= r.now {
		a := r.answers[0]
		r.answers = r.answers[1:]
		r.apply(Event{Kind: EventAnswer, Answer: Answer{Value: a.value, Valid: true, Stop: a.stop}})
	}
	if due("tick", 2) {
		r.apply(Event{Kind: EventTick, Tick: Tick{Trust: r.trust, Journal: r.journal, BusOK: true, Heard: true}})
	}
	if due("graph", 100) {
		for i := range r.params.Watches {
			r.apply(Event{Kind: EventGraph, Graph: r.graph(r.params.Watches[i].Topic)})
		}
	}
	if due("floor", 100) {
		r.apply(Event{Kind: EventFloor, Floor: r.floor})
	}
	if n == 0 && !r.off["devices"] {
		// Drivers say once, when they come up, that nothing records.
		for kind, d := range [...]DeviceSet{r.params.Devices[0], r.params.Devices[1]} {
			for i := range d.N {
				r.apply(Event{Kind: EventDevice, Device: &msg.Device{Header: r.header(""), Kind: [...]msg.DeviceKind{msg.Camera, msg.Microphone}[kind], Index: i}})
			}
		}
	}
	if due("battery", 100) {
		r.apply(Event{Kind: EventDevice, Device: &msg.Device{Header: r.header(""), Kind: msg.Battery, ChargeRatio: 0.8}})
	}
	if due("odometry", 5) {
		r.apply(Event{Kind: EventOdometry, Pose: r.odometry()})
	}
	if due("pose", 5) {
		r.apply(Event{Kind: EventPose, Pose: r.pose()})
	}
	if due("joints", 5) {
		r.apply(Event{Kind: EventJoints, Joints: r.joints()})
	}
	if due("imu", 2) {
		r.apply(Event{Kind: EventIMU, IMU: r.imu()})
	}
	r.devices(due)
	if r.drive != nil && n%max(1, int(r.period/rigStep)) == 0 {
		v, w := r.drive()
		r.command(0, v, w)
	}
}

// devices reports for those that the robot has.
func (r *rig) devices(due func(string, int) bool) {
	if due("inputs", 2) {
		for i := range r.params.Inputs {
			r.apply(Event{Kind: EventInput, Input: InputReport{Input: i, State: r.lines[i]}})
		}
	}
	if due("actuators", 20) {
		for i, a := range r.params.Actuators {
			running := r.asserted&(1<<a.Rung) == 0
			r.apply(Event{Kind: EventActuator, Actuator: ActuatorReport{Actuator: i, Fault: r.relay, Running: running}})
		}
	}
}

func (r *rig) run(d time.Duration) {
	r.tb.Helper()
	for end := r.now + d; r.now < end; {
		r.step()
	}
}

// until runs until the condition holds, and fails after limit.
func (r *rig) until(what string, limit time.Duration, cond func() bool) time.Duration {
	r.tb.Helper()
	start := r.now
	for !cond() {
		if r.now-start > limit {
			r.tb.Fatalf("%s: not within %v; %s", what, limit, r.state())
		}
		r.step()
	}
	return r.now - start
}

func (r *rig) state() string {
	b, _ := DescribeDecision(r.core.AppendDecision(nil))
	return b
}

func (r *rig) motion() interlock.Motion { return r.core.decision.Axes.Motion }

func (r *rig) active(t interlock.Trigger) bool { return r.core.decision.ActiveSet.Has(t) }

func (r *rig) latched(t interlock.Trigger) bool { return r.core.decision.LatchedSet.Has(t) }

func (r *rig) open() bool { return r.motion() >= interlock.MotionLimited }

// ready opens the rig: every input seen, the operator checked in, startup over.
func (r *rig) ready() *rig {
	r.tb.Helper()
	r.until("opens", 15*time.Second, r.open)
	r.run(3 * time.Second)
	if !r.open() {
		r.tb.Fatalf("opened and closed again: %s", r.state())
	}
	return r
}

// reset is a signed reset of everything by one operator.
func (r *rig) reset(roles ...interlock.Role) OrderResult {
	o := Order{Kind: OrderReset, All: true, Zone: geofence.NoZone}
	for i, role := range roles {
		o.Signers[i] = Signer{Person: uint64(i + 1), Role: role} //nolint:gosec // a small count
	}
	r.apply(Event{Kind: EventOrder, Order: o})
	return r.core.OrderResult()
}
