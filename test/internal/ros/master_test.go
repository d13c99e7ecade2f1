package ros

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/wire"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func node(t *testing.T, m *Master, name string) *wire.Node {
	t.Helper()
	n, err := wire.NewNode(wire.NodeConfig{Name: name, Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func TestTwoOfOurNodesMeetThroughTheMaster(t *testing.T) {
	t.Parallel()
	m := StartMaster(t, Options{})
	ctx := within(t, 10*time.Second)
	pub, err := node(t, m, "/talker").Advertise(ctx, wire.PublisherConfig{Topic: "/words", Type: wire.String})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	_, err = node(t, m, "/listener").Subscribe(ctx, "/words", wire.String, func(msg wire.Message) {
		s, _ := wire.ParseString(msg.Body)
		got <- msg.Caller + " says " + s
	})
	if err != nil {
		t.Fatal(err)
	}
	m.WaitPublisher(t, "/words", "/talker")
	m.WaitSubscriber(t, "/words", "/listener")
	if err := pub.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	pub.Send(wire.StringBody("good morning"))
	select {
	case s := <-got:
		if s != "/talker says good morning" {
			t.Fatalf("received %q", s)
		}
	case <-ctx.Done():
		t.Fatal("nothing received")
	}
}

func TestRestartOnTheSamePortForgetsEverybody(t *testing.T) {
	t.Parallel()
	m := StartMaster(t, Options{})
	ctx := within(t, 20*time.Second)
	if _, err := node(t, m, "/talker").Advertise(ctx, wire.PublisherConfig{Topic: "/words", Type: wire.String}); err != nil {
		t.Fatal(err)
	}
	uri, pid := m.URI(), m.PID()
	m.Kill()
	m.Restart(t)
	if m.URI() != uri || m.PID() == pid {
		t.Fatalf("restarted at %s as %d, was %s as %d", m.URI(), m.PID(), uri, pid)
	}
	s, err := m.State(ctx)
	if err != nil || len(s.Publishers["/words"]) != 0 {
		t.Fatalf("publishers after the restart: %v, %v", s.Publishers, err)
	}
}

func TestFullCoreTalksToRospyAndRoscpp(t *testing.T) {
	t.Parallel()
	m := StartMaster(t, Options{Full: true})
	ctx := within(t, 20*time.Second)
	// rostopic is rospy, relay is roscpp: one message goes from our node through relay to rostopic.
	m.Node(t, proc.Spec{Argv: []string{"/usr/lib/topic_tools/relay", "/in", "/out", "__name:=relay"}})
	echo := m.Node(t, proc.Spec{Argv: []string{"rostopic", "echo", "-n", "1", "/out"}})
	pub, err := node(t, m, "/talker").Advertise(ctx, wire.PublisherConfig{Topic: "/in", Type: wire.String})
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	for echo.Running() && ctx.Err() == nil {
		pub.Send(wire.StringBody("through both libraries"))
		select {
		case <-echo.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	if _, err := echo.WaitOutput(ctx, "data: \"through both libraries\""); err != nil {
		t.Fatal(err)
	}
	if uri, err := m.LookupNode(ctx, "/relay"); err != nil || uri == "" {
		t.Fatalf("lookup of /relay: %q, %v", uri, err)
	}
	s, err := m.State(ctx)
	if err != nil || !slices.Contains(s.Publishers["/out"], "/relay") {
		t.Fatalf("publishers %v, %v", s.Publishers, err)
	}
}

func TestLogsStayInTheTestDirectory(t *testing.T) {
	t.Parallel()
	m := StartMaster(t, Options{})
	logs, err := filepath.Glob(filepath.Join(m.dir, "log", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log below the test's directory: %v, %v", logs, err)
	}
}

func TestServiceCallReachesARoscppNode(t *testing.T) {
	t.Parallel()
	m := StartMaster(t, Options{})
	m.Node(t, proc.Spec{Argv: []string{"/usr/lib/topic_tools/relay", "/in", "/out", "__name:=relay"}})
	m.WaitService(t, "/relay/get_loggers")
	reply, err := wire.CallService(within(t, 10*time.Second), m.URI(), "/x", "/relay/get_loggers", wire.Type{MD5: "*"}, nil)
	if err != nil || len(reply) < 4 {
		t.Fatalf("reply %x, %v", reply, err)
	}
}

func TestRospyOverIPv6(t *testing.T) {
	t.Parallel()
	m := StartMaster(t, Options{IPv6: true})
	ctx := within(t, 20*time.Second)
	echo := m.Node(t, proc.Spec{Argv: []string{"rostopic", "echo", "-n", "1", "/words"}})
	n, err := wire.NewNode(wire.NodeConfig{Name: "/talker", Master: m.URI(), Host: "::1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	pub, err := n.Advertise(ctx, wire.PublisherConfig{Topic: "/words", Type: wire.String})
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	pub.Send(wire.StringBody("six"))
	if _, err := echo.WaitOutput(ctx, `data: "six"`); err != nil {
		t.Fatal(err)
	}
}
