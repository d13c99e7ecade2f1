package guard

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// demand encodes a demand as the journal keeps it: what a gate decides by, and of the message itself its size and SHA-256,
// by which the one that went out is known.
func (e *encoder) demand(d *msg.Demand) {
	e.header(&d.Header)
	e.u16(uint16(d.Channel)) //nolint:gosec // at most MaxGates
	e.u8(uint8(d.Form))
	e.u32(uint32(d.Size)) //nolint:gosec // at most a megabyte
	e.b = append(e.b, d.Sum[:]...)
	switch d.Form {
	case msg.FormJoints:
		e.trajectory(d.Joints)
	case msg.FormGoal:
		e.vec(d.Goal.Position)
		e.quat(d.Goal.Orientation)
	case msg.FormNavigate:
		e.vec(d.Goal.Position)
		e.quat(d.Goal.Orientation)
		e.flag(d.Goal.Unlisted)
	case msg.FormOpaque, msg.FormUnknown:
	}
}

func (e *encoder) trajectory(t *msg.Trajectory) {
	n := min(max(t.N, 0), msg.MaxJoints)
	e.u8(uint8(n)) //nolint:gosec // at most MaxJoints
	e.u64(t.Seen)
	e.u32(uint32(t.Unknown)) //nolint:gosec // as many as a message holds
	e.u32(uint32(t.Points))  //nolint:gosec // as many as a message holds
	e.u8(uint8(t.Fault))
	e.flag(t.NotFinite)
	e.duration(t.Start)
	e.duration(t.Duration)
	e.flag(t.Monotonic)
	// Joints that are not named are NaN in every array.
	for seen := t.Seen; seen != 0; seen &= seen - 1 {
		i := bits.TrailingZeros64(seen)
		for _, a := range arrays(t) {
			e.f64(a[i])
		}
	}
}

// arrays are a trajectory's, in the order of the record.
func arrays(t *msg.Trajectory) [7]*[msg.MaxJoints]float64 {
	return [...]*[msg.MaxJoints]float64{&t.First, &t.Last, &t.Lowest, &t.Highest, &t.Velocity, &t.Effort, &t.Slope}
}

func (s *EventStore) decodeDemand(d *decoder) {
	s.demand = msg.Demand{Header: s.header(d), Channel: int(d.u16()), Form: msg.Form(d.u8()), Size: int(d.u32())}
	copy(s.demand.Sum[:], d.take(len(s.demand.Sum)))
	switch s.demand.Form {
	case msg.FormJoints:
		s.demand.Joints = &s.outline
		s.decodeTrajectory(d)
	case msg.FormGoal:
		s.demand.Goal = msg.Goal{Position: d.vec(), Orientation: d.quat()}
	case msg.FormNavigate:
		s.demand.Goal = msg.Goal{Position: d.vec(), Orientation: d.quat(), Unlisted: d.flag()}
	case msg.FormOpaque:
	case msg.FormUnknown:
		d.err = cmpErr(d.err, fmt.Errorf("demand: expected form 1 to %d, found 0", msg.FormNavigate))
	default:
		d.err = cmpErr(d.err, fmt.Errorf("demand: expected form 1 to %d, found %d", msg.FormNavigate, s.demand.Form))
	}
}

func (s *EventStore) decodeTrajectory(d *decoder) {
	t := &s.outline
	*t = msg.Trajectory{Header: s.demand.Header, Channel: s.demand.Channel, N: int(d.u8()), Seen: d.u64(), Unknown: int(d.u32()), Points: int(d.u32())}
	t.Fault, t.NotFinite, t.Start, t.Duration, t.Monotonic = msg.Fault(d.u8()), d.flag(), d.duration(), d.duration(), d.flag()
	if t.N > msg.MaxJoints || t.N < msg.MaxJoints && t.Seen>>t.N != 0 || t.Fault > msg.FaultCount {
		d.err = cmpErr(d.err, fmt.Errorf("demand: expected at most %d joints, none beyond them and a known fault, found %d, %x, %d",
			msg.MaxJoints, t.N, t.Seen, t.Fault))
		return
	}
	for _, a := range arrays(t) {
		for i := range t.N {
			a[i] = math.NaN()
		}
	}
	for seen := t.Seen; seen != 0; seen &= seen - 1 {
		i := bits.TrailingZeros64(seen)
		for _, a := range arrays(t) {
			a[i] = d.f64()
		}
	}
}

