package geofence

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The reference below computes with 200 precision and by the definition: each joint's
// 4×4 matrix, sines and cosines by their series.
const precision = 200

func exact(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }

func product(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Mul(a, b) }

// series is the sine (from 1) or the cosine (from 0) of x.
func series(x *big.Float, from int64) *big.Float {
	term := exact(1)
	if from == 1 {
		term = new(big.Float).SetPrec(precision).Set(x)
	}
	sum, x2 := exact(0), product(x, x)
	for n := from + 1; term.Sign() != 0 && term.MantExp(nil) > -precision; n += 2 {
		sum.Add(sum, term)
		term = product(term, x2)
		term.Quo(term, exact(-float64(n*(n+1))))
	}
	return sum
}

type bigMat [4][4]*big.Float

func (m bigMat) times(n bigMat) bigMat {
	var out bigMat
	for r := range 4 {
		for c := range 4 {
			out[r][c] = exact(0)
			for k := range 4 {
				out[r][c].Add(out[r][c], product(m[r][k], n[k][c]))
			}
		}
	}
	return out
}

func bigOf(v [4][4]float64) bigMat {
	var out bigMat
	for r := range 4 {
		for c := range 4 {
			out[r][c] = exact(v[r][c])
		}
	}
	return out
}

// bigTurn is the rotation by x about one of the axes 0, 1, 2.
func bigTurn(axis int, x *big.Float) bigMat {
	m := bigOf([4][4]float64{{1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}})
	i, j := (axis+1)%3, (axis+2)%3
	s, c := series(x, 1), series(x, 0)
	m[i][i], m[j][j], m[j][i] = c, c, s
	m[i][j] = new(big.Float).Neg(s)
	return m
}

func bigOrigin(o Origin) bigMat {
	m := bigOf([4][4]float64{{1, 0, 0, o.XYZ[0]}, {0, 1, 0, o.XYZ[1]}, {0, 0, 1, o.XYZ[2]}, {0, 0, 0, 1}})
	for axis := 2; axis >= 0; axis-- {
		m = m.times(bigTurn(axis, exact(o.RPY[axis])))
	}
	return m
}

// bigMotion turns about, or slides along, a direction of any length, by Rodrigues' formula.
func bigMotion(j *JointSpec, value float64) bigMat {
	v := product(exact(j.Scale), exact(value))
	v.Add(v, exact(j.Offset))
	norm := exact(0)
	for _, a := range j.Axis {
		norm.Add(norm, product(exact(a), exact(a)))
	}
	norm.Sqrt(norm)
	var a [3]*big.Float
	for i := range a {
		a[i] = new(big.Float).SetPrec(precision).Quo(exact(j.Axis[i]), norm)
	}
	m := bigOf([4][4]float64{{1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}})
	if j.Kind == JointPrismatic {
		for i := range a {
			m[i][3] = product(a[i], v)
		}
		return m
	}
	s, c := series(v, 1), series(v, 0)
	rest := new(big.Float).SetPrec(precision).Sub(exact(1), c)
	for r := range 3 {
		for k := range 3 {
			m[r][k] = product(product(a[r], a[k]), rest)
			if r == k {
				m[r][k].Add(m[r][k], c)
				continue
			}
			cross := product(a[3-r-k], s)
			if (r+1)%3 == k {
				cross.Neg(cross)
			}
			m[r][k].Add(m[r][k], cross)
		}
	}
	return m
}

