package rtps

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"
)

// Defaults of Config, of readers and writers, and of Limits.
const (
	// DefaultLease is our lease. CycloneDDS's is 10 s too; Fast DDS's is 20 s.
	DefaultLease = 10 * time.Second
	// DefaultMaxSample bounds one sample in bytes; messages on the robot's own topics are a few kilobytes.
	DefaultMaxSample = 64 << 10
	// MaxMaxSample is the highest cap of one sample that can be asked for (an uncompressed 1080p picture is 6 MB).
	MaxMaxSample = 16 << 20
	// MaxDepth is the highest depth of a writer.
	MaxDepth = 1024
	// DefaultMaxRateHz bounds the samples per second of one writer that a Handler sees.
	DefaultMaxRateHz = 2000

	// DefaultParticipants bounds the remote participants. In ROS 2 a process is a participant: a humanoid's two computers
	// run some 20 to 100.
	DefaultParticipants = 320
	// DefaultParticipantsPerAddress bounds those of one computer. A robot's nodes may all be on one, and 200 of them are still
	// a robot; a quarter of the table stays for others.
	DefaultParticipantsPerAddress = 240
	// DefaultEndpoints bounds the remote endpoints. A ROS 2 node has about ten of its own (parameters, rosout, clock)
	// besides its topics.
	DefaultEndpoints = 4096
	// DefaultEndpointsPerParticipant bounds those of one participant: one process with forty nodes.
	DefaultEndpointsPerParticipant = 512
	// DefaultDiscoveryBytes bounds the names and user data of all remote endpoints together: 2 kB for each endpoint of a
	// full table, eight times what ROS 2 sends. One participant can have a sixteenth of them, and one address three quarters
	// of them and of the endpoints.
	DefaultDiscoveryBytes = 8 << 20
	// DefaultLocalEndpoints bounds our readers, and our writers.
	DefaultLocalEndpoints = 128
	// DefaultWritersPerReader bounds the writers matched with one reader. A topic of a robot has one writer, /tf a dozen.
	DefaultWritersPerReader = 64
	// DefaultReadersPerWriter bounds the readers matched with one writer; every one costs a datagram per sample. Half are
	// kept for WriterConfig.FirstReaders.
	DefaultReadersPerWriter = 32
	// DefaultProbe is how many participant indexes are announced to at each of Config.Peers. CycloneDDS takes indexes to 9
	// or 32 by version, Fast DDS from 0; beyond, multicast is needed.
	DefaultProbe = 32
	// DefaultHeldBytes bounds the bytes that one writer can make a reader hold for order and in unfinished fragments, besides
	// one sample of MaxSample.
	DefaultHeldBytes = 256 << 10
	// DefaultHeldTotal bounds what all writers together could make us hold so. A match that would go beyond is not made, or
	// one of a writer that is not accepted gives way.
	DefaultHeldTotal = 96 << 20
	// DefaultUnknownPerAddress bounds the announcements per second of participants that are not known, per computer, with a
	// burst of the same: all of a computer's participants answer when we come.
	DefaultUnknownPerAddress = 200
	// DefaultUnknown bounds those of all addresses together: 200 nodes that start at once are taken in within a second.
	DefaultUnknown = 400
	// DefaultKnownPerParticipant bounds the discovery datagrams per second of one known participant, with a burst of the
	// same. Starting nodes announce a few hundred endpoints at once.
	DefaultKnownPerParticipant = 1000
	// DefaultMinLease is the shortest lease of a remote participant that is taken at its word; a shorter one counts as this.
	DefaultMinLease = time.Second //nolint:revive // the least, not minutes
	// DefaultMaxLease is the longest; a participant that is to stay has to be heard of within it, and we ask it at a third.
	DefaultMaxLease = 2 * time.Minute
	// DefaultUnproven is how long a participant may leave our questions unanswered before it gives way to others when a
	// table is full; and as long as it has not answered, its lease is at most four times as long.
	DefaultUnproven = 5 * time.Second
	// DefaultStallTimeout is how long a reliable reader may acknowledge nothing before ReaderStalled tells.
	DefaultStallTimeout = 2 * time.Second
	// DefaultEventsPerSecond bounds the events of one kind; more are counted in Event.Suppressed.
	DefaultEventsPerSecond = 20
	// DefaultReceiveBuffer is asked of the kernel for the socket of user data: 50 ms of 80 MB/s. The kernel may give less
	// (net.core.rmem_max).
	DefaultReceiveBuffer = 4 << 20
)

// Limits bounds what others can make a participant spend. Zero fields take their defaults.
type Limits struct {
	// Participants, ParticipantsPerAddress, Endpoints, EndpointsPerParticipant, DiscoveryBytes: see their defaults.
	Participants, ParticipantsPerAddress, Endpoints, EndpointsPerParticipant, DiscoveryBytes int
	// LocalEndpoints, WritersPerReader, ReadersPerWriter, Probe, HeldBytes, HeldTotal: see their defaults.
	LocalEndpoints, WritersPerReader, ReadersPerWriter, Probe, HeldBytes, HeldTotal int
	// UnknownPerAddress, Unknown, KnownPerParticipant: datagrams per second, see their defaults.
	UnknownPerAddress, Unknown, KnownPerParticipant int
	// MinLease, MaxLease, Unproven, StallTimeout: see their defaults.
	MinLease, MaxLease, Unproven, StallTimeout time.Duration
	// EventsPerSecond, ReceiveBuffer: see their defaults.
	EventsPerSecond, ReceiveBuffer int
}

