package geos

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/geofence"
)

// rounds is how many worlds are drawn and how many places in each: 60 000 comparisons, or more than a million in the long tier.
func rounds() (worlds, places int) {
	if os.Getenv("ROBOWARDEN_TIER") == "qualify" {
		return 70, 3000
	}
	return 6, 2000
}

// TestAgainstGEOS asks GEOS and the product the same questions. The product must never be wrong.
func TestAgainstGEOS(t *testing.T) {
	p := startPeer(t)
	worlds, places := rounds()
	byKind := map[Kind]*Tally{}
	far := 0
	for seed := range uint64(worlds) {
		w := NewWorld(seed, []int{10, 100, 400, 1000}[seed%4])
		s, err := newSubject(w)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.load(w)
		if err != nil {
			t.Fatal(err)
		}
		if b.invalid != 0 {
			t.Errorf("world %d: GEOS calls %d zones invalid that Compile takes", seed, b.invalid)
		}
		if w.off != 0 {
			far++
		}
		queries := w.Queries(places)
		for _, k := range Kinds() {
			one, err := compare(w, s, p, k, queries)
			if err != nil {
				t.Fatal(err)
			}
			if byKind[k] == nil {
				byKind[k] = &Tally{}
			}
			byKind[k].add(one)
		}
	}
	var all Tally
	for _, k := range Kinds() {
		one := byKind[k]
		t.Logf("%-16s %7d comparisons, %d on a boundary, %d hits; %d disagreements, %d looked at by the referee: we are wrong in %d, GEOS in %d; distances differ by %.2g mm at most",
			k, one.Compared, one.Boundary, one.Hits, one.Disagreed, one.Refereed, one.Ours, one.Theirs, one.MaxMM)
		if one.Hits < one.Compared/10 || one.Hits == one.Compared {
			t.Errorf("%s: %d of %d queries hit anything: the worlds are no test", k, one.Hits, one.Compared)
		}
		all.add(*one)
	}
	t.Logf("%d comparisons over seeds 0 to %d, %d worlds 10 km off", all.Compared, worlds-1, far)
	if all.Ours != 0 {
		t.Errorf("the product is wrong in %d answers; the first: %s", all.Ours, all.First)
	}
	if all.Compared < worlds*places*len(Kinds()) || all.Boundary < all.Compared/10 || far == 0 {
		t.Errorf("%d comparisons, %d on a boundary, %d worlds far off: too few", all.Compared, all.Boundary, far)
	}
}

