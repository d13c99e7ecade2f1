package geofence

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Errors of queries: then there is no answer, and none must be taken for "clear".
var (
	// ErrFloor means an index that is no floor of the set.
	ErrFloor = errors.New("geofence: the floor of a query is not in the set; ask FloorIndex")
	// ErrQuery means a point beyond MaxCoordinateMM, a ring that has not 3 to MaxFootprint vertices, no kind, or a radius below 0.
	ErrQuery = fmt.Errorf("geofence: a query's points lie within ±%d mm, its ring has 3 to %d vertices, its kind is set, its radius is at least 0 and at most %d mm",
		MaxCoordinateMM, MaxFootprint, MaxRadiusMM)
)

// MaxRadiusMM bounds the radius of a query, in millimetres.
const MaxRadiusMM = 1 << 20

// Queries ask of zones alone: who is bound, shifts, margins and the robot's motion
// do not matter. They look at the index and the predicates by which Step judges;
// all that they compare is whole millimetres, and compared exactly. They append
// the indices of zones to dst, which may be nil, in ascending order, and allocate
// nothing where dst has room.

// At appends the zones of a floor, of any kind, that a point is in; a zone is a closed set.
func (s *Set) At(floor int, at Vertex, dst []int) ([]int, error) {
	if err := s.check(floor, at); err != nil {
		return dst, err
	}
	f := &s.floors[floor]
	n := len(dst)
	dst = s.at(&f.keepTree, at, s.at(&f.solid, at, dst))
	slices.Sort(dst[n:])
	return dst, nil
}

func (s *Set) at(t *tree, at Vertex, dst []int) []int {
	q := bounds{at.X, at.Y, at.X, at.Y}
	for l, n := t.next(0, &q); l != nil; l, n = t.next(n, &q) {
		if o := s.leafOutline(l); o.locate(at.X, at.Y) != away {
			dst = append(dst, int(l.zone))
		}
	}
	return dst
}

// SignedDistance is how far, in millimetres, a point is from the zones of one kind, and which of them decides: outside of
// all, the distance to the nearest one; inside, minus the greatest of the distances to the edges of those that it is in.
// Of equals the first decides. Without any such zone it is +Inf and NoZone.
func (s *Set) SignedDistance(floor int, at Vertex, kind Kind) (mm float64, zone int, err error) {
	if err := s.check(floor, at); err != nil {
		return math.NaN(), NoZone, err
	}
	if kind == KindUnset {
		return math.NaN(), NoZone, ErrQuery
	}
	t := s.treeOf(floor, kind)
	if depth2, i := s.depth2(t, at, kind); i != NoZone {
		return 0 - math.Sqrt(depth2), i, nil
	}
	near2, i := s.near2(t, at, kind)
	return math.Sqrt(near2), i, nil
}

// depth2 is the square of the greatest depth of a point in a zone of a kind, NoZone if it is in none.
func (s *Set) depth2(t *tree, at Vertex, kind Kind) (best2 float64, zone int) {
	best2, zone = -1, NoZone
	q := bounds{at.X, at.Y, at.X, at.Y}
	for l, n := t.next(0, &q); l != nil; l, n = t.next(n, &q) {
		i, o := int(l.zone), s.leafOutline(l)
		if l.kind != kind || o.locate(at.X, at.Y) == away {
			continue
		}
		if d := o.near2(at.X, at.Y, math.Inf(1)); d > best2 || d == best2 && i < zone {
			best2, zone = d, i
		}
	}
	return best2, zone
}

// near2 is the square of the distance to the nearest zone of a kind, for a point in none of them. It looks at squares round the point,
// each twice as wide as the one before, until it has found one, and then once at all that can be as near as that.
func (s *Set) near2(t *tree, at Vertex, kind Kind) (best2 float64, zone int) {
	best2, zone = math.Inf(1), NoZone
	if t.kinds>>kind&1 == 0 {
		return best2, zone
	}
	here := box{int64(at.X), int64(at.Y), int64(at.X), int64(at.Y)}
	for reach := max(t.spacing, 1); ; {
		q := here.grow(reach).bounds()
		for l, n := t.next(0, &q); l != nil; l, n = t.next(n, &q) {
			if l.kind != kind {
				continue
			}
			i, o := int(l.zone), s.leafOutline(l)
			// The next number also sees an equal, of which the first decides.
			if d := o.near2(at.X, at.Y, math.Nextafter(best2, math.Inf(1))); d < best2 || d == best2 && i < zone {
				best2, zone = d, i
			}
		}
		switch near := math.Sqrt(best2); {
		case near <= float64(reach) || reach > 4*MaxCoordinateMM:
			return best2, zone
		case zone != NoZone:
			reach = int64(math.Ceil(near))
		default:
			reach *= 2
		}
	}
}