// drawChain draws a chain of n joints in a row or branching.
func drawChain(t *rapid.T, n int) *ChainSpec {
	f := func(label string, low, top float64) float64 { return rapid.Float64Range(low, top).Draw(t, label) }
	three := func(label string, low, top float64) [3]float64 {
		return [3]float64{f(label+".x", low, top), f(label+".y", low, top), f(label+".z", low, top)}
	}
	c := &ChainSpec{
		Base: "l0", BaseLowM: 0.5, BaseHighM: 0.9, JointErrorRad: 0.002, JointErrorM: 0.001,
		Reaction: 200 * time.Millisecond, MaxAge: 200 * time.Millisecond,
	}
	all := GroupSpec{Name: "all"}
	for i := range n {
		j := JointSpec{
			Name: fmt.Sprint("j", i), Child: fmt.Sprint("l", i+1), Kind: JointKind(1 + rapid.IntRange(0, 2).Draw(t, "kind")),
			Parent: fmt.Sprint("l", rapid.IntRange(max(0, i-2), i).Draw(t, "parent")),
			Origin: Origin{three("xyz", -0.5, 0.5), three("rpy", -7, 7)}, Axis: three("axis", -1, 1), Number: i, Scale: 1,
			Min: -3, Max: 3, MaxVelocity: 5,
		}
		if vec3.norm(vec3{j.Axis[0], j.Axis[1], j.Axis[2]}) < 0.1 {
			j.Axis[2] = 1
		}
		if j.Kind == JointPrismatic {
			j.Min, j.Max = -0.3, 0.4
		}
		if j.Kind != JointFixed && i > 0 && rapid.IntRange(0, 4).Draw(t, "mimic") == 0 {
			j.Scale, j.Offset = f("scale", 0.5, 1), f("offset", -0.5, 0.5)
		}
		c.Joints = append(c.Joints, j)
		c.Parts = append(c.Parts, PartSpec{
			Link: j.Child, Origin: Origin{three("at", -0.1, 0.1), three("turn", -4, 4)},
			From: three("from", -0.2, 0.2), To: three("to", -0.2, 0.2), RadiusM: f("radius", 0.01, 0.1),
		})
		all.Links = append(all.Links, j.Child)
	}
	c.Groups = []GroupSpec{all}
	return c
}

func drawPosture(t *rapid.T, c *ChainSpec) Posture {
	p := Posture{Known: math.MaxUint64, HasVelocity: true}
	for _, j := range c.Joints {
		if j.Kind != JointFixed {
			p.Position[j.Number] = rapid.Float64Range(j.Min, j.Max).Draw(t, j.Name)
		}
	}
	return p
}

// reference is where the ends of a part are in the base frame, in metres.
func reference(c *ChainSpec, p *Posture, part int) (ends [2][3]float64) {
	at := bigOrigin(c.Parts[part].Origin)
	for link := c.Parts[part].Link; ; {
		i := -1
		for k := range c.Joints {
			if c.Joints[k].Child == link {
				i = k
			}
		}
		if i < 0 {
			break
		}
		j := &c.Joints[i]
		m := bigOrigin(j.Origin)
		if j.Kind != JointFixed {
			m = m.times(bigMotion(j, p.Position[j.Number]))
		}
		at, link = m.times(at), j.Parent
	}
	for e, v := range [][3]float64{c.Parts[part].From, c.Parts[part].To} {
		for r := range 3 {
			sum := new(big.Float).SetPrec(precision).Set(at[r][3])
			for k := range 3 {
				sum.Add(sum, product(at[r][k], exact(v[k])))
			}
			ends[e][r], _ = sum.Float64()
		}
	}
	return ends
}

// kinematicsMM is the error of forward kinematics by rounding alone, for chains of
// 24 joints within a few metres; the margins keep roundingMM, a million times as much.
const kinematicsMM = 1e-8

func everywhere() ZoneSpec {
	return ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(90_000, 0, 91_000, 1000), Parts: []string{"all"}}
}

func TestKinematicsAgreeWithHighPrecision(t *testing.T) {
	worst := 0.0
	rapid.Check(t, func(t *rapid.T) {
		robot := wheels()
		robot.Chain = drawChain(t, rapid.IntRange(1, 24).Draw(t, "joints"))
		p := drawPosture(t, robot.Chain)
		f := New(compile(t, site(everywhere()), robot))
		f.Posture(&p)
		for i := max(0, len(robot.Chain.Parts)-3); i < len(robot.Chain.Parts); i++ {
			want := reference(robot.Chain, &p, i)
			got := f.limb.parts[i]
			for e, v := range []vec3{got.a, got.b} {
				d := v.sub(metres(want[e])).norm()
				worst = max(worst, d)
				if !(d <= kinematicsMM) || got.lost {
					t.Fatalf("part %d end %d: %v, want %v, off by %g mm", i, e, v, want[e], d)
				}
			}
		}
	})
	t.Logf("worst error %.3g mm, bound %g mm", worst, kinematicsMM)
}

