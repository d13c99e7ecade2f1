package authority

import (
	"bytes"
	"crypto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// people are a site's root and those whom its key list names, each with the role of that name.
type people struct {
	roots []byte
	list  []byte
	keys  map[order.Role]crypto.Signer
	all   []order.Key
	from  time.Time
}

func newPeople(t *testing.T, now time.Time) *people {
	t.Helper()
	p := &people{keys: map[order.Role]crypto.Signer{}}
	from := now.UTC().Truncate(time.Second).Add(-time.Hour)
	list := &order.KeyList{}
	for _, role := range []order.Role{order.RoleRoot, order.RoleSecurity, order.RoleSafetyEngineer, order.RoleOperator, order.RoleVerifier} {
		key := must(order.GenerateKey(order.ECDSAP256))(t)
		p.keys[role] = key
		pem := must(order.MarshalPublicKey(key.Public()))(t)
		if role == order.RoleRoot {
			p.roots = pem
		}
		list.Keys = append(list.Keys, order.Key{
			ID: must(order.KeyID(key.Public()))(t), PEM: string(pem), Person: "p-" + string(role), Roles: []order.Role{role}, NotBefore: from, NotAfter: from.Add(1000 * time.Hour),
		})
	}
	p.all, p.from = list.Keys, from
	p.list = p.sign(t, 1, from, "", "group:all")
	return p
}

// sign signs a list of everybody but those with a role.
func (p *people) sign(t *testing.T, sequence uint64, from time.Time, without order.Role, audience ...string) []byte {
	t.Helper()
	keys := slices.DeleteFunc(slices.Clone(p.all), func(k order.Key) bool { return slices.Contains(k.Roles, without) })
	return must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: audience, Sequence: sequence, NotBefore: from, NotAfter: from.Add(1000 * time.Hour), Reason: "keys",
		KeyList: &order.KeyList{Keys: keys},
	}, p.keys[order.RoleRoot]))(t)
}

func sign(t *testing.T, r *order.Revocation, kind string, key crypto.Signer) []byte {
	t.Helper()
	return must(order.SignDocument(kind, must(r.Encode())(t), key))(t)
}

