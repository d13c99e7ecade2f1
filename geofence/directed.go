package geofence

import "math"

// Limitation is how strictly a Directed or Bidirected zone asks for its direction
// of travel (VDA 5050: directedLimitation, bidirectedLimitation).
type Limitation uint8

const (
	// LimitationUnset is the zero value and an error for a Directed or Bidirected zone.
	LimitationUnset Limitation = iota
	// Soft restricts nothing (VDA 5050: SOFT, other directions should be avoided, which binds a planner).
	Soft
	// Restricted lets the robot creep off the direction, and never against it (VDA 5050: RESTRICTED).
	Restricted
	// Strict lets nothing pass off the direction (VDA 5050: STRICT). Directed only.
	Strict
	limitationEnd
)

// DirectionToleranceRad is by how much the direction of travel may deviate from
// that of a Directed or Bidirected zone, in radians: 30°. The standard says "as
// precisely as its technical capabilities allow". What the pose leaves open of
// the heading comes off it.
const DirectionToleranceRad = math.Pi / 6

// againstRad is the deviation beyond which motion leads against a direction.
const againstRad = math.Pi / 2

// maxDirectionRad bounds a zone's direction as it may be written.
const maxDirectionRad = 2 * math.Pi

// halvings is how often the search for a ratio halves it: to less than a millionth.
const halvings = 20

// lane says whether zones of the kind have a direction of travel.
func (k Kind) lane() bool { return k == Directed || k == Bidirected }

// direction checks a zone's direction of travel and its limitation.
func (i item) direction(spec *ZoneSpec, z *zone) {
	if !spec.Kind.lane() {
		if spec.DirectionRad != 0 {
			i.fail("DirectionRad", -1, "is %v rad, expected none: it is for a Directed or Bidirected zone", spec.DirectionRad)
		}
		if spec.Limitation != LimitationUnset {
			i.fail("Limitation", -1, "is %v, expected none: it is for a Directed or Bidirected zone", spec.Limitation)
		}
		return
	}
	if v := spec.DirectionRad; !(math.Abs(v) <= maxDirectionRad) {
		i.fail("DirectionRad", -1, "is %v rad, expected [-2π, 2π], from the map's x axis anticlockwise", v)
	}
	most := Strict
	if spec.Kind == Bidirected {
		most = Restricted
	}
	if v := spec.Limitation; v < Soft || v > most {
		i.fail("Limitation", -1, "is %v, expected SOFT or RESTRICTED, and for a Directed zone also STRICT", v)
	}
	z.alongY, z.alongX = sincos(spec.DirectionRad)
}

// arrow is a direction on the map, of any length.
type arrow struct{ x, y float64 }

// over is where the motion u leads on the map for a robot that faces as p does.
func (p frame) over(u twist) arrow {
	return arrow{float64(p.c*u.vx) - float64(p.s*u.vy), float64(p.s*u.vx) + float64(p.c*u.vy)}
}

func (a arrow) turned(phi float64) arrow {
	s, c := sincos(phi)
	return arrow{float64(c*a.x) - float64(s*a.y), float64(s*a.x) + float64(c*a.y)}
}

// course is a direction of travel and how far motion may deviate from it.
type course struct {
	x, y float64
	both bool // its opposite will do as well
	cos  float64
}

func (z *zone) course(tolerance float64) course {
	_, cos := sincos(tolerance)
	return course{z.alongX, z.alongY, z.kind == Bidirected, cos}
}

// admits says whether a direction is within the tolerance. What is not a number is not.
func (l course) admits(a arrow) bool {
	dot, size := float64(l.x*a.x)+float64(l.y*a.y), length(a.x, a.y)
	if l.both {
		dot = math.Abs(dot)
	}
	return dot >= float64(l.cos*size)
}

// spans says whether all directions from a turned by -blur to a turned by turn
// and blur more are within a tolerance, which is at most π/2: then both ends say it
// for what is between them.
func (l course) spans(a arrow, turn, blur, tolerance float64) bool {
	if !(math.Abs(turn)+float64(2*blur) < float64(2*tolerance)) {
		return false
	}
	return l.admits(a.turned(-blur)) && l.admits(a.turned(blur)) &&
		l.admits(a.turned(turn-blur)) && l.admits(a.turned(turn+blur))
}

// yawBlur is what the pose leaves open of the heading, in radians.
func (f *Fence) yawBlur() float64 { return float64(f.set.robot.SigmaK * f.mem.track.spread) }

// travels says whether the ratio s of the command leads in no direction that
// deviates from a zone's by more than a tolerance, on the way that is left to the
// robot whatever is commanded, and then until it could be at rest again. The
// motion that the robot has, which goes on for a while under the command's
// turning, must not either, unless it is none to speak of.
func (q *query) travels(z *zone, tolerance, s float64) bool {
	l, v := z.course(tolerance), q.f.mem.track.velocity
	if v.speed() > 1000*freezeMPS && !q.leads(l, v, tolerance, s) {
		return false
	}
	return q.u.speed() == 0 || q.leads(l, q.u, tolerance, s) // a turn in place leads nowhere
}

// leads says it of a motion m of the base that the ratio s of the command turns.
func (q *query) leads(l course, m twist, tolerance, s float64) bool {
	f, fl := q.f, &q.flight
	at, end := f.mem.track.at.over(m), fl.end.over(m)
	blur, w := f.yawBlur(), float64(q.u.w*s)
	stop := float64(s*0.5) / q.brake
	first := float64(fl.first.w * fl.firstS)
	rest := fl.holdS + f.set.robot.CommandPeriod.Seconds() + stop
	return l.spans(at, first, blur, tolerance) &&
		l.spans(at, first+float64(fl.second.w*fl.deadS), blur, tolerance) &&
		l.spans(at, float64(w*(q.react+stop)), blur, tolerance) &&
		l.spans(end, float64(fl.after.w*(fl.holdS+f.stopS(fl.after))), blur, tolerance) &&
		l.spans(end, float64(w*rest), blur, tolerance)
}

// share is the greatest ratio of the command that travels within a tolerance.
func (q *query) share(z *zone, tolerance float64) float64 {
	if q.travels(z, tolerance, 1) {
		return 1
	}
	if !q.travels(z, tolerance, 0) {
		return 0
	}
	lo, hi := 0.0, 1.0
	for range halvings {
		if mid := (lo + hi) / 2; q.travels(z, tolerance, mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// along is the ratio of the command that a zone's direction of travel lets pass in it.
func (q *query) along(z *zone) float64 {
	if z.info.Limitation == Soft {
		return 1
	}
	q.fly()
	s := q.share(z, DirectionToleranceRad)
	if z.info.Limitation == Strict || s == 1 {
		return s
	}
	creep := 1.0
	if v := q.u.speed(); v > 0 {
		creep = min(creep, float64(1000*q.f.set.robot.CreepMPS)/v)
	}
	if z.kind == Directed {
		creep = min(creep, q.share(z, againstRad))
	}
	return max(s, creep)
}

// direct limits motion by a zone's direction of travel, inside and before. It
// never turns the robot. Whoever is not in the zone may also creep away from it,
// in any direction.
func (q *query) direct(c *candidate, place Place, m float64) {
	most := q.along(&q.f.set.zones[c.zone])
	if most >= 1 {
		return
	}
	if place == Outside {
		q.outside(c, m, most, ReasonDirectionAhead)
		return
	}
	if _, k := q.creeping(); !c.inside && most < k && q.retreats(c, m) {
		most = k
	}
	q.lower(most, c.zone, ReasonDirection, 0)
	q.blocked = q.blocked || q.ratio == 0
}
