package interlock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oneMoreNeverLoosens checks that a trigger which is present in one history and clear in another, all else being
// equal, never gives a looser decision, then or later.
func oneMoreNeverLoosens(t *rapid.T, wrap func(m *Machine) decider) error {
	p := drawPolicy(t)
	base, _ := New(p)
	worse, _ := New(p)
	x := anyTrigger().Draw(t, "one more")
	a, b := wrap(base), wrap(worse)
	h := newHistory(t)
	var da, db Decision
	for i := range rapid.IntRange(1, 50).Draw(t, "steps") {
		h.next()
		h.in.Conditions[x] = OK()
		a.Step(h.now, h.in, &da)
		if da.PresentSet.Has(x) || da.ActiveSet.Has(x) {
			// It answers for another input that is unknown, so it is there in both.
			return nil
		}
		if rapid.Bool().Draw(t, "present") {
			h.in.Conditions[x] = Fault(CauseStale, 0)
		}
		b.Step(h.now, h.in, &db)
		if !db.Axes.TightAs(da.Axes) {
			return fault("step %d: %v loosens %v (%s) to %v (%s)", i, x, da.Axes, names(da.ActiveSet), db.Axes, names(db.ActiveSet))
		}
		if req, ok := h.reset(); ok {
			ra, rb := base.Reset(h.now, req), worse.Reset(h.now, req)
			if ra.Done != rb.Done {
				// Somebody with authority has changed one and not the other.
				return nil
			}
		}
		if p, ok := h.load(); ok {
			_, _ = base.Load(p), worse.Load(p)
		}
	}
	return nil
}

func TestOneMoreNeverLoosens(t *testing.T) {
	check(t, func(t *rapid.T) error {
		return oneMoreNeverLoosens(t, func(m *Machine) decider { return m })
	})
}

// wrongMachine changes what a machine says.
type wrongMachine struct {
	*Machine
	after func(m *Machine, out *Decision)
}

func (w wrongMachine) Step(now time.Duration, in *Inputs, out *Decision) {
	w.Machine.Step(now, in, out)
	w.after(w.Machine, out)
}

func TestOneMoreNeverLoosensFindsWrongMachines(t *testing.T) {
	for name, after := range map[string]func(m *Machine, out *Decision){
		"the worst action alone": func(_ *Machine, out *Decision) {
			if out.N > 0 {
				out.Axes = out.Active[0].Constraint
			}
		},
		"the newest trigger alone": func(m *Machine, out *Decision) {
			if t, ok := out.FiredSet.Next(0); ok {
				out.Axes = m.constraint(t)
			}
		},
		"docks in spite of a bad pose": func(_ *Machine, out *Decision) {
			if out.Dock == DockPoseBad {
				out.Axes.Motion = MotionLimited
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				return oneMoreNeverLoosens(t, func(m *Machine) decider { return wrongMachine{m, after} })
			})
		})
	}
}

// latchesHold checks that what has latched stays, with all that it restricts, until a reset says that it is done:
// through other triggers, policies, snapshots, restarts and clocks that run backwards.
func latchesHold(t *rapid.T, wrong func(m *Machine)) error {
	m, _ := New(drawPolicy(t))
	h := newHistory(t)
	var out Decision
	held := map[Trigger]Axes{}
	for i := range rapid.IntRange(1, 50).Draw(t, "steps") {
		h.next()
		m.Step(h.now, h.in, &out)
		for tr, constraint := range held {
			if !out.LatchedSet.Has(tr) || !out.ActiveSet.Has(tr) {
				return fault("step %d: %v is gone without a reset", i, tr)
			}
			if !out.Axes.TightAs(constraint) {
				return fault("step %d: %v was latched with %v, the decision is %v", i, tr, constraint, out.Axes)
			}
		}
		for tr, ok := out.LatchedSet.Next(0); ok; tr, ok = out.LatchedSet.Next(tr + 1) {
			held[tr] = m.constraint(tr)
		}
		wrong(m)
		if req, ok := h.reset(); ok {
			res := m.Reset(h.now, req)
			for tr := range NumTriggers {
				if res.Outcomes[tr] == ResetDone {
					if h.in.Conditions[tr].State == Present || !req.Triggers.Has(tr) {
						return fault("step %d: %v was reset while %v, asked %v", i, tr, h.in.Conditions[tr].State, req.Triggers.Has(tr))
					}
					delete(held, tr)
				}
			}
		}
		if p, ok := h.load(); ok {
			if err := m.Load(p); err != nil {
				return err
			}
		}
		switch rapid.IntRange(0, 12).Draw(t, "restart") {
		case 0:
			n, err := snapshot(m)
			if err != nil {
				return err
			}
			m = n
		case 1:
			n, _ := New(drawPolicy(t))
			h.now = time.Duration(rapid.IntRange(0, 100).Draw(t, "boot")) * time.Second
			if err := n.RestoreLatches(h.now, m.AppendLatches(nil)); err != nil {
				return err
			}
			m = n
		}
	}
	return nil
}

func TestLatchesHold(t *testing.T) {
	check(t, func(t *rapid.T) error { return latchesHold(t, func(*Machine) {}) })
}

