package guard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// The sources of factParams, in their order, and what their values mean.
const (
	srcTray, srcCart, srcTask, srcDoor, srcBadge, srcDesk = 0, 1, 2, 3, 4, 5
	trayOn, trayOff                                       = 0, 1
	delivery, cleaning, noTask                            = 0, 1, 2
	doorOpen, shut                                        = 0, 1
)

// factParams are those of a site that asks for load, task, operator, doors and badges, of senders with an identity. The
// robot stands at x = 11 m and drives east; behind it a door lies across the corridor at 8 m, before it a part that is closed but
// for deliveries of a ward at 15 m.
func factParams(tb testing.TB, identity string, more ...string) *Params {
	tb.Helper()
	var kinds strings.Builder
	if identity != "" {
		for _, k := range []string{"load", "task", "operator", "door", "badge"} {
			fmt.Fprintf(&kinds, "{kind: %s, identity: %s}, ", k, identity)
		}
	}
	return editedParams(tb, map[string][]func(string) string{
		"profile.yaml": {replaceIn(tb, "\nbody:\n", `
loads:
  - {id: tray, box: {length_m: 0.5, width_m: 0.6, x_m: 0.6, y_m: 0}}
  - {id: cart, capsule: {line: [[-0.5, 0], [-1.1, 0]], radius_m: 0.3}, decel_mps2: 0.4}

body:
`)},
		"topics.yaml": {replaceIn(tb, "\nodometry: ", `
facts:
  - {id: tray-sensor, kind: load, topic: /tray, type: std_msgs/Bool, publishers: [/tray], max_age: 2s, values: [{value: "true", means: tray}, {value: "false", means: none}]}
  - {id: hook, kind: load, topic: /hook, type: std_msgs/String, publishers: [/hook], max_age: 2s, values: [{value: hooked, means: cart}, {value: free, means: none}]}
  - {id: job, kind: task, topic: /job, type: std_msgs/String, publishers: [/fleet], max_age: 2s, values: [{value: d, means: delivery}, {value: c, means: cleaning}, {value: idle, means: none}]}
  - {id: door-sensor, kind: door, zone: door, topic: /door, type: std_msgs/Bool, publishers: [/doors], max_age: 2s, values: [{value: "true", means: open}, {value: "false", means: closed}]}
  - {id: reader, kind: badge, zone: door, topic: /badge, type: std_msgs/Bool, publishers: [/doors], max_age: 2s, values: [{value: "true", means: shown}, {value: "false", means: none}]}
  - {id: desk, kind: operator, topic: /desk, type: std_msgs/String, publishers: [/fleet], max_age: 2s, values: [{value: w, means: ward}, {value: nobody, means: none}]}

odometry: `)},
		"policy.yaml": {
			replaceIn(tb, "\nrobots:", "\ntasks: [delivery, cleaning]\noperators: [ward]\nfacts: ["+kinds.String()+"]\nrobots:"),
			replaceIn(tb, "\n  # ---- upper floor ----", `
  - {zone_id: door, zone_type: DOOR, floor: ground, vertices: [[8, 10], [9, 10], [9, 14], [8, 14]], release_loss: EVACUATE, opened_by: [badge, door, task], max_dwell: 20s, bus_entry: {max_speed_mps: 0.3, tasks: [delivery]}, reason: a test}
  - {zone_id: store, zone_type: BLOCKED, floor: ground, vertices: [[15, 10], [18, 10], [18, 14], [15, 14]], except_tasks: [delivery], warn_m: 1.0, reason: a test}
  - {zone_id: desk-only, zone_type: BLOCKED, floor: ground, vertices: [[15, 10], [18, 10], [18, 14], [15, 14]], except_operators: [ward], reason: a test}
`+strings.Join(more, "")+`
  # ---- upper floor ----`),
		},
	})
}

// say gives the robot a fact.
func (r *rig) say(source, value int, strength msg.Strength) {
	r.apply(Event{Kind: EventFact, Fact: Fact{Source: source, Value: value, Peer: 77, Strength: strength}})
}

