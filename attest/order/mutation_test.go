package order_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/order"
)

// rawSign signs any bytes as a payload, as a faulty or hostile tool in the hands of a listed person could.
func rawSign(t testing.TB, payloadType string, payload []byte, h holder) []byte {
	t.Helper()
	env := &order.Envelope{PayloadType: payloadType, Payload: payload}
	message, hash := env.PAE(), crypto.Hash(0)
	if _, ok := h.priv.(*ecdsa.PrivateKey); ok {
		digest := sha256.Sum256(message)
		message, hash = digest[:], crypto.SHA256
	}
	sig, err := h.priv.Sign(rand.Reader, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	env.Signatures = []order.Signature{{KeyID: h.key.ID, Sig: sig}}
	return marshal(t, env)
}

func marshal(t testing.TB, env *order.Envelope) []byte {
	t.Helper()
	data, err := env.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func payloadOf(t testing.TB, o *order.Order) string {
	t.Helper()
	p, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// TestUnsignedChangesToThePayload flips one bit of each byte of a signed payload, one at a time.
func TestUnsignedChangesToThePayload(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, h := range []holder{s.operator, s.button} { // ECDSA and Ed25519.
		env, err := order.ParseEnvelope(sign(t, sample(order.KindStop), h))
		if err != nil {
			t.Fatal(err)
		}
		for i := range env.Payload {
			env.Payload[i] ^= 1 << (i % 8)
			_, err := v.Verify(at(noon), marshal(t, env))
			wantReason(t, err, order.BadSignature)
			env.Payload[i] ^= 1 << (i % 8)
		}
		if _, err := v.Verify(at(noon), marshal(t, env)); err != nil {
			t.Fatalf("the unchanged order was refused: %v", err)
		}
	}
}

func TestSignatureBitFlips(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, h := range []holder{s.operator, s.button} {
		env, err := order.ParseEnvelope(sign(t, sample(order.KindStop), h))
		if err != nil {
			t.Fatal(err)
		}
		sig := env.Signatures[0].Sig
		for bit := range len(sig) * 8 {
			sig[bit/8] ^= 1 << (bit % 8)
			_, err := v.Verify(at(noon), marshal(t, env))
			wantReason(t, err, order.BadSignature)
			sig[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestEnvelopeFields changes each part of the envelope as text.
func TestEnvelopeFields(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	env := string(sign(t, sample(order.KindReset), s.operator))
	payload := between(env, `"payload":"`, `"`)
	sig := between(env, `"sig":"`, `"`)
	id := s.operator.key.ID
	replace := func(old, with string) string { return strings.Replace(env, old, with, 1) }
	for _, tc := range []struct {
		name, env string
		want      order.Reason
	}{
		{"another payload type", replace("order.v1", "order.v2"), order.WrongType},
		{"payload type in another case", replace("application/", "Application/"), order.WrongType},
		{"empty payload type", replace(order.PayloadType, ""), order.WrongType},
		{"in-toto's payload type", replace(order.PayloadType, "application/vnd.in-toto+json"), order.WrongType},
		{"payload type missing", replace(`"payloadType":"`+order.PayloadType+`",`, ""), order.Malformed},
		{"two payload types", replace(`{"payloadType"`, `{"payloadType":"x","payloadType"`), order.Malformed},
		{"two payload types, one in another case", replace(`{"payloadType"`, `{"payloadtype":"x","payloadType"`), order.Malformed},
		{"two payloads", replace(`"signatures"`, `"payload":"`+payload+`","signatures"`), order.Malformed},
		{"two lists of signatures", replace(`"signatures"`, `"signatures":[],"signatures"`), order.Malformed},
		{"two key ids", replace(`{"keyid"`, `{"keyid":"`+s.engineer.key.ID+`","keyid"`), order.Malformed},
		{"key names in capitals", replace(`"payload"`, `"PAYLOAD"`), order.Malformed},
		{"an unknown key", replace(`{"payloadType"`, `{"note":1,"payloadType"`), order.Malformed},
		{"an unknown key beside a signature", replace(`{"keyid"`, `{"cert":"","keyid"`), order.Malformed},
		{"no signatures", replace(between(env, `"signatures":`, "}\n")+"}", "[]}"), order.Malformed},
		{"signatures null", replace(between(env, `"signatures":`, "}\n")+"}", "null}"), order.Malformed},
		{"key id missing", replace(`"keyid":"`+id+`",`, ""), order.Malformed},
		{"key id empty", replace(id, ""), order.Malformed},
		{"key id of another listed key", replace(id, s.engineer.key.ID), order.BadSignature},
		{"key id of a key of another algorithm", replace(id, s.button.key.ID), order.BadSignature},
		{"key id of an unknown key", replace(id, "SHA256:"+strings.Repeat("A", 43)), order.UnknownKey},
		{"key id in another case", replace(id, swapCase(id)), order.UnknownKey},
		{"key id with terminal codes", replace(id, `\u001b[2J`), order.Malformed},
		{"signature missing", replace(`,"sig":"`+sig+`"`, ""), order.Malformed},
		{"signature empty", replace(sig, ""), order.Malformed},
		{"signature is no base64", replace(sig, "!"+sig[1:]), order.Malformed},
		{"signature without padding", replace(sig, strings.TrimRight(sig[:len(sig)-4]+"AA==", "=")), order.Malformed},
		{"signature with a line break", replace(sig, sig[:8]+`\n`+sig[8:]), order.Malformed},
		{"signature cut short", replace(sig, sig[:len(sig)-8]), order.BadSignature},
		{"signature drawn out", replace(sig, base64.StdEncoding.EncodeToString(append(unbase64(t, sig), 0))), order.BadSignature},
		{"signature as a number", replace(`"`+sig+`"`, "1"), order.Malformed},
		{"payload as an object", replace(`"`+payload+`"`, "{}"), order.Malformed},
		{"payload empty", replace(payload, ""), order.BadSignature},
		{"payload cut short", replace(payload, payload[:len(payload)-4]), order.BadSignature},
		{"payload with a line break", replace(payload, payload[:8]+`\r\n`+payload[8:]), order.Malformed},
		{"payload with stray bits", replace(payload, "QR=="), order.Malformed},
		{"text behind", env + "{}", order.Malformed},
		{"text in front", "\ufeff" + env, order.Malformed},
		{"nothing", "", order.Malformed},
		{"null", "null", order.Malformed},
		{"an array", "[" + env + "]", order.Malformed},
		{"no UTF-8", env[:len(env)-2] + "\xff}\n", order.Malformed},
		{"nested deeply", strings.Repeat("[", 100000), order.Malformed},
		{"too long", env + strings.Repeat(" ", order.MaxEnvelope), order.Oversize},
		{"too many signatures", replace(`"signatures":[`, `"signatures":[`+strings.Repeat(`{"keyid":"`+id+`","sig":"`+sig+`"},`, 8)), order.Malformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.env == env {
				t.Fatal("the mutation changed nothing")
			}
			_, err := v.Verify(at(noon), []byte(tc.env))
			wantReason(t, err, tc.want)
		})
	}
}

// TestHarmlessFormsOfAnEnvelope shows that the mutations above fail for their own sake: spaces, the order of keys and
// URL-safe base64, which DSSE allows, do not matter.
func TestHarmlessFormsOfAnEnvelope(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	env := string(sign(t, sample(order.KindReset), s.operator))
	payload, sig := between(env, `"payload":"`, `"`), between(env, `"sig":"`, `"`)
	urlSafe := strings.NewReplacer("+", "-", "/", "_")
	for name, form := range map[string]string{
		"spaces": strings.ReplaceAll(strings.ReplaceAll(env, ",", " ,\r\n\t"), "[", " [ "),
		"order of keys": fmt.Sprintf(`{"signatures":[{"sig":%q,"keyid":%q}],"payload":%q,"payloadType":%q}`,
			sig, s.operator.key.ID, payload, order.PayloadType),
		"URL-safe base64": strings.Replace(strings.Replace(env, payload, urlSafe.Replace(payload), 1), sig, urlSafe.Replace(sig), 1),
		"escaped slashes": strings.Replace(env, order.PayloadType, strings.ReplaceAll(order.PayloadType, "/", `\/`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Verify(at(noon), []byte(form)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestSignedButMalformed signs payloads that no tool of ours would write. A listed key does not excuse them.
func TestSignedButMalformed(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	stop, reset, grant := payloadOf(t, sample(order.KindStop)), payloadOf(t, sample(order.KindReset)), payloadOf(t, sample(order.KindGrant))
	policy, list := payloadOf(t, sample(order.KindPolicySet)), payloadOf(t, s.orderOf(order.KindKeyList))
	sub := func(p, old, with string) string {
		if !strings.Contains(p, old) {
			t.Fatalf("%q is not in %s", old, p)
		}
		return strings.Replace(p, old, with, 1)
	}
	result := payloadOf(t, sample(order.KindAttestationResult))
	id := between(stop, `"id":"`, `"`)
	firstKey := between(list, `"keys":[`, "}")
	for name, payload := range map[string]string{
		"kind unknown":                     sub(stop, `"stop"`, `"halt"`),
		"kind in capitals":                 sub(stop, `"stop"`, `"STOP"`),
		"kind missing":                     sub(stop, `"kind":"stop",`, ""),
		"kind twice":                       sub(stop, `"kind":"stop"`, `"kind":"grant","kind":"stop"`),
		"kind twice in another case":       sub(stop, `"kind":"stop"`, `"Kind":"grant","kind":"stop"`),
		"kind twice by a Kelvin sign":      sub(stop, `"kind":"stop"`, `"`+"\u212a"+`ind":"grant","kind":"stop"`),
		"kind null":                        sub(stop, `"stop"`, `null`),
		"body of another kind":             sub(stop, `"stop"`, `"reset"`),
		"body missing":                     sub(stop, `,"body":{"category":2}`, ""),
		"body null":                        sub(stop, `{"category":2}`, "null"),
		"body with an unknown key":         sub(stop, `"category":2`, `"category":2,"soft":true`),
		"an unknown key":                   sub(stop, `"kind"`, `"priority":9,"kind"`),
		"role claimed by the order":        sub(stop, `"kind"`, `"role":"safety-engineer","kind"`),
		"id short":                         sub(stop, id, id[:30]),
		"id in capitals":                   sub(stop, id, strings.Repeat("AB", 16)),
		"id empty":                         sub(stop, id, ""),
		"audience empty":                   sub(stop, `["`+robot+`"]`, "[]"),
		"audience a string":                sub(stop, `["`+robot+`"]`, `"`+robot+`"`),
		"audience with a number":           sub(stop, `["`+robot+`"]`, `["`+robot+`",1]`),
		"audience twice":                   sub(stop, `["`+robot+`"]`, `["`+robot+`","`+robot+`"]`),
		"audience without a slash":         sub(stop, robot, "g1-0007"),
		"audience with two slashes":        sub(stop, robot, "a/b/c"),
		"audience everyone for a reset":    sub(reset, robot, "*"),
		"audience everyone for a policy":   sub(policy, robot, "*"),
		"audience everyone for a key list": sub(list, robot, "*"),
		"audience a group for a reset":     sub(reset, robot, "group:ward-3"),
		"audience two robots for a grant":  sub(grant, `["`+robot+`"]`, `["`+robot+`","a/b"]`),
		"sequence on a stop":               sub(stop, `"not_before"`, `"sequence":1,"not_before"`),
		"sequence missing on a policy":     sub(policy, `"sequence":1,`, ""),
		"sequence zero":                    sub(policy, `"sequence":1`, `"sequence":0`),
		"sequence negative":                sub(policy, `"sequence":1`, `"sequence":-1`),
		"sequence with a fraction":         sub(policy, `"sequence":1`, `"sequence":1.0`),
		"sequence with an exponent":        sub(policy, `"sequence":1`, `"sequence":1e3`),
		"sequence above 2^53":              sub(policy, `"sequence":1`, `"sequence":9007199254740993`),
		"sequence above 2^64":              sub(policy, `"sequence":1`, `"sequence":18446744073709551617`),
		"sequence as a string":             sub(policy, `"sequence":1`, `"sequence":"1"`),
		"sequence with a leading zero":     sub(policy, `"sequence":1`, `"sequence":01`),
		"not_before with a zone":           sub(stop, "T11:00:00Z", "T11:00:00+00:00"),
		"not_before with a fraction":       sub(stop, "T11:00:00Z", "T11:00:00.5Z"),
		"not_before with a zero fraction":  sub(stop, "T11:00:00Z", "T11:00:00.0Z"),
		"not_before with a comma":          sub(stop, "T11:00:00Z", "T11:00:00,000Z"),
		"not_before with one digit less":   sub(stop, "T11:00:00Z", "T1:00:00Z"),
		"not_before without seconds":       sub(stop, "T11:00:00Z", "T11:00Z"),
		"not_before a day that is none":    sub(stop, "2026-11-22T11", "2026-11-31T11"),
		"not_before a leap second":         sub(stop, "T11:00:00Z", "T11:00:60Z"),
		"not_before in lower case":         sub(stop, "T11:00:00Z", "t11:00:00z"),
		"not_before a number":              sub(stop, `"2026-11-22T11:00:00Z"`, "1795345200"),
		"not_after before not_before":      sub(stop, "T13:00:00Z", "T10:00:00Z"),
		"not_after equal to not_before":    sub(stop, "T13:00:00Z", "T11:00:00Z"),
		"not_after missing":                sub(stop, `"not_after":"2026-11-22T13:00:00Z",`, ""),
		"reset valid for too long":         sub(reset, "2026-11-22T13", "2026-11-24T13"),
		"stop valid for years":             sub(stop, "2026-11-22T13", "2036-11-22T13"),
		"year far away":                    sub(stop, "2026-11-22T11", "1926-11-22T11"),
		"binding missing on a reset":       sub(reset, `"binding":{"boot_id":"`+bootID+`","nonce":"`+nonce+`"},`, ""),
		"binding empty":                    sub(reset, `{"boot_id":"`+bootID+`","nonce":"`+nonce+`"}`, "{}"),
		"binding with an empty boot id":    sub(reset, bootID, ""),
		"binding null":                     sub(reset, `{"boot_id":"`+bootID+`","nonce":"`+nonce+`"}`, "null"),
		"boot id in capitals":              sub(reset, bootID, strings.ToUpper(bootID)),
		"boot id without dashes":           sub(reset, bootID, strings.ReplaceAll(bootID, "-", "")),
		"nonce short":                      sub(reset, nonce, nonce[:30]),
		"nonce odd":                        sub(reset, nonce, nonce+"0"),
		"reason missing":                   sub(stop, `"reason":"checked the aisle",`, ""),
		"reason empty":                     sub(stop, "checked the aisle", ""),
		"reason blank":                     sub(stop, "checked the aisle", "   "),
		"reason too long":                  sub(stop, "checked the aisle", strings.Repeat("x", order.MaxReason+1)),
		"reason on two lines":              sub(stop, "checked the aisle", `checked\nsignature good`),
		"reason with terminal codes":       sub(stop, "checked the aisle", `\u001b[2Jchecked`),
		"reason running backwards":         sub(stop, "checked the aisle", "checked \u202e the aisle"),
		"reason with half a surrogate":     sub(stop, "checked the aisle", `checked \ud800 the aisle`),
		"reason no UTF-8":                  sub(stop, "checked the aisle", "checked \xc3\x28"),
		"category 0":                       sub(stop, `"category":2`, `"category":0`),
		"category 3":                       sub(stop, `"category":2`, `"category":3`),
		"category as a string":             sub(stop, `"category":2`, `"category":"2"`),
		"category as true":                 sub(stop, `"category":2`, `"category":true`),
		"reset of nothing":                 sub(reset, `{"triggers":["pose.stale","channel.operator"]}`, "{}"),
		"reset of an empty list":           sub(reset, `["pose.stale","channel.operator"]`, "[]"),
		"reset of all and some":            sub(reset, `"triggers"`, `"all":true,"triggers"`),
		"reset with all false":             sub(reset, `"triggers"`, `"all":false,"triggers"`),
		"trigger twice":                    sub(reset, "channel.operator", "pose.stale"),
		"trigger with a star":              sub(reset, "channel.operator", "*"),
		"grant scope unknown":              sub(grant, `"scope":"zone"`, `"scope":"everything"`),
		"grant zone empty":                 sub(grant, "pharmacy", ""),
		"grant zone with a space":          sub(grant, "pharmacy", "pharma cy"),
		"grant speed zero":                 sub(grant, "0.3", "0"),
		"grant speed negative":             sub(grant, "0.3", "-0.3"),
		"grant speed infinite":             sub(grant, "0.3", "1e999"),
		"grant speed too high":             sub(grant, "0.3", "5.1"),
		"grant speed not a number":         sub(grant, "0.3", "NaN"),
		"grant speed as a string":          sub(grant, "0.3", `"0.3"`),
		"grant expires before it begins":   sub(grant, "T12:30:00Z", "T10:30:00Z"),
		"grant expires days later":         sub(grant, "2026-11-22T12:30", "2026-11-24T12:30"),
		"grant single_use missing":         sub(grant, `,"single_use":true`, ""),
		"policy digest wrong":              sub(policy, order.Digest([]byte("version: 1\nzones: []\n")), order.Digest([]byte("other"))),
		"policy digest in capitals":        sub(policy, order.Digest([]byte("profile")), strings.ToUpper(order.Digest([]byte("profile")))),
		"policy empty":                     sub(policy, between(policy, `"policy":"`, `"`), ""),
		"policy is no base64":              sub(policy, between(policy, `"policy":"`, `"`), "***"),
		"profile pin missing":              sub(policy, `"profile_sha256":"`+order.Digest([]byte("profile"))+`",`, ""),
		"topics pin empty":                 sub(policy, order.Digest([]byte("topics")), ""),
		"key list empty":                   sub(list, between(list, `"keys":[`, "]}"), ""),
		"key twice":                        sub(list, firstKey+"}", firstKey+"},"+firstKey+"}"),
		"no root":                          sub(list, `["root"]`, `["operator"]`),
		"role unknown":                     sub(list, `["vendor"]`, `["admin"]`),
		"role twice":                       sub(list, `["vendor"]`, `["vendor","vendor"]`),
		"roles empty":                      sub(list, `["vendor"]`, `[]`),
		"person empty":                     sub(list, `"vera"`, `""`),
		"person in capitals":               sub(list, `"vera"`, `"Vera"`),
		"key id of another key":            sub(list, s.vendor.key.ID, s.operator.key.ID),
		"demo false written out":           sub(list, `"roles":["vendor"]`, `"roles":["vendor"],"demo":false`),
		"required for stop":                sub(list, `"keys"`, `"required_signers":{"stop":2},"keys"`),
		"required zero":                    sub(list, `"keys"`, `"required_signers":{"grant":0},"keys"`),
		"required more than there are":     sub(list, `"keys"`, `"required_signers":{"policy-set":2},"keys"`),
		"required unknown kind":            sub(list, `"keys"`, `"required_signers":{"fly":1},"keys"`),
		"required empty":                   sub(list, `"keys"`, `"required_signers":{},"keys"`),
		"result without a nonce":           sub(result, `,"nonce":"`+nonce+`"`, ""),
		"result without a boot id":         sub(result, `"boot_id":"`+bootID+`",`, ""),
		"result without a binding":         sub(result, `"binding":{"boot_id":"`+bootID+`","nonce":"`+nonce+`"},`, ""),
		"result for two robots":            sub(result, `["`+robot+`"]`, `["`+robot+`","a/b"]`),
		"result for a group":               sub(result, robot, "group:ward-3"),
		"result for everyone":              sub(result, robot, "*"),
		"result valid for too long":        sub(result, "2026-11-22T13", "2026-11-24T13"),
		"result with a sequence":           sub(result, `"not_before"`, `"sequence":1,"not_before"`),
		"verdict unknown":                  sub(result, `"accepted"`, `"trusted"`),
		"verdict in capitals":              sub(result, `"accepted"`, `"ACCEPTED"`),
		"verdict missing":                  sub(result, `"verdict":"accepted",`, ""),
		"tier unknown":                     sub(result, `"tpm"`, `"hsm"`),
		"tier empty":                       sub(result, `"tpm"`, `""`),
		"evidence digest short":            sub(result, order.Digest([]byte("evidence")), "ab"),
		"refused without a reason":         sub(sub(result, `"accepted"`, `"refused"`), `,"reasons":["eventlog-absent"]`, ""),
		"reasons empty":                    sub(result, `["eventlog-absent"]`, "[]"),
		"reason code with a space":         sub(result, "eventlog-absent", "eventlog absent"),
		"reason code twice":                sub(result, `["eventlog-absent"]`, `["a","a"]`),
		"too many reason codes":            sub(result, `["eventlog-absent"]`, `["`+strings.Join(strings.Split("abcdefghijklmnopq", ""), `","`)+`"]`),
		"trailing text":                    stop + " {}",
		"trailing comma":                   sub(stop, `"category":2}`, `"category":2,}`),
		"a comment":                        sub(stop, "{", "{/* */"),
		"single quotes":                    strings.ReplaceAll(stop, `"`, "'"),
		"not an object":                    `["stop"]`,
		"nothing":                          "",
		"nested deeply":                    sub(stop, `"category":2`, `"category":`+strings.Repeat("[", 60000)),
		"too many values":                  sub(stop, `"category":2`, `"category":[`+strings.Repeat("0,", 20000)+"0]"),
		"too many keys":                    sub(stop, `"category":2`, `"category":2`+manyKeys(40)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(at(noon), rawSign(t, order.PayloadType, []byte(payload), bySignature(s, payload)))
			wantReason(t, err, order.Malformed)
		})
	}
	// The off case: the same way of signing is accepted when nothing was changed.
	for _, payload := range []string{stop, reset, grant, policy, result} {
		if _, err := v.Verify(at(noon), rawSign(t, order.PayloadType, []byte(payload), bySignature(s, payload))); err != nil {
			t.Errorf("an unchanged payload was refused: %v", err)
		}
	}
}

func bySignature(s *site, payload string) holder {
	if strings.Contains(payload, `"keys"`) {
		return s.root
	}
	if strings.Contains(payload, `"scope"`) || strings.Contains(payload, `"policy"`) {
		return s.engineer
	}
	if strings.Contains(payload, `"verdict"`) {
		return s.verifierKey
	}
	return s.operator
}

func TestSignedForAnotherPurpose(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	payload := []byte(payloadOf(t, sample(order.KindStop)))
	// Signed under another type, then relabelled: the pre-authentication encoding covers the type.
	env := rawSign(t, "application/vnd.in-toto+json", payload, s.operator)
	relabelled := bytes.Replace(env, []byte("application/vnd.in-toto+json"), []byte(order.PayloadType), 1)
	_, err := v.Verify(at(noon), relabelled)
	wantReason(t, err, order.BadSignature)
}

func TestAlgorithmConfusion(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	env, err := order.ParseEnvelope(sign(t, sample(order.KindStop), s.operator))
	if err != nil {
		t.Fatal(err)
	}
	key := s.operator.priv.(*ecdsa.PrivateKey) //nolint:errcheck // newSite made it so.
	good := env.Signatures[0].Sig
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(good, &rs); err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, 64)
	rs.R.FillBytes(plain[:32])
	rs.S.FillBytes(plain[32:])
	wide := sha256.Sum256(env.Payload)
	overPayload, err := ecdsa.SignASN1(rand.Reader, key, wide[:])
	if err != nil {
		t.Fatal(err)
	}
	ed := sign(t, sample(order.KindStop), s.button)
	edEnv, err := order.ParseEnvelope(ed)
	if err != nil {
		t.Fatal(err)
	}
	for name, sig := range map[string][]byte{
		"bare r and s":                plain,
		"DER with a long length":      append([]byte{0x30, 0x81, good[1]}, good[2:]...),
		"DER with bytes behind":       append(bytes.Clone(good), 0),
		"signature over the payload":  overPayload,
		"zero r and s":                {0x30, 6, 2, 1, 0, 2, 1, 0},
		"negative r":                  {0x30, 6, 2, 1, 0x80, 2, 1, 1},
		"an Ed25519 signature":        edEnv.Signatures[0].Sig,
		"zeros":                       make([]byte, 64),
		"empty DER":                   {0x30, 0},
		"DER of another length class": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			env.Signatures[0].Sig = sig
			_, err := v.Verify(at(noon), marshal(t, env))
			wantReason(t, err, order.BadSignature)
		})
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // It shall be refused.
	if err != nil {
		t.Skip("this build makes no short RSA keys: ", err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := order.Sign(sample(order.KindStop), rsaKey); err == nil {
		t.Error("an RSA key signed an order")
	}
	if _, err := order.Sign(sample(order.KindStop), p384); err == nil {
		t.Error("a P-384 key signed an order")
	}
}

func TestOversizeByKind(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	stop := payloadOf(t, sample(order.KindStop))
	_, err := v.Verify(at(noon), rawSign(t, order.PayloadType, []byte(stop+strings.Repeat(" ", order.MaxPayload)), s.operator))
	wantReason(t, err, order.Oversize)

	o := sample(order.KindPolicySet)
	o.PolicySet.Policy = bytes.Repeat([]byte("# a long policy\n"), 3<<20/16-64)
	o.PolicySet.PolicySHA256 = order.Digest(o.PolicySet.Policy)
	env := sign(t, o, s.engineer)
	if _, err := v.Verify(at(noon), env); err != nil {
		t.Errorf("a policy of %d bytes was refused: %v", len(o.PolicySet.Policy), err)
	}
	o.PolicySet.Policy = append(o.PolicySet.Policy, bytes.Repeat([]byte("x"), 2048)...)
	o.PolicySet.PolicySHA256 = order.Digest(o.PolicySet.Policy)
	_, err = order.Sign(o, s.engineer.priv)
	wantReason(t, err, order.Oversize)
}

func between(s, before, after string) string {
	_, rest, _ := strings.Cut(s, before)
	out, _, _ := strings.Cut(rest, after)
	return out
}

func swapCase(id string) string {
	return "SHA256:" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 32
		}
		if r >= 'A' && r <= 'Z' {
			return r + 32
		}
		return r
	}, strings.TrimPrefix(id, "SHA256:"))
}

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,%q:0`, hex.EncodeToString([]byte{byte(i)}))
	}
	return b.String()
}

// TestEveryKeyOfEveryKindIsChecked removes, doubles, renames and retypes each key of each kind's document.
func TestEveryKeyOfEveryKindIsChecked(t *testing.T) {
	s := newSite(t, nil)
	for _, kind := range order.Kinds() {
		var doc map[string]any
		if err := json.Unmarshal([]byte(payloadOf(t, s.orderOf(kind))), &doc); err != nil {
			t.Fatal(err)
		}
		mutateKeys(doc, string(kind), func(name string) {
			payload, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if o, err := order.Decode(payload); err == nil && !optional(name) {
				t.Errorf("%s: accepted %s as %+v", name, payload, o)
			}
		})
	}
}

// optional lists the changes that leave a good order.
func optional(name string) bool {
	switch name {
	case "reset.binding.boot_id removed", "reset.binding.nonce removed", "grant.binding.boot_id removed", "grant.binding.nonce removed":
		return true // One of the two is enough.
	case "release.body.health.criteria removed", "release.body.profiles removed", "release.body.health.at_end removed",
		"release.body.health.window_s removed", "release.body.ramp_percent removed":
		return true // Every profile fits then, and health is what the robot always watches.
	case "override.binding.boot_id removed", "override.binding.nonce removed", "session.binding.boot_id removed", "session.binding.nonce removed":
		return true // As well.
	case "override.body.max_speed_mps as 1.5":
		return true // Another good value.
	case "attestation-result.body.reasons removed":
		return true // An accepted result needs none.
	case "grant.body.max_speed_mps as 1.5", "grant.body.single_use as true":
		return true // Another good value, or the same.
	}
	return false
}

// mutateKeys changes one key at a time in a document and everything below it, calls try, and changes it back.
func mutateKeys(doc map[string]any, path string, try func(name string)) {
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		name, old := path+"."+key, doc[key]
		delete(doc, key)
		try(name + " removed")
		doc[strings.ToUpper(key)] = old
		try(name + " in capitals")
		doc[key] = old
		try(name + " also in capitals")
		delete(doc, strings.ToUpper(key))
		for _, other := range []any{nil, true, []any{}, map[string]any{}, "", -1, 1.5, "\u0000"} {
			doc[key] = other
			try(fmt.Sprintf("%s as %#v", name, other))
		}
		doc[key] = old
		if below, ok := old.(map[string]any); ok {
			mutateKeys(below, name, try)
		}
		if items, ok := old.([]any); ok && len(items) > 0 {
			if below, ok := items[0].(map[string]any); ok {
				mutateKeys(below, name+"[0]", try)
			}
		}
	}
}
