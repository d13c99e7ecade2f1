package artifact_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/artifact"
)

// vectors is where bundles lie that OpenSSF's own tool made. They are no part of the repository, so REQUIRE_ALL does not
// ask for them.
const vectors = "../../../shared/vectors/model-signing/"

func vectorFile(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(vectors + name)
	if err != nil {
		t.Skipf("no vectors here: %v", err)
	}
	return raw
}

func vectorTrust(t *testing.T) *artifact.Trust {
	t.Helper()
	key, err := artifact.ParseKey("openssf", vectorFile(t, "keys/certificate/signing-key-pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return &artifact.Trust{Keys: []artifact.Key{key}}
}

func certificate(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenSSFKeyBundles(t *testing.T) {
	trust := vectorTrust(t)
	m, err := trust.VerifyModel(t.Context(), vectors+"v0.3.1-elliptic-key/signme-1", vectorFile(t, "v0.3.1-elliptic-key/model.sig"), artifact.Options{})
	if err != nil || !m.Single {
		t.Error("v0.3.1:", err)
	}
	m, err = trust.VerifyModel(t.Context(), vectors+"v1.1.0-elliptic-key", vectorFile(t, "v1.1.0-elliptic-key/model.sig"), artifact.Options{})
	if err != nil || len(m.Files) != 2 || len(m.Ignored) != 2 {
		t.Error("v1.1.0:", m, err)
	}
	// Crosswise nothing fits.
	_, err = trust.VerifyModel(t.Context(), vectors+"v0.3.1-elliptic-key/signme-1", vectorFile(t, "v1.1.0-elliptic-key/model.sig"), artifact.Options{})
	refused(t, err, artifact.WrongType, "is a file")
	_, err = (&artifact.Trust{}).OpenModel(vectorFile(t, "v1.1.0-elliptic-key/model.sig"), artifact.Options{})
	refused(t, err, artifact.UnknownKey, "e8450dec4eb99dae")
	// A copy with one changed file, one that is missing and one more.
	dir := t.TempDir()
	for _, n := range []string{"signme-1", "ignore-me"} {
		write(t, dir, map[string]string{n: string(vectorFile(t, "v1.1.0-elliptic-key/"+n)) + "x"})
	}
	write(t, dir, map[string]string{"signme-3": ""})
	_, err = trust.VerifyModel(t.Context(), dir, vectorFile(t, "v1.1.0-elliptic-key/model.sig"), artifact.Options{})
	refused(t, err, artifact.Changed, `"signme-1" has other content than was signed; "signme-2" is missing; "signme-3" was not signed`)
}

func TestOpenSSFCertificateBundle(t *testing.T) {
	dir := vectors + "v1.1.0-certificate"
	bundle := vectorFile(t, "v1.1.0-certificate/model.sig")
	trust := &artifact.Trust{Authorities: []artifact.Authority{{
		Name: "openssf", Root: certificate(t, vectorFile(t, "keys/certificate/ca-cert.pem")), Identities: []string{"CN=intermediate-ca"},
	}}}
	_, err := trust.VerifyModel(t.Context(), dir, bundle, artifact.Options{})
	refused(t, err, artifact.NoTimestamp, "nothing proves that time")
	at := artifact.Options{SignedAt: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)}
	m, err := trust.VerifyModel(t.Context(), dir, bundle, at)
	if err != nil || m.Signer.Identity != "CN=intermediate-ca" {
		t.Error(m, err)
	}
	_, err = trust.VerifyModel(t.Context(), dir, bundle, artifact.Options{SignedAt: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)})
	refused(t, err, artifact.BadChain, "2040-01-01")
	trust.Authorities[0].Identities = []string{"CN=somebody"}
	_, err = trust.VerifyModel(t.Context(), dir, bundle, at)
	refused(t, err, artifact.WrongIdentity, "CN=somebody")
	trust.Authorities[0].Root = certificate(t, vectorFile(t, "keys/certificate/signing-key-cert.pem"))
	_, err = trust.VerifyModel(t.Context(), dir, bytes.TrimSpace(bundle), at)
	if artifact.ReasonOf(err) == "" {
		t.Error("accepted with the leaf itself as root and another identity")
	}
}

// TestEveryVector verifies whatever bundles lie there: none may be refused for its form.
func TestEveryVector(t *testing.T) {
	trust := vectorTrust(t)
	all, err := filepath.Glob(vectors + "*/model.sig")
	if err != nil || len(all) == 0 {
		t.Skip("no vectors here")
	}
	for _, name := range all {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = trust.OpenModel(raw, artifact.Options{})
		if r := artifact.ReasonOf(err); err != nil && r != artifact.NoTimestamp {
			t.Errorf("%s: %v", name, err)
		}
	}
}
