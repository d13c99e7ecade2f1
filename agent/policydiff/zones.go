package policydiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
)

// forbids says whether a zone takes something from the robot where it holds; KEEP_IN and NO_STOP permit as well.
func forbids(z *config.Zone) bool { return z.Type != config.ZoneKeepIn && z.Type != config.ZoneNoStop }

func (d *differ) zones() {
	for i := range d.now.Zones {
		z := &d.now.Zones[i]
		where := "zone " + z.ID
		o := find(d.old.Zones, func(o *config.Zone) bool { return o.ID == z.ID })
		switch {
		case o == nil && forbids(z):
			d.add(Tighter, where, "new: %s on floor %s%s (%s)", z.Type, z.Floor, limit(z), z.Reason)
		case o == nil:
			d.add(Other, where, "new: %s on floor %s (%s)", z.Type, z.Floor, z.Reason)
		default:
			d.zone(where, o, z)
		}
	}
	for i := range d.old.Zones {
		z := &d.old.Zones[i]
		if find(d.now.Zones, func(o *config.Zone) bool { return o.ID == z.ID }) != nil {
			continue
		}
		way := Looser
		if !forbids(z) {
			way = Other
		}
		d.add(way, "zone "+z.ID, "gone: %s on floor %s%s (%s)", z.Type, z.Floor, limit(z), z.Reason)
	}
}

func limit(z *config.Zone) string {
	if z.Type == config.ZoneSpeedLimit {
		return fmt.Sprintf(", %g m/s", z.MaxSpeedMPS)
	}
	return ""
}

func (d *differ) zone(where string, o, z *config.Zone) {
	if o.Type != z.Type {
		way := Other
		switch {
		case z.Type == config.ZoneBlocked:
			way = Tighter
		case o.Type == config.ZoneBlocked:
			way = Looser
		}
		d.add(way, where, "%s becomes %s", o.Type, z.Type)
	}
	if o.Floor != z.Floor {
		d.add(Other, where, "moves from floor %s to %s", o.Floor, z.Floor)
	}
	d.outline(where, o, z)
	if o.MaxSpeedMPS != z.MaxSpeedMPS && o.Type == z.Type {
		d.add(less(o.MaxSpeedMPS, z.MaxSpeedMPS), where, "limit %g m/s → %g m/s", o.MaxSpeedMPS, z.MaxSpeedMPS)
	}
	if o.MarginM != z.MarginM {
		d.add(less(z.MarginM, o.MarginM), where, "margin %g m → %g m", o.MarginM, z.MarginM)
	}
	if o.MaxDwell != z.MaxDwell {
		d.add(less(o.MaxDwell, z.MaxDwell), where, "max_dwell %v → %v", o.MaxDwell, z.MaxDwell)
	}
	if o.Within != z.Within {
		d.add(less(o.Within, z.Within), where, "within %v → %v", o.Within, z.Within)
	}
	d.when(where, o, z)
	if a, b := strings.Join(o.OpenedBy, ", "), strings.Join(z.OpenedBy, ", "); a != b {
		d.add(Other, where, "opened_by %s → %s", list(a), list(b))
	}
	if a, b := lane(o), lane(z); a != b {
		d.add(Other, where, "direction of travel %s → %s", list(a), list(b))
	}
	if o.ReleaseLoss != z.ReleaseLoss {
		d.add(Other, where, "release_loss %s → %s", list(o.ReleaseLoss), list(z.ReleaseLoss))
	}
	if fmt.Sprint(o.Parts, o.Views, height(o)) != fmt.Sprint(z.Parts, z.Views, height(z)) {
		d.add(Other, where, "what of the body it binds, or its heights: parts %v views %v%s → parts %v views %v%s", o.Parts, o.Views, height(o), z.Parts, z.Views, height(z))
	}
}

func height(z *config.Zone) string {
	out := ""
	if z.FromM != nil {
		out += fmt.Sprintf(" from %g m", *z.FromM)
	}
	if z.ToM != nil {
		out += fmt.Sprintf(" to %g m", *z.ToM)
	}
	return out
}

