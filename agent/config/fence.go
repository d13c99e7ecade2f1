package config

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// anyRobot is a role that every robot of the policy has. The geofence takes a robot without roles for one whose roles are
// unknown, and lets every zone bind it.
const anyRobot = "*"

// unattested is a role that a robot has while no verifier vouches for its software. Ids cannot contain its first letter.
const unattested = "?unattested"

// FenceUnattested is the geofence's name for the role that a robot has until a verifier vouches for its software, empty
// for a policy in which no zone asks for it.
func (p *Policy) FenceUnattested() string {
	if slices.ContainsFunc(p.Zones, func(z Zone) bool { return z.UnlessAttested }) {
		return unattested
	}
	return ""
}

// Fence returns the geofence's site and robot. Two things are translated because the geofence knows only the positive
// form: except_roles becomes a role that robots without the named ones have, and outside_shifts becomes a shift that runs
// when the named ones do not.
func (p *Policy) Fence(profile *Profile, topics *Topics) (geofence.Spec, geofence.Robot) {
	t := p.translate(func(...any) bool { return true })
	return t.spec, fenceRobot(profile, topics)
}

// FenceRoles returns the roles of a robot for the geofence, as long as nobody vouches for its software, and false if the
// policy does not know the robot.
func (p *Policy) FenceRoles(serial string) ([]string, bool) {
	own, known := p.RolesOf(serial)
	if !known {
		return nil, false
	}
	roles := append([]string{anyRobot}, own...)
	if name := p.FenceUnattested(); name != "" {
		roles = append(roles, name)
	}
	for _, z := range p.Zones {
		name := exceptRole(z.ExceptRoles)
		if name != "" && !slices.Contains(roles, name) && !overlap(own, z.ExceptRoles) {
			roles = append(roles, name)
		}
	}
	return roles, true
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// exceptRole names the role of all robots that have none of the given ones. Ids cannot contain its first letter.
func exceptRole(except []string) string {
	if len(except) == 0 {
		return ""
	}
	sorted := slices.Clone(except)
	slices.Sort(sorted)
	return "!" + strings.Join(slices.Compact(sorted), ",")
}

// translation is a geofence.Spec and where its parts come from.
type translation struct {
	spec geofence.Spec
	// zones, floors and shifts give the position in the policy for each position in the spec, -1 for what was made up.
	zones, floors, shifts []int
}

// translate builds the spec of everything that the given function calls clean.
func (p *Policy) translate(clean func(parts ...any) bool) *translation {
	t := &translation{spec: geofence.Spec{Location: p.Timezone.Location, NotBefore: p.NotBefore, NotAfter: p.NotAfter}}
	for i, f := range p.Floors {
		if !clean("floors", i) {
			continue
		}
		access := geofence.Deny
		if f.Unbounded != "" {
			access = geofence.Allow
		}
		t.spec.Floors = append(t.spec.Floors, geofence.FloorSpec{ID: f.ID, WithoutKeepIn: access})
		t.floors = append(t.floors, i)
	}
	for i, s := range p.Shifts {
		if clean("shifts", i) {
			t.spec.Shifts = append(t.spec.Shifts, geofence.ShiftSpec{ID: s.ID, Windows: []geofence.WindowSpec{s.window()}})
			t.shifts = append(t.shifts, i)
		}
	}
	for i := range p.SpecialDays {
		if day, ok := p.SpecialDays[i].day(); ok && clean("special_days", i) {
			t.spec.SpecialDays = append(t.spec.SpecialDays, day)
		}
	}
	t.spec.Roles = append([]string{anyRobot}, p.Roles...)
	t.spec.Tasks, t.spec.Operators = slices.Clone(p.Tasks), slices.Clone(p.Operators)
	for i := range p.Zones {
		if z := &p.Zones[i]; clean("zones", i) {
			t.spec.Zones = append(t.spec.Zones, t.zone(p, z))
			t.zones = append(t.zones, i)
		}
	}
	return t
}

// zone translates one zone, and adds the role and the shift that it needs.
func (t *translation) zone(p *Policy, z *Zone) geofence.ZoneSpec {
	out := geofence.ZoneSpec{
		ID: z.ID, Floor: z.Floor, Kind: KindOf(z.Type), Outer: millimetres(z.Vertices), MaxSpeedMPS: z.MaxSpeedMPS, MarginM: z.MarginM,
		WarnM: z.WarnM, Roles: slices.Clone(z.Roles), Shifts: slices.Clone(z.Shifts), Reason: z.Reason,
		Loss: lossOf(z), Facts: factsOf(z), MaxDwell: z.MaxDwell, Within: z.Within,
		Limitation: limitationOf(z),
	}
	if z.DirectionRad != nil {
		out.DirectionRad = *z.DirectionRad
	}
	out.Tasks, out.ExceptTasks = slices.Clone(z.Tasks), slices.Clone(z.ExceptTasks)
	out.Operators, out.ExceptOperators = slices.Clone(z.Operators), slices.Clone(z.ExceptOperators)
	out.Height, out.Parts, out.Views = z.height(), slices.Clone(z.Parts), slices.Clone(z.Views)
	for _, h := range z.Holes {
		out.Holes = append(out.Holes, millimetres(h))
	}
	if role := exceptRole(z.ExceptRoles); role != "" {
		out.Roles = []string{role}
		if !slices.Contains(t.spec.Roles, role) {
			t.spec.Roles = append(t.spec.Roles, role)
		}
	}
	if z.UnlessAttested {
		out.Roles = []string{unattested}
		if !slices.Contains(t.spec.Roles, unattested) {
			t.spec.Roles = append(t.spec.Roles, unattested)
		}
	}
	if shift := exceptRole(z.OutsideShifts); shift != "" {
		out.Shifts = []string{shift}
		if !slices.ContainsFunc(t.spec.Shifts, func(s geofence.ShiftSpec) bool { return s.ID == shift }) {
			t.spec.Shifts = append(t.spec.Shifts, geofence.ShiftSpec{ID: shift, Windows: windows(p.Shifts, z.OutsideShifts), Outside: true})
			t.shifts = append(t.shifts, -1)
		}
	}
	return out
}

// KindOf is the geofence's kind for a zone type, KindUnset for another word.
func KindOf(zoneType string) geofence.Kind {
	for k := geofence.Blocked; int(k) <= len(ZoneTypes()); k++ {
		if k.String() == zoneType {
			return k
		}
	}
	return geofence.KindUnset
}

// lossOf is what the document says of a lost lease, STOP where it says nothing; other types have none.
func lossOf(z *Zone) geofence.Loss {
	if z.Type != ZoneRelease && z.Type != ZoneDoor {
		return geofence.LossUnset
	}
	for _, l := range [...]geofence.Loss{geofence.LossContinue, geofence.LossEvacuate} {
		if l.String() == z.ReleaseLoss {
			return l
		}
	}
	return geofence.LossStop
}

func limitationOf(z *Zone) geofence.Limitation {
	for _, l := range [...]geofence.Limitation{geofence.Soft, geofence.Restricted, geofence.Strict} {
		if l.String() == z.Limitation {
			return l
		}
	}
	return geofence.LimitationUnset
}

func factsOf(z *Zone) geofence.FactSet {
	var out geofence.FactSet
	for _, name := range z.OpenedBy {
		fact, _ := geofence.ParseFact(name)
		out |= fact
	}
	return out
}

// millimetres converts points of a document, which are checked to lie on the grid.
func millimetres(points []Point) []geofence.Vertex {
	out := make([]geofence.Vertex, len(points))
	for i, p := range points {
		out[i] = geofence.Vertex{X: int32(math.Round(p.X * 1000)), Y: int32(math.Round(p.Y * 1000))} //nolint:gosec // within ±10 km
	}
	return out
}

func (s *Shift) window() geofence.WindowSpec {
	w := geofence.WindowSpec{StartMin: int(s.Start), EndMin: int(s.End)}
	if w.EndMin == 0 {
		w.EndMin = minutesPerDay // "00:00" as an end is the same midnight as "24:00"
	}
	for d := time.Sunday; d <= geofence.Holiday; d++ {
		if s.Days.Has(d) {
			w.Days = append(w.Days, d)
		}
	}
	return w
}

// windows are those of the named shifts.
func windows(shifts []Shift, names []string) (out []geofence.WindowSpec) {
	for i := range shifts {
		if slices.Contains(names, shifts[i].ID) {
			out = append(out, shifts[i].window())
		}
	}
	return out
}

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
)

