// Package stewardmetrics serves the steward's metrics and health on a unix socket; it is apart from the steward so that the
// role itself links nothing that speaks to a network.
package stewardmetrics

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/internal/metrics"
	"github.com/robowarden/robowarden/agent/steward"
)

// Source is what the steward says about itself.
type Source interface {
	Status() steward.Status
	Healthy(ctx context.Context) error
}

// Serve serves until ctx ends. A socket that cannot be made is told once and costs nothing else.
func Serve(ctx context.Context, path string, s Source, log zerolog.Logger) error {
	err := metrics.Serve(ctx, path, func(_ context.Context, m *metrics.Set) { fill(m, s.Status()) }, s.Healthy)
	if err != nil {
		log.Error().Err(err).Msg("metrics are not served")
		<-ctx.Done()
	}
	return nil
}

func fill(m *metrics.Set, st steward.Status) {
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
	m.Gauge("robowarden_steward_journal_writable", "Whether the steward's journal can be written.", number(st.JournalWritable))
	m.Counter("robowarden_steward_journal_lost_total", "Records that did not fit into the journal's memory.", st.JournalLost)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