// factRig is a robot that has just begun and is told facts once.
func factRig(t *testing.T, p *Params, said map[int]int) *rig {
	t.Helper()
	r := newRig(t, p, Start{})
	r.plant.x = 11
	r.run(100 * time.Millisecond)
	r.tell(said, msg.SourceBound)
	return r
}

func (r *rig) tell(said map[int]int, strength msg.Strength) {
	for _, source := range []int{srcTray, srcCart, srcTask, srcDoor, srcBadge, srcDesk} {
		if value, ok := said[source]; ok {
			r.say(source, value, strength)
		}
	}
}

// inputs are what the geofence is told now.
func (r *rig) inputs() geofence.Inputs { return r.core.fenceInputs() }

// doorState joins the leases for the door, as the geofence does: the most restrictive counts.
func (r *rig) doorState() string {
	zone, _ := r.params.Set.ZoneIndex("door")
	var states []string
	in := r.inputs()
	for _, l := range in.Leases {
		if l.State != geofence.NoLease && l.Zone == zone {
			states = append(states, l.State.String()+" by "+l.Facts.String())
		}
	}
	slices.Sort(states)
	return strings.Join(states, ", ")
}

func TestLoadFacts(t *testing.T) {
	all := geofence.Carried{}
	for name, c := range map[string]struct {
		identity string
		strength msg.Strength
		tray     int
		cart     int
		want     geofence.Carried
	}{
		"nothing":                  {"source-bound", msg.SourceBound, trayOff, 1, geofence.Carried{Known: true}},
		"a tray":                   {"source-bound", msg.SourceBound, trayOn, 1, geofence.Carried{Known: true, Loads: 1}},
		"both":                     {"source-bound", msg.Authenticated, trayOn, 0, geofence.Carried{Known: true, Loads: 3}},
		"a word nobody knows":      {"source-bound", msg.SourceBound, -1, 1, all},
		"a number nobody knows":    {"source-bound", msg.SourceBound, trayOff, 7, all},
		"hearsay":                  {"source-bound", msg.Claimed, trayOff, 1, all},
		"not well enough known":    {"process-bound", msg.SourceBound, trayOff, 1, all},
		"no demand in the policy":  {"", msg.Authenticated, trayOff, 1, all},
		"nobody at all":            {"source-bound", msg.StrengthUnknown, trayOff, 1, all},
		"by the process, as asked": {"process-bound", msg.ProcessBound, trayOff, 1, geofence.Carried{Known: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := factRig(t, factParams(t, c.identity), nil)
			if got := r.inputs().Carried; got != all {
				t.Errorf("before anybody spoke: %+v", got)
			}
			r.say(srcTray, c.tray, c.strength)
			if got := r.inputs().Carried; got != all {
				t.Errorf("before both spoke: %+v", got)
			}
			r.say(srcCart, c.cart, c.strength)
			if got := r.inputs().Carried; got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			r.now += 2 * time.Second
			r.step()
			if got := r.inputs().Carried; got != all {
				t.Errorf("after max_age: %+v", got)
			}
		})
	}
}

