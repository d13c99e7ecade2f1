package geofence

import "time"

// ClockTrust says how far civil time can be believed.
type ClockTrust uint8

const (
	// ClockUntrusted is the zero value: every shift may or may not be running.
	ClockUntrusted ClockTrust = iota
	// ClockHoldover is believed; the caller bounds how long.
	ClockHoldover
	// ClockTrusted is synchronised and plausible.
	ClockTrusted
)

// Instant is now, on both clocks.
type Instant struct {
	// Boot is CLOCK_BOOTTIME; ages, dwell and deadlines count on it alone.
	Boot time.Duration
	// Civil is wall-clock time; only shifts, validity and stamps from the future look at it.
	Civil time.Time
	Trust ClockTrust
}

// Velocity is a planar twist in the base frame: m/s forward, m/s to the left,
// rad/s counter-clockwise.
type Velocity struct{ VX, VY, YawRate float64 }

// Pose is the newest pose of the base in the map frame, as received.
type Pose struct {
	// Seen is false until the first pose has arrived.
	Seen bool
	// Boot is the receive time; a new value announces a new pose.
	Boot time.Duration
	// StampNS is the sender's time, nanoseconds since the Unix epoch, 0 if absent.
	StampNS int64
	// X, Y and Z are in metres.
	X, Y, Z float64
	// QX, QY, QZ, QW are the orientation.
	QX, QY, QZ, QW float64
	// FrameOK is true if the pose came in the frame that the zones are drawn in.
	FrameOK bool
	// Floor is an index from [Set.FloorIndex], -1 if unknown.
	Floor int
	// HasCovariance is false where the sender gave none.
	HasCovariance bool
	// VarX, CovXY and VarY are in m², VarYaw in rad².
	VarX, CovXY, VarY, VarYaw float64
}

// Measured is the robot's own velocity, from odometry.
type Measured struct {
	// Known is false until a velocity has arrived.
	Known bool
	// Boot is the receive time.
	Boot time.Duration
	Velocity
}

// Motion is evidence of motion from a second source (joints, wheels, IMU).
type Motion struct{ Known, Moving bool }

// Egress is a verified permission to leave one zone that the robot is in.
type Egress struct {
	Active bool
	// Zone is an index from [Set.ZoneIndex]. Any keep-in zone of the floor stands
	// for the floor's whole union.
	Zone int
}

// Inputs is all that Step looks at beside its own memory.
type Inputs struct {
	Pose Pose
	// Second is the newest pose of a second source, for a robot that has one
	// ([Robot].Second).
	Second   Pose
	Velocity Measured
	Motion   Motion
	// Roles is a bit set of [Set.RoleIndex] values. 0 means unknown: then every
	// zone may bind, and the most restrictive answer holds.
	Roles uint64
	// Carried is what the robot carries; unknown is everything that its profile knows.
	Carried Carried
	// Task is what the robot is doing, and Operator on whose behalf; unknown lets every zone bind that asks for one.
	Task, Operator Fact
	Egress         Egress
	// Leases are the answers to requests for Release and Door zones, NoLease where unused. Of several for one zone the
	// most restrictive counts; no lease is a closed zone.
	Leases [MaxLeases]Lease
}

// Place is where the contour is, seen from one zone.
type Place uint8

const (
	// PlaceUnknown is the zero value: the pose cannot be used. It is never fine.
	PlaceUnknown Place = iota
	// Outside is farther than the margin, and any earlier hold is released.
	Outside
	// Margin is closer than the margin, or not yet released.
	Margin
	// Inside means that some part of the contour is in the zone; for KeepIn, some part is
	// not inside the union.
	Inside
)

// FaultSet is a set of named pose faults.
type FaultSet uint32

