package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// ErrNotVerified says that evidence was not verified, so nothing is learned from it.
var ErrNotVerified = errors.New("nothing is learned from evidence that does not verify")

// learningPCRs are those that a robot is asked for while nothing is known about it: the firmware's, the boot loader's and
// ours. Those that software can reset are left out.
func learningPCRs() []int { return []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14} }

// Learning are reference values under which a robot of an unknown kind is challenged and never accepted: what it shows
// can then be learned.
func Learning(name string, tier order.Tier) *References {
	r := &References{Name: name, Tier: tier, Learning: true}
	if tier == order.TierTPM {
		for _, n := range learningPCRs() {
			r.PCRs = append(r.PCRs, PCRRule{PCR: n})
		}
	}
	return r
}

// Learn makes reference values from evidence: they allow exactly what this robot shows. The evidence must be the enrolled
// robot's, answer the challenge that is given, and its logs must lead to every quoted PCR; otherwise the error wraps
// [ErrNotVerified] and names the reasons. PCRs in pin are learned by their value where the logs do not lead to it.
func Learn(in Input, name string, pin ...int) (*References, error) {
	if in.Challenge == nil {
		return nil, fmt.Errorf("%w: there is no challenge that it answers, so nobody knows of when it is", ErrNotVerified)
	}
	e, err := evidence.Parse(in.Evidence)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotVerified, err)
	}
	r, err := Observe(e, in.Logs, name, pin...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotVerified, err)
	}
	if path := r.twice(); path != "" {
		return nil, fmt.Errorf("%w: %s was measured with several contents since the start: restart the robot first", ErrNotVerified, path)
	}
	// The values themselves are the judge: keys, freshness, quote, logs and labels have to hold, and all that was seen fits.
	in.References = r
	// Who has signed of the robot's two keys says nothing about what it has started.
	if a, _ := appraise(in, Recovery); a.Verdict != order.VerdictAccepted || !a.Authentic {
		var why []string
		for _, reason := range a.Reasons {
			why = append(why, reason.String())
		}
		return nil, fmt.Errorf("%w: %s", ErrNotVerified, strings.Join(why, "; "))
	}
	return r, nil
}

// Quoted are the values of these registers in evidence that is verified as [Learn] verifies it, but for what the robot has started: the
// enrolled keys have signed and quoted it, in answer to the challenge that is given. With it somebody may approve that state.
func Quoted(in Input, pcrs []int) (map[int][sha256.Size]byte, error) {
	a, e := Appraise(in)
	if !a.Authentic || a.TPM == nil || in.Recorded && in.Challenge == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotVerified, strings.TrimSpace(a.Text()))
	}
	out := map[int][sha256.Size]byte{}
	for _, n := range pcrs {
		v, ok := e.Quote.PCRs[n]
		if !ok {
			return nil, fmt.Errorf("%w: PCR %d is not among those that were quoted, %v: name it in the reference values", ErrNotVerified, n, sortedPCRs(e.Quote))
		}
		out[n] = v
	}
	return out, nil
}

// twice is a path that was measured with several contents, "" without one.
func (r *References) twice() string {
	for _, c := range r.claims() {
		if c.rule.File != "" && len(c.rule.Allowed) > 1 {
			return c.rule.File
		}
	}
	for i := range r.Files {
		if len(r.Files[i].Allowed) > 1 {
			return r.Files[i].Path
		}
	}
	return ""
}

// Observe writes down what evidence and logs show, as reference values that allow exactly that. It verifies nothing:
// [Learn] does.
func Observe(e *evidence.Evidence, logs map[string][]byte, name string, pin ...int) (*References, error) {
	c := &e.Claims
	r := &References{Name: name, Tier: c.Tier}
	r.Agent, r.Policy, r.Profile, r.Topics = only(c.Agent.SHA256), only(c.Policy.SHA256), only(c.Profile.SHA256), only(c.Topics.SHA256)
	r.Kernel = only(c.Kernel)
	if c.Config.SHA256 != "" {
		r.Config = only(c.Config.SHA256)
	}
	if c.CommandLine.SHA256 != "" {
		r.CommandLine = only(c.CommandLine.SHA256)
	}
	for _, x := range c.Artifacts {
		r.Artifacts = append(r.Artifacts, ArtifactRule{Name: x.Name, MinSVN: x.SVN, Set: Set{Allowed: []string{x.SHA256}}})
	}
	if c.Debug != nil {
		r.Debug = &DebugRule{Allowed: slices.Clone(c.Debug)}
	}
	if e.Quote != nil {
		if err := r.observeLogs(e, logs, pin); err != nil {
			return nil, err
		}
	}
	if err := r.checkForm(); err != nil {
		return nil, err
	}
	return r, nil
}

// only allows one value. What the robot does not know can be anything, and says so.
func only(v string) Rule {
	if v == "" {
		return Rule{Set: Set{Any: true, Why: "the robot did not know it when this was learned"}}
	}
	return Rule{Set: Set{Allowed: []string{v}}}
}

