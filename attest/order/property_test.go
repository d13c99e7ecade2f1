package order_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/order"
)

// anOrder draws a complete order of any kind that the site's people may sign.
func anOrder(s *site) *rapid.Generator[*order.Order] {
	return rapid.Custom(func(t *rapid.T) *order.Order {
		kind := rapid.SampledFrom(order.Kinds()).Draw(t, "kind")
		o := &order.Order{
			Kind: kind, ID: rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "id"),
			NotBefore: noon.Add(-time.Duration(rapid.IntRange(1, 3600).Draw(t, "since")) * time.Second),
			NotAfter:  noon.Add(time.Duration(rapid.IntRange(3, 3600).Draw(t, "until")) * time.Second),
			Reason:    rapid.StringMatching(`[\x21-\x7eé🤖]( ?[\x21-\x7eäß"\\<>&]){0,60}`).Draw(t, "reason"),
		}
		o.Audience = []string{robot}
		if !kind.Bound() && rapid.Bool().Draw(t, "others") {
			o.Audience = append(o.Audience, "group:"+rapid.StringMatching(`[a-z0-9._-]{1,64}`).Draw(t, "group"))
		}
		if kind == order.KindAttestationResult {
			o.Binding = order.Binding{BootID: bootID, Nonce: nonce}
		} else if kind.Bound() || rapid.Bool().Draw(t, "bound") {
			o.Binding = rapid.SampledFrom([]order.Binding{
				{BootID: bootID}, {Nonce: nonce}, {BootID: bootID, Nonce: nonce},
			}).Draw(t, "binding")
		}
		if kind.Sequenced() {
			o.Sequence = rapid.Uint64Range(2, order.MaxSequenceStep).Draw(t, "sequence")
		}
		drawBody(t, s, o)
		return o
	})
}

func drawBody(t *rapid.T, s *site, o *order.Order) {
	switch o.Kind {
	case order.KindStop:
		o.Stop = &order.Stop{Category: rapid.IntRange(1, 2).Draw(t, "category")}
	case order.KindReset:
		o.Reset = &order.Reset{All: true}
		if names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9._-]{1,64}`), 0, 8, rapid.ID[string]).Draw(t, "triggers"); len(names) > 0 {
			o.Reset = &order.Reset{Triggers: names}
		}
	case order.KindGrant:
		o.Grant = &order.Grant{
			Scope:       rapid.SampledFrom([]order.Scope{order.ScopeZone, order.ScopeEgress}).Draw(t, "scope"),
			Zone:        rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`).Draw(t, "zone"),
			MaxSpeedMPS: rapid.Float64Range(1e-9, order.MaxSpeedMPS).Draw(t, "speed"),
			Expires:     noon.Add(time.Duration(rapid.IntRange(3, 3600).Draw(t, "expires")) * time.Second),
			SingleUse:   rapid.Bool().Draw(t, "single use"),
		}
		if o.Grant.Scope == order.ScopeZone {
			o.Grant.Answer = rapid.SampledFrom([]order.Answer{
				order.AnswerGranted, order.AnswerQueued, order.AnswerRejected, order.AnswerRevoked,
			}).Draw(t, "answer")
			if o.Grant.Answer == order.AnswerGranted {
				facts := rapid.SliceOfNDistinct(rapid.SampledFrom([]order.Fact{order.FactBadge, order.FactDoor, order.FactTask}), 0, 3, rapid.ID[order.Fact])
				if list := facts.Draw(t, "facts"); len(list) > 0 {
					o.Grant.Facts = list
				}
			}
		}
	case order.KindPolicySet:
		policy := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "policy")
		o.PolicySet = &order.PolicySet{
			Policy: policy, PolicySHA256: order.Digest(policy),
			ProfileSHA256: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "profile"), TopicsSHA256: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "topics"),
		}
	case order.KindKeyList:
		o.KeyList = s.list.KeyList
	case order.KindRelease:
		o.Release = sample(order.KindRelease).Release
		o.Release.SVN = rapid.Uint64Range(0, order.MaxSequence).Draw(t, "svn")
		o.Release.RollbackFloor = rapid.Uint64Range(0, o.Release.SVN).Draw(t, "floor")
		o.Release.SettleS = rapid.IntRange(1, order.MaxSettleS).Draw(t, "settle")
		o.Release.WindowS = rapid.SampledFrom([]int{0, o.Release.SettleS, order.MaxWindowS}).Draw(t, "window")
		o.Release.AtEnd = rapid.SampledFrom([]order.AtEnd{"", order.AtEndHold, order.AtEndRollBack}).Draw(t, "end")
		o.Release.RampPercent = rapid.IntRange(0, 100).Draw(t, "ramp")
		o.Release.Artifacts[0].Size = rapid.Uint64Range(0, order.MaxSequence).Draw(t, "size")
	case order.KindHalt:
		o.Halt = &order.Halt{Version: rapid.StringMatching(`[A-Za-z0-9._+-]{1,64}`).Draw(t, "version")}
	case order.KindOverride:
		o.Override = &order.Override{Triggers: rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9._-]{1,64}`), 1, 8, rapid.ID[string]).Draw(t, "triggers")}
		if o.Override.End = rapid.Bool().Draw(t, "end"); !o.Override.End {
			o.Override.MaxSpeedMPS = rapid.Float64Range(0.001, order.MaxSpeedMPS).Draw(t, "speed")
			o.Override.Expires = o.NotBefore.Add(time.Duration(rapid.IntRange(1, 86400).Draw(t, "lasts")) * time.Second)
		}
	case order.KindSession:
		text := rapid.StringMatching(`[A-Za-z][ -~]{0,30}`)
		o.Session = &order.Session{
			Channel: rapid.StringMatching(`[a-z0-9._-]{1,64}`).Draw(t, "channel"),
			Level:   rapid.SampledFrom([]order.Level{order.LevelView, order.LevelControl, order.LevelEnd}).Draw(t, "level"),
		}
		if o.Session.Level != order.LevelEnd {
			o.Session.Who, o.Session.Role, o.Session.From = text.Draw(t, "who"), text.Draw(t, "role"), text.Draw(t, "from")
			o.Session.Expires = o.NotBefore.Add(time.Duration(rapid.IntRange(1, 86400).Draw(t, "lasts")) * time.Second)
		}
	case order.KindAttestationResult:
		o.AttestationResult = &order.AttestationResult{
			Verdict:        rapid.SampledFrom([]order.Verdict{order.VerdictAccepted, order.VerdictRefused}).Draw(t, "verdict"),
			Tier:           rapid.SampledFrom([]order.Tier{order.TierTPM, order.TierSoftwareKey}).Draw(t, "tier"),
			EvidenceSHA256: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "evidence"),
			Reasons:        rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9._:-]{1,64}`), 1, order.MaxResultReasons, rapid.ID[string]).Draw(t, "reasons"),
		}
	}
}

