package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
)

// scalar fills v from a single text.
func (d *decoder) scalar(n *strictyaml.Node, v reflect.Value, f *field, where *path) {
	fail := func(p Problem) {
		if p.Found == "" {
			p.Found = found(n)
		}
		d.about(n, where, p)
	}
	if n.Kind != strictyaml.Scalar {
		fail(Problem{Rule: "wrong-type", Expected: d.describe(f, v.Type()), Example: f.example})
		return
	}
	var p *Problem
	switch t := v.Type(); {
	case t == durationType:
		p = setDuration(n, v, f)
	case t == timeType:
		p = setTime(n, v)
	case t == digestType:
		p = setDigest(n, v)
	case t == timeOfDayType:
		p = setTimeOfDay(n, v)
	case t == timezoneType:
		p = setTimezone(n, v)
	case t.Kind() == reflect.Bool:
		p = setBool(n, v)
	case t.Kind() == reflect.String:
		p = setString(n, v, f)
	default:
		p = setNumber(n, v, f)
	}
	if p == nil {
		return
	}
	if p.Expected == "" {
		p.Expected = d.describe(f, v.Type())
	}
	if p.Example == "" {
		p.Example = f.example
	}
	fail(*p)
}

var (
	wholeForm   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	decimalForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	numberLike  = regexp.MustCompile(`^[-+]?([0-9][0-9_,.]*|0[xob][0-9a-fA-F_]+|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	nanOrInf    = regexp.MustCompile(`(?i)^[-+]?\.?(nan|inf|infinity)$`)
)

// setNumber reads an integer or a finite decimal number.
func setNumber(n *strictyaml.Node, v reflect.Value, f *field) *Problem {
	whole := v.Kind() != reflect.Float64
	switch {
	case n.Style != strictyaml.Plain && decimalForm.MatchString(n.Text):
		return &Problem{Rule: "wrong-type", Hint: "remove the quotes"}
	case nanOrInf.MatchString(n.Text):
		return &Problem{Rule: "not-finite", Hint: "no value means off here; write the number that is meant"}
	case !decimalForm.MatchString(n.Text) && numberLike.MatchString(n.Text):
		return &Problem{
			Rule: "number-form",
			Hint: "write plain decimal digits: no leading zero or plus, no hexadecimal, no separators, a digit on both sides of the point",
		}
	case !decimalForm.MatchString(n.Text):
		p := &Problem{Rule: "wrong-type"}
		if m := unitBehind.FindStringSubmatch(n.Text); m != nil {
			p.Hint = "the unit is in the key's name; write the number alone"
		}
		return p
	case whole && !wholeForm.MatchString(n.Text):
		return &Problem{Rule: "wrong-type", Hint: "write a whole number"}
	}
	num, err := strconv.ParseFloat(n.Text, 64)
	if err != nil || math.IsInf(num, 0) {
		return &Problem{Rule: "out-of-range"}
	}
	if f.limits != nil && !f.limits.holds(num) {
		return outOfRange(num, f)
	}
	if whole {
		v.SetInt(int64(num))
		return nil
	}
	v.SetFloat(num + 0) // the sum turns -0 into 0
	return nil
}

var unitBehind = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)? *[a-zA-Z/²°%µ]+[a-zA-Z0-9/²]*$`)

// outOfRange says what an impossible number may have been meant to be.
func outOfRange(num float64, f *field) *Problem {
	p := &Problem{Rule: "out-of-range"}
	unit, mistaken := unitOf(f.name)
	if f.name == "stop_category" && num == 0 {
		p.Hint = "category 0, power off at once, is the certified e-stop's alone"
		return p
	}
	if num == 0 && f.limits.low == 0 {
		p.Hint = "0 is never off; write the value that is meant"
		return p
	}
	for _, m := range mistaken {
		if v := num * m.factor; num > f.limits.top && f.limits.holds(v) {
			p.Hint = fmt.Sprintf("if %s is in %s, write %s (%s)", trimFloat(num), m.unit, trimFloat(math.Round(v*1000)/1000), unit)
			break
		}
	}
	return p
}

func trimFloat(v float64) string {
	return strconv.FormatFloat(v, 'f', -1, 64)
}

var durationForm = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

// setDuration reads a duration with its unit.
func setDuration(n *strictyaml.Node, v reflect.Value, f *field) *Problem {
	off := "zero is never off: where something can be switched off, say enabled: false with a reason"
	switch {
	case decimalForm.MatchString(n.Text):
		if num, err := strconv.ParseFloat(n.Text, 64); err == nil && num == 0 {
			return &Problem{Rule: "zero-duration", Hint: off}
		}
		if strings.HasPrefix(n.Text, "-") {
			return &Problem{Rule: "zero-duration", Hint: off}
		}
		return &Problem{Rule: "duration-unit", Hint: fmt.Sprintf("write the unit: %sms or %ss?", n.Text, n.Text)}
	case durationForm.MatchString(strings.TrimPrefix(n.Text, "-")):
	default:
		return &Problem{
			Rule: "duration-form",
			Hint: "write whole or decimal numbers with ms, s, m or h, without spaces: 250ms, 1.5s, 2m",
		}
	}
	dur, err := time.ParseDuration(n.Text)
	if err == nil && dur <= 0 {
		return &Problem{Rule: "zero-duration", Hint: off}
	}
	if err != nil || f.limits != nil && !f.limits.holds(dur.Seconds()) {
		return &Problem{Rule: "out-of-range"}
	}
	v.SetInt(int64(dur))
	return nil
}

func setBool(n *strictyaml.Node, v reflect.Value) *Problem {
	if n.Style == strictyaml.Plain {
		switch n.Text {
		case "true", "false":
			v.SetBool(n.Text == "true")
			return nil
		}
	}
	p := &Problem{Rule: "wrong-type"}
	switch strings.ToLower(n.Text) {
	case "true", "false":
		p.Hint = "write " + strings.ToLower(n.Text) + ", in small letters and without quotes"
	case "yes", "on", "y", "1":
		p.Hint = "write true"
	case "no", "off", "n", "0":
		p.Hint = "write false"
	}
	return p
}

// mistakable is what some YAML reader or other takes for something else than text.
var mistakable = regexp.MustCompile(`(?i)^(y|yes|n|no|on|off|true|false|null|~|=|[-+]?\.?(nan|inf|infinity)|[-+]?[0-9][0-9_,]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|[-+]?\.[0-9]+|0[xob][0-9a-f_]+|[-+]?[0-9]+(:[0-9]+)+(\.[0-9]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*)$`)

// textOf returns the text of a node that every YAML reader takes for text.
func textOf(n *strictyaml.Node) (string, *Problem) {
	if n.Style == strictyaml.Plain && mistakable.MatchString(n.Text) {
		return "", &Problem{
			Rule: "unquoted-text", Found: n.Text + " without quotes",
			Hint: "YAML readers take this for a number, a switch or a date; write " + strconv.Quote(n.Text),
		}
	}
	return n.Text, nil
}

func setString(n *strictyaml.Node, v reflect.Value, f *field) *Problem {
	s, p := textOf(n)
	if p != nil {
		return p
	}
	s = sharedSpelling(s, f.kin)
	if len(f.enum) > 0 {
		if slices.Contains(f.enum, s) {
			v.SetString(strings.Clone(s)) // a name must not keep its document
			return nil
		}
		p := &Problem{Rule: "not-allowed"}
		if why := whyNotType(s); why != "" && slices.Contains(f.enum, ZoneBlocked) {
			p.Hint = why
		} else if c := closest(s, f.enum); c != "" {
			p.Hint = "did you mean " + c + "?"
		}
		return p
	}
	if p := checkForm(f.form, s); p != nil {
		return p
	}
	// The bounds of a list's length do not concern its entries.
	if n := len([]rune(s)); f.typ.Kind() == reflect.String && f.maximum >= 0 && (n < f.minimum || n > f.maximum) {
		return &Problem{Rule: "text-length", Found: fmt.Sprintf("%d characters", n)}
	}
	v.SetString(strings.Clone(s))
	return nil
}

func setDigest(n *strictyaml.Node, v reflect.Value) *Problem {
	dg, err := ParseDigest(n.Text)
	if err != nil {
		return &Problem{Rule: "digest-form", Hint: "robowarden check prints the digests of the documents it is given"}
	}
	v.Set(reflect.ValueOf(dg))
	return nil
}

var timeOfDayForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)

