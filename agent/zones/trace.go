package zones

import (
	"cmp"
	"fmt"
	"slices"
)

// What one policy, and one of its zones, can hold.
const (
	maxZones       = 10_000
	maxAllVertices = 300_000 // of a mask's zones: about what 4 MiB of YAML have room for
	maxVertices    = 4_096   // of one zone, holes included
	maxHoles       = 256
)

// corner is a corner of cells: column and row of the grid's lines, from the lower left.
type corner struct{ x, y int32 }

// piece is a set of cells as a polygon: simple rings that do not touch each other.
type piece struct {
	outer []corner
	holes [][]corner
}

func (p *piece) size() int {
	n := len(p.outer)
	for _, h := range p.holes {
		n += len(h)
	}
	return n
}

// tracer turns cells into polygons whose union is the cells, no more and no less.
//
// Cells that share an edge belong together. Where two of a piece's cells meet in a corner only, its ring would touch
// itself there, which a policy refuses. Such a piece is cut along the whole row of that corner: the two cells then are
// in different pieces, and a cut makes no new corner of the kind, since a corner on a cut has cells on one side alone.
// Pieces that are too large for one zone are halved. Pieces are closed sets that share the edges of a cut, so nothing is
// lost between them.
type tracer struct {
	in    []bool
	width int

	label []int32 // of the cells of the piece that is being looked at
	next  int32
	total int
	out   []piece
}

// part is cells that carry a label, in the order of the grid: by rows from below, then from the left. All work is done on
// such lists, so that many thin parts around each other cost no more than their cells.
type part struct {
	label int32
	cells []int32
}

// pieces returns the polygons in the order of their lowest, leftmost cells, or what makes them too many.
func (t *tracer) pieces() ([]piece, string) {
	if t.width <= 0 || len(t.in) == 0 {
		return nil, ""
	}
	t.label = make([]int32, len(t.in))
	all := part{label: 1}
	for i, in := range t.in {
		if in {
			t.label[i] = 1
			all.cells = append(all.cells, int32(i))
		}
	}
	t.next = 1
	if !t.split(all, nil) {
		return nil, fmt.Sprintf("more than %d zones or %d vertices", maxZones, maxAllVertices)
	}
	slices.SortFunc(t.out, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.outer[0].y, b.outer[0].y), cmp.Compare(a.outer[0].x, b.outer[0].x))
	})
	return t.out, ""
}

// split takes a part into those that hang together. cuts keeps a row apart from the one below it.
func (t *tracer) split(p part, cuts map[int]bool) bool {
	for _, i := range p.cells {
		if t.label[i] == p.label && !t.take(t.flood(i, p.label, cuts)) {
			return false
		}
	}
	return true
}

// take makes a piece of a part that hangs together, or splits it further: at the rows where cells meet in corners, or in
// halves where it is too large.
func (t *tracer) take(p part) bool {
	cuts := map[int]bool{}
	for _, i := range p.cells {
		x, y := t.xy(i)
		if t.meets(x, y, p.label) || t.meets(x+1, y, p.label) {
			cuts[y] = true
		}
	}
	if len(cuts) > 0 {
		return t.split(p, cuts)
	}
	out := t.trace(p)
	if out.size() > maxVertices || len(out.holes) > maxHoles {
		return t.halve(p)
	}
	t.total += out.size()
	t.out = append(t.out, out)
	return len(t.out) <= maxZones && t.total <= maxAllVertices
}

// halve cuts a part across its longer side.
func (t *tracer) halve(p part) bool {
	left, bottom := t.xy(p.cells[0])
	right, top := left, bottom
	for _, i := range p.cells {
		x, y := t.xy(i)
		left, right, top = min(left, x), max(right, x), max(top, y)
	}
	if top-bottom >= right-left {
		return t.split(p, map[int]bool{(bottom + top + 1) / 2: true})
	}
	// A second label keeps the columns apart.
	t.next++
	half, rest := part{label: t.next}, part{label: p.label}
	for _, i := range p.cells {
		if x, _ := t.xy(i); x < (left+right+1)/2 {
			t.label[i] = half.label
			half.cells = append(half.cells, i)
		} else {
			rest.cells = append(rest.cells, i)
		}
	}
	return t.split(half, nil) && t.split(rest, nil)
}

