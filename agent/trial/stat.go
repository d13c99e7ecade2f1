package trial

import (
	"fmt"
	"math"
	"time"
)

// FalseAlarms bounds the probability that [MoreTrips] ever says yes within one trial while the rate has not changed.
const FalseAlarms = 1e-4

// leastTrips is the least number of trips that says anything: one or two happen.
const leastTrips = 3

// MoreTrips says whether n trips in t are more than m trips in u explain. It is the exact conditional test of two Poisson
// rates: with the same rate, of n+m trips each falls into t with probability t/(t+u). It is asked again and again while the
// trial runs, so the k-th trip may only spend [FalseAlarms]/((k-2)(k-1)): the sum over all k from 3 on is FalseAlarms. Without
// time under the content before there is no measure, and the answer is no.
func MoreTrips(n uint64, t time.Duration, m uint64, u time.Duration) bool {
	if n < leastTrips || u <= 0 {
		return false
	}
	p := float64(max(t, 0)) / (float64(max(t, 0)) + float64(u))
	k := float64(n - leastTrips + 1)
	return binomialTail(n, float64(n)+float64(m), p) <= FalseAlarms/(k*(k+1))
}

// binomialTail is an upper bound of P(X >= k) for X binomial in n trials of p, close where it is small: its largest terms are
// summed, and the rest by the geometric series that lies above it. It is 1 where p is not below k/n.
func binomialTail(k uint64, n, p float64) float64 {
	x := float64(k)
	if p >= x/n {
		return 1
	}
	if p <= 0 {
		return 0
	}
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(x + 1)
	c, _ := math.Lgamma(n - x + 1)
	term := math.Exp(a - b - c + x*math.Log(p) + (n-x)*math.Log1p(-p))
	sum := 0.0
	for range 1000 {
		sum += term
		ratio := (n - x) / (x + 1) * p / (1 - p)
		if x >= n || term <= sum*1e-12 {
			return min(1, sum)
		}
		term *= ratio
		x++
	}
	ratio := (n - x) / (x + 1) * p / (1 - p)
	return min(1, sum+term/(1-ratio)) // ratio is below 1 behind the mean
}

// Metric is one thing about the robot's behaviour of which statistics are kept.
type Metric uint8

// The metrics. All are between 0 and 1 or bounded by the robot.
const (
	// Restricted is the share of the time in which the interlock restricted motion or manipulators.
	Restricted Metric = iota
	// Refused is the share of the time in which the last command did not pass as it came.
	Refused
	// Speed is the robot's speed in metres per second.
	Speed
	// NumMetrics counts them.
	NumMetrics = 3
)

// String names the metric for people.
func (m Metric) String() string {
	return [...]string{"restricted share", "refused commands' share", "speed"}[min(m, NumMetrics-1)]
}

// Bounds of what counts as drift. One observation is the mean over one block, so that neighbouring samples, which are alike,
// do not count as many.
const (
	block = time.Minute
	// leastBlocks are needed of the new content, measureBlocks of the one before.
	leastBlocks, measureBlocks = 5, 20
	// driftDeviations is how many standard deviations of the blocks before the new mean may lie off.
	driftDeviations = 4
	// leastDeviation is the least standard deviation that is believed, in the metric's unit: a robot that always stood still
	// does not drift by moving a little.
	leastDeviation = 0.05
	// mostBlocks bounds how much the past weighs.
	mostBlocks = 2000
)

// Stat is the mean and spread of a metric's blocks. It is on disk.
type Stat struct {
	// Blocks counts the whole blocks, Mean and M2 are their mean and the sum of their squared deviations.
	Blocks int     `json:"blocks"`
	Mean   float64 `json:"mean"`
	M2     float64 `json:"m2"`
	// Sum and SeenNS are of the block that is not whole: values times seconds, and for how long.
	Sum    float64 `json:"sum"`
	SeenNS int64   `json:"seen_ns"`
}

// take adds a value that held for dt. What is not known adds nothing.
func (s *Stat) take(x float64, dt time.Duration) {
	if math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) > 1e6 || dt <= 0 {
		return
	}
	s.Sum += x * dt.Seconds()
	if s.SeenNS += int64(dt); s.SeenNS < int64(block) {
		return
	}
	mean := s.Sum / time.Duration(s.SeenNS).Seconds()
	s.Sum, s.SeenNS = 0, 0
	if s.Blocks >= mostBlocks {
		s.M2 *= float64(s.Blocks-1) / float64(s.Blocks)
		s.Blocks--
	}
	s.Blocks++
	d := mean - s.Mean
	s.Mean += d / float64(s.Blocks)
	s.M2 += d * (mean - s.Mean)
}

// comparable says whether both have enough blocks.
func (s *Stat) comparable(before *Stat) bool {
	return s.Blocks >= leastBlocks && before.Blocks >= measureBlocks
}

// drifted says how the statistics differ from those before, empty while they do not.
func (s *Stat) drifted(before *Stat) string {
	if !s.comparable(before) {
		return ""
	}
	sd := max(leastDeviation, math.Sqrt(max(0, before.M2)/float64(before.Blocks-1)))
	if off := math.Abs(s.Mean-before.Mean) / sd; off > driftDeviations {
		return fmt.Sprintf("is %.3g in %d minutes: %.3g before, %.1f standard deviations away", s.Mean, s.Blocks, before.Mean, off)
	}
	return ""
}

// sane says whether the numbers can be those of a Stat: a file can hold anything.
func (s *Stat) sane() bool {
	for _, x := range []float64{s.Mean, s.M2, s.Sum} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return s.Blocks >= 0 && s.Blocks <= mostBlocks && s.M2 >= 0 && s.SeenNS >= 0 && s.SeenNS < int64(block)
}

// Sane says whether the numbers can be those of a state that this package wrote.
func (s *State) Sane() bool {
	ok := s.ElapsedNS >= 0 && s.HealthyNS >= 0 && s.RefusedNS >= 0 && s.Boots >= 0 && s.Resets >= 0 && len(s.CrashesNS) <= CrashLimit &&
		len(s.Taken) <= maxTaken && s.Now.ObservedNS >= 0 && s.Before.ObservedNS >= 0
	for i := range s.Now.Stats {
		ok = ok && s.Now.Stats[i].sane() && s.Before.Stats[i].sane()
	}
	return ok
}
