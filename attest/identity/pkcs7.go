package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// MaxAnswer is the largest answer of an authority that is read, in bytes: base64 of certificates and nothing else.
const MaxAnswer = 64 << 10

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// contentInfo is the outermost structure of a PKCS #7 message (RFC 5652, section 3).
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

// EncodeCertificates writes certificates as PKCS #7 "certs-only" in base64, as EST has them (RFC 7030, sections 4.1.3 and
// 4.2.3; RFC 8951): a SignedData that nobody has signed.
func EncodeCertificates(chain [][]byte) ([]byte, error) {
	version, err := asn1.Marshal(1)
	if err != nil {
		return nil, err
	}
	data, err := asn1.Marshal(struct{ Type asn1.ObjectIdentifier }{oidData})
	if err != nil {
		return nil, err
	}
	none := []byte{asn1.TagSet | 0x20, 0} // no digest algorithms, no signers
	certificates, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: bytes.Join(chain, nil)})
	if err != nil {
		return nil, err
	}
	signed, err := asn1.Marshal(asn1.RawValue{
		Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join([][]byte{version, none, data, certificates, none}, nil),
	})
	if err != nil {
		return nil, err
	}
	wrapped, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: signed})
	if err != nil {
		return nil, err
	}
	kind, err := asn1.Marshal(oidSignedData)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(kind, wrapped...)})
	if err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(der)), nil
}

// DecodeCertificates reads what EncodeCertificates writes, or another authority: base64, also broken into lines, of a DER
// SignedData that holds 1 to MaxChain certificates. What else may be in it, revocation lists or signers, is passed over:
// whether the certificates are any good is for CheckChain.
func DecodeCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > MaxAnswer {
		return nil, fmt.Errorf("certificates: more than %d bytes", MaxAnswer)
	}
	der, err := DecodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	var outer contentInfo
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || !outer.Type.Equal(oidSignedData) {
		return nil, errors.Join(errors.New("certificates: expected PKCS #7 SignedData"), err)
	}
	var parts []asn1.RawValue
	if rest, err := asn1.Unmarshal(outer.Content.Bytes, &parts); err != nil || len(rest) > 0 || len(parts) < 4 {
		return nil, errors.Join(errors.New("certificates: expected PKCS #7 SignedData"), err)
	}
	var raw []byte
	for _, p := range parts[3:] { // behind version, digest algorithms and content
		if p.Class == asn1.ClassContextSpecific && p.Tag == 0 && p.IsCompound {
			raw = append(raw, p.Bytes...)
		}
	}
	out, err := x509.ParseCertificates(raw)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if len(out) == 0 || len(out) > MaxChain {
		return nil, fmt.Errorf("certificates: found %d: expected 1 to %d", len(out), MaxChain)
	}
	return out, nil
}

// DecodeBase64 reads base64 that may be broken into lines.
func DecodeBase64(text []byte) ([]byte, error) {
	plain := strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, string(text))
	out, err := base64.StdEncoding.Strict().DecodeString(plain)
	if err != nil {
		return nil, errors.New("expected base64")
	}
	return out, nil
}

// LeafFirst puts the certificate that is asked for first and leaves the rest as they are: SignedData holds a set. It returns nil if none
// is.
func LeafFirst(certificates []*x509.Certificate, is func(*x509.Certificate) bool) []*x509.Certificate {
	for i, c := range certificates {
		if is(c) {
			out := append([]*x509.Certificate{c}, certificates[:i]...)
			return append(out, certificates[i+1:]...)
		}
	}
	return nil
}