// TestHearsayOnlyTightens: who is not known well enough can make a fact unknown, and shut a door; he is heard until who may
// speaks again. Agreement of his changes nothing, and keeps nothing alive.
func TestHearsayOnlyTightens(t *testing.T) {
	r := factRig(t, factParams(t, "source-bound"), map[int]int{srcTray: trayOff, srcCart: 1, srcTask: delivery, srcDoor: doorOpen})
	if in := r.inputs(); !in.Carried.Known || !in.Task.Known || r.doorState() != "GRANTED by door, GRANTED by task" {
		t.Fatalf("%+v, %s", in.Carried, r.doorState())
	}
	r.say(srcTray, trayOff, msg.Claimed)
	r.say(srcTask, delivery, msg.Claimed)
	if in := r.inputs(); !in.Carried.Known || !in.Task.Known {
		t.Errorf("agreement: %+v %+v", in.Carried, in.Task)
	}
	r.now += time.Second
	r.say(srcTray, trayOn, msg.Claimed)
	r.say(srcTask, cleaning, msg.Claimed)
	r.say(srcDoor, shut, msg.Claimed)
	if in := r.inputs(); in.Carried.Known || in.Task.Known || r.doorState() != "REVOKED by badge+door+task" {
		t.Errorf("contradicted: %+v %+v %s", in.Carried, in.Task, r.doorState())
	}
	r.say(srcDoor, doorOpen, msg.Claimed)
	if got := r.doorState(); got != "REVOKED by badge+door+task" {
		t.Errorf("opened by hearsay: %s", got)
	}
	r.tell(map[int]int{srcTray: trayOff, srcTask: delivery, srcDoor: doorOpen}, msg.SourceBound)
	if in := r.inputs(); !in.Carried.Known || !in.Task.Known || r.doorState() != "GRANTED by door, GRANTED by task" {
		t.Errorf("said again by who may: %+v %+v %s", in.Carried, in.Task, r.doorState())
	}
}

// TestHearsayOfAShutDoorGivesNoRights: a robot in a door that nothing has opened is held there, whoever says that it is shut.
func TestHearsayOfAShutDoorGivesNoRights(t *testing.T) {
	for name, c := range map[string]struct {
		said map[int]int
		want bool
	}{
		"never opened":   {nil, false},
		"opened once":    {map[int]int{srcDoor: doorOpen}, true},
		"badge shown":    {map[int]int{srcBadge: 0}, true},
		"task opens":     {map[int]int{srcTask: delivery}, true},
		"another's task": {map[int]int{srcTask: cleaning}, false},
	} {
		r := factRig(t, factParams(t, "source-bound"), c.said)
		zone, _ := r.params.Set.ZoneIndex("door")
		r.say(srcDoor, shut, msg.Claimed)
		in, rights, shuts := r.inputs(), false, false
		for _, l := range in.Leases {
			if l.State == geofence.Revoked && l.Zone == zone {
				shuts, rights = true, l.MaxSpeedMPS > 0
			}
		}
		if !shuts || rights != c.want {
			t.Errorf("%s: shut %t, rights of being inside %t, want %t", name, shuts, rights, c.want)
		}
	}
}

