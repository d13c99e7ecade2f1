package proc

import (
	"slices"
	"testing"
)

// TestPlaces: what a mount shows of its file system is part of the place, and names alone are not.
func TestPlaces(t *testing.T) {
	const list = `21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 8:2 /var/lib/robot /models rw - ext4 /dev/sda2 rw
23 21 0:50 / /models/over rw - tmpfs tmpfs rw
24 21 8:2 /gone//deleted /a\040b rw - ext4 /dev/sda2 rw
25 21 0:51 / /models/over rw - tmpfs tmpfs rw
short
`
	for name, c := range map[string]struct {
		id   uint64
		want Place
		none bool
	}{
		"/models/grasp/a/w":  {22, Place{"8:2", "/var/lib/robot/grasp/a/w"}, false},
		"/models":            {22, Place{"8:2", "/var/lib/robot"}, false},
		"/modelsgrasp/a/w":   {21, Place{"8:1", "/modelsgrasp/a/w"}, false},
		"/models/over/a/w":   {25, Place{"0:51", "/a/w"}, false},
		"/a b/x (deleted)":   {24, Place{"8:2", "/gone/x (deleted)"}, false},
		"elsewhere/grasp/a/": {99, Place{}, true},
	} {
		if p, ok := place(mountByID([]byte(list), c.id), name); p != c.want || ok == c.none {
			t.Errorf("%s by number: %+v, %t", name, p, ok)
		}
		if p, ok := place(mountByName([]byte(list), name), name); p != c.want || ok == c.none {
			t.Errorf("%s by name: %+v, %t", name, p, ok)
		}
	}
	if p, ok := place(mountByID([]byte(list), 22), "/home/grasp/a/w"); ok {
		t.Errorf("a file outside of its mount lies at %+v", p)
	}
	if in := mountedIn([]byte(list), "/models"); !slices.Equal(in, []Mounted{{"over", Place{"0:50", "/"}}, {"over", Place{"0:51", "/"}}}) {
		t.Errorf("in a folder: %+v", in)
	}
	slot := Place{"8:2", "/var/lib/robot/grasp"}
	for at, want := range map[Place]string{{"8:2", "/var/lib/robot/grasp/a/w"}: "a/w", {"8:1", "/var/lib/robot/grasp/a/w"}: "", {"8:2", "/var/lib/robot/grasping/a/w"}: "", {"8:2", "/home/grasp/a/w"}: ""} {
		if rest, ok := at.Below(slot); rest != want || ok != (want != "") {
			t.Errorf("%+v: %q, %t", at, rest, ok)
		}
	}
	if rest, ok := (Place{"8:2", "/x"}).Below(Place{"8:2", "/"}); rest != "x" || !ok {
		t.Errorf("below a root: %q, %t", rest, ok)
	}
}
