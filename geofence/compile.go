package geofence

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Compile checks a Spec and a Robot and builds the Set that a Fence runs on. On
// failure the error joins a *SpecError for each thing wrong, and there is no
// Set: a set is taken whole or not at all.
func Compile(spec Spec, robot Robot) (*Set, error) {
	c := &compiler{set: &Set{
		floorByID: map[string]int{},
		zoneByID:  map[string]int{},
		roleByID:  map[string]int{},
		location:  spec.Location,
		notBefore: spec.NotBefore,
		notAfter:  spec.NotAfter,
	}, shiftByID: map[string]int{}}
	c.checkRobot(&robot)
	c.loads(&robot)
	c.frame(&spec)
	c.floors(spec.Floors)
	c.roles(spec.Roles)
	c.set.taskByName, c.set.operatorByName = c.factNamesOf("tasks", spec.Tasks), c.factNamesOf("operators", spec.Operators)
	c.shifts(spec.Shifts)
	c.specialDays(spec.SpecialDays)
	c.set.chain = c.chain(robot.Chain)
	c.zones(spec.Zones, &robot)
	if len(c.errs) == 0 {
		c.keepIn()
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	robot.Footprint = slices.Clone(robot.Footprint)
	if robot.Second != nil {
		second := *robot.Second
		robot.Second = &second
	}
	robot.Chain = nil // compiled
	robot.Loads = slices.Clone(robot.Loads)
	c.set.robot = robot
	c.set.index()
	if n := c.set.Bytes(); n > MaxSetBytes {
		item{c, "zones", -1, ""}.fail("", -1, "take up %d bytes of memory, expected at most %d; simplify outlines, split the site into several policies, or shorten texts",
			n, MaxSetBytes)
		return nil, errors.Join(c.errs...)
	}
	c.set.digest = c.set.sum()
	return c.set, nil
}

type compiler struct {
	set       *Set
	shiftByID map[string]int
	errs      []error
}

func (c *compiler) fail(e *SpecError) { c.errs = append(c.errs, e) }

// item names the place of an error in one section.
type item struct {
	c       *compiler
	section string
	index   int
	id      string
}

func (i item) fail(field string, element int, format string, args ...any) {
	i.c.fail(&SpecError{
		Section: i.section, Index: i.index, ID: i.id, Field: field,
		Ring: -1, Vertex: -1, Element: element, Problem: fmt.Sprintf(format, args...),
	})
}

// name enters an id into an index and reports it if it is empty or taken.
func (i item) name(ids map[string]int, field string) {
	if i.id == "" {
		i.fail(field, -1, "is empty; give an id that is unique among the %s", i.section)
		return
	}
	if first, taken := ids[i.id]; taken {
		i.fail(field, -1, "is taken by %s[%d]; ids are unique", i.section, first)
		return
	}
	ids[i.id] = i.index
}

func (c *compiler) frame(spec *Spec) {
	whole := item{c, "validity", -1, ""}
	if !spec.NotBefore.IsZero() && !spec.NotAfter.IsZero() && !spec.NotBefore.Before(spec.NotAfter) {
		whole.fail("NotAfter", -1, "is %s, expected later than NotBefore (%s)",
			spec.NotAfter.Format(time.RFC3339), spec.NotBefore.Format(time.RFC3339))
	}
	if len(spec.Shifts) > 0 && spec.Location == nil {
		item{c, "location", -1, ""}.fail("Location", -1, "is missing, expected an IANA time zone because there are shifts")
	}
}

// within reports a list that is longer than its cap and cuts it for the checks that follow.
func capped[T any](c *compiler, section string, list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	item{c, section, -1, ""}.fail("", -1, "has %d entries, expected at most %d", len(list), most)
	return list[:most]
}

func (c *compiler) floors(specs []FloorSpec) {
	if len(specs) == 0 {
		item{c, "floors", -1, ""}.fail("", -1, "is empty, expected at least one floor with its map id")
	}
	for i, spec := range capped(c, "floors", specs, MaxFloors) {
		at := item{c, "floors", i, spec.ID}
		at.name(c.set.floorByID, "ID")
		if spec.WithoutKeepIn != Allow && spec.WithoutKeepIn != Deny {
			at.fail("WithoutKeepIn", -1, "is not given; say Allow or Deny for a floor without a keep-in zone")
		}
		c.set.floors = append(c.set.floors, floor{id: spec.ID, withoutKeepIn: spec.WithoutKeepIn})
	}
}

func (c *compiler) roles(names []string) {
	for i, name := range capped(c, "roles", names, MaxRoles) {
		item{c, "roles", i, name}.name(c.set.roleByID, "")
		c.set.roles = append(c.set.roles, name)
	}
}

// maxWindows bounds the windows of one shift.
const maxWindows = 64

func (c *compiler) shifts(specs []ShiftSpec) {
	for i, spec := range capped(c, "shifts", specs, MaxShifts) {
		at := item{c, "shifts", i, spec.ID}
		at.name(c.shiftByID, "ID")
		if n := len(spec.Windows); n == 0 || n > maxWindows {
			at.fail("Windows", -1, "has %d windows, expected 1 to %d", n, maxWindows)
		}
		var windows []window
		for k, w := range spec.Windows[:min(len(spec.Windows), maxWindows)] {
			windows = append(windows, at.window(k, w))
		}
		c.set.shifts = append(c.set.shifts, shift{windows, spec.Outside})
	}
}

func (c *compiler) specialDays(specs []SpecialDay) {
	seen := map[time.Time]int{}
	for i, d := range capped(c, "special days", specs, MaxSpecialDays) {
		at := item{c, "special days", i, ""}
		date := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
		if y, m, day := date.Date(); y != d.Year || m != d.Month || day != d.Day || d.Year < 1970 || d.Year > 9999 {
			at.fail("Day", -1, "is %04d-%02d-%02d, expected a date from 1970 to 9999", d.Year, d.Month, d.Day)
		}
		if d.As < time.Sunday || d.As > Holiday {
			at.fail("As", -1, "is %d, expected 0 (Sunday) to 7 (Holiday)", int(d.As))
		}
		if first, taken := seen[date]; taken {
			at.fail("Day", -1, "is %04d-%02d-%02d, as special days[%d] is", d.Year, d.Month, d.Day, first)
		} else {
			seen[date] = i
		}
		c.set.special = append(c.set.special, d)
	}
	slices.SortFunc(c.set.special, byDate)
}

func (i item) window(k int, spec WindowSpec) window {
	w := window{start: spec.StartMin, end: spec.EndMin}
	for _, d := range spec.Days {
		if d < time.Sunday || d > Holiday {
			i.fail("Windows", k, "has the weekday %d, expected 0 (Sunday) to 7 (Holiday)", int(d))
			continue
		}
		w.days |= 1 << uint(d)
	}
	if len(spec.Days) == 0 {
		i.fail("Windows", k, "has no weekdays; list those on which it starts")
	}
	if w.start < 0 || w.start >= 1440 || w.end <= 0 || w.end > 1440 || w.start == w.end {
		i.fail("Windows", k, "is [%d, %d) minutes, expected a start in [0, 1440), an end in (0, 1440], not equal; a whole day is [0, 1440)",
			w.start, w.end)
	}
	return w
}

func (c *compiler) zones(specs []ZoneSpec, robot *Robot) {
	vertices := 0
	for i, spec := range capped(c, "zones", specs, MaxZones) {
		at := item{c, "zones", i, spec.ID}
		at.name(c.set.zoneByID, "ID")
		z := zone{kind: spec.Kind, margin: float64(spec.MarginM * 1000), info: ZoneInfo{
			ID: spec.ID, Name: spec.Name, Floor: spec.Floor, Kind: spec.Kind,
			MaxSpeedMPS: spec.MaxSpeedMPS, Loss: spec.Loss, Facts: spec.Facts, MaxDwell: spec.MaxDwell, Within: spec.Within,
			DirectionRad: spec.DirectionRad, Limitation: spec.Limitation,
			Reason: spec.Reason,
		}}
		f, ok := c.set.floorByID[spec.Floor]
		if !ok {
			at.fail("Floor", -1, "is %q, which is not among the floors", spec.Floor)
		}
		z.floor = int32(f)
		z.roles = at.names("Roles", spec.Roles, c.set.roleByID)
		z.shifts = at.names("Shifts", spec.Shifts, c.shiftByID)
		at.facts(&spec, &z)
		at.kind(&spec, &z)
		at.limb(&spec, &z, robot)
		at.warn(&spec, &z)
		at.direction(&spec, &z)
		z.lo = int32(len(c.set.edges))
		n := len(spec.Outer)
		for _, h := range spec.Holes {
			n += len(h)
		}
		vertices += n
		if n > MaxZoneVertices || vertices > MaxVertices {
			at.fail("Outer", -1, "has %d vertices with its holes (%d so far in all zones), expected at most %d (%d)",
				n, vertices, MaxZoneVertices, MaxVertices)
			continue
		}
		at.polygon(append([][]Vertex{spec.Outer}, spec.Holes...))
		z.hi = int32(len(c.set.edges))
		z.box = boxOf(c.set.edges[z.lo:z.hi])
		c.set.zones = append(c.set.zones, z)
	}
}

func (i item) kind(spec *ZoneSpec, z *zone) {
	switch spec.Kind {
	case SpeedLimit:
		if v := spec.MaxSpeedMPS; !finite(v) || v < 0.001 || v > 50 {
			i.fail("MaxSpeedMPS", -1, "is %v m/s, expected [0.001, 50] for a SpeedLimit zone; use Blocked for none at all", v)
		}
		z.speed = float64(spec.MaxSpeedMPS * 1000)
	case Blocked, KeepIn, NoManipulation, Privacy, DwellLimit, Release, Door, NoStop, Directed, Bidirected:
		if spec.MaxSpeedMPS != 0 {
			i.fail("MaxSpeedMPS", -1, "is %v m/s, expected none for a %v zone; draw a SpeedLimit zone over it", spec.MaxSpeedMPS, spec.Kind)
		}
	default:
		i.fail("Kind", -1, "is %v, expected Blocked, SpeedLimit, KeepIn or another kind of zone", spec.Kind)
	}
	i.terms(spec)
	if v := spec.MarginM; !finite(v) || v < 0 || v > 10 {
		i.fail("MarginM", -1, "is %v m, expected [0, 10]", v)
	}
}

// names turns a list of ids into a bit set.
func (i item) names(field string, list []string, ids map[string]int) uint64 {
	var set uint64
	for k, id := range list {
		n, ok := ids[id]
		if !ok {
			i.fail(field, k, "names %q, which is not defined", id)
			continue
		}
		if set>>uint(n)&1 != 0 {
			i.fail(field, k, "names %q twice", id)
		}
		set |= 1 << uint(n)
	}
	return set
}

func (i item) polygon(rings [][]Vertex) {
	for _, e := range checkRings(rings, MaxCoordinateMM) {
		e.Section, e.Index, e.ID = i.section, i.index, i.id
		e.Field = "Outer"
		if e.Ring > 0 {
			e.Field = "Holes"
		}
		i.c.fail(e)
	}
	for _, ring := range rings {
		i.c.set.edges = ringEdges(i.c.set.edges, ring)
	}
}

// index builds the boxes by which zones and edges are found.
func (s *Set) index() {
	solid, limbs := make([][]int32, len(s.floors)), make([][]int32, len(s.floors))
	for i := range s.zones {
		z := &s.zones[i]
		z.runLo = int32(len(s.runs))
		s.runs = appendRuns(s.runs, s.ringsOf(z))
		z.runHi = int32(len(s.runs))
		if z.warn > 0 {
			s.warns, s.warnMM = append(s.warns, int32(i)), max(s.warnMM, z.warn)
		}
		if z.kind == KeepIn {
			f := &s.floors[z.floor]
			f.keep = append(f.keep, int32(i))
			f.pieces += int(z.hi-z.lo) + int(z.coverHi-z.coverLo)
			continue
		}
		if z.limb {
			limbs[z.floor] = append(limbs[z.floor], int32(i))
			z.slot = int32(2 * len(s.limbs))
			s.limbs = append(s.limbs, int32(i))
		}
		if !z.contour {
			continue
		}
		solid[z.floor] = append(solid[z.floor], int32(i))
		switch z.kind {
		case DwellLimit, Door:
			s.stays = append(s.stays, int32(i))
		case NoManipulation, Privacy:
			s.quiet = append(s.quiet, int32(i))
		default:
		}
	}
	for i := range s.floors {
		f := &s.floors[i]
		f.solid, f.keepTree = newTree(s.zones, solid[i]), newTree(s.zones, slices.Clone(f.keep))
		f.limbs = s.limbsOf(limbs[i])
	}
}
