package wire

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the description of the recorded datagrams anew")

// datagram is one that a real implementation has sent.
type datagram struct {
	name  string
	bytes []byte
}

// recorded reads the datagrams of testdata/recorded.txt.
func recorded(t testing.TB) []datagram {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []datagram
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, datagram{name, b})
	}
	if len(list) < 40 {
		t.Fatalf("%d recorded datagrams, expected 40 or more", len(list))
	}
	return list
}

// describe tells all that is understood of a datagram, a line for each submessage and for each datum in it.
func describe(b []byte) string {
	var w strings.Builder
	var m Message
	if err := m.Reset(b); err != nil {
		return "refused: " + err.Error() + "\n"
	}
	fmt.Fprintf(&w, "RTPS %d.%d, vendor %x, from %x\n", m.Version[0], m.Version[1], m.Vendor, m.Sender)
	var s Submessage
	for {
		ok, err := m.Next(&s)
		if err != nil {
			fmt.Fprintf(&w, "refused: %v\n", err)
		}
		if !ok {
			return w.String()
		}
		fmt.Fprintf(&w, "  %v %x > %x", s.Kind, s.Writer, s.Reader)
		if m.Source != m.Sender {
			fmt.Fprintf(&w, " source %x", m.Source)
		}
		if m.HasDest {
			fmt.Fprintf(&w, " to %x", m.Dest)
		}
		if m.HasStamp {
			fmt.Fprintf(&w, " at %d", m.Stamp.UnixNano())
		}
		describeSubmessage(&w, &s)
	}
}

func describeSubmessage(w *strings.Builder, s *Submessage) {
	switch s.Kind {
	case Data:
		fmt.Fprintf(w, " #%d%s\n", s.Seq, marks(s))
		describePayload(w, s)
	case DataFrag:
		fmt.Fprintf(w, " #%d%s fragments %d to %d of %d octets, sample of %d, here %d\n", s.Seq, marks(s),
			s.FirstFrag, s.FirstFrag+uint32(s.Frags)-1, s.FragSize, s.SampleSize, len(s.Payload))
	case Heartbeat:
		fmt.Fprintf(w, " has %d to %d, count %d, final %v, liveliness %v\n", s.First, s.Last, s.Count, s.Final, s.Liveliness)
	case HeartbeatFrag:
		fmt.Fprintf(w, " #%d has fragments to %d, count %d\n", s.Seq, s.FragLast, s.Count)
	case Gap:
		fmt.Fprintf(w, " not %d to %d, nor", s.Seq, s.Set.Base-1)
		for n := range s.Set.All() {
			fmt.Fprintf(w, " %d", n)
		}
		fmt.Fprintln(w)
	case AckNack:
		fmt.Fprintf(w, " has below %d, count %d, final %v, lacks", s.Set.Base, s.Count, s.Final)
		for n := range s.Set.All() {
			fmt.Fprintf(w, " %d", n)
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintf(w, " #%d count %d, lacks fragments", s.Seq, s.Count)
		for n := range s.FragSet.All() {
			fmt.Fprintf(w, " %d", n)
		}
		fmt.Fprintln(w)
	}
}

func marks(s *Submessage) string {
	var w strings.Builder
	for _, m := range []struct {
		word string
		on   bool
	}{{" key", s.Key}, {" dispose", s.Dispose}, {" unregister", s.Unregister}} {
		if m.on {
			w.WriteString(m.word)
		}
	}
	if s.HasKeyHash {
		fmt.Fprintf(&w, " hash %x", s.KeyHash)
	}
	if s.HasRelated {
		fmt.Fprintf(&w, " related to %v #%d", s.Related, s.RelatedSeq)
	}
	return w.String()
}

func describePayload(w *strings.Builder, s *Submessage) {
	publications := s.Writer == EntitySEDPPubWriter
	switch discovery := publications || s.Writer == EntitySEDPSubWriter || s.Writer == EntitySPDPWriter; {
	case discovery && s.Dispose:
		g, err := KeyOf(s)
		fmt.Fprintf(w, "    gone: %v %v\n", g, err)
	case s.Writer == EntityLivelinessWriter && s.HasPayload:
		p, kind, err := ParseLiveliness(s.Payload)
		fmt.Fprintf(w, "    alive: %x kind %d %v\n", p, kind, err)
	case !discovery || !s.HasPayload:
		fmt.Fprintf(w, "    %d octets, encapsulation %x\n", len(s.Payload), s.Payload[:min(4, len(s.Payload))])
	case s.Writer == EntitySPDPWriter:
		var p ParticipantData
		err := ParseParticipant(s.Payload, &p)
		fmt.Fprintf(w, "    participant %v RTPS %d.%d vendor %x domain %d name %q data %q secured %v\n",
			p.GUID, p.Version[0], p.Version[1], p.Vendor, p.Domain, p.Name, p.UserData, p.Secured)
		fmt.Fprintf(w, "      meta %v %v user %v %v lease %v builtin %x manual %d %v\n", p.MetaUnicast.Slice(), p.MetaMulticast.Slice(),
			p.Unicast.Slice(), p.Multicast.Slice(), p.Lease, p.Builtin, p.ManualLiveliness, err)
	default:
		var e EndpointData
		err := ParseEndpoint(s.Payload, publications, &e)
		fmt.Fprintf(w, "    endpoint %v of %v topic %q type %q data %q inline %v at %v %v\n",
			e.GUID, e.Participant, e.Topic, e.Type, e.UserData, e.InlineQoS, e.Unicast.Slice(), e.Multicast.Slice())
		fmt.Fprintf(w, "      %+v %v\n", e.QoS, err)
	}
}

// TestRecorded compares what is understood of real datagrams with its description, which was once compared with that of
// another dissector, field by field.
func TestRecorded(t *testing.T) {
	var w strings.Builder
	for _, d := range recorded(t) {
		fmt.Fprintf(&w, "%s: %s\n", d.name, describe(d.bytes))
	}
	if *update {
		if err := os.WriteFile("testdata/recorded.golden", []byte(w.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/recorded.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), w.String()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(w.String(), "refused") {
		t.Error("a real datagram was refused")
	}
}
