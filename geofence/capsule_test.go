package geofence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The oracle knows nothing of slabs, rims and wedges: it looks at many points of a
// segment, and asks for each how far it is from the prism.

func oracleInside(ring []Vertex, x, y float64) bool {
	in := false
	for i := range ring {
		a, b := ring[i], ring[(i+1)%len(ring)]
		if (float64(a.Y) > y) != (float64(b.Y) > y) &&
			x < float64(b.X-a.X)*(y-float64(a.Y))/float64(b.Y-a.Y)+float64(a.X) {
			in = !in
		}
	}
	return in
}

func oraclePoint(ring []Vertex, low, high, x, y, z float64) float64 {
	flat := 0.0
	if !oracleInside(ring, x, y) {
		flat = math.Inf(1)
		for i := range ring {
			a, b := ring[i], ring[(i+1)%len(ring)]
			dx, dy := float64(b.X-a.X), float64(b.Y-a.Y)
			t := ((x-float64(a.X))*dx + (y-float64(a.Y))*dy) / (dx*dx + dy*dy)
			t = math.Max(0, math.Min(1, t))
			flat = math.Min(flat, math.Hypot(x-float64(a.X)-t*dx, y-float64(a.Y)-t*dy))
		}
	}
	return math.Hypot(flat, math.Max(0, math.Max(low-z, z-high)))
}

// oracleSegment is right to half a step between two points.
func oracleSegment(ring []Vertex, low, high float64, a, b vec3) (least, doubt float64) {
	const n = 400
	least = math.Inf(1)
	for i := range n + 1 {
		t := float64(i) / n
		least = math.Min(least, oraclePoint(ring, low, high, a.x+t*(b.x-a.x), a.y+t*(b.y-a.y), a.z+t*(b.z-a.z)))
	}
	return least, math.Sqrt((b.x-a.x)*(b.x-a.x)+(b.y-a.y)*(b.y-a.y)+(b.z-a.z)*(b.z-a.z)) / n / 2
}

func drawRing(t *rapid.T) []Vertex {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shape"), 1))
	return star(rng, 0, 0, rapid.Float64Range(100, 2000).Draw(t, "size"), rapid.IntRange(3, 16).Draw(t, "corners"))
}

func TestPrismGapAgreesWithTheOracle(t *testing.T) {
	f := New(compile(t, site(wall(5000)), wheels()))
	rapid.Check(t, func(t *rapid.T) {
		ring := drawRing(t)
		edges := ringEdges(nil, ring)
		low := rapid.Float64Range(-1000, 1000).Draw(t, "low")
		high := low + rapid.Float64Range(1, 1500).Draw(t, "thick")
		if rapid.IntRange(0, 3).Draw(t, "endless") == 0 {
			low, high = math.Inf(-1), math.Inf(1)
		}
		at := func(label string) vec3 {
			return vec3{rapid.Float64Range(-3000, 3000).Draw(t, label), rapid.Float64Range(-3000, 3000).Draw(t, label), rapid.Float64Range(-2000, 2000).Draw(t, label)}
		}
		c := capsule{a: at("a"), b: at("b")}
		switch rapid.IntRange(0, 5).Draw(t, "special") {
		case 0:
			c.b = c.a
		case 1:
			c.b.z = c.a.z
		case 2:
			c.b.x, c.b.y = c.a.x, c.a.y
		}
		const limit = 1e5
		f.work = 0
		got := f.prismGap(edges, boxOf(edges), low, high, &c, limit)
		want, doubt := oracleSegment(ring, low, high, c.a, c.b)
		// Whether a point is in the polygon is decided on the grid of 1 mm.
		if !(got <= want+1) || !(got >= want-doubt-1) {
			t.Fatalf("gap %v, oracle %v ± %v", got, want, doubt)
		}
		cut := f.prismGap(edges, boxOf(edges), low, high, &c, got/2+1)
		if cut > got+1e-9 || cut < math.Min(got, got/2+1)-1e-9 {
			t.Fatalf("with the limit %v the gap %v is %v", got/2+1, got, cut)
		}
	})
}

