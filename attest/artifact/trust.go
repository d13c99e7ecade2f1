package artifact

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Trust is whom the robot believes about artifacts. It does not change, so it may be used from any goroutine.
type Trust struct {
	// Keys are believed for as long as they are here. They need no clock, so what they signed once verifies on a robot
	// that does not know the time, which is what a rollback needs.
	Keys []Key
	// Authorities are whose certificates are believed.
	Authorities []Authority
	// Timestamps are the roots of timestamping authorities (RFC 3161).
	Timestamps []*x509.Certificate
}

// Authority is a certificate authority of the site's own, or its vendor's.
type Authority struct {
	// Name says whose it is, for people and journals.
	Name string
	// Root is its certificate.
	Root *x509.Certificate
	// Identities are who may sign: e-mail addresses, URIs and DNS names of the certificate's alternative names, or, for one
	// that has none, "CN=" and its common name. Without any, everybody whom the authority certified.
	Identities []string
}

// Signer is whose signature counted.
type Signer struct {
	// Name is that of the key or of the authority.
	Name string `json:"name"`
	// KeyID is the SHA-256 of the key's PEM text, in hexadecimal digits.
	KeyID string `json:"key_id"`
	// Algorithm names key and hash, in sigstore's words.
	Algorithm string `json:"algorithm"`
	// Identity is the certificate's, empty for a bare key.
	Identity string `json:"identity,omitempty"`
	// SignedAt is when a trusted authority saw the signature; zero where nothing says so.
	SignedAt time.Time `json:"signed_at,omitzero"`
}

// Options are what a caller knows beside the bundle.
type Options struct {
	// SignedAt is a moment at which the signature was made for certain, from a source that the caller answers for, in place
	// of a timestamp. Zero means that there is none.
	SignedAt time.Time
	// Ignore are paths of a folder that do not count, relative to it with forward slashes; the bundle's own file, for one.
	Ignore []string
	// Progress is told how many bytes were hashed of how many, now and then; nil for nobody.
	Progress func(done, total int64)
}

// signer decides whose key the bundle was signed with, and whether that one counts. It does not check the signature.
func (t *Trust) signer(b *bundle, o *Options) (*Key, *Signer, error) {
	if b.key == nil {
		return t.certified(b, o)
	}
	key, err := t.find(b)
	if err != nil {
		return nil, nil, err
	}
	return key, &Signer{Name: key.Name, KeyID: key.ID(), Algorithm: key.Algorithm()}, nil
}

// find finds the key that a bundle names. A name is a hint that nobody signed, so it only chooses; the key decides.
func (t *Trust) find(b *bundle) (*Key, error) {
	const where = "bundle.verificationMaterial.publicKey"
	const remedy = "put the signer's key into the key list, or have a listed signer sign"
	hint := b.key.Hint
	if len(b.key.Raw) != 0 {
		k, err := ParseKey("", b.key.Raw)
		if err != nil {
			return nil, malformed(where+".rawBytes", "is no public key").because(err)
		}
		if hint != "" && !k.called(hint) {
			return nil, malformed(where+".hint", "found %q: names another key than rawBytes", clip(hint))
		}
		hint = k.ID()
	}
	i := slices.IndexFunc(t.Keys, func(k Key) bool { return hint != "" && k.called(hint) })
	switch {
	case hint == "" && len(t.Keys) == 1:
		i = 0 // Nobody else can be meant.
	case hint == "":
		return nil, refuse(UnknownKey, where, remedy, "names no key, and %d are trusted", len(t.Keys))
	case i < 0:
		return nil, refuse(UnknownKey, where, remedy, "key %s is not trusted", clip(hint))
	}
	k := &t.Keys[i]
	if b.key.Details != "" && b.key.Details != k.details {
		return nil, malformed(where+".keyDetails", "found %q: the key is %s", clip(b.key.Details), k.details)
	}
	if b.keyID != "" && !k.called(b.keyID) {
		return nil, malformed("bundle.dsseEnvelope.signatures[0].keyid", "found %q: names another key", clip(b.keyID))
	}
	return k, nil
}

