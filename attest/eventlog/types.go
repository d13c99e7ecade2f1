package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Type is an event's type (TCG PC Client Platform Firmware Profile, section 10.4).
type Type uint32

// Event types that this package knows by meaning.
const (
	NoAction                Type = 0x03
	Separator               Type = 0x04
	Action                  Type = 0x05
	SCRTMVersion            Type = 0x08
	EFIVariableDriverConfig Type = 0x80000001
	EFIVariableBoot         Type = 0x80000002
	EFIAction               Type = 0x80000007
	EFIVariableAuthority    Type = 0x800000e0
	EFIVariableBoot2        Type = 0x8000000c
	EFIGPTEvent             Type = 0x80000006
	EFIHandoffTables        Type = 0x80000009
)

// typeNames are the names in the specification.
var typeNames = map[Type]string{
	0x00: "EV_PREBOOT_CERT", 0x01: "EV_POST_CODE", 0x02: "EV_UNUSED", 0x03: "EV_NO_ACTION", 0x04: "EV_SEPARATOR",
	0x05: "EV_ACTION", 0x06: "EV_EVENT_TAG", 0x07: "EV_S_CRTM_CONTENTS", 0x08: "EV_S_CRTM_VERSION",
	0x09: "EV_CPU_MICROCODE", 0x0a: "EV_PLATFORM_CONFIG_FLAGS", 0x0b: "EV_TABLE_OF_DEVICES", 0x0c: "EV_COMPACT_HASH",
	0x0d: "EV_IPL", 0x0e: "EV_IPL_PARTITION_DATA", 0x0f: "EV_NONHOST_CODE", 0x10: "EV_NONHOST_CONFIG",
	0x11: "EV_NONHOST_INFO", 0x12: "EV_OMIT_BOOT_DEVICE_EVENTS", 0x80000000: "EV_EFI_EVENT_BASE",
	0x80000001: "EV_EFI_VARIABLE_DRIVER_CONFIG", 0x80000002: "EV_EFI_VARIABLE_BOOT",
	0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION", 0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER",
	0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER", 0x80000006: "EV_EFI_GPT_EVENT", 0x80000007: "EV_EFI_ACTION",
	0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB", 0x80000009: "EV_EFI_HANDOFF_TABLES",
	0x8000000a: "EV_EFI_PLATFORM_FIRMWARE_BLOB2", 0x8000000b: "EV_EFI_HANDOFF_TABLES2",
	0x8000000c: "EV_EFI_VARIABLE_BOOT2", 0x8000000d: "EV_EFI_GPT_EVENT2", 0x80000010: "EV_EFI_HCRTM_EVENT",
	0x800000e0: "EV_EFI_VARIABLE_AUTHORITY", 0x800000e1: "EV_EFI_SPDM_FIRMWARE_BLOB",
	0x800000e2: "EV_EFI_SPDM_FIRMWARE_CONFIG", 0x800000e3: "EV_EFI_SPDM_DEVICE_POLICY",
	0x800000e4: "EV_EFI_SPDM_DEVICE_AUTHORITY",
}

// String is the type's name in the specification, or its number.
func (t Type) String() string {
	if n, ok := typeNames[t]; ok {
		return n
	}
	return fmt.Sprintf("event type %#x", uint32(t))
}

// maxText is how much of an event's data a description shows, in characters.
const maxText = 80

// String describes the event in one line of printable characters. Unless Covered, the data in it is the log's word only.
func (e *Event) String() string {
	s := fmt.Sprintf("event %d: PCR %d %v", e.Index, e.PCR, e.Type)
	if v, ok := variable(e); ok {
		return fmt.Sprintf("%s %s (%d bytes)", s, printable(v.name), len(v.data))
	}
	switch {
	case len(e.Data) == 0:
		return s
	case e.Type == Separator || !isText(e.Data):
		return fmt.Sprintf("%s (%d bytes)", s, len(e.Data))
	default:
		return fmt.Sprintf("%s %q", s, printable(string(bytes.TrimRight(e.Data, "\x00"))))
	}
}

