package attest

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/robowarden/robowarden/attest/verifier"
)

// readReferences reads reference values from a file, YAML or JSON. What is wrong is named by file, line and column.
func readReferences(path string) (*verifier.References, error) {
	data, err := readFile(path, verifier.MaxReferences)
	if err != nil {
		return nil, err
	}
	return parseReferences(path, data)
}

// parseReferences reads reference values strictly: unknown keys, keys given twice, anchors and a second document are
// errors.
func parseReferences(path string, data []byte) (*verifier.References, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, located(path, err)
	}
	if err := plain(path, file); err != nil {
		return nil, err
	}
	r := &verifier.References{}
	dec := yaml.NewDecoder(strings.NewReader(string(data)), yaml.Strict())
	if err := dec.Decode(r); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: is empty: expected reference values", path)
		}
		return nil, located(path, err)
	}
	if err := r.Validate(); err != nil {
		line, column := position(file, err.Error())
		return nil, fmt.Errorf("%s:%d:%d: %w", path, line, column, err)
	}
	return r, nil
}

// located puts an error of the YAML reader into one line with its place.
func located(path string, err error) error {
	var e yaml.Error
	if errors.As(err, &e) {
		if at := e.GetToken(); at != nil && at.Position != nil {
			return fmt.Errorf("%s:%d:%d: %s", path, at.Position.Line, at.Position.Column, e.GetMessage())
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// plain refuses what makes a document say other things than it shows.
func plain(path string, file *ast.File) error {
	if len(file.Docs) > 1 {
		return fmt.Errorf("%s holds %d documents: expected one", path, len(file.Docs))
	}
	v := &referrers{}
	for _, d := range file.Docs {
		if d.Body != nil {
			ast.Walk(v, d.Body)
		}
	}
	if v.found == nil {
		return nil
	}
	at := v.found.GetToken().Position
	return fmt.Errorf("%s:%d:%d: found %s: expected plain keys and values, without anchors, aliases, merges and tags", path, at.Line, at.Column, v.found.Type())
}

// referrers looks for nodes that refer to others or say how to be read.
type referrers struct{ found ast.Node }

// Visit implements ast.Visitor.
func (v *referrers) Visit(n ast.Node) ast.Visitor {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		if v.found == nil {
			v.found = n
		}
	}
	return v
}

// place matches the path that an error of ours begins with, such as events[3].class: or policy: allowed[0]:.
var place = regexp.MustCompile(`^([a-z0-9_-]+(?:\[\d+\]|\.[a-z0-9_]+)*): (?:((?:allowed|leaving)\[\d+\](?:\.[a-z]+)?): )?`)

// position finds the line and column of the place that an error names, or of the nearest one around it: 1, 1 if none is.
func position(file *ast.File, text string) (line, column int) {
	m := place.FindStringSubmatch(text)
	if m == nil {
		return 1, 1
	}
	whole := strings.ReplaceAll(m[1], "command-line", "command_line")
	if m[2] != "" {
		whole += "." + m[2]
	}
	for at := whole; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		p, err := yaml.PathString("$." + at)
		if err != nil {
			continue
		}
		node, err := p.FilterFile(file)
		if err != nil || node == nil || node.GetToken() == nil {
			continue
		}
		tok := node.GetToken()
		if tok.Position == nil {
			continue
		}
		return tok.Position.Line, tok.Position.Column
	}
	return 1, 1
}
