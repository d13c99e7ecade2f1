// Package domain gives a test a DDS domain in a network of its own; it never touches the machine's networks.
package domain

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// ID is the domain's number, the same for all tests: no two share a network.
const ID = 7

// Domain is a DDS domain on the loopback of a network of the test's own.
type Domain struct {
	// Host is the computer that all nodes are on.
	Host *netns.Host

	vendor bus.Kind
}

// Start makes a domain whose peers are the vendor's.
func Start(t testing.TB, vendor bus.Kind) *Domain {
	t.Helper()
	return &Domain{Host: netns.New(t), vendor: vendor}
}

// Kind is the vendor.
func (d *Domain) Kind() bus.Kind { return d.vendor }

// Node starts a program in the domain's network, for the length of the test.
func (d *Domain) Node(t testing.TB, spec proc.Spec) *proc.Process {
	t.Helper()
	return d.Host.Start(t, spec)
}

// Join are the arguments that make one of the C++ peers the named node of this domain.
func (d *Domain) Join(node string) []string {
	return []string{"--node=" + node, fmt.Sprintf("--domain=%d", ID), "--host=" + d.Host.Address}
}

// Speaker starts a node that says texts on a topic.
func (d *Domain) Speaker(t testing.TB, node, topic string) bus.Speaker {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	spec := bus.Peer(t, d, "say", node, "--topic="+topic)
	spec.Stdin = r
	s := &speaker{Process: d.Node(t, spec), in: w}
	_ = r.Close()
	return s
}

type speaker struct {
	*proc.Process
	in   *os.File
	said int
}

// Say waits until somebody listens, says the line and waits until it was acknowledged, or for half a second at most.
func (s *speaker) Say(t testing.TB, text string) {
	t.Helper()
	if strings.Contains(text, "\n") {
		t.Fatalf("a line is said, found %q", text)
	}
	await := func(pattern string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if _, err := s.WaitOutput(ctx, pattern); err != nil {
			t.Fatal(err)
		}
	}
	await(`(?m)^matched [1-9]\d*$`)
	s.said++
	if _, err := fmt.Fprintln(s.in, text); err != nil {
		t.Fatal(err)
	}
	await(fmt.Sprintf(`(?m)^said %d$`, s.said))
}
