package tpm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// A vendor's certificate is for one of the endorsement keys that the TCG EK Credential Profile (2.2.1.4 and annex B of
// version 2.5) numbers. Those of the low range have a policy for every use; those of the high range may also be used with the
// endorsement hierarchy's, empty, password, and come on stronger curves and larger moduli.
var endorsementKinds = []struct {
	kind  keyKind
	index uint32 // where the certificate lies in NV memory
}{
	{endorsementECC, nvCertificateECC}, // L-2, P-256
	{endorsementECCHigh, 0x01c00014},   // H-2, P-256
	{endorsementECC384, 0x01c00016},    // H-3, P-384
	{endorsementRSA, nvCertificateRSA}, // L-1, 2048 bits
	{endorsementRSAHigh, 0x01c00012},   // H-1, 2048 bits
	{endorsementRSA3072, 0x01c0001c},   // H-6, 3072 bits
	{endorsementRSA4096, 0x01c0001e},   // H-7, 4096 bits
}

// Where TPMs keep the certificates of their low range's endorsement keys.
const (
	nvCertificateRSA = 0x01c00002
	nvCertificateECC = 0x01c0000a
)

// Where TPMs keep the certificates of the authorities between their vendor's root and their own certificate (TCG EK Credential
// Profile, 2.2.1.5.2).
const (
	nvChainFirst = 0x01c00100
	nvChainLast  = 0x01c001ff
)

// The digests of the high range's policy, "PolicyB" of the profile's annex B, by the algorithm that names the key.
var (
	policyB256 = []byte{
		0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3,
		0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
	}
	policyB384 = []byte{
		0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
		0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
		0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
	}
)

// highRange is an endorsement key's template of the high range, but for its size.
func highRange(alg tpm2.TPMIAlgHash) (area tpm2.TPMTPublic, symmetric tpm2.TPMTSymDefObject) {
	bits, policy := tpm2.TPMKeyBits(128), policyB256
	if alg == tpm2.TPMAlgSHA384 {
		bits, policy = 256, policyB384
	}
	area = tpm2.TPMTPublic{
		NameAlg: alg, AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, AdminWithPolicy: true, Restricted: true, Decrypt: true,
		},
	}
	return area, tpm2.TPMTSymDefObject{
		Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, bits), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
	}
}

// highECC is an endorsement key on a curve.
func highECC(alg tpm2.TPMIAlgHash, curve tpm2.TPMECCCurve) tpm2.TPMTPublic {
	area, symmetric := highRange(alg)
	area.Type = tpm2.TPMAlgECC
	area.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{Symmetric: symmetric, CurveID: curve})
	area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	return area
}

// highRSA is an endorsement key with a modulus of so many bits.
func highRSA(alg tpm2.TPMIAlgHash, bits tpm2.TPMKeyBits) tpm2.TPMTPublic {
	area, symmetric := highRange(alg)
	area.Type = tpm2.TPMAlgRSA
	area.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{Symmetric: symmetric, KeyBits: bits})
	area.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	return area
}

// endorsementKind says which of the endorsement keys has this public area, by everything but the key itself.
func endorsementKind(p *Public) (keyKind, error) {
	for _, k := range endorsementKinds {
		t := k.kind.template()
		if t.Type != p.area.Type {
			continue
		}
		t.Unique = p.area.Unique
		if bytes.Equal(tpm2.Marshal(t), p.bytes) {
			return k.kind, nil
		}
	}
	return 0, errors.New("tpm: endorsement key: not made by one of the TCG's templates that are known here")
}

// readChain reads the certificates that lead from the vendor's root to the TPM's own, in DER, nil where the TPM keeps none. They
// lie one behind the other, over as many indices as they need.
func readChain(c *conn) ([][]byte, error) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: nvChainFirst, PropertyCount: maxChain}.Execute(c)
	if err != nil {
		return nil, fmt.Errorf("look for the endorsement certificate's chain: %w", err)
	}
	handles, err := r.CapabilityData.Data.Handles()
	if err != nil {
		return nil, fmt.Errorf("look for the endorsement certificate's chain: %w", err)
	}
	var all []byte
	for _, h := range handles.Handle {
		if h < nvChainFirst || h > nvChainLast {
			break
		}
		part, err := readIndex(c, uint32(h))
		if err != nil {
			return nil, err
		}
		if all = append(all, part...); len(all) > maxChain*maxCertificate {
			return nil, fmt.Errorf("the endorsement certificate's chain has more than %d bytes", maxChain*maxCertificate)
		}
	}
	return splitDER(all), nil
}
