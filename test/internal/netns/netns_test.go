package netns

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/proc"
)

// sender sends datagrams to the address; receiver counts them until none has come for half a second.
const (
	sender = `import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[2]))
for i in range(1000):
    try:
        s.sendto(b"x", (sys.argv[1], 7400))
    except OSError:
        pass
    if i % 50 == 0:
        time.sleep(0.001)
`
	receiver = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 7400))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.0.1") + socket.inet_aton(sys.argv[1]))
print("listening", flush=True)
n = 0
try:
    while True:
        s.settimeout(0.5 if n else 2)
        s.recv(10); n += 1
except TimeoutError:
    print("got", n, flush=True)
`
)

// passed counts how many of 1000 datagrams get from a to b.
func passed(t *testing.T, a, b *Host, to string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := b.Start(t, proc.Spec{Argv: []string{"/usr/bin/python3", "-c", receiver, b.Address}})
	if _, err := r.WaitOutput(ctx, "listening"); err != nil {
		t.Fatal(err)
	}
	a.Start(t, proc.Spec{Argv: []string{"/usr/bin/python3", "-c", sender, to, a.Address}})
	m, err := r.WaitOutput(ctx, `got (\d+)`)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCableCarriesUnicastAndMulticast(t *testing.T) {
	t.Parallel()
	a, b := Pair(t)
	if got := passed(t, a, b, b.Address); got != 1000 {
		t.Errorf("unicast: %d of 1000", got)
	}
	if got := passed(t, a, b, "239.255.0.1"); got != 1000 {
		t.Errorf("multicast: %d of 1000", got)
	}
	a.NoMulticast(t)
	b.NoMulticast(t)
	if got := passed(t, a, b, "239.255.0.1"); got != 0 {
		t.Errorf("multicast off: %d of 1000", got)
	}
}

func TestSwitchJoinsAll(t *testing.T) {
	t.Parallel()
	h := Switch(t, 3)
	if got := passed(t, h[0], h[2], h[2].Address); got != 1000 {
		t.Errorf("unicast: %d of 1000", got)
	}
	if got := passed(t, h[2], h[1], "239.255.0.1"); got != 1000 {
		t.Errorf("multicast: %d of 1000", got)
	}
}

func TestLossIsAsAsked(t *testing.T) {
	t.Parallel()
	a, b := Pair(t)
	b.Lose(t, 30, 0)
	// More than three standard deviations around 700 on either side.
	if got := passed(t, a, b, b.Address); got < 650 || got > 750 {
		t.Errorf("30 %% loss on the way in: %d of 1000 came", got)
	}
	b.Lose(t, 0, 0)
	a.Lose(t, 0, 10)
	if got := passed(t, a, b, b.Address); got < 865 || got > 935 {
		t.Errorf("10 %% loss on the way out: %d of 1000 came", got)
	}
}

// TestListenSeesBothDirections at a cable, and every datagram once.
func TestListenSeesBothDirections(t *testing.T) {
	t.Parallel()
	a, b := Pair(t)
	for name, h := range map[string]*Host{"sender": a, "receiver": b} {
		var seen atomic.Int64
		h.Listen(t, func(d Datagram) {
			if string(d.Payload) == "x" && d.To.Port() == 7400 && d.To.Addr().String() == b.Address {
				seen.Add(1)
			}
		})
		passed(t, a, b, b.Address)
		if got := seen.Load(); got != 1000 {
			t.Errorf("at the %s: %d of 1000", name, got)
		}
	}
}
