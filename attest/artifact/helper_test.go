package artifact_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
)

// rsaKey is drawn once, since that takes long.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// newKey draws a key by its algorithm's short name.
func newKey(t testing.TB, alg string) crypto.Signer {
	t.Helper()
	var k crypto.Signer
	var err error
	switch alg {
	case "p256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		k, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case "rsa":
		k = rsaKey()
	default:
		t.Fatalf("no algorithm %q", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var algorithms = []string{"p256", "p384", "ed25519", "rsa"}

// trusting returns a trust in the keys.
func trusting(t testing.TB, keys ...crypto.Signer) *artifact.Trust {
	t.Helper()
	out := &artifact.Trust{}
	for _, k := range keys {
		key, err := artifact.NewKey("release@example", k.Public())
		if err != nil {
			t.Fatal(err)
		}
		out.Keys = append(out.Keys, key)
	}
	return out
}

// write puts files into a folder; a name that ends with a slash is an empty folder.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// model is a folder with its signature.
type model struct {
	dir    string
	key    crypto.Signer
	bundle []byte
	trust  *artifact.Trust
}

// content is what the model of the tests holds.
func content() map[string]string {
	return map[string]string{
		"config.json": `{"layers":2}`, "weights/a.bin": "0123456789", "weights/b.bin": "abcdefghij", "weights/deep/c.bin": "",
		".git/HEAD": "ref", "empty/": "",
	}
}

func newModel(t testing.TB, alg string) *model {
	t.Helper()
	m := &model{dir: filepath.Join(t.TempDir(), "grasp"), key: newKey(t, alg)}
	write(t, m.dir, content())
	m.trust = trusting(t, m.key)
	files, err := artifact.ListFolder(t.Context(), m.dir, []string{".git"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.bundle, err = artifact.SignModel("grasp", files, false, []string{".git"}, m.key); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *model) verify(t testing.TB) (*artifact.Model, error) {
	t.Helper()
	return m.trust.VerifyModel(t.Context(), m.dir, m.bundle, artifact.Options{})
}

// change replaces text in a bundle as JSON, outside its payload.
func change(t testing.TB, bundle []byte, edit func(map[string]any)) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(bundle, &doc); err != nil {
		t.Fatal(err)
	}
	edit(doc)
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// payload returns the statement of a bundle.
func payload(t testing.TB, bundle []byte) []byte {
	t.Helper()
	var doc struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Envelope.Payload
}

// resign signs another statement with the model's own key.
func (m *model) resign(t testing.TB, statement []byte) []byte {
	t.Helper()
	out, err := artifact.SignStatement(statement, m.key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused checks that an error is a refusal of one reason and names something.
func refused(t testing.TB, err error, want artifact.Reason, names string) {
	t.Helper()
	if err == nil {
		t.Errorf("accepted: expected a refusal %q that names %q", want, names)
		return
	}
	if got := artifact.ReasonOf(err); got != want || !strings.Contains(err.Error(), names) {
		t.Errorf("refused with %q (%v): expected %q that names %q", got, err, want, names)
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func pemText(t testing.TB, k crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func pemOf(t testing.TB, k crypto.Signer) string { return b64([]byte(pemText(t, k))) }

// cosignHint is how cosign names a key.
func cosignHint(t testing.TB, k crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return b64(sum[:])
}

// signatureOf returns the signature of a bundle with a statement.
func signatureOf(t testing.TB, bundle []byte) []byte {
	t.Helper()
	var doc struct {
		Envelope struct {
			Signatures []struct {
				Sig []byte `json:"sig"`
			} `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Envelope.Signatures[0].Sig
}

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
