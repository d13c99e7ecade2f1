package geofence

import "time"

// MaxCoordinateMM bounds every vertex of a zone, |x| and |y| in millimetres:
// differences then fit 32 bits and cross products 63.
const MaxCoordinateMM = 1 << 30

// Caps on what Compile accepts; more is an error, never a silent cut.
const (
	// MaxZones is the greatest number of zones in a Spec.
	MaxZones = 10_000
	// MaxZoneVertices is the greatest number of vertices of one zone, all rings together.
	MaxZoneVertices = 4_096
	// MaxVertices is the greatest number of vertices of all zones together.
	MaxVertices = 500_000
	// MaxFloors is the greatest number of floors.
	MaxFloors = 256
	// MaxShifts is the greatest number of shifts.
	MaxShifts = 64
	// MaxSpecialDays is the greatest number of dates that count as another day.
	MaxSpecialDays = 1024
	// MaxRoles is the greatest number of roles.
	MaxRoles = 64
	// MaxFootprint is the greatest number of vertices of the robot's contour.
	MaxFootprint = 32
	// MaxSetBytes is the memory that a Set may take up, see [Set.Bytes]; a robot holds two
	// of them while it goes from one to the next.
	MaxSetBytes = 12 << 20
)

// Vertex is a point in millimetres: of a zone in the map frame, of a footprint
// in the base frame.
type Vertex struct{ X, Y int32 }

// Kind is what a zone asks of the robot.
type Kind uint8

const (
	// KindUnset is the zero value and an error in a ZoneSpec.
	KindUnset Kind = iota
	// Blocked means that no part of the contour may be inside (VDA 5050: BLOCKED).
	Blocked
	// SpeedLimit means that while any part of the contour is inside, the base moves at
	// most at MaxSpeedMPS, reached already upon entering (VDA 5050: SPEED_LIMIT).
	SpeedLimit
	// KeepIn means that the whole contour stays in the union of the floor's keep-in zones
	// that bind. The union is that of their open interiors: two zones that only
	// share an edge do not join there, so draw them overlapping at a door.
	KeepIn
	// NoManipulation means that arms and hands rest while any part of the contour is inside or in the margin.
	NoManipulation
	// Privacy means that cameras and microphones are closed, and remote views with them, inside and in the margin.
	Privacy
	// DwellLimit means that staying inside or in the margin for MaxDwell without a break is an event with a restriction.
	DwellLimit
	// Release is Blocked unless a lease is in force (VDA 5050: RELEASE).
	Release
	// Door is Release that only a lease for one of its Facts opens, and being in it for MaxDwell is an event.
	Door
	// NoStop means that a hold inside may become a creep on the way out, for Within at most (fire door, lift).
	NoStop
	// Directed means that motion leads in the zone's direction, as its Limitation says, inside and in the margin (VDA 5050: DIRECTED).
	Directed
	// Bidirected is Directed for which the opposite direction will do as well (VDA 5050: BIDIRECTED).
	Bidirected
	kindEnd
)

// Access says explicitly whether something is permitted.
type Access uint8

const (
	// AccessUnset is the zero value and an error in a FloorSpec.
	AccessUnset Access = iota
	// Allow permits.
	Allow
	// Deny forbids.
	Deny
)

// Spec is a site's zones as somebody wrote them; Compile checks all of it.
type Spec struct {
	Floors []FloorSpec
	Zones  []ZoneSpec
	Shifts []ShiftSpec
	// SpecialDays are the dates that count as another day than their weekday, each once.
	SpecialDays []SpecialDay
	// Roles are the names that zones may bind, at most MaxRoles.
	Roles []string
	// Tasks and Operators are the names that zones may ask for, at most MaxNames each.
	Tasks, Operators []string
	// Location is the IANA time zone in which shifts are civil times. The caller
	// loads it (from embedded tzdata, so that every robot has the same). It may be
	// nil only where there are no shifts.
	Location *time.Location
	// NotBefore and NotAfter bound the whole set's validity; the zero time means
	// that this side was left open on purpose.
	NotBefore, NotAfter time.Time
}

