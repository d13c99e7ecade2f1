package geofence

import (
	"cmp"
	"fmt"
	"slices"
)

// maxRingErrors bounds how many faults of one zone's shape are listed.
const maxRingErrors = 20

// shape checks the rings of one polygon and collects what is wrong. A zone's
// rings and a robot's footprint go through the same checks.
type shape struct {
	rings [][]Vertex
	limit int32
	errs  []*SpecError
	// sick rings are left out of the checks of crossings: one fault, one error.
	sick []bool
}

// checkRings returns the faults of a polygon whose first ring is the outer one.
func checkRings(rings [][]Vertex, limit int32) []*SpecError {
	s := &shape{rings: rings, limit: limit, sick: make([]bool, len(rings))}
	for r := range rings {
		s.sick[r] = !s.vertices(r)
	}
	s.crossings()
	if len(s.errs) == 0 {
		s.nesting()
	}
	return s.errs
}

func (s *shape) add(ring, vertex int, format string, args ...any) {
	if len(s.errs) < maxRingErrors {
		s.errs = append(s.errs, &SpecError{
			Ring: ring, Vertex: vertex, Element: -1, Problem: fmt.Sprintf(format, args...),
		})
	}
}

// vertices checks one ring by itself and says whether it is fit for more.
func (s *shape) vertices(r int) bool {
	ring, before := s.rings[r], len(s.errs)
	if len(ring) < 3 {
		s.add(r, -1, "has %d vertices, a ring needs at least 3", len(ring))
		return false
	}
	for i, v := range ring {
		if v.X > s.limit || v.X < -s.limit || v.Y > s.limit || v.Y < -s.limit {
			s.add(r, i, "is at (%d, %d) mm, beyond ±%d mm; move the map's origin closer", v.X, v.Y, s.limit)
		}
	}
	if len(s.errs) > before {
		return false
	}
	s.duplicates(r)
	if len(s.errs) > before {
		return false
	}
	if collinear(ring) {
		s.add(r, -1, "has no area: all vertices lie on one line")
		return false
	}
	for i, b := range ring {
		a, c := ring[(i+len(ring)-1)%len(ring)], ring[(i+1)%len(ring)]
		if side(a.X, a.Y, b.X, b.Y, c.X, c.Y) == 0 && turnsBack(a, b, c) {
			s.add(r, i, "at (%d, %d) mm is a spike: the ring turns back onto itself; remove the vertex", b.X, b.Y)
		}
	}
	return len(s.errs) == before
}

func (s *shape) duplicates(r int) {
	ring := s.rings[r]
	order := make([]int, len(ring))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(ring[i].X, ring[j].X), cmp.Compare(ring[i].Y, ring[j].Y), cmp.Compare(i, j))
	})
	for k := 1; k < len(order); k++ {
		i, j := order[k-1], order[k]
		if ring[i] != ring[j] {
			continue
		}
		if i == 0 && j == len(ring)-1 {
			s.add(r, j, "repeats the first vertex; rings close by themselves, so drop it")
			continue
		}
		s.add(r, j, "repeats vertex %d at (%d, %d) mm; every vertex must be distinct", i, ring[j].X, ring[j].Y)
	}
}

func collinear(ring []Vertex) bool {
	for _, v := range ring[2:] {
		if side(ring[0].X, ring[0].Y, ring[1].X, ring[1].Y, v.X, v.Y) != 0 {
			return false
		}
	}
	return true
}

// turnsBack says, of three collinear points, whether a and c lie on the same side of b.
func turnsBack(a, b, c Vertex) bool {
	dot := (int64(a.X)-int64(b.X))*(int64(c.X)-int64(b.X)) + (int64(a.Y)-int64(b.Y))*(int64(c.Y)-int64(b.Y))
	return dot > 0
}

// placed is an edge with its place in the rings, and the interval that it
// takes up on the axis of the sweep.
type placed struct {
	edge
	lo, hi             int32
	ring, vertex, size int
}

func (p *placed) follows(o *placed) bool {
	return p.ring == o.ring && ((o.vertex+1)%o.size == p.vertex || (p.vertex+1)%p.size == o.vertex)
}

// crossings finds edges that meet although they are not neighbours, by a sweep
// that compares each edge with those it overlaps on one axis.
func (s *shape) crossings() {
	var all []placed
	for r, ring := range s.rings {
		if s.sick[r] {
			continue
		}
		for i, e := range ringEdges(nil, ring) {
			all = append(all, placed{edge: e, ring: r, vertex: i, size: len(ring)})
		}
	}
	sweepAxis(all)
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.ring, b.ring), cmp.Compare(a.vertex, b.vertex))
	})
	for i := range all {
		for j := i + 1; j < len(all) && all[j].lo <= all[i].hi; j++ {
			a, b := &all[i], &all[j]
			if a.follows(b) || !touch(&a.edge, &b.edge) {
				continue
			}
			if s.crossing(a, b); len(s.errs) >= maxRingErrors {
				return
			}
		}
	}
}

// sweepAxis sets the intervals on the axis on which the edges overlap less.
func sweepAxis(all []placed) {
	whole := emptyBox()
	var wide, high float64
	for i := range all {
		e := &all[i].edge
		whole = whole.add(int64(e.ax), int64(e.ay))
		wide += float64(e.maxX()) - float64(e.minX())
		high += float64(e.maxY()) - float64(e.minY())
	}
	byX := float64(wide*float64(whole.y1-whole.y0)) <= float64(high*float64(whole.x1-whole.x0))
	for i := range all {
		if p := &all[i]; byX {
			p.lo, p.hi = p.minX(), p.maxX()
		} else {
			p.lo, p.hi = p.minY(), p.maxY()
		}
	}
}

func (s *shape) crossing(a, b *placed) {
	if a.ring > b.ring || a.ring == b.ring && a.vertex > b.vertex {
		a, b = b, a
	}
	if a.ring == b.ring {
		s.add(b.ring, b.vertex, "starts an edge that meets the one from vertex %d near (%d, %d) mm; a ring must not touch itself",
			a.vertex, b.ax, b.ay)
		return
	}
	other := "the outer ring"
	if a.ring > 0 {
		other = fmt.Sprintf("hole %d", a.ring-1)
	}
	s.add(b.ring, b.vertex, "starts an edge that meets %s near (%d, %d) mm; holes lie apart, inside the outer ring",
		other, b.ax, b.ay)
}

// nesting checks where whole holes lie, once no edges meet.
func (s *shape) nesting() {
	if len(s.rings) < 2 {
		return
	}
	edges := make([][]edge, len(s.rings))
	for r, ring := range s.rings {
		edges[r] = ringEdges(nil, ring)
	}
	for r := 1; r < len(s.rings); r++ {
		v := s.rings[r][0]
		if locate(edges[0], v.X, v.Y) != within {
			s.add(r, -1, "lies outside the outer ring; a hole must be inside it")
			continue
		}
		for o := 1; o < len(s.rings); o++ {
			if o != r && locate(edges[o], v.X, v.Y) == within {
				s.add(r, -1, "lies inside hole %d; draw what is solid in a hole as a zone of its own", o-1)
				break
			}
		}
	}
}
