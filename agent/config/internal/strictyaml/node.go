package strictyaml

import (
	"sort"
	"unicode/utf8"
)

// Kind says what a Node is.
type Kind uint8

// Kinds of nodes.
const (
	// Bad is the zero value: what stood there could not be read and has been reported.
	Bad Kind = iota
	// Empty is a key or dash without a value.
	Empty
	// Scalar is a single text.
	Scalar
	// Sequence is a list.
	Sequence
	// Mapping is a list of keys and values.
	Mapping
)

// Style says how a scalar was written.
type Style uint8

// Styles of scalars.
const (
	// Plain has no quotes.
	Plain Style = iota
	// SingleQuoted is 'text'.
	SingleQuoted
	// DoubleQuoted is "text".
	DoubleQuoted
)

// Node is one value of a document.
type Node struct {
	Kind  Kind
	Style Style
	// Off and End are byte offsets of the value's text in the source; collections end behind their last value.
	Off, End uint32
	// Text is a scalar's text without quotes and with escapes resolved.
	Text string
	// Items are a sequence's values, or a mapping's keys and values in turn.
	Items []Node
}

// Len returns the number of entries of a sequence or mapping.
func (n *Node) Len() int {
	if n.Kind == Mapping {
		return len(n.Items) / 2
	}
	return len(n.Items)
}

// Entry returns a mapping's i-th key and value.
func (n *Node) Entry(i int) (key, value *Node) { return &n.Items[2*i], &n.Items[2*i+1] }

// Get returns the key and value of a mapping's first entry with that key, or nil.
func (n *Node) Get(name string) (key, value *Node) {
	if n.Kind != Mapping {
		return nil, nil
	}
	for i := range n.Len() {
		if k, v := n.Entry(i); k.Kind == Scalar && k.Text == name {
			return k, v
		}
	}
	return nil, nil
}

// Lines finds lines and columns in a source.
type Lines struct {
	src    string
	starts []uint32
}

// NewLines indexes the source.
func NewLines(src string) *Lines {
	l := &Lines{src: src, starts: []uint32{0}}
	for i := range len(src) {
		if src[i] == '\n' {
			l.starts = append(l.starts, uint32(i+1)) //nolint:gosec // Parse caps the size far below.
		}
	}
	return l
}

// Count returns the number of lines.
func (l *Lines) Count() int { return len(l.starts) }

// Position returns the line and the column of a byte offset, both from 1; the column counts characters.
func (l *Lines) Position(off int) (line, column int) {
	off = min(max(off, 0), len(l.src))
	line = sort.Search(len(l.starts), func(i int) bool { return int(l.starts[i]) > off })
	return line, utf8.RuneCountInString(l.src[l.starts[line-1]:off]) + 1
}

// Text returns a line, counted from 1, without its end.
func (l *Lines) Text(line int) string {
	if line < 1 || line > len(l.starts) {
		return ""
	}
	from, to := int(l.starts[line-1]), len(l.src)
	if line < len(l.starts) {
		to = int(l.starts[line]) - 1
	}
	if to > from && l.src[to-1] == '\r' {
		to--
	}
	return l.src[from:to]
}
