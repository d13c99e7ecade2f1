package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// IsJournal says whether a name is a folder with a journal in it.
func IsJournal(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return false
	}
	r, err := journal.OpenDir(name)
	if err != nil {
		return false
	}
	defer func() { _ = r.Close() }()
	for _, err := range r.All() {
		return err == nil
	}
	return false
}

// JournalQuestion is a journal and how to look at it.
type JournalQuestion struct {
	// Folder is the journal's; Documents is where the guard keeps its documents by content.
	Folder, Documents string
	// Policy replaces the recorded one in a what-if, nil for none. The profile and the mapping stay the recorded ones.
	Policy *config.Policy
	// Progress is told how many records are done; it may be nil.
	Progress func(records uint64)
	// Watch, if set, sees every event.
	Watch Watcher
}

// Journal replays a journal: by the documents that it names, comparing each outcome, and by another policy if there is one.
// The other policy's core is given the very events that the guard was: ticks, messages, what the bus and people said. The
// report's Checked is set; its timeline is that of what the guard decided, or of what the other policy would have.
func Journal(ctx context.Context, q *JournalQuestion) (*Report, error) {
	out := &Report{Version: 1, Assumed: []string{}}
	r, err := journal.OpenDir(q.Folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	j := &journalPlay{q: q, report: out}
	j.p = &player{params: Documents(q.Documents), watch: j}
	var n uint64
	for rec, err := range r.All() {
		if err != nil {
			out.Partial = err.Error()
			break
		}
		if err := j.p.take(&rec); err != nil {
			return nil, fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		if j.err != nil {
			return nil, j.err
		}
		if n++; n%1024 == 0 {
			if q.Progress != nil {
				q.Progress(n)
			}
			if ctx.Err() != nil {
				out.Partial = fmt.Sprintf("interrupted at record %d", rec.Seq)
				break
			}
		}
	}
	if j.line == nil {
		return nil, fmt.Errorf("%w: %s has no event after a snapshot", ErrNothing, q.Folder)
	}
	j.finish(n)
	return out, nil
}

// journalPlay watches the replay of a journal.
type journalPlay struct {
	q      *JournalQuestion
	p      *player
	report *Report
	cfg    *config.Config
	line   *timeline
	// other is the what-if's core, after the run's first event; otherLine its timeline.
	other     *guard.Core
	otherFx   guard.Effects
	otherLine *timeline
	runs      int
	first     int64
	last      int64
	err       error
}

// See implements Watcher.
func (j *journalPlay) See(ev *guard.Event, core *guard.Core, fx *guard.Effects) {
	if j.err != nil {
		return
	}
	if j.line == nil {
		if j.err = j.begin(ev); j.err != nil {
			return
		}
	}
	j.last = max(j.last, ev.Civil)
	j.line.See(ev, core, fx)
	if j.q.Watch != nil {
		j.q.Watch.See(ev, core, fx)
	}
	if j.q.Policy == nil {
		return
	}
	if j.other == nil || j.runs != j.p.Runs {
		if j.err = j.restart(ev.Boot); j.err != nil {
			return
		}
	}
	copied := *ev
	if copied.Kind == guard.EventOrder {
		// Zones are known by their place in the policy; those of another one are others.
		copied.Order.Zone = -1
	}
	j.other.Apply(&copied, &j.otherFx)
	j.otherLine.See(&copied, j.other, &j.otherFx)
}

// begin loads the documents and starts the timelines.
func (j *journalPlay) begin(ev *guard.Event) error {
	s := j.p.start
	cfg, err := loadStored(j.q.Documents, s)
	if err != nil {
		return err
	}
	j.cfg, j.first = cfg, ev.Civil
	motion := Profile{Reaction: cfg.Profile.Motion.Reaction.Total(), DecelMPS2: cfg.Profile.Motion.DecelMPS2}
	j.line = newTimeline(ev.Boot, motion)
	j.otherLine = newTimeline(ev.Boot, motion)
	return nil
}

func (j *journalPlay) restart(boot time.Duration) error {
	j.runs = j.p.Runs
	cfg := *j.cfg
	cfg.Policy = j.q.Policy
	cfg.Deployment = &config.Deployment{Serial: j.p.start.Serial}
	params, err := guard.NewParams(&cfg, j.p.start.Node, j.p.start.Floor)
	if err != nil {
		return err
	}
	j.other, err = guard.NewCore(params, guard.Start{Boot: boot})
	return err
}

func (j *journalPlay) finish(records uint64) {
	r, cfg := j.report, j.cfg
	r.Robot, r.Profile, r.Policy, r.Revision, r.Config = j.p.start.Serial, cfg.Profile.ID, cfg.Policy.ID, cfg.Policy.Revision, cfg
	r.From, r.To = time.Unix(0, j.first), time.Unix(0, j.last)
	if zone := cfg.Policy.Timezone.Location; zone != nil {
		r.From, r.To = r.From.In(zone), r.To.In(zone)
	}
	r.DurationS = r.To.Sub(r.From).Seconds()
	r.Files = []FileReport{{Name: j.q.Folder, Messages: records}}
	r.Events, r.Digest = uint64(j.p.Events), fmt.Sprintf("%016x", j.p.Digest) //nolint:gosec // a count
	r.Checked = j.p.Checked()
	r.Timeline = j.line.finish()
	r.Summary = summarise(r.Timeline)
	if j.p.Skipped > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d events lie before the first snapshot or in a gap and cannot be replayed", j.p.Skipped))
	}
	if j.q.Policy == nil {
		return
	}
	// What was asked about is the new policy; the recorded one is what it is compared with.
	old, now := r.Timeline, j.otherLine.finish()
	r.Against = compare(old, now)
	r.Against.Policy, r.Against.Revision = cfg.Policy.ID, cfg.Policy.Revision
	r.Policy, r.Revision = j.q.Policy.ID, j.q.Policy.Revision
	r.Timeline, r.Summary = now, summarise(now)
	r.Digest = fmt.Sprintf("%016x", j.otherFx.Digest)
	changed := *cfg
	changed.Policy = j.q.Policy
	r.Config = &changed
	r.Assumed = append(r.Assumed, "the robot as it moved under the recorded policy: it did not hear the other one")
}

// errUnsaid means that the record which says what was decided by has been lost.
var errUnsaid = errors.New("the journal does not say which documents were in force")

// loadStored loads the documents of a run from where the guard keeps them.
func loadStored(folder string, s Start) (*config.Config, error) {
	var files []string
	for _, digest := range []string{s.Profile, s.Topics, s.Policy} {
		if digest == "" {
			return nil, errUnsaid
		}
		files = append(files, filepath.Join(folder, strings.TrimPrefix(digest, "sha256:")+".yaml"))
	}
	return config.Load(nil, files...)
}
