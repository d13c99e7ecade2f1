package guard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/interlock"
)

// humanoidParams loads the example with a URDF; the counter begins at x = 4.3 m, so that the arms reach it from afar.
func humanoidParams(tb testing.TB) *Params {
	tb.Helper()
	folder := tb.TempDir()
	var files []string
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml", "robot.urdf"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "configs", "examples", "humanoid", name))
		if err != nil {
			tb.Fatal(err)
		}
		text := string(raw)
		if name == "policy.yaml" {
			text = replaceIn(tb, "[[4.9, 3], [5.6, 3], [5.6, 6], [4.9, 6]]", "[[4.3, 3], [5.6, 3], [5.6, 6], [4.3, 6]]")(text)
		}
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		if strings.HasSuffix(name, ".yaml") {
			files = append(files, file)
		}
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: serial}
	p, err := NewParams(cfg, nodeName, floorTime)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Joint numbers of the example.
const (
	jointWaistYaw     = 12
	jointLeftShoulder = 15
)

// bodyRig stands at a place with a posture that the test may change.
func bodyRig(tb testing.TB, x, y float64, q map[int]float64) *rig {
	tb.Helper()
	r := newRig(tb, humanoidParams(tb), Start{})
	r.plant.x, r.plant.y = x, y
	r.edit = func(ev *Event) bool {
		if ev.Kind == EventJoints {
			for i, v := range q {
				ev.Joints.Position[i] = v
			}
		}
		return true
	}
	return r.ready()
}

func (r *rig) arms() interlock.Manipulators { return r.core.decision.Axes.Manipulators }
func (r *rig) eyes() interlock.Perception   { return r.core.decision.Axes.Perception }

// part finds what the status says of a zone.
func (r *rig) part(zone string) PartStatus {
	for _, p := range r.core.status().Parts {
		if p.Zone == zone {
			return p
		}
	}
	return PartStatus{}
}

func TestHandsOverTheCounterRest(t *testing.T) {
	q := map[int]float64{}
	r := bodyRig(t, 3.9, 4.5, q)
	if r.arms() != interlock.ManipulatorsFree || r.part("counter") != (PartStatus{}) {
		t.Fatalf("arms hang: %v, %+v", r.arms(), r.part("counter"))
	}
	q[jointLeftShoulder] = -1.5
	took := r.until("arms rest", time.Second, func() bool { return r.arms() == interlock.ManipulatorsDisabled })
	t.Logf("arms rest %v after the hand is there", took)
	if took > 100*time.Millisecond {
		t.Errorf("arms rest after %v, joint states come every 50 ms", took)
	}
	if s := r.part("counter"); s.Part != "left_hand" || s.Place != "inside" || s.Rule != "part-inside" {
		t.Errorf("status %+v", s)
	}
	if !r.active(interlock.ZoneNoManipulation) || !r.open() || r.core.decision.Axes.Perception != interlock.PerceptionFree {
		t.Errorf("only arms: %s", r.state())
	}
	delete(q, jointLeftShoulder)
	r.until("arms are slow", 5*time.Second, func() bool { return r.arms() == interlock.ManipulatorsLimited })
	r.until("arms are free", 5*time.Second, func() bool { return r.arms() == interlock.ManipulatorsFree })
}

// TestSameHandTurnedAway turns the waist: the hand that is slow before the counter is free beside it.
func TestSameHandTurnedAway(t *testing.T) {
	for waist, want := range map[float64]interlock.Manipulators{0: interlock.ManipulatorsLimited, 2.6: interlock.ManipulatorsFree} {
		r := bodyRig(t, 3.72, 4.5, map[int]float64{jointLeftShoulder: -1.5, jointWaistYaw: waist})
		if r.run(time.Second); r.arms() != want {
			t.Errorf("waist at %v rad: arms %v, want %v: %+v", waist, r.arms(), want, r.core.status().Parts)
		}
	}
}

