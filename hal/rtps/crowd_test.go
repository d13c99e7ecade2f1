package rtps

import (
	"net/netip"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestSwappedWay: somebody on the participant's own computer who is heard on a way before the participant itself is, is told
// of as soon as that one is heard there: what came until then was his.
func TestSwappedWay(t *testing.T) {
	p := quiet(t)
	var got []*Event
	p.cfg.OnEvent = func(e *Event) { got = append(got, e) }
	who := prefix(1)
	genuine, thief := netip.MustParseAddrPort("127.0.0.1:40001"), netip.MustParseAddrPort("127.0.0.1:40002")
	group, unicast := &ear{p: p, path: pathGroup}, &ear{p: p, path: pathUnicast}
	hear := func(e *ear, b []byte, from netip.AddrPort) {
		e.now, e.from = p.cfg.Clock(), from
		e.hear(b)
		p.tellAll()
	}
	hear(group, hello(who, genuine), genuine)
	hear(unicast, endpoint(who, 1, writerData(who, 1)), thief)
	hear(unicast, endpoint(who, 1, writerData(who, 2)), genuine)
	for _, e := range got {
		if e.Kind == SourceConflict && e.Participant != nil && e.GUID.Prefix == who {
			if c := e.Participant.Conflicts(); c == 0 {
				t.Errorf("%d conflicts counted, expected one", c)
			}
			return
		}
	}
	t.Errorf("nobody was told that two sources spoke as one: %v", kinds(got))
}

func kinds(list []*Event) (out []string) {
	for _, e := range list {
		out = append(out, e.Kind.String())
	}
	return out
}

// TestLongAnnouncement: an endpoint whose announcement is longer than what is taken is told of.
func TestLongAnnouncement(t *testing.T) {
	d := freeDomain(t)
	b := start(t, d)
	f, who := newForger(t), prefix(1)
	f.known(b, who)
	data := wire.AppendEndpoint(nil, &wire.EndpointData{
		GUID: writerData(who, 1).GUID, Topic: topic, Type: typ, QoS: wire.DefaultQoS(true),
	})
	data = data[:len(data)-4] // without the sentinel
	for len(data) <= maxAnnouncement {
		data = append(data, 0x75, 0, 0, 4) // type information of a kilobyte
		data = append(data, make([]byte, 1024)...)
	}
	data = append(data, 1, 0, 0, 0)
	msg := wire.AppendHeader(nil, who)
	msg = wire.AppendData(msg, wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter, 1, data)
	f.send(msg, b.Local())
	eventually(t, "the endpoint, or word of it", func() bool {
		return b.ev.count(CapReached) > 0
	})
}

// TestAcknowledgementsCostTheSame: what two thousand acknowledgements in one datagram cost does not grow with the number of
// readers that the sender has made.
func TestAcknowledgementsCostTheSame(t *testing.T) {
	one, many := acknowledgements(t, 1), acknowledgements(t, 120)
	t.Logf("with one reader %v, with 120 %v", one, many)
	if many > 8*one {
		t.Errorf("with one reader %v, with 120 %v; expected about the same", one, many)
	}
}

// acknowledgements is the least time that a datagram of acknowledgements takes.
func acknowledgements(t *testing.T, readers int) time.Duration {
	t.Helper()
	p := quiet(t, func(c *Config) { c.Limits.ReadersPerWriter = 256 })
	src, who := netip.MustParseAddrPort("127.0.0.1:40001"), prefix(1)
	w, err := p.NewWriter(WriterConfig{Topic: topic, Type: typ, Reliable: true})
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{p: p}
	hear := func(b []byte) {
		e.now, e.from = p.cfg.Clock(), src
		e.hear(b)
		p.tellAll()
	}
	hear(hello(who, src))
	p.remotes[who].answers.Store(true) // whose source is proven
	reader := func(n int) wire.EndpointData {
		d := readerData(who, byte(n))
		d.QoS.Reliable = true
		return d
	}
	for i := range readers {
		hear(endpoint(who, wire.SeqNum(i+1), reader(i+1)))
	}
	if w.Readers() != readers {
		t.Fatalf("%d readers, expected %d", w.Readers(), readers)
	}
	if _, err := w.Write(1, cdr("x")); err != nil {
		t.Fatal(err)
	}
	least, count := time.Duration(never), int32(0)
	for range 10 {
		b := wire.AppendHeader(nil, who)
		for range 1800 {
			count++
			b = wire.AppendAckNack(b, reader(1).GUID.Entity, w.guid.Entity, &wire.SeqSet{Base: 1}, count, true)
		}
		from := boot()
		p.taker.turn(e, b, src)
		least = min(least, boot()-from)
	}
	return least
}

// TestBreath: who always finds something to read rests once in a period, who waits does not.
func TestBreath(t *testing.T) {
	for name, c := range map[string]struct {
		pause, took time.Duration
		rests       bool
	}{
		"a flood":                   {5 * time.Microsecond, 2 * time.Microsecond, true},
		"a flood of long datagrams": {time.Millisecond, 15 * time.Microsecond, true},
		"a robot's topics":          {250 * time.Microsecond, 240 * time.Microsecond, false},
		"little":                    {10 * time.Millisecond, 2 * time.Microsecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			var b breath
			var last, rested time.Duration
			for now := time.Second; now < 3*time.Second; now += c.pause {
				if d := b.due(now); d > 0 {
					if now-last < breathEvery-2*c.pause {
						t.Fatalf("it rests after %v", now-last)
					}
					last, rested = now, rested+d
				}
				if b.timed() {
					b.took(c.took)
				}
			}
			if got := rested > 15*breathFor; got != c.rests || !c.rests && rested != 0 {
				t.Errorf("rested %v in 2s", rested)
			}
		})
	}
}
