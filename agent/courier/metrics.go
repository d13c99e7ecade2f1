package courier

import (
	"context"
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/agent/internal/metrics"
)

// inspect lets the loop run f. It fails if the loop has something else to do for as long as ctx lasts.
func (l *loop) inspect(ctx context.Context, f func()) error {
	answered := make(chan struct{})
	select {
	case l.asked <- func() { f(); close(answered) }:
		<-answered
		return nil
	case <-l.stopped:
		return errors.New("the courier ends")
	case <-ctx.Done():
		return errors.New("the courier's loop does not answer")
	}
}

// healthy says what is wrong with the courier itself. A broker that is away is not the courier's fault.
func (l *loop) healthy(ctx context.Context) error {
	var wrong error
	if err := l.inspect(ctx, func() {
		if h := l.c.journal.Health(); !h.Writable {
			wrong = fmt.Errorf("the journal is not writable: %w", h.Err)
		} else if l.identity.Load() == nil {
			wrong = errors.New("there is no device key: " + l.keyFault)
		}
	}); err != nil {
		return err
	}
	return wrong
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// collect fills a set with what the loop knows.
func (l *loop) collect(ctx context.Context, s *metrics.Set) {
	if err := l.inspect(ctx, func() { l.fill(s) }); err != nil {
		s.Gauge("robowarden_courier_up", "1 while the courier's loop answers.", 0)
	}
}

func (l *loop) fill(s *metrics.Set) {
	now := l.clock.Boot()
	s.Gauge("robowarden_courier_up", "1 while the courier's loop answers.", 1)
	s.Gauge("robowarden_courier_broker_connected", "1 while there is a connection to the broker.", truth(l.up))
	if !l.up {
		s.Gauge("robowarden_courier_broker_down", "1, with the reason why there is no connection to the broker.", 1, "reason", l.link)
	}
	s.Gauge("robowarden_courier_guard_connected", "1 while there is a connection to the guard.", truth(l.welcome != nil))
	for _, state := range []string{Unattested, Attesting, Attested, Expired, Failed} {
		s.Gauge("robowarden_courier_attestation", "1 for the state that the attestation is in.", truth(l.session.state(now) == state), "state", state)
	}
	if l.session.attested(now) {
		s.Gauge("robowarden_courier_attested_seconds", "How long the accepted result still counts.", (l.session.until - now).Seconds())
	}
	if n := l.net; n != nil {
		s.Counter("robowarden_courier_connects_total", "Attempts to connect to the broker.", n.tried.Load())
		s.Counter("robowarden_courier_received_bytes_total", "Bytes from the broker.", n.read.Load())
		s.Counter("robowarden_courier_sent_bytes_total", "Bytes to the broker.", n.written.Load())
		s.Counter("robowarden_courier_dropped_messages_total", "Messages from the broker that were not looked at: too many, too large, or retained.", n.dropped.Load())
	}
	s.Counter("robowarden_courier_messages_total", "Messages handed to the broker.", l.sentMessages)
	s.Counter("robowarden_courier_records_total", "Records of evidence handed to the broker, repetitions included.", l.sentRecords)
	s.Counter("robowarden_courier_repetitions_total", "How often a log was sent again because no acknowledgement moved.", l.resends)
	s.Counter("robowarden_courier_forks_total", "Acknowledgements of other records than the journal holds.", l.forks)
	s.Counter("robowarden_courier_refused_acknowledgements_total", "Acknowledgements that the guard did not accept.", l.badAcks)
	s.Gauge("robowarden_courier_in_flight", "Messages that the broker has not taken yet.", float64(l.inFlight))
	for _, r := range l.streams {
		if r != nil {
			s.Gauge("robowarden_courier_unacknowledged_records", "Records that are sent and not acknowledged by the consumer.", float64(r.sent), "log", r.log)
		}
	}
	for _, r := range l.streams { // samples of one name stand together
		if r != nil {
			s.Gauge("robowarden_courier_vain_repetitions", "How often a log was sent again since an acknowledgement moved it.", float64(r.vain), "log", r.log)
		}
	}
	if t := l.c.tokens; t != nil {
		t.mu.Lock()
		issued, refused := t.issued, t.refused
		t.mu.Unlock()
		s.Counter("robowarden_courier_tokens_total", "Tokens that programs of the robot got.", issued)
		s.Counter("robowarden_courier_refused_tokens_total", "Requests for a token, and connections, that were refused.", refused)
	}
	h := l.c.journal.Health()
	s.Gauge("robowarden_courier_journal_writable", "1 while the courier's own journal can be written.", truth(h.Writable))
	s.Counter("robowarden_courier_journal_lost_total", "Records that the courier's own journal lost.", h.Lost)
}
