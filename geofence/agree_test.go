package geofence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pair is a rig with a second source of poses, which is off by some metres and radians and may be late.
type pair struct {
	*rig
	dx, dyaw float64
	late     time.Duration
	edit     func(p *Pose)
}

func newPair(t tb) *pair {
	t.Helper()
	robot := wheels()
	robot.Second = &Agreement{SlackM: 0.2, SlackRad: 0.2, After: 500 * time.Millisecond}
	p := &pair{rig: newRig(t, site(wall(0)), robot)}
	p.in.Pose.VarX, p.in.Pose.VarY, p.in.Pose.VarYaw = 1e-4, 1e-4, 1e-4
	return p
}

// lasts steps for a time, at 20 Hz, with the first source at x and the second beside it.
func (p *pair) lasts(d time.Duration, x float64) *Verdict {
	v := &p.out
	for range int(d / (50 * time.Millisecond)) {
		p.pass(50 * time.Millisecond)
		s := p.in.Pose
		s.Seen, s.Boot, s.StampNS = true, p.now.Boot-p.late, p.now.Civil.UnixNano()
		s.X, s.Y = x+p.dx, 0
		s.QX, s.QY = 0, 0
		s.QZ, s.QW = math.Sincos(p.dyaw / 2)
		if p.edit != nil {
			p.edit(&s)
		}
		p.in.Second = s
		v = p.at(x, 0, 0)
	}
	return v
}

func TestTwoSourcesThatAgree(t *testing.T) {
	// Slack 0.2 m, and 2·k·σ with σ the least that is believed.
	p := newPair(t)
	k := p.set.robot.SigmaK
	most := 0.2 + 2*k*max(0.01, p.set.robot.MinStdDevM)
	for _, c := range []struct {
		name     string
		dx, dyaw float64
		want     FaultSet
	}{
		{"the same", 0, 0, 0},
		{"just within", most - 0.001, 0, 0},
		{"just beyond", most + 0.001, 0, FaultDisagree},
		{"behind", -most - 0.001, 0, FaultDisagree},
		{"turned within", 0, 0.2 + 2*k*0.01 - 0.001, 0},
		{"turned beyond", 0, 0.2 + 2*k*0.01 + 0.001, FaultDisagree},
		{"turned round", 0, math.Pi, FaultDisagree},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			p.dx, p.dyaw = c.dx, c.dyaw
			if v := p.lasts(450*time.Millisecond, -3); v.Faults != 0 {
				t.Fatalf("before the dwell: %v", v.Faults)
			}
			v := p.lasts(time.Second, -3)
			if v.Faults != c.want || v.Hold != (c.want != 0) {
				t.Errorf("faults %v, hold %t, want %v", v.Faults, v.Hold, c.want)
			}
			if l := p.limit(Velocity{VX: 0.2}); (l.Ratio == 0) != (c.want != 0) {
				t.Errorf("ratio %v", l.Ratio)
			}
		})
	}
}

func TestASecondSourceThatCannotBeUsed(t *testing.T) {
	for name, edit := range map[string]func(p *Pose){
		"never seen":      func(p *Pose) { p.Seen = false },
		"stale":           func(p *Pose) { p.Boot -= time.Second },
		"from the future": func(p *Pose) { p.Boot += time.Second },
		"stamp ahead":     func(p *Pose) { p.StampNS += int64(time.Second) },
		"no stamp":        func(p *Pose) { p.StampNS = 0 },
		"NaN":             func(p *Pose) { p.X = math.NaN() },
		"no rotation":     func(p *Pose) { p.QW, p.QZ = 0, 0 },
		"another frame":   func(p *Pose) { p.FrameOK = false },
		"no covariance":   func(p *Pose) { p.HasCovariance = false },
		"zero covariance": func(p *Pose) { p.VarX = 0 },
		"agrees with all": func(p *Pose) { p.VarX, p.VarY = 100, 100 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.lasts(time.Second, -3)
			p.edit = edit
			if v := p.lasts(450*time.Millisecond, -3); v.Faults != 0 {
				t.Fatalf("before the dwell: %v", v.Faults)
			}
			v := p.lasts(200*time.Millisecond, -3)
			if v.Faults != FaultSecondLost || v.Hold || v.Place != Outside {
				t.Errorf("faults %v, hold %t, %v; want %v alone, for the caller to weigh", v.Faults, v.Hold, v.Place, FaultSecondLost)
			}
			p.edit = nil
			if v := p.lasts(100*time.Millisecond, -3); v.Faults != 0 {
				t.Errorf("after it came back: %v", v.Faults)
			}
		})
	}
}

