package evidence_test

import (
	"crypto"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(t time.Time) order.Times {
	return order.Times{Civil: t, Uncertainty: time.Second, Trust: order.Trusted}
}

// site is a verifier's key, a key of somebody else who is listed, and what the robot judges documents with.
type site struct {
	verifier, consumer crypto.Signer
	documents          *order.Verifier
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{}
	list := &order.KeyList{}
	draw := func(person string, role order.Role) crypto.Signer {
		key, err := order.GenerateKey(order.ECDSAP256)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := order.MarshalPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		id, err := order.KeyID(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		list.Keys = append(list.Keys, order.Key{
			ID: id, PEM: string(pem), Person: person, Roles: []order.Role{role}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(24 * time.Hour),
		})
		return key
	}
	root := draw("rita", order.RoleRoot)
	s.verifier, s.consumer = draw("verifier-1", order.RoleVerifier), draw("consumer-1", order.RoleConsumer)
	envelope, err := order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robot}, Sequence: 1, NotBefore: noon.Add(-time.Hour),
		NotAfter: noon.Add(time.Hour), Reason: "the site's keys", KeyList: list,
	}, root)
	if err != nil {
		t.Fatal(err)
	}
	s.documents, err = order.NewVerifier(order.Config{
		Robot: robot, BootID: bootID, Nonce: guardNonce, Roots: []crypto.PublicKey{root.Public()}, KeyLists: [][]byte{envelope},
	}, order.NewFloors())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func question() *order.Challenge {
	return &order.Challenge{
		Session: order.NewID(), Robot: robot, BootID: bootID, Nonce: order.NewID() + order.NewID(), PCRs: []int{0, 14}, NotAfter: noon.Add(time.Minute),
	}
}

func signQuestion(t testing.TB, c *order.Challenge, key crypto.Signer) []byte {
	t.Helper()
	payload, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	env, err := order.SignDocument(order.ChallengeType, payload, key)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func newAttester(t testing.TB, tier order.Tier) *evidence.Attester {
	t.Helper()
	a, err := evidence.NewAttester(robot, bootID, tier)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestChallenges(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		name   string
		change func(*order.Challenge)
		key    crypto.Signer
		now    order.Times
		tier   order.Tier
		want   evidence.Code
	}{
		{name: "good"},
		{name: "for another robot", change: func(c *order.Challenge) { c.Robot = "unitree/g1-0008" }, want: evidence.OtherRobot},
		{name: "for another boot", change: func(c *order.Challenge) { c.BootID = "00000000-9a3e-4f0e-8f1b-1d2c3b4a5968" }, want: evidence.OtherBoot},
		{name: "too late", now: at(noon.Add(61 * time.Second)), want: evidence.ChallengeExpired},
		{name: "perhaps too late", now: at(noon.Add(time.Minute))},
		{name: "in time by a clock in holdover", now: order.Times{Civil: noon, Uncertainty: 2 * time.Minute, Trust: order.Holdover}},
		{name: "for hours", change: func(c *order.Challenge) { c.NotAfter = noon.Add(time.Hour) }, want: evidence.ChallengeTooLong},
		{name: "by a consumer", key: s.consumer, want: evidence.Code(order.WrongRole)},
		{name: "by a stranger", key: newKey(t), want: evidence.Code(order.UnknownKey)},
		{name: "without a clock", now: order.Times{Civil: noon}, want: evidence.Code(order.ClockUntrusted)},
		{name: "for no PCR", change: func(c *order.Challenge) { c.PCRs = nil }, want: evidence.NoPCRs},
		{name: "for no PCR without a TPM", change: func(c *order.Challenge) { c.PCRs = nil }, tier: order.TierSoftwareKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := question()
			if tc.change != nil {
				tc.change(c)
			}
			if tc.key == nil {
				tc.key = s.verifier
			}
			if tc.now.Civil.IsZero() {
				tc.now = at(noon)
			}
			if tc.tier == "" {
				tc.tier = order.TierTPM
			}
			got, err := newAttester(t, tc.tier).Accept(tc.now, time.Minute, s.documents, signQuestion(t, c, tc.key))
			if evidence.CodeOf(err) != tc.want || (err == nil) != (tc.want == "") {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if err == nil && got.Nonce != c.Nonce {
				t.Errorf("accepted %+v", got)
			}
			if err != nil && err.(*evidence.Refusal).Detail == "" { //nolint:errorlint // CodeOf has looked.
				t.Error("the refusal says nothing")
			}
		})
	}
}

func TestAChallengeIsAnsweredOnce(t *testing.T) {
	s := newSite(t)
	a := newAttester(t, order.TierTPM)
	env := signQuestion(t, question(), s.verifier)
	if _, err := a.Accept(at(noon), 0, s.documents, env); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := a.Accept(at(noon), time.Hour, s.documents, env); evidence.CodeOf(err) != evidence.Answered {
			t.Fatalf("answered again: %v", err)
		}
	}
}