func TestLatchesHoldFindsWrongMachines(t *testing.T) {
	for name, wrong := range map[string]func(m *Machine){
		"ends by itself": func(m *Machine) {
			if m.seq%8 == 0 {
				for t, ok := m.latched.Next(0); ok; t, ok = m.latched.Next(t + 1) {
					m.release(t)
				}
			}
		},
		"forgets what it restricted": func(m *Machine) {
			for t := range NumTriggers {
				m.slots[t].held = Unrestricted()
			}
		},
		"forgets what it demanded": func(m *Machine) {
			for t := range NumTriggers {
				m.slots[t].clear, m.slots[t].flapped = 0, false
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error { return latchesHold(t, wrong) })
		})
	}
}

// unknownIsNeverFine checks that an input which nobody looks at restricts at least as much as one that is clear, and
// that with any required input unknown for a second the robot does not move freely.
func unknownIsNeverFine(t *rapid.T, step func(m *Machine, now time.Duration, in *Inputs, out *Decision)) error {
	p := DefaultPolicy()
	m, _ := New(p)
	in, out := calm(), Decision{}
	now := time.Hour
	tr := Trigger(rapid.IntRange(0, int(NumTriggers)-1).Draw(t, "trigger")) //nolint:gosec // small
	if rapid.Bool().Draw(t, "seen before") {
		step(m, now, in, &out)
	}
	in.Conditions[tr] = Condition{}
	for range 200 {
		now += 50 * ms
		step(m, now, in, &out)
	}
	constraint := p.Rules[triggerTable[tr].UnknownAs].Constraint
	if ownTriggers().Has(tr) {
		constraint = free()
	}
	if m.seen.Has(tr) && !out.Axes.TightAs(Join(constraint, free())) {
		return fault("%v unknown: %v, want at least %v", tr, out.Axes, constraint)
	}
	if !m.seen.Has(tr) && !ownTriggers().Has(tr) && !out.Axes.TightAs(hold()) {
		return fault("%v never seen: %v", tr, out.Axes)
	}
	return nil
}

func TestUnknownIsNeverFine(t *testing.T) {
	check(t, func(t *rapid.T) error { return unknownIsNeverFine(t, (*Machine).Step) })
	refuted(t, func(t *rapid.T) error {
		return unknownIsNeverFine(t, func(m *Machine, now time.Duration, in *Inputs, out *Decision) {
			seen := *in
			for i := range seen.Conditions {
				seen.Conditions[i].State = max(Clear, seen.Conditions[i].State)
			}
			m.Step(now, &seen, out)
			m.seen = every()
		})
	})
}

// noCommandPassesAStop drives machine and gate together with a planner that never stops commanding.
func noCommandPassesAStop(t *rapid.T, feed func(d *Decision) Axes) error {
	m, _ := New(drawPolicy(t))
	g, _ := NewGate(gateConfig())
	h := newHistory(t)
	var d Decision
	var out GateOutput
	var sent Velocity
	for i := range rapid.IntRange(1, 50).Draw(t, "steps") {
		h.next()
		m.Step(h.now, h.in, &d)
		in := GateInput{
			New: true, Axes: feed(&d), Because: NumTriggers, Ratio: 1, MaxSpeedMPS: inf,
			Command: Command{
				Velocity: Velocity{Linear: [3]float64{rapid.Float64Range(-2, 2).Draw(t, "v")}},
				Channel:  uint16(rapid.SampledFrom([]int{3, 7}).Draw(t, "channel")), //nolint:gosec // small
				Kind:     ChannelAutonomy, Received: h.now,
			},
		}
		in.Command.Dock = in.Command.Channel == 7
		g.Step(h.now, &in, &out)
		if out.Send {
			sent = out.Velocity
		}
		if d.Axes.Motion <= MotionHold && sent != (Velocity{}) {
			return fault("step %d: %v goes out under %v", i, sent, d.Axes)
		}
		if norm(sent.Linear) > d.Axes.MaxSpeedMPS {
			return fault("step %d: %v goes out under %v", i, sent, d.Axes)
		}
		if req, ok := h.reset(); ok {
			m.Reset(h.now, req)
		}
	}
	return nil
}

func TestNoCommandPassesAStop(t *testing.T) {
	check(t, func(t *rapid.T) error {
		return noCommandPassesAStop(t, func(d *Decision) Axes { return d.Axes })
	})
	refuted(t, func(t *rapid.T) error {
		var last Axes
		return noCommandPassesAStop(t, func(d *Decision) Axes {
			late := last
			last = d.Axes
			return late
		})
	})
}

// TestEveryCauseThatStaysFires checks that whatever stays present fires within its start delay.
func TestEveryCauseThatStaysFires(t *testing.T) {
	check(t, func(t *rapid.T) error {
		p := drawPolicy(t)
		m, _ := New(p)
		in, out := calm(), Decision{}
		now := time.Hour
		m.Step(now, in, &out)
		tr := anyTrigger().Draw(t, "trigger")
		in.Conditions[tr] = Fault(CauseStale, 0)
		first := now
		for now = first; now-first <= p.Rules[tr].StartDelay; now += 50 * ms {
			m.Step(now, in, &out)
		}
		m.Step(now, in, &out)
		if out.ActiveSet.Has(tr) != p.Rules[tr].Enabled {
			return fault("%v: active %v, enabled %v", tr, out.ActiveSet.Has(tr), p.Rules[tr].Enabled)
		}
		if want := p.Effective().Rules[tr].Constraint; p.Rules[tr].Enabled && !out.Axes.TightAs(want) {
			return fault("%v: %v, want %v", tr, out.Axes, want)
		}
		return nil
	})
}
