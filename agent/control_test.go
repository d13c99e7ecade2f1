package agent

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/contract"
)

// listen runs a control socket for the test's time, and checks that it leaves nothing behind.
func listen(t *testing.T, order func([]byte) Receipt) string {
	t.Helper()
	return listenWith(t, &control{users: newUsers(nil, zerolog.Nop()), order: order, status: func() any { return "fine" }, log: zerolog.Nop()})
}

func listenWith(t *testing.T, c *control) string {
	t.Helper()
	before := goleak.IgnoreCurrent()
	folder, err := os.MkdirTemp("", "rw") // A socket's path must be short.
	if err != nil {
		t.Fatal(err)
	}
	c.path = filepath.Join(folder, "c.sock")
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(clientTimeout + 3*time.Second):
			t.Error("the socket does not end")
		}
		_ = os.RemoveAll(folder)
		goleak.VerifyNone(t, before)
	})
	return c.path
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(clientTimeout + 5*time.Second))
	return conn
}

func memfd(t *testing.T, data []byte, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if _, err := unix.Write(fd, data); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestControlTakesPacketsAndSealedDocuments(t *testing.T) {
	var got atomic.Value
	path := listen(t, func(b []byte) Receipt { got.Store(bytes.Clone(b)); return Receipt{Text: "taken"} })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, n := range []int{0, 1, 1000, contract.MaxPacket - 1, contract.MaxPacket, contract.MaxPacket + 1, 1 << 20, contract.MaxDocument} {
		want := bytes.Repeat([]byte{'x'}, n)
		r, err := SendOrder(ctx, path, want)
		if err != nil || r.Text != "taken" {
			t.Fatalf("%d bytes: %v %+v", n, err, r)
		}
		if b, _ := got.Load().([]byte); !bytes.Equal(b, want) {
			t.Errorf("%d bytes: %d arrived", n, len(b))
		}
	}
	if s, err := ReadStatus(ctx, path); err != nil || string(s) != `"fine"` {
		t.Errorf("status %s, %v", s, err)
	}
}

func TestControlRefuses(t *testing.T) {
	var taken atomic.Int64
	path := listen(t, func([]byte) Receipt { taken.Add(1); return Receipt{} })
	rights := unix.UnixRights
	sealed := unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close() //nolint:errcheck // only read
	good := memfd(t, []byte("x"), sealed)
	for name, send := range map[string]func(c *net.UnixConn) error{
		"empty packet": func(c *net.UnixConn) error { _, err := c.Write(nil); return err },
		"oversize packet": func(c *net.UnixConn) error {
			_, err := c.Write(append([]byte{'O'}, make([]byte, contract.MaxPacket)...))
			return err
		},
		"unsealed document": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{'O'}, rights(memfd(t, []byte("x"), 0)), nil)
			return err
		},
		"document that can shrink": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{'O'}, rights(memfd(t, []byte("x"), unix.F_SEAL_WRITE)), nil)
			return err
		},
		"two documents": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{'O'}, rights(good, good), nil)
			return err
		},
		"many descriptors": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{'O'}, rights(good, good, good, good, good, good, good, good), nil)
			return err
		},
		"body and document": func(c *net.UnixConn) error { _, _, err := c.WriteMsgUnix([]byte("Oxx"), rights(good), nil); return err },
		"a device": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{'O'}, rights(int(null.Fd())), nil)
			return err
		},
		"document too large": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{'O'}, rights(memfd(t, make([]byte, contract.MaxDocument+1), sealed)), nil)
			return err
		},
		"goes away": func(c *net.UnixConn) error { return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			before := taken.Load()
			c := dial(t, path)
			if err := send(c); err != nil && !errors.Is(err, unix.EMSGSIZE) {
				t.Fatal(err)
			}
			buf := make([]byte, 1<<16)
			if n, err := c.Read(buf); err == nil && n > 0 {
				t.Errorf("answered %q", buf[:n])
			}
			if taken.Load() != before {
				t.Error("an order was taken")
			}
		})
	}
	t.Run("unknown request", func(t *testing.T) {
		c := dial(t, path)
		if _, err := c.Write([]byte("Xyz")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1<<16)
		if n, err := c.Read(buf); err != nil || !bytes.Contains(buf[:n], []byte("unknown-request")) {
			t.Errorf("answered %q, %v", buf[:n], err)
		}
	})
}

// TestControlSurvivesACrowd: a hundred clients that say nothing, and clients that never read, cost a rightful one its turn
// for a client's deadline at most.
func TestControlSurvivesACrowd(t *testing.T) {
	path := listen(t, func([]byte) Receipt { return Receipt{Text: "taken"} })
	var crowd sync.WaitGroup
	for n := range 100 {
		crowd.Go(func() {
			conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
			if err != nil {
				return
			}
			defer conn.Close() //nolint:errcheck // a hostile client
			if n%2 == 0 {
				_, _ = conn.Write([]byte{'S'}) // and never reads
			}
			_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if n%2 != 0 {
				_, _ = conn.Read(make([]byte, 1))
			}
		})
	}
	start := time.Now()
	eventually(t, "served", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := SendOrder(ctx, path, []byte("x"))
		return err == nil && r.Text == "taken"
	})
	t.Logf("served after %v", time.Since(start))
	crowd.Wait()
}

func TestControlLeavesFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &control{path: path, users: newUsers(nil, zerolog.Nop()), log: zerolog.Nop()}
	if err := c.open(); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the file is gone")
	}
}

func TestControlSocketIsForItsOwnerOnly(t *testing.T) {
	path := listen(t, nil)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, expected 0600", info.Mode().Perm())
	}
}

// TestAnOrderThatTakesLongIsAnswered: a large policy may be checked for longer than a client has to send it and to read.
func TestAnOrderThatTakesLongIsAnswered(t *testing.T) {
	const patience = 100 * time.Millisecond
	path := listenWith(t, &control{
		users: newUsers(nil, zerolog.Nop()), log: zerolog.Nop(), patience: patience,
		order: func([]byte) Receipt {
			time.Sleep(3 * patience) // The work.
			return Receipt{Accepted: true}
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if r, err := SendOrder(ctx, path, []byte("order")); err != nil || !r.Accepted {
		t.Errorf("found %+v, %v", r, err)
	}
}
