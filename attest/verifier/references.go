package verifier

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/internal/strict"
	"github.com/robowarden/robowarden/attest/order"
)

// What reference values may hold at most.
const (
	// MaxReferences is the largest document of reference values in bytes.
	MaxReferences = 1 << 20
	maxAllowed    = 256
	maxFiles      = eventlog.MaxMeasuredFiles
	maxEvents     = 2048
	maxReject     = 4096
	maxWhy        = 256
)

// References are what is allowed on a kind of robot. Nothing is allowed by leaving it out: where any value will do, it
// says so, with a reason.
type References struct {
	// Name is how enrolments refer to them, 1 to 64 of a-z, 0-9 and "._-".
	Name string `json:"name"`
	// Tier says what evidence must rest on.
	Tier order.Tier `json:"tier"`
	// Learning says that nothing is known yet: robots are challenged for the PCRs and all their logs, and never accepted.
	// There are no other rules then.
	Learning bool `json:"learning,omitempty"`
	// FirmwareLog is "required", "none" for firmware that writes none and extends nothing, or "sha1" for firmware that
	// writes the old format alone: it proves nothing and is not asked for. Only with tier tpm.
	FirmwareLog string `json:"firmware_log,omitempty"`
	// SecureBoot is "on" or "any". Only with a firmware log.
	SecureBoot string `json:"secure_boot,omitempty"`
	// PCRs are those to quote, rising. At least one with tier tpm, none without.
	PCRs []PCRRule `json:"pcrs,omitempty"`
	// Events are what the firmware's log may show in the PCRs that they name: every event must have a rule there.
	Events []EventRule `json:"events,omitempty"`
	// Files are what else may be measured beside the claims' own files; any other file refuses the evidence.
	Files []FileRule `json:"files,omitempty"`
	// IMA is what the kernel's own log of files may show, nil if it is not asked for. Only with PCR 10 and logs: true.
	IMA *IMARule `json:"ima,omitempty"`
	// Agent, Policy, Profile, Topics and Kernel are the rules for the claims.
	Agent   Rule `json:"agent,omitzero"`
	Policy  Rule `json:"policy,omitzero"`
	Profile Rule `json:"profile,omitzero"`
	Topics  Rule `json:"topics,omitzero"`
	Kernel  Rule `json:"kernel,omitzero"`
	// Config and CommandLine are the rules for claims that robots may leave out; without a rule a result says that the claim
	// was not checked.
	Config      Rule `json:"config,omitzero"`
	CommandLine Rule `json:"command_line,omitzero"`
	// Artifacts are the rules for models and firmware. If there are any, no other artifact may be active.
	Artifacts []ArtifactRule `json:"artifacts,omitempty"`
	// Debug says which debug interfaces may be open, nil if nobody asks.
	Debug *DebugRule `json:"debug,omitempty"`
	// Reject lists digests that refuse the evidence wherever they turn up: claims, measured files, firmware events, PCRs.
	Reject []string `json:"reject,omitempty"`
}

// Rule is what one claim may say.
type Rule struct {
	Set `yaml:",inline"`
	// File is the absolute path under which the measured log must show the digest, "" where the robot's own word will do.
	File string `json:"file,omitempty"`
}

// ArtifactRule is what may be active of one artifact.
type ArtifactRule struct {
	// Name is the artifact's, as in releases.
	Name string `json:"name"`
	// MinSVN is the lowest security version that its release may have.
	MinSVN uint64 `json:"min_svn,omitempty"`
	Set    `yaml:",inline"`
}

// DebugRule is which debug interfaces may be open: none that Allowed does not name.
type DebugRule struct {
	Allowed []string `json:"allowed"`
}

// FileRule is what one other measured file may hold.
type FileRule struct {
	// Path is the file's absolute path.
	Path string `json:"path"`
	Set  `yaml:",inline"`
}

// PCRRule is what one PCR may hold.
type PCRRule struct {
	// PCR is the register's number, 0 to 23.
	PCR int `json:"pcr"`
	// Logs says that the logs must lead to the value.
	Logs bool `json:"logs,omitempty"`
	Set  `yaml:",inline"`
}

