package zones

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/geofence"
)

// WriteYAML writes the zones as a policy's own YAML, to be put under its floors and zones. The same source and options
// give the same bytes.
func (r *Result) WriteYAML(w io.Writer) error {
	b := &bytes.Buffer{}
	fmt.Fprintf(b, "# From %s (%s), sha256:%s.\n", cleanText(r.Source), r.Options.Format, r.SHA256)
	if d := r.Options.Datum; d != nil {
		fmt.Fprintf(b, "# Datum: %s N, %s E, %s m above the ellipsoid of WGS 84; y axis %s degrees clockwise from north.\n",
			number(d.LatDeg), number(d.LonDeg), number(d.AltM), number(d.HeadingDeg))
	}
	fmt.Fprintf(b, "# Rounding to millimetres moved no vertex by more than %s mm.\n", r.RoundedMM())
	for _, l := range r.Left {
		fmt.Fprintf(b, "# NOT IMPORTED: %s\n", cleanComment(fmt.Sprintf("%s (%s): %s", l.Name, l.Kind, l.Why)))
	}
	b.WriteString("floors:\n")
	keep := map[string]bool{}
	for i := range r.Zones {
		keep[r.Zones[i].Floor] = keep[r.Zones[i].Floor] || kindOf(r.Zones[i].Type) == geofence.KeepIn
	}
	for _, f := range r.Floors() {
		fmt.Fprintf(b, "  - {id: %s}", quoteID(f))
		if !keep[f] {
			b.WriteString(" # has no KEEP_IN zone here: draw one, or say why none is needed with unbounded:")
		}
		b.WriteString("\n")
	}
	b.WriteString("zones:\n")
	for i := range r.Zones {
		r.Zones[i].write(b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (z *Zone) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "  - zone_id: %s\n    zone_type: %s\n    floor: %s\n    vertices: ", quoteID(z.ID), z.Type, quoteID(z.Floor))
	writeRing(b, z.Outer)
	b.WriteString("\n")
	if len(z.Holes) > 0 {
		b.WriteString("    holes: [")
		for i, h := range z.Holes {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRing(b, h)
		}
		b.WriteString("]\n")
	}
	if z.MaxSpeedMPS > 0 {
		fmt.Fprintf(b, "    max_speed_mps: %s\n", strconv.FormatFloat(z.MaxSpeedMPS, 'f', -1, 64))
	}
	if z.MarginM > 0 {
		fmt.Fprintf(b, "    margin_m: %s\n", strconv.FormatFloat(z.MarginM, 'f', -1, 64))
	}
	if z.ReleaseLoss != "" {
		fmt.Fprintf(b, "    release_loss: %s\n", z.ReleaseLoss)
	}
	if z.Limitation != "" {
		fmt.Fprintf(b, "    direction_rad: %s\n    limitation: %s\n", strconv.FormatFloat(z.DirectionRad, 'f', -1, 64), z.Limitation)
	}
	fmt.Fprintf(b, "    reason: '%s'\n", strings.ReplaceAll(z.Reason, "'", "''"))
}

func writeRing(b *bytes.Buffer, ring Ring) {
	b.WriteByte('[')
	for i, v := range ring {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("[" + metres(v.X) + ", " + metres(v.Y) + "]")
	}
	b.WriteByte(']')
}

// metres writes millimetres exactly, in metres.
func metres(mm int32) string {
	sign, v := "", int64(mm)
	if v < 0 {
		sign, v = "-", -v
	}
	s := fmt.Sprintf("%s%d.%03d", sign, v/1000, v%1000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// quoteID keeps YAML from reading an id such as 007 or no as something else.
func quoteID(id string) string { return `"` + id + `"` }

// cleanComment keeps a comment on its line.
func cleanComment(s string) string {
	return strings.Map(func(c rune) rune {
		if !strconv.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
}

// RoundedMM is RoundedM in millimetres, rounded up to hundredths.
func (r *Result) RoundedMM() string {
	return fmt.Sprintf("%.2f", math.Ceil(max(1e5*r.RoundedM-1e-6, 0))/100)
}
