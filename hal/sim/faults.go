package sim

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Fault is something that goes wrong until it is switched off.
type Fault uint8

// Faults.
const (
	// FaultPoseFrozen repeats the last position with fresh stamps while the robot may move.
	FaultPoseFrozen Fault = iota
	// FaultPoseSilent stops the localisation.
	FaultPoseSilent
	// FaultPoseNaN sends NaN as x.
	FaultPoseNaN
	// FaultPoseZeroCovariance claims perfect knowledge.
	FaultPoseZeroCovariance
	// FaultPoseNoCovariance leaves the covariance out.
	FaultPoseNoCovariance
	// FaultPoseUncertain says truthfully that the position is known to 0.6 m only, and it is.
	FaultPoseUncertain
	// FaultPoseWrongFrame sends the pose in frame odom.
	FaultPoseWrongFrame
	// FaultPoseFuture stamps the pose ten seconds ahead.
	FaultPoseFuture
	// FaultPoseZeroQuaternion sends an orientation of four zeros.
	FaultPoseZeroQuaternion
	// FaultOdomSilent stops leg odometry.
	FaultOdomSilent
	// FaultJointsSilent stops all joint states.
	FaultJointsSilent
	// FaultIMUSilent stops the IMU.
	FaultIMUSilent
	// FaultStopHangs never answers and never performs a motor stop.
	FaultStopHangs
	// FaultStopRefused answers the motor stop with a refusal and does not perform it.
	FaultStopRefused
	// FaultStopLies answers the motor stop with success and does not perform it.
	FaultStopLies
	// FaultDockHangs never answers and never performs a call of the dock service.
	FaultDockHangs
	// FaultDockRefused answers the dock service with a refusal.
	FaultDockRefused
	// FaultArmsHang never answers and never performs a call of the arms service.
	FaultArmsHang
	// FaultCommandsIgnored makes the base go on as last commanded, whatever comes on cmd_vel or the lock; the motor
	// stop works.
	FaultCommandsIgnored
	// FaultRunaway makes the base go on as last commanded, whatever anybody says.
	FaultRunaway
	// FaultSecondPublisher lets a stranger publish on cmd_vel_raw.
	FaultSecondPublisher
	// FaultForeignSource connects the base to a stranger who publishes on cmd_vel, behind any gate.
	FaultForeignSource
	// FaultForeignLock lets a stranger publish "not locked" on the lock topic, ten times a second.
	FaultForeignLock
	// FaultGraphUnknown makes the bus unanswerable.
	FaultGraphUnknown
	faultCount
)

var faultNames = [faultCount]string{
	"pose-frozen", "pose-silent", "pose-nan", "pose-zero-covariance", "pose-no-covariance", "pose-uncertain",
	"pose-wrong-frame", "pose-future", "pose-zero-quaternion", "odom-silent", "joints-silent", "imu-silent", "stop-hangs",
	"stop-refused", "stop-lies", "dock-hangs", "dock-refused", "arms-hang", "commands-ignored", "runaway",
	"second-publisher", "foreign-source", "foreign-lock", "graph-unknown",
}

// String names the fault.
func (f Fault) String() string {
	if f < faultCount {
		return faultNames[f]
	}
	return "unknown"
}

// Faults lists all faults.
func Faults() []Fault {
	all := make([]Fault, faultCount)
	for i := range all {
		all[i] = Fault(i)
	}
	return all
}

// faults is what is wrong now.
type faults struct {
	on          [faultCount]bool
	lostJoints  uint64
	nanJoints   uint64
	shift       Point // Teleports add up here.
	frozen      Placement
	frozenKnown bool
}

// SetFault switches a fault.
func (w *World) SetFault(f Fault, on bool) {
	if f >= faultCount {
		return
	}
	w.faults.on[f] = on
	if f == FaultPoseFrozen {
		w.faults.frozenKnown = false
	}
}

// Fault says whether a fault is on.
func (w *World) Fault(f Fault) bool { return f < faultCount && w.faults.on[f] }

// Teleport makes the localisation jump by (dx, dy) metres and stay there; the robot does not move.
func (w *World) Teleport(dx, dy float64) {
	w.faults.shift.X += dx
	w.faults.shift.Y += dy
}

// LoseEncoder drops one joint from the joint states, or brings it back.
func (w *World) LoseEncoder(joint int, lost bool) { setBit(&w.faults.lostJoints, joint, lost) }

// SpoilEncoder makes one joint report NaN, or not.
func (w *World) SpoilEncoder(joint int, bad bool) { setBit(&w.faults.nanJoints, joint, bad) }

func setBit(set *uint64, bit int, on bool) {
	if bit < 0 || bit >= Joints {
		return
	}
	if on {
		*set |= 1 << bit
	} else {
		*set &^= 1 << bit
	}
}

// intruder is somebody on the bus who has no business there.
type intruder struct {
	twist msg.Twist
	seq   uint32
}

func (i *intruder) init(w *World) {
	i.twist.Linear.X = 0.6
	w.every(7*time.Millisecond, 20*time.Millisecond, func() {
		if w.faults.on[FaultSecondPublisher] {
			w.deliverCommand(ChannelAutonomy, i.twist, &w.peers.intruder, &i.seq)
		}
		if w.faults.on[FaultForeignSource] {
			w.command(i.twist)
		}
	})
	w.every(3*time.Millisecond, 100*time.Millisecond, func() {
		if w.faults.on[FaultForeignLock] {
			w.Lock(false)
		}
	})
}

// IntruderTwist sets what the stranger commands; at first it is 0.6 m/s forward.
func (w *World) IntruderTwist(t msg.Twist) { w.intruder.twist = t }

func (w *World) deliverCommand(channel int, t msg.Twist, from *msg.Peer, seq *uint32) {
	if w.on.Command == nil {
		return
	}
	w.on.Command(&msg.Command{Header: w.header(from, "", w.Now(), seq), Channel: channel, Twist: t})
}
