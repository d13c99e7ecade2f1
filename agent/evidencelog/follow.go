package evidencelog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/robowarden/robowarden/agent/journal"
)

// Record is one evidence record and its place in the chain.
type Record struct {
	// Record is the record as the journal holds it; its Payload is valid until fn returns.
	*journal.Record
	// BootID names the boot of the machine in which the record was written.
	BootID [16]byte
	// Prev is the chain value before the record and Value the one after it.
	Prev, Value Digest
	// Restart is true where the chain value before the record cannot be known, because records that came before in this
	// boot are gone. Prev is then zero, and the chain goes on from there.
	Restart bool
}

// Position is the point of the chain after the record.
func (r *Record) Position() Position {
	return Position{BootID: r.BootID, Seq: r.Seq, Digest: r.Value}
}

// Loss says which sequence numbers can no longer be read, evidence or not.
type Loss struct {
	// BootID names the boot that the numbers belong to, or may belong to.
	BootID [16]byte
	// First and Last are the numbers, both included.
	First, Last uint64
}

// Options says which log to follow and from where.
type Options struct {
	// Dir is the journal's directory and Log the name of the log in it.
	Dir, Log string
	// From are points after which to go on, the best first. The first whose boot the journal still knows counts, so that a
	// boot of which nothing became durable costs no repetition. Without any, Follow starts with the oldest record.
	From []Position
	// Poll is how often to look for more.
	Poll time.Duration
	// Known, if not nil, tells the chain value after a record of which it is known from elsewhere, such as a checkpoint. It
	// is asked only after a restart, and puts the chain right again.
	Known func(*journal.Record) (Digest, bool)
	// Lost, if not nil, is told what can no longer be read, before the record that comes next.
	Lost func(Loss) error
	// Damaged, if not nil, is told once about each damage that is skipped.
	Damaged func(error)
}

// Follow calls fn for the evidence records of a log that another process may be writing, and for new ones as they come,
// until ctx ends or fn or Lost fails. It goes on behind damage and behind what the quota took, and says so. A record may
// be seen before it is durable; then a power cut can take it back, and the next boot gives its number to another one.
func Follow(ctx context.Context, o Options, fn func(*Record) error) error {
	if o.Poll <= 0 {
		return fmt.Errorf("evidence log: Poll: expected a positive duration, found %v", o.Poll)
	}
	w := &walker{o: o, fn: fn}
	if err := w.locate(); err != nil {
		return err
	}
	var told string
	for {
		before := w.from
		err := journal.Follow(ctx, o.Dir, journal.FollowOptions{From: w.from, Poll: o.Poll}, w.step)
		var damage *journal.Error
		switch {
		case w.failed != nil:
			return w.failed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist): // the writer has not started yet
			damage = &journal.Error{Code: journal.CodeMissing}
		case !errors.As(err, &damage):
			return fmt.Errorf("evidence log %s: %w", o.Log, err)
		}
		if err := w.skip(damage); err != nil {
			return err
		}
		if text := damage.Error(); text != told && damage.Code != journal.CodeMissing {
			if told = text; o.Damaged != nil {
				o.Damaged(damage)
			}
		}
		if w.from != before {
			continue
		}
		select { // nothing to go on with yet
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(o.Poll):
		}
	}
}

// walker keeps the chain while the journal is read.
type walker struct {
	o      Options
	fn     func(*Record) error
	from   uint64 // what journal.Follow starts with
	failed error

	begun   bool
	boot    [16]byte
	next    uint64 // the number that has to come
	value   Digest
	unknown bool // value cannot be known
}

// locate finds the number to start with. Numbers are unique in what the journal holds now, but a position may name a
// number of which a power cut has made another record.
func (w *walker) locate() error {
	segments, err := list(w.o.Dir)
	if err != nil {
		return err
	}
	for _, p := range w.o.From {
		last := -1
		for i := range segments {
			if segments[i].BootID == p.BootID {
				last = i
			}
		}
		if last < 0 {
			continue
		}
		w.begun, w.boot, w.value, w.next = true, p.BootID, p.Digest, p.Seq+1
		if last+1 < len(segments) {
			w.next = min(w.next, segments[last+1].FirstSeq)
		}
		break
	}
	w.from = w.next
	return nil
}

// skip goes on behind damage: with the first segment that begins after what was read. The number that has to come stays
// as it is, so that the next record shows what is missing.
func (w *walker) skip(damage *journal.Error) error {
	if damage.Code == journal.CodeMissing {
		w.from = w.next
		return nil
	}
	segments, err := list(w.o.Dir)
	if err != nil {
		return err
	}
	for i := range segments {
		if segments[i].FirstSeq >= w.next && segments[i].FirstSeq > w.from {
			w.from = segments[i].FirstSeq
			return nil
		}
	}
	return nil
}

// step takes one record of the journal.
func (w *walker) step(r *journal.Record) error {
	w.failed = w.take(r)
	return w.failed
}

func (w *walker) take(r *journal.Record) error {
	boot := r.Segment.BootID
	if w.begun && boot == w.boot && r.Seq < w.next {
		// The gap that the position stands on: journals name it by its first number, readers find it by its last.
		w.next = max(w.next, r.LastSeq()+1)
		return nil
	}
	if err := w.account(r, boot); err != nil {
		return err
	}
	w.next = r.LastSeq() + 1
	if !Carries(w.o.Log, r.Kind) {
		return nil
	}
	rec := Record{Record: r, BootID: boot, Prev: w.value, Restart: w.unknown}
	rec.Value = Next(rec.Prev, r.Kind, r.Seq, r.Boot, r.Payload)
	w.value, w.unknown = rec.Value, false
	if rec.Restart && w.o.Known != nil {
		if v, ok := w.o.Known(r); ok {
			rec.Value, w.value = v, v
		}
	}
	return w.fn(&rec)
}

// account notices a new boot and missing numbers.
func (w *walker) account(r *journal.Record, boot [16]byte) error {
	fresh := !w.begun || boot != w.boot
	missing := w.begun && r.Seq > w.next || !w.begun && r.Seq > 1
	old, first := w.boot, max(w.next, 1)
	if fresh {
		w.value, w.unknown = Origin(w.o.Log, boot), false
	}
	if missing {
		w.value, w.unknown = Digest{}, true
	}
	begun := w.begun
	w.begun, w.boot = true, boot
	if !missing || w.o.Lost == nil {
		return nil
	}
	if begun && fresh {
		// Whose numbers they were went with them.
		if err := w.o.Lost(Loss{BootID: old, First: first, Last: r.Seq - 1}); err != nil {
			return err
		}
	}
	return w.o.Lost(Loss{BootID: boot, First: first, Last: r.Seq - 1})
}
