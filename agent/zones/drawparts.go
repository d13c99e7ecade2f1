package zones

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
)

// look is how a kind of zone is drawn: colours that the colour-blind tell apart (Okabe and Ito, 2008), and a hatch.
// now says in a word what such a zone does while it holds.
type look struct{ colour, pattern, words, now string }

// drawOrder lists the kinds from the one that is drawn first to the one on top of all.
func drawOrder() []string {
	return []string{
		config.ZoneKeepIn, config.ZoneSpeedLimit, config.ZoneDwellLimit, config.ZonePrivacy, config.ZoneNoManipulation, config.ZoneNoStop,
		config.ZoneBidirected, config.ZoneDirected, config.ZoneRelease, config.ZoneDoor, config.ZoneBlocked,
	}
}

// plain lists the kinds that every legend explains; the table below it names the others.
func plain() []string { return []string{config.ZoneBlocked, config.ZoneSpeedLimit, config.ZoneKeepIn} }

func lookOf(zoneType string) look {
	switch zoneType {
	case config.ZoneBlocked:
		return look{"#b34700", "url(#blocked)", "BLOCKED: no part of the robot may be inside", "CLOSED"}
	case config.ZoneSpeedLimit:
		return look{"#0072b2", "url(#slow)", "SPEED_LIMIT: with its limit", ""}
	case config.ZoneNoManipulation:
		return look{"#a3507f", "none", "NO_MANIPULATION: arms and hands rest", "arms rest"}
	case config.ZonePrivacy:
		return look{"#5b3a8c", "none", "PRIVACY: cameras and microphones closed", "nothing records"}
	case config.ZoneDwellLimit:
		return look{"#2f7fa8", "none", "DWELL_LIMIT: for a while only", "for a while only"}
	case config.ZoneRelease:
		return look{"#8a6100", "url(#blocked)", "RELEASE: closed without a lease", "closed without a lease"}
	case config.ZoneDoor:
		return look{"#8a6100", "none", "DOOR: closed without a lease", "closed without a lease"}
	case config.ZoneNoStop:
		return look{"#6b6b00", "none", "NO_STOP: a hold creeps out", "no standing"}
	case config.ZoneDirected:
		return look{"#3d5a80", "none", "DIRECTED: one direction of travel", "one way"}
	case config.ZoneBidirected:
		return look{"#3d5a80", "none", "BIDIRECTED: along one line of travel", "to and fro only"}
	}
	return look{"#00735a", "#ffffff", "KEEP_IN: no part of the robot may leave", ""}
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// head writes who, where and when.
func (d *picture) head(f *config.Floor) {
	name := f.ID
	if f.Name != "" {
		name = f.Name + " (" + f.ID + ")"
	}
	at := d.local(d.view.At)
	who := "for every robot"
	if d.view.RolesKnown {
		who = "for a robot without roles"
		if len(d.view.Roles) > 0 {
			who = "for a robot with " + strings.Join(d.view.Roles, ", ")
		}
	}
	title := fmt.Sprintf("%s — %s", d.p.Site, name)
	fmt.Fprintf(d, "<title>%s, %s</title>\n", escape(title), escape(at.Format("Monday 2006-01-02 15:04 MST")))
	d.WriteString(`<defs>
<pattern id="blocked" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V9" stroke="#b34700" stroke-width="3.5"/></pattern>
<pattern id="slow" width="10" height="10" patternUnits="userSpaceOnUse"><circle cx="5" cy="5" r="1.5" fill="#0072b2"/></pattern>
<pattern id="outside" width="8" height="8" patternUnits="userSpaceOnUse"><path d="M0 4H8M4 0V8" stroke="#b9b9b9" stroke-width="0.8"/></pattern>
</defs>
<rect width="100%" height="100%" fill="#ffffff"/>
`)
	fmt.Fprintf(d, `<text x="%.1f" y="28" font-size="20" font-weight="600">%s</text>`+"\n", edge, escape(title))
	fmt.Fprintf(d, `<text x="%.1f" y="50" font-size="14" fill="#444444">%s · %s · policy %s revision %d</text>`+"\n",
		edge, escape(at.Format("Monday 2006-01-02 15:04 MST")), escape(who), escape(d.p.ID), d.p.Revision)
}

// ground is what lies outside of every KEEP_IN zone, and the coordinates along the edges.
func (d *picture) ground() {
	fill := "#ffffff"
	for k := range d.zones {
		if d.zones[k].zone.Type == config.ZoneKeepIn && d.zones[k].active {
			fill = "#e9e9e9"
		}
	}
	fmt.Fprintf(d, `<rect width="%.1f" height="%.1f" fill="%s" stroke="#999999"/>`+"\n", d.w, d.h, fill)
	if fill != "#ffffff" {
		fmt.Fprintf(d, `<rect width="%.1f" height="%.1f" fill="url(#outside)"/>`+"\n", d.w, d.h)
	}
}

func (d *picture) area(z *drawn) {
	var path strings.Builder
	for _, ring := range z.shape.rings {
		for i, p := range ring {
			fmt.Fprintf(&path, "%c%.1f %.1f", "LM"[map[bool]int{true: 1}[i == 0]], d.px(p.X), d.py(p.Y))
		}
		path.WriteByte('Z')
	}
	l := lookOf(z.zone.Type)
	if !z.active {
		fmt.Fprintf(d, `<path d="%s" fill="none" stroke="%s" stroke-width="1.3" stroke-dasharray="6 5"/>`+"\n", path.String(), l.colour)
		return
	}
	if z.zone.Type == config.ZoneKeepIn {
		fmt.Fprintf(d, `<path d="%s" fill="#ffffff" fill-rule="evenodd" stroke="%s" stroke-width="3.5"/>`+"\n", path.String(), l.colour)
		return
	}
	tint, width := "0.10", "1.6"
	if z.zone.Type == config.ZoneBlocked {
		tint, width = "0.28", "3"
	}
	fmt.Fprintf(d, `<path d="%s" fill="%s" fill-opacity="%s" fill-rule="evenodd"/>`+"\n", path.String(), l.colour, tint)
	fmt.Fprintf(d, `<path d="%s" fill="%s" fill-rule="evenodd" stroke="%s" stroke-width="%s" stroke-linejoin="round"/>`+"\n", path.String(), l.pattern, l.colour, width)
}

// number puts a zone's number into it, and beside it what holds, where there is room for it.
func (d *picture) number(z *drawn) {
	l := lookOf(z.zone.Type)
	face, ink, dash := l.colour, "#ffffff", ""
	if !z.active {
		face, ink, dash = "#ffffff", l.colour, ` stroke-dasharray="3 2"`
	}
	fmt.Fprintf(d, `<circle cx="%.1f" cy="%.1f" r="%.0f" fill="%s" stroke="%s" stroke-width="1.5"%s/>`, z.x, z.y, badge, face, l.colour, dash)
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="12" font-weight="700" fill="%s">%d</text>`+"\n", z.x, z.y+4.3, ink, z.number)
	if z.zone.Type == config.ZoneKeepIn {
		return
	}
	words := map[bool]string{true: "CLOSED"}[z.zone.Type == config.ZoneBlocked && z.active]
	if z.zone.Type == config.ZoneSpeedLimit && z.active {
		words = number(z.zone.MaxSpeedMPS) + " m/s"
	} else if z.active && words == "" {
		words = l.now
	}
	width, height := (z.shape.x1-z.shape.x0)*d.scale, (z.shape.y1-z.shape.y0)*d.scale
	if words == "" || width < 7.5*float64(len(words))+16 || height < 60 {
		return
	}
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="13" font-weight="700" fill="%s" stroke="#ffffff" stroke-width="4" paint-order="stroke" stroke-linejoin="round">%s</text>`+"\n",
		z.x, z.y+badge+15, l.colour, escape(words))
}

