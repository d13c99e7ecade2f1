package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
)

// checkLogs reads the logs that the reference values need.
func (a *appraisal) checkLogs() bool {
	if a.e.Quote == nil {
		return true
	}
	switch a.References.FirmwareLog {
	case FirmwareLogRequired:
		if data, ok := a.log(evidence.LogFirmware); ok {
			a.parseFirmware(data)
		}
		a.checkSecureBoot()
	case FirmwareLogSHA1:
		a.Notes = append(a.Notes, "firmware-log")
	}
	if a.References.measures() {
		if data, ok := a.log(evidence.LogMeasured); ok {
			log, err := eventlog.ParseMeasured(data)
			if err != nil {
				a.refuse(EventlogMalformed, evidence.LogMeasured, "a measured log", err.Error(), "compare the versions of robot and verifier")
			}
			a.measured = log
		}
	}
	if m := a.measured; m != nil && !a.References.provesMeasured(m.PCR) {
		if a.refuse(EventlogUnquoted, evidence.LogMeasured, "a log about a PCR that is tied to it by a rule with logs: true, and that the kernel's log of files does not lead to",
			"PCR "+strconv.Itoa(m.PCR), "measure into the PCR that the reference values name, or name this one") {
			a.measured = nil // Nothing proves a word of it.
		}
	}
	return true
}

// parseFirmware reads the firmware's log. One with SHA-1 digests alone proves nothing.
func (a *appraisal) parseFirmware(data []byte) {
	log, err := eventlog.Parse(data)
	switch {
	case err == nil && !slices.ContainsFunc(log.Banks, func(b eventlog.Bank) bool { return b.Alg == eventlog.SHA256 }):
		err = eventlog.ErrNoBank
		fallthrough
	case errors.Is(err, eventlog.ErrLegacy):
		if !a.refuse(EventlogSHA1, evidence.LogFirmware, "a log with SHA-256 digests", err.Error(),
			"switch the SHA-256 bank on in the firmware's settings; a machine that cannot is judged by values of its PCRs, with firmware_log: "+FirmwareLogSHA1) {
			return
		}
	case err != nil:
		a.refuse(EventlogMalformed, evidence.LogFirmware, "a crypto-agile event log", err.Error(), "look whether the firmware can write one with SHA-256 digests")
	default:
		a.firmware = log
	}
}

