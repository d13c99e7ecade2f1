package interlock

// commanding are the triggers about how the robot is commanded: channels, publishers and the bus.
func commanding() [NumTriggers]Info {
	return [NumTriggers]Info{
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
		// A flood costs its sender nothing, so it rests on hearsay and slows down, and no more: whoever wants to write unseen by the
		// guard announces himself to the others alone and needs no flood. That nobody else is there is not known all the same.
		BusFlooded: {
			Code: "bus.flooded", Title: "bus flooded", Class: ClassBus, UnknownAs: BusLost, Overridable: true, Hearsay: true,
			Text:     "Forged announcements crowd out others: nobody can say that all who publish are known.",
			Playbook: "Find the sender; the log names its address. Treat it as an intrusion until it is explained.",
			Default:  rule(limited(0.5), 0, 2000, ClearOnDwell, incident),
			Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
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
			Playbook: "Find the second sender; the log names both addresses. A computer that speaks from two of its own has to be named in the deployment (dds.computers). Treat anything else as an intrusion until it is explained.",
			Default:  rule(hold(), 0, 10000, ClearOnDwell, incident),
			Bounds:   disablable(limited(0.5), 5000, ClearOnDwell),
		},
		// What is refused moves nothing, and the rightful commander's commands pass beside it. So whoever can send rubbish gains
		// no more than a slow robot, and that within the cap; he is still to be found.
		CommandUnproven: {
			Code: "channel.command-unproven", Title: "commands of nobody who may", Class: ClassBus, UnknownAs: CommandUnproven, Overridable: true, Hearsay: true,
			Text:     "Commands were refused whose sender did not prove to be whom the policy demands.",
			Playbook: "The cause says what was wrong. Look who publishes on the channel's topic; a commander with an old key, a deaf one and a recording played again look alike at first. Treat anything unexplained as an intrusion.",
			Default:  rule(limited(0.3), 200, 2000, ClearOnDwell, incident),
			Bounds:   disablable(free(), 5000, ClearOnClear),
		},
		// What a channel's health is read from, anybody can forge who gets into the commander's place on the bus, and spoil who gets
		// onto the network: so these are hearsay. None of them lets a command pass that would not; that a command which came
		// before is dropped is the gate's, and needs no trigger.
		ChannelDegraded: {
			Code: "channel.degraded", Title: "channel works badly", Class: ClassChannel, UnknownAs: ChannelDegraded, Overridable: true, Hearsay: true,
			Text:     "Commands on a channel come late, unevenly, not all of them, from a clock that is wrong, or beside a sender that does not fit.",
			Playbook: "Look at the radio link and the load of the commander's computer; the cause says what is wrong.",
			Default:  rule(limited(0.5), 500, 5000, ClearOnDwell, attending),
			Bounds:   disablable(free(), 10000, ClearOnClear),
		},
		ChannelLost: {
			Code: "channel.lost", Title: "channel silent", Class: ClassChannel, UnknownAs: ChannelLost,
			Text:     "A channel that the policy says the task needs sends no commands.",
			Playbook: "Bring the commander or its link back.",
			Default:  rule(holdStill(), 0, 1000, ClearOnDwell, attending),
			Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
		},
		ChannelHostile: {
			Code: "channel.hostile", Title: "channel misused", Class: ClassChannel, UnknownAs: ChannelDegraded, Overridable: true, Hearsay: true,
			Text:     "Commands on a channel come again, more often than they may, in another frame, or from senders of another type.",
			Playbook: "Find out who sends on the channel besides its commander; treat it as an intrusion until it is explained.",
			Default:  rule(hold(), 0, 10000, ClearOnDwell, incident),
			Bounds:   disablable(limited(0.5), 2000, ClearOnDwell),
		},
	}
}
