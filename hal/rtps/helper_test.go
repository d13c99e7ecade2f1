package rtps

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const patience = 10 * time.Second

var localhost = netip.MustParseAddr("127.0.0.1")

// boot reads the clock as the product does, without telling Go's scheduler.
func boot() time.Duration {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}

func civil() int64 { return time.Now().UnixNano() }

// freeDomain is a domain on which nobody of this computer has the first ports; several tests may run at once.
func freeDomain(t testing.TB) int {
	t.Helper()
	for range 200 {
		d := rand.IntN(MaxDomain + 1)
		a, err := listen(localhost, metaPort(d, 0), false)
		if err != nil {
			continue
		}
		a.close()
		return d
	}
	t.Fatal("no free domain")
	return 0
}

// events collects.
type events struct {
	mu   sync.Mutex
	list []*Event
}

func (e *events) add(ev *Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) all() []*Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*Event(nil), e.list...)
}

// count is how often a kind was told of, suppressed ones included.
func (e *events) count(kind EventKind) (n uint64) {
	for _, ev := range e.all() {
		if ev.Kind == kind {
			n += 1 + ev.Suppressed
		}
	}
	return n
}

func (e *events) find(kind EventKind) *Event {
	for _, ev := range e.all() {
		if ev.Kind == kind {
			return ev
		}
	}
	return nil
}

type station struct {
	*Participant
	ev   *events
	stop func()
}

// start runs a participant on the loopback; change may adapt its configuration.
func start(t testing.TB, domain int, change ...func(*Config)) *station {
	t.Helper()
	ev := &events{}
	c := Config{Domain: domain, Host: localhost, Clock: boot, Civil: civil, OnEvent: ev.add}
	for _, f := range change {
		f(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	var once sync.Once
	s := &station{Participant: p, ev: ev}
	s.stop = func() {
		once.Do(func() {
			cancel()
			<-done
		})
	}
	t.Cleanup(s.stop)
	return s
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// inbox collects what a reader gets.
type inbox struct {
	mu   sync.Mutex
	list []string
	last Sample
}

func (b *inbox) take(s *Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, strings.TrimRight(string(s.Payload[4:]), "\x00")) // RTPS pads to four bytes
	b.last = *s
}

func (b *inbox) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.list...)
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list)
}

const (
	topic = "rt/chatter"
	typ   = "std_msgs::msg::dds_::String_"
)

func cdr(s string) []byte { return append([]byte{0, 1, 0, 0}, s...) }

func number(i int) string { return fmt.Sprintf("%08d", i) }

// seeded is a source of random numbers whose seed is printed if the test fails.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// lossy loses a part of what goes out and comes in, discovery included.
func lossy(t testing.TB, part float64) func(*Config) {
	r := seeded(t)
	var mu sync.Mutex
	return func(c *Config) {
		c.drop = func(bool, bool, []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			return r.Float64() < part
		}
	}
}

// warp is a boot clock that can be put forward.
type warp struct{ ahead atomic.Int64 }

func (w *warp) clock() time.Duration    { return boot() + time.Duration(w.ahead.Load()) }
func (w *warp) forward(d time.Duration) { w.ahead.Add(int64(d)) }

func newReader(t testing.TB, p *station, c ReaderConfig) *Reader {
	t.Helper()
	if c.Topic == "" {
		c.Topic, c.Type = topic, typ
	}
	if c.Handler == nil {
		c.Handler = func(*Sample) {}
	}
	r, err := p.NewReader(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newWriter(t testing.TB, p *station, c WriterConfig) *Writer {
	t.Helper()
	if c.Topic == "" {
		c.Topic, c.Type = topic, typ
	}
	w, err := p.NewWriter(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write writes a text under the next number.
func write(t testing.TB, w *Writer, i int, text string) {
	t.Helper()
	if _, err := w.Write(uint64(i), cdr(text)); err != nil {
		t.Fatal(err)
	}
}

func matched(t testing.TB, w *Writer, r *Reader) {
	t.Helper()
	eventually(t, "a match", func() bool { return w.Readers() > 0 && len(r.Writers()) > 0 })
}
