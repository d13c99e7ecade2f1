package verifier

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

func TestTheWholeExchange(t *testing.T) {
	s := newService(t)
	c := s.ask(noon)
	if want := []string{evidence.LogFirmware, evidence.LogMeasured}; !slices.Equal(c.Logs, want) {
		t.Errorf("the first challenge asks for logs %v, want %v", c.Logs, want)
	}
	s.sendLogs(noon, c)
	out, err := s.v.Evidence(noon, robot, s.answer(c))
	if err != nil {
		t.Fatal(err)
	}
	o := s.result(noon, out.Result)
	if r := o.AttestationResult; r.Verdict != order.VerdictAccepted || r.Tier != order.TierTPM || o.Binding.BootID != bootID || o.Binding.Nonce != guardNonce {
		t.Errorf("result %+v", o)
	}
	// The second time the logs are known, also by another process.
	s.restart()
	c = s.ask(noon.Add(time.Minute))
	if len(c.Logs) != 0 {
		t.Errorf("asks for logs %v again", c.Logs)
	}
	if out, err = s.v.Evidence(noon.Add(time.Minute), robot, s.answer(c)); err != nil || out.Appraisal.Verdict != order.VerdictAccepted {
		t.Fatal(out, err)
	}
	state, err := s.store.State(robot)
	if err != nil || state.Results != 2 || state.Verdict != order.VerdictAccepted || state.JournalSeq != 714 {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestEvidenceWaitsForItsLogs(t *testing.T) {
	s := newService(t)
	c := s.ask(noon)
	out, err := s.v.Evidence(noon, robot, s.answer(c)) // The broker has let it overtake the logs.
	if err != nil || out.Result != nil || out.Appraisal != nil || len(out.Waiting) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	out = s.sendLogs(noon, c)
	if out.Result == nil || s.result(noon, out.Result).AttestationResult.Verdict != order.VerdictAccepted {
		t.Fatalf("%+v", out)
	}
}

func TestAChallengeCountsOnce(t *testing.T) {
	s := newService(t)
	c := s.ask(noon)
	s.sendLogs(noon, c)
	first := s.answer(c)
	out, err := s.v.Evidence(noon, robot, first)
	if err != nil || out.Result == nil {
		t.Fatal(out, err)
	}
	for name, message := range map[string][]byte{"the same evidence": first, "another answer": s.answer(c)} {
		out, err := s.v.Evidence(noon.Add(time.Second), robot, message)
		if err != nil || out.Result != nil || !out.Appraisal.Has(Replayed) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	s.restart() // Another process knows nothing of the challenge.
	if out, err := s.v.Evidence(noon, robot, first); err != nil || out.Result != nil || !out.Appraisal.Has(StaleNonce) {
		t.Errorf("%+v, %v", out, err)
	}
	c = s.ask(noon.Add(time.Minute))
	if out, err := s.v.Evidence(noon.Add(2*time.Minute), robot, s.answer(c)); err != nil || out.Result != nil || !out.Appraisal.Has(StaleNonce) {
		t.Errorf("an answer that comes too late: %+v, %v", out, err)
	}
}

// TestAnOvertakenAnswerUsesNothingUp judges an answer after a newer one has been: nothing is signed or remembered, and the next counts.
func TestAnOvertakenAnswerUsesNothingUp(t *testing.T) {
	s := newService(t)
	first := s.ask(noon)
	s.sendLogs(noon, first)
	second := s.ask(noon.Add(time.Second))
	late := s.answer(second) // made before the other, and judged after it
	now := noon.Add(2*time.Second + time.Millisecond)
	if out, err := s.v.Evidence(now, robot, s.answer(first)); err != nil || out.Result == nil || out.Appraisal.Verdict != order.VerdictAccepted {
		t.Fatal(out, err)
	}
	before, err := s.store.State(robot)
	if err != nil {
		t.Fatal(err)
	}
	from := before
	before.ClockMS += 60_000 // whatever the TPM's resolution is
	if err := s.store.Advance(robot, from, before); err != nil {
		t.Fatal(err)
	}
	out, err := s.v.Evidence(now, robot, late)
	if err != nil || out.Result != nil || !out.Appraisal.Overtaken || !slices.Equal(codes(out.Appraisal), []Code{Replayed}) {
		t.Fatalf("%+v, %v", out, err)
	}
	if after, err := s.store.State(robot); err != nil || after.Results != before.Results || after.Answered != before.Answered || after.At != "2026-11-22T12:00:02.001Z" {
		t.Errorf("%+v, %v", after, err)
	}
	// The same TPM asked since: its clock is behind what it was.
	if out, err := s.v.Evidence(now, robot, s.answer(s.ask(now.Add(time.Second)))); err != nil || out.Result == nil || !out.Appraisal.Has(ClockWentBack) {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestForgeriesUseNothingUp has somebody else answer first: the robot's own answer counts all the same.
func TestForgeriesUseNothingUp(t *testing.T) {
	s := newService(t)
	c := s.ask(noon)
	s.sendLogs(noon, c)
	before, err := s.store.State(robot)
	if err != nil {
		t.Fatal(err)
	}
	forged := build(t, s.i.claims(t, c), c.PCRs, newKey(t), s.m.quote)
	for range 3 {
		out, err := s.v.Evidence(noon, robot, forged)
		if err != nil || out.Result != nil || !out.Appraisal.Has(WrongDeviceKey) {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	if after, err := s.store.State(robot); err != nil || after.At != before.At {
		t.Errorf("a forgery has changed what is known: %+v, %v", after, err)
	}
	if out, err := s.v.Evidence(noon, robot, s.answer(c)); err != nil || out.Result == nil {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestARefusalIsSigned shows what the guard learns of a robot that has been changed.
func TestARefusalIsSigned(t *testing.T) {
	s := newService(t)
	s.m.extend(4, [32]byte{1})
	c := s.ask(noon)
	s.sendLogs(noon, c)
	out, err := s.v.Evidence(noon, robot, s.answer(c))
	if err != nil {
		t.Fatal(err)
	}
	o := s.result(noon, out.Result)
	if r := o.AttestationResult; r.Verdict != order.VerdictRefused || !slices.Equal(r.Reasons, []string{"pcr-mismatch:4"}) || !strings.Contains(o.Reason, "pcr-mismatch:4") {
		t.Errorf("%+v", o)
	}
}

// TestResultsThatAreNotForThisRobotNow has the guard refuse forged results and results of another robot, boot or nonce.
func TestResultsThatAreNotForThisRobotNow(t *testing.T) {
	s := newService(t)
	c := s.ask(noon)
	s.sendLogs(noon, c)
	out, err := s.v.Evidence(noon, robot, s.answer(c))
	if err != nil {
		t.Fatal(err)
	}
	good := s.result(noon, out.Result)
	stranger, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		change func(*order.Order)
		key    crypto.Signer
		now    time.Time
		want   order.Reason
	}{
		{name: "forged", key: stranger, want: order.UnknownKey},
		{name: "of another robot", change: func(o *order.Order) { o.Audience = []string{"unitree/g1-0008"} }, want: order.WrongAudience},
		{name: "of another boot", change: func(o *order.Order) { o.Binding.BootID = otherBoot }, want: order.BootMismatch},
		{name: "of another run of the guard", change: func(o *order.Order) { o.Binding.Nonce = strings.Repeat("ab", 16) }, want: order.NonceMismatch},
		{name: "of yesterday", now: noon.Add(2 * time.Hour), want: order.Expired},
		{name: "good"},
	} {
		o := *good
		o.Audience = slices.Clone(o.Audience)
		if x.change != nil {
			x.change(&o)
		}
		if x.key == nil {
			x.key = s.key
		}
		if x.now.IsZero() {
			x.now = noon
		}
		env, err := order.Sign(&o, x.key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.guard.Verify(order.Times{Civil: x.now, Trust: order.Trusted}, env)
		if order.ReasonOf(err) != x.want || (err == nil) != (x.want == "") {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestRobotsAskAtABoundedRate(t *testing.T) {
	s := newService(t)
	limited := 0
	for range 20 {
		if _, err := s.v.Hello(noon, robot, s.hello()); errors.Is(err, ErrTooMany) {
			limited++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if limited != 20-helloBurst {
		t.Errorf("%d of 20 hellos were not answered, want %d", limited, 20-helloBurst)
	}
	if n := len(s.v.robots[robot].open); n != MaxOpen {
		t.Errorf("%d challenges are open, want %d", n, MaxOpen)
	}
	limited = 0
	for range 20 {
		if _, err := s.v.Evidence(noon, robot, []byte("junk")); errors.Is(err, ErrTooMany) {
			limited++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if limited != 20-partBurst {
		t.Errorf("%d of 20 messages were not looked at, want %d", limited, 20-partBurst)
	}
	for range 100 {
		if _, err := s.v.Hello(noon, "unitree/unknown", s.hello()); err == nil {
			t.Fatal("an unknown robot is challenged")
		}
	}
	if len(s.v.robots) != 1 {
		t.Errorf("%d robots are kept in memory", len(s.v.robots))
	}
}

func TestWhatAVerifierDoesNotTake(t *testing.T) {
	s := newService(t)
	other := s.hello()
	other.Robot = "unitree/g1-0008"
	if _, err := s.v.Hello(noon, robot, other); err == nil {
		t.Error("a hello of another robot")
	}
	if _, err := s.v.Hello(noon, "unitree/g1-0008", other); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("a robot that is not enrolled: %v", err)
	}
	if _, err := s.v.Evidence(noon, "unitree/g1-0008", nil); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("evidence of a robot that is not enrolled: %v", err)
	}
	if _, err := s.v.Log(noon, robot, &evidence.LogPart{Name: evidence.LogFirmware, Log: []byte("x")}); err == nil {
		t.Error("a log that nobody has asked for")
	}
	c := s.ask(noon)
	if _, err := s.v.Log(noon, robot, &evidence.LogPart{Name: c.Logs[0], Log: []byte("x")}); err == nil {
		t.Error("another log than the hello has named")
	}
	for name, cfg := range map[string]Config{
		"no key":                {ResultLife: time.Hour, ChallengeLife: time.Minute, Random: rand.Reader},
		"no randomness":         {Key: s.key, ResultLife: time.Hour, ChallengeLife: time.Minute},
		"no result life":        {Key: s.key, ChallengeLife: time.Minute, Random: rand.Reader},
		"results for days":      {Key: s.key, ResultLife: 24 * time.Hour, ChallengeLife: time.Minute, Random: rand.Reader},
		"no challenge life":     {Key: s.key, ResultLife: time.Hour, Random: rand.Reader},
		"half a key for nonces": {Key: s.key, ResultLife: time.Hour, ChallengeLife: time.Minute, Random: rand.Reader, NonceKey: make([]byte, 16)},
		"long challenges":       {Key: s.key, ResultLife: time.Hour, ChallengeLife: time.Hour, Random: rand.Reader},
	} {
		if _, err := New(cfg, s.store); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	broken := Config{Key: s.key, ResultLife: time.Hour, ChallengeLife: time.Minute, Random: bytes.NewReader(make([]byte, NonceKeyBytes))}
	v, err := New(broken, s.store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Hello(noon, robot, s.hello()); err == nil {
		t.Error("a challenge without randomness")
	}
}

// TestNothingIsSignedThatIsNotDurable takes the store away at the last moment.
func TestNothingIsSignedThatIsNotDurable(t *testing.T) {
	s := newService(t)
	c := s.ask(noon)
	s.sendLogs(noon, c)
	s.v.store = failing{s.store}
	out, err := s.v.Evidence(noon, robot, s.answer(c))
	if err == nil || out.Result != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

type failing struct{ Store }

func (failing) Advance(string, State, State) error { return errors.New("the disk is full") }

func TestAStateThatIsGone(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"removed": os.Remove,
		"cut":     func(p string) error { return os.Truncate(p, 10) },
		"empty":   func(p string) error { return os.Truncate(p, 0) },
		"another number": func(p string) error {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			return os.WriteFile(p, bytes.Replace(data, []byte(`"reset_count":0`), []byte(`"reset_count":9`), 1), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			c := s.ask(noon)
			s.sendLogs(noon, c)
			if err := spoil(filepath.Join(s.dir, dirStates, "unitree+g1-0007.json")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.v.Evidence(noon, robot, s.answer(c)); !errors.Is(err, ErrNoState) {
				t.Errorf("evidence: %v", err)
			}
			if _, err := s.v.Hello(noon.Add(time.Minute), robot, s.hello()); !errors.Is(err, ErrNoState) {
				t.Errorf("hello: %v", err)
			}
		})
	}
}
