package guard

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// Numbers of the test's gates.
const (
	armGate = iota
	goalGate
	rawGate
	shadowGate
	lockGate
)

// gateParams are the demonstration's with gates: arms, goals, anything on the manipulators' axis, a shadow and a lock.
func gateParams(tb testing.TB) *Params {
	tb.Helper()
	p := demoParams(tb)
	joints := interlock.DemandConfig{
		Kind: interlock.DemandJoints, Axis: interlock.AxisManipulators, Channel: interlock.ChannelAutonomy, Timeout: 500 * time.Millisecond,
		MaxSkew: commandSkew, Reduced: 0.25, Reach: 100 * time.Millisecond, Slack: 0.05,
	}
	for i := range p.Joints.N {
		if p.Joints.Arms&(1<<i) != 0 {
			joints.Joints |= 1 << i
			joints.Limits[i] = interlock.JointLimit{Min: p.Joints.Min[i], Max: p.Joints.Max[i], Velocity: p.Joints.MaxVelocity[i], Effort: math.NaN()}
		}
	}
	goal := interlock.DemandConfig{Kind: interlock.DemandGoal, Axis: interlock.AxisMotion, Channel: interlock.ChannelFleet, Timeout: 500 * time.Millisecond, MaxSkew: commandSkew}
	raw := goal
	raw.Kind, raw.Axis, raw.Channel = interlock.DemandOpaque, interlock.AxisManipulators, interlock.ChannelAutonomy
	p.Gates = []GateParams{
		{Name: "arm", Mode: GateInline, Config: joints, Ends: true},
		{Name: "goal", Mode: GateInline, Config: goal},
		{Name: "raw", Mode: GateInline, Config: raw},
		{Name: "shadow", Mode: GateMonitor, Config: joints},
		{Name: "lock", Mode: GateLock, Config: joints},
	}
	return p
}

// elbow is the number of an arm's joint.
func elbow(tb testing.TB, p *Params) int {
	tb.Helper()
	for i, name := range p.JointNames {
		if name == "left_elbow_joint" {
			return i
		}
	}
	tb.Fatal("the demonstration has no left_elbow_joint")
	return 0
}

// reachTo is a trajectory of the elbow: now, then to position within d.
func (r *rig) reachTo(gate int, position float64, d time.Duration) *msg.Demand {
	j := elbow(r.tb, r.params)
	out := &msg.Trajectory{N: r.params.Joints.N, Seen: 1 << j, Points: 2}
	var lines msg.Outliner
	lines.Begin(out)
	for i, x := range []float64{0, position} {
		lines.Point(out, i, time.Duration(i)*d)
		lines.Joint(out, i, j, &msg.Knot{Position: x, HasPosition: true})
	}
	return &msg.Demand{Header: r.header(""), Channel: gate, Form: msg.FormJoints, Joints: out, Size: 9, Sum: [32]byte{7}}
}

func (r *rig) demand(d *msg.Demand) interlock.DemandReason {
	d.Stamp = 0
	r.apply(Event{Kind: EventDemand, Demand: d})
	return r.core.demands.gates[d.Channel].out.Reason
}

