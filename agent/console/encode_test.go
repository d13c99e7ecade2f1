package console

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNum(t *testing.T) {
	for n, want := range map[Num]string{
		0: "0", 1: "1", -2.5: "-2.5", 0.12345: "0.1235", 100: "100", Num(math.Inf(1)): "null", Num(math.NaN()): "null",
		1e9: "1000000000", -0.00001: "-0",
	} {
		got, err := json.Marshal(n)
		if err != nil || string(got) != want {
			t.Errorf("%v: %s, %v; want %s", float64(n), got, err, want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := rapid.Float64().Draw(rt, "f")
		b, err := json.Marshal(Num(f))
		if err != nil || !json.Valid(b) {
			rt.Fatalf("%v: %s, %v", f, b, err)
		}
		var back Num
		if err := json.Unmarshal(b, &back); err != nil {
			rt.Fatal(err)
		}
		if bad := math.IsNaN(f) || math.IsInf(f, 0); bad != math.IsNaN(float64(back)) || !bad && math.Abs(float64(back)-f) > 6e-5*math.Max(1, math.Abs(f)) {
			rt.Fatalf("%v came back as %v", f, back)
		}
	})
}

func TestHostileTextStaysOneLineOfJSON(t *testing.T) {
	var e encoder
	state, scene, _, err := e.frames(hostileSnapshot())
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string][]byte{"state": state, "scene": scene} {
		if !json.Valid(out) || strings.ContainsAny(string(out), "\r\n\u2028\u2029<>\x00") {
			t.Errorf("%s: not valid, or has characters that end a line or begin markup:\n%s", name, out)
		}
	}
}

func TestAnySnapshotEncodes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text, f := rapid.String(), rapid.Float64()
		number := func() Num { return Num(f.Draw(rt, "n")) }
		s := &Snapshot{
			Robot: text.Draw(rt, "robot"), Summary: text.Draw(rt, "summary"), Pose: &Pose{number(), number(), number(), number()},
			Contour: []Point{{number(), number()}}, SpeedMPS: number(),
			Triggers: []Trigger{{Title: text.Draw(rt, "title")}}, Events: []Event{{Text: text.Draw(rt, "event")}},
		}
		var e encoder
		state, _, _, err := e.frames(s)
		if err != nil || !json.Valid(state) || strings.Contains(string(state), "\n") {
			rt.Fatalf("%s, %v", state, err)
		}
	})
}

func TestSizeIsBounded(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	s := sampleStopped(sampleScene())
	s.Scene.Site = long
	for range 5000 {
		s.Scene.Zones = append(s.Scene.Zones, Zone{ID: long, Reason: long, Outer: rect(0, 0, 1, 1)})
		s.ZoneStates = append(s.ZoneStates, ZoneState{})
		s.Triggers = append(s.Triggers, Trigger{Title: long, Text: long})
		s.Events = append(s.Events, Event{Text: long})
		s.Inputs = append(s.Inputs, Input{Name: long})
		s.Channels = append(s.Channels, Channel{Name: long})
		s.Path = append(s.Path, Point{1, 2})
	}
	var e encoder
	state, scene, _, err := e.frames(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(state) > 512<<10 || len(scene) > 2<<21 {
		t.Errorf("state %d bytes, scene %d bytes", len(state), len(scene))
	}
	var back Snapshot
	if err := json.Unmarshal(state, &back); err != nil || !back.Cut || len(back.Triggers) != MaxTriggers || len(back.Events) != MaxEvents {
		t.Errorf("%v: cut %v, %d triggers, %d events", err, back.Cut, len(back.Triggers), len(back.Events))
	}
	for _, tr := range back.Triggers {
		if !utf8.ValidString(tr.Text) || len(tr.Text) > MaxString+3 {
			t.Fatalf("text of %d bytes, valid %v", len(tr.Text), utf8.ValidString(tr.Text))
		}
	}
	if len(s.Triggers) != 5002 || s.Triggers[100].Title != long {
		t.Error("the published snapshot was changed")
	}
}

func TestNewestEventsAndPathStay(t *testing.T) {
	s := &Snapshot{}
	for i := range MaxEvents + 5 {
		s.Events = append(s.Events, Event{Text: string(rune('a' + i%26)), Level: "info"})
	}
	for i := range MaxPath + 7 {
		s.Path = append(s.Path, Point{Num(i), 0})
	}
	b := bounded(s)
	if b.Events[len(b.Events)-1] != s.Events[len(s.Events)-1] || b.Path[0] != (Point{7, 0}) || b.Cut {
		t.Errorf("last event %+v, first point %v, cut %v", b.Events[len(b.Events)-1], b.Path[0], b.Cut)
	}
}

func TestEncodesOnceForAllClients(t *testing.T) {
	var e encoder
	s := sampleWalking(sampleScene())
	a, sceneA, id1, _ := e.frames(s)
	b, sceneB, id2, _ := e.frames(s)
	if &a[0] != &b[0] || &sceneA[0] != &sceneB[0] || id1 != id2 {
		t.Error("the same snapshot was encoded twice")
	}
	next := *s
	next.SpeedMPS = 0.5
	c, sceneC, id3, _ := e.frames(&next)
	if &c[0] == &a[0] || &sceneC[0] != &sceneA[0] || id3 != id1 {
		t.Error("another snapshot of the same scene: expected a new state and the same scene")
	}
	if d := cmp.Diff(e.sceneID, uint64(1)); d != "" {
		t.Error(d)
	}
}

func TestBoardNeverWaitsAndWakesReaders(t *testing.T) {
	var b Board
	if s, _ := b.Latest(); s != nil {
		t.Fatal("a new board has a snapshot")
	}
	_, newer := b.Latest()
	for range 1000 {
		b.Publish(&Snapshot{})
	}
	last := &Snapshot{Robot: "last"}
	b.Publish(last)
	select {
	case <-newer:
	default:
		t.Error("a reader was not woken")
	}
	if s, _ := b.Latest(); s != last {
		t.Error("not the newest snapshot")
	}
}
