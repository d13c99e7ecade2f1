package cdr

// TypeParticipantEntities is the type of ros_discovery_info, by which participants tell of their nodes.
const TypeParticipantEntities = "rmw_dds_common/ParticipantEntitiesInfo"

// Caps of one participant's ros_discovery_info.
const (
	// MaxNodes bounds the nodes of one participant; a composed robot has some tens.
	MaxNodes = 256
	// MaxEntities bounds the readers and writers of all its nodes together. Each node has about a dozen for parameters
	// and log alone.
	MaxEntities = 8192
	// MaxName bounds a node's name and namespace, as the type itself does.
	MaxName = 256
)

// GID names a reader, a writer or a participant: its GUID. Until Humble it was followed by eight unused bytes on the
// wire.
type GID [16]byte

// Sizes of a gid on the wire.
const (
	gidBytes     = 16
	gidBytesLong = 24
)

// NodeEntities is one node with its readers and writers. Everything in it is a claim of its participant.
type NodeEntities struct {
	// Namespace begins with a slash; Name has none.
	Namespace, Name  string
	Readers, Writers []GID
}

// Entities is what one participant says of its nodes.
type Entities struct {
	Participant GID
	Nodes       []NodeEntities
}

// ParseEntities reads a payload of ros_discovery_info into e, whose lists are used again. Gids of 16 and of 24 bytes are
// told apart by trying: only one of the two fills the payload. An error leaves e without nodes.
func ParseEntities(payload []byte, e *Entities) error {
	// The first pass only counts, so that what is refused costs no memory.
	if err := walkEntities(payload, gidBytes, nil); err == nil {
		return walkEntities(payload, gidBytes, e)
	} else if walkEntities(payload, gidBytesLong, nil) == nil {
		return walkEntities(payload, gidBytesLong, e)
	} else {
		e.Nodes = e.Nodes[:0]
		return err
	}
}

func walkEntities(payload []byte, size int, e *Entities) error {
	c := open(payload)
	gid := c.take(1, size)
	n := c.count(16, MaxNodes) // four lengths
	if e != nil {
		copy(e.Participant[:], gid)
		e.Nodes = e.Nodes[:0]
	}
	room := MaxEntities
	for i := range n {
		namespace, name := c.name(), c.name()
		var node *NodeEntities
		if e != nil {
			if i < cap(e.Nodes) {
				e.Nodes = e.Nodes[:i+1]
			} else {
				e.Nodes = append(e.Nodes, NodeEntities{})
			}
			node = &e.Nodes[i]
			set(&node.Namespace, namespace)
			set(&node.Name, name)
			node.Readers = c.gids(size, &room, node.Readers[:0], true)
			node.Writers = c.gids(size, &room, node.Writers[:0], true)
		} else {
			c.gids(size, &room, nil, false)
			c.gids(size, &room, nil, false)
		}
	}
	return c.end()
}

// set changes s only if it is another text.
func set(s *string, b []byte) {
	if *s != string(b) {
		*s = string(b)
	}
}

// name reads a bounded string.
func (c *cursor) name() []byte {
	b := c.str()
	if len(b) > MaxName {
		c.fail(ErrText)
		return nil
	}
	return b
}

// gids reads a sequence of gids, of which room are still allowed; keep appends them to list.
func (c *cursor) gids(size int, room *int, list []GID, keep bool) []GID {
	n := c.count(size, *room)
	*room -= n
	for range n {
		b := c.take(1, size)
		if keep && b != nil {
			list = append(list, GID(b[:gidBytes]))
		}
	}
	return list
}

// AppendEntities appends the payload of a ros_discovery_info. long writes gids of 24 bytes, as Humble and older read
// them; else they have 16.
func AppendEntities(b []byte, e *Entities, long bool) []byte {
	w := begin(b)
	w.gid(&e.Participant, long)
	w.u32(uint32(len(e.Nodes)))
	for i := range e.Nodes {
		n := &e.Nodes[i]
		w.str(n.Namespace)
		w.str(n.Name)
		for _, list := range [][]GID{n.Readers, n.Writers} {
			w.u32(uint32(len(list)))
			for k := range list {
				w.gid(&list[k], long)
			}
		}
	}
	return w.done()
}

func (w *writer) gid(g *GID, long bool) {
	w.bytes(g[:])
	if long {
		w.u64Unaligned()
	}
}

// u64Unaligned appends the eight unused bytes of a long gid.
func (w *writer) u64Unaligned() { w.b = append(w.b, 0, 0, 0, 0, 0, 0, 0, 0) }
