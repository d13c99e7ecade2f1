package ros1

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bluenviron/goroslib/v2/pkg/protocommon"
	"pgregory.net/rapid"
)

func TestHeaderFaults(t *testing.T) {
	field := func(s string) []byte { return append(binary.LittleEndian.AppendUint32(nil, uint32(len(s))), s...) }
	many := bytes.Repeat(field("k=v"), maxHeaderFields+1)
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"field without separator", field("callerid"), "without '='"},
		{"field of no bytes", []byte{0, 0, 0, 0}, "of 0 bytes"},
		{"field longer than the header", []byte{9, 0, 0, 0, 'a', '=', 'b'}, "9 bytes where 3 are left"},
		{"field of 4 GiB", []byte{255, 255, 255, 255, 'a'}, "where 1 are left"},
		{"half a length", []byte{1, 0}, "expected a length"},
		{"callerid given twice", append(field("callerid=/a"), field("callerid=/b")...), "twice"},
		{"callerid too long", field("callerid=/" + strings.Repeat("a", 300)), "at most 256"},
		{"more fields than the cap", many, "more than 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseHeader(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want an error that says %q", err, c.want)
			}
		})
	}
}

func TestHeaderWithOddKeysIsRead(t *testing.T) {
	b := newHeader("", "x", "_", "y", "\xff\xfe", "z", "callerid", "/a=b", "tcp_nodelay", "1",
		"message_definition", strings.Repeat("float64 x\n", 1000))[4:]
	h, err := parseHeader(b)
	if err != nil || h.callerID != "/a=b" {
		t.Errorf("got %+v, %v", h, err)
	}
	h, err = parseHeader(newHeader("error", "no\x1b[31m"+strings.Repeat("x", 5000))[4:])
	if err != nil || len(h.err) > 300 || strings.ContainsRune(h.err, 0x1b) {
		t.Errorf("got %+v, %v; want a clipped and quoted error", h, err)
	}
}

func TestHeadersAreReadAsGoroslibWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 20, 60)
		in := struct{ Callerid, Topic, Type, Md5sum, MessageDefinition string }{
			text.Draw(t, "callerid"), text.Draw(t, "topic"), text.Draw(t, "type"), text.Draw(t, "md5"), text.Draw(t, "def"),
		}
		var b bytes.Buffer
		if err := protocommon.HeaderEncode(&b, &in); err != nil {
			t.Fatal(err)
		}
		raw, err := readHeader(iotest.OneByteReader(&b), DefaultMaxHeaderBytes)
		if err != nil {
			t.Fatal(err)
		}
		h, err := parseHeader(raw)
		want := header{callerID: in.Callerid, topic: in.Topic, typ: in.Type, md5: in.Md5sum}
		if err != nil || h != want {
			t.Fatalf("got %+v, %v; want %+v", h, err, want)
		}
	})
}

func TestReadHeaderHoldsItsCap(t *testing.T) {
	for _, n := range []uint32{DefaultMaxHeaderBytes + 1, 16 << 20, 0xffffffff} {
		b := binary.LittleEndian.AppendUint32(nil, n)
		if _, err := readHeader(bytes.NewReader(b), DefaultMaxHeaderBytes); !errors.Is(err, errOversize) {
			t.Errorf("header of %d bytes: %v; want %v", n, err, errOversize)
		}
	}
	b := append(binary.LittleEndian.AppendUint32(nil, 5000), make([]byte, 4999)...)
	if _, err := readHeader(bytes.NewReader(b), DefaultMaxHeaderBytes); !errors.Is(err, io.EOF) {
		t.Errorf("a header that ends early: %v", err)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(newHeader("callerid", "/a", "topic", "/t", "type", "std_msgs/Bool", "md5sum", "*")[4:])
	f.Add(newHeader("error", "no")[4:])
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, '='})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil || len(b) == 0 {
			return
		}
		// What is accepted here must mean the same to goroslib.
		raw, err := protocommon.HeaderRawDecode(bytes.NewReader(append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)))
		if err != nil {
			t.Fatalf("accepted %q, goroslib says %v", b, err)
		}
		if h.callerID != raw["callerid"] || h.topic != raw["topic"] || h.md5 != raw["md5sum"] || h.typ != raw["type"] {
			t.Fatalf("%+v is not %v", h, raw)
		}
	})
}
