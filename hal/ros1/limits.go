package ros1

import (
	"fmt"
	"time"
)

// Defaults of Limits.
const (
	// DefaultPollInterval is the pause between two polls of the master, ± a tenth of jitter.
	DefaultPollInterval = 500 * time.Millisecond
	// DefaultConsumerInterval is the pause between two looks at the connections of a watched topic's consumer.
	DefaultConsumerInterval = 100 * time.Millisecond
	// DefaultRegistrationInterval is the pause between two checks that the master still lists our slave URI.
	DefaultRegistrationInterval = time.Second
	// DefaultRPCTimeout bounds one XML-RPC call, connect to last byte.
	DefaultRPCTimeout = time.Second
	// DefaultMaxRPCBytes bounds the body of one XML-RPC answer (a graph of some thousand topics).
	DefaultMaxRPCBytes = 2 << 20
	// DefaultDialTimeout bounds one TCP connect.
	DefaultDialTimeout = 500 * time.Millisecond
	// DefaultHandshakeTimeout bounds the exchange of TCPROS headers, in both directions.
	DefaultHandshakeTimeout = time.Second
	// DefaultMessageTimeout bounds the time from a message's first byte to its last.
	DefaultMessageTimeout = 250 * time.Millisecond
	// DefaultIdleTimeout is how long a publisher may say nothing before the connection is made anew.
	DefaultIdleTimeout = 10 * time.Second
	// DefaultStallTimeout is how long a subscriber may take nothing before it is dropped.
	DefaultStallTimeout = time.Second
	// DefaultRetryMin and DefaultRetryMax bound the pause before a publisher is tried again; it doubles in between.
	DefaultRetryMin = 50 * time.Millisecond //nolint:revive // the least, not minutes
	// DefaultRetryMax is the longest pause before a publisher is tried again.
	DefaultRetryMax = time.Second
	// DefaultCloseTimeout bounds the unregistration at the end.
	DefaultCloseTimeout = time.Second
	// DefaultMaxHeaderBytes bounds a TCPROS header.
	DefaultMaxHeaderBytes = 64 << 10
	// DefaultMaxPublishers bounds the publishers of one topic that are connected to.
	DefaultMaxPublishers = 8
	// DefaultMaxConnections bounds the TCPROS connections that others hold to us; a quarter is kept for
	// Publication.Consumers.
	DefaultMaxConnections = 64
	// DefaultMaxConnectionsPerAddr bounds those from one address, with the same reserve.
	DefaultMaxConnectionsPerAddr = 48
	// DefaultMaxConnectionsPerTopic bounds those on one topic; half of them are kept for Publication.Consumers.
	DefaultMaxConnectionsPerTopic = 16
	// DefaultMaxHandshakes bounds inbound connections whose header is not complete; the oldest gives way.
	DefaultMaxHandshakes = 16
	// DefaultMaxSlaveConnections bounds inbound connections to the slave API; the oldest gives way.
	DefaultMaxSlaveConnections = 32
	// DefaultMaxRequestBytes bounds the body of one request to the slave API.
	DefaultMaxRequestBytes = 64 << 10
	// DefaultMaxTransforms bounds the transforms in one TFMessage.
	DefaultMaxTransforms = 512
	// DefaultMaxJointNames bounds the names in one JointState.
	DefaultMaxJointNames = 256
	// DefaultServiceTimeout bounds a service call whose context has no earlier deadline.
	DefaultServiceTimeout = 2 * time.Second
	// DefaultMaxServiceBytes bounds the answer to a service call.
	DefaultMaxServiceBytes = 64 << 10
	// DefaultEventsPerSecond bounds the events of one kind; more are counted in Event.Suppressed.
	DefaultEventsPerSecond = 20
)

// Limits bounds time, memory and connections. A field that is 0 takes the Default constant of its name; New refuses
// negative ones. No value means "unlimited".
type Limits struct {
	PollInterval, RegistrationInterval    time.Duration
	ConsumerInterval                      time.Duration
	RPCTimeout, DialTimeout               time.Duration
	HandshakeTimeout, MessageTimeout      time.Duration
	IdleTimeout, StallTimeout             time.Duration
	RetryMin, RetryMax                    time.Duration
	CloseTimeout, ServiceTimeout          time.Duration
	MaxRPCBytes, MaxHeaderBytes           int
	MaxPublishers                         int
	MaxConnections, MaxConnectionsPerAddr int
	MaxConnectionsPerTopic, MaxHandshakes int
	MaxSlaveConnections, MaxRequestBytes  int
	MaxTransforms, MaxJointNames          int
	MaxServiceBytes, EventsPerSecond      int
}

// fill replaces zeros by the defaults and refuses negative values.
func (l *Limits) fill() error {
	for _, d := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"PollInterval", &l.PollInterval, DefaultPollInterval},
		{"ConsumerInterval", &l.ConsumerInterval, DefaultConsumerInterval},
		{"RegistrationInterval", &l.RegistrationInterval, DefaultRegistrationInterval},
		{"RPCTimeout", &l.RPCTimeout, DefaultRPCTimeout},
		{"DialTimeout", &l.DialTimeout, DefaultDialTimeout},
		{"HandshakeTimeout", &l.HandshakeTimeout, DefaultHandshakeTimeout},
		{"MessageTimeout", &l.MessageTimeout, DefaultMessageTimeout},
		{"IdleTimeout", &l.IdleTimeout, DefaultIdleTimeout},
		{"StallTimeout", &l.StallTimeout, DefaultStallTimeout},
		{"RetryMin", &l.RetryMin, DefaultRetryMin},
		{"RetryMax", &l.RetryMax, DefaultRetryMax},
		{"CloseTimeout", &l.CloseTimeout, DefaultCloseTimeout},
		{"ServiceTimeout", &l.ServiceTimeout, DefaultServiceTimeout},
	} {
		if *d.v < 0 {
			return fmt.Errorf("ros1: limit %s is %v; give a positive duration, or 0 for %v", d.name, *d.v, d.def)
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, c := range []struct {
		name string
		v    *int
		def  int
	}{
		{"MaxRPCBytes", &l.MaxRPCBytes, DefaultMaxRPCBytes},
		{"MaxHeaderBytes", &l.MaxHeaderBytes, DefaultMaxHeaderBytes},
		{"MaxPublishers", &l.MaxPublishers, DefaultMaxPublishers},
		{"MaxConnections", &l.MaxConnections, DefaultMaxConnections},
		{"MaxConnectionsPerAddr", &l.MaxConnectionsPerAddr, DefaultMaxConnectionsPerAddr},
		{"MaxConnectionsPerTopic", &l.MaxConnectionsPerTopic, DefaultMaxConnectionsPerTopic},
		{"MaxHandshakes", &l.MaxHandshakes, DefaultMaxHandshakes},
		{"MaxSlaveConnections", &l.MaxSlaveConnections, DefaultMaxSlaveConnections},
		{"MaxRequestBytes", &l.MaxRequestBytes, DefaultMaxRequestBytes},
		{"MaxTransforms", &l.MaxTransforms, DefaultMaxTransforms},
		{"MaxJointNames", &l.MaxJointNames, DefaultMaxJointNames},
		{"MaxServiceBytes", &l.MaxServiceBytes, DefaultMaxServiceBytes},
		{"EventsPerSecond", &l.EventsPerSecond, DefaultEventsPerSecond},
	} {
		if *c.v < 0 {
			return fmt.Errorf("ros1: limit %s is %d; give a positive number, or 0 for %d", c.name, *c.v, c.def)
		}
		if *c.v == 0 {
			*c.v = c.def
		}
	}
	return nil
}
