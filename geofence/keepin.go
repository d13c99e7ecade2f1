package geofence

import (
	"cmp"
	"math"
	"slices"
)

// The keep-in area of a floor is the union of the open interiors of its binding
// keep-in zones. Which of them bind changes with role and shift, so Compile
// notes which stretches of each zone's edges lie inside which other zone; what
// remains uncovered by the binding ones is the union's edge. Stretches are cut
// short by coverTrim, so the edge can only come out too long, never too short.

// coverTrim is cut from both ends of a covered stretch, in millimetres; it
// exceeds the rounding of a stretch's ends to whole millimetres.
const coverTrim = 2.0

// maxKeepInVertices bounds the keep-in zones of one floor: each is compared with each.
const maxKeepInVertices = 16_384

// cover says that the part [from, to] of an edge, as fractions of its length,
// lies in the open interior of another keep-in zone.
type cover struct {
	edge, zone int32
	from, to   float64
}

// keepIn computes the covers of all keep-in zones.
func (c *compiler) keepIn() {
	s := c.set
	byFloor := make([][]int, len(s.floors))
	for i := range s.zones {
		if s.zones[i].kind == KeepIn {
			byFloor[s.zones[i].floor] = append(byFloor[s.zones[i].floor], i)
		}
	}
	for f, list := range byFloor {
		total := 0
		for _, i := range list {
			total += int(s.zones[i].hi - s.zones[i].lo)
		}
		if total > maxKeepInVertices {
			item{c, "floors", f, s.floors[f].id}.fail("", -1, "has keep-in zones with %d vertices, expected at most %d; simplify them",
				total, maxKeepInVertices)
			continue
		}
		for _, i := range list {
			s.coverZone(i, list)
		}
	}
}

func (s *Set) coverZone(i int, others []int) {
	z := &s.zones[i]
	z.coverLo = int32(len(s.covers))
	var cuts []float64
	for e := z.lo; e < z.hi; e++ {
		for _, j := range others {
			o := &s.zones[j]
			if j == i || !boxOf(s.edges[e:e+1]).meets(o.box) {
				continue
			}
			cuts = cutsOf(&s.edges[e], s.ringsOf(o), cuts[:0])
			s.coverEdge(e, int32(j), cuts)
		}
	}
	z.coverHi = int32(len(s.covers))
	slices.SortFunc(s.covers[z.coverLo:z.coverHi], func(a, b cover) int {
		return cmp.Or(cmp.Compare(a.edge, b.edge), cmp.Compare(a.from, b.from), cmp.Compare(a.zone, b.zone))
	})
}

// cutsOf returns the fractions of e at which it may enter or leave the polygon.
func cutsOf(e *edge, polygon []edge, cuts []float64) []float64 {
	cuts = append(cuts, 0, 1)
	dx, dy := float64(e.bx)-float64(e.ax), float64(e.by)-float64(e.ay)
	l2 := float64(dx*dx) + float64(dy*dy)
	project := func(x, y int32) float64 {
		px, py := float64(x)-float64(e.ax), float64(y)-float64(e.ay)
		return min(max((float64(px*dx)+float64(py*dy))/l2, 0), 1)
	}
	for i := range polygon {
		g := &polygon[i]
		if !touch(e, g) {
			continue
		}
		s1 := side(e.ax, e.ay, e.bx, e.by, g.ax, g.ay)
		s2 := side(e.ax, e.ay, e.bx, e.by, g.bx, g.by)
		if s1 == s2 { // both 0: collinear
			cuts = append(cuts, project(g.ax, g.ay), project(g.bx, g.by))
			continue
		}
		// The crossing point, by g's parameter, projected onto e.
		t := float64(s1) / (float64(s1) - float64(s2))
		px := float64(g.ax) + float64(t*(float64(g.bx)-float64(g.ax))) - float64(e.ax)
		py := float64(g.ay) + float64(t*(float64(g.by)-float64(g.ay))) - float64(e.ay)
		cuts = append(cuts, min(max((float64(px*dx)+float64(py*dy))/l2, 0), 1))
	}
	slices.Sort(cuts)
	return cuts
}

// coverEdge keeps the stretches between cuts that lie well inside zone j.
func (s *Set) coverEdge(e, j int32, cuts []float64) {
	g := &s.edges[e]
	dx, dy := float64(g.bx)-float64(g.ax), float64(g.by)-float64(g.ay)
	size := length(dx, dy)
	rings := s.ringsOf(&s.zones[j])
	for k := 1; k < len(cuts); k++ {
		from, to := cuts[k-1]+coverTrim/size, cuts[k]-coverTrim/size
		// An end of the edge that lies inside is no crossing and needs no trim.
		if cuts[k-1] == 0 && locate(rings, g.ax, g.ay) == within {
			from = 0
		}
		if cuts[k] == 1 && locate(rings, g.bx, g.by) == within {
			to = 1
		}
		if from >= to {
			continue
		}
		mid := (from + to) / 2
		x := int32(math.Round(float64(g.ax) + float64(mid*dx)))
		y := int32(math.Round(float64(g.ay) + float64(mid*dy)))
		// The middle was rounded, so it must be inside by more than that.
		if locate(rings, x, y) == within && clearOf(rings, float64(x), float64(y)) > 1.5 {
			s.covers = append(s.covers, cover{e, j, from, to})
		}
	}
}

