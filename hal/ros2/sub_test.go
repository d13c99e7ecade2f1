package ros2

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestLatchedTextForLatecomers: what was said before we came arrives if it was asked for, and else does not.
func TestLatchedTextForLatecomers(t *testing.T) {
	d := freeDomain(t)
	p := startProcess(t, d, true)
	w := p.writer("/map_id", bus.TypeString, quality{reliable: true, local: true})
	p.node("/map_server", w)
	if _, err := w.Write(1, text("floor 1")); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, d)
	var late, latched said
	sub := func(want bool, h *said) *Sub {
		s, err := n.SubscribeText(bus.Subscription{Topic: "/map_id", Allow: []string{"/map_server"}, Latched: want}, h.take)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a match", func() bool { return hears(s) })
		return s
	}
	sub(false, &late)
	sub(true, &latched)
	eventually(t, "the latched text", func() bool { return latched.len() == 1 })
	if _, err := w.Write(2, text("floor 2")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next text", func() bool { return latched.len() == 2 && late.len() == 1 })
	if want := []string{"/map_server: floor 1", "/map_server: floor 2"}; !slices.Equal(latched.all(), want) {
		t.Errorf("latched: %q, expected %q", latched.all(), want)
	}
	if want := []string{"/map_server: floor 2"}; !slices.Equal(late.all(), want) {
		t.Errorf("not latched: %q, expected %q", late.all(), want)
	}
}

// TestEachTextComesOnce: whatever a writer offers, its texts come once and in order, though a subscription has up to three
// readers, and no reliable one is left unacknowledged.
func TestEachTextComesOnce(t *testing.T) {
	for _, q := range []quality{{}, {reliable: true}, {reliable: true, local: true}} {
		for _, latched := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v latched %v", q, latched), func(t *testing.T) {
				d := freeDomain(t)
				n := startNode(t, d)
				var got said
				s, err := n.SubscribeText(bus.Subscription{Topic: "/say", Allow: []string{"/talker"}, Latched: latched}, got.take)
				if err != nil {
					t.Fatal(err)
				}
				p := startProcess(t, d, true)
				w := p.writer("/say", bus.TypeString, q)
				p.node("/talker", w)
				readers := 1
				if q.reliable {
					readers++
				}
				if q.local && latched {
					readers++
				}
				eventually(t, "a match", func() bool { return hears(s) && w.Readers() == readers })
				var want []string
				for i := range 20 {
					if _, err := w.Write(uint64(i), text(fmt.Sprint(i))); err != nil {
						t.Fatal(err)
					}
					want = append(want, fmt.Sprintf("/talker: %d", i))
				}
				eventually(t, "all", func() bool { return got.len() >= len(want) })
				eventually(t, "acknowledged", w.Acked)
				if !slices.Equal(got.all(), want) {
					t.Errorf("%q, expected %q", got.all(), want)
				}
				if e := n.ev.find(bus.PublisherMismatch, "/say"); len(e) > 0 {
					t.Errorf("a reader that asks for more was told as a mismatch: %+v", e)
				}
				if st := s.Stats(); st.Delivered != 20 || st.Skipped != 0 {
					t.Errorf("%+v, expected 20 delivered and none skipped", st)
				}
			})
		}
	}
}

// TestHeardMeansHandedOn holds these tests' own condition to what it says: a publisher that is just being announced is not
// heard yet, for its texts still wait, and of more than a few the oldest give way.
func TestHeardMeansHandedOn(t *testing.T) {
	d := freeDomain(t)
	var sub atomic.Pointer[Sub]
	var early atomic.Bool
	n := startNode(t, d, func(c *Config) {
		add := c.OnEvent
		c.OnEvent = func(e *bus.Event) {
			add(e)
			if s := sub.Load(); s != nil && e.Kind == bus.PublisherConnected && hears(s) {
				early.Store(true)
			}
		}
	})
	var got said
	s, err := n.SubscribeText(bus.Subscription{Topic: "/say", AllowAny: true}, got.take)
	if err != nil {
		t.Fatal(err)
	}
	sub.Store(s)
	p := startProcess(t, d, true)
	w := p.writer("/say", bus.TypeString, quality{reliable: true})
	eventually(t, "a writer without a name", func() bool { return len(s.now()[sure].Writers()) == 1 })
	p.node("/talker", w)
	eventually(t, "a match", func() bool { return hears(s) })
	if early.Load() {
		t.Error("heard while its texts still wait for its name")
	}
}