// EventRule is what events of one kind in one PCR may be. At least one event must be there that it allows.
type EventRule struct {
	// PCR is the register's number; its rule must say logs: true, or nothing proves its events.
	PCR int `json:"pcr"`
	// Class says what the events are about, and Name which of several, as [eventlog.Classify] tells them.
	Class eventlog.Class `json:"class"`
	Name  string         `json:"name,omitempty"`
	// What says in words what is allowed, for people who read a refusal.
	What string `json:"what,omitempty"`
	// Optional says that there need be no such event.
	Optional bool `json:"optional,omitempty"`
	Set      `yaml:",inline"`
}

// The values of References.FirmwareLog, and those of References.SecureBoot.
const (
	FirmwareLogRequired = "required"
	FirmwareLogNone     = "none"
	FirmwareLogSHA1     = "sha1"
	SecureBootOn        = "on"
	SecureBootAny       = "any"
)

// ParseReferences reads reference values strictly.
func ParseReferences(data []byte) (*References, error) {
	if len(data) > MaxReferences {
		return nil, fmt.Errorf("reference values: have %d bytes: at most %d are read", len(data), MaxReferences)
	}
	r := &References{}
	err := strict.JSON(data, r)
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("reference values: %w", err)
	}
	return r, nil
}

// Validate checks the reference values and gives the first fault.
func (r *References) Validate() error {
	if err := r.checkForm(); err != nil {
		return err
	}
	if r.measures() && !slices.ContainsFunc(r.PCRs, func(p PCRRule) bool {
		return p.PCR >= eventlog.FirstMeasuredPCR && p.PCR <= eventlog.LastMeasuredPCR && r.provesMeasured(p.PCR)
	}) {
		return fmt.Errorf("files and file: nothing proves the measured log: add {\"pcr\": 14, \"logs\": true}, or another from %d to %d (not %d beside ima)",
			eventlog.FirstMeasuredPCR, eventlog.LastMeasuredPCR, eventlog.IMAPCR)
	}
	return nil
}

