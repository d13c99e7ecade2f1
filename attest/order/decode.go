package order

import (
	"encoding/base64"
	"fmt"
	"time"
)

// Decode reads an order and checks everything that can be checked without keys, clock or robot. Every refusal is an
// [Error] with reason Malformed or Oversize.
func Decode(payload []byte) (*Order, error) {
	const remedy = "sign the order again with robowarden-station of this version"
	if len(payload) > MaxPolicyPayload {
		return nil, refuse(Oversize, "shorten the policy", "the order has %d bytes: at most %d are read", len(payload), MaxPolicyPayload)
	}
	o, err := decode(payload)
	if err == nil {
		err = o.Validate()
	}
	if err != nil {
		e := refuse(Malformed, remedy, "the order is not well formed")
		e.Err = err
		return nil, e
	}
	if limit := rules[o.Kind].maxPayload; len(payload) > limit {
		return nil, refuse(Oversize, "split the order", "the %s order has %d bytes: at most %d are read", o.Kind, len(payload), limit)
	}
	return o, nil
}

func decode(payload []byte) (*Order, error) {
	v, err := parseJSON(payload)
	if err != nil {
		return nil, err
	}
	var fault error
	top := asObject(&v, "", &fault)
	o := &Order{
		Kind: Kind(top.str("kind")), ID: top.str("id"), Audience: top.strs("audience", MaxAudience),
		NotBefore: top.moment("not_before"), NotAfter: top.moment("not_after"), Reason: top.str("reason"),
	}
	if top.optional("sequence") != nil {
		if o.Sequence = top.integer("sequence"); o.Sequence == 0 {
			top.fail("sequence", "is 0: sequences begin at 1")
		}
	}
	if top.optional("binding") != nil {
		b := top.object("binding")
		o.Binding = Binding{BootID: b.optStr("boot_id"), Nonce: b.optStr("nonce")}
		if o.Binding == (Binding{}) {
			top.fail("binding", "binds nothing: leave the key out instead")
		}
		b.done()
	}
	body := top.object("body")
	top.done()
	o.decodeBody(&body)
	body.done()
	return o, fault
}

// decodeBody reads the body that the kind names.
func (o *Order) decodeBody(b *object) {
	switch o.Kind {
	case KindStop:
		o.Stop = &Stop{Category: b.small("category", 2)}
	case KindReset:
		o.Reset = &Reset{All: b.optTrue("all")}
		if b.optional("triggers") != nil {
			o.Reset.Triggers = b.strs("triggers", MaxTriggers)
		}
	case KindGrant:
		o.Grant = &Grant{
			Scope: Scope(b.str("scope")), Zone: b.str("zone"), MaxSpeedMPS: b.float("max_speed_mps"),
			Expires: b.moment("expires"), SingleUse: b.boolean("single_use"), Answer: Answer(b.optStr("answer")),
		}
		if b.optional("facts") != nil {
			for _, f := range b.strs("facts", maxFacts) {
				o.Grant.Facts = append(o.Grant.Facts, Fact(f))
			}
		}
	case KindPolicySet:
		o.PolicySet = &PolicySet{
			Policy: b.base64("policy"), PolicySHA256: b.str("policy_sha256"),
			ProfileSHA256: b.str("profile_sha256"), TopicsSHA256: b.str("topics_sha256"),
		}
	case KindKeyList:
		o.KeyList = decodeKeyList(b)
	case KindOverride:
		o.Override = decodeOverride(b)
	case KindSession:
		o.Session = decodeSession(b)
	case KindHalt:
		o.Halt = &Halt{Version: b.str("version")}
	case KindAttestationResult:
		o.AttestationResult = &AttestationResult{
			Verdict: Verdict(b.str("verdict")), Tier: Tier(b.str("tier")), EvidenceSHA256: b.str("evidence_sha256"),
		}
		if b.optional("reasons") != nil {
			o.AttestationResult.Reasons = b.strs("reasons", MaxResultReasons)
		}
	case KindRelease:
		o.Release = decodeRelease(b)
	}
}

func decodeKeyList(b *object) *KeyList {
	list := &KeyList{}
	for i, v := range b.array("keys", MaxKeys) {
		e := asObject(&v, join(b.path, fmt.Sprintf("keys[%d]", i)), b.fault)
		key := Key{
			ID: e.str("id"), PEM: e.str("pem"), Person: e.str("person"),
			NotBefore: e.moment("not_before"), NotAfter: e.moment("not_after"), Demo: e.optTrue("demo"),
		}
		for _, r := range e.strs("roles", len(Roles())) {
			key.Roles = append(key.Roles, Role(r))
		}
		e.done()
		list.Keys = append(list.Keys, key)
	}
	if b.optional("authorities") != nil {
		for i, v := range b.array("authorities", maxAuthorities) {
			e := asObject(&v, join(b.path, fmt.Sprintf("authorities[%d]", i)), b.fault)
			a := Authority{Use: Use(e.str("use")), PEM: e.str("pem"), Name: e.str("name")}
			if e.optional("identities") != nil {
				a.Identities = e.strs("identities", maxIdentities)
			}
			e.done()
			list.Authorities = append(list.Authorities, a)
		}
	}
	if b.optional("required_signers") != nil {
		r := b.object("required_signers")
		if len(r.fields) == 0 {
			b.fail("required_signers", "is empty: leave the key out instead")
		}
		list.RequiredSigners = make(map[Kind]int, len(r.fields))
		for _, f := range r.fields {
			list.RequiredSigners[Kind(f.key)] = r.small(f.key, MaxSignatures)
		}
	}
	return list
}

