package commission

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Claims are what the robot's profile says about how it stops, and what devices it has.
type Claims struct {
	// React is the time from a demand to the beginning of braking, BaseTimeout how long the base goes on by its last command.
	React, BaseTimeout time.Duration
	// DecelMPS2 and DecelRadPS2 are decelerations in m/s² and rad/s².
	DecelMPS2, DecelRadPS2 float64
	// Joints and Gyro are true if that source confirms rest.
	Joints, Gyro bool
	// Rungs are the names of the ladder's rungs, by place; Inputs those of the inputs. Untestable says of a rung why no trial
	// asks it, empty for one that is tested, or needs none.
	Rungs, Inputs []string
	Untestable    map[int]string
}

// Result is what an item came to.
type Result string

// Results.
const (
	// Passed means that it was measured and is as the profile claims.
	Passed Result = "passed"
	// Failed means that it was measured and is worse.
	Failed Result = "failed"
	// NotMeasured means that nobody knows.
	NotMeasured Result = "not-measured"
)

// Item is one thing that a proof test is about.
type Item struct {
	// Name is what, such as "deceleration" or "rung.relay".
	Name   string
	Result Result
	// Value is what was measured at the worst, Error by how much that may be off, Mean what was measured on the mean, Limit what
	// the profile claims, all in Unit; 0 and "" where there is no figure.
	Value, Error, Mean, Limit float64
	Unit                      string
	// Text says for people what was expected, what was found, and what to do.
	Text string
}

// How many runs a step needs, and how many it may take until its figures are good enough.
const (
	leastStops, leastSilences = 3, 2
	// MaxRuns bounds the runs of one step.
	MaxRuns = 15
)

// Needs says how many more good runs a step needs at least, and, once that is 0, whether another would make it better.
func Needs(cfg *Config, step int, runs []Run) (least int, better bool) {
	good := of(cfg, runs, step)
	switch cfg.Steps[step].Kind {
	case KindStop:
		_, err := Fit(stops(good))
		return max(0, leastStops-len(good)), errors.Is(err, ErrNoisy) && len(good) < MaxRuns
	case KindSilence:
		f, err := Fit(stops(good))
		return max(0, leastSilences-len(good)), errors.Is(err, ErrNoisy) && !f.delayOK() && len(good) < MaxRuns
	default:
		return max(0, 1-len(good)), false
	}
}

// of are the runs of a step that went as they should and can be used.
func of(cfg *Config, runs []Run, step int) []Run {
	var out []Run
	for i := range runs {
		if runs[i].Step == step && runs[i].Why == ReasonNone && runs[i].usable(cfg) {
			out = append(out, runs[i])
		}
	}
	return out
}

// usable says whether a run can be fitted where that is needed: a technician who was still accelerating drives again.
func (r *Run) usable(cfg *Config) bool {
	if k := cfg.Steps[r.Step].Kind; k != KindStop && k != KindSilence {
		return true
	}
	_, err := newRamp(&r.Stop)
	return err == nil
}

func stops(runs []Run) []Stop {
	var out []Stop
	for i := range runs {
		out = append(out, runs[i].Stop)
	}
	return out
}

// delayOK says whether the delay is within Accuracy, whatever the deceleration is.
func (f *Figures) delayOK() bool { return sure*f.DelayErr <= max(Accuracy*f.Delay, least) }

// Judge turns all runs of a trial into items. A run that ended otherwise than it should is a failure if the robot was the
// cause, and says nothing if the technician was.
func Judge(cfg *Config, claims *Claims, runs []Run) []Item {
	var out []Item
	for step := range cfg.N {
		s := &cfg.Steps[step]
		good := of(cfg, runs, step)
		switch s.Kind {
		case KindStop:
			out = append(out, judgeStops(claims, good, worst(runs, step))...)
		case KindTurn:
			out = append(out, judgeRest("turn", "rad/s", s, claims.DecelRadPS2, good, worst(runs, step)))
		case KindSilence:
			out = append(out, judgeSilence(s, claims, good, worst(runs, step)))
		case KindRung:
			out = append(out, judgeRest("rung."+name(claims.Rungs, s.Index), "m/s", s, claims.DecelMPS2, good, worst(runs, step)))
		case KindWatchdog:
			out = append(out, judgeSeen("watchdog."+name(claims.Rungs, s.Index), "armed and fed for "+watchFor.String()+"; it was not let bite", good, worst(runs, step)))
		case KindInput:
			out = append(out, judgeSeen("input."+name(claims.Inputs, s.Index), "operated and released, and the guard saw both", good, worst(runs, step)))
		case KindNone, NumKinds:
		}
	}
	for i := range claims.Rungs {
		if why := claims.Untestable[i]; why != "" {
			out = append(out, Item{Name: "rung." + claims.Rungs[i], Result: NotMeasured, Text: why})
		}
	}
	if claims.Joints {
		out = append(out, judgeSource("second-source.joints", cfg, runs, func(r *Run) bool { return r.Joints }, KindStop))
	}
	if claims.Gyro {
		out = append(out, judgeSource("second-source.gyro", cfg, runs, func(r *Run) bool { return r.Gyro }, KindTurn))
	}
	return out
}

