package geofence

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write ZONES.md anew")

// expected is the table as the author of the rules wrote it, before the code: kind, what is known, and for an unknown
// place, outside, margin and inside the motion and, behind a plus, whatever else is restricted or told.
const expected = `
BLOCKED|binds|hold|stop before it|creep, no closer|hold
BLOCKED|role, clock, task or operator unknown|hold|stop before it|creep, no closer|hold
BLOCKED|does not bind|hold|free|free|free
BLOCKED|in its warn ring|hold+warn|stop before it+warn|creep, no closer+warn|hold+warn
BLOCKED|only a higher load reaches it|hold|free|free|free
BLOCKED|load unknown, one reaches it|hold|stop before it|creep, no closer|hold
SPEED_LIMIT|binds|hold|slow before it|limited|limited
SPEED_LIMIT|role, clock, task or operator unknown|hold|slow before it|limited|limited
SPEED_LIMIT|does not bind|hold|free|free|free
KEEP_IN|binds|hold|stop before it|creep, no closer|hold
KEEP_IN|role, clock, task or operator unknown|hold|stop before it|creep, no closer|hold
KEEP_IN|does not bind|hold|free|free|free
KEEP_IN|none binds, floor denies|hold|hold|hold|hold
KEEP_IN|in its warn ring|hold+warn|stop before it+warn|creep, no closer+warn|hold+warn
NO_MANIPULATION|binds|hold+rest|free|free+rest|free+rest
NO_MANIPULATION|role, clock, task or operator unknown|hold+rest|free|free+rest|free+rest
NO_MANIPULATION|does not bind|hold|free|free|free
PRIVACY|binds|hold+private+blocked|free|free+private+blocked|free+private+blocked
PRIVACY|role, clock, task or operator unknown|hold+private+blocked|free|free+private+blocked|free+private+blocked
PRIVACY|does not bind|hold|free|free|free
DWELL_LIMIT|binds|hold|free|free|free
DWELL_LIMIT|role, clock, task or operator unknown|hold|free|free|free
DWELL_LIMIT|does not bind|hold|free|free|free
DWELL_LIMIT|there for max_dwell|hold+dwell|free|free+dwell|free+dwell
DWELL_LIMIT|there for max_dwell, role, clock, task or operator unknown|hold+dwell|free|free+dwell|free+dwell
RELEASE|binds|hold|stop before it|creep, no closer|hold
RELEASE|role, clock, task or operator unknown|hold|stop before it|creep, no closer|hold
RELEASE|does not bind|hold|free|free|free
RELEASE|lease requested, queued or rejected|hold|stop before it|creep, no closer|hold
RELEASE|lease granted|hold|slow before it|limited|limited
RELEASE|lease granted, shorter than a stop|hold|stop before it|creep, no closer|limited
RELEASE|lease revoked or expired, STOP|hold|stop before it|creep, no closer|hold
RELEASE|lease revoked or expired, CONTINUE|hold|stop before it|creep, no closer|creep+lease lost
RELEASE|lease revoked or expired, CONTINUE, after within|hold|stop before it|creep, no closer|hold
RELEASE|lease revoked or expired, EVACUATE|hold|stop before it|creep, no closer|creep out+lease lost
RELEASE|two leases, one of them revoked|hold|stop before it|creep, no closer|hold
RELEASE|in its warn ring|hold+warn|stop before it+warn|creep, no closer+warn|hold+warn
RELEASE|lease granted, in its warn ring|hold+warn|slow before it|limited|limited
DOOR|binds|hold|stop before it|creep, no closer|hold
DOOR|role, clock, task or operator unknown|hold|stop before it|creep, no closer|hold
DOOR|does not bind|hold|free|free|free
DOOR|lease requested, queued or rejected|hold|stop before it|creep, no closer|hold
DOOR|lease granted|hold|slow before it|limited|limited
DOOR|lease granted, shorter than a stop|hold|stop before it|creep, no closer|limited
DOOR|lease revoked or expired, STOP|hold|stop before it|creep, no closer|hold
DOOR|lease revoked or expired, CONTINUE|hold|stop before it|creep, no closer|creep+lease lost
DOOR|lease revoked or expired, CONTINUE, after within|hold|stop before it|creep, no closer|hold
DOOR|lease revoked or expired, EVACUATE|hold|stop before it|creep, no closer|creep out+lease lost
DOOR|two leases, one of them revoked|hold|stop before it|creep, no closer|hold
DOOR|in its warn ring|hold+warn|stop before it+warn|creep, no closer+warn|hold+warn
DOOR|lease granted, in its warn ring|hold+warn|slow before it|limited|limited
DOOR|lease granted, for another fact|hold|stop before it|creep, no closer|hold
DOOR|lease granted, there for max_dwell|hold+door held|slow before it|limited+door held|limited+door held
NO_STOP|binds|hold|free|free|free
NO_STOP|role, clock, task or operator unknown|hold|free|free|free
NO_STOP|does not bind|hold|free|free|free
NO_STOP|held|hold|hold|hold|creep out
NO_STOP|held, role, clock, task or operator unknown|hold|hold|hold|hold
NO_STOP|held, way out too long for within|hold|hold|hold|hold
DIRECTED|STRICT, along it|hold|free|free|free
DIRECTED|STRICT, along it, role, clock, task or operator unknown|hold|free|free|free
DIRECTED|STRICT, along it, does not bind|hold|free|free|free
DIRECTED|STRICT, across it|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|STRICT, across it, role, clock, task or operator unknown|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|STRICT, across it, does not bind|hold|free|free|free
DIRECTED|STRICT, against it|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|STRICT, against it, role, clock, task or operator unknown|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|STRICT, against it, does not bind|hold|free|free|free
DIRECTED|STRICT, along it, heading not known well enough|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|STRICT, along it, heading not known well enough, role, clock, task or operator unknown|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|STRICT, along it, heading not known well enough, does not bind|hold|free|free|free
DIRECTED|RESTRICTED, along it|hold|free|free|free
DIRECTED|RESTRICTED, along it, role, clock, task or operator unknown|hold|free|free|free
DIRECTED|RESTRICTED, along it, does not bind|hold|free|free|free
DIRECTED|RESTRICTED, across it|hold|slow before it|creep|creep
DIRECTED|RESTRICTED, across it, role, clock, task or operator unknown|hold|slow before it|creep|creep
DIRECTED|RESTRICTED, across it, does not bind|hold|free|free|free
DIRECTED|RESTRICTED, against it|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|RESTRICTED, against it, role, clock, task or operator unknown|hold|stop before it|turn in place, creep away|turn in place
DIRECTED|RESTRICTED, against it, does not bind|hold|free|free|free
BIDIRECTED|RESTRICTED, along it|hold|free|free|free
BIDIRECTED|RESTRICTED, along it, role, clock, task or operator unknown|hold|free|free|free
BIDIRECTED|RESTRICTED, along it, does not bind|hold|free|free|free
BIDIRECTED|RESTRICTED, across it|hold|slow before it|creep|creep
BIDIRECTED|RESTRICTED, across it, role, clock, task or operator unknown|hold|slow before it|creep|creep
BIDIRECTED|RESTRICTED, across it, does not bind|hold|free|free|free
BIDIRECTED|RESTRICTED, against it|hold|free|free|free
BIDIRECTED|RESTRICTED, against it, role, clock, task or operator unknown|hold|free|free|free
BIDIRECTED|RESTRICTED, against it, does not bind|hold|free|free|free
DIRECTED|SOFT, along it|hold|free|free|free
DIRECTED|SOFT, along it, role, clock, task or operator unknown|hold|free|free|free
DIRECTED|SOFT, along it, does not bind|hold|free|free|free
DIRECTED|SOFT, across it|hold|free|free|free
DIRECTED|SOFT, across it, role, clock, task or operator unknown|hold|free|free|free
DIRECTED|SOFT, across it, does not bind|hold|free|free|free
DIRECTED|SOFT, against it|hold|free|free|free
DIRECTED|SOFT, against it, role, clock, task or operator unknown|hold|free|free|free
DIRECTED|SOFT, against it, does not bind|hold|free|free|free
BIDIRECTED|SOFT, along it|hold|free|free|free
BIDIRECTED|SOFT, along it, role, clock, task or operator unknown|hold|free|free|free
BIDIRECTED|SOFT, along it, does not bind|hold|free|free|free
BIDIRECTED|SOFT, across it|hold|free|free|free
BIDIRECTED|SOFT, across it, role, clock, task or operator unknown|hold|free|free|free
BIDIRECTED|SOFT, across it, does not bind|hold|free|free|free
BIDIRECTED|SOFT, against it|hold|free|free|free
BIDIRECTED|SOFT, against it, role, clock, task or operator unknown|hold|free|free|free
BIDIRECTED|SOFT, against it, does not bind|hold|free|free|free
`

