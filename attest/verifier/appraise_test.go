package verifier

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

func TestGoodEvidenceIsAccepted(t *testing.T) {
	l := newLab(t)
	in := l.good(nil)
	a, e := Appraise(in)
	if a.Verdict != order.VerdictAccepted || !a.Authentic || e.Claims.Robot != robot {
		t.Fatal(a.Text())
	}
	if want := []string{"pcr-13", "events-4", "events-7"}; !slices.Equal(a.Notes, want) {
		t.Errorf("notes %q, want %q", a.Notes, want)
	}
	if a.Next.BootID != bootID || a.Next.ResetCount == 0 || a.Next.JournalSeq != 712 {
		t.Errorf("remembers %+v", a.Next)
	}
	// The same robot a moment later, and after a restart of the guard.
	for name, change := range map[string]func(*evidence.Claims){
		"later":              func(c *evidence.Claims) { c.Journal = evidence.Head{Seq: 713, Digest: sum("later")} },
		"nothing happened":   nil,
		"the guard restarts": func(c *evidence.Claims) { c.GuardNonce, c.Journal.Seq = strings.Repeat("ab", 16), 5 },
	} {
		next := l.good(change)
		next.State = a.Next
		if b, _ := Appraise(next); b.Verdict != order.VerdictAccepted {
			t.Errorf("%s: %s", name, b.Text())
		}
	}
}

// TestAttacks has each attack refused with exactly its reasons, and accepted once the check that stands in its way is
// switched off: so every check is needed, and this test would fail without it.
func TestAttacks(t *testing.T) {
	l := newLab(t)
	needed := map[Code]bool{}
	for _, x := range attacks() {
		t.Run(x.name, func(t *testing.T) {
			l.tb = t
			in := x.make(l)
			a, _ := Appraise(in)
			want := slices.Sorted(slices.Values(x.want))
			if got := codes(a); a.Verdict != order.VerdictRefused || !slices.Equal(got, want) {
				t.Fatalf("want %v, got %s", want, a.Text())
			}
			for _, r := range a.Reasons {
				if r.Expected == "" || r.Found == "" || r.Remedy == "" {
					t.Errorf("%s says too little: %+v", r.ID(), r)
				}
			}
			off, _ := appraise(in, x.want[0])
			if slices.Contains(codes(off), x.want[0]) {
				t.Errorf("%s cannot be switched off", x.want[0])
			}
			if x.alone {
				needed[x.want[0]] = true
				if off.Verdict != order.VerdictAccepted {
					t.Errorf("without the check for %s: %s", x.want[0], off.Text())
				}
			}
		})
	}
	for _, code := range Codes() {
		if !needed[code] && code != Malformed { // What cannot be read cannot be accepted either.
			t.Errorf("no attack shows that the check for %s is needed", code)
		}
	}
}

