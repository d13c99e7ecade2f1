package zones

import (
	"fmt"
	"math"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
)

// inside is the oracle's own even-odd test of a point against all rings of a zone, in millimetres.
func inside(z *Zone, x, y float64) bool {
	in := false
	for _, ring := range append([]Ring{z.Outer}, z.Holes...) {
		for i, a := range ring {
			b := ring[(i+1)%len(ring)]
			ax, ay, bx, by := float64(a.X), float64(a.Y), float64(b.X), float64(b.Y)
			if (ay > y) != (by > y) && x < ax+(y-ay)*(bx-ax)/(by-ay) {
				in = !in
			}
		}
	}
	return in
}

// mapOf writes a trinary map: black cells are occupied. cells come by rows from the top.
func mapOf(cells []bool, width int, resolution, x, y, yaw float64) fstest.MapFS {
	raw := fmt.Appendf(nil, "P5\n%d %d\n255\n", width, len(cells)/width)
	for _, c := range cells {
		raw = append(raw, map[bool]byte{true: 0, false: 254}[c])
	}
	yaml := fmt.Sprintf("image: m.pgm\nresolution: %v\norigin: [%v, %v, %v]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n", resolution, x, y, yaw)
	return fstest.MapFS{"m.yaml": {Data: []byte(yaml)}, "m.pgm": {Data: raw}}
}

// checkMask holds zones to the cells by brute force: a cell's centre is in exactly one zone if it is occupied, else in none.
func checkMask(t interface{ Fatalf(string, ...any) }, r *Result, cells []bool, width int, resolution, ox, oy, yaw float64) {
	height := len(cells) / width
	sin, cos := math.Sincos(yaw)
	for row := range height {
		for col := range width {
			cx, cy := (float64(col)+0.5)*resolution, (float64(height-1-row)+0.5)*resolution
			x, y := 1000*(ox+cx*cos-cy*sin), 1000*(oy+cx*sin+cy*cos)
			n := 0
			for i := range r.Zones {
				if inside(&r.Zones[i], x, y) {
					n++
				}
			}
			if want := map[bool]int{true: 1, false: 0}[cells[row*width+col]]; n != want {
				t.Fatalf("cell %d in row %d from the top is in %d zones, expected %d", col, row, n, want)
			}
		}
	}
}

func TestMaskCoversExactlyItsCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 14).Draw(t, "width"), rapid.IntRange(1, 14).Draw(t, "height")
		dense := rapid.IntRange(1, 9).Draw(t, "tenths")
		cells := make([]bool, width*height)
		any := false
		for i := range cells {
			cells[i] = rapid.IntRange(0, 9).Draw(t, "cell") < dense
			any = any || cells[i]
		}
		if !any {
			t.Skip("nothing is occupied")
		}
		resolution := rapid.SampledFrom([]float64{0.005, 0.025, 0.05, 0.1, 1.0 / 3, 2}).Draw(t, "resolution")
		ox, oy := rapid.Float64Range(-500, 500).Draw(t, "x"), rapid.Float64Range(-500, 500).Draw(t, "y")
		yaw := rapid.SampledFrom([]float64{0, 0, math.Pi / 2, 0.3, -2.7}).Draw(t, "yaw")
		r, err := Import(mapOf(cells, width, resolution, ox, oy, yaw), "m.yaml", Options{Format: Nav2, Floor: "f"})
		if err != nil {
			t.Fatal(err)
		}
		checkMask(t, r, cells, width, resolution, ox, oy, yaw)
		if r.RoundedM > math.Sqrt2*0.0005+1e-9 {
			t.Fatalf("rounding moved a vertex by %v m", r.RoundedM)
		}
		for i := range r.Zones {
			for _, ring := range append([]Ring{r.Zones[i].Outer}, r.Zones[i].Holes...) {
				if yaw == 0 {
					onlyTurns(t, ring)
				}
			}
		}
	})
}

// onlyTurns wants every vertex of a rectilinear ring to be a turn by a right angle.
func onlyTurns(t *rapid.T, ring Ring) {
	for i, b := range ring {
		a, c := ring[(i+len(ring)-1)%len(ring)], ring[(i+1)%len(ring)]
		if (a.X == b.X) == (b.X == c.X) || (a.Y == b.Y) == (b.Y == c.Y) {
			t.Fatalf("vertex %d of %v is no corner", i, ring)
		}
	}
}

// TestMaskOffCase shows that checkMask can fail: it must notice one cell that differs.
func TestMaskOffCase(t *testing.T) {
	cells := []bool{true, false, true, true}
	r, err := Import(mapOf(cells, 2, 0.1, 0, 0, 0), "m.yaml", Options{Format: Nav2, Floor: "f"})
	if err != nil {
		t.Fatal(err)
	}
	checkMask(t, r, cells, 2, 0.1, 0, 0, 0)
	cells[1] = true
	var f failing
	checkMask(&f, r, cells, 2, 0.1, 0, 0, 0)
	if !f.failed {
		t.Error("a cell that is not covered went unnoticed")
	}
}

