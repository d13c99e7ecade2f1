package ros2

import (
	"testing"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// FuzzList: whatever list of nodes comes, only valid names come of it, only for the sender's own endpoints, and within the
// caps.
func FuzzList(f *testing.F) {
	for _, long := range []bool{false, true} {
		f.Add(cdr.AppendEntities(nil, listOf(1, node("base", gid(1, 1), gid(2, 1)), node("a/b")), long))
		f.Add(cdr.AppendEntities(nil, listOf(2, node("robowarden", gid(2, 1))), long))
	}
	f.Add([]byte{0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		d := newDirectory("/robowarden")
		var lim Limits
		if err := lim.fill(); err != nil {
			t.Fatal(err)
		}
		var e cdr.Entities
		if cdr.ParseEntities(payload, &e, lim.MaxNodes, lim.MaxGIDs) != nil {
			return
		}
		p, q := participant(1), participant(2)
		l := d.learn(p, &e)
		if l.foreign && len(d.lists) > 0 {
			t.Fatal("a list in another's name was taken")
		}
		for _, name := range d.nodesOf(p) {
			if !validName(name) {
				t.Fatalf("name %q", name)
			}
		}
		if len(d.nodesOf(q)) > 0 || len(d.nodesOf(p)) > lim.MaxNodes || d.weight > maxListed {
			t.Fatalf("%d nodes of another, %d nodes, weight %d", len(d.nodesOf(q)), len(d.nodesOf(p)), d.weight)
		}
	})
}

// FuzzReply: whatever reply comes, it is an answer only to a request that waits for it.
func FuzzReply(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 0, 0, 0, 0, 0, 0, 0, 1}, true, int64(0))
	f.Add([]byte{0, 1, 0, 0, 1}, false, int64(7))
	f.Add([]byte{}, true, int64(-1))
	f.Fuzz(func(t *testing.T, payload []byte, head bool, seq int64) {
		kind := related
		if head {
			kind = prefixed
		}
		n := &Node{flavourOf: func(*rtps.RemoteParticipant) flavour { return kind }}
		c := &client{n: n, id: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, wait: map[requestKey]*call{}}
		k := &call{reply: make(chan answer, 1)}
		c.wait[requestKey{kind, 7}] = k
		w := &rtps.RemoteWriter{Endpoint: endpoint(participant(1), 1)}
		x := &rtps.Sample{Writer: w, Payload: payload, Related: wire.GUID{Prefix: prefixOf(9)}, RelatedSeq: wire.SeqNum(seq)}
		c.replied(x)
		c.replied(x)
		if len(k.reply) == 1 && (!head || len(payload) < 20 || string(payload[4:12]) != string(c.id[:])) {
			t.Fatalf("%x was taken for an answer", payload)
		}
	})
}

// FuzzNames: no text passes for both a node and a raw writer, and what passes survives the way over the wire.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"/base", "/a/b", "dds:10.0.0.1", "/", "", "//", "/2", "dds:::1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !validName(s) {
			return
		}
		if nodeName(splitNode(s)) != s || rosTopic(ddsTopic(s)) != s || len(s) > maxName {
			t.Fatalf("%q does not survive", s)
		}
	})
}
