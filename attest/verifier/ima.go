package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
)

// IMARule is what the kernel may have read: every entry of its log of files must be allowed by its path, or by Others.
type IMARule struct {
	// Files are the rules by path. Values are SHA-256 digests of the content.
	Files []FileRule `json:"files,omitempty"`
	// Others is the rule for all other paths, nil if there must be none.
	Others *Set `json:"others,omitempty"`
	// Violations is any, with a reason, where files may be read while somebody writes them; nil where Others decides. Such an
	// entry's path and content are not proven, so no rule by path allows one.
	Violations *Set `json:"violations,omitempty"`
	// Optional lets a robot pass whose kernel keeps no such log and has extended nothing.
	Optional bool `json:"optional,omitempty"`
}

const (
	// maxIMAFiles is the largest number of rules by path.
	maxIMAFiles = 8192
	// maxIMAReasons is how many entries are told; the rest is counted.
	maxIMAReasons = 16
	// bootAggregate is the log's own first entry, about the PCRs that are quoted anyway.
	bootAggregate = "boot_aggregate"
)

// namedSet is a set by its key.
type namedSet struct {
	name string
	set  *Set
}

// sets are the rules that no path has, as far as there are any.
func (r *IMARule) sets() []namedSet {
	return slices.DeleteFunc([]namedSet{{"others", r.Others}, {"violations", r.Violations}}, func(x namedSet) bool { return x.set == nil })
}

// checkIMA checks the rules for the log of files.
func (r *References) checkIMA() error {
	if r.IMA == nil {
		return nil
	}
	switch {
	case !r.logged(eventlog.IMAPCR):
		return fmt.Errorf("ima: nothing proves the log: add {\"pcr\": %d, \"logs\": true}", eventlog.IMAPCR)
	case len(r.IMA.Files) > maxIMAFiles:
		return fmt.Errorf("ima.files: has %d entries: expected at most %d", len(r.IMA.Files), maxIMAFiles)
	}
	seen := map[string]bool{}
	for i := range r.IMA.Files {
		f := &r.IMA.Files[i]
		if err := eventlog.CheckMeasuredPath(f.Path); err != nil {
			return fmt.Errorf("ima.files[%d].path: %w", i, err)
		}
		if seen[f.Path] {
			return fmt.Errorf("ima.files[%d].path: %s has a rule already", i, f.Path)
		}
		seen[f.Path] = true
		if err := f.check(isDigest); err != nil {
			return fmt.Errorf("ima.files[%d]: %w", i, err)
		}
	}
	if r.IMA.Others != nil {
		if err := r.IMA.Others.check(isDigest); err != nil {
			return fmt.Errorf("ima.others: %w", err)
		}
	}
	if v := r.IMA.Violations; v != nil {
		if err := v.check(isDigest); err != nil || !v.Any {
			return errors.New("ima.violations: their content is not known: expected any: true with why, or none")
		}
	}
	return nil
}

// at are the rules as they are at a moment: values that have left are not among them.
func (s Set) at(now time.Time) Set {
	s.Leaving = slices.DeleteFunc(slices.Clone(s.Leaving), func(l Leaving) bool { return !now.Before(l.Until) })
	return s
}

// imaOf names what a judgement about the log of files holds for.
func (r *References) imaOf(now time.Time, boot string, resets uint32) string {
	rule := IMARule{Optional: r.IMA.Optional, Violations: r.IMA.Violations, Files: slices.Clone(r.IMA.Files)}
	for i := range rule.Files {
		rule.Files[i].Set = rule.Files[i].at(now)
	}
	if r.IMA.Others != nil {
		others := r.IMA.Others.at(now)
		rule.Others = &others
	}
	text, err := json.Marshal(struct {
		Rule   IMARule
		Reject []string
		Boot   string
		Resets uint32
	}{rule, r.Reject, boot, resets})
	if err != nil {
		return "" // never: no judgement of before counts then
	}
	return digest(text)
}

