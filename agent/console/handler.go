package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Options are the limits of the page's server. No value means "off".
type Options struct {
	// Token is asked for once, as ?token=…, and exchanged for a cookie. Empty lets everybody on this computer look.
	Token string
	// MaxClients is how many may follow the events at one time.
	MaxClients int
	// MinInterval is the shortest time between two snapshots to one client.
	MinInterval time.Duration
	// Heartbeat is the longest silence towards a client.
	Heartbeat time.Duration
	// WriteTimeout is how long a client may take to accept one snapshot.
	WriteTimeout time.Duration
	// Log gets refusals and faults.
	Log zerolog.Logger
}

// DefaultOptions are eight clients at ten snapshots a second.
func DefaultOptions() Options {
	return Options{
		MaxClients: 8, MinInterval: 100 * time.Millisecond, Heartbeat: 2 * time.Second, WriteTimeout: 3 * time.Second,
		Log: zerolog.Nop(),
	}
}

func (o *Options) check() error {
	var errs []error
	if o.MaxClients < 1 {
		errs = append(errs, fmt.Errorf("console: max clients is %d, expected 1 or more", o.MaxClients))
	}
	for name, d := range map[string]time.Duration{
		"min interval": o.MinInterval, "heartbeat": o.Heartbeat, "write timeout": o.WriteTimeout,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("console: %s is %v, expected above 0", name, d))
		}
	}
	if o.Token != "" && len(o.Token) < 16 {
		errs = append(errs, fmt.Errorf("console: the token has %d characters, expected at least 16 or none", len(o.Token)))
	}
	return errors.Join(errs...)
}

const cookieName = "robowarden_console"

// handler serves the page, the events and the newest snapshot.
type handler struct {
	opts   Options
	feed   Feed
	page   page
	slots  chan struct{}
	coder  encoder
	cookie string
}

// Handler serves the page at /, its events at /events and the newest snapshot at /snapshot.json, read-only and to this
// computer only.
func Handler(feed Feed, o Options) (http.Handler, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p, err := loadPage()
	if err != nil {
		return nil, err
	}
	h := &handler{opts: o, feed: feed, page: p, slots: make(chan struct{}, o.MaxClients)}
	if o.Token != "" {
		mac := hmac.New(sha256.New, []byte(o.Token))
		mac.Write([]byte("robowarden console cookie"))
		h.cookie = hex.EncodeToString(mac.Sum(nil))
	}
	return h, nil
}

// ServeHTTP is http.Handler's.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header(), h.page.policy)
	if !fromHere(r) {
		h.refuse(w, r, http.StatusForbidden, "the console is for this computer only")
		return
	}
	if !namesHere(r.Host) {
		h.refuse(w, r, http.StatusMisdirectedRequest, "open the console as localhost, 127.0.0.1 or [::1]")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, r, http.StatusMethodNotAllowed, "the console is read-only")
		return
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		// Another page on this computer or elsewhere may link here, but not read or embed.
		if r.URL.Path != "/" || r.Header.Get("Sec-Fetch-Dest") != "document" {
			h.refuse(w, r, http.StatusForbidden, "not from another page")
			return
		}
	}
	if !h.admit(w, r) {
		return
	}
	switch r.URL.Path {
	case "/":
		h.servePage(w, r)
	case "/events":
		h.serveEvents(w, r)
	case "/snapshot.json":
		h.serveSnapshot(w, r)
	default:
		http.Error(w, "not found", http.StatusNotFound)
	}
}

// admit checks the token or the cookie that stands for it. It answers by itself unless it returns true.
func (h *handler) admit(w http.ResponseWriter, r *http.Request) bool {
	if h.opts.Token == "" {
		return true
	}
	if given := r.URL.Query().Get("token"); given != "" && r.URL.Path == "/" {
		if subtle.ConstantTimeCompare([]byte(given), []byte(h.opts.Token)) != 1 {
			h.refuse(w, r, http.StatusForbidden, "this token is not the console's")
			return false
		}
		//nolint:gosec // plain HTTP to this computer alone, where not every browser returns a Secure cookie
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: h.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return false
	}
	c, err := r.Cookie(cookieName)
	if err != nil || subtle.ConstantTimeCompare([]byte(c.Value), []byte(h.cookie)) != 1 {
		h.refuse(w, r, http.StatusForbidden, "open the console with the address that its start printed; it carries the token")
		return false
	}
	return true
}

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	h.opts.Log.Debug().Str("remote", r.RemoteAddr).Int("status", status).Str("reason", why).Msg("console request refused")
	http.Error(w, why, status)
}

func (h *handler) servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	h.write(w, r, h.page.body)
}

func (h *handler) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	s, _ := h.feed.Latest()
	if s == nil {
		http.Error(w, "there is no snapshot yet", http.StatusServiceUnavailable)
		return
	}
	state, scene, _, err := h.coder.frames(s)
	if err != nil {
		h.opts.Log.Error().Err(err).Msg("console snapshot not encoded")
		http.Error(w, "the snapshot could not be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	h.write(w, r, []byte(`{"state":`+string(state)+`,"scene":`+string(scene)+"}\n"))
}

func (h *handler) write(w http.ResponseWriter, r *http.Request, body []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.opts.WriteTimeout))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		h.opts.Log.Debug().Err(err).Str("remote", r.RemoteAddr).Msg("console client went away")
	}
}

// secure sets what every answer carries.
func secure(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// fromHere says whether the request came over loopback.
func fromHere(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// namesHere says whether the Host header names this computer. A page from elsewhere whose name was made to resolve to
// loopback (DNS rebinding) sends its own name.
func namesHere(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap().IsLoopback()
}
