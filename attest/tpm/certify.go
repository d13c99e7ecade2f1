package tpm

import (
	"bytes"
	"crypto"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Statement is something that a TPM has said and its attestation key has signed.
type Statement struct {
	// Attest is the statement (TPMS_ATTEST), as it was signed.
	Attest []byte
	// Signature is the attestation key's signature over Attest (TPMT_SIGNATURE).
	Signature []byte
}

// CertifyDevice lets the attestation key state that the device key is in the same TPM. See VerifyDevice.
func (t *TPM) CertifyDevice(qualifyingData []byte) (Statement, error) {
	return t.certify(deviceKey, qualifyingData)
}

// CertifyBound is CertifyDevice for the bound key. See VerifyBound. It needs no approved state.
func (b *BoundKey) CertifyBound(qualifyingData []byte) (Statement, error) {
	return b.t.certify(boundKey, qualifyingData)
}

func (t *TPM) certify(k keyKind, qualifyingData []byte) (Statement, error) {
	if err := checkQualifyingData(qualifyingData); err != nil {
		return Statement{}, err
	}
	qualifyingData = bytes.Clone(qualifyingData)
	return call(t, "certify the "+k.String(), t.options.Timeout, repeatable, func(c *conn) (Statement, error) {
		ak, err := t.load(c, attestationKey)
		if err != nil {
			return Statement{}, err
		}
		defer c.flush(ak.handle)
		key, err := t.load(c, k)
		if err != nil {
			return Statement{}, err
		}
		defer c.flush(key.handle)
		r, err := tpm2.Certify{
			ObjectHandle: key.withAuth(), SignHandle: ak.withAuth(), QualifyingData: tpm2.TPM2BData{Buffer: qualifyingData},
			InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		}.Execute(c)
		if err != nil {
			return Statement{}, err
		}
		return Statement{r.CertifyInfo.Bytes(), tpm2.Marshal(r.Signature)}, nil
	})
}

// VerifyDevice checks that the TPM with the attestation key ak has stated, in answer to qualifyingData, that the key with
// the public area device is in it, and that this is a device key. It returns that key.
func VerifyDevice(ak crypto.PublicKey, s Statement, device, qualifyingData []byte) (*Public, Info, error) {
	p, err := ParsePublic(device)
	if err != nil {
		return nil, Info{}, fmt.Errorf("device key: %w: %w", ErrMalformed, err)
	}
	if err := p.CheckDevice(); err != nil {
		return nil, Info{}, err
	}
	info, err := verifyCertified(ak, s, p, qualifyingData)
	return p, info, err
}

// VerifyBound is VerifyDevice for a key that is bound to an approver in a scope.
func VerifyBound(ak crypto.PublicKey, s Statement, bound []byte, approver Approver, qualifyingData []byte) (*Public, Info, error) {
	p, err := ParsePublic(bound)
	if err != nil {
		return nil, Info{}, fmt.Errorf("bound key: %w: %w", ErrMalformed, err)
	}
	if err := p.CheckBound(approver); err != nil {
		return nil, Info{}, err
	}
	info, err := verifyCertified(ak, s, p, qualifyingData)
	return p, info, err
}

// verifyCertified checks that the statement is about this key.
func verifyCertified(ak crypto.PublicKey, s Statement, p *Public, qualifyingData []byte) (Info, error) {
	a, info, err := verifyStatement(ak, s.Attest, s.Signature, qualifyingData, tpm2.TPMSTAttestCertify)
	if err != nil {
		return Info{}, fmt.Errorf("device key: %w", err)
	}
	said, err := a.Attested.Certify()
	if err != nil {
		return Info{}, fmt.Errorf("device key: %w: %w", ErrMalformed, err)
	}
	if !bytes.Equal(said.Name.Buffer, p.name) {
		return Info{}, fmt.Errorf("device key: %w: it is about the key %x, expected %x", ErrWrongType, said.Name.Buffer, p.name)
	}
	return info, nil
}

// CertifyCounter lets the attestation key state the value of a counter. See [counter.Verify].
func (t *TPM) CertifyCounter(index uint32, qualifyingData []byte) (Statement, error) {
	if err := checkIndex(index); err != nil {
		return Statement{}, err
	}
	if err := checkQualifyingData(qualifyingData); err != nil {
		return Statement{}, err
	}
	qualifyingData = bytes.Clone(qualifyingData)
	return call(t, "certify the counter", t.options.Timeout, repeatable, func(c *conn) (Statement, error) {
		if err := checkCounter(c, index); err != nil {
			return Statement{}, err
		}
		ak, err := t.load(c, attestationKey)
		if err != nil {
			return Statement{}, err
		}
		defer c.flush(ak.handle)
		name := tpm2.TPM2BName{Buffer: counterName(index)}
		r, err := tpm2.NVCertify{
			SignHandle: ak.withAuth(), AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Name: name, Auth: tpm2.PasswordAuth(nil)},
			NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: name}, QualifyingData: tpm2.TPM2BData{Buffer: qualifyingData},
			InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, Size: counterBytes,
		}.Execute(c)
		if err != nil {
			return Statement{}, err
		}
		return Statement{r.CertifyInfo.Bytes(), tpm2.Marshal(r.Signature)}, nil
	})
}
