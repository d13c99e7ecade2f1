package strictyaml

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// inline reads a value that starts at pos and ends on its line, or at its closing bracket, and then goes to the next
// line's content. Lines of a flow collection must be deeper than parent.
func (p *parser) inline(parent int) Node {
	var n Node
	faults := p.faults
	switch p.src[p.pos] {
	case '[', '{':
		n = p.flow(parent)
	case '"', '\'':
		n = p.quoted()
	case '|', '>':
		p.faultAt(p.pos, p.pos+1, RuleMultiline, "text on one line", "a block of text", `write "text" in quotes on one line`)
		n = p.bad(p.pos)
		p.skipBlock(parent)
		return n
	default:
		n = p.plain("")
	}
	if n.Kind == Bad && p.faults > faults {
		p.skipBlock(parent)
		return n
	}
	p.spaces()
	if !p.atEnd() {
		p.faultAt(p.pos, p.lineEnd(), RuleSyntax, "the end of the line", p.found(), "put text with special characters in quotes")
		p.skipBlock(parent)
		return n
	}
	p.skipLine()
	if n.Kind == Scalar && p.indent > parent {
		p.faultAt(p.pos, p.lineEnd(), RuleMultiline, "text on one line, or a key less deep", p.found(),
			"put the text in quotes on one line, or mend the indentation")
		p.skipBlock(parent)
	}
	return n
}

// plain reads a scalar without quotes; stops are the characters that end it besides a comment and the line's end.
func (p *parser) plain(stops string) Node {
	off := p.pos
	switch c := p.src[off]; {
	case c == '&' || c == '*' || c == '!':
		end := off
		for !p.followed(end) && strings.IndexByte(stops, p.src[end]) < 0 {
			end++
		}
		p.property(off, end)
		return p.bad(off)
	case strings.IndexByte(",]}#|>@`%", c) >= 0 || c == '?' || c == ':' || c == '-' && p.plainDash(off, stops):
		p.faultAt(off, off+1, RuleSyntax, "a value", p.found(), "put text that starts with "+strconv.Quote(string(c))+" in quotes")
		return p.bad(off)
	}
	end := off
	for i := off; i < len(p.src) && p.src[i] != '\n'; i++ {
		c := p.src[i]
		if strings.IndexByte(stops, c) >= 0 || c == '#' && isSpace(p.src[i-1]) {
			break
		}
		if c == ':' && (p.followed(i+1) || stops != "" && strings.IndexByte(stops, p.src[i+1]) >= 0) {
			if stops == "" {
				p.faultAt(i, i+1, RuleSyntax, "one key on one line", "a second colon", "put the value in quotes, or the inner key on its own line")
				return p.bad(off)
			}
			break
		}
		if !isSpace(c) {
			end = i + 1
		}
	}
	p.pos = end
	return Node{Kind: Scalar, Off: uint32(off), End: uint32(end), Text: p.src[off:end]} //nolint:gosec // below MaxBytes
}

// plainDash says whether the dash at i is an indicator and not the first letter of a plain scalar.
func (p *parser) plainDash(i int, stops string) bool {
	return p.followed(i+1) || stops != "" && strings.IndexByte(stops, p.src[i+1]) >= 0
}

// quoteEnd returns the offset behind the quoted text that starts at i, or -1 if it does not end on the line.
func (p *parser) quoteEnd(i int) int {
	q := p.src[i]
	for i++; i < len(p.src) && p.src[i] != '\n'; i++ {
		switch {
		case q == '"' && p.src[i] == '\\':
			i++
			if i < len(p.src) && p.src[i] == '\n' {
				return -1
			}
		case p.src[i] != q:
		case q == '\'' && i+1 < len(p.src) && p.src[i+1] == q:
			i++
		default:
			return i + 1
		}
	}
	return -1
}

func (p *parser) quoted() Node {
	off := p.pos
	end := p.quoteEnd(off)
	if end < 0 {
		p.faultAt(off, p.lineEnd(), RuleMultiline, "a closing quote on the same line", p.found(), "close the quotes; text stays on one line")
		return p.bad(off)
	}
	p.pos = end
	n := Node{Kind: Scalar, Off: uint32(off), End: uint32(end)} //nolint:gosec // below MaxBytes
	n.Text, n.Style = p.unquote(off, end)
	return n
}

