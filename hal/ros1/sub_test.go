package ros1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// commands subscribes to /cmd from /pub and counts.
func commands(tb testing.TB, n *Node, change func(*bus.Subscription)) (*Sub, *atomic.Uint64) {
	tb.Helper()
	s := bus.Subscription{Topic: "/cmd", Allow: []string{"/pub"}}
	if change != nil {
		change(&s)
	}
	var got atomic.Uint64
	sub, err := n.SubscribeCommand(s, 0, func(*msg.Command) { got.Add(1) })
	if err != nil {
		tb.Fatal(err)
	}
	return sub, &got
}

// forever keeps a connection until the peer closes it.
func forever(c net.Conn) {
	b := make([]byte, 64)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// TestHostilePublisher: each of these is refused or cut, by name, and the honest publisher beside it goes on.
func TestHostilePublisher(t *testing.T) {
	typ := mustType(t, bus.TypeTwist)
	hello := rostest.Header
	for _, c := range []struct {
		name   string
		evil   func(*rostest.Publisher)
		want   bus.EventKind
		detail string
	}{
		{"wrong md5", func(p *rostest.Publisher) { p.MD5 = "deadbeef" }, bus.PublisherMismatch, typ.md5},
		{"wrong type", func(p *rostest.Publisher) {
			p.Reply = hello("callerid", "/evil", "md5sum", typ.md5, "type", "std_msgs/Bool")
		}, bus.PublisherMismatch, "std_msgs/Bool"},
		{"md5 of anything", func(p *rostest.Publisher) { p.MD5 = "*" }, bus.PublisherMismatch, typ.md5},
		{"other topic", func(p *rostest.Publisher) {
			p.Reply = hello("callerid", "/evil", "md5sum", typ.md5, "type", typ.name, "topic", "/other")
		}, bus.PublisherMismatch, "/other"},
		{"error header", func(p *rostest.Publisher) { p.Reply = hello("error", "go away") }, bus.PublisherRefused, "go away"},
		{"no callerid", func(p *rostest.Publisher) { p.Reply = hello("md5sum", typ.md5, "type", typ.name) }, bus.PublisherRefused, "allow list"},
		{"callerid not allowed", func(p *rostest.Publisher) { p.CallerID = "/other" }, bus.PublisherRefused, "allow list"},
		{"header of 16 MiB announced", func(p *rostest.Publisher) { p.Reply = []byte{0, 0, 0, 1} }, bus.PublisherOversize, "16777216"},
		{"header that never ends", func(p *rostest.Publisher) { p.Reply = []byte{100, 0, 0, 0, 1}; p.Script = forever }, bus.PublisherTimeout, "timeout"},
		{"header of garbage", func(p *rostest.Publisher) { p.Reply = append([]byte{4, 0, 0, 0}, "\xff\xff\xff\xff"...) }, bus.PublisherRefused, "header field"},
		{"address of another protocol", func(p *rostest.Publisher) { p.TCPROS = []any{"UDPROS", "127.0.0.1", 5} }, bus.PublisherRefused, "TCPROS"},
		{"address without a port", func(p *rostest.Publisher) { p.TCPROS = []any{"TCPROS", "127.0.0.1", 0} }, bus.PublisherRefused, "port 0"},
		{"address that is no host", func(p *rostest.Publisher) { p.TCPROS = []any{"TCPROS", "a b", 5} }, bus.PublisherRefused, "host"},
		{"length 0xffffffff", func(p *rostest.Publisher) {
			p.Script = func(c net.Conn) { _, _ = c.Write([]byte{255, 255, 255, 255}); forever(c) }
		}, bus.PublisherOversize, "4294967295"},
		{"slow loris", func(p *rostest.Publisher) {
			p.Script = func(c net.Conn) {
				for _, b := range rostest.Frame(twistBody(1)) { // 2.6 s for one message
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
		}, bus.PublisherTimeout, "not complete"},
		{"silence", func(p *rostest.Publisher) { p.Script = forever }, bus.PublisherTimeout, "nothing received"},
		{"message of another size", func(p *rostest.Publisher) { p.Latched = make([]byte, 47) }, bus.PublisherMalformed, "last field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			master := newTestMaster(t)
			var ev events
			cfg := testConfig(master.URI(), &ev)
			cfg.Limits.HandshakeTimeout = 300 * time.Millisecond
			n := startNode(t, cfg)
			good := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
			startPublisher(t, master.URI(), "/evil", "/cmd", bus.TypeTwist, c.evil)
			_, got := commands(t, n, func(s *bus.Subscription) {
				s.Allow = append(s.Allow, "/evil")
				s.IdleTimeout = 400 * time.Millisecond
			})
			sent := uint64(0)
			eventually(t, "the fault is reported", func() bool {
				good.Send(twistBody(1))
				sent++
				return ev.first(c.want) != nil
			})
			if e := ev.first(c.want); !strings.Contains(e.Detail, c.detail) || e.Name != "/evil" || e.Topic != "/cmd" {
				t.Errorf("event %+v; want one of /evil that says %q", e, c.detail)
			}
			before := got.Load()
			eventually(t, "the honest publisher goes on", func() bool {
				good.Send(twistBody(1))
				return got.Load() > before+20
			})
			if s := ev.String(); strings.Contains(s, "\x1b") || strings.Contains(s, "\xff") {
				t.Errorf("raw bytes of a peer in an event: %q", s)
			}
		})
	}
}

// TestPublisherNotAllowedIsNotContacted: not even its slave API is asked.
func TestPublisherNotAllowedIsNotContacted(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	good := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	evil := startPublisher(t, master.URI(), "/evil", "/cmd", bus.TypeTwist, nil)
	commands(t, n, nil)
	eventually(t, "/pub connected", func() bool { return good.Subscribers() == 1 })
	eventually(t, "/evil reported", func() bool { return ev.first(bus.PublisherRefused) != nil })
	if e := ev.first(bus.PublisherRefused); e.Name != "/evil" {
		t.Errorf("event %+v", e)
	}
	if evil.Calls("requestTopic") != 0 || evil.Total() != 0 {
		t.Errorf("/evil was contacted: %d calls, %d connections", evil.Calls("requestTopic"), evil.Total())
	}
	// Off: with AllowAny it is connected.
	commands(t, n, func(s *bus.Subscription) { s.Allow, s.AllowAny = nil, true })
	eventually(t, "/evil connected with AllowAny", func() bool { return evil.Subscribers() == 1 })
}

func TestStrengthIsSourceBoundOnlyIfAllAgrees(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rostest.Publisher)
		want   msg.Strength
	}{
		{"all agrees", nil, msg.SourceBound},
		{"callerid of another", func(p *rostest.Publisher) { p.CallerID = "/friend" }, msg.Claimed},
		{"data on another host", func(p *rostest.Publisher) { p.TCPROS = []any{} }, msg.Claimed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			master := newTestMaster(t)
			var ev events
			n := startNode(t, testConfig(master.URI(), &ev))
			other := startPublisher(t, "", "/x", "/cmd", bus.TypeTwist, func(p *rostest.Publisher) { p.Host, p.CallerID = "127.0.0.2", "/pub" })
			startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, func(p *rostest.Publisher) {
				if c.change != nil {
					c.change(p)
				}
				if p.TCPROS != nil {
					p.TCPROS = []any{"TCPROS", "127.0.0.2", other.Port()}
				}
			})
			commands(t, n, func(s *bus.Subscription) { s.Allow = []string{"/pub", "/friend"} })
			eventually(t, "connected", func() bool { return ev.first(bus.PublisherConnected) != nil })
			p := ev.first(bus.PublisherConnected).Peer
			if p.Strength != c.want || p.ID == 0 || !p.Addr.IsValid() {
				t.Errorf("peer %+v; want %v", p, c.want)
			}
		})
	}
}

