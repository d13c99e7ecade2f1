package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/zones"
	"github.com/robowarden/robowarden/geofence"
)

// Answer is what the geofence would decide, and why. It is written as JSON by explain --output json.
type Answer struct {
	// Note says that nothing here is in force.
	Note string `json:"note"`
	// Decision is free, limited or denied; Rule is the geofence's own word for the rule that decides, Zone the zone that it
	// is about ("" if none), Meaning the rule in a sentence and Reason what the policy tells people.
	Decision string `json:"decision"`
	Rule     string `json:"rule"`
	Zone     string `json:"zone,omitempty"`
	Meaning  string `json:"meaning"`
	Reason   string `json:"reason,omitempty"`
	// Hold and Trip are the verdict's: no autonomous motion here; the measured motion cannot stop before an edge.
	Hold bool `json:"hold"`
	Trip bool `json:"trip"`
	// Faults are the named pose faults.
	Faults string `json:"faults,omitempty"`
	// AskedMPS is the speed that was asked, AllowedMPS what would pass of it, in m/s. Ratio scales every axis of the command.
	AskedMPS   float64 `json:"asked_mps"`
	AllowedMPS float64 `json:"allowed_mps"`
	Ratio      float64 `json:"ratio"`
	// ZoneLimitMPS is the limit of speed zones and of the pose's quality here; absent where there is none.
	ZoneLimitMPS *float64 `json:"zone_limit_mps,omitempty"`
	// Place is the worst of all zones that bind: outside, margin or inside. MarginM is what the pose's uncertainty, the map
	// and rounding take, RequiredM what the measured motion needs to stop, both in metres.
	Place     string  `json:"place"`
	MarginM   float64 `json:"margin_m"`
	RequiredM float64 `json:"required_m"`
	// Others are the restrictions of other axes than motion.
	Others []Other `json:"others,omitempty"`
	// Asked repeats the question.
	Asked Asked `json:"asked"`
	// Zones are all zones of the policy, in its order.
	Zones []Zone `json:"zones"`
}

// Other is a restriction of another axis than motion.
type Other struct {
	// Axis is manipulators, perception or remote, and State rest, private or blocked; or axis is event for what is told and
	// restricts nothing: warn, lease lost.
	Axis  string `json:"axis"`
	State string `json:"state"`
	// Zone restricts it by Rule, the geofence's own word; Meaning is the rule in a sentence.
	Zone    string `json:"zone"`
	Rule    string `json:"rule"`
	Meaning string `json:"meaning"`
}

// others lists what the verdict restricts beside motion.
func (e *enquiry) others() []Other {
	var out []Other
	v := &e.verdict
	for _, o := range []struct {
		axis, state string
		is          geofence.Restriction
	}{
		{"manipulators", geofence.ArmsRest, v.Manipulators},
		{"perception", geofence.PerceptionPrivate, v.Perception},
		{"remote", geofence.RemoteBlocked, v.Remote},
		{"event", geofence.EventLeaseLost, v.Lost},
		{"event", geofence.EventWarn, v.Warn},
	} {
		if o.is.On {
			out = append(out, Other{
				Axis: o.axis, State: o.state, Zone: e.set.Zone(o.is.Zone).ID, Rule: o.is.Reason.String(), Meaning: meaning(o.is.Reason),
			})
		}
	}
	return out
}

// Asked is the question as it was understood.
type Asked struct {
	Policy   string   `json:"policy"`
	Revision int64    `json:"revision"`
	Profile  string   `json:"profile"`
	X        float64  `json:"x_m"`
	Y        float64  `json:"y_m"`
	Z        float64  `json:"z_m"`
	Yaw      float64  `json:"yaw_rad"`
	Floor    string   `json:"floor"`
	Time     string   `json:"time"`
	Clock    string   `json:"clock"`
	Roles    []string `json:"roles"`
	// RolesKnown is false where nobody said which roles the robot has: then every zone may bind.
	RolesKnown bool              `json:"roles_known"`
	Command    geofence.Velocity `json:"command"`
	// Task and Operator are "unknown" where nobody said; Loads are what the robot is taken to carry.
	Task     string   `json:"task"`
	Operator string   `json:"operator"`
	Loads    []string `json:"loads,omitempty"`
	StdDevM  float64  `json:"stddev_m"`
}

