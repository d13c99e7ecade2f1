package courier

import (
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// newTPM starts a software TPM and returns its socket.
func newTPM(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal("swtpm is not installed")
		}
		t.Skip("swtpm is not installed")
	}
	dir, err := os.MkdirTemp("", "tpm") // unix sockets' paths are short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = os.RemoveAll(dir) })
	until(t, "swtpm listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return socket
}

// TestKeyInTheTPM lets the TPM's device key open the TLS connection and sign, and its attestation key quote.
func TestKeyInTheTPM(t *testing.T) {
	w := newWorld(t)
	w.config.Courier.TPM, w.config.Courier.Key = newTPM(t), ""
	chip, err := tpm.Open(w.config.Courier.TPM)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = chip.Close() }()
	w.broker.ca.issue("robot", "acme:r1", chip.Device().Public(), longest)
	w.pcrs = []int{0, 7, 14}
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	var h Hello
	if !w.last(TopicHello, &h) || h.AKName != hex.EncodeToString(chip.AKName()) || h.Header.Tier != "tpm" {
		t.Errorf("hello %+v", h)
	}
	w.with(func() {
		e := w.evidence[0]
		if err := e.Verify(chip.Device().Public()); err != nil {
			t.Error(err)
		}
		if e.Claims.Tier != order.TierTPM || e.Quote == nil || len(e.Quote.PCRs) != 3 {
			t.Fatalf("%+v", e.Claims)
		}
		if e.Claims.CommandLine.SHA256 == "" || e.Claims.Debug == nil {
			t.Errorf("the command line's digest is %q, open debug interfaces %v: expected both to be told", e.Claims.CommandLine.SHA256, e.Claims.Debug)
		}
		ak, err := tpm.ParsePublic(chip.AKPublic())
		if err != nil {
			t.Fatal(err)
		}
		nonce := e.Claims.Nonce
		data := e.QualifyingData(nonce)
		if _, err := tpm.VerifyQuote(ak.Key(), tpm.Quote(*e.Quote), data[:]); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(filepath.Join(w.config.Courier.StateDir, softwareKey)); err == nil {
		t.Error("a software key was made beside the TPM's")
	}
	w.check()
}

// TestNoTPMWhereOneShouldBe: a robot whose TPM is gone never falls back to a weaker key.
func TestNoTPMWhereOneShouldBe(t *testing.T) {
	w := newWorld(t)
	w.config.Courier.TPM = filepath.Join(w.dir, "no-tpm")
	w.guard.record(30)
	w.run()
	until(t, "the claim of failure", func() bool { return w.claimed().State == "failed" })
	until(t, "the connection", func() bool { return w.on(TopicConnection) > 0 })
	w.silentSo()
	if w.on(TopicHello) > 0 || !w.noted("device key") {
		t.Error("a hello without a key")
	}
}
