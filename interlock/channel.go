package interlock

import (
	"fmt"
	"time"
)

// ChannelHealth says how well a way to command the robot works. Larger is worse, so that the worst of several counts.
type ChannelHealth uint8

// Healths of a channel.
const (
	// HealthIdle means that the channel is silent and nobody waits for it.
	HealthIdle ChannelHealth = iota
	// HealthGood means that it works.
	HealthGood
	// HealthDegraded means that it works badly: commands come late, unevenly, not all, or from a clock that is wrong.
	HealthDegraded
	// HealthLost means that it has fallen silent although the task needs it, or in the middle of a motion.
	HealthLost
	// HealthHostile means that what comes can hardly be the rightful commander's alone: commands come again, too often, or
	// in another form.
	HealthHostile
	// NumChannelHealths is the number of healths.
	NumChannelHealths
)

// String names the health.
func (h ChannelHealth) String() string {
	if h >= NumChannelHealths {
		return "unknown"
	}
	return [NumChannelHealths]string{"idle", "good", "degraded", "lost", "hostile"}[h]
}

// ChannelConfig sets up a ChannelWatch. Every duration must be positive.
type ChannelConfig struct {
	// Subject is the channel's number, from 1, that conditions carry.
	Subject uint16
	// Needed says that the task needs the channel: then its silence is a loss, and the start waits for it.
	Needed bool
	// Several says that more than one publisher may command by it, each with a clock of its own.
	Several bool
	// Timeout is how long one command is valid: a longer pause in the middle of a motion is a dropout.
	Timeout time.Duration
	// LostAfter is the silence after which the channel is lost; larger than Timeout.
	LostAfter time.Duration
	// MinPeriod is the shortest regular interval between two commands; Burst commands above that rate are a flood.
	MinPeriod time.Duration
	Burst     int
	// MaxJitter is the largest mean deviation of the interval between two commands from its mean.
	MaxJitter time.Duration
	// MaxLatency is how much later a command may come than the quickest of the last LatencyWindow; only by stamps.
	MaxLatency    time.Duration
	LatencyWindow time.Duration
	// MaxSkew is the largest difference between the sender's clock and the robot's; only by stamps. MaxAhead is how far ahead
	// a stamp may lie to be taken at all: as far as the gate lets it.
	MaxSkew, MaxAhead time.Duration
	// MaxLossPerMille is the largest share of commands that may be lost; only by numbers.
	MaxLossPerMille int
	// Signs of trouble in quick succession count together; one is forgiven each Forgive.
	Signs   int
	Forgive time.Duration
	// Dwell is how long every sign must have been away before the health becomes better.
	Dwell time.Duration
	// Frame is a digest of the frame that commands have to be given in; 0 lets the watch learn it from what comes.
	Frame uint64
}

const (
	// maxLossWindow is the number of commands over which losses are counted; then both counts are halved.
	maxLossWindow = 256
	// minSamples is the number of commands before jitter and losses are judged.
	minSamples = 16
	// maxGap is the largest difference of two numbers that still counts as a loss; maxOvertaken the largest one backwards that
	// a network may make of one sender's commands.
	maxGap = 1024
	// frameRun is the largest number of commands in a row that another frame has to be given in to be taken for the channel's.
	frameRun     = 8
	maxOvertaken = 16
)

// Arrival is one command on a channel, as far as the channel's health goes. Whether it passes the gate does not matter.
type Arrival struct {
	// Received is the boot clock's reading at which it arrived; Civil the robot's civil time then, in nanoseconds since the
	// Unix epoch.
	Received time.Duration
	Civil    int64
	// Peer tells senders apart.
	Peer uint32
	// Seq is the sender's own number of the message, 0 where it gives none.
	Seq uint32
	// Stamp is the sender's own time in nanoseconds since the Unix epoch, 0 where it gives none.
	Stamp int64
	// Frame is a digest of the frame that it is given in, 0 where it gives none.
	Frame uint64
	// Moving is true unless it asks for a standstill.
	Moving bool
}

// ArrivalMark says what a ChannelWatch found about one command.
type ArrivalMark uint8

// Marks.
const (
	// ArrivalNew means that nothing speaks against it.
	ArrivalNew ArrivalMark = iota
	// ArrivalRepeated means that it came before: by its number or its stamp it is one of those that have been seen.
	ArrivalRepeated
	// ArrivalOvertaken means that a newer one came before it.
	ArrivalOvertaken
	// ArrivalWrongFrame means that it is given in another frame than the channel's.
	ArrivalWrongFrame
)

