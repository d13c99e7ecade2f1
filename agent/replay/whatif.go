package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/recording"
)

// ErrNothing means that a recording holds nothing to decide about.
var ErrNothing = errors.New("nothing to replay")

// player is a what-if under way.
type whatIf struct {
	q      *Question
	report *Report
	scans  []recording.Summary
	cfg    *config.Config
	params *guard.Params
	worlds []*World
	lines  []*timeline
	total  int64
	done   int64
	back   int64 // messages older than one before
	backNS int64 // by how much at most
	newest int64
}

// WhatIf replays recordings through the cores by the question's documents. An end of ctx ends it early: the report then
// tells how far it came.
func WhatIf(ctx context.Context, q *Question) (*Report, error) {
	w := &whatIf{q: q, report: &Report{Version: 1, Assumed: []string{}}}
	if err := w.scan(ctx); err != nil {
		return nil, err
	}
	if err := w.prepare(); err != nil {
		return nil, err
	}
	for i := range w.scans {
		if err := w.play(ctx, &w.scans[i]); err != nil {
			return nil, err
		}
		if w.report.Partial != "" {
			break
		}
	}
	return w.finish(), nil
}

// scan looks at which channels there are and when the files begin.
func (w *whatIf) scan(ctx context.Context) error {
	files, err := recording.Files(w.q.Files)
	if err != nil {
		return err
	}
	for _, name := range files {
		s, err := recording.Scan(name, func(int64) bool { return ctx.Err() == nil })
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.Messages == 0 && s.Damage != nil {
			return s.Damage
		}
		w.total += s.Bytes
		w.scans = append(w.scans, s)
		w.report.Files = append(w.report.Files, FileReport{name, s.Bytes, s.Messages})
		w.report.Warnings = append(w.report.Warnings, s.Warnings...)
		if s.Damage != nil {
			w.report.Warnings = append(w.report.Warnings, s.Damage.Error()+"; what comes before it was read")
		}
	}
	w.scans = slices.DeleteFunc(w.scans, func(s recording.Summary) bool { return s.Messages == 0 })
	if len(w.scans) == 0 {
		return fmt.Errorf("%w: %s: no messages", ErrNothing, strings.Join(files, ", "))
	}
	slices.SortStableFunc(w.scans, func(a, b recording.Summary) int { return cmp.Compare(a.First, b.First) })
	return nil
}

// prepare makes parameters and worlds.
func (w *whatIf) prepare() error {
	cfg := *w.q.Config
	w.cfg = &cfg
	if cfg.Topics == nil {
		t, err := infer(&cfg, w.scans)
		if err != nil {
			return err
		}
		cfg.Topics = t
		w.assume("the topics, by their types, since no mapping was given: %s", describeTopics(t))
	}
	serial, err := robotOf(cfg.Policy, w.q.Robot)
	if err != nil {
		return err
	}
	cfg.Deployment = &config.Deployment{Serial: serial}
	r := w.report
	r.Robot, r.Profile, r.Policy, r.Revision, r.Config = serial, cfg.Profile.ID, cfg.Policy.ID, cfg.Policy.Revision, &cfg
	r.From, r.To = time.Unix(0, w.scans[0].First), time.Unix(0, w.last())
	if zone := cfg.Policy.Timezone.Location; zone != nil {
		r.From, r.To = r.From.In(zone), r.To.In(zone)
	}
	r.DurationS = r.To.Sub(r.From).Seconds()
	params, err := guard.NewParams(&cfg, self, oldest)
	if err != nil {
		return err
	}
	w.params = params
	a, err := w.assumptions()
	if err != nil {
		return err
	}
	if err := w.world(params, a, w.q.Watch); err != nil {
		return err
	}
	if w.q.Against == nil {
		return nil
	}
	old := cfg
	old.Policy = w.q.Against
	if params, err = guard.NewParams(&old, self, oldest); err != nil {
		return fmt.Errorf("the policy to compare with: %w", err)
	}
	if a.Floor >= 0 {
		a.Floor = old.Policy.FloorIndex(cfg.Policy.Floors[a.Floor].ID)
	}
	return w.world(params, a, nil)
}

// oldest is before every recording: whether a recorded clock was right, nobody can tell any more.
const oldest = int64(1)

// self is the name that the guard would have on the bus.
const self = "/robowarden"

