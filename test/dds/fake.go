package dds

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// Fake is a participant that is made of packets: it announces itself, its writers and its readers, answers what discovery
// asks, and says whatever a test wants it to say.
type Fake struct {
	Prefix  rtps.Prefix
	Writers []rtps.Endpoint
	Readers []rtps.Endpoint
	// Vendor is whose implementation it says to be; Heard, if not nil, is handed what is not discovery.
	Vendor [2]byte
	Heard  func(rtps.Sub)

	conn *net.UDPConn
	self netip.AddrPort

	mu    sync.Mutex
	known map[rtps.Prefix]netip.AddrPort // where others hear discovery
	user  map[rtps.Prefix]netip.AddrPort // and data
	acked map[rtps.Prefix]bool           // who has acknowledged all writers
	count uint32
}

// fakeLease is a fake participant's lease.
const fakeLease = 20 * time.Second

// NewFake puts a participant with some writers on the host, for the length of the test.
func NewFake(t testing.TB, h *netns.Host, r *rand.Rand, writers ...rtps.Endpoint) *Fake {
	t.Helper()
	f := &Fake{Prefix: randomPrefix(r), Vendor: [2]byte{1, 16}, Writers: writers}
	f.Join(t, h)
	return f
}

// Join puts the participant on the host, for the length of the test.
func (f *Fake) Join(t testing.TB, h *netns.Host) {
	t.Helper()
	f.known, f.user, f.acked = map[rtps.Prefix]netip.AddrPort{}, map[rtps.Prefix]netip.AddrPort{}, map[rtps.Prefix]bool{}
	for i := range f.Writers {
		f.Writers[i].GUID = f.Prefix.GUID(rtps.EntityID{byte(i >> 8), byte(i), 1, 3})
	}
	for i := range f.Readers {
		f.Readers[i].GUID = f.Prefix.GUID(rtps.EntityID{byte(i >> 8), byte(i), 2, 4})
	}
	h.Do(t, func() (err error) {
		f.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(h.Address)})
		return err
	})
	f.self = netip.MustParseAddrPort(f.conn.LocalAddr().String())
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() { f.announce(stop) })
	all.Go(f.listen)
	t.Cleanup(func() {
		close(stop)
		_ = f.conn.Close()
		all.Wait()
	})
}

// randomPrefix is one of a vendor that nobody has heard of.
func randomPrefix(r *rand.Rand) (p rtps.Prefix) {
	p[0], p[1] = 1, 0x63
	for i := 2; i < len(p); i++ {
		p[i] = byte(r.Uint32())
	}
	return p
}

func (f *Fake) announce(stop chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		p := rtps.Participant{Prefix: f.Prefix, Vendor: f.Vendor, Meta: f.self, User: f.self, Lease: fakeLease, UserData: "enclave=/;"}
		_, _ = f.conn.WriteToUDPAddrPort(p.Announce(1), group) // who does not hear it hears the next
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

func (f *Fake) listen() {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := f.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		for _, s := range rtps.Subs(buf[:n]) {
			f.answer(s)
		}
	}
}

// answer does what discovery asks for.
func (f *Fake) answer(s rtps.Sub) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.Kind == rtps.KindData && s.Writer == rtps.ParticipantWriter {
		p := rtps.Discovered(s.Payload)
		if a, ok := locator(p[rtps.PIDDefaultUnicast]); ok {
			f.user[s.Source] = a
		}
		if a, ok := locator(p[rtps.PIDMetatrafficUnicast]); ok && !f.known[s.Source].IsValid() {
			f.known[s.Source] = a
			f.tell(s.Source, rtps.PublicationsReader, rtps.PublicationsWriter, f.Writers)
			f.tell(s.Source, rtps.SubscriptionsReader, rtps.SubscriptionsWriter, f.Readers)
		}
		return
	}
	to := f.known[s.Source]
	if !to.IsValid() {
		return
	}
	f.count++
	if s.Kind == rtps.KindAckNack && s.Writer == rtps.PublicationsWriter && s.Seq > int64(len(f.Writers)) {
		f.acked[s.Source] = true
	}
	switch {
	case s.Kind == rtps.KindHeartbeat && s.Writer[3] == 0xc2:
		reader := s.Writer
		reader[3] = 0xc7
		f.send(to, rtps.NewPacket(f.Prefix).To(s.Source).AckNack(reader, s.Writer, s.Last+1, 0, nil, f.count, true))
	case s.Kind == rtps.KindAckNack && s.Writer == rtps.PublicationsWriter && s.Flags&2 == 0:
		f.tell(s.Source, s.Reader, s.Writer, f.Writers)
	case s.Kind == rtps.KindAckNack && s.Writer == rtps.SubscriptionsWriter && s.Flags&2 == 0:
		f.tell(s.Source, s.Reader, s.Writer, f.Readers)
	case s.Kind == rtps.KindAckNack && s.Writer[3] == 0xc2 && s.Flags&2 == 0:
		f.send(to, rtps.NewPacket(f.Prefix).To(s.Source).Heartbeat(s.Reader, s.Writer, 1, 0, f.count, true))
	case f.Heard != nil && s.Writer[3] != 0xc2:
		f.Heard(s)
	}
}

// tell announces endpoints to one participant. The caller holds mu.
func (f *Fake) tell(dest rtps.Prefix, reader, writer rtps.EntityID, list []rtps.Endpoint) {
	to := f.known[dest]
	for i, e := range list {
		f.send(to, rtps.NewPacket(f.Prefix).To(dest).Data(reader, writer, int64(i+1), nil, e.Payload(), false))
	}
	f.count++
	f.send(to, rtps.NewPacket(f.Prefix).To(dest).Heartbeat(reader, writer, 1, int64(len(list)), f.count, false))
}

func (f *Fake) send(to netip.AddrPort, p *rtps.Packet) {
	_, _ = f.conn.WriteToUDPAddrPort(p.Of(f.Vendor).Bytes(), to) // what is lost is asked for again
}

// Say sends a packet to where the others hear data.
func (f *Fake) Say(p *rtps.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, to := range f.user {
		f.send(to, p)
	}
}

// Tell sends a packet to where the others hear discovery.
func (f *Fake) Tell(p *rtps.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, to := range f.known {
		f.send(to, p)
	}
}

// KnownTo tells whether a participant of the vendor has acknowledged that it knows all of the fake's writers.
func (f *Fake) KnownTo(vendor [2]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.acked {
		if [2]byte(p[:2]) == vendor {
			return true
		}
	}
	return false
}

// Crowd is many fakes with some writers each, on topics of their own.
func Crowd(t testing.TB, h *netns.Host, r *rand.Rand, participants, writers int) (all []*Fake) {
	t.Helper()
	for i := range participants {
		list := make([]rtps.Endpoint, writers)
		for k := range list {
			list[k] = rtps.Endpoint{Topic: fmt.Sprintf("rt/crowd_%d_%d", i, k), Type: "std_msgs::msg::dds_::String_", Reliable: true}
		}
		all = append(all, NewFake(t, h, r, list...))
	}
	return all
}