// FloorSpec is one floor, known to the localisation by its map id.
type FloorSpec struct {
	// ID is the map id, unique and not empty.
	ID string
	// WithoutKeepIn says what holds on this floor while none of its keep-in
	// zones binds: Allow everywhere, or Deny everywhere (the robot holds).
	WithoutKeepIn Access
}

// ZoneSpec is one zone. It is a closed set: its boundary, and that of its holes,
// belongs to it; for KeepIn the open interior counts.
type ZoneSpec struct {
	// ID is unique and not empty. Name is for people and may be empty.
	ID, Name string
	// Floor is the ID of a FloorSpec.
	Floor string
	Kind  Kind
	// Outer is the simple outer ring, in either direction, not repeated at its end.
	Outer []Vertex
	// Holes are simple rings inside Outer that neither touch nor contain each other.
	Holes [][]Vertex
	// MaxSpeedMPS is the limit of a SpeedLimit zone, > 0; it is 0 for the other kinds.
	MaxSpeedMPS float64
	// MarginM is kept clear around the zone in addition to the localisation's
	// own margin, >= 0, in metres.
	MarginM float64
	// Height is the range above the floor that the zone's prism has, nil for all
	// heights. The contour stands on the floor and is as high as the robot.
	Height *Height
	// Parts are groups of the robot's links that the zone binds instead of the
	// contour; with [PartContour] among them, the contour as well. Blocked only.
	Parts []string
	// Views are cameras that may not look into the zone. Blocked only.
	Views []string
	// WarnM is how wide a ring around the margin is in which the robot is warned of the zone, in metres, 0 for none. It
	// restricts nothing. It is for Blocked, KeepIn, Release and Door.
	WarnM float64
	// Roles are those whom the zone binds; none means everybody.
	Roles []string
	// Tasks are those during which alone the zone binds, ExceptTasks those during which alone it does not; of the two at
	// most one is given. Operators and ExceptOperators are the same for who has the robot do it.
	Tasks, ExceptTasks         []string
	Operators, ExceptOperators []string
	// Shifts are those during which the zone binds; none means always.
	Shifts []string
	// Loss is what a robot inside a Release or Door zone may do once its lease is lost; LossUnset for the other kinds.
	Loss Loss
	// Facts are those of which a lease must name one to open a Door; 0 for the other kinds.
	Facts FactSet
	// MaxDwell is how long a robot may stay in a DwellLimit zone, or hold a Door, > 0; it is 0 for the other kinds.
	MaxDwell time.Duration
	// Within bounds from when a lease was lost how long LossContinue lets the robot go on, and how long a hold in a
	// NoStop zone may be a creep, > 0; it is 0 for everything else.
	Within time.Duration
	// DirectionRad is the direction of travel of a Directed or Bidirected zone in radians, from the map's x axis
	// anticlockwise, in [-2π, 2π]; it is 0 for the other kinds.
	DirectionRad float64
	// Limitation is how strictly the direction counts; LimitationUnset for the other kinds.
	Limitation Limitation
	// Reason is what a person is told when the zone decides.
	Reason string
}

// ShiftSpec is a named set of weekly windows in civil time.
type ShiftSpec struct {
	// ID is unique and not empty.
	ID      string
	Windows []WindowSpec
	// Outside has the shift run while none of its windows does.
	Outside bool
}

// Holiday is the eighth kind of day, beside the seven weekdays: it comes on no date but those that SpecialDays name.
const Holiday = time.Saturday + 1

// SpecialDay is a date of the civil calendar that counts as another day than its weekday: a public holiday, a Saturday on which
// everybody works. What starts on a weekday does not start on it then, and what starts on the other day does.
type SpecialDay struct {
	// Year is in [1970, 9999]; with Month and Day it is a date that exists.
	Year  int
	Month time.Month
	Day   int
	// As is a weekday or Holiday.
	As time.Weekday
}

