package rtps

import (
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestFlood: forged announcements and forged user data as fast as one process can send them neither hold up what two
// participants say to each other, nor end a lease, nor are many of them told.
func TestFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes two seconds of both processors")
	}
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true, Depth: 200})
	r := newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take})
	matched(t, w, r)
	var end atomic.Bool
	var sent atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := newForger(t)
		for i := 0; !end.Load(); i++ {
			f.send(hello(prefix(i), f.addr()), b.Local())
			f.send(sample(prefix(i), w.guid.Entity, 1, "forged"), b.LocalData())
			f.send(sample(a.prefix, w.guid.Entity, 1, "forged"), b.LocalData())
			sent.Add(3)
		}
	}()
	const n = 1000
	for i := range n {
		write(t, w, i, number(i))
		time.Sleep(2 * time.Millisecond) // the pace of a topic
	}
	eventually(t, "all samples", func() bool { return in.len() == n })
	end.Store(true)
	<-done
	for i, s := range in.all() {
		if s != number(i) {
			t.Fatalf("sample %d is %s", i, s)
		}
	}
	if len(r.Writers()) != 1 {
		t.Error("the writer is gone")
	}
	told := len(b.ev.all())
	t.Logf("%d forged datagrams, %d participants taken in, %d events, %d conflicts counted", sent.Load(), len(b.Participants()), told,
		r.Writers()[0].Participant.Conflicts())
	if told > 2000 || b.ev.count(Flood) == 0 || b.ev.count(SourceConflict) == 0 {
		t.Errorf("%d events, of floods %d, of conflicts %d", told, b.ev.count(Flood), b.ev.count(SourceConflict))
	}
}

// quiet is a participant that nothing reads for: a test calls what its goroutines would.
func quiet(t testing.TB, change ...func(*Config)) *Participant {
	t.Helper()
	c := Config{Domain: freeDomain(t), Host: localhost, Clock: boot, Civil: civil, OnEvent: func(*Event) {}}
	for _, f := range change {
		f(&c)
	}
	c.drop = func(out, _ bool, _ []byte) bool { return out }
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// tellAll tells what waits to be told.
func (p *Participant) tellAll() {
	for {
		p.teller.mu.Lock()
		q := p.teller.queue
		p.teller.queue = nil
		p.teller.mu.Unlock()
		for i := range q {
			p.teller.tell(&q[i])
		}
		if len(q) == 0 {
			return
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory: 400 participants with as many endpoints as they like try to come in, in long announcements, and half as many forged
// fragments as would fill every inbox; what they occupy is bounded.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	var w warp
	empty := heap()
	p := quiet(t, func(c *Config) { c.Clock = w.clock })
	fresh := heap()
	e := &ear{p: p}
	hear := func(b []byte, from netip.AddrPort) {
		e.now, e.from = p.cfg.Clock(), from
		e.hear(b)
		p.tellAll()
	}
	long := strings.Repeat("x", 250)
	for i := range 400 {
		who := prefix(i)
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 100), 1}), uint16(20000+i))
		hear(hello(who, from, func(d *wire.ParticipantData) {
			d.Name, d.UserData = long, make([]byte, MaxUserData)
		}), from)
		p.mu.Lock()
		if r := p.remotes[who]; r != nil {
			r.answers.Store(true) // none gives way
		}
		p.mu.Unlock()
		n := 10
		if i < 20 {
			n = DefaultEndpointsPerParticipant + 10
		}
		for k := range n {
			x := writerData(who, 0)
			x.GUID.Entity = wire.EntityID{byte(k >> 8), byte(k), 1, 3}
			x.Topic, x.Type, x.UserData = "rt/"+long[:200], long, make([]byte, MaxUserData)
			x.QoS.Partitions = []string{long, long, long}
			hear(endpoint(who, wire.SeqNum(k+1), x), from)
			if k%200 == 0 {
				w.forward(time.Second)
			}
		}
		payload := make([]byte, 1000)
		for k := range 20 { // fragments of announcements that never become whole
			b := wire.AppendHeader(nil, who)
			b = wire.AppendDataFrag(b, wire.EntitySEDPSubReader, wire.EntitySEDPSubWriter, wire.SeqNum(k+1), 1, 1, 1000, maxAnnouncement, payload)
			hear(b, from)
		}
		w.forward(time.Second)
	}
	full := heap()
	p.mu.Lock()
	participants, endpoints, bytes := len(p.remotes), p.all.endpoints, p.all.bytes
	p.mu.Unlock()
	t.Logf("empty participant %d kB; %d participants, %d endpoints, %d kB of names: %d kB", (fresh-empty)>>10, participants, endpoints, bytes>>10, (full-fresh)>>10)
	if participants < 100 || endpoints < 500 || participants > DefaultParticipants || endpoints > DefaultEndpoints || bytes > DefaultDiscoveryBytes || full-empty > 48<<20 {
		t.Error("outside of its bounds")
	}
	runtime.KeepAlive(p)
}

// BenchmarkForged is what one forged datagram costs.
func BenchmarkForged(b *testing.B) {
	from := netip.MustParseAddrPort("10.0.0.1:20000")
	genuine := netip.MustParseAddrPort("10.0.0.2:20000")
	p := quiet(b)
	e := &ear{p: p}
	hear := func(d []byte, from netip.AddrPort) {
		e.now, e.from = p.cfg.Clock(), from
		e.hear(d)
		p.tellAll()
	}
	take := func(d []byte, from netip.AddrPort) {
		p.taking.Lock()
		p.taker.turn(e, d, from)
		p.taking.Unlock()
	}
	victim := prefix(1 << 20)
	hear(hello(victim, genuine), genuine)
	w := writerData(victim, 1).GUID.Entity
	data := sample(victim, w, 1, string(make([]byte, 700)))
	for name, f := range map[string]func(i int){
		"announcement":              func(i int) { hear(hello(prefix(i%1000), from), from) },
		"announcement-of-a-victim":  func(int) { hear(hello(victim, from), from) },
		"user-data-of-a-victim":     func(int) { take(data, from) },
		"user-data-of-nobody":       func(i int) { take(sample(prefix(i%1000), w, 1, "x"), from) },
		"endpoint-by-a-participant": func(i int) { hear(endpoint(victim, wire.SeqNum(i+1), writerData(victim, 1)), genuine) },
		"no-rtps":                   func(int) { hear(data[4:], from) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				f(i)
			}
		})
	}
}
