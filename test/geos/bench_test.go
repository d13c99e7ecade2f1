package geos

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/geofence"
)

// DESIGN's bars of geometry.
const (
	queryBar = 0.5  // of prepared GEOS, each query
	checkBar = 0.25 // of prepared GEOS, the full check with 1 000 zones
	checkUS  = 6.0  // microseconds, its mean
	checkAt  = 1000 // zones
)

// benchPlaces is how many places are asked about in a round.
const benchPlaces = 3000

// benchRounds is how many rounds visit ours and GEOS in turn: ROBOWARDEN_ROUNDS, for a first look, or eleven.
func benchRounds() int {
	if n, err := strconv.Atoi(os.Getenv("ROBOWARDEN_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return 11
}

// spent is the processor time of this thread: what else runs on the machine counts little.
func spent(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// row is one size of world, its figures medians over the rounds.
type row struct {
	zones, vertices    int
	depth              float64 // zones at a place
	ours, theirs       map[Kind]float64
	ratio              map[Kind]float64
	build, theirBuild  time.Duration
	bytes, theirBytes  int64
	check, checkTheirs float64
	checkRatio         float64
}

// BenchmarkBesideGEOS measures each kind of query on 10 to 10 000 zones beside prepared GEOS, in turns within one run, in
// processor time. With ROBOWARDEN_REPORT it adds its tables to that file.
func BenchmarkBesideGEOS(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := startPeer(b)
	for b.Loop() {
		var rows []row
		for _, n := range []int{10, 100, 1000, 10_000} {
			rows = append(rows, measure(b, p, NewWorld(42, n)))
		}
		text := table(rows)
		lane := drive(b)
		at := rows[slices.IndexFunc(rows, func(r row) bool { return r.zones > checkAt*9/10 })]
		parts := at.ours[Parts] / 1e3
		text += fmt.Sprintf("- full check, %d zones, the five queries with 30 body parts and the way ahead: %.2f µs and GEOS %.2f µs, %.2f × (bar %.2f; mean %.0f µs)\n",
			at.zones, at.check/1e3, at.checkTheirs/1e3, at.checkRatio, checkBar, checkUS)
		text += fmt.Sprintf("- full check as the guard does it, %d zones beside a lane: Step and Limit %.2f µs, with 30 body parts %.2f µs mean (bar %.0f µs), %.2f × of GEOS' five queries (bar %.2f)\n",
			checkAt, lane, lane+parts, checkUS, (lane+parts)*1e3/at.checkTheirs, checkBar)
		text += fmt.Sprintf("- growth from %d to %d zones, the five queries together: %.1f × (GEOS %.1f ×)\n", rows[0].zones, rows[len(rows)-1].zones,
			rows[len(rows)-1].check/rows[0].check, rows[len(rows)-1].checkTheirs/rows[0].checkTheirs)
		b.Log("\n" + text)
		keep(b, "\n### Geometry beside prepared GEOS\n\n"+text)
		b.ReportMetric(at.checkRatio, "check/GEOS")
		b.ReportMetric(lane+parts, "check-µs")
	}
}

// measure visits ours and GEOS in turn on one world.
func measure(b *testing.B, p *peer, w *World) row {
	b.Helper()
	start := spent(b)
	s, err := newSubject(w)
	r := row{zones: len(w.Zones), build: spent(b) - start, ours: map[Kind]float64{}, theirs: map[Kind]float64{}, ratio: map[Kind]float64{}}
	if err != nil {
		b.Fatal(err)
	}
	built, err := p.load(w)
	if err != nil {
		b.Fatal(err)
	}
	r.bytes, r.theirBuild, r.theirBytes = int64(s.set.Bytes()), built.took, built.bytes
	for i := range w.Zones {
		for _, ring := range w.Zones[i].Rings {
			r.vertices += len(ring)
		}
	}
	queries := w.Queries(benchPlaces)
	ready, points := make([]prepared, len(queries)), make([]geofence.Vertex, len(queries))
	for i := range queries {
		ready[i], points[i] = prepare(&queries[i]), geofence.Vertex(queries[i].P)
	}
	ours, theirs := map[Kind][]float64{}, map[Kind][]float64{}
	var sums, theirSums, ratios []float64
	for range benchRounds() {
		sum, theirSum := 0.0, 0.0
		for _, k := range Kinds() {
			mine := s.time(b, k, points, ready) / benchPlaces
			_, took, err := p.ask(k, queries, 2)
			if err != nil {
				b.Fatal(err)
			}
			other := float64(took) / benchPlaces
			ours[k], theirs[k] = append(ours[k], mine), append(theirs[k], other)
			sum, theirSum = sum+mine, theirSum+other
		}
		sums, theirSums, ratios = append(sums, sum), append(theirSums, theirSum), append(ratios, sum/theirSum)
	}
	for _, k := range Kinds() {
		r.ours[k], r.theirs[k] = median(ours[k]), median(theirs[k])
		var each []float64
		for i := range ours[k] {
			each = append(each, ours[k][i]/theirs[k][i])
		}
		r.ratio[k] = median(each)
	}
	r.check, r.checkTheirs, r.checkRatio = median(sums), median(theirSums), median(ratios)
	for i := range ready {
		zones, _, _ := s.ask(At, &ready[i])
		r.depth += float64(len(zones)) / benchPlaces
	}
	return r
}

// time is how many nanoseconds our answers to all queries take. Points stand by themselves, as they do for GEOS.
func (s *subject) time(b *testing.B, k Kind, points []geofence.Vertex, ready []prepared) float64 {
	var err error
	start := spent(b)
	switch k {
	case At:
		for i := range points {
			if s.buf, err = s.set.At(0, points[i], s.buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
	case Distance:
		for i := range points {
			if _, _, err = s.set.SignedDistance(0, points[i], geofence.Blocked); err != nil {
				b.Fatal(err)
			}
		}
	case Footprint, Capsule, Parts:
		for i := range ready {
			if _, _, err = s.ask(k, &ready[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	return float64(spent(b) - start)
}

// drive measures Step, Limit and Issued, in microseconds, of a robot that drives to and fro in a lane 3 m wide between
// zones, as fast as it may.
func drive(b *testing.B) float64 {
	b.Helper()
	w := NewWorld(7, 2*checkAt)
	var beside []Zone
	for _, z := range w.Zones {
		_, y0, _, y1 := span(z.Rings[0])
		if mid := int64(w.off); y1 < mid-1500 || y0 > mid+1500 {
			beside = append(beside, z)
		}
	}
	w.Zones = beside[:min(checkAt, len(beside))]
	s, err := newSubject(w)
	if err != nil {
		b.Fatal(err)
	}
	f := geofence.New(s.set)
	now := geofence.Instant{Boot: time.Hour, Civil: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Trust: geofence.ClockTrusted}
	in := geofence.Inputs{Roles: 1, Egress: geofence.Egress{Zone: geofence.NoZone}}
	in.Pose = geofence.Pose{Seen: true, QW: 1, FrameOK: true, HasCovariance: true, VarX: 1e-4, VarY: 1e-4, VarYaw: 1e-6}
	in.Velocity.Known = true
	const step = 20 * time.Millisecond
	mid, far := float64(w.off)/1000, float64(w.edge)/1000
	x, dir, v := -far, 1.0, 0.0
	var verdict geofence.Verdict
	var rounds []float64
	way := 0.0
	for range benchRounds() {
		start := spent(b)
		for range benchPlaces {
			now.Boot, now.Civil = now.Boot+step, now.Civil.Add(step)
			x, way = x+v*step.Seconds(), way+math.Abs(v)*step.Seconds()
			if x*dir > far {
				dir = -dir
			}
			in.Pose.X, in.Pose.Y, in.Pose.Boot, in.Pose.StampNS = mid+x, mid, now.Boot, now.Civil.UnixNano()
			in.Velocity.Boot, in.Velocity.VX = now.Boot, v
			f.Step(now, &in, &verdict)
			l := f.Limit(now, geofence.Velocity{VX: dir})
			want := dir * l.Ratio
			f.Issued(now, geofence.Velocity{VX: want})
			v += min(max(want-v, -0.02), 0.02) // within 1 m/s²
		}
		rounds = append(rounds, float64(spent(b)-start)/benchPlaces/1e3)
	}
	if seconds := float64(benchPlaces*benchRounds()) * step.Seconds(); verdict.Faults != 0 || way < seconds/2 {
		b.Fatalf("the robot drove %.0f m in %.0f s, faults %b, %v: that is no drive", way, seconds, verdict.Faults, verdict.Reason)
	}
	return median(rounds)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// table has a line for each size of world.
func table(rows []row) string {
	var t strings.Builder
	fmt.Fprintf(&t, "Ours / GEOS in ns of processor time, the mean over %d places of which a fifth lie on boundaries, medians of %d rounds in turn; the bar is %.1f × for each query.\n\n",
		benchPlaces, benchRounds(), queryBar)
	t.WriteString("| zones (vertices, zones at a place) |")
	for _, k := range Kinds() {
		fmt.Fprintf(&t, " %s |", k)
	}
	t.WriteString(" build ms | MB |\n|---|" + strings.Repeat("---:|", len(Kinds())+2) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&t, "| %d (%d, %.1f) |", r.zones, r.vertices, r.depth)
		for _, k := range Kinds() {
			fmt.Fprintf(&t, " %.0f / %.0f = %.2f |", r.ours[k], r.theirs[k], r.ratio[k])
		}
		fmt.Fprintf(&t, " %.1f / %.1f | %.2f / %.2f |\n", ms(r.build), ms(r.theirBuild), float64(r.bytes)/1e6, float64(r.theirBytes)/1e6)
	}
	return t.String() + "\n"
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// keep adds text to the report of make bench.
func keep(b *testing.B, text string) {
	b.Helper()
	path := os.Getenv("ROBOWARDEN_REPORT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
