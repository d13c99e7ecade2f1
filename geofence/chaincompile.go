package geofence

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// limitSlack is how far beyond an end stop a position may be measured, in rad or m.
const limitSlack = 0.05

// chainer compiles a chain.
type chainer struct {
	c     *compiler
	spec  *ChainSpec
	out   *chain
	by    map[string]int   // joint by child link
	place map[string]*spot // compiled links by name
}

// spot is where a link of the spec ends up: in the frame of a moving joint.
type spot struct {
	link int32
	in   rigid
}

// chain compiles the robot's chain, nil if it has none.
func (c *compiler) chain(spec *ChainSpec) *chain {
	if spec == nil {
		return nil
	}
	k := &chainer{c: c, spec: spec, out: &chain{groups: map[string]partSet{}}, by: map[string]int{}, place: map[string]*spot{}}
	before := len(c.errs)
	k.numbers()
	k.joints()
	if len(c.errs) > before {
		return nil
	}
	k.tree()
	if len(c.errs) > before {
		return nil
	}
	k.parts()
	k.groups()
	k.cameras()
	return k.out
}

func (k *chainer) at(section string, i int, id string) item { return item{k.c, section, i, id} }

func (k *chainer) number(field string, v, low, top float64) {
	if !finite(v) || v < low || v > top {
		k.at("chain", -1, "").fail(field, -1, "is %v, expected a number in [%v, %v]", v, low, top)
	}
}

func (k *chainer) numbers() {
	s, o := k.spec, k.out
	k.number("BaseLowM", s.BaseLowM, -5, 5)
	k.number("BaseHighM", s.BaseHighM, s.BaseLowM, 5)
	k.number("TiltRad", s.TiltRad, 0, 0.5)
	slides := slices.ContainsFunc(s.Joints, func(j JointSpec) bool { return j.Kind == JointPrismatic })
	k.number("JointErrorRad", s.JointErrorRad, 0.0001, 0.5)
	if slides || s.JointErrorM != 0 {
		k.number("JointErrorM", s.JointErrorM, 0.00001, 0.5)
	}
	for _, d := range []span{
		{"Reaction", &s.Reaction, time.Millisecond, 10 * time.Second},
		{"MaxAge", &s.MaxAge, time.Millisecond, 5 * time.Second},
	} {
		if v := *d.value; v < d.low || v > d.top {
			k.at("chain", -1, "").fail(d.name, -1, "is %v, expected a duration in [%v, %v]", v, d.low, d.top)
		}
	}
	o.low, o.high, o.tilt = float64(1000*s.BaseLowM), float64(1000*s.BaseHighM), s.TiltRad
	o.errorRad, o.errorMM = s.JointErrorRad, float64(1000*s.JointErrorM)
	o.reaction, o.maxAge = s.Reaction, s.MaxAge
}

// joints checks each joint by itself.
func (k *chainer) joints() {
	moving := 0
	for i := range capped(k.c, "joints", k.spec.Joints, MaxLinks-1) {
		j := &k.spec.Joints[i]
		at := k.at("joints", i, j.Name)
		if first, taken := k.by[j.Child]; taken {
			at.fail("Child", -1, "is %q, which joints[%d] moves already; a link has one joint towards the root", j.Child, first)
		}
		k.by[j.Child] = i
		if j.Child == "" || j.Parent == "" || j.Child == j.Parent {
			at.fail("Child", -1, "is %q with the parent %q, expected two links", j.Child, j.Parent)
		}
		at.origin(&j.Origin)
		switch j.Kind {
		case JointFixed:
			continue
		case JointRevolute, JointPrismatic:
			moving++
			at.moving(j)
		default:
			at.fail("Kind", -1, "is not given; say fixed, revolute or prismatic")
		}
	}
	if moving > MaxJoints {
		k.at("joints", -1, "").fail("", -1, "has %d moving joints, expected at most %d", moving, MaxJoints)
	}
}

