package ros1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// plain turns a value into strings and lists.
func plain(v rostest.Value) any {
	if v.Array == nil {
		return v.Str()
	}
	out := []any{}
	for _, e := range v.List() {
		out = append(out, plain(e))
	}
	return out
}

func TestSlaveAPIAnswersTools(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	pub := startPublisher(t, b.master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	commands(t, b.n, nil)
	b.join(t, "/base")
	eventually(t, "connected", func() bool { return pub.Subscribers() == 1 })
	port := fmt.Sprint(b.n.data.port())
	call := func(method string, params ...any) any {
		t.Helper()
		var got any
		eventually(t, method, func() bool {
			v, err := rostest.Call(b.n.URI(), method, params...)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			got = []any{v[0].Str(), plain(v[2])}
			return true
		})
		return got
	}
	for _, c := range []struct {
		method string
		params []any
		want   any
	}{
		{"getPid", []any{"/x"}, []any{"1", fmt.Sprint(os.Getpid())}},
		{"getMasterUri", []any{"/x"}, []any{"1", b.master.URI()}},
		{"getPublications", []any{"/x"}, []any{"1", []any{[]any{"/cmd_vel", bus.TypeTwist}}}},
		{"getSubscriptions", []any{"/x"}, []any{"1", []any{[]any{"/cmd", bus.TypeTwist}}}},
		{"requestTopic", []any{"/x", "/cmd_vel", []any{[]any{"TCPROS"}}}, []any{"1", []any{"TCPROS", "127.0.0.1", port}}},
		{"requestTopic", []any{"/x", "/cmd_vel", []any{[]any{"UDPROS", "a"}, []any{"TCPROS"}}}, []any{"1", []any{"TCPROS", "127.0.0.1", port}}},
		{"requestTopic", []any{"/x", "/cmd_vel", []any{[]any{"UDPROS"}}}, []any{"-1", []any{}}},
		{"requestTopic", []any{"/x", "/other", []any{[]any{"TCPROS"}}}, []any{"-1", []any{}}},
		{"requestTopic", []any{"/x"}, []any{"-1", []any{}}},
		{"noSuchMethod", []any{"/x"}, []any{"-1", "0"}},
	} {
		if diff := cmp.Diff(c.want, call(c.method, c.params...)); diff != "" {
			t.Errorf("%s%v: %s", c.method, c.params, diff)
		}
	}
	info := call("getBusInfo", "/x").([]any)[1].([]any)
	var seen []string
	for _, e := range info {
		f := e.([]any)
		seen = append(seen, fmt.Sprint(f[1], " ", f[2], " ", f[4], " ", f[5]))
	}
	if diff := cmp.Diff([]string{"/base o /cmd_vel 1", pub.URI() + " i /cmd 1"}, seen); diff != "" {
		t.Error(diff)
	}
	if stats := call("getBusStats", "/x").([]any)[1].([]any); len(stats) != 3 {
		t.Errorf("getBusStats: %v", stats)
	}
}

// TestSlaveAPITakesNoOrders: shutdown ends nothing, and a forged publisherUpdate swaps no feed.
func TestSlaveAPITakesNoOrders(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	base := b.join(t, "/base")
	pub := startPublisher(t, b.master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	forger := startPublisher(t, "", "/pub", "/cmd", bus.TypeTwist, nil)
	_, got := commands(t, b.n, nil)
	eventually(t, "connected", func() bool { return pub.Subscribers() == 1 })
	for i, c := range [][]any{
		{"shutdown", "/master", "bye"},
		{"publisherUpdate", "/master", "/cmd", []string{forger.URI()}},
		{"publisherUpdate", "/master", "/cmd", []string{}},
		{"paramUpdate", "/master", "/use_sim_time", true},
	} {
		v, err := rostest.Call(b.n.URI(), c[0].(string), c[1:]...)
		if err != nil || v[0].Str() != "-1" || !strings.Contains(v[1].Str(), "refused") {
			t.Errorf("%s: %v, %v", c[0], v, err)
		}
		if b.ev.count(bus.RequestRefused) != i+1 {
			t.Errorf("%s is not reported:%v", c[0], b.ev)
		}
	}
	before := got.Load()
	eventually(t, "the feed goes on", func() bool { pub.Send(twistBody(1)); return got.Load() > before+20 })
	if forger.Total() != 0 || pub.Total() != 1 {
		t.Errorf("%d connections to the forger, %d to the publisher", forger.Total(), pub.Total())
	}
	if _, err := b.p.PublishTwist(1, twistOf(2)); err != nil {
		t.Error(err)
	}
	if body, err := base.Message(); err != nil || f64(body) != 2 {
		t.Errorf("%v, %v", body, err)
	}
}

// TestPublisherUpdateFloodPokesGently: hints from strangers cost the master at most some polls a second.
func TestPublisherUpdateFloodPokesGently(t *testing.T) {
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, func(c *Config) { c.Limits.PollInterval = time.Minute })
	eventually(t, "registered", func() bool { return len(b.master.Publishers("/cmd_vel")) == 1 })
	before, began := b.master.Calls("getSystemState"), time.Now()
	for range 300 {
		if _, err := rostest.Call(b.n.URI(), "publisherUpdate", "/x", "/cmd", []string{}); err != nil {
			t.Fatal(err)
		}
	}
	polls, most := b.master.Calls("getSystemState")-before, 3+int(time.Since(began)/(250*time.Millisecond))
	if polls == 0 || polls > most {
		t.Errorf("%d polls; want 1 to %d", polls, most)
	}
}

func TestSlaveAPIRefusesBodies(t *testing.T) {
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, func(c *Config) { c.Limits.EventsPerSecond = 1000 })
	endless := func(n int64) io.Reader {
		return io.MultiReader(strings.NewReader("<?xml version=\"1.0\"?><methodCall><methodName>"), io.LimitReader(letters{}, n))
	}
	before := heap()
	for _, c := range []struct {
		name string
		body io.Reader
		want int
	}{
		{"400 MB of method name", endless(400 << 20), http.StatusBadRequest},
		{"64 KiB of method name", endless(60 << 10), http.StatusBadRequest},
		{"no XML", strings.NewReader("hello"), http.StatusBadRequest},
		{"nothing", strings.NewReader(""), http.StatusBadRequest},
	} {
		r, err := http.Post(b.n.URI(), "text/xml", c.body)
		if err != nil {
			if c.body == nil || !strings.Contains(c.name, "400") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue // the server may end the connection before all is sent
		}
		r.Body.Close()
		if r.StatusCode != c.want {
			t.Errorf("%s: %s", c.name, r.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if after := heap(); after > before+8<<20 {
		t.Errorf("heap grew from %d to %d", before, after)
	}
	eventually(t, "reported", func() bool { return b.ev.count(bus.RequestMalformed) == 4 })
	r, err := http.Get(b.n.URI())
	if err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", r, err)
	}
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if _, err := rostest.Call(b.n.URI(), "getPid", "/x"); err != nil {
		t.Error(err)
	}
}

// letters is an endless reader.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

// TestCloseWhileAClientStalls: HTTP clients that send half a request do not hold up Close.
func TestCloseWhileAClientStalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, func(c *Config) { c.Limits.RPCTimeout = time.Minute })
	b.join(t, "/base")
	eventually(t, "registered", func() bool { return len(b.master.Publishers("/cmd_vel")) == 1 })
	for _, half := range []string{"", "POST /RPC2 HT", "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<?xml"} {
		c, err := net.Dial("tcp", b.n.slave.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("tcp", b.dataAddr()) // half a header as well
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var closed atomic.Bool
	go func() {
		b.n.Close()
		closed.Store(true)
	}()
	within(t, 5*time.Second, "closed", closed.Load)
	if len(b.master.Publishers("/cmd_vel")) != 0 {
		t.Error("still registered")
	}
}

// TestCloseWhileTheMasterStalls: the unregistration has a deadline.
func TestCloseWhileTheMasterStalls(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	var wait atomic.Int64
	addr := answering(t, func(net.Conn) { wait.Add(1); <-stop })
	defer close(stop)
	var ev events
	cfg := testConfig("http://"+addr+"/", &ev)
	cfg.Limits.CloseTimeout, cfg.Limits.RPCTimeout = 300*time.Millisecond, time.Minute
	n := startNode(t, cfg)
	for _, topic := range []string{"/a", "/b", "/c"} {
		if _, err := n.Advertise(bus.Publication{Topic: topic, Type: bus.TypeBool}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the master is asked", func() bool { return wait.Load() > 0 })
	began := time.Now()
	n.Close()
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("Close took %v; want about 300 ms", d)
	}
	n.Close()
}
