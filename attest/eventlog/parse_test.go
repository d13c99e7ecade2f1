package eventlog

import (
	"bytes"
	_ "crypto/sha1" // to compare that bank with other tools
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestVectorsAreReadOrRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error
		events   int
		locality int
		secure   SecureBoot
	}{
		{name: "go-attestation/coreos_36_shielded_vm_no_secure_boot_eventlog", events: 75, secure: SecureBootOff},
		{name: "go-attestation/crypto_agile_eventlog", events: 26, secure: SecureBootUnknown},
		{name: "go-attestation/ebs_event_missing_eventlog", err: ErrLegacy},
		{name: "go-tpm-tools/debian-10.bin", err: ErrLegacy},
		{name: "go-tpm-tools/gdc-host.bin", events: 158, locality: 3, secure: SecureBootOff},
		{name: "go-tpm-tools/rhel8-uefi.bin", events: 82, secure: SecureBootOn},
		{name: "go-tpm-tools/ubuntu-2104-no-secure-boot.bin", events: 105, secure: SecureBootOff},
		{name: "go-tpm-tools/ubuntu-2404-amd-sevsnp.bin", events: 116, secure: SecureBootOff},
		{name: "keylime/binary_bios_measurements-bogus", err: ErrMalformed},
		{name: "keylime/binary_bios_measurements-empty", err: ErrEmpty},
		{name: "keylime/binary_bios_measurements-secureboot", events: 98, secure: SecureBootOn},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := Parse(vectors(t, c.name))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, expected %v", err, c.err)
			}
			if err != nil {
				return
			}
			t.Logf("%d events, banks %v, locality %d, secure boot %v", len(l.Events), l.Banks, l.StartupLocality, l.SecureBoot())
			if len(l.Events) != c.events || l.StartupLocality != c.locality || l.SecureBoot() != c.secure {
				t.Errorf("expected %d events, locality %d, secure boot %v", c.events, c.locality, c.secure)
			}
			for _, b := range l.Banks {
				if pcrs, err := l.Replay(b.Alg); err != nil || len(pcrs) != pcrCount || len(pcrs[7]) != b.Size {
					t.Errorf("replay of %v: %v", b.Alg, err)
				}
			}
			for i := range l.Events {
				if s := l.Events[i].String(); strings.ContainsAny(s, "\n\r\x1b\x00") || len(s) > 400 {
					t.Errorf("description %q", s)
				}
			}
		})
	}
}

// tpm2-tools reads the same logs: as many events, and the same PCRs.
func TestReplayAgreesWithTPM2Tools(t *testing.T) {
	for _, name := range []string{
		"go-attestation/coreos_36_shielded_vm_no_secure_boot_eventlog", "go-attestation/crypto_agile_eventlog", "go-tpm-tools/gdc-host.bin",
		"go-tpm-tools/rhel8-uefi.bin", "go-tpm-tools/ubuntu-2104-no-secure-boot.bin", "go-tpm-tools/ubuntu-2404-amd-sevsnp.bin",
		"keylime/binary_bios_measurements-secureboot",
	} {
		t.Run(name, func(t *testing.T) {
			data := vectors(t, name)
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(tool(t, "tpm2_eventlog"), path).Output()
			if err != nil {
				t.Fatal(err)
			}
			l := parse(t, data)
			if n := strings.Count(string(out), "- EventNum:"); n != len(l.Events)+1 { // it counts the header
				t.Errorf("%d events, tpm2_eventlog found %d", len(l.Events), n-1)
			}
			compared := 0
			_, banks, _ := strings.Cut(string(out), "\npcrs:")
			for alg, word := range map[Alg]string{SHA1: "sha1", SHA256: "sha256", SHA384: "sha384"} {
				mine, err := l.Replay(alg)
				if err != nil {
					continue
				}
				_, theirs, _ := strings.Cut(banks, "\n  "+word+":\n")
				for line := range strings.Lines(theirs) {
					n, value, ok := strings.Cut(strings.TrimSpace(line), ": 0x")
					pcr, err := strconv.Atoi(strings.TrimSpace(n))
					if !ok || err != nil {
						break // the next bank
					}
					// tpm2_eventlog starts PCR 0 from zero whatever the locality.
					same := hex.EncodeToString(mine[pcr]) == value
					if fromZero := pcr != 0 || l.StartupLocality == 0; same != fromZero {
						t.Errorf("PCR %d by %v: %x, tpm2_eventlog has %s", pcr, alg, mine[pcr], value)
					}
					compared++
				}
			}
			if compared < 8 {
				t.Errorf("only %d PCRs were compared", compared)
			}
		})
	}
}

