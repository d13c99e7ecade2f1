package verifier

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Set is either a set of allowed values or, with a reason, any value.
type Set struct {
	// Allowed are the allowed values: digests as 64 lower-case hexadecimal digits, versions as text.
	Allowed []string `json:"allowed,omitempty"`
	// Leaving are values that are allowed until a moment, each by itself: those before a planned update.
	Leaving []Leaving `json:"leaving,omitempty"`
	// Any lets every value pass, and Why says why.
	Any bool   `json:"any,omitempty"`
	Why string `json:"why,omitempty"`
}

// Leaving is a value that is on its way out.
type Leaving struct {
	// Value is the value, as in Set.Allowed.
	Value string `json:"value"`
	// Until is the moment from which the value is refused, RFC 3339 in UTC.
	Until time.Time `json:"until"`
}

// check demands either values or, with a reason, any.
func (s *Set) check(form func(string) bool) error {
	values := len(s.Allowed) + len(s.Leaving)
	switch {
	case s.Any && (values > 0 || !isLine(s.Why)):
		return fmt.Errorf("expected any: true with why (one line of 1 to %d bytes) and without allowed and leaving", maxWhy)
	case !s.Any && (values == 0 || values > maxAllowed || s.Why != ""):
		return fmt.Errorf("expected allowed or leaving with 1 to %d values, or any: true with why", maxAllowed)
	}
	for i, l := range s.Leaving {
		if !form(l.Value) {
			return fmt.Errorf("leaving[%d].value: found %q: expected 64 lower-case hexadecimal digits, or for a kernel one line", i, clip(l.Value))
		}
		if l.Until.IsZero() || l.Until.Year() > 9000 {
			return fmt.Errorf("leaving[%d].until: found no moment: expected one such as 2026-12-31T00:00:00Z", i)
		}
		if slices.Contains(s.Allowed, l.Value) || slices.ContainsFunc(s.Leaving[:i], func(o Leaving) bool { return o.Value == l.Value }) {
			return fmt.Errorf("leaving[%d].value: %s comes twice", i, clip(l.Value))
		}
	}
	for i, v := range s.Allowed {
		if !form(v) {
			return fmt.Errorf("allowed[%d]: found %q: expected 64 lower-case hexadecimal digits, or for a kernel one line", i, clip(v))
		}
		if slices.Contains(s.Allowed[:i], v) {
			return fmt.Errorf("allowed[%d]: %s comes twice", i, clip(v))
		}
	}
	return nil
}

// allows reports whether a value may be at a moment. At no known moment, what is leaving has left.
func (s *Set) allows(v string, now time.Time) bool {
	return s.Any || slices.Contains(s.Allowed, v) ||
		!now.IsZero() && slices.ContainsFunc(s.Leaving, func(l Leaving) bool { return l.Value == v && now.Before(l.Until) })
}

// left is the moment at which a value has left, and whether it is one that leaves.
func (s *Set) left(v string) (time.Time, bool) {
	i := slices.IndexFunc(s.Leaving, func(l Leaving) bool { return l.Value == v })
	if i < 0 {
		return time.Time{}, false
	}
	return s.Leaving[i].Until, true
}

// accepts lists what is allowed at a moment.
func (s *Set) accepts(now time.Time) []string {
	out := slices.Clone(s.Allowed)
	for _, l := range s.Leaving {
		if s.allows(l.Value, now) {
			out = append(out, l.Value)
		}
	}
	return out
}

// text names what is allowed at a moment, shortened for an error message.
func (s *Set) text(now time.Time) string {
	values := s.accepts(now)
	switch {
	case s.Any:
		return "anything"
	case len(values) == 0:
		return "nothing any more"
	case len(values) == 1:
		return values[0]
	case len(values) <= 3:
		return "one of " + strings.Join(values, ", ")
	}
	return fmt.Sprintf("one of %s and %d others", strings.Join(values[:2], ", "), len(values)-2)
}

func isDigest(s string) bool {
	if len(s) != 64 || s != strings.ToLower(s) {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// isName reports whether s is 1 to 64 of a-z, 0-9 and "._-".
func isName(s string) bool {
	return s != "" && len(s) <= 64 &&
		!strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) })
}

// isLine reports whether s is one printable line of at most maxWhy bytes.
func isLine(s string) bool {
	return s != "" && len(s) <= maxWhy && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