// envelope verifies the signature of a DSSE envelope and returns its signer.
func (t *Trust) envelope(b *bundle, o *Options) (*Signer, error) {
	if b.message != nil {
		return nil, refuse(WrongType, "bundle.messageSignature", "", "the bundle signs one file: expected a signed statement (dsseEnvelope)")
	}
	key, who, err := t.signer(b, o)
	if err != nil {
		return nil, err
	}
	if err := key.verify(b.pae, b.sig); err != nil {
		return nil, refuse(BadSignature, "bundle.dsseEnvelope", signAgain,
			"the signature does not belong to this payload and key %s of %s", key.ID(), who.Name).because(err)
	}
	return who, nil
}

// certified decides whether the bundle's certificate counts at the time at which its key signed.
func (t *Trust) certified(b *bundle, o *Options) (*Key, *Signer, error) {
	const where = "bundle.verificationMaterial.certificate"
	leaf := b.chain[0]
	key, err := NewKey("", leaf.PublicKey)
	if err != nil {
		return nil, nil, refuse(Unsupported, where, "", "the certificate's key cannot sign artifacts").because(err)
	}
	at, err := t.signedAt(b, o)
	if err != nil {
		return nil, nil, err
	}
	var last error
	for i := range t.Authorities {
		a := &t.Authorities[i]
		if last = a.vouches(b.chain, at); last != nil {
			continue
		}
		who, ok := a.identity(leaf)
		if !ok {
			return nil, nil, refuse(WrongIdentity, where, "have one of them sign, or add the identity to the authority",
				"%q of %s may not sign artifacts: expected one of %q", clip(who), a.Name, a.Identities)
		}
		key.Name = a.Name
		return &key, &Signer{Name: a.Name, KeyID: key.ID(), Algorithm: key.Algorithm(), Identity: who, SignedAt: at}, nil
	}
	if last == nil {
		last = errors.New("no certificate authority is trusted")
	}
	return nil, nil, refuse(BadChain, where, "add the signer's authority, or sign with a listed key",
		"%q leads to no trusted authority at %s", clip(leaf.Subject.String()), at.UTC().Format(time.RFC3339)).because(last)
}

// signedAt is the moment at which a certificate is judged.
//
// A certificate is short-lived and a robot may not know the time, so only what proves when the signature was made counts;
// "it is valid now" would end with the certificate, and with it the known-good version to return to.
func (t *Trust) signedAt(b *bundle, o *Options) (time.Time, error) {
	const where = "bundle.verificationMaterial.timestampVerificationData"
	if len(b.stamps) == 0 {
		if !o.SignedAt.IsZero() {
			return o.SignedAt, nil
		}
		return time.Time{}, refuse(NoTimestamp, where, "sign with a timestamp (RFC 3161), or with a listed key, which needs none",
			"a certificate counts only at the time at which its key signed, and nothing proves that time")
	}
	var at time.Time
	for i, s := range b.stamps {
		got, err := t.timestamp(s, b.sig)
		if err != nil {
			return at, refuse(BadTimestamp, fmt.Sprintf("%s.rfc3161Timestamps[%d]", where, i), "ask the timestamping authority again",
				"no trusted authority says when this signature was made").because(err)
		}
		if at.IsZero() || got.Before(at) {
			at = got
		}
	}
	return at, nil
}

// vouches says why the chain does not lead from the leaf to this authority at that time, or nil.
func (a *Authority) vouches(chain []*x509.Certificate, at time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.Root)
	for _, c := range chain[1:] {
		if !c.Equal(a.Root) {
			between.AddCert(c)
		}
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	return err
}

// identity names the certificate's holder and says whether that one may sign.
func (a *Authority) identity(leaf *x509.Certificate) (string, bool) {
	names := append(slices.Clone(leaf.EmailAddresses), leaf.DNSNames...)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 {
		names = []string{"CN=" + leaf.Subject.CommonName}
	}
	if len(a.Identities) == 0 {
		return names[0], true
	}
	for _, n := range names {
		if slices.Contains(a.Identities, n) {
			return n, true
		}
	}
	return names[0], false
}
