package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTextFormat(t *testing.T) {
	var s Set
	s.Counter("a_total", "What \\ happened\nso far.", 7)
	s.Gauge("b", "Now.", 0.25, "log", "guard")
	s.Gauge("b", "Now.", -3, "log", "a\"b\\c\nd", "more", "x")
	want := `# HELP a_total What \\ happened\nso far.
# TYPE a_total counter
a_total 7
# HELP b Now.
# TYPE b gauge
b{log="guard"} 0.25
b{log="a\"b\\c\nd",more="x"} -3
`
	if d := cmp.Diff(want, string(s.Bytes())); d != "" {
		t.Fatal(d)
	}
}

// serve starts a server and returns how to ask it.
func serve(t *testing.T, healthy func(context.Context) error) (socket string, get func(path string) (int, string)) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "m.sock")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, socket, func(_ context.Context, s *Set) { s.Counter("x_total", "X.", 1) }, healthy)
	}()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}, Timeout: 10 * time.Second}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
	}
	return socket, func(path string) (int, string) {
		t.Helper()
		r, err := client.Get("http://robot" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
}

func TestServe(t *testing.T) {
	var sick atomic.Bool
	socket, get := serve(t, func(context.Context) error {
		if sick.Load() {
			return errors.New("the loop stands still")
		}
		return nil
	})
	if code, text := get("/metrics"); code != 200 || !strings.Contains(text, "x_total 1\n") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := get("/health"); code != 200 || text != "ok\n" {
		t.Errorf("%d %s", code, text)
	}
	sick.Store(true)
	if code, text := get("/health"); code != 503 || text != "the loop stands still\n" {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get("/debug/pprof/"); code != 404 {
		t.Errorf("%d for what is not there", code)
	}
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestSilentClientsHoldNobody opens more connections than there are slots and says nothing.
func TestSilentClientsHoldNobody(t *testing.T) {
	socket, get := serve(t, func(context.Context) error { return nil })
	var silent []net.Conn
	for range 2 * maxClients {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	for _, c := range silent {
		_ = c.Close()
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, err = c.Write([]byte("GET /health HTTP/1.0\r\n\r\n"))
			var b []byte
			if err == nil {
				b, err = io.ReadAll(c)
			}
			_ = c.Close()
			if err == nil && strings.HasSuffix(string(b), "ok\n") {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody is answered any more")
		}
	}
	if code, _ := get("/health"); code != 200 {
		t.Error(code)
	}
}

func TestNoFileIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), path, nil, nil); err == nil || !strings.Contains(err.Error(), "metrics_socket") {
		t.Errorf("%v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file is gone")
	}
}
