package tpm

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/eventlog"
)

// tpm2-tools accepts our quotes, and refuses them where we would.
func TestTPM2CheckquoteAcceptsOurQuotes(t *testing.T) {
	tool(t, "tpm2_checkquote")
	tpm := newMachine(t).open()
	nonce := digest("nonce")
	pcrs := []int{0, 7, 14, 16}
	if err := tpm.Extend(14, sha256.Sum256([]byte("event"))); err != nil {
		t.Fatal(err)
	}
	q := must(tpm.Quote(nonce, pcrs))(t)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("ak.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(tpm.AK().Key()))(t)}))
	check := func(q Quote, nonce []byte) (string, error) {
		// Its file of PCRs: a list of 4 + 16 × 8 bytes that names them, a count, and lists of 4 + 8 × (2 + 64) bytes with values.
		list := make([]byte, 140+4+8*66)
		list[0], list[4], list[6] = 1, 0x0b, 3
		for i, n := range pcrs {
			list[7+n/8] |= 1 << (n % 8)
			v := q.PCRs[n]
			copy(list[140+66*i:], append([]byte{32, 0}, v[:]...))
		}
		list[132], list[136] = 1, byte(len(pcrs))
		return run(t, "tpm2_checkquote", "-u", key, "-m", file("quote", q.Attest), "-s", file("sig", q.Signature), "-f", file("pcrs", list), "-q", hex.EncodeToString(nonce), "-g", "sha256")
	}
	out, err := check(q, nonce)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if v := q.PCRs[14]; !strings.Contains(strings.ToLower(out), hex.EncodeToString(v[:])) {
		t.Errorf("it does not show PCR 14 as %x:\n%s", v, out)
	}
	if out, err := check(q, digest("other")); err == nil {
		t.Errorf("accepted another nonce:\n%s", out)
	}
	bad := q
	bad.Attest = bytes.Clone(q.Attest)
	bad.Attest[len(bad.Attest)-1] ^= 1
	if out, err := check(bad, nonce); err == nil {
		t.Errorf("accepted a changed statement:\n%s", out)
	}
}

// A real machine's log is extended into a TPM, event by event: what the TPM then quotes is what the replay expects. Here
// the TPM is the oracle of the replay.
func TestQuoteAfterARealLog(t *testing.T) {
	for _, name := range []string{"go-tpm-tools/ubuntu-2404-amd-sevsnp.bin", "keylime/binary_bios_measurements-secureboot", "go-tpm-tools/gdc-host.bin"} {
		t.Run(name, func(t *testing.T) {
			log := must(eventlog.Parse(must(os.ReadFile(vectors(t, "eventlogs/"+name)))(t)))(t)
			tpm := newMachine(t).open()
			for i := range log.Events {
				e := &log.Events[i]
				if e.Type == eventlog.NoAction {
					continue
				}
				if err := tpm.Extend(e.PCR, [32]byte(log.Digest(e, eventlog.SHA256))); err != nil {
					t.Fatal(err)
				}
			}
			measured := &eventlog.Measured{PCR: 14, Files: []eventlog.MeasuredFile{{Path: "/usr/bin/robowarden", Size: 4, Digest: sha256.Sum256([]byte("test"))}}}
			if err := tpm.Extend(14, measured.Files[0].Extended()); err != nil {
				t.Fatal(err)
			}
			nonce := digest("nonce")
			q := must(tpm.Quote(nonce, allPCRs))(t)
			info := must(VerifyQuote(tpm.AK().Key(), q, nonce))(t)
			expected := must(eventlog.Expect(log, measured))(t)
			differ := func(expected eventlog.PCRs) []int {
				out := []int{}
				for _, d := range eventlog.Differences(expected, info.PCRs) {
					out = append(out, d.PCR)
				}
				return out
			}
			want := []int{}
			if log.StartupLocality != 0 { // this TPM was started from locality 0, not as the log says
				want = []int{0}
			}
			if got := differ(expected); !slices.Equal(got, want) {
				t.Errorf("PCRs %v differ, expected %v", got, want)
			}
			// The off case: an event more, as an attacker would need it, and the log without the agent.
			if err := tpm.Extend(4, [32]byte{1}); err != nil {
				t.Fatal(err)
			}
			info = must(VerifyQuote(tpm.AK().Key(), must(tpm.Quote(nonce, allPCRs))(t), nonce))(t)
			if got := differ(must(eventlog.Expect(log))(t)); !slices.Equal(got, append(want, 4, 14)) {
				t.Errorf("PCRs %v differ, expected %v", got, append(want, 4, 14))
			}
		})
	}
}

// benchmarks: one command each, as `go test -bench . ./attest/tpm` shows them.
func BenchmarkQuote12PCRs(b *testing.B) {
	tpm := newMachine(b).open()
	for b.Loop() {
		if _, err := tpm.Quote(digest("n"), allPCRs[:12]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyQuote(b *testing.B) {
	tpm := newMachine(b).open()
	q := must(tpm.Quote(digest("n"), allPCRs[:12]))(b)
	for b.Loop() {
		if _, err := VerifyQuote(tpm.AK().Key(), q, digest("n")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeviceSign(b *testing.B) {
	d := newMachine(b).open().Device()
	for b.Loop() {
		if _, err := d.Sign(nil, digest("n"), nil); err != nil {
			b.Fatal(err)
		}
	}
}
