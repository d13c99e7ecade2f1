package tpm

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

const (
	// maxCertificate is the largest certificate that is read from a TPM, in bytes.
	maxCertificate = 8 << 10
	// maxChain is how many certificates of authorities are read from a TPM.
	maxChain = 8
	// nvChunk is how much is read from NV memory at once: every TPM's buffer takes it.
	nvChunk = 512
	// maxSecret is the longest secret that a credential may carry: a SHA-256 digest's length.
	maxSecret = 32
)

// Endorsement is a TPM's endorsement key: the identity that its vendor gave it.
type Endorsement struct {
	// Public is the key's public area (TPMT_PUBLIC).
	Public []byte
	// Certificate is the vendor's certificate in DER, nil where the TPM has none. See VerifyEndorsement.
	Certificate []byte
	// Chain are the certificates of authorities, in DER, that the TPM keeps beside it; most keep none.
	Chain [][]byte
}

// Endorsement reads the endorsement key: the first that has a certificate, in the order of endorsementKinds, else the one on
// P-256 without a certificate. A certificate for another key than the TPM makes is passed over, and so is one for a kind of
// key that this TPM does not make.
func (t *TPM) Endorsement() (Endorsement, error) {
	return call(t, "endorsement key", t.options.EnrolmentTimeout, repeatable, func(c *conn) (Endorsement, error) {
		for _, k := range endorsementKinds {
			der, err := readCertificate(c, k.index)
			if err != nil {
				return Endorsement{}, err
			}
			if der == nil {
				continue
			}
			p, err := t.public(c, k.kind)
			if c.broken {
				return Endorsement{}, err
			}
			if err != nil {
				continue // it does not make such keys
			}
			cert, err := parseCertificate(der)
			if err != nil || !sameKey(cert.PublicKey, p.key) {
				continue
			}
			chain, err := readChain(c)
			return Endorsement{p.Bytes(), der, chain}, err
		}
		p, err := t.public(c, endorsementECC)
		if err != nil {
			return Endorsement{}, err
		}
		return Endorsement{Public: p.Bytes()}, nil
	})
}

// readCertificate reads a certificate from NV memory, nil if there is none.
func readCertificate(c *conn, index uint32) ([]byte, error) {
	out, err := readIndex(c, index)
	if err != nil || out == nil {
		return nil, err
	}
	var der asn1.RawValue // NV memory is often larger than what lies in it
	if _, err := asn1.Unmarshal(out, &der); err != nil {
		return nil, fmt.Errorf("endorsement certificate at %#x: %w", index, err)
	}
	return der.FullBytes, nil
}

// splitDER are the ASN.1 values that lie one behind the other, up to what is none: NV memory is often larger than what lies in
// it.
func splitDER(all []byte) [][]byte {
	var out [][]byte
	for len(all) > 0 && len(out) < maxChain {
		var der asn1.RawValue
		rest, err := asn1.Unmarshal(all, &der)
		if err != nil || der.Tag != asn1.TagSequence || len(der.FullBytes) > maxCertificate {
			break
		}
		out, all = append(out, der.FullBytes), rest
	}
	return out
}

// readIndex reads all of an NV index that anybody may read, nil if there is none.
func readIndex(c *conn, index uint32) ([]byte, error) {
	public, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(c)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the endorsement certificate at %#x: %w", index, err)
	}
	area, err := public.NVPublic.Contents()
	if err != nil {
		return nil, fmt.Errorf("endorsement certificate at %#x: %w", index, err)
	}
	if area.DataSize > maxCertificate {
		return nil, fmt.Errorf("endorsement certificate at %#x has %d bytes, expected at most %d", index, area.DataSize, maxCertificate)
	}
	handle := tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Name: public.NVName, Auth: tpm2.PasswordAuth(nil)}
	out := make([]byte, 0, area.DataSize)
	for len(out) < int(area.DataSize) {
		r, err := tpm2.NVRead{
			AuthHandle: handle, NVIndex: tpm2.NamedHandle{Handle: handle.Handle, Name: handle.Name},
			Size: uint16(min(nvChunk, int(area.DataSize)-len(out))), Offset: uint16(len(out)),
		}.Execute(c)
		if err != nil {
			return nil, fmt.Errorf("read the endorsement certificate at %#x: %w", index, err)
		}
		if len(r.Data.Buffer) == 0 {
			return nil, fmt.Errorf("endorsement certificate at %#x ends after %d of %d bytes", index, len(out), area.DataSize)
		}
		out = append(out, r.Data.Buffer...)
	}
	return out, nil
}

