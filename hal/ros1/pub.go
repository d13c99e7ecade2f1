package ros1

import "github.com/robowarden/robowarden/hal/msg"

// Message types that the node publishes.
const (
	TypeTwist           = "geometry_msgs/Twist"
	TypeBool            = "std_msgs/Bool"
	TypeString          = "std_msgs/String"
	TypeDiagnosticArray = "diagnostic_msgs/DiagnosticArray"
)

// Publication says what to publish.
type Publication struct {
	// Topic is the global name, such as "/cmd_vel".
	Topic string
	// Type is one of TypeTwist, TypeBool, TypeString and TypeDiagnosticArray.
	Type string
	// Latch hands the last message to everybody who connects later.
	Latch bool
	// Consumers names the nodes that matter: they are written first, and half of the topic's connections are theirs.
	Consumers []string
	// MaxBytes caps one message; 0 takes the type's usual cap.
	MaxBytes int
}

// Publisher is one advertised topic. Its methods may be called from any goroutine, and none of them allocates, blocks
// or waits for a subscriber.
type Publisher struct{}

// Sent says what became of one publication.
type Sent struct {
	// Delivered counts the subscribers whose socket took the whole message.
	Delivered int
	// Behind counts the subscribers whose socket was full; they get the latest message later, or are dropped.
	Behind int
	// Superseded is true if a publication with a higher sequence number was there before; then nothing was sent.
	Superseded bool
}

// Level is a diagnostic level.
type Level int8

// Diagnostic levels.
const (
	LevelOK Level = iota
	LevelWarn
	LevelError
	LevelStale
)

// KeyValue is one line of a diagnostic status.
type KeyValue struct{ Key, Value string }

// DiagnosticStatus is the state of one component.
type DiagnosticStatus struct {
	Level                     Level
	Name, Message, HardwareID string
	Values                    []KeyValue
}

// Advertise offers a topic: subscribers may connect from now on, and Run registers it with the master.
func (n *Node) Advertise(p Publication) (*Publisher, error) { return nil, errShape }

// PublishTwist sends t, unless something with a higher seq was sent before.
func (p *Publisher) PublishTwist(seq uint64, t *msg.Twist) (Sent, error) { return Sent{}, errShape }

// PublishBool sends v, unless something with a higher seq was sent before.
func (p *Publisher) PublishBool(seq uint64, v bool) (Sent, error) { return Sent{}, errShape }

// PublishString sends text, unless something with a higher seq was sent before.
func (p *Publisher) PublishString(seq uint64, text []byte) (Sent, error) { return Sent{}, errShape }

// PublishDiagnostics sends a DiagnosticArray stamped with stamp (ns since the Unix epoch), unless something with a
// higher seq was sent before.
func (p *Publisher) PublishDiagnostics(seq uint64, stamp int64, status []DiagnosticStatus) (Sent, error) {
	return Sent{}, errShape
}

// Subscribers is the number of nodes connected to the topic now.
func (p *Publisher) Subscribers() int { return 0 }

// Close unregisters the topic and disconnects its subscribers.
func (p *Publisher) Close() {}
