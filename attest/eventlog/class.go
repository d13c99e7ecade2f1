package eventlog

import (
	"bytes"
	"encoding/binary"
	"path"
	"strings"
	"unicode/utf16"
)

// Class is what an event is about, in the words of policies. Two machines of a kind agree on it where their raw values
// of a PCR do not.
type Class string

// The classes. An event belongs to exactly one.
const (
	// ClassFirmware is the firmware itself: its version, its volumes, microcode.
	ClassFirmware Class = "firmware"
	// ClassOptionROM is a driver that a device brought along (PCR 2 or 3); ClassDriver is any other that the firmware loaded.
	ClassOptionROM Class = "option-rom"
	ClassDriver    Class = "driver"
	// ClassBootApplication is a program that the firmware started: boot loaders, and kernels that are one.
	ClassBootApplication Class = "boot-application"
	// ClassSecureBoot is a variable of Secure Boot by its name: SecureBoot, PK, KEK, db, dbx, and more.
	ClassSecureBoot Class = "secure-boot"
	// ClassBootAuthority is the key or digest that has let a program start under Secure Boot.
	ClassBootAuthority Class = "boot-authority"
	// ClassBootOrder is the order of boot entries, ClassBootEntry one of them by its name, such as Boot0001.
	ClassBootOrder Class = "boot-order"
	ClassBootEntry Class = "boot-entry"
	// ClassPlatformConfig is the firmware's settings and tables, ClassPartitionTable that of the disk started from.
	ClassPlatformConfig Class = "platform-config"
	ClassPartitionTable Class = "partition-table"
	// ClassSeparator ends the firmware's part of a PCR; ClassAction is a step that the firmware names in words.
	ClassSeparator Class = "separator"
	ClassAction    Class = "action"
	// ClassCommandLine is the kernel's, ClassInitrd its initial file system.
	ClassCommandLine Class = "command-line"
	ClassInitrd      Class = "initrd"
	// ClassLoaderFile is a file that a boot loader read, by its name; ClassLoader is anything else that it measured.
	ClassLoaderFile Class = "loader-file"
	ClassLoader     Class = "loader"
	// ClassOther is every event of a type that this package does not know.
	ClassOther Class = "other"
)

// Classes lists every class.
func Classes() []Class {
	return []Class{
		ClassFirmware, ClassOptionROM, ClassDriver, ClassBootApplication, ClassSecureBoot, ClassBootAuthority, ClassBootOrder, ClassBootEntry,
		ClassPlatformConfig, ClassPartitionTable, ClassSeparator, ClassAction, ClassCommandLine, ClassInitrd, ClassLoaderFile, ClassLoader, ClassOther,
	}
}

// Tags of the Linux EFI stub's events (drivers/firmware/efi/libstub), and how GRUB begins its remarks.
const (
	tagInitrd       = 0x8f3b22ec
	tagLoadOptions  = 0x8f3b22ed
	grubCommandLine = "kernel_cmdline: "
	// Red Hat's GRUB writes this instead.
	grubCommandLineRH = "grub_kernel_cmdline "
	grubPrefixEnd     = ": "
	// stubCommandLinePCR is where systemd's stub measures the command line, as UTF-16 text.
	stubCommandLinePCR = 12
	grubFilePCR        = 9
	maxName            = 128
)

// Classify says what an event is about, and the name within the class where there are several. Type and data are the
// log's own word: a policy that allows digests by class is not weakened by a log that names another class, since the
// digest has to be among those that this other class allows; one that allows any digest of a class is, up to all of that
// PCR's events.
func Classify(e *Event) (Class, string) {
	switch e.Type {
	case 0x01, 0x07, SCRTMVersion, 0x09, 0x0f, 0x80000008, 0x8000000a, 0x80000010, 0x800000e1:
		return ClassFirmware, ""
	case 0x80000003:
		return ClassBootApplication, ""
	case 0x80000004, 0x80000005:
		if e.PCR == 2 || e.PCR == 3 {
			return ClassOptionROM, ""
		}
		return ClassDriver, ""
	case EFIVariableDriverConfig, EFIVariableBoot, EFIVariableBoot2, EFIVariableAuthority:
		return classifyVariable(e)
	case 0x0a, 0x0b, 0x10, 0x11, EFIHandoffTables, 0x8000000b, 0x800000e2, 0x800000e3, 0x800000e4:
		return ClassPlatformConfig, ""
	case EFIGPTEvent, 0x8000000d, 0x0e:
		return ClassPartitionTable, ""
	case Separator:
		return ClassSeparator, ""
	case Action, EFIAction, 0x12:
		return ClassAction, ""
	case 0x06, 0x0d, 0x0c:
		return classifyLoader(e)
	default:
		return ClassOther, ""
	}
}

