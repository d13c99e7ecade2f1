package ros2

// The lists of what a node has are replaced, never changed, so that who reads one needs no lock.

func with[T any](list []T, v T) []T {
	return append(append(make([]T, 0, len(list)+1), list...), v)
}

func without[T comparable](list []T, v T) []T {
	out := make([]T, 0, len(list))
	for _, x := range list {
		if x != v {
			out = append(out, x)
		}
	}
	return out
}

func (n *Node) adoptSub(s *Sub) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	n.subs = with(n.subs, s)
	return nil
}

func (n *Node) forgetSub(s *Sub) {
	n.mu.Lock()
	n.subs = without(n.subs, s)
	closed := n.closed
	n.mu.Unlock()
	if !closed {
		n.announce()
	}
}

func (n *Node) subscriptions() []*Sub {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.subs
}

func (n *Node) publishers() []*Publisher {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pubs
}

func (n *Node) watching() []*Watch {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.watches
}

func (n *Node) serviceClients() []*client {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.clients
}

// publisher returns our publisher of a topic, nil if there is none.
func (n *Node) publisher(topic string) *Publisher {
	for _, p := range n.publishers() {
		if p.topic == topic {
			return p
		}
	}
	return nil
}

// subsOn lists our subscriptions of a topic by its name on the wire.
func (n *Node) subsOn(dds string) (out []*Sub) {
	for _, s := range n.subscriptions() {
		if s.dds == dds {
			out = append(out, s)
		}
	}
	return out
}
