package cdr

import (
	"testing"

	"github.com/robowarden/robowarden/hal/msg"
)

// These tests are not parallel: testing.AllocsPerRun counts what the whole process allocates.

// quiet are decoders of every sample that hand over nothing.
func quiet(tb testing.TB, name string) (Decoder, bool) {
	g, ok := goldens()[name]
	if !ok {
		return nil, false
	}
	d := g.decoder(tb, func(any) {})
	switch d := d.(type) { // the tests' own handlers copy
	case *poseDecoder:
		d.h = func(*msg.Pose) {}
	case *tfDecoder:
		d.h = func(*msg.Transform) {}
	case *jointDecoder:
		d.h = func(*msg.Joints) {}
	case *imuDecoder:
		d.h = func(*msg.IMU) {}
	case *batteryDecoder:
		d.h = func(*msg.Device) {}
	case *commandDecoder:
		d.h = func(*msg.Command) {}
	case *boolDecoder:
		d.h = func(*msg.Bool) {}
	case *textDecoder:
		d.h = func(*msg.Text) {}
	case *trajectoryDecoder:
		d.h = func(*msg.Trajectory) {}
	case *valuesDecoder:
		d.h = func(*msg.Values) {}
	case *diagnosticDecoder:
		d.h = func(*msg.Diagnostic) {}
	case *statusDecoder:
		d.h = func(*GoalState) {}
	case *goalDecoder:
		d.h = func(*GoalRequest) {}
	case *feedbackDecoder:
		d.h = func(*NavigateFeedback) {}
	default:
		tb.Fatalf("%s: %T", name, d)
	}
	return d, true
}

func TestDecodingAllocatesNothing(t *testing.T) {
	for _, s := range samples(t) {
		d, ok := quiet(t, s.name)
		if !ok {
			continue
		}
		if n := testing.AllocsPerRun(200, func() {
			if err := d.Decode(s.payload, 1, 1); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s %s: %v allocations", s.name, s.order, n)
		}
		// Refusing costs nothing either.
		cut := s.payload[:len(s.payload)-int(s.payload[3]&3)-1]
		if n := testing.AllocsPerRun(200, func() { _ = d.Decode(cut, 1, 1) }); n != 0 {
			t.Errorf("%s %s cut: %v allocations", s.name, s.order, n)
		}
	}
	dev := NewDevice(testPeer, msg.Camera, 1, func(*msg.Device) {})
	payload := payloadOf(t, "Bool", "le")
	if n := testing.AllocsPerRun(200, func() { _ = dev.Decode(payload, 1, 1) }); n != 0 {
		t.Errorf("device: %v allocations", n)
	}
	// Joints in an order that is another each time.
	a := jointsPayload(goldenNames()[:3], make([]float64, 3), nil, nil)
	b := jointsPayload([]string{"j2__", "x", "j0"}, make([]float64, 3), nil, nil)
	j := NewJoints(testPeer, table(t, goldenNames()), 0, func(*msg.Joints) {})
	if n := testing.AllocsPerRun(200, func() { _, _ = j.Decode(a, 1, 1), j.Decode(b, 1, 1) }); n != 0 {
		t.Errorf("joints in changing order: %v allocations", n)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 4096)
	status, twist, goal, entities := goldenStatus(), goldenTwist(), goldenGoal(), goldenEntities()
	text := []byte("hello")
	id := &RequestID{}
	for name, f := range map[string]func() []byte{
		"twist":         func() []byte { return AppendTwist(buf, twist) },
		"twist stamped": func() []byte { return AppendTwistStamped(buf, 1, "base_link", twist) },
		"drive":         func() []byte { return AppendDrive(buf, true, 1, "base_link", 1, 0.25) },
		"bool":          func() []byte { return AppendBool(buf, true) },
		"string":        func() []byte { return AppendString(buf, text) },
		"diagnostics":   func() []byte { return AppendDiagnostics(buf, 1, status) },
		"diagnostics' size": func() []byte {
			if DiagnosticsSize(status) == 0 {
				t.Error("no size")
			}
			return nil
		},
		"set bool": func() []byte { return AppendSetBool(buf, id, true) },
		"empty":    func() []byte { return AppendEmpty(buf, id) },
		"goal":     func() []byte { return AppendNavigate(buf, id, GoalID{}, goal) },
		"cancel":   func() []byte { return AppendCancel(buf, id, GoalInfo{}) },
		"result":   func() []byte { return AppendGetResult(buf, id, GoalID{}) },
		"entities": func() []byte { return AppendEntities(buf, entities, true) },
	} {
		if n := testing.AllocsPerRun(200, func() { f() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkDecode is the cost of one message, by type.
func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"Odometry", "JointState", "TFMessage", "Imu", "Twist", "JointTrajectory"} {
		for _, order := range []string{"le", "be"} {
			d, _ := quiet(b, name)
			payload := payloadOf(b, name, order)
			b.Run(name+"/"+order, func(b *testing.B) {
				b.SetBytes(int64(len(payload)))
				for b.Loop() {
					if err := d.Decode(payload, 1, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
