package simulate

import (
	"math/rand/v2"
	"time"
)

// Link is a connection that delays, holds up and loses commands; what arrives keeps its order, as on TCP.
type Link struct {
	// Delay is the least time on the way, Jitter what may come on top of it.
	Delay, Jitter time.Duration
	// Loss is the chance that a command starts a burst of Burst lost ones.
	Loss  float64
	Burst int
}

// wire is a link in use.
type wire struct {
	Link
	queue []order
	lost  int
	last  time.Duration
}

// send gives the link a command, or loses it.
func (w *wire) send(rng *rand.Rand, now time.Duration, o order) {
	if w.lost == 0 && w.Loss > 0 && rng.Float64() < w.Loss {
		w.lost = w.Burst
	}
	if w.lost > 0 {
		w.lost--
		return
	}
	o.at = now + w.Delay
	if w.Jitter > 0 {
		o.at += time.Duration(rng.Int64N(int64(w.Jitter)))
	}
	o.at = max(o.at, w.last)
	w.last = o.at
	w.queue = append(w.queue, o)
}

// due is when the next command arrives.
func (w *wire) due() (time.Duration, bool) {
	if len(w.queue) == 0 {
		return 0, false
	}
	return w.queue[0].at, true
}

func (w *wire) take() order {
	o := w.queue[0]
	w.queue = w.queue[1:]
	return o
}
