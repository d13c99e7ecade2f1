package demo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// Rig starts the real guard for a loaded configuration: the same core, the same gate, ladder and orders as on a robot,
// with the world in the place of the bus. For a profile with bus: ros2 there is a DDS domain between the two.
type Rig struct {
	// Config holds profile, topic mapping and policy; of the deployment only the serial is used.
	Config *config.Config
	// Self is the guard's own name on the bus.
	Self string
	// Journal takes the guard's records; nil drops them.
	Journal guard.Recorder
	// Log is the guard's.
	Log zerolog.Logger
}

// Start is for Options.Start.
func (r *Rig) Start(e Env) (trial Trial, err error) {
	params, err := guard.NewParams(r.Config, r.Self, e.Civil().Add(-24*time.Hour).UnixNano())
	if err != nil {
		return Trial{}, err
	}
	core, err := guard.NewCore(params, guard.Start{Boot: e.Boot()})
	if err != nil {
		return Trial{}, err
	}
	var boot [16]byte
	if _, err := rand.Read(boot[:]); err != nil {
		return Trial{}, fmt.Errorf("demo: boot id: %w", err)
	}
	var over *carried
	if r.Config.Profile.Bus == config.BusROS2 {
		if over, err = newCarried(r.Config, r.Self, e.Out); err != nil {
			return Trial{}, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, over.d.close())
			}
		}()
		trial.Fault, trial.End = func() error { return over.err }, over.d.close
		e.Out = domainOut{over}
	}
	o := &onTrial{cfg: r.Config, out: e.Out, inputs: map[uint32]bool{}, rungs: map[uint64]int{}, scene: sceneOf(r.Config.Policy), env: e}
	o.ears.init(r.Config)
	var beats []*guard.Heartbeat
	for _, c := range r.Config.Policy.Channels {
		b, err := guard.NewHeartbeat(c.Endpoint, e.Robot, boot, e.Key)
		if err != nil {
			return Trial{}, err
		}
		beats = append(beats, b)
	}
	journal := r.Journal
	if journal == nil {
		journal = noJournal{}
	}
	o.guard = guard.New(guard.Options{
		Core: core, Clock: worldClock{e}, Sink: &worldSink{cfg: r.Config, out: e.Out, trial: o}, Journal: journal, Heartbeats: beats, Persist: func([]byte) {}, Log: r.Log,
	})
	o.guard.SetTrust(2)
	if o.desk, err = newSigners(e.Robot, boot, e.Civil); err != nil {
		return Trial{}, err
	}
	trial.Guard, trial.OperatorReset, trial.EngineerReset, trial.Forged = o, o.desk.operatorReset, o.desk.engineerReset, o.desk.forged
	if over != nil {
		over.inner, trial.Guard = o, over
	}
	return trial, nil
}

// noJournal keeps nothing.
type noJournal struct{}

// Append is guard.Recorder's.
func (noJournal) Append(uint8, time.Duration, []byte, bool) (uint64, bool) { return 0, true }

// worldClock is guard.Clock over the world's time.
type worldClock struct{ env Env }

// Boot is guard.Clock's.
func (c worldClock) Boot() time.Duration { return c.env.Boot() }

// Civil is guard.Clock's.
func (c worldClock) Civil() int64 { return c.env.Civil().UnixNano() }

// onTrial is the guard with the world for a bus.
type onTrial struct {
	cfg   *config.Config
	guard *guard.Guard
	desk  *signers
	out   Actuators
	env   Env
	scene *console.Scene
	ears  ears
	// inputs are the peers that the guard has been told of.
	inputs map[uint32]bool
	// rungs are the ladder's rungs whose calls have not been answered, by the call's id.
	rungs   map[uint64]int
	result  guard.OrderResult
	armsOff bool
	armsAt  time.Duration
	// refused is why the last refused order was.
	refused error
}

// Pose is Guard's.
func (o *onTrial) Pose(m *msg.Pose) { o.ears.heard("pose", o.env.Boot()); o.guard.Pose(m) }

// Odometry is Guard's.
func (o *onTrial) Odometry(m *msg.Pose) { o.ears.heard("odometry", o.env.Boot()); o.guard.Odometry(m) }

// Joints is Guard's.
func (o *onTrial) Joints(m *msg.Joints) { o.ears.heard("joints", o.env.Boot()); o.guard.Joints(m) }

// IMU is Guard's.
func (o *onTrial) IMU(m *msg.IMU) { o.ears.heard("imu", o.env.Boot()); o.guard.IMU(m) }

// Device is Guard's.
func (o *onTrial) Device(m *msg.Device) {
	if m.Kind == msg.Battery {
		o.ears.heard("battery", o.env.Boot())
	}
	o.guard.Device(m)
}

