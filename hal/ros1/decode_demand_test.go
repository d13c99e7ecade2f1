package ros1

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/trajectory_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/protocommon"
	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// demandOf reads one body as a demand.
func demandOf(tb testing.TB, s bus.DemandSubscription, h func(*msg.Demand)) decoder {
	tb.Helper()
	mk, err := demandDecoderFor(&s, h)
	if err != nil {
		tb.Fatal(err)
	}
	return mk(testPeer)
}

func jointDemands(typ string) bus.DemandSubscription {
	return bus.DemandSubscription{
		Subscription: bus.Subscription{Topic: "/x", Type: typ}, Form: msg.FormJoints, Channel: 2, Joints: []string{"a", "b", "c"},
		Order: []int{2, 0}, Quantity: msg.Velocities,
	}
}

var demandHeader = std_msgs.Header{Seq: 4, Stamp: time.Unix(9, 8), FrameId: "world"}

// swing is a trajectory of b and a, with or without velocities.
func swing(velocities bool) *trajectory_msgs.JointTrajectory {
	m := &trajectory_msgs.JointTrajectory{Header: demandHeader, JointNames: []string{"b", "a"}}
	for i, x := range []float64{0, 1, 0} {
		p := trajectory_msgs.JointTrajectoryPoint{Positions: []float64{x, -x}, TimeFromStart: time.Duration(i+1) * time.Second}
		if velocities {
			p.Velocities = []float64{3, -3}
		}
		m.Points = append(m.Points, p)
	}
	return m
}

// reading is what a limit is held against, of one joint.
type reading struct{ First, Last, Lowest, Highest, Velocity, Effort, Slope float64 }

func readingOf(t *msg.Trajectory, j int) reading {
	return reading{t.First[j], t.Last[j], t.Lowest[j], t.Highest[j], t.Velocity[j], t.Effort[j], t.Slope[j]}
}

func TestTrajectoryIsOutlined(t *testing.T) {
	nan := math.NaN()
	var got *msg.Demand
	d := demandOf(t, jointDemands(bus.TypeJointTrajectory), func(m *msg.Demand) { c, o := *m, *m.Joints; c.Joints = &o; got = &c })
	body := encode(t, swing(false))
	if err := d.decode(body, 5); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Raw, body) || got.Size != len(body) || got.Channel != 2 || got.Form != msg.FormJoints || got.Peer != testPeer ||
		got.Frame != "world" || got.Stamp != 9_000_000_008 || got.Boot != 5 {
		t.Errorf("%+v", got)
	}
	o := got.Joints
	if o.N != 3 || o.Seen != 0b11 || o.Points != 3 || !o.Monotonic || o.Start != time.Second || o.Duration != 3*time.Second || o.NotFinite || o.Fault != 0 {
		t.Errorf("%+v", o)
	}
	for j, want := range map[int]reading{1: {0, 0, 0, 1, nan, nan, 1}, 0: {0, 0, -1, 0, nan, nan, 1}, 2: {nan, nan, nan, nan, nan, nan, nan}} {
		if diff := cmp.Diff(want, readingOf(o, j), nanEqual); diff != "" {
			t.Errorf("joint %d: %s", j, diff)
		}
	}
	// A swing through its points at 3 rad/s leaves the range of the points: the way counts.
	if err := d.decode(encode(t, swing(true)), 5); err != nil {
		t.Fatal(err)
	}
	if r := readingOf(got.Joints, 1); !(r.Highest > 1.2 && r.Lowest < -0.5 && r.Velocity == 3 && r.Slope >= 3) {
		t.Errorf("the way between points was not seen: %+v", r)
	}
}

