package artifact_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
)

// seeds are the vectors that lie there, and bundles of our own.
func seeds(f *testing.F) {
	f.Helper()
	m := newModel(f, "p256")
	f.Add(m.bundle)
	blob, err := artifact.SignBlob(artifact.File{SHA256: sha256.Sum256(nil)}, m.key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	all, _ := filepath.Glob(vectors + "*/model.sig")
	for _, name := range all {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}

// FuzzBundle feeds every reader of bundles: whatever comes is refused with a reason, or it is one of the known good ones.
func FuzzBundle(f *testing.F) {
	seeds(f)
	trust := trusting(f, newKey(f, "p256"))
	empty := filepath.Join(f.TempDir(), "file")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := trust.OpenModel(data, artifact.Options{}); artifact.ReasonOf(err) == "" {
			t.Errorf("model: %v", err)
		}
		if _, err := trust.VerifyBlob(t.Context(), empty, data, artifact.Options{}); artifact.ReasonOf(err) == "" {
			t.Errorf("blob: %v", err)
		}
		if _, err := trust.VerifyProvenance(data, nil, nil, artifact.Options{}); artifact.ReasonOf(err) == "" {
			t.Errorf("provenance: %v", err)
		}
	})
}

// FuzzStatement signs whatever comes with the trusted key, so that the readers behind the signature are reached.
func FuzzStatement(f *testing.F) {
	m := newModel(f, "ed25519")
	f.Add(payload(f, m.bundle))
	f.Add([]byte(slsaOf(sha256.Sum256([]byte("model")))))
	f.Fuzz(func(t *testing.T, statement []byte) {
		bundle, err := artifact.SignStatement(statement, m.key)
		if err != nil || len(statement) == 0 {
			t.Skip()
		}
		got, err := m.trust.OpenModel(bundle, artifact.Options{})
		if err == nil {
			// What counts can be compared with a folder without leaving it.
			for _, file := range got.Files {
				if !filepath.IsLocal(file.Path) {
					t.Errorf("the path %q leads out", file.Path)
				}
			}
		} else if artifact.ReasonOf(err) == "" {
			t.Errorf("model: %v", err)
		}
		if _, err := m.trust.VerifyProvenance(bundle, [][sha256.Size]byte{sha256.Sum256([]byte("model"))}, nil, artifact.Options{}); err != nil && artifact.ReasonOf(err) == "" {
			t.Errorf("provenance: %v", err)
		}
	})
}

// FuzzKey feeds the reader of public keys.
func FuzzKey(f *testing.F) {
	for _, alg := range algorithms {
		f.Add([]byte(pemText(f, newKey(f, alg))))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := artifact.ParseKey("", text); err == nil && (k.ID() == "" || k.Algorithm() == "") {
			t.Error("a key without a name")
		}
	})
}
