package guard

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// Sessions of remote control are explored as interlock's parts are: every event in every state, breadth first, until there is
// no new state. It is the core's own code that runs; the rules have a memory of their own.

const sessionQuantum = 100 * time.Millisecond

// sessionState is what a state consists of: the core's session, by for how long it lasts, and the rules' memory of it.
type sessionState struct {
	id      uint64
	level   SessionLevel
	left    time.Duration
	stopped bool
	want    struct {
		id    uint64
		level SessionLevel
		left  int
	}
}

// sessionRun runs one event after the other; wrong are places at which an off run goes wrong.
type sessionRun struct {
	c       *Core
	channel int
	now     time.Duration
	s       sessionState
	wrong   struct{ ageless, unstoppable, stealing, viewing bool }
}

func newSessionRun(t *testing.T) *sessionRun {
	t.Helper()
	p := demoParams(t)
	i := slices.IndexFunc(p.Channels, func(c ChannelParams) bool { return c.Kind.Remote() })
	p.Channels[i].Session = true
	return &sessionRun{c: newRig(t, p, Start{}).core, channel: i, now: time.Hour}
}

// put brings the core into a state.
func (r *sessionRun) put(s sessionState) {
	r.s = s
	r.c.authority.sessions[r.channel] = RemoteSession{}
	if s.id != 0 {
		r.c.authority.sessions[r.channel] = RemoteSession{ID: s.id, Level: s.level, Since: r.now, Until: r.now + s.left}
	}
	r.motion(s.stopped)
}

func (r *sessionRun) motion(stopped bool) {
	r.s.stopped = stopped
	r.c.decision.Axes.Motion = interlock.MotionFree
	if stopped {
		r.c.decision.Axes.Motion = interlock.MotionStop
	}
}

// order asks for a session and says what should become of it.
func (r *sessionRun) order(id uint64, level SessionLevel, lasts int) error {
	w := &r.s.want
	want := SessionOpened
	switch {
	case level == SessionNone && w.id == 0:
		want = SessionNotOpen
	case level == SessionNone:
		want = SessionEnded
	case w.id != 0 && w.id != id:
		want = SessionBusy
	case lasts <= 0:
		want = SessionOver
	case r.s.stopped:
		want = SessionStopped
	}
	if r.wrong.stealing && level != SessionNone {
		r.c.authority.sessions[r.channel] = RemoteSession{}
	}
	o := Order{ID: id, Expires: r.now + time.Duration(lasts)*sessionQuantum, Session: SessionOrder{Channel: r.channel, Level: level}}
	if got := r.c.takeSession(r.now, &o); got != want {
		return fmt.Errorf("an order for %s: %s, expected %s", level, got, want)
	}
	switch want {
	case SessionOpened:
		w.id, w.level, w.left = id, level, lasts
	case SessionEnded:
		w.id, w.level, w.left = 0, SessionNone, 0
	default:
	}
	return nil
}

// step does what the core does around each event, and holds the outcome against the rules.
func (r *sessionRun) step(passed int, act func() error) (sessionState, error) {
	r.now += time.Duration(passed) * sessionQuantum
	if !r.wrong.ageless {
		r.c.ageSessions(r.now)
	}
	w := &r.s.want
	if w.left = max(0, w.left-passed); w.left == 0 {
		w.id, w.level = 0, SessionNone
	}
	if err := act(); err != nil {
		return r.s, err
	}
	if !r.wrong.unstoppable {
		r.c.stopSessions()
	}
	if r.s.stopped {
		w.id, w.level, w.left = 0, SessionNone, 0
	}
	got := &r.c.authority.sessions[r.channel]
	passes := r.c.closed()&(1<<r.channel) == 0 || r.wrong.viewing && got.Level == SessionView
	switch {
	case got.ID != w.id || got.Level != w.level:
		return r.s, fmt.Errorf("the session is %d (%s), expected %d (%s)", got.ID, got.Level, w.id, w.level)
	case passes != (w.level == SessionControl):
		return r.s, fmt.Errorf("commands pass %v in a session of %s", passes, w.level)
	case got.ID != 0 && got.Until-r.now != time.Duration(w.left)*sessionQuantum:
		return r.s, fmt.Errorf("the session lasts for %v, expected %d quanta", got.Until-r.now, w.left)
	}
	r.s.id, r.s.level, r.s.left = got.ID, got.Level, 0
	if got.ID != 0 {
		r.s.left = got.Until - r.now
	}
	return r.s, nil
}

