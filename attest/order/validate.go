package order

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Validate checks everything about an order that does not need keys, clock or robot. It gives the first fault.
func (o *Order) Validate() error {
	if !o.Kind.known() {
		return fmt.Errorf("kind: found %q: expected one of %v", o.Kind, Kinds())
	}
	if !isHex(o.ID, 32, 32) {
		return fmt.Errorf("id: found %q: expected 32 lower-case hexadecimal digits", clip(o.ID))
	}
	checks := []func() error{o.checkAudience, o.checkSequence, o.checkTimes, o.checkBinding, o.checkBody}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return checkReason(o.Reason)
}

func (o *Order) checkAudience() error {
	if n := len(o.Audience); n == 0 || n > MaxAudience {
		return fmt.Errorf("audience: has %d entries: expected 1 to %d", n, MaxAudience)
	}
	for i, a := range o.Audience {
		switch {
		case slices.Contains(o.Audience[:i], a):
			return fmt.Errorf("audience[%d]: %q comes twice", i, clip(a))
		case a == "*" && !rules[o.Kind].everyone:
			return fmt.Errorf("audience[%d]: \"*\" is for stops only: name the robots or a group", i)
		case a == "*" || IsRobotID(a):
		case !isGroup(a):
			return fmt.Errorf("audience[%d]: found %q: expected \"manufacturer/serial\" or \"group:name\"", i, clip(a))
		}
	}
	if o.Kind.Bound() && (len(o.Audience) != 1 || !IsRobotID(o.Audience[0])) {
		return fmt.Errorf("audience: a %s is for exactly one robot, named as \"manufacturer/serial\"", o.Kind)
	}
	return nil
}

func (o *Order) checkSequence() error {
	switch {
	case o.Kind.Sequenced() && (o.Sequence == 0 || o.Sequence > MaxSequence):
		return fmt.Errorf("sequence: a %s needs one from 1 to %d, higher than that of the one before it", o.Kind, uint64(MaxSequence))
	case !o.Kind.Sequenced() && o.Sequence != 0:
		return fmt.Errorf("sequence: a %s has none, its id is used up instead", o.Kind)
	}
	return nil
}

func (o *Order) checkTimes() error {
	if err := checkMoment("not_before", o.NotBefore); err != nil {
		return err
	}
	if err := checkMoment("not_after", o.NotAfter); err != nil {
		return err
	}
	span, limit := o.NotAfter.Sub(o.NotBefore), rules[o.Kind].maxValidity
	if span <= 0 || span > limit {
		return fmt.Errorf("not_after: is %s after not_before: a %s is valid for more than 0 and at most %s", span, o.Kind, limit)
	}
	return nil
}

// checkMoment demands what an order can write without loss. The years keep sums of times far from any overflow.
func checkMoment(name string, t time.Time) error {
	if t.Nanosecond() != 0 || t.Location() != time.UTC || t.Year() < 2000 || t.Year() > 2199 {
		return fmt.Errorf("%s: found %s: expected UTC in whole seconds, years 2000 to 2199", name, t.Format(time.RFC3339Nano))
	}
	return nil
}

func (o *Order) checkBinding() error {
	b := o.Binding
	if b.BootID != "" && !isBootID(b.BootID) {
		return fmt.Errorf("binding.boot_id: found %q: expected a lower-case UUID as in /proc/sys/kernel/random/boot_id", clip(b.BootID))
	}
	if b.Nonce != "" && !isHex(b.Nonce, 32, 64) {
		return fmt.Errorf("binding.nonce: found %q: expected 32 to 64 lower-case hexadecimal digits", clip(b.Nonce))
	}
	if rules[o.Kind].boundTwice && (b.BootID == "" || b.Nonce == "") {
		return fmt.Errorf("binding: a %s needs the robot's boot_id and the guard's nonce, both", o.Kind)
	}
	if o.Kind.Bound() && b == (Binding{}) {
		return fmt.Errorf("binding: a %s needs the robot's boot_id, the guard's nonce, or both", o.Kind)
	}
	return nil
}

