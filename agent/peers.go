package agent

import (
	"net/netip"
	"sort"
	"strings"
	"sync"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/hal/msg"
)

// peerTable lists the guard's real connections to publishers, for the steward and for people.
type peerTable struct {
	// demands says of a publisher's name whether the mapping demands a process behind it.
	demands map[string]bool
	// transport is how publishers reach the guard.
	transport string
	// changed is told of every change.
	changed chan struct{}

	mu    sync.Mutex
	peers map[uint32]knownPeer
	// more counts connections that found no place in what can be told.
	more int
}

type knownPeer struct {
	contract.Peer
	name     string // as it came
	strength msg.Strength
}

func newPeerTable(demands map[string]bool, transport string) *peerTable {
	return &peerTable{demands: demands, transport: transport, changed: make(chan struct{}, 1), peers: map[uint32]knownPeer{}}
}

// connected notes a connection.
func (t *peerTable) connected(topic string, p *msg.Peer, gated bool) {
	q := knownPeer{name: p.Name, strength: p.Strength, Peer: contract.Peer{
		ID: p.ID, Topic: cut(topic), Node: cut(p.Name), Local: address(p.Local), Remote: address(p.Addr), Gated: gated, Transport: t.transport,
	}}
	t.mu.Lock()
	if len(t.peers) < contract.MaxPeers && q.Remote != "" {
		t.peers[p.ID] = q
	} else {
		t.more++
	}
	t.mu.Unlock()
	t.poke()
}

// gone forgets a connection.
func (t *peerTable) gone(p *msg.Peer) {
	t.mu.Lock()
	if _, ok := t.peers[p.ID]; ok {
		delete(t.peers, p.ID)
	} else {
		t.more = max(0, t.more-1)
	}
	t.mu.Unlock()
	t.poke()
}

func (t *peerTable) poke() {
	select {
	case t.changed <- struct{}{}:
	default: // It is known already that something changed.
	}
}

// list returns the connections by their numbers.
func (t *peerTable) list() []contract.Peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]contract.Peer, 0, len(t.peers))
	for _, p := range t.peers {
		out = append(out, p.Peer)
	}
	// sort.Slice sorts all types by the same code; slices.SortFunc is 9 KB more of the robot's program for each.
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// strength is how well the bus knows the peer.
func (t *peerTable) strength(id uint32) msg.Strength {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id].strength
}

// demanded are the connections behind which the mapping demands a process.
func (t *peerTable) demanded() map[uint32]struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[uint32]struct{}{}
	for id, p := range t.peers {
		if t.demands[p.name] {
			out[id] = struct{}{}
		}
	}
	return out
}

// address is "ip:port", empty where it is not known. A zone belongs to the computer, not to the address.
func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

// cut makes a name that a stranger chose fit for a frame.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	return strings.ToValidUTF8(s[:min(len(s), contract.MaxText)], "")
}
