package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

const otherHex = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

func (l *listener) Artifact(a guard.Artifact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.artifacts = append(l.artifacts, a)
}

func aRelease() *order.Release {
	return &order.Release{Version: "1", SettleS: 1, Artifacts: []order.Artifact{{Name: "grasp", Version: "1", SHA256: someHex, Files: 1, Fallbacks: []string{"ab" + someHex[2:]}}}}
}

func TestOnlyTheReleaseSaysWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		release *order.Release
		said    *contract.Artifact
		state   guard.ArtifactState
		cause   interlock.Cause
	}{
		"as released":         {aRelease(), &contract.Artifact{Name: "grasp", SHA256: someHex}, guard.ArtifactVerified, 0},
		"a fallback":          {aRelease(), &contract.Artifact{Name: "grasp", SHA256: "ab" + someHex[2:]}, guard.ArtifactVerified, 0},
		"other content":       {aRelease(), &contract.Artifact{Name: "grasp", SHA256: otherHex}, guard.ArtifactWrong, interlock.CauseWrongContent},
		"not measured":        {aRelease(), &contract.Artifact{Name: "grasp", Why: "no slot is active"}, guard.ArtifactUnknown, interlock.CauseNotFound},
		"nothing said":        {aRelease(), nil, guard.ArtifactUnknown, interlock.CauseContentUnsaid},
		"no release":          {nil, &contract.Artifact{Name: "grasp", SHA256: someHex}, guard.ArtifactUnknown, interlock.CauseNoRelease},
		"not in this release": {&order.Release{}, &contract.Artifact{Name: "grasp", SHA256: someHex}, guard.ArtifactUnknown, interlock.CauseNoRelease},
	} {
		got := judgeArtifact("grasp", c.release, c.said, time.Second)
		want := guard.Artifact{Name: "grasp", State: c.state, Cause: c.cause, Until: time.Second}
		if c.said == nil {
			want.Until = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// TestFactsAboutArtifactsReachTheGuardOnce also compares them anew when another release comes into force.
func TestFactsAboutArtifactsReachTheGuardOnce(t *testing.T) {
	now := time.Hour
	l := &listener{}
	f := newFacts(func() time.Duration { return now }, newPeerTable(nil, contract.TransportTCP))
	f.guard = l
	release := aRelease()
	f.release = func() *order.Release { return release }
	f.demands = func() []guard.ArtifactDemand { return []guard.ArtifactDemand{{Name: "grasp"}} }
	say := func(digest string) {
		f.takeArtifacts(&contract.Artifacts{LeaseMS: 10_000, Artifacts: []contract.Artifact{{Name: "grasp", SHA256: digest}, {Name: "more", SHA256: someHex}}})
		f.hand()
	}
	last := func(n int, state guard.ArtifactState) {
		t.Helper()
		if len(l.artifacts) != n || l.artifacts[n-1].State != state {
			t.Fatalf("the guard was told %+v; expected %d, the last one %v", l.artifacts, n, state)
		}
	}
	f.hand()
	if len(l.artifacts) != 0 {
		t.Fatal("told of nothing")
	}
	say(someHex)
	last(1, guard.ArtifactVerified)
	say(someHex)
	last(1, guard.ArtifactVerified)
	now += 8 * time.Second
	say(someHex) // Renewed in the second half of the lease.
	last(2, guard.ArtifactVerified)
	release = &order.Release{Artifacts: []order.Artifact{{Name: "grasp", SHA256: otherHex}}}
	f.hand()
	last(3, guard.ArtifactWrong)
	now += time.Minute
	f.hand() // The lease is over: what was wrong stays.
	last(3, guard.ArtifactWrong)
	say(otherHex)
	last(4, guard.ArtifactVerified)
	now += time.Minute
	f.hand()
	last(5, guard.ArtifactUnknown)
}

// TestAReleaseSurvivesARestart kills the guard around the moment at which a release comes into force.
func TestAReleaseSurvivesARestart(t *testing.T) {
	for name, c := range map[string]struct {
		stage func(a *Agent) func(*order.Verified, []byte) (func() error, error)
		edit  func(*order.Order)
		want  string
	}{
		"in force":                    {want: "2"},
		"killed after it was used up": {stage: killedBefore, want: "2"},
		"killed before it was used up": {stage: func(a *Agent) func(*order.Verified, []byte) (func() error, error) {
			return func(v *order.Verified, envelope []byte) (func() error, error) {
				_, err := a.stageOrder(v, envelope)
				return nil, errors.Join(err, errors.New("killed"))
			}
		}, want: "1"},
		"for another robot's profile": {edit: func(o *order.Order) { o.Release.Profiles = []string{someHex} }, want: "1"},
		"older than the newest":       {edit: func(o *order.Order) { o.Sequence = 4 }, want: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			a := s.running()
			release := func(version string, sequence uint64, edit func(*order.Order)) []byte {
				o := &order.Order{Kind: order.KindRelease, Sequence: sequence, Release: aRelease()}
				o.Release.Version = version
				if edit != nil {
					edit(o)
				}
				return s.sign(o, s.engineer)
			}
			if r := a.orders.apply(release("1", 5, nil)); !r.Applied {
				t.Fatalf("%+v", r)
			}
			if c.stage != nil {
				a.orders.stage = c.stage(a)
			}
			a.orders.apply(release("2", 6, c.edit))
			s.kill(a)
			again, err := s.start() // Its clock is not trusted: what was accepted before counts all the same.
			s.must(err)
			defer s.kill(again)
			if got := again.releaseStatus(); got == nil || got.Version != c.want || got.Artifacts[0].SHA256 != someHex || !got.Artifacts[0].AtRest {
				t.Errorf("after the restart %+v, expected version %s", got, c.want)
			}
		})
	}
}

// TestAHaltedReleaseIsNeverInstalled: a halt needs a stop role only, outlives a restart without a trusted clock, and keeps every
// later order of that version out. Another version goes on.
func TestAHaltedReleaseIsNeverInstalled(t *testing.T) {
	s := newTestSite(t)
	a := s.running()
	release := func(version string, sequence uint64) []byte {
		o := &order.Order{Kind: order.KindRelease, Sequence: sequence, Release: aRelease()}
		o.Release.Version = version
		return s.sign(o, s.engineer)
	}
	if r := a.orders.apply(release("1", 5)); !r.Applied || a.releaseStatus().Halted != "" {
		t.Fatalf("%+v", r)
	}
	halt := s.sign(&order.Order{Kind: order.KindHalt, Halt: &order.Halt{Version: "1"}}, s.engineer)
	if r := a.orders.apply(halt); !r.Applied {
		t.Fatalf("%+v", r)
	}
	if a.releaseStatus().Halted == "" {
		t.Fatal("the release in force may still be installed")
	}
	s.kill(a)
	a, err := s.start()
	s.must(err)
	if a.releaseStatus().Halted == "" {
		t.Fatal("after a kill the release may be installed again")
	}
	s.kill(a)
	a = s.running()
	if r := a.orders.apply(release("1", 6)); r.Accepted || !strings.Contains(r.Text, "was halted") {
		t.Errorf("a later order of the halted version: %+v", r)
	}
	if r := a.orders.apply(release("2", 7)); !r.Applied || a.releaseStatus().Halted != "" {
		t.Errorf("another version: %+v, %+v", r, a.releaseStatus())
	}
	s.must(a.state.replace(haltsNew, haltsFile, []byte("[{")))
	s.kill(a)
	a, err = s.start()
	s.must(err)
	defer s.kill(a)
	if !strings.Contains(a.releaseStatus().Halted, "cannot be read") {
		t.Errorf("with a damaged list: %+v", a.releaseStatus())
	}
}