// nice is the length from 1, 2 or 5 times a power of ten that is nearest below v.
func nice(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{5, 2, 1} {
		if k*p <= v {
			return k * p
		}
	}
	return p
}

// rulers are the coordinates in metres along the lower and left edge.
func (d *picture) rulers() {
	step := nice(90 / d.scale)
	for v := math.Ceil(d.edges.x0/step) * step; v <= d.edges.x1; v += step {
		fmt.Fprintf(d, `<path d="M%.1f %.1fv5" stroke="#555555"/><text x="%.1f" y="%.1f" text-anchor="middle" font-size="11" fill="#555555">%s</text>`+"\n",
			d.px(v), d.h, d.px(v), d.h+18, tick(v, step))
	}
	for v := math.Ceil(d.edges.y0/step) * step; v <= d.edges.y1; v += step {
		fmt.Fprintf(d, `<path d="M0 %.1fh-5" stroke="#555555"/><text x="-8" y="%.1f" text-anchor="end" font-size="11" fill="#555555">%s</text>`+"\n",
			d.py(v), d.py(v)+4, tick(v, step))
	}
}

func tick(v, step float64) string {
	places := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	if math.Abs(v) < step/2 {
		v = 0 // no minus before a zero
	}
	return fmt.Sprintf("%.*f", places, v)
}

// legend explains kinds, dashes and the scale.
func (d *picture) legend(y float64) {
	x := edge
	for _, kind := range plain() {
		l := lookOf(kind)
		fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="30" height="18" fill="%s" fill-opacity="0.2"/><rect x="%.1f" y="%.1f" width="30" height="18" fill="%s" stroke="%s" stroke-width="2.5"/>`,
			x, y, l.colour, x, y, l.pattern, l.colour)
		fmt.Fprintf(d, `<text x="%.1f" y="%.1f">%s</text>`+"\n", x+38, y+14, escape(l.words))
		x += 38 + 6.6*float64(len(l.words)) + 20
	}
	y += 28
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="30" height="18" fill="none" stroke="#555555" stroke-width="1.3" stroke-dasharray="6 5"/><text x="%.1f" y="%.1f">dashed: does not hold now, or not for this robot</text>`+"\n",
		edge, y, edge+38, y+14)
	long := nice(180 / d.scale)
	x = edge + 420
	fmt.Fprintf(d, `<path d="M%.1f %.1fv8h%.1fv-8" fill="none" stroke="#1a1a1a" stroke-width="2"/><text x="%.1f" y="%.1f">%s m</text>`+"\n",
		x, y+4, long*d.scale, x+long*d.scale+8, y+14, number(long))
}

// table lists the zones by number.
func (d *picture) table(y float64) {
	column := [5]float64{edge, edge + 30, edge + 190, edge + 300, edge + 530}
	row := func(y float64, weight, colour string, words ...string) {
		for i, w := range words {
			fmt.Fprintf(d, `<text x="%.1f" y="%.1f" font-weight="%s" fill="%s">%s</text>`, column[i], y, weight, colour, escape(w))
		}
		d.WriteString("\n")
	}
	row(y, "600", "#444444", "", "zone", "kind", "now", "reason")
	for k := range d.zones {
		z := &d.zones[k]
		y += rowHeight
		weight, colour := "400", "#555555"
		if z.active {
			colour = "#1a1a1a"
		}
		if z.active && z.zone.Type == config.ZoneBlocked {
			weight = "700"
		}
		row(y, weight, colour, fmt.Sprint(z.number), cut(z.zone.ID, 22), z.zone.Type, cut(z.state, 34), cut(z.zone.Reason, 70))
	}
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
