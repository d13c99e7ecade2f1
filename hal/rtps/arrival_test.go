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
	s, err := listen(netip.MustParseAddr("127.0.0.1"), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	const lay = 30 * time.Millisecond
	if age := ageAfter(t, s, lay); age != 0 {
		t.Errorf("without a note the datagram is %v old", age)
	}
	if err := s.stampArrivals(); err != nil {
		t.Fatal(err)
	}
	// The first socket of a computer that asks for notes gets them only after a moment.
	for range 50 {
		if ageAfter(t, s, lay) >= lay {
			return
		}
	}
	t.Errorf("no datagram is as old as the %v that it lay", lay)
}

// ageAfter is how old a datagram looks that lay in the socket for so long.
func ageAfter(t *testing.T, s *socket, lay time.Duration) time.Duration {
	t.Helper()
	c, err := net.Dial("udp", s.local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("pose")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lay) // it is to lie there; nothing is waited for
	e := &ear{}
	if _, _, err := s.read(e); err != nil {
		t.Fatal(err)
	}
	const now = time.Hour
	return now - received(now, time.Now().UnixNano(), e.arrived)
}
