package ros1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxHTTPHead bounds the status line and the headers of an answer.
const maxHTTPHead = 8 << 10

// rpcConn posts XML-RPC documents to one address and keeps the connection for the next one. It follows no redirect,
// uses no proxy, reads no more than its cap and gives each call one deadline. A call whose answer has the size of the
// last one allocates nothing, which is what the twice-a-second poll of the master needs.
type rpcConn struct {
	ctx     context.Context
	addr    string
	timeout time.Duration
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	max     int
	stop    func() bool

	mu      sync.Mutex // guards conn and aborted against abort
	conn    net.Conn
	aborted bool

	out []byte
	in  []byte
}

// newRPC makes a connection that dies with ctx. The caller closes it.
func (n *Node) newRPC(ctx context.Context, ep endpoint, max int) *rpcConn {
	c := &rpcConn{ctx: ctx, addr: ep.String(), timeout: n.cfg.Limits.RPCTimeout, dial: n.dialTCP, max: max}
	c.stop = context.AfterFunc(ctx, c.abort)
	return c
}

// abort ends the call in flight and all later ones.
func (c *rpcConn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	if c.conn != nil {
		c.conn.Close()
	}
}

// close releases the connection.
func (c *rpcConn) close() {
	c.stop()
	c.drop()
}

func (c *rpcConn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// post sends a document and returns the body of the answer, which is valid until the next post.
func (c *rpcConn) post(doc []byte) ([]byte, error) {
	deadline := time.Now().Add(c.timeout)
	for {
		reused := c.conn != nil
		if err := c.connect(deadline); err != nil {
			return nil, err
		}
		body, keep, err := c.exchange(doc, deadline)
		if err != nil || !keep {
			c.drop()
		}
		// A kept connection may have been closed by the server in the meantime: that is no failure, but try only once.
		if err != nil && reused && len(c.in) == 0 && !isTimeout(err) {
			continue
		}
		return body, err
	}
}

func (c *rpcConn) connect(deadline time.Time) error {
	if c.conn != nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(c.ctx, deadline)
	defer cancel()
	conn, err := c.dial(ctx, c.addr)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		conn.Close()
		return ErrClosed
	}
	c.conn = conn
	return nil
}

func (c *rpcConn) exchange(doc []byte, deadline time.Time) (body []byte, keep bool, err error) {
	c.in = c.in[:0]
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, false, err
	}
	c.out = append(c.out[:0], "POST /RPC2 HTTP/1.1\r\nHost: "...)
	c.out = append(c.out, c.addr...)
	c.out = append(c.out, "\r\nUser-Agent: robowarden\r\nContent-Type: text/xml\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(doc)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, doc...)
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, false, err
	}
	return c.answer()
}

// httpHead is what matters of an answer's head.
type httpHead struct {
	status  int
	length  int // -1 where none was given
	chunked bool
	keep    bool
}

func (c *rpcConn) answer() (body []byte, keep bool, err error) {
	var at int
	for {
		if at = bytes.Index(c.in, []byte("\r\n\r\n")); at >= 0 {
			break
		}
		if len(c.in) > maxHTTPHead {
			return nil, false, fmt.Errorf("http answer with a head of more than %d bytes", maxHTTPHead)
		}
		if err := c.fill(); err != nil {
			return nil, false, unexpectedEOF(err)
		}
	}
	h, err := parseHTTPHead(c.in[:at])
	if err != nil {
		return nil, false, err
	}
	if h.status != http.StatusOK {
		return nil, false, fmt.Errorf("http status %d; expected 200", h.status)
	}
	body, err = c.body(h, at+4)
	return body, h.keep && err == nil, err
}

