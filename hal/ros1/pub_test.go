package ros1

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/diagnostic_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/protocommon"
	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// bench is a node with one topic.
type bench struct {
	n      *Node
	p      *Publisher
	ev     *events
	master *rostest.Master
	typ    wireType
}

func newBench(tb testing.TB, c bus.Publication, change func(*Config)) *bench {
	tb.Helper()
	b := &bench{ev: &events{}, master: newTestMaster(tb), typ: mustType(tb, c.Type)}
	cfg := testConfig(b.master.URI(), b.ev)
	if change != nil {
		change(&cfg)
	}
	b.n = startNode(tb, cfg)
	p, err := b.n.Advertise(c)
	if err != nil {
		tb.Fatal(err)
	}
	b.p = p
	return b
}

// join connects a subscriber and waits until it is served.
func (b *bench) join(tb testing.TB, name string) *rostest.Subscriber {
	tb.Helper()
	before := b.p.Subscribers()
	s, err := rostest.Subscribe(b.n.URI(), name, b.p.topic, b.typ.name, b.typ.md5)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	eventually(tb, name+" joined", func() bool { return b.p.Subscribers() > before })
	return s
}

func (b *bench) dataAddr() string {
	return net.JoinHostPort(b.n.host.String(), fmt.Sprint(b.n.data.port()))
}

func twistOf(v float64) *msg.Twist { return &msg.Twist{Linear: msg.Vec3{X: v}} }

