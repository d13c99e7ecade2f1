package interlock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	stateMagic   = "RWIS"
	stateVersion = 2
	policyMagic  = "RWIP"
	// maxReason bounds the length of a rule's reason in bytes.
	maxReason = 512
)

func causeOf(err error) Cause {
	switch {
	case errors.Is(err, ErrEmpty):
		return CauseNotFound
	case errors.Is(err, ErrVersion):
		return CauseVersionUnknown
	}
	return CauseDamaged
}

// AppendBinary appends the policy in a form in which equal policies are equal bytes.
func (p *Policy) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = begin(b, policyMagic, stateVersion)
	return seal(appendPolicy(b, p), start), nil
}

func appendPolicy(b []byte, p *Policy) []byte {
	b = append(b, uint8(NumTriggers), uint8(p.StopCategory))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.FlapTrips)) //nolint:gosec // two's complement
	for _, d := range [...]time.Duration{p.FlapWindow, p.FlapMerge, p.MaxGap, p.DockDwell, p.SecondPerson} {
		b = appendTime(b, d)
	}
	b = appendAxes(b, p.Cap)
	b = appendBool(b, p.CapLatches)
	for t := range NumTriggers {
		r := &p.Rules[t]
		b = appendBool(b, r.Enabled)
		b = binary.LittleEndian.AppendUint16(b, uint16(min(len(r.Reason), maxReason))) //nolint:gosec // bounded
		b = append(b, r.Reason[:min(len(r.Reason), maxReason)]...)
		b = appendAxes(b, r.Constraint)
		b = appendTime(b, r.StartDelay)
		b = appendTime(b, r.Dwell)
		b = append(b, uint8(r.Clear), uint8(r.Roles))
	}
	return b
}

// policy takes a policy and checks it like any other.
func (r *reader) policy() Policy {
	var p Policy
	if n := r.u8(); r.fault == "" && n != uint8(NumTriggers) {
		r.fail(fmt.Sprintf("it knows %d triggers, expected %d", n, NumTriggers))
		return p
	}
	p.StopCategory = StopCategory(r.u8())
	p.FlapTrips = int(r.u64()) //nolint:gosec // validated below
	for _, d := range [...]*time.Duration{&p.FlapWindow, &p.FlapMerge, &p.MaxGap, &p.DockDwell, &p.SecondPerson} {
		*d = r.duration(maxDuration, "a duration of the policy")
	}
	p.Cap = r.axes()
	p.CapLatches = r.bool("whether hearsay latches")
	for t := range NumTriggers {
		rule := &p.Rules[t]
		rule.Enabled = r.bool("enabled")
		rule.Reason = string(r.take(int(r.u16())))
		rule.Constraint = r.axes()
		rule.StartDelay = r.duration(maxDuration, "a start delay")
		rule.Dwell = r.duration(maxDuration, "a dwell")
		rule.Clear = ClearCondition(r.u8())
		rule.Roles = RoleSet(r.u8())
	}
	if r.fault == "" {
		if err := p.Validate(); err != nil {
			r.fail("the policy is invalid: " + err.Error())
		}
	}
	return p
}

// AppendState appends the machine's whole state, policies included: a machine that restores it decides exactly as
// this one does.
func (m *Machine) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, stateMagic, stateVersion)
	b = appendPolicy(b, &m.rules)
	b = appendBool(b, m.waits)
	if m.waits {
		b = appendPolicy(b, &m.next)
	}
	b = appendBool(b, m.ran)
	b = appendStored(b, m.last)
	b = binary.LittleEndian.AppendUint64(b, m.seq)
	for _, s := range [...]TriggerSet{m.on, m.latched, m.seen, m.ended} {
		b = appendSet(b, s)
	}
	b = appendBool(b, m.dirty)
	b = appendTime(b, m.dockQuiet)
	b = appendBool(b, m.creeping)
	b = appendTime(b, m.crept)
	for t := range NumTriggers {
		b = m.slots[t].append(b)
	}
	for c := range NumClasses {
		b = append(b, uint8(m.trips[c].n)) //nolint:gosec // at most MaxFlapTrips
		for _, at := range m.trips[c].at[:m.trips[c].n] {
			b = appendStored(b, at)
		}
	}
	return seal(b, start)
}

// RestoreState puts the machine into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (m *Machine) RestoreState(b []byte) error {
	r, err := open(b, stateMagic, stateVersion)
	if err != nil {
		return err
	}
	n := Machine{rules: r.policy()}
	if n.waits = r.bool("waits"); n.waits {
		n.next = r.policy()
	}
	n.ran = r.bool("ran")
	n.last = r.duration(maxStored, "the last step")
	n.seq = r.u64()
	for _, s := range [...]*TriggerSet{&n.on, &n.latched, &n.seen, &n.ended} {
		*s = r.triggers()
	}
	n.dirty = r.bool("dirty")
	n.dockQuiet = r.span(maxDuration, "the dock's dwell")
	n.creeping = r.bool("creeping")
	n.crept = r.span(maxDuration, "the time crept")
	for t := range NumTriggers {
		n.slots[t] = r.slot()
		if n.slots[t].on != n.on.Has(t) || n.latched.Has(t) != (n.on.Has(t) && n.demand(t).Latches()) {
			r.fail(t.String() + " contradicts itself")
		}
		if n.slots[t].restless() {
			// As it was: a machine that looked at the idle ones as well would go on with other bytes than the original.
			n.restless.Add(t)
		}
	}
	for c := range NumClasses {
		p := &n.trips[c]
		p.n = int(r.enum(MaxFlapTrips+1, "the number of trips"))
		for i := range p.n {
			p.at[i] = r.duration(maxStored, "a trip")
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	*m = n
	return nil
}

func (s *slot) append(b []byte) []byte {
	b = append(b, uint8(s.state))
	b = appendBool(b, s.on)
	b = appendBool(b, s.pending)
	b = appendBool(b, s.flapped)
	b = append(b, uint8(s.clear))
	b = binary.LittleEndian.AppendUint16(b, uint16(s.cause))
	b = binary.LittleEndian.AppendUint16(b, s.subject)
	b = binary.LittleEndian.AppendUint32(b, s.count)
	b = appendTime(b, s.budget)
	b = appendTime(b, s.quiet)
	for _, d := range [...]time.Duration{s.firstSeen, s.since, s.lastClear} {
		b = appendStored(b, d)
	}
	b = appendAxes(b, s.held)
	b = binary.LittleEndian.AppendUint64(b, s.approver)
	return appendStored(b, s.approvedAt)
}

func (r *reader) slot() slot {
	return slot{
		state:      State(r.enum(3, "a state")),
		on:         r.bool("on"),
		pending:    r.bool("pending"),
		flapped:    r.bool("flapped"),
		clear:      ClearCondition(r.enum(uint8(NumClearConditions), "a clear condition")),
		cause:      Cause(r.u16()),
		subject:    r.u16(),
		count:      r.u32(),
		budget:     r.duration(maxDuration, "a start delay"),
		quiet:      r.span(maxDuration, "a dwell"),
		firstSeen:  r.duration(maxStored, "a time"),
		since:      r.duration(maxStored, "a time"),
		lastClear:  r.duration(maxStored, "a time"),
		held:       r.axes(),
		approver:   r.u64(),
		approvedAt: r.duration(maxStored, "a time"),
	}
}
