// Package slots keeps each artifact of a robot in two slots, of which one is active, and replaces the other one so that a
// power cut at any moment leaves a verified artifact active; it decides nothing about signatures and opens no network.
//
// In the artifact's folder:
//
//	a, b          the slots, folders with the artifact's files
//	a.rec, b.rec  what is in each slot; without it the slot is void, whatever lies in it
//	active        a symbolic link to the slot that runs; a loader opens files below it
//	floor         the least security version that may become active
//	trial         how the active content does, and what was taken back ([trial.State])
//	history       what was done, the newest last
//
// A slot is filled while it is void, synchronised, compared with the digest that the release names, and only then gets its
// record. The link is replaced by one rename. What is active has a record at every moment.
package slots
