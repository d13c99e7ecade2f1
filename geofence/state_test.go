package geofence

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scene is a seeded run through a busy site with good and bad input.
type scene struct {
	rng *rand.Rand
	rig *rig
	cmd Velocity
}

func sceneSpec(t tb, seed uint64) Spec {
	rng := rand.New(rand.NewPCG(seed, 11))
	spec := Spec{
		Floors:   []FloorSpec{{"f0", Allow}, {"f1", Deny}},
		Roles:    []string{"porter", "cleaner"},
		Location: berlin(t),
		Shifts: []ShiftSpec{
			{"day", []WindowSpec{{allDays(), 6 * 60, 14*60 + 1}}, false},
			{"night", []WindowSpec{{allDays(), 22 * 60, 6 * 60}}, false},
		},
	}
	for len(spec.Zones) < 40 {
		z := ZoneSpec{ID: string(rune('A' + len(spec.Zones))), Floor: "f0", Kind: Blocked}
		z.Outer = star(rng, rng.Float64()*30_000, rng.Float64()*30_000, 300+rng.Float64()*1500, 3+rng.IntN(18))
		if len(checkRings([][]Vertex{z.Outer}, MaxCoordinateMM)) > 0 {
			continue
		}
		switch rng.IntN(5) {
		case 0:
			z.Kind, z.MaxSpeedMPS = SpeedLimit, 0.3+rng.Float64()*0.5
		case 1:
			z.Shifts = []string{[]string{"day", "night"}[rng.IntN(2)]}
		case 2:
			z.Roles = []string{[]string{"porter", "cleaner"}[rng.IntN(2)]}
		}
		if rng.IntN(3) == 0 {
			if dressed(&z, rng); z.MaxDwell > 0 {
				z.MaxDwell = time.Second
			}
		}
		if rng.IntN(8) == 0 {
			z.Floor = "f1"
		}
		spec.Zones = append(spec.Zones, z)
	}
	hall := room("hall", rect(-2000, -2000, 32_000, 20_000))
	hall.Floor = "f0"
	late := room("late", rect(-2000, 18_000, 32_000, 32_000))
	late.Floor, late.Shifts = "f0", []string{"day"}
	cellar := room("cellar", rect(-2000, -2000, 32_000, 32_000))
	cellar.Floor = "f1"
	spec.Zones = append(spec.Zones, hall, late, cellar)
	return spec
}

func newScene(t tb, seed uint64) *scene {
	s := &scene{rng: rand.New(rand.NewPCG(seed, 12)), rig: newRig(t, sceneSpec(t, seed), wheels())}
	s.rig.in.Roles = 1
	p := &s.rig.in.Pose
	p.X, p.Y = 5, 5
	return s
}

// spoil breaks the input in one of many ways, seldom.
func (s *scene) spoil(in *Inputs) {
	rng := s.rng
	if rng.IntN(20) == 0 {
		in.Leases[rng.IntN(MaxLeases)] = Lease{
			State: LeaseState(rng.IntN(int(leaseEnd))), Zone: rng.IntN(50) - 2, Until: s.rig.now.Boot + time.Duration(rng.IntN(6000)-1000)*time.Millisecond, //nolint:gosec // small
			MaxSpeedMPS: []float64{0.3, 1, 0, math.NaN(), math.Inf(1)}[rng.IntN(5)], Facts: FactSet(rng.IntN(9)), //nolint:gosec // small
		}
	}
	switch rng.IntN(400) {
	case 0:
		in.Pose.X += 2
	case 1:
		in.Pose.Y = math.NaN()
	case 2:
		in.Pose.VarX = 0
	case 3:
		in.Pose.VarX, in.Pose.VarY = 0.02, 0.02
	case 4:
		in.Pose.Floor = rng.IntN(3) - 1
	case 5:
		in.Roles = rng.Uint64N(4)
	case 6:
		in.Egress = Egress{Active: rng.IntN(2) == 0, Zone: rng.IntN(50) - 2}
	case 7:
		in.Motion = Motion{Known: true, Moving: rng.IntN(2) == 0}
	case 8:
		in.Velocity.Known = false
	case 9:
		in.Pose.StampNS -= int64(time.Second)
	case 10:
		in.Pose.FrameOK = false
	case 11:
		in.Pose.Floor = 0
		in.Roles, in.Egress, in.Motion = 1, Egress{}, Motion{}
	}
}

