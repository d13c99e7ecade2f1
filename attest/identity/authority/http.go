package authority

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/identity"
)

const (
	// ioTimeout bounds how long one request may take to come in, and one answer to go out.
	ioTimeout = 10 * time.Second
	// idleTimeout bounds how long a connection may wait for its next request.
	idleTimeout = 30 * time.Second
	// maxHeader is the largest header of a request in bytes.
	maxHeader = 8 << 10
	// maxConnections is how many connections are served at once; further ones wait to be accepted.
	maxConnections = 128
	// serverLife is how long the authority's own certificate lasts; it is made anew with each start and in time.
	serverLife = 30 * 24 * time.Hour
)

// Handler serves EST (RFC 7030: cacerts, simpleenroll, simplereenroll), credential activation and revocation lists. Who asks is
// known by an invitation's secret, a TPM's proof, or the robot's own certificate.
func (a *Authority) Handler(logger zerolog.Logger) http.Handler {
	h := &handler{a, logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+identity.PathCACerts, h.caCerts)
	mux.HandleFunc("GET "+identity.PathCRL, h.crl)
	mux.HandleFunc("POST "+identity.PathChallenge, h.challenge)
	mux.HandleFunc("POST "+identity.PathActivate, h.activate)
	mux.HandleFunc("POST "+identity.PathEnrol, h.enrol)
	mux.HandleFunc("POST "+identity.PathRenew, h.renew)
	return mux
}

type handler struct {
	a   *Authority
	log zerolog.Logger
}

// body reads a request's content, of one media type and bounded.
func body(w http.ResponseWriter, r *http.Request, kind string) ([]byte, error) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != kind {
		return nil, &fault{http.StatusUnsupportedMediaType, fmt.Errorf("content type: expected %s", kind)}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, identity.MaxMessage))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, &fault{http.StatusRequestEntityTooLarge, err}
		}
		return nil, &fault{http.StatusBadRequest, err}
	}
	return data, nil
}

