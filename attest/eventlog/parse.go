package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// What a log may hold at most. Real ones have 10 to 100 KiB and 50 to 300 events.
const (
	// MaxLog is the largest log that is read, in bytes.
	MaxLog = 1 << 20
	// MaxEvents is the most events that a log may have.
	MaxEvents = 8192
	maxBanks  = 8
	maxDigest = 64
	pcrCount  = 24
)

// Reasons for which a log is refused. Errors wrap exactly one of them.
var (
	// ErrEmpty says that there is no log: firmware without one, or a virtual TPM. Whether that will do is policy.
	ErrEmpty = errors.New("the event log is empty")
	// ErrLegacy says that the log has SHA-1 digests only. Firmware with TPM 2.0 can write a crypto-agile one.
	ErrLegacy = errors.New("the event log is a SHA-1 legacy log; expected a crypto-agile one (Spec ID Event03)")
	// ErrMalformed says that the bytes are no event log.
	ErrMalformed = errors.New("malformed event log")
	// ErrTooLarge says that the log exceeds MaxLog or MaxEvents.
	ErrTooLarge = errors.New("the event log is too large")
	// ErrNoBank says that the log has no digests by the wanted algorithm.
	ErrNoBank = errors.New("the event log has no digests for this bank")
)

// Alg is a digest algorithm by its TCG number.
type Alg uint16

// Digest algorithms that PCR banks use.
const (
	SHA1   Alg = 0x04
	SHA256 Alg = 0x0b
	SHA384 Alg = 0x0c
	SHA512 Alg = 0x0d
)

// String is the algorithm's usual name.
func (a Alg) String() string {
	switch a {
	case SHA1:
		return "SHA-1"
	case SHA256:
		return "SHA-256"
	case SHA384:
		return "SHA-384"
	case SHA512:
		return "SHA-512"
	default:
		return fmt.Sprintf("algorithm %#x", uint16(a))
	}
}

// Bank is one of the digests that each event has.
type Bank struct {
	// Alg is the algorithm.
	Alg Alg
	// Size is the digest's length in bytes.
	Size int
}

// Event is one event of the firmware's log. Its slices point into the log's bytes.
type Event struct {
	// Index is the event's place, counted from 1; 0 is the log's header.
	Index int
	// PCR is the PCR that was extended, 0 to 23.
	PCR int
	// Type says what was measured.
	Type Type
	// Digests are in the order of Log.Banks.
	Digests [][]byte
	// Data is what the firmware says about the event.
	Data []byte
}

// Log is a parsed crypto-agile log.
type Log struct {
	// Banks are the digests that every event has.
	Banks []Bank
	// Events are in the order in which they were extended; those of type EV_NO_ACTION were not.
	Events []Event
	// StartupLocality is the locality from which the TPM was started (0, 3, or 4 with a hardware root of trust): PCR 0
	// starts with this value.
	StartupLocality int
}

const (
	legacyHeader    = 32 // PCR, type, SHA-1 digest, size of the data
	agileSignature  = "Spec ID Event03\x00"
	legacySignature = "Spec ID Event0"
	localityMark    = "StartupLocality\x00"
	maxLocality     = 4
	anyPCR          = 0xffffffff // informative events that belong to no PCR
)

// Parse reads a crypto-agile log. It keeps references to data, and reads no further than data reaches whatever lengths
// the log claims.
func Parse(data []byte) (*Log, error) {
	switch {
	case len(data) == 0:
		return nil, ErrEmpty
	case len(data) > MaxLog:
		return nil, fmt.Errorf("%w: %d bytes, expected at most %d", ErrTooLarge, len(data), MaxLog)
	}
	r := &reader{data: data}
	l := &Log{}
	if err := l.header(r); err != nil {
		return nil, err
	}
	for r.left() > 0 {
		if len(l.Events) == MaxEvents {
			return nil, fmt.Errorf("%w: more than %d events", ErrTooLarge, MaxEvents)
		}
		at := r.at
		e, err := l.event(r, len(l.Events)+1)
		if err == nil {
			err = l.locality(&e)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: event %d at byte %d: %w", ErrMalformed, len(l.Events)+1, at, err)
		}
		l.Events = append(l.Events, e)
	}
	return l, nil
}

