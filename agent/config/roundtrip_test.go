package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// writer writes a document from a struct's tags: the decoder's opposite, for tests.
type writer struct {
	dec *decoder
	b   strings.Builder
}

func (w *writer) group(v reflect.Value, indent string) {
	for _, f := range w.dec.fields[v.Type()] {
		fv := v.Field(f.index)
		if f.optional && fv.IsZero() {
			continue
		}
		fmt.Fprintf(&w.b, "%s%s:", indent, f.name)
		w.value(fv, indent)
		w.b.WriteString("\n")
	}
}

// value writes a value behind its key or dash.
func (w *writer) value(v reflect.Value, indent string) {
	switch x := v.Interface().(type) {
	case time.Duration:
		w.b.WriteString(" " + shortDuration(x))
		return
	case Point:
		fmt.Fprintf(&w.b, " [%v, %v]", x.X, x.Y)
		return
	case Days:
		var names []string
		for d := range 7 {
			if x.Has(time.Weekday(d)) {
				names = append(names, dayNames()[d])
			}
		}
		w.b.WriteString(" [" + strings.Join(names, ", ") + "]")
		return
	case time.Time:
		w.b.WriteString(" " + strconv.Quote(x.Format(time.RFC3339)))
		return
	case Timezone:
		w.b.WriteString(" " + x.Name)
		return
	case Digest, TimeOfDay:
		w.b.WriteString(" " + strconv.Quote(fmt.Sprint(x)))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		w.value(v.Elem(), indent)
	case reflect.Struct:
		before := w.b.Len()
		w.b.WriteString("\n")
		w.group(v, indent+"  ")
		if w.b.Len() == before+1 {
			w.b.WriteString(indent + "  {}")
		}
	case reflect.Slice:
		if v.Len() == 0 {
			w.b.WriteString(" []")
		}
		for i := range v.Len() {
			w.b.WriteString("\n" + indent + "  -")
			w.value(v.Index(i), indent+"  ")
		}
	case reflect.String:
		w.b.WriteString(" '" + strings.ReplaceAll(v.String(), "'", "''") + "'")
	default:
		fmt.Fprintf(&w.b, " %v", v.Interface())
	}
}

// drawer draws values that the tags allow.
type drawer struct{ dec *decoder }

func (d *drawer) group(t *rapid.T, v reflect.Value) {
	for _, f := range d.dec.fields[v.Type()] {
		if f.optional && rapid.IntRange(0, 2).Draw(t, f.name+"?") == 0 {
			if f.preset != "" {
				preset(v.Field(f.index), &f)
			}
			continue
		}
		d.value(t, v.Field(f.index), &f)
	}
}

func (d *drawer) value(t *rapid.T, v reflect.Value, f *field) {
	switch v.Type() {
	case durationType:
		low := int64(f.limits.low * 1000)
		v.SetInt(rapid.Int64Range(low+1, int64(f.limits.top*1000)-1).Draw(t, f.name) * int64(time.Millisecond))
		return
	case pointType:
		for i := range 2 {
			v.Field(i).SetFloat(float64(rapid.IntRange(int(f.limits.low)*1000, int(f.limits.top)*1000).Draw(t, f.name)) / 1000)
		}
		return
	case daysType:
		v.SetUint(uint64(rapid.IntRange(1, 127).Draw(t, f.name)))
		return
	case timeType:
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, f.name), 0).UTC()))
		return
	case timezoneType:
		name := rapid.SampledFrom([]string{"Europe/Berlin", "UTC", "America/New_York"}).Draw(t, f.name)
		loc, _ := loadZone(name)
		v.Set(reflect.ValueOf(Timezone{name, loc}))
		return
	case digestType:
		var dg Digest
		copy(dg[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, f.name))
		v.Set(reflect.ValueOf(dg))
		return
	case timeOfDayType:
		v.SetInt(int64(rapid.IntRange(0, minutesPerDay).Draw(t, f.name)))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(t, v.Elem(), f)
	case reflect.Struct:
		d.group(t, v)
	case reflect.Slice:
		low, top := 0, 3
		if v.Type() == f.typ {
			low, top = f.minimum, min(f.maximum, f.minimum+3)
		}
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(low, top).Draw(t, f.name), top))
		for i := range v.Len() {
			d.value(t, v.Index(i), f)
		}
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, f.name))
	case reflect.String:
		v.SetString(d.text(t, f))
	case reflect.Float64:
		x := rapid.Float64Range(f.limits.low, f.limits.top).Filter(f.limits.holds).Draw(t, f.name)
		v.SetFloat(x + 0)
	default:
		v.SetInt(rapid.Int64Range(int64(math.Ceil(f.limits.low)), int64(f.limits.top)).Draw(t, f.name))
	}
}

