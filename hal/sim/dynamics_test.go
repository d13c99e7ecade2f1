package sim

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
)

func TestSpeedChangesOnlyAtFootfalls(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	drive(w, forward(0.6), 4*time.Second)
	// Whatever is commanded in the middle of a step, the aim of the step stays.
	for i := range 200 {
		steps, aim := w.state.steps, w.state.ref
		drive(w, forward(0.2+0.6*float64(i%3)/2), 10*time.Millisecond)
		if w.state.steps == steps && w.state.ref != aim {
			t.Fatalf("the aim changed from %+v to %+v within step %d", aim, w.state.ref, steps)
		}
	}
}

func TestStepsTakeTheirTime(t *testing.T) {
	p := DefaultPlant()
	w := rig(t, Handlers{}, nil)
	drive(w, forward(0.9), 4*time.Second)
	steps, from := w.state.steps, w.Now()
	drive(w, forward(0.9), 10*time.Second)
	each := (w.Now() - from) / time.Duration(w.state.steps-steps)
	if each < p.FastStep || each > p.SlowStep {
		t.Errorf("a step took %v, expected %v to %v", each, p.FastStep, p.SlowStep)
	}
}

func TestReactionHasDeadTimeAndLag(t *testing.T) {
	p := DefaultPlant()
	soonest, latest := time.Hour, time.Duration(0)
	for seed := range uint64(30) {
		w := rig(t, Handlers{}, func(o *Options) { o.Seed = seed })
		drive(w, forward(0.6), 4*time.Second+time.Duration(seed)*17*time.Millisecond)
		v := w.state.v.x
		from := w.Now()
		for w.state.v.x > v-0.05 {
			drive(w, msg.Twist{}, 5*time.Millisecond)
		}
		soonest, latest = min(soonest, w.Now()-from), max(latest, w.Now()-from)
	}
	if soonest < p.DeadTime {
		t.Errorf("the speed fell after %v, within the dead time of %v", soonest, p.DeadTime)
	}
	if latest < p.DeadTime+p.FastStep/2 || latest > p.DeadTime+p.SlowStep+100*time.Millisecond {
		t.Errorf("the latest reaction took %v, expected it to wait for a footfall", latest)
	}
}

func TestLoadLengthensTheStop(t *testing.T) {
	var sum [2]float64
	for seed := range uint64(30) {
		for i, loaded := range []bool{false, true} {
			_, d, _ := stopRun(t, seed, 0.9, loaded, 4*time.Second+time.Duration(seed)*19*time.Millisecond)
			sum[i] += d / 30
		}
	}
	if sum[1] < sum[0]+0.04 {
		t.Errorf("mean stop %.3f m without and %.3f m with a tray", sum[0], sum[1])
	}
}

func TestNeverFasterThanStated(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := rig(t, Handlers{}, func(o *Options) { o.Seed = rapid.Uint64().Draw(rt, "seed") })
		cmd := forward(rapid.Float64Range(-5, 5).Draw(rt, "vx"))
		cmd.Angular.Z = rapid.Float64Range(-3, 3).Draw(rt, "wz")
		for range 80 {
			drive(w, cmd, 50*time.Millisecond)
			if s := w.Truth(); s.SpeedMPS > 1.0 || math.Abs(s.YawRPS) > 1.0 {
				rt.Fatalf("%.3f m/s and %.3f rad/s", s.SpeedMPS, s.YawRPS)
			}
		}
	})
}

func TestStandsStillWithoutCommands(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	before := w.Truth()
	w.Advance(time.Minute)
	if after := w.Truth(); after.Placement != before.Placement || after.Walking {
		t.Errorf("it moved from %+v to %+v", before.Placement, after.Placement)
	}
}

func TestBaseStopsByItselfWithoutCommands(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	drive(w, forward(0.8), 4*time.Second)
	w.Advance(DefaultPlant().CommandTimeout + time.Duration(longestStopS*float64(time.Second)))
	if w.Truth().Walking {
		t.Errorf("still walking at %.2f m/s", w.Truth().SpeedMPS)
	}
}

func TestLockHoldsAndSilenceLocks(t *testing.T) {
	for name, c := range map[string]struct {
		lock func(*World, int)
		want bool // Still walking after four seconds of commands.
	}{
		"told free":   {func(w *World, _ int) { w.Lock(false) }, true},
		"told locked": {func(w *World, _ int) { w.Lock(true) }, false},
		"silence":     {func(*World, int) {}, false},
	} {
		w := rig(t, Handlers{}, func(o *Options) { o.NoLock = false })
		for i := range 80 {
			w.Lock(false)
			if i >= 40 {
				break
			}
			drive(w, forward(0.5), 50*time.Millisecond)
		}
		if !w.Truth().Walking {
			t.Fatalf("%s: the robot did not start while free", name)
		}
		for i := range 80 {
			c.lock(w, i)
			drive(w, forward(0.5), 50*time.Millisecond)
		}
		if got := w.Truth().Walking; got != c.want {
			t.Errorf("%s: walking %v, want %v", name, got, c.want)
		}
	}
}

