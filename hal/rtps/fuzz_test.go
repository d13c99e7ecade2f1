package rtps

import (
	"net/netip"
	"testing"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// FuzzDatagrams: whatever comes in, in whatever order, nothing panics, caps hold, and all is given back at the end. An input
// is a row of datagrams: two bytes of length, one that says where it goes and from whom, then its bytes. Seeds of hashes and the order of maps let the coverage
// of one input vary, so that minimising is in vain: run it with -fuzzminimizetime=5x.
func FuzzDatagrams(f *testing.F) {
	from := netip.MustParseAddrPort("127.0.0.1:40000")
	p := prefix(1)
	row := func(parts ...[]byte) (out []byte) {
		for i, b := range parts {
			to := byte(0)
			if i >= 2 {
				to = 1
			}
			out = append(append(out, byte(len(b)>>8), byte(len(b)), to), b...)
		}
		return out
	}
	w := writerData(p, 1)
	f.Add(row(hello(p, from), endpoint(p, 1, w), sample(p, w.GUID.Entity, 1, "x")))
	f.Add(row(hello(p, from), endpoint(p, 1, readerData(p, 2)), sample(p, w.GUID.Entity, 1, "x"), sample(p, w.GUID.Entity, 1, "y")))
	frag := wire.AppendDataFrag(wire.AppendHeader(nil, p), wire.EntityUnknown, w.GUID.Entity, 1, 1, 1, 100, 300, make([]byte, 100))
	gap := wire.AppendGap(wire.AppendHeader(nil, p), wire.EntityUnknown, w.GUID.Entity, 1, &wire.SeqSet{Base: 5})
	f.Add(row(hello(p, from), endpoint(p, 1, w), frag, gap))
	bye := wire.AppendDispose(wire.AppendHeader(nil, p), wire.EntitySPDPReader, wire.EntitySPDPWriter, 2, participant(p), 3)
	f.Add(row(hello(p, from), bye))
	f.Fuzz(func(t *testing.T, in []byte) {
		var clock warp
		x := quiet(t, func(c *Config) {
			c.Clock = clock.clock
			c.Limits = Limits{
				Participants: 4, ParticipantsPerAddress: 3, Endpoints: 8, EndpointsPerParticipant: 6, LocalEndpoints: 4,
				WritersPerReader: 2, ReadersPerWriter: 2, HeldBytes: 1000, Unknown: 1000, UnknownPerAddress: 1000,
			}
		})
		r, err := x.NewReader(ReaderConfig{Topic: topic, Type: typ, Reliable: true, MaxSample: 1000, Handler: func(s *Sample) {
			if len(s.Payload) < 4 || len(s.Payload) > 1003 || s.Writer == nil {
				t.Errorf("a sample of %d bytes", len(s.Payload))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.NewWriter(WriterConfig{Topic: topic, Type: typ, Reliable: true, MaxSample: 1000}); err != nil {
			t.Fatal(err)
		}
		feed(x, in, from)
		x.mu.Lock()
		if len(x.remotes) > 4 || x.all.endpoints > 8 || len(r.matches) > 2 || x.held > 2*(1000+1000) {
			t.Errorf("%d participants, %+v, %d matches, %d bytes held", len(x.remotes), x.all, len(r.matches), x.held)
		}
		for _, o := range x.remotes {
			x.leave(o, ParticipantLeft, o.Source, "")
		}
		if !x.all.empty() || len(x.computers) != 0 || x.held != 0 {
			t.Errorf("left: %+v, %d bytes held", x.all, x.held)
		}
		x.mu.Unlock()
	})
}

// feed takes a row of datagrams apart.
func feed(x *Participant, in []byte, from netip.AddrPort) {
	e := &ear{p: x}
	for x.tellAll(); len(in) >= 3; x.tellAll() {
		n, to := int(in[0])<<8|int(in[1]), in[2]
		n = min(n, len(in)-3)
		b := in[3 : 3+n]
		in = in[3+n:]
		e.now, e.path = x.cfg.Clock(), int(to>>1&1)
		e.from = netip.AddrPortFrom(from.Addr(), from.Port()+uint16(to>>2&3))
		if to&1 == 0 {
			e.hear(b)
			continue
		}
		x.taking.Lock()
		x.taker.turn(e, b, e.from)
		x.taking.Unlock()
	}
	x.discoveryTimers(x.cfg.Clock())
}
