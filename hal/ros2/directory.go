package ros2

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// directory holds which node each remote endpoint belongs to, as its own participant says it in ros_discovery_info. What
// a participant says of another one's endpoints is not kept.
type directory struct {
	// name is our own node.
	name string

	// version changes with every change of the lists; to read it costs nothing.
	version atomic.Uint64

	mu sync.RWMutex
	// lists holds one list per participant; its key is the participant as discovery knows it, so that a prefix that
	// comes back from another source inherits nothing.
	lists  map[*rtps.RemoteParticipant]*nodeList
	weight int
}

// nodeList is what one participant says of its nodes.
type nodeList struct {
	nodes []string
	// owner indexes nodes by reader or writer.
	owner  map[wire.EntityID]int
	long   bool
	weight int
}

const (
	// maxList bounds one list: as many endpoints as a participant can announce, and as many nodes as it can have. maxListed
	// bounds all of them, and is their sum: with less, a few long lists would keep out those of others, who were strangers
	// then.
	maxList   = rtps.DefaultEndpointsPerParticipant + DefaultMaxNodes*nodeWeight
	maxListed = maxList * rtps.DefaultParticipants
	// nodeWeight is what a node counts besides an endpoint: its name.
	nodeWeight = 4
)

// learned says what was wrong with a list. What is right in it has been taken.
type learned struct {
	// foreign is true if the list says that it is another participant's: then nothing was taken.
	foreign bool
	// stolen counts the endpoints of other participants that the list names.
	stolen int
	// usurped is true if it names a node as we are named.
	usurped bool
	// invalid counts names that no node can have, and twice the endpoints that two of its nodes claim.
	invalid, twice int
	// full is true if the list was not taken because it is too long, or all lists together are.
	full bool
}

func newDirectory(name string) *directory {
	return &directory{name: name, lists: map[*rtps.RemoteParticipant]*nodeList{}}
}

// learn takes what the participant p says of its nodes in place of what it said before.
func (d *directory) learn(p *rtps.RemoteParticipant, e *cdr.Entities) learned {
	var l learned
	prefix := p.GUID.Prefix
	if wire.GUIDOf(e.Participant).Prefix != prefix {
		l.foreign = true
		return l
	}
	list := &nodeList{owner: map[wire.EntityID]int{}, long: e.Long}
	for i := range e.Nodes {
		n := &e.Nodes[i]
		name := nodeName(n.Namespace, n.Name)
		if name == "" {
			l.invalid++
			continue
		}
		l.usurped = l.usurped || name == d.name
		list.nodes = append(list.nodes, name)
		for _, gids := range [2][]cdr.GID{n.Readers, n.Writers} {
			for _, g := range gids {
				list.claim(prefix, wire.GUIDOf(g), &l)
			}
		}
	}
	list.weight = len(list.owner) + nodeWeight*len(list.nodes)
	d.replace(p, list, &l)
	return l
}

// claim notes that the last node has the endpoint. The first node that has one keeps it.
func (n *nodeList) claim(prefix wire.Prefix, g wire.GUID, l *learned) {
	switch _, claimed := n.owner[g.Entity]; {
	case g.Prefix != prefix:
		l.stolen++
	case claimed:
		l.twice++
	default:
		n.owner[g.Entity] = len(n.nodes) - 1
	}
}

func (d *directory) replace(p *rtps.RemoteParticipant, list *nodeList, l *learned) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := 0
	if old := d.lists[p]; old != nil {
		before = old.weight
	}
	if list.weight > maxList || d.weight-before+list.weight > maxListed {
		l.full = true
		return
	}
	d.weight += list.weight - before
	d.lists[p] = list
	d.version.Add(1)
}

// keep drops the lists of participants that are gone. One that has only changed its announcement, as when its computer gets
// another address, keeps its list: it need not tell it again, and speaks from the same source.
func (d *directory) keep(now []*rtps.RemoteParticipant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lists) == 0 {
		return
	}
	here := make(map[wire.Prefix]*rtps.RemoteParticipant, len(now))
	for _, p := range now {
		here[p.GUID.Prefix] = p
	}
	for p, list := range d.lists {
		heir := here[p.GUID.Prefix]
		if heir == p {
			continue
		}
		delete(d.lists, p)
		d.version.Add(1)
		if heir != nil && heir.Source == p.Source && d.lists[heir] == nil {
			d.lists[heir] = list
		} else {
			d.weight -= list.weight
		}
	}
}

// node returns the node that the endpoint's participant lists it under, "" if it lists it under none. listed tells
// whether the participant lists anything.
func (d *directory) node(e *rtps.Endpoint) (name string, listed bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	list := d.lists[e.Participant]
	if list == nil {
		return "", false
	}
	i, ok := list.owner[e.GUID.Entity]
	if !ok {
		return "", true
	}
	return list.nodes[i], true
}

// nodesOf lists the participant's nodes.
func (d *directory) nodesOf(p *rtps.RemoteParticipant) []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if list := d.lists[p]; list != nil {
		return list.nodes
	}
	return nil
}

// rival returns another participant that has a node of the same name and was there before p, nil if there is none.
func (d *directory) rival(p *rtps.RemoteParticipant, name string) *rtps.RemoteParticipant {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for other, list := range d.lists {
		if other == p || other.Since > p.Since || other.Since == p.Since && other.GUID.String() > p.GUID.String() {
			continue
		}
		if slices.Contains(list.nodes, name) {
			return other
		}
	}
	return nil
}

// long tells whether most participants write gids of 24 octets, as ROS 2 did until Humble.
func (d *directory) long() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	n := 0
	for _, list := range d.lists {
		if list.long {
			n++
		}
	}
	return 2*n > len(d.lists)
}
