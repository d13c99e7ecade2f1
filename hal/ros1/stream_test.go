package ros1

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// decodeFunc is a decoder that is a function.
type decodeFunc func(b []byte, boot time.Duration) error

func (f decodeFunc) decode(b []byte, boot time.Duration) error { return f(b, boot) }

// tcpPair is a connection over the loopback.
func tcpPair(tb interface {
	Helper()
	Fatal(args ...any)
},
) (near, far *net.TCPConn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	d, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

func testStream(tb interface {
	Helper()
	Fatal(args ...any)
}, c net.Conn, mode bus.Mode, max int, f decodeFunc,
) *stream {
	tb.Helper()
	s := &Sub{n: &Node{cfg: Config{Clock: bootClock}}, max: max, mode: mode, pace: pacer{gap: 1}}
	st, err := newStream(c, f, s)
	if err != nil {
		tb.Fatal(err)
	}
	st.count = &counters{}
	return st
}

// TestStreamDeliversWhateverTheCuts writes numbered messages of any size in pieces of any size.
func TestStreamDeliversWhateverTheCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]bus.Mode{bus.Every, bus.Latest}).Draw(t, "mode")
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(4, 60), rapid.IntRange(4, 40000)), 1, 12).Draw(t, "sizes")
		var wire []byte
		for i, n := range sizes {
			body := make([]byte, n)
			binary.LittleEndian.PutUint32(body, uint32(i))
			body[n-1] ^= 0x5a
			wire = append(wire, rostest.Frame(body)...)
		}
		near, far := tcpPair(t)
		defer near.Close()
		var got []int
		st := testStream(t, near, mode, 40000, func(b []byte, _ time.Duration) error {
			b[len(b)-1] ^= 0x5a
			i := int(binary.LittleEndian.Uint32(b))
			if i >= len(sizes) || len(b) != sizes[i] || slices.ContainsFunc(b[4:], func(c byte) bool { return c != 0 }) {
				t.Errorf("message %d of %d bytes is not what was sent", i, len(b))
			}
			got = append(got, i)
			return nil
		})
		done := make(chan error, 1)
		go func() { done <- st.run() }()
		for len(wire) > 0 {
			n := min(rapid.IntRange(1, 30000).Draw(t, "piece"), len(wire))
			if _, err := far.Write(wire[:n]); err != nil {
				t.Fatal(err)
			}
			wire = wire[n:]
		}
		far.Close()
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Fatalf("run: %v", err)
		}
		if !slices.IsSorted(got) || len(got) == 0 || got[len(got)-1] != len(sizes)-1 {
			t.Fatalf("delivered %v of %d", got, len(sizes))
		}
		if mode == bus.Every && len(got) != len(sizes) || len(got)+int(st.count.skipped.Load()) != len(sizes) {
			t.Fatalf("mode %d delivered %v and skipped %d of %d", mode, got, st.count.skipped.Load(), len(sizes))
		}
	})
}

// TestLatestDeliversTheNewest: while a handler is busy messages pile up; what it gets next is the newest of them. In
// mode Every, the "off" case, it gets the oldest.
func TestLatestDeliversTheNewest(t *testing.T) {
	for mode, want := range map[bus.Mode]uint32{bus.Latest: 599, bus.Every: 1} {
		near, far := tcpPair(t)
		defer near.Close()
		defer far.Close()
		entered, sent := make(chan struct{}), make(chan struct{})
		got := make(chan uint32, 600)
		first := true
		st := testStream(t, near, mode, 100, func(b []byte, _ time.Duration) error {
			if first {
				first = false
				close(entered)
				<-sent
				return nil
			}
			got <- binary.LittleEndian.Uint32(b)
			return nil
		})
		done := make(chan error, 1)
		go func() { done <- st.run() }()
		send := func(i int) {
			if _, err := far.Write(rostest.Frame(binary.LittleEndian.AppendUint32(make([]byte, 0, 60), uint32(i))[:60])); err != nil {
				t.Fatal(err)
			}
		}
		send(0)
		<-entered
		for i := 1; i < 600; i++ { // 38 kB, many times the stream's own buffer
			send(i)
		}
		// The last ones may still be on the sender's side, waiting for an acknowledgement.
		eventually(t, "all messages in the socket", func() bool {
			queued := 0
			if err := st.raw.Control(func(fd uintptr) { queued, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil {
				t.Fatal(err)
			}
			return queued == 599*64
		})
		close(sent)
		if g := <-got; g != want {
			t.Errorf("mode %d: after a pause message %d is delivered; want %d", mode, g, want)
		}
		far.Close()
		<-done
		if mode == bus.Latest && st.count.skipped.Load() != 598 {
			t.Errorf("%d skipped; want 598", st.count.skipped.Load())
		}
	}
}

func TestStreamRefusesLengths(t *testing.T) {
	for _, n := range []uint32{101, 16 << 20, 1<<31 - 1, 1 << 31, 0xffffffff} {
		near, far := tcpPair(t)
		st := testStream(t, near, bus.Latest, 100, func([]byte, time.Duration) error { return nil })
		if _, err := far.Write(binary.LittleEndian.AppendUint32(nil, n)); err != nil {
			t.Fatal(err)
		}
		if err := st.run(); !errors.Is(err, errOversize) {
			t.Errorf("length %d: %v; want %v", n, err, errOversize)
		}
		if len(st.buf) > minStreamBuffer {
			t.Errorf("length %d: buffer of %d bytes", n, len(st.buf))
		}
		near.Close()
		far.Close()
	}
}

func TestPacer(t *testing.T) {
	p := pacer{gap: 10 * time.Millisecond}
	now, passed := time.Second, 0
	for range 10000 { // 10 s at 1 kHz
		if p.allow(now) {
			passed++
		}
		now += time.Millisecond
	}
	if passed < 1000 || passed > 1000+26 {
		t.Errorf("%d of 10000 pass; want 100 Hz and a burst of 25", passed)
	}
}

func TestWatchdog(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	d := &watchdog{message: 100 * time.Millisecond, streams: map[*watched]struct{}{}}
	for _, c := range []struct {
		name        string
		rx, partial time.Duration
		now         []time.Duration
		want        bool
	}{
		{"speaking", 900 * time.Millisecond, 0, []time.Duration{time.Second, 1100 * time.Millisecond}, false},
		{"silent", 0, 0, []time.Duration{2 * time.Second, 2100 * time.Millisecond}, true},
		{"silent at one tick, as after a pause of this process", 0, 0, []time.Duration{2 * time.Second}, false},
		{"message not ended", 900 * time.Millisecond, 800 * time.Millisecond, []time.Duration{time.Second, 1050 * time.Millisecond}, true},
		{"message within its time", 900 * time.Millisecond, 950 * time.Millisecond, []time.Duration{time.Second, 1020 * time.Millisecond}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := testStream(t, near, bus.Latest, 100, nil)
			st.lastRx.Store(int64(c.rx))
			st.partialSince.Store(int64(c.partial))
			w := d.add(st, time.Second)
			for _, now := range c.now {
				d.tick(now)
			}
			if err := d.remove(w); (err != nil) != c.want || err != nil && !errors.Is(err, errOverdue) {
				t.Errorf("got %v; want an end: %v", err, c.want)
			}
		})
	}
}
