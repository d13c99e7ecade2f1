package rtps

import (
	"net/netip"
	"testing"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestThePathIsFree: from the datagram to the Handler, and from Write to the socket, nothing is allocated.
func TestThePathIsFree(t *testing.T) {
	d := freeDomain(t)
	b := start(t, d)
	f, p := newForger(t), prefix(1)
	f.known(b, p)
	b.trust(p)
	out := newWriter(t, b, WriterConfig{Topic: "rt/out", Type: typ, Reliable: true, Depth: 4, MaxSample: 1024})
	var taken int
	reliable := newReader(t, b, ReaderConfig{Reliable: true, MaxRateHz: 1 << 30, Handler: func(s *Sample) {
		taken++
		if _, err := out.Write(uint64(taken), s.Payload); err != nil {
			t.Error(err)
		}
	}})
	fast := newReader(t, b, ReaderConfig{MaxRateHz: 1 << 30, Handler: func(*Sample) { taken++ }})
	f.send(endpoint(p, 1, writerData(p, 1)), b.Local())
	rd := readerData(p, 2)
	rd.Topic, rd.QoS.Reliable = "rt/out", true
	f.send(endpoint(p, 1, rd), b.Local())
	eventually(t, "matches", func() bool {
		return len(reliable.Writers()) == 1 && len(fast.Writers()) == 1 && out.Readers() == 1
	})
	w := writerData(p, 1).GUID.Entity
	var seq wire.SeqNum
	buf := make([]byte, 0, 2048)
	payload := cdr(string(make([]byte, 700)))
	e := &ear{p: b.Participant}
	from := f.addr()
	one := func() {
		seq++
		buf = wire.AppendHeader(buf[:0], p)
		buf = wire.AppendInfoDst(buf, b.prefix)
		buf = wire.AppendInfoTS(buf, wire.TimeOf(1_700_000_000_000_000_000+int64(seq)))
		buf = wire.AppendData(buf, wire.EntityUnknown, w, seq, payload)
		buf = wire.AppendHeartbeat(buf, wire.EntityUnknown, w, 1, seq, int32(seq), false, false)
		b.taking.Lock()
		b.taker.turn(e, buf, from)
		b.taking.Unlock()
		acknowledge(b, out, e, p, from, buf[:0])
	}
	for range 100 {
		one()
	}
	before := taken
	if n := testing.AllocsPerRun(1000, one); n != 0 {
		t.Errorf("%v allocations for a sample that is taken twice, written on and acknowledged", n)
	}
	if taken < before+2000 {
		t.Errorf("%d samples taken; the test took a way without them", taken-before)
	}
}

// acknowledge lets the forged reader acknowledge all that was written.
func acknowledge(b *station, out *Writer, e *ear, p wire.Prefix, from netip.AddrPort, buf []byte) {
	out.mu.Lock()
	last := out.out.Last()
	out.mu.Unlock()
	buf = wire.AppendHeader(buf, p)
	set := wire.SeqSet{Base: last + 1}
	buf = wire.AppendAckNack(buf, readerData(p, 2).GUID.Entity, out.guid.Entity, &set, int32(last), true)
	b.taking.Lock()
	b.taker.turn(e, buf, from)
	b.taking.Unlock()
}