func TestTrajectoryPassesWholeAndIsDroppedWhole(t *testing.T) {
	r := newRig(t, gateParams(t), Start{}).ready()
	for name, c := range map[string]struct {
		edit func(d *msg.Demand)
		want interlock.DemandReason
	}{
		"sound":          {func(*msg.Demand) {}, interlock.DemandPassed},
		"past its stop":  {func(d *msg.Demand) { d.Joints = r.reachTo(0, 2.5, time.Second).Joints }, interlock.DemandPosition},
		"too fast":       {func(d *msg.Demand) { d.Joints = r.reachTo(0, 1, 10*time.Millisecond).Joints }, interlock.DemandSlope},
		"NaN":            {func(d *msg.Demand) { d.Joints.NotFinite = true }, interlock.DemandNotFinite},
		"a leg":          {func(d *msg.Demand) { d.Joints.Seen |= 1 }, interlock.DemandForeignJoint},
		"unknown name":   {func(d *msg.Demand) { d.Joints.Unknown = 1 }, interlock.DemandUnknownJoint},
		"nobody":         {func(d *msg.Demand) { d.Peer = &msg.Peer{} }, interlock.DemandUnknownPeer},
		"back in time":   {func(d *msg.Demand) { d.Joints.Monotonic = false }, interlock.DemandTimes},
		"ragged":         {func(d *msg.Demand) { d.Joints.Fault = msg.FaultLengths }, interlock.DemandMalformed},
		"far from there": {func(d *msg.Demand) { d.Joints.First[elbow(t, r.params)] = 1 }, interlock.DemandStart},
		"another form":   {func(d *msg.Demand) { d.Form = msg.FormGoal }, interlock.DemandMalformed},
	} {
		r.run(time.Second) // a fault of the command is over
		d := r.reachTo(armGate, 1, time.Second)
		c.edit(d)
		if got := r.demand(d); got != c.want || r.fx.Pass != (c.want == interlock.DemandPassed) {
			t.Errorf("%s: %s, passed %t; expected %s", name, got, r.fx.Pass, c.want)
		}
	}
}

func TestHoldEndsWhatIsUnderWay(t *testing.T) {
	r := newRig(t, gateParams(t), Start{}).ready()
	if got := r.demand(r.reachTo(armGate, 1, time.Second)); got != interlock.DemandPassed {
		t.Fatal(got)
	}
	r.run(100 * time.Millisecond)
	ended := 0
	r.each = func(_ *Event, fx *Effects) { ended += int(fx.End & 1) }
	r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
	r.run(time.Second)
	if r.core.decision.Axes.Manipulators > interlock.ManipulatorsHold {
		t.Fatalf("a stop leaves the arms free: %v", r.core.decision.Axes)
	}
	if ended != 1 {
		t.Errorf("told to stop %d times, expected once", ended)
	}
	if got := r.demand(r.reachTo(armGate, 1, time.Second)); r.fx.Pass {
		t.Errorf("a trajectory passed under %v: %s", r.core.decision.Axes, got)
	}
	s := r.core.gateStatus()
	if s[armGate].Open || s[armGate].Passed != 1 || s[armGate].Ended == 0 || len(s[armGate].Dropped) != 1 {
		t.Errorf("status %+v", s[armGate])
	}
}

