package machine

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-attestation/attest"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// quoted are the PCRs that firmware and kernel measure into.
var quoted = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}

// proof is what one attestation showed.
type proof struct {
	ak   string
	info tpm.Info
}

// challenge lets the machine attest over a fresh nonce and verifies that outside of it.
func (r *robot) challenge(t testing.TB) (a wire.Attestation, nonce []byte, p proof, err error) {
	t.Helper()
	nonce = make([]byte, sha256.Size)
	if _, err := rand.Read(nonce); err != nil {
		t.Fatal(err)
	}
	a = must(r.Attest(within(t, patience), wire.Challenge{Nonce: nonce, PCRs: quoted}))(t)
	p, err = verify(a, nonce)
	return a, nonce, p, err
}

// verify is what a verifier does that knows nothing but the challenge: the quote's signature and nonce, and that the log
// explains the PCRs. The log is replayed by the product and by another implementation, which must agree.
func verify(a wire.Attestation, nonce []byte) (proof, error) {
	ak, err := tpm.ParsePublic(a.AK)
	if err == nil {
		err = ak.CheckAK()
	}
	if err != nil {
		return proof{}, err
	}
	q := tpm.Quote{Attest: a.Attest, Signature: a.Signature, PCRs: map[int][sha256.Size]byte{}}
	for n, v := range a.PCRs {
		if len(v) != sha256.Size {
			return proof{}, fmt.Errorf("PCR %d has %d bytes", n, len(v))
		}
		q.PCRs[n] = [sha256.Size]byte(v)
	}
	info, err := tpm.VerifyQuote(ak.Key(), q, nonce)
	if err != nil {
		return proof{}, err
	}
	out := proof{ak: fmt.Sprintf("%x", ak.Name()), info: info}
	log, err := eventlog.Parse(a.EventLog)
	if err != nil {
		return out, err
	}
	expected, err := eventlog.Expect(log)
	if err != nil {
		return out, err
	}
	var ours error
	for _, d := range eventlog.Differences(expected, info.PCRs) {
		ours = errors.Join(ours, fmt.Errorf("pcr-mismatch:%d", d.PCR))
	}
	if theirs := replayOther(a.EventLog, info); (ours == nil) != (theirs == nil) {
		return out, fmt.Errorf("two replays of one log disagree: ours says %v, the other %v", ours, theirs) //nolint:errorlint // two opinions, none is the cause
	}
	return out, ours
}

// replayOther replays the log with an implementation that others wrote.
func replayOther(raw []byte, info tpm.Info) error {
	log, err := attest.ParseEventLog(raw)
	if err != nil {
		return err
	}
	var pcrs []attest.PCR
	for n, v := range info.PCRs {
		pcrs = append(pcrs, attest.PCR{Index: n, Digest: v[:], DigestAlg: crypto.SHA256})
	}
	_, err = log.Verify(pcrs)
	return err
}

// attests challenges a machine that has just started.
func (r *robot) attests(t *testing.T) proof {
	a, nonce, p, err := r.challenge(t)
	if err != nil {
		t.Fatal(err)
	}
	log := must(eventlog.Parse(a.EventLog))(t)
	t.Logf("quote in %v, verified outside; log of %d bytes with %d events explains PCRs %v; reset count %d",
		a.Took, len(a.EventLog), len(log.Events), quoted, p.info.ResetCount)
	// Kernel and initial file system, in which the product lies, are measured: an empty PCR would prove nothing.
	for _, n := range []int{0, 4, 9} {
		if p.info.PCRs[n] == ([sha256.Size]byte{}) {
			t.Errorf("PCR %d is empty", n)
		}
	}
	refusals(t, a, nonce)
	return p
}

// refusals changes one thing each and expects that it is noticed.
func refusals(t *testing.T, a wire.Attestation, nonce []byte) {
	t.Helper()
	for _, c := range []struct {
		name, reason string
		nonce        []byte
		change       func(*wire.Attestation)
	}{
		{"another nonce", "qualifying data", flipped(nonce), func(*wire.Attestation) {}},
		{"a changed PCR", "PCR", nonce, func(a *wire.Attestation) { a.PCRs = with(a.PCRs, 4, make([]byte, sha256.Size)) }},
		{"a changed quote", "signature", nonce, func(a *wire.Attestation) { a.Attest = flipped(a.Attest) }},
		{"a changed log", "pcr-mismatch:9", nonce, func(a *wire.Attestation) { a.EventLog = flippedDigest(t, a.EventLog, 9) }},
		{"the device key for the attestation key", "attestation key", nonce, func(a *wire.Attestation) { a.AK = a.Device }},
	} {
		changed := a
		c.change(&changed)
		_, err := verify(changed, c.nonce)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: expected a refusal that names %q, found %v", c.name, c.reason, err)
		}
	}
}

func with(m map[int][]byte, n int, v []byte) map[int][]byte {
	out := map[int][]byte{n: v}
	for k, old := range m {
		if k != n {
			out[k] = old
		}
	}
	return out
}

// flipped changes the last byte.
func flipped(b []byte) []byte {
	out := append([]byte(nil), b...)
	out[len(out)-1] ^= 1
	return out
}

// extendIsSeen extends a PCR in secret: the log does not explain it any more, and the verifier says which.
func (r *robot) extendIsSeen(t *testing.T) {
	if err := r.Extend(within(t, patience), wire.Extend{PCR: 7, Digest: sha256.Sum256([]byte("something in secret"))}); err != nil {
		t.Fatal(err)
	}
	_, _, _, err := r.challenge(t)
	if err == nil || !strings.Contains(err.Error(), "pcr-mismatch:7") || strings.Count(err.Error(), "pcr-mismatch") != 1 {
		t.Fatalf("after an unlogged extend of PCR 7: expected pcr-mismatch:7 alone, found %v", err)
	}
	t.Logf("refused: %v", err)
}

// attestsAgain compares with the start before: the same machine, the same measurements, one reset later.
func (r *robot) attestsAgain(t *testing.T, first proof) {
	_, _, p, err := r.challenge(t)
	if err != nil {
		t.Fatal(err)
	}
	if p.ak != first.ak {
		t.Errorf("attestation key %s, was %s", p.ak, first.ak)
	}
	if p.info.ResetCount != first.info.ResetCount+1 {
		t.Errorf("reset count %d, was %d: expected one more", p.info.ResetCount, first.info.ResetCount)
	}
	for n, v := range p.info.PCRs {
		if v != first.info.PCRs[n] {
			t.Errorf("PCR %d is %x, was %x at the start before", n, v, first.info.PCRs[n])
		}
	}
}

// flippedDigest changes the digest of the last event of a PCR.
func flippedDigest(t testing.TB, log []byte, pcr int) []byte {
	t.Helper()
	parsed := must(eventlog.Parse(log))(t)
	for _, e := range slices.Backward(parsed.Events) {
		if e.PCR != pcr {
			continue
		}
		at := bytes.LastIndex(log, parsed.Digest(&e, eventlog.SHA256))
		out := bytes.Clone(log)
		out[at] ^= 1
		return out
	}
	t.Fatalf("no event for PCR %d", pcr)
	return nil
}
