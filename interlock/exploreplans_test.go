package interlock

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// exploredLadder has a service that answers, zero velocity, a relay that answers; it brakes for less than two quanta.
func exploredLadder() LadderConfig {
	return LadderConfig{
		Rungs: [MaxRungs]Rung{{Kind: RungService, AckWithin: quantum}, {Kind: RungZeroVelocity}, {Kind: RungRelay, AckWithin: quantum, Independent: true}},
		N:     3, React: quantum, DecelMPS2: 2, MaxSpeedMPS: 0.3, SettleDwell: quantum, ConfirmDwell: quantum, LostGrace: quantum,
	}
}

// machinePlan has the four ways to end: a dwell, a start delay before it, one person, two persons.
func machinePlan() plan {
	moved := []Trigger{PoseMissing, BusLost, HeartbeatLost, PublisherProcess}
	return plan{
		name: "machine", moved: moved, most: 60_000,
		rules: func(p *Policy) {
			p.Rules[BusLost].StartDelay = quantum
			p.Rules[PublisherProcess].Clear = ClearByTwoPersons
			p.SecondPerson = quantum
		},
		events: slices.Concat([]event{passing(1), passing(3)}, conditions(moved, Present, Clear, Unknown), resets(), reboots()[:1]),
	}
}

// flapPlan has the guard against flapping, over longer start delays, and every way to start again.
func flapPlan() plan {
	moved := []Trigger{PoseMissing, BusLost}
	return plan{
		name: "flapping and restarts", moved: moved, most: 60_000,
		rules: func(p *Policy) {
			p.FlapWindow = 3 * quantum
			p.Rules[BusLost].StartDelay = 2 * quantum
			p.Rules[BusLost].Dwell = 2 * quantum
		},
		events: slices.Concat([]event{passing(1), passing(3)}, conditions(moved, Present, Clear, Unknown), resets(PoseMissing), reboots()),
	}
}

// gatePlan has what a command may meet: a hold that ends by itself, a latched stop, docking.
func gatePlan() plan {
	moved := []Trigger{PoseMissing, OrderStop, BatteryLow}
	return plan{
		name: "gate", moved: moved, start: Clear, gate: true, most: 60_000,
		rules: func(p *Policy) {
			p.Rules[BatteryLow].StartDelay = 0
			p.Rules[BatteryLow].Clear = ClearOnClear
		},
		events: slices.Concat([]event{passing(1)}, conditions(moved, Present, Clear), resets()[:1], commands(0, 2)),
	}
}

// remotePlan has what caps a command or whose it may be, and a hold that is latched.
func remotePlan() plan {
	moved := []Trigger{HeartbeatLate, OrderRemote, ZoneInside}
	return plan{
		name: "remote control and caps", moved: moved, start: Clear, gate: true, most: 60_000,
		rules: func(p *Policy) {
			p.Rules[HeartbeatLate].Constraint = limited(0.5)
			p.Rules[HeartbeatLate].Clear = ClearOnClear
		},
		events: slices.Concat([]event{passing(1)}, conditions(moved, Present, Clear), resets()[:1], reboots()[:1], commands(0, 1)),
	}
}

// ladderPlan closes the loop: what the ladder says makes the machine demand more.
func ladderPlan() plan {
	moved := []Trigger{OrderHold, OrderStop}
	cfg := exploredLadder()
	return plan{
		name: "ladder", moved: moved, start: Clear, ladder: true, cfg: cfg, most: 100_000,
		rules: func(p *Policy) { p.Rules[MotionUntold].Clear = ClearNever },
		events: slices.Concat([]event{passing(1)}, conditions(moved, Present, Clear), resets()[1:2],
			motions(MotionUnknown, Moving, Settling, Standing), answers(&cfg)),
	}
}

func TestExploreMachine(t *testing.T) { explore(t, machinePlan()) }

func TestExploreFlapping(t *testing.T) { explore(t, flapPlan()) }

func TestExploreGate(t *testing.T) { explore(t, gatePlan()) }

func TestExploreRemote(t *testing.T) { explore(t, remotePlan()) }

func TestExploreLadder(t *testing.T) { explore(t, ladderPlan()) }

// pairPlan has a trigger beside others: one of its own class, one that latches, one that asks to dock.
func pairPlan() plan {
	moved := []Trigger{PoseMissing, PoseJump, HeartbeatLost, BatteryLow}
	return plan{
		name: "one more", moved: moved, start: Clear, most: 60_000,
		rules: func(p *Policy) {
			p.FlapWindow = 2 * quantum
			p.Rules[BatteryLow].Constraint.Manipulators = ManipulatorsFree
			p.Rules[BatteryLow].Clear = ClearOnClear
			p.Rules[PoseMissing].Constraint = limited(0.3)
			p.Rules[PoseMissing].StartDelay = quantum
		},
		events: slices.Concat([]event{passing(1)}, conditions(moved, Present, Clear), resets()[1:2]),
	}
}

func TestExploreOneMore(t *testing.T) {
	takesSeconds(t)
	states, err := explorePairs(pairPlan(), func(*system) {})
	t.Logf("%d pairs of states, fixpoint %v", states, err == nil)
	if err != nil {
		t.Fatal(err)
	}
}

// TestExploreOneMoreFindsWrongMachines has a machine that counts a trip less for each pose that is missing.
func TestExploreOneMoreFindsWrongMachines(t *testing.T) {
	takesSeconds(t)
	_, err := explorePairs(pairPlan(), func(s *system) {
		if s.d.ActiveSet.Has(PoseMissing) && s.d.ActiveSet.Has(BatteryLow) {
			s.d.Axes.Motion = MotionLimited
		}
	})
	var found *counterexample
	if !errors.As(err, &found) || !strings.Contains(found.rule, "one more trigger never loosens") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}