func TestStartsLocked(t *testing.T) {
	w := rig(t, Handlers{}, func(o *Options) { o.NoLock = false })
	drive(w, forward(0.5), 3*time.Second)
	if w.Truth().Walking || !w.Truth().Locked {
		t.Errorf("before any lock message: %+v", w.Truth())
	}
}

func TestCommandsThatAreNotFiniteAreRefused(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		drive(w, forward(v), 500*time.Millisecond)
	}
	if s := w.Truth(); s.Walking || s.RefusedCommands != 30 || !finite(s.X, s.Y) {
		t.Errorf("after commands that are not finite: %+v", s)
	}
}

func TestStopServiceStopsThenKneelsThenRises(t *testing.T) {
	var reply *Reply
	w := rig(t, Handlers{Reply: func(r *Reply) { c := *r; reply = &c }}, nil)
	drive(w, forward(0.8), 4*time.Second)
	w.Call(Call{Service: ServiceStop, ID: 7, On: true})
	drive(w, forward(0.8), 1500*time.Millisecond) // The planner goes on; the service wins.
	if s := w.Truth(); s.Walking || !s.Stopped || s.HeightRatio != 1 {
		t.Fatalf("1.5 s after the call: %+v", s)
	}
	if reply == nil || !reply.OK || reply.ID != 7 {
		t.Fatalf("reply %+v", reply)
	}
	drive(w, msg.Twist{}, RestTime+KneelTime)
	if s := w.Truth(); s.HeightRatio != 0 {
		t.Fatalf("it does not kneel: %+v", s)
	}
	drive(w, forward(0.5), RiseTime+2*time.Second)
	if s := w.Truth(); !s.Walking || s.Stopped || s.HeightRatio != 1 {
		t.Errorf("commands did not make it rise and walk: %+v", s)
	}
}

func TestServiceStopIsShorterThanZeroCommand(t *testing.T) {
	var zero, service float64
	for seed := range uint64(30) {
		run := 4*time.Second + time.Duration(seed)*19*time.Millisecond
		_, d, _ := stopRun(t, seed, 0.9, true, run)
		zero += d
		w := rig(t, Handlers{}, func(o *Options) { o.Seed = seed })
		w.SetLoad(true)
		drive(w, forward(0.9), run)
		at := w.Truth()
		w.Call(Call{Service: ServiceStop, On: true})
		drive(w, forward(0.9), 3*time.Second)
		service += dist(Point{at.X, at.Y}, Point{w.Truth().X, w.Truth().Y})
	}
	if service >= zero {
		t.Errorf("thirty stops by service took %.2f m, by zeros %.2f m", service, zero)
	}
}

func TestArmsServiceHoldsTheArms(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	w.Manipulate(true)
	w.Advance(2 * time.Second)
	if !w.Truth().ArmsMoving {
		t.Fatal("the arms do not move while manipulating")
	}
	w.Call(Call{Service: ServiceArms, On: true})
	w.Advance(200 * time.Millisecond)
	before := *w.angles(0)
	w.Advance(5 * time.Second)
	if w.Truth().ArmsMoving || *w.angles(0) != before {
		t.Error("disabled arms moved")
	}
	w.Call(Call{Service: ServiceArms, On: false})
	if w.Advance(time.Second); !w.Truth().ArmsMoving {
		t.Error("released arms do not move again")
	}
}

func TestLiftChangesTheFloorWhileStanding(t *testing.T) {
	var maps []string
	w := rig(t, Handlers{Floor: func(m *msg.Text) { maps = append(maps, string(m.Data)) }}, nil)
	drive(w, forward(0.4), 2*time.Second)
	if w.Ride("upper") {
		t.Fatal("the ride began while walking")
	}
	w.Advance(5 * time.Second)
	if w.Ride("ground") || w.Ride("roof") || !w.Ride("upper") {
		t.Fatal("expected only a ride to another floor of the building to begin")
	}
	w.Advance(LiftTime)
	if s := w.Truth(); s.Floor != "upper" || s.ZM != 4 {
		t.Errorf("after the ride: %+v", s)
	}
	if maps[0] != "hospital-ground" || maps[len(maps)-1] != "hospital-upper" {
		t.Errorf("map ids %q", maps)
	}
}

func TestDocksAndCharges(t *testing.T) {
	w := passThrough(t, func(o *Options) { o.Start = Placement{Floor: "ground", X: 12, Y: 11.5} })
	w.planner.Silence(true)
	w.SetCharge(0.3)
	w.Call(Call{Service: ServiceDock, On: true})
	w.Advance(90 * time.Second)
	if s := w.Truth(); !s.Docked || s.Walking {
		t.Fatalf("not docked: %+v", s)
	}
	before := w.devices.charge
	if w.Advance(10 * time.Second); w.devices.charge <= before {
		t.Error("the battery does not charge at the dock")
	}
}

func TestDockServiceRefusesFromAnotherFloor(t *testing.T) {
	var reply Reply
	w := rig(t, Handlers{Reply: func(r *Reply) { reply = *r }}, func(o *Options) {
		o.Start = Placement{Floor: "upper", X: 12, Y: 12}
	})
	w.Call(Call{Service: ServiceDock, On: true})
	w.Advance(time.Second)
	if reply.OK || reply.Text == "" || w.Docking() {
		t.Errorf("reply %+v, docking %v", reply, w.Docking())
	}
}
