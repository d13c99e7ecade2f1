package config

import (
	"math"

	"github.com/robowarden/robowarden/geofence"
)

// LoadSpec is something that the robot can carry, by what it adds. Several at a time add up. What nobody vouches for the robot
// to have set down, it is taken to carry; see the topic mapping's facts and the policy's.
type LoadSpec struct {
	// ID is the load's name in the topic mapping.
	ID string `cfg:"id" form:"id" eg:"id: tray"`
	// Footprint is the load's outline in the base frame; at most one of footprint, box and capsule is given, and none for a load
	// that stays within the robot's outline.
	Footprint []Point `cfg:"footprint,optional" len:"3..32" range:"[-10,10]" eg:"footprint: [[0.3, -0.3], [0.9, -0.3], [0.9, 0.3], [0.3, 0.3]]"`
	// Box is an outline with sides along the base frame's axes.
	Box *LoadBox `cfg:"box,optional" eg:"box: {length_m: 0.6, width_m: 0.6, x_m: 0.6, y_m: 0}"`
	// Capsule is all that is within a distance of a line.
	Capsule *LoadCapsule `cfg:"capsule,optional" eg:"capsule: {line: [[-0.4, 0], [-1.2, 0]], radius_m: 0.35}"`
	// HeightM is the robot's height in metres with the load; absent, the load does not change it.
	HeightM float64 `cfg:"height_m,optional" range:"(0,5]" eg:"height_m: 1.8"`
	// DecelMPS2 is the deceleration of a controlled stop with the load, in m/s²; absent, as without.
	DecelMPS2 float64 `cfg:"decel_mps2,optional" range:"(0,20]" eg:"decel_mps2: 0.5"`
	// AngularDecelRadPS2 is the same for turning, in rad/s².
	AngularDecelRadPS2 float64 `cfg:"angular_decel_radps2,optional" range:"(0,50]" eg:"angular_decel_radps2: 1.0"`
	// Docks is true if the robot may return to its dock with the load. Absent, it holds instead for as long as it carries it.
	Docks bool `cfg:"docks,optional" eg:"docks: true"`
}

// LoadBox is a rectangle in the base frame.
type LoadBox struct {
	// LengthM is along x, in metres.
	LengthM float64 `cfg:"length_m" range:"(0,10]" eg:"length_m: 0.6"`
	// WidthM is along y, in metres.
	WidthM float64 `cfg:"width_m" range:"(0,10]" eg:"width_m: 0.6"`
	// XM is the x of its middle, in metres.
	XM float64 `cfg:"x_m" range:"[-10,10]" eg:"x_m: 0.6"`
	// YM is the y of its middle, in metres.
	YM float64 `cfg:"y_m" range:"[-10,10]" eg:"y_m: 0"`
}

// LoadCapsule is a line with all that is near to it, in the base frame.
type LoadCapsule struct {
	// Line is from one point to another.
	Line []Point `cfg:"line" len:"2..2" range:"[-10,10]" eg:"line: [[-0.4, 0], [-1.2, 0]]"`
	// RadiusM is the distance, in metres.
	RadiusM float64 `cfg:"radius_m" range:"(0,5]" eg:"radius_m: 0.35"`
}

// outline is the load's outline for the geofence, nil for a load without one. A capsule's ends become octagons around their
// circles, at most 8 % of the radius larger.
func (l *LoadSpec) outline() []geofence.Vertex {
	switch {
	case l.Box != nil:
		b := l.Box
		x, y := b.LengthM/2, b.WidthM/2
		return outwards([]Point{{b.XM + x, b.YM + y}, {b.XM - x, b.YM + y}, {b.XM - x, b.YM - y}, {b.XM + x, b.YM - y}}, Point{b.XM, b.YM})
	case l.Capsule != nil:
		const tan = 0.41421356237309503 // of 22.5°
		var all []geofence.Vertex
		for _, p := range l.Capsule.Line {
			r, t := l.Capsule.RadiusM, l.Capsule.RadiusM*tan
			east, west, north, south := p.X+r, p.X-r, p.Y+r, p.Y-r
			octagon := []Point{{east, p.Y + t}, {p.X + t, north}, {p.X - t, north}, {west, p.Y + t}}
			octagon = append(octagon, Point{west, p.Y - t}, Point{p.X - t, south}, Point{p.X + t, south}, Point{east, p.Y - t})
			all = append(all, outwards(octagon, p)...)
		}
		return geofence.Hull(all)
	}
	return millimetres(l.Footprint)
}

