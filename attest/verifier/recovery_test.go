package verifier

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// bound enrols the robot as one whose own key is another than the device key, which is its recovery's.
func (s *service) bound() (own crypto.Signer) {
	s.tb.Helper()
	key := newKey(s.tb)
	e := s.m.enrolment()
	e.Identity.Key, e.Identity.Recovery = key.Public(), e.Identity.Key
	if err := s.store.Enrol(e, true); err != nil {
		s.tb.Fatal(err)
	}
	return key
}

// judged sends evidence that this key has signed and returns what came of it.
func (s *service) judged(now time.Time, key crypto.Signer) *Outcome {
	s.tb.Helper()
	c := s.ask(now)
	claims := s.i.claims(s.tb, c)
	s.seq++
	claims.Journal.Seq += s.seq
	s.sendLogs(now, c)
	out, err := s.v.Evidence(now, robot, build(s.tb, claims, c.PCRs, key, s.m.quote))
	if err != nil {
		s.tb.Fatal(err)
	}
	return out
}

// TestRecoveryIsNeverAccepted: by its recovery a robot that runs exactly what it shall is refused, plainly, in a signed result. The off
// runs are its own key, which is accepted, and a judgement that does not see the reason, which accepts the recovery.
func TestRecoveryIsNeverAccepted(t *testing.T) {
	s := newService(t)
	own := s.bound()
	out := s.judged(noon, s.m.tpm.Device())
	if !out.Appraisal.Recovery || !out.Appraisal.Authentic || out.Appraisal.Verdict != order.VerdictRefused || !slices.Equal(out.Appraisal.IDs(), []string{"recovery"}) {
		t.Errorf("%s", out.Appraisal.Text())
	}
	r := s.result(noon, out.Result)
	if r.AttestationResult.Verdict != order.VerdictRefused || !slices.Equal(r.AttestationResult.Reasons, []string{"recovery"}) || r.Reason != "refused for recovery" {
		t.Errorf("%+v, %q", r.AttestationResult, r.Reason)
	}
	out = s.judged(noon.Add(10*time.Second), own)
	if out.Appraisal.Recovery || out.Appraisal.Verdict != order.VerdictAccepted {
		t.Errorf("off: the robot's own key: %s", out.Appraisal.Text())
	}
	if out = s.judged(noon.Add(20*time.Second), newKey(t)); out.Appraisal.Authentic || out.Result != nil || !out.Appraisal.Has(WrongDeviceKey) {
		t.Errorf("a third key: %s", out.Appraisal.Text())
	}
	// Off: without the rule, the recovery is as good as the key itself.
	c := s.ask(noon.Add(30 * time.Second))
	in := Input{
		Robot: must(s.store.Robot(robot))(t), References: references(t), Now: noon, Logs: s.i.logs(), Challenge: c,
		Evidence: build(t, s.i.claims(t, c), c.PCRs, s.m.tpm.Device(), s.m.quote),
	}
	if a, _ := appraise(in, Recovery); a.Verdict != order.VerdictAccepted {
		t.Errorf("off: the test shows nothing: %s", a.Text())
	}
}

// TestRecoveryUnderAnOldRecord: a verifier whose record is from before the key was bound has the recovery's key as the robot's own. It refuses by
// the robot's signed word; the off run is evidence without it, which that record accepts.
func TestRecoveryUnderAnOldRecord(t *testing.T) {
	s := newService(t)
	for i, recovery := range []bool{true, false} {
		now := noon.Add(time.Duration(i) * 10 * time.Second)
		c := s.ask(now)
		claims := s.i.claims(t, c)
		claims.Recovery = recovery
		s.seq++
		claims.Journal.Seq += s.seq
		s.sendLogs(now, c)
		out, err := s.v.Evidence(now, robot, build(t, claims, c.PCRs, s.m.tpm.Device(), s.m.quote))
		if err != nil {
			t.Fatal(err)
		}
		if accepted := out.Appraisal.Verdict == order.VerdictAccepted; accepted == recovery || recovery != out.Appraisal.Has(Recovery) || recovery != strings.Contains(out.Appraisal.Text(), "enrol it again") {
			t.Errorf("recovery %v: %s", recovery, out.Appraisal.Text())
		}
	}
}

// TestApprovalIsAboutValues: what a robot shows may be approved if nothing but values differ; what is rejected, never.
func TestApprovalIsAboutValues(t *testing.T) {
	for code, want := range map[Code]string{Recovery: "", PCRValue: "", AgentDigest: "", EventMissing: "", Rejected: "never", PCRMismatch: "doubt", DebugOpen: "doubt", BootWithoutReset: "doubt", SecureBootOff: "doubt", ArtifactSVN: "doubt", StaleNonce: "doubt"} {
		never, doubt := (&Appraisal{Reasons: []Reason{{Code: code}}}).AgainstApproval()
		if (len(never) == 1) != (want == "never") || (len(doubt) == 1) != (want == "doubt") {
			t.Errorf("%s: %v, %v: expected %q", code, never, doubt, want)
		}
	}
}

// TestApproveByVerifiedEvidence: the values that somebody approves come from evidence that verifies, a recovery's included.
func TestApproveByVerifiedEvidence(t *testing.T) {
	s := newService(t)
	s.bound()
	s.m.extend(14, sha256.Sum256([]byte("another kernel")))
	c := s.ask(noon)
	claims := s.i.claims(t, c)
	message := build(t, claims, c.PCRs, s.m.tpm.Device(), s.m.quote)
	in := Input{Robot: must(s.store.Robot(robot))(t), References: references(t), Now: noon, Logs: s.i.logs(), Challenge: c, Evidence: message}
	now := must(s.m.tpm.ReadPCRs([]int{0, 14}))(t)
	got, err := Quoted(in, []int{0, 14})
	if err != nil || got[0] != now[0] || got[14] != now[14] {
		t.Errorf("%v, %v", got, err)
	}
	for name, change := range map[string]func(in *Input){
		"no challenge":         func(in *Input) { in.Challenge = nil },
		"recorded":             func(in *Input) { in.Challenge, in.Recorded = nil, true },
		"replayed":             func(in *Input) { in.Replayed = true },
		"another robot's keys": func(in *Input) { in.Evidence = build(t, claims, c.PCRs, newKey(t), s.m.quote) },
		"another quote": func(in *Input) {
			in.Evidence = build(t, claims, c.PCRs, s.m.tpm.Device(), func(_ []byte, pcrs []int) (evidence.Quote, error) { return s.m.quote(make([]byte, 32), pcrs) })
		},
		"another challenge": func(in *Input) { in.Challenge = s.ask(noon.Add(time.Minute)) },
	} {
		x := in
		change(&x)
		if got, err := Quoted(x, []int{14}); !errors.Is(err, ErrNotVerified) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := Quoted(in, []int{23}); !errors.Is(err, ErrNotVerified) {
		t.Errorf("a register that was not quoted: %v", err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
