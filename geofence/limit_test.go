package geofence

import (
	"math"
	"testing"
	"time"
)

// held stands still long enough that every hold that can be released is.
func (r *rig) held(x, y, yaw float64) *Verdict {
	r.pass(20 * time.Second) // enough to get there from anywhere without a jump
	for range 60 {
		r.pass(50 * time.Millisecond)
		r.at(x, y, yaw)
	}
	return &r.out
}

func TestBrakingCurve(t *testing.T) {
	// v(d) = -a·t + sqrt(a²t² + 2ad), with a = 1 m/s² and t = 0.3 s.
	for _, tc := range []struct{ d, want float64 }{
		{0.024, 0.0711}, {0.10, 0.2386}, {0.3, 0.5307}, {0.65, 0.8789}, {0.8, 1}, {2, 1},
	} {
		r := newRig(t, site(wall(0)), wheels())
		r.at(-10, 0, 0)
		m := r.out.MarginM
		r.held(-(tc.d + m + 0.4), 0, 0)
		l := r.limit(Velocity{VX: 1})
		if !(math.Abs(l.Ratio-tc.want) <= 2e-3) || !(math.Abs(l.AllowedMPS-tc.want) <= 2e-3) {
			t.Errorf("%v m before the margin: ratio %.4f, want %.4f", tc.d, l.Ratio, tc.want)
		}
		if tc.want < 1 && !(math.Abs(l.FreeM-tc.d) <= 1e-3) {
			t.Errorf("%v m before the margin: free %.4f m", tc.d, l.FreeM)
		}
		// A faster command gets the same speed, not the same ratio.
		if f := r.limit(Velocity{VX: 1.5}); tc.want < 1 && !(math.Abs(f.AllowedMPS-l.AllowedMPS) <= 1e-6) {
			t.Errorf("%v m before the margin: 1.5 m/s is cut to %.4f, 1 m/s to %.4f", tc.d, f.AllowedMPS, l.AllowedMPS)
		}
	}
}

func TestAgeAndSpeedCostDistance(t *testing.T) {
	at := func(age time.Duration, measured float64) float64 {
		r := newRig(t, site(wall(0)), wheels())
		r.in.Velocity.VX = measured
		r.at(-1.2, 0, 0)
		later := Instant{Boot: r.now.Boot + age, Civil: r.now.Civil.Add(age), Trust: ClockTrusted}
		return r.Limit(later, Velocity{VX: 1}).Ratio
	}
	fresh := at(0, 0)
	if old := at(200*time.Millisecond, 0); old >= fresh {
		t.Errorf("200 ms old: %v, fresh: %v", old, fresh)
	}
	if fast := at(0, 1); fast >= fresh {
		t.Errorf("driving at 1 m/s: %v, standing: %v", fast, fresh)
	}
	if away := at(0, -0.5); away < fresh {
		t.Errorf("driving away: %v, standing: %v", away, fresh)
	}
}

