package artifact

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

// Bounds of a bundle.
const (
	// MaxBundle is the largest bundle in bytes: a model of some ten thousand files.
	MaxBundle = 8 << 20
	// maxSig is larger than any signature: RSA with 8192 bits has 1024 bytes.
	maxSig = 1024
	// maxChain is the largest number of certificates in a bundle.
	maxChain = 8
	// maxStamps is the largest number of timestamps in a bundle.
	maxStamps = 4
	// maxLog is the largest number of transparency log entries, which are not judged.
	maxLog = 16
)

// mediaTypes are those of sigstore bundles, as the tools in the field write them.
var mediaTypes = []string{
	"application/vnd.dev.sigstore.bundle.v0.3+json",
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
}

// octets is base64 in its one form: padded, no line breaks, no stray bits.
type octets []byte

// UnmarshalJSON reads the base64.
func (o *octets) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if strings.ContainsAny(s, "\r\n") {
		return errors.New("base64 with line breaks")
	}
	out, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return fmt.Errorf("expected padded base64: %w", err)
	}
	*o = out
	return nil
}

// MarshalJSON writes it.
func (o octets) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(o)) }

type wireBundle struct {
	MediaType string       `json:"mediaType"`
	Material  wireMaterial `json:"verificationMaterial"`
	Envelope  *wireDSSE    `json:"dsseEnvelope,omitempty"`
	Message   *wireMessage `json:"messageSignature,omitempty"`
}

type wireMaterial struct {
	PublicKey   *wireKey  `json:"publicKey,omitempty"`
	Certificate *wireCert `json:"certificate,omitempty"`
	Chain       *struct {
		Certificates []wireCert `json:"certificates"`
	} `json:"x509CertificateChain,omitempty"`
	// Log entries are not judged: a robot without a network has no log to ask, and their signature is no clock of ours.
	Log    []json.RawMessage `json:"tlogEntries,omitempty"`
	Stamps *wireStamps       `json:"timestampVerificationData,omitempty"`
}

type wireStamps struct {
	RFC3161 []struct {
		Signed octets `json:"signedTimestamp"`
	} `json:"rfc3161Timestamps"`
}

type wireKey struct {
	Hint    string `json:"hint,omitempty"`
	Raw     octets `json:"rawBytes,omitempty"`
	Details string `json:"keyDetails,omitempty"`
}

type wireCert struct {
	Raw octets `json:"rawBytes"`
}

type wireDSSE struct {
	Payload     octets    `json:"payload"`
	PayloadType string    `json:"payloadType"`
	Signatures  []wireSig `json:"signatures"`
}

type wireSig struct {
	Sig   octets `json:"sig"`
	KeyID string `json:"keyid"`
}

type wireMessage struct {
	Digest *struct {
		Algorithm string `json:"algorithm"`
		Digest    octets `json:"digest"`
	} `json:"messageDigest,omitempty"`
	Signature octets `json:"signature"`
}

// bundle is a sigstore bundle whose form is right; nothing in it is believed yet.
type bundle struct {
	key    *wireKey
	chain  []*x509.Certificate // The leaf first.
	stamps [][]byte

	// payloadType and payload are a DSSE envelope's; pae is what its signature covers. Empty for a message signature.
	payloadType  string
	payload, pae []byte
	message      *wireMessage
	keyID        string
	sig          []byte
}

const signAgain = "sign it again, with robowarden-station or the tool that made it, and pass the bundle on unchanged"

func malformed(where, format string, args ...any) *Error {
	return refuse(Malformed, where, signAgain, format, args...)
}

// parseBundle reads a bundle and checks its form.
func parseBundle(data []byte) (*bundle, error) {
	if len(data) > MaxBundle {
		return nil, refuse(Oversize, "bundle", "", "has %d bytes: at most %d are read", len(data), MaxBundle)
	}
	var w wireBundle
	if err := strict.JSON(data, &w); err != nil {
		return nil, malformed("bundle", "is no sigstore bundle").because(err)
	}
	if !slices.Contains(mediaTypes, w.MediaType) {
		return nil, refuse(WrongType, "bundle.mediaType", "", "found %q: expected %q", clip(w.MediaType), mediaTypes[0])
	}
	b := &bundle{}
	if err := b.takeMaterial(&w.Material); err != nil {
		return nil, err
	}
	switch {
	case (w.Envelope == nil) == (w.Message == nil):
		return nil, malformed("bundle", "expected either dsseEnvelope or messageSignature")
	case w.Envelope != nil:
		return b.takeEnvelope(w.Envelope)
	}
	b.message, b.sig = w.Message, w.Message.Signature
	return b, checkSig("bundle.messageSignature.signature", b.sig)
}

func (b *bundle) takeMaterial(m *wireMaterial) error {
	const where = "bundle.verificationMaterial"
	certs := []wireCert{}
	kinds := 0
	if m.PublicKey != nil {
		kinds++
		b.key = m.PublicKey
	}
	if m.Certificate != nil {
		kinds++
		certs = append(certs, *m.Certificate)
	}
	if m.Chain != nil {
		kinds++
		certs = append(certs, m.Chain.Certificates...)
	}
	switch {
	case kinds != 1:
		return malformed(where, "expected exactly one of publicKey, certificate and x509CertificateChain, found %d", kinds)
	case b.key == nil && (len(certs) == 0 || len(certs) > maxChain):
		return malformed(where, "expected 1 to %d certificates, found %d", maxChain, len(certs))
	case len(m.Log) > maxLog:
		return malformed(where+".tlogEntries", "expected at most %d entries, found %d", maxLog, len(m.Log))
	}
	for i, c := range certs {
		cert, err := x509.ParseCertificate(c.Raw)
		if err != nil {
			return malformed(fmt.Sprintf("%s.certificates[%d]", where, i), "is no certificate").because(err)
		}
		b.chain = append(b.chain, cert)
	}
	if m.Stamps == nil {
		return nil
	}
	if n := len(m.Stamps.RFC3161); n > maxStamps {
		return malformed(where+".timestampVerificationData", "expected at most %d timestamps, found %d", maxStamps, n)
	}
	for _, s := range m.Stamps.RFC3161 {
		b.stamps = append(b.stamps, s.Signed)
	}
	return nil
}

func (b *bundle) takeEnvelope(e *wireDSSE) (*bundle, error) {
	const where = "bundle.dsseEnvelope"
	if len(e.Signatures) != 1 {
		return nil, malformed(where+".signatures", "expected exactly one, found %d", len(e.Signatures))
	}
	if len(e.Payload) == 0 {
		return nil, malformed(where+".payload", "is empty")
	}
	b.payloadType, b.payload = e.PayloadType, e.Payload
	b.pae = pae(e.PayloadType, e.Payload)
	b.keyID, b.sig = e.Signatures[0].KeyID, e.Signatures[0].Sig
	return b, checkSig(where+".signatures[0].sig", b.sig)
}

func checkSig(where string, sig []byte) error {
	if len(sig) == 0 || len(sig) > maxSig {
		return malformed(where, "expected 1 to %d bytes, found %d", maxSig, len(sig))
	}
	return nil
}

// pae is DSSE's pre-authentication encoding.
func pae(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(payload)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(append(append(b, ' '), payloadType...), ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	return append(append(b, ' '), payload...)
}
