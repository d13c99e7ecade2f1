package ros1

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// TestPublisherRestart: kill -9 and a new process with the same name elsewhere.
func TestPublisherRestart(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	first := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	sub, got := commands(t, n, nil)
	eventually(t, "connected", func() bool { return first.Subscribers() == 1 })
	first.Kill()
	eventually(t, "gone", func() bool { return ev.count(bus.PublisherGone) == 1 && sub.Stats().Connected == 0 })
	second := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	eventually(t, "connected again", func() bool { return second.Subscribers() == 1 })
	eventually(t, "data", func() bool { second.Send(twistBody(1)); return got.Load() > 0 })
}

// TestForgedUnregisterKeepsTheFeed: the master's word does not cut a live connection.
func TestForgedUnregisterKeepsTheFeed(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	p := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	_, got := commands(t, n, nil)
	eventually(t, "connected", func() bool { return p.Subscribers() == 1 })
	if _, err := rostest.Call(master.URI(), "unregisterPublisher", "/pub", "/cmd", p.URI()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reported", func() bool { return ev.first(bus.PublisherUnlisted) != nil })
	before := got.Load()
	eventually(t, "data goes on", func() bool { p.Send(twistBody(1)); return got.Load() > before+20 })
	if p.Total() != 1 {
		t.Errorf("%d connections; want the first one", p.Total())
	}
	p.Kill()
	eventually(t, "gone", func() bool { return ev.first(bus.PublisherGone) != nil })
	calls := master.Calls("lookupNode")
	time.Sleep(300 * time.Millisecond) // six polls
	if c := master.Calls("lookupNode"); c > calls+1 {
		t.Errorf("%d attempts to reach a publisher that nobody lists", c-calls)
	}
	again := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	eventually(t, "connected once it is listed again", func() bool { return again.Subscribers() == 1 })
}

// TestForgedRegisterDoesNotReplaceALiveFeed: somebody registers the publisher's name with a slave URI of his own.
func TestForgedRegisterDoesNotReplaceALiveFeed(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	real := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	_, got := commands(t, n, nil)
	eventually(t, "connected", func() bool { return real.Subscribers() == 1 })
	forger := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	eventually(t, "the old node is told to shut down", func() bool { return real.Calls("shutdown") == 1 })
	before := got.Load()
	eventually(t, "the real feed goes on", func() bool { real.Send(twistBody(1)); return got.Load() > before+50 })
	if forger.Total() != 0 || real.Total() != 1 {
		t.Errorf("%d connections to the forger, %d to the real one; want 0 and 1", forger.Total(), real.Total())
	}
}

// TestMasterRestart: the master comes back empty, and then the publisher restarts under it.
func TestMasterRestart(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	if _, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}); err != nil {
		t.Fatal(err)
	}
	p := startPublisher(t, master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	_, got := commands(t, n, nil)
	eventually(t, "connected and registered", func() bool {
		return p.Subscribers() == 1 && len(master.Publishers("/cmd_vel")) == 1
	})
	master.Close()
	eventually(t, "the loss is reported", func() bool { return ev.first(bus.BusLost) != nil })
	before := got.Load()
	eventually(t, "data goes on without a master", func() bool { p.Send(twistBody(1)); return got.Load() > before+5 })
	second, err := rostest.NewMasterAt(master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	eventually(t, "registered again", func() bool { return len(second.Publishers("/cmd_vel")) == 1 && ev.count(bus.BusBack) == 2 })
	p.Kill()
	again := startPublisher(t, second.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
	eventually(t, "connected again", func() bool { return again.Subscribers() == 1 })
	before = got.Load()
	eventually(t, "data", func() bool { again.Send(twistBody(1)); return got.Load() > before })
}
