package ros1

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxName is the longest name of a node, topic, type or service, in bytes.
const maxName = 256

// validName tells whether s is a global graph name (http://wiki.ros.org/Names): '/', then letters, digits, '_', '/'.
// Nothing else goes into an XML-RPC call or a header, so no name can smuggle markup.
func validName(s string) bool {
	if len(s) < 2 || len(s) > maxName || s[0] != '/' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !nameByte(s[i]) && s[i] != '/' {
			return false
		}
	}
	return true
}

// validType tells whether s is "package/Name".
func validType(s string) bool {
	pkg, name, ok := strings.Cut(s, "/")
	if !ok || pkg == "" || name == "" || len(s) > maxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) && i != len(pkg) {
			return false
		}
	}
	return true
}

func nameByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

// endpoint is the host and port that a URI or a requestTopic answer names.
type endpoint struct {
	host string
	port uint16
}

// parseURI reads an http or rosrpc URI, which is all that a ROS graph hands out.
func parseURI(uri, scheme string) (endpoint, error) {
	if len(uri) > 512 {
		return endpoint{}, fmt.Errorf("uri of %d bytes; expected at most 512", len(uri))
	}
	u, err := url.Parse(uri)
	if err != nil {
		return endpoint{}, fmt.Errorf("uri %s: %w", clip(uri, 80), err)
	}
	if u.Scheme != scheme || u.User != nil {
		return endpoint{}, fmt.Errorf("uri %s; expected %s://host:port/", clip(uri, 80), scheme)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return endpoint{}, fmt.Errorf("uri %s has no port; expected %s://host:port/", clip(uri, 80), scheme)
	}
	return newEndpoint(u.Hostname(), port)
}

func newEndpoint(host string, port int) (endpoint, error) {
	if port < 1 || port > 65535 {
		return endpoint{}, fmt.Errorf("port %d; expected 1 to 65535", port)
	}
	if !validHost(host) {
		return endpoint{}, fmt.Errorf("host %s; expected an IP address or a host name", clip(host, 80))
	}
	return endpoint{host: host, port: uint16(port)}, nil
}

func validHost(h string) bool {
	if _, err := netip.ParseAddr(h); err == nil {
		return true
	}
	if h == "" || len(h) > 253 {
		return false
	}
	for i := 0; i < len(h); i++ {
		if !nameByte(h[i]) && h[i] != '-' && h[i] != '.' {
			return false
		}
	}
	return true
}

func (e endpoint) String() string {
	if strings.Contains(e.host, ":") {
		return "[" + e.host + "]:" + strconv.Itoa(int(e.port))
	}
	return e.host + ":" + strconv.Itoa(int(e.port))
}

// sameHost compares hosts as a peer may write them: addresses by value, names without regard to case.
func sameHost(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX == nil && errY == nil {
		return x.Unmap() == y.Unmap()
	}
	return strings.EqualFold(a, b)
}

// clip makes text from outside fit for a log line: at most n bytes, quoted, no control characters.
func clip(s string, n int) string {
	if len(s) > n {
		return strconv.Quote(s[:n]) + fmt.Sprintf("… (%d bytes)", len(s))
	}
	return strconv.Quote(s)
}
