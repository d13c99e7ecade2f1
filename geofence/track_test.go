package geofence

import (
	"math"
	"strings"
	"testing"
	"time"
)

// drive sends n good poses, 50 ms apart, from x at v m/s, and returns the last verdict.
func (r *rig) drive(n int, x, v float64) *Verdict {
	for i := range n {
		r.pass(50 * time.Millisecond)
		r.in.Velocity.VX = v
		r.at(x+float64(i)*0.05*v, 0, 0)
	}
	return &r.out
}

func TestMeasuredVelocityWithinTheRobot(t *testing.T) {
	// A quarter more than the robot's 1.5 m/s and 1.5 rad/s, and a tenth.
	for _, c := range []struct {
		v    Velocity
		want FaultSet
	}{
		{Velocity{VX: 1.974}, 0},
		{Velocity{VX: 1.976}, FaultVelocityRange},
		{Velocity{VX: -1.3, VY: 1.5}, FaultVelocityRange},
		{Velocity{YawRate: 1.974}, 0},
		{Velocity{YawRate: -1.974}, 0},
		{Velocity{YawRate: 1.976}, FaultVelocityRange},
	} {
		r := newRig(t, site(), wheels())
		r.in.Velocity.Velocity = c.v
		if got := r.at(0, 0, 0).Faults; got != c.want {
			t.Errorf("%+v: faults %v, want %v", c.v, got, c.want)
		}
	}
}

