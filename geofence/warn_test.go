package geofence

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestTheWarnRing: a robot that drives towards a wall is warned, then limited, then held, in this order; what it may do is
// the same with and without the ring, which is the off run.
func TestTheWarnRing(t *testing.T) {
	ringed := wall(5000)
	ringed.WarnM = 0.6
	with, off := newRig(t, site(ringed), wheels()), newRig(t, site(wall(5000)), wheels())
	edges := map[string]float64{}
	for x := 3.0; x < 4.8; x += 0.01 {
		for _, r := range []*rig{with, off} {
			r.pass(50 * time.Millisecond)
			r.in.Velocity.VX = 0.2
			r.at(x, 0, 0)
		}
		a, b := with.out, off.out
		if b.Warn.On {
			t.Fatalf("off: warned at %v", x)
		}
		if a.Hold != b.Hold || a.Place != b.Place || a.SpeedLimited != b.SpeedLimited || with.limit(Velocity{VX: 1}) != off.limit(Velocity{VX: 1}) {
			t.Fatalf("the ring restricts at %v: %+v and %+v", x, a, b)
		}
		for name, on := range map[string]bool{"warn": a.Warn.On, "margin": a.Place == Margin, "inside": a.Place == Inside} {
			if _, seen := edges[name]; on && !seen {
				edges[name] = x
			}
		}
		if _, warned := edges["warn"]; warned != a.Warn.On {
			t.Fatalf("the warning ends at %v", x)
		}
	}
	if d := edges["margin"] - edges["warn"]; math.Abs(d-0.6) > 0.011 || !(edges["inside"] > edges["margin"]) {
		t.Errorf("edges %v, expected the ring 0.6 m before the margin", edges)
	}
}

// TestAWarningEndsByTheReleaseMargin: at the ring's edge, the pose's noise does not warn again and again.
func TestAWarningEndsByTheReleaseMargin(t *testing.T) {
	ringed := wall(5000)
	ringed.WarnM = 0.5
	r := newRig(t, site(ringed), wheels())
	begins, on := 0, false
	x := 5 - 0.4 - 0.5 - r.at(0, 0, 0).MarginM
	for i := range 200 {
		r.pass(20 * time.Millisecond)
		r.in.Pose.Seen = true
		v := r.at(x+0.02*math.Sin(float64(i)), 0, 0)
		if v.Warn.On && !on {
			begins++
		}
		on = v.Warn.On
		if v.Faults&^(FaultJump) != 0 {
			t.Fatalf("%v", v.Faults)
		}
	}
	if begins != 1 {
		t.Errorf("warned %d times", begins)
	}
	for d := 0.0; d < 0.3; d += 0.01 {
		r.pass(20 * time.Millisecond)
		r.in.Velocity.VX = -0.5
		if v := r.at(x-0.02-d, 0, 0); v.Warn.On != (0.02+d < 0.15) && math.Abs(0.02+d-0.15) > 0.011 {
			t.Errorf("%v m outside of the ring: %+v", 0.02+d, v.Warn)
		}
	}
}

func TestBadWarnRings(t *testing.T) {
	high := wall(0)
	high.Height, high.WarnM = &Height{FromM: 2, ToM: 3}, 1
	low := wheels()
	low.HeightM = 1
	slow := wall(0)
	slow.Kind, slow.MaxSpeedMPS, slow.WarnM = SpeedLimit, 1, 1
	for want, z := range map[string]ZoneSpec{
		"WarnM: is 11 m, expected [0, 10]":                {ID: "w", Kind: Blocked, Outer: rect(0, 0, 9, 9), WarnM: 11},
		"WarnM: is -1 m":                                  {ID: "w", Kind: Blocked, Outer: rect(0, 0, 9, 9), WarnM: -1},
		"WarnM: is NaN m":                                 {ID: "w", Kind: Blocked, Outer: rect(0, 0, 9, 9), WarnM: math.NaN()},
		"WarnM: is 1 m for a SPEED_LIMIT zone":            slow,
		"WarnM: is 1 m for a zone that does not bind the": high,
	} {
		if _, err := Compile(site(z), low); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
