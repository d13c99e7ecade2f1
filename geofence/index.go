package geofence

import (
	"cmp"
	"math"
	"math/bits"
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

func (s *bounds) meets(o *bounds) bool {
	return s.x0 <= o.x1 && o.x0 <= s.x1 && s.y0 <= o.y1 && o.y0 <= s.y1
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

// tree holds boxes of zones. Level 0 has one for each zone; each box of the next
// level holds those of 2^fanBits neighbours of the one below.
type tree struct {
	zones  []int32
	leaves []leaf
	levels [][]bounds
	// spacing is half the side of a square that holds one zone in the mean, in millimetres: how far a
	// search for the nearest one looks at first.
	spacing int64
	kinds   uint64 // those that are there at all
}

// leaf is what a query needs of a zone, together: its kind, and its edges and their boxes in the Set.
type leaf struct {
	kind                 Kind
	lo, hi, runLo, runHi int32
}

// newTree sorts zones by their boxes, which it grows by the zones' margins.
func newTree(all []zone, list []int32) tree {
	t := tree{zones: list}
	code := func(i int32) uint64 {
		b := &all[i].box
		return interleave(uint32((b.x0+b.x1)/2+MaxCoordinateMM)) | interleave(uint32((b.y0+b.y1)/2+MaxCoordinateMM))<<1
	}
	slices.SortFunc(t.zones, func(a, b int32) int {
		return cmp.Or(cmp.Compare(code(a), code(b)), cmp.Compare(a, b))
	})
	level := make([]bounds, len(list))
	t.leaves = make([]leaf, len(list))
	for k, i := range list {
		z := &all[i]
		t.kinds |= 1 << z.kind
		level[k], t.leaves[k] = z.reach().bounds(), leaf{z.kind, z.lo, z.hi, z.runLo, z.runHi}
	}
	for t.levels = append(t.levels, level); len(level) > 1; t.levels = append(t.levels, level) {
		level = packed(level, 1<<fanBits)
	}
	for i := range level {
		wide, high := float64(level[i].x1)-float64(level[i].x0), float64(level[i].y1)-float64(level[i].y0)
		t.spacing = int64(math.Ceil(math.Sqrt(float64(wide*high)/float64(len(list))) / 2))
	}
	return t
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

// next is the place of the first zone from k on whose box meets a rectangle, or
// how many zones there are.
func (t *tree) next(k int, q *bounds) int {
walk:
	for k < len(t.zones) {
		for l := t.starts(k); l > 0; l-- {
			if !t.levels[l][k>>(fanBits*l)].meets(q) {
				k += 1 << (fanBits * l)
				continue walk
			}
		}
		if t.levels[0][k].meets(q) {
			return k
		}
		k++
	}
	return len(t.zones)
}

// starts is the highest level of which a box begins with place k.
func (t *tree) starts(k int) int {
	return min(bits.TrailingZeros(uint(k))/fanBits, len(t.levels)-1)
}

func (t *tree) bytes() int {
	n := (4 + leafBytes) * len(t.zones)
	for _, level := range t.levels {
		n += boundsBytes * len(level)
	}
	return n
}

// Sizes in memory, and what a map needs for each entry with its key's header.
const (
	edgeBytes, boundsBytes, coverBytes, zoneBytes, leafBytes, bodyBytes = 16, 16, 24, 288, 20, 816
	entryBytes                                                          = 48
)

// Bytes is how much memory the zones take up, with their index and texts; a fence on them needs about half as much again.
func (s *Set) Bytes() int {
	n := edgeBytes*len(s.edges) + boundsBytes*len(s.runs) + coverBytes*len(s.covers) + (zoneBytes+entryBytes)*len(s.zones)
	for i := range s.zones {
		info := &s.zones[i].info
		n += len(info.ID) + len(info.Name) + len(info.Reason)
	}
	n += bodyBytes * len(s.bodies)
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
		if s := &o.runs[r]; y < s.y0 || y > s.y1 || x > s.x1 {
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
