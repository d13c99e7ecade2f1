package ros1

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// These tests are not parallel: testing.AllocsPerRun counts what the whole process allocates.

// typed is a decoder of each type with a message for it.
func typed(tb testing.TB) []struct {
	typ  string
	dec  decoder
	body []byte
} {
	tb.Helper()
	var sink float64
	pose := func(typ string) decoder {
		return newPoseDecoder(typ, testPeer, func(m *msg.Pose) { sink += m.Position.X })
	}
	one := func(typ string, d decoder) struct {
		typ  string
		dec  decoder
		body []byte
	} {
		return struct {
			typ  string
			dec  decoder
			body []byte
		}{typ, d, sample(tb, typ)}
	}
	return []struct {
		typ  string
		dec  decoder
		body []byte
	}{
		one(bus.TypeOdometry, pose(bus.TypeOdometry)),
		one(bus.TypePoseStamped, pose(bus.TypePoseStamped)),
		one(bus.TypePoseWithCovarianceStamped, pose(bus.TypePoseWithCovarianceStamped)),
		one(bus.TypeTFMessage, &tfDecoder{max: 64, h: func(m *msg.Transform) { sink += m.Translation.X }}),
		one(bus.TypeJointState, testJointDecoder(jointNames(29), func(m *msg.Joints) { sink += m.Position[3] })),
		one(bus.TypeImu, &imuDecoder{h: func(m *msg.IMU) { sink += m.Orientation.X }}),
		one(bus.TypeBatteryState, &batteryDecoder{h: func(m *msg.Device) { sink += m.ChargeRatio }}),
		one(bus.TypeTemperature, newHeatDecoder(nil, func(m *msg.Device) { sink += m.Celsius })),
		one(bus.TypeTwist, &commandDecoder{h: func(m *msg.Command) { sink += m.Linear.X }}),
		one(bus.TypeBool, &boolDecoder{h: func(*msg.Bool) {}}),
		one(bus.TypeString, &textDecoder{h: func(*msg.Text) {}}),
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	for _, c := range typed(t) {
		if n := testing.AllocsPerRun(200, func() {
			if err := c.dec.decode(c.body, 1); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.typ, n)
		}
		// Refusing costs nothing either.
		cut := c.body[:len(c.body)-1]
		if n := testing.AllocsPerRun(200, func() { _ = c.dec.decode(cut, 1) }); n != 0 {
			t.Errorf("%s cut: %v allocations", c.typ, n)
		}
	}
	// Other orders of joints than the last one's.
	a, b := sample(t, bus.TypeJointState), sample(t, bus.TypeJointState)
	copy(b[16+3+4:], "\x08\x00\x00\x00joint_28") // 28 comes first and last then: refused
	d := testJointDecoder(jointNames(29), func(*msg.Joints) {})
	if n := testing.AllocsPerRun(200, func() { _, _ = d.decode(a, 1), d.decode(b, 1) }); n != 0 {
		t.Errorf("joints in changing order: %v allocations", n)
	}
}

// TestMessageInCommandOutAllocatesNothing runs the whole way over real sockets: read, decode, handler, publish, write.
func TestMessageInCommandOutAllocatesNothing(t *testing.T) {
	out, far := tcpPair(t)
	defer out.Close()
	defer far.Close()
	p := &Publisher{n: &Node{}, topic: "/cmd_vel", typ: wireType{name: bus.TypeTwist}, max: twistBytes, frame: make([]byte, 0, 4+twistBytes)}
	c, err := newPubConn(p, out, testPeer)
	if err != nil {
		t.Fatal(err)
	}
	p.conns = []*pubConn{c}
	var seq, failed atomic.Uint64
	for _, mode := range []bus.Mode{bus.Latest, bus.Every} {
		in, src := tcpPair(t)
		d := &commandDecoder{h: func(m *msg.Command) {
			if s, err := p.PublishTwist(seq.Add(1), &m.Twist); err != nil || s.Delivered != 1 {
				failed.Add(1)
			}
		}}
		st := testStream(t, in, mode, twistBytes, d.decode)
		done := make(chan error, 1)
		go func() { done <- st.run() }()
		frame, back := rostest.Frame(twistBody(1)), make([]byte, 4+twistBytes)
		if n := testing.AllocsPerRun(2000, func() {
			if _, err := src.Write(frame); err != nil {
				t.Fatal(err)
			}
			for at := 0; at < len(back); {
				k, err := far.Read(back[at:])
				if err != nil {
					t.Fatal(err)
				}
				at += k
			}
		}); n != 0 {
			t.Errorf("mode %d: %v allocations per message", mode, n)
		}
		src.Close()
		<-done
		in.Close()
	}
	if failed.Load() != 0 {
		t.Errorf("%d publications failed", failed.Load())
	}
}

func TestPublishingAllocatesNothing(t *testing.T) {
	status := []bus.DiagnosticStatus{{Name: "guard", Message: "ok", Values: []bus.KeyValue{{Key: "a", Value: "b"}}}}
	text, twist := []byte("hello"), twistOf(1)
	for _, c := range []struct {
		typ string
		f   func(p *Publisher, seq uint64) (bus.Sent, error)
	}{
		{bus.TypeTwist, func(p *Publisher, seq uint64) (bus.Sent, error) { return p.PublishTwist(seq, twist) }},
		{bus.TypeBool, func(p *Publisher, seq uint64) (bus.Sent, error) { return p.PublishBool(seq, true) }},
		{bus.TypeString, func(p *Publisher, seq uint64) (bus.Sent, error) { return p.PublishString(seq, text) }},
		{bus.TypeDiagnosticArray, func(p *Publisher, seq uint64) (bus.Sent, error) { return p.PublishDiagnostics(seq, 1, status) }},
	} {
		for _, stopped := range []bool{false, true} {
			b := newBench(t, bus.Publication{Topic: "/x", Type: c.typ}, func(c *Config) {
				c.Limits.PollInterval, c.Limits.StallTimeout = time.Minute, time.Minute
			})
			b.join(t, "/a") // nobody reads: at first the sockets take it, then they are full
			seq, behind := uint64(0), 0
			publish := func() {
				seq++
				s, err := c.f(b.p, seq)
				if err != nil {
					t.Fatal(err)
				}
				behind += s.Behind
			}
			for stopped && behind < 1000 {
				publish()
			}
			eventually(t, "registered", func() bool { return len(b.master.Publishers("/x")) == 1 })
			if n := testing.AllocsPerRun(500, publish); n != 0 {
				t.Errorf("%s, full sockets %v: %v allocations", c.typ, stopped, n)
			}
		}
	}
}

// TestPollingAllocatesNothing: a graph that does not change costs no garbage, however often it is asked for.
func TestPollingAllocatesNothing(t *testing.T) {
	answer := []byte(rosAnswer(rostest.Encode([]any{
		[]any{[]any{"/cmd_vel", []string{"/robowarden"}}, []any{"/odom", []string{"/base"}}}, []any{}, []any{},
	})))
	var self atomic.Pointer[[]byte]
	addr := answering(t, func(c net.Conn) {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			out := answer
			if s := self.Load(); s != nil && containsBytes(b[:n], "lookupNode") {
				out = *s
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	})
	n, err := New(testConfig("http://"+addr+"/", &events{}))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	n.cfg.Limits.RegistrationInterval = 1
	lookup := []byte(rosAnswer(rostest.Encode(n.URI())))
	self.Store(&lookup)
	p, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist})
	if err != nil {
		t.Fatal(err)
	}
	p.registered = true
	n.asked.Store(true)
	m := newMaster(n)
	defer m.conn.close()
	m.state.ours = true
	for range 3 {
		m.poll()
	}
	if !m.state.known || !p.registered {
		t.Fatal("the poll fails")
	}
	if a := testing.AllocsPerRun(200, m.poll); a != 0 {
		t.Errorf("%v allocations per poll", a)
	}
}

func containsBytes(b []byte, s string) bool {
	for i := 0; i+len(s) <= len(b); i++ {
		if string(b[i:i+len(s)]) == s {
			return true
		}
	}
	return false
}
