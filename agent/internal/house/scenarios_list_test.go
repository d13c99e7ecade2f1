package house

// catalogue is what other systems test (PX4's failsafe framework, Spot's e-stop and keepalive, Autoware's gate, Nav2's
// collision monitor), and then our own list from (a) to (p).
var catalogue = []scenarioGroup{
	{
		"PX4: sequences of the failsafe framework",
		"A person's takeover is a signed reset or grant here, and there is no single order of actions. They need no bus: the gate and the ladder are in the same core.",
		[]scenario{
			{"general", "lost, delay, action, a second cause escalates, one clears, the other keeps", []string{"interlock:TestPX4General"}, nil, nil, ""},
			{"takeover", "a person takes over one cause, and no other", []string{"interlock:TestPX4Takeover"}, nil, nil, ""},
			{"takeover_denied", "refused while the cause is there; termination is final", []string{"interlock:TestPX4TakeoverDeniedAndTerminationIsFinal"}, nil, nil, ""},
			{"degraded", "position lost: the next thing that can be done", []string{"interlock:TestPX4DegradedFailsafe"}, nil, nil, ""},
			{"no delay for warn", "a warning waits for no delay", []string{"interlock:TestPX4WarningWaitsForNoDelay"}, nil, nil, ""},
			{"none action", "what asks for nothing restricts nothing", []string{"interlock:TestPX4NoActionDoesNotRestrict"}, nil, nil, ""},
			{"no immediate takeover", "another channel is no takeover", []string{"interlock:TestPX4NoTakeoverByAnotherChannel"}, nil, nil, ""},
			{"auto-resume downgraded", "nothing drives on by itself after a stop", []string{"interlock:TestPX4NothingResumesByItselfAfterAStop"}, nil, nil, ""},
			{"defer", "bounded, refused while active, some break through", []string{"interlock:TestPX4Defer"}, nil, nil, ""},
			{"defer_and_clear", "gone while it was deferred", []string{"interlock:TestPX4DeferAndClear"}, nil, nil, ""},
			{"skip_failsafe", "already doing what it would ask for", []string{"interlock:TestPX4SkipFailsafe"}, nil, nil, ""},
			{"user_termination", "a person stops a robot that has no fault", []string{"interlock:TestPX4UserTermination"}, nil, nil, ""},
			{"fallback chain", "dock, hold, stop and back", []string{"interlock:TestPX4FallbackChain"}, nil, nil, ""},
			{"toggle", "a short cause that comes and goes fires", []string{"interlock:TestPX4ToggleOfAShortCauseIsRemembered", "interlock:TestExploreFlapping"}, nil, nil, ""},
		},
	},
	{
		"Spot: challenges, keepalive, leases", "",
		[]scenario{
			{"correct", "a correct answer feeds, and check-in is at stop", []string{"interlock:TestHeartbeatChecksInAtStop", "agent/guard:TestHeartbeatAnswers", "agent/internal/desk:TestAnswersAreTheGuards"}, []string{"test/e2e:TestHeartbeatLostHoldsThenStops", "agent:TestDeskAtARunningGuard"}, []string{"test/e2e:TestHeartbeatLostHoldsThenStops", "agent:TestDeskAtARunningGuard"}, ""},
			{"incorrect", "a wrong answer does not feed, and counts", []string{"interlock:TestHeartbeatAnswers", "interlock:TestOnlyTheKeyFeeds"}, []string{"test/e2e:TestWrongHeartbeatKeyIsHostile"}, []string{"test/e2e:TestWrongHeartbeatKeyIsHostile@qualify"}, ""},
			{"kept", "the challenge stays open after a wrong answer", []string{"interlock:TestHeartbeatBadAnswerDoesNotSpendTheChallenge"}, nil, nil, ""},
			{"replay", "an answer given twice, or forged", []string{"interlock:TestHeartbeatAnswers", "interlock:TestDetectionTimes"}, []string{"test/e2e:TestHostilePeers/answer-replayed", "test/e2e:TestHostilePeers/answer-forged", "agent:TestHostileAnswersAtARunningGuard"}, []string{"agent:TestHostileAnswersAtARunningGuard"}, ""},
			{"unknown endpoint", "an answer to no challenge of ours; a challenge of another robot or endpoint at the desk", []string{"interlock:TestHeartbeatAnswers", "agent/guard:TestHeartbeatAnswers", "agent/internal/desk:TestOtherChallengesAreNotAnswered"}, nil, nil, ""},
			{"server error", "no fresh random number, no challenge", []string{"interlock:TestHeartbeatRefusesWeakNonces"}, nil, nil, ""},
			{"periodic", "one challenge each period", []string{"interlock:TestHeartbeatSaysWhenTheNextChallengeIsDue", "agent/guard:TestChallengesGoOutOncePerPeriod"}, nil, nil, ""},
			{"back-off", "retries back off, with a ceiling", []string{"agent/courier:TestSessionBacksOff", "agent/courier:TestBackoffIsBoundedAndJitters"}, nil, nil, ""},
			{"lease", "older, newer, another boot; an expired lease", []string{"attest/order:TestSequencesOnlyGoUp", "agent:TestResultsCountInTheOrderOfTheirIssue", "agent:TestResultOfAnotherNeverCounts", "agent/guard:TestLeaseOfAFactIsOnTheBootClock"}, nil, nil, ""},
			{"resource tree", "one part restricted and not the others", []string{"interlock:TestAxesComeTogether", "interlock:TestModesCanHoldAtOnce"}, nil, nil, ""},
		},
	},
	{
		"Autoware: heartbeats, manoeuvres, the filter", "",
		[]scenario{
			{"kill the heartbeat", "the publisher is gone: hold, then stop, and the timeout asks the actuators", []string{"interlock:TestAutowareKilledHeartbeat", "agent/guard:TestHeartbeatLostHoldsThenStopsAndNeedsASignedReset", "interlock:TestDetectionTimes"}, []string{"test/e2e:TestHeartbeatLostHoldsThenStops", "test/e2e:TestExampleDesks", "agent:TestDeskAtARunningGuard"}, []string{"test/e2e:TestHeartbeatLostHoldsThenStops", "test/e2e:TestKilledDeskHoldsThenStops@qualify", "test/e2e:TestAttacks/desk killed@qualify", "agent:TestDeskAtARunningGuard"}, ""},
			{"clear during timeout", "refused", []string{"interlock:TestAutowareKilledHeartbeat"}, []string{"test/e2e:TestHeartbeatLostHoldsThenStops"}, []string{"test/e2e:TestHeartbeatLostHoldsThenStops"}, ""},
			{"startup", "nothing moves, and nothing latches, before the first heartbeat", []string{"interlock:TestAutowareKilledHeartbeat", "agent/guard:TestStartsClosedAndOpensOnlyWithEveryRequiredInput"}, nil, nil, ""},
			{"filter", "sinusoidal commands at four sets of parameters", []string{"interlock:TestAutowareFilterWithSinusoidalCommands"}, nil, nil, ""},
			{"operator service fails", "a service that refuses or hangs is passed over", []string{"interlock:TestLadderGoesOnAfterARefusal", "interlock:TestLadderGoesOnWithoutAnAck", "interlock:TestExploreLadder", "agent:TestRungThatHangsIsGivenUp"}, []string{"test/e2e:TestHostilePeers/graph-hang-service", "test/e2e:TestStopServiceThatFails/hang_stop_service", "test/e2e:TestStopServiceThatFails/refuse_stop_service@qualify"}, []string{"test/e2e:TestStopServiceThatFails/hang_stop_service", "test/e2e:TestStopServiceThatFails/refuse_stop_service@qualify"}, ""},
		},
	},
	{
		"Nav2: the collision monitor", "",
		[]scenario{
			{"bag metrics", "time to stop (v/a), overshoot (v²/2a), held, false stops, time to drive on; only where nothing is latched", []string{"interlock:TestNav2BagMetrics", "interlock:TestScenarioObstacleMetrics"}, []string{"test/e2e:TestBagMetrics", "test/e2e:TestBagMetricsLatched@qualify", "test/e2e:TestDriveAtBlockedZone", "test/e2e:TestApproaches"}, []string{"test/e2e:TestBagMetrics@qualify", "test/e2e:TestBagMetricsLatched@qualify", "test/e2e:TestDriveAtBlockedZone", "test/e2e:TestApproaches@qualify"}, ""},
			{"source timeout", "an input that falls silent", []string{"agent/guard:TestFaultsRestrict", "agent/guard:TestInputsOverdueAreNamed"}, []string{"test/e2e:TestRobotFaults/stop_odom"}, []string{"test/e2e:TestRobotFaults/stop_odom"}, ""},
			{"zeros", "zeros go on while nothing may pass", []string{"interlock:TestGateStopsAtOnceAndKeepsSendingZeros", "interlock:TestExploreGate"}, nil, nil, ""},
			{"NaN, frame, no transform", "each a named fault", []string{"geofence:TestPoseFaults", "agent/guard:TestEveryPoseFaultHasATrigger", "agent/guard:TestChainComposesMapToBase"}, []string{"test/e2e:TestRobotFaults/nan_pose"}, []string{"test/e2e:TestRobotFaults/nan_pose"}, ""},
			{"debounce", "a start delay, and the parameters that it refuses", []string{"interlock:TestShortCauseDoesNotFire", "interlock:TestPolicyRefuses"}, nil, nil, ""},
			{"zone to zone", "from one zone into another; edges; overlaps", []string{"geofence:TestOverlapsTakeTheMostRestrictive", "geofence:TestSpeedZone", "geofence:TestContourAgainstZone"}, nil, nil, ""},
		},
	},
	{
		"Ours: what none of them has", "",
		[]scenario{
			{"(a)", "pose hijacked, isolated, node shut down", nil, []string{"test/e2e:TestHostilePeers/slave-hijack", "test/e2e:TestHostilePeers/slave-blind", "test/e2e:TestHostilePeers/slave-shutdown", "hal/ros1:TestForgedRegisterDoesNotReplaceALiveFeed"}, []string{"test/e2e:TestHostilePeersOnDDS/forged odometry guid-spoofing", "test/e2e:TestHostilePeersOnDDS/second plant tells odometry@qualify", "test/dds:TestForgeriesOnOurs"}, ""},
			{"(b)", "a recorded command or order again, over a reboot too; sequence at its end", []string{"interlock:TestGateDrops", "interlock:TestGateAfterAStopWantsNeutral", "attest/order:TestARepeatedOrder", "attest/order:TestWhatWasCommittedIsUsedAfterARestart", "attest/order:TestSequencesOnlyGoUp", "agent/guard:TestRecordedCommandsDoNotPass", "interlock:TestChannelNumbersWrap", "interlock:TestDetectionTimes"}, []string{"test/e2e:TestProvenCommander/replay"}, []string{"test/e2e:TestProvenCommander/replay", "test/e2e:TestHostilePeersOnDDS/recorded command", "test/e2e:TestHostilePeersOnDDS/recorded command from the source@qualify"}, "a command without envelope, stamp and number that is recorded and sent again by a listed publisher is a command; sent by anybody else it is (j). On a bus a recording goes over the guard's next start; over a start of the computer, which is another boot id, in *qualify* only"},
			{"(c)", "clock steps of an hour, 1970, suspend, DST, expiry of the policy", []string{"interlock:TestClockWatch", "agent:TestClockTrust", "geofence:TestShiftsOverDSTNights", "geofence:TestUntrustedClockBindsEveryShift", "geofence:TestValidity", "agent/guard:TestFaultsRestrict"}, []string{"test/e2e:TestHostilePeers/graph-sim-time"}, []string{"test/e2e:TestHostilePeersOnDDS/clock of 1970"}, ""},
			{"(d)", "frozen pose with moving wheels, teleport, covariance zero or NaN or huge, future stamp", []string{"geofence:TestFrozen", "geofence:TestJumpBounds", "geofence:TestAssumedCovariance", "geofence:TestPoseFaults", "agent/guard:TestFaultsRestrict"}, []string{"test/e2e:TestRobotFaults/freeze_pose", "test/e2e:TestRobotFaults/teleport 3 0", "test/e2e:TestRobotFaults/zero_cov", "test/e2e:TestRobotFaults/future_stamp 2"}, []string{"test/e2e:TestRobotFaults/freeze_pose@qualify", "test/e2e:TestRobotFaults/teleport 3 0@qualify", "test/e2e:TestRobotFaults/zero_cov@qualify", "test/e2e:TestRobotFaults/future_stamp 2@qualify"}, ""},
			{"(e)", "a zone loaded over the robot", []string{"agent/guard:TestZoneLoadedOverTheRobotHoldsIt", "geofence:TestAZoneOverTheRobotHoldsIt"}, []string{"test/e2e:TestZoneLoadedOverADrivingRobot"}, []string{"test/e2e:TestZoneLoadedOverADrivingRobot@qualify"}, ""},
			{"(f)", "the way to the dock leads through a zone", []string{"agent/guard:TestDockPathThroughAZoneStopsBeforeIt", "interlock:TestDockFallsToHold"}, []string{"test/e2e:TestDockPathThroughABlockedZone@qualify"}, []string{"test/e2e:TestDockPathThroughABlockedZone"}, ""},
			{"(g)", "a stop is asked for and the robot goes on; a service hangs; it moves untold, or does not follow", []string{"interlock:TestFollowTroubles", "agent/guard:TestChannelsOfARobot", "interlock:TestScenarioBaseIgnoresTheGate", "interlock:TestScenarioNothingStopsTheRobot", "interlock:TestExploreLadder", "agent:TestRungThatHangsIsGivenUp"}, []string{"test/e2e:TestRobotThatKeepsMovingIsTold"}, []string{"test/e2e:TestRobotThatKeepsMovingIsTold"}, ""},
			{"(h)", "killed, stopped, out of memory, disk full or read-only, while it drives", []string{"agent/guard:TestResetAfterAnUncleanEndDrivesNobodyOn"}, []string{"test/e2e:TestKilledGuardLeavesRobotAtRest", "test/e2e:TestStoppedGuardLeavesRobotAtRest", "test/e2e:TestGuardOutOfMemoryLeavesRobotAtRest", "test/e2e:TestFullAndReadOnlyDisk"}, []string{"test/e2e:TestKilledGuardLeavesRobotAtRest", "test/e2e:TestStoppedGuardLeavesRobotAtRest@qualify", "test/e2e:TestGuardOutOfMemoryLeavesRobotAtRest@qualify", "test/e2e:TestFullAndReadOnlyDisk@qualify"}, ""},
			{"(i)", "an hour at the boundary with noise", []string{"geofence:TestStandingAtAnEdgeTripsOnce"}, nil, nil, ""},
			{"(j)", "a second publisher behind the gate; a node's name twice", []string{"agent/guard:TestFaultsRestrict", "agent/guard:TestTwoLivePlannersAreTwo", "interlock:TestPublisherWatchJudgesTheOutput"}, []string{"test/e2e:TestHostilePeers/bypass-base", "test/e2e:TestHostilePeers/graph-duplicate-node", "test/e2e:TestHostilePeers/graph-duplicate-trusted"}, []string{"test/e2e:TestHostilePeersOnDDS/unknown node commands base", "test/e2e:TestHostilePeersOnDDS/second planner commands", "test/e2e:TestHostilePeersOnDDS/guard's namesake commands@qualify"}, ""},
			{"(k)", "policy rolled back, signed by nobody, cut, very large", []string{"attest/order:TestSequencesOnlyGoUp", "attest/order:TestSignatureBitFlips", "agent:TestRefusedOrdersDoNothing", "agent:TestDocumentCutByAPowerCutIsWrittenAgain", "agent/config:TestLargeFiles", "agent/config:TestMutatedDocuments"}, []string{"test/e2e:TestRefusedPolicies@qualify"}, []string{"test/e2e:TestRefusedPolicies@qualify"}, ""},
			{"(l)", "an override ends while the robot is inside", []string{"agent/guard:TestGrantThatEndsInsideHoldsTheRobotThere"}, []string{"test/e2e:TestLeaseEndsInside@qualify"}, []string{"test/e2e:TestLeaseEndsInside"}, ""},
			{"(m)", "reset by a wrong role, by one person twice, while the cause is there", []string{"interlock:TestResetOutcomes", "interlock:TestTwoPersons", "interlock:TestExploreMachine", "agent:TestTwoPersonsAreCountedWhateverTheirRoles", "attest/order:TestTheSameSignatureTwiceCountsOnce"}, []string{"test/e2e:TestLatchSurvivesKill", "test/e2e:TestHeartbeatLostHoldsThenStops"}, []string{"test/e2e:TestLatchSurvivesKill@qualify", "test/e2e:TestHeartbeatLostHoldsThenStops"}, ""},
			{"(n)", "a storm of trips", []string{"interlock:TestScenarioStormAtOneKilohertz", "interlock:TestFlapGuardMergesAStorm"}, nil, nil, ""},
			{"(o)", "two floors, the same x and y", []string{"geofence:TestFloors", "geofence:TestEachFloorHasItsOwnKeepInHold", "agent/guard:TestTheSamePlaceOnAnotherFloor"}, nil, nil, ""},
			{"(p)", "the broker is down: enforcement as before", []string{"agent/courier:TestBrokerStopped", "agent/courier:TestGuardIsBusyMuteOrGone", "agent/guard:TestLosingFactsNeverLoosens"}, []string{"test/e2e:TestRolesKilledAtRandomMoments"}, []string{"test/e2e:TestBrokerDown", "test/e2e:TestRolesKilledAtRandomMoments@qualify", "test/e2e:TestWholeRobot@qualify"}, ""},
		},
	},
}
