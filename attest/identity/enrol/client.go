package enrol

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
)

const (
	// requestTimeout bounds one request from the connection to the answer's last byte.
	requestTimeout = 30 * time.Second
	// maxAnswerHeader is the largest header of an answer in bytes.
	maxAnswerHeader = 16 << 10
	// maxText is how much of a refusal's text is shown.
	maxText = 300
	// What a server may ask to wait for; without a word from it, the middle one.
	minLater, someLater, maxLater = time.Second, 30 * time.Second, time.Hour
)

// RefusedError is a server's no.
type RefusedError struct {
	// Status is HTTP's.
	Status int
	// Text is the server's, made printable and short.
	Text string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the authority answers %d %s: %q", e.Status, http.StatusText(e.Status), e.Text)
}

// LaterError says that the authority has not decided yet.
type LaterError struct {
	// After is how long it asks to wait.
	After time.Duration
}

func (e *LaterError) Error() string {
	return fmt.Sprintf("the authority has not decided yet: ask again after %v", e.After)
}

// client speaks to one server, one request at a time, each over a connection of its own.
type client struct {
	server  string
	http    *http.Client
	timeout time.Duration
}

// newClient speaks to a server that one of the roots vouches for, with a certificate of the robot's own or none.
func newClient(server string, roots []*x509.Certificate, own *tls.Certificate, now func() time.Time) *client {
	pool := x509.NewCertPool()
	for _, c := range roots {
		pool.AddCert(c)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Time: now}
	if own != nil {
		cert := *own
		// All that the key in a TPM can sign; TLS 1.2 would let the server choose others.
		cert.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	return &client{server: strings.TrimSuffix(server, "/"), timeout: requestTimeout, http: &http.Client{
		// A redirect would lead to somebody whom nobody has named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext, TLSClientConfig: config, TLSHandshakeTimeout: requestTimeout,
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswerHeader, ResponseHeaderTimeout: requestTimeout,
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 alone, and no proxy
		},
	}}
}

// call is one request.
type call struct {
	method, path string
	kind         string // the content's media type, "" without content
	content      []byte
	user, secret string // HTTP Basic, unless empty
	want         string // the answer's media type
}

// do makes a request and returns the answer's content, bounded in size and time.
func (c *client) do(ctx context.Context, x call) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, x.method, c.server+x.path, bytes.NewReader(x.content))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", x.want)
	if x.kind != "" {
		r.Header.Set("Content-Type", x.kind)
	}
	if x.kind == identity.TypeRequest {
		r.Header.Set("Content-Transfer-Encoding", "base64")
	}
	if x.user != "" || x.secret != "" {
		r.SetBasicAuth(x.user, x.secret)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, identity.MaxAnswer+1))
	if err == nil {
		err = ctx.Err() // a server that sees the connection being closed may still end its answer in order
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the answer breaks off: %w", x.path, err)
	}
	if len(content) > identity.MaxAnswer {
		return nil, fmt.Errorf("%s: the answer has more than %d bytes", x.path, identity.MaxAnswer)
	}
	switch {
	case answer.StatusCode == http.StatusAccepted:
		return nil, &LaterError{later(answer.Header.Get("Retry-After"), c.now())}
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return nil, fmt.Errorf("%s: the authority sends the robot to %q, which nobody has named: give its address instead", x.path, clip(answer.Header.Get("Location")))
	case answer.StatusCode != http.StatusOK:
		return nil, &RefusedError{answer.StatusCode, clip(printable(string(content)))}
	}
	if got, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || got != x.want {
		return nil, fmt.Errorf("%s: found content of type %q: expected %s; is this an authority?", x.path, clip(answer.Header.Get("Content-Type")), x.want)
	}
	return content, nil
}

// now is the time by which the client judges certificates.
func (c *client) now() time.Time {
	t, ok := c.http.Transport.(*http.Transport)
	if !ok || t.TLSClientConfig.Time == nil {
		return time.Now()
	}
	return t.TLSClientConfig.Time()
}

// later reads Retry-After, which is in seconds or a date (RFC 9110, section 10.2.3), and keeps it within bounds.
func later(text string, now time.Time) time.Duration {
	wait := someLater
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, minLater), maxLater)
}

// certificates asks for certificates.
func (c *client) certificates(ctx context.Context, x call) ([]*x509.Certificate, error) {
	x.want = identity.TypeCertificates
	text, err := c.do(ctx, x)
	if err != nil {
		return nil, err
	}
	certs, err := identity.DecodeCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.path, err)
	}
	return certs, nil
}

// request asks for a certificate by a request in DER.
func (c *client) request(ctx context.Context, path string, der []byte, user, secret string) ([]*x509.Certificate, error) {
	return c.certificates(ctx, call{
		method: http.MethodPost, path: path, kind: identity.TypeRequest, content: []byte(base64.StdEncoding.EncodeToString(der)), user: user, secret: secret,
	})
}

// message sends a message and reads another.
func (c *client) message(ctx context.Context, path string, send, into any) error {
	content, err := identity.EncodeMessage(send)
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, call{method: http.MethodPost, path: path, kind: identity.TypeJSON, content: content, want: identity.TypeJSON})
	if err != nil {
		return err
	}
	return identity.ParseMessage(answer, into)
}

// refused says whether a server has said no, and will again.
func refused(err error) bool {
	var r *RefusedError
	return errors.As(err, &r) && r.Status >= 400 && r.Status < 500 && r.Status != http.StatusTooManyRequests && r.Status != http.StatusRequestTimeout
}

// printable keeps a server's text from writing anything else than text.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s))
}

// clip shortens a server's text.
func clip(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "..."
	}
	return s
}
