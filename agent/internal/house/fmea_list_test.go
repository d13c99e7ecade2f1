package house

// analysis is what can fail, and what then becomes of the robot. Each row names the tests that do it; where nothing in the
// agent leads to stable rest, the row says what does.
var analysis = []fmeaGroup{
	{"The guard itself", []fmeaRow{
		{
			"its process is killed or crashes", "commands, lock and frames fall silent; a toggled permit falls, a watchdog bites, a level or relay stays",
			"the base's own timeout, the lock's timeout; at the next start the mark of the run", "yes, by silence",
			[]string{"test/e2e:TestKilledGuardLeavesRobotAtRest", "agent:TestUncleanMark", "hal/gpio:TestToggledLineFallsWithItsOwner", "hal/watchdog:TestOnlyAnOrderlyEndSwitchesItOff"},
		},
		{"its process is stopped or starved", "ticks end; drivers of devices go on", "devices see no progress and take the permit; loop.overrun when it goes on; systemd's watchdog", "yes, by silence and by the devices", []string{"test/e2e:TestStoppedGuardLeavesRobotAtRest", "hal/actuator:TestRunnerTakesThePermitFromALoopThatStandsStill", "agent/internal/notify:TestOnlyProgressIsASignOfLife", "agent/guard:TestFaultsRestrict/ticks stop"}},
		{"it runs out of memory", "as killed", "as killed", "yes, by silence", []string{"test/e2e:TestGuardOutOfMemoryLeavesRobotAtRest"}},
		{"its computer loses power or is reset", "as killed; the journal keeps its longest valid prefix", "the mark of the run at the next start", "yes, by silence", []string{"test/machine:TestARM64Machine", "agent/journal:TestKill"}},
		{"its disk is full, read-only or hangs", "decisions go on, records are lost", "journal.unwritable, a gap record", "docks or holds, as policy says", []string{"test/e2e:TestFullAndReadOnlyDisk", "agent:TestStopDoesNotWaitForADiskThatHangs", "agent/journal:TestOutage"}},
		{"its latches file is lost or damaged", "what was latched is unknown", "latch.unreadable", "yes, stopped until a reset", []string{"interlock:TestUnreadableLatches", "agent:TestStartIsHeldRatherThanRefused"}},
		{"civil time is wrong", "shifts and validity cannot be judged", "clock.jump, clock.untrusted", "held, or the most restrictive shift", []string{"interlock:TestClockWatch", "agent/guard:TestFaultsRestrict/clock steps ahead"}},
		{"no valid policy, profile or mapping", "nothing to decide by", "policy.missing, policy.pin-mismatch; check before the start", "yes, stopped", []string{"agent:TestStartIsHeldRatherThanRefused", "agent:TestFirstStartIsRefused"}},
		{"it ends in order", "falls silent after the robot stands", "guard.terminating", "yes, first", []string{"agent/guard:TestFaultsRestrict/the guard ends", "hal/actuator:TestRunnerEndsStoppedAndTellsWhetherSettled"}},
	}},
	{"What it measures by", []fmeaRow{
		{"pose lost, old, frozen, jumping, impossible, of another frame or from the future", "where the robot is cannot be known", "pose.*", "yes, held", []string{"agent/guard:TestFaultsRestrict", "test/e2e:TestRobotFaults"}},
		{"odometry lost or impossible", "speed and standstill have one source less", "odometry.missing", "creeps; a stop is confirmed by nothing and goes on to the last rung", []string{"agent/guard:TestFaultsRestrict/odometry silent", "interlock:TestLadderTakesAnUnknownSpeedForTheTopSpeed"}},
		{"odometry says that it stands while it moves", "a stop would be believed too early", "joints or inertial sensor must agree", "yes, the ladder goes on", []string{"interlock:TestScenarioOdometryAloneConfirmsNothing", "interlock:TestStandsOnlyAtRest"}},
		{"joint states lost, incomplete or impossible", "arms and standstill are unknown", "joints.missing, joints.invalid", "yes, held", []string{"agent/guard:TestFaultsRestrict/joints silent", "agent/guard:TestFaultsRestrict/joint NaN"}},
		{"the battery's state is lost or low", "rest may not last", "battery.low", "docks", []string{"agent/guard:TestFaultsRestrict/battery silent"}},
	}},
	{"Who commands", []fmeaRow{
		{"the operator's link is lost", "nobody supervises", "channel.heartbeat-late, then -lost", "yes, held, then stopped", []string{"test/e2e:TestHeartbeatLostHoldsThenStops", "agent/guard:TestHeartbeatLostHoldsThenStopsAndNeedsASignedReset"}},
		{"heartbeats are forged or replayed", "a stranger could keep the robot running", "channel.heartbeat-hostile; they feed nothing", "yes, held", []string{"interlock:TestOnlyTheKeyFeeds", "test/e2e:TestWrongHeartbeatKeyIsHostile"}},
		{"commands are NaN, infinite, stale or from the future", "the base would do something else", "dropped; channel.command-invalid", "yes, held", []string{"interlock:TestGateDrops", "agent/guard:TestFaultsRestrict/commands NaN"}},
		{"a stranger publishes commands", "the robot follows him", "publisher.unknown, publisher.second; not let through", "yes, stopped", []string{"test/e2e:TestHostilePeers", "agent/guard:TestFaultsRestrict/second publisher on the input"}},
		{"somebody publishes behind the gate", "the gate is passed by", "gate.bypass", "yes, by lock or device; without one advisory", []string{"agent/guard:TestFaultsRestrict/the base listens to somebody else", "agent/guard:TestEveryRungMeetsEveryFault"}},
		{"master or discovery is gone", "who publishes cannot be known", "bus.lost", "yes, held", []string{"agent/guard:TestFaultsRestrict/graph silent"}},
	}},
	{"What stops the robot", []fmeaRow{
		{"a rung refuses, hangs, lies, is slow or is gone", "the robot drives on", "no acknowledgement in time, no standstill by two measurements: the next rung", "yes, by the next rung; after the last stop.unconfirmed and advisory", []string{"agent/guard:TestEveryRungMeetsEveryFault"}},
		{"the base ignores zero velocity", "the robot drives on", "no standstill", "yes, by the next rung", []string{"interlock:TestScenarioBaseIgnoresTheGate", "test/e2e:TestRobotThatKeepsMovingIsTold"}},
		{"the lock is opened by somebody else", "the base may move", "lock.contested", "yes, stopped", []string{"agent/guard:TestFaultsRestrict/lock contested by a value"}},
		{"the vendor's service hangs", "no answer", "no acknowledgement in time", "yes, by the next rung", []string{"agent:TestRungThatHangsIsGivenUp", "agent/guard:TestEveryRungMeetsEveryFault"}},
		{"every rung fails", "the robot drives on", "stop.unconfirmed, actuator.advisory", "no: the certified e-stop", []string{"interlock:TestScenarioNothingStopsTheRobot", "agent/guard:TestEveryRungMeetsEveryFault"}},
		{"the robot stops later or more weakly than its profile claims", "stopping distances are too short", "the proof test; overdue: commissioning.overdue", "yes, by every rung in the test; without a record advisory", []string{"test/simulate:TestCommissioningRefuses", "agent:TestRecordOfAProofTestIsJudged"}},
		{"the technician, his tool or odometry fails in a proof test", "the robot drives on by hand", "his confirmation is renewed each second; any trigger; silence of odometry", "yes, held until nobody commands it", []string{"test/simulate:TestCommissioningEndsAtRest"}},
		{"it moves again after a confirmed stop", "somebody or something moves it", "motion.untold", "yes, by the next rungs", []string{"interlock:TestScenarioPushedWhileHeld", "interlock:TestLadderGoesOnWhenTheRobotMovesAgain"}},
		{"power is cut from a robot that balances by it", "it falls", "the profile is refused; a cut waits for the robot to settle", "the cut does not happen", []string{"agent/config:TestBadDocuments", "interlock:TestPowerGoesOnlyFromARobotThatHasSettled"}},
	}},
	{"Devices", []fmeaRow{
		{"the relay does not answer, refuses, babbles or is unplugged", "one rung less", "actuator.silent; advisory if it was the last that works without ROS", "yes, by other rungs", []string{"agent:TestRelayThroughTheWholeGuard", "hal/modbus:TestContractTCP", "hal/modbus:TestContractSerial", "agent/guard:TestDevicesRestrict/relay refuses"}},
		{"the relay says that it has switched and has not", "the permit stays", "read back: mismatch", "yes, by the next rung", []string{"hal/modbus:TestContractTCP"}},
		{"somebody else switches the relay", "the permit is taken or given", "read back: permit.lost, actuator.silent; set right", "yes, held", []string{"hal/modbus:TestSomebodyElseSwitches", "agent/guard:TestDevicesRestrict/permit taken by somebody else"}},
		{"a permit line is shorted or its chip is gone", "the permit stays, or falls", "read back: mismatch, gone", "yes, by the next rung", []string{"hal/gpio:TestContract"}},
		{"the CAN bus is off, cut or jammed", "stop frames do not arrive", "actuator.bus-off, actuator.silent", "yes, by the drive's own timeout and other rungs", []string{"hal/can:TestContract", "hal/can:TestBusOffLastsUntilTheControllerIsBack", "agent/guard:TestDevicesRestrict/bus off"}},
		{"another node sends the stop frame's identifier", "the drive may hear run", "not taken for our own; the drive's answer", "yes, by the next rung", []string{"hal/can:TestAForeignFrameConfirmsNothing", "hal/can:TestADriveThatSaysOtherwise"}},
		{"the watchdog has other times than the profile says", "it bites later than the ladder reckons", "read back: mismatch; not used", "yes, by other rungs", []string{"hal/watchdog:TestTimesThatItDoesNotHave"}},
		{"a device hangs in the kernel", "its driver waits", "no report for 1.5 s: actuator.silent; the path does not wait", "yes, by other rungs", []string{"agent/guard:TestDevicesRestrict/relay silent", "hal/actuator:TestRunnerFaults"}},
		{"an e-stop, door or bumper is operated", "somebody needs the robot to stand", "input.estop, input.door, input.bumper", "yes", []string{"agent/guard:TestDevicesRestrict/e-stop pressed", "agent/guard:TestDevicesRestrict/door open", "agent/guard:TestDevicesRestrict/bumper pressed"}},
		{"a contact's wire breaks", "reads as pressed", "as pressed", "yes", []string{"hal/gpio:TestFilter"}},
		{"one of two contacts is stuck", "the next press has one contact", "input.stuck; either contact counts", "yes, held until a reset", []string{"hal/gpio:TestFilter", "hal/gpio:TestFilterNeverMissesAPress", "agent/guard:TestDevicesRestrict/contacts of the e-stop differ"}},
		{"the only contact of an input is stuck released", "a press is not seen", "none: check warns about e-stops without a second contact", "no: the certified e-stop", []string{"agent/config:TestSingleContactIsWarnedOf"}},
		{"an input cannot be read", "a press is not seen", "input.stuck", "yes, held until a reset", []string{"agent/guard:TestDevicesRestrict/inputs silent", "hal/gpio:TestInputTellsWhatItReads"}},
		{"a device or input never comes up", "the robot does not open, or is advisory", "startup, actuator.silent", "yes, held", []string{"agent/guard:TestStartWaitsForDevices"}},
	}},
	{"The other roles", []fmeaRow{
		{"steward ends or hangs", "processes behind publishers become unknown", "its facts' leases end: publisher.unproven", "held where the mapping demands processes", []string{"agent/guard:TestLosingFactsNeverLoosens", "test/e2e:TestRolesKilledAtRandomMoments"}},
		{"courier ends, hangs or the network is gone", "nothing is reported; results run out", "attestation.expired", "as policy says; nothing loosens", []string{"agent/guard:TestAttestationStates", "test/e2e:TestRolesKilledAtRandomMoments"}},
		{"courier or steward is hostile", "lies, floods, half messages", "unsigned facts only tighten, with leases; rations", "held at most", []string{"test/e2e:TestMaliciousCourier", "agent/guard:TestUnsignedFactsNeverLoosen", "agent:TestHostileFramesEndOnlyTheirConnection"}},
		{"the guard's process is taken over", "it could reach files and hosts", "Landlock and seccomp; a device list, an address list", "not covered: devices that see no progress stop it", []string{"agent/internal/confine:TestEveryWallIsTried", "hal/actuator:TestRunnerTakesThePermitFromALoopThatStandsStill"}},
	}},
}
