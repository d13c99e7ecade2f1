package interlock

import (
	"fmt"
	"slices"
	"time"
)

// MaxNames is the largest number of names in an allow-list or in one report of the bus.
const MaxNames = 16

// Names is a fixed list of node names, the first N.
type Names struct {
	Name [MaxNames]string
	N    int
}

// PublisherConfig sets up the watch over one topic.
type PublisherConfig struct {
	// Subject is the channel's number, from 1, or 0 for the gate's own output.
	Subject uint16
	// Output is true for the gate's own output: nobody else may publish there.
	Output bool
	// Self is the guard's own name on the bus.
	Self string
	// Allowed are the names that may publish; empty for an output.
	Allowed Names
	// Shared marks the names in Allowed that several publishers may have at once, such as an address whose publishers have
	// no names. Max counts each of them.
	Shared [MaxNames]bool
	// Max is how many of them may publish at once; at least 1 for an input.
	Max int
	// AskConsumer is true if the bus can ask the topic's consumer to whom it is connected (ROS 1: getBusInfo). Where it
	// cannot (DDS), the consumer is taken to listen to everybody who publishes.
	AskConsumer bool
	// Succession is for how long two publishers of one name may be the end of one and the beginning of the next: where a
	// publisher that was killed stays in the bus's tables until its lease ends (DDS). That is a conflict, and a
	// second publisher as well from then on or as soon as both are heard. 0 where names are known once (ROS 1).
	Succession time.Duration
	// MaxAge is how old a report may be before the bus counts as lost; positive.
	MaxAge time.Duration
}

// BusReport is what the bus says about one topic. Every name in it is a claim.
type BusReport struct {
	// At is the boot clock's reading at which the report arrived.
	At time.Duration
	// Known is false if the bus could not be asked; then nothing else in the value means anything.
	Known bool
	// Flooded is true if the bus has lately passed over announcements among forged ones, so that it may not list all.
	Flooded bool
	// Publishers are the names that the bus lists, Total their number: it can be larger than Publishers.N.
	Publishers Names
	Total      int
	// ConsumerKnown is true if the consumer was asked; Sources are then the names that it is connected to.
	ConsumerKnown bool
	Sources       Names
	SourcesTotal  int
	// Registered is true if the bus lists the guard among the publishers.
	Registered bool
	// Rivals is true if the bus has lately heard two senders under one of the names, so that neither has taken the other's
	// place.
	Rivals bool
	// PeersKnown is true if Peers are the peers of our own real connections to this topic.
	PeersKnown bool
	Peers      Names
	PeersTotal int
}

// PublisherStatus is what the watch says about its topic.
type PublisherStatus struct {
	// Unknown, Second, Bypass, Unregistered, Lost, Conflict and Flooded are the conditions of PublisherUnknown,
	// PublisherSecond, GateBypass, GateUnregistered, BusLost, PublisherConflict and BusFlooded.
	Unknown, Second, Bypass, Unregistered, Lost, Conflict, Flooded Condition
	// Next is the boot clock's reading at which the status changes by time alone.
	Next time.Duration
}

// PublisherWatch compares what the bus says about one topic, and our own connections, with an allow-list. It is not
// safe for use by several goroutines.
type PublisherWatch struct {
	cfg PublisherConfig
	// known is true once the bus has answered, at at, and judged is what was found then.
	known  bool
	at     time.Duration
	judged PublisherStatus
	// twice is true while two publishers have one name, since when.
	twice bool
	since time.Duration
}

