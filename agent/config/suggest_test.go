package config

import (
	"testing"

	"pgregory.net/rapid"
)

func TestClosest(t *testing.T) {
	known := []string{"max_speed_mps", "max_yaw_rate_radps", "decel_mps2", "creep_mps", "id", "kind", "hold_after", "stop_after"}
	for word, want := range map[string]string{
		"max_sped_mps": "max_speed_mps", "max_speed": "max_speed_mps", "max_speed_kmh": "max_speed_mps", "MAX_SPEED_MPS": "max_speed_mps",
		"kidn": "kind", "dcel_mps2": "decel_mps2", "hold_afte": "hold_after", "stop_atfer": "stop_after", "zzz": "", "": "", "x": "", "di": "id",
		"completely_different": "",
	} {
		if got := closest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// TestDistance holds the distance to what makes it one.
func TestDistance(t *testing.T) {
	word := rapid.StringMatching(`[a-d]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b)
		if (d == 0) != (a == b) || d != distance(b, a) || d > max(len(a), len(b)) || d < max(len(a)-len(b), len(b)-len(a)) {
			t.Fatalf("distance %d", d)
		}
	})
}