// What a zone has to do with the answer.
const (
	// Decides is the zone that the deciding rule is about.
	Decides = "decides"
	// Restricts is a zone that the robot is in, or in whose margin.
	Restricts = "restricts"
	// InReach is a zone that binds and that the robot could get to before it stops; it sets AllowedMPS towards it.
	InReach = "in-reach"
	// OutOfReach is a zone that binds and is too far to matter now.
	OutOfReach = "out-of-reach"
	// Exempt is a zone that does not bind this robot's roles, Idle one whose shifts do not run, Elsewhere one of another floor.
	Exempt    = "not-for-this-robot"
	Idle      = "not-in-force"
	Elsewhere = "other-floor"
)

// Zone is one zone's part in the answer.
type Zone struct {
	ID    string `json:"id"`
	Type  string `json:"type"`
	Floor string `json:"floor"`
	// State is what the zone has to do with the answer, Why says it in words.
	State string `json:"state"`
	Why   string `json:"why"`
	// Place, DistanceM (negative: how deep the contour is in it) and TowardsMPS, the most that is allowed straight towards
	// it, are the core's, for zones that bind and are in reach.
	Place      string   `json:"place,omitempty"`
	DistanceM  *float64 `json:"distance_m,omitempty"`
	TowardsMPS *float64 `json:"towards_mps,omitempty"`
	// Certain is false where the zone binds only because roles or the clock are not known.
	Certain bool `json:"certain"`
	// NextChange is when its shifts next begin or end, by RFC 3339; empty without shifts.
	NextChange string `json:"next_change,omitempty"`
	Reason     string `json:"reason"`
}

// Applies says whether a zone had a say.
func (z *Zone) Applies() bool { return z.State == Decides || z.State == Restricts }

const note = "what-if: the policy's signature is not looked at, and nothing is put into force"

// answer puts verdict and limit into words.
func (e *enquiry) answer() *Answer {
	v, l := &e.verdict, &e.limit
	asked := math.Hypot(e.cmd.VX, e.cmd.VY)
	a := &Answer{
		Note: note, Hold: v.Hold, Trip: v.Trip, Faults: v.Faults.String(), AskedMPS: asked, Ratio: l.Ratio,
		AllowedMPS: l.AllowedMPS, Place: v.Place.String(), MarginM: v.MarginM, RequiredM: v.RequiredM, Asked: e.asked(),
	}
	if v.SpeedLimited {
		a.ZoneLimitMPS = &v.MaxSpeedMPS
		a.AllowedMPS = min(a.AllowedMPS, v.MaxSpeedMPS)
	}
	zone, rule := geofence.NoZone, geofence.ReasonNone
	switch moving := e.cmd != (geofence.Velocity{}); {
	case v.Hold || v.Trip:
		a.Decision, a.AllowedMPS, zone, rule = Denied, 0, v.Zone, v.Reason
	case moving && l.Ratio == 0:
		a.Decision, zone, rule = Denied, l.Zone, l.Reason
	case l.Ratio < 1:
		a.Decision, zone, rule = Limited, l.Zone, l.Reason
	case v.SpeedLimited || v.Reason != geofence.ReasonNone:
		a.Decision, zone, rule = Limited, v.Zone, v.Reason
	default:
		a.Decision = Free
	}
	a.Rule, a.Meaning = rule.String(), meaning(rule)
	if zone >= 0 {
		info := e.set.Zone(zone)
		a.Zone, a.Reason = info.ID, info.Reason
	}
	a.Others = e.others()
	a.Zones = e.zones(zone)
	return a
}

func (e *enquiry) asked() Asked {
	q, pose := e.q, e.pose(e.set)
	return Asked{
		Policy: q.Policy.ID, Revision: q.Policy.Revision, Profile: q.Profile.ID, X: q.X, Y: q.Y, Z: q.Z, Yaw: q.Yaw, Floor: q.Floor,
		Time: e.local(q.At).Format(time.RFC3339), Clock: q.Trust.String(), Roles: append([]string{}, q.Roles...),
		RolesKnown: q.RolesKnown, Command: e.cmd, StdDevM: math.Sqrt(pose.VarX),
		Task: cmp.Or(q.Task, "unknown"), Operator: cmp.Or(q.Operator, "unknown"), Loads: e.set.LoadNames(e.verdict.Loads),
	}
}

func (e *enquiry) local(t time.Time) time.Time {
	if loc := e.q.Policy.Timezone.Location; loc != nil {
		return t.In(loc)
	}
	return t
}

