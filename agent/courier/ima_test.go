package courier

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// TestLogOfFilesByOffset reads the kernel's log from where the verifier wants it, in pieces, and sees that it has grown.
func TestLogOfFilesByOffset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ima")
	content := bytes.Repeat([]byte("0123456789abcdef"), evidence.MaxLog/16+1)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &proof{ima: path}
	for from, want := range map[int64][]string{
		0: {"ima.0", "ima.524288"}, 16: {"ima.16"}, int64(len(content)): {evidence.IMAPart(int64(len(content)))},
	} {
		got := p.readIMA(from)
		var names []string
		var data []byte
		for _, piece := range got.pieces {
			names, data = append(names, piece.name), append(data, piece.data...)
			if piece.sum != fingerprint(piece.data) {
				t.Errorf("%s has another digest", piece.name)
			}
		}
		if !slices.Equal(names, want) || !bytes.Equal(data, content[from:]) || got.grown() {
			t.Errorf("from %d: %q, %d bytes, grown %t; expected %q", from, names, len(data), got.grown(), want)
		}
		if pieceEnd(got.pieces) != 0 {
			t.Errorf("from %d: there is room for more", from)
		}
		for _, piece := range got.sent() {
			if len(piece.data) == 0 {
				t.Errorf("from %d: an empty piece is sent", from)
			}
		}
	}
	long := &proof{ima: filepath.Join(t.TempDir(), "long")}
	if err := os.WriteFile(long.ima, make([]byte, 20+evidence.MaxIMAParts*evidence.MaxLog), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, end := range map[int64]int64{7: 7 + evidence.MaxIMAParts*evidence.MaxLog, 21: 0} {
		other := []logFile{{evidence.LogFirmware, "", make([]byte, evidence.MaxLog)}}
		if got := long.readIMA(from); pieceEnd(append(other, got.sent()...)) != end {
			t.Errorf("from %d: goes on at %d, expected %d", from, pieceEnd(got.sent()), end)
		}
	}
	before := p.readIMA(int64(len(content)))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("x")
	_ = f.Close()
	if !before.grown() {
		t.Error("the log has grown, and nobody sees it")
	}
	for name, p := range map[string]*proof{"no path": {}, "no file": {ima: path + "x"}, "a folder": {ima: t.TempDir()}} {
		if got := p.readIMA(0); len(got.pieces) != 0 || got.grown() {
			t.Errorf("%s: %d pieces", name, len(got.pieces))
		}
	}
}

// TestEvidenceIsMadeAnewWhenTheLogGrows: what the TPM quotes must not be ahead of the log that goes along.
func TestEvidenceIsMadeAnewWhenTheLogGrows(t *testing.T) {
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	for _, grows := range []int{0, imaTries - 1, imaTries} {
		path := filepath.Join(t.TempDir(), "ima")
		if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
			t.Fatal(err)
		}
		grow := &growing{Signer: key, path: path, times: grows}
		p := &proof{ima: path, kernel: kernelFiles(t.TempDir()), agent: strings.Repeat("ab", 32)}
		c := &order.Challenge{Session: order.NewID(), Robot: testRobot, BootID: uuid, Nonce: order.NewID() + order.NewID(), Logs: []string{evidence.IMAPart(0)}}
		msg, logs, err := p.build(&identity{key: grow, tier: order.TierSoftwareKey}, c, facts{robot: testRobot, boot: uuid, nonce: order.NewID(), head: contract.Head{Digest: strings.Repeat("cd", 32)}})
		if grows == imaTries { // It would have to be refused.
			if !errors.Is(err, errBusy) || msg != nil || logs != nil || grow.signed != imaTries {
				t.Errorf("grows each time: signed %d times, %d bytes, %v", grow.signed, len(msg), err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := evidence.Parse(msg)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(logs) != 1 || !bytes.Equal(logs[0].data, whole) || e.Claims.Log("ima.0") != fingerprint(whole) || grow.signed != grows+1 {
			t.Errorf("grows %d times: %d logs, signed %d times, the claims name %s", grows, len(logs), grow.signed, e.Claims.Log("ima.0"))
		}
	}
}

const uuid = "01234567-89ab-cdef-0123-456789abcdef"

// growing is a key under whose first signatures the log grows.
type growing struct {
	crypto.Signer
	path          string
	times, signed int
}

func (g *growing) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if g.signed++; g.signed <= g.times {
		f, err := os.OpenFile(g.path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		_, _ = f.WriteString("more")
		_ = f.Close()
	}
	return g.Signer.Sign(r, digest, o)
}