// checkIMA replays the log of files to PCR 10, and judges each entry that is proven by it.
func (a *appraisal) checkIMA() bool {
	rule := a.References.IMA
	if a.e.Quote == nil || rule == nil || a.TPM == nil {
		return true
	}
	quoted, ok := a.e.Quote.PCRs[eventlog.IMAPCR]
	parts := a.e.Claims.IMAParts()
	switch {
	case !ok:
		return true // Said already.
	case len(parts) == 0 && rule.Optional && quoted == [sha256.Size]byte{}:
		a.nothingMeasured()
		return true
	case len(parts) == 0:
		a.refuse(EventlogMissing, evidence.LogIMA, "claims that name the kernel's log of files", "none",
			"name the log in the deployment (courier.ima_log), let the courier read it, and switch IMA on in the kernel")
		return true
	}
	known := a.State.imaState(a.References.imaOf(a.Now, a.e.Claims.BootID, a.TPM.ResetCount))
	points := append([]IMAPoint{{PCR: hex.EncodeToString(make([]byte, sha256.Size))}}, known.Points...)
	if known.Ahead != nil {
		points = append(points, *known.Ahead)
	}
	i := slices.IndexFunc(points, func(p IMAPoint) bool { return p.Offset == parts[0] })
	if i < 0 {
		return a.refuseOffset(points[len(points)-1].Offset, parts[0])
	}
	data, ok := a.imaData(parts)
	if !ok {
		return true
	}
	parse := eventlog.ParseIMA
	more := len(data) == evidence.MaxIMAParts*evidence.MaxLog // as much as one evidence takes along
	if more {
		parse = eventlog.ParseIMACut
	}
	entries, err := parse(data)
	if err != nil {
		a.refuse(EventlogMalformed, evidence.LogIMA, "the kernel's log of files, with the template ima-ng, ima-sig or a newer one", err.Error(), "look at the kernel's ima_template; compare the versions of robot and verifier")
		return true
	}
	a.follow(points[i], entries, known, quoted, more)
	return true
}

// follow follows the log from a point to what is quoted, and judges it so far. Without that, the log goes on, or is not the kernel's.
func (a *appraisal) follow(from IMAPoint, entries []eventlog.IMAEntry, known IMAState, quoted [sha256.Size]byte, more bool) {
	next := IMAState{Of: known.Of, Points: known.Points}
	proven, end, ok := replayTo(from, entries, quoted)
	value := eventlog.ReplayIMA(from.value(), eventlog.IMAPCR, entries)
	switch {
	case ok && end == 0: // The register is as the machine started.
		a.nothingMeasured()
		return
	case ok:
		value = quoted
	case more:
		proven, end = entries, from.Offset
		for i := range entries {
			end += int64(entries[i].Size())
		}
	default:
		a.refuse(PCRMismatch, strconv.Itoa(eventlog.IMAPCR), hex.EncodeToString(value[:])+", to which the log of files leads", hex.EncodeToString(quoted[:]),
			"something was extended that the log does not show, or the log was changed: restart the robot, and examine it if that does not help")
		if known.Ahead != nil {
			a.Next.IMA = &next // What was read ahead is not the kernel's, or is not followed by this: from the last point that is.
		}
		return
	}
	before := len(a.Reasons)
	reached := IMAPoint{end, hex.EncodeToString(value[:]), a.judgeIMA(a.References.IMA, proven, from)}
	switch {
	case ok:
		next.Points = after(known.Points, from, reached)
	case known.Ahead != nil && known.Ahead.Offset > end:
		next.Ahead = known.Ahead
	default:
		next.Ahead = &reached
	}
	if len(a.Reasons) == before {
		a.Next.IMA = &next // Only what has passed is left out the next time.
	}
	if !ok {
		a.refuse(EventlogPartial, evidence.LogIMA, "a log of files that leads to PCR "+strconv.Itoa(eventlog.IMAPCR), fmt.Sprintf("its bytes from %d to %d, and more to come", from.Offset, end),
			"nothing: the rest comes when the robot asks again; measure less if that takes too long")
	}
}

// nothingMeasured is about a kernel that names a log and has extended nothing: that proves no more than having none.
func (a *appraisal) nothingMeasured() {
	if a.References.IMA.Optional {
		a.Notes = append(a.Notes, evidence.LogIMA)
		return
	}
	a.refuse(EventlogMissing, evidence.LogIMA, "a log of files that the kernel has begun", "none of it in PCR "+strconv.Itoa(eventlog.IMAPCR)+", which is as the machine started",
		"switch IMA on in the kernel, with a policy, and let it use the TPM")
}

