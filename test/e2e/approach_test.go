package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

func ringOf(x0, y0, x1, y1 float64) oracle.Ring { return oracle.Rectangle(x0, y0, x1, y1) }

// turned is the ring, turned around the origin.
func turned(r oracle.Ring, yaw float64) oracle.Ring {
	out := make(oracle.Ring, len(r))
	s, c := math.Sincos(yaw)
	for i, p := range r {
		// Rounded to what the documents say, so that oracle and guard judge the same polygon.
		out[i] = oracle.Point{X: math.Round((c*p.X-s*p.Y)*1000) / 1000, Y: math.Round((s*p.X+c*p.Y)*1000) / 1000}
	}
	return out
}

// staticMargin is the distance that is kept even at standstill: k·σ and the map's error.
const staticMargin = sigmaK*sigmaM + mapErrorM

// seed is printed with every run; ROBOWARDEN_SEED repeats one.
func seed(t testing.TB) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano()) //nolint:gosec // any number does
	if v, err := strconv.ParseUint(os.Getenv("ROBOWARDEN_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("seed %d (repeat with ROBOWARDEN_SEED=%d)", s, s)
	return s
}

// TestDriveAtBlockedZone is the main job in its smallest form: a planner drives at a wall of air and the robot stands
// before it; and the journal tells the same on another architecture.
func TestDriveAtBlockedZone(t *testing.T) {
	onBuses(t, []bus.Kind{bus.Cyclone, bus.Fast}, driveAtBlockedZone)
}

func driveAtBlockedZone(t *testing.T, b bus.Bus) {
	zone := oracle.Zone{ID: "pharmacy", Outer: ringOf(4, -2, 8, 2)}
	p := plant.Start(t, b, plant.Config{})
	s := newSite(t, b, siteConfig{zones: blockedZone("pharmacy", zone.Outer), lock: true})
	driver.StartDrive(t, b, driver.Drive{VX: 1.2})
	g := s.start(t)
	g.ready(t)
	standing(t, p, 15*time.Second)
	judge(t, p.Truth(t), zone)
	r := g.replayed(t)
	t.Logf("replayed %d events, digest %016x", r.Events, r.Digest)
	g.sameOnARM64(t, r)
}

// TestWithoutGuardRobotEnters is the off run: what the other tests of this file measure can fail.
func TestWithoutGuardRobotEnters(t *testing.T) {
	onBuses(t, []bus.Kind{bus.Cyclone, bus.Fast}, withoutGuardRobotEnters)
}

func withoutGuardRobotEnters(t *testing.T, b bus.Bus) {
	zone := oracle.Zone{ID: "pharmacy", Outer: ringOf(2, -2, 6, 2)}
	p := plant.Start(t, b, plant.Config{})
	driver.StartDrive(t, b, driver.Drive{VX: 1.2, Topic: "/cmd_vel"})
	until(t, 15*time.Second, "the robot in the zone", func() bool {
		k, err := oracle.JudgeKeepOut(p.Truth(t), contour, []oracle.Zone{zone})
		return err == nil && k.Inside
	})
}

// until polls for an effect.
func until(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("within %v: expected %s", within, what)
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
}

// standing waits until the robot has moved and then stood for half a second, by ground truth.
func standing(t testing.TB, p *plant.Plant, within time.Duration) {
	t.Helper()
	const moved = 0.2
	until(t, within, "a robot that drove and stands", func() bool {
		s := p.Truth(t).Samples
		if len(s) < 2 {
			return false
		}
		first, last := s[0], s[len(s)-1]
		return math.Hypot(last.X-first.X, last.Y-first.Y) >= moved && still(s)
	})
}

// still says whether the robot has stood for half a second.
func still(s []oracle.Sample) bool {
	const enough = 500 * time.Millisecond
	if len(s) == 0 {
		return false
	}
	last := s[len(s)-1]
	for i := len(s) - 1; i >= 0 && last.T-s[i].T < enough; i-- {
		if s[i].Speed() > 0.005 || math.Abs(s[i].W) > 0.005 {
			return false
		}
	}
	return true
}

// judge checks the main bars: no part of the contour inside, and a gap that is no nuisance.
func judge(t testing.TB, truth oracle.Truth, zone oracle.Zone) {
	t.Helper()
	k, err := oracle.JudgeKeepOut(truth, contour, []oracle.Zone{zone})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("gap %.3f m (required %.3f), fastest %.2f m/s", k.FinalGapM, staticMargin, k.MaxSpeedMPS)
	if k.Inside {
		t.Errorf("inside %q at %+v", k.Zone, k.At)
	}
	if k.FinalGapM > staticMargin+0.10 {
		t.Errorf("gap %.3f m: expected at most %.3f", k.FinalGapM, staticMargin+0.10)
	}
}

// approach is one drive at an edge.
type approach struct {
	edgeYaw, incidence, distance, speed float64
	plant                               plant.Config
}

// drawApproach draws angles, speeds and troubles within what the profile states.
func drawApproach(r *rand.Rand, n int) approach {
	span := func(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }
	ms := func(lo, hi float64) time.Duration { return time.Duration(span(lo, hi) * float64(time.Millisecond)) }
	a := approach{edgeYaw: span(-math.Pi, math.Pi), incidence: span(-1.0, 1.0), distance: span(2.0, 3.5), speed: span(0.3, 1.5)}
	a.plant = plant.Config{
		Seed: uint64(n + 1), Decel: span(decelMPS2, 1.5), Accel: span(0.6, 1.2), Lag: ms(10, 60), DeadTime: ms(5, 40),
		OdomJitter: ms(0, 15), PoseSigma: span(0.001, 0.006), LossProbability: span(0, 0.02), LossLength: 1 + r.IntN(3),
		LockTopic: "/robowarden/lock", CommandTimeout: 500 * time.Millisecond,
	}
	return a
}

// run drives at the edge and judges. It returns false, having judged only that the robot kept out, if the machine stood still
// under the plant or the guard meanwhile: then the guard rightly held a robot that fell silent, and there is no stop before an
// edge to be measured.
func (a approach) run(t *testing.T, b bus.Bus) (measured bool) {
	// The edge is the zone's left side, x = 0 before everything is turned by edgeYaw. The heading is off by incidence.
	zone := oracle.Zone{ID: "edge", Outer: turned(ringOf(0, -6, 3, 6), a.edgeYaw)}
	start := turned(oracle.Ring{{X: -a.distance * math.Cos(a.incidence), Y: -a.distance * math.Sin(a.incidence)}}, a.edgeYaw)[0]
	a.plant.X, a.plant.Y, a.plant.Yaw = start.X, start.Y, math.Remainder(a.edgeYaw+a.incidence, 2*math.Pi)
	p := plant.Start(t, b, a.plant)
	s := newSite(t, b, siteConfig{zones: blockedZone("edge", zone.Outer), lock: true})
	driver.StartDrive(t, b, driver.Drive{VX: a.speed})
	g := s.start(t)
	g.ready(t)
	fired := g.watchTriggers(t)
	standing(t, p, 25*time.Second)
	late := slices.DeleteFunc(fired(), func(code string) bool { return code != "loop.overrun" && code != "pose.stale" })
	if gap := stoodStill(p.Truth(t)); gap > poseDeadline || len(late) > 0 {
		t.Logf("the plant did not run for %v; the guard says %q", gap, late)
		k, err := oracle.JudgeKeepOut(p.Truth(t), contour, []oracle.Zone{zone})
		if err != nil || k.Inside {
			t.Errorf("inside %t, %v", k.Inside, err)
		}
		return false
	}
	g.standsUnheld(t, p, 35*time.Second)
	judge(t, p.Truth(t), zone)
	if r := g.replayed(t); r.Events == 0 {
		t.Error("nothing was replayed")
	}
	return true
}

// poseDeadline is the profile's: a pose that is older is missing.
const poseDeadline = 500 * time.Millisecond

// stoodStill is the longest time between two steps of the plant, by its own record.
func stoodStill(truth oracle.Truth) (longest time.Duration) {
	for i := 1; i < len(truth.Samples); i++ {
		longest = max(longest, truth.Samples[i].T-truth.Samples[i-1].T)
	}
	return longest
}

// TestApproaches draws approaches at BLOCKED edges: 20 in make test, 500 in make qualify, and on DDS a share of them.
func TestApproaches(t *testing.T) {
	s := seed(t)
	n := map[bus.Kind]int{bus.ROS: 20, bus.Cyclone: 1, bus.Fast: 1}
	if longTier() {
		n = map[bus.Kind]int{bus.ROS: 500, bus.Cyclone: 100, bus.Fast: 100}
	}
	slots := make(chan struct{}, 4)
	var again atomic.Int32
	t.Cleanup(func() {
		if n := again.Load(); n > 0 {
			t.Logf("%d approaches were driven again, since the machine had stood still under plant or guard", n)
		}
	})
	for kind, n := range n {
		for i := range n {
			a := drawApproach(rand.New(rand.NewPCG(s, uint64(i))), i) //nolint:gosec // not a secret
			a.start(t, kind, i, slots, &again)
		}
	}
}

// start runs the approach as a test of its own, when there is a slot for it.
func (a approach) start(t *testing.T, kind bus.Kind, i int, slots chan struct{}, again *atomic.Int32) {
	t.Run(fmt.Sprintf("%s %03d", kind, i), func(t *testing.T) {
		t.Parallel()
		slots <- struct{}{}
		defer func() { <-slots }()
		t.Logf("speed %.2f m/s, incidence %.0f°, lag %v, dead time %v, loss %.1f %%×%d", a.speed, a.incidence*180/math.Pi,
			a.plant.Lag, a.plant.DeadTime, 100*a.plant.LossProbability, a.plant.LossLength)
		if a.run(t, meet(t, kind)) {
			return
		}
		again.Add(1)
		if !a.run(t, meet(t, kind)) {
			t.Error("the machine stood still twice: nothing was measured")
		}
	})
}

// TestDriveByIsNotSlowed drives past an edge at a distance that is not required: the guard must not be a nuisance.
func TestDriveByIsNotSlowed(t *testing.T) {
	onBuses(t, nil, driveByIsNotSlowed)
}

func driveByIsNotSlowed(t *testing.T, b bus.Bus) {
	// The contour's side runs at y = 0.2; the static margin is kept, and a little for the noise of the heading.
	zone := oracle.Zone{ID: "side", Outer: ringOf(-1, 0.20+staticMargin+0.06, 12, 3)}
	p := plant.Start(t, b, plant.Config{})
	s := newSite(t, b, siteConfig{zones: blockedZone("side", zone.Outer), lock: true})
	g := s.start(t)
	g.ready(t)
	driver.StartDrive(t, b, driver.Drive{VX: 1.2, Duration: 7 * time.Second})
	standing(t, p, 25*time.Second)
	truth := p.Truth(t)
	k, err := oracle.JudgeKeepOut(truth, contour, []oracle.Zone{zone})
	if err != nil {
		t.Fatal(err)
	}
	slow := 0
	for _, x := range truth.Samples {
		if x.X > 2 && x.X < 6 && x.Speed() < 1.15 {
			slow++
		}
	}
	t.Logf("smallest gap %.3f m, %d slowed samples", k.MinGapM, slow)
	if k.Inside || slow > 0 {
		t.Errorf("inside %t, %d samples slower than 1.15 m/s beside the zone", k.Inside, slow)
	}
}
