package proc

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// execPeer connects to a unix socket and then starts another program in the same process, which keeps the connection.
func execPeer(socket string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) // not closed on exec
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err == nil {
		err = unix.Exec("/bin/cat", []string{"cat"}, nil)
	}
	panic(err)
}

// peerRig is a listening socket, and the descriptor of the last connection.
type peerRig struct {
	t *testing.T
	l *net.UnixListener
}

func newPeerRig(t *testing.T) *peerRig {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); _ = os.RemoveAll(dir) })
	return &peerRig{t, l}
}

func (r *peerRig) accept() int {
	r.t.Helper()
	c, err := r.l.AcceptUnix()
	if err != nil {
		r.t.Fatal(err)
	}
	f, err := c.File()
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.Close()
	r.t.Cleanup(func() { _ = f.Close() })
	return int(f.Fd())
}

// child starts this test's program as a peer.
func (r *peerRig) child(mode string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "/proc/self/exe", r.l.Addr().String())
	cmd.Env = []string{helperMark + "=" + mode}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func needsPidfd(t *testing.T, fd int) {
	t.Helper()
	got, err := peerPidfd(fd)
	if err == nil {
		_ = unix.Close(got)
		return
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatalf("this kernel names no peer for good: %v", err)
	}
	t.Skipf("this kernel names no peer for good: %v", err)
}

func TestPeerIsWhoConnected(t *testing.T) {
	r := newPeerRig(t)
	c, err := net.Dial("unix", r.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	fd := r.accept()
	needsPidfd(t, fd)
	p := NewPeers()
	f := p.Peer(t.Context(), fd)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !f.Found() || f.PID != os.Getpid() || f.UID != os.Getuid() || f.Exe != self || len(f.ExeSHA256) != 64 || f.Start == 0 {
		t.Errorf("%+v", f)
	}
	if again := p.Peer(t.Context(), fd); again != f {
		t.Errorf("%+v, then %+v", f, again)
	}
	p.pidfd = func(int) (int, error) { return -1, unix.ENOPROTOOPT }
	if f := p.Peer(t.Context(), fd); f.Why != ReasonNoPidfd || f.PID != 0 {
		t.Errorf("an old kernel: %+v", f)
	}
	if f := p.Peer(t.Context(), 0); f.Found() {
		t.Errorf("no socket: %+v", f)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if f := NewPeers().Peer(ended, fd); f.Why != ReasonPending {
		t.Errorf("no time to look: %+v", f)
	}
}

// TestPeerThatStartedAnotherProgram: what counts is the program that the process is, not the one that connected.
func TestPeerThatStartedAnotherProgram(t *testing.T) {
	r := newPeerRig(t)
	cmd := r.child("exec")
	fd := r.accept()
	needsPidfd(t, fd)
	p := NewPeers()
	for {
		f := p.Peer(t.Context(), fd)
		if strings.Contains(f.Exe, "cat") || strings.Contains(f.Exe, "coreutils") {
			if f.PID != cmd.Process.Pid {
				t.Errorf("%+v", f)
			}
			return
		}
		if f.Why != ReasonNone && f.Why != ReasonGone && f.Why != ReasonPending {
			t.Fatalf("%+v", f)
		}
	}
}

// TestPeerNumberUsedAgain lets another process have the number of the one that connected. Without the look at the process
// itself, that one would be taken for it.
func TestPeerNumberUsedAgain(t *testing.T) {
	r := newPeerRig(t)
	cmd := r.child("unix")
	fd := r.accept()
	needsPidfd(t, fd)
	p := NewPeers()
	if f := p.Peer(t.Context(), fd); !f.Found() || f.PID != cmd.Process.Pid {
		t.Fatalf("%+v", f)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	root := t.TempDir()
	if err := os.Symlink("/proc/"+strconv.Itoa(os.Getpid()), filepath.Join(root, strconv.Itoa(cmd.Process.Pid))); err != nil {
		t.Fatal(err)
	}
	p.finder.o.Root = root
	if f := p.Peer(t.Context(), fd); f.Why != ReasonGone {
		t.Errorf("%+v", f)
	}
	p.pidfd = func(int) (int, error) { return unix.PidfdOpen(os.Getpid(), 0) }
	if f := p.Peer(t.Context(), fd); !f.Found() {
		t.Errorf("without the look: %+v, so the test shows nothing", f)
	}
}

// unixPeer connects and waits.
func unixPeer(socket string) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		panic(err)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	_ = c.Close()
}