func TestPoseFaults(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tc := range []struct {
		name  string
		spoil func(r *rig)
		want  FaultSet
	}{
		{"nothing", func(*rig) {}, 0},
		{"missing", func(r *rig) { r.in.Pose.Seen = false }, FaultPoseMissing},
		{"NaN position", func(r *rig) { r.in.Pose.X = nan }, FaultPoseNotFinite},
		{"infinite height", func(r *rig) { r.in.Pose.Z = inf }, FaultPoseNotFinite},
		{"NaN orientation", func(r *rig) { r.in.Pose.QW = nan }, FaultPoseNotFinite},
		{"quaternion of zeros", func(r *rig) { r.in.Pose.QW, r.in.Pose.QZ = 0, 0 }, FaultQuaternion},
		{"quaternion too long", func(r *rig) { r.in.Pose.QW = 1.1 }, FaultQuaternion},
		{"huge quaternion", func(r *rig) { r.in.Pose.QW = 1e300 }, FaultQuaternion},
		{"lying on its side", func(r *rig) { r.in.Pose.QX, r.in.Pose.QW = math.Sqrt2/2, math.Sqrt2/2 }, FaultQuaternion},
		{"standing on its nose", func(r *rig) { r.in.Pose.QY, r.in.Pose.QW = math.Sqrt2/2, math.Sqrt2/2 }, FaultQuaternion},
		{"upside down", func(r *rig) { r.in.Pose.QX, r.in.Pose.QW = 1, 0 }, FaultQuaternion},
		{"another frame", func(r *rig) { r.in.Pose.FrameOK = false }, FaultFrame},
		{"unknown floor", func(r *rig) { r.in.Pose.Floor = -1 }, FaultFloor},
		{"a floor that is not there", func(r *rig) { r.in.Pose.Floor = 2 }, FaultFloor},
		{"out of range", func(r *rig) { r.in.Pose.X = 1.2e6 }, FaultRange},
		{"far out of range", func(r *rig) { r.in.Pose.Y = -1e300 }, FaultRange},
		{"no covariance", func(r *rig) { r.in.Pose.HasCovariance = false }, FaultCovarianceUnknown},
		{"zero covariance", func(r *rig) { r.in.Pose.VarX, r.in.Pose.VarY, r.in.Pose.VarYaw = 0, 0, 0 }, FaultCovarianceUnknown},
		{"zero yaw variance", func(r *rig) { r.in.Pose.VarYaw = 0 }, FaultCovarianceUnknown},
		{"negative variance", func(r *rig) { r.in.Pose.VarX = -1e-4 }, FaultCovarianceUnknown},
		{"NaN variance", func(r *rig) { r.in.Pose.VarY = nan }, FaultCovarianceUnknown},
		{"NaN covariance", func(r *rig) { r.in.Pose.CovXY = nan }, FaultCovarianceUnknown},
		{"infinite variance", func(r *rig) { r.in.Pose.VarX = inf }, FaultCovarianceUnknown},
		{"infinite covariance", func(r *rig) { r.in.Pose.CovXY = inf }, FaultCovarianceUnknown},
		{"infinite yaw variance", func(r *rig) { r.in.Pose.VarYaw = inf }, FaultCovarianceUnknown},
		{"NaN yaw variance", func(r *rig) { r.in.Pose.VarYaw = nan }, FaultCovarianceUnknown},
		{"negative y variance", func(r *rig) { r.in.Pose.VarY = -1 }, FaultCovarianceUnknown},
		{"impossible correlation", func(r *rig) { r.in.Pose.CovXY = 2e-4 }, FaultCovarianceUnknown},
		{"large variance", func(r *rig) { r.in.Pose.VarX = 0.09 }, FaultCovarianceLarge},
		{"large variance on the diagonal", func(r *rig) {
			r.in.Pose.VarX, r.in.Pose.VarY, r.in.Pose.CovXY = 0.05, 0.05, 0.049
		}, FaultCovarianceLarge},
		{"large yaw variance", func(r *rig) { r.in.Pose.VarYaw = 0.3 }, FaultCovarianceLarge},
		{"stamped in the future", func(r *rig) { r.in.Pose.StampNS += int64(60 * time.Millisecond) }, FaultPoseFuture},
		{"received in the future", func(r *rig) { r.in.Pose.Boot += time.Millisecond }, FaultPoseFuture},
		{"no stamp", func(r *rig) { r.in.Pose.StampNS = 0 }, FaultStampOrder},
		{"the stamp before", func(r *rig) { r.in.Pose.StampNS -= int64(50 * time.Millisecond) }, FaultStampOrder},
		{"an older stamp", func(r *rig) { r.in.Pose.StampNS -= int64(time.Second) }, FaultStampOrder},
		{"received before the last", func(r *rig) { r.in.Pose.Boot -= 60 * time.Millisecond }, FaultStampOrder},
		{"jump", func(r *rig) { r.in.Pose.X += 3 }, FaultJump},
		{"turned at once", func(r *rig) { r.in.Pose.QZ, r.in.Pose.QW = 1, 0 }, FaultJump},
		{"velocity never seen", func(r *rig) { r.in.Velocity.Known = false }, FaultVelocityUnknown},
		{"velocity stale", func(r *rig) { r.in.Velocity.Boot -= time.Second }, FaultVelocityUnknown},
		{"velocity from the future", func(r *rig) { r.in.Velocity.Boot += time.Second }, FaultVelocityUnknown},
		{"NaN velocity", func(r *rig) { r.in.Velocity.VY = nan }, FaultVelocityRange},
		{"velocity beyond the robot", func(r *rig) { r.in.Velocity.VX = 3 }, FaultVelocityRange},
		{"yaw rate beyond the robot", func(r *rig) { r.in.Velocity.YawRate = -4 }, FaultVelocityRange},
		{"boot time runs backwards", func(r *rig) { r.now.Boot -= 60 * time.Millisecond }, FaultClock},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, site(wall(50_000)), wheels())
			r.drive(20, 0, 0.5)
			if r.out.Faults != 0 || r.limit(Velocity{VX: 1}).Ratio != 1 {
				t.Fatalf("before: %v", r.out.Faults)
			}
			r.pass(50 * time.Millisecond)
			p := &r.in.Pose
			p.Boot, p.StampNS, p.X = r.now.Boot, r.now.Civil.UnixNano(), p.X+0.025
			r.in.Velocity.Known, r.in.Velocity.Boot = true, r.now.Boot
			tc.spoil(r)
			r.Step(r.now, &r.in, &r.out)
			// Some faults bring others with them; the named one must be there.
			if r.out.Faults&tc.want != tc.want || tc.want == 0 && r.out.Faults != 0 {
				t.Fatalf("faults %q, want %q", r.out.Faults, tc.want)
			}
			if r.out.Hold != (tc.want != 0) {
				t.Errorf("hold %v", r.out.Hold)
			}
			if l := r.limit(Velocity{VX: 1}); (l.Ratio == 0) != (tc.want != 0) || tc.want != 0 && l.Reason != ReasonPoseFault {
				t.Errorf("limit %+v", l)
			}
		})
	}
}

