package geofence

import (
	"math"
	"slices"
	"testing"
	"time"
)

// Joint numbers of torso.
const (
	waist = iota
	shoulder
	elbow
	neck
	lift
)

// torso is a body with one arm, whose hand hangs from the shoulder at (0, 0.2, 0.6)
// over the base frame, and a head with a camera that looks ahead. The base frame is
// 0.8 m above the floor.
func torso() *ChainSpec {
	inf := math.Inf(1)
	joint := func(name, parent, child string, number int, at, axis [3]float64) JointSpec {
		return JointSpec{
			Name: name, Parent: parent, Child: child, Kind: JointRevolute, Origin: Origin{XYZ: at}, Axis: axis,
			Number: number, Scale: 1, Min: -3, Max: 3, MaxVelocity: 10,
		}
	}
	c := &ChainSpec{
		Base: "base",
		Joints: []JointSpec{
			joint("waist", "base", "trunk", waist, [3]float64{0, 0, 0.1}, [3]float64{0, 0, 1}),
			joint("shoulder", "trunk", "upper", shoulder, [3]float64{0, 0.2, 0.5}, [3]float64{0, 1, 0}),
			joint("elbow", "upper", "fore", elbow, [3]float64{0, 0, -0.3}, [3]float64{0, 1, 0}),
			{Name: "palm", Parent: "fore", Child: "hand", Kind: JointFixed, Origin: Origin{XYZ: [3]float64{0, 0, -0.25}}},
			joint("neck", "trunk", "head", neck, [3]float64{0, 0, 0.6}, [3]float64{0, 0, 1}),
		},
		Parts: []PartSpec{
			{Link: "trunk", From: [3]float64{0, 0, 0}, To: [3]float64{0, 0, 0.5}, RadiusM: 0.15},
			{Link: "upper", To: [3]float64{0, 0, -0.3}, RadiusM: 0.05},
			{Link: "fore", To: [3]float64{0, 0, -0.25}, RadiusM: 0.05},
			{Link: "hand", To: [3]float64{0, 0, -0.1}, RadiusM: 0.05},
			{Link: "head", From: [3]float64{0, 0, 0.1}, To: [3]float64{0, 0, 0.1}, RadiusM: 0.12},
		},
		Groups: []GroupSpec{
			{"hands", []string{"hand"}}, {"arms", []string{"upper", "fore", "hand"}}, {"all", []string{"trunk", "upper", "fore", "hand", "head"}},
		},
		Cameras: []CameraSpec{
			{Name: "eye", Link: "head", Origin: Origin{XYZ: [3]float64{0.1, 0, 0.1}}, Axis: [3]float64{1, 0, 0}, HalfAngleRad: 0.5, RangeM: 5},
		},
		BaseLowM: 0.8, BaseHighM: 0.8, JointErrorRad: 0.001, Reaction: 100 * time.Millisecond, MaxAge: 100 * time.Millisecond,
	}
	c.Joints[waist].Min, c.Joints[waist].Max = -inf, inf
	return c
}

// limbed is a robot with a torso.
func limbed() Robot {
	r := wheels()
	r.HeightM, r.Chain = 1.6, torso()
	return r
}

// counter is 0.6 m ahead of the origin, from 0.7 m to 1.1 m above the floor, closed to hands.
func counter() ZoneSpec {
	return ZoneSpec{ID: "counter", Kind: Blocked, Outer: rect(600, -1000, 1200, 1000), Height: &Height{0.7, 1.1}, Parts: []string{"hands"}}
}

// glass is a screen 2 m ahead that the camera may not look at.
func glass() ZoneSpec {
	return ZoneSpec{ID: "glass", Kind: Blocked, Outer: rect(2000, -200, 2100, 200), Views: []string{"eye"}}
}

func newLimbRig(t tb, robot Robot, zones ...ZoneSpec) *rig {
	t.Helper()
	r := newRig(t, site(zones...), robot)
	r.pose()
	return r
}

// pose gives all joints, at rest, at the given positions.
func (r *rig) pose(q ...float64) {
	p := Posture{Boot: r.now.Boot, Known: math.MaxUint64, HasVelocity: true}
	copy(p.Position[:], q)
	r.Posture(&p)
}

