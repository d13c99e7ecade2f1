package msg

import "time"

// Form says what a Demand is about.
type Form uint8

// Forms of a demand.
const (
	// FormUnknown is the zero value; no source delivers it.
	FormUnknown Form = iota
	// FormJoints commands joints: Demand.Joints is its outline.
	FormJoints
	// FormGoal names a pose that the robot is to reach: Demand.Goal.
	FormGoal
	// FormOpaque is of a type whose content nobody here reads.
	FormOpaque
	// FormNavigate is FormGoal, by an action of ROS 2 that can name what is to be run on the way: Goal.Unlisted.
	FormNavigate
)

// Demand is a command that is passed on whole or not at all, with what a limit has to be held against.
type Demand struct {
	Header
	// Channel numbers the mapping's gates, in the order of the topic mapping.
	Channel int
	Form    Form
	// Raw is the message as it came, in the bus's own encoding; whoever passes it on sends these bytes. It is valid only
	// during the handler's call, and nil in a demand that was read from a record.
	Raw []byte
	// Size is the number of bytes of Raw, and Sum their SHA-256 once somebody has asked for it; a source leaves it zero.
	Size int
	Sum  [32]byte
	// Joints belongs to FormJoints and is nil in others. It is valid only during the handler's call.
	Joints *Trajectory
	// Goal belongs to FormGoal and FormNavigate; its frame is the header's.
	Goal Goal
}

// Goal is a pose that somebody wants the robot's base to reach.
type Goal struct {
	Position    Vec3
	Orientation Quat
	// Unlisted is true if the goal names a behaviour tree, which is a program, that the mapping does not list.
	Unlisted bool
}

// Fault says why a command to joints cannot be understood although it is whole.
type Fault uint8

// Faults of commands to joints.
const (
	// FaultNone is none.
	FaultNone Fault = iota
	// FaultLengths means that arrays of one point are not as long as the list of names, or that there are no positions.
	FaultLengths
	// FaultTwice means that a joint is named twice.
	FaultTwice
	// FaultCount means that there are more names, points or entries than the source reads.
	FaultCount
)

// Limits of what a source reads of one command to joints.
const (
	// MaxDemandNames is the largest number of joint names.
	MaxDemandNames = 256
	// MaxDemandPoints is the largest number of points of a trajectory.
	MaxDemandPoints = 4096
)

// Trajectory is the outline of a command to joints: not its points, but per joint what a limit has to be held against. A
// single set of positions, velocities or efforts is a trajectory of one point. The names are resolved to the profile's
// joint numbers. A joint that the message does not name, and a quantity that no point carries, is NaN; whether a number of
// the message is NaN itself, or infinite, is in NotFinite alone.
type Trajectory struct {
	Header
	// Channel numbers the mapping's trajectory inputs, in the order of the topic mapping.
	Channel int
	// N is the number of joints in the profile; entries at N and above are unused.
	N int
	// Seen has bit i set if the message names joint i.
	Seen uint64
	// Unknown counts names in the message that the profile does not have.
	Unknown int
	// Points is the number of points. An empty trajectory tells controllers to stop.
	Points int
	// Fault says that the message cannot be understood; then the arrays mean nothing.
	Fault Fault
	// NotFinite is true if any number of the message is NaN or infinite, whichever joint it is for.
	NotFinite bool
	// Start is the first point's time from the start, Duration the last point's. Both are 0 where a message has no times.
	Start, Duration time.Duration
	// Monotonic is true if no point is due before, or at the same time as, the one before it.
	Monotonic bool
	// First and Last are the positions of the first and the last point, in rad or m.
	First, Last [MaxJoints]float64
	// Lowest and Highest bound the positions of all points and of the way between them, see [Outliner].
	Lowest, Highest [MaxJoints]float64
	// Velocity is the largest absolute velocity and Effort the largest absolute effort that a point names.
	Velocity, Effort [MaxJoints]float64
	// Slope bounds the absolute velocity on the way between points, and is infinite where a position changes in no time.
	// NaN with fewer than two points.
	Slope [MaxJoints]float64
}

// Quantity says what an array of numbers without names means.
type Quantity uint8

// Quantities of joints.
const (
	// QuantityUnknown is the zero value.
	QuantityUnknown Quantity = iota
	// Positions are in rad or m.
	Positions
	// Velocities are in rad/s or m/s.
	Velocities
	// Efforts are in N·m or N.
	Efforts
)

// Array takes an array without names as a trajectory of one point: entry i is of joint order[i].
func (o *Outliner) Array(m *Trajectory, order []int, q Quantity, data []float64) {
	m.Seen, m.Unknown, m.Points = 0, 0, 1
	o.Begin(m)
	if len(data) != len(order) {
		m.Fault = FaultLengths
		return
	}
	o.Point(m, 0, 0)
	for i, j := range order {
		m.Seen |= 1 << j
		var k Knot
		switch q {
		case Positions:
			k.Position, k.HasPosition = data[i], true
		case Velocities:
			k.Velocity, k.HasVelocity = data[i], true
		case Efforts:
			k.Effort, k.HasEffort = data[i], true
		case QuantityUnknown:
			m.Fault = FaultLengths
		}
		o.Joint(m, 0, j, &k)
	}
}