// TestJointStateOfMillionsOfNames: 16 MiB are refused by the cap, and the worst legal message costs little.
func TestJointStateOfMillionsOfNames(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	huge := make([]byte, 16+4+4<<22)
	binary.LittleEndian.PutUint32(huge[16:], 4<<20)
	frame := rostest.Frame(huge)
	startPublisher(t, master.URI(), "/evil", "/joints", bus.TypeJointState, func(p *rostest.Publisher) {
		p.Script = func(c net.Conn) { _, _ = c.Write(frame) }
	})
	before := heap()
	if _, err := n.SubscribeJoints(bus.Subscription{Topic: "/joints", Allow: []string{"/evil"}}, jointNames(29), func(*msg.Joints) {
		t.Error("delivered")
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "refused", func() bool { return ev.first(bus.PublisherOversize) != nil })
	if after := heap(); after > before+8<<20 {
		t.Errorf("heap grew from %d to %d", before, after)
	}

	// As many unknown names as the cap allows, then as many as the bytes allow.
	many := sensor_msgs.JointState{Name: make([]string, DefaultMaxJointNames), Position: make([]float64, DefaultMaxJointNames)}
	d := testJointDecoder(jointNames(29), func(*msg.Joints) {})
	body := encode(t, &many)
	cost := cpuTime(func() {
		for range 1000 {
			if err := d.decode(body, 1); err != nil {
				t.Fatal(err)
			}
		}
	})
	if cost > 2*time.Second { // 2 ms a message; it is some µs
		t.Errorf("1000 messages of %d unknown names took %v", DefaultMaxJointNames, cost)
	}
	full := make([]byte, mustType(t, bus.TypeJointState).max)
	binary.LittleEndian.PutUint32(full[16:], uint32(len(full)-20)/4)
	if err := d.decode(full, 1); !errors.Is(err, errCount) {
		t.Errorf("%d empty names: %v; want %v", (len(full)-20)/4, err, errCount)
	}
}

// cpuTime is the CPU time of this thread while f runs.
func cpuTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var a, b unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &a)
	f()
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &b)
	return time.Duration(b.Nano() - a.Nano())
}

