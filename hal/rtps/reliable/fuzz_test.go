package reliable

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// FuzzInbox takes any bytes for what a writer sends: each datagram has its length and the time before it in front.
func FuzzInbox(f *testing.F) {
	for seed := range uint64(2) {
		for _, kind := range []byte{0, 1, 2, 3} {
			f.Add(append([]byte{kind}, recording(f, seed, false)...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		in := NewInbox(InboxConfig{
			Reliable: b[0]&1 != 0, SkipBacklog: b[0]&2 != 0, MaxSample: 4000, MaxHeld: 8, MaxHeldBytes: 6000, MaxPartials: 3, JumpWindow: 300,
		})
		r := &rising{t: t, in: in}
		now := time.Duration(0)
		replay(b[1:], func(pause time.Duration, m *wire.Message) {
			now += pause
			var s wire.Submessage
			for ok, err := m.Next(&s); ok && err == nil; ok, err = m.Next(&s) {
				toInbox(in, now, &s, m.Stamp, r.deliver)
				checkInbox(t, in)
			}
			drainReplies(t, in, now)
			checkInbox(t, in)
		})
	})
}

// FuzzOutbox takes any bytes for what readers send, in between of samples.
func FuzzOutbox(f *testing.F) {
	for seed := range uint64(2) {
		f.Add(append([]byte{3}, recording(f, seed, true)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		o := NewOutbox(OutboxConfig{Reliable: true, TransientLocal: true, Depth: int(b[0]%8) + 1, MaxSample: 3000, FragmentSize: 256, MaxReaders: 2})
		o.Match(0, 0, true, true)
		o.Match(0, 1, false, true)
		now := time.Duration(0)
		replay(b[1:], func(pause time.Duration, m *wire.Message) {
			now += pause
			var s wire.Submessage
			for ok, err := m.Next(&s); ok && err == nil; ok, err = m.Next(&s) {
				toOutbox(o, now, 0, &s)
				toOutbox(o, now, 1, &s)
			}
			if _, err := o.Add(now, wire.Time{}, make([]byte, 4+199*(len(b)%16))); err != nil {
				t.Fatal(err)
			}
			for id := range 2 {
				for n := 0; ; n++ {
					head := wire.AppendHeader(nil, writerPrefix)
					b := o.Next(now, id, head, Overhead+256, readerID, writerID)
					if len(b) == len(head) {
						break
					}
					parse(t, b)
					if len(b) > Overhead+256 || n > 1000 {
						t.Fatalf("datagram %d of %d bytes", n, len(b))
					}
				}
			}
		})
	})
}

// replay walks a recording: a pause in milliseconds, a length of two bytes, the datagram without its header.
func replay(b []byte, f func(pause time.Duration, m *wire.Message)) {
	head := wire.AppendHeader(nil, writerPrefix)
	for len(b) >= 3 {
		pause, n := time.Duration(b[0])*time.Millisecond, min(int(b[1])|int(b[2])<<8, len(b)-3)
		var m wire.Message
		if m.Reset(append(head[:len(head):len(head)], b[3:3+n]...)) == nil {
			f(pause, &m)
		}
		b = b[3+n:]
	}
}

// recording is what went one way in a lossy world. It is short, for the fuzzer minimises what it finds.
func recording(tb testing.TB, seed uint64, toWriter bool) (b []byte) {
	w := newWorld(tb, seed, channel{loss: 0.3, jitter: 5 * time.Millisecond}, OutboxConfig{Reliable: true, Depth: 3, MaxSample: 600, FragmentSize: 256})
	w.join(InboxConfig{Reliable: true, MaxSample: 4000}, false)
	last := w.now
	w.tap = func(d *datagram) {
		if d.toWriter == toWriter {
			body := d.b[20:]
			b = append(b, byte(min(255, (w.now-last)/time.Millisecond)), byte(len(body)), byte(len(body)>>8))
			b = append(b, body...)
			last = w.now
		}
	}
	for n := range 5 {
		w.publish([]int{12, 300}[n%2])
		w.run(20*time.Millisecond, nil)
	}
	return b
}