// TestDemandFaults names what is whole and cannot be understood; what is not whole is refused.
func TestDemandFaults(t *testing.T) {
	var got msg.Trajectory
	seen := 0
	h := func(m *msg.Demand) { got = *m.Joints; seen++ }
	trajectory, state := demandOf(t, jointDemands(bus.TypeJointTrajectory), h), demandOf(t, jointDemands(bus.TypeJointState), h)
	array := demandOf(t, jointDemands(bus.TypeFloat64MultiArray), h)
	nan, many := math.NaN(), make([]string, msg.MaxDemandNames+1)
	edit := func(f func(m *trajectory_msgs.JointTrajectory)) *trajectory_msgs.JointTrajectory {
		m := swing(false)
		f(m)
		return m
	}
	for name, c := range map[string]struct {
		d    decoder
		m    any
		want func(o *msg.Trajectory) bool
	}{
		"a point of one": {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[1].Positions = []float64{1} }), func(o *msg.Trajectory) bool { return o.Fault == msg.FaultLengths }},
		"no positions":   {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[1].Positions = nil }), func(o *msg.Trajectory) bool { return o.Fault == msg.FaultLengths }},
		"ragged efforts": {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[1].Effort = []float64{1} }), func(o *msg.Trajectory) bool { return o.Fault == msg.FaultLengths }},
		"a name twice":   {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.JointNames[1] = "b" }), func(o *msg.Trajectory) bool { return o.Fault == msg.FaultTwice }},
		"unknown name":   {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.JointNames[1] = "z" }), func(o *msg.Trajectory) bool { return o.Fault == 0 && o.Unknown == 1 && o.Seen == 2 }},
		"many names":     {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.JointNames = many }), func(o *msg.Trajectory) bool { return o.Fault == msg.FaultCount }},
		"many points": {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) {
			m.JointNames, m.Points = nil, make([]trajectory_msgs.JointTrajectoryPoint, msg.MaxDemandPoints+1)
		}), func(o *msg.Trajectory) bool { return o.Fault == msg.FaultCount }},
		"NaN":               {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[2].Positions[1] = nan }), func(o *msg.Trajectory) bool { return o.NotFinite }},
		"NaN acceleration":  {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[2].Accelerations = []float64{0, nan} }), func(o *msg.Trajectory) bool { return o.NotFinite }},
		"NaN of a stranger": {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.JointNames[1] = "z"; m.Points[0].Positions[1] = nan }), func(o *msg.Trajectory) bool { return o.NotFinite }},
		"at one time":       {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[1].TimeFromStart = time.Second }), func(o *msg.Trajectory) bool { return !o.Monotonic && math.IsInf(o.Slope[0], 1) }},
		"before the start":  {trajectory, edit(func(m *trajectory_msgs.JointTrajectory) { m.Points[0].TimeFromStart = -time.Second }), func(o *msg.Trajectory) bool { return o.Start == -time.Second }},
		"emptied":           {trajectory, &trajectory_msgs.JointTrajectory{}, func(o *msg.Trajectory) bool { return o.Points == 0 && o.Seen == 0 && o.Fault == 0 }},
		"state": {state, &sensor_msgs.JointState{Name: []string{"c"}, Position: []float64{2}, Effort: []float64{-4}}, func(o *msg.Trajectory) bool {
			return o.Points == 1 && o.First[2] == 2 && o.Effort[2] == 4 && math.IsNaN(o.Velocity[2])
		}},
		"ragged state": {state, &sensor_msgs.JointState{Name: []string{"c"}, Position: []float64{2, 3}}, func(o *msg.Trajectory) bool { return o.Fault == msg.FaultLengths }},
		"array": {array, &std_msgs.Float64MultiArray{Data: []float64{1, -2}}, func(o *msg.Trajectory) bool {
			return o.Velocity[2] == 1 && o.Velocity[0] == 2 && o.Seen == 0b101 && math.IsNaN(o.First[0])
		}},
		"short array": {array, &std_msgs.Float64MultiArray{Data: []float64{1}}, func(o *msg.Trajectory) bool { return o.Fault == msg.FaultLengths }},
		"long array":  {array, &std_msgs.Float64MultiArray{Data: make([]float64, msg.MaxValues+1)}, func(o *msg.Trajectory) bool { return o.Fault == msg.FaultCount }},
		"offset":      {array, &std_msgs.Float64MultiArray{Layout: std_msgs.MultiArrayLayout{DataOffset: 1}, Data: []float64{1, 2}}, func(o *msg.Trajectory) bool { return o.Fault == msg.FaultLengths }},
	} {
		seen = 0
		body := encode(t, c.m)
		if err := c.d.decode(body, 1); err != nil || seen != 1 || !c.want(&got) {
			t.Errorf("%s: %v, seen %d, %+v", name, err, seen, got)
		}
		if err := c.d.decode(body[:len(body)-1], 1); err == nil || seen != 1 {
			t.Errorf("%s, cut: %v, seen %d", name, err, seen)
		}
		if err := c.d.decode(append(bytes.Clone(body), 0), 1); err == nil || seen != 1 {
			t.Errorf("%s, and a byte: %v, seen %d", name, err, seen)
		}
	}
}

