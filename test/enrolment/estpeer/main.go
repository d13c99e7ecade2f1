// Command estpeer is an EST server and an EST client that are not ours: GlobalSign's library in a module of its own, since it needs
// a go-tpm that is older than the product's.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/globalsign/est"
)

func main() {
	client := flag.String("client", "", "be a client of the server at host:port")
	dir := flag.String("dir", "", "where files are")
	user := flag.String("user", "", "HTTP Basic")
	password := flag.String("password", "", "HTTP Basic")
	later := flag.Int64("later", 0, "how many requests to put off")
	life := flag.Duration("life", time.Hour, "how long certificates last")
	flag.Parse()
	var err error
	if *client != "" {
		err = ask(*client, *dir, *user, *password)
	} else {
		err = serve(*dir, *user, *password, *later, *life)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ca is an authority that issues what is asked for.
type ca struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	later  atomic.Int64
	life   time.Duration
	serial atomic.Int64
}

func newCA(later int64, life time.Duration) (*ca, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	c := &ca{key: key, cert: cert, life: life}
	c.later.Store(later)
	c.serial.Store(1)
	return c, err
}

func (c *ca) issue(subject pkix.Name, extra []pkix.Extension, key any, hosts ...string) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(c.serial.Add(1)), Subject: subject, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(c.life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, ExtraExtensions: extra,
	}
	for _, h := range hosts {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(h))
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.cert, key, c.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// wait is est.Error: not yet.
type wait struct{}

func (wait) Error() string   { return "a person has to look at it" }
func (wait) StatusCode() int { return http.StatusAccepted }
func (wait) RetryAfter() int { return 1 }

func (c *ca) CACerts(context.Context, string, *http.Request) ([]*x509.Certificate, error) {
	return []*x509.Certificate{c.cert}, nil
}

func (c *ca) CSRAttrs(context.Context, string, *http.Request) (est.CSRAttrs, error) {
	return est.CSRAttrs{}, nil
}

func (c *ca) Enroll(_ context.Context, r *x509.CertificateRequest, _ string, _ *http.Request) (*x509.Certificate, error) {
	if c.later.Add(-1) >= 0 {
		return nil, wait{}
	}
	var names []pkix.Extension
	for _, e := range r.Extensions {
		if e.Id.String() == "2.5.29.17" {
			names = append(names, e)
		}
	}
	return c.issue(r.Subject, names, r.PublicKey)
}

func (c *ca) Reenroll(ctx context.Context, _ *x509.Certificate, r *x509.CertificateRequest, aps string, h *http.Request) (*x509.Certificate, error) {
	return c.Enroll(ctx, r, aps, h)
}

func (c *ca) ServerKeyGen(context.Context, *x509.CertificateRequest, string, *http.Request) (*x509.Certificate, []byte, error) {
	return nil, nil, errors.New("no")
}

func (c *ca) TPMEnroll(context.Context, *x509.CertificateRequest, []*x509.Certificate, []byte, []byte, string, *http.Request) ([]byte, []byte, []byte, error) {
	return nil, nil, nil, errors.New("no")
}

// serve serves until it is killed; roots.pem and address tell how to reach it.
func serve(dir, user, password string, later int64, life time.Duration) error {
	c, err := newCA(later, life)
	if err != nil {
		return err
	}
	handler, err := est.NewRouter(&est.ServerConfig{CA: c, CheckBasicAuth: func(_ context.Context, r *http.Request, _, u, p string) error {
		if len(r.TLS.PeerCertificates) > 0 || u == user && p == password {
			return nil
		}
		return errors.New("who are you")
	}})
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	own, err := c.issue(pkix.Name{CommonName: "127.0.0.1"}, nil, key.Public(), "127.0.0.1")
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "roots.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "address.new"), []byte(l.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "address.new"), filepath.Join(dir, "address")); err != nil {
		return err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}},
	}}
	return s.ServeTLS(l, "", "")
}

// ask enrols and renews by request.der and key.pem over roots.pem, and writes first.der and second.der.
func ask(host, dir, user, password string) error {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			panic(err)
		}
		return data
	}
	request, err := x509.ParseCertificateRequest(read("request.der"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(read("key.pem"))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read("roots.pem"))
	c := est.Client{Host: host, ExplicitAnchor: pool, Username: user, Password: password, DisableKeepAlives: true}
	ctx := context.Background()
	cas, err := c.CACerts(ctx)
	if err != nil {
		return fmt.Errorf("cacerts: %w", err)
	}
	first, err := c.Enroll(ctx, request)
	if err != nil {
		return fmt.Errorf("simpleenroll: %w", err)
	}
	if err := first.CheckSignatureFrom(cas[0]); err != nil {
		return err
	}
	c.Certificates, c.PrivateKey, c.Username, c.Password = []*x509.Certificate{first}, key, "", ""
	second, err := c.Reenroll(ctx, request)
	if err != nil {
		return fmt.Errorf("simplereenroll: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "first.der"), first.Raw, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "second.der"), second.Raw, 0o600)
}