func TestLimitAnswersEveryDirection(t *testing.T) {
	// 0.25 m before the wall's margin, the nose towards it.
	r := newRig(t, site(wall(0)), wheels())
	r.at(-10, 0, 0)
	r.held(-(0.25 + r.out.MarginM + 0.4), 0, 0)
	for _, tc := range []struct {
		name string
		cmd  Velocity
		want func(ratio float64) bool
	}{
		{"towards it", Velocity{VX: 1}, func(k float64) bool { return k > 0.1 && k < 0.6 }},
		{"away", Velocity{VX: -1}, func(k float64) bool { return k == 1 }},
		{"along", Velocity{VY: 1}, func(k float64) bool { return k == 1 }},
		{"along, slightly away", Velocity{VX: -0.1, VY: 1}, func(k float64) bool { return k == 1 }},
		{"along, slightly towards", Velocity{VX: 0.2, VY: 1}, func(k float64) bool { return k == 1 }},
		{"towards it at an angle", Velocity{VX: 0.7, VY: 0.7}, func(k float64) bool { return k > 0.1 && k < 1 }},
		{"turning slowly on the spot", Velocity{YawRate: 0.5}, func(k float64) bool { return k == 1 }},
		{"nothing", Velocity{}, func(k float64) bool { return k == 1 }},
		{"NaN", Velocity{VX: math.NaN()}, func(k float64) bool { return k == 0 }},
		{"infinite yaw rate", Velocity{YawRate: math.Inf(-1)}, func(k float64) bool { return k == 0 }},
		{"absurdly fast towards it", Velocity{VX: 1e9}, func(k float64) bool { return k > 0 && k*1e9 < 0.6 }},
		{"absurdly fast away", Velocity{VX: -1e9}, func(k float64) bool { return math.Abs(k*1e9-1.5) < 1e-6 }},
		{"beyond numbers", Velocity{VX: math.MaxFloat64, VY: math.MaxFloat64}, func(k float64) bool { return k == 0 }},
		{"towards it with next to no turn", Velocity{VX: 1, YawRate: 5e-324}, func(k float64) bool { return k > 0.1 && k < 0.6 }},
		{"towards it with a turn that rounds away", Velocity{VX: 1, YawRate: 1e-305}, func(k float64) bool { return k > 0.1 && k < 0.6 }},
		{"next to nothing", Velocity{VX: 1e-310, VY: 5e-324}, func(k float64) bool { return k == 0 }},
		{"spinning too fast", Velocity{YawRate: 3}, func(k float64) bool { return k <= 0.5 }},
	} {
		if l := r.limit(tc.cmd); !tc.want(l.Ratio) {
			t.Errorf("%s: %+v", tc.name, l)
		}
	}
	nan := math.NaN()
	for _, cmd := range []Velocity{{VX: nan}, {VY: nan}, {YawRate: nan}, {VX: 1, YawRate: math.Inf(1)}} {
		if l := r.limit(cmd); l.Ratio != 0 || l.Reason != ReasonCommandNotFinite {
			t.Errorf("%+v: %+v", cmd, l)
		}
	}
}

func TestTurningOnTheSpotSweepsTheCorners(t *testing.T) {
	// Flank to the wall: the diagonal is 0.5 m, half the width 0.3 m.
	r := newRig(t, site(wall(0)), wheels())
	m := r.at(-10, 0, math.Pi/2).MarginM
	r.held(-(0.3 + m + 0.02), 0, math.Pi/2)
	if l := r.limit(Velocity{YawRate: 1}); l.Ratio >= 0.5 || l.Reason != ReasonEdgeAhead {
		t.Errorf("no room to turn: %+v", l)
	}
	r.held(-(0.5 + m + 0.01), 0, math.Pi/2)
	if l := r.limit(Velocity{YawRate: 1}); l.Ratio != 1 {
		t.Errorf("room to turn: %+v", l)
	}
}

func TestMarginRule(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	m := r.at(-10, 0, 0).MarginM
	if v := r.held(-(0.4 + m - 0.01), 0, 0); v.Place != Margin || v.Hold || v.Reason != ReasonMargin {
		t.Fatalf("place %v, hold %v", v.Place, v.Hold)
	}
	for _, tc := range []struct {
		name string
		cmd  Velocity
		want float64
	}{
		{"closer", Velocity{VX: 0.05}, 0},
		{"closer at an angle", Velocity{VX: 0.001, VY: 0.05}, 0},
		{"away", Velocity{VX: -1}, 0.1},
		{"away at creep speed", Velocity{VX: -0.1}, 1},
		{"along", Velocity{VY: 0.5}, 0.2},
		{"turning a corner closer", Velocity{YawRate: 0.2}, 0},
		{"away first, then closer", Velocity{VX: -0.02, YawRate: 0.2}, 0},
		{"nothing", Velocity{}, 1},
	} {
		if l := r.limit(tc.cmd); !(math.Abs(l.Ratio-tc.want) <= 1e-9) {
			t.Errorf("%s: %+v, want %v", tc.name, l, tc.want)
		}
	}
}

