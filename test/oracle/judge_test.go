package oracle

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var box = Contour{Rectangle(-0.3, -0.25, 0.3, 0.25)}

// run makes a truth of one sample each 5 ms from a pose at each time in seconds.
func run(seconds float64, pose func(t float64) Sample) Truth {
	var out Truth
	for i := 0; float64(i)*0.005 <= seconds+1e-9; i++ {
		t := float64(i) * 0.005
		s := pose(t)
		s.T = time.Second + time.Duration(i)*5*time.Millisecond
		out.Samples = append(out.Samples, s)
	}
	return out
}

// approach drives along x at speed v and brakes with a from time t0 on.
func approach(v, a, t0 float64) func(float64) Sample {
	return func(t float64) Sample {
		s := Sample{X: v * t, VX: v, CmdVX: v}
		if t > t0 {
			dt := min(t-t0, v/a)
			s = Sample{X: v*t0 + v*dt - a*dt*dt/2, VX: v - a*dt}
		}
		return s
	}
}

func wall(x float64) []Zone { return []Zone{{ID: "wall", Outer: Rectangle(x, -5, x+1, 5)}} }

func TestRequiredDistanceByHand(t *testing.T) {
	for _, c := range []struct {
		s    Stopping
		want float64
	}{
		// The examples of the specification.
		{Stopping{SpeedMPS: 1, DecelMPS2: 1, Detect: 150 * time.Millisecond}, 0.65},
		{Stopping{SpeedMPS: 1, DecelMPS2: 1, Detect: 500 * time.Millisecond}, 1.0},
		{Stopping{SpeedMPS: 1.5, DecelMPS2: 1, Age: 100 * time.Millisecond, Detect: 50 * time.Millisecond}, 1.35},
		{Stopping{SpeedMPS: 2, DecelMPS2: 1, Actuate: 500 * time.Millisecond}, 3.0},
		{Stopping{SpeedMPS: 0.3, DecelMPS2: 0.5, Actuate: 150 * time.Millisecond}, 0.135},
		{Stopping{SpeedMPS: 0, DecelMPS2: 1, K: 2.45, SigmaM: 0.02, MapErrorM: 0.03}, 0.079},
	} {
		if got := c.s.Required(); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v: %v, want %v", c.s, got, c.want)
		}
	}
}

func TestStopGapByHand(t *testing.T) {
	// 1 m/s for 2 s, then 0.5 m of braking: the front comes to stand at 2.5 + 0.3 m.
	k, err := JudgeKeepOut(run(5, approach(1, 1, 2)), box, wall(3))
	if err != nil || k.Inside {
		t.Fatalf("%+v, %v", k, err)
	}
	if math.Abs(k.MinGapM-0.2) > 1e-9 || math.Abs(k.FinalGapM-0.2) > 1e-9 || k.FinalSpeedMPS != 0 || k.MaxSpeedMPS != 1 {
		t.Fatalf("%+v, want a gap of 0.2 m at rest", k)
	}
}

func TestInsideIsFoundByTheMillimetre(t *testing.T) {
	// The front reaches 2.8 m: a wall 1 mm nearer is touched, one 1 mm farther is not.
	for x, want := range map[float64]bool{2.799: true, 2.801: false} {
		k, err := JudgeKeepOut(run(5, approach(1, 1, 2)), box, wall(x))
		if err != nil || k.Inside != want {
			t.Errorf("wall at %v: %+v, %v; want inside %v", x, k, err, want)
		}
		if want && (k.Zone != "wall" || math.Abs(k.At.T.Seconds()-3.95) > 0.1) {
			t.Errorf("wall at %v: first touch %+v", x, k)
		}
	}
}

func TestTouchBetweenRowsIsFound(t *testing.T) {
	// A thin wall that the contour jumps over from one row to the next.
	thin := []Zone{{ID: "thin", Outer: Rectangle(1.0, -5, 1.0001, 5)}}
	tr := Truth{Samples: []Sample{{T: 1, X: 0}, {T: 2, X: 2}}}
	if k, err := JudgeKeepOut(tr, box, thin); err != nil || !k.Inside {
		t.Fatalf("%+v, %v; the wall was jumped over", k, err)
	}
}