func (i item) origin(o *Origin) {
	for n := range 3 {
		if v := o.XYZ[n]; !finite(v) || math.Abs(v) > 10 {
			i.fail("Origin", n, "has %v m, expected [-10, 10]", v)
		}
		if v := o.RPY[n]; !finite(v) || math.Abs(v) > 100 {
			i.fail("Origin", n, "has %v rad, expected [-100, 100]", v)
		}
	}
}

func (i item) axis(field string, v [3]float64) {
	a := vec3{v[0], v[1], v[2]}
	if n := a.norm(); !a.finite() || !(n >= 1e-3) || !(n <= 1e3) {
		i.fail(field, -1, "is %v, expected a direction with a length in [0.001, 1000]", v)
	}
}

func (i item) moving(j *JointSpec) {
	i.axis("Axis", j.Axis)
	if j.Number < 0 || j.Number >= MaxJoints {
		i.fail("Number", -1, "is %d, expected 0 to %d", j.Number, MaxJoints-1)
	}
	if s := math.Abs(j.Scale); !finite(s) || s < 0.001 || s > 100 {
		i.fail("Scale", -1, "is %v, expected a magnitude in [0.001, 100]; 1 for a joint that mimics none", j.Scale)
	}
	if !finite(j.Offset) || math.Abs(j.Offset) > 100 {
		i.fail("Offset", -1, "is %v, expected [-100, 100]", j.Offset)
	}
	endless := math.IsInf(j.Min, -1) && math.IsInf(j.Max, 1)
	switch {
	case j.Kind == JointRevolute && endless:
	case !finite(j.Min) || !finite(j.Max) || j.Min >= j.Max:
		i.fail("Min", -1, "to Max is [%v, %v], expected two end stops, the lower first", j.Min, j.Max)
	case j.Kind == JointPrismatic && max(-j.Min, j.Max) > 10, max(-j.Min, j.Max) > 1000:
		i.fail("Min", -1, "to Max is [%v, %v], expected within 10 m, or 1000 rad", j.Min, j.Max)
	}
	if v := j.MaxVelocity; !finite(v) || v <= 0 || v > 1000 {
		i.fail("MaxVelocity", -1, "is %v, expected (0, 1000]", v)
	}
}

// tree walks from the root outward and folds fixed joints.
func (k *chainer) tree() {
	children := map[string][]int{}
	root, roots := k.spec.Base, 0
	for i := range k.spec.Joints {
		j := &k.spec.Joints[i]
		children[j.Parent] = append(children[j.Parent], i)
		if _, moved := k.by[j.Parent]; !moved && (roots == 0 || j.Parent != root) {
			root = j.Parent
			roots++
		}
	}
	whole := k.at("chain", -1, "")
	if len(k.spec.Joints) > 0 && roots != 1 {
		whole.fail("Joints", -1, "has %d roots, expected one link that is no joint's child, from which all others hang", roots)
		return
	}
	base, ok := k.fixed(root)
	if !ok {
		whole.fail("Base", -1, "is %q, expected the root link %q or one that hangs from it by fixed joints", k.spec.Base, root)
		return
	}
	k.place[root] = &spot{-1, base.inverse()}
	queue := []string{root}
	for len(queue) > 0 {
		parent := k.place[queue[0]]
		for _, i := range children[queue[0]] {
			j := &k.spec.Joints[i]
			k.place[j.Child] = k.hang(parent, j)
			queue = append(queue, j.Child)
		}
		queue = queue[1:]
	}
	if n := len(k.spec.Joints) + 1; len(k.place) != n {
		whole.fail("Joints", -1, "reach %d of %d links from the root %q; the others hang in a ring", len(k.place), n, root)
	}
}

// fixed is the base link in the root's frame.
func (k *chainer) fixed(root string) (rigid, bool) {
	at := rigid{r: identity()}
	for name, n := k.spec.Base, 0; name != root; n++ {
		i, ok := k.by[name]
		if !ok || k.spec.Joints[i].Kind != JointFixed || n > MaxLinks {
			return at, false
		}
		o := k.spec.Joints[i].Origin.rigid()
		at = o.times(&at)
		name = k.spec.Joints[i].Parent
	}
	return at, true
}

