package demo

import (
	"math"
	"slices"
	"time"
)

// Reaction is one thing that a guard has to bring about. It is declared before the day and measured after it.
type Reaction struct {
	// Name says what has to happen.
	Name string
	// Trigger is the moment from which it is measured.
	Trigger Mark
	// Observable says what is looked at.
	Observable string
	// Unit of Least, Bar and the measurement: s, m, m/s, × or nothing for a count.
	Unit string
	// Least and Bar bound the measurement, both included.
	Least, Bar float64
	// measure returns NaN if what it looks for never came.
	measure func(*trace) float64
}

// Row is a reaction with its measurement.
type Row struct {
	Reaction
	// Measured is NaN if the reaction never came.
	Measured float64
	OK       bool
}

// measure holds a trace against every declared reaction.
func measure(t *trace) []Row {
	var out []Row
	for _, r := range Reactions() {
		m := math.NaN()
		if t.at(r.Trigger) >= 0 {
			m = r.measure(t)
		}
		out = append(out, Row{Reaction: r, Measured: m, OK: m >= r.Least && m <= r.Bar})
	}
	return out
}

// Figures that bars follow from. The policy's own are repeated here on purpose: a policy that was loosened by accident
// must show.
const (
	holdAfterS  = 0.6         // Silence of the operator's channel until the robot holds.
	periodS     = 0.2         // Between two challenges.
	deliverS    = 0.1         // From a decision to the robot, with the bus and one tick.
	graphS      = 1.0         // Between two looks at who publishes what.
	batteryS    = 10.5        // The policy believes a low charge after ten seconds; it is told twice a second.
	plantStopS  = 1.6         // The humanoid's longest stop from a zero command; hal/sim states it.
	edgeGapM    = 0.15 + 0.10 // What a robot at rest has to keep by profile and policy, and a hand's breadth.
	allowedDrag = 1.10        // Mission time with the guard against without.
)

// Reactions are the declared reactions in the order of the day.
func Reactions() []Reaction {
	return append(append(driving(), failing()...), wholeDayRows()...)
}

func driving() []Reaction {
	return []Reaction{
		{
			Name: "nothing moves before every input was seen", Trigger: markStart,
			Observable: "fastest command that reached the base while the IMU was silent", Unit: "m/s", Bar: 0,
			measure: func(t *trace) float64 { return fastest(t, markStart, markAwake) },
		},
		{
			Name: "the round is walked as fast as without a guard", Trigger: markRound,
			Observable: "time of three deliveries on two floors, against the same without a guard", Unit: "×", Bar: allowedDrag,
			measure: func(t *trace) float64 { return span(t, markRound, markRoundDone) / t.baseline.Seconds() },
		},
		{
			Name: "stands before the ward that closed at 20:00", Trigger: markWardDrive,
			Observable: "gap between the stated footprint at the true pose and the ward's edge, at rest", Unit: "m", Least: 0.001, Bar: edgeGapM,
			measure: func(t *trace) float64 { return restGap(t, markWardDrive, markWardEnd, "ward-a-closed") },
		},
		{
			Name: "stands before the pharmacy", Trigger: markPharmacy,
			Observable: "gap between the stated footprint at the true pose and the pharmacy's edge, at rest", Unit: "m", Least: 0.001, Bar: edgeGapM,
			measure: func(t *trace) float64 { return restGap(t, markPharmacy, markTurnAway, "pharmacy") },
		},
		{
			Name: "goes on standing there, though the planner pushes", Trigger: markStands,
			Observable: "way of the true body in 20 s", Unit: "m", Bar: 0.10,
			measure: func(t *trace) float64 {
				if inside(t, markStands, markTurnAway) {
					return math.NaN()
				}
				return drift(t, markStands, markTurnAway)
			},
		},
		{
			Name: "may turn and walk away from the edge", Trigger: markTurnAway,
			Observable: "time until the true body is 1 m away from the edge", Unit: "s", Bar: 25,
			measure: func(t *trace) float64 {
				return first(t, markTurnAway, markTurnEnd, func(s *sample) bool { return s.body > 1 })
			},
		},
	}
}

