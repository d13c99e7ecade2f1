package eventlog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a measured log may hold at most.
const (
	// MaxMeasured is the largest measured log that is read, in bytes.
	MaxMeasured = 64 << 10
	// MaxMeasuredFiles is the most files that a measured log may have.
	MaxMeasuredFiles = 128
	// maxMeasuredPath is the longest path, in bytes.
	maxMeasuredPath = 400
	// FirstMeasuredPCR is the lowest PCR that a measured log may be about; those below belong to the firmware.
	FirstMeasuredPCR = 8
	// LastMeasuredPCR is the highest; software can reset those above.
	LastMeasuredPCR = 15
)

// ErrMeasured says that the bytes are no measured log.
var ErrMeasured = errors.New("malformed measured log")

const (
	measuredTitle  = "robowarden-measured 1"
	measuredDomain = "robowarden/measured/v1\x00"
)

// MeasuredFile is one file that was extended into the log's PCR.
type MeasuredFile struct {
	// Path is where the file was found: absolute, without . or .., printable.
	Path string
	// Size is its length in bytes.
	Size int64
	// Digest is the SHA-256 digest of its content.
	Digest [sha256.Size]byte
}

// Extended is what the PCR was extended by. It covers path and size too, so that a log cannot lend one file's digest to another.
func (f MeasuredFile) Extended() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(measuredDomain))
	h.Write(f.Digest[:])
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(f.Size)))
	h.Write([]byte(f.Path))
	return [sha256.Size]byte(h.Sum(nil))
}

// Measured is the log of `robowarden measure`, see FORMAT.md.
type Measured struct {
	// PCR is the PCR that was extended.
	PCR int
	// Start is the PCR's value before the first file, as the measuring program saw it. Verifiers go by what the firmware's
	// log leads to instead, see Expect.
	Start [sha256.Size]byte
	// Files are in the order in which they were extended.
	Files []MeasuredFile
}

// ParseMeasured reads a measured log. There is one way to write each log; all others are refused.
func ParseMeasured(data []byte) (*Measured, error) {
	if len(data) > MaxMeasured {
		return nil, fmt.Errorf("%w: %d bytes, expected at most %d", ErrMeasured, len(data), MaxMeasured)
	}
	m := &Measured{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		if err := m.line(n, lines.Text()); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrMeasured, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMeasured, err)
	}
	if !bytes.Equal(m.Bytes(), data) {
		return nil, fmt.Errorf("%w: ends early, or is not written as FORMAT.md says", ErrMeasured)
	}
	return m, nil
}

func (m *Measured) line(n int, s string) error {
	switch {
	case n == 1:
		if s != measuredTitle {
			return fmt.Errorf("found %.40q, expected %q", s, measuredTitle)
		}
		return nil
	case n == 2:
		return m.head(s)
	case len(m.Files) == MaxMeasuredFiles:
		return fmt.Errorf("more than %d files", MaxMeasuredFiles)
	}
	fields := strings.SplitN(s, " ", 4)
	if len(fields) != 4 || fields[0] != "file" {
		return fmt.Errorf("found %.40q, expected file, digest, size and path", s)
	}
	var f MeasuredFile
	if err := fromHex(f.Digest[:], fields[1]); err != nil {
		return err
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("size %.40q, expected bytes", fields[2])
	}
	if err := CheckMeasuredPath(fields[3]); err != nil {
		return err
	}
	f.Size, f.Path = size, fields[3]
	m.Files = append(m.Files, f)
	return nil
}

func (m *Measured) head(s string) error {
	fields := strings.Split(s, " ")
	if len(fields) != 4 || fields[0] != "pcr" || fields[2] != "start" {
		return fmt.Errorf("found %.40q, expected pcr, its number, start and its value", s)
	}
	pcr, err := strconv.Atoi(fields[1])
	if err != nil {
		return fmt.Errorf("PCR %.40q, expected a number", fields[1])
	}
	if err := CheckMeasuredPCR(pcr); err != nil {
		return err
	}
	m.PCR = pcr
	return fromHex(m.Start[:], fields[3])
}

func fromHex(to []byte, s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(to) {
		return fmt.Errorf("found %.70q, expected %d hexadecimal digits", s, 2*len(to))
	}
	copy(to, b)
	return nil
}

// Bytes writes the log.
func (m *Measured) Bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\npcr %d start %x\n", measuredTitle, m.PCR, m.Start)
	for _, f := range m.Files {
		fmt.Fprintf(&b, "file %x %d %s\n", f.Digest, f.Size, f.Path)
	}
	return b.Bytes()
}

// Replay is the PCR's value after the log, from its value before.
func (m *Measured) Replay(from [sha256.Size]byte) [sha256.Size]byte {
	for _, f := range m.Files {
		e := f.Extended()
		from = sha256.Sum256(append(from[:], e[:]...))
	}
	return from
}

// Digests are all digests under which the file at path was measured, in their order. More than one means that it was
// replaced while the machine was up; either may be what runs.
func (m *Measured) Digests(path string) [][sha256.Size]byte {
	var out [][sha256.Size]byte
	for _, f := range m.Files {
		if f.Path == path {
			out = append(out, f.Digest)
		}
	}
	return out
}

// CheckMeasuredPath says whether a path may stand in a measured log: absolute, clean and printable, at most 400 bytes.
func CheckMeasuredPath(p string) error {
	if len(p) > maxMeasuredPath || !utf8.ValidString(p) || !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("path %.80q, expected an absolute one without . and .., printable, of at most %d bytes", p, maxMeasuredPath)
	}
	return nil
}

// CheckMeasuredPCR says whether a measured log may be about this PCR.
func CheckMeasuredPCR(pcr int) error {
	if pcr < FirstMeasuredPCR || pcr > LastMeasuredPCR {
		return fmt.Errorf("PCR %d, expected %d to %d: lower ones are the firmware's, higher ones can be reset", pcr, FirstMeasuredPCR, LastMeasuredPCR)
	}
	return nil
}
