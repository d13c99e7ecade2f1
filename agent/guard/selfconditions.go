package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// badCommand is the last command that could not have been meant.
type badCommand struct {
	boot      time.Duration
	condition interlock.Condition
}

// note takes what the gate said about a command. The condition lasts for badCommandHold, since each decision comes
// before its command: else other events in between would hide a channel that sends nothing but rubbish.
func (b *badCommand) note(boot time.Duration, out *interlock.GateOutput, channel uint16) {
	if !out.Dropped {
		return
	}
	switch out.Reason {
	case interlock.GateNotFinite:
		*b = badCommand{boot, interlock.Fault(interlock.CauseNotFinite, channel)}
	case interlock.GateStale:
		*b = badCommand{boot, interlock.Fault(interlock.CauseStale, channel)}
	case interlock.GateFuture:
		*b = badCommand{boot, interlock.Fault(interlock.CauseFuture, channel)}
	default:
	}
}

func (c *Core) busConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	for _, t := range [...]interlock.Trigger{
		interlock.PublisherUnknown, interlock.PublisherSecond, interlock.GateBypass,
		interlock.GateUnregistered, interlock.LockContested, interlock.LockLost, interlock.BusLost, interlock.BusFlooded,
		interlock.PublisherConflict,
	} {
		set[t] = interlock.OK()
	}
	set[interlock.PublisherConflict] = conflict(boot, c.conflict, 0)
	for i := range c.watches {
		c.watches[i].conditions(boot, set)
	}
}

func (c *Core) selfConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	set[interlock.LoopOverrun] = c.loopFault
	c.hostConditions(boot, set)
	if c.tickBoot != 0 && boot-c.tickBoot > c.params.Loop.Hard {
		// Ticks that do not come at all cannot say so themselves.
		set[interlock.LoopOverrun] = interlock.Fault(interlock.CauseDeadlineMissed, 0)
	}
	set[interlock.ClockJump] = interlock.Worse(set[interlock.ClockJump], c.clockFault)
	set[interlock.ClockUntrusted] = present(c.tick.Trust == 0, interlock.CauseNone)
	set[interlock.JournalUnwritable] = c.tick.Journal.condition()
	if c.tickBoot == 0 {
		// Before the first tick nobody has asked the journal.
		set[interlock.JournalUnwritable] = interlock.Condition{}
	}
	set[interlock.PolicyMissing] = present(c.policyFault != interlock.CauseNone, c.policyFault)
	set[interlock.PolicyPin] = interlock.OK()
	set[interlock.Startup] = c.startup()
	set[interlock.RestartUnclean] = interlock.OK()
	if c.unclean {
		set[interlock.RestartUnclean] = interlock.Fault(interlock.CauseUncleanEnd, 0)
		c.unclean = false // The cause lies in the past; the latch stays.
	}
	set[interlock.LatchUnreadable] = interlock.OK() // The machine finds this one by itself.
	c.age.conditions(set)
	set[interlock.Terminating] = present(c.ending, interlock.CauseNone)
}

// startup is present until every required input has been seen once.
func (c *Core) startup() interlock.Condition {
	missing := c.params.Required &^ c.body.seen
	switch {
	case missing == 0:
		return interlock.OK()
	case c.overdue(c.now.Boot):
		return interlock.Fault(interlock.CauseInputsOverdue, uint16(missing))
	}
	return interlock.Fault(interlock.CauseNeverSeen, uint16(missing))
}

// overdue is true once required inputs have been missing for longer than the policy gives a start.
func (c *Core) overdue(boot time.Duration) bool {
	return c.params.Required&^c.body.seen != 0 && boot-c.started > c.params.InputTimeout
}

func (c *Core) orderConditions(set *[interlock.NumTriggers]interlock.Condition) {
	for _, t := range [...]interlock.Trigger{
		interlock.OrderHold, interlock.OrderDock, interlock.OrderManipulators, interlock.OrderPrivate, interlock.OrderRemote,
	} {
		set[t] = interlock.OK()
	}
	set[interlock.OrderHold] = present(c.trial.order.Hold, interlock.CauseCommissioning)
	// A stop order is an event, not a state: it fires the trigger, and the latch keeps it until a reset.
	set[interlock.OrderStop] = present(c.order.stop, interlock.CauseOrdered)
	c.order.stop = false
}

func (c *Core) actuationConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	set[interlock.StopUnconfirmed], set[interlock.MotionUntold] = c.rungs.Unconfirmed, c.rungs.Untold
	if !c.stirred {
		// Before the robot's drivers are up there is nothing to measure, and they may falter once more when they are. What is
		// missing holds or stops a robot that nobody let move and nobody saw move; a latch for it would be a nuisance at every
		// such start.
		none := interlock.OK()
		if c.params.Required&^c.body.seen != 0 {
			none = interlock.Condition{}
		}
		set[interlock.StopUnconfirmed], set[interlock.MotionUntold] = none, none
	}
	set[interlock.MotionExcess], set[interlock.MotionUnfollowed] = c.followStatus.Excess, c.followStatus.Unfollowed
	set[interlock.ManipulatorsUntold] = c.armsCondition(boot, c.decision.Axes.Manipulators)
	set[interlock.PerceptionOpen] = c.privacyCondition(boot)
	c.privacy.open = set[interlock.PerceptionOpen].State != interlock.Clear
	set[interlock.Advisory] = present(c.advisory(boot), interlock.CauseNoIndependentRung)
	if c.unproven(boot) {
		set[interlock.Advisory].Cause = interlock.CauseNotCommissioned
	}
	set[interlock.CommissioningOverdue] = c.dueCondition(boot)
	c.deviceConditions(boot, set)
}

// armsCondition says whether arms move that are disabled. Joints that cannot be read show nothing, so they are unknown.
func (c *Core) armsCondition(boot time.Duration, m interlock.Manipulators) interlock.Condition {
	j, p := &c.body.joints, &c.params.Joints
	switch {
	case p.Arms == 0 || m != interlock.ManipulatorsDisabled:
		return interlock.OK()
	case !fresh(boot, j.boot, c.body.seen&InputJoints != 0, p.MaxAge) || !j.complete || math.IsNaN(j.arms):
		return interlock.Condition{}
	}
	return present(j.arms >= p.ArmsBelow, interlock.CauseForeignWriter)
}

// dockChannel is the number of the channel whose commander drives to the dock, 0 if there is none.
func (c *Core) dockChannel() uint16 {
	for i := range c.params.Channels {
		if c.params.Channels[i].Dock {
			return uint16(i + 1)
		}
	}
	return 0
}