// TestOracleSeesTheMissingRim is the off run: without the covers' rims, a segment
// above the prism is taken to be farther or nearer than it is.
func TestOracleSeesTheMissingRim(t *testing.T) {
	ring := rect(0, 0, 1000, 1000)
	c := capsule{a: vec3{1300, 500, 700}, b: vec3{1300, 500, 700}}
	fromWall := vec3{c.a.x - 1000, c.a.y, c.a.z}
	flat := math.Sqrt(flat2(fromWall, fromWall, 0, 1000))
	want, _ := oracleSegment(ring, 0, 300, c.a, c.b)
	if math.Abs(want-500) > 1e-9 || math.Abs(flat-want) < 100 {
		t.Errorf("oracle %v, in the plane %v", want, flat)
	}
}

// TestViewsAgreeWithTheOracle shoots rays within the cone: whatever one of them hits must be seen.
func TestViewsAgreeWithTheOracle(t *testing.T) {
	f := New(compile(t, site(wall(5000)), wheels()))
	hits, tight := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		ring := drawRing(t)
		edges := ringEdges(nil, ring)
		seed := rapid.Uint64().Draw(t, "rays")
		rng := rand.New(rand.NewPCG(seed, 2))
		low := -500 + 1000*rng.Float64()
		high := low + 50 + 800*rng.Float64()
		c := cone{
			at:   vec3{6000 * (rng.Float64() - 0.5), 6000 * (rng.Float64() - 0.5), 1000 * (rng.Float64() - 0.5)},
			axis: vec3{rng.NormFloat64(), rng.NormFloat64(), 0.5 * rng.NormFloat64()}, half: 0.05 + 1.6*rng.Float64(), reach: 500 + 4000*rng.Float64(),
		}
		c.axis = c.axis.scale(1 / c.axis.norm())
		w := c.wedge(0, 0)
		seen := f.sees(&w, edges, boxOf(edges), low, high)
		hit := false
		for range 300 {
			d := vec3{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
			d = d.scale(1 / d.norm())
			// Turn a random direction towards the axis until it is within the cone.
			for math.Acos(math.Min(1, d.dot(c.axis))) > c.half {
				d = d.add(c.axis)
				d = d.scale(1 / d.norm())
			}
			for s := 0.0; s <= c.reach && !hit; s += 40 {
				p := c.at.add(d.scale(s))
				hit = p.z >= low && p.z <= high && oracleInside(ring, p.x, p.y)
			}
		}
		if hit {
			hits++
		}
		if hit == seen {
			tight++
		}
		if hit && !seen {
			t.Fatalf("a ray of %+v meets the prism %v to %v over %v, and it is not seen", c, low, high, ring)
		}
		wide := c.wedge(100, 0.1)
		if seen && !f.sees(&wide, edges, boxOf(edges), low, high) {
			t.Fatalf("seen without margins and not with them")
		}
	})
	t.Logf("%d hits; in %d cases rays and cone agree", hits, tight)
	if hits == 0 {
		t.Error("no ray ever hit")
	}
}

// TestPartZonesLoosenNothing adds zones for parts and views: what the contour may do stays as it was.
func TestPartZonesLoosenNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := []ZoneSpec{wall(3000), {ID: "slow", Kind: SpeedLimit, MaxSpeedMPS: 0.4, Outer: rect(-3000, -3000, 500, 500)}}
		more := append(append([]ZoneSpec{}, base...), counter(), glass())
		robot := limbed()
		a, b := newRig(t, site(base...), robot), newRig(t, site(more...), robot)
		for range 30 {
			x, yaw := rapid.Float64Range(-4, 4).Draw(t, "x"), rapid.Float64Range(-3, 3).Draw(t, "yaw")
			q := []float64{0, rapid.Float64Range(-2, 2).Draw(t, "q")}
			for _, r := range []*rig{a, b} {
				r.pass(30 * time.Second)
				r.pose(q...)
			}
			v, w := *a.at(x, 0, yaw), *b.at(x, 0, yaw)
			la, lb := a.limit(Velocity{VX: 1}), b.limit(Velocity{VX: 1})
			// What it adds is about arms and cameras alone.
			v.Parts, w.Parts, w.Manipulators, w.Perception = PartsVerdict{}, PartsVerdict{}, v.Manipulators, v.Perception
			if v != w || la != lb {
				t.Fatalf("with part zones %+v %+v\nwithout %+v %+v", w, lb, v, la)
			}
		}
	})
}