// zones says of each zone of the policy what it had to do with the answer.
func (e *enquiry) zones(deciding int) []Zone {
	near := map[int]geofence.ZoneVerdict{}
	keepIn := "" // the zone of the nearest piece of the keep-in area's edge
	for _, n := range e.verdict.Near[:e.verdict.N] {
		near[n.Zone] = n
		if e.set.Zone(n.Zone).Kind == geofence.KeepIn {
			keepIn = e.set.Zone(n.Zone).ID
		}
	}
	out := make([]Zone, 0, len(e.q.Policy.Zones))
	for i := range e.q.Policy.Zones {
		z := &e.q.Policy.Zones[i]
		one := Zone{ID: z.ID, Type: z.Type, Floor: z.Floor, Reason: z.Reason, Certain: true}
		if next, ok := e.changes.Next(e.q.Policy, z, e.q.At); ok {
			one.NextChange = e.local(next).Format(time.RFC3339)
		}
		if one.State, one.Why = e.silent(z, one.NextChange); one.State == "" {
			n, ok := near[i]
			e.near(&one, i, n, ok, keepIn)
			if i == deciding {
				one.State = Decides
			}
		}
		out = append(out, one)
	}
	return out
}

// silent says why a zone does not bind at all, "" if it does.
func (e *enquiry) silent(z *config.Zone, next string) (state, why string) {
	switch {
	case z.Floor != e.q.Floor:
		return Elsewhere, "it is on floor " + z.Floor
	case e.q.RolesKnown && !zones.Binds(z, e.q.Roles):
		return Exempt, "it binds " + roleWords(z) + "; this robot has " + listOr(e.q.Roles, "no roles")
	case e.exempt(z) != "":
		return Exempt, e.exempt(z)
	case e.q.Trust != geofence.ClockUntrusted && !zones.ActiveAt(e.q.Policy, z, e.q.At):
		return Idle, "it holds " + shiftWords(z) + "; it begins at " + next
	}
	return "", ""
}

// near says what a zone that binds does to the robot.
func (e *enquiry) near(one *Zone, i int, n geofence.ZoneVerdict, ok bool, keepIn string) {
	z := &e.q.Policy.Zones[i]
	if len(z.Parts)+len(z.Views) > 0 && e.body(one, i) {
		return
	}
	if !ok && z.Type != config.ZoneKeepIn && e.verdict.Floor >= 0 {
		n, ok = e.alone(i)
	}
	one.Certain = !e.uncertain(z)
	switch {
	case e.verdict.Floor < 0:
		one.State, one.Why = OutOfReach, "the pose cannot be used, so no place can be judged"
	case !ok && z.Type == config.ZoneKeepIn && keepIn != "":
		one.State, one.Why = InReach, "it is a part of the floor's KEEP_IN area, whose nearest edge is that of "+keepIn
	case !ok && z.Type == config.ZoneKeepIn:
		one.State, one.Why = OutOfReach, "the edge of the floor's KEEP_IN area is farther than the robot can get before it stops"
	case !ok:
		d := zones.Distance(z, e.contour(), e.q.X, e.q.Y, e.q.Yaw)
		one.State, one.DistanceM = OutOfReach, &d
		one.Why = fmt.Sprintf("it is %.2f m from the robot's contour, farther than the robot can get before it stops", d)
	default:
		one.Place, one.DistanceM, one.TowardsMPS = n.Place.String(), &n.MarginM, &n.AllowedMPS
		one.State, one.Why = e.placed(z, n)
	}
	switch {
	case z.UnlessAttested:
		one.Why += "; it binds unless a verifier vouches for the robot"
	case !one.Certain:
		one.Why += "; it may not bind, but roles, the clock, task or operator are not known"
	}
}

