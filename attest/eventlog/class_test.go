package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// imageEvent is an EFI_IMAGE_LOAD_EVENT with a file path behind a hard drive's node.
func imageEvent(file string) string {
	var path bytes.Buffer
	le(&path, uint8(4), uint8(1), uint16(8), uint32(1))
	le(&path, uint8(4), uint8(4), uint16(4+2*(len(file)+1)))
	for _, c := range file + "\x00" {
		le(&path, uint16(c))
	}
	le(&path, uint8(0x7f), uint8(0xff), uint16(4))
	var b bytes.Buffer
	le(&b, uint64(0x1000), uint64(0x2000), uint64(0), uint64(path.Len()))
	return b.String() + path.String()
}

func tagged(tag uint32, text string) string {
	var b bytes.Buffer
	le(&b, tag, uint32(len(text)))
	return b.String() + text
}

func wide(s string) string {
	var b bytes.Buffer
	for _, c := range s {
		le(&b, uint16(c))
	}
	return b.String()
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		e          ev
		class      Class
		name, text string
	}{
		{ev{pcr: 0, typ: SCRTMVersion, data: "1.0"}, ClassFirmware, "", "1.0"},
		{ev{pcr: 0, typ: 0x8000000a, data: "\x00\x01"}, ClassFirmware, "", ""},
		{ev{pcr: 2, typ: 0x80000004, data: imageEvent("x")}, ClassOptionROM, "", "x"},
		{ev{pcr: 0, typ: 0x80000005}, ClassDriver, "", ""},
		{ev{pcr: 4, typ: 0x80000003, data: imageEvent(`\EFI\BOOT\BOOTAA64.EFI`)}, ClassBootApplication, "", `\EFI\BOOT\BOOTAA64.EFI`},
		{ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "db", 1)}, ClassSecureBoot, "db", "db"},
		{ev{pcr: 7, typ: EFIVariableAuthority, data: efiVar(efiGlobal, "db", 1)}, ClassBootAuthority, "db", "db"},
		{ev{pcr: 1, typ: EFIVariableBoot, data: efiVar(efiGlobal, "BootOrder", 1, 0)}, ClassBootOrder, "BootOrder", "BootOrder"},
		{ev{pcr: 1, typ: EFIVariableBoot2, data: efiVar(efiGlobal, "Boot0001", 1)}, ClassBootEntry, "Boot0001", "Boot0001"},
		{ev{pcr: 1, typ: EFIVariableBoot, data: efiVar(efiGlobal, "Setup", 1)}, ClassPlatformConfig, "Setup", "Setup"},
		{ev{pcr: 1, typ: EFIVariableBoot, data: "short"}, ClassOther, "", "short"},
		{ev{pcr: 1, typ: EFIHandoffTables, data: "\x01"}, ClassPlatformConfig, "", ""},
		{ev{pcr: 5, typ: EFIGPTEvent}, ClassPartitionTable, "", ""},
		{ev{pcr: 5, typ: Separator, data: "\x00\x00\x00\x00"}, ClassSeparator, "", ""},
		{ev{pcr: 5, typ: EFIAction, data: "Exit Boot Services Invocation"}, ClassAction, "", "Exit Boot Services Invocation"},
		{ev{pcr: 9, typ: 0x06, data: tagged(0x8f3b22ec, "Linux initrd\x00")}, ClassInitrd, "", "Linux initrd"},
		{ev{pcr: 9, typ: 0x06, data: tagged(0x8f3b22ed, "LOADED_IMAGE::LoadOptions\x00")}, ClassCommandLine, "", "LOADED_IMAGE::LoadOptions"},
		{ev{pcr: 9, typ: 0x06, data: "ab"}, ClassLoaderFile, "ab", "ab"},
		{ev{pcr: 8, typ: 0x0d, data: "kernel_cmdline: /vmlinuz quiet\x00"}, ClassCommandLine, "", "kernel_cmdline: /vmlinuz quiet"},
		{ev{pcr: 12, typ: 0x0d, data: wide("quiet splash\x00")}, ClassCommandLine, "", "quiet splash"},
		{ev{pcr: 8, typ: 0x0d, data: "grub_cmd: search\x00"}, ClassLoader, "", "grub_cmd: search"},
		{ev{pcr: 9, typ: 0x0d, data: "(hd0,gpt2)/boot/vmlinuz-6.1\x00"}, ClassLoaderFile, "vmlinuz-6.1", "(hd0,gpt2)/boot/vmlinuz-6.1"},
		{ev{pcr: 14, typ: 0x0d, data: "MokList\x00"}, ClassLoader, "", "MokList"},
		{ev{pcr: 3, typ: 0x4711}, ClassOther, "", ""},
	} {
		l := parse(t, build([]Alg{SHA256}, c.e))
		e := &l.Events[0]
		if class, name := Classify(e); class != c.class || name != c.name || e.Text() != c.text {
			t.Errorf("%s: %s %q %q, expected %s %q %q", e, class, name, e.Text(), c.class, c.name, c.text)
		}
	}
}

