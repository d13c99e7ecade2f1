// Package commission judges a proof test of one robot: what it is to do, what was measured, and whether that is as good as
// the robot's profile claims; it never moves the robot, reads a clock, opens a file or starts a goroutine.
//
// A technician drives by hand. [Trial] is told the time and what was measured, and says what the guard is to do about it:
// hold the robot, fall silent, or ask one rung of the stop ladder alone, always on top of what the policy demands. What it
// gathers, [Fit] turns into a deceleration and a delay with their errors, and [Judge] into the items of a record. Data that are
// not enough give no figure: unknown is never fine.
package commission
