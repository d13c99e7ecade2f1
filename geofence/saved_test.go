package geofence

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oddNumber draws numbers that senders have no reason to send, and some that they have.
func oddNumber(t *rapid.T, name string) float64 {
	return rapid.OneOf(
		rapid.SampledFrom([]float64{
			0, 1, -1, 1e-9, 1e6, -1e6, 1e12, math.Nextafter(1e12, 0), -1e12, 1e150, -1e300, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1),
		}),
		rapid.Float64Range(-3, 3), rapid.Float64(),
	).Draw(t, name)
}

// oddPose is a pose of which now and then any number is odd.
func oddPose(t *rapid.T, r *rig) (p Pose) {
	yaw := rapid.Float64Range(-4, 4).Draw(t, "yaw")
	p = Pose{
		Seen: true, Boot: r.now.Boot, StampNS: r.now.Civil.UnixNano(), X: rapid.Float64Range(-3, 3).Draw(t, "x"), Y: rapid.Float64Range(-3, 3).Draw(t, "y"),
		QZ: math.Sin(yaw / 2), QW: math.Cos(yaw / 2), FrameOK: true, HasCovariance: true, VarX: 1e-4, VarY: 1e-4, VarYaw: 1e-6,
	}
	numbers := []*float64{&p.X, &p.Y, &p.Z, &p.QX, &p.QY, &p.QZ, &p.QW, &p.VarX, &p.CovXY, &p.VarY, &p.VarYaw}
	for range rapid.IntRange(0, 3).Draw(t, "odd numbers") {
		*rapid.SampledFrom(numbers).Draw(t, "which") = oddNumber(t, "number")
	}
	if rapid.IntRange(0, 9).Draw(t, "whole") == 0 { // as little is known as can be said
		p.VarX, p.VarY = 1e12, rapid.SampledFrom([]float64{1e12, 1e11, 1}).Draw(t, "other variance")
		p.CovXY = math.Sqrt(p.VarX * p.VarY)
		p.VarYaw = 1e12
	}
	switch rapid.IntRange(0, 9).Draw(t, "time") {
	case 0:
		p.StampNS = rapid.Int64().Draw(t, "stamp")
	case 1:
		p.Boot -= time.Duration(rapid.Int64Range(-int64(time.Second), int64(r.now.Boot)).Draw(t, "age"))
	case 2:
		p.Floor = rapid.IntRange(-2, 3).Draw(t, "floor")
	case 3:
		p.Seen, p.FrameOK = rapid.Bool().Draw(t, "seen"), rapid.Bool().Draw(t, "frame")
	}
	return p
}

func oddVelocity(t *rapid.T) Velocity {
	return Velocity{oddNumber(t, "vx"), oddNumber(t, "vy"), oddNumber(t, "w")}
}

// TestWhateverWasSeenIsTakenBack: no input, however odd, makes a state that a fence of the same set refuses: a recording with
// such a moment in it could not be replayed from there.
func TestWhateverWasSeenIsTakenBack(t *testing.T) {
	robot := limbed()
	robot.Second = &Agreement{SlackM: 0.2, SlackRad: 0.2, After: 500 * time.Millisecond}
	robot.Loads = []LoadSpec{{Name: "tray", Outline: rect(-500, -500, 500, 500)}}
	set := compile(t, site(wall(2500), counter(), glass()), robot)
	rapid.Check(t, func(t *rapid.T) {
		r := &rig{Fence: New(set), now: Instant{Boot: 100 * time.Second, Civil: epoch(), Trust: ClockTrusted}}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			r.pass(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "passes")))
			r.in.Pose, r.in.Roles = oddPose(t, r), rapid.Uint64Range(0, 3).Draw(t, "roles")
			r.in.Second = oddPose(t, r)
			r.in.Velocity = Measured{Known: true, Boot: r.now.Boot, Velocity: oddVelocity(t)}
			r.in.Egress = Egress{rapid.Bool().Draw(t, "egress"), rapid.IntRange(-2, 5).Draw(t, "zone")}
			r.in.Carried = Carried{Known: rapid.Bool().Draw(t, "known"), Loads: LoadSet(rapid.Uint64().Draw(t, "loads"))}
			if rapid.Bool().Draw(t, "joints") {
				p := Posture{Boot: r.now.Boot, Known: rapid.Uint64().Draw(t, "known joints"), HasVelocity: rapid.Bool().Draw(t, "speeds")}
				for i := range 5 {
					p.Position[i], p.Velocity[i] = oddNumber(t, "position"), oddNumber(t, "speed")
				}
				r.Posture(&p)
			}
			r.Step(r.now, &r.in, &r.out)
			if rapid.Bool().Draw(t, "issued") {
				r.Issued(r.now, oddVelocity(t))
			}
			state := r.AppendState(nil)
			if err := New(set).RestoreState(state); err != nil {
				t.Fatalf("%v\npose %+v\nvelocity %+v\ntrack %+v\njoints %+v", err, r.in.Pose, r.in.Velocity, r.mem.track, r.limb.posture)
			}
		}
	})
}

