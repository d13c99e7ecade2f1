package order_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

func TestReleasesThatContradictThemselves(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*order.Release)
		names string
	}{
		"a floor above the svn":    {func(r *order.Release) { r.RollbackFloor = r.SVN + 1 }, "rollback_floor"},
		"no version":               {func(r *order.Release) { r.Version = "" }, "body.version"},
		"a version with a space":   {func(r *order.Release) { r.Version = "1 2" }, "body.version"},
		"no time to settle":        {func(r *order.Release) { r.SettleS = 0 }, "settle_s"},
		"no artifacts":             {func(r *order.Release) { r.Artifacts = nil }, "artifacts"},
		"an artifact twice":        {func(r *order.Release) { r.Artifacts[1].Name = r.Artifacts[0].Name }, "artifacts[1].name"},
		"artifacts out of order":   {func(r *order.Release) { r.Artifacts[0].Name = "z" }, "artifacts[1].name"},
		"a path as name":           {func(r *order.Release) { r.Artifacts[0].Name = "../x" }, "artifacts[0].name"},
		"a hidden name":            {func(r *order.Release) { r.Artifacts[0].Name = ".x" }, "artifacts[0].name"},
		"a digest too short":       {func(r *order.Release) { r.Artifacts[0].SHA256 = "ab" }, "artifacts[0].sha256"},
		"a digest in capitals":     {func(r *order.Release) { r.Artifacts[0].SHA256 = strings.ToUpper(r.Artifacts[0].SHA256) }, "artifacts[0].sha256"},
		"no files":                 {func(r *order.Release) { r.Artifacts[0].Files = 0 }, "artifacts[0].files"},
		"itself as fallback":       {func(r *order.Release) { r.Artifacts[1].Fallbacks[0] = r.Artifacts[1].SHA256 }, "artifacts[1].fallbacks"},
		"a fallback twice":         {func(r *order.Release) { f := &r.Artifacts[1]; f.Fallbacks = append(f.Fallbacks, f.Fallbacks[0]) }, "fallbacks[1]"},
		"a profile that is none":   {func(r *order.Release) { r.Profiles[0] = "g1" }, "profiles[0]"},
		"a window too short":       {func(r *order.Release) { r.WindowS = r.SettleS - 1 }, "health.window_s"},
		"a window too long":        {func(r *order.Release) { r.WindowS = order.MaxWindowS + 1 }, "health.window_s"},
		"another end":              {func(r *order.Release) { r.AtEnd = "commit" }, "health.at_end"},
		"a ramp beyond everybody":  {func(r *order.Release) { r.RampPercent = 101 }, "ramp_percent"},
		"a ramp below nobody":      {func(r *order.Release) { r.RampPercent = -1 }, "ramp_percent"},
		"a criterion that is none": {func(r *order.Release) { r.Criteria[0] = "No Latch" }, "criteria[0]"},
	} {
		o := sample(order.KindRelease)
		c.edit(o.Release)
		if _, err := o.Encode(); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v: expected a refusal that names %s", name, err, c.names)
		}
	}
	r := sample(order.KindRelease).Release
	if a := r.Find("grasp-model"); !a.Counts(a.SHA256) || !a.Counts(a.Fallbacks[0]) || a.Counts(order.Digest(nil)) || r.Find("x").Counts(a.SHA256) {
		t.Error("what counts is not what the release lists")
	}
}

// TestRampsOnlyWiden: the place is the robot's own, evenly spread, the same for every order of a version, and another one for
// the next version.
func TestRampsOnlyWiden(t *testing.T) {
	const robots = 20_000
	in, moved := [101]int{}, 0
	for i := range robots {
		robot := fmt.Sprintf("acme/%d", i)
		before := false
		for percent := 1; percent <= 100; percent++ {
			r := order.Release{Version: "2026.11.3", RampPercent: percent}
			_, now := r.Ramp(robot)
			if before && !now {
				t.Fatalf("%s is out again at %d %%", robot, percent)
			}
			if before = now; now {
				in[percent]++
			}
		}
		a, _ := (&order.Release{Version: "2026.11.3"}).Ramp(robot)
		if b, _ := (&order.Release{Version: "2026.11.4"}).Ramp(robot); a != b {
			moved++
		}
		if _, all := (&order.Release{Version: "2026.11.3"}).Ramp(robot); !all {
			t.Fatalf("%s waits for a release without a ramp", robot)
		}
	}
	for percent := 1; percent <= 100; percent++ {
		if want := robots * percent / 100; in[percent] < want-500 || in[percent] > want+500 {
			t.Errorf("%d %%: %d of %d robots", percent, in[percent], robots)
		}
	}
	if in[100] != robots || moved < robots*9/10 {
		t.Errorf("%d robots at 100 %%, %d have another place in the next version", in[100], moved)
	}
	// The place by another program: printf 'robowarden-ramp\n1\nacme/7' | sha256sum.
	if place, _ := (&order.Release{Version: "1"}).Ramp("acme/7"); place != 84 {
		t.Errorf("acme/7 has place %d", place)
	}
}