func TestTurningSweepsTheCorner(t *testing.T) {
	// A contour that clears the wall in both end poses but not while it turns: its corner is 0.39 m out.
	walls := wall(0.35)
	tr := run(1, func(t float64) Sample { return Sample{Yaw: math.Pi / 2 * t, W: math.Pi / 2} })
	ends := Truth{Samples: []Sample{tr.Samples[0]}}
	if k, err := JudgeKeepOut(ends, box, walls); err != nil || k.Inside {
		t.Fatalf("start pose: %+v, %v", k, err)
	}
	if k, err := JudgeKeepOut(tr, box, walls); err != nil || !k.Inside {
		t.Fatalf("turn: %+v, %v", k, err)
	}
}

func TestNothingToJudgeIsAnError(t *testing.T) {
	if _, err := JudgeKeepOut(Truth{}, box, wall(1)); err == nil {
		t.Error("no samples: no error")
	}
	if _, err := JudgeKeepOut(run(1, approach(1, 1, 2)), box, nil); err == nil {
		t.Error("no zones: no error")
	}
	if _, _, err := JudgeKeepIn(Truth{}, box, wall(1)[0]); err == nil {
		t.Error("keep-in without samples: no error")
	}
}

func TestKeepIn(t *testing.T) {
	room := Zone{ID: "room", Outer: Rectangle(-1, -1, 3, 1)}
	if ok, _, err := JudgeKeepIn(run(5, approach(1, 1, 2)), box, room); err != nil || !ok {
		t.Errorf("stays 0.2 m inside: %v, %v", ok, err)
	}
	ok, at, err := JudgeKeepIn(run(5, approach(1, 1, 2.3)), box, room)
	if err != nil || ok || math.Abs(at.X-2.7) > 0.002 {
		t.Errorf("leaves: %v at %+v, %v; want the first moment at x = 2.7", ok, at, err)
	}
}

func TestReactionTimesByHand(t *testing.T) {
	tr := run(5, approach(1, 1, 2))
	trigger := time.Second + 1900*time.Millisecond
	tr.Events = []Event{
		{T: time.Second, Kind: "cmd", Text: "moving"},
		{T: time.Second + 1904*time.Millisecond, Kind: "cmd", Text: "zero"},
		{T: time.Second + 1905*time.Millisecond, Kind: "cmd", Text: "moving"},
		{T: time.Second + 1908*time.Millisecond, Kind: "cmd", Text: "zero"},
	}
	if d, err := TimeToZeroCommand(tr, trigger); err != nil || d != 8*time.Millisecond {
		t.Errorf("zero command after %v, %v; want 8ms, the last change", d, err)
	}
	rest := Rest{SpeedMPS: 0.01, YawRateRPS: 0.01, Hold: 500 * time.Millisecond}
	// Braking from 1 m/s at 1 m/s² reaches 0.01 m/s after 0.99 s, 1.09 s after the trigger.
	if d, err := TimeToRest(tr, trigger, rest); err != nil || math.Abs(d.Seconds()-1.09) > 0.006 {
		t.Errorf("rest after %v, %v; want 1.09s", d, err)
	}
}

func TestNeverAtRestIsAnError(t *testing.T) {
	rest := Rest{SpeedMPS: 0.01, YawRateRPS: 0.01, Hold: 500 * time.Millisecond}
	for name, tr := range map[string]Truth{
		"drives on":           run(5, approach(1, 1, 10)),
		"too short":           run(3.2, approach(1, 1, 2)),
		"turns on the spot":   run(2, func(float64) Sample { return Sample{W: 0.5} }),
		"nothing at all":      {},
		"ends before trigger": run(0.1, approach(1, 1, 0)),
	} {
		if d, err := TimeToRest(tr, 2*time.Second, rest); err == nil {
			t.Errorf("%s: at rest after %v", name, d)
		}
	}
	moving := run(1, approach(1, 1, 10))
	moving.Events = []Event{{T: 1, Kind: "cmd", Text: "moving"}}
	if d, err := TimeToZeroCommand(moving, 0); err == nil {
		t.Errorf("zero command after %v in a run without one", d)
	}
}

