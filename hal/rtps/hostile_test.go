package rtps

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

func soon() time.Time { return time.Now().Add(10 * time.Millisecond) }

// TestForgeries: nothing of what a third says in another's name is taken, and each attempt is told.
func TestForgeries(t *testing.T) {
	bye := func(p wire.Prefix, key wire.GUID, r, w wire.EntityID) []byte {
		return wire.AppendDispose(wire.AppendHeader(nil, p), r, w, 2, key, wire.StatusDisposed|wire.StatusUnregistered)
	}
	for _, c := range []struct {
		name string
		kind EventKind
		to   func(b *station) netip.AddrPort
		what func(a *station, w *Writer, b *station) []byte
	}{
		{"a sample in its name", SourceConflict, (*station).data, func(a *station, w *Writer, _ *station) []byte {
			return sample(a.prefix, w.guid.Entity, 2, "forged")
		}},
		{"a heartbeat in its name", SourceConflict, (*station).data, func(a *station, w *Writer, _ *station) []byte {
			return wire.AppendHeartbeat(wire.AppendHeader(nil, a.prefix), wire.EntityUnknown, w.guid.Entity, 1000, 1000, 99, false, false)
		}},
		{"a gap in its name", SourceConflict, (*station).data, func(a *station, w *Writer, _ *station) []byte {
			return wire.AppendGap(wire.AppendHeader(nil, a.prefix), wire.EntityUnknown, w.guid.Entity, 2, &wire.SeqSet{Base: 50})
		}},
		{"an announcement in its name", SourceConflict, (*station).meta0, func(a *station, _ *Writer, _ *station) []byte {
			return hello(a.prefix, netip.MustParseAddrPort("127.0.0.1:9999"))
		}},
		{"an endpoint in its name", SourceConflict, (*station).meta0, func(a *station, _ *Writer, _ *station) []byte {
			return endpoint(a.prefix, 2, writerData(a.prefix, 77))
		}},
		{"its farewell", ForeignDispose, (*station).meta0, func(a *station, _ *Writer, _ *station) []byte {
			return bye(a.prefix, participant(a.prefix), wire.EntitySPDPReader, wire.EntitySPDPWriter)
		}},
		{"its writer's farewell", ForeignDispose, (*station).meta0, func(a *station, w *Writer, _ *station) []byte {
			return bye(a.prefix, w.guid, wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter)
		}},
		{"its farewell by a stranger", ForeignDispose, (*station).meta0, func(a *station, _ *Writer, _ *station) []byte {
			return bye(prefix(1), participant(a.prefix), wire.EntitySPDPReader, wire.EntitySPDPWriter)
		}},
		{"an announcement of it by a stranger", ForeignEndpoint, (*station).meta0, func(a *station, _ *Writer, _ *station) []byte {
			b := hello(a.prefix, netip.MustParseAddrPort("127.0.0.1:9999"))
			p := prefix(1)
			copy(b[8:], p[:])
			return b
		}},
		{"a relay", SourceConflict, (*station).data, func(a *station, w *Writer, _ *station) []byte {
			return relay(prefix(2), a.prefix, sample(a.prefix, w.guid.Entity, 2, "forged")[20:])
		}},
		{"our own prefix, discovery", SourceConflict, (*station).meta0, func(_ *station, _ *Writer, b *station) []byte {
			return hello(b.prefix, netip.MustParseAddrPort("127.0.0.1:9999"))
		}},
		{"our own prefix, user data", SourceConflict, (*station).data, func(_ *station, w *Writer, b *station) []byte {
			return sample(b.prefix, w.guid.Entity, 2, "forged")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := freeDomain(t)
			a, b := start(t, d), start(t, d)
			var in inbox
			w := newWriter(t, a, WriterConfig{Reliable: true, Depth: 10})
			r := newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take})
			matched(t, w, r)
			write(t, w, 1, "first")
			eventually(t, "the first", func() bool { return in.len() == 1 })
			f := newForger(t)
			if strings.HasPrefix(c.name, "a relay") {
				f.known(b, prefix(2))
			}
			f.send(c.what(a, w, b), c.to(b))
			eventually(t, "the event", func() bool { return b.ev.count(c.kind) > 0 })
			if e := b.ev.find(c.kind); e.Source != f.addr() || e.Detail == "" {
				t.Errorf("the event says %+v; expected the source %v", e, f.addr())
			}
			write(t, w, 2, "second")
			eventually(t, "the genuine second", func() bool { return in.len() == 2 })
			if g := in.all(); g[1] != "second" {
				t.Errorf("got %q", g)
			}
			if len(r.Writers()) != 1 || b.ev.count(EndpointRemoved) != 0 || b.ev.count(ParticipantLeft) != 0 {
				t.Error("the forgery removed something")
			}
		})
	}
}

