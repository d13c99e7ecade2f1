package demo

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// Mark is a moment of the story from which a reaction is measured.
type Mark string

// Marks of the day, in their order.
const (
	markStart       Mark = "the robot starts, its IMU is silent"
	markAwake       Mark = "the IMU speaks"
	markRound       Mark = "the round begins"
	markRoundDone   Mark = "the round is done"
	markWardDrive   Mark = "20:00 has passed, the planner heads for ward A"
	markWardEnd     Mark = "the tray for ward A is cancelled"
	markPharmacy    Mark = "the planner heads for the pharmacy"
	markStands      Mark = "the robot stands at the pharmacy's edge"
	markTurnAway    Mark = "the planner turns away"
	markTurnEnd     Mark = "the robot has left the pharmacy's edge"
	markLinkPoor    Mark = "the operator's link degrades"
	markLinkDown    Mark = "the operator's link is dead"
	markLinkBack    Mark = "the operator's link is back"
	markForged      Mark = "a forged reset arrives"
	markReset       Mark = "the operator's signed reset arrives"
	markGoOn        Mark = "the planner is told to go on"
	markWalksAgain  Mark = "the robot may walk again"
	markEncoder     Mark = "the left elbow's encoder falls silent"
	markEncoderBack Mark = "the encoder is repaired"
	markArmsEnd     Mark = "the work with the arms is over"
	markBattery     Mark = "the battery is low"
	markDocked      Mark = "the robot is at its dock"
	markStranger    Mark = "a stranger commands the base behind the gate"
	markStrangerEnd Mark = "the stranger is gone"
	markEnd         Mark = "the day is over"
)

// sample is the truth at one moment, with the oracle's clearance.
type sample struct {
	at time.Duration
	sim.Truth
	nearness
}

// still says whether the robot stands.
func (s *sample) still() bool { return !s.Walking }

// sent is a velocity command that reached the robot's base.
type sent struct {
	at    time.Duration
	twist msg.Twist
}

func (c *sent) zero() bool { return c.twist == msg.Twist{} }

// speed is the larger of the linear speed in m/s and the yaw rate in rad/s.
func (c *sent) speed() float64 {
	l := c.twist.Linear
	return max(math.Sqrt(l.X*l.X+l.Y*l.Y), math.Abs(c.twist.Angular.Z))
}

// called is a call of one of the robot's services.
type called struct {
	at   time.Duration
	call sim.Call
}

// trace is everything that reactions are measured from.
type trace struct {
	start    time.Duration
	baseline time.Duration
	marks    map[Mark]time.Duration
	samples  []sample
	commands []sent
	calls    []called
	// answers are the times at which a desk's line reached the guard.
	answers []time.Duration
	// locked are the times at which the lock topic changed, starting unlocked or locked by its first message.
	locked []lockChange
	// delivered counts trays handed over.
	delivered int
}

type lockChange struct {
	at time.Duration
	on bool
}

func newTrace(start time.Duration) *trace {
	return &trace{start: start, marks: map[Mark]time.Duration{}}
}

// at is when a mark was set, or −1.
func (t *trace) at(m Mark) time.Duration {
	if at, ok := t.marks[m]; ok {
		return at
	}
	return -1
}

// between returns the samples in (from, to]; to < 0 means until the end.
func (t *trace) between(from, to time.Duration) []sample {
	if from < 0 {
		return nil
	}
	lo, hi := len(t.samples), len(t.samples)
	for i := range t.samples {
		at := t.samples[i].at
		if at > from && i < lo {
			lo = i
		}
		if to >= 0 && at > to {
			hi = i
			break
		}
	}
	return t.samples[min(lo, hi):hi]
}

// commandsBetween returns the commands in (from, to].
func (t *trace) commandsBetween(from, to time.Duration) []sent {
	if from < 0 {
		return nil
	}
	var out []sent
	for _, c := range t.commands {
		if c.at > from && (to < 0 || c.at <= to) {
			out = append(out, c)
		}
	}
	return out
}

// recorder stands between the guard and the robot: it notes what goes through.
type recorder struct {
	world *sim.World
	trace *trace
}

// Command is Actuators'.
func (r *recorder) Command(t msg.Twist) {
	r.trace.commands = append(r.trace.commands, sent{r.world.Now(), t})
	r.world.Command(t)
}

// Lock is Actuators'.
func (r *recorder) Lock(on bool) {
	if n := len(r.trace.locked); n == 0 || r.trace.locked[n-1].on != on {
		r.trace.locked = append(r.trace.locked, lockChange{r.world.Now(), on})
	}
	r.world.Lock(on)
}

// Call is Actuators'.
func (r *recorder) Call(c sim.Call) {
	r.trace.calls = append(r.trace.calls, called{r.world.Now(), c})
	r.world.Call(c)
}

// Challenge is Actuators'.
func (r *recorder) Challenge(line []byte) { r.world.Challenge(line) }
