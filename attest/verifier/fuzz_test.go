package verifier

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// FuzzReferences feeds reference values: what is read allows the same when it is written and read again.
func FuzzReferences(f *testing.F) {
	for _, r := range []*References{references(f), softReferences()} {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReferences(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseReferences(again); err != nil || !cmp.Equal(r, back, cmpopts.EquateEmpty()) {
			t.Errorf("%v\n%s", err, again)
		}
	})
}

// FuzzRecords feeds enrolments and states.
func FuzzRecords(f *testing.F) {
	// The same key in every process: the fuzzer runs several and compares their coverage.
	key := &ecdsa.PrivateKey{D: big.NewInt(7)}
	key.Curve = elliptic.P256()
	key.X, key.Y = key.ScalarBaseMult(key.D.Bytes()) //nolint:staticcheck // A known key for a fuzzer.
	e := &Enrolment{Identity: &evidence.Identity{Robot: robot, Tier: order.TierSoftwareKey, Key: key.Public()}, References: "soft"}
	data, err := json.Marshal(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	state, err := (&State{ResetCount: 7, BootID: bootID, Codes: []string{"x"}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := ParseEnrolment(data); err == nil {
			again, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseEnrolment(again); err != nil {
				t.Errorf("%v\n%s", err, again)
			}
		}
		if s, err := ParseState(data); err == nil {
			again, err := s.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseState(again); err != nil || !cmp.Equal(s, back, cmpopts.EquateEmpty()) {
				t.Errorf("%v\n%s", err, again)
			}
		}
	})
}

// TestNoOtherByteIsAccepted changes evidence, logs and what is known at random: nothing but the untouched is accepted.
func TestNoOtherByteIsAccepted(t *testing.T) {
	l := newLab(t)
	good := l.good(nil)
	if a, _ := Appraise(good); a.Verdict != order.VerdictAccepted {
		t.Fatal(a.Text())
	}
	rapid.Check(t, func(rt *rapid.T) {
		in := good
		flip := func(data []byte) []byte {
			out := bytes.Clone(data)
			out[rapid.IntRange(0, len(out)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
			return out
		}
		switch what := rapid.SampledFrom([]string{"evidence", evidence.LogFirmware, evidence.LogMeasured}).Draw(rt, "what"); what {
		case "evidence":
			in.Evidence = flip(in.Evidence)
		default:
			in.Logs = map[string][]byte{evidence.LogFirmware: good.Logs[evidence.LogFirmware], evidence.LogMeasured: good.Logs[evidence.LogMeasured]}
			in.Logs[what] = flip(in.Logs[what])
		}
		a, _ := Appraise(in)
		if a.Verdict == order.VerdictAccepted {
			rt.Fatal("changed, and accepted")
		}
	})
}

// TestAnAcceptedRobotIsNeverBehind plays any sequence of a TPM's counters: what is accepted never goes back, and what
// is remembered neither.
func TestAnAcceptedRobotIsNeverBehind(t *testing.T) {
	l := newLab(t)
	in := l.good(nil)
	base, _ := Appraise(in)
	rapid.Check(t, func(rt *rapid.T) {
		in := in
		in.State = State{
			ResetCount:   uint32(int(base.TPM.ResetCount) + rapid.IntRange(-1, 1).Draw(rt, "resets")),
			RestartCount: uint32(max(0, int(base.TPM.RestartCount)+rapid.IntRange(-1, 1).Draw(rt, "restarts"))),
			ClockMS:      base.TPM.Clock + uint64(rapid.IntRange(0, 2).Draw(rt, "clock")) - 1,
			BootID:       rapid.SampledFrom([]string{bootID, otherBoot}).Draw(rt, "boot"),
		}
		a, _ := Appraise(in)
		s, now := in.State, base.TPM
		same := s.BootID == bootID
		ok := now.ResetCount >= s.ResetCount && same == (now.ResetCount == s.ResetCount) &&
			(!same || now.RestartCount > s.RestartCount || now.RestartCount == s.RestartCount && now.Clock >= s.ClockMS)
		if (a.Verdict == order.VerdictAccepted) != ok {
			rt.Fatalf("after %+v, %+v: %s", s, *now, a.Text())
		}
		if a.Verdict == order.VerdictRefused && !cmp.Equal(a.Next, s) {
			rt.Fatalf("remembers %+v of what did not go on from %+v", a.Next, s)
		}
	})
}
