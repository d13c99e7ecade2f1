package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

func TestEnrolment(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	rsaKey := must(call(tpm, "rsa", time.Minute, repeatable, func(c *conn) (*Public, error) { return tpm.public(c, endorsementRSA) }))(t)
	for name, ek := range map[string]Endorsement{"ECC": must(tpm.Endorsement())(t), "RSA": {Public: rsaKey.Bytes()}} {
		t.Run(name, func(t *testing.T) {
			secret := digest("secret")
			cred := must(MakeCredential(ek.Public, tpm.AKPublic(), secret))(t)
			if got := must(tpm.ActivateCredential(ek, cred))(t); !bytes.Equal(got, secret) {
				t.Errorf("secret %x, expected %x", got, secret)
			}
			for what, change := range map[string]func(*Credential){
				"blob": func(c *Credential) { c.Blob = bytes.Clone(c.Blob); c.Blob[len(c.Blob)-1] ^= 1 }, "cut": func(c *Credential) { c.Blob = c.Blob[:10] },
				"seed": func(c *Credential) { c.Secret = bytes.Clone(c.Secret); c.Secret[40] ^= 1 }, "nothing": func(c *Credential) { *c = Credential{} },
				"too much": func(c *Credential) { c.Blob = make([]byte, maxStructure+1) },
			} {
				bad := cred
				change(&bad)
				if got, err := tpm.ActivateCredential(ek, bad); err == nil || errors.Is(err, ErrUnavailable) {
					t.Errorf("changed %s: %x, %v", what, got, err)
				}
			}
			if h := m.loaded(); len(h) != 0 {
				t.Errorf("still loaded: %x", h)
			}
		})
	}
}

// A cloned disk on another TPM, an attestation key of another TPM, a key that signs anything: none gets the secret.
func TestEnrolmentOfAnotherIsRefused(t *testing.T) {
	a, b := newMachine(t).open(), newMachine(t).open()
	ekA, ekB := must(a.Endorsement())(t), must(b.Endorsement())(t)
	cred := must(MakeCredential(ekA.Public, a.AKPublic(), digest("secret")))(t)
	if _, err := b.ActivateCredential(ekA, cred); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("on another TPM, with the first one's endorsement: %v", err)
	}
	if _, err := b.ActivateCredential(ekB, cred); err == nil {
		t.Error("another TPM has opened the credential")
	}
	foreign := must(MakeCredential(ekA.Public, b.AKPublic(), digest("secret")))(t)
	if _, err := a.ActivateCredential(ekA, foreign); !errors.Is(err, tpm2.TPMRCIntegrity) {
		t.Errorf("for another TPM's attestation key: %v", err)
	}
	for name, keys := range map[string][2][]byte{
		"device key as attestation key": {ekA.Public, a.DevicePublic()}, "attestation key as endorsement key": {a.AKPublic(), a.AKPublic()},
		"nothing": {nil, nil}, "no attestation key": {ekA.Public, nil},
	} {
		if _, err := MakeCredential(keys[0], keys[1], digest("secret")); err == nil {
			t.Errorf("%s: a credential was made", name)
		}
	}
	for _, n := range []int{0, 15, 33} {
		if _, err := MakeCredential(ekA.Public, a.AKPublic(), make([]byte, n)); err == nil {
			t.Errorf("a secret of %d bytes was taken", n)
		}
	}
}

