package geofence

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests must not depend on the machine's zones

	"pgregory.net/rapid"
)

func berlin(t tb) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func allDays() []time.Weekday { return []time.Weekday{0, 1, 2, 3, 4, 5, 6} }

// shifted is a site with one wall that binds in one window.
func shifted(t tb, w WindowSpec) Spec {
	z := wall(0)
	z.Shifts = []string{"s"}
	spec := site(z)
	spec.Shifts, spec.Location = []ShiftSpec{{ID: "s", Windows: []WindowSpec{w}}}, berlin(t)
	return spec
}

func TestShiftsOverOrdinaryDays(t *testing.T) {
	day := WindowSpec{[]time.Weekday{time.Monday, time.Tuesday}, 8 * 60, 17 * 60}
	night := WindowSpec{[]time.Weekday{time.Friday}, 22 * 60, 6 * 60}
	whole := WindowSpec{[]time.Weekday{time.Sunday}, 0, 1440}
	for _, tc := range []struct {
		name string
		w    WindowSpec
		at   string // in Berlin; 2026-06-01 is a Monday
		want bool
	}{
		{"a minute early", day, "2026-06-01 07:59:59", false},
		{"at the start", day, "2026-06-01 08:00:00", true},
		{"just before the end", day, "2026-06-02 16:59:59", true},
		{"at the end", day, "2026-06-02 17:00:00", false},
		{"on another day", day, "2026-06-03 12:00:00", false},
		{"before the night", night, "2026-06-05 21:59:59", false},
		{"the night begins", night, "2026-06-05 22:00:00", true},
		{"past midnight, it is Saturday", night, "2026-06-06 00:00:00", true},
		{"the night's last minute", night, "2026-06-06 05:59:59", true},
		{"the night is over", night, "2026-06-06 06:00:00", false},
		{"Friday morning belongs to Thursday", night, "2026-06-05 03:00:00", false},
		{"Saturday evening starts nothing", night, "2026-06-06 23:00:00", false},
		{"whole day begins", whole, "2026-06-07 00:00:00", true},
		{"whole day ends", whole, "2026-06-08 00:00:00", false},
	} {
		set := compile(t, shifted(t, tc.w), wheels())
		at, err := time.ParseInLocation(time.DateTime, tc.at, berlin(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := set.running(at.UTC()) == 1; got != tc.want {
			t.Errorf("%s: running = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// minutes counts for how long a window runs around a night, by UTC.
func minutes(t *testing.T, w WindowSpec, from time.Time, hours int) int {
	t.Helper()
	set := compile(t, shifted(t, w), wheels())
	n := 0
	for i := range hours * 60 {
		if set.running(from.Add(time.Duration(i)*time.Minute)) != 0 {
			n++
		}
	}
	return n
}

func TestShiftsOverDSTNights(t *testing.T) {
	spring := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC) // the night to 29 March skips 02:00 to 03:00
	autumn := time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)
	usual := time.Date(2026, 6, 6, 12, 0, 0, 0, time.UTC)
	sat := []time.Weekday{time.Saturday}
	sun := []time.Weekday{time.Sunday}
	for _, tc := range []struct {
		name                  string
		w                     WindowSpec
		spring, autumn, usual int
	}{
		{"the night shift", WindowSpec{sat, 22 * 60, 6 * 60}, 7 * 60, 9 * 60, 8 * 60},
		{"within the doubtful hour", WindowSpec{sun, 2*60 + 15, 2*60 + 45}, 0, 60, 30},
		{"from within it", WindowSpec{sun, 2*60 + 30, 4 * 60}, 60, 120, 90},
		{"up to within it", WindowSpec{sun, 60, 2*60 + 30}, 60, 120, 90},
		{"up to its start", WindowSpec{sun, 60, 2 * 60}, 60, 60, 60},
		{"from its end", WindowSpec{sun, 3 * 60, 4 * 60}, 60, 60, 60},
	} {
		for night, got := range map[string][2]int{
			"spring": {minutes(t, tc.w, spring, 24), tc.spring},
			"autumn": {minutes(t, tc.w, autumn, 24), tc.autumn},
			"usual":  {minutes(t, tc.w, usual, 24), tc.usual},
		} {
			if got[0] != got[1] {
				t.Errorf("%s, %s: runs %d minutes, want %d", tc.name, night, got[0], got[1])
			}
		}
	}
	// The clock shows 02:30 twice in autumn; both are in the window.
	set := compile(t, shifted(t, WindowSpec{sun, 2*60 + 30, 2*60 + 31}), wheels())
	for _, utc := range []time.Time{time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)} {
		if set.running(utc) == 0 {
			t.Errorf("%s is not in the window", utc.In(berlin(t)))
		}
	}
}

func TestStepFollowsTheShiftMinuteByMinute(t *testing.T) {
	w := WindowSpec{allDays(), 12 * 60, 13 * 60}
	spec := shifted(t, w)
	spec.Location = time.UTC
	r := newRig(t, spec, wheels())
	r.now.Civil = time.Date(2026, 6, 1, 11, 59, 59, 900e6, time.UTC)
	if v := r.at(0, 0, 0); v.Hold {
		t.Fatalf("before the shift: %v", v.Reason)
	}
	r.pass(100 * time.Millisecond)
	if v := r.at(0, 0, 0); !v.Hold || v.Place != Inside {
		t.Fatalf("the shift began over the robot: hold %v place %v", v.Hold, v.Place)
	}
	r.pass(time.Hour - time.Millisecond)
	if v := r.at(0, 0, 0); !v.Hold {
		t.Fatal("the shift's last moment")
	}
	r.pass(time.Millisecond)
	if v := r.at(0, 0, 0); v.Hold || v.N != 0 {
		t.Fatalf("the shift is over: %+v", v.Near[0])
	}
}

func TestWhatBinds(t *testing.T) {
	always, never := uint64(1), uint64(2) // shift 0 runs, shift 1 does not
	for _, tc := range []struct {
		name          string
		roles, shifts uint64
		plan          schedule
		want          bound
	}{
		{"everybody, always", 0, 0, schedule{}, bindsSurely},
		{"our role", 1, 0, schedule{roles: 3}, bindsSurely},
		{"another's role", 4, 0, schedule{roles: 3}, bindsNot},
		{"role unknown", 4, 0, schedule{}, bindsMaybe},
		{"in the shift", 0, always, schedule{roles: 1, running: 1, known: true}, bindsSurely},
		{"out of the shift", 0, never, schedule{roles: 1, running: 1, known: true}, bindsNot},
		{"one of two shifts", 0, always | never, schedule{roles: 1, running: 1, known: true}, bindsSurely},
		{"clock unknown", 0, never, schedule{roles: 1}, bindsMaybe},
		{"another's role, clock unknown", 4, never, schedule{roles: 3}, bindsNot},
		{"role unknown, out of the shift", 4, never, schedule{running: 1, known: true}, bindsNot},
		{"both unknown", 4, never, schedule{}, bindsMaybe},
		{"our role, clock unknown", 1, always, schedule{roles: 1}, bindsMaybe},
	} {
		z := zone{roles: tc.roles, shifts: tc.shifts}
		if got := z.binds(tc.plan); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestUntrustedClockBindsEveryShift(t *testing.T) {
	spec := shifted(t, WindowSpec{allDays(), 0, 1}) // a minute after midnight
	for _, tc := range []struct {
		trust ClockTrust
		hold  bool
	}{{ClockTrusted, false}, {ClockHoldover, false}, {ClockUntrusted, true}} {
		r := newRig(t, spec, wheels())
		r.now.Trust = tc.trust
		v := r.at(0, 0, 0)
		if v.Hold != tc.hold || v.ScheduleUntrusted != tc.hold {
			t.Errorf("%v: hold %v, untrusted %v, want %v", tc.trust, v.Hold, v.ScheduleUntrusted, tc.hold)
		}
		if tc.hold && v.Near[0].Certain {
			t.Errorf("%v: the zone counts as certain", tc.trust)
		}
	}
}

func TestUnknownRolesBindEveryRole(t *testing.T) {
	z := wall(0)
	z.Roles = []string{"cleaner"}
	spec := site(z)
	spec.Roles = []string{"porter", "cleaner"}
	for _, tc := range []struct {
		roles uint64
		hold  bool
	}{{1, false}, {2, true}, {3, true}, {0, true}} {
		r := newRig(t, spec, wheels())
		r.in.Roles = tc.roles
		if v := r.at(0, 0, 0); v.Hold != tc.hold {
			t.Errorf("roles %b: hold %v, want %v", tc.roles, v.Hold, tc.hold)
		}
	}
}

func TestValidity(t *testing.T) {
	spec := site(wall(5000))
	spec.NotBefore, spec.NotAfter = epoch().Add(-time.Hour), epoch().Add(time.Hour)
	for _, tc := range []struct {
		name  string
		at    time.Time
		trust ClockTrust
		fault bool
	}{
		{"within", epoch(), ClockTrusted, false},
		{"too early", epoch().Add(-2 * time.Hour), ClockTrusted, true},
		{"at the end", epoch().Add(time.Hour), ClockHoldover, true},
		{"nobody knows the time", epoch().Add(2 * time.Hour), ClockUntrusted, false},
	} {
		r := newRig(t, spec, wheels())
		r.now.Civil, r.now.Trust = tc.at, tc.trust
		v := r.at(0, 0, 0)
		if got := v.Faults&FaultNotValid != 0; got != tc.fault || v.Hold != tc.fault {
			t.Errorf("%s: fault %v, hold %v", tc.name, v.Faults, v.Hold)
		}
		if v.Place == PlaceUnknown {
			t.Errorf("%s: an expired set still knows the place", tc.name)
		}
		if l := r.limit(Velocity{VX: 0.1}); (l.Ratio == 0) != tc.fault {
			t.Errorf("%s: ratio %v", tc.name, l.Ratio)
		}
	}
}

func TestWindowAgreesWithCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{
			days:  uint8(rapid.IntRange(1, 127).Draw(t, "days")),
			start: rapid.IntRange(0, 1439).Draw(t, "start"), end: rapid.IntRange(1, 1440).Draw(t, "end"),
		}
		if w.start == w.end {
			t.Skip("not a window")
		}
		// Count from each start for its length, around the week.
		length := (w.end - w.start + 1440) % 1440
		if length == 0 {
			length = 1440
		}
		day, minute := rapid.IntRange(0, 6).Draw(t, "day"), rapid.IntRange(0, 1439).Draw(t, "minute")
		want := false
		for d := range 7 {
			begin := d*1440 + w.start
			off := ((day*1440+minute-begin)%10080 + 10080) % 10080
			want = want || w.days>>uint(d)&1 != 0 && off < length
		}
		if got := w.runs(time.Weekday(day), time.Weekday((day+6)%7), minute); got != want {
			t.Fatalf("runs = %v, want %v", got, want)
		}
	})
}
