package ros2

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

// said collects who said what on a text topic.
type said struct{ collected[string] }

func (h *said) take(m *msg.Text) { h.add(m.Peer.Name + ": " + string(m.Data)) }

// talk writes texts until one arrives as want says, for best-effort samples may be lost on the way.
func talk(t *testing.T, h *said, w *rtps.Writer, text, want string) {
	t.Helper()
	seq := uint64(0)
	eventually(t, want, func() bool {
		seq++
		if _, err := w.Write(seq, cdr.AppendString(nil, []byte(text))); err != nil {
			t.Fatal(err)
		}
		return slices.Contains(h.all(), want)
	})
}

func text(s string) []byte { return cdr.AppendString(nil, []byte(s)) }

// TestAllowList: only who is listed is listened to, everybody else is refused once.
func TestAllowList(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	s, err := n.SubscribeText(bus.Subscription{Topic: "/orders", Allow: []string{"/desk"}}, got.take)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := startProcess(t, d, true), startProcess(t, d, true)
	raw := startProcess(t, d, false)
	wGood := good.writer("/orders", bus.TypeString, quality{reliable: true})
	wBad := bad.writer("/orders", bus.TypeString, quality{reliable: true})
	wRaw := raw.writer("/orders", bus.TypeString, quality{reliable: true})
	good.node("/desk", wGood)
	bad.node("/stranger", wBad)
	n.ev.await(t, bus.PublisherRefused, "/orders", "/stranger")
	n.ev.await(t, bus.PublisherRefused, "/orders", "dds:127.0.0.1")
	eventually(t, "the desk", func() bool { return hears(s) })
	for i := range 3 {
		for _, w := range []*rtps.Writer{wBad, wRaw, wGood} {
			if _, err := w.Write(uint64(i), text(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "three orders", func() bool { return got.len() == 3 })
	eventually(t, "all acknowledged", func() bool { return wBad.Acked() && wRaw.Acked() && wGood.Acked() })
	if want := []string{"/desk: 0", "/desk: 1", "/desk: 2"}; !slices.Equal(got.all(), want) {
		t.Errorf("%q, expected %q", got.all(), want)
	}
	if refused := n.ev.find(bus.PublisherRefused, "/orders"); len(refused) != 2 {
		t.Errorf("%d refusals told, expected one for each stranger: %+v", len(refused), refused)
	}
}

// TestRawWriterMayBeAllowed: a robot that speaks DDS without ROS is allowed by its address.
func TestRawWriterMayBeAllowed(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	if _, err := n.SubscribeText(bus.Subscription{Topic: "/state", Allow: []string{"dds:127.0.0.1"}}, got.take); err != nil {
		t.Fatal(err)
	}
	raw, ros := startProcess(t, d, false), startProcess(t, d, true)
	wRaw, wROS := raw.writer("/state", bus.TypeString, quality{}), ros.writer("/state", bus.TypeString, quality{})
	ros.node("/somebody", wROS)
	n.ev.await(t, bus.PublisherRefused, "/state", "/somebody")
	talk(t, &got, wRaw, "raw", "dds:127.0.0.1: raw")
	if _, err := wROS.Write(1, text("ros")); err != nil {
		t.Fatal(err)
	}
	talk(t, &got, wRaw, "again", "dds:127.0.0.1: again")
	if slices.Contains(got.all(), "dds:127.0.0.1: ros") || slices.Contains(got.all(), "/somebody: ros") {
		t.Errorf("a ROS node passed for a raw writer: %q", got.all())
	}
}

// TestForgedList: what a participant says of another one's writers does not count, and is told.
func TestForgedList(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	if _, err := n.SubscribeText(bus.Subscription{Topic: "/orders", Allow: []string{"/desk"}}, got.take); err != nil {
		t.Fatal(err)
	}
	thief, helper := startProcess(t, d, true), startProcess(t, d, true)
	w := thief.writer("/orders", bus.TypeString, quality{reliable: true})
	thief.node("/thief", w)
	// Somebody else says that the writer is the desk's, and then says it in the name of the thief's own participant.
	helper.node("/desk", w)
	n.ev.await(t, bus.PublisherConflict, discoveryTopic, "dds:127.0.0.1")
	helper.list.Participant = thief.GUID().Bytes()
	helper.say()
	eventually(t, "both lies told", func() bool { return len(n.ev.find(bus.PublisherConflict, discoveryTopic)) == 2 })
	n.ev.await(t, bus.PublisherRefused, "/orders", "/thief")
	if _, err := w.Write(1, text("go")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "acknowledged", w.Acked)
	if got.len() != 0 {
		t.Errorf("taken as the desk's: %q", got.all())
	}
}

// TestSecondHolderOfAName: while the first participant with a name lives, a second one with it is only a claim, and a
// conflict is told. When the first is gone, the second is the only one.
func TestSecondHolderOfAName(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var peers collected[*msg.Peer]
	if _, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", Allow: []string{"/desk"}}, func(m *msg.Bool) { peers.add(m.Peer) }); err != nil {
		t.Fatal(err)
	}
	first := startProcess(t, d, true)
	w1 := first.writer("/lock", bus.TypeBool, quality{reliable: true})
	first.node("/desk", w1)
	e := n.ev.await(t, bus.PublisherConnected, "/lock", "/desk")
	if e.Peer.Strength != msg.SourceBound {
		t.Errorf("the first is %v, expected source-bound", e.Peer.Strength)
	}
	second := startProcess(t, d, true)
	w2 := second.writer("/lock", bus.TypeBool, quality{reliable: true})
	second.node("/desk", w2)
	c := n.ev.await(t, bus.PublisherConflict, "/lock", "/desk")
	if c.Peer == nil || c.Peer.Addr != second.Local() || c.Peer.Strength != msg.Claimed {
		t.Errorf("the conflict is about %+v, expected the second, %v, as claimed", c.Peer, second.Local())
	}
	first.stop()
	eventually(t, "the second alone", func() bool {
		for _, e := range n.ev.find(bus.PublisherConnected, "/lock") {
			if e.Peer.Addr == second.Local() && e.Peer.Strength == msg.SourceBound && e.Peer.ID > c.Peer.ID {
				return true
			}
		}
		return false
	})
	eventually(t, "its word", func() bool {
		if _, err := w2.Write(uint64(boot()), cdr.AppendBool(nil, true)); err != nil {
			t.Fatal(err)
		}
		all := peers.all()
		return len(all) > 0 && all[len(all)-1].Strength == msg.SourceBound && all[len(all)-1].Addr == second.Local()
	})
}

// TestOurOwnNameIsNobodyElses: a participant with a node of our name is told, and its strength is a claim.
func TestOurOwnNameIsNobodyElses(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	if _, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", AllowAny: true}, func(*msg.Bool) {}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	p.node("/robowarden", p.writer("/lock", bus.TypeBool, quality{reliable: true}))
	n.ev.await(t, bus.PublisherConflict, discoveryTopic, "dds:127.0.0.1")
	if e := n.ev.await(t, bus.PublisherConnected, "/lock", "/robowarden"); e.Peer.Strength != msg.Claimed {
		t.Errorf("strength %v, expected claimed", e.Peer.Strength)
	}
}

// TestRename: a writer whose node changes is another peer from then on, told in order.
func TestRename(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var got said
	if _, err := n.SubscribeText(bus.Subscription{Topic: "/say", AllowAny: true}, got.take); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/say", bus.TypeString, quality{reliable: true})
	p.node("/first", w)
	talk(t, &got, w, "a", "/first: a")
	p.list.Nodes[0].Name = "second"
	p.say()
	n.ev.await(t, bus.PublisherConnected, "/say", "/second")
	if _, err := w.Write(uint64(boot()), text("b")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new name", func() bool { return slices.Contains(got.all(), "/second: b") })
	var order []string
	for _, e := range n.ev.all() {
		if e.Topic == "/say" {
			order = append(order, fmt.Sprint(e.Kind, " ", e.Name))
		}
	}
	want := []string{"publisher-connected /first", "publisher-gone /first", "publisher-connected /second"}
	if !slices.Equal(order, want) {
		t.Errorf("%q, expected %q", order, want)
	}
}

// TestTextWaitsForItsSendersName: what a reliable writer says before its node is known arrives, once, under its name.
func TestTextWaitsForItsSendersName(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Limits.NameTimeout = time.Minute })
	var got said
	s, err := n.SubscribeText(bus.Subscription{Topic: "/orders", Allow: []string{"/desk"}}, got.take)
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/orders", bus.TypeString, quality{reliable: true})
	eventually(t, "both readers", func() bool { return w.Readers() == 2 })
	eventually(t, "somebody without a name", func() bool { _, _, nameless, _ := s.find(nil); return nameless == 1 })
	for i := range 3 {
		if _, err := w.Write(uint64(i), text(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "acknowledged", w.Acked)
	if got.len() != 0 {
		t.Fatalf("%q before the sender's name was known", got.all())
	}
	p.node("/desk", w)
	eventually(t, "all three", func() bool { return got.len() >= 3 })
	if want := []string{"/desk: 0", "/desk: 1", "/desk: 2"}; !slices.Equal(got.all(), want) {
		t.Errorf("%q, expected %q", got.all(), want)
	}
}

// TestLastWordOfOneThatLeft: a tool that publishes once and ends before its name is known is heard where anybody may speak.
func TestLastWordOfOneThatLeft(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Limits.NameTimeout = time.Minute })
	var got said
	s, err := n.SubscribeText(bus.Subscription{Topic: "/orders", AllowAny: true}, got.take)
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	w := p.writer("/orders", bus.TypeString, quality{reliable: true})
	eventually(t, "both readers", func() bool { return w.Readers() == 2 })
	eventually(t, "somebody without a name", func() bool { _, _, nameless, _ := s.find(nil); return nameless == 1 })
	if _, err := w.Write(1, text("stop")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "acknowledged", w.Acked)
	p.stop()
	eventually(t, "its word", func() bool { return slices.Contains(got.all(), "dds:127.0.0.1: stop") })
}

// TestHumbleGIDs: lists with gids of 24 octets are read, and ours follows the majority.
func TestHumbleGIDs(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	if _, err := n.SubscribeBool(bus.Subscription{Topic: "/lock", AllowAny: true}, func(*msg.Bool) {}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	p.long = true
	var lists collected[cdr.Entities]
	typ, _ := parseType(cdr.TypeParticipantEntities, "msg")
	if _, err := p.NewReader(rtps.ReaderConfig{
		Topic: discoveryTopic, Type: typ.dds(""), Reliable: true, TransientLocal: true,
		Handler: func(x *rtps.Sample) {
			var e cdr.Entities
			if err := cdr.ParseEntities(x.Payload, &e, 0, 0); err != nil {
				t.Error(err)
			}
			lists.add(e)
		},
	}); err != nil {
		t.Fatal(err)
	}
	p.node("/old", p.writer("/lock", bus.TypeBool, quality{reliable: true}))
	n.ev.await(t, bus.PublisherConnected, "/lock", "/old")
	eventually(t, "our list in the long form", func() bool {
		for _, e := range lists.all() {
			if e.Long && len(e.Nodes) == 1 && e.Nodes[0].Name == "robowarden" && len(e.Nodes[0].Readers) == 1 {
				return true
			}
		}
		return false
	})
}
