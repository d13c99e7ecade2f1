package sim

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWayIsShortest(t *testing.T) {
	b := Building{
		Floors: []Floor{{Name: "g"}, {Name: "u"}},
		Places: []Place{
			{"a", "g", Point{0, 0}},
			{"b", "g", Point{10, 0}},
			{"c", "g", Point{5, 1}},
			{"d", "g", Point{5, 9}},
			{"e", "u", Point{0, 0}},
			{"island", "g", Point{0, -1}},
		},
		Links: [][2]string{{"a", "d"}, {"d", "b"}, {"a", "c"}, {"b", "c"}},
	}
	got, err := b.Way("g", Point{0.2, 0}, "b")
	if d := cmp.Diff([]Point{{0, 0}, {5, 1}, {10, 0}}, got); err != nil || d != "" {
		t.Errorf("way from a to b: %v (-want +got):\n%s", err, d)
	}
	if got, err = b.Way("g", Point{0, -1}, "b"); err != nil || len(got) != 3 {
		t.Errorf("from beside an unlinked place: %v, %v; expected to start at the nearest linked one", got, err)
	}
	for name, c := range map[string]struct{ floor, to string }{
		"unknown place": {"g", "nowhere"}, "place on another floor": {"g", "e"}, "floor without places": {"cellar", "b"},
	} {
		if way, err := b.Way(c.floor, Point{}, c.to); err == nil {
			t.Errorf("%s: got %v", name, way)
		}
	}
}

func TestHospitalIsConnected(t *testing.T) {
	b := Hospital()
	if err := b.check(); err != nil {
		t.Fatal(err)
	}
	for _, from := range b.Places {
		for _, to := range b.Places {
			if from.Floor != to.Floor {
				continue
			}
			way, err := b.Way(from.Floor, from.Point, to.Name)
			if err != nil || way[0] != from.Point || way[len(way)-1] != to.Point {
				t.Errorf("from %s to %s: %v, %v", from.Name, to.Name, way, err)
			}
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Options)
		says  string
	}{
		"no robot id":         {func(o *Options) { o.Robot = "" }, "robot is empty"},
		"lock never expires":  {func(o *Options) { o.LockTimeout = 0 }, "lock timeout"},
		"service at once":     {func(o *Options) { o.ServiceDelay = 0 }, "service delay"},
		"start on no floor":   {func(o *Options) { o.Start.Floor = "roof" }, "not a place"},
		"no lag":              {func(o *Options) { o.Plant.LagS = 0 }, "lag"},
		"slippery ice":        {func(o *Options) { o.Plant.SlipSigma = 0.5 }, "slip"},
		"no torso":            {func(o *Options) { o.Body.TorsoX = 0 }, "body"},
		"link to nowhere":     {func(o *Options) { o.Building.Links = [][2]string{{"kitchen", "nowhere"}} }, "link"},
		"link through floors": {func(o *Options) { o.Building.Links = [][2]string{{"kitchen", "ward-d"}} }, "link"},
		"lift on one floor":   {func(o *Options) { o.Building.Lifts = [][2]string{{"kitchen", "ward-a"}} }, "lift"},
		"place on no floor":   {func(o *Options) { o.Building.Places = []Place{{"x", "roof", Point{}}} }, "place"},
		"dock place missing":  {func(o *Options) { o.Building.DockPlace = "nowhere" }, "dock"},
	} {
		o := DefaultOptions()
		c.spoil(&o)
		_, err := New(o, Handlers{})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, expected it to speak of %q", name, err, c.says)
		}
	}
}

func TestRecorderKeepsUpToItsLimit(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	r := w.Record(100*time.Millisecond, 5)
	w.Advance(2 * time.Second)
	if len(r.Samples) != 5 || r.Lost != 15 || r.Samples[1].Boot-r.Samples[0].Boot != 100*time.Millisecond {
		t.Errorf("%d samples, %d lost, first %+v", len(r.Samples), r.Lost, r.Samples[:2])
	}
}

func TestQueueRunsInOrder(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	var got []int
	w.After(5*time.Millisecond, func() { got = append(got, 2) })
	w.After(2*time.Millisecond, func() {
		got = append(got, 1)
		w.After(0, func() { got = append(got, 10) })
	})
	w.After(5*time.Millisecond, func() { got = append(got, 3) })
	w.Advance(4 * time.Millisecond)
	w.Advance(4 * time.Millisecond)
	if d := cmp.Diff([]int{1, 10, 2, 3}, got); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

func TestPlannerTasks(t *testing.T) {
	w := passThrough(t, nil)
	p := w.Planner()
	p.Do(Go("nowhere", 0.5), Wait(time.Second), Drive(0.5, Point{2.5, 5}))
	w.Advance(100 * time.Millisecond)
	if p.Lost() == nil || p.Pending() != 2 {
		t.Fatalf("after a place that does not exist: lost %v, %d tasks left", p.Lost(), p.Pending())
	}
	w.Advance(25 * time.Second)
	if at := w.Truth(); p.Pending() != 0 || dist(Point{at.X, at.Y}, Point{2.5, 5}) > 0.35 {
		t.Fatalf("drive ended at (%.2f, %.2f), %d tasks left", at.X, at.Y, p.Pending())
	}
	yaw := w.Truth().Yaw
	p.Do(BackUp(0.6))
	w.Advance(8 * time.Second)
	if at := w.Truth(); p.Pending() != 0 || math.Abs(wrap(at.Yaw-yaw)) > 0.1 || dist(Point{at.X, at.Y}, Point{2.5, 5}) < 0.3 {
		t.Fatalf("after backing up: %+v, %d tasks left", at.Placement, p.Pending())
	}
	p.Do(Reach(time.Minute), Go("kitchen", 0.8))
	if w.Advance(2 * time.Second); !w.Truth().ArmsMoving {
		t.Error("reaching does not move the arms")
	}
	p.Clear()
	w.Advance(5 * time.Second)
	if s := w.Truth(); p.Pending() != 0 || s.ArmsMoving || s.Walking {
		t.Errorf("after Clear: %+v", s)
	}
	p.Do(Go("kitchen", 0.8))
	p.Pause(true)
	if w.Advance(4 * time.Second); w.Truth().Walking || p.Pending() != 1 {
		t.Error("a paused planner walks, or has lost its task")
	}
	p.Pause(false)
	if w.Advance(4 * time.Second); !w.Truth().Walking {
		t.Error("the planner does not go on after a pause")
	}
	p.Clear()
	twist := forward(0.4)
	p.Fix(&twist)
	if w.Advance(3 * time.Second); !w.Truth().Walking {
		t.Error("a fixed command does not walk")
	}
	p.Silence(true)
	if w.Advance(4 * time.Second); w.Truth().Walking {
		t.Error("a silent planner keeps walking")
	}
}
