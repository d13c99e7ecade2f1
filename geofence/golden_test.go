package geofence

import (
	"math"
	"testing"
	"time"
)

// goldenDigest is the digest of the scene's decisions. It must come out on
// every architecture; it changes only with a deliberate change of decisions.
const goldenDigest = 0x334ce55a4b469fe1

// lcg draws numbers without any function that could differ between machines.
type lcg uint64

func (l *lcg) unit() float64 {
	*l = *l*6364136223846793005 + 1442695040888963407
	return float64(uint64(*l)>>11) / (1 << 53)
}

func (l *lcg) pick(n int) int { return int(l.unit() * float64(n)) }

// polygon is a star from a table of directions, so that no sine is asked.
func (l *lcg) polygon(cx, cy, size float64) []Vertex {
	dirs := [...][2]float64{
		{1, 0},
		{0.92, 0.38},
		{0.71, 0.71},
		{0.38, 0.92},
		{0, 1},
		{-0.38, 0.92},
		{-0.71, 0.71},
		{-0.92, 0.38},
		{-1, 0},
		{-0.92, -0.38},
		{-0.71, -0.71},
		{-0.38, -0.92},
		{0, -1},
		{0.38, -0.92},
		{0.71, -0.71},
		{0.92, -0.38},
	}
	var ring []Vertex
	for _, d := range dirs {
		r := float64(size * (0.5 + l.unit()/2))
		ring = append(ring, Vertex{int32(math.Round(cx + float64(d[0]*r))), int32(math.Round(cy + float64(d[1]*r)))})
	}
	return ring
}

func goldenSpec(l *lcg, loc *time.Location) Spec {
	spec := Spec{
		Floors: []FloorSpec{{"f0", Allow}, {"f1", Deny}}, Roles: []string{"porter", "cleaner"}, Location: loc,
		Shifts: []ShiftSpec{
			{"day", []WindowSpec{{allDays(), 6 * 60, 22 * 60}}, false},
			{"night", []WindowSpec{{allDays(), 22 * 60, 6 * 60}}, false},
		},
	}
	for i := range 60 {
		z := ZoneSpec{ID: string(rune('A' + i)), Floor: "f0", Kind: Blocked}
		z.Outer = l.polygon(float64(30_000*l.unit()), float64(30_000*l.unit()), 300+float64(1200*l.unit()))
		switch i % 6 {
		case 0, 1:
			z.Kind, z.MaxSpeedMPS = SpeedLimit, 0.3+l.unit()/2
		case 2:
			z.Shifts = []string{[]string{"day", "night"}[i/6%2]}
		case 3:
			z.Roles = []string{[]string{"porter", "cleaner"}[i/6%2]}
		}
		spec.Zones = append(spec.Zones, z)
	}
	for _, z := range []ZoneSpec{
		{ID: "hall", Floor: "f0", Outer: rect(-2000, -2000, 32_000, 20_000)},
		{ID: "late", Floor: "f0", Outer: rect(-2000, 18_000, 32_000, 32_000), Shifts: []string{"day"}},
		{ID: "cellar", Floor: "f1", Outer: rect(-2000, -2000, 32_000, 32_000), Shifts: []string{"night"}},
	} {
		z.Kind = KeepIn
		spec.Zones = append(spec.Zones, z)
	}
	return spec
}

