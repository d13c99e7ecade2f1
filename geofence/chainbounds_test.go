package geofence

import (
	"errors"
	"math"
	"testing"
	"time"
)

// chainCase is a number of a robot's chain at one end of its range, or beyond it.
type chainCase struct {
	field string
	edit  func(*ChainSpec)
	taken bool
}

// endsOf are a number's ends, which are taken, and what lies beyond them, which is not.
func endsOf(field string, at func(*ChainSpec) *float64, least, most, step float64, more ...func(*ChainSpec)) []chainCase {
	set := func(v float64) func(*ChainSpec) {
		return func(c *ChainSpec) {
			for _, f := range more {
				f(c)
			}
			*at(c) = v
		}
	}
	return []chainCase{
		{field, set(least), true},
		{field, set(most), true},
		{field, set(least - step), false},
		{field, set(most + step), false},
		{field, set(math.NaN()), false},
		{field, set(math.Inf(1)), false},
		{field, set(math.Inf(-1)), false},
	}
}

// TestEveryBoundOfAChainIsItself: a number at the end of its range is taken, and the next beyond is refused, by its field.
func TestEveryBoundOfAChainIsItself(t *testing.T) {
	bent := func(c *ChainSpec) *JointSpec { return &c.Joints[2] }
	slide := func(c *ChainSpec) { c.Joints[2].Kind, c.JointErrorM = JointPrismatic, 0.001 }
	spread := func(c *ChainSpec) { c.Joints[2].Min, c.Joints[2].Max = -0.5, 0.5 }
	high := func(c *ChainSpec) { c.BaseHighM = 5 }
	least, most := func(c *ChainSpec) *float64 { return &bent(c).Min }, func(c *ChainSpec) *float64 { return &bent(c).Max }
	all := [][]chainCase{
		endsOf("BaseLowM", func(c *ChainSpec) *float64 { return &c.BaseLowM }, -5, 5, 1e-4, high),
		endsOf("BaseHighM", func(c *ChainSpec) *float64 { return &c.BaseHighM }, 0.8, 5, 1e-4),
		endsOf("TiltRad", func(c *ChainSpec) *float64 { return &c.TiltRad }, 0, 0.5, 1e-4),
		endsOf("JointErrorRad", func(c *ChainSpec) *float64 { return &c.JointErrorRad }, 1e-4, 0.5, 1e-5),
		endsOf("JointErrorM", func(c *ChainSpec) *float64 { return &c.JointErrorM }, 1e-5, 0.5, 1e-6, slide),
		endsOf("JointErrorM", func(c *ChainSpec) *float64 { return &c.JointErrorM }, 1e-5, 0.5, 1e-6), // given, though nothing slides
		endsOf("Scale", func(c *ChainSpec) *float64 { return &bent(c).Scale }, 0.001, 100, 1e-4),
		endsOf("Scale", func(c *ChainSpec) *float64 { return &bent(c).Scale }, -100, -0.001, 1e-4),
		endsOf("Offset", func(c *ChainSpec) *float64 { return &bent(c).Offset }, -100, 100, 1e-4),
		endsOf("MaxVelocity", func(c *ChainSpec) *float64 { return &bent(c).MaxVelocity }, math.SmallestNonzeroFloat64, 1000, 1e-4),
		endsOf("Min", least, -1000, math.Nextafter(3, 0), 1, func(c *ChainSpec) { bent(c).Max = 3 }),
		endsOf("Min", most, math.Nextafter(-3, 0), 1000, 1, func(c *ChainSpec) { bent(c).Min = -3 }),
		endsOf("Min", least, -10, 0.4, 0.1, slide, spread),
		endsOf("Min", most, -0.4, 10, 0.1, slide, spread),
		endsOf("RadiusM", func(c *ChainSpec) *float64 { return &c.Parts[0].RadiusM }, 0.001, 5, 1e-4),
		endsOf("HalfAngleRad", func(c *ChainSpec) *float64 { return &c.Cameras[0].HalfAngleRad }, 0.05, 3.2, 1e-4),
		endsOf("RangeM", func(c *ChainSpec) *float64 { return &c.Cameras[0].RangeM }, 0.1, 1000, 1e-4),
	}
	for n := range 3 {
		for _, at := range []func(*ChainSpec) *float64{
			func(c *ChainSpec) *float64 { return &bent(c).Origin.XYZ[n] }, func(c *ChainSpec) *float64 { return &c.Parts[1].Origin.XYZ[n] },
			func(c *ChainSpec) *float64 { return &c.Parts[1].From[n] }, func(c *ChainSpec) *float64 { return &c.Parts[1].To[n] },
			func(c *ChainSpec) *float64 { return &c.Cameras[0].Origin.XYZ[n] },
		} {
			all = append(all, endsOf("Origin", at, -10, 10, 1e-4))
		}
		all = append(all, endsOf("Origin", func(c *ChainSpec) *float64 { return &bent(c).Origin.RPY[n] }, -100, 100, 1e-4))
	}
	all = append(all, []chainCase{
		{"Min", func(c *ChainSpec) { bent(c).Min, bent(c).Max = 0.5, 0.5 }, false}, // end stops that leave no way between them
		{"Number", func(c *ChainSpec) { bent(c).Number = 0 }, true},
		{"Number", func(c *ChainSpec) { bent(c).Number = MaxJoints - 1 }, true},
		{"Number", func(c *ChainSpec) { bent(c).Number = -1 }, false},
		{"Number", func(c *ChainSpec) { bent(c).Number = MaxJoints }, false},
		{"Reaction", func(c *ChainSpec) { c.Reaction = time.Millisecond }, true},
		{"Reaction", func(c *ChainSpec) { c.Reaction = time.Millisecond - 1 }, false},
		{"Reaction", func(c *ChainSpec) { c.Reaction = 10 * time.Second }, true},
		{"Reaction", func(c *ChainSpec) { c.Reaction = 10*time.Second + 1 }, false},
		{"MaxAge", func(c *ChainSpec) { c.MaxAge = time.Millisecond }, true},
		{"MaxAge", func(c *ChainSpec) { c.MaxAge = time.Millisecond - 1 }, false},
		{"MaxAge", func(c *ChainSpec) { c.MaxAge = 5 * time.Second }, true},
		{"MaxAge", func(c *ChainSpec) { c.MaxAge = 5*time.Second + 1 }, false},
	})
	for _, cases := range all {
		for n, c := range cases {
			robot := limbed()
			c.edit(robot.Chain)
			_, err := Compile(site(counter()), robot)
			var se *SpecError
			switch {
			case c.taken != (err == nil):
				t.Errorf("%s, case %d, expected taken %t: %v", c.field, n, c.taken, err)
			case err != nil && (!errors.As(err, &se) || se.Field != c.field):
				t.Errorf("%s, case %d: %v, expected it to name the field", c.field, n, err)
			}
		}
	}
}
