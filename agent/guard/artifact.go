package guard

import (
	"hash/fnv"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// What runs is what was verified: the policy names artifacts, the steward says which content lies active, and whoever holds
// the signed release says whether that is one that counts. Nothing said, nothing known: the answer is restrictive then.

// MaxArtifacts is the largest number of artifacts that a policy demands.
const MaxArtifacts = 16

// ArtifactDemand is an artifact that the policy demands.
type ArtifactDemand struct {
	// Name is the artifact's, as in releases.
	Name string
	// Manipulators is true if it steers arms and hands only, and not where the robot drives.
	Manipulators bool
}

// ArtifactState says what is known about the content that is active.
type ArtifactState uint8

// States of an artifact.
const (
	// ArtifactUnknown means that nobody says, or that it cannot be read; the cause says more.
	ArtifactUnknown ArtifactState = iota
	// ArtifactVerified means that it is the content that the release in force names.
	ArtifactVerified
	// ArtifactWrong means that it is other content.
	ArtifactWrong
)

// String names the state as the status writes it.
func (s ArtifactState) String() string {
	switch s {
	case ArtifactVerified:
		return "verified"
	case ArtifactWrong:
		return "untrusted"
	case ArtifactUnknown:
	}
	return "unknown"
}

// Artifact is a fact about one artifact, the steward's measurement already compared with the signed release.
type Artifact struct {
	// Name is the artifact's.
	Name  string
	State ArtifactState
	// Cause says more closely why it is not verified.
	Cause interlock.Cause
	// Until is when the fact ends, on CLOCK_BOOTTIME.
	Until time.Duration
}

// artifactFact is what the core remembers of one. The name is kept as a number, so that a new policy, which may name others
// in another order, finds its own again.
type artifactFact struct {
	key   uint64 // 0: a free place
	state ArtifactState
	cause interlock.Cause
	until time.Duration
}

// artifactKey is a name as a number, never 0.
func artifactKey(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64() | 1
}

// takeArtifact takes a fact about a demanded artifact; what nobody demands says nothing.
func (t *trust) takeArtifact(a *Artifact, demands []ArtifactDemand) {
	for i := range demands {
		if demands[i].Name != a.Name {
			continue
		}
		f := t.artifact(artifactKey(a.Name))
		if f == nil {
			f = t.place(demands)
		}
		if f != nil {
			*f = artifactFact{artifactKey(a.Name), a.State, a.Cause, a.Until}
		}
		return
	}
}

// artifact returns the fact with a key, nil without one.
func (t *trust) artifact(key uint64) *artifactFact {
	for i := range t.artifacts {
		if t.artifacts[i].key == key {
			return &t.artifacts[i]
		}
	}
	return nil
}

// place returns a place for a new fact: a free one, or that of an artifact that is not demanded any more.
func (t *trust) place(demands []ArtifactDemand) *artifactFact {
	for i := range t.artifacts {
		f := &t.artifacts[i]
		wanted := false
		for j := range demands {
			wanted = wanted || artifactKey(demands[j].Name) == f.key
		}
		if f.key == 0 || !wanted {
			return f
		}
	}
	return nil
}

// artifactConditions says what the demanded artifacts mean now.
func (c *Core) artifactConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	var all [4]interlock.Condition // Wrong and unproven, for driving and for arms.
	for i := range all {
		all[i] = interlock.OK()
	}
	for i := range c.params.Artifacts {
		d := &c.params.Artifacts[i]
		subject := uint16(i + 1) //nolint:gosec // at most MaxArtifacts
		state, cause := ArtifactUnknown, interlock.CauseContentUnsaid
		if f := c.trust.artifact(artifactKey(d.Name)); f != nil {
			state, cause = f.state, f.cause
			// That it is wrong stays until somebody measures otherwise; everything else ends with its lease.
			if state != ArtifactWrong && boot >= f.until {
				state, cause = ArtifactUnknown, interlock.CauseExpired
			}
		}
		n := 0
		if d.Manipulators {
			n = 2
		}
		switch state {
		case ArtifactWrong:
			all[n] = interlock.Worse(all[n], interlock.Fault(cause, subject))
		case ArtifactUnknown:
			all[n+1] = interlock.Worse(all[n+1], interlock.Fault(cause, subject))
		case ArtifactVerified:
		}
	}
	set[interlock.ArtifactUntrusted], set[interlock.ArtifactUnproven] = all[0], all[1]
	set[interlock.ManipulationUntrusted], set[interlock.ManipulationUnproven] = all[2], all[3]
}

// ArtifactStatus is what the guard holds of one demanded artifact.
type ArtifactStatus struct {
	Name string `json:"name"`
	// Governs is manipulators or motion.
	Governs string `json:"governs"`
	// State is verified, untrusted or unknown, Cause why.
	State string `json:"state"`
	Cause string `json:"cause,omitempty"`
	// LeftS is for how many seconds the fact counts.
	LeftS float64 `json:"left_s,omitempty"`
}

// Artifacts returns the state of what the policy demands.
func (c *Core) Artifacts() []ArtifactStatus {
	var out []ArtifactStatus
	for i := range c.params.Artifacts {
		d := &c.params.Artifacts[i]
		s := ArtifactStatus{Name: d.Name, Governs: "motion", State: ArtifactUnknown.String(), Cause: interlock.CauseContentUnsaid.Text()}
		if d.Manipulators {
			s.Governs = "manipulators"
		}
		if f := c.trust.artifact(artifactKey(d.Name)); f != nil && (f.state == ArtifactWrong || c.now.Boot < f.until) {
			s.State, s.Cause, s.LeftS = f.state.String(), f.cause.Text(), max(0, (f.until-c.now.Boot).Seconds())
			if f.state == ArtifactVerified {
				s.Cause = ""
			}
		} else if f != nil {
			s.Cause = interlock.CauseExpired.Text()
		}
		out = append(out, s)
	}
	return out
}

// Artifact takes a fact about an artifact.
func (g *Guard) Artifact(a Artifact) { g.begin(EventArtifact).Artifact = a; g.finish() }

func (e *encoder) artifact(a *Artifact) {
	e.text(a.Name)
	e.u8(uint8(a.State))
	e.u16(uint16(a.Cause))
	e.duration(a.Until)
}

func (d *decoder) artifact() Artifact {
	a := Artifact{Name: d.text(), State: ArtifactState(d.u8()), Cause: interlock.Cause(d.u16()), Until: d.duration()}
	if a.State > ArtifactWrong {
		a.State = ArtifactUnknown
	}
	return a
}

func (e *encoder) artifacts(t *trust) {
	for i := range t.artifacts {
		f := &t.artifacts[i]
		e.u64(f.key)
		e.u8(uint8(f.state))
		e.u16(uint16(f.cause))
		e.duration(f.until)
	}
}

func (d *decoder) artifacts(t *trust) {
	for i := range t.artifacts {
		f := artifactFact{key: d.u64(), state: ArtifactState(d.u8()), cause: interlock.Cause(d.u16()), until: d.duration()}
		if f.state > ArtifactWrong {
			f.state = ArtifactUnknown
		}
		t.artifacts[i] = f
	}
}