// settle passes time until every hold that can be released is.
func (r *rig) rest(x, y, yaw float64, q ...float64) *Verdict {
	for range 60 {
		r.pass(100 * time.Millisecond)
		r.pose(q...)
		r.at(x, y, yaw)
	}
	return &r.out
}

// TestPartsCellByCell is named by what is where. An arm of 0.65 m that is lifted by
// the shoulder reaches ahead at 0.8 + 0.1 + 0.5 = 1.4 m; bent at the elbow, the hand is lower.
func TestPartsCellByCell(t *testing.T) {
	cases := []struct {
		name    string
		x, yaw  float64
		q       []float64
		height  *Height
		parts   []string
		place   Place
		contour Place
		reason  Reason
	}{
		{"arm hangs", 0, 0, nil, &Height{0.7, 1.1}, []string{"hands"}, Outside, Outside, ReasonNone},
		{"arm stretched over the counter, above it", 0, 0, []float64{0, -1.57}, &Height{0.7, 1.1}, []string{"hands"}, Outside, Outside, ReasonNone},
		{"arm stretched, prism at every height", 0, 0, []float64{0, -1.57}, nil, []string{"hands"}, Inside, Outside, ReasonPartInside},
		{"arm stretched, prism above", 0, 0, []float64{0, -1.57}, &Height{1.3, 1.5}, []string{"hands"}, Inside, Outside, ReasonPartInside},
		{"hand at the counter's height, before it", 0, 0, []float64{0, -0.5}, &Height{0.7, 1.1}, []string{"hands"}, Outside, Outside, ReasonNone},
		{"hand reaches in at 1.04 m", 0, 0, []float64{0, -0.9, -0.4}, &Height{0.7, 1.1}, []string{"hands"}, Inside, Outside, ReasonPartInside},
		{"hand two centimetres before it", 0, 0, []float64{0, -0.9, -0.1}, &Height{0.7, 1.1}, []string{"hands"}, Margin, Outside, ReasonPartMargin},
		{"the waist turned it away", 0, 0, []float64{1.57, -0.9, -0.4}, &Height{0.7, 1.1}, []string{"hands"}, Outside, Outside, ReasonNone},
		{"the robot turned it away", 0, 1.57, []float64{0, -0.9, -0.4}, &Height{0.7, 1.1}, []string{"hands"}, Outside, Outside, ReasonNone},
		{"both turns bring it back", 0, 1.57, []float64{-1.57, -0.9, -0.4}, &Height{0.7, 1.1}, []string{"hands"}, Inside, Outside, ReasonPartInside},
		{"robot stands over a low step, hands free", 0.7, 0, nil, &Height{0, 0.2}, []string{"hands"}, Outside, Outside, ReasonNone},
		{"robot stands over a low step", 0.7, 0, nil, &Height{0, 0.2}, nil, Outside, Inside, ReasonNone},
		{"contour beside hands", 0.7, 0, nil, &Height{0, 0.2}, []string{"hands", PartContour}, Outside, Inside, ReasonNone},
		{"robot stands under a beam", 0.7, 0, nil, &Height{1.7, 2}, nil, Outside, Outside, ReasonNone},
		{"the beam hangs lower than its head", 0.7, 0, nil, &Height{1.55, 2}, nil, Outside, Inside, ReasonNone},
		{"all parts, all heights", 0, 0, nil, nil, []string{"all"}, Outside, Outside, ReasonNone},
		{"all parts, robot inside", 0.8, 0, nil, nil, []string{"all"}, Inside, Outside, ReasonPartInside},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			z := counter()
			z.Height, z.Parts = c.height, c.parts
			r := newLimbRig(t, limbed(), z)
			v := r.rest(c.x, 0, c.yaw, c.q...)
			if v.Parts.Place != c.place || v.Place != c.contour || v.Parts.View != Outside {
				t.Errorf("parts %v, contour %v, view %v, want %v, %v, outside: %+v", v.Parts.Place, v.Place, v.Parts.View, c.place, c.contour, v.Parts.Near[:v.Parts.N])
			}
			if c.place > Outside && (v.Parts.N != 1 || v.Parts.Near[0].Reason != c.reason) {
				t.Errorf("findings %+v, want one with the reason %v", v.Parts.Near[:v.Parts.N], c.reason)
			}
		})
	}
}

