package geos

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// subject is the product's geometry on a world.
type subject struct {
	set     *geofence.Set
	heights []geofence.Span
	// wrong, if not nil, spoils a query before it is asked: so a test shows that it would notice.
	wrong func(k Kind, q *Query)
	buf   []int
}

// newSubject compiles a world, and leaves out the zones that the product refuses, which only rounding can make unfit; w
// then has the others.
func newSubject(w *World) (*subject, error) {
	s := &subject{}
	for range 3 {
		set, err := geofence.Compile(spec(w), robot())
		if err == nil {
			s.set = set
			for _, z := range w.Zones {
				s.heights = append(s.heights, geofence.Span{FromMM: z.From, ToMM: z.To})
			}
			return s, nil
		}
		refused := map[int]bool{}
		var joined interface{ Unwrap() []error }
		var ok bool
		if joined, ok = err.(interface{ Unwrap() []error }); !ok { //nolint:errorlint // the join itself is meant
			return nil, err
		}
		for _, one := range joined.Unwrap() {
			e, ok := one.(*geofence.SpecError) //nolint:errorlint // Compile joins these and nothing else
			if !ok || e.Section != "zones" || e.Index < 0 {
				return nil, one
			}
			refused[e.Index] = true
		}
		if len(refused) > len(w.Zones)/20 {
			return nil, fmt.Errorf("world %d: %d of %d zones are refused: %w", w.Seed, len(refused), len(w.Zones), err)
		}
		var kept []Zone
		for i, z := range w.Zones {
			if !refused[i] {
				kept = append(kept, z)
			}
		}
		w.Zones = kept
	}
	return nil, fmt.Errorf("world %d: zones are refused again and again", w.Seed)
}

func spec(w *World) geofence.Spec {
	s := geofence.Spec{Floors: []geofence.FloorSpec{{ID: "floor", WithoutKeepIn: geofence.Allow}}}
	for i := range w.Zones {
		z := &w.Zones[i]
		zone := geofence.ZoneSpec{ID: fmt.Sprint("z", i), Floor: "floor", Kind: geofence.Blocked, Outer: vertices(z.Rings[0])}
		for _, r := range z.Rings[1:] {
			zone.Holes = append(zone.Holes, vertices(r))
		}
		if !z.Blocked {
			zone.Kind, zone.MaxSpeedMPS = geofence.SpeedLimit, 0.5
		}
		s.Zones = append(s.Zones, zone)
	}
	return s
}

func vertices(ring []Point) []geofence.Vertex {
	out := make([]geofence.Vertex, len(ring))
	for i, p := range ring {
		out[i] = geofence.Vertex(p)
	}
	return out
}

// robot is any robot; queries do not look at it.
func robot() geofence.Robot {
	return geofence.Robot{
		Footprint:   []geofence.Vertex{{X: 400, Y: 300}, {X: -400, Y: 300}, {X: -400, Y: -300}, {X: 400, Y: -300}},
		MaxSpeedMPS: 1.5, MaxYawRateRadPS: 1.5, AccelMPS2: 1, DecelMPS2: 1, AngularDecelRadPS2: 2,
		Reaction: 300 * time.Millisecond, CommandPeriod: 50 * time.Millisecond, CreepMPS: 0.1, CreepYawRateRadPS: 0.2,
		SigmaK: 2.45, MapErrorM: 0.03, PoseMaxAge: 300 * time.Millisecond, PoseMaxFuture: 50 * time.Millisecond,
		MinStdDevM: 0.005, SlowStdDevM: 0.10, MaxStdDevM: 0.25,
		FreezeAfter: time.Second, JumpSlackM: 0.05, JumpSlackRad: 0.05,
		RecoverPoses: 10, RecoverDwell: time.Second, ReleaseMarginM: 0.15, ReleaseDwell: 2 * time.Second,
	}
}

// prepared is a query in the product's types.
type prepared struct {
	p, end geofence.Vertex
	r      int32
	foot   []geofence.Vertex
	parts  []geofence.SpaceCapsule
}

func prepare(q *Query) (p prepared) {
	p = prepared{p: geofence.Vertex(q.P), end: geofence.Vertex(q.End), r: q.R, foot: vertices(q.Foot)}
	for _, l := range q.Links {
		p.parts = append(p.parts, geofence.SpaceCapsule{A: geofence.Vertex(l.A), B: geofence.Vertex(l.B), AZ: l.AZ, BZ: l.BZ, RadiusMM: l.R})
	}
	return p
}

