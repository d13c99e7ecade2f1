package rtps

import (
	"sync"
)

// maxEvents bounds the events that wait to be told, while a callback does not return.
const maxEvents = 1024

// news is one thing to tell: an event, or that a match is to be asked about or has ended.
type news struct {
	event  *Event
	match  *match
	outlet *outlet
}

// teller calls the callbacks, one after the other, in order, on one goroutine that holds no lock. Its queue is bounded: of
// events by maxEvents, of matches by full.
type teller struct {
	p *Participant

	mu      sync.Mutex
	queue   []news
	events  int
	lost    uint64
	stopped bool
	wake    chan struct{}
}

func newTeller(p *Participant) *teller { return &teller{p: p, wake: make(chan struct{}, 1)} }

func (t *teller) add(n news) {
	t.mu.Lock()
	t.queue = append(t.queue, n)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// event queues an event, or counts it if too many wait.
func (t *teller) event(e *Event) {
	t.mu.Lock()
	if t.events >= maxEvents {
		t.lost += 1 + e.Suppressed
		t.mu.Unlock()
		return
	}
	t.events++
	e.Suppressed += t.lost
	t.lost = 0
	t.mu.Unlock()
	t.add(news{event: e})
}

// full tells that too much waits to be told, since a callback does not return; then nothing more is matched.
func (t *teller) full() bool {
	const most = 16 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) >= most
}

// stop ends run after what waits has been told.
func (t *teller) stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.add(news{})
}

func (t *teller) run() {
	var batch []news
	for range t.wake {
		t.mu.Lock()
		batch, t.queue = t.queue, batch[:0]
		stopped := t.stopped
		t.mu.Unlock()
		for i := range batch {
			t.tell(&batch[i])
			batch[i] = news{}
		}
		if stopped {
			return
		}
	}
}

func (t *teller) tell(n *news) {
	switch {
	case n.event != nil:
		t.mu.Lock()
		t.events--
		t.mu.Unlock()
		t.p.cfg.OnEvent(n.event)
	case n.match != nil:
		t.p.tellMatch(n.match)
	case n.outlet != nil:
		t.p.tellOutlet(n.outlet)
	}
}
