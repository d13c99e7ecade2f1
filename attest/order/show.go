package order

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report says what an envelope holds, for a person who is about to trust it.
type Report struct {
	// Order is what the envelope holds, nil when it cannot be read.
	Order *Order
	// Digest is the SHA-256 of the payload in hexadecimal digits, "" when it cannot be read.
	Digest string
	// Signatures are all of them, good or bad.
	Signatures []SignatureReport
	// Err is why the order would be refused, or nil. Audience, boot, nonce and earlier use are for the robot to judge.
	Err error
}

// SignatureReport is one signature of an envelope.
type SignatureReport struct {
	// KeyID is the id that the envelope gives.
	KeyID string
	// Person and Roles are those of the key list, empty when the signature is not good.
	Person string
	Roles  []Role
	// Demo marks a key for demonstrations.
	Demo bool
	// Err is why the signature is not good, or nil.
	Err error
}

// OpenKeyList reads a signed key list. With roots, one of them must have signed it; without, only the list's own
// rules are checked, and whoever uses it has to know where it came from.
func OpenKeyList(envelope []byte, roots []crypto.PublicKey) (*KeyList, error) {
	v := &Verifier{cfg: Config{AllowDemo: true}}
	var err error
	if len(roots) > 0 {
		v.ring, err = pinnedRing(roots, 1)
	} else {
		v.ring, err = selfRing(envelope)
	}
	if err != nil {
		return nil, err
	}
	x, refusal := v.openKeyList(envelope)
	if refusal != nil {
		return nil, refusal
	}
	return x.Order.KeyList, nil
}

// selfRing returns the keys that a key list names, so that it can be judged by its own rules.
func selfRing(envelope []byte) (*ring, error) {
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	o, err := Decode(env.Payload)
	switch {
	case err != nil:
		return nil, err
	case o.Kind != KindKeyList:
		return nil, refuse(Malformed, "give a key list", "found a %s: expected a key list", o.Kind)
	}
	return newRing(o.KeyList)
}

// Inspect reads an envelope and judges it by a key list, as far as that is possible away from the robot. Without a
// list, a key list is judged by its own keys and everything else is refused with NoKeyList. Demonstration keys are
// accepted and marked.
func Inspect(envelope []byte, list *KeyList, now Times) *Report {
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return &Report{Err: err}
	}
	r := &Report{Digest: fmt.Sprintf("%x", sha256.Sum256(env.Payload))}
	if r.Order, err = Decode(env.Payload); err != nil {
		r.Err = err
	}
	if list == nil && r.Order != nil {
		list = r.Order.KeyList
	}
	ring := &ring{}
	if list != nil {
		if ring, err = newRing(list); err != nil {
			r.Err = &Error{Reason: Malformed, Detail: "the key list cannot be used", Err: err}
			return r
		}
	}
	for _, s := range ring.check(env, env.PAE()) {
		line := SignatureReport{KeyID: s.keyID}
		if s.err != nil {
			line.Err = s.err
		} else {
			line.Person, line.Roles, line.Demo = s.key.Person, s.key.Roles, s.key.Demo
		}
		r.Signatures = append(r.Signatures, line)
	}
	if r.Err == nil {
		v := &Verifier{cfg: Config{AllowDemo: true}, ring: ring}
		if refusal := v.judgeHere(r.Order, env, now); refusal != nil {
			r.Err = refusal
		}
	}
	return r
}

// judgeHere judges what can be judged away from the robot.
func (v *Verifier) judgeHere(o *Order, env *Envelope, now Times) *Error {
	results := v.ring.check(env, env.PAE())
	if _, refusal := v.openPayload(env, results); refusal != nil {
		return refusal
	}
	inTime, refusal := v.checkTime(now, o, false)
	if refusal != nil {
		return refusal
	}
	if _, refusal = v.ring.judge(o.Kind, goodOnes(results), true, inTime); refusal != nil {
		return refusal
	}
	if o.Kind == KindKeyList {
		return v.checkSelf(o.KeyList, env, env.PAE())
	}
	return nil
}

// Show returns the report of [Inspect] as text: what the order would do, to whom, when, who signed it, and whether it
// verifies.
func Show(envelope []byte, list *KeyList, now Times) string {
	return Inspect(envelope, list, now).Text()
}

