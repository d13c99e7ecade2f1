package interlock

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	latchMagic   = "RWIL"
	latchVersion = 1
	// maxAge bounds how long ago a stored latch may have been; more is damage.
	maxAge = 200 * 365 * 24 * time.Hour
)

// MaxLatchBytes is the largest length of what AppendLatches appends.
const MaxLatchBytes = 4 + 1 + 1 + int(NumTriggers)*latchBytes + int(NumClasses)*(1+MaxFlapTrips*8) + 4

const latchBytes = 1 + 1 + 1 + 2 + 2 + 4 + 3*8 + 12

// AppendLatches appends what has to survive a restart: every latch with its cause, and the flap guard's memory. Times
// are stored as ages, because the boot clock begins anew. The checksum finds damage; it does not stop somebody who may
// write the file from forging it.
func (m *Machine) AppendLatches(b []byte) []byte {
	start := len(b)
	b = begin(b, latchMagic, latchVersion)
	b = append(b, uint8(m.latched.Len())) //nolint:gosec // at most NumTriggers
	for t, ok := m.latched.Next(0); ok; t, ok = m.latched.Next(t + 1) {
		s := &m.slots[t]
		b = append(b, uint8(t))
		b = appendBool(b, s.flapped)
		b = append(b, uint8(m.demand(t)))
		b = binary.LittleEndian.AppendUint16(b, uint16(s.cause))
		b = binary.LittleEndian.AppendUint16(b, s.subject)
		b = binary.LittleEndian.AppendUint32(b, s.count)
		b = appendTime(b, age(m.last, s.firstSeen))
		b = appendTime(b, age(m.last, s.since))
		b = appendTime(b, age(m.last, s.lastClear))
		b = appendAxes(b, s.held)
	}
	for c := range NumClasses {
		b = append(b, uint8(m.trips[c].n)) //nolint:gosec // at most MaxFlapTrips
		for _, at := range m.trips[c].at[:m.trips[c].n] {
			b = appendTime(b, age(m.last, at))
		}
	}
	return seal(b, start)
}

// age returns how long before now then was, within [0, maxAge].
func age(now, then time.Duration) time.Duration {
	d := now - then
	if now < then {
		return 0
	}
	if d < 0 || d > maxAge {
		return maxAge
	}
	return d
}

// RestoreLatches latches again what AppendLatches wrote, at now. It is called once after New, before the first Step.
// Bytes that cannot be read, an absent file included, latch LatchUnreadable, and the error says why; only the
// commissioning of a new robot goes without the call.
func (m *Machine) RestoreLatches(now time.Duration, b []byte) error {
	stored, tripped, err := readLatches(now, b)
	if err != nil {
		m.latchUnreadable(now, err)
		return err
	}
	for _, l := range stored {
		s := &m.slots[l.trigger]
		if m.on.Has(l.trigger) {
			l.slot.held = meet(l.slot.held, m.constraint(l.trigger))
			l.slot.clear = max(l.slot.clear, s.clear)
		}
		l.slot.held = meet(l.slot.held, m.rules.Rules[l.trigger].Constraint)
		l.slot.budget = s.budget
		*s = l.slot
		m.on.Add(l.trigger)
		m.latched.Add(l.trigger)
		m.restless.Add(l.trigger)
	}
	m.trips = tripped
	m.dirty = true
	return nil
}

func (m *Machine) latchUnreadable(now time.Duration, err error) {
	s := &m.slots[LatchUnreadable]
	r := &m.rules.Rules[LatchUnreadable]
	*s = slot{
		on: true, clear: r.Clear, held: r.Constraint, budget: s.budget, count: s.count + 1,
		cause: causeOf(err), firstSeen: now, since: now,
	}
	m.on.Add(LatchUnreadable)
	m.latched.Add(LatchUnreadable)
	m.restless.Add(LatchUnreadable)
	m.dirty = true
}

// storedLatch is one latch as read.
type storedLatch struct {
	trigger Trigger
	slot    slot
}

// readLatches reads everything before anything is applied.
func readLatches(now time.Duration, b []byte) ([]storedLatch, [NumClasses]trips, error) {
	var tripped [NumClasses]trips
	r, err := open(b, latchMagic, latchVersion)
	if err != nil {
		return nil, tripped, err
	}
	n := int(r.u8())
	stored := make([]storedLatch, 0, min(n, int(NumTriggers)))
	var have TriggerSet
	for range n {
		l := readLatch(now, &r)
		if r.fault != "" {
			break
		}
		if l.trigger >= NumTriggers {
			return nil, tripped, fmt.Errorf("%w: trigger %d is not in the table", ErrVersion, l.trigger)
		}
		if have.Has(l.trigger) {
			r.fail(l.trigger.String() + " is there twice")
			break
		}
		have.Add(l.trigger)
		stored = append(stored, l)
	}
	for c := range NumClasses {
		p := &tripped[c]
		p.n = int(r.enum(MaxFlapTrips+1, "the number of trips"))
		for i := range p.n {
			p.at[i] = now - r.span(maxAge, "a trip's age")
		}
	}
	return stored, tripped, r.close()
}

func readLatch(now time.Duration, r *reader) storedLatch {
	l := storedLatch{trigger: Trigger(r.u8())}
	l.slot = slot{
		on:      true,
		flapped: r.bool("the mark of flapping"),
		clear:   ClearCondition(r.enum(uint8(NumClearConditions), "the clear condition")),
		cause:   Cause(r.u16()),
		subject: r.u16(),
		count:   r.u32(),
	}
	if !l.slot.clear.Latches() {
		r.fail("a latch is stored that does not latch")
	}
	l.slot.firstSeen = now - r.span(maxAge, "an age")
	l.slot.since = now - r.span(maxAge, "an age")
	l.slot.lastClear = now - r.span(maxAge, "an age")
	l.slot.held = r.axes()
	return l
}