func classifyVariable(e *Event) (Class, string) {
	v, ok := variable(e)
	switch {
	case e.Type == EFIVariableAuthority:
		return ClassBootAuthority, printableName(v.name)
	case !ok:
		return ClassOther, ""
	case v.name == "BootOrder" || v.name == "BootNext":
		return ClassBootOrder, v.name
	case len(v.name) == len("Boot0000") && strings.HasPrefix(v.name, "Boot"):
		return ClassBootEntry, printableName(v.name)
	case e.PCR == 7:
		return ClassSecureBoot, printableName(v.name)
	}
	return ClassPlatformConfig, printableName(v.name)
}

// classifyLoader knows what GRUB, systemd's stub and the kernel's EFI stub write.
func classifyLoader(e *Event) (Class, string) {
	if e.Type == 0x06 && len(e.Data) >= 8 {
		switch binary.LittleEndian.Uint32(e.Data) {
		case tagInitrd:
			return ClassInitrd, ""
		case tagLoadOptions:
			return ClassCommandLine, ""
		}
	}
	text := string(bytes.TrimRight(e.Data, "\x00"))
	switch {
	case strings.HasPrefix(text, grubCommandLine), strings.HasPrefix(text, grubCommandLineRH), e.PCR == stubCommandLinePCR && utf16Text(e.Data) != "":
		return ClassCommandLine, ""
	case e.PCR == grubFilePCR && isText(e.Data) && !strings.Contains(text, grubPrefixEnd):
		return ClassLoaderFile, printableName(path.Base(text))
	}
	return ClassLoader, ""
}

// Text is what an event's data says, for people: a variable's name, an image's path, a loader's words. It is proven only
// where Covered.
func (e *Event) Text() string {
	class, name := Classify(e)
	switch {
	case name != "" && class != ClassLoaderFile:
		return name
	case class == ClassBootApplication || class == ClassOptionROM || class == ClassDriver:
		return printable(imagePath(e.Data))
	case class == ClassSeparator:
		return ""
	case e.Type == 0x06 && len(e.Data) > 8 && isText(e.Data[8:]):
		return printable(string(bytes.TrimRight(e.Data[8:], "\x00")))
	case isText(e.Data):
		return printable(string(bytes.TrimRight(e.Data, "\x00")))
	}
	return printable(utf16Text(e.Data))
}

// imagePath is the file in the device path of an EFI_IMAGE_LOAD_EVENT, "" where there is none.
func imagePath(data []byte) string {
	const head, fileType, fileSubtype = 32, 4, 4
	if len(data) < head {
		return ""
	}
	var out []string
	for p := data[head:]; len(p) >= 4; {
		size := int(binary.LittleEndian.Uint16(p[2:]))
		if size < 4 || size > len(p) || p[0] == 0x7f {
			break
		}
		if p[0] == fileType && p[1] == fileSubtype {
			out = append(out, utf16Text(p[4:size]))
		}
		p = p[size:]
	}
	return strings.Join(out, "")
}

// utf16Text is data as UTF-16 text up to its zeros at the end, "" if it is none.
func utf16Text(data []byte) string {
	if len(data) < 4 || len(data)%2 != 0 {
		return ""
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 0; i < len(data); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(data[i:]))
	}
	for len(units) > 0 && units[len(units)-1] == 0 {
		units = units[:len(units)-1]
	}
	for _, u := range units {
		if u < ' ' || u > '~' {
			return ""
		}
	}
	return string(utf16.Decode(units))
}

// printableName is a name as policies and results write it.
func printableName(s string) string {
	if s = printable(s); len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

// PCRUse says what a PCR is for (PC Client Platform Firmware Profile, section 3.3.4, and what Linux programs have made
// their own).
func PCRUse(pcr int) string {
	uses := []string{
		"firmware", "settings and tables of the firmware, boot entries", "drivers that devices bring along", "their settings",
		"what the firmware starts: boot loaders", "their settings, partition table", "the maker's", "Secure Boot: its variables, and who vouched",
		"boot loader: commands", "boot loader: files, kernel, initial file system", "the kernel's integrity measurements (IMA)", "systemd: the kernel image",
		"systemd: kernel command line", "systemd: extensions", "shim's keys, and what robowarden measures", "systemd: machine",
	}
	switch {
	case pcr >= 0 && pcr < len(uses):
		return uses[pcr]
	case pcr == 16 || pcr == 23:
		return "for tests; software can reset it"
	}
	return "late launch"
}
