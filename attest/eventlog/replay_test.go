package eventlog

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestReplayStartsFromReset(t *testing.T) {
	pcrs, err := Expect(nil)
	if err != nil {
		t.Fatal(err)
	}
	ones := [32]byte([]byte(strings.Repeat("\xff", 32)))
	for n := range pcrCount {
		want := [32]byte{}
		if n >= 17 && n <= 22 {
			want = ones
		}
		if pcrs[n] != want {
			t.Errorf("PCR %d starts at %x", n, pcrs[n])
		}
	}
}

func TestReplayOfABankThatIsNotThere(t *testing.T) {
	l := parse(t, build([]Alg{SHA1}, ev{pcr: 1, typ: Action}))
	if _, err := Expect(l); !errors.Is(err, ErrNoBank) {
		t.Errorf("error %v", err)
	}
	if _, err := l.Replay(0x12); !errors.Is(err, ErrNoBank) {
		t.Errorf("error %v", err)
	}
}

func TestDifferencesNameThePCRs(t *testing.T) {
	l := parse(t, build([]Alg{SHA256}, ev{pcr: 4, typ: Action, data: "boot"}, ev{pcr: 7, typ: Separator, data: "\x00\x00\x00\x00"}))
	expected, err := Expect(l)
	if err != nil {
		t.Fatal(err)
	}
	quoted := PCRs{}
	for _, n := range []int{0, 4, 7, 14} {
		quoted[n] = expected[n]
	}
	if d := Differences(expected, quoted); d != nil {
		t.Errorf("differences %v", d)
	}
	quoted[7], quoted[14] = [32]byte{1}, [32]byte{2}
	delete(expected, 14)
	d := Differences(expected, quoted)
	if len(d) != 2 || d[0].PCR != 7 || d[1].PCR != 14 || !d[0].Known || d[1].Known {
		t.Fatalf("differences %v", d)
	}
	if s := fmt.Sprint(d); !strings.Contains(s, "PCR 7: quoted 01") || !strings.Contains(s, "say nothing") {
		t.Errorf("%s", s)
	}
}

// Events in any banks and of any PCRs: the replay is the plain definition of extending.
func TestPropertyReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		banks := [][]Alg{{SHA256}, {SHA1, SHA256}, {SHA256, SHA384}, {SHA512, SHA256}}[rapid.IntRange(0, 3).Draw(t, "banks")]
		want := PCRs{}
		start, err := Expect(nil)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(want, start)
		var events []ev
		late := false
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			e := ev{
				pcr: uint32(rapid.IntRange(0, 23).Draw(t, "pcr")), data: rapid.StringN(0, 30, 60).Draw(t, "data"),
				typ: rapid.SampledFrom([]Type{NoAction, Action, EFIVariableBoot, 0x7fffffff}).Draw(t, "type"),
			}
			if e.typ != NoAction {
				if !late && e.pcr >= 17 && e.pcr <= 22 { // a late launch has set these to zero
					for n := 17; n <= 22; n++ {
						want[n] = [32]byte{}
					}
					late = true
				}
				want[int(e.pcr)] = extend(want[int(e.pcr)], sum(e.data))
			}
			events = append(events, e)
		}
		l, err := Parse(build(banks, events...))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Expect(l)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSecureBoot(t *testing.T) {
	on := ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 1)}
	off := ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 0)}
	end := ev{pcr: 7, typ: Separator, data: "\x00\x00\x00\x00"}
	lie := on
	lie.digests = map[Alg][]byte{SHA256: sum(off.data)}
	elsewhere := on
	elsewhere.pcr = 6
	for name, c := range map[string]struct {
		events []ev
		want   SecureBoot
	}{
		"on":                         {[]ev{on, end}, SecureBootOn},
		"off":                        {[]ev{off, end}, SecureBootOff},
		"on, with the digest of off": {[]ev{lie, end}, SecureBootUnknown},
		"twice":                      {[]ev{off, on, end}, SecureBootUnknown},
		"after the separator":        {[]ev{end, on}, SecureBootUnknown},
		"in another PCR":             {[]ev{elsewhere, end}, SecureBootUnknown},
		"without a separator":        {[]ev{on}, SecureBootUnknown},
		"another vendor's":           {[]ev{{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(strings.Repeat("x", 16), "SecureBoot", 1)}, end}, SecureBootUnknown},
		"an authority's":             {[]ev{{pcr: 7, typ: EFIVariableAuthority, data: efiVar(efiGlobal, "SecureBoot", 1)}, end}, SecureBootUnknown},
		"no value":                   {[]ev{{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot")}, end}, SecureBootUnknown},
		"two":                        {[]ev{{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 2)}, end}, SecureBootUnknown},
		"more than it says":          {[]ev{{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 1) + "\x00"}, end}, SecureBootUnknown},
	} {
		if got := parse(t, build([]Alg{SHA256}, c.events...)).SecureBoot(); got != c.want {
			t.Errorf("%s: %v, expected %v", name, got, c.want)
		}
	}
}

