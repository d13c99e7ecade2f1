package interlock

import (
	"math/bits"
	"time"
)

// Trigger numbers one class of fault or demand; see the table in triggers.go and TRIGGERS.md.
type Trigger uint8

// Class groups triggers whose trips count together for the flap guard.
type Class uint8

// Classes of triggers.
const (
	// ClassPose is where the robot is.
	ClassPose Class = iota
	// ClassBody is joints, inertial sensors, odometry and the devices of the robot.
	ClassBody
	// ClassZone is the geofence.
	ClassZone
	// ClassChannel is a way to command the robot. Subjects are channel numbers, from 1; 0 means every channel.
	ClassChannel
	// ClassPublisher is who is on the bus. Subjects are the numbers of watched topics, from 1, those of the channels first;
	// 0 means the gate's own output, for PublisherConflict any other topic as well. For PublisherProcess and
	// PublisherUnproven they are the caller's numbers of the processes that it demands, from 1.
	ClassPublisher
	// ClassBus is the bus as a whole.
	ClassBus
	// ClassSelf is the guard itself: its loop, clocks, files, its start and its attestation.
	ClassSelf
	// ClassOrder is what somebody with authority demands.
	ClassOrder
	// ClassActuation is whether the robot does what it is told.
	ClassActuation
	// NumClasses is the number of classes.
	NumClasses
)

// String names the class.
func (c Class) String() string {
	if c >= NumClasses {
		return "unknown"
	}
	return [NumClasses]string{
		"pose", "body", "zone", "channel", "publisher", "bus", "self", "order", "actuation",
	}[c]
}

// ClearCondition says what ends a trigger once it has fired. Larger is more demanding.
type ClearCondition uint8

// Clear conditions.
const (
	// ClearOnClear ends with its cause.
	ClearOnClear ClearCondition = iota
	// ClearOnDwell ends when its cause has been away for the rule's dwell without a break.
	ClearOnDwell
	// ClearByOperator stays latched until one person in an allowed role resets it.
	ClearByOperator
	// ClearByTwoPersons stays latched until two different persons in allowed roles reset it.
	ClearByTwoPersons
	// ClearNever stays latched; only service work outside this package ends it.
	ClearNever
	// NumClearConditions is the number of clear conditions.
	NumClearConditions
)

// String names the condition as policies write it.
func (c ClearCondition) String() string {
	if c >= NumClearConditions {
		return "unknown"
	}
	return [NumClearConditions]string{"on-clear", "on-dwell", "operator", "two-persons", "never"}[c]
}

// Latches says whether the trigger stays after its cause has gone.
func (c ClearCondition) Latches() bool { return c >= ClearByOperator }

// Role is what a person is allowed to do. Orders carry roles by name; the caller maps them.
type Role uint8

// Roles.
const (
	// RoleOperator drives or attends the robot.
	RoleOperator Role = iota
	// RoleSupervisor answers for the site's robots.
	RoleSupervisor
	// RoleSafetyEngineer answers for the policy.
	RoleSafetyEngineer
	// RoleSecurity answers for identities, keys and incidents.
	RoleSecurity
	// RoleService repairs the robot, usually the vendor's.
	RoleService
	// NumRoles is the number of roles.
	NumRoles
)

// String names the role as policies write it.
func (r Role) String() string {
	if r >= NumRoles {
		return "unknown"
	}
	return [NumRoles]string{"operator", "supervisor", "safety-engineer", "security", "service"}[r]
}

// RoleSet is a set of roles.
type RoleSet uint8

// Roles returns the set of the given roles; values outside the enumeration are left out.
func Roles(roles ...Role) RoleSet {
	var s RoleSet
	for _, r := range roles {
		if r < NumRoles {
			s |= 1 << r
		}
	}
	return s
}

// Has says whether r is in the set.
func (s RoleSet) Has(r Role) bool { return r < NumRoles && s&(1<<r) != 0 }

// String lists the roles, separated by commas.
func (s RoleSet) String() string {
	out := ""
	for r := range NumRoles {
		if s.Has(r) {
			if out != "" {
				out += ", "
			}
			out += r.String()
		}
	}
	return out
}

// State is what is known about a trigger's cause at one moment.
type State uint8

// States of a condition.
const (
	// Unknown is the zero value: nobody looked, or nobody could tell. It clears nothing, and it counts as the presence
	// of the trigger that the table names for it.
	Unknown State = iota
	// Clear means that somebody looked and the cause is not there.
	Clear
	// Present means that the cause is there.
	Present
)

// String names the state.
func (s State) String() string {
	switch s {
	case Clear:
		return "clear"
	case Present:
		return "present"
	case Unknown:
	}
	return "unknown"
}

// Condition is one trigger's cause at one moment. A State outside the enumeration counts as Present.
type Condition struct {
	// State says whether the cause is there.
	State State
	// Cause says more closely what it is.
	Cause Cause
	// Subject says of what: a channel, zone or joint by the caller's numbering from 1; 0 says nothing or all.
	Subject uint16
}

