package artifact

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"syscall"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

// maxWhole is the largest file in bytes that an Ed25519 key can sign: its signature needs the whole of it in memory.
const maxWhole = 16 << 20

// Blob is one file whose signature is right.
type Blob struct {
	// File is its digest and size.
	File File
	// Signer is whose signature counted.
	Signer Signer
}

// digestOf names the hashes of a message signature.
func digestOf(algorithm string) (crypto.Hash, bool) {
	switch algorithm {
	case "SHA2_256":
		return crypto.SHA256, true
	case "SHA2_384":
		return crypto.SHA384, true
	case "SHA2_512":
		return crypto.SHA512, true
	}
	return 0, false
}

// wireOld is what `cosign sign-blob --bundle` wrote before sigstore's bundles.
type wireOld struct {
	Signature octets `json:"base64Signature"`
	Cert      string `json:"cert,omitempty"`
	Rekor     any    `json:"rekorBundle,omitempty"`
}

// VerifyBlob verifies one file against a bundle as `cosign sign-blob --bundle` writes it. Of cosign's older form only those
// without a certificate count: nothing in it proves when it was signed.
func (t *Trust) VerifyBlob(ctx context.Context, name string, bundleJSON []byte, o Options) (*Blob, error) {
	var old wireOld
	if strict.JSON(bundleJSON, &old) == nil && len(old.Signature) > 0 {
		if old.Cert != "" {
			return nil, refuse(NoTimestamp, "bundle.cert", "sign with cosign's --new-bundle-format and a timestamp, or with a key",
				"a certificate counts only at the time at which its key signed, and this form of bundle proves none")
		}
		return t.VerifyDetached(ctx, name, old.Signature, o)
	}
	b, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	if b.message == nil {
		return nil, refuse(WrongType, "bundle.dsseEnvelope", "", "the bundle holds a statement: expected one file's signature (messageSignature)")
	}
	key, who, err := t.signer(b, &o)
	if err != nil {
		return nil, err
	}
	kind := key.hash
	if d := b.message.Digest; d != nil {
		var ok bool
		if kind, ok = digestOf(d.Algorithm); !ok || kind < key.hash {
			return nil, refuse(Unsupported, "bundle.messageSignature.messageDigest.algorithm", "",
				"found %q: expected SHA2_256, SHA2_384 or SHA2_512, and what the key %s asks for", clip(d.Algorithm), key.details)
		}
	}
	got, err := readBlob(ctx, name, key, kind, &o)
	if err != nil {
		return nil, err
	}
	if d := b.message.Digest; d != nil && !bytes.Equal(d.Digest, got.digest) {
		return nil, &Error{
			Reason: Changed, Where: name, Detail: "has another digest than the bundle says", Faults: []Fault{{Path: name, What: Different}},
			Remedy: "bring the signed file back, or have what is there signed",
		}
	}
	return got.judge(key, who, kind, b.sig)
}

// VerifyDetached verifies one file against a bare signature, binary or in base64, as firmware comes with it: ECDSA on P-256
// over SHA-256, on P-384 over SHA-384, RSA PKCS #1 v1.5 over SHA-256, Ed25519. Whichever trusted key fits counts.
func (t *Trust) VerifyDetached(ctx context.Context, name string, sig []byte, o Options) (*Blob, error) {
	if raw, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(sig))); err == nil && len(raw) > 0 {
		sig = raw
	}
	if err := checkSig("signature", sig); err != nil {
		return nil, err
	}
	if len(t.Keys) == 0 {
		return nil, refuse(UnknownKey, "signature", "put the signer's key into the key list", "no key is trusted")
	}
	var last error
	read := map[crypto.Hash]*blob{}
	for i := range t.Keys {
		key := &t.Keys[i]
		if key.oneForm(sig) != nil {
			continue
		}
		got := read[key.hash]
		if got == nil {
			var err error
			if got, err = readBlob(ctx, name, key, key.hash, &o); err != nil {
				last = err
				continue
			}
			read[key.hash] = got
		}
		out, err := got.judge(key, &Signer{Name: key.Name, KeyID: key.ID(), Algorithm: key.details}, key.hash, sig)
		if err == nil {
			return out, nil
		}
		last = err
	}
	if r := ReasonOf(last); r == Unreadable || r == Oversize || ctx.Err() != nil {
		return nil, last
	}
	return nil, refuse(BadSignature, name, "bring the signed file back, or put the signer's key into the key list",
		"the signature fits none of the %d trusted keys and this file", len(t.Keys))
}

// blob is a file that was read.
type blob struct {
	name   string
	sum    [sha256.Size]byte
	size   int64
	digest []byte
	whole  []byte // For Ed25519.
}

// readBlob reads a file once and hashes it by SHA-256 and, where that is another, the signature's hash.
func readBlob(ctx context.Context, name string, key *Key, kind crypto.Hash, o *Options) (*blob, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the file is the caller's to name
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close() //nolint:errcheck // it was read only
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no file")
	}
	if err != nil {
		return nil, unreadable(name, err)
	}
	b := &blob{name: name}
	var src io.Reader = f
	var also hash.Hash
	_, edwards := key.Public.(ed25519.PublicKey)
	switch {
	case edwards && info.Size() > maxWhole:
		return nil, refuse(Oversize, name, "sign it with an ECDSA or RSA key", "has %d bytes: an Ed25519 key signs at most %d", info.Size(), maxWhole)
	case edwards:
		if b.whole, err = io.ReadAll(io.LimitReader(f, maxWhole+1)); err != nil {
			return nil, unreadable(name, err)
		}
		src = bytes.NewReader(b.whole)
	}
	if kind != 0 && kind != crypto.SHA256 {
		also = kind.New()
		src = io.TeeReader(src, also)
	}
	if b.sum, b.size, err = hashReader(ctx, src, make([]byte, hashBlock), &meter{tell: o.Progress, total: info.Size()}); err != nil {
		return nil, unreadable(name, err)
	}
	b.digest = b.sum[:]
	if also != nil {
		b.digest = also.Sum(nil)
	}
	return b, nil
}

// judge checks the signature.
func (b *blob) judge(key *Key, who *Signer, kind crypto.Hash, sig []byte) (*Blob, error) {
	var err error
	if b.whole != nil || isEdwards(key) {
		err = key.verify(b.whole, sig)
	} else {
		err = key.verifyDigest(kind, b.digest, sig)
	}
	if err != nil {
		return nil, refuse(BadSignature, b.name, "bring the signed file back, or have what is there signed",
			"the signature does not belong to this file and key %s of %s", key.ID(), who.Name).because(err)
	}
	return &Blob{File: File{Path: b.name, Size: b.size, SHA256: b.sum}, Signer: *who}, nil
}

func isEdwards(k *Key) bool { _, ok := k.Public.(ed25519.PublicKey); return ok }

// String names the blob's digest as messages do.
func (b *Blob) String() string { return fmt.Sprintf("sha256:%x", b.File.SHA256) }