// golden runs 20 000 steps of a robot that wanders, at times with bad input,
// and digests every verdict and limit. It counts what it saw.
func golden(t *testing.T) (uint64, map[string]int) {
	l := lcg(20260601)
	f := New(compile(t, goldenSpec(&l, berlin(t)), wheels()))
	h := newHasher()
	seen := map[string]int{}
	now := Instant{Boot: time.Hour, Civil: epoch(), Trust: ClockTrusted}
	at := frame{5000, 5000, 1, 0}
	var u twist
	var in Inputs
	var v Verdict
	var cmd Velocity
	in.Roles = 1
	for i := range 20_000 {
		dt := 10 + 10*l.pick(3)
		now.Boot += time.Duration(dt) * time.Millisecond
		now.Civil = now.Civil.Add(time.Duration(dt) * 40 * time.Millisecond)
		if i%400 == 0 { // put it somewhere, as a robot that was carried
			at = frame{float64(30_000 * l.unit()), float64(30_000 * l.unit()), 1, 0}.advance(twist{0, 0, 1}, float64(6*l.unit()))
			now.Boot += 30 * time.Second
			now.Trust = ClockTrust(min(l.pick(6), 2))
			in.Roles = uint64(l.pick(5)) % 4
			in.Egress = Egress{Active: l.pick(2) == 0, Zone: l.pick(63)}
			in.Pose.Floor = l.pick(5) / 4
		}
		at = at.advance(u, float64(dt)/1000)
		if l.pick(3) > 0 {
			b := math.Sqrt((1 + at.c) / 2) // the quaternion by half angles
			z := math.Sqrt((1 - at.c) / 2)
			if at.s < 0 {
				z = -z
			}
			in.Pose = Pose{
				Seen: true, Boot: now.Boot, StampNS: int64(now.Boot) + 1, X: at.x/1000 + (l.unit()-0.5)/50, Y: at.y / 1000, QZ: z, QW: b,
				FrameOK: true, Floor: in.Pose.Floor, HasCovariance: true, VarX: 1e-4 + l.unit()/1000, VarY: 1e-4, CovXY: 5e-5, VarYaw: 1e-6,
			}
			in.Velocity = Measured{Known: true, Boot: now.Boot, Velocity: Velocity{u.vx / 1000, u.vy / 1000, u.w}}
		}
		if l.pick(500) == 0 {
			in.Pose.X += 2
		}
		if l.pick(20) == 0 {
			cmd = Velocity{float64(2*l.unit()) - 0.6, l.unit() - 0.5, float64(2*l.unit()) - 1}
		}
		if v.Place == Inside && l.pick(30) == 0 {
			in.Egress = Egress{Active: true, Zone: v.Zone}
		}
		f.Step(now, &in, &v)
		a := f.Limit(now, cmd)
		out := Velocity{float64(cmd.VX * a.Ratio), float64(cmd.VY * a.Ratio), float64(cmd.YawRate * a.Ratio)}
		f.Issued(now, out)
		k := out.twist()
		lag := 4.0
		if i/5000 == 1 { // its brakes get worse for a while
			lag = 40
		}
		u = twist{u.vx + (k.vx-u.vx)/lag, u.vy + (k.vy-u.vy)/lag, u.w + (k.w-u.w)/lag}
		digest(&h, &v, &a)
		seen[v.Place.String()]++
		seen["limit "+a.Reason.String()]++
		if v.Trip {
			seen["trip"]++
		}
		if v.BrakeShare < 1 {
			seen["weak brakes"]++
		}
	}
	for _, b := range f.AppendState(nil) {
		h.byte(b)
	}
	return uint64(h), seen
}

func digest(h *hasher, v *Verdict, a *Limit) {
	for _, x := range []uint64{uint64(v.Faults), uint64(v.Place), uint64(v.N), uint64(v.Reason), uint64(v.Zone), uint64(a.Zone), uint64(a.Reason)} {
		h.uint(x)
	}
	for _, x := range []float64{
		v.MaxSpeedMPS, v.RequiredM, v.MarginM, v.AgeS, v.BrakeShare, v.TurnBrakeShare, a.Ratio, a.FreeM, a.AllowedMPS,
	} {
		h.float(x)
	}
	for _, b := range []bool{v.Hold, v.Trip, v.SpeedLimited, v.ScheduleUntrusted} {
		if b {
			h.byte(1)
		}
		h.byte(0)
	}
	for _, z := range v.Near[:v.N] {
		h.uint(uint64(z.Zone))
		h.uint(uint64(z.Place))
		h.float(z.MarginM)
		h.float(z.AllowedMPS)
	}
}

func TestGoldenDecisions(t *testing.T) {
	got, seen := golden(t)
	t.Logf("digest %#x, seen %v", got, seen)
	if got != goldenDigest {
		t.Errorf("digest %#x, want %#x: decisions changed, or this machine computes differently", got, uint64(goldenDigest))
	}
	for _, need := range []string{
		"outside", "margin", "inside", "unknown", "limit none", "limit edge-ahead", "limit margin", "limit inside", "limit speed-zone",
		"limit speed-ahead", "limit pose-fault", "limit egress", "limit egress-direction", "limit floor-denied", "trip", "weak brakes",
	} {
		if seen[need] == 0 {
			t.Errorf("the scene never saw %q", need)
		}
	}
}