type failing struct{ failed bool }

func (f *failing) Fatalf(string, ...any) { f.failed = true }

func TestMaskShapes(t *testing.T) {
	for _, c := range []struct {
		name         string
		rows         []string
		zones, holes int
	}{
		{"one cell", []string{"#"}, 1, 0},
		{"two cells that meet in a corner", []string{"#.", ".#"}, 2, 0},
		{"a ring around a hole", []string{"###", "#.#", "###"}, 1, 1},
		{"a hole that opens in a corner", []string{"###.", "#.#.", "##.#", "...#"}, 3, 0},
		{"an island in a hole", []string{"#####", "#...#", "#.#.#", "#...#", "#####"}, 2, 1},
		{"holes that meet in a corner", []string{"####", "#.##", "##.#", "####"}, 2, 0},
		{"a checkerboard", []string{"#.#", ".#.", "#.#"}, 5, 0},
		{"everything", []string{"###", "###"}, 1, 0},
	} {
		var cells []bool
		for _, row := range c.rows {
			for _, cell := range row {
				cells = append(cells, cell == '#')
			}
		}
		r, err := Import(mapOf(cells, len(c.rows[0]), 0.05, -1, 2, 0), "m.yaml", Options{Format: Nav2, Floor: "f"})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		checkMask(t, r, cells, len(c.rows[0]), 0.05, -1, 2, 0)
		holes := 0
		for i := range r.Zones {
			holes += len(r.Zones[i].Holes)
		}
		if len(r.Zones) != c.zones || holes != c.holes {
			t.Errorf("%s: %d zones with %d holes, expected %d with %d", c.name, len(r.Zones), holes, c.zones, c.holes)
		}
	}
}

// TestMaskIsSplitWhereAZoneWouldBeTooLarge draws a comb with more corners than one zone may have, and a sieve with more
// holes.
func TestMaskIsSplitWhereAZoneWouldBeTooLarge(t *testing.T) {
	for name, shape := range map[string]struct {
		width, height int
		in            func(x, y int) bool
	}{
		"comb":  {4001, 2, func(x, y int) bool { return y == 1 || x%2 == 0 }},
		"sieve": {41, 81, func(x, y int) bool { return x%2 == 0 || y%2 == 0 }},
	} {
		cells := make([]bool, shape.width*shape.height)
		for i := range cells {
			cells[i] = shape.in(i%shape.width, i/shape.width)
		}
		r, err := Import(mapOf(cells, shape.width, 0.05, 0, 0, 0), "m.yaml", Options{Format: Nav2, Floor: "f"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range r.Zones {
			n := len(r.Zones[i].Outer)
			for _, h := range r.Zones[i].Holes {
				n += len(h)
			}
			if n > geofence.MaxZoneVertices || len(r.Zones[i].Holes) > maxHoles {
				t.Errorf("%s: zone %d has %d vertices and %d holes", name, i, n, len(r.Zones[i].Holes))
			}
		}
		if len(r.Zones) < 2 {
			t.Errorf("%s: expected it to be split", name)
		}
		if name == "sieve" {
			checkMask(t, r, cells, shape.width, 0.05, 0, 0, 0)
		}
	}
}

// TestHostileMasksEndSoon draws what costs most: noise, nested frames, a checkerboard.
func TestHostileMasksEndSoon(t *testing.T) {
	const side = 1200
	for name, in := range map[string]func(x, y int) bool{
		"noise": func(x, y int) bool {
			h := uint32(x*73856093 ^ y*19349663)
			h ^= h >> 13
			h *= 0x5bd1e995
			return h>>15&1 == 0
		},
		"frames":       func(x, y int) bool { return min(x, y, side-1-x, side-1-y)%2 == 0 },
		"checkerboard": func(x, y int) bool { return (x+y)%2 == 0 },
		"solid":        func(int, int) bool { return true },
	} {
		cells := make([]bool, side*side)
		for i := range cells {
			cells[i] = in(i%side, i/side)
		}
		began := time.Now()
		r, err := Import(mapOf(cells, side, 0.05, 0, 0, 0), "m.yaml", Options{Format: Nav2, Floor: "f"})
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if err == nil && (len(r.Zones) == 0 || name == "noise" || name == "checkerboard") {
			t.Errorf("%s: %d zones, expected them to be too many", name, len(r.Zones))
		} else if err != nil && (name == "frames" || name == "solid") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
