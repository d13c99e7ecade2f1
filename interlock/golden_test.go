package interlock

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// goldenSteps is the length of the scenario whose digests are committed. They must be the same on every architecture.
const goldenSteps = 20_000

// world steps every part of the package together, from one seeded source, as a guard would.
type world struct {
	r          *rand.Rand
	now        time.Duration
	machine    *Machine
	gate       *Gate
	ladder     *Ladder
	standstill *Standstill
	heartbeat  *Heartbeat
	publisher  *PublisherWatch
	loop       *LoopWatch
	clock      *ClockWatch

	in     Inputs
	d      Decision
	gin    GateInput
	gout   GateOutput
	lin    LadderInput
	lout   LadderOutput
	rest   StandstillOutput
	speed  float64
	nonces uint64
	civil  int64
	digest uint64
	// fired are the triggers that have fired at all, decided how often motion was restricted by how much.
	fired   TriggerSet
	decided [MotionFree + 1]int
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{r: rand.New(rand.NewPCG(seed, 7)), now: time.Hour, civil: civil2026} //nolint:gosec // no secret
	var errs [8]error
	w.machine, errs[0] = New(DefaultPolicy())
	w.gate, errs[1] = NewGate(gateConfig())
	w.ladder, errs[2] = NewLadder(ladderConfig())
	w.standstill, errs[3] = NewStandstill(standstillConfig())
	w.heartbeat, errs[4] = NewHeartbeat(heartbeatConfig())
	w.publisher, errs[5] = NewPublisherWatch(inputTopic())
	w.loop, errs[6] = NewLoopWatch(loopConfig())
	w.clock, errs[7] = NewClockWatch(clockConfig())
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.in = *calm()
	return w
}

// one is true once in n times.
func (w *world) one(n int) bool { return w.r.IntN(n) == 0 }

func (w *world) step() {
	dt := time.Duration(1+w.r.IntN(20)) * ms
	if w.one(2000) {
		dt = 3 * time.Second
	}
	w.now += dt
	w.civil += int64(dt)
	if w.one(5000) {
		w.civil -= int64(time.Minute)
	}
	w.channel()
	w.robot(dt)
	w.faults()
	w.in.Standstill = w.rest.State == Standing
	w.machine.Step(w.now, &w.in, &w.d)
	w.command()
	w.lin.Demand = DemandOf(w.d.Axes)
	w.ladder.Step(w.now, &w.lin, &w.lout)
	for i := range MaxRungs {
		if w.lout.Asked.Has(i) {
			w.lin.Acks[i] = AckNone
		} else if w.one(10) {
			w.lin.Acks[i] = Ack(w.r.IntN(3)) //nolint:gosec // small
		}
	}
	if w.one(50) {
		w.machine.Reset(w.now, ResetRequest{Triggers: w.d.LatchedSet, Persons: []Person{anna, ben, cleo}})
	}
	w.fold()
}

// channel plays an operator's desk that answers most challenges, and sometimes somebody else.
func (w *world) channel() {
	if w.heartbeat.Due(w.now) {
		w.nonces++
		_ = w.heartbeat.Issue(w.now, nonce(w.nonces))
	}
	if w.one(3) {
		level := LevelRun
		if w.heartbeat.phase == HeartbeatAway || w.one(3000) {
			level = LevelStop
		}
		if c := w.heartbeat.challenges[(w.heartbeat.next+outstanding-1)%outstanding]; !c.closed && !w.one(4) {
			w.heartbeat.Answer(w.now, c.nonce, !w.one(500), level)
		}
	}
	s := w.heartbeat.Status(w.now)
	w.in.Conditions[HeartbeatLate], w.in.Conditions[HeartbeatLost] = s.Late, s.Lost
	w.in.Conditions[HeartbeatHostile], w.in.Conditions[StopRequested] = s.Hostile, s.StopRequested
	if w.one(20) {
		r := BusReport{At: w.now, Known: !w.one(30), Publishers: nameList("/planner"), Total: 1}
		if w.one(400) {
			r.Publishers.Name[0] = "/evil"
		}
		w.publisher.Report(w.now, &r)
	}
	p := w.publisher.Status(w.now)
	w.in.Conditions[PublisherUnknown], w.in.Conditions[PublisherSecond] = p.Unknown, p.Second
	w.in.Conditions[BusLost] = p.Lost
	took := time.Duration(w.r.IntN(1000)) * time.Microsecond
	w.in.Conditions[LoopOverrun] = w.loop.Observe(w.now, took)
	w.in.Conditions[ClockJump] = w.clock.Observe(w.now, w.civil)
}

// robot follows what the gate let through, with lag and noise.
func (w *world) robot(dt time.Duration) {
	target := w.gate.out.Linear[0]
	w.speed += float64((target - w.speed) * min(1, float64(dt.Seconds()*4)))
	noise := float64(0.01 * w.r.Float64())
	v := Source{Received: w.now, Seen: true, Value: math.Abs(w.speed) + noise}
	if w.one(100) {
		v.Received -= time.Second
	}
	in := StandstillInput{Linear: v, Angular: Source{Received: w.now, Seen: true, Value: noise}, Joints: v}
	w.standstill.Step(w.now, &in, &w.rest)
	w.in.Conditions[OdometryMissing], w.in.Conditions[SecondSourceMissing] = w.rest.Odometry, w.rest.Second
	w.lin.Motion, w.lin.SpeedMPS, w.lin.SpeedKnown = w.rest.State, w.rest.SpeedMPS, w.rest.SpeedKnown
	w.in.Conditions[StopUnconfirmed], w.in.Conditions[MotionUntold] = w.lout.Unconfirmed, w.lout.Untold
	if w.in.Conditions[StopUnconfirmed].State == Unknown {
		w.in.Conditions[StopUnconfirmed], w.in.Conditions[MotionUntold] = OK(), OK()
	}
}