func (s *station) data() netip.AddrPort  { return s.LocalData() }
func (s *station) meta0() netip.AddrPort { return s.Local() }

// relay is a datagram of sender with submessages in another's name.
func relay(sender, of wire.Prefix, submessages []byte) []byte {
	b := wire.AppendHeader(nil, sender)
	b = append(b, 0x0c, 1, 20, 0, 0, 0, 0, 0, 2, 3, 1, 0x0f)
	return append(append(b, of[:]...), submessages...)
}

// TestTwoContents: a writer that says two things under one number, from its own socket, is told of; so are numbers that
// jump.
func TestTwoContents(t *testing.T) {
	d := freeDomain(t)
	b := start(t, d)
	f, p := newForger(t), prefix(1)
	f.known(b, p)
	var in inbox
	r := newReader(t, b, ReaderConfig{Handler: in.take})
	f.send(endpoint(p, 1, writerData(p, 1)), b.Local())
	eventually(t, "a match", func() bool { return len(r.Writers()) == 1 })
	w := writerData(p, 1).GUID.Entity
	f.send(sample(p, w, 1, "one"), b.LocalData())
	f.send(sample(p, w, 1, "one"), b.LocalData())
	f.send(sample(p, w, 1, "two"), b.LocalData())
	eventually(t, "the conflict", func() bool { return b.ev.count(PayloadConflict) == 1 })
	f.send(sample(p, w, 1<<40, "far"), b.LocalData())
	eventually(t, "the jump", func() bool { return b.ev.count(SequenceJump) == 1 })
	f.send(sample(p, w, 2, "next"), b.LocalData())
	eventually(t, "the next", func() bool { return in.len() == 2 })
	if g := in.all(); g[0] != "one" || g[1] != "next" {
		t.Errorf("got %q", g)
	}
	if st := r.Stats(); st.Conflicts != 1 {
		t.Errorf("%+v", st)
	}
}

// TestReflection: nothing is sent to where an announcement points, unless it came from there.
func TestReflection(t *testing.T) {
	for name, c := range map[string]struct {
		kind EventKind
		aim  func(victim netip.AddrPort) netip.AddrPort
	}{
		"another computer": {ParticipantRefused, func(v netip.AddrPort) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), v.Port())
		}},
		"multicast": {ParticipantRefused, func(v netip.AddrPort) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr("239.255.0.1"), v.Port())
		}},
		"a privileged port": {ParticipantRefused, func(netip.AddrPort) netip.AddrPort {
			return netip.MustParseAddrPort("127.0.0.1:53")
		}},
		"off": {ParticipantJoined, func(v netip.AddrPort) netip.AddrPort { return v }},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, freeDomain(t))
			victim, f := newForger(t), newForger(t)
			f.send(hello(prefix(1), c.aim(victim.addr())), b.Local())
			eventually(t, "an answer", func() bool { return b.ev.count(c.kind) == 1 })
			if name == "off" {
				if n, _ := victim.received(b.greetedOften); n == 0 {
					t.Error("nothing was sent to its own address; the test could not fail")
				}
			} else if len(b.Participants()) != 0 {
				t.Error("it was taken in")
			}
		})
	}
}

func (s *station) greetedOften() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.remotes {
		return r.greets > 2
	}
	return false
}