func TestRefusedWithTheReason(t *testing.T) {
	good := func() []byte {
		return build([]Alg{SHA1, SHA256}, ev{pcr: 0, typ: SCRTMVersion, data: "1"}, ev{pcr: 7, typ: Separator, data: "\x00\x00\x00\x00"})
	}
	// Where things are in it: a header of 32 bytes and 37 of specification, then events.
	const algs, firstEvent = 32 + 24, 32 + 37
	put := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	put16 := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint16(b[at:], v); return b }
	}
	parse(t, good())
	for name, c := range map[string]struct {
		change func([]byte) []byte
		err    error
		says   string
	}{
		"empty":                  {func([]byte) []byte { return nil }, ErrEmpty, ""},
		"too large":              {func([]byte) []byte { return make([]byte, MaxLog+1) }, ErrTooLarge, "1048577 bytes"},
		"zeros":                  {func([]byte) []byte { return make([]byte, 64) }, ErrLegacy, ""},
		"one byte":               {func(b []byte) []byte { return b[:1] }, ErrMalformed, "begins with no event"},
		"an older header":        {func(b []byte) []byte { copy(b[32:], "Spec ID Event00\x00"); return b }, ErrLegacy, "SHA-1"},
		"an unknown header":      {func(b []byte) []byte { copy(b[32:], "Speculation"); return b }, ErrMalformed, "unknown header"},
		"header for PCR 7":       {put(0, 7), ErrMalformed, "PCR 7"},
		"header beyond the end":  {put(28, 1<<31), ErrMalformed, "begins with no event"},
		"no algorithm":           {put(algs, 0), ErrMalformed, "0 digest algorithms"},
		"many algorithms":        {put(algs, 1<<31), ErrMalformed, "digest algorithms"},
		"wrong digest size":      {put16(algs+6, 21), ErrMalformed, "SHA-1 with digests of 21 bytes"},
		"algorithm twice":        {func(b []byte) []byte { return put16(algs+10, 20)(put16(algs+8, 4)(b)) }, ErrMalformed, "listed twice"},
		"vendor's part":          {func(b []byte) []byte { b[firstEvent-1] = 1; return b }, ErrMalformed, "vendor"},
		"PCR 24":                 {put(firstEvent, 24), ErrMalformed, "PCR 24, expected 0 to 23"},
		"no PCR but an action":   {put(firstEvent, anyPCR), ErrMalformed, "PCR 4294967295"},
		"one digest":             {put(firstEvent+8, 1), ErrMalformed, "1 digests, expected 2"},
		"digests without bound":  {put(firstEvent+8, 1<<32-1), ErrMalformed, "expected 2"},
		"same digest twice":      {put16(firstEvent+12+22, 4), ErrMalformed, "SHA-1, expected each"},
		"unknown digest":         {put16(firstEvent+12, 0x12), ErrMalformed, "algorithm 0x12"},
		"data beyond the end":    {put(firstEvent+12+22+34, 1<<32-1), ErrMalformed, "claims 4294967295 bytes of data"},
		"cut within the head":    {func(b []byte) []byte { return b[:firstEvent+5] }, ErrMalformed, "event 1 at byte 69: ends within the event's head"},
		"cut within a digest":    {func(b []byte) []byte { return b[:firstEvent+20] }, ErrMalformed, "ends within a digest"},
		"something at the end":   {func(b []byte) []byte { return append(b, 0xff) }, ErrMalformed, "event 3"},
		"a zero word at the end": {func(b []byte) []byte { return append(b, 0, 0, 0, 0) }, ErrMalformed, "event 3"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Parse(c.change(good()))
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("log %v, error %v; expected %v, saying %q", l, err, c.err, c.says)
			}
		})
	}
}