// Floor is Guard's.
func (o *onTrial) Floor(m *msg.Text) {
	o.ears.heard("floor", o.env.Boot())
	floor := -1
	for _, v := range o.cfg.Topics.Floor.Values {
		if v.Value == string(m.Data) {
			floor = o.cfg.Policy.FloorIndex(v.Floor)
		}
	}
	o.guard.Floor(floor)
}

// Answer is Guard's.
func (o *onTrial) Answer(m *msg.Text) { o.ears.answered = o.env.Boot(); o.guard.Answer(0, m.Data) }

// Order is Guard's: the document is verified as on a robot before anything comes of it.
func (o *onTrial) Order(m *msg.Text) {
	order, err := o.desk.verify(m.Data)
	if err != nil {
		o.refused = err
		return
	}
	o.result = o.guard.Order(order)
}

// Graph is Guard's.
func (o *onTrial) Graph(m *msg.Graph) {
	o.ears.heard("graph", o.env.Boot())
	o.guard.SetBusOK(m.Known)
	o.guard.Graph(m)
}

// Reply is Guard's.
func (o *onTrial) Reply(m *sim.Reply) {
	if rung, ok := o.rungs[m.ID]; ok {
		delete(o.rungs, m.ID)
		o.guard.Ack(rung, m.OK, 0)
	}
}

// Tick is Guard's.
func (o *onTrial) Tick(planned time.Duration) {
	o.guard.Tick(planned)
	if now := o.env.Boot(); now-o.armsAt >= armsPeriod {
		o.armsAt = now
		o.arms()
	}
}

// armsPeriod is how often the arm controller looks at the guard's published state.
const armsPeriod = 100 * time.Millisecond

// arms is the vendor's arm controller: it follows the manipulators axis of the state that the guard publishes, since the
// topic mapping knows no service for arms. What does not need ROS's goodwill has to come from the profile's ladder.
func (o *onTrial) arms() {
	axis := o.guard.Status().Axes.Manipulators
	off := axis == "disabled" || axis == "hold"
	if off != o.armsOff {
		o.armsOff = off
		o.out.Call(sim.Call{Service: sim.ServiceArms, ID: 1, On: off})
	}
}

// Command is Guard's. As on the bus, only nodes that the mapping names are listened to.
func (o *onTrial) Command(m *msg.Command) {
	in := &o.cfg.Topics.Commands[m.Channel]
	allowed := false
	for _, p := range in.Publishers {
		allowed = allowed || p == m.Peer.Name
	}
	if !o.inputs[m.Peer.ID] {
		o.inputs[m.Peer.ID] = true
		change := guard.PeerConnected
		if !allowed {
			change = guard.PeerRefused
		}
		o.guard.Peer(guard.PeerEvent{
			Change: change, Input: m.Channel, Gated: true, ID: m.Peer.ID, Strength: m.Peer.Strength, Name: m.Peer.Name,
		})
	}
	if allowed {
		o.ears.commanded(m.Channel, o.env.Boot())
		o.guard.Command(m)
	}
}

// worldSink carries the guard's effects to the world.
type worldSink struct {
	guard.NoGates
	cfg   *config.Config
	out   Actuators
	trial *onTrial
	calls uint64
	asked uint32
}

// Command is guard.Sink's.
func (s *worldSink) Command(_ uint64, t msg.Twist) { s.out.Command(t) }

// Lock is guard.Sink's.
func (s *worldSink) Lock(_ uint64, locked bool) { s.out.Lock(locked) }

// Challenge is guard.Sink's.
func (s *worldSink) Challenge(_ int, line []byte) { s.out.Challenge(line) }

// Private is guard.Sink's. The story has no service that closes cameras; its cameras are closed by hand.
func (s *worldSink) Private(uint64, bool) {}

// CommandChallenge is for commanders that have to prove themselves; the demonstration has none.
func (s *worldSink) CommandChallenge(int, []byte) {}

// Rungs is guard.Sink's: a rung's service is called once for each assertion.
func (s *worldSink) Rungs(_ uint64, asserted uint32, _ guard.Calls) {
	fresh := asserted &^ s.asked
	s.asked = asserted
	for i, r := range s.cfg.Profile.Ladder {
		service := sim.ServiceStop
		switch r.Kind {
		case config.RungService:
		case config.RungDockService:
			service = sim.ServiceDock
		default:
			continue
		}
		if fresh&(1<<i) == 0 {
			continue
		}
		s.calls++
		id := callBase + s.calls
		s.trial.rungs[id] = i
		s.out.Call(sim.Call{Service: service, ID: id, On: true})
	}
}

// callBase keeps the guard's calls apart from the story's.
const callBase = 1 << 32
