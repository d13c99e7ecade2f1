package interlock

import "time"

// MaxRungs is the largest number of rungs of a ladder.
const MaxRungs = 8

// RungKind says by what means a rung stops the robot.
type RungKind uint8

// Kinds of rung.
const (
	// RungUnknown is the zero value and is refused.
	RungUnknown RungKind = iota
	// RungService calls the vendor's stop service or action.
	RungService
	// RungZeroVelocity sends zero velocity; asserted with a demand to hold or stop, whatever its place.
	RungZeroVelocity
	// RungLock closes the multiplexer's lock; asserted with a demand to hold or stop, whatever its place.
	RungLock
	// RungDockService asks the robot to go to its dock; used for DemandDock alone.
	RungDockService
	// RungGPIO withdraws a permit line.
	RungGPIO
	// RungCAN sends a frame.
	RungCAN
	// RungRelay switches a relay, as over Modbus.
	RungRelay
	// RungWatchdog stops feeding a watchdog.
	RungWatchdog
	// RungTopic asserts the vendor's e-stop topic.
	RungTopic
	// NumRungKinds is the number of kinds.
	NumRungKinds
)

// String names the kind as robot profiles write it.
func (k RungKind) String() string {
	if k >= NumRungKinds {
		return "unknown"
	}
	return [NumRungKinds]string{
		"unknown", "service", "zero-velocity", "lock", "dock-service", "gpio", "can", "relay", "watchdog", "estop-topic",
	}[k]
}

// Demand is what the ladder is asked for. Larger is more restrictive.
type Demand uint8

// Demands.
const (
	// DemandNone asks for nothing.
	DemandNone Demand = iota
	// DemandDock asks the robot to go to its dock.
	DemandDock
	// DemandHold asks for a standstill.
	DemandHold
	// DemandStop asks for a standstill in the policy's stop category.
	DemandStop
)

// String names the demand.
func (d Demand) String() string {
	if d > DemandStop {
		return "unknown"
	}
	return [...]string{"none", "dock", "hold", "stop"}[d]
}

// DemandOf returns what the ladder has to do for a.
func DemandOf(a Axes) Demand {
	switch a.Normal().Motion {
	case MotionFree, MotionLimited:
		return DemandNone
	case MotionDockOnly:
		return DemandDock
	case MotionHold:
		return DemandHold
	case MotionStop:
	}
	return DemandStop
}

// Rung is one way to stop the robot.
type Rung struct {
	// Kind is its means.
	Kind RungKind
	// AckWithin is how long it may take to acknowledge; 0 for a rung that cannot acknowledge (zero velocity, a line).
	AckWithin time.Duration
	// Independent is true if it works when everything on ROS is hostile.
	Independent bool
	// Effect is how much later than its request the means reaches the robot by construction: a watchdog's timeout, the time
	// after which a toggled line counts as still.
	Effect time.Duration
	// Settle is not 0 for a rung that takes power from a robot which needs it until it has knelt or sat down: it is no way
	// to stop a moving one, and is asked only once a service rung has acknowledged and the standstill has lasted so long.
	Settle time.Duration
}

// LadderConfig sets up a Ladder, from the robot's profile.
type LadderConfig struct {
	// Rungs in the order in which they are asked, the first N.
	Rungs [MaxRungs]Rung
	N     int
	// React is the time from a demand to the beginning of braking (t_react).
	React time.Duration
	// DecelMPS2 is the deceleration of a controlled stop with load and slope, as measured by the vendor, in m/s².
	DecelMPS2 float64
	// MaxSpeedMPS is the robot's top speed in m/s, assumed wherever its speed is unknown.
	MaxSpeedMPS float64
	// SettleDwell is the dwell of the Standstill that measures: a robot that has come to rest in time may take this much
	// longer to be seen standing.
	SettleDwell time.Duration
	// ConfirmDwell is how long the standstill must last, once seen, before it is confirmed.
	ConfirmDwell time.Duration
	// LostGrace is how long measurements may contradict a confirmed standstill, or be missing, before the ladder goes
	// on. It burns while they do and refills at a quarter of that rate, so that a twitching robot is found as well.
	LostGrace time.Duration
}

