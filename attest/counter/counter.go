// Package counter checks what a TPM's attestation key has stated about the counter by which a disk that was set back is noticed. It
// never talks to a TPM and links no TPM library: it is for the guard, to which others bring the statement.
package counter

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Index is where the counter lies among the owner's NV indices (TCG Registry of Reserved TPM 2.0 Handles, 2.2.2).
const Index uint32 = 0x01805257

// Size is the size of the counter's value, and of what a statement holds of it, in bytes.
const Size = 8

var (
	// ErrReplaced says that the TPM has stated something about the index that is not the counter: somebody has made other memory
	// in its place.
	ErrReplaced = errors.New("the nv index is not the counter that it should be")
	// ErrUnproven says that this is no statement of the key about a counter in answer to the nonce.
	ErrUnproven = errors.New("the counter is not proven")
)

// Attributes of the counter (TPM 2.0 Library, part 2, TPMA_NV): whoever may use the TPM may read and count, nobody may write. It is
// not ORDERLY: such counters may repeat values after a power cut.
const (
	attrAuthWrite = 1 << 2
	attrCounter   = 1 << 4 // TPM_NT_COUNTER
	attrAuthRead  = 1 << 18
	attrNoDA      = 1 << 25
	attrWritten   = 1 << 29
)

// Numbers of the TPM 2.0 Library, part 2.
const (
	algSHA256    = 0x000b
	algECDSA     = 0x0018
	generated    = 0xff544347 // TPM_GENERATED_VALUE
	attestNV     = 0x8014     // TPM_ST_ATTEST_NV
	clockBytes   = 8 + 4 + 4 + 1
	minNonce     = 16
	maxStatement = 512
)

// Name is the TPM's name of the counter at an index once it has counted: the digest of its public area, attributes included.
func Name(index uint32) []byte {
	be := binary.BigEndian
	area := be.AppendUint32(nil, index)
	area = be.AppendUint16(area, algSHA256)
	area = be.AppendUint32(area, attrAuthWrite|attrCounter|attrAuthRead|attrNoDA|attrWritten)
	area = be.AppendUint16(area, 0) // no policy
	area = be.AppendUint16(area, Size)
	sum := sha256.Sum256(area)
	return append(be.AppendUint16(nil, algSHA256), sum[:]...)
}

// ParseKey reads an attestation key as robowarden's TPMs have it: ECDSA on P-256, PKIX in DER.
func ParseKey(der []byte) (*ecdsa.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("attestation key: expected ECDSA on P-256, found %T", key)
	}
	return k, nil
}

// Verify checks that the TPM with the attestation key has stated, in answer to the nonce (at least 16 bytes), the value of the
// counter at index, and returns it. attest is a TPMS_ATTEST, signature a TPMT_SIGNATURE. The statement names the index together with
// its attributes: memory that was made in the counter's place and written with an old value has another name, and is [ErrReplaced].
// Everything else that is wrong is [ErrUnproven]. That the key is an attestation key has to be known from elsewhere.
func Verify(key *ecdsa.PublicKey, index uint32, attest, signature, nonce []byte) (uint64, error) {
	if len(nonce) < minNonce {
		return 0, fmt.Errorf("%w: a nonce of %d bytes, expected at least %d", ErrUnproven, len(nonce), minNonce)
	}
	// The signature comes first: nothing in the statement is believed, and none of it parsed, before.
	if err := checkSignature(key, attest, signature); err != nil {
		return 0, err
	}
	r := reader{b: attest}
	magic, kind := r.u32(), r.u16()
	r.sized() // the signer's qualified name: the key has been checked
	answered := r.sized()
	r.take(clockBytes + 8) // the TPM's clock, and its firmware's version
	name, offset, value := r.sized(), r.u16(), r.sized()
	switch {
	case r.bad || len(r.b) > 0:
		return 0, fmt.Errorf("%w: the statement is cut off, or something is behind it", ErrUnproven)
	case magic != generated:
		return 0, fmt.Errorf("%w: the statement begins with %#x, expected %#x: no TPM has made it", ErrUnproven, magic, uint32(generated))
	case kind != attestNV:
		return 0, fmt.Errorf("%w: the statement is of type %#x, expected %#x", ErrUnproven, kind, attestNV)
	case !bytes.Equal(answered, nonce):
		return 0, fmt.Errorf("%w: the statement answers another nonce", ErrUnproven)
	case !bytes.Equal(name, Name(index)):
		return 0, fmt.Errorf("%w: it is named %x, expected %x", ErrReplaced, name, Name(index))
	case offset != 0 || len(value) != Size:
		return 0, fmt.Errorf("%w: %d bytes from %d, expected %d from 0", ErrReplaced, len(value), offset, Size)
	}
	return binary.BigEndian.Uint64(value), nil
}

// checkSignature checks the key's signature over a statement's SHA-256 digest.
func checkSignature(key *ecdsa.PublicKey, attest, signature []byte) error {
	if key == nil || key.Curve != elliptic.P256() || len(attest) > maxStatement || len(signature) > maxStatement {
		return fmt.Errorf("%w: expected a key of ECDSA on P-256, and at most %d bytes of statement and of signature", ErrUnproven, maxStatement)
	}
	s := reader{b: signature}
	alg, hash, one, two := s.u16(), s.u16(), s.sized(), s.sized()
	if s.bad || len(s.b) > 0 || alg != algECDSA || hash != algSHA256 {
		return fmt.Errorf("%w: the signature is none of ECDSA over SHA-256", ErrUnproven)
	}
	digest := sha256.Sum256(attest)
	if !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(one), new(big.Int).SetBytes(two)) {
		return fmt.Errorf("%w: the signature does not match", ErrUnproven)
	}
	return nil
}

// reader takes a TPM's structure apart: big-endian numbers, and fields behind their length of two bytes.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) sized() []byte { return r.take(int(r.u16())) }
