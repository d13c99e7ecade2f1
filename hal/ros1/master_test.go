package ros1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

func TestForgedUnregisterOfOurTopic(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	base := b.join(t, "/base")
	for i := 1; i <= 3; i++ {
		eventually(t, "registered", func() bool { return len(b.master.Publishers("/cmd_vel")) == 1 && b.ev.count(bus.Registered) == i })
		if _, err := rostest.Call(b.master.URI(), "unregisterPublisher", "/robowarden", "/cmd_vel", b.n.URI()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the loss is reported", func() bool { return b.ev.count(bus.RegistrationLost) == i })
	}
	eventually(t, "registered again", func() bool { return len(b.master.Publishers("/cmd_vel")) == 1 })
	if _, err := b.p.PublishTwist(1, twistOf(2)); err != nil {
		t.Error(err)
	}
	if body, err := base.Message(); err != nil || f64(body) != 2 {
		t.Errorf("%v, %v", body, err)
	}
}

// TestForgedRegisterOfOurName: somebody registers our name with a slave URI of his own; the master then forgets our
// topics and tells us to shut down.
func TestForgedRegisterOfOurName(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	eventually(t, "registered", func() bool { return len(b.master.Publishers("/cmd_vel")) == 1 })
	forger := startPublisher(t, b.master.URI(), "/robowarden", "/cmd_vel", bus.TypeTwist, nil)
	eventually(t, "the loss is reported", func() bool { return b.ev.count(bus.RegistrationLost) == 1 })
	eventually(t, "registered again", func() bool { return b.ev.count(bus.Registered) == 2 })
	v, err := rostest.Call(b.master.URI(), "lookupNode", "/x", "/robowarden")
	if err != nil || v[2].Str() != b.n.URI() {
		t.Errorf("the master knows us at %v (%v); want %s", v, err, b.n.URI())
	}
	eventually(t, "the forger is told to go, we refuse", func() bool {
		return forger.Calls("shutdown") == 1 && b.ev.count(bus.RequestRefused) == 1
	})
}

// badMaster answers every request with the same bytes, or as f does.
func badMaster(tb testing.TB, f func(net.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				b := make([]byte, 4096)
				if _, err := c.Read(b); err == nil {
					f(c)
				}
				c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			})
		}
	})
	tb.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + ln.Addr().String() + "/"
}

func httpOK(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func rosAnswer(value string) string {
	return httpOK(`<?xml version="1.0"?><methodResponse><params><param><value><array><data><value><int>1</int></value><value>ok</value>` +
		value + `</data></array></value></param></params></methodResponse>`)
}

// TestFakeMaster: whatever the master answers, the node reports it, keeps serving and does not grow.
func TestFakeMaster(t *testing.T) {
	entry := func(topic, node string) string { return rostest.Encode([]any{topic, []string{node}}) }
	state := func(pubs string) string {
		return rosAnswer("<value><array><data><value><array><data>" + pubs + "</data></array></value>" +
			rostest.Encode([]any{}) + rostest.Encode([]any{}) + "</data></array></value>")
	}
	var many strings.Builder
	for i := range 3000 {
		many.WriteString(entry("/cmd", fmt.Sprintf("/n%d", i)))
		many.WriteString(entry(fmt.Sprintf("/t%d", i), "/x"))
	}
	for _, c := range []struct {
		name   string
		answer string
		lost   bool
	}{
		{"garbage", "\x00\xff\x00garbage\r\n\r\n", true},
		{"not XML", httpOK("hello"), true},
		{"a fault", httpOK("<methodResponse><fault><value><struct/></value></fault></methodResponse>"), true},
		{"code 0", httpOK("<methodResponse><params><param>" + rostest.Encode([]any{0, "no", 0}) + "</param></params></methodResponse>"), true},
		{"a number for the state", rosAnswer("<value><int>5</int></value>"), true},
		{"an empty state", rosAnswer(rostest.Encode([]any{})), true},
		{"lists of the wrong shape", state(rostest.Encode([]any{"/cmd", "/pub"})), true},
		{"numbers for names", state(rostest.Encode([]any{"/cmd", []any{5}})), true},
		{"deep nesting", httpOK(strings.Repeat("<value><array><data>", 10000)), true},
		{"500", "HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n", true},
		{"a redirect", "HTTP/1.1 301 moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", true},
		{"nothing", "", true},
		{"names of markup", state(entry("/cmd", "</value>") + entry("/cmd", "/"+strings.Repeat("x", 5000))), false},
		{"six thousand publishers", state(many.String()), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			uri := badMaster(t, func(conn net.Conn) { _, _ = io.WriteString(conn, c.answer) })
			var ev events
			n := startNode(t, testConfig(uri, &ev))
			p, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist})
			if err != nil {
				t.Fatal(err)
			}
			commands(t, n, func(s *bus.Subscription) { s.Allow, s.AllowAny = nil, true })
			if c.lost {
				eventually(t, "the loss is reported", func() bool { return ev.first(bus.BusLost) != nil })
			} else {
				eventually(t, "the publishers are refused", func() bool { return ev.first(bus.PublisherRefused) != nil })
			}
			s, err := rostest.Subscribe(n.URI(), "/base", "/cmd_vel", bus.TypeTwist, "*")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			eventually(t, "served", func() bool { return p.Subscribers() == 1 })
			for _, e := range ev.all() {
				if len(e.Detail) > 600 || len(e.Name) > maxName {
					t.Errorf("event of %d bytes", len(e.Detail)+len(e.Name))
				}
			}
		})
	}
}