func TestAnyOrderSurvivesEncodingAndVerifies(t *testing.T) {
	s := newSite(t, nil)
	floors := s.enrolled(t)
	v := s.verifier(t, floors)
	rapid.Check(t, func(rt *rapid.T) {
		o := anOrder(s).Draw(rt, "order")
		payload, err := o.Encode()
		if err != nil {
			rt.Fatal(err)
		}
		back, err := order.Decode(payload)
		if err != nil {
			rt.Fatalf("%v\n%s", err, payload)
		}
		if diff := cmp.Diff(o, back); diff != "" {
			rt.Fatalf("-encoded +decoded\n%s", diff)
		}
		if again, err := back.Encode(); err != nil || !bytes.Equal(again, payload) {
			rt.Fatalf("encoded twice: %s, %s (%v)", payload, again, err)
		}
		env := sign(t, o, s.signerOf(o.Kind))
		x, err := v.Verify(at(noon), env)
		if err != nil {
			rt.Fatalf("%v\n%s", err, payload)
		}
		if diff := cmp.Diff(o, x.Order); diff != "" {
			rt.Fatalf("-signed +verified\n%s", diff)
		}
	})
}

// TestAnyChangeOfAnEnvelopeNeverYieldsAnotherOrder edits an envelope at random: whatever still verifies is the order
// that was signed.
func TestAnyChangeOfAnEnvelopeNeverYieldsAnotherOrder(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, s.enrolled(t))
	envelopes := map[order.Kind][]byte{}
	orders := map[order.Kind]*order.Order{}
	for _, kind := range order.Kinds() {
		orders[kind] = s.orderOf(kind)
		envelopes[kind] = sign(t, orders[kind], s.signerOf(kind))
	}
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom(order.Kinds()).Draw(rt, "kind")
		env := bytes.Clone(envelopes[kind])
		for range rapid.IntRange(1, 3).Draw(rt, "edits") {
			i := rapid.IntRange(0, len(env)-1).Draw(rt, "at")
			switch rapid.IntRange(0, 3).Draw(rt, "how") {
			case 0:
				env[i] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
			case 1:
				env = append(env[:i], env[i+1:]...)
			case 2:
				env = append(env[:i], append([]byte{rapid.Byte().Draw(rt, "byte")}, env[i:]...)...)
			case 3:
				j := rapid.IntRange(i, min(len(env), i+40)).Draw(rt, "to")
				env = append(env[:j], append(bytes.Clone(env[i:j]), env[j:]...)...)
			}
		}
		x, err := v.Verify(at(noon), env)
		if err != nil {
			if order.ReasonOf(err) == "" {
				rt.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		if diff := cmp.Diff(orders[kind], x.Order); diff != "" {
			rt.Fatalf("a changed envelope yields another order:\n%s", diff)
		}
	})
}

