// Package courier carries what the robot has to report to a broker, and signed documents from there to the guard; it never
// decides anything, reads no order, and nothing that it says or leaves out can loosen a restriction.
//
// Nothing is reported before the robot has proven what it runs: until the guard has accepted a signed attestation result,
// only the attestation itself and the connection's state go out. Then every record of evidence in the journals of guard,
// courier and steward goes out in order, again and again until the consumer's signed acknowledgement says that it has been
// kept. A broker's acknowledgement means nothing but room in the window.
//
// One goroutine, the loop, owns all state. Around it, one goroutine each reads a journal, speaks to the guard, speaks to
// the broker, signs, and writes the cursor; each of them may hang for as long as it likes. FORMAT.md describes every topic
// and message.
package courier
