package bus

import (
	"sync"
	"time"
)

// Reporter delivers events, a bounded number of each kind per second, so that a flood of attacks is no flood of work.
type Reporter struct {
	clock func() time.Duration
	sink  func(*Event)
	rate  int

	mu    sync.Mutex
	kinds [EventKinds]struct {
		second     time.Duration
		count      int
		suppressed uint64
	}
}

// NewReporter delivers to sink, which may be nil, at most rate events of a kind per second of clock.
func NewReporter(clock func() time.Duration, sink func(*Event), rate int) *Reporter {
	return &Reporter{clock: clock, sink: sink, rate: rate}
}

// Flush tells of events that were only counted, so that the end of a flood is not lost.
func (r *Reporter) Flush() {
	second := r.clock().Truncate(time.Second)
	for kind := range r.kinds {
		r.mu.Lock()
		k := &r.kinds[kind]
		due := k.suppressed > 0 && k.second != second
		if due {
			k.suppressed-- // the event that tells is one of them
		}
		r.mu.Unlock()
		if due {
			r.Emit(&Event{Kind: EventKind(kind), Detail: "more of the same"})
		}
	}
}

// Emit fills in the time and delivers e, or counts it.
func (r *Reporter) Emit(e *Event) {
	e.Boot = r.clock()
	if r.sink == nil {
		return
	}
	second := e.Boot.Truncate(time.Second)
	r.mu.Lock()
	k := &r.kinds[e.Kind]
	if k.second != second {
		k.second, k.count = second, 0
	}
	if k.count >= r.rate && !e.Kind.Own() {
		k.suppressed++
		r.mu.Unlock()
		return
	}
	k.count++
	e.Suppressed += k.suppressed
	k.suppressed = 0
	r.mu.Unlock()
	r.sink(e)
}
