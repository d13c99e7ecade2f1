package interlock

import (
	"strings"
	"testing"
)

// roundTrip checks that every value below n has a name of its own, and that only known names are parsed.
func roundTrip[T named](t *testing.T, n T, parser func(string) (T, bool)) {
	t.Helper()
	if _, ok := parser("unknown"); ok {
		t.Errorf("%T: \"unknown\" is parsed", n)
	}
	if _, ok := parser(""); ok {
		t.Errorf("%T: an empty name is parsed", n)
	}
	for v := range n {
		got, ok := parser(v.String())
		if named := v.String() != "unknown"; ok != named || ok && got != v {
			t.Errorf("%T %d: %q is parsed as %d, %v", n, v, v, got, ok)
		}
	}
	if n.String() != "unknown" || T(255).String() != "unknown" {
		t.Errorf("%T: a value outside is called %q", n, n)
	}
}

func TestNamesAreParsed(t *testing.T) {
	roundTrip(t, NumTriggers, ParseTrigger)
	roundTrip(t, NumRoles, ParseRole)
	roundTrip(t, NumClearConditions, ParseClearCondition)
	roundTrip(t, MotionFree+1, ParseMotion)
	roundTrip(t, ManipulatorsFree+1, ParseManipulators)
	roundTrip(t, PerceptionFree+1, ParsePerception)
	roundTrip(t, RemoteFree+1, ParseRemote)
	roundTrip(t, NumRungKinds, ParseRungKind)
	roundTrip(t, ChannelAutonomy+1, ParseChannelKind)
	roundTrip(t, LevelRun+1, ParseLevel)
}

// distinct checks that every value below n has a name of its own.
func distinct[T named](t *testing.T, n T) {
	t.Helper()
	seen := map[string]bool{}
	for v := range n {
		if v.String() == "" || seen[v.String()] {
			t.Errorf("%T %d: %q", n, v, v)
		}
		seen[v.String()] = true
	}
	for _, v := range []T{n, 255} {
		if got := v.String(); got != "unknown" && got != "none" {
			t.Errorf("%T: a value outside is called %q", n, got)
		}
	}
}

func TestNamesAreDistinct(t *testing.T) {
	distinct(t, NumModes)
	distinct(t, NumClasses)
	distinct(t, Category2+1)
	distinct(t, Present+1)
	distinct(t, DockCarrying+1)
	distinct(t, NumResetOutcomes)
	distinct(t, NumGateReasons)
	distinct(t, DemandStop+1)
	distinct(t, AckFailed+1)
	distinct(t, LadderUnconfirmed+1)
	distinct(t, Standing+1)
	distinct(t, HeartbeatStopped+1)
	distinct(t, NumAnswerOutcomes)
	distinct(t, NumDemandReasons)
	distinct(t, NumChannelHealths)
	distinct(t, NumOverrideOutcomes)
	distinct(t, NumProofReasons)
	distinct(t, NumTriggers)
	for v, want := range map[Axis]string{AxisUnknown: "unknown", AxisMotion: "motion", AxisRemote: "remote", AxisRemote + 1: "unknown", 255: "unknown"} {
		if v.String() != want {
			t.Errorf("axis %d is called %q, want %q", v, v, want)
		}
	}
}

func TestErrorsSayWhereWhatAndWant(t *testing.T) {
	p := DefaultPolicy()
	p.Rules[PoseStale].StartDelay = -1
	p.FlapTrips = 1
	err := p.Validate()
	for _, want := range []string{
		"pose.stale: start_delay: found -1ns, expected 0s to 1s", "flap_trips: found 1, expected 2 to 8",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	c := gateConfig()
	c.RadiusM = -2
	_, err = NewGate(c)
	if want := "gate: RadiusM: found -2, expected a finite number above 0"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}
