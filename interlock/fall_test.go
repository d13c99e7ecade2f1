package interlock

import (
	"bytes"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const gravity = 9.80665

func fallConfig() FallConfig {
	return FallConfig{
		Used: true, TiltRad: 0.9, Dwell: 300 * ms, Up: [3]float64{0, 0, 1}, MaxAge: 300 * ms,
		FreeFall: true, FreeFallMPS2: 3, FreeFallFor: 150 * ms, Impact: true, ImpactMPS2: 80,
	}
}

// unit is an inertial unit at 100 Hz and its watch. It leans by a roll in rad, and force is what it measures in m/s².
type unit struct {
	w           *FallWatch
	now         time.Duration
	lean, force float64
	// orients and feels are what it gives; edit changes a reading, false drops it.
	orients, feels bool
	edit           func(r *FallReading) bool
	last           FallStatus
}

func newUnit(t testing.TB, change func(c *FallConfig)) *unit {
	t.Helper()
	cfg := fallConfig()
	if change != nil {
		change(&cfg)
	}
	w, err := NewFallWatch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &unit{w: w, now: time.Hour, force: gravity, orients: true, feels: true}
}

func (u *unit) reading() FallReading {
	return FallReading{
		Received: u.now, HasOrientation: u.orients, Orientation: [4]float64{math.Sin(u.lean / 2), 0, 0, math.Cos(u.lean / 2)},
		HasAcceleration: u.feels, Acceleration: [3]float64{0, u.force * math.Sin(u.lean), u.force * math.Cos(u.lean)},
	}
}

func (u *unit) run(d time.Duration) *unit {
	for end := u.now + d; u.now < end; {
		u.now += 10 * ms
		r := u.reading()
		if u.edit == nil || u.edit(&r) {
			u.w.Observe(&r)
		}
		u.last = u.w.Status(u.now)
	}
	return u
}

// until runs until it has fallen, and says after how long.
func (u *unit) until(most time.Duration) (time.Duration, bool) {
	for begun := u.now; u.now-begun < most; {
		if u.run(10 * ms); u.last.Fallen.State == Present {
			return u.now - begun, true
		}
	}
	return 0, false
}

// TestAWatchThatIsNotUsedRemembersNothing: what a robot without such a unit hears of one counts for nothing, now or later.
func TestAWatchThatIsNotUsedRemembersNothing(t *testing.T) {
	for _, used := range []bool{false, true} {
		u := newUnit(t, func(c *FallConfig) { c.Used = used })
		before := string(u.w.AppendState(nil))
		u.lean = 1
		u.run(time.Second)
		if changed := string(u.w.AppendState(nil)) != before; changed != used || (u.last.Fallen.State == Present) != used {
			t.Errorf("used %t: its memory changed: %t; %+v", used, changed, u.last)
		}
	}
}

// TestAnAccelerationThatIsNoNumberIsNoFall: it makes the unit useless, and tells nothing of the robot.
func TestAnAccelerationThatIsNoNumberIsNoFall(t *testing.T) {
	for name, v := range map[string]float64{"without end": math.Inf(1), "no number": math.NaN()} {
		u := newUnit(t, nil).run(time.Second)
		u.edit = func(r *FallReading) bool { r.Acceleration[2] = v; return true }
		u.run(10 * ms)
		if u.last.Fallen.State != Unknown || u.last.Missing.Cause != CauseNotFinite {
			t.Errorf("%s: %+v", name, u.last)
		}
	}
}

// TestAUnitThatFeelsNothingShowsNoFall: without accelerations nobody can say that it falls freely, nor that it does not.
func TestAUnitThatFeelsNothingShowsNoFall(t *testing.T) {
	u := newUnit(t, nil).run(time.Second)
	u.feels = false
	if u.run(time.Second); u.last.Fallen.State != Unknown || u.last.Missing.Cause != CauseIncomplete {
		t.Errorf("%+v", u.last)
	}
}

// TestAccelerationsThatNobodyNeedsAreNotMissed: a unit that gives an orientation alone does for a robot that is judged by that.
func TestAccelerationsThatNobodyNeedsAreNotMissed(t *testing.T) {
	for _, needed := range []bool{false, true} {
		u := newUnit(t, func(c *FallConfig) { c.FreeFall, c.Impact = false, needed })
		u.feels = false
		if u.run(time.Second); (u.last.Missing.State == Present) != needed || (u.last.Fallen.State == Clear) == needed {
			t.Errorf("needed %t: %+v", needed, u.last)
		}
	}
}

// TestWithoutWeightNobodyKnowsWhichWayIsUp: a unit that is judged by its acceleration says nothing while it feels next to none,
// although what is left of it may point anywhere.
func TestWithoutWeightNobodyKnowsWhichWayIsUp(t *testing.T) {
	for force, want := range map[float64]Cause{gravity: CauseNone, fallLeastMPS2 / 2: CauseUnusable} {
		u := newUnit(t, func(c *FallConfig) { c.FreeFall = false })
		u.orients, u.force = false, force
		if u.run(3 * time.Second); u.last.Missing.Cause != want || (u.last.Fallen.State == Clear) != (want == CauseNone) {
			t.Errorf("%v m/s²: %+v, want %v", force, u.last, want)
		}
	}
}

// TestFallIsSeen lets a robot that has stood fall in each way, says how soon it is seen, and shows that it is not seen with
// its detector off.
func TestFallIsSeen(t *testing.T) {
	byForce := func(u *unit) { u.orients = false }
	for name, x := range map[string]struct {
		unit   func(u *unit)
		fall   func(u *unit)
		cause  Cause
		within time.Duration
		off    func(c *FallConfig)
	}{
		"leans, by orientation":  {nil, func(u *unit) { u.lean = 1 }, CauseTilted, 320 * ms, func(c *FallConfig) { c.TiltRad = 1.2 }},
		"lies, by orientation":   {nil, func(u *unit) { u.lean = -math.Pi / 2 }, CauseTilted, 320 * ms, func(c *FallConfig) { c.Dwell = time.Minute }},
		"lies, by acceleration":  {byForce, func(u *unit) { u.lean = math.Pi / 2 }, CauseTilted, 520 * ms, func(c *FallConfig) { c.Dwell = time.Minute }},
		"upside down":            {byForce, func(u *unit) { u.lean = math.Pi }, CauseTilted, 520 * ms, func(c *FallConfig) { c.Dwell = time.Minute }},
		"falls freely":           {nil, func(u *unit) { u.force = 0.5 }, CauseFreeFall, 170 * ms, func(c *FallConfig) { c.FreeFall = false }},
		"hits the ground":        {nil, func(u *unit) { u.force = 120 }, CauseImpact, 20 * ms, func(c *FallConfig) { c.Impact = false }},
		"leans, then is silent":  {nil, func(u *unit) { u.lean = 1; u.run(10 * ms); u.edit = drop }, CauseTilted, 320 * ms, func(c *FallConfig) { c.TiltRad = 1.2 }},
		"leans, then cannot say": {nil, func(u *unit) { u.lean = 1; u.run(10 * ms); u.edit = noNumber }, CauseTilted, 320 * ms, func(c *FallConfig) { c.TiltRad = 1.2 }},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(change func(c *FallConfig)) (time.Duration, bool, Cause) {
				u := newUnit(t, change)
				if x.unit != nil {
					x.unit(u)
				}
				if u.run(time.Second); u.last.Fallen.State != Clear || u.last.Missing.State != Clear {
					t.Fatalf("upright: %+v", u.last)
				}
				x.fall(u)
				after, seen := u.until(2 * time.Second)
				return after, seen, u.last.Fallen.Cause
			}
			after, seen, cause := run(nil)
			if !seen || after > x.within || cause != x.cause {
				t.Errorf("seen %t (%v) after %v, want %v within %v", seen, cause, after, x.cause, x.within)
			}
			if after, seen, _ := run(x.off); seen {
				t.Errorf("off: it is seen after %v as well", after)
			}
		})
	}
}

