package ros

import (
	"context"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/wire"
)

var _ bus.Bus = (*Master)(nil)

// Kind is ROS 1.
func (m *Master) Kind() bus.Kind { return bus.ROS }

// Join are the arguments that make one of the C++ peers the named node; the master's address is in the environment.
func (m *Master) Join(node string) []string { return []string{"--node=" + node} }

// Speaker makes a node that says texts on a topic.
func (m *Master) Speaker(t testing.TB, node, topic string) bus.Speaker {
	t.Helper()
	n, err := wire.NewNode(wire.NodeConfig{Name: node, Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := n.Advertise(ctx, wire.PublisherConfig{Topic: topic, Type: wire.String})
	if err != nil {
		t.Fatal(err)
	}
	return &speaker{p}
}

type speaker struct{ *wire.Publisher }

// Say publishes the text as soon as somebody listens.
func (s *speaker) Say(t testing.TB, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := s.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	s.Send(wire.StringBody(text))
}
