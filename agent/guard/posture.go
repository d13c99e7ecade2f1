package guard

import (
	"fmt"
	"strings"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// PostureRung is the bit of [Effects.Rungs], and the number in [Ack], of the posture's first step: the ladder's rungs come before.
const PostureRung = interlock.MaxRungs

// Calls has, for each bit of [Effects.Rungs], a number that changes with every request that has to be made although the bit was
// set before.
type Calls [PostureRung + interlock.MaxPostures]uint8

// PostureParams is how a robot that stands by balance goes down.
type PostureParams struct {
	Config interlock.PostureConfig
	// Rungs are the ladder's rungs by which the steps are taken, -1 for a service of the step's own.
	Rungs [interlock.MaxPostures]int
}

// posture is the way down and what it was told last.
type posture struct {
	core *interlock.Postures
	out  interlock.PostureOutput
	acks [interlock.MaxPostures]interlock.Ack
	// calls count what was asked anew.
	calls Calls
	heat  scalar
}

// goDown moves the way down on. It comes behind the ladder, which brings the robot to the standstill that steps need.
func (c *Core) goDown(ev *Event, fx *Effects) {
	if !c.params.Posture.Config.Used {
		return
	}
	p, boot := &c.down, ev.Boot
	in := interlock.PostureInput{
		Held:     interlock.DemandOf(c.decision.Axes) >= interlock.DemandHold,
		Active:   c.decision.ActiveSet.Has(interlock.PostureDue) || c.decision.ActiveSet.Has(interlock.PostureFailed),
		Motion:   c.motion.State,
		Carrying: c.carrying(),
		Battery: interlock.Gauge{
			Seen: c.body.seen&InputBattery != 0, Received: c.body.battery.boot, Value: c.body.battery.ratio, Paused: c.body.battery.charging,
		},
		Heat: interlock.Gauge{Seen: p.heat.boot != 0, Received: p.heat.boot, Value: -p.heat.value},
		Acks: p.acks,
	}
	if in.Motion == interlock.Standing && c.rungs.Phase != interlock.LadderConfirmed {
		// A stop that was demanded just now has not begun, and legs that move before it is confirmed would fail it.
		in.Motion = interlock.Settling
	}
	if c.params.Fall.Used {
		in.Fallen = c.fall.Status(boot).Fallen.State
	}
	p.core.Step(boot, &in, &p.out)
	for i := range p.acks {
		if p.out.Asked.Has(i) {
			p.calls[c.rungOf(i)]++
		}
		if p.out.Asked.Has(i) || !p.out.Assert.Has(i) {
			p.acks[i] = interlock.AckNone
		}
	}
	fx.PostureChanged = p.out.Changed
}

// takeJoints shows the way down where the joints are.
func (p *posture) takeJoints(ev *Event) {
	p.core.Observe(ev.Boot, ev.Joints.Seen, &ev.Joints.Position)
}

// rungOf is the bit of [Effects.Rungs] by which a step is taken.
func (c *Core) rungOf(step int) int {
	if r := c.params.Posture.Rungs[step]; r >= 0 {
		return r
	}
	return PostureRung + step
}

// takeAck takes the answer of a rung, for the ladder and for the step that goes by it: each forgets it with its own next request.
func (c *Core) takeAck(a *Ack) {
	ack := interlock.AckFailed
	if a.OK {
		ack = interlock.AckOK
	}
	if a.Rung >= 0 && a.Rung < len(c.acks) {
		c.acks[a.Rung] = ack
	}
	for i := range c.down.acks {
		if c.rungOf(i) == a.Rung {
			c.down.acks[i] = ack
		}
	}
}

// downRungs are the bits of what the way down demands, of the ladder's rungs and of its own.
func (c *Core) downRungs() (bits uint32) {
	for i := range interlock.MaxPostures {
		if c.down.out.Assert.Has(i) {
			bits |= 1 << c.rungOf(i)
		}
	}
	return bits
}

// carrying is Clear only if every load has somebody who says that it is not carried.
func (c *Core) carrying() interlock.State {
	switch l := c.carried(); {
	case !l.Known || c.params.Set.AllLoads() == 0:
		return interlock.Unknown
	case l.Loads != 0:
		return interlock.Present
	}
	return interlock.Clear
}

// PostureStatus is how far a robot that stands by balance has come on its way down.
type PostureStatus struct {
	// Phase is free, waiting, going, reached or exhausted; At is the posture that is shown, balance if none else is.
	Phase string `json:"phase"`
	At    string `json:"at"`
	// Step is the one under way.
	Step string `json:"step,omitempty"`
	// BeginS is for how many seconds the robot may still stand, DeadlineS by when it has to be down; -1 while nothing runs out.
	BeginS    float64             `json:"begin_s"`
	DeadlineS float64             `json:"deadline_s"`
	Steps     []PostureStepStatus `json:"steps"`
}

// PostureStepStatus is one step and why it is not possible now.
type PostureStepStatus struct {
	Posture string `json:"posture"`
	Now     string `json:"now"`
	// Failed is why it failed on this way down.
	Failed string `json:"failed,omitempty"`
	// TookS is how long it took, 0 while it has not been reached on this way down.
	TookS float64 `json:"took_s,omitempty"`
}

func (c *Core) postureStatus() *PostureStatus {
	cfg, o := &c.params.Posture.Config, &c.down.out
	if !cfg.Used {
		return nil
	}
	s := &PostureStatus{Phase: o.Phase.String(), At: cfg.Steps[o.At].Kind.String(), BeginS: -1, DeadlineS: -1}
	if o.Step > 0 {
		s.Step = cfg.Steps[o.Step].Kind.String()
	}
	if o.Deadline != 0 {
		s.BeginS, s.DeadlineS = max(0, (o.Latest-c.now.Boot).Seconds()), max(0, (o.Deadline-c.now.Boot).Seconds())
	}
	for i := 1; i < cfg.N; i++ {
		r := &o.Records[i]
		one := PostureStepStatus{Posture: cfg.Steps[i].Kind.String(), Now: o.Denied[i].String()}
		if r.WasFailed {
			one.Failed = r.Why.Text()
		}
		if r.WasAsked && r.WasReached {
			one.TookS = (r.Reached - r.Asked).Seconds()
		}
		s.Steps = append(s.Steps, one)
	}
	return s
}

// AppendPosture appends the way down for [RecordPosture]: phase u8, posture shown u8, step under way i8, demanded u8, deadline
// i64, count u8, then per step its posture u8, why it is not possible u8, cause of its failure u16, and when it was asked,
// acknowledged, failed and reached as i64 nanoseconds on the boot clock, -1 where it was not.
func (c *Core) AppendPosture(b []byte) []byte {
	cfg, o := &c.params.Posture.Config, &c.down.out
	e := encoder{b}
	e.u8(uint8(o.Phase))
	e.u8(uint8(cfg.Steps[o.At].Kind))
	e.u8(uint8(int8(o.Step))) //nolint:gosec // at most MaxPostures
	e.u8(uint8(o.Assert))
	e.duration(o.Deadline)
	e.u8(uint8(cfg.N)) //nolint:gosec // at most MaxPostures
	for i := range cfg.N {
		r := &o.Records[i]
		e.u8(uint8(cfg.Steps[i].Kind))
		e.u8(uint8(o.Denied[i]))
		e.u16(uint16(r.Why))
		for _, t := range [...]time.Duration{at(r.Asked, r.WasAsked), at(r.Acked, r.WasAcked), at(r.Failed, r.WasFailed), at(r.Reached, r.WasReached)} {
			e.duration(t)
		}
	}
	return e.b
}

// DescribePosture puts a record of the way down into words.
func DescribePosture(b []byte) (string, error) {
	d := decoder{b: b}
	phase, shown, _, _ := interlock.PosturePhase(d.u8()), interlock.PostureKind(d.u8()), d.u8(), d.u8()
	deadline, n := d.duration(), int(d.u8())
	var out strings.Builder
	fmt.Fprintf(&out, "posture %s, %s", shown, phase)
	if deadline != 0 {
		fmt.Fprintf(&out, ", down by %.3fs", deadline.Seconds())
	}
	for range n {
		kind, denied, why := interlock.PostureKind(d.u8()), interlock.PostureDenial(d.u8()), interlock.Cause(d.u16())
		for _, name := range [4]string{"asked", "acknowledged", "failed", "reached"} {
			t := d.duration()
			if t < 0 {
				continue
			}
			fmt.Fprintf(&out, "; %s %s at %.3fs", kind, name, t.Seconds())
			if name == "failed" {
				fmt.Fprintf(&out, " (%s)", why.Text())
			}
		}
		if denied != interlock.StepPossible && denied != interlock.StepPast && denied != interlock.StepFailed {
			fmt.Fprintf(&out, "; %s not possible: %s", kind, denied)
		}
	}
	return out.String(), d.end()
}

// posture encodes what the next event looks at.
func (e *encoder) posture(p *posture) {
	e.condition(p.out.Due)
	e.condition(p.out.Failed)
	e.flag(p.out.HoldImpossible)
	e.flag(p.out.GoingDown)
	e.u8(uint8(p.out.Assert))
	for _, a := range p.acks {
		e.u8(uint8(a))
	}
	for _, n := range p.calls {
		e.u8(n)
	}
	e.duration(p.heat.boot)
	e.f64(p.heat.value)
}

func (d *decoder) posture(p *posture) {
	p.out = interlock.PostureOutput{Due: d.condition(), Failed: d.condition(), HoldImpossible: d.flag(), GoingDown: d.flag(), Assert: interlock.StepSet(d.u8()), Step: -1}
	for i := range p.acks {
		p.acks[i] = interlock.Ack(d.u8())
	}
	for i := range p.calls {
		p.calls[i] = d.u8()
	}
	p.heat = scalar{boot: d.duration(), value: d.f64()}
}

// takeHeat keeps the hottest motor's temperature.
func (p *posture) takeHeat(ev *Event) { p.heat = scalar{boot: ev.Boot, value: ev.Device.Celsius} }