// Digest is the event's digest by an algorithm, nil where the log has none.
func (l *Log) Digest(e *Event, alg Alg) []byte {
	i := slices.IndexFunc(l.Banks, func(b Bank) bool { return b.Alg == alg })
	if i < 0 || i >= len(e.Digests) {
		return nil
	}
	return e.Digests[i]
}

// Covered says that the event's SHA-256 digest is that of its data: then the data is as true as the digest. For many
// types the specification has the digest cover something else, an image for example, and the data is a mere remark.
func (l *Log) Covered(e *Event) bool {
	sum := sha256.Sum256(e.Data)
	return e.Type != NoAction && bytes.Equal(l.Digest(e, SHA256), sum[:])
}

// SecureBoot is what a log says about UEFI Secure Boot.
type SecureBoot int

// SecureBootUnknown is everything that is neither a proven yes nor a proven no.
const (
	SecureBootUnknown SecureBoot = iota
	SecureBootOff
	SecureBootOn
)

// String is a word for people.
func (s SecureBoot) String() string {
	switch s {
	case SecureBootOn:
		return "on"
	case SecureBootOff:
		return "off"
	default:
		return "unknown"
	}
}

// SecureBoot looks for the variable of that name in PCR 7, before its separator, in an event whose digest covers it.
// The key lists beside it are not parsed: real ones break parsers, and attestation must not depend on them.
func (l *Log) SecureBoot() SecureBoot {
	state := SecureBootUnknown
	for i := range l.Events {
		e := &l.Events[i]
		if e.PCR != 7 || e.Type == NoAction {
			continue
		}
		if e.Type == Separator {
			return state
		}
		v, ok := variable(e)
		if !ok || e.Type != EFIVariableDriverConfig || v.guid != efiGlobal || v.name != "SecureBoot" {
			continue
		}
		if state != SecureBootUnknown || !l.Covered(e) || len(v.data) != 1 {
			return SecureBootUnknown
		}
		switch v.data[0] {
		case 0:
			state = SecureBootOff
		case 1:
			state = SecureBootOn
		}
	}
	return SecureBootUnknown // without a separator, PCR 7 was open to the next program
}

// efiGlobal is the vendor of UEFI's own variables, 8be4df61-93ca-11d2-aa0d-00e098032b8c as it lies in memory.
const efiGlobal = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"

// efiVariable is UEFI_VARIABLE_DATA.
type efiVariable struct {
	guid, name string
	data       []byte
}

// maxVariableName is the longest name of a variable that is looked at, in characters.
const maxVariableName = 256

func variable(e *Event) (efiVariable, bool) {
	switch e.Type {
	case EFIVariableDriverConfig, EFIVariableBoot, EFIVariableBoot2, EFIVariableAuthority:
	default:
		return efiVariable{}, false
	}
	r := &reader{data: e.Data}
	guid, sizes := r.bytes(16), r.bytes(16)
	if r.short {
		return efiVariable{}, false
	}
	chars, size := binary.LittleEndian.Uint64(sizes), binary.LittleEndian.Uint64(sizes[8:])
	if chars > maxVariableName || size > MaxLog {
		return efiVariable{}, false
	}
	raw, data := r.bytes(int(2*chars)), r.bytes(int(size))
	if r.short || r.left() != 0 {
		return efiVariable{}, false
	}
	units := make([]uint16, chars)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return efiVariable{string(guid), string(utf16.Decode(units)), data}, true
}

func isText(b []byte) bool {
	b = bytes.TrimRight(b, "\x00")
	return len(b) > 0 && !slices.ContainsFunc(b, func(c byte) bool { return c < ' ' || c > '~' })
}

// printable cuts text to one short line that a terminal can show.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '.'
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return s
}
