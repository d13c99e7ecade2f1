// Package flight is the flight recorder: it keeps the inputs around each trip as MCAP files, taken from the guard's journal
// after the fact. It never stands between a message and a command, never asks for the network, and never makes the guard
// wait or end: what it cannot write is told and given up.
package flight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/interlock"
)

// Options says where from and where to. All fields are required but Aside.
type Options struct {
	// Journal is the guard's journal, Folder where recordings go.
	Journal, Folder string
	// BootID and Boot are the boot clock's.
	BootID [16]byte
	Boot   func() time.Duration
	// Config is the configuration in force.
	Config func() *config.Config
	// Aside runs work that takes long out of the path's way; nil runs it in place.
	Aside func(func() error) error
	Log   zerolog.Logger
}

// Bounds of a recording.
const (
	// longest is how long one recording may be; trips that go on and on begin another one.
	longest = 5 * time.Minute
	// patience is how long a journal that stands still is waited for.
	patience = 10 * time.Second
	// atTheEnd is the same when the guard ends, and nothing more may come.
	atTheEnd = 300 * time.Millisecond
	// shareOfKind is the part of a kind's room that one file may take.
	shareOfKind = 4
)

// Recorder waits for trips. [Recorder.Note] may be called from the path; [Recorder.Run] once.
type Recorder struct {
	o     Options
	last  interlock.Motion
	trips chan trip
	ended time.Duration // what is recorded already
}

// trip is a decision that demands a standstill where the one before did not.
type trip struct {
	at      time.Duration
	trigger string
}

// New returns a recorder.
func New(o Options) *Recorder {
	if o.Aside == nil {
		o.Aside = func(f func() error) error { return f() }
	}
	return &Recorder{o: o, trips: make(chan trip, 64)}
}

// Note looks at a record on its way into the journal: whether it is a trip. It is called by one goroutine at a time, does not
// allocate and does not wait: with 64 trips waiting, another one is within their recordings anyway, or is passed over.
func (r *Recorder) Note(kind uint8, boot time.Duration, payload []byte) {
	if kind != guard.RecordDecision {
		return
	}
	motion, trigger, ok := guard.DecidedMotion(payload)
	if !ok {
		return
	}
	stricter := motion <= interlock.MotionHold && motion < r.last
	r.last = motion
	if !stricter {
		return
	}
	select {
	case r.trips <- trip{boot, trigger}:
	default:
	}
}

// Run writes recordings until ctx ends. It gives no error: a robot must not lose its guard to its recorder.
func (r *Recorder) Run(ctx context.Context) error {
	r.safely("the recordings of the last run", func() error { return r.aside(r.tidy) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-r.trips:
			r.safely("a flight recording", func() error { return r.record(ctx, t) })
		}
	}
}

// safely tells what went wrong, panics included.
func (r *Recorder) safely(what string, work func() error) {
	if err := caught(work); err != nil {
		r.o.Log.Error().Err(err).Str("folder", r.o.Folder).Msg(what + " could not be kept; the journal still has these inputs until its quota takes them")
	}
}

// aside has work done out of the path's way.
func (r *Recorder) aside(work func() error) error {
	return r.o.Aside(func() error { return caught(work) })
}

// caught turns a panic into an error.
func caught(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work()
}

// record keeps what is around a trip, and around those that follow within its window.
func (r *Recorder) record(ctx context.Context, t trip) error {
	cfg := r.o.Config()
	how := cfg.Policy.FlightRecorder()
	if len(how.Kinds) == 0 || t.at+how.After <= r.ended {
		return nil
	}
	from, to := max(t.at-how.Before, r.ended), t.at+how.After
	for r.o.Boot() < to {
		select {
		case <-ctx.Done():
			to = r.o.Boot() // What there is.
		case next := <-r.trips:
			if next.at <= to && next.at+how.After-from <= longest {
				to = max(to, next.at+how.After)
				continue
			}
			// Too long for one file: the rest is another one's.
			defer func() { r.again(next) }()
		case <-time.After(to - r.o.Boot()):
		}
		if ctx.Err() != nil {
			break
		}
	}
	w := &window{o: &r.o, cfg: cfg, how: how, trip: t, from: from, to: to, files: map[string]*file{}}
	err := r.aside(func() error { return w.write(ctx) })
	r.ended = to
	return err
}

func (r *Recorder) again(t trip) {
	select {
	case r.trips <- t:
	default:
	}
}

// window is one recording being written.
type window struct {
	o        *Options
	cfg      *config.Config
	how      config.Recorder
	trip     trip
	from, to time.Duration
	enc      encoder
	store    guard.EventStore
	files    map[string]*file
	civil    int64 // at boot
	boot     time.Duration
	damage   error
}

var errDone = errors.New("the window is over")

