// Package order signs, shows and verifies the orders that carry authority over a robot: stops, resets, grants, policy
// sets, key lists and attestation results; it never opens a network connection, reads a clock or acts on an order itself.
//
// Beside orders it signs and verifies plain documents by the same key list, such as challenges and acknowledgements.
//
// An order is a JSON document in a DSSE envelope, signed with ECDSA P-256 or Ed25519. What a signer may do comes from
// a key list that root keys have signed, never from the order. FORMAT.md beside this file describes every byte.
//
// The way of an order on the robot has three steps, and each may refuse it:
//
//	verified, err := verifier.Verify(now, envelope) // pure: signatures, roles, audience, validity, freshness
//	err = store.Commit(now, verified)               // durable: the sequence or the id is used up before any effect
//	act on verified.Order                           // the caller's part
//
// A stop is the exception: act first, then commit. It needs a good signature, the role and the audience, and neither
// a trusted clock nor a readable disk.
package order