func (d *drawer) text(t *rapid.T, f *field) string {
	if len(f.enum) > 0 {
		return rapid.SampledFrom(f.enum).Draw(t, f.name)
	}
	form, _ := formNamed(f.form)
	if f.form == "http" {
		return "http://10.0.0.1:11311"
	}
	if f.form == "tls" {
		return "tls://broker.example:18883"
	}
	if f.form == "ip" {
		return rapid.SampledFrom([]string{"127.0.0.1", "::1", "192.168.123.161", "fe80::2"}).Draw(t, f.name)
	}
	if f.form == "ipport" {
		return rapid.SampledFrom([]string{"127.0.0.1:502", "[::1]:1502", "192.168.123.50:502"}).Draw(t, f.name)
	}
	if f.form == "publisher" {
		return rapid.SampledFrom([]string{"/plant", "/robot/planner", "dds:192.168.123.161", "dds:fe80::2"}).Draw(t, f.name)
	}
	if f.form == "vendortype" || f.form == "commandtype" {
		return rapid.SampledFrom([]string{"sensor_msgs/Imu", "unitree_hg::msg::dds_::LowState_", "a::B"}).Draw(t, f.name)
	}
	if f.form == "rostype" {
		other := regexp.MustCompile("^[^/]*/[^/]*$") // the other spelling comes back as this one
		form.regexp = func() *regexp.Regexp { return other }
	}
	if f.form != "" && f.form != "text" && f.form != "path" {
		return rapid.StringMatching(regexp.MustCompile(`[{]0,[0-9]+[}]`).ReplaceAllString(form.pattern, "{0,8}")).Filter(form.regexp().MatchString).Draw(t, f.name)
	}
	n := max(f.minimum, 1)
	return rapid.StringMatching(fmt.Sprintf(`[a-zäß0-9]{%d,%d}[ a-z:#'"\[{&*!|-]{0,4}`, n, n+2)).Draw(t, f.name)
}

// TestRoundTrip writes random documents of every kind and decodes them to the same values, without a fault.
func TestRoundTrip(t *testing.T) {
	for kind, typ := range documentTypes() {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				dec := &decoder{fields: map[reflect.Type][]field{}}
				if err := dec.learn(typ); err != nil {
					t.Fatal(err)
				}
				want := reflect.New(typ)
				(&drawer{dec}).group(t, want.Elem())
				w := &writer{dec: dec}
				fmt.Fprintf(&w.b, "kind: %s\nversion: 1\n", kind)
				w.group(want.Elem(), "")

				out := newProblems()
				d := parse("x.yaml", []byte(w.b.String()), out)
				d.sniff()
				got := reflect.New(typ)
				if err := d.decode(got.Interface()); err != nil {
					t.Fatal(err)
				}
				if len(out.List) > 0 {
					t.Fatalf("%s\n%v", w.b.String(), out)
				}
				if diff := cmp.Diff(want.Interface(), got.Interface(), cmp.Comparer(sameZone)); diff != "" {
					t.Fatalf("%s\n%s", w.b.String(), diff)
				}
			})
		})
	}
}

func sameZone(a, b *time.Location) bool { return a.String() == b.String() }