// TestDoorFacts: what opens and what closes a door, beside a signed lease.
func TestDoorFacts(t *testing.T) {
	p := factParams(t, "source-bound")
	r := factRig(t, p, nil)
	zone, _ := p.Set.ZoneIndex("door")
	check := func(when, want string) {
		t.Helper()
		if got := r.doorState(); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	check("nobody has spoken", "")
	r.say(srcBadge, 1, msg.SourceBound)
	check("no badge was ever shown", "")
	r.say(srcBadge, 0, msg.SourceBound)
	check("a badge", "GRANTED by badge")
	r.now += 3 * time.Second
	r.step()
	check("the badge is over", "EXPIRED by badge")
	r.say(srcTask, delivery, msg.SourceBound)
	check("a task that opens", "GRANTED by task")
	r.say(srcTask, cleaning, msg.SourceBound)
	check("another task", "EXPIRED by badge")
	r.say(srcDoor, shut, msg.SourceBound)
	check("the door is shut", "REVOKED by badge+door+task")
	r.apply(Event{Kind: EventOrder, Order: Order{
		Kind: OrderLease, Zone: zone, Expires: r.now + time.Minute, Lease: LeaseOrder{State: geofence.Granted, MaxSpeedMPS: 0.3, Facts: geofence.FactTask},
	}})
	check("a signed lease for a shut door", "GRANTED by task, REVOKED by badge+door+task")
	r.say(srcDoor, doorOpen, msg.SourceBound)
	check("and open", "GRANTED by door, GRANTED by task")
	r.now += 3 * time.Second
	r.step()
	check("and silent", "GRANTED by task, REVOKED by badge+door+task")
	in := r.inputs()
	for _, l := range in.Leases {
		if l.State == geofence.Revoked && l.Until >= r.now {
			t.Errorf("revoked in the future: %+v at %v", l, r.now)
		}
	}
}

// TestClosedSince: however often somebody says so, a door counts as closed since it was last open; within is counted from then.
func TestClosedSince(t *testing.T) {
	r := factRig(t, factParams(t, "source-bound"), map[int]int{srcDoor: doorOpen})
	since := func() time.Duration {
		in := r.inputs()
		for _, l := range in.Leases {
			if l.State == geofence.Revoked {
				return l.Until
			}
		}
		return -1
	}
	r.now += time.Second
	r.say(srcDoor, shut, msg.SourceBound)
	closed := since()
	if closed != r.now {
		t.Errorf("closed at %v, now %v", closed, r.now)
	}
	for _, value := range []int{shut, -1, doorOpen, shut, -1} {
		r.now += time.Second
		r.say(srcDoor, value, msg.Claimed)
		if got := since(); got != closed {
			t.Errorf("after value %d by hearsay: closed since %v, want %v", value, got, closed)
		}
	}
	r.say(srcDoor, doorOpen, msg.SourceBound)
	r.now += 10 * time.Second // silent after 2 s
	r.say(srcDoor, shut, msg.SourceBound)
	if got := since(); got != r.now-8*time.Second {
		t.Errorf("closed since %v, the door was last known to be open at %v", got, r.now-8*time.Second)
	}
}

// TestZonesByTaskAndOperator drives into a zone that is closed but for deliveries of a ward: with both facts the robot
// passes, without one of them it stops before it. It is warned before.
func TestZonesByTaskAndOperator(t *testing.T) {
	for name, c := range map[string]struct {
		task, desk int
		passes     bool
	}{
		"a delivery of the ward":    {delivery, 0, true},
		"cleaning":                  {cleaning, 0, false},
		"no task":                   {noTask, 0, false},
		"a word that nobody knows":  {-1, 0, false},
		"a delivery of nobody's":    {delivery, 1, false},
		"a desk that nobody knows":  {delivery, 9, false},
		"nobody says who wants it ": {delivery, -2, false},
	} {
		t.Run(name, func(t *testing.T) {
			said := map[int]int{srcTray: trayOff, srcCart: 1, srcTask: c.task, srcDesk: c.desk}
			if c.desk == -2 {
				delete(said, srcDesk)
			}
			r := factRig(t, factParams(t, "source-bound"), said)
			for limit := 0; !r.open() && limit < 60; limit++ {
				r.tell(said, msg.SourceBound)
				r.run(200 * time.Millisecond)
			}
			r.drive = func() (float64, float64) { return 0.5, 0 }
			warned := false
			for range 150 {
				r.tell(said, msg.SourceBound)
				r.run(200 * time.Millisecond)
				warned = warned || r.active(interlock.ZoneWarn)
			}
			if got := r.plant.x > 15; got != c.passes {
				t.Errorf("at x = %.2f m; expected it to pass: %t; %s", r.plant.x, c.passes, r.state())
			}
			if c.task != delivery && !warned {
				t.Error("not warned")
			}
		})
	}
}

// TestALoadIsTakenUpInTheCorridor: a robot that takes up a load beside a zone is in it, and the cause says so.
func TestALoadIsTakenUpInTheCorridor(t *testing.T) {
	p := factParams(t, "source-bound", `
  - {zone_id: shelf, zone_type: BLOCKED, floor: ground, vertices: [[10.95, 11], [11.5, 11], [11.5, 13], [10.95, 13]], reason: a test}
`)
	r := newRig(t, p, Start{})
	r.plant.x, r.plant.y = 10.2, 12 // 0.3 m before it without the tray
	for range 30 {
		if r.latched(interlock.ZoneInside) {
			t.Fatalf("latched for a load that nobody has spoken of yet: %s", r.state())
		}
		r.run(200 * time.Millisecond)
	}
	if r.open() {
		t.Errorf("open before anybody has said what it carries: %s", r.state())
	}
	for range 40 {
		r.tell(map[int]int{srcTray: trayOff, srcCart: 1}, msg.SourceBound)
		r.run(200 * time.Millisecond)
	}
	if r.core.verdict.Place == geofence.Inside || len(r.core.status().Loads) != 0 || !r.open() {
		t.Fatalf("without a load: %s", r.state())
	}
	r.tell(map[int]int{srcTray: trayOn, srcCart: 1}, msg.SourceBound)
	r.run(100 * time.Millisecond)
	cause := interlock.CauseNone
	for i := range r.core.decision.N {
		if a := &r.core.decision.Active[i]; a.Trigger == interlock.ZoneInside {
			cause = a.Cause
		}
	}
	if cause != interlock.CauseLoadTaken || !slices.Equal(r.core.status().Loads, []string{"tray"}) {
		t.Errorf("cause %v, loads %v: %s", cause, r.core.status().Loads, r.state())
	}
}

// TestANewPolicyWeighsFactsAnew: what an older policy took for good enough, one that demands more does not.
func TestANewPolicyWeighsFactsAnew(t *testing.T) {
	r := factRig(t, factParams(t, "source-bound"), map[int]int{srcTray: trayOff, srcCart: 1, srcTask: delivery, srcDoor: doorOpen})
	if err := r.core.Load(factParams(t, "process-bound")); err != nil {
		t.Fatal(err)
	}
	if in := r.inputs(); in.Carried.Known || in.Task.Known || strings.Contains(r.doorState(), "GRANTED") {
		t.Errorf("%+v %+v %s", in.Carried, in.Task, r.doorState())
	}
	// The off run: a policy that demands no more believes what it was told.
	r = factRig(t, factParams(t, "source-bound"), map[int]int{srcTray: trayOff, srcCart: 1, srcTask: delivery})
	if err := r.core.Load(factParams(t, "source-bound")); err != nil {
		t.Fatal(err)
	}
	if in := r.inputs(); !in.Carried.Known || !in.Task.Known {
		t.Errorf("off: %+v %+v", in.Carried, in.Task)
	}
}

// TestSilenceNeverLoosens: whatever was said by whom, forgetting it all leaves the geofence nothing milder to go by: no more
// known, no lease more, and a door that was shut stays so until who may opens it.
func TestSilenceNeverLoosens(t *testing.T) {
	p := factParams(t, "source-bound")
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, p, Start{})
		for range rapid.IntRange(1, 12).Draw(rt, "words") {
			r.now += time.Duration(rapid.IntRange(1, 1500).Draw(rt, "ms")) * time.Millisecond
			r.say(rapid.IntRange(0, 5).Draw(rt, "source"), rapid.IntRange(-1, 2).Draw(rt, "value"), msg.Strength(rapid.IntRange(0, 3).Draw(rt, "strength"))) //nolint:gosec // small
		}
		before := r.inputs()
		r.now += time.Duration(rapid.IntRange(0, 5000).Draw(rt, "silence")) * time.Millisecond
		r.apply(Event{Kind: EventEnd}) // anything that is no fact
		after := r.inputs()
		if after.Carried.Known && !before.Carried.Known || after.Task.Known && !before.Task.Known || after.Operator.Known && !before.Operator.Known {
			rt.Fatalf("known by silence: %+v, before %+v", after, before)
		}
		granted := func(in *geofence.Inputs) (grants, vetoes int) {
			for _, l := range in.Leases {
				if l.State == geofence.Granted {
					grants++
				}
				if l.State == geofence.Revoked {
					vetoes++
				}
			}
			return grants, vetoes
		}
		g0, v0 := granted(&before)
		g1, v1 := granted(&after)
		if g1 > g0 || v1 < v0 {
			rt.Fatalf("%d grants and %d vetoes became %d and %d", g0, v0, g1, v1)
		}
	})
}
