package attest

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"
)

const (
	// maxMessage is the largest message that is read: the largest log in base64 and what is around it.
	maxMessage   = 1 << 20
	keepAlive    = 10 * time.Second
	ioTimeout    = 5 * time.Second
	lastBackoff  = 30 * time.Second
	firstBackoff = 500 * time.Millisecond
	quality      = 1 // MQTT's "at least once"
	// maxUnconfirmed is how many answers the broker may leave unconfirmed before the next one waits.
	maxUnconfirmed = 64
)

// link is the connection to the MQTT broker: answers go out on it, and messages come in unless another source brings them.
type link struct {
	filters map[string]byte // What is subscribed to; nothing is if another source brings messages.
	in      *inbox
	log     zerolog.Logger
	client  mqtt.Client
	ups     atomic.Int64 // How often the connection was made.
	sent    []sent       // What the broker has not confirmed yet, oldest first.
}

// sent is one answer on its way.
type sent struct {
	topic string
	token mqtt.Token
}

func newLink(ctx context.Context, brokers []*url.URL, clientID string, config *tls.Config, in *inbox, log zerolog.Logger) *link {
	l := &link{in: in, log: log}
	o := mqtt.NewClientOptions().SetClientID(clientID).SetTLSConfig(config)
	for _, u := range brokers {
		o.AddBroker(u.String())
	}
	// A clean session: what was asked while nobody listened has run out, and robots ask again.
	o.SetCleanSession(true).SetOrderMatters(true).SetAutoReconnect(true).SetMaxReconnectInterval(lastBackoff)
	o.SetKeepAlive(keepAlive).SetPingTimeout(ioTimeout).SetWriteTimeout(ioTimeout).SetConnectTimeout(ioTimeout)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.receive(m) })
	o.SetOnConnectHandler(func(mqtt.Client) {
		l.ups.Add(1)
		in.wake()
	})
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { log.Warn().Err(err).Msg("broker lost") })
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		secure := config.Clone()
		secure.ServerName = u.Hostname()
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: ioTimeout}, Config: secure}
		dialling, cancel := context.WithTimeout(ctx, ioTimeout)
		defer cancel()
		conn, err := d.DialContext(dialling, "tcp", u.Host)
		if err != nil {
			return nil, err
		}
		return &limited{Conn: conn}, nil
	})
	l.client = mqtt.NewClient(o)
	return l
}

// dial makes the first connection; later ones are the library's.
func (l *link) dial(ctx context.Context) {
	for backoff := firstBackoff; ctx.Err() == nil; backoff = min(2*backoff, lastBackoff) {
		token := l.client.Connect()
		select {
		case <-token.Done():
		case <-ctx.Done():
			return
		}
		if token.Error() == nil {
			return
		}
		l.log.Warn().Err(token.Error()).Msg("broker not reached")
		wait := time.NewTimer(backoff)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// connection numbers the connection that there is, 0 without one. A broker may have forgotten the session, so what is
// subscribed to on one connection is subscribed to on the next one again.
func (l *link) connection() int64 {
	if !l.client.IsConnectionOpen() {
		return 0
	}
	return l.ups.Load()
}

// join implements source.
func (l *link) join() error {
	token := l.client.SubscribeMultiple(l.filters, nil)
	go func() {
		granted, ok := token.(*mqtt.SubscribeToken)
		if !token.WaitTimeout(ioTimeout) || token.Error() != nil || !ok {
			l.log.Warn().Err(token.Error()).Msg("subscription not confirmed")
			return
		}
		for topic, code := range granted.Result() {
			if code > 2 {
				l.log.Error().Str("topic", topic).Msg("the broker refuses the subscription; let the verifier's certificate read this topic")
			}
		}
		l.log.Info().Msg("connected")
	}()
	return nil
}

// leave implements source.
func (l *link) leave() {
	topics := make([]string, 0, len(l.filters))
	for t := range l.filters {
		topics = append(topics, t)
	}
	l.client.Unsubscribe(topics...) // What comes meanwhile is taken in as before.
}

// receive takes a message from the library's goroutine, and never keeps it waiting.
func (l *link) receive(m mqtt.Message) {
	if m.Retained() || len(m.Payload()) > maxMessage {
		l.in.drop() // Nobody retains these: what is retained is a replay.
		return
	}
	l.in.put(message{m.Topic(), m.Payload()}, time.Now())
}

// publish sends an answer. If it is lost, the robot asks again. A broker that confirms nothing is waited for once there is
// too much on its way.
func (l *link) publish(topic string, payload []byte, retained bool) {
	l.sent = append(l.sent, sent{topic, l.client.Publish(topic, quality, retained, payload)})
	for len(l.sent) > 0 {
		first := l.sent[0]
		select {
		case <-first.token.Done():
		default:
			if len(l.sent) <= maxUnconfirmed {
				return
			}
			first.token.WaitTimeout(ioTimeout)
		}
		if err := first.token.Error(); err != nil {
			l.log.Warn().Err(err).Str("topic", first.topic).Msg("the broker has not taken the answer")
		}
		l.sent = l.sent[1:]
	}
}
