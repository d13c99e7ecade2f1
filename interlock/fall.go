package interlock

import (
	"fmt"
	"math"
	"time"
)

// FallConfig sets up a FallWatch.
type FallConfig struct {
	// Used is false for a robot whose fall nobody looks for; then nothing else counts.
	Used bool
	// TiltRad is the angle in rad between upright and what is measured at which the robot no longer stands; more than 0 and
	// at most a right angle. Dwell is how long it must lean so far, and how long it must be upright again to count as up.
	TiltRad float64
	Dwell   time.Duration
	// Up is the direction in the inertial unit's frame, of any length above 0, that points up while the robot stands upright.
	Up [3]float64
	// MaxAge is how old a reading may be.
	MaxAge time.Duration
	// FreeFall looks for a free fall: the measured acceleration stays below FreeFallMPS2, in m/s², for FreeFallFor.
	FreeFall     bool
	FreeFallMPS2 float64
	FreeFallFor  time.Duration
	// Impact looks for the ground: one reading of ImpactMPS2, in m/s², or more.
	Impact     bool
	ImpactMPS2 float64
}

// FallReading is one message of the inertial unit.
type FallReading struct {
	// Received is the boot clock's reading at which it arrived.
	Received time.Duration
	// Orientation is the rotation from the unit's frame to a world with z up as x, y, z, w; meaningless without HasOrientation.
	HasOrientation bool
	Orientation    [4]float64
	// Acceleration is in m/s² in the unit's frame and holds what carries the robot against gravity: at rest 9.8 upwards;
	// meaningless without HasAcceleration.
	HasAcceleration bool
	Acceleration    [3]float64
}

// FallStatus is what a FallWatch says.
type FallStatus struct {
	// Fallen is the condition of RobotFallen, Missing that of IMUMissing. Before the first reading, and while readings are
	// missing or cannot be believed, Fallen is unknown unless it is present: what nobody measures is never upright.
	Fallen, Missing Condition
}

const (
	// fallFilter is the time constant of the low pass over the acceleration: longer than a step's impact, shorter than a fall.
	fallFilter = 150 * time.Millisecond
	// fallLeastMPS2 is the acceleration below which its direction says nothing.
	fallLeastMPS2 = 1.0
	// fallMostMPS2 is more than any unit measures: beyond it the direction says nothing either.
	fallMostMPS2 = 1e5
	// fallRotation is how far the square of a quaternion's norm may be from 1.
	fallRotation = 0.02
)

// FallWatch says from the inertial unit whether the robot has fallen: it leans too far for a while, falls freely, or has hit
// the ground. It is not safe for use by several goroutines.
type FallWatch struct {
	cfg FallConfig
	// up is of length 1, least the cosine of the tilt that is too much.
	up    [3]float64
	least float64

	// seen is true once a reading has come, the newest at at; cause says why that one cannot be believed.
	seen  bool
	at    time.Duration
	cause Cause
	// mean is the acceleration behind the low pass, if filtered is true.
	filtered bool
	mean     [3]float64
	// tilting is true since tilted unless a reading has shown the robot upright, falling since fell unless one has shown it
	// carried, steady since upright while every one has shown nothing wrong.
	tilting, falling, steady bool
	tilted, fell, upright    time.Duration
	// fallen is true until it has been upright for long enough; why is how it was seen.
	fallen bool
	why    Cause
}