// Credential is a secret that only one TPM can open, and only if it has the attestation key that the credential names.
type Credential struct {
	// Blob is the encrypted secret (TPMS_ID_OBJECT).
	Blob []byte
	// Secret is the encrypted seed.
	Secret []byte
}

// MakeCredential encrypts a secret (16 to 32 bytes) so that exactly the TPM with the endorsement key ek can open it, and
// only if the attestation key ak is in that TPM. Both are public areas; a key of another kind is refused. Whoever
// answers with the secret has proven that ak is an attestation key of that TPM.
func MakeCredential(ek, ak, secret []byte) (Credential, error) {
	ekPublic, err := ParsePublic(ek)
	if err != nil {
		return Credential{}, fmt.Errorf("endorsement key: %w", err)
	}
	if err := ekPublic.CheckEK(); err != nil {
		return Credential{}, err
	}
	akPublic, err := ParsePublic(ak)
	if err != nil {
		return Credential{}, fmt.Errorf("attestation key: %w", err)
	}
	if err := akPublic.CheckAK(); err != nil {
		return Credential{}, err
	}
	if len(secret) < minQualifyingData || len(secret) > maxSecret {
		return Credential{}, fmt.Errorf("tpm: secret of %d bytes, expected %d to %d", len(secret), minQualifyingData, maxSecret)
	}
	key, err := tpm2.ImportEncapsulationKey(ekPublic.area)
	if err != nil {
		return Credential{}, fmt.Errorf("endorsement key: %w", err)
	}
	blob, seed, err := tpm2.CreateCredential(rand.Reader, key, akPublic.name, secret)
	if err != nil {
		return Credential{}, fmt.Errorf("make the credential: %w", err)
	}
	return Credential{blob, seed}, nil
}

// ActivateCredential opens a credential made for this TPM's endorsement key ek (as from Endorsement) and this attestation
// key. A credential for another TPM, or another attestation key, is refused by the TPM.
func (t *TPM) ActivateCredential(ek Endorsement, cred Credential) ([]byte, error) {
	p, err := ParsePublic(ek.Public)
	if err != nil {
		return nil, fmt.Errorf("tpm: endorsement key: %w", err)
	}
	if len(cred.Blob) > maxStructure || len(cred.Secret) > maxStructure {
		return nil, fmt.Errorf("tpm: credential of %d and %d bytes, expected at most %d each", len(cred.Blob), len(cred.Secret), maxStructure)
	}
	kind, err := endorsementKind(p)
	if err != nil {
		return nil, err
	}
	blob, seed := bytes.Clone(cred.Blob), bytes.Clone(cred.Secret)
	return call(t, "activate credential", t.options.EnrolmentTimeout, repeatable, func(c *conn) ([]byte, error) {
		key, err := t.load(c, kind)
		if err != nil {
			return nil, err
		}
		defer c.flush(key.handle)
		if !bytes.Equal(key.public.name, p.name) {
			return nil, fmt.Errorf("%w: the endorsement key has another name", ErrOtherTPM)
		}
		ak, err := t.load(c, attestationKey)
		if err != nil {
			return nil, err
		}
		defer c.flush(ak.handle)
		r, err := tpm2.ActivateCredential{
			ActivateHandle: ak.withAuth(), KeyHandle: key.withEndorsement(),
			CredentialBlob: tpm2.TPM2BIDObject{Buffer: blob}, Secret: tpm2.TPM2BEncryptedSecret{Buffer: seed},
		}.Execute(c)
		if err != nil {
			return nil, err
		}
		return r.CertInfo.Buffer, nil
	})
}

// withEndorsement is an endorsement key for commands: its policy wants the endorsement hierarchy's, empty, password, and in the
// high range the key's own, empty too, does.
func (l *loaded) withEndorsement() tpm2.AuthHandle {
	if l.public.area.ObjectAttributes.UserWithAuth {
		return l.withAuth()
	}
	secret := func(t transport.TPM, session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement, PolicySession: session, NonceTPM: nonce}.Execute(t)
		return err
	}
	return tpm2.AuthHandle{Handle: l.handle, Name: l.name(), Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, secret)}
}
