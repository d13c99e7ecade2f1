package explain

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
)

// humanoid loads the example with a counter for hands and a screen for the camera.
func humanoid(t *testing.T) *config.Config {
	t.Helper()
	var files []string
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml"} {
		files = append(files, filepath.Join("..", "..", "configs", "examples", "humanoid", name))
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestPartsAreExplained asks at the counter, before it, and with joints that nobody knows.
func TestPartsAreExplained(t *testing.T) {
	cfg := humanoid(t)
	all := map[string]float64{}
	for _, j := range cfg.Profile.Joints.List {
		all[j.Name] = 0
	}
	for _, c := range []struct {
		name            string
		x, shoulder     float64
		known           bool
		counter, screen string
		others          int
	}{
		{"arms hang", 4.4, 0, true, "nothing is near", "nothing is near", 0},
		{"arm stretched", 4.55, -1.5, true, "left_hand is in it", "nothing is near", 1},
		{"arm stretched, farther away", 4.3, -1.5, true, "less than the margin", "nothing is near", 0},
		{"joints unknown", 4.55, 0, false, "joints are not known", "camera head may see", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question(cfg, "ground", c.x, 5.5, "2026-11-02T10:00")
			q.Floor = "ground"
			if c.known {
				all["left_shoulder_pitch_joint"] = c.shoulder
				q.Joints = all
			}
			a, err := Ask(q)
			if err != nil {
				t.Fatal(err)
			}
			counter, screen := find(t, a, "counter"), find(t, a, "screen")
			if !strings.Contains(counter.Why, c.counter) || !strings.Contains(screen.Why, c.screen) || len(a.Others) != c.others {
				t.Errorf("counter %q, screen %q, others %+v", counter.Why, screen.Why, a.Others)
			}
		})
	}
}
