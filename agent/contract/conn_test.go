package contract

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socketPair is a connection of which both ends are ours.
func socketPair(t *testing.T) (near, far *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	open := func(fd int) *net.UnixConn {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		t.Cleanup(func() { _ = c.Close() })
		return c.(*net.UnixConn) //nolint:errcheck,forcetypeassert // a unix socket
	}
	return open(fds[0]), open(fds[1])
}

func TestFramesPassInPacketsAndDocuments(t *testing.T) {
	near, far := socketPair(t)
	buf := make([]byte, MaxPacket+1)
	for _, n := range []int{0, 1, 1000, MaxPacket - headBytes, MaxPacket - headBytes + 1, 1 << 20, MaxDocument} {
		want := Frame{Type: FrameOrder, ID: uint32(n), Body: bytes.Repeat([]byte{'x'}, n)}
		for _, wait := range []bool{true, false} {
			if err := WriteFrame(near, want, wait); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			got, err := ReadFrame(far, buf)
			if err != nil || got.Type != want.Type || got.ID != want.ID || !bytes.Equal(got.Body, want.Body) {
				t.Fatalf("%d bytes: %v, %d arrived", n, err, len(got.Body))
			}
		}
	}
	if err := WriteFrame(near, Frame{Type: FrameOrder, Body: make([]byte, MaxDocument+1)}, true); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a body over its cap: %v", err)
	}
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFrame(far, buf); !errors.Is(err, io.EOF) {
		t.Errorf("found %v at the end, expected io.EOF", err)
	}
}

func TestWriteFrameNeverWaitsIfToldSo(t *testing.T) {
	near, _ := socketPair(t)
	f := Frame{Type: FrameHead, Body: make([]byte, 1000)}
	for range 1 << 16 {
		if err := WriteFrame(near, f, false); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("a reader that reads nothing took everything")
}

func TestReadFrameRefuses(t *testing.T) {
	full := unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK
	rights := func(t *testing.T, n, size, seals int) []byte {
		t.Helper()
		var fds []int
		for range n {
			fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Close(fd) })
			if err := unix.Ftruncate(fd, int64(size)); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
		return unix.UnixRights(fds...)
	}
	head := []byte("O\x01\x00\x00\x00")
	for name, c := range map[string]struct {
		packet             []byte
		files, size, seals int
	}{
		"too long":               {make([]byte, MaxPacket+1), 0, 0, 0},
		"too short":              {[]byte("O"), 0, 0, 0},
		"unsealed":               {head, 1, 1, 0},
		"may shrink":             {head, 1, 1, unix.F_SEAL_WRITE},
		"may change":             {head, 1, 1, unix.F_SEAL_SHRINK},
		"two documents":          {head, 2, 1, full},
		"sixteen documents":      {head, 16, 1, full},
		"document and body":      {append(head[:5:5], 'x'), 1, 1, full},
		"document too large":     {head, 1, MaxDocument + 1, full},
		"large status request":   {[]byte("S\x01\x00\x00\x00"), 1, 1, full},
		"large session":          {[]byte("T\x01\x00\x00\x00"), 1, MaxPacket, full},
		"document of no frame":   {[]byte("X\x01\x00\x00\x00"), 1, 1, full},
		"sparse huge document":   {head, 1, 1 << 40, full},
		"document, empty packet": {nil, 1, 1, full},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := socketPair(t)
			var oob []byte
			if c.files > 0 {
				oob = rights(t, c.files, c.size, c.seals)
			}
			if _, _, err := near.WriteMsgUnix(c.packet, oob, nil); err != nil {
				t.Fatal(err)
			}
			_ = far.SetReadDeadline(time.Now().Add(5 * time.Second))
			if f, err := ReadFrame(far, make([]byte, MaxPacket+1)); err == nil {
				t.Errorf("taken: frame %q with %d bytes", f.Type, len(f.Body))
			}
		})
	}
	t.Run("a device", func(t *testing.T) {
		near, far := socketPair(t)
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close() //nolint:errcheck // only read
		if _, _, err := near.WriteMsgUnix(head, unix.UnixRights(int(null.Fd())), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFrame(far, make([]byte, MaxPacket+1)); err == nil {
			t.Error("taken")
		}
	})
}

