package sim

import "container/heap"

// event is a call at a tick; equal ticks run in the order they were pushed.
type event struct {
	tick, seq int64
	call      func()
}

type events []event

// Len is heap.Interface's.
func (e events) Len() int { return len(e) }

// Less is heap.Interface's.
func (e events) Less(i, j int) bool {
	return e[i].tick < e[j].tick || (e[i].tick == e[j].tick && e[i].seq < e[j].seq)
}

// Swap is heap.Interface's.
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is heap.Interface's.
func (e *events) Push(x any) { *e = append(*e, x.(event)) } //nolint:errcheck // only queue.push calls it

// Pop is heap.Interface's.
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// queue is what will happen, ordered by time and then by when it was decided.
type queue struct {
	events events
	seq    int64
}

func (q *queue) push(tick int64, f func()) {
	q.seq++
	heap.Push(&q.events, event{tick: tick, seq: q.seq, call: f})
}

// due takes the first call at or before tick, or nil.
func (q *queue) due(tick int64) func() {
	if len(q.events) == 0 || q.events[0].tick > tick {
		return nil
	}
	return heap.Pop(&q.events).(event).call //nolint:errcheck // only events are pushed
}