func (k *chainer) hang(parent *spot, j *JointSpec) *spot {
	o := j.Origin.rigid()
	o = parent.in.times(&o)
	if j.Kind == JointFixed {
		return &spot{parent.link, o}
	}
	l := newLink(&o, vec3{j.Axis[0], j.Axis[1], j.Axis[2]}, j.Kind == JointPrismatic)
	l.parent, l.number, l.name = parent.link, int32(j.Number), j.Name //nolint:gosec // checked to be below 64
	l.scale, l.offset, l.low, l.top, l.fastest = j.Scale, j.Offset, j.Min, j.Max, j.MaxVelocity
	k.out.links = append(k.out.links, l)
	return &spot{int32(len(k.out.links) - 1), rigid{r: identity()}} //nolint:gosec // at most 64
}

func (k *chainer) parts() {
	for i := range capped(k.c, "parts", k.spec.Parts, MaxParts) {
		p := &k.spec.Parts[i]
		at := k.at("parts", i, p.Link)
		s := k.place[p.Link]
		if s == nil {
			at.fail("Link", -1, "is %q, which no joint has", p.Link)
			continue
		}
		at.origin(&p.Origin)
		at.origin(&Origin{XYZ: p.From})
		at.origin(&Origin{XYZ: p.To})
		if r := p.RadiusM; !finite(r) || r < 0.001 || r > 5 {
			at.fail("RadiusM", -1, "is %v m, expected [0.001, 5]", r)
		}
		o := p.Origin.rigid()
		o = s.in.times(&o)
		out := part{link: s.link, a: o.apply(metres(p.From)), b: o.apply(metres(p.To)), r: float64(1000 * p.RadiusM)}
		out.lo, out.hi = k.levers(s.link, max(out.a.norm(), out.b.norm()), out.r)
		k.out.parts = append(k.out.parts, out)
		k.out.partNames = append(k.out.partNames, p.Link)
	}
}

// levers appends the way from the base to a link. end is how far the part's segment
// reaches from the link's origin, r its radius.
func (k *chainer) levers(last int32, end, r float64) (lo, hi int32) {
	lo = int32(len(k.out.path)) //nolint:gosec // at most 104 parts and cameras × 64 links
	reach := end
	for i := last; i >= 0; i = k.out.links[i].parent {
		l := &k.out.links[i]
		v := lever{link: i}
		if l.slides {
			most := max(math.Abs(float64(l.scale*(l.low-limitSlack))+l.offset), math.Abs(float64(l.scale*(l.top+limitSlack))+l.offset))
			reach += float64(1000 * most)
			v.rate = float64(1000 * math.Abs(l.scale))
		} else {
			v.rate, v.turn = float64(math.Abs(l.scale)*reach), math.Abs(l.scale)
		}
		v.reach = reach + r
		k.out.path = append(k.out.path, v)
		reach += l.at.norm()
	}
	way := k.out.path[lo:]
	slices.Reverse(way)
	blur, twist := 0.0, 0.0
	for i := range way {
		v := &way[i]
		l := &k.out.links[v.link]
		fault := k.out.errorRad
		if l.slides {
			fault = k.out.errorMM / 1000
		}
		blur += float64(v.rate * fault)
		twist += float64(v.turn * fault)
		v.number, v.blur, v.twist = l.number, blur, twist
	}
	return lo, int32(len(k.out.path)) //nolint:gosec // as above
}

func (k *chainer) groups() {
	for i, g := range capped(k.c, "groups", k.spec.Groups, MaxGroups) {
		at := k.at("groups", i, g.Name)
		if _, taken := k.out.groups[g.Name]; taken || g.Name == "" || g.Name == PartContour {
			at.fail("Name", -1, "is %q, expected a name that is not taken and not %q", g.Name, PartContour)
		}
		var set partSet
		for n, name := range g.Links {
			found := false
			for p := range k.out.parts {
				if k.out.partNames[p] == name {
					set.add(p)
					found = true
				}
			}
			if !found {
				at.fail("Links", n, "names %q, which has no capsule", name)
			}
		}
		if len(g.Links) == 0 {
			at.fail("Links", -1, "is empty; name the links that belong to it")
		}
		k.out.groups[g.Name] = set
	}
}

