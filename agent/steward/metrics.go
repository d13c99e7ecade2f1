package steward

import (
	"context"
	"errors"
	"time"

	"github.com/robowarden/robowarden/agent/internal/metrics"
)

// serveMetrics serves metrics and health. A socket that cannot be made is told once and costs nothing else.
func (s *Steward) serveMetrics(ctx context.Context) error {
	if err := metrics.Serve(ctx, s.o.MetricsSocket, s.collect, s.healthy); err != nil {
		s.o.Log.Error().Err(err).Msg("metrics are not served")
		<-ctx.Done()
	}
	return nil
}

func (s *Steward) collect(_ context.Context, m *metrics.Set) {
	st := s.Status()
	h := s.journal.Health()
	found := 0
	for i := range st.Facts {
		if st.Facts[i].Process.Found {
			found++
		}
	}
	m.Gauge("robowarden_steward_connected", "Whether the guard listens.", number(st.Connected))
	m.Counter("robowarden_steward_rounds_total", "Looks at all of the guard's connections.", st.Rounds)
	m.Counter("robowarden_steward_sent_total", "Answers that the guard took.", st.Sent)
	m.Counter("robowarden_steward_suppressed_total", "Changes not written to the journal because there were too many.", st.Suppressed)
	m.Gauge("robowarden_steward_connections", "Connections that the guard has.", float64(len(st.Facts)))
	m.Gauge("robowarden_steward_processes_found", "Connections whose process is known.", float64(found))
	m.Gauge("robowarden_steward_journal_writable", "Whether the steward's journal can be written.", number(h.Writable))
	m.Counter("robowarden_steward_journal_lost_total", "Records that did not fit into the journal's memory.", h.Lost)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// healthy says what is wrong: no guard, a loop that stands still, or a journal that cannot be written.
func (s *Steward) healthy(ctx context.Context) error {
	if !s.link.Load() {
		return errors.New("the guard does not listen")
	}
	before := s.Progress()
	wait := time.NewTimer(min(2*max(s.o.Period, mostPause), 3*time.Second))
	defer wait.Stop()
	look := time.NewTicker(shortest)
	defer look.Stop()
	for s.Progress() == before {
		select {
		case <-ctx.Done():
			return errors.New("the loop stands still")
		case <-wait.C:
			return errors.New("the loop stands still")
		case <-look.C:
		}
	}
	if h := s.journal.Health(); !h.Writable {
		return errors.New("the journal cannot be written")
	}
	return nil
}
