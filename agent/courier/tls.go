package courier

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/attest/order"
)

// Reasons why there is no connection. They are part of the interface: metrics, records and alarms name them.
const (
	// ReasonDNS means that the broker's name cannot be resolved.
	ReasonDNS = "dns"
	// ReasonRefused means that nobody listens at the broker's address.
	ReasonRefused = "refused"
	// ReasonUnreachable means that there is no way to the broker.
	ReasonUnreachable = "unreachable"
	// ReasonTimeout means that the broker did not answer in time.
	ReasonTimeout = "timeout"
	// ReasonBrokerExpired means that the broker's certificate is not valid now; or that the robot's clock is wrong.
	ReasonBrokerExpired = "broker-certificate-expired"
	// ReasonBrokerUnknown means that nobody in the deployment's `ca` vouches for the broker.
	ReasonBrokerUnknown = "broker-certificate-unknown"
	// ReasonBrokerName means that the broker's certificate is for another name.
	ReasonBrokerName = "broker-certificate-name"
	// ReasonOwnExpired means that the robot's own certificate is not valid now.
	ReasonOwnExpired = "own-certificate-expired"
	// ReasonOwnRefused means that the broker does not take the robot's certificate.
	ReasonOwnRefused = "own-certificate-refused"
	// ReasonOwnUnusable means that the robot's certificate or key cannot be read, or do not belong together.
	ReasonOwnUnusable = "own-certificate-unusable"
	// ReasonTLS means that the broker speaks no TLS 1.3, or speaks it wrongly.
	ReasonTLS = "tls"
	// ReasonNotAuthorised means that the broker's own rules keep the robot out.
	ReasonNotAuthorised = "not-authorised"
	// ReasonProtocol means that the broker broke the rules of MQTT.
	ReasonProtocol = "protocol"
	// ReasonSilent means that the connection was open, and nothing came back.
	ReasonSilent = "silent"
	// ReasonClosed means that the broker closed the connection.
	ReasonClosed = "closed"
	// ReasonEnded means that the courier itself ended it.
	ReasonEnded = "ended"
	// ReasonIdentity means that it ended it to go on by another key of the robot's: the bound one, or its recovery's.
	ReasonIdentity = "identity"
)

// linkError is why there is no connection.
type linkError struct {
	reason string
	err    error
}

func (e *linkError) Error() string { return e.reason + ": " + e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// credentials prepares the TLS configuration for a key and its certificate's file. Files are read again for each attempt, so that a renewed certificate needs
// no restart.
func credentials(c *config.Courier, host string, device crypto.Signer, certificate string, now time.Time) (*tls.Config, error) {
	unusable := func(err error) error { return &linkError{ReasonOwnUnusable, err} }
	ca, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, &linkError{ReasonBrokerUnknown, err}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, &linkError{ReasonBrokerUnknown, fmt.Errorf("%s: expected PEM certificates, found none", c.CA)}
	}
	cert, err := chain(certificate)
	if err != nil {
		return nil, unusable(err)
	}
	signer := device
	if c.Key != "" {
		text, err := os.ReadFile(c.Key)
		if err != nil {
			return nil, unusable(err)
		}
		if signer, err = order.ParsePrivateKey(text); err != nil {
			return nil, unusable(fmt.Errorf("%s: %w", c.Key, err))
		}
	}
	if signer == nil {
		return nil, unusable(errors.New("the deployment names no key, and there is no TPM with one: give courier.key or courier.tpm"))
	}
	if err := suits(cert, certificate, signer.Public(), now); err != nil {
		return nil, err
	}
	cert.PrivateKey = signer
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: host, Certificates: []tls.Certificate{*cert},
		Time: func() time.Time { return now },
	}, nil
}

// fits says whether a file holds a certificate for a key that is valid now.
func fits(certificate string, public crypto.PublicKey, now time.Time) error {
	cert, err := chain(certificate)
	if err != nil {
		return err
	}
	return suits(cert, certificate, public, now)
}

// suits says whether a certificate is for a key and valid now.
func suits(cert *tls.Certificate, certificate string, public crypto.PublicKey, now time.Time) error {
	its, ok := cert.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !its.Equal(public) {
		return &linkError{ReasonOwnUnusable, fmt.Errorf("%s: the certificate is for another key than the robot has", certificate)}
	}
	if now.Before(cert.Leaf.NotBefore) || now.After(cert.Leaf.NotAfter) {
		return &linkError{ReasonOwnExpired, fmt.Errorf("%s is valid from %s to %s, and the robot's clock says %s",
			certificate, stamp(cert.Leaf.NotBefore), stamp(cert.Leaf.NotAfter), stamp(now))}
	}
	return nil
}

// chain reads a certificate and the ones that vouch for it.
func chain(path string) (*tls.Certificate, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the deployment names it
	if err != nil {
		return nil, err
	}
	var cert tls.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			cert.Certificate = append(cert.Certificate, block.Bytes)
		}
	}
	if len(cert.Certificate) == 0 {
		return nil, fmt.Errorf("%s: expected PEM certificates, found none", path)
	}
	if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &cert, nil
}

// classify names why a connection could not be made or was lost.
func classify(err error) *linkError {
	var known *linkError
	if errors.As(err, &known) {
		return known
	}
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var alert tls.AlertError
	var timeout net.Error
	reason := ReasonClosed
	switch {
	case errors.As(err, &dns):
		reason = ReasonDNS
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason = ReasonBrokerExpired
	case errors.As(err, &invalid), errors.As(err, &authority):
		reason = ReasonBrokerUnknown
	case errors.As(err, &name):
		reason = ReasonBrokerName
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		reason = remoteAlert(err.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = ReasonRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		reason = ReasonUnreachable
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword),
		errors.Is(err, packets.ErrorRefusedIDRejected):
		reason = ReasonNotAuthorised
	case errors.As(err, &timeout) && timeout.Timeout():
		reason = ReasonTimeout
	case strings.Contains(err.Error(), "pingresp not received"):
		reason = ReasonSilent
	case strings.Contains(err.Error(), "tls:"):
		reason = ReasonTLS
	}
	return &linkError{reason, err}
}

// remoteAlert tells the broker's refusals of our certificate from other faults. TLS 1.3 sends them after the handshake.
func remoteAlert(text string) string {
	for _, word := range []string{"certificate", "unknown certificate authority", "access denied"} {
		if strings.Contains(text, word) {
			return ReasonOwnRefused
		}
	}
	return ReasonTLS
}
