package ros1

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/protocommon"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

func TestMain(m *testing.M) {
	if job := os.Getenv("ROS1_TEST_CHILD"); job != "" {
		os.Exit(runChild(job))
	}
	goleak.VerifyTestMain(m)
}

// skip leaves a test out, or fails it where everything must run.
func skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		tb.Fatalf("REQUIRE_ALL=1, but %s", why)
	}
	tb.Skip(why)
}

func bootClock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// events records what a node tells.
type events struct {
	mu   sync.Mutex
	list []bus.Event
}

func (e *events) add(ev *bus.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, *ev)
}

func (e *events) count(k bus.EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for i := range e.list {
		if e.list[i].Kind == k {
			n += 1 + int(e.list[i].Suppressed)
		}
	}
	return n
}

func (e *events) first(k bus.EventKind) *bus.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.list, func(ev bus.Event) bool { return ev.Kind == k })
	if i < 0 {
		return nil
	}
	ev := e.list[i]
	return &ev
}

func (e *events) all() []bus.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

func (e *events) String() string {
	var b bytes.Buffer
	for _, ev := range e.all() {
		fmt.Fprintf(&b, "\n  %v %s %s: %s (+%d)", ev.Kind, ev.Topic, ev.Name, ev.Detail, ev.Suppressed)
	}
	return b.String()
}

// eventually polls until cond holds.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	within(tb, 10*time.Second, what, cond)
}

func within(tb testing.TB, d time.Duration, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(d); !cond(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func newTestMaster(tb testing.TB) *rostest.Master {
	tb.Helper()
	m, err := rostest.NewMaster("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	return m
}

// testConfig is a node's configuration that reacts fast.
func testConfig(master string, ev *events) Config {
	return Config{
		Name: "/robowarden", MasterURI: master, Host: "127.0.0.1", Clock: bootClock, Log: zerolog.Nop(), OnEvent: ev.add,
		Limits: Limits{PollInterval: 50 * time.Millisecond, RegistrationInterval: 50 * time.Millisecond, RetryMin: 10 * time.Millisecond, RetryMax: 100 * time.Millisecond},
	}
}

// startNode runs a node until the test ends.
func startNode(tb testing.TB, cfg Config) *Node {
	tb.Helper()
	n, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- n.Run(context.Background()) }()
	tb.Cleanup(func() {
		n.Close()
		if err := <-ran; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	return n
}

func mustType(tb testing.TB, name string) wireType {
	tb.Helper()
	t, err := lookupType(name)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// startPublisher starts an honest publisher; change may make it less so.
func startPublisher(tb testing.TB, master, name, topic, typ string, change func(*rostest.Publisher)) *rostest.Publisher {
	tb.Helper()
	p := &rostest.Publisher{Name: name, Topic: topic, Type: typ, MD5: mustType(tb, typ).md5}
	if change != nil {
		change(p)
	}
	if err := p.Start(master); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Kill)
	return p
}

// encode is goroslib's encoding of a message, without its length: the oracle of the decoders.
func encode(tb interface {
	Helper()
	Fatal(args ...any)
}, m any,
) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := protocommon.MessageEncode(&b, m); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()[4:]
}

// twistBody is a Twist whose linear x is v.
func twistBody(v float64) []byte {
	b := make([]byte, twistBytes)
	binary.LittleEndian.PutUint64(b, math.Float64bits(v))
	return b
}

// heap is the live heap in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
