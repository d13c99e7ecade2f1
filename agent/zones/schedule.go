package zones

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
)

// face is what shifts are judged by: which days today and yesterday count as, and the minute of the civil clock.
type face struct {
	today, yesterday time.Weekday
	minute           int
}

// runs says whether a shift runs. It belongs to the day on which it starts.
func (f face) runs(s *config.Shift) bool {
	start, end := int(s.Start), int(s.End)
	if start < end {
		return s.Days.Has(f.today) && f.minute >= start && f.minute < end
	}
	return s.Days.Has(f.today) && f.minute >= start || s.Days.Has(f.yesterday) && f.minute < end
}

// onSchedule says whether a zone's shifts let it apply.
func onSchedule(p *config.Policy, z *config.Zone, f face) bool {
	any := func(ids []string) bool {
		return slices.ContainsFunc(p.Shifts, func(s config.Shift) bool { return slices.Contains(ids, s.ID) && f.runs(&s) })
	}
	switch {
	case len(z.Shifts) > 0:
		return any(z.Shifts)
	case len(z.OutsideShifts) > 0:
		return !any(z.OutsideShifts)
	}
	return true
}

// ActiveAt says whether a zone's shifts let it apply at an instant, by the civil clock and the calendar of the policy's time zone.
func ActiveAt(p *config.Policy, z *config.Zone, t time.Time) bool {
	if p.Timezone.Location != nil {
		t = t.In(p.Timezone.Location)
	}
	year, month, day := t.Date()
	yesterday := time.Date(year, month, day-1, 12, 0, 0, 0, time.UTC) // at noon of UTC, where no clock jumps over a date
	return onSchedule(p, z, face{p.DayOf(t), p.DayOf(yesterday), t.Hour()*60 + t.Minute()})
}

// NextChange is the next minute at which a zone's shifts change their mind, within the 8 days that a week can take with a
// change of the clocks, or around a special day after that; false if they never do.
func NextChange(p *config.Policy, z *config.Zone, t time.Time) (time.Time, bool) {
	if len(z.Shifts) == 0 && len(z.OutsideShifts) == 0 {
		return time.Time{}, false
	}
	now := ActiveAt(p, z, t)
	next := t.Truncate(time.Minute)
	for range 8 * minutesPerDay {
		next = next.Add(time.Minute)
		if ActiveAt(p, z, next) != now {
			return next, true
		}
	}
	return besideSpecialDays(p, z, next, now)
}

// besideSpecialDays looks on for a change on a special day and the one after it, into which its shifts last: on all other days
// the shifts go as in the week before t.
func besideSpecialDays(p *config.Policy, z *config.Zone, t time.Time, now bool) (time.Time, bool) {
	dates := make([]string, len(p.SpecialDays))
	for i := range p.SpecialDays {
		dates[i] = p.SpecialDays[i].Date
	}
	slices.Sort(dates)
	for _, date := range dates {
		day, err := time.ParseInLocation(time.DateOnly, date, p.Timezone.Location)
		if err != nil || day.Add(48*time.Hour).Before(t) {
			continue
		}
		for m := range 2*minutesPerDay + 120 { // and a change of the clocks
			if at := day.Add(time.Duration(m) * time.Minute); at.After(t) && ActiveAt(p, z, at) != now {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// Changes remembers the next change of each set of shifts at one instant, for policies with many zones. The zero value is
// ready.
type Changes struct{ known map[string]time.Time }

// Next is NextChange for a policy and an instant that are always the same.
func (c *Changes) Next(p *config.Policy, z *config.Zone, t time.Time) (time.Time, bool) {
	key := scheduleKey(z)
	next, known := c.known[key]
	if !known {
		next, _ = NextChange(p, z, t)
		if c.known == nil {
			c.known = map[string]time.Time{}
		}
		c.known[key] = next
	}
	return next, !next.IsZero()
}

// scheduleKey is equal for zones with the same shifts: ids have no blanks and no brackets.
func scheduleKey(z *config.Zone) string { return fmt.Sprint(z.Shifts, z.OutsideShifts) }

// Binds says whether a zone binds a robot with these roles.
func Binds(z *config.Zone, roles []string) bool {
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(r string) bool { return slices.Contains(roles, r) })
	}
	switch {
	case len(z.Roles) > 0:
		return has(z.Roles)
	case len(z.ExceptRoles) > 0:
		return !has(z.ExceptRoles)
	}
	return true
}

// week is the minutes of the week at which a zone applies, and of a holiday that follows another one, if the calendar has any.
type week [minutesPerWeek + minutesPerDay]bool

func weekOf(p *config.Policy, z *config.Zone) *week {
	holidays := p.FirstHoliday() != nil
	var w week
	for m := range w {
		today := time.Weekday(m / minutesPerDay)
		yesterday := (today + 6) % 7
		if today == geofence.Holiday {
			if yesterday = today; !holidays {
				break
			}
		}
		w[m] = onSchedule(p, z, face{today, yesterday, m % minutesPerDay})
	}
	return &w
}

func (w *week) within(o *week) bool {
	for m := range w {
		if w[m] && !o[m] {
			return false
		}
	}
	return true
}

// everActive says whether there is a minute, within the policy's validity, at which a zone applies.
func everActive(p *config.Policy, z *config.Zone, w *week) bool {
	if !slices.Contains(w[:], true) {
		return false
	}
	if p.NotBefore.IsZero() || p.NotAfter.IsZero() || p.NotAfter.Sub(p.NotBefore) > 8*24*time.Hour {
		return true
	}
	for t := p.NotBefore; t.Before(p.NotAfter); t = t.Truncate(time.Minute).Add(time.Minute) {
		if ActiveAt(p, z, t) {
			return true
		}
	}
	return false
}

// conditions says in words when and whom a zone binds, "" if always and everybody.
func conditions(z *config.Zone) string {
	var parts []string
	for _, c := range []struct {
		word string
		list []string
	}{{"only in shift ", z.Shifts}, {"outside shift ", z.OutsideShifts}, {"for ", z.Roles}, {"not for ", z.ExceptRoles}} {
		if len(c.list) > 0 {
			parts = append(parts, c.word+strings.Join(c.list, ", "))
		}
	}
	if z.UnlessAttested {
		parts = append(parts, "unless the robot is attested")
	}
	return strings.Join(parts, ", ")
}
