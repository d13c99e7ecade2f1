package bench

import (
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
)

// visit makes a measurement with the given latencies in microseconds.
func visit(us ...int) Visit {
	v := Visit{Sent: len(us), Took: time.Second, CPU: 10 * time.Millisecond, RSSBytes: 2e6, got: len(us)}
	for _, u := range us {
		v.latencies = append(v.latencies, time.Duration(u)*time.Microsecond)
	}
	slices.Sort(v.latencies)
	return v
}

func TestMessagesThatWerePassedOverCountUntilANewerOneIsBack(t *testing.T) {
	cells := func(v ...int64) []atomic.Int64 {
		out := make([]atomic.Int64, len(v))
		for i := range v {
			out[i].Store(v[i])
		}
		return out
	}
	for name, c := range map[string]struct {
		sent, took []int64
		got        int
		want       []time.Duration
	}{
		"all back":                   {[]int64{100, 200, 300}, []int64{5, 6, 7}, 3, []time.Duration{5, 6, 7}},
		"one passed over":            {[]int64{100, 110, 300}, []int64{0, 5, 7}, 2, []time.Duration{5, 7, 15}},
		"two passed over":            {[]int64{100, 110, 120}, []int64{0, 0, 5}, 1, []time.Duration{5, 15, 25}},
		"one lost at the end":        {[]int64{100, 200, 300}, []int64{5, 6, 0}, 2, []time.Duration{5, 6}},
		"a newer one overtakes":      {[]int64{100, 110, 300}, []int64{50, 5, 7}, 3, []time.Duration{5, 7, 15}},
		"nothing":                    {nil, nil, 0, nil},
		"nothing came back, off":     {[]int64{100}, []int64{0}, 0, nil},
		"a hole does not look ahead": {[]int64{100, 200}, []int64{5, 0}, 1, []time.Duration{5}},
	} {
		var v Visit
		v.measure(cells(c.sent...), cells(c.took...))
		if d := cmp.Diff(c.want, v.latencies); d != "" || v.Got() != c.got {
			t.Errorf("%s: %d back: %s", name, v.Got(), d)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var us []int
	for i := 100; i > 0; i-- {
		us = append(us, i)
	}
	v := visit(us...)
	for q, want := range map[float64]time.Duration{0: time.Microsecond, 0.5: 50 * time.Microsecond, 0.99: 99 * time.Microsecond, 0.991: 100 * time.Microsecond, 1: 100 * time.Microsecond} {
		if got := v.Quantile(q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if got := (Visit{}).Quantile(0.5); got != 0 {
		t.Errorf("nothing measured: %v", got)
	}
}

func TestRatioIsTakenWithinRounds(t *testing.T) {
	// The machine is ten times slower in the second round, and so are both.
	r := &Report{Workers: []string{"a", "b"}, Rates: []float64{100}, Visits: map[Key][]Visit{
		{"a", 100}: {visit(5), visit(60), visit(5)},
		{"b", 100}: {visit(10), visit(100), visit(10)},
	}}
	if got := r.Ratio("a", "b", 100, 0.5); got != 0.5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
	if got := r.Ratio("a", "nobody", 100, 0.5); !math.IsNaN(got) {
		t.Errorf("ratio to nobody: %v", got)
	}
	if got := r.Difference("a", "b", 100, 0.5); got != -5e3 {
		t.Errorf("difference %v ns, want -5000", got)
	}
	if got := r.Difference("nobody", "b", 100, 0.5); !math.IsNaN(got) {
		t.Errorf("difference of nobody: %v", got)
	}
}

func TestMarkdown(t *testing.T) {
	r := &Report{Job: Gate, Workers: []string{"a", "b"}, Rates: []float64{100, MaxRate}, Visits: map[Key][]Visit{
		{"a", 100}: {visit(50, 50, 50, 90)}, {"b", 100}: {visit(100, 100, 100, 100)},
		{"a", MaxRate}: {visit(10)}, {"b", MaxRate}: {visit(20)},
	}}
	var b strings.Builder
	if err := r.WriteMarkdown(&b, "b"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"### gate, 100 Hz", "",
		"| worker | p50 µs | p99 µs | max µs | p50 / b | p99 / b | back / sent | per s | CPU % | CPU µs/msg | RSS MB |",
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
		"| a | 50.0 | 90.0 | 90 | 0.50 | 0.90 | 4 / 4 | 4 | 1.0 | 2500.0 | 2.0 |",
		"| b | 100.0 | 100.0 | 100 | 1.00 | 1.00 | 4 / 4 | 4 | 1.0 | 2500.0 | 2.0 |",
	}
	if d := cmp.Diff(want, strings.Split(b.String(), "\n")[:6]); d != "" {
		t.Error(d)
	}
	if !strings.Contains(b.String(), "### gate, as fast as it goes") {
		t.Errorf("no table for the greatest rate:\n%s", b.String())
	}
}

func TestNumbersSurviveTheirDisguise(t *testing.T) {
	l := &lane{frame: frameOf(Gate), pub: nobody(t), sent: newCells(), got: newCells(), arrived: make(chan struct{}, 10)}
	for _, id := range []int{1, 2, 1000, maxIDs - 1} {
		l.send(id)
		if v, err := wire.ParseTwist(l.frame[4:]); err != nil || v.Linear[0] > 0.07 {
			t.Fatalf("number %d is a command of %v, %v", id, v, err)
		}
		l.receive(wire.Message{Body: l.frame[4:]})
		if l.got[id].Load() <= 0 {
			t.Errorf("number %d was not recognised", id)
		}
	}
	// A command that somebody has changed is a stray, not a measurement.
	l.receive(wire.Message{Body: wire.TwistMsg{Linear: [3]float64{0.05}}.Append(nil)})
	l.receive(wire.Message{Body: []byte{1}})
	l.receive(wire.Message{Body: wire.TwistMsg{Linear: [3]float64{math.NaN()}}.Append(nil)})
	if l.stray.Load() != 3 {
		t.Errorf("%d strays, want 3", l.stray.Load())
	}
}

func TestEveryPeerDoesEveryJob(t *testing.T) {
	t.Parallel()
	for _, job := range []Job{Gate, Reply} {
		m := ros.StartMaster(t, ros.Options{})
		workers := Peers(t, m, job)
		if job == Gate {
			workers = append(workers, SameJob(t, m, "same job", 0), BusyRelay(t, m, "busy relay", 0))
		}
		r, err := Run(t.Context(), Config{
			Master: m.URI(), Job: job, Workers: workers, Rounds: 2, Visit: 200 * time.Millisecond, Log: t.Logf,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range r.Workers {
			for _, rate := range r.Rates {
				visits := r.Visits[Key{name, rate}]
				if len(visits) != 2 {
					t.Fatalf("%s at %v: %d visits", name, rate, len(visits))
				}
				if !slices.ContainsFunc(visits, func(v Visit) bool { return doesItsJob(name, v) }) {
					for _, v := range visits {
						t.Errorf("%s at %v: %d of %d, %d strays", name, rate, v.Got(), v.Sent, v.Stray)
					}
				}
			}
		}
		if rounds := r.Visits[Key{Direct, 100}]; rounds[0].Sent != 20 {
			t.Errorf("%d messages in 200 ms at 100 Hz", rounds[0].Sent)
		}
	}
}

// doesItsJob says whether nearly everything came back, and nothing else. One visit of two has to: a peer that is kept off the
// processor for longer than its queue lasts loses messages, which is the machine's fault and not the peer's.
func doesItsJob(name string, v Visit) bool {
	least := v.Sent * 9 / 10
	if name == "same job" {
		least = v.Sent / 2 // It passes on the newest only, and a busy machine makes messages come together.
	}
	return v.Got() >= least && v.Stray == 0 && v.Quantile(0.5) > 0 && v.RSSBytes > 0
}

func TestDeafWorkerIsNamed(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	n, err := wire.NewNode(wire.NodeConfig{Name: "/deaf", Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	if _, err := n.Subscribe(t.Context(), "/in", wire.Twist, func(wire.Message) {}); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 2*time.Second)
	_, err = Run(ctx, Config{Master: m.URI(), Workers: []Worker{{Name: "deaf", In: "/in", Out: "/out"}}})
	if err == nil || !strings.Contains(err.Error(), "nothing comes through deaf") {
		t.Fatalf("%v", err)
	}
}

// BenchmarkPeers writes the tables of the standard peers to standard output: go test -run ^$ -bench Peers -benchtime 1x.
func BenchmarkPeers(b *testing.B) {
	for b.Loop() {
		for _, job := range []Job{Gate, Reply} {
			m := ros.StartMaster(b, ros.Options{})
			r, err := Run(b.Context(), Config{Master: m.URI(), Job: job, Workers: Peers(b, m, job), Rounds: 3})
			if err != nil {
				b.Fatal(err)
			}
			if err := r.WriteMarkdown(os.Stdout, Roscpp); err != nil {
				b.Fatal(err)
			}
		}
	}
}
