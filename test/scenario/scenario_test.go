package scenario

import (
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

var promise = Promise{
	Decel: 1, Actuation: 180 * time.Millisecond, MaxSpeed: 1.5, Sigma: 0.01,
	Contour: oracle.Contour{oracle.Rectangle(-0.3, -0.2, 0.3, 0.2)},
}

// along is the contour after it has moved by s metres along the commanded velocity.
func along(c oracle.Contour, p plant.Config, d driver.Drive, s float64) oracle.Contour {
	heading := p.Yaw + math.Atan2(d.VY, d.VX)
	return c.At(p.X+s*math.Cos(heading), p.Y+s*math.Sin(heading), p.Yaw)
}

func zones(z oracle.Zone) []oracle.Zone { return []oracle.Zone{z} }

func TestApproachesKeepThePromiseAndMeetTheZone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := DrawApproach(rapid.Uint64().Draw(t, "seed"), promise)
		loss := time.Duration(a.Plant.LossLength) * commandPeriod
		if a.Plant.Decel < promise.Decel || a.Plant.StopDecel < promise.Decel || a.Plant.Actuation()+loss > promise.Actuation ||
			a.Plant.PoseSigma > promise.Sigma || a.SpeedMPS > promise.MaxSpeed {
			t.Fatalf("breaks the promise: %v", a)
		}
		if got := math.Hypot(a.Drive.VX, a.Drive.VY); math.Abs(got-a.SpeedMPS) > 1e-9 {
			t.Fatalf("commands %v m/s: %v", got, a)
		}
		if gap := along(promise.Contour, a.Plant, a.Drive, 0).Distance(a.Zone); gap < 0.3 {
			t.Fatalf("starts %v m from the zone: %v", gap, a)
		}
		// Somewhere on the way, and within the time of the run, the robot would be inside.
		meets := false
		for s := 0.0; s < a.SpeedMPS*(a.Duration.Seconds()-2); s += 0.02 {
			meets = meets || along(promise.Contour, a.Plant, a.Drive, s).Touches(a.Zone)
		}
		if !meets {
			t.Fatalf("never meets the zone: %v", a)
		}
		again := DrawApproach(a.Seed, promise)
		if !reflect.DeepEqual(a, again) {
			t.Fatal("the same seed drew something else")
		}
	})
}

func TestStartLeavesRoomToStop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := DrawApproach(rapid.Uint64().Draw(t, "seed"), promise)
		// Ahead of the robot lies the whole stopping distance and the run-up.
		need := a.Plant.StopDistance(a.SpeedMPS)
		if along(promise.Contour, a.Plant, a.Drive, need).Touches(a.Zone) {
			t.Fatalf("meets the zone within its stopping distance of %.2f m: %v", need, a)
		}
	})
}

func TestApproachesVary(t *testing.T) {
	kinds, sideways, legs, loss := map[string]int{}, 0, 0, 0
	for seed := range uint64(300) {
		a := DrawApproach(seed, promise)
		kinds[a.Kind]++
		if a.Drive.VY != 0 || a.Drive.VX < 0 {
			sideways++
		}
		if a.Plant.StepPeriod > 0 {
			legs++
		}
		if a.Plant.LossLength > 0 {
			loss++
		}
	}
	if len(kinds) != 4 || sideways < 30 || legs < 50 || loss < 50 {
		t.Errorf("kinds %v, not ahead %d, with steps %d, with loss %d of 300", kinds, sideways, legs, loss)
	}
}

func TestDriveBysHaveTheirRoom(t *testing.T) {
	room := func(v float64) float64 { return v*0.4 + v*v/2 }
	rapid.Check(t, func(t *rapid.T) {
		b := DrawDriveBy(rapid.Uint64().Draw(t, "seed"), promise, room)
		least := math.Inf(1)
		for s := 0.0; s < b.SpeedMPS*b.Duration.Seconds(); s += 0.02 {
			least = min(least, along(promise.Contour, b.Plant, b.Drive, s).Distance(b.Zone))
		}
		if math.Abs(least-b.GapM) > 0.002 || least < room(b.SpeedMPS) {
			t.Fatalf("passes at %.3f m, want %.3f and at least %.3f: %v", least, b.GapM, room(b.SpeedMPS), b)
		}
	})
}

// TestWithoutAGuardTheRobotDrivesIn is the off case: what is drawn here can fail.
func TestWithoutAGuardTheRobotDrivesIn(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 3; seed++ {
		a := DrawApproach(seed, promise)
		a.Plant.CommandTopic = "/cmd_vel_raw"
		t.Run(a.Kind, func(t *testing.T) {
			t.Parallel()
			t.Log(a)
			m := ros.StartMaster(t, ros.Options{})
			robot := plant.Start(t, m, a.Plant)
			driver.StartDrive(t, m, a.Drive)
			deadline := time.Now().Add(a.Duration)
			for {
				k, err := oracle.JudgeKeepOut(robot.Truth(t), promise.Contour, zones(a.Zone))
				if err == nil && k.Inside {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("not inside after %v: %+v, %v", a.Duration, k, err)
				}
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
}

// TestWithoutAGuardTheDriveByIsFree shows the other side: nobody slows a robot down that passes.
func TestWithoutAGuardTheDriveByIsFree(t *testing.T) {
	t.Parallel()
	room := func(v float64) float64 { return v*0.4 + v*v/2 }
	b := DrawDriveBy(5, promise, room)
	b.Plant.CommandTopic = "/cmd_vel_raw"
	t.Log(b)
	m := ros.StartMaster(t, ros.Options{})
	robot := plant.Start(t, m, b.Plant)
	driver.StartDrive(t, m, b.Drive)
	robot.WaitTruth(t, 20*time.Second, "the far side", func(s oracle.Sample) bool {
		return math.Hypot(s.X-b.Plant.X, s.Y-b.Plant.Y) > b.SpeedMPS*(b.Duration-b.CruiseAfter).Seconds()
	})
	first, err := robot.Truth(t).First("cmd", "moving")
	if err != nil {
		t.Fatal(err)
	}
	got := oracle.JudgeDriveBy(robot.Truth(t).Since(first.T+b.CruiseAfter), promise.Contour, zones(b.Zone), b.SpeedMPS, room)
	if got.Counted < 100 || got.SlowestShare < 0.97 || math.Abs(got.MinDistanceM-b.GapM) > 0.01 {
		t.Errorf("%+v, want the full speed and %.3f m", got, b.GapM)
	}
}
