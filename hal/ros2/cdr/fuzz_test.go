package cdr

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/msg"
)

func headerIn(m any) (h msg.Header, child string) {
	switch m := m.(type) {
	case msg.Pose:
		return m.Header, m.Child
	case msg.Transform:
		return m.Header, m.Child
	case msg.Joints:
		return m.Header, ""
	case msg.IMU:
		return m.Header, ""
	case msg.Device:
		return m.Header, ""
	case msg.Command:
		return m.Header, ""
	case msg.Trajectory:
		return m.Header, ""
	case msg.Diagnostic:
		return m.Header, ""
	case GoalRequest:
		return m.Header, ""
	case NavigateFeedback:
		return m.Header, ""
	}
	return h, ""
}

// fuzzDecoder: no decoder panics, none passes on a frame of more than 64 bytes, what is refused delivers nothing, and
// what is accepted is accepted again in the same way.
func fuzzDecoder(f *testing.F, names ...string) {
	for _, s := range samples(f) {
		for i, name := range names {
			if s.name == name {
				f.Add(uint8(i), s.payload)
			}
		}
	}
	all := goldens()
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		name := names[int(which)%len(names)]
		var runs [2][]any
		var errs [2]error
		d := all[name].decoder(t, nil)
		for i := range runs {
			d = all[name].decoder(t, func(m any) { runs[i] = append(runs[i], m) })
			errs[i] = d.Decode(payload, 1, 1)
		}
		if !errors.Is(errs[0], errs[1]) || !cmp.Equal(runs[0], runs[1], nanEqual) {
			t.Fatalf("%s: not the same twice: %v, %v", name, errs, cmp.Diff(runs[0], runs[1], nanEqual))
		}
		if errs[0] != nil && runs[0] != nil {
			t.Errorf("%s: delivers and says %v", name, errs[0])
		}
		for _, m := range runs[0] {
			if h, child := headerIn(m); len(h.Frame) > MaxFrame || len(child) > MaxFrame {
				t.Errorf("%s: frame of %d bytes, child of %d", name, len(h.Frame), len(child))
			}
		}
		if err := d.Decode(payload, 1, 1); !errors.Is(err, errs[0]) {
			t.Errorf("%s: %v, and after that %v", name, errs[0], err)
		}
	})
}

func FuzzPoses(f *testing.F) {
	fuzzDecoder(f, "Odometry", "PoseStamped", "PoseWithCovarianceStamped")
}

func FuzzTransforms(f *testing.F) { fuzzDecoder(f, "TFMessage") }

func FuzzJoints(f *testing.F) { fuzzDecoder(f, "JointState", "JointTrajectory") }

func FuzzSensors(f *testing.F) { fuzzDecoder(f, "Imu", "BatteryState") }

func FuzzSimple(f *testing.F) {
	fuzzDecoder(f, "Twist", "TwistStamped", "Bool", "String3", "Float64MultiArray", "DiagnosticArray", "AckermannDrive", "AckermannDriveStamped")
}

func FuzzActions(f *testing.F) {
	fuzzDecoder(f, "GoalStatusArray", "Feedback", "SendGoalRequest")
}

// FuzzAnswers: whatever a service answers and a participant says of its nodes, reading it neither panics nor keeps more
// than the caps.
func FuzzAnswers(f *testing.F) {
	for _, s := range samples(f) {
		if s.by == "fastcdr" {
			f.Add(s.payload, true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, header bool) {
		var id *RequestID
		if header {
			id = &RequestID{}
		}
		if r, err := ParseResult(b, id); err == nil && len(r.Message) > MaxServiceText {
			t.Error("long message")
		}
		_ = ParseEmpty(b, id)
		_, _, _ = ParseAccepted(b, id)
		if out, err := AppendReheaded(nil, b, header, &RequestID{Seq: 1}); err == nil {
			bare, err := AppendReheaded(nil, out, true, nil)
			if err != nil || !bytes.Equal(bare[HeaderBytes:], out[HeaderBytes+requestIDBytes:]) || !bytes.HasSuffix(b, bare[HeaderBytes:]) {
				t.Errorf("%x, %v", bare, err)
			}
		}
		if r, err := ParseNavigateResult(b, id); err == nil && len(r.Text) > MaxServiceText {
			t.Error("long text")
		}
		if r, err := ParseCancel(b, id); err == nil && len(r.Goals) > MaxGoals {
			t.Error("many goals")
		}
		var e Entities
		if err := ParseEntities(b, &e, 4, 9); err != nil {
			if len(e.Nodes) > 0 {
				t.Error("nodes of a refused payload")
			}
			return
		}
		gids := 0
		for _, n := range e.Nodes {
			gids += len(n.Readers) + len(n.Writers)
			if len(n.Name) > MaxName || len(n.Namespace) > MaxName {
				t.Error("long name")
			}
		}
		if len(e.Nodes) > 4 || gids > 9 {
			t.Errorf("%d nodes, %d gids", len(e.Nodes), gids)
		}
		for _, long := range []bool{false, true} {
			e.Long = long
			var back Entities
			if err := ParseEntities(AppendEntities(nil, &e, long), &back, 0, 0); err != nil || !cmp.Equal(e, back) {
				t.Errorf("%v: %v", err, cmp.Diff(e, back))
			}
		}
	})
}
