package ros2

import "github.com/robowarden/robowarden/hal/msg"

// Watch is a running graph watch. Everything that it reports is the word of the participants themselves.
type Watch struct{}

// WatchTopic reports on every change, and at least once per Limits.WatchInterval, who writes the topic. h is called on
// the node's own goroutine; its argument is valid only during the call.
//
// Known is true while the participant works and has listened for Limits.SettleTime. Publishers are the nodes of all
// writers of the topic, whatever their type or quality of service, ourselves included. Registered says that our own
// writer of the topic is announced and, as far as discovery shows readers of the consumer on it, matched with one of
// them. ConsumerKnown is always false: DDS has no way to ask a reader to whom it listens.
func (n *Node) WatchTopic(topic, consumer string, h func(*msg.Graph)) (*Watch, error) {
	return nil, errNotYet
}

// Close ends the watch and waits for h to return; so h must not call it.
func (w *Watch) Close() {}
