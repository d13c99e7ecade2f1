package tpm

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrEndorsement says that a certificate does not vouch for an endorsement key.
var ErrEndorsement = errors.New("endorsement certificate does not vouch for this key")

// Object identifiers of the TCG EK Credential Profile.
var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidManufacturer   = asn1.ObjectIdentifier{2, 23, 133, 2, 1}
	oidModel          = asn1.ObjectIdentifier{2, 23, 133, 2, 2}
	oidVersion        = asn1.ObjectIdentifier{2, 23, 133, 2, 3}
	oidEKCertificate  = asn1.ObjectIdentifier{2, 23, 133, 8, 1}
)

// directoryName is the tag of that kind of name in GeneralName.
const directoryName = 4

// Maker is what an endorsement certificate says about the TPM.
type Maker struct {
	// Manufacturer is the vendor's TCG number, such as id:49465800.
	Manufacturer string
	// Model is the part's number.
	Model string
	// Version is the firmware's version when it left the factory.
	Version string
}

// Vendor is the vendor's number for people: with the letters that it stands for, where it stands for some.
func (m Maker) Vendor() string {
	digits, ok := strings.CutPrefix(m.Manufacturer, "id:")
	raw, err := hex.DecodeString(digits)
	name := strings.TrimRight(string(raw), " \x00")
	if !ok || err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Sprintf("%.64q", m.Manufacturer)
	}
	return fmt.Sprintf("%s (%s)", name, m.Manufacturer)
}

// VerifyEndorsement checks that a vendor's certificate vouches for an endorsement key: it leads to one of roots over
// intermediates at the given time, is for endorsement keys, and is for exactly this one. A nil pool of intermediates
// stands for an empty one.
//
// Such certificates must name the TPM in a critical subject alternative name of a kind that Go's verification does not
// know. It is read here, and only that one extension is then taken as handled.
func VerifyEndorsement(ek Endorsement, roots, intermediates *x509.CertPool, now time.Time) (Maker, error) {
	p, err := ParsePublic(ek.Public)
	if err != nil {
		return Maker{}, fmt.Errorf("%w: %w", ErrEndorsement, err)
	}
	if err := p.CheckEK(); err != nil {
		return Maker{}, fmt.Errorf("%w: %w", ErrEndorsement, err)
	}
	if roots == nil { // x509 would ask the computer's own roots, none of which vouches for TPMs
		return Maker{}, fmt.Errorf("%w: no roots are given", ErrEndorsement)
	}
	cert, err := parseCertificate(ek.Certificate)
	if err != nil {
		return Maker{}, fmt.Errorf("%w: %w", ErrEndorsement, err)
	}
	maker, err := readMaker(cert)
	if err != nil {
		return Maker{}, fmt.Errorf("%w: %w", ErrEndorsement, err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			err = fmt.Errorf("its vendor is %s, issuer %q, and no vendor that is accepted here vouches for it: %w", maker.Vendor(), cert.Issuer, err)
		}
		return Maker{}, fmt.Errorf("%w: %w", ErrEndorsement, err)
	}
	limited := len(cert.ExtKeyUsage) > 0 || len(cert.UnknownExtKeyUsage) > 0
	if limited && !slices.ContainsFunc(cert.UnknownExtKeyUsage, oidEKCertificate.Equal) {
		return Maker{}, fmt.Errorf("%w: it is for other uses than endorsement keys", ErrEndorsement)
	}
	if cert.IsCA {
		return Maker{}, fmt.Errorf("%w: it is an authority's", ErrEndorsement)
	}
	if !sameKey(cert.PublicKey, p.key) {
		return Maker{}, fmt.Errorf("%w: it is for another key", ErrEndorsement)
	}
	return maker, nil
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) == 0 || len(der) > maxCertificate {
		return nil, fmt.Errorf("certificate of %d bytes, expected 1 to %d", len(der), maxCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return cert, nil
}

// readMaker reads the TPM's subject alternative name and takes it off the list of what is not handled.
func readMaker(cert *x509.Certificate) (Maker, error) {
	var m Maker
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return Maker{}, errors.New("its subject alternative name is malformed")
		}
		for _, n := range names {
			if n.Class == asn1.ClassContextSpecific && n.Tag == directoryName {
				if err := m.read(n.Bytes); err != nil {
					return Maker{}, err
				}
			}
		}
		if m.Manufacturer != "" {
			cert.UnhandledCriticalExtensions = slices.DeleteFunc(cert.UnhandledCriticalExtensions, oidSubjectAltName.Equal)
		}
	}
	return m, nil
}

func (m *Maker) read(name []byte) error {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(name, &rdns); err != nil || len(rest) > 0 {
		return errors.New("its subject alternative name holds a malformed directory name")
	}
	for _, rdn := range rdns {
		for _, a := range rdn {
			value, ok := a.Value.(string)
			if !ok {
				continue
			}
			switch {
			case a.Type.Equal(oidManufacturer):
				m.Manufacturer = value
			case a.Type.Equal(oidModel):
				m.Model = value
			case a.Type.Equal(oidVersion):
				m.Version = value
			}
		}
	}
	return nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
