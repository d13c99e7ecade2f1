package journal

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Decoder turns a payload into a kind's name and one line of text. It is asked
// for the caller's kinds only; an error makes [AppendLine] show the bytes.
// What cannot be printed in its text is escaped, so text from outside cannot
// play tricks on a terminal.
type Decoder func(kind Kind, payload []byte) (name, text string, err error)

// shownBytes is how much of an undecoded payload a line shows.
const shownBytes = 32

// AppendLine appends one line, without its end, that describes the record:
// number, start of the boot id, boot clock, kind and content. d may be nil.
func AppendLine(dst []byte, r *Record, d Decoder) []byte {
	dst = strconv.AppendUint(dst, r.Seq, 10)
	if r.Segment != nil {
		dst = fmt.Appendf(dst, " %x", r.Segment.BootID[:4])
	}
	dst = fmt.Appendf(dst, " %.6fs", r.Boot.Seconds())
	if r.Urgent {
		dst = append(dst, '!')
	}
	name := r.Kind.String()
	var text string
	var err error
	switch {
	case r.Kind.Reserved():
		text, err = describeOwn(r)
	case d != nil:
		name, text, err = d(r.Kind, r.Payload)
	default:
		text = summary(r.Payload)
	}
	if err != nil {
		name, text = r.Kind.String(), fmt.Sprintf("%s (%v)", summary(r.Payload), err)
	}
	dst = appendPrintable(append(dst, ' '), name)
	dst = appendPrintable(append(dst, ' '), text)
	if r.Unlinked {
		dst = append(dst, " (after damage: what is missing before it is unknown)"...)
	}
	return dst
}

// appendPrintable appends s with everything that is not printable escaped.
func appendPrintable(dst []byte, s string) []byte {
	for _, c := range s {
		if strconv.IsPrint(c) && c != utf8.RuneError {
			dst = utf8.AppendRune(dst, c)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(c)
		dst = append(dst, quoted[1:len(quoted)-1]...)
	}
	return dst
}

// summary shows the length and the first bytes of a payload.
func summary(b []byte) string {
	if len(b) <= shownBytes {
		return fmt.Sprintf("%d bytes %x", len(b), b)
	}
	return fmt.Sprintf("%d bytes %x…", len(b), b[:shownBytes])
}

// HexDump shows a payload with offsets and text, 16 bytes a line.
func HexDump(payload []byte) string { return hex.Dump(payload) }

// describeOwn tells the content of the journal's own records.
func describeOwn(r *Record) (string, error) {
	switch r.Kind {
	case KindGap:
		g, err := ParseGap(r.Payload)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d records lost, %d to %d, between %s and %s", g.Count, r.Seq, r.LastSeq(), seconds(g.After), seconds(g.Before)), nil
	case KindRecovered:
		v, err := ParseRecovered(r.Payload)
		if err != nil {
			return "", err
		}
		return describeRecovered(&v), nil
	case KindClose:
		c, err := ParseClosed(r.Payload)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("closed in order, %d records lost in the session", c.Lost), nil
	}
	return summary(r.Payload), nil
}

func describeRecovered(v *Recovered) string {
	switch v.Cause {
	case CauseTorn, CauseDamaged, CauseHeader:
	case CauseMissing:
		return fmt.Sprintf("%v: %d to %d", v.Cause, v.Segment, v.Offset)
	case CauseSuccessor:
		return fmt.Sprintf("%v: segment %d", v.Cause, v.Segment)
	}
	s := fmt.Sprintf("%v: segment %d byte %d, %d bytes, sha256 %x", v.Cause, v.Segment, v.Offset, v.Bytes, v.Sum)
	if name := v.Evidence(); name != "" {
		s += ", kept in " + name
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6fs", d.Seconds()) }