// describeDemand is a demand in a few words.
func describeDemand(d *msg.Demand) string {
	switch d.Form {
	case msg.FormJoints:
		t := d.Joints
		return fmt.Sprintf("demand on gate %d: %d joints, %d points, %v, %d bytes %x", d.Channel, bits.OnesCount64(t.Seen), t.Points, t.Duration, d.Size, d.Sum[:4])
	case msg.FormGoal, msg.FormNavigate:
		return fmt.Sprintf("demand on gate %d: goal (%.3f, %.3f) in %q, %d bytes %x", d.Channel, d.Goal.Position.X, d.Goal.Position.Y, d.Frame, d.Size, d.Sum[:4])
	case msg.FormOpaque, msg.FormUnknown:
	}
	return fmt.Sprintf("demand on gate %d: %d bytes %x", d.Channel, d.Size, d.Sum[:4])
}

// AppendJudgement appends what gate i did last, for [RecordDemand]. Little-endian:
//
//	gate u16, mode u8, name length u8 and name, judged u8, passed u8, reason u8, joint i16, zone i16, found f64, limit f64,
//	ended u8, ended reason u8, trigger u8
func (c *Core) AppendJudgement(b []byte, i int) []byte {
	g, p := &c.demands.gates[i], &c.params.Gates[i]
	e := encoder{b}
	e.u16(uint16(i)) //nolint:gosec // at most MaxGates
	e.u8(uint8(p.Mode))
	e.text(p.Name)
	e.flag(g.last.any)
	e.flag(g.last.any && g.last.reason == interlock.DemandPassed)
	e.u8(uint8(g.last.reason))
	e.u16(uint16(g.last.joint))
	e.u16(uint16(g.last.zone))
	e.f64(g.last.found)
	e.f64(g.last.limit)
	e.flag(g.out.End)
	e.u8(uint8(g.out.Ended))
	e.u8(uint8(g.out.Because))
	return e.b
}

// DescribeJudgement puts a [RecordDemand] into words.
func DescribeJudgement(b []byte) (string, error) {
	d := decoder{b: b}
	_, mode, name := d.u16(), GateMode(d.u8()), d.text()
	judged, passed, reason := d.flag(), d.flag(), interlock.DemandReason(d.u8())
	joint, zone, found, limit := int16(d.u16()), int16(d.u16()), d.f64(), d.f64() //nolint:gosec // as written
	ended, why, because := d.flag(), interlock.DemandReason(d.u8()), interlock.Trigger(d.u8())
	var out strings.Builder
	fmt.Fprintf(&out, "gate %s (%s)", name, mode)
	switch {
	case !judged:
	case mode == GateMonitor && passed:
		out.WriteString(": would have passed it")
	case mode == GateMonitor:
		fmt.Fprintf(&out, ": would have dropped it, %s", reason)
	case passed:
		out.WriteString(": passed")
	default:
		fmt.Fprintf(&out, ": dropped, %s", reason)
	}
	if joint >= 0 {
		fmt.Fprintf(&out, ", joint %d, found %g, limit %g", joint, found, limit)
	}
	if zone >= 0 {
		fmt.Fprintf(&out, ", zone #%d", zone)
	}
	if ended {
		fmt.Fprintf(&out, "; ended what was under way, %s", why)
	}
	if because < interlock.NumTriggers && (ended || !passed) {
		fmt.Fprintf(&out, "; because of %s", because)
	}
	return out.String(), d.end()
}

// digest is what an event did to the gates: which demand went where, and who was told to stop.
func (d *demands) digest(fx *Effects) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	word := func(v uint64) {
		for range 8 {
			h = (h ^ v&0xff) * 0x100000001b3
			v >>= 8
		}
	}
	word(uint64(fx.End)<<32 | uint64(fx.SendGateLock))
	word(uint64(fx.GatesLocked))
	if fx.Demand {
		o := &d.gates[fx.Gate].out
		pass := uint64(0)
		if fx.Pass {
			pass = 1
		}
		word(pass<<32 | uint64(fx.Gate)<<16 | uint64(o.Reason)<<8 | uint64(uint8(o.Joint))) //nolint:gosec // folded
		word(math.Float64bits(o.Found))
		word(math.Float64bits(o.Limit))
		for i := 0; i < len(fx.Sum); i += 8 {
			word(binary.LittleEndian.Uint64(fx.Sum[i:]))
		}
	}
	return h
}