func TestGoalsAreAskedOfTheGeofence(t *testing.T) {
	r := newRig(t, gateParams(t), Start{}).ready()
	goal := func(x, y float64, frame string) *msg.Demand {
		return &msg.Demand{Header: r.header(frame), Channel: goalGate, Form: msg.FormGoal, Goal: msg.Goal{Position: msg.Vec3{X: x, Y: y}, Orientation: msg.Quat{W: 1}}}
	}
	navigate := func(x, y float64, unlisted bool) *msg.Demand {
		d := goal(x, y, "map")
		d.Form, d.Goal.Unlisted = msg.FormNavigate, unlisted
		return d
	}
	for name, c := range map[string]struct {
		d    *msg.Demand
		want interlock.DemandReason
	}{
		"by an action":           {navigate(12, 12, false), interlock.DemandPassed},
		"by an action, outside":  {navigate(500, 500, false), interlock.DemandForbidden},
		"by a tree not listed":   {navigate(12, 12, true), interlock.DemandUnlisted},
		"by a tree, NaN as well": {navigate(math.NaN(), 12, true), interlock.DemandNotFinite},
		"where it stands":        {goal(12, 12, "map"), interlock.DemandPassed},
		"far outside":            {goal(500, 500, "map"), interlock.DemandForbidden},
		"another frame":          {goal(12, 12, "odom"), interlock.DemandFrame},
		"NaN":                    {goal(math.NaN(), 12, "map"), interlock.DemandNotFinite},
		"off every map":          {goal(1e30, 12, "map"), interlock.DemandUnjudged},
		"no rotation":            {func() *msg.Demand { d := goal(12, 12, "map"); d.Goal.Orientation = msg.Quat{}; return d }(), interlock.DemandUnjudged},
	} {
		r.run(time.Second)
		if got := r.demand(c.d); got != c.want || r.fx.Pass != (c.want == interlock.DemandPassed) {
			t.Errorf("%s: %s, passed %t; expected %s", name, got, r.fx.Pass, c.want)
		}
		var store EventStore
		ev := Event{Kind: EventDemand, Boot: r.now, Demand: c.d}
		if back, err := store.Decode(AppendEvent(nil, &ev)); err != nil || back.Demand.Form != c.d.Form || back.Demand.Goal.Unlisted != c.d.Goal.Unlisted {
			t.Errorf("%s: from its record %+v, %v", name, back, err)
		}
	}
	// A goal in a blocked zone names the zone; one beside it, where only the contour would be in, does so too.
	for zone, at := range map[string][2]float64{"pharmacy": {4, 19}, "ground-stairs": {3.1, 12}} {
		r.run(time.Second)
		r.demand(goal(at[0], at[1], "map"))
		if s := r.core.gateStatus()[goalGate]; r.fx.Pass || s.Zone != zone || s.Last != "goal in a forbidden zone" {
			t.Errorf("%v: passed %t, %+v; expected to be refused for %s", at, r.fx.Pass, s, zone)
		}
	}
}

func TestShadowPassesNothingAndSaysWhatItWouldHaveDone(t *testing.T) {
	r := newRig(t, gateParams(t), Start{}).ready()
	for position, want := range map[float64]string{1: "gate shadow (monitor): would have passed it", 2.5: "gate shadow (monitor): would have dropped it, position beyond its limit, joint "} {
		r.run(time.Second)
		r.demand(r.reachTo(shadowGate, position, time.Second))
		if r.fx.Pass || r.fx.Judged != 1<<shadowGate {
			t.Fatalf("passed %t, judged %b", r.fx.Pass, r.fx.Judged)
		}
		text, err := DescribeJudgement(r.core.AppendJudgement(nil, shadowGate))
		if err != nil || !strings.HasPrefix(text, want) {
			t.Errorf("%q, %v; expected %q", text, err, want)
		}
	}
	if r.active(interlock.CommandInvalid) {
		t.Error("what a shadow sees holds the robot")
	}
}

func TestGateLockFollowsTheAxis(t *testing.T) {
	r := newRig(t, gateParams(t), Start{})
	locked := map[bool]int{}
	r.each = func(_ *Event, fx *Effects) {
		if fx.SendGateLock&(1<<lockGate) != 0 {
			locked[fx.GatesLocked&(1<<lockGate) != 0]++
		}
	}
	r.run(time.Second)
	if locked[true] < 9 || locked[false] != 0 {
		t.Fatalf("before the start is over: %v", locked)
	}
	r.ready()
	clear(locked)
	r.run(time.Second)
	if locked[false] < 9 || locked[true] != 0 {
		t.Errorf("free: %v", locked)
	}
}

