package rtps

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Participant is our own participant. Its methods may be called from anywhere, Handlers and callbacks included.
type Participant struct {
	cfg    Config
	lim    Limits
	prefix wire.Prefix

	meta, user *socket
	// near is the same two ports on the loopback address, if Host is another one: Fast DDS sends there to whoever has an
	// address of its own computer.
	near      *pair
	group     *socket // nil without multicast
	groupDest *dest
	probes    []*dest
	peers     map[netip.Addr]bool // Config.Peers, to which data may go wherever it is announced
	homes     map[netip.Addr]home // the addresses of computers that have several

	healthy      atomic.Bool
	generation   atomic.Uint64
	sent         atomic.Uint64
	sendFailures atomic.Uint64
	keptOutAt    atomic.Int64          // see KeptOut
	floodedAt    atomic.Int64          // see Flooded
	table        atomic.Pointer[table] // what the goroutine of user data and the timers look at
	userKick     atomic.Bool
	timerAt      atomic.Int64 // when the goroutine of timers wakes next
	timerKick    chan struct{}

	rep    *reporter
	teller *teller
	// taking is held while a datagram of user data is looked at, its Handlers included; nothing else of Participant waits
	// for it, except the one other goroutine that reads user data.
	taking sync.Mutex
	taker  *taker

	// mu guards discovery. It is never held while a callback or a Handler runs.
	mu sync.Mutex
	discovery

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	ran    atomic.Bool
	once   sync.Once
}