// answer is a guard that takes one connection and does with it what the test says.
func answer(t *testing.T, serve func(c *net.UnixConn, first Frame)) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "rw") // A socket's path must be short.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, "c.sock")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // the test's end
		if f, err := ReadFrame(c, make([]byte, MaxPacket+1)); err == nil {
			serve(c, f)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return path
}

func send(t *testing.T, c *net.UnixConn, id uint32, b Body) {
	t.Helper()
	f, err := New(id, b)
	if err == nil {
		err = WriteFrame(c, f, true)
	}
	if err != nil {
		t.Error(err)
	}
}

var hello = Hello{Role: Courier, Min: OldestVersion, Max: Version, Program: "test"}

func TestDialIsWelcomedAndSpeaks(t *testing.T) {
	want := Welcome{Version: OldestVersion, Robot: "acme/7", BootID: uuid1, Nonce: hex32}
	path := answer(t, func(c *net.UnixConn, first Frame) {
		var h Hello
		if err := first.Into(&h); err != nil || h != hello {
			t.Errorf("hello %+v, %v", h, err)
		}
		send(t, c, first.ID, want)
		f, err := ReadFrame(c, make([]byte, MaxPacket+1))
		if err != nil || f.Type != FrameOrder {
			t.Errorf("%q, %v", f.Type, err)
		}
		send(t, c, f.ID, Receipt{Text: "taken"})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, w, err := Dial(ctx, path, hello)
	if err != nil || w != want {
		t.Fatalf("%+v, %v", w, err)
	}
	defer c.Close() //nolint:errcheck // the test's end
	if err := c.Send(Frame{Type: FrameOrder, ID: 3, Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	f, err := c.Receive()
	var r Receipt
	if err != nil || f.ID != 3 || f.Into(&r) != nil || r.Text != "taken" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := c.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("found %v at the end, expected io.EOF", err)
	}
}

func TestDialIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		reply Body
		want  string
	}{
		"by the guard":       {Failure{Code: FailureVersion, Text: "speak 2"}, "version"},
		"a later version":    {Welcome{Version: Version + 1, BootID: uuid1, Nonce: hex32}, "version"},
		"something else":     {Receipt{Text: "hm"}, "expected frame"},
		"an impossible boot": {nil, "boot_id"},
	} {
		t.Run(name, func(t *testing.T) {
			path := answer(t, func(conn *net.UnixConn, first Frame) {
				if c.reply == nil {
					_ = WriteFrame(conn, Frame{Type: FrameWelcome, ID: first.ID, Body: []byte(`{"version":2,"nonce":"` + hex32 + `"}`)}, true)
					return
				}
				send(t, conn, first.ID, c.reply)
			})
			_, _, err := Dial(t.Context(), path, hello)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, expected %q", err, c.want)
			}
			var failure *Failure
			if _, refused := c.reply.(Failure); errors.As(err, &failure) != refused {
				t.Errorf("a failure that was told: %v", failure)
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	held := make(chan struct{})
	path := answer(t, func(*net.UnixConn, Frame) { <-held })
	t.Cleanup(func() { close(held) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := Dial(ctx, path, hello); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("found %v, expected the deadline", err)
	}
	if _, _, err := Dial(t.Context(), path+"x", hello); err == nil {
		t.Error("connected to nothing")
	}
}

func TestCloseUnblocksReceive(t *testing.T) {
	held := make(chan struct{})
	path := answer(t, func(c *net.UnixConn, first Frame) {
		send(t, c, first.ID, Welcome{Version: OldestVersion, BootID: uuid1, Nonce: hex32})
		<-held
	})
	t.Cleanup(func() { close(held) })
	c, _, err := Dial(t.Context(), path, hello)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := c.Receive(); done <- err }()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("a frame out of nothing")
		}
	case <-time.After(5 * time.Second):
		t.Error("still waiting")
	}
}
