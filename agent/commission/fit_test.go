package commission

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// truth is a robot as the estimator's model has it; what it is measured by is noisy, and comes at 50 Hz with jitter.
type truth struct {
	v, a, delay, noise, tail float64
}

func (r truth) stop(rng *rand.Rand) Stop {
	const requested = 100 * time.Second
	s := Stop{Requested: requested + time.Duration(rng.Int64N(int64(20*time.Millisecond)))}
	for at := requested - time.Second; ; at += 20 * time.Millisecond {
		received := at + time.Duration(rng.Int64N(int64(2*time.Millisecond)))
		x := (received - s.Requested).Seconds() - r.delay
		v := r.v
		if x > 0 {
			v = max(0, v-r.a*x)
			if low := r.tail * r.v; v < low { // a velocity loop's tail
				v = low * math.Exp(-(x-(r.v-low)/r.a)*r.a/max(low, 1e-9))
			}
		}
		s.Samples = append(s.Samples, Sample{received, math.Abs(v + r.noise*rng.NormFloat64())})
		if v < 0.02 && x > 0.5 {
			return s
		}
	}
}

// until is what a run of the test does: further stops until the error is small, twelve at most.
func (r truth) until(rng *rand.Rand) (Figures, error) {
	var stops []Stop
	var f Figures
	var err error
	for range 12 {
		stops = append(stops, r.stop(rng))
		if len(stops) < 3 {
			continue
		}
		if f, err = Fit(stops); !errors.Is(err, ErrNoisy) {
			break
		}
	}
	return f, err
}

func TestFitRecoversTheTruthOrRefuses(t *testing.T) {
	const seed = 20261129
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	between := func(lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }
	answered, wrong, worst := 0, 0, 0.0
	const n = 600
	for range n {
		r := truth{v: between(0.3, 1), a: between(0.3, 3), delay: between(0.1, 1), noise: between(0, 0.025), tail: between(0, 0.3)}
		f, err := r.until(rng)
		if err != nil {
			if !errors.Is(err, ErrNoisy) && !errors.Is(err, ErrFew) {
				t.Errorf("%+v: %v", r, err)
			}
			continue
		}
		answered++
		off := max(math.Abs(f.Decel-r.a)/r.a, (math.Abs(f.Delay-r.delay)-least)/r.delay)
		if worst = max(worst, off); off > Accuracy {
			wrong++
			t.Logf("%+v: deceleration %.4f, delay %.4f", r, f.Decel, f.Delay)
		}
	}
	t.Logf("%d of %d answered, %d of them off by more than 5 %%, the worst by %.1f %%", answered, n, wrong, 100*worst)
	if answered < n/2 {
		t.Errorf("answered %d of %d: expected at least half", answered, n)
	}
	if wrong*100 > 2*answered {
		t.Errorf("%d of %d answers are off by more than 5 %%: expected at most two in a hundred", wrong, answered)
	}
}
