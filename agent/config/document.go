package config

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
)

// document is one file while it is being read.
type document struct {
	file   string
	kind   string
	raw    []byte
	digest Digest
	lines  *strictyaml.Lines
	root   *strictyaml.Node
	out    *Problems
	// errors counts the document's own errors, whoever found them.
	errors int
	// dirty holds the places, at most two steps deep (zones[3]), in which there are errors.
	dirty map[string]bool
}

// parse reads a document's syntax.
func parse(file string, raw []byte, out *Problems) *document {
	src := string(raw)
	d := &document{file: file, raw: raw, digest: sha256.Sum256(raw), lines: strictyaml.NewLines(src), out: out, dirty: map[string]bool{}}
	out.sources[file] = d.lines
	d.root = strictyaml.Parse(src, func(f strictyaml.Fault) {
		d.add(f.Off, f.End, Problem{Rule: string(f.Rule), Expected: f.Expected, Found: f.Found, Hint: f.Hint})
	})
	return d
}

// add files a problem about the text between two offsets.
func (d *document) add(off, end int, p Problem) {
	p.File = d.file
	for _, text := range []*string{&p.Path, &p.Expected, &p.Found, &p.Hint, &p.Example} {
		*text = printable(redact(*text))
	}
	p.Found = shorten(p.Found)
	if p.folder != "" {
		p.Hint = "relative paths start at " + p.folder
	}
	p.Line, p.Column = d.lines.Position(off)
	if endLine, endColumn := d.lines.Position(end); endLine == p.Line {
		p.width = endColumn - p.Column
	}
	if p.Severity == "" {
		p.Severity = SeverityError
	}
	if p.Severity == SeverityError {
		d.errors++
	}
	d.out.add(p)
}

// about files a problem about a node.
func (d *document) about(n *strictyaml.Node, where *path, p Problem) {
	p.Path = where.String()
	if p.Severity != SeverityWarning {
		d.soil(where)
	}
	if n == nil {
		d.add(0, 0, p)
		return
	}
	off, end := int(n.Off), int(n.End)
	if n.Kind == strictyaml.Mapping && n.Len() > 0 && n.Off == n.Items[0].Off {
		end = int(n.Items[0].End) // a block mapping is pointed at by its first key
	}
	d.add(off, end, p)
}

// soil remembers that there is an error at a place.
func (d *document) soil(where *path) {
	var last [2]*path
	for p := where; p != nil; p = p.up {
		last[0], last[1] = p, last[0]
	}
	if last[0] != nil {
		d.dirty[last[0].key] = true
		if last[1] != nil {
			d.dirty[(&path{up: &path{key: last[0].key}, key: last[1].key, index: last[1].index}).String()] = true
		}
	}
}

// clean says whether no error was found at a place, given by at most a key and a position or key.
func (d *document) clean(parts ...any) bool { return !d.dirty[at(parts...).String()] }

// wrong files an error about what stands at a place.
func (d *document) wrong(where *path, rule, expected, found, hint string) {
	if found == "" {
		found = "an empty text"
	}
	d.about(where.find(d.root), where, Problem{Rule: rule, Expected: expected, Found: found, Hint: hint})
}

// warn files a warning about what stands at a place.
func (d *document) warn(where *path, rule, expected, found, hint string) {
	d.about(where.find(d.root), where, Problem{Rule: rule, Expected: expected, Found: found, Hint: hint, Severity: SeverityWarning})
}

// has says whether the document has something at exactly this place.
func (d *document) has(parts ...any) bool {
	p := at(parts...)
	return p.find(d.root) != p.up.find(d.root)
}

// text returns the scalar at a place as it was written, or "".
func (d *document) text(parts ...any) string {
	p := at(parts...)
	if n := p.find(d.root); n != nil && n.Kind == strictyaml.Scalar && n != p.up.find(d.root) {
		return n.Text
	}
	return ""
}

// found tells people what a node is.
func found(n *strictyaml.Node) string {
	switch n.Kind {
	case strictyaml.Scalar:
		if n.Style == strictyaml.Plain {
			return n.Text
		}
		return "the text " + strconv.Quote(n.Text)
	case strictyaml.Sequence:
		return fmt.Sprintf("a list of %d", n.Len())
	case strictyaml.Mapping:
		return "a group of " + count(n.Len(), "key")
	case strictyaml.Empty, strictyaml.Bad:
	}
	return "nothing"
}

// shorten keeps messages readable.
func shorten(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:199]) + "…"
	}
	return s
}