// outwards rounds points to millimetres, away from the middle of what they go round.
func outwards(points []Point, middle Point) []geofence.Vertex {
	out := make([]geofence.Vertex, len(points))
	for i, p := range points {
		out[i] = geofence.Vertex{X: outward(p.X, middle.X), Y: outward(p.Y, middle.Y)}
	}
	return out
}

func outward(v, middle float64) int32 {
	const noise = 1e-6 // of a millimetre: what a decimal number is off by
	if v < middle {
		return int32(math.Floor(v*1000 + noise)) //nolint:gosec // within ±20 m
	}
	return int32(math.Ceil(v*1000 - noise)) //nolint:gosec // as above
}

// fenceLoads are the loads in the geofence's terms.
func (p *Profile) fenceLoads() []geofence.LoadSpec {
	var out []geofence.LoadSpec
	for i := range p.Loads {
		l := &p.Loads[i]
		out = append(out, geofence.LoadSpec{
			Name: l.ID, Outline: l.outline(), HeightM: l.HeightM, DecelMPS2: l.DecelMPS2, AngularDecelRadPS2: l.AngularDecelRadPS2,
		})
	}
	return out
}

// DockLoads are the loads with which the robot may return to its dock.
func (p *Profile) DockLoads() (set geofence.LoadSet) {
	for i := range p.Loads {
		if p.Loads[i].Docks {
			set |= 1 << i
		}
	}
	return set
}

// LargestRadiusM is the distance in metres of the farthest corner of the outline with every load from the base's origin.
func (p *Profile) LargestRadiusM() float64 {
	most := p.Body.RadiusM()
	for i := range p.Loads {
		for _, v := range p.Loads[i].outline() {
			x, y := float64(v.X)/1000, float64(v.Y)/1000
			most = max(most, math.Sqrt(x*x+y*y))
		}
	}
	return most
}

// checkLoads checks what the types cannot say about loads.
func (d *document) checkLoads(p *Profile) {
	d.unique("loads", "id", names(p.Loads, func(l LoadSpec) string { return l.ID }))
	for i := range p.Loads {
		l := &p.Loads[i]
		where := at("loads", i)
		if l.ID == FactNone {
			d.wrong(where.child("id"), ruleExclusive, "another name than "+FactNone+", which means no load", l.ID, "")
		}
		shapes := 0
		for _, key := range []string{"footprint", "box", "capsule"} {
			if d.has("loads", i, key) {
				shapes++
			}
		}
		if shapes > 1 {
			d.wrong(where, ruleExclusive, "at most one of footprint, box and capsule", count(shapes, "shape"), "draw one around all, or list two loads")
		}
		if shapes == 0 && !d.has("loads", i, "height_m") && !d.has("loads", i, "decel_mps2") && !d.has("loads", i, "angular_decel_radps2") && l.Docks && d.clean("loads", i) {
			d.wrong(where, "no-effect", "a shape, a height or a deceleration", "none of them", "a load that changes nothing need not be listed")
		}
		if l.HeightM < p.Body.HeightM && l.HeightM > 0 {
			d.wrong(where.child("height_m"), ruleOrder, "at least the body's height_m ("+trimFloat(p.Body.HeightM)+")", trimFloat(l.HeightM), "it is the robot's height with the load")
		}
		d.atMost(where.child("decel_mps2"), l.DecelMPS2, "motion.decel_mps2", p.Motion.DecelMPS2)
		d.atMost(where.child("angular_decel_radps2"), l.AngularDecelRadPS2, "motion.angular_decel_radps2", p.Motion.AngularDecelRadPS2)
		d.onGrid(where.child("footprint"), l.Footprint)
	}
}