// NewFallWatch returns a watch that has seen nothing. Every fault of the configuration is a *ConfigError.
func NewFallWatch(cfg FallConfig) (*FallWatch, error) {
	if !cfg.Used {
		return &FallWatch{}, nil
	}
	c := checker{part: "fall"}
	if !(cfg.TiltRad > 0 && cfg.TiltRad <= math.Pi/2) {
		c.bad("TiltRad", cfg.TiltRad, "more than 0 and at most a right angle")
	}
	c.duration("Dwell", cfg.Dwell)
	c.duration("MaxAge", cfg.MaxAge)
	n := norm(cfg.Up)
	if !(n > 0 && n <= math.MaxFloat64) {
		c.bad("Up", cfg.Up, "a direction of a finite length above 0")
	}
	if cfg.FreeFall {
		c.positive("FreeFallMPS2", cfg.FreeFallMPS2)
		c.duration("FreeFallFor", cfg.FreeFallFor)
	}
	if cfg.Impact {
		c.positive("ImpactMPS2", cfg.ImpactMPS2)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	w := &FallWatch{cfg: cfg, least: cosine(cfg.TiltRad)}
	for i := range w.up {
		w.up[i] = cfg.Up[i] / n
	}
	return w, nil
}

// Observe takes a message of the inertial unit. It does not allocate.
func (w *FallWatch) Observe(r *FallReading) {
	if !w.cfg.Used {
		return
	}
	dt := since(r.Received, w.at)
	gap := !w.seen || r.Received < w.at || dt > w.cfg.MaxAge
	if w.leans(r.Received) {
		// Nothing has shown it upright for all this time, whatever this reading says.
		w.fallen, w.why = true, CauseTilted
	}
	w.seen, w.at = true, r.Received
	if gap {
		w.filtered, w.falling = false, false
	}
	lean, cause := w.lean(r, dt)
	force, forceCause := w.force(r)
	w.cause = cause
	if cause == CauseNone {
		w.cause = forceCause
	}
	switch {
	case lean == Present && !w.tilting:
		w.tilting, w.tilted = true, r.Received
	case lean == Clear:
		w.tilting = false
	}
	calm := lean == Clear && w.cause == CauseNone
	if force >= 0 {
		calm = w.strike(r.Received, force) && calm
	}
	switch {
	case !calm:
		w.steady = false
	case !w.steady || gap:
		w.steady, w.upright = true, r.Received
	case since(r.Received, w.upright) >= w.cfg.Dwell:
		w.fallen, w.why = false, CauseNone
	}
}

// Status says what is known at now. It does not allocate.
func (w *FallWatch) Status(now time.Duration) FallStatus {
	s := FallStatus{Fallen: OK(), Missing: OK()}
	switch {
	case !w.cfg.Used:
		return s
	case !w.seen:
		s.Missing = Condition{State: Unknown, Cause: CauseNeverSeen}
	case w.at > now:
		s.Missing = Fault(CauseFuture, 0)
	case since(now, w.at) > w.cfg.MaxAge:
		s.Missing = Fault(CauseStale, 0)
	case w.cause != CauseNone:
		s.Missing = Fault(w.cause, 0)
	}
	switch {
	case w.fallen:
		s.Fallen = Fault(w.why, 0)
	case w.leans(now):
		s.Fallen = Fault(CauseTilted, 0)
	case s.Missing.State != Clear:
		s.Fallen = Condition{State: Unknown, Cause: s.Missing.Cause}
	}
	return s
}

// leans says whether it has leaned too far for long enough at now.
func (w *FallWatch) leans(now time.Duration) bool {
	return w.tilting && since(now, w.tilted) >= w.cfg.Dwell
}

// lean says whether a reading shows the robot beyond the limit, and if it shows nothing why. A sender that gives an
// orientation is judged by it: one that is no rotation is not replaced by a guess.
func (w *FallWatch) lean(r *FallReading, dt time.Duration) (State, Cause) {
	if r.HasOrientation {
		w.filtered = false
		up, cause := upward(r.Orientation)
		if cause != CauseNone {
			return Unknown, cause
		}
		return w.beyond(up, 1), CauseNone
	}
	if !r.HasAcceleration {
		return Unknown, CauseMissing
	}
	if cause := measured(r.Acceleration); cause != CauseNone {
		return Unknown, cause
	}
	share := 1.0
	if w.filtered {
		share = float64(dt) / float64(dt+fallFilter)
	}
	for i := range w.mean {
		if !w.filtered {
			w.mean[i] = r.Acceleration[i]
		}
		w.mean[i] += float64(share * (r.Acceleration[i] - w.mean[i]))
	}
	w.filtered = true
	n := norm(w.mean)
	if !(n >= fallLeastMPS2) {
		return Unknown, CauseUnusable
	}
	return w.beyond(w.mean, n), CauseNone
}

// beyond judges a direction of length n that points up.
func (w *FallWatch) beyond(up [3]float64, n float64) State {
	if along := dot(up, w.up); along > float64(w.least*n) {
		return Clear
	}
	return Present
}

// force returns the measured acceleration in m/s², -1 if nobody needs or knows it; then with why, if it is needed.
func (w *FallWatch) force(r *FallReading) (float64, Cause) {
	switch {
	case !w.cfg.FreeFall && !w.cfg.Impact:
		return -1, CauseNone
	case !r.HasAcceleration:
		return -1, CauseIncomplete
	}
	cause := measured(r.Acceleration)
	if cause == CauseNotFinite {
		return -1, cause
	}
	return norm(r.Acceleration), cause
}

// strike looks for a free fall and the ground, and says whether there is nothing of either.
func (w *FallWatch) strike(at time.Duration, force float64) bool {
	free := w.cfg.FreeFall && force < w.cfg.FreeFallMPS2
	if free && !w.falling {
		w.fell = at
	}
	w.falling = free
	if free && since(at, w.fell) >= w.cfg.FreeFallFor {
		w.fallen, w.why = true, CauseFreeFall
	}
	hit := w.cfg.Impact && force >= w.cfg.ImpactMPS2
	if hit {
		w.fallen, w.why = true, CauseImpact
	}
	return !free && !hit
}

// upward returns the world's up in the frame of a rotation.
func upward(q [4]float64) ([3]float64, Cause) {
	x, y, z, v := q[0], q[1], q[2], q[3]
	n := float64(x*x) + float64(y*y) + float64(z*z) + float64(v*v)
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return [3]float64{}, CauseNotFinite
	case math.Abs(n-1) > fallRotation:
		return [3]float64{}, CauseBadRotation
	}
	return [3]float64{
		2 * (float64(x*z) - float64(v*y)) / n,
		2 * (float64(y*z) + float64(v*x)) / n,
		1 - float64(2*(float64(x*x)+float64(y*y))/n),
	}, CauseNone
}

