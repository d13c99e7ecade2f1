package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Log is one open journal. Append, Health, Head, Sync and MaxPayload may be
// called from any goroutine; Run and Close once.
type Log struct {
	dir     string
	o       Options
	ring    *ring
	base    uint64 // sequence number of the first append
	largest int
	wake    chan struct{}
	stop    chan struct{} // closed by Close, ends Run

	lost    atomic.Uint64
	refused atomic.Uint64
	durable atomic.Uint64 // last durable sequence number
	forced  atomic.Bool   // somebody waits in Sync
	failure atomic.Pointer[error]

	mu      sync.Mutex // never held over I/O
	head    Digest
	waiters []waiter
	running chan struct{} // closed when Run has returned; nil before Run
	closed  bool

	w      *writer
	unlock func() error
}

// waiter is somebody in Sync.
type waiter struct {
	seq  uint64
	done chan struct{}
}

// Open opens or makes the journal in dir and recovers it. The caller must run
// [Log.Run] and end with [Log.Close].
//
// A disk that is full or read-only does not stop Open as long as the end of the
// log can be read: repairs are then made by Run once they are possible, and
// Health says what fails.
func Open(dir string, o Options) (*Log, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	dir = filepath.Clean(dir)
	if err := ensureDir(o.FS, dir); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	unlock, err := o.FS.Lock(dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", dir, err)
	}
	l := &Log{
		dir: dir, o: o, ring: newRing(o.RingBytes), unlock: unlock,
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	l.largest = o.maxPayload(len(l.ring.buf))
	if l.w, err = recoverLog(l); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), unlock())
	}
	l.durable.Store(l.w.done.next - 1)
	l.head = l.w.done.sum
	l.w.attempt(true)
	for i := range l.w.notes {
		l.put(KindRecovered, o.Clock(), l.w.notes[i].append(nil), true, true)
		l.w.attempt(true)
	}
	return l, nil
}

// ensureDir makes dir, private to its owner, if it is not there.
func ensureDir(fsys FS, dir string) error {
	if _, err := fsys.List(dir); err == nil {
		return nil
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(dir))
}

// Append copies a record into the ring. It never waits and never allocates. If
// the ring is full, ok is false and the record is lost, but its number is
// spent: a gap record will say so. Urgent records are synced at once. boot is
// the boot clock when the thing happened that is recorded.
//
// Reserved kinds and payloads above [Log.MaxPayload] are refused the same way.
// After Close nothing is taken, and seq is 0.
//
// A sequence number names a record for good only together with the boot id,
// and only when it is durable: what a kill destroys in memory, the next
// process numbers anew.
func (l *Log) Append(kind Kind, boot time.Duration, payload []byte, urgent bool) (seq uint64, ok bool) {
	fits := !kind.Reserved() && len(payload) <= l.largest
	if !fits {
		l.refused.Add(1)
	}
	return l.put(kind, boot, payload, urgent, fits)
}

// put is Append for all kinds.
func (l *Log) put(kind Kind, boot time.Duration, payload []byte, urgent, fits bool) (uint64, bool) {
	var flags byte
	if urgent {
		flags = flagUrgent
	}
	n, used, res := l.ring.put(l.base, kind, flags, boot, payload, fits)
	if res != putStored {
		l.lost.Add(1)
	}
	if res == putClosed {
		return 0, false
	}
	if urgent || used > l.ring.granules/2 {
		l.poke()
	}
	return l.base + n, res == putStored
}

// poke wakes the writer without waiting for it.
func (l *Log) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// MaxPayload is the largest payload in bytes that this log takes.
func (l *Log) MaxPayload() int { return l.largest }

