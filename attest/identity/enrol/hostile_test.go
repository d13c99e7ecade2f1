package enrol

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/tpm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const robot = "unitree/g1-0007"

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// ca is an authority of the test's own.
type ca struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newCA(tb testing.TB, name string, by *ca) *ca {
	tb.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	parent, signer := t, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der := must(x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer))(tb)
	return &ca{key, must(x509.ParseCertificate(der))(tb)}
}

// issue is a robot's certificate, perhaps spoilt.
func (c *ca) issue(tb testing.TB, key any, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	t := must(identity.Template(identity.RoleRobot, robot, time.Now(), time.Now().Add(time.Hour)))(tb)
	if change != nil {
		change(t)
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, c.cert, key, c.key))(tb)))(tb)
}

// answer writes certificates as EST has them.
func answer(tb testing.TB, w http.ResponseWriter, certs ...*x509.Certificate) {
	tb.Helper()
	var chain [][]byte
	for _, c := range certs {
		chain = append(chain, c.Raw)
	}
	w.Header().Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
	_, _ = w.Write(must(identity.EncodeCertificates(chain))(tb))
}

// rig is a robot with a software key and an EST server that may do anything.
type rig struct {
	tb     testing.TB
	ca     *ca
	dir    string
	key    *tpm.Software
	server *httptest.Server
	calls  atomic.Int64
	// cacerts and enrol are the server's answers, the honest ones if nil.
	cacerts, enrol http.HandlerFunc
	options        func(*Options)
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{tb: tb, ca: newCA(tb, "est", nil), dir: tb.TempDir()}
	r.key = must(tpm.CreateSoftware(filepath.Join(r.dir, "key.pem")))(tb)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/est/cacerts", func(w http.ResponseWriter, q *http.Request) {
		if r.cacerts != nil {
			r.cacerts(w, q)
			return
		}
		answer(tb, w, r.ca.cert)
	})
	enrol := func(w http.ResponseWriter, q *http.Request) {
		r.calls.Add(1)
		body := must(io.ReadAll(q.Body))(tb) // a server notices that its client has gone once it has read everything
		q.Body = io.NopCloser(bytes.NewReader(body))
		if r.enrol != nil {
			r.enrol(w, q)
			return
		}
		answer(tb, w, r.ca.issue(tb, r.key.Public(), nil))
	}
	mux.HandleFunc("POST /.well-known/est/simpleenroll", enrol)
	mux.HandleFunc("POST /.well-known/est/simplereenroll", enrol)
	r.server = httptest.NewUnstartedServer(mux)
	r.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	r.server.StartTLS()
	tb.Cleanup(r.server.Close)
	return r
}

func (r *rig) run() (*Outcome, error) {
	o := Options{
		Dir: filepath.Join(r.dir, "enrolment"), Certificate: filepath.Join(r.dir, "robot.pem"), Robot: robot, Key: r.key, Timeout: 2 * time.Second,
		EST: &Server{Address: r.server.URL, Roots: string(identity.EncodePEM([]*x509.Certificate{r.server.Certificate()})), User: "robot", Secret: "first"},
	}
	if r.options != nil {
		r.options(&o)
	}
	return Run(context.Background(), o)
}

