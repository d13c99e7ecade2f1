package attest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

const (
	// queueMessages and queueBytes bound what the library holds for each subject before it is put into the inbox.
	queueMessages = 1024
	queueBytes    = 16 << 20
)

// queue brings messages from a NATS cluster, whose MQTT listener the robots use: that knows no shared subscriptions, and
// its queue groups divide messages in the same way. Answers go out on the MQTT listener, which retains results and keeps
// what a robot that is away shall have.
type queue struct {
	conn  *nats.Conn
	group string
	in    *inbox
	log   zerolog.Logger
	all   []string // Subjects.
	subs  []*nats.Subscription
}

// newQueue connects to the cluster now, or as soon as one of its nodes answers.
func newQueue(servers []*url.URL, group, prefix string, config *tls.Config, in *inbox, log zerolog.Logger) (*queue, error) {
	q := &queue{group: group, in: in, log: log}
	for _, t := range fromRobots(prefix) {
		q.all = append(q.all, subject(t))
	}
	secure := config.Clone()
	secure.ServerName = "" // Each node has its own.
	list := make([]string, 0, len(servers))
	for _, u := range servers {
		list = append(list, u.String())
	}
	conn, err := nats.Connect(strings.Join(list, ","),
		nats.Name("robowarden verifier of "+group), nats.Secure(secure), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(firstBackoff),
		// What the cluster says about further nodes nobody has signed: those that were named are enough.
		nats.IgnoreDiscoveredServers(), nats.IgnoreAuthErrorAbort(), nats.Timeout(ioTimeout), nats.PingInterval(keepAlive), nats.MaxPingsOutstanding(1), nats.NoEcho(),
		nats.ConnectHandler(func(c *nats.Conn) { log.Info().Str("node", c.ConnectedServerName()).Msg("nats connected") }),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info().Str("node", c.ConnectedServerName()).Msg("nats connected again") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn().Err(err).Msg("nats lost") }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				in.drop()
				return
			}
			e := log.Error().Err(err)
			if s != nil {
				e = e.Str("subject", s.Subject)
			}
			e.Msg("nats; let the verifier's certificate read these subjects")
		}))
	if err != nil {
		return nil, fmt.Errorf("--nats: %w", err)
	}
	q.conn = conn
	return q, nil
}

// join implements source.
func (q *queue) join() error {
	for _, s := range q.all {
		sub, err := q.conn.QueueSubscribe(s, q.group, q.receive)
		if err == nil {
			q.subs = append(q.subs, sub)
			err = sub.SetPendingLimits(queueMessages, queueBytes)
		}
		if err != nil {
			q.leave()
			return fmt.Errorf("nats: %s: %w", s, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), ioTimeout)
	defer cancel()
	if err := q.conn.FlushWithContext(ctx); err != nil {
		q.log.Warn().Err(err).Msg("no node of the cluster has confirmed yet that messages come")
		return nil
	}
	q.log.Info().Str("node", q.conn.ConnectedServerName()).Msg("connected")
	return nil
}

// leave implements source.
func (q *queue) leave() {
	for _, s := range q.subs {
		if err := s.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
			q.log.Warn().Err(err).Str("subject", s.Subject).Msg("nats")
		}
	}
	q.subs = nil
}

func (q *queue) receive(m *nats.Msg) {
	t, ok := topic(m.Subject)
	if !ok || len(m.Data) > maxMessage {
		q.in.drop()
		return
	}
	q.in.put(message{t, m.Data}, time.Now())
}

// subject is what a NATS server makes of an MQTT topic or filter of ours: levels are words, and a dot is two slashes.
// Ours have no empty level.
func subject(topic string) string {
	return strings.NewReplacer("/", ".", ".", "//", "+", "*").Replace(topic)
}

// topic is the MQTT topic of a subject, if there is one that gives this subject.
func topic(s string) (string, bool) {
	t := strings.NewReplacer("//", ".", ".", "/").Replace(s)
	return t, subject(t) == s && !strings.ContainsAny(t, "+#")
}