// Ack is what a rung has answered.
type Ack uint8

// Acknowledgements.
const (
	// AckNone means no answer yet.
	AckNone Ack = iota
	// AckOK means that the actuator has taken the request.
	AckOK
	// AckFailed means that it refused, or could not be reached.
	AckFailed
)

// String names the acknowledgement.
func (a Ack) String() string {
	if a > AckFailed {
		return "unknown"
	}
	return [...]string{"none", "ok", "failed"}[a]
}

// LadderInput is everything that one step of a Ladder looks at.
type LadderInput struct {
	// Demand is DemandOf the Decision.
	Demand Demand
	// Motion is the standstill estimator's answer.
	Motion MotionState
	// SpeedMPS is the measured speed in m/s; meaningless without SpeedKnown.
	SpeedMPS   float64
	SpeedKnown bool
	// Acks holds each rung's answer to the present request.
	Acks [MaxRungs]Ack
	// GoingDown is true while the robot goes down as it was told and its base rests: legs that move then contradict no
	// standstill, and confirm none.
	GoingDown bool
	// PowerOff is true if the stop is of category 1: power goes once the robot has settled.
	PowerOff bool
}

// LadderPhase is how far a demand has come.
type LadderPhase uint8

// Phases of a ladder.
const (
	// LadderIdle means that nothing is demanded.
	LadderIdle LadderPhase = iota
	// LadderDocking means that the dock is asked for.
	LadderDocking
	// LadderRequested means that a stop is asked for and not yet confirmed.
	LadderRequested
	// LadderConfirmed means that the standstill is confirmed.
	LadderConfirmed
	// LadderUnconfirmed means that every rung was asked, and no standstill was confirmed.
	LadderUnconfirmed
)

// String names the phase.
func (p LadderPhase) String() string {
	if p > LadderUnconfirmed {
		return "unknown"
	}
	return [...]string{"idle", "docking", "requested", "confirmed", "unconfirmed"}[p]
}

// RungRecord is the history of one rung in the present demand, on the boot clock.
type RungRecord struct {
	// Requested, Acked, Failed and Confirmed are times; each is meaningful only with its flag.
	Requested, Acked, Failed, Confirmed time.Duration
	// WasRequested and so on say which of the times are set.
	WasRequested, WasAcked, WasFailed, WasConfirmed bool
}

// RungSet is a set of rungs by their place.
type RungSet uint8

// Has says whether the rung at place i is in the set.
func (s RungSet) Has(i int) bool { return i >= 0 && i < MaxRungs && s&(1<<i) != 0 }

// LadderOutput is what one step of a Ladder decided.
type LadderOutput struct {
	// Phase is how far the demand has come.
	Phase LadderPhase
	// Rung is the place of the rung that is being tried; -1 while idle.
	Rung int
	// Assert are the rungs that must be asserted now. Those that were asserted and are not here must be released.
	Assert RungSet
	// Asked are the rungs that became asserted in this step: each needs one new request.
	Asked RungSet
	// Unconfirmed is the condition of StopUnconfirmed, Untold that of MotionUntold.
	Unconfirmed, Untold Condition
	// DockRefused is true if the dock's service failed or did not answer: docking is not possible. It stays until
	// nothing is demanded any more, so that the robot does not change between holding and docking.
	DockRefused bool
	// Changed is true if Phase, Rung, Assert or a record differs from the last step's.
	Changed bool
	// Deadline is the boot clock's reading at which the ladder goes on if nothing is confirmed; 0 while it waits for
	// nothing.
	Deadline time.Duration
	// Records is the history of each rung in the present demand.
	Records [MaxRungs]RungRecord
}
