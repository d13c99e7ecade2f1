package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// stand is a verifier behind a broker, and a robot before it.
type stand struct {
	tb    testing.TB
	a     *authority
	robot *robotSide
	dir   string
	log   *lockedBuffer
	at    string
}

func newStand(t *testing.T, change func(*evidence.Claims)) *stand {
	t.Helper()
	s := &stand{tb: t, a: newAuthority(t), robot: newRobot(t), dir: filepath.Join(t.TempDir(), "verifier"), log: &lockedBuffer{}}
	s.at = s.a.broker()
	key := must(order.GenerateKey(order.ECDSAP256))(t)
	s.robot.guard = keyList(t, key)
	keyFile := write(t, s.a.dir, "verifier.key", must(order.MarshalPrivateKey(key))(t), 0o600)
	identity := write(t, s.a.dir, "robot.json", must(json.Marshal(s.robot.identity()))(t), 0o600)
	values := write(t, s.a.dir, "g1.yaml", fmt.Appendf(nil, references, sum("agent"), sum("policy")), 0o600)
	if out, err := station(t.Context(), NewVerifier(), "enrol", identity, "--references", values, "--state-dir", s.dir); err != nil || !strings.Contains(out, "judged by  g1") {
		t.Fatal(out, err)
	}
	cert, certKey := s.a.issue("verifier")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	cmd := NewVerifier()
	cmd.SetErr(s.log)
	cmd.SetArgs([]string{
		"--state-dir", s.dir, "--key", keyFile, "--broker", "tls://" + s.at, "--prefix", prefix, "--ca", filepath.Join(s.a.dir, "ca.pem"),
		"--certificate", cert, "--certificate-key", certKey,
	})
	go func() { done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the verifier ended with %v", err)
		}
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	s.until("the verifier is connected", func() bool { return strings.Contains(s.log.String(), "connected") })
	s.robot.client = s.a.client(s.at, "unitree:g1-0007")
	s.robot.listen(change)
	return s
}

// until polls.
func (s *stand) until(what string, cond func() bool) {
	s.tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			s.tb.Fatalf("not within 20 s: %s\n%s", what, s.log.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// listen answers challenges and collects results.
func (r *robotSide) listen(change func(*evidence.Claims)) {
	r.tb.Helper()
	base := prefix + "/v1/" + robot + "/attestation/"
	await(r.tb, r.client.Subscribe(base+topicChallenge, 1, func(_ mqtt.Client, m mqtt.Message) {
		go r.answer(m.Payload(), change)
	}))
	await(r.tb, r.client.Subscribe(base+topicResult, 1, func(_ mqtt.Client, m mqtt.Message) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results = append(r.results, m.Payload())
	}))
}

func (r *robotSide) got() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results
}

// judged has the guard verify the only result.
func (s *stand) judged() *order.Order {
	s.tb.Helper()
	s.until("a result came", func() bool { return len(s.robot.got()) > 0 })
	x, err := s.robot.guard.Verify(order.Times{Civil: time.Now().UTC(), Uncertainty: time.Second, Trust: order.Trusted}, s.robot.got()[0])
	if err != nil {
		s.tb.Fatal(err)
	}
	return x.Order
}

