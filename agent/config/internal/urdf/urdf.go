// Package urdf reads the links and joints of a URDF, the description of a robot that ROS uses, for the guard's own
// forward kinematics. It never opens a file that the description names, resolves no package:// and expands no entity
// and no macro: what it cannot use it refuses, with the line.
//
// Read are robot, link, collision (box, cylinder, sphere, and a mesh by its name) and joint (fixed, revolute,
// continuous, prismatic; origin, axis, limit, mimic). What is only seen, weighs or belongs to a simulator (visual,
// inertial, material, gazebo, transmission, …) is passed over. See http://wiki.ros.org/urdf/XML.
package urdf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Model is a robot.
type Model struct {
	Name   string
	Links  []Link
	Joints []Joint
}

// Link is a rigid piece.
type Link struct {
	Name string
	Line int
	// Collisions are its shapes; those that are only seen are not read.
	Collisions []Collision
	// Seen is true if it has a shape that is only seen.
	Seen bool
}

// Shape is the kind of a collision's geometry.
type Shape uint8

// Shapes.
const (
	Box Shape = iota + 1
	Cylinder
	Sphere
	Mesh
)

// Collision is one shape of a link.
type Collision struct {
	Line   int
	Origin Origin
	Shape  Shape
	// Size is a box's edges in m, or a mesh's scale along each axis.
	Size [3]float64
	// Radius and Length are a cylinder's (its axis is z) and, the former, a sphere's, in m.
	Radius, Length float64
	// File is a mesh's file name as written.
	File string
}

// Origin is a transform: XYZ in m, then RPY in rad about the fixed axes x, y, z.
type Origin struct{ XYZ, RPY [3]float64 }

// Joint kinds.
const (
	Fixed      = "fixed"
	Revolute   = "revolute"
	Continuous = "continuous"
	Prismatic  = "prismatic"
)

// Joint is a joint between two links.
type Joint struct {
	Name, Type, Parent, Child string
	Line                      int
	Origin                    Origin
	// Axis is in the joint's frame; (1, 0, 0) where none is given.
	Axis [3]float64
	// Lower and Upper are the end stops in rad or m, for revolute and prismatic.
	Lower, Upper float64
	// Velocity, in rad/s or m/s, and Effort, in N·m or N, are what the joint can do at most; 0 where that is not said.
	Velocity, Effort float64
	// Mimic is the joint that this one follows, nil for none.
	Mimic *Mimic
}

// Mimic says that a joint's position is Multiplier times another's plus Offset.
type Mimic struct {
	Joint              string
	Multiplier, Offset float64
}

// Parse reads a URDF. The error joins an *Error for each thing that is wrong.
func Parse(data []byte) (*Model, error) {
	root, err := tree(data)
	if err != nil {
		return nil, err
	}
	p := &parser{model: &Model{}}
	p.robot(root)
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.model, nil
}

type parser struct {
	model *Model
	errs  []error
}

func (p *parser) fail(n *node, format string, args ...any) {
	if len(p.errs) < maxErrors {
		p.errs = append(p.errs, &Error{n.line, n.column, fmt.Sprintf(format, args...)})
	}
}

func (p *parser) robot(root *node) {
	if root.name != "robot" {
		p.fail(root, "the first element is %s, expected robot", root.name)
		return
	}
	p.model.Name, _ = root.attr("name")
	links, joints := map[string]int{}, map[string]int{}
	for _, n := range root.children {
		switch n.name {
		case "link":
			p.model.Links = append(p.model.Links, p.link(n, links))
		case "joint":
			p.model.Joints = append(p.model.Joints, p.joint(n, joints))
		}
	}
	if len(p.model.Links) == 0 {
		p.fail(root, "the robot has no link")
	}
	for i := range p.model.Joints {
		p.references(&p.model.Joints[i], links, joints)
	}
}

