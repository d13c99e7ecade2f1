package simulate

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
	"github.com/robowarden/robowarden/interlock"
)

// Walker is the simulated humanoid with a whole guard: its lock, its journal on a disk, its latches, and starts that follow a
// kill. Only the bus is missing, and time is the world's.
type Walker struct {
	tb     testing.TB
	World  *sim.World
	Guard  *guard.Guard
	Params *guard.Params
	cfg    *config.Config
	rng    *rand.Rand
	key    []byte
	robot  string

	// Celsius is the hottest motor's temperature; it rises by Warm °C a second while the robot stands, and falls else.
	Celsius, Warm float64
	// Mute keeps messages from the guard by name: battery, heat, tick.
	Mute map[string]bool
	// Gauge changes what the battery says.
	Gauge func(ratio float64) float64
	// Off counts how often the power of the drives was taken, OffStanding how often of a robot that was not down.
	Off, OffStanding int
	// OffWorks is false for a service that does not answer.
	OffWorks bool

	dead    bool
	latches []byte
	ran     bool
	asked   uint32
	numbers guard.Calls
	calls   map[uint64]walkerCall
	call    uint64
	peers   map[uint32]bool
	counts  [4]int
	next    time.Duration
	records *records
}

// NewWalker starts a robot on the ground floor, without zones, and its guard. How it falls and goes down is the humanoid
// example's.
func NewWalker(tb testing.TB, seed uint64) *Walker {
	tb.Helper()
	cfg := Documents(tb)
	humanoid, err := config.Load(nil, filepath.Join("..", "..", "configs", "examples", "humanoid", "profile.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	o := sim.DefaultOptions()
	o.Seed, o.Civil = seed, morning
	o.Start = sim.Placement{Floor: "ground", X: 5, Y: 12}
	o.Key = []byte("a key of thirty-two bytes, or so")
	k := &Walker{
		tb: tb, cfg: cfg, Params: With(tb, cfg, Params(tb, cfg), []geofence.ZoneSpec{}, nil), rng: rand.New(rand.NewPCG(seed, 0x77616c6b)),
		key: o.Key, robot: o.Robot, Celsius: 40, Mute: map[string]bool{}, calls: map[uint64]walkerCall{}, OffWorks: true,
		Gauge: func(ratio float64) float64 { return ratio },
	}
	k.Params.Fall, k.Params.Posture.Config = humanoid.Profile.FallSpec(), humanoid.Profile.PostureSpec()
	for i := range k.Params.Posture.Rungs {
		k.Params.Posture.Rungs[i] = -1
	}
	k.Params.Posture.Rungs[1] = slices.IndexFunc(cfg.Profile.Ladder, func(r config.Rung) bool { return r.Kind == config.RungService })
	w, err := sim.New(o, sim.Handlers{
		Pose:   func(m *msg.Pose) { k.hear(0, 1, func() { k.Guard.Pose(m) }) },
		Odom:   func(m *msg.Pose) { k.hear(1, 2, func() { k.Guard.Odometry(m) }) },
		Joints: func(m *msg.Joints) { k.hear(2, 4, func() { k.Guard.Joints(m) }) },
		IMU:    func(m *msg.IMU) { k.hear(3, 5, func() { k.Guard.IMU(m) }) },
		Device: k.device, Command: k.command, Floor: k.floor,
		Answer: func(m *msg.Text) { k.alive(func() { k.Guard.Answer(0, m.Data) }) },
		Graph:  func(m *msg.Graph) { k.alive(func() { k.Guard.SetBusOK(m.Known); k.Guard.Graph(m) }) },
		Reply: func(m *sim.Reply) {
			if c, ok := k.calls[m.ID]; ok {
				delete(k.calls, m.ID)
				k.alive(func() { k.Guard.Ack(c.rung, m.OK, c.number) })
			}
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	k.World = w
	k.openRecords()
	k.Start()
	return k
}

func (k *Walker) alive(f func()) {
	if !k.dead {
		f()
	}
}

// hear passes on one message in every so many, so that a day takes minutes.
func (k *Walker) hear(source, every int, f func()) {
	if k.counts[source]++; k.counts[source]%every == 0 {
		k.alive(f)
	}
}

func (k *Walker) device(m *msg.Device) {
	if m.Kind != msg.Battery {
		k.alive(func() { k.Guard.Device(m) })
		return
	}
	if !k.Mute["battery"] {
		d := *m
		d.ChargeRatio = k.Gauge(d.ChargeRatio)
		k.alive(func() { k.Guard.Device(&d) })
	}
	if !k.Mute["heat"] {
		d := msg.Device{Header: m.Header, Kind: msg.Heat, Active: true, Celsius: k.Celsius + 0.3*k.rng.NormFloat64()}
		k.alive(func() { k.Guard.Device(&d) })
	}
}

func (k *Walker) floor(m *msg.Text) {
	at := -1
	for _, v := range k.cfg.Topics.Floor.Values {
		if v.Value == string(m.Data) {
			at = k.cfg.Policy.FloorIndex(v.Floor)
		}
	}
	k.alive(func() { k.Guard.Floor(at) })
}

// command hands over what comes from nodes that the mapping names, as a bus does.
func (k *Walker) command(m *msg.Command) {
	allowed := false
	for _, p := range k.cfg.Topics.Commands[m.Channel].Publishers {
		allowed = allowed || p == m.Peer.Name
	}
	k.alive(func() {
		if !k.peers[m.Peer.ID] {
			k.peers[m.Peer.ID] = true
			change := guard.PeerConnected
			if !allowed {
				change = guard.PeerRefused
			}
			k.Guard.Peer(guard.PeerEvent{Change: change, Input: m.Channel, Gated: true, ID: m.Peer.ID, Strength: m.Peer.Strength, Name: m.Peer.Name})
		}
		if allowed {
			k.Guard.Command(m)
		}
	})
}

// Start starts a guard, after a kill with the latches that the last one kept.
func (k *Walker) Start() {
	k.tb.Helper()
	core, err := guard.NewCore(k.Params, guard.Start{Boot: k.World.Now(), Latches: k.latches, Unclean: k.ran, Crashed: k.ran})
	if err != nil {
		k.tb.Fatal(err)
	}
	var boot [16]byte
	for i := range boot {
		boot[i] = byte(k.rng.IntN(256))
	}
	var beats []*guard.Heartbeat
	for _, c := range k.cfg.Policy.Channels {
		b, err := guard.NewHeartbeat(c.Endpoint, k.robot, boot, k.key)
		if err != nil {
			k.tb.Fatal(err)
		}
		beats = append(beats, b)
	}
	k.peers, k.asked, k.numbers, k.dead, k.ran = map[uint32]bool{}, 0, guard.Calls{}, false, true
	k.Guard = guard.New(guard.Options{
		Core: core, Clock: walkerClock{k}, Sink: walkerSink{k: k}, Journal: k, Heartbeats: beats, Log: zerolog.Nop(),
		Persist: func(latches []byte) { k.latches = append(k.latches[:0], latches...) },
	})
	k.Guard.SetTrust(2)
	k.Attest()
}

// Attest accepts what the robot runs for an hour.
func (k *Walker) Attest() {
	k.Guard.Attest(guard.Attestation{Verdict: guard.VerdictAccepted, Tier: guard.TierTPM, Until: k.World.Now() + time.Hour})
}

// Kill ends the guard's process: nothing is said any more.
func (k *Walker) Kill() { k.dead = true }

// Run lets time pass.
func (k *Walker) Run(d time.Duration) {
	const tick = 50 * time.Millisecond
	for end := k.World.Now() + d; k.World.Now() < end; {
		now := k.World.Advance(tick)
		if k.Up() {
			k.Celsius += k.Warm * tick.Seconds()
		} else {
			k.Celsius = max(40, k.Celsius-0.5*tick.Seconds())
		}
		if !k.Mute["tick"] {
			state := guard.JournalFailing
			if k.records.log.Health().Writable {
				state = guard.JournalOK
			}
			k.Guard.SetJournal(state)
			k.alive(func() { k.Guard.Tick(now) })
		}
		if now >= k.next {
			k.next = now + 10*time.Minute
			k.alive(k.Attest)
		}
	}
}

// Up says whether the robot stands by balance.
func (k *Walker) Up() bool { return k.World.Truth().HeightRatio > 0.05 }

// Reset is a signed reset by everybody who may.
func (k *Walker) Reset() {
	o := guard.Order{Kind: guard.OrderReset, All: true, Zone: geofence.NoZone}
	for i, r := range []interlock.Role{interlock.RoleOperator, interlock.RoleSupervisor, interlock.RoleSafetyEngineer, interlock.RoleSecurity} {
		o.Signers[i] = guard.Signer{Person: uint64(i + 1), Role: r} //nolint:gosec // four
	}
	k.alive(func() { k.Guard.Order(o) })
}

// Has says whether a trigger is active.
func (k *Walker) Has(t interlock.Trigger) (has bool) {
	k.Guard.With(func(c *guard.Core) { has = c.Decision().ActiveSet.Has(t) })
	return has
}

// Motion is what the robot may do.
func (k *Walker) Motion() (m interlock.Motion) {
	k.Guard.With(func(c *guard.Core) { m = c.Decision().Axes.Motion })
	return m
}

// State is the decision in words, with the way down.
func (k *Walker) State() string {
	var decision, posture string
	k.Guard.With(func(c *guard.Core) {
		decision, _ = guard.DescribeDecision(c.AppendDecision(nil))
		posture, _ = guard.DescribePosture(c.AppendPosture(nil))
	})
	return decision + "\n" + posture
}

type walkerClock struct{ k *Walker }

// Boot is guard.Clock's.
func (c walkerClock) Boot() time.Duration { return c.k.World.Now() }

// Civil is guard.Clock's.
func (c walkerClock) Civil() int64 { return c.k.World.Civil().UnixNano() }

// walkerCall is a request of a rung's service.
type walkerCall struct {
	rung   int
	number uint8
}

// walkerSink carries effects to the world.
type walkerSink struct {
	guard.NoGates
	k *Walker
}

// Command is guard.Sink's.
func (s walkerSink) Command(_ uint64, t msg.Twist) { s.k.World.Command(t) }

// Lock is guard.Sink's.
func (s walkerSink) Lock(_ uint64, locked bool) { s.k.World.Lock(locked) }

// Challenge is guard.Sink's.
func (s walkerSink) Challenge(_ int, line []byte) { s.k.World.Challenge(line) }

// CommandChallenge is guard.Sink's.
func (walkerSink) CommandChallenge(int, []byte) {}

// Private is guard.Sink's.
func (walkerSink) Private(uint64, bool) {}

// Rungs is guard.Sink's: the vendor's services, and that which takes the power of the drives.
func (s walkerSink) Rungs(_ uint64, asserted uint32, calls guard.Calls) {
	k := s.k
	fresh := asserted &^ k.asked
	for i, n := range calls {
		if n != k.numbers[i] {
			fresh |= asserted & (1 << i)
		}
	}
	k.asked, k.numbers = asserted, calls
	for i, r := range k.cfg.Profile.Ladder {
		if r.Kind == config.RungService && fresh&(1<<i) != 0 {
			k.call++
			k.calls[k.call] = walkerCall{i, calls[i]}
			k.World.Call(sim.Call{Service: sim.ServiceStop, ID: k.call, On: true})
		}
	}
	for i, step := range k.Params.Posture.Config.Steps {
		if bit := guard.PostureRung + i; step.Kind == interlock.PostureOff && fresh&(1<<bit) != 0 {
			k.Off++
			if k.Up() {
				k.OffStanding++
			}
			if g := k.Guard; k.OffWorks {
				k.World.After(80*time.Millisecond, func() { k.alive(func() { g.Ack(bit, true, calls[bit]) }) })
			}
		}
	}
}

// speed is how fast the robot really goes over the ground, in m/s.
func (k *Walker) speed() float64 {
	s := k.World.Truth().SpeedMPS
	if math.IsNaN(s) {
		return math.Inf(1)
	}
	return s
}
