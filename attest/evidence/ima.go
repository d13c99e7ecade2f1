package evidence

import (
	"slices"
	"strconv"
	"strings"
)

// The kernel's log of files (IMA) only grows, and a robot that runs for weeks has much of it. So a verifier asks for what comes from
// an offset on, by the name of the first piece, and a robot sends pieces of MaxLog bytes, each named by its own offset.
const (
	// LogIMA begins the names of the pieces.
	LogIMA = "ima"
	// MaxIMAParts is the largest number of pieces that go along with one evidence. Where all are full, the log goes on: it is judged
	// and remembered as far as it came, no result is signed, and the rest comes with the next evidence.
	MaxIMAParts  = MaxLogs - 2
	maxIMAOffset = 1 << 40
)

// IMAPart names the piece of the log that begins at an offset.
func IMAPart(offset int64) string { return LogIMA + "." + strconv.FormatInt(offset, 10) }

// IMAOffset is where the piece with a name begins; false for what names no piece.
func IMAOffset(name string) (int64, bool) {
	text, ok := strings.CutPrefix(name, LogIMA+".")
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || n < 0 || n > maxIMAOffset || IMAPart(n) != name {
		return 0, false
	}
	return n, true
}

// IMAAsked is the offset from which on a challenge that asks for these logs wants the log of files; false if it does not.
func IMAAsked(logs []string) (int64, bool) {
	least, asked := int64(0), false
	for _, name := range logs {
		if n, ok := IMAOffset(name); ok && (!asked || n < least) {
			least, asked = n, true
		}
	}
	return least, asked
}

// IMAParts are the offsets of the pieces that the claims name, rising.
func (c *Claims) IMAParts() []int64 {
	var out []int64
	for _, l := range c.Logs {
		if n, ok := IMAOffset(l.Name); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
