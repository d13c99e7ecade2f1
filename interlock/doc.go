// Package interlock decides which restrictions a robot is under and cuts its commands down to them; it never reads a
// clock, never does I/O, never starts a goroutine, and never loosens anything by itself that a person has to release.
//
// The parts are values that somebody else steps: time comes in as a reading of CLOCK_BOOTTIME, facts come in as
// Conditions, and the answer depends on nothing else. So live operation, replay, drills and tests run the same code
// and reach the same decision, bit for bit, on every architecture.
//
//   - Machine turns conditions into a Decision: which axes are restricted, by which triggers, and what clears them.
//   - Gate cuts one stream of velocity commands down to a Decision and to the geofence's ratio.
//   - Ladder asks actuators for a stop, one rung after the other, until measurements confirm it.
//   - Standstill says from two independent sources whether the robot stands still.
//   - Heartbeat, PublisherWatch, LoopWatch and ClockWatch turn observations into Conditions.
//
// Zero values are closed: zero Axes restrict everything, a zero Condition is unknown, a zero ratio passes nothing.
//
// This is not a certified safety function. It adds restrictions to those of the robot's own safety controller.
package interlock