func TestGoalsAreRead(t *testing.T) {
	pose := geometry_msgs.PoseStamped{Header: demandHeader, Pose: geometry_msgs.Pose{Position: geometry_msgs.Point{X: 1, Y: 2, Z: 3}, Orientation: geometry_msgs.Quaternion{W: 1}}}
	action := &moveBaseActionGoal{Header: std_msgs.Header{FrameId: "other", Stamp: time.Unix(1, 0)}, Goal: moveBaseGoal{TargetPose: pose}}
	action.GoalId.Id = "goal-1"
	for typ, m := range map[string]any{bus.TypePoseStamped: &pose, bus.TypeMoveBaseActionGoal: action} {
		var got msg.Demand
		d := demandOf(t, bus.DemandSubscription{Subscription: bus.Subscription{Type: typ}, Form: msg.FormGoal, Channel: 1}, func(m *msg.Demand) { got = *m })
		if err := d.decode(encode(t, m), 3); err != nil {
			t.Fatal(err)
		}
		if got.Goal.Position != (msg.Vec3{X: 1, Y: 2, Z: 3}) || got.Goal.Orientation.W != 1 || got.Frame != "world" || got.Stamp != 9_000_000_008 || got.Size == 0 {
			t.Errorf("%s: %+v", typ, got)
		}
	}
}

