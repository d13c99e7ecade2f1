// Package geofence says where the robot may be and how fast it may move there:
// it judges poses and commands against compiled zones, and it never steers,
// never reads a clock, a file or a bus, and never raises a command.
//
// A [Spec] (the site's zones and shifts) and a [Robot] (the vendor's body and
// brakes) are compiled once into an immutable [Set]. A [Fence] carries what one
// robot needs to remember (the last pose, hysteresis, commands in flight):
// [Fence.Step] judges each pose and tick, [Fence.Limit] answers the gate for
// each command. Both are deterministic, bit for bit on amd64 and arm64, and
// allocate nothing.
//
// Motion is predicted from what was measured, the commands in flight, and the
// brakes. The profile's decelerations are a promise that each stop tests by
// odometry: how far the robot went beyond what was promised lowers the share of
// them that predictions reckon with at once, to a quarter at least; better stops
// raise it again by a twentieth each, never above the promise. A base that moves
// otherwise than its commands say is taken to go on like that before it brakes.
//
// A robot's [ChainSpec] adds its body: links, joints and capsules. [Fence.Posture]
// takes joint positions, forward kinematics of the package's own puts each capsule
// on the map, and zones with [ZoneSpec].Parts, Views and Height bind these as prisms.
// Its error by rounding is below 1e-8 mm in chains of a few metres, a part of the
// 2 mm that every margin keeps for rounding; what joints, tilt and pose may be wrong
// by is in each part's margin, and what is unknown counts as all that it could reach.
//
// Frames follow REP-103 and REP-105: the map frame is right-handed and metric,
// the base frame has x forward and y to the left. Zone and footprint vertices
// are whole millimetres, everything else is in SI units. Zone words are those
// of VDA 5050 version 3.
package geofence
