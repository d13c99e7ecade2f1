// Package demo plays a day of a hospital robot on a simulated humanoid and measures, from the simulation's truth and from
// what really reached the robot, whether the guard reacted in time; it never believes the guard's own word.
//
// The guard under trial is whatever satisfies [Guard]. The story is the same for every guard, so that it can be played
// without one as well: then the table has to fail, or it would prove nothing.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// TickPeriod is how often the guard is given its own tick, in the world's time.
const TickPeriod = 20 * time.Millisecond

// Guard is what is on trial. Messages come in the world's time; a message is valid only during the call. What the guard
// wants done it tells the Actuators that it was started with, during the call or later.
type Guard interface {
	Pose(*msg.Pose)
	Odometry(*msg.Pose)
	Joints(*msg.Joints)
	IMU(*msg.IMU)
	Device(*msg.Device)
	Command(*msg.Command)
	// Floor is the map id that the localisation uses.
	Floor(*msg.Text)
	// Answer is a line of the operator's desk to a challenge.
	Answer(*msg.Text)
	// Order is a signed document that reached the robot.
	Order(*msg.Text)
	Graph(*msg.Graph)
	// Reply is a service's answer to a Call.
	Reply(*sim.Reply)
	// Tick comes every TickPeriod. planned is when it should have come.
	Tick(planned time.Duration)
	// Snapshot is what the guard believes, for the page and for telling; no measurement uses it. It may be nil.
	Snapshot() *console.Snapshot
}

// Actuators are the guard's ways to the robot. They return at once.
type Actuators interface {
	// Command publishes on cmd_vel, the gate's output.
	Command(msg.Twist)
	// Lock publishes on the lock topic.
	Lock(locked bool)
	// Call asks one of the robot's services.
	Call(sim.Call)
	// Challenge sends a line to the operator's desk. The line is copied.
	Challenge(line []byte)
}

// Env is what a guard is started with.
type Env struct {
	// Robot is the robot's id as challenges name it.
	Robot string
	// Key is the operator's heartbeat key.
	Key []byte
	// Boot and Civil are the world's clocks.
	Boot  func() time.Duration
	Civil func() time.Time
	// Out leads to the robot.
	Out Actuators
}

// Trial is a guard that has been started, with its operator.
type Trial struct {
	Guard Guard
	// OperatorReset and EngineerReset make a reset of everything that is latched, signed by an operator of this robot or by
	// its safety engineer. Forged is the same by somebody who has no right to. Without one, that reset is left out.
	OperatorReset, EngineerReset, Forged func() ([]byte, error)
	// Fault says why the guard cannot be reached any more, nil while it can; End gives back what the start took. Either may
	// be nil.
	Fault, End func() error
}

// Options say what to play.
type Options struct {
	// Seed starts the world's random streams.
	Seed uint64
	// Robot is the robot's id and Key the operator's heartbeat key, of at least 16 bytes.
	Robot string
	Key   []byte
	// Zones are what the oracle holds the robot to.
	Zones []Zone
	// Footprint is the convex outline that the robot's profile states, in metres; gaps before edges are measured from it.
	Footprint []sim.Point
	// Start starts the guard.
	Start func(Env) (Trial, error)
	// Timezone is the site's, for the clock that people see.
	Timezone *time.Location
	// Tell receives the story in plain words; nil tells nothing.
	Tell *Teller
	// Speed is how many seconds of the world pass in one second; 0 is as fast as possible.
	Speed float64
	// Board receives the page's snapshots; nil makes none.
	Board *console.Board
}

func (o *Options) check() error {
	var errs []error
	if o.Robot == "" {
		errs = append(errs, errors.New("demo: the robot's id is empty"))
	}
	if len(o.Key) < 16 {
		errs = append(errs, fmt.Errorf("demo: the operator's key has %d bytes, expected 16 or more", len(o.Key)))
	}
	if o.Timezone == nil {
		errs = append(errs, errors.New("demo: no time zone; give the policy's"))
	}
	if o.Start == nil {
		errs = append(errs, errors.New("demo: no guard to start"))
	}
	if !(o.Speed >= 0) || o.Speed > 1000 {
		errs = append(errs, fmt.Errorf("demo: speed is %v, expected 0 (as fast as possible) to 1000", o.Speed))
	}
	if len(o.Footprint) < 3 {
		errs = append(errs, fmt.Errorf("demo: the footprint has %d points, expected 3 or more", len(o.Footprint)))
	}
	blocked := 0
	for _, z := range o.Zones {
		if z.Type == TypeBlocked {
			blocked++
		}
	}
	if blocked == 0 {
		errs = append(errs, errors.New("demo: no BLOCKED zone among the zones; the day would measure nothing"))
	}
	return errors.Join(errs...)
}

// Result is what a day came to.
type Result struct {
	// Rows are the measured reactions in the order of the story.
	Rows []Row
	// OK is true if every reaction came in time.
	OK bool
	// World is how much time passed in the world, Took how much outside.
	World, Took time.Duration
	// Digest is over the robot's whole true motion.
	Digest string
}

// Failed lists the rows that are not in time.
func (r *Result) Failed() []Row {
	var out []Row
	for _, row := range r.Rows {
		if !row.OK {
			out = append(out, row)
		}
	}
	return out
}

// Write puts the table on w, for people.
func (r *Result) Write(w io.Writer, colour bool) error { return writeTable(w, r, colour) }

// Run plays the day and measures. An error means that it could not be played to its end; a reaction that did not come
// is not an error but a row.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	began := time.Now()
	baseline, err := deliveriesAlone(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := newStage(o)
	if err != nil {
		return nil, err
	}
	s.trace.baseline = baseline
	err = s.play(ctx, wholeDay())
	if s.trial.End != nil {
		err = errors.Join(err, s.trial.End())
	}
	if err != nil {
		return nil, err
	}
	r := &Result{Rows: measure(s.trace), OK: true, World: s.world.Now() - s.trace.start, Took: time.Since(began), Digest: s.truth.Digest()}
	for _, row := range r.Rows {
		r.OK = r.OK && row.OK
	}
	return r, nil
}

// deliveriesAlone plays only the deliveries, without a guard, and returns how long they take: what the guard's slowing
// is held against.
func deliveriesAlone(ctx context.Context, o Options) (time.Duration, error) {
	o.Start, o.Tell, o.Speed, o.Board = PassThrough, nil, 0, nil
	s, err := newStage(o)
	if err != nil {
		return 0, err
	}
	if err := s.play(ctx, deliveriesOnly()); err != nil {
		return 0, fmt.Errorf("demo: the deliveries without a guard: %w", err)
	}
	from, to := s.trace.at(markRound), s.trace.at(markRoundDone)
	if to <= from {
		return 0, errors.New("demo: without a guard the deliveries did not end; the building and the tasks do not fit")
	}
	return to - from, nil
}
