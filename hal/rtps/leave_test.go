package rtps

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestFarewell: who closes says so, and the other side knows at once.
func TestFarewell(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	w := newWriter(t, a, WriterConfig{Reliable: true})
	var changes []bool
	done := make(chan struct{})
	r := newReader(t, b, ReaderConfig{Reliable: true, OnMatch: func(_ *RemoteWriter, is bool) {
		changes = append(changes, is)
		if !is {
			close(done)
		}
	}})
	matched(t, w, r)
	generation := b.Generation()
	w.Close()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the closed writer is still matched")
	}
	if len(changes) != 2 || !changes[0] || len(r.Writers()) != 0 {
		t.Errorf("matches %v, writers now %d", changes, len(r.Writers()))
	}
	eventually(t, "the endpoint's removal", func() bool { return b.ev.count(EndpointRemoved) == 1 && b.Generation() > generation })
	if _, err := w.Write(1, cdr("x")); err != ErrClosed { //nolint:errorlint // it is returned as it is
		t.Errorf("write after close: %v", err)
	}
	begin := time.Now()
	a.stop()
	eventually(t, "the participant's farewell", func() bool { return b.ev.count(ParticipantLeft) == 1 && len(b.Participants()) == 0 })
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
	if b.ev.count(ParticipantLeaseEnded) != 0 {
		t.Error("a farewell counts as a silent end")
	}
}

// TestRestart: a participant that is killed and starts anew on the same ports is another one, and is matched at once; the
// dead one goes with its lease.
func TestRestart(t *testing.T) {
	d := freeDomain(t)
	var in inbox
	b := start(t, d)
	newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take})
	for life := range 3 {
		var mute atomic.Bool
		a := start(t, d, func(c *Config) {
			c.Lease = time.Second
			c.drop = func(bool, bool, []byte) bool { return mute.Load() }
		})
		w := newWriter(t, a, WriterConfig{Reliable: true})
		eventually(t, "a match", func() bool { return w.Readers() == 1 })
		before := in.len()
		eventually(t, "a sample", func() bool {
			write(t, w, 1, number(life))
			return in.len() > before
		})
		mute.Store(true) // as if killed: no farewell
		a.stop()
	}
	eventually(t, "three ends", func() bool { return b.ev.count(ParticipantLeaseEnded) == 3 })
	if n := len(b.Participants()); n != 0 {
		t.Errorf("%d participants are left", n)
	}
}

// TestLease: who says nothing for its lease is gone, not before; and who speaks stays.
func TestLease(t *testing.T) {
	d := freeDomain(t)
	var w warp
	var mute atomic.Bool
	a := start(t, d, func(c *Config) {
		c.Lease = 30 * time.Second
		c.drop = func(out, _ bool, _ []byte) bool { return out && mute.Load() }
	})
	b := start(t, d, func(c *Config) { c.Clock = w.clock })
	r := newReader(t, b, ReaderConfig{Reliable: true})
	matched(t, newWriter(t, a, WriterConfig{Reliable: true}), r)
	eventually(t, "an answer", func() bool { return b.Participants()[0].answers.Load() })
	mute.Store(true)
	// look waits for two looks at the leases, so that all that was on its way has arrived before the second.
	look := func() {
		for range 2 {
			b.mu.Lock()
			last := b.checkAt
			b.mu.Unlock()
			eventually(t, "a look at the leases", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return b.checkAt != last
			})
		}
	}
	look()
	w.forward(25 * time.Second)
	look()
	if len(b.Participants()) != 1 {
		t.Fatal("gone before its lease")
	}
	w.forward(7 * time.Second)
	eventually(t, "the lease's end", func() bool { return b.ev.count(ParticipantLeaseEnded) == 1 && len(r.Writers()) == 0 })
	if e := b.ev.find(ParticipantLeaseEnded); !strings.Contains(e.Detail, "30s") {
		t.Errorf("the event says %q", e.Detail)
	}
	mute.Store(false)
	eventually(t, "its return", func() bool { return len(r.Writers()) == 1 })
}