func TestViewsCellByCell(t *testing.T) {
	cases := []struct {
		name   string
		x, y   float64
		yaw    float64
		q      []float64
		height *Height
		want   Place
	}{
		{"straight ahead", 0, 0, 0, nil, nil, Inside},
		{"out of range", -4, 0, 0, nil, nil, Outside},
		{"head turned away", 0, 0, 0, []float64{0, 0, 0, 0.8}, nil, Outside},
		{"head turned to its edge", 0, 0, 0, []float64{0, 0, 0, 0.605}, nil, Margin},
		{"waist turned away", 0, 0, 0, []float64{1.2}, nil, Outside},
		{"robot turned away, head back", 0, 0, 1.2, []float64{0, 0, 0, -1.2}, nil, Inside},
		{"behind the robot", 3, 0, 0, nil, nil, Outside},
		{"beside the robot", 2.05, 0.6, 0, nil, nil, Outside},
		{"camera inside", 1.95, 0, 0, nil, nil, Inside},
		{"low enough to be below the picture", 1.4, 0, 0, nil, &Height{0, 0.8}, Outside},
		{"the same from afar", -1, 0, 0, nil, &Height{0, 0.8}, Inside},
		{"above the picture", 1.4, 0, 0, nil, &Height{2.5, 3}, Outside},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			z := glass()
			z.Height = c.height
			r := newLimbRig(t, limbed(), z)
			v := r.rest(c.x, c.y, c.yaw, c.q...)
			if v.Parts.View != c.want || v.Place != Outside || v.Parts.Place != Outside {
				t.Errorf("view %v, want %v; contour %v, parts %v: %+v", v.Parts.View, c.want, v.Place, v.Parts.Place, v.Parts.Near[:v.Parts.N])
			}
		})
	}
}

// TestUnknownJointsRestrict is named by the fault. The counter is within the arm's
// reach, and the screen within the camera's.
func TestUnknownJointsRestrict(t *testing.T) {
	good := func(r *rig) Posture { return Posture{Boot: r.now.Boot, Known: math.MaxUint64, HasVelocity: true} }
	for _, c := range []struct {
		name        string
		spoil       func(*Posture)
		parts, view Place
	}{
		{"none", func(*Posture) {}, Outside, Inside},
		{"stale", func(p *Posture) { p.Boot -= 101 * time.Millisecond }, Inside, Inside},
		{"future", func(p *Posture) { p.Boot += time.Millisecond }, Inside, Inside},
		{"missing shoulder", func(p *Posture) { p.Known &^= 1 << shoulder }, Inside, Inside},
		{"missing elbow: the forearm alone reaches too short", func(p *Posture) { p.Known &^= 1 << elbow }, Outside, Inside},
		{"missing neck", func(p *Posture) { p.Known &^= 1 << neck }, Outside, Inside},
		{"neck looks away", func(p *Posture) { p.Position[neck] = 2 }, Outside, Outside},
		{"neck out of limits", func(p *Posture) { p.Position[neck] = 3.1 }, Outside, Inside},
		{"neck NaN", func(p *Posture) { p.Position[neck] = math.NaN() }, Outside, Inside},
		{"shoulder out of limits", func(p *Posture) { p.Position[shoulder] = 3.1 }, Inside, Inside},
		{"shoulder NaN", func(p *Posture) { p.Position[shoulder] = math.NaN() }, Inside, Inside},
		{"shoulder infinite", func(p *Posture) { p.Position[shoulder] = math.Inf(1) }, Inside, Inside},
		{"waist beyond what an angle can be", func(p *Posture) { p.Position[waist] = 1e9 }, Inside, Inside},
		{"fast shoulder", func(p *Posture) { p.Velocity[shoulder] = 7 }, Margin, Inside},
		{"no velocities", func(p *Posture) { p.HasVelocity = false }, Margin, Inside},
		{"velocity NaN", func(p *Posture) { p.Velocity[shoulder] = math.NaN() }, Margin, Inside},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := counter()
			z.Height = nil
			z.Outer = rect(480, -1000, 1200, 1000)
			r := newLimbRig(t, limbed(), z, glass())
			p := good(r)
			c.spoil(&p)
			r.Posture(&p)
			v := r.at(0, 0, 0)
			if v.Parts.Place != c.parts || v.Parts.View != c.view {
				t.Errorf("parts %v, view %v, want %v, %v: %+v", v.Parts.Place, v.Parts.View, c.parts, c.view, v.Parts.Near[:v.Parts.N])
			}
		})
	}
}