// rowOf writes a case of the table as expected does.
func rowOf(c *Case) string {
	cells := []string{c.Kind.String(), c.Known}
	for _, e := range c.Effect {
		cells = append(cells, cellOf(e))
	}
	return strings.Join(cells, "|")
}

func cellOf(e Effect) string {
	words := []string{e.Motion}
	for _, w := range [...]string{e.Manipulators, e.Perception, e.Remote, e.Event} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, "+")
}

func TestTheTableIsAsExpected(t *testing.T) {
	var got []string
	for _, c := range Semantics() {
		got = append(got, rowOf(&c))
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(expected), "\n"), got); diff != "" {
		t.Errorf("table differs from what was written down (-written +table):\n%s", diff)
	}
}

// cell is one cell of the table put on a real set: the zone begins at x = 5 m and the robot drives along x.
type cell struct {
	kind  Kind
	known string
	place Place
	// direction is that of a zone which has one; nearer is how much nearer to it than the others the robot stands outside, in metres.
	direction, nearer float64
}

const (
	cellLimitMPS = 0.5
	cellDwell    = 20 * time.Second
	cellWithin   = 12 * time.Second
)

// zone is a zone of the cell's kind.
func (c *cell) zone() ZoneSpec {
	z := ZoneSpec{
		ID: "z", Kind: c.kind, Roles: []string{"porter"}, ExceptTasks: []string{"delivery"}, Operators: []string{"ward"},
		Outer: rect(5000, -9000, 15_000, 9000),
	}
	switch c.kind {
	case SpeedLimit:
		z.MaxSpeedMPS = cellLimitMPS
	case KeepIn:
		z.Outer = rect(-15_000, -9000, 5000, 9000)
	case DwellLimit:
		z.MaxDwell = cellDwell
	case NoStop:
		z.Within = cellWithin
		if strings.Contains(c.known, "too long") {
			z.Within = time.Second
		}
	case Door:
		z.Facts, z.MaxDwell, z.Loss = FactBadge|FactTask, cellDwell, LossStop
	case Release:
		z.Loss = LossStop
	case Directed, Bidirected:
		for l := Soft; l < limitationEnd; l++ {
			if strings.HasPrefix(c.known, l.String()) {
				z.Limitation = l
			}
		}
		z.DirectionRad = c.direction
	default:
	}
	if strings.Contains(c.known, "warn ring") {
		z.WarnM = 1
	}
	if strings.Contains(c.known, "reaches it") {
		z.Height = &Height{FromM: 1.8, ToM: 3}
	}
	switch {
	case strings.Contains(c.known, "CONTINUE"):
		z.Loss, z.Within = LossContinue, cellWithin
	case strings.Contains(c.known, "EVACUATE"):
		z.Loss = LossEvacuate
	}
	return z
}

