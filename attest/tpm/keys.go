package tpm

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// keyKind is one of the keys that the TPM makes from its seeds.
type keyKind int

const (
	attestationKey keyKind = iota
	deviceKey
	endorsementECC
	endorsementRSA
	boundKey // of the one approver that the worker remembers
	endorsementECCHigh
	endorsementECC384
	endorsementRSAHigh
	endorsementRSA3072
	endorsementRSA4096
)

// uniqueLabel sets the device key apart from other programs' keys of the same shape. Changing it changes every robot's key.
const uniqueLabel = "robowarden/device-key/v1"

// hierarchy is where a key's seed lives.
func (k keyKind) hierarchy() tpm2.TPMHandle {
	if k == deviceKey || k == boundKey {
		return tpm2.TPMRHOwner
	}
	return tpm2.TPMRHEndorsement
}

func (k keyKind) template() tpm2.TPMTPublic {
	switch k {
	case attestationKey:
		return signingTemplate(true, "")
	case deviceKey:
		return signingTemplate(false, uniqueLabel)
	case endorsementRSA:
		return tpm2.RSAEKTemplate
	case endorsementECCHigh:
		return highECC(tpm2.TPMAlgSHA256, tpm2.TPMECCNistP256)
	case endorsementECC384:
		return highECC(tpm2.TPMAlgSHA384, tpm2.TPMECCNistP384)
	case endorsementRSAHigh:
		return highRSA(tpm2.TPMAlgSHA256, 2048)
	case endorsementRSA3072:
		return highRSA(tpm2.TPMAlgSHA384, 3072)
	case endorsementRSA4096:
		return highRSA(tpm2.TPMAlgSHA384, 4096)
	default:
		return tpm2.ECCEKTemplate
	}
}

// template is that of a key; the bound key's depends on its approver.
func (t *TPM) template(k keyKind) tpm2.TPMTPublic {
	if k == boundKey {
		return t.bound
	}
	return k.template()
}

// signingTemplate is an ECDSA P-256 key that never leaves its TPM. NoDA keeps it usable while the TPM's lockout against
// guessing is on: it has no password that could be guessed. Restricted keys sign only what the TPM itself has said.
func signingTemplate(restricted bool, label string) tpm2.TPMTPublic {
	var unique tpm2.TPMSECCPoint
	if label != "" {
		x := sha256.Sum256([]byte(label))
		unique.X.Buffer = x[:]
	}
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true,
			Restricted: restricted, SignEncrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme: tpm2.TPMTECCScheme{
				Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			CurveID: tpm2.TPMECCNistP256,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &unique),
	}
}

// loadable is a key as the worker remembers it: its context, encrypted by the TPM for itself, loads much faster than
// the key can be made anew, and holds no slot meanwhile.
type loadable struct {
	public  *Public
	context *tpm2.TPMSContext
}

// loaded is a key in one of the TPM's slots, until release.
type loaded struct {
	handle tpm2.TPMHandle
	public *Public
}

func (l *loaded) name() tpm2.TPM2BName { return tpm2.TPM2BName{Buffer: l.public.name} }

// withAuth is the key for commands that want its, empty, password.
func (l *loaded) withAuth() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: l.handle, Name: l.name(), Auth: tpm2.PasswordAuth(nil)}
}

// load puts a key into a slot: from its context where the TPM still takes that, else by making it anew. The caller
// flushes it. A key that is not the one from before means another TPM, or a cleared one.
func (t *TPM) load(c *conn, k keyKind) (*loaded, error) {
	known := t.keys[k]
	if known != nil && known.context != nil {
		r, err := tpm2.ContextLoad{Context: *known.context}.Execute(c)
		if err == nil {
			return &loaded{r.LoadedHandle, known.public}, nil
		}
		if c.broken {
			return nil, err
		}
		known.context = nil // the TPM was reset since
	}
	r, err := tpm2.CreatePrimary{PrimaryHandle: k.hierarchy(), InPublic: tpm2.New2B(t.template(k))}.Execute(c)
	if err != nil {
		return nil, fmt.Errorf("make the %v: %w", k, err)
	}
	public, err := ParsePublic(r.OutPublic.Bytes())
	if err == nil && known != nil && !bytes.Equal(known.public.name, public.name) {
		err = fmt.Errorf("%w: the %v is not the one from before", ErrOtherTPM, k)
	}
	if err != nil {
		c.flush(r.ObjectHandle)
		return nil, err
	}
	now := &loadable{public: public}
	if s, err := (tpm2.ContextSave{SaveHandle: r.ObjectHandle}).Execute(c); err == nil {
		now.context = &s.Context
	}
	t.keys[k] = now
	return &loaded{r.ObjectHandle, public}, nil
}

// public is a key's public half.
func (t *TPM) public(c *conn, k keyKind) (*Public, error) {
	l, err := t.load(c, k)
	if err != nil {
		return nil, err
	}
	c.flush(l.handle)
	return l.public, nil
}

func (k keyKind) String() string {
	switch k {
	case attestationKey:
		return "attestation key"
	case deviceKey:
		return "device key"
	case endorsementECC, endorsementECCHigh, endorsementECC384:
		return "ECC endorsement key"
	case boundKey:
		return "bound key"
	default:
		return "RSA endorsement key"
	}
}

// AKPublic is the attestation key's public area (TPMT_PUBLIC): what a verifier enrols, see ParsePublic and CheckAK.
func (t *TPM) AKPublic() []byte { return t.ak.Bytes() }

// AK is the attestation key's public half.
func (t *TPM) AK() *Public { return t.ak }

// AKName is the attestation key's TPM name, the digest of its public area.
func (t *TPM) AKName() []byte { return t.ak.Name() }

// DevicePublic is the device key's public area (TPMT_PUBLIC).
func (t *TPM) DevicePublic() []byte { return t.device.Bytes() }
