package config

import "github.com/robowarden/robowarden/geofence"

// checkTerms checks the keys that only some types of zone have: each where it counts, and nowhere else.
func (d *document) checkTerms(where *path, i int, z *Zone) {
	if z.Type == "" {
		return
	}
	lane := z.Type == ZoneDirected || z.Type == ZoneBidirected
	leased := z.Type == ZoneRelease || z.Type == ZoneDoor
	for _, k := range []struct {
		key, whom       string
		allowed, needed bool
		example         string
	}{
		{"release_loss", "a " + ZoneRelease + " or " + ZoneDoor + " zone", leased, false, ""},
		{"opened_by", "a " + ZoneDoor + " zone", z.Type == ZoneDoor, z.Type == ZoneDoor, "opened_by: [badge, door]"},
		{"max_dwell", "a " + ZoneDwellLimit + " or " + ZoneDoor + " zone", z.Type == ZoneDwellLimit || z.Type == ZoneDoor, z.Type == ZoneDwellLimit || z.Type == ZoneDoor, "max_dwell: 90s"},
		{"bus_entry", "a " + ZoneDoor + " zone", z.Type == ZoneDoor, false, ""},
		{"within", "a " + ZoneNoStop + " zone, and with release_loss: CONTINUE", z.Type == ZoneNoStop || leased && z.ReleaseLoss == "CONTINUE", z.Type == ZoneNoStop || leased && z.ReleaseLoss == "CONTINUE", "within: 10s"},
		{"direction_rad", "a " + ZoneDirected + " or " + ZoneBidirected + " zone", lane, lane, "direction_rad: 1.5708"},
		{"limitation", "a " + ZoneDirected + " or " + ZoneBidirected + " zone", lane, lane, "limitation: RESTRICTED"},
	} {
		switch given := d.has("zones", i, k.key); {
		case given && !k.allowed:
			d.wrong(where.child(k.key), ruleExclusive, k.key+" in "+k.whom+" only", "a "+z.Type+" zone", "delete the key or change zone_type")
		case !given && k.needed:
			d.about(where.find(d.root), where.child(k.key), Problem{
				Rule: ruleMissing, Expected: k.key + " in " + k.whom, Found: "nothing", Example: k.example,
			})
		}
	}
	if z.Type == ZoneBidirected && z.Limitation == geofence.Strict.String() {
		d.wrong(where.child("limitation"), ruleExclusive, "SOFT or RESTRICTED in a "+ZoneBidirected+" zone", z.Limitation, "STRICT is for one direction: "+ZoneDirected)
	}
	if d.has("zones", i, "unless_attested") {
		switch {
		case !z.UnlessAttested && d.clean("zones", i):
			d.wrong(where.child("unless_attested"), "no-effect", "unless_attested: true", "false", "delete the key: the zone then applies always")
		case len(z.Roles)+len(z.ExceptRoles) > 0:
			d.wrong(where.child("unless_attested"), ruleExclusive, "unless_attested, or roles, or except_roles", "more than one of them", "draw a zone for each")
		}
	}
	for n, fact := range z.OpenedBy {
		for m := range n {
			if z.OpenedBy[m] == fact && fact != "" {
				d.wrong(where.child("opened_by").item(n), ruleExclusive, "each fact once", fact, "")
			}
		}
	}
}

// whyNotType is the hint for a zone type of VDA 5050 that a policy cannot have.
func whyNotType(zoneType string) string {
	if why := geofence.WhyNot(zoneType); why != "" {
		return zoneType + " of VDA 5050 is not taken: " + why
	}
	return ""
}
