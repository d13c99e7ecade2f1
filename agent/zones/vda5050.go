package zones

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// zoneSet reads VDA 5050 version 3.0.0, section 7.6: the message, or the zone set alone as a download has it.
func (im *importer) zoneSet(t *tree) {
	root := &t.root
	path := ""
	if set := root.get("zoneSet"); set != nil {
		im.vdaVersion(t, root)
		root, path = set, "zoneSet."
	}
	list := root.get("zones")
	if root.kind != isObject || list == nil || list.kind != isArray {
		im.wrong(t.at(root.off, strings.TrimSuffix(path, ".")), ruleMissing, "a zone set with a list of zones", root.found(),
			"give the zoneSet message of VDA 5050 version 3, or the object in it")
		return
	}
	floor, name := im.vdaFloor(t, root, path), ""
	if n := root.get("zoneSetId"); n != nil && n.kind == isString {
		name = n.text
	}
	seen := map[string]bool{}
	for i := range list.items {
		im.vdaZone(t, &list.items[i], fmt.Sprintf("%szones[%d]", path, i), floor, name, seen)
	}
}

func (im *importer) vdaVersion(t *tree, root *node) {
	v := root.get("version")
	switch {
	case v == nil:
		im.wrong(t.at(root.off, "version"), ruleMissing, "the protocol's version, 3.x", "nothing", "give the message as it was sent")
	case v.kind != isString || !strings.HasPrefix(v.text, "3."):
		im.wrong(t.at(v.off, "version"), ruleVersion, "version 3.x of VDA 5050", v.found(), "zone sets came with version 3")
	}
}

// vdaFloor returns the floor of a zone set: the option, or the map's id where a policy could have it as a floor's.
func (im *importer) vdaFloor(t *tree, root *node, path string) string {
	m := root.get("mapId")
	switch {
	case im.o.Floor != "":
		return im.o.Floor
	case m != nil && m.kind == isString && isID(m.text):
		return m.text
	case m == nil:
		im.wrong(t.at(root.off, path+"mapId"), ruleMissing, "mapId, which names the floor", "nothing", "give --floor")
	default:
		im.wrong(t.at(m.off, path+"mapId"), ruleType, "a mapId that a policy can have as a floor's id", m.found(), "give --floor")
	}
	return ""
}

// vdaLeft says why a zone has no place in a policy, "" if it has one or its type is no word of the standard.
func vdaLeft(zoneType string, n *node) string {
	if why := geofence.WhyNot(zoneType); why != "" {
		return why
	}
	if loss := n.get("releaseLossBehavior"); zoneType == config.ZoneRelease && loss != nil && loss.kind == isString && loss.text == "CONTINUE" {
		return "CONTINUE needs a bound that the standard does not have: draw it by hand, with release_loss: CONTINUE and within"
	}
	return ""
}

func (im *importer) vdaZone(t *tree, n *node, path, floor, set string, seen map[string]bool) {
	at := t.at(n.off, path)
	id, typ := n.get("zoneId"), n.get("zoneType")
	if n.kind != isObject || id == nil || id.kind != isString || typ == nil || typ.kind != isString {
		im.wrong(at, ruleMissing, "a zone with zoneId and zoneType", n.found(), "")
		return
	}
	if seen[id.text] {
		im.wrong(at, ruleDuplicate, "a zoneId that is unique in its set", id.found(), "")
		return
	}
	seen[id.text] = true
	if why := vdaLeft(typ.text, n); why != "" {
		im.leave(at, id.text, typ.text, why)
		return
	}
	im.strangers(t, n, path, "zoneId", "zoneType", "zoneDescriptor", "vertices", "maximumSpeed", "releaseLossBehavior",
		"direction", "directedLimitation", "bidirectedLimitation")
	z := Zone{ID: id.text, Type: typ.text, Floor: floor, at: at, Reason: im.vdaReason(n, set)}
	if im.o.Prefix != "" {
		z.ID = im.o.Prefix + z.ID
	}
	switch z.Type {
	case config.ZoneBlocked:
	case config.ZoneSpeedLimit:
		z.MaxSpeedMPS = im.speed(t, n.get("maximumSpeed"), at, "maximumSpeed")
	case config.ZoneRelease:
		if z.ReleaseLoss = im.vdaLoss(t, n.get("releaseLossBehavior"), at); z.ReleaseLoss == "" {
			return
		}
	case config.ZoneDirected, config.ZoneBidirected:
		if !im.vdaDirection(t, n, &z) {
			return
		}
	default:
		im.wrong(t.at(typ.off, path+".zoneType"), ruleUnknown, "a zone type of VDA 5050 version 3", typ.found(), "")
		return
	}
	ring, src, ok := im.vdaVertices(t, n.get("vertices"), at)
	if ok {
		z.Outer, z.sources = ring, []ringSource{src}
		im.add(z)
	}
}

