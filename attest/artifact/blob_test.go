package artifact_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
)

// detached signs content as firmware vendors do.
func detached(t *testing.T, alg string, key crypto.Signer, content []byte) []byte {
	t.Helper()
	text, hash := content, crypto.Hash(0)
	switch alg {
	case "p256", "rsa":
		d := sha256.Sum256(content)
		text, hash = d[:], crypto.SHA256
	case "p384":
		d := sha512.Sum384(content)
		text, hash = d[:], crypto.SHA384
	}
	sig, err := key.Sign(rand.Reader, text, hash)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestDetachedSignatures(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"fw.bin": "firmware", "other.bin": "firmwarf", "empty": ""})
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			key := newKey(t, alg)
			trust := trusting(t, newKey(t, "p256"), newKey(t, "p384"), newKey(t, "ed25519"), key)
			sig := detached(t, alg, key, []byte("firmware"))
			for _, form := range [][]byte{sig, []byte(b64(sig)), []byte(b64(sig) + "\n")} {
				got, err := trust.VerifyDetached(t.Context(), dir+"/fw.bin", form, artifact.Options{})
				if err != nil || got.File.Size != 8 || got.File.SHA256 != sha256.Sum256([]byte("firmware")) {
					t.Fatal(got, err)
				}
			}
			_, err := trust.VerifyDetached(t.Context(), dir+"/other.bin", sig, artifact.Options{})
			refused(t, err, artifact.BadSignature, "other.bin")
			_, err = trust.VerifyDetached(t.Context(), dir+"/empty", sig, artifact.Options{})
			refused(t, err, artifact.BadSignature, "empty")
			_, err = trusting(t, newKey(t, "p256")).VerifyDetached(t.Context(), dir+"/fw.bin", sig, artifact.Options{})
			refused(t, err, artifact.BadSignature, "fw.bin")
			_, err = trust.VerifyDetached(t.Context(), dir+"/gone", sig, artifact.Options{})
			refused(t, err, artifact.Unreadable, "gone")
			_, err = trust.VerifyDetached(t.Context(), dir, sig, artifact.Options{})
			refused(t, err, artifact.Unreadable, "is no file")
			empty, err := trust.VerifyDetached(t.Context(), dir+"/empty", detached(t, alg, key, nil), artifact.Options{})
			if err != nil || empty.File.Size != 0 {
				t.Error("an empty file:", err)
			}
		})
	}
}

// TestOpensslSignsFirmware has another program sign, since vendors use one.
func TestOpensslSignsFirmware(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here: it plays the vendor")
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"fw": "image"})
	for _, c := range []struct{ gen, dgst string }{
		{"ecparam -name prime256v1 -genkey -noout", "dgst -sha256"}, {"ecparam -name secp384r1 -genkey -noout", "dgst -sha384"}, {"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "dgst -sha256"},
	} {
		script := fmt.Sprintf("%s %s -out k.pem 2>/dev/null && %s pkey -in k.pem -pubout -out p.pem && %s %s -sign k.pem -out s fw", openssl, c.gen, openssl, openssl, c.dgst)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		pub, _ := os.ReadFile(filepath.Join(dir, "p.pem"))
		sig, _ := os.ReadFile(filepath.Join(dir, "s"))
		key, err := artifact.ParseKey("vendor", pub)
		if err != nil {
			t.Fatal(err)
		}
		trust := &artifact.Trust{Keys: []artifact.Key{key}}
		if _, err := trust.VerifyDetached(t.Context(), dir+"/fw", sig, artifact.Options{}); err != nil {
			t.Errorf("%s: %v", c.gen, err)
		}
	}
}

