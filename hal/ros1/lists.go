package ros1

import (
	"fmt"
	"slices"
	"sort"

	"github.com/robowarden/robowarden/hal/msg"
)

// without returns a copy of list that lacks v; whoever reads the old list is not disturbed.
func without[T comparable](list []T, v T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(o T) bool { return o == v })
}

// with returns a copy of list that has v at its end.
func with[T any](list []T, v T) []T {
	return append(slices.Clip(slices.Clone(list)), v)
}

// adopt makes a subscription one of the node's.
func (n *Node) adopt(s *Sub) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	n.subs = with(n.subs, s)
	return nil
}

func (n *Node) forget(s *Sub) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.subs = without(n.subs, s)
}

func (n *Node) addPublisher(p *Publisher) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	for _, o := range n.pubs {
		if o.topic == p.topic {
			return fmt.Errorf("ros1: topic %s is advertised twice", p.topic)
		}
	}
	n.pubs = with(n.pubs, p)
	return nil
}

func (n *Node) removePublisher(p *Publisher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pubs = without(n.pubs, p)
}

func (n *Node) publishers() []*Publisher {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pubs
}

func (n *Node) publisher(topic string) *Publisher {
	for _, p := range n.publishers() {
		if p.topic == topic {
			return p
		}
	}
	return nil
}

func (n *Node) subscriptions() []*Sub {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.subs
}

func (n *Node) watching() []*Watch {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.watches
}

// topicsAskedFor are the topics whose publishers matter to somebody here.
func (n *Node) topicsAskedFor() map[string]struct{} {
	topics := map[string]struct{}{}
	for _, s := range n.subscriptions() {
		topics[s.topic] = struct{}{}
	}
	for _, p := range n.publishers() {
		topics[p.topic] = struct{}{}
	}
	for _, w := range n.watching() {
		topics[w.topic] = struct{}{}
	}
	return topics
}

// reconcile passes a changed graph on to the subscriptions.
func (n *Node) reconcile(g *graphState) {
	for _, s := range n.subscriptions() {
		s.reconcile(g.publishers[s.topic])
	}
}

func (n *Node) wakeLinks() {
	for _, s := range n.subscriptions() {
		s.wake()
	}
}

// addFeed and dropFeed keep the list of connections that getBusInfo shows.
func (n *Node) addFeed(f feed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.feeds[f.peer] = f
}

func (n *Node) dropFeed(p *msg.Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.feeds, p)
}

func (n *Node) inbound() []feed {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]feed, 0, len(n.feeds))
	for _, f := range n.feeds {
		out = append(out, f)
	}
	// sort.Slice sorts all types by the same code; slices.SortFunc is 9 KB more of the robot's program for each.
	sort.Slice(out, func(i, j int) bool { return out[i].peer.ID < out[j].peer.ID })
	return out
}