// TestMoreDoubtNeverLoosens raises one error after the other.
func TestMoreDoubtNeverLoosens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := func(label string, low, top float64) float64 { return rapid.Float64Range(low, top).Draw(t, label) }
		x, y, yaw := f("x", -1, 1), f("y", -1, 1), f("yaw", -3, 3)
		q := []float64{f("waist", -3, 3), f("shoulder", -2, 2), f("elbow", -2, 2), f("neck", -2, 2)}
		place := func(robot Robot, std float64, spoil func(*Posture)) (parts, view Place) {
			r := newRig(t, site(counter(), glass()), robot)
			p := Posture{Boot: r.now.Boot, Known: math.MaxUint64, HasVelocity: true}
			copy(p.Position[:], q)
			spoil(&p)
			r.Posture(&p)
			r.in.Pose.VarX, r.in.Pose.VarY = std*std, std*std
			v := r.at(x, y, yaw)
			return v.Parts.Place, v.Parts.View
		}
		none := func(*Posture) {}
		parts, view := place(limbed(), 0.01, none)
		check := func(name string, robot Robot, std float64, spoil func(*Posture)) {
			p, w := place(robot, std, spoil)
			if p < parts || w < view {
				t.Fatalf("%s: parts %v, view %v; without %v, %v", name, p, w, parts, view)
			}
		}
		change := func(edit func(*ChainSpec)) Robot { r := limbed(); edit(r.Chain); return r }
		check("joint error", change(func(c *ChainSpec) { c.JointErrorRad = f("error", 0.001, 0.2) }), 0.01, none)
		check("reaction", change(func(c *ChainSpec) { c.Reaction = time.Second }), 0.01, none)
		check("tilt", change(func(c *ChainSpec) { c.TiltRad = f("tilt", 0, 0.3) }), 0.01, none)
		check("base height", change(func(c *ChainSpec) { c.BaseLowM -= f("lower", 0, 0.5); c.BaseHighM += f("higher", 0, 0.5) }), 0.01, none)
		check("pose", limbed(), f("std", 0.01, 0.08), none)
		check("speed", limbed(), 0.01, func(p *Posture) { p.Velocity[rapid.IntRange(0, 3).Draw(t, "joint")] = f("speed", -10, 10) })
		check("unknown joint", limbed(), 0.01, func(p *Posture) { p.Known &^= 1 << rapid.IntRange(0, 3).Draw(t, "lost") })
	})
}

// TestPartsAreTheSameElsewhere turns site and pose by quarters and moves both.
func TestPartsAreTheSameElsewhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ring, x, y := drawRing(t), rapid.Float64Range(-2.5, 2.5).Draw(t, "x"), rapid.Float64Range(-2.5, 2.5).Draw(t, "y")
		yaw := rapid.Float64Range(-3, 3).Draw(t, "yaw")
		q := []float64{rapid.Float64Range(-3, 3).Draw(t, "waist"), rapid.Float64Range(-2, 2).Draw(t, "shoulder")}
		quarters := rapid.IntRange(0, 3).Draw(t, "quarters")
		mx, my := rapid.Int32Range(-500_000, 500_000).Draw(t, "mx"), rapid.Int32Range(-500_000, 500_000).Draw(t, "my")
		z := ZoneSpec{ID: "z", Kind: Blocked, Outer: ring, Height: &Height{0.6, 1.5}, Parts: []string{"all"}}
		a := newLimbRig(t, limbed(), z)
		moved := make([]Vertex, len(ring))
		for i, v := range ring {
			for range quarters {
				v = Vertex{-v.Y, v.X}
			}
			moved[i] = Vertex{v.X + mx, v.Y + my}
		}
		z.Outer = moved
		b := newLimbRig(t, limbed(), z)
		a.pose(q...)
		b.pose(q...)
		v := a.at(x, y, yaw).Parts
		for range quarters {
			x, y = -y, x
		}
		w := b.at(x+float64(mx)/1000, y+float64(my)/1000, yaw+float64(quarters)*math.Pi/2).Parts
		if v.N != w.N || v.N == 1 && math.Abs(v.Near[0].MarginM-w.Near[0].MarginM) > 0.002 {
			// On the very edge between two places rounding may decide.
			if math.Abs(v.Near[0].MarginM-v.Near[0].NeedM) > 0.002 && math.Abs(w.Near[0].MarginM-w.Near[0].NeedM) > 0.002 {
				t.Fatalf("%+v\n%+v", v.Near[:v.N], w.Near[:w.N])
			}
		}
	})
}

