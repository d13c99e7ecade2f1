package verifier

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/robowarden/robowarden/attest/evidence"
)

// checkArtifacts judges what the robot says is active of models and firmware. No PCR backs it.
func (a *appraisal) checkArtifacts() {
	if len(a.References.Artifacts) == 0 {
		return
	}
	const install = "install a release that is allowed, or allow this content if it is a planned update"
	for i := range a.References.Artifacts {
		rule := &a.References.Artifacts[i]
		j := slices.IndexFunc(a.e.Claims.Artifacts, func(x evidence.Artifact) bool { return x.Name == rule.Name })
		if j < 0 {
			a.refuse(ArtifactMissing, rule.Name, "what is active of "+rule.Name, "nothing", "look what the steward says of it: its slot may be empty or damaged")
			continue
		}
		x := &a.e.Claims.Artifacts[j]
		if rule.Any {
			a.Notes = append(a.Notes, "artifact-"+rule.Name)
		} else if !rule.allows(x.SHA256, a.Now) {
			a.refuseValue(ArtifactDigest, rule.Name, rule.text(a.Now), x.SHA256, install, &value{rule.Name, x.SHA256, &rule.Set, false})
		}
		if x.SVN < rule.MinSVN {
			found := "security version " + strconv.FormatUint(x.SVN, 10)
			a.refuse(ArtifactSVN, rule.Name, fmt.Sprintf("security version %d or higher", rule.MinSVN), found, install)
		}
	}
	for _, x := range a.e.Claims.Artifacts {
		if !slices.ContainsFunc(a.References.Artifacts, func(r ArtifactRule) bool { return r.Name == x.Name }) {
			a.refuseValue(ArtifactDigest, x.Name, "only artifacts that the reference values name", x.Name+" with digest "+x.SHA256, "add a rule for it, or remove it",
				&value{x.Name, x.SHA256, nil, false})
		}
	}
}

// checkDebug demands that no debug interface is open but those that are allowed.
func (a *appraisal) checkDebug() {
	if a.References.Debug == nil {
		return
	}
	const closeIt = "close it, and find out who has opened it; allow it if it has to be open on robots of this kind"
	if a.e.Claims.Debug == nil {
		a.refuse(DebugOpen, "", "what debug interfaces are open", "nothing: nobody has looked", "compare the versions of robot and verifier")
	}
	for _, d := range a.e.Claims.Debug {
		if !slices.Contains(a.References.Debug.Allowed, d) {
			a.refuse(DebugOpen, d, fmt.Sprintf("no open debug interface but %q", a.References.Debug.Allowed), d, closeIt)
		}
	}
}