// variants are in how many ways a case may come about.
func (c *cell) variants() int {
	if strings.Contains(c.known, "task or operator unknown") || strings.Contains(c.known, "does not bind") || strings.Contains(c.known, "none binds") {
		return 4
	}
	return 1
}

// leases are what the case knows of leases, in every form that it names.
func (c *cell) leases(now time.Duration) [][]Lease {
	good := Lease{State: Granted, Until: now + time.Hour, MaxSpeedMPS: cellLimitMPS, Facts: FactTask}
	ended := func(states ...LeaseState) (out [][]Lease) {
		for _, s := range states {
			l := good
			l.State, l.Until = s, now-time.Second
			if strings.Contains(c.known, "after within") {
				l.Until = now - cellWithin
			}
			out = append(out, []Lease{l})
		}
		return out
	}
	switch {
	case strings.Contains(c.known, "two leases"):
		return [][]Lease{append(ended(Revoked)[0], good), append([]Lease{good}, ended(Revoked)[0]...)}
	case strings.Contains(c.known, "revoked or expired"):
		return ended(Granted, Revoked, Expired) // a granted one that is over has expired
	case strings.Contains(c.known, "requested"):
		var out [][]Lease
		for _, s := range [...]LeaseState{Requested, Queued, Rejected, NoLease, leaseEnd} {
			l := good
			l.State = s
			out = append(out, []Lease{l})
		}
		return out
	case strings.Contains(c.known, "shorter"):
		l := good
		l.Until = now + 500*time.Millisecond
		return [][]Lease{{l}}
	case strings.Contains(c.known, "another fact"):
		l, none := good, good
		l.Facts, none.Facts = FactDoor, 0
		return [][]Lease{{l}, {none}}
	case strings.Contains(c.known, "granted"):
		return [][]Lease{{good}}
	}
	return [][]Lease{nil}
}