// header reads the first event, which has the old format and names the banks.
func (l *Log) header(r *reader) error {
	pcr, typ := r.u32(), Type(r.u32())
	r.bytes(20)
	size := r.u32()
	body := r.bytes(int(min(size, MaxLog+1)))
	if r.short || pcr >= pcrCount {
		return fmt.Errorf("%w: begins with no event", ErrMalformed)
	}
	if typ != NoAction || !bytes.HasPrefix(body, []byte(agileSignature)) {
		// An old log is nothing but events of the old format; its first may be a header of an older specification.
		if typ == NoAction && !bytes.HasPrefix(body, []byte(legacySignature)) && !bytes.HasPrefix(body, []byte(localityMark)) {
			return fmt.Errorf("%w: begins with an unknown header", ErrMalformed)
		}
		return ErrLegacy
	}
	if pcr != 0 {
		return fmt.Errorf("%w: header for PCR %d, expected 0", ErrMalformed, pcr)
	}
	if err := l.banks(&reader{data: body[len(agileSignature):]}); err != nil {
		return fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	return nil
}

// banks reads TCG_EfiSpecIdEvent after its signature.
func (l *Log) banks(r *reader) error {
	r.bytes(8) // platform class, version, errata, size of an unsigned integer
	n := r.u32()
	if r.short || n == 0 || n > maxBanks {
		return fmt.Errorf("%d digest algorithms, expected 1 to %d", n, maxBanks)
	}
	for range n {
		b := Bank{Alg(r.u16()), int(r.u16())}
		if r.short {
			return errors.New("ends within the digest algorithms")
		}
		if h := b.Alg.hash(); b.Size == 0 || b.Size > maxDigest || h != 0 && h.Size() != b.Size {
			return fmt.Errorf("%v with digests of %d bytes", b.Alg, b.Size)
		}
		if slices.ContainsFunc(l.Banks, func(o Bank) bool { return o.Alg == b.Alg }) {
			return fmt.Errorf("%v is listed twice", b.Alg)
		}
		l.Banks = append(l.Banks, b)
	}
	r.bytes(int(r.u8())) // the vendor's own
	if r.short || r.left() != 0 {
		return errors.New("the vendor's part has another length than it says")
	}
	return nil
}

// event reads one TCG_PCR_EVENT2.
func (l *Log) event(r *reader, index int) (Event, error) {
	pcr := r.u32()
	e := Event{Index: index, Type: Type(r.u32()), Digests: make([][]byte, len(l.Banks))}
	count := r.u32()
	if r.short {
		return e, errors.New("ends within the event's head")
	}
	switch {
	case pcr < pcrCount:
		e.PCR = int(pcr)
	case pcr == anyPCR && e.Type == NoAction:
		e.PCR = -1
	default:
		return e, fmt.Errorf("PCR %d, expected 0 to %d", pcr, pcrCount-1)
	}
	if int64(count) != int64(len(l.Banks)) {
		return e, fmt.Errorf("%d digests, expected %d as the header says", count, len(l.Banks))
	}
	for range count {
		alg := Alg(r.u16())
		i := slices.IndexFunc(l.Banks, func(b Bank) bool { return b.Alg == alg })
		if r.short || i < 0 || e.Digests[i] != nil {
			return e, fmt.Errorf("digest by %v, expected each of the header's %d once", alg, len(l.Banks))
		}
		if e.Digests[i] = r.bytes(l.Banks[i].Size); r.short {
			return e, errors.New("ends within a digest")
		}
	}
	size := r.u32()
	if r.short || int64(size) > int64(r.left()) {
		return e, fmt.Errorf("claims %d bytes of data, %d are left", size, r.left())
	}
	e.Data = r.bytes(int(size))
	return e, nil
}

// locality notes from where the TPM was started. The event counts only before PCR 0 was first extended: later, it could
// not have changed anything.
func (l *Log) locality(e *Event) error {
	if e.Type != NoAction || e.PCR != 0 || !bytes.HasPrefix(e.Data, []byte(localityMark)) {
		return nil
	}
	if len(e.Data) != len(localityMark)+1 || e.Data[len(localityMark)] > maxLocality {
		return fmt.Errorf("StartupLocality of %d bytes, expected one locality from 0 to %d", len(e.Data)-len(localityMark), maxLocality)
	}
	for i := range l.Events {
		if o := &l.Events[i]; o.PCR == 0 && (o.Type != NoAction || bytes.HasPrefix(o.Data, []byte(localityMark))) {
			return fmt.Errorf("StartupLocality after event %d (%v) of PCR 0, expected it first and once", o.Index, o.Type)
		}
	}
	l.StartupLocality = int(e.Data[len(localityMark)])
	return nil
}

// reader takes little-endian values from data; once short, it stays short and yields zeros.
type reader struct {
	data  []byte
	at    int
	short bool
}

func (r *reader) left() int { return len(r.data) - r.at }

func (r *reader) bytes(n int) []byte {
	if r.short || n < 0 || n > r.left() {
		r.short = true
		return nil
	}
	b := r.data[r.at : r.at+n : r.at+n]
	r.at += n
	return b
}

func (r *reader) u8() uint8 {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}
