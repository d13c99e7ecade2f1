package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
)

// path is a place in a document, linked upwards so that walking down costs no text.
type path struct {
	up    *path
	key   string
	index int
}

func (p *path) child(key string) *path { return &path{up: p, key: key} }

func (p *path) item(i int) *path { return &path{up: p, index: i} }

// at makes a path from keys (string) and positions (int).
func at(parts ...any) *path {
	var p *path
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			p = p.child(part)
		case int:
			p = p.item(part)
		}
	}
	return p
}

// String writes the path as zones[3].vertices[2].
func (p *path) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		if p.key == "" {
			parts = append(parts, "["+strconv.Itoa(p.index)+"]")
			continue
		}
		parts = append(parts, "."+p.key)
	}
	var b strings.Builder
	for _, part := range slices.Backward(parts) {
		b.WriteString(part)
	}
	return strings.TrimPrefix(b.String(), ".")
}

// find returns the node at the path, or its nearest ancestor that the document has.
func (p *path) find(root *strictyaml.Node) *strictyaml.Node {
	if p == nil || root == nil {
		return root
	}
	n := p.up.find(root)
	switch {
	case n == nil:
	case p.key != "":
		if _, v := n.Get(p.key); v != nil {
			return v
		}
	case n.Kind == strictyaml.Sequence && p.index < len(n.Items):
		return &n.Items[p.index]
	}
	return n
}
