package ros2

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

func prefixOf(n byte) wire.Prefix { return wire.Prefix{1, 2, 3, n} }

func participant(n byte) *rtps.RemoteParticipant {
	return &rtps.RemoteParticipant{
		GUID: wire.GUID{Prefix: prefixOf(n), Entity: wire.EntityParticipant}, Since: time.Duration(n) * time.Second,
		Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 7410),
	}
}

func gid(n byte, entity uint16) cdr.GID {
	return wire.GUID{Prefix: prefixOf(n), Entity: wire.EntityID{0, byte(entity >> 8), byte(entity), 3}}.Bytes()
}

func endpoint(p *rtps.RemoteParticipant, entity uint16) *rtps.Endpoint {
	return &rtps.Endpoint{GUID: wire.GUIDOf(gid(p.GUID.Prefix[3], entity)), Participant: p, Writer: true}
}

func listOf(n byte, nodes ...cdr.NodeEntities) *cdr.Entities {
	return &cdr.Entities{Participant: participant(n).GUID.Bytes(), Nodes: nodes}
}

func node(name string, writers ...cdr.GID) cdr.NodeEntities {
	return cdr.NodeEntities{Namespace: "/", Name: name, Writers: writers}
}

func TestDirectory(t *testing.T) {
	for _, c := range []struct {
		name string
		list *cdr.Entities
		want learned
		// one and two are the names of participant 1's endpoint 1 and participant 2's endpoint 1.
		one, two string
	}{
		{"honest", listOf(1, node("base", gid(1, 1))), learned{}, "/base", ""},
		{"readers count too", listOf(1, cdr.NodeEntities{Namespace: "/a", Name: "b", Readers: []cdr.GID{gid(1, 1)}}), learned{}, "/a/b", ""},
		{"in another's name", listOf(2, node("base", gid(1, 1), gid(2, 1))), learned{foreign: true}, "", ""},
		{"another's writer", listOf(1, node("base", gid(2, 1), gid(1, 1))), learned{stolen: 1}, "/base", ""},
		{"our own name", listOf(1, node("robowarden", gid(1, 1))), learned{usurped: true}, "/robowarden", ""},
		{"no node name", listOf(1, node("a/b", gid(1, 1)), node("")), learned{invalid: 2}, "", ""},
		{"two nodes claim one writer", listOf(1, node("base", gid(1, 1)), node("thief", gid(1, 1))), learned{twice: 1}, "/base", ""},
		{"empty", listOf(1), learned{}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDirectory("/robowarden")
			p1, p2 := participant(1), participant(2)
			if diff := cmp.Diff(c.want, d.learn(p1, c.list), cmp.AllowUnexported(learned{})); diff != "" {
				t.Errorf("expected -, got +\n%s", diff)
			}
			one, _ := d.node(endpoint(p1, 1))
			two, _ := d.node(endpoint(p2, 1))
			if one != c.one || two != c.two {
				t.Errorf("names %q and %q, expected %q and %q", one, two, c.one, c.two)
			}
		})
	}
}

// TestDirectoryForgets: a participant that comes back under its old prefix from another source is another one; one that
// only changed its announcement is not.
func TestDirectoryForgets(t *testing.T) {
	d := newDirectory("/robowarden")
	first, changed, other := participant(1), participant(1), participant(1)
	other.Source = netip.MustParseAddrPort("10.0.0.9:7410")
	d.learn(first, listOf(1, node("base", gid(1, 1))))
	if name, _ := d.node(endpoint(changed, 1)); name != "" {
		t.Errorf("it is named %s before the first is gone", name)
	}
	d.keep([]*rtps.RemoteParticipant{changed})
	if name, _ := d.node(endpoint(changed, 1)); name != "/base" {
		t.Errorf("it is named %q after it has changed its announcement, expected /base", name)
	}
	d.keep([]*rtps.RemoteParticipant{other})
	if name, listed := d.node(endpoint(other, 1)); name != "" || listed || d.weight != 0 || len(d.lists) != 0 {
		t.Errorf("another source has inherited the name %q; weight %d", name, d.weight)
	}
}

func TestDirectoryReplaces(t *testing.T) {
	d := newDirectory("/robowarden")
	p := participant(1)
	d.learn(p, listOf(1, node("base", gid(1, 1), gid(1, 2))))
	v := d.version.Load()
	d.learn(p, listOf(1, node("arm", gid(1, 2))))
	one, _ := d.node(endpoint(p, 1))
	two, _ := d.node(endpoint(p, 2))
	if one != "" || two != "/arm" || d.version.Load() == v {
		t.Errorf("after the second list: %q, %q, version moved %v", one, two, d.version.Load() != v)
	}
}

