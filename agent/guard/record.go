package guard

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// A decision record holds what a person needs to understand a decision without the policy at hand: axes, stop category,
// and each active trigger with cause, subject and age. Little-endian:
//
//	motion u8, manipulators u8, perception u8, remote u8, max speed f64 (+Inf: none), category u8, pose faults u32,
//	place u8, zone i16, count u8, then per trigger: number u8, state u8, cause u16, subject u16, clear u8, since i64 (ns)

// AppendDecision appends the decision in force for [RecordDecision].
func (c *Core) AppendDecision(b []byte) []byte {
	d := &c.decision
	e := encoder{b}
	e.u8(uint8(d.Axes.Motion))
	e.u8(uint8(d.Axes.Manipulators))
	e.u8(uint8(d.Axes.Perception))
	e.u8(uint8(d.Axes.Remote))
	e.f64(d.Axes.MaxSpeedMPS)
	e.u8(uint8(d.Category))
	e.u32(uint32(c.verdict.Faults))
	e.u8(uint8(c.verdict.Place))
	e.u16(uint16(int16(c.verdict.Zone))) //nolint:gosec // Compile caps zones at 10 000
	e.u8(uint8(d.N))                     //nolint:gosec // at most MaxActive
	for i := range d.N {
		a := &d.Active[i]
		e.u8(uint8(a.Trigger))
		e.u8(uint8(a.State))
		e.u16(uint16(a.Cause))
		e.u16(a.Subject)
		e.u8(uint8(a.Clear))
		e.duration(a.Since)
	}
	return e.b
}

// DescribeDecision puts a decision record into words.
func DescribeDecision(b []byte) (string, error) {
	d := decoder{b: b}
	axes := interlock.Axes{
		Motion: interlock.Motion(d.u8()), Manipulators: interlock.Manipulators(d.u8()),
		Perception: interlock.Perception(d.u8()), Remote: interlock.Remote(d.u8()), MaxSpeedMPS: d.f64(),
	}
	category := interlock.StopCategory(d.u8())
	_, _, zone, n := d.u32(), d.u8(), int16(d.u16()), int(d.u8()) //nolint:gosec // as written
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s", axes.Mode(), axes)
	if category != interlock.NoStop {
		fmt.Fprintf(&out, " (%s)", category)
	}
	if zone >= 0 {
		fmt.Fprintf(&out, ", zone #%d", zone)
	}
	for range n {
		t, state, cause := interlock.Trigger(d.u8()), interlock.State(d.u8()), interlock.Cause(d.u16())
		subject, clear, since := d.u16(), interlock.ClearCondition(d.u8()), d.duration()
		fmt.Fprintf(&out, "; %s %s (%s", t, state, cause.Text())
		if subject != 0 {
			fmt.Fprintf(&out, ", subject %d", subject)
		}
		fmt.Fprintf(&out, ", clears %s, since %.3fs)", clear, since.Seconds())
	}
	return out.String(), d.end()
}

// Resume is what a replay has to know to begin at a snapshot.
type Resume struct {
	// Start is the run's [RecordStart], as it was noted.
	Start []byte
	// Policy is the last [RecordPolicy] of the run, empty if the policy of the start is in force.
	Policy []byte
}

// AppendResume appends r for [RecordResume]: the length of Start as u32 little-endian, Start, Policy.
func AppendResume(b []byte, r Resume) []byte {
	e := encoder{b}
	e.u32(uint32(len(r.Start))) //nolint:gosec // a journal's record is far smaller
	e.b = append(e.b, r.Start...)
	return append(e.b, r.Policy...)
}

// ParseResume reads a [RecordResume].
func ParseResume(b []byte) (Resume, error) {
	d := decoder{b: b}
	r := Resume{Start: d.take(int(d.u32()))}
	if d.err != nil {
		return Resume{}, fmt.Errorf("resume: %w", d.err)
	}
	r.Policy = d.b
	return r, nil
}

