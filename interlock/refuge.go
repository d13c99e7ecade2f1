package interlock

import "time"

// Refuge is a way out of a zone in which the robot must not stand (a fire door,
// a lift's sill). The geofence finds it and passes only commands that lead along
// it; the machine decides whether a hold may become that creep.
type Refuge struct {
	// Possible is true while the robot is in such a zone, by a good pose, and can creep out in time.
	Possible bool
	// MPS is the creep's speed in m/s; NaN and negative values are 0, which holds.
	MPS float64
	// Within bounds for how long one hold may be a creep.
	Within time.Duration
}

// refuge turns a hold into a creep to the refuge where it may: nothing else than
// triggers that cast no doubt on pose, commander or base holds the robot, none
// of them is latched or a stop, and the bound on time is not used up. The time
// counts in full, and begins anew only after the hold has ended. Nobody drives
// from afar meanwhile.
func (m *Machine) refuge(a Axes, in *Inputs, present TriggerSet, dt time.Duration) (Axes, bool) {
	if m.creeping {
		m.crept = min(m.crept+dt, maxDuration)
	}
	a, m.creeping = m.mayCreep(a, in, present)
	return a, m.creeping
}

func (m *Machine) mayCreep(a Axes, in *Inputs, present TriggerSet) (Axes, bool) {
	if a.Motion > MotionHold {
		m.crept = 0
		return a, false
	}
	r := &in.Refuge
	if a.Motion != MotionHold || !r.Possible || in.HoldImpossible || !(r.MPS > 0) || m.crept >= min(r.Within, maxDuration) {
		return a, false
	}
	speed := min(r.MPS, in.Fence.Normal().MaxSpeedMPS)
	involved := m.on.Union(present)
	for t, ok := involved.Next(0); ok; t, ok = involved.Next(t + 1) {
		c := m.constraint(t).Normal()
		switch triggerTable[t].Class {
		case ClassPose, ClassPublisher, ClassBus:
			return a, false
		default:
		}
		switch {
		case c.Motion == MotionFree:
		case c.Motion == MotionLimited:
			speed = min(speed, c.MaxSpeedMPS)
		case c.Motion != MotionHold, !triggerTable[t].Creeps, m.latched.Has(t):
			return a, false
		}
	}
	if !(speed > 0) {
		return a, false
	}
	a.Motion, a.MaxSpeedMPS, a.Remote = MotionLimited, speed, min(a.Remote, RemoteViewOnly)
	return a.Normal(), true
}
