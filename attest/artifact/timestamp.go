package artifact

import (
	"bytes"
	"crypto"
	// The hashes that timestamps use.
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// A timestamp token (RFC 3161) is a CMS SignedData (RFC 5652) around a TSTInfo. What is read here is the part of both
// that timestamping authorities send: one signer, signed attributes, certificates within the token.

// maxToken is the largest token in bytes.
const maxToken = 64 << 10

var (
	oidSignedData  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidRSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEKUStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

// hashes are those that count in a token.
var hashes = []struct {
	oid        asn1.ObjectIdentifier
	hash       crypto.Hash
	rsa, ecdsa x509.SignatureAlgorithm
	// rsaOID and ecdsaOID name hash and key together, as some authorities do.
	rsaOID, ecdsaOID asn1.ObjectIdentifier
}{
	{
		asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA256, x509.SHA256WithRSA, x509.ECDSAWithSHA256,
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2},
	},
	{
		asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA384, x509.SHA384WithRSA, x509.ECDSAWithSHA384,
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3},
	},
	{
		asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3},
		crypto.SHA512, x509.SHA512WithRSA, x509.ECDSAWithSHA512,
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4},
	},
}

type (
	stampResponse struct {
		Status asn1.RawValue
		Token  asn1.RawValue `asn1:"optional"`
	}
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      asn1.RawValue
		Encapsulated contentInfo
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		CRLs         asn1.RawValue `asn1:"optional,tag:1"`
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		ID         asn1.RawValue
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional,tag:0"`
		Algorithm  pkix.AlgorithmIdentifier
		Signature  []byte
		Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
	}
	issuerSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values asn1.RawValue `asn1:"set"`
	}
	stampInfo struct {
		Version int
		Policy  asn1.ObjectIdentifier
		Imprint struct {
			Hash   pkix.AlgorithmIdentifier
			Digest []byte
		}
		Serial *big.Int
		Time   time.Time `asn1:"generalized"`
	}
)

// exactly reads one DER value and nothing behind it.
func exactly(what string, der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if len(rest) != 0 {
		return fmt.Errorf("%s: %d bytes follow it", what, len(rest))
	}
	return nil
}

// timestamp verifies a token over a signature and returns the time in it.
func (t *Trust) timestamp(der, sig []byte) (time.Time, error) {
	if len(der) > maxToken {
		return time.Time{}, fmt.Errorf("has %d bytes: expected at most %d", len(der), maxToken)
	}
	sd, content, err := parseToken(der)
	if err != nil {
		return time.Time{}, err
	}
	info, err := parseStamp(content)
	if err != nil {
		return time.Time{}, err
	}
	if err := info.covers(sig); err != nil {
		return time.Time{}, err
	}
	certs, err := x509.ParseCertificates(sd.Certificates.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("the token's certificates: %w", err)
	}
	leaf, err := sd.Signers[0].verify(content, certs)
	if err != nil {
		return time.Time{}, err
	}
	return info.Time, t.stampedBy(leaf, certs, info.Time)
}

// parseToken reads a response, as sigstore stores it, or a bare token, and returns the SignedData and what it signs.
func parseToken(der []byte) (*signedData, []byte, error) {
	token := der
	var r stampResponse
	if rest, err := asn1.Unmarshal(der, &r); err == nil && len(rest) == 0 && len(r.Token.FullBytes) > 0 && r.Status.Tag == asn1.TagSequence {
		var status struct{ Code int }
		if _, err := asn1.Unmarshal(r.Status.FullBytes, &status); err != nil || status.Code > 1 || status.Code < 0 {
			return nil, nil, errors.New("the authority did not grant the timestamp")
		}
		token = r.Token.FullBytes
	}
	var ci contentInfo
	var sd signedData
	var content []byte
	if err := exactly("token", token, &ci); err != nil {
		return nil, nil, err
	}
	if !ci.Type.Equal(oidSignedData) {
		return nil, nil, errors.New("the token is no CMS SignedData")
	}
	if err := exactly("SignedData", ci.Content.Bytes, &sd); err != nil {
		return nil, nil, err
	}
	if !sd.Encapsulated.Type.Equal(oidTSTInfo) || len(sd.Signers) != 1 {
		return nil, nil, errors.New("expected a TSTInfo signed once")
	}
	if err := exactly("TSTInfo's octets", sd.Encapsulated.Content.Bytes, &content); err != nil {
		return nil, nil, err
	}
	return &sd, content, nil
}

