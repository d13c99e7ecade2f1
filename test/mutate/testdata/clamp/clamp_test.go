package clamp

import "testing"

func TestClamp(t *testing.T) {
	for _, c := range [][2]int{{-5, 0}, {0, 0}, {4, 4}, {9, 9}, {12, 9}} {
		if got := Clamp(c[0], 0, 9); got != c[1] {
			t.Errorf("%d becomes %d, want %d", c[0], got, c[1])
		}
	}
}
