package artifact_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/artifact"
)

// authority is a certificate authority of the tests.
type authority struct {
	key  crypto.Signer
	cert *x509.Certificate
}

var serial = int64(1)

// issue signs a certificate for a key; without an authority, one that signs itself.
func issue(t *testing.T, by *authority, key crypto.Signer, edit func(*x509.Certificate)) *authority {
	t.Helper()
	serial++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "root"}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if by == nil {
		tmpl.IsCA, tmpl.KeyUsage = true, x509.KeyUsageCertSign
	}
	if edit != nil {
		edit(tmpl)
	}
	parent, signer := tmpl, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert}
}

// stampOnly makes a certificate one for timestamps only, as RFC 3161 demands.
func stampOnly(c *x509.Certificate) {
	c.Subject.CommonName = "stamps"
	value, _ := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}}
}

// opensslStamp asks openssl, in the part of a timestamping authority, for a token over a signature.
func opensslStamp(t *testing.T, root, tsa *authority, sig []byte, hash string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here: it plays the timestamping authority")
	}
	dir := t.TempDir()
	keyDER, err := x509.MarshalPKCS8PrivateKey(tsa.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{
		"sig": string(sig), "key.pem": pemBlock("PRIVATE KEY", keyDER), "tsa.pem": pemBlock("CERTIFICATE", tsa.cert.Raw),
		"root.pem": pemBlock("CERTIFICATE", root.cert.Raw), "serial": "01\n",
		"ts.conf": "[tsa]\ndefault_tsa=a\n[a]\nserial=serial\ncrypto_device=builtin\nsigner_cert=tsa.pem\ncerts=root.pem\nsigner_key=key.pem\n" +
			"signer_digest=" + hash + "\ndefault_policy=1.2.3.4\ndigests=sha256,sha384,sha512,sha1\naccuracy=secs:1\nordering=yes\ntsa_name=yes\n",
	})
	for _, args := range [][]string{
		{"ts", "-query", "-data", "sig", "-" + hash, "-cert", "-out", "q.tsq"},
		{"ts", "-reply", "-config", "ts.conf", "-section", "a", "-queryfile", "q.tsq", "-out", "r.tsr"},
	} {
		cmd := exec.CommandContext(t.Context(), "openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	out, err := os.ReadFile(filepath.Join(dir, "r.tsr"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// certifiedModel is a model signed by a certificate, with a timestamp.
type certifiedModel struct {
	*model
	root, tsaRoot, leaf, tsa *authority
	stamp                    []byte
}

func newCertified(t *testing.T, alg, tsaAlg, hash string, edit func(*x509.Certificate)) *certifiedModel {
	t.Helper()
	c := &certifiedModel{model: newModel(t, alg)}
	c.root, c.tsaRoot = issue(t, nil, newKey(t, "p256"), nil), issue(t, nil, newKey(t, "p384"), nil)
	c.leaf = issue(t, c.root, c.key, func(x *x509.Certificate) {
		u, _ := url.Parse("https://ci.example/release")
		x.ExtKeyUsage, x.URIs, x.Subject.CommonName = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []*url.URL{u}, "ci"
		if edit != nil {
			edit(x)
		}
	})
	c.tsa = issue(t, c.tsaRoot, newKey(t, tsaAlg), stampOnly)
	c.stamp = opensslStamp(t, c.tsaRoot, c.tsa, signatureOf(t, c.bundle), hash)
	c.trust = &artifact.Trust{
		Authorities: []artifact.Authority{{Name: "site", Root: c.root.cert, Identities: []string{"https://ci.example/release"}}},
		Timestamps:  []*x509.Certificate{c.tsaRoot.cert},
	}
	return c
}

// with puts certificate and timestamps into the bundle.
func (c *certifiedModel) with(t *testing.T, chain []*authority, stamps ...[]byte) []byte {
	t.Helper()
	return change(t, c.bundle, func(d map[string]any) {
		m := map[string]any{}
		d["verificationMaterial"] = m
		if len(chain) == 1 {
			m["certificate"] = map[string]any{"rawBytes": b64(chain[0].cert.Raw)}
		} else {
			var list []any
			for _, a := range chain {
				list = append(list, map[string]any{"rawBytes": b64(a.cert.Raw)})
			}
			m["x509CertificateChain"] = map[string]any{"certificates": list}
		}
		var list []any
		for _, s := range stamps {
			list = append(list, map[string]any{"signedTimestamp": b64(s)})
		}
		if list != nil {
			m["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": list}
		}
	})
}

func TestCertificateWithTimestamp(t *testing.T) {
	for _, c := range []struct{ alg, tsa, hash string }{
		{"p256", "p256", "sha256"}, {"p384", "p384", "sha384"}, {"ed25519", "rsa", "sha512"}, {"rsa", "rsa", "sha256"},
	} {
		t.Run(c.alg+" stamped by "+c.tsa, func(t *testing.T) {
			m := newCertified(t, c.alg, c.tsa, c.hash, nil)
			got, err := m.trust.VerifyModel(t.Context(), m.dir, m.with(t, []*authority{m.leaf}, m.stamp), artifact.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Signer.Identity != "https://ci.example/release" || time.Since(got.Signer.SignedAt).Abs() > time.Minute {
				t.Errorf("%+v", got.Signer)
			}
			// The bare token within the response counts as well.
			var r struct{ Status, Token asn1.RawValue }
			if _, err := asn1.Unmarshal(m.stamp, &r); err != nil {
				t.Fatal(err)
			}
			if _, err := m.trust.OpenModel(m.with(t, []*authority{m.leaf, m.root}, r.Token.FullBytes), artifact.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificatesThatDoNotCount(t *testing.T) {
	m := newCertified(t, "p256", "p256", "sha256", nil)
	leaf := []*authority{m.leaf}
	foreign := issue(t, nil, newKey(t, "p256"), nil)
	another := newCertified(t, "p256", "p256", "sha256", nil)
	selfMade := issue(t, foreign, newKey(t, "p256"), stampOnly)
	sig := signatureOf(t, m.bundle)
	short := issue(t, m.root, m.key, func(x *x509.Certificate) {
		x.ExtKeyUsage, x.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, time.Now().Add(-30*time.Minute)
	})
	server := issue(t, m.root, m.key, func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	named := issue(t, m.root, m.key, func(x *x509.Certificate) {
		x.ExtKeyUsage, x.EmailAddresses = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []string{"eve@example"}
	})
	swapped := issue(t, m.root, newKey(t, "p256"), func(x *x509.Certificate) {
		u, _ := url.Parse("https://ci.example/release")
		x.ExtKeyUsage, x.URIs = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []*url.URL{u}
	})
	for name, c := range map[string]struct {
		bundle []byte
		reason artifact.Reason
		names  string
	}{
		"no timestamp":           {m.with(t, leaf), artifact.NoTimestamp, "nothing proves that time"},
		"another's timestamp":    {m.with(t, leaf, another.stamp), artifact.BadTimestamp, "another signature"},
		"one good, one not":      {m.with(t, leaf, m.stamp, another.stamp), artifact.BadTimestamp, "rfc3161Timestamps[1]"},
		"an unknown authority's": {m.with(t, leaf, opensslStamp(t, foreign, selfMade, sig, "sha256")), artifact.BadTimestamp, "is not trusted"},
		"no token":               {m.with(t, leaf, []byte("x")), artifact.BadTimestamp, "token"},
		"a foreign chain":        {m.with(t, []*authority{another.leaf}, m.stamp), artifact.BadChain, "leads to no trusted authority"},
		"expired when it signed": {m.with(t, []*authority{short}, m.stamp), artifact.BadChain, "expired"},
		"for servers":            {m.with(t, []*authority{server}, m.stamp), artifact.BadChain, "key usage"},
		"another identity":       {m.with(t, []*authority{named}, m.stamp), artifact.WrongIdentity, "eve@example"},
		"another key's":          {m.with(t, []*authority{swapped}, m.stamp), artifact.BadSignature, "dsseEnvelope"},
		"the root as leaf":       {m.with(t, []*authority{m.root}, m.stamp), artifact.WrongIdentity, "CN=root"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.trust.OpenModel(c.bundle, artifact.Options{})
			refused(t, err, c.reason, c.names)
		})
	}
}

// cmsStamp has openssl sign any TSTInfo with any certificate, which its timestamping authority would refuse.
func cmsStamp(t *testing.T, tsa *authority, info any) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here: it plays the timestamping authority")
	}
	dir := t.TempDir()
	keyDER, err := x509.MarshalPKCS8PrivateKey(tsa.key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"info": string(der), "key.pem": pemBlock("PRIVATE KEY", keyDER), "tsa.pem": pemBlock("CERTIFICATE", tsa.cert.Raw)})
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-sign", "-binary", "-nodetach", "-md", "sha256", "-econtent_type", "1.2.840.113549.1.9.16.1.4",
		"-signer", "tsa.pem", "-inkey", "key.pem", "-in", "info", "-outform", "DER", "-out", "token")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl cms: %v\n%s", err, out)
	}
	out, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tstInfo is RFC 3161's TSTInfo as far as it is required.
type tstInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint struct {
		Hash   pkix.AlgorithmIdentifier
		Digest []byte
	}
	Serial *big.Int
	Time   time.Time `asn1:"generalized"`
}

func newInfo(sig []byte) tstInfo {
	sum := sha256.Sum256(sig)
	i := tstInfo{Version: 1, Policy: asn1.ObjectIdentifier{1, 2, 3}, Serial: big.NewInt(1), Time: time.Now().UTC().Truncate(time.Second)}
	i.Imprint.Hash.Algorithm, i.Imprint.Digest = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, sum[:]
	return i
}

// TestTokensThatNoHonestAuthorityMakes has the trusted authority's own keys sign what it never would.
func TestTokensThatNoHonestAuthorityMakes(t *testing.T) {
	m := newCertified(t, "p256", "p256", "sha256", nil)
	sig := signatureOf(t, m.bundle)
	with := func(tsa *authority, edit func(*tstInfo)) error {
		info := newInfo(sig)
		if edit != nil {
			edit(&info)
		}
		_, err := m.trust.OpenModel(m.with(t, []*authority{m.leaf}, cmsStamp(t, tsa, info)), artifact.Options{})
		return err
	}
	if err := with(m.tsa, nil); err != nil {
		t.Fatal("the off run:", err)
	}
	lax := issue(t, m.tsaRoot, newKey(t, "p256"), func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping} })
	refused(t, with(lax, nil), artifact.BadTimestamp, "is not for timestamps only")
	signs := issue(t, m.tsaRoot, newKey(t, "p256"), func(x *x509.Certificate) {
		x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageCodeSigning}
	})
	refused(t, with(signs, nil), artifact.BadTimestamp, "is not for timestamps only")
	ended := issue(t, m.tsaRoot, newKey(t, "p256"), func(x *x509.Certificate) {
		stampOnly(x)
		x.NotAfter = time.Now().Add(-30 * time.Minute)
	})
	refused(t, with(ended, nil), artifact.BadTimestamp, "is not trusted")
	refused(t, with(m.tsa, func(i *tstInfo) { i.Version = 2 }), artifact.BadTimestamp, "version 1")
	refused(t, with(m.tsa, func(i *tstInfo) { i.Imprint.Digest[0] ^= 1 }), artifact.BadTimestamp, "another signature")
	refused(t, with(m.tsa, func(i *tstInfo) { i.Imprint.Hash.Algorithm = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26} }), artifact.BadTimestamp, "does not count")
	refused(t, with(m.tsa, func(i *tstInfo) { i.Time = i.Time.Add(24 * time.Hour) }), artifact.BadTimestamp, "is not trusted")
	refused(t, with(m.leaf, nil), artifact.BadTimestamp, "is not for timestamps only")
}

// TestEveryByteOfATimestamp flips each byte of a token: never does another time or authority come out of it.
func TestEveryByteOfATimestamp(t *testing.T) {
	m := newCertified(t, "ed25519", "p256", "sha256", nil)
	want, err := m.trust.OpenModel(m.with(t, []*authority{m.leaf}, m.stamp), artifact.Options{})
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for i := 0; i < len(m.stamp); i += 5 {
		changed := bytes.Clone(m.stamp)
		changed[i] ^= 1
		got, err := m.trust.OpenModel(m.with(t, []*authority{m.leaf}, changed), artifact.Options{})
		if err == nil {
			passed++
			if !got.Signer.SignedAt.Equal(want.Signer.SignedAt) {
				t.Fatalf("byte %d: another time, %v", i, got.Signer.SignedAt)
			}
		} else if artifact.ReasonOf(err) != artifact.BadTimestamp {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	// What nobody signs may change: the status around the token, version numbers, the root that comes along.
	t.Logf("%d of %d flips left the token good", passed, len(m.stamp)/5)
	if passed > len(m.stamp)/5*2/3 {
		t.Errorf("%d of %d flips left the token good: too many", passed, len(m.stamp)/5)
	}
}
