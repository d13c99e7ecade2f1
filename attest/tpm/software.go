package tpm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxKeyFile is the largest key file that is read, in bytes; a P-256 key in PEM has about 240.
const maxKeyFile = 4096

// Software is the device key of a machine without a TPM: ECDSA P-256 in a file. Whoever copies the file is that robot, so
// its tier is "software-key" wherever it is shown, and there is no quote to go with it.
type Software struct{ key *ecdsa.PrivateKey }

// LoadSoftware reads a software key: PKCS #8 in PEM, a regular file with mode 0600 or 0400. The error wraps
// os.ErrNotExist where there is none: making a new one is making a new identity, and so the caller's decision.
func LoadSoftware(path string) (*Software, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("software key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("software key: %w", err)
	}
	if m := info.Mode(); !m.IsRegular() || m.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("software key %s: mode %v, expected a file that only its owner may read (chmod 600)", path, m)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("software key: %w", err)
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("software key %s: more than %d bytes", path, maxKeyFile)
	}
	key, err := parseSoftware(data)
	if err != nil {
		return nil, fmt.Errorf("software key %s: %w", path, err)
	}
	return &Software{key}, nil
}

func parseSoftware(data []byte) (*ecdsa.PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, errors.New("expected one PEM block PRIVATE KEY (PKCS #8)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, errors.New("expected an ECDSA key on P-256")
	}
	return k, nil
}

// CreateSoftware makes a software key in a file that does not exist yet. It is on the disk, whole, when this returns.
func CreateSoftware(path string) (*Software, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("software key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("software key: %w", err)
	}
	if err := writeOnce(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, fmt.Errorf("software key: %w", err)
	}
	return &Software{key}, nil
}

// writeOnce writes a file under a passing name and links it to its own, which must be free: after a power cut there is
// the whole file or none.
func writeOnce(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Public implements crypto.Signer. The key is an *ecdsa.PublicKey on P-256.
func (s *Software) Public() crypto.PublicKey { return &s.key.PublicKey }

// Tier implements Signer.
func (s *Software) Tier() Tier { return TierSoftwareKey }

// Sign implements crypto.Signer as DeviceKey.Sign does.
func (s *Software) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := wantDigest(digest, opts); err != nil {
		return nil, err
	}
	return ecdsa.SignASN1(rand.Reader, s.key, digest)
}
