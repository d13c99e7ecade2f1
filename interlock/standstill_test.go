package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func standstillConfig() StandstillConfig {
	return StandstillConfig{
		Linear:  SourceConfig{Used: true, Below: 0.02, MaxAge: 200 * ms},
		Angular: SourceConfig{Used: true, Below: 0.05, MaxAge: 200 * ms},
		Joints:  SourceConfig{Used: true, Below: 0.1, MaxAge: 100 * ms},
		IMU:     SourceConfig{Used: true, Below: 0.03, MaxAge: 100 * ms},
		Dwell:   300 * ms,
	}
}

// resting returns fresh measurements of a robot that stands.
func resting(now time.Duration) StandstillInput {
	s := Source{Received: now, Seen: true, Value: 0.001}
	return StandstillInput{Linear: s, Angular: s, Joints: s, IMU: s}
}

func newStandstill(t testing.TB, change func(c *StandstillConfig)) *Standstill {
	t.Helper()
	c := standstillConfig()
	if change != nil {
		change(&c)
	}
	s, err := NewStandstill(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStandstillAfterItsDwell(t *testing.T) {
	s := newStandstill(t, nil)
	var out StandstillOutput
	for at := time.Duration(0); at <= 500*ms; at += 50 * ms {
		in := resting(time.Hour + at)
		s.Step(time.Hour+at, &in, &out)
		want := Settling
		if at >= 300*ms {
			want = Standing
		}
		if out.State != want || out.Odometry != OK() || out.Second != OK() || !out.SpeedKnown || out.SpeedMPS != 0.001 {
			t.Fatalf("after %v: got %+v", at, out)
		}
	}
}

func TestStandstillJudgesSources(t *testing.T) {
	now := time.Hour
	old := Source{Received: now - 250*ms, Seen: true}
	for name, c := range map[string]struct {
		config   func(c *StandstillConfig)
		change   func(in *StandstillInput)
		want     MotionState
		odometry Condition
		second   Condition
	}{
		"all rest":       {nil, func(*StandstillInput) {}, Standing, OK(), OK()},
		"odometry moves": {nil, func(in *StandstillInput) { in.Linear.Value = 0.02 }, Moving, OK(), OK()},
		"odometry turns": {nil, func(in *StandstillInput) { in.Angular.Value = 0.05 }, Moving, OK(), OK()},
		"joints move":    {nil, func(in *StandstillInput) { in.Joints.Value = 1 }, Moving, OK(), OK()},
		"the body turns": {nil, func(in *StandstillInput) { in.IMU.Value = 1 }, Moving, OK(), OK()},
		"odometry is −∞": {nil, func(in *StandstillInput) { in.Linear.Value = math.Inf(-1) }, MotionUnknown, Fault(CauseNotFinite, 0), OK()},
		"odometry is +∞": {nil, func(in *StandstillInput) { in.Linear.Value = math.Inf(1) }, MotionUnknown, Fault(CauseNotFinite, 0), OK()},
		"odometry old":   {nil, func(in *StandstillInput) { in.Linear = old }, MotionUnknown, Fault(CauseStale, 0), OK()},
		"odometry old, joints move": {nil, func(in *StandstillInput) {
			in.Linear = old
			in.Joints.Value = 1
		}, Moving, Fault(CauseStale, 0), OK()},
		"odometry from the future": {nil, func(in *StandstillInput) { in.Linear.Received++ }, MotionUnknown, Fault(CauseFuture, 0), OK()},
		"odometry NaN":             {nil, func(in *StandstillInput) { in.Angular.Value = nan }, MotionUnknown, Fault(CauseNotFinite, 0), OK()},
		"odometry infinite":        {nil, func(in *StandstillInput) { in.Linear.Value = inf }, MotionUnknown, Fault(CauseNotFinite, 0), OK()},
		"odometry negative":        {nil, func(in *StandstillInput) { in.Linear.Value = -1 }, MotionUnknown, Fault(CauseOutOfLimits, 0), OK()},
		"odometry never seen": {
			nil, func(in *StandstillInput) { in.Linear = Source{} }, MotionUnknown,
			Condition{Unknown, CauseNeverSeen, 0},
			OK(),
		},
		"joints old": {nil, func(in *StandstillInput) { in.Joints = old }, Standing, OK(), OK()},
		"joints and body old": {
			nil, func(in *StandstillInput) { in.Joints, in.IMU = old, old }, MotionUnknown,
			OK(), Fault(CauseStale, 0),
		},
		"no second source seen": {
			nil, func(in *StandstillInput) { in.Joints, in.IMU = Source{}, Source{} }, MotionUnknown,
			OK(),
			Condition{Unknown, CauseNeverSeen, 0},
		},
		"only the body is there, old": {
			func(c *StandstillConfig) { c.Joints = SourceConfig{} },
			func(in *StandstillInput) { in.IMU = old }, MotionUnknown, OK(), Fault(CauseStale, 0),
		},
		"joints are not used": {
			func(c *StandstillConfig) { c.Joints = SourceConfig{} },
			func(in *StandstillInput) { in.Joints.Value = 9 }, Standing, OK(), OK(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandstill(t, c.config)
			var out StandstillOutput
			for at := now - 400*ms; at < now; at += 50 * ms {
				in := resting(at)
				s.Step(at, &in, &out)
			}
			in := resting(now)
			c.change(&in)
			s.Step(now, &in, &out)
			if out.State != c.want || out.Odometry != c.odometry || out.Second != c.second {
				t.Errorf("got %+v", out)
			}
		})
	}
}

func TestStandstillGapBreaksTheDwell(t *testing.T) {
	s := newStandstill(t, nil)
	var out StandstillOutput
	for _, at := range []time.Duration{0, 50 * ms, time.Second} {
		in := resting(time.Hour + at)
		s.Step(time.Hour+at, &in, &out)
	}
	if out.State != Settling {
		t.Errorf("got %v over a second in which nobody looked", out.State)
	}
}

func TestStandstillRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *StandstillConfig){
		"Linear.Used":           func(c *StandstillConfig) { c.Linear.Used = false },
		"Angular.Below":         func(c *StandstillConfig) { c.Angular.Below = 0 },
		"Joints.MaxAge":         func(c *StandstillConfig) { c.Joints.MaxAge = 0 },
		"IMU.Below":             func(c *StandstillConfig) { c.IMU.Below = inf },
		"Joints.Used, IMU.Used": func(c *StandstillConfig) { c.Joints.Used, c.IMU.Used = false, false },
		"Dwell":                 func(c *StandstillConfig) { c.Dwell = 0 },
	} {
		c := standstillConfig()
		change(&c)
		if _, err := NewStandstill(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// standsOnlyAtRest checks on a random history that Standing is said only after a dwell in which odometry and one
// second source were fresh and at rest, and none showed motion.
func standsOnlyAtRest(t *rapid.T, step func(now time.Duration, in *StandstillInput, out *StandstillOutput)) error {
	c := standstillConfig()
	now := time.Hour
	in := resting(now)
	var restSince time.Duration
	rests := false
	for i := range rapid.IntRange(5, 40).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(1, 10).Draw(t, "wait")) * 10 * ms
		for _, s := range []*Source{&in.Linear, &in.Angular, &in.Joints, &in.IMU} {
			if rapid.IntRange(0, 3).Draw(t, "arrives") > 0 {
				s.Received = now
			}
			if rapid.IntRange(0, 30).Draw(t, "moves") == 30 {
				s.Value = rapid.SampledFrom([]float64{0.001, 1, nan, -1, inf}).Draw(t, "value")
			} else if rapid.Bool().Draw(t, "rests") {
				s.Value = 0.001
			}
		}
		good := func(s Source, c SourceConfig) bool {
			return now-s.Received <= c.MaxAge && s.Value >= 0 && s.Value < c.Below
		}
		moves := func(s Source, c SourceConfig) bool {
			return now-s.Received <= c.MaxAge && s.Value >= c.Below && s.Value < inf
		}
		ok := good(in.Linear, c.Linear) && good(in.Angular, c.Angular) && (good(in.Joints, c.Joints) || good(in.IMU, c.IMU)) &&
			!moves(in.Joints, c.Joints) && !moves(in.IMU, c.IMU)
		if !ok {
			rests = false
		} else if !rests {
			rests, restSince = true, now
		}
		var out StandstillOutput
		step(now, &in, &out)
		if want := rests && now-restSince >= c.Dwell; (out.State == Standing) != want {
			return fault("step %d: got %v, want standing %v", i, out.State, want)
		}
	}
	return nil
}

func TestStandsOnlyAtRest(t *testing.T) {
	check(t, func(t *rapid.T) error {
		s, err := NewStandstill(standstillConfig())
		if err != nil {
			return err
		}
		return standsOnlyAtRest(t, s.Step)
	})
	for name, wrong := range map[string]func(in *StandstillInput){
		"odometry alone": func(in *StandstillInput) { in.Joints, in.IMU = in.Linear, in.Linear },
		"old is fresh":   func(in *StandstillInput) { in.Linear.Received += 100 * ms },
		"NaN is rest":    func(in *StandstillInput) { in.Angular.Value = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				s, _ := NewStandstill(standstillConfig())
				return standsOnlyAtRest(t, func(now time.Duration, in *StandstillInput, out *StandstillOutput) {
					seen := *in
					wrong(&seen)
					s.Step(now, &seen, out)
				})
			})
		})
	}
}