// New binds the sockets and draws a new prefix; it talks to nobody before Run.
func New(c Config) (*Participant, error) {
	c.Limits = c.Limits.filled()
	c.Lease = orDefault(c.Lease, DefaultLease)
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Host = c.Host.Unmap()
	c.UserData, c.Peers = slices.Clone(c.UserData), slices.Clone(c.Peers)
	p := &Participant{
		cfg: c, lim: c.Limits, peers: map[netip.Addr]bool{}, homes: map[netip.Addr]home{},
		timerKick: make(chan struct{}, 1),
	}
	for i, list := range c.Computers {
		for k, a := range list {
			p.homes[a.Unmap()] = home{computer: i, address: k}
		}
	}
	p.prefix[0], p.prefix[1] = wire.OurVendor[0], wire.OurVendor[1]
	if _, err := rand.Read(p.prefix[2:]); err != nil {
		return nil, fmt.Errorf("rtps: random prefix: %w", err)
	}
	if err := p.bind(); err != nil {
		p.closeSockets()
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.teller = newTeller(p)
	p.rep = &reporter{clock: c.Clock, rate: c.Limits.EventsPerSecond, tell: p.teller.event}
	p.rep.on.Store(c.OnEvent != nil)
	p.table.Store(&table{})
	p.taker = newTaker(p)
	p.startDiscovery()
	return p, nil
}

func (c *Config) check() error {
	switch {
	case c.Domain < 0 || c.Domain > MaxDomain:
		return fmt.Errorf("rtps: domain %d; expected 0 to %d", c.Domain, MaxDomain)
	case !c.Host.IsValid() || c.Host.IsUnspecified() || c.Host.IsMulticast():
		return fmt.Errorf("rtps: host %s; expected one address of this computer, such as 192.168.123.2 or 127.0.0.1", c.Host)
	case len(c.UserData) > MaxUserData || len(c.Name) > MaxName:
		return fmt.Errorf("rtps: user data of %d bytes, name of %d; expected at most %d and %d", len(c.UserData), len(c.Name), MaxUserData, MaxName)
	case c.Lease < time.Second || c.Lease > time.Hour:
		return fmt.Errorf("rtps: lease %v; expected 1s to 1h, or 0 for %v", c.Lease, DefaultLease)
	case c.Clock == nil || c.Civil == nil:
		return errors.New("rtps: both clocks must be given")
	}
	if c.Multicast {
		if !c.Group.IsValid() && c.Host.Unmap().Is4() {
			c.Group = netip.AddrFrom4([4]byte{239, 255, 0, 1})
		}
		if !c.Group.IsMulticast() || c.Group.Is4() != c.Host.Unmap().Is4() {
			return fmt.Errorf("rtps: group %s for host %s; expected a multicast address of the same family", c.Group, c.Host)
		}
	}
	for _, a := range c.Peers {
		if !a.IsValid() || a.IsMulticast() || a.IsUnspecified() || a.Unmap().Is4() != c.Host.Unmap().Is4() {
			return fmt.Errorf("rtps: peer %s for host %s; expected a unicast address of the same family", a, c.Host)
		}
	}
	if err := c.checkComputers(); err != nil {
		return err
	}
	return c.Limits.check()
}

func (c *Config) checkComputers() error {
	seen := map[netip.Addr]bool{}
	for _, list := range c.Computers {
		if len(list) < 2 || len(list) > maxHomes {
			return fmt.Errorf("rtps: a computer with %d addresses; expected 2 to %d", len(list), maxHomes)
		}
		for _, a := range list {
			a = a.Unmap()
			if !a.IsValid() || a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() || a.Is4() != c.Host.Unmap().Is4() || seen[a] {
				return fmt.Errorf("rtps: address %s of a computer; expected a unicast address of the host's family, and each address once", a)
			}
			seen[a] = true
		}
	}
	return nil
}

// maxHomes bounds the addresses of one computer.
const maxHomes = 4

// home is one of the addresses of a computer that has several.
type home struct{ computer, address int }

// together tells whether the operator has named both as addresses of one computer.
func (p *Participant) together(a, b netip.Addr) bool {
	x, known := p.homes[a]
	y, also := p.homes[b]
	return known && also && x.computer == y.computer
}

func (p *Participant) bind() (err error) {
	c := &p.cfg
	own := []netip.Addr{c.Host}
	if !c.Host.IsLoopback() {
		own = append(own, loopback(c.Host))
	}
	pairs, err := listenPairs(own, c.Domain)
	if err != nil {
		return err
	}
	p.meta, p.user = pairs[0].meta, pairs[0].user
	if len(pairs) > 1 {
		p.near = pairs[1]
	}
	for _, s := range pairs {
		if err := s.user.stampArrivals(); err != nil {
			return fmt.Errorf("rtps: times of arrival: %w", err)
		}
	}
	p.user.buffers(p.lim.ReceiveBuffer, syscall.SO_RCVBUF)
	p.meta.buffers(p.lim.ReceiveBuffer, syscall.SO_RCVBUF, syscall.SO_SNDBUF)
	if c.Multicast {
		if p.group, err = listenGroup(c.Group, c.Host, groupPort(c.Domain)); err != nil {
			return fmt.Errorf("rtps: %w", err)
		}
		if err = p.meta.sendToGroup(c.Host); err != nil {
			return fmt.Errorf("rtps: multicast from %s: %w", c.Host, err)
		}
		p.group.buffers(p.lim.ReceiveBuffer, syscall.SO_RCVBUF)
		p.groupDest = newDest(netip.AddrPortFrom(withZone(c.Group, c.Host), groupPort(c.Domain)))
	}
	hosts := slices.Clone(c.Peers)
	if c.Host.IsLoopback() {
		hosts = append(hosts, c.Host)
	}
	for _, a := range hosts {
		if a = a.Unmap(); p.peers[a] {
			continue
		}
		p.peers[a] = true
		for i := range p.lim.Probe {
			if to := netip.AddrPortFrom(a, metaPort(c.Domain, i)); to != p.meta.local {
				p.probes = append(p.probes, newDest(to))
			}
		}
	}
	return nil
}

// loopback is the loopback address of a's family.
func loopback(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// own tells whether an address is Host, or the loopback, on which only this computer can speak: the same computer.
func (p *Participant) own(a netip.Addr) bool { return a == p.cfg.Host || a.IsLoopback() }

// sameComputer tells whether two addresses are one, or both this computer's, or one other's by the operator's word.
func (p *Participant) sameComputer(a, b netip.Addr) bool {
	return a == b || p.own(a) && p.own(b) || p.together(a, b)
}

// withZone gives a link-local group host's zone.
func withZone(group, host netip.Addr) netip.Addr {
	if group.Is6() && host.Zone() != "" {
		return group.WithZone(host.Zone())
	}
	return group
}

func (p *Participant) closeSockets() {
	p.meta.close()
	p.user.close()
	p.near.close()
	p.group.close()
}

// run serves: one goroutine reads each discovery socket, one reads user data, one keeps the time, one tells the callbacks.
func (p *Participant) run(ctx context.Context) error {
	if p.ran.Swap(true) {
		return errors.New("rtps: Run was called before")
	}
	stop := context.AfterFunc(ctx, p.shut)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { p.serveMeta(p.meta, pathUnicast) })
	if p.group != nil {
		all.Go(func() { p.serveMeta(p.group, pathGroup) })
	}
	all.Go(p.serveUser)
	if p.near != nil {
		all.Go(func() { p.serveMeta(p.near.meta, pathUnicast) })
		all.Go(p.serveNear)
	}
	all.Go(p.serveTimers)
	told := make(chan struct{})
	go func() {
		defer close(told)
		p.teller.run()
	}()
	<-p.ctx.Done()
	p.shut() // whoever ended ctx may still be saying farewell
	all.Wait()
	p.teller.stop()
	<-told
	return nil
}

// shut says farewell and closes the sockets, once.
func (p *Participant) shut() {
	p.once.Do(func() {
		p.farewell()
		p.healthy.Store(false) // an announcement may have gone out meanwhile
		p.cancel()
		p.closeSockets()
	})
}