// TestHostileServers: whatever a server answers, the robot ends in time with a reason and keeps what it has.
func TestHostileServers(t *testing.T) {
	stranger := newCA(t, "stranger", nil)
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const p7 = "application/pkcs7-mime"
	for name, c := range map[string]struct {
		set  func(r *rig)
		says string
	}{
		"another content type": {func(r *rig) { r.enrol = text(200, "text/html", "<html>") }, `type "text/html"`},
		"no content type":      {func(r *rig) { r.enrol = text(200, "", "") }, "expected application/pkcs7-mime"},
		"no base64":            {func(r *rig) { r.enrol = text(200, p7, "%%%") }, "base64"},
		"no PKCS #7":           {func(r *rig) { r.enrol = text(200, p7, "MAA=") }, "PKCS #7"},
		"nothing":              {func(r *rig) { r.enrol = text(200, p7, "") }, "PKCS #7"},
		"a huge body":          {func(r *rig) { r.enrol = endless }, "more than 65536 bytes"},
		"a huge refusal": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, q *http.Request) { w.WriteHeader(500); endless(w, q) }
		}, "more than 65536 bytes"},
		"a huge header": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) {
				for i := range 1000 {
					w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 100))
				}
			}
		}, "exceeded"},
		"a redirect": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, q *http.Request) {
				http.Redirect(w, q, "https://elsewhere.example/.well-known/est/simpleenroll", http.StatusTemporaryRedirect)
			}
		}, "elsewhere.example"},
		"another key": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) { answer(t, w, r.ca.issue(t, other.Public(), nil)) }
		}, "none in the answer is for the robot's key"},
		"another chain": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) {
				answer(t, w, stranger.issue(t, r.key.Public(), nil), stranger.cert)
			}
		}, "unknown authority"},
		"another robot": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) {
				answer(t, w, r.ca.issue(t, r.key.Public(), func(c *x509.Certificate) { c.Subject.CommonName = "unitree:g1-0008" }))
			}
		}, "it is for"},
		"an authority's": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) {
				answer(t, w, r.ca.issue(t, r.key.Public(), func(c *x509.Certificate) { c.IsCA = true }))
			}
		}, "authority's"},
		"run out": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) {
				answer(t, w, r.ca.issue(t, r.key.Public(), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
			}
		}, "expired"},
		"many certificates": {func(r *rig) {
			r.cacerts = func(w http.ResponseWriter, _ *http.Request) {
				var all []*x509.Certificate
				for range identity.MaxChain + 1 {
					all = append(all, r.ca.cert)
				}
				answer(t, w, all...)
			}
		}, "expected 1 to 16"},
		"a refusal that writes to the terminal": {func(r *rig) { r.enrol = text(403, "text/plain", "no\x1b[2J\r\n"+strings.Repeat("x", 1000)) }, `403 Forbidden: "no [2J`},
		"later, for ever": {func(r *rig) {
			r.options = func(o *Options) { o.Wait = 2500 * time.Millisecond }
			r.enrol = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(202) }
		}, "has not decided yet"},
		"later, in a hundred years": {func(r *rig) {
			r.enrol = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "Fri, 31 Dec 2126 23:59:59 GMT")
				w.WriteHeader(202)
			}
		}, "after 1h0m0s"},
		"a slow body": {func(r *rig) {
			r.options = func(o *Options) { o.Timeout = 300 * time.Millisecond }
			r.enrol = func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Content-Type", p7)
				drip(w, q)
			}
		}, "deadline exceeded"},
		"silence": {func(r *rig) {
			r.options = func(o *Options) { o.Timeout = 300 * time.Millisecond }
			r.enrol = func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
		}, "deadline exceeded"},
		"hangs up": {func(r *rig) { r.enrol = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } }, "EOF"},
		"somebody else in its place": {func(r *rig) {
			r.options = func(o *Options) { o.EST.Roots = string(identity.EncodePEM([]*x509.Certificate{stranger.cert})) }
		}, "unknown authority"},
		"not HTTPS": {func(r *rig) {
			r.options = func(o *Options) { o.EST.Address = "http" + strings.TrimPrefix(o.EST.Address, "https") }
		}, "expected https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.set(r)
			out, err := r.run()
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 2000 {
				t.Errorf("%+v, %v", out, err)
			}
			if _, err := os.Stat(filepath.Join(r.dir, "robot.pem")); err == nil {
				t.Error("a certificate is there")
			}
			if n := r.calls.Load(); n > 4 {
				t.Errorf("%d requests", n)
			}
			// An honest server afterwards: the robot goes on.
			r.enrol, r.cacerts, r.options = nil, nil, nil
			if _, err := r.run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// endless writes for ever.
func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := io.WriteString(w, strings.Repeat("A", 4096)); err != nil {
			return
		}
	}
}

