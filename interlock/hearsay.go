package interlock

// loosestCap is the mildest cap that a policy may set on hearsay.
func loosestCap() Axes { return limited(0.5) }

// Effective returns the policy as it counts: a trigger that rests on hearsay
// demands no more than the cap, and latches only where the policy lets it. What
// is effective stays as it is.
func (p Policy) Effective() Policy {
	for t := range NumTriggers {
		if !triggerTable[t].Hearsay {
			continue
		}
		r := &p.Rules[t]
		r.Constraint = loosen(r.Constraint, p.Cap)
		if !p.CapLatches {
			r.Clear = min(r.Clear, ClearOnDwell)
		}
	}
	return p
}

// bounds returns what a policy may say about t under its own cap.
func (p *Policy) bounds(t Trigger) Bounds {
	b := triggerTable[t].Bounds
	if triggerTable[t].Hearsay {
		b.Loosest = loosen(b.Loosest, p.Cap)
		if !p.CapLatches {
			b.LeastClear = min(b.LeastClear, ClearOnDwell)
		}
	}
	return b
}

// loosen returns a, but on every axis no more than the cap. Motion and its speed are one axis.
func loosen(a, most Axes) Axes {
	a, most = a.Normal(), most.Normal()
	out := Axes{
		Motion:       max(a.Motion, most.Motion),
		Manipulators: max(a.Manipulators, most.Manipulators),
		Perception:   max(a.Perception, most.Perception),
		Remote:       max(a.Remote, most.Remote),
		MaxSpeedMPS:  a.MaxSpeedMPS,
	}
	switch {
	case a.Motion < most.Motion:
		out.MaxSpeedMPS = most.MaxSpeedMPS
	case a.Motion == most.Motion:
		out.MaxSpeedMPS = max(a.MaxSpeedMPS, most.MaxSpeedMPS)
	}
	return out.Normal()
}