func TestDeviceKeyIsCertified(t *testing.T) {
	a, b := newMachine(t).open(), newMachine(t).open()
	nonce := digest("nonce")
	s := must(a.CertifyDevice(nonce))(t)
	p, info, err := VerifyDevice(a.AK().Key(), s, a.DevicePublic(), nonce)
	if err != nil {
		t.Fatal(err)
	}
	if !sameKey(p.Key(), a.Device().Public()) || !bytes.Equal(info.QualifiedSigner, a.AK().EndorsementSigner()) {
		t.Errorf("key %v, info %+v", p.Key(), info)
	}
	quote := must(a.Quote(nonce, []int{0}))(t)
	for name, c := range map[string]struct {
		ak     crypto.PublicKey
		s      Statement
		device []byte
		nonce  []byte
		err    error
	}{
		"another TPM's key":         {a.AK().Key(), s, b.DevicePublic(), nonce, ErrWrongType},
		"another attestation key":   {b.AK().Key(), s, a.DevicePublic(), nonce, ErrSignature},
		"another nonce":             {a.AK().Key(), s, a.DevicePublic(), digest("other"), ErrQualifyingData},
		"a quote":                   {a.AK().Key(), Statement{quote.Attest, quote.Signature}, a.DevicePublic(), nonce, ErrWrongType},
		"no key":                    {a.AK().Key(), s, nil, nonce, ErrMalformed},
		"the attestation key":       {a.AK().Key(), s, a.AKPublic(), nonce, nil},
		"nothing":                   {a.AK().Key(), Statement{}, a.DevicePublic(), nonce, ErrMalformed},
		"no nonce, nothing to find": {a.AK().Key(), s, a.DevicePublic(), nil, ErrQualifyingData},
	} {
		if p, _, err := VerifyDevice(c.ak, c.s, c.device, c.nonce); err == nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; expected %v", name, p, err, c.err)
		}
	}
	if _, err := VerifyQuote(a.AK().Key(), Quote{s.Attest, s.Signature, zeroPCRs(0)}, nonce); !errors.Is(err, ErrWrongType) {
		t.Errorf("as a quote: %v", err)
	}
}

// factory makes endorsement certificates as TPM vendors do, and as they should not.
type factory struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newFactory(tb testing.TB) *factory {
	tb.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vendor"}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key))(tb)
	f := &factory{key: key, cert: must(x509.ParseCertificate(der))(tb), pool: x509.NewCertPool()}
	f.pool.AddCert(f.cert)
	return f
}

// issue makes a certificate; change may spoil it.
func (f *factory) issue(tb testing.TB, key crypto.PublicKey, change func(*x509.Certificate)) []byte {
	tb.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: f.cert.NotBefore, NotAfter: f.cert.NotAfter, KeyUsage: x509.KeyUsageKeyAgreement, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{{Id: oidSubjectAltName, Critical: true, Value: tpmName(tb, oidManufacturer, oidModel, oidVersion)}}, UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidEKCertificate},
	}
	if change != nil {
		change(tmpl)
	}
	return must(x509.CreateCertificate(rand.Reader, tmpl, f.cert, key, f.key))(tb)
}

// tpmName is the subject alternative name that the TCG's profile asks for.
func tpmName(tb testing.TB, oids ...asn1.ObjectIdentifier) []byte {
	tb.Helper()
	var set pkix.RelativeDistinguishedNameSET
	for i, oid := range oids {
		set = append(set, pkix.AttributeTypeAndValue{Type: oid, Value: fmt.Sprintf("id:%d", i)})
	}
	name := must(asn1.Marshal(pkix.RDNSequence{set}))(tb)
	return must(asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: directoryName, IsCompound: true, Bytes: name}}))(tb)
}