// TestAWrongAnswerIsCaught is the off run: geometry that is wrong by a millimetre, or takes an open set for a closed one, must show.
func TestAWrongAnswerIsCaught(t *testing.T) {
	p := startPeer(t)
	w := NewWorld(2, 100)
	s, err := newSubject(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.load(w); err != nil {
		t.Fatal(err)
	}
	queries := w.Queries(4000)
	for _, k := range Kinds() {
		s.wrong = func(k Kind, q *Query) {
			switch k {
			case At, Distance:
				q.P.X++
			case Footprint:
				q.Foot[0].Y++
			case Capsule:
				q.R--
			case Parts:
				for i := range q.Links {
					q.Links[i].R--
				}
			}
		}
		got, err := compare(w, s, p, k, queries)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d of %d wrong answers caught", k, got.Ours, got.Compared)
		if got.Ours == 0 {
			t.Errorf("%s, wrong by a millimetre: nothing was caught", k)
		}
	}
}

// TestCompileRefusesWhatGEOSCallsInvalid draws rings on a coarse grid, where sides cross, touch, overlap and turn back all the time.
func TestCompileRefusesWhatGEOSCallsInvalid(t *testing.T) {
	p := startPeer(t)
	rng := rand.New(rand.NewPCG(1, 0x1e57))
	draw := func(n, side int32) []Point {
		at := rng.Perm(int(side * side))
		ring := make([]Point, n)
		for i := range ring {
			ring[i] = Point{int32(at[i]) % side, int32(at[i]) / side}
		}
		return ring
	}
	w := &World{Seed: 1, Zones: make([]Zone, 2500)}
	for i := range w.Zones {
		w.Zones[i].Rings = [][]Point{draw(3+rng.Int32N(5), 6)}
		if i%2 == 0 { // with room for a hole, which may also lie outside, or across the rim
			outer := []Point{{-1, -1}, {8, -1}, {8, 8}, {-1, 8}}
			outer[rng.IntN(4)] = Point{rng.Int32N(10) - 1, rng.Int32N(10) - 1}
			w.Zones[i].Rings = [][]Point{outer, w.Zones[i].Rings[0]}
		}
	}
	b, err := p.load(w)
	if err != nil {
		t.Fatal(err)
	}
	taken, touching := 0, 0
	for i := range w.Zones {
		one := &World{Zones: w.Zones[i : i+1]}
		_, err := geofence.Compile(spec(one), robot())
		switch {
		case err == nil && !b.valid[i]:
			t.Errorf("zone %d, %v: taken, but GEOS calls it invalid", i, w.Zones[i].Rings)
		case err == nil:
			taken++
		case b.valid[i] && len(w.Zones[i].Rings) == 2 && strings.Contains(err.Error(), "meets"):
			touching++ // a hole that touches the rim at a point is valid there, and two zones to us
		case b.valid[i] && simple(w.Zones[i].Rings[0]):
			t.Errorf("zone %d, %v: refused, but GEOS calls it valid: %v", i, w.Zones[i].Rings, err)
		}
	}
	t.Logf("%d zones, %d valid to GEOS, %d taken, %d refused for a hole that touches", len(w.Zones), len(w.Zones)-b.invalid, taken, touching)
	if taken < 300 || b.invalid < 300 {
		t.Error("too few of either sort to compare")
	}
}

// TestReferee settles cases of which the answer is known.
func TestReferee(t *testing.T) {
	ring := Zone{Rings: [][]Point{{{0, 0}, {1000, 0}, {1000, 1000}, {0, 1000}}, {{400, 400}, {600, 400}, {600, 600}, {400, 600}}}, Blocked: true, From: 0, To: 500}
	link := func(l Link) *Query {
		q := &Query{}
		for i := range q.Links {
			q.Links[i] = l
		}
		return q
	}
	for _, tc := range []struct {
		name string
		k    Kind
		q    *Query
		want bool
	}{
		{"inside", At, &Query{P: Point{100, 100}}, true},
		{"on a corner", At, &Query{P: Point{1000, 1000}}, true},
		{"on an edge", At, &Query{P: Point{1000, 17}}, true},
		{"a millimetre out", At, &Query{P: Point{1001, 17}}, false},
		{"in the hole", At, &Query{P: Point{500, 500}}, false},
		{"on the hole's rim", At, &Query{P: Point{400, 500}}, true},
		{"in line with a side", At, &Query{P: Point{-5, 1000}}, false},
		{"capsule that touches", Capsule, &Query{P: Point{-400, 500}, End: Point{-900, 500}, R: 400}, true},
		{"capsule a millimetre short", Capsule, &Query{P: Point{-401, 500}, End: Point{-900, 500}, R: 400}, false},
		{"capsule in the hole", Capsule, &Query{P: Point{500, 500}, End: Point{510, 500}, R: 89}, false},
		{"capsule to the hole's rim", Capsule, &Query{P: Point{500, 500}, End: Point{510, 500}, R: 90}, true},
		{"capsule at a corner, 3 4 5", Capsule, &Query{P: Point{1300, 1400}, End: Point{1300, 1400}, R: 500}, true},
		{"capsule at a corner, short", Capsule, &Query{P: Point{1300, 1400}, End: Point{1300, 1400}, R: 499}, false},
		{"footprint in the hole", Footprint, &Query{Foot: []Point{{450, 450}, {550, 450}, {500, 550}}}, false},
		{"footprint round the zone", Footprint, &Query{Foot: []Point{{-9000, -9000}, {9000, -9000}, {0, 9000}}}, true},
		{"footprint that touches with a corner", Footprint, &Query{Foot: []Point{{1000, 1000}, {1500, 1000}, {1500, 1500}}}, true},
		{"part above", Parts, link(Link{Point{100, 100}, Point{200, 100}, 600, 900, 99}), false},
		{"part that touches from above", Parts, link(Link{Point{100, 100}, Point{200, 100}, 600, 900, 100}), true},
	} {
		if got := touches(tc.k, tc.q, &ring); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	w := &World{Zones: []Zone{ring}}
	for _, tc := range []struct {
		p  Point
		mm float64
	}{{Point{1300, 1400}, 500}, {Point{200, 500}, -200}, {Point{500, 500}, 100}, {Point{0, 3}, 0}} {
		q := &Query{P: tc.p}
		if !fair(w, q, tc.mm) || fair(w, q, tc.mm+1e-6) || tc.mm != 0 && fair(w, q, -tc.mm) {
			t.Errorf("at %v the signed distance is not %v mm", tc.p, tc.mm)
		}
	}
}