// lane is a direction of travel in words, "" for a zone that has none.
func lane(z *config.Zone) string {
	if z.DirectionRad == nil {
		return ""
	}
	return fmt.Sprintf("%g rad %s", *z.DirectionRad, z.Limitation)
}

func list(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// outline compares shapes by their area, and by whether one holds the other's corners.
func (d *differ) outline(where string, o, z *config.Zone) {
	if slices.Equal(o.Vertices, z.Vertices) && slices.EqualFunc(o.Holes, z.Holes, slices.Equal[[]config.Point]) {
		return
	}
	a, b := area(o), area(z)
	way := Other
	switch grows, shrinks := holds(z, o), holds(o, z); {
	case grows && !shrinks:
		way = Tighter
	case shrinks && !grows:
		way = Looser
	}
	if way != Other && z.Type == config.ZoneKeepIn {
		way = map[Way]Way{Tighter: Looser, Looser: Tighter}[way]
	}
	if z.Type == config.ZoneNoStop {
		way = Other
	}
	d.add(way, where, "outline changes: %.2f m² → %.2f m²", a, b)
}

func area(z *config.Zone) float64 {
	ring := func(r []config.Point) float64 {
		s := 0.0
		for i := range r {
			n := r[(i+1)%len(r)]
			s += r[i].X*n.Y - n.X*r[i].Y
		}
		return max(s, -s) / 2
	}
	s := ring(z.Vertices)
	for _, h := range z.Holes {
		s -= ring(h)
	}
	return s
}

// holds says whether a's outline surely holds b's: only axis-parallel boxes without holes are decided.
func holds(a, b *config.Zone) bool {
	x, ok1 := box(a)
	y, ok2 := box(b)
	return ok1 && ok2 && x[0] <= y[0] && x[1] <= y[1] && x[2] >= y[2] && x[3] >= y[3]
}

func box(z *config.Zone) ([4]float64, bool) {
	if len(z.Vertices) != 4 || len(z.Holes) > 0 {
		return [4]float64{}, false
	}
	b := [4]float64{z.Vertices[0].X, z.Vertices[0].Y, z.Vertices[0].X, z.Vertices[0].Y}
	for _, v := range z.Vertices {
		b = [4]float64{min(b[0], v.X), min(b[1], v.Y), max(b[2], v.X), max(b[3], v.Y)}
	}
	for _, v := range z.Vertices {
		if v.X != b[0] && v.X != b[2] || v.Y != b[1] && v.Y != b[3] {
			return b, false
		}
	}
	return b, area(z) == (b[2]-b[0])*(b[3]-b[1])
}

// when compares schedules and roles.
func (d *differ) when(where string, o, z *config.Zone) {
	if a, b := schedule(o), schedule(z); a != b {
		d.add(reach(z, a, b, "always"), where, "holds %s → %s", a, b)
	}
	if a, b := whom(o), whom(z); a != b {
		d.add(reach(z, a, b, "every robot"), where, "for %s → %s", a, b)
	}
}

// reach says what it means that a zone's reach changes from old to now: all is the widest there is, and two others cannot be compared.
func reach(z *config.Zone, old, now, all string) Way {
	switch {
	case now == all && forbids(z):
		return Tighter
	case old == all && forbids(z):
		return Looser
	}
	return Other
}

func schedule(z *config.Zone) string {
	switch {
	case len(z.Shifts) > 0:
		return "in shift " + strings.Join(z.Shifts, ", ")
	case len(z.OutsideShifts) > 0:
		return "outside shift " + strings.Join(z.OutsideShifts, ", ")
	}
	return "always"
}

func whom(z *config.Zone) string {
	switch {
	case len(z.Roles) > 0:
		return "robots with " + strings.Join(z.Roles, ", ")
	case len(z.ExceptRoles) > 0:
		return "robots without " + strings.Join(z.ExceptRoles, ", ")
	case z.UnlessAttested:
		return "robots that are not attested"
	}
	return "every robot"
}
