// Package guard is the enforcing loop: it turns the robot's messages into decisions and decisions into commands, locks
// and requests; it never opens a network connection, waits for the other roles, or acts on anything unsigned that would
// loosen a restriction.
//
// It has two halves. [Core] is pure: it joins geofence and interlock, takes one [Event] at a time and says what has to
// be done. The same events always give the same decisions, which is what replay relies on. [Guard] is the half that
// acts: it stamps events with the time, applies them under one short lock, hands the result to a [Sink] and records
// event and decision in the journal, off the path.
package guard
