package geofence

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// TestEveryBoundOfAZoneIsItself: a number at the end of its range is taken, and the next beyond is refused, by its field.
func TestEveryBoundOfAZoneIsItself(t *testing.T) {
	kind := func(k Kind, more func(*ZoneSpec)) func(*ZoneSpec) {
		return func(z *ZoneSpec) {
			if z.Kind = k; more != nil {
				more(z)
			}
		}
	}
	number := func(field string, k Kind, at func(*ZoneSpec) *float64, least, most, step float64, more func(*ZoneSpec)) []boundCase {
		set := func(v float64) func(*ZoneSpec) {
			return kind(k, func(z *ZoneSpec) {
				if more != nil {
					more(z)
				}
				*at(z) = v
			})
		}
		return []boundCase{
			{field, set(least), true},
			{field, set(most), true},
			{field, set(least - step), false},
			{field, set(most + step), false},
			{field, set(math.NaN()), false},
		}
	}
	length := func(field string, k Kind, at func(*ZoneSpec) *time.Duration, most time.Duration, more func(*ZoneSpec)) []boundCase {
		set := func(d time.Duration) func(*ZoneSpec) {
			return kind(k, func(z *ZoneSpec) {
				if more != nil {
					more(z)
				}
				*at(z) = d
			})
		}
		return []boundCase{{field, set(1), true}, {field, set(most), true}, {field, set(0), false}, {field, set(most + 1), false}}
	}
	soft := func(z *ZoneSpec) { z.Limitation = Soft }
	goesOn := func(z *ZoneSpec) { z.Loss = LossContinue }
	heights := func(z *ZoneSpec) { z.Height = &Height{FromM: -100, ToM: 100} }
	var all []boundCase
	for _, more := range [][]boundCase{
		number("MaxSpeedMPS", SpeedLimit, func(z *ZoneSpec) *float64 { return &z.MaxSpeedMPS }, 0.001, 50, 1e-4, nil),
		number("MarginM", Blocked, func(z *ZoneSpec) *float64 { return &z.MarginM }, 0, 10, 1e-4, nil),
		number("WarnM", Blocked, func(z *ZoneSpec) *float64 { return &z.WarnM }, 0, 10, 1e-4, nil),
		number("DirectionRad", Directed, func(z *ZoneSpec) *float64 { return &z.DirectionRad }, -2*math.Pi, 2*math.Pi, 1e-4, soft),
		number("Height", Blocked, func(z *ZoneSpec) *float64 { return &z.Height.FromM }, -100, 99, 100, heights)[:3],
		number("Height", Blocked, func(z *ZoneSpec) *float64 { return &z.Height.ToM }, -99, 100, 1e-4, heights)[:2],
		length("MaxDwell", DwellLimit, func(z *ZoneSpec) *time.Duration { return &z.MaxDwell }, 24*time.Hour, nil),
		length("Within", NoStop, func(z *ZoneSpec) *time.Duration { return &z.Within }, 10*time.Minute, nil),
		length("Within", Release, func(z *ZoneSpec) *time.Duration { return &z.Within }, 10*time.Minute, goesOn),
	} {
		all = append(all, more...)
	}
	for n, c := range all {
		z := wall(0)
		c.edit(&z)
		_, err := Compile(site(z), wheels())
		var se *SpecError
		switch {
		case c.taken != (err == nil):
			t.Errorf("%d: %s of %+v: %v", n, c.field, z, err)
		case err != nil && (!errors.As(err, &se) || se.Field != c.field):
			t.Errorf("%d: %v, expected it to name %s", n, err, c.field)
		}
	}
}

// boundCase is a number of a zone at one end of its range, or beyond it.
type boundCase struct {
	field string
	edit  func(*ZoneSpec)
	taken bool
}

// TestAShiftHasSoManyWindows: up to its bound, and each within a day.
func TestAShiftHasSoManyWindows(t *testing.T) {
	for n, taken := range map[int]bool{0: false, 1: true, maxWindows: true, maxWindows + 1: false} {
		spec := site(wall(0))
		spec.Shifts = []ShiftSpec{{ID: "day"}}
		for k := range n {
			spec.Shifts[0].Windows = append(spec.Shifts[0].Windows, WindowSpec{allDays(), k, 1440})
		}
		spec.Location = berlin(t)
		if _, err := Compile(spec, wheels()); (err == nil) != taken {
			t.Errorf("%d windows: %v", n, err)
		}
	}
	for _, c := range []struct {
		from, to int
		taken    bool
	}{{0, 1440, true}, {1439, 1, true}, {-1, 5, false}, {1440, 5, false}, {5, 0, false}, {5, 1441, false}, {5, 5, false}} {
		spec := site(wall(0))
		spec.Location, spec.Shifts = berlin(t), []ShiftSpec{{ID: "day", Windows: []WindowSpec{{allDays(), c.from, c.to}}}}
		if _, err := Compile(spec, wheels()); (err == nil) != c.taken {
			t.Errorf("[%d, %d): %v", c.from, c.to, err)
		}
	}
}