// next advances the scene by a tick and returns what the fence said.
func (s *scene) next(f *Fence) (Verdict, Limit) {
	r, rng := s.rig, s.rng
	r.pass(time.Duration(10+rng.IntN(30)) * time.Millisecond)
	if rng.IntN(300) == 0 {
		r.now.Trust = ClockTrust(rng.IntN(3))
	}
	if rng.IntN(25) == 0 {
		s.cmd = Velocity{rng.Float64()*2 - 0.6, rng.Float64() - 0.5, rng.Float64()*2 - 1}
	}
	in := &r.in
	if rng.IntN(3) > 0 { // a new pose, moved by what was measured
		p := &in.Pose
		dt := (r.now.Boot - p.Boot).Seconds()
		if dt > 1 || !p.Seen {
			dt = 0
		}
		yaw := 2*math.Atan2(p.QZ, p.QW) + in.Velocity.YawRate*dt
		p.Seen, p.Boot, p.StampNS, p.FrameOK = true, r.now.Boot, r.now.Civil.UnixNano(), true
		if math.IsNaN(p.Y) {
			p.Y = 5
		}
		p.X += (in.Velocity.VX*math.Cos(yaw) - in.Velocity.VY*math.Sin(yaw)) * dt
		p.Y += (in.Velocity.VX*math.Sin(yaw) + in.Velocity.VY*math.Cos(yaw)) * dt
		p.QZ, p.QW = math.Sin(yaw/2), math.Cos(yaw/2)
		p.HasCovariance, p.VarX, p.VarY, p.VarYaw = true, 1e-4+rng.Float64()*1e-3, 1e-4, 1e-6
		in.Velocity.Known, in.Velocity.Boot = true, r.now.Boot
	}
	s.spoil(in)
	var v Verdict
	f.Step(r.now, in, &v)
	later := r.now
	later.Boot += 3 * time.Millisecond
	l := f.Limit(later, s.cmd)
	out := Velocity{s.cmd.VX * l.Ratio, s.cmd.VY * l.Ratio, s.cmd.YawRate * l.Ratio}
	if rng.IntN(500) != 0 { // now and then the gate forgets
		f.Issued(later, out)
	}
	k := rng.Float64() * 0.5
	in.Velocity.VX += k * (out.VX - in.Velocity.VX)
	in.Velocity.VY += k * (out.VY - in.Velocity.VY)
	in.Velocity.YawRate += k * (out.YawRate - in.Velocity.YawRate)
	return v, l
}

func TestRestoredFenceDecidesAlike(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64Range(0, 1000).Draw(t, "seed")
		at := rapid.IntRange(0, 600).Draw(t, "at")
		// Two scenes with the same seed draw the same input, whatever fence they drive.
		a, b := newScene(outer, seed), newScene(outer, seed)
		fa, fb := a.rig.Fence, b.rig.Fence
		for range at {
			a.next(fa)
			b.next(fb)
		}
		state := fa.AppendState([]byte("head"))
		fresh := New(fb.Set())
		if err := fresh.RestoreState(state[4:]); err != nil {
			t.Fatal(err)
		}
		if again := fresh.AppendState(nil); !bytes.Equal(again, state[4:]) {
			t.Fatal("the state of the restored fence differs")
		}
		if got, want := fresh.Limit(a.rig.now, Velocity{VX: 0.7}), fa.Limit(a.rig.now, Velocity{VX: 0.7}); got != want {
			t.Fatalf("limit before any step: %+v, want %+v", got, want)
		}
		for i := range 200 {
			va, la := a.next(fa)
			vb, lb := b.next(fresh)
			if va != vb || la != lb {
				t.Fatalf("step %d after the restore: %s %s", i, cmp.Diff(va, vb), cmp.Diff(la, lb))
			}
		}
	})
}

func TestRestoreRejects(t *testing.T) {
	s := newScene(t, 1)
	for range 300 {
		s.next(s.rig.Fence)
	}
	f := s.rig.Fence
	good := f.AppendState(nil)
	reseal := func(b []byte) []byte {
		c := codec{buf: b[:len(b)-8]}
		sum := checksum(c.buf)
		c.uint(&sum)
		return c.buf
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"nothing":         func([]byte) []byte { return nil },
		"another version": func(b []byte) []byte { b[0]++; return reseal(b) },
		"cut short":       func(b []byte) []byte { return b[:len(b)-3] },
		"cut and resealed": func(b []byte) []byte {
			return reseal(b[:len(b)-32])
		},
		"a flipped bit":   func(b []byte) []byte { b[100] ^= 4; return b },
		"another set":     func(b []byte) []byte { b[3] ^= 4; return reseal(b) },
		"trailing bytes":  func(b []byte) []byte { return reseal(append(b, 1, 2, 3, 4, 5, 6, 7, 8)) },
		"a flag of seven": func(b []byte) []byte { b[9] = 7; return reseal(b) },
	} {
		if err := f.RestoreState(spoil(bytes.Clone(good))); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(f.AppendState(nil), good) {
			t.Fatalf("%s: the fence changed", name)
		}
	}
	if err := f.RestoreState(good); err != nil {
		t.Errorf("the good state: %v", err)
	}
}

