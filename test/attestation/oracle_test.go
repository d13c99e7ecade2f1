package attestation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // the recordings' bank
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	oracle "github.com/google/go-attestation/attest"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/test/internal/need"
)

// recordings are the files that go-attestation itself is tested with; they come with its module.
func recordings(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/go-attestation").Output()
	if err != nil {
		tb.Fatalf("go list: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "attest", "testdata")
}

// logs are all event logs of real machines that are here, by name.
func logs(tb testing.TB) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	folders := []string{recordings(tb)}
	more, err := filepath.Glob("../../../shared/vectors/eventlogs/*")
	if err != nil {
		tb.Fatal(err)
	}
	if len(more) == 0 {
		tb.Log("no further test vectors here: go-attestation's own only")
	}
	for _, dir := range append(folders, more...) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), ".json") {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				tb.Fatal(err)
			}
			out[filepath.Join(filepath.Base(dir), e.Name())] = data
		}
	}
	return out
}

// asOracle are replayed PCRs as go-attestation wants them; only those that the log extends, as it refuses others.
func asOracle(l *eventlog.Log, alg eventlog.Alg, pcrs map[int][]byte) []oracle.PCR {
	hash := map[eventlog.Alg]crypto.Hash{eventlog.SHA1: crypto.SHA1, eventlog.SHA256: crypto.SHA256}[alg]
	var out []oracle.PCR
	for n, v := range pcrs {
		extended := slices.ContainsFunc(l.Events, func(e eventlog.Event) bool { return e.PCR == n && e.Type != eventlog.NoAction })
		if extended {
			out = append(out, oracle.PCR{Index: n, Digest: v, DigestAlg: hash})
		}
	}
	return out
}

// What we read, go-attestation reads and replays to the same PCRs, and it finds the PCR that was changed. What it cannot
// read, we do not read either.
func TestLogsReplayAlike(t *testing.T) {
	read, refused := 0, 0
	for name, data := range logs(t) {
		t.Run(name, func(t *testing.T) {
			l, err := eventlog.Parse(data)
			theirs, theirErr := oracle.ParseEventLog(data)
			if err != nil {
				refused++
				legacy := theirErr == nil && !bytes.Contains(data[:min(len(data), 64)], []byte("Spec ID Event03"))
				if !legacy && theirErr == nil && len(data) > 0 || legacy && !errors.Is(err, eventlog.ErrLegacy) {
					t.Errorf("we refuse: %v; they do not", err)
				}
				t.Logf("refused: %v; go-attestation: %v", err, theirErr)
				if legacy {
					replaysLegacyAlike(t, data, theirs)
				}
				return
			}
			if theirErr != nil {
				t.Fatalf("go-attestation refuses: %v", theirErr)
			}
			read++
			for _, alg := range []eventlog.Alg{eventlog.SHA1, eventlog.SHA256} {
				pcrs, err := l.Replay(alg)
				if errors.Is(err, eventlog.ErrNoBank) {
					continue
				}
				want := asOracle(l, alg, pcrs)
				if events, err := theirs.Verify(want); err != nil || len(events) == 0 {
					t.Errorf("%v: %v", alg, err)
				}
				want[0].Digest = bytes.Clone(want[0].Digest)
				want[0].Digest[0] ^= 1
				var replay oracle.ReplayError
				if _, err := theirs.Verify(want); !errors.As(err, &replay) || !slices.Contains(replay.InvalidPCRs, want[0].Index) {
					t.Errorf("%v with PCR %d changed: %v", alg, want[0].Index, err)
				}
			}
		})
	}
	if read < 3 || refused < 3 {
		t.Errorf("%d logs were read and %d refused", read, refused)
	}
}

