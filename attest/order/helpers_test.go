package order_test

import (
	"crypto"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

const (
	robot  = "unitree/g1-0007"
	bootID = "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968"
	nonce  = "000102030405060708090a0b0c0d0e0f"
)

// noon is the time at which the tests' site works.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(t time.Time) order.Times {
	return order.Times{Civil: t, Uncertainty: time.Second, Trust: order.Trusted}
}

// holder is a person with a key.
type holder struct {
	priv crypto.Signer
	key  order.Key
}

func newHolder(t testing.TB, alg order.Algorithm, person string, roles ...order.Role) holder {
	t.Helper()
	priv, err := order.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return holderOf(t, priv, person, roles...)
}

// holderOf is a person with this key.
func holderOf(t testing.TB, priv crypto.Signer, person string, roles ...order.Role) holder {
	t.Helper()
	pem, err := order.MarshalPublicKey(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	id, err := order.KeyID(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	return holder{priv: priv, key: order.Key{
		ID: id, PEM: string(pem), Person: person, Roles: roles,
		NotBefore: noon.Add(-24 * time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour),
	}}
}

// site is one holder for each role, a key list and what a robot of the site is configured with.
type site struct {
	root, engineer, operator, fleet, vendor, button holder
	verifierKey, consumer, release, maker           holder
	list                                            *order.Order
	cfg                                             order.Config
}

func (s *site) holders() []holder {
	return []holder{s.root, s.engineer, s.operator, s.fleet, s.vendor, s.button, s.verifierKey, s.consumer, s.release}
}

// newSite enrols a robot. The change, when not nil, edits the key list before it is signed.
func newSite(t testing.TB, change func(*site)) *site {
	t.Helper()
	s := &site{
		root:        newHolder(t, order.ECDSAP256, "rita", order.RoleRoot),
		engineer:    newHolder(t, order.Ed25519, "sven", order.RoleSafetyEngineer),
		operator:    newHolder(t, order.ECDSAP256, "olga", order.RoleOperator),
		fleet:       newHolder(t, order.Ed25519, "finn", order.RoleFleetManager),
		vendor:      newHolder(t, order.ECDSAP256, "vera", order.RoleVendor),
		button:      newHolder(t, order.Ed25519, "button-3", order.RoleStopOnly),
		verifierKey: newHolder(t, order.ECDSAP256, "verifier-1", order.RoleVerifier),
		consumer:    newHolder(t, order.Ed25519, "consumer-1", order.RoleConsumer),
		release:     newHolder(t, order.ECDSAP256, "release-1", order.RoleRelease),
		maker:       newHolder(t, order.ECDSAP256, "maker-1", order.RoleArtifact),
	}
	s.list = base(order.KindKeyList)
	s.list.KeyList = &order.KeyList{}
	for _, h := range s.holders() {
		s.list.KeyList.Keys = append(s.list.KeyList.Keys, h.key)
	}
	s.list.KeyList.Keys = append(s.list.KeyList.Keys, s.maker.key)
	if change != nil {
		change(s)
	}
	s.cfg = order.Config{
		Robot: robot, Groups: []string{"ward-3"}, BootID: bootID, Nonce: nonce,
		Roots: []crypto.PublicKey{s.root.priv.Public()}, KeyLists: [][]byte{sign(t, s.list, s.root)},
	}
	return s
}

func (s *site) verifier(t testing.TB, ledger order.Ledger) *order.Verifier {
	t.Helper()
	v, err := order.NewVerifier(s.cfg, ledger)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// base is an order without a body.
func base(kind order.Kind) *order.Order {
	o := &order.Order{
		Kind: kind, ID: order.NewID(), Audience: []string{robot},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), Reason: "checked the aisle",
	}
	if kind.Sequenced() {
		o.Sequence = 1
	}
	if kind.Bound() {
		o.Binding = order.Binding{BootID: bootID, Nonce: nonce}
	}
	return o
}

// sample is a complete order of a kind, except for key lists, which need a site.
func sample(kind order.Kind) *order.Order {
	o := base(kind)
	switch kind {
	case order.KindStop:
		o.Stop = &order.Stop{Category: 2}
	case order.KindReset:
		o.Reset = &order.Reset{Triggers: []string{"pose.stale", "channel.operator"}}
	case order.KindGrant:
		o.Grant = &order.Grant{
			Scope: order.ScopeZone, Zone: "pharmacy", MaxSpeedMPS: 0.3, Expires: noon.Add(30 * time.Minute), SingleUse: true,
		}
	case order.KindPolicySet:
		policy := []byte("version: 1\nzones: []\n")
		o.PolicySet = &order.PolicySet{
			Policy: policy, PolicySHA256: order.Digest(policy),
			ProfileSHA256: order.Digest([]byte("profile")), TopicsSHA256: order.Digest([]byte("topics")),
		}
	case order.KindAttestationResult:
		o.AttestationResult = &order.AttestationResult{
			Verdict: order.VerdictAccepted, Tier: order.TierTPM, EvidenceSHA256: order.Digest([]byte("evidence")),
			Reasons: []string{"eventlog-absent"},
		}
	case order.KindRelease:
		o.Release = &order.Release{
			Version: "2026.11.3", SVN: 7, RollbackFloor: 5, Profiles: []string{order.Digest([]byte("profile"))}, SettleS: 600, Criteria: []string{"no-latch"},
			WindowS: 1200, AtEnd: order.AtEndHold, RampPercent: 10,
			Artifacts: []order.Artifact{
				{Name: "arm-firmware", Version: "3.1", SHA256: order.Digest([]byte("firmware")), Size: 1 << 20, Files: 1},
				{Name: "grasp-model", Version: "1.4", SHA256: order.Digest([]byte("model")), Size: 5 << 30, Files: 12, Fallbacks: []string{order.Digest([]byte("old"))}},
			},
		}
	case order.KindOverride:
		o.Override = &order.Override{Triggers: []string{"pose.covariance"}, MaxSpeedMPS: 0.2, Expires: o.NotAfter}
	case order.KindSession:
		o.Session = &order.Session{
			Channel: "operator", Level: order.LevelControl, Who: "Olga", Role: "operator", From: "control room", Expires: o.NotAfter,
		}
	case order.KindHalt:
		o.Halt = &order.Halt{Version: "2026.11.3"}
	case order.KindKeyList:
		panic("a key list needs a site")
	}
	return o
}

// orderOf is a complete order of any kind for a site.
func (s *site) orderOf(kind order.Kind) *order.Order {
	if kind != order.KindKeyList {
		return sample(kind)
	}
	o := base(kind)
	o.Sequence = 2
	o.KeyList = s.list.KeyList
	return o
}

// signerOf is the holder who signs orders of a kind in the tests.
func (s *site) signerOf(kind order.Kind) holder {
	switch kind {
	case order.KindKeyList:
		return s.root
	case order.KindPolicySet, order.KindGrant, order.KindSession:
		return s.engineer
	case order.KindAttestationResult:
		return s.verifierKey
	case order.KindRelease:
		return s.release
	case order.KindStop, order.KindReset, order.KindOverride, order.KindHalt:
	}
	return s.operator
}

func sign(t testing.TB, o *order.Order, holders ...holder) []byte {
	t.Helper()
	keys := make([]crypto.Signer, 0, len(holders))
	for _, h := range holders {
		keys = append(keys, h.priv)
	}
	env, err := order.Sign(o, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// wantReason checks that err is a refusal for this reason with a text that a person can use.
func wantReason(t testing.TB, err error, want order.Reason) {
	t.Helper()
	var e *order.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a refusal with reason %s", err, err, want)
	}
	if e.Reason != want {
		t.Fatalf("refused with %s, want %s: %v", e.Reason, want, err)
	}
	if e.Detail == "" {
		t.Errorf("the refusal %s says nothing", fmt.Sprint(e.Reason))
	}
}
