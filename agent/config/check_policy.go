package config

import (
	"math"
	"slices"
	"strings"
)

// checkPolicy checks what the types cannot say about a policy. Profile and topics may be nil; with them the
// geometry is judged for the very robot.
func (d *document) checkPolicy(p *Policy, profile *profileDocument, topics *Topics) {
	if !p.NotBefore.IsZero() && !p.NotAfter.IsZero() && !p.NotBefore.Before(p.NotAfter) {
		d.wrong(at("not_after"), ruleOrder, "a time after not_before", p.NotAfter.Format("2006-01-02T15:04:05Z07:00"), "")
	}
	floors := names(p.Floors, func(f Floor) string { return f.ID })
	d.unique("floors", "id", floors)
	d.unique("roles", "", p.Roles)
	d.unique("shifts", "id", names(p.Shifts, func(s Shift) string { return s.ID }))
	d.unique("robots", "serial", names(p.Robots, func(r RobotRoles) string { return r.Serial }))
	d.unique("channels", "endpoint", names(p.Channels, func(c Channel) string { return c.Endpoint }))
	d.unique("zones", "zone_id", names(p.Zones, func(z Zone) string { return z.ID }))
	for i, s := range p.Shifts {
		if s.Start == s.End && d.has("shifts", i, "start") && d.has("shifts", i, "end") && d.clean("shifts", i) {
			d.wrong(at("shifts", i, "end"), ruleOrder,
				"another time than start", s.End.String(), `a whole day is "00:00" to "24:00"`)
		}
	}
	d.checkCalendar(p)
	for i, r := range p.Robots {
		d.references(at("robots", i, "roles"), r.Roles, p.Roles, "roles")
	}
	d.checkFactDemands(p)
	for i := range p.Zones {
		d.checkZone(p, i, floors)
	}
	d.checkFloors(p)
	d.checkUnused(p)
	d.checkChannels(p)
	d.checkCommanders(p)
	d.checkOverrides(p)
	d.checkRecorder(p)
	d.unique("command_channels", "channel", names(p.CommandChannels, func(c CommandChannel) string { return c.Channel }))
	d.checkTriggers(p)
	d.checkGeometry(p, profile, topics)
}

func names[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = name(v)
	}
	return out
}

// references reports names that a list does not declare.
func (d *document) references(where *path, used, declared []string, list string) {
	if !d.clean(list) {
		return
	}
	for i, name := range used {
		if name != "" && !slices.Contains(declared, name) {
			d.unknownName(where.item(i), name, declared, list)
		}
	}
}

func (d *document) unknownName(where *path, name string, declared []string, list string) {
	expected := "a name declared under " + list
	hint := "nothing is declared under " + list
	if len(declared) > 0 {
		hint = "declared are " + strings.Join(declared[:min(len(declared), 12)], ", ")
	}
	if c := closest(name, declared); c != "" {
		hint = "did you mean " + c + "?"
	}
	d.wrong(where, ruleUnknownName, expected, name, hint)
}

