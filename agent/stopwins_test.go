package agent

import (
	"testing"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
)

// TestAStopOutlivesAResetThatCameBeforeIt: whatever the reset waits for, a stop that takes effect meanwhile stays. Off, none comes.
func TestAStopOutlivesAResetThatCameBeforeIt(t *testing.T) {
	for name, c := range map[string]struct {
		nonce string
		// hold keeps the reset from its effect until it is let go.
		hold func(o *office) (await, letGo func())
		// waits is true where the reset waits for the proof of the record once it is let go.
		waits bool
	}{
		"the disk hangs": {testNonce, func(o *office) (await, letGo func()) {
			hang, inUse := make(chan struct{}), make(chan struct{})
			o.fs.mu.Lock()
			defer o.fs.mu.Unlock()
			o.fs.hang, o.fs.inUse = hang, inUse
			return func() { <-inUse }, func() { close(hang) }
		}, false},
		"others are before it":                             {testNonce, turnTaken, false},
		"others are before it, and it waits for the proof": {"", turnTaken, true},
	} {
		for _, off := range []bool{false, true} {
			for _, ticks := range []int{0, 5} {
				o := lateOffice(t)
				o.orders.age = diskProven()
				if c.waits {
					o.orders.age = diskUnproven()
				}
				o.orders.apply(o.sign(o.order(order.KindStop), "button"))
				o.tick(ticks)
				await, letGo := c.hold(o)
				done := make(chan Receipt, 1)
				go func() { done <- o.orders.apply(o.sign(bind(o.order(order.KindReset), c.nonce), "olga")) }()
				await()
				if !off {
					o.guard.Order(guard.Order{Kind: guard.OrderStop, Category: 2, Zone: geofence.NoZone})
				}
				o.tick(50)
				letGo()
				r := <-done
				if c.waits {
					if r.Reason != ReasonWaits {
						t.Fatalf("%s: %+v", name, r)
					}
					o.orders.age = diskProven()
					o.orders.goOn()
					r = o.journal.receipts[r.Digest]
				}
				if o.tick(5); o.stopped() == off || r.Applied != off {
					t.Errorf("%s, off %t, after %d ticks: stopped %t, %+v", name, off, ticks, o.stopped(), r)
				}
			}
		}
	}
}

// turnTaken is somebody else's order that is being served; await waits until the next one has come and waits for its turn.
func turnTaken(o *office) (await, letGo func()) {
	if !o.orders.turn.enter() {
		o.t.Fatal("no turn")
	}
	return func() {
		eventually(o.t, "the reset's wait for its turn", func() bool { return o.orders.turn.waiting.Load() > 0 })
	}, o.orders.turn.leave
}
