package reliable

import "time"

// Defaults of InboxConfig.
const (
	// DefaultMaxSample bounds one sample's serialised payload: a megapixel image in one byte per pixel.
	DefaultMaxSample = 1 << 20
	// DefaultMaxHeld is how many numbers ahead of the next one are kept for order.
	DefaultMaxHeld = 64
	// MaxHeld is the most that MaxHeld can be: one ACKNACK tells of 256 numbers.
	MaxHeld = 256
	// DefaultMaxPartials bounds the samples of one writer of which some fragments are missing: the one in transit, the
	// one before, and what overtakes them.
	DefaultMaxPartials = 4
	// DefaultAckDelay is the pause between a heartbeat and its answer, in which what is on its way may still arrive.
	DefaultAckDelay = 2 * time.Millisecond
	// DefaultNackDelay is the pause before the same samples are asked for again; it doubles up to DefaultNackMax.
	DefaultNackDelay = 25 * time.Millisecond
	// DefaultNackMax is the longest pause between two requests for the same samples.
	DefaultNackMax = 200 * time.Millisecond
	// DefaultPartialTimeout is how long a partial sample is kept without a new fragment. It is longer than a few lost
	// requests, and short enough that forged fragments do not keep a genuine sample out for long.
	DefaultPartialTimeout = 3 * time.Second
	// DefaultGiveUp is how long a reliable reader waits for a sample that its writer says it has, and does not send.
	DefaultGiveUp = 30 * time.Second
	// DefaultJumpWindow is how far ahead a number may be: a minute without reception at a thousand samples per second.
	DefaultJumpWindow = 1 << 16
	// DefaultResyncAfter is how long numbers elsewhere must be the only ones before the Inbox believes them.
	DefaultResyncAfter = 2 * time.Second
)

// InboxConfig says what a reader wants of one writer and bounds what that costs. A field that is 0 takes its default;
// what is out of range is moved into it. No value means "unlimited".
type InboxConfig struct {
	// Reliable asks for every sample in order. The writer must be reliable as well.
	Reliable bool
	// SkipBacklog starts behind what the writer had when it was first heard of: for volatile readers of a writer that
	// keeps old samples for latecomers. Else a reliable reader starts with the oldest that the writer has.
	SkipBacklog bool
	// AskFromZero asks for the first heartbeat by an ACKNACK from number 0, as Fast DDS's own readers do: to one from 1 its
	// writers answer with their next periodic heartbeat only, up to 3 s later. The specification's numbers begin at 1.
	AskFromZero bool
	// MaxSample is the most bytes of one sample's payload with its encapsulation; at least 256. In fragments of less than
	// 256 bytes less is taken: 256 fragments, or a 256th of MaxSample.
	MaxSample int
	// MaxHeld is how many numbers, from the next one on, a reliable reader keeps and asks for at once; 1 to 256.
	MaxHeld int
	// MaxHeldBytes bounds all memory for payloads, held and partial together; at least MaxSample, by default twice that.
	MaxHeldBytes int
	// MaxPartials bounds the partial samples; 1 to 64.
	MaxPartials int
	// AckDelay is the pause between a heartbeat and its answer.
	AckDelay time.Duration
	// NackDelay is the pause before the same samples are asked for again; it doubles up to NackMax.
	NackDelay, NackMax time.Duration
	// PartialTimeout is how long a partial sample is kept without a new fragment.
	PartialTimeout time.Duration
	// GiveUp is how long a missing sample holds up those behind it, without any progress.
	GiveUp time.Duration
	// JumpWindow is how many numbers ahead are taken at once.
	JumpWindow int64
	// ResyncAfter is how long numbers elsewhere must be the only ones before they are believed.
	ResyncAfter time.Duration
}

// Defaults of OutboxConfig.
const (
	// DefaultDepth is the history's depth.
	DefaultDepth = 1
	// DefaultOutSample bounds one sample that is sent: 32 transforms, or a diagnostic array.
	DefaultOutSample = 8 << 10
	// DefaultFragmentSize fits one Ethernet frame together with the headers, as CycloneDDS has it.
	DefaultFragmentSize = 1344
	// DefaultMaxReaders bounds the readers of one writer.
	DefaultMaxReaders = 64
	// DefaultHeartbeatEvery is the pause between heartbeats to a reader that has not acknowledged; it doubles up to
	// DefaultHeartbeatMax.
	DefaultHeartbeatEvery = 100 * time.Millisecond
	// DefaultHeartbeatMax is the longest pause between heartbeats to a reader that has not acknowledged.
	DefaultHeartbeatMax = 500 * time.Millisecond
	// DefaultResendAfter is the pause between two repetitions for one reader; it doubles while that does not help.
	DefaultResendAfter = 10 * time.Millisecond
	// DefaultStallAfter is how long a reader may acknowledge nothing before it is stalled.
	DefaultStallAfter = 5 * time.Second
)