// OK is the condition of a cause that is not there.
func OK() Condition { return Condition{State: Clear} }

// Fault is the condition of a cause that is there.
func Fault(c Cause, subject uint16) Condition {
	return Condition{State: Present, Cause: c, Subject: subject}
}

// Worse returns the worse of two observations of one trigger: present before unknown before clear, a before b.
func Worse(a, b Condition) Condition {
	rank := func(c Condition) int {
		switch c.State {
		case Clear:
			return 0
		case Unknown:
			return 1
		case Present:
		}
		return 2
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// TriggerSet is a set of triggers. It is comparable; the zero value is empty.
type TriggerSet [2]uint64

// Set returns the set of the given triggers; numbers outside the table are left out.
func Set(triggers ...Trigger) TriggerSet {
	var s TriggerSet
	for _, t := range triggers {
		s.Add(t)
	}
	return s
}

// every returns the set of all triggers.
func every() TriggerSet {
	return TriggerSet{^uint64(0) >> (64 - min(64, NumTriggers)), 1<<(max(64, NumTriggers)-64) - 1}
}

// Has says whether t is in the set.
func (s TriggerSet) Has(t Trigger) bool {
	return t < NumTriggers && s[t>>6]&(1<<(t&63)) != 0
}

// Add puts t into the set; numbers outside the table are left out.
func (s *TriggerSet) Add(t Trigger) {
	if t < NumTriggers {
		s[t>>6] |= 1 << (t & 63)
	}
}

// Remove takes t out of the set.
func (s *TriggerSet) Remove(t Trigger) {
	if t < NumTriggers {
		s[t>>6] &^= 1 << (t & 63)
	}
}

// Union returns the triggers that are in s or in o.
func (s TriggerSet) Union(o TriggerSet) TriggerSet { return TriggerSet{s[0] | o[0], s[1] | o[1]} }

// Intersect returns the triggers that are in s and in o.
func (s TriggerSet) Intersect(o TriggerSet) TriggerSet { return TriggerSet{s[0] & o[0], s[1] & o[1]} }

// Minus returns the triggers that are in s and not in o.
func (s TriggerSet) Minus(o TriggerSet) TriggerSet { return TriggerSet{s[0] &^ o[0], s[1] &^ o[1]} }

// Empty says whether the set has no member.
func (s TriggerSet) Empty() bool { return s == TriggerSet{} }

// Len returns the number of members.
func (s TriggerSet) Len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// Next returns the first member at or after t; ok is false if there is none.
func (s TriggerSet) Next(t Trigger) (next Trigger, ok bool) {
	for i := int(t >> 6); i < len(s); i++ {
		w := s[i]
		if i == int(t>>6) {
			w &= ^uint64(0) << (t & 63)
		}
		if w != 0 {
			return Trigger(i<<6 + bits.TrailingZeros64(w)), true //nolint:gosec // below 128
		}
	}
	return 0, false
}

// Info is one row of the trigger table.
type Info struct {
	_ [0]func() // nobody compares tables of them, so nothing is linked that could
	// Code is the stable machine name, such as "pose.stale".
	Code string
	// Title is a short name for people.
	Title string
	// Text says in plain words what has happened.
	Text string
	// Playbook says what a person does about it.
	Playbook string
	// Class groups the trigger for the flap guard.
	Class Class
	// Default is the rule that DefaultPolicy sets.
	Default Rule
	// Bounds is what a policy may change about it.
	Bounds Bounds
	// UnknownAs is the trigger that an unknown condition makes present: itself, or the one that answers for the input.
	UnknownAs Trigger
	// Overridable says whether a signed, time-boxed override may suspend it.
	Overridable bool
	// Hearsay says that whoever gets onto the bus can cause it at no cost to himself, without passing a command: then
	// Policy.Cap bounds what it demands.
	Hearsay bool
	// Creeps says that a hold by it may become a creep out of a zone in which the robot must not stand, see [Refuge]: it
	// casts no doubt on pose, commander or base.
	Creeps bool
}

// Bounds limits what a policy may say about one trigger.
type Bounds struct {
	// Loosest is the least constraint: a rule's constraint must restrict at least as much.
	Loosest Axes
	// MaxStartDelay is the longest start delay.
	MaxStartDelay time.Duration
	// LeastClear is the least demanding clear condition.
	LeastClear ClearCondition
	// MayDisable says whether a policy may disable the trigger at all.
	MayDisable bool
}

// Info returns the trigger's row of the table; for a number outside the table, a row with an empty code.
func (t Trigger) Info() Info {
	if t >= NumTriggers {
		return Info{Title: "unknown trigger"}
	}
	return triggerTable[t]
}

// String returns the trigger's code.
func (t Trigger) String() string {
	if t >= NumTriggers {
		return "unknown"
	}
	return triggerTable[t].Code
}
