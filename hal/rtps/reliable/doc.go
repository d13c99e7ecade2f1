// Package reliable is what happens between the samples of one RTPS 2.3 writer and one reader of it (OMG formal/2019-04-03,
// 8.4 and 8.3.7): order, acknowledgements, repetition and fragments. Inbox is a reader's side of one matched writer, Outbox a
// writer's history with the state of its readers.
//
// It does no I/O, starts no goroutine and reads no clock: time comes in as the caller's boot time, submessages come in
// parsed, and answers go out into the caller's buffer. Whatever comes in, it holds no more than its configuration says,
// waits for nothing without an end, and never hands out a sample twice or out of order on one reader, except after a
// resync, which it counts. Nothing here is safe for concurrent use: the caller holds one lock per Inbox and Outbox.
package reliable
