package geofence

import "time"

// Caps on a chain; more is an error, never a silent cut.
const (
	// MaxJoints is the greatest number of moving joints: a joint message names no more.
	MaxJoints = 64
	// MaxLinks is the greatest number of links, those at fixed joints included.
	MaxLinks = 256
	// MaxParts is the greatest number of capsules.
	MaxParts = 96
	// MaxGroups is the greatest number of named groups of links.
	MaxGroups = 16
	// MaxCameras is the greatest number of cameras.
	MaxCameras = 8
)

// PartContour is the name that binds a zone to the robot's contour beside parts.
const PartContour = "contour"

// JointKind is how a joint moves its child link.
type JointKind uint8

const (
	// JointUnset is the zero value and an error in a JointSpec.
	JointUnset JointKind = iota
	// JointFixed does not move.
	JointFixed
	// JointRevolute turns about its axis, in rad, with or without end stops.
	JointRevolute
	// JointPrismatic slides along its axis, in m.
	JointPrismatic
)

// Origin is a rigid transform as URDF writes it: XYZ in metres, and RPY in
// radians, turned about the fixed axes x, y, z in this order.
type Origin struct{ XYZ, RPY [3]float64 }

// ChainSpec is the robot's body as links and joints: what the joints' positions
// turn into capsules in the map frame. Frames are those of URDF; a link's frame
// is that of the joint that moves it.
type ChainSpec struct {
	// Base is the link whose frame is the base frame, that of the pose. Only fixed
	// joints may lie between it and the chain's root.
	Base   string
	Joints []JointSpec
	// Parts are the capsules, at least one for each link of a group.
	Parts []PartSpec
	// Groups are the names that zones bind.
	Groups  []GroupSpec
	Cameras []CameraSpec
	// BaseLowM and BaseHighM bound the height of the base frame's origin above the
	// floor, in metres: all of it counts at once, since a pose's z is not relied on.
	BaseLowM, BaseHighM float64
	// TiltRad bounds the roll and pitch that the pose's orientation does not tell, >= 0.
	TiltRad float64
	// JointErrorRad and JointErrorM bound how far a joint's position may be from
	// what was measured: encoder, backlash, give and assembly. The latter may be 0
	// in a chain without sliding joints.
	JointErrorRad, JointErrorM float64
	// Reaction bounds the time from joint states' arrival until the parts are at
	// rest on a demand: detection, decision, transport, and the arms' own stop.
	Reaction time.Duration
	// MaxAge makes joint states stale: then every joint is unknown.
	MaxAge time.Duration
}

// JointSpec is one joint.
type JointSpec struct {
	// Name is for people. Parent and Child are links; every link but the root is
	// the child of one joint.
	Name, Parent, Child string
	Kind                JointKind
	// Origin is the joint's frame in the parent's at position 0.
	Origin Origin
	// Axis is the direction of motion in the joint's frame, of any length > 0;
	// ignored for a fixed joint.
	Axis [3]float64
	// Number is the joint's place in a Posture. Its motion is Scale times the position
	// there plus Offset: 1 and 0, but for a joint that mimics another.
	Number        int
	Scale, Offset float64
	// Min and Max are the end stops of the position with that number, -Inf and +Inf
	// for a joint without. A sliding joint has both.
	Min, Max float64
	// MaxVelocity bounds the position's rate, in rad/s or m/s.
	MaxVelocity float64
}

// PartSpec is a capsule: all points within RadiusM of the segment between From
// and To, which are in metres in the frame Origin of the link's. Equal ends make a sphere.
type PartSpec struct {
	Link     string
	Origin   Origin
	From, To [3]float64
	RadiusM  float64
}

// GroupSpec names links together, such as "hands".
type GroupSpec struct {
	Name  string
	Links []string
}

// CameraSpec is a camera with a round field of view that contains its real one.
type CameraSpec struct {
	Name, Link string
	Origin     Origin
	// Axis is the optical axis in Origin's frame, of any length > 0.
	Axis [3]float64
	// HalfAngleRad is from the axis to the corner of the picture, in [0.05, 3.2];
	// RangeM is how far the camera can tell anything, in metres.
	HalfAngleRad, RangeM float64
}

// Height is a range above the floor in metres; both ends belong to it.
type Height struct{ FromM, ToM float64 }

// Posture is the newest joint states, by the joints' numbers.
type Posture struct {
	// Boot is the receive time.
	Boot time.Duration
	// Known has bit i set where joint i's position is in the message and sound.
	Known uint64
	// HasVelocity is false where the message has no velocities: then each joint may
	// move as fast as it can.
	HasVelocity        bool
	Position, Velocity [MaxJoints]float64
}

// PartFinding is one zone's part in a PartsVerdict.
type PartFinding struct {
	// Zone is the index in the Set.
	Zone int
	// Part is the index of the capsule, see [Set.Part], or of the camera, see
	// [Set.Camera], where View is true.
	Part int
	View bool
	// Place is Inside where the capsule reaches into the zone's prism, or the camera
	// can see into it; Margin where it might, with all errors and until it could stop.
	Place Place
	// MarginM is the capsule's distance from the prism in metres, 0 inside and for a view.
	MarginM float64
	// NeedM is what the margin takes: pose, joints, and the way until the part is at rest.
	NeedM  float64
	Reason Reason
	// Certain is false where the zone binds only because roles or the clock are unknown.
	Certain bool
}

// PartsVerdict is what a Step found out about parts and cameras.
type PartsVerdict struct {
	// Place is the worst of all zones that bind parts, PlaceUnknown where they cannot
	// be judged, and View that of all zones that bind cameras. Where a set has no such
	// zone, it is Outside.
	Place, View Place
	// Near holds the first N of the zones that restrict, the worst first.
	Near [MaxNear]PartFinding
	N    int
}