// drip writes a byte now and then.
func drip(w http.ResponseWriter, q *http.Request) {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-q.Context().Done():
			tick.Stop()
			return
		case <-tick.C:
			_, _ = io.WriteString(w, "A")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// TestARenewalThatFailsKeepsTheCertificate has a server answer a renewal with what is no good.
func TestARenewalThatFailsKeepsTheCertificate(t *testing.T) {
	r := newRig(t)
	first := must(r.run())(t).Certificate
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	seen := 0
	r.enrol = func(w http.ResponseWriter, q *http.Request) {
		if len(q.TLS.PeerCertificates) != 1 || !q.TLS.PeerCertificates[0].Equal(first) || q.Header.Get("Authorization") != "" {
			t.Errorf("shown %d certificates, authorization %q", len(q.TLS.PeerCertificates), q.Header.Get("Authorization"))
		}
		seen++
		answer(t, w, r.ca.issue(t, other.Public(), nil))
	}
	r.options = func(o *Options) { o.EST, o.Renew = nil, true }
	if out, err := r.run(); err == nil || seen != 1 {
		t.Errorf("%+v, %d requests", out, seen)
	}
	r.options = func(o *Options) { o.EST = nil }
	if out := must(r.run())(t); out.Did != Nothing || !out.Certificate.Equal(first) {
		t.Errorf("%+v", out)
	}
}

// TestTheSameRequestAgain: an authority that lets wait gets the same request, also from the next run.
func TestTheSameRequestAgain(t *testing.T) {
	r := newRig(t)
	var bodies []string
	r.enrol = func(w http.ResponseWriter, q *http.Request) {
		if user, secret, _ := q.BasicAuth(); user != "robot" || secret != "first" || q.Header.Get("Content-Transfer-Encoding") != "base64" {
			t.Errorf("%s %s %v", user, secret, q.Header)
		}
		bodies = append(bodies, string(must(io.ReadAll(q.Body))(t)))
		if len(bodies) < 3 {
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(202)
			return
		}
		answer(t, w, r.ca.cert, r.ca.issue(t, r.key.Public(), nil)) // the leaf comes last: it is a set
	}
	for range 2 {
		var wait *LaterError
		if _, err := r.run(); !errors.As(err, &wait) || wait.After != 5*time.Second {
			t.Fatal(err)
		}
		r.options = func(o *Options) { o.EST = nil }
	}
	if out := must(r.run())(t); out.Did != Enrolled || len(bodies) != 3 || bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Errorf("%+v %q", out, bodies)
	}
	if state := string(must(os.ReadFile(filepath.Join(r.dir, "enrolment", "enrolment.json")))(t)); strings.Contains(state, "first") || strings.Contains(state, "request") {
		t.Errorf("left over: %s", state)
	}
}

// TestIntermediates enrols at an authority that has another between its root and its robots.
func TestIntermediates(t *testing.T) {
	r := newRig(t)
	between := newCA(t, "between", r.ca)
	r.enrol = func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, between.issue(t, r.key.Public(), nil), between.cert)
	}
	must(r.run())(t)
	if certs := must(identity.ParsePEM(must(os.ReadFile(filepath.Join(r.dir, "robot.pem")))(t)))(t); len(certs) != 2 || !certs[1].Equal(between.cert) {
		t.Errorf("%d certificates", len(certs))
	}
}

