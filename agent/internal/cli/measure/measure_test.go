package measure

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/tpm"
)

// softwareTPM starts one until the test ends, and returns its socket.
func softwareTPM(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal("REQUIRE_ALL=1, but no swtpm here: run test/setup/install.sh")
		}
		t.Skip("no swtpm here: run test/setup/install.sh")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return socket
		}
		if time.Now().After(deadline) {
			t.Fatal("swtpm does not listen")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := New()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestMeasureCommand(t *testing.T) {
	socket := softwareTPM(t)
	dir := t.TempDir()
	file, log := filepath.Join(dir, "agent"), filepath.Join(dir, "measured")
	if err := os.WriteFile(file, []byte("test"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "--tpm", socket, "--log", log, file)
	if want := file + ": measured, sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, 4 bytes, PCR 14\n"; err != nil || out != want {
		t.Fatalf("%v\n%s\nexpected\n%s", err, out, want)
	}
	if out, err := command(t, "--tpm", socket, "--log", log, file); err != nil || !strings.Contains(out, "measured before") {
		t.Errorf("%v\n%s", err, out)
	}
	device, err := tpm.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	nonce := []byte("a nonce of enough bytes")
	quote, err := device.Quote(nonce, []int{0, 14})
	if err != nil {
		t.Fatal(err)
	}
	info, err := tpm.VerifyQuote(device.AK().Key(), quote, nonce)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	m, err := eventlog.ParseMeasured(data)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := eventlog.Expect(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if d := eventlog.Differences(expected, info.PCRs); d != nil {
		t.Errorf("%v", d)
	}
}

func TestMeasureCommandUsage(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no file": {nil, "requires at least 1 arg"}, "no TPM": {[]string{"--tpm", filepath.Join(dir, "none"), "x"}, "no such file"},
		"no TPM at all": {[]string{"--tpm", dir, "x"}, "neither a device nor a unix socket"}, "no time": {[]string{"--timeout", "0s", "x"}, "above zero"},
	} {
		if out, err := command(t, c.args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