// vdaLoss reads what a robot does that loses its release, by the standard STOP where the zone says nothing.
func (im *importer) vdaLoss(t *tree, n *node, zone place) string {
	if n == nil {
		return "STOP"
	}
	if n.kind == isString && (n.text == "STOP" || n.text == "EVACUATE") {
		return n.text
	}
	im.wrong(t.at(n.off, zone.path+".releaseLossBehavior"), ruleUnknown, "STOP, CONTINUE or EVACUATE", n.found(), "")
	return ""
}

// vdaDirection reads a direction of travel and how strictly it counts. Whole turns are taken off the direction: the
// standard does not bound it.
func (im *importer) vdaDirection(t *tree, n *node, z *Zone) bool {
	key, words := "directedLimitation", []string{"SOFT", "RESTRICTED", "STRICT"}
	if z.Type == config.ZoneBidirected {
		key, words = "bidirectedLimitation", words[:2]
	}
	expected := strings.Join(words, " or ")
	l, d := n.get(key), n.get("direction")
	switch {
	case l == nil:
		im.wrong(t.at(n.off, z.at.path+"."+key), ruleMissing, key+": "+expected, "nothing", "")
		return false
	case l.kind != isString || !slices.Contains(words, l.text):
		im.wrong(t.at(l.off, z.at.path+"."+key), ruleUnknown, expected, l.found(), "")
		return false
	case d == nil:
		im.wrong(t.at(n.off, z.at.path+".direction"), ruleMissing, "direction: that of travel, in radians", "nothing", "")
		return false
	}
	v, ok := d.number()
	if !ok || !(math.Abs(v) <= maxDirectionRad) {
		im.wrong(t.at(d.off, z.at.path+".direction"), ruleRange, fmt.Sprintf("an angle in radians, within ±%d", maxDirectionRad), d.found(), "is it in degrees?")
		return false
	}
	if z.DirectionRad, z.Limitation = v, l.text; math.Abs(v) > 6.2831 { // a policy goes no farther
		z.DirectionRad = math.Remainder(v, 2*math.Pi)
	}
	return true
}

// maxDirectionRad bounds a direction of travel in a source: beyond two turns it is hardly meant in radians.
const maxDirectionRad = 13

// strangers notes what an object says besides what is read.
func (im *importer) strangers(t *tree, n *node, path string, known ...string) {
	var more []string
	for _, key := range n.keys {
		if !slices.Contains(known, key) {
			more = append(more, key)
		}
	}
	if len(more) > 0 {
		im.note(t.at(n.off, path), ruleNotRead, strings.Join(known, ", "), strings.Join(more, ", "), "what these say is not in the zone")
	}
}

func (im *importer) vdaReason(n *node, set string) string {
	if d := n.get("zoneDescriptor"); d != nil && d.kind == isString && d.text != "" {
		return d.text
	}
	if im.o.Reason != "" {
		return im.o.Reason
	}
	return strings.TrimSpace("zone of the fleet's zone set " + set)
}

// speed reads a speed limit in m/s.
func (im *importer) speed(t *tree, n *node, zone place, key string) float64 {
	at := zone
	at.path += "." + key
	if n == nil {
		im.wrong(at, ruleMissing, key+": the limit in m/s", "nothing", "")
		return 0
	}
	at = t.at(n.off, at.path)
	v, ok := n.number()
	if !ok || !(v > 0 && v <= maxSpeedMPS) {
		im.wrong(at, ruleRange, fmt.Sprintf("a speed above 0 up to %d m/s", maxSpeedMPS), n.found(), "a place where nothing may move is BLOCKED")
		return 0
	}
	return v
}

func (im *importer) vdaVertices(t *tree, list *node, zone place) (Ring, ringSource, bool) {
	at := zone
	at.path += ".vertices"
	if list == nil || list.kind != isArray {
		im.wrong(at, ruleMissing, "a list of vertices", "nothing", "")
		return nil, ringSource{}, false
	}
	at = t.at(list.off, at.path)
	points := make([]point, 0, len(list.items))
	for i := range list.items {
		v := &list.items[i]
		var xy [2]float64
		for k, key := range []string{"x", "y"} {
			c := v.get(key)
			ok := c != nil
			if ok {
				xy[k], ok = c.number()
			}
			if !ok {
				im.wrong(t.at(v.off, fmt.Sprintf("%s[%d].%s", at.path, i, key)), ruleType, "a number in metres", v.found(), "")
				return nil, ringSource{}, false
			}
		}
		points = append(points, point{xy[0], xy[1], i})
	}
	return im.ring(points, at)
}