func (d *document) checkZone(p *Policy, i int, floors []string) {
	z := &p.Zones[i]
	where := at("zones", i)
	if z.Floor != "" && d.clean("floors") && !slices.Contains(floors, z.Floor) {
		d.unknownName(where.child("floor"), z.Floor, floors, "floors")
	}
	limited := d.has("zones", i, "max_speed_mps")
	switch {
	case z.Type == ZoneSpeedLimit && !limited:
		d.about(where.find(d.root), where.child("max_speed_mps"), Problem{
			Rule: ruleMissing, Expected: "max_speed_mps: the limit in m/s", Found: "nothing", Example: "max_speed_mps: 0.6",
		})
	case z.Type != ZoneSpeedLimit && z.Type != "" && limited:
		d.wrong(where.child("max_speed_mps"), ruleExclusive, "max_speed_mps in a "+ZoneSpeedLimit+" zone only", "a "+z.Type+" zone",
			"delete the key or change zone_type")
	}
	if z.Type == ZoneKeepIn && z.MarginM != 0 {
		d.wrong(where.child("margin_m"), ruleExclusive, "no margin_m in a "+ZoneKeepIn+" zone", trimFloat(z.MarginM),
			"draw the outline that much smaller")
	}
	d.checkTerms(where, i, z)
	d.checkZoneFacts(where, i, z, p)
	d.references(where.child("roles"), z.Roles, p.Roles, "roles")
	d.references(where.child("except_roles"), z.ExceptRoles, p.Roles, "roles")
	shifts := names(p.Shifts, func(s Shift) string { return s.ID })
	d.references(where.child("shifts"), z.Shifts, shifts, "shifts")
	d.references(where.child("outside_shifts"), z.OutsideShifts, shifts, "shifts")
	if len(z.Roles) > 0 && len(z.ExceptRoles) > 0 {
		d.wrong(where.child("except_roles"), ruleExclusive, "roles or except_roles", "both", "")
	}
	if len(z.Shifts) > 0 && len(z.OutsideShifts) > 0 {
		d.wrong(where.child("outside_shifts"), ruleExclusive, "shifts or outside_shifts", "both", "")
	}
	if len(z.OutsideShifts) > 0 && d.clean("shifts") && len(p.SpecialDays) == 0 && fillsTheWeek(p.Shifts, z.OutsideShifts) {
		d.wrong(where.child("outside_shifts"), "never", "shifts that leave some of the week", "shifts that cover all of it",
			"the zone would never apply")
	}
	d.checkBodyZone(i, z)
	d.onGrid(where.child("vertices"), z.Vertices)
	for h, ring := range z.Holes {
		d.onGrid(where.child("holes").item(h), ring)
	}
}

// onGrid reports coordinates finer than the millimetres that the geofence counts in.
func (d *document) onGrid(where *path, points []Point) {
	for i, p := range points {
		for j, v := range []float64{p.X, p.Y} {
			if mm := v * 1000; math.Abs(mm-math.Round(mm)) > 1e-6 {
				d.wrong(where.item(i).item(j), "grid", "whole millimetres: at most three decimals", trimFloat(v),
					"zones are exact on a grid of 1 mm")
			}
		}
	}
}

func (d *document) checkFloors(p *Policy) {
	for i, f := range p.Floors {
		bounded := slices.ContainsFunc(p.Zones, func(z Zone) bool { return z.Type == ZoneKeepIn && z.Floor == f.ID })
		if !bounded && f.Unbounded == "" && d.clean("zones") && f.ID != "" {
			d.wrong(at("floors", i), "unbounded-floor", "a "+ZoneKeepIn+" zone on this floor", "none",
				`draw the outer walls, or say why there are none: unbounded: "fenced yard, gate always locked"`)
		}
	}
}

// checkUnused warns about names that nothing refers to: often the reference is misspelt by omission.
func (d *document) checkUnused(p *Policy) {
	if !d.clean("zones") || !d.clean("robots") {
		return
	}
	for i, r := range p.Roles {
		inZones := slices.ContainsFunc(p.Zones, func(z Zone) bool { return slices.Contains(z.Roles, r) || slices.Contains(z.ExceptRoles, r) })
		inRobots := slices.ContainsFunc(p.Robots, func(o RobotRoles) bool { return slices.Contains(o.Roles, r) })
		if !inZones && !inRobots && r != "" {
			d.warn(at("roles", i), "unused", "a zone or robot with this role", "none", "delete the role if it is not needed")
		}
	}
	for i, s := range p.Shifts {
		used := slices.ContainsFunc(p.Zones, func(z Zone) bool {
			return slices.Contains(z.Shifts, s.ID) || slices.Contains(z.OutsideShifts, s.ID)
		})
		if !used && s.ID != "" {
			d.warn(at("shifts", i, "id"), "unused", "a zone with this shift", "none", "delete the shift if it is not needed")
		}
	}
}

func (d *document) checkChannels(p *Policy) {
	for i, c := range p.Channels {
		if c.Period > 0 && c.HoldAfter > 0 && c.HoldAfter < 2*c.Period {
			d.wrong(at("channels", i, "hold_after"), ruleOrder, "at least two periods ("+shortDuration(2*c.Period)+")", shortDuration(c.HoldAfter),
				"one lost answer must not hold the robot")
		}
		if c.HoldAfter > 0 && c.StopAfter > 0 && c.StopAfter <= c.HoldAfter {
			d.wrong(at("channels", i, "stop_after"), ruleOrder, "more than hold_after ("+shortDuration(c.HoldAfter)+")", shortDuration(c.StopAfter),
				"hold first, then stop")
		}
	}
}
