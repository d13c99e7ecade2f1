package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed page/index.html page/style.css page/app.js
var files embed.FS

// page is the one document, put together, and the policy that allows exactly its style and its script.
type page struct {
	body   []byte
	policy string
}

func loadPage() (page, error) {
	read := func(name string) ([]byte, error) { return files.ReadFile("page/" + name) }
	html, err1 := read("index.html")
	style, err2 := read("style.css")
	script, err3 := read("app.js")
	if err := errors.Join(err1, err2, err3); err != nil {
		return page{}, fmt.Errorf("console: the embedded page: %w", err)
	}
	body := bytes.Replace(html, []byte("/*style*/"), style, 1)
	body = bytes.Replace(body, []byte("/*script*/"), script, 1)
	return page{body: body, policy: strings.Join([]string{
		"default-src 'none'", "script-src " + digest(script), "style-src " + digest(style), "connect-src 'self'",
		"img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	}, "; ")}, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Listen opens the console's socket. The address must be a loopback address with a port, such as 127.0.0.1:8600 or
// [::1]:0.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("console: listen on %q: expected a loopback address with a port, such as 127.0.0.1:8600", address)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("console: listen on %s: %w", address, err)
	}
	return l, nil
}

// maxConns is how many connections may be open at one time; further ones are closed at once.
const maxConns = 64

// Serve answers requests until the context ends, and then at once: followers of the events are cut off. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	var open atomic.Int64
	s := &http.Server{
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				if open.Add(1) > maxConns {
					_ = c.Close()
				}
			case http.StateClosed, http.StateHijacked:
				open.Add(-1)
			case http.StateActive, http.StateIdle:
			}
		},
		Handler: h, ReadHeaderTimeout: 3 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: serve: %w", err)
	}
	return nil
}
