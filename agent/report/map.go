package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/agent/zones"
	"github.com/robowarden/robowarden/interlock"
)

// floorView is one floor's map.
type floorView struct {
	Name string
	SVG  template.HTML
}

// Sizes of a map in its own units; the page scales it.
const (
	mapWide = 1000.0
	mapHigh = 620.0
	mapEdge = 34.0
)

// mapper draws one floor.
type mapper struct {
	strings.Builder
	v     *view
	floor int
	// scale is in units for a metre; x0 and y1 are the left and upper edge in metres.
	scale, x0, y1, w, h float64
}

func (v *view) maps() []floorView {
	var out []floorView
	for i, f := range v.Config.Policy.Floors {
		if !slices.ContainsFunc(v.Timeline.Path, func(s replay.Sample) bool { return s.Floor == i }) {
			continue
		}
		m := &mapper{v: v, floor: i}
		m.fit()
		m.draw()
		name := f.Name
		if name == "" {
			name = f.ID
		}
		out = append(out, floorView{name, template.HTML(m.String())}) //nolint:gosec // built here, every text escaped
	}
	return out
}

// fit shows all of the floor's zones and the whole way.
func (m *mapper) fit() {
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	grow := func(x, y float64) { x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y) }
	for i := range m.v.Config.Policy.Zones {
		if z := &m.v.Config.Policy.Zones[i]; m.here(z) {
			for _, p := range z.Vertices {
				grow(p.X, p.Y)
			}
		}
	}
	for _, s := range m.v.Timeline.Path {
		if s.Floor == m.floor {
			grow(s.X, s.Y)
		}
	}
	room := max(0.02*max(x1-x0, y1-y0), 0.3)
	x0, y0, x1, y1 = x0-room, y0-room, x1+room, y1+room
	m.scale = min(mapWide/(x1-x0), mapHigh/(y1-y0))
	m.x0, m.y1, m.w, m.h = x0, y1, (x1-x0)*m.scale, (y1-y0)*m.scale
}

func (m *mapper) here(z *config.Zone) bool { return z.Floor == m.v.Config.Policy.Floors[m.floor].ID }

func (m *mapper) px(x float64) float64 { return mapEdge + (x-m.x0)*m.scale }
func (m *mapper) py(y float64) float64 { return mapEdge/2 + (m.y1-y)*m.scale }

func (m *mapper) f(format string, a ...any) { fmt.Fprintf(m, format+"\n", a...) }

func (m *mapper) draw() {
	w, h := m.w+2*mapEdge, m.h+mapEdge*1.5
	m.f(`<svg class="map" viewBox="0 0 %.0f %.0f" role="group" aria-label="map of floor %s">`, w, h, html.EscapeString(m.v.Config.Policy.Floors[m.floor].ID))
	m.f(`<defs><pattern id="hatch%d" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch" d="M0 0V9"/></pattern>`, m.floor)
	m.f(`<pattern id="dots%d" width="10" height="10" patternUnits="userSpaceOnUse"><circle class="dot" cx="5" cy="5" r="1.3"/></pattern></defs>`, m.floor)
	m.f(`<rect class="ground" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="4"/>`, mapEdge, mapEdge/2, m.w, m.h)
	m.zones()
	m.rulers()
	m.path()
	m.marks()
	m.f(`</svg>`)
}

// order draws large frames first and closed zones last.
func order(z *config.Zone) int {
	switch z.Type {
	case config.ZoneKeepIn:
		return 0
	case config.ZoneSpeedLimit:
		return 1
	case config.ZoneBlocked:
		return 3
	}
	return 2
}

func (m *mapper) zones() {
	p := m.v.Config.Policy
	roles, _ := p.RolesOf(m.v.Robot)
	var list []*config.Zone
	for i := range p.Zones {
		if z := &p.Zones[i]; m.here(z) {
			list = append(list, z)
		}
	}
	slices.SortStableFunc(list, func(a, b *config.Zone) int { return order(a) - order(b) })
	for _, z := range list {
		active := zones.Binds(z, roles) && (zones.ActiveAt(p, z, m.v.From) || zones.ActiveAt(p, z, m.v.To))
		m.zone(z, active)
	}
}

// zoneClass is how a kind of zone looks.
func zoneClass(z *config.Zone) (class, fill, words string) {
	switch z.Type {
	case config.ZoneBlocked:
		return "blocked", "hatch", "closed"
	case config.ZoneSpeedLimit:
		return "slow", "dots", fmt.Sprintf("%g m/s", z.MaxSpeedMPS)
	case config.ZoneKeepIn:
		return "keep", "", ""
	case config.ZoneRelease, config.ZoneDoor:
		return "door", "hatch", "by lease"
	}
	return "other", "", strings.ToLower(strings.ReplaceAll(z.Type, "_", " "))
}

func (m *mapper) zone(z *config.Zone, active bool) {
	var d strings.Builder
	ring := func(list []config.Point) {
		for i, p := range list {
			fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(i, 1)], m.px(p.X), m.py(p.Y))
		}
		d.WriteByte('Z')
	}
	ring(z.Vertices)
	for _, h := range z.Holes {
		ring(h)
	}
	class, fill, words := zoneClass(z)
	if !active {
		class, fill, words = class+" off", "", ""
	}
	m.f(`<g class="zone %s"><title>%s (%s): %s</title><path class="area" fill-rule="evenodd" d="%s"/>`, class, html.EscapeString(z.ID), z.Type, html.EscapeString(z.Reason), d.String())
	if fill != "" {
		m.f(`<path fill-rule="evenodd" fill="url(#%s%d)" d="%s"/>`, fill, m.floor, d.String())
	}
	m.label(z, words)
	m.f(`</g>`)
}