func TestFirstPoseMustBeStamped(t *testing.T) {
	for stamp, want := range map[int64]FaultSet{math.MinInt64: FaultStampOrder, -1: FaultStampOrder, 0: FaultStampOrder, 1: 0} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.in.Pose.Seen, r.in.Pose.Boot, r.in.Pose.StampNS = true, r.now.Boot, stamp
		if v := r.step(); v.Faults != want {
			t.Errorf("stamp %d: faults %v, want %v", stamp, v.Faults, want)
		}
	}
}

func TestPoseGoesStaleBetweenSteps(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0.5)
	for _, tc := range []struct {
		after time.Duration
		stale bool
	}{{0, false}, {299 * time.Millisecond, false}, {301 * time.Millisecond, true}} {
		later := Instant{Boot: r.now.Boot + tc.after, Civil: r.now.Civil.Add(tc.after), Trust: ClockTrusted}
		if l := r.Limit(later, Velocity{VX: 1}); (l.Ratio == 0) != tc.stale {
			t.Errorf("limit %v after the pose: %+v", tc.after, l)
		}
	}
	r.pass(301 * time.Millisecond)
	if v := r.step(); v.Faults != FaultPoseStale || v.Place != PlaceUnknown || !v.Hold {
		t.Errorf("step: %v, place %v", v.Faults, v.Place)
	}
	r.pass(50 * time.Millisecond)
	if v := r.at(0.7, 0, 0); v.Faults != 0 {
		t.Errorf("a new pose: %v", v.Faults)
	}
}

func TestVelocityGoesStaleBetweenSteps(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0.5)
	r.pass(200 * time.Millisecond)
	p := &r.in.Pose
	p.Boot, p.StampNS, p.X = r.now.Boot, r.now.Civil.UnixNano(), p.X+0.1
	r.Step(r.now, &r.in, &r.out) // the velocity is still that of 200 ms ago
	if r.out.Faults != 0 || r.limit(Velocity{VX: 1}).Ratio != 1 {
		t.Fatalf("200 ms old: %v", r.out.Faults)
	}
	later := Instant{Boot: r.now.Boot + 101*time.Millisecond, Civil: r.now.Civil, Trust: ClockTrusted}
	if l := r.Limit(later, Velocity{VX: 1}); l.Ratio != 0 || l.Reason != ReasonPoseFault {
		t.Errorf("301 ms old: %+v", l)
	}
}

func TestQueueingDelayIsAge(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0.5)
	// The same feed, 200 ms late: fresh by arrival, old by stamp.
	r.pass(250 * time.Millisecond)
	p := &r.in.Pose
	p.Boot, p.StampNS, p.X = r.now.Boot, p.StampNS+int64(50*time.Millisecond), p.X+0.025
	if v := r.step(); v.Faults != 0 || !(math.Abs(v.AgeS-0.2) <= 0.001) {
		t.Errorf("200 ms in a queue: faults %v, age %v s", v.Faults, v.AgeS)
	}
	r.pass(250 * time.Millisecond)
	p.Boot, p.StampNS, p.X = r.now.Boot, p.StampNS+int64(50*time.Millisecond), p.X+0.025
	if v := r.step(); v.Faults != FaultPoseStale {
		t.Errorf("400 ms in a queue: faults %v, age %v s", v.Faults, v.AgeS)
	}
}

// TestClocksThatDriftApartAreNoDelay lets the sender's clock lose 100 µs a second
// for three quarters of an hour: the delay that this feigns is forgotten in time.
func TestClocksThatDriftApartAreNoDelay(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.at(0, 0, 0)
	p := &r.in.Pose
	first := p.StampNS
	for i := range 27_000 {
		r.pass(100 * time.Millisecond)
		p.Boot, p.StampNS = r.now.Boot, first+int64(i+1)*99_990_000
		if v := r.step(); v.Faults != 0 || v.AgeS > 0.001 {
			t.Fatalf("after %v: faults %v, age %v s", time.Duration(i)*100*time.Millisecond, v.Faults, v.AgeS)
		}
	}
}