// TestReferenceSeesAWrongFormula turns one axis round: the comparison must fail.
func TestReferenceSeesAWrongFormula(t *testing.T) {
	robot := limbed()
	p := Posture{Known: math.MaxUint64}
	p.Position[shoulder], p.Position[elbow] = -0.5, -0.5
	f := New(compile(t, site(ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(0, 0, 10, 10), Parts: []string{"all"}}), robot))
	f.Posture(&p)
	robot.Chain.Joints[elbow].Axis[1] = -1
	want := reference(robot.Chain, &p, 3)
	if d := f.limb.parts[3].b.sub(metres(want[1])).norm(); d < 100 {
		t.Errorf("off by %v mm only", d)
	}
}

// TestJointErrorsStayWithinTheBlur moves each joint by up to the stated error, and
// within a reaction at its speed: no part goes farther than its margin has for it.
func TestJointErrorsStayWithinTheBlur(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		robot := wheels()
		robot.Chain = drawChain(t, rapid.IntRange(1, 12).Draw(t, "joints"))
		p := drawPosture(t, robot.Chain)
		set := compile(t, site(everywhere()), robot)
		f, g := New(set), New(set)
		for i := range p.Velocity {
			p.Velocity[i] = 0.7
		}
		f.Posture(&p)
		late := rapid.Float64Range(0, 0.1).Draw(t, "late")
		for _, j := range robot.Chain.Joints {
			fault := robot.Chain.JointErrorRad
			if j.Kind == JointPrismatic {
				fault = robot.Chain.JointErrorM
			}
			p.Position[j.Number] += (fault + 0.7*late) * rapid.Float64Range(-1, 1).Draw(t, "fault")
			p.Position[j.Number] = min(max(p.Position[j.Number], j.Min), j.Max)
		}
		g.Posture(&p)
		for i := range f.limb.parts {
			a, b := &f.limb.parts[i], &g.limb.parts[i]
			most := a.blur + late*a.speed
			if d := max(a.a.sub(b.a).norm(), a.b.sub(b.b).norm()); d > most+kinematicsMM {
				t.Fatalf("part %d moved by %v mm, its margin has %v mm", i, d, most)
			}
		}
	})
}

// TestUnknownJointsReachEverything compares what an unknown joint makes of a part
// with where the part is for any position of that joint.
func TestUnknownJointsReachEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		robot := wheels()
		robot.Chain = drawChain(t, rapid.IntRange(1, 12).Draw(t, "joints"))
		p := drawPosture(t, robot.Chain)
		set := compile(t, site(everywhere()), robot)
		f, g := New(set), New(set)
		p.Known = rapid.Uint64().Draw(t, "known")
		f.Posture(&p)
		for _, j := range robot.Chain.Joints {
			if j.Kind != JointFixed && p.Known>>j.Number&1 == 0 {
				p.Position[j.Number] = rapid.Float64Range(j.Min, j.Max).Draw(t, "any")
			}
		}
		p.Known = math.MaxUint64
		g.Posture(&p)
		for i := range f.limb.parts {
			a, b := &f.limb.parts[i], &g.limb.parts[i]
			if !a.lost {
				if a.capsule != b.capsule {
					t.Fatalf("part %d differs although its joints are known", i)
				}
				continue
			}
			if d := max(a.a.sub(b.a).norm(), a.a.sub(b.b).norm()) + b.r; d > a.r+kinematicsMM {
				t.Fatalf("part %d is %v mm from the centre of what it can reach, %v mm", i, d, a.r)
			}
		}
	})
}

