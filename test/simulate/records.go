package simulate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/agent/journal"
)

// records is the guard's journal, and what it was given.
type records struct {
	log      *journal.Log
	dir      string
	end      context.CancelFunc
	done     chan error
	given    uint64
	refused  uint64
	disk     *badDisk
	accepted [256]uint64
}

// badDisk is the operating system's file system, which fails on request.
type badDisk struct {
	journal.FS
	broken atomic.Bool
}

var errDisk = errors.New("the disk fails")

// OpenFile is journal.FS's.
func (d *badDisk) OpenFile(path string, flag int, perm fs.FileMode) (journal.File, error) {
	if d.broken.Load() {
		return nil, errDisk
	}
	f, err := d.FS.OpenFile(path, flag, perm)
	return badFile{f, d}, err
}

type badFile struct {
	journal.File
	disk *badDisk
}

// WriteAt is journal.File's.
func (f badFile) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.broken.Load() {
		return 0, errDisk
	}
	return f.File.WriteAt(b, at)
}

// Sync is journal.File's. What it promises is for power cuts, of which there are none here; and waiting for a real disk would be most of a day.
func (f badFile) Sync() error {
	if f.disk.broken.Load() {
		return errDisk
	}
	return nil
}

// openRecords begins a journal.
func (k *Walker) openRecords() {
	k.tb.Helper()
	dir, err := os.MkdirTemp(k.tb.TempDir(), "journal")
	if err != nil {
		k.tb.Fatal(err)
	}
	r := &records{dir: dir, done: make(chan error, 1), disk: &badDisk{FS: journal.OS()}}
	o := journal.DefaultOptions([16]byte{1}, k.now())
	o.FS, o.RingBytes, o.QuotaBytes = r.disk, 16<<20, 1<<30
	if r.log, err = journal.Open(dir, o); err != nil {
		k.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.end = cancel
	go func() { r.done <- r.log.Run(ctx) }()
	k.records = r
}

// now is the world's clock for the journal's own goroutine.
func (k *Walker) now() func() time.Duration {
	begun := time.Now()
	return func() time.Duration { return time.Since(begun) }
}

// Append is guard.Recorder's.
func (k *Walker) Append(kind uint8, boot time.Duration, payload []byte, urgent bool) (uint64, bool) {
	r := k.records
	seq, ok := r.log.Append(journal.Kind(kind), boot, payload, urgent)
	r.given++
	if ok {
		r.accepted[kind]++
	} else {
		r.refused++
	}
	return seq, ok
}

// CloseRecords ends the journal and says what is wrong with it: every record that was accepted is in it, in an unbroken chain, and
// every other one is counted as lost.
func (k *Walker) CloseRecords() (kept, lost uint64, err error) {
	r := k.records
	r.disk.broken.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = r.log.Sync(ctx)
	r.end()
	err = errors.Join(err, <-r.done, r.log.Close(ctx))
	if err != nil {
		return 0, 0, err
	}
	rep, err := journal.Verify(r.dir)
	if err != nil {
		return 0, 0, err
	}
	if len(rep.Problems) > 0 || rep.Lost != r.refused {
		return rep.Records, rep.Lost, fmt.Errorf("%d problems, the first %v; %d records refused, %d said to be lost", len(rep.Problems), first(rep.Problems), r.refused, rep.Lost)
	}
	in, err := journal.OpenDir(r.dir)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = in.Close() }()
	var found [256]uint64
	for rec, err := range in.All() {
		if err != nil {
			return 0, 0, err
		}
		if !rec.Kind.Reserved() {
			found[rec.Kind]++
			kept++
		}
	}
	if found != r.accepted {
		return kept, rep.Lost, fmt.Errorf("records by kind: accepted %v, found %v", sums(&r.accepted), sums(&found))
	}
	return kept, rep.Lost, os.RemoveAll(r.dir)
}

func first(p []*journal.Error) string {
	if len(p) == 0 {
		return "none"
	}
	return p[0].Error()
}

func sums(n *[256]uint64) string {
	var b strings.Builder
	for kind, v := range n {
		if v > 0 {
			fmt.Fprintf(&b, "%d:%d ", kind, v)
		}
	}
	return b.String()
}