func TestADisagreementIsLatchedUntilTheyAgree(t *testing.T) {
	p := newPair(t)
	p.lasts(time.Second, -3)
	p.dx = 1
	p.lasts(time.Second, -3)
	dwell := p.set.robot.RecoverDwell
	// A second source that is silent does not end it.
	p.edit = func(p *Pose) { p.Seen = false }
	if v := p.lasts(dwell+2*time.Second, -3); v.Faults&FaultDisagree == 0 {
		t.Fatalf("silence ended it: %v", v.Faults)
	}
	p.dx, p.edit = 0, nil
	if v := p.lasts(dwell-50*time.Millisecond, -3); v.Faults&FaultDisagree == 0 {
		t.Fatalf("ended before the dwell: %v", v.Faults)
	}
	if v := p.lasts(200*time.Millisecond, -3); v.Faults != 0 {
		t.Fatalf("not ended after the dwell: %v", v.Faults)
	}
	// One that agrees now and then does not hide: what differs longer adds up.
	for range 40 {
		p.dx = 1
		p.lasts(150*time.Millisecond, -3)
		p.dx = 0
		p.lasts(50*time.Millisecond, -3)
	}
	if p.out.Faults&FaultDisagree == 0 {
		t.Error("a source that differs three times of four was not found")
	}
}

// TestAMovingRobotsSourcesAgree drives with a second source that is a tenth of a second behind: its own lag is no
// disagreement, and a second source that has frozen is one.
func TestAMovingRobotsSourcesAgree(t *testing.T) {
	for name, frozen := range map[string]bool{"late": false, "off: frozen": true} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.late = 100 * time.Millisecond
			p.lasts(time.Second, -6)
			x, stuck := -6.0, p.in.Second.X
			for range 60 {
				x += 0.05
				p.in.Velocity.VX = 1
				p.dx = -0.1 // where the robot was when the second source looked
				if frozen {
					p.edit = func(p *Pose) { p.X = stuck }
				}
				p.lasts(50*time.Millisecond, x)
			}
			if got := p.out.Faults&FaultDisagree != 0; got != frozen {
				t.Errorf("disagreement %t, want %t", got, frozen)
			}
		})
	}
}

// judged is what a fence says and allows.
type judged struct {
	Verdict
	ratio float64
}

// loosens says whether a is laxer than b in anything.
func (a *judged) loosens(b *judged) bool {
	return b.Hold && !a.Hold || a.Place != PlaceUnknown && a.Place < b.Place || a.ratio > b.ratio || b.Faults&^a.Faults != 0
}

// TestTheSecondSourceOnlyTightens compares fences with and without one, through whatever the second says: as long as it has
// agreed all are the same, and afterwards the one with it is never laxer. The other way round, laxer ones are found.
func TestTheSecondSourceOnlyTightens(t *testing.T) {
	tightened, found, undisturbed := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 15))
		with, without := newPair(t), newRig(t, site(wall(0)), wheels())
		without.in.Pose.VarX, without.in.Pose.VarY, without.in.Pose.VarYaw = 1e-4, 1e-4, 1e-4
		x, agreed := -4.0, true
		for range 60 {
			if rng.IntN(8) == 0 {
				agreed = false
				with.dx, with.dyaw = float64(rng.IntN(2))*rng.NormFloat64()*0.4, float64(rng.IntN(2))*rng.NormFloat64()*0.3
				lost, late := rng.IntN(4) == 0, time.Duration(rng.IntN(400))*time.Millisecond
				with.edit = func(p *Pose) { p.Seen, p.Boot = !lost, p.Boot-late }
			}
			x += 0.03
			with.in.Velocity.VX, without.in.Velocity.VX = 0.6, 0.6
			a := judged{Verdict: *with.lasts(50*time.Millisecond, x)}
			without.pass(50 * time.Millisecond)
			b := judged{Verdict: *without.at(x, 0, 0)}
			a.ratio, b.ratio = with.limit(Velocity{VX: 1}).Ratio, without.limit(Velocity{VX: 1}).Ratio
			if a.loosens(&b) || agreed && a != b {
				t.Fatalf("with: %v %v %v, without: %v %v %v", a.Faults, a.Place, a.ratio, b.Faults, b.Place, b.ratio)
			}
			if b.loosens(&a) {
				found++
			}
			if a.ratio < b.ratio {
				tightened++
			}
			if agreed {
				undisturbed++
			}
		}
	})
	if tightened < 20 || found < tightened || undisturbed < 20 {
		t.Errorf("it tightened %d times, %d laxer answers were found the other way round, %d answers came while they agreed: the comparison proves nothing", tightened, found, undisturbed)
	}
}

