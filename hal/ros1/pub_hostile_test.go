package ros1

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// TestCallerIDLockOut: several connections may have one callerid, so nobody is locked out by a namesake.
func TestCallerIDLockOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/agent/stop", Type: bus.TypeBool}, nil)
	attacker := b.join(t, "/motor_controller")
	honest := b.join(t, "/motor_controller")
	if sent, err := b.p.PublishBool(1, true); err != nil || sent.Delivered != 2 {
		t.Fatalf("%+v, %v", sent, err)
	}
	for _, s := range []*rostest.Subscriber{attacker, honest} {
		if body, err := s.Message(); err != nil || body[0] != 1 {
			t.Errorf("%v, %v", body, err)
		}
	}
}

// TestSubscriberFaults: each is refused with a reason, and the node stays healthy (the /rosout trick is the first).
func TestSubscriberFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, func(c *Config) {
		c.Limits.HandshakeTimeout, c.Limits.EventsPerSecond = 300*time.Millisecond, 1000
	})
	good := func(kv ...string) []byte {
		m := map[string]string{"callerid": "/x", "topic": "/cmd_vel", "type": bus.TypeTwist, "md5sum": b.typ.md5}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		var all []string
		for k, v := range m {
			all = append(all, k, v)
		}
		return rostest.Header(all...)
	}
	for _, c := range []struct {
		name   string
		header []byte
		want   string
	}{
		{"rosout with a wrong md5", good("topic", "/rosout", "type", "rosgraph_msgs/Log", "md5sum", "bad"), "not a publisher"},
		{"wrong md5", good("md5sum", "deadbeef"), "md5sum"},
		{"wrong type", good("type", bus.TypeBool), "type"},
		{"callerid that is no name", good("callerid", "</value>"), "callerid"},
		{"empty header", []byte{0, 0, 0, 0}, "callerid"},
		{"odd keys", rostest.Header("callerid", "", "md5sum", "", "topic", "", "\xff\xfe", "y", "", "x", "_", "z"), "callerid"},
		{"header of 64 KiB and one byte", []byte{1, 0, 1, 0}, "too long"},
		{"header of 4 GiB", []byte{255, 255, 255, 255}, "too long"},
		{"header that never ends", []byte{9, 0, 0, 0, 1}, "timeout"},
		{"header of garbage", []byte{4, 0, 0, 0, 255, 255, 255, 255}, "header field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.ev.mu.Lock()
			b.ev.list = nil
			b.ev.mu.Unlock()
			for range 3 {
				conn, err := net.Dial("tcp", b.dataAddr())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.Write(c.header); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
					t.Errorf("the connection ends with %v", err)
				}
			}
			eventually(t, "reported", func() bool { return b.ev.count(bus.SubscriberRefused) == 3 })
			if e := b.ev.first(bus.SubscriberRefused); !strings.Contains(e.Detail, c.want) {
				t.Errorf("%q; want %q", e.Detail, c.want)
			}
			s := b.join(t, "/base")
			if sent, err := b.p.PublishTwist(uint64(time.Now().UnixNano()), twistOf(1)); err != nil || sent.Delivered < 1 {
				t.Errorf("%+v, %v", sent, err)
			}
			if body, err := s.Message(); err != nil || f64(body) != 1 {
				t.Errorf("%v, %v", body, err)
			}
			if _, err := rostest.Call(b.n.URI(), "getBusInfo", "/x"); err != nil {
				t.Error(err)
			}
			s.Close()
			eventually(t, "left", func() bool { return b.p.Subscribers() == 0 })
		})
	}
	// Off: wildcards, as rosbag and topic_tools send them, are accepted.
	for _, kv := range [][]string{{"md5sum", "*"}, {"md5sum", "*", "type", "*"}} {
		conn, err := net.Dial("tcp", b.dataAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(good(kv...)); err != nil {
			t.Fatal(err)
		}
		if h, err := rostest.ReadHeader(conn); err != nil || h["md5sum"] != b.typ.md5 {
			t.Errorf("%v: %v, %v", kv, h, err)
		}
	}
}