func (r *References) observeLogs(e *evidence.Evidence, logs map[string][]byte, pin []int) error {
	var firmware *eventlog.Log
	var measured *eventlog.Measured
	var err error
	r.FirmwareLog = FirmwareLogNone
	if data := logs[evidence.LogFirmware]; len(data) > 0 {
		firmware, err = eventlog.Parse(data)
		switch {
		case errors.Is(err, eventlog.ErrLegacy):
			r.FirmwareLog = FirmwareLogSHA1
		case err != nil:
			return err
		default:
			r.FirmwareLog, r.SecureBoot = FirmwareLogRequired, SecureBootAny
			if firmware.SecureBoot() == eventlog.SecureBootOn && slices.Contains(sortedPCRs(e.Quote), 7) && !slices.Contains(pin, 7) {
				r.SecureBoot = SecureBootOn
			}
		}
	}
	if data := logs[evidence.LogMeasured]; len(data) > 0 {
		if measured, err = eventlog.ParseMeasured(data); err != nil {
			return err
		}
	}
	expected, err := eventlog.Expect(firmware, measured)
	if err != nil {
		return err
	}
	for _, n := range sortedPCRs(e.Quote) {
		quoted, rule := e.Quote.PCRs[n], PCRRule{PCR: n, Logs: true}
		// With a log that should explain everything, a PCR that it does not explain is a finding, not something to learn.
		pinned := slices.Contains(pin, n) || r.FirmwareLog != FirmwareLogRequired && (measured == nil || measured.PCR != n)
		if pinned && (expected[n] != quoted || r.FirmwareLog == FirmwareLogSHA1 && n < eventlog.FirstMeasuredPCR) {
			rule = PCRRule{PCR: n, Set: Set{Allowed: []string{hex.EncodeToString(quoted[:])}}}
		}
		r.PCRs = append(r.PCRs, rule)
	}
	r.observeEvents(firmware)
	r.observeFiles(&e.Claims, measured)
	return nil
}

// observeEvents makes a rule of each event, and one of those that are the same.
func (r *References) observeEvents(firmware *eventlog.Log) {
	if firmware == nil {
		return
	}
	for i := range firmware.Events {
		e := &firmware.Events[i]
		if e.Type == eventlog.NoAction || !r.logged(e.PCR) {
			continue
		}
		at, d := placeOf(e), hex.EncodeToString(firmware.Digest(e, eventlog.SHA256))
		if slices.ContainsFunc(r.Events, func(o EventRule) bool { return o.place() == at && o.Allowed[0] == d }) {
			continue
		}
		what := e.Text()
		if what == at.name {
			what = ""
		}
		r.Events = append(r.Events, EventRule{PCR: at.pcr, Class: at.class, Name: at.name, What: what, Set: Set{Allowed: []string{d}}})
	}
	slices.SortStableFunc(r.Events, func(a, b EventRule) int { return a.PCR - b.PCR })
}

// observeFiles names the measured files, those of claims in the claims' own rules.
func (r *References) observeFiles(c *evidence.Claims, measured *eventlog.Measured) {
	if measured == nil {
		return
	}
	claimed := map[string]*Rule{}
	for _, x := range []struct {
		claim evidence.Measured
		rule  *Rule
	}{{c.Agent, &r.Agent}, {c.Policy, &r.Policy}, {c.Profile, &r.Profile}, {c.Topics, &r.Topics}, {c.Config, &r.Config}} {
		if x.claim.Label == evidence.PCRBacked && claimed[x.claim.SHA256] == nil {
			claimed[x.claim.SHA256] = x.rule
		}
	}
	for _, f := range measured.Files {
		if rule := claimed[hex.EncodeToString(f.Digest[:])]; rule != nil && rule.File == "" {
			rule.File = f.Path
		}
	}
	for _, f := range measured.Files {
		seen := Set{Allowed: []string{hex.EncodeToString(f.Digest[:])}}
		if i := slices.IndexFunc(r.claims(), func(o namedRule) bool { return o.rule.File == f.Path }); i >= 0 {
			r.claims()[i].rule.add(&seen)
		} else if i := slices.IndexFunc(r.Files, func(o FileRule) bool { return o.Path == f.Path }); i >= 0 {
			r.Files[i].add(&seen)
		} else {
			r.Files = append(r.Files, FileRule{Path: f.Path, Set: seen})
		}
	}
}

// Vary lets every value of some classes of events pass, since they differ from robot to robot: boot entries and partition
// tables name disks. It reports how many rules there were.
func (r *References) Vary(classes []eventlog.Class, why string) (int, error) {
	n := 0
	var out []EventRule
	for i := range r.Events {
		e := r.Events[i]
		if !slices.Contains(classes, e.Class) {
			out = append(out, e)
			continue
		}
		n++
		// One rule for a place; how many events there are differs as well.
		if !slices.ContainsFunc(out, func(o EventRule) bool { return o.place() == e.place() }) {
			out = append(out, EventRule{PCR: e.PCR, Class: e.Class, Name: e.Name, Optional: true, Set: Set{Any: true, Why: why}})
		}
	}
	r.Events = out
	return n, r.Validate()
}

// Observed writes down what the input's evidence and logs show, see [Observe], for comparisons. It verifies nothing.
func (in *Input) Observed() (*References, error) {
	e, err := evidence.Parse(in.Evidence)
	if err != nil {
		return nil, err
	}
	var all []int
	if e.Quote != nil {
		all = sortedPCRs(e.Quote)
	}
	return Observe(e, in.Logs, "observed", all...)
}