func TestHoldIsReleasedByMarginAndDwell(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	m := r.at(-10, 0, 0).MarginM
	at := func(clear float64) *Verdict {
		r.pass(50 * time.Millisecond)
		return r.at(-(0.4 + clear), 0, 0)
	}
	r.held(-(0.4 + m + 0.01), 0, 0)
	if at(m-0.005).Place != Margin {
		t.Fatal("entering the margin")
	}
	for range 100 {
		if at(m+0.149).Place != Margin {
			t.Fatal("released below the release margin")
		}
	}
	for range 40 {
		if at(m+0.151).Place != Margin {
			t.Fatal("released before the dwell")
		}
	}
	at(m + 0.1)
	for range 40 {
		if at(m+0.151).Place != Margin {
			t.Fatal("the dwell did not start again")
		}
	}
	if at(m+0.151).Place != Outside {
		t.Fatal("not released after margin and dwell")
	}
	// From inside: first to the margin, by the edge and the pose's blur, then out of it.
	r.held(-0.3, 0, 0)
	r.pass(time.Second)
	blur := r.blur() / 1000
	for range 100 {
		if at(blur+0.149).Place != Inside {
			t.Fatal("the hold was released within what the pose's noise may be")
		}
	}
	for range 40 {
		if at(blur+0.151).Place != Inside {
			t.Fatal("the hold was released before the dwell")
		}
	}
	if v := at(blur + 0.151); v.Place != Margin || v.Hold {
		t.Fatalf("after the dwell: %v", v.Place)
	}
}

func TestAZoneOverTheRobotHoldsIt(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	v := r.at(0, 0, 0)
	if !v.Hold || v.Place != Inside || v.Reason != ReasonInside || v.Zone != 0 {
		t.Fatalf("%+v", v)
	}
	for _, cmd := range []Velocity{{VX: 0.05}, {VX: -0.05}, {YawRate: 0.1}} {
		if l := r.limit(cmd); l.Ratio != 0 || l.Reason != ReasonInside {
			t.Errorf("%+v: %+v", cmd, l)
		}
	}
}

func TestEgress(t *testing.T) {
	ward := ZoneSpec{ID: "ward", Kind: Blocked, Outer: rect(0, -5000, 20_000, 5000)}
	fence := ZoneSpec{ID: "fence", Kind: Blocked, Outer: rect(-50, -5000, 50, 5000)}
	post := ZoneSpec{ID: "post", Kind: Blocked, Outer: rect(-50, -50, 50, 50)}
	hall := ZoneSpec{ID: "hall", Kind: KeepIn, Outer: rect(-20_000, -5000, 0, 5000)}
	for _, tc := range []struct {
		name   string
		zone   ZoneSpec
		x      float64
		cmd    Velocity
		allow  bool
		reason Reason
	}{
		{"a little in, back out", ward, -0.3, Velocity{VX: -0.1}, true, ReasonEgress},
		{"a little in, deeper", ward, -0.3, Velocity{VX: 0.1}, false, ReasonEgressDirection},
		{"a little in, along the edge", ward, -0.3, Velocity{VY: 0.1}, false, ReasonEgressDirection},
		{"a little in, out at an angle", ward, -0.3, Velocity{VX: -0.07, VY: 0.07}, true, ReasonEgress},
		{"a little in, deeper at an angle", ward, -0.3, Velocity{VX: 0.02, VY: 0.1}, false, ReasonEgressDirection},
		{"deep in, back", ward, 3, Velocity{VX: -0.1}, true, ReasonEgress},
		{"deep in, deeper", ward, 3, Velocity{VX: 0.1}, false, ReasonEgressDirection},
		{"deep in, turning", ward, 3, Velocity{YawRate: 0.1}, false, ReasonEgressDirection},
		{"across a fence, on", fence, 0.1, Velocity{VX: 0.1}, true, ReasonEgress},
		{"across a fence, back", fence, 0.1, Velocity{VX: -0.1}, true, ReasonEgress},
		{"across a fence, along", fence, 0.1, Velocity{VY: 0.1}, false, ReasonEgressDirection},
		{"over a post, off it", post, 0.1, Velocity{VY: 0.1}, true, ReasonEgress},
		{"over a post, turning", post, 0, Velocity{YawRate: 0.1}, false, ReasonEgressDirection},
		{"out of keep-in, back in", hall, 0.2, Velocity{VX: -0.1}, true, ReasonEgress},
		{"out of keep-in, farther", hall, 0.2, Velocity{VX: 0.1}, false, ReasonEgressDirection},
	} {
		r := newRig(t, site(tc.zone), wheels())
		r.in.Egress = Egress{Active: true, Zone: 0}
		v := r.at(tc.x, 0, 0)
		if v.Hold || v.Place != Inside || v.Reason != ReasonEgress {
			t.Errorf("%s: hold %v, place %v, %v", tc.name, v.Hold, v.Place, v.Reason)
		}
		l := r.limit(tc.cmd)
		if (l.Ratio > 0) != tc.allow || l.Reason != tc.reason && tc.allow == false {
			t.Errorf("%s: %+v", tc.name, l)
		}
		fast := Velocity{tc.cmd.VX * 10, tc.cmd.VY * 10, tc.cmd.YawRate * 10}
		if l := r.limit(fast); tc.allow && l.AllowedMPS > 0.1+1e-9 {
			t.Errorf("%s, fast: %+v", tc.name, l)
		}
		r.in.Egress = Egress{Active: true, Zone: 1} // no such zone
		if v := r.step(); !v.Hold || r.limit(tc.cmd).Ratio != 0 {
			t.Errorf("%s: a grant for another zone moves it", tc.name)
		}
	}
}

