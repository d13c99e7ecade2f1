package eventlog

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the kernel's template digest
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// imaData is a template's data: each field with its length.
func imaData(fields ...string) string {
	var b bytes.Buffer
	for _, f := range fields {
		le(&b, uint32(len(f)))
		b.WriteString(f)
	}
	return b.String()
}

// imaLog writes one entry as the kernel does.
func imaLog(pcr uint32, template, data string, violation bool) []byte {
	var b bytes.Buffer
	d := sha1.Sum([]byte(data)) //nolint:gosec // as above
	if violation {
		d = [20]byte{}
	}
	le(&b, pcr)
	b.Write(d[:])
	le(&b, uint32(len(template)))
	b.WriteString(template)
	le(&b, uint32(len(data)))
	b.WriteString(data)
	return b.Bytes()
}

func imaFile(digest, path string) string { return imaData("sha256:\x00"+digest, path+"\x00") }

func TestParseIMA(t *testing.T) {
	one, two := string(sum("one")), string(sum("two"))
	log := bytes.Join([][]byte{
		imaLog(10, "ima-ng", imaFile(one, "boot_aggregate"), false),
		imaLog(10, "ima-sig", imaData("sha256:\x00"+two, "/usr/bin/x\x00", "\x03\x02signature"), false),
		imaLog(10, "ima-sig", imaData("sha256:\x00"+two, "/usr/bin/y\x00", ""), false),
		imaLog(10, "ima-ng", imaFile(strings.Repeat("\x00", 32), "/var/log/z"), true),
		imaLog(11, "ima-ng", imaFile(one, "/elsewhere"), false),
		imaLog(10, "ima-buf", imaData("sha256:\x00"+one, "kexec-cmdline\x00", "quiet"), false),
		imaLog(10, "any-name", imaFile(one, "/usr/bin/x"), false),
		imaLog(10, "ima-ngv2", imaData("ima:sha256:\x00"+one, "/v2\x00"), false),
		imaLog(10, "ima-sigv2", imaData("verity:sha256:\x00"+one, "/v3\x00", "s"), false),
		imaLog(10, "ima-modsig", imaData("sha256:\x00"+one, "/m.ko\x00", "", "sha256:\x00"+two, "m"), false),
		imaLog(10, "evm-sig", imaData("sha256:\x00"+one, "/e\x00", "", "", "", "", "", "", ""), false),
		imaLog(10, "any-name", "data", false),
	}, nil)
	entries, err := ParseIMA(log)
	if err != nil || len(entries) != 12 {
		t.Fatal(entries, err)
	}
	for i, want := range []string{
		"entry 1: PCR 10 ima-ng sha256:" + hex.EncodeToString([]byte(one)) + " boot_aggregate", "entry 2: PCR 10 ima-sig sha256:" + hex.EncodeToString([]byte(two)) + " /usr/bin/x",
		"entry 3: PCR 10 ima-sig sha256:" + hex.EncodeToString([]byte(two)) + " /usr/bin/y", "entry 4: PCR 10 ima-ng violation /var/log/z",
		"entry 5: PCR 11 ima-ng sha256:" + hex.EncodeToString([]byte(one)) + " /elsewhere", "entry 6: PCR 10 ima-buf sha256:" + hex.EncodeToString([]byte(one)) + " kexec-cmdline",
		"entry 7: PCR 10 any-name sha256:" + hex.EncodeToString([]byte(one)) + " /usr/bin/x", "entry 8: PCR 10 ima-ngv2 sha256:" + hex.EncodeToString([]byte(one)) + " /v2",
		"entry 9: PCR 10 ima-sigv2 verity:sha256:" + hex.EncodeToString([]byte(one)) + " /v3", "entry 10: PCR 10 ima-modsig sha256:" + hex.EncodeToString([]byte(one)) + " /m.ko",
		"entry 11: PCR 10 evm-sig sha256:" + hex.EncodeToString([]byte(one)) + " /e", "entry 12: PCR 10 any-name (4 bytes)",
	} {
		if got := entries[i].String(); got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
	if string(entries[1].Signature) != "\x03\x02signature" || entries[2].Signature != nil || entries[0].Signature != nil {
		t.Error("signatures")
	}
	// The plain definition: each entry's data is hashed, a violation is all ones, other PCRs do not count.
	want := [32]byte{}
	for _, i := range []int{0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11} {
		d := sha256.Sum256(entries[i].Data)
		if i == 3 {
			d = [32]byte(bytes.Repeat([]byte{0xff}, 32))
		}
		want = extend(want, d[:])
	}
	if got := ReplayIMA([32]byte{}, IMAPCR, entries); got != want {
		t.Errorf("PCR 10 is %x, expected %x", got, want)
	}
}

func TestRefusedIMA(t *testing.T) {
	good := imaLog(10, "ima-ng", imaFile(string(sum("x")), "/x"), false)
	for name, c := range map[string]struct {
		data []byte
		err  error
		says string
	}{
		"the old template":      {imaLog(10, "ima", "", false), ErrIMAOld, "ima_template"},
		"cut within the head":   {good[:20], ErrIMA, "entry 1 at byte 0"},
		"cut within the data":   {good[:len(good)-1], ErrIMA, "bytes of data"},
		"something behind":      {append(bytes.Clone(good), 1), ErrIMA, "entry 2"},
		"PCR 24":                {imaLog(24, "ima-ng", imaFile("", "/x"), false), ErrIMA, "PCR 24"},
		"a long name":           {imaLog(10, strings.Repeat("x", 33), "", false), ErrIMA, "name"},
		"no name":               {imaLog(10, "", "", false), ErrIMA, "name"},
		"no algorithm":          {imaLog(10, "ima-ng", imaData("digest", "/x\x00"), false), ErrIMA, "algorithm"},
		"an empty algorithm":    {imaLog(10, "ima-ng", imaData(":\x00digest", "/x\x00"), false), ErrIMA, "algorithm"},
		"a path without an end": {imaLog(10, "ima-ng", imaData("sha256:\x00d", "/x"), false), ErrIMA, "zero"},
		"two paths":             {imaLog(10, "ima-ng", imaData("sha256:\x00d", "/x\x00/y\x00"), false), ErrIMA, "zero"},
		"a field too many":      {imaLog(10, "ima-ng", imaData("sha256:\x00d", "/x\x00", ""), false), ErrIMA, "3 fields"},
		"a field too few":       {imaLog(10, "ima-sig", imaFile("d", "/x"), false), ErrIMA, "2 fields"},
		"many fields":           {imaLog(10, "ima-ng", strings.Repeat(imaData(""), 20), false), ErrIMA, "fields"},
		"a long field":          {imaLog(10, "ima-ng", "\xff\xff\xff\xff", false), ErrIMA, "field 1 claims"},
		"too large":             {make([]byte, MaxIMA+1), ErrTooLarge, "at once"},
	} {
		if e, err := ParseIMA(c.data); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	if e, err := ParseIMA(nil); err != nil || e != nil {
		t.Error(e, err)
	}
	// Cut anywhere, what is whole is read; what is wrong stays so.
	for n := range len(good) {
		if e, err := ParseIMACut(append(bytes.Clone(good), good[:n]...)); err != nil || len(e) != 1 {
			t.Errorf("cut at %d: %v, %v", n, e, err)
		}
	}
	for name, data := range map[string][]byte{"no name": imaLog(10, "", "", false), "no algorithm": imaLog(10, "ima-ng", imaData("digest", "/x\x00"), false), "too long": imaLog(10, "x", strings.Repeat("x", 64<<10+1), false)} {
		if e, err := ParseIMACut(data); !errors.Is(err, ErrIMA) {
			t.Errorf("%s, as if it were cut: %v, %v", name, e, err)
		}
	}
}

// A log that is read in pieces, cut anywhere between entries, leads to the same value as the whole.
func TestPropertyIMAByOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pieces [][]byte
		for range rapid.IntRange(0, 12).Draw(t, "entries") {
			data := imaFile(string(sum(rapid.String().Draw(t, "content"))), "/"+rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "path"))
			pieces = append(pieces, imaLog(rapid.SampledFrom([]uint32{10, 11}).Draw(t, "pcr"), "ima-ng", data, rapid.Bool().Draw(t, "violation")))
		}
		whole, err := ParseIMA(bytes.Join(pieces, nil))
		if err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, len(pieces)).Draw(t, "cut")
		value := [32]byte{}
		for _, part := range [][][]byte{pieces[:cut], pieces[cut:]} {
			entries, err := ParseIMA(bytes.Join(part, nil))
			if err != nil {
				t.Fatal(err)
			}
			value = ReplayIMA(value, IMAPCR, entries)
		}
		if want := ReplayIMA([32]byte{}, IMAPCR, whole); value != want {
			t.Fatalf("%x in pieces, %x as a whole", value, want)
		}
	})
}