func TestDescriptionsAreOneLine(t *testing.T) {
	for _, c := range []struct {
		e    ev
		want string
	}{
		{ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 1)}, "event 1: PCR 7 EV_EFI_VARIABLE_DRIVER_CONFIG SecureBoot (1 bytes)"},
		{ev{pcr: 5, typ: EFIAction, data: "Exit Boot Services Invocation"}, `event 1: PCR 5 EV_EFI_ACTION "Exit Boot Services Invocation"`},
		{ev{pcr: 8, typ: 0x0d, data: "\x1b[2J"}, "event 1: PCR 8 EV_IPL (4 bytes)"},
		{ev{pcr: 8, typ: 0x0d, data: "grub_cmd: x\x00"}, `event 1: PCR 8 EV_IPL "grub_cmd: x"`},
		{ev{pcr: 8, typ: 0x4711, data: ""}, "event 1: PCR 8 event type 0x4711"},
		{ev{pcr: 7, typ: EFIVariableBoot, data: efiVar(efiGlobal, "a\nb", 1)}, "event 1: PCR 7 EV_EFI_VARIABLE_BOOT a.b (1 bytes)"},
		{ev{pcr: 7, typ: Separator, data: "\x00\x00\x00\x00"}, "event 1: PCR 7 EV_SEPARATOR (4 bytes)"},
		{ev{pcr: 9, typ: Action, data: strings.Repeat("x", 200)}, `event 1: PCR 9 EV_ACTION "` + strings.Repeat("x", maxText) + `…"`},
	} {
		l := parse(t, build([]Alg{SHA256}, c.e))
		if got := l.Events[0].String(); got != c.want {
			t.Errorf("%s, expected %s", got, c.want)
		}
	}
	for typ, want := range map[Type]string{0: "EV_PREBOOT_CERT", 0x12: "EV_OMIT_BOOT_DEVICE_EVENTS", 0x13: "event type 0x13", 0x80000000: "EV_EFI_EVENT_BASE", 0x8000000d: "EV_EFI_GPT_EVENT2", 0x80000010: "EV_EFI_HCRTM_EVENT", 0x800000e0: "EV_EFI_VARIABLE_AUTHORITY", 0x800000e4: "EV_EFI_SPDM_DEVICE_AUTHORITY", 0x800000e5: "event type 0x800000e5"} {
		if typ.String() != want {
			t.Errorf("%v, expected %s", typ, want)
		}
	}
}

func TestSummaryWords(t *testing.T) {
	if s := fmt.Sprint(SHA1, SHA256, SHA384, SHA512, Alg(0x12), SecureBootOn, SecureBootOff, SecureBootUnknown); s != "SHA-1 SHA-256 SHA-384 SHA-512 algorithm 0x12 on off unknown" {
		t.Error(s)
	}
}
