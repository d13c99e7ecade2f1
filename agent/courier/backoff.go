package courier

import "time"

// backoff paces attempts: each wait is twice the one before, up to a cap, and a random half of it is left out, so that a
// fleet that lost its broker together does not come back together.
type backoff struct {
	first, most time.Duration
	random      func() float64 // [0, 1)
	next        time.Duration
}

// wait is how long to wait before the next attempt.
func (b *backoff) wait() time.Duration {
	d := min(max(b.next, b.first), b.most)
	b.next = min(2*d, b.most)
	return d/2 + time.Duration(b.random()*float64(d/2))
}

// reset starts over after a success.
func (b *backoff) reset() { b.next = 0 }

// bucket caps how much is sent. What is urgent may go into debt, and everything else waits until it is paid.
type bucket struct {
	rate  float64 // bytes a second
	depth float64 // bytes that may be saved up
	level float64
	at    time.Duration
}

func newBucket(rate int, now time.Duration) bucket {
	// A second's worth, so that the cap holds over any few seconds, and room for one ordinary batch on the slowest link.
	depth := max(float64(rate), batchBytes)
	return bucket{rate: float64(rate), depth: depth, level: depth, at: now}
}

// ready is how long to wait until something may be sent; 0 means now.
func (b *bucket) ready(now time.Duration) time.Duration {
	b.level = min(b.depth, b.level+(now-b.at).Seconds()*b.rate)
	b.at = now
	if b.level > 0 {
		return 0
	}
	return time.Duration((1 - b.level) / b.rate * float64(time.Second))
}

// take pays for n bytes.
func (b *bucket) take(n int) { b.level -= float64(n) }
