package msg

import "time"

// MaxPublishers is the largest number of publishers of one topic that a Graph reports by name; Total counts all.
const MaxPublishers = 16

// Graph is what the bus says about one watched topic: who offers it and, where the bus lets us ask, to whom the
// consumer of the topic is really connected. Every name in it is a claim.
type Graph struct {
	// Boot is the time on CLOCK_BOOTTIME at which the answer arrived.
	Boot time.Duration
	// Topic is the watched topic's name.
	Topic string
	// Known is false while the bus could not be asked; then nothing else in the value means anything.
	Known bool
	// Flooded is true while, or shortly after, announcements were passed over in a flood of forged ones (DDS): what is listed
	// is there, and nobody can say that it is all.
	Flooded bool
	// Publishers are the names that the bus lists as publishers, sorted, the first MaxPublishers of Total.
	Publishers [MaxPublishers]string
	// Total is the number of publishers that the bus lists.
	Total int
	// ConsumerKnown is true if the topic's consumer itself was asked (ROS 1: getBusInfo of the base).
	ConsumerKnown bool
	// Sources are the names that the consumer is connected to, sorted, the first MaxPublishers of SourcesTotal.
	Sources [MaxPublishers]string
	// SourcesTotal is the number of connections that the consumer reports.
	SourcesTotal int
	// Registered is true if the bus lists this process among the publishers. It matters for topics that we publish.
	Registered bool
}
