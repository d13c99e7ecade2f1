package demo

import (
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/sim"
)

// Zone types, in the words of policies.
const (
	TypeBlocked    = config.ZoneBlocked
	TypeSpeedLimit = config.ZoneSpeedLimit
	TypeKeepIn     = config.ZoneKeepIn
)

// Zone is a zone as the oracle knows it: read from the policy, judged by the oracle's own geometry and clock.
type Zone struct {
	ID, Type, Floor, Reason string
	Outer                   sim.Polygon
	Holes                   []sim.Polygon
	MaxSpeedMPS             float64
	// InForce says whether it applies to the robot at a civil time.
	InForce func(time.Time) bool
}

// ZonesOf reads the oracle's zones out of a policy, for a robot by its serial.
func ZonesOf(p *config.Policy, serial string) []Zone {
	roles, _ := p.RolesOf(serial)
	var out []Zone
	for i := range p.Zones {
		z := &p.Zones[i]
		if len(z.Roles) > 0 && !overlap(z.Roles, roles) || overlap(z.ExceptRoles, roles) {
			continue
		}
		out = append(out, Zone{
			ID: z.ID, Type: z.Type, Floor: z.Floor, Reason: z.Reason, Outer: ring(z.Vertices), Holes: rings(z.Holes),
			MaxSpeedMPS: z.MaxSpeedMPS, InForce: inForce(p, z),
		})
	}
	return out
}

// FootprintOf reads the stated outline out of a robot profile.
func FootprintOf(p *config.Profile) []sim.Point { return ring(p.Body.Footprint) }

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func ring(ps []config.Point) sim.Polygon {
	var out sim.Polygon
	for _, p := range ps {
		out = append(out, sim.Point{X: p.X, Y: p.Y})
	}
	return out
}

func rings(all [][]config.Point) []sim.Polygon {
	var out []sim.Polygon
	for _, r := range all {
		out = append(out, ring(r))
	}
	return out
}

func inForce(p *config.Policy, z *config.Zone) func(time.Time) bool {
	in := func(t time.Time, ids []string) bool {
		return slices.ContainsFunc(p.Shifts, func(s config.Shift) bool {
			return slices.Contains(ids, s.ID) && onShift(s, t.In(p.Timezone.Location))
		})
	}
	return func(t time.Time) bool {
		switch {
		case len(z.Shifts) > 0:
			return in(t, z.Shifts)
		case len(z.OutsideShifts) > 0:
			return !in(t, z.OutsideShifts)
		}
		return true
	}
}

// onShift reads a shift by the wall clock: it belongs to the day on which it starts and may end on the next.
func onShift(s config.Shift, t time.Time) bool {
	minute := t.Hour()*60 + t.Minute()
	today, yesterday := s.Days.Has(t.Weekday()), s.Days.Has((t.Weekday()+6)%7)
	if start, end := int(s.Start), int(s.End); start < end {
		return today && minute >= start && minute < end
	}
	return today && minute >= int(s.Start) || yesterday && minute < int(s.End)
}

// box is a rectangle around a zone, to skip what is far.
func (z *Zone) box() (x0, y0, x1, y1 float64) {
	x0, y0, x1, y1 = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range z.Outer {
		x0, y0, x1, y1 = min(x0, p.X), min(y0, p.Y), max(x1, p.X), max(y1, p.Y)
	}
	return x0, y0, x1, y1
}

// farBox is the distance beyond which a zone's exact clearance is not computed.
const farBox = 3.0

// nearness is how near the true robot is to the nearest BLOCKED zone in force.
type nearness struct {
	zone string
	// body is the true body's clearance in metres, at most 0 if any part is inside; +Inf beyond farBox.
	body float64
	// outline is the clearance of the footprint that the profile states.
	outline float64
}

// near looks at every BLOCKED zone in force. Holes are not subtracted, so that the oracle can only be too strict.
func near(w *sim.World, zones []Zone, footprint []sim.Point) nearness {
	at := w.Truth()
	best := nearness{body: math.Inf(1), outline: math.Inf(1)}
	for i := range zones {
		z := &zones[i]
		if z.Type != TypeBlocked || z.Floor != at.Floor || !z.InForce(w.Civil()) {
			continue
		}
		x0, y0, x1, y1 := z.box()
		if at.X < x0-farBox || at.X > x1+farBox || at.Y < y0-farBox || at.Y > y1+farBox {
			continue
		}
		if c := w.Clearance(z.Floor, z.Outer); c < best.body {
			best = nearness{zone: z.ID, body: c, outline: w.OutlineClearance(footprint, z.Floor, z.Outer)}
		}
	}
	return best
}
