package rtps

import (
	"net"
	"net/netip"
	"testing"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// forger is a socket that says whatever a test wants, in anybody's name.
type forger struct {
	t    testing.TB
	conn *net.UDPConn
}

func newForger(t testing.TB) *forger {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &forger{t, c}
}

func (f *forger) addr() netip.AddrPort {
	return f.conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // it is one
}

func (f *forger) send(b []byte, to netip.AddrPort) {
	f.t.Helper()
	if _, err := f.conn.WriteToUDPAddrPort(b, to); err != nil {
		f.t.Fatal(err)
	}
}

// received counts the datagrams that came until none comes for a while.
func (f *forger) received(n func() bool) (count, bytes int) {
	b := make([]byte, 65536)
	for !n() {
		f.conn.SetReadDeadline(soon())
		k, _, err := f.conn.ReadFromUDPAddrPort(b)
		if err == nil {
			count++
			bytes += k
		}
	}
	return count, bytes
}

// prefix is a made-up participant.
func prefix(n int) wire.Prefix {
	return wire.Prefix{0xee, 0xee, byte(n >> 16), byte(n >> 8), byte(n)}
}

func participant(p wire.Prefix) wire.GUID {
	return wire.GUID{Prefix: p, Entity: wire.EntityParticipant}
}

// hello is an announcement of a participant that hears at addr.
func hello(p wire.Prefix, addr netip.AddrPort, change ...func(*wire.ParticipantData)) []byte {
	d := wire.ParticipantData{GUID: participant(p), Domain: -1, Lease: wire.DefaultLease, Builtin: builtin}
	d.MetaUnicast.Add(addr)
	d.Unicast.Add(addr)
	for _, f := range change {
		f(&d)
	}
	return wire.AppendData(wire.AppendHeader(nil, p), wire.EntitySPDPReader, wire.EntitySPDPWriter, 1, wire.AppendParticipant(nil, &d))
}

// endpoint is an announcement of a writer or reader, number seq of its participant's.
func endpoint(p wire.Prefix, seq wire.SeqNum, e wire.EndpointData) []byte {
	r, w := wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter
	if !e.GUID.Entity.Writer() {
		r, w = wire.EntitySEDPSubReader, wire.EntitySEDPSubWriter
	}
	b := wire.AppendHeader(nil, p)
	b = wire.AppendData(b, r, w, seq, wire.AppendEndpoint(nil, &e))
	return wire.AppendHeartbeat(b, r, w, 1, seq, int32(seq), false, false)
}

func writerData(p wire.Prefix, n byte) wire.EndpointData {
	return wire.EndpointData{
		GUID: wire.GUID{Prefix: p, Entity: wire.EntityID{0, 0, n, 0x03}}, Topic: topic, Type: typ, QoS: wire.DefaultQoS(true),
	}
}

func readerData(p wire.Prefix, n byte) wire.EndpointData {
	return wire.EndpointData{
		GUID: wire.GUID{Prefix: p, Entity: wire.EntityID{0, 0, n, 0x04}}, Topic: topic, Type: typ, QoS: wire.DefaultQoS(false),
	}
}

// sample is a datagram with one sample.
func sample(p wire.Prefix, w wire.EntityID, seq wire.SeqNum, text string) []byte {
	return wire.AppendData(wire.AppendHeader(nil, p), wire.EntityUnknown, w, seq, cdr(text))
}

// trust makes s take a made-up participant for one that has answered.
func (s *station) trust(who wire.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remotes[who].answers.Store(true)
}

// known makes p know the participant, which speaks from f.
func (f *forger) known(p *station, who wire.Prefix, change ...func(*wire.ParticipantData)) {
	f.t.Helper()
	f.send(hello(who, f.addr(), change...), p.Local())
	eventually(f.t, "the participant", func() bool {
		for _, r := range p.Participants() {
			if r.GUID.Prefix == who {
				return true
			}
		}
		return false
	})
}