func TestDemandTypes(t *testing.T) {
	const sum = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		s  bus.DemandSubscription
		ok bool
	}{
		"trajectory":       {jointDemands(bus.TypeJointTrajectory), true},
		"any type":         {bus.DemandSubscription{Subscription: bus.Subscription{Type: "vendor_msgs/Arm"}, Form: msg.FormOpaque, MD5: sum}, true},
		"without md5":      {bus.DemandSubscription{Subscription: bus.Subscription{Type: "vendor_msgs/Arm"}, Form: msg.FormOpaque}, false},
		"with another md5": {bus.DemandSubscription{Subscription: bus.Subscription{Type: bus.TypeTwist}, Form: msg.FormOpaque, MD5: sum}, false},
		"goal of a twist":  {bus.DemandSubscription{Subscription: bus.Subscription{Type: bus.TypeTwist}, Form: msg.FormGoal}, false},
		"joints of a bool": {jointDemands(bus.TypeBool), false},
		"no form":          {bus.DemandSubscription{Subscription: bus.Subscription{Type: bus.TypeTwist}}, false},
	} {
		n := startNode(t, testConfig(newTestMaster(t).URI(), &events{}))
		c.s.Topic, c.s.AllowAny = "/x", true
		if _, err := n.SubscribeDemand(c.s, func(*msg.Demand) {}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDemandsAllocateNothing(t *testing.T) {
	for typ, m := range map[string]any{
		bus.TypeJointTrajectory: swing(true), bus.TypeFloat64MultiArray: &std_msgs.Float64MultiArray{Data: []float64{1, 2}},
		bus.TypeJointState: &sensor_msgs.JointState{Header: demandHeader, Name: []string{"c"}, Position: []float64{2}},
	} {
		d, body := demandOf(t, jointDemands(typ), func(*msg.Demand) {}), encode(t, m)
		if n := testing.AllocsPerRun(500, func() { _ = d.decode(body, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", typ, n)
		}
	}
	// And through the node: what passes, and the hold.
	b := newBench(t, bus.Publication{Topic: "/x", Type: bus.TypeJointTrajectory, Forward: true}, nil)
	b.join(t, "/arm")
	body, hold, seq := encode(t, swing(true)), bus.Hold{Names: []string{"a", "b"}, Positions: []float64{1, 2}, In: time.Second}, uint64(0)
	if n := testing.AllocsPerRun(500, func() {
		seq++
		_, err := b.p.PublishRaw(seq, body)
		if _, err2 := b.p.PublishHold(seq, &hold); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
	}); n != 0 {
		t.Errorf("publishing: %v allocations", n)
	}
}

// TestForwarding: what passes arrives as it was sent, a hold is what controllers understand, nothing is latched.
func TestForwarding(t *testing.T) {
	b := newBench(t, bus.Publication{Topic: "/arm/command", Type: bus.TypeJointTrajectory, Forward: true}, nil)
	s := b.join(t, "/arm")
	read := func(s *rostest.Subscriber, m any) []byte {
		body, err := s.Message()
		if err != nil {
			t.Fatal(err)
		}
		framed := append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
		if err := protocommon.MessageDecode(bytes.NewReader(framed), m); err != nil {
			t.Fatal(err)
		}
		return body
	}
	body := encode(t, swing(true))
	if _, err := b.p.PublishRaw(1, body); err != nil {
		t.Fatal(err)
	}
	if got := read(s, &trajectory_msgs.JointTrajectory{}); !bytes.Equal(got, body) {
		t.Errorf("sent %x, arrived %x", body, got)
	}
	if sent, err := b.p.PublishRaw(0, body); err != nil || !sent.Superseded {
		t.Errorf("an older one: %+v, %v", sent, err)
	}
	for _, h := range []bus.Hold{{}, {Names: []string{"a", "b"}, Positions: []float64{1, -2}, In: 1500 * time.Millisecond}} {
		if _, err := b.p.PublishHold(2, &h); err != nil {
			t.Fatal(err)
		}
		var m trajectory_msgs.JointTrajectory
		read(s, &m)
		if len(m.JointNames) != len(h.Names) || len(m.Points) != min(1, len(h.Names)) {
			t.Fatalf("%+v", m)
		}
		if len(m.Points) == 1 && (m.Points[0].Positions[1] != -2 || m.Points[0].TimeFromStart != h.In || len(m.Points[0].Velocities) != 0) {
			t.Errorf("%+v", m.Points[0])
		}
	}
	z := newBench(t, bus.Publication{Topic: "/v", Type: bus.TypeFloat64MultiArray, Forward: true}, nil)
	s = z.join(t, "/arm")
	if _, err := z.p.PublishHold(1, &bus.Hold{Zeros: 3}); err != nil {
		t.Fatal(err)
	}
	var m std_msgs.Float64MultiArray
	if read(s, &m); len(m.Data) != 3 || m.Data[2] != 0 {
		t.Errorf("%+v", m)
	}
	plain := newBench(t, bus.Publication{Topic: "/t", Type: bus.TypeTwist}, nil)
	if _, err := plain.p.PublishRaw(1, twistBody(1)); err == nil {
		t.Error("raw bytes on a topic of our own messages")
	}
}

// TestOutlineBoundsTheWay holds outlines to the interpolation that controllers use, evaluated finely.
func TestOutlineBoundsTheWay(t *testing.T) {
	for name, k := range map[string][2]msg.Knot{
		"line":         {{Position: 0, HasPosition: true}, {Position: 2, HasPosition: true}},
		"cubic":        {{Position: 0, Velocity: 5, HasPosition: true, HasVelocity: true}, {Position: 0.2, Velocity: 4, HasPosition: true, HasVelocity: true}},
		"quintic":      {{Position: 0, Velocity: 2, Acceleration: -30, HasPosition: true, HasVelocity: true, HasAcceleration: true}, {Position: 1, Velocity: -1, Acceleration: 20, HasPosition: true, HasVelocity: true, HasAcceleration: true}},
		"rest to rest": {{Position: 0, HasPosition: true, HasVelocity: true}, {Position: 1, HasPosition: true, HasVelocity: true}},
	} {
		var o msg.Outliner
		m := &msg.Trajectory{N: 1}
		o.Begin(m)
		const h = 0.5
		for i := range k {
			o.Point(m, i, time.Duration(i)*500*time.Millisecond)
			o.Joint(m, i, 0, &k[i])
		}
		low, high, speed := math.Inf(1), math.Inf(-1), 0.0
		const steps = 20000
		last := k[0].Position
		for i := 1; i <= steps; i++ {
			x := interpolate(&k[0], &k[1], h, float64(i)/steps)
			low, high, speed = min(low, x), max(high, x), max(speed, math.Abs(x-last)/h*steps)
			last = x
		}
		if m.Lowest[0] > low+1e-9 || m.Highest[0] < high-1e-9 || m.Slope[0] < speed-1e-6 {
			t.Errorf("%s: outline [%v, %v], %v; the way [%v, %v], %v", name, m.Lowest[0], m.Highest[0], m.Slope[0], low, high, speed)
		}
		if name != "quintic" && m.Slope[0] > 1.1*speed {
			t.Errorf("%s: a speed of %v counts as %v", name, speed, m.Slope[0])
		}
	}
}

// TestOutlineBoundsTheArrival: a first point that is passed with a velocity is reached from beyond it, for which an end stop
// must leave room.
func TestOutlineBoundsTheArrival(t *testing.T) {
	for name, k := range map[string]msg.Knot{
		"cubic":   {Position: 0.99, Velocity: -1, HasPosition: true, HasVelocity: true},
		"quintic": {Position: 0.99, Velocity: -1, Acceleration: -0.5, HasPosition: true, HasVelocity: true, HasAcceleration: true},
		"bent":    {Position: 0.99, Acceleration: 1, HasPosition: true, HasVelocity: true, HasAcceleration: true},
	} {
		var o msg.Outliner
		m := &msg.Trajectory{N: 1}
		const h = 3.0
		o.Begin(m)
		o.Point(m, 0, 3*time.Second)
		o.Joint(m, 0, 0, &k)
		at := msg.Knot{Position: 0.99, HasPosition: true, HasVelocity: true, HasAcceleration: true}
		low, high := math.Inf(1), math.Inf(-1)
		for i := range 2001 {
			for _, left := range []float64{h / 3, h / 2, h} {
				x := interpolate(&msg.Knot{Position: at.Position, HasVelocity: true, HasAcceleration: k.HasAcceleration}, &k, left, float64(i)/2000)
				low, high = min(low, x), max(high, x)
			}
		}
		if m.Lowest[0] > low+1e-9 || m.Highest[0] < high-1e-9 {
			t.Errorf("%s: outline [%v, %v]; the way [%v, %v]", name, m.Lowest[0], m.Highest[0], low, high)
		}
	}
}

// interpolate is the way between two knots at s in [0, 1] of h seconds, by the Hermite basis (not by Bézier points).
func interpolate(a, b *msg.Knot, h, s float64) float64 {
	s2, s3, s4, s5 := s*s, s*s*s, s*s*s*s, s*s*s*s*s
	switch {
	case !a.HasVelocity:
		return a.Position + s*(b.Position-a.Position)
	case !a.HasAcceleration:
		return (2*s3-3*s2+1)*a.Position + (s3-2*s2+s)*h*a.Velocity + (-2*s3+3*s2)*b.Position + (s3-s2)*h*b.Velocity
	}
	return (1-10*s3+15*s4-6*s5)*a.Position + (s-6*s3+8*s4-3*s5)*h*a.Velocity + (s2-3*s3+3*s4-s5)/2*h*h*a.Acceleration +
		(10*s3-15*s4+6*s5)*b.Position + (-4*s3+7*s4-3*s5)*h*b.Velocity + (s3-2*s4+s5)/2*h*h*b.Acceleration
}