// write copies the window out of the journal. Once ctx has ended nothing more may come, and the guard's end does not wait for it.
func (w *window) write(ctx context.Context) error {
	w.enc = encoder{topics: w.cfg.Topics, floors: w.cfg.Policy.Floors}
	if j := w.cfg.Profile.Joints; j != nil {
		for _, one := range j.List {
			w.enc.joints = append(w.enc.joints, one.Name)
		}
	}
	first, err := journal.SeqAt(w.o.Journal, w.o.BootID, w.from)
	if err != nil {
		return err
	}
	waits, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(atTheEnd, cancel) })()
	err = journal.Follow(waits, w.o.Journal, journal.FollowOptions{From: first, Poll: 20 * time.Millisecond}, w.take)
	if ended := ctx.Err() != nil && waits.Err() != nil; !errors.Is(err, errDone) && !ended {
		w.damage = fmt.Errorf("the journal up to %v after the trip: %w", w.to-w.trip.at, err)
	}
	return w.close()
}

// take takes one record of the journal.
func (w *window) take(rec *journal.Record) error {
	switch {
	case rec.Segment != nil && rec.Segment.BootID != w.o.BootID, rec.Boot < w.from:
		return nil
	case rec.Boot > w.to:
		return errDone
	}
	switch uint8(rec.Kind) {
	case guard.RecordEvent:
		const digest = 8
		if len(rec.Payload) <= digest {
			return nil
		}
		ev, err := w.store.Decode(rec.Payload[:len(rec.Payload)-digest])
		if err != nil {
			return err
		}
		if w.civil == 0 {
			w.civil, w.boot = ev.Civil, ev.Boot
		}
		if s, data, ok := w.enc.event(ev); ok {
			return w.put(&s, rec.Boot, data)
		}
	case guard.RecordDecision:
		if text, err := guard.DescribeDecision(rec.Payload); err == nil && w.civil != 0 {
			s := stream{kind: config.RecordMotion, topic: topicDecisions}
			return w.put(&s, rec.Boot, words(rec.Boot, text))
		}
	}
	return nil
}

// time is civil time by the boot clock, so that a clock that is set meanwhile tears no hole into the recording.
func (w *window) time(boot time.Duration) uint64 {
	return uint64(max(0, w.civil+int64(boot-w.boot))) //nolint:gosec // not negative
}

// put writes a message into its kind's file, which is begun with its first message.
func (w *window) put(s *stream, boot time.Duration, data []byte) error {
	f := w.files[s.kind]
	if f == nil {
		if f = w.begin(s.kind); f == nil {
			return nil
		}
	}
	if f.full {
		return nil
	}
	key := s.topic + "\x00" + s.role + "\x00" + s.typ
	f.w.message(f.w.channel(key, s.describe), w.time(boot), data)
	f.full = f.w.at > uint64(f.max) //nolint:gosec // not negative
	return f.w.err
}

// begin opens a kind's file, nil if the policy keeps none of it.
func (w *window) begin(kind string) *file {
	for i := range w.how.Kinds {
		if k := &w.how.Kinds[i]; k.Kind == kind {
			at := time.Unix(0, int64(w.time(w.trip.at))).UTC() //nolint:gosec // a time of this century
			name := fmt.Sprintf("%s-%s-%s", at.Format("20060102T150405.000Z"), w.trip.trigger, kind)
			f := newFile(filepath.Join(w.o.Folder, k.Access), name, k, map[string]string{
				"kind": kind, "access": k.Access, "trip": w.trip.trigger, "trip_time": at.Format(time.RFC3339Nano),
				"robot": w.cfg.Deployment.Serial, "policy": w.cfg.Digests.Policy.String(), "profile": w.cfg.Digests.Profile.String(),
				"topics": w.cfg.Digests.Topics.String(),
			})
			w.files[kind] = f
			return f
		}
	}
	return nil
}

// close makes the files whole, each for itself.
func (w *window) close() error {
	errs := []error{w.damage}
	for _, k := range w.how.Kinds {
		f := w.files[k.Kind]
		if f == nil {
			continue
		}
		if err := f.close(w.damage != nil); err != nil {
			errs = append(errs, err)
			continue
		}
		w.o.Log.Info().Str("file", f.path).Msg("flight recording of " + w.trip.trigger)
	}
	return errors.Join(errs...)
}

// tidy marks what a kill has cut, and drops what is over the bounds.
func (r *Recorder) tidy() error {
	how := r.o.Config().Policy.FlightRecorder()
	var errs []error
	list, err := filepath.Glob(filepath.Join(r.o.Folder, "*", "*"+partial))
	errs = append(errs, err)
	for _, name := range list {
		errs = append(errs, os.Rename(name, name[:len(name)-len(partial)]+cutShort))
	}
	for i := range how.Kinds {
		errs = append(errs, prune(r.o.Folder, &how.Kinds[i], 0))
	}
	return errors.Join(errs...)
}
