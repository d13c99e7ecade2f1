package ros2

import (
	"sync"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// identity is who is behind a remote endpoint, as far as it is known.
type identity struct {
	// name is the node that the endpoint's own participant lists it under, or the participant's address.
	name     string
	strength msg.Strength
	// settled is false while more may become known soon: then the name is the address for now.
	settled bool
	// rival is another living participant with a node of this name.
	rival *rtps.RemoteParticipant
}

// identify says who is behind the endpoint. It takes no time that depends on the network.
func (n *Node) identify(e *rtps.Endpoint) identity {
	p, now := e.Participant, n.cfg.Clock()
	waited := now - n.faces.since(e, now)
	name, _ := n.dir.node(e)
	id := identity{name: name, strength: msg.Claimed}
	switch {
	case name != "":
		id.settled = p.Proven() || waited >= n.cfg.Limits.NameTimeout
	case n.faces.talks(p):
		id.settled = waited >= n.cfg.Limits.NameTimeout
	default:
		id.settled = waited >= n.cfg.Limits.RawTimeout
	}
	if name == "" {
		id.name = rawName(p.Source.Addr())
	} else if r := n.dir.rival(p, name); r != nil && r.Heard() > p.Since+succession {
		// A node that was restarted has the name of the one that died; that one is not heard any more.
		id.rival = r
	}
	if p.Proven() && p.Conflicts() == 0 && id.rival == nil && name != n.cfg.Name {
		id.strength = msg.SourceBound
	}
	return id
}

// succession is how long the last datagrams of a process that died may be heard after its successor has come.
const succession = 250 * time.Millisecond

// faces holds what has to be remembered of remote endpoints and participants besides what discovery tells.
type faces struct {
	mu sync.Mutex
	// first is when an endpoint was first asked about, on the boot clock. One that is announced anew, as another
	// rtps.Endpoint, is the same here: else it could stay without a name for ever.
	first map[face]time.Duration
	// tell holds the participants that offer a list of their nodes, with the number of writers that they do it with.
	tell map[*rtps.RemoteParticipant]int
}

// face is an endpoint, however often it is announced.
type face struct {
	p  *rtps.RemoteParticipant
	id wire.EntityID
}

func (f *faces) since(e *rtps.Endpoint, now time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := face{e.Participant, e.GUID.Entity}
	at, ok := f.first[k]
	if !ok {
		at = now
		f.first[k] = at
	}
	return at
}

// talks tells whether the participant offers a list of its nodes.
func (f *faces) talks(p *rtps.RemoteParticipant) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tell[p] > 0
}

// lister counts a participant's writers of its list.
func (f *faces) lister(p *rtps.RemoteParticipant, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tell[p] += by; f.tell[p] <= 0 {
		delete(f.tell, p)
	}
}

// keep forgets the endpoints that are gone.
func (f *faces) keep(visit func(func(*rtps.Endpoint))) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.first) == 0 {
		return
	}
	now := make(map[face]time.Duration, len(f.first))
	visit(func(e *rtps.Endpoint) {
		k := face{e.Participant, e.GUID.Entity}
		if at, ok := f.first[k]; ok {
			now[k] = at
		}
	})
	f.first = now
}

// nameOf is the name to report an endpoint by, settled or not.
func (n *Node) nameOf(e *rtps.Endpoint) string {
	if name, _ := n.dir.node(e); name != "" {
		return name
	}
	return rawName(e.Participant.Source.Addr())
}

// nameOfParticipant is the name to report a participant by: its first node, or its address.
func (n *Node) nameOfParticipant(p *rtps.RemoteParticipant) string {
	if nodes := n.dir.nodesOf(p); len(nodes) > 0 {
		return nodes[0]
	}
	return rawName(p.Source.Addr())
}

// vendors by the number that they have from the OMG (https://www.dds-foundation.org/dds-rtps-vendor-and-product-ids).
var (
	vendorFastDDS = [2]byte{1, 15}
	vendorCyclone = [2]byte{1, 16}
)

// Quality of service by the reader's kind, see Sub.takes.
type reach uint8

const (
	// best is a best-effort, volatile reader: every writer matches it, and it can hold up none.
	best reach = iota
	// sure is a reliable, volatile reader, for what must not be missed.
	sure
	// kept is a reliable, transient-local reader, for what was said before we came.
	kept
	reaches
)

// takes tells whether a subscription's reader of the given kind takes the samples of a writer with the quality of service
// q. want says which readers the subscription has; exactly one of those that match the writer takes it, so that no sample
// is handled twice.
func takes(want [reaches]bool, kind reach, q *wire.QoS) bool {
	switch {
	case want[kept] && q.Reliable && q.Durability >= wire.TransientLocal:
		return kind == kept
	case want[sure] && q.Reliable:
		return kind == sure
	}
	return kind == best
}