func failing() []Reaction {
	return append(channelRows(), []Reaction{
		{
			Name: "arms stop when a joint cannot be seen", Trigger: markEncoder,
			Observable: "time until no arm joint moves any more", Unit: "s", Bar: 0.2 + deliverS + 0.2,
			measure: func(t *trace) float64 {
				return settled(t, markEncoder, markEncoderBack, func(s *sample) bool { return !s.ArmsMoving })
			},
		},
		{
			Name: "low battery: the planner is not obeyed any more", Trigger: markBattery,
			Observable: "time until the planner's last command passed", Unit: "s", Bar: batteryS + deliverS,
			measure: func(t *trace) float64 { return lastPlanned(t, markBattery, markDocked) },
		},
		{
			Name: "low battery: home to the dock", Trigger: markBattery,
			Observable: "time until the true robot stands on its contact", Unit: "s", Bar: 200,
			measure: func(t *trace) float64 {
				if all := t.between(t.at(markBattery), t.at(markStranger)); len(all) == 0 || all[0].Docked {
					return math.NaN() // It has never left.
				}
				return first(t, markBattery, markStranger, func(s *sample) bool { return s.Docked })
			},
		},
		{
			Name: "a stranger's commands behind the gate come to nothing", Trigger: markStranger,
			Observable: "time until the true robot stands for good", Unit: "s", Bar: graphS + deliverS + plantStopS,
			measure: func(t *trace) float64 { return settled(t, markStranger, markStrangerEnd, (*sample).still) },
		},
	}...)
}

func channelRows() []Reaction {
	return []Reaction{
		{
			Name: "operator lost: no command passes", Trigger: markLinkDown,
			Observable: "time from the operator's last answer to the last command that was not zero", Unit: "s",
			Bar: holdAfterS + deliverS, measure: lastCommandAfterAnswer,
		},
		{
			Name: "operator lost: stands", Trigger: markLinkDown,
			Observable: "time from the operator's last answer until the true robot stands", Unit: "s",
			Bar: holdAfterS + deliverS + plantStopS, measure: restAfterAnswer,
		},
		{
			Name: "the stop stays when the link is back", Trigger: markLinkBack,
			Observable: "way of the true body in 12 s", Unit: "m", Bar: 0.02,
			measure: func(t *trace) float64 { return drift(t, markLinkBack, markForged) },
		},
		{
			Name: "a forged reset changes nothing", Trigger: markForged,
			Observable: "way of the true body in 4 s", Unit: "m", Bar: 0.02,
			measure: func(t *trace) float64 { return drift(t, markForged, markReset) },
		},
		{
			Name: "a signed reset alone starts nothing", Trigger: markReset,
			Observable: "way of the true body in 2 s, the planner's old command still standing", Unit: "m", Bar: 0.02,
			measure: func(t *trace) float64 { return drift(t, markReset, markGoOn) },
		},
		{
			Name: "after the signed reset it walks when told anew", Trigger: markGoOn,
			Observable: "time until the true robot walks", Unit: "s", Bar: 4,
			measure: func(t *trace) float64 {
				if all := t.between(t.at(markGoOn), t.at(markWalksAgain)); len(all) == 0 || !all[0].still() {
					return math.NaN() // It has been walking all the time.
				}
				return first(t, markGoOn, markWalksAgain, func(s *sample) bool { return s.SpeedMPS > 0.1 })
			},
		},
	}
}

func wholeDayRows() []Reaction {
	return []Reaction{
		{
			Name: "no part of the body in a forbidden zone, all day", Trigger: markStart,
			Observable: "smallest clearance of the true body from BLOCKED zones in force", Unit: "m", Least: 0.001, Bar: math.Inf(1),
			measure: smallestClearance,
		},
		{
			Name: "every delivery was made", Trigger: markRound,
			Observable: "trays handed over", Least: 3, Bar: 3,
			measure: func(t *trace) float64 { return float64(t.delivered) },
		},
	}
}

// span is the time between two marks in seconds.
func span(t *trace, from, to Mark) float64 {
	if t.at(from) < 0 || t.at(to) < 0 {
		return math.NaN()
	}
	return (t.at(to) - t.at(from)).Seconds()
}