// reach puts a robot into the cell and returns the rig.
func (c *cell) reach(t *testing.T, variant int, leases []Lease) *rig {
	t.Helper()
	spec := site(c.zone())
	spec.Roles, spec.Tasks, spec.Operators = []string{"porter", "cleaner"}, []string{"delivery"}, []string{"ward"}
	if strings.Contains(c.known, "floor denies") {
		spec.Floors[0].WithoutKeepIn = Deny
	}
	robot := wheels()
	if strings.Contains(c.known, "reaches it") {
		robot.HeightM, robot.Loads = 1.4, []LoadSpec{{Name: "rack", HeightM: 2}}
	}
	if strings.Contains(c.known, "heading not known") {
		robot.SlowStdDevM, robot.MaxStdDevM = 0.9, 1 // the pose's quality itself limits nothing
	}
	r := newRig(t, spec, robot)
	r.in.Task, r.in.Operator = Fact{true, Other}, Fact{true, 0}
	r.in.Carried.Known = !strings.Contains(c.known, "load unknown")
	switch {
	case strings.Contains(c.known, "operator unknown"):
		switch variant {
		case 0:
			r.in.Roles = 0
		case 1:
			r.in.Task = Fact{}
		case 2:
			r.in.Operator = Fact{}
		default: // two at once
			r.in.Task, r.in.Operator = Fact{true, MaxNames}, Fact{true, -2} // indices of nobody are unknown
		}
	case strings.Contains(c.known, "does not bind"), strings.Contains(c.known, "none binds"):
		switch variant {
		case 0:
			r.in.Roles = 2
		case 1:
			r.in.Task = Fact{true, 0}
		case 2:
			r.in.Operator = Fact{true, Other}
		default: // what is surely excluded stays so, whatever else is unknown
			r.in.Task, r.in.Operator, r.in.Roles = Fact{true, 0}, Fact{}, 0
		}
	}
	copy(r.in.Leases[:], leases)
	x := map[Place]float64{PlaceUnknown: 4.1, Outside: 4.1, Margin: 4.57, Inside: 4.8}[c.place]
	if c.place == Outside {
		x += c.nearer
	}
	if strings.Contains(c.known, "heading not known") {
		r.in.Pose.VarYaw = 0.05 // 0.22 rad
	}
	r.in.Pose.FrameOK = c.place != PlaceUnknown
	r.at(x, 0, 0)
	if strings.Contains(c.known, "max_dwell") {
		r.pass(cellDwell)
		for i := range r.in.Leases {
			r.in.Leases[i].Until += cellDwell
		}
		r.at(x, 0, 0)
	}
	return r
}

