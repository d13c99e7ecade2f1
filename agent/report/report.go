// Package report draws what a replay found as one HTML file: map, timeline, speed and margin, every event with its reasons.
// The file needs no other, reads without scripts, prints, and keeps to colours that the colour-blind tell apart. The package
// decides nothing and fetches nothing; the same replay gives the same bytes.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/replay"
)

//go:embed page.html
var page string

//go:embed style.css
var style string

//go:embed script.js
var script string

// view is what the page is filled from.
type view struct {
	*replay.Report
	Style    template.CSS
	Script   template.JS
	Floors   []floorView
	Lanes    template.HTML
	Tiles    []tile
	Events   []eventView
	Parts    []partView
	Changes  []changeView
	When     string
	Length   string
	Headline string
	Calm     bool
}

// tile is one figure at the top.
type tile struct{ Figure, Unit, Words, Tone string }

// eventView is one event with its number on the page.
type eventView struct {
	N int
	replay.Entry
	Clock, Tone string
}

// partView is one part of the body near a zone.
type partView struct {
	replay.PartInZone
	Clock string
	N     int
}

// changeView is one rule under both policies, with the lengths of its two bars in per cent.
type changeView struct {
	replay.RuleChange
	Old, New float64
	Words    string
}

// Write writes the report.
func Write(w io.Writer, r *replay.Report) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"clock": clock, "rule": rule, "metres": metres, "seconds": seconds, "percent": func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) },
		"ms":      func(v float64) float64 { return 1000 * v },
		"degrees": func(v float64) string { return fmt.Sprintf("%.0f°", v*180/math.Pi) },
	}).Parse(page)
	if err != nil {
		return err
	}
	v := &view{Report: r, Style: template.CSS(style), Script: template.JS(script)} //nolint:gosec // both are this package's own files
	v.When = r.From.Format("Monday 2 January 2006, 15:04:05") + " to " + r.To.Format("15:04:05 MST")
	v.Length = clock(r.DurationS)
	v.events()
	v.headline()
	v.tiles()
	v.changes()
	v.Floors = v.maps()
	v.Lanes = v.lanes()
	return t.Execute(w, v)
}

func (v *view) headline() {
	s := &v.Summary
	worst := map[[2]string]int{}
	for _, x := range v.Timeline.Stops {
		worst[[2]string{x.Rule, x.Subject}]++
	}
	var names [][2]string
	for k := range worst {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b [2]string) int { return worst[b] - worst[a] + strings.Compare(a[0]+a[1], b[0]+b[1])/2 })
	switch {
	case s.Trips == 0:
		v.Headline, v.Calm = "Nothing would have stopped the robot while it moved.", true
	case s.Trips == 1:
		v.Headline = "The robot would have been stopped once while it moved: " + rule(names[0][0], names[0][1]) + "."
	default:
		v.Headline = fmt.Sprintf("The robot would have been stopped %d times while it moved, most by %s.", s.Trips, rule(names[0][0], names[0][1]))
	}
}

func (v *view) tiles() {
	s, c := &v.Summary, &v.Timeline.Commands
	add := func(figure, unit, words, tone string) { v.Tiles = append(v.Tiles, tile{figure, unit, words, tone}) }
	add(fmt.Sprint(s.Trips), "", "stops while moving", map[bool]string{true: "stop"}[s.Trips > 0])
	add(fmt.Sprintf("%.1f", s.HeldS), "s", "held or stopped", map[bool]string{true: "hold"}[s.HeldS > 0])
	add(fmt.Sprintf("%.1f", s.LimitedS), "s", "limited", map[bool]string{true: "limited"}[s.LimitedS > 0])
	add(fmt.Sprintf("%.1f", s.FreeS), "s", "free", "")
	if s.MinMarginM != nil {
		add(fmt.Sprintf("%.2f", *s.MinMarginM), "m", "least distance to a zone that may be closed", map[bool]string{true: "stop"}[*s.MinMarginM < 0])
	}
	if c.Total > 0 {
		add(fmt.Sprintf("%.0f", 100*float64(c.Clipped+c.Dropped)/float64(c.Total)), "%", fmt.Sprintf("of %d commands slowed down or not passed", c.Total), "")
	}
	if s.WorstStopS > 0 {
		add(fmt.Sprintf("%.2f", s.WorstStopS), "s", "longest time to rest, by the profile", "")
	}
}

// events numbers the events and gathers the parts of the body.
func (v *view) events() {
	worst := map[[2]string]int{}
	for i, e := range v.Timeline.Entries {
		n := i + 1
		v.Events = append(v.Events, eventView{N: n, Entry: e, Clock: clock(e.AtS), Tone: tone(&e)})
		for _, p := range e.Inputs.Parts {
			key := [2]string{p.Part, p.Zone}
			if k, ok := worst[key]; ok {
				if p.DistanceM < v.Parts[k].DistanceM {
					v.Parts[k] = partView{p, clock(e.AtS), n}
				}
				continue
			}
			worst[key] = len(v.Parts)
			v.Parts = append(v.Parts, partView{p, clock(e.AtS), n})
		}
	}
}

// tone is the colour of an event.
func tone(e *replay.Entry) string {
	if e.Kind != replay.EntryFired && e.Kind != replay.EntryMode {
		return "quiet"
	}
	return modeTone(e.Inputs.Mode)
}

func modeTone(mode string) string {
	switch mode {
	case "stop safely":
		return "stop"
	case "hold":
		return "hold"
	case "return to dock":
		return "dock"
	case "normal":
		return "free"
	}
	return "limited"
}

func (v *view) changes() {
	if v.Against == nil {
		return
	}
	most := 0.0
	for _, c := range v.Against.Rules {
		most = max(most, c.OldS, c.NewS)
	}
	for _, c := range v.Against.Rules {
		x := changeView{RuleChange: c, Words: fmt.Sprintf("%.1f s → %.1f s", c.OldS, c.NewS)}
		if most > 0 {
			x.Old, x.New = 100*c.OldS/most, 100*c.NewS/most
		}
		v.Changes = append(v.Changes, x)
	}
}

func clock(s float64) string {
	d := time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond)
	m := int(d / time.Minute)
	if m >= 60 {
		return fmt.Sprintf("%d:%02d:%05.2f", m/60, m%60, (d - time.Duration(m)*time.Minute).Seconds())
	}
	return fmt.Sprintf("%d:%05.2f", m, (d - time.Duration(m)*time.Minute).Seconds())
}

func rule(code, subject string) string {
	if subject != "" {
		return code + " [" + subject + "]"
	}
	return code
}

func metres(v float64) string  { return fmt.Sprintf("%.2f m", v) }
func seconds(v float64) string { return fmt.Sprintf("%.1f s", v) }