// humanoid has 30 parts on 28 joints.
func humanoid() *ChainSpec {
	c := &ChainSpec{
		Base: "pelvis", BaseLowM: 0.75, BaseHighM: 0.8, JointErrorRad: 0.005, Reaction: 150 * time.Millisecond, MaxAge: 100 * time.Millisecond,
	}
	all, n := GroupSpec{Name: "all"}, 0
	add := func(parent, child string, at, axis, to [3]float64) {
		c.Joints = append(c.Joints, JointSpec{
			Name: child, Parent: parent, Child: child, Kind: JointRevolute, Origin: Origin{XYZ: at, RPY: [3]float64{0.01, -0.02, 0}}, Axis: axis,
			Number: n, Scale: 1, Min: -2.5, Max: 2.5, MaxVelocity: 15,
		})
		c.Parts = append(c.Parts, PartSpec{Link: child, To: to, RadiusM: 0.05})
		all.Links = append(all.Links, child)
		n++
	}
	axes := [...][3]float64{{0, 1, 0}, {1, 0, 0}, {0, 0, 1}}
	limb := func(parent, name string, joints int, at, step [3]float64) {
		for i := range joints {
			child := fmt.Sprint(name, i)
			add(parent, child, at, axes[i%3], step)
			parent, at = child, step
		}
	}
	limb("pelvis", "trunk", 2, [3]float64{0, 0, 0.1}, [3]float64{0, 0, 0.2})
	limb("pelvis", "leftleg", 6, [3]float64{0, 0.1, 0}, [3]float64{0, 0, -0.12})
	limb("pelvis", "rightleg", 6, [3]float64{0, -0.1, 0}, [3]float64{0, 0, -0.12})
	limb("trunk1", "leftarm", 7, [3]float64{0, 0.2, 0.1}, [3]float64{0.02, 0, -0.09})
	limb("trunk1", "rightarm", 7, [3]float64{0, -0.2, 0.1}, [3]float64{0.02, 0, -0.09})
	for _, link := range []string{"pelvis", "trunk1"} {
		c.Parts = append(c.Parts, PartSpec{Link: link, To: [3]float64{0, 0, 0.1}, RadiusM: 0.15})
	}
	all.Links = append(all.Links, "pelvis")
	c.Groups = []GroupSpec{all}
	return c
}

// BenchmarkParts is a full check: joint states, pose, contour, 30 parts and a command
// against 1 000 zones; every second zone binds all parts, every zone the contour.
func BenchmarkParts(b *testing.B) {
	spec := estate(1000)
	for i := range spec.Zones {
		if z := &spec.Zones[i]; z.Kind == Blocked && i%2 == 0 {
			z.Parts, z.Height = []string{"all", PartContour}, &Height{0, 1.8}
		}
	}
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprint("parts=", with), func(b *testing.B) {
			robot, zones := wheels(), spec
			if with {
				robot.Chain = humanoid()
			} else {
				zones = estate(1000)
			}
			r := newRig(b, zones, robot)
			length := math.Ceil(math.Sqrt(1000)) * 6
			y := 3 + 6*math.Floor(length/12)
			x, dir, near := 0.0, 1.0, 0
			p := Posture{Known: math.MaxUint64, HasVelocity: true}
			b.ReportAllocs()
			for b.Loop() {
				r.pass(20 * time.Millisecond)
				if x += 0.02 * dir; x > length || x < 0 {
					dir = -dir
				}
				for i := range 28 {
					p.Position[i] += 0.01 * dir
					if math.Abs(p.Position[i]) > 2 {
						p.Position[i] = 0
					}
				}
				p.Boot = r.now.Boot
				r.Posture(&p)
				r.in.Velocity.VX = dir
				r.at(x, y, 0)
				l := r.limit(Velocity{VX: dir, YawRate: 0.1})
				r.Issued(r.now, Velocity{VX: dir * l.Ratio})
				near += r.out.Parts.N
			}
			b.ReportMetric(float64(near)/float64(b.N), "findings/op")
		})
	}
}

func BenchmarkPosture(b *testing.B) {
	robot := wheels()
	robot.Chain = humanoid()
	f := New(compile(b, site(everywhere()), robot))
	p := Posture{Known: math.MaxUint64, HasVelocity: true}
	for b.Loop() {
		p.Position[3] += 1e-6
		f.Posture(&p)
	}
}
