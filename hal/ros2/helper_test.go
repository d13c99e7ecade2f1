package ros2

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

// patience is how long a test waits for what has to come.
const patience = 15 * time.Second

var localhost = netip.MustParseAddr("127.0.0.1")

func boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

func civil() int64 { return time.Now().UnixNano() }

// freeDomain is a domain that nobody of this computer is on. Another test holds its own by the port of the last participant,
// which no test has so many to use.
func freeDomain(t testing.TB) int {
	t.Helper()
	for range 200 {
		d := rand.IntN(100)
		held, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, uint16(7410+250*d+2*119))))
		if err != nil {
			continue
		}
		first, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, uint16(7410+250*d))))
		if err != nil {
			held.Close()
			continue
		}
		first.Close()
		t.Cleanup(func() { held.Close() })
		t.Logf("domain %d", d)
		return d
	}
	t.Fatal("no free domain")
	return 0
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

// events collects what a node tells.
type events struct {
	mu   sync.Mutex
	list []bus.Event
}

func (e *events) add(ev *bus.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, *ev)
}

func (e *events) all() []bus.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]bus.Event(nil), e.list...)
}

// find returns the events of a kind on a topic.
func (e *events) find(kind bus.EventKind, topic string) (out []bus.Event) {
	for _, ev := range e.all() {
		if ev.Kind == kind && ev.Topic == topic {
			out = append(out, ev)
		}
	}
	return out
}

// String is for the log of a test that failed.
func (e *events) String() string {
	var b strings.Builder
	for _, ev := range e.all() {
		fmt.Fprintf(&b, "%v %s %s: %s\n", ev.Kind, ev.Topic, ev.Name, ev.Detail)
	}
	return b.String()
}

// await waits for an event of a kind on a topic by somebody.
func (e *events) await(t testing.TB, kind bus.EventKind, topic, name string) bus.Event {
	t.Helper()
	var got bus.Event
	eventually(t, fmt.Sprintf("event %v on %q by %q", kind, topic, name), func() bool {
		for _, ev := range e.find(kind, topic) {
			if ev.Name == name {
				got = ev
				return true
			}
		}
		return false
	})
	return got
}

// running is a node that runs.
type running struct {
	*Node
	ev   *events
	stop func()
}

// startNode runs a node on the loopback; change may adapt its configuration.
func startNode(t testing.TB, domain int, change ...func(*Config)) *running {
	t.Helper()
	ev := &events{}
	c := Config{
		Name: "/robowarden", Domain: domain, Host: localhost.String(), Clock: boot, Civil: civil, Log: zerolog.Nop(), OnEvent: ev.add,
		Limits: Limits{SettleTime: 300 * time.Millisecond, WatchInterval: 100 * time.Millisecond},
	}
	for _, f := range change {
		f(&c)
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	r := &running{Node: n, ev: ev}
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			<-done
		})
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("events of %s:\n%v", c.Name, ev)
		}
	})
	return r
}

// quiet is a participant that does not run.
func quiet(t testing.TB) *rtps.Participant {
	t.Helper()
	p, err := rtps.New(rtps.Config{Domain: freeDomain(t), Host: localhost, Clock: boot, Civil: civil})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// process is a ROS process as another implementation would have it: a participant, and what it says of its nodes.
type process struct {
	*rtps.Participant
	t    testing.TB
	disc *rtps.Writer
	seq  uint64
	// list is what it says.
	list cdr.Entities
	long bool
	stop func()
}

// startProcess runs a participant; with tells says whether it offers a list of nodes.
func startProcess(t testing.TB, domain int, tells bool) *process {
	t.Helper()
	p, err := rtps.New(rtps.Config{Domain: domain, Host: localhost, Clock: boot, Civil: civil, UserData: []byte("enclave=/;")})
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
	out := &process{Participant: p, t: t, list: cdr.Entities{Participant: p.GUID().Bytes()}}
	out.stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(out.stop)
	if tells {
		typ, err := parseType(cdr.TypeParticipantEntities, "msg")
		if err != nil {
			t.Fatal(err)
		}
		out.disc, err = p.NewWriter(rtps.WriterConfig{Topic: discoveryTopic, Type: typ.dds(""), Reliable: true, TransientLocal: true, MaxSample: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// say tells the list.
func (p *process) say() {
	p.t.Helper()
	p.seq++
	if _, err := p.disc.Write(p.seq, cdr.AppendEntities(nil, &p.list, p.long)); err != nil {
		p.t.Fatal(err)
	}
}

// node adds a node with the given writers and says so.
func (p *process) node(full string, writers ...*rtps.Writer) {
	p.t.Helper()
	ns, name := splitNode(full)
	n := cdr.NodeEntities{Namespace: ns, Name: name}
	for _, w := range writers {
		n.Writers = append(n.Writers, w.GUID().Bytes())
	}
	p.list.Nodes = append(p.list.Nodes, n)
	p.say()
}

// quality is a writer's offer.
type quality struct{ reliable, local bool }

// writer offers a topic of a type such as "std_msgs/String".
func (p *process) writer(topic, typ string, q quality) *rtps.Writer {
	p.t.Helper()
	name, err := parseVendorType(typ)
	if err != nil {
		p.t.Fatal(err)
	}
	w, err := p.NewWriter(rtps.WriterConfig{
		Topic: ddsTopic(topic), Type: name.dds(""), Reliable: q.reliable, TransientLocal: q.local, Depth: 64, MaxSample: 300 << 10,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return w
}

// reader reads a topic.
func (p *process) reader(topic, typ string, q quality, h func(*rtps.Sample)) *rtps.Reader {
	p.t.Helper()
	name, err := parseType(typ, "msg")
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := p.NewReader(rtps.ReaderConfig{
		Topic: ddsTopic(topic), Type: name.dds(""), Reliable: q.reliable, TransientLocal: q.local, MaxSample: 300 << 10, MaxRateHz: 1 << 20, Handler: h,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// collected is a list that handlers append to.
type collected[T any] struct {
	mu   sync.Mutex
	list []T
}

func (c *collected[T]) add(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, v)
}

func (c *collected[T]) all() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]T(nil), c.list...)
}

func (c *collected[T]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

// hears tells whether a subscription listens to one writer under its name, and hands on what it says. The participant listens
// a moment later than the subscription is told that it will; a best-effort sample in between is lost. And the count of
// publishers goes up a moment before samples no longer wait for a name, of which only the latest are kept.
func hears(s *Sub) bool {
	for _, r := range s.now() {
		if r != nil && len(r.Writers()) == 1 {
			named := func(l *link) bool { return l.now() != nil }
			return s.Stats().Connected == 1 && slices.ContainsFunc(s.linked(nil), named)
		}
	}
	return false
}
