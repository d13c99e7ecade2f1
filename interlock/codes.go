package interlock

// The triggers. Their numbers are written to files: new ones go to the end, and none is ever renumbered or reused.
const (
	// PoseMissing is pose.missing: no pose.
	PoseMissing Trigger = iota
	// PoseStale is pose.stale: old pose.
	PoseStale
	// PoseFuture is pose.future: pose from the future.
	PoseFuture
	// PoseInvalid is pose.invalid: impossible pose.
	PoseInvalid
	// PoseFrame is pose.frame: pose in another frame.
	PoseFrame
	// PoseCovariance is pose.covariance: pose uncertain.
	PoseCovariance
	// PoseJump is pose.jump: pose jumped.
	PoseJump
	// PoseFrozen is pose.frozen: pose frozen.
	PoseFrozen
	// PoseFloor is pose.floor: floor unknown.
	PoseFloor
	// JointsMissing is joints.missing: no joint states.
	JointsMissing
	// JointsInvalid is joints.invalid: impossible joint states.
	JointsInvalid
	// OdometryMissing is odometry.missing: no odometry.
	OdometryMissing
	// SecondSourceMissing is second-source.missing: no second speed source.
	SecondSourceMissing
	// BatteryLow is battery.low: battery low.
	BatteryLow
	// ZoneUnknown is zone.unknown: no zone verdict.
	ZoneUnknown
	// ZoneInside is zone.inside: inside a forbidden zone.
	ZoneInside
	// ZoneMargin is zone.margin: near a forbidden zone.
	ZoneMargin
	// ZoneOverrun is zone.overrun: cannot stop in time.
	ZoneOverrun
	// HeartbeatLate is channel.heartbeat-late: heartbeat late.
	HeartbeatLate
	// HeartbeatLost is channel.heartbeat-lost: heartbeat lost.
	HeartbeatLost
	// HeartbeatHostile is channel.heartbeat-hostile: wrong heartbeat answers.
	HeartbeatHostile
	// StopRequested is channel.stop-requested: stop by a channel.
	StopRequested
	// CommandInvalid is channel.command-invalid: impossible commands.
	CommandInvalid
	// PublisherUnknown is publisher.unknown: unknown publisher.
	PublisherUnknown
	// PublisherSecond is publisher.second: second publisher.
	PublisherSecond
	// GateBypass is gate.bypass: gate bypassed.
	GateBypass
	// GateUnregistered is gate.unregistered: gate not registered.
	GateUnregistered
	// LockContested is lock.contested: lock contested.
	LockContested
	// LockLost is lock.lost: lock without effect.
	LockLost
	// BusLost is bus.lost: bus unknown.
	BusLost
	// LoopOverrun is loop.overrun: guard too slow.
	LoopOverrun
	// ClockJump is clock.jump: clock jumped.
	ClockJump
	// ClockUntrusted is clock.untrusted: clock not trusted.
	ClockUntrusted
	// JournalUnwritable is journal.unwritable: journal cannot be written.
	JournalUnwritable
	// PolicyMissing is policy.missing: no policy.
	PolicyMissing
	// PolicyExpired is policy.expired: policy expired.
	PolicyExpired
	// PolicyPin is policy.pin-mismatch: profile or mapping changed.
	PolicyPin
	// Startup is startup: starting.
	Startup
	// RestartUnclean is restart.unclean: unclean end.
	RestartUnclean
	// LatchUnreadable is latch.unreadable: latches unreadable.
	LatchUnreadable
	// Terminating is guard.terminating: guard is ending.
	Terminating
	// OrderStop is order.stop: stop ordered.
	OrderStop
	// OrderHold is order.hold: hold ordered.
	OrderHold
	// OrderDock is order.dock: return to dock ordered.
	OrderDock
	// OrderManipulators is order.disable-manipulators: manipulators disabled by order.
	OrderManipulators
	// OrderPrivate is order.private: privacy ordered.
	OrderPrivate
	// OrderRemote is order.block-remote: remote control blocked by order.
	OrderRemote
	// StopUnconfirmed is stop.unconfirmed: stop not confirmed.
	StopUnconfirmed
	// MotionUntold is motion.untold: moves while held.
	MotionUntold
	// ManipulatorsUntold is manipulators.untold: arms move while disabled.
	ManipulatorsUntold
	// PerceptionOpen is perception.open: recording while private.
	PerceptionOpen
	// Advisory is actuator.advisory: advisory only.
	Advisory
	// AttestationMissing is attestation.missing: not attested yet.
	AttestationMissing
	// AttestationExpired is attestation.expired: attestation expired.
	AttestationExpired
	// AttestationFailed is attestation.failed: attestation failed.
	AttestationFailed
	// PublisherProcess is publisher.process: wrong process behind a publisher.
	PublisherProcess
	// PublisherUnproven is publisher.unproven: process behind a publisher unknown.
	PublisherUnproven
	// PublisherConflict is publisher.conflict: two senders as one publisher.
	PublisherConflict
	// ZoneNoManipulation is zone.no-manipulation: no manipulation here.
	ZoneNoManipulation
	// ZonePrivacy is zone.privacy: privacy zone.
	ZonePrivacy
	// ZoneDwell is zone.dwell: too long in a zone.
	ZoneDwell
	// ZoneDoorHeld is zone.door-held: door held.
	ZoneDoorHeld
	// ZoneLeaseLost is zone.lease-lost: lease lost inside.
	ZoneLeaseLost
	// PoseDisagreement is pose.disagreement: two sources of poses differ.
	PoseDisagreement
	// PoseSecondMissing is pose.second-missing: no second source of poses.
	PoseSecondMissing
	// GuardMemory is guard.memory: memory nearly used up.
	GuardMemory
	// GuardDescriptors is guard.descriptors: file descriptors nearly used up.
	GuardDescriptors
	// ArtifactUntrusted is artifact.untrusted: what steers the robot is not as released.
	ArtifactUntrusted
	// ArtifactUnproven is artifact.unproven: nobody says what steers the robot.
	ArtifactUnproven
	// ManipulationUntrusted is artifact.manipulation-untrusted: what steers arms and hands is not as released.
	ManipulationUntrusted
	// ManipulationUnproven is artifact.manipulation-unproven: nobody says what steers arms and hands.
	ManipulationUnproven
	// InputEStop is input.estop: emergency stop pressed.
	InputEStop
	// InputDoor is input.door: guard door open.
	InputDoor
	// InputBumper is input.bumper: bumper pressed.
	InputBumper
	// InputStuck is input.stuck: safety input cannot be believed.
	InputStuck
	// ActuatorSilent is actuator.silent: stop actuator does not answer.
	ActuatorSilent
	// ActuatorBusOff is actuator.bus-off: stop actuator's bus is off.
	ActuatorBusOff
	// PermitLost is permit.lost: permit withdrawn without the guard.
	PermitLost
	// CommandUnproven is channel.command-unproven: commands of nobody who may.
	CommandUnproven
	// ZoneWarn is zone.warn: in a zone's warn ring.
	ZoneWarn
	// ChannelDegraded is channel.degraded: a channel works badly.
	ChannelDegraded
	// ChannelLost is channel.lost: a needed channel is silent.
	ChannelLost
	// ChannelHostile is channel.hostile: a channel is misused.
	ChannelHostile
	// MotionExcess is motion.excess: moves more than told.
	MotionExcess
	// MotionUnfollowed is motion.unfollowed: stands although told to move.
	MotionUnfollowed
	// BusFlooded is bus.flooded: forged announcements crowd out others.
	BusFlooded
	// CommissioningOverdue is commissioning.overdue: proof test due.
	CommissioningOverdue
	// RobotFallen is robot.fallen: fallen.
	RobotFallen
	// IMUMissing is imu.missing: no inertial unit.
	IMUMissing
	// StateRolledBack is state.rolled-back: disk set back.
	StateRolledBack
	// StateUnproven is state.unproven: age of the disk not proven.
	StateUnproven
	// PostureDue is posture.due: has to go down.
	PostureDue
	// PostureFailed is posture.failed: not down in time.
	PostureFailed
	// NumTriggers is the number of triggers.
	NumTriggers
)
