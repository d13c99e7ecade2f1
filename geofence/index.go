package geofence

import (
	"cmp"
	"math"
	"slices"
)

// The index only ever leaves out what cannot count: the predicates are the same
// with and without it, on fewer edges, so the answer is that of the loop over
// everything, bit for bit. It has two stages of boxes. A floor's zones are sorted
// along a curve that keeps neighbours together, and packed into groups, groups of
// groups and so on. The edges of a zone follow each other along its rings and so
// are near to each other as they are: each runEdges of them share a box.

const (
	// fanBits is the logarithm of how many boxes share the next box above them.
	fanBits = 2
	// runEdges is how many edges of an outline share a box.
	runEdges = 8
)

// bounds is a closed axis-parallel rectangle in whole millimetres.
type bounds struct{ x0, y0, x1, y1 int32 }

// meets compares without a branch for each side: which one is missed, a processor cannot guess.
func (s *bounds) meets(o *bounds) bool {
	return (int64(o.x1)-int64(s.x0))|(int64(s.x1)-int64(o.x0))|(int64(o.y1)-int64(s.y0))|(int64(s.y1)-int64(o.y0)) >= 0
}

func (s *bounds) join(o bounds) {
	s.x0, s.y0, s.x1, s.y1 = min(s.x0, o.x0), min(s.y0, o.y0), max(s.x1, o.x1), max(s.y1, o.y1)
}

// gap2 is the squared distance between a point and the rectangle.
func (s *bounds) gap2(x, y int32) float64 {
	dx := float64(max(0, int64(s.x0)-int64(x), int64(x)-int64(s.x1)))
	dy := float64(max(0, int64(s.y0)-int64(y), int64(y)-int64(s.y1)))
	return float64(dx*dx) + float64(dy*dy)
}

// bounds narrows a box to 32 bits; no vertex lies beyond them.
func (b box) bounds() bounds {
	const most = 1<<31 - 1
	n := func(v int64) int32 { return int32(min(max(v, -most), most)) }
	return bounds{n(b.x0), n(b.y0), n(b.x1), n(b.y1)}
}

// beyond says that nothing within a box at the squared distance gap2 can be as
// near as best2, whatever was rounded on the way to either: a distance d comes out
// wrong by less than 2^-20 of a millimetre, its square by less than 1 + d²/2^30.
func beyond(gap2, best2 float64) bool { return gap2 > best2+float64(best2*0x1p-30)+1 }

// tree holds boxes of zones, and boxes that hold 2^fanBits neighbours of the level below, all in the order in which a
// walk from the top comes upon them: it goes on with the next one, or leaves out what a box holds.
type tree struct {
	nodes  []node
	leaves []leaf
	// spacing is half the side of a square that holds one zone in the mean, in millimetres: how far a
	// search for the nearest one looks at first.
	spacing int64
	kinds   uint64 // those that are there at all
}

// node is a box, and the node after all that it holds; for a zone's, -1 less the place of its leaf.
type node struct {
	bounds
	skip int32
}

// leaf is what a query needs of a zone, together: which it is, its kind, and its edges and their boxes in the Set.
type leaf struct {
	zone                 int32
	kind                 Kind
	lo, hi, runLo, runHi int32
}

// newTree sorts zones by their boxes, which it grows by the zones' margins.
func newTree(all []zone, list []int32) tree {
	var t tree
	code := func(i int32) uint64 {
		b := &all[i].box
		return interleave(uint32((b.x0+b.x1)/2+MaxCoordinateMM)) | interleave(uint32((b.y0+b.y1)/2+MaxCoordinateMM))<<1
	}
	slices.SortFunc(list, func(a, b int32) int {
		return cmp.Or(cmp.Compare(code(a), code(b)), cmp.Compare(a, b))
	})
	level := make([]bounds, len(list))
	t.leaves = make([]leaf, len(list))
	for k, i := range list {
		z := &all[i]
		t.kinds |= 1 << z.kind
		level[k], t.leaves[k] = z.reach().bounds(), leaf{i, z.kind, z.lo, z.hi, z.runLo, z.runHi}
	}
	levels := [][]bounds{level}
	n := len(level)
	for ; len(level) > 1; n += len(level) {
		level = packed(level, 1<<fanBits)
		levels = append(levels, level)
	}
	for i := range level {
		wide, high := float64(level[i].x1)-float64(level[i].x0), float64(level[i].y1)-float64(level[i].y0)
		t.spacing = int64(math.Ceil(math.Sqrt(float64(wide*high)/float64(len(list))) / 2))
		t.nodes = make([]node, 0, n)
		t.thread(levels, 0)
	}
	return t
}

