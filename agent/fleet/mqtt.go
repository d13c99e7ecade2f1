package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"
)

// Broker says where the robots' messages come from.
type Broker struct {
	// URL is the broker's address, such as tls://broker.example:8883.
	URL string
	// TLS holds the client certificate and who may vouch for the broker. TLS 1.3 is demanded whatever it says.
	TLS *tls.Config
	// ClientID names the consumer's session at the broker. It must stay the same, and be nobody else's.
	ClientID string
	// Log is told when the connection comes and goes.
	Log zerolog.Logger
}

const (
	commitEvery  = 50 * time.Millisecond
	tickEvery    = time.Second
	keepAlive    = 10 * time.Second
	ioTimeout    = 5 * time.Second
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 10 * time.Second
	longestWait  = 2 * time.Second
	queueLength  = 64
	commitAfter  = 512
	maxUnacked   = 1024
	quality      = 1 // MQTT's "at least once"
)

// Run takes what the broker has for the consumer until ctx ends, and publishes the acknowledgements. It returns
// early only when the consumer's key cannot sign.
func Run(ctx context.Context, b Broker, c *Consumer) error {
	l := &link{b: b, c: c, in: make(chan mqtt.Message, queueLength), up: make(chan struct{}, 1), ended: ctx.Done()}
	u, err := url.Parse(b.URL)
	if err != nil || u.Scheme != "tls" || u.Port() == "" {
		return fmt.Errorf("fleet: broker %q: expected tls://host:port", b.URL)
	}
	client := mqtt.NewClient(l.options(ctx, u))
	defer client.Disconnect(250)
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		l.dial(ctx, client)
	}()
	defer func() { <-dialled }()
	return l.serve(ctx, client)
}

// link joins a consumer and a broker.
type link struct {
	b       Broker
	c       *Consumer
	in      chan mqtt.Message
	up      chan struct{}
	ended   <-chan struct{}
	dropped atomic.Int64
	sent    []mqtt.Token
}

func (l *link) options(ctx context.Context, u *url.URL) *mqtt.ClientOptions {
	config := l.b.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	o := mqtt.NewClientOptions().AddBroker(u.String()).SetClientID(l.b.ClientID).SetTLSConfig(config)
	// The broker need not keep anything for the consumer: what is not acknowledged with a signature, the robots send again.
	o.SetCleanSession(true).SetOrderMatters(true)
	o.SetAutoReconnect(true).SetMaxReconnectInterval(lastBackoff)
	o.SetKeepAlive(keepAlive).SetPingTimeout(ioTimeout).SetWriteTimeout(ioTimeout).SetConnectTimeout(ioTimeout)
	o.SetDefaultPublishHandler(l.receive)
	o.SetOnConnectHandler(l.subscribe)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		l.b.Log.Warn().Err(err).Msg("broker lost; the robots keep what is not acknowledged")
	})
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: ioTimeout}, Config: config}
		dialling, cancel := context.WithTimeout(ctx, ioTimeout)
		defer cancel()
		conn, err := d.DialContext(dialling, "tcp", u.Host)
		if err != nil {
			return nil, err
		}
		return &limited{Conn: conn, limit: MaxMessage + 1024}, nil
	})
	return o
}

// dial makes the first connection; later ones are the library's.
func (l *link) dial(ctx context.Context, client mqtt.Client) {
	for backoff := firstBackoff; ctx.Err() == nil; backoff = min(2*backoff, lastBackoff) {
		token := client.Connect()
		select {
		case <-token.Done():
		case <-ctx.Done():
			return
		}
		if token.Error() == nil {
			return
		}
		l.b.Log.Warn().Err(token.Error()).Str("broker", l.b.URL).Msg("broker not reached")
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
	}
}

// subscribe runs on every connection, for a broker may have forgotten the session.
func (l *link) subscribe(client mqtt.Client) {
	topics := map[string]byte{l.c.o.Prefix + "/v1/+/+/event": quality, l.c.o.Prefix + "/v1/+/+/connection": quality}
	token := client.SubscribeMultiple(topics, nil)
	go func() {
		if !token.WaitTimeout(ioTimeout) || token.Error() != nil {
			l.b.Log.Warn().Err(token.Error()).Msg("subscription not confirmed")
			return
		}
		s, ok := token.(*mqtt.SubscribeToken)
		if !ok {
			return
		}
		for topic, granted := range s.Result() {
			if granted > 2 {
				l.b.Log.Error().Str("topic", topic).Msg("the broker refuses the subscription; let the consumer's certificate read this topic")
			}
		}
		l.b.Log.Info().Str("broker", l.b.URL).Msg("connected")
	}()
	select {
	case l.up <- struct{}{}:
	default:
	}
}

// receive queues a message. A full queue makes the broker wait, but not for so long that the library takes the connection
// for dead; what is dropped then, the robots send again.
func (l *link) receive(_ mqtt.Client, m mqtt.Message) {
	select {
	case l.in <- m:
		return
	default:
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case l.in <- m:
	case <-timer.C:
		l.dropped.Add(1)
	case <-l.ended:
	}
}

// serve is the consumer's one goroutine.
func (l *link) serve(ctx context.Context, client mqtt.Client) error {
	commit, tick := time.NewTicker(commitEvery), time.NewTicker(tickEvery)
	defer commit.Stop()
	defer tick.Stop()
	taken := 0
	for {
		select {
		case <-ctx.Done():
			_, err := l.c.Commit(time.Now())
			return err
		case m := <-l.in:
			l.c.Take(time.Now(), m.Topic(), m.Payload())
			if taken++; taken < commitAfter {
				continue
			}
		case <-l.up:
			l.c.Reconnected()
			continue
		case now := <-tick.C:
			l.c.Tick(now)
			if n := l.dropped.Swap(0); n > 0 {
				l.b.Log.Warn().Int64("messages", n).Msg("too many messages at once; the robots will send them again")
			}
			continue
		case <-commit.C:
		}
		acknowledgements, err := l.c.Commit(time.Now())
		if err != nil {
			return err
		}
		taken = 0
		l.publish(client, acknowledgements)
	}
}

// publish sends acknowledgements as far as the broker keeps up. What is left out is due again when the robot asks.
func (l *link) publish(client mqtt.Client, list []Message) {
	open := l.sent[:0]
	for _, t := range l.sent {
		select {
		case <-t.Done():
		default:
			open = append(open, t)
		}
	}
	l.sent = open
	for _, m := range list {
		if len(l.sent) >= maxUnacked || !client.IsConnectionOpen() {
			return
		}
		t := client.Publish(m.Topic, quality, false, m.Payload)
		select {
		case <-t.Done():
			if err := t.Error(); err != nil && !errors.Is(err, mqtt.ErrNotConnected) {
				l.b.Log.Warn().Err(err).Msg("acknowledgement not published")
			}
		default:
			l.sent = append(l.sent, t)
		}
	}
}