// TestLittleIsSentToTheUnproven: what an announcement with a forged source makes us send to its victim in a second is
// bounded.
func TestLittleIsSentToTheUnproven(t *testing.T) {
	b := start(t, freeDomain(t))
	for i := range 20 {
		newWriter(t, b, WriterConfig{Topic: fmt.Sprintf("rt/topic%d", i), Type: typ, Reliable: true, UserData: make([]byte, 500)})
	}
	victim := newForger(t)
	first := hello(prefix(1), victim.addr())
	begin := time.Now()
	victim.send(first, b.Local())
	n, bytes := victim.received(func() bool { return time.Since(begin) > time.Second })
	t.Logf("one announcement of %d bytes was answered by %d datagrams, %d bytes, in a second", len(first), n, bytes)
	if bytes > 3000 || n == 0 {
		t.Errorf("%d bytes in %d datagrams", bytes, n)
	}
}

// TestNoDataToTheUnanswered: a forged participant with a reader gets no samples before it has shown that it hears; and then
// it does.
func TestNoDataToTheUnanswered(t *testing.T) {
	b := start(t, freeDomain(t))
	f, p := newForger(t), prefix(1)
	f.known(b, p)
	w := newWriter(t, b, WriterConfig{Reliable: true})
	f.send(endpoint(p, 1, readerData(p, 2)), b.Local())
	eventually(t, "the endpoint", func() bool { return len(b.endpointsNow()) == 1 })
	for i := range 100 {
		set := wire.SeqSet{Base: wire.SeqNum(i)}
		m := wire.AppendAckNack(wire.AppendHeader(nil, p), wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter, &set, int32(i), false)
		f.send(wire.AppendAckNack(m, wire.EntitySEDPSubReader, wire.EntitySEDPSubWriter, &set, int32(i), false), b.Local())
		write(t, w, i, number(i))
	}
	if w.Readers() != 0 {
		t.Error("it is sent to")
	}
	deaf := prefix(2) // it has no reader for our questions, as small implementations
	f.known(b, deaf, func(d *wire.ParticipantData) { d.Builtin &^= wire.BuiltinLivelinessReader })
	f.send(endpoint(deaf, 1, readerData(deaf, 2)), b.Local())
	eventually(t, "a match", func() bool {
		for n := range wire.SeqNum(5) {
			set := wire.SeqSet{Base: n}
			m := wire.AppendAckNack(wire.AppendHeader(nil, deaf), wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter, &set, int32(time.Now().UnixMilli()), false)
			f.send(wire.AppendAckNack(m, wire.EntitySEDPSubReader, wire.EntitySEDPSubWriter, &set, int32(time.Now().UnixMilli()), false), b.Local())
		}
		return w.Readers() == 1
	})
}

