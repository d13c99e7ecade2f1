package rtps

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestReceivedNeverLooksYoungerThanTheKernelSays(t *testing.T) {
	const now, second = 100 * time.Second, int64(time.Second)
	for name, c := range map[string]struct {
		civil, arrived int64
		want           time.Duration
	}{
		"no note":                       {5000 * second, 0, now},
		"just come":                     {5000 * second, 5000 * second, now},
		"waited":                        {5000 * second, 4997 * second, now - 3*time.Second},
		"clock set back meanwhile":      {4000 * second, 5000 * second, now},
		"clock set forward meanwhile":   {5000 * second, 4950 * second, now - 50*time.Second},
		"clock set forward by years":    {2_000_000_000 * second, 5 * second, 0},
		"a note from before the epoch":  {5000 * second, -second, now},
		"a note that the clock overran": {5 * second, 6 * second, now},
	} {
		if got := received(now, c.civil, c.arrived); got != c.want {
			t.Errorf("%s: received at %v; expected %v", name, got, c.want)
		}
	}
}

func TestArrivalOfWhatIsNoNote(t *testing.T) {
	for name, oob := range map[string][]byte{"nothing": nil, "short": make([]byte, 16), "another kind": make([]byte, stampBytes)} {
		if got := arrival(oob); got != 0 {
			t.Errorf("%s: %d; expected 0", name, got)
		}
	}
}

// TestWhatWaitsInTheSocketAges sends a datagram, reads it only after a while, and sees by the kernel's note how long it lay.
// Without the note, the "off" run, it looks as if it had come when it was read.
func TestWhatWaitsInTheSocketAges(t *testing.T) {
	s, err := listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c, err := net.Dial("udp", s.local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, stamped := range []bool{false, true} {
		if stamped {
			if err := s.stampArrivals(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Write([]byte("pose")); err != nil {
			t.Fatal(err)
		}
		sent := time.Now()
		const lay = 30 * time.Millisecond
		for time.Since(sent) < lay {
			// The datagram is to lie in the socket for so long; nothing else is waited for.
			time.Sleep(time.Millisecond)
		}
		e := &ear{}
		if _, _, err := s.receive(e); err != nil {
			t.Fatal(err)
		}
		const now = time.Hour
		age := now - received(now, time.Now().UnixNano(), e.arrived)
		if stamped && age < lay || !stamped && age != 0 {
			t.Errorf("stamped %v: the datagram is %v old after it lay for at least %v", stamped, age, lay)
		}
	}
}
