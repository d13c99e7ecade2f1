package agent

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// health looks at what the guard cannot see by itself: the clock's state and the journal's.
func (a *Agent) health(ctx context.Context) error {
	const period = 250 * time.Millisecond
	t := time.NewTicker(period)
	defer t.Stop()
	var lost, seq uint64
	told := false
	for n := 0; ; n++ {
		if n%4 == 0 {
			a.tellMeans()
			told = told || a.tellOverdue()
		}
		trust := a.trust.judge(a.clock.Sync(), a.clock.Boot(), a.clock.Civil())
		a.guard.SetTrust(trust)
		h := a.journal.Health()
		a.guard.SetJournal(journalState(&h, lost))
		lost = h.Lost
		if trust == 2 {
			a.newest.Store(a.trust.floor)
		}
		if n%4 == 0 && a.bus.diag != nil {
			seq++
			_, _ = a.bus.diag.PublishDiagnostics(seq, a.clock.Civil(), a.diagnostics())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// journalState says how the journal is; lost is how many records it had lost when it was looked at before. A disk that hangs gives
// no error: what is lost meanwhile tells.
func journalState(h *journal.Health, lost uint64) guard.JournalState {
	switch {
	case h.Writable && h.Lost == lost:
		return guard.JournalOK
	case h.Writable:
		return guard.JournalOverflows
	case errors.Is(h.Err, syscall.ENOSPC), errors.Is(h.Err, syscall.EDQUOT):
		return guard.JournalFull
	case errors.Is(h.Err, syscall.EROFS):
		return guard.JournalReadOnly
	}
	return guard.JournalFailing
}

// tellMeans tells the core what the guard has left of its computer.
func (a *Agent) tellMeans() {
	m := a.means.Look()
	a.guard.Host(guard.Host{
		DescriptorsKnown: m.DescriptorsKnown, Descriptors: m.Descriptors, DescriptorLimit: m.DescriptorLimit,
		MemoryKnown: m.MemoryKnown, MemoryLeft: m.MemoryLeft, Pause: m.Pause,
	})
}

// tellOverdue says once which inputs have not come in the time that the policy gives a start.
func (a *Agent) tellOverdue() bool {
	var overdue bool
	var missing []string
	a.guard.With(func(c *guard.Core) { overdue, missing = c.Overdue() })
	if overdue {
		a.log.Error().Strs("inputs", missing).Msg("required inputs have not come within the policy's startup.input_timeout; the robot stays held")
	}
	return overdue || len(missing) == 0
}
