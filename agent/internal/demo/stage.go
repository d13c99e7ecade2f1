package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// stage is the world with the guard in it, and everything that watches.
type stage struct {
	opts  Options
	world *sim.World
	trial Trial
	trace *trace
	truth *sim.Recorder
	tell  *Teller

	ctx     context.Context //nolint:containedctx // it lives exactly as long as play.
	err     error
	pace    pacer
	planned time.Duration
	said    said
	events  []console.Event
	path    []console.Point
	floor   string // Of path.
	shown   time.Duration
}

func newStage(o Options) (*stage, error) {
	s := &stage{opts: o, tell: o.Tell}
	so := sim.DefaultOptions()
	so.Seed, so.Robot, so.Key = o.Seed, o.Robot, o.Key
	// A quarter of an hour before the day shift ends, in the hospital's own time.
	so.Civil = time.Date(2026, time.March, 10, 18, 53, 20, 0, time.UTC)
	w, err := sim.New(so, s.handlers())
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s.world, s.trace = w, newTrace(w.Now())
	s.truth = w.Record(TickPeriod, 0)
	out := &recorder{world: w, trace: s.trace}
	s.trial, err = o.Start(Env{Robot: o.Robot, Key: o.Key, Boot: w.Now, Civil: w.Civil, Out: out})
	if err != nil {
		return nil, fmt.Errorf("demo: start the guard: %w", err)
	}
	s.planned = w.Now()
	return s, nil
}

// handlers hands the world's messages to the guard, and notes the answers' times.
func (s *stage) handlers() sim.Handlers {
	g := func() Guard { return s.trial.Guard }
	return sim.Handlers{
		Pose: func(m *msg.Pose) { g().Pose(m) }, Odom: func(m *msg.Pose) { g().Odometry(m) },
		Joints: func(m *msg.Joints) { g().Joints(m) }, IMU: func(m *msg.IMU) { g().IMU(m) },
		Device: func(m *msg.Device) { g().Device(m) }, Command: func(m *msg.Command) { g().Command(m) },
		Floor: func(m *msg.Text) { g().Floor(m) }, Order: func(m *msg.Text) { g().Order(m) },
		Graph: func(m *msg.Graph) { g().Graph(m) }, Reply: func(m *sim.Reply) { g().Reply(m) },
		Answer: func(m *msg.Text) {
			s.trace.answers = append(s.trace.answers, s.world.Now())
			g().Answer(m)
		},
	}
}

// chapter is a part of the story, played from its first line to its last.
type chapter struct {
	title string
	play  func(*stage)
}

// play plays chapters until the end or until the context ends.
func (s *stage) play(ctx context.Context, story []chapter) error {
	s.ctx = ctx
	s.pace = newPacer(s.opts.Speed, s.world.Now())
	s.mark(markStart)
	for _, c := range story {
		if c.title != "" {
			s.chapter(c.title)
		}
		if c.play(s); s.err != nil {
			return s.err
		}
	}
	s.mark(markEnd)
	return nil
}

// until lets time pass until a condition is true, at most for a limit, and returns whether it came true.
func (s *stage) until(limit time.Duration, is func() bool) bool {
	for end := s.world.Now() + limit; s.world.Now() < end; {
		if s.err != nil {
			return false
		}
		if is() {
			return true
		}
		s.step()
	}
	return is()
}

// wait lets time pass.
func (s *stage) wait(d time.Duration) { s.until(d, func() bool { return false }) }

// step is one tick of the guard.
func (s *stage) step() {
	if s.err = s.ctx.Err(); s.err != nil {
		return
	}
	s.planned += TickPeriod
	s.world.Advance(TickPeriod)
	s.trial.Guard.Tick(s.planned)
	if s.trial.Fault != nil {
		if s.err = s.trial.Fault(); s.err != nil {
			return
		}
	}
	s.trace.samples = append(s.trace.samples, sample{
		at: s.world.Now(), Truth: s.world.Truth(), nearness: near(s.world, s.opts.Zones, s.opts.Footprint),
	})
	s.watch()
	if s.err = s.pace.wait(s.ctx, s.world.Now()); s.err != nil {
		return
	}
}

// mark notes the moment.
func (s *stage) mark(m Mark) { s.trace.marks[m] = s.world.Now() }

// standing returns a condition: the robot has stood for a while.
func (s *stage) standing(d time.Duration) func() bool {
	since := s.world.Now()
	return func() bool {
		if s.world.Truth().Walking {
			since = s.world.Now()
		}
		return s.world.Now()-since >= d
	}
}

// idle is a condition: the planner has nothing left to do.
func (s *stage) idle() bool { return s.world.Planner().Pending() == 0 }

// pacer keeps the world at a multiple of real time, or lets it run.
type pacer struct {
	speed float64
	began time.Time
	from  time.Duration
}

func newPacer(speed float64, from time.Duration) pacer {
	return pacer{speed: speed, began: time.Now(), from: from}
}

// wait sleeps until real time has caught up. After a pause of the whole program it does not race to catch up.
func (p *pacer) wait(ctx context.Context, now time.Duration) error {
	if p.speed == 0 {
		return nil
	}
	due := p.began.Add(time.Duration(float64(now-p.from) / p.speed))
	ahead := time.Until(due)
	if ahead < -time.Second {
		p.began, p.from = time.Now(), now
	}
	if ahead <= time.Millisecond {
		return nil
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
