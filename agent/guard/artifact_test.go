package guard

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// demandArtifacts is the demonstration's parameters with two artifacts demanded.
func demandArtifacts(tb testing.TB) *Params {
	p := demoParams(tb)
	p.Artifacts = []ArtifactDemand{{Name: "planner"}, {Name: "grasp", Manipulators: true}}
	return p
}

func (r *rig) artifact(name string, s ArtifactState, cause interlock.Cause, d time.Duration) {
	r.apply(Event{Kind: EventArtifact, Artifact: Artifact{Name: name, State: s, Cause: cause, Until: r.now + d}})
}

// released says of both that they are as released.
func (r *rig) released(d time.Duration) *rig {
	r.artifact("planner", ArtifactVerified, 0, d)
	r.artifact("grasp", ArtifactVerified, 0, d)
	return r
}

func TestArtifactsThatAreNotAsReleased(t *testing.T) {
	for name, c := range map[string]struct {
		what    string
		state   ArtifactState
		cause   interlock.Cause
		trigger interlock.Trigger // NumTriggers: off
		drives  bool
		latches bool
	}{
		"as released (off)":               {"grasp", ArtifactVerified, 0, interlock.NumTriggers, true, false},
		"something nobody demands (off)":  {"other", ArtifactWrong, interlock.CauseWrongContent, interlock.NumTriggers, true, false},
		"an unsigned grasp model":         {"grasp", ArtifactWrong, interlock.CauseWrongContent, interlock.ManipulationUntrusted, true, true},
		"a grasp model that is not there": {"grasp", ArtifactUnknown, interlock.CauseNotFound, interlock.ManipulationUnproven, true, false},
		"an unsigned planner":             {"planner", ArtifactWrong, interlock.CauseWrongContent, interlock.ArtifactUntrusted, false, true},
		"a planner without a release":     {"planner", ArtifactUnknown, interlock.CauseNoRelease, interlock.ArtifactUnproven, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demandArtifacts(t), Start{}).released(time.Hour).ready()
			if got := r.core.decision.Axes.Manipulators; got == interlock.ManipulatorsDisabled {
				t.Fatalf("disabled before: %s", r.state())
			}
			r.artifact(c.what, c.state, c.cause, time.Hour)
			r.run(time.Second)
			for trigger := interlock.ArtifactUntrusted; trigger <= interlock.ManipulationUnproven; trigger++ {
				if r.active(trigger) != (trigger == c.trigger) {
					t.Errorf("%v is active: %t: %s", trigger, r.active(trigger), r.state())
				}
			}
			if r.open() != c.drives {
				t.Errorf("drives: %t: %s", r.open(), r.state())
			}
			arms := r.core.decision.Axes.Manipulators
			if off := c.trigger == interlock.ManipulationUntrusted || c.trigger == interlock.ManipulationUnproven; off != (arms == interlock.ManipulatorsDisabled) {
				t.Errorf("manipulators are %v: %s", arms, r.state())
			}
			if c.trigger == interlock.NumTriggers {
				return
			}
			if name := r.core.subject(&interlock.Active{Trigger: c.trigger, Subject: r.core.inputs.Conditions[c.trigger].Subject}); name != c.what {
				t.Errorf("the trigger names %q, expected %q", name, c.what)
			}
			// Released again: what latched waits for a reset, the rest ends by itself.
			r.released(time.Hour)
			r.run(3 * time.Second)
			if r.active(c.trigger) != c.latches || r.latched(c.trigger) != c.latches {
				t.Errorf("afterwards active %t, latched %t, expected %t", r.active(c.trigger), r.latched(c.trigger), c.latches)
			}
		})
	}
}

// TestNothingSaidIsRestrictive: a robot whose steward never says anything, or does not any more, is held.
func TestNothingSaidIsRestrictive(t *testing.T) {
	r := newRig(t, demandArtifacts(t), Start{})
	r.run(10 * time.Second)
	if r.open() || !r.active(interlock.ArtifactUnproven) || !r.active(interlock.ManipulationUnproven) {
		t.Fatalf("open without a word about the artifacts: %s", r.state())
	}
	r = newRig(t, demandArtifacts(t), Start{}).released(20 * time.Second).ready()
	r.until("closes when the lease is over", 30*time.Second, func() bool {
		return !r.open() && r.core.decision.Axes.Manipulators == interlock.ManipulatorsDisabled
	})
	if s := r.core.Artifacts(); len(s) != 2 || s[0].State != "unknown" || s[0].Cause != interlock.CauseExpired.Text() {
		t.Errorf("%+v", s)
	}
	// Wrong does not become unknown by silence.
	r = newRig(t, demandArtifacts(t), Start{}).released(time.Hour).ready()
	r.artifact("grasp", ArtifactWrong, interlock.CauseWrongContent, time.Second)
	r.run(5 * time.Second)
	if s := r.core.Artifacts(); s[1].State != "untrusted" || !r.active(interlock.ManipulationUntrusted) {
		t.Errorf("%+v: %s", s, r.state())
	}
}

// TestAPolicyThatNamesOtherArtifacts keeps what is known of those that it still names, in whatever order.
func TestAPolicyThatNamesOtherArtifacts(t *testing.T) {
	r := newRig(t, demandArtifacts(t), Start{}).released(time.Hour).ready()
	r.artifact("grasp", ArtifactWrong, interlock.CauseWrongContent, time.Hour)
	next := demandArtifacts(t)
	next.Artifacts = []ArtifactDemand{{Name: "grasp", Manipulators: true}, {Name: "vision"}}
	if err := r.core.Load(next); err != nil {
		t.Fatal(err)
	}
	got := r.core.Artifacts()
	if got[0].State != "untrusted" || got[1].State != "unknown" {
		t.Errorf("%+v", got)
	}
	for i := range 3 * MaxArtifacts { // Whatever came before, there is a place for what is demanded.
		next.Artifacts[1].Name = string(rune('a' + i))
		r.artifact(next.Artifacts[1].Name, ArtifactVerified, 0, time.Hour)
		if got := r.core.Artifacts(); got[0].State != "untrusted" || got[1].State != "verified" {
			t.Fatalf("%d: %+v", i, got)
		}
	}
}