func orDefault[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// filled is l with its defaults filled in.
func (l Limits) filled() Limits {
	return Limits{
		Participants:            orDefault(l.Participants, DefaultParticipants),
		ParticipantsPerAddress:  orDefault(l.ParticipantsPerAddress, DefaultParticipantsPerAddress),
		Endpoints:               orDefault(l.Endpoints, DefaultEndpoints),
		EndpointsPerParticipant: orDefault(l.EndpointsPerParticipant, DefaultEndpointsPerParticipant),
		DiscoveryBytes:          orDefault(l.DiscoveryBytes, DefaultDiscoveryBytes),
		LocalEndpoints:          orDefault(l.LocalEndpoints, DefaultLocalEndpoints),
		WritersPerReader:        orDefault(l.WritersPerReader, DefaultWritersPerReader),
		ReadersPerWriter:        orDefault(l.ReadersPerWriter, DefaultReadersPerWriter),
		Probe:                   orDefault(l.Probe, DefaultProbe),
		HeldBytes:               orDefault(l.HeldBytes, DefaultHeldBytes),
		HeldTotal:               orDefault(l.HeldTotal, DefaultHeldTotal),
		UnknownPerAddress:       orDefault(l.UnknownPerAddress, DefaultUnknownPerAddress),
		Unknown:                 orDefault(l.Unknown, DefaultUnknown),
		KnownPerParticipant:     orDefault(l.KnownPerParticipant, DefaultKnownPerParticipant),
		MinLease:                orDefault(l.MinLease, DefaultMinLease),
		MaxLease:                orDefault(l.MaxLease, DefaultMaxLease),
		Unproven:                orDefault(l.Unproven, DefaultUnproven),
		StallTimeout:            orDefault(l.StallTimeout, DefaultStallTimeout),
		EventsPerSecond:         orDefault(l.EventsPerSecond, DefaultEventsPerSecond),
		ReceiveBuffer:           orDefault(l.ReceiveBuffer, DefaultReceiveBuffer),
	}
}

// check refuses limits that make no sense.
func (l Limits) check() error {
	for name, v := range map[string]int{
		"Participants": l.Participants, "ParticipantsPerAddress": l.ParticipantsPerAddress, "Endpoints": l.Endpoints,
		"EndpointsPerParticipant": l.EndpointsPerParticipant, "DiscoveryBytes": l.DiscoveryBytes,
		"LocalEndpoints": l.LocalEndpoints, "WritersPerReader": l.WritersPerReader, "ReadersPerWriter": l.ReadersPerWriter,
		"Probe": l.Probe, "HeldBytes": l.HeldBytes, "HeldTotal": l.HeldTotal, "UnknownPerAddress": l.UnknownPerAddress, "Unknown": l.Unknown,
		"KnownPerParticipant": l.KnownPerParticipant, "EventsPerSecond": l.EventsPerSecond, "ReceiveBuffer": l.ReceiveBuffer,
	} {
		if v < 1 {
			return fmt.Errorf("rtps: limit %s is %d; expected 1 or more, or 0 for the default", name, v)
		}
	}
	if l.Probe > 120 || l.LocalEndpoints > 1024 {
		return fmt.Errorf("rtps: limits Probe %d, LocalEndpoints %d; expected at most 120 and 1024", l.Probe, l.LocalEndpoints)
	}
	if l.MinLease < 0 || l.MaxLease < l.MinLease || l.Unproven < 0 || l.StallTimeout < 0 {
		return fmt.Errorf("rtps: limits MinLease %v, MaxLease %v, Unproven %v, StallTimeout %v; expected MinLease at most MaxLease and none negative",
			l.MinLease, l.MaxLease, l.Unproven, l.StallTimeout)
	}
	return nil
}

// bucket is a token bucket of a second's worth of tokens: tat is when it would be full again.
type bucket struct{ tat time.Duration }

// take takes a token out of a bucket that gets rate of them per second; false if there is none.
func (b *bucket) take(now time.Duration, rate int) bool {
	b.tat = max(b.tat, now)
	if b.tat-now > time.Second {
		return false
	}
	b.tat += time.Second / time.Duration(rate)
	return true
}

// buckets bounds what strangers can make us look at: each address by itself, and all together. Addresses share a fixed
// number of buckets by a hash that nobody outside can compute, so that forged ones cost no memory and meet a chosen victim
// by chance only.
type buckets struct {
	seed maphash.Seed
	each [1024]bucket
	all  bucket
}

func newBuckets() *buckets { return &buckets{seed: maphash.MakeSeed()} }

// take takes a token for an address. The address's own bucket is asked first, so that one that floods does not empty the
// common one.
func (b *buckets) take(now time.Duration, a netip.Addr, each, all int) bool {
	key := a.As16()
	n := len(key)
	if a.Is6() && !a.Is4In6() {
		n = 8 // who has one address of an IPv6 network has all of them
	}
	return b.each[maphash.Bytes(b.seed, key[:n])%uint64(len(b.each))].take(now, each) && b.all.take(now, all)
}
