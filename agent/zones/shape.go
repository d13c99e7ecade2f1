package zones

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/robowarden/robowarden/geofence"
)

// maxCoordinateM is the policy's own bound on coordinates, in metres.
const maxCoordinateM = 10_000

// point is a position in metres with its place among a ring's positions.
type point struct {
	x, y  float64
	index int
}

// ring rounds positions to millimetres. Neighbours that fall on the same millimetre become one vertex, with a note; every
// other fault of the shape is left for the geofence's own check to name.
func (im *importer) ring(points []point, at place) (Ring, ringSource, bool) {
	ring, src := make(Ring, 0, len(points)), ringSource{at: at}
	merged := 0
	for _, p := range points {
		if !(math.Abs(p.x) <= maxCoordinateM && math.Abs(p.y) <= maxCoordinateM) {
			here := at
			here.path = fmt.Sprintf("%s[%d]", at.path, p.index)
			im.wrong(here, ruleRange, fmt.Sprintf("a vertex within ±%d m of the map's origin", maxCoordinateM),
				fmt.Sprintf("(%.0f, %.0f) m", p.x, p.y), "check the datum and the order of longitude and latitude, or move the map's origin closer")
			return nil, src, false
		}
		v := geofence.Vertex{X: int32(math.Round(p.x * 1000)), Y: int32(math.Round(p.y * 1000))}
		im.out.RoundedM = max(im.out.RoundedM, math.Hypot(float64(v.X)/1000-p.x, float64(v.Y)/1000-p.y))
		if n := len(ring); n > 0 && ring[n-1] == v {
			merged++
			continue
		}
		ring, src.index = append(ring, v), append(src.index, p.index)
	}
	for n := len(ring); n > 1 && ring[n-1] == ring[0]; n = len(ring) {
		ring, src.index = ring[:n-1], src.index[:n-1]
		merged++
	}
	if merged > 0 {
		im.note(at, ruleMerged, "vertices at least 1 mm apart", counted(merged, "vertex")+" on the millimetre of its neighbour", "merged; the ring is the same")
	}
	return ring, src, true
}

// add takes a zone over, with an id that the policy takes.
func (im *importer) add(z Zone) {
	id := z.ID
	z.ID = cleanID(id)
	if z.ID != id {
		im.note(z.at, ruleRenamed, "an id of at most 64 letters, digits, dots, dashes and underscores", id, "the zone is called "+z.ID)
	}
	if im.ids[z.ID] {
		free := z.ID
		for n := 2; im.ids[free]; n++ {
			tail := fmt.Sprintf("-%d", n)
			free = z.ID[:min(len(z.ID), maxID-len(tail))] + tail
		}
		im.note(z.at, ruleRenamed, "an id that no other zone has", z.ID, "the zone is called "+free)
		z.ID = free
	}
	im.ids[z.ID] = true
	reason := cleanText(z.Reason)
	if reason != z.Reason {
		im.note(z.at, ruleRenamed, "a reason of 3 to 256 visible characters on one line", z.Reason, "written as: "+reason)
	}
	z.Reason = reason
	im.out.Zones = append(im.out.Zones, z)
}

// leave notes what is not imported.
func (im *importer) leave(at place, name, kind, why string) {
	im.out.Left = append(im.out.Left, Left{Name: short(name), Kind: short(kind), Path: at.path, Why: why})
}

const maxID = 64

func idLetter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isID says whether s is an id as policies have them.
func isID(s string) bool {
	for i, c := range s {
		if !idLetter(c) && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return s != "" && len(s) <= maxID
}

// cleanID turns a name into an id: each run of other characters becomes one dash.
func cleanID(s string) string {
	if isID(s) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case idLetter(c), b.Len() > 0 && (c == '.' || c == '_'):
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == maxID {
			break
		}
	}
	if out := strings.TrimRight(b.String(), "-"); out != "" {
		return out
	}
	return "zone"
}

// Bounds of a reason, in characters.
const (
	minReason = 3
	maxReason = 256
)

// cleanText turns text into a reason: one line, no characters that hide or reorder others.
func cleanText(s string) string {
	var b strings.Builder
	space := false
	for _, c := range s {
		if unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '\u00ad' || c == unicode.ReplacementChar {
			space = true
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(c)
	}
	r := []rune(b.String())
	if len(r) > maxReason {
		r = append(r[:maxReason-1], '…')
	}
	if len(r) < minReason {
		return strings.TrimSpace("imported " + string(r))
	}
	return string(r)
}