// log returns a log that the claims name and that is the one they name.
func (a *appraisal) log(name string) ([]byte, bool) {
	want := a.e.Claims.Log(name)
	data, ok := a.Logs[name]
	switch {
	case want == "":
		a.refuse(EventlogMissing, name, "claims that name the log "+name, "none",
			"check that the log exists on the robot and that the agent may read it")
		return nil, false
	case !ok:
		a.refuse(EventlogMissing, name, "the log "+want, "nothing", "let the robot send it, or give the file")
		return nil, false
	}
	if sum := digest(data); sum != want {
		if a.refuse(EventlogMismatch, name, "the log "+want+" that the claims name", sum, "let the robot send it again, or give the file of that moment") {
			return nil, false
		}
	}
	return data, true
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (a *appraisal) checkSecureBoot() {
	if a.References.SecureBoot != SecureBootOn {
		a.Notes = append(a.Notes, "secure-boot")
		return
	}
	if a.firmware == nil {
		return // Said already.
	}
	if found := a.firmware.SecureBoot(); found != eventlog.SecureBootOn {
		a.refuse(SecureBootOff, "", "Secure Boot on", found.String(), "switch Secure Boot on in the firmware, and find out who has switched it off")
	}
}

// checkPCRs compares each quoted PCR with what the logs lead to and with the values that are allowed.
func (a *appraisal) checkPCRs() bool {
	if a.e.Quote == nil {
		return true
	}
	var expected eventlog.PCRs
	if a.firmware != nil || a.References.FirmwareLog != FirmwareLogRequired {
		var err error
		if expected, err = eventlog.Expect(a.firmware, a.measured); err != nil {
			a.refuse(EventlogMalformed, evidence.LogFirmware, "a log with SHA-256 digests", err.Error(), "look whether the firmware can write such")
		}
	}
	for _, rule := range a.References.PCRs {
		n := strconv.Itoa(rule.PCR)
		quoted, ok := a.e.Quote.PCRs[rule.PCR]
		if !ok {
			continue // Said already.
		}
		found := hex.EncodeToString(quoted[:])
		ima := rule.PCR == eventlog.IMAPCR && a.References.IMA != nil // the log of files leads there
		if want, known := expected[rule.PCR]; rule.Logs && !ima && known && want != quoted {
			a.refuse(PCRMismatch, n, hex.EncodeToString(want[:])+", to which the logs lead", found,
				"something was extended that no log shows, or a log was changed: restart the robot, and examine it if that does not help")
		}
		if rule.Any {
			a.Notes = append(a.Notes, "pcr-"+n)
		} else if len(rule.Allowed)+len(rule.Leaving) > 0 && !rule.allows(found, a.Now) {
			a.refuse(PCRValue, n, rule.text(a.Now), found, "find out what has changed; allow the value if it is a planned update")
		}
	}
	return true
}

// checkFiles judges every file that was measured.
func (a *appraisal) checkFiles() bool {
	if a.measured == nil {
		return true
	}
	for _, f := range a.measured.Files {
		found := hex.EncodeToString(f.Digest[:])
		if i := slices.IndexFunc(a.References.Files, func(r FileRule) bool { return r.Path == f.Path }); i >= 0 {
			if rule := &a.References.Files[i]; !rule.allows(found, a.Now) {
				a.refuseValue(MeasuredFile, "", rule.text(a.Now)+" for "+f.Path, found, "find out what has changed; allow the value if it is a planned update",
					&value{f.Path, found, &rule.Set, true})
			}
			continue
		}
		c := slices.IndexFunc(a.References.claims(), func(c namedRule) bool { return c.rule.File == f.Path })
		if c < 0 {
			a.refuseValue(MeasuredFile, "", "only files that the reference values name", f.Path+" with digest "+found, "add a rule for the file, or measure less",
				&value{f.Path, found, nil, true})
			continue
		}
		if claim := a.References.claims()[c]; !claim.rule.allows(found, a.Now) {
			a.refuseValue(claimCodes[claim.name], "", claim.rule.text(a.Now)+" for "+f.Path, found+", which was measured",
				"another file was started, or may be running: install a version that is allowed, or allow this one, and restart the robot",
				&value{f.Path, found, &claim.rule.Set, true})
		}
	}
	return true
}

// claimCodes and mismatchCodes name the faults of each claim.
var (
	claimCodes = map[string]Code{
		"agent": AgentDigest, "policy": PolicyDigest, "profile": ProfileDigest, "topics": TopicsDigest, "kernel": KernelVersion,
		"config": ConfigDigest, "command-line": CommandLine,
	}
	mismatchCodes = map[string]Code{
		"agent": AgentMismatch, "policy": PolicyMismatch, "profile": ProfileMismatch, "topics": TopicsMismatch,
		"config": ConfigMismatch, "command-line": CommandLineMismatch,
	}
)

// checkClaims judges what the robot reports about itself, and whether a PCR backs what must be backed.
func (a *appraisal) checkClaims() bool {
	c := &a.e.Claims
	values := map[string]evidence.Measured{
		"agent": c.Agent, "policy": c.Policy, "profile": c.Profile, "topics": c.Topics, "kernel": {SHA256: c.Kernel},
		"config": c.Config, "command-line": c.CommandLine,
	}
	for _, claim := range a.References.claims() {
		reported := values[claim.name]
		if claim.rule.Any {
			a.Notes = append(a.Notes, claim.name)
		} else if !claim.rule.allows(reported.SHA256, a.Now) {
			a.refuseValue(claimCodes[claim.name], "", claim.rule.text(a.Now), orUnknown(reported.SHA256)+", which the robot reports",
				"install a version that is allowed, or allow this one if it is a planned update", &value{claim.name, orUnknown(reported.SHA256), &claim.rule.Set, false})
		}
		a.checkBacking(claim, reported)
	}
	for _, x := range []struct {
		name     string
		reported bool
		rule     bool
	}{
		{"config", c.Config.SHA256 != "", !reflect.DeepEqual(a.References.Config, Rule{})},
		{"command-line", c.CommandLine.SHA256 != "", !reflect.DeepEqual(a.References.CommandLine, Rule{})},
		{"artifacts", len(c.Artifacts) > 0, len(a.References.Artifacts) > 0},
		{"debug", c.Debug != nil, a.References.Debug != nil},
	} {
		if x.reported && !x.rule {
			a.Notes = append(a.Notes, x.name)
		}
	}
	a.checkArtifacts()
	a.checkDebug()
	return true
}

// checkBacking compares a claim with the measured log. The robot's label is its own word, so it can only be wrong.
func (a *appraisal) checkBacking(claim namedRule, value evidence.Measured) {
	var files []string
	if a.measured != nil {
		for _, f := range a.measured.Files {
			if claim.rule.File == "" || f.Path == claim.rule.File {
				files = append(files, hex.EncodeToString(f.Digest[:]))
			}
		}
	}
	backed := slices.Contains(files, value.SHA256)
	switch path := claim.rule.File; {
	case a.measured == nil && path != "":
		return // Said already.
	case a.measured == nil:
		if value.Label == evidence.PCRBacked {
			a.Notes = append(a.Notes, "label-"+claim.name)
		}
		return
	case path != "" && len(files) == 0:
		a.refuse(NotMeasured, claim.name, "a measurement of "+path, "none in the measured log", "start the agent through `robowarden measure`, early")
		return
	case path != "" && !backed:
		a.refuse(mismatchCodes[claim.name], "", fmt.Sprintf("the %s digest that was measured, %v", claim.name, files), orUnknown(value.SHA256)+", which the robot reports",
			"the robot says that it runs something else than what was started: examine it")
		return
	case path != "" && value.Label != evidence.PCRBacked:
		a.refuse(NotMeasured, claim.name, "a claim that is "+evidence.PCRBacked.String(), "one that is "+value.Label.String(),
			"let the agent read the measured log, and compare the versions of robot and verifier")
	}
	if value.Label == evidence.PCRBacked && !backed {
		a.refuse(FalseLabel, claim.name, "a claim that is "+evidence.SelfReported.String()+", since no measured file has this digest",
			"one labelled "+value.Label.String(), "examine the robot: it claims more than the TPM shows")
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// checkRejected looks for what is rejected, wherever it turns up.
func (a *appraisal) checkRejected() bool {
	if len(a.References.Reject) == 0 {
		return true
	}
	reject := make(map[string]bool, len(a.References.Reject))
	for _, d := range a.References.Reject {
		reject[d] = true
	}
	look := func(d, where string) {
		if reject[d] {
			a.refuse(Rejected, "", "nothing on the list of what is rejected", d+", "+where, "update the robot: this is known to be bad")
		}
	}
	c := &a.e.Claims
	look(c.Agent.SHA256, "the agent")
	look(c.Policy.SHA256, "the policy")
	look(c.Profile.SHA256, "the robot profile")
	look(c.Topics.SHA256, "the topic mapping")
	look(c.Config.SHA256, "the deployment")
	look(c.CommandLine.SHA256, "the kernel's command line")
	for _, x := range c.Artifacts {
		look(x.SHA256, "the artifact "+x.Name)
	}
	if a.measured != nil {
		for _, f := range a.measured.Files {
			look(hex.EncodeToString(f.Digest[:]), "the measured file "+f.Path)
		}
	}
	if a.firmware != nil {
		for i := range a.firmware.Events {
			e := &a.firmware.Events[i]
			look(hex.EncodeToString(a.firmware.Digest(e, eventlog.SHA256)), e.String())
		}
	}
	if a.e.Quote != nil {
		for _, n := range sortedPCRs(a.e.Quote) {
			v := a.e.Quote.PCRs[n]
			look(hex.EncodeToString(v[:]), "PCR "+strconv.Itoa(n))
		}
	}
	return true
}