func drop(*FallReading) bool { return false }

func noNumber(r *FallReading) bool {
	r.Orientation[2], r.Acceleration[1] = math.NaN(), math.NaN()
	return true
}

// TestUnknownIsNeverUpright takes away what a fall is seen by, one way at a time.
func TestUnknownIsNeverUpright(t *testing.T) {
	for name, x := range map[string]struct {
		edit  func(r *FallReading) bool
		cause Cause
	}{
		"silent":                        {drop, CauseStale},
		"not a number":                  {noNumber, CauseNotFinite},
		"infinite":                      {func(r *FallReading) bool { r.Orientation[0] = math.Inf(1); return true }, CauseNotFinite},
		"zero quaternion":               {func(r *FallReading) bool { r.Orientation = [4]float64{}; return true }, CauseBadRotation},
		"quaternion of another length":  {func(r *FallReading) bool { r.Orientation[3] = 2; return true }, CauseBadRotation},
		"neither":                       {func(r *FallReading) bool { r.HasOrientation, r.HasAcceleration = false, false; return true }, CauseMissing},
		"no acceleration for free fall": {func(r *FallReading) bool { r.HasAcceleration = false; return true }, CauseIncomplete},
		"acceleration not a number": {func(r *FallReading) bool {
			r.HasOrientation, r.Acceleration[0] = false, math.NaN()
			return true
		}, CauseNotFinite},
		"acceleration beyond measure": {func(r *FallReading) bool { r.HasOrientation, r.Acceleration[0] = false, 1e300; return true }, CauseOutOfLimits},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnit(t, func(c *FallConfig) { c.Impact = false })
			u.edit = x.edit
			if u.run(500 * ms); u.last.Fallen.State != Unknown || u.last.Missing.State == Clear {
				t.Errorf("from the start: %+v", u.last)
			}
			u = newUnit(t, func(c *FallConfig) { c.Impact = false }).run(time.Second)
			u.edit = x.edit
			if u.run(500 * ms); u.last.Fallen.State != Unknown || u.last.Missing != Fault(x.cause, 0) {
				t.Errorf("after a good second: %+v, want %v", u.last, x.cause)
			}
			u = newUnit(t, nil).run(time.Second)
			u.lean = 1.5
			u.run(time.Second)
			u.lean, u.edit = 0, x.edit
			if u.run(time.Minute); u.last.Fallen.State != Present {
				t.Errorf("after a fall: %+v", u.last)
			}
			u.edit = nil
			if u.run(time.Minute); u.last != (FallStatus{OK(), OK()}) {
				t.Errorf("off: upright for a minute: %+v", u.last)
			}
		})
	}
}

