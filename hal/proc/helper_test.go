package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperMark makes the test's own program a peer: it dials the address in its argument, says so, and waits.
const helperMark = "PROC_TEST_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(helperMark) != "" {
		peer(os.Getenv(helperMark), os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// peer behaves as its mode says until its standard input ends.
func peer(mode string, args []string) {
	if mode == "look" {
		f, err := New(Options{Now: bootClock})
		if err == nil {
			p := Pair{Local: netip.MustParseAddrPort(args[0]), Remote: netip.MustParseAddrPort(args[1])}
			fmt.Print(f.Find(context.Background(), []Pair{p})[0].Why)
		}
		return
	}
	switch mode {
	case "exec":
		execPeer(args[0])
	case "unix":
		unixPeer(args[0])
		return
	}
	if mode == "idle" {
		_, _ = io.Copy(io.Discard, os.NewFile(3, "socket"))
		return
	}
	if bind, ok := strings.CutPrefix(mode, "udp:"); ok {
		udpPeer(args[0], bind)
		return
	}
	c, err := net.Dial("tcp", args[0])
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var child *exec.Cmd
	switch mode {
	case "share":
		// A child of the same user and program has the socket too; "other" starts another program with it.
		child = exec.Command("/proc/self/exe", "x")
		child.Env = []string{helperMark + "=idle"}
	case "other":
		child = exec.Command("/bin/sleep", "1000")
	case "mixed":
		if err := unix.Setresuid(-1, 65534, -1); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	if child != nil {
		f, err := c.(*net.TCPConn).File()
		if err == nil {
			child.ExtraFiles = []*os.File{f}
			child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			err = child.Start()
			_ = f.Close()
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	}
	fmt.Println("ready", c.LocalAddr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = c.Close()
}

// lookFrom looks for the far end from another process, with less rights or from another network.
func lookFrom(t *testing.T, program string, p Pair, as *syscall.SysProcAttr) Reason {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, p.Local.String(), p.Remote.String())
	cmd.Env = []string{helperMark + "=look"}
	cmd.SysProcAttr = as
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return Reason(out)
}

// started is a peer that runs.
type started struct {
	cmd  *exec.Cmd
	pair Pair
	conn net.Conn
}

// startPeer starts a peer that connects to the test and returns the test's end.
func startPeer(t *testing.T, program, mode string, change func(*exec.Cmd)) started {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // one connection is all
	cmd := exec.CommandContext(t.Context(), program, l.Addr().String())
	cmd.Env = []string{helperMark + "=" + mode}
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("the peer says %q, %v", line, err)
	}
	return started{cmd, pairOf(conn), conn}
}

func pairOf(c net.Conn) Pair {
	return Pair{Local: netip.MustParseAddrPort(c.LocalAddr().String()), Remote: netip.MustParseAddrPort(c.RemoteAddr().String())}
}

func bootClock() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

func newFinder(t *testing.T, change func(*Options)) *Finder {
	t.Helper()
	o := Options{Now: bootClock}
	if change != nil {
		change(&o)
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func find(t *testing.T, f *Finder, p Pair) Fact {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return f.Find(ctx, []Pair{p})[0]
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// copySelf puts the test's own program under another name.
func copySelf(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	path := dir + "/" + name
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: to start processes of other users")
	}
}
