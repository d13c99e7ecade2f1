package interlock

import "time"

// Limits of what a DemandGate looks at.
const (
	// MaxDemandJoints is the largest number of joints that a robot may have.
	MaxDemandJoints = 64
	// MaxDemandPoints is the largest number of points that a command to joints may have: 40 s at 100 Hz.
	MaxDemandPoints = 4096
	// MaxDemandDuration is the longest that a command to joints may take. A longer one is a mistake, or is meant to go on
	// when nobody looks any more.
	MaxDemandDuration = 10 * time.Minute
)

// DemandKind says what a demand is about.
type DemandKind uint8

// Kinds of demands.
const (
	// DemandUnknown is the zero value; NewDemandGate refuses it.
	DemandUnknown DemandKind = iota
	// DemandJoints moves joints.
	DemandJoints
	// DemandGoal names a pose that the base is to reach.
	DemandGoal
	// DemandOpaque is a command whose content nobody here knows.
	DemandOpaque
)

// Axis names one axis of Axes.
type Axis uint8

// The axes.
const (
	// AxisUnknown is the zero value; NewDemandGate refuses it.
	AxisUnknown Axis = iota
	AxisMotion
	AxisManipulators
	AxisPerception
	AxisRemote
)

// String names the axis as policies write it.
func (a Axis) String() string {
	if a > AxisRemote {
		return "unknown"
	}
	return [...]string{"unknown", "motion", "manipulators", "perception", "remote"}[a]
}

// JointLimit is what one joint may be asked for. Positions are in rad or m, velocities in rad/s or m/s, efforts in N·m or N.
type JointLimit struct {
	// Min and Max are the end stops, ±Inf for a joint without.
	Min, Max float64
	// Velocity and Effort are the largest magnitudes. An effort of NaN is unknown: then none may be asked for.
	Velocity, Effort float64
}

// DemandConfig sets up a DemandGate. Every duration must be positive.
type DemandConfig struct {
	Kind DemandKind
	// Axis is the one that decides; for joints it is AxisManipulators, for goals AxisMotion.
	Axis Axis
	// Channel is on whose behalf the demands come, Dock is true if that is the dock's commander.
	Channel ChannelKind
	Dock    bool
	// Timeout is the age beyond which a demand is stale, and the silence that a channel needs after a latched hold.
	Timeout time.Duration
	// MaxSkew is how far ahead a sender's time stamp may lie.
	MaxSkew time.Duration
	// Cancels is true if goals that are under way can be cancelled: then the gate ends them when its axis closes.
	Cancels bool

	// What follows is for joints.

	// Joints has bit i set for each joint that may be commanded here.
	Joints uint64
	Limits [MaxDemandJoints]JointLimit
	// Reduced is the share of velocity and effort, in (0, 1], that ManipulatorsLimited leaves.
	Reduced float64
	// Reach is how soon a position that comes without a time is taken to be reached.
	Reach time.Duration
	// Slack is how far the first point may be from where the joint is beyond the way that it can make in time, in rad or m: a
	// joint lags behind its command.
	Slack float64
	// Streamed is true where a controller goes on with the last command until the next: then the gate ends one that is not
	// followed by another within Timeout.
	Streamed bool
}

// JointDemand is the outline of a command to joints; NaN stands for what the command does not say.
type JointDemand struct {
	// Points is the number of points; none is the command to stop.
	Points int
	// Seen has bit i set for each joint that is named, Unknown counts names that the robot does not have.
	Seen    uint64
	Unknown int
	// Lengths, Twice and Count are true if arrays do not fit the names, if a joint is named twice, if there is more than is
	// read.
	Lengths, Twice, Count bool
	// NotFinite is true if any number is NaN or infinite.
	NotFinite bool
	// Timed is true if points have times, Rising if each is later than the one before. Start and Duration are the first
	// point's and the last one's.
	Timed, Rising   bool
	Start, Duration time.Duration
	// First is the first point's position, Lowest and Highest bound the positions, Slope the speed between points; Velocity
	// and Effort are the largest magnitudes.
	First, Lowest, Highest, Velocity, Effort, Slope [MaxDemandJoints]float64
}

// DemandItem is one command as it arrived.
type DemandItem struct {
	// Known is true if the bus knows who sent it, FrameOK if it is in the frame that it must be in.
	Known, FrameOK bool
	// Received is the boot clock's reading at which it arrived. Stamped is true if it carries its sender's time; Age is then
	// how old it was, by that time, negative if it lies ahead.
	Received time.Duration
	Stamped  bool
	Age      time.Duration
	// Joints belongs to DemandJoints; nil is a demand that cannot be judged.
	Joints *JointDemand
	// Goal belongs to DemandGoal.
	Goal GoalAnswer
}

// GoalAnswer is what the geofence says about a goal.
type GoalAnswer uint8

// Answers about a goal.
const (
	// GoalUnknown is the zero value: nobody can say whether the robot may be there.
	GoalUnknown GoalAnswer = iota
	// GoalNotFinite means that the pose is no pose.
	GoalNotFinite
	// GoalForbidden means that the robot's contour would be where it may not be.
	GoalForbidden
	// GoalAllowed means that it may be there.
	GoalAllowed
	// GoalUnlisted means that the goal names a program to be run on the way that nobody has listed.
	GoalUnlisted
)

