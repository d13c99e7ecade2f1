package cdr

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr/cdrtest"
)

func jointsPayload(names []string, pos, vel, eff []float64) []byte {
	return cdrtest.New(false).Header(1, "").Strs(names).F64s(pos).F64s(vel).F64s(eff).Bytes()
}

func trajectoryPayload(names []string, points ...[4][]float64) []byte {
	w := cdrtest.New(false).Header(1, "").Strs(names).U32(uint32(len(points)))
	for i, p := range points {
		for _, a := range p {
			w.F64s(a)
		}
		w.Time(int64(i) * 1e9)
	}
	return w.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	refuse := func(any) { t.Error("delivered") }
	three := table(t, goldenNames()[:3])
	joints := NewJoints(testPeer, three, 0, func(*msg.Joints) { refuse(nil) })
	tf := NewTransforms(testPeer, false, nil, 2, func(*msg.Transform) { refuse(nil) })
	text := NewText(testPeer, func(*msg.Text) { refuse(nil) })
	flag := NewBool(testPeer, func(*msg.Bool) { refuse(nil) })
	twist := must(NewCommand(bus.TypeTwist, testPeer, 0, func(*msg.Command) { refuse(nil) }))
	values := NewValues(testPeer, 0, func(*msg.Values) { refuse(nil) })
	odom := must(NewPose(bus.TypeOdometry, testPeer, func(*msg.Pose) { refuse(nil) }))
	one := []float64{1}
	for _, c := range []struct {
		name    string
		d       Decoder
		payload []byte
		want    error
	}{
		{"nothing", flag, nil, ErrShort},
		{"half an encapsulation", flag, []byte{0, 1}, ErrShort},
		{"XCDR2", flag, []byte{0, 7, 0, 0, 1, 0, 0, 0}, ErrEncapsulation},
		{"parameter list", flag, []byte{0, 3, 0, 0, 1, 0, 0, 0}, ErrEncapsulation},
		{"vendor's own encapsulation", flag, []byte{0x80, 1, 0, 0, 1, 0, 0, 0}, ErrEncapsulation},
		{"bool of two", flag, []byte{0, 1, 0, 0, 2}, ErrFlag},
		{"empty bool", flag, []byte{0, 1, 0, 0}, ErrShort},
		{"bool and a byte", flag, []byte{0, 1, 0, 0, 1, 0}, ErrTrailing},
		{"bool and a word", flag, []byte{0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, ErrTrailing},
		{"string longer than its message", text, []byte{0, 1, 0, 0, 5, 0, 0, 0, 'a', 0, 0, 0}, ErrShort},
		{"string of four gigabytes", text, []byte{0, 1, 0, 0, 255, 255, 255, 255, 'a', 0, 0, 0}, ErrShort},
		{"string without its zero", text, []byte{0, 1, 0, 0, 1, 0, 0, 0, 'a', 0, 0, 0}, ErrString},
		{"text above the cap", text, cdrtest.New(false).Str(strings.Repeat("x", msg.MaxText+1)).Bytes(), ErrText},
		{"twist with a byte too many", twist, append(AppendTwist(nil, &msg.Twist{}), 0), ErrTrailing},
		{"odometry that is a pose", odom, payloadOf(t, "PoseWithCovarianceStamped", "le"), ErrShort},
		{"joint named twice", joints, jointsPayload([]string{"j0", "j0"}, []float64{1, 2}, nil, nil), ErrTwice},
		{"fewer positions than names", joints, jointsPayload([]string{"j0", "j1_"}, one, nil, nil), ErrLengths},
		{"positions without names", joints, jointsPayload(nil, one, nil, nil), ErrLengths},
		{"more names than the cap", joints, jointsPayload(make([]string, MaxJointNames+1), nil, nil, nil), ErrCount},
		{"more names than the message holds", joints, cdrtest.New(false).Header(1, "").U32(1<<30).U32(0, 0, 0).Bytes(), ErrCount},
		{"more positions than the message holds", joints, cdrtest.New(false).Header(1, "").U32(0, 1<<31, 0, 0).Bytes(), ErrCount},
		{"more transforms than the cap", tf, payloadOf(t, "TFMessage", "le"), ErrCount},
		{"more transforms than the message holds", tf, cdrtest.New(false).U32(2, 0, 0, 0, 0).Bytes(), ErrCount},
		{"more values than the cap", values, cdrtest.New(false).U32(0, 0).F64s(make([]float64, msg.MaxValues+1)).Bytes(), ErrCount},
		{"offset behind the values", values, cdrtest.New(false).U32(0, 2).F64s(one).Bytes(), ErrCount},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.d.Decode(c.payload, 1, 1); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestTimesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name string
		nsec uint32
		want error
	}{{"last nanosecond", 999999999, nil}, {"a second's worth", 1000000000, ErrTime}, {"all ones", math.MaxUint32, ErrTime}} {
		t.Run(c.name, func(t *testing.T) {
			twist := cdrtest.New(true).U32(5, c.nsec).Str("").F64(make([]float64, 6)...).Bytes()
			d := must(NewCommand(TypeTwistStamped, testPeer, 0, func(m *msg.Command) {
				if m.Stamp != 5*1e9+int64(c.nsec) {
					t.Errorf("stamp %d", m.Stamp)
				}
			}))
			if err := d.Decode(twist, 1, 1); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestConstructorsRefuse(t *testing.T) {
	if _, err := NewPose(bus.TypeTwist, testPeer, nil); err == nil {
		t.Error("a twist is a pose")
	}
	if _, err := NewCommand(bus.TypeOdometry, testPeer, 0, nil); err == nil {
		t.Error("an odometry is a command")
	}
	for _, names := range [][]string{nil, {""}, {"a", "a"}, make([]string, msg.MaxJoints+1)} {
		if _, err := NewJointTable(names); err == nil {
			t.Errorf("%d names %q are taken", len(names), names)
		}
	}
}

// TestPaddingIsTakenWhereTheTransportPutsIt: up to a word, announced or because a submessage ends on one.
func TestPaddingIsTakenWhereTheTransportPutsIt(t *testing.T) {
	d := NewBool(testPeer, func(*msg.Bool) {})
	for _, c := range []struct {
		name    string
		payload []byte
		want    error
	}{
		{"none", []byte{0, 1, 0, 0, 1}, nil},
		{"to the word", []byte{0, 1, 0, 0, 1, 9, 9, 9}, nil},
		{"to the word, announced", []byte{0, 1, 0, 3, 1, 0, 0, 0}, nil},
		{"announced but not there", []byte{0, 1, 0, 3, 1}, nil},
		{"announced, not to the word", []byte{0, 1, 0, 1, 1, 0}, nil},
		{"less than announced", []byte{0, 1, 0, 2, 1, 0}, ErrTrailing},
		{"other options", []byte{0, 1, 0xff, 0xfc, 1}, nil},
	} {
		if err := d.Decode(c.payload, 1, 1); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestEmptyStringsWithoutTheirZero(t *testing.T) {
	got := []byte("x")
	d := NewText(testPeer, func(m *msg.Text) { got = m.Data })
	if err := d.Decode([]byte{0, 1, 0, 0, 0, 0, 0, 0}, 1, 1); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTransformsAreFilteredByEdges(t *testing.T) {
	w := cdrtest.New(false).U32(3)
	for _, e := range [][2]string{{"/map", "base"}, {"map", "other"}, {"map", "/base"}} {
		w.Header(1, e[0]).Str(e[1]).F64(make([]float64, 7)...)
	}
	var got []string
	d := NewTransforms(testPeer, false, []bus.Edge{{Parent: "/map", Child: "base"}}, 0, func(m *msg.Transform) {
		got = append(got, m.Frame+" "+m.Child)
	})
	if err := d.Decode(w.Bytes(), 1, 1); err != nil {
		t.Fatal(err)
	}
	if want := []string{"map base", "map base"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLongFramesArriveAsQuestionMark(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{{MaxFrame, strings.Repeat("f", MaxFrame)}, {MaxFrame + 1, "?"}} {
		frame := strings.Repeat("f", c.n)
		var got []string
		d := must(NewPose(bus.TypeOdometry, testPeer, func(m *msg.Pose) { got = append(got, m.Frame, m.Child) }))
		w := cdrtest.New(false).Header(1, frame).Str(frame).F64(make([]float64, 7+36+6+36)...)
		if err := d.Decode(w.Bytes(), 1, 1); err != nil {
			t.Fatal(err)
		}
		tf := NewTransforms(testPeer, false, nil, 0, func(m *msg.Transform) { got = append(got, m.Frame, m.Child) })
		w = cdrtest.New(false).U32(1).Header(1, frame).Str(frame).F64(make([]float64, 7)...)
		if err := tf.Decode(w.Bytes(), 1, 1); err != nil {
			t.Fatal(err)
		}
		if want := []string{c.want, c.want, c.want, c.want}; !slices.Equal(got, want) {
			t.Errorf("%d bytes: got %q", c.n, got)
		}
	}
}

// TestTrajectoriesThatHideSomething: what a limit is held against must show it.
func TestTrajectoriesThatHideSomething(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	point := func(x float64) [4][]float64 { return [4][]float64{{x}} }
	for _, c := range []struct {
		name                   string
		points                 [][4][]float64
		lowest, highest, slope float64
	}{
		{"swing between equal ends", [][4][]float64{point(1), point(9), point(1)}, 1, 9, 8},
		{"NaN in the middle", [][4][]float64{point(1), point(nan), point(1)}, 1, 1, inf}, // and NotFinite says so
		{"one point", [][4][]float64{point(1)}, 1, 1, nan},
		{"none", nil, nan, nan, nan},
		{"infinite", [][4][]float64{point(1), point(inf)}, 1, inf, inf},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewTrajectory(testPeer, table(t, []string{"j0"}), 0, 0, func(m *msg.Trajectory) {
				got := []float64{m.Lowest[0], m.Highest[0], m.Slope[0]}
				if diff := cmp.Diff([]float64{c.lowest, c.highest, c.slope}, got, nanEqual); diff != "" {
					t.Error(diff)
				}
			})
			if err := d.Decode(trajectoryPayload([]string{"j0"}, c.points...), 1, 1); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestTrajectoryFaults: what is whole and cannot be understood is handed on with its fault.
func TestTrajectoryFaults(t *testing.T) {
	one := []float64{1}
	for name, c := range map[string]struct {
		payload []byte
		want    msg.Fault
	}{
		"more points than the cap":       {trajectoryPayload(nil, [4][]float64{}, [4][]float64{}, [4][]float64{}), msg.FaultCount},
		"point without positions":        {trajectoryPayload([]string{"j0"}, [4][]float64{nil, one, nil, nil}), msg.FaultLengths},
		"point with half its velocities": {trajectoryPayload([]string{"j0", "x"}, [4][]float64{{1, 2}, one, nil, nil}), msg.FaultLengths},
		"joint twice in a trajectory":    {trajectoryPayload([]string{"j0", "j0"}), msg.FaultTwice},
		"more names than the cap":        {trajectoryPayload(make([]string, msg.MaxDemandNames+1)), msg.FaultCount},
		"none":                           {trajectoryPayload([]string{"j0"}, [4][]float64{one}), msg.FaultNone},
	} {
		seen := 0
		d := NewTrajectory(testPeer, table(t, goldenNames()[:3]), 0, 2, func(m *msg.Trajectory) {
			if seen++; m.Fault != c.want {
				t.Errorf("%s: fault %d, expected %d", name, m.Fault, c.want)
			}
		})
		if err := d.Decode(c.payload, 1, 1); err != nil || seen != 1 {
			t.Errorf("%s: %v, seen %d", name, err, seen)
		}
	}
}

func TestTrajectoryTimes(t *testing.T) {
	for _, c := range []struct {
		name      string
		times     []int64
		monotonic bool
		slope     float64
	}{
		{"forward", []int64{0, 2e9}, true, 0.5},
		{"no time at all", []int64{5, 5}, false, math.Inf(1)},
		{"back", []int64{2e9, 1e9}, false, math.Inf(1)},
	} {
		w := cdrtest.New(false).Header(1, "").Strs([]string{"j0"}).U32(2)
		for i, at := range c.times {
			w.F64s([]float64{float64(i)}).U32(0, 0, 0).Time(at)
		}
		d := NewTrajectory(testPeer, table(t, []string{"j0"}), 0, 0, func(m *msg.Trajectory) {
			if m.Monotonic != c.monotonic || m.Slope[0] != c.slope || m.Duration != time.Duration(c.times[1]) {
				t.Errorf("%s: monotonic %v, slope %v, duration %v", c.name, m.Monotonic, m.Slope[0], m.Duration)
			}
		})
		if err := d.Decode(w.Bytes(), 1, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNamesOfEncapsulations(t *testing.T) {
	for _, c := range []struct {
		payload []byte
		want    string
	}{
		{[]byte{0, 0, 0, 0}, "CDR_BE"},
		{[]byte{0, 3, 0, 0}, "PL_CDR_LE"},
		{[]byte{0, 7, 0, 0}, "CDR2_LE"},
		{[]byte{0, 11, 0, 0}, "PL_CDR2_LE"},
		{[]byte{0, 5, 0, 0}, "encapsulation 0x0005"},
		{[]byte{0x80, 1, 0, 0}, "encapsulation 0x8001"},
		{[]byte{0, 1}, "a payload without an encapsulation"},
	} {
		if got := Name(c.payload); got != c.want {
			t.Errorf("%x: %s; want %s", c.payload, got, c.want)
		}
	}
}

// TestDemands: what is read of a command that is passed on, and that its bytes come with it.
func TestDemands(t *testing.T) {
	joints := func(typ string) bus.DemandSubscription {
		return bus.DemandSubscription{
			Subscription: bus.Subscription{Type: typ}, Form: msg.FormJoints, Channel: 3, Joints: goldenNames()[:3], Order: []int{2, 0}, Quantity: msg.Velocities,
		}
	}
	other := func(form msg.Form, typ string) bus.DemandSubscription {
		return bus.DemandSubscription{Subscription: bus.Subscription{Type: typ}, Form: form, Channel: 3}
	}
	array := func(offset uint32, data ...float64) []byte {
		return cdrtest.New(false).U32(0, offset).F64s(data).Bytes()
	}
	names := goldenNames()
	state := cdrtest.New(false).Header(7, "f").Strs(names[2:3]).F64s([]float64{2}).U32(0).F64s([]float64{-4}).Bytes()
	goal := cdrtest.New(false).Header(7, "map").F64(1, 2, 3, 0, 0, 0, 1).Bytes()
	for name, c := range map[string]struct {
		s       bus.DemandSubscription
		payload []byte
		want    func(m *msg.Demand) bool
	}{
		"trajectory": {joints(TypeJointTrajectory), trajectoryPayload(names[:1], [4][]float64{{1}}, [4][]float64{{2}}), func(m *msg.Demand) bool {
			return m.Joints.Points == 2 && m.Joints.Seen == 1 && m.Joints.Highest[0] == 2
		}},
		"state": {joints(bus.TypeJointState), state, func(m *msg.Demand) bool {
			return m.Joints.First[2] == 2 && m.Joints.Effort[2] == 4 && m.Joints.Points == 1 && m.Frame == "f"
		}},
		"array":       {joints(TypeFloat64MultiArray), array(0, 1, -2), func(m *msg.Demand) bool { return m.Joints.Seen == 0b101 && m.Joints.Velocity[0] == 2 }},
		"short array": {joints(TypeFloat64MultiArray), array(0, 1), func(m *msg.Demand) bool { return m.Joints.Fault == msg.FaultLengths }},
		"moved array": {joints(TypeFloat64MultiArray), array(1, 1, 2), func(m *msg.Demand) bool { return m.Joints.Fault == msg.FaultLengths }},
		"goal": {other(msg.FormGoal, bus.TypePoseStamped), goal, func(m *msg.Demand) bool {
			return m.Goal.Position.Z == 3 && m.Goal.Orientation.W == 1 && m.Frame == "map"
		}},
		"anything":     {other(msg.FormOpaque, "a/B"), []byte{0, 1, 0, 0, 9}, func(m *msg.Demand) bool { return m.Size == 5 }},
		"another code": {other(msg.FormOpaque, "a/B"), []byte{0, 7, 0, 0, 9}, nil},
	} {
		seen := 0
		d, err := NewDemand(&c.s, testPeer, func(m *msg.Demand) {
			if seen++; c.want == nil || !c.want(m) || !bytes.Equal(m.Raw, c.payload) || m.Channel != 3 || m.Peer != testPeer || m.Boot != 5 {
				t.Errorf("%s: %+v, %+v", name, m, m.Joints)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(c.payload, 5, 1); (err == nil) != (c.want != nil) || (seen == 1) != (c.want != nil) {
			t.Errorf("%s: %v, seen %d", name, err, seen)
		}
		if n := testing.AllocsPerRun(100, func() { _ = d.Decode(c.payload, 5, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, s := range []bus.DemandSubscription{joints(bus.TypeBool), other(msg.FormGoal, bus.TypeOdometry), other(msg.FormUnknown, bus.TypeBool)} {
		if _, err := NewDemand(&s, testPeer, nil); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// TestHoldsAreRead holds the encoder of a hold to the decoder of commands.
func TestHoldsAreRead(t *testing.T) {
	names := goldenNames()[:3]
	for _, c := range []struct {
		typ  string
		h    bus.Hold
		want func(m *msg.Trajectory) bool
	}{
		{TypeJointTrajectory, bus.Hold{}, func(m *msg.Trajectory) bool { return m.Points == 0 && m.Seen == 0 }},
		{TypeJointTrajectory, bus.Hold{Names: names[1:], Positions: []float64{1, -2}, In: 1500 * time.Millisecond}, func(m *msg.Trajectory) bool {
			return m.Points == 1 && m.Seen == 0b110 && m.First[2] == -2 && m.Start == 1500*time.Millisecond && m.Stamp == 0
		}},
		{TypeFloat64MultiArray, bus.Hold{Zeros: 3}, func(m *msg.Trajectory) bool { return m.Seen == 7 && m.Velocity[2] == 0 }},
	} {
		d, err := NewDemand(&bus.DemandSubscription{
			Subscription: bus.Subscription{Type: c.typ}, Form: msg.FormJoints, Joints: names, Order: []int{0, 1, 2}, Quantity: msg.Velocities,
		}, testPeer, func(m *msg.Demand) {
			if !c.want(m.Joints) || m.Joints.Fault != 0 {
				t.Errorf("%+v: %+v", c.h, m.Joints)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		b := AppendHold(nil, c.typ, &c.h)
		if err := d.Decode(b, 1, 1); err != nil || len(b) != HoldSize(c.typ, &c.h) {
			t.Errorf("%+v: %v, %d bytes, %d foretold", c.h, err, len(b), HoldSize(c.typ, &c.h))
		}
	}
}
