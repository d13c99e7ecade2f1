package demo

import (
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/sim"
)

// testZones are the BLOCKED zones of the demonstration's policy as far as the story meets them.
func testZones() []Zone {
	always := func(time.Time) bool { return true }
	rect := func(x0, y0, x1, y1 float64) sim.Polygon {
		return sim.Polygon{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
	}
	return []Zone{
		{ID: "ground-stairs", Type: TypeBlocked, Floor: "ground", Outer: rect(0, 10, 3, 14), InForce: always},
		{ID: "pharmacy", Type: TypeBlocked, Floor: "ground", Outer: rect(0, 14, 8, 24), InForce: always},
		{
			ID: "ward-a-closed", Type: TypeBlocked, Floor: "ground", Outer: rect(8, 14, 20, 24),
			InForce: func(t time.Time) bool { return t.UTC().Hour() >= 19 },
		},
	}
}

func options() Options {
	return Options{
		Seed: 1, Robot: "robowarden-demo/demo-humanoid-01", Key: []byte("a-key-of-32-bytes-for-this-test!"),
		Zones: testZones(), Start: PassThrough, Timezone: time.UTC,
		Footprint: sim.Polygon{{X: 0.45, Y: 0.3}, {X: -0.28, Y: 0.3}, {X: -0.28, Y: -0.3}, {X: 0.45, Y: -0.3}},
	}
}

func TestWithoutAGuardTheTableFails(t *testing.T) {
	r, err := Run(t.Context(), options())
	if err != nil {
		t.Fatal(err)
	}
	if r.OK {
		t.Error("everything is fine without a guard; the day would prove nothing")
	}
	// These say that a guard is no nuisance; a robot without one passes them of course.
	free := []string{
		"the round is walked as fast as without a guard", "may turn and walk away from the edge", "every delivery was made",
	}
	for _, row := range r.Rows {
		if nuisance := slices.Contains(free, row.Name); row.OK != nuisance {
			t.Errorf("%s: measured %v, ok %v without a guard", row.Name, row.Measured, row.OK)
		}
	}
}
