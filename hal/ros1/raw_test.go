package ros1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// onSocket calls f with the connection's descriptor.
func onSocket(tb testing.TB, c *net.TCPConn, f func(fd uintptr)) {
	tb.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(f)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func TestReceiveAndSendDoNotWait(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	var buf [16]byte
	onSocket(t, far, func(fd uintptr) {
		if n, errno := receive(fd, buf[:]); n != 0 || errno != syscall.EAGAIN {
			t.Errorf("of an empty socket: %d, %v", n, errno)
		}
	})
	onSocket(t, near, func(fd uintptr) {
		if n, errno := send(fd, []byte("abc")); n != 3 || errno != 0 {
			t.Errorf("%d, %v", n, errno)
		}
	})
	if _, err := io.ReadFull(far, buf[:3]); err != nil || string(buf[:3]) != "abc" {
		t.Fatalf("%q, %v", buf[:3], err)
	}
	// Nobody reads: the socket takes what it has room for, and then says so at once.
	onSocket(t, near, func(fd uintptr) {
		much := make([]byte, 1<<20)
		for range 1000 {
			if n, errno := send(fd, much); errno != 0 {
				if errno != syscall.EAGAIN || n != 0 {
					t.Errorf("of a full socket: %d, %v", n, errno)
				}
				return
			}
		}
		t.Error("a socket takes a gigabyte that nobody reads")
	})
}

// TestSendToWhoIsGone: the signal that a broken connection raises would end the process.
func TestSendToWhoIsGone(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	if err := far.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	far.Close()
	eventually(t, "an error", func() (failed bool) {
		onSocket(t, near, func(fd uintptr) {
			_, errno := send(fd, []byte("x"))
			failed = errno == syscall.EPIPE || errno == syscall.ECONNRESET
		})
		return failed
	})
}

// TestStreamEnds: a stream says how its connection ended, in the words of package net where there are some.
func TestStreamEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end func(near, far *net.TCPConn)
		is  error
	}{
		"the peer closed it":  {func(near, _ *net.TCPConn) { near.Close() }, io.EOF},
		"the peer reset it":   {func(near, _ *net.TCPConn) { _ = near.SetLinger(0); near.Close() }, syscall.ECONNRESET},
		"it was closed here":  {func(_, far *net.TCPConn) { far.Close() }, net.ErrClosed},
		"its deadline passed": {func(_, far *net.TCPConn) { _ = far.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			defer near.Close()
			defer far.Close()
			got := make(chan string, 1)
			s := testStream(t, far, bus.Every, 1<<10, func(b []byte, _ time.Duration) error { got <- string(b); return nil })
			ended := make(chan error, 1)
			go func() { ended <- s.run() }()
			if _, err := near.Write(rostest.Frame([]byte("first"))); err != nil {
				t.Fatal(err)
			}
			if b := <-got; b != "first" {
				t.Fatalf("%q", b)
			}
			c.end(near, far)
			if err := <-ended; !errors.Is(err, c.is) {
				t.Errorf("%v; expected %v", err, c.is)
			}
		})
	}
}
