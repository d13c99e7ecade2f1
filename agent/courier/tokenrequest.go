package courier

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// guest is one user's connections.
type guest struct {
	open int
	pace share
}

// share is a bucket: one more every so often, and some at once.
type share struct {
	every time.Duration
	burst float64
	level float64
	at    time.Duration
}

func newShare(now, every time.Duration, burst int) share {
	return share{every, float64(burst), float64(burst), now}
}

// take uses one up, if there is one.
func (s *share) take(now time.Duration) bool {
	s.level = min(s.burst, s.level+float64(max(0, now-s.at))/float64(s.every))
	s.at = now
	if s.level < 1 {
		return false
	}
	s.level--
	return true
}

// refusal is why there is no token: a code, and a text for people.
type refusal struct{ code, text string }

// Error implements error.
func (r *refusal) Error() string { return r.code + ": " + r.text }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// request is what a program asks for.
type request struct{ audience, role string }

// parseRequest understands one line, without its end.
func parseRequest(line string) (request, bool) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[0] != "token" || !isName(parts[1]) || !isName(parts[2]) {
		return request{}, false
	}
	return request{parts[1], parts[2]}, true
}

// isName says whether a deployment could have this name: "id" in its forms.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// readRequest reads one line, "token AUDIENCE ROLE", of at most [maxRequest] bytes, and nothing behind it.
func readRequest(r io.Reader) (request, error) {
	buf := make([]byte, 0, maxRequest)
	for len(buf) < maxRequest {
		n, err := r.Read(buf[len(buf):maxRequest])
		buf = buf[:len(buf)+n]
		if end := bytes.IndexByte(buf, '\n'); end >= 0 {
			req, ok := parseRequest(string(buf[:end]))
			if !ok || end != len(buf)-1 {
				return request{}, refuse(RefusedRequest, "expected one line: token AUDIENCE ROLE")
			}
			return req, nil
		}
		if err != nil {
			return request{}, refuse(RefusedRequest, "expected one line: token AUDIENCE ROLE; it did not come: %v", err)
		}
	}
	return request{}, refuse(RefusedRequest, "expected a line of at most %d bytes", maxRequest)
}