// TestChainErrors is named by what is wrong.
func TestChainErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(*ChainSpec, *ZoneSpec)
	}{
		{"two parents", "which joints[0] moves already", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[1].Child = "trunk" }},
		{"ring", "has 0 roots", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[0].Parent = "hand" }},
		{"two roots", "has 2 roots", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[4].Parent = "post" }},
		{"base beyond a moving joint", "expected the root link", func(c *ChainSpec, _ *ZoneSpec) { c.Base = "hand" }},
		{"base unknown", "expected the root link", func(c *ChainSpec, _ *ZoneSpec) { c.Base = "foot" }},
		{"no kind", "Kind", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[0].Kind = JointUnset }},
		{"axis of no length", "expected a direction", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[0].Axis = [3]float64{} }},
		{"NaN origin", "Origin", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[0].Origin.RPY[1] = math.NaN() }},
		{"limits the wrong way", "two end stops", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[1].Min = 4 }},
		{"number", "is 64, expected 0 to 63", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[1].Number = 64 }},
		{"scale 0", "Scale", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[1].Scale = 0 }},
		{"speed 0", "MaxVelocity", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[1].MaxVelocity = 0 }},
		{"no joint error", "JointErrorRad", func(c *ChainSpec, _ *ZoneSpec) { c.JointErrorRad = 0 }},
		{"no sliding error", "JointErrorM", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[1].Kind = JointPrismatic }},
		{"endless slide", "two end stops", func(c *ChainSpec, _ *ZoneSpec) { c.Joints[0].Kind, c.JointErrorM = JointPrismatic, 0.001 }},
		{"base upside down", "BaseHighM", func(c *ChainSpec, _ *ZoneSpec) { c.BaseHighM = 0.7 }},
		{"no reaction", "Reaction", func(c *ChainSpec, _ *ZoneSpec) { c.Reaction = 0 }},
		{"no age", "MaxAge", func(c *ChainSpec, _ *ZoneSpec) { c.MaxAge = 0 }},
		{"capsule on no link", "which no joint has", func(c *ChainSpec, _ *ZoneSpec) { c.Parts[0].Link = "tail" }},
		{"radius 0", "RadiusM", func(c *ChainSpec, _ *ZoneSpec) { c.Parts[0].RadiusM = 0 }},
		{"group of a link without a capsule", "has no capsule", func(c *ChainSpec, _ *ZoneSpec) { c.Groups[0].Links[0] = "palm" }},
		{"group named contour", "not taken and not", func(c *ChainSpec, _ *ZoneSpec) { c.Groups[0].Name = PartContour }},
		{"empty group", "is empty", func(c *ChainSpec, _ *ZoneSpec) { c.Groups[1].Links = nil }},
		{"camera that sees nothing", "HalfAngleRad", func(c *ChainSpec, _ *ZoneSpec) { c.Cameras[0].HalfAngleRad = 0 }},
		{"camera twice", "not taken", func(c *ChainSpec, _ *ZoneSpec) { c.Cameras = append(c.Cameras, c.Cameras[0]) }},
		{"zone with no such group", "[all arms hands]", func(_ *ChainSpec, z *ZoneSpec) { z.Parts = []string{"feet"} }},
		{"zone with no such camera", "not a camera", func(_ *ChainSpec, z *ZoneSpec) { z.Views = []string{"ear"} }},
		{"heights the wrong way", "the lower first", func(_ *ChainSpec, z *ZoneSpec) { z.Height = &Height{1, 1} }},
		{"NaN height", "the lower first", func(_ *ChainSpec, z *ZoneSpec) { z.Height = &Height{math.NaN(), 1} }},
		{"keep-in with a height", "KeepIn zone", func(_ *ChainSpec, z *ZoneSpec) { z.Kind, z.Parts = KeepIn, nil }},
		{"speed limit for hands", "Blocked zones only", func(_ *ChainSpec, z *ZoneSpec) { z.Kind, z.MaxSpeedMPS = SpeedLimit, 1 }},
		{"too many links", "at most 255", func(c *ChainSpec, _ *ZoneSpec) {
			for i := range 300 {
				c.Joints = append(c.Joints, JointSpec{Parent: "base", Child: fmt.Sprint("x", i), Kind: JointFixed})
			}
		}},
		{"too many joints", "at most 64", func(c *ChainSpec, _ *ZoneSpec) {
			for i := range 64 {
				j := c.Joints[1]
				j.Parent, j.Child = "base", fmt.Sprint("x", i)
				c.Joints = append(c.Joints, j)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			robot, z := limbed(), counter()
			c.spoil(robot.Chain, &z)
			_, err := Compile(site(z), robot)
			var se *SpecError
			if err == nil || !errors.As(err, &se) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a SpecError with %q", err, c.want)
			}
			for _, e := range specErrors(t, err) {
				if lists := []string{"Origin", "Axis", "Links", "Parts", "Views"}; e.Element >= 0 && !slices.Contains(lists, e.Field) {
					t.Errorf("%v: %s is no list, its element %d is named", e, e.Field, e.Element)
				}
			}
		})
	}
	if _, err := Compile(site(counter()), wheels()); err == nil || !strings.Contains(err.Error(), "its profile describes none") {
		t.Errorf("a zone for hands of a robot without any: %v", err)
	}
}