func TestQueuedPosesAreNoJump(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 1.4)
	x := r.in.Pose.X
	r.pass(200 * time.Millisecond)
	// Four poses that waited arrive within a millisecond, the first of them as
	// long after the last one before as a pose may be old.
	start := r.in.Pose.StampNS
	for i := 1; i <= 4; i++ {
		r.pass(200 * time.Microsecond)
		p := &r.in.Pose
		p.Boot, p.StampNS, p.X = r.now.Boot, start+int64(i)*int64(50*time.Millisecond), x+float64(i)*0.07
		if v := r.step(); v.Faults != 0 {
			t.Fatalf("queued pose %d: %v", i, v.Faults)
		}
	}
	// 0.28 m in 200 ms by the sender's clock, in 0.2 ms by ours; 0.4 m are too far.
	for move, want := range map[float64]FaultSet{0.28: 0, 0.45: FaultJump} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.drive(20, 0, 1.4)
		p := &r.in.Pose
		r.pass(210 * time.Millisecond)
		p.Boot, p.StampNS = r.now.Boot, p.StampNS+int64(time.Millisecond)
		r.step()
		r.pass(200 * time.Microsecond)
		p.Boot, p.StampNS, p.X = r.now.Boot, p.StampNS+int64(200*time.Millisecond), p.X+move
		if v := r.step(); v.Faults != want {
			t.Errorf("%v m: %v, want %v", move, v.Faults, want)
		}
	}
}

// TestHeadingIsTheRotationsFirstColumn compares with the rotation matrix' first column.
func TestHeadingIsTheRotationsFirstColumn(t *testing.T) {
	for _, yaw := range []float64{0.7, -2, 3} {
		for _, roll := range []float64{-0.4, 0.3} {
			for _, pitch := range []float64{-0.3, 0.5} {
				// Yaw about z, then pitch about y, then roll about x.
				sy, cy := math.Sincos(yaw / 2)
				sp, cp := math.Sincos(pitch / 2)
				sr, cr := math.Sincos(roll / 2)
				p := Pose{
					QW: cr*cp*cy + sr*sp*sy, QX: sr*cp*cy - cr*sp*sy, QY: cr*sp*cy + sr*cp*sy, QZ: cr*cp*sy - sr*sp*cy,
				}
				c, s, ok := heading(&p)
				if !ok || !(math.Abs(c-math.Cos(yaw)) <= 1e-12) || !(math.Abs(s-math.Sin(yaw)) <= 1e-12) {
					t.Errorf("yaw %v, pitch %v, roll %v: heading (%v, %v), %v", yaw, pitch, roll, c, s, ok)
				}
			}
		}
	}
}

func TestJumpBounds(t *testing.T) {
	// In 50 ms: 1.5 m/s · 50 ms + 0.05 m + 2.45 · 2 · 0.01 m; 1.5 rad/s · 50 ms
	// + 0.05 rad + 2.45 · 2 · 0.001 rad.
	const way, turn = 0.075 + 0.05 + 0.049, 0.075 + 0.05 + 0.0049
	for _, tc := range []struct {
		x, y, yaw float64
		jump      bool
	}{
		{way - 0.001, 0, 0, false},
		{way + 0.001, 0, 0, true},
		{0, -way - 0.001, 0, true},
		{0.8 * way, 0.7 * way, 0, true},
		{0, 0, turn - 0.0005, false},
		{0, 0, turn + 0.0005, true},
		{0, 0, -turn - 0.0005, true},
		{0, 0, math.Pi, true},
	} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.drive(5, 0, 0)
		r.pass(50 * time.Millisecond)
		if v := r.at(tc.x, tc.y, tc.yaw); (v.Faults == FaultJump) != tc.jump || v.Faults&^FaultJump != 0 {
			t.Errorf("moved by (%v, %v), turned by %v: %v", tc.x, tc.y, tc.yaw, v.Faults)
		}
	}
}

