package cli

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// logQueue takes log lines without ever waiting for whoever reads them: a journald that stands still must not hold the
// goroutine that logs. What does not fit is dropped and counted.
type logQueue struct {
	lines   chan []byte
	dropped atomic.Uint64
	pool    sync.Pool
	done    chan struct{}
}

const queuedLines = 1024

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{lines: make(chan []byte, queuedLines), done: make(chan struct{})}
	go q.drain(w)
	return q
}

// Write queues one line; it never fails and never blocks.
func (q *logQueue) Write(line []byte) (int, error) {
	buf, _ := q.pool.Get().([]byte)
	buf = append(buf[:0], line...)
	select {
	case q.lines <- buf:
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

func (q *logQueue) drain(w io.Writer) {
	defer close(q.done)
	for line := range q.lines {
		_, _ = w.Write(line)
		q.pool.Put(line[:0]) //nolint:staticcheck // a slice header is small beside the line it saves
		if n := q.dropped.Swap(0); n > 0 {
			_, _ = fmt.Fprintf(w, `{"level":"warn","dropped":%d,"message":"log lines were dropped; the reader of stdout is too slow"}`+"\n", n)
		}
	}
}

// close writes what is queued and ends the queue. Nothing may be written afterwards.
func (q *logQueue) close() {
	close(q.lines)
	<-q.done
}