// Logs of real machines have few events that this package cannot tell apart.
func TestClassesOfRealLogs(t *testing.T) {
	for name, want := range map[string][]Class{
		"go-tpm-tools/rhel8-uefi.bin":                 {ClassFirmware, ClassBootApplication, ClassSecureBoot, ClassBootOrder, ClassBootEntry, ClassCommandLine, ClassLoaderFile, ClassSeparator},
		"go-tpm-tools/ubuntu-2104-no-secure-boot.bin": {ClassFirmware, ClassBootApplication, ClassSecureBoot, ClassBootOrder, ClassCommandLine, ClassLoaderFile},
		"keylime/binary_bios_measurements-secureboot": {ClassFirmware, ClassBootApplication, ClassSecureBoot, ClassBootAuthority},
	} {
		l := parse(t, vectors(t, name))
		count := map[Class]int{}
		for i := range l.Events {
			if e := &l.Events[i]; e.Type != NoAction {
				class, text := Classify(e)
				count[class]++
				if len(text) > maxName || strings.ContainsAny(e.Text()+text, "\n\x1b\x00") {
					t.Errorf("%s: %q %q", name, text, e.Text())
				}
			}
		}
		t.Logf("%s: %v", name, count)
		for _, class := range want {
			if count[class] == 0 {
				t.Errorf("%s: no %s", name, class)
			}
		}
		if count[ClassOther] > 0 {
			t.Errorf("%s: %d events of no class", name, count[ClassOther])
		}
	}
}

// legacy writes a log of the old format.
func legacy(events ...ev) []byte {
	var b bytes.Buffer
	for _, e := range events {
		le(&b, e.pcr, uint32(e.typ))
		h := SHA1.hash().New()
		h.Write([]byte(e.data))
		b.Write(h.Sum(nil))
		le(&b, uint32(len(e.data)))
		b.WriteString(e.data)
	}
	return b.Bytes()
}

func TestLegacyLogs(t *testing.T) {
	for name, events := range map[string]int{"go-attestation/ebs_event_missing_eventlog": 0, "go-tpm-tools/debian-10.bin": 0} {
		t.Run(name, func(t *testing.T) {
			data := vectors(t, name)
			if _, err := Parse(data); !errors.Is(err, ErrLegacy) {
				t.Errorf("error %v", err)
			}
			l, err := ParseLegacy(data)
			if err != nil || len(l.Events) <= events {
				t.Fatalf("%v, error %v", l, err)
			}
			if pcrs, err := l.Replay(SHA1); err != nil || len(pcrs[4]) != 20 || bytes.Equal(pcrs[4], make([]byte, 20)) {
				t.Errorf("PCR 4 %x, error %v", pcrs[4], err)
			}
			if _, err := Expect(l); !errors.Is(err, ErrNoBank) {
				t.Errorf("a log without SHA-256 leads to PCRs: %v", err)
			}
		})
	}
	good := legacy(ev{pcr: 0, typ: NoAction, data: "Spec ID Event00\x00"}, ev{pcr: 4, typ: EFIAction, data: "boot"})
	if l, err := ParseLegacy(good); err != nil || len(l.Events) != 2 || l.Events[1].Text() != "boot" || l.SecureBoot() != SecureBootUnknown {
		t.Errorf("%v, error %v", l, err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "cut within the head": good[:50], "large": make([]byte, MaxLog+1),
		"PCR 24":           legacy(ev{pcr: 24, typ: Action}),
		"many events":      bytes.Repeat(legacy(ev{pcr: 1, typ: Action}), MaxEvents+1),
		"a long size":      binary.LittleEndian.AppendUint32(legacy(ev{})[:28], 1<<32-1),
		"a late locality":  legacy(ev{typ: Action}, ev{typ: NoAction, data: localityMark + "\x03"}),
		"crypto-agile one": build([]Alg{SHA256}, ev{pcr: 1, typ: Action, data: "long enough to be no event of the old format"}),
	} {
		if l, err := ParseLegacy(data); err == nil {
			t.Errorf("%s: read as %v", name, l)
		}
	}
}

func FuzzParseLegacy(f *testing.F) {
	f.Add(legacy(ev{pcr: 7, typ: EFIVariableDriverConfig, data: efiVar(efiGlobal, "SecureBoot", 1)}, ev{pcr: 4, typ: 0x80000003, data: imageEvent("x")}))
	f.Add(legacy(ev{pcr: 9, typ: 0x06, data: tagged(tagInitrd, "Linux initrd")}, ev{pcr: 12, typ: 0x0d, data: wide("quiet")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLegacy(data)
		if err != nil {
			return
		}
		for i := range l.Events {
			e := &l.Events[i]
			if _, name := Classify(e); strings.ContainsAny(fmt.Sprint(e, name, e.Text()), "\n\x1b\x00") {
				t.Errorf("%q %q", name, e.Text())
			}
		}
	})
}