func TestSaneRejectsEveryNonsense(t *testing.T) {
	s := newScene(t, 1)
	for range 300 {
		s.next(s.rig.Fence)
	}
	f := s.rig.Fence
	for name, spoil := range map[string]func(*memory){
		"floor":         func(m *memory) { m.track.floor = 2 },
		"floor below":   func(m *memory) { m.track.floor = -2 },
		"pose nowhere":  func(m *memory) { m.track.floor, m.track.have = -1, true },
		"now":           func(m *memory) { m.now = -1 },
		"delay":         func(m *memory) { m.track.delay = -1 },
		"moving":        func(m *memory) { m.track.moving = -1 },
		"good":          func(m *memory) { m.track.good = -1 },
		"grant":         func(m *memory) { m.egress = Egress{true, 99} },
		"grant below":   func(m *memory) { m.egress = Egress{true, -2} },
		"half a grant":  func(m *memory) { m.egress = Egress{false, 1} },
		"slot":          func(m *memory) { m.issued.slot = -1 },
		"count":         func(m *memory) { m.issued.count = ringSlots + 1 },
		"count below":   func(m *memory) { m.issued.count = -1 },
		"early count":   func(m *memory) { m.issued.slot, m.issued.count = 3, 5 },
		"issued at":     func(m *memory) { m.issued.at = -1 },
		"far x":         func(m *memory) { m.track.at.x = 2e9 },
		"far y":         func(m *memory) { m.track.anchor.y = math.Inf(-1) },
		"heading":       func(m *memory) { m.track.at.c = 2 },
		"no heading":    func(m *memory) { m.track.at.c, m.track.at.s = 0, 0 },
		"sigma":         func(m *memory) { m.track.sigma = -1 },
		"huge sigma":    func(m *memory) { m.track.sigma = math.Inf(1) },
		"spread":        func(m *memory) { m.track.spread = -1 },
		"huge spread":   func(m *memory) { m.track.spread = 1e7 },
		"depth":         func(m *memory) { m.egressDepth = -1 },
		"left zone":     func(m *memory) { m.leaves = 99 },
		"left below":    func(m *memory) { m.leaves = -2 },
		"left depth":    func(m *memory) { m.leaveDepth = -1 },
		"velocity":      func(m *memory) { m.track.velocity.vx = 1e6 },
		"side velocity": func(m *memory) { m.issued.last.vy = -1e6 },
		"spinning":      func(m *memory) { m.issued.sent[7].w = 1000 },
	} {
		m := f.mem
		if !f.sane(&m) {
			t.Fatal("the real memory is refused")
		}
		if spoil(&m); f.sane(&m) {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzRestoreState(f *testing.F) {
	set := compile(f, sceneSpec(f, 1), wheels())
	s := newScene(f, 1)
	for i := range 300 {
		s.next(s.rig.Fence)
		if i%60 == 0 {
			f.Add(s.rig.Fence.AppendState(nil))
		}
	}
	f.Add([]byte{})
	in := s.rig.in
	f.Fuzz(func(t *testing.T, state []byte) {
		// With a valid checksum and digest, so that the fields themselves are tried.
		if len(state) >= 17 {
			state = bytes.Clone(state)
			c := codec{buf: state[:1]}
			digest := set.Digest()
			state[0] = stateVersion
			c.uint(&digest)
			c.buf = append(c.buf, state[9:len(state)-8]...)
			sum := checksum(c.buf)
			c.uint(&sum)
			state = c.buf
		}
		fence := New(set)
		if fence.RestoreState(state) != nil {
			return
		}
		if again := fence.AppendState(nil); !bytes.Equal(again, state) {
			t.Fatal("an accepted state does not come back")
		}
		var v Verdict
		now := Instant{Boot: fence.mem.now + time.Second, Civil: epoch(), Trust: ClockTrusted}
		for range 3 {
			now.Boot += 10 * time.Millisecond
			l := fence.Limit(now, Velocity{VX: 1, YawRate: 0.2})
			if !(l.Ratio >= 0 && l.Ratio <= 1) {
				t.Fatalf("ratio %v", l.Ratio)
			}
			fence.Issued(now, Velocity{VX: 0.5})
			fence.Step(now, &in, &v)
		}
	})
}

// TestNothingComesFreeWhileNothingIsSeen: a dwell that a pose fault breaks begins anew.
func TestNothingComesFreeWhileNothingIsSeen(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	r.held(-0.42, 0, 0) // in the margin
	r.pass(10 * time.Second)
	step := func(n int) (last Place) {
		for range n {
			r.pass(50 * time.Millisecond)
			last = r.at(-2, 0, 0).Place
		}
		return last
	}
	if got := step(30); got != Margin {
		t.Fatalf("after 1.5 of 2 s: %v", got)
	}
	r.in.Pose.FrameOK = false
	if got := step(4); got != PlaceUnknown {
		t.Fatalf("in another frame: %v", got)
	}
	r.in.Pose.FrameOK = true
	if got := step(39); got != Margin {
		t.Errorf("1.9 s after the fault: %v", got)
	}
	if got := step(3); got != Outside {
		t.Errorf("2.05 s after the fault: %v", got)
	}
}

// fill sets every number and flag below v to something of its own.
func fill(v reflect.Value, n *int) {
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(uint8(*n)))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		panic("a kind that no state had before: " + v.Kind().String())
	}
}

func TestEveryFieldIsInTheState(t *testing.T) {
	var m, back memory
	n := 0
	fill(reflect.ValueOf(&m).Elem(), &n)
	w := codec{}
	w.memory(&m)
	r := codec{buf: w.buf, read: true}
	r.memory(&back)
	if r.bad || len(r.buf) != 0 || back != m {
		t.Errorf("of %d values not all came back: %s", n, cmp.Diff(m, back, cmp.Exporter(func(reflect.Type) bool { return true })))
	}
}

func TestSaneTakesWhatCanBe(t *testing.T) {
	s := newScene(t, 1)
	for range 300 {
		s.next(s.rig.Fence)
	}
	f := s.rig.Fence
	for name, change := range map[string]func(*memory){
		"the first slots":  func(m *memory) { m.issued.slot, m.issued.count = 3, 4 },
		"a full ring":      func(m *memory) { m.issued.count = ringSlots },
		"all speeds known": func(m *memory) { m.brakes.sent.slot, m.brakes.sent.count = latelySlots-1, latelySlots },
		"no floor yet":     func(m *memory) { m.track.floor, m.track.have = -1, false },
		"the worst brakes": func(m *memory) { m.brakes.axis[0].share, m.brakes.axis[1].share = leastShare, leastShare },
		"ahead of its way": func(m *memory) { m.brakes.axis[0].over = -40 },
	} {
		m := f.mem
		if change(&m); !f.sane(&m) {
			t.Errorf("%s: refused", name)
		}
	}
	for name, spoil := range map[string]func(*memory){
		"more than the brakes":       func(m *memory) { m.brakes.axis[0].share = 1.001 },
		"less than counts":           func(m *memory) { m.brakes.axis[1].share = leastShare - 0.001 },
		"speeds of a later slot":     func(m *memory) { m.brakes.sent.slot, m.brakes.sent.count = 3, 5 },
		"more speeds than there are": func(m *memory) { m.brakes.sent.count = latelySlots + 1 },
		"speeds before the start":    func(m *memory) { m.brakes.sent.at = -1 },
		"a negative promise":         func(m *memory) { m.brakes.axis[1].promised = -1 },
		"an endless phase":           func(m *memory) { m.brakes.axis[0].time = math.Inf(1) },
		"an overrun without end":     func(m *memory) { m.brakes.axis[0].over = math.Inf(-1) },
	} {
		m := f.mem
		if spoil(&m); f.sane(&m) {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestCarryToASetWithoutTheFloor(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	r.at(-10, 0, 0)
	spec := site()
	spec.Floors = []FloorSpec{{ID: "elsewhere", WithoutKeepIn: Allow}}
	f := New(compile(t, spec, wheels()))
	f.Carry(r.Fence)
	if err := New(f.Set()).RestoreState(f.AppendState(nil)); err != nil {
		t.Errorf("its state cannot be restored: %v", err)
	}
	if l := f.Limit(r.now, Velocity{VX: 0.1}); l.Ratio != 0 || l.Reason != ReasonPoseFault {
		t.Errorf("nobody knows where it is: %+v", l)
	}
}

func TestOneHoldFarAwayRunsOut(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	m := r.at(-10, 0, 0).MarginM
	r.held(-(0.4 + m - 0.01), 0, 0)
	r.held(-20, 0, 0) // 3 s beyond the reach of anything
	if r.Fence.held != 0 {
		t.Errorf("%d levels are still held", r.Fence.held)
	}
	r.pass(100 * time.Second)
	if v := r.at(-(0.4 + m + 0.05), 0, 0); v.Place != Outside {
		t.Errorf("back before the margin: %v", v.Place)
	}
}

func TestCarryKeepsHoldsOverAReload(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	m := r.at(-10, 0, 0).MarginM
	r.held(-(0.4 + m - 0.01), 0, 0)
	r.pass(time.Second)
	if v := r.at(-(0.4 + m + 0.05), 0, 0); v.Place != Margin {
		t.Fatalf("before: %v", v.Place)
	}
	old := r.Fence
	z := wall(0)
	z.Name = "renamed"
	next := site(ZoneSpec{ID: "first", Kind: Blocked, Outer: rect(-50_000, 0, -40_000, 10)}, z)
	r.Fence = New(compile(t, next, wheels()))
	r.Carry(old)
	if l := r.limit(Velocity{VX: 0.1}); l.Ratio != 0 || l.Zone != 1 {
		t.Errorf("right after the reload: %+v", l)
	}
	r.pass(50 * time.Millisecond)
	if v := r.at(-(0.4 + m + 0.05), 0, 0); v.Place != Margin || v.Faults != 0 {
		t.Errorf("a step later: place %v, faults %v", v.Place, v.Faults)
	}
	// The off case: a fence without a past sees the robot outside.
	r.Fence = New(compile(t, next, wheels()))
	r.pass(50 * time.Millisecond)
	if v := r.at(-(0.4 + m + 0.05), 0, 0); v.Place != Outside {
		t.Errorf("without Carry: %v", v.Place)
	}
}

func TestCarryKeepsLatchedFaultsAndHoldsAtOnce(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	r.pass(50 * time.Millisecond)
	r.at(3, 0, 0)
	old := r.Fence
	r.Fence = New(compile(t, site(wall(49_000)), wheels()))
	r.Carry(old)
	if l := r.limit(Velocity{VX: 0.1}); l.Ratio != 0 {
		t.Errorf("a reload cleared a jump: %+v", l)
	}
	r.drive(1, 3, 0)
	if r.out.Faults != FaultJump {
		t.Errorf("faults %v", r.out.Faults)
	}
	// A zone loaded over the robot holds it before the next step.
	r = newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	old = r.Fence
	r.Fence = New(compile(t, site(wall(0)), wheels()))
	r.Carry(old)
	if l := r.limit(Velocity{VX: -0.1}); l.Ratio != 0 || l.Reason != ReasonInside {
		t.Errorf("loaded over the robot: %+v", l)
	}
	// Its floor is gone: nothing is known until a pose names one that is there.
	gone := Spec{Floors: []FloorSpec{{ID: "elsewhere", WithoutKeepIn: Allow}}}
	r.Fence = New(compile(t, gone, wheels()))
	r.Carry(old)
	if l := r.limit(Velocity{VX: 0.1}); l.Ratio != 0 {
		t.Errorf("floor gone: %+v", l)
	}
}

func TestCarryKeepsTheCommandsInFlight(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	r.send(500, 0, Velocity{VX: 1})
	old := r.Fence
	other := wheels()
	other.Reaction *= 2
	for name, tc := range map[string]struct {
		robot Robot
		known bool
	}{"the same robot": {wheels(), true}, "a slower one, whose slots are wider": {other, false}} {
		r.Fence = New(compile(t, site(wall(40_000)), tc.robot))
		if r.Carry(old); r.mem.issued.known != tc.known {
			t.Errorf("%s: the record is known: %v", name, r.mem.issued.known)
		}
	}
}

func TestCarryTreatsShiftsAsUnknownUntilTheFirstStep(t *testing.T) {
	spec := shifted(t, WindowSpec{allDays(), 0, 1})
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	old := r.Fence
	r.Fence = New(compile(t, spec, wheels()))
	r.Carry(old)
	if l := r.limit(Velocity{VX: 0.1}); l.Ratio != 0 {
		t.Errorf("a zone that may bind lets pass: %+v", l)
	}
}