// imaValue is an entry's content as rules name it.
func imaValue(e *eventlog.IMAEntry) string {
	switch {
	case e.Violation:
		return "violation"
	case e.Algorithm == "sha256":
		return hex.EncodeToString(e.Digest)
	case e.Algorithm != "":
		return fmt.Sprintf("%s:%x", e.Algorithm, e.Digest)
	}
	return "data that names no file, template " + strconv.QuoteToASCII(e.Template)
}

// judgeIMA judges the entries behind a point, and says whether violations have passed, there or before. The log's own first one is about
// PCRs that are quoted anyway.
func (a *appraisal) judgeIMA(rule *IMARule, entries []eventlog.IMAEntry, from IMAPoint) (violations bool) {
	files := make(map[string]*Set, len(rule.Files))
	for i := range rule.Files {
		files[rule.Files[i].Path] = &rule.Files[i].Set
	}
	if rule.Others != nil && rule.Others.Any {
		a.Notes = append(a.Notes, "ima-others")
	}
	violations = from.Violations
	type seen struct{ path, value string }
	told := map[seen]bool{}
	for i := range entries {
		e := &entries[i]
		if e.PCR != eventlog.IMAPCR || from.Offset == 0 && i == 0 && e.Path == bootAggregate && !e.Violation {
			continue
		}
		value := imaValue(e)
		set := a.imaSet(rule, files, e)
		violations = violations || e.Violation && set != nil && set.Any
		bad := set == nil || !set.Any && !set.allows(value, a.Now)
		if !bad && !slices.Contains(a.References.Reject, value) || told[seen{e.Path, value}] {
			continue
		}
		told[seen{e.Path, value}] = true
		if len(told) <= maxIMAReasons {
			a.refuseIMA(e, value, set, bad)
		}
	}
	if violations {
		a.Notes = append(a.Notes, "ima-violations")
	}
	if more := len(told) - maxIMAReasons; more > 0 {
		a.refuse(IMAFile, "", "nothing else that is not allowed", fmt.Sprintf("%d more files", more), "deal with the others first")
	}
	return violations
}

// imaSet is what an entry's content may be, nil for nothing.
func (a *appraisal) imaSet(rule *IMARule, files map[string]*Set, e *eventlog.IMAEntry) *Set {
	set, named := files[e.Path]
	switch {
	case e.Violation && rule.Violations != nil:
		return rule.Violations
	case e.Violation:
		return rule.Others // The path is the log's word.
	case e.Algorithm == "" && len(rule.Files)+len(a.References.Reject) > 0:
		return nil // What cannot be read may be any of those files.
	case named:
		return set
	}
	return rule.Others
}

// refuseIMA names one entry that is not allowed.
func (a *appraisal) refuseIMA(e *eventlog.IMAEntry, found string, set *Set, bad bool) {
	path := e.Path
	if path == "" {
		path = fmt.Sprintf("entry %d of the piece", e.Index)
	}
	switch {
	case e.Violation:
		a.refuseValue(IMAFile, "", "no file that is read while somebody writes it", found+" that the log says was of "+path, "find out who writes it; ima.violations allows such, and what they hide is not seen then",
			&value{path, found, nil, true})
	case !bad:
		a.refuse(Rejected, "", "nothing on the list of what is rejected", found+", the file "+path+" that the kernel has read", "update the robot: this is known to be bad")
	case set == nil:
		a.refuseValue(IMAFile, "", "only files that the reference values name", path+" with "+found, "find out what it is; add a rule for it, or measure less (the kernel's IMA policy)",
			&value{path, found, nil, true})
	default:
		a.refuseValue(IMAFile, "", set.text(a.Now)+" for "+path, found, "find out what has changed; allow the value if it is a planned update",
			&value{path, found, set, true})
	}
}

// imaFinding is a finding about a log of files that does not lead to PCR 10.
func (a *appraisal) imaFinding(r Reason) Finding {
	return Finding{
		Cause: Unexplained, Subject: evidence.LogIMA, PCR: eventlog.IMAPCR, Found: r.Found, Remedy: r.Remedy, Backing: evidence.PCRBacked.String(),
		Text: "the kernel's log of files does not lead to the register: expected " + r.Expected,
	}
}
