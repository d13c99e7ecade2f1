// Package dds runs real DDS peers for a test: programs over CycloneDDS and Fast DDS that count, relay, measure and attack,
// each test in a network of its own; it never looks into the product's wire format.
//
// The peers' sources are in src, their bus in ../bus. Ours, the program in ours/, says the same lines.
package dds

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/gobin"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Vendor is whose DDS a peer speaks: the ending of its program's name.
type Vendor string

// Vendors that Debian has. UDP only, so that everything is on the wire, unless FastDefault is asked for: shared memory
// and UDP, as rmw_fastrtps has it.
const (
	Cyclone     Vendor = "cyclone"
	Fast        Vendor = "fast"
	FastDefault Vendor = "fast+shm"
	// Ours is the product's participant.
	Ours Vendor = "ours"
)

// Peer is a running peer.
type Peer struct {
	*proc.Process
}

// Start starts a program of the vendor on the host, such as "ddspub" with its arguments (src/ddspub.cpp).
func Start(t testing.TB, h *netns.Host, v Vendor, program string, args ...string) *Peer {
	t.Helper()
	kind, shm := strings.CutSuffix(string(v), "+shm")
	var argv []string
	if v == Ours {
		argv = []string{gobin.Build(t, "./dds/ours"), program}
	} else {
		argv = []string{cpp.Binary(t, program+"_"+kind)}
	}
	argv = append(argv, "--domain="+strconv.Itoa(domain.ID), "--host="+h.Address)
	if shm {
		argv = append(argv, "--transport=default")
	}
	name := fmt.Sprintf("%s %s", v, program)
	return &Peer{Process: h.Start(t, proc.Spec{Name: name, Argv: append(argv, args...)})}
}

// Await waits until the peer has written what the pattern says and returns the match with its groups.
func (p *Peer) Await(t testing.TB, within time.Duration, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	m, err := p.WaitOutput(ctx, pattern)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// At reads a moment on CLOCK_BOOTTIME from a line's last group, such as "(?m)^ready (\d+)$".
func (p *Peer) At(t testing.TB, within time.Duration, pattern string) time.Duration {
	t.Helper()
	m := p.Await(t, within, pattern)
	return time.Duration(number(t, m[len(m)-1]))
}

func number(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Ready waits until the peer is on the bus and returns since when.
func (p *Peer) Ready(t testing.TB) time.Duration {
	t.Helper()
	return p.At(t, 20*time.Second, `(?m)^ready (\d+)$`)
}

// Matched waits until the peer has n counterparts and returns since when.
func (p *Peer) Matched(t testing.TB, n int) time.Duration {
	t.Helper()
	return p.At(t, 20*time.Second, fmt.Sprintf(`(?m)^matched %d (\d+)$`, n))
}

// Tally is what a subscriber has counted.
type Tally struct {
	// Received samples, the First and the Last number among them, and how many are Missing in between, came Disordered
	// or had Wrong content.
	Received, First, Last, Missing, Disordered, Wrong int64
	// Writers is how many writers' GUIDs the samples had.
	Writers int64
	// Digest is over the samples' contents, in the order of arrival.
	Digest string
}

// Done waits for the subscriber's tally.
func (p *Peer) Done(t testing.TB, within time.Duration) Tally {
	t.Helper()
	m := p.Await(t, within, `(?m)^done received=(\d+) first=(-?\d+) last=(-?\d+) missing=(-?\d+) disordered=(\d+) wrong=(\d+) writers=(\d+) digest=([0-9a-f]+)$`)
	n := make([]int64, 7)
	for i := range n {
		n[i] = number(t, m[i+1])
	}
	return Tally{Received: n[0], First: n[1], Last: n[2], Missing: n[3], Disordered: n[4], Wrong: n[5], Writers: n[6], Digest: m[8]}
}

// Complete checks that all of the n samples came, once each, in order and as they were sent.
func (y Tally) Complete(t testing.TB, n int64) {
	t.Helper()
	if y.Received != n || y.First != 1 || y.Last != n || y.Missing != 0 || y.Disordered != 0 || y.Wrong != 0 {
		t.Errorf("expected 1 to %d, each once and in order; found %+v", n, y)
	}
}

// patience is for what takes no time on an idle machine.
const patience = 40 * time.Second