func TestLatchedFaultsNeedARecovery(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	r.pass(50 * time.Millisecond)
	if v := r.at(3, 0, 0); v.Faults != FaultJump {
		t.Fatalf("jump: %v", v.Faults)
	}
	// 10 poses and 1 s: at 50 ms, the dwell is what takes longer.
	good := 0
	for ; r.out.Faults != 0 && good < 100; good++ {
		r.pass(50 * time.Millisecond)
		r.at(3, 0, 0)
	}
	if good != 21 {
		t.Errorf("recovered after %d poses, want 21", good)
	}
	// Few poses: then the count is what takes longer.
	r.pass(50 * time.Millisecond)
	r.at(6, 0, 0)
	for good = 0; r.out.Faults&FaultJump != 0 && good < 100; good++ {
		r.pass(250 * time.Millisecond)
		r.at(6, 0, 0)
	}
	if good != 10 {
		t.Errorf("recovered after %d slow poses, want 10", good)
	}
	// A second jump during recovery starts it again.
	r.pass(50 * time.Millisecond)
	r.at(9, 0, 0)
	r.drive(15, 9, 0)
	r.pass(50 * time.Millisecond)
	r.at(12, 0, 0)
	r.drive(15, 12, 0)
	if r.out.Faults != FaultJump {
		t.Errorf("15 poses after the second jump: %v", r.out.Faults)
	}
}

func TestTicksDoNotRecover(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	r.pass(50 * time.Millisecond)
	r.at(3, 0, 0)
	for range 100 {
		r.pass(2 * time.Millisecond)
		if v := r.step(); v.Faults != FaultJump {
			t.Fatalf("without a new pose: %v", v.Faults)
		}
	}
}

func TestFrozen(t *testing.T) {
	for _, tc := range []struct {
		name   string
		motion Motion
		speed  float64
		moves  float64 // m per pose
		want   bool
	}{
		{"standing", Motion{true, false}, 0, 0, false},
		{"standing, nothing known", Motion{}, 0, 0, false},
		{"wheels turn, pose stands", Motion{true, true}, 0, 0, true},
		{"odometry drives, pose stands", Motion{}, 0.3, 0, true},
		{"all drive", Motion{true, true}, 0.3, 0.015, false},
		{"creeping", Motion{true, true}, 0.02, 0.001, false},
		{"noise about one place is motion", Motion{true, true}, 0, -1, false},
	} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.in.Motion = tc.motion
		r.in.Velocity.VX = tc.speed
		x := 0.0
		var seen FaultSet
		for i := range 60 {
			r.pass(50 * time.Millisecond)
			if x += tc.moves; tc.moves < 0 {
				x = float64(i%2) * 0.01
			}
			seen |= r.at(x, 0, 0).Faults
		}
		if got := seen&FaultFrozen != 0; got != tc.want || seen&^FaultFrozen != 0 {
			t.Errorf("%s: faults %v", tc.name, seen)
		}
	}
}

func TestFrozenComesInTime(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	r.in.Motion = Motion{true, true}
	start := r.now.Boot
	for r.out.Faults == 0 {
		r.drive(1, 0, 0)
	}
	if d := r.now.Boot - start; d > 1050*time.Millisecond || d < time.Second {
		t.Errorf("frozen after %v, want 1 s", d)
	}
}

// TestStandingStillIsNotAdded: what moves for 0.7 s twice, with a rest between,
// has not moved for a second under a pose that stands.
func TestStandingStillIsNotAdded(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.drive(20, 0, 0)
	for range 3 {
		for _, moving := range []bool{true, false} {
			r.in.Motion = Motion{true, moving}
			r.drive(14, 0, 0)
			if r.out.Faults != 0 {
				t.Fatalf("faults %v", r.out.Faults)
			}
		}
	}
}

func TestAssumedCovariance(t *testing.T) {
	robot := wheels()
	robot.AssumedStdDevM, robot.AssumedYawStdDevRad = 0.05, 0.02
	r := newRig(t, site(wall(50_000)), robot)
	r.in.Pose.HasCovariance = false
	v := r.at(0, 0, 0)
	want := 2.45*(0.05+0.02*0.5) + 0.03 + 0.002
	if v.Faults != FaultCovarianceUnknown || v.Hold || !(math.Abs(v.MarginM-want) <= 1e-9) {
		t.Errorf("faults %v, hold %v, margin %v, want %v", v.Faults, v.Hold, v.MarginM, want)
	}
}