func TestBlobBundles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"image": "firmware", "other": "firmwarf"})
	file := artifact.File{SHA256: sha256.Sum256([]byte("firmware"))}
	for _, alg := range []string{"p256", "rsa"} {
		key := newKey(t, alg)
		trust := trusting(t, key)
		bundle, err := artifact.SignBlob(file, key)
		if err != nil {
			t.Fatal(err)
		}
		check := func(name string, b []byte) error {
			_, err := trust.VerifyBlob(t.Context(), dir+"/"+name, b, artifact.Options{})
			return err
		}
		if err := check("image", bundle); err != nil {
			t.Fatal(err)
		}
		refused(t, check("other", bundle), artifact.Changed, `other" has other content`)
		message := func(d map[string]any) map[string]any { return d["messageSignature"].(map[string]any) }
		digest := func(d map[string]any) map[string]any { return message(d)["messageDigest"].(map[string]any) }
		other := sha256.Sum256([]byte("firmwarf"))
		refused(t, check("image", change(t, bundle, func(d map[string]any) { digest(d)["digest"] = b64(other[:]) })), artifact.Changed, "image")
		refused(t, check("other", change(t, bundle, func(d map[string]any) { digest(d)["digest"] = b64(other[:]) })), artifact.BadSignature, "other")
		refused(t, check("image", change(t, bundle, func(d map[string]any) { digest(d)["algorithm"] = "SHA1" })), artifact.Unsupported, "algorithm")
		refused(t, check("image", change(t, bundle, func(d map[string]any) { digest(d)["algorithm"] = "SHA2_512" })), artifact.Changed, "image")
		refused(t, check("image", change(t, bundle, func(d map[string]any) { message(d)["signature"] = "" })), artifact.Malformed, "signature")
		if err := check("image", change(t, bundle, func(d map[string]any) { delete(message(d), "messageDigest") })); err != nil {
			t.Error("without the digest, which is a hint:", err)
		}
		refused(t, check("other", change(t, bundle, func(d map[string]any) { delete(message(d), "messageDigest") })), artifact.BadSignature, "other")
		// cosign's older form.
		old, _ := json.Marshal(map[string]any{"base64Signature": b64(detached(t, alg, key, []byte("firmware"))), "rekorBundle": map[string]any{"Payload": 1}})
		if err := check("image", old); err != nil {
			t.Error("the older form:", err)
		}
		refused(t, check("other", old), artifact.BadSignature, "other")
		certified, _ := json.Marshal(map[string]any{"base64Signature": "AAAA", "cert": "x"})
		refused(t, check("image", certified), artifact.NoTimestamp, "bundle.cert")
		m := newModel(t, "p256")
		refused(t, check("image", m.bundle), artifact.WrongType, "dsseEnvelope")
	}
	if _, err := artifact.SignBlob(file, newKey(t, "ed25519")); err == nil {
		t.Error("an Ed25519 key signed a digest")
	}
}

// sparse makes a large file that takes no room.
func sparse(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestMemoryIsBounded hashes a large file and looks at how much was allocated.
func TestMemoryIsBounded(t *testing.T) {
	const size = 128 << 20
	name := sparse(t, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files, err := artifact.ListFolder(t.Context(), filepath.Dir(name), nil, nil)
	runtime.ReadMemStats(&after)
	if err != nil || files[0].Size != size {
		t.Fatal(files, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("%d bytes were allocated for a file of %d: expected at most 8 MiB", got, size)
	}
	key := newKey(t, "ed25519")
	_, err = trusting(t, key).VerifyDetached(t.Context(), name, make([]byte, 64), artifact.Options{})
	refused(t, err, artifact.Oversize, "Ed25519")
}

func TestProgressIsTold(t *testing.T) {
	name := sparse(t, 64<<20)
	var last, total, calls int64
	_, err := artifact.ListFolder(t.Context(), filepath.Dir(name), nil, func(d, n int64) {
		if d < last || d > n {
			t.Errorf("told %d of %d after %d", d, n, last)
		}
		last, total = d, n
		calls++
	})
	if err != nil || last != 64<<20 || total != last || calls > 20 {
		t.Error(last, total, calls, err)
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	m := newModel(t, "ed25519")
	for i := range 30 {
		write(t, m.dir, map[string]string{fmt.Sprintf("x%02d", i): ""})
	}
	_, err := m.verify(t)
	if e := err.(*artifact.Error); len(e.Faults) != 30 || !strings.Contains(e.Error(), "and 22 more") { //nolint:errcheck,errorlint // it is returned bare
		t.Error(e)
	}
}
