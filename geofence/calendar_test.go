package geofence

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// feast is a calendar: Thursday, 2026-12-24, has a Saturday's hours, Friday is a holiday, and on Saturday everybody works.
func feast() []SpecialDay {
	return []SpecialDay{
		{2026, time.December, 26, time.Monday}, {2026, time.December, 24, time.Saturday}, {2026, time.December, 25, Holiday},
	}
}

func TestShiftsOverSpecialDays(t *testing.T) {
	work := WindowSpec{[]time.Weekday{1, 2, 3, 4, 5}, 8 * 60, 17 * 60}
	night := WindowSpec{[]time.Weekday{1, 2, 3, 4, 5}, 22 * 60, 6 * 60}
	saturday := WindowSpec{[]time.Weekday{time.Saturday}, 8 * 60, 12 * 60}
	holiday := WindowSpec{[]time.Weekday{Holiday}, 10 * 60, 2 * 60}
	for _, tc := range []struct {
		name string
		w    WindowSpec
		at   string // in Berlin
		want bool
	}{
		{"the day before is as always", work, "2026-12-23 12:00:00", true},
		{"no weekday's shift on a Thursday that is a Saturday", work, "2026-12-24 12:00:00", false},
		{"a Saturday's shift on it", saturday, "2026-12-24 09:00:00", true},
		{"not for longer than a Saturday's", saturday, "2026-12-24 12:00:00", false},
		{"Wednesday's night goes on into it", night, "2026-12-24 05:59:00", true},
		{"no night begins on it", night, "2026-12-24 22:00:00", false},
		{"nor goes on into the holiday", night, "2026-12-25 03:00:00", false},
		{"no weekday's shift on a holiday", work, "2026-12-25 12:00:00", false},
		{"the holiday's own shift", holiday, "2026-12-25 10:00:00", true},
		{"goes on past midnight", holiday, "2026-12-26 01:59:00", true},
		{"and ends", holiday, "2026-12-26 02:00:00", false},
		{"a Saturday on which everybody works", work, "2026-12-26 12:00:00", true},
		{"which is no Saturday", saturday, "2026-12-26 09:00:00", false},
		{"its night goes on into Sunday", night, "2026-12-27 05:00:00", true},
		{"a year later the date is nothing special", work, "2027-12-24 12:00:00", true},
		{"and no holiday", holiday, "2027-12-25 12:00:00", false},
	} {
		at, err := time.ParseInLocation(time.DateTime, tc.at, berlin(t))
		if err != nil {
			t.Fatal(err)
		}
		spec := shifted(t, tc.w)
		spec.SpecialDays = feast()
		for _, outside := range []bool{false, true} {
			spec.Shifts[0].Outside = outside
			if got := compile(t, spec, wheels()).running(at.UTC()) == 1; got != (tc.want != outside) {
				t.Errorf("%s (outside: %t): running = %v, want %v", tc.name, outside, got, tc.want != outside)
			}
		}
	}
}

// TestSpecialDaysChangeTheirOwnDates: more than a day after a special day, and before it, everything is as without one; and
// outside of a shift is exactly when it does not run.
func TestSpecialDaysChangeTheirOwnDates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := WindowSpec{StartMin: rapid.IntRange(0, 1439).Draw(rt, "start")}
		w.EndMin = rapid.IntRange(1, 1440).Filter(func(m int) bool { return m != w.StartMin }).Draw(rt, "end")
		for d := time.Sunday; d <= Holiday; d++ {
			if rapid.Bool().Draw(rt, "day") {
				w.Days = append(w.Days, d)
			}
		}
		if len(w.Days) == 0 {
			w.Days = []time.Weekday{Holiday}
		}
		plain, special, outside := shifted(t, w), shifted(t, w), shifted(t, w)
		day := SpecialDay{2026, time.Month(rapid.IntRange(1, 12).Draw(rt, "month")), rapid.IntRange(1, 28).Draw(rt, "date"), time.Weekday(rapid.IntRange(0, 7).Draw(rt, "as"))}
		special.SpecialDays, outside.SpecialDays = []SpecialDay{day}, []SpecialDay{day}
		outside.Shifts[0].Outside = true
		a, b, c := compile(t, plain, wheels()), compile(t, special, wheels()), compile(t, outside, wheels())
		from := time.Date(day.Year, day.Month, day.Day, 0, 0, 0, 0, berlin(t))
		for m := -3 * 1440; m < 4*1440; m += 7 {
			at := from.Add(time.Duration(m) * time.Minute)
			if b.running(at) == c.running(at) {
				rt.Fatalf("%v: runs inside and outside of itself", at)
			}
			date := at.Format(time.DateOnly)
			if apart := date != from.Format(time.DateOnly) && date != from.AddDate(0, 0, 1).Format(time.DateOnly); apart && a.running(at) != b.running(at) {
				rt.Fatalf("%v differs by the special day %+v", at, day)
			}
		}
	})
}

func TestSpecialDaysThatAreNone(t *testing.T) {
	for want, days := range map[string][]SpecialDay{
		"2026-02-30": {{2026, time.February, 30, Holiday}},
		"2026-13-01": {{2026, 13, 1, Holiday}},
		"0000-00-00": {{}},
		"expected 0": {{2026, time.May, 1, Holiday + 1}},
		"days[0]":    {{2026, time.May, 1, Holiday}, {2026, time.June, 1, Holiday}, {2026, time.May, 1, time.Sunday}},
		"special da": make([]SpecialDay, MaxSpecialDays+1),
	} {
		spec := shifted(t, WindowSpec{[]time.Weekday{Holiday}, 0, 1440})
		spec.SpecialDays = days
		if _, err := Compile(spec, wheels()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: expected a word of %q", err, want)
		}
	}
}
