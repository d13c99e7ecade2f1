// Package rtps is a participant of an RTPS 2.3 domain (the wire of DDS and so of ROS 2): it finds others, reads what they
// write and writes what they read, over UDP on one address of this computer. It knows bytes and topics, not messages; it
// never believes a GUID that comes from another socket than the one that announced it, and nothing that a peer sends,
// withholds or floods makes a reading or a writing goroutine wait.
package rtps

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Bounds of Config.
const (
	// MaxDomain is the highest domain id whose ports fit into 16 bits (9.6.1.1: 7400 + 250·domain + 250).
	MaxDomain = 232
	// MaxUserData bounds the user data of a participant or an endpoint, in bytes.
	MaxUserData = 1024
	// MaxName bounds names of topics and types, in bytes.
	MaxName = 256
)

// Config says where and as whom to take part.
type Config struct {
	// Domain is the DDS domain, 0 to MaxDomain; ROS 2 calls it ROS_DOMAIN_ID.
	Domain int
	// Host is the address of this computer that sockets are bound to and that is announced, IPv4 or IPv6. The any address
	// is refused: a participant is on one interface. With a loopback address nobody else can reach it.
	Host netip.Addr
	// Multicast joins Group on Host's interface, announces there and listens there, besides unicast probing.
	Multicast bool
	// Group is the discovery group; the zero value is 239.255.0.1 for an IPv4 Host. For IPv6 the specification names none,
	// and vendors differ, so Multicast needs it given.
	Group netip.Addr
	// Peers are addresses that are announced to by unicast, at the well-known ports of the participants 0 to
	// Limits.Probe-1. A loopback Host is always among them. Data goes to their announced addresses wherever else these
	// point, see Limits.
	Peers []netip.Addr
	// Computers lists, for each computer that has several addresses, these: what a participant of it says counts from any of
	// them. Which addresses are one computer's only the operator knows: whoever answers at a second one may be anybody.
	Computers [][]netip.Addr
	// UserData is the participant's user data, at most MaxUserData bytes; ROS 2 puts "enclave=/;" there.
	UserData []byte
	// Name is the participant's entity name, at most MaxName bytes.
	Name string
	// Lease is how long others may believe in us without a word, 1 s to 1 h; 0 takes DefaultLease. We speak thrice in it.
	Lease time.Duration
	// Clock is CLOCK_BOOTTIME. It must not be nil.
	Clock func() time.Duration
	// Civil is CLOCK_REALTIME in nanoseconds since the Unix epoch, for source timestamps. It must not be nil.
	Civil func() int64
	// OnEvent is told what happens beside the samples, on a goroutine of its own that holds no lock, in order. While it
	// does not return, new writers and readers are not matched; samples flow on. It may be nil.
	OnEvent func(*Event)
	// Limits bounds what others can make us spend; zero fields take their defaults.
	Limits Limits

	// drop, in tests, loses what it returns true for: outgoing or incoming, for discovery or for user data.
	drop func(out, user bool, datagram []byte) bool
}

// Errors of a participant, its readers and its writers.
var (
	// ErrClosed means that the participant, the reader or the writer is closed.
	ErrClosed = errors.New("rtps: closed")
	// ErrTooLong means that a payload is longer than the writer's MaxSample.
	ErrTooLong = errors.New("rtps: the payload is longer than the writer's cap")
	// ErrTooMany means that Limits.LocalEndpoints readers or writers exist already.
	ErrTooMany = errors.New("rtps: too many local endpoints")
)

// Run serves until ctx ends or Close is called, and returns when its goroutines have ended. It may be called once.
func (p *Participant) Run(ctx context.Context) error { return p.run(ctx) }

// Close tells the others that we leave (dispose of every endpoint and of the participant), ends Run and closes the
// sockets. It does not wait for handlers that are running.
func (p *Participant) Close() error {
	p.shut()
	return nil
}

// GUID is the participant's own.
func (p *Participant) GUID() wire.GUID {
	return wire.GUID{Prefix: p.prefix, Entity: wire.EntityParticipant}
}

// Domain is the domain that the participant is on.
func (p *Participant) Domain() int { return p.cfg.Domain }

// Local is the one UDP source that everything of ours is sent from, and where discovery is received by unicast.
func (p *Participant) Local() netip.AddrPort { return p.meta.local }

// LocalData is the UDP address where user data is received.
func (p *Participant) LocalData() netip.AddrPort { return p.user.local }

// Stats counts since New.
type Stats struct {
	// Sent counts datagrams handed to the socket, SendFailures those that it had no room for or refused.
	Sent, SendFailures uint64
	// Participants and Endpoints are how many remote ones are known now.
	Participants, Endpoints int
	// HeldBytes is how much all matched writers together could have us hold, at most Limits.HeldTotal.
	HeldBytes int
}

// Stats counts.
func (p *Participant) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Sent: p.sent.Load(), SendFailures: p.sendFailures.Load(), Participants: len(p.remotes), Endpoints: p.all.endpoints,
		HeldBytes: p.held,
	}
}

// Healthy tells whether Run serves and its last announcement went out: an interface that is down, or whose address is gone,
// takes none.
func (p *Participant) Healthy() bool { return p.healthy.Load() }
