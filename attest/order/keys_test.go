package order_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/order"
)

func TestKeysSurvivePEM(t *testing.T) {
	for _, alg := range []order.Algorithm{order.ECDSAP256, order.Ed25519} {
		t.Run(string(alg), func(t *testing.T) {
			h := newHolder(t, alg, "olga", order.RoleOperator)
			text, err := order.MarshalPrivateKey(h.priv)
			if err != nil {
				t.Fatal(err)
			}
			priv, err := order.ParsePrivateKey(text)
			if err != nil {
				t.Fatal(err)
			}
			pub, err := order.ParsePublicKey([]byte(h.key.PEM))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []crypto.PublicKey{priv.Public(), pub} {
				if id, err := order.KeyID(p); err != nil || id != h.key.ID {
					t.Errorf("key id %s (%v), want %s", id, err, h.key.ID)
				}
			}
			if _, err := order.ParsePublicKey(bytes.ReplaceAll([]byte(h.key.PEM), []byte("\n"), []byte("\r\n"))); err != nil {
				t.Errorf("line ends of another system are refused: %v", err)
			}
		})
	}
	if _, err := order.GenerateKey("rsa-2048"); err == nil {
		t.Error("an unknown algorithm made a key")
	}
}

// TestKnownKeyIDs checks ids that ssh-keygen printed for these keys.
func TestKnownKeyIDs(t *testing.T) {
	for _, tc := range []struct{ name, pem, id string }{
		{"ecdsa-p256", exampleECDSA, exampleECDSAID},
		{"ed25519", exampleEd25519, exampleEd25519ID},
	} {
		pub, err := order.ParsePublicKey([]byte(tc.pem))
		if err != nil {
			t.Fatal(err)
		}
		if id, err := order.KeyID(pub); err != nil || id != tc.id {
			t.Errorf("%s: key id %s (%v), want %s", tc.name, id, err, tc.id)
		}
	}
}

func TestPublicKeysThatAreRefused(t *testing.T) {
	h := newHolder(t, order.ECDSAP256, "olga", order.RoleOperator)
	good := h.key.PEM
	block, _ := pem.Decode([]byte(good))
	encode := func(kind string, der []byte, headers map[string]string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: der}))
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384DER, err := x509.MarshalPKIXPublicKey(p384.Public())
	if err != nil {
		t.Fatal(err)
	}
	priv, err := order.MarshalPrivateKey(h.priv)
	if err != nil {
		t.Fatal(err)
	}
	offCurve := bytes.Clone(block.Bytes)
	offCurve[len(offCurve)-1] ^= 1
	for name, text := range map[string]string{
		"nothing":                     "",
		"text only":                   "hello",
		"a private key":               string(priv),
		"two keys":                    good + good,
		"text behind":                 good + "x",
		"text in front":               "x\n" + good,
		"headers":                     encode("PUBLIC KEY", block.Bytes, map[string]string{"Proc-Type": "4,ENCRYPTED"}),
		"another type":                encode("CERTIFICATE", block.Bytes, nil),
		"bytes behind":                encode("PUBLIC KEY", append(bytes.Clone(block.Bytes), 0), nil),
		"cut short":                   encode("PUBLIC KEY", block.Bytes[:len(block.Bytes)-1], nil),
		"a point off the curve":       encode("PUBLIC KEY", offCurve, nil),
		"another curve":               encode("PUBLIC KEY", p384DER, nil),
		"a megabyte":                  good + strings.Repeat("\n", 1<<20),
		"compressed point as openssl": strings.Replace(good, "-----BEGIN", "-----BEGIN EC", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := order.ParsePublicKey([]byte(text)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestSeveralPublicKeys(t *testing.T) {
	a, b := newHolder(t, order.ECDSAP256, "a"), newHolder(t, order.Ed25519, "b")
	for text, want := range map[string]int{
		a.key.PEM: 1, a.key.PEM + b.key.PEM: 2, "\n" + a.key.PEM + "\n\n" + b.key.PEM + " \n": 2,
		strings.TrimSpace(a.key.PEM): 1, strings.Repeat(a.key.PEM, 16): 16,
		"": 0, "x": 0, a.key.PEM + "x": 0, "x\n" + a.key.PEM: 0, strings.Repeat(a.key.PEM, 17): 0, a.key.PEM + b.key.PEM[:60]: 0,
	} {
		got, err := order.ParsePublicKeys([]byte(text))
		if len(got) != want || (err != nil) != (want == 0) {
			t.Errorf("%d keys (%v), want %d, in %q", len(got), err, want, text[:min(len(text), 400)])
		}
	}
}

func TestPrivateKeysThatAreRefused(t *testing.T) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224DER, err := x509.MarshalPKCS8PrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"encrypted":     {Type: "ENCRYPTED PRIVATE KEY", Bytes: der},
		"SEC 1":         {Type: "EC PRIVATE KEY", Bytes: der},
		"cut short":     {Type: "PRIVATE KEY", Bytes: der[:len(der)-2]},
		"another curve": {Type: "PRIVATE KEY", Bytes: p224DER},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := order.ParsePrivateKey(pem.EncodeToMemory(block)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestSigningRefusesWhatRobotsWould(t *testing.T) {
	s := newSite(t, nil)
	o := sample(order.KindStop)
	o.Stop.Category = 0
	if _, err := order.Sign(o, s.operator.priv); err == nil {
		t.Error("an order that no robot accepts was signed")
	}
	if _, err := order.Sign(sample(order.KindStop)); err == nil {
		t.Error("an order was signed with no key")
	}
	if _, err := order.Sign(sample(order.KindStop), s.operator.priv, s.operator.priv); err == nil {
		t.Error("one key signed twice")
	}
	env := sign(t, sample(order.KindStop), s.operator)
	if _, err := order.AddSignatures(env, s.operator.priv); err == nil {
		t.Error("one key signed twice, the second time later")
	}
	for range order.MaxSignatures - 1 {
		h := newHolder(t, order.Ed25519, "x", order.RoleOperator)
		var err error
		if env, err = order.AddSignatures(env, h.priv); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := order.AddSignatures(env, s.button.priv); err == nil {
		t.Error("more signatures were added than robots accept")
	}
	if _, err := order.AddSignatures([]byte("{}"), s.button.priv); err == nil {
		t.Error("something that is no envelope was signed")
	}
	broken := rawSign(t, order.PayloadType, []byte(`{"kind":"stop"}`), s.operator)
	if _, err := order.AddSignatures(broken, s.button.priv); err == nil {
		t.Error("something that is no order was signed")
	}
}
