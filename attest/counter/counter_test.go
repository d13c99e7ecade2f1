package counter

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"testing"
)

// fixedKey is the same in every process: the fuzzer runs several and compares their coverage.
func fixedKey() *ecdsa.PrivateKey {
	key := &ecdsa.PrivateKey{D: big.NewInt(7)}
	key.Curve = elliptic.P256()
	key.X, key.Y = key.Curve.ScalarBaseMult(key.D.Bytes()) //nolint:staticcheck // A known key for a fuzzer.
	return key
}

// statement is what a TPM would say; attest/tpm compares this package with a real one.
type statement struct {
	magic        uint32
	kind, offset uint16
	nonce, name  []byte
	value        []byte
	behind       []byte
}

func good(nonce []byte) statement {
	return statement{magic: generated, kind: attestNV, nonce: nonce, name: Name(Index), value: binary.BigEndian.AppendUint64(nil, 41)}
}

func (s statement) encode() []byte {
	be := binary.BigEndian
	sized := func(b, v []byte) []byte { return append(be.AppendUint16(b, uint16(len(v))), v...) } //nolint:gosec // a test's
	b := be.AppendUint16(be.AppendUint32(nil, s.magic), s.kind)
	b = sized(b, make([]byte, 34))
	b = append(sized(b, s.nonce), make([]byte, clockBytes+8)...)
	b = be.AppendUint16(sized(b, s.name), s.offset)
	return append(sized(b, s.value), s.behind...)
}

func sign(tb testing.TB, key *ecdsa.PrivateKey, attest []byte) []byte {
	tb.Helper()
	sum := sha256.Sum256(attest)
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	b := []byte{0, algECDSA, 0, algSHA256, 0, 32}
	b = append(b, r.FillBytes(make([]byte, 32))...)
	return append(append(b, 0, 32), s.FillBytes(make([]byte, 32))...)
}

func TestVerify(t *testing.T) {
	key, nonce := fixedKey(), bytes.Repeat([]byte{9}, 32)
	for name, c := range map[string]struct {
		edit func(*statement)
		want error
	}{
		"as it should be (off)":    {func(*statement) {}, nil},
		"a TPM did not make it":    {func(s *statement) { s.magic++ }, ErrUnproven},
		"a quote":                  {func(s *statement) { s.kind = 0x8018 }, ErrUnproven},
		"another nonce":            {func(s *statement) { s.nonce = bytes.Repeat([]byte{8}, 32) }, ErrUnproven},
		"something behind it":      {func(s *statement) { s.behind = []byte{0} }, ErrUnproven},
		"another index":            {func(s *statement) { s.name = Name(Index + 1) }, ErrReplaced},
		"another hash of the name": {func(s *statement) { s.name = append([]byte{0, 12}, s.name[2:]...) }, ErrReplaced},
		"from the middle":          {func(s *statement) { s.offset = 1 }, ErrReplaced},
		"shorter":                  {func(s *statement) { s.value = s.value[1:] }, ErrReplaced},
		"longer":                   {func(s *statement) { s.value = append(s.value, 0) }, ErrReplaced},
	} {
		s := good(nonce)
		c.edit(&s)
		attest := s.encode()
		v, err := Verify(&key.PublicKey, Index, attest, sign(t, key, attest), nonce)
		if !errors.Is(err, c.want) || c.want == nil && (err != nil || v != 41) || c.want != nil && v != 0 {
			t.Errorf("%s: %d, %v, expected %v", name, v, err, c.want)
		}
	}
}

func TestKeysAndSignaturesAreStrict(t *testing.T) {
	key, nonce := fixedKey(), make([]byte, 16)
	attest := good(nonce).encode()
	signature := sign(t, key, attest)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key       *ecdsa.PublicKey
		signature []byte
	}{
		"no key": {nil, signature}, "a key of P-384": {&other.PublicKey, signature}, "no signature": {&key.PublicKey, nil},
		"cut off": {&key.PublicKey, signature[:len(signature)-1]}, "longer": {&key.PublicKey, append(bytes.Clone(signature), 0)},
		"another algorithm": {&key.PublicKey, append([]byte{0, 0x14}, signature[2:]...)}, "huge": {&key.PublicKey, make([]byte, maxStatement+1)},
	} {
		if _, err := Verify(c.key, Index, attest, c.signature, nonce); !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Verify(&key.PublicKey, Index, attest, signature, nonce[1:]); !errors.Is(err, ErrUnproven) {
		t.Errorf("a short nonce: %v", err)
	}
	if _, err := ParseKey([]byte("no key")); err == nil {
		t.Error("what is no key was read as one")
	}
}

// FuzzVerify signs whatever the fuzzer thinks of: nothing panics, and a value comes only from the one form of a statement.
func FuzzVerify(f *testing.F) {
	key, nonce := fixedKey(), bytes.Repeat([]byte{9}, 32)
	want := good(nonce).encode()
	f.Add(want, sign(f, key, want))
	f.Add(want[:40], []byte{0, algECDSA, 0, algSHA256, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, attest, signature []byte) {
		_, _ = Verify(&key.PublicKey, Index, attest, signature, nonce)
		if len(attest) > maxStatement {
			return
		}
		v, err := Verify(&key.PublicKey, Index, attest, sign(t, key, attest), nonce)
		if err != nil {
			return
		}
		if !bytes.Contains(attest, nonce) || !bytes.HasSuffix(attest, binary.BigEndian.AppendUint64(nil, v)) {
			t.Errorf("%x is taken for a statement of %d", attest, v)
		}
	})
}
