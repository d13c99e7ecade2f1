package verifier

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// exchange is what is going on with one robot.
type exchange struct {
	hellos, parts bucket
	open          []*opened // Oldest first.
	spent         []string  // Answered nonces, oldest first.
	made          uint64    // When the last challenge was made, in ms: no two are made at once.
}

// opened is one open challenge.
type opened struct {
	challenge *order.Challenge
	made      uint64            // When, in ms since 1970.
	logs      map[string]string // Digests from the hello, by name.
	pending   []byte            // Evidence that waits for logs, nil without.
	lacks     map[string]string // Digests of the logs that it waits for, by name.
	again     time.Time         // When it is judged again at the earliest, though they are there.
}

// expire forgets challenges whose time is over, and those of an hour that has not come.
func (x *exchange) expire(now time.Time) {
	x.open = slices.DeleteFunc(x.open, func(o *opened) bool { return !now.Before(o.challenge.NotAfter) || ahead(now, o.made) })
}

// waiting is the newest challenge whose answer waits for logs, nil if there is none.
func (x *exchange) waiting() *opened {
	for _, o := range slices.Backward(x.open) {
		if o.pending != nil {
			return o
		}
	}
	return nil
}

// await remembers a challenge of another process, or of before a restart, while its answer waits for logs.
func (x *exchange) await(o *opened, logs []string) {
	if slices.Contains(x.open, o) {
		return
	}
	o.challenge.Logs = logs
	if len(x.open) == MaxOpen {
		x.open = slices.Delete(x.open, 0, 1)
	}
	x.open = append(x.open, o)
}

// find returns the open challenge with a nonce, or nil.
func (x *exchange) find(nonce string) *opened {
	i := slices.IndexFunc(x.open, func(o *opened) bool { return o.challenge.Nonce == nonce })
	if i < 0 {
		return nil
	}
	return x.open[i]
}

// spend uses a challenge up.
func (x *exchange) spend(nonce string) {
	x.open = slices.DeleteFunc(x.open, func(o *opened) bool { return o.challenge.Nonce == nonce })
	if len(x.spent) == maxSpent {
		x.spent = slices.Delete(x.spent, 0, 1)
	}
	x.spent = append(x.spent, nonce)
}

// bucket lets burst through at once and one more each time.
type bucket struct {
	every time.Duration
	burst int
	full  time.Time // When the bucket is full again.
}

// take takes one, if there is one. A clock that goes back far leaves the bucket as if it were new.
func (b *bucket) take(now time.Time) bool {
	most := b.every * time.Duration(b.burst)
	if b.full.Before(now) || b.full.Sub(now) > most {
		b.full = now
	}
	next := b.full.Add(b.every)
	if next.Sub(now) > most {
		return false
	}
	b.full = next
	return true
}
