package config

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// DayOf is what day the date of t counts as in the policy's calendar, by t's own time zone: a weekday, or geofence.Holiday. The
// special day that says so is nil where it is the date's own weekday.
func (p *Policy) DayOf(t time.Time) (time.Weekday, *SpecialDay) {
	if len(p.SpecialDays) > 0 {
		date := t.Format(time.DateOnly)
		for i := range p.SpecialDays {
			if s := &p.SpecialDays[i]; s.Date == date {
				if day, ok := s.day(); ok {
					return day.As, s
				}
			}
		}
	}
	return t.Weekday(), nil
}

// day is the geofence's form. It returns false for a date that does not exist and a day that is none.
func (s *SpecialDay) day() (geofence.SpecialDay, bool) {
	t, err := time.Parse(time.DateOnly, s.Date)
	as := slices.Index(dayNames(), s.CountsAs)
	if err != nil || as < 0 {
		return geofence.SpecialDay{}, false
	}
	return geofence.SpecialDay{Year: t.Year(), Month: t.Month(), Day: t.Day(), As: time.Weekday(as)}, true
}

// checkCalendar checks what the types cannot say about special days.
func (d *document) checkCalendar(p *Policy) {
	d.unique("special_days", "date", names(p.SpecialDays, func(s SpecialDay) string { return s.Date }))
	for i := range p.SpecialDays {
		s := &p.SpecialDays[i]
		if _, ok := s.day(); !ok && d.clean("special_days", i) {
			d.wrong(at("special_days", i, "date"), "no-such-date", "a date that exists", s.Date, "count that month's days")
		}
	}
}

// fillsTheWeek says whether at every minute of an ordinary week one of the named shifts runs. Shifts are judged by the clock's
// face alone, so the week's minutes are all there is.
func fillsTheWeek(shifts []Shift, names []string) bool {
	var in [minutesPerWeek]bool
	for i := range shifts {
		if !slices.Contains(names, shifts[i].ID) {
			continue
		}
		w := shifts[i].window()
		length := w.EndMin - w.StartMin
		if length <= 0 {
			length += minutesPerDay
		}
		for _, d := range w.Days {
			for m := range length {
				if d != geofence.Holiday {
					in[(int(d)*minutesPerDay+w.StartMin+m)%minutesPerWeek] = true
				}
			}
		}
	}
	return !slices.Contains(in[:], false)
}