// TestReadingAheadIsUnknown: what was received later than now is no reading of now.
func TestReadingAheadIsUnknown(t *testing.T) {
	u := newUnit(t, nil).run(time.Second)
	if s := u.w.Status(u.now - 1); s.Fallen.State != Unknown || s.Missing != Fault(CauseFuture, 0) {
		t.Errorf("%+v", s)
	}
}

// TestFallWithoutItsSection says nothing about a robot that has none.
func TestFallWithoutItsSection(t *testing.T) {
	u := newUnit(t, func(c *FallConfig) { *c = FallConfig{} })
	u.lean = math.Pi
	if u.run(time.Second); u.last != (FallStatus{OK(), OK()}) {
		t.Errorf("%+v", u.last)
	}
}

// TestUprightByItsOwnFrame: a unit that is mounted on its head or on its side stands where its profile says.
func TestUprightByItsOwnFrame(t *testing.T) {
	for _, lean := range []float64{math.Pi, math.Pi / 2, -math.Pi / 2, 0.7} {
		up := [3]float64{0, 0.3 * math.Sin(lean), 0.3 * math.Cos(lean)}
		for _, orients := range []bool{true, false} {
			u := newUnit(t, func(c *FallConfig) { c.Up = up })
			u.lean, u.orients = lean, orients
			if u.run(time.Second); u.last != (FallStatus{OK(), OK()}) {
				t.Errorf("%v: %+v", lean, u.last)
			}
			u.lean++
			if u.run(time.Second); u.last.Fallen.State != Present {
				t.Errorf("off, %v: %+v", lean, u.last)
			}
		}
	}
}

// TestMoreLeanNeverClears compares two robots of which the second at every reading leans as far or further, is hit as hard or
// harder, falls as freely or more so, or cannot say: where the first has fallen so has the second, and it is never better off.
func TestMoreLeanNeverClears(t *testing.T) {
	check(t, func(t *rapid.T) error { return leansMore(t, 1) })
	refuted(t, func(t *rapid.T) error { return leansMore(t, -1) })
}

func leansMore(t *rapid.T, sign float64) error {
	a, _ := NewFallWatch(fallConfig())
	b, _ := NewFallWatch(fallConfig())
	u := unit{now: time.Hour, orients: true, feels: true}
	for range rapid.IntRange(1, 60).Draw(t, "stretches") {
		lean, force := rapid.Float64Range(0, 1.6).Draw(t, "lean"), rapid.SampledFrom([]float64{0, 5, 10, 79, 81}).Draw(t, "force")
		more, worse := min(lean+rapid.Float64Range(0, 1).Draw(t, "more"), math.Pi), force
		if rapid.Bool().Draw(t, "freer or harder") {
			worse = rapid.SampledFrom([]float64{0, 81, 500}).Draw(t, "worse")
			if force < 3 || force > 80 {
				worse = force
			}
		}
		period := time.Duration(rapid.IntRange(1, 40).Draw(t, "period")) * 10 * ms
		blind := rapid.IntRange(0, 5).Draw(t, "blind") == 0 && lean < 0.9 && force > 3 && force < 80
		for range rapid.IntRange(1, 20).Draw(t, "readings") {
			u.now += period
			u.lean, u.force = lean, force
			ra := u.reading()
			u.lean, u.force = more, worse
			rb := u.reading()
			if blind {
				noNumber(&rb)
			}
			if sign < 0 {
				ra, rb = rb, ra
			}
			a.Observe(&ra)
			b.Observe(&rb)
			for _, after := range []time.Duration{0, period - 1} {
				sa, sb := a.Status(u.now+after), b.Status(u.now+after)
				if badness(sb.Fallen) < badness(sa.Fallen) || badness(sb.Missing) < badness(sa.Missing) {
					return fault("at %v: %+v, and worse %+v", u.now+after-time.Hour, sa, sb)
				}
			}
		}
	}
	return nil
}