// ask is the product's answer; zones stand in a buffer that the next answer overwrites.
func (s *subject) ask(k Kind, p *prepared) (zones []int, mm float64, err error) {
	switch k {
	case At:
		s.buf, err = s.set.At(0, p.p, s.buf[:0])
	case Distance:
		mm, _, err = s.set.SignedDistance(0, p.p, geofence.Blocked)
	case Footprint:
		s.buf, err = s.set.Footprint(0, p.foot, s.buf[:0])
	case Capsule:
		s.buf, err = s.set.Capsule(0, p.p, p.end, p.r, s.buf[:0])
	case Parts:
		s.buf, err = s.set.Parts(0, p.parts, s.heights, s.buf[:0])
	}
	return s.buf, mm, err
}

func (s *subject) answer(k Kind, q Query) (Answer, error) {
	if s.wrong != nil {
		q.Foot = slices.Clone(q.Foot)
		s.wrong(k, &q)
	}
	p := prepare(&q)
	zones, mm, err := s.ask(k, &p)
	a := Answer{MM: mm}
	if k != Distance {
		for _, i := range zones {
			a.Zones = append(a.Zones, int32(i))
		}
	}
	return a, err
}

// Tally counts comparisons and who was wrong.
type Tally struct {
	Compared, Boundary, Hits int
	// Disagreed counts answers that differ, Refereed those that the referee looked at, agreements among them.
	Disagreed, Refereed int
	// Ours and Theirs count answers that the referee says are wrong, First is the first of ours.
	Ours, Theirs int
	First        string
	// MaxMM is the greatest difference between two distances in millimetres.
	MaxMM float64
}

func (t *Tally) add(o Tally) {
	t.Compared, t.Boundary, t.Hits = t.Compared+o.Compared, t.Boundary+o.Boundary, t.Hits+o.Hits
	t.Disagreed, t.Refereed, t.Ours, t.Theirs = t.Disagreed+o.Disagreed, t.Refereed+o.Refereed, t.Ours+o.Ours, t.Theirs+o.Theirs
	t.MaxMM = max(t.MaxMM, o.MaxMM)
	if t.First == "" {
		t.First = o.First
	}
}

// closeMM is how far two distances may be apart: doubles with 10 km coordinates leave less.
const closeMM = 1e-6

// spotCheck is how many agreements go by for each that the referee looks at.
const spotCheck = 257

// enough wrong answers prove that something is wrong.
const enough = 20

// compare asks both about all queries of a kind.
func compare(w *World, s *subject, p *peer, k Kind, queries []Query) (Tally, error) {
	var t Tally
	theirs, _, err := p.ask(k, queries, 1)
	if err != nil {
		return t, err
	}
	for i := range queries {
		q := &queries[i]
		ours, err := s.answer(k, *q)
		if err != nil {
			return t, fmt.Errorf("%s, query %d: %w", k, i, err)
		}
		t.Compared++
		if q.Boundary {
			t.Boundary++
		}
		same := slices.Equal(ours.Zones, theirs[i].Zones)
		if len(ours.Zones) > 0 {
			t.Hits++
		}
		if k == Distance {
			d := math.Abs(ours.MM - theirs[i].MM)
			if same = d <= closeMM || ours.MM == theirs[i].MM; same && d > t.MaxMM {
				t.MaxMM = d
			}
			if ours.MM <= 0 {
				t.Hits++
			}
		}
		if !same {
			t.Disagreed++
		}
		if same && (i+int(w.Seed))%spotCheck != 0 || t.Ours > enough {
			continue
		}
		t.judge(w, k, q, i, ours, theirs[i])
	}
	return t, nil
}

// judge lets the referee decide about two answers.
func (t *Tally) judge(w *World, k Kind, q *Query, i int, ours, theirs Answer) {
	t.Refereed++
	right := func(a Answer) bool { return fair(w, q, a.MM) }
	if k != Distance {
		truth := Answer{}
		for z := range w.Zones {
			if touches(k, q, &w.Zones[z]) {
				truth.Zones = append(truth.Zones, int32(z))
			}
		}
		right = func(a Answer) bool { return slices.Equal(a.Zones, truth.Zones) }
	}
	if !right(theirs) {
		t.Theirs++
	}
	if !right(ours) {
		t.Ours++
		if t.First == "" {
			t.First = fmt.Sprintf("world %d, %s, query %d at %+v: ours %+v, GEOS %+v", w.Seed, k, i, q.P, ours, theirs)
		}
	}
}

// fair says whether a signed distance is true: its sign exactly, its square to twelve digits.
func fair(w *World, q *Query, mm float64) bool {
	want, inside := signed2(w, q.P)
	if want == nil {
		return math.IsInf(mm, 1)
	}
	if math.IsInf(mm, 0) || math.IsNaN(mm) || want.Sign() == 0 != (mm == 0) || want.Sign() > 0 && inside != (mm < 0) {
		return false
	}
	got := new(big.Rat).SetFloat64(mm)
	off := got.Mul(got, got).Sub(got, want)
	limit := new(big.Rat).Mul(want, big.NewRat(1, 1_000_000_000_000))
	return off.Abs(off).Cmp(limit) <= 0
}
