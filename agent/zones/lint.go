package zones

import (
	"fmt"
	"math"
	"slices"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// Rules of Lint; the names are stable.
const (
	lintContradiction = "contradiction"
	lintWithinBlocked = "within-blocked"
	lintNoEffect      = "no-effect"
	lintOutside       = "outside-keep-in"
	lintBelowCreep    = "below-creep"
	lintSwallowed     = "keep-in-swallowed"
	lintTiny          = "tiny"
	lintNeedle        = "needle"
	lintNeverActive   = "never-active"
	lintBindsNobody   = "binds-nobody"
	lintEmptyFloor    = "empty-floor"
)

// Thresholds of Lint.
const (
	// tinyM2 is the area in m² below which a zone is likely a slip of the hand.
	tinyM2 = 0.01
	// needleM and needleDeg are the mean width in metres and the angle in degrees below which a zone is a needle.
	needleM   = 0.01
	needleDeg = 2
)

// linter is one look at a policy.
type linter struct {
	p      *config.Policy
	robot  *config.Profile // nil if none was given
	shapes []shape
	weeks  map[string]*week // by conditions
	binds  [][]bool         // zone, robot of the policy
	out    *config.Problems
	file   string
}

// Lint looks for zones that are well formed and yet cannot mean what they say. The policy must have been accepted by
// config.Load; file is its name. With a robot profile it also looks at what depends on the robot; profile may be nil. What
// it finds are warnings: none of them is unsafe by itself, but each says that somebody meant something else.
func Lint(p *config.Policy, profile *config.Profile, file string) *config.Problems {
	l := &linter{p: p, robot: profile, weeks: map[string]*week{}, out: &config.Problems{}, file: file}
	for i := range p.Zones {
		z := &p.Zones[i]
		l.shapes = append(l.shapes, shapeOf(z))
		key := scheduleKey(z)
		if l.weeks[key] == nil {
			l.weeks[key] = weekOf(p, z)
		}
		bound := make([]bool, len(p.Robots))
		for k := range p.Robots {
			bound[k] = Binds(z, p.Robots[k].Roles)
		}
		l.binds = append(l.binds, bound)
	}
	for i := range p.Zones {
		l.alone(i)
		l.between(i)
	}
	l.floors()
	return l.out
}

func (l *linter) week(i int) *week {
	return l.weeks[scheduleKey(&l.p.Zones[i])]
}

func (l *linter) find(path, rule, expected, found, hint string) {
	if len(l.out.List) >= config.MaxProblems {
		l.out.Omitted++
		return
	}
	l.out.List = append(l.out.List, config.Problem{
		File: l.file, Path: path, Rule: rule, Severity: config.SeverityWarning, Expected: expected, Found: found, Hint: hint,
	})
}

func (l *linter) zone(i int, rule, expected, found, hint string) {
	z := &l.p.Zones[i]
	l.find(fmt.Sprintf("zones[%d] %s", i, z.ID), rule, expected, found, hint)
}

// alone looks at one zone by itself.
func (l *linter) alone(i int) {
	z, s := &l.p.Zones[i], &l.shapes[i]
	if area, length := s.area(); area < tinyM2 {
		l.zone(i, lintTiny, fmt.Sprintf("a zone of at least %v m²", tinyM2), fmt.Sprintf("%.4f m²", area), "a slip of the hand? delete it, or draw it in its true size")
	} else if width := 2 * area / length; width < needleM {
		l.zone(i, lintNeedle, fmt.Sprintf("a zone at least %v m wide", needleM), fmt.Sprintf("%.4f m on average", width), "draw lines as strips of a width that means something")
	}
	if angle := s.sharpest(); angle < needleDeg {
		l.zone(i, lintNeedle, fmt.Sprintf("angles of at least %v degrees", needleDeg), fmt.Sprintf("a point of %.2f degrees", angle), "a vertex out of place? the point reaches farther than it looks")
	}
	if !everActive(l.p, z, l.week(i)) {
		l.zone(i, lintNeverActive, "a moment within the policy's validity at which the zone applies", "none ("+conditions(z)+")", "correct its shifts, or not_before and not_after")
	}
	if len(l.p.Robots) > 0 && !slices.Contains(l.binds[i], true) {
		l.zone(i, lintBindsNobody, "a robot of the policy that the zone binds", "none ("+conditions(z)+")", "correct roles or except_roles, or the robots' roles")
	}
	if l.robot != nil && z.Type == config.ZoneSpeedLimit && z.MaxSpeedMPS < l.robot.Motion.CreepMPS {
		l.zone(i, lintBelowCreep, fmt.Sprintf("at least the robot's creep speed, %v m/s", l.robot.Motion.CreepMPS), number(z.MaxSpeedMPS)+" m/s",
			"the robot may not be able to go so slowly; where it should not go at all, draw BLOCKED")
	}
}

// covers says whether zone j binds whenever zone i does.
func (l *linter) covers(j, i int) bool {
	if l.p.Zones[j].UnlessAttested && !l.p.Zones[i].UnlessAttested {
		return false
	}
	for k := range l.binds[i] {
		if l.binds[i][k] && !l.binds[j][k] {
			return false
		}
	}
	return l.week(i).within(l.week(j))
}

// between looks at a zone among the others of its floor.
func (l *linter) between(i int) {
	z, s := &l.p.Zones[i], &l.shapes[i]
	inKeepIn, keepIns := false, 0
	for j := range l.p.Zones {
		o := &l.p.Zones[j]
		if i == j || z.Floor != o.Floor {
			continue
		}
		if o.Type == config.ZoneKeepIn {
			keepIns++
			inKeepIn = inKeepIn || !s.apart(&l.shapes[j])
			continue
		}
		if flat(z) && flat(o) && s.boxes(&l.shapes[j]) && l.covers(j, i) && s.within(&l.shapes[j]) && l.overruled(i, j) {
			return
		}
	}
	if z.Type != config.ZoneKeepIn && keepIns > 0 && !inKeepIn {
		l.zone(i, lintOutside, "a zone that reaches into a KEEP_IN zone of its floor", "one outside of all of them",
			"the robot cannot be there anyway: is it on the right floor, and in the right frame?")
	}
}

// overruled reports that zone i lies in zone j, which always binds with it, if that takes all meaning from i.
func (l *linter) overruled(i, j int) bool {
	z, o := &l.p.Zones[i], &l.p.Zones[j]
	same := l.covers(i, j) && l.shapes[j].within(&l.shapes[i])
	if same && i < j && z.Type == o.Type && z.MaxSpeedMPS == o.MaxSpeedMPS {
		return false // told once, of the later one
	}
	switch {
	case z.Type == config.ZoneKeepIn && o.Type == config.ZoneBlocked:
		l.zone(i, lintContradiction, "a place where the robot may be", "a KEEP_IN zone inside the BLOCKED zone "+o.ID, "the robot must stay where it may not be: correct one of the two")
	case o.Type == config.ZoneBlocked:
		l.zone(i, lintWithinBlocked, "a zone that decides somewhere", fmt.Sprintf("a %s zone inside the BLOCKED zone %s", z.Type, o.ID), l.lost(z))
	case same && z.Type == config.ZoneSpeedLimit && o.Type == config.ZoneSpeedLimit && z.MaxSpeedMPS > o.MaxSpeedMPS:
		l.zone(i, lintContradiction, "one speed limit for one place", fmt.Sprintf("%s m/s here and %s m/s in %s", number(z.MaxSpeedMPS), number(o.MaxSpeedMPS), o.ID), "the lower one holds: delete the other")
	case z.Type == config.ZoneSpeedLimit && o.Type == config.ZoneSpeedLimit && z.MaxSpeedMPS >= o.MaxSpeedMPS:
		l.zone(i, lintNoEffect, "a limit below "+number(o.MaxSpeedMPS)+" m/s, which holds all around it", number(z.MaxSpeedMPS)+" m/s inside "+o.ID, "the lower limit holds: delete this zone, or correct its limit")
	case opposed(z, o) && (i > j || !same):
		l.zone(i, lintContradiction, "one direction of travel for one place", "another one than in "+o.ID+" around it", "no motion leads in both: cut its place out of the other zone")
	default:
		return false
	}
	return true
}

// opposed says whether no motion leads in the directions of travel of both zones, within the tolerance of each.
func opposed(z, o *config.Zone) bool {
	soft := geofence.Soft.String()
	if z.DirectionRad == nil || o.DirectionRad == nil || z.Limitation == soft || o.Limitation == soft {
		return false
	}
	apart := *z.DirectionRad - *o.DirectionRad
	turn := 2 * math.Pi
	if z.Type == config.ZoneBidirected || o.Type == config.ZoneBidirected {
		turn = math.Pi
	}
	return math.Abs(math.Remainder(apart, turn)) > 2*geofence.DirectionToleranceRad
}

// flat says whether a zone binds the robot's outline at every height, and nothing else: only such zones can be compared in
// the plane.
func flat(z *config.Zone) bool {
	return len(z.Parts)+len(z.Views) == 0 && z.FromM == nil && z.ToM == nil
}

// lost says what is lost with a zone that another one overrules.
func (l *linter) lost(z *config.Zone) string {
	if c := conditions(z); c != "" {
		return "that it holds " + c + " has no effect: cut its place out of the other zone"
	}
	return "it has no effect: delete it, or cut its place out of the other zone"
}

// floors looks at each floor as a whole.
func (l *linter) floors() {
	for f, floor := range l.p.Floors {
		path := fmt.Sprintf("floors[%d] %s", f, floor.ID)
		var keep []int
		any := false
		for i := range l.p.Zones {
			if l.p.Zones[i].Floor == floor.ID {
				any = true
				if l.p.Zones[i].Type == config.ZoneKeepIn {
					keep = append(keep, i)
				}
			}
		}
		if !any {
			l.find(path, lintEmptyFloor, "a zone on this floor", "none", "are its zones on another floor by mistake?")
		}
		if len(keep) > 0 {
			l.room(path, floor.ID, keep)
		}
	}
}

// room looks for a place where the robot could stand at all: in a KEEP_IN zone, clear of what is always blocked.
func (l *linter) room(path, floor string, keep []int) {
	need, what := touchM, "a place that no margin reaches"
	if l.robot != nil {
		need, what = l.body()
	}
	best := 0.0
	for _, k := range keep {
		_, _, most := roomiest(&l.shapes[k], need, func(x, y float64) float64 { return l.clearance(floor, k, x, y) })
		if best = max(best, most); best >= need {
			return
		}
	}
	l.find(path, lintSwallowed, what, fmt.Sprintf("%.2f m at most, in any one of the KEEP_IN zones", max(best, 0)),
		"the robot would hold everywhere on this floor: lower the margins, or draw the KEEP_IN zones larger or overlapping")
}

// clearance is how far a point is from the edge of a KEEP_IN zone and from all zones that always block, in metres.
func (l *linter) clearance(floor string, keep int, x, y float64) float64 {
	room := -l.shapes[keep].signed(x, y)
	for i := range l.p.Zones {
		z := &l.p.Zones[i]
		if z.Type == config.ZoneBlocked && z.Floor == floor && flat(z) && conditions(z) == "" {
			room = min(room, l.shapes[i].signed(x, y)-z.MarginM)
		}
	}
	return room
}

// body is the room that the robot needs at least, whichever way it faces: the largest circle in its footprint, and the
// static margin of a pose at its best (pose.sigma_k, min_stddev_m, map_error_m and the geofence's 2 mm).
func (l *linter) body() (need float64, what string) {
	foot := newShape([][]config.Point{l.robot.Body.Footprint})
	_, _, radius := roomiest(&foot, 1e9, func(x, y float64) float64 { return -foot.signed(x, y) })
	margin := l.robot.Pose.SigmaK*l.robot.Pose.MinStddevM + l.robot.Pose.MapErrorM + 0.002
	return radius + margin, fmt.Sprintf("%.2f m of room around some point: the robot's inner radius of %.2f m and its pose's margin of %.2f m", radius+margin, radius, margin)
}
