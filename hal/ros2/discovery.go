package ros2

import (
	"fmt"
	"sync"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// discovery is both ends of ros_discovery_info: the list of our node, and the reader of everybody else's.
type discovery struct {
	reader *rtps.Reader

	// out guards our own list.
	out    sync.Mutex
	writer *rtps.Writer
	seq    uint64
	long   bool
	buf    []byte
	told   []byte

	// in guards the lists that came and were not read yet: the receiving goroutine only copies them.
	in    sync.Mutex
	fresh map[*rtps.RemoteWriter][]byte
	// scratch is the list that was read last.
	scratch cdr.Entities
}

const (
	// discoveryRate bounds the lists of one participant per second: one per endpoint of a node that starts.
	discoveryRate = 100
	// discoveryBytes bounds one list: that of a participant with 2048 endpoints and 128 nodes.
	discoveryBytes = 64 << 10
)

func (n *Node) openDiscovery() error {
	t, err := parseType(cdr.TypeParticipantEntities, "msg")
	if err != nil {
		return err
	}
	d := &n.disc
	d.fresh = map[*rtps.RemoteWriter][]byte{}
	d.writer, err = n.part.NewWriter(rtps.WriterConfig{
		Topic: discoveryTopic, Type: t.dds(""), Reliable: true, TransientLocal: true, Depth: 1, MaxSample: discoveryBytes,
		UserData: n.hashes.data(t.String()), FirstReaders: func(*rtps.RemoteReader) bool { return true },
	})
	if err != nil {
		return fmt.Errorf("ros2: offer the list of our node: %w", err)
	}
	d.reader, err = n.part.NewReader(rtps.ReaderConfig{
		Topic: discoveryTopic, Type: t.dds(""), Reliable: true, TransientLocal: true, MaxSample: discoveryBytes,
		// Each participant has one list, so that all of them together find room.
		MaxRateHz: discoveryRate, PerParticipant: 1, UserData: n.hashes.data(t.String()), Handler: n.listed, OnMatch: n.lister,
	})
	if err != nil {
		return fmt.Errorf("ros2: read the lists of other nodes: %w", err)
	}
	n.announce()
	return nil
}

// lister is told of participants that offer a list of their nodes.
func (n *Node) lister(w *rtps.RemoteWriter, matched bool) {
	if matched {
		n.faces.lister(w.Participant, 1)
		return
	}
	n.faces.lister(w.Participant, -1)
	n.disc.in.Lock()
	delete(n.disc.fresh, w)
	n.disc.in.Unlock()
}

// listed takes a list on the receiving goroutine. It is read elsewhere, so that no list holds up a message.
func (n *Node) listed(x *rtps.Sample) {
	d := &n.disc
	d.in.Lock()
	d.fresh[x.Writer] = append(d.fresh[x.Writer][:0], x.Payload...)
	d.in.Unlock()
	n.Poke()
}

// readLists reads the lists that came. It is called on the node's own goroutine.
func (n *Node) readLists() {
	d := &n.disc
	d.in.Lock()
	if len(d.fresh) == 0 {
		d.in.Unlock()
		return
	}
	lists := d.fresh
	d.fresh = map[*rtps.RemoteWriter][]byte{}
	d.in.Unlock()
	lim := &n.cfg.Limits
	for w, payload := range lists {
		if err := cdr.ParseEntities(payload, &d.scratch, lim.MaxNodes, lim.MaxGIDs); err != nil {
			n.complain(bus.RequestMalformed, w, fmt.Sprintf("the list of nodes did not decode: %v", err))
			continue
		}
		n.judge(w, n.dir.learn(w.Participant, &d.scratch))
	}
}

// judge tells what was wrong with a list.
func (n *Node) judge(w *rtps.RemoteWriter, l learned) {
	switch {
	case l.foreign:
		n.complain(bus.PublisherConflict, w, fmt.Sprintf("a list of nodes in the name of another participant, %v; not taken",
			wire.GUIDOf(n.disc.scratch.Participant)))
	case l.stolen > 0:
		n.complain(bus.PublisherConflict, w, fmt.Sprintf("a list of nodes claims %d endpoints of other participants; those were not taken", l.stolen))
	case l.usurped:
		n.complain(bus.PublisherConflict, w, "a list of nodes has a node of our own name, "+n.cfg.Name)
	case l.full:
		n.complain(bus.RequestRefused, w, "a list of nodes is more than there is room for; not taken")
	case l.invalid > 0 || l.twice > 0:
		n.complain(bus.RequestMalformed, w, fmt.Sprintf("a list of nodes has %d names that no node can have and %d endpoints of two nodes",
			l.invalid, l.twice))
	}
}

func (n *Node) complain(kind bus.EventKind, w *rtps.RemoteWriter, detail string) {
	n.rep.Emit(&bus.Event{Kind: kind, Topic: discoveryTopic, Name: rawName(w.Participant.Source.Addr()), Detail: detail})
}

// announce tells the others of our node and its endpoints, if that is news.
func (n *Node) announce() {
	d := &n.disc
	d.out.Lock()
	defer d.out.Unlock()
	namespace, name := splitNode(n.cfg.Name)
	node := cdr.NodeEntities{Namespace: namespace, Name: name}
	n.ownEndpoints(func(r *rtps.Reader, w *rtps.Writer) {
		if r != nil {
			node.Readers = append(node.Readers, r.GUID().Bytes())
		}
		if w != nil {
			node.Writers = append(node.Writers, w.GUID().Bytes())
		}
	})
	list := cdr.Entities{Participant: n.part.GUID().Bytes(), Nodes: []cdr.NodeEntities{node}}
	d.buf = cdr.AppendEntities(d.buf[:0], &list, d.long)
	if string(d.buf) == string(d.told) {
		return
	}
	d.seq++
	if _, err := d.writer.Write(d.seq, d.buf); err != nil {
		n.cfg.Log.Debug().Err(err).Msg("tell the list of our node")
		return
	}
	d.told = append(d.told[:0], d.buf...)
}

// adapt writes our list in the form that most others write theirs in.
func (n *Node) adapt() {
	long := n.dir.long()
	n.disc.out.Lock()
	changed := n.disc.long != long
	n.disc.long = long
	n.disc.out.Unlock()
	if changed {
		n.announce()
	}
}

// ownEndpoints calls f for each of our readers and writers that belong to the node.
func (n *Node) ownEndpoints(f func(*rtps.Reader, *rtps.Writer)) {
	n.mu.Lock()
	subs, pubs, clients, gates := n.subs, n.pubs, n.clients, n.gates
	n.mu.Unlock()
	for _, s := range subs {
		for _, r := range s.now() {
			f(r, nil)
		}
	}
	for _, p := range pubs {
		f(nil, p.writer)
	}
	for _, c := range clients {
		f(c.reader, c.writers[related])
		f(nil, c.writers[prefixed])
	}
	for _, g := range gates {
		f(nil, g.reply)
	}
}