func badness(c Condition) int { return [...]int{Clear: 0, Unknown: 1, Present: 2}[c.State] }

// TestFallWatchGoesOnFromItsState restores a watch in the middle of anything, and goes on with both.
func TestFallWatchGoesOnFromItsState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := &unit{now: time.Hour, feels: true}
		u.w, _ = NewFallWatch(fallConfig())
		other, _ := NewFallWatch(fallConfig())
		for range rapid.IntRange(1, 10).Draw(t, "stretches") {
			u.orients, u.lean = rapid.Bool().Draw(t, "orients"), rapid.Float64Range(-2, 2).Draw(t, "lean")
			u.force = rapid.SampledFrom([]float64{0, 9.8, 90, math.NaN(), 1e300}).Draw(t, "force")
			b := u.w.AppendState(nil)
			if err := other.RestoreState(b); err != nil {
				t.Fatal(err)
			}
			mine := *u
			mine.w = other
			d := time.Duration(rapid.IntRange(1, 60).Draw(t, "for")) * 10 * ms
			u.run(d)
			mine.run(d)
			if u.last != mine.last || !bytes.Equal(u.w.AppendState(nil), other.AppendState(nil)) {
				t.Fatalf("%+v, restored %+v", u.last, mine.last)
			}
		}
	})
}

// TestFallStateIsRefused takes no state that it did not write.
func TestFallStateIsRefused(t *testing.T) {
	u := newUnit(t, nil).run(time.Second)
	good := u.w.AppendState(nil)
	for name, b := range map[string][]byte{
		"nothing":      nil,
		"cut":          good[:len(good)-1],
		"not a number": reseal(append(append(append([]byte(nil), good[:11+32]...), bytes.Repeat([]byte{0xff}, 24)...), good[11+32+24:]...)),
	} {
		if err := u.w.RestoreState(b); err == nil {
			t.Errorf("%s: taken", name)
		}
		if !bytes.Equal(u.w.AppendState(nil), good) {
			t.Errorf("%s: what is refused has changed something", name)
		}
	}
	if err := u.w.RestoreState(good); err != nil {
		t.Errorf("off: its own state: %v", err)
	}
}

func TestFallRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *FallConfig){
		"TiltRad":      func(c *FallConfig) { c.TiltRad = 1.6 },
		"Dwell":        func(c *FallConfig) { c.Dwell = 0 },
		"MaxAge":       func(c *FallConfig) { c.MaxAge = -1 },
		"Up":           func(c *FallConfig) { c.Up = [3]float64{} },
		"FreeFallMPS2": func(c *FallConfig) { c.FreeFallMPS2 = math.NaN() },
		"FreeFallFor":  func(c *FallConfig) { c.FreeFallFor = 0 },
		"ImpactMPS2":   func(c *FallConfig) { c.ImpactMPS2 = math.Inf(1) },
	} {
		c := fallConfig()
		change(&c)
		if _, err := NewFallWatch(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for i := range 158 {
		if rad := float64(i) / 100; math.Abs(cosine(rad)-math.Cos(rad)) > 1e-12 {
			t.Errorf("cosine(%v) is %v, want %v", rad, cosine(rad), math.Cos(rad))
		}
	}
}

// TestFallenStaysUntilReset trips the machine by a fall and lets the robot be raised: it stays stopped until somebody who
// answers for it resets.
func TestFallenStaysUntilReset(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.set(RobotFallen, Fault(CauseTilted, 0)).run(100 * ms)
	s.want(MotionStop, RobotFallen)
	if s.out.Axes.Manipulators != ManipulatorsDisabled {
		t.Errorf("manipulators %v", s.out.Axes.Manipulators)
	}
	s.set(RobotFallen, Condition{}).set(IMUMissing, Fault(CauseStale, 0)).run(time.Second)
	s.set(RobotFallen, OK()).set(IMUMissing, OK()).run(time.Minute)
	s.want(MotionStop, RobotFallen)
	if roles := RobotFallen.Info().Default.Roles; roles.Has(RoleOperator) || !roles.Has(RoleSupervisor) {
		t.Errorf("may be reset by %v", roles)
	}
}
