package demo

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// writeTable writes what was measured: reaction, measured, bar, ok.
func writeTable(w io.Writer, r *Result, colour bool) error {
	cells := [][]string{{"reaction", "measured", "bar", ""}}
	for _, row := range r.Rows {
		verdict := "ok"
		if !row.OK {
			verdict = "FAILED"
		}
		cells = append(cells, []string{row.Name, figure(row.Measured, row.Unit), bar(&row.Reaction), verdict})
	}
	width := make([]int, 4)
	for _, line := range cells {
		for i, c := range line {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	b.WriteString("\n")
	for n, line := range cells {
		b.WriteString(pad(line[0], width[0], false) + "  " + pad(line[1], width[1], true) + "  " + pad(line[2], width[2], true) + "  ")
		switch {
		case n == 0:
			b.WriteString("\n" + strings.Repeat("─", width[0]+width[1]+width[2]+12))
		case line[3] == "ok":
			b.WriteString(paint(colour, styleGood, "ok"))
		default:
			b.WriteString(paint(colour, styleBad, line[3]))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + summary(r, colour) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func summary(r *Result, colour bool) string {
	times := fmt.Sprintf("%v of the robot's time in %v.", r.World.Round(time.Second), r.Took.Round(100*time.Millisecond))
	if r.OK {
		return paint(colour, styleGood, fmt.Sprintf("All %d reactions came in time.", len(r.Rows))) + " " + times
	}
	return paint(colour, styleBad, fmt.Sprintf("%d of %d reactions failed.", len(r.Failed()), len(r.Rows))) + " " + times
}

// figure is a measurement in words.
func figure(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "never"
	case math.IsInf(v, 1):
		return "far away"
	case unit == "":
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

// bar is what was demanded, in words.
func bar(r *Reaction) string {
	switch {
	case r.Least == r.Bar:
		return figure(r.Bar, r.Unit)
	case math.IsInf(r.Bar, 1):
		return "above 0 " + r.Unit
	case r.Least > 0:
		return "above 0, ≤ " + figure(r.Bar, r.Unit)
	}
	return "≤ " + figure(r.Bar, r.Unit)
}

func pad(s string, width int, right bool) string {
	fill := strings.Repeat(" ", width-utf8.RuneCountInString(s))
	if right {
		return fill + s
	}
	return s + fill
}
