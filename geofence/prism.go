package geofence

import (
	"math"
	"slices"
)

// MaxQueryParts is the greatest number of body parts in a query.
const MaxQueryParts = 64

// Span is a closed range above the floor, in millimetres.
type Span struct{ FromMM, ToMM int32 }

// SpaceCapsule is a part of the body in the map frame: a capsule in space, that is a ball of a radius that goes straight from A
// at height AZ to B at height BZ, all in millimetres.
type SpaceCapsule struct {
	A, B     Vertex
	AZ, BZ   int32
	RadiusMM int32
}

// height is the range that the capsule takes up; its ends may lie 2^20 mm beyond 32 bits.
func (p *SpaceCapsule) height() (from, to int64) {
	return int64(min(p.AZ, p.BZ)) - int64(p.RadiusMM), int64(max(p.AZ, p.BZ)) + int64(p.RadiusMM)
}

// Parts appends the zones of a floor, of any kind, that some part of the body has a point in common with. Zone i is the
// prism over its outline in the range heights[i], or in its own where heights is nil. A slanted part counts with its
// whole height everywhere along it: it may seem to touch what it passes above or below, never the other way round.
func (s *Set) Parts(floor int, parts []SpaceCapsule, heights []Span, dst []int) ([]int, error) {
	var b parts3
	if err := s.check(floor); err != nil {
		return dst, err
	}
	if len(parts) > MaxQueryParts || heights != nil && len(heights) != len(s.zones) || !b.set(parts) {
		return dst, ErrQuery
	}
	if len(parts) == 0 {
		return dst, nil
	}
	f := &s.floors[floor]
	n := len(dst)
	dst = s.parts(&f.keepTree, &b, heights, s.parts(&f.solid, &b, heights, dst))
	dst = s.parts(&f.limbs.tree, &b, heights, dst)
	slices.Sort(dst[n:])
	return dst[:n+len(slices.Compact(dst[n:]))], nil // some bind both the contour and parts
}

func (s *Set) parts(t *tree, b *parts3, heights []Span, dst []int) []int {
	for l, n := t.next(0, &b.box); l != nil; l, n = t.next(n, &b.box) {
		var from, to int64
		if heights != nil {
			from, to = int64(heights[l.zone].FromMM), int64(heights[l.zone].ToMM)
		} else {
			from, to = s.zones[l.zone].span()
		}
		if o := s.leafOutline(l); b.touches(&o, &t.nodes[n-1].bounds, from, to) {
			dst = append(dst, int(l.zone))
		}
	}
	return dst
}

// span is the zone's own range of heights in whole millimetres, at least as tall as it was written.
func (z *zone) span() (from, to int64) {
	const any, rounding = 1 << 40, 1e-6 // of a millimetre: what metres of a written height can be off by
	return int64(math.Floor(max(z.low, -any) + rounding)), int64(math.Ceil(min(z.high, any) - rounding))
}

// parts3 is the whole body: its parts over the floor, their heights, and the box round all.
type parts3 struct {
	n        int
	plan     [MaxQueryParts]sweptDisk
	from, to [MaxQueryParts]int64
	box      bounds
	low, top int64
	// near are the edges of the outline that is looked at whose boxes meet the body's, see gather.
	near [nearEdges]edge
}

// nearEdges is how many edges near to a body are kept while its parts are asked about; an outline with more is searched for each part.
const nearEdges = 32

func (b *parts3) set(parts []SpaceCapsule) bool {
	b.n = len(parts)
	for i := range parts {
		p, c := &parts[i], &b.plan[i]
		if p.RadiusMM < 0 || p.RadiusMM > MaxRadiusMM || !onMap(p.A) || !onMap(p.B) {
			return false
		}
		c.set(p.A, p.B, p.RadiusMM)
		b.from[i], b.to[i] = p.height()
		if i == 0 {
			b.box, b.low, b.top = c.box, b.from[0], b.to[0]
		}
		b.box.join(c.box)
		b.low, b.top = min(b.low, b.from[i]), max(b.top, b.to[i])
	}
	return true
}

// touches says whether any part has a point in common with a prism that lies in a box.
func (b *parts3) touches(o *outline, box *bounds, from, to int64) bool {
	if b.top < from || b.low > to {
		return false
	}
	n, all := b.gather(o)
	if n == 0 {
		// Where no edge is near to the body, all of it is inside or all outside.
		return b.someAt(from, to) && o.locate(b.plan[0].axis.ax, b.plan[0].axis.ay) != away
	}
	var out *edge // an axis whose beginning is known to be outside
	for i := range b.n {
		c := &b.plan[i]
		switch {
		case b.to[i] < from || b.from[i] > to || !c.box.meets(box):
		case !all && c.touches(o), all && b.reaches(c, n):
			return true
		case !all || out != nil && b.joined(out, &c.axis, n):
			out = &c.axis
		case o.locate(c.axis.ax, c.axis.ay) != away:
			return true
		default:
			out = &c.axis
		}
	}
	return false
}

// gather keeps the edges whose boxes meet that of the body. It returns how many there are, and whether there was room for all.
func (b *parts3) gather(o *outline) (n int, all bool) {
	for r := range o.runs {
		if !o.runs[r].meets(&b.box) {
			continue
		}
		run := o.run(r)
		for i := range run {
			if !run[i].meets(&b.box) {
				continue
			}
			if n == nearEdges {
				return n, false
			}
			b.near[n] = run[i]
			n++
		}
	}
	return n, true
}

// reaches says whether a part comes close to any of the first n edges near to the body: to no other it can.
func (b *parts3) reaches(c *sweptDisk, n int) bool {
	for i := range b.near[:n] {
		if c.near(&b.near[i]) {
			return true
		}
	}
	return false
}

// joined says that no edge can part the beginnings of two axes: then both are inside or both outside. The straight line between
// them lies in the body's box.
func (b *parts3) joined(p, q *edge, n int) bool {
	way := bounds{min(p.ax, q.ax), min(p.ay, q.ay), max(p.ax, q.ax), max(p.ay, q.ay)}
	for i := range b.near[:n] {
		if b.near[i].meets(&way) {
			return false
		}
	}
	return true
}

// someAt says whether any part is within a range of heights.
func (b *parts3) someAt(from, to int64) bool {
	for i := range b.n {
		if b.to[i] >= from && b.from[i] <= to {
			return true
		}
	}
	return false
}