// flood gives the cells that hang together with one a label of their own.
func (t *tracer) flood(from, old int32, cuts map[int]bool) part {
	t.next++
	p := part{t.next, []int32{from}}
	t.label[from] = p.label
	width := int32(t.width)
	visit := func(i int32) {
		if t.label[i] == old {
			t.label[i] = p.label
			p.cells = append(p.cells, i)
		}
	}
	for k := 0; k < len(p.cells); k++ {
		i := p.cells[k]
		x, y := t.xy(i)
		if x > 0 {
			visit(i - 1)
		}
		if x+1 < t.width {
			visit(i + 1)
		}
		if y > 0 && !cuts[y] {
			visit(i - width)
		}
		if int(i+width) < len(t.in) && !cuts[y+1] {
			visit(i + width)
		}
	}
	slices.Sort(p.cells)
	return p
}

func (t *tracer) xy(i int32) (x, y int) { return int(i) % t.width, int(i) / t.width }

// has says whether a cell belongs to a label; nothing lies beyond the grid.
func (t *tracer) has(x, y int, label int32) bool {
	return x >= 0 && x < t.width && y >= 0 && y*t.width < len(t.in) && t.label[y*t.width+x] == label
}

// meets says whether just two cells of a label touch the corner, across from each other.
func (t *tracer) meets(x, y int, label int32) bool {
	a, b := t.has(x-1, y-1, label), t.has(x, y-1, label)
	c, d := t.has(x-1, y, label), t.has(x, y, label)
	return a == d && b == c && a != b
}

// trace walks around a part that touches itself nowhere, cells on the left: outer rings come out counter-clockwise, and
// holes clockwise. Only corners where the way turns are kept.
func (t *tracer) trace(s part) piece {
	var p piece
	seen := map[corner]bool{} // bottom edges that were walked
	for _, i := range s.cells {
		// A bottom edge of a cell with nothing below starts a ring, walked to the right.
		x, y := t.xy(i)
		if t.has(x, y-1, s.label) || seen[corner{int32(x), int32(y)}] {
			continue
		}
		ring := t.walk(x, y, s.label, seen)
		if p.outer == nil {
			p.outer = ring // the lowest row's first edge is on the outside
		} else {
			p.holes = append(p.holes, ring)
		}
	}
	return p
}

// walk follows a ring from the bottom edge of a cell and notes the bottom edges that it takes.
func (t *tracer) walk(x0, y0 int, label int32, seen map[corner]bool) []corner {
	// Directions: right, up, left, down. The cell to the left of a step from (x, y), and the one to its right.
	step := [4][2]int{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}
	left := [4][2]int{{0, 0}, {-1, 0}, {-1, -1}, {0, -1}}
	var ring []corner
	x, y, dir := x0, y0, 0
	last := -1
	for {
		if dir == 0 {
			if seen[corner{int32(x), int32(y)}] {
				break
			}
			seen[corner{int32(x), int32(y)}] = true
		}
		if dir != last {
			ring = append(ring, corner{int32(x), int32(y)})
		}
		last = dir
		x, y = x+step[dir][0], y+step[dir][1]
		// Left if the cell ahead on the left is free, else on, or right if the one ahead on the right is taken too.
		ahead := (dir + 1) % 4
		switch l, r := left[dir], left[(dir+3)%4]; {
		case !t.has(x+l[0], y+l[1], label):
			dir = ahead
		case t.has(x+r[0], y+r[1], label):
			dir = (dir + 3) % 4
		}
	}
	return closeRing(ring)
}

// closeRing drops a first corner at which the way does not turn.
func closeRing(ring []corner) []corner {
	n := len(ring)
	a, b, c := ring[n-1], ring[0], ring[1]
	if a.x == b.x && b.x == c.x || a.y == b.y && b.y == c.y {
		return ring[1:]
	}
	return ring
}