func TestPartsBeforeAnyMessage(t *testing.T) {
	z := counter()
	r := newRig(t, site(z, glass()), limbed())
	if v := r.step(); v.Parts.Place != PlaceUnknown || v.Parts.View != PlaceUnknown {
		t.Errorf("without a pose: parts %v, view %v, want unknown", v.Parts.Place, v.Parts.View)
	}
	if v := r.at(0, 0, 0); v.Parts.Place != Inside || v.Parts.Near[0].Reason != ReasonPartUnknown || v.Parts.View != Inside {
		t.Errorf("without joints: %+v", v.Parts)
	}
	plain := newRig(t, site(wall(5000)), limbed())
	if v := plain.step(); v.Parts.Place != Outside || v.Parts.View != Outside {
		t.Errorf("no zone binds parts: %+v", v.Parts)
	}
}

func TestPartIsReleasedAfterMarginAndDwell(t *testing.T) {
	in, out := []float64{0, -0.9, -0.4}, []float64{0, 0, 0}
	r := newLimbRig(t, limbed(), counter())
	r.pose(in...)
	if v := r.at(0, 0, 0); v.Parts.Place != Inside {
		t.Fatalf("reached in: %+v", v.Parts)
	}
	var places []Place
	for range 60 {
		r.pass(100 * time.Millisecond)
		r.pose(out...)
		if p := r.at(0, 0, 0).Parts.Place; len(places) == 0 || places[len(places)-1] != p {
			places = append(places, p)
		}
	}
	if !slices.Equal(places, []Place{Inside, Margin, Outside}) {
		t.Errorf("places %v, want inside, margin, outside", places)
	}
}

// TestZoneOutOfReachLetsGo drives away with the hold in memory.
func TestZoneOutOfReachLetsGo(t *testing.T) {
	r := newLimbRig(t, limbed(), counter(), glass())
	r.pose(0, -0.9, -0.4)
	r.at(0, 0, 0)
	if r.limb.held != 2 {
		t.Fatalf("%d levels are held, want 2", r.limb.held)
	}
	r.pass(time.Minute)
	r.rest(-40, 0, 0)
	if v := &r.out; v.Parts.Place != Outside || v.Parts.View != Outside || r.limb.held != 0 {
		t.Errorf("far away: %+v, %d held", v.Parts, r.limb.held)
	}
}

