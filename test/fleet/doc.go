// Package fleet carries a robot's evidence through outages and past attackers, from journals on disk to the consumer's file; it never decides what a courier should have done, only whether every record arrived.
//
// What must hold is computed here from the journals alone: the records that are evidence, their chain, their order. The
// sender is a process of its own that is killed at random moments; the broker is a real one. Beside the courier
// there is a small sender written from the specification, and one that trusts a broker's word, which must fail.
package fleet