func (k *chainer) cameras() {
	for i := range capped(k.c, "cameras", k.spec.Cameras, MaxCameras) {
		s := &k.spec.Cameras[i]
		at := k.at("cameras", i, s.Name)
		if slices.Contains(k.out.cameraNames, s.Name) || s.Name == "" {
			at.fail("Name", -1, "is %q, expected a name that is not taken", s.Name)
		}
		where := k.place[s.Link]
		if where == nil {
			at.fail("Link", -1, "is %q, which no joint has", s.Link)
			continue
		}
		at.origin(&s.Origin)
		at.axis("Axis", s.Axis)
		if v := s.HalfAngleRad; !finite(v) || v < 0.05 || v > 3.2 {
			at.fail("HalfAngleRad", -1, "is %v, expected [0.05, 3.2]", v)
		}
		if v := s.RangeM; !finite(v) || v < 0.1 || v > 1000 {
			at.fail("RangeM", -1, "is %v m, expected [0.1, 1000]", v)
		}
		o := s.Origin.rigid()
		o = where.in.times(&o)
		a := vec3{s.Axis[0], s.Axis[1], s.Axis[2]}
		out := camera{link: where.link, at: o.t, axis: o.r.apply(a.scale(1 / a.norm())), half: s.HalfAngleRad, reach: float64(1000 * s.RangeM)}
		out.lo, out.hi = k.levers(where.link, out.at.norm(), 0)
		k.out.cameras = append(k.out.cameras, out)
		k.out.cameraNames = append(k.out.cameraNames, s.Name)
	}
}

// limb compiles what a zone asks of parts, cameras and heights.
func (i item) limb(spec *ZoneSpec, z *zone, robot *Robot) {
	ch := i.c.set.chain
	z.low, z.high, z.contour = math.Inf(-1), math.Inf(1), len(spec.Parts) == 0 && len(spec.Views) == 0
	if h := spec.Height; h != nil {
		if !finite(h.FromM) || !finite(h.ToM) || math.Abs(h.FromM) > 100 || math.Abs(h.ToM) > 100 || h.FromM >= h.ToM {
			i.fail("Height", -1, "is from %v m to %v m, expected two heights within 100 m of the floor, the lower first", h.FromM, h.ToM)
		}
		z.low, z.high = float64(1000*h.FromM), float64(1000*h.ToM)
	}
	for n, name := range spec.Parts {
		if name == PartContour {
			z.contour = true
			continue
		}
		set, ok := partSet{}, false
		if ch != nil {
			set, ok = ch.groups[name]
		}
		if !ok {
			i.fail("Parts", n, "names %q, which is not a group of the robot's links (%s)", name, i.c.groupNames())
		}
		z.parts.join(set)
	}
	for n, name := range spec.Views {
		k := -1
		if ch != nil {
			k = slices.Index(ch.cameraNames, name)
		}
		if k < 0 {
			i.fail("Views", n, "names %q, which is not a camera of the robot", name)
			continue
		}
		z.views |= 1 << k
	}
	if z.limb = !z.parts.empty() || z.views != 0; z.limb && ch != nil {
		ch.used.join(z.parts)
		ch.usedCameras |= z.views
	}
	if spec.Kind != Blocked && (len(spec.Parts) > 0 || len(spec.Views) > 0) {
		i.fail("Parts", -1, "is given for a %v zone, expected none: parts and cameras are kept out of Blocked zones only", spec.Kind)
	}
	if spec.Kind == KeepIn && spec.Height != nil {
		i.fail("Height", -1, "is given for a KeepIn zone, expected none: the contour stays within it at every height")
	}
	// The contour stands on the floor; a robot of unknown height reaches everywhere. How high it is now depends on its load.
	if z.high < 0 || z.low > robot.tallest() {
		z.contour = false
	}
}

func (c *compiler) groupNames() string {
	if c.set.chain == nil {
		return "its profile describes none"
	}
	var names []string
	for name := range c.set.chain.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}