// fault is an error with a status of its own.
type fault struct {
	status int
	err    error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// fail answers with an error. Refusals are told as they are; of the authority's own trouble strangers hear nothing.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, robot string, err error) {
	status, text := http.StatusInternalServerError, "the authority has a fault of its own: see its log, and ask again later"
	var own *fault
	switch {
	case errors.As(err, &own):
		status, text = own.status, own.Error()
	case errors.Is(err, ErrRefused):
		status, text = http.StatusForbidden, err.Error()
	}
	h.log.Warn().Err(err).Str("robot", robot).Str("path", r.URL.Path).Str("from", r.RemoteAddr).Int("status", status).Msg("refused")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="enrolment"`)
	}
	http.Error(w, text, status)
}

// certificates answers with certificates as EST has them.
func (h *handler) certificates(w http.ResponseWriter, r *http.Request, robot string, certs ...*x509.Certificate) {
	chain := make([][]byte, 0, len(certs))
	for _, c := range certs {
		chain = append(chain, c.Raw)
	}
	text, err := identity.EncodeCertificates(chain)
	if err != nil {
		h.fail(w, r, robot, err)
		return
	}
	w.Header().Set("Content-Type", identity.TypeCertificates+"; smime-type=certs-only")
	w.Header().Set("Content-Transfer-Encoding", "base64")
	_, _ = w.Write(text) //nolint:gosec // base64 of certificates; whoever has gone asks again
}

func (h *handler) caCerts(w http.ResponseWriter, r *http.Request) {
	h.certificates(w, r, "", h.a.Root(identity.RoleRobot), h.a.Root(identity.RoleRecovery), h.a.Root(identity.RoleServer))
}

func (h *handler) crl(w http.ResponseWriter, r *http.Request) {
	role, err := identity.ParseRole(r.URL.Query().Get("role"))
	if err != nil {
		h.fail(w, r, "", &fault{http.StatusBadRequest, err})
		return
	}
	list, err := h.a.CRL(role)
	if err != nil {
		h.fail(w, r, "", err)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	_, _ = w.Write(list) //nolint:gosec // a list that was just signed; whoever has gone asks again
}

func (h *handler) challenge(w http.ResponseWriter, r *http.Request) {
	var ask identity.Ask
	data, err := body(w, r, identity.TypeJSON)
	if err == nil {
		if err = identity.ParseMessage(data, &ask); err != nil {
			err = &fault{http.StatusBadRequest, err}
		}
	}
	var riddle *identity.Riddle
	if err == nil {
		riddle, err = h.a.Challenge(&ask)
	}
	if err != nil {
		h.fail(w, r, clip(ask.Robot), err)
		return
	}
	h.a.step("challenged")
	out, err := identity.EncodeMessage(riddle)
	if err != nil {
		h.fail(w, r, ask.Robot, err)
		return
	}
	h.log.Info().Str("robot", ask.Robot).Msg("challenged")
	w.Header().Set("Content-Type", identity.TypeJSON)
	_, _ = w.Write(out) // whoever has gone asks again
}

func (h *handler) activate(w http.ResponseWriter, r *http.Request) {
	var x identity.Solution
	data, err := body(w, r, identity.TypeJSON)
	if err == nil {
		if err = identity.ParseMessage(data, &x); err != nil {
			err = &fault{http.StatusBadRequest, err}
		}
	}
	var certs []*x509.Certificate
	if err == nil {
		certs, err = h.a.Activate(&x)
	}
	h.answer(w, r, err, certs...)
}

// request reads a certificate request as EST has it.
func request(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	data, err := body(w, r, identity.TypeRequest)
	if err != nil {
		return nil, err
	}
	der, err := identity.DecodeBase64(data)
	if err != nil {
		return nil, &fault{http.StatusBadRequest, err}
	}
	return der, nil
}

// enrol is EST's simpleenroll: for robots without a TPM, which know nothing but the invitation's secret. With a TPM, use
// challenge and activate: EST has no words for its proof.
func (h *handler) enrol(w http.ResponseWriter, r *http.Request) {
	user, token, ok := r.BasicAuth()
	if !ok {
		h.fail(w, r, "", &fault{http.StatusUnauthorized, errors.New("expected the robot's id and the invitation's secret (HTTP Basic)")})
		return
	}
	der, err := request(w, r)
	var cert *x509.Certificate
	if err == nil {
		cert, err = h.a.Software(user, token, der)
	}
	h.answer(w, r, err, cert)
}

// renew is EST's simplereenroll: over a connection that the robot's own certificate has opened.
func (h *handler) renew(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		h.fail(w, r, "", &fault{http.StatusUnauthorized, errors.New("expected a connection with the robot's own certificate")})
		return
	}
	der, err := request(w, r)
	var cert *x509.Certificate
	if err == nil {
		cert, err = h.a.Renew(r.TLS.PeerCertificates[0], der)
	}
	h.answer(w, r, err, cert)
}

// answer brings certificates, or the reason why there are none.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, err error, certs ...*x509.Certificate) {
	if err != nil {
		h.fail(w, r, "", err)
		return
	}
	h.a.step("issued")
	for _, cert := range certs {
		h.log.Info().Str("robot", cert.Subject.CommonName).Str("serial", base64.RawURLEncoding.EncodeToString(cert.SerialNumber.Bytes())).
			Time("until", cert.NotAfter).Str("path", r.URL.Path).Msg("certificate")
	}
	h.certificates(w, r, certs[0].Subject.CommonName, certs...)
}

// Serve serves robots until ctx ends, with a certificate of its own for these hosts.
func (a *Authority) Serve(ctx context.Context, l net.Listener, hosts []string, logger zerolog.Logger) error {
	config, err := a.tls(hosts)
	if err != nil {
		return err
	}
	s := &http.Server{
		Handler: a.Handler(logger), ReadHeaderTimeout: ioTimeout, ReadTimeout: ioTimeout, WriteTimeout: 2 * ioTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), TLSConfig: config, // handshakes of strangers are no news
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(&bounded{Listener: l, free: make(chan struct{}, maxConnections)}, "", "") }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), ioTimeout)
	defer cancel()
	err = s.Shutdown(ending)
	if got := <-done; !errors.Is(got, http.ErrServerClosed) {
		err = errors.Join(err, got)
	}
	return err
}