func TestEgressForOneZoneLeavesTheOthers(t *testing.T) {
	r := newRig(t, site(
		ZoneSpec{ID: "a", Kind: Blocked, Outer: rect(0, -5000, 20_000, 5000)},
		ZoneSpec{ID: "b", Kind: Blocked, Outer: rect(-5000, -5000, -600, 5000)},
	), wheels())
	r.in.Egress = Egress{Active: true, Zone: 0}
	r.at(-0.13, 0, 0) // 0.27 m in a, 0.07 m before b
	if l := r.limit(Velocity{VX: -0.1}); l.Ratio >= 1 || l.Zone != 1 {
		t.Errorf("%+v", l)
	}
	r.held(-0.15, 0, 0)
	if l := r.limit(Velocity{VX: -0.1}); l.Ratio != 0 || l.Zone != 1 {
		t.Errorf("at b's margin: %+v", l)
	}
}

func TestSpeedZone(t *testing.T) {
	slow := ZoneSpec{ID: "slow", Kind: SpeedLimit, MaxSpeedMPS: 0.5, Outer: rect(0, -5000, 10_000, 5000)}
	r := newRig(t, site(slow), wheels())
	m := r.at(-10, 0, 0).MarginM
	for _, d := range []float64{3, 1.4, 0.5, 0.3, 0.1, 0.01} {
		r.held(-(d + m + 0.4), 0, 0)
		// v·t + (v² − e²)/2a = d, with e 95 % of the limit: what the approach aims at.
		want := math.Max(0.475, math.Min(-0.3+math.Sqrt(0.09+2*d+0.475*0.475), 1.5))
		l := r.limit(Velocity{VX: 1.5})
		if !(math.Abs(l.AllowedMPS-want) <= 3e-3) {
			t.Errorf("%v m before it: %.4f m/s, want %.4f (%v)", d, l.AllowedMPS, want, l.Reason)
		}
		if back := r.limit(Velocity{VX: -1.5}); back.Ratio != 1 {
			t.Errorf("%v m before it, away: %+v", d, back)
		}
	}
	if v := r.held(-(0.4 + m - 0.01), 0, 0); !v.SpeedLimited || v.MaxSpeedMPS != 0.5 || v.Hold {
		t.Errorf("in its margin: %v %v", v.SpeedLimited, v.MaxSpeedMPS)
	}
	v := r.held(5, 0, 0)
	if v.Hold || v.Place != Outside || !v.SpeedLimited || v.MaxSpeedMPS != 0.5 || v.Reason != ReasonSpeedZone || v.Zone != 0 {
		t.Errorf("inside: %+v", v)
	}
	if l := r.limit(Velocity{VX: 1}); l.Ratio != 0.5 || l.Reason != ReasonSpeedZone {
		t.Errorf("inside: %+v", l)
	}
	if l := r.limit(Velocity{VX: 0.4}); l.Ratio != 1 {
		t.Errorf("inside, slow: %+v", l)
	}
	if l := r.limit(Velocity{YawRate: 1.4}); l.Ratio != 1 {
		t.Errorf("inside, turning: %+v", l)
	}
}