// NewPublisherWatch returns a watch that has seen no report. Every fault of the configuration is a *ConfigError.
func NewPublisherWatch(cfg PublisherConfig) (*PublisherWatch, error) {
	c := checker{part: "publishers"}
	c.duration("MaxAge", cfg.MaxAge)
	if cfg.Succession < 0 || cfg.Succession > maxDuration {
		c.bad("Succession", cfg.Succession, fmt.Sprintf("0s to %v", maxDuration))
	}
	if cfg.Self == "" {
		c.bad("Self", "nothing", "the guard's own name")
	}
	if cfg.Subject > MaxChannels || (cfg.Subject == 0) != cfg.Output {
		c.bad("Subject", cfg.Subject, fmt.Sprintf("0 for an output, 1 to %d for an input", MaxChannels))
	}
	switch n := cfg.Allowed.N; {
	case n < 0 || n > MaxNames:
		c.bad("Allowed.N", n, fmt.Sprintf("0 to %d", MaxNames))
	case cfg.Output && (n != 0 || cfg.Max != 0):
		c.bad("Allowed", fmt.Sprintf("%d names, at most %d at once", n, cfg.Max), "none: only the guard may publish there")
	case !cfg.Output && (n == 0 || cfg.Max < 1):
		c.bad("Allowed", fmt.Sprintf("%d names, at most %d at once", n, cfg.Max), "1 or more of each")
	default:
		for i, name := range cfg.Allowed.Name[:n] {
			if name == "" || name == cfg.Self {
				c.bad(fmt.Sprintf("Allowed.Name[%d]", i), fmt.Sprintf("%q", name), "the name of another node")
			}
		}
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &PublisherWatch{cfg: cfg}, nil
}

// Report takes what the bus said. A report from the future or older than the last counts as none.
func (w *PublisherWatch) Report(now time.Duration, r *BusReport) {
	if !r.Known || r.At > now || w.known && r.At < w.at {
		return
	}
	w.known, w.at = true, r.At
	if w.cfg.Output {
		w.judged = w.output(r)
	} else {
		w.judged = w.input(now, r)
	}
	if r.Flooded {
		w.judged.Flooded = Fault(CausePassedOver, w.cfg.Subject)
	}
}

// Status says how the topic is at now. It does not allocate.
func (w *PublisherWatch) Status(now time.Duration) PublisherStatus {
	if !w.known {
		// Nothing is known yet: Startup waits for it.
		return PublisherStatus{}
	}
	if now < w.at || since(now, w.at) > w.cfg.MaxAge {
		return PublisherStatus{Lost: Fault(CauseNoReply, w.cfg.Subject)}
	}
	s := w.judged
	s.Next = w.at + w.cfg.MaxAge
	return s
}

// input judges a topic that others publish on and the guard listens to.
func (w *PublisherWatch) input(now time.Duration, r *BusReport) PublisherStatus {
	s := allClear()
	names, total := r.Publishers.list(), r.Total
	s.Unknown = w.unlisted(names, total, CauseNotListed)
	many, twice := w.crowd(names, total)
	if r.PeersKnown {
		peers := r.Peers.list()
		s.Unknown = Worse(s.Unknown, w.unlisted(peers, r.PeersTotal, CauseUnlistedPeer))
		manyPeers, twicePeers := w.crowd(peers, r.PeersTotal)
		many, twice = many || manyPeers, twice || twicePeers
	}
	if twice && !w.twice {
		w.since = now
	}
	w.twice = twice
	if many || twice && (r.Rivals || now < w.since || since(now, w.since) >= w.cfg.Succession) {
		s.Second = Fault(CauseTooMany, w.cfg.Subject)
	}
	if twice && w.cfg.Succession > 0 {
		s.Conflict = Fault(CauseNameTwice, w.cfg.Subject)
	}
	return s
}

func (w *PublisherWatch) unlisted(names []string, total int, c Cause) Condition {
	for _, n := range names {
		if n == w.cfg.Self {
			return Fault(CauseOwnName, w.cfg.Subject)
		}
		if !w.cfg.Allowed.has(n) {
			return Fault(c, w.cfg.Subject)
		}
	}
	if total != len(names) {
		// More than can be named: nobody knows who the others are.
		return Fault(CauseTooMany, w.cfg.Subject)
	}
	return OK()
}

// crowd says whether there are more publishers than allowed, and whether two have one name that only one may have. Of
// these one is to be taken for the other's successor, so they count once.
func (w *PublisherWatch) crowd(names []string, total int) (many, twice bool) {
	n := 0
	for i, name := range names {
		if slices.Contains(names[:i], name) && !w.shared(name) {
			twice = true
			continue
		}
		n++
	}
	return n+max(0, total-len(names)) > w.cfg.Max, twice
}

// shared says whether several publishers may have the name.
func (w *PublisherWatch) shared(name string) bool {
	i := slices.Index(w.cfg.Allowed.list(), name)
	return i >= 0 && w.cfg.Shared[i]
}

// output judges the gate's own topic, on which nobody else may publish.
func (w *PublisherWatch) output(r *BusReport) PublisherStatus {
	s := allClear()
	names := r.Publishers.list()
	others, self := w.count(names)
	others += max(0, r.Total-len(names))
	switch {
	case others > 0:
		s.Second = Fault(CauseTooMany, w.cfg.Subject)
	case self > 1:
		s.Second = Fault(CauseOwnName, w.cfg.Subject)
	}
	if !r.Registered || self == 0 {
		s.Unregistered = Fault(CauseNotRegistered, w.cfg.Subject)
	}
	if !w.cfg.AskConsumer {
		// Where the consumer cannot be asked, it must be taken to listen to everybody who publishes; and whoever does so under
		// the guard's own name is not the guard.
		if others > 0 || self > 1 {
			s.Bypass = Fault(CauseForeignSource, w.cfg.Subject)
		}
		return s
	}
	if !r.ConsumerKnown {
		s.Bypass = Condition{State: Unknown, Cause: CauseNoReply, Subject: w.cfg.Subject}
		return s
	}
	sources := r.Sources.list()
	foreign, own := w.count(sources)
	if foreign > 0 || r.SourcesTotal > len(sources) || own > 1 {
		s.Bypass = Fault(CauseForeignSource, w.cfg.Subject)
	}
	if own == 0 && s.Unregistered.State == Clear {
		s.Unregistered = Fault(CauseNotConnected, w.cfg.Subject)
	}
	return s
}

// count returns how many of the names are others' and how many our own.
func (w *PublisherWatch) count(names []string) (others, self int) {
	for _, n := range names {
		if n == w.cfg.Self {
			self++
		} else {
			others++
		}
	}
	return others, self
}

func allClear() PublisherStatus {
	return PublisherStatus{Unknown: OK(), Second: OK(), Bypass: OK(), Unregistered: OK(), Lost: OK(), Conflict: OK(), Flooded: OK()}
}

// list returns the names; an impossible count is cut.
func (n *Names) list() []string { return n.Name[:max(0, min(n.N, MaxNames))] }

func (n *Names) has(name string) bool {
	return slices.Contains(n.list(), name)
}

const (
	publisherMagic = "RWIW"
	// publisherVersion is that of this part alone: it knows conflicts, which the first did not, and floods.
	publisherVersion = stateVersion + 2
)

// AppendState appends the watch's state, without its configuration.
func (w *PublisherWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, publisherMagic, publisherVersion)
	b = appendBool(b, w.known)
	b = appendStored(b, w.at)
	j := &w.judged
	for _, c := range [...]Condition{j.Unknown, j.Second, j.Bypass, j.Unregistered, j.Lost, j.Conflict, j.Flooded} {
		b = append(b, uint8(c.State), uint8(c.Cause), uint8(c.Cause>>8), uint8(c.Subject), uint8(c.Subject>>8))
	}
	b = appendBool(b, w.twice)
	b = appendStored(b, w.since)
	return seal(b, start)
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *PublisherWatch) RestoreState(b []byte) error {
	r, err := open(b, publisherMagic, publisherVersion)
	if err != nil {
		return err
	}
	n := PublisherWatch{cfg: w.cfg, known: r.bool("known"), at: r.duration(maxStored, "a time")}
	j := &n.judged
	for _, c := range [...]*Condition{&j.Unknown, &j.Second, &j.Bypass, &j.Unregistered, &j.Lost, &j.Conflict, &j.Flooded} {
		*c = Condition{State: State(r.enum(3, "a state")), Cause: Cause(r.u16()), Subject: r.u16()}
	}
	n.twice, n.since = r.bool("twice"), r.duration(maxStored, "a time")
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}
