package zones

import (
	"fmt"
	"math"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
)

// geoJSON reads RFC 7946: a FeatureCollection, a Feature or a geometry.
func (im *importer) geoJSON(t *tree) {
	root := &t.root
	typ := root.get("type")
	if root.kind != isObject || typ == nil || typ.kind != isString {
		im.wrong(t.at(root.off, ""), ruleMissing, "a GeoJSON object with a type", root.found(), "")
		return
	}
	if crs := root.get("crs"); crs != nil && !im.o.Local {
		im.wrong(t.at(crs.off, "crs"), ruleUnknown, "WGS 84, as RFC 7946 has it", "a crs member",
			"export it as RFC 7946, or as metres of the map frame and say --local")
		return
	}
	g := geo{importer: im, t: t}
	if im.o.Datum != nil {
		g.p = newProjector(*im.o.Datum)
	}
	switch typ.text {
	case "FeatureCollection":
		list := root.get("features")
		if list == nil || list.kind != isArray {
			im.wrong(t.at(root.off, "features"), ruleMissing, "a list of features", "nothing", "")
			return
		}
		for i := range list.items {
			g.feature(&list.items[i], fmt.Sprintf("features[%d]", i), i)
		}
	case "Feature":
		g.feature(root, "", 0)
	default:
		g.geometry(root, "", im.defaults("zone"))
	}
}

// geo is the reading of one GeoJSON source.
type geo struct {
	*importer
	t *tree
	p *projector // nil for local metres
}

// defaults is a zone of the options.
func (im *importer) defaults(id string) Zone {
	return Zone{
		ID: im.o.Prefix + id, Type: im.o.ZoneType, Floor: im.o.Floor, MaxSpeedMPS: im.o.MaxSpeedMPS,
		Reason: im.o.Reason,
	}
}

func (g *geo) feature(n *node, path string, i int) {
	at := g.t.at(n.off, path)
	typ := n.get("type")
	if n.kind != isObject || typ == nil || typ.text != "Feature" {
		g.wrong(at, ruleType, "a Feature", n.found(), "")
		return
	}
	g.strangers(g.t, n, path, "type", "id", "properties", "geometry", "bbox")
	z := g.defaults(fmt.Sprintf("zone-%d", i+1))
	z.at = at
	if id := n.get("id"); id != nil && (id.kind == isString || id.kind == isNumber) && id.text != "" {
		z.ID = g.o.Prefix + id.text
	}
	dot := path
	if dot != "" {
		dot += "."
	}
	if p := n.get("properties"); p != nil && p.kind == isObject {
		if !g.properties(p, dot+"properties", &z) {
			return
		}
	}
	geometry := n.get("geometry")
	if geometry == nil || geometry.kind != isObject {
		g.leave(at, z.ID, "Feature", "it has no geometry")
		return
	}
	g.geometry(geometry, dot+"geometry", z)
}

// properties reads what a zone's properties say, and reports whether the zone is to be imported.
func (g *geo) properties(p *node, path string, z *Zone) bool {
	var skipped []string
	for i, key := range p.keys {
		v := &p.items[i]
		at := g.t.at(v.off, path+"."+key)
		switch key {
		case "zone_id":
			z.ID = g.o.Prefix + g.text(v, at)
		case "zone_type", "kind":
			z.Type = g.text(v, at)
		case "floor":
			if z.Floor = g.text(v, at); z.Floor != "" && !isID(z.Floor) {
				g.wrong(at, ruleType, "a floor's id as the policy has it", v.found(), "")
			}
		case "reason":
			z.Reason = g.text(v, at)
		case "name":
			if z.Reason == g.o.Reason && p.get("reason") == nil {
				z.Reason = g.text(v, at)
			}
		case "max_speed_mps", "speed":
			z.MaxSpeedMPS = g.speed(g.t, v, place{file: at.file, path: path}, key)
		case "margin_m", "margin":
			m, ok := v.number()
			if !ok || m < 0 || m > 10 {
				g.wrong(at, ruleRange, "a margin from 0 to 10 m", v.found(), "")
			}
			z.MarginM = m
		case "roles", "except_roles", "shifts", "outside_shifts":
			g.wrong(at, ruleNotRead, "no "+key+" in a drawing", v.found(),
				"whom a zone binds and when is the policy's word: delete the property, and write the key in the policy")
		default:
			skipped = append(skipped, key)
		}
	}
	if len(skipped) > 0 {
		g.note(g.t.at(p.off, path), ruleNotRead, "zone_id, zone_type, floor, reason, max_speed_mps, margin_m", strings.Join(skipped, ", "),
			"these properties mean nothing to a policy")
	}
	if z.Type != "" && !isZoneType(z.Type) {
		g.leave(z.at, z.ID, z.Type, "a policy has no zones of this type")
		return false
	}
	return true
}

func (g *geo) text(v *node, at place) string {
	if v.kind != isString && v.kind != isNumber || v.text == "" {
		g.wrong(at, ruleType, "text", v.found(), "")
	}
	return v.text
}