// The pose faults. Each holds the robot, except where its comment says otherwise.
const (
	// FaultPoseMissing: no pose has arrived yet.
	FaultPoseMissing FaultSet = 1 << iota
	// FaultPoseStale: the pose is older than PoseMaxAge, queueing delay included.
	FaultPoseStale
	// FaultPoseFuture: stamped or received later than now.
	FaultPoseFuture
	// FaultPoseNotFinite: a NaN or an infinity in position or orientation.
	FaultPoseNotFinite
	// FaultQuaternion: the orientation's norm is not 1.
	FaultQuaternion
	// FaultFrame: the pose is not in the zones' frame.
	FaultFrame
	// FaultFloor: the floor is unknown.
	FaultFloor
	// FaultRange: the position is beyond what zones can describe.
	FaultRange
	// FaultCovarianceUnknown: absent, zero, negative, NaN or impossible. It does
	// not hold where the profile assumes a standard deviation instead.
	FaultCovarianceUnknown
	// FaultCovarianceLarge: the standard deviation exceeds MaxStdDevM.
	FaultCovarianceLarge
	// FaultJump: the pose moved farther than the robot can; latched.
	FaultJump
	// FaultFrozen: the pose stands still while the robot moves; latched.
	FaultFrozen
	// FaultStampOrder: a stamp is absent, repeated or older than the one before; latched.
	FaultStampOrder
	// FaultVelocityUnknown: no fresh measured velocity, so nobody knows how far
	// the robot goes before it stops.
	FaultVelocityUnknown
	// FaultVelocityRange: the measured velocity is not finite or beyond the robot's bounds.
	FaultVelocityRange
	// FaultClock: boot time went backwards between two calls.
	FaultClock
	// FaultNotValid: civil time is outside the set's NotBefore and NotAfter.
	FaultNotValid
	// FaultDisagree: two sources of poses have differed for too long; latched, and
	// nobody knows which of them is right.
	FaultDisagree
	// FaultSecondLost: the second source of poses is missing, stale or unusable. It
	// does not hold by itself: what one source less means is the caller's to say.
	FaultSecondLost
	faultEnd
)

// Reason is the rule that decided.
type Reason uint8

// The reasons, each for one rule.
const (
	// ReasonNone: nothing restricts.
	ReasonNone Reason = iota
	// ReasonNotReady: Step has not been called yet.
	ReasonNotReady
	// ReasonPoseFault: a pose fault holds; see the fault set.
	ReasonPoseFault
	// ReasonCommandNotFinite: the command has a NaN or an infinity.
	ReasonCommandNotFinite
	// ReasonProfileSpeed: the command exceeds the robot's own bounds.
	ReasonProfileSpeed
	// ReasonPoseQuality: the pose is too poor for more than creep speed.
	ReasonPoseQuality
	// ReasonSpeedZone: in a SpeedLimit zone.
	ReasonSpeedZone
	// ReasonSpeedAhead: a SpeedLimit zone lies ahead.
	ReasonSpeedAhead
	// ReasonEdgeAhead: the stopping distance reaches a blocked zone or the keep-in edge.
	ReasonEdgeAhead
	// ReasonMargin: in the margin, at most creep speed and no closer.
	ReasonMargin
	// ReasonInside: inside a blocked zone or outside keep-in, hold.
	ReasonInside
	// ReasonEgress: leaving by grant, at creep speed.
	ReasonEgress
	// ReasonEgressDirection: there is a grant, but this motion does not lead out.
	ReasonEgressDirection
	// ReasonFloorDenied: the floor has no binding keep-in zone and denies.
	ReasonFloorDenied
	// ReasonMeasuredMotion: what the robot does now cannot stop before an edge.
	ReasonMeasuredMotion
	// ReasonBudget: a bound on computation was reached; the restrictive answer stands.
	ReasonBudget
	// ReasonNoManipulation: in a NoManipulation zone or its margin.
	ReasonNoManipulation
	// ReasonPrivacy: in a Privacy zone or its margin.
	ReasonPrivacy
	// ReasonDwell: stayed in a DwellLimit zone for too long.
	ReasonDwell
	// ReasonDoorHeld: stayed in a Door zone for too long.
	ReasonDoorHeld
	// ReasonPlaceUnknown: nobody knows where the robot is, so it may be in the zone.
	ReasonPlaceUnknown
	// ReasonContinue: the lease was lost inside, and the robot may go on at creep speed for a while.
	ReasonContinue
	// ReasonEvacuate: the lease was lost inside, and the robot may creep out.
	ReasonEvacuate
	// ReasonRefuge: held in a NoStop zone, at creep speed on the way out.
	ReasonRefuge
	// ReasonPartInside: a part reaches into a zone.
	ReasonPartInside
	// ReasonPartMargin: a part is so close to a zone that it may be inside before it is at rest.
	ReasonPartMargin
	// ReasonPartUnknown: joints are unknown, and what they could reach meets a zone.
	ReasonPartUnknown
	// ReasonView: a camera may see into a zone.
	ReasonView
	// ReasonWarn: in a zone's warn ring, nothing restricts yet.
	ReasonWarn
	// ReasonDirection: in a zone with a direction of travel or its margin. Of a Limit, that the motion deviates from it.
	ReasonDirection
	// ReasonDirectionAhead: such a zone lies ahead, and this motion would enter it in another direction.
	ReasonDirectionAhead
	reasonEnd
)