// observed is what the fence does in a cell, in the table's words.
func (c *cell) observed(t *testing.T, variant int, leases []Lease) string {
	t.Helper()
	r := c.reach(t, variant, leases)
	v := r.out
	ask := r.Limit
	if strings.HasPrefix(c.known, "held") {
		ask = func(now Instant, cmd Velocity) Limit {
			if !v.Refuge.On {
				return Limit{} // the interlock's hold stands
			}
			return r.LimitRefuge(now, cmd)
		}
	}
	towards, away := ask(r.now, Velocity{VX: 1}), ask(r.now, Velocity{VX: -1})
	if c.kind == NoStop && c.known == "binds" && v.Refuge.On != (c.place == Inside) {
		t.Errorf("refuge %+v", v.Refuge)
	}
	e := Effect{Motion: motionWord(&v, towards, away)}
	word := func(r Restriction, certain bool, w string) string {
		if !r.On {
			return ""
		}
		if r.Zone != 0 || r.Reason == ReasonNone || r.Certain != certain {
			t.Errorf("%s: restriction %+v, expected zone 0 with a reason, certain %t", w, r, certain)
		}
		return w
	}
	certain := c.place != PlaceUnknown && !strings.Contains(c.known, "operator unknown")
	e.Manipulators = word(v.Manipulators, certain, ArmsRest)
	e.Perception = word(v.Perception, certain, PerceptionPrivate)
	e.Remote = word(v.Remote, certain, RemoteBlocked)
	e.Event = word(v.Dwell, certain, EventDwell) + word(v.DoorHeld, certain, EventDoorHeld) + word(v.Lost, certain, EventLeaseLost) +
		word(v.Warn, certain, EventWarn)
	return cellOf(e)
}

// motionWord tells from two answers which rule they come from.
func motionWord(v *Verdict, towards, away Limit) string {
	creep := wheels().CreepMPS
	is := func(l Limit, mps float64) bool { return math.Abs(l.AllowedMPS-mps) < 1e-9 }
	limited := func(l Limit) bool { return is(l, cellLimitMPS) || is(l, entryShare*cellLimitMPS) }
	switch {
	case towards.Ratio == 0 && away.Ratio == 0:
		return MotionHold
	case v.Hold:
		return "a hold that lets something pass"
	case towards.Ratio == 1 && away.Ratio == 1:
		return MotionFree
	case limited(towards) && limited(away):
		return MotionLimited
	case away.Ratio == 1 && towards.Reason == ReasonSpeedAhead && towards.AllowedMPS > entryShare*cellLimitMPS:
		return MotionSlowBefore
	case away.Ratio == 1 && towards.Reason == ReasonEdgeAhead && towards.Ratio < 1:
		return MotionStopBefore
	case is(towards, creep) && is(away, creep):
		return MotionCreep
	case towards.Ratio == 0 && is(away, creep) && away.Reason == ReasonMargin:
		return MotionNoCloser
	case towards.Ratio == 0 && is(away, creep):
		return MotionCreepOut
	}
	return fmt.Sprintf("towards %+v, away %+v", towards, away)
}

