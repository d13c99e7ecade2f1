package proc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFindsTheProcessBehindAConnection(t *testing.T) {
	p := startPeer(t, self(t), "plain", nil)
	f := newFinder(t, nil)
	got := find(t, f, p.pair)
	b, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if !got.Found() || got.PID != p.cmd.Process.Pid || got.UID != os.Getuid() || got.Exe != self(t) ||
		got.ExeSHA256 != hex.EncodeToString(sum[:]) || got.Start == 0 || got.Cgroup == "" || got.Interpreter {
		t.Fatalf("%+v, expected pid %d and this test's program", got, p.cmd.Process.Pid)
	}
	// The second round confirms without looking through all processes, and hashes nothing again.
	hashed := f.exes.hashed
	if again := find(t, f, p.pair); again != got || f.Scans != 1 || f.exes.hashed != hashed {
		t.Errorf("%+v after %d scans and %d more bytes", again, f.Scans, f.exes.hashed-hashed)
	}
}

func TestFindsOverIPv6AndMappedAddresses(t *testing.T) {
	for _, c := range []struct{ listen, dial string }{{"[::1]:0", "tcp6"}, {"[::]:0", "tcp4"}} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		host := "127.0.0.1"
		if c.dial == "tcp6" {
			host = "::1"
		}
		out, err := net.Dial(c.dial, net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, conn := range []net.Conn{in, out} {
			if got := find(t, newFinder(t, nil), pairOf(conn)); got.PID != os.Getpid() || !got.Found() {
				t.Errorf("%s: %+v", c.listen, got)
			}
		}
		_, _, _ = out.Close(), in.Close(), l.Close()
	}
}