// clearOf is the distance in millimetres from a point to the nearest edge.
func clearOf(edges []edge, x, y float64) float64 {
	best := math.Inf(1)
	for i := range edges {
		e := &edges[i]
		best = min(best, pointEdge2(float64(e.ax)-x, float64(e.ay)-y, float64(e.bx)-x, float64(e.by)-y))
	}
	return math.Sqrt(best)
}

// keepMode is how a floor's keep-in zones bind now.
type keepMode uint8

const (
	// keepFree: no keep-in zone binds and the floor allows.
	keepFree keepMode = iota
	// keepDenied: no keep-in zone binds and the floor denies.
	keepDenied
	// keepUnion: the contour stays in the union of those that surely bind.
	keepUnion
	// keepEach: none surely binds, but some may; the contour stays in each of
	// these, since any one of them may turn out to be the only one.
	keepEach
)

// keepArea is the keep-in area of the current floor: its edge, and which zones make it up.
type keepArea struct {
	mode keepMode
	// outline holds the pieces of the area's edge, zone the zone each came from.
	outline
	zone []int32
	// margin is the greatest margin of the zones that make it up, in millimetres.
	margin float64
	// warn is the widest of their warn rings.
	warn float64
}

// clear makes it an area without an edge, where the robot is free.
func (k *keepArea) clear() {
	k.mode, k.edges, k.runs, k.zone, k.margin = keepFree, k.edges[:0], k.runs[:0], k.zone[:0], 0
	k.warn = 0
}

// build sets the area for a floor from what binds. It needs no memory beyond
// the capacity that New reserved.
func (k *keepArea) build(s *Set, f *floor, binds []bound) {
	k.clear()
	need := bindsNot
	for _, i := range f.keep {
		need = max(need, binds[i])
	}
	switch {
	case need == bindsSurely:
		k.mode = keepUnion
	case need == bindsMaybe:
		k.mode = keepEach
	case f.withoutKeepIn == Allow:
		k.mode = keepFree
	default:
		k.mode = keepDenied
	}
	for _, i := range f.keep {
		if need != bindsNot && binds[i] == need {
			k.addZone(s, int(i), binds)
			k.margin, k.warn = max(k.margin, s.zones[i].margin), max(k.warn, s.zones[i].warn)
		}
	}
	k.runs = appendRuns(k.runs, k.edges)
}

// addZone adds the uncovered stretches of a zone's edges.
func (k *keepArea) addZone(s *Set, i int, binds []bound) {
	z := &s.zones[i]
	next := z.coverLo
	for e := z.lo; e < z.hi; e++ {
		at := 0.0
		for ; next < z.coverHi && s.covers[next].edge == e; next++ {
			c := &s.covers[next]
			if k.mode != keepUnion || binds[c.zone] != bindsSurely || c.to <= at {
				continue
			}
			if c.from > at {
				k.piece(s, i, e, at, c.from)
			}
			at = c.to
		}
		if at < 1 {
			k.piece(s, i, e, at, 1)
		}
	}
}

func (k *keepArea) piece(s *Set, i int, e int32, from, to float64) {
	g := s.edges[e]
	p := g
	dx, dy := float64(g.bx)-float64(g.ax), float64(g.by)-float64(g.ay)
	if from > 0 {
		p.ax, p.ay = int32(math.Round(float64(g.ax)+float64(from*dx))), int32(math.Round(float64(g.ay)+float64(from*dy)))
	}
	if to < 1 {
		p.bx, p.by = int32(math.Round(float64(g.ax)+float64(to*dx))), int32(math.Round(float64(g.ay)+float64(to*dy)))
	}
	k.edges, k.zone = append(k.edges, p), append(k.zone, int32(i))
}

// holds says whether a point is in the area, its edge excluded.
func (k *keepArea) holds(s *Set, f *floor, binds []bound, x, y int32) bool {
	if k.mode == keepUnion {
		at := bounds{x, y, x, y}
		for l, n := f.keepTree.next(0, &at); l != nil; l, n = f.keepTree.next(n, &at) {
			if o := s.leafOutline(l); binds[l.zone] == bindsSurely && o.locate(x, y) == within {
				return true
			}
		}
		return false
	}
	for _, i := range f.keep {
		if o := s.outline(&s.zones[i]); k.mode == keepEach && binds[i] == bindsMaybe && o.locate(x, y) != within {
			return false
		}
	}
	return k.mode == keepEach
}

func (b box) has(x, y int32) bool {
	return int64(x) >= b.x0 && int64(x) <= b.x1 && int64(y) >= b.y0 && int64(y) <= b.y1
}