// MaxNear is how many zones a Verdict names, the most restrictive first.
const MaxNear = 8

// NoZone is the index that names no zone.
const NoZone = -1

// ZoneVerdict is one zone's part in a Verdict.
type ZoneVerdict struct {
	// Zone is the index in the Set.
	Zone  int
	Place Place
	// MarginM is the contour's distance to the zone in metres; inside, minus the
	// greatest depth of its outline.
	MarginM float64
	// AllowedMPS is the speed at which the robot could still stop before the zone
	// (or slow down to its limit) if it drove straight at it.
	AllowedMPS float64
	Reason     Reason
	// Certain is false where the zone binds only because roles or the clock are unknown.
	Certain bool
}

// Verdict is what a Step found out.
type Verdict struct {
	Faults FaultSet
	// Floor is the floor's index, -1 if unknown.
	Floor int
	// Place is the worst over all blocked zones and the keep-in union that bind.
	Place Place
	// Near holds the first N of the nearest zones that bind.
	Near [MaxNear]ZoneVerdict
	N    int
	// SpeedLimited says that MaxSpeedMPS holds, from speed zones and pose quality.
	SpeedLimited bool
	MaxSpeedMPS  float64
	// Hold says that no autonomous motion is allowed here, egress aside.
	Hold bool
	// Trip says that the measured motion cannot stop before an edge any more.
	Trip bool
	// RequiredM is the distance that the measured motion needs to stop, with all margins.
	RequiredM float64
	// MarginM is the static margin in metres: pose uncertainty, map error, rounding, age.
	MarginM float64
	// AgeS is the pose's age in seconds, queueing delay included.
	AgeS float64
	// Zone names the deciding zone, NoZone if none.
	Zone   int
	Reason Reason
	// BrakeShare and TurnBrakeShare are the parts, in (0, 1], of the profile's decelerations that stops have shown to be
	// there; all predictions brake with them.
	BrakeShare, TurnBrakeShare float64
	// ScheduleUntrusted says that shifts were judged without a trusted clock.
	ScheduleUntrusted bool
	// Manipulators, Perception and Remote are the other axes' restrictions.
	Manipulators, Perception, Remote Restriction
	// Dwell is set once the robot stays in a DwellLimit zone for longer than it may, DoorHeld in a Door.
	Dwell, DoorHeld Restriction
	// Lost is set while the robot leaves a zone whose lease it lost, by LossContinue or LossEvacuate.
	Lost Restriction
	// Warn is set in a zone's warn ring and from there on inwards. It restricts nothing.
	Warn Restriction
	// Loads are what the robot was taken to carry.
	Loads LoadSet
	// Refuge is set while the robot is in a NoStop zone that it can leave in time, and nothing here holds it: then a hold
	// by somebody else may become a creep, see [Fence.LimitRefuge]. RefugeWithin is the zone's bound.
	Refuge       Restriction
	RefugeWithin time.Duration
	// Parts is about the body's parts and cameras.
	Parts PartsVerdict
}

// Restriction says that a zone restricts something, which zone, and why.
type Restriction struct {
	On bool
	// Zone is the zone's index; where several restrict alike, the first.
	Zone   int
	Reason Reason
	// Certain is false where the zone binds only because roles, clock or place are unknown.
	Certain bool
}

// Limit is the answer to one command.
type Limit struct {
	// Ratio in [0, 1] scales every axis of the command.
	Ratio float64
	// Zone names the deciding zone, NoZone if none.
	Zone   int
	Reason Reason
	// FreeM is how far the contour's fastest point can go along the command before
	// the margin of the deciding zone, in metres; +Inf if no zone is in reach.
	FreeM float64
	// AllowedMPS is the commanded linear speed after the ratio.
	AllowedMPS float64
}
