package interlock

import (
	"testing"
	"time"
)

func TestDockFallsToHold(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *script)
		motion Motion
		why    DockDenial
	}{
		"possible":                     {func(*script) {}, MotionDockOnly, DockAllowed},
		"no way":                       {func(s *script) { s.in.DockPossible = false }, MotionHold, DockNotPossible},
		"carrying":                     {func(s *script) { s.in.Carrying = true }, MotionHold, DockCarrying},
		"carrying, and no way":         {func(s *script) { s.in.Carrying, s.in.DockPossible = true, false }, MotionHold, DockNotPossible},
		"no commander":                 {func(s *script) { s.in.DockChannel = 0 }, MotionHold, DockNotPossible},
		"pose uncertain":               {func(s *script) { s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)) }, MotionHold, DockPoseBad},
		"commander's commands":         {func(s *script) { s.set(CommandInvalid, Fault(CauseNotFinite, 7)) }, MotionHold, DockCommanderSuspect},
		"everybody's commands":         {func(s *script) { s.set(CommandInvalid, Fault(CauseNotFinite, 0)) }, MotionHold, DockCommanderSuspect},
		"another's commands":           {func(s *script) { s.set(CommandInvalid, Fault(CauseNotFinite, 3)) }, MotionDockOnly, DockAllowed},
		"second on the gate's topic":   {func(s *script) { s.set(PublisherSecond, Fault(CauseTooMany, 0)) }, MotionHold, DockCommanderSuspect},
		"second on another's topic":    {func(s *script) { s.set(PublisherSecond, Fault(CauseTooMany, 3)) }, MotionDockOnly, DockAllowed},
		"commander's channel misused":  {func(s *script) { s.set(ChannelHostile, Fault(CauseRepeated, 7)) }, MotionHold, DockCommanderSuspect},
		"strangers at the commander's": {func(s *script) { s.set(ChannelHostile, Fault(CauseWrongType, 7)) }, MotionDockOnly, DockAllowed},
		"few strangers there":          {func(s *script) { s.set(ChannelDegraded, Fault(CauseWrongType, 7)) }, MotionDockOnly, DockAllowed},
		"strangers by another trigger": {func(s *script) { s.set(PublisherSecond, Fault(CauseWrongType, 7)) }, MotionHold, DockCommanderSuspect},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, nil)
			// No policy may say so, but here the faults themselves shall not hold the robot.
			for _, tr := range []Trigger{PublisherSecond, CommandInvalid, ChannelHostile, ChannelDegraded} {
				s.m.rules.Rules[tr].Constraint = free()
			}
			s.run(5 * time.Second)
			s.set(OrderDock, Fault(CauseOrdered, 0))
			c.change(s)
			s.run(time.Second)
			if s.out.Axes.Motion != c.motion || s.out.Dock != c.why {
				t.Errorf("got %v because %v, want %v because %v", s.out.Axes, s.out.Dock, c.motion, c.why)
			}
			if c.motion == MotionHold && (s.out.Category != Category2 || s.out.Mode != ModeHold) {
				t.Errorf("got %v, %v", s.out.Category, s.out.Mode)
			}
		})
	}
}

func TestDockComesBackOnlyAfterADwell(t *testing.T) {
	s := newScript(t, nil)
	s.run(3 * time.Second)
	s.set(OrderDock, Fault(CauseOrdered, 0)).run(0)
	s.want(MotionDockOnly, OrderDock)
	s.in.DockPossible = false
	s.run(0)
	s.want(MotionHold, OrderDock)
	s.in.DockPossible = true
	s.run(1900 * ms)
	if s.out.Dock != DockSettling {
		t.Errorf("got %v", s.out.Dock)
	}
	s.want(MotionHold, OrderDock)
	s.run(100 * ms)
	s.want(MotionDockOnly, OrderDock)
}

func TestDockKeepsItsSpeedLimit(t *testing.T) {
	s := newScript(t, nil)
	s.run(3 * time.Second)
	s.set(OrderDock, Fault(CauseOrdered, 0)).set(OdometryMissing, Fault(CauseStale, 0)).run(time.Second)
	s.want(MotionDockOnly, OrderDock, OdometryMissing)
	if s.out.Axes.MaxSpeedMPS != 0.3 {
		t.Errorf("got %v", s.out.Axes)
	}
}

func TestHoldFallsToStopWhereItCannotLast(t *testing.T) {
	s := newScript(t, nil)
	s.in.HoldImpossible = true
	s.run(time.Second)
	s.want(MotionFree)
	s.set(OrderHold, Fault(CauseOrdered, 0)).run(0)
	s.want(MotionStop, OrderHold)
	s.set(OrderHold, OK()).set(OrderDock, Fault(CauseOrdered, 0))
	s.in.DockPossible = false
	s.run(0)
	s.want(MotionStop, OrderDock)
	if s.out.Dock != DockNotPossible {
		t.Errorf("got %v", s.out.Dock)
	}
}
