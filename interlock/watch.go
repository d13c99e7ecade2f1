package interlock

import "time"

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
	// Max is how many of them may publish at once; at least 1 for an input.
	Max int
	// AskConsumer is true if the bus can ask the topic's consumer to whom it is connected (ROS 1: getBusInfo).
	AskConsumer bool
	// MaxAge is how old a report may be before the bus counts as lost; positive.
	MaxAge time.Duration
}

// BusReport is what the bus says about one topic. Every name in it is a claim.
type BusReport struct {
	// At is the boot clock's reading at which the report arrived.
	At time.Duration
	// Known is false if the bus could not be asked; then nothing else in the value means anything.
	Known bool
	// Publishers are the names that the bus lists, Total their number: it can be larger than Publishers.N.
	Publishers Names
	Total      int
	// ConsumerKnown is true if the consumer was asked; Sources are then the names that it is connected to.
	ConsumerKnown bool
	Sources       Names
	SourcesTotal  int
	// Registered is true if the bus lists the guard among the publishers.
	Registered bool
	// PeersKnown is true if Peers are the peers of our own real connections to this topic.
	PeersKnown bool
	Peers      Names
	PeersTotal int
}

// PublisherStatus is what the watch says about its topic.
type PublisherStatus struct {
	// Unknown, Second, Bypass, Unregistered and Lost are the conditions of PublisherUnknown, PublisherSecond,
	// GateBypass, GateUnregistered and BusLost.
	Unknown, Second, Bypass, Unregistered, Lost Condition
	// Next is the boot clock's reading at which the status changes by time alone.
	Next time.Duration
}

// LoopConfig sets up a LoopWatch. Every duration must be positive.
type LoopConfig struct {
	// Deadline is the longest time between the starts of two steps, and the longest that one step may take.
	Deadline time.Duration
	// Hard is the time at which a single miss counts at once; larger than Deadline.
	Hard time.Duration
	// Misses in quick succession count together; one is forgiven each Forgive.
	Misses  int
	Forgive time.Duration
}

// ClockConfig sets up a ClockWatch. Every duration must be positive.
type ClockConfig struct {
	// Threshold is the largest step of the civil clock against the boot clock.
	Threshold time.Duration
	// MaxDriftPPM is how fast the civil clock may be slewed, in millionths.
	MaxDriftPPM int64
	// Hold is how long a step stays present.
	Hold time.Duration
	// Floor is the oldest civil time that can be true, in nanoseconds since the Unix epoch: the build's time, or the
	// newest signed time seen.
	Floor int64
}