func TestOverlapsTakeTheMostRestrictive(t *testing.T) {
	zones := []ZoneSpec{
		{ID: "slow", Kind: SpeedLimit, MaxSpeedMPS: 0.5, Outer: rect(-5000, -5000, 5000, 5000)},
		{ID: "slower", Kind: SpeedLimit, MaxSpeedMPS: 0.3, Outer: rect(-4000, -4000, 4000, 4000)},
		{ID: "hall", Kind: KeepIn, Outer: rect(-9000, -9000, 9000, 9000)},
		{ID: "deny", Kind: Blocked, Outer: rect(2000, -1000, 3000, 1000)},
	}
	r := newRig(t, site(zones...), wheels())
	if v := r.held(0, 0, 0); v.MaxSpeedMPS != 0.3 || v.Hold || r.Set().Zone(v.Zone).ID != "slower" {
		t.Errorf("two speed zones: %+v", v.MaxSpeedMPS)
	}
	if v := r.held(2.5, 0, 0); !v.Hold || r.Set().Zone(v.Zone).ID != "deny" {
		t.Errorf("blocked within keep-in: hold %v by %d", v.Hold, v.Zone)
	}
}

func TestZoneMarginIsKept(t *testing.T) {
	z := wall(0)
	z.MarginM = 0.5
	r := newRig(t, site(z), wheels())
	m := r.at(-10, 0, 0).MarginM
	if v := r.held(-(0.4 + m + 0.49), 0, 0); v.Place != Margin {
		t.Errorf("within the zone's own margin: %v", v.Place)
	}
	// The curve ends at the zone's margin too: here 0.3 m before it.
	r.held(-(0.4 + m + 0.8), 0, 0)
	if l := r.limit(Velocity{VX: 1}); !(math.Abs(l.FreeM-0.3) <= 1e-3) || !(math.Abs(l.Ratio-0.5307) <= 2e-3) {
		t.Errorf("before the zone's own margin: %+v", l)
	}
}

func TestVerdictDescribesEachZone(t *testing.T) {
	r := newRig(t, site(
		ZoneSpec{ID: "slow", Kind: SpeedLimit, MaxSpeedMPS: 0.5, Outer: rect(-5000, -5000, 0, 5000)},
		ZoneSpec{ID: "slow ahead", Kind: SpeedLimit, MaxSpeedMPS: 0.2, Outer: rect(900, -5000, 5000, 5000)},
		ZoneSpec{ID: "wall", Kind: Blocked, Outer: rect(-5000, 800, 5000, 900)},
		ZoneSpec{ID: "near", Kind: Blocked, Outer: rect(-5000, -400, 5000, -350)},
	), wheels())
	v := r.at(0, 0, 0)
	want := map[string]ZoneVerdict{
		"slow":       {Place: Inside, MarginM: 0, AllowedMPS: 0.5, Reason: ReasonSpeedZone},
		"slow ahead": {Place: Outside, MarginM: 0.5, AllowedMPS: 0.706, Reason: ReasonSpeedAhead},
		"wall":       {Place: Outside, MarginM: 0.5, AllowedMPS: 0.687, Reason: ReasonEdgeAhead},
		"near":       {Place: Margin, MarginM: 0.05, AllowedMPS: 0, Reason: ReasonMargin},
	}
	for _, z := range v.Near[:v.N] {
		id := r.Set().Zone(z.Zone).ID
		w := want[id]
		if z.Place != w.Place || z.Reason != w.Reason || !(math.Abs(z.MarginM-w.MarginM) <= 1e-3) || !(math.Abs(z.AllowedMPS-w.AllowedMPS) <= 5e-3) || !z.Certain {
			t.Errorf("%s: %+v, want %+v", id, z, w)
		}
		delete(want, id)
	}
	if len(want) > 0 || v.Place != Margin || v.Reason != ReasonMargin || v.Zone != 3 || v.MaxSpeedMPS != 0.5 || v.Near[0].Zone != 0 {
		t.Errorf("missing %v; place %v, %v by %d", want, v.Place, v.Reason, v.Zone)
	}
}

