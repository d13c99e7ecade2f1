package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// Options says where to look. Socket and Config are required.
type Options struct {
	// Socket is the guard's control socket.
	Socket string
	// Config has the documents that the zones and the body are drawn from: profile, topics and policy.
	Config *config.Config
	// Journal is the guard's journal, whose end the page shows; without it the page tells what it sees change itself.
	Journal string
	// Every is how often to ask, at least 20 ms.
	Every time.Duration
}

// Feed asks a guard again and again. A guard that is away is asked on, so the page goes on by itself when it is back.
type Feed struct {
	o     Options
	cfg   *config.Config
	scene *console.Scene
	board console.Board

	mu     sync.Mutex
	events []console.Event
	active map[string]bool
	mode   string
	path   []console.Point
	floor  string
}

// New returns a feed.
func New(o Options) (*Feed, error) {
	if o.Every < 20*time.Millisecond {
		return nil, fmt.Errorf("live: ask every %v: expected 20ms or more", o.Every)
	}
	return &Feed{o: o, cfg: o.Config, scene: Scene(o.Config.Policy), active: map[string]bool{}}, nil
}

// Latest implements console.Feed.
func (f *Feed) Latest() (*console.Snapshot, <-chan struct{}) { return f.board.Latest() }

// Run asks until ctx ends. While the guard does not answer nothing is published, and the page says that its news is old.
func (f *Feed) Run(ctx context.Context) error {
	var tail sync.WaitGroup
	if f.o.Journal != "" {
		tail.Go(func() { f.follow(ctx) })
	}
	defer tail.Wait()
	t := time.NewTicker(f.o.Every)
	defer t.Stop()
	away := false
	for {
		switch err := f.ask(ctx); {
		case err == nil:
			if away {
				f.tell(console.Event{Time: time.Now(), Level: "info", Text: "The guard answers again."})
			}
			away = false
		case ctx.Err() == nil && !away:
			away = true
			f.tell(console.Event{Time: time.Now(), Level: "error", Text: "The guard does not answer: " + err.Error()})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// ask takes one status.
func (f *Feed) ask(ctx context.Context) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := agent.ReadStatus(ctx, f.o.Socket)
	if err != nil {
		return err
	}
	var st agent.Status
	if err := json.Unmarshal(raw, &st); err != nil {
		return fmt.Errorf("the guard's status: %w", err)
	}
	now := time.Now()
	s := f.view(&st, now)
	f.changes(s, now)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.walk(s)
	s.Path = append([]console.Point(nil), f.path...)
	s.Events = append([]console.Event(nil), f.events...)
	f.board.Publish(s)
	return nil
}

// walk keeps where the robot has been, on one floor, in steps of 5 cm.
func (f *Feed) walk(s *console.Snapshot) {
	const step = 0.05
	if s.Floor != f.floor {
		f.floor, f.path = s.Floor, nil
	}
	if s.Pose == nil {
		return
	}
	p := console.Point{s.Pose.X, s.Pose.Y}
	if n := len(f.path); n > 0 {
		if dx, dy := p[0]-f.path[n-1][0], p[1]-f.path[n-1][1]; dx*dx+dy*dy < step*step {
			return
		}
	}
	if f.path = append(f.path, p); len(f.path) > console.MaxPath {
		f.path = append(f.path[:0], f.path[1:]...)
	}
}

// changes tells what differs from the status before, where there is no journal to tell it.
func (f *Feed) changes(s *console.Snapshot, now time.Time) {
	if f.o.Journal != "" {
		return
	}
	if f.mode != s.Mode {
		f.mode = s.Mode
		f.tell(console.Event{Time: now, Level: levelOf(s.Axes.Motion), Text: capital(s.Mode) + "."})
	}
	on := map[string]bool{}
	for _, t := range s.Triggers {
		if on[t.Code] = true; !f.active[t.Code] {
			f.tell(console.Event{Time: now, Level: "warn", Text: t.Title + ": " + t.Text})
		}
	}
	for code := range f.active {
		if !on[code] {
			f.tell(console.Event{Time: now, Level: "info", Text: code + " has ended."})
		}
	}
	f.active = on
}

func levelOf(motion string) string {
	switch motion {
	case "stop":
		return "error"
	case "hold":
		return "warn"
	}
	return "info"
}

// tell adds a line.
func (f *Feed) tell(e console.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.events = append(f.events, e); len(f.events) > console.MaxEvents {
		f.events = append(f.events[:0], f.events[1:]...)
	}
}

// follow tells the journal's decisions, orders and rungs, over restarts of the guard and losses of the journal.
func (f *Feed) follow(ctx context.Context) {
	o := journal.FollowOptions{From: journal.FromEnd, Poll: 50 * time.Millisecond}
	for ctx.Err() == nil {
		err := journal.Follow(ctx, f.o.Journal, o, func(rec *journal.Record) error {
			if text, level := describe(rec); text != "" {
				f.tell(console.Event{Time: time.Now(), Level: level, Text: text})
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			f.tell(console.Event{Time: time.Now(), Level: "error", Text: "The journal cannot be read on: " + err.Error()})
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// describe puts a record into words, empty for those that are not for people.
func describe(rec *journal.Record) (text, level string) {
	switch uint8(rec.Kind) {
	case guard.RecordDecision:
		text, err := guard.DescribeDecision(rec.Payload)
		motion, _, ok := guard.DecidedMotion(rec.Payload)
		if err != nil || !ok {
			return "", ""
		}
		return capital(text), levelOf(motion.String())
	case guard.RecordRung:
		if text, err := guard.DescribeLadder(rec.Payload); err == nil {
			return capital(text), "warn"
		}
	case guard.RecordPosture:
		if text, err := guard.DescribePosture(rec.Payload); err == nil {
			return capital(text), "warn"
		}
	case guard.RecordStart:
		return "The guard has started.", "info"
	case guard.RecordOrder:
		return "Order: " + string(rec.Payload), "info"
	case guard.RecordPolicy:
		return "A new policy is in force.", "info"
	}
	if rec.Kind == journal.KindGap {
		return "Records were lost here.", "error"
	}
	return "", ""
}
