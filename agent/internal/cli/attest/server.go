package attest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

const (
	// maxMessage is the largest message that is read: the largest log in base64 and what is around it.
	maxMessage = 1 << 20
	// queueLength bounds what waits to be judged; robots ask again for what is dropped.
	queueLength  = 256
	keepAlive    = 10 * time.Second
	ioTimeout    = 5 * time.Second
	lastBackoff  = 30 * time.Second
	firstBackoff = 500 * time.Millisecond
	quality      = 1 // MQTT's "at least once"
)

// What a robot sends, below <prefix>/v1/<manufacturer>/<serial>/attestation/.
const (
	topicHello     = "hello"
	topicEvidence  = "evidence"
	topicLog       = "log"
	topicChallenge = "challenge"
	topicResult    = "result"
)

// message is one message from a robot.
type message struct {
	topic   string
	payload []byte
}

// server joins a verifier and a broker.
type server struct {
	v       *verifier.Verifier
	prefix  string
	log     zerolog.Logger
	in      chan message
	dropped atomic.Int64
	now     func() time.Time
}

func newServer(v *verifier.Verifier, prefix string, log zerolog.Logger) *server {
	return &server{v: v, prefix: prefix, log: log, in: make(chan message, queueLength), now: time.Now}
}

// run serves until ctx ends.
func (s *server) run(ctx context.Context, broker *url.URL, clientID string, config *tls.Config) error {
	client := mqtt.NewClient(s.options(ctx, broker, clientID, config))
	defer client.Disconnect(250)
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		s.dial(ctx, client, broker)
	}()
	defer func() { <-dialled }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-s.in:
			if n := s.dropped.Swap(0); n > 0 {
				s.log.Warn().Int64("messages", n).Msg("more came than can be judged; the robots ask again")
			}
			robot, topic, answer := s.handle(m)
			if answer != nil {
				s.publish(client, s.prefix+"/v1/"+robot+"/attestation/"+topic, answer)
			}
		}
	}
}

func (s *server) options(ctx context.Context, broker *url.URL, clientID string, config *tls.Config) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().AddBroker(broker.String()).SetClientID(clientID).SetTLSConfig(config)
	// A clean session: what was asked while nobody listened has run out, and robots ask again.
	o.SetCleanSession(true).SetOrderMatters(true).SetAutoReconnect(true).SetMaxReconnectInterval(lastBackoff)
	o.SetKeepAlive(keepAlive).SetPingTimeout(ioTimeout).SetWriteTimeout(ioTimeout).SetConnectTimeout(ioTimeout)
	o.SetDefaultPublishHandler(s.receive)
	o.SetOnConnectHandler(s.subscribe)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.log.Warn().Err(err).Msg("broker lost") })
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: ioTimeout}, Config: config}
		dialling, cancel := context.WithTimeout(ctx, ioTimeout)
		defer cancel()
		conn, err := d.DialContext(dialling, "tcp", u.Host)
		if err != nil {
			return nil, err
		}
		return &limited{Conn: conn}, nil
	})
	return o
}

