// Package ros2 is robowarden's node on a ROS 2 graph, over its own DDS participant: it subscribes, publishes, calls
// services and watches who else is there; it never throttles a publisher, never serves a parameter or a service, and
// never takes a name for a proof.
//
// Data goes from the participant's one receiving goroutine through a decoder that was made when the writer was matched
// to the handler; nothing on that way allocates, waits or logs. Each writer is taken by exactly one of a subscription's
// readers. Names of nodes come from ros_discovery_info and count only for endpoints of the very participant that sent
// them.
//
// Unsecured DDS has no authentication. A firewall around the robot's graph is a precondition, and every name that this
// package reports is a claim: see msg.Strength, and Blind for what it cannot see at all.
package ros2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
)

// Config says who the node is and how it finds the others.
type Config struct {
	// Name is the node's fully qualified name, such as "/robowarden".
	Name string
	// Domain is the DDS domain (ROS_DOMAIN_ID), 0 to 232.
	Domain int
	// Host is the address of the one interface that is used, IPv4 or IPv6 without brackets. A loopback address keeps
	// the node on this computer.
	Host string
	// Multicast takes part in discovery by multicast on Host's interface, which is how ROS 2 finds peers unless told
	// otherwise.
	Multicast bool
	// Peers are addresses of computers to find by unicast: where multicast is off (ROS_STATIC_PEERS, localhost only).
	Peers []string
	// Enclave is the node's security enclave as ROS 2 names it; empty is "/".
	Enclave string
	// Clock reads CLOCK_BOOTTIME; it stamps every message and event and measures the age of what publishers send.
	Clock func() time.Duration
	// Civil reads the time since the Unix epoch in nanoseconds; it stamps what is sent.
	Civil func() int64
	// Log gets what a person may want to read; never anything from the path of a message.
	Log zerolog.Logger
	// OnEvent gets what happened to peers, to the endpoints and to the participant. It may be nil. It must not block
	// and must not close anything of this package. It is called from several goroutines. The event is valid only
	// during the call.
	OnEvent func(*bus.Event)
	// Limits bounds everything; its zero fields take the Default constants.
	Limits Limits
}

// Node is one node of a ROS 2 graph, with a participant of its own.
type Node struct {
	cfg  Config
	host netip.Addr
	rep  *bus.Reporter

	ctx    context.Context
	cancel context.CancelFunc
	poke   chan struct{}

	// mu guards the lists, which are replaced, never changed: whoever got one may keep it.
	mu      sync.Mutex
	closed  bool
	subs    []*Sub
	pubs    []*Publisher
	watches []*Watch
}

// ErrClosed means that the node or the publisher is closed.
var ErrClosed = errors.New("ros2: closed")

// New checks the configuration and binds the participant's sockets; nobody is talked to before Run.
func New(cfg Config) (*Node, error) {
	switch {
	case cfg.Clock == nil || cfg.Civil == nil:
		return nil, errors.New("ros2: the configuration lacks a clock; pass one that reads CLOCK_BOOTTIME and one for civil time")
	case !validName(cfg.Name):
		return nil, fmt.Errorf("ros2: node name %s is not fully qualified; expected one such as \"/robowarden\"", clip(cfg.Name, 80))
	case cfg.Domain < 0 || cfg.Domain > maxDomain:
		return nil, fmt.Errorf("ros2: domain %d; expected 0 to %d", cfg.Domain, maxDomain)
	}
	host, err := netip.ParseAddr(cfg.Host)
	if err != nil || host.IsUnspecified() || host.IsMulticast() {
		return nil, fmt.Errorf("ros2: host %s; expected the IP address of the interface to the robot's graph", clip(cfg.Host, 80))
	}
	if cfg.Enclave = orDefault(cfg.Enclave, "/"); cfg.Enclave != "/" && !validName(cfg.Enclave) {
		return nil, fmt.Errorf("ros2: enclave %s; expected a name such as \"/robowarden\"", clip(cfg.Enclave, 80))
	}
	if err := cfg.Limits.fill(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, host: host, rep: bus.NewReporter(cfg.Clock, cfg.OnEvent, cfg.Limits.EventsPerSecond),
		poke: make(chan struct{}, 1),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// maxDomain is the largest domain whose ports fit below 65536.
const maxDomain = 232

// Run serves, listens and announces until ctx ends or Close is called. It returns nil after an orderly end. It may be
// called once.
func (n *Node) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, n.cancel)()
	<-n.ctx.Done()
	return nil
}

// Close ends Run, tells the others that we leave, and releases every socket. It may be called more than once.
func (n *Node) Close() error {
	n.cancel()
	return nil
}

// Poke asks for an announcement, a probe of every peer and a report of every watch now. It never blocks.
func (n *Node) Poke() {
	select {
	case n.poke <- struct{}{}:
	default:
	}
}
