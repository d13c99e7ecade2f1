package order

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Envelope is a DSSE envelope (github.com/secure-systems-lab/dsse, protocol 1.0).
//
// sigstore's own DSSE package decodes leniently, prints to standard output and brings an SSH implementation along, so
// the robot links this reader instead and the tests hold the two against each other.
type Envelope struct {
	// PayloadType says how to read the payload. The signatures cover it.
	PayloadType string
	// Payload is the signed document.
	Payload []byte
	// Signatures are by one or more keys over [Envelope.PAE].
	Signatures []Signature
}

// Signature is one signature of an envelope.
type Signature struct {
	// KeyID says which key made the signature; see [KeyID]. The signature does not cover it, but only the key with this
	// id is tried.
	KeyID string
	// Sig is the raw signature.
	Sig []byte
}

// maxSig is larger than any signature that we accept; a DER one on P-256 has at most 72 bytes.
const maxSig = 128

// PAE returns the bytes that signatures cover: DSSE's pre-authentication encoding of payload type and payload.
func (e *Envelope) PAE() []byte {
	b := make([]byte, 0, len(e.PayloadType)+len(e.Payload)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(e.PayloadType)), 10)
	b = append(append(append(b, ' '), e.PayloadType...), ' ')
	b = strconv.AppendInt(b, int64(len(e.Payload)), 10)
	return append(append(b, ' '), e.Payload...)
}

// ParseEnvelope reads a DSSE envelope and checks its form, not its signatures. Every refusal is an [Error].
func ParseEnvelope(data []byte) (*Envelope, error) {
	return parseEnvelope(data, PayloadType, MaxEnvelope)
}

// parseEnvelope reads an envelope of one payload type.
func parseEnvelope(data []byte, payloadType string, limit int) (*Envelope, error) {
	if len(data) > limit {
		return nil, refuse(Oversize, "split the document or shorten it", "the envelope has %d bytes: at most %d are read", len(data), limit)
	}
	env, err := decodeEnvelope(data)
	if err != nil {
		e := refuse(Malformed, "sign it again and pass it on unchanged", "the envelope is not DSSE as orders use it")
		e.Err = err
		return nil, e
	}
	if env.PayloadType != payloadType {
		return nil, refuse(WrongType, "this is something else, or it was signed for another purpose",
			"the payload type is %q: expected %q", clip(env.PayloadType), payloadType)
	}
	return env, nil
}

func decodeEnvelope(data []byte) (*Envelope, error) {
	v, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	var fault error
	top := asObject(&v, "", &fault)
	env := &Envelope{PayloadType: top.str("payloadType")}
	payload := top.str("payload")
	items := top.array("signatures", MaxSignatures)
	top.done()
	for i := range items {
		path := fmt.Sprintf("signatures[%d]", i)
		o := asObject(&items[i], path, &fault)
		id, text := o.str("keyid"), o.str("sig")
		o.done()
		if fault != nil {
			break
		}
		if !isKeyID(id) {
			o.fail("keyid", "found %q: expected \"SHA256:\" and 43 characters of base64", clip(id))
		}
		sig, err := decodeBase64(text)
		if err != nil || len(sig) == 0 || len(sig) > maxSig {
			o.fail("sig", "expected base64 of 1 to %d bytes", maxSig)
		}
		env.Signatures = append(env.Signatures, Signature{KeyID: id, Sig: sig})
	}
	if fault != nil {
		return nil, fault
	}
	if env.Payload, err = decodeBase64(payload); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return env, nil
}

// Marshal writes the envelope in its one form: no spaces, keys in DSSE's order, standard base64, a final newline.
func (e *Envelope) Marshal() ([]byte, error) {
	type sig struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	}
	doc := struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []sig  `json:"signatures"`
	}{PayloadType: e.PayloadType, Payload: e.Payload}
	for _, s := range e.Signatures {
		doc.Signatures = append(doc.Signatures, sig(s))
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encoding the envelope: %w", err)
	}
	return append(out, '\n'), nil
}

// decodeBase64 reads padded base64 in either alphabet, as DSSE demands, but without line breaks or stray bits, which
// the standard library would let through.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("expected base64 without line breaks")
	}
	enc := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	out, err := enc.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("expected padded base64")
	}
	return out, nil
}