// TestWhatWasOvertakenIsNotSigned: an older answer to a challenge that was open when the last judgement was made is nobody's fault; to a
// challenge of later it is a TPM, or a journal, that was put back.
func TestWhatWasOvertakenIsNotSigned(t *testing.T) {
	l := newLab(t)
	soft := l.good(nil)
	soft.Robot, soft.References = &Enrolment{Identity: &evidence.Identity{Robot: robot, Tier: order.TierSoftwareKey, Key: l.own.tpm.Device().Public()}, References: "soft"}, softReferences()
	claims := l.standard.claims(t, soft.Challenge)
	claims.Tier, claims.Agent.Label, claims.Policy.Label, claims.Logs = order.TierSoftwareKey, evidence.SelfReported, evidence.SelfReported, nil
	soft.Evidence = build(t, claims, nil, l.own.tpm.Device(), nil)
	judged := millis(noon)
	older := func(s *State) { s.ClockMS += 60_000; s.JournalSeq++ }
	for name, c := range map[string]struct {
		in     Input
		made   uint64
		change func(*State)
		want   []Code
		signed bool
	}{
		"overtaken":                              {l.good(nil), judged - 1, older, []Code{Replayed}, false},
		"of before the last judgement, newer":    {l.good(nil), judged - 1, func(*State) {}, nil, true},
		"asked for at that moment":               {l.good(nil), judged, older, []Code{ClockWentBack, JournalWentBack}, true},
		"asked for nobody knows when":            {l.good(nil), 0, older, []Code{ClockWentBack, JournalWentBack}, true},
		"a journal that was put back alone":      {l.good(nil), judged - 1, func(s *State) { s.JournalSeq++ }, []Code{JournalWentBack}, true},
		"another journal":                        {l.good(nil), judged - 1, func(s *State) { s.ClockMS += 60_000; s.JournalDigest = sum("x") }, []Code{ClockWentBack, JournalForked}, true},
		"fewer restarts":                         {l.good(nil), judged - 1, func(s *State) { older(s); s.RestartCount++ }, []Code{JournalWentBack, RestartCountWentBack}, true},
		"a judgement of an hour that comes":      {l.good(nil), judged - 1, func(s *State) { older(s); s.At = noon.Add(time.Hour).Format(stampMS) }, []Code{ClockWentBack, JournalWentBack}, true},
		"a robot without TPM, overtaken":         {soft, judged - 1, older, []Code{Replayed}, false},
		"a robot without TPM, asked since":       {soft, judged, older, []Code{JournalWentBack}, true},
		"a robot without TPM, another journal":   {soft, judged - 1, func(s *State) { s.JournalDigest = sum("x") }, []Code{JournalForked}, true},
		"a robot without TPM, nothing overtaken": {soft, judged - 1, func(*State) {}, nil, true},
	} {
		in := c.in
		in.Now = noon
		first, _ := Appraise(in)
		in.Made, in.State = c.made, first.Next
		in.State.At = noon.Format(stampMS)
		c.change(&in.State)
		if a, _ := Appraise(in); !slices.Equal(codes(a), c.want) || a.Authentic != c.signed || a.Overtaken == c.signed {
			t.Errorf("%s: authentic %t, overtaken %t, want %v: %s", name, a.Authentic, a.Overtaken, c.want, a.Text())
		}
	}
}

// TestAnotherTPMSaysNothingAboutThisOne shows that what an attacker sends in a robot's name neither changes what is known
// about the robot nor may be answered with a signed refusal, which would have the robot restricted.
func TestAnotherTPMSaysNothingAboutThisOne(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"half a message", "a cloned disk on another TPM", "replayed evidence", "an answer to an earlier challenge", "another boot"} {
		i := slices.IndexFunc(attacks(), func(a attack) bool { return a.name == name })
		in := attacks()[i].make(l)
		in.State = State{ResetCount: 3, BootID: otherBoot}
		if a, _ := Appraise(in); a.Authentic {
			t.Errorf("%s passes for the robot's own word", name)
		}
	}
	// A quote that does not go on from before leaves the memory as it was, so that the next one is refused too.
	in := l.good(nil)
	first, _ := Appraise(in)
	in.State = first.Next
	in.State.ResetCount--
	a, _ := Appraise(in)
	if !a.Has(ResetWithinBoot) || a.Next.ResetCount != in.State.ResetCount {
		t.Errorf("remembers %+v after %s", a.Next, a.Text())
	}
}

func BenchmarkAppraise(b *testing.B) {
	l := newLab(b)
	in := l.good(nil)
	for b.Loop() {
		if a, _ := Appraise(in); a.Verdict != order.VerdictAccepted {
			b.Fatal(a.Text())
		}
	}
	b.ReportMetric(float64(len(in.Evidence)), "bytes")
}

func BenchmarkBuild(b *testing.B) {
	l := newLab(b)
	c := challenge(b)
	claims := l.standard.claims(b, c)
	for b.Loop() {
		build(b, claims, c.PCRs, l.own.tpm.Device(), l.own.quote)
	}
}

