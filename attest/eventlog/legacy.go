package eventlog

import (
	"crypto/sha1" //nolint:gosec // the old format's digests; nothing is proven by them
	"errors"
	"fmt"
)

// ParseLegacy reads a log of the old format, which [Parse] refuses with [ErrLegacy]: one SHA-1 digest for each event and
// no other. Such a log can be shown to people. It leads to no SHA-256 PCR, so nothing in it is proven, whatever a quote
// says: [Expect] refuses it with [ErrNoBank].
func ParseLegacy(data []byte) (*Log, error) {
	switch {
	case len(data) == 0:
		return nil, ErrEmpty
	case len(data) > MaxLog:
		return nil, fmt.Errorf("%w: %d bytes, expected at most %d", ErrTooLarge, len(data), MaxLog)
	}
	r := &reader{data: data}
	l := &Log{Banks: []Bank{{SHA1, sha1.Size}}}
	for r.left() > 0 {
		if len(l.Events) == MaxEvents {
			return nil, fmt.Errorf("%w: more than %d events", ErrTooLarge, MaxEvents)
		}
		at := r.at
		e, err := legacyEvent(r, len(l.Events)+1)
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

// legacyEvent reads one TCG_PCR_EVENT.
func legacyEvent(r *reader, index int) (Event, error) {
	pcr := r.u32()
	e := Event{Index: index, Type: Type(r.u32()), Digests: [][]byte{r.bytes(sha1.Size)}}
	size := r.u32()
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
	if int64(size) > int64(r.left()) {
		return e, fmt.Errorf("claims %d bytes of data, %d are left", size, r.left())
	}
	e.Data = r.bytes(int(size))
	return e, nil
}
