package geofence

import (
	"encoding/binary"
	"math"
	"testing"
	"time"
)

// bytesSource reads a Spec out of fuzzed bytes; when they end, it reads zeros.
type bytesSource struct{ b []byte }

func (s *bytesSource) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

func (s *bytesSource) uint32() uint32 {
	return binary.LittleEndian.Uint32([]byte{s.byte(), s.byte(), s.byte(), s.byte()})
}

// coord is small most of the time, where shapes meet, and anything at times.
func (s *bytesSource) coord() int32 {
	if k := s.byte(); k < 0xf0 {
		return int32(int8(k<<1)) * 50
	}
	return int32(s.uint32())
}

func (s *bytesSource) float() float64 {
	switch k := s.byte(); {
	case k < 0xc0:
		return float64(k) / 64
	case k < 0xd0:
		return math.NaN()
	}
	return math.Float64frombits(uint64(s.uint32())<<32 | uint64(s.uint32()))
}

func (s *bytesSource) ring() []Vertex {
	ring := make([]Vertex, s.byte()%12)
	for i := range ring {
		ring[i] = Vertex{s.coord(), s.coord()}
	}
	return ring
}

func (s *bytesSource) spec() Spec {
	spec := Spec{Location: time.UTC, Roles: []string{"a"}, Floors: []FloorSpec{{"f", Access(s.byte() % 4)}}}
	for range s.byte() % 3 {
		w := WindowSpec{Days: []time.Weekday{time.Weekday(s.byte() % 9)}, StartMin: int(s.uint32() % 1500), EndMin: int(s.uint32() % 1500)}
		spec.Shifts = append(spec.Shifts, ShiftSpec{ID: string('s' + rune(len(spec.Shifts))), Windows: []WindowSpec{w}})
	}
	for range s.byte() % 6 {
		z := ZoneSpec{ID: string('z' + rune(len(spec.Zones))), Floor: "f", Kind: Kind(s.byte() % 12), Outer: s.ring()}
		for range s.byte() % 3 {
			z.Holes = append(z.Holes, s.ring())
		}
		if z.Kind == SpeedLimit {
			z.MaxSpeedMPS = s.float()
		}
		if z.Kind > KeepIn {
			z.Loss, z.Facts = Loss(s.byte()%5), FactSet(s.byte()%9)
			z.MaxDwell, z.Within = time.Duration(s.byte()%3)*time.Second, time.Duration(s.byte()%3)*time.Second
		}
		if s.byte()%4 == 0 {
			z.MarginM = s.float()
		}
		if s.byte()%4 == 0 {
			z.Roles = []string{"a"}
		}
		if s.byte()%4 == 0 {
			z.Shifts = []string{"s"}
		}
		spec.Zones = append(spec.Zones, z)
	}
	return spec
}

// seedSpecs are small sites: a square, a speed zone with a hole, two rooms.
func seedSpecs() [][]byte {
	return [][]byte{
		{},
		{1, 0, 1, 1, 4, 0, 0, 20, 0, 20, 20, 0, 20, 0, 1, 1, 1},
		{1, 1, 2, 10, 0, 0, 0, 200, 1, 0, 0, 1, 2, 3, 3, 0, 0, 9, 0, 9, 9, 1, 3, 2, 1, 5, 2, 5, 3, 64, 0, 64, 0, 0},
		{2, 0, 3, 3, 4, 0, 0, 30, 0, 30, 30, 0, 30, 0, 1, 1, 1, 3, 4, 20, 0, 60, 0, 60, 30, 20, 30, 0, 1, 1, 1, 1, 3, 0, 0, 9, 9, 9, 0, 0, 0},
	}
}

func FuzzCompile(f *testing.F) {
	for _, b := range seedSpecs() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		src := &bytesSource{b}
		spec, robot := src.spec(), wheels()
		if src.byte()%4 == 0 {
			robot.Footprint = src.ring()
		}
		if src.byte()%4 == 0 {
			numbers := robotNumbers(&robot)
			*numbers[int(src.byte())%len(numbers)].value = src.float()
		}
		set, err := Compile(spec, robot)
		if err != nil {
			if set != nil || len(specErrors(t, err)) == 0 {
				t.Fatalf("set %v, error %v", set, err)
			}
			return
		}
		for i := range spec.Zones {
			simple(t, spec.Zones[i].Outer)
		}
		fence := New(set)
		now := Instant{Boot: time.Second, Civil: epoch(), Trust: ClockTrust(src.byte() % 3)}
		in := Inputs{Roles: uint64(src.byte() % 2), Egress: Egress{Active: true, Zone: int(src.byte()%8) - 1}}
		in.Velocity = Measured{Known: true, Velocity: Velocity{src.float(), src.float(), src.float()}}
		var v Verdict
		for range 8 {
			now.Boot += 50 * time.Millisecond
			in.Velocity.Boot = now.Boot
			in.Pose = Pose{
				Seen: true, Boot: now.Boot, StampNS: int64(now.Boot), X: src.float(), Y: src.float(), QW: 1, FrameOK: true,
				HasCovariance: true, VarX: 1e-4, VarY: 1e-4, VarYaw: 1e-6,
			}
			fence.Step(now, &in, &v)
			l := fence.Limit(now, Velocity{src.float(), src.float(), src.float()})
			if !(l.Ratio >= 0 && l.Ratio <= 1) || math.IsNaN(l.FreeM) || math.IsNaN(l.AllowedMPS) {
				t.Fatalf("limit %+v", l)
			}
			if v.Hold && l.Ratio > 0 && l.AllowedMPS > 0 {
				t.Fatalf("held for %v, and a limit of %+v", v.Reason, l)
			}
			fence.Issued(now, Velocity{src.float(), src.float(), src.float()})
		}
	})
}

// simple checks an accepted ring by the definition, each side against each.
func simple(t *testing.T, ring []Vertex) {
	edges := ringEdges(nil, ring)
	for i := range edges {
		for j := range i {
			if j == i-1 || j == 0 && i == len(edges)-1 {
				continue
			}
			if touch(&edges[i], &edges[j]) {
				t.Fatalf("accepted a ring whose sides %d and %d meet: %v", j, i, ring)
			}
		}
	}
}
