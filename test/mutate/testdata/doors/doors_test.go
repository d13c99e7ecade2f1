package doors

import "testing"

func TestDoors(t *testing.T) {
	if Open([]int{1, 2, -1, 4}) != 3 {
		t.Error("Open")
	}
	if !Locked("ann", 23) || Locked("ann", 12) {
		t.Error("Locked")
	}
	if Named(1) != "one" || Named(0) != "none" {
		t.Error("Named")
	}
}
