package sim

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// passThrough is a world whose commands go from the planner to the base as they are.
func passThrough(t testing.TB, change func(*Options)) *World {
	t.Helper()
	o := DefaultOptions()
	o.NoLock = true
	if change != nil {
		change(&o)
	}
	var w *World
	w, err := New(o, Handlers{Command: func(c *msg.Command) { w.Command(c.Twist) }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTourOverTwoFloors(t *testing.T) {
	w := passThrough(t, nil)
	w.Planner().Do(Go("kitchen", 0.8), Load(true), Go("ward-a", 0.8), Load(false), Go("lift-ground", 0.8), Lift("upper"),
		Go("day-room", 0.8), Reach(3*time.Second), Go("lift-upper", 0.8), Lift("ground"), Go("dock-front", 0.8))
	start := w.Now()
	for w.Planner().Pending() > 0 && w.Now()-start < 15*time.Minute {
		w.Advance(time.Second)
	}
	if w.Planner().Pending() > 0 || w.Planner().Lost() != nil {
		t.Fatalf("the tour did not end: %d tasks left, lost: %v, truth %+v", w.Planner().Pending(), w.Planner().Lost(), w.Truth())
	}
	t.Logf("tour took %v", w.Now()-start)
	w.Call(Call{Service: ServiceDock, ID: 1, On: true})
	w.Advance(time.Second)
	if !w.Docking() {
		t.Fatal("the dock service did not engage")
	}
}