func (w *whatIf) world(p *guard.Params, a Assume, watch Watcher) error {
	line := newTimeline(WorldStart, Profile{Reaction: w.cfg.Profile.Motion.Reaction.Total(), DecelMPS2: w.cfg.Profile.Motion.DecelMPS2})
	watchers := []Watcher{line}
	if watch != nil {
		watchers = append(watchers, watch)
	}
	world, err := NewWorld(p, w.scans[0].First, a, watchers...)
	if err != nil {
		return err
	}
	w.worlds, w.lines = append(w.worlds, world), append(w.lines, line)
	return nil
}

func (w *whatIf) last() int64 {
	var t int64
	for i := range w.scans {
		t = max(t, w.scans[i].Last)
	}
	return t
}

// robotOf finds the robot whose roles count.
func robotOf(p *config.Policy, serial string) (string, error) {
	if serial != "" {
		if _, ok := p.RolesOf(serial); !ok {
			return "", fmt.Errorf("policy %s does not list robot %q", p.ID, serial)
		}
		return serial, nil
	}
	if len(p.Robots) != 1 {
		return "", fmt.Errorf("policy %s lists %d robots: say which one recorded (--robot SERIAL)", p.ID, len(p.Robots))
	}
	return p.Robots[0].Serial, nil
}

func (w *whatIf) assume(format string, a ...any) {
	w.report.Assumed = append(w.report.Assumed, fmt.Sprintf(format, a...))
}

// assumptions finds out what has to be supplied.
func (w *whatIf) assumptions() (Assume, error) {
	router := recording.NewRouter(w.cfg, w, w.q.AnyPublisher)
	have := map[string]bool{}
	for i := range w.scans {
		for k := range w.scans[i].Channels {
			c := &w.scans[i].Channels[k]
			route := router.Route(&c.Channel)
			if route.Role == "" || c.Messages == 0 {
				continue
			}
			if route.Refused != "" {
				w.report.Warnings = append(w.report.Warnings, fmt.Sprintf("%d messages of %s are not read: %s", c.Messages, c.Topic, route.Refused))
				continue
			}
			kind, _, _ := strings.Cut(string(route.Role), " ")
			have[kind], have[string(route.Role)] = true, true
		}
	}
	if !have["pose"] && !have["transform"] {
		return Assume{}, fmt.Errorf("%w: no poses on %s: %s", ErrNothing, w.cfg.Topics.Pose.Topic, w.hint())
	}
	a := Assume{Floor: -1, Disobeys: !w.q.Obeyed, Resets: !w.q.KeepLatched, Attested: !w.q.Unattested}
	for _, in := range []struct {
		kind  string
		input guard.InputSet
		needs bool
	}{
		{"joints", guard.InputJoints, w.params.Joints.N > 0},
		{"imu", guard.InputIMU, w.params.Required&guard.InputIMU != 0 || w.params.Standstill.IMU.Used},
		{"battery", guard.InputBattery, w.params.Required&guard.InputBattery != 0},
		{"camera", guard.InputCameras, w.params.Required&guard.InputCameras != 0},
		{"microphone", guard.InputMicrophones, w.params.Required&guard.InputMicrophones != 0},
	} {
		if in.needs && !have[in.kind] {
			a.Inputs |= in.input
		}
	}
	if a.Inputs != 0 {
		w.assume("%s as a sound robot has them, since the recording has none", strings.Join(guard.InputNames(a.Inputs), ", "))
	}
	if w.cfg.Topics.Floor.Topic != nil && !have["floor"] {
		id := cmp.Or(w.q.Floor, w.cfg.Policy.Floors[0].ID)
		if a.Floor = w.cfg.Policy.FloorIndex(id); a.Floor < 0 {
			return a, fmt.Errorf("floor %q: the policy has no such floor", id)
		}
		w.assume("floor %s, since the recording does not say", id)
	}
	w.unknown(have)
	w.assume("publishers as the mapping lists them, and a bus, a journal and a clock in order")
	if n := len(w.cfg.Policy.Channels); n > 0 {
		w.assume("an answered heartbeat of %d channels: recorded answers cannot be checked without the keys", n)
	}
	if a.Disobeys {
		w.assume("that the robot could not hear this guard: stop.unconfirmed, motion.untold and manipulators.untold are not held against it (--obeyed does)")
	}
	if a.Resets {
		w.assume("people who reset within a second what is latched and may be reset (--keep-latched does not)")
	}
	if a.Attested {
		w.assume("a verifier who vouches for the robot's software (--unattested does not)")
	}
	return a, nil
}

