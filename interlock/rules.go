package interlock

import (
	"math"
	"time"
)

// Who may reset: whoever attends the robot; whoever answers for it; whoever handles incidents.
const (
	attending   = RoleSet(1<<RoleOperator | 1<<RoleSupervisor | 1<<RoleSafetyEngineer | 1<<RoleSecurity)
	responsible = RoleSet(1<<RoleSupervisor | 1<<RoleSafetyEngineer | 1<<RoleSecurity)
	incident    = RoleSet(1<<RoleSupervisor | 1<<RoleSecurity)
)

func free() Axes { return Unrestricted() }

func stop() Axes {
	return Axes{Motion: MotionStop, Manipulators: ManipulatorsDisabled, Perception: PerceptionFree, Remote: RemoteFree}
}

func hold() Axes {
	return Axes{Motion: MotionHold, Manipulators: ManipulatorsHold, Perception: PerceptionFree, Remote: RemoteFree}
}

// holdStill holds the base and leaves the arms to their task.
func holdStill() Axes {
	return Axes{Motion: MotionHold, Manipulators: ManipulatorsFree, Perception: PerceptionFree, Remote: RemoteFree}
}

func limited(mps float64) Axes {
	a := Unrestricted()
	a.Motion, a.MaxSpeedMPS = MotionLimited, mps
	return a
}

func dock() Axes {
	return Axes{
		Motion: MotionDockOnly, Manipulators: ManipulatorsHold, Perception: PerceptionFree, Remote: RemoteFree,
		MaxSpeedMPS: math.Inf(1),
	}
}

func arms(m Manipulators) Axes {
	a := Unrestricted()
	a.Manipulators = m
	return a
}

func private() Axes {
	a := Unrestricted()
	a.Perception = PerceptionPrivate
	return a
}

func remote(r Remote) Axes {
	a := Unrestricted()
	a.Remote = r
	return a
}

// unseen closes cameras and microphones, and whatever from afar needs them.
func unseen() Axes {
	a := private()
	a.Remote = RemoteBlocked
	return a
}

// slowAndIdle lets a robot go its way slowly and do nothing on it.
func slowAndIdle() Axes {
	a := limited(0.3)
	a.Manipulators = ManipulatorsHold
	return a
}

// suspect lets a robot creep whose software may have been changed, and nobody drive it from afar.
func suspect() Axes {
	a := limited(0.3)
	a.Remote = RemoteViewOnly
	return a
}

// rule is a default rule, enabled; start delay and dwell are in milliseconds.
func rule(a Axes, startDelay, dwell int, clear ClearCondition, roles RoleSet) Rule {
	return Rule{
		Enabled: true, Constraint: a, Clear: clear, Roles: roles,
		StartDelay: time.Duration(startDelay) * time.Millisecond, Dwell: time.Duration(dwell) * time.Millisecond,
	}
}

// atLeast bounds what a policy may say; the longest start delay is in milliseconds.
func atLeast(loosest Axes, maxStartDelay int, clear ClearCondition) Bounds {
	return Bounds{
		Loosest: loosest, MaxStartDelay: time.Duration(maxStartDelay) * time.Millisecond, LeastClear: clear,
	}
}

// disablable is atLeast for a trigger that a policy may disable, with a reason.
func disablable(loosest Axes, maxStartDelay int, clear ClearCondition) Bounds {
	b := atLeast(loosest, maxStartDelay, clear)
	b.MayDisable = true
	return b
}
