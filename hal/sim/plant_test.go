package sim

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
)

// rig is a world whose base is driven by the test alone.
func rig(t testing.TB, h Handlers, change func(*Options)) *World {
	t.Helper()
	o := DefaultOptions()
	o.NoLock = true
	o.Start = Placement{Floor: "ground", X: 5, Y: 12}
	if change != nil {
		change(&o)
	}
	w, err := New(o, h)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func forward(v float64) msg.Twist { return msg.Twist{Linear: msg.Vec3{X: v}} }

// drive repeats a command each 50 ms for a while.
func drive(w *World, t msg.Twist, d time.Duration) {
	for end := w.Now() + d; w.Now() < end; {
		w.Command(t)
		w.Advance(min(50*time.Millisecond, end-w.Now()))
	}
}

// stopRun brings the robot to speed, commands zero and returns how far and how long it went on.
func stopRun(t testing.TB, seed uint64, speed float64, loaded bool, run time.Duration) (v, metres, seconds float64) {
	w := rig(t, Handlers{}, func(o *Options) { o.Seed = seed })
	w.SetLoad(loaded)
	drive(w, forward(speed), run)
	start := w.Truth()
	from := w.Now()
	for w.Truth().Walking && w.Now()-from < 10*time.Second {
		drive(w, msg.Twist{}, 10*time.Millisecond)
	}
	end := w.Truth()
	return start.SpeedMPS, dist(Point{start.X, start.Y}, Point{end.X, end.Y}), (w.Now() - from).Seconds()
}

// The figures that a robot profile for DefaultPlant has to state at least; DefaultPlant's comment repeats them.
const (
	steadyReactionS = 0.60
	profileDecel    = 0.7
	accelBound      = 0.8
	accelReactionS  = 0.42
	standingS       = 0.90
	longestStopS    = 1.6
)

func TestStopsWithinStatedBoundFromSteadySpeed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		speed := rapid.Float64Range(0.1, 0.94).Draw(rt, "speed")
		loaded := rapid.Bool().Draw(rt, "loaded")
		phase := time.Duration(rapid.IntRange(0, 999).Draw(rt, "phase")) * time.Millisecond
		v, d, s := stopRun(t, seed, speed, loaded, 4*time.Second+phase)
		if bound := v*steadyReactionS + v*v/(2*profileDecel); d > bound {
			rt.Fatalf("from %.3f m/s it went on for %.3f m, stated %.3f m", v, d, bound)
		}
		if bound := min(longestStopS, standingS+v/profileDecel); s > bound {
			rt.Fatalf("from %.3f m/s it took %.2f s, stated %.2f s", v, s, bound)
		}
	})
}

func TestStopsWithinStatedBoundWhileGainingSpeed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		speed := rapid.Float64Range(0.1, 0.94).Draw(rt, "speed")
		loaded := rapid.Bool().Draw(rt, "loaded")
		run := time.Duration(rapid.IntRange(400, 2500).Draw(rt, "run")) * time.Millisecond
		v, d, s := stopRun(t, seed, speed, loaded, run)
		if limit := min(longestStopS, standingS+v/profileDecel); s > limit {
			rt.Fatalf("from %.3f m/s while gaining it took %.2f s, stated %.2f s", v, s, limit)
		}
		top := math.Min(1, v+accelBound*accelReactionS)
		bound := v*accelReactionS + accelBound*accelReactionS*accelReactionS/2 + top*top/(2*profileDecel)
		if d > bound {
			rt.Fatalf("from %.3f m/s while gaining it went on for %.3f m, stated %.3f m", v, d, bound)
		}
	})
}

func TestBoundIsNotSlack(t *testing.T) {
	// A predictor that knew no footfalls, v·0.2 s + v²/2a, must be wrong here, or the plant would prove nothing.
	worse := 0
	for seed := range uint64(40) {
		v, d, _ := stopRun(t, seed, 0.9, true, 4*time.Second+time.Duration(seed)*23*time.Millisecond)
		if d > v*0.2+v*v/(2*DefaultPlant().LoadedDecelMPS2) {
			worse++
		}
	}
	if worse < 15 {
		t.Errorf("only %d of 40 stops were longer than a plant without footfalls would take", worse)
	}
}