// Footprint appends the zones of a floor, of any kind, that a closed simple polygon has a point in common with.
func (s *Set) Footprint(floor int, ring []Vertex, dst []int) ([]int, error) {
	if len(ring) < 3 || len(ring) > MaxFootprint {
		return dst, ErrQuery
	}
	if err := s.check(floor, ring...); err != nil {
		return dst, err
	}
	var p polygon
	p.set(ring)
	f := &s.floors[floor]
	n := len(dst)
	dst = s.footprint(&f.keepTree, &p, s.footprint(&f.solid, &p, dst))
	slices.Sort(dst[n:])
	return dst, nil
}

func (s *Set) footprint(t *tree, p *polygon, dst []int) []int {
	for l, n := t.next(0, &p.box); l != nil; l, n = t.next(n, &p.box) {
		if o := s.leafOutline(l); p.touches(&o) {
			dst = append(dst, int(l.zone))
		}
	}
	return dst
}

// polygon is a footprint on the map in whole millimetres.
type polygon struct {
	n     int
	sides [MaxFootprint]edge
	box   bounds
}

func (p *polygon) set(ring []Vertex) {
	p.n = len(ring)
	a := ring[p.n-1]
	p.box = bounds{a.X, a.Y, a.X, a.Y}
	for i, b := range ring {
		p.sides[i] = edge{a.X, a.Y, b.X, b.Y}
		p.box.join(bounds{b.X, b.Y, b.X, b.Y})
		a = b
	}
}

// touches says whether the polygon and a zone have a point in common: without
// edges that meet, one point of either tells whether one contains the other.
func (p *polygon) touches(o *outline) bool {
	for r := range o.runs {
		if !o.runs[r].meets(&p.box) {
			continue
		}
		run := o.run(r)
		for i := range run {
			if p.meets(&run[i]) {
				return true
			}
		}
	}
	return o.locate(p.sides[0].ax, p.sides[0].ay) != away || locate(p.sides[:p.n], o.edges[0].ax, o.edges[0].ay) != away
}

func (p *polygon) meets(e *edge) bool {
	if !e.meets(&p.box) {
		return false
	}
	for k := range p.n {
		if touch(e, &p.sides[k]) {
			return true
		}
	}
	return false
}

// Capsule appends the zones of a floor, of any kind, that a disk of a radius in millimetres has a point in common with
// on its straight way from one point to another.
func (s *Set) Capsule(floor int, from, to Vertex, radiusMM int32, dst []int) ([]int, error) {
	if radiusMM < 0 || radiusMM > MaxRadiusMM {
		return dst, ErrQuery
	}
	if err := s.check(floor, from, to); err != nil {
		return dst, err
	}
	var c sweptDisk
	c.set(from, to, radiusMM)
	f := &s.floors[floor]
	n := len(dst)
	dst = s.swept(&f.keepTree, &c, s.swept(&f.solid, &c, dst))
	slices.Sort(dst[n:])
	return dst, nil
}

func (s *Set) swept(t *tree, c *sweptDisk, dst []int) []int {
	for l, n := t.next(0, &c.box); l != nil; l, n = t.next(n, &c.box) {
		if o := s.leafOutline(l); c.touches(&o) {
			dst = append(dst, int(l.zone))
		}
	}
	return dst
}

// sweptDisk is a disk swept along a segment, in whole millimetres.
type sweptDisk struct {
	axis edge
	r2   uint64
	box  bounds
}

// set goes by what it is given, and reads nothing back: what was stored in pieces a processor hands on late as a whole.
func (c *sweptDisk) set(a, b Vertex, r int32) {
	c.axis.ax, c.axis.ay, c.axis.bx, c.axis.by = a.X, a.Y, b.X, b.Y
	c.r2 = uint64(r) * uint64(r)
	c.box.x0, c.box.y0 = min(a.X, b.X)-r, min(a.Y, b.Y)-r
	c.box.x1, c.box.y1 = max(a.X, b.X)+r, max(a.Y, b.Y)+r
}

// touches says whether the swept disk and a zone have a point in common.
func (c *sweptDisk) touches(o *outline) bool {
	for r := range o.runs {
		if !o.runs[r].meets(&c.box) {
			continue
		}
		run := o.run(r)
		for i := range run {
			if c.near(&run[i]) {
				return true
			}
		}
	}
	return o.locate(c.axis.ax, c.axis.ay) != away
}

func (c *sweptDisk) near(e *edge) bool {
	return e.meets(&c.box) && edgesClose(e, &c.axis, c.r2)
}

// check refuses what has no answer.
func (s *Set) check(floor int, points ...Vertex) error {
	if floor < 0 || floor >= len(s.floors) {
		return ErrFloor
	}
	for _, p := range points {
		if !onMap(p) {
			return ErrQuery
		}
	}
	return nil
}

func onMap(p Vertex) bool {
	return p.X <= MaxCoordinateMM && p.X >= -MaxCoordinateMM && p.Y <= MaxCoordinateMM && p.Y >= -MaxCoordinateMM
}

// treeOf is the tree that holds the zones of a kind.
func (s *Set) treeOf(floor int, kind Kind) *tree {
	if kind == KeepIn {
		return &s.floors[floor].keepTree
	}
	return &s.floors[floor].solid
}