// TestFakeMasterWithoutEnd: an endless and a slow answer end at the cap and at the deadline.
func TestFakeMasterWithoutEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(net.Conn)
	}{
		{"endless", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?>")
			_, _ = io.Copy(c, letters{})
		}},
		{"slow", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for {
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			uri := badMaster(t, c.f)
			var ev events
			cfg := testConfig(uri, &ev)
			cfg.Limits.RPCTimeout = 300 * time.Millisecond
			before := heap()
			n := startNode(t, cfg)
			commands(t, n, nil)
			eventually(t, "the loss is reported", func() bool { return ev.first(bus.BusLost) != nil })
			goroutines := runtime.NumGoroutine()
			time.Sleep(time.Second)
			if g := runtime.NumGoroutine(); g > goroutines+10 {
				t.Errorf("goroutines grew from %d to %d", goroutines, g)
			}
			if after := heap(); after > before+3*DefaultMaxRPCBytes {
				t.Errorf("heap grew from %d to %d", before, after)
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no clock", func(c *Config) { c.Clock = nil }, "clock"},
		{"name not global", func(c *Config) { c.Name = "robowarden" }, "not global"},
		{"host that is a name", func(c *Config) { c.Host = "localhost" }, "IP address"},
		{"host of all addresses", func(c *Config) { c.Host = "0.0.0.0" }, "IP address"},
		{"master without a port", func(c *Config) { c.MasterURI = "http://127.0.0.1/" }, "no port"},
		{"master of another scheme", func(c *Config) { c.MasterURI = "https://127.0.0.1:1/" }, "http://host:port/"},
		{"negative limit", func(c *Config) { c.Limits.MaxPublishers = -1 }, "MaxPublishers"},
		{"negative deadline", func(c *Config) { c.Limits.StallTimeout = -1 }, "StallTimeout"},
	} {
		cfg := testConfig("http://127.0.0.1:11311/", &events{})
		c.change(&cfg)
		if n, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want an error that says %q", c.name, err, c.want)
			if n != nil {
				n.Close()
			}
		}
	}
	n, err := New(testConfig("http://127.0.0.1:11311/", &events{}))
	if err != nil {
		t.Fatal(err)
	}
	n.Close() // before Run
	if _, err := n.Advertise(bus.Publication{Topic: "/t", Type: bus.TypeBool}); !errors.Is(err, ErrClosed) {
		t.Errorf("Advertise after Close: %v", err)
	}
	if _, err := n.SubscribeBool(bus.Subscription{Topic: "/t", AllowAny: true}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
	if _, err := n.WatchTopic("/t", "", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("WatchTopic after Close: %v", err)
	}
}