func TestManyEventsAreRefused(t *testing.T) {
	events := make([]ev, MaxEvents+1)
	for i := range events {
		events[i] = ev{pcr: 1, typ: Action}
	}
	if _, err := Parse(build([]Alg{SHA256}, events...)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	if l := parse(t, build([]Alg{SHA256}, events[1:]...)); len(l.Events) != MaxEvents {
		t.Errorf("%d events", len(l.Events))
	}
}

func TestStartupLocality(t *testing.T) {
	at := func(l byte) ev { return ev{typ: NoAction, data: localityMark + string([]byte{l})} }
	first := ev{typ: SCRTMVersion, data: "1"}
	for name, c := range map[string]struct {
		events []ev
		start  byte
		says   string
	}{
		"none":            {events: []ev{first}},
		"three":           {events: []ev{at(3), first}, start: 3},
		"hardware root":   {events: []ev{at(4), first}, start: 4},
		"after PCR 1":     {events: []ev{{pcr: 1, typ: Action}, at(3), first}, start: 3},
		"five":            {events: []ev{at(5), first}, says: "expected one locality"},
		"too late":        {events: []ev{first, at(3)}, says: "after event 1 (EV_S_CRTM_VERSION)"},
		"twice":           {events: []ev{at(0), at(3), first}, says: "after event 1 (EV_NO_ACTION)"},
		"without a value": {events: []ev{{typ: NoAction, data: localityMark}}, says: "StartupLocality of 0 bytes"},
		"of two bytes":    {events: []ev{{typ: NoAction, data: localityMark + "\x03\x03"}}, says: "StartupLocality of 2 bytes"},
		"for PCR 1":       {events: []ev{{pcr: 1, typ: NoAction, data: localityMark + "\x03"}, first}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Parse(build([]Alg{SHA256}, c.events...))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("error %v, expected %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pcrs, err := Expect(l)
			if err != nil {
				t.Fatal(err)
			}
			if want := extend([32]byte{31: c.start}, sum("1")); pcrs[0] != want {
				t.Errorf("PCR 0 is %x, expected %x", pcrs[0], want)
			}
		})
	}
}

// Whatever is cut off or changed: an error, or a log within the bounds, and never a look beyond the bytes.
func TestPropertyParse(t *testing.T) {
	base := build([]Alg{SHA1, SHA256, SHA384},
		ev{typ: NoAction, data: localityMark + "\x03"}, ev{typ: SCRTMVersion, data: "v"}, ev{pcr: anyPCR, typ: NoAction, data: "note"},
		ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 1)}, ev{pcr: 7, typ: Separator, data: "\x00\x00\x00\x00"})
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(base)
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		check(t, b[:rapid.IntRange(0, len(b)).Draw(t, "length")])
	})
}

// check holds for any bytes at all.
func check(tb interface{ Fatalf(string, ...any) }, data []byte) {
	before := bytes.Clone(data)
	l, err := Parse(data)
	if err != nil {
		if l != nil || err.Error() == "" || len(err.Error()) > 1000 {
			tb.Fatalf("log %v with error %v", l, err)
		}
		return
	}
	size := 0
	for i := range l.Events {
		e := &l.Events[i]
		size += len(e.Data) + 16
		for _, d := range e.Digests {
			size += len(d) + 2
		}
		_, _ = e.String(), l.Covered(e)
	}
	if size > len(data) {
		tb.Fatalf("%d bytes of events from %d bytes", size, len(data))
	}
	for _, b := range l.Banks {
		if pcrs, err := l.Replay(b.Alg); err == nil && len(pcrs) != pcrCount {
			tb.Fatalf("%d PCRs", len(pcrs))
		}
	}
	_ = l.SecureBoot()
	if !bytes.Equal(before, data) {
		tb.Fatalf("the log was changed by reading it")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(build([]Alg{SHA256}, ev{typ: NoAction, data: localityMark + "\x03"}, ev{pcr: 4, typ: Action, data: "x"}))
	f.Add(build([]Alg{SHA1, SHA512}, ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 1)}))
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}
