package agent

import (
	"sync"

	"github.com/robowarden/robowarden/attest/order"
)

// ledger is the record of used orders, with one difference to the store: nobody who judges what may tighten waits for the
// disk. The store is locked while it writes, and a disk can take seconds for that, or for ever.
type ledger struct {
	store *order.Store
	mu    sync.RWMutex // held for writing while the store may write
}

// Check implements [order.Ledger]. While the store is busy, a stop counts as new: at worst an old one stops the robot
// again. So does each kind of which some orders tighten: those do at worst what they did before, and those that loosen are
// checked again when they are used up, before they take effect.
func (l *ledger) Check(now order.Times, c order.Claim) (repeat bool, err error) {
	switch c.Kind {
	case order.KindStop, order.KindAttestationResult, order.KindGrant, order.KindOverride, order.KindSession, order.KindHalt:
		if !l.mu.TryRLock() {
			return false, nil
		}
	default:
		l.mu.RLock()
	}
	defer l.mu.RUnlock()
	return l.store.Check(now, c)
}

// Floor implements [order.Ledger].
func (l *ledger) Floor(k order.Kind) (order.Floor, bool) { return l.store.Floor(k) }

// Commit uses up a verified order and returns once that is durable.
func (l *ledger) Commit(now order.Times, v *order.Verified) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.store.Commit(now, v)
}
