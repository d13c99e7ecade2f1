package urdf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Caps on a file; more is an error. The largest robots that vendors publish stay far below.
const (
	// MaxBytes is the largest file.
	MaxBytes = 4 << 20
	// MaxDepth is the deepest nesting of elements.
	MaxDepth = 32
	// MaxElements is the greatest number of elements.
	MaxElements = 50_000
	// maxErrors is how many things that are wrong are told at once.
	maxErrors = 20
)

// Error is something wrong with a URDF, with its place.
type Error struct {
	// Line and Column count from 1.
	Line, Column int
	// Problem says what was found, what was expected, and what to do.
	Problem string
}

// Error writes the place and the problem.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

// node is an element.
type node struct {
	name         string
	line, column int
	attrs        []xml.Attr
	children     []*node
}

// attr returns an attribute's value.
func (n *node) attr(name string) (string, bool) {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// tree reads the elements of a file. No entity but the five of XML itself exists, since a document type is refused.
func tree(data []byte) (*node, error) {
	if len(data) > MaxBytes {
		return nil, &Error{1, 1, fmt.Sprintf("the file has %d bytes, expected at most %d", len(data), MaxBytes)}
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("its encoding is %q, expected UTF-8", charset)
	}
	var root *node
	var open []*node
	for count := 0; ; {
		line, column := d.InputPos()
		fail := func(format string, args ...any) error { return &Error{line, column, fmt.Sprintf(format, args...)} }
		tok, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && root == nil:
			return nil, fail("there is no element, expected a robot")
		case errors.Is(err, io.EOF):
			return root, nil
		case err != nil:
			line, column = d.InputPos()
			return nil, fail("it is not XML: %v", err)
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, fail("it has a document type or another directive, expected none: entities are not resolved")
		case xml.StartElement:
			if count++; count > MaxElements || len(open) >= MaxDepth {
				return nil, fail("it has more than %d elements, or deeper than %d", MaxElements, MaxDepth)
			}
			n, err := newNode(&tok, line, column)
			if err != nil {
				return nil, err
			}
			switch {
			case len(open) > 0:
				top := open[len(open)-1]
				top.children = append(top.children, n)
			case root != nil:
				return nil, fail("there is a second element %s beside the robot, expected one", n.name)
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func newNode(e *xml.StartElement, line, column int) (*node, error) {
	if strings.Contains(e.Name.Space, "xacro") {
		return nil, &Error{line, column, "it has the element xacro:" + e.Name.Local + ", expected plain URDF; expand it first: xacro robot.xacro > robot.urdf"}
	}
	n := &node{name: e.Name.Local, line: line, column: column, attrs: e.Attr}
	for i, a := range e.Attr {
		for _, b := range e.Attr[:i] {
			if a.Name == b.Name {
				return nil, &Error{line, column, fmt.Sprintf("%s has the attribute %s twice", n.name, a.Name.Local)}
			}
		}
	}
	return n, nil
}