// measured says what is wrong with an acceleration.
func measured(a [3]float64) Cause {
	switch n := norm(a); {
	case math.IsNaN(n) || math.IsInf(n, 1):
		return CauseNotFinite
	case n > fallMostMPS2:
		return CauseOutOfLimits
	}
	return CauseNone
}

func dot(a, b [3]float64) float64 {
	return float64(a[0]*b[0]) + float64(a[1]*b[1]) + float64(a[2]*b[2])
}

// cosine is that of an angle of at most a right angle, the same on every machine; its error is below 1e-12.
func cosine(rad float64) float64 {
	sum, term, square := 1.0, 1.0, float64(rad*rad)
	for i := 1; i <= 10; i++ {
		term = -float64(term*square) / float64((2*i-1)*(2*i))
		sum += term
	}
	return sum
}

const fallMagic = "RWIU"

// AppendState appends the watch's state, without its configuration.
func (w *FallWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, fallMagic, stateVersion)
	for _, f := range w.flags() {
		b = appendBool(b, *f)
	}
	for _, d := range w.times() {
		b = appendStored(b, *d)
	}
	for _, v := range w.mean {
		b = appendFloat(b, v)
	}
	return seal(append(b, uint8(w.cause), uint8(w.why)), start) //nolint:gosec // the causes that it gives are below 256
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *FallWatch) RestoreState(b []byte) error {
	r, err := open(b, fallMagic, stateVersion)
	if err != nil {
		return err
	}
	n := FallWatch{cfg: w.cfg, up: w.up, least: w.least}
	for _, f := range n.flags() {
		*f = r.bool("a mark")
	}
	for _, d := range n.times() {
		*d = r.duration(maxStored, "a time")
	}
	for i := range n.mean {
		n.mean[i] = r.f64()
	}
	if measured(n.mean) != CauseNone {
		r.fail(fmt.Sprintf("an acceleration is %v, expected at most %v m/s²", n.mean, fallMostMPS2))
	}
	n.cause = Cause(r.enum(uint8(NumCauses), "a cause"))
	n.why = Cause(r.enum(uint8(NumCauses), "a cause"))
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}

func (w *FallWatch) flags() [6]*bool {
	return [...]*bool{&w.seen, &w.filtered, &w.tilting, &w.falling, &w.steady, &w.fallen}
}

func (w *FallWatch) times() [4]*time.Duration {
	return [...]*time.Duration{&w.at, &w.tilted, &w.fell, &w.upright}
}
