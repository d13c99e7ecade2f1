package geofence

// The words of the semantics table for motion.
const (
	// MotionFree: nothing restricts.
	MotionFree = "free"
	// MotionHold: nothing passes.
	MotionHold = "hold"
	// MotionLimited: up to the zone's or the lease's speed.
	MotionLimited = "limited"
	// MotionSlowBefore: the braking curve down to that speed at the edge.
	MotionSlowBefore = "slow before it"
	// MotionStopBefore: the braking curve down to rest at the edge's margin.
	MotionStopBefore = "stop before it"
	// MotionNoCloser: creep speed, and no closer.
	MotionNoCloser = "creep, no closer"
	// MotionCreep: creep speed.
	MotionCreep = "creep"
	// MotionCreepOut: creep speed, on the way out only.
	MotionCreepOut = "creep out"
	// MotionTurn: a turn in place, and nothing else.
	MotionTurn = "turn in place"
	// MotionTurnAway: a turn in place, and creep speed away from the zone.
	MotionTurnAway = "turn in place, creep away"
)

// What is known of motion in a zone with a direction of travel.
const (
	alongIt    = "along it"
	againstIt  = "against it"
	acrossIt   = "across it"
	yawUnknown = "along it, heading not known well enough"
)

// The words of the semantics table for the other axes and for what is told.
const (
	ArmsRest          = "rest"
	PerceptionPrivate = "private"
	RemoteBlocked     = "blocked"
	EventDwell        = "dwell"
	EventDoorHeld     = "door held"
	EventLeaseLost    = "lease lost"
	EventWarn         = "warn"
)

// Effect is what holds in one cell of the semantics table; an empty word
// restricts nothing.
type Effect struct{ Motion, Manipulators, Perception, Remote, Event string }

// Case is one row of the semantics table: a kind of zone, what is known about
// what it asks, and what holds then in each place.
type Case struct {
	Kind Kind
	// Known says what is known beside the place.
	Known string
	// Effect is by Place, PlaceUnknown first.
	Effect [Inside + 1]Effect
}

// unsure says that nobody knows whether a zone binds.
const unsure = "role, clock, task or operator unknown"

// PlannerKind is a zone type of VDA 5050 that a policy cannot have, and why.
type PlannerKind struct{ Word, Why string }

// PlannerKinds are the zone types of VDA 5050 version 3 that have no rule here.
// They are refused, since a zone that is drawn and not enforced is worse than
// none.
func PlannerKinds() []PlannerKind {
	return []PlannerKind{
		{"LINE_GUIDED", "it binds the planner to its path; the guard sees motion, not plans"},
		{"COORDINATED_REPLANNING", "it binds the planner to ask before it plans anew; the guard sees motion, not plans"},
		{"ACTION", "it asks for actions; the guard only restricts"},
		{"PRIORITY", "it is advice for path planning, not a limit"},
		{"PENALTY", "it is advice for path planning, not a limit"},
	}
}

// WhyNot says why a zone type of VDA 5050 has no place in a policy, "" for other words.
func WhyNot(word string) string {
	for _, k := range PlannerKinds() {
		if k.Word == word {
			return k.Why
		}
	}
	return ""
}

// motion is a row that restricts motion only, by place.
func motion(outside, margin, inside string) [Inside + 1]Effect {
	return [Inside + 1]Effect{{Motion: MotionHold}, {Motion: outside}, {Motion: margin}, {Motion: inside}}
}

// with adds an effect where the robot is, or may be, in the zone or its margin.
func with(rows [Inside + 1]Effect, e Effect) [Inside + 1]Effect {
	for _, p := range [...]Place{PlaceUnknown, Margin, Inside} {
		r := &rows[p]
		r.Manipulators, r.Perception, r.Remote, r.Event = e.Manipulators, e.Perception, e.Remote, e.Event
	}
	return rows
}

// lost adds the event of a lost lease inside.
func lost(rows [Inside + 1]Effect) [Inside + 1]Effect {
	rows[Inside].Event = EventLeaseLost
	return rows
}

// warned adds the event of a warn ring, within which the contour is in the cell "outside" too.
func warned(rows [Inside + 1]Effect) [Inside + 1]Effect {
	for i := range rows {
		rows[i].Event = EventWarn
	}
	return rows
}

// blindly adds it under an unknown place alone.
func blindly(rows [Inside + 1]Effect) [Inside + 1]Effect {
	rows[PlaceUnknown].Event = EventWarn
	return rows
}