func TestARobotAttestsOverMQTT(t *testing.T) {
	s := newStand(t, nil)
	s.robot.hello()
	o := s.judged()
	if o.AttestationResult.Verdict != order.VerdictAccepted || o.Binding.Nonce != guardNonce {
		t.Fatalf("%+v", o.AttestationResult)
	}
	// The evidence was sent twice; the second has answered nothing.
	<-s.robot.answered
	s.until("the repeated evidence is seen", func() bool { return strings.Contains(s.log.String(), "replayed") })
	if n := len(s.robot.got()); n != 1 {
		t.Errorf("%d results came", n)
	}
	// A second hello needs no log any more, and has a result of its own.
	s.robot.hello()
	s.until("a second result came", func() bool { return len(s.robot.got()) == 2 })

	// Another robot may not speak in this one's name: the broker drops it, and nothing comes of it.
	other := s.a.client(s.at, "unitree:g1-0008")
	await(t, other.Publish(prefix+"/v1/"+robot+"/attestation/hello", 1, false, []byte("{}")))
	// In its own name it is not known.
	await(t, other.Publish(prefix+"/v1/unitree/g1-0008/attestation/hello", 1, false, []byte("{}")))
	s.until("the other robot's message is refused", func() bool { return strings.Contains(s.log.String(), `"robot":"unitree/g1-0008"`) })
	if strings.Contains(s.log.String(), `"robot":"unitree/g1-0007","message":"hello","error"`) {
		t.Error("the broker has let another robot write")
	}

	// A second verifier keeps off.
	out, err := station(t.Context(), NewVerifier(), "--state-dir", s.dir, "--key", filepath.Join(s.a.dir, "verifier.key"), "--broker", "tls://"+s.at,
		"--prefix", prefix, "--ca", filepath.Join(s.a.dir, "ca.pem"), "--certificate", filepath.Join(s.a.dir, "verifier.key"), "--certificate-key", filepath.Join(s.a.dir, "verifier.key"))
	if err == nil || !strings.Contains(err.Error(), "another verifier") {
		t.Errorf("a second verifier: %v %s", err, out)
	}

	// What was judged can be judged again from the files.
	file := filepath.Join(s.dir, "evidence", "unitree+g1-0007.cose")
	out, err = station(t.Context(), NewVerify(), file, "--state-dir", s.dir)
	if err != nil || !strings.Contains(out, "verdict        ACCEPTED") || !strings.Contains(out, "(pcr-backed)") || !strings.Contains(out, "not checked    continuity") ||
		strings.Contains(out, "freshness") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAPatchedAgentIsRefusedOverMQTT(t *testing.T) {
	s := newStand(t, nil)
	// The patched agent was measured as well; the robot reports its old digest.
	f := s.robot.patch()
	s.robot.hello()
	o := s.judged()
	if r := o.AttestationResult; r.Verdict != order.VerdictRefused || len(r.Reasons) != 1 || r.Reasons[0] != "agent-digest" {
		t.Fatalf("%+v", r)
	}
	out, err := station(t.Context(), NewVerify(), filepath.Join(s.dir, "evidence", "unitree+g1-0007.cose"), "--state-dir", s.dir, "--output", "json")
	var r report
	if json.Unmarshal([]byte(out), &r) != nil || err == nil || r.Verdict != order.VerdictRefused || len(r.Reasons) != 1 || !strings.Contains(r.Reasons[0].Found, f) {
		t.Errorf("%v\n%s", err, out)
	}
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || coded.ExitCode() != answer.No {
		t.Errorf("ends with %v", err)
	}
}

// TestReportOfWhatIsNobodysFault: evidence that was overtaken, or whose log goes on, is no warning, and is told apart from a replay.
func TestReportOfWhatIsNobodysFault(t *testing.T) {
	reason := func(c verifier.Code) []verifier.Reason {
		return []verifier.Reason{{Code: c, Expected: "x", Found: "y"}}
	}
	for says, c := range map[string]struct {
		a     verifier.Appraisal
		level string
	}{
		"overtaken by what was judged meanwhile": {verifier.Appraisal{Overtaken: true, Reasons: reason(verifier.Replayed)}, "info"},
		"came again after it was answered":       {verifier.Appraisal{Reasons: reason(verifier.Replayed)}, "info"},
		"the rest comes when the robot asks":     {verifier.Appraisal{Authentic: true, Reasons: reason(verifier.EventlogPartial)}, "info"},
		"somebody else may have sent this":       {verifier.Appraisal{Reasons: reason(verifier.StaleNonce)}, "error"},
	} {
		var log bytes.Buffer
		(&server{}).report(zerolog.New(&log), &verifier.Outcome{Appraisal: &c.a})
		if text := log.String(); !strings.Contains(text, says) || !strings.Contains(text, `"level":"`+c.level+`"`) || c.level == "info" && strings.Count(text, "\n") != 1 {
			t.Errorf("expected %q at level %s: %s", says, c.level, text)
		}
	}
}
