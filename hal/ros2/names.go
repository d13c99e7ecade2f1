package ros2

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxName is the longest name of a node, topic, type or service, in bytes (DDS itself allows 256).
const maxName = 256

// Prefixes that ROS 2 puts before a DDS topic's name (https://design.ros2.org/articles/topic_and_service_names.html).
const (
	prefixTopic   = "rt"
	prefixRequest = "rq"
	prefixReply   = "rr"
)

// discoveryTopic carries every participant's list of nodes; it is the one topic of ROS 2 without a prefix.
const discoveryTopic = "ros_discovery_info"

// validName tells whether s is a fully qualified name of ROS 2: tokens of letters, digits and '_' behind '/', none of
// them empty or beginning with a digit. DDS names that are none of ours have a colon or no slash, so the two never meet.
func validName(s string) bool {
	if len(s) < 2 || len(s) > maxName || s[0] != '/' {
		return false
	}
	first := true
	for i := 1; i < len(s); i++ {
		b := s[i]
		switch {
		case b == '/' && !first:
			first = true
		case nameByte(b) && (!first || !digit(b)):
			first = false
		default:
			return false
		}
	}
	return !first
}

// validPeer tells whether s may stand in an allow list: a node's name, or "dds:" and the address of a participant that
// is no ROS node.
func validPeer(s string) bool {
	if validName(s) {
		return true
	}
	rest, ok := strings.CutPrefix(s, rawPrefix)
	if !ok {
		return false
	}
	a, err := netip.ParseAddr(rest)
	return err == nil && rawName(a) == s
}

// rawPrefix begins the names of writers that no node claims.
const rawPrefix = "dds:"

// rawName is what a writer without a node is called: the address that it speaks from. No ROS node can have such a name.
func rawName(a netip.Addr) string { return rawPrefix + a.Unmap().WithZone("").String() }

// nodeName joins a node's namespace and name as discovery info carries them. It returns "" for what is no node name.
func nodeName(namespace, name string) string {
	full := namespace + "/" + name
	if namespace == "/" {
		full = "/" + name
	}
	if strings.Contains(name, "/") || !validName(full) {
		return ""
	}
	return full
}

// splitNode is the reverse of nodeName, for a valid name.
func splitNode(full string) (namespace, name string) {
	i := strings.LastIndexByte(full, '/')
	if i == 0 {
		return "/", full[1:]
	}
	return full[:i], full[i+1:]
}

// ddsTopic is the DDS name of a ROS topic.
func ddsTopic(topic string) string { return prefixTopic + topic }

// rosTopic is the ROS name of a DDS topic; names of raw DDS stay as they are.
func rosTopic(dds string) string {
	for _, prefix := range []string{prefixTopic, prefixRequest, prefixReply} {
		if rest, ok := strings.CutPrefix(dds, prefix); ok && strings.HasPrefix(rest, "/") {
			return rest
		}
	}
	return dds
}

// requestTopic and replyTopic are the DDS names of a service's two topics.
func requestTopic(service string) string { return prefixRequest + service + "Request" }
func replyTopic(service string) string   { return prefixReply + service + "Reply" }

// action names the parts of an action (https://design.ros2.org/articles/actions.html).
func action(name, part string) string { return name + "/_action/" + part }

// typeName is a ROS interface: package, kind ("msg", "srv" or "action") and name.
type typeName struct{ pkg, kind, name string }

// parseType reads "pkg/Type" or "pkg/kind/Type"; the short form takes the given kind.
func parseType(s, kind string) (typeName, error) {
	parts := strings.Split(s, "/")
	t := typeName{kind: kind}
	switch len(parts) {
	case 2:
		t.pkg, t.name = parts[0], parts[1]
	case 3:
		t.pkg, t.kind, t.name = parts[0], parts[1], parts[2]
	}
	switch {
	case len(s) > maxName || !validToken(t.pkg) || !validToken(t.name):
		return typeName{}, fmt.Errorf("type %s; expected package/Type or package/%s/Type", clip(s, 80), kind)
	case t.kind != kind:
		return typeName{}, fmt.Errorf("type %s is of kind %q; expected %q", clip(s, 80), t.kind, kind)
	}
	return t, nil
}

func validToken(s string) bool {
	if s == "" || digit(s[0]) {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

// dds is the type's name on the wire: "pkg::msg::dds_::Type_". suffix is "" for messages, "_Request" and "_Response"
// for services.
func (t typeName) dds(suffix string) string {
	return t.pkg + "::" + t.kind + "::dds_::" + t.name + suffix + "_"
}

// String is the type as ROS 2 writes it.
func (t typeName) String() string { return t.pkg + "/" + t.kind + "/" + t.name }

func digit(b byte) bool { return b >= '0' && b <= '9' }

func nameByte(b byte) bool {
	return b == '_' || digit(b) || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

// clip makes text from outside fit for a log line: at most n bytes, quoted, no control characters.
func clip(s string, n int) string {
	if len(s) > n {
		return strconv.Quote(s[:n]) + fmt.Sprintf("… (%d bytes)", len(s))
	}
	return strconv.Quote(s)
}
