package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// Files of the release in the state directory.
const (
	releaseFile = "release.dsse.json"
	releaseNew  = "release.dsse.json.new"
	releaseNext = "release-next.dsse.json"
)

// releases keeps the signed release in force.
type releases struct {
	mu       sync.Mutex
	release  *order.Release
	digest   string
	sequence uint64
}

func (r *releases) set(v *order.Verified) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release, r.digest, r.sequence = v.Order.Release, fmt.Sprintf("%x", v.Digest), v.Order.Sequence
}

// current returns the release in force, nil without one. It is never changed.
func (r *releases) current() *order.Release {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.release
}

// openRelease takes up the release that was in force. One that was staged counts only if it was used up. What cannot be
// verified does not count: the artifacts that the policy demands are unproven then.
func (a *Agent) openRelease(now order.Times) {
	a.openHalts()
	for _, name := range []string{releaseNext, releaseFile} {
		raw, err := a.state.readPolicy(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var v *order.Verified
		if err == nil {
			v, err = a.verify.VerifyStored(now, raw)
		}
		if err == nil && (v.Order.Kind != order.KindRelease || !v.Repeat) {
			err = errors.New("it was never used up")
		}
		if err != nil {
			a.log.Warn().Err(err).Str("file", name).Msg("a stored release does not count")
			continue
		}
		a.releases.set(v)
		if name == releaseNext {
			if err := a.state.takeNextRelease(); err != nil {
				a.log.Warn().Err(err).Msg("the release in force stays under the name of the next one")
			}
		}
		return
	}
}

func (s *stateDir) takeNextRelease() error {
	if err := s.dir.Rename(releaseNext, releaseFile); err != nil {
		return err
	}
	return s.dir.SyncDir()
}

// stageRelease stores a release, and returns what puts it in force once it is used up.
func (a *Agent) stageRelease(v *order.Verified, envelope []byte) (func() error, error) {
	r := v.Order.Release
	cfg, _ := a.current()
	profile := strings.TrimPrefix(cfg.Digests.Profile.String(), "sha256:")
	if len(r.Profiles) > 0 && !slices.Contains(r.Profiles, profile) {
		return nil, fmt.Errorf("the release %s is for other robot profiles: this robot has %s", r.Version, profile)
	}
	if why, halted := a.halts.why(r.Version); halted {
		return nil, fmt.Errorf("release %s was halted: %s; what goes on is another version", r.Version, why)
	}
	if err := a.state.replace(releaseNew, releaseNext, envelope); err != nil {
		return nil, fmt.Errorf("the release could not be stored: %w", err)
	}
	return func() error {
		a.releases.set(v)
		if err := a.state.takeNextRelease(); err != nil {
			a.log.Warn().Err(err).Msg("the release in force stays under the name of the next one")
		}
		a.facts.rouse()
		return nil
	}, nil
}

// ReleaseStatus is the release in force.
type ReleaseStatus struct {
	Version  string `json:"version"`
	Sequence uint64 `json:"sequence"`
	Digest   string `json:"digest"`
	SVN      uint64 `json:"svn"`
	Floor    uint64 `json:"rollback_floor"`
	SettleS  int    `json:"settle_s"`
	// Criteria are what healthy means.
	Criteria []string `json:"criteria,omitempty"`
	// WindowS is for how long its trial lasts at most, AtEnd what becomes of it then without proof.
	WindowS int    `json:"window_s"`
	AtEnd   string `json:"at_end"`
	// RampPercent is the share of robots that may install it, 0 for all; RampPlace is this robot's place, and Waits is true
	// while it is not among them.
	RampPercent int  `json:"ramp_percent,omitempty"`
	RampPlace   int  `json:"ramp_place"`
	Waits       bool `json:"waits,omitempty"`
	// Halted says why it must not be installed any more, empty while it may.
	Halted string `json:"halted,omitempty"`
	// Artifacts are what it consists of.
	Artifacts []ReleasedArtifact `json:"artifacts"`
}

// ReleasedArtifact is one part of the release in force, with what the policy demands of it.
type ReleasedArtifact struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	SHA256    string   `json:"sha256"`
	Size      uint64   `json:"size_bytes"`
	Files     int      `json:"files"`
	Fallbacks []string `json:"fallbacks,omitempty"`
	// AtRest is true if a new one may become active at rest only.
	AtRest bool `json:"at_rest"`
	// Builders, ModelVersion and Datasets are the provenance that the policy demands; nothing without builders.
	Builders     []string `json:"builders,omitempty"`
	ModelVersion bool     `json:"model_version,omitempty"`
	Datasets     []string `json:"datasets,omitempty"`
}

func (a *Agent) releaseStatus() *ReleaseStatus {
	a.releases.mu.Lock()
	r, digest, sequence := a.releases.release, a.releases.digest, a.releases.sequence
	a.releases.mu.Unlock()
	if r == nil {
		return nil
	}
	cfg, _ := a.current()
	s := &ReleaseStatus{
		Version: r.Version, Sequence: sequence, Digest: digest, SVN: r.SVN, Floor: r.RollbackFloor, SettleS: r.SettleS, Criteria: r.Criteria,
		WindowS: r.Window(), AtEnd: string(cmp.Or(r.AtEnd, order.AtEndRollBack)), RampPercent: r.RampPercent,
	}
	var in bool
	s.RampPlace, in = r.Ramp(a.robot)
	s.Waits = !in
	s.Halted, _ = a.halts.why(r.Version)
	for i := range r.Artifacts {
		x := &r.Artifacts[i]
		out := ReleasedArtifact{Name: x.Name, Version: x.Version, SHA256: x.SHA256, Size: x.Size, Files: x.Files, Fallbacks: x.Fallbacks, AtRest: true}
		for _, d := range cfg.Policy.Artifacts {
			if d.Name != x.Name {
				continue
			}
			out.AtRest = !d.AnyTime
			if p := d.Provenance; p != nil {
				out.Builders, out.ModelVersion = p.Builders, p.ModelVersion
				for _, set := range p.Datasets {
					out.Datasets = append(out.Datasets, strings.TrimPrefix(set.String(), "sha256:"))
				}
			}
		}
		s.Artifacts = append(s.Artifacts, out)
	}
	return s
}

// judgeArtifact puts the steward's measurement into the guard's terms: only the signed release says what counts. q is nil
// where the steward says nothing.
func judgeArtifact(name string, r *order.Release, q *contract.Artifact, until time.Duration) guard.Artifact {
	out := guard.Artifact{Name: name, Until: until, Cause: interlock.CauseContentUnsaid}
	a := r.Find(name)
	switch {
	case q == nil:
		out.Until = 0
	case a == nil:
		out.Cause = interlock.CauseNoRelease
	case q.SHA256 == "":
		out.Cause = interlock.CauseNotFound
	case a.Counts(q.SHA256):
		out.State, out.Cause = guard.ArtifactVerified, interlock.CauseNone
	default:
		out.State, out.Cause = guard.ArtifactWrong, interlock.CauseWrongContent
	}
	return out
}
