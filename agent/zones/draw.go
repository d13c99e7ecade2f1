package zones

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

// View says what Draw shows.
type View struct {
	// Floor is the floor's id, At the moment whose shifts count.
	Floor string
	At    time.Time
	// Roles are those of the robot for whom zones are drawn; with RolesKnown false every zone counts as binding.
	Roles      []string
	RolesKnown bool
}

// Sizes of the picture, in pixels.
const (
	mapWidth  = 1000.0
	mapHeight = 640.0
	edge      = 40.0 // around the map, for its scale
	headRoom  = 64.0
	rowHeight = 22.0
	badge     = 11.0 // radius
)

// maxApart is how many zones' numbers are kept from lying on each other; there is no room for more.
const maxApart = 400

// drawn is one zone of the picture.
type drawn struct {
	zone   *config.Zone
	shape  shape
	number int
	// state says in words whether the zone holds, active the same for the drawing.
	state  string
	active bool
	x, y   float64 // of its number, in pixels
}

// picture is one SVG on its way.
type picture struct {
	bytes.Buffer
	p     *config.Policy
	view  View
	zones []drawn
	// scale is in pixels for a metre; x0 and y1 are the map's left and upper edge in metres.
	scale, x0, y1 float64
	w, h          float64 // of the map, in pixels
	edges         shape
	changes       Changes
}

// Draw writes one floor as an SVG that needs nothing else: no font, no script, no other file. Kinds differ by hatch and
// outline as well as by colour (the palette of Okabe and Ito), so that it reads in grey and for the colour-blind. Zones that
// do not hold at the time are dashed outlines. The same policy and view give the same bytes.
func Draw(w io.Writer, p *config.Policy, v View) error {
	i := p.FloorIndex(v.Floor)
	if i < 0 {
		return fmt.Errorf("floor %q: expected one of the policy's floors: %s", v.Floor, strings.Join(floorIDs(p), ", "))
	}
	d := &picture{p: p, view: v}
	d.collect()
	d.fit()
	rows := float64(len(d.zones))
	total := headRoom + d.h + 2*edge + 70 + rowHeight*(rows+1) + 10
	width := max(d.w, 760) + 2*edge
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13" fill="#1a1a1a">`+"\n",
		width, total, width, total)
	d.head(&p.Floors[i])
	fmt.Fprintf(d, `<g transform="translate(%.1f %.1f)">`+"\n", edge, headRoom+edge/2)
	d.ground()
	for _, kind := range drawOrder() {
		for k := range d.zones {
			if d.zones[k].zone.Type == kind {
				d.area(&d.zones[k])
			}
		}
	}
	for k := range d.zones {
		d.number(&d.zones[k])
	}
	d.rulers()
	d.WriteString("</g>\n")
	d.legend(headRoom + d.h + 2*edge)
	d.table(headRoom + d.h + 2*edge + 70)
	d.WriteString("</svg>\n")
	_, err := w.Write(d.Bytes())
	return err
}

func floorIDs(p *config.Policy) []string {
	var out []string
	for _, f := range p.Floors {
		out = append(out, f.ID)
	}
	return out
}

// collect takes the floor's zones and says of each whether it holds.
func (d *picture) collect() {
	for i := range d.p.Zones {
		z := &d.p.Zones[i]
		if z.Floor != d.view.Floor {
			continue
		}
		one := drawn{zone: z, shape: shapeOf(z), number: len(d.zones) + 1}
		one.active, one.state = d.state(z)
		d.zones = append(d.zones, one)
	}
}

