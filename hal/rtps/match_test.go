package rtps

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestAccept: a refused writer's samples are not seen, its latest is kept where both are transient-local, and Rematch asks
// again, in both directions.
func TestAccept(t *testing.T) {
	for _, latched := range []bool{false, true} {
		t.Run(fmt.Sprintf("latched %t", latched), func(t *testing.T) {
			d := freeDomain(t)
			a, b := start(t, d), start(t, d)
			var ok atomic.Bool
			var asked atomic.Int32
			var in inbox
			changes := make(chan bool, 10)
			w := newWriter(t, a, WriterConfig{Reliable: true, TransientLocal: latched})
			r := newReader(t, b, ReaderConfig{
				Reliable: true, TransientLocal: latched,
				Accept: func(w *RemoteWriter) bool {
					w.Tag = asked.Add(1)
					return ok.Load()
				},
				Handler: func(s *Sample) {
					if s.Writer.Tag == nil {
						t.Error("a sample before Accept")
					}
					in.take(s)
				},
				OnMatch: func(_ *RemoteWriter, is bool) { changes <- is },
			})
			eventually(t, "a match", func() bool { return w.Readers() == 1 && asked.Load() == 1 })
			for i := range 3 {
				write(t, w, i, number(i))
			}
			eventually(t, "acknowledgements of a reader that takes nothing", w.Acked)
			if in.len() != 0 || len(r.Writers()) != 0 || r.Stats().Unaccepted != 3 {
				t.Fatalf("%d samples, %d writers, %+v", in.len(), len(r.Writers()), r.Stats())
			}
			ok.Store(true)
			r.Rematch()
			if !<-changes {
				t.Fatal("not matched")
			}
			if latched {
				eventually(t, "the latest", func() bool { return in.len() == 1 })
				if g := in.all()[0]; g != number(2) {
					t.Errorf("the latest is %s", g)
				}
			}
			write(t, w, 3, number(3))
			eventually(t, "a sample", func() bool { return in.len() > 0 && in.all()[in.len()-1] == number(3) })
			n := in.len()
			ok.Store(false)
			r.Rematch()
			if <-changes {
				t.Fatal("matched again")
			}
			write(t, w, 4, number(4))
			eventually(t, "acknowledgement", w.Acked)
			if in.len() != n || len(r.Writers()) != 0 {
				t.Error("a sample of a refused writer")
			}
		})
	}
}

// TestCallbacksMayCallBack: callbacks and Handlers may call everything.
func TestCallbacksMayCallBack(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	var echo *Writer
	var in inbox
	ready := make(chan struct{})
	w := newWriter(t, a, WriterConfig{Reliable: true})
	back := newReader(t, a, ReaderConfig{Topic: "rt/back", Type: typ, Reliable: true, Handler: in.take})
	newReader(t, b, ReaderConfig{
		Reliable: true,
		Accept: func(*RemoteWriter) bool {
			b.VisitEndpoints(func(*Endpoint) {})
			return true
		},
		OnMatch: func(_ *RemoteWriter, is bool) {
			if is && echo == nil {
				echo = newWriter(t, b, WriterConfig{Topic: "rt/back", Type: typ, Reliable: true})
				close(ready)
			}
		},
		Handler: func(s *Sample) {
			<-ready
			if _, err := echo.Write(uint64(s.Seq), s.Payload); err != nil {
				t.Error(err)
			}
			b.Participants()
		},
	})
	eventually(t, "a match", func() bool { return w.Readers() == 1 && len(back.Writers()) == 1 })
	<-ready
	eventually(t, "the echo's match", func() bool { return echo.Readers() == 1 })
	for i := range 20 {
		write(t, w, i, number(i))
		eventually(t, "the echo", func() bool { return in.len() == i+1 })
	}
}

// TestACallbackThatHangs: samples flow on, what waits is bounded, and all is told in the end.
func TestACallbackThatHangs(t *testing.T) {
	d := freeDomain(t)
	hold := make(chan struct{})
	var told atomic.Int64
	a := start(t, d)
	b := start(t, d, func(c *Config) {
		c.OnEvent = func(e *Event) {
			if e.Kind == Malformed {
				<-hold
			}
			told.Add(1 + int64(e.Suppressed))
		}
		c.Limits.EventsPerSecond = 1 << 20
	})
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true})
	matched(t, w, newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take}))
	before := told.Load()
	e := &ear{p: b.Participant}
	none := func() {
		b.taking.Lock()
		defer b.taking.Unlock()
		b.taker.turn(e, []byte("none"), a.Local())
	}
	const n = 3 * maxEvents
	for range n {
		none()
	}
	for i := range 20 {
		write(t, w, i, number(i))
		eventually(t, "a sample", func() bool { return in.len() == i+1 })
	}
	b.teller.mu.Lock()
	if len(b.teller.queue) > maxEvents {
		t.Errorf("%d wait to be told", len(b.teller.queue))
	}
	b.teller.mu.Unlock()
	close(hold)
	eventually(t, "all events", func() bool {
		none() // it brings the count of those that found no place
		return told.Load()-before >= n
	})
}

