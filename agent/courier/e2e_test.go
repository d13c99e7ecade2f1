package courier

import (
	"testing"
)

func TestGuardsJournalReachesTheConsumer(t *testing.T) {
	w := newWorld(t)
	w.guard.record(30)
	w.run()
	until(t, "30 records", func() bool { return w.taken("guard") >= evidenceCount(30) })
	w.guard.record(300)
	until(t, "330 records", func() bool { return w.taken("guard") >= evidenceCount(30)+evidenceCount(300) })
	until(t, "the courier's own records", func() bool { return w.taken("courier") >= 3 })
	w.check()
}
