package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// Reasons for which a quote or certificate of a TPM is refused. Errors wrap exactly one of them.
var (
	// ErrMalformed says that the bytes are no structure of a TPM.
	ErrMalformed = errors.New("malformed")
	// ErrNotFromTPM says that the structure does not begin as those that a TPM itself has made: a restricted key never signs such.
	ErrNotFromTPM = errors.New("not made by a tpm")
	// ErrWrongType says that a TPM has said something else than what was asked.
	ErrWrongType = errors.New("not the kind of statement that was asked for")
	// ErrKey says that the key is no attestation key that this package works with.
	ErrKey = errors.New("unusable attestation key")
	// ErrSignature says that the attestation key has not signed this.
	ErrSignature = errors.New("signature does not match")
	// ErrQualifyingData says that the statement answers another challenge.
	ErrQualifyingData = errors.New("qualifying data does not match")
	// ErrPCRSelection says that the quote is about other PCRs than those given.
	ErrPCRSelection = errors.New("pcr selection does not match")
	// ErrPCRDigest says that the quoted PCRs have other values than those given.
	ErrPCRDigest = errors.New("pcr values do not match the quote")
)

const (
	// minQualifyingData is the least qualifying data: with less, an old quote may fit by chance.
	minQualifyingData = 16
	// PCRCount is how many PCRs there are: 0 to 23.
	PCRCount = 24
)

// Quote is what a TPM says about its PCRs, and the values that go with it.
type Quote struct {
	// Attest is the TPM's statement (TPMS_ATTEST), as it was signed.
	Attest []byte
	// Signature is the attestation key's signature over Attest (TPMT_SIGNATURE).
	Signature []byte
	// PCRs are the values of the SHA-256 bank by number. The TPM signs their digest only.
	PCRs map[int][sha256.Size]byte
}

// Info is what a verified statement says about the TPM itself.
type Info struct {
	// ResetCount counts the TPM's resets since it was last cleared: a computer's starts. It never goes back.
	ResetCount uint32
	// RestartCount counts restarts and resumes since the last reset.
	RestartCount uint32
	// Clock is the TPM's time in ms. After a power cut it may have gone back, see Safe: never judge freshness by it.
	Clock uint64
	// Safe says that Clock has not been shown higher before.
	Safe bool
	// Firmware is the TPM's firmware version, in its vendor's own encoding.
	Firmware uint64
	// QualifiedSigner names the signing key and the hierarchy that it lies in, see Public.EndorsementSigner. Counters and
	// firmware version of a key in another hierarchy are obfuscated.
	QualifiedSigner []byte
	// PCRs are the quoted values, now proven; nil for other statements.
	PCRs map[int][sha256.Size]byte
}

// VerifyQuote checks that the holder of the attestation key ak, a TPM, has said that its SHA-256 PCRs have the quote's
// values, in answer to qualifyingData (at least 16 bytes). It takes RSASSA and RSAPSS keys of 2048 to 4096 bits and
// ECDSA keys on P-256 and P-384, all with SHA-256. That ak is an attestation key at all must be known from elsewhere, see
// Public.CheckAK and MakeCredential.
func VerifyQuote(ak crypto.PublicKey, q Quote, qualifyingData []byte) (Info, error) {
	a, info, err := verifyStatement(ak, q.Attest, q.Signature, qualifyingData, tpm2.TPMSTAttestQuote)
	if err != nil {
		return Info{}, fmt.Errorf("quote: %w", err)
	}
	said, err := a.Attested.Quote()
	if err != nil {
		return Info{}, fmt.Errorf("quote: %w: %w", ErrMalformed, err)
	}
	pcrs, err := selected(said.PCRSelect)
	if err != nil {
		return Info{}, fmt.Errorf("quote: %w: %w", ErrPCRSelection, err)
	}
	if given := slices.Sorted(maps.Keys(q.PCRs)); !slices.Equal(given, pcrs) {
		return Info{}, fmt.Errorf("quote: %w: quoted %v, values given for %v", ErrPCRSelection, pcrs, given)
	}
	h := sha256.New()
	for _, n := range pcrs {
		v := q.PCRs[n]
		h.Write(v[:])
	}
	if !bytes.Equal(h.Sum(nil), said.PCRDigest.Buffer) {
		return Info{}, fmt.Errorf("quote: %w: of PCRs %v", ErrPCRDigest, pcrs)
	}
	info.PCRs = maps.Clone(q.PCRs)
	return info, nil
}