// TestGatesReplay applies the events of a day with demands again, from the middle, out of their records.
func TestGatesReplay(t *testing.T) {
	p := gateParams(t)
	r := newRig(t, p, Start{}).ready()
	var records [][]byte
	var digests []uint64
	r.each = func(ev *Event, fx *Effects) {
		records = append(records, AppendEvent(nil, ev))
		digests = append(digests, fx.Digest)
	}
	state := r.core.AppendState(nil)
	for i := range 40 {
		r.run(50 * time.Millisecond)
		d := r.reachTo([]int{armGate, shadowGate, lockGate}[i%3], float64(i%4), time.Second)
		d.Sum[0] = byte(i)
		r.demand(d)
		r.demand(&msg.Demand{Header: r.header("map"), Channel: goalGate, Form: msg.FormGoal, Goal: msg.Goal{Position: msg.Vec3{X: 12, Y: float64(i)}, Orientation: msg.Quat{W: 1}}})
		r.demand(&msg.Demand{Header: r.header(""), Channel: rawGate, Form: msg.FormOpaque, Size: i})
	}
	replay := func(edit func(i int, b []byte) []byte) int {
		c, err := NewCore(p, Start{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.RestoreState(state); err != nil {
			t.Fatal(err)
		}
		var store EventStore
		var fx Effects
		for i, b := range records {
			ev, err := store.Decode(edit(i, b))
			if err != nil {
				t.Fatal(err)
			}
			if c.Apply(ev, &fx); fx.Digest != digests[i] {
				return i
			}
		}
		return -1
	}
	if at := replay(func(_ int, b []byte) []byte { return b }); at >= 0 {
		t.Errorf("event %d has another digest", at)
	}
	// Off: another message of the same outline shows.
	off := replay(func(_ int, b []byte) []byte {
		if EventKind(b[0]) != EventDemand {
			return b
		}
		return []byte(strings.Replace(string(b), "\x09\x00\x00\x00\x01", "\x09\x00\x00\x00\x02", 1))
	})
	if off < 0 {
		t.Error("a demand with another digest went unnoticed")
	}
}

func TestGatesOfAMapping(t *testing.T) {
	p := &config.Profile{Bus: config.BusROS1, Joints: &config.JointSet{LimitedShare: 0.5, List: []config.Joint{
		{Name: "leg", Group: "leg", MaxVelocity: 1}, {Name: "arm", Group: "arm", MaxVelocity: 2}, {Name: "hand", Group: "hand", MaxVelocity: 3},
	}}}
	cfg := &config.Config{Profile: p, Topics: &config.Topics{Gates: []config.Gate{
		{Name: "a", Mode: "inline", Reads: "joints", Kind: "autonomy", Type: config.TypeTrajectory, Deadline: time.Second},
		{Name: "b", Mode: "monitor", Reads: "raw", Kind: "fleet", Axis: "remote"},
	}}}
	got := gates(cfg)
	if got[0].Config.Joints != 0b110 || !got[0].Ends || got[0].Config.Limits[2].Velocity != 3 || !math.IsNaN(got[0].Config.Limits[2].Effort) || got[0].Config.Reduced != 0.5 {
		t.Errorf("joints: %+v", got[0])
	}
	if got[1].Mode != GateMonitor || got[1].Ends || got[1].Config.Axis != interlock.AxisRemote || got[1].Config.Channel != interlock.ChannelFleet || got[1].Subject != 2 {
		t.Errorf("raw: %+v", got[1])
	}
}

// TestAGoalUnderTwoPoliciesIsHeldToBoth: while the zones before wait for standstill, the task's number in the new policy says
// nothing in the old one, where another task may have it.
func TestAGoalUnderTwoPoliciesIsHeldToBoth(t *testing.T) {
	gates := []GateParams{{Name: "goal", Mode: GateInline, Config: interlock.DemandConfig{
		Kind: interlock.DemandGoal, Axis: interlock.AxisMotion, Channel: interlock.ChannelFleet, Timeout: 500 * time.Millisecond, MaxSkew: commandSkew,
	}}}
	before, next := factParams(t, "source-bound"), factParams(t, "source-bound")
	before.Gates, next.Gates = gates, gates
	// As if the new policy listed its tasks in another order and let cleaners into the store.
	next.Facts[srcTask].Values[cleaning].Index = next.Facts[srcTask].Values[delivery].Index
	r := factRig(t, before, map[int]int{srcTray: trayOff, srcCart: 1, srcTask: cleaning, srcDesk: 0})
	ask := func() interlock.DemandReason {
		t.Helper()
		return r.demand(&msg.Demand{Header: r.header("map"), Form: msg.FormGoal, Goal: msg.Goal{Position: msg.Vec3{X: 16.5, Y: 12}, Orientation: msg.Quat{W: 1}}})
	}
	r.ready()
	keep := func() {
		r.tell(map[int]int{srcTray: trayOff, srcCart: 1, srcTask: cleaning, srcDesk: 0}, msg.SourceBound)
	}
	if keep(); ask() != interlock.DemandForbidden {
		t.Fatalf("the zones before: %s", r.core.gateStatus()[0].Last)
	}
	if err := r.core.Load(next); err != nil {
		t.Fatal(err)
	}
	if r.params = next; r.core.pending == nil {
		t.Fatal("nothing waits for standstill")
	}
	pending := r.core.pending
	if keep(); r.core.pending == nil {
		r.core.pending = pending // it stands; as if it moved
	}
	if got := ask(); got == interlock.DemandPassed {
		t.Error("passed, although the zones before forbid it to any task but delivery")
	}
	r.core.pending = nil
	if got := ask(); got != interlock.DemandPassed {
		t.Errorf("by the new zones alone: %s, expected it to pass", got)
	}
}

// TestAPointAtTimeZeroHasATime: a trajectory of one point that is due at once asks for a jump, however far it goes. A message
// without times does not.
func TestAPointAtTimeZeroHasATime(t *testing.T) {
	for timed, want := range map[bool]interlock.DemandReason{true: interlock.DemandStart, false: interlock.DemandPassed} {
		p := gateParams(t)
		p.Gates[armGate].Timed = timed
		r := newRig(t, p, Start{}).ready()
		d := r.reachTo(armGate, 0, time.Second)
		limits := &p.Gates[armGate].Config
		*d.Joints = msg.Trajectory{N: d.Joints.N, Seen: d.Joints.Seen, Points: 1}
		var lines msg.Outliner
		lines.Begin(d.Joints)
		lines.Point(d.Joints, 0, 0)
		j := elbow(t, p)
		// Farther than the slack, but within what the joint can do in the time that a position without one is given.
		far := limits.Slack + 0.5*limits.Limits[j].Velocity*limits.Reach.Seconds()
		lines.Joint(d.Joints, 0, j, &msg.Knot{Position: far, HasPosition: true})
		if got := r.demand(d); got != want {
			t.Errorf("timed %v: %s, expected %s", timed, got, want)
		}
	}
}

// TestJointsStandByVelocityOrByWhereTheyWere: what confirms that something was ended.
func TestJointsStandByVelocityOrByWhereTheyWere(t *testing.T) {
	p := gateParams(t)
	r := newRig(t, p, Start{}).ready()
	j := elbow(t, p)
	for name, c := range map[string]struct {
		velocity bool
		was, is  float64
		speed    float64
		still    bool
	}{
		"it says that it stands":                  {true, 0, 0, 0, true},
		"it says that it moves":                   {true, 0, 0, 0.2, false},
		"it moves the other way":                  {true, 0, 0, -0.2, false},
		"it is where it was":                      {false, 0.1, 0.1, 0, true},
		"it is elsewhere":                         {false, 0.1, 0.15, 0, false},
		"it says that it stands and is elsewhere": {true, 0.1, 0.1001, 0, true},
	} {
		at := func(position, velocity float64) {
			m := &msg.Joints{N: p.Joints.N, Seen: 1<<p.Joints.N - 1, HasVelocity: c.velocity}
			m.Position[j], m.Velocity[j] = position, velocity
			r.now += 20 * time.Millisecond
			r.core.demands.takeMeasured(m, r.now, &p.Joints)
		}
		at(c.was, 0)
		at(c.is, c.speed)
		if got := r.core.demands.measured.Still&(1<<j) != 0; got != c.still {
			t.Errorf("%s: still %v", name, got)
		}
	}
}
