package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is one key of a document, read from a struct field's tags.
type field struct {
	name     string
	index    int
	typ      reflect.Type
	optional bool
	// limits bounds numbers, and durations in seconds.
	limits *interval
	enum   []string
	// kin is "msg" or "srv" for a ROS type, which may also be written with that word in its middle.
	kin     string
	form    string
	minimum int
	maximum int
	preset  string
	example string
}

// interval bounds a number; low and top belong to it unless they are open.
type interval struct {
	low, top         float64
	lowOpen, topOpen bool
	// duration says that the bounds are seconds.
	duration bool
}

func (r *interval) holds(v float64) bool {
	return v >= r.low && v <= r.top && (v != r.low || !r.lowOpen) && (v != r.top || !r.topOpen)
}

func (r *interval) text(v float64) string {
	if r.duration {
		return shortDuration(time.Duration(math.Round(v * 1e9)))
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// String tells people the bounds.
func (r *interval) String() string {
	low, top := "at least ", "at most "
	if r.lowOpen {
		low = "above "
	}
	if r.topOpen {
		top = "below "
	}
	return low + r.text(r.low) + " and " + top + r.text(r.top)
}

// shortDuration writes a duration as documents do.
func shortDuration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d != 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatFloat(float64(d)/1e6, 'f', -1, 64) + "ms"
}

// fieldsOf reads a struct's tags. A tag that cannot be read is a mistake in this package, which a test finds.
func fieldsOf(t reflect.Type) ([]field, error) {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("cfg"), ",")
		if name == "" {
			continue
		}
		f := field{name: name, index: i, typ: sf.Type, optional: opts == "optional", kin: sf.Tag.Get("kin"), form: sf.Tag.Get("form"), preset: sf.Tag.Get("default"), example: sf.Tag.Get("eg"), maximum: -1}
		if s := sf.Tag.Get("enum"); s != "" {
			f.enum = strings.Split(s, "|")
		}
		var err error
		if s := sf.Tag.Get("range"); s != "" {
			if f.limits, err = parseInterval(s); err != nil {
				return nil, fmt.Errorf("%v.%s: %w", t, sf.Name, err)
			}
		}
		if s := sf.Tag.Get("len"); s != "" {
			if _, err = fmt.Sscanf(s, "%d..%d", &f.minimum, &f.maximum); err != nil {
				return nil, fmt.Errorf("%v.%s: len %q: %w", t, sf.Name, s, err)
			}
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func parseInterval(s string) (*interval, error) {
	if len(s) < 5 {
		return nil, fmt.Errorf("range %q", s)
	}
	lows, tops, ok := strings.Cut(s[1:len(s)-1], ",")
	if !ok {
		return nil, fmt.Errorf("range %q has no comma", s)
	}
	r := &interval{lowOpen: s[0] == '(', topOpen: s[len(s)-1] == ')'}
	for text, v := range map[string]*float64{lows: &r.low, tops: &r.top} {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			d, err := time.ParseDuration(text)
			if err != nil {
				return nil, fmt.Errorf("range %q: %w", s, err)
			}
			n, r.duration = d.Seconds(), true
		}
		*v = n
	}
	return r, nil
}

// unitOf returns a key's unit and the other units that people take for it, with their factors.
func unitOf(name string) (unit string, mistaken []mistake) {
	angle := mistake{"degrees", math.Pi / 180}
	for _, u := range []struct {
		suffix, unit string
		mistaken     []mistake
	}{
		{"_radps2", "rad/s²", []mistake{{"degrees/s²", angle.factor}}},
		{"_radps", "rad/s", []mistake{{"degrees/s", angle.factor}}},
		{"_rad", "rad", []mistake{angle}},
		{"_mps2", "m/s²", []mistake{{"cm/s²", 0.01}, {"mm/s²", 0.001}}},
		{"_mps", "m/s", []mistake{{"km/h", 1 / 3.6}, {"cm/s", 0.01}, {"mm/s", 0.001}}},
		{"_mib", "MiB", nil},
		{"_bytes", "bytes", nil},
		{"_m", "m", []mistake{{"cm", 0.01}, {"mm", 0.001}}},
		{"vertices", "m", []mistake{{"cm", 0.01}, {"mm", 0.001}}},
		{"holes", "m", []mistake{{"cm", 0.01}, {"mm", 0.001}}},
		{"footprint", "m", []mistake{{"cm", 0.01}, {"mm", 0.001}}},
	} {
		if strings.HasSuffix(name, u.suffix) {
			return u.unit, u.mistaken
		}
	}
	return "", nil
}

type mistake struct {
	unit   string
	factor float64
}
