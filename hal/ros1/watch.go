package ros1

import "github.com/robowarden/robowarden/hal/msg"

// Watch is a running graph watch.
type Watch struct{}

// Close ends the watch.
func (w *Watch) Close() {}

// WatchTopic reports at each poll whom the master lists as publishers of the topic and, if consumer names a node, to
// whom that node says it is connected. h is called on the watch's own goroutine; its argument is valid only during the
// call. Known is false while the master cannot be asked.
func (n *Node) WatchTopic(topic, consumer string, h func(*msg.Graph)) (*Watch, error) {
	return nil, errShape
}