// TestTheRefusedGiveWay: writers that are not accepted do not keep out others, and are asked about again.
func TestTheRefusedGiveWay(t *testing.T) {
	d := freeDomain(t)
	b := start(t, d, func(c *Config) { c.Limits.WritersPerReader = 3 })
	f, p := newForger(t), prefix(1)
	f.known(b, p)
	var good atomic.Pointer[wire.GUID]
	accept := func(n byte) {
		g := writerData(p, n).GUID
		good.Store(&g)
	}
	accept(9)
	r := newReader(t, b, ReaderConfig{Accept: func(w *RemoteWriter) bool { return w.GUID == *good.Load() }})
	for i := range 5 {
		f.send(endpoint(p, wire.SeqNum(i+1), writerData(p, byte(i))), b.Local())
	}
	eventually(t, "five endpoints", func() bool { return len(b.endpointsNow()) == 5 })
	f.send(endpoint(p, 6, writerData(p, 9)), b.Local())
	eventually(t, "the accepted one", func() bool { return len(r.Writers()) == 1 })
	accept(0) // the first, which gave way
	eventually(t, "the first", func() bool {
		r.Rematch()
		w := r.Writers()
		return len(w) == 1 && w[0].GUID == *good.Load()
	})
	held := b.Stats().HeldBytes
	if most := 3 * (DefaultMaxSample + DefaultHeldBytes); held > most {
		t.Errorf("%d bytes held; expected at most %d", held, most)
	}
	r.Close()
	if s := b.Stats(); s.HeldBytes != 0 || s.Endpoints != 6 {
		t.Errorf("%+v", s)
	}
}

// TestSources: on each way one source of the participant's computer counts, and the announced one for good.
func TestSources(t *testing.T) {
	ip := netip.MustParseAddr
	p := quiet(t, func(c *Config) {
		c.Host = localhost
		c.Computers = [][]netip.Addr{{ip("10.1.1.4"), ip("10.1.1.5")}, {ip("10.1.1.6"), ip("10.1.1.7")}}
	})
	p.cfg.Host = ip("10.1.1.1")
	at := netip.MustParseAddrPort
	type try struct {
		from string
		path int
		want bool
	}
	for name, c := range map[string]struct {
		source string
		tries  []try
	}{
		"one socket": {"10.1.1.2:5000", []try{
			{"10.1.1.2:5000", pathUnicast, true},
			{"10.1.1.2:5001", pathUnicast, false},
			{"10.1.1.3:5000", pathUnicast, false},
			{"10.1.1.2:5000", pathGroup, true},
			{"10.1.1.2:5001", pathGroup, false},
		}},
		"another socket for multicast": {"10.1.1.2:5000", []try{
			{"10.1.1.2:5001", pathGroup, true},
			{"10.1.1.2:5002", pathGroup, false},
			{"10.1.1.3:5001", pathGroup, false},
			{"10.1.1.2:5000", pathUnicast, true},
		}},
		"an impostor was first": {"10.1.1.2:5000", []try{
			{"10.1.1.2:6000", pathUnicast, true},
			{"10.1.1.2:5000", pathUnicast, true},
			{"10.1.1.2:6000", pathUnicast, false},
		}},
		"our computer, by loopback": {"10.1.1.1:5000", []try{
			{"127.0.0.1:5001", pathUnicast, true},
			{"127.0.0.1:5002", pathUnicast, false},
			{"10.1.1.1:5001", pathUnicast, false},
		}},
		"a computer of two addresses": {"10.1.1.4:5000", []try{
			{"10.1.1.5:7000", pathGroup, true},
			{"10.1.1.5:7001", pathGroup, false},
			{"10.1.1.5:5000", pathUnicast, true},
			{"10.1.1.4:5000", pathUnicast, true},
			{"10.1.1.4:5000", pathGroup, true},
			{"10.1.1.5:7000", pathGroup, true},
			{"10.1.1.5:5001", pathUnicast, false},
			{"10.1.1.4:5001", pathUnicast, false},
			{"10.1.1.6:5000", pathUnicast, false}, // of another computer of two
			{"10.1.1.2:5000", pathUnicast, false},
		}},
		"another computer, by loopback": {"10.1.1.2:5000", []try{
			{"127.0.0.1:5000", pathUnicast, false},
		}},
	} {
		r := &RemoteParticipant{Source: at(c.source)}
		for i, x := range c.tries {
			if got := p.speaks(r, at(x.from), x.path); got != x.want {
				t.Errorf("%s, %d: %s on way %d: %t", name, i, x.from, x.path, got)
			}
		}
	}
}

