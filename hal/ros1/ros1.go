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
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
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
	// Clock reads CLOCK_BOOTTIME; it stamps every message and event and measures the age of what publishers send.
	Clock func() time.Duration
	// Log gets what a person may want to read; never anything from the path of a message.
	Log zerolog.Logger
	// OnEvent gets what happened to peers, to the registration and to the servers. It may be nil. It must not block
	// and must not close anything of this package: the goroutine that calls it is the one that the event is about.
	// It is called from many goroutines. The event is valid only during the call.
	OnEvent func(*bus.Event)
	// Limits bounds everything; its zero fields take the Default constants.
	Limits Limits
}

// Node is one participant of a ROS 1 graph.
type Node struct {
	cfg      Config
	host     netip.Addr
	masterAt endpoint
	rep      *bus.Reporter
	dog      *watchdog
	data     *door
	slave    *door
	server   *slaveServer
	roster   roster
	peerIDs  atomic.Uint32

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ran    atomic.Bool
	done   chan struct{}
	poke   chan struct{}
	// asked makes the next poll look at the graph even if the master's answer is the same.
	asked  atomic.Bool
	gentle pacer // under mu

	// mu guards the lists, which are replaced, never changed: whoever got one may keep it.
	mu      sync.Mutex
	closed  bool
	subs    []*Sub
	pubs    []*Publisher
	watches []*Watch
	feeds   map[*msg.Peer]feed
}

// feed is one connection to a publisher, for getBusInfo.
type feed struct {
	peer       *msg.Peer
	topic, uri string
}

// New checks the configuration and binds both listening ports; nothing is served or dialled before Run.
func New(cfg Config) (*Node, error) {
	if cfg.Clock == nil {
		return nil, errors.New("ros1: the configuration has no clock; pass one that reads CLOCK_BOOTTIME")
	}
	if !validName(cfg.Name) {
		return nil, fmt.Errorf("ros1: node name %s is not global; expected one such as \"/robowarden\"", clip(cfg.Name, 80))
	}
	host, err := netip.ParseAddr(cfg.Host)
	if err != nil || host.IsUnspecified() {
		return nil, fmt.Errorf("ros1: host %s; expected the IP address by which other nodes reach this one", clip(cfg.Host, 80))
	}
	masterAt, err := parseURI(cfg.MasterURI, "http")
	if err != nil {
		return nil, fmt.Errorf("ros1: master: %w", err)
	}
	if err := cfg.Limits.fill(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, host: host, masterAt: masterAt,
		rep:    bus.NewReporter(cfg.Clock, cfg.OnEvent, cfg.Limits.EventsPerSecond),
		dog:    &watchdog{clock: cfg.Clock, message: cfg.Limits.MessageTimeout, streams: map[*watched]struct{}{}},
		roster: roster{addr: map[netip.Addr]int{}},
		done:   make(chan struct{}), poke: make(chan struct{}, 1),
		gentle: pacer{gap: 250 * time.Millisecond},
		feeds:  map[*msg.Peer]feed{},
	}
	lim := &n.cfg.Limits
	if n.data, err = listen(host, cfg.TCPROSPort, "data", n.rep, lim.MaxHandshakes, lim.MaxHandshakes); err != nil {
		return nil, fmt.Errorf("ros1: bind the TCPROS port: %w", err)
	}
	if n.slave, err = listen(host, cfg.SlavePort, "slave", n.rep, lim.MaxSlaveConnections, lim.MaxSlaveConnections); err != nil {
		_ = n.data.Close()
		return nil, fmt.Errorf("ros1: bind the slave port: %w", err)
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.server = newSlaveServer(n)
	return n, nil
}

// Run serves, polls and reads until ctx ends or Close is called, then unregisters within Limits.CloseTimeout. It
// returns nil after an orderly end. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		if n.ctx.Err() != nil {
			return nil // closed before it began
		}
		return errors.New("ros1: Run called twice")
	}
	defer close(n.done)
	defer context.AfterFunc(ctx, n.cancel)()
	n.wg.Go(n.serveData)
	n.wg.Go(func() { _ = n.server.http.Serve(n.slave) })
	n.wg.Go(func() { n.dog.run(n.ctx) })
	n.wg.Go(func() { newMaster(n).run(n.ctx) })
	<-n.ctx.Done()
	n.leave()
	n.shut()
	n.wg.Wait()
	return nil
}

// leave unregisters every topic within the deadline.
func (n *Node) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Limits.CloseTimeout)
	defer cancel()
	for _, p := range n.publishers() {
		if ctx.Err() == nil {
			n.unregister(ctx, p)
		}
	}
}

// shut closes everything that holds a socket.
func (n *Node) shut() {
	n.mu.Lock()
	n.closed = true
	subs, pubs, watches := n.subs, n.pubs, n.watches
	n.mu.Unlock()
	_ = n.data.Close()
	_ = n.slave.Close()
	_ = n.server.http.Close()
	for _, p := range pubs {
		p.shut()
	}
	for _, s := range subs {
		s.Close()
	}
	for _, w := range watches {
		w.Close()
	}
}

// Close ends Run and releases every socket, within Limits.CloseTimeout. It may be called more than once.
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

// Poke asks for a poll of the master now and ends every pause before a reconnect. It never blocks.
func (n *Node) Poke() {
	n.asked.Store(true)
	select {
	case n.poke <- struct{}{}:
	default:
	}
}

// pokeGently is Poke for strangers: a flood of hints is at most four polls a second.
func (n *Node) pokeGently() {
	n.mu.Lock()
	ok := n.gentle.allow(n.cfg.Clock())
	n.mu.Unlock()
	if ok {
		n.Poke()
	}
}

// URI is the node's slave API, as registered with the master.
func (n *Node) URI() string {
	return "http://" + net.JoinHostPort(n.host.String(), strconv.Itoa(int(n.slave.port()))) + "/"
}