// line writes one fact.
func line(b *strings.Builder, name, format string, args ...any) {
	fmt.Fprintf(b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
}

// Describe writes what the order would do, to whom and when, in plain words, one fact a line, without a verdict. It is
// empty when the order cannot be read.
func (r *Report) Describe() string {
	o := r.Order
	if o == nil {
		return ""
	}
	var b strings.Builder
	line(&b, "order", "%s %s", o.Kind, o.ID)
	for _, s := range o.effects() {
		line(&b, "does", "%s", s)
	}
	line(&b, "reason", "%s", o.Reason)
	line(&b, "for", "%s", strings.Join(o.Audience, ", "))
	valid := "from " + stamp(o.NotBefore) + " until " + stamp(o.NotAfter)
	if o.Kind == KindStop {
		valid += "; a stop counts outside of that as well, the first time it comes"
	}
	line(&b, "valid", "%s", valid)
	if o.Sequence != 0 {
		line(&b, "sequence", "%d", o.Sequence)
	}
	if o.Binding.BootID != "" {
		line(&b, "bound to", "boot %s", o.Binding.BootID)
	}
	if o.Binding.Nonce != "" {
		line(&b, "bound to", "nonce %s", o.Binding.Nonce)
	}
	return b.String()
}

// Text writes the whole report: what [Report.Describe] says, who signed, and the verdict.
func (r *Report) Text() string {
	var b strings.Builder
	b.WriteString(r.Describe())
	if r.Digest != "" {
		line(&b, "digest", "sha256:%s", r.Digest)
	}
	for _, s := range r.Signatures {
		switch {
		case s.Err != nil:
			line(&b, "signature", "NOT GOOD %s: %v", s.KeyID, s.Err)
		case s.Demo:
			line(&b, "signature", "good, %s %v, DEMONSTRATION KEY %s", s.Person, s.Roles, s.KeyID)
		default:
			line(&b, "signature", "good, %s %v, key %s", s.Person, s.Roles, s.KeyID)
		}
	}
	if r.Err != nil {
		line(&b, "verdict", "REFUSED: %v", r.Err)
	} else {
		line(&b, "verdict", "verifies; the robot still checks audience, boot, nonce and that it was not used before")
	}
	return b.String()
}

// effects says what the order would do.
func (o *Order) effects() []string {
	switch {
	case o.Stop != nil && o.Stop.Category == 1:
		return []string{"stops the robot, category 1: controlled, then power to the drives is removed"}
	case o.Stop != nil:
		return []string{"stops the robot, category 2: controlled, power to the drives stays"}
	case o.Reset != nil && o.Reset.All:
		return []string{"clears every latched trigger that the signers may clear"}
	case o.Reset != nil:
		return []string{"clears the latched triggers " + strings.Join(o.Reset.Triggers, ", ")}
	case o.Grant != nil:
		return []string{o.Grant.effect()}
	case o.PolicySet != nil:
		p := o.PolicySet
		return []string{
			fmt.Sprintf("puts revision %d of the policy in force: %d bytes, sha256:%s", o.Sequence, len(p.Policy), p.PolicySHA256),
			"only with the robot profile sha256:" + p.ProfileSHA256,
			"only with the topic mapping sha256:" + p.TopicsSHA256,
		}
	case o.KeyList != nil:
		return o.KeyList.effects()
	case o.AttestationResult != nil:
		return o.AttestationResult.effects()
	case o.Release != nil:
		return o.Release.effects()
	case o.Override != nil:
		return []string{o.Override.effect()}
	case o.Session != nil:
		return []string{o.Session.effect()}
	case o.Halt != nil:
		return []string{o.Halt.effect()}
	}
	return nil
}

func (r *AttestationResult) effects() []string {
	what := "tells the guard that the verifier ACCEPTS what the robot has proven"
	if r.Verdict == VerdictRefused {
		what = "tells the guard that the verifier REFUSES what the robot says about itself"
	}
	by := "quoted by a TPM"
	if r.Tier == TierSoftwareKey {
		by = "signed with a SOFTWARE KEY, so it is the robot's own word"
	}
	out := []string{what, "judged from evidence sha256:" + r.EvidenceSHA256 + ", " + by}
	if len(r.Reasons) > 0 {
		out = append(out, "reasons: "+strings.Join(r.Reasons, ", "))
	}
	return out
}

func (g *Grant) effect() string {
	if g.Answer != AnswerGranted {
		return fmt.Sprintf("says of the robot's request for zone %s that it is %s: the robot may not enter", g.Zone, g.Answer)
	}
	what := "lets the robot be inside zone "
	if g.Scope == ScopeEgress {
		what = "lets the robot move to leave zone "
	}
	s := fmt.Sprintf("%s%s at up to %v m/s until %s", what, g.Zone, g.MaxSpeedMPS, stamp(g.Expires))
	if g.SingleUse {
		s += ", once"
	}
	var facts strings.Builder
	for _, f := range g.Facts {
		facts.WriteString(", vouching for the " + string(f))
	}
	return s + facts.String()
}

func (l *KeyList) effects() []string {
	out := []string{fmt.Sprintf("makes these %d keys the only ones that count", len(l.Keys))}
	for i := range l.Keys {
		k := &l.Keys[i]
		s := fmt.Sprintf("key %s: %s %v until %s", k.ID, k.Person, k.Roles, stamp(k.NotAfter))
		if k.Demo {
			s += ", DEMONSTRATION"
		}
		out = append(out, s)
	}
	for i := range l.Authorities {
		a := &l.Authorities[i]
		who := "everybody whom it certified"
		if len(a.Identities) > 0 {
			who = fmt.Sprintf("%q", a.Identities)
		}
		if a.Use == UseTimestamp {
			who = "when a signature was made"
		}
		out = append(out, fmt.Sprintf("authority %s believed for %s: %s", a.Name, a.Use, who))
	}
	for _, kind := range slices.Sorted(maps.Keys(l.RequiredSigners)) {
		out = append(out, fmt.Sprintf("a %s needs %d persons", kind, l.RequiredSigners[kind]))
	}
	return out
}