// MeasuredJoints is where the joints are, in rad or m, of those in Known, measured at At; those in Still do not move.
type MeasuredJoints struct {
	At           time.Duration
	Known, Still uint64
	Position     [MaxDemandJoints]float64
}

// DemandInput is everything that one step of a DemandGate looks at.
type DemandInput struct {
	// New is true if Demand arrived since the last step; else only time has passed.
	New    bool
	Demand DemandItem
	// Axes is the Decision's restriction, Latched as in GateInput, Because the Decision's worst trigger.
	Axes    Axes
	Latched bool
	Because Trigger
	// Measured is where the joints are; nil counts as none known.
	Measured *MeasuredJoints
}

// DemandReason says why a demand was dropped.
type DemandReason uint8

// Reasons of a demand gate. The numbers are part of the journal's format.
const (
	// DemandPassed means that the demand went out as it came in.
	DemandPassed DemandReason = iota
	// DemandStopped and DemandHeld mean that the base is stopped or held.
	DemandStopped
	DemandHeld
	// DemandDisabled and DemandArmsHeld mean that manipulators are disabled or held.
	DemandDisabled
	DemandArmsHeld
	// DemandPrivate means that cameras and microphones are to be closed.
	DemandPrivate
	// DemandNotDock means that only the dock's commander may command now.
	DemandNotDock
	// DemandRemote means that remote commands are blocked.
	DemandRemote
	// DemandUnknownPeer means that the bus does not know who sent it.
	DemandUnknownPeer
	// DemandNotFinite means that it holds NaN or an infinity.
	DemandNotFinite
	// DemandStale, DemandFuture and DemandOutOfOrder are about its time.
	DemandStale
	DemandFuture
	DemandOutOfOrder
	// DemandBeforeRelease means that it was received before the axis was released.
	DemandBeforeRelease
	// DemandNeutral means that after a stop, or a hold that was reset, the channel must first be silent for the timeout.
	DemandNeutral
	// DemandFrame means that it is in another frame than it must be.
	DemandFrame
	// DemandMalformed means that arrays do not fit the names, or that nothing is named.
	DemandMalformed
	// DemandTwice means that a joint is named twice.
	DemandTwice
	// DemandCount means more names, points or time than a command may have.
	DemandCount
	// DemandUnknownJoint means a name that the robot does not have, DemandForeignJoint a joint that is not commanded here.
	DemandUnknownJoint
	DemandForeignJoint
	// DemandTimes means that a point is not later than the one before it, or due before the start.
	DemandTimes
	// DemandPosition, DemandVelocity and DemandEffort mean a value beyond the joint's limit.
	DemandPosition
	DemandVelocity
	DemandEffort
	// DemandSlope means that the way between two points is faster than the joint's limit.
	DemandSlope
	// DemandStart means that the way from where the joint is to the first point is faster than the joint's limit.
	DemandStart
	// DemandUnmeasured means that nobody knows where the joint is.
	DemandUnmeasured
	// DemandForbidden means that the goal lies where the robot may not be.
	DemandForbidden
	// DemandUnjudged means that nobody can say whether the robot may be at the goal.
	DemandUnjudged
	// DemandUnlisted means that the goal names a program, as Nav2's behaviour trees are, that nobody has listed.
	DemandUnlisted
	// NumDemandReasons is the number of reasons.
	NumDemandReasons
)

// String names the reason.
func (r DemandReason) String() string {
	if r >= NumDemandReasons {
		return "unknown"
	}
	return [NumDemandReasons]string{
		"passed", "stopped", "held", "manipulators disabled", "manipulators held", "private", "not the dock's commander",
		"remote blocked", "unknown peer", "not finite", "stale", "from the future", "out of order", "from before the release",
		"waiting for silence", "wrong frame", "lengths do not fit", "joint named twice", "too many", "unknown joint",
		"joint not commanded here", "times do not grow", "position beyond its limit", "velocity beyond its limit",
		"effort beyond its limit", "too fast between points", "too fast to its first point", "joint's position unknown",
		"goal in a forbidden zone", "goal cannot be judged", "behaviour tree not listed",
	}[r]
}

// DemandOutput is what one step of a DemandGate decided.
type DemandOutput struct {
	// Pass is true if the demand must go out now, unchanged; Dropped if one arrived and did not pass.
	Pass, Dropped bool
	Reason        DemandReason
	// Joint is the joint that a limit was broken for, -1 for none; Found is what was asked for and Limit what is allowed.
	Joint        int
	Found, Limit float64
	// End is true if what went out before must be ended now: controllers have to be told to stop. Ended says why.
	// Again is true if they were told before, and the joints do not stand still yet.
	End, Again bool
	Ended      DemandReason
	// Because is the trigger behind it, NumTriggers if there is none.
	Because Trigger
	// Open is true while demands may pass at all.
	Open bool
}