func TestCovarianceIsNeverBelievedBelowTheMinimum(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.in.Pose.VarX, r.in.Pose.VarY, r.in.Pose.VarYaw = 1e-12, 1e-12, 1e-12
	if v := r.at(0, 0, 0); v.MarginM < 2.45*0.005+0.03 {
		t.Errorf("margin %v", v.MarginM)
	}
}

func TestPoorPoseCreeps(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.in.Pose.VarX = 0.0144 // 0.12 m, between slow and max
	v := r.at(0, 0, 0)
	l := r.limit(Velocity{VX: 1})
	if !v.SpeedLimited || v.MaxSpeedMPS != 0.1 || v.Reason != ReasonPoseQuality || v.Hold {
		t.Errorf("verdict %v %v %v", v.SpeedLimited, v.MaxSpeedMPS, v.Reason)
	}
	if !(math.Abs(l.Ratio-0.1) <= 1e-12) || l.Reason != ReasonPoseQuality {
		t.Errorf("limit %+v", l)
	}
}

// TestALeaningBodyHasNoFootprint: by 50° to the side and forward it leans by 66°.
func TestALeaningBodyHasNoFootprint(t *testing.T) {
	for lean, want := range map[float64]bool{0.4: true, 0.87: false} {
		s, c := math.Sincos(lean / 2)
		for _, sign := range []float64{1, -1} {
			p := Pose{QW: c * c, QX: s * c, QY: sign * c * s, QZ: -sign * s * s}
			if _, _, ok := heading(&p); ok != want {
				t.Errorf("leaning by %v rad each way, %v: a heading %v, want %v", lean, sign, ok, want)
			}
		}
	}
}

func TestHeadingOfATiltedBody(t *testing.T) {
	// Rolled by 20° about its own x axis, heading 30°: the heading stays.
	h, roll := 30*math.Pi/180, 20*math.Pi/180
	p := Pose{
		QW: math.Cos(h/2) * math.Cos(roll/2), QX: math.Cos(h/2) * math.Sin(roll/2),
		QY: math.Sin(h/2) * math.Sin(roll/2), QZ: math.Sin(h/2) * math.Cos(roll/2),
	}
	c, s, ok := heading(&p)
	if !ok || !(math.Abs(c-math.Cos(h)) <= 1e-12) || !(math.Abs(s-math.Sin(h)) <= 1e-12) {
		t.Errorf("heading %v %v %v", c, s, ok)
	}
}

func TestFaultNames(t *testing.T) {
	names := faultNames()
	if 1<<len(names) != int(faultEnd) {
		t.Errorf("%d names for %d faults", len(names), int(math.Log2(float64(faultEnd))))
	}
	if got := (FaultJump | FaultPoseStale).String(); got != "pose-stale+jump" {
		t.Errorf("got %q", got)
	}
	for r := range reasonEnd {
		if r.String() == "invalid" {
			t.Errorf("reason %d has no name", r)
		}
	}
	for i, name := range names {
		if got := FaultSet(1 << i).String(); got != name {
			t.Errorf("fault %d is %q, want %q", i, got, name)
		}
	}
	if got := faultEnd.String(); got != "invalid" || FaultSet(0).String() != "" {
		t.Errorf("the first that is none is %q, none is %q", got, FaultSet(0))
	}
	all := FactSet(0)
	for i, name := range factNames() {
		f, ok := ParseFact(name)
		if all |= f; !ok || f != 1<<i || f.String() != name {
			t.Errorf("%q is %d, %v, written %q", name, f, ok, f)
		}
	}
	if f, ok := ParseFact("face"); f != 0 || ok {
		t.Errorf("no fact is %d, %v", f, ok)
	}
	if got := all.String(); got != strings.Join(factNames(), "+") || all+1 != factEnd || factEnd.String() != "invalid" || FactSet(0).String() != "" {
		t.Errorf("all are %q, the first that is none %q", got, factEnd)
	}
	if reasonEnd.String() != "invalid" || Kind(99).String() != "invalid" || KeepIn.String() != "KEEP_IN" || Margin.String() != "margin" || ClockHoldover.String() != "holdover" {
		t.Error("names")
	}
}
