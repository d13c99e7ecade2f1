package tpm

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// skip leaves a test out, or fails it where everything must run.
func skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		tb.Fatalf("REQUIRE_ALL=1, but %s", why)
	}
	tb.Skip(why)
}

// tool finds a program or skips.
func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(tb, fmt.Sprintf("no %s here: run test/setup/install.sh", name))
	}
	return path
}

// vectors is a file that others made; tests of those skip where they are absent, and say so.
func vectors(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join("..", "..", "..", "shared", "vectors", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("no test vectors here: %v", err)
	}
	return path
}

// machine is a software TPM with its state, as a computer's: it can be switched off at any moment, and on again.
type machine struct {
	tb     testing.TB
	dir    string
	socket string
	flags  string
	cmd    *exec.Cmd
	out    *bytes.Buffer
}

// newMachine starts a software TPM that nobody has used.
func newMachine(tb testing.TB) *machine {
	tb.Helper()
	dir := tb.TempDir()
	m := &machine{tb: tb, dir: dir, socket: filepath.Join(dir, "s"), flags: "not-need-init,startup-clear"}
	if len(m.socket) > 100 { // unix sockets' paths are short
		short, err := os.MkdirTemp("", "tpm")
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = os.RemoveAll(short) })
		m.socket = filepath.Join(short, "s")
	}
	m.on()
	tb.Cleanup(m.off)
	return m
}

// on starts the software TPM from its state.
func (m *machine) on() {
	m.tb.Helper()
	path := tool(m.tb, "swtpm")
	_ = os.Remove(m.socket)
	m.out = &bytes.Buffer{}
	m.cmd = exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+m.dir, "--server", "type=unixio,path="+m.socket, "--flags", m.flags)
	m.cmd.Stdout, m.cmd.Stderr = m.out, m.out
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.tb.Fatal(err)
	}
	eventually(m.tb, "swtpm listens", func() bool {
		c, err := net.Dial("unix", m.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// off is a power cut.
func (m *machine) off() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	m.cmd = nil
}

// signal stops or continues the software TPM.
func (m *machine) signal(s syscall.Signal) {
	m.tb.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.tb.Fatal(err)
	}
}

// open opens the machine's TPM until the test ends.
func (m *machine) open() *TPM {
	m.tb.Helper()
	t, err := Open(m.socket)
	if err != nil {
		m.tb.Fatal(err)
	}
	m.tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			m.tb.Error(err)
		}
	})
	return t
}

// eventually polls until cond holds.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
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

func digest(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:]
}

// run runs a tool to its end and returns what it wrote.
func run(tb testing.TB, name string, args ...string) (string, error) {
	tb.Helper()
	cmd := exec.Command(tool(tb, name), args...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