// dial makes the first connection; later ones are the library's.
func (s *server) dial(ctx context.Context, client mqtt.Client, broker *url.URL) {
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
		s.log.Warn().Err(token.Error()).Stringer("broker", broker).Msg("broker not reached")
		wait := time.NewTimer(backoff)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// subscribe runs on every connection, for a broker may have forgotten the session.
func (s *server) subscribe(client mqtt.Client) {
	base := s.prefix + "/v1/+/+/attestation/"
	token := client.SubscribeMultiple(map[string]byte{base + topicHello: quality, base + topicEvidence: quality, base + topicLog: quality}, nil)
	go func() {
		granted, ok := token.(*mqtt.SubscribeToken)
		if !token.WaitTimeout(ioTimeout) || token.Error() != nil || !ok {
			s.log.Warn().Err(token.Error()).Msg("subscription not confirmed")
			return
		}
		for topic, code := range granted.Result() {
			if code > 2 {
				s.log.Error().Str("topic", topic).Msg("the broker refuses the subscription; let the verifier's certificate read this topic")
			}
		}
		s.log.Info().Msg("connected")
	}()
}

// receive takes a message from the library's goroutine, and never keeps it waiting.
func (s *server) receive(_ mqtt.Client, m mqtt.Message) {
	if m.Retained() || len(m.Payload()) > maxMessage {
		s.dropped.Add(1) // Nobody retains these: what is retained is a replay.
		return
	}
	select {
	case s.in <- message{m.Topic(), m.Payload()}:
	default:
		s.dropped.Add(1)
	}
}

// publish sends an answer. If it is lost, the robot asks again.
func (s *server) publish(client mqtt.Client, topic string, payload []byte) {
	token := client.Publish(topic, quality, false, payload)
	if !token.WaitTimeout(ioTimeout) || token.Error() != nil {
		s.log.Warn().Err(token.Error()).Str("topic", topic).Msg("the broker has not taken the answer")
	}
}

// envelope is what is read of a CloudEvents message; the rest is for other readers.
type envelope struct {
	SpecVersion string `json:"specversion"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Data        struct {
		Manufacturer string     `json:"manufacturer"`
		SerialNumber string     `json:"serialNumber"`
		Tier         order.Tier `json:"tier"`
		evidence.Hello
		evidence.Answer
		evidence.LogPart
	} `json:"data"`
}

// parse reads a message and checks that all its parts name the same robot. Hellos are not signed, so what counts here is
// the topic, to which the broker lets only that robot write.
func (s *server) parse(m message) (robot, kind string, e *envelope, err error) {
	rest, ok := strings.CutPrefix(m.topic, s.prefix+"/v1/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 4 || parts[2] != "attestation" {
		return "", "", nil, fmt.Errorf("topic: found %q", m.topic)
	}
	robot, kind = parts[0]+"/"+parts[1], parts[3]
	if !order.IsRobotID(robot) {
		return "", "", nil, fmt.Errorf("topic: found robot %q: expected \"manufacturer/serial\"", robot)
	}
	e = &envelope{}
	if err := json.Unmarshal(m.payload, e); err != nil {
		return robot, kind, nil, fmt.Errorf("message: %w", err)
	}
	want := "io.robowarden.attestation." + kind + ".v1"
	switch {
	case e.SpecVersion != "1.0" || e.Type != want:
		return robot, kind, nil, fmt.Errorf("message: found type %q, CloudEvents %q: expected %q, \"1.0\"", e.Type, e.SpecVersion, want)
	case e.Source != "robowarden:"+robot || e.Data.Manufacturer+"/"+e.Data.SerialNumber != robot:
		return robot, kind, nil, fmt.Errorf("message: found source %q, robot %q: expected those of the topic, %s", e.Source, e.Data.Manufacturer+"/"+e.Data.SerialNumber, robot)
	}
	return robot, kind, e, nil
}

// handle judges one message and returns what to answer on which topic, or nil.
func (s *server) handle(m message) (robot, topic string, answer []byte) {
	robot, kind, e, err := s.parse(m)
	log := s.log.With().Str("robot", robot).Str("message", kind).Logger()
	if err != nil {
		log.Warn().Err(err).Msg("not understood")
		return "", "", nil
	}
	var out *verifier.Outcome
	switch kind {
	case topicHello:
		h := e.Data.Hello
		h.Robot, h.Tier = robot, e.Data.Tier
		challenge, err := s.v.Hello(s.now(), robot, &h)
		if err != nil {
			log.Warn().Err(err).Msg("no challenge")
			return "", "", nil
		}
		log.Info().Str("boot", h.BootID).Msg("challenged")
		return robot, topicChallenge, challenge
	case topicEvidence:
		out, err = s.v.Evidence(s.now(), robot, e.Data.Evidence)
	case topicLog:
		out, err = s.v.Log(s.now(), robot, &e.Data.LogPart)
	default:
		err = errors.New("unknown topic")
	}
	if err != nil {
		log.Warn().Err(err).Msg("not taken")
		return "", "", nil
	}
	s.report(log, out)
	return robot, topicResult, out.Result
}

// report logs what came of a message, each reason on a line of its own.
func (s *server) report(log zerolog.Logger, out *verifier.Outcome) {
	if len(out.Waiting) > 0 {
		log.Info().Strs("logs", out.Waiting).Msg("evidence waits for logs")
	}
	a := out.Appraisal
	if a == nil {
		return
	}
	if len(a.Reasons) == 1 && a.Has(verifier.Replayed) {
		log.Info().Str("reason", a.Reasons[0].ID()).Msg("came again after it was answered: a broker may deliver twice; nothing comes of it")
		return
	}
	for _, r := range a.Reasons {
		log.Warn().Str("reason", r.ID()).Str("expected", r.Expected).Str("found", r.Found).Str("remedy", r.Remedy).Msg("refused")
	}
	switch {
	case a.Verdict == order.VerdictAccepted:
		log.Info().Str("boot", out.Claims.BootID).Str("tier", tierText(out.Claims.Tier)).Strs("not_checked", a.Notes).Msg("accepted")
	case !a.Authentic:
		log.Error().Msg("somebody else may have sent this in the robot's name, so no refusal is signed")
	}
}