// Overhead is what a datagram needs beside one fragment: the message's header with INFO_DST (36 bytes), INFO_TS (12),
// DATA_FRAG's head (36), HEARTBEAT_FRAG (28) and HEARTBEAT (32). A datagram for Outbox.Next has room for Overhead and
// OutboxConfig.FragmentSize.
const Overhead = 144

// OutboxConfig says what a writer keeps and bounds what its readers cost. A field that is 0 takes its default; what is
// out of range is moved into it.
type OutboxConfig struct {
	// Reliable offers reliability; else every reader gets each sample once.
	Reliable bool
	// TransientLocal hands what is in the history to reliable readers that come later and want it.
	TransientLocal bool
	// Depth is how many samples the history keeps (KEEP_LAST); 1 to 4096.
	Depth int
	// MaxSample is the most bytes of one sample; Depth·MaxSample bytes are allocated at the beginning.
	MaxSample int
	// FragmentSize is how many bytes of a payload go into one datagram; 256 to 65000.
	FragmentSize int
	// MaxReaders bounds the readers; their ids are 0 to MaxReaders-1.
	MaxReaders int
	// HeartbeatEvery is the pause between heartbeats to a reader that has not acknowledged; it doubles up to
	// HeartbeatMax.
	HeartbeatEvery, HeartbeatMax time.Duration
	// ResendAfter is the pause between two repetitions for one reader.
	ResendAfter time.Duration
	// StallAfter is how long a reader may acknowledge nothing before it is stalled.
	StallAfter time.Duration
}

func (c *InboxConfig) fill() {
	c.MaxSample = within(c.MaxSample, DefaultMaxSample, 1<<minClass, 1<<30)
	c.MaxHeld = within(c.MaxHeld, DefaultMaxHeld, 1, MaxHeld)
	c.MaxHeldBytes = within(c.MaxHeldBytes, 2*c.MaxSample, c.MaxSample, 1<<40)
	c.MaxPartials = within(c.MaxPartials, DefaultMaxPartials, 1, 64)
	c.AckDelay = pause(c.AckDelay, DefaultAckDelay)
	c.NackDelay = pause(c.NackDelay, DefaultNackDelay)
	c.NackMax = max(pause(c.NackMax, DefaultNackMax), c.NackDelay)
	c.PartialTimeout = pause(c.PartialTimeout, DefaultPartialTimeout)
	c.GiveUp = pause(c.GiveUp, DefaultGiveUp)
	c.JumpWindow = within(c.JumpWindow, DefaultJumpWindow, MaxHeld, 1<<40)
	c.ResyncAfter = pause(c.ResyncAfter, DefaultResyncAfter)
}

func (c *OutboxConfig) fill() {
	c.Depth = within(c.Depth, DefaultDepth, 1, 4096)
	c.MaxSample = within(c.MaxSample, DefaultOutSample, 1, 1<<30)
	c.FragmentSize = within(c.FragmentSize, DefaultFragmentSize, 256, 65000)
	c.MaxReaders = within(c.MaxReaders, DefaultMaxReaders, 1, 4096)
	c.HeartbeatEvery = pause(c.HeartbeatEvery, DefaultHeartbeatEvery)
	c.HeartbeatMax = max(pause(c.HeartbeatMax, DefaultHeartbeatMax), c.HeartbeatEvery)
	c.ResendAfter = pause(c.ResendAfter, DefaultResendAfter)
	c.StallAfter = pause(c.StallAfter, DefaultStallAfter)
}

// within is v, def if v is 0, and not outside of least to most.
func within[T int | int64](v, def, least, most T) T {
	if v == 0 {
		v = def
	}
	return min(most, max(least, v))
}

// pause is d, or def if d is 0, but no less than a hundred microseconds: an answer to each packet is a livelock.
func pause(d, def time.Duration) time.Duration {
	if d == 0 {
		d = def
	}
	return max(d, 100*time.Microsecond)
}
