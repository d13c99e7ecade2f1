package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Key names a cell of the report.
type Key struct {
	// Worker is the worker's name, Rate in hertz or MaxRate.
	Worker string
	Rate   float64
}

// Visit is one worker measured at one rate in one round.
type Visit struct {
	// Sent counts messages, Stray those that came back but were not recognised.
	Sent, Stray int
	// Took is how long the sending took.
	Took time.Duration
	// CPU is what the worker used meanwhile, in steps of 10 ms, RSSBytes its resident memory.
	CPU      time.Duration
	RSSBytes int64

	got       int
	latencies []time.Duration // sorted
}

// Got counts the messages that came back.
func (v Visit) Got() int { return v.got }

// measure takes when each message was sent and how long it took, 0 for one that did not come back. A node that passes on
// the newest message only must not gain by that: a message that was passed over took as long as it took until a newer one
// came back. What is lost behind the last one that came back has no latency.
func (v *Visit) measure(sent, took []atomic.Int64) {
	newest := int64(math.MaxInt64) // when the first of all later messages came back
	for i := range slices.Backward(sent) {
		at := sent[i].Load()
		if d := took[i].Load(); d > 0 {
			v.got++
			newest = min(newest, at+d)
		}
		if newest < math.MaxInt64 {
			v.latencies = append(v.latencies, time.Duration(newest-at))
		}
	}
	slices.Sort(v.latencies)
}

// Quantile is a latency such that the share q (0…1) of messages took no longer; 0 without messages.
func (v Visit) Quantile(q float64) time.Duration {
	if len(v.latencies) == 0 {
		return 0
	}
	return v.latencies[max(0, int(math.Ceil(q*float64(len(v.latencies))))-1)]
}

// Report is the result of a run.
type Report struct {
	// Job, Workers and Rates say what was measured; Where, if not "", under which conditions.
	Job     Job
	Where   string
	Workers []string
	Rates   []float64
	// Visits are all measurements, round by round.
	Visits map[Key][]Visit
}

// Quantile is the median over the rounds of a worker's quantile.
func (r *Report) Quantile(worker string, rate, q float64) time.Duration {
	var d []float64
	for _, v := range r.Visits[Key{worker, rate}] {
		d = append(d, float64(v.Quantile(q)))
	}
	return time.Duration(median(d))
}

// CPU is the share of one processor that a worker used while messages were sent at a rate.
func (r *Report) CPU(worker string, rate float64) float64 {
	var cpu, took time.Duration
	for _, v := range r.Visits[Key{worker, rate}] {
		cpu, took = cpu+v.CPU, took+v.Took
	}
	return cpu.Seconds() / took.Seconds()
}

// Ratio is the median over the rounds of a worker's quantile over the baseline's in the same round; NaN if either was
// not measured.
func (r *Report) Ratio(worker, baseline string, rate, q float64) float64 {
	a, b := r.Visits[Key{worker, rate}], r.Visits[Key{baseline, rate}]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if base := b[i].Quantile(q); base > 0 {
			ratios = append(ratios, float64(a[i].Quantile(q))/float64(base))
		}
	}
	return median(ratios)
}

// Difference is the median over the rounds of a worker's quantile less the baseline's in the same round; NaN if either was
// not measured. Its unit is nanoseconds.
func (r *Report) Difference(worker, baseline string, rate, q float64) float64 {
	a, b := r.Visits[Key{worker, rate}], r.Visits[Key{baseline, rate}]
	var all []float64
	for i := range min(len(a), len(b)) {
		all = append(all, float64(a[i].Quantile(q)-b[i].Quantile(q)))
	}
	return median(all)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Only is what was measured in the rounds of one kind, counted from 0, with what is to stand behind the job's name.
func (r *Report) Only(where string, of func(round int) bool) *Report {
	out := &Report{Job: r.Job, Where: where, Workers: r.Workers, Rates: r.Rates, Visits: map[Key][]Visit{}}
	for key, visits := range r.Visits {
		for round, v := range visits {
			if of(round) {
				out.Visits[key] = append(out.Visits[key], v)
			}
		}
	}
	return out
}

// WriteMarkdown writes one table for each rate. Ratios are to the baseline, which is the name of a worker.
func (r *Report) WriteMarkdown(w io.Writer, baseline string) error {
	var b strings.Builder
	for _, rate := range r.Rates {
		fmt.Fprintf(&b, "### %s%s, %s\n\n", r.Job, r.Where, rateName(rate))
		fmt.Fprintf(&b, "| worker | p50 µs | p99 µs | max µs | p50 / %[1]s | p99 / %[1]s | back / sent | per s | CPU %% | CPU µs/msg | RSS MB |\n", baseline)
		b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		for _, name := range r.Workers {
			r.writeRow(&b, name, baseline, rate)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeRow(b *strings.Builder, name, baseline string, rate float64) {
	var sent, got int
	var took, cpu, worst time.Duration
	var rss int64
	for _, v := range r.Visits[Key{name, rate}] {
		sent += v.Sent
		got += v.Got()
		took += v.Took
		cpu += v.CPU
		worst = max(worst, v.Quantile(1))
		rss = max(rss, v.RSSBytes)
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	fmt.Fprintf(b, "| %s | %.1f | %.1f | %.0f | %.2f | %.2f | %d / %d | %.0f | %.1f | %.1f | %.1f |\n", name,
		us(r.Quantile(name, rate, 0.5)), us(r.Quantile(name, rate, 0.99)), us(worst),
		r.Ratio(name, baseline, rate, 0.5), r.Ratio(name, baseline, rate, 0.99), got, sent,
		float64(got)/took.Seconds(), 100*cpu.Seconds()/took.Seconds(), us(cpu)/float64(max(got, 1)), float64(rss)/1e6)
}

func rateName(rate float64) string {
	if rate == MaxRate {
		return "as fast as it goes"
	}
	return fmt.Sprintf("%g Hz", rate)
}
