package geofence

import (
	"cmp"
	"slices"
	"time"
)

// shift is a compiled ShiftSpec.
type shift struct {
	windows []window
	outside bool
}

// window is one weekly interval of a shift, in minutes of the civil day.
type window struct {
	days       uint8 // bit d is time.Weekday(d), Holiday included
	start, end int
}

// runs says whether the civil clock's face is within the window. A window that
// crosses midnight belongs to the day on which it starts, so what counts in the
// morning is which day yesterday was.
func (w window) runs(today, yesterday time.Weekday, minute int) bool {
	starts := w.days>>uint(today)&1 != 0
	if w.start < w.end {
		return starts && minute >= w.start && minute < w.end
	}
	return starts && minute >= w.start || w.days>>uint(yesterday)&1 != 0 && minute < w.end
}

// byDate orders special days.
func byDate(a, b SpecialDay) int {
	return cmp.Or(cmp.Compare(a.Year, b.Year), cmp.Compare(a.Month, b.Month), cmp.Compare(a.Day, b.Day))
}

// countsAs is what day the date of t counts as, in t's own time zone.
func (s *Set) countsAs(t time.Time) time.Weekday {
	year, month, day := t.Date()
	if i, special := slices.BinarySearchFunc(s.special, SpecialDay{Year: year, Month: month, Day: day}, byDate); special {
		return s.special[i].As
	}
	return t.Weekday()
}

// running returns the set of shifts that run at the civil time t.
func (s *Set) running(t time.Time) uint64 {
	if len(s.shifts) == 0 {
		return 0
	}
	local := t.In(s.location)
	hour, minute, _ := local.Clock()
	year, month, day := local.Date()
	// Noon of UTC, since there is no night there in which a clock jumps over a whole date.
	today, yesterday := s.countsAs(local), s.countsAs(time.Date(year, month, day-1, 12, 0, 0, 0, time.UTC))
	var set uint64
	for i := range s.shifts {
		runs := false
		for _, w := range s.shifts[i].windows {
			if w.runs(today, yesterday, hour*60+minute) {
				runs = true
				break
			}
		}
		if runs != s.shifts[i].outside {
			set |= 1 << uint(i)
		}
	}
	return set
}

// valid says whether t is within the set's validity.
func (s *Set) valid(t time.Time) bool {
	return (s.notBefore.IsZero() || !t.Before(s.notBefore)) && (s.notAfter.IsZero() || t.Before(s.notAfter))
}

// bound says how surely a zone binds the robot now.
type bound uint8

const (
	bindsNot bound = iota
	bindsMaybe
	bindsSurely
)

// schedule is what decides, beside the zones, which of them bind.
type schedule struct {
	roles uint64
	// task and operator are one bit each, 0 if unknown.
	task, operator uint64
	running        uint64
	// known is false while civil time cannot be trusted.
	known bool
}

// binds joins role, shift, task and operator: the least sure counts, unless one of
// them surely excludes the robot.
func (z *zone) binds(s schedule) bound {
	role, shift := bindsSurely, bindsSurely
	if z.roles != 0 {
		switch {
		case s.roles == 0:
			role = bindsMaybe
		case s.roles&z.roles == 0:
			role = bindsNot
		}
	}
	if z.shifts != 0 {
		switch {
		case !s.known:
			shift = bindsMaybe
		case s.running&z.shifts == 0:
			shift = bindsNot
		}
	}
	return min(role, shift, z.task.binds(s.task), z.operator.binds(s.operator))
}