// TestAReleaseIsNeverOlderThanTheNewestSeen is the sequence's rule.
func TestAReleaseIsNeverOlderThanTheNewestSeen(t *testing.T) {
	s := newSite(t, nil)
	floors := order.NewFloors()
	v := s.verifier(t, floors)
	use := func(sequence uint64) error {
		o := sample(order.KindRelease)
		o.Sequence = sequence
		x, err := v.Verify(at(noon), sign(t, o, s.release))
		if err != nil {
			return err
		}
		return floors.Use(at(noon), x.Claim())
	}
	if err := use(5); err != nil {
		t.Fatal(err)
	}
	wantReason(t, use(4), order.SequenceTooOld)
	wantReason(t, use(5), order.SequenceTooOld) // Another release under the same number.
	if err := use(6); err != nil {
		t.Fatal(err)
	}
	// Its count is its own: a policy set of the same number is not held up by it.
	if _, err := v.Verify(at(noon), sign(t, sample(order.KindPolicySet), s.engineer)); err != nil {
		t.Error(err)
	}
}

// listed makes a key list entry for any public key.
func listed(t *testing.T, k crypto.Signer, roles ...order.Role) order.Key {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	_, id, err := order.ParseArtifactKey(text)
	if err != nil {
		id = "SHA256:" + strings.Repeat("A", 43)
	}
	return order.Key{ID: id, PEM: string(text), Person: "maker-2", Roles: roles, NotBefore: noon, NotAfter: noon.Add(time.Hour)}
}

func TestKeysOfArtifactsSignNoOrder(t *testing.T) {
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key order.Key
		ok  bool
	}{
		"P-384 for artifacts":        {listed(t, p384, order.RoleArtifact), true},
		"RSA for artifacts":          {listed(t, rsaKey, order.RoleArtifact), true},
		"P-521 for artifacts":        {listed(t, p521, order.RoleArtifact), false},
		"P-384 for orders":           {listed(t, p384, order.RoleOperator), false},
		"RSA for both":               {listed(t, rsaKey, order.RoleArtifact, order.RoleStopOnly), false},
		"a private key in its place": {order.Key{PEM: "-----BEGIN PRIVATE KEY-----\n", Roles: []order.Role{order.RoleArtifact}}, false},
	} {
		s := newSite(t, nil)
		s.list.KeyList.Keys = append(s.list.KeyList.Keys, c.key)
		if _, err := s.list.Encode(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A listed P-256 key with that role alone signs no order, not even a stop, and no document.
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, kind := range order.Kinds() {
		_, err := v.Verify(at(noon), sign(t, s.orderOf(kind), s.maker))
		wantReason(t, err, order.UnknownKey)
	}
	doc, err := order.SignDocument(order.ChallengeType, []byte("{}"), s.maker.priv)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = v.VerifyDocument(at(noon), order.ChallengeType, order.RoleArtifact, doc)
	wantReason(t, err, order.UnknownKey)
}

// TestKeyIDsAreThoseOfOpenSSH compares the new kinds' ids with another program's.
func TestKeyIDsAreThoseOfOpenSSH(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("no ssh-keygen here")
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []crypto.Signer{p384, rsaKey} {
		key := listed(t, k, order.RoleArtifact)
		dir := t.TempDir()
		write(t, dir, "pem", []byte(key.PEM))
		out, err := run(t, dir, "/bin/sh", "-c", keygen+" -i -m PKCS8 -f pem > pub && "+keygen+" -l -f pub")
		if err != nil || !strings.Contains(out, key.ID) {
			t.Errorf("we say %s, ssh-keygen says %s (%v)", key.ID, out, err)
		}
	}
}

func TestAuthoritiesOfAKeyList(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	certificate := func(ca bool) string {
		tmpl := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: ca, BasicConstraintsValid: true, NotBefore: noon, NotAfter: noon.Add(time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	good := order.Authority{Use: order.UseArtifact, PEM: certificate(true), Name: "site", Identities: []string{"https://ci.example/release"}}
	s := newSite(t, func(s *site) {
		s.list.KeyList.Authorities = []order.Authority{good, {Use: order.UseTimestamp, PEM: good.PEM, Name: "stamps"}}
	})
	v := s.verifier(t, order.NewFloors())
	if err := v.Fault(); err != nil {
		t.Fatal(err)
	}
	if got := v.KeyList(); len(got.Authorities) != 2 || got.Authorities[0].Identities[0] != good.Identities[0] {
		t.Errorf("%+v", got.Authorities)
	}
	for name, edit := range map[string]func(*order.Authority){
		"another use":          func(a *order.Authority) { a.Use = "orders" },
		"no name":              func(a *order.Authority) { a.Name = "" },
		"no certificate":       func(a *order.Authority) { a.PEM = "x" },
		"two certificates":     func(a *order.Authority) { a.PEM += a.PEM },
		"a leaf":               func(a *order.Authority) { a.PEM = certificate(false) },
		"a stamper's identity": func(a *order.Authority) { a.Use = order.UseTimestamp },
		"an identity twice":    func(a *order.Authority) { a.Identities = []string{"a", "a"} },
		"a control character":  func(a *order.Authority) { a.Identities = []string{"a\x1b[0m"} },
	} {
		a := good
		edit(&a)
		s.list.KeyList.Authorities = []order.Authority{a}
		if _, err := s.list.Encode(); err == nil || !strings.Contains(err.Error(), "authorities[0]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
