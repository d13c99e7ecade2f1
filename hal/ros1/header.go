package ros1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxHeaderFields bounds the fields of one TCPROS header; real ones have fewer than ten.
const maxHeaderFields = 64

// header holds the fields of a TCPROS connection header (http://wiki.ros.org/ROS/Connection%20Header) that matter
// here; all others are passed over.
type header struct {
	callerID, topic, typ, md5 string
	// err is what the other side said instead of agreeing.
	err string
}

// parseHeader reads the body of a connection header, without its own length. A field given twice is an error: two
// readers could take different ones.
func parseHeader(b []byte) (header, error) {
	var h header
	seen := 0
	for n := 0; len(b) > 0; n++ {
		if n == maxHeaderFields {
			return header{}, fmt.Errorf("more than %d header fields", maxHeaderFields)
		}
		if len(b) < 4 {
			return header{}, fmt.Errorf("%d bytes after the last header field; expected a length of 4 bytes", len(b))
		}
		l := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if l == 0 || uint64(l) > uint64(len(b)) {
			return header{}, fmt.Errorf("header field of %d bytes where %d are left; expected key=value", l, len(b))
		}
		key, val, ok := strings.Cut(string(b[:min(l, maxHeaderValue)]), "=")
		if !ok {
			return header{}, errors.New("header field without '='; expected key=value")
		}
		long := l > maxHeaderValue
		b = b[l:]
		dst, bit := h.field(key)
		if dst == nil {
			continue
		}
		if seen&bit != 0 {
			return header{}, fmt.Errorf("header field %q twice; expected once", key)
		}
		seen |= bit
		if bit == headerError {
			*dst = clip(val, 200)
			continue
		}
		if long || len(val) > maxName {
			return header{}, fmt.Errorf("header field %q of %d bytes; expected at most %d", key, l, maxName)
		}
		*dst = val
	}
	return h, nil
}

// maxHeaderValue is how much of one field is looked at: the message definition may be long, and nobody reads it here.
const maxHeaderValue = 1024

const headerError = 16

func (h *header) field(key string) (dst *string, bit int) {
	switch key {
	case "callerid":
		return &h.callerID, 1
	case "topic":
		return &h.topic, 2
	case "type":
		return &h.typ, 4
	case "md5sum":
		return &h.md5, 8
	case "error":
		return &h.err, headerError
	}
	return nil, 0
}

// newHeader returns a connection header, length first, of key, value pairs.
func newHeader(kv ...string) []byte {
	dst := make([]byte, 4, 256)
	for i := 0; i+1 < len(kv); i += 2 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(kv[i])+1+len(kv[i+1])))
		dst = append(dst, kv[i]...)
		dst = append(dst, '=')
		dst = append(dst, kv[i+1]...)
	}
	binary.LittleEndian.PutUint32(dst, uint32(len(dst)-4))
	return dst
}

// errOversize is wrapped by every refusal of an announced length.
var errOversize = errors.New("too long")

// readHeader reads a length and then a header's body. Memory follows the bytes that came, not those announced.
func readHeader(r io.Reader, max int) ([]byte, error) {
	var l [4]byte
	if _, err := io.ReadFull(r, l[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(l[:])
	if uint64(n) > uint64(max) {
		return nil, fmt.Errorf("header of %d bytes announced; expected at most %d: %w", n, max, errOversize)
	}
	buf := make([]byte, 0, min(int(n), 1024))
	for len(buf) < int(n) {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(int(n), 2*cap(buf))), buf...)
		}
		k, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		if err != nil && len(buf) < int(n) {
			return nil, fmt.Errorf("header of %d bytes announced, %d came: %w", n, len(buf), err)
		}
	}
	return buf, nil
}