// TestMismatchesAreTold: a writer of another type, or one that no reader can hear, is told with both values.
func TestMismatchesAreTold(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	if _, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", AllowAny: true}, func(*msg.Bool) {}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	p.node("/other", p.writer("/lock", bus.TypeString, quality{}))
	var e bus.Event
	eventually(t, "a mismatch", func() bool {
		all := n.ev.find(bus.PublisherMismatch, "/lock")
		if len(all) > 0 {
			e = all[0]
		}
		return len(all) > 0
	})
	if !strings.Contains(e.Detail, "String_") || !strings.Contains(e.Detail, "Bool_") {
		t.Errorf("%q; expected both types", e.Detail)
	}
}

// TestSilenceAndNonsense: a publisher that says nothing is told once per silence, and one that talks nonsense with why.
func TestSilenceAndNonsense(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got collected[bool]
	s, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", AllowAny: true, IdleTimeout: 200 * time.Millisecond}, func(m *msg.Bool) { got.add(m.Value) })
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/lock", bus.TypeBool, quality{reliable: true})
	p.node("/desk", w)
	first := n.ev.await(t, bus.PublisherTimeout, "/lock", "/desk")
	if first.Peer == nil {
		t.Error("no peer in the event")
	}
	for i, payload := range [][]byte{{0, 1, 0, 0, 2, 0, 0, 0}, {0, 7, 0, 0, 1, 0, 0, 0}, cdr.AppendBool(nil, true)} {
		if _, err := w.Write(uint64(i), payload); err != nil {
			t.Fatal(err)
		}
	}
	e := n.ev.await(t, bus.PublisherMalformed, "/lock", "/desk")
	if e.Peer != first.Peer || !strings.Contains(e.Detail, "decode") {
		t.Errorf("%+v; expected the same peer, and that it did not decode", e)
	}
	eventually(t, "the good one", func() bool { return got.len() == 1 })
	eventually(t, "the second silence", func() bool { return len(n.ev.find(bus.PublisherTimeout, "/lock")) == 2 })
	if st := s.Stats(); st.Malformed != 2 || st.Delivered != 1 || st.Connected != 1 {
		t.Errorf("%+v; expected 2 malformed, 1 delivered, still connected", st)
	}
}