// TestHeaderFlood: 400 connections announce 16 MiB each and 100 of them send 8 MiB.
func TestHeaderFlood(t *testing.T) {
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	base := b.join(t, "/base")
	before := heap()
	hello := make([]byte, 8)
	binary.LittleEndian.PutUint32(hello, 16<<20)
	binary.LittleEndian.PutUint32(hello[4:], 16<<20-4)
	chunk := make([]byte, 1<<20)
	var peak uint64
	for i := range 400 {
		c, err := net.Dial("tcp", b.dataAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(hello); err != nil {
			continue // refused already
		}
		if i%4 == 0 {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			for range 8 {
				if _, err := c.Write(chunk); err != nil {
					break
				}
			}
		}
		if i%100 == 99 {
			peak = max(peak, heap())
		}
	}
	if peak > before+6<<20 {
		t.Errorf("heap grew from %d to %d", before, peak)
	}
	// The worst that the caps let in: as many announced and half-sent headers as there is room for.
	legal := append(binary.LittleEndian.AppendUint32(nil, DefaultMaxHeaderBytes), make([]byte, DefaultMaxHeaderBytes-1)...)
	for range 200 {
		c, err := net.Dial("tcp", b.dataAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(legal)
	}
	if after := heap(); after > before+6<<20 {
		t.Errorf("heap grew from %d to %d", before, after)
	}
	if sent, err := b.p.PublishTwist(1, twistOf(1)); err != nil || sent.Delivered != 1 {
		t.Errorf("%+v, %v", sent, err)
	}
	if body, err := base.Message(); err != nil || f64(body) != 1 {
		t.Errorf("%v, %v", body, err)
	}
	b.join(t, "/late") // somebody honest still gets in
}

// TestIdleHandshakesGiveWay: more connections than the door holds say nothing; an honest one gets in at once.
func TestIdleHandshakesGiveWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, func(c *Config) {
		c.Limits.HandshakeTimeout, c.Limits.RPCTimeout = time.Minute, time.Minute
	})
	for range 100 {
		for _, addr := range []string{b.dataAddr(), b.n.slave.Addr().String()} {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	b.join(t, "/base")
}

func TestConnectionCaps(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist, Consumers: []string{"/base"}}, func(c *Config) {
		c.Limits.MaxConnectionsPerTopic, c.Limits.MaxConnections, c.Limits.MaxConnectionsPerAddr = 4, 6, 6
	})
	other, err := b.n.Advertise(bus.Publication{Topic: "/lock", Type: bus.TypeBool})
	if err != nil {
		t.Fatal(err)
	}
	dial := func(name, topic, typ string) error {
		s, err := rostest.Dial(b.dataAddr(), "callerid", name, "topic", topic, "type", typ, "md5sum", "*")
		if err != nil {
			return err
		}
		t.Cleanup(func() { s.Close() })
		// A refusal for want of room comes after the header: then the connection ends.
		s.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := s.Message(); err != nil && !isTimeout(err) {
			return err
		}
		return nil
	}
	for i, c := range []struct {
		name, topic, typ string
		ok               bool
	}{
		{"/a", "/cmd_vel", bus.TypeTwist, true},
		{"/b", "/cmd_vel", bus.TypeTwist, true},
		{"/c", "/cmd_vel", bus.TypeTwist, false}, // the other half is the consumer's
		{"/base", "/cmd_vel", bus.TypeTwist, true},
		{"/base", "/cmd_vel", bus.TypeTwist, true},
		{"/base", "/cmd_vel", bus.TypeTwist, false},
		{"/a", "/lock", bus.TypeBool, true},
		{"/b", "/lock", bus.TypeBool, false}, // five in all, one is kept for consumers
	} {
		if err := dial(c.name, c.topic, c.typ); (err == nil) != c.ok {
			t.Errorf("connection %d %+v: %v%v", i, c, err, b.ev)
		}
	}
	if peers := b.p.peers(); peers[0].Name != "/base" || peers[1].Name != "/base" {
		t.Error("the consumer is not written first")
	}
	if other.Subscribers() != 1 {
		t.Errorf("%d subscribers of /lock", other.Subscribers())
	}
	if e := b.ev.first(bus.SubscriberRefused); e == nil || !strings.Contains(e.Detail, "already") {
		t.Errorf("%+v", e)
	}
}

func TestSubscriberThatSendsDataIsDropped(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	s := b.join(t, "/chatter")
	_, _ = s.Write(make([]byte, 64<<10))
	eventually(t, "dropped", func() bool { return ev1(b.ev, bus.SubscriberRefused) == "/chatter" })
}