// ChannelStatus is what a ChannelWatch says about its channel.
type ChannelStatus struct {
	// Health is how well it works, Cause why it is not good.
	Health ChannelHealth
	Cause  Cause
	// Degraded, Lost and Hostile are the conditions of ChannelDegraded, ChannelLost and ChannelHostile. The second is unknown
	// until a channel that the task needs is first heard.
	Degraded, Lost, Hostile Condition
	// Heard is true once something has come, and Silent for how long nothing has since.
	Heard  bool
	Silent time.Duration
	// Period is the mean interval between commands, Jitter the mean deviation from it; 0 while nothing is known.
	Period, Jitter time.Duration
	// Timed is true while stamps are known: Latency is then how much later commands come on average than the quickest of
	// late, and Skew by how much the sender's clock lies behind the robot's, the quickest way included.
	Timed         bool
	Latency, Skew time.Duration
	// LossPerMille is the share of commands that were lost.
	LossPerMille int
}

// Stranger says whether all that is wrong with the channel is somebody whom the bus did not let speak on it.
func (s *ChannelStatus) Stranger() bool { return s.Cause == CauseWrongType }

// ChannelWatch says how well one way to command the robot works, from when commands come and what their senders number
// and stamp them with. It knows nobody's key: whoever can speak in the commander's name can make it say anything, so what
// it says may restrict no more than the policy's cap on hearsay. It is not safe for use by several goroutines.
type ChannelWatch struct {
	cfg ChannelConfig

	heard, moving bool
	last          time.Duration
	// samples counts the intervals in period and jitter since the channel last began to speak.
	samples        int
	period, jitter time.Duration
	uneven         bool

	peer     uint32
	numbered bool
	seq      uint32
	expected int
	lost     int
	lossy    bool

	stamped bool
	stamp   int64
	// now and before are the smallest differences between the receiver's boot clock and stamps in this window and in the one
	// before: the clocks' difference and the quickest way. began is when this window began; timed is true once one has.
	timed, hasBefore bool
	now, before      int64
	began            time.Duration
	latency          int64
	// lateAt is when a late command last counted as a sign, if wasLate is true.
	wasLate bool
	lateAt  time.Duration
	skew    time.Duration
	skewed  bool

	// frame is the channel's, which held commands, counted up to frameRun, were given in; other is the one that the last run
	// commands in a row were given in instead. A frame that was learnt from a forged command must not make the rightful
	// commander's wrong for ever.
	frame, other uint64
	held, run    uint8

	flood, replays, frames        bucket
	dropouts, late, order, strays bucket
	steps                         bucket
	// stray is why the bus refused a sender last.
	stray Cause

	// health is what was said last, cause why, and worst when a sign of it was last seen.
	health ChannelHealth
	cause  Cause
	worst  time.Duration
}

// NewChannelWatch returns a watch that has heard nothing. Every fault of the configuration is a *ConfigError.
func NewChannelWatch(cfg ChannelConfig) (*ChannelWatch, error) {
	c := checker{part: "channel"}
	if cfg.Subject == 0 || cfg.Subject > MaxChannels {
		c.bad("Subject", cfg.Subject, fmt.Sprintf("a channel, 1 to %d", MaxChannels))
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"Timeout", cfg.Timeout},
		{"LostAfter", cfg.LostAfter},
		{"MinPeriod", cfg.MinPeriod},
		{"MaxJitter", cfg.MaxJitter},
		{"MaxLatency", cfg.MaxLatency},
		{"LatencyWindow", cfg.LatencyWindow},
		{"MaxSkew", cfg.MaxSkew},
		{"MaxAhead", cfg.MaxAhead},
		{"Forgive", cfg.Forgive},
		{"Dwell", cfg.Dwell},
	} {
		c.duration(d.field, d.value)
	}
	if cfg.LostAfter <= cfg.Timeout {
		c.bad("LostAfter", cfg.LostAfter, fmt.Sprintf("more than Timeout, which is %v", cfg.Timeout))
	}
	if cfg.MaxLossPerMille < 1 || cfg.MaxLossPerMille > 1000 {
		c.bad("MaxLossPerMille", cfg.MaxLossPerMille, "1 to 1000")
	}
	if cfg.Burst < 1 || cfg.Burst > maxCount {
		c.bad("Burst", cfg.Burst, fmt.Sprintf("1 to %d", maxCount))
	}
	if cfg.Signs < 1 || cfg.Signs > maxCount {
		c.bad("Signs", cfg.Signs, fmt.Sprintf("1 to %d", maxCount))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &ChannelWatch{cfg: cfg, frame: cfg.Frame}, nil
}
