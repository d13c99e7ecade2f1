package courier

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"pgregory.net/rapid"
)

// script is a connection that reads what it is given, in pieces.
type script struct {
	net.Conn
	r io.Reader
}

func (s *script) Read(p []byte) (int, error) { return s.r.Read(p) }
func (s *script) Close() error               { return nil }

// packet is an MQTT packet with n bytes of content.
func packet(kind byte, n int) []byte {
	b := []byte{kind << 4}
	for rest := n; ; {
		digit := byte(rest & 0x7f)
		if rest >>= 7; rest > 0 {
			digit |= 0x80
		}
		b = append(b, digit)
		if rest == 0 {
			break
		}
	}
	return append(b, make([]byte, n)...)
}

func TestMeterLetsPacketsThrough(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []byte
		for range rapid.IntRange(0, 20).Draw(rt, "packets") {
			n := rapid.OneOf(rapid.IntRange(0, 300), rapid.SampledFrom([]int{127, 128, 16383, 16384})).Draw(rt, "length")
			all = append(all, packet(3, n)...)
		}
		m := &meter{Conn: &script{r: bytes.NewReader(all)}}
		var got []byte
		for {
			buf := make([]byte, rapid.IntRange(1, 1000).Draw(rt, "read"))
			n, err := m.Read(buf)
			got = append(got, buf[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		if !bytes.Equal(got, all) {
			rt.Fatal("the stream was changed")
		}
	})
}

func TestMeterStopsWhatIsTooLarge(t *testing.T) {
	for name, b := range map[string][]byte{
		"256 MiB":            {0x30, 0xff, 0xff, 0xff, 0x7f},
		"one byte too large": packet(3, maxPacket+1)[:10],
		"five length bytes":  {0x30, 0x80, 0x80, 0x80, 0x80, 0x01},
		"behind a good one":  append(packet(4, 2), 0x30, 0xff, 0xff, 0xff, 0x7f),
	} {
		m := &meter{Conn: &script{r: bytes.NewReader(b)}}
		_, err := io.ReadAll(m)
		var known *linkError
		if !errors.As(err, &known) || known.reason != ReasonProtocol {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := m.Read(make([]byte, 10)); !errors.Is(err, errPacket) {
			t.Errorf("%s: the connection goes on: %v", name, err)
		}
	}
	if _, err := io.ReadAll(&meter{Conn: &script{r: bytes.NewReader(packet(3, maxPacket)[:100])}}); err != nil {
		t.Errorf("the largest packet: %v", err)
	}
}

func FuzzMeter(f *testing.F) {
	f.Add([]byte{0x30, 0x02, 1, 2, 0xd0, 0x00})
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Add(packet(3, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, pieces := &meter{}, &meter{}
		err := whole.walk(b)
		var other error
		for i := range b {
			if other = pieces.walk(b[i : i+1]); other != nil {
				break
			}
		}
		if (err == nil) != (other == nil) {
			t.Fatalf("at once: %v, byte by byte: %v", err, other)
		}
		if err == nil && (whole.state != pieces.state || whole.need != pieces.need) {
			t.Fatalf("%+v, %+v", whole, pieces)
		}
		if whole.need > maxPacket && err == nil && whole.state == 5 {
			t.Fatal("room for more than a packet may have")
		}
	})
}
