package eventlog

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the width of the kernel's template digests; nothing is proven by them
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// What a log of the kernel's integrity measurements (IMA) may hold at most.
const (
	// MaxIMA is the largest piece of such a log that is read at once, in bytes.
	MaxIMA = 4 << 20
	// IMAPCR is the PCR that the kernel extends unless it was told another.
	IMAPCR          = 10
	maxIMAName      = 32
	maxIMATemplate  = 64 << 10
	maxIMAFields    = 16
	imaDigestPrefix = 64 // "sha256:", "ima:sha256:" and the like end within this.
)

// Reasons for which a log of integrity measurements is refused. Errors wrap exactly one of them.
var (
	// ErrIMA says that the bytes are no such log.
	ErrIMA = errors.New("malformed log of integrity measurements")
	// ErrIMAOld says that the log has the template ima, whose file digests are SHA-1.
	ErrIMAOld = errors.New("the log of integrity measurements has the template ima, which knows SHA-1 only; expected ima-ng or ima-sig (kernel parameter ima_template)")
)

// IMAEntry is one measurement that the kernel has made of a file, or of something else that is given to it.
type IMAEntry struct {
	// Index is the entry's place in what was read, from 1.
	Index int
	// PCR is the PCR that was extended.
	PCR int
	// Template names the form of the entry: ima-ng, ima-sig, or another. It is the log's word and not measured, so nothing may be
	// decided by it.
	Template string
	// Violation says that a file was read while somebody could write to it, so its digest is not known. The kernel extends
	// all ones then, so its path is the log's word too.
	Violation bool
	// Algorithm and Digest are the file's, Path is where it was found: the first two fields of Data, whatever the template. Empty
	// where Data does not begin with such. An algorithm with something else than the content's digest names that first
	// ("verity:sha256").
	Algorithm string
	Digest    []byte
	Path      string
	// Signature is the file's own, nil without one. That the field is one is the template's word.
	Signature []byte
	// Data is the template's data, as it was measured.
	Data []byte
}

// Extended is what a kernel of version 5.8 or newer has extended the SHA-256 bank by.
func (e *IMAEntry) Extended() [sha256.Size]byte {
	if e.Violation {
		return [sha256.Size]byte(bytes.Repeat([]byte{0xff}, sha256.Size))
	}
	return sha256.Sum256(e.Data)
}

// Size is how many bytes the entry takes in its log.
func (e *IMAEntry) Size() int { return 4 + sha1.Size + 4 + len(e.Template) + 4 + len(e.Data) }

// String describes the entry in one line of printable characters.
func (e *IMAEntry) String() string {
	s := fmt.Sprintf("entry %d: PCR %d %s", e.Index, e.PCR, printable(e.Template))
	switch {
	case e.Violation:
		return fmt.Sprintf("%s violation %s", s, printable(e.Path))
	case e.Path == "" && e.Algorithm == "":
		return fmt.Sprintf("%s (%d bytes)", s, len(e.Data))
	}
	return fmt.Sprintf("%s %s:%x %s", s, printable(e.Algorithm), e.Digest, printable(e.Path))
}

// ParseIMA reads a log, or a piece of one that begins and ends between entries, as Linux shows it in
// /sys/kernel/security/ima/binary_runtime_measurements. It keeps references to data.
func ParseIMA(data []byte) ([]IMAEntry, error) { return parseIMA(data, false) }

// ParseIMACut is [ParseIMA] for a piece that may end within an entry: that one is left out, and comes whole with the next piece if
// that begins behind the last entry here.
func ParseIMACut(data []byte) ([]IMAEntry, error) { return parseIMA(data, true) }

// errCut says that the bytes end within an entry.
var errCut = errors.New("ends within the entry")

