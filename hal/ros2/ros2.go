// Package ros2 is robowarden's node on a ROS 2 graph, over its own DDS participant: it subscribes, publishes, calls
// services and watches who else is there; it never throttles a publisher, never serves a parameter, nor any service but
// the one by which goals come through a gate, and never takes a name for a proof.
//
// Data goes from the participant's one receiving goroutine, through a decoder that was made when the writer was matched, to
// the handler; nothing on that way allocates, waits or logs. Each writer is taken by exactly one of a subscription's
// readers: best effort for what is monitored, so that we can hold up nobody, reliable for texts and for what was said
// before we came. Names of nodes come from ros_discovery_info and count only for endpoints of the very participant that
// sent them; a writer that no node claims is called by its address, such as "dds:192.168.123.161". A writer is
// source-bound if its participant has answered at the address that it announces, nobody else was heard in its name, and no
// other living participant has a node of the same name.
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
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/rtps"
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
	// Computers are the addresses of each computer that has several and speaks from more than one of them.
	Computers [][]string
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
	cfg   Config
	part  *rtps.Participant
	dir   *directory
	faces faces
	disc  discovery
	// strangers are those of whom no more is known than that they were there.
	strangers strangers
	hashes    hashes
	rep       *bus.Reporter
	peerIDs   atomic.Uint32

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ran    atomic.Bool
	done   chan struct{}
	poke   chan struct{}
	// waiting is true while a writer's name may become known soon; stirred changes with every match.
	waiting atomic.Bool
	stirred atomic.Uint64
	// blind is what Blind counted last.
	blind atomic.Pointer[counted]
	// settledAt is when the graph counts as known, 0 while the participant does not work; known then is true.
	settledAt atomic.Int64
	// unseenAt is when discovery last did not take an endpoint in, 0 if it always did.
	unseenAt atomic.Int64

	// flavourOf tells how a participant's services pair requests and replies; tests have one of each kind.
	flavourOf func(*rtps.RemoteParticipant) flavour
	// making is held while a service's client is made, so that there is one of each.
	making sync.Mutex

	// mu guards the lists, which are replaced, never changed: whoever got one may keep it.
	mu      sync.Mutex
	closed  bool
	subs    []*Sub
	pubs    []*Publisher
	watches []*Watch
	clients []*client
	gates   []*GoalGate
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
	case cfg.Domain < 0 || cfg.Domain > rtps.MaxDomain:
		return nil, fmt.Errorf("ros2: domain %d; expected 0 to %d", cfg.Domain, rtps.MaxDomain)
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
	peers, err := parsePeers(cfg.Peers)
	if err != nil {
		return nil, err
	}
	computers := make([][]netip.Addr, len(cfg.Computers))
	for i, list := range cfg.Computers {
		if computers[i], err = parsePeers(list); err != nil {
			return nil, err
		}
	}
	n := &Node{
		cfg: cfg, dir: newDirectory(cfg.Name), rep: bus.NewReporter(cfg.Clock, cfg.OnEvent, cfg.Limits.EventsPerSecond),
		faces: faces{first: map[face]time.Duration{}, tell: map[*rtps.RemoteParticipant]int{}},
		done:  make(chan struct{}), poke: make(chan struct{}, 1), flavourOf: flavourOf,
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.part, err = rtps.New(rtps.Config{
		Domain: cfg.Domain, Host: host, Multicast: cfg.Multicast, Peers: peers, Computers: computers, Name: cfg.Name,
		UserData: []byte("enclave=" + cfg.Enclave + ";"),
		Clock:    cfg.Clock, Civil: cfg.Civil, OnEvent: n.event, Limits: cfg.Limits.RTPS,
	})
	if err != nil {
		return nil, fmt.Errorf("ros2: %w", err)
	}
	if err := n.openDiscovery(); err != nil {
		return nil, errors.Join(err, n.part.Close())
	}
	return n, nil
}

func parsePeers(list []string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, s := range list {
		a, err := netip.ParseAddr(s)
		if err != nil || a.IsUnspecified() || a.IsMulticast() {
			return nil, fmt.Errorf("ros2: peer %s; expected the IP address of a computer", clip(s, 80))
		}
		out = append(out, a)
	}
	return out, nil
}

// Run serves, listens and announces until ctx ends or Close is called. It returns nil after an orderly end, and an error
// when the participant's sockets have failed for good. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		if n.ctx.Err() != nil {
			return nil // closed before it began
		}
		return errors.New("ros2: Run called twice")
	}
	defer close(n.done)
	defer context.AfterFunc(ctx, n.cancel)()
	n.wg.Go(func() { n.watchOver(n.ctx) })
	err := n.part.Run(n.ctx)
	if n.ctx.Err() != nil {
		err = nil
	}
	n.cancel()
	n.shut()
	n.wg.Wait()
	return err
}

// shut ends everything that was made of this node.
func (n *Node) shut() {
	n.mu.Lock()
	n.closed = true
	subs, watches := n.subs, n.watches
	n.mu.Unlock()
	for _, s := range subs {
		s.Close()
	}
	for _, w := range watches {
		w.Close()
	}
	if err := n.part.Close(); err != nil {
		n.cfg.Log.Debug().Err(err).Msg("close the participant")
	}
}

// Close ends Run, tells the others that we leave, and releases every socket. It may be called more than once.
func (n *Node) Close() error {
	n.cancel()
	if n.ran.Swap(true) {
		<-n.done
		return nil
	}
	n.shut()
	close(n.done)
	return nil
}

// Poke asks for a look at the graph and a report of every watch now. It never blocks.
func (n *Node) Poke() {
	select {
	case n.poke <- struct{}{}:
	default:
	}
}

// wait notes that a writer's name may become known soon.
func (n *Node) wait() { n.waiting.Store(true) }

// stir notes that something was matched or is no longer.
func (n *Node) stir() {
	n.stirred.Add(1)
	n.Poke()
}
