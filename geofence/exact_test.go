package geofence

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestLocate(t *testing.T) {
	const lim = MaxCoordinateMM
	square := ringEdges(nil, rect(0, 0, 100, 100))
	holed := ringEdges(ringEdges(nil, rect(0, 0, 100, 100)), rect(40, 40, 60, 60))
	notch := ringEdges(nil, []Vertex{{0, 0}, {100, 0}, {100, 100}, {50, 50}, {0, 100}})
	huge := ringEdges(nil, []Vertex{{-lim, -lim}, {lim, -lim}, {lim, lim}})
	for _, tc := range []struct {
		name  string
		edges []edge
		x, y  int32
		want  where
	}{
		{"inside", square, 50, 50, within},
		{"left", square, -1, 50, away},
		{"right", square, 101, 50, away},
		{"above", square, 50, 101, away},
		{"on a vertical side", square, 100, 50, onEdge},
		{"on the lower side", square, 50, 0, onEdge},
		{"on the upper side", square, 50, 100, onEdge},
		{"on the line of a side, beyond it", square, 150, 100, away},
		{"on a vertex", square, 100, 100, onEdge},
		{"on the first vertex", square, 0, 0, onEdge},
		{"level with a vertex, outside", notch, -10, 50, away},
		{"level with the notch's tip, inside", notch, 10, 50, within},
		{"on the notch's tip", notch, 50, 50, onEdge},
		{"in the notch", notch, 50, 60, away},
		{"in a hole", holed, 50, 50, away},
		{"on a hole's side", holed, 40, 50, onEdge},
		{"on a hole's vertex", holed, 60, 60, onEdge},
		{"between hole and rim", holed, 20, 50, within},
		{"on the longest diagonal", huge, 5, 5, onEdge},
		{"one off the longest diagonal", huge, 5, 4, within},
		{"one off it on the other side", huge, 4, 5, away},
	} {
		if got := locate(tc.edges, tc.x, tc.y); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestTouch(t *testing.T) {
	base := edge{0, 0, 10, 0}
	for _, tc := range []struct {
		name string
		g    edge
		want bool
	}{
		{"crossing", edge{5, -5, 5, 5}, true},
		{"ending on it", edge{5, 0, 5, 5}, true},
		{"sharing an end", edge{10, 0, 20, 5}, true},
		{"overlapping", edge{5, 0, 15, 0}, true},
		{"inside it", edge{2, 0, 3, 0}, true},
		{"on its line, apart", edge{11, 0, 15, 0}, false},
		{"parallel", edge{0, 1, 10, 1}, false},
		{"short of it", edge{5, 1, 5, 5}, false},
		{"boxes meet, segments do not", edge{9, 5, 20, -1}, false},
	} {
		for _, pair := range [][2]edge{{base, tc.g}, {tc.g, base}, {{10, 0, 0, 0}, tc.g}} {
			if got := touch(&pair[0], &pair[1]); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
			}
		}
	}
}

// TestEdgesAreCloseByOneEnd: for each of the four ends there are two edges of which it alone is the nearest point.
func TestEdgesAreCloseByOneEnd(t *testing.T) {
	flat := edge{0, 0, 100, 0}
	for name, g := range map[string]edge{"beginning": {50, 7, 80, 60}, "end": {80, 60, 50, 7}} {
		for _, pair := range [][2]edge{{flat, g}, {g, flat}} {
			if !edgesClose(&pair[0], &pair[1], 49) || edgesClose(&pair[0], &pair[1], 48) {
				t.Errorf("the %s of %v is 7 from %v", name, g, flat)
			}
		}
	}
	for name, g := range map[string]edge{"crossing": {50, -900, 50, 900}, "touching": {50, 0, 80, 900}} {
		if !edgesClose(&flat, &g, 0) || !edgesClose(&g, &flat, 0) {
			t.Errorf("%s edges are not close", name)
		}
	}
}

func TestSideIsExactAtTheLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.Int32Range(-MaxCoordinateMM, MaxCoordinateMM)
		v := make([]int32, 6)
		for i := range v {
			v[i] = c.Draw(t, "v")
		}
		d := func(i, j int) *big.Int { return big.NewInt(int64(v[i]) - int64(v[j])) }
		want := new(big.Int).Sub(new(big.Int).Mul(d(2, 0), d(5, 1)), new(big.Int).Mul(d(3, 1), d(4, 0)))
		if got := side(v[0], v[1], v[2], v[3], v[4], v[5]); big.NewInt(got).Cmp(want) != 0 {
			t.Fatalf("side = %d, want %s", got, want)
		}
	})
}

// smallRing draws vertices on a coarse grid, where touching and collinear cases abound.
func smallRing(t *rapid.T, n, size int) []Vertex {
	c := rapid.Int32Range(0, int32(size))
	ring := make([]Vertex, rapid.IntRange(3, n).Draw(t, "n"))
	for i := range ring {
		ring[i] = Vertex{c.Draw(t, "x"), c.Draw(t, "y")}
	}
	return ring
}

func TestLocateIsTheSameForEveryWindingAndStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ring := smallRing(t, 8, 12)
		if len(checkRings([][]Vertex{ring}, MaxCoordinateMM)) > 0 {
			t.Skip("not simple")
		}
		c := rapid.Int32Range(-1, 13)
		x, y := c.Draw(t, "px"), c.Draw(t, "py")
		want := locate(ringEdges(nil, ring), x, y)
		var turned, back []Vertex
		for i := range ring {
			turned = append(turned, ring[(i+1)%len(ring)])
			back = append(back, ring[len(ring)-1-i])
		}
		mirrored := make([]Vertex, len(ring))
		for i, v := range ring {
			mirrored[i] = Vertex{-v.X, v.Y}
		}
		if a, b, m := locate(ringEdges(nil, turned), x, y), locate(ringEdges(nil, back), x, y), locate(ringEdges(nil, mirrored), -x, y); a != want || b != want || m != want {
			t.Fatalf("locate = %d, turned %d, backwards %d, mirrored %d", want, a, b, m)
		}
	})
}
