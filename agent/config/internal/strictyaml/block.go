package strictyaml

import (
	"strconv"
	"strings"
)

// block reads the value whose content starts at pos, in column indent or deeper, with everything that belongs to it.
// parent is the column that lines must exceed to continue a flow collection.
func (p *parser) block(parent int) Node {
	indent := p.indent
	switch {
	case p.dash():
		return p.sequence(indent)
	case p.complexKey():
		p.faultAt(p.pos, p.pos+1, RuleKey, "a simple key like name: value", "a complex key (?)", "write key: value")
		bad := p.bad(p.pos)
		p.skipBlock(indent)
		return bad
	case p.keyEnd() >= 0:
		return p.mapping(indent)
	}
	return p.inline(parent)
}

func (p *parser) bad(off int) Node {
	return Node{Kind: Bad, Off: uint32(off), End: uint32(p.lineEnd())} //nolint:gosec // below MaxBytes
}

func (p *parser) empty(off int) Node {
	return Node{Kind: Empty, Off: uint32(off), End: uint32(off)} //nolint:gosec // below MaxBytes
}

// followed says whether the character at i ends an indicator: space or the line's end.
func (p *parser) followed(i int) bool {
	return i >= len(p.src) || isSpace(p.src[i]) || p.src[i] == '\n'
}

func (p *parser) dash() bool { return p.src[p.pos] == '-' && p.followed(p.pos+1) }

func (p *parser) complexKey() bool { return p.src[p.pos] == '?' && p.followed(p.pos+1) }

// keyEnd returns the offset of the colon if the line's content is a key, else -1.
func (p *parser) keyEnd() int {
	i := p.pos
	switch c := p.src[i]; c {
	case '"', '\'':
		if i = p.quoteEnd(i); i < 0 {
			return -1
		}
		for i < len(p.src) && isSpace(p.src[i]) {
			i++
		}
		if i < len(p.src) && p.src[i] == ':' && p.followed(i+1) {
			return i
		}
		return -1
	case '[', '{', '#', '|', '>', '@', '`', '%':
		return -1
	}
	for ; i < len(p.src) && p.src[i] != '\n'; i++ {
		switch p.src[i] {
		case ':':
			if p.followed(i + 1) {
				return i
			}
		case '#':
			if isSpace(p.src[i-1]) {
				return -1
			}
		}
	}
	return -1
}

// mapping reads the keys that start in column indent.
func (p *parser) mapping(indent int) Node {
	off, mark := p.pos, len(p.stack)
	if !p.enter() {
		bad := p.bad(off)
		p.skipBlock(indent - 1)
		return bad
	}
	for p.indent == indent && !p.dash() {
		colon := p.keyEnd()
		if colon < 0 || p.complexKey() {
			p.notAKey(indent)
			continue
		}
		key := p.key(colon)
		p.pos = colon + 1
		value := p.value(indent, true)
		p.stack = append(p.stack, key, value)
		p.strays(indent)
	}
	return p.collect(Mapping, off, mark)
}

func (p *parser) notAKey(indent int) {
	if p.complexKey() {
		p.faultAt(p.pos, p.pos+1, RuleKey, "a simple key like name: value", "a complex key (?)", "write key: value")
	} else {
		p.faultAt(p.pos, p.lineEnd(), RuleSyntax, "key: value", p.found(), "write a colon and a space behind the key")
	}
	p.skipBlock(indent)
}

// key reads the key that ends at colon.
func (p *parser) key(colon int) Node {
	end := colon
	for end > p.pos && isSpace(p.src[end-1]) {
		end--
	}
	raw := p.src[p.pos:end]
	n := Node{Kind: Scalar, Off: uint32(p.pos), End: uint32(end), Text: raw} //nolint:gosec // below MaxBytes
	switch {
	case raw == "<<":
		p.faultAt(p.pos, end, RuleMerge, "keys written out", "a merge key", "repeat the keys where they are needed")
		n.Kind = Bad
	case raw == "":
		p.faultAt(p.pos, end+1, RuleSyntax, "a key before the colon", "nothing", "")
		n.Kind = Bad
	case raw[0] == '"' || raw[0] == '\'':
		n.Text, n.Style = p.unquote(p.pos, end)
	case strings.IndexByte("&*!", raw[0]) >= 0:
		p.property(p.pos, end)
		n.Kind = Bad
	case !plainKey(raw):
		p.oddKey(p.pos, end)
		n.Kind = Bad
	}
	return n
}

// plainKey says whether a key needs no quotes. YAML allows more, but readers differ on what.
func plainKey(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r > 0x7f
		if !letter && (i == 0 || !strings.ContainsRune("-./ ", r)) {
			return false
		}
	}
	return true
}

func (p *parser) oddKey(off, end int) {
	p.faultAt(off, end, RuleKey, "a key of letters, digits and _ - . /", strconv.Quote(p.src[off:end]), "mend the key, or put it in quotes")
}

// value reads what follows a colon (sameColumn: a sequence may then stand in the key's own column) or a dash, both in
// column indent.
func (p *parser) value(indent int, sameColumn bool) Node {
	at := p.pos
	p.spaces()
	for !p.atEnd() && strings.IndexByte("&!", p.src[p.pos]) >= 0 {
		// A property is reported, and what it belongs to is read all the same.
		end := p.pos
		for !p.followed(end) {
			end++
		}
		p.property(p.pos, end)
		p.pos = end
		p.spaces()
	}
	if !p.atEnd() {
		return p.inline(indent)
	}
	p.skipLine()
	switch {
	case p.indent > indent:
		return p.block(indent)
	case sameColumn && p.indent == indent && p.dash():
		return p.sequence(indent)
	}
	return p.empty(at)
}

// property reports an anchor, alias or tag.
func (p *parser) property(off, end int) {
	switch p.src[off] {
	case '!':
		p.faultAt(off, end, RuleTag, "no tags", "the tag "+p.src[off:end], "delete the tag")
	case '&':
		p.faultAt(off, end, RuleAnchor, "no anchors", "the anchor "+p.src[off:end], "write the values out where they are needed")
	default:
		p.faultAt(off, end, RuleAnchor, "no aliases", "the alias "+p.src[off:end], "write the values out where they are needed")
	}
}

// sequence reads the dashes in column indent.
func (p *parser) sequence(indent int) Node {
	off, mark := p.pos, len(p.stack)
	if !p.enter() {
		bad := p.bad(off)
		p.skipBlock(indent - 1)
		return bad
	}
	for p.indent == indent && p.dash() {
		p.pos++
		p.stack = append(p.stack, p.entry(indent))
		p.strays(indent)
	}
	return p.collect(Sequence, off, mark)
}

// entry reads what follows a dash: a compact collection on the same line, or a value.
func (p *parser) entry(indent int) Node {
	at := p.pos
	p.spaces()
	if !p.atEnd() && (p.dash() || p.complexKey() || p.keyEnd() >= 0) && strings.IndexByte("&!", p.src[p.pos]) < 0 {
		p.indent = indent + 1 + p.pos - at
		return p.block(indent)
	}
	p.pos = at
	return p.value(indent, false)
}

// strays reports lines that are deeper than the collection whose entry has just ended.
func (p *parser) strays(indent int) {
	for p.indent > indent {
		p.faultAt(p.pos, p.lineEnd(), RuleIndent, "entries of one collection in one column", p.found(),
			"indent it like the lines it belongs to")
		p.skipBlock(indent)
	}
}
