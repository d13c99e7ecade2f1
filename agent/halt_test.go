package agent

import (
	"fmt"
	"testing"
)

// TestManyHaltsForgetNone: who may halt must not be able to make a robot forget what somebody else halted.
func TestManyHaltsForgetNone(t *testing.T) {
	var h halts
	h.add("bad", "drops cups")
	for i := range maxHalts - 1 {
		h.add(fmt.Sprint("r", i), "noise")
	}
	if why, ok := h.why("bad"); !ok || why != "drops cups" {
		t.Errorf("%q, %t", why, ok)
	}
	if why, ok := h.why("good"); ok {
		t.Errorf("a release that nobody halted: %q", why)
	}
	for i := range 1000 {
		h.add(fmt.Sprint("more", i), "noise")
	}
	if why, ok := h.why("bad"); !ok || why != "drops cups" {
		t.Errorf("after %d more: %q, %t", 1000, why, ok)
	}
	if why, ok := h.why("good"); !ok || why != tooManyHalts {
		t.Errorf("with more than are remembered: %q, %t", why, ok)
	}
	if list, _ := h.add("one more", "noise"); len(list) != maxHalts+1 {
		t.Errorf("%d are kept", len(list))
	}
}
