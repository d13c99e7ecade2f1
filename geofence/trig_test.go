package geofence

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSincosAgreesWithTheLibrary(t *testing.T) {
	worst := 0.0
	check := func(x float64) {
		s, c := sincos(x)
		worst = max(worst, math.Abs(s-math.Sin(x)), math.Abs(c-math.Cos(x)))
	}
	for i := -200_000; i <= 200_000; i++ {
		check(float64(i) * 1.7e-4)
	}
	for _, x := range []float64{0, 1e-300, 1e-9, math.Pi / 4, math.Pi / 2, math.Pi, 3 * math.Pi, 1000 * math.Pi, maxAngle, -maxAngle} {
		check(x)
	}
	if worst > 1e-15 {
		t.Errorf("largest error %g, want at most 1e-15", worst)
	}
	t.Logf("largest error %g", worst)
}

func TestSincosRefusesWhatItCannotReduce(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), maxAngle * 1.01} {
		if s, c := sincos(x); !math.IsNaN(s) || !math.IsNaN(c) {
			t.Errorf("sincos(%v) = %v, %v, want NaN", x, s, c)
		}
	}
}

func TestAdvanceFollowsTheArc(t *testing.T) {
	for _, tc := range []struct {
		name string
		u    twist
		dt   float64
		want frame
	}{
		{"straight", twist{1000, 0, 0}, 2, frame{2000, 0, 1, 0}},
		{"sideways", twist{0, 500, 0}, 2, frame{0, 1000, 1, 0}},
		{"on the spot", twist{0, 0, math.Pi / 2}, 1, frame{0, 0, 0, 1}},
		{"quarter circle left", twist{1000 * math.Pi / 2, 0, math.Pi / 2}, 1, frame{1000, 1000, 0, 1}},
		{"quarter circle right", twist{1000 * math.Pi / 2, 0, -math.Pi / 2}, 1, frame{1000, -1000, 0, -1}},
		{"barely turning", twist{1000, 0, 1e-5}, 1, frame{1000, 0.005, 1, 1e-5}},
	} {
		got := frame{c: 1}.advance(tc.u, tc.dt)
		for _, d := range []float64{got.x - tc.want.x, got.y - tc.want.y, got.c - tc.want.c, got.s - tc.want.s} {
			if math.Abs(d) > 1e-6 {
				t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
				break
			}
		}
	}
}

func TestAdvanceComposes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64Range(-3, 3)
		u := twist{f.Draw(t, "vx") * 1000, f.Draw(t, "vy") * 1000, f.Draw(t, "w")}
		a, b := rapid.Float64Range(0, 2).Draw(t, "a"), rapid.Float64Range(0, 2).Draw(t, "b")
		start := frame{c: 1}.advance(twist{0, 0, 1}, f.Draw(t, "yaw"))
		once, twice := start.advance(u, a+b), start.advance(u, a).advance(u, b)
		if length(once.x-twice.x, once.y-twice.y) > 1e-3 || math.Abs(once.c-twice.c)+math.Abs(once.s-twice.s) > 1e-9 {
			t.Fatalf("%+v at once, %+v in two", once, twice)
		}
		x, y := once.apply(300, -200)
		if bx, by := once.invert(x, y); math.Abs(bx-300)+math.Abs(by+200) > 1e-6 {
			t.Fatalf("invert(apply) = %v, %v", bx, by)
		}
	})
}