// thread appends box k of the highest level, and all that it holds.
func (t *tree) thread(levels [][]bounds, k int) {
	top := len(levels) - 1
	at := len(t.nodes)
	t.nodes = append(t.nodes, node{levels[top][k], int32(-1 - k)})
	if top == 0 {
		return
	}
	for i := k << fanBits; i < min((k+1)<<fanBits, len(levels[top-1])); i++ {
		t.thread(levels[:top], i)
	}
	t.nodes[at].skip = int32(len(t.nodes))
}

// packed joins each n boxes to one.
func packed(in []bounds, n int) []bounds {
	out := make([]bounds, 0, (len(in)+n-1)/n)
	for k, s := range in {
		if k%n == 0 {
			out = append(out, s)
		}
		out[len(out)-1].join(s)
	}
	return out
}

// next is the first zone from node i on whose box meets a rectangle, nil if there is none, and the node after it.
func (t *tree) next(i int, q *bounds) (*leaf, int) {
	for i < len(t.nodes) {
		n := &t.nodes[i]
		i++
		switch met := n.meets(q); {
		case n.skip < 0 && met:
			return &t.leaves[-1-n.skip], i
		case n.skip >= 0 && !met:
			i = int(n.skip)
		}
	}
	return nil, i
}

func (t *tree) bytes() int { return leafBytes*len(t.leaves) + nodeBytes*len(t.nodes) }

// Sizes in memory, and what a map needs for each entry with its key's header.
const (
	edgeBytes, boundsBytes, coverBytes, zoneBytes, nodeBytes, leafBytes, bodyBytes, specialDayBytes = 16, 16, 24, 312, 20, 24, 816, 32
	entryBytes                                                                                      = 48
)

// Bytes is how much memory the zones take up, with their index and texts; a fence on them needs about half as much again.
func (s *Set) Bytes() int {
	n := edgeBytes*len(s.edges) + boundsBytes*len(s.runs) + coverBytes*len(s.covers) + (zoneBytes+entryBytes)*len(s.zones)
	for i := range s.zones {
		info := &s.zones[i].info
		n += len(info.ID) + len(info.Name) + len(info.Reason)
	}
	n += bodyBytes*len(s.bodies) + specialDayBytes*len(s.special)
	for i := range s.floors {
		f := &s.floors[i]
		n += f.solid.bytes() + f.keepTree.bytes() + f.limbs.bytes() + 4*(len(f.keep)+len(f.limbs.views))
	}
	return n
}

// reach is the zone's box with its margin.
func (z *zone) reach() box { return z.box.grow(int64(math.Ceil(z.margin))) }

// outline is the edges of a zone or of the keep-in area, and the boxes of each
// runEdges of them.
type outline struct {
	edges []edge
	runs  []bounds
}

// appendRuns appends the boxes of an outline.
func appendRuns(runs []bounds, edges []edge) []bounds {
	for i := range edges {
		e := &edges[i]
		s := bounds{e.minX(), e.minY(), e.maxX(), e.maxY()}
		if i%runEdges == 0 {
			runs = append(runs, s)
		}
		runs[len(runs)-1].join(s)
	}
	return runs
}

// leafOutline is the outline of the zone at a place of a tree.
func (s *Set) leafOutline(l *leaf) outline {
	return outline{s.edges[l.lo:l.hi], s.runs[l.runLo:l.runHi]}
}

// run is the part of the edges that share box r.
func (o *outline) run(r int) []edge {
	return o.edges[r*runEdges : min((r+1)*runEdges, len(o.edges))]
}

// locate is what [locate] says of all the edges.
func (o *outline) locate(x, y int32) where {
	in := false
	for r := range o.runs {
		// The ray goes towards greater x.
		if s := &o.runs[r]; (int64(y)-int64(s.y0))|(int64(s.y1)-int64(y))|(int64(s.x1)-int64(x)) < 0 {
			continue
		}
		odd, on := crossings(o.run(r), x, y)
		if on {
			return onEdge
		}
		in = in != odd
	}
	if in {
		return within
	}
	return away
}

// near2 is the squared distance between a point and the outline if it is less
// than best2, or else best2.
func (o *outline) near2(x, y int32, best2 float64) float64 {
	for r := range o.runs {
		if beyond(o.runs[r].gap2(x, y), best2) {
			continue
		}
		run := o.run(r)
		for i := range run {
			best2 = min(best2, vertexEdge2(&run[i], x, y))
		}
	}
	return best2
}

// interleave puts a zero between any two bits of v.
func interleave(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	x = (x | x<<2) & 0x3333333333333333
	return (x | x<<1) & 0x5555555555555555
}