func TestEndorsementCertificates(t *testing.T) {
	tpm := newMachine(t).open()
	ek := must(tpm.Endorsement())(t)
	key := must(ParsePublic(ek.Public))(t).Key()
	f, stranger := newFactory(t), newFactory(t)
	san := func(value []byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions[0].Value = value }
	}
	for name, c := range map[string]struct {
		der   []byte
		pub   []byte
		roots *x509.CertPool
		at    time.Time
		says  string
	}{
		"good":                   {der: f.issue(t, key, nil)},
		"without extended usage": {der: f.issue(t, key, func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil })},
		"for servers": {der: f.issue(t, key, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = nil
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), says: "other uses"},
		"an authority's":  {der: f.issue(t, key, func(c *x509.Certificate) { c.IsCA = true }), says: "authority's"},
		"another key":     {der: f.issue(t, f.key.Public(), nil), says: "another key"},
		"another vendor":  {der: f.issue(t, key, nil), roots: stranger.pool, says: `its vendor is "id:0", issuer "CN=vendor"`},
		"no roots":        {der: f.issue(t, key, nil), roots: x509.NewCertPool(), says: "unknown authority"},
		"expired":         {der: f.issue(t, key, nil), at: noon.Add(2 * time.Hour), says: "expired"},
		"from the future": {der: f.issue(t, key, nil), at: noon.Add(-2 * time.Hour), says: "not yet valid"},
		"none":            {says: "0 bytes"},
		"malformed":       {der: []byte("x"), says: "certificate"},
		"too large":       {der: make([]byte, maxCertificate+1), says: "8193 bytes"},
		"another critical extension": {der: f.issue(t, key, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}), says: "unhandled critical extension"},
		"a name without a TPM":  {der: f.issue(t, key, san(tpmName(t, asn1.ObjectIdentifier{2, 5, 4, 3}))), says: "unhandled critical extension"},
		"a malformed name":      {der: f.issue(t, key, san(must(asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: directoryName, IsCompound: true, Bytes: []byte{5, 0}}}))(t))), says: "malformed directory name"},
		"of an attestation key": {der: f.issue(t, tpm.AK().Key(), nil), pub: tpm.AKPublic(), says: "not an endorsement key"},
		"of no key":             {der: f.issue(t, key, nil), pub: []byte{1}, says: "public area"},
	} {
		t.Run(name, func(t *testing.T) {
			e := Endorsement{Public: ek.Public, Certificate: c.der}
			if c.pub != nil {
				e.Public = c.pub
			}
			if c.roots == nil {
				c.roots = f.pool
			}
			if c.at.IsZero() {
				c.at = noon
			}
			maker, err := VerifyEndorsement(e, c.roots, nil, c.at)
			if c.says != "" {
				if !errors.Is(err, ErrEndorsement) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, expected %q", err, c.says)
				}
				return
			}
			if err != nil || maker != (Maker{"id:0", "id:1", "id:2"}) {
				t.Errorf("%+v, %v", maker, err)
			}
		})
	}
	if _, err := VerifyEndorsement(Endorsement{Public: ek.Public, Certificate: f.issue(t, key, nil)}, nil, nil, noon); !errors.Is(err, ErrEndorsement) {
		t.Errorf("nil roots: %v", err)
	}
}

// writeNV puts bytes where vendors put certificates.
func (m *machine) writeNV(index uint32, data []byte) {
	m.tb.Helper()
	raw := m.raw()
	defer raw.link.Close()
	area := tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(index), NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(data)),
		Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, OwnerRead: true, OwnerWrite: true, NoDA: true},
	}
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}).Execute(raw); err != nil {
		m.tb.Fatal(err)
	}
	for at := 0; at < len(data); at += nvChunk {
		area.Attributes.Written = at > 0
		name := tpm2.TPM2BName{Buffer: nvName(area)}
		if _, err := (tpm2.NVWrite{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Name: name, Auth: tpm2.PasswordAuth(nil)}, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: name},
			Data: tpm2.TPM2BMaxNVBuffer{Buffer: data[at:min(len(data), at+nvChunk)]}, Offset: uint16(at),
		}).Execute(raw); err != nil {
			m.tb.Fatal(err)
		}
	}
}