func TestTripOnAnArc(t *testing.T) {
	// It turns left at 1 m/s; the post stands where only the arc leads.
	post := ZoneSpec{ID: "post", Kind: Blocked, Outer: rect(900, 500, 1000, 600)}
	r := newRig(t, site(post), wheels())
	r.in.Velocity.Velocity = Velocity{VX: 1, YawRate: 1}
	if v := r.at(0, 0, 0); !v.Trip {
		t.Error("the arc leads over the post")
	}
	r = newRig(t, site(post), wheels())
	r.in.Velocity.Velocity = Velocity{VX: 1}
	if v := r.at(0, 0, 0); v.Trip {
		t.Error("straight on it passes the post")
	}
}

func TestFloors(t *testing.T) {
	spec := site(wall(0))
	r := newRig(t, spec, wheels())
	if v := r.at(0, 0, 0); !v.Hold {
		t.Fatal("on the zone's floor")
	}
	r.in.Pose.Floor = 1
	// The hold of the floor left behind runs out by its dwell, nothing else holds here.
	r.pass(50 * time.Millisecond)
	if v := r.at(0, 0, 0); v.Hold || v.Floor != 1 || v.N != 0 {
		t.Fatalf("same place on another floor: %+v", v)
	}
	r.in.Pose.Floor = 0
	r.pass(50 * time.Millisecond)
	if v := r.at(0, 0, 0); !v.Hold {
		t.Fatal("back on the zone's floor")
	}
	// A moment on another floor does not release a hold.
	r.held(-0.5, 0, 0)
	r.in.Pose.Floor = 1
	r.pass(50 * time.Millisecond)
	r.at(-0.5, 0, 0)
	r.in.Pose.Floor = 0
	r.pass(50 * time.Millisecond)
	if v := r.at(-0.5, 0, 0); v.Place != Inside {
		t.Errorf("a moment elsewhere released the hold: %v", v.Place)
	}
}

func TestNothingMovesBeforeTheFirstStep(t *testing.T) {
	f := New(compile(t, site(wall(0)), wheels()))
	if l := f.Limit(Instant{Boot: time.Second}, Velocity{VX: 0.1}); l.Ratio != 0 || l.Reason != ReasonNotReady {
		t.Errorf("%+v", l)
	}
}

// tripAt drives at 1 m/s towards a wall under commands of a speed, and returns the
// distance at which the fence tripped.
func tripAt(t *testing.T, cmd float64) float64 {
	r := newRig(t, site(wall(0)), wheels())
	r.at(-5, 0, 0)
	tripped := math.Inf(1)
	for x := -4.0; x < -0.4; x += 0.05 {
		r.pass(50 * time.Millisecond)
		r.in.Velocity.VX = 1
		v := r.at(x, 0, 0)
		if v.Trip && math.IsInf(tripped, 1) {
			tripped = -x - 0.4
			if v.Reason != ReasonMeasuredMotion {
				t.Errorf("%v, required %v", v.Reason, v.RequiredM)
			}
		}
		if v.Trip && cmd == 0 && r.limit(Velocity{VX: 1}).Ratio != 0 {
			t.Errorf("at %v the trip lets commands pass", x)
		}
		r.Issued(r.now, Velocity{VX: cmd})
	}
	return tripped
}