// fastest is the largest commanded speed between two marks.
func fastest(t *trace, from, to Mark) float64 {
	most := 0.0
	for _, c := range t.commandsBetween(t.at(from), t.at(to)) {
		most = max(most, c.speed())
	}
	return most
}

// restGap is the footprint's clearance from a zone at the last long rest between two marks; NaN if the robot never stood
// there. Having been inside with the body counts as a gap below zero.
func restGap(t *trace, from, to Mark, zone string) float64 {
	gap, rest := math.NaN(), time.Duration(0)
	for i, all := 0, t.between(t.at(from), t.at(to)); i < len(all); i++ {
		s := &all[i]
		if s.zone == zone && s.body <= 0 {
			return s.body
		}
		if !s.still() || s.zone != zone {
			rest = s.at
			continue
		}
		if s.at-rest > 2*time.Second {
			gap = s.outline
		}
	}
	return gap
}

// drift is how far the robot got from where it was at the first mark, at most, until the second.
func drift(t *trace, from, to Mark) float64 {
	all := t.between(t.at(from), t.at(to))
	if len(all) == 0 || t.at(to) < 0 {
		return math.NaN()
	}
	most := 0.0
	for i := range all {
		dx, dy := all[i].X-all[0].X, all[i].Y-all[0].Y
		most = max(most, math.Sqrt(dx*dx+dy*dy))
	}
	return most
}

// inside says whether any part of the body was in a forbidden zone between two marks.
func inside(t *trace, from, to Mark) bool {
	return slices.ContainsFunc(t.between(t.at(from), t.at(to)), func(s sample) bool { return s.body <= 0 })
}

// first is the time from a mark until a condition is true for the first time before the next mark.
func first(t *trace, from, to Mark, is func(*sample) bool) float64 {
	for i, all := 0, t.between(t.at(from), t.at(to)); i < len(all); i++ {
		if is(&all[i]) {
			return (all[i].at - t.at(from)).Seconds()
		}
	}
	return math.NaN()
}

// settled is the time from a mark until a condition is true for good, up to the next mark.
func settled(t *trace, from, to Mark, is func(*sample) bool) float64 {
	all := t.between(t.at(from), t.at(to))
	since := math.NaN()
	for i := range all {
		switch {
		case !is(&all[i]):
			since = math.NaN()
		case math.IsNaN(since):
			since = (all[i].at - t.at(from)).Seconds()
		}
	}
	return since
}

// lastAnswer is when the operator's last answer arrived before the link was back.
func lastAnswer(t *trace) time.Duration {
	last := time.Duration(-1)
	for _, at := range t.answers {
		if back := t.at(markLinkBack); at <= back {
			last = at
		}
	}
	return last
}

func lastCommandAfterAnswer(t *trace) float64 {
	from, to := lastAnswer(t), t.at(markLinkBack)
	last := 0.0
	for _, c := range t.commandsBetween(from, to) {
		if !c.zero() {
			last = (c.at - from).Seconds()
		}
	}
	if from < 0 {
		return math.NaN()
	}
	return last
}

func restAfterAnswer(t *trace) float64 {
	from, to := lastAnswer(t), t.at(markLinkBack)
	if from < 0 {
		return math.NaN()
	}
	since := math.NaN()
	for _, s := range t.between(from, to) {
		switch {
		case !s.still():
			since = math.NaN()
		case math.IsNaN(since):
			since = (s.at - from).Seconds()
		}
	}
	return since
}

// lastPlanned is when the last command passed that only the planner can have given: it walks backwards, the dock
// commander never does.
func lastPlanned(t *trace, from, to Mark) float64 {
	last := 0.0
	for _, c := range t.commandsBetween(t.at(from), t.at(to)) {
		if c.twist.Linear.X < 0 {
			last = (c.at - t.at(from)).Seconds()
		}
	}
	return last
}

func smallestClearance(t *trace) float64 {
	best := math.Inf(1)
	for i := range t.samples {
		best = min(best, t.samples[i].body)
	}
	return best
}