// TestOversize: a message above the cap is told with its sender, and those after it still come.
func TestOversize(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	s, err := n.SubscribeText(bus.Subscription{Topic: "/say", AllowAny: true, MaxBytes: 256}, got.take)
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/say", bus.TypeString, quality{reliable: true})
	p.node("/talker", w)
	eventually(t, "a match", func() bool { return hears(s) && w.Readers() == 2 })
	for i, line := range []string{strings.Repeat("x", 1000), "short"} {
		if _, err := w.Write(uint64(i), text(line)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the short one", func() bool { return slices.Equal(got.all(), []string{"/talker: short"}) })
	if e := n.ev.await(t, bus.PublisherOversize, "/say", "/talker"); e.Peer == nil {
		t.Errorf("%+v; expected its peer", e)
	}
}

// TestRateCap: what is above the cap is skipped and counted.
func TestRateCap(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	s, err := n.SubscribeText(bus.Subscription{Topic: "/orders", AllowAny: true, MaxRateHz: 5}, got.take)
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/orders", bus.TypeString, quality{reliable: true})
	p.node("/flood", w)
	eventually(t, "a match", func() bool { return hears(s) && w.Readers() == 2 })
	for i := range 100 {
		if _, err := w.Write(uint64(i), text("x")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "acknowledged", w.Acked)
	}
	eventually(t, "all counted", func() bool { st := s.Stats(); return st.Delivered+st.Skipped == 100 })
	if st := s.Stats(); st.Delivered > 50 || st.Delivered == 0 {
		t.Errorf("%+v at 5 per second", st)
	}
}

// TestSpoofedDatagramIsTold: a datagram in a publisher's name from another socket is not taken, and is told with the peer.
func TestSpoofedDatagramIsTold(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got collected[bool]
	s, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", Allow: []string{"/desk"}}, func(m *msg.Bool) { got.add(m.Value) })
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/lock", bus.TypeBool, quality{reliable: true})
	p.node("/desk", w)
	eventually(t, "a match", func() bool { return hears(s) && w.Readers() == 1 })
	spoof, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(n.part.LocalData()))
	if err != nil {
		t.Fatal(err)
	}
	defer spoof.Close()
	b := wire.AppendHeader(nil, p.GUID().Prefix)
	b = wire.AppendData(b, wire.EntityUnknown, w.GUID().Entity, 1, cdr.AppendBool(nil, false))
	if _, err := spoof.Write(b); err != nil {
		t.Fatal(err)
	}
	e := n.ev.await(t, bus.PublisherConflict, "/lock", "/desk")
	if e.Peer == nil || e.Peer.Addr != p.Local() || !strings.Contains(e.Detail, rtps.SourceConflict.String()) {
		t.Errorf("%+v; expected the peer at %v and a source conflict", e, p.Local())
	}
	if _, err := w.Write(1, cdr.AppendBool(nil, true)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the genuine value", func() bool { return got.len() > 0 })
	if all := got.all(); len(all) != 1 || !all[0] {
		t.Errorf("values %v, expected the genuine one only", all)
	}
}

// TestRestart: a publisher that crashes and comes back is heard again, under a new peer, at full strength.
func TestRestart(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	if _, err := n.SubscribeText(bus.Subscription{Topic: "/say", Allow: []string{"/talker"}}, got.take); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		p := startProcess(t, d, true)
		w := p.writer("/say", bus.TypeString, quality{reliable: true})
		p.node("/talker", w)
		talk(t, &got, w, fmt.Sprint(i), fmt.Sprintf("/talker: %d", i))
		p.stop()
		eventually(t, "its farewell", func() bool { return len(n.ev.find(bus.PublisherGone, "/say")) == i+1 })
	}
	ids := map[uint32]bool{}
	for _, e := range n.ev.find(bus.PublisherConnected, "/say") {
		ids[e.Peer.ID] = true
		if e.Peer.Strength != msg.SourceBound {
			t.Errorf("peer %d is %v, expected source-bound", e.Peer.ID, e.Peer.Strength)
		}
	}
	if len(ids) != 3 {
		t.Errorf("%d peers, expected 3", len(ids))
	}
}

// TestCloseWaitsForHandlers: after Close has returned, no handler runs, and the publisher's farewell is told.
func TestCloseWaitsForHandlers(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	entered, leave := make(chan struct{}), make(chan struct{})
	var got collected[bool]
	s, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", AllowAny: true}, func(m *msg.Bool) {
		if got.len() == 0 {
			close(entered)
			<-leave
		}
		got.add(m.Value)
	})
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/lock", bus.TypeBool, quality{reliable: true})
	p.node("/desk", w)
	eventually(t, "a match", func() bool { return hears(s) && w.Readers() == 1 })
	if _, err := w.Write(1, cdr.AppendBool(nil, true)); err != nil {
		t.Fatal(err)
	}
	<-entered
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("Close did not wait for the handler")
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	<-closed
	n.ev.await(t, bus.PublisherGone, "/lock", "/desk")
	s.Close()
	if len(n.subscriptions()) != 0 {
		t.Error("the node keeps a closed subscription")
	}
}
