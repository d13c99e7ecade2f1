package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// vectors are files that others made; tests of those skip where they are absent, and say so.
func vectors(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "vectors", "eventlogs", name))
	if err != nil {
		tb.Skipf("no test vectors here: %v", err)
	}
	return data
}

// tool finds a program, or skips the test; where everything must run, that is a failure.
func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		why := fmt.Sprintf("no %s here: run test/setup/install.sh", name)
		if os.Getenv("REQUIRE_ALL") == "1" {
			tb.Fatalf("REQUIRE_ALL=1, but %s", why)
		}
		tb.Skip(why)
	}
	return path
}

// ev is an event to write into a log.
type ev struct {
	pcr     uint32
	typ     Type
	data    string
	digests map[Alg][]byte // default: the digest of data in every bank
}

// build writes a log, by the specification and not by the parser.
func build(banks []Alg, events ...ev) []byte {
	var spec bytes.Buffer
	spec.WriteString("Spec ID Event03\x00")
	le(&spec, uint32(0), uint8(0), uint8(2), uint8(0), uint8(2), uint32(len(banks)))
	for _, a := range banks {
		le(&spec, uint16(a), uint16(a.hash().Size()))
	}
	le(&spec, uint8(0))
	var b bytes.Buffer
	le(&b, uint32(0), uint32(3))
	b.Write(make([]byte, 20))
	le(&b, uint32(spec.Len()))
	b.Write(spec.Bytes())
	for _, e := range events {
		le(&b, e.pcr, uint32(e.typ), uint32(len(banks)))
		for _, a := range banks {
			le(&b, uint16(a))
			d := e.digests[a]
			if d == nil {
				h := a.hash().New()
				h.Write([]byte(e.data))
				if d = h.Sum(nil); e.typ == NoAction {
					d = make([]byte, len(d))
				}
			}
			b.Write(d)
		}
		le(&b, uint32(len(e.data)))
		b.WriteString(e.data)
	}
	return b.Bytes()
}

func le(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		_ = binary.Write(b, binary.LittleEndian, v)
	}
}

// efiVar is UEFI_VARIABLE_DATA.
func efiVar(guid, name string, data ...byte) string {
	var b bytes.Buffer
	b.WriteString(guid)
	le(&b, uint64(len(name)), uint64(len(data)))
	for _, c := range name {
		le(&b, uint16(c))
	}
	b.Write(data)
	return b.String()
}

func parse(tb testing.TB, data []byte) *Log {
	tb.Helper()
	l, err := Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func extend(pcr [32]byte, digest []byte) [32]byte {
	return sha256.Sum256(append(pcr[:], digest...))
}

func sum(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:]
}
