package interlock

import (
	"math"
	"time"
)

// MotionState is what measurements say about the robot's motion.
type MotionState uint8

// States of motion.
const (
	// MotionUnknown is the zero value: a source that is needed is missing, old or not finite, and none shows motion.
	MotionUnknown MotionState = iota
	// Moving means that a source shows motion.
	Moving
	// Settling means that every source shows rest, but not yet for long enough.
	Settling
	// Standing means that odometry and a second, independent source have shown rest for long enough.
	Standing
)

// String names the state.
func (m MotionState) String() string {
	if m > Standing {
		return "unknown"
	}
	return [...]string{"unknown", "moving", "settling", "standing"}[m]
}

// Source is one measurement of motion.
type Source struct {
	// Received is the boot clock's reading at which it arrived; meaningless without Seen.
	Received time.Duration
	// Seen is true once a measurement has arrived.
	Seen bool
	// Value is the magnitude of the motion in the source's own unit. NaN, an infinity or a negative value is no answer.
	Value float64
}

// SourceConfig sets up one source of a Standstill.
type SourceConfig struct {
	// Used is false for a source that the robot does not have.
	Used bool
	// Below is the value under which the source shows rest, in the source's own unit; positive.
	Below float64
	// MaxAge is how old a measurement may be; positive.
	MaxAge time.Duration
}

// StandstillConfig sets up a Standstill.
type StandstillConfig struct {
	// Linear and Angular are the odometry's speed in m/s and turn rate in rad/s; both must be used.
	Linear, Angular SourceConfig
	// Joints is the largest speed of the joints that carry the robot in rad/s, IMU the turn rate that the inertial
	// sensor measures in rad/s; at least one must be used.
	Joints, IMU SourceConfig
	// Dwell is how long every source must show rest; positive.
	Dwell time.Duration
}

// StandstillInput is the newest measurement of each source.
type StandstillInput struct {
	Linear, Angular, Joints, IMU Source
}

// StandstillOutput is what one step of a Standstill decided.
type StandstillOutput struct {
	// State is what the sources say together.
	State MotionState
	// Odometry is the condition of OdometryMissing, Second that of SecondSourceMissing.
	Odometry, Second Condition
	// SpeedMPS is the odometry's speed; meaningless without SpeedKnown.
	SpeedMPS   float64
	SpeedKnown bool
	// BaseRests is true while odometry alone shows rest: legs may move on the spot.
	BaseRests bool
}

// Standstill says from odometry and a second, independent source whether the robot stands. It is not safe for use by
// several goroutines.
type Standstill struct {
	cfg StandstillConfig
	// rests is true while every source shows rest, since resting; last is the last step.
	rests         bool
	resting, last time.Duration
}

// NewStandstill returns an estimator that has seen nothing. Every fault of the configuration is a *ConfigError.
func NewStandstill(cfg StandstillConfig) (*Standstill, error) {
	c := checker{part: "standstill"}
	for _, s := range [...]struct {
		name string
		cfg  SourceConfig
		must bool
	}{
		{"Linear", cfg.Linear, true},
		{"Angular", cfg.Angular, true},
		{"Joints", cfg.Joints, false},
		{"IMU", cfg.IMU, false},
	} {
		if s.must && !s.cfg.Used {
			c.bad(s.name+".Used", false, "true: odometry is needed")
		}
		if s.cfg.Used {
			c.positive(s.name+".Below", s.cfg.Below)
			c.duration(s.name+".MaxAge", s.cfg.MaxAge)
		}
	}
	if !cfg.Joints.Used && !cfg.IMU.Used {
		c.bad("Joints.Used, IMU.Used", false, "one or both true: odometry alone confirms nothing")
	}
	c.duration("Dwell", cfg.Dwell)
	if err := c.err(); err != nil {
		return nil, err
	}
	return &Standstill{cfg: cfg}, nil
}

