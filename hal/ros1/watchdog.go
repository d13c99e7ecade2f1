package ros1

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watchdogTick is how often streams are held to their deadlines. Setting a timer per message would cost more than
// reading it.
const watchdogTick = 50 * time.Millisecond

// watchdog closes the streams whose peer begins a message and does not end it, or says nothing at all.
type watchdog struct {
	clock   func() time.Duration
	message time.Duration

	mu      sync.Mutex
	streams map[*watched]struct{}
}

// watched is one stream under the watchdog.
type watched struct {
	st   *stream
	idle time.Duration
	// partial and rx are what looked overdue at the last tick. Only what does so twice is: after a pause of this
	// process the bytes may be there and not read yet.
	partial, rx int64
	why         error
}

func (d *watchdog) add(st *stream, idle time.Duration) *watched {
	w := &watched{st: st, idle: idle, partial: -1, rx: -1}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.streams[w] = struct{}{}
	return w
}

// remove ends the watch and tells why the stream was closed, if it was.
func (d *watchdog) remove(w *watched) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.streams, w)
	return w.why
}

func (d *watchdog) run(ctx context.Context) {
	t := time.NewTicker(watchdogTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.tick(d.clock())
		}
	}
}

func (d *watchdog) tick(now time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.streams {
		if w.why == nil {
			w.check(now, d.message)
		}
	}
}

func (w *watched) check(now, message time.Duration) {
	partial, rx := w.st.partialSince.Load(), w.st.lastRx.Load()
	if partial != 0 && now-time.Duration(partial) > message {
		if partial == w.partial {
			w.end(fmt.Errorf("message begun %v ago is not complete; expected within %v: %w",
				(now - time.Duration(partial)).Round(time.Millisecond), message, errOverdue))
			return
		}
		w.partial = partial
	}
	if now-time.Duration(rx) > w.idle {
		if rx == w.rx {
			w.end(fmt.Errorf("nothing received for %v; expected something within %v: %w",
				(now - time.Duration(rx)).Round(time.Millisecond), w.idle, errOverdue))
			return
		}
		w.rx = rx
	}
}

func (w *watched) end(why error) {
	w.why = why
	w.st.conn.Close()
}