// TestAnAxisHasALength tries both ends of what it may be.
func TestAnAxisHasALength(t *testing.T) {
	for v, want := range map[[3]float64]bool{
		{1e-3, 0, 0}: true, {0, 1e3, 0}: true, {600, 0, 800}: true, {3, 4, 12}: true,
		{0, 0.999e-3, 0}: false, {0, 0, 1000.1}: false, {0, math.NaN(), 1}: false, {math.Inf(1), 0, 0}: false,
	} {
		robot := limbed()
		robot.Chain.Joints[1].Axis = v
		_, err := Compile(site(counter()), robot)
		if (err == nil) != want {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// TestRotationIsTheQuaternions compares with the product q·v·q̄ of quaternions.
func TestRotationIsTheQuaternions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.Float64Range(-1, 1)
		q := quaternion{d.Draw(t, "x"), d.Draw(t, "y"), d.Draw(t, "z"), d.Draw(t, "w")}
		if n := math.Sqrt(q.x*q.x + q.y*q.y + q.z*q.z + q.w*q.w); n < 0.5 {
			t.Skip("not long enough to be one")
		}
		q = q.unit()
		mul := func(a, b quaternion) quaternion {
			return quaternion{
				a.w*b.x + a.x*b.w + a.y*b.z - a.z*b.y, a.w*b.y - a.x*b.z + a.y*b.w + a.z*b.x,
				a.w*b.z + a.x*b.y - a.y*b.x + a.z*b.w, a.w*b.w - a.x*b.x - a.y*b.y - a.z*b.z,
			}
		}
		v := vec3{d.Draw(t, "vx"), d.Draw(t, "vy"), d.Draw(t, "vz")}
		want := mul(mul(q, quaternion{v.x, v.y, v.z, 0}), quaternion{-q.x, -q.y, -q.z, q.w})
		m := q.rotation()
		got := m.apply(v)
		if off := (vec3{got.x - want.x, got.y - want.y, got.z - want.z}).norm(); !(off < 1e-12) {
			t.Fatalf("%+v turns %+v into %+v, want %+v", q, v, got, want)
		}
	})
}

// TestRadiusOfACapsule tries both ends of what a radius may be.
func TestRadiusOfACapsule(t *testing.T) {
	for _, c := range []struct {
		radius float64
		fits   bool
	}{
		{0.001, true},
		{5, true},
		{0.05, true},
		{math.Nextafter(0.001, 0), false},
		{math.Nextafter(5, 6), false},
		{-0.05, false},
		{math.NaN(), false},
		{math.Inf(1), false},
		{math.Inf(-1), false},
	} {
		robot := limbed()
		robot.Chain.Parts[0].RadiusM = c.radius
		_, err := Compile(site(counter()), robot)
		if c.fits != (err == nil) || !c.fits && !strings.Contains(err.Error(), "RadiusM") {
			t.Errorf("%v m: %v", c.radius, err)
		}
	}
}

// TestBaseBehindFixedJoints has the pose of a frame in the middle of the trunk.
func TestBaseBehindFixedJoints(t *testing.T) {
	robot := limbed()
	c := robot.Chain
	for i := range c.Joints {
		if c.Joints[i].Parent == "base" {
			c.Joints[i].Parent = "root"
		}
	}
	o := Origin{[3]float64{0.1, -0.2, 0.3}, [3]float64{0.4, 0.5, -0.6}}
	c.Joints = append(c.Joints, JointSpec{Name: "mount", Parent: "root", Child: "base", Kind: JointFixed, Origin: o})
	p := Posture{Known: math.MaxUint64}
	p.Position[shoulder] = -0.5
	f := New(compile(t, site(ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(0, 0, 10, 10), Parts: []string{"all"}}), robot))
	f.Posture(&p)
	// In the root's frame it is where it was; the base sees it from its own.
	mount := o.rigid()
	want := reference(c, &p, 3)
	if d := mount.apply(f.limb.parts[3].b).sub(metres(want[1])).norm(); d > kinematicsMM {
		t.Errorf("off by %v mm", d)
	}
}