func (o *Order) checkBody() error {
	set := 0
	for _, present := range []bool{
		o.Stop != nil, o.Reset != nil, o.Grant != nil, o.PolicySet != nil, o.KeyList != nil, o.AttestationResult != nil, o.Release != nil,
		o.Override != nil, o.Session != nil, o.Halt != nil,
	} {
		if present {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("body: found %d bodies: expected one, that of a %s", set, o.Kind)
	}
	switch {
	case o.Kind == KindStop && o.Stop != nil:
		return o.Stop.check()
	case o.Kind == KindReset && o.Reset != nil:
		return o.Reset.check()
	case o.Kind == KindGrant && o.Grant != nil:
		return o.Grant.check(o)
	case o.Kind == KindPolicySet && o.PolicySet != nil:
		return o.PolicySet.check()
	case o.Kind == KindKeyList && o.KeyList != nil:
		return o.KeyList.check()
	case o.Kind == KindAttestationResult && o.AttestationResult != nil:
		return o.AttestationResult.check()
	case o.Kind == KindRelease && o.Release != nil:
		return o.Release.check()
	case o.Kind == KindOverride && o.Override != nil:
		return o.Override.check(o)
	case o.Kind == KindSession && o.Session != nil:
		return o.Session.check(o)
	case o.Kind == KindHalt && o.Halt != nil:
		return o.Halt.check()
	}
	return fmt.Errorf("body: is not that of a %s", o.Kind)
}

func (s *Stop) check() error {
	if s.Category != 1 && s.Category != 2 {
		return fmt.Errorf("body.category: found %d: expected stop category 1 or 2 of IEC 60204-1", s.Category)
	}
	return nil
}

func (r *Reset) check() error {
	if r.All == (len(r.Triggers) > 0) {
		return errors.New("body: expected either triggers or all: true")
	}
	if len(r.Triggers) > MaxTriggers {
		return fmt.Errorf("body.triggers: has %d entries: expected at most %d", len(r.Triggers), MaxTriggers)
	}
	for i, t := range r.Triggers {
		if !isName(t, "._-") {
			return fmt.Errorf("body.triggers[%d]: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\"", i, clip(t))
		}
		if slices.Contains(r.Triggers[:i], t) {
			return fmt.Errorf("body.triggers[%d]: %q comes twice", i, t)
		}
	}
	return nil
}

func (g *Grant) check(o *Order) error {
	if g.Scope != ScopeZone && g.Scope != ScopeEgress {
		return fmt.Errorf("body.scope: found %q: expected %q or %q", clip(string(g.Scope)), ScopeZone, ScopeEgress)
	}
	if !isWord(g.Zone, "._:-") {
		return fmt.Errorf("body.zone: found %q: expected a zone id, 1 to 64 of A-Z, a-z, 0-9 and \"._:-\"", clip(g.Zone))
	}
	if !(g.MaxSpeedMPS > 0 && g.MaxSpeedMPS <= MaxSpeedMPS) {
		return fmt.Errorf("body.max_speed_mps: found %v: expected above 0 and at most %v", g.MaxSpeedMPS, MaxSpeedMPS)
	}
	if err := checkMoment("body.expires", g.Expires); err != nil {
		return err
	}
	if span := g.Expires.Sub(o.NotBefore); span <= 0 || span > day {
		return fmt.Errorf("body.expires: is %s after not_before: expected more than 0 and at most %s", span, day)
	}
	return g.checkAnswer()
}

func (g *Grant) checkAnswer() error {
	switch g.Answer {
	case AnswerGranted, AnswerQueued, AnswerRejected, AnswerRevoked:
	default:
		return fmt.Errorf("body.answer: found %q: expected %q, %q or %q, or no answer for a grant",
			clip(string(g.Answer)), AnswerQueued, AnswerRejected, AnswerRevoked)
	}
	if g.Answer != AnswerGranted && g.Scope != ScopeZone {
		return fmt.Errorf("body.answer: is for scope %q only", ScopeZone)
	}
	if len(g.Facts) > 0 && (g.Scope != ScopeZone || g.Answer != AnswerGranted) {
		return fmt.Errorf("body.facts: are for a grant of scope %q only", ScopeZone)
	}
	for i, f := range g.Facts {
		if f != FactBadge && f != FactDoor && f != FactTask {
			return fmt.Errorf("body.facts[%d]: found %q: expected %q, %q or %q", i, clip(string(f)), FactBadge, FactDoor, FactTask)
		}
		if slices.Contains(g.Facts[:i], f) {
			return fmt.Errorf("body.facts[%d]: %q comes twice", i, f)
		}
	}
	return nil
}

func (p *PolicySet) check() error {
	if len(p.Policy) == 0 {
		return errors.New("body.policy: is empty")
	}
	for _, d := range []struct{ name, hex string }{
		{"policy", p.PolicySHA256}, {"profile", p.ProfileSHA256}, {"topics", p.TopicsSHA256},
	} {
		if !isHex(d.hex, 64, 64) {
			return fmt.Errorf("body.%s_sha256: found %q: expected 64 lower-case hexadecimal digits", d.name, clip(d.hex))
		}
	}
	if got := Digest(p.Policy); got != p.PolicySHA256 {
		return fmt.Errorf("body.policy_sha256: is %s, but the policy has %s", p.PolicySHA256, got)
	}
	return nil
}

func (r *AttestationResult) check() error {
	if r.Verdict != VerdictAccepted && r.Verdict != VerdictRefused {
		return fmt.Errorf("body.verdict: found %q: expected %q or %q", clip(string(r.Verdict)), VerdictAccepted, VerdictRefused)
	}
	if r.Tier != TierTPM && r.Tier != TierSoftwareKey {
		return fmt.Errorf("body.tier: found %q: expected %q or %q", clip(string(r.Tier)), TierTPM, TierSoftwareKey)
	}
	if !isHex(r.EvidenceSHA256, 64, 64) {
		return fmt.Errorf("body.evidence_sha256: found %q: expected 64 lower-case hexadecimal digits", clip(r.EvidenceSHA256))
	}
	if n := len(r.Reasons); n > MaxResultReasons || (n == 0 && r.Verdict == VerdictRefused) {
		return fmt.Errorf("body.reasons: has %d entries: expected at most %d, and at least one of a refusal", n, MaxResultReasons)
	}
	for i, code := range r.Reasons {
		if !isName(code, "._:-") {
			return fmt.Errorf("body.reasons[%d]: found %q: expected 1 to 64 of a-z, 0-9 and \"._:-\"", i, clip(code))
		}
		if slices.Contains(r.Reasons[:i], code) {
			return fmt.Errorf("body.reasons[%d]: %q comes twice", i, code)
		}
	}
	return nil
}

func (l *KeyList) check() error {
	if n := len(l.Keys); n == 0 || n > MaxKeys {
		return fmt.Errorf("body.keys: has %d entries: expected 1 to %d", n, MaxKeys)
	}
	roots := 0
	for i := range l.Keys {
		k := &l.Keys[i]
		if err := k.check(); err != nil {
			return fmt.Errorf("body.keys[%d].%w", i, err)
		}
		if first := l.Find(k.ID); first != k {
			return fmt.Errorf("body.keys[%d].id: %s comes twice", i, k.ID)
		}
		if slices.Contains(k.Roles, RoleRoot) {
			roots++
		}
	}
	if len(l.Authorities) > maxAuthorities {
		return fmt.Errorf("body.authorities: has %d entries: expected at most %d", len(l.Authorities), maxAuthorities)
	}
	for i := range l.Authorities {
		if err := l.Authorities[i].check(); err != nil {
			return fmt.Errorf("body.authorities[%d].%w", i, err)
		}
	}
	if roots == 0 {
		return errors.New("body.keys: no key has the role root, so the list could never be replaced")
	}
	return l.checkRequired()
}

func (l *KeyList) checkRequired() error {
	for _, kind := range slices.Sorted(maps.Keys(l.RequiredSigners)) {
		n := l.RequiredSigners[kind]
		switch {
		case !kind.known():
			return fmt.Errorf("body.required_signers: %q is no kind: expected one of %v", clip(string(kind)), Kinds())
		case kind == KindStop:
			return errors.New("body.required_signers.stop: cannot be set: one person must always be able to stop a robot")
		case n < 1 || n > MaxSignatures:
			return fmt.Errorf("body.required_signers.%s: found %d: expected 1 to %d", kind, n, MaxSignatures)
		}
		persons := map[string]bool{}
		for i := range l.Keys {
			if l.Keys[i].maySign(kind) {
				persons[l.Keys[i].Person] = true
			}
		}
		if len(persons) < n {
			return fmt.Errorf("body.required_signers.%s: is %d, but only %d persons in the list may sign one", kind, n, len(persons))
		}
	}
	return nil
}

func (k *Key) check() error {
	id, err := k.fingerprint()
	if err != nil {
		return fmt.Errorf("pem: %w", err)
	}
	if k.ID != id {
		return fmt.Errorf("id: found %q: the key's id is %q", clip(k.ID), id)
	}
	if !isName(k.Person, "._-@") {
		return fmt.Errorf("person: found %q: expected 1 to 64 of a-z, 0-9 and \"._-@\"", clip(k.Person))
	}
	if len(k.Roles) == 0 {
		return errors.New("roles: is empty")
	}
	for i, r := range k.Roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("roles[%d]: found %q: expected one of %v", i, clip(string(r)), Roles())
		}
		if slices.Contains(k.Roles[:i], r) {
			return fmt.Errorf("roles[%d]: %q comes twice", i, r)
		}
	}
	if err := checkMoment("not_before", k.NotBefore); err != nil {
		return err
	}
	if err := checkMoment("not_after", k.NotAfter); err != nil {
		return err
	}
	if !k.NotAfter.After(k.NotBefore) {
		return errors.New("not_after: is not after not_before")
	}
	return nil
}

// checkReason demands one printable line: tools show it on terminals, where control and direction characters could
// make an order look like another one.
func checkReason(s string) error {
	if strings.TrimSpace(s) == "" || len(s) > MaxReason {
		return fmt.Errorf("reason: has %d bytes: expected 1 to %d that say why", len(s), MaxReason)
	}
	if !utf8.ValidString(s) {
		return errors.New("reason: is not UTF-8")
	}
	for i, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("reason: byte %d is %U: expected printable characters on one line", i, r)
		}
	}
	return nil
}

// Digest returns the SHA-256 of a document in lower-case hexadecimal digits, as orders pin it.
func Digest(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// marshalPlain writes JSON without escaping for HTML, which would only make the reason harder to read.
func marshalPlain(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the order: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