func TestTripWhenItCannotStop(t *testing.T) {
	// It was told to drive on: the brakes that the profile says need 0.25 s and 0.5 m.
	if d := tripAt(t, 1); d > 0.81 || d < 0.7 {
		t.Errorf("tripped %v m before the wall, want about 0.75", d)
	}
	// It was told to stop and does not: its brakes are worth the least that counts.
	if d, want := tripAt(t, 0), 0.3+0.5/leastShare; d > want+0.06 || d < want-0.06 {
		t.Errorf("tripped %v m before the wall, want about %v", d, want)
	}
}

func TestManyZonesNearNameTheWorst(t *testing.T) {
	var zones []ZoneSpec
	for i := range int32(12) {
		x := 1000 + i*100
		zones = append(zones, ZoneSpec{ID: string('a' + i), Kind: Blocked, Outer: rect(x, -100, x+50, 100)})
	}
	r := newRig(t, site(zones...), wheels())
	v := r.at(0, 0, 0)
	if v.N != MaxNear {
		t.Fatalf("%d near", v.N)
	}
	for i, z := range v.Near {
		if z.Zone != i || !(math.Abs(z.MarginM-0.6-0.1*float64(i)) <= 1e-3) {
			t.Errorf("near %d: zone %d at %v m", i, z.Zone, z.MarginM)
		}
	}
}

// TestManyEdgesInReachAreNoOverrun has 40 000 edges of which few come close.
func TestManyEdgesInReachAreNoOverrun(t *testing.T) {
	var zones []ZoneSpec
	for k := range int32(10) {
		var ring []Vertex
		for i := range int32(2000) {
			ring = append(ring, Vertex{1500 + 100*k, i*4 - 4000}, Vertex{1530 + 100*k, i*4 - 3998})
		}
		ring = append(ring, Vertex{1580 + 100*k, 4001}, Vertex{1580 + 100*k, -4001})
		zones = append(zones, ZoneSpec{ID: string('a' + k), Kind: Blocked, Outer: ring})
	}
	r := newRig(t, site(zones...), wheels())
	v := r.at(0, 0, 0)
	if v.Hold || len(r.cands) != len(zones) {
		t.Errorf("hold %v (%v) with %d zones in reach", v.Hold, v.Reason, len(r.cands))
	}
	if l := r.limit(Velocity{VX: 0.5}); l.Ratio == 0 {
		t.Errorf("%+v", l)
	}
}

func TestThePoseMayBeAsOldAsItMayBe(t *testing.T) {
	for age, want := range map[time.Duration]float64{300 * time.Millisecond: 1, 301 * time.Millisecond: 0} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.at(0, 0, 0)
		r.pass(age)
		if l := r.limit(Velocity{VX: 0.1}); l.Ratio != want {
			t.Errorf("%v old: %+v", age, l)
		}
	}
}

// TestReach is by hand: 1.975 m/s, 1.975 rad/s and 0.5 m make 2.9625 m/s; 0.3 s old,
// 0.3 s of reaction and half of 1.975 s of braking at the promise, more at a share
// of it; 2.45 · 0.25 m, 0.03 m of map and 1 m/s² · (0.3 s)² / 2 beside it.
func TestReach(t *testing.T) {
	f := New(compile(t, site(), wheels()))
	still := 1000*(2.45*0.25+0.03+0.045) + roundingMM
	for share, want := range map[float64]float64{1: 2962.5 * (0.6 + 0.9875), 0.5: 2962.5 * (0.6 + 1.975)} {
		f.believe(share, 1)
		if got := f.reach; !(math.Abs(got-want-still) <= 1.5) {
			t.Errorf("with a share of %v: %v mm, want %v", share, got, want+still)
		}
	}
}