func TestAgreementIsChecked(t *testing.T) {
	for name, a := range map[string]Agreement{
		"no slack":      {0, 0.2, time.Second},
		"NaN slack":     {math.NaN(), 0.2, time.Second},
		"wide slack":    {11, 0.2, time.Second},
		"no slack rad":  {0.2, 0, time.Second},
		"wide heading":  {0.2, 4, time.Second},
		"no dwell":      {0.2, 0.2, 0},
		"endless dwell": {0.2, 0.2, time.Hour},
	} {
		robot := wheels()
		robot.Second = &a
		if _, err := Compile(site(wall(0)), robot); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
	robot := wheels()
	robot.Second = &Agreement{SlackM: 0.2, SlackRad: 0.2, After: time.Second}
	set, err := Compile(site(wall(0)), robot)
	if err != nil {
		t.Fatal(err)
	}
	robot.Second.SlackM = 5
	if set.robot.Second.SlackM != 0.2 {
		t.Error("the set shares memory with its caller")
	}
}

func TestTheSecondSourcesPast(t *testing.T) {
	gone := func(p *Pose) { p.Seen = false }
	t.Run("silence is not added up", func(t *testing.T) {
		p := newPair(t)
		p.lasts(time.Second, -3)
		for range 3 {
			p.edit = gone
			if v := p.lasts(400*time.Millisecond, -3); v.Faults != 0 {
				t.Fatal(v.Faults)
			}
			p.edit = nil
			p.lasts(50*time.Millisecond, -3)
		}
	})
	t.Run("nor over a fault of the first", func(t *testing.T) {
		p := newPair(t)
		p.lasts(time.Second, -3)
		p.edit = gone
		p.lasts(400*time.Millisecond, -3)
		p.edit, p.in.Pose.FrameOK = func(p *Pose) { p.FrameOK = true }, false
		p.lasts(50*time.Millisecond, -3)
		p.edit, p.in.Pose.FrameOK = gone, true
		if v := p.lasts(300*time.Millisecond, -3); v.Faults&FaultSecondLost != 0 {
			t.Error(v.Faults)
		}
	})
	t.Run("agreement before silence does not count", func(t *testing.T) {
		p := newPair(t)
		p.lasts(time.Second, -3)
		p.dx = 1
		p.lasts(time.Second, -3)
		p.dx = 0
		p.lasts(100*time.Millisecond, -3)
		p.edit = gone
		p.lasts(p.set.robot.RecoverDwell, -3)
		p.edit = nil
		if v := p.lasts(100*time.Millisecond, -3); v.Faults&FaultDisagree == 0 {
			t.Error("the disagreement ended with a tenth of a second of agreement")
		}
	})
	t.Run("another floor is a disagreement", func(t *testing.T) {
		robot := wheels()
		robot.Second = &Agreement{SlackM: 0.2, SlackRad: 0.2, After: 500 * time.Millisecond}
		spec := site(wall(0))
		spec.Floors = append(spec.Floors, FloorSpec{ID: "another", WithoutKeepIn: Allow})
		p := &pair{rig: newRig(t, spec, robot)}
		p.edit = func(p *Pose) { p.Floor = len(spec.Floors) - 1 }
		if v := p.lasts(time.Second, -3); v.Faults != FaultDisagree {
			t.Errorf("%v", v.Faults)
		}
	})
	t.Run("headings", func(t *testing.T) {
		for _, yaw := range []float64{0.5, 1, 2, 3, -2} {
			p := newPair(t)
			step := func(off float64) FaultSet {
				p.pass(50 * time.Millisecond)
				s := &p.in.Second
				*s = p.in.Pose
				s.Seen, s.Boot, s.StampNS, s.X = true, p.now.Boot, p.now.Civil.UnixNano(), -3
				s.QZ, s.QW = math.Sincos((yaw + off) / 2)
				return p.at(-3, 0, yaw).Faults
			}
			for range 20 {
				if f := step(0); f != 0 {
					t.Fatalf("yaw %v: %v", yaw, f)
				}
			}
			for range 20 {
				step(0.5)
			}
			if f := step(0.5); f != FaultDisagree {
				t.Errorf("yaw %v, off by 0.5: %v", yaw, f)
			}
		}
	})
	t.Run("any heading within a slack of all headings", func(t *testing.T) {
		robot := wheels()
		robot.Second = &Agreement{SlackM: 0.2, SlackRad: 3, After: 500 * time.Millisecond}
		p := &pair{rig: newRig(t, site(wall(0)), robot), dyaw: math.Pi}
		p.in.Pose.VarYaw = 1e-3
		if v := p.lasts(time.Second, -3); v.Faults != 0 {
			t.Errorf("%v", v.Faults)
		}
	})
}
