package config

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// DayOf is what day the date of t counts as in the policy's calendar, by t's own time zone: a weekday, or geofence.Holiday.
func (p *Policy) DayOf(t time.Time) time.Weekday {
	if len(p.SpecialDays) > 0 {
		date := t.Format(time.DateOnly)
		for i := range p.SpecialDays {
			if s := &p.SpecialDays[i]; s.Date == date {
				if day, ok := s.day(); ok {
					return day.As
				}
			}
		}
	}
	return t.Weekday()
}

// FirstHoliday is the first of the special days that counts as a holiday, nil if there is none.
func (p *Policy) FirstHoliday() *SpecialDay {
	for i := range p.SpecialDays {
		if p.SpecialDays[i].CountsAs == dayNames()[geofence.Holiday] {
			return &p.SpecialDays[i]
		}
	}
	return nil
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
	d.warnHolidays(p)
}

// warnHolidays looks for shifts of every weekday that do not run on holidays: whoever writes seven days means every day, and on
// such a date the zones of that shift would quietly not apply.
func (d *document) warnHolidays(p *Policy) {
	const everyWeekday Days = 1<<geofence.Holiday - 1
	holiday := p.FirstHoliday()
	if holiday == nil {
		return
	}
	for i := range p.Shifts {
		if days := p.Shifts[i].Days; days&everyWeekday == everyWeekday && !days.Has(geofence.Holiday) && d.clean("shifts", i) {
			d.warn(at("shifts", i, "days"), "shift-without-holiday", "holiday among the days of a shift for every day of the week",
				"none, and "+holiday.Date+" ("+holiday.Name+") counts as one", "its zones do not apply on that date; add holiday, or have the date count as sun")
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
