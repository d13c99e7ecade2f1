// Package desk is the operator's end of a heartbeat: it answers a robot's challenges with the endpoint's key, over either bus;
// it commands nothing, and what it says counts by its key alone.
//
// The lines are those of ARCHITECTURE.md, "Heartbeat of a channel". The package is written from that text and shares no code
// with the guard that checks what it says. It is not linked into the robot's binary: whatever runs on the robot is no proof
// that somebody is at the desk.
package desk
