package order_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/order"
)

func challenge() *order.Challenge {
	return &order.Challenge{
		Session: nonce, Robot: robot, BootID: bootID, Nonce: nonce + nonce, PCRs: []int{0, 4, 14}, NotAfter: noon.Add(time.Minute),
	}
}

func acknowledgement() *order.Acknowledgement {
	return &order.Acknowledgement{Robot: robot, Log: "guard", BootID: bootID, Seq: 712, Digest: order.Digest([]byte("chain"))}
}

func encode(t testing.TB, d interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	payload, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func signDocument(t testing.TB, payloadType string, payload []byte, h holder) []byte {
	t.Helper()
	env, err := order.SignDocument(payloadType, payload, h.priv)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func TestDocuments(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, s.enrolled(t))
	stranger := newHolder(t, order.Ed25519, "sally", order.RoleVerifier)
	payload := encode(t, challenge())
	good := signDocument(t, order.ChallengeType, payload, s.verifierKey)
	both, err := order.SignDocument(order.ChallengeType, payload, s.verifierKey.priv, stranger.priv)
	if err != nil {
		t.Fatal(err)
	}
	demo := newSite(t, func(s *site) {
		for i := range s.list.KeyList.Keys[1:] {
			s.list.KeyList.Keys[i+1].Demo = true
		}
	})
	bare := newSite(t, nil)
	bare.cfg.KeyLists = nil
	for _, tc := range []struct {
		name     string
		v        *order.Verifier
		now      order.Times
		as       string
		role     order.Role
		envelope []byte
		want     order.Reason
	}{
		{"good", v, at(noon), order.ChallengeType, order.RoleVerifier, good, ""},
		{"again", v, at(noon), order.ChallengeType, order.RoleVerifier, good, ""},
		{"in another role", v, at(noon), order.ChallengeType, order.RoleConsumer, good, order.WrongRole},
		{"read as another type", v, at(noon), order.AcknowledgementType, order.RoleVerifier, good, order.WrongType},
		{"read as an order", v, at(noon), order.PayloadType, order.RoleVerifier, sign(t, sample(order.KindAttestationResult), s.verifierKey), order.WrongType},
		{"an order", v, at(noon), order.ChallengeType, order.RoleVerifier, sign(t, sample(order.KindAttestationResult), s.verifierKey), order.WrongType},
		{"relabelled", v, at(noon), order.AcknowledgementType, order.RoleVerifier, bytes.Replace(good, []byte(order.ChallengeType), []byte(order.AcknowledgementType), 1), order.BadSignature},
		{"by an operator", v, at(noon), order.ChallengeType, order.RoleVerifier, signDocument(t, order.ChallengeType, payload, s.operator), order.WrongRole},
		{"by a root", v, at(noon), order.ChallengeType, order.RoleVerifier, signDocument(t, order.ChallengeType, payload, s.root), order.WrongRole},
		{"by a stranger", v, at(noon), order.ChallengeType, order.RoleVerifier, signDocument(t, order.ChallengeType, payload, stranger), order.UnknownKey},
		{"by a stranger as well", v, at(noon), order.ChallengeType, order.RoleVerifier, both, order.UnknownKey},
		{"changed", v, at(noon), order.ChallengeType, order.RoleVerifier, bytes.Replace(good, []byte(`"payload":"eyJ`), []byte(`"payload":"eyI`), 1), order.BadSignature},
		{"no envelope", v, at(noon), order.ChallengeType, order.RoleVerifier, []byte("{}"), order.Malformed},
		{"too long", v, at(noon), order.ChallengeType, order.RoleVerifier, append(bytes.Clone(good), bytes.Repeat([]byte(" "), 96<<10)...), order.Oversize},
		{"without a clock", v, order.Times{Civil: noon}, order.ChallengeType, order.RoleVerifier, good, order.ClockUntrusted},
		{"by a key that has run out", v, at(noon.Add(400 * 24 * time.Hour)), order.ChallengeType, order.RoleVerifier, good, order.KeyExpired},
		{"before the key's time", v, at(noon.Add(-48 * time.Hour)), order.ChallengeType, order.RoleVerifier, good, order.KeyExpired},
		{"by a demonstration key", demo.verifier(t, order.NewFloors()), at(noon), order.ChallengeType, order.RoleVerifier, signDocument(t, order.ChallengeType, payload, demo.verifierKey), order.DemoKey},
		{"without a key list", bare.verifier(t, order.NewFloors()), at(noon), order.ChallengeType, order.RoleVerifier, signDocument(t, order.ChallengeType, payload, bare.verifierKey), order.NoKeyList},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, signers, err := tc.v.VerifyDocument(tc.now, tc.as, tc.role, tc.envelope)
			if tc.want != "" {
				wantReason(t, err, tc.want)
				if got != nil || signers != nil {
					t.Error("a refused document was handed out")
				}
				return
			}
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%s, %v", got, err)
			}
			want := []order.Signer{{KeyID: s.verifierKey.key.ID, Person: "verifier-1", Roles: []order.Role{order.RoleVerifier}}}
			if diff := cmp.Diff(want, signers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDocumentsNeedAKeyListInOrder puts an old key list back on the robot's disk.
func TestDocumentsNeedAKeyListInOrder(t *testing.T) {
	s := newSite(t, nil)
	floors := s.enrolled(t)
	newer := s.orderOf(order.KindKeyList)
	x, err := s.verifier(t, floors).Verify(at(noon), sign(t, newer, s.root))
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Use(at(noon), x.Claim()); err != nil {
		t.Fatal(err)
	}
	env := signDocument(t, order.AcknowledgementType, encode(t, acknowledgement()), s.consumer)
	_, _, err = s.verifier(t, floors).VerifyDocument(at(noon), order.AcknowledgementType, order.RoleConsumer, env)
	wantReason(t, err, order.SequenceTooOld)
}

func TestWhatIsNoDocumentIsNotSigned(t *testing.T) {
	s := newSite(t, nil)
	for name, tc := range map[string]struct {
		payloadType string
		payload     []byte
	}{
		"an order":         {order.PayloadType, encode(t, sample(order.KindStop))},
		"no type":          {"", []byte("{}")},
		"a strange type":   {"application/x y", []byte("{}")},
		"nothing":          {order.ChallengeType, nil},
		"a large document": {order.ChallengeType, make([]byte, order.MaxPayload+1)},
	} {
		if _, err := order.SignDocument(tc.payloadType, tc.payload, s.engineer.priv); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
	if _, err := order.SignDocument(order.ChallengeType, []byte("{}")); err == nil {
		t.Error("a document was signed without a key")
	}
	env := signDocument(t, order.ChallengeType, make([]byte, order.MaxPayload), s.verifierKey)
	if _, _, err := s.verifier(t, s.enrolled(t)).VerifyDocument(at(noon), order.ChallengeType, order.RoleVerifier, env); err != nil {
		t.Errorf("the largest document was refused: %v", err)
	}
}

func TestMalformedDocuments(t *testing.T) {
	question, word := string(encode(t, challenge())), string(encode(t, acknowledgement()))
	for name, text := range map[string]string{
		"session short":     strings.Replace(question, `"session":"0001`, `"session":"`, 1),
		"robot missing":     strings.Replace(question, `"robot":"`+robot+`",`, "", 1),
		"robot a group":     strings.Replace(question, robot, "group:x", 1),
		"boot in capitals":  strings.Replace(question, bootID, strings.ToUpper(bootID), 1),
		"nonce short":       strings.Replace(question, nonce+nonce, nonce, 1),
		"pcr 24":            strings.Replace(question, "[0,4,14]", "[0,4,24]", 1),
		"pcr negative":      strings.Replace(question, "[0,4,14]", "[-1]", 1),
		"pcrs falling":      strings.Replace(question, "[0,4,14]", "[4,0]", 1),
		"pcr twice":         strings.Replace(question, "[0,4,14]", "[4,4]", 1),
		"pcr as a string":   strings.Replace(question, "[0,4,14]", `["4"]`, 1),
		"pcrs missing":      strings.Replace(question, `"pcrs":[0,4,14],`, "", 1),
		"pcrs null":         strings.Replace(question, "[0,4,14]", "null", 1),
		"too many pcrs":     strings.Replace(question, "[0,4,14]", "["+strings.Repeat("0,", 99)+"0]", 1),
		"logs unsorted":     strings.Replace(question, `"not_after"`, `"logs":["b","a"],"not_after"`, 1),
		"logs empty":        strings.Replace(question, `"not_after"`, `"logs":[],"not_after"`, 1),
		"log in capitals":   strings.Replace(question, `"not_after"`, `"logs":["A"],"not_after"`, 1),
		"too many logs":     strings.Replace(question, `"not_after"`, `"logs":["a","b","c","d","e","f","g","h","i"],"not_after"`, 1),
		"time with a zone":  strings.Replace(question, "12:01:00Z", "12:01:00+00:00", 1),
		"an unknown key":    strings.Replace(question, "{", `{"note":1,`, 1),
		"a key twice":       strings.Replace(question, "{", `{"robot":"`+robot+`",`, 1),
		"text behind":       question + "{}",
		"nothing":           "",
		"an array":          "[]",
		"not the other one": word,
	} {
		_, err := order.DecodeChallenge([]byte(text))
		wantReasonNamed(t, name, err)
	}
	for name, text := range map[string]string{
		"log in capitals":   strings.Replace(word, `"guard"`, `"Guard"`, 1),
		"log empty":         strings.Replace(word, `"guard"`, `""`, 1),
		"seq negative":      strings.Replace(word, "712", "-1", 1),
		"seq a string":      strings.Replace(word, "712", `"712"`, 1),
		"seq above 2^53":    strings.Replace(word, "712", "9007199254740993", 1),
		"seq missing":       strings.Replace(word, `"seq":712,`, "", 1),
		"digest short":      strings.Replace(word, order.Digest([]byte("chain")), "ab", 1),
		"boot id missing":   strings.Replace(word, `"boot_id":"`+bootID+`",`, "", 1),
		"robot malformed":   strings.Replace(word, robot, "g1", 1),
		"an unknown key":    strings.Replace(word, "{", `{"note":1,`, 1),
		"not the other one": question,
		"too long":          word + strings.Repeat(" ", order.MaxPayload),
	} {
		_, err := order.DecodeAcknowledgement([]byte(text))
		wantReasonNamed(t, name, err)
	}
}

func wantReasonNamed(t *testing.T, name string, err error) {
	t.Helper()
	if order.ReasonOf(err) != order.Malformed {
		t.Errorf("%s: got %v, want a refusal", name, err)
	}
}

func TestAnyDocumentSurvivesEncoding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := challenge()
		q.Session = rapid.StringMatching(`[0-9a-f]{32}`).Draw(rt, "session")
		q.Nonce = rapid.StringMatching(`[0-9a-f]{64}`).Draw(rt, "nonce")
		q.PCRs = nil
		for n := range 24 {
			if rapid.Bool().Draw(rt, "pcr") {
				q.PCRs = append(q.PCRs, n)
			}
		}
		if rapid.Bool().Draw(rt, "logs") {
			q.Logs = []string{"firmware", "measured"}
		}
		back, err := order.DecodeChallenge(encode(t, q))
		if diff := cmp.Diff(q, back); err != nil || diff != "" {
			rt.Fatalf("%v\n%s", err, diff)
		}
		a := acknowledgement()
		a.Seq = rapid.Uint64Max(order.MaxSequence).Draw(rt, "seq")
		a.Log = rapid.StringMatching(`[a-z0-9._-]{1,64}`).Draw(rt, "log")
		if got, err := order.DecodeAcknowledgement(encode(t, a)); err != nil || *got != *a {
			rt.Fatalf("%v, %v", got, err)
		}
	})
}

func commissioning() *order.Commissioning {
	return &order.Commissioning{
		Robot: robot, Profile: order.Digest([]byte("profile")), BootID: bootID, Measured: noon, Due: noon.AddDate(1, 0, 0), MPS: 0.5,
		Items: []order.CommissioningItem{
			{Name: "deceleration", Result: order.ItemPassed, Unit: "m/s2", Value: 0.81, Error: 0.03, Mean: 0.81, Limit: 0.7, Text: "0.81 over 3 stops"},
			{Name: "input.estop", Result: order.ItemNotMeasured, Text: "nobody pressed it"},
		},
	}
}

func TestCommissioning(t *testing.T) {
	c := commissioning()
	back, err := order.DecodeCommissioning(encode(t, c))
	if diff := cmp.Diff(c, back); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	if c.Enough() {
		t.Error("enough, with an item that was not measured")
	}
	if c.Items = c.Items[:1]; !c.Enough() {
		t.Error("not enough, with every item passed")
	}
	if (&order.Commissioning{}).Enough() {
		t.Error("enough without any item")
	}
	for name, spoil := range map[string]func(*order.Commissioning){
		"no robot":          func(c *order.Commissioning) { c.Robot = "robot" },
		"no digest":         func(c *order.Commissioning) { c.Profile = "sha256:00" },
		"no boot":           func(c *order.Commissioning) { c.BootID = "" },
		"no speed":          func(c *order.Commissioning) { c.MPS = 0 },
		"a speed of NaN":    func(c *order.Commissioning) { c.MPS = math.NaN() },
		"no items":          func(c *order.Commissioning) { c.Items = nil },
		"an item twice":     func(c *order.Commissioning) { c.Items = append(c.Items, c.Items[0]) },
		"another result":    func(c *order.Commissioning) { c.Items[0].Result = "fine" },
		"a negative figure": func(c *order.Commissioning) { c.Items[0].Limit = -1 },
		"infinite":          func(c *order.Commissioning) { c.Items[0].Value = math.Inf(1) },
		"no unit":           func(c *order.Commissioning) { c.Items[0].Unit = "" },
		"two lines":         func(c *order.Commissioning) { c.Items[0].Text = "a\nb" },
		"no text":           func(c *order.Commissioning) { c.Items[0].Text = "" },
		"due before":        func(c *order.Commissioning) { c.Due = c.Measured },
		"due in ten years":  func(c *order.Commissioning) { c.Due = c.Measured.AddDate(10, 0, 0) },
		"half a second":     func(c *order.Commissioning) { c.Measured = c.Measured.Add(time.Second / 2) },
	} {
		bad := commissioning()
		if spoil(bad); bad.Validate() == nil {
			t.Errorf("%s: expected a refusal", name)
		}
	}
	for name, text := range map[string]string{
		"another key":   strings.Replace(string(encode(t, commissioning())), `"robot"`, `"fine":true,"robot"`, 1),
		"a key twice":   strings.Replace(string(encode(t, commissioning())), `"robot"`, `"robot":"a/b","robot"`, 1),
		"in an item":    strings.Replace(string(encode(t, commissioning())), `"result"`, `"fine":true,"result"`, 1),
		"half of it":    string(encode(t, commissioning())[:100]),
		"nothing":       "",
		"no object":     "[]",
		"items as text": `{"robot":"a/b","items":"x"}`,
	} {
		if _, err := order.DecodeCommissioning([]byte(text)); order.ReasonOf(err) != order.Malformed {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// FuzzDocuments feeds payloads to all decoders: what one reads has one form.
func FuzzDocuments(f *testing.F) {
	f.Add(encode(f, challenge()))
	f.Add(encode(f, acknowledgement()))
	f.Add(encode(f, commissioning()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if q, err := order.DecodeChallenge(data); err == nil {
			if back, err := order.DecodeChallenge(encode(t, q)); err != nil || !cmp.Equal(q, back) {
				t.Errorf("a challenge does not survive being written: %v", err)
			}
		}
		if a, err := order.DecodeAcknowledgement(data); err == nil {
			if back, err := order.DecodeAcknowledgement(encode(t, a)); err != nil || *a != *back {
				t.Errorf("an acknowledgement does not survive being written: %v", err)
			}
		}
		if c, err := order.DecodeCommissioning(data); err == nil {
			if back, err := order.DecodeCommissioning(encode(t, c)); err != nil || !cmp.Equal(c, back) {
				t.Errorf("a record of a proof test does not survive being written: %v", err)
			}
		}
	})
}