// unknown tells what of the mapping the replay does not know: facts that were not recorded, commands that are passed on whole.
func (w *whatIf) unknown(have map[string]bool) {
	var facts, gates []string
	for i := range w.cfg.Topics.Facts {
		if s := &w.cfg.Topics.Facts[i]; !have["fact "+s.ID] {
			facts = append(facts, s.ID)
		}
	}
	for i := range w.cfg.Topics.Gates {
		gates = append(gates, w.cfg.Topics.Gates[i].Name)
	}
	if len(facts) > 0 {
		w.assume("nothing about %s, since the recording does not say: unknown facts restrict as the policy says", strings.Join(facts, ", "))
	}
	if len(gates) > 0 {
		w.assume("nothing about what comes by %s: commands that are passed on whole are not replayed", strings.Join(gates, ", "))
	}
}

// hint lists topics of the right type.
func (w *whatIf) hint() string {
	var out []string
	for i := range w.scans {
		for k := range w.scans[i].Channels {
			if c := &w.scans[i].Channels[k]; c.Type == w.cfg.Topics.Pose.Type && !slices.Contains(out, c.Topic) {
				out = append(out, c.Topic)
			}
		}
	}
	if len(out) == 0 {
		return "the recording has no topic of type " + w.cfg.Topics.Pose.Type
	}
	return "topics of its type " + w.cfg.Topics.Pose.Type + ": " + strings.Join(out, ", ") + ". If a publisher was refused, --any-publisher listens to all"
}

// maxAhead is the longest time from one message to the next. The guard ticks all through it, so a clock that was set while it
// recorded, or a time that is damaged, would keep the replay busy for the years between.
const maxAhead = 24 * time.Hour

// play replays one file.
func (w *whatIf) play(ctx context.Context, s *recording.Summary) (err error) {
	router := recording.NewRouter(w.cfg, w, w.q.AnyPublisher)
	r, err := recording.Open(s.File, router.Want)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	var m recording.Message
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if w.q.Progress != nil {
				w.q.Progress(w.done+r.Offset(), w.total)
			}
			if ctx.Err() != nil {
				w.report.Partial = fmt.Sprintf("interrupted at byte %d of %s", r.Offset(), s.File)
				break
			}
		}
		if err = r.Next(&m); err != nil {
			break
		}
		if m.Data == nil {
			continue
		}
		if ahead := time.Duration(m.Time - max(w.newest, w.scans[0].First)); ahead > maxAhead {
			w.report.Partial = fmt.Sprintf("%s: at byte %d: the recorder's clock jumps ahead by %v: expected at most %v from one message to the next; what follows was not read",
				s.File, m.Offset, ahead.Round(time.Second), maxAhead)
			break
		}
		if m.Time < w.newest {
			w.back++
			w.backNS = max(w.backNS, w.newest-m.Time)
		}
		w.newest = max(w.newest, m.Time)
		router.Take(&m, w.worlds[0].Boot(w.newest))
	}
	w.done += s.Bytes
	w.inputs(router)
	var damage *recording.Damage
	if errors.As(err, &damage) {
		w.report.Partial = damage.Error()
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// inputs reports what was decoded of a file.
func (w *whatIf) inputs(router *recording.Router) {
	var list []InputReport
	for ch, r := range router.Routes() {
		if r.Role == "" {
			continue
		}
		list = append(list, InputReport{string(r.Role), ch.Topic, ch.Type, ch.Publisher, r.Messages, r.Malformed, r.Refused})
		if r.Malformed > 0 {
			w.report.Warnings = append(w.report.Warnings, fmt.Sprintf("%d messages of %s could not be decoded, the first at byte %d: %s",
				r.Malformed, ch.Topic, r.FirstOffset, r.FirstError))
		}
	}
	slices.SortFunc(list, func(a, b InputReport) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Publisher, b.Publisher))
	})
	w.report.Inputs = append(w.report.Inputs, list...)
}

func (w *whatIf) finish() *Report {
	r := w.report
	if w.back > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d messages were received before one that stands earlier in the file, by %v at most; they count as received with it",
			w.back, time.Duration(w.backNS).Round(time.Millisecond)))
	}
	r.Timeline = w.lines[0].finish()
	r.Events, r.Digest = w.worlds[0].events, fmt.Sprintf("%016x", w.worlds[0].fx.Digest)
	r.Summary = summarise(r.Timeline)
	if len(w.lines) > 1 {
		old := w.lines[1].finish()
		r.Against = compare(old, r.Timeline)
		r.Against.Policy, r.Against.Revision = w.q.Against.ID, w.q.Against.Revision
	}
	return r
}