func (g *geo) geometry(n *node, path string, z Zone) {
	if z.at.file == "" {
		z.at = g.t.at(n.off, path)
	}
	typ, dot := n.get("type"), path
	if dot != "" {
		dot += "."
	}
	if typ == nil || typ.kind != isString {
		g.wrong(g.t.at(n.off, path), ruleMissing, "a geometry with a type", n.found(), "")
		return
	}
	switch typ.text {
	case "Polygon":
		g.polygon(n.get("coordinates"), dot+"coordinates", n, z)
	case "MultiPolygon":
		c := n.get("coordinates")
		if c == nil || c.kind != isArray {
			g.polygon(nil, dot+"coordinates", n, z)
			return
		}
		for i := range c.items {
			g.polygon(&c.items[i], fmt.Sprintf("%scoordinates[%d]", dot, i), n, numbered(z, i, len(c.items)))
		}
	case "GeometryCollection":
		list := n.get("geometries")
		if list == nil || list.kind != isArray {
			g.wrong(g.t.at(n.off, dot+"geometries"), ruleMissing, "a list of geometries", "nothing", "")
			return
		}
		for i := range list.items {
			g.geometry(&list.items[i], fmt.Sprintf("%sgeometries[%d]", dot, i), numbered(z, i, len(list.items)))
		}
	case "Point", "MultiPoint", "LineString", "MultiLineString":
		g.leave(z.at, z.ID, typ.text, "it has no area")
	default:
		g.wrong(g.t.at(typ.off, dot+"type"), ruleUnknown, "a geometry of RFC 7946", typ.found(), "")
	}
}

// numbered tells the parts of one feature apart.
func numbered(z Zone, i, n int) Zone {
	if n > 1 {
		tail := fmt.Sprintf("-%d", i+1)
		z.ID = z.ID[:min(len(z.ID), maxID-len(tail))] + tail
	}
	return z
}

func (g *geo) polygon(c *node, path string, parent *node, z Zone) {
	if c == nil || c.kind != isArray || len(c.items) == 0 {
		g.wrong(g.t.at(parent.off, path), ruleMissing, "a list of rings", "nothing", "")
		return
	}
	if !g.complete(&z) {
		return
	}
	for i := range c.items {
		ring, src, ok := g.ringOf(&c.items[i], fmt.Sprintf("%s[%d]", path, i))
		if !ok {
			return
		}
		if i == 0 {
			z.Outer = ring
		} else {
			z.Holes = append(z.Holes, ring)
		}
		z.sources = append(z.sources, src)
	}
	g.add(z)
}

// complete reports what neither the source nor the options say about a zone.
func (g *geo) complete(z *Zone) bool {
	before := g.errors
	lack := func(key, remedy string) {
		at := z.at
		at.path = strings.TrimPrefix(at.path+".properties."+key, ".")
		g.wrong(at, ruleMissing, key, "nothing", "add the property, or "+remedy)
	}
	if z.Type == "" {
		lack("zone_type", "give --kind")
	}
	if z.Floor == "" {
		lack("floor", "give --floor")
	}
	switch {
	case z.Type == config.ZoneSpeedLimit && z.MaxSpeedMPS == 0:
		lack("max_speed_mps", "give --speed")
	case z.Type != config.ZoneSpeedLimit:
		z.MaxSpeedMPS = 0
	}
	if z.Reason == "" {
		z.Reason = "zone " + z.ID + " of the site's drawing"
	}
	return g.errors == before
}

// ringOf reads a linear ring: closed, of four positions or more.
func (g *geo) ringOf(n *node, path string) (Ring, ringSource, bool) {
	at := g.t.at(n.off, path)
	if n.kind != isArray || len(n.items) < 4 {
		g.wrong(at, ruleRange, "a ring of at least 4 positions, the last equal to the first", counted(len(n.items), "position"), "")
		return nil, ringSource{}, false
	}
	points := make([]point, 0, len(n.items))
	for i := range n.items {
		p, ok := g.position(&n.items[i], fmt.Sprintf("%s[%d]", path, i))
		if !ok {
			return nil, ringSource{}, false
		}
		p.index = i
		points = append(points, p)
	}
	first, last := points[0], points[len(points)-1]
	if math.Hypot(first.x-last.x, first.y-last.y) > 0.0005 {
		g.wrong(at, ruleGeometry, "a closed ring: the last position equal to the first (RFC 7946, section 3.1.6)", "a ring that is open", "")
		return nil, ringSource{}, false
	}
	return g.ring(points[:len(points)-1], at)
}

// position reads longitude, latitude and perhaps a height; or x, y and perhaps z.
func (g *geo) position(n *node, path string) (point, bool) {
	bad := func(expected string) (point, bool) {
		g.wrong(g.t.at(n.off, path), ruleRange, expected, positionText(n), "")
		return point{}, false
	}
	if n.kind != isArray || len(n.items) < 2 || len(n.items) > 3 {
		return bad("a position of two or three numbers")
	}
	var v [3]float64
	for i := range n.items {
		var ok bool
		if v[i], ok = n.items[i].number(); !ok {
			return bad("a position of two or three numbers")
		}
	}
	if g.p == nil {
		return point{x: v[0], y: v[1]}, true
	}
	if math.Abs(v[0]) > 180 || math.Abs(v[1]) > 90 {
		return bad("longitude within ±180 and latitude within ±90 degrees; for local metres say --local")
	}
	alt := g.p.alt
	if len(n.items) == 3 {
		alt = v[2]
	}
	if math.Abs(alt) > 10_000 {
		return bad("a height within ±10 000 m")
	}
	x, y := g.p.project(v[1], v[0], alt)
	return point{x: x, y: y}, true
}

func positionText(n *node) string {
	if n.kind != isArray {
		return n.found()
	}
	var parts []string
	for i := range n.items[:min(len(n.items), 4)] {
		parts = append(parts, n.items[i].found())
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
