package strictyaml

import (
	"fmt"
	"strings"
)

// parser is a recursive descent over lines. Between two calls, pos stands at the first character of a line's content (or
// of a compact collection's entry) and indent is its column from 0; at the end, pos is len(src) and indent is -1.
type parser struct {
	src    string
	pos    int
	indent int
	depth  int
	faults int
	report func(Fault)
	// stack collects the entries of the collections that are being read, so that each is then copied at its exact size.
	stack []Node
}

// Parse reads a document and reports every fault. The result is nil if nothing could be read; parts that could not be
// read are nodes of kind Bad.
func Parse(src string, report func(Fault)) *Node {
	p := &parser{src: src, report: report}
	if !checkText(src, p.fault) {
		return nil
	}
	p.pos = len(src) - len(strings.TrimPrefix(src, "\uFEFF"))
	p.start()
	if p.indent < 0 {
		if p.faults > 0 {
			return nil
		}
		p.fault(Fault{Rule: RuleEmpty, Expected: "a document", Found: "nothing but space and comments"})
		return nil
	}
	root := p.root()
	for p.indent >= 0 {
		p.faultAt(p.pos, p.lineEnd(), RuleIndent, "nothing behind the document's end", p.found(), "align it with the first line")
		p.skipLine()
	}
	return &root
}

// root reads the document's value. Text alone is never one, so there a colon must be missing.
func (p *parser) root() Node {
	if c := p.src[p.pos]; c == '[' || c == '{' || p.dash() {
		return p.block(-1)
	}
	return p.mapping(p.indent)
}

// fault passes a fault on until there are too many.
func (p *parser) fault(f Fault) {
	p.faults++
	switch {
	case p.faults < MaxFaults:
		p.report(f)
	case p.faults == MaxFaults:
		f.Hint = fmt.Sprintf("there are more faults than these %d; mend these first", MaxFaults)
		p.report(f)
	}
}

func (p *parser) faultAt(off, end int, rule Rule, expected, found, hint string) {
	p.fault(Fault{Off: off, End: max(end, off), Rule: rule, Expected: expected, Found: found, Hint: hint})
}

// start goes to the first content, over one leading document marker.
func (p *parser) start() {
	p.nextLine()
	for p.indent == 0 && p.src[p.pos] == '%' {
		p.faultAt(p.pos, p.lineEnd(), RuleDirective, "no directives", p.found(), "delete the line")
		p.skipLine()
	}
	if p.indent == 0 && p.marker("---") {
		p.pos += 3
		p.spaces()
		if !p.atEnd() {
			p.faultAt(p.pos, p.lineEnd(), RuleSyntax, "nothing behind ---", p.found(), "move it to the next line")
		}
		p.skipLine()
	}
}

// nextLine goes from somewhere behind a line's content to the next line that has some.
func (p *parser) nextLine() {
	for p.pos < len(p.src) {
		start := p.pos
		for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
			p.pos++
		}
		if p.pos == len(p.src) {
			break
		}
		if c := p.src[p.pos]; c != '\n' && c != '#' {
			p.indent = p.pos - start
			if p.indent == 0 && p.furtherDocument() {
				break
			}
			return
		}
		p.toLineEnd()
		p.pos = min(p.pos+1, len(p.src))
	}
	p.pos, p.indent = len(p.src), -1
}

// furtherDocument says whether the reading ends at this line: at the document's end marker, or at a second document,
// which it reports.
func (p *parser) furtherDocument() bool {
	switch {
	case p.marker("---") && onlyComments(p.src[:p.pos]):
		return false // the one marker that may be there
	case p.marker("...") && onlyComments(p.src[p.pos+3:]):
		return true
	case !p.marker("---") && !p.marker("..."):
		return false
	}
	p.faultAt(p.pos, p.pos+3, RuleDocument, "one document in one file", "another document", "put each document into its own file")
	return true
}

// onlyComments says whether nothing but comments and directives, which are reported, stands in s.
func onlyComments(s string) bool {
	for line := range strings.Lines(s) {
		if t := strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \uFEFF"); t != "" && t[0] != '#' && t[0] != '%' {
			return false
		}
	}
	return true
}

func (p *parser) marker(m string) bool {
	rest, ok := strings.CutPrefix(p.src[p.pos:], m)
	return ok && (rest == "" || isSpace(rest[0]) || rest[0] == '\n')
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// spaces skips space within the line.
func (p *parser) spaces() {
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
}

// atEnd says whether the rest of the line is a comment or nothing. A # needs space before it.
func (p *parser) atEnd() bool {
	if p.pos == len(p.src) || p.src[p.pos] == '\n' {
		return true
	}
	return p.src[p.pos] == '#' && (p.pos == 0 || isSpace(p.src[p.pos-1]) || p.src[p.pos-1] == '\n')
}

func (p *parser) toLineEnd() {
	if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
		p.pos += i
		return
	}
	p.pos = len(p.src)
}

// lineEnd returns the offset behind the line's last visible character.
func (p *parser) lineEnd() int {
	end := len(p.src)
	if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
		end = p.pos + i
	}
	for end > p.pos && isSpace(p.src[end-1]) {
		end--
	}
	return end
}

// maxFound bounds the text that a fault quotes; who shows it may shorten it further.
const maxFound = 4096

// found quotes the rest of the line.
func (p *parser) found() string {
	s := p.src[p.pos:p.lineEnd()]
	if s == "" {
		return "nothing"
	}
	if len(s) > maxFound {
		s = strings.ToValidUTF8(s[:maxFound], "")
	}
	return fmt.Sprintf("%q", s)
}

// skipLine goes to the next line's content.
func (p *parser) skipLine() {
	p.toLineEnd()
	p.pos = min(p.pos+1, len(p.src))
	p.nextLine()
}

// skipBlock goes to the next line whose content is not deeper than indent.
func (p *parser) skipBlock(indent int) {
	p.skipLine()
	for p.indent > indent {
		p.skipLine()
	}
}

// enter counts nesting; beyond the cap it reports and says no.
func (p *parser) enter() bool {
	if p.depth == MaxDepth {
		p.faultAt(p.pos, p.pos+1, RuleDepth, fmt.Sprintf("at most %d levels of nesting", MaxDepth), "one more", "")
		return false
	}
	p.depth++
	return true
}

// collect takes the entries that were pushed since mark.
func (p *parser) collect(kind Kind, off, mark int) Node {
	p.depth--
	items := make([]Node, len(p.stack)-mark)
	copy(items, p.stack[mark:])
	clear(p.stack[mark:])
	p.stack = p.stack[:mark]
	end := off
	if n := len(items); n > 0 {
		end = int(items[n-1].End)
	}
	return Node{Kind: kind, Off: uint32(off), End: uint32(end), Items: items} //nolint:gosec // below MaxBytes
}
