package artifact

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"

	"github.com/sigstore/sigstore/pkg/signature"
)

// bundleType is the media type of what is signed here.
const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// SignModel signs files as OpenSSF Model Signing v1.0 does, with a key: name is the model's, ignore what was left out of
// a folder. A model that is one file has single set, and the file's name does not count.
func SignModel(name string, files []File, single bool, ignore []string, key crypto.Signer) ([]byte, error) {
	m := wireModel{Resources: []wireResource{}, Serialization: wireSerialization{Method: "files", HashType: hashName, IgnorePaths: ignore}}
	if single && len(files) != 1 {
		return nil, fmt.Errorf("expected one file, found %d", len(files))
	}
	if err := SortFiles(files); err != nil {
		return nil, err
	}
	all := sha256.New()
	for i := range files {
		f := &files[i]
		r := wireResource{Name: f.Path, Algorithm: hashName, Digest: hex.EncodeToString(f.SHA256[:])}
		if single {
			r.Name = wholeFile
		}
		all.Write(f.SHA256[:])
		m.Resources = append(m.Resources, r)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(wireStatement{
		Type: statementType, PredicateType: modelPredicate, Predicate: raw,
		Subject: []wireSubject{{Name: path.Base(name), Digest: map[string]string{hashName: hex.EncodeToString(all.Sum(nil))}}},
	})
	if err != nil {
		return nil, err
	}
	// What this program would refuse it does not sign.
	if _, err := parseModel(statementPayload, payload); err != nil {
		return nil, err
	}
	return SignStatement(payload, key)
}

// SignStatement signs an in-toto statement and returns the bundle.
func SignStatement(payload []byte, key crypto.Signer) ([]byte, error) {
	k, sig, err := signBytes(key, pae(statementPayload, payload))
	if err != nil {
		return nil, err
	}
	return marshalBundle(k, wireBundle{
		Envelope: &wireDSSE{Payload: payload, PayloadType: statementPayload, Signatures: []wireSig{{Sig: sig}}},
	})
}

// SignBlob signs one file by its SHA-256, as `cosign sign-blob --bundle` does. The key is one on P-256 or RSA, whose
// signature is over that digest.
func SignBlob(f File, key crypto.Signer) ([]byte, error) {
	k, err := NewKey("", key.Public())
	if err != nil {
		return nil, err
	}
	if k.hash != crypto.SHA256 {
		return nil, fmt.Errorf("a key of the kind %s does not sign SHA-256: expected ECDSA P-256 or RSA", k.details)
	}
	sig, err := key.Sign(rand.Reader, f.SHA256[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	w := wireBundle{Message: &wireMessage{Signature: sig}}
	w.Message.Digest = &struct {
		Algorithm string `json:"algorithm"`
		Digest    octets `json:"digest"`
	}{"SHA2_256", f.SHA256[:]}
	return marshalBundle(k, w)
}

func signBytes(key crypto.Signer, text []byte) (Key, []byte, error) {
	k, err := NewKey("", key.Public())
	if err != nil {
		return k, nil, err
	}
	s, err := signature.LoadSigner(key, k.hash)
	if err != nil {
		return k, nil, fmt.Errorf("loading the key: %w", err)
	}
	sig, err := s.SignMessage(bytes.NewReader(text))
	if err != nil {
		return k, nil, fmt.Errorf("signing: %w", err)
	}
	return k, sig, nil
}

func marshalBundle(k Key, w wireBundle) ([]byte, error) {
	w.MediaType = bundleType
	w.Material.PublicKey = &wireKey{Hint: k.ID()}
	out, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding the bundle: %w", err)
	}
	return append(out, '\n'), nil
}