// reading is what one source says.
type reading struct {
	state State // Present if it shows motion, Clear if rest, Unknown if nothing
	cause Cause
}

func (c *SourceConfig) read(now time.Duration, s *Source) reading {
	switch {
	case !c.Used:
		return reading{Unknown, CauseNone}
	case !s.Seen:
		return reading{Unknown, CauseNeverSeen}
	case s.Received > now:
		return reading{Unknown, CauseFuture}
	case since(now, s.Received) > c.MaxAge:
		return reading{Unknown, CauseStale}
	case math.IsNaN(s.Value) || math.IsInf(s.Value, 0):
		return reading{Unknown, CauseNotFinite}
	case s.Value < 0:
		return reading{Unknown, CauseOutOfLimits}
	case s.Value < c.Below:
		return reading{Clear, CauseNone}
	}
	return reading{Present, CauseStillMoving}
}

// Step judges the newest measurements at now. It does not allocate. The caller steps at least as often as the sources
// measure.
func (s *Standstill) Step(now time.Duration, in *StandstillInput, out *StandstillOutput) {
	linear, angular := s.cfg.Linear.read(now, &in.Linear), s.cfg.Angular.read(now, &in.Angular)
	joints, imu := s.cfg.Joints.read(now, &in.Joints), s.cfg.IMU.read(now, &in.IMU)
	*out = StandstillOutput{
		Odometry:   missing(linear, angular, true, true),
		Second:     missing(joints, imu, s.cfg.Joints.Used, s.cfg.IMU.Used),
		SpeedKnown: linear.state != Unknown,
		BaseRests:  linear.state == Clear && angular.state == Clear,
	}
	if out.SpeedKnown {
		out.SpeedMPS = in.Linear.Value
	}
	if joints.state != Unknown || imu.state != Unknown {
		// One of the two is enough.
		out.Second = OK()
	}
	moving := linear.state == Present || angular.state == Present || joints.state == Present || imu.state == Present
	rests := linear.state == Clear && angular.state == Clear && (joints.state == Clear || imu.state == Clear)
	out.State = s.state(now, moving, rests)
}

// state applies the dwell. A gap in which nobody looked breaks it.
func (s *Standstill) state(now time.Duration, moving, rests bool) MotionState {
	gap := now < s.last || since(now, s.last) > s.cfg.Linear.MaxAge
	s.last = now
	switch {
	case moving:
		s.rests = false
		return Moving
	case !rests:
		s.rests = false
		return MotionUnknown
	case !s.rests || gap:
		s.rests, s.resting = true, now
		return Settling
	case since(now, s.resting) < s.cfg.Dwell:
		return Settling
	}
	return Standing
}

// missing returns the condition of two sources of which both are needed where used. Before anything was seen it is
// unknown, so that Startup waits for it.
func missing(a, b reading, aUsed, bUsed bool) Condition {
	worst := OK()
	for _, r := range [...]struct {
		reading
		used bool
	}{{a, aUsed}, {b, bUsed}} {
		if !r.used || r.state != Unknown {
			continue
		}
		c := Fault(r.cause, 0)
		if r.cause == CauseNeverSeen {
			c.State = Unknown
		}
		worst = Worse(worst, c)
	}
	return worst
}

const standstillMagic = "RWIT"

// AppendState appends the estimator's state, without its configuration.
func (s *Standstill) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, standstillMagic, stateVersion)
	b = appendBool(b, s.rests)
	b = appendStored(b, s.resting)
	return seal(appendStored(b, s.last), start)
}

// RestoreState puts the estimator into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (s *Standstill) RestoreState(b []byte) error {
	r, err := open(b, standstillMagic, stateVersion)
	if err != nil {
		return err
	}
	n := Standstill{cfg: s.cfg, rests: r.bool("rests")}
	n.resting = r.duration(maxStored, "a time")
	n.last = r.duration(maxStored, "a time")
	if err := r.close(); err != nil {
		return err
	}
	*s = n
	return nil
}