// TestALongKeepInEdgeIsNoOverrun has a robot of 16 corners in a hall of 4 000.
func TestALongKeepInEdgeIsNoOverrun(t *testing.T) {
	robot := wheels()
	robot.Footprint = nil
	for i := range 16 {
		s, c := math.Sincos(2 * math.Pi * float64(i) / 16)
		robot.Footprint = append(robot.Footprint, Vertex{int32(400 * c), int32(400 * s)})
	}
	var ring []Vertex
	for i := range 4000 {
		s, c := math.Sincos(2 * math.Pi * float64(i) / 4000)
		ring = append(ring, Vertex{int32(50_000 * c), int32(50_000 * s)})
	}
	r := newRig(t, site(ZoneSpec{ID: "hall", Kind: KeepIn, Outer: ring}), robot)
	if v := r.at(49, 0, 0); v.Hold || v.N != 1 {
		t.Errorf("hold %v (%v) with %d zones near", v.Hold, v.Reason, v.N)
	}
}

func TestWorkIsBounded(t *testing.T) {
	robot := wheels()
	robot.Footprint = nil
	for i := range MaxFootprint {
		a := 2 * math.Pi * float64(i) / MaxFootprint
		robot.Footprint = append(robot.Footprint, Vertex{int32(400 * math.Cos(a)), int32(400 * math.Sin(a))})
	}
	// 100 combs of 4 000 vertices each, all within reach.
	var zones []ZoneSpec
	for k := range int32(100) {
		var ring []Vertex
		for i := range int32(2000) {
			ring = append(ring, Vertex{600 + k, i*4 - 4000}, Vertex{900 + k, i*4 - 3998})
		}
		ring = append(ring, Vertex{2000, 4001}, Vertex{2000, -4001})
		zones = append(zones, ZoneSpec{ID: string(1000 + k), Kind: Blocked, Outer: ring})
	}
	r := newRig(t, site(zones...), robot)
	v := r.at(0, 0, 0)
	// One zone more may be looked at when the budget is spent.
	most := maxWork + 2*MaxZoneVertices*MaxFootprint
	if r.work > most {
		t.Errorf("the step did %d, want at most %d", r.work, most)
	}
	if !v.Hold || v.Reason != ReasonBudget {
		t.Errorf("hold %v, %v", v.Hold, v.Reason)
	}
	if l := r.limit(Velocity{VX: 1}); l.Ratio != 0 || l.Reason != ReasonBudget {
		t.Errorf("%+v", l)
	}
	// A single zone of this size is within the budget, wherever the robot is.
	for _, x := range []float64{-1, -0.1, 0.15, 1} {
		r = newRig(t, site(zones[0]), robot)
		r.in.Egress = Egress{Active: true, Zone: 0}
		r.in.Velocity.VX = 0.5
		if v = r.at(x, 0, 0); v.Reason == ReasonBudget || r.work > most {
			t.Errorf("at %v: %v, work %d", x, v.Reason, r.work)
		}
		for _, cmd := range []Velocity{{VX: 1}, {VX: -1, YawRate: 1}, {YawRate: 1}} {
			if r.limit(cmd); r.work > 2*most {
				t.Errorf("at %v: the limit did %d", x, r.work)
			}
		}
	}
}

func TestStepAndLimitDoNotAllocate(t *testing.T) {
	for name, x := range map[string]float64{"far": -10, "near": -1, "in the margin": -0.42, "inside": 0} {
		r := newRig(t, site(wall(0), room("hall", rect(-20_000, -5000, 5000, 5000))), wheels())
		r.in.Egress = Egress{Active: true, Zone: 0}
		r.in.Velocity.VX = 0.3
		n := testing.AllocsPerRun(100, func() {
			r.pass(20 * time.Millisecond)
			r.at(x, 0, 0.1)
			l := r.limit(Velocity{VX: 0.5, YawRate: 0.3})
			r.Issued(r.now, Velocity{VX: 0.5 * l.Ratio})
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