// TestARealRestart switches a machine off and on: the reset counter goes up by itself.
func TestARealRestart(t *testing.T) {
	l := newLab(t)
	before, _ := Appraise(l.good(nil))
	l.own.off()
	l.own.on()
	l.own.boot(l.standard)
	for _, x := range []struct {
		boot string
		want []Code
	}{{otherBoot, nil}, {bootID, []Code{ResetWithinBoot}}} {
		in := l.good(func(c *evidence.Claims) { c.BootID = x.boot })
		in.Challenge.BootID, in.State = x.boot, before.Next
		if a, _ := Appraise(in); !slices.Equal(codes(a), x.want) {
			t.Errorf("boot %s: %s", x.boot, a.Text())
		}
	}
	// After a restart without the measuring step, the PCRs of the start are there and the agent's are not.
	l.own.off()
	l.own.on()
	in := l.good(func(c *evidence.Claims) { c.BootID = otherBoot })
	in.Challenge.BootID = otherBoot
	if a, _ := Appraise(in); !a.Has(PCRMismatch) || !a.Has(PCRValue) {
		t.Error(a.Text())
	}
}

// TestLeavingValues lets a value pass until its moment, and not when no time is known.
func TestLeavingValues(t *testing.T) {
	l := newLab(t)
	in := l.good(nil)
	in.References = l.judged()
	for i := range in.References.Events {
		r := &in.References.Events[i]
		r.Leaving = []Leaving{{Value: r.Allowed[0], Until: noon}}
		r.Allowed = []string{sum("the next one")}
	}
	if err := in.References.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		now  time.Time
		want order.Verdict
	}{{noon.Add(-time.Second), order.VerdictAccepted}, {noon, order.VerdictRefused}, {time.Time{}, order.VerdictRefused}} {
		in.Now = x.now
		if a, _ := Appraise(in); a.Verdict != x.want || x.want == order.VerdictRefused && !slices.Equal(codes(a), []Code{EventValue}) {
			t.Errorf("at %v: %s", x.now, a.Text())
		}
	}
}

// TestWhatNothingProvesIsComparedAndNotJudgedBy: a robot whose measured log does not lead to its PCR can be compared with rules, and what
// it shows cannot be put in force.
func TestWhatNothingProvesIsComparedAndNotJudgedBy(t *testing.T) {
	l := newLab(t)
	in := l.on(l.fresh(l.standard, 13, 14), l.standard, nil)
	r, err := in.Observed()
	if err != nil || len(Diff(l.references, r)) == 0 {
		t.Fatal(err)
	}
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "nothing proves the measured log") {
		t.Error(err)
	}
}

// TestJudgedEventsAreNotNoted has every logged PCR judged.
func TestJudgedEventsAreNotNoted(t *testing.T) {
	l := newLab(t)
	in := l.good(nil)
	in.References = l.judged()
	if a, _ := Appraise(in); a.Verdict != order.VerdictAccepted || !slices.Equal(a.Notes, []string{"pcr-13"}) {
		t.Errorf("%s", a.Text())
	}
}

// TestASHA1LogByPolicy has the firmware's PCRs judged by their values, and says that no log was looked at.
func TestASHA1LogByPolicy(t *testing.T) {
	l := newLab(t)
	in := l.good(nil)
	q, err := l.own.tpm.Quote(make([]byte, 32), []int{0, 4, 7})
	if err != nil {
		t.Fatal(err)
	}
	in.References = l.rewritten(func(r *References) {
		r.FirmwareLog, r.SecureBoot = FirmwareLogSHA1, ""
		for i := range r.PCRs[:3] {
			v := q.PCRs[r.PCRs[i].PCR]
			r.PCRs[i] = PCRRule{PCR: r.PCRs[i].PCR, Set: Set{Allowed: []string{hex.EncodeToString(v[:])}}}
		}
	})
	delete(in.Logs, evidence.LogFirmware)
	if a, _ := Appraise(in); a.Verdict != order.VerdictAccepted || !slices.Contains(a.Notes, "firmware-log") {
		t.Error(a.Text())
	}
	in.References.PCRs[0].Logs = true
	if err := in.References.Validate(); err == nil || !strings.Contains(err.Error(), "SHA-1") {
		t.Errorf("a SHA-1 log that is to lead to PCR 0: %v", err)
	}
}
