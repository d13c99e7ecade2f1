package authority

import (
	"bytes"
	"crypto"
	"os"
	"path/filepath"
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
	p.list = must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{"group:all"}, Sequence: 1, NotBefore: from, NotAfter: from.Add(1000 * time.Hour), Reason: "keys", KeyList: list,
	}, p.keys[order.RoleRoot]))(t)
	return p
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