// parseStamp reads a TSTInfo. What may follow the time (accuracy, ordering, nonce, name) is covered by the signature and
// says nothing that counts here.
func parseStamp(content []byte) (*stampInfo, error) {
	var outer asn1.RawValue
	if err := exactly("TSTInfo", content, &outer); err != nil {
		return nil, err
	}
	var info stampInfo
	if _, err := asn1.Unmarshal(content, &info); err != nil {
		return nil, fmt.Errorf("TSTInfo: %w", err)
	}
	if info.Version != 1 {
		return nil, fmt.Errorf("TSTInfo: expected version 1, found %d", info.Version)
	}
	return &info, nil
}

// covers says why the stamp is not about this signature, or nil.
func (s *stampInfo) covers(sig []byte) error {
	for _, h := range hashes {
		if s.Imprint.Hash.Algorithm.Equal(h.oid) {
			d := h.hash.New()
			d.Write(sig)
			if !bytes.Equal(d.Sum(nil), s.Imprint.Digest) {
				return errors.New("the timestamp is about another signature")
			}
			return nil
		}
	}
	return fmt.Errorf("the imprint's hash %v does not count: expected SHA-256, SHA-384 or SHA-512", s.Imprint.Hash.Algorithm)
}

// verify checks the token's own signature and returns the certificate of who made it.
func (s *signerInfo) verify(content []byte, certs []*x509.Certificate) (*x509.Certificate, error) {
	leaf := s.find(certs)
	if leaf == nil {
		return nil, errors.New("the token does not hold its signer's certificate")
	}
	for _, h := range hashes {
		if !s.Digest.Algorithm.Equal(h.oid) {
			continue
		}
		d := h.hash.New()
		d.Write(content)
		if err := s.attributes(d.Sum(nil)); err != nil {
			return nil, err
		}
		alg := h.ecdsa
		if a := s.Algorithm.Algorithm; a.Equal(oidRSA) || a.Equal(h.rsaOID) {
			alg = h.rsa
		} else if !a.Equal(h.ecdsaOID) {
			return nil, fmt.Errorf("the token's signature algorithm %v does not count", a)
		}
		// What is signed is the SET, whose tag the token replaces by [0].
		set := bytes.Clone(s.Attributes.FullBytes)
		set[0] = 0x31
		if err := leaf.CheckSignature(alg, set, s.Signature); err != nil {
			return nil, fmt.Errorf("the token's signature: %w", err)
		}
		return leaf, nil
	}
	return nil, fmt.Errorf("the token's hash %v does not count", s.Digest.Algorithm)
}

// find returns the signer's certificate.
func (s *signerInfo) find(certs []*x509.Certificate) *x509.Certificate {
	var id issuerSerial
	byIssuer := s.ID.Class == asn1.ClassUniversal && exactly("signer", s.ID.FullBytes, &id) == nil
	for _, c := range certs {
		if byIssuer && bytes.Equal(c.RawIssuer, id.Issuer.FullBytes) && c.SerialNumber.Cmp(id.Serial) == 0 {
			return c
		}
		if s.ID.Class == asn1.ClassContextSpecific && s.ID.Tag == 0 && len(c.SubjectKeyId) > 0 && bytes.Equal(c.SubjectKeyId, s.ID.Bytes) {
			return c
		}
	}
	return nil
}

// attributes checks that the signed attributes name the content's type and digest, each once.
func (s *signerInfo) attributes(digest []byte) error {
	var types, digests int
	for rest := s.Attributes.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return fmt.Errorf("signed attributes: %w", err)
		}
		switch {
		case a.Type.Equal(oidContentType):
			var oid asn1.ObjectIdentifier
			if exactly("content type", a.Values.Bytes, &oid) != nil || !oid.Equal(oidTSTInfo) {
				return errors.New("signed attributes: the content type is not TSTInfo")
			}
			types++
		case a.Type.Equal(oidDigest):
			var d []byte
			if exactly("digest", a.Values.Bytes, &d) != nil || !bytes.Equal(d, digest) {
				return errors.New("signed attributes: the digest is another content's")
			}
			digests++
		}
	}
	if types != 1 || digests != 1 {
		return errors.New("signed attributes: expected content type and digest, each once")
	}
	return nil
}

// stampedBy says why the signer of a token does not count, or nil.
func (t *Trust) stampedBy(leaf *x509.Certificate, certs []*x509.Certificate, at time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, r := range t.Timestamps {
		roots.AddCert(r)
	}
	for _, c := range certs {
		between.AddCert(c)
	}
	// RFC 3161, 2.3: the only extended key usage, and critical. x509 does not look at the second.
	critical := false
	for _, e := range leaf.Extensions {
		critical = critical || (e.Critical && e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 37}))
	}
	if !critical || len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) != 1 {
		return fmt.Errorf("the certificate of %q is not for timestamps only (key usage %v, critical)", clip(leaf.Subject.String()), oidEKUStamping)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return fmt.Errorf("the authority %q is not trusted: %w", clip(leaf.Subject.String()), err)
	}
	return nil
}