// TestFloodOfAnnouncements: hundreds of publishers come and go at the master; neither goroutines nor memory follow.
func TestFloodOfAnnouncements(t *testing.T) {
	master := newTestMaster(t)
	var ev events
	cfg := testConfig(master.URI(), &ev)
	cfg.Limits.MaxPublishers = 4
	n := startNode(t, cfg)
	p := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	_, got := commands(t, n, func(s *bus.Subscription) { s.Allow, s.AllowAny = nil, true })
	eventually(t, "connected", func() bool { return p.Subscribers() == 1 })
	goroutines, before := runtime.NumGoroutine(), heap()
	for i := range 800 {
		name := fmt.Sprintf("/flood_%d", i)
		if _, err := rostest.Call(master.URI(), "registerPublisher", name, "/cmd", bus.TypeTwist, "http://127.0.0.1:9/"); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			p.Send(twistBody(1))
		}
	}
	polls := master.Calls("getSystemState")
	eventually(t, "all are seen", func() bool { return master.Calls("getSystemState") > polls+3 })
	if g := runtime.NumGoroutine(); g > goroutines+40 {
		t.Errorf("goroutines grew from %d to %d", goroutines, g)
	}
	if after := heap(); after > before+8<<20 {
		t.Errorf("heap grew from %d to %d", before, after)
	}
	eventually(t, "the real feed goes on", func() bool { p.Send(twistBody(1)); return got.Load() > 20 })
	if c := ev.count(bus.PublisherRefused); c == 0 {
		t.Error("nothing reported")
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if len(ev.list) > 1000 {
		t.Errorf("%d events", len(ev.list))
	}
}

func TestSubscriptionsAreChecked(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	ok := bus.Subscription{Topic: "/t", Allow: []string{"/a"}}
	for _, c := range []struct {
		name   string
		change func(*bus.Subscription)
		want   string
	}{
		{"topic not global", func(s *bus.Subscription) { s.Topic = "t" }, "global name"},
		{"topic with markup", func(s *bus.Subscription) { s.Topic = "/t</value>" }, "global name"},
		{"nobody allowed", func(s *bus.Subscription) { s.Allow = nil }, "AllowAny"},
		{"names and anybody", func(s *bus.Subscription) { s.AllowAny = true }, "AllowAny"},
		{"allowed name not global", func(s *bus.Subscription) { s.Allow = []string{"a b"} }, "allowed publisher"},
		{"negative cap", func(s *bus.Subscription) { s.MaxBytes = -1 }, "none negative"},
		{"negative deadline", func(s *bus.Subscription) { s.IdleTimeout = -1 }, "none negative"},
		{"unknown mode", func(s *bus.Subscription) { s.Mode = 3 }, "known mode"},
		{"wrong type", func(s *bus.Subscription) { s.Type = bus.TypeBool }, bus.TypeTwist},
	} {
		s := ok
		c.change(&s)
		if _, err := n.SubscribeCommand(s, 0, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want an error that says %q", c.name, err, c.want)
		}
	}
	if _, err := n.SubscribePose(ok, nil); err == nil {
		t.Error("a pose subscription without a type is accepted")
	}
	if _, err := n.SubscribeTransforms(bus.Subscription{Topic: "/tf", AllowAny: true, Mode: bus.Latest}, nil, nil); err == nil {
		t.Error("transforms in mode Latest are accepted")
	}
	for _, names := range [][]string{nil, {"a", "a"}, {""}, jointNames(msg.MaxJoints + 1)} {
		if _, err := n.SubscribeJoints(ok, names, nil); err == nil {
			t.Errorf("%d joint names %.3v are accepted", len(names), names)
		}
	}
	if _, err := n.SubscribeDevice(ok, msg.Battery, 0, nil); err == nil {
		t.Error("a battery of type Bool is accepted")
	}
	if _, err := n.SubscribeText(bus.Subscription{Topic: "/t", AllowAny: true, MaxBytes: 1 << 30}, nil); err == nil {
		t.Error("a text of 1 GiB is accepted")
	}
}