func TestWhoHides(t *testing.T) {
	needRoot(t)
	as := func(uid uint32) func(*exec.Cmd) {
		return func(c *exec.Cmd) {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		}
	}
	dir, err := os.MkdirTemp("", "proc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // other users start programs in it
		t.Fatal(err)
	}
	program := copySelf(t, dir, "peer")
	t.Run("another user is that user", func(t *testing.T) {
		p := startPeer(t, program, "plain", as(65534))
		if got := find(t, newFinder(t, nil), p.pair); !got.Found() || got.UID != 65534 || got.PID != p.cmd.Process.Pid {
			t.Errorf("%+v", got)
		}
	})
	t.Run("several user ids", func(t *testing.T) {
		p := startPeer(t, program, "mixed", nil)
		if got := find(t, newFinder(t, nil), p.pair); got.Why != ReasonMixedIDs {
			t.Errorf("%+v", got)
		}
	})
	t.Run("shared with the same program is one answer", func(t *testing.T) {
		p := startPeer(t, program, "share", nil)
		if got := find(t, newFinder(t, nil), p.pair); !got.Found() || got.Exe != program {
			t.Errorf("%+v", got)
		}
	})
	t.Run("shared with another program", func(t *testing.T) {
		p := startPeer(t, program, "other", nil)
		if got := find(t, newFinder(t, nil), p.pair); got.Why != ReasonShared {
			t.Errorf("%+v", got)
		}
	})
	t.Run("executable deleted", func(t *testing.T) {
		p := startPeer(t, copySelf(t, dir, "gone"), "plain", nil)
		if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
			t.Fatal(err)
		}
		if got := find(t, newFinder(t, nil), p.pair); got.Why != ReasonExeDeleted {
			t.Errorf("%+v", got)
		}
	})
	t.Run("name with a newline and a parenthesis", func(t *testing.T) {
		name := "a) R 1 1\nUid:\t0\t0\t0\t0\n"
		p := startPeer(t, copySelf(t, dir, name), "plain", as(65534))
		got := find(t, newFinder(t, nil), p.pair)
		if !got.Found() || got.UID != 65534 || got.Exe != printable(filepath.Join(dir, name)) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("interpreter", func(t *testing.T) {
		p := startPeer(t, copySelf(t, dir, "python3.11"), "plain", nil)
		if got := find(t, newFinder(t, nil), p.pair); !got.Found() || !got.Interpreter {
			t.Errorf("%+v", got)
		}
	})
	t.Run("traced", func(t *testing.T) {
		p := startPeer(t, program, "plain", nil)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		pid := p.cmd.Process.Pid
		if err := unix.PtraceSeize(pid); err != nil {
			t.Fatal(err)
		}
		got := find(t, newFinder(t, nil), p.pair)
		_ = unix.PtraceInterrupt(pid)
		var ws unix.WaitStatus
		_, _ = unix.Wait4(pid, &ws, unix.WALL, nil)
		_ = unix.PtraceDetach(pid)
		if got.Why != ReasonTraced {
			t.Errorf("%+v", got)
		}
	})
	t.Run("another network namespace", func(t *testing.T) {
		// The same numbers in a network of its own: nothing of it is in this network's table.
		local, remote := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")
		if got := find(t, newFinder(t, nil), Pair{Local: local, Remote: remote}); got.Why != ReasonNotSeen {
			t.Errorf("%+v", got)
		}
		p := startPeer(t, program, "plain", nil)
		if got := lookFrom(t, program, p.pair, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}); got != ReasonNotSeen {
			t.Errorf("%q", got)
		}
		// The off case: from this network it is seen.
		if got := lookFrom(t, program, p.pair, nil); got != ReasonNone {
			t.Errorf("%q", got)
		}
	})
	t.Run("not permitted to look", func(t *testing.T) {
		p := startPeer(t, program, "plain", nil)
		got := lookFrom(t, program, p.pair, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
		if got != ReasonHidden {
			t.Errorf("%q", got)
		}
	})
}

func TestConnectionsWithoutAProcess(t *testing.T) {
	f := newFinder(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test's end
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the test's end
	p := pairOf(c)
	// Go's accept takes it only when asked: until then no process has the far end.
	if got := find(t, f, p); got.Why != ReasonOrphan {
		t.Errorf("not accepted: %+v", got)
	}
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := find(t, f, p); !got.Found() {
		t.Errorf("accepted: %+v", got)
	}
	// A reset leaves neither end behind.
	_ = in.(*net.TCPConn).SetLinger(0)
	_ = in.Close()
	deadline := time.Now().Add(5 * time.Second)
	for got := find(t, f, p); got.Why != ReasonNotSeen && got.Why != ReasonNoSocket; got = find(t, f, p) {
		if time.Now().After(deadline) {
			t.Fatalf("closed: %+v", got)
		}
	}
	for text, want := range map[string]Reason{"192.0.2.1:80": ReasonRemote, "[2001:db8::1]:80": ReasonRemote} {
		if got := find(t, f, Pair{Local: p.Local, Remote: netip.MustParseAddrPort(text)}); got.Why != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
	if got := find(t, f, Pair{Remote: p.Remote}); got.Why != ReasonNotSeen {
		t.Errorf("no near end: %+v", got)
	}
}

func TestManyPairsAreBounded(t *testing.T) {
	pairs := make([]Pair, MaxPairs+10)
	a := netip.MustParseAddrPort("127.0.0.1:1")
	for i := range pairs {
		pairs[i] = Pair{Local: a, Remote: a}
	}
	got := newFinder(t, nil).Find(t.Context(), pairs)
	if len(got) != len(pairs) || got[MaxPairs].Why != ReasonTooMany || got[0].Why == ReasonTooMany {
		t.Errorf("%d facts, the last %+v", len(got), got[len(got)-1])
	}
}

// BenchmarkFind shows what one round costs: confirming, and looking through all processes.
func BenchmarkFind(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the end
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the end
	in, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // the end
	pairs := []Pair{pairOf(c)}
	f, err := New(Options{Now: bootClock})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("confirm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Find(context.Background(), pairs)
		}
	})
	b.Run("all processes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.full = false
			clear(f.known)
			f.Find(context.Background(), pairs)
		}
	})
}