// Health is the state of a log at one moment.
type Health struct {
	// Writable is false from the first failure of the disk until a write has succeeded again.
	Writable bool
	// Err is the last failure while Writable is false.
	Err error
	// Lost counts records lost since Open because the ring was full, refused ones included.
	Lost uint64
	// Refused counts records that were lost because of their kind or size: a fault of the caller.
	Refused uint64
	// DurableSeq is the last sequence number known to be on the disk.
	DurableSeq uint64
	// RingUsed and RingBytes are the fill and the size of the ring.
	RingUsed, RingBytes int
}

// Health returns the state. It reads atomics only and never waits.
func (l *Log) Health() Health {
	h := Health{
		Writable: true, Lost: l.lost.Load(), Refused: l.refused.Load(),
		DurableSeq: l.durable.Load(), RingUsed: l.ring.used(), RingBytes: len(l.ring.buf),
	}
	if p := l.failure.Load(); p != nil {
		h.Writable, h.Err = false, *p
	}
	return h
}

// Head returns the last durable sequence number and the chain value there. A
// head is never taken back; signed elsewhere, it proves the log up to it.
func (l *Log) Head() (seq uint64, digest Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.Load(), l.head
}

// Sync returns when everything appended before the call is on the disk, or
// with the reason why it is not when ctx ends.
func (l *Log) Sync(ctx context.Context) error {
	count, _ := l.ring.tail()
	target := l.base + count - 1
	l.mu.Lock()
	if l.durable.Load() >= target {
		l.mu.Unlock()
		return nil
	}
	if l.closed {
		l.mu.Unlock()
		return fmt.Errorf("journal: sync: %w", ErrClosed)
	}
	done := make(chan struct{})
	l.waiters = append(l.waiters, waiter{target, done})
	l.forced.Store(true)
	l.mu.Unlock()
	l.poke()
	select {
	case <-done:
		if l.durable.Load() < target {
			return fmt.Errorf("journal: sync: %w", ErrClosed)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("journal: sync: record %d is not on the disk, %d is: %w", target, l.durable.Load(), l.because(ctx))
	}
}

// because joins the context's error with what keeps the writer from writing.
func (l *Log) because(ctx context.Context) error {
	if h := l.Health(); h.Err != nil {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), h.Err)
	}
	return context.Cause(ctx)
}

// advance publishes that everything up to seq is durable and wakes who waited for it.
func (l *Log) advance(seq uint64, head Digest, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable.Store(seq)
	l.head = head
	l.closed = l.closed || closed
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		if closed || w.seq <= seq {
			close(w.done)
		} else {
			kept = append(kept, w)
		}
	}
	l.waiters = kept
	l.forced.Store(len(kept) > 0)
}

// Run writes what is appended until ctx ends or Close is called. It returns an
// error only when it is not the first call; a failing disk is reported by Health,
// OnError and the log, and tried again.
func (l *Log) Run(ctx context.Context) error {
	done := make(chan struct{})
	l.mu.Lock()
	if l.closed || l.running != nil {
		again := l.running != nil
		l.mu.Unlock()
		if again {
			return errors.New("journal: run: it runs already, or has run")
		}
		return nil
	}
	l.running = done
	l.mu.Unlock()
	defer close(done)
	timer := time.NewTimer(l.o.WriteEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			l.w.attempt(true)
			return nil
		case <-l.stop:
			return nil
		case <-l.wake:
			if l.w.waiting() {
				continue // the disk failed a moment ago: the timer decides
			}
		case <-timer.C:
		}
		timer.Reset(l.w.attempt(l.forced.Load()))
	}
}

// Close takes no more records, writes what is in the ring and a close record,
// and releases the directory. If the disk does not let it finish before ctx
// ends, it says what was not written.
func (l *Log) Close(ctx context.Context) error {
	l.ring.close()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	running := l.running
	l.mu.Unlock()
	close(l.stop)
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return fmt.Errorf("journal: close: the writer is stuck in the disk: %w", l.because(ctx))
		}
	}
	err := l.w.finish(ctx)
	l.advance(l.w.done.next-1, l.w.done.sum, true)
	return errors.Join(err, l.unlock())
}