// Enough says whether every item passed.
func Enough(items []Item) bool {
	for i := range items {
		if items[i].Result != Passed {
			return false
		}
	}
	return len(items) > 0
}

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return strconv.Itoa(i)
}

// worst is the newest run of a step that failed by the robot's doing, nil if there is none.
func worst(runs []Run, step int) *Run {
	for i := range slices.Backward(runs) {
		switch runs[i].Why {
		case ReasonOverran, ReasonUnconfirmed, ReasonUnacknowledged, ReasonUnreadable, ReasonNotFed:
			if runs[i].Step == step {
				return &runs[i]
			}
		default:
		}
	}
	return nil
}

// judgeStops makes three items of the stops by the ladder.
func judgeStops(claims *Claims, good []Run, bad *Run) []Item {
	decel := Item{Name: "deceleration", Limit: claims.DecelMPS2, Unit: "m/s2"}
	react := Item{Name: "reaction", Limit: claims.React.Seconds(), Unit: "s"}
	s := Step{Kind: KindStop, Within: claims.React}
	rest := judgeRest("stop", "m/s", &s, claims.DecelMPS2, good, bad)
	if len(good) < leastStops {
		text := fmt.Sprintf("expected %d stops from a steady drive, found %d", leastStops, len(good))
		decel.Result, react.Result, decel.Text, react.Text = NotMeasured, NotMeasured, text, text
		return []Item{decel, react, rest}
	}
	f, err := Fit(stops(good))
	if err != nil {
		text := fmt.Sprintf("%v; drive faster, or stop more often", err)
		decel.Result, react.Result, decel.Text, react.Text = NotMeasured, NotMeasured, text, text
		return []Item{decel, react, rest}
	}
	decel.Value, decel.Error, decel.Mean = f.Decel, sure*f.DecelErr, f.Decel
	decel.Result, decel.Text = Passed, fmt.Sprintf("%.2f ± %.2f m/s² over %d stops from %.2f m/s; the profile claims %.2f", f.Decel, decel.Error, f.Stops, f.Speed, decel.Limit)
	if !(f.Decel-decel.Error >= decel.Limit) {
		decel.Result = Failed
		decel.Text += fmt.Sprintf(" (motion.decel_mps2): it may claim at most %.2f", max(0, math.Floor(100*(f.Decel-decel.Error))/100))
	}
	react.Value, react.Error, react.Mean = f.Worst, sure*f.WorstErr, f.Delay
	react.Result, react.Text = Passed, fmt.Sprintf("the slowest of %d began after %.3f ± %.3f s, on the mean %.3f s; the profile claims %.3f s", f.Stops, f.Worst, react.Error, f.Delay, react.Limit)
	if !(f.Worst+react.Error <= react.Limit) {
		react.Result = Failed
		react.Text += fmt.Sprintf(" (motion.reaction): it has to claim at least %.2f s", math.Ceil(100*(f.Worst+react.Error))/100)
	}
	return []Item{decel, react, rest}
}