// TestSuperseded: what is older than what was written is not sent.
func TestSuperseded(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true, MaxSample: 100})
	matched(t, w, newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take}))
	write(t, w, 7, "seven")
	if s, err := w.Write(6, cdr("six")); err != nil || !s.Superseded || s.Delivered != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := w.Write(8, make([]byte, 101)); err != ErrTooLong { //nolint:errorlint // it is returned as it is
		t.Errorf("a long one: %v", err)
	}
	write(t, w, 8, "eight")
	eventually(t, "both", func() bool { return in.len() == 2 })
	if g := in.all(); !slices.Equal(g, []string{"seven", "eight"}) {
		t.Errorf("got %q", g)
	}
}

// TestRate: a Handler sees at most so many samples of one writer in a second, and the rest is counted.
func TestRate(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true, Depth: 100})
	r := newReader(t, b, ReaderConfig{Reliable: true, MaxRateHz: 10, Handler: in.take})
	matched(t, w, r)
	for i := range 100 {
		write(t, w, i, number(i))
	}
	eventually(t, "all", func() bool { st := r.Stats(); return st.Received+st.Skipped == 100 })
	if n := in.len(); n < 10 || n > 30 { // it may take more than one second
		t.Errorf("%d samples", n)
	}
}

// TestIPv6: the same over ::1.
func TestIPv6(t *testing.T) {
	host := netip.IPv6Loopback()
	d := freeDomain(t)
	if s, err := listen(host, metaPort(d, 0), false); err != nil {
		t.Skipf("no IPv6 loopback: %v", err)
	} else {
		s.close()
	}
	six := func(c *Config) { c.Host = host }
	a, b := start(t, d, six), start(t, d, six)
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true})
	matched(t, w, newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take}))
	write(t, w, 1, "six")
	eventually(t, "the sample", func() bool { return in.len() == 1 })
	in.mu.Lock()
	defer in.mu.Unlock()
	if s := in.last.Writer.Participant.Source; s != a.Local() || !s.Addr().Is6() {
		t.Errorf("it came from %v", s)
	}
}

// TestConfig: what makes no sense is refused with words.
func TestConfig(t *testing.T) {
	good := Config{Host: localhost, Clock: boot, Civil: civil}
	for name, change := range map[string]func(*Config){
		"domain":          func(c *Config) { c.Domain = 233 },
		"no host":         func(c *Config) { c.Host = netip.Addr{} },
		"any host":        func(c *Config) { c.Host = netip.IPv4Unspecified() },
		"multicast host":  func(c *Config) { c.Host = netip.MustParseAddr("239.255.0.1") },
		"foreign host":    func(c *Config) { c.Host = netip.MustParseAddr("192.0.2.1") },
		"no clock":        func(c *Config) { c.Clock = nil },
		"no civil clock":  func(c *Config) { c.Civil = nil },
		"lease":           func(c *Config) { c.Lease = 1 },
		"user data":       func(c *Config) { c.UserData = make([]byte, MaxUserData+1) },
		"name":            func(c *Config) { c.Name = string(make([]byte, MaxName+1)) },
		"peer":            func(c *Config) { c.Peers = []netip.Addr{netip.IPv6Loopback()} },
		"group":           func(c *Config) { c.Multicast, c.Group = true, localhost },
		"limits":          func(c *Config) { c.Limits.Endpoints = -1 },
		"probes":          func(c *Config) { c.Limits.Probe = 121 },
		"leases":          func(c *Config) { c.Limits.MinLease = DefaultMaxLease + 1 },
		"group for IPv6":  func(c *Config) { c.Multicast, c.Host = true, netip.IPv6Loopback() },
		"computer of one": func(c *Config) { c.Computers = [][]netip.Addr{{netip.MustParseAddr("10.0.0.1")}} },
		"computer by twos": func(c *Config) {
			a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
			c.Computers = [][]netip.Addr{{a, b}, {b, netip.MustParseAddr("10.0.0.3")}}
		},
		"group without v4": func(c *Config) { c.Multicast, c.Group = true, netip.MustParseAddr("ff02::1") },
	} {
		c := good
		change(&c)
		if p, err := New(c); err == nil {
			p.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	b := start(t, freeDomain(t))
	h := func(*Sample) {}
	for name, c := range map[string]ReaderConfig{
		"no topic":                  {Type: typ, Handler: h},
		"no type":                   {Topic: topic, Handler: h},
		"no handler":                {Topic: topic, Type: typ},
		"transient-local, no order": {Topic: topic, Type: typ, Handler: h, TransientLocal: true},
		"sample":                    {Topic: topic, Type: typ, Handler: h, MaxSample: MaxMaxSample + 1},
		"rate":                      {Topic: topic, Type: typ, Handler: h, MaxRateHz: -1},
		"user data":                 {Topic: topic, Type: typ, Handler: h, UserData: make([]byte, MaxUserData+1)},
	} {
		if _, err := b.NewReader(c); err == nil {
			t.Errorf("reader, %s: accepted", name)
		}
	}
	if _, err := b.NewWriter(WriterConfig{Topic: topic, Type: typ, Depth: MaxDepth + 1}); err == nil {
		t.Error("writer, depth: accepted")
	}
}
