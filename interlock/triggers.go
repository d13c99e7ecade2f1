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
	// NumTriggers is the number of triggers.
	NumTriggers
)

// triggerTable is the one place that says what each trigger is. It is never written to.
var triggerTable = [NumTriggers]Info{
	PoseMissing: {
		Code: "pose.missing", Title: "no pose", Class: ClassPose, UnknownAs: PoseMissing,
		Text:     "No usable pose has arrived within the deadline.",
		Playbook: "Check that localisation runs and that its topic, type and frame match the topic mapping.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.3), 1000, ClearOnDwell),
	},
	PoseStale: {
		Code: "pose.stale", Title: "old pose", Class: ClassPose, UnknownAs: PoseMissing,
		Text:     "The newest pose is older than the profile allows.",
		Playbook: "Look for load on the robot computer or a network gap; compare the topic's rate with the profile.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.3), 1000, ClearOnDwell),
	},
	PoseFuture: {
		Code: "pose.future", Title: "pose from the future", Class: ClassPose, UnknownAs: PoseMissing,
		Text:     "The pose carries a time stamp ahead of the receive time, or stamps run backwards.",
		Playbook: "Compare the clocks of the robot's computers; look for a replayed recording.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.3), 1000, ClearOnDwell),
	},
	PoseInvalid: {
		Code: "pose.invalid", Title: "impossible pose", Class: ClassPose, UnknownAs: PoseMissing,
		Text:     "The pose holds NaN, an infinity or a rotation that is none.",
		Playbook: "Restart localisation and look at what it is fed with.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(hold(), 500, ClearOnDwell),
	},
	PoseFrame: {
		Code: "pose.frame", Title: "pose in another frame", Class: ClassPose, UnknownAs: PoseMissing,
		Text:     "The pose is given in a frame that the policy does not pin.",
		Playbook: "Compare the frame in the message with the topic mapping; look for a second publisher.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(hold(), 500, ClearOnDwell),
	},
	PoseCovariance: {
		Code: "pose.covariance", Title: "pose uncertain", Class: ClassPose, UnknownAs: PoseMissing, Overridable: true,
		Text:     "The pose's covariance is zero, absent, not a covariance, or above the limit.",
		Playbook: "Let the robot localise again; check that localisation fills in the covariance.",
		Default:  rule(limited(0.3), 500, 2000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 5000, ClearOnClear),
	},
	PoseJump: {
		Code: "pose.jump", Title: "pose jumped", Class: ClassPose, UnknownAs: PoseMissing, Overridable: true,
		Text:     "The pose moved further than the robot can.",
		Playbook: "Look where the robot really is; look for a second source of poses before resetting.",
		Default:  rule(hold(), 0, 2000, ClearOnDwell, responsible),
		Bounds:   atLeast(hold(), 200, ClearOnDwell),
	},
	PoseFrozen: {
		Code: "pose.frozen", Title: "pose frozen", Class: ClassPose, UnknownAs: PoseMissing, Overridable: true,
		Text:     "The robot moves by its wheels or joints and the pose does not.",
		Playbook: "Restart localisation; look for a replayed or repeated message.",
		Default:  rule(hold(), 200, 2000, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.3), 2000, ClearOnDwell),
	},
	PoseFloor: {
		Code: "pose.floor", Title: "floor unknown", Class: ClassPose, UnknownAs: PoseMissing,
		Text:     "The map or floor is unknown, or the height fits none of the policy's floors.",
		Playbook: "Check which map is loaded and that its id is in the policy.",
		Default:  rule(hold(), 0, 2000, ClearOnDwell, responsible),
		Bounds:   atLeast(hold(), 500, ClearOnDwell),
	},
	JointsMissing: {
		Code: "joints.missing", Title: "no joint states", Class: ClassBody, UnknownAs: JointsMissing, Creeps: true, Hearsay: true,
		Text:     "Joint states are missing, old or incomplete.",
		Playbook: "Check the joint state publisher and the profile's joint names.",
		Default:  rule(hold(), 200, 1000, ClearOnDwell, attending),
		Bounds:   disablable(arms(ManipulatorsHold), 2000, ClearOnDwell),
	},
	JointsInvalid: {
		Code: "joints.invalid", Title: "impossible joint states", Class: ClassBody, UnknownAs: JointsMissing, Creeps: true, Hearsay: true,
		Text:     "A joint's value is NaN, infinite or outside its limits.",
		Playbook: "Look at the named joint's encoder.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   disablable(arms(ManipulatorsHold), 500, ClearOnDwell),
	},
	OdometryMissing: {
		Code: "odometry.missing", Title: "no odometry", Class: ClassBody, UnknownAs: OdometryMissing,
		Text:     "The measured speed is missing, old or not finite.",
		Playbook: "Check the odometry publisher.",
		Default:  rule(limited(0.3), 200, 1000, ClearOnDwell, attending),
		Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
	},
	SecondSourceMissing: {
		Code: "second-source.missing", Title: "no second speed source", Class: ClassBody, UnknownAs: SecondSourceMissing, Overridable: true,
		Text:     "Neither joints nor inertial sensor can confirm a standstill beside odometry.",
		Playbook: "Check the inertial sensor and joint velocities.",
		Default:  rule(limited(0.3), 500, 1000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 5000, ClearOnClear),
	},
	BatteryLow: {
		Code: "battery.low", Title: "battery low", Class: ClassBody, UnknownAs: BatteryLow, Overridable: true, Hearsay: true,
		Text:     "The battery is below the limit, or its state is unknown.",
		Playbook: "Let the robot dock, or charge it by hand.",
		Default:  rule(dock(), 5000, 10000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 60000, ClearOnClear),
	},
	ZoneUnknown: {
		Code: "zone.unknown", Title: "no zone verdict", Class: ClassZone, UnknownAs: ZoneUnknown,
		Text:     "The geofence gave no verdict: no zones for this map, or not enough input.",
		Playbook: "Check that a zone set for this map and floor is enabled.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, responsible),
		Bounds:   atLeast(hold(), 500, ClearOnDwell),
	},
	ZoneInside: {
		Code: "zone.inside", Title: "inside a forbidden zone", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true,
		Text:     "Part of the robot's contour is inside a zone that it may not be in.",
		Playbook: "Look around the robot, then move it out by a grant or by hand before resetting.",
		Default:  rule(hold(), 0, 2000, ClearByOperator, attending),
		Bounds:   atLeast(hold(), 0, ClearOnDwell),
	},
	ZoneMargin: {
		Code: "zone.margin", Title: "near a forbidden zone", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true,
		Text:     "The robot is within the margin of a zone; the geofence limits its speed.",
		Playbook: "Nothing to do. If it happens often, look at the planned routes.",
		Default:  rule(free(), 0, 0, ClearOnClear, attending),
		Bounds:   disablable(free(), 1000, ClearOnClear),
	},
	ZoneOverrun: {
		Code: "zone.overrun", Title: "cannot stop in time", Class: ClassZone, UnknownAs: ZoneUnknown,
		Text:     "By the motion that is measured, the robot cannot stop before the edge of a zone.",
		Playbook: "Look at load, slope and floor; compare the measured deceleration with the profile.",
		Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(hold(), 200, ClearOnDwell),
	},
	HeartbeatLate: {
		Code: "channel.heartbeat-late", Title: "heartbeat late", Class: ClassChannel, UnknownAs: HeartbeatLost, Creeps: true,
		Text:     "A channel that the task needs has not answered a challenge within its first timeout.",
		Playbook: "Check the operator's desk and the radio link.",
		Default:  rule(hold(), 0, 500, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.5), 1000, ClearOnClear),
	},
	HeartbeatLost: {
		Code: "channel.heartbeat-lost", Title: "heartbeat lost", Class: ClassChannel, UnknownAs: HeartbeatLost,
		Text:     "A channel that the task needs has not answered a challenge within its second timeout.",
		Playbook: "Bring the channel back, check in at stop, then reset.",
		Default:  rule(stop(), 0, 1000, ClearByOperator, attending),
		Bounds:   atLeast(hold(), 1000, ClearOnDwell),
	},
	HeartbeatHostile: {
		Code: "channel.heartbeat-hostile", Title: "wrong heartbeat answers", Class: ClassChannel, UnknownAs: HeartbeatLost, Overridable: true, Hearsay: true,
		Text:     "Somebody answers challenges wrongly, or again.",
		Playbook: "Find out who sends on the answer topic; change the channel's key if it may be known.",
		Default:  rule(hold(), 0, 10000, ClearOnDwell, incident),
		Bounds:   atLeast(limited(0.5), 5000, ClearOnDwell),
	},
	StopRequested: {
		Code: "channel.stop-requested", Title: "stop by a channel", Class: ClassChannel, UnknownAs: HeartbeatLost,
		Text:     "An operator has asked for a stop in an authentic heartbeat answer.",
		Playbook: "Ask the operator why. Release the stop at the desk, then reset.",
		Default:  rule(stop(), 0, 0, ClearByOperator, attending),
		Bounds:   atLeast(hold(), 0, ClearOnClear),
	},
	CommandInvalid: {
		Code: "channel.command-invalid", Title: "impossible commands", Class: ClassChannel, UnknownAs: CommandInvalid, Overridable: true, Hearsay: true,
		Text:     "Commands that are NaN, infinite, old or from the future keep coming.",
		Playbook: "Look at the planner or the operator's desk that sends them.",
		Default:  rule(holdStill(), 100, 2000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 2000, ClearOnClear),
	},
	PublisherUnknown: {
		Code: "publisher.unknown", Title: "unknown publisher", Class: ClassPublisher, UnknownAs: BusLost, Overridable: true,
		Text:     "A gated topic has a publisher that the policy does not list.",
		Playbook: "Find the process behind the name. Treat it as an intrusion until it is explained.",
		Default:  rule(stop(), 0, 2000, ClearByOperator, incident),
		Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
	},
	PublisherSecond: {
		Code: "publisher.second", Title: "second publisher", Class: ClassPublisher, UnknownAs: BusLost, Overridable: true,
		Text:     "A gated topic has more publishers than the policy allows.",
		Playbook: "Look for a node that was started twice or under another's name.",
		Default:  rule(hold(), 200, 2000, ClearByOperator, incident),
		Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
	},
	GateBypass: {
		Code: "gate.bypass", Title: "gate bypassed", Class: ClassPublisher, UnknownAs: BusLost,
		Text:     "The base listens to somebody else than the gate.",
		Playbook: "Find the process that publishes behind the gate; remove it before resetting.",
		Default:  rule(stop(), 0, 2000, ClearByOperator, incident),
		Bounds:   disablable(stop(), 1000, ClearByOperator),
	},
	GateUnregistered: {
		Code: "gate.unregistered", Title: "gate not registered", Class: ClassPublisher, UnknownAs: BusLost,
		Text:     "The bus does not list the gate as publisher of its own output.",
		Playbook: "Check the master or the discovery; look for a forged unregister call.",
		Default:  rule(hold(), 500, 1000, ClearOnDwell, incident),
		Bounds:   disablable(hold(), 3000, ClearOnDwell),
	},
	LockContested: {
		Code: "lock.contested", Title: "lock contested", Class: ClassPublisher, UnknownAs: BusLost,
		Text:     "Somebody else writes on the lock topic.",
		Playbook: "Find the process that unlocks; remove it before resetting.",
		Default:  rule(stop(), 0, 2000, ClearByOperator, incident),
		Bounds:   disablable(hold(), 1000, ClearOnDwell),
	},
	LockLost: {
		Code: "lock.lost", Title: "lock without effect", Class: ClassPublisher, UnknownAs: BusLost, Overridable: true,
		Text:     "Nobody listens to the lock topic.",
		Playbook: "Check that the multiplexer runs and has the lock configured with a timeout.",
		Default:  rule(free(), 500, 1000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 5000, ClearOnClear),
	},
	BusLost: {
		Code: "bus.lost", Title: "bus unknown", Class: ClassBus, UnknownAs: BusLost,
		Text:     "The bus cannot be asked who publishes and who listens.",
		Playbook: "Check the master or the discovery.",
		Default:  rule(hold(), 0, 2000, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.3), 10000, ClearOnDwell),
	},
	LoopOverrun: {
		Code: "loop.overrun", Title: "guard too slow", Class: ClassSelf, UnknownAs: LoopOverrun,
		Text:     "The guard's loop has missed its deadline.",
		Playbook: "Look for load on the robot computer; check the guard's scheduling class.",
		Default:  rule(hold(), 0, 2000, ClearOnDwell, attending),
		Bounds:   atLeast(limited(0.3), 1000, ClearOnDwell),
	},
	ClockJump: {
		Code: "clock.jump", Title: "clock jumped", Class: ClassSelf, UnknownAs: ClockJump, Overridable: true,
		Text:     "The civil clock stepped against the boot clock, or the boot clock ran backwards.",
		Playbook: "Check the time source; look for a forged one.",
		Default:  rule(hold(), 0, 5000, ClearOnDwell, responsible),
		Bounds:   atLeast(free(), 1000, ClearOnDwell),
	},
	ClockUntrusted: {
		Code: "clock.untrusted", Title: "clock not trusted", Class: ClassSelf, UnknownAs: ClockUntrusted,
		Text:     "Civil time cannot be trusted, so schedules count with their most restrictive state.",
		Playbook: "Bring back the time source.",
		Default:  rule(free(), 0, 0, ClearOnClear, attending),
		Bounds:   disablable(free(), 60000, ClearOnClear),
	},
	JournalUnwritable: {
		Code: "journal.unwritable", Title: "journal cannot be written", Class: ClassSelf, UnknownAs: JournalUnwritable, Overridable: true,
		Text:     "Decisions cannot be recorded: the disk is full, read-only or failing.",
		Playbook: "Free or replace the disk. Records since then are missing, and the gap is noted.",
		Default:  rule(dock(), 1000, 5000, ClearOnDwell, responsible),
		Bounds:   atLeast(free(), 60000, ClearOnClear),
	},
	PolicyMissing: {
		Code: "policy.missing", Title: "no policy", Class: ClassSelf, UnknownAs: PolicyMissing,
		Text:     "No valid signed policy is loaded.",
		Playbook: "Load a signed policy for this robot.",
		Default:  rule(stop(), 0, 0, ClearOnClear, responsible),
		Bounds:   atLeast(stop(), 0, ClearOnClear),
	},
	PolicyExpired: {
		Code: "policy.expired", Title: "policy expired", Class: ClassSelf, UnknownAs: PolicyExpired, Overridable: true,
		Text:     "The policy's validity has ended.",
		Playbook: "Load a newer signed policy.",
		Default:  rule(dock(), 0, 1000, ClearOnDwell, responsible),
		Bounds:   atLeast(dock(), 0, ClearOnClear),
	},
	PolicyPin: {
		Code: "policy.pin-mismatch", Title: "profile or mapping changed", Class: ClassSelf, UnknownAs: PolicyPin,
		Text:     "The robot profile or the topic mapping is not the one that the policy pins.",
		Playbook: "Compare both files with what was signed; find out who changed them.",
		Default:  rule(stop(), 0, 0, ClearByOperator, incident),
		Bounds:   atLeast(stop(), 0, ClearByOperator),
	},
	Startup: {
		Code: "startup", Title: "starting", Class: ClassSelf, UnknownAs: Startup,
		Text:     "Not every required input has been seen since the guard started.",
		Playbook: "Wait; if it stays, look at the input that is named.",
		Default:  rule(hold(), 0, 500, ClearOnDwell, attending),
		Bounds:   atLeast(hold(), 0, ClearOnClear),
	},
	RestartUnclean: {
		Code: "restart.unclean", Title: "unclean end", Class: ClassSelf, UnknownAs: RestartUnclean, Overridable: true,
		Text:     "The guard's last run ended without its farewell: power cut, crash or kill.",
		Playbook: "Look around the robot; find out why the guard ended, then reset.",
		Default:  rule(hold(), 0, 0, ClearByOperator, attending),
		Bounds:   disablable(hold(), 0, ClearOnClear),
	},
	LatchUnreadable: {
		Code: "latch.unreadable", Title: "latches unreadable", Class: ClassSelf, UnknownAs: LatchUnreadable,
		Text:     "The file that keeps latches over a restart is missing, damaged or from another version.",
		Playbook: "Find out from the journal what was latched before; reset when it is dealt with.",
		Default:  rule(stop(), 0, 0, ClearByOperator, responsible),
		Bounds:   atLeast(stop(), 0, ClearByOperator),
	},
	Terminating: {
		Code: "guard.terminating", Title: "guard is ending", Class: ClassSelf, UnknownAs: Terminating,
		Text:     "The guard has been asked to end and brings the robot to rest first.",
		Playbook: "Nothing to do.",
		Default:  rule(hold(), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(hold(), 0, ClearOnClear),
	},
	OrderStop: {
		Code: "order.stop", Title: "stop ordered", Class: ClassOrder, UnknownAs: OrderStop,
		Text:     "A signed stop order is in force.",
		Playbook: "Ask who ordered it. It ends by a signed reset alone.",
		Default:  rule(stop(), 0, 0, ClearByOperator, attending),
		Bounds:   atLeast(stop(), 0, ClearByOperator),
	},
	OrderHold: {
		Code: "order.hold", Title: "hold ordered", Class: ClassOrder, UnknownAs: OrderHold, Creeps: true,
		Text:     "A hold is in force by order or schedule.",
		Playbook: "It ends when it is taken back.",
		Default:  rule(holdStill(), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(holdStill(), 0, ClearOnClear),
	},
	OrderDock: {
		Code: "order.dock", Title: "return to dock ordered", Class: ClassOrder, UnknownAs: OrderDock,
		Text:     "A return to the dock is in force by order or schedule.",
		Playbook: "It ends when it is taken back.",
		Default:  rule(dock(), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(dock(), 0, ClearOnClear),
	},
	OrderManipulators: {
		Code: "order.disable-manipulators", Title: "manipulators disabled by order", Class: ClassOrder, UnknownAs: OrderManipulators,
		Text:     "Arms and hands are disabled by order or schedule.",
		Playbook: "It ends when it is taken back.",
		Default:  rule(arms(ManipulatorsDisabled), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(arms(ManipulatorsDisabled), 0, ClearOnClear),
	},
	OrderPrivate: {
		Code: "order.private", Title: "privacy ordered", Class: ClassOrder, UnknownAs: OrderPrivate,
		Text:     "Cameras and microphones are closed by order or schedule.",
		Playbook: "It ends when it is taken back.",
		Default:  rule(private(), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(private(), 0, ClearOnClear),
	},
	OrderRemote: {
		Code: "order.block-remote", Title: "remote control blocked by order", Class: ClassOrder, UnknownAs: OrderRemote,
		Text:     "Teleoperation is blocked by order or schedule.",
		Playbook: "It ends when it is taken back.",
		Default:  rule(remote(RemoteBlocked), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(remote(RemoteBlocked), 0, ClearOnClear),
	},
	StopUnconfirmed: {
		Code: "stop.unconfirmed", Title: "stop not confirmed", Class: ClassActuation, UnknownAs: StopUnconfirmed,
		Text:     "Every rung of the ladder was asked, and no measurement confirms the standstill.",
		Playbook: "Use the emergency stop. Then find out why no actuator worked.",
		Default:  rule(stop(), 0, 2000, ClearByOperator, responsible),
		Bounds:   atLeast(stop(), 0, ClearByOperator),
	},
	MotionUntold: {
		Code: "motion.untold", Title: "moves while held", Class: ClassActuation, UnknownAs: MotionUntold,
		Text:     "The robot moves although it is held and its standstill was confirmed.",
		Playbook: "Use the emergency stop. Find out who or what moves it.",
		Default:  rule(stop(), 0, 2000, ClearByOperator, incident),
		Bounds:   atLeast(stop(), 1000, ClearByOperator),
	},
	ManipulatorsUntold: {
		Code: "manipulators.untold", Title: "arms move while disabled", Class: ClassActuation, UnknownAs: JointsMissing, Overridable: true, Hearsay: true,
		Text:     "An arm or hand moves although manipulators are held or disabled.",
		Playbook: "Keep away from the arms; find out who commands them.",
		Default:  rule(stop(), 500, 2000, ClearByOperator, incident),
		Bounds:   disablable(arms(ManipulatorsDisabled), 2000, ClearOnDwell),
	},
	PerceptionOpen: {
		Code: "perception.open", Title: "recording while private", Class: ClassActuation, UnknownAs: PerceptionOpen, Overridable: true, Hearsay: true,
		Text:     "A camera or microphone is active, or its state unknown, while the robot must be private.",
		Playbook: "Close the device; find out which process opened it.",
		Default:  rule(stop(), 1000, 1000, ClearOnDwell, incident),
		Bounds:   disablable(free(), 5000, ClearOnClear),
	},
	Advisory: {
		Code: "actuator.advisory", Title: "advisory only", Class: ClassActuation, UnknownAs: Advisory, Overridable: true,
		Text:     "No actuator would stop the robot if ROS were hostile.",
		Playbook: "Fit or repair an independent actuator, and name it in the robot profile.",
		Default:  rule(free(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(free(), 60000, ClearOnClear),
	},
	AttestationMissing: {
		Code: "attestation.missing", Title: "not attested yet", Class: ClassSelf, UnknownAs: AttestationMissing, Overridable: true,
		Text:     "No verifier has accepted this robot's evidence since the guard started.",
		Playbook: "Look whether the courier is connected and a verifier answers it.",
		Default:  rule(free(), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(free(), 60000, ClearOnClear),
	},
	AttestationExpired: {
		Code: "attestation.expired", Title: "attestation expired", Class: ClassSelf, UnknownAs: AttestationMissing, Overridable: true,
		Text:     "The validity of the accepted attestation result has ended, or a refusal ended it.",
		Playbook: "Let the robot attest again; look at the courier and the verifier.",
		Default:  rule(remote(RemoteViewOnly), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(free(), 60000, ClearOnClear),
	},
	AttestationFailed: {
		Code: "attestation.failed", Title: "attestation failed", Class: ClassSelf, UnknownAs: AttestationMissing, Overridable: true,
		Text:     "The verifier refused this robot's evidence, or the courier says that attestation failed.",
		Playbook: "Read the verifier's reasons; treat the robot's software as changed until they are explained.",
		Default:  rule(suspect(), 0, 0, ClearOnClear, incident),
		Bounds:   atLeast(free(), 1000, ClearOnClear),
	},
	PublisherProcess: {
		Code: "publisher.process", Title: "wrong process behind a publisher", Class: ClassPublisher, UnknownAs: PublisherProcess, Overridable: true,
		Text:     "The process behind a publisher is not the one that the topic mapping names.",
		Playbook: "Find the process; treat it as an intrusion until it is explained. It counts until its connection is gone.",
		Default:  rule(stop(), 0, 2000, ClearByOperator, incident),
		Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
	},
	PublisherUnproven: {
		Code: "publisher.unproven", Title: "process behind a publisher unknown", Class: ClassPublisher, UnknownAs: PublisherUnproven, Overridable: true,
		Text:     "The topic mapping names the process behind a publisher, and nobody says which one it is.",
		Playbook: "Check that the steward runs, and that the publisher runs on this computer.",
		Default:  rule(hold(), 0, 500, ClearOnDwell, attending),
		Bounds:   disablable(limited(0.5), 5000, ClearOnClear),
	},
	// A hold that ends by itself, and no stop, for whoever can send one datagram can cause it: what an unauthenticated
	// signal demands is capped, as for wrong heartbeat answers, or stopping the robot until somebody resets it would cost a
	// stranger nothing. It need not be more: what the second sender says is not taken by the guard, so no command of his
	// passes the gate. That he may be believed elsewhere on the bus is why the robot stands meanwhile. Whoever goes on, or
	// comes again, holds it for as long; the flap guard then latches that hold.
	PublisherConflict: {
		Code: "publisher.conflict", Title: "two senders as one publisher", Class: ClassPublisher, UnknownAs: BusLost, Overridable: true,
		Text:     "Two senders speak as one publisher.",
		Playbook: "Find the second sender; the log names both addresses. Treat it as an intrusion until it is explained.",
		Default:  rule(hold(), 0, 10000, ClearOnDwell, incident),
		Bounds:   disablable(limited(0.5), 5000, ClearOnDwell),
	},
	ZoneNoManipulation: {
		Code: "zone.no-manipulation", Title: "no manipulation here", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true,
		Text:     "The robot is, or may be, in a zone in which arms and hands rest.",
		Playbook: "Nothing to do. Work with the arms goes on outside of the zone.",
		Default:  rule(arms(ManipulatorsDisabled), 0, 0, ClearOnClear, attending),
		Bounds:   atLeast(arms(ManipulatorsHold), 500, ClearOnClear),
	},
	ZonePrivacy: {
		Code: "zone.privacy", Title: "privacy zone", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true,
		Text:     "The robot is, or may be, in a zone in which cameras and microphones are closed.",
		Playbook: "Nothing to do. The robot needs neither to leave the zone.",
		Default:  rule(unseen(), 0, 0, ClearOnClear, responsible),
		Bounds:   atLeast(private(), 500, ClearOnClear),
	},
	// A robot that stays too long has to be able to go: it may move slowly, and do nothing else.
	ZoneDwell: {
		Code: "zone.dwell", Title: "too long in a zone", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true, Creeps: true,
		Text:     "The robot has been in a zone for longer than it may stay there.",
		Playbook: "Send the robot on; look what keeps it there.",
		Default:  rule(slowAndIdle(), 0, 1000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 60000, ClearOnClear),
	},
	ZoneDoorHeld: {
		Code: "zone.door-held", Title: "door held", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true, Creeps: true,
		Text:     "The robot has been in a door for longer than a door may be held.",
		Playbook: "Send the robot on; look whether somebody followed it through the door.",
		Default:  rule(free(), 0, 1000, ClearOnDwell, attending),
		Bounds:   disablable(free(), 60000, ClearOnClear),
	},
	ZoneLeaseLost: {
		Code: "zone.lease-lost", Title: "lease lost inside", Class: ClassZone, UnknownAs: ZoneUnknown, Overridable: true,
		Text:     "The lease of the zone in which the robot is was revoked or has expired; it creeps on or out, as the zone says.",
		Playbook: "Ask the fleet management why, or sign a new lease.",
		Default:  rule(slowAndIdle(), 0, 1000, ClearOnDwell, attending),
		Bounds:   atLeast(free(), 1000, ClearOnClear),
	},
}
