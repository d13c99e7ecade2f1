package commission

import (
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// Input is everything that one step of a Trial looks at.
type Input struct {
	// New is true if odometry has just measured MPS over ground, in m/s, and RadPS of turning, in rad/s without its sign.
	New        bool
	MPS, RadPS float64
	// Told is what went out last, as speed over ground and rate of turn, at Sent.
	Told [2]float64
	Sent time.Duration
	// Wanted is true while anybody commands motion, whatever becomes of it.
	Wanted bool
	// Clear is true while commands pass whole and the way ahead is free for much longer than a stop takes.
	Clear bool
	// Ceased is true if commands came to zero although the step sends nothing.
	Ceased bool
	// Trouble is true while a trigger is active that was not when the trial began. Excess is true while the robot moves more
	// than the profile says that it can after what it was told last.
	Trouble, Excess bool
	// Motion is what two sources say together.
	Motion interlock.MotionState
	// Joints and Gyro are true while those sources show motion, JointsRest and GyroRest while they show rest.
	Joints, Gyro, JointsRest, GyroRest bool
	// Ack is the step's rung's answer.
	Ack interlock.Ack
	// Fed is true while the step's device does as told and lets the robot run.
	Fed bool
	// Pressed, Released and Unreadable are what the step's input says.
	Pressed, Released, Unreadable bool
}

// Order is what the guard has to do, on top of what everything else demands.
type Order struct {
	// Hold asks for a hold, Silent for sending nothing.
	Hold, Silent bool
	// Rung is the rung that is asked alone, -1 for none.
	Rung int
	// MPS bounds commands while On, in m/s.
	On  bool
	MPS float64
}

// State is what a trial's further course depends on; a replay may begin with any.
type State struct {
	Phase Phase
	// ID is the technician's session, Until how long his confirmation holds.
	ID    uint64
	Until time.Duration
	// MPS is the fastest that the robot may drive in this trial, in m/s.
	MPS float64
	// Place is the step, Runs how many runs ended since the trial began, Why what became of the last one, or of the trial.
	Place int
	Runs  uint32
	Why   Reason
	// Since is when the phase began, By when it must end.
	Since, By time.Duration
	// Loud is when somebody last commanded motion; Heard when odometry last measured.
	Loud, Heard time.Duration
	// Steady is since when the drive has been steady; Mean is its speed, Told what it was told then, and at the request.
	Steady     time.Duration
	Mean, Told float64
	// Far is how far it has gone in this drive, in metres.
	Far float64
	// Still is since when odometry has shown rest, if Stands.
	Still         time.Duration
	Stands        bool
	Pressed, Acks bool
	// Requested is when the stop was asked for; Refused is true if the rung refused or answered too late.
	Requested time.Duration
	Refused   bool
}

// Run is what one run measured.
type Run struct {
	// Number counts from 1, Step is its step.
	Number uint32
	Step   int
	// Why says how it ended.
	Why Reason
	Stop
	// Told is the speed that was commanded, in m/s or rad/s.
	Told float64
	// Acked is how long the rung took to answer, 0 if it cannot or did not; Rest how long the robot took to rest by odometry;
	// Confirmed how long two sources took to agree. All from the request.
	Acked, Rest, Confirmed time.Duration
	// Metres is the way from the request to rest, in m or rad.
	Metres float64
	// Joints and Gyro are true if that source showed motion in the drive and rest at its end.
	Joints, Gyro bool
	// Pressed and Released are how long after the begin the input was operated and released.
	Pressed, Released time.Duration
}
