package ros1

import (
	"net"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

func TestIPv6(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		skip(t, "there is no IPv6 loopback: "+err.Error())
	}
	ln.Close()
	master, err := rostest.NewMaster("::1")
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	var ev events
	cfg := testConfig(master.URI(), &ev)
	cfg.Host = "::1"
	n := startNode(t, cfg)
	if !strings.HasPrefix(n.URI(), "http://[::1]:") {
		t.Errorf("URI %s", n.URI())
	}
	p, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist})
	if err != nil {
		t.Fatal(err)
	}
	pub := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, func(p *rostest.Publisher) { p.Host = "::1" })
	_, got := commands(t, n, nil)
	s, err := rostest.Subscribe(n.URI(), "/base", "/cmd_vel", bus.TypeTwist, "*")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	eventually(t, "joined and registered", func() bool { return p.Subscribers() == 1 && len(master.Publishers("/cmd_vel")) == 1 })
	if _, err := p.PublishTwist(1, twistOf(3)); err != nil {
		t.Fatal(err)
	}
	if body, err := s.Message(); err != nil || f64(body) != 3 {
		t.Errorf("%v, %v", body, err)
	}
	eventually(t, "data", func() bool { pub.Send(twistBody(1)); return got.Load() > 0 })
	if peer := ev.first(bus.PublisherConnected).Peer; peer.Strength != msg.SourceBound || peer.Addr.Addr().String() != "::1" {
		t.Errorf("%+v", peer)
	}
}

func TestNamesAndAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"/a": true, "/a/b_1": true, "/rostopic_12_34": true, "": false, "/": false, "a": false, "/a b": false, "/ä": false,
		"/a<": false, "/a\n": false, "/" + strings.Repeat("a", 255): true, "/" + strings.Repeat("a", 256): false,
	} {
		if validName(s) != want {
			t.Errorf("name %.40q: want %v", s, want)
		}
	}
	for s, want := range map[string]bool{"a/B": true, "a_b/C1": true, "a": false, "/a": false, "a/": false, "a/b/c": false, "a/b c": false} {
		if validType(s) != want {
			t.Errorf("type %q: want %v", s, want)
		}
	}
	for _, c := range []struct{ uri, want string }{
		{"http://127.0.0.1:11311/", "127.0.0.1:11311"},
		{"http://[::1]:80", "[::1]:80"},
		{"http://robot-1.local:1/RPC2", "robot-1.local:1"},
		{"http://127.0.0.1/", ""},
		{"http://:80/", ""},
		{"https://a:1/", ""},
		{"rosrpc://a:1", ""},
		{"http://a:0", ""},
		{"http://a:65536", ""},
		{"http://u:p@a:1/", ""},
		{"http://a b:1/", ""},
		{"http://[::1", ""},
		{"http://a:1/" + strings.Repeat("x", 600), ""},
		{"", ""},
	} {
		e, err := parseURI(c.uri, "http")
		if (err == nil) != (c.want != "") || err == nil && e.String() != c.want {
			t.Errorf("%.60q: %v, %v; want %q", c.uri, e, err, c.want)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"::1", "0:0::1", true}, {"::ffff:10.0.0.1", "10.0.0.1", true}, {"Robot", "robot", true}, {"10.0.0.1", "10.0.0.2", false}, {"a", "b", false}} {
		if sameHost(c.a, c.b) != c.want {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.want)
		}
	}
}