func TestEveryCellOfTheTable(t *testing.T) {
	cells := 0
	for row := range strings.SplitSeq(strings.TrimSpace(expected), "\n") {
		f := strings.Split(row, "|")
		var kind Kind
		for k := range kindEnd {
			if k.String() == f[0] {
				kind = k
			}
		}
		for p := range Inside + 1 {
			c := cell{kind: kind, known: f[1], place: p}
			for i, leases := range c.leases(100 * time.Second) {
				for variant := range c.variants() {
					cells++
					observed := c.observed
					if kind.lane() {
						observed = c.travelled
					}
					if got := observed(t, variant, leases); got != f[2+p] {
						t.Errorf("%v, %s (%d, %d), %v: %q, want %q", kind, f[1], i, variant, p, got, f[2+p])
					}
				}
			}
		}
	}
	t.Logf("%d cells", cells)
	for k := Blocked; k < kindEnd; k++ {
		if !strings.Contains(expected, "\n"+k.String()+"|binds|") && !strings.Contains(expected, "\n"+k.String()+"|RESTRICTED, along it|") {
			t.Errorf("%v is not in the table", k)
		}
	}
}

func TestZonesDocument(t *testing.T) {
	const name = "ZONES.md"
	want := zonesDocument()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the table says; run go test ./geofence -update (-want +got):\n%s", name, diff)
	}
}

func zonesDocument() string {
	var b strings.Builder
	b.WriteString(`# Zones

Written from the table in ` + "`semantics.go`" + ` by ` + "`go test ./geofence -update`" + `; do not edit. ` + "`semantics_test.go`" + ` holds Step and
Limit to every cell of it.

A cell says what motion may do, and behind a plus what else is restricted or told. Places are seen from the zone: outside is farther than the margin,
inside means that any part of the contour is in it; for KEEP_IN, outside is well within the area and inside has left it. Of several zones the most
restrictive counts on each axis, the lowest speed wins, and the answer names the zone and the rule. A zone binds by role, shift, task and operator; what of
these is unknown may be any. A load that is unknown is all that the profile knows. Under an unknown place the robot holds by its
pose, and every zone that binds on its floor (on every floor if that is unknown) restricts the other axes and counts time.

| kind | what is known | place unknown | outside | margin | inside |
|---|---|---|---|---|---|
`)
	for _, c := range Semantics() {
		fmt.Fprintf(&b, "| %v | %s |", c.Kind, c.Known)
		for _, e := range c.Effect {
			fmt.Fprintf(&b, " %s |", strings.ReplaceAll(cellOf(e), "+", " + "))
		}
		b.WriteString("\n")
	}
	b.WriteString(`
- free: nothing restricts. limited: up to the zone's speed, for RELEASE and DOOR that of the lease. slow before it: down to that speed at the edge.
- stop before it: the braking curve, down to rest at the margin. creep, no closer: creep speed, no part nearer than it is. creep out: creep speed on
  a way that leads out, as under an egress grant; a grant lets a robot that holds inside do the same.
- rest: arms and hands. private: cameras and microphones. blocked: remote views and commands.
- along, across, against it: motion that leads so, commanded or measured, within 30°, more than 30° and more than 90° off the zone's direction; for BIDIRECTED
  its opposite is along it as well. A cell is about that motion alone. turn in place: what leads nowhere passes. creep away: creep speed, no part nearer than it is.
  heading not known well enough: less than 30° by as many standard deviations as the profile keeps clear. A measured motion that leads off the direction counts
  whatever is commanded. Nothing is told but the zone's name in status.
- warn: in the ring of warn_m around the margin, which restricts nothing. dwell, door held, lease lost, warn: told to the interlock, whose trigger table says what follows.
- held: somebody else than a pose, a commander or a zone holds the robot; the interlock then asks for the way out, for ` + "`within`" + ` at most.

## Zone types of VDA 5050 that a policy refuses

| zone type | why |
|---|---|
`)
	for _, k := range PlannerKinds() {
		fmt.Fprintf(&b, "| %s | %s |\n", k.Word, k.Why)
	}
	return b.String()
}
