package rtps

import (
	"net/netip"
	"testing"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// path is a participant with a reliable reader that writes on what it gets, and a best-effort reader beside it; a forged
// peer writes to them and reads what is written on.
type path struct {
	b       *station
	e       *ear
	out     *Writer
	who     wire.Prefix
	from    netip.AddrPort
	seq     wire.SeqNum
	buf     []byte
	payload []byte
	taken   int
}

func newPath(t testing.TB) *path {
	d := freeDomain(t)
	b := start(t, d)
	f := newForger(t)
	p := &path{
		b: b, e: &ear{p: b.Participant}, who: prefix(1), from: f.addr(), buf: make([]byte, 0, 2048),
		payload: cdr(string(make([]byte, 700))),
	}
	f.known(b, p.who)
	b.trust(p.who)
	p.out = newWriter(t, b, WriterConfig{Topic: "rt/out", Type: typ, Reliable: true, Depth: 4, MaxSample: 1024})
	inOrder := newReader(t, b, ReaderConfig{Reliable: true, MaxRateHz: 1 << 30, Handler: func(s *Sample) {
		p.taken++
		if _, err := p.out.Write(uint64(p.taken), s.Payload); err != nil {
			t.Error(err)
		}
	}})
	asItComes := newReader(t, b, ReaderConfig{MaxRateHz: 1 << 30, Handler: func(*Sample) { p.taken++ }})
	f.send(endpoint(p.who, 1, writerData(p.who, 1)), b.Local())
	rd := readerData(p.who, 2)
	rd.Topic, rd.QoS.Reliable = "rt/out", true
	f.send(endpoint(p.who, 1, rd), b.Local())
	eventually(t, "matches", func() bool {
		return len(inOrder.Writers()) == 1 && len(asItComes.Writers()) == 1 && p.out.Readers() == 1
	})
	return p
}

func (p *path) turn() {
	p.b.taking.Lock()
	p.b.taker.turn(p.e, p.buf, p.from)
	p.b.taking.Unlock()
}

// one is one sample that comes in, is taken twice, written on and acknowledged.
func (p *path) one() {
	p.seq++
	w := wire.EntityID{0, 0, 1, 3}
	p.buf = wire.AppendHeader(p.buf[:0], p.who)
	p.buf = wire.AppendInfoDst(p.buf, p.b.prefix)
	p.buf = wire.AppendInfoTS(p.buf, wire.TimeOf(1_700_000_000_000_000_000+int64(p.seq)))
	p.buf = wire.AppendData(p.buf, wire.EntityUnknown, w, p.seq, p.payload)
	p.buf = wire.AppendHeartbeat(p.buf, wire.EntityUnknown, w, 1, p.seq, int32(p.seq), false, false)
	p.turn()
	p.out.mu.Lock()
	set := wire.SeqSet{Base: p.out.out.Last() + 1}
	p.out.mu.Unlock()
	p.buf = wire.AppendHeader(p.buf[:0], p.who)
	p.buf = wire.AppendAckNack(p.buf, wire.EntityID{0, 0, 2, 4}, p.out.guid.Entity, &set, int32(set.Base), true)
	p.turn()
}

// TestThePathIsFree: from the datagram to the Handler, and from Write to the socket, nothing is allocated.
func TestThePathIsFree(t *testing.T) {
	p := newPath(t)
	for range 100 {
		p.one()
	}
	before := p.taken
	if n := testing.AllocsPerRun(1000, p.one); n != 0 {
		t.Errorf("%v allocations for a sample that is taken twice, written on and acknowledged", n)
	}
	if p.taken < before+2000 {
		t.Errorf("%d samples taken; the test took a way without them", p.taken-before)
	}
}

// BenchmarkPath is the same without the kernel's way in; the way out is in it.
func BenchmarkPath(b *testing.B) {
	p := newPath(b)
	b.ReportAllocs()
	for b.Loop() {
		p.one()
	}
}
