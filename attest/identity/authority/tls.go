package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/robowarden/robowarden/attest/identity"
)

// tls is how the authority shows itself and takes robots' certificates. Who is no robot may connect as well, to be enrolled.
func (a *Authority) tls(hosts []string) (*tls.Config, error) {
	if len(hosts) == 0 {
		return nil, errors.New("hosts: expected at least one name or address by which robots reach the authority")
	}
	own := &ownCertificate{a: a, hosts: hosts}
	if _, err := own.get(nil); err != nil {
		return nil, err
	}
	robots := x509.NewCertPool()
	robots.AddCert(a.Root(identity.RoleRobot))
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: robots,
		GetCertificate: own.get, Time: a.now,
	}, nil
}

// ownCertificate is the authority's own, kept in memory: nobody has to renew it.
type ownCertificate struct {
	a     *Authority
	hosts []string
	mu    sync.Mutex
	cert  *tls.Certificate
}

// get is tls.Config's GetCertificate.
func (o *ownCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.a.now()
	if o.cert != nil && now.Before(identity.Due(o.cert.Leaf)) && !now.Before(o.cert.Leaf.NotBefore) {
		return o.cert, nil
	}
	template, err := identity.Template(identity.RoleServer, o.hosts[0], now, now.Add(serverLife))
	if err != nil {
		return nil, err
	}
	template.DNSNames, template.IPAddresses = nil, nil
	for _, h := range o.hosts {
		if err := identity.CheckName(identity.RoleServer, h); err != nil {
			return nil, fmt.Errorf("hosts: %w", err)
		}
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := o.a.roots[identity.RoleServer]
	der, err := x509.CreateCertificate(rand.Reader, template, root.cert, key.Public(), root.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	o.cert = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return o.cert, nil
}

// bounded is a listener that has at most so many connections open.
type bounded struct {
	net.Listener
	free chan struct{}
}

// Accept is net.Listener's.
func (b *bounded) Accept() (net.Conn, error) {
	b.free <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &counted{Conn: c, free: b.free}, nil
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	once sync.Once
	free chan struct{}
}

// Close is net.Conn's.
func (c *counted) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