func TestChallengesComeAtABoundedRate(t *testing.T) {
	s := newSite(t)
	a := newAttester(t, order.TierTPM)
	accepted := 0
	for i := range 30 {
		_, err := a.Accept(at(noon), time.Duration(i)*time.Second, s.documents, signQuestion(t, question(), s.verifier))
		switch evidence.CodeOf(err) {
		case "":
			accepted++
		case evidence.TooMany:
		default:
			t.Fatal(err)
		}
	}
	if want := evidence.AnswerBurst + 2; accepted != want {
		t.Errorf("accepted %d of 30 challenges in 29 s, want %d", accepted, want)
	}
	// A flood of forged ones ends before the signatures are looked at, and does not use up answers.
	a = newAttester(t, order.TierTPM)
	forged := signQuestion(t, question(), newKey(t))
	limited := 0
	for range 100 {
		if _, err := a.Accept(at(noon), 0, s.documents, forged); evidence.CodeOf(err) == evidence.TooMany {
			limited++
		}
	}
	if limited != 60 {
		t.Errorf("%d of 100 forged challenges were not looked at, want 60", limited)
	}
	if _, err := a.Accept(at(noon), time.Second, s.documents, signQuestion(t, question(), s.verifier)); err != nil {
		t.Errorf("after a flood of forged challenges: %v", err)
	}
}

// TestNoNonceIsEverAnsweredTwice plays old and new challenges in any order at any time.
func TestNoNonceIsEverAnsweredTwice(t *testing.T) {
	s := newSite(t)
	var pool [][]byte
	for range 8 {
		pool = append(pool, signQuestion(t, question(), s.verifier))
	}
	rapid.Check(t, func(rt *rapid.T) {
		a := newAttester(t, order.TierTPM)
		seen := map[string]bool{}
		boot := time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(rt, "challenges") {
			boot += time.Duration(rapid.Int64Range(-int64(time.Second), int64(20*time.Second)).Draw(rt, "later"))
			c, err := a.Accept(at(noon), boot, s.documents, rapid.SampledFrom(pool).Draw(rt, "challenge"))
			if err != nil {
				continue
			}
			if seen[c.Nonce] {
				rt.Fatalf("nonce %s was answered twice", c.Nonce)
			}
			seen[c.Nonce] = true
		}
	})
}

func TestAttestersThatCannotBe(t *testing.T) {
	for name, make := range map[string]func() (*evidence.Attester, error){
		"robot": func() (*evidence.Attester, error) { return evidence.NewAttester("x", bootID, order.TierTPM) },
		"boot":  func() (*evidence.Attester, error) { return evidence.NewAttester(robot, "", order.TierTPM) },
		"tier":  func() (*evidence.Attester, error) { return evidence.NewAttester(robot, bootID, "") },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNonce(t *testing.T) {
	c := question()
	got, err := evidence.Nonce(c)
	if err != nil || hex.EncodeToString(got[:]) != c.Nonce {
		t.Errorf("%x, %v", got, err)
	}
	c.Nonce = "00"
	if _, err := evidence.Nonce(c); err == nil {
		t.Error("a short nonce passes")
	}
	if evidence.CodeOf(errors.New("x")) != "" {
		t.Error("any error has a code")
	}
}
