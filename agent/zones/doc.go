// Package zones brings drawings of zones from other tools into a policy, looks for zones that cannot mean what they say,
// and draws a floor for people. It runs on the engineer's desk: it never decides about a robot, never drops anything of a
// source without saying so, never repairs a shape by guessing, and is not linked into the robot's binary.
//
// [Import] reads VDA 5050 version 3 zone sets, GeoJSON (RFC 7946) and the masks of nav2's map_server; its [Result] writes
// the policy's own YAML. [Lint] judges the zones of a loaded policy, [Draw] makes a picture of one floor at one time.
//
// Coordinates are metres in the floor's map frame (REP-105: right-handed, x and y in the plane), in whole millimetres as
// the policy demands. Rounding moves a vertex by at most half a millimetre on each axis, 0.71 mm in all; the geofence
// keeps 2 mm of every margin for it.
package zones
