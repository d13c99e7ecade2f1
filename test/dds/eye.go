package dds

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// Stream is what an eye knows of one writer.
type Stream struct {
	GUID        rtps.GUID
	Topic, Type string
	// Last is the highest number that was seen, Payload the content of some sample.
	Last    int64
	Payload []byte
	// To are the addresses that data went to, From where it came from.
	To   map[netip.AddrPort]bool
	From netip.AddrPort
}

// Eye sees every datagram at a computer's cable and remembers who says what: what an attacker on the network knows.
type Eye struct {
	mu      sync.Mutex
	streams map[rtps.GUID]*Stream
	meta    map[rtps.Prefix]netip.AddrPort
	user    map[rtps.Prefix]netip.AddrPort
	packets []netns.Datagram
	keep    int
}

// Watch opens an eye that also keeps that many datagrams.
func Watch(t testing.TB, h *netns.Host, keep int) *Eye {
	t.Helper()
	e := &Eye{streams: map[rtps.GUID]*Stream{}, meta: map[rtps.Prefix]netip.AddrPort{}, user: map[rtps.Prefix]netip.AddrPort{}, keep: keep}
	h.Listen(t, e.see)
	return e
}

func (e *Eye) see(d netns.Datagram) {
	e.mu.Lock()
	defer e.mu.Unlock()
	subs := rtps.Subs(d.Payload)
	if len(e.packets) < e.keep && subs != nil {
		e.packets = append(e.packets, d)
	}
	for _, s := range subs {
		if s.Kind != rtps.KindData && s.Kind != rtps.KindDataFrag {
			continue
		}
		w := e.stream(s.Source.GUID(s.Writer))
		w.To[d.To], w.From = true, d.From
		w.Last = max(w.Last, s.Seq)
		if s.Payload != nil {
			w.Payload = s.Payload
		}
		switch s.Writer {
		case rtps.ParticipantWriter:
			e.participant(s)
		case rtps.PublicationsWriter:
			e.publication(s)
		}
	}
}

func (e *Eye) stream(g rtps.GUID) *Stream {
	w := e.streams[g]
	if w == nil {
		w = &Stream{GUID: g, To: map[netip.AddrPort]bool{}}
		e.streams[g] = w
	}
	return w
}

func (e *Eye) participant(s rtps.Sub) {
	p := rtps.Discovered(s.Payload)
	if a, ok := locator(p[rtps.PIDMetatrafficUnicast]); ok {
		e.meta[s.Source] = a
	}
	if a, ok := locator(p[rtps.PIDDefaultUnicast]); ok {
		e.user[s.Source] = a
	}
}

func (e *Eye) publication(s rtps.Sub) {
	p := rtps.Discovered(s.Payload)
	// A farewell names no topic.
	if g := p[rtps.PIDEndpointGUID]; len(g) == 16 && p[rtps.PIDTopic] != nil {
		w := e.stream(rtps.GUID(g))
		w.Topic, w.Type = rtps.ParamText(p[rtps.PIDTopic]), rtps.ParamText(p[rtps.PIDType])
	}
}

func locator(v []byte) (netip.AddrPort, bool) {
	if len(v) != 24 || binary.LittleEndian.Uint32(v) != 1 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(v[20:])), uint16(binary.LittleEndian.Uint32(v[4:]))), true
}

// Writer waits until somebody has written on the topic, such as "rt/odom", and returns what is known of it now.
func (e *Eye) Writer(t testing.TB, topic string) Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if s, ok := e.find(topic); ok {
			return s
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nobody was seen to write on %s", topic)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (e *Eye) find(topic string) (Stream, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.streams {
		if w.Topic == topic && w.Last > 0 && len(w.To) > 0 {
			return w.clone(), true
		}
	}
	return Stream{}, false
}

// Stream waits until the writer of the GUID, in hexadecimal digits, was seen, and returns what is known of it now.
func (e *Eye) Stream(t testing.TB, guid string) Stream {
	t.Helper()
	raw, err := hex.DecodeString(guid)
	if err != nil || len(raw) != 16 {
		t.Fatalf("%q is no GUID", guid)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if s := e.Of(rtps.GUID(raw).Prefix(), rtps.GUID(raw).Entity()); s.Last > 0 {
			return s
		}
		select {
		case <-ctx.Done():
			t.Fatalf("writer %s was not seen", guid)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Of is what is known of one of a participant's writers.
func (e *Eye) Of(p rtps.Prefix, writer rtps.EntityID) Stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stream(p.GUID(writer)).clone()
}

func (w *Stream) clone() Stream {
	c := *w
	c.To = map[netip.AddrPort]bool{}
	for a := range w.To {
		c.To[a] = true
	}
	return c
}

// Meta is where the participants other than the one hear discovery.
func (e *Eye) Meta(but rtps.Prefix) (out []netip.AddrPort) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p, a := range e.meta {
		if p != but {
			out = append(out, a)
		}
	}
	return out
}

// Packets are the datagrams that were kept.
func (e *Eye) Packets() []netns.Datagram {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]netns.Datagram(nil), e.packets...)
}
