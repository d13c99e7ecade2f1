package demo

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/hal/msg"
)

func TestColourOnlyWhereItIsWanted(t *testing.T) {
	for name, c := range map[string]struct {
		terminal bool
		env      map[string]string
		want     bool
	}{
		"terminal":              {true, nil, true},
		"file":                  {false, nil, false},
		"NO_COLOR":              {true, map[string]string{"NO_COLOR": "1"}, false},
		"NO_COLOR set to empty": {true, map[string]string{"NO_COLOR": ""}, true},
		"dumb terminal":         {true, map[string]string{"TERM": "dumb"}, false},
	} {
		env := func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }
		if got := UseColour(c.terminal, env); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTellerWritesPlainLines(t *testing.T) {
	var out strings.Builder
	tell := NewTeller(&out, false)
	tell.chapter("One")
	tell.line(time.Date(2026, 3, 10, 19, 53, 20, 0, time.UTC), styleWarn, "guard", "it\x1b[31m stands\r\n"+strings.Repeat("very ", 30)+"still")
	text := out.String()
	if strings.ContainsAny(text, "\x1b\r") || !strings.Contains(text, "19:53:20  guard  it [31m stands very") {
		t.Errorf("told %q", text)
	}
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > 104 {
			t.Errorf("a line of %d characters: %q", utf8.RuneCountInString(line), line)
		}
	}
	out.Reset()
	NewTeller(&out, true).chapter("One")
	if !strings.Contains(out.String(), "\x1b[1m") {
		t.Errorf("no colour where it was asked for: %q", out.String())
	}
}

type brokenPipe struct{ writes int }

func (b *brokenPipe) Write([]byte) (int, error) { b.writes++; return 0, errors.New("broken pipe") }

func TestTellerStopsAtAWriterThatFails(t *testing.T) {
	pipe := &brokenPipe{}
	tell := NewTeller(pipe, false)
	tell.chapter("One")
	tell.chapter("Two")
	if tell.Err() == nil || pipe.writes != 1 {
		t.Errorf("error %v after %d writes", tell.Err(), pipe.writes)
	}
}

func TestWrapKeepsEveryWord(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String().Draw(rt, "text")
		got := strings.Fields(wrapText(text, 40, 8))
		want := strings.Fields(clean(text))
		if strings.Join(got, " ") != strings.Join(want, " ") {
			rt.Fatalf("%q became %q", want, got)
		}
	})
}

func TestTableShowsWhatFailed(t *testing.T) {
	r := &Result{World: 90 * time.Second, Took: 1500 * time.Millisecond, Rows: []Row{
		{Reaction{Name: "stands", Unit: "m", Least: 0.001, Bar: 0.25}, 0.15, true},
		{Reaction{Name: "holds", Unit: "s", Bar: 1}, math.NaN(), false},
		{Reaction{Name: "keeps clear", Unit: "m", Least: 0.001, Bar: math.Inf(1)}, math.Inf(1), true},
		{Reaction{Name: "delivers", Least: 3, Bar: 3}, 2, false},
	}}
	var out strings.Builder
	if err := r.Write(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"stands         0.15 m  above 0, ≤ 0.25 m  ok", "holds           never           ≤ 1.00 s  FAILED", "far away", "above 0 m",
		"2 of 4 reactions failed. 1m30s of the robot's time in 1.5s.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
	if n := len(r.Failed()); n != 2 {
		t.Errorf("%d failed rows, want 2", n)
	}
	if err := r.Write(&brokenPipe{}, true); err == nil {
		t.Error("a table that could not be written is no error")
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no robot":        func(o *Options) { o.Robot = "" },
		"short key":       func(o *Options) { o.Key = []byte("short") },
		"no guard":        func(o *Options) { o.Start = nil },
		"no time zone":    func(o *Options) { o.Timezone = nil },
		"no footprint":    func(o *Options) { o.Footprint = nil },
		"no zones":        func(o *Options) { o.Zones = nil },
		"speed below 0":   func(o *Options) { o.Speed = -1 },
		"speed is NaN":    func(o *Options) { o.Speed = math.NaN() },
		"guard will not":  func(o *Options) { o.Start = func(Env) (Trial, error) { return Trial{}, errors.New("no") } },
		"everything away": func(o *Options) { *o = Options{} },
	} {
		o := options()
		spoil(&o)
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: played", name)
		}
	}
}

func TestSameSeedSameDay(t *testing.T) {
	run := func(seed uint64) string {
		o := options()
		o.Seed = seed
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest
	}
	if a, b, c := run(3), run(3), run(4); a != b || a == c {
		t.Errorf("digests %s, %s, %s: expected the same for the same seed only", a, b, c)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	o := options()
	o.Speed = 1
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Run(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

func TestPacerKeepsRealTime(t *testing.T) {
	const speed = 50.0
	p := newPacer(speed, time.Minute)
	began := time.Now()
	for now := time.Minute; now <= time.Minute+5*time.Second; now += 100 * time.Millisecond {
		if err := p.wait(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 95*time.Millisecond {
		t.Errorf("five seconds at ×%v took %v, expected at least 100 ms", speed, took)
	}
	free := newPacer(0, 0)
	if err := free.wait(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
}

// talker is a robot without a guard that claims one thing after the other.
type talker struct {
	passThrough
	env  Env
	seen int
}

func (g *talker) Snapshot() *console.Snapshot {
	g.seen++
	s := &console.Snapshot{Robot: g.env.Robot, Mode: "limited", Floor: "ground", Pose: &console.Pose{X: console.Num(g.seen)}}
	if g.seen > 20 {
		s.Mode, s.Floor = "hold", "upper"
		s.Triggers = []console.Trigger{{Code: "c", Title: "No pose", Text: "It is dark."}}
	}
	return s
}

func TestTheGuardsViewIsToldAndShownAndNeverMeasured(t *testing.T) {
	o := options()
	var board console.Board
	var told strings.Builder
	o.Board, o.Tell = &board, NewTeller(&told, false)
	o.Start = func(e Env) (Trial, error) {
		return Trial{Guard: &talker{passThrough: passThrough{out: e.Out}, env: e}}, nil
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.OK {
		t.Error("a guard that only talks passed")
	}
	for _, want := range []string{"mode: normal", "mode: hold", "No pose: It is dark.", "The evening round"} {
		if strings.Count(told.String(), want) != 1 {
			t.Errorf("%q was told %d times", want, strings.Count(told.String(), want))
		}
	}
	s, _ := board.Latest()
	if s == nil || len(s.Events) == 0 || len(s.Path) == 0 || len(s.Path) > console.MaxPath || s.Path[0][0] < 20 {
		t.Errorf("the page's last snapshot: %+v", s)
	}
}

// deaf is a guard that does nothing: nothing ever reaches the base.
type deaf struct{ passThrough }

func (d *deaf) Command(*msg.Command) {}

func TestAGuardThatHoldsEverythingFailsTheNuisanceRows(t *testing.T) {
	o := options()
	o.Start = func(e Env) (Trial, error) { return Trial{Guard: &deaf{passThrough{out: e.Out}}}, nil }
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]bool{}
	for _, row := range r.Failed() {
		failed[row.Name] = true
	}
	for _, name := range []string{
		"the round is walked as fast as without a guard", "every delivery was made", "stands before the pharmacy",
		"after the signed reset it walks when told anew", "low battery: home to the dock",
	} {
		if !failed[name] {
			t.Errorf("%s: ok although the robot never moved", name)
		}
	}
}
