package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustHandler(t *testing.T, feed Feed, change func(*Options)) http.Handler {
	t.Helper()
	o := DefaultOptions()
	if change != nil {
		change(&o)
	}
	h, err := Handler(feed, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends one request straight to a handler, from loopback to localhost unless changed.
func ask(h http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "localhost:8600"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswersByRequest(t *testing.T) {
	var board Board
	board.Publish(sampleWalking(sampleScene()))
	h := mustHandler(t, &board, nil)
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	from := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
	site := func(s, dest string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", s); r.Header.Set("Sec-Fetch-Dest", dest) }
	}
	for name, c := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"the page":                      {"GET", "/", nil, 200},
		"the page's head":               {"HEAD", "/", nil, 200},
		"the snapshot":                  {"GET", "/snapshot.json", nil, 200},
		"by IPv4 name":                  {"GET", "/", host("127.0.0.1:8600"), 200},
		"by IPv6 name":                  {"GET", "/", host("[::1]:8600"), 200},
		"by name without port":          {"GET", "/", host("LOCALHOST"), 200},
		"from IPv6 loopback":            {"GET", "/", from("[::1]:5"), 200},
		"from mapped loopback":          {"GET", "/", from("[::ffff:127.0.0.1]:5"), 200},
		"link from another page":        {"GET", "/", site("cross-site", "document"), 200},
		"rebound name":                  {"GET", "/", host("attacker.example:8600"), 421},
		"name that only starts like it": {"GET", "/", host("localhost.attacker.example"), 421},
		"address of the network":        {"GET", "/", host("192.0.2.7:8600"), 421},
		"no name":                       {"GET", "/", host(""), 421},
		"from the network":              {"GET", "/", from("192.0.2.7:5"), 403},
		"from nowhere":                  {"GET", "/", from("@"), 403},
		"fetched by another page":       {"GET", "/snapshot.json", site("cross-site", "empty"), 403},
		"framed by another page":        {"GET", "/", site("cross-site", "iframe"), 403},
		"another port's page":           {"GET", "/events", site("same-site", "empty"), 403},
		"posting":                       {"POST", "/", nil, 405},
		"deleting":                      {"DELETE", "/snapshot.json", nil, 405},
		"another path":                  {"GET", "/stop", nil, 404},
		"a path upwards":                {"GET", "/../handler.go", nil, 404},
	} {
		w := ask(h, c.method, c.path, c.change)
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.want)
		}
		if w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: answered without its security headers", name)
		}
	}
}

func TestPolicyAllowsExactlyThePagesOwnParts(t *testing.T) {
	w := ask(mustHandler(t, &Board{}, nil), "GET", "/", nil)
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("policy %q is not strict", policy)
	}
	for tag, part := range map[string]string{"script": "script-src", "style": "style-src"} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(w.Body.String(), -1)
		if len(m) != 1 || !strings.Contains(policy, part+" "+digest([]byte(m[0][1]))) {
			t.Errorf("%d %s elements, or not of the digest in %q", len(m), tag, policy)
		}
	}
}

func TestPageNeedsNothingFromOutside(t *testing.T) {
	body := ask(mustHandler(t, &Board{}, nil), "GET", "/", nil).Body.String()
	allowed := map[string]bool{"http://www.w3.org/2000/svg": true} // A name space, never fetched.
	for _, url := range regexp.MustCompile(`(?i)(https?:|wss?:)?//[a-z0-9.-]+\.[a-z]+[^'"\s)>]*`).FindAllString(body, -1) {
		if !allowed[url] {
			t.Errorf("the page names %q", url)
		}
	}
	for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "localStorage", "fetch(", "XMLHttpRequest", "WebSocket", " onclick=", " src=", "@import", "style=\""} {
		if strings.Contains(body, word) {
			t.Errorf("the page contains %q", word)
		}
	}
	if n := len(body); n > 64<<10 {
		t.Errorf("the page has %d bytes, expected at most 64 KiB", n)
	}
}