// verifyStatement checks all that every statement of a TPM has in common. The signature comes first: nothing in the
// statement is believed, and little of it parsed, before.
func verifyStatement(ak crypto.PublicKey, attest, signature, qualifyingData []byte, kind tpm2.TPMST) (*tpm2.TPMSAttest, Info, error) {
	if len(qualifyingData) < minQualifyingData {
		return nil, Info{}, fmt.Errorf("%w: %d bytes to expect are too few, at least %d are needed", ErrQualifyingData, len(qualifyingData), minQualifyingData)
	}
	if len(attest) > maxStructure {
		return nil, Info{}, fmt.Errorf("%w: statement of %d bytes, expected at most %d", ErrMalformed, len(attest), maxStructure)
	}
	if err := verifySignature(ak, attest, signature); err != nil {
		return nil, Info{}, err
	}
	a, err := decode[tpm2.TPMSAttest]("statement", attest)
	if err != nil {
		return nil, Info{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if a.Magic != tpm2.TPMGeneratedValue { // go-tpm does not look, though its tag says "check"
		return nil, Info{}, fmt.Errorf("%w: begins with %#x, expected %#x", ErrNotFromTPM, uint32(a.Magic), uint32(tpm2.TPMGeneratedValue))
	}
	if a.Type != kind {
		return nil, Info{}, fmt.Errorf("%w: found type %#x, expected %#x", ErrWrongType, uint16(a.Type), uint16(kind))
	}
	if !bytes.Equal(a.ExtraData.Buffer, qualifyingData) {
		return nil, Info{}, fmt.Errorf("%w: found %x, expected %x", ErrQualifyingData, a.ExtraData.Buffer, qualifyingData)
	}
	return a, Info{
		ResetCount: a.ClockInfo.ResetCount, RestartCount: a.ClockInfo.RestartCount, Clock: a.ClockInfo.Clock,
		Safe: a.ClockInfo.Safe, Firmware: a.FirmwareVersion, QualifiedSigner: bytes.Clone(a.QualifiedSigner.Buffer),
	}, nil
}

// verifySignature checks a TPM's signature over a message's SHA-256 digest.
func verifySignature(key crypto.PublicKey, message, signature []byte) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	sig, err := decode[tpm2.TPMTSignature]("signature", signature)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	digest := sha256.Sum256(message)
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return verifyECDSA(k, digest[:], sig)
	case *rsa.PublicKey:
		return verifyRSA(k, digest[:], sig)
	default:
		return ErrKey
	}
}

func verifyECDSA(k *ecdsa.PublicKey, digest []byte, sig *tpm2.TPMTSignature) error {
	if sig.SigAlg != tpm2.TPMAlgECDSA {
		return fmt.Errorf("%w: algorithm %#x, expected ECDSA (0x18) for this key", ErrSignature, uint16(sig.SigAlg))
	}
	s, err := sig.Signature.ECDSA()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := wantSHA256(s.Hash); err != nil {
		return err
	}
	if !ecdsa.Verify(k, digest, new(big.Int).SetBytes(s.SignatureR.Buffer), new(big.Int).SetBytes(s.SignatureS.Buffer)) {
		return ErrSignature
	}
	return nil
}

func verifyRSA(k *rsa.PublicKey, digest []byte, sig *tpm2.TPMTSignature) error {
	switch sig.SigAlg {
	case tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS:
	default:
		return fmt.Errorf("%w: algorithm %#x, expected RSASSA (0x14) or RSAPSS (0x16) for this key", ErrSignature, uint16(sig.SigAlg))
	}
	if sig.SigAlg == tpm2.TPMAlgRSASSA {
		s, err := sig.Signature.RSASSA()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if err := wantSHA256(s.Hash); err != nil {
			return err
		}
		if rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, s.Sig.Buffer) != nil {
			return ErrSignature
		}
		return nil
	}
	s, err := sig.Signature.RSAPSS()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := wantSHA256(s.Hash); err != nil {
		return err
	}
	if rsa.VerifyPSS(k, crypto.SHA256, digest, s.Sig.Buffer, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}) != nil {
		return ErrSignature
	}
	return nil
}

func wantSHA256(alg tpm2.TPMIAlgHash) error {
	if alg != tpm2.TPMAlgSHA256 {
		return fmt.Errorf("%w: over a digest by algorithm %#x, expected SHA-256 (0xb)", ErrSignature, uint16(alg))
	}
	return nil
}

// selected is the set of PCRs of a selection in ascending order: not empty, and of the SHA-256 bank alone.
func selected(l tpm2.TPMLPCRSelection) ([]int, error) {
	if len(l.PCRSelections) != 1 {
		return nil, fmt.Errorf("%d banks, expected the SHA-256 bank alone", len(l.PCRSelections))
	}
	s := l.PCRSelections[0]
	if s.Hash != tpm2.TPMAlgSHA256 {
		return nil, fmt.Errorf("bank %#x, expected SHA-256 (0xb)", uint16(s.Hash))
	}
	var out []int
	for i, b := range s.PCRSelect {
		for bit := range 8 {
			if b>>bit&1 == 0 {
				continue
			}
			if 8*i+bit >= PCRCount {
				return nil, fmt.Errorf("PCR %d, expected 0 to %d", 8*i+bit, PCRCount-1)
			}
			out = append(out, 8*i+bit)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no PCR at all")
	}
	return out, nil
}
