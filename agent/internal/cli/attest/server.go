package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

const (
	// tickEvery is the pace of what is due without a message.
	tickEvery = 100 * time.Millisecond
	// A verifier of a group whose next message has waited for maxLag leaves messages to the others until none has waited for
	// goodLag.
	maxLag  = 5 * time.Second
	goodLag = time.Second
)

// What a robot sends, below <prefix>/v1/<manufacturer>/<serial>/attestation/.
const (
	topicHello     = "hello"
	topicEvidence  = "evidence"
	topicLog       = "log"
	topicChallenge = "challenge"
	topicResult    = "result"
)

// fromRobots are the topics of what robots send, by any robot.
func fromRobots(prefix string) []string {
	base := prefix + "/v1/+/+/attestation/"
	return []string{base + topicHello, base + topicEvidence, base + topicLog}
}

// source is where messages come from, once it is joined.
type source interface {
	join() error
	leave()
}

// answers is where answers go, and the number of the connection that there is for them, 0 without one.
type answers interface {
	publish(topic string, payload []byte, retained bool)
	connection() int64
}

// server judges what comes, one message after the other.
type server struct {
	v      *verifier.Verifier
	prefix string
	log    zerolog.Logger
	in     *inbox
	now    func() time.Time
	keys   *nonceKeys
	// grouped says that others take the messages that this one does not.
	grouped bool
	joined  int64  // The connection on which messages come, 0 if none do.
	apart   bool   // Left to the others, because it lags.
	fault   string // Why the keys for nonces could not be read the last time.
}

func newServer(v *verifier.Verifier, prefix string, keys *nonceKeys, log zerolog.Logger) *server {
	return &server{v: v, prefix: prefix, log: log, in: newInbox(), now: time.Now, keys: keys}
}

// serve judges until ctx ends.
func (s *server) serve(ctx context.Context, out answers, from source) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.tick(out)
		case <-s.in.ready:
		}
		s.attend(out, from)
		m, ok := s.in.take()
		if !ok || m.stale(s.now()) {
			continue
		}
		s.refresh()
		if robot, topic, answer := s.handle(m.message); answer != nil {
			s.answer(out, robot, topic, answer)
		}
	}
}

// answer sends a challenge or a result. A result is retained: it is signed, bound to one run of the guard, and ends by itself.
func (s *server) answer(out answers, robot, topic string, payload []byte) {
	out.publish(s.prefix+"/v1/"+robot+"/attestation/"+topic, payload, topic == topicResult)
}

// attend has messages come while answers can go and, in a group, while this verifier keeps up.
func (s *server) attend(out answers, from source) {
	up, lag := out.connection(), s.in.lag(s.now())
	if s.grouped && (lag > maxLag || s.apart && lag > goodLag) {
		if !s.apart {
			s.log.Warn().Dur("waiting", lag).Msg("too much to judge; what comes next is left to the other verifiers of the group")
		}
		s.apart, up = true, 0
	} else if s.apart {
		s.apart = false
		s.log.Info().Msg("has caught up")
	}
	if up == s.joined {
		return
	}
	if s.joined != 0 {
		from.leave()
	}
	s.joined = 0
	if up == 0 {
		return
	}
	if err := from.join(); err != nil {
		s.log.Warn().Err(err).Msg("no messages come")
		return
	}
	s.joined = up
}

// refresh takes a changed file of keys for nonces. With one that cannot be read, the keys of before go on to count.
func (s *server) refresh() {
	keys, err := s.keys.changed()
	if err == nil && keys != nil {
		if err = s.v.SetNonceKeys(keys...); err == nil {
			s.log.Info().Int("keys", len(keys)).Msg("keys for nonces taken")
		}
	}
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault != s.fault && fault != "" {
		s.log.Error().Err(err).Msg("keys for nonces cannot be read; those of before go on to count")
	}
	s.fault = fault
}

// tick does what is due without a message.
func (s *server) tick(out answers) {
	if n := s.in.lost(); n > 0 {
		s.log.Warn().Int64("messages", n).Msg("more came than can be judged; the robots ask again")
	}
	ready, err := s.v.Ready(s.now())
	if err != nil {
		s.log.Warn().Err(err).Msg("not taken")
	}
	for robot, o := range ready {
		s.report(s.log.With().Str("robot", robot).Str("message", topicEvidence).Logger(), o)
		if o.Result != nil {
			s.answer(out, robot, topicResult, o.Result)
		}
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
	if a.Overtaken {
		r := a.Reasons[len(a.Reasons)-1]
		log.Info().Str("reason", r.ID()).Str("expected", r.Expected).Str("found", r.Found).Msg("overtaken by what was judged meanwhile; nothing comes of it, and the robot asks again")
		return
	}
	if a.Partial() {
		log.Info().Str("reason", a.Reasons[0].ID()).Str("found", a.Reasons[0].Found).Msg("the log is longer than one evidence takes along; the rest comes when the robot asks again")
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
