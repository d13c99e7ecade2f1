package interlock

// acting are the triggers about what acts on the robot: the stop ladder, its devices, contacts, arms and cameras.
func acting() [NumTriggers]Info {
	return [NumTriggers]Info{
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
		InputEStop: {
			Code: "input.estop", Title: "emergency stop pressed", Class: ClassActuation, UnknownAs: InputStuck,
			Text:     "An emergency stop's line says that it is pressed, or its wire is broken.",
			Playbook: "Look around the robot and ask who pressed it. Release the button, then reset.",
			Default:  rule(stop(), 0, 0, ClearByOperator, attending),
			Bounds:   atLeast(stop(), 0, ClearByOperator),
		},
		InputDoor: {
			Code: "input.door", Title: "guard door open", Class: ClassActuation, UnknownAs: InputStuck,
			Text:     "A guard door's line says that it is open, or its wire is broken.",
			Playbook: "Close the door; nobody may be behind it.",
			Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
			Bounds:   atLeast(limited(0.3), 500, ClearOnDwell),
		},
		InputBumper: {
			Code: "input.bumper", Title: "bumper pressed", Class: ClassActuation, UnknownAs: InputStuck,
			Text:     "A bumper's line says that it touches something, or its wire is broken.",
			Playbook: "Look what the robot touches and free it by hand before resetting.",
			Default:  rule(stop(), 0, 1000, ClearByOperator, attending),
			Bounds:   atLeast(hold(), 0, ClearOnDwell),
		},
		InputStuck: {
			Code: "input.stuck", Title: "safety input cannot be believed", Class: ClassActuation, UnknownAs: InputStuck,
			Text:     "The two lines of a safety input disagree, a line chatters, or nobody can read it.",
			Playbook: "Look at the contact, its wires and the device that reads it, then operate it once.",
			Default:  rule(hold(), 0, 1000, ClearByOperator, attending),
			Bounds:   atLeast(hold(), 500, ClearOnDwell),
		},
		// No restriction by itself: what it costs is the word "enforcing", by actuator.advisory, once no other independent
		// rung works. A site that will not drive without it says so in its policy.
		ActuatorSilent: {
			Code: "actuator.silent", Title: "stop actuator does not answer", Class: ClassActuation, UnknownAs: ActuatorSilent, Overridable: true,
			Text:     "A device of the stop ladder does not answer, refuses, or does not do what it says.",
			Playbook: "Look at the device that is named: its power, its wires, its address.",
			Default:  rule(free(), 0, 1000, ClearOnDwell, attending),
			Bounds:   atLeast(free(), 10000, ClearOnDwell),
		},
		ActuatorBusOff: {
			Code: "actuator.bus-off", Title: "stop actuator's bus is off", Class: ClassActuation, UnknownAs: ActuatorSilent, Overridable: true,
			Text:     "The CAN controller that carries stop frames has left its bus after too many errors.",
			Playbook: "Look at the bus's wires, termination and bit rate; find out who disturbs it.",
			Default:  rule(free(), 0, 1000, ClearOnDwell, attending),
			Bounds:   atLeast(free(), 10000, ClearOnDwell),
		},
		PermitLost: {
			Code: "permit.lost", Title: "permit withdrawn without the guard", Class: ClassActuation, UnknownAs: PermitLost, Overridable: true,
			Text:     "The permit line or relay is off although the guard gives the permit.",
			Playbook: "Find out who or what took it: another safety device, a wire, the device itself.",
			Default:  rule(hold(), 0, 1000, ClearOnDwell, attending),
			Bounds:   atLeast(free(), 5000, ClearOnDwell),
		},
		MotionExcess: {
			Code: "motion.excess", Title: "moves more than told", Class: ClassActuation, UnknownAs: OdometryMissing, Overridable: true, Hearsay: true,
			Text:     "The robot moves faster than the gate told it, or although it was told nothing, and its latency does not explain it.",
			Playbook: "Find out who or what else moves it: another commander behind the gate, a slope, a person; or what is wrong with odometry.",
			Default:  rule(hold(), 300, 2000, ClearOnDwell, incident),
			Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
		},
		MotionUnfollowed: {
			Code: "motion.unfollowed", Title: "does not follow", Class: ClassActuation, UnknownAs: OdometryMissing, Overridable: true, Hearsay: true,
			Text:     "The robot has been told to move for a while, and stands. When it comes free it begins slowly.",
			Playbook: "Look whether something is in its way, a brake or emergency stop is set, its driver runs, and odometry is alive.",
			Default:  rule(limited(0.3), 0, 2000, ClearOnDwell, attending),
			Bounds:   disablable(free(), 5000, ClearOnClear),
		},
	}
}