// TestEveryPartIsInTheDigest: zones that are closed to different parts of a robot with very many are different sets.
func TestEveryPartIsInTheDigest(t *testing.T) {
	robot := limbed()
	c := robot.Chain
	const n = MaxParts - 10
	for i := range n {
		name := fmt.Sprint("finger", i)
		c.Joints = append(c.Joints, JointSpec{Name: name, Parent: "hand", Child: name, Kind: JointFixed})
		c.Parts = append(c.Parts, PartSpec{Link: name, To: [3]float64{0, 0, -0.1}, RadiusM: 0.01})
	}
	seen := map[uint64]string{}
	for _, i := range []int{0, 1, 58, 59, 60, n - 2, n - 1} { // its parts are numbered on from the torso's 5
		z := counter()
		z.Parts = []string{"finger"}
		c.Groups = append(c.Groups[:0], GroupSpec{"finger", []string{fmt.Sprint("finger", i)}})
		d := compile(t, site(z), robot).Digest()
		if other, same := seen[d]; same {
			t.Errorf("closed to finger %d and to %s: the same set", i, other)
		}
		seen[d] = fmt.Sprint("finger ", i)
	}
}

// TestAPartIsShownInMetres: as long and as thick as it was written, wherever its joints are.
func TestAPartIsShownInMetres(t *testing.T) {
	r := newLimbRig(t, limbed(), ZoneSpec{ID: "all", Kind: Blocked, Outer: rect(600, -1000, 1200, 1000), Height: &Height{0.7, 1.1}, Parts: []string{"all"}})
	r.rest(-3, 0.4, 0.7, 0.3, -0.9, -0.1)
	for i, p := range torso().Parts {
		c, ok := r.Capsule(i)
		long := math.Hypot(math.Hypot(p.From[0]-p.To[0], p.From[1]-p.To[1]), p.From[2]-p.To[2])
		got := math.Hypot(math.Hypot(c.From[0]-c.To[0], c.From[1]-c.To[1]), c.From[2]-c.To[2])
		if away := math.Hypot(c.From[0]+3, c.From[1]-0.4); !ok || c.Unknown || math.Abs(got-long) > 1e-9 || c.RadiusM != p.RadiusM || away > 1.2 {
			t.Errorf("%s: %+v, %v m long, %v m from the base; want %v m and a radius of %v", p.Link, c, got, away, long, p.RadiusM)
		}
	}
}

// TestAnewIsAsNew: what hysteresis kept is gone, nobody is warned by it, and what is saved then is taken back.
func TestAnewIsAsNew(t *testing.T) {
	ringed := wall(5000)
	ringed.WarnM = 0.5
	r := newRig(t, site(ringed), wheels())
	v := r.at(4.7, 0, 0)
	if !v.Hold || !v.Warn.On {
		t.Fatalf("inside: %+v", v)
	}
	r.pass(20 * time.Second)
	// Just outside of the ring, and within its release.
	x := 5 - 0.4 - 0.5 - v.MarginM - 0.05
	if v = r.at(x, 0, 0); !v.Hold || !v.Warn.On {
		t.Fatalf("kept by the dwell: %+v", v)
	}
	r.Anew()
	if err := New(r.set).RestoreState(r.AppendState(nil)); err != nil {
		t.Error(err)
	}
	r.pass(20 * time.Millisecond)
	if v = r.at(x, 0, 0); v.Hold || v.Place != Outside || v.Warn.On {
		t.Errorf("anew: %+v", v)
	}
}

// TestErrorsSayWhatWasExpected: of whatever is refused, the text says more than where it is.
func TestErrorsSayWhatWasExpected(t *testing.T) {
	z := wall(0)
	z.MarginM = 11
	_, err := Compile(site(z), wheels())
	if err == nil || !strings.Contains(err.Error(), "is 11 m, expected [0, 10]") || !strings.Contains(err.Error(), "wall") {
		t.Errorf("%v", err)
	}
}