// faults makes conditions that no part here looks for come and go.
func (w *world) faults() {
	for _, t := range [...]Trigger{
		PoseStale, PoseCovariance, PoseJump, JointsMissing, ZoneInside, ZoneMargin, GateBypass, OrderStop, OrderDock,
		OrderManipulators, JournalUnwritable, BatteryLow, ClockUntrusted, PerceptionOpen, OrderPrivate,
	} {
		if w.in.Conditions[t].State == Clear {
			if w.one(1500) {
				w.in.Conditions[t] = Fault(Cause(w.r.IntN(int(NumCauses))), uint16(w.r.IntN(9))) //nolint:gosec // small
			}
		} else if w.one(40) {
			w.in.Conditions[t] = OK()
		}
	}
	if w.one(200) {
		w.in.Fence = limited(float64(2 * w.r.Float64()))
	} else if w.one(100) {
		w.in.Fence = Unrestricted()
	}
	w.in.DockPossible = !w.one(300)
}

func (w *world) command() {
	w.gin = GateInput{
		New: w.one(2), Axes: w.d.Axes, Because: NumTriggers, Ratio: 1, MaxSpeedMPS: w.d.Axes.MaxSpeedMPS,
		Command: Command{Channel: uint16(1 + w.r.IntN(2)), Kind: ChannelAutonomy, Received: w.now}, //nolint:gosec // small
	}
	if w.d.N > 0 {
		w.gin.Because = w.d.Active[0].Trigger
	}
	w.gin.Command.Dock = w.gin.Command.Channel == 2
	if w.one(3) {
		w.gin.Ratio = w.r.Float64()
	}
	if !w.one(10) {
		for i := range 3 {
			w.gin.Command.Linear[i] = float64(3*w.r.Float64()) - 1.5
			w.gin.Command.Angular[i] = float64(2*w.r.Float64()) - 1
		}
	}
	if w.one(300) {
		w.gin.Command.Linear[1] = math.NaN()
	}
	w.gate.Step(w.now, &w.gin, &w.gout)
}

// fold adds what every part has decided to the digest.
func (w *world) fold() {
	b := make([]byte, 0, 4096)
	b = appendTime(b, time.Duration(w.digest))     //nolint:gosec // bits
	b = appendTime(b, time.Duration(w.d.Digest())) //nolint:gosec // bits
	b = appendBool(b, w.gout.Send)
	b = appendVelocity(b, w.gout.Velocity)
	b = appendFloat(b, w.gout.Ratio)
	b = append(b, uint8(w.gout.Reason), uint8(w.lout.Phase), uint8(w.lout.Assert), uint8(w.lout.Asked), uint8(w.rest.State))
	b = appendTime(b, w.lout.Deadline)
	w.digest = hash64(b)
	w.fired = w.fired.Union(w.d.FiredSet)
	w.decided[w.d.Axes.Motion]++
}

func TestDecisionsAreTheSameEverywhere(t *testing.T) {
	var b strings.Builder
	for seed := range uint64(3) {
		w := newWorld(t, seed)
		for i := 1; i <= goldenSteps; i++ {
			w.step()
			if i%(goldenSteps/10) == 0 {
				b.WriteString(sprint("seed %d step %d decisions %016x\n", seed, i, w.digest))
			}
		}
		states := w.machine.AppendState(nil)
		for _, s := range []interface{ AppendState(b []byte) []byte }{
			w.gate, w.ladder, w.standstill, w.heartbeat, w.publisher, w.loop, w.clock,
		} {
			states = s.AppendState(states)
		}
		b.WriteString(sprint("seed %d state %016x\n", seed, hash64(states)))
		for m, n := range w.decided {
			if n < goldenSteps/1000 {
				t.Errorf("seed %d: motion was %v in %d of %d steps: the scenario is too narrow", seed, Motion(m), n, goldenSteps) //nolint:gosec // small
			}
		}
		if n := w.fired.Len(); n < 20 {
			t.Errorf("seed %d: only %d triggers fired", seed, n)
		}
	}
	golden(t, "testdata/decisions.txt", b.String())
}

func TestDigestTellsDecisionsApart(t *testing.T) {
	w := newWorld(t, 1)
	seen := map[uint64]string{}
	for range 5000 {
		w.step()
		b, err := w.d.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[w.d.Digest()]; ok && before != string(b) {
			t.Fatal("two decisions have one digest")
		}
		seen[w.d.Digest()] = string(b)
	}
	if len(seen) != 5000 {
		t.Errorf("%d digests of 5000 decisions", len(seen))
	}
}

func BenchmarkWorldStep(b *testing.B) {
	w := newWorld(b, 1)
	for b.Loop() {
		w.step()
	}
}
