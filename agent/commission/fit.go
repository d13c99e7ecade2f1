package commission

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Figures of the estimator.
const (
	// lowShare ends the part of a stop that is fitted: below this share of the speed before, many robots brake by other means,
	// such as a velocity loop's tail or the setting down of a foot. That it comes to rest in time is judged beside it.
	lowShare = 0.35
	// sure is how many standard errors have to fit into Accuracy: what is left out comes once in 370 times.
	sure = 3
	// Accuracy is the share of a figure that its error may be.
	Accuracy = 0.05
	// leastBefore and leastBraking are how many samples a run needs before the request and while it brakes.
	leastBefore, leastBraking = 8, 4
	// maxDrift is how much of its speed a robot may gain or lose over the time before the request.
	maxDrift = 0.06
)

// Sample is one measurement of speed.
type Sample struct {
	// At is when it was received, on the boot clock.
	At time.Duration
	// V is the speed over ground in m/s, or the rate of turn in rad/s without its sign.
	V float64
}

// Stop is one stop from steady speed.
type Stop struct {
	// Requested is when the stop was asked for, on the boot clock.
	Requested time.Duration
	// Samples are what odometry measured, from before the request until rest, in the order of their times.
	Samples []Sample
}

// Figures are what several stops come to.
type Figures struct {
	// Stops is how many went into it.
	Stops int
	// Decel is the deceleration in m/s² (rad/s²), DecelErr its standard error.
	Decel, DecelErr float64
	// Delay is the mean time in seconds from the request to the beginning of deceleration, DelayErr its standard error.
	Delay, DelayErr float64
	// Worst is the longest delay of one stop in seconds, WorstErr the standard error of one; Delays are those of each.
	Worst, WorstErr float64
	Delays          []float64
	// Speed is the mean speed before the requests.
	Speed float64
}

// Errors of the estimator. Each means that there is no figure.
var (
	// ErrFew means that too few samples were measured.
	ErrFew = errors.New("too few measurements")
	// ErrUnsteady means that the robot gained or lost speed before it was asked to stop.
	ErrUnsteady = errors.New("the speed before the stop was not steady")
	// ErrNoStop means that no deceleration is to be seen.
	ErrNoStop = errors.New("no deceleration is to be seen")
	// ErrNoisy means that the error is larger than Accuracy allows; further stops make it smaller.
	ErrNoisy = errors.New("the measurements are too noisy for so few stops")
	// ErrBad means that a measurement is not finite, or its time runs backwards.
	ErrBad = errors.New("a measurement cannot be true")
)

// Fit estimates deceleration and delay from stops: a constant speed, then a constant deceleration that begins at some time
// after the request, by least squares over the measurements down to about a third of the speed. All stops share one
// deceleration; each has its own delay. The figures come with an error only if they are within Accuracy.
func Fit(stops []Stop) (Figures, error) {
	if len(stops) == 0 {
		return Figures{}, fmt.Errorf("%w: no stop", ErrFew)
	}
	ramps := make([]ramp, len(stops))
	sse, free := 0.0, 0
	for i := range stops {
		r, err := newRamp(&stops[i])
		if err != nil {
			return Figures{}, fmt.Errorf("stop %d: %w", i+1, err)
		}
		r.solve()
		sse, free = sse+r.sse, free+len(r.t)-3
		ramps[i] = r
	}
	variance := sse / float64(max(1, free))
	f := Figures{Stops: len(stops)}
	weights := 0.0
	for i := range ramps {
		e := ramps[i].decelErr(variance)
		if !(ramps[i].a > 0) || !(e < math.Inf(1)) {
			return Figures{}, fmt.Errorf("stop %d: %w", i+1, ErrNoStop)
		}
		w := 1 / (e*e + 1e-12)
		f.Decel, weights = f.Decel+w*ramps[i].a, weights+w
	}
	f.Decel, f.DecelErr = f.Decel/weights, math.Sqrt(1/weights)
	own, shared := 0.0, 0.0
	n := float64(len(ramps))
	for i := range ramps {
		r := &ramps[i]
		d, e, lever := r.delay(f.Decel, variance)
		f.Delays = append(f.Delays, d)
		f.Delay, f.Speed = f.Delay+d/n, f.Speed+r.base/n
		own, shared = own+e*e/n, shared+lever*f.DecelErr/f.Decel/n
	}
	f.Worst = slices.Max(f.Delays)
	// What errs the slope errs every delay alike; the rest errs each by itself.
	f.DelayErr, f.WorstErr = math.Sqrt(own/n+shared*shared), math.Sqrt(own+shared*shared)
	switch {
	case !(sure*f.DecelErr <= Accuracy*f.Decel):
		return f, fmt.Errorf("%w: deceleration %.3f ± %.3f", ErrNoisy, f.Decel, sure*f.DecelErr)
	case !(sure*f.DelayErr <= max(Accuracy*f.Delay, least)):
		return f, fmt.Errorf("%w: delay %.3f s ± %.3f s", ErrNoisy, f.Delay, sure*f.DelayErr)
	}
	return f, nil
}

// least is the error in seconds of a delay that is always good enough: less than what lies between two of the guard's ticks.
const least = 0.015

// ramp is one stop's measurements, in seconds after the request.
type ramp struct {
	t, v []float64
	// before is how many of them were taken before the request.
	before int
	// base is the speed, a the deceleration and at the delay that fit best, with the sum of squared errors.
	base, a, at, sse float64
}

