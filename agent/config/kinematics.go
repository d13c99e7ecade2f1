package config

import (
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// Kinematics is the body in three dimensions: what the joints' positions make of it. The guard computes by itself where
// each link is; tf is somebody else's claim. It needs joints, and each moving joint of the URDF among them.
type Kinematics struct {
	// URDF is the file's name in the profile's folder.
	URDF string `cfg:"urdf" form:"file" eg:"urdf: robot.urdf"`
	// SHA256 is the file's digest: the policy pins the profile, and the profile pins this.
	SHA256 Digest `cfg:"sha256" eg:"sha256: \"sha256:…\""`
	// BaseLink is the link of the URDF that body.base_frame is; absent means the one of that name.
	BaseLink string `cfg:"base_link,optional" form:"name" eg:"base_link: pelvis"`
	// BaseLowM and BaseHighM bound the height of the base frame above the floor in metres, from kneeling to standing on
	// toes: every height between counts at once, since a pose's z is not relied on.
	BaseLowM float64 `cfg:"base_low_m" range:"[-1,5]" eg:"base_low_m: 0.45"`
	// BaseHighM is the greatest such height.
	BaseHighM float64 `cfg:"base_high_m" range:"[-1,5]" eg:"base_high_m: 0.80"`
	// TiltRad bounds the roll and pitch in rad that the pose's orientation does not tell: all of it for a plane pose.
	TiltRad float64 `cfg:"tilt_rad" range:"[0,0.5]" eg:"tilt_rad: 0.05"`
	// JointErrorRad bounds in rad how far a turning joint may be from its measured position: encoder, backlash, give.
	JointErrorRad float64 `cfg:"joint_error_rad" range:"[0.0001,0.5]" eg:"joint_error_rad: 0.01"`
	// JointErrorM is the same for sliding joints in metres; it is needed where there are any.
	JointErrorM float64 `cfg:"joint_error_m,optional" range:"[0.00001,0.5]" eg:"joint_error_m: 0.001"`
	// Reaction is the time from a joint state's arrival until arms are at rest on a demand, their stopping included.
	Reaction time.Duration `cfg:"reaction" range:"[1ms,10s]" eg:"reaction: 250ms"`
	// Capsules give links whose shape is a mesh, or none, one or more capsules that contain it. Boxes, cylinders and
	// spheres of the URDF need none.
	Capsules []LinkCapsule `cfg:"capsules,optional" len:"0..96" eg:"capsules: [{link: left_hand, from: [0, 0, 0], to: [0.12, 0, 0], radius_m: 0.06}]"`
	// Meshes is a folder beside the profile with the STL files that the URDF names, nothing where they are not at hand.
	// Where one is there, every corner of the mesh must lie in a capsule of its link.
	Meshes string `cfg:"meshes,optional" form:"file" eg:"meshes: meshes"`
	// Parts names links together for zones.
	Parts []PartGroup `cfg:"parts" len:"1..16" eg:"parts: [{name: hands, links: [left_hand, right_hand]}]"`
	// Cameras are those that zones may forbid to look into them.
	Cameras []Camera `cfg:"cameras,optional" len:"0..8" eg:"cameras: [{name: head, link: camera, axis: [1, 0, 0], half_angle_rad: 0.6, range_m: 8}]"`

	// Chain is what the geofence gets of all this, nil until the URDF is read.
	Chain *geofence.ChainSpec
}

// LinkCapsule is everything within a radius of a segment, in the link's frame.
type LinkCapsule struct {
	// Link is the link's name in the URDF.
	Link string `cfg:"link" form:"name" eg:"link: left_hand"`
	// From is one end of the segment in metres, [x, y, z] …
	From []float64 `cfg:"from" len:"3..3" range:"[-10,10]" eg:"from: [0, 0, 0]"`
	// To … and the other; the same for a sphere.
	To []float64 `cfg:"to" len:"3..3" range:"[-10,10]" eg:"to: [0.12, 0, 0]"`
	// RadiusM is the radius in metres.
	RadiusM float64 `cfg:"radius_m" range:"[0.001,5]" eg:"radius_m: 0.06"`
}

// PartGroup is a name for links, such as hands.
type PartGroup struct {
	// Name is what zones call them; contour is taken.
	Name string `cfg:"name" form:"id" eg:"name: hands"`
	// Links are links of the URDF that have a shape or a capsule.
	Links []string `cfg:"links" len:"1..96" form:"name" eg:"links: [left_hand, right_hand]"`
}

// Camera is what a camera can see at most: a round cone. Walls do not count as shortening it.
type Camera struct {
	// Name is what zones call it.
	Name string `cfg:"name" form:"id" eg:"name: head"`
	// Link is the link of the URDF that it is fixed to, in whose origin it is.
	Link string `cfg:"link" form:"name" eg:"link: head_camera"`
	// Axis is the optical axis in the link's frame, [x, y, z] of any length: [1, 0, 0] for a body frame, [0, 0, 1] for an
	// optical one.
	Axis []float64 `cfg:"axis" len:"3..3" range:"[-1,1]" eg:"axis: [1, 0, 0]"`
	// HalfAngleRad is the angle in rad from the axis to the corner of the picture.
	HalfAngleRad float64 `cfg:"half_angle_rad" range:"[0.05,3.2]" eg:"half_angle_rad: 0.6"`
	// RangeM is how far it can recognise anything, in metres.
	RangeM float64 `cfg:"range_m" range:"[0.1,1000]" eg:"range_m: 8"`
}
