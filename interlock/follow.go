package interlock

import (
	"fmt"
	"math"
	"time"
)

// FollowConfig sets up a FollowWatch. Every figure must be positive.
type FollowConfig struct {
	// React is how long the base may go on as it was told before, from the guard's command to the measurement that shows it:
	// the base's latency, the interval between commands and the age of a measurement.
	React time.Duration
	// DecelMPS2 and DecelRadPS2 are how fast it gives up speed after that, in m/s² and rad/s².
	DecelMPS2, DecelRadPS2 float64
	// StillMPS and StillRadPS are the speeds in m/s and rad/s below which it may be standing; twice as much, told, is motion.
	StillMPS, StillRadPS float64
	// SlackMPS and SlackRadPS are what it may be faster than told, in m/s and rad/s, and SlackRatio the share of what it was
	// told beside that: sway, slip and the measurement's error.
	SlackMPS, SlackRadPS, SlackRatio float64
	// After is how long it may stand although it was told to move, React not included.
	After time.Duration
	// MaxAge is how old a measurement may be.
	MaxAge time.Duration
}

// FollowInput is what one step of a FollowWatch looks at.
type FollowInput struct {
	// Told is the command that went out last.
	Told Velocity
	// Seen is true once a speed was measured, at Received on the boot clock: MPS over ground in m/s, RadPS of turning in rad/s.
	Seen       bool
	Received   time.Duration
	MPS, RadPS float64
}

// FollowStatus is what a FollowWatch says.
type FollowStatus struct {
	// Excess is the condition of MotionExcess, Unfollowed that of MotionUnfollowed.
	Excess, Unfollowed Condition
}

// followBins parts the reaction time, so that what was told in it is kept in fixed memory.
const followBins = 16

// FollowWatch says whether the robot does what the gate tells it: whether it moves faster than it was told or although it
// was told nothing, and whether it stands although it was told to move. It is not safe for use by several goroutines.
type FollowWatch struct {
	cfg FollowConfig

	ran bool
	at  time.Duration
	// most holds the largest speeds that were told in each part of the reaction time; bin is that of now, which began at began.
	// before is what was told at the last step.
	most   [followBins][2]float64
	before [2]float64
	bin    int
	began  time.Duration
	// top is what the base may still be doing at most.
	top [2]float64
	// told is since when it has been told to move without a break, if telling is true; stood is since when measurements show
	// it standing, if standing is true.
	telling, standing bool
	told, stood       time.Duration
	// judged is when the measurement was received that excess and untold come from.
	judged         time.Duration
	any            bool
	excess, untold bool
}