// TestEveryBoundOfAStateIsItself: what a state holds is taken at the end of its range and refused beyond it.
func TestEveryBoundOfAStateIsItself(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	r.at(-3, 0, 0)
	f := r.Fence
	type setter = func(m *memory, v float64)
	zero := math.SmallestNonzeroFloat64
	for name, c := range map[string]struct {
		set         setter
		least, most float64 // NaN for none
		step        float64
	}{
		"now":            {func(m *memory, v float64) { m.now = time.Duration(v) }, 0, math.NaN(), 1},
		"delay":          {func(m *memory, v float64) { m.track.delay = time.Duration(v) }, 0, math.NaN(), 1},
		"moving":         {func(m *memory, v float64) { m.track.moving = time.Duration(v) }, 0, math.NaN(), 1},
		"good":           {func(m *memory, v float64) { m.track.good = int(v) }, 0, math.NaN(), 1},
		"floor":          {func(m *memory, v float64) { m.track.floor = int(v) }, 0, 1, 1},
		"zone left":      {func(m *memory, v float64) { m.leaves = int(v) }, NoZone, 0, 1},
		"zone granted":   {func(m *memory, v float64) { m.egress = Egress{v != NoZone, int(v)} }, NoZone, 0, 1},
		"warned":         {func(m *memory, v float64) { m.warned = int(v) }, -1, 2, 1},
		"depth left":     {func(m *memory, v float64) { m.leaveDepth = v }, 0, math.NaN(), zero},
		"depth granted":  {func(m *memory, v float64) { m.egressDepth = v }, 0, math.NaN(), zero},
		"command's time": {func(m *memory, v float64) { m.issued.at = time.Duration(v) }, 0, math.NaN(), 1},
		"x":              {func(m *memory, v float64) { m.track.at.x = v }, -MaxCoordinateMM, MaxCoordinateMM, 0.001},
		"y":              {func(m *memory, v float64) { m.track.at.y = v }, -MaxCoordinateMM, MaxCoordinateMM, 0.001},
		"anchor's x":     {func(m *memory, v float64) { m.track.anchor.x = v }, -MaxCoordinateMM, MaxCoordinateMM, 0.001},
		"anchor's y":     {func(m *memory, v float64) { m.track.anchor.y = v }, -MaxCoordinateMM, MaxCoordinateMM, 0.001},
		"sigma":          {func(m *memory, v float64) { m.track.sigma = v }, 0, 1.5e9, 0.001},
		"spread":         {func(m *memory, v float64) { m.track.spread = v }, 0, 1e6, 0.001},
		"velocity ahead": {func(m *memory, v float64) { m.track.velocity.vx = v }, -1e5, 1e5, 0.001},
		"velocity aside": {func(m *memory, v float64) { m.track.velocity.vy = v }, -1e5, 1e5, 0.001},
		"turning":        {func(m *memory, v float64) { m.track.velocity.w = v }, -100, 100, 0.001},
		"command ahead":  {func(m *memory, v float64) { m.issued.last.vx = v }, -1e5, 1e5, 0.001},
		"command aside":  {func(m *memory, v float64) { m.issued.sent[3].vy = v }, -1e5, 1e5, 0.001},
		"turn commanded": {func(m *memory, v float64) { m.issued.sent[5].w = v }, -100, 100, 0.001},
		"differs":        {func(m *memory, v float64) { m.agreement.differs = time.Duration(v) }, 0, math.NaN(), 1},
		"lost":           {func(m *memory, v float64) { m.agreement.lost = time.Duration(v) }, 0, math.NaN(), 1},
		"good since":     {func(m *memory, v float64) { m.agreement.goodSince = time.Duration(v) }, 0, math.NaN(), 1},
		"brakes' time":   {func(m *memory, v float64) { m.brakes.boot = time.Duration(v) }, 0, math.NaN(), 1},
		"share":          {func(m *memory, v float64) { m.brakes.axis[0].share = v }, leastShare, 1, 1e-9},
		"turn's share":   {func(m *memory, v float64) { m.brakes.axis[1].share = v }, leastShare, 1, 1e-9},
		"braking speed":  {func(m *memory, v float64) { m.brakes.axis[0].speed = v }, 0, 1e9, 0.001},
		"top speed":      {func(m *memory, v float64) { m.brakes.axis[1].top = v }, 0, 1e9, 0.001},
		"way asked for":  {func(m *memory, v float64) { m.brakes.axis[0].asked = v }, 0, 1e9, 0.001},
		"idle":           {func(m *memory, v float64) { m.brakes.axis[1].idle = v }, 0, 1e9, 0.001},
		"delivered":      {func(m *memory, v float64) { m.brakes.axis[0].delivered = v }, 0, 1e9, 0.001},
		"overrun":        {func(m *memory, v float64) { m.brakes.axis[1].over = v }, -1e9, 1e9, 0.001},
	} {
		for _, x := range []struct {
			v     float64
			taken bool
		}{{c.least, true}, {c.most, true}, {c.least - c.step, false}, {c.most + c.step, false}} {
			m := f.mem
			if x.v == x.v {
				if c.set(&m, x.v); f.sane(&m) != x.taken {
					t.Errorf("%s of %v: expected taken %t", name, x.v, x.taken)
				}
			}
		}
	}
}

// TestJointsOfAState: a state's joints are where a joint can be, and none is faster than any can be.
func TestJointsOfAState(t *testing.T) {
	r := newLimbRig(t, limbed(), counter())
	for n, c := range []struct {
		edit  func(*posture)
		taken bool
	}{
		{func(*posture) {}, true},
		{func(p *posture) { p.boot = 0 }, true},
		{func(p *posture) { p.boot = -1 }, false},
		{func(p *posture) { p.position[4] = -2 * maxAngle * 1000 }, true},
		{func(p *posture) { p.position[63] = 2*maxAngle*1000 + 0.001 }, false},
		{func(p *posture) { p.position[0] = math.Inf(-1) }, false},
		{func(p *posture) { p.speed[63] = endlessSpeed }, true},
		{func(p *posture) { p.speed[0] = endlessSpeed * 1.001 }, false},
		{func(p *posture) { p.speed[2] = -0.001 }, false},
	} {
		p := r.limb.posture
		if c.edit(&p); p.sane() != c.taken {
			t.Errorf("case %d: expected taken %t", n, c.taken)
		}
	}
}