func (d *picture) state(z *config.Zone) (active bool, words string) {
	on := ActiveAt(d.p, z, d.view.At)
	until := ""
	if next, ok := d.changes.Next(d.p, z, d.view.At); ok {
		until = " until " + d.local(next).Format("Mon 15:04")
	}
	switch {
	case d.view.RolesKnown && !Binds(z, d.view.Roles):
		return false, "not for this robot"
	case !on:
		return false, "not in force" + until
	case z.Type == config.ZoneBlocked:
		words = blockedWords(z)
	case z.Type == config.ZoneSpeedLimit:
		words = fmt.Sprintf("at most %s m/s", number(z.MaxSpeedMPS))
	case z.Type == config.ZoneKeepIn:
		words = "must stay inside"
	case z.DirectionRad != nil:
		words = fmt.Sprintf("%s, %.0f° from x, %s", lookOf(z.Type).now, *z.DirectionRad*180/math.Pi, z.Limitation)
	default:
		words = lookOf(z.Type).now
	}
	words += until
	if one := (config.Zone{Roles: z.Roles, ExceptRoles: z.ExceptRoles, UnlessAttested: z.UnlessAttested}); conditions(&one) != "" {
		words += ", " + conditions(&one)
	}
	return true, words
}

// blockedWords says to what a BLOCKED zone is closed.
func blockedWords(z *config.Zone) string {
	words := "CLOSED"
	if len(z.Parts) > 0 {
		words += " to " + strings.Join(z.Parts, ", ")
	}
	if len(z.Views) > 0 {
		words += " to the view of " + strings.Join(z.Views, ", ")
	}
	switch {
	case z.FromM != nil && z.ToM != nil:
		words += fmt.Sprintf(" from %s to %s m", number(*z.FromM), number(*z.ToM))
	case z.FromM != nil:
		words += fmt.Sprintf(" from %s m up", number(*z.FromM))
	case z.ToM != nil:
		words += fmt.Sprintf(" up to %s m", number(*z.ToM))
	}
	return words
}

func (d *picture) local(t time.Time) time.Time {
	if d.p.Timezone.Location != nil {
		return t.In(d.p.Timezone.Location)
	}
	return t
}

// fit chooses the scale so that all of the floor is seen.
func (d *picture) fit() {
	b := shape{x0: math.Inf(1), y0: math.Inf(1), x1: math.Inf(-1), y1: math.Inf(-1)}
	for k := range d.zones {
		s := &d.zones[k].shape
		b.x0, b.y0, b.x1, b.y1 = min(b.x0, s.x0), min(b.y0, s.y0), max(b.x1, s.x1), max(b.y1, s.y1)
	}
	if len(d.zones) == 0 {
		b.x0, b.y0, b.x1, b.y1 = -5, -5, 5, 5
	}
	room := max(0.02*max(b.x1-b.x0, b.y1-b.y0), 0.25)
	b.x0, b.y0, b.x1, b.y1 = b.x0-room, b.y0-room, b.x1+room, b.y1+room
	d.scale = min(mapWidth/(b.x1-b.x0), mapHeight/(b.y1-b.y0))
	d.x0, d.y1, d.edges = b.x0, b.y1, b
	d.w, d.h = (b.x1-b.x0)*d.scale, (b.y1-b.y0)*d.scale
	var taken [][2]float64
	for k := range d.zones {
		z := &d.zones[k]
		z.x, z.y = d.anchor(z)
		for k < maxApart && slices.ContainsFunc(taken, func(t [2]float64) bool { return math.Hypot(t[0]-z.x, t[1]-z.y) < 2*badge+2 }) {
			if z.x += 2*badge + 2; z.x > d.w-badge {
				z.x, z.y = badge, z.y+2*badge+2
			}
		}
		taken = append(taken, [2]float64{z.x, z.y})
	}
}

// anchor is where a zone's number stands: where it has most room; for KEEP_IN, at its upper left corner, out of the way.
func (d *picture) anchor(z *drawn) (x, y float64) {
	if z.zone.Type == config.ZoneKeepIn {
		best := z.zone.Vertices[0]
		for _, v := range z.zone.Vertices {
			if v.Y-v.X > best.Y-best.X {
				best = v
			}
		}
		return d.px(best.X), d.py(best.Y)
	}
	mx, my, _ := roomiest(&z.shape, math.Inf(1), func(x, y float64) float64 { return -z.shape.signed(x, y) })
	return d.px(mx), d.py(my)
}

func (d *picture) px(x float64) float64 { return (x - d.x0) * d.scale }
func (d *picture) py(y float64) float64 { return (d.y1 - y) * d.scale }