// NewFollowWatch returns a watch of a base that was told nothing. Every fault of the configuration is a *ConfigError.
func NewFollowWatch(cfg FollowConfig) (*FollowWatch, error) {
	c := checker{part: "follow"}
	c.duration("React", cfg.React)
	c.duration("After", cfg.After)
	c.duration("MaxAge", cfg.MaxAge)
	for _, v := range []struct {
		field string
		value float64
	}{
		{"DecelMPS2", cfg.DecelMPS2},
		{"DecelRadPS2", cfg.DecelRadPS2},
		{"StillMPS", cfg.StillMPS},
		{"StillRadPS", cfg.StillRadPS},
		{"SlackMPS", cfg.SlackMPS},
		{"SlackRadPS", cfg.SlackRadPS},
		{"SlackRatio", cfg.SlackRatio},
	} {
		c.positive(v.field, v.value)
	}
	if cfg.React < followBins*time.Nanosecond {
		c.bad("React", cfg.React, fmt.Sprintf("at least %v", followBins*time.Nanosecond))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &FollowWatch{cfg: cfg}, nil
}

// Step takes the command that went out last and the newest measurement. It does not allocate. The caller steps with every
// command and at least as often as the decision is made.
func (w *FollowWatch) Step(now time.Duration, in *FollowInput) FollowStatus {
	tell := speeds(in.Told)
	dt := time.Duration(0)
	if w.ran {
		dt = since(now, w.at)
	}
	w.ran, w.at = true, now
	w.envelope(now, dt, tell)
	moving := tell[0] >= 2*w.cfg.StillMPS || tell[1] >= 2*w.cfg.StillRadPS
	if moving && !w.telling {
		w.told = now
	}
	w.telling = moving
	fresh := in.Seen && now >= in.Received && since(now, in.Received) <= w.cfg.MaxAge
	switch {
	case !fresh:
		// Nobody can tell; that odometry is missing is a trigger of its own.
		w.excess, w.untold, w.standing = false, false, false
	case !w.any || in.Received != w.judged:
		w.judge(in)
	}
	s := FollowStatus{Excess: OK(), Unfollowed: OK()}
	switch {
	case w.untold:
		s.Excess = Fault(CauseNotTold, 0)
	case w.excess:
		s.Excess = Fault(CauseTooFast, 0)
	}
	if w.telling && w.standing && since(now, max(w.told, w.stood)) >= w.cfg.React+w.cfg.After {
		s.Unfollowed = Fault(CauseNotFollowed, 0)
	}
	return s
}

// envelope moves on what the base may still be doing at most: the largest command of the reaction time, and after that what
// is left while it brakes.
func (w *FollowWatch) envelope(now, dt time.Duration, tell [2]float64) {
	width := w.cfg.React / followBins
	for n := 0; since(now, w.began) >= width && n <= followBins; n++ {
		w.bin = (w.bin + 1) % followBins
		w.most[w.bin] = w.before // it was in force until now
		w.began += width
	}
	if since(now, w.began) >= width {
		w.began = now
	}
	decel := [2]float64{w.cfg.DecelMPS2, w.cfg.DecelRadPS2}
	for i := range tell {
		w.most[w.bin][i] = max(w.most[w.bin][i], tell[i])
		held := 0.0
		for b := range w.most {
			held = max(held, w.most[b][i])
		}
		w.top[i] = max(held, w.top[i]-float64(decel[i]*dt.Seconds()))
	}
	w.before = tell
}

// judge compares a new measurement with what the base may be doing. What is not finite is no measurement.
func (w *FollowWatch) judge(in *FollowInput) {
	w.any, w.judged = true, in.Received
	v := [2]float64{in.MPS, math.Abs(in.RadPS)}
	slack := [2]float64{w.cfg.SlackMPS, w.cfg.SlackRadPS}
	still := v[0] < w.cfg.StillMPS && v[1] < w.cfg.StillRadPS
	if still && !w.standing {
		w.stood = in.Received
	}
	w.standing = still
	w.excess, w.untold = false, false
	for i := range v {
		if v[i] > w.top[i]+slack[i]+float64(w.cfg.SlackRatio*w.top[i]) {
			w.excess = true
			w.untold = w.untold || w.top == [2]float64{}
		}
	}
}

// speeds returns the speed over ground and the turning rate of a command; what is not finite is the largest number.
func speeds(v Velocity) [2]float64 {
	out := [2]float64{math.Sqrt(float64(v.Linear[0]*v.Linear[0]) + float64(v.Linear[1]*v.Linear[1])), math.Abs(v.Angular[2])}
	for i := range out {
		if !(out[i] <= math.MaxFloat64) {
			out[i] = math.MaxFloat64
		}
	}
	return out
}

const followMagic = "RWIF"

// AppendState appends the watch's state, without its configuration.
func (w *FollowWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, followMagic, stateVersion)
	for _, f := range w.flags() {
		b = appendBool(b, *f)
	}
	for _, d := range w.times() {
		b = appendStored(b, *d)
	}
	for i := range w.most {
		b = appendFloat(appendFloat(b, w.most[i][0]), w.most[i][1])
	}
	b = appendFloat(appendFloat(b, w.before[0]), w.before[1])
	b = appendFloat(appendFloat(b, w.top[0]), w.top[1])
	return seal(append(b, uint8(w.bin)), start) //nolint:gosec // below followBins
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *FollowWatch) RestoreState(b []byte) error {
	r, err := open(b, followMagic, stateVersion)
	if err != nil {
		return err
	}
	n := FollowWatch{cfg: w.cfg}
	for _, f := range n.flags() {
		*f = r.bool("a mark")
	}
	for _, d := range n.times() {
		*d = r.duration(maxStored, "a time")
	}
	for i := range n.most {
		n.most[i] = [2]float64{r.f64(), r.f64()}
	}
	n.before = [2]float64{r.f64(), r.f64()}
	n.top = [2]float64{r.f64(), r.f64()}
	n.bin = int(r.enum(followBins, "a part of the reaction time"))
	for _, v := range append(n.most[:], n.before, n.top) {
		if !(v[0] >= 0 && v[0] <= math.MaxFloat64 && v[1] >= 0 && v[1] <= math.MaxFloat64) {
			r.fail(fmt.Sprintf("a speed is %v, expected two finite numbers from 0", v))
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}

func (w *FollowWatch) flags() [6]*bool {
	return [...]*bool{&w.ran, &w.telling, &w.standing, &w.any, &w.excess, &w.untold}
}

func (w *FollowWatch) times() [5]*time.Duration {
	return [...]*time.Duration{&w.at, &w.began, &w.told, &w.stood, &w.judged}
}
