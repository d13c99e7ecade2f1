package ros1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rpcTo posts to addr until the test ends.
func rpcTo(tb testing.TB, addr string, timeout time.Duration, max int) *rpcConn {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	c := &rpcConn{ctx: ctx, addr: addr, timeout: timeout, max: max}
	c.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
	c.stop = context.AfterFunc(ctx, c.abort)
	tb.Cleanup(c.close)
	return c
}

// answering listens and hands each connection to f.
func answering(tb testing.TB, f func(net.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c)
			c.Close()
		}
	}()
	tb.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestPostReadsWhatRealServersSend(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 4000)
	for name, h := range map[string]http.HandlerFunc{
		"length": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") },
		"chunks": func(w http.ResponseWriter, _ *http.Request) {
			for _, s := range []string{"b", "od", "y"} {
				_, _ = io.WriteString(w, s)
				w.(http.Flusher).Flush()
			}
		},
		"close": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = io.WriteString(w, "body")
		},
		"long": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) },
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			c := rpcTo(t, s.Listener.Addr().String(), 5*time.Second, 1<<20)
			want := "body"
			if name == "long" {
				want = long
			}
			for range 3 {
				body, err := c.post([]byte("x"))
				if err != nil || string(body) != want {
					t.Fatalf("%d bytes, %v", len(body), err)
				}
			}
		})
	}
}

// TestPostSurvivesAServerThatClosedTheConnection: a server may drop an idle connection between two polls.
func TestPostSurvivesAServerThatClosedTheConnection(t *testing.T) {
	addr := answering(t, func(c net.Conn) {
		b := make([]byte, 1024)
		_, _ = c.Read(b)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	c := rpcTo(t, addr, 5*time.Second, 1024)
	for range 5 {
		if body, err := c.post([]byte("x")); err != nil || string(body) != "ok" {
			t.Fatalf("%q, %v", body, err)
		}
	}
}

func TestPostFaults(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct{ name, answer, want string }{
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "expected HTTP"},
		{"a redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302"},
		{"too long by its length", ok + "Content-Length: 1000000\r\n\r\n", "too long"},
		{"too long without a length", ok + "\r\n" + strings.Repeat("x", 5000), "too long"},
		{"too long in chunks", ok + "Transfer-Encoding: chunked\r\n\r\nfff\r\n" + strings.Repeat("x", 4095) + "\r\n", "too long"},
		{"a head without an end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 9000), "head of more than"},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "one number"},
		{"a length and chunks", ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both"},
		{"a negative length", ok + "Content-Length: -1\r\n\r\n", "one number"},
		{"a gzip encoding", ok + "Transfer-Encoding: gzip\r\n\r\n", "chunked or none"},
		{"a chunk of no size", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "hexadecimal"},
		{"a chunk longer than its size", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "longer than its size"},
		{"cut", ok + "Content-Length: 10\r\n\r\nabc", "unexpected EOF"},
		{"nothing", "", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := answering(t, func(conn net.Conn) {
				b := make([]byte, 1024)
				_, _ = conn.Read(b)
				_, _ = io.WriteString(conn, c.answer)
			})
			_, err := rpcTo(t, addr, 5*time.Second, 2048).post([]byte("x"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want an error that says %q", err, c.want)
			}
		})
	}
}

func TestPostHasOneDeadline(t *testing.T) {
	stop := make(chan struct{})
	addr := answering(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		for { // a byte now and then
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	})
	defer close(stop)
	began := time.Now()
	_, err := rpcTo(t, addr, 200*time.Millisecond, 2048).post([]byte("x"))
	if !isTimeout(err) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestAbortEndsAPost(t *testing.T) {
	reached, stop := make(chan struct{}), make(chan struct{})
	addr := answering(t, func(net.Conn) {
		close(reached)
		<-stop
	})
	defer close(stop)
	c := rpcTo(t, addr, time.Minute, 1024)
	done := make(chan error, 1)
	go func() {
		_, err := c.post([]byte("x"))
		done <- err
	}()
	<-reached
	c.abort()
	if err := <-done; err == nil {
		t.Error("an aborted post succeeds")
	}
	if _, err := c.post([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("a post after abort: %v", err)
	}
}

// feeding hands out an answer in pieces.
type feeding struct {
	net.Conn
	pieces [][]byte
}

func (f *feeding) Read(b []byte) (int, error) {
	if len(f.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, f.pieces[0])
	if f.pieces[0] = f.pieces[0][n:]; len(f.pieces[0]) == 0 {
		f.pieces = f.pieces[1:]
	}
	return n, nil
}

func TestChunksMayComeInAnyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
		var pieces [][]byte
		for rest := []byte(raw); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		c := &rpcConn{conn: &feeding{pieces: pieces}, max: 100}
		if body, keep, err := c.answer(); string(body) != "abcd" || !keep || err != nil {
			t.Fatalf("%q, %v, %v", body, keep, err)
		}
	})
}

func FuzzHTTPAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &rpcConn{conn: &feeding{pieces: [][]byte{b}}, max: 4096}
		if body, _, err := c.answer(); err == nil && len(body) > 4096+1024 {
			t.Fatalf("body of %d bytes", len(body))
		}
	})
}
