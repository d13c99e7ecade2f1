package interlock

// Cause says more closely why a trigger is present. Numbers are stable: new ones go to the end, and those of causes that are no more
// stay empty.
type Cause uint16

// The causes.
const (
	// CauseNone means that no closer cause is given.
	CauseNone Cause = iota
	// CauseUnknownInput means that an input that has been seen before is unknown now.
	CauseUnknownInput
	// CauseNeverSeen means that an input has not been seen since the start.
	CauseNeverSeen
	// CauseMissing means that nothing has arrived.
	CauseMissing
	// CauseStale means that the newest value is too old.
	CauseStale
	// CauseFuture means that the time stamp lies ahead.
	CauseFuture
	// CauseBackwards means that time stamps run backwards.
	CauseBackwards
	// CauseRepeated means that the same message came again.
	CauseRepeated
	// CauseNotFinite means that a value is NaN or infinite.
	CauseNotFinite
	// CauseBadRotation means that the quaternion is no rotation.
	CauseBadRotation
	// CauseWrongFrame means that the frame is not the pinned one.
	CauseWrongFrame
	// CauseCovarianceUnknown means that the covariance is absent, zero or no covariance.
	CauseCovarianceUnknown
	// CauseCovarianceHigh means that the covariance is above the limit.
	CauseCovarianceHigh
	// CauseJump means that the value moved further than it can.
	CauseJump
	// CauseFrozen means that the value stands still while the robot moves.
	CauseFrozen
	_ // was Disagree, which nothing raised
	_ // was MapUnknown, which nothing raised
	// CauseFloorUnknown means that the height fits no floor.
	CauseFloorUnknown
	// CauseOutOfLimits means that a value is outside its limits.
	CauseOutOfLimits
	// CauseIncomplete means that parts are missing.
	CauseIncomplete
	// CauseEnteredZone means that the contour entered the zone.
	CauseEnteredZone
	// CauseLoadedOver means that the zone was loaded over the robot.
	CauseLoadedOver
	// CauseShiftChanged means that the zone closed while the robot was in it.
	CauseShiftChanged
	// CauseLeftKeepIn means that the contour left the zone that it must stay in.
	CauseLeftKeepIn
	// CauseCannotStop means that measured motion cannot stop before the edge.
	CauseCannotStop
	// CauseTooFast means that the speed is above the limit.
	CauseTooFast
	// CauseNotCheckedIn means that the channel has not checked in at stop.
	CauseNotCheckedIn
	// CauseNoAnswer means that no valid answer within the timeout.
	CauseNoAnswer
	// CauseWrongAnswer means that an answer's authentication failed.
	CauseWrongAnswer
	// CauseUnknownChallenge means that an answer to a challenge that was never issued.
	CauseUnknownChallenge
	// CauseReplayedAnswer means that an answer came a second time.
	CauseReplayedAnswer
	_ // was LateAnswer, which nothing raised
	// CauseAskedToStop means that an authentic answer asks for a stop.
	CauseAskedToStop
	// CauseNotListed means that the name is not on the allow-list.
	CauseNotListed
	// CauseTooMany means that there are more than allowed.
	CauseTooMany
	// CauseOwnName means that somebody uses the guard's own name.
	CauseOwnName
	// CauseForeignSource means that the consumer is connected to somebody else.
	CauseForeignSource
	// CauseNotConnected means that the consumer is not connected to the gate.
	CauseNotConnected
	// CauseNotRegistered means that the bus does not list the gate.
	CauseNotRegistered
	// CauseUnlistedPeer means that a real connection has a peer that is not on the allow-list.
	CauseUnlistedPeer
	_ // was NoSuchPeer, which nothing raised
	// CauseNoReply means that the bus did not reply within the deadline.
	CauseNoReply
	// CauseForeignWriter means that somebody else writes.
	CauseForeignWriter
	_ // was NoListener, which nothing raised
	// CauseDeadlineMissed means that a step came late or took too long.
	CauseDeadlineMissed
	// CauseQueueOverflow means that a queue overflowed.
	CauseQueueOverflow
	// CauseClockStep means that the civil clock stepped.
	CauseClockStep
	// CauseBootClockBack means that the boot clock ran backwards.
	CauseBootClockBack
	// CauseCivilTooOld means that civil time is before the newest signed time.
	CauseCivilTooOld
	// CauseDiskFull means that the disk is full.
	CauseDiskFull
	// CauseReadOnly means that the file system is read-only.
	CauseReadOnly
	// CauseWriteFailed means that writing failed.
	CauseWriteFailed
	// CauseBadSignature means that a signature is missing or wrong.
	CauseBadSignature
	// CauseExpired means that the validity has ended.
	CauseExpired
	_ // was DigestMismatch, which nothing raised
	// CauseNotFound means that the file is not there.
	CauseNotFound
	// CauseDamaged means that the checksum is wrong.
	CauseDamaged
	// CauseVersionUnknown means that the version is not known.
	CauseVersionUnknown
	// CauseUncleanEnd means that the last run did not end in order.
	CauseUncleanEnd
	// CauseOrdered means that somebody with authority has ordered it.
	CauseOrdered
	_ // was Scheduled, which nothing raised
	_ // was Flapping, which nothing raised
	// CauseNoAck means that the actuator did not acknowledge.
	CauseNoAck
	// CauseRefused means that the actuator refused.
	CauseRefused
	// CauseStillMoving means that measurements show motion.
	CauseStillMoving
	// CauseSpeedUnknown means that no measurement shows the speed.
	CauseSpeedUnknown
	// CauseMovedAgain means that motion began after a confirmed standstill.
	CauseMovedAgain
	// CauseDeviceActive means that a device is active.
	CauseDeviceActive
	// CauseBelowLimit means that the value is below its limit.
	CauseBelowLimit
	// CauseNoIndependentRung means that every actuator needs the goodwill of ROS.
	CauseNoIndependentRung
	// CauseNoResult means that no attestation result has been accepted since the start.
	CauseNoResult
	// CauseVerifierRefused means that the verifier refused the evidence.
	CauseVerifierRefused
	// CauseClaimedFailed means that the courier says that attestation failed.
	CauseClaimedFailed
	// CauseProcessUnsaid means that nobody has said which process is behind the connection.
	CauseProcessUnsaid
	// CauseProcessAbsent means that no process of this computer is behind the connection.
	CauseProcessAbsent
	// CauseWrongUnit means that the process belongs to another unit.
	CauseWrongUnit
	// CauseWrongUser means that the process runs as another user.
	CauseWrongUser
	// CauseWrongExecutable means that the process runs another executable.
	CauseWrongExecutable
	// CauseInputsOverdue means that required inputs have not come within the policy's startup.input_timeout.
	CauseInputsOverdue
	// CauseTwoSenders means that somebody else speaks in a publisher's name.
	CauseTwoSenders
	// CauseNameTwice means that two publishers have one name.
	CauseNameTwice
	// CauseSourcesDiffer means that two sources of one value differ.
	CauseSourcesDiffer
	// CauseUnusable means that a value is missing, old or cannot be believed.
	CauseUnusable
	// CauseDeviceOpen means that a process has a recording device open.
	CauseDeviceOpen
	// CausePaused means that the program stood still while it collected its garbage.
	CausePaused
	// CauseContentUnsaid means that nobody has said which content is active.
	CauseContentUnsaid
	// CauseWrongContent means that the content that is active is not one that the release names.
	CauseWrongContent
	// CauseNoRelease means that no release in force names it.
	CauseNoRelease
	// CauseInputActive means that an input line says so.
	CauseInputActive
	// CauseChannelsDiffer means that the two lines of one input disagree.
	CauseChannelsDiffer
	// CauseChatter means that a line changes too often to be believed.
	CauseChatter
	// CauseNoReadBack means that a device's state differs from what it was told.
	CauseNoReadBack
	// CauseBusOff means that the controller has left its bus.
	CauseBusOff
	// CauseDeviceGone means that the device is not there.
	CauseDeviceGone
	// CauseNoEnvelope means that a command came without the envelope that its channel demands.
	CauseNoEnvelope
	// CauseBadEnvelope means that an envelope, or what is in it, cannot be read.
	CauseBadEnvelope
	// CauseUnknownKey means that a command names a key that its channel does not have.
	CauseUnknownKey
	// CauseMisdirected means that a command is for another robot or another topic.
	CauseMisdirected
	// CauseReplayedCommand means that a command came before, in this boot or an earlier one.
	CauseReplayedCommand
	// CauseWrongCode means that a command's authentication code is wrong.
	CauseWrongCode
	// CauseHeldBack means that an authentic command came too late or was overtaken.
	CauseHeldBack
	// CauseSequenceLeap means that a commander's sequence leaps.
	CauseSequenceLeap
	// CauseTooWeak means that the sender is known less well than the policy demands.
	CauseTooWeak
	_ // was NoSession, which nothing raised
	// CauseLoadTaken means that the robot was taken to carry more, or another load, than before.
	CauseLoadTaken
	// CauseTooOften means that commands come more often than they may.
	CauseTooOften
	// CauseWrongType means that a sender offers another message type or checksum.
	CauseWrongType
	// CauseMalformed means that bytes came that are no such message.
	CauseMalformed
	// CauseClockSkew means that the sender's clock differs from the robot's, or was set.
	CauseClockSkew
	// CauseDelayed means that commands come later than the quickest of late.
	CauseDelayed
	// CauseLossy means that commands are lost on the way.
	CauseLossy
	// CauseDropouts means that commands stay away in the middle of a motion, again and again.
	CauseDropouts
	// CauseUneven means that the interval between commands varies.
	CauseUneven
	// CauseNotTold means that it moves, and no command told it to.
	CauseNotTold
	// CauseNotFollowed means that it stands although it is told to move.
	CauseNotFollowed
	// CausePassedOver means that announcements were passed over among forged ones.
	CausePassedOver
	// CauseCommissioning means that a proof test is under way.
	CauseCommissioning
	// CauseNotCommissioned means that no valid record says that the robot stops as its profile claims.
	CauseNotCommissioned
	// CauseDueUnknown means that nobody knows whether the time is over, for lack of a clock.
	CauseDueUnknown
	// CauseTilted means that it leans further than it can stand.
	CauseTilted
	// CauseFreeFall means that it falls freely.
	CauseFreeFall
	// CauseImpact means that it hit the ground, or something hit it.
	CauseImpact
	// CauseUncounted means that no TPM counts the robot's starts.
	CauseUncounted
	// CauseUnanswered means that nobody has brought the TPM's word yet.
	CauseUnanswered
	// CauseTPMUnavailable means that the TPM is gone, busy, or does not answer.
	CauseTPMUnavailable
	// CauseTPMRefused means that the TPM answers, and refuses.
	CauseTPMRefused
	// CauseNotProven means that what was brought is not the TPM's word.
	CauseNotProven
	// CauseBehind means that the TPM has counted further than the disk knows.
	CauseBehind
	// CauseForgotten means that the TPM has counted, and the disk knows of no count.
	CauseForgotten
	// CauseCounterGone means that the TPM has no counter any more.
	CauseCounterGone
	// CauseCounterReplaced means that the TPM has something else in the counter's place, or that it stands lower than before.
	CauseCounterReplaced
	// CauseOtherTPM means that another TPM's key has signed.
	CauseOtherTPM
	// CausePartBehind means that a part of the disk is older than the rest.
	CausePartBehind
	// CauseBatteryEnds means that the battery will not last longer than the way down.
	CauseBatteryEnds
	// CauseTooHot means that the motors will be too hot by the end of the way down.
	CauseTooHot
	// CauseStoodLong means that it has been held standing for as long as it may.
	CauseStoodLong
	// CauseNoStep means that no posture that needs no power could be reached.
	CauseNoStep
	// NumCauses is the number of causes.
	NumCauses
)