// judgeSilence is about how long the base goes on without commands.
func judgeSilence(s *Step, claims *Claims, good []Run, bad *Run) Item {
	it := Item{Name: "silence", Limit: s.Within.Seconds(), Unit: "s"}
	f, err := Fit(stops(good))
	switch {
	case bad != nil:
		it.Result, it.Value = Failed, bad.limit(s, claims.DecelMPS2).Seconds()
		it.Text = fmt.Sprintf("the base went on without commands for longer than the profile says: expected braking within %.2f s (motion.base_command_timeout %v and its reaction), found %s; "+
			"set the base's own timeout, or claim what is true", it.Limit, claims.BaseTimeout, bad.Why)
	case len(good) < leastSilences:
		it.Result, it.Text = NotMeasured, fmt.Sprintf("expected %d drives in which commands cease, found %d", leastSilences, len(good))
	case err != nil && !f.delayOK():
		it.Result, it.Text = NotMeasured, err.Error()
	default:
		it.Value, it.Error, it.Mean, it.Result = f.Worst, sure*f.WorstErr, f.Delay, Passed
		it.Text = fmt.Sprintf("the base began to brake %.3f ± %.3f s after the last command; the profile claims %.2f s, reaction included", f.Worst, it.Error, it.Limit)
		if !(f.Worst+it.Error <= it.Limit) {
			it.Result = Failed
			it.Text += " (motion.base_command_timeout): the base goes on without commands for longer than the profile says"
		}
	}
	return it
}

// limit is how long a run may take until rest.
func (r *Run) limit(s *Step, decel float64) time.Duration {
	return s.Within + time.Duration(r.speed()/decel*float64(time.Second))
}

// speed is the mean speed before the request.
func (r *Run) speed() float64 {
	n, sum := 0.0, 0.0
	for _, m := range r.Samples {
		if m.At <= r.Requested {
			n, sum = n+1, sum+m.V
		}
	}
	if n == 0 {
		return r.Told
	}
	return sum / n
}

// judgeRest is about coming to rest in the time and over the way that the profile's figures give.
func judgeRest(item, unit string, s *Step, decel float64, good []Run, bad *Run) Item {
	it := Item{Name: item, Unit: "s"}
	switch {
	case bad != nil:
		it.Result, it.Limit = Failed, bad.limit(s, decel).Seconds()
		it.Text = fmt.Sprintf("expected rest within %.2f s: %s", it.Limit, bad.Why)
		return it
	case len(good) == 0:
		it.Result, it.Text = NotMeasured, "nobody drove"
		return it
	}
	it.Result = Passed
	over := math.Inf(-1)
	for i := range good {
		r := &good[i]
		v := r.speed()
		limit := r.limit(s, decel).Seconds()
		way := float64(v*s.Within.Seconds()) + v*v/(2*decel)
		if d := r.Rest.Seconds() - limit; d > over {
			over, it.Value, it.Limit = d, r.Rest.Seconds(), limit
			it.Text = fmt.Sprintf("at rest after %.2f s and %.2f %s from %.2f %s; the profile's figures give %.2f s and %.2f", it.Value, r.Metres, unit[:len(unit)-2], v, unit, limit, way)
			if r.Acked > 0 {
				it.Text += fmt.Sprintf("; acknowledged after %.3f s", r.Acked.Seconds())
			}
		}
		if r.Rest.Seconds() > limit || r.Metres > way {
			it.Result = Failed
		}
	}
	return it
}

func judgeSeen(item, text string, good []Run, bad *Run) Item {
	switch {
	case bad != nil:
		return Item{Name: item, Result: Failed, Text: "expected " + text + ": " + bad.Why.String()}
	case len(good) == 0:
		return Item{Name: item, Result: NotMeasured, Text: "expected " + text + ": not done"}
	}
	return Item{Name: item, Result: Passed, Text: text}
}

// judgeSource is about a second source of rest: it has to show motion while the robot moves, and rest with odometry.
func judgeSource(item string, cfg *Config, runs []Run, agreed func(*Run) bool, kind Kind) Item {
	it := Item{Name: item, Result: NotMeasured, Text: "expected motion while the robot moves and rest when odometry shows rest: not measured"}
	for step := range cfg.N {
		if cfg.Steps[step].Kind != kind {
			continue
		}
		for _, r := range of(cfg, runs, step) {
			if !agreed(&r) {
				it.Result, it.Text = Failed, "it did not show motion while the robot moved, or not rest when odometry did: look at the source and at motion.standstill"
				return it
			}
			it.Result, it.Text = Passed, "showed motion while the robot moved and rest when odometry did"
		}
	}
	return it
}
