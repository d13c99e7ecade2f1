package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const kid = "software-key:abc"

func claims() *Claims {
	return &Claims{
		Issuer: "acme/r1", Subject: "planner", Audience: "fleet", Role: "telemetry", IssuedAt: noon.Unix(), Expires: noon.Unix() + 300,
		ID: "0123456789abcdef", BootID: "5e1c0a2e-0000-4000-8000-000000000001", Attestation: strings.Repeat("ab", 32),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func want() Expect {
	return Expect{Issuer: "acme/r1", Audience: "fleet", KeyID: kid, Now: noon.Add(time.Minute)}
}

func TestSignedAndVerified(t *testing.T) {
	key := newKey(t)
	for range 200 { // r and s of every length
		text, err := Sign(claims(), kid, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Verify(text, &key.PublicKey, want())
		if err != nil || *c != *claims() {
			t.Fatalf("%v, %v", c, err)
		}
	}
	if jwk, err := PublicJWK(&key.PublicKey, kid); err != nil || jwk.Curve != "P-256" || len(jwk.X) != 43 || len(jwk.Y) != 43 || jwk.KeyID != kid {
		t.Errorf("%+v, %v", jwk, err)
	}
}

// TestRefused changes one thing at a time; without the change the token counts.
func TestRefused(t *testing.T) {
	key, other := newKey(t), newKey(t)
	good, err := Sign(claims(), kid, key)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	swap := func(n int, text string) string {
		p := append([]string{}, parts...)
		p[n] = text
		return strings.Join(p, ".")
	}
	for name, c := range map[string]struct {
		text string
		key  *ecdsa.PrivateKey
		want func(*Expect)
		says string
	}{
		"nothing changed":      {},
		"no algorithm":         {text: swap(0, encode([]byte(`{"alg":"none","typ":"JWT","kid":"`+kid+`"}`))), says: "header"},
		"HMAC":                 {text: swap(0, encode([]byte(`{"alg":"HS256","typ":"JWT","kid":"`+kid+`"}`))), says: "header"},
		"another key's name":   {want: func(e *Expect) { e.KeyID = "tpm:abc" }, says: "header"},
		"another key":          {key: other, says: "not this key's"},
		"role raised":          {text: swap(1, encode([]byte(strings.Replace(string(mustDecode(t, parts[1])), "telemetry", "commander", 1)))), says: "not this key's"},
		"key given twice":      {text: swap(1, encode([]byte(`{"iss":"x",`+string(mustDecode(t, parts[1]))[1:]))), says: "spelt"},
		"unknown critical key": {text: swap(0, encode([]byte(`{"alg":"ES256","typ":"JWT","kid":"`+kid+`","crit":["x"]}`))), says: "spelt"},
		"signature cut":        {text: good[:len(good)-4], says: "64 bytes"},
		"no signature":         {text: swap(2, ""), says: "64 bytes"},
		"signature of zeros":   {text: swap(2, encode(make([]byte, 64))), says: "not this key's"},
		"two parts":            {text: parts[0] + "." + parts[1], says: "2 parts"},
		"too long":             {text: good + strings.Repeat("A", MaxToken), says: "at most"},
		"another audience":     {want: func(e *Expect) { e.Audience = "vendor" }, says: "for"},
		"another robot":        {want: func(e *Expect) { e.Issuer = "acme/r2" }, says: "of"},
		"expired":              {want: func(e *Expect) { e.Now = noon.Add(5 * time.Minute) }, says: "expired"},
		"from the future":      {want: func(e *Expect) { e.Now = noon.Add(-time.Second) }, says: "future"},
		"early within leeway":  {want: func(e *Expect) { e.Now, e.Leeway = noon.Add(-time.Second), time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			text, k, e := good, key, want()
			if c.text != "" {
				text = c.text
			}
			if c.key != nil {
				k = c.key
			}
			if c.want != nil {
				c.want(&e)
			}
			_, err := Verify(text, &k.PublicKey, e)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func mustDecode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := decoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestClaimsThatNobodySigns(t *testing.T) {
	for name, change := range map[string]func(*Claims){
		"too long a life": func(c *Claims) { c.Expires = c.IssuedAt + 601 },
		"no life":         func(c *Claims) { c.Expires = c.IssuedAt },
		"no audience":     func(c *Claims) { c.Audience = "" },
		"no attestation":  func(c *Claims) { c.Attestation = "" },
		"no time":         func(c *Claims) { c.IssuedAt, c.Expires = 0, 60 },
	} {
		c := claims()
		change(c)
		if _, err := Sign(c, kid, newKey(t)); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(claims(), kid, p384); err == nil {
		t.Error("signed on P-384")
	}
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	good, err := Sign(claims(), kid, key)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{good, "", "..", "a.b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Verify(text, &key.PublicKey, want()); err == nil && text != good {
			t.Errorf("%q is taken", text)
		}
	})
}

func TestJWKComesBack(t *testing.T) {
	key := newKey(t)
	j, err := PublicJWK(key.Public(), KeyID("tpm", "x"))
	if err != nil {
		t.Fatal(err)
	}
	text := func(edit func(*JWK)) []byte {
		k := *j
		edit(&k)
		out, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	got, kid, err := ParseJWK(text(func(*JWK) {}))
	if err != nil || kid != "tpm:x" || !got.Equal(key.Public()) {
		t.Fatalf("%v, %q, %v", got, kid, err)
	}
	for name, edit := range map[string]func(*JWK){
		"another curve": func(k *JWK) { k.Curve = "P-384" }, "another algorithm": func(k *JWK) { k.Algorithm = "HS256" },
		"no id": func(k *JWK) { k.KeyID = "" }, "for encryption": func(k *JWK) { k.Use = "enc" }, "a short x": func(k *JWK) { k.X = k.X[1:] },
		"no point of the curve": func(k *JWK) { k.X = k.Y },
	} {
		if _, _, err := ParseJWK(text(edit)); err == nil {
			t.Errorf("%s is read as a key", name)
		}
	}
	if _, _, err := ParseJWK([]byte(`{"kty":"oct","k":"AAAA"}`)); err == nil {
		t.Error("a shared secret is read as a key")
	}
}