func TestPublishedMessagesAreAsGoroslibReadsThem(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/diagnostics", Type: bus.TypeDiagnosticArray}, nil)
	s := b.join(t, "/viewer")
	const stamp = 1700000000*int64(time.Second) + 5
	status := []bus.DiagnosticStatus{
		{Level: bus.LevelError, Name: "robowarden: guard", Message: "pose stale", HardwareID: "g1-0007", Values: []bus.KeyValue{{Key: "age", Value: "1.2 s"}, {Key: "zone", Value: ""}}},
		{Level: bus.LevelOK, Name: "robowarden: bus"},
	}
	if sent, err := b.p.PublishDiagnostics(1, stamp, status); err != nil || sent != (bus.Sent{Delivered: 1}) {
		t.Fatalf("%+v, %v", sent, err)
	}
	body, err := s.Message()
	if err != nil {
		t.Fatal(err)
	}
	var got diagnostic_msgs.DiagnosticArray
	if err := protocommon.MessageDecode(bytes.NewReader(rostest.Frame(body)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Header.Stamp.UnixNano() != stamp || got.Header.Seq != 1 || len(got.Status) != 2 {
		t.Errorf("%+v", got)
	}
	var back []bus.DiagnosticStatus
	for _, s := range got.Status {
		d := bus.DiagnosticStatus{Level: bus.Level(s.Level), Name: s.Name, Message: s.Message, HardwareID: s.HardwareId}
		for _, v := range s.Values {
			d.Values = append(d.Values, bus.KeyValue{Key: v.Key, Value: v.Value})
		}
		back = append(back, d)
	}
	if diff := cmp.Diff(status, back); diff != "" {
		t.Error(diff)
	}
}

func TestOlderPublicationNeverOvertakes(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	s := b.join(t, "/base")
	for _, c := range []struct {
		seq  uint64
		want bool
	}{{5, false}, {4, true}, {5, false}, {6, false}, {1, true}} {
		if sent, err := b.p.PublishTwist(c.seq, twistOf(float64(c.seq))); err != nil || sent.Superseded != c.want {
			t.Errorf("seq %d: %+v, %v; want superseded %v", c.seq, sent, err, c.want)
		}
	}
	// From many goroutines: what arrives never goes back.
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				if _, err := b.p.PublishTwist(uint64(10+i*8+g), twistOf(float64(10+i*8+g))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	last := 0.0
	for last < 10+499*8 {
		body, err := s.Message()
		if err != nil {
			t.Fatal(err)
		}
		v := f64(body)
		if v < last {
			t.Fatalf("%v after %v", v, last)
		}
		last = v
		if last >= 10 && b.p.Subscribers() == 0 {
			t.Fatal("subscriber dropped")
		}
		if last >= 10+499*8-7 {
			break
		}
	}
	wg.Wait()
}

func TestPublishFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/text", Type: bus.TypeString, MaxBytes: 20}, nil)
	if _, err := b.p.PublishBool(1, true); !errors.Is(err, ErrWrongType) {
		t.Errorf("wrong type: %v", err)
	}
	if _, err := b.p.PublishString(1, make([]byte, 17)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if _, err := b.p.PublishString(1, make([]byte, 16)); err != nil {
		t.Errorf("as long as the cap: %v", err)
	}
	b.p.Close()
	if _, err := b.p.PublishString(2, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	for _, c := range []bus.Publication{
		{Topic: "cmd", Type: bus.TypeTwist},
		{Topic: "/cmd", Type: bus.TypeOdometry},
		{Topic: "/cmd", Type: bus.TypeTwist, Consumers: []string{"x y"}},
		{Topic: "/cmd", Type: bus.TypeString, MaxBytes: 1 << 30},
		{Topic: "/twice", Type: bus.TypeBool},
	} {
		if c.Topic == "/twice" {
			if _, err := b.n.Advertise(c); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.n.Advertise(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func TestLatchHandsOverTheLastMessage(t *testing.T) {
	t.Parallel()
	for _, latch := range []bool{true, false} {
		b := newBench(t, bus.Publication{Topic: "/lock", Type: bus.TypeBool, Latch: latch}, nil)
		first := b.join(t, "/early") // before anything was sent there is nothing to hand over
		for seq, v := range []bool{false, true} {
			if _, err := b.p.PublishBool(uint64(seq), v); err != nil {
				t.Fatal(err)
			}
		}
		s := b.join(t, "/late")
		if want := map[bool]string{true: "1", false: "0"}[latch]; s.Header["latching"] != want || s.Header["message_definition"] == "" {
			t.Errorf("header %v; want latching=%s and a definition", s.Header, want)
		}
		if !latch { // off: the first that comes is what is sent next
			if _, err := b.p.PublishBool(2, false); err != nil {
				t.Fatal(err)
			}
		}
		if body, err := s.Message(); err != nil || body[0] == 1 != latch {
			t.Errorf("latch %v: %v, %v", latch, body, err)
		}
		if body, err := first.Message(); err != nil || body[0] != 0 {
			t.Errorf("early subscriber: %v, %v", body, err)
		}
	}
}

// TestStoppedReaderDelaysNobody: one subscriber reads nothing; the other gets every message at once, and the publisher
// never waits. Then the stopped one is dropped.
func TestStoppedReaderDelaysNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/text", Type: bus.TypeString, MaxBytes: 10000}, func(c *Config) { c.Limits.StallTimeout = 2 * time.Second })
	stopped, reader := b.join(t, "/stopped"), b.join(t, "/reader")
	if err := stopped.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 9000)
	behind := 0
	for i := 0; i < 2000 && behind < 100; i++ {
		binary.LittleEndian.PutUint32(text, uint32(i))
		sent, err := b.p.PublishString(uint64(i), text)
		if err != nil {
			t.Fatal(err)
		}
		behind += sent.Behind
		body, err := reader.Message()
		if err != nil || binary.LittleEndian.Uint32(body[4:]) != uint32(i) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if behind < 100 {
		t.Fatalf("the stopped reader was behind %d times; the test shows nothing", behind)
	}
	eventually(t, "dropped", func() bool { return ev1(b.ev, bus.SubscriberStalled) == "/stopped" })
	if b.p.Subscribers() != 1 {
		t.Errorf("%d subscribers; want the reader", b.p.Subscribers())
	}
}

func ev1(ev *events, k bus.EventKind) string {
	if e := ev.first(k); e != nil {
		return e.Name
	}
	return ""
}

// TestSlowReaderGetsWholeAndNewestMessages: a reader that takes bytes in odd portions, with pauses, sees only whole
// messages in rising order, and at last the newest.
func TestSlowReaderGetsWholeAndNewestMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/text", Type: bus.TypeString, MaxBytes: 60000}, func(c *Config) { c.Limits.StallTimeout = 10 * time.Second })
	s := b.join(t, "/slow")
	if err := s.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	const last = 100
	skipped := make(chan int, 1)
	go func() {
		rng := rand.New(rand.NewPCG(1, 2))
		behind := 0
		for i := range last + 1 {
			text := bytes.Repeat([]byte{byte(i)}, 8+rng.IntN(50000))
			binary.LittleEndian.PutUint32(text, uint32(i))
			sent, err := b.p.PublishString(uint64(i), text)
			if err != nil {
				t.Error(err)
			}
			behind += sent.Behind
		}
		skipped <- behind
	}()
	r := &slowReader{r: s.Conn, rng: rand.New(rand.NewPCG(3, 4))}
	seen, prev := 0, -1
	for prev < last {
		body, err := rostest.ReadFrame(r)
		if err != nil {
			t.Fatalf("after message %d: %v%v", prev, err, b.ev)
		}
		i := int(binary.LittleEndian.Uint32(body[4:]))
		if i <= prev || i > last {
			t.Fatalf("message %d after %d", i, prev)
		}
		for _, c := range body[8:] {
			if c != byte(i) {
				t.Fatalf("message %d is mixed with another", i)
			}
		}
		prev = i
		seen++
	}
	if behind := <-skipped; behind == 0 || seen > last {
		t.Errorf("%d seen, behind %d times; the test shows nothing", seen, behind)
	}
}

// slowReader reads in odd portions and pauses now and then.
type slowReader struct {
	r   io.Reader
	rng *rand.Rand
}

func (s *slowReader) Read(b []byte) (int, error) {
	if s.rng.IntN(100) == 0 {
		time.Sleep(time.Duration(s.rng.IntN(2000)) * time.Microsecond)
	}
	return s.r.Read(b[:min(len(b), 1+s.rng.IntN(3000))])
}

func TestTwistKeepsEveryBit(t *testing.T) {
	in := msg.Twist{Linear: msg.Vec3{X: math.NaN(), Y: math.Inf(-1), Z: math.Copysign(0, -1)}, Angular: msg.Vec3{X: 1e-320, Y: 1, Z: -2}}
	var out msg.Command
	d := &commandDecoder{h: func(c *msg.Command) { out = *c }}
	if err := d.decode(appendTwist(nil, &in), 1); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(appendTwist(nil, &in), appendTwist(nil, &out.Twist)) {
		t.Errorf("%+v became %+v", in, out.Twist)
	}
}
