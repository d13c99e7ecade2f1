package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	zeros   = "0000000000000000000000000000000000000000000000000000000000000000"
	someSum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	head    = "robowarden-measured 1\npcr 14 start " + zeros + "\n"
)

func TestMeasuredExampleOfTheFormat(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```\nrobowarden-measured")
	log, after, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("no example in FORMAT.md")
	}
	m, err := ParseMeasured([]byte("robowarden-measured" + log))
	if err != nil {
		t.Fatal(err)
	}
	end := m.Replay(m.Start)
	if want := hex.EncodeToString(end[:]); !strings.Contains(after, want) {
		t.Errorf("FORMAT.md does not give the PCR after its example, %s", want)
	}
	// By hand, from FORMAT.md's words.
	f := m.Files[0]
	e := sha256.Sum256(append(append([]byte("robowarden/measured/v1\x00"), f.Digest[:]...), append([]byte{0x80, 0x96, 0x98, 0, 0, 0, 0, 0}, "/usr/bin/robowarden"...)...))
	if e != f.Extended() {
		t.Errorf("extended by %x, expected %x", f.Extended(), e)
	}
}

func TestMeasuredRefused(t *testing.T) {
	file := "file " + someSum + " 4 /usr/bin/x\n"
	for name, c := range map[string]struct{ log, says string }{
		"empty":                 {"", "ends early"},
		"title only":            {"robowarden-measured 1\n", "ends early"},
		"another version":       {strings.Replace(head, " 1", " 2", 1), "line 1"},
		"no newline at the end": {head + strings.TrimSuffix(file, "\n"), "ends early"},
		"carriage returns":      {strings.ReplaceAll(head+file, "\n", "\r\n"), "not written as"},
		"an empty line":         {head + "\n" + file, "line 3"},
		"PCR 7":                 {strings.Replace(head, "14", "7", 1), "PCR 7, expected 8 to 15"},
		"PCR 16":                {strings.Replace(head, "14", "16", 1), "PCR 16, expected 8 to 15"},
		"PCR 014":               {strings.Replace(head, "14", "014", 1), "not written as"},
		"PCR +14":               {strings.Replace(head, "14", "+14", 1), "not written as"},
		"PCR x":                 {strings.Replace(head, "14", "x", 1), "expected a number"},
		"short start":           {strings.Replace(head, "00", "", 1), "hexadecimal"},
		"upper case":            {head + strings.ToUpper(file[:69]) + file[69:], "line 3"},
		"upper case digest":     {head + strings.Replace(file, "9f", "9F", 1), "not written as"},
		"short digest":          {head + strings.Replace(file, "9f", "", 1), "hexadecimal"},
		"no hex":                {head + strings.Replace(file, "9f", "zz", 1), "hexadecimal"},
		"negative size":         {head + strings.Replace(file, " 4 ", " -4 ", 1), "expected bytes"},
		"size with a sign":      {head + strings.Replace(file, " 4 ", " +4 ", 1), "not written as"},
		"huge size":             {head + strings.Replace(file, " 4 ", " 9223372036854775808 ", 1), "expected bytes"},
		"no path":               {head + strings.Replace(file, " /usr/bin/x", "", 1), "expected file, digest"},
		"relative":              {head + strings.Replace(file, "/usr", "usr", 1), "absolute"},
		"dots":                  {head + strings.Replace(file, "/bin", "/../bin", 1), "absolute"},
		"slash at the end":      {head + strings.Replace(file, "/x", "/x/", 1), "absolute"},
		"control character":     {head + strings.Replace(file, "/x", "/\x1b", 1), "printable"},
		"bad UTF-8":             {head + strings.Replace(file, "/x", "/\xff", 1), "printable"},
		"long path":             {head + strings.Replace(file, "/x", "/"+strings.Repeat("x", maxMeasuredPath), 1), "at most 400 bytes"},
		"long line":             {head + strings.Repeat("x", 60<<10), "line 3"},
		"too large":             {strings.Repeat("x", MaxMeasured+1), "at most 65536"},
		"too many":              {head + strings.Repeat(file, MaxMeasuredFiles+1), "more than 128 files"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMeasured([]byte(c.log))
			if !errors.Is(err, ErrMeasured) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("log %v, error %v; expected one saying %q", m, err, c.says)
			}
		})
	}
	if m, err := ParseMeasured([]byte(head + strings.Repeat(file, MaxMeasuredFiles))); err != nil || len(m.Files) != MaxMeasuredFiles {
		t.Errorf("the most files: %v", err)
	}
}

func TestMeasuredDigests(t *testing.T) {
	m := &Measured{PCR: 14, Files: []MeasuredFile{{Path: "/a", Digest: [32]byte{1}}, {Path: "/b", Digest: [32]byte{2}}, {Path: "/a", Digest: [32]byte{3}}}}
	if diff := cmp.Diff([][32]byte{{1}, {3}}, m.Digests("/a")); diff != "" {
		t.Error(diff)
	}
	if m.Digests("/c") != nil {
		t.Error("digests of a file that was not measured")
	}
}

// Digest, size, path and order are all in the PCR: change one, and the PCR is another.
func TestPropertyMeasuredIsBoundToThePCR(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMeasured(t)
		data := m.Bytes()
		again, err := ParseMeasured(data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatal(diff)
		}
		if len(m.Files) == 0 {
			return
		}
		end := m.Replay(m.Start)
		i := rapid.IntRange(0, len(m.Files)-1).Draw(t, "which")
		switch rapid.IntRange(0, 4).Draw(t, "change") {
		case 0:
			again.Files[i].Digest[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case 1:
			again.Files[i].Size ^= 1
		case 2:
			again.Files[i].Path += "x"
		case 3:
			again.Files = append(again.Files[:i], again.Files[i+1:]...)
		case 4:
			again.Files = append(again.Files, again.Files[i])
		}
		if again.Replay(m.Start) == end {
			t.Fatalf("a changed log leads to the same PCR:\n%s%s", data, again.Bytes())
		}
	})
}

func drawMeasured(t *rapid.T) *Measured {
	m := &Measured{PCR: rapid.IntRange(FirstMeasuredPCR, LastMeasuredPCR).Draw(t, "pcr")}
	m.Start[rapid.IntRange(0, 31).Draw(t, "byte")] = rapid.Byte().Draw(t, "start")
	for range rapid.IntRange(0, 5).Draw(t, "files") {
		f := MeasuredFile{
			Path: "/" + rapid.StringMatching(`[a-z .äß]{0,10}[a-z]`).Draw(t, "path"), Size: rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"),
		}
		copy(f.Digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		m.Files = append(m.Files, f)
	}
	return m
}

// The firmware's log and the measured one meet in one PCR where the boot loader uses it as well.
func TestExpectGoesOnFromTheFirmware(t *testing.T) {
	l := parse(t, build([]Alg{SHA256}, ev{pcr: 14, typ: 0x0d, data: "MokList"}))
	m := &Measured{PCR: 14, Files: []MeasuredFile{{Path: "/a"}}}
	expected, err := Expect(l, nil, m)
	if err != nil {
		t.Fatal(err)
	}
	e := m.Files[0].Extended()
	if want := extend(extend([32]byte{}, sum("MokList")), e[:]); expected[14] != want {
		t.Errorf("PCR 14 is %x, expected %x", expected[14], want)
	}
}

func FuzzParseMeasured(f *testing.F) {
	f.Add([]byte(head))
	f.Add([]byte(head + "file " + someSum + " 4 /usr/bin/x\n"))
	f.Add(fmt.Appendf(nil, "%s%s", head, strings.Repeat("file \n", 3)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMeasured(data)
		if err != nil {
			if m != nil || !errors.Is(err, ErrMeasured) || len(err.Error()) > 1000 {
				t.Fatalf("log %v, error %v", m, err)
			}
			return
		}
		if !bytes.Equal(m.Bytes(), data) || CheckMeasuredPCR(m.PCR) != nil || len(m.Files) > MaxMeasuredFiles {
			t.Fatalf("%q", data)
		}
		m.Replay(m.Start)
	})
}
