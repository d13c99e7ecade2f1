package dds

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// Attacker is a socket on the network with an eye beside it.
type Attacker struct {
	*Eye
	conn   *net.UDPConn
	forger *netns.Forger
}

// group is where participants of the tests' domain announce themselves.
var group = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 0, 1}), 7400+250*domain.ID)

// NewAttacker puts an attacker on the host from; its eye is on the host at, whose cable the victims' traffic passes.
func NewAttacker(t testing.TB, from, at *netns.Host) *Attacker {
	t.Helper()
	a := &Attacker{Eye: Watch(t, at, 4096)}
	from.Do(t, func() (err error) {
		a.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from.Address)})
		return err
	})
	t.Cleanup(func() { _ = a.conn.Close() })
	a.forger = from.Forger(t)
	return a
}

// Forge sends the packet to all of the addresses as if it came from another's.
func (a *Attacker) Forge(t testing.TB, source netip.AddrPort, p *rtps.Packet, to ...netip.AddrPort) {
	t.Helper()
	for _, x := range to {
		a.forger.Send(t, source, x, p.Bytes())
	}
}

// Send sends the packet to all of the addresses.
func (a *Attacker) Send(t testing.TB, p *rtps.Packet, to ...netip.AddrPort) {
	t.Helper()
	if len(to) == 0 {
		t.Fatal("an attack on nobody")
	}
	for _, x := range to {
		if _, err := a.conn.WriteToUDPAddrPort(p.Bytes(), x); err != nil {
			t.Fatal(err)
		}
	}
}

func keys(m map[netip.AddrPort]bool) (out []netip.AddrPort) {
	for a := range m {
		out = append(out, a)
	}
	return out
}

// Forgery is one forged message in a victim's name. It tells whom to send it to.
type Forgery struct {
	Name string
	Make func(e *Eye, victim Stream) (*rtps.Packet, []netip.AddrPort)
}

// forged is the number of a forged sample, and far is farther than any writer gets.
const (
	forged = 777_777
	far    = int64(1) << 40
)

// Forgeries are what anybody on the network can say in a publisher's name. A forged sample has the content, or, without
// one, that of a sample of the victim's own.
func Forgeries(content []byte) []Forgery {
	said := func(v Stream) []byte {
		if content == nil {
			return v.Payload
		}
		return content
	}
	return []Forgery{
		{"guid-spoofing", func(_ *Eye, v Stream) (*rtps.Packet, []netip.AddrPort) {
			return rtps.NewPacket(v.GUID.Prefix()).At(time.Now()).Data(rtps.Unknown, v.GUID.Entity(), v.Last+1, nil, said(v), false), keys(v.To)
		}},
		{"participant-dispose", func(e *Eye, v Stream) (*rtps.Packet, []netip.AddrPort) {
			p := v.GUID.Prefix()
			return rtps.NewPacket(p).Dispose(rtps.Unknown, rtps.ParticipantWriter, e.Of(p, rtps.ParticipantWriter).Last+1, rtps.PIDParticipantGUID,
				p.GUID(rtps.ParticipantEntity)), append(e.Meta(p), group)
		}},
		{"writer-dispose", func(e *Eye, v Stream) (*rtps.Packet, []netip.AddrPort) {
			p := v.GUID.Prefix()
			return rtps.NewPacket(p).Dispose(rtps.Unknown, rtps.PublicationsWriter, e.Of(p, rtps.PublicationsWriter).Last+1, rtps.PIDEndpointGUID,
				v.GUID), e.Meta(p)
		}},
		{"far-heartbeat", func(_ *Eye, v Stream) (*rtps.Packet, []netip.AddrPort) {
			return rtps.NewPacket(v.GUID.Prefix()).Heartbeat(rtps.Unknown, v.GUID.Entity(), far, far+1, 1<<30, true), keys(v.To)
		}},
		{"far-gap", func(_ *Eye, v Stream) (*rtps.Packet, []netip.AddrPort) {
			return rtps.NewPacket(v.GUID.Prefix()).Gap(rtps.Unknown, v.GUID.Entity(), v.Last+1, far), keys(v.To)
		}},
		{"far-sample", func(_ *Eye, v Stream) (*rtps.Packet, []netip.AddrPort) {
			return rtps.NewPacket(v.GUID.Prefix()).Data(rtps.Unknown, v.GUID.Entity(), v.Last+far, nil, said(v), false), keys(v.To)
		}},
	}
}
