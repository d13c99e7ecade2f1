package idl

import (
	"encoding/hex"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// checkError: a refusal says where, and is bounded.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) == 0 || len(e.Problems) > MaxProblems {
		t.Fatalf("%T: %v", err, err)
	}
	for _, p := range e.Problems {
		if p.File == "" || p.Expected == "" || p.Found == "" || len(p.String()) > 4*MaxName+1024 {
			t.Fatalf("%#v", p)
		}
	}
}

// numbersOf lists some paths of numbers in a type.
func numbersOf(t *Type, path string, list []string) []string {
	if len(list) > 20 {
		return list
	}
	switch t.Kind {
	case Composite:
		for _, f := range t.Struct.Fields {
			sep := "."
			if path == "" {
				sep = ""
			}
			list = numbersOf(f.Type, path+sep+f.Name, list)
		}
	case Array, Sequence:
		list = numbersOf(t.Elem, path+"[0]", list)
		if t.Len > 1 {
			list = numbersOf(t.Elem, path+"["+itoa(int64(t.Len-1))+"]", list)
		}
	case String:
	default:
		list = append(list, path)
	}
	return list
}

// use does with a type what a robot would: a hash, a plan, payloads.
func use(t *testing.T, st *Struct, payload []byte) {
	t.Helper()
	if h, err := Hash(st); err == nil && len(h) != len("RIHS01_")+64 {
		t.Errorf("hash %q", h)
	}
	paths := numbersOf(&Type{Kind: Composite, Struct: st}, "", nil)
	if len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool { return len(p) > maxPath }) {
		return
	}
	p, err := Compile(st, paths)
	if err != nil {
		checkError(t, err)
		return
	}
	dst := make([]float64, p.Len())
	if err := p.Read(payload, dst); err != nil {
		for _, v := range dst {
			if !math.IsNaN(v) {
				t.Fatalf("values of a refused payload: %v", dst)
			}
		}
	}
}

func FuzzMsg(f *testing.F) {
	for _, text := range []string{motorMsg, stateMsg, imuMsg, faultMsg, "int32 A=1\nstring B = x # y\nstring<=3[<=4] c [\"a\"]\nbool d true\nstd_msgs/Header h"} {
		f.Add(text, []byte{0, 1, 0, 0, 1, 0, 0, 0})
	}
	for def := range strings.SplitSeq(standard, "\n= ") {
		_, text, _ := strings.Cut(def, "\n")
		f.Add(text, []byte{0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		s := acme(t)
		if err := s.AddMsg("fuzzed/msg/M", "M.msg", text); err != nil {
			checkError(t, err)
			return
		}
		st, err := s.Type("fuzzed/M")
		if err != nil {
			checkError(t, err)
			return
		}
		use(t, st, payload)
		// What was understood, written down anew, is understood in the same way.
		again := NewSet()
		var lines strings.Builder
		for _, f := range st.Fields {
			lines.WriteString(f.Type.String() + " " + f.Name + "\n")
		}
		if err := again.AddMsg("fuzzed/msg/M", "M.msg", lines.String()); err != nil {
			t.Fatalf("%v\n%s", err, lines.String())
		}
		if got := again.structs["fuzzed/msg/M"].text(); got != st.text() {
			t.Fatalf("%s\n%s", got, st.text())
		}
	})
}

func FuzzIDL(f *testing.F) {
	f.Add(stateIDL, []byte{0, 1, 0, 0, 1, 0, 0, 0})
	for _, text := range []string{
		"enum E { A, @value(3) B }; typedef sequence<E, A + 3> L[2]; struct S { L l; };", "struct A { long x; }; struct B : A { string<4> y; };",
		"module m { const long N = (1 << 4) | 3 ^ 2 & ~1 % 7; struct S { octet b[N]; }; };", "@topic struct S { @key(TRUE) long long _struct; };",
	} {
		f.Add(text, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	}
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		s := NewSet()
		known := s.Names()
		if err := s.AddIDL("f.idl", text); err != nil {
			checkError(t, err)
			return
		}
		if err := s.AddIDL("f.idl", text); err != nil {
			t.Fatalf("the same text is refused the second time: %v", err)
		}
		names := s.Names()
		for i, name := range names {
			if i > 50 || slices.Contains(known, name) {
				continue
			}
			st, err := s.Type(name)
			if err != nil {
				checkError(t, err)
				continue
			}
			use(t, st, payload)
		}
	})
}

// FuzzPlan: a plan of many fields and plans of one field each agree on every payload.
func FuzzPlan(f *testing.F) {
	for _, b := range stateSamples(f) {
		f.Add(b)
	}
	paths, _ := statePaths()
	st := typeOf(f, acme(f), "acme_msgs/LowState")
	all := compile(f, st, paths...)
	var single []*Plan
	for _, p := range paths {
		single = append(single, compile(f, st, p))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := make([]float64, all.Len())
		err := all.Read(payload, got)
		for i, p := range single {
			var one [1]float64
			e := p.Read(payload, one[:])
			if err == nil && (e != nil || math.Float64bits(one[0]) != math.Float64bits(got[i])) {
				t.Fatalf("%s: %v, %v; with the others %v", paths[i], one[0], e, got[i])
			}
			if err != nil && e == nil && !errors.Is(err, cdr.ErrFlag) {
				t.Fatalf("%s is read; with the others %v", paths[i], err)
			}
		}
	})
}

