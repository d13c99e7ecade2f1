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

// validRaw tells whether s can be a DDS topic's name as it is on the wire: without a leading slash, and not one that ROS
// gives to a topic, a service or itself.
func validRaw(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '/' || s == discoveryTopic || rosTopic(s) != s {
		return false
	}
	for i := range len(s) {
		if b := s[i]; b <= ' ' || b > '~' {
			return false
		}
	}
	return true
}

// ddsTopic is the DDS name of a topic. One of ROS begins with a slash; any other has its name already.
func ddsTopic(topic string) string {
	if !strings.HasPrefix(topic, "/") {
		return topic
	}
	return prefixTopic + topic
}

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

// typeName is a ROS interface: package, kind ("msg", "srv" or "action") and name. A type that is none of ROS has raw alone,
// its name on the wire.
type typeName struct{ pkg, kind, name, raw string }

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

// parseVendorType reads a message's type as parseType does, or as it is on the wire, such as
// "unitree_hg::msg::dds_::LowState_": there every name in the modules counts as it stands.
func parseVendorType(s string) (typeName, error) {
	if strings.Contains(s, "/") {
		return parseType(s, "msg")
	}
	parts := strings.Split(s, "::")
	for _, p := range parts {
		if len(s) > maxName || !validToken(p) {
			return typeName{}, fmt.Errorf("type %s; expected package/Type, or its name on the wire such as package::msg::dds_::Type_", clip(s, 80))
		}
	}
	if name, ours := strings.CutSuffix(parts[len(parts)-1], "_"); ours && len(parts) == 4 && parts[1] == "msg" && parts[2] == "dds_" && name != "" {
		return typeName{pkg: parts[0], kind: "msg", name: name}, nil
	}
	return typeName{raw: s}, nil
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
	if t.raw != "" {
		return t.raw
	}
	return t.pkg + "::" + t.kind + "::dds_::" + t.name + suffix + "_"
}

// String is the type as ROS 2 writes it.
func (t typeName) String() string {
	if t.raw != "" {
		return t.raw
	}
	return t.pkg + "/" + t.kind + "/" + t.name
}

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
