package interlock

import "time"

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
}
