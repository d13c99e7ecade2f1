package guard

import (
	"errors"
	"testing"
	"time"
)

// TestLoadKeepsTheFloorOfTheRobot loads policies that number the floors anew. The core knows the robot's floor by its
// number, so a policy that would put the robot on another floor by renumbering must not come into force.
func TestLoadKeepsTheFloorOfTheRobot(t *testing.T) {
	const (
		floors   = "  - {id: ground, name: Ground floor}\n  - {id: upper, name: Upper floor}\n"
		cellar   = "  - {id: cellar, name: Cellar, unbounded: \"no robot goes there\"}\n"
		swapped  = "  - {id: upper, name: Upper floor}\n  - {id: ground, name: Ground floor}\n"
		inserted = cellar + floors
		appended = floors + cellar
	)
	for _, c := range []struct {
		name, list string
		want       error
	}{
		{"the same floors (off)", floors, nil},
		{"a floor at the end", appended, nil},
		{"a floor before them", inserted, errFloors},
		{"another order", swapped, errFloors},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{})
			r.plant.x = 4.2
			r.drive = func() (float64, float64) { return 0.2, 0 }
			r.ready()
			before := r.core.params.Set.Floor(r.core.verdict.Floor)
			err := r.core.Load(demoParams(t, replaceIn(t, floors, c.list)))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			r.run(100 * time.Millisecond)
			if after := r.core.params.Set.Floor(r.core.verdict.Floor); after != before {
				t.Errorf("the robot is on floor %q and is judged by the zones of %q", before, after)
			}
		})
	}
}
