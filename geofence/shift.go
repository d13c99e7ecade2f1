package geofence

import "time"

// window is one weekly interval of a shift, in minutes of the civil day.
type window struct {
	days       uint8 // bit d is time.Weekday(d)
	start, end int
}

// runs says whether the civil clock's face is within the window. A window that
// crosses midnight belongs to the day on which it starts.
func (w window) runs(day time.Weekday, minute int) bool {
	today := w.days>>uint(day)&1 != 0
	if w.start < w.end {
		return today && minute >= w.start && minute < w.end
	}
	yesterday := w.days>>uint((day+6)%7)&1 != 0
	return today && minute >= w.start || yesterday && minute < w.end
}

// running returns the set of shifts that run at the civil time t.
func (s *Set) running(t time.Time) uint64 {
	if len(s.shifts) == 0 {
		return 0
	}
	local := t.In(s.location)
	hour, minute, _ := local.Clock()
	day := local.Weekday()
	var set uint64
	for i := range s.shifts {
		for _, w := range s.shifts[i] {
			if w.runs(day, hour*60+minute) {
				set |= 1 << uint(i)
				break
			}
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
