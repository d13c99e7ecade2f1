package geofence

import (
	"math"
	"time"
)

// Set is a compiled Spec together with the Robot it was compiled for. It never
// changes; any number of fences may share it.
type Set struct {
	zones  []zone
	edges  []edge
	runs   []bounds
	floors []floor
	covers []cover
	shifts []shift
	roles  []string

	floorByID, zoneByID, roleByID map[string]int
	taskByName, operatorByName    map[string]int

	// stays are the zones that count how long the robot stays, quiet those that restrict only other axes than motion.
	stays, quiet []int32
	// warns are the zones with a warn ring, warnMM the widest.
	warns  []int32
	warnMM float64

	special             []SpecialDay // by date
	location            *time.Location
	notBefore, notAfter time.Time

	robot  Robot
	bodies []loaded // by LoadSet
	chain  *chain   // nil for a robot without one
	limbs  []int32  // the zones that bind parts or cameras
	digest uint64
}

// zone is a compiled ZoneSpec; lengths are in millimetres.
type zone struct {
	info             ZoneInfo
	kind             Kind
	floor            int32
	lo, hi           int32 // its edges in Set.edges
	runLo, runHi     int32 // their boxes in Set.runs
	box              box
	speed            float64
	margin           float64
	warn             float64
	roles, shifts    uint64
	task, operator   condition
	coverLo, coverHi int32 // its entries in Set.covers, for KeepIn
	// low and high bound its prism above the floor. contour says that it binds the
	// contour, limb that it binds parts or cameras: these.
	low, high     float64
	contour, limb bool
	parts         partSet
	views         uint8
	slot          int32 // of its two levels in limbs.levels
	// alongX and alongY are its direction of travel as a unit vector.
	alongX, alongY float64
}

// floor lists the zones of a floor, in the order of the Spec.
type floor struct {
	id            string
	withoutKeepIn Access
	// keep are the KeepIn zones, keepTree holds them, solid all others that bind the contour.
	keep            []int32
	solid, keepTree tree
	limbs           limbIndex
	// pieces bounds how many pieces the keep-in edge can consist of.
	pieces int
}

// ZoneInfo describes a zone to people.
type ZoneInfo struct {
	ID, Name, Floor string
	Kind            Kind
	// MaxSpeedMPS is a SpeedLimit zone's limit, 0 for other kinds.
	MaxSpeedMPS float64
	// Loss to DirectionRad are as in the ZoneSpec.
	Loss         Loss
	Facts        FactSet
	Limitation   Limitation
	MaxDwell     time.Duration
	Within       time.Duration
	DirectionRad float64
	Reason       string
}

// Zones is the number of zones.
func (s *Set) Zones() int { return len(s.zones) }

// Zone describes zone i; an index out of range gives the zero value.
func (s *Set) Zone(i int) ZoneInfo {
	if i < 0 || i >= len(s.zones) {
		return ZoneInfo{}
	}
	return s.zones[i].info
}

// ZoneIndex finds a zone by its ID.
func (s *Set) ZoneIndex(id string) (int, bool) { i, ok := s.zoneByID[id]; return i, ok }

// Floors is the number of floors.
func (s *Set) Floors() int { return len(s.floors) }

// Floor is the map id of floor i; an index out of range gives "".
func (s *Set) Floor(i int) string {
	if i < 0 || i >= len(s.floors) {
		return ""
	}
	return s.floors[i].id
}

// FloorIndex finds a floor by its map id, for Pose.Floor; -1 and false if unknown.
func (s *Set) FloorIndex(id string) (int, bool) {
	if i, ok := s.floorByID[id]; ok {
		return i, true
	}
	return -1, false
}

// RoleIndex finds a role's bit in Inputs.Roles.
func (s *Set) RoleIndex(name string) (int, bool) { i, ok := s.roleByID[name]; return i, ok }

// Digest identifies the compiled content: equal sets decide alike. It guards
// against mixing up states, not against an adversary.
func (s *Set) Digest() uint64 { return s.digest }

func (s *Set) ringsOf(z *zone) []edge { return s.edges[z.lo:z.hi] }

func (s *Set) outline(z *zone) outline { return outline{s.edges[z.lo:z.hi], s.runs[z.runLo:z.runHi]} }

// hasher is FNV-1a with 64 bits.
type hasher uint64

func newHasher() hasher { return 14695981039346656037 }

func (h *hasher) byte(b byte) { *h = (*h ^ hasher(b)) * 1099511628211 }

func (h *hasher) uint(v uint64) {
	for range 8 {
		h.byte(byte(v))
		v >>= 8
	}
}

func (h *hasher) float(v float64) { h.uint(math.Float64bits(v)) }

func (h *hasher) string(v string) {
	h.uint(uint64(len(v)))
	for i := range len(v) {
		h.byte(v[i])
	}
}

func (s *Set) sum() uint64 {
	h := newHasher()
	for i := range s.floors {
		h.string(s.floors[i].id)
		h.uint(uint64(s.floors[i].withoutKeepIn))
	}
	for i := range s.zones {
		z := &s.zones[i]
		h.string(z.info.ID)
		for _, v := range []uint64{uint64(z.kind), uint64(z.floor), uint64(z.hi - z.lo), z.roles, z.shifts} {
			h.uint(v)
		}
		h.float(z.speed)
		h.float(z.margin)
		h.float(z.warn)
		for _, v := range [...]uint64{z.task.only, z.task.except, z.operator.only, z.operator.except} {
			h.uint(v)
		}
		if z.kind > KeepIn {
			for _, v := range []uint64{uint64(z.info.Loss), uint64(z.info.Facts), uint64(z.info.MaxDwell), uint64(z.info.Within)} {
				h.uint(v)
			}
		}
		if z.kind.lane() {
			h.uint(uint64(z.info.Limitation))
			h.float(z.alongX)
			h.float(z.alongY)
		}
		z.sumLimb(&h)
	}
	for _, e := range s.edges {
		h.uint(uint64(uint32(e.ax))<<32 | uint64(uint32(e.ay)))
		h.uint(uint64(uint32(e.bx))<<32 | uint64(uint32(e.by)))
	}
	for _, name := range s.roles {
		h.string(name)
	}
	for _, one := range s.shifts {
		h.uint(uint64(len(one.windows)))
		for _, w := range one.windows {
			h.uint(uint64(w.days)<<32 | uint64(w.start)<<16 | uint64(w.end))
		}
		if one.outside {
			h.uint(1)
		}
	}
	for _, d := range s.special {
		h.uint(uint64(d.Year)<<32 | uint64(d.Month)<<16 | uint64(d.Day)<<8 | uint64(d.As)) //nolint:gosec // checked by Compile
	}
	if s.location != nil {
		h.string(s.location.String())
	}
	h.uint(uint64(s.notBefore.Unix()))
	h.uint(uint64(s.notAfter.Unix()))
	s.sumRobot(&h)
	return uint64(h)
}

func (s *Set) sumRobot(h *hasher) {
	s.sumLoads(h)
	for _, p := range robotNumbers(&s.robot) {
		h.float(*p.value)
	}
	for _, p := range robotDurations(&s.robot) {
		h.uint(uint64(*p.value))
	}
	h.uint(uint64(s.robot.RecoverPoses))
	h.float(s.robot.HeightM)
	if s.chain != nil {
		s.chain.sum(h)
	}
}