// fenceRobot returns the geofence's robot. Topics may be nil; then nothing stands in for an unknown covariance.
func fenceRobot(p *Profile, topics *Topics) geofence.Robot {
	r := geofence.Robot{
		Footprint:   millimetres(p.Body.Footprint),
		MaxSpeedMPS: p.Motion.MaxSpeedMPS, MaxYawRateRadPS: p.Motion.MaxYawRateRadPS, AccelMPS2: p.Motion.AccelMPS2,
		DecelMPS2: p.Motion.DecelMPS2, AngularDecelRadPS2: p.Motion.AngularDecelRadPS2, Reaction: p.Motion.Reaction.Total(), CommandPeriod: p.Motion.Reaction.CommandPeriod,
		CreepMPS: p.Motion.CreepMPS, CreepYawRateRadPS: p.Motion.CreepYawRateRadPS,
		SigmaK: p.Pose.SigmaK, MapErrorM: p.Pose.MapErrorM, PoseMaxAge: p.Pose.MaxAge, PoseMaxFuture: p.Pose.MaxFuture,
		MinStdDevM: p.Pose.MinStddevM, SlowStdDevM: p.Pose.SlowStddevM, MaxStdDevM: p.Pose.MaxStddevM,
		FreezeAfter: p.Pose.FreezeAfter, JumpSlackM: p.Pose.JumpSlackM, JumpSlackRad: p.Pose.JumpSlackRad,
		RecoverPoses: p.Pose.RecoverPoses, RecoverDwell: p.Pose.RecoverDwell,
		ReleaseMarginM: p.Pose.ReleaseMarginM, ReleaseDwell: p.Pose.ReleaseDwell,
	}
	r.HeightM, r.Loads = p.Body.HeightM, p.fenceLoads()
	if p.Kinematics != nil {
		r.Chain = p.Kinematics.Chain
	}
	if topics != nil {
		r.AssumedStdDevM, r.AssumedYawStdDevRad = topics.Pose.AssumedStddevM, topics.Pose.AssumedYawStddevRad
		if s := topics.SecondPose; s != nil {
			r.Second = &geofence.Agreement{SlackM: s.SlackM, SlackRad: s.SlackRad, After: s.After}
		}
	}
	return r
}
