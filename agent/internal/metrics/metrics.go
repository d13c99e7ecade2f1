// Package metrics writes counters and gauges in Prometheus's text format and serves them on a unix socket; it keeps
// nothing, starts no collector of its own, and never opens a network port.
//
// Prometheus's own client library would add 0.7 MB to a robot binary that is allowed 16 MiB; the roles need its text
// format and nothing else.
package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ContentType is that of the text format, version 0.0.4.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Set collects samples. The zero value is empty.
type Set struct {
	b     bytes.Buffer
	named map[string]bool
}

// Counter adds a sample of a number that only grows while the process lives. Its name ends in "_total". labels are names
// and values in turn.
func (s *Set) Counter(name, help string, value uint64, labels ...string) {
	s.head(name, help, "counter")
	s.sample(name, strconv.FormatUint(value, 10), labels)
}

// Gauge adds a sample of a number that goes up and down.
func (s *Set) Gauge(name, help string, value float64, labels ...string) {
	s.head(name, help, "gauge")
	s.sample(name, strconv.FormatFloat(value, 'g', -1, 64), labels)
}

// Bytes is all of it in the text format.
func (s *Set) Bytes() []byte { return s.b.Bytes() }

// head writes what stands once before all samples of a name; those must be added one behind the other.
func (s *Set) head(name, help, kind string) {
	if s.named[name] {
		return
	}
	if s.named == nil {
		s.named = map[string]bool{}
	}
	s.named[name] = true
	fmt.Fprintf(&s.b, "# HELP %s %s\n# TYPE %s %s\n", name, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help), name, kind)
}

func (s *Set) sample(name, value string, labels []string) {
	s.b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		fmt.Fprintf(&s.b, `%s%s="%s"`, sep, labels[i], strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(labels[i+1]))
	}
	if len(labels) > 1 {
		s.b.WriteByte('}')
	}
	s.b.WriteString(" " + value + "\n")
}

// Bounds of the server.
const (
	maxClients = 8
	timeout    = 5 * time.Second
)

// Serve answers GET /metrics and GET /health on a unix socket until ctx ends. collect fills a set; healthy returns nil or
// what is wrong, which is answered with status 503. Both get a context that ends with the request's time limit.
func Serve(ctx context.Context, path string, collect func(context.Context, *Set), healthy func(context.Context) error) error {
	l, err := listen(path)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		var s Set
		collect(r.Context(), &s)
		w.Header().Set("Content-Type", ContentType)
		_, _ = w.Write(s.Bytes())
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := healthy(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, err)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	srv := &http.Server{
		Handler: http.TimeoutHandler(mux, timeout, "too slow\n"), ReadTimeout: timeout, WriteTimeout: 2 * timeout, IdleTimeout: timeout,
		MaxHeaderBytes: 4 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(&limited{Listener: l, slots: make(chan struct{}, maxClients)}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// listen makes the socket for its owner and group, as the service's unit says who that is. Something that is no socket is
// never removed.
func listen(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode()&os.ModeSocket == 0:
		return nil, fmt.Errorf("%s: expected a socket or nothing, found %s; give another metrics_socket", path, info.Mode().Type())
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	old := unix.Umask(0o117)
	defer unix.Umask(old)
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// limited closes connections beyond the slots at once.
type limited struct {
	net.Listener
	slots chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &slotted{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			_ = c.Close()
		}
	}
}

type slotted struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (c *slotted) Close() error {
	c.free()
	return c.Conn.Close()
}