// TestCaps: each cap keeps out what is above it, says so, and gives its room back.
func TestCaps(t *testing.T) {
	small := func(c *Config) {
		c.Limits = Limits{
			Participants: 8, ParticipantsPerAddress: 6, Endpoints: 20, EndpointsPerParticipant: 12, DiscoveryBytes: 48000,
			WritersPerReader: 3, ReadersPerWriter: 4, Unproven: time.Hour, UnknownPerAddress: 1000, Unknown: 1000,
		}
	}
	f := newForger(t)
	t.Run("participants of one address", func(t *testing.T) {
		b := start(t, freeDomain(t), small)
		for i := range 10 {
			f.send(hello(prefix(i), f.addr()), b.Local())
		}
		eventually(t, "the cap", func() bool { return b.ev.count(CapReached) == 4 })
		if n := len(b.Participants()); n != 6 {
			t.Errorf("%d participants; expected 6", n)
		}
	})
	t.Run("the unproven give way", func(t *testing.T) {
		var w warp
		d := freeDomain(t)
		b := start(t, d, small, func(c *Config) { c.Clock, c.Limits.Unproven = w.clock, time.Second })
		a := start(t, d)
		eventually(t, "a proven one", func() bool { return len(b.Participants()) == 1 && b.Participants()[0].answers.Load() })
		for i := range 5 {
			f.send(hello(prefix(i), f.addr()), b.Local())
		}
		eventually(t, "a full table", func() bool { return len(b.Participants()) == 6 })
		w.forward(2 * time.Second)
		for i := range 5 {
			f.send(hello(prefix(100+i), f.addr()), b.Local())
		}
		eventually(t, "the newer ones", func() bool { return b.ev.count(ParticipantJoined) == 11 })
		for _, r := range b.Participants() {
			if r.GUID == a.GUID() {
				return
			}
		}
		t.Error("the proven one gave way")
	})
	t.Run("endpoints of one participant", func(t *testing.T) {
		b := start(t, freeDomain(t), small)
		f.known(b, prefix(1))
		for i := range 15 {
			e := writerData(prefix(1), byte(i))
			e.Topic = "rt/x"
			f.send(endpoint(prefix(1), wire.SeqNum(i+1), e), b.Local())
		}
		eventually(t, "the cap", func() bool { return b.ev.count(CapReached) == 3 })
		if n := len(b.endpointsNow()); n != 12 {
			t.Errorf("%d endpoints; expected 12", n)
		}
	})
	t.Run("endpoints of one address, and their room", func(t *testing.T) {
		b := start(t, freeDomain(t), small)
		for p := range 3 {
			f.known(b, prefix(p))
			for i := range 10 {
				e := writerData(prefix(p), byte(i))
				e.Topic = "rt/x"
				f.send(endpoint(prefix(p), wire.SeqNum(i+1), e), b.Local())
			}
		}
		eventually(t, "the cap", func() bool { return b.ev.count(CapReached) == 15 && len(b.endpointsNow()) == 15 })
		for p := range 3 {
			f.send(wire.AppendDispose(wire.AppendHeader(nil, prefix(p)), wire.EntitySPDPReader, wire.EntitySPDPWriter, 2,
				participant(prefix(p)), wire.StatusDisposed), b.Local())
		}
		eventually(t, "an empty table", func() bool { return len(b.Participants()) == 0 })
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.all.empty() || len(b.computers) != 0 {
			t.Errorf("left: %+v, %d addresses", b.all, len(b.computers))
		}
	})
	t.Run("bytes", func(t *testing.T) {
		b := start(t, freeDomain(t), small)
		f.known(b, prefix(1))
		for i := range 10 {
			e := writerData(prefix(1), byte(i))
			e.Topic, e.UserData = "rt/x", make([]byte, 1000)
			f.send(endpoint(prefix(1), wire.SeqNum(i+1), e), b.Local())
		}
		eventually(t, "the cap", func() bool { return b.ev.count(CapReached) == 8 && len(b.endpointsNow()) == 2 })
	})
	t.Run("writers of one reader", func(t *testing.T) {
		b := start(t, freeDomain(t), small)
		f.known(b, prefix(1))
		r := newReader(t, b, ReaderConfig{})
		for i := range 5 {
			f.send(endpoint(prefix(1), wire.SeqNum(i+1), writerData(prefix(1), byte(i))), b.Local())
		}
		eventually(t, "the cap", func() bool { return b.ev.count(CapReached) == 2 && len(r.Writers()) == 3 })
	})
	t.Run("readers of one writer, half for those that matter", func(t *testing.T) {
		b := start(t, freeDomain(t), small)
		f.known(b, prefix(1))
		f.known(b, prefix(2))
		b.trust(prefix(1))
		b.trust(prefix(2))
		w := newWriter(t, b, WriterConfig{FirstReaders: func(r *RemoteReader) bool { return r.GUID.Prefix == prefix(2) }})
		for i := range 4 {
			f.send(endpoint(prefix(1), wire.SeqNum(i+1), readerData(prefix(1), byte(i))), b.Local())
		}
		eventually(t, "the cap", func() bool { return b.ev.count(CapReached) == 2 && w.Readers() == 2 })
		for i := range 2 {
			f.send(endpoint(prefix(2), wire.SeqNum(i+1), readerData(prefix(2), byte(i))), b.Local())
		}
		eventually(t, "those that matter", func() bool { return w.Readers() == 4 })
		if m := w.Matched(); m[0].GUID.Prefix != prefix(2) || m[3].GUID.Prefix != prefix(1) {
			t.Error("those that matter are not first")
		}
	})
}
