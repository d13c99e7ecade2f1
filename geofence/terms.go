package geofence

import "time"

// Loss is what a robot does that is in a Release or Door zone when its lease is
// lost (VDA 5050: releaseLossBehavior).
type Loss uint8

const (
	// LossUnset is the zero value and an error for a Release or Door zone.
	LossUnset Loss = iota
	// LossStop holds the robot where it is (VDA 5050: STOP).
	LossStop
	// LossContinue lets it go on, at creep speed at most and for ZoneSpec.Within at most (VDA 5050: CONTINUE).
	LossContinue
	// LossEvacuate lets it move out of the zone only, as an egress grant does (VDA 5050: EVACUATE).
	LossEvacuate
	lossEnd
)

// LeaseState is what became of a request for a zone, in VDA 5050's words.
type LeaseState uint8

const (
	// NoLease is the zero value: nobody has said anything.
	NoLease LeaseState = iota
	// Requested was asked and not answered.
	Requested
	// Queued waits for others.
	Queued
	// Granted allows entry until Lease.Until.
	Granted
	// Rejected was refused.
	Rejected
	// Revoked was granted and taken back at Lease.Until.
	Revoked
	// Expired was granted and ended at Lease.Until.
	Expired
	leaseEnd
)

// FactSet is a set of facts that open a Door.
type FactSet uint8

const (
	// FactBadge means that an authorised badge was shown at the door.
	FactBadge FactSet = 1 << iota
	// FactDoor means that the door is open for this robot.
	FactDoor
	// FactTask means that the robot's task leads through the door.
	FactTask
	factEnd
)

// MaxLeases is how many leases a robot can have at a time, those included that facts from the bus stand for.
const MaxLeases = 32

// Lease is the answer to a request for one Release or Door zone. The caller has
// checked its signature and what it is bound to.
type Lease struct {
	State LeaseState
	// Zone is an index from [Set.ZoneIndex].
	Zone int
	// Until is the end on CLOCK_BOOTTIME: of a granted lease as it was given, of a lost one as it came.
	Until time.Duration
	// MaxSpeedMPS is the lease's speed limit in the zone, > 0.
	MaxSpeedMPS float64
	// Facts are what the lease vouches for; a Door looks at them.
	Facts FactSet
}

// timed says whether zones of the kind count how long the robot stays.
func (k Kind) timed() bool { return k == DwellLimit || k == Door }

// deep says whether it counts how deep the contour is in a zone of the kind.
func (k Kind) deep() bool {
	return k == Blocked || k == KeepIn || k == Release || k == Door || k == NoStop
}

// Bounds on the durations of a zone.
const (
	maxDwell  = 24 * time.Hour
	maxWithin = 10 * time.Minute
)

// terms checks what only some kinds have: each must be given where it counts, and nowhere else.
func (i item) terms(spec *ZoneSpec) {
	leased := spec.Kind == Release || spec.Kind == Door
	if known := spec.Loss > LossUnset && spec.Loss < lossEnd; known != leased || spec.Loss >= lossEnd {
		i.fail("Loss", -1, "is %v, expected STOP, CONTINUE or EVACUATE for a Release or Door zone, and none for others", spec.Loss)
	}
	if known := spec.Facts > 0 && spec.Facts < factEnd; known != (spec.Kind == Door) || spec.Facts >= factEnd {
		i.fail("Facts", -1, "is %q, expected one or more facts for a Door zone, and none for others", spec.Facts)
	}
	i.duration("MaxDwell", spec.MaxDwell, spec.Kind.timed(), maxDwell, "a DwellLimit or Door zone")
	i.duration("Within", spec.Within, spec.Loss == LossContinue || spec.Kind == NoStop, maxWithin, "LossContinue or a NoStop zone")
}

func (i item) duration(field string, d time.Duration, wanted bool, most time.Duration, whom string) {
	if wanted && (d <= 0 || d > most) {
		i.fail(field, -1, "is %v, expected more than 0s and at most %v for %s", d, most, whom)
	}
	if !wanted && d != 0 {
		i.fail(field, -1, "is %v, expected none: it is for %s", d, whom)
	}
}