// TestTheLedgerNeverAcceptsTwice runs random commits, restarts and clock changes against a plain model: an id or a
// sequence that was accepted once is never accepted as new again.
func TestTheLedgerNeverAcceptsTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := order.NewFloors()
		ids := map[string]bool{}
		highest := map[order.Kind]uint64{}
		now := noon
		rt.Repeat(map[string]func(*rapid.T){
			"use an id": func(rt *rapid.T) {
				o := sample(rapid.SampledFrom([]order.Kind{order.KindReset, order.KindGrant}).Draw(rt, "kind"))
				// One id belongs to one order, so to one end of validity. As Verify does, the clock judges it first.
				n := rapid.IntRange(0, 20).Draw(rt, "id")
				o.ID = fmt.Sprintf("%032x", n)
				until := noon.Add(time.Duration(n-10) * 12 * time.Minute)
				if !now.Add(time.Second).Before(until) {
					return
				}
				err := f.Use(at(now), order.Claim{Kind: o.Kind, ID: o.ID, Until: until})
				if err == nil && ids[o.ID] {
					rt.Fatalf("id %s was accepted twice", o.ID)
				}
				ids[o.ID] = ids[o.ID] || err == nil
			},
			"use a sequence": func(rt *rapid.T) {
				kind := rapid.SampledFrom([]order.Kind{order.KindPolicySet, order.KindKeyList}).Draw(rt, "kind")
				c := order.Claim{Kind: kind, Sequence: rapid.Uint64Range(1, 30).Draw(rt, "sequence")}
				c.Digest[0] = rapid.Byte().Draw(rt, "payload")
				repeat, err := f.Check(at(now), c)
				if err == nil && !repeat && c.Sequence <= highest[kind] {
					rt.Fatalf("sequence %d was accepted after %d", c.Sequence, highest[kind])
				}
				if repeat && c.Sequence != highest[kind] {
					rt.Fatalf("sequence %d passes as a repeat, %d is in force", c.Sequence, highest[kind])
				}
				if f.Use(at(now), c) == nil {
					highest[kind] = c.Sequence
				}
			},
			"restart": func(rt *rapid.T) {
				data := f.Marshal(9)
				back, generation, err := order.UnmarshalFloors(data)
				if err != nil || generation != 9 {
					rt.Fatalf("%v\n%s", err, data)
				}
				f = back
			},
			"copy": func(*rapid.T) { f = f.Clone() },
			"turn the clock": func(rt *rapid.T) {
				now = noon.Add(time.Duration(rapid.IntRange(-200, 200).Draw(rt, "by")) * time.Minute)
			},
		})
	})
}

func TestARecordOfUsedOrdersHasOneForm(t *testing.T) {
	f := order.NewFloors()
	for _, c := range exampleClaims() {
		if err := f.Use(at(noon), c); err != nil {
			t.Fatal(err)
		}
	}
	good := f.Marshal(5)
	if _, g, err := order.UnmarshalFloors(good); err != nil || g != 5 {
		t.Fatal(g, err)
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, _, err := order.UnmarshalFloors(bad); err == nil {
				t.Fatalf("bit %d of byte %d is not missed", bit, i)
			}
		}
		if _, _, err := order.UnmarshalFloors(good[:i]); err == nil {
			t.Fatalf("the record cut to %d bytes is read", i)
		}
	}
	// With a checksum that fits, the lines themselves are still judged.
	body, _, _ := strings.Cut(string(good), "end ")
	for name, change := range map[string]string{
		"another header":          strings.Replace(body, "floors 1", "floors 2", 1),
		"generation missing":      strings.Replace(body, "generation 5\n", "", 1),
		"generation with a zero":  strings.Replace(body, "generation 5", "generation 05", 1),
		"sequence zero":           strings.Replace(body, " 17 ", " 0 ", 1),
		"a kind that counts not":  strings.Replace(body, "policy-set/safety-engineer", "reset/operator", 1),
		"another role's sequence": strings.Replace(body, "policy-set/safety-engineer", "policy-set/operator", 1),
		"digest short":            strings.Replace(body, " 17 c6", " 17 ", 1),
		"id short":                strings.Replace(body, "used ff", "used ", 1),
		"time with a fraction":    strings.Replace(body, "13:00:00Z", "13:00:00.5Z", 1),
		"a line twice":            strings.Replace(body, "used", "used ffeeddccbbaa99887766554433221100 2026-11-22T13:00:00Z\nused", 1),
		"an unknown line":         body + "note hello\n",
		"an empty line":           body + "\n",
		"too many stops":          body + strings.Repeat("stop "+order.NewID()+"\n", order.MaxStops+1),
		"nothing":                 "",
	} {
		if change == body {
			t.Fatalf("%s changed nothing", name)
		}
		if _, _, err := order.UnmarshalFloors([]byte(change + "end " + order.Digest([]byte(change)) + "\n")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