// body says what a zone does to parts and cameras; false where it binds the contour as well and nothing of the body is near.
func (e *enquiry) body(one *Zone, i int) bool {
	z, v := &e.q.Policy.Zones[i], &e.verdict.Parts
	one.Certain = !e.uncertain(z)
	binds := strings.Join(append(append([]string{}, z.Parts...), z.Views...), ", ")
	for _, p := range v.Near[:v.N] {
		if p.Zone != i {
			continue
		}
		one.State, one.Place, one.DistanceM = Restricts, p.Place.String(), &p.MarginM
		switch name := e.set.Part(p.Part); {
		case p.View:
			one.DistanceM = nil
			one.Why = fmt.Sprintf("camera %s may see into it: it is closed", e.set.Camera(p.Part))
		case p.Place == geofence.Inside:
			one.Why = name + " is in it: arms and hands rest"
		default:
			one.Why = fmt.Sprintf("%s is %.2f m from it, less than the margin of %.2f m: arms are slow", name, p.MarginM, p.NeedM)
		}
		if p.Reason == geofence.ReasonPartUnknown {
			one.Why += "; joints are not known, so all that they could reach counts"
		}
		return true
	}
	if slices.Contains(z.Parts, geofence.PartContour) {
		return false
	}
	one.State, one.Why = OutOfReach, "it binds "+binds+", of which nothing is near or looks at it"
	if e.verdict.Floor < 0 {
		one.Why = "the pose cannot be used, so no place can be judged"
	}
	return true
}

// uncertain says whether a zone may bind only because something is not known.
func (e *enquiry) uncertain(z *config.Zone) bool {
	return z.UnlessAttested || e.doubtful(z) || !e.q.RolesKnown && len(z.Roles)+len(z.ExceptRoles) > 0 ||
		e.q.Trust == geofence.ClockUntrusted && len(z.Shifts)+len(z.OutsideShifts) > 0
}

// quiet says what a zone does that does not limit motion, "" for one that does.
func quiet(zoneType string) string {
	switch zoneType {
	case config.ZoneNoManipulation:
		return "arms and hands rest"
	case config.ZonePrivacy:
		return "cameras and microphones are closed"
	case config.ZoneDwellLimit:
		return "it may stay for a while only"
	case config.ZoneNoStop:
		return "a hold may become a creep on the way out"
	}
	return ""
}

// lane says what a zone with a direction of travel lets pass.
func lane(z *config.Zone) string {
	way := fmt.Sprintf("%.0f° from x", *z.DirectionRad*180/math.Pi)
	if z.Type == config.ZoneBidirected {
		way += " or the opposite"
	}
	within := fmt.Sprintf("%.0f°", geofence.DirectionToleranceRad*180/math.Pi)
	switch {
	case z.Limitation == geofence.Strict.String():
		return "motion leads " + way + ", within " + within + "; nothing else passes but a turn in place"
	case z.Limitation == geofence.Soft.String():
		return "motion should lead " + way + "; it does not limit motion"
	case z.Type == config.ZoneBidirected:
		return "motion leads " + way + ", within " + within + "; else it creeps"
	}
	return "motion leads " + way + ", within " + within + "; across it creeps, against it nothing passes"
}

func (e *enquiry) placed(z *config.Zone, n geofence.ZoneVerdict) (state, why string) {
	room := e.verdict.MarginM + z.MarginM
	switch {
	case n.Place == geofence.Inside && z.Type == config.ZoneKeepIn:
		return Restricts, fmt.Sprintf("part of the robot is outside of it, by %.2f m", -n.MarginM)
	case z.DirectionRad != nil && n.Place == geofence.Outside:
		return InReach, fmt.Sprintf("its edge is %.2f m away; %s", n.MarginM, lane(z))
	case z.DirectionRad != nil:
		return Restricts, "the robot is in it or its margin: " + lane(z)
	case quiet(z.Type) != "" && n.Place == geofence.Outside:
		return InReach, fmt.Sprintf("its edge is %.2f m away; it does not limit motion", n.MarginM)
	case quiet(z.Type) != "":
		return Restricts, "the robot is in it or its margin: " + quiet(z.Type)
	case (z.Type == config.ZoneRelease || z.Type == config.ZoneDoor) && n.Place == geofence.Inside:
		return Restricts, fmt.Sprintf("part of the robot is in it, %.2f m deep, without a lease", -n.MarginM)
	case n.Place == geofence.Inside && z.Type == config.ZoneSpeedLimit:
		return Restricts, fmt.Sprintf("part of the robot is in it: at most %v m/s", z.MaxSpeedMPS)
	case n.Place == geofence.Inside:
		return Restricts, fmt.Sprintf("part of the robot is in it, %.2f m deep", -n.MarginM)
	case n.Place == geofence.Margin:
		return Restricts, fmt.Sprintf("its edge is %.2f m away, less than the margin of %.2f m", n.MarginM, room)
	}
	return InReach, fmt.Sprintf("its edge is %.2f m away, %.2f m beyond the margin of %.2f m: at most %.2f m/s straight towards it",
		n.MarginM, n.MarginM-room, room, n.AllowedMPS)
}