// Semantics is the table of what each kind of zone means. ZONES.md is written
// from it, and a test holds Step and Limit to it cell by cell.
func Semantics() []Case {
	shut := motion(MotionStopBefore, MotionNoCloser, MotionHold)
	slow := motion(MotionSlowBefore, MotionLimited, MotionLimited)
	clear := motion(MotionFree, MotionFree, MotionFree)
	var out []Case
	whom := func(k Kind, binds [Inside + 1]Effect) {
		out = append(out, Case{k, "binds", binds}, Case{k, unsure, binds}, Case{k, "does not bind", clear})
	}
	whom(Blocked, shut)
	out = append(
		out,
		Case{Blocked, "in its warn ring", warned(shut)},
		Case{Blocked, "only a higher load reaches it", clear},
		Case{Blocked, "load unknown, one reaches it", shut})
	whom(SpeedLimit, slow)
	whom(KeepIn, shut)
	out = append(out, Case{KeepIn, "none binds, floor denies", motion(MotionHold, MotionHold, MotionHold)},
		Case{KeepIn, "in its warn ring", warned(shut)})
	whom(NoManipulation, with(clear, Effect{Manipulators: ArmsRest}))
	whom(Privacy, with(clear, Effect{Perception: PerceptionPrivate, Remote: RemoteBlocked}))
	whom(DwellLimit, clear)
	out = append(out,
		Case{DwellLimit, "there for max_dwell", with(clear, Effect{Event: EventDwell})},
		Case{DwellLimit, "there for max_dwell, " + unsure, with(clear, Effect{Event: EventDwell})})
	for _, k := range [...]Kind{Release, Door} {
		whom(k, shut)
		out = append(
			out,
			Case{k, "lease requested, queued or rejected", shut},
			Case{k, "lease granted", slow},
			Case{k, "lease granted, shorter than a stop", motion(MotionStopBefore, MotionNoCloser, MotionLimited)},
			Case{k, "lease revoked or expired, STOP", shut},
			Case{k, "lease revoked or expired, CONTINUE", lost(motion(MotionStopBefore, MotionNoCloser, MotionCreep))},
			Case{k, "lease revoked or expired, CONTINUE, after within", shut},
			Case{k, "lease revoked or expired, EVACUATE", lost(motion(MotionStopBefore, MotionNoCloser, MotionCreepOut))},
			Case{k, "two leases, one of them revoked", shut},
			Case{k, "in its warn ring", warned(shut)},
			Case{k, "lease granted, in its warn ring", blindly(slow)})
	}
	out = append(
		out,
		Case{Door, "lease granted, for another fact", shut},
		Case{Door, "lease granted, there for max_dwell", with(slow, Effect{Event: EventDoorHeld})})
	whom(NoStop, clear)
	out = append(
		out,
		Case{NoStop, "held", motion(MotionHold, MotionHold, MotionCreepOut)},
		Case{NoStop, "held, " + unsure, motion(MotionHold, MotionHold, MotionHold)},
		Case{NoStop, "held, way out too long for within", motion(MotionHold, MotionHold, MotionHold)})
	return append(out, lanes()...)
}

// lanes are the rows of the kinds that have a direction of travel, by limitation
// and by where the motion leads, measured or commanded.
func lanes() []Case {
	free := motion(MotionFree, MotionFree, MotionFree)
	slow := motion(MotionSlowBefore, MotionCreep, MotionCreep)
	shut := motion(MotionStopBefore, MotionTurnAway, MotionTurn)
	var out []Case
	whom := func(k Kind, l Limitation, where string, binds [Inside + 1]Effect) {
		known := l.String() + ", " + where
		out = append(out, Case{k, known, binds}, Case{k, known + ", " + unsure, binds}, Case{k, known + ", does not bind", free})
	}
	whom(Directed, Strict, alongIt, free)
	whom(Directed, Strict, acrossIt, shut)
	whom(Directed, Strict, againstIt, shut)
	whom(Directed, Strict, yawUnknown, shut)
	whom(Directed, Restricted, alongIt, free)
	whom(Directed, Restricted, acrossIt, slow)
	whom(Directed, Restricted, againstIt, shut)
	whom(Bidirected, Restricted, alongIt, free)
	whom(Bidirected, Restricted, acrossIt, slow)
	whom(Bidirected, Restricted, againstIt, free)
	for _, k := range [...]Kind{Directed, Bidirected} {
		whom(k, Soft, alongIt, free)
		whom(k, Soft, acrossIt, free)
		whom(k, Soft, againstIt, free)
	}
	return out
}