// The kernel's own log in text has the template digests that our reading of the data gives.
func TestIMATemplateIsTheKernels(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "vectors", "ima", "ima-log-sha256"))
	if err != nil {
		t.Skipf("no test vectors here: %v", err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // PCR, template digest, template, file's digest, path
		if len(f) != 5 {
			continue
		}
		alg, hexDigest, _ := strings.Cut(f[3], ":")
		digest, err := hex.DecodeString(hexDigest)
		if err != nil {
			t.Fatal(err)
		}
		data := imaData(alg+":\x00"+string(digest), f[4]+"\x00")
		if d := sha1.Sum([]byte(data)); hex.EncodeToString(d[:]) != f[1] { //nolint:gosec // as above
			t.Errorf("%s: template digest %x", strings.TrimSpace(line), d)
		}
		entries, err := ParseIMA(imaLog(10, f[2], data, false))
		if err != nil || entries[0].Path != f[4] || !bytes.Equal(entries[0].Digest, digest) {
			t.Errorf("%v, %v", entries, err)
		}
		lines++
	}
	if lines == 0 {
		t.Error("no line was read")
	}
}

func FuzzParseIMA(f *testing.F) {
	f.Add(imaLog(10, "ima-ng", imaFile(string(sum("x")), "/x"), false))
	f.Add(imaLog(10, "ima-sig", imaData("sha256:\x00d", "/x\x00", "s"), true))
	f.Add(imaLog(10, "ima-buf", "data", false))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ParseIMA(data)
		if err != nil {
			return
		}
		size := 0
		for i := range entries {
			e := &entries[i]
			if s := e.String(); strings.ContainsAny(s, "\n\x1b\x00") {
				t.Errorf("%q", s)
			}
			size += 4 + 20 + 4 + len(e.Template) + 4 + len(e.Data)
		}
		if size != len(data) {
			t.Errorf("%d bytes were read, there are %d", size, len(data))
		}
		ReplayIMA([32]byte{}, IMAPCR, entries)
	})
}