// base64 reads a string of base64.
func (o *object) base64(name string) []byte {
	s := o.str(name)
	out, err := decodeBase64(s)
	if err != nil {
		o.fail(name, "%w", err)
	}
	return out
}

// wireOrder and the types below fix the names and the order of the keys that we write.
type wireOrder struct {
	Kind      Kind         `json:"kind"`
	ID        string       `json:"id"`
	Audience  []string     `json:"audience"`
	Sequence  uint64       `json:"sequence,omitempty"`
	NotBefore string       `json:"not_before"`
	NotAfter  string       `json:"not_after"`
	Binding   *wireBinding `json:"binding,omitempty"`
	Reason    string       `json:"reason"`
	Body      any          `json:"body"`
}

type wireBinding struct {
	BootID string `json:"boot_id,omitempty"`
	Nonce  string `json:"nonce,omitempty"`
}

type wireStop struct {
	Category int `json:"category"`
}

type wireReset struct {
	Triggers []string `json:"triggers,omitempty"`
	All      bool     `json:"all,omitempty"`
}

type wireGrant struct {
	Scope       Scope   `json:"scope"`
	Zone        string  `json:"zone"`
	MaxSpeedMPS float64 `json:"max_speed_mps"`
	Expires     string  `json:"expires"`
	SingleUse   bool    `json:"single_use"`
	Answer      Answer  `json:"answer,omitempty"`
	Facts       []Fact  `json:"facts,omitempty"`
}

type wirePolicySet struct {
	Policy        string `json:"policy"`
	PolicySHA256  string `json:"policy_sha256"`
	ProfileSHA256 string `json:"profile_sha256"`
	TopicsSHA256  string `json:"topics_sha256"`
}

type wireKeyList struct {
	Keys            []wireKey       `json:"keys"`
	Authorities     []wireAuthority `json:"authorities,omitempty"`
	RequiredSigners map[Kind]int    `json:"required_signers,omitempty"`
}

type wireAuthority struct {
	Use        Use      `json:"use"`
	PEM        string   `json:"pem"`
	Name       string   `json:"name"`
	Identities []string `json:"identities,omitempty"`
}

type wireResult struct {
	Verdict        Verdict  `json:"verdict"`
	Tier           Tier     `json:"tier"`
	EvidenceSHA256 string   `json:"evidence_sha256"`
	Reasons        []string `json:"reasons,omitempty"`
}

type wireKey struct {
	ID        string `json:"id"`
	PEM       string `json:"pem"`
	Person    string `json:"person"`
	Roles     []Role `json:"roles"`
	NotBefore string `json:"not_before"`
	NotAfter  string `json:"not_after"`
	Demo      bool   `json:"demo,omitempty"`
}

// Encode checks the order and writes it as JSON: no spaces, the keys in FORMAT.md's order.
func (o *Order) Encode() ([]byte, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	w := wireOrder{
		Kind: o.Kind, ID: o.ID, Audience: o.Audience, Sequence: o.Sequence,
		NotBefore: stamp(o.NotBefore), NotAfter: stamp(o.NotAfter), Reason: o.Reason, Body: o.wireBody(),
	}
	if o.Binding != (Binding{}) {
		w.Binding = &wireBinding{BootID: o.Binding.BootID, Nonce: o.Binding.Nonce}
	}
	out, err := marshalPlain(w)
	if err != nil {
		return nil, err
	}
	if limit := rules[o.Kind].maxPayload; len(out) > limit {
		return nil, refuse(Oversize, "shorten it", "the %s order has %d bytes: at most %d are accepted", o.Kind, len(out), limit)
	}
	return out, nil
}

func (o *Order) wireBody() any {
	switch o.Kind {
	case KindStop:
		return wireStop{Category: o.Stop.Category}
	case KindReset:
		return wireReset{Triggers: o.Reset.Triggers, All: o.Reset.All}
	case KindGrant:
		g := o.Grant
		return wireGrant{
			Scope: g.Scope, Zone: g.Zone, MaxSpeedMPS: g.MaxSpeedMPS, Expires: stamp(g.Expires), SingleUse: g.SingleUse,
			Answer: g.Answer, Facts: g.Facts,
		}
	case KindPolicySet:
		p := o.PolicySet
		return wirePolicySet{
			Policy:       base64.StdEncoding.EncodeToString(p.Policy),
			PolicySHA256: p.PolicySHA256, ProfileSHA256: p.ProfileSHA256, TopicsSHA256: p.TopicsSHA256,
		}
	case KindKeyList:
		w := wireKeyList{RequiredSigners: o.KeyList.RequiredSigners}
		for i := range o.KeyList.Keys {
			k := &o.KeyList.Keys[i]
			w.Keys = append(w.Keys, wireKey{
				ID: k.ID, PEM: k.PEM, Person: k.Person, Roles: k.Roles,
				NotBefore: stamp(k.NotBefore), NotAfter: stamp(k.NotAfter), Demo: k.Demo,
			})
		}
		for i := range o.KeyList.Authorities {
			w.Authorities = append(w.Authorities, wireAuthority(o.KeyList.Authorities[i]))
		}
		return w
	case KindOverride:
		return o.Override.wire()
	case KindSession:
		return o.Session.wire()
	case KindHalt:
		return wireHalt(*o.Halt)
	case KindAttestationResult:
		return wireResult(*o.AttestationResult)
	case KindRelease:
		return o.Release.wire()
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(timeForm) }