func (r *sessionRun) explore() (states, transitions int, err error) {
	type event struct {
		name   string
		passed int
		act    func() error
	}
	ask := func(id uint64, level SessionLevel, lasts int) func() error {
		return func() error { return r.order(id, level, lasts) }
	}
	events := []event{
		{"a quantum passes", 1, func() error { return nil }},
		{"three pass", 3, func() error { return nil }},
		{"a stop", 0, func() error { r.motion(true); return nil }},
		{"its release", 0, func() error { r.motion(false); return nil }},
		{"control", 0, ask(1, SessionControl, 2)},
		{"control for another", 0, ask(2, SessionControl, 4)},
		{"a view", 0, ask(3, SessionView, 3)},
		{"control that is over", 0, ask(4, SessionControl, 0)},
		{"an end", 0, ask(5, SessionNone, 0)},
		{"control and time", 1, ask(6, SessionControl, 1)},
	}
	known, rest, transitions, err := explore(sessionState{}, 10_000, len(events), func(from sessionState, i int) (sessionState, error) {
		r.put(from)
		return r.step(events[i].passed, events[i].act)
	}, func(i int) string { return events[i].name })
	if err != nil {
		return len(known), transitions, err
	}
	for s := range known {
		for range 5 {
			s = rest[s]
		}
		if s.id != 0 || rest[s] != s {
			return len(known), transitions, fmt.Errorf("by time alone %+v does not come to rest without a session", s)
		}
	}
	return len(known), transitions, nil
}

// explore visits what a number of events can lead to, breadth first, until nothing new comes or there are most states. It returns how
// each state is reached, where the first event, which is that time passes, leads from each, and how many steps were taken.
func explore[S comparable](start S, most, events int, step func(from S, event int) (S, error), name func(event int) string) (known map[S]string, rest map[S]S, transitions int, err error) {
	level := []S{start}
	known, rest = map[S]string{start: ""}, map[S]S{}
	for len(level) > 0 && len(known) < most {
		var next []S
		for _, from := range level {
			for i := range events {
				s, err := step(from, i)
				transitions++
				if err != nil {
					return known, rest, transitions, fmt.Errorf("%w\n  by:%s → %s", err, known[from], name(i))
				}
				if i == 0 {
					rest[from] = s
				}
				if _, ok := known[s]; !ok {
					known[s] = known[from] + " → " + name(i)
					next = append(next, s)
				}
			}
		}
		level = next
	}
	return known, rest, transitions, nil
}

func TestExploreSessions(t *testing.T) {
	states, transitions, err := newSessionRun(t).explore()
	t.Logf("sessions: %d states, %d transitions, fixpoint %v", states, transitions, err == nil)
	if err != nil {
		t.Error(err)
	}
}

// TestExplorationFindsWrongSessions is its off run.
func TestExplorationFindsWrongSessions(t *testing.T) {
	for name, wrong := range map[string]func(r *sessionRun){
		"a session does not end":        func(r *sessionRun) { r.wrong.ageless = true },
		"a stop leaves it open":         func(r *sessionRun) { r.wrong.unstoppable = true },
		"a second one takes it over":    func(r *sessionRun) { r.wrong.stealing = true },
		"who may look may also command": func(r *sessionRun) { r.wrong.viewing = true },
		"commands need none":            func(r *sessionRun) { r.c.params.Channels[r.channel].Session = false },
	} {
		r := newSessionRun(t)
		wrong(r)
		if _, _, err := r.explore(); err == nil {
			t.Errorf("%s: nothing was found", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
