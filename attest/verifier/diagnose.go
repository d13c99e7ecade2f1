package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
)

// maxTries bounds the replays that one diagnosis may cost, in extensions.
const maxTries = 4 << 20

// step is one extension of a PCR as the logs show it.
type step struct {
	digest [sha256.Size]byte
	event  *eventlog.Event // Nil for a measured file.
	file   string
}

func (s step) subject() string {
	if s.event != nil {
		return placeOf(s.event).subject()
	}
	return s.file
}

func (s step) words() string {
	if s.event != nil {
		return fmt.Sprintf("event %d (%v)", s.event.Index, s.event.Type)
	}
	return "the measured file " + s.file
}

type pcrValue = [sha256.Size]byte

func extended(from, by pcrValue) pcrValue {
	return sha256.Sum256(append(from[:], by[:]...))
}

// diagnosis is the search for what would explain a PCR that its logs do not lead to.
type diagnosis struct {
	pcr    int
	start  pcrValue
	quoted pcrValue
	steps  []step
	before []pcrValue // before[i] is the value before step i; the last is the logs' end.
	left   int        // Extensions that may still be tried.
}

// reaches reports whether the steps from i on lead from a value to the quoted one.
func (d *diagnosis) reaches(from pcrValue, i int) bool {
	for _, s := range d.steps[min(i, len(d.steps)):] {
		if d.left--; d.left < 0 {
			return false
		}
		from = extended(from, s.digest)
	}
	return from == d.quoted
}

// diagnose finds out what a quoted PCR and its logs show together. One change is looked for: an event that was not
// extended, another one in its place, two that changed places, one more at the end.
func (a *appraisal) diagnose(pcr int, r Reason) Finding {
	d := a.newDiagnosis(pcr)
	f := Finding{PCR: pcr, Subject: fmt.Sprintf("PCR %d", pcr), Found: r.Found, Backing: evidence.PCRBacked.String(), Remedy: r.Remedy}
	f.Accepted = []string{hex.EncodeToString(d.end())} // The register's value; what is said of single events is in the text.
	for _, try := range []func(*Finding, *appraisal) bool{d.missing, d.tail, d.locality, d.replaced, d.swapped, d.added} {
		if try(&f, a) {
			return f
		}
	}
	f.Cause = Unexplained
	f.Text = fmt.Sprintf("PCR %d (%s): something was extended that neither the log nor the reference values know", pcr, eventlog.PCRUse(pcr))
	return f
}

func (d *diagnosis) end() []byte { v := d.before[len(d.before)-1]; return v[:] }

func (a *appraisal) newDiagnosis(pcr int) *diagnosis {
	d := &diagnosis{pcr: pcr, quoted: a.e.Quote.PCRs[pcr], left: maxTries}
	empty, err := eventlog.Expect(nil)
	if err == nil {
		d.start = empty[pcr]
	}
	if a.firmware != nil {
		if pcr == 0 {
			d.start[sha256.Size-1] = byte(a.firmware.StartupLocality)
		}
		for i := range a.firmware.Events {
			e := &a.firmware.Events[i]
			if e.PCR == pcr && e.Type != eventlog.NoAction {
				d.steps = append(d.steps, step{digest: pcrValue(a.firmware.Digest(e, eventlog.SHA256)), event: e})
			}
		}
	}
	if a.measured != nil && a.measured.PCR == pcr {
		for _, f := range a.measured.Files {
			d.steps = append(d.steps, step{digest: f.Extended(), file: f.Path})
		}
	}
	v := d.start
	d.before = append(d.before, v)
	for _, s := range d.steps {
		v = extended(v, s.digest)
		d.before = append(d.before, v)
	}
	return d
}

// about points a finding at a step.
func (f *Finding) about(s step) {
	f.Subject = s.subject()
	if s.event != nil {
		f.Event, f.What = s.event.Index, s.event.Text()
	}
}

// missing looks for one event that the log shows and that was not extended.
func (d *diagnosis) missing(f *Finding, _ *appraisal) bool {
	for i, s := range d.steps {
		if d.reaches(d.before[i], i+1) {
			f.Cause = NotExtended
			f.about(s)
			f.Text = fmt.Sprintf("PCR %d: the log shows %s, which was not extended", d.pcr, s.words())
			return true
		}
	}
	return false
}

