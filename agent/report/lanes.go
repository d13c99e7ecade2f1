package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"github.com/robowarden/robowarden/agent/replay"
)

// Sizes of the timeline.
const (
	lanesWide = 1000.0
	lanesLeft = 190.0
	laneHigh  = 20.0
	chartHigh = 110.0
	maxLanes  = 14
)

// laner draws the timeline.
type laner struct {
	strings.Builder
	v    *view
	y    float64
	endS float64
}

func (v *view) lanes() template.HTML {
	l := &laner{v: v, endS: max(v.Timeline.EndS, 0.1), y: 22}
	l.modes()
	l.triggers()
	l.clips()
	l.speed()
	l.margin()
	body := l.String()
	l.Reset()
	l.grid() // Beneath the bars, and known only now how far down.
	grid := l.String()
	l.Reset()
	l.marks()
	return template.HTML(fmt.Sprintf(`<svg class="lanes" viewBox="0 0 %.0f %.0f" role="group" aria-label="timeline">%s%s%s</svg>`, //nolint:gosec // built here, every text escaped
		lanesWide, l.y+26, grid, body, l.String()))
}

func (l *laner) f(format string, a ...any) { fmt.Fprintf(l, format+"\n", a...) }

func (l *laner) x(s float64) float64 {
	return lanesLeft + (lanesWide-lanesLeft-10)*min(max(s/l.endS, 0), 1)
}

func (l *laner) name(text string, dy float64) {
	if r := []rune(text); len(r) > 30 {
		text = string(r[:29]) + "…"
	}
	l.f(`<text class="lane" x="%.1f" y="%.1f">%s</text>`, lanesLeft-10, l.y+dy, html.EscapeString(text))
}

func (l *laner) bar(from, to float64, class, title string) {
	x := l.x(from)
	l.f(`<rect class="bar %s" x="%.2f" y="%.1f" width="%.2f" height="%.1f" rx="2"><title>%s</title></rect>`,
		class, x, l.y, max(l.x(to)-x, 1.2), laneHigh-5, html.EscapeString(title))
}

func (l *laner) modes() {
	l.name("mode", 12)
	for _, m := range l.v.Timeline.Modes {
		l.bar(m.FromS, m.ToS, modeTone(m.Mode), fmt.Sprintf("%s: %s to %s", m.Mode, clock(m.FromS), clock(m.ToS)))
		if x0, x1 := l.x(m.FromS), l.x(m.ToS); x1-x0 > 7*float64(len(m.Mode))+8 {
			l.f(`<text class="inbar" x="%.1f" y="%.1f">%s</text>`, x0+6, l.y+11.5, html.EscapeString(m.Mode))
		}
	}
	l.y += laneHigh + 4
}

// triggers has a lane for each rule, those that restricted longest first.
func (l *laner) triggers() {
	rules := l.v.Summary.Rules
	for i, r := range rules {
		if i == maxLanes {
			l.name(fmt.Sprintf("and %d more rules below", len(rules)-i), 12)
			l.y += laneHigh
			break
		}
		l.name(rule(r.Rule, r.Subject), 12)
		for k := range l.v.Timeline.Triggers {
			s := &l.v.Timeline.Triggers[k]
			if s.Code != r.Rule || s.Subject != r.Subject {
				continue
			}
			class := "tells"
			switch {
			case strings.Contains(s.Constraint, "motion stop"):
				class = "stop"
			case strings.Contains(s.Constraint, "motion hold"):
				class = "hold"
			case s.Restricts:
				class = "limited"
			}
			l.bar(s.FromS, s.ToS, class, fmt.Sprintf("%s: %s to %s, %s", rule(s.Code, s.Subject), clock(s.FromS), clock(s.ToS), s.Constraint))
		}
		l.y += laneHigh
	}
}

func (l *laner) clips() {
	if len(l.v.Timeline.Clips) == 0 {
		return
	}
	l.name("commands cut", 12)
	for _, c := range l.v.Timeline.Clips {
		class := "limited"
		if c.Ratio == 0 {
			class = "hold"
		}
		l.bar(c.FromS, c.ToS, class, fmt.Sprintf("%s: %d commands, down to %.0f %%, %s to %s", rule(c.Reason, c.Rule), c.Commands, 100*c.Ratio, clock(c.FromS), clock(c.ToS)))
	}
	l.y += laneHigh
}

