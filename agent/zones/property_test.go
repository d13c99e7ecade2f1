package zones

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/config"
)

// TestDrawingsAreTakenOrRefusedAtAPlace imports small random rings, most of which cross themselves: each is refused with
// its place, or passes robowarden check with every vertex within the stated rounding.
func TestDrawingsAreTakenOrRefusedAtAPlace(t *testing.T) {
	dir, err := os.MkdirTemp("", "zones-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		coordinate := rapid.OneOf(
			rapid.Map(rapid.IntRange(-4, 4), func(i int) float64 { return float64(i) }),
			rapid.Map(rapid.IntRange(-4, 4), func(i int) float64 { return float64(i) * 0.0004 }),
			rapid.Float64Range(-20, 20),
		)
		n := rapid.IntRange(3, 6).Draw(t, "vertices")
		var ring [][2]float64
		for range n {
			ring = append(ring, [2]float64{coordinate.Draw(t, "x"), coordinate.Draw(t, "y")})
		}
		if rapid.Bool().Draw(t, "star-shaped") { // most of the others cross themselves
			slices.SortFunc(ring, func(a, b [2]float64) int {
				return int(math.Copysign(1, math.Atan2(a[1], a[0])-math.Atan2(b[1], b[0])))
			})
		}
		raw, err := json.Marshal(append(slices.Clone(ring), ring[0]))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Import(fstest.MapFS{"s": {Data: []byte(geoOf("{}", "["+string(raw)+"]"))}}, "s",
			Options{Format: GeoJSON, Local: true, Floor: "f", ZoneType: config.ZoneBlocked})
		if err != nil {
			var problems *config.Problems
			if !errors.As(err, &problems) || !slices.ContainsFunc(problems.List, func(p config.Problem) bool {
				return p.Severity == config.SeverityError && p.Line > 0 && strings.HasPrefix(p.Path, "features[0].geometry.coordinates[0]")
			}) {
				t.Fatalf("%v names no place", err)
			}
			return
		}
		taken++
		for _, v := range accepted(t, dir, r).Zones[0].Vertices {
			if !slices.ContainsFunc(ring, func(p [2]float64) bool { return math.Hypot(p[0]-v.X, p[1]-v.Y) <= r.RoundedM+1e-9 }) {
				t.Fatalf("vertex %v is none of %v", v, ring)
			}
		}
	})
	if taken == 0 {
		t.Error("no drawing was taken: the property says nothing")
	}
}

// TestMetresAreExact reads back what is written.
func TestMetresAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mm := rapid.Int32Range(-10_000_000, 10_000_000).Draw(t, "mm")
		var v float64
		if _, err := fmt.Sscan(metres(mm), &v); err != nil || int32(math.Round(v*1000)) != mm || math.Abs(v*1000-float64(mm)) > 1e-6 {
			t.Fatalf("%d mm are written as %s", mm, metres(mm))
		}
	})
}

// TestCapsOfJSON shows that a source that is too large costs no more than reading it.
func TestCapsOfJSON(t *testing.T) {
	for name, raw := range map[string][]byte{
		"bytes": bytes.Repeat([]byte(" "), maxJSONBytes+1),
		"nodes": append(append([]byte("["), bytes.Repeat([]byte("0,"), maxJSONNodes+1)...), "0]"...),
	} {
		_, err := Import(fstest.MapFS{"s": {Data: raw}}, "s", Options{Format: VDA5050})
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