// TestAHoldOutOfReachIsTold on another floor: until it lets go, it is named by zone and kind, and by no part.
func TestAHoldOutOfReachIsTold(t *testing.T) {
	r := newLimbRig(t, limbed(), counter(), glass())
	r.pose(0, -0.9, -0.4)
	r.at(0, 0, 0)
	r.pass(time.Minute)
	r.pose()
	r.in.Pose.Floor = 1
	v := r.at(0, 0, 0)
	want := []PartFinding{
		{Zone: 0, Part: -1, Place: Inside, Certain: true, Reason: ReasonPartMargin},
		{Zone: 1, Part: -1, View: true, Place: Inside, Certain: true, Reason: ReasonView},
	}
	if got := v.Parts.Near[:v.Parts.N]; !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestAZonesMarginHoldsForParts: it comes on top of what pose and joints leave open.
func TestAZonesMarginHoldsForParts(t *testing.T) {
	for margin, want := range map[float64]Place{0: Outside, 0.3: Margin} {
		z := counter()
		z.MarginM = margin
		v := newLimbRig(t, limbed(), z).rest(-0.2, 0, 0, 0, -0.9, -0.1)
		if v.Parts.Place != want {
			t.Errorf("margin %v: %+v, want %v", margin, v.Parts, want)
		}
	}
}

// TestSwayOfAPart: a turn moves each end by its distance from the upright axis, a tilt by that from the base.
func TestSwayOfAPart(t *testing.T) {
	for _, c := range []struct {
		a, b       vec3
		turn, tilt float64
	}{
		{vec3{3, 4, 0}, vec3{0, 0.5, 12}, 5, math.Sqrt(144.25)},
		{vec3{0.5, 0, 12}, vec3{4, 3, 0}, 5, math.Sqrt(144.25)},
		{vec3{6, 8, 24}, vec3{}, 10, 26},
		{vec3{}, vec3{8, 6, 24}, 10, 26},
	} {
		p := partPose{capsule: capsule{a: c.a, b: c.b}}
		if turn, tilt := p.sway(2, 0), p.sway(0, 3); math.Abs(turn-2*c.turn) > 1e-12 || math.Abs(tilt-3*c.tilt) > 1e-12 {
			t.Errorf("from %v to %v: %v by 2 rad, %v by a tilt of 3, want %v, %v", c.a, c.b, turn, tilt, 2*c.turn, 3*c.tilt)
		}
	}
}

// TestZoneOutOfReachLetsGoBesideOneThatHolds drives away from one counter to reach into another, in both orders of the zones.
func TestZoneOutOfReachLetsGoBesideOneThatHolds(t *testing.T) {
	for _, first := range []float64{0, 10} {
		far := counter()
		far.ID, far.Outer = "far", rect(10_600, -1000, 11_200, 1000)
		r := newLimbRig(t, limbed(), counter(), far)
		in := []float64{0, -0.9, -0.4}
		r.pose(in...)
		if v := r.at(first, 0, 0); v.Parts.Place != Inside || r.limb.held != 1 {
			t.Fatalf("at %v m: %+v, %d held", first, v.Parts, r.limb.held)
		}
		r.pass(time.Minute)
		r.pose(in...)
		if v := r.at(10-first, 0, 0); v.Parts.Place != Inside || r.limb.held != 2 {
			t.Fatalf("at %v m, right after: %+v, %d held", 10-first, v.Parts, r.limb.held)
		}
		v := r.rest(10-first, 0, 0, in...)
		if want := int(10-first) / 10; v.Parts.N != 1 || v.Parts.Near[0].Zone != want || v.Parts.Near[0].Place != Inside || r.limb.held != 1 {
			t.Errorf("at %v m, later: %+v, %d held, want zone %d alone", 10-first, v.Parts.Near[:v.Parts.N], r.limb.held, want)
		}
	}
}

func TestPartsStateIsRestored(t *testing.T) {
	r := newLimbRig(t, limbed(), counter(), glass())
	r.pose(0, -0.9, -0.4)
	r.at(0, 0, 0)
	state := r.AppendState(nil)
	other := New(r.Set())
	if err := other.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		r.pass(50 * time.Millisecond)
		if i > 20 && i%2 == 0 {
			p := Posture{Boot: r.now.Boot, Known: math.MaxUint64}
			r.Posture(&p)
			other.Posture(&p)
		}
		want := *r.at(0, 0, 0)
		var got Verdict
		other.Step(r.now, &r.in, &got)
		if got != want {
			t.Fatalf("step %d: %+v\nwant %+v", i, got.Parts, want.Parts)
		}
	}
	if a, b := r.AppendState(nil), other.AppendState(nil); !slices.Equal(a, b) {
		t.Error("states differ")
	}
	state[len(state)-20]++
	if other.RestoreState(state) == nil {
		t.Error("a damaged state was restored")
	}
}

func TestPartsCarryOver(t *testing.T) {
	r := newLimbRig(t, limbed(), counter())
	r.pose(0, -0.9, -0.4)
	r.at(0, 0, 0)
	r.pose()
	spec := site(glass(), counter())
	next := New(compile(t, spec, limbed()))
	next.Carry(r.Fence)
	var v Verdict
	next.Step(r.now, &r.in, &v)
	if v.Parts.Place != Inside || v.Parts.Near[0].Reason == ReasonPartUnknown {
		t.Errorf("the hold and the posture are lost: %+v", v.Parts)
	}
	other := limbed()
	other.Chain.Joints[0].Origin.XYZ[0] = 0.01
	next = New(compile(t, spec, other))
	next.Carry(r.Fence)
	next.Step(r.now, &r.in, &v)
	if v.Parts.Near[0].Reason != ReasonPartUnknown {
		t.Errorf("the posture of another body was taken over: %+v", v.Parts)
	}
}

// goldenPartsDigest is as goldenDigest, for parts and views.
const goldenPartsDigest = 0x4742b30a06ba3923