// TestFoldersThatAreNotOurs: what is damaged, of another robot or in use is told, and not overwritten.
func TestFoldersThatAreNotOurs(t *testing.T) {
	r := newRig(t)
	must(r.run())(t)
	state := filepath.Join(r.dir, "enrolment", "enrolment.json")
	r.options = func(o *Options) { o.EST = nil }
	good := must(os.ReadFile(state))(t)
	for name, c := range map[string]struct {
		set  func()
		says string
	}{
		"half a state": {func() { _ = os.WriteFile(state, good[:len(good)/2], 0o600) }, "enrolment.json"},
		"open to others": {func() {
			_ = os.Chmod(state, 0o644)
		}, "chmod 600"},
		"another robot's":                 {func() { _ = os.WriteFile(state, []byte(strings.ReplaceAll(string(good), robot, "a/b")), 0o600) }, "the enrolment of a/b"},
		"a certificate that is none":      {func() { _ = os.WriteFile(filepath.Join(r.dir, "robot.pem"), []byte("x"), 0o600) }, "robot.pem"},
		"a pipe for a certificate":        {func() { _ = os.Remove(filepath.Join(r.dir, "robot.pem")); mkfifo(t, filepath.Join(r.dir, "robot.pem")) }, "robot.pem"},
		"a certificate that is not there": {func() { _ = os.Remove(filepath.Join(r.dir, "robot.pem")) }, "has run out"},
	} {
		must(0, os.WriteFile(state, good, 0o600))(t)
		must(0, os.Chmod(state, 0o600))(t)
		c.set()
		if out, err := r.run(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
		must(0, os.WriteFile(state, good, 0o600))(t)
		must(0, os.Chmod(state, 0o600))(t)
		_ = os.Remove(filepath.Join(r.dir, "robot.pem"))
		must(0, os.WriteFile(filepath.Join(r.dir, "robot.pem"), identity.EncodePEM([]*x509.Certificate{r.ca.issue(t, r.key.Public(), nil)}), 0o600))(t)
	}
	f := must(openFolder(filepath.Join(r.dir, "enrolment")))(t)
	if _, err := r.run(); err == nil || !strings.Contains(err.Error(), "another enrolment is under way") {
		t.Errorf("two at once: %v", err)
	}
	f.close()
	must(r.run())(t)
}

// FuzzState reads states that somebody has written.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"robot":"unitree/g1-0007","server":"https://ca.example","path":"/.well-known/est","roots":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		must(0, os.WriteFile(filepath.Join(dir, stateFile), data, 0o600))(t)
		folder := must(openFolder(dir))(t)
		defer folder.close()
		s, err := folder.load()
		if err != nil || s == nil {
			return
		}
		must(0, folder.save(s))(t)
		if again := must(folder.load())(t); again.Robot != s.Robot || string(again.Request) != string(s.Request) {
			t.Fatalf("%+v", again)
		}
	})
}

// FuzzRetryAfter stays within bounds whatever a server writes.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "5", "-1", "99999999999999999999", "Fri, 31 Dec 1999 23:59:59 GMT", base64.StdEncoding.EncodeToString([]byte("x"))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d := later(text, time.Now()); d < minLater || d > maxLater {
			t.Fatal(d)
		}
		_ = clip(printable(text))
	})
}

func mkfifo(tb testing.TB, path string) {
	tb.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// TestCutAtEachStep ends a robot's enrolment at an EST server after each of its steps: the next run goes on without being told
// again who the server is. The package authority does the same by kill -9.
func TestCutAtEachStep(t *testing.T) {
	whole := newRig(t)
	var steps []string
	whole.options = func(o *Options) { o.Step = func(s string) { steps = append(steps, s) } }
	must(whole.run())(t)
	if len(steps) != 6 {
		t.Fatalf("steps %v", steps)
	}
	for _, at := range steps {
		r := newRig(t)
		r.options = func(o *Options) {
			o.Step = func(s string) {
				if s == at {
					panic("cut")
				}
			}
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: not cut", at)
				}
			}()
			_, _ = r.run()
		}()
		r.options = func(o *Options) { o.EST = nil }
		out, err := r.run()
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if again := must(r.run())(t); again.Did != Nothing || !again.Certificate.Equal(out.Certificate) {
			t.Errorf("%s: %+v", at, again)
		}
	}
}
