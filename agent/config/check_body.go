package config

import (
	"github.com/robowarden/robowarden/geofence"
)

// Heights that stand for an end that a zone does not give, in metres.
const (
	farBelowM = -100
	farAboveM = 100
)

// height is the zone's range above the floor, nil for all heights.
func (z *Zone) height() *geofence.Height {
	if z.FromM == nil && z.ToM == nil {
		return nil
	}
	h := &geofence.Height{FromM: farBelowM, ToM: farAboveM}
	if z.FromM != nil {
		h.FromM = *z.FromM
	}
	if z.ToM != nil {
		h.ToM = *z.ToM
	}
	return h
}

// withoutBody takes away what only a robot's own links could answer.
func (t *translation) withoutBody() {
	for i := range t.spec.Zones {
		t.spec.Zones[i].Parts, t.spec.Zones[i].Views = nil, nil
	}
}

// checkBodyZone checks what a zone asks of heights, parts and cameras by itself.
func (d *document) checkBodyZone(i int, z *Zone) {
	where := at("zones", i)
	if h := z.height(); h != nil && h.FromM >= h.ToM && d.clean("zones", i) {
		key := "to_m"
		if z.ToM == nil {
			key = "from_m"
		}
		d.wrong(where.child(key), ruleOrder, "from_m below to_m", trimFloat(h.FromM)+" to "+trimFloat(h.ToM), "heights are metres above the floor")
	}
	if z.height() != nil && z.Type == ZoneKeepIn {
		d.wrong(where, ruleExclusive, "no from_m and to_m in a "+ZoneKeepIn+" zone", "a height", "the outline stays within it at every height")
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"parts", z.Parts}, {"views", z.Views}} {
		if len(list.names) > 0 && z.Type != ZoneBlocked && z.Type != "" {
			d.wrong(where.child(list.key), ruleExclusive, list.key+" in a "+ZoneBlocked+" zone only", "a "+z.Type+" zone", "delete the key or change zone_type")
		}
		first := map[string]bool{}
		for n, name := range list.names {
			if first[name] {
				d.wrong(where.child(list.key).item(n), ruleDuplicate, "each name once", name+" again", "")
			}
			first[name] = true
		}
	}
}

// checkBodyNames holds the zones' parts and cameras against those of the robot.
func (d *document) checkBodyNames(p *Policy, profile *Profile) {
	parts, cameras := []string{geofence.PartContour}, []string(nil)
	if k := profile.Kinematics; k != nil {
		parts = append(parts, names(k.Parts, func(g PartGroup) string { return g.Name })...)
		cameras = names(k.Cameras, func(c Camera) string { return c.Name })
	}
	for i := range p.Zones {
		z := &p.Zones[i]
		where := at("zones", i)
		d.references(where.child("parts"), z.Parts, parts, "the profile's kinematics.parts")
		d.references(where.child("views"), z.Views, cameras, "the profile's kinematics.cameras")
		outline := len(z.Parts) == 0 && len(z.Views) == 0
		if h := z.height(); h != nil && outline && d.clean("zones", i) && (h.FromM > profile.Body.HeightM && profile.Body.HeightM > 0 || h.ToM < 0) {
			d.warn(where, "no-effect", "a height at which the robot is, from 0 to "+trimFloat(profile.Body.HeightM)+" m",
				trimFloat(h.FromM)+" to "+trimFloat(h.ToM)+" m", "the zone never binds this robot")
		}
	}
}