func setTimeOfDay(n *strictyaml.Node, v reflect.Value) *Problem {
	s, p := textOf(n)
	if p != nil {
		p.Hint = "some YAML readers take this for a number of seconds; write " + strconv.Quote(n.Text)
		return p
	}
	if s == "24:00" {
		v.SetInt(24 * 60)
		return nil
	}
	m := timeOfDayForm.FindStringSubmatch(s)
	if m == nil {
		return &Problem{Rule: "time-form", Hint: "write hours and minutes with two digits each, from \"00:00\" to \"24:00\""}
	}
	h, _ := strconv.Atoi(m[1])
	min, _ := strconv.Atoi(m[2])
	v.SetInt(int64(h*60 + min))
	return nil
}

func setTime(n *strictyaml.Node, v reflect.Value) *Problem {
	s, p := textOf(n)
	if p != nil {
		return p
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 2000 {
		return &Problem{Rule: "time-form", Hint: "write date, time and offset as in RFC 3339"}
	}
	v.Set(reflect.ValueOf(t.UTC()))
	return nil
}

func setTimezone(n *strictyaml.Node, v reflect.Value) *Problem {
	name := strings.Clone(n.Text)
	loc, err := loadZone(name)
	switch {
	case errors.Is(err, errNoZone):
		return &Problem{
			Rule: "unknown-timezone",
			Hint: "write the name from the IANA list, such as Europe/Berlin; abbreviations and offsets do not know summer time",
		}
	case err != nil:
		return &Problem{Rule: "unknown-timezone", Hint: err.Error()}
	}
	v.Set(reflect.ValueOf(Timezone{Name: name, Location: loc}))
	return nil
}