func newRamp(s *Stop) (ramp, error) {
	var r ramp
	sum := 0.0
	for i, m := range s.Samples {
		if math.IsNaN(m.V) || math.IsInf(m.V, 0) || m.V < 0 || i > 0 && m.At < s.Samples[i-1].At {
			return r, ErrBad
		}
		if m.At <= s.Requested {
			r.before++
			sum += m.V
		}
		r.t, r.v = append(r.t, (m.At-s.Requested).Seconds()), append(r.v, m.V)
	}
	if r.before < leastBefore {
		return r, fmt.Errorf("%w: %d before the request, expected %d or more", ErrFew, r.before, leastBefore)
	}
	r.base = sum / float64(r.before)
	if !(r.base > 0) {
		return r, ErrNoStop
	}
	if drift := r.drift(); math.Abs(drift) > maxDrift*r.base+sure*r.noise()*math.Sqrt(12/float64(r.before)) {
		return r, fmt.Errorf("%w: %.3f at %.3f", ErrUnsteady, drift, r.base)
	}
	end, braking := -1, 0
	for i := r.before; i < len(r.v); i++ {
		if r.v[i] < 0.9*r.base {
			braking++
		}
		if middle(r.v, i) < lowShare*r.base {
			end = i
			break
		}
	}
	if end < 0 {
		return r, ErrNoStop
	}
	if braking < leastBraking {
		return r, fmt.Errorf("%w: %d while it braked, expected %d or more", ErrFew, braking, leastBraking)
	}
	r.t, r.v = r.t[:end], r.v[:end]
	return r, nil
}

// middle is the median of a measurement and its two neighbours.
func middle(v []float64, i int) float64 {
	a, b, c := v[max(0, i-1)], v[i], v[min(len(v)-1, i+1)]
	return max(min(a, b), min(max(a, b), c))
}

// drift is what the speed gained before the request, over the whole of that time.
func (r *ramp) drift() float64 {
	var mt, mv, tt, tv float64
	n := float64(r.before)
	for i := range r.before {
		mt, mv = mt+r.t[i]/n, mv+r.v[i]/n
	}
	for i := range r.before {
		d := r.t[i] - mt
		tt, tv = tt+d*d, tv+d*(r.v[i]-mv)
	}
	if !(tt > 0) {
		return 0
	}
	return tv / tt * (r.t[r.before-1] - r.t[0])
}

// noise is the deviation of the speed before the request.
func (r *ramp) noise() float64 {
	s := 0.0
	for i := range r.before {
		s += (r.v[i] - r.base) * (r.v[i] - r.base)
	}
	return math.Sqrt(s / float64(r.before))
}

// solve finds the delay by which a line and a ramp fit best: a coarse look at all of them, then a closer one.
func (r *ramp) solve() {
	last := r.t[len(r.t)-1]
	r.sse = math.Inf(1)
	const coarse = 200
	step := last / coarse
	for i := range coarse {
		r.try(float64(i) * step)
	}
	for step > 1e-5 {
		at := r.at
		r.try(max(0, at-step))
		r.try(at + step)
		if r.at == at {
			step /= 2
		}
	}
}

// try fits speed and deceleration for one delay and keeps what is better.
func (r *ramp) try(at float64) {
	var n, sx, sxx, sv, sxv, svv float64
	for i, t := range r.t {
		x := max(0, t-at)
		n, sx, sxx = n+1, sx+x, sxx+x*x
		sv, sxv, svv = sv+r.v[i], sxv+x*r.v[i], svv+r.v[i]*r.v[i]
	}
	det := n*sxx - sx*sx
	if !(det > 1e-12) {
		return
	}
	base, slope := (sxx*sv-sx*sxv)/det, (n*sxv-sx*sv)/det
	if sse := max(0, svv-base*sv-slope*sxv); sse < r.sse {
		r.base, r.a, r.at, r.sse = base, -slope, at, sse
	}
}

// decelErr is the standard error of the deceleration, with speed and delay unknown as well.
func (r *ramp) decelErr(variance float64) float64 {
	// With speed, slope and delay free, the ramp's own points alone say what the slope is.
	var m, sx, sxx float64
	for _, t := range r.t {
		if x := t - r.at; x > 0 {
			m, sx, sxx = m+1, sx+x, sxx+x*x
		}
	}
	if m < 2 {
		return math.Inf(1)
	}
	spread := sxx - sx*sx/m
	if !(spread > 0) {
		return math.Inf(1)
	}
	return math.Sqrt(variance / spread)
}

// delay is where the line of the speed before and a ramp of a given slope meet, its standard error if the slope is right, and
// by how much it errs for each share by which the slope does.
func (r *ramp) delay(decel, variance float64) (at, own, lever float64) {
	// The speed is the mean before the ramp; on the ramp, speed plus slope times time is one constant, estimated by its mean.
	at = r.at
	var n, m, tm float64
	for range 20 {
		n, m, tm = 0, 0, 0
		var level, height float64
		for i, t := range r.t {
			if t <= at {
				n, level = n+1, level+r.v[i]
			} else {
				m, height, tm = m+1, height+r.v[i]+decel*t, tm+t
			}
		}
		if n == 0 || m == 0 {
			return r.at, math.Inf(1), 0
		}
		next := (height/m - level/n) / decel
		tm /= m
		if math.Abs(next-at) < 1e-9 {
			break
		}
		at = next
	}
	return max(0, at), math.Sqrt(variance*(1/n+1/m)) / decel, math.Abs(tm - at)
}
