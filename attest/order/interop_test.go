package order_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/robowarden/robowarden/attest/order"
)

func TestSigstoreVerifiesWhatWeSign(t *testing.T) {
	s := newSite(t, nil)
	for _, h := range []holder{s.operator, s.button} {
		t.Run(h.key.Person, func(t *testing.T) {
			o := sample(order.KindStop)
			env := sign(t, o, h)
			base, err := signature.LoadVerifier(h.priv.Public(), crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			var payload []byte
			v := dsse.WrapVerifier(base, dsse.WithExpectedPayloadType(order.PayloadType), dsse.WithDecodedPayload(&payload))
			if err := v.VerifySignature(bytes.NewReader(env), nil); err != nil {
				t.Fatal(err)
			}
			if want, _ := o.Encode(); !bytes.Equal(payload, want) {
				t.Errorf("sigstore read %s, we signed %s", payload, want)
			}
			changed := bytes.Replace(env, []byte(`"payload":"eyJ`), []byte(`"payload":"eyI`), 1)
			if err := v.VerifySignature(bytes.NewReader(changed), nil); err == nil {
				t.Error("sigstore accepts a changed payload, so this test proves nothing")
			}
		})
	}
}

func TestSigstoreCountsTwoOfOurSignatures(t *testing.T) {
	s := newSite(t, nil)
	var verifiers []signature.Verifier
	for _, h := range []holder{s.operator, s.engineer} {
		v, err := signature.LoadVerifier(h.priv.Public(), crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	both := dsse.WrapMultiVerifierWithOpts(order.PayloadType, 2, verifiers)
	first := sign(t, sample(order.KindReset), s.operator)
	if err := both.VerifySignature(bytes.NewReader(first), nil); err == nil {
		t.Error("sigstore counts one signature as two")
	}
	second, err := order.AddSignatures(first, s.engineer.priv)
	if err != nil {
		t.Fatal(err)
	}
	if err := both.VerifySignature(bytes.NewReader(second), nil); err != nil {
		t.Error(err)
	}
}

func TestWeVerifyWhatSigstoreSigns(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, h := range []holder{s.operator, s.button} {
		t.Run(h.key.Person, func(t *testing.T) {
			base, err := signature.LoadSigner(h.priv, crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			payload := payloadOf(t, sample(order.KindStop))
			env, err := dsse.WrapMultiSigner(order.PayloadType, base).SignMessage(strings.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(at(noon), env); err != nil {
				t.Errorf("%v\n%s", err, env)
			}
			_, err = v.Verify(at(noon), bytes.Replace(env, []byte(`"payload":"eyJ`), []byte(`"payload":"eyI`), 1))
			wantReason(t, err, order.BadSignature)
			// sigstore's signer for one key leaves the key id out. DSSE allows that; we want to know whom to try.
			env, err = dsse.WrapSigner(base, order.PayloadType).SignMessage(strings.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			_, err = v.Verify(at(noon), env)
			wantReason(t, err, order.Malformed)
		})
	}
}

// TestOpenSSL verifies an order with the commands that FORMAT.md gives, and signs one that way.
func TestOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, h := range []holder{s.operator, s.button} {
		t.Run(h.key.Person, func(t *testing.T) {
			dir := t.TempDir()
			env, err := order.ParseEnvelope(sign(t, sample(order.KindStop), h))
			if err != nil {
				t.Fatal(err)
			}
			priv, err := order.MarshalPrivateKey(h.priv)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "key.pem", priv)
			write(t, dir, "pub.pem", []byte(h.key.PEM))
			write(t, dir, "pae.bin", env.PAE())
			write(t, dir, "sig.bin", env.Signatures[0].Sig)
			verify := []string{"pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub.pem", "-in", "pae.bin", "-sigfile", "sig.bin"}
			signing := []string{"pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "pae.bin", "-out", "sig.bin"}
			if strings.HasPrefix(string(mustAlgorithm(t, h)), "ecdsa") {
				verify = []string{"dgst", "-sha256", "-verify", "pub.pem", "-signature", "sig.bin", "pae.bin"}
				signing = []string{"dgst", "-sha256", "-sign", "key.pem", "-out", "sig.bin", "pae.bin"}
			}
			if out, err := run(t, dir, openssl, verify...); err != nil {
				t.Fatalf("openssl refused our signature: %v\n%s", err, out)
			}
			write(t, dir, "pae.bin", append(env.PAE(), '!'))
			if out, err := run(t, dir, openssl, verify...); err == nil {
				t.Fatalf("openssl accepts a changed text: %s", out)
			}
			write(t, dir, "pae.bin", env.PAE())
			if out, err := run(t, dir, openssl, signing...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if env.Signatures[0].Sig, err = os.ReadFile(filepath.Join(dir, "sig.bin")); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(at(noon), marshal(t, env)); err != nil {
				t.Errorf("we refuse what openssl signed: %v", err)
			}
		})
	}
}

// TestKeyIDIsOpenSSHs compares our key ids with those of ssh-keygen.
func TestKeyIDIsOpenSSHs(t *testing.T) {
	keygen := tool(t, "ssh-keygen")
	s := newSite(t, nil)
	for _, h := range []holder{s.operator, s.button} {
		dir := t.TempDir()
		write(t, dir, "pub.pem", []byte(h.key.PEM))
		line, err := run(t, dir, keygen, "-i", "-m", "PKCS8", "-f", "pub.pem")
		if err != nil {
			t.Logf("this ssh-keygen does not read %s keys in PKIX: %s", mustAlgorithm(t, h), line)
			continue
		}
		write(t, dir, "pub.ssh", []byte(line))
		out, err := run(t, dir, keygen, "-l", "-f", "pub.ssh")
		if err != nil || !strings.Contains(out, h.key.ID) {
			t.Errorf("ssh-keygen gives %q (%v), we give %s", out, err, h.key.ID)
		}
	}
}

func mustAlgorithm(t *testing.T, h holder) order.Algorithm {
	t.Helper()
	alg, err := order.AlgorithmOf(h.priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	return alg
}

// tool finds a program or skips the test, which REQUIRE_ALL=1 turns into a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("%s is needed: %v", name, err)
	}
	t.Skipf("%s is not installed: %v", name, err)
	return ""
}

func run(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAnEnvelopeThatOthersMade checks our signed text against a signature that OpenSSF's Model Signing made.
func TestAnEnvelopeThatOthersMade(t *testing.T) {
	const folder = "../../../shared/vectors/model-signing/"
	text, err := os.ReadFile(folder + "v1.1.0-certificate/model.sig")
	if err != nil {
		t.Skipf("no vectors here: %v", err) // They are no part of the repository, so REQUIRE_ALL does not ask for them.
	}
	var bundle struct {
		Envelope struct {
			PayloadType string `json:"payloadType"`
			Payload     []byte `json:"payload"`
			Signatures  []struct {
				Sig []byte `json:"sig"`
			} `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		t.Fatal(err)
	}
	keyText, err := os.ReadFile(folder + "keys/certificate/signing-key-pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(keyText)
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		t.Fatalf("the key is a %T", parsed)
	}
	env := order.Envelope{PayloadType: bundle.Envelope.PayloadType, Payload: bundle.Envelope.Payload}
	digest := sha512.Sum384(env.PAE())
	if !ecdsa.VerifyASN1(key, digest[:], bundle.Envelope.Signatures[0].Sig) {
		t.Error("our signed text is not the one that was signed")
	}
	env.Payload = append(env.Payload, ' ')
	digest = sha512.Sum384(env.PAE())
	if ecdsa.VerifyASN1(key, digest[:], bundle.Envelope.Signatures[0].Sig) {
		t.Error("a changed text verifies, so this test proves nothing")
	}
}