func TestDriveByCountsOnlyFreeSpace(t *testing.T) {
	// Past a block at 0.75 m sideways; slowed to 0.4 beside it, from x = 4 to 6.
	block := []Zone{{ID: "block", Outer: Rectangle(4, 1, 6, 2)}}
	tr := run(10, func(t float64) Sample {
		s := Sample{X: t, VX: 1}
		if s.X > 3.5 && s.X < 6.5 {
			s.VX = 0.4
		}
		return s
	})
	need := func(required float64) func(float64) float64 { return func(float64) float64 { return required } }
	if d := JudgeDriveBy(tr, box, block, 1, need(0.8)); math.Abs(d.MinDistanceM-0.75) > 1e-9 || d.SlowestShare != 1 || d.Counted == 0 {
		t.Errorf("slowed only where the zone is near: %+v", d)
	}
	if d := JudgeDriveBy(tr, box, block, 1, need(0.7)); d.SlowestShare != 0.4 {
		t.Errorf("slowed without need: %+v, want 0.4", d)
	}
}

func TestMissionRatio(t *testing.T) {
	if r, err := MissionRatio(66*time.Second, 60*time.Second); err != nil || math.Abs(r-1.1) > 1e-12 {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := MissionRatio(0, time.Second); err == nil {
		t.Error("a mission of no time: no error")
	}
}

func TestReadTruth(t *testing.T) {
	row := func(ns int) string { return fmt.Sprintf("%d,1,2,0.5,0.1,0,0.2,0.3,0,nan,5\n", ns) }
	good := truthColumns + "\n" + row(1000) + "#1500,fault,teleport 3, 0\n" + row(2000)
	tr, err := ReadTruth(strings.NewReader(good + "3000,1,2"))
	if err != nil || len(tr.Samples) != 2 || tr.Samples[1].Flags != Locked|TimedOut || tr.Samples[0].CmdVX != 0.3 {
		t.Fatalf("%+v, %v", tr, err)
	}
	if e, err := tr.First("fault", "teleport"); err != nil || e.T != 1500 || e.Text != "teleport 3, 0" {
		t.Fatalf("event %+v, %v", e, err)
	}
	if late := tr.Since(1200); len(late.Samples) != 1 || len(late.Events) != 1 {
		t.Fatalf("since: %+v", late)
	}
	for name, text := range map[string]string{
		"empty file":      "",
		"other columns":   "t,x\n",
		"few columns":     truthColumns + "\n1,2,3\n",
		"not a number":    truthColumns + "\nx,1,2,0.5,0.1,0,0.2,0.3,0,0,5\n",
		"pose not finite": truthColumns + "\n1,nan,2,0.5,0.1,0,0.2,0.3,0,0,5\n",
		"time goes back":  truthColumns + "\n" + row(2000) + row(1000),
		"short event":     truthColumns + "\n#12,fault\n",
	} {
		if _, err := ReadTruth(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTailReadsOn(t *testing.T) {
	var file bytes.Buffer
	tail := NewTail(&file)
	file.WriteString(truthColumns + "\n1000,1,2,0.5,0.1,0,0.2,0.3,0,0,5\n2000,1,2,0")
	first, err := tail.Read()
	if err != nil || len(first.Samples) != 1 {
		t.Fatalf("%+v, %v; want the torn line left for later", first, err)
	}
	file.WriteString(".5,0.1,0,0.2,0.3,0,0,5\n#3000,fault,clear\n")
	second, err := tail.Read()
	if err != nil || len(second.Samples) != 2 || len(second.Events) != 1 || len(first.Samples) != 1 {
		t.Fatalf("%+v, %v", second, err)
	}
}
