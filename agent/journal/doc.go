// Package journal keeps an append-only record of what the guard saw and decided on disk, and never makes the appender wait for that disk.
//
// A log is a directory of segments. Every record carries a CRC32C against
// accidents and the SHA-256 chain value of everything before it against changes.
// FORMAT.md beside this file describes every byte.
//
// [Log.Append] copies into a preallocated ring and returns. [Log.Run] is the
// one writer: it frames, chains, writes, syncs, rotates and keeps to the quota.
// What the ring could not take is counted, and a gap record says so in the log.
//
// [Open] after a kill or a power cut keeps the longest valid prefix. What it
// had to drop or set aside is described by a record of its own, so the log
// itself tells that it was repaired.
//
// The chain has no key. Whoever can write the directory can write a new chain;
// a head that was signed elsewhere ([Log.Head], [Checkpoint]) is what exposes it.
package journal
