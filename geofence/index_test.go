package geofence

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestBeyondKeepsToItsBounds: a box that rounding alone puts farther away is looked at, one that is farther by a millimetre, or
// by the share that rounding may amount to, is left out.
func TestBeyondKeepsToItsBounds(t *testing.T) {
	const wrong = 0x1p-20 // of either distance, in millimetres
	for d := 0.0; d < 1<<31; d = d*1.37 + 0.01 {
		near, far := d+2*wrong, d+1
		if near2, best2 := near*near, d*d; beyond(near2, best2) {
			t.Errorf("%v mm is beyond %v mm", near, d)
		}
		if far2, best2 := far*far, d*d; d > 0 && d < 1<<30 && !beyond(far2, best2) {
			t.Errorf("%v mm is not beyond %v mm", far, d)
		}
	}
}

func TestTreeFindsWhatMeets(t *testing.T) {
	for n := range 200 {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		zones, list := make([]zone, n), make([]int32, n)
		for i := range zones {
			x, y := rng.Int64N(10_000), rng.Int64N(10_000)
			zones[i] = zone{box: box{x, y, x + rng.Int64N(2000), y + rng.Int64N(2000)}, margin: 100 * rng.Float64()}
			list[i] = int32(i)
		}
		tree := newTree(zones, list)
		for range 50 {
			x, y := rng.Int32N(12_000)-1000, rng.Int32N(12_000)-1000
			q := bounds{x, y, x + rng.Int32N(1500), y + rng.Int32N(1500)}
			var met, want []int32
			for l, k := tree.next(0, &q); l != nil; l, k = tree.next(k, &q) {
				met = append(met, l.zone)
				if b := tree.nodes[k-1].bounds; b != zones[l.zone].reach().bounds() {
					t.Fatalf("%d zones: the box of zone %d is %+v", n, l.zone, b)
				}
			}
			for i := range zones {
				if b := zones[i].reach().bounds(); b.meets(&q) {
					want = append(want, int32(i))
				}
			}
			slices.Sort(met)
			if !slices.Equal(met, want) {
				t.Fatalf("%d zones, %+v: met %v, want %v", n, q, met, want)
			}
		}
	}
}

func TestSizesAreThoseInMemory(t *testing.T) {
	for _, tc := range []struct {
		of   any
		size int
	}{{edge{}, edgeBytes}, {bounds{}, boundsBytes}, {cover{}, coverBytes}, {zone{}, zoneBytes}, {leaf{}, leafBytes}, {node{}, nodeBytes}, {SpecialDay{}, specialDayBytes}} {
		if got := int(reflect.TypeOf(tc.of).Size()); got > tc.size || got < tc.size-64 {
			t.Errorf("%T takes %d bytes, counted are %d", tc.of, got, tc.size)
		}
	}
	spec := estate(4000)
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	set := compile(t, spec, wheels())
	grown := heap() - before
	t.Logf("%d bytes counted, %d on the heap", set.Bytes(), grown)
	if grown > set.Bytes()*3/2 {
		t.Errorf("the set takes %d bytes of heap, counted are %d", grown, set.Bytes())
	}
	runtime.KeepAlive(spec)
}

func TestASetBeyondItsMemoryIsRefused(t *testing.T) {
	spec := estate(MaxZones)
	if _, err := Compile(spec, wheels()); err != nil {
		t.Fatalf("%d zones of 20 vertices: %v", MaxZones, err)
	}
	for i := range spec.Zones {
		spec.Zones[i].Reason = strings.Repeat("because ", 100)
	}
	set, err := Compile(spec, wheels())
	var e *SpecError
	if set != nil || !errors.As(err, &e) || e.Section != "zones" || !strings.Contains(e.Problem, fmt.Sprint(MaxSetBytes)) {
		t.Errorf("got %v", err)
	}
}