// tail looks for a log that goes on after the last event that was extended.
func (d *diagnosis) tail(f *Finding, _ *appraisal) bool {
	i := slices.Index(d.before, d.quoted)
	if i < 0 || i == len(d.steps) {
		return false
	}
	f.Cause = NotExtended
	f.about(d.steps[i])
	f.Text = fmt.Sprintf("PCR %d: the log shows %s and %d more, none of which was extended", d.pcr, d.steps[i].words(), len(d.steps)-i-1)
	if i == 0 {
		f.Text = fmt.Sprintf("PCR %d: nothing was extended at all; the log shows %s and %d more", d.pcr, d.steps[i].words(), len(d.steps)-1)
	}
	return true
}

// locality looks for another start of PCR 0.
func (d *diagnosis) locality(f *Finding, _ *appraisal) bool {
	for l := byte(0); d.pcr == 0 && l <= 4; l++ {
		start := pcrValue{sha256.Size - 1: l}
		if start != d.start && d.reaches(start, 0) {
			f.Cause, f.Subject = OtherLocality, "StartupLocality"
			f.Text = fmt.Sprintf("PCR 0: the TPM was started from locality %d, and the log says %d", l, d.start[sha256.Size-1])
			return true
		}
	}
	return false
}

// known are the digests that reference values know, and what they are: rejected ones, and those of any event, first of all
// in this PCR.
func (a *appraisal) known(pcr int) map[pcrValue]string {
	out := map[pcrValue]string{}
	put := func(v, what string) {
		if b, err := hex.DecodeString(v); err == nil && len(b) == sha256.Size && out[pcrValue(b)] == "" {
			out[pcrValue(b)] = what
		}
	}
	for _, v := range a.References.Reject {
		put(v, "on the list reject")
	}
	for _, here := range []bool{true, false} {
		for i := range a.References.Events {
			e := &a.References.Events[i]
			if (e.PCR == pcr) != here {
				continue
			}
			what := "allowed for " + e.place().String()
			if e.What != "" {
				what += fmt.Sprintf(" (%s)", e.What)
			}
			for _, v := range e.Allowed {
				put(v, what)
			}
			for _, l := range e.Leaving {
				put(l.Value, what)
			}
		}
	}
	return out
}

// replaced looks for one event whose digest in the log is not the one that was extended, if that is a known one.
func (d *diagnosis) replaced(f *Finding, a *appraisal) bool {
	known := a.known(d.pcr)
	for i, s := range d.steps {
		for v, what := range known {
			if v != s.digest && d.reaches(extended(d.before[i], v), i+1) {
				f.Cause = OtherDigest
				f.about(s)
				f.Found, f.Accepted = hex.EncodeToString(v[:]), []string{hex.EncodeToString(s.digest[:])}
				f.Text = fmt.Sprintf("PCR %d: the log shows %s with a digest that was not extended; what was extended is %s", d.pcr, s.words(), what)
				return true
			}
		}
	}
	return false
}

// swapped looks for two neighbours that were extended the other way round.
func (d *diagnosis) swapped(f *Finding, _ *appraisal) bool {
	for i := 1; i < len(d.steps); i++ {
		v := extended(extended(d.before[i-1], d.steps[i].digest), d.steps[i-1].digest)
		if d.reaches(v, i+1) {
			f.Cause = OtherOrder
			f.about(d.steps[i-1])
			f.Text = fmt.Sprintf("PCR %d: %s and %s were extended the other way round", d.pcr, d.steps[i-1].words(), d.steps[i].words())
			return true
		}
	}
	return false
}

// added looks for one known value between the log's events or after them.
func (d *diagnosis) added(f *Finding, a *appraisal) bool {
	known := a.known(d.pcr)
	for i := len(d.steps); i >= 0; i-- {
		for v, what := range known {
			if d.reaches(extended(d.before[i], v), i) {
				f.Cause, f.Found, f.Accepted = Unlogged, hex.EncodeToString(v[:]), nil
				f.Text = fmt.Sprintf("PCR %d: a value was extended after %d events that the log does not show; it is %s", d.pcr, i, what)
				return true
			}
		}
	}
	return false
}
