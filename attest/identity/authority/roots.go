package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
)

const (
	// rootLife is how long a root lasts.
	rootLife = 10 * 366 * 24 * time.Hour
	// maxFile is larger than any key or list of certificates that is read.
	maxFile = 256 << 10
)

// Folders of an authority.
const (
	dirRoots   = "roots"
	dirRecords = "records"
	dirVendors = "vendors"
)

// root is one role's root: what it issues is for that role only.
type root struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// Init makes a new authority in a folder that does not exist yet: a root for each role. The folder is whole or not there.
func Init(dir, site string, now time.Time) error {
	if site == "" || len(site) > 64 {
		return fmt.Errorf("site: found %d characters: expected 1 to 64", len(site))
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s is there already: an authority is made once, and never over another", dir)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	temp, err := os.MkdirTemp(parent, ".authority-*") // mode 0700
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone when it has got its name
	for _, sub := range []string{dirRoots, dirRecords, dirVendors} {
		if err := os.Mkdir(filepath.Join(temp, sub), 0o700); err != nil {
			return err
		}
	}
	for _, role := range identity.Roles() {
		if err := makeRoot(filepath.Join(temp, dirRoots), role, site, now); err != nil {
			return fmt.Errorf("root %s: %w", role, err)
		}
		if err := os.Mkdir(filepath.Join(temp, dirRecords, string(role)), 0o700); err != nil {
			return err
		}
	}
	if err := durable.SyncDir(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return err
	}
	return durable.SyncDir(parent)
}

// addRecovery gives an authority that was made without one the root of robots' recovery. It may be ended at any moment: the key comes
// before the certificate, and is made anew without it.
func addRecovery(dir string, now time.Time) error {
	path := filepath.Join(dir, dirRoots, string(identity.RoleRecovery)+".pem")
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return err // another process was faster
	}
	robots, err := openRoot(dir, identity.RoleRobot)
	if err != nil {
		return err
	}
	site := "site"
	if o := robots.cert.Subject.Organization; len(o) == 1 {
		site = o[0]
	}
	if err := os.MkdirAll(filepath.Join(dir, dirRecords, string(identity.RoleRecovery)), 0o700); err != nil {
		return err
	}
	return makeRoot(filepath.Join(dir, dirRoots), identity.RoleRecovery, site, now)
}

func makeRoot(dir string, role identity.Role, site string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := identity.Serial()
	if err != nil {
		return err
	}
	from := now.UTC().Truncate(time.Second).Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{site}, CommonName: fmt.Sprintf("%s %s root", site, role)},
		NotBefore: from, NotAfter: from.Add(rootLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := durable.Write(filepath.Join(dir, string(role)+".key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return durable.Write(filepath.Join(dir, string(role)+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// openRoot reads a role's root and checks that key and certificate belong together.
func openRoot(dir string, role identity.Role) (*root, error) {
	text, err := durable.ReadPrivate(filepath.Join(dir, dirRoots, string(role)+".key.pem"), maxFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("expected a private key, PKCS #8 in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("expected a private key of ECDSA")
	}
	if text, err = durable.Read(filepath.Join(dir, dirRoots, string(role)+".pem"), maxFile); err != nil {
		return nil, err
	}
	certs, err := identity.ParsePEM(text)
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 || !certs[0].IsCA || !signer.PublicKey.Equal(certs[0].PublicKey) {
		return nil, errors.New("expected the one certificate of the root's own key")
	}
	return &root{signer, certs[0]}, nil
}

// vendors are who may vouch for TPMs: what has signed itself is a root, the rest are between. There may be none.
func (a *Authority) vendors() (roots, between *x509.CertPool, err error) {
	entries, err := os.ReadDir(filepath.Join(a.dir, dirVendors))
	if err != nil {
		return nil, nil, err
	}
	roots, between = x509.NewCertPool(), x509.NewCertPool()
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".pem" {
			continue
		}
		text, err := durable.Read(filepath.Join(a.dir, dirVendors, e.Name()), maxFile)
		if err != nil {
			return nil, nil, err
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", e.Name(), err)
			}
			if c.CheckSignatureFrom(c) == nil {
				roots.AddCert(c)
			} else {
				between.AddCert(c)
			}
		}
	}
	return roots, between, nil
}