func parseIMA(data []byte, cut bool) ([]IMAEntry, error) {
	if len(data) > MaxIMA {
		return nil, fmt.Errorf("%w: %d bytes, expected at most %d at once", ErrTooLarge, len(data), MaxIMA)
	}
	r := &reader{data: data}
	var out []IMAEntry
	for r.left() > 0 {
		at := r.at
		e, err := imaEntry(r, len(out)+1)
		if cut && errors.Is(err, errCut) {
			break
		}
		if err != nil {
			if !errors.Is(err, ErrIMAOld) {
				err = fmt.Errorf("%w: entry %d at byte %d: %w", ErrIMA, len(out)+1, at, err)
			}
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func imaEntry(r *reader, index int) (IMAEntry, error) {
	pcr := r.u32()
	digest := r.bytes(sha1.Size)
	name := r.bytes(int(min(r.u32(), maxIMAName+1)))
	switch {
	case r.short:
		return IMAEntry{}, fmt.Errorf("%w's head", errCut)
	case len(name) == 0 || len(name) > maxIMAName:
		return IMAEntry{}, fmt.Errorf("a template's name of %d or more bytes, expected 1 to %d", len(name), maxIMAName)
	case string(name) == "ima":
		return IMAEntry{}, ErrIMAOld
	case pcr >= pcrCount:
		return IMAEntry{}, fmt.Errorf("PCR %d, expected 0 to %d", pcr, pcrCount-1)
	}
	e := IMAEntry{Index: index, PCR: int(pcr), Template: string(name), Violation: bytes.Equal(digest, make([]byte, sha1.Size))}
	size := r.u32()
	switch {
	case size > maxIMATemplate:
		return e, fmt.Errorf("claims %d bytes of data, expected at most %d", size, maxIMATemplate)
	case r.short || int64(size) > int64(r.left()):
		return e, fmt.Errorf("%w: claims %d bytes of data, %d are left", errCut, size, r.left())
	}
	e.Data = r.bytes(int(size))
	return e, e.fields()
}

// imaFields is how many fields the data of the kernel's own templates has.
var imaFields = map[string]int{"ima-ng": 2, "ima-ngv2": 2, "ima-sig": 3, "ima-sigv2": 3, "ima-modsig": 5}

// fields takes the data apart. What it says comes from the data alone: the template's name only makes a log malformed.
func (e *IMAEntry) fields() error {
	fields, err := split(e.Data)
	if len(fields) >= 2 {
		if wrong := e.file(fields[0], fields[1]); err == nil {
			err = wrong
		}
	}
	want, known := imaFields[e.Template]
	switch {
	case !known:
		return nil
	case err != nil:
		return err
	case len(fields) != want:
		return fmt.Errorf("%s with %d fields, expected %d", e.Template, len(fields), want)
	}
	if want > 2 && len(fields[2]) > 0 {
		e.Signature = fields[2]
	}
	return nil
}

// split returns the fields of a template's data, and with an error those before the fault.
func split(data []byte) (fields [][]byte, err error) {
	r := &reader{data: data}
	for r.left() > 0 {
		n := r.u32()
		if r.short || int64(n) > int64(r.left()) {
			return fields, fmt.Errorf("field %d claims %d bytes, %d are left", len(fields)+1, n, r.left())
		}
		if len(fields) == maxIMAFields {
			return fields, fmt.Errorf("more than %d fields", maxIMAFields)
		}
		fields = append(fields, r.bytes(int(n)))
	}
	return fields, nil
}

// file reads digest and path: "alg:", a zero and the digest, from version 2 on with "ima:" or "verity:" before; and a text that ends
// in a zero.
func (e *IMAEntry) file(digest, name []byte) error {
	head := digest[:min(len(digest), imaDigestPrefix)]
	colon := bytes.Index(head, []byte(":\x00"))
	if colon < 1 || !isText(head[:colon]) {
		return fmt.Errorf("a digest of %d bytes without an algorithm", len(digest))
	}
	path, ok := bytes.CutSuffix(name, []byte{0})
	if !ok || bytes.IndexByte(path, 0) >= 0 {
		return errors.New("a path that does not end in one zero")
	}
	e.Algorithm = strings.TrimPrefix(string(head[:colon]), "ima:")
	e.Digest, e.Path = digest[colon+2:], strings.ToValidUTF8(string(path), "\ufffd")
	return nil
}

// ReplayIMA computes a PCR's value after entries, from its value before the first of them: zero for a log from its
// start, or what an earlier piece has led to. Entries for other PCRs are left out.
func ReplayIMA(from [sha256.Size]byte, pcr int, entries []IMAEntry) [sha256.Size]byte {
	for i := range entries {
		if entries[i].PCR == pcr {
			by := entries[i].Extended()
			from = sha256.Sum256(append(from[:], by[:]...))
		}
	}
	return from
}