// body reads the rest as the head says.
func (c *rpcConn) body(h httpHead, from int) ([]byte, error) {
	if h.length > c.max {
		return nil, fmt.Errorf("http answer of %d bytes announced; expected at most %d: %w", h.length, c.max, errOversize)
	}
	chunk := from
	for {
		have := len(c.in) - from
		if h.chunked {
			last, err := c.chunks(&chunk)
			if err != nil {
				return nil, err
			}
			if last {
				return joinChunks(c.in[from:chunk]), nil
			}
		} else if h.length >= 0 && have >= h.length {
			return c.in[from : from+h.length], nil
		}
		// Chunks add their own framing; a body that is mostly framing is refused as well.
		if have > c.max+c.max/4 {
			return nil, fmt.Errorf("http answer of more than %d bytes: %w", c.max, errOversize)
		}
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) && h.length < 0 && !h.chunked {
				return c.in[from:], nil
			}
			return nil, unexpectedEOF(err)
		}
	}
}

// fill reads what there is; the buffer grows with what came, not with what was announced.
func (c *rpcConn) fill() error {
	if len(c.in) == cap(c.in) {
		c.in = append(make([]byte, 0, max(4<<10, 2*cap(c.in))), c.in...)
	}
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHTTPHead reads a status line and headers.
func parseHTTPHead(b []byte) (httpHead, error) {
	h := httpHead{length: -1}
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return h, fmt.Errorf("http answer begins with %s; expected HTTP/1.1 200", clipBytes(line))
	}
	h.keep = line[7] == '1'
	status, ok := decimal(line[9:12])
	if !ok {
		return h, fmt.Errorf("http status %s; expected a number", clipBytes(line[9:12]))
	}
	h.status = status
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		key, val, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return h, fmt.Errorf("http header %s without ':'", clipBytes(line))
		}
		val = bytes.TrimSpace(val)
		switch {
		case bytes.EqualFold(key, []byte("content-length")):
			n, ok := decimal(val)
			if !ok || h.length >= 0 && h.length != n {
				return h, fmt.Errorf("http content length %s; expected one number", clipBytes(val))
			}
			h.length = n
		case bytes.EqualFold(key, []byte("transfer-encoding")):
			if !bytes.EqualFold(val, []byte("chunked")) {
				return h, fmt.Errorf("http transfer encoding %s; expected chunked or none", clipBytes(val))
			}
			h.chunked = true
		case bytes.EqualFold(key, []byte("connection")) && bytes.EqualFold(val, []byte("close")):
			h.keep = false
		}
	}
	if h.chunked && h.length >= 0 {
		return h, errors.New("http answer with both a length and chunks")
	}
	if h.length < 0 && !h.chunked {
		h.keep = false
	}
	return h, nil
}

// decimal reads up to nine digits.
func decimal(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// chunks goes on over the chunks that are there whole, from *at; last is true after the one of size 0.
func (c *rpcConn) chunks(at *int) (last bool, err error) {
	for {
		b := c.in[*at:]
		line, size, err := chunkSize(b)
		if err != nil || line == 0 || len(b) < line+size+2 {
			return false, err
		}
		if b[line+size] != '\r' || b[line+size+1] != '\n' {
			return false, errors.New("http chunk longer than its size")
		}
		*at += line + size + 2
		if size == 0 {
			return true, nil
		}
	}
}

// chunkSize reads a chunk's first line; line is 0 while that is not there whole.
func chunkSize(b []byte) (line, size int, err error) {
	n := bytes.Index(b[:min(len(b), 16)], []byte("\r\n"))
	if n < 0 {
		if len(b) >= 16 {
			return 0, 0, errors.New("http chunk without a size")
		}
		return 0, 0, nil
	}
	v, err := strconv.ParseUint(string(b[:n]), 16, 28)
	if err != nil {
		return 0, 0, fmt.Errorf("http chunk size %s; expected a hexadecimal number", clipBytes(b[:n]))
	}
	return n + 2, int(v), nil
}

// joinChunks joins, in place, chunks that chunks has checked.
func joinChunks(b []byte) []byte {
	body := b[:0]
	for {
		line, size, err := chunkSize(b)
		if err != nil || size == 0 {
			return body
		}
		body = append(body, b[line:line+size]...)
		b = b[line+size+2:]
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// transport lets goroslib's clients post through an rpcConn.
type transport struct{ c *rpcConn }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	defer req.Body.Close()
	doc, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	body, err := t.c.post(doc)
	if err != nil {
		return nil, err
	}
	return okResponse(req, body), nil
}

func okResponse(req *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}