// AppendLadder appends the stop ladder for [RecordRung]: phase u8, current rung i8, asserted u8, count u8, then per rung
// requested, acknowledged, failed, confirmed as i64 nanoseconds on the boot clock, -1 where it did not happen.
func (c *Core) AppendLadder(b []byte) []byte {
	r := &c.rungs
	e := encoder{b}
	e.u8(uint8(r.Phase))
	e.u8(uint8(int8(r.Rung))) //nolint:gosec // at most MaxRungs
	e.u8(uint8(r.Assert))
	e.u8(uint8(c.params.Ladder.N)) //nolint:gosec // at most MaxRungs
	for i := range c.params.Ladder.N {
		rec := &r.Records[i]
		e.duration(at(rec.Requested, rec.WasRequested))
		e.duration(at(rec.Acked, rec.WasAcked))
		e.duration(at(rec.Failed, rec.WasFailed))
		e.duration(at(rec.Confirmed, rec.WasConfirmed))
	}
	return e.b
}

func at(t time.Duration, happened bool) time.Duration {
	if happened {
		return t
	}
	return -1
}

// DescribeLadder puts a ladder record into words.
func DescribeLadder(b []byte) (string, error) {
	d := decoder{b: b}
	phase, current, assert, n := interlock.LadderPhase(d.u8()), int8(d.u8()), d.u8(), int(d.u8()) //nolint:gosec // as written
	var out strings.Builder
	fmt.Fprintf(&out, "stop ladder %s", phase)
	if current >= 0 {
		fmt.Fprintf(&out, ", at rung %d", current)
	}
	fmt.Fprintf(&out, ", asserted %#b", assert)
	for i := range n {
		times := [4]time.Duration{d.duration(), d.duration(), d.duration(), d.duration()}
		for j, name := range [4]string{"requested", "acknowledged", "failed", "confirmed"} {
			if times[j] >= 0 {
				fmt.Fprintf(&out, "; rung %d %s at %.3fs", i, name, times[j].Seconds())
			}
		}
	}
	return out.String(), d.end()
}

// mix folds what this event led to into the running digest: FNV-1a over the decision's digest, the command as sent, the
// lock, the rungs and the numbers of their requests. Floats enter by their bits, so that a difference in the last place shows.
func (c *Core) mix(fx *Effects) uint64 {
	const prime = 0x100000001b3
	h := c.digest
	word := func(v uint64) {
		for range 8 {
			h = (h ^ v&0xff) * prime
			v >>= 8
		}
	}
	word(c.decision.Digest())
	flags := uint64(fx.Rungs)<<8 | uint64(c.down.out.Asked)<<32
	for i, f := range [...]bool{fx.Send, fx.SendLock, fx.Locked, fx.Decided, fx.Private, fx.CloseDevices} {
		if f {
			flags |= 1 << i
		}
	}
	word(flags)
	// A device is asked anew by the number alone.
	for i := 0; c.params.Posture.Config.Used && i < len(c.down.calls); i += 8 {
		calls := uint64(0)
		for k, n := range c.down.calls[i:min(i+8, len(c.down.calls))] {
			calls |= uint64(n) << (8 * k)
		}
		word(calls)
	}
	if fx.Send {
		for _, v := range [...]float64{
			fx.Command.Linear.X, fx.Command.Linear.Y, fx.Command.Linear.Z,
			fx.Command.Angular.X, fx.Command.Angular.Y, fx.Command.Angular.Z,
		} {
			word(math.Float64bits(v))
		}
	}
	if fx.Demand || fx.End|fx.SendGateLock != 0 {
		word(c.demands.digest(fx))
	}
	return h
}

// DecidedMotion reads what a decision record demands of motion, and the code of its first trigger, "none" without any.
func DecidedMotion(b []byte) (m interlock.Motion, trigger string, ok bool) {
	const triggers, first = 20, 21
	if len(b) <= triggers {
		return 0, "", false
	}
	trigger = "none"
	if b[triggers] > 0 && len(b) > first {
		if t := interlock.Trigger(b[first]); t < interlock.NumTriggers {
			trigger = t.String()
		}
	}
	return interlock.Motion(b[0]), trigger, true
}