func (e *encoder) demands(d *demands) {
	for i := range d.gates {
		g := &d.gates[i]
		e.flag(g.last.any)
		e.u8(uint8(g.last.reason))
		e.u16(uint16(g.last.joint))
		e.u16(uint16(g.last.zone))
		e.f64(g.last.found)
		e.f64(g.last.limit)
		for _, at := range g.noted {
			e.duration(at)
		}
		e.duration(g.lockDue)
		e.u8(uint8(g.lockSent))
		e.flag(g.out.Open)
	}
	if len(d.gates) == 0 {
		return
	}
	e.duration(d.boot)
	e.u64(d.measured.Known)
	e.u64(d.measured.Still)
	e.f64s(d.measured.Position[:])
}

func (d *decoder) demands(out *demands) {
	for i := range out.gates {
		g := &out.gates[i]
		g.last = demandOutcome{
			any: d.flag(), reason: interlock.DemandReason(d.u8()), joint: int16(d.u16()), zone: int16(d.u16()), //nolint:gosec // as written
			found: d.f64(), limit: d.f64(),
		}
		for r := range g.noted {
			g.noted[r] = d.duration()
		}
		g.lockDue, g.lockSent, g.out.Open = d.duration(), lockValue(d.u8()), d.flag()
	}
	if len(out.gates) == 0 {
		return
	}
	out.boot, out.measured.Known, out.measured.Still = d.duration(), d.u64(), d.u64()
	if out.boot != never {
		out.measured.At = out.boot
	}
	d.f64s(out.measured.Position[:])
}

// GateStatus is one gate for commands that are passed on whole or not at all.
type GateStatus struct {
	Name string `json:"name"`
	// Mode is inline, lock or monitor. A gate that monitors says what it would have done.
	Mode string `json:"mode"`
	// Open is true while anything may pass at all.
	Open bool `json:"open"`
	// Last says what became of the newest demand, empty before the first.
	Last string `json:"last,omitempty"`
	// Joint, Found and Limit are given where it broke a joint's limit, Zone where a goal lies.
	Joint string  `json:"joint,omitempty"`
	Found float64 `json:"found,omitempty"`
	Limit float64 `json:"limit,omitempty"`
	Zone  string  `json:"zone,omitempty"`
	// Passed counts demands that passed, Dropped those that did not, by reason.
	Passed  uint64            `json:"passed"`
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	// Ended counts how often what was under way had to be stopped.
	Ended uint64 `json:"ended"`
}

// gateStatus is the state of every gate.
func (c *Core) gateStatus() []GateStatus {
	var out []GateStatus
	for i := range c.demands.gates {
		g, p := &c.demands.gates[i], &c.params.Gates[i]
		s := GateStatus{Name: p.Name, Mode: p.Mode.String(), Open: g.out.Open, Ended: g.core.Ends()}
		if g.last.any {
			s.Last = g.last.reason.String()
		}
		if n := int(g.last.joint); n >= 0 && n < len(c.params.JointNames) {
			s.Joint, s.Found, s.Limit = c.params.JointNames[n], number(g.last.found), number(g.last.limit)
		}
		if z := int(g.last.zone); z >= 0 && z < c.params.Set.Zones() {
			s.Zone = c.params.Set.Zone(z).ID
		}
		for r, n := range g.core.Counts() {
			switch {
			case n == 0:
			case interlock.DemandReason(r) == interlock.DemandPassed: //nolint:gosec // a reason
				s.Passed = n
			default:
				if s.Dropped == nil {
					s.Dropped = map[string]uint64{}
				}
				s.Dropped[interlock.DemandReason(r).String()] = n //nolint:gosec // a reason
			}
		}
		out = append(out, s)
	}
	return out
}

// gateLockPeriod is how often a gate's lock topic is sent: silence reads as locked there.
const gateLockPeriod = 100 * time.Millisecond