// WindowSpec is a weekly window [StartMin, EndMin) in minutes of the civil day.
// Where EndMin <= StartMin it crosses midnight and belongs to the day on which
// it starts. Membership is decided by the civil clock's face alone, so on DST
// nights the window is an hour shorter or longer, and an hour that the clock
// shows twice counts twice.
type WindowSpec struct {
	// Days are weekdays and Holiday.
	Days []time.Weekday
	// StartMin is in [0, 1440), EndMin in (0, 1440]; they differ.
	StartMin, EndMin int
}

// Robot is the body and the brakes, from the vendor's profile. Every value must
// be given and positive unless its comment says otherwise.
type Robot struct {
	// Footprint is the contour of the robot with all that is not among its Loads, a simple polygon in
	// the base frame that contains the base's origin or not.
	Footprint []Vertex
	// HeightM is the robot's height with the same; 0 takes it to be taller than any zone.
	HeightM float64
	// Loads are what the robot can carry, nil for none. What Inputs.Carried does not know it carries, all of them together.
	Loads []LoadSpec
	// Chain is the body's links and joints, nil where zones bind the contour alone.
	Chain *ChainSpec
	// MaxSpeedMPS and MaxYawRateRadPS bound what the robot can do at all; jumps
	// and the reachable disk are measured against them, commands are cut to them.
	MaxSpeedMPS, MaxYawRateRadPS float64
	// AccelMPS2 bounds how fast the velocity can have changed since it was measured.
	AccelMPS2 float64
	// DecelMPS2 and AngularDecelRadPS2 are the vendor's measured controlled-stop
	// decelerations, with load and on the steepest slope: a promise. Predictions
	// never brake harder, and with the share that stops have shown where that is
	// less, see [Verdict].BrakeShare; the first stop that falls short can only tell.
	DecelMPS2, AngularDecelRadPS2 float64
	// Reaction bounds the time from a pose's arrival to the base's response:
	// detection, decision, the interval between commands, transport, actuation
	// delay and the drive's lag together.
	Reaction time.Duration
	// CommandPeriod is the longest regular interval between two commands, a part
	// of Reaction: for as long, a command holds before it can be corrected.
	CommandPeriod time.Duration
	// CreepMPS and CreepYawRateRadPS bound motion in a margin, out of a zone, and
	// under a poor pose.
	CreepMPS, CreepYawRateRadPS float64
	// SigmaK is how many standard deviations of the pose are kept clear
	// (2.45 is 95 % in the plane, 3.03 is 99 %).
	SigmaK float64
	// MapErrorM is how far the map may be wrong, >= 0.
	MapErrorM float64
	// PoseMaxAge makes a pose or a measured velocity stale.
	PoseMaxAge time.Duration
	// PoseMaxFuture is how far a stamp may lie ahead of our clock.
	PoseMaxFuture time.Duration
	// MinStdDevM is the best that the localisation is ever believed to be,
	// whatever covariance it claims.
	MinStdDevM float64
	// SlowStdDevM makes the robot creep, MaxStdDevM (the greater) makes it hold;
	// both are standard deviations of the contour's position in metres.
	SlowStdDevM, MaxStdDevM float64
	// AssumedStdDevM and AssumedYawStdDevRad stand in where the pose's covariance
	// is unknown. Both 0: an unknown covariance holds the robot.
	AssumedStdDevM, AssumedYawStdDevRad float64
	// FreezeAfter is how long a pose may stand still while something else says
	// that the robot moves.
	FreezeAfter time.Duration
	// JumpSlackM and JumpSlackRad are added to what the robot can have moved
	// between two poses before the difference is a jump.
	JumpSlackM, JumpSlackRad float64
	// RecoverPoses consistent poses and RecoverDwell of time clear a latched pose fault.
	RecoverPoses int
	RecoverDwell time.Duration
	// ReleaseMarginM (about 5 standard deviations of the pose's noise) for
	// ReleaseDwell release: beyond the margin, that; beyond the edge and SigmaK
	// standard deviations, a zone's hold.
	ReleaseMarginM float64
	ReleaseDwell   time.Duration
	// Second is what is expected of a second source of poses; nil for a robot that
	// has one source only.
	Second *Agreement
}