// references checks the names that a joint uses.
func (p *parser) references(j *Joint, links, joints map[string]int) {
	at := &node{line: j.Line, column: 1}
	for _, name := range []string{j.Parent, j.Child} {
		if _, ok := links[name]; !ok && name != "" {
			p.fail(at, "joint %q names the link %q, which the robot does not have", j.Name, name)
		}
	}
	if j.Mimic == nil {
		return
	}
	if _, ok := joints[j.Mimic.Joint]; !ok {
		p.fail(at, "joint %q mimics %q, which the robot does not have", j.Name, j.Mimic.Joint)
		return
	}
	i := slices.IndexFunc(p.model.Joints, func(o Joint) bool { return o.Name == j.Mimic.Joint })
	if o := &p.model.Joints[i]; o.Mimic != nil || o.Type == Fixed {
		p.fail(at, "joint %q mimics %q, expected a joint that moves by itself", j.Name, o.Name)
	}
}

// name reads an element's name, which must be its own.
func (p *parser) name(n *node, taken map[string]int) string {
	name, _ := n.attr("name")
	if name == "" || len(name) > 128 {
		p.fail(n, "a %s has the name %q, expected 1 to 128 characters", n.name, shorten(name))
		return ""
	}
	if line, twice := taken[name]; twice {
		p.fail(n, "the %s %q is there twice, first on line %d", n.name, name, line)
	}
	taken[name] = n.line
	return name
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// one returns the only child of a name, nil if there is none.
func (p *parser) one(n *node, name string) *node {
	var out *node
	for _, c := range n.children {
		if c.name != name {
			continue
		}
		if out != nil {
			p.fail(c, "%s has two of %s, expected one", n.name, name)
		}
		out = c
	}
	return out
}

func (p *parser) link(n *node, taken map[string]int) Link {
	l := Link{Name: p.name(n, taken), Line: n.line}
	for _, c := range n.children {
		switch c.name {
		case "collision":
			l.Collisions = append(l.Collisions, p.collision(c))
		case "visual":
			l.Seen = true
		}
	}
	return l
}

func (p *parser) collision(n *node) Collision {
	c := Collision{Line: n.line, Origin: p.origin(n)}
	g := p.one(n, "geometry")
	if g == nil || len(g.children) != 1 {
		p.fail(n, "a collision needs a geometry with one shape: box, cylinder, sphere or mesh")
		return c
	}
	s := g.children[0]
	switch s.name {
	case "box":
		c.Shape, c.Size = Box, p.three(s, "size", nil)
		p.positive(s, "size", c.Size[:]...)
	case "cylinder":
		c.Shape, c.Radius, c.Length = Cylinder, p.number(s, "radius", nil), p.number(s, "length", nil)
		p.positive(s, "radius and length", c.Radius, c.Length)
	case "sphere":
		c.Shape, c.Radius = Sphere, p.number(s, "radius", nil)
		p.positive(s, "radius", c.Radius)
	case "mesh":
		c.Shape, c.Size = Mesh, p.three(s, "scale", &[3]float64{1, 1, 1})
		if c.File, _ = s.attr("filename"); c.File == "" {
			p.fail(s, "a mesh has no filename")
		}
	default:
		p.fail(s, "the shape is %s, expected box, cylinder, sphere or mesh", s.name)
	}
	return c
}

func (p *parser) positive(n *node, what string, values ...float64) {
	for _, v := range values {
		if !(v > 0) || v > 100 {
			p.fail(n, "%s's %s is %v, expected above 0 and at most 100 m", n.name, what, v)
			return
		}
	}
}

func (p *parser) joint(n *node, taken map[string]int) Joint {
	j := Joint{Name: p.name(n, taken), Line: n.line, Origin: p.origin(n), Axis: [3]float64{1, 0, 0}}
	j.Type, _ = n.attr("type")
	if !slices.Contains([]string{Fixed, Revolute, Continuous, Prismatic}, j.Type) {
		p.fail(n, "joint %q has the type %q, expected fixed, revolute, continuous or prismatic; joints with more freedom cannot be measured by one number", j.Name, shorten(j.Type))
	}
	for _, end := range []struct {
		name string
		into *string
	}{{"parent", &j.Parent}, {"child", &j.Child}} {
		if c := p.one(n, end.name); c != nil {
			*end.into, _ = c.attr("link")
		}
		if *end.into == "" {
			p.fail(n, "joint %q has no %s link", j.Name, end.name)
		}
	}
	if j.Type == Fixed {
		return j
	}
	if a := p.one(n, "axis"); a != nil {
		j.Axis = p.three(a, "xyz", nil)
		if l := math.Sqrt(j.Axis[0]*j.Axis[0] + j.Axis[1]*j.Axis[1] + j.Axis[2]*j.Axis[2]); math.Abs(l-1) > 0.01 {
			p.fail(a, "joint %q has an axis of the length %v, expected 1", j.Name, l)
		}
	}
	p.limits(n, &j)
	return j
}

func (p *parser) limits(n *node, j *Joint) {
	if m := p.one(n, "mimic"); m != nil {
		one, none := 1.0, 0.0
		j.Mimic = &Mimic{Multiplier: p.number(m, "multiplier", &one), Offset: p.number(m, "offset", &none)}
		j.Mimic.Joint, _ = m.attr("joint")
	}
	l, zero := p.one(n, "limit"), 0.0
	if l != nil {
		j.Velocity, j.Effort = p.number(l, "velocity", &zero), p.number(l, "effort", &zero)
	}
	if j.Type == Continuous {
		return
	}
	if l == nil {
		p.fail(n, "joint %q is %s and has no limit", j.Name, j.Type)
		return
	}
	j.Lower, j.Upper = p.number(l, "lower", &zero), p.number(l, "upper", &zero)
	if !(j.Lower < j.Upper) {
		p.fail(l, "joint %q has the limits %v to %v, expected the lower first", j.Name, j.Lower, j.Upper)
	}
}

func (p *parser) origin(n *node) Origin {
	var o Origin
	if c := p.one(n, "origin"); c != nil {
		o.XYZ, o.RPY = p.three(c, "xyz", &[3]float64{}), p.three(c, "rpy", &[3]float64{})
	}
	return o
}

// number reads an attribute; without a preset it must be there.
func (p *parser) number(n *node, name string, preset *float64) float64 {
	text, ok := n.attr(name)
	if !ok {
		if preset == nil {
			p.fail(n, "%s has no %s", n.name, name)
			return 0
		}
		return *preset
	}
	v, err := parseNumber(strings.TrimSpace(text))
	if err != nil {
		p.fail(n, "%s's %s is %q, expected a number", n.name, name, shorten(text))
	}
	return v
}

func (p *parser) three(n *node, name string, preset *[3]float64) [3]float64 {
	text, ok := n.attr(name)
	if !ok {
		if preset == nil {
			p.fail(n, "%s has no %s", n.name, name)
			return [3]float64{}
		}
		return *preset
	}
	var out [3]float64
	parts := strings.Fields(text)
	if len(parts) != 3 {
		p.fail(n, "%s's %s is %q, expected three numbers", n.name, name, shorten(text))
		return out
	}
	for i, s := range parts {
		v, err := parseNumber(s)
		if err != nil {
			p.fail(n, "%s's %s is %q, expected three numbers", n.name, name, shorten(text))
			return out
		}
		out[i] = v
	}
	return out
}

var errNumber = errors.New("not a decimal number")

// parseNumber takes decimal numbers alone: no infinity, NaN, hexadecimal or underscore.
func parseNumber(s string) (float64, error) {
	if s == "" || len(s) > 64 || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, errNumber
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(v) > 1e6 {
		return 0, errNumber
	}
	return v, nil
}
