package interlock

import (
	"time"
)

// MaxChannels is the largest number of a channel.
const MaxChannels = 64

// Velocity is a velocity of the robot's base in its own frame (REP-103).
type Velocity struct {
	// Linear is in m/s, Angular in rad/s, each x, y, z.
	Linear, Angular [3]float64
}

// ChannelKind says on whose behalf a channel commands the robot.
type ChannelKind uint8

// Kinds of channel.
const (
	// ChannelUnknown is the zero value; its commands never pass.
	ChannelUnknown ChannelKind = iota
	// ChannelOperator is a person at a desk or with a remote control.
	ChannelOperator
	// ChannelFleet is the fleet's control.
	ChannelFleet
	// ChannelVendor is the vendor's remote service.
	ChannelVendor
	// ChannelAutonomy is a planner on the robot.
	ChannelAutonomy
)

// String names the kind as topic mappings write it.
func (k ChannelKind) String() string {
	if k > ChannelAutonomy {
		return "unknown"
	}
	return [...]string{"unknown", "operator", "fleet", "vendor", "autonomy"}[k]
}

// Remote says whether the channel's commands come from outside the robot.
func (k ChannelKind) Remote() bool { return k != ChannelAutonomy }

// Command is one velocity command as it arrived.
type Command struct {
	Velocity
	// Channel is the channel's number, from 1 to MaxChannels.
	Channel uint16
	// Kind is the channel's kind.
	Kind ChannelKind
	// Dock is true if the channel's commander is the dock's.
	Dock bool
	// Received is the boot clock's reading at which it arrived.
	Received time.Duration
	// WrongFrame is true if the message carries another frame than it must.
	WrongFrame bool
	// Stamped is true if the message carries its sender's time; Age is then how old it was when it arrived, by that
	// time, negative if it lies ahead.
	Stamped bool
	Age     time.Duration
	// Refused says why nobody may command like this, whatever the command is: GateUnproven, GateWeak or GateNoSession;
	// GatePassed if there is nothing to say against it.
	Refused GateReason
	// Mark is what the channel's watch found about it, ArrivalNew if nothing.
	Mark ArrivalMark
}

// GateConfig sets up a Gate. Every duration and length must be positive.
type GateConfig struct {
	// CommandTimeout is how long one command is valid.
	CommandTimeout time.Duration
	// MaxSkew is how far ahead a sender's time stamp may lie.
	MaxSkew time.Duration
	// ZeroPeriod is the longest time between two zero commands while no command passes.
	ZeroPeriod time.Duration
	// RadiusM is the radius in metres of the robot's contour around its base: the speed of a turn is its rate times this.
	RadiusM float64
}

// GateInput is everything that one step of a Gate looks at.
type GateInput struct {
	// New is true if Command arrived since the last step; else only time has passed.
	New bool
	// Command is the command that arrived.
	Command Command
	// Axes is the Decision's restriction.
	Axes Axes
	// Latched is true if a trigger that a person has to reset holds motion: Decision.HeldByLatch. After it, as after a stop,
	// a channel has to be neutral before it commands anything.
	Latched bool
	// Closed has bit i-1 set for each channel i whose command does not pass any longer, though it did: its session is over.
	Closed uint64
	// Because is the Decision's worst trigger, NumTriggers if there is none; it is passed on into the output.
	Because Trigger
	// Ratio is the geofence's, in [0, 1], by which every command is scaled; above 1 counts as 1, NaN passes nothing.
	Ratio float64
	// OfNew is true if Ratio is the geofence's answer to Command alone: if Command is dropped, it does not scale the one that
	// passes, whose own ratio comes with the next step. Else whoever can send what is dropped could stop the robot by it.
	OfNew bool
	// MaxSpeedMPS is the geofence's cap in m/s; +Inf for none. NaN passes nothing, and so does the zero value.
	MaxSpeedMPS float64
}

// GateReason says why a command was cut or dropped.
type GateReason uint8

// Reasons of a gate.
const (
	// GatePassed means that the command went out as it came in.
	GatePassed GateReason = iota
	// GateScaledByRatio means that the geofence's ratio scaled it.
	GateScaledByRatio
	// GateScaledBySpeed means that a speed cap scaled it.
	GateScaledBySpeed
	// GateHeld means that motion is held.
	GateHeld
	// GateStopped means that motion is stopped.
	GateStopped
	// GateNotDock means that only the dock's commander may command now.
	GateNotDock
	// GateRemote means that remote commands are blocked.
	GateRemote
	// GateUnknownChannel means that the command came over no known channel.
	GateUnknownChannel
	// GateNotFinite means that the command holds NaN or an infinity.
	GateNotFinite
	// GateStale means that the command was too old when it came to the gate.
	GateStale
	// GateFuture means that the command's time lies ahead.
	GateFuture
	// GateOutOfOrder means that the command is older than one that has passed.
	GateOutOfOrder
	// GateBeforeRelease means that the command was received before motion was released.
	GateBeforeRelease
	// GateNeutral means that after a stop, or a hold that was reset, the channel must first send zero, or be silent for the command timeout.
	GateNeutral
	// GateTimeout means that the last command has run out and no new one came.
	GateTimeout
	// GateIdle means that no command has come yet.
	GateIdle
	// GateUnproven means that the command does not prove who sent it, on a channel that demands it.
	GateUnproven
	// GateWeak means that its sender is known less well than the policy demands.
	GateWeak
	// GateNoSession means that no session of control is open for its channel.
	GateNoSession
	// GateRepeated means that the command came before.
	GateRepeated
	// GateWrongFrame means that the command is given in another frame than the channel's first.
	GateWrongFrame
	// GateFrame means that the command is in another frame than it must be.
	GateFrame
	// NumGateReasons is the number of reasons.
	NumGateReasons
)

// String names the reason.
func (r GateReason) String() string {
	if r >= NumGateReasons {
		return "unknown"
	}
	return [NumGateReasons]string{
		"passed", "scaled by geofence", "scaled by speed cap", "held", "stopped", "not the dock's commander",
		"remote blocked", "unknown channel", "not finite", "stale", "from the future", "out of order",
		"from before the release", "waiting for neutral", "timed out", "idle",
		"not proven", "sender not known well enough", "no session of control",
		"repeated", "wrong frame",
		"not the mapped frame",
	}[r]
}

// GateOutput is what one step of a Gate decided.
type GateOutput struct {
	// Send is true if Velocity must go out now.
	Send bool
	// Velocity is the command to send.
	Velocity Velocity
	// Reason says what happened to the command, or why zeros go out.
	Reason GateReason
	// Because is the trigger behind it, NumTriggers if there is none.
	Because Trigger
	// Ratio is the factor that was applied, in [0, 1]; 0 if the command was dropped.
	Ratio float64
	// Dropped is true if a command arrived and did not pass.
	Dropped bool
	// Next is the boot clock's reading at which the gate must be stepped again, at the latest.
	Next time.Duration
}