// replaysLegacyAlike reads a log of the old format, for people only, and compares its SHA-1 replay.
func replaysLegacyAlike(t *testing.T, data []byte, theirs *oracle.EventLog) {
	t.Helper()
	l, err := eventlog.ParseLegacy(data)
	if err != nil {
		t.Errorf("we do not read the old format: %v", err)
		return
	}
	pcrs, err := l.Replay(eventlog.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	want := asOracle(l, eventlog.SHA1, pcrs)
	if events, err := theirs.Verify(want); err != nil || len(events) == 0 && len(want) > 0 {
		t.Errorf("the old format replays otherwise: %v", err)
	}
}

// Spoilt logs: whatever both parsers read, both replay alike.
func TestSpoiltLogsReplayAlike(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := mathrand.New(mathrand.NewPCG(seed, 2))
	all := logs(t)
	var names []string
	for name, data := range all {
		if _, err := eventlog.Parse(data); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	both := 0
	for range 300 {
		data := bytes.Clone(all[names[rng.IntN(len(names))]])
		for range 1 + rng.IntN(3) {
			data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		}
		l, err := eventlog.Parse(data)
		if err != nil {
			continue
		}
		theirs, err := oracle.ParseEventLog(data)
		if err != nil {
			continue
		}
		pcrs, err := l.Replay(eventlog.SHA256)
		if err != nil {
			continue
		}
		if _, err := theirs.Verify(asOracle(l, eventlog.SHA256, pcrs)); err != nil {
			t.Errorf("%v", err)
		}
		both++
	}
	t.Logf("%d spoilt logs were read by both", both)
	if both < 100 {
		t.Error("too few to tell")
	}
}

// gcp is a recording of a Windows machine: a log, what its PCRs then were, and a quote over them.
type gcp struct {
	AK struct {
		Public []byte
	}
	Quote struct {
		Nonce, Quote, Signature []byte
	}
	Log struct {
		PCRs []struct {
			Index  int
			Digest []byte
		}
		Raw []byte
	}
}

// The recording is all SHA-1 and has no nonce. Every part of it is refused, each by its name, and the log's arithmetic
// is nonetheless the machine's: rewritten as a crypto-agile log with the SHA-1 bank, it replays to the recorded PCRs, and
// those to the digest that the TPM has signed.
func TestRecordingOfAWindowsMachine(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(recordings(t), "windows_gcp_shielded_vm.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r gcp
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	ak, err := tpm.ParsePublic(r.AK.Public)
	if err != nil {
		t.Fatal(err)
	}
	if err := ak.CheckAK(); err != nil {
		t.Error(err)
	}
	quote := tpm.Quote{Attest: r.Quote.Quote, Signature: r.Quote.Signature, PCRs: map[int][32]byte{0: {}}}
	if _, err := tpm.VerifyQuote(ak.Key(), quote, nil); !errors.Is(err, tpm.ErrQualifyingData) {
		t.Errorf("without a nonce: %v", err)
	}
	if _, err := tpm.VerifyQuote(ak.Key(), quote, make([]byte, 32)); !errors.Is(err, tpm.ErrSignature) || !strings.Contains(err.Error(), "algorithm 0x4, expected SHA-256") {
		t.Errorf("signed over a SHA-1 digest: %v", err)
	}
	if _, err := eventlog.Parse(r.Log.Raw); !errors.Is(err, eventlog.ErrLegacy) {
		t.Errorf("SHA-1 log: %v", err)
	}
	// The oracle takes it: the recording is whole.
	theirs, err := oracle.ParseAKPublic(r.AK.Public)
	if err != nil {
		t.Fatal(err)
	}
	var pcrs []oracle.PCR
	for _, p := range r.Log.PCRs {
		pcrs = append(pcrs, oracle.PCR{Index: p.Index, Digest: p.Digest, DigestAlg: crypto.SHA1})
	}
	if err := theirs.Verify(oracle.Quote{Quote: r.Quote.Quote, Signature: r.Quote.Signature}, pcrs, r.Quote.Nonce); err != nil {
		t.Errorf("go-attestation on the quote: %v", err)
	}
	l, err := eventlog.Parse(agile(t, r.Log.Raw))
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := l.Replay(eventlog.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, p := range r.Log.PCRs {
		if p.Index < 16 && p.Index != 12 && p.Index != 13 && p.Index != 11 { // Windows extends 11 to 13 after the firmware's log
			compared++
			if !bytes.Equal(replayed[p.Index], p.Digest) {
				t.Errorf("PCR %d: %x, the machine had %x", p.Index, replayed[p.Index], p.Digest)
			}
		}
	}
	t.Logf("%d events, %d PCRs as recorded", len(l.Events), compared)
}

// agile rewrites a SHA-1 log as a crypto-agile one with that bank alone.
func agile(tb testing.TB, old []byte) []byte {
	tb.Helper()
	spec := append([]byte("Spec ID Event03\x00"), 0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 4, 0, 20, 0, 0)
	out := append(append(binary.LittleEndian.AppendUint32(make([]byte, 4, 1<<16), 3), make([]byte, 20)...), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(out[28:], uint32(len(spec)))
	out = append(out, spec...)
	for len(old) >= 32 {
		size := int(binary.LittleEndian.Uint32(old[28:]))
		if size > len(old)-32 {
			tb.Fatal("the recorded log is cut")
		}
		out = append(out, old[:8]...)
		out = append(out, 1, 0, 0, 0, 4, 0)
		out = append(out, old[8:32+size]...)
		old = old[32+size:]
	}
	return out
}

// softwareTPM starts one until the test ends, and opens it.
func softwareTPM(t *testing.T) *tpm.TPM {
	t.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		need.Missing(t, "no swtpm here: run test/setup/install.sh")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("swtpm does not listen")
		}
	}
	device, err := tpm.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	return device
}

// Our quotes, as go-attestation sees them.
func TestOracleAcceptsOurQuotes(t *testing.T) {
	device := softwareTPM(t)
	if err := device.Extend(14, sha256.Sum256([]byte("event"))); err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce)
	q, err := device.Quote(nonce, []int{0, 7, 14})
	if err != nil {
		t.Fatal(err)
	}
	ak, err := oracle.ParseAKPublic(device.AKPublic())
	if err != nil {
		t.Fatal(err)
	}
	var pcrs []oracle.PCR
	for n, v := range q.PCRs {
		pcrs = append(pcrs, oracle.PCR{Index: n, Digest: v[:], DigestAlg: crypto.SHA256})
	}
	theirs := oracle.Quote{Quote: q.Attest, Signature: q.Signature}
	if err := ak.Verify(theirs, pcrs, nonce); err != nil {
		t.Error(err)
	}
	if err := ak.Verify(theirs, pcrs, nonce[:31]); err == nil {
		t.Error("go-attestation takes another nonce")
	}
}