// TestSignedRevocations takes revocations from those who may sign them, and from nobody else.
func TestSignedRevocations(t *testing.T) {
	s := newSite(t)
	p, strangers := newPeople(t, time.Now()), newPeople(t, time.Now())
	d := &device{s: s, dir: t.TempDir(), name: robot}
	d.key = must(tpm.CreateSoftware(filepath.Join(d.dir, "device.key.pem")))(t)
	d.enrolled(s.invite(robot, func(o *InviteOptions) { o.Tier = order.TierSoftwareKey }), enrol.Enrolled)
	s.clock.wait(2 * time.Second)
	r := order.Revocation{Role: "robot", Name: robot, Before: s.clock.now().UTC().Truncate(time.Second), Reason: "stolen"}
	good := sign(t, &r, order.RevocationType, p.keys[order.RoleSecurity])
	if _, err := s.a.Take(good, p.list); err == nil || !strings.Contains(err.Error(), "ca roots") {
		t.Errorf("without root keys: %v", err)
	}
	if err := s.a.PinRoots(p.roots); err != nil {
		t.Fatal(err)
	}
	if err := s.a.PinRoots(strangers.roots); err == nil {
		t.Error("pinned twice")
	}
	future, person, nobody := r, r, r
	future.Before = future.Before.Add(time.Hour)
	person.Role, nobody.Role = "operator", "root"
	changed := bytes.Replace(bytes.Clone(good), []byte(`"payload":"e`), []byte(`"payload":"f`), 1)
	for name, c := range map[string]struct{ envelope, list []byte }{
		"an operator's":             {sign(t, &r, order.RevocationType, p.keys[order.RoleOperator]), p.list},
		"a verifier's":              {sign(t, &r, order.RevocationType, p.keys[order.RoleVerifier]), p.list},
		"a root's":                  {sign(t, &r, order.RevocationType, p.keys[order.RoleRoot]), p.list},
		"a stranger's":              {sign(t, &r, order.RevocationType, strangers.keys[order.RoleSecurity]), p.list},
		"a stranger's and his list": {sign(t, &r, order.RevocationType, strangers.keys[order.RoleSecurity]), strangers.list},
		"a challenge":               {sign(t, &r, order.ChallengeType, p.keys[order.RoleSecurity]), p.list},
		"of the future":             {sign(t, &future, order.RevocationType, p.keys[order.RoleSecurity]), p.list},
		"of another role's name":    {sign(t, &person, order.RevocationType, p.keys[order.RoleSecurity]), p.list},
		"of no role":                {sign(t, &nobody, order.RevocationType, p.keys[order.RoleSecurity]), p.list},
		"changed":                   {changed, p.list},
		"no list":                   {good, []byte("{}")},
		"nothing":                   {nil, p.list},
	} {
		if got, err := s.a.Take(c.envelope, c.list); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if n := len(revoked(t, s)); n != 0 {
		t.Fatalf("%d certificates are revoked", n)
	}
	for _, key := range []order.Role{order.RoleSafetyEngineer, order.RoleSecurity, order.RoleSecurity} {
		if _, err := s.a.Take(sign(t, &r, order.RevocationType, p.keys[key]), p.list); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(revoked(t, s)); n != 1 {
		t.Errorf("%d certificates are revoked", n)
	}
	if n := len(must(os.ReadDir(filepath.Join(s.dir, dirRevocations)))(t)); n < 2 {
		t.Errorf("%d revocations were kept", n)
	}
	s.clock.wait(monthsLater)
	d.refused(nil, "revoked")
	all := must(s.a.List())(t)
	if len(all) != 1 || all[0].State != "revoked" || all[0].Name != robot {
		t.Errorf("%+v", all)
	}
}

// TestReplacedKeyLists has a security officer taken out of the key list: with the list of before she revokes nobody any more, from
// the moment the authority has seen the list of after.
func TestReplacedKeyLists(t *testing.T) {
	s := newSite(t)
	p := newPeople(t, time.Now())
	if err := s.a.PinRoots(p.roots); err != nil {
		t.Fatal(err)
	}
	moment := s.clock.now().UTC().Truncate(time.Second)
	hers := sign(t, &order.Revocation{Role: "robot", Name: robot, Before: moment, Reason: "spite"}, order.RevocationType, p.keys[order.RoleSecurity])
	his := sign(t, &order.Revocation{Role: "robot", Name: "unitree/g1-0008", Before: moment, Reason: "stolen"}, order.RevocationType, p.keys[order.RoleSafetyEngineer])
	one, two := p.sign(t, 1, p.from, "", "group:all"), p.sign(t, 2, p.from, order.RoleSecurity, "group:all", "group:ward-3")
	tomorrow := p.sign(t, 3, p.from.Add(24*time.Hour), "", "group:all")
	must(s.a.Take(his, one))(t)
	for name, list := range map[string][]byte{"of tomorrow": tomorrow, "a leap": p.sign(t, 2+order.MaxSequenceStep, p.from, "", "group:all"), "a stranger's": newPeople(t, time.Now()).list} {
		if n, err := s.a.TakeKeyList(list); err == nil {
			t.Errorf("%s: the list %d is taken", name, n)
		}
	}
	if n := must(s.a.TakeKeyList(two))(t); n != 2 {
		t.Errorf("sequence %d", n)
	}
	for _, a := range []*Authority{s.a, must(Open(s.dir, s.clock.now))(t)} {
		for name, list := range map[string][]byte{
			"of before": one, "another 1": p.sign(t, 1, p.from, "", "group:all"), "another 2": p.sign(t, 2, p.from, "", "group:all"),
			"of before, for a part": p.sign(t, 1, p.from, "", "group:ward-3"), "of before, for more": p.sign(t, 1, p.from, "", "group:ward-4", "group:all"),
		} {
			if got, err := a.Take(hers, list); err == nil || !strings.Contains(err.Error(), "the newest seen") {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if _, err := a.Take(hers, two); err == nil {
			t.Error("she is not on the list")
		}
		must(a.Take(his, two))(t)
	}
	if !s.record(robot).Revoked.IsZero() {
		t.Error("her revocation counts")
	}
	// A robot's own list has a count of its own.
	must(s.a.Take(his, p.sign(t, 1, p.from, "", robot)))(t)
	if err := os.WriteFile(filepath.Join(s.dir, keyLists), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.a.Take(his, two); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("what the newest list is cannot be known: %v", err)
	}
}