// TestDirectoryIsFull: a list that is too long is not taken, and no crowd with long lists keeps another one's out.
func TestDirectoryIsFull(t *testing.T) {
	d := newDirectory("/robowarden")
	crowd := func(n byte, size int) *cdr.Entities {
		var gids []cdr.GID
		for i := range size {
			gids = append(gids, gid(n, uint16(i)))
		}
		return listOf(n, node("crowd", gids...))
	}
	if !d.learn(participant(250), crowd(250, maxList)).full || d.weight != 0 {
		t.Errorf("a list of %d endpoints and a node was taken, expected at most %d in all", maxList, maxList)
	}
	for n := range byte(250) {
		if d.learn(participant(n), crowd(n, maxList-nodeWeight)).full {
			t.Fatalf("the list of participant %d was not taken", n)
		}
	}
	base := participant(251)
	if d.learn(base, listOf(251, node("base", gid(251, 1)))).full || d.weight > maxListed {
		t.Errorf("no room for one more; weight %d, expected at most %d", d.weight, maxListed)
	}
	if name, _ := d.node(endpoint(base, 1)); name != "/base" {
		t.Errorf("it is called %q", name)
	}
}

func TestRival(t *testing.T) {
	d := newDirectory("/robowarden")
	older, newer := participant(1), participant(2)
	d.learn(older, listOf(1, node("teleop", gid(1, 1))))
	d.learn(newer, listOf(2, node("teleop", gid(2, 1)), node("other")))
	for _, c := range []struct {
		who  *rtps.RemoteParticipant
		name string
		want *rtps.RemoteParticipant
	}{{newer, "/teleop", older}, {older, "/teleop", nil}, {newer, "/other", nil}, {older, "/other", nil}} {
		if got := d.rival(c.who, c.name); got != c.want {
			t.Errorf("%v as %s: rival %v, expected %v", c.who.Source, c.name, got, c.want)
		}
	}
}

func TestLongGIDsByMajority(t *testing.T) {
	d := newDirectory("/robowarden")
	if d.long() {
		t.Error("nobody there, and gids of 24 octets")
	}
	for n, long := range []bool{true, false, true} {
		l := listOf(byte(n))
		l.Long = long
		d.learn(participant(byte(n)), l)
	}
	if !d.long() {
		t.Error("two of three write 24 octets; expected to do the same")
	}
}

// TestDirectoryProperty: whatever lists come, an endpoint's name is one that its own participant gave, and the weight is
// the sum of the lists'.
func TestDirectoryProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDirectory("/robowarden")
		var all []*rtps.RemoteParticipant
		for n := range byte(4) {
			all = append(all, participant(n))
		}
		said := map[byte]map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "lists") {
			from := rapid.ByteRange(0, 3).Draw(t, "from")
			l := listOf(rapid.ByteRange(0, 3).Draw(t, "in the name of"))
			for range rapid.IntRange(0, 3).Draw(t, "nodes") {
				nd := node(fmt.Sprintf("n%d", rapid.IntRange(0, 5).Draw(t, "name")))
				for range rapid.IntRange(0, 4).Draw(t, "gids") {
					nd.Writers = append(nd.Writers, gid(rapid.ByteRange(0, 3).Draw(t, "of"), rapid.Uint16Range(0, 3).Draw(t, "entity")))
				}
				l.Nodes = append(l.Nodes, nd)
			}
			if r := d.learn(all[from], l); !r.foreign {
				said[from] = map[string]bool{}
				for _, nd := range l.Nodes {
					said[from]["/"+nd.Name] = true
				}
			}
		}
		weight := 0
		for _, l := range d.lists {
			weight += l.weight
		}
		if weight != d.weight {
			t.Fatalf("weight %d, the lists' sum is %d", d.weight, weight)
		}
		for n, p := range all {
			for e := range uint16(4) {
				if name, _ := d.node(endpoint(p, e)); name != "" && !said[byte(n)][name] {
					t.Fatalf("participant %d never said %s", n, name)
				}
			}
		}
	})
}

// TestEachWriterIsTakenOnce: of the readers that match a writer, exactly one takes it, whatever readers there are.
func TestEachWriterIsTakenOnce(t *testing.T) {
	for _, want := range [][reaches]bool{
		{best: true}, {best: true, sure: true}, {best: true, kept: true}, {best: true, sure: true, kept: true},
	} {
		for _, q := range []wire.QoS{{}, {Reliable: true}, {Reliable: true, Durability: wire.TransientLocal}, {Durability: wire.TransientLocal}} {
			taken := 0
			for kind := range reaches {
				matches := kind == best || q.Reliable && (kind == sure || q.Durability >= wire.TransientLocal)
				if want[kind] && matches && takes(want, kind, &q) {
					taken++
				}
			}
			if taken != 1 {
				t.Errorf("readers %v, writer reliable %v durability %d: taken by %d", want, q.Reliable, q.Durability, taken)
			}
		}
	}
}
