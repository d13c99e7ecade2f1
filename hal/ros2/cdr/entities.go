package cdr

import "math"

// TypeParticipantEntities is the type of ros_discovery_info, by which participants tell of their nodes.
const TypeParticipantEntities = "rmw_dds_common/ParticipantEntitiesInfo"

// Caps of one participant's ros_discovery_info.
const (
	// MaxNodes is the usual cap of nodes of one participant; a composed robot has some tens.
	MaxNodes = 128
	// MaxEntities is the usual cap of readers and writers of all its nodes together. Each node has about a dozen for
	// parameters and log alone.
	MaxEntities = 4096
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
	// Long tells that ParseEntities found gids of 24 bytes; AppendEntities does not look at it.
	Long bool
}

// ParseEntities reads a payload of ros_discovery_info into e, whose lists are used again, so that a participant that
// repeats itself costs nothing. More than maxNodes nodes, or than maxEntities readers and writers together, are refused
// with ErrCount; 0 takes MaxNodes and MaxEntities. Gids of 16 and of 24 bytes are told apart by trying: only one of the
// two fills the payload. An error leaves e without nodes.
func ParseEntities(payload []byte, e *Entities, maxNodes, maxEntities int) error {
	if maxNodes <= 0 {
		maxNodes = MaxNodes
	}
	if maxEntities <= 0 {
		maxEntities = MaxEntities
	}
	e.Nodes = e.Nodes[:0]
	size := gidBytes
	if err := checkEntities(payload, size, math.MaxInt32, math.MaxInt32, math.MaxInt32); err != nil {
		size = gidBytesLong
		if checkEntities(payload, size, math.MaxInt32, math.MaxInt32, math.MaxInt32) != nil {
			return err
		}
	}
	if err := checkEntities(payload, size, maxNodes, maxEntities, MaxName); err != nil {
		return err
	}
	readEntities(payload, size, e)
	return nil
}

// checkEntities reads without keeping, so that what is refused costs no memory.
func checkEntities(payload []byte, size, nodes, room, name int) error {
	c := open(payload)
	c.take(1, size)
	for range c.count(4*4, nodes) {
		if namespace, n := c.str(), c.str(); len(namespace) > name || len(n) > name {
			return ErrText
		}
		c.gids(size, &room)
		c.gids(size, &room)
	}
	return c.end()
}

// readEntities reads what checkEntities found sound.
func readEntities(payload []byte, size int, e *Entities) {
	c := open(payload)
	copy(e.Participant[:], c.take(1, size))
	e.Long = size == gidBytesLong
	room := math.MaxInt32
	for i := range c.count(4*4, math.MaxInt32) {
		if i < cap(e.Nodes) {
			e.Nodes = e.Nodes[:i+1]
		} else {
			e.Nodes = append(e.Nodes, NodeEntities{})
		}
		node := &e.Nodes[i]
		set(&node.Namespace, c.str())
		set(&node.Name, c.str())
		node.Readers = appendGIDs(node.Readers[:0], c.gids(size, &room), size)
		node.Writers = appendGIDs(node.Writers[:0], c.gids(size, &room), size)
	}
}

// set changes s only if it is another text.
func set(s *string, b []byte) {
	if *s != string(b) {
		*s = string(b)
	}
}

// gids returns the raw entries of a sequence of gids, of which room are still allowed.
func (c *cursor) gids(size int, room *int) []byte {
	n := c.count(size, *room)
	*room -= n
	return c.take(1, n*size)
}

func appendGIDs(list []GID, raw []byte, size int) []GID {
	for ; len(raw) >= size; raw = raw[size:] {
		list = append(list, GID(raw[:gidBytes]))
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
		w.bytes(make([]byte, gidBytesLong-gidBytes))
	}
}
