package wire

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mismatch tells why the reader r does not hear the writer w, naming the QoS and both values; "" if it does.
func Mismatch(w, r *EndpointData) string {
	switch {
	case w.Topic != r.Topic:
		return differ("topic", quote(w.Topic), quote(r.Topic))
	case w.Type != r.Type:
		return differ("type", quote(w.Type), quote(r.Type))
	case w.GUID.Entity.Keyed() != r.GUID.Entity.Keyed():
		return differ("topic kind", keyed(w), keyed(r))
	}
	o, q := &w.QoS, &r.QoS
	switch {
	case q.Reliable && !o.Reliable:
		return short("reliability", "best effort", "reliable")
	case q.Durability > o.Durability:
		return short("durability", word(durabilities, o.Durability), word(durabilities, q.Durability))
	case q.Deadline < o.Deadline:
		return short("deadline", spell(o.Deadline), spell(q.Deadline))
	case q.LatencyBudget < o.LatencyBudget:
		return short("latency budget", spell(o.LatencyBudget), spell(q.LatencyBudget))
	case q.Liveliness > o.Liveliness:
		return short("liveliness", word(livelinesses, o.Liveliness), word(livelinesses, q.Liveliness))
	case q.LivelinessLease < o.LivelinessLease:
		return short("liveliness lease", spell(o.LivelinessLease), spell(q.LivelinessLease))
	case q.Exclusive != o.Exclusive:
		return differ("ownership", ownership(o), ownership(q))
	case q.BySource && !o.BySource:
		return short("destination order", "by reception", "by source")
	}
	if why := mismatchPresentation(o, q); why != "" {
		return why
	}
	if !representable(o, q) {
		return short("data representation", spellRepresentations(offered(o)), spellRepresentations(q.Representations...))
	}
	if !PartitionsMeet(o.Partitions, q.Partitions) {
		return differ("partition", fmt.Sprintf("%q", o.Partitions), fmt.Sprintf("%q", q.Partitions))
	}
	return ""
}

func mismatchPresentation(o, q *QoS) string {
	switch {
	case q.Presentation > o.Presentation:
		return short("presentation", word(presentations, o.Presentation), word(presentations, q.Presentation))
	case q.Coherent && !o.Coherent:
		return short("presentation", "not coherent", "coherent")
	case q.Ordered && !o.Ordered:
		return short("presentation", "not ordered", "ordered")
	}
	return ""
}

var (
	durabilities  = []string{"volatile", "transient local", "transient", "persistent"}
	livelinesses  = []string{"automatic", "manual by participant", "manual by topic"}
	presentations = []string{"instance", "topic", "group"}

	representations = [...]string{XCDR1: "XCDR1", XML: "XML", XCDR2: "XCDR2"}
)

func short(what, offer, request string) string {
	return what + ": the writer offers " + offer + ", the reader requests " + request
}

func differ(what, writer, reader string) string {
	return what + ": the writer has " + writer + ", the reader has " + reader
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

func word(words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return fmt.Sprint(i)
}

func spell(d time.Duration) string {
	if d == Infinite {
		return "infinite"
	}
	return d.String()
}

func keyed(e *EndpointData) string {
	if e.GUID.Entity.Keyed() {
		return "keys"
	}
	return "no keys"
}

func ownership(q *QoS) string {
	if q.Exclusive {
		return "exclusive"
	}
	return "shared"
}

// offered is the one representation that a writer uses: the first that it names.
func offered(q *QoS) int16 {
	if len(q.Representations) > 0 {
		return q.Representations[0]
	}
	return XCDR1
}

func spellRepresentations(list ...int16) string {
	if len(list) == 0 {
		list = []int16{XCDR1}
	}
	words := make([]string, len(list))
	for i, r := range list {
		if words[i] = fmt.Sprint(r); r >= 0 && int(r) < len(representations) {
			words[i] = representations[r]
		}
	}
	return "[" + strings.Join(words, " ") + "]"
}

func representable(o, q *QoS) bool {
	if len(q.Representations) == 0 {
		return offered(o) == XCDR1
	}
	return slices.Contains(q.Representations, offered(o))
}

// PartitionsMeet tells whether a name of one list meets one of the other. A list without names has the one partition
// without a name. Names with *, ? or [ are patterns; two patterns never meet unless they are the same.
func PartitionsMeet(a, b []string) bool {
	unnamed := []string{""}
	if len(a) == 0 {
		a = unnamed
	}
	if len(b) == 0 {
		b = unnamed
	}
	for _, x := range a {
		for _, y := range b {
			if partitionMeets(x, y) {
				return true
			}
		}
	}
	return false
}

func partitionMeets(x, y string) bool {
	switch px, py := pattern(x), pattern(y); {
	case x == y:
		return true
	case px && !py:
		return fits(x, y)
	case py && !px:
		return fits(y, x)
	}
	return false
}

func pattern(s string) bool { return strings.ContainsAny(s, "*?[") }

// fits tells whether a name fits a pattern of POSIX's fnmatch. A star is retried from where it last stood, so the work is
// at most the product of both lengths.
func fits(p, s string) bool {
	star, from, i, j := -1, 0, 0, 0
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			star, from = i, j
			i++
			continue
		}
		if n, ok := fitsOne(p[i:], s[j]); ok {
			i += n
			j++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		i, j = star+1, from
	}
	return strings.Trim(p[i:], "*") == ""
}

// fitsOne tells whether c fits the pattern's first element, and how long that is.
func fitsOne(p string, c byte) (n int, ok bool) {
	switch {
	case p == "":
		return 0, false
	case p[0] == '?':
		return 1, true
	case p[0] == '[':
		if n, ok := class(p, c); n > 0 {
			return n, ok
		}
	case p[0] == '\\' && len(p) > 1:
		return 2, p[1] == c
	}
	return 1, p[0] == c
}

// class reads a bracket expression; n is 0 if it is not closed, and the bracket a character like any other then.
func class(p string, c byte) (n int, ok bool) {
	i, not := 1, false
	if len(p) > 1 && (p[1] == '!' || p[1] == '^') {
		i, not = 2, true
	}
	for start := i; i < len(p); i++ {
		if p[i] == ']' && i > start {
			return i + 1, ok != not
		}
		low, high := p[i], p[i]
		if i+2 < len(p) && p[i+1] == '-' && p[i+2] != ']' {
			high = p[i+2]
			i += 2
		}
		ok = ok || low <= c && c <= high
	}
	return 0, false
}