// TestHandCloseToTheCounterIsSlow stays within the margin.
func TestHandCloseToTheCounterIsSlow(t *testing.T) {
	q := map[int]float64{}
	r := bodyRig(t, 3.82, 4.5, q)
	q[jointLeftShoulder] = -1.5
	if r.run(time.Second); r.arms() != interlock.ManipulatorsLimited || r.part("counter").Place != "margin" {
		t.Errorf("arms %v, %+v", r.arms(), r.core.status().Parts)
	}
}

// TestJointsThatNobodySeesReachTheCounter is named by the fault.
func TestJointsThatNobodySeesReachTheCounter(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Event) bool
		fault interlock.Trigger
	}{
		{"shoulder missing", func(ev *Event) bool { ev.Joints.Seen &^= 1 << jointLeftShoulder; return true }, interlock.JointsMissing},
		{"shoulder out of limits", func(ev *Event) bool { ev.Joints.Position[jointLeftShoulder] = 2.7; return true }, interlock.JointsInvalid},
		{"silent", func(*Event) bool { return false }, interlock.JointsMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bodyRig(t, 3.9, 4.5, nil)
			r.edit = func(ev *Event) bool { return ev.Kind != EventJoints || c.spoil(ev) }
			r.run(time.Second)
			if s := r.part("counter"); r.arms() != interlock.ManipulatorsDisabled || s.Rule != "part-unknown" || !r.active(c.fault) {
				t.Errorf("arms %v, %+v; %s", r.arms(), s, r.state())
			}
		})
	}
}

func TestCameraThatMaySeeTheScreenIsClosed(t *testing.T) {
	q := map[int]float64{jointWaistYaw: 2.4}
	r := bodyRig(t, 8, 1.5, q)
	if r.eyes() != interlock.PerceptionFree {
		t.Fatalf("it looks away: %+v", r.core.status().Parts)
	}
	q[jointWaistYaw] = 0
	r.until("closed", 200*time.Millisecond, func() bool { return r.eyes() == interlock.PerceptionPrivate })
	if s := r.part("screen"); s.Part != "head" || s.Rule != "view" || r.arms() != interlock.ManipulatorsFree {
		t.Errorf("status %+v, arms %v", s, r.arms())
	}
	q[jointWaistYaw] = 2.4
	r.until("open again", 10*time.Second, func() bool { return r.eyes() == interlock.PerceptionFree })
}

// TestBodySurvivesASnapshot goes on from a snapshot in the middle of a hold.
func TestBodySurvivesASnapshot(t *testing.T) {
	q := map[int]float64{jointLeftShoulder: -1.5}
	r := bodyRig(t, 3.9, 4.5, q)
	r.run(time.Second)
	other, err := NewCore(r.params, Start{Boot: r.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.RestoreState(r.core.AppendState(nil)); err != nil {
		t.Fatal(err)
	}
	var fx Effects
	n := 0
	r.each = func(ev *Event, want *Effects) {
		n++
		if other.Apply(ev, &fx); fx.Digest != want.Digest || other.decision.Axes != r.core.decision.Axes {
			t.Fatalf("event %d of kind %v: axes %v, want %v", n, ev.Kind, other.decision.Axes, r.core.decision.Axes)
		}
	}
	delete(q, jointLeftShoulder)
	if r.run(6 * time.Second); r.arms() != interlock.ManipulatorsFree {
		t.Errorf("arms %v after %d events", r.arms(), n)
	}
}

// TestBodyOnThePathAllocatesNothing holds with joints that the geofence judges by.
func TestBodyOnThePathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := bodyRig(t, 3.9, 4.5, map[int]float64{jointLeftShoulder: -1.5})
	ev := Event{Kind: EventJoints, Joints: r.joints()}
	if n := testing.AllocsPerRun(200, func() {
		r.now += rigStep
		ev.Boot, ev.Civil = r.now, r.civil()
		r.core.Apply(&ev, &r.fx)
	}); n != 0 {
		t.Errorf("%v allocations for joint states", n)
	}
}