// label names a zone where there is room for it.
func (m *mapper) label(z *config.Zone, words string) {
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range z.Vertices {
		x0, y0, x1, y1 = min(x0, p.X), min(y0, p.Y), max(x1, p.X), max(y1, p.Y)
	}
	if z.Type == config.ZoneKeepIn || (x1-x0)*m.scale < 7.2*float64(len(z.ID)) || (y1-y0)*m.scale < 34 {
		return
	}
	// Near the upper edge, so that a way through the middle does not run over it.
	x, y := m.px((x0+x1)/2), m.py(y1)+17
	m.f(`<text class="name" x="%.1f" y="%.1f">%s</text>`, x, y, html.EscapeString(z.ID))
	if words != "" {
		m.f(`<text class="what" x="%.1f" y="%.1f">%s</text>`, x, y+14, html.EscapeString(words))
	}
}

func (m *mapper) rulers() {
	step := nice(m.w / m.scale / 8)
	for _, x := range ticks(m.x0, m.x0+m.w/m.scale, step) {
		m.f(`<text class="tick mid" x="%.1f" y="%.1f">%g</text>`, m.px(x), m.h+mapEdge/2+15, x+0)
	}
	for _, y := range ticks(m.y1-m.h/m.scale, m.y1, step) {
		m.f(`<text class="tick end" x="%.1f" y="%.1f">%g</text>`, mapEdge-6, m.py(y)+4, y+0)
	}
	m.f(`<text class="tick end" x="%.1f" y="%.1f">m</text>`, mapEdge+m.w, m.h+mapEdge/2+27)
}

// maxTicks bounds a ruler: far from the origin a step is lost in rounding, and a ruler that adds it never ends.
const maxTicks = 40

// ticks are the multiples of step from low to high.
func ticks(low, high, step float64) []float64 {
	var out []float64
	for i := range maxTicks {
		v := (math.Ceil(low/step) + float64(i)) * step
		if !(v <= high) { // what is no number ends it too
			break
		}
		out = append(out, v)
	}
	return out
}

// nice is the length from 1, 2 or 5 times a power of ten that is nearest above v.
func nice(v float64) float64 {
	if !(v > 0) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{1, 2, 5} {
		if k*p >= v {
			return k * p
		}
	}
	return 10 * p
}

// path draws the way: its colour is the mode, its width the speed.
func (m *mapper) path() {
	top := 0.1
	for _, s := range m.v.Timeline.Path {
		top = max(top, s.Speed)
	}
	var line strings.Builder
	class, width := "", 0
	flush := func() {
		if line.Len() > 0 {
			m.f(`<path class="way %s" stroke-width="%.1f" d="%s"/>`, class, 2.2+float64(width)*0.9, line.String())
		}
		line.Reset()
	}
	var last replay.Sample
	open := false
	m.f(`<g class="ways">`)
	for _, s := range m.v.Timeline.Path {
		if s.Floor != m.floor {
			open = false
			continue
		}
		c, wide := modeTone(interlock.Mode(s.Mode).String()), int(math.Round(4*s.Speed/top)) //nolint:gosec // a mode
		if open && (c != class || wide != width) || !open {
			flush()
			class, width = c, wide
			if open {
				fmt.Fprintf(&line, "M%.1f %.1f", m.px(last.X), m.py(last.Y))
			}
		}
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(line.Len(), 1)], m.px(s.X), m.py(s.Y))
		last, open = s, true
	}
	flush()
	m.f(`</g>`)
}

// maxMarks bounds the numbers on a map; the list below it has all events.
const maxMarks = 60

// marks puts the numbers of events where they happened.
func (m *mapper) marks() {
	path := m.v.Timeline.Path
	m.ends(path)
	type spot struct{ x, y float64 }
	var taken []spot
	n := 0
	for i := range m.v.Events {
		e := &m.v.Events[i]
		if e.Kind != replay.EntryFired || e.Inputs.Floor != m.v.Config.Policy.Floors[m.floor].ID || e.AtS == 0 {
			continue
		}
		if n++; n > maxMarks {
			break
		}
		x, y := m.px(e.Inputs.X), m.py(e.Inputs.Y)
		at := spot{x, y - 20}
		for k := 0; k < 24 && slices.ContainsFunc(taken, func(s spot) bool { return math.Hypot(s.x-at.x, s.y-at.y) < 21 }); k++ {
			angle := float64(k) * math.Pi / 4
			r := 20.0 + 22*float64(k/8)
			at = spot{x + r*math.Sin(angle), y - r*math.Cos(angle)}
		}
		taken = append(taken, at)
		m.f(`<a href="#e%d"><title>%s  %s</title><path class="stem" d="M%.1f %.1fL%.1f %.1f"/><circle class="pin %s" cx="%.1f" cy="%.1f" r="10"/><text class="pinned" x="%.1f" y="%.1f">%d</text></a>`,
			e.N, e.Clock, html.EscapeString(e.Words), x, y, at.x, at.y, e.Tone, at.x, at.y, at.x, at.y+4, e.N)
	}
}

// ends marks where the way begins and ends.
func (m *mapper) ends(path []replay.Sample) {
	first, last := -1, -1
	for i := range path {
		if path[i].Floor == m.floor {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return
	}
	m.f(`<circle class="start" cx="%.1f" cy="%.1f" r="6"/>`, m.px(path[first].X), m.py(path[first].Y))
	s := path[last]
	m.f(`<path class="robot" transform="translate(%.1f %.1f) rotate(%.1f)" d="M11 0L-7 7L-3 0L-7 -7Z"/>`, m.px(s.X), m.py(s.Y), -s.Yaw*180/math.Pi)
}
