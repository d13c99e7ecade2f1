// Package envelope proves who sent a command: it writes and checks the envelope in which a commander puts each of them.
// It never decides whether a command may pass, keeps no record of what was used before, and reads no clock: challenges
// and sequences are judged by the guard's core, so that a replay judges them alike.
//
// ENVELOPE.md has the bytes, the challenge and the reasons.
package envelope
