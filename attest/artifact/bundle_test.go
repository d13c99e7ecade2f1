package artifact_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
)

// TestBundleFields changes each field of a bundle around the signed text.
func TestBundleFields(t *testing.T) {
	m := newModel(t, "p256")
	other := newKey(t, "p256")
	mine, err := artifact.NewKey("", m.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := artifact.NewKey("", other.Public())
	if err != nil {
		t.Fatal(err)
	}
	material := func(d map[string]any) map[string]any { return d["verificationMaterial"].(map[string]any) }
	envelope := func(d map[string]any) map[string]any { return d["dsseEnvelope"].(map[string]any) }
	sig := func(d map[string]any) map[string]any {
		return envelope(d)["signatures"].([]any)[0].(map[string]any)
	}
	for name, c := range map[string]struct {
		edit   func(map[string]any)
		reason artifact.Reason
		names  string
	}{
		"another media type": {func(d map[string]any) { d["mediaType"] = "application/json" }, artifact.WrongType, "bundle.mediaType"},
		"no media type":      {func(d map[string]any) { delete(d, "mediaType") }, artifact.WrongType, "bundle.mediaType"},
		"a key more":         {func(d map[string]any) { d["trust"] = "me" }, artifact.Malformed, "trust"},
		"no material":        {func(d map[string]any) { delete(d, "verificationMaterial") }, artifact.Malformed, "verificationMaterial"},
		"two materials":      {func(d map[string]any) { material(d)["certificate"] = map[string]any{"rawBytes": "AAAA"} }, artifact.Malformed, "found 2"},
		"no certificate in it": {func(d map[string]any) {
			delete(material(d), "publicKey")
			material(d)["certificate"] = map[string]any{"rawBytes": "AAAA"}
		}, artifact.Malformed, "certificates[0]"},
		"an empty chain": {func(d map[string]any) {
			delete(material(d), "publicKey")
			material(d)["x509CertificateChain"] = map[string]any{"certificates": []any{}}
		}, artifact.Malformed, "found 0"},
		"another key's name": {func(d map[string]any) { material(d)["publicKey"] = map[string]any{"hint": foreign.ID()} }, artifact.UnknownKey, foreign.ID()},
		"a key of its own":   {func(d map[string]any) { material(d)["publicKey"] = map[string]any{"rawBytes": pemOf(t, other)} }, artifact.UnknownKey, foreign.ID()},
		"two keys": {func(d map[string]any) {
			material(d)["publicKey"] = map[string]any{"rawBytes": pemOf(t, other), "hint": mine.ID()}
		}, artifact.Malformed, "publicKey.hint"},
		"another algorithm": {func(d map[string]any) {
			material(d)["publicKey"] = map[string]any{"hint": mine.ID(), "keyDetails": "PKIX_ED25519"}
		}, artifact.Malformed, "keyDetails"},
		"a key id of another":    {func(d map[string]any) { sig(d)["keyid"] = foreign.ID() }, artifact.Malformed, "keyid"},
		"another payload type":   {func(d map[string]any) { envelope(d)["payloadType"] = "text/plain" }, artifact.BadSignature, "dsseEnvelope"},
		"no payload":             {func(d map[string]any) { envelope(d)["payload"] = "" }, artifact.Malformed, "payload"},
		"no signature":           {func(d map[string]any) { envelope(d)["signatures"] = []any{} }, artifact.Malformed, "found 0"},
		"two signatures":         {func(d map[string]any) { envelope(d)["signatures"] = []any{sig(d), sig(d)} }, artifact.Malformed, "found 2"},
		"an empty signature":     {func(d map[string]any) { sig(d)["sig"] = "" }, artifact.Malformed, "signatures[0].sig"},
		"a long signature":       {func(d map[string]any) { sig(d)["sig"] = b64(make([]byte, 2000)) }, artifact.Malformed, "signatures[0].sig"},
		"bare r and s":           {func(d map[string]any) { sig(d)["sig"] = b64(make([]byte, 64)) }, artifact.BadSignature, "ASN.1 DER"},
		"base64 with line feeds": {func(d map[string]any) { sig(d)["sig"] = "\n" + sig(d)["sig"].(string) }, artifact.Malformed, "line breaks"},
		"no content":             {func(d map[string]any) { delete(d, "dsseEnvelope") }, artifact.Malformed, "either"},
		"two contents": {func(d map[string]any) {
			d["messageSignature"] = map[string]any{"signature": "AAAA"}
		}, artifact.Malformed, "either"},
		"a message only": {func(d map[string]any) {
			delete(d, "dsseEnvelope")
			d["messageSignature"] = map[string]any{"signature": "AAAA"}
		}, artifact.WrongType, "messageSignature"},
		"log entries without end": {func(d map[string]any) { material(d)["tlogEntries"] = make([]int, 1000) }, artifact.Malformed, "tlogEntries"},
		"timestamps without end": {func(d map[string]any) {
			list := []any{}
			for range 9 {
				list = append(list, map[string]any{"signedTimestamp": "AAAA"})
			}
			material(d)["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": list}
		}, artifact.Malformed, "timestampVerificationData"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.trust.OpenModel(change(t, m.bundle, c.edit), artifact.Options{})
			refused(t, err, c.reason, c.names)
		})
	}
	for name, c := range map[string]func(map[string]any){
		"the off run":   func(map[string]any) {},
		"cosign's name": func(d map[string]any) { material(d)["publicKey"] = map[string]any{"hint": cosignHint(t, m.key)} },
		"the key itself": func(d map[string]any) {
			material(d)["publicKey"] = map[string]any{"rawBytes": pemOf(t, m.key), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
		},
		"no name, one key":        func(d map[string]any) { material(d)["publicKey"] = map[string]any{} },
		"log entries, not judged": func(d map[string]any) { material(d)["tlogEntries"] = []any{map[string]any{"logIndex": "7"}} },
	} {
		if _, err := m.trust.OpenModel(change(t, m.bundle, c), artifact.Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = m.trust.OpenModel([]byte(strings.Repeat(" ", artifact.MaxBundle+1)), artifact.Options{})
	refused(t, err, artifact.Oversize, "bundle")
	two := trusting(t, other, m.key)
	_, err = two.OpenModel(change(t, m.bundle, func(d map[string]any) { material(d)["publicKey"] = map[string]any{} }), artifact.Options{})
	refused(t, err, artifact.UnknownKey, "2 are trusted")
}

// TestEveryBitOfTheSignature flips each bit.
func TestEveryBitOfTheSignature(t *testing.T) {
	for _, alg := range algorithms {
		m := newModel(t, alg)
		raw := signatureOf(t, m.bundle)
		for i := 0; i < 8*len(raw); i += 1 + len(raw)/12 {
			changed := append([]byte{}, raw...)
			changed[i/8] ^= 1 << (i % 8)
			bundle := change(t, m.bundle, func(d map[string]any) {
				d["dsseEnvelope"].(map[string]any)["signatures"].([]any)[0].(map[string]any)["sig"] = b64(changed)
			})
			if _, err := m.trust.OpenModel(bundle, artifact.Options{}); artifact.ReasonOf(err) != artifact.BadSignature {
				t.Fatalf("%s: bit %d: %v", alg, i, err)
			}
		}
		for _, longer := range [][]byte{append(raw[:len(raw):len(raw)], 0), raw[:len(raw)-1]} {
			bundle := change(t, m.bundle, func(d map[string]any) {
				d["dsseEnvelope"].(map[string]any)["signatures"].([]any)[0].(map[string]any)["sig"] = b64(longer)
			})
			_, err := m.trust.OpenModel(bundle, artifact.Options{})
			refused(t, err, artifact.BadSignature, "dsseEnvelope")
		}
	}
}

func TestKeysThatDoNotCount(t *testing.T) {
	if _, err := artifact.NewKey("", newKey(t, "p521").Public()); err == nil {
		t.Error("P-521 accepted")
	}
	if _, err := artifact.NewKey("", "key"); err == nil {
		t.Error("a text accepted as a key")
	}
	for name, text := range map[string]string{
		"nothing": "", "no PEM": "key", "a private key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"two keys": pemText(t, newKey(t, "p256")) + pemText(t, newKey(t, "p256")), "large": strings.Repeat("x", 40<<10),
	} {
		if _, err := artifact.ParseKey("", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A key of another kind with the same name must not be tried: the key decides the algorithm.
	m := newModel(t, "p256")
	for _, alg := range algorithms {
		if _, err := trusting(t, newKey(t, alg)).OpenModel(m.bundle, artifact.Options{}); artifact.ReasonOf(err) != artifact.UnknownKey {
			t.Error(fmt.Sprint(alg), err)
		}
	}
}