// unquote resolves the quoted text between the offsets.
func (p *parser) unquote(off, end int) (string, Style) {
	s := p.src[off+1 : end-1]
	if p.src[off] == '\'' {
		return strings.ReplaceAll(s, "''", "'"), SingleQuoted
	}
	if strings.IndexByte(s, '\\') < 0 {
		return s, DoubleQuoted
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if j := strings.IndexByte(`"\/bfnrt`, s[i]); j >= 0 {
			b.WriteByte("\"\\/\b\f\n\r\t"[j])
			continue
		}
		if s[i] == 'u' && i+4 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+5], 16, 32); err == nil && utf8.ValidRune(rune(v)) { //nolint:gosec // 16 bits
				b.WriteRune(rune(v)) //nolint:gosec // 16 bits
				i += 4
				continue
			}
		}
		p.faultAt(off+i, off+i+2, RuleSyntax, `one of \" \\ \/ \b \f \n \r \t \uXXXX`, strconv.Quote(`\`+string(s[i])),
			"write a backslash as two, or use single quotes")
	}
	return b.String(), DoubleQuoted
}

// flow reads a collection in brackets, over any number of lines deeper than parent.
func (p *parser) flow(parent int) Node {
	off, mark := p.pos, len(p.stack)
	open := p.src[off]
	kind, closing := Sequence, byte(']')
	if open == '{' {
		kind, closing = Mapping, '}'
	}
	if !p.enter() {
		return p.bad(off)
	}
	p.pos++
	for {
		if !p.flowSpace(parent, closing) {
			return p.flowBroken(off, mark, "the closing "+strconv.Quote(string(closing)))
		}
		if p.src[p.pos] == closing {
			p.pos++
			n := p.collect(kind, off, mark)
			n.End = uint32(p.pos) //nolint:gosec // below MaxBytes
			return n
		}
		if kind == Mapping && !p.flowKey(parent) || !p.flowValue(parent, kind == Mapping) {
			return p.flowBroken(off, mark, "")
		}
		if !p.flowSpace(parent, closing) {
			return p.flowBroken(off, mark, "the closing "+strconv.Quote(string(closing)))
		}
		switch p.src[p.pos] {
		case ',':
			p.pos++
		case closing:
		default:
			return p.flowBroken(off, mark, "a comma or "+strconv.Quote(string(closing)))
		}
	}
}

// flowBroken reports what was expected at pos, if it has not been reported, and drops the collection.
func (p *parser) flowBroken(off, mark int, expected string) Node {
	if expected != "" {
		found, end, line := "the end of the file", p.pos, 0
		if p.pos < len(p.src) {
			found, end = p.found(), p.lineEnd()
		}
		if p.faults < MaxFaults { // counting costs time
			line = strings.Count(p.src[:off], "\n") + 1
		}
		p.faultAt(p.pos, end, RuleSyntax, expected, found,
			"the collection opens on line "+strconv.Itoa(line)+"; its lines must be indented deeper than its key")
	}
	clear(p.stack[mark:])
	p.stack = p.stack[:mark]
	p.depth--
	return Node{Kind: Bad, Off: uint32(off), End: uint32(off + 1)} //nolint:gosec // below MaxBytes
}

// flowSpace skips space, comments and line ends within a flow collection. It stops at a line that is not deeper than
// parent, unless that starts with the closing bracket.
func (p *parser) flowSpace(parent int, closing byte) bool {
	for {
		p.spaces()
		if p.pos == len(p.src) {
			return false
		}
		if !p.atEnd() {
			return true
		}
		p.toLineEnd()
		if p.pos == len(p.src) {
			return false
		}
		start := p.pos + 1
		p.pos = start
		p.spaces()
		if p.atEnd() {
			continue
		}
		if col := p.pos - start; col <= parent && (p.src[p.pos] != closing || col < parent) {
			p.pos = start - 1 // the line belongs to somebody else
			return false
		}
		return true
	}
}

// flowKey reads a key and its colon.
func (p *parser) flowKey(parent int) bool {
	var key Node
	switch c := p.src[p.pos]; {
	case c == '"' || c == '\'':
		key = p.quoted()
	case c == '[' || c == '{' || c == '?' && p.followed(p.pos+1):
		p.faultAt(p.pos, p.pos+1, RuleKey, "a simple key like name: value", p.found(), "write key: value")
		return false
	default:
		key = p.plain(",[]{}")
	}
	if key.Kind == Bad {
		return false
	}
	if key.Style == Plain && key.Text != "<<" && !plainKey(key.Text) {
		p.oddKey(int(key.Off), int(key.End))
		return false
	}
	if key.Text == "<<" && key.Style == Plain {
		p.faultAt(int(key.Off), int(key.End), RuleMerge, "keys written out", "a merge key", "repeat the keys where they are needed")
		return false
	}
	p.spaces()
	if p.pos >= len(p.src) || p.src[p.pos] != ':' {
		p.faultAt(p.pos, p.lineEnd(), RuleSyntax, "a colon behind the key", p.found(), "write {key: value}")
		return false
	}
	p.pos++
	p.stack = append(p.stack, key)
	return p.flowSpace(parent, '}') || p.flowUnclosed()
}

func (p *parser) flowUnclosed() bool {
	p.faultAt(p.pos, p.pos, RuleSyntax, "a value and the closing \"}\"", "the end of the collection's lines", "")
	return false
}

// flowValue reads one value; in a mapping it may be missing.
func (p *parser) flowValue(parent int, inMapping bool) bool {
	var n Node
	switch c := p.src[p.pos]; {
	case c == '[' || c == '{':
		n = p.flow(parent)
	case c == '"' || c == '\'':
		n = p.quoted()
	case inMapping && (c == ',' || c == '}'):
		n = p.empty(p.pos)
	default:
		n = p.plain(",[]{}")
	}
	if n.Kind == Bad {
		return false
	}
	p.stack = append(p.stack, n)
	return true
}