func TestTokenIsExchangedForACookie(t *testing.T) {
	var board Board
	board.Publish(sampleWalking(sampleScene()))
	const token = "a-token-of-the-console"
	s := httptest.NewServer(mustHandler(t, &board, func(o *Options) { o.Token = token }))
	defer s.Close()
	get := func(c *http.Client, path string) (int, string) {
		r, err := c.Get(s.URL + path) //nolint:noctx // a test's client with a deadline.
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		return r.StatusCode, r.Request.URL.String()
	}
	stranger := &http.Client{Timeout: 5 * time.Second}
	for _, path := range []string{"/", "/events", "/snapshot.json", "/?token=wrong", "/?token=", "/events?token=" + token} {
		if code, _ := get(stranger, path); code != http.StatusForbidden {
			t.Errorf("without the token %s: status %d", path, code)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	friend := &http.Client{Timeout: 5 * time.Second, Jar: jar}
	if code, url := get(friend, "/?token="+token); code != 200 || strings.Contains(url, token) {
		t.Errorf("with the token: status %d at %s", code, url)
	}
	if code, _ := get(friend, "/snapshot.json"); code != 200 {
		t.Errorf("with the cookie: status %d", code)
	}
	w := ask(mustHandler(t, &board, func(o *Options) { o.Token = token }), "GET", "/?token="+token, nil)
	if c := w.Header().Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") || strings.Contains(c, token) {
		t.Errorf("cookie %q", c)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no clients":             func(o *Options) { o.MaxClients = 0 },
		"no pace":                func(o *Options) { o.MinInterval = 0 },
		"no heartbeat":           func(o *Options) { o.Heartbeat = -1 },
		"no write timeout":       func(o *Options) { o.WriteTimeout = 0 },
		"a token to be guessed":  func(o *Options) { o.Token = "1234" },
		"everything at one time": func(o *Options) { *o = Options{} },
	} {
		o := DefaultOptions()
		spoil(&o)
		if _, err := Handler(&Board{}, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestListenOnlyOnLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "localhost:0", "127.0.0.1", ""} {
		if l, err := Listen(t.Context(), address); err == nil {
			_ = l.Close()
			t.Errorf("listened on %q", address)
		}
	}
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// follower reads events from a server.
type follower struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Reader
}

func follow(t *testing.T, url string) (*follower, int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &follower{t, resp.Body, bufio.NewReader(resp.Body)}, resp.StatusCode
}

// next is the next event and its data.
func (f *follower) next() (event, data string) {
	f.t.Helper()
	line := func(prefix string) string {
		s, err := f.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(s, prefix) {
			f.t.Fatalf("event stream: %q, %v; expected a line with %q", s, err, prefix)
		}
		return strings.TrimSuffix(strings.TrimPrefix(s, prefix), "\n")
	}
	event, data = line("event: "), line("data: ")
	line("\n"[:0])
	return event, data
}

func (f *follower) state() (s Snapshot) {
	f.t.Helper()
	for {
		event, data := f.next()
		if event == "state" {
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				f.t.Fatal(err)
			}
			return s
		}
	}
}

func TestEventsShowTheNewestAndEachSceneOnce(t *testing.T) {
	var board Board
	s := httptest.NewServer(mustHandler(t, &board, func(o *Options) { o.MinInterval = time.Millisecond; o.Heartbeat = 20 * time.Millisecond }))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	f, _ := follow(t, s.URL)
	if e, _ := f.next(); e != "hello" {
		t.Fatalf("first event %q", e)
	}
	if e, _ := f.next(); e != "beat" {
		t.Fatalf("while there is nothing: event %q", e)
	}
	scene := sampleScene()
	var kinds []string
	push := func(s *Snapshot) {
		board.Publish(s)
		for {
			e, _ := f.next()
			if e == "beat" {
				continue
			}
			if kinds = append(kinds, e); e == "state" {
				return
			}
		}
	}
	push(sampleWalking(scene))
	push(sampleStopped(scene))
	push(sampleWalking(sampleScene()))
	if d := cmp.Diff([]string{"scene", "state", "state", "scene", "state"}, kinds); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func TestClientsAreCapped(t *testing.T) {
	var board Board
	board.Publish(sampleWalking(sampleScene()))
	s := httptest.NewServer(mustHandler(t, &board, func(o *Options) { o.MaxClients = 2 }))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	a, _ := follow(t, s.URL)
	_, code2 := follow(t, s.URL)
	_, code3 := follow(t, s.URL)
	if code2 != http.StatusOK || code3 != http.StatusServiceUnavailable {
		t.Fatalf("second client %d, third %d", code2, code3)
	}
	_ = a.body.Close()
	for deadline := time.Now().Add(5 * time.Second); ; {
		if _, code := follow(t, s.URL); code == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a client that left was not given to another")
		}
		time.Sleep(5 * time.Millisecond) // A poll with a deadline.
	}
}

func TestSlowClientLosesItsPlaceAndHoldsUpNobody(t *testing.T) {
	var board Board
	scene := sampleScene()
	h := mustHandler(t, &board, func(o *Options) {
		o.MaxClients, o.MinInterval, o.WriteTimeout = 2, time.Millisecond, 200*time.Millisecond
	})
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(4096)
		}
		return ctx
	}
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	var d net.Dialer
	slow, err := d.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	_ = slow.(*net.TCPConn).SetReadBuffer(4096) //nolint:forcetypeassert // dialled as TCP.
	if _, err = fmt.Fprintf(slow, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	quick, _ := follow(t, s.URL)
	stop := make(chan struct{})
	go func() { // The guard publishes at 200 Hz and never waits.
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			snapshot := sampleWalking(scene)
			snapshot.SpeedMPS = Num(i)
			board.Publish(snapshot)
		}
	}()
	defer close(stop)
	last := Num(-1)
	for range 100 {
		now := quick.state().SpeedMPS
		if now <= last {
			t.Fatalf("the quick client saw %v after %v", now, last)
		}
		last = now
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		quick.state()
		if _, code := follow(t, s.URL); code == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a client that never reads still holds its place")
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	var board Board
	board.Publish(sampleWalking(sampleScene()))
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, mustHandler(t, &board, nil)) }()
	f, code := follow(t, "http://"+l.Addr().String())
	if code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	f.state()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("serve: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("serve did not end with its context")
	}
	if _, err := io.ReadAll(f.body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Logf("the follower ended with %v", err)
	}
}

func TestServeBoundsConnections(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, mustHandler(t, &Board{}, nil)) }()
	defer func() { cancel(); <-done }()
	var d net.Dialer
	var conns []net.Conn
	for range maxConns + 8 {
		c, err := d.DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		conns = append(conns, c)
	}
	closed := 0
	for _, c := range conns[maxConns:] {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
			break
		}
	}
	if closed == 0 {
		t.Errorf("%d connections at one time and none refused", maxConns+8)
	}
}