// frame draws a chart's frame with its ticks and returns the mapping of values to y.
func (l *laner) frame(name, unit string, low, top float64) func(float64) float64 {
	l.y += 14
	y0 := l.y
	at := func(v float64) float64 { return y0 + chartHigh*(1-(min(max(v, low), top)-low)/(top-low)) }
	l.f(`<rect class="frame" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, lanesLeft, y0, lanesWide-lanesLeft-10, chartHigh)
	l.name(name, 14)
	l.f(`<text class="tick end" x="%.1f" y="%.1f">%s</text>`, lanesLeft-10, y0+28, unit)
	step := nice((top - low) / 4)
	for _, v := range ticks(low, top+1e-9, step) {
		l.f(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, lanesLeft, at(v), lanesWide-10)
		if at(v) > y0+34 {
			l.f(`<text class="tick end" x="%.1f" y="%.1f">%.2g</text>`, lanesLeft-6, at(v)+4, v+0)
		} else {
			l.f(`<text class="tick" x="%.1f" y="%.1f">%.2g</text>`, lanesLeft+4, at(v)-3, v+0)
		}
	}
	l.y += chartHigh + 4
	return at
}

// curve draws one quantity over time; samples that have none break it.
func (l *laner) curve(class string, at func(float64) float64, of func(*replay.Sample) (float64, bool), step bool) {
	var d strings.Builder
	open, lastX, lastY := false, -1.0, 0.0
	path := l.v.Timeline.Path
	for i := range path {
		v, ok := of(&path[i])
		if !ok {
			open = false
			continue
		}
		x, y := l.x(path[i].AtS), at(v)
		switch {
		case !open:
			fmt.Fprintf(&d, "M%.1f %.1f", x, y)
		case step && y != lastY:
			fmt.Fprintf(&d, "H%.1fV%.1f", x, y)
		case x-lastX > 0.4 || math.Abs(y-lastY) > 0.4:
			fmt.Fprintf(&d, "L%.1f %.1f", x, y)
		default:
			continue
		}
		open, lastX, lastY = true, x, y
	}
	if d.Len() > 0 {
		l.f(`<path class="curve %s" d="%s"/>`, class, d.String())
	}
}

func (l *laner) speed() {
	top := 0.2
	for _, s := range l.v.Timeline.Path {
		top = max(top, s.Speed, min(s.Limit, 3))
	}
	at := l.frame("speed", "m/s", 0, top*1.15)
	l.curve("limit", at, func(s *replay.Sample) (float64, bool) { return s.Limit, s.Limit >= 0 }, true)
	l.curve("speed", at, func(s *replay.Sample) (float64, bool) { return s.Speed, s.Speed >= 0 }, false)
}

// margin draws the distance to the nearest zone that may be closed, and the way that a stop needs.
func (l *laner) margin() {
	if l.v.Summary.MinMarginM == nil {
		return
	}
	low, top := min(0, *l.v.Summary.MinMarginM), 1.0
	for _, s := range l.v.Timeline.Path {
		if s.Margin != replay.NoMargin {
			top = max(top, s.Margin)
		}
	}
	at := l.frame("distance to a closed zone", "m", low, min(top, 3)*1.1)
	l.curve("need", at, func(s *replay.Sample) (float64, bool) { return s.Need, s.Need >= 0 }, false)
	l.curve("margin", at, func(s *replay.Sample) (float64, bool) { return s.Margin, s.Margin != replay.NoMargin }, false)
}

// grid is the time, beneath everything.
func (l *laner) grid() {
	step := l.endS / 8
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200} {
		if s >= l.endS/9 {
			step = s
			break
		}
	}
	for s := 0.0; s <= l.endS+1e-9; s += step {
		l.f(`<path class="grid" d="M%.1f 16V%.1f"/><text class="tick mid" x="%.1f" y="%.1f">%d:%02d</text>`, l.x(s), l.y, l.x(s), l.y+14, int(s)/60, int(s)%60)
	}
}

// marks are the events, as lines through everything.
func (l *laner) marks() {
	last := -100.0
	for _, e := range l.v.Events {
		if e.Kind != replay.EntryFired || e.Tone == "quiet" || e.Tone == "free" || e.AtS == 0 {
			continue
		}
		x := l.x(e.AtS)
		l.f(`<a href="#e%d"><title>%s  %s</title><path class="event %s" d="M%.1f 16V%.1f"/>`, e.N, e.Clock, html.EscapeString(e.Words), e.Tone, x, l.y)
		if x-last > 16 {
			l.f(`<text class="tick mid" x="%.1f" y="11">%d</text>`, x, e.N)
			last = x
		}
		l.f(`</a>`)
	}
}
