package policytune

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Text writes the result as tables, a bar of false trips beside each value.
func Text(w io.Writer, r *Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s revision %d on %d recordings and %d of incidents, %.0f s in all\n", r.Policy, r.Revision, len(r.Recordings), len(r.Incidents), r.HoursS)
	fmt.Fprintf(&b, "as it is: %d false trips, held %.1f s, limited %.1f s; %d of %d incidents missed\n",
		r.Base.FalseTrips, r.Base.HeldS, r.Base.LimitedS, r.Base.Missed, len(r.Incidents))
	for i := range r.Knobs {
		k := &r.Knobs[i]
		fmt.Fprintf(&b, "\n%s\n  %10s  %11s  %8s  %9s  %7s  %7s  %8s\n", k.Name, k.Unit, "false trips", "held s", "limited s", "cut", "missed", "delay s")
		most := 1
		for _, o := range k.Outcomes {
			most = max(most, o.FalseTrips)
		}
		for _, o := range k.Outcomes {
			mark := " "
			if o.Current || o.Value == 0 && strings.HasSuffix(k.Name, "changed by") {
				mark = "*"
			}
			if o.Refused != "" {
				fmt.Fprintf(&b, "%s %10g  not allowed: %s\n", mark, o.Value, o.Refused)
				continue
			}
			fmt.Fprintf(&b, "%s %10g  %11d  %8.1f  %9.1f  %7d  %7d  %+8.2f  %s\n", mark, o.Value, o.FalseTrips, o.HeldS, o.LimitedS, o.Cut, o.Missed, o.DelayS,
				strings.Repeat("#", int(math.Ceil(20*float64(o.FalseTrips)/float64(most)))))
		}
		if k.Suggested != nil {
			fmt.Fprintf(&b, "  suggested: %g %s: %s\n", *k.Suggested, k.Unit, k.Why)
		} else {
			fmt.Fprintf(&b, "  %s\n", k.Why)
		}
	}
	for _, warn := range r.Warnings {
		fmt.Fprintf(&b, "note: %s\n", warn)
	}
	b.WriteString("\n* the policy as it is. Nothing was changed: write a value into the policy yourself, then test, lint and diff it.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// The plot's frame, in pixels.
const (
	plotW, plotH = 420.0, 150.0
	left, low    = 44.0, 118.0
	high         = 14.0
)

// HTML writes the result as one page without scripts: for each threshold a plot of false trips and delay over its values, and
// the table.
func HTML(w io.Writer, r *Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">`+
		`<meta name="color-scheme" content="light dark"><title>%[1]s: thresholds</title><style>%[2]s</style></head><body><main><h1>%[1]s <small>revision %[3]d</small></h1>`+
		`<p>%[4]d recordings without and %[5]d with an incident, %.0[6]f s. As it is: <b>%[7]d</b> false trips, held %.1[8]f s, %[9]d incidents missed.</p>`,
		html.EscapeString(r.Policy), style, r.Revision, len(r.Recordings), len(r.Incidents), r.HoursS, r.Base.FalseTrips, r.Base.HeldS, r.Base.Missed)
	for i := range r.Knobs {
		section(&b, &r.Knobs[i])
	}
	if len(r.Warnings) > 0 {
		b.WriteString("<h2>Notes</h2><ul>")
		for _, warn := range r.Warnings {
			fmt.Fprintf(&b, "<li>%s</li>", html.EscapeString(warn))
		}
		b.WriteString("</ul>")
	}
	b.WriteString("<p>Nothing was changed. A value that convinces you goes into the policy by your hand; then test, lint and diff it.</p></main></body></html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const style = `:root{--ink:#1c1e21;--soft:#5d646b;--bg:#fafaf8;--card:#fff;--line:#d9dcdf;--trips:#a83800;--delay:#005f99}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaec;--soft:#9aa2aa;--bg:#15171a;--card:#1d2024;--line:#353a40;--trips:#ff8a4c;--delay:#56b4e9}}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}main{max-width:920px;margin:0 auto;padding:24px 18px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 18px;margin:16px 0;overflow-x:auto}h2{font-size:16px;margin:0 0 6px}
svg{max-width:100%;height:auto}svg text{font-size:11px;fill:var(--soft)}.t{fill:var(--trips)}.d{stroke:var(--delay);fill:none;stroke-width:2;stroke-dasharray:5 3}
.x{stroke:var(--line)}table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:2px 12px 2px 0}th{color:var(--soft);font-weight:500}
.now td:first-child{font-weight:700}.now td:first-child::before{content:"● "}.why{margin:8px 0 0}`

func section(b *strings.Builder, k *Knob) {
	fmt.Fprintf(b, `<section><h2>%s</h2>`, html.EscapeString(k.Name))
	plot(b, k)
	fmt.Fprintf(b, `<table><tr><th>%s</th><th>false trips</th><th>held s</th><th>limited s</th><th>commands cut</th><th>missed</th><th>delay s</th></tr>`, html.EscapeString(k.Unit))
	for _, o := range k.Outcomes {
		class := ""
		if o.Current {
			class = ` class="now"`
		}
		if o.Refused != "" {
			fmt.Fprintf(b, `<tr><td>%g</td><td colspan="6">not allowed: %s</td></tr>`, o.Value, html.EscapeString(o.Refused))
			continue
		}
		fmt.Fprintf(b, `<tr%s><td>%g</td><td>%d</td><td>%.1f</td><td>%.1f</td><td>%d</td><td>%d</td><td>%+.2f</td></tr>`,
			class, o.Value, o.FalseTrips, o.HeldS, o.LimitedS, o.Cut, o.Missed, o.DelayS)
	}
	b.WriteString(`</table>`)
	if k.Suggested != nil {
		fmt.Fprintf(b, `<p class="why"><b>Suggested: %g %s.</b> %s</p>`, *k.Suggested, html.EscapeString(k.Unit), html.EscapeString(k.Why))
	} else {
		fmt.Fprintf(b, `<p class="why">%s</p>`, html.EscapeString(k.Why))
	}
	b.WriteString(`</section>`)
}

// plot draws a bar of false trips per value, and the delay as a dashed line over them.
func plot(b *strings.Builder, k *Knob) {
	var trips, delay float64 = 1, 0.1
	for _, o := range k.Outcomes {
		trips, delay = max(trips, float64(o.FalseTrips)), max(delay, math.Abs(o.DelayS))
	}
	fmt.Fprintf(b, `<svg viewBox="0 0 %g %g" width="%g" role="img" aria-label="false trips and delay over %s">`, plotW, plotH, plotW, html.EscapeString(k.Name))
	fmt.Fprintf(b, `<path class="x" d="M%g %gH%g"/><text x="0" y="%g">%g trips</text><text x="0" y="%g">0</text>`, left, low, plotW, high+4, trips, low)
	step := (plotW - left) / float64(max(1, len(k.Outcomes)))
	var line strings.Builder
	for i, o := range k.Outcomes {
		x := left + step*float64(i)
		fmt.Fprintf(b, `<text x="%.1f" y="%g" text-anchor="middle">%g</text>`, x+step/2, low+15, o.Value)
		if o.Refused != "" {
			continue
		}
		h := (low - high) * float64(o.FalseTrips) / trips
		fmt.Fprintf(b, `<rect class="t" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"><title>%d false trips</title></rect>`, x+step*.2, low-h, step*.6, h, o.FalseTrips)
		fmt.Fprintf(&line, " %.1f,%.1f", x+step/2, low-(low-high)*max(0, o.DelayS)/delay)
	}
	fmt.Fprintf(b, `<polyline class="d" points="%s"/><text x="%g" y="%g">%s; bars: false trips, dashed: delay (top %.2f s)</text></svg>`,
		strings.TrimSpace(line.String()), left, plotH-3, html.EscapeString(k.Unit), delay)
}
