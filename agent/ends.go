package agent

import (
	"fmt"
	"sync"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// ends remembers for each zone, trigger and channel when an order that takes something back was issued last. Whoever
// carries orders may deliver them in any order: a grant that was signed before its own revocation and comes after it must not
// count. Subjects are those that the robot has, so there are few. The memory is that of one run; see stale for what an
// earlier run may have known.
type ends struct {
	mu sync.Mutex
	at map[string]end
}

// end is the newest for one subject: when it was issued, and how many came.
type end struct {
	issued time.Time
	n      int
}

// subjects are what a grant, an override or a session is about, empty for other orders.
func subjects(o *order.Order) []string {
	switch {
	case o.Grant != nil && o.Grant.Scope == order.ScopeZone:
		return []string{"zone " + o.Grant.Zone}
	case o.Session != nil:
		return []string{"channel " + o.Session.Channel}
	case o.Override != nil:
		var out []string
		for _, code := range o.Override.Triggers {
			out = append(out, "trigger "+code)
		}
		return out
	}
	return nil
}

// end lets an order take something back, and remembers it if apply says that what it is about exists.
func (e *ends) end(o *order.Order, apply func() (known bool)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !apply() {
		return
	}
	if e.at == nil {
		e.at = map[string]end{}
	}
	for _, s := range subjects(o) {
		x := e.at[s]
		if x.n++; o.NotBefore.After(x.issued) {
			x.issued = o.NotBefore
		}
		e.at[s] = x
	}
}

// count is how many ends have come for what the order is about.
func (e *ends) count(o *order.Order) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counted(o)
}

func (e *ends) counted(o *order.Order) int {
	n := 0
	for _, s := range subjects(o) {
		n += e.at[s].n
	}
	return n
}

// begin lets an order take effect, unless one that takes back the same was issued no earlier or has come since there were
// so many. The times of orders are whole seconds; within one, the end counts.
func (e *ends) begin(o *order.Order, since int, apply func()) (overtaken string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range subjects(o) {
		if x := e.at[s]; x.n > 0 && !o.NotBefore.After(x.issued) {
			return fmt.Sprintf("an order for %s that takes it back was issued at %s, this one is from %s; sign it again",
				s, x.issued.Format(time.RFC3339), o.NotBefore.Format(time.RFC3339))
		}
	}
	if e.counted(o) != since {
		// An end that came while this one waited for the disk was meant for it, too.
		return "an order that takes the same back came before this one was durable; sign it again"
	}
	apply()
	return ""
}

// stale says whether an order may have been taken back in an earlier run of the guard in this boot, which nobody remembers:
// it is bound to the boot alone, and was issued before this run began. up is for how long this run has lasted.
func stale(o *order.Order, times order.Times, up time.Duration) bool {
	return len(subjects(o)) > 0 && o.Binding.Nonce == "" && !o.NotBefore.After(times.Civil.Add(times.Uncertainty-up))
}