// TestEveryTypeArrives sends one message of each type over a connection.
func TestEveryTypeArrives(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	got := make(chan string, 100)
	note := func(what string, h *msg.Header) {
		if h.Peer == nil || h.Boot == 0 {
			t.Errorf("%s: header %+v", what, h)
		}
		select {
		case got <- what:
		default:
		}
	}
	any := func(topic, typ string) bus.Subscription {
		return bus.Subscription{Topic: topic, Type: typ, AllowAny: true}
	}
	var errs []error
	sub := func(_ *Sub, err error) { errs = append(errs, err) }
	sub(n.SubscribePose(any("/odom", bus.TypeOdometry), func(m *msg.Pose) { note("odom", &m.Header) }))
	sub(n.SubscribePose(any("/ps", bus.TypePoseStamped), func(m *msg.Pose) { note("ps", &m.Header) }))
	sub(n.SubscribePose(any("/pc", bus.TypePoseWithCovarianceStamped), func(m *msg.Pose) { note("pc", &m.Header) }))
	sub(n.SubscribeTransforms(any("/tf_static", ""), nil, func(m *msg.Transform) {
		if m.Static {
			note("tf", &m.Header)
		}
	}))
	sub(n.SubscribeJoints(any("/js", ""), jointNames(3), func(m *msg.Joints) { note("js", &m.Header) }))
	sub(n.SubscribeIMU(any("/imu", ""), func(m *msg.IMU) { note("imu", &m.Header) }))
	sub(n.SubscribeBattery(any("/bat", ""), 0, func(m *msg.Device) { note("bat", &m.Header) }))
	sub(n.SubscribeBool(any("/bool", ""), func(m *msg.Bool) { note("bool", &m.Header) }))
	sub(n.SubscribeDevice(any("/cam", ""), msg.Camera, 0, func(m *msg.Device) { note("cam", &m.Header) }))
	sub(n.SubscribeText(any("/text", ""), func(m *msg.Text) { note("text", &m.Header) }))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{}
	for what, typ := range map[string]string{
		"odom": bus.TypeOdometry, "ps": bus.TypePoseStamped, "pc": bus.TypePoseWithCovarianceStamped, "tf": bus.TypeTFMessage,
		"js": bus.TypeJointState, "imu": bus.TypeImu, "bat": bus.TypeBatteryState, "bool": bus.TypeBool, "cam": bus.TypeBool, "text": bus.TypeString,
	} {
		topic := "/" + what
		if what == "tf" {
			topic = "/tf_static"
		}
		want[what] = true
		startPublisher(t, master.URI(), "/pub_"+what, topic, typ, func(p *rostest.Publisher) { p.Latched = sample(t, typ) })
	}
	for len(want) > 0 {
		select {
		case what := <-got:
			delete(want, what)
		case <-time.After(10 * time.Second):
			t.Fatalf("missing: %v%v", want, &ev)
		}
	}
}

func TestSubCloseEndsItsConnections(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	p := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	sub, _ := commands(t, n, nil)
	eventually(t, "connected, on both ends", func() bool { return p.Subscribers() == 1 && sub.Stats().Connected == 1 })
	sub.Close()
	if s := sub.Stats(); s.Connected != 0 {
		t.Errorf("%+v after Close", s)
	}
	eventually(t, "disconnected", func() bool { return p.Subscribers() == 0 })
	if ev.count(bus.PublisherGone) != 1 {
		t.Errorf("%d PublisherGone; want 1", ev.count(bus.PublisherGone))
	}
	sub.Close()
}