func TestGoldenParts(t *testing.T) {
	l := lcg(20261101)
	spec := goldenSpec(&l, berlin(t))
	for i := range spec.Zones {
		if z := &spec.Zones[i]; z.Kind == Blocked {
			z.Parts, z.Height = []string{[]string{"hands", "arms", "all"}[i%3], PartContour}, &Height{float64(1.2 * l.unit()), 1.3 + l.unit()}
			if i%2 == 0 {
				z.Views = []string{"eye"}
			}
		}
	}
	r := newRig(t, spec, limbed())
	h := newHasher()
	seen := map[string]int{}
	p := Posture{HasVelocity: true}
	for i := range 5000 {
		r.pass(100 * time.Millisecond)
		if l.pick(8) > 0 {
			p.Boot, p.Known = r.now.Boot, math.MaxUint64
			for k := range 4 {
				p.Position[k], p.Velocity[k] = float64(5*l.unit())-2.5, l.unit()-0.5
			}
			if l.pick(10) == 0 {
				p.Known = uint64(l.pick(16))
			}
			r.Posture(&p)
		}
		q := &r.in.Pose
		q.Seen, q.Boot, q.StampNS = true, r.now.Boot, r.now.Civil.UnixNano()
		if i%5 == 0 { // it was somewhere else meanwhile
			r.pass(time.Minute)
			q.Boot, q.StampNS = r.now.Boot, r.now.Civil.UnixNano()
			q.X, q.Y = float64(30*l.unit()), float64(30*l.unit())
			c := float64(2*l.unit()) - 1
			q.QW, q.QZ = math.Sqrt((1+c)/2), math.Sqrt((1-c)/2)
		}
		if l.pick(50) == 0 {
			q.Boot -= time.Second
		}
		v := r.step()
		for _, n := range []uint64{uint64(v.Parts.Place), uint64(v.Parts.View), uint64(v.Parts.N)} {
			h.uint(n)
		}
		for _, f := range v.Parts.Near[:v.Parts.N] {
			h.uint(uint64(f.Zone)<<32 | uint64(uint32(f.Part)))
			h.uint(uint64(f.Place)<<8 | uint64(f.Reason))
			h.float(f.MarginM)
			h.float(f.NeedM)
			seen[f.Reason.String()+" "+f.Place.String()]++
		}
		seen["parts "+v.Parts.Place.String()]++
		seen["view "+v.Parts.View.String()]++
	}
	t.Logf("digest %#x, seen %v", uint64(h), seen)
	if uint64(h) != goldenPartsDigest {
		t.Errorf("digest %#x, want %#x: decisions changed, or this machine computes differently", uint64(h), uint64(goldenPartsDigest))
	}
	for _, need := range []string{
		"part-inside inside", "part-margin margin", "part-unknown inside", "view inside", "view margin", "parts outside", "view outside", "parts unknown",
	} {
		if seen[need] == 0 {
			t.Errorf("the scene never saw %q", need)
		}
	}
}

func TestPartsAllocateNothing(t *testing.T) {
	r := newLimbRig(t, limbed(), counter(), glass())
	p := Posture{Boot: r.now.Boot, Known: math.MaxUint64}
	if n := testing.AllocsPerRun(100, func() {
		r.pass(10 * time.Millisecond)
		p.Boot = r.now.Boot
		p.Position[shoulder] -= 0.01
		r.Posture(&p)
		r.at(0, 0, 0)
	}); n != 0 {
		t.Errorf("%v allocations per step, want 0", n)
	}
}

// TestNamesOfPartsAndCameras: what there is has its name, and what there is not has none.
func TestNamesOfPartsAndCameras(t *testing.T) {
	with, without := compile(t, site(wall(0)), limbed()), compile(t, site(wall(0)), wheels())
	for i, want := range map[int]string{-1: "", 0: "eye", 1: "", 1 << 40: ""} {
		if got := with.Camera(i); got != want {
			t.Errorf("camera %d is %q, expected %q", i, got, want)
		}
	}
	for i, want := range map[int]string{-1: "", 0: "trunk", 4: "head", 5: ""} {
		if got := with.Part(i); got != want {
			t.Errorf("part %d is %q, expected %q", i, got, want)
		}
	}
	if without.Camera(0) != "" || without.Part(0) != "" {
		t.Error("a robot without links has names for them")
	}
}
