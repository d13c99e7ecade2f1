// Package evidencelog reads the part of a role's journal that leaves the robot and computes the chain that lets somebody
// far away notice what is missing or changed; it never writes a journal and vouches for nothing by itself.
//
// A journal's own chain covers every byte, also those that stay on the robot. The evidence chain covers the records that
// are reported, and nothing but what a report says about them:
//
//	e(0) = SHA-256("robowarden/evidence-chain/v1" 00, log name, 00, boot id)
//	e(n) = SHA-256(e(n-1), kind, sequence number, boot clock, SHA-256(payload))
//
// Numbers are little-endian, kind takes one byte, the others eight. There is one chain for each log and each boot of the
// machine, so that the numbers of a record are never ambiguous: a number that was given out but not durable when the power
// failed is given out again in the next boot.
package evidencelog
