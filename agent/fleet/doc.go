// Package fleet is the far end of the evidence stream: it verifies, stores and acknowledges what robots report, and never believes the network, the broker or a courier.
//
// A robot's logs arrive as events over MQTT, at least once and in any order. For every log and boot of a robot the
// consumer recomputes the evidence chain ([Start], [Next]), takes each record exactly once and only behind the one
// that it names as its predecessor, and holds the result against the checkpoints that the robot's device key signed.
// What it has on its own disk, and nothing else, it acknowledges with a signed document; only that document lets a
// robot delete.
//
// What cannot be right is an [Alarm] with a stable code and a remedy. A missing record is waited for, then told; it is
// never acknowledged over, unless the robot itself says, in its own chained log, that it lost it.
//
// Time is passed in. [Consumer] does no input or output but its store; [Run] joins it with a broker.
package fleet
