package callers_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/internal/callers"
	"github.com/robowarden/robowarden/agent/steward"
)

// serve runs the steward's side for these users and returns its socket.
func serve(t *testing.T, users []int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "call")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := callers.Listen("unixpacket", socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- callers.Serve(ctx, l, users, steward.Callers(), zerolog.New(zerolog.NewTestWriter(t))) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return socket
}

// pair is a connection of this very process to itself; what is returned is the end that was connected to.
func pair(t *testing.T) *net.UnixConn {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "p")
	l, err := callers.Listen("unix", socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = a.Close() })
	return a
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestTheKernelSaysWhoItIs(t *testing.T) {
	me := []int{os.Getuid()}
	socket := serve(t, me)
	who, err := callers.Ask(within(t), socket, me, pair(t))
	if err != nil || who.Why != "" || who.PID != os.Getpid() || who.UID != os.Getuid() || len(who.ExeSHA256) != 64 {
		t.Errorf("%+v, %v", who, err)
	}
	if uid, pid, err := callers.User(pair(t)); err != nil || uid != os.Getuid() || pid != os.Getpid() {
		t.Errorf("%d, %d, %v", uid, pid, err)
	}
}

// TestNobodyElse: only the courier is answered, and only the steward is asked.
func TestNobodyElse(t *testing.T) {
	me, other := []int{os.Getuid()}, []int{os.Getuid() + 1}
	if who, err := callers.Ask(within(t), serve(t, other), me, pair(t)); err == nil {
		t.Errorf("a stranger hears %+v", who)
	}
	if who, err := callers.Ask(within(t), serve(t, me), other, pair(t)); err == nil || !strings.Contains(err.Error(), "steward") {
		t.Errorf("a stranger is believed: %+v, %v", who, err)
	}
	if who, err := callers.Ask(within(t), filepath.Join(t.TempDir(), "none"), me, pair(t)); err == nil {
		t.Errorf("nobody says %+v", who)
	}
}

// TestWrongQuestions: a question without a connection ends that question and nothing else.
func TestWrongQuestions(t *testing.T) {
	me := []int{os.Getuid()}
	socket := serve(t, me)
	for _, packet := range []string{"x", "", strings.Repeat("x", 4096)} {
		c, err := net.Dial("unixpacket", socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(packet))
		if packet == "" {
			_ = c.Close()
			continue
		}
		if n, err := c.Read(make([]byte, 16)); err == nil && n > 0 {
			t.Errorf("%d bytes are told", n)
		}
		_ = c.Close()
	}
	if who, err := callers.Ask(within(t), socket, me, pair(t)); err != nil || who.PID != os.Getpid() {
		t.Errorf("%+v, %v", who, err)
	}
}

// TestListenTakesOnlyASocketsPlace: what a kill has left goes, a file stays.
func TestListenTakesOnlyASocketsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := callers.Listen("unix", path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close() // as after a kill
	if l, err = callers.Listen("unix", path, 0o666); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	_ = l.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := callers.Listen("unix", path, 0o666); err == nil {
		t.Error("a file was replaced")
	}
}