// TestTheUnprovenGoSoon: who announces itself once and never answers does not stay for its lease.
func TestTheUnprovenGoSoon(t *testing.T) {
	var w warp
	b := start(t, freeDomain(t), func(c *Config) { c.Clock = w.clock })
	f := newForger(t)
	f.known(b, prefix(1))
	w.forward(4*DefaultUnproven - time.Second)
	f.known(b, prefix(2)) // it takes a look at everything
	w.forward(2 * time.Second)
	eventually(t, "its end", func() bool { return b.ev.count(ParticipantLeaseEnded) == 1 })
	if e := b.ev.find(ParticipantLeaseEnded); e.GUID.Prefix != prefix(1) {
		t.Errorf("the wrong one ended: %v", e.GUID)
	}
}

// TestLiveliness: a writer that offers to assert itself and does not is told of, and so is its return.
func TestLiveliness(t *testing.T) {
	for name, c := range map[string]struct {
		kind   uint8
		assert func(f *forger, b *station, p wire.Prefix)
	}{
		"automatic": {wire.Automatic, func(f *forger, b *station, p wire.Prefix) {
			f.send(hello(p, f.addr()), b.Local())
		}},
		"manual by participant": {wire.ManualByParticipant, func(f *forger, b *station, p wire.Prefix) {
			m := append(append([]byte{0, 1, 0, 0}, p[:]...), 0, 0, 0, 2, 0, 0, 0, 0)
			f.send(wire.AppendHeartbeat(wire.AppendData(wire.AppendHeader(nil, p), wire.EntityLivelinessReader, wire.EntityLivelinessWriter, 1, m),
				wire.EntityLivelinessReader, wire.EntityLivelinessWriter, 1, 1, 1, false, false), b.Local())
		}},
		"manual by topic": {wire.ManualByTopic, func(f *forger, b *station, p wire.Prefix) {
			f.send(wire.AppendHeartbeat(wire.AppendHeader(nil, p), wire.EntityUnknown, writerData(p, 1).GUID.Entity, 1, 0, 1, true, true), b.LocalData())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var w warp
			b := start(t, freeDomain(t), func(c *Config) { c.Clock = w.clock })
			f, p := newForger(t), prefix(1)
			f.known(b, p)
			r := newReader(t, b, ReaderConfig{})
			d := writerData(p, 1)
			d.QoS.Liveliness, d.QoS.LivelinessLease = c.kind, 3*time.Second
			f.send(endpoint(p, 1, d), b.Local())
			eventually(t, "a match", func() bool { return len(r.Writers()) == 1 })
			w.forward(4 * time.Second)
			eventually(t, "the loss", func() bool { return b.ev.count(LivelinessLost) == 1 })
			if b.ev.find(LivelinessLost).GUID != d.GUID || b.ev.count(LivelinessBack) != 0 {
				t.Error("the wrong event")
			}
			c.assert(f, b, p)
			eventually(t, "its return", func() bool { return b.ev.count(LivelinessBack) == 1 })
		})
	}
}

// TestNothingIsLeft: after Run no goroutine and no socket is.
func TestNothingIsLeft(t *testing.T) {
	d := freeDomain(t)
	before := runtime.NumGoroutine()
	for range 3 {
		a, b := start(t, d), start(t, d)
		w, r := newWriter(t, a, WriterConfig{Reliable: true}), newReader(t, b, ReaderConfig{Reliable: true})
		matched(t, w, r)
		write(t, w, 1, "x")
		a.stop()
		b.stop()
		if a.Healthy() || b.Healthy() {
			t.Error("healthy after the end")
		}
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
	if a, err := listen(localhost, metaPort(d, 0), false); err != nil {
		t.Errorf("the port is still taken: %v", err)
	} else {
		a.close()
	}
	p, err := New(Config{Domain: d, Host: localhost, Clock: boot, Civil: civil})
	if err != nil {
		t.Fatal(err)
	}
	p.Close() // without Run
	if a, err := listen(localhost, metaPort(d, 0), false); err != nil {
		t.Errorf("the port is still taken: %v", err)
	} else {
		a.close()
	}
}