// pairs are the types that both packages read, with the decoder, and numbers that both must find.
func pairs(tb testing.TB, take func(v ...float64)) map[string]struct {
	typ   string
	d     cdr.Decoder
	paths []string
} {
	tb.Helper()
	type pair = struct {
		typ   string
		d     cdr.Decoder
		paths []string
	}
	must := func(d cdr.Decoder, err error) cdr.Decoder {
		if err != nil {
			tb.Fatal(err)
		}
		return d
	}
	table, err := cdr.NewJointTable([]string{"j0", "j1_"})
	if err != nil {
		tb.Fatal(err)
	}
	none := func() { take() }
	return map[string]pair{
		"Odometry": {
			"nav_msgs/Odometry",
			must(cdr.NewPose(bus.TypeOdometry, nil, func(m *msg.Pose) { take(m.Position.Y, m.Covariance[35], m.Twist.Angular.Z) })),
			[]string{"pose.pose.position.y", "pose.covariance[35]", "twist.twist.angular.z"},
		},
		"Imu": {
			"sensor_msgs/Imu", cdr.NewIMU(nil, func(m *msg.IMU) { take(m.Orientation.W, m.LinearAcceleration.X) }),
			[]string{"orientation.w", "linear_acceleration.x"},
		},
		"BatteryState": {
			"sensor_msgs/BatteryState", cdr.NewBattery(nil, 0, func(m *msg.Device) { take(m.ChargeRatio) }), []string{"percentage"},
		},
		"TwistStamped": {
			"geometry_msgs/TwistStamped", must(cdr.NewCommand(cdr.TypeTwistStamped, nil, 0, func(m *msg.Command) { take(m.Angular.Z) })),
			[]string{"twist.angular.z"},
		},
		"AckermannDrive": {
			"ackermann_msgs/AckermannDrive", must(cdr.NewAckermann(bus.TypeAckermannDrive, 1, nil, 0, func(m *msg.Command) { take(m.Linear.X) })),
			[]string{"speed"},
		},
		"AckermannDriveStamped": {
			"ackermann_msgs/AckermannDriveStamped",
			must(cdr.NewAckermann(bus.TypeAckermannDriveStamped, 1, nil, 0, func(m *msg.Command) { take(m.Linear.X) })),
			[]string{"drive.speed"},
		},
		"TFMessage":         {"tf2_msgs/TFMessage", cdr.NewTransforms(nil, false, nil, 0, func(*msg.Transform) {}), []string{"transforms[0].transform.rotation.w"}},
		"JointState":        {"sensor_msgs/JointState", cdr.NewJoints(nil, table, 0, func(*msg.Joints) { none() }), []string{"position[0]"}},
		"JointTrajectory":   {"trajectory_msgs/JointTrajectory", cdr.NewTrajectory(nil, table, 0, 0, func(*msg.Trajectory) { none() }), []string{"points[0].positions[0]"}},
		"Float64MultiArray": {"std_msgs/Float64MultiArray", cdr.NewValues(nil, 0, func(*msg.Values) { none() }), []string{"data[0]"}},
		"DiagnosticArray":   {"diagnostic_msgs/DiagnosticArray", cdr.NewDiagnostics(nil, func(*msg.Diagnostic) {}), []string{"status[0].level"}},
		"GoalStatusArray":   {"action_msgs/GoalStatusArray", cdr.NewGoalStates(nil, func(*cdr.GoalState) {}), []string{"status_list[0].status"}},
	}
}

// FuzzPlansAgreeWithDecoders: two readers of the same types that share only the encapsulation's code accept the same
// payloads and find the same numbers, but for what a decoder demands of the content.
func FuzzPlansAgreeWithDecoders(f *testing.F) {
	text, err := os.ReadFile("../cdr/testdata/fastcdr.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if w := strings.Fields(line); w[0] != "#" {
			b, err := hex.DecodeString(w[2])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(w[0], b)
		}
	}
	s := NewSet()
	plans := map[string]*Plan{}
	for name, p := range pairs(f, nil) {
		plans[name] = compile(f, typeOf(f, s, p.typ), p.paths...)
	}
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		var found []float64
		p, ok := pairs(t, func(v ...float64) { found = v })[name]
		if !ok {
			return
		}
		dst := make([]float64, plans[name].Len())
		plan, decoder := plans[name].Read(payload, dst), p.d.Decode(payload, 1, 1)
		switch {
		case decoder == nil && plan != nil:
			t.Fatalf("%s: the decoder reads it, the plan says %v", name, plan)
		case plan == nil && (errors.Is(decoder, cdr.ErrShort) || errors.Is(decoder, cdr.ErrTrailing) || errors.Is(decoder, cdr.ErrString)):
			t.Fatalf("%s: the plan reads it, the decoder says %v", name, decoder)
		}
		for i, v := range found {
			if math.Float64bits(v) != math.Float64bits(dst[i]) && !(math.IsNaN(v) && math.IsNaN(dst[i])) {
				t.Fatalf("%s %s: decoder %v, plan %v", name, p.paths[i], v, dst[i])
			}
		}
	})
}
