package ros2

import (
	"fmt"
	"time"

	"github.com/robowarden/robowarden/hal/rtps"
)

// Defaults of Limits.
const (
	// DefaultWatchInterval is the longest pause between two reports of a watched topic.
	DefaultWatchInterval = 250 * time.Millisecond
	// DefaultSettleTime is how long the node listens before it says that it knows the graph: long enough for the
	// announcements at the start and their answers.
	DefaultSettleTime = 1500 * time.Millisecond
	// DefaultNameTimeout is how long a writer of a participant that speaks ROS may stay without a node; then it is
	// called by its address. On a starved computer the list came more than a second after the writer, and a stranger on a
	// gated topic latches a stop; nothing is taken from a writer meanwhile.
	DefaultNameTimeout = 2 * time.Second
	// DefaultRawTimeout is the same for a participant that does not offer the list of its nodes at all.
	DefaultRawTimeout = 250 * time.Millisecond
	// DefaultIdleTimeout is how long a publisher may say nothing before it is reported.
	DefaultIdleTimeout = 10 * time.Second
	// DefaultServiceTimeout bounds a service call whose context has no earlier deadline.
	DefaultServiceTimeout = 2 * time.Second
	// DefaultMaxServiceBytes bounds the answer to a service call.
	DefaultMaxServiceBytes = 64 << 10
	// DefaultMaxServices bounds the services that are called, since each keeps its two endpoints.
	DefaultMaxServices = 32
	// DefaultMaxPublishers bounds the publishers of one topic that are listened to.
	DefaultMaxPublishers = 8
	// DefaultMaxNodes bounds the nodes that one participant may list.
	DefaultMaxNodes = 128
	// DefaultMaxGIDs bounds the readers and writers that one participant may list: four times as many as it may announce.
	DefaultMaxGIDs = 2048
	// DefaultMaxTransforms bounds the transforms in one TFMessage.
	DefaultMaxTransforms = 512
	// DefaultMaxJointNames bounds the names in one JointState.
	DefaultMaxJointNames = 256
	// DefaultMatches bounds the writers that one of our readers hears and the readers that one of our writers serves: as
	// many as there may be participants, since each has both ends of ros_discovery_info. Of a topic's readers half are kept
	// for Publication.Consumers, which are sent to first.
	DefaultMatches = rtps.DefaultParticipants
	// DefaultHeldBytes bounds what one writer can make us hold besides one message, in bytes.
	DefaultHeldBytes = 64 << 10
	// DefaultEventsPerSecond bounds the events of one kind; more are counted in Event.Suppressed.
	DefaultEventsPerSecond = 20
)

// Limits bounds time and memory of the node. A field that is 0
// takes the Default constant of its name; New refuses negative ones. No value means "unlimited".
type Limits struct {
	WatchInterval, SettleTime        time.Duration
	NameTimeout, RawTimeout          time.Duration
	IdleTimeout, ServiceTimeout      time.Duration
	MaxServiceBytes, MaxServices     int
	MaxPublishers, MaxNodes, MaxGIDs int
	MaxTransforms, MaxJointNames     int
	EventsPerSecond                  int
	// RTPS bounds the participant below. Its zero fields take package rtps's defaults, but for WritersPerReader and
	// ReadersPerWriter (DefaultMatches) and HeldBytes (DefaultHeldBytes).
	RTPS rtps.Limits
}

// fill replaces zeros by the defaults and refuses negative values.
func (l *Limits) fill() error {
	l.RTPS.WritersPerReader = orDefault(l.RTPS.WritersPerReader, DefaultMatches)
	l.RTPS.ReadersPerWriter = orDefault(l.RTPS.ReadersPerWriter, DefaultMatches)
	l.RTPS.HeldBytes = orDefault(l.RTPS.HeldBytes, DefaultHeldBytes)
	for _, d := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"WatchInterval", &l.WatchInterval, DefaultWatchInterval},
		{"SettleTime", &l.SettleTime, DefaultSettleTime},
		{"NameTimeout", &l.NameTimeout, DefaultNameTimeout},
		{"RawTimeout", &l.RawTimeout, DefaultRawTimeout},
		{"IdleTimeout", &l.IdleTimeout, DefaultIdleTimeout},
		{"ServiceTimeout", &l.ServiceTimeout, DefaultServiceTimeout},
	} {
		if *d.v < 0 {
			return fmt.Errorf("ros2: limit %s is %v; give a positive duration, or 0 for %v", d.name, *d.v, d.def)
		}
		*d.v = orDefault(*d.v, d.def)
	}
	for _, c := range []struct {
		name string
		v    *int
		def  int
	}{
		{"MaxServiceBytes", &l.MaxServiceBytes, DefaultMaxServiceBytes},
		{"MaxServices", &l.MaxServices, DefaultMaxServices},
		{"MaxPublishers", &l.MaxPublishers, DefaultMaxPublishers},
		{"MaxNodes", &l.MaxNodes, DefaultMaxNodes},
		{"MaxGIDs", &l.MaxGIDs, DefaultMaxGIDs},
		{"MaxTransforms", &l.MaxTransforms, DefaultMaxTransforms},
		{"MaxJointNames", &l.MaxJointNames, DefaultMaxJointNames},
		{"EventsPerSecond", &l.EventsPerSecond, DefaultEventsPerSecond},
	} {
		if *c.v < 0 {
			return fmt.Errorf("ros2: limit %s is %d; give a positive number, or 0 for %d", c.name, *c.v, c.def)
		}
		*c.v = orDefault(*c.v, c.def)
	}
	return nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
