// Package bus is what ROS 1 and DDS have in common for a test: a place where nodes meet.
package bus

import (
	"testing"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Kind is the sort of bus, which is also the ending of the names of the C++ peers for it.
type Kind string

// The buses that the peers speak.
const (
	ROS     Kind = "ros"
	Cyclone Kind = "cyclone"
	Fast    Kind = "fast"
)

// Bus is where the nodes of one test meet: a ROS 1 master (package ros) or a DDS domain (package domain).
type Bus interface {
	// Kind says which.
	Kind() Kind
	// Node starts a program on this bus, for the length of the test.
	Node(t testing.TB, spec proc.Spec) *proc.Process
	// Join are the arguments that make one of the C++ peers the named node of this bus.
	Join(node string) []string
	// Speaker makes a node that says texts on a topic.
	Speaker(t testing.TB, node, topic string) Speaker
}

// Speaker publishes std_msgs/String on one topic.
type Speaker interface {
	// Say publishes the text as soon as somebody listens.
	Say(t testing.TB, text string)
}

// Peer is the specification of a C++ peer, such as "plant", as the named node.
func Peer(t testing.TB, b Bus, program, node string, args ...string) proc.Spec {
	t.Helper()
	argv := append([]string{cpp.Binary(t, program+"_"+string(b.Kind()))}, b.Join(node)...)
	return proc.Spec{Name: node, Argv: append(argv, args...)}
}
