package rtps

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// sockets are two on a loopback address; the test is skipped where there is none of the family.
func sockets(t *testing.T, host string) (a, b *socket) {
	t.Helper()
	for _, s := range []**socket{&a, &b} {
		x, err := listen(netip.MustParseAddr(host), 0, s == &b)
		if err != nil {
			t.Skipf("no socket on %s: %v", host, err)
		}
		t.Cleanup(x.close)
		*s = x
	}
	return a, b
}

func post(t *testing.T, from *socket, text string, to netip.AddrPort) {
	t.Helper()
	d := newDest(to)
	if err := from.raw.Control(func(fd uintptr) {
		if errno := sendTo(fd, []byte(text), d); errno != 0 {
			t.Error(errno)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestIntake(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			a, b := sockets(t, host)
			e := &ear{}
			for _, text := range []string{"first", "", "a longer one"} {
				post(t, a, text, b.local)
				n, from, err := b.read(e)
				if err != nil || string(e.buf[:n]) != text || from != a.local {
					t.Fatalf("%q of %v: %v; expected %q of %v", e.buf[:n], from, err, text, a.local)
				}
			}
			// It waits, and what package net's own receive says is said here.
			done := make(chan string)
			go func() {
				n, _, _ := b.read(e)
				done <- string(e.buf[:n])
			}()
			post(t, a, "awaited", b.local)
			if got := <-done; got != "awaited" {
				t.Errorf("%q after waiting", got)
			}
			b.deadline(time.Unix(1, 0))
			if _, _, err := b.read(e); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("past the deadline: %v", err)
			}
			b.deadline(time.Time{})
			b.close()
			if _, _, err := b.read(e); !errors.Is(err, net.ErrClosed) {
				t.Errorf("of a closed socket: %v", err)
			}
		})
	}
}

func TestIntakeIsFree(t *testing.T) {
	a, b := sockets(t, "127.0.0.1")
	e, d, text := &ear{}, newDest(b.local), []byte("text")
	send := func(fd uintptr) { sendTo(fd, text, d) }
	if n := testing.AllocsPerRun(100, func() {
		if err := a.raw.Control(send); err != nil {
			t.Error(err)
		}
		if n, _, err := b.read(e); n != len(text) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a datagram", n)
	}
}

func TestSendToRefusesWhatIsTooLong(t *testing.T) {
	a, b := sockets(t, "127.0.0.1")
	d := newDest(b.local)
	if err := a.raw.Control(func(fd uintptr) {
		if errno := sendTo(fd, make([]byte, 70_000), d); errno == 0 {
			t.Error("a datagram of 70 000 bytes was sent")
		}
	}); err != nil {
		t.Fatal(err)
	}
}
