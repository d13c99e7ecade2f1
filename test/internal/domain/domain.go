// Package domain gives a test a DDS domain that nobody else is on; it never leaves the loopback.
package domain

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// ID is the number of domains in networks of their own, the same for all: no two share a network.
const ID = 7

// Domain is a DDS domain on a loopback.
type Domain struct {
	// Number is the domain's.
	Number int
	// Multicast says whether participants find each other by it.
	Multicast bool

	host   *netns.Host
	vendor bus.Kind
}

// Start makes a domain in a network of the test's own, whose peers are the vendor's.
func Start(t testing.TB, vendor bus.Kind) *Domain {
	t.Helper()
	return &Domain{Number: ID, Multicast: true, host: netns.New(t), vendor: vendor}
}

// Here makes a domain on this computer's own loopback, without multicast, for tests whose other parts are there. No other
// test has its number meanwhile.
func Here(t testing.TB, vendor bus.Kind) *Domain {
	t.Helper()
	// Up to 100, ports are below those that the kernel gives to others.
	for n := 20; n <= 100; n++ {
		lock, err := os.OpenFile(fmt.Sprintf("%s/robowarden-domain-%d.lock", os.TempDir(), n), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = lock.Close()
			continue
		}
		t.Cleanup(func() { _ = lock.Close() })
		return &Domain{Number: n, vendor: vendor}
	}
	t.Fatal("domain: all of the numbers 20 to 100 are taken by other tests")
	return nil
}

// Network is the domain's, nil for one that is here.
func (d *Domain) Network() *netns.Host { return d.host }

// Address is the one that all nodes use.
func (d *Domain) Address() string { return "127.0.0.1" }

// Kind is the vendor.
func (d *Domain) Kind() bus.Kind { return d.vendor }

// Node starts a program in the domain's network, for the length of the test.
func (d *Domain) Node(t testing.TB, spec proc.Spec) *proc.Process {
	t.Helper()
	if d.host == nil {
		return proc.StartT(t, spec)
	}
	return d.host.Start(t, spec)
}

// Join are the arguments that make one of the C++ peers the named node of this domain.
func (d *Domain) Join(node string) []string {
	multicast := "off"
	if d.Multicast {
		multicast = "on"
	}
	return []string{"--node=" + node, fmt.Sprintf("--domain=%d", d.Number), "--host=" + d.Address(), "--multicast=" + multicast}
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

// Say waits until somebody listens, says the text and waits until it was acknowledged, or for half a second at most.
func (s *speaker) Say(t testing.TB, text string) {
	t.Helper()
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
	if _, err := fmt.Fprintln(s.in, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(text)); err != nil {
		t.Fatal(err)
	}
	await(fmt.Sprintf(`(?m)^said %d$`, s.said))
}