func TestEndorsementCertificateIsReadFromNV(t *testing.T) {
	f := newFactory(t)
	ek := func(tpm *TPM, k keyKind) crypto.PublicKey {
		return must(call(tpm, "key", time.Minute, repeatable, func(c *conn) (*Public, error) { return tpm.public(c, k) }))(t).Key()
	}
	padded := func(der []byte) []byte { return append(bytes.Clone(der), bytes.Repeat([]byte{0xff}, 300)...) }
	t.Run("ECC padded", func(t *testing.T) {
		m := newMachine(t)
		tpm := m.open()
		der := f.issue(t, ek(tpm, endorsementECC), nil)
		m.writeNV(nvCertificateECC, padded(der))
		got := must(tpm.Endorsement())(t)
		if !bytes.Equal(got.Certificate, der) {
			t.Errorf("certificate of %d bytes, expected %d", len(got.Certificate), len(der))
		}
		if _, err := VerifyEndorsement(got, f.pool, nil, noon); err != nil {
			t.Error(err)
		}
	})
	t.Run("RSA beside another ECC key", func(t *testing.T) {
		m := newMachine(t)
		tpm := m.open()
		m.writeNV(nvCertificateECC, f.issue(t, f.key.Public(), nil))
		m.writeNV(nvCertificateRSA, f.issue(t, ek(tpm, endorsementRSA), nil))
		got := must(tpm.Endorsement())(t)
		if p := must(ParsePublic(got.Public))(t); p.area.Type != tpm2.TPMAlgRSA || got.Certificate == nil {
			t.Errorf("key type %#x", uint16(p.area.Type))
		}
	})
	t.Run("no certificate there", func(t *testing.T) {
		m := newMachine(t)
		tpm := m.open()
		m.writeNV(nvCertificateECC, bytes.Repeat([]byte{0xff}, 600))
		if _, err := tpm.Endorsement(); err == nil {
			t.Error("read")
		}
	})
	t.Run("a certificate that does not parse", func(t *testing.T) {
		m := newMachine(t)
		tpm := m.open()
		m.writeNV(nvCertificateECC, []byte{0x30, 0x03, 2, 1, 1})
		if got := must(tpm.Endorsement())(t); got.Certificate != nil {
			t.Errorf("certificate %x", got.Certificate)
		}
	})
}

// The way of a factory with real tools: swtpm_setup makes keys and has them certified, over an intermediate authority.
func TestEndorsementOfSWTPMSetup(t *testing.T) {
	m := newMachine(t)
	m.off()
	if err := os.RemoveAll(filepath.Join(m.dir, "tpm2-00.permall")); err != nil {
		t.Fatal(err)
	}
	ca := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(ca, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	local := write("localca.conf", fmt.Sprintf("statedir = %[1]s\nsigningkey = %[1]s/key.pem\nissuercert = %[1]s/issuer.pem\ncertserial = %[1]s/serial\n", ca))
	options := write("options", "--platform-manufacturer Acme\n--platform-version 1\n--platform-model Robot\n")
	setup := write("setup.conf", fmt.Sprintf("create_certs_tool = %s\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = %s\n", tool(t, "swtpm_localca"), local, options))
	if out, err := run(t, "swtpm_setup", "--tpm2", "--tpmstate", m.dir, "--create-ek-cert", "--config", setup, "--overwrite", "--vmid", "robot"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m.on()
	ek := must(m.open().Endorsement())(t)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for name, pool := range map[string]*x509.CertPool{"swtpm-localca-rootca-cert.pem": roots, "issuer.pem": between} {
		block, _ := pem.Decode(must(os.ReadFile(filepath.Join(ca, name)))(t))
		pool.AddCert(must(x509.ParseCertificate(block.Bytes))(t))
	}
	maker, err := VerifyEndorsement(ek, roots, between, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v, certificate of %d bytes", maker, len(ek.Certificate))
	if maker.Manufacturer == "" || maker.Model == "" {
		t.Errorf("%+v", maker)
	}
	if _, err := VerifyEndorsement(ek, roots, nil, time.Now()); !errors.Is(err, ErrEndorsement) {
		t.Errorf("without the authority in between: %v", err)
	}
}

// FuzzVerifyEndorsement: certificates come from outside.
func FuzzVerifyEndorsement(f *testing.F) {
	fac := newFactory(f)
	area := tpm2.ECCEKTemplate
	point := must(fac.key.ECDH())(f).PublicKey().Bytes()
	area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]}})
	ek := tpm2.Marshal(area)
	der := fac.issue(f, fac.key.Public(), nil)
	if _, err := VerifyEndorsement(Endorsement{Public: ek, Certificate: der}, fac.pool, nil, noon); err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, other []byte) {
		if m, err := VerifyEndorsement(Endorsement{Public: ek, Certificate: other}, fac.pool, nil, noon); err == nil && !bytes.Equal(other, der) {
			t.Fatalf("%+v from %x", m, other)
		}
		var m Maker
		_ = m.read(other)
	})
}