// checkForm checks the reference values one by one, whether or not anything proves the files.
func (r *References) checkForm() error {
	switch {
	case !isName(r.Name):
		return fmt.Errorf("name: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\"", clip(r.Name))
	case r.Tier != order.TierTPM && r.Tier != order.TierSoftwareKey:
		return fmt.Errorf("tier: found %q: expected %q or %q", clip(string(r.Tier)), order.TierTPM, order.TierSoftwareKey)
	case len(r.Reject) > maxReject:
		return fmt.Errorf("reject: has %d entries: expected at most %d", len(r.Reject), maxReject)
	}
	if r.Learning {
		return r.checkLearning()
	}
	for i, d := range r.Reject {
		if !isDigest(d) {
			return fmt.Errorf("reject[%d]: found %q: expected 64 lower-case hexadecimal digits", i, clip(d))
		}
	}
	for _, check := range []func() error{r.checkTier, r.checkPCRs, r.checkEvents, r.checkClaims, r.checkLists, r.checkFiles, r.checkIMA} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkLearning demands PCRs with a TPM, and nothing else.
func (r *References) checkLearning() error {
	for i, p := range r.PCRs {
		if p.PCR < 0 || p.PCR > 23 || (i > 0 && p.PCR <= r.PCRs[i-1].PCR) || p.Logs || p.Any || len(p.Allowed)+len(p.Leaving) > 0 {
			return fmt.Errorf("pcrs[%d]: expected numbers from 0 to 23, rising, and nothing else while learning", i)
		}
	}
	rest := *r
	rest.Name, rest.Tier, rest.PCRs, rest.Learning = "", "", nil, false
	if (len(r.PCRs) > 0) != (r.Tier == order.TierTPM) || !reflect.DeepEqual(rest, References{}) {
		return fmt.Errorf("learning: expected name, tier, with tier %s pcrs, and no rules", order.TierTPM)
	}
	return nil
}

// checkTier demands what a tier needs, and nothing that it cannot give.
func (r *References) checkTier() error {
	if r.Tier == order.TierSoftwareKey {
		if r.FirmwareLog != "" || r.SecureBoot != "" || len(r.PCRs) > 0 || len(r.Events) > 0 || len(r.Files) > 0 || r.IMA != nil || r.backed() {
			return fmt.Errorf("tier %s: proves nothing about logs, PCRs and files: leave firmware_log, secure_boot, pcrs, events, files and file out", r.Tier)
		}
		return nil
	}
	switch {
	case r.FirmwareLog != FirmwareLogRequired && r.FirmwareLog != FirmwareLogNone && r.FirmwareLog != FirmwareLogSHA1:
		return fmt.Errorf("firmware_log: found %q: expected %q, %q or %q", clip(r.FirmwareLog), FirmwareLogRequired, FirmwareLogNone, FirmwareLogSHA1)
	case r.FirmwareLog != FirmwareLogRequired && r.SecureBoot != "":
		return errors.New("secure_boot: only a firmware log with SHA-256 digests shows it: leave it out")
	case r.FirmwareLog == FirmwareLogRequired && r.SecureBoot != SecureBootOn && r.SecureBoot != SecureBootAny:
		return fmt.Errorf("secure_boot: found %q: expected %q or %q", clip(r.SecureBoot), SecureBootOn, SecureBootAny)
	case r.SecureBoot == SecureBootOn && !r.logged(7):
		return errors.New("secure_boot: is on, but nothing ties PCR 7 to the log: add {\"pcr\": 7, \"logs\": true}")
	case len(r.PCRs) == 0:
		return errors.New("pcrs: is empty: expected the registers to quote")
	}
	return nil
}

// logged reports whether the logs must lead to the PCR's value.
func (r *References) logged(pcr int) bool {
	return slices.ContainsFunc(r.PCRs, func(p PCRRule) bool { return p.PCR == pcr && p.Logs })
}

// provesMeasured reports whether a measured log about a PCR is held against it: where the log of files is asked for, PCR 10 is held
// against that one instead.
func (r *References) provesMeasured(pcr int) bool {
	return r.logged(pcr) && (r.IMA == nil || pcr != eventlog.IMAPCR)
}

func (r *References) checkPCRs() error {
	for i, p := range r.PCRs {
		if p.PCR < 0 || p.PCR > 23 || (i > 0 && p.PCR <= r.PCRs[i-1].PCR) {
			return fmt.Errorf("pcrs[%d].pcr: found %d: expected numbers from 0 to 23, rising", i, p.PCR)
		}
		if p.Logs && !p.Any && len(p.Allowed)+len(p.Leaving) == 0 && p.Why == "" {
			continue // The logs are judged instead.
		}
		if p.Logs && r.FirmwareLog == FirmwareLogSHA1 && p.PCR < eventlog.FirstMeasuredPCR {
			return fmt.Errorf("pcrs[%d].logs: a SHA-1 log leads to no SHA-256 PCR: expected allowed, the values themselves", i)
		}
		if p.Logs && p.Any {
			return fmt.Errorf("pcrs[%d]: the logs must lead to the value and any value will do: expected one of the two", i)
		}
		if err := p.check(isDigest); err != nil {
			return fmt.Errorf("pcrs[%d]: %w", i, err)
		}
	}
	return nil
}

// checkEvents checks the rules for the firmware's events.
func (r *References) checkEvents() error {
	if len(r.Events) > 0 && r.FirmwareLog != FirmwareLogRequired {
		return fmt.Errorf("events: only a firmware log shows them: expected firmware_log: %s", FirmwareLogRequired)
	}
	if len(r.Events) > maxEvents {
		return fmt.Errorf("events: has %d entries: expected at most %d", len(r.Events), maxEvents)
	}
	for i := range r.Events {
		e := &r.Events[i]
		switch {
		case !r.logged(e.PCR):
			return fmt.Errorf("events[%d].pcr: found %d: expected one of pcrs with logs: true, or nothing proves its events", i, e.PCR)
		case !slices.Contains(eventlog.Classes(), e.Class):
			return fmt.Errorf("events[%d].class: found %q: expected one of %v", i, clip(string(e.Class)), eventlog.Classes())
		case e.Name != "" && !isLine(e.Name), e.What != "" && !isLine(e.What):
			return fmt.Errorf("events[%d]: name and what: expected one printable line of at most %d bytes each", i, maxWhy)
		}
		if err := e.check(isDigest); err != nil {
			return fmt.Errorf("events[%d]: %w", i, err)
		}
	}
	return nil
}

func (r *References) checkClaims() error {
	for _, c := range r.claims() {
		form := isDigest
		if c.name == "kernel" {
			form = isLine
		}
		if err := c.rule.check(form); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if r.Kernel.File != "" {
		return errors.New("kernel.file: a version is no file: leave it out")
	}
	return nil
}

// namedRule is the rule of one claim.
type namedRule struct {
	name string
	rule *Rule
}

func (r *References) claims() []namedRule {
	out := []namedRule{{"agent", &r.Agent}, {"policy", &r.Policy}, {"profile", &r.Profile}, {"topics", &r.Topics}, {"kernel", &r.Kernel}}
	for _, c := range []namedRule{{"config", &r.Config}, {"command-line", &r.CommandLine}} {
		if !reflect.DeepEqual(*c.rule, Rule{}) {
			out = append(out, c)
		}
	}
	return out
}

// checkLists checks the rules for artifacts and debug interfaces.
func (r *References) checkLists() error {
	if len(r.Artifacts) > evidence.MaxArtifacts {
		return fmt.Errorf("artifacts: has %d entries: expected at most %d", len(r.Artifacts), evidence.MaxArtifacts)
	}
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		if !isName(a.Name) || slices.ContainsFunc(r.Artifacts[:i], func(o ArtifactRule) bool { return o.Name == a.Name }) {
			return fmt.Errorf("artifacts[%d].name: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\", each once", i, clip(a.Name))
		}
		if err := a.check(isDigest); err != nil {
			return fmt.Errorf("artifacts[%d]: %w", i, err)
		}
	}
	if r.Debug == nil {
		return nil
	}
	for i, d := range r.Debug.Allowed {
		if !isName(d) || slices.Contains(r.Debug.Allowed[:i], d) {
			return fmt.Errorf("debug.allowed[%d]: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\", each once", i, clip(d))
		}
	}
	return nil
}

// checkFiles checks the measured paths: each has one rule.
func (r *References) checkFiles() error {
	if len(r.Files) > maxFiles {
		return fmt.Errorf("files: has %d entries: expected at most %d", len(r.Files), maxFiles)
	}
	seen := map[string]string{}
	for _, c := range r.claims() {
		if c.rule.File == "" {
			continue
		}
		if err := eventlog.CheckMeasuredPath(c.rule.File); err != nil {
			return fmt.Errorf("%s.file: %w", c.name, err)
		}
		if other := seen[c.rule.File]; other != "" {
			return fmt.Errorf("%s.file: %s is that of %s as well", c.name, c.rule.File, other)
		}
		seen[c.rule.File] = c.name
	}
	for i, f := range r.Files {
		if err := eventlog.CheckMeasuredPath(f.Path); err != nil {
			return fmt.Errorf("files[%d].path: %w", i, err)
		}
		if other := seen[f.Path]; other != "" {
			return fmt.Errorf("files[%d].path: %s has a rule already, that of %s", i, f.Path, other)
		}
		seen[f.Path] = "files"
		if err := f.check(isDigest); err != nil {
			return fmt.Errorf("files[%d]: %w", i, err)
		}
	}
	return nil
}

// measures reports whether a measured log is needed.
func (r *References) measures() bool {
	return len(r.Files) > 0 || r.backed()
}

// backed reports whether a claim must be measured.
func (r *References) backed() bool {
	return slices.ContainsFunc(r.claims(), func(c namedRule) bool { return c.rule.File != "" })
}
